"""Draws handed to a mixing method: their form, and errors that name what is missing."""
from torch import Tensor

PARTNERS = ("partner_images", "partner_labels")  # of images that are not in the batch, one for each image


class Draws(dict):
    """Draws of one batch; asked for one that is missing, they name it."""

    def __missing__(self, name):
        raise ValueError(f"draws lack {name!r}, they hold {', '.join(map(repr, self)) or 'nothing'}; hand on what "
                         "method.draw(N, (H, W)) gives, and for a number of your own replace it there: "
                         "{**draws, 'lam': torch.tensor([0.5])}")


def check_draws(draws: dict, n: int, where: str = "draws") -> None:
    """Raise unless ``draws`` are those of one batch of ``n`` images, as of ``MixMethod.draw``."""
    if not isinstance(draws, dict):
        raise TypeError(f"{where} must be a dict as of method.draw({n}, (H, W)), or None to draw now, got {draws!r}")
    for name, value in draws.items():
        if isinstance(value, dict):
            check_draws(value, n, f"{where}[{name!r}]")
        elif isinstance(value, Tensor):
            if value.ndim == 0 or value.shape[0] not in (1, n):
                steps = "; of draws for many steps hand on one: openmix.plan.draws_at(draws, i)" if value.ndim else ""
                raise ValueError(f"{where}[{name!r}] must have one row for the batch, (1, ...), or one for each image, "
                                 f"({n}, ...), got shape {tuple(value.shape)}{steps}")
        elif isinstance(value, bool) or not isinstance(value, int):
            raise ValueError(f"{where}[{name!r}] must be a tensor, of shape (1,) for the batch or ({n},) for each "
                             f"image, e.g. torch.tensor([0.5]), got {value!r}")
