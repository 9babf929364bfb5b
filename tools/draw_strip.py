#!/usr/bin/env python
"""The picture at the top of README.md: two drawings, mixed by a dozen methods: python tools/draw_strip.py  (a minute)

The drawings are those of docs/_ext/drawings.py, so that anybody may use the picture.
"""
import argparse
import sys
from pathlib import Path

import torch
from PIL import Image

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "docs" / "_ext")]

import drawings  # noqa: E402
import trained  # noqa: E402

from openmix.cli.show import method_samples  # noqa: E402
from openmix.registry import MIXUPS  # noqa: E402
from openmix.visualization.gallery import matplotlib_figure  # noqa: E402

SIDE = 192  # pixels of a tile
NAMES = ["sailing boat", "toadstool"]
METHODS = ("MixUp", "CutMix", "ResizeMix", "FMix", "GridMixup", "GridMix", "SmoothMix", "SaliencyMix", "PuzzleMix",
           "GuidedMixup", "RMix", "SaliencyGrafting", "TokenMix", "AttentiveMix")  # the first twelve known
COUNT, ACROSS = 12, 7
OUT = ROOT / "docs" / "images" / "mixes.png"


def tiles() -> list[tuple[str, torch.Tensor]]:
    """(caption, image (3, SIDE, SIDE)): the two drawings, then the mixtures."""
    images = torch.stack([drawings.image(*drawings.DRAWINGS[name], SIDE) for name in NAMES])
    methods = [name for name in METHODS if name in MIXUPS.known()][:COUNT]
    mixed = [method_samples(name, trained.prepare(name, SIDE), images, torch.arange(2), NAMES, 1, lam=0.55, seed=3)[0]
             .tiles[-1][1] for name in methods]
    return [*zip(NAMES, images, strict=True), *zip(methods, mixed, strict=True)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=OUT, help="a PNG file (default: docs/images/mixes.png)")
    out = parser.parse_args().out
    shown = tiles()
    figure = matplotlib_figure((ACROSS * 1.36, -(-len(shown) // ACROSS) * 1.56))
    for k, (caption, image) in enumerate(shown):
        axes = figure.add_subplot(-(-len(shown) // ACROSS), ACROSS, k + 1)
        axes.imshow((image.clamp(0, 1).permute(1, 2, 0) * 255).round().byte().numpy(), interpolation="none")
        axes.set_axis_off()
        axes.set_title(caption, fontsize=9, pad=4, style="italic" if k < len(NAMES) else "normal", color="0.25")
    figure.subplots_adjust(0.01, 0.01, 0.99, 0.92, wspace=0.06, hspace=0.2)
    figure.savefig(out, dpi=150, facecolor="white")
    Image.open(out).convert("RGB").quantize(256).save(out, optimize=True)
    print(f"{out}: {len(shown)} tiles, {out.stat().st_size / 1024:.0f} KiB")


if __name__ == "__main__":
    main()
