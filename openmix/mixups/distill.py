"""Knowledge distillation over any mixing method: Hinton et al., arXiv 1503.02531; hints: Romero et al., ICLR 2015.

Hinton, Vinyals, Dean, "Distilling the Knowledge in a Neural Network". Romero et al., "FitNets: Hints for Thin Deep
Nets", arXiv 1412.6550.
"""
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .. import probes
from ..checks import check_choice, number
from ..frozen import frozen
from ..target import as_sources
from .base import MixMethod
from .hints import Hints
from .vanilla import Vanilla

HIDDEN = ("outputs", "layer")


def kd_loss(logits: Tensor, soft: Tensor, temperature: float) -> Tensor:
    """T^2 * KL(soft || softmax(logits / T)), summed over classes, mean over the batch.

    ``soft`` (N, C) are the teacher's probabilities at the same temperature. T^2 keeps the size of the gradient.
    """
    log_q = (logits.float() / temperature).log_softmax(1)
    return F.kl_div(log_q, soft, reduction="batchmean") * temperature ** 2


def mix_sources(values: Tensor, sources: Tensor, weights: Tensor) -> Tensor:
    """``sum_k weights[i, k] * values[sources[i, k]]`` for ``values`` (N, ...), ``sources`` and ``weights`` (N, M)."""
    weights = weights.to(values.dtype).view(*weights.shape, *[1] * (values.ndim - 1))
    return (weights * values[sources]).sum(1)


class Distill(MixMethod):
    """``(1 - weight) * loss of the method + weight * T^2 * KL(teacher || student)``, and hints.

    The teacher sees the images that the network saw in its last pass, mixed as they were. Where a method has mixed
    hidden states in this pass, ``hidden`` names the target. Epochs without mixing
    (``train_cfg.mixup_off_epochs``) are without teacher, too.

    Args:
        teacher: a network, or ``dict(type="Teacher", ...)`` in a config: of the same classes, for logits.
        method: the mixing method; ``Vanilla`` by default.
        weight: share of the teacher's term, in [0, 1]. 0 is the method alone, but for hints.
        temperature: T; the higher, the more the teacher's small probabilities count.
        hidden: the target where hidden states were mixed: ``"outputs"``: the teacher's probabilities for the clean
            images, interpolated with the weights of the labels; ``"layer"``: those of the teacher whose own layer is
            mixed in that way.
        teacher_layers: with ``"layer"``, the teacher's layer for a layer of the network where the names differ.
        hints: pairs (layer of the network, layer of the teacher). A 1x1 convolution, trained along, brings the first
            to the channels of the second, bilinear resizing to its size; the loss is the mean squared difference.
        hint_weight: factor of the hints' loss.
        hint_stage: share of the run, at its start, that trains the hints alone; afterwards they are left out (two
            stages, as in FitNets). 0: they are a term of the loss all along.
        image_size: side, or (C, H, W), of the images, for the shapes of the layers of hints.

    Raises:
        TypeError: no network or no mixing method. ValueError: a parameter out of its range; at :meth:`attach`, a layer
            that a network does not have; in the loss, a teacher of other classes.
    """

    weight_from = "model"  # whatever the method does
    needs = "hidden"
    paper = 'Hinton, Vinyals, Dean, "Distilling the Knowledge in a Neural Network", arXiv 1503.02531'
    year = 2015
    venue = "NIPS workshop"
    passes = "one forward pass of the teacher"
    defaults = {"CIFAR": dict(weight=0.9, temperature=4.0)}

    def __init__(self, teacher, method=None, *, weight: float = 0.9, temperature: float = 4.0, hidden: str = "outputs",
                 teacher_layers: dict | None = None, hints=(), hint_weight: float = 1.0, hint_stage: float = 0.0,
                 image_size=32):
        super().__init__()
        method = Vanilla() if method is None else method
        if not isinstance(method, MixMethod):
            raise TypeError(f"method must be a mixing method, e.g. MixUp(), got {method!r}")
        self.teacher, self.method = frozen(teacher), method
        self.weight, self.temperature = number("weight", weight, 0, 1), number("temperature", temperature, above=True)
        check_choice("hidden", hidden, HIDDEN)
        self.hidden, self.teacher_layers = hidden, dict(teacher_layers or {})
        self.hints = Hints(hints, hint_weight, hint_stage, image_size)
        self.needs = "hidden" if method.needs == "batch" else method.needs
        for key in ("blends", "pairs", "permutes", "sums_to_one", "neighbours", "capturable"):
            setattr(self, key, getattr(method, key))
        if self.teacher.cache is not None and (hints or hidden == "layer"):
            raise ValueError("teacher.cache stores logits; hints and hidden='layer' need the layers too: leave it out")

    @classmethod
    def example(cls):
        from .mixup import MixUp

        with torch.random.fork_rng(devices=[]):  # layers draw their weights, which are then set
            teacher = nn.Sequential(nn.Conv2d(3, 4, 3, 2, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 10))
        for weight in teacher.parameters():
            weight.data = torch.linspace(-0.5, 0.5, weight.numel()).view_as(weight)
        return cls(teacher, MixUp(), hints=[("layer1", "0")])

    def attach(self, net):
        self.method.attach(net)
        self.teacher.load()
        teacher, net = self.teacher.net, probes.unwrap(net)[1]
        if self.hidden == "layer":
            for name, layer in net.named_modules():
                if probes.hook_point(layer) is not None:
                    probes.plant(teacher, self.of_teacher(name))
        self.hints.attach(net, teacher, getattr(self.teacher, "size", None))
        probes.listener(net)

    def of_teacher(self, layer: str) -> str:
        """The teacher's layer for the network's ``layer``."""
        layer = layer.removeprefix("backbone.")
        return self.teacher_layers.get(layer, layer)

    # -- the method's part -------------------------------------------------------------------------------------

    def draw(self, n, size, generator=None, steps=(), device=None):
        return self.method.draw(n, size, generator, steps, device)

    def variant(self, draws):
        return self.method.variant(draws)

    def check_images(self, images):
        self.method.check_images(images)

    def after_step(self, net, progress):
        self.method.after_step(net, progress)

    def history(self):
        return self.method.history()

    def load_history(self, history):
        self.method.load_history(history)

    def networks(self, net):
        return self.method.networks(net)

    def predict(self, net, images):
        return self.method.predict(net, images)

    def details(self, images, draws, net=None, labels=None):
        return self.method.details(images, draws, net, labels)

    # -- the loss ----------------------------------------------------------------------------------------------

    def loss(self, net, images, labels, criterion, draws=None, progress=0.0):
        """``loss`` and, for the log, its parts: ``loss_method``, ``loss_teacher`` and ``loss_hint``."""
        self.check_some(images)
        if draws is None:
            draws = self.draw(len(images), images.shape[2:], device=images.device)
        plain, seen = probes.unwrap(net)[1], {}

        def hear(name):
            def note(inputs, output):
                output = output.clone() if name else output  # a later layer may work in place
                seen[name] = (output, inputs[0], probes.acted_layer(plain))
            return note

        layers = {plain: hear("")} | {probes.find_layer(plain, own): hear(own) for own, _ in self.hints.pairs}
        with probes.listening(layers):
            losses = self.method.loss(net, images, labels, criterion, draws, progress)
        if self.weight == 0 and not self.hints.pairs:
            return losses
        logits, view, layer = seen[""]
        mix = None
        if layer is not None:
            sources, weights, _ = as_sources(self.details(images, draws, net, labels))
            mix = lambda values: mix_sources(values, sources, weights)  # noqa: E731
        soft, features = self.teach(view.detach(), layer, mix)
        if logits.shape != soft.shape:
            raise ValueError(f"the teacher is of {soft.shape[1]} classes, the network of {logits.shape[1]}; take a "
                             "teacher of the same classes")
        kd = kd_loss(logits, soft, self.temperature)
        total = (1 - self.weight) * losses["loss"] + self.weight * kd
        losses = {**losses, "loss_method": losses["loss"].detach(), "loss_teacher": kd.detach()}
        if self.hints.pairs:
            own = [seen[name] for name, _ in self.hints.pairs]
            if self.hidden == "outputs":  # a layer behind the mixed one holds mixtures
                features = [mix(f) if mixed else f for f, (_, _, mixed) in zip(features, own, strict=True)]
            hint = self.hints.loss([output for output, _, _ in own], features)
            losses["loss_hint"], total = hint.detach(), self.hints.add(total, hint, progress)
        return {**losses, "loss": total}

    @torch.no_grad()
    def teach(self, images: Tensor, layer: str | None, mix) -> tuple[Tensor, list[Tensor]]:
        """The teacher's probabilities (N, C) and the outputs of its layers of hints.

        Args:
            images: what the network saw. layer: the one at which it was mixed, if any, by ``mix``.
        """
        teacher, heard = self.teacher.net, {}
        listen = {probes.find_layer(teacher, its): lambda inputs, output, its=its: heard.update({its: output.clone()})
                  for _, its in self.hints.pairs}
        with probes.listening(listen):
            if layer is not None and self.hidden == "layer":
                with probes.acting(teacher, self.of_teacher(layer), mix):
                    logits = self.teacher(images)
            else:
                logits = self.teacher.outputs(images)
        soft = (logits.float() / self.temperature).softmax(1)
        return mix(soft) if layer is not None and self.hidden == "outputs" else soft, \
            [heard[its] for _, its in self.hints.pairs]

    def extra_repr(self):
        return f"weight={self.weight}, temperature={self.temperature}, hidden={self.hidden!r}, hints={self.hints.pairs}"
