#!/usr/bin/env python
"""Turn a data set into array files that load in about a second.

    python tools/prepare_data.py SOURCE OUT

SOURCE is the CIFAR archive or the folder that holds it, a folder of images (train/<class>/*.jpg, test/...), or .npz
files with keys images and labels. Train on the result with dict(type="ArrayFile", data_root=OUT).
"""
import argparse
import sys

from openmix.arguments import Parser, typed_path
from openmix.datasets.prepare import prepare


def main(argv=None) -> int:
    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=typed_path, help="CIFAR archive or folder, folder of images, .npz")
    parser.add_argument("out", type=typed_path,
                        help="folder to write train_images.npy, train_labels.npy, ..., info.json into")
    parser.add_argument("--size", type=int, help="side of the square images made of a folder of images (224)")
    parser.add_argument("--resize", type=int, help="length of the shorter side before the centre crop (SIZE)")
    parser.add_argument("--on-error", choices=["raise", "skip"], default="raise", help="what an unreadable image does")
    parser.add_argument("--force", action="store_true", help="overwrite arrays that are there already")
    args = parser.parse_args(argv)
    try:
        info = prepare(args.source, args.out, size=args.size, resize=args.resize, on_error=args.on_error,
                       force=args.force)
    except (ValueError, TypeError, OSError, MemoryError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    for split, found in info["splits"].items():
        skipped = f", {len(found['skipped'])} unreadable left out" if found["skipped"] else ""
        print(f"{split}: {found['images']} images of {' x '.join(map(str, found['size'][1:]))} in "
              f"{len(info['classes'])} classes{skipped}, sha256 {found['sha256'][:16]}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
