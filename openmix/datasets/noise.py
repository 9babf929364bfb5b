"""Labels that are wrong on purpose, to study memorisation."""
import copy
from pathlib import Path

import numpy as np
import torch

from ..checks import check_count, number
from .arrays import as_labels
from .options import local_path, printable

KINDS = ("uniform", "flip", "matrix", "file")


def LabelNoise(data, kind: str = "uniform", p: float = 0.2, seed: int = 12345, matrix=None, file=None,
               part: str | None = None, name: str | None = None):
    """``data`` with some labels replaced: ``dict(type="LabelNoise", data=dict(type="CIFAR10"), p=0.5)``.

    The images, their order and the classes stay. Labels are drawn with NumPy's legacy generator, so that they are
    those of the code that the mixup paper (arXiv 1710.09412, Table 2) used; they depend on the order of ``data``.

    Args:
        data: the set, or its config. It must be a training set; test labels stay clean.
        kind: ``"uniform"``: with chance ``p`` a label is drawn anew among all C classes, the true one included, so
            that a share (C - 1) / C * p is wrong. ``"flip"``: with chance ``p`` it is another class.
            ``"matrix"``: class c becomes class k with chance ``matrix[c][k]``. ``"file"``: labels are read.
        p: the chance. seed: another seed draws others.
        matrix: (C, C), each row sums to 1.
        file: labels (N,) as ``.npy``, ``.pt`` (a tensor) or text with one number a line.
        part: ``"noisy"`` or ``"clean"`` for the images whose labels were drawn anew, or the others, alone: to evaluate
            memorisation on the training set.
        name: by default that of ``data`` with the noise.

    Returns:
        A set of the same kind, with ``extra["noisy"]`` (N,) bool, the labels that were drawn anew (for ``"matrix"`` and
        ``"file"``: that differ), and ``extra["clean"]`` (N,), the labels before.

    Raises:
        ValueError: a set that is not for training, an unknown kind, options out of range. FileNotFoundError: no file.
    """
    if kind not in KINDS:
        raise ValueError(f"kind must be one of {KINDS}, got {kind!r}")
    if data.split != "train":
        raise ValueError(f"LabelNoise is for the training set, got {data.name} ({data.split}); test labels stay clean")
    if part not in (None, "noisy", "clean"):
        raise ValueError(f"part must be 'noisy', 'clean' or None, got {part!r}")
    p, seed = number("p", p, 0, 1), check_count("seed", seed, 0)
    clean, classes = data.labels.numpy(), len(data.classes)
    random = np.random.RandomState(seed)
    facts = dict(kind=kind, seed=seed)
    if kind in ("uniform", "flip"):
        labels, noisy, words = *redrawn(clean, classes, p, kind == "flip", random), f"{p:.0%} {kind} noise"
        facts["p"] = p
    elif kind == "matrix":
        labels, words = by_matrix(clean, check_matrix(matrix, classes), random), "noise of a matrix"
        noisy = labels != clean
    else:
        labels, words = read_labels(file, len(clean), classes), f"labels of {printable(Path(str(file)).name)}"
        noisy, facts = labels != clean, dict(kind=kind)
    changed = copy.copy(data)
    vars(changed).pop("sha256", None)  # of the labels before
    changed.labels, changed.name = torch.from_numpy(labels), name or f"{data.name} ({words})"
    changed.extra = {**data.extra, "noisy": torch.from_numpy(noisy), "clean": data.labels}
    changed.selection = dict(noise={**facts, "redrawn": int(noisy.sum()), "wrong": int((labels != clean).sum())},
                             of=data.selection or data.name)
    if part is None:
        return changed
    chosen = (changed.extra["noisy"] == (part == "noisy")).nonzero()[:, 0]
    if not len(chosen):
        raise ValueError(f"{changed.name} has no {part} labels")
    return changed.take(chosen, name=f"{changed.name}, {part} labels", selection={**changed.selection, "part": part})


def redrawn(clean: np.ndarray, classes: int, p: float, another: bool, random) -> tuple[np.ndarray, np.ndarray]:
    """Labels drawn anew with chance ``p``, among all classes or those of ``another``; and which were drawn."""
    noisy, labels = (random.rand(len(clean)) <= p) & (p > 0), clean.copy()
    if another:
        if classes < 2:
            raise ValueError("kind='flip' needs at least two classes")
        labels[noisy] = (clean[noisy] + 1 + random.choice(classes - 1, noisy.sum())) % classes
    else:
        labels[noisy] = random.choice(classes, noisy.sum())
    return labels, noisy


def check_matrix(matrix, classes: int) -> np.ndarray:
    """``matrix`` as chances (C, C). Raises ValueError where it is none."""
    try:
        chances = np.asarray(matrix, dtype=np.float64)
    except (TypeError, ValueError):
        chances = np.empty(0)
    if chances.shape != (classes, classes) or (chances < 0).any() or not np.allclose(chances.sum(1), 1, atol=1e-6):
        raise ValueError(f"kind='matrix' needs a matrix of {classes} rows and columns, whose rows are not negative and "
                         f"sum to 1; got {'none' if matrix is None else f'shape {chances.shape}'}")
    return chances


def by_matrix(clean: np.ndarray, chances: np.ndarray, random) -> np.ndarray:
    """Each label drawn from its row of ``chances``."""
    edges = chances.cumsum(1)[clean]  # (N, C)
    return (random.rand(len(clean))[:, None] >= edges[:, :-1]).sum(1).astype(np.int64)


def read_labels(file, count: int, classes: int) -> np.ndarray:
    """The labels of ``file``, (count,) int64."""
    if file is None:
        raise ValueError("kind='file' needs file=..., the labels as .npy, .pt or text")
    path = local_path(file)
    if not path.is_file():
        raise FileNotFoundError(f"no file of labels {path}")
    try:
        if path.suffix == ".npy":
            values = np.load(path, allow_pickle=False)
        elif path.suffix in (".pt", ".pth"):
            values = torch.load(path, weights_only=True, map_location="cpu").numpy()
        else:
            values = np.loadtxt(path, dtype=np.int64, ndmin=1)
    except Exception as error:  # files of any content
        raise ValueError(f"cannot read labels from {path}: {error}") from error
    return as_labels(values, count, classes, str(path)).numpy()
