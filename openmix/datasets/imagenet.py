"""Whether a folder of images is the ImageNet of published tables (ILSVRC 2012), by the names of its files."""
import os
import re
from collections.abc import Sequence

COUNTS = dict(train=1_281_167, val=50_000)
CLASS = re.compile(r"n\d{8}")


def is_imagenet(paths: Sequence[str], classes: Sequence[str], split: str) -> bool:
    """Whether the images of a split, ``.../<class>/<file>``, are all that the organisers named, and no others.

    Contents are not read: a copy of smaller images counts, too.
    """
    if len(paths) != COUNTS.get(split) or len(classes) != 1000 or not all(map(CLASS.fullmatch, classes)):
        return False
    stems = set()
    for path in paths:
        _, name, file = path.rsplit(os.sep, 2)
        start = f"{name}_" if split == "train" else "ILSVRC2012_val_"
        stem = file.rpartition(".")[0]
        if not (stem.startswith(start) and stem[len(start):].isdecimal()):
            return False
        stems.add(stem)
    return len(stems) == len(paths)
