"""A card for each registered mixing method, with a picture of what it does, and the gallery of the pictures.

Pages and pictures are made at build time in reference/methods/, from what the classes state.
"""
import inspect
import re
from pathlib import Path

from sphinx.util import logging

FOLDER = Path("reference", "methods")
WEIGHTS = dict(mask="the mean of the mask", lam="the drawn `lam`", model="computed with the network")
NEEDS = dict(
    batch="images and labels", gradient="the gradient of the network at the images", hidden="layers of the network",
    attention="the attention of a transformer", outputs="predictions for several views of an image",
    learned="parameters that are trained with the network")


def configs_of(name: str) -> list[str]:
    """The shipped configs whose file name has the method in it."""
    from openmix import list_configs

    names = [config.removesuffix(".py") for config in list_configs()]
    return [config for config in names if re.search(rf"_{name.lower()}(_|$)", config.split("/")[-1])]


def options(cls) -> str:
    """All options of a method with their defaults, as one line of Markdown."""
    from openmix.registry import default_values, required_keys

    each = [*required_keys(cls), *(f"{key}={value!r}" for key, value in default_values(cls).items())]
    return ", ".join(f"`{option}`" for option in each)


def facts(name: str, cls) -> dict[str, str]:
    """What a card states: title and Markdown, without empty fields."""
    from openmix.visualization.cards import reference, settings

    configs = configs_of(name)
    shown = ", ".join(f"`{config}`" for config in configs[:8]) + (" ..." if len(configs) > 8 else "")
    every = {
        "Paper": cls.paper and reference(cls),
        "Needs": NEEDS.get(cls.needs, cls.needs),
        "Label weights": WEIGHTS.get(cls.weight_from, cls.weight_from),
        "Extra passes": cls.passes,
        "Settings": cls.defaults and settings(cls),
        "Configs": shown,
        "Options": options(cls),
    }
    return {title: text for title, text in every.items() if text}


def card(name: str, cls, picture: str | None) -> str:
    """The page of a method, in MyST Markdown."""
    rows = "".join(f"| {title} | {text.replace('|', chr(92) + '|')} |\n" for title, text in facts(name, cls).items())
    image = f"![{name}: image, partner, mask and mixture]({picture})\n\n" if picture else ""
    return (f"# {name}\n\n{image}| | |\n|---|---|\n{rows}\n## Description\n\n"
            f"```{{eval-rst}}\n.. autoclass:: openmix.mixups.{name}\n   :no-members:\n```\n\n"
            "Options without a description here are those of {py:class}`~openmix.mixups.MixMethod`.\n")


def gallery(pictures: dict[str, str | None]) -> str:
    """The page of all pictures, each a link to its card."""
    tiles = "\n\n".join(f"[![{name}]({picture})]({name}.myst)" if picture else f"[{name}]({name}.myst)"
                        for name, picture in pictures.items())
    intro = ("Each row shows an image, its partner, the mask of the image, the mixture and the weights of its labels. "
             "Networks are small and were trained for seconds, on each of these things in each scene. What a method "
             "itself learns, as AutoMix does, is untrained here. `openmix show` draws the same with your images and a "
             "trained network. A click opens the card of a method.")
    names = "\n".join(pictures)
    return (f"# Gallery of methods\n\n{intro}\n\n:::{{container}} gallery\n{tiles}\n:::\n\n"
            f"```{{toctree}}\n:hidden:\n\n{names}\n```\n")


def draw(name: str, path: Path) -> bool:
    """Draw the picture of a method as ``openmix show`` does, unless one is there that is newer than the method."""
    import drawings
    import torch
    from trained import SIDE, prepare

    from openmix.cli.show import method_samples
    from openmix.registry import MIXUPS
    from openmix.visualization import gallery

    if path.exists() and path.stat().st_mtime > Path(inspect.getfile(MIXUPS.get(name))).stat().st_mtime:
        return True
    torch.manual_seed(0)
    names = list(drawings.DRAWINGS)
    try:
        samples = method_samples(name, prepare(name), drawings.images(SIDE), torch.arange(len(names)), names, 1)
    except ImportError:
        return False
    gallery.save(gallery.draw(samples), path)
    return True


def write(path: Path, text: str) -> None:
    """Write ``text`` unless the file has it, so that Sphinx reads only what has changed."""
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        path.write_text(text, encoding="utf-8")


def make(app) -> None:
    from openmix.registry import MIXUPS

    folder = Path(app.srcdir) / FOLDER
    folder.mkdir(exist_ok=True)
    names = sorted(MIXUPS.known(), key=str.lower)
    pictures: dict[str, str | None] = {}
    for name in names:
        pictures[name] = f"{name}.png" if draw(name, folder / f"{name}.png") else None
        if pictures[name] is None:
            logging.getLogger(__name__).warning("no picture of %s", name)
        write(folder / f"{name}.myst", card(name, MIXUPS.get(name), pictures[name]))
    write(folder / "gallery.myst", gallery(pictures))
    for stale in folder.glob("*.myst"):
        if stale.stem not in (*names, "gallery"):
            stale.unlink()


def setup(app):
    app.connect("builder-inited", make)
    return dict(parallel_read_safe=True)
