"""A figure of mixed samples with captions: image, partners, mask, mixture and label weights, as PNG, PDF or SVG."""
from pathlib import Path
from typing import NamedTuple

from torch import Tensor

from .mixes import PARTNERS, Mix, coloured

FORMATS = (".png", ".pdf", ".svg")
TILE, GUTTER = 0.86, 0.05  # inches
ABOVE, BELOW, BETWEEN = 0.24, 0.36, 0.3  # a sample: space for its title, captions, and up to the next in a row
LINE = 0.1  # of a caption
LEAST_PIXELS = 192  # of a tile: viewers would blur smaller images
LEAST_WEIGHT = 0.005  # of a label that a caption names
TITLE, CAPTION = dict(fontsize=8.5), dict(fontsize=6, color="0.25")


class Sample(NamedTuple):
    """A row of tiles: a title, a remark in grey, and (caption, image (3, H, W) in [0, 1] or None) each.

    The last two tiles, mask and mixture, are at the right.
    """

    title: str
    remark: str
    tiles: list


def shorten(name: str, most: int = 14) -> str:
    """The name of a class for a caption."""
    name = str(name).replace("_", " ")
    return name if len(name) <= most else f"{name[:most - 1]}…"


def weights_caption(weights: dict) -> str:
    """``0.62 apple + 0.38 bear``, a line each; beyond three labels the rest is counted."""
    large = sorted(((name, w) for name, w in weights.items() if w >= LEAST_WEIGHT), key=lambda each: -each[1])
    lines = [f"{w:.2f} {shorten(name)}" for name, w in large[:PARTNERS]]
    return "\n+ ".join(lines) + (f" + {len(large) - PARTNERS} more" if len(large) > PARTNERS else "")


def make_sample(mix: Mix, images: Tensor, names: list[str], index: int, title: str, remark: str = "") -> Sample:
    """The tiles of image ``index`` of a batch.

    Args:
        images: (N, C, H, W) in [0, 1]. names: of the class of each image.
    """
    shown = coloured(images)
    sources = [k for k in range(mix.sources.shape[1]) if k == 0 or mix.weights[index, k] >= LEAST_WEIGHT]
    sources = sorted(sources[1:], key=lambda k: -mix.weights[index, k])[:PARTNERS - 1]
    partners = [k for k in sources if mix.sources[index, k] not in (index, -1)]
    tiles = [(shorten(names[index]), shown[index])]
    tiles += [(shorten(names[mix.sources[index, k]]), shown[mix.sources[index, k]]) for k in partners]
    if mix.masks is None:
        tiles.append(("no mask", None))
    else:
        mask = mix.masks[index, 0]
        tiles.append((f"mask {float(mask.mean()):.2f}", mask.expand(3, -1, -1)))
    weights: dict = {}
    for k, source in enumerate(mix.sources[index].tolist()):
        name = "another batch" if source < 0 else names[source]
        weights[name] = weights.get(name, 0.0) + float(mix.weights[index, k])
    mixed = None if mix.mixed is None else coloured(mix.mixed.float())[index].clamp(0, 1)
    tiles.append((weights_caption(weights), mixed))
    return Sample(title, remark, tiles)


def matplotlib_figure(size):
    """A figure of ``size`` inches without pyplot's global state. Raises ImportError that names the way to get it."""
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError('a gallery needs Matplotlib: pip install matplotlib') from error
    return Figure(figsize=size)


def draw(samples: list[Sample], across: int = 2):
    """A Matplotlib figure with ``across`` samples in a row."""
    across = min(across, len(samples))
    most = max(len(sample.tiles) for sample in samples)
    width, height = most * (TILE + GUTTER) - GUTTER, ABOVE + TILE + BELOW
    total = across * (width + BETWEEN) - BETWEEN + 0.2, -(-len(samples) // across) * height + 0.1
    figure = matplotlib_figure(total)

    def place(x, y):
        return x / total[0], 1 - y / total[1]

    for number, sample in enumerate(samples):
        left = 0.1 + number % across * (width + BETWEEN)
        top = 0.05 + number // across * height
        figure.text(*place(left, top + ABOVE - 0.06), sample.title, weight="bold", va="bottom", **TITLE)
        figure.text(*place(left + width, top + ABOVE - 0.06), sample.remark, va="bottom", ha="right", **CAPTION)
        columns = [*range(len(sample.tiles) - 2), most - 2, most - 1]
        for column, (caption, image) in zip(columns, sample.tiles, strict=True):
            x, y = left + column * (TILE + GUTTER), top + ABOVE
            axes = figure.add_axes([*place(x, y + TILE), TILE / total[0], TILE / total[1]])
            axes.set(xticks=[], yticks=[])
            axes.spines[:].set(linewidth=0.4, color="0.6")
            for line, text in enumerate(caption.split("\n")):  # on common base lines
                figure.text(*place(x + TILE / 2, y + TILE + (line + 1) * LINE), text, ha="center", **CAPTION)
            if image is None:
                axes.set_facecolor("0.95")
                axes.text(0.5, 0.5, "inside the\nnetwork", ha="center", va="center", **CAPTION)
            else:
                scale = max(1, -(-LEAST_PIXELS // image.shape[-1]))
                pixels = image.repeat_interleave(scale, 1).repeat_interleave(scale, 2).permute(1, 2, 0)
                axes.imshow((pixels * 255).round().byte().cpu().numpy(), interpolation="none", aspect="auto")
    return figure


def save(figure, path, dpi: int = 200) -> Path:
    """Write a figure; the suffix of ``path`` is the format.

    Raises:
        ValueError: another suffix than .png, .pdf or .svg. FileNotFoundError: no such folder.
    """
    path = Path(path)
    if path.suffix.lower() not in FORMATS:
        raise ValueError(f"a picture is one of {', '.join(FORMATS)}, got {path.name!r}")
    if not path.parent.is_dir():
        raise FileNotFoundError(f"no folder {path.parent}; make it first")
    made = dict(Date=None) if path.suffix.lower() == ".svg" else {}  # the same figure is the same file
    made |= dict(CreationDate=None) if path.suffix.lower() == ".pdf" else {}
    figure.savefig(path, dpi=dpi, metadata=made)
    return path
