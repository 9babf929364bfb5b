"""Tables between markers in files that people write: ``<!-- zoo:NAME begin -->`` and ``<!-- zoo:NAME end -->``.

Each ``kind`` of table, such as ``zoo``, has markers of its own, and leaves those of other kinds alone.
"""
import re
from collections.abc import Callable
from pathlib import Path

from ..errors import did_you_mean
from ..workdir.files import write_atomic

DOCUMENTS = ("README.md", "docs/**/*.md", "configs/*/README.md")


def marks_in(text: str, kind: str) -> list[tuple[str, str]]:
    """(name, begin or end) of each marker of a kind."""
    return re.findall(rf"^<!-- {kind}:([a-z0-9-]+) (begin|end) -->$", text, re.M)


def rewrite(text: str, make: Callable[[str], str], where: str = "the file", kind: str = "zoo") -> str:
    """``text`` with the lines between each pair of markers replaced by ``make(name)``; all else as it was.

    Raises:
        ValueError: no marker, one without its other half, pairs inside each other, or a name that is there twice.
    """
    marks = marks_in(text, kind)
    names = dict.fromkeys(name for name, _ in marks)
    if not marks or marks != [(name, half) for name in names for half in ("begin", "end")]:
        there = ", ".join(f"{kind}:{name} {half}" for name, half in marks)
        raise ValueError(f"{where} needs lines <!-- {kind}:NAME begin --> and <!-- {kind}:NAME end -->, one pair a "
                         f"table and one table a name; it has {there or 'no markers'}")
    pair = re.compile(rf"^(<!-- {kind}:([a-z0-9-]+) begin -->\n).*?^(<!-- {kind}:\2 end -->)$", re.M | re.S)
    return pair.sub(lambda match: match[1] + make(match[2]) + match[3], text)


def find_documents(root, kind: str = "zoo") -> list[Path]:
    """The files below ``root`` that hold markers of a kind."""
    files = sorted(path for pattern in DOCUMENTS for path in Path(root).glob(pattern) if path.is_file())
    return [path for path in files if marks_in(path.read_text(encoding="utf-8"), kind)]


def new_texts(files, make: Callable[[str, Path], str], known, kind: str = "zoo") -> dict[Path, str]:
    """The new text of each file: ``make(name, folder of the file)`` between the markers of ``name``.

    Raises:
        FileNotFoundError: no such file. ValueError: markers are wrong, or name no table.
    """
    texts = {}
    for path in map(Path, files):
        def table(name, path=path):
            if name not in known:
                raise ValueError(f"{path}: nothing is called {kind}:{name}; {did_you_mean(name, known)}")
            return make(name, path.parent)
        texts[path] = rewrite(path.read_text(encoding="utf-8"), table, str(path), kind)
    return texts


def write_changed(texts: dict[Path, str], dry: bool = False) -> list[Path]:
    """Write the files whose text changes, and return them; ``dry`` writes nothing. Links stay links."""
    changed = [path for path, text in texts.items() if path.read_text(encoding="utf-8") != text]
    for path in changed if not dry else ():
        write_atomic(path.resolve(), texts[path].encode())
    return changed
