#!/usr/bin/env python
"""The picture at the top of README.md: two drawings, mixed by a dozen methods: python tools/draw_strip.py

The drawings are made here, so that anybody may use the picture.
"""
import argparse
import sys
from argparse import Namespace
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFilter

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from openmix.cli.show import method_samples  # noqa: E402
from openmix.registry import MIXUPS  # noqa: E402
from openmix.visualization.gallery import matplotlib_figure  # noqa: E402

SIDE, FINE = 192, 512  # pixels of a tile, and of the drawing that it is made smaller from
NAMES = ["sailing boat", "toadstool"]
METHODS = ("MixUp", "CutMix", "ResizeMix", "FMix", "GridMixup", "GridMix", "SmoothMix", "SaliencyMix", "PuzzleMix",
           "GuidedMixup", "RMix", "SaliencyGrafting", "TokenMix", "AttentiveMix")  # the first twelve known
COUNT, ACROSS = 12, 7
OUT = Path(__file__).resolve().parent.parent / "docs" / "images" / "mixes.png"


def gradient(top, bottom, height: int) -> Image.Image:
    share = np.linspace(0, 1, height)[:, None, None]
    colours = (1 - share) * np.array(top) + share * np.array(bottom)
    return Image.fromarray(np.broadcast_to(colours, (height, FINE, 3)).astype(np.uint8))


def boat() -> Image.Image:
    """A sailing boat at sunset."""
    image = gradient((70, 60, 130), (255, 170, 90), FINE)
    image.paste(gradient((60, 90, 150), (15, 35, 80), 190), (0, 322))
    pen = ImageDraw.Draw(image)
    pen.ellipse((330, 190, 450, 310), fill=(255, 236, 160))
    for k in range(9):
        pen.line((300 - 12 * k, 336 + 19 * k, 480 - 5 * k, 336 + 19 * k), fill=(240, 180, 120), width=4)
    pen.line((216, 70, 216, 350), fill=(70, 45, 30), width=10)
    pen.polygon([(204, 80), (204, 330), (70, 330)], fill=(250, 250, 245))
    pen.polygon([(228, 100), (228, 330), (330, 330)], fill=(220, 60, 50))
    pen.polygon([(60, 346), (372, 346), (310, 418), (120, 418)], fill=(90, 55, 35))
    pen.line((64, 352, 368, 352), fill=(240, 230, 210), width=9)
    return image


def toadstool() -> Image.Image:
    """A toadstool in a wood."""
    image = gradient((40, 90, 60), (130, 180, 80), FINE)
    pen = ImageDraw.Draw(image)
    for x, width, shade in ((30, 44, 34), (130, 26, 50), (400, 34, 44), (470, 54, 30)):
        pen.rectangle((x, 0, x + width, 400), fill=(shade + 20, shade + 8, shade - 6))
    image = image.filter(ImageFilter.GaussianBlur(5))
    pen = ImageDraw.Draw(image)
    pen.rectangle((0, 396, FINE, FINE), fill=(62, 110, 40))
    for x in range(0, FINE, 16):
        pen.polygon([(x, 402), (x + 6, 360 + x * 37 % 26), (x + 14, 402)], fill=(62, 110, 40))
    pen.polygon([(214, 250), (300, 250), (326, 436), (190, 436)], fill=(242, 232, 208))
    pen.pieslice((84, 78, 430, 444), 180, 360, fill=(204, 36, 30))
    pen.ellipse((84, 236, 430, 288), fill=(244, 220, 190))
    for x, y, r in ((170, 190, 25), (252, 126, 22), (270, 206, 30), (346, 172, 21), (372, 232, 13), (124, 232, 13)):
        pen.ellipse((x - r, y - r, x + r, y + r), fill=(255, 250, 240))
    return image


def tiles() -> list[tuple[str, torch.Tensor]]:
    """(caption, image (3, SIDE, SIDE)): the two drawings, then the mixtures."""
    small = [np.asarray(draw().resize((SIDE, SIDE), Image.Resampling.LANCZOS)) for draw in (boat, toadstool)]
    images = torch.from_numpy(np.stack(small)).permute(0, 3, 1, 2).float() / 255
    args = Namespace(lam=0.55, seed=3, checkpoint=None)
    methods = [name for name in METHODS if name in MIXUPS.known()][:COUNT]
    mixed = [method_samples(name, images, torch.arange(2), NAMES, args, 1)[0].tiles[-1][1] for name in methods]
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
