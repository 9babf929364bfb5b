"""Turn a data set into array files that load in about a second.

    openmix data prepare SOURCE OUT

SOURCE is the CIFAR archive or the folder that holds it, a folder of images (train/<class>/*.jpg, test/...), or .npz
files with keys images and labels. Train on the result with dict(type="ArrayFile", data_root=OUT).
"""
import argparse

from ..arguments import Parser, typed_path


def make_parser(prog: str | None = None) -> Parser:
    parser = Parser(prog=prog, description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=typed_path, help="CIFAR archive or folder, folder of images, .npz")
    parser.add_argument("out", type=typed_path,
                        help="folder to write train_images.npy, train_labels.npy, ..., info.json into")
    parser.add_argument("--size", type=int, help="side of the square images made of a folder of images (224)")
    parser.add_argument("--resize", type=int, help="length of the shorter side before the centre crop (SIZE)")
    parser.add_argument("--on-error", choices=["raise", "skip"], default="raise", help="what an unreadable image does")
    parser.add_argument("--force", action="store_true", help="overwrite arrays that are there already")
    return parser


def main(args) -> int:
    from ..datasets.prepare import prepare

    try:
        info = prepare(args.source, args.out, size=args.size, resize=args.resize, on_error=args.on_error,
                       force=args.force)
    except MemoryError as error:
        raise ValueError(str(error) or "there is not enough memory for these images") from error
    for split, facts in info["splits"].items():
        skipped = f", {len(facts['skipped'])} unreadable left out" if facts["skipped"] else ""
        print(f"{split}: {facts['images']} images of {' x '.join(map(str, facts['size'][1:]))} in "
              f"{len(info['classes'])} classes{skipped}, sha256 {facts['sha256'][:16]}")
    return 0
