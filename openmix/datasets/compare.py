"""What data sets have in common, and what changed in one of them since a run was started."""
from collections.abc import Mapping

import numpy as np
import torch

from .options import listed

PROBE = 256  # bytes of an image that are compared before all of them are


def images_in_common(train, other) -> tuple[int, bool]:
    """How many images of ``other`` are in ``train``, too, and whether that is known by their origin.

    Images of one origin (files, indices of the same arrays) are the same for certain. Otherwise pixels are compared,
    where both sets are in memory; data sets do hold a few pairs of equal pictures.
    """
    if (source := getattr(other, "source", None)) is not None and source == getattr(train, "source", None):
        parts = [torch.arange(len(data)) if data.indices is None else data.indices for data in (train, other)]
        return int(torch.isin(parts[1], parts[0]).sum()), True
    if hasattr(train, "stats") and hasattr(other, "stats"):
        files = [np.unique(data.stats[:, :2], axis=0) for data in (train, other)]
        both = np.concatenate(files)
        if common := len(both) - len(np.unique(both, axis=0)):
            return common, True
    return equal_images(getattr(train, "images", None), getattr(other, "images", None)), False


def equal_images(train, other) -> int:
    """How many of the images ``other`` (M, 3, H, W) are among ``train`` (N, 3, H, W); 0 for other sizes or None."""
    if train is None or other is None or train.shape[1:] != other.shape[1:]:
        return 0
    step = -(-train[0].numel() // PROBE)
    known: dict[bytes, list[int]] = {}
    for i, row in enumerate(train.flatten(1)[:, ::step].contiguous().numpy()):
        known.setdefault(row.tobytes(), []).append(i)
    probes = other.flatten(1)[:, ::step].contiguous().numpy()
    return sum(any(torch.equal(train[i], other[k]) for i in known.get(row.tobytes(), ())[:PROBE])
               for k, row in enumerate(probes))


def record(data) -> dict:
    """What a checkpoint remembers of a data set: plain data, to be compared by :func:`changes`."""
    described = data.describe()
    classes = list(data.classes)
    return dict(name=described.get("name"), split=described.get("split"), images=len(data), classes=classes,
                counts=data.labels.bincount(minlength=len(classes)).tolist(), sha256=described.get("sha256"),
                sha256_of=described.get("sha256_of"), files_sha256=getattr(data, "files_sha256", None))


def changes(before: Mapping, now: Mapping) -> list[str]:
    """What differs between two records, one line each; empty where they are of the same images, labels and classes.

    Its folder and its name are free to change. A set that is streamed now and was in memory before (or the other
    way round) is compared by its files.
    """
    key = "sha256" if before.get("sha256_of") == now.get("sha256_of") else "files_sha256"
    lines = []
    if list(before["classes"]) != list(now["classes"]):
        gone, new = (sorted(set(a["classes"]) - set(b["classes"])) for a, b in ((before, now), (now, before)))
        lines += [f"classes that are gone: {listed(gone)}"] * bool(gone) + [f"new classes: {listed(new)}"] * bool(new)
        lines += ["the order of the classes"] * (not gone and not new)
    if before["images"] != now["images"]:
        lines.append(f"images: {before['images']} -> {now['images']}")
    counts = [dict(zip(description["classes"], description["counts"], strict=False)) for description in (before, now)]
    moved = [f"{name} {counts[0].get(name, 0)} -> {counts[1].get(name, 0)}" for name in counts[0] | counts[1]
             if counts[0].get(name, 0) != counts[1].get(name, 0)]
    if moved:
        lines.append(f"images of classes: {listed(moved)}")
    if before.get(key) != now.get(key) and None not in (before.get(key), now.get(key)):
        kind = now.get("sha256_of") if key == "sha256" else "names, sizes in bytes and labels of the files"
        lines.append(f"SHA-256 of {kind or 'images and labels'}: {before[key]} -> {now[key]}")
    return lines
