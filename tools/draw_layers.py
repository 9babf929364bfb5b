#!/usr/bin/env python
"""The picture in docs/explanation/architecture.md: the import contract of pyproject.toml, as a Mermaid block."""
from pathlib import Path

try:
    import tomllib
except ImportError:  # Python 3.10; a dependency of import-linter there
    import tomli as tomllib

PROJECT = Path(__file__).resolve().parent.parent / "pyproject.toml"


def layers() -> list[list[str]]:
    """The modules of each layer, the highest layer first."""
    contracts = tomllib.loads(PROJECT.read_text(encoding="utf-8"))["tool"]["importlinter"]["contracts"]
    names = next(contract["layers"] for contract in contracts if contract["type"] == "layers")
    return [layer.replace("(", "").replace(")", "").replace("|", " ").replace(":", " ").split() for layer in names]


def draw() -> str:
    boxes = [f'  layer{i}["{" · ".join(modules)}"]' for i, modules in enumerate(layers())]
    arrows = "  " + " --> ".join(f"layer{i}" for i in range(len(boxes)))
    return "\n".join(["```mermaid", "flowchart TB", *boxes, arrows, "```"])


if __name__ == "__main__":
    print(draw())
