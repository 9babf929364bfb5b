"""Several mixing methods in one run."""
from torch import nn

from .. import sampling
from ..checks import number
from .base import MixMethod, touch_parameters
from .draws import PARTNERS


def agree_on_classes(owner: MixMethod) -> None:
    """Give ``owner`` and every method inside it the ``num_classes`` that any of them has: all targets have one form.

    Raises:
        ValueError: two numbers of classes.
    """
    methods = [method for method in owner.modules() if isinstance(method, MixMethod)]
    numbers, kind = {method.num_classes for method in methods} - {None}, type(owner).__name__
    if len(numbers) > 1:
        raise ValueError(f"the targets of all methods of a {kind} have one form, but num_classes differs: "
                         f"{', '.join(map(str, sorted(numbers)))}; give it once, to {kind}")
    for method in methods:
        method.num_classes = next(iter(numbers), None)


class RandomChoice(MixMethod):
    """Each batch is mixed by one of several methods, drawn on the host with probabilities ``p``.

    Every rank of a distributed run must draw the same choice. The training engine ensures this; your own loop passes
    ``draws`` from generators with equal seeds. Parameters of the other methods get a zero gradient, as DDP needs.

    Args:
        methods: the methods; in configs a list of ``dict(type=...)``.
        p: their probabilities, summing to 1; equal by default. Use ``Vanilla`` for batches left alone.
        num_classes: passed on to the methods: given once, here or in any of them, it counts for all.

    Raises:
        TypeError: no mixing method. ValueError: probabilities that do not fit, methods that differ in num_classes.
    """

    paper = ""
    year = 0
    venue = ""
    passes = "those of the chosen method"
    defaults = {}

    weight_from = "model"  # whatever the chosen method does

    def __init__(self, methods, p=None, num_classes: int | None = None):
        super().__init__(num_classes=num_classes)
        methods = list(methods)
        wrong = next((m for m in methods if not isinstance(m, MixMethod)), None)
        if wrong is not None:
            raise TypeError(f"methods must be mixing methods, e.g. [MixUp(), CutMix()], got {wrong!r}")
        needed = "RandomChoice needs methods and as many probabilities that sum to 1 (for the remainder add a Vanilla)"
        p = [1 / max(len(methods), 1) for _ in methods] if p is None else list(p)
        p = [number("p", share, 0, 1, hint=f"; {needed}") for share in p]
        if not methods or len(p) != len(methods) or not abs(sum(p) - 1) <= 1e-6:
            raise ValueError(f"{needed}, got {len(methods)} methods and p={p} (sum {sum(p):g})")
        self.methods, self.p = nn.ModuleList(methods), p
        self.needs = next((m.needs for m in methods if m.needs != "batch"), "batch")
        agree_on_classes(self)
        self.blends = all(m.blends for m in methods)
        self.permutes, self.sums_to_one = (all(getattr(m, k) for m in methods) for k in ("permutes", "sums_to_one"))
        self.capturable = next((m.capturable for m in methods if m.capturable is not True), True)
        nearest = [m.neighbours for m in methods if m.neighbours is not None]
        self.neighbours = next(iter(nearest), None)
        if any(other != self.neighbours for other in nearest):
            raise ValueError(f"the methods of a RandomChoice share neighbours of one kind, got {nearest}")

    @classmethod
    def example(cls):
        from .cutmix import CutMix
        from .mixup import MixUp

        return cls([MixUp(), CutMix()])

    def attach(self, net):
        for method in self.methods:
            method.attach(net)

    def draw(self, n, size, generator=None, steps=(), device=None):
        draws = dict(choice=sampling.choose(self.p, steps, generator))
        draws |= {str(i): m.draw(n, size, generator, steps, device) for i, m in enumerate(self.methods)}
        return draws

    def variant(self, draws):
        choice = draws["choice"]
        return (choice, *self.methods[choice].variant(draws[str(choice)]))

    def check_images(self, images):
        for method in self.methods:
            method.check_images(images)

    def chosen(self, images, draws):
        """The method of this batch and its draws."""
        if draws is None:
            choice = sampling.choose(self.p)
            return self.methods[choice], None
        choice = draws.get("choice") if isinstance(draws, dict) else None
        if type(choice) is not int or str(choice) not in draws or not 0 <= choice < len(self.methods):
            raise ValueError(f"draws of a RandomChoice are a dict of choice, one of 0 ... {len(self.methods) - 1}, and "
                             f"the draws of each method by its number, as of method.draw(N, (H, W)), got {draws!r}")
        return self.methods[choice], draws[str(choice)] | {name: draws[name] for name in PARTNERS if name in draws}

    def forward(self, images, labels, draws=None):
        method, draws = self.chosen(images, draws)
        return method(images, labels, draws)

    def loss(self, net, images, labels, criterion, draws=None, progress=0.0):
        method, draws = self.chosen(images, draws)
        losses = method.loss(net, images, labels, criterion, draws, progress)
        return {**losses, "loss": touch_parameters(self, losses["loss"])}

    def after_step(self, net, progress):
        for method in self.methods:
            method.after_step(net, progress)

    def history(self):
        return {f"{i}.{name}": value for i, m in enumerate(self.methods) for name, value in m.history().items()}

    def load_history(self, history):
        for i, method in enumerate(self.methods):
            own = f"{i}."
            method.load_history({k.removeprefix(own): v for k, v in history.items() if k.startswith(own)})

    def networks(self, net):
        named = {}
        for method in self.methods:
            networks = method.networks(net)
            if any(name in named and named[name] is not network for name, network in networks.items()):
                raise ValueError("two methods of a RandomChoice evaluate networks of the same names "
                                 f"({', '.join(networks)}); one learned method is possible")
            named |= networks
        return named

    def predict(self, net, images):
        logits = {}
        for method in self.methods:
            if not method.networks(net).keys() <= logits.keys():  # several of one name are the same network
                logits |= method.predict(net, images)
        return logits

    def details(self, images, draws, net=None, labels=None):
        method, draws = self.chosen(images, draws)
        return method.details(images, draws, net, labels)

    def extra_repr(self):
        return f"p={self.p}"
