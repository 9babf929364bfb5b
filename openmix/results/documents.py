"""Generated text in files that people write: tables between markers, and the index files of the model zoo."""
import os
import re
import stat
from collections.abc import Callable
from pathlib import Path

import yaml

from ..errors import did_you_mean
from ..workdir.files import last_checkpoint, last_log, write_atomic
from .cells import Cell
from .labels import folder_of

MARKER = re.compile(r"^<!-- zoo:([a-z0-9-]+) (begin|end) -->[ \t]*(?:\r?\n|\Z)", re.M)
NEARLY = re.compile(r"^(```|~~~)[^\n]*\n.*?^\1[^\n]*$|^[ \t]*<!--[ \t]*zoo:[^\n]*-->[ \t]*\r?$", re.M | re.S | re.I)
DOCUMENTS = ("docs/**/*.md", "configs/*/README.md")
GENERATED = "# Written by tools/model_zoo.py from the records of runs; changes made by hand are lost.\n"


def rewrite(text: str, make: Callable[[str], str], where: str = "the file") -> str:
    """``text`` with what stands between each pair of markers replaced by ``make(name)``; all else as it was.

    The markers are lines of their own, ``<!-- zoo:cifar100-resnet-18 begin -->`` and the same with ``end``.

    Raises:
        ValueError: no marker, one without its other half, pairs inside each other, a name that is there twice, or a
            line that only looks like a marker (indented, in capitals); code blocks may hold such lines.
    """
    for line in NEARLY.finditer(text):
        if not line[1] and not MARKER.match(text, line.start()):
            number = text.count("\n", 0, line.start()) + 1
            raise ValueError(f"{where}, line {number}: {line[0].strip()} is no marker; write "
                             "<!-- zoo:NAME begin --> or end, from the first column, in lower case")
    marks = list(MARKER.finditer(text))
    if not marks:
        raise ValueError(f"{where} has no markers; put <!-- zoo:NAME begin --> and <!-- zoo:NAME end --> on lines of "
                         "their own where a table is to stand")
    pieces, done, seen = [], 0, set()
    for begin, end in zip(marks[::2], [*marks[1::2], None], strict=False):
        name, line = begin[1], text.count("\n", 0, begin.start()) + 1
        if begin[2] != "begin":
            raise ValueError(f"{where}, line {line}: the end of zoo:{name} has no begin before it")
        if end is None or (end[1], end[2]) != (name, "end"):
            found = f"the {end[2]} of zoo:{end[1]}" if end else "the end of the file"
            raise ValueError(f"{where}, line {line}: zoo:{name} begins and does not end; after it comes {found}")
        if name in seen:
            raise ValueError(f"{where}, line {line}: zoo:{name} is there twice")
        seen.add(name)
        made = make(name)
        pieces += [text[done:begin.end()], made.replace("\n", "\r\n") if begin[0].endswith("\r\n") else made]
        done = end.start()
    return "".join(pieces) + text[done:]


def find_documents(root) -> list[Path]:
    """The files below ``root`` that hold markers, or lines that only look like one."""
    files = sorted(path for pattern in DOCUMENTS for path in Path(root).glob(pattern) if path.is_file())
    return [path for path in files if _is_marked(_read(path))]


def _is_marked(text: str) -> bool:
    return bool(MARKER.search(text)) or any(not line[1] for line in NEARLY.finditer(text))


def _read(path) -> str:
    with open(path, encoding="utf-8", newline="") as file:  # line ends stay as they are
        return file.read()


def new_texts(files, make: Callable[[str, Path], str], known) -> dict[Path, str]:
    """What each file should hold: ``make(name, folder of the file)`` between the markers of ``name``.

    Raises:
        FileNotFoundError: no such file. ValueError: markers are wrong, or name no part.
    """
    texts = {}
    for path in map(Path, files):
        def part(name, path=path):
            if name not in known:
                raise ValueError(f"{path}: nothing is called zoo:{name}; {did_you_mean(name, known)}")
            return make(name, path.parent)
        texts[path] = rewrite(_read(path), part, str(path))
    return texts


def write_changed(texts: dict[Path, str], dry: bool = False) -> list[Path]:
    """Write those files whose content changes, atomically; returns them. ``dry``: only tell which they are.

    Links stay links, and files keep their mode.
    """
    changed = [path for path, text in texts.items() if not path.is_file() or _read(path) != text]
    for path in changed if not dry else ():
        target = Path(os.path.realpath(path))
        mode = target.stat().st_mode if target.is_file() else None
        write_atomic(target, texts[path].encode())
        if mode is not None:
            target.chmod(stat.S_IMODE(mode))
    return changed


# -- index files ---------------------------------------------------------------------------------------------------


def index_files(cells: list[Cell], root) -> dict[Path, str]:
    """``configs/<data set>/metafile.yml`` for each data set with finished runs, and ``model-index.yml``, which lists
    them. A metafile of earlier runs that are gone is emptied.

    They follow the formats of OpenMMLab and of Papers with Code. Data sets without a folder of configs are left out.

    Raises:
        ValueError: one that would change was written by hand. Without runs of its data set a metafile written by hand
            stays, and is listed.
    """
    root, texts, listed = Path(root), {}, []
    for folder in sorted(path for path in (root / "configs").glob("*") if path.is_dir()):
        own = [c for c in cells if folder_of(c.dataset) == folder.name and c.values]
        path = folder / "metafile.yml"
        if own or path.is_file() and _read(path).startswith(GENERATED.rstrip()):
            texts[path] = _yaml(metafile(own, root, folder), path)
        if own or path.is_file():
            listed.append(path.relative_to(root).as_posix())
    texts[root / "model-index.yml"] = _yaml(dict(Import=listed), root / "model-index.yml")
    return texts


def _yaml(content: dict, path: Path) -> str:
    """The new content of ``path``, with the line ends of the old one."""
    old = _read(path) if path.is_file() else ""
    if old and not old.startswith(GENERATED.rstrip()):
        raise ValueError(f"{path} was written by hand (it does not begin with {GENERATED[:37]!r}); move it away, or "
                         "name the files to rewrite with --files")
    text = GENERATED + yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=120)
    return text.replace("\n", "\r\n") if "\r\n" in old else text


def metafile(cells: list[Cell], root, folder: Path) -> dict:
    """The finished cells of a data set, one model each; the weights are those of its first seed."""
    methods = list(dict.fromkeys(c.method.split(" (")[0] for c in cells))
    readme = (folder / "README.md").relative_to(root).as_posix()
    readme = dict(README=readme) if (folder / "README.md").is_file() else {}
    return dict(Collections=[dict(Name=name, Metadata={"Training Data": [cells[0].dataset]}, **readme)
                             for name in methods],
                Models=[_model(cell, Path(root)) for cell in cells])


def _model(cell: Cell, root: Path) -> dict:
    first = next(r for r in cell.counted if r.primary)
    files = dict(Config=first.config_file, Weights=last_checkpoint(Path(first.folder)),
                 **{"Training Log": last_log(Path(first.folder))})
    reduction = {"median": "median of the last 10 epochs", "last": "last epoch"}[cell.kind]
    result = first.result
    metadata = {"Training Data": cell.dataset, "Architecture": cell.network, "Epochs": cell.epochs,
                "Batch Size": result.get("total_batch"), "Parameters": result.get("parameters"),
                "Training Resources": f"{result['processes']} x {first.hardware}", "Precision": first.precision,
                "Peak Memory (MiB)": result.get("peak_memory_mib"), "Images per Second": result.get("img_s"),
                "Data SHA-256": result["data"].get("sha256"), "Config Hash": first.config_hash,
                "Seeds": [r.seed for r in cell.counted]}
    metrics = {"Top 1 Accuracy": round(cell.mean, 4)}
    if cell.std is not None:
        metrics["Top 1 Accuracy Std"] = round(cell.std, 4)
    return dict(Name=f"{cell.dataset} {cell.network} {cell.row} {cell.epochs} epochs",
                **{"In Collection": cell.method.split(" (")[0], "Metadata": metadata},
                Results=[dict(Task="Image Classification", Dataset=cell.dataset, Reduction=reduction,
                              Split="held out of training" if cell.held_out else "test", Metrics=metrics)],
                **{key: _relative(path, root) for key, path in files.items() if path})


def _relative(path, root: Path) -> str:
    return Path(os.path.relpath(path, root)).as_posix()
