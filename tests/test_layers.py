"""The picture of the package in the docs is that of its import contract (which lint-imports checks)."""
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def draw() -> str:
    return subprocess.run([sys.executable, str(ROOT / "tools" / "draw_layers.py")], capture_output=True, text=True,
                          check=True).stdout


def test_the_picture_shows_every_module_of_the_contract_once():
    picture = draw()
    modules = re.findall(r"\w+", " ".join(re.findall(r'\["(.*)"\]', picture)))
    assert {"cli", "engine", "mixups", "workdir", "errors"} <= set(modules) and len(modules) == len(set(modules))


def test_the_picture_in_the_docs_is_that_of_the_contract():
    page = (ROOT / "docs" / "explanation" / "architecture.md").read_text()
    assert draw().strip() in page
