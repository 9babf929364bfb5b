"""Pictures of what mixing methods do to real images.

    openmix show                                     # all methods, mixes.png
    openmix show CutMix PuzzleMix --out figure.pdf
    openmix show MixUp --dataset Shapes              # without CIFAR-100 at hand
    openmix show AutoMix --checkpoint work_dirs/cifar100/r18_automix/seed0
"""
import argparse
import sys

from ..arguments import Parser, seed, typed_path

BATCH = 8
SMALL = dict(type="CifarResNet", depth=20)
ATTENTION = dict(type="TimmModel", name="vit_tiny_patch16_224", patch_size=4, embed_dim=96, depth=4, num_heads=3)


def make_parser(prog: str | None = None) -> Parser:
    parser = Parser(prog=prog, description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("methods", nargs="*", metavar="METHOD", help="names of mixing methods (default: all)")
    parser.add_argument("--out", type=typed_path, default="mixes.png", help=".png, .pdf or .svg (default: mixes.png)")
    parser.add_argument("--dataset", default="CIFAR100", help="type of the data set (default: CIFAR100)")
    parser.add_argument("--data-root", type=typed_path, help="its folder")
    parser.add_argument("--checkpoint", type=typed_path, metavar="FILE",
                        help="trained network for the methods that need one: work dir, checkpoint or published file; "
                             "without it the network is small and untrained, and masks made of it mean little")
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
    samples = []
    torch.manual_seed(args.seed)
    for name in args.methods or sorted(known, key=lambda name: (MIXUPS.get(name).year, name.lower())):
        try:
            samples += method_samples(name, images, labels, names, args, count)
        except ImportError as error:
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


def network(needs: str, classes: int, checkpoint: str | None, size: int):
    """A network that takes images in [0, 1], trained or small."""
    from ..models import build_net

    if checkpoint:
        from ..inference.weights import load_network

        net, facts = load_network(checkpoint)
        normalise = facts["data"].get("mean"), facts["data"].get("std")
    else:
        net = build_net(ATTENTION | dict(img_size=size) if needs == "attention" else SMALL, num_classes=classes)
        normalise = (0.5,) * 3, (0.25,) * 3
    return net.train(), normalise


def method_samples(name: str, images, labels, names: list[str], args, count: int) -> list:
    """The samples of one method: its first images, each with draws of its own."""
    import torch

    from ..registry import MIXUPS
    from ..visualization import gallery, mixes

    method, net = MIXUPS.get(name).example(), None
    if method.needs != "batch":
        net, (mean, std) = network(method.needs, 1 + int(labels.max()), args.checkpoint, images.shape[-1])
        method.attach(net)
        if std is not None:
            mean, std = (torch.tensor(values).view(-1, 1, 1) for values in (mean, std))
            net.register_forward_pre_hook(lambda module, inputs: ((inputs[0] - mean) / std,))
        # some methods mix the images of the step before
        mixes.look_inside(method, images, labels, method.draw(len(images), images.shape[2:]), net)
    venue = f"{method.venue} {method.year}" if method.year else ""
    samples = []
    for index in range(count):
        draws = mixes.draws_near(method, images, labels, args.lam, net, index, seed=args.seed)
        mix = mixes.look_inside(method, images, labels, draws, net)
        samples.append(gallery.make_sample(mix, images, names, index, name, venue))
    return samples
