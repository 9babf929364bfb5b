"""Which files of a folder are images of which class: without what systems leave behind, links followed once."""
import os
import warnings
from collections import Counter
from pathlib import Path

from .options import lies_in, listed, printable

SUFFIXES = (".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".bmp", ".webp", ".ppm", ".pgm", ".pbm", ".pnm", ".tif", ".tiff")
LEFTOVERS = {  # beside names that begin with a dot; macOS, Windows, Synology, QNAP, file systems, Python
    "__macosx", "icon\r", "thumbs.db", "ehthumbs.db", "desktop.ini", "$recycle.bin", "system volume information",
    "@eadir", "#recycle", "#snapshot", "@recycle", "@recently-snapshot", "lost+found", "__pycache__",
}


def is_leftover(name: str) -> bool:
    """Whether a file or folder is hidden, or one that an operating system or a notebook left."""
    return name.startswith(".") or name.lower() in LEFTOVERS


def is_folder(entry: os.DirEntry) -> bool:
    """Whether an entry is a folder or a link to one; a link that leads to itself is none."""
    try:
        return entry.is_dir()
    except OSError:
        return False


def list_images(folder: Path, train: Path):
    """The images of a split, one folder a class.

    Args:
        folder: of the split. train: of the training split; where it exists, classes are numbered as there.

    Returns:
        (paths, labels, class names), sorted by class and path.

    Raises:
        FileNotFoundError: no folder, no class, a class without images in training, the link of a class that leads
            nowhere. ValueError: a class that training lacks, one folder linked into two classes.
    """
    if not folder.is_dir():
        raise FileNotFoundError(f"{printable(folder.absolute())} not found; expected a folder with one folder of "
                                "images a class")
    folders = class_folders(folder)
    if not folders:
        raise FileNotFoundError(f"{printable(folder.absolute())} holds no class folders")
    classes = class_folders(train) if train.is_dir() else folders
    strange = sorted(set(folders) - set(classes))
    if strange:
        raise ValueError(f"{printable(folder)} has classes that {printable(train)} lacks: {listed(strange)}")
    walk, paths, labels, empty = Walk(folder), [], [], []
    for name in folders:
        inside = walk.images(name)
        if not inside:
            empty.append(name)
        paths += sorted(inside, key=lambda path: path.split(os.sep))
        labels += [classes.index(name)] * len(inside)
    walk.report()
    if empty and (folder == train or not paths):
        raise FileNotFoundError(f"{printable(folder / empty[0])} holds no images ({' '.join(SUFFIXES)}); add some or "
                                "remove the folder")
    if empty:
        warnings.warn(f"{printable(folder)}: no images of {listed(empty)}", stacklevel=3)
    return paths, labels, [printable(name) for name in classes]


def class_folders(folder: Path) -> list[str]:
    """Names of the class folders, sorted. Raises FileNotFoundError for a link that leads nowhere."""
    names = []
    for entry in os.scandir(folder):
        if is_leftover(entry.name):
            continue
        if is_folder(entry):
            names.append(entry.name)
        elif entry.is_symlink() and not os.path.exists(entry.path) and not entry.name.lower().endswith(SUFFIXES):
            raise FileNotFoundError(f"{printable(entry.path)} is a link to {printable(os.readlink(entry.path))}, which "
                                    "does not exist: a class would be missing; repair or remove the link")
    return sorted(names)


class Walk:
    """A walk through the class folders of a split. Links to folders are followed; no folder is read twice.

    Args:
        folder: of the split.
    """

    def __init__(self, folder: Path):
        self.folder, self.real = folder, os.path.realpath(folder)
        self.read: dict[tuple, tuple] = {}  # (device, inode) of each folder: (class, path)
        self.ignored, self.notes = Counter(), []

    def images(self, name: str) -> list[str]:
        """Paths of the images of class ``name``, at any depth."""
        path = os.path.join(self.folder, name)
        if os.path.islink(path) and self.leads_back(path):
            raise ValueError(f"the class folder {printable(path)} is a link to {printable(os.path.realpath(path))}, "
                             "which holds images of other classes; remove the link")
        images, waiting = [], [path] if self.enter(name, path) else []
        while waiting:
            for entry in sorted(os.scandir(waiting.pop()), key=lambda entry: entry.name):
                if not is_leftover(entry.name):
                    self.sort(name, entry, images, waiting)
        return images

    def sort(self, name: str, entry: os.DirEntry, images: list, waiting: list) -> None:
        """An entry of a folder of class ``name``: an image, a folder to read, or nothing of use."""
        if is_folder(entry):
            if entry.is_symlink() and self.leads_back(entry.path):
                self.notes.append(f"the link {printable(entry.path)} leads back into {printable(self.folder)} and is "
                                  "not followed")
            elif self.enter(name, entry.path):
                waiting.append(entry.path)
        elif entry.name.lower().endswith(SUFFIXES):
            images.append(entry.path)  # a link that leads nowhere, too: it is read, and named, as a damaged file is
        elif entry.is_symlink() and not os.path.exists(entry.path):
            self.notes.append(f"the link {printable(entry.path)} leads to {printable(os.readlink(entry.path))}, which "
                              "does not exist")
        else:
            self.ignored[os.path.splitext(entry.name)[1].lower() or "no extension"] += 1

    def leads_back(self, link: str) -> bool:
        """Whether a link ends in the split's folder, or in one that holds it."""
        target = os.path.realpath(link)
        return lies_in(target, self.real) or lies_in(self.real, target)

    def enter(self, name: str, path: str) -> bool:
        """Whether the folder ``path`` is new. Raises ValueError if another class has read it."""
        stat = os.stat(path)
        known, first = self.read.setdefault((stat.st_dev, stat.st_ino), (name, path))
        if known != name:
            raise ValueError(f"{printable(path)} and {printable(first)} are the same folder: its images would belong "
                             f"to the classes {printable(name)} and {printable(known)}; remove one of the links")
        if first != path:
            self.notes.append(f"{printable(path)} is the folder {printable(first)}, and is read once")
        return first == path

    def report(self) -> None:
        """Warn of the files that were left out."""
        beside = sum(entry.name.lower().endswith(SUFFIXES) and not is_leftover(entry.name) and not is_folder(entry)
                     for entry in os.scandir(self.folder))
        if beside:
            self.notes.append(f"{beside} images lie beside the class folders and belong to no class")
        if self.ignored:
            kinds = ", ".join(f"{printable(kind)} ({count})" for kind, count in sorted(self.ignored.items()))
            self.notes.append(f"files left out by extension: {kinds}; images are {' '.join(SUFFIXES)}")
        if self.notes:
            warnings.warn(f"{printable(self.folder)}: {'; '.join(self.notes)}", stacklevel=4)
