"""Pictures of what mixing methods do to real images.

    openmix show                                     # all methods, mixes.png
    openmix show CutMix PuzzleMix --out figure.pdf
    openmix show MixUp --dataset Shapes              # without CIFAR-100 at hand
    openmix show AutoMix --checkpoint work_dirs/cifar100/r18_automix/seed0
"""
import argparse
import copy
import sys

from ..arguments import Parser, seed, typed_path

BATCH, CLASSES = 8, 10  # images; outputs of a network that is not trained, as of the teacher in Distill's example
SMALL = dict(type="CifarResNet", depth=20)
ATTENTION = dict(type="TimmModel", name="vit_tiny_patch16_224", patch_size=4, embed_dim=96, depth=4, num_heads=3)
UNCHANGED, SPREAD = ((0.0,), (1.0,)), ((0.5,), (0.25,))  # mean and standard deviation


def make_parser(prog: str | None = None) -> Parser:
    parser = Parser(prog=prog, description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("methods", nargs="*", metavar="METHOD", help="names of mixing methods (default: all)")
    parser.add_argument("--out", type=typed_path, default="mixes.png", help=".png, .pdf or .svg (default: mixes.png)")
    parser.add_argument("--dataset", default="CIFAR100", help="type of the data set (default: CIFAR100)")
    parser.add_argument("--data-root", type=typed_path, help="its folder")
    parser.add_argument("--checkpoint", type=typed_path, metavar="FILE",
                        help="trained network for the methods that need one: work dir, checkpoint or published file; "
                             "a run that trained the method shows what it has learned; without it the network is small "
                             "and untrained, and masks made of it mean little")
    parser.add_argument("--lam", type=float, default=0.6, help="weight of the image that is drawn for (default: 0.6)")
    parser.add_argument("--count", type=int, help="samples of a method (default: 1, or 4 of one method alone)")
    parser.add_argument("--across", type=int, default=2, help="samples in a row (default: 2)")
    parser.add_argument("--seed", type=seed, default=0, help="of the images and the draws (default: 0)")
    return parser


def main(args) -> int:
    import torch

    from ..apis import list_mixups
    from ..checks import number
    from ..errors import did_you_mean
    from ..inference.weights import load_classifier, load_network
    from ..registry import MIXUPS
    from ..visualization import gallery

    number("--lam", args.lam, 0, 1)
    known, count = list_mixups(), args.count
    if count is None:
        count = 4 if len(args.methods) == 1 else 1
    number("--count", count, 1, BATCH, whole=True)
    number("--across", args.across, 1, whole=True)
    wrong = [name for name in args.methods if name not in known]
    if wrong:
        raise ValueError(f"no mixing method {wrong[0]!r}; {did_you_mean(wrong[0], known)}")
    images, labels, classes = batch(args.dataset, args.data_root, args.seed)
    names = [classes[label] for label in labels.tolist()]
    trained = None
    if args.checkpoint is None:  # a network that is not trained may number classes as it likes
        labels = labels.unique(return_inverse=True)[1]
    else:  # a wrong file is one error, not one a method
        trained = *load_network(args.checkpoint), load_classifier(args.checkpoint)
    samples = []
    torch.manual_seed(args.seed)
    for name in args.methods or sorted(known, key=lambda name: (MIXUPS.get(name).year, name.lower())):
        try:
            prepared = prepare(name, images.shape[-1], trained)
            samples += method_samples(name, prepared, images, labels, names, count, lam=args.lam, seed=args.seed)
        except (ImportError, ValueError) as error:
            if name in args.methods:
                raise
            print(f"{name} is left out: {error}", file=sys.stderr)
    path = gallery.save(gallery.draw(samples, args.across), args.out)
    print(f"{path}: {len(samples)} samples, {path.stat().st_size / 1024:.0f} KiB")
    return 0


def batch(dataset: str, data_root: str | None, seed: int):
    """Images (N, C, H, W) in [0, 1] of different classes, labels (N,), and the names of the classes."""
    import torch

    from ..registry import DATASETS

    config = dict(type=dataset, split="test")
    try:
        data = DATASETS.build(config | (dict(data_root=data_root) if data_root else {}))
    except FileNotFoundError as error:
        raise FileNotFoundError(f"{error}; --dataset Shapes needs no files") from error
    order = torch.randperm(len(data), generator=torch.Generator().manual_seed(seed))
    chosen, seen = [], set()
    for index in order.tolist():
        label = int(data.labels[index])
        if label not in seen or len(seen) == len(data.classes):
            seen.add(label)
            chosen.append(index)
        if len(chosen) == BATCH:
            break
    images = data.images[chosen]
    images = images.float() / 255 if images.dtype == torch.uint8 else images
    return images, data.labels[chosen], data.classes


def prepare(name: str, size: int, trained: tuple | None = None):
    """A method, the network in training mode that it looks at or None, and (mean, std) of the images that both take.

    Of a run that trained this very method, the method is the run's, with what it has learned.

    Args:
        trained: what ``load_network`` and ``load_classifier`` gave: network, facts, and classifier or None.
    """
    from ..models import build_net
    from ..registry import MIXUPS

    method = MIXUPS.get(name).example()
    if method.needs == "batch":
        return method, None, UNCHANGED
    if trained is None:
        net = build_net(ATTENTION | dict(img_size=size) if method.needs == "attention" else SMALL, num_classes=CLASSES)
        normalise = SPREAD
    else:
        net, classifier = copy.deepcopy((trained[0], trained[2]))  # the steps that are drawn change them
        data = trained[1]["data"]
        normalise = UNCHANGED if data.get("std") is None else (data["mean"], data["std"])
        if classifier is not None and type(classifier.mixup) is type(method):
            return classifier.mixup, classifier.net.train(), normalise
    method.attach(net)
    return method, net.train(), normalise


def method_samples(name: str, prepared: tuple, images, labels, names: list[str], count: int, *, lam: float = 0.6,
                   seed: int = 0) -> list:
    """The samples of a method, made by :func:`prepare`: its first images, each with draws of its own."""
    import torch

    from ..visualization import gallery, mixes

    method, net, (mean, std) = prepared
    seen = (images - torch.tensor(mean).view(-1, 1, 1)) / torch.tensor(std).view(-1, 1, 1)
    if net is not None:  # some methods mix the images of the step before
        mixes.look_inside(method, seen, labels, method.draw(len(images), images.shape[2:]), net)
    venue = f"{method.venue} {method.year}" if method.year else ""
    samples = []
    for index in range(count):
        draws = mixes.draws_near(method, seen, labels, lam, net, index, seed=seed)
        mix = mixes.look_inside(method, seen, labels, draws, net)
        mixed = None if mix.mixed is None else mixes.brightness(mix.mixed, mean, std)
        samples.append(gallery.make_sample(mix._replace(mixed=mixed), images, names, index, name, venue))
    return samples
