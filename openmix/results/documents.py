"""Tables between markers in files that people write: ``<!-- zoo:NAME begin -->`` and ``<!-- zoo:NAME end -->``."""
import re
from collections.abc import Callable
from pathlib import Path

from ..errors import did_you_mean
from ..workdir.files import write_atomic

MARKER = re.compile(r"^<!-- zoo:([a-z0-9-]+) (begin|end) -->$", re.M)
PAIR = re.compile(r"^(<!-- zoo:([a-z0-9-]+) begin -->\n).*?^(<!-- zoo:\2 end -->)$", re.M | re.S)
DOCUMENTS = ("docs/**/*.md", "configs/*/README.md")


def rewrite(text: str, make: Callable[[str], str], where: str = "the file") -> str:
    """``text`` with the lines between each pair of markers replaced by ``make(name)``; all else as it was.

    Raises:
        ValueError: no marker, one without its other half, pairs inside each other, or a name that is there twice.
    """
    marks = MARKER.findall(text)
    names = dict.fromkeys(name for name, _ in marks)
    if not marks or marks != [(name, half) for name in names for half in ("begin", "end")]:
        there = ", ".join(f"zoo:{name} {half}" for name, half in marks)
        raise ValueError(f"{where} needs lines <!-- zoo:NAME begin --> and <!-- zoo:NAME end -->, one pair a table and "
                         f"one table a name; it has {there or 'no markers'}")
    return PAIR.sub(lambda pair: pair[1] + make(pair[2]) + pair[3], text)


def find_documents(root) -> list[Path]:
    """The files below ``root`` that hold markers."""
    files = sorted(path for pattern in DOCUMENTS for path in Path(root).glob(pattern) if path.is_file())
    return [path for path in files if MARKER.search(path.read_text(encoding="utf-8"))]


def new_texts(files, make: Callable[[str, Path], str], known) -> dict[Path, str]:
    """The new text of each file: ``make(name, folder of the file)`` between the markers of ``name``.

    Raises:
        FileNotFoundError: no such file. ValueError: markers are wrong, or name no table.
    """
    texts = {}
    for path in map(Path, files):
        def table(name, path=path):
            if name not in known:
                raise ValueError(f"{path}: nothing is called zoo:{name}; {did_you_mean(name, known)}")
            return make(name, path.parent)
        texts[path] = rewrite(path.read_text(encoding="utf-8"), table, str(path))
    return texts


def write_changed(texts: dict[Path, str], dry: bool = False) -> list[Path]:
    """Write the files whose text changes, and return them; ``dry`` writes nothing. Links stay links."""
    changed = [path for path, text in texts.items() if path.read_text(encoding="utf-8") != text]
    for path in changed if not dry else ():
        write_atomic(path.resolve(), texts[path].encode())
    return changed
