"""What a mixing method is."""
import functools
import re
import warnings

import torch
from torch import Tensor, nn

from .. import sampling
from ..checks import number, switch
from ..errors import did_you_mean
from ..plan import draws_to
from ..target import Target, check_labels, pair_target
from .draws import Draws, check_draws

PAIRINGS = ("roll", "perm")


def touch_parameters(module: nn.Module, loss: Tensor) -> Tensor:
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

    Batch mixing, ``method(images, labels)``: (N, C, H, W) images (any trailing dimensions where the method allows
    them) and labels, class indices (N,) or probabilities (N, C). The training loss, :meth:`loss`: every method has it,
    also those that need the network. ``lam`` and ``mask`` are the share kept of the first image.

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
        num_classes: give dense probabilities (N, num_classes) instead of a :class:`Target`.

    Raises:
        ValueError: a parameter out of its range.
    """

    weight_from = "mask"  # where label weights come from: "mask" (mean of the mask used), "lam" (drawn) or "model"
    needs = "batch"  # or what of the network: "gradient", "hidden", "attention", "outputs" (of views), "learned"
    blends = True  # the mixed image is mask * images + (1 - mask) * partner, pixel by pixel
    pairs = 1  # how many independent pairings one step uses
    permutes = True  # a pairing is a permutation: every image is the partner of one (not so of nearest neighbours)
    sums_to_one = True  # the weights of a target sum to 1
    neighbours: dict | None = None  # dict(k, same_class): the loader adds such neighbours to the draws, as PARTNERS

    # the method's card, which tables of methods are made of
    paper = ""  # authors, "title", arXiv number
    year = 0  # of publication
    venue = ""
    passes = "none"  # what a step runs beside the forward and backward pass of the mixture
    defaults: dict = {}  # settings of the paper or the tables, by data set: {"CIFAR": dict(alpha=1.0)}

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
            dict of tensors ``(*steps, n or 1, ...)``, of Python ints (nested in lists for ``steps``) for choices
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

    def variant(self, draws: dict) -> tuple:
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
        draws = draws_to(draws, images.device)
        return draws if torch.compiler.is_compiling() else Draws(draws)

    def prepare_loss(self, images: Tensor, labels: Tensor, draws: dict | None) -> dict:
        """:meth:`prepare` for the loss of a batch, which is checked: see :meth:`check_batch`, :meth:`check_some`."""
        self.check_batch(images, labels)
        self.check_some(images)
        return self.prepare(images, draws)

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

    def partner_index(self, n: int, draws: dict, device=None, k: int = 1) -> Tensor:
        """Which of ``n`` images is the partner of each in the k-th pairing: (N,) int64."""
        return self.partner(torch.arange(n, device=device), draws, k)

    def keep_unmixed(self, share: Tensor, draws: dict, whole: bool = True) -> Tensor:
        """``share`` (N or 1, ...) with ``whole`` where ``prob`` or ``mix_rate`` leaves an image alone.

        No other code reads ``draws["on"]``. ``whole`` is what all of the first image means: 1 of a share.
        """
        if "on" not in draws:
            return share
        return torch.where(draws["on"].view(-1, *[1] * (share.ndim - 1)), share, whole)

    def drawn_lam(self, draws: dict) -> Tensor:
        """``lam`` as drawn, 1 for images that stay unmixed: (N or 1,)."""
        return self.keep_unmixed(draws["lam"], draws)

    def target(self, labels: Tensor, lam: Tensor, draws: dict, k: int = 1) -> Target | Tensor:
        """Target of images mixed with their k-th partners, ``lam`` (N,) or (1,) kept; dense with ``num_classes``."""
        return self.maybe_dense(pair_target(labels, self.partner(labels, draws, k), lam))

    def maybe_dense(self, target: Target) -> Target | Tensor:
        """``target`` itself, or dense where ``num_classes`` asks for it."""
        return target if self.num_classes is None else target.dense(self.num_classes)

    # -- batch mixing and the training loss --------------------------------------------------------------------

    def forward(self, images: Tensor, labels: Tensor, draws: dict | None = None):
        """Batch mixing: mixed images (same shape and dtype) and their target. The inputs are not written to."""
        raise TypeError(f"{type(self).__name__} needs the network ({self.needs}); "
                        "call method.attach(net) once and then method.loss(net, images, labels, criterion)['loss']")

    def attach(self, net: nn.Module) -> None:
        """See the network once, before the optimizer is built."""

    def loss(self, net, images, labels, criterion, draws=None, progress=0.0) -> dict[str, Tensor]:
        """The training loss: ``dict(loss=...)``, the scalar to differentiate; other entries are for the log.

        Args:
            net: images -> logits. criterion: (logits, Target or labels) -> scalar.
            progress: share of the training run that is done, in [0, 1].
        """
        self.check_some(images)
        images, target = self(images, labels, draws)
        return dict(loss=criterion(net(images), target))

    def after_step(self, net: nn.Module, progress: float) -> None:
        """Called after each optimizer step: momentum teachers follow here."""

    def history(self) -> dict[str, Tensor]:
        """What this process remembers of earlier batches, beside the state dict: tensors, none by default.

        Checkpoints hold that of every process, and resuming a run hands it to :meth:`load_history`.
        """
        return {}

    def load_history(self, history: dict[str, Tensor]) -> None:
        """Go on from what :meth:`history` gave; an empty dict: nothing is remembered."""

    def networks(self, net: nn.Module) -> dict:
        """What validation and publishing evaluate, by name; the first is the run's accuracy unless configured."""
        return dict(net=net)

    def predict(self, net: nn.Module, images: Tensor) -> dict[str, Tensor]:
        """Logits (N, C) of each of :meth:`networks`, by name; a method whose networks share parts can save passes."""
        return {name: network(images) for name, network in self.networks(net).items()}

    def details(self, images: Tensor, draws: dict, net=None, labels=None) -> dict:
        """What happens to a batch under ``draws``: ``lam`` (N,), ``mask`` (N, 1, H, W) or None, ``partner`` (N,).

        A method that mixes more than two images gives ``sources``, ``weights`` and ``masks`` instead, see
        :func:`openmix.target.as_sources`. ``net`` and ``labels`` serve the methods whose mask depends on them.
        """
        raise NotImplementedError(f"{type(self).__name__} must define details()")

    def hand_out(self, target: Target, labels: Tensor | None = None) -> Target | Tensor:
        warnings.warn("hand_out is now maybe_dense(target)", DeprecationWarning, stacklevel=2)
        return self.maybe_dense(target)

    def program(self, draws: dict) -> tuple:
        warnings.warn("program is now variant", DeprecationWarning, stacklevel=2)
        return self.variant(draws)

    def extra_repr(self) -> str:
        return f"alpha={self.alpha}, prob={self.prob}, per_sample={self.per_sample}, pairing={self.pairing!r}"


def __getattr__(name):
    if name != "touch":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    warnings.warn("touch is now touch_parameters", DeprecationWarning, stacklevel=2)
    return touch_parameters
