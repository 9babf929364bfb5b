"""What a mixing method is, and the methods that are made of a mask."""
import functools
import re
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from .. import functional, sampling
from ..checks import number, switch
from ..errors import did_you_mean
from ..plan import moved
from ..target import Target, as_target, check_labels, pair_target

PAIRINGS = ("roll", "perm")


class Draws(dict):
    """Draws handed to a method; asked for one that is not there, they name it."""

    def __missing__(self, name):
        raise ValueError(f"draws lack {name!r}, they hold {', '.join(map(repr, self)) or 'nothing'}; hand on what "
                         "method.draw(N, (H, W)) gives, and for a number of your own replace it there: "
                         "{**draws, 'lam': torch.tensor([0.5])}")


def check_draws(draws: dict, n: int, where: str = "draws") -> None:
    """Raise unless ``draws`` are those of one batch of ``n`` images, as of :meth:`MixMethod.draw`."""
    if not isinstance(draws, dict):
        raise TypeError(f"{where} must be a dict as of method.draw({n}, (H, W)), or None to draw now, got {draws!r}")
    for name, value in draws.items():
        if isinstance(value, dict):
            check_draws(value, n, f"{where}[{name!r}]")
        elif isinstance(value, Tensor):
            if value.ndim == 0 or value.shape[0] not in (1, n):
                steps = "; of draws for many steps hand on one: openmix.plan.row(draws, i)" if value.ndim else ""
                raise ValueError(f"{where}[{name!r}] must have one row for the batch, (1, ...), or one for each image, "
                                 f"({n}, ...), got shape {tuple(value.shape)}{steps}")
        elif isinstance(value, bool) or not isinstance(value, int):
            raise ValueError(f"{where}[{name!r}] must be a tensor, of shape (1,) for the batch or ({n},) for each "
                             f"image, e.g. torch.tensor([0.5]), got {value!r}")


def touch(module: nn.Module, loss: Tensor) -> Tensor:
    """``loss`` plus zero times every trainable parameter of ``module``: DDP sees a gradient for each, of value 0."""
    parameters = [p for p in module.parameters() if p.requires_grad]
    return loss if not parameters else loss + 0.0 * torch.stack([p.sum() for p in parameters]).sum().to(loss.dtype)


def names_options(init):
    """A constructor whose error for an unknown keyword names the class that was built, and the nearest it knows."""
    @functools.wraps(init)
    def wrapped(self, *args, **kwargs):
        try:
            init(self, *args, **kwargs)
        except TypeError as error:
            wrong = re.search(r"__init__\(\) got an unexpected keyword argument '(\w+)'", str(error))
            if wrong is None or wrong[1] not in kwargs:
                raise
            from ..registry import accepted_keys  # brings mmengine, which mixing itself does without

            raise TypeError(f"{type(self).__name__} has no option {wrong[1]!r}; "
                            f"{did_you_mean(wrong[1], accepted_keys(type(self)) or ())}") from None
    return wrapped


class MixMethod(nn.Module):
    """A way of making virtual examples, and the loss that trains on them.

    Door one, ``method(images, labels)``, mixes a batch: (N, C, H, W) images (any trailing dimensions where the
    method allows them) and labels, class indices (N,) or probabilities (N, C). Door two, :meth:`loss`, is there for
    every method, also for those that need the network. ``lam`` and ``mask`` are the share kept of the first image.

    A method mixes whenever it is called, in evaluation mode too: ``method.eval()`` changes nothing (as with
    torchvision's). To train or test on clean images do not call it, or take ``prob=0`` or :class:`Vanilla`.
    A batch of no images gives one of no images; a loss of none is an error.

    Args:
        alpha: parameter of the Beta(alpha, alpha) that ``lam`` is drawn from.
        prob: share of the batches (with ``per_sample``: of the images) that are mixed.
        per_sample: draw ``lam`` for each image instead of once a batch.
        mix_rate: share of the images of a batch that are mixed, floor(mix_rate * N) of them, drawn anew each time.
        pairing: ``"roll"`` (partner of i is i - 1; the loader has shuffled already) or ``"perm"`` (a random
            permutation, as papers write it).
        num_classes: hand out dense probabilities (N, num_classes) instead of a :class:`Target`.

    Raises:
        ValueError: a parameter out of its range.
    """

    weight_from = "mask"  # where label weights come from: "mask" (mean of the mask used), "lam" (drawn) or "model"
    needs = "batch"  # "batch", or what of the network the method needs: "gradient", "hidden", "learned"
    blends = True  # the mixed image is mask * images + (1 - mask) * partner, pixel by pixel
    pairs = 1  # how many independent pairings one step uses
    capturable: bool | str = True  # whether a step can be compiled and captured in a CUDA graph, or else why not

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        if "__init__" in vars(cls):
            cls.__init__ = names_options(cls.__init__)

    @names_options
    def __init__(self, alpha: float = 1.0, *, prob: float = 1.0, per_sample: bool = False, pairing: str = "roll",
                 num_classes: int | None = None, mix_rate: float = 1.0):
        super().__init__()
        if pairing not in PAIRINGS:
            raise ValueError(f"pairing must be one of {PAIRINGS}, got {pairing!r}")
        self.alpha, self.prob = sampling.check_alpha(alpha), number("prob", prob, 0, 1)
        self.mix_rate = number("mix_rate", mix_rate, 0, 1)
        self.per_sample, self.pairing = switch("per_sample", per_sample), pairing
        self.num_classes = None if num_classes is None else number("num_classes", num_classes, 1, whole=True)

    @classmethod
    def example(cls) -> "MixMethod":
        """An instance with default settings, for tests and galleries; methods with required arguments override it."""
        return cls()

    # -- draw --------------------------------------------------------------------------------------------------

    def draw(self, n: int, size, generator=None, steps=(), device=None) -> dict:
        """The small random things of ``steps`` batches of ``n`` images of ``size`` (H, W).

        Returns:
            dict of tensors (*steps, n or 1, ...), of Python ints (nested in lists for ``steps``) for choices
            between programs, and of dicts of the same. Pure functions of these and the images do the rest.
        """
        rows = (*steps, n if self.per_sample else 1)
        draws = dict(lam=sampling.beta(self.alpha, rows, generator, device))
        return {**draws, **self.draw_common(n, generator, steps, device)}

    def draw_common(self, n: int, generator=None, steps=(), device=None) -> dict:
        """What ``prob``, ``mix_rate`` and ``pairing="perm"`` need."""
        draws = {}
        if self.prob < 1:
            rows = (*steps, n if self.per_sample else 1)
            draws["on"] = sampling.uniform(0, 1, rows, generator, device) < self.prob
        if self.mix_rate < 1:
            chosen = sampling.subset(int(self.mix_rate * n + 1e-9), n, steps, generator, device)
            draws["on"] = chosen & draws["on"] if "on" in draws else chosen
        if self.pairing == "perm":  # sorting these gives a permutation, of any slice of them too
            draws["order"] = sampling.uniform(0, 1, (*steps, n, self.pairs), generator, device)
        return draws

    def program(self, draws: dict) -> tuple:
        """The host choices among ``draws`` that decide which operations a step runs (which grid, which layer).

        The training engine compiles or captures a step once for each.
        """
        return tuple((name, choice) for name, choice in draws.items() if not isinstance(choice, Tensor))

    def prepare(self, images: Tensor, draws: dict | None) -> dict:
        """Draws for this batch: made now if ``None``, else checked and moved to the images' device.

        Raises:
            TypeError, ValueError: draws of another form than :meth:`draw` gives.
        """
        if draws is None:
            return self.draw(images.shape[0], images.shape[2:], device=images.device)
        check_draws(draws, images.shape[0])
        draws = moved(draws, images.device)
        return draws if torch.compiler.is_compiling() else Draws(draws)

    def check_images(self, images: Tensor) -> None:
        """Raise unless this method can mix ``images``: a tensor of any shape, if a subclass does not ask for more."""
        if not isinstance(images, Tensor):
            raise TypeError(f"{type(self).__name__} needs a tensor of images (N, C, H, W), got {type(images).__name__}")
        if images.ndim == 0:
            raise ValueError(f"{type(self).__name__} needs a batch of images, got a tensor without dimensions")

    def check_maps(self, images: Tensor) -> None:
        """Raise unless ``images`` are a tensor (N, C, H, W)."""
        MixMethod.check_images(self, images)
        if images.ndim != 4:
            one = "one image lacks the batch dimension, images[None] adds it; " if images.ndim == 3 else ""
            raise ValueError(f"{type(self).__name__} needs images (N, C, H, W), got shape {tuple(images.shape)}; {one}"
                             "for other shapes use MixUp")

    def check_batch(self, images: Tensor, labels: Tensor) -> None:
        """Raise unless ``images`` and ``labels`` are a batch that can be mixed, of no images or more.

        Raises:
            TypeError: no tensors. ValueError: shapes, types or labels that do not fit.
        """
        self.check_images(images)
        if images.ndim == 3 and (not isinstance(labels, Tensor) or labels.shape[:1] != images.shape[:1]):
            raise ValueError(f"images {tuple(images.shape)} are no batch with these labels: one image (C, H, W) lacks "
                             "the batch dimension, images[None] adds it, and labels have one row an image")
        check_labels(labels, len(images), self.num_classes)

    def check_some(self, images: Tensor) -> None:
        """Raise ValueError for a batch of no images, before a network sees it and its statistics become NaN."""
        if len(images) == 0:
            raise ValueError(f"{type(self).__name__}: a batch of 0 images has no loss; leave it out")

    # -- pairing and targets -----------------------------------------------------------------------------------

    def partner(self, values: Tensor, draws: dict, k: int = 1) -> Tensor:
        """``values`` (N, ...) of the partners in the k-th independent pairing, or of those that draws name."""
        if "partner" in draws:  # a method that pairs by what the images are has put it there: (N,) int64
            return values[draws["partner"]]
        if self.pairing == "roll":
            return values.roll(k, 0)
        return values[draws["order"][:, k - 1].argsort()]

    def rolls(self) -> bool:
        """Whether :meth:`partner` is ``roll(1, 0)``, which can be read from the images without a copy of partners."""
        return self.pairing == "roll" and type(self).partner is MixMethod.partner

    def put_partner(self, place: Tensor, values: Tensor, draws: dict) -> None:
        """``place[:] = self.partner(values, draws)`` without a copy in between."""
        if self.rolls():
            place[1:], place[:1] = values[:-1], values[-1:]
        else:
            place[:] = self.partner(values, draws)

    def target(self, labels: Tensor, lam: Tensor, draws: dict, k: int = 1) -> Target | Tensor:
        """Target of images mixed with their k-th partners, ``lam`` (N,) or (1,) kept; dense with ``num_classes``."""
        return self.hand_out(pair_target(labels, self.partner(labels, draws, k), lam), labels)

    def hand_out(self, target: Target, labels: Tensor) -> Target | Tensor:
        """``target`` itself, or dense where ``num_classes`` asks for it."""
        if self.num_classes is None:
            return target
        return target.dense(self.num_classes)

    # -- the two doors -----------------------------------------------------------------------------------------

    def forward(self, images: Tensor, labels: Tensor, draws: dict | None = None):
        """Door one: mixed images (same shape and dtype) and their target. The inputs are not written to."""
        raise TypeError(f"{type(self).__name__} needs the network ({self.needs}); "
                        "call method.attach(net) once and then method.loss(net, images, labels, criterion)['loss']")

    def attach(self, net: nn.Module) -> None:
        """See the network once, before the optimizer is built."""

    def loss(self, net, images, labels, criterion, draws=None, progress=0.0) -> dict[str, Tensor]:
        """Door two: ``dict(loss=...)``, the scalar to differentiate; other entries are for the log.

        Args:
            net: images -> logits. criterion: (logits, Target or labels) -> scalar.
            progress: share of the training run that is done, in [0, 1].
        """
        self.check_some(images)
        images, target = self(images, labels, draws)
        return dict(loss=criterion(net(images), target))

    def after_step(self, net: nn.Module, progress: float) -> None:
        """Called after each optimizer step: momentum teachers follow here."""

    def networks(self, net: nn.Module) -> dict:
        """What validation and publishing evaluate, by name; the first is the run's accuracy unless configured."""
        return dict(net=net)

    def predict(self, net: nn.Module, images: Tensor) -> dict[str, Tensor]:
        """Logits (N, C) of each of :meth:`networks`, by name; a method whose networks share parts can save passes."""
        return {name: network(images) for name, network in self.networks(net).items()}

    def details(self, images: Tensor, draws: dict, net=None, labels=None) -> dict:
        """What happens to a batch under ``draws``: ``lam`` (N,), ``mask`` (N, 1, H, W) or None, ``partner`` (N,).

        ``net`` and ``labels`` serve the methods whose mask depends on them.
        """
        raise NotImplementedError(f"{type(self).__name__} must define details()")

    def extra_repr(self) -> str:
        return f"alpha={self.alpha}, prob={self.prob}, per_sample={self.per_sample}, pairing={self.pairing!r}"


class MaskMethod(MixMethod):
    """``mask * images + (1 - mask) * partner``; a subclass says what the mask is, or where the box is that it is 0 in.

    One box in a CPU's memory is copied; all else, and everything on other devices, is blended with the mask. The
    results are equal bit by bit.
    """

    any_shape = False  # True where images need not be (N, C, H, W): tables, spectrograms, video

    def check_images(self, images):
        if self.any_shape:
            super().check_images(images)
        else:
            self.check_maps(images)

    def box(self, images: Tensor, draws: dict) -> Tensor | None:
        """Where the partner shows, (N or 1, 4) as of :func:`functional.boxes`; None for masks that are no boxes."""

    def mask(self, images: Tensor, draws: dict) -> Tensor:
        """Share kept of each image, (N or 1, 1, H, W): bool where pixels are moved, float where they are blended."""
        raise NotImplementedError(f"{type(self).__name__} must define mask() or box()")

    def blend(self, images: Tensor, mask: Tensor, draws: dict) -> Tensor:
        """``mask * images + (1 - mask) * partners``; methods that move the partners' pixels do it here."""
        if self.rolls():
            return functional.blend_rolled(images, mask)
        return functional.blend(images, self.partner(images, draws), mask, reuse=True)

    def patch(self, images: Tensor, box: Sequence[int]) -> Tensor:
        """What each image shows as a partner in a box that the host knows: (N, C, height, width) of the box."""
        return functional.cut(images, box)

    def kept(self, images: Tensor, draws: dict) -> tuple[Tensor | None, Tensor | None, Tensor]:
        """The box or, where there is none, the mask, and the weight ``lam`` (N or 1,).

        Where ``prob`` leaves images alone the box is empty, the mask and ``lam`` are 1.
        """
        box = self.box(images, draws)
        if box is not None:
            if "on" in draws:
                box = box * draws["on"][:, None]
            by_area = self.weight_from == "mask"
            return box, None, functional.share_outside(box, images.shape[2:]) if by_area else self.drawn_lam(draws)
        mask = self.mask(images, draws)
        if mask.dtype != torch.bool and not images.is_floating_point():
            raise ValueError(f"{type(self).__name__} blends pixels and needs float images, got {images.dtype}; "
                             "convert them first, e.g. images.float() / 255")
        if "on" in draws:
            on = draws["on"].reshape(-1, *[1] * (mask.ndim - 1))
            mask = mask | ~on if mask.dtype == torch.bool else torch.where(on, mask, 1.0)
        return None, mask, self.weight(mask, draws)

    def weight(self, mask: Tensor, draws: dict) -> Tensor:
        """Label weight of the first image, (N or 1,)."""
        return mask.float().flatten(1).mean(1) if self.weight_from == "mask" else self.drawn_lam(draws)

    def drawn_lam(self, draws: dict) -> Tensor:
        """``lam`` as drawn, 1 where ``prob`` leaves images alone: (N or 1,)."""
        return torch.where(draws["on"], draws["lam"], 1.0) if "on" in draws else draws["lam"]

    def forward(self, images, labels, draws=None):
        self.check_batch(images, labels)
        draws = self.prepare(images, draws)
        if len(images) == 0:  # Fourier transforms and maxima of nothing are errors
            return images.clone(), self.target(labels, torch.ones(1, device=images.device), draws)
        box, mask, lam = self.kept(images, draws)
        if box is not None and functional.is_at_hand(box):
            mixed, place = images.clone(), functional.read(box)
            self.put_partner(functional.cut(mixed, place), self.patch(images, place), draws)
        else:
            mask = functional.box_mask(box, images.shape[2:]) if mask is None else mask
            mixed = self.blend(images, mask, draws)
        return mixed, self.target(labels, lam, draws)

    def details(self, images, draws, net=None, labels=None):
        self.check_images(images)
        draws = self.prepare(images, draws)
        box, mask, lam = self.kept(images, draws)
        mask = functional.box_mask(box, images.shape[2:]) if mask is None else mask
        n = len(images)
        index = self.partner(torch.arange(n, device=images.device), draws)
        return dict(lam=lam.expand(n), mask=mask.float().expand(n, *[-1] * (mask.ndim - 1)), partner=index)


class Vanilla(MixMethod):
    """No mixing: the baseline, so that it needs no branch anywhere."""

    weight_from = "lam"

    def __init__(self, num_classes: int | None = None):
        super().__init__(num_classes=num_classes)

    def draw(self, n, size, generator=None, steps=(), device=None):
        return {}

    def forward(self, images, labels, draws=None):
        check_labels(labels, len(images), self.num_classes)
        return images, self.hand_out(as_target(labels), labels)

    def loss(self, net, images, labels, criterion, draws=None, progress=0.0):
        self.check_some(images)
        return dict(loss=criterion(net(images), labels))  # labels as they are: losses have a shorter way for them

    def details(self, images, draws, net=None, labels=None):
        n = len(images)
        ones = torch.ones(n, *[1] * (images.ndim - 1), device=images.device)
        mask = ones.expand(n, 1, *images.shape[2:])
        return dict(lam=ones.flatten(), mask=mask, partner=torch.arange(n, device=images.device))
