"""Methods made of another one: a training loss around the mixtures of a method that mixes batches."""
from .base import MixMethod
from .choice import agree_on_classes

INHERITED = ("weight_from", "blends", "pairs", "permutes", "sums_to_one", "neighbours", "capturable", "alpha",
             "prob", "per_sample", "pairing", "mix_rate")


class Wrapper(MixMethod):
    """A call mixes as the wrapped method does; a subclass defines the training loss.

    A loss of the wrapped method's own, such as GridMix's of cells, takes no part. What it learns gets gradients of 0.

    Args:
        method: a method that mixes a batch by itself; in configs ``dict(type=...)``.
        num_classes: passed on to the method: given here or there, it counts for both.

    Raises:
        TypeError: no mixing method. ValueError: one that needs the network, two numbers of classes.
    """

    def __init__(self, method: MixMethod, num_classes: int | None = None):
        super().__init__(num_classes=num_classes)
        kind = type(self).__name__
        if not isinstance(method, MixMethod):
            raise TypeError(f"method of {kind} must be a mixing method, e.g. CutMix(), got {method!r}")
        if method.needs != "batch":
            raise ValueError(f"{kind} takes a method that mixes a batch by itself, e.g. CutMix(); "
                             f"{type(method).__name__} needs the network ({method.needs})")
        self.method = method
        agree_on_classes(self)
        for name in INHERITED:
            setattr(self, name, getattr(method, name))

    def attach(self, net):
        self.method.attach(net)

    def draw(self, n, size, generator=None, steps=(), device=None):
        return self.method.draw(n, size, generator, steps, device)

    def variant(self, draws):
        return self.method.variant(draws)

    def check_images(self, images):
        self.method.check_images(images)

    def forward(self, images, labels, draws=None):
        return self.method(images, labels, draws)

    def details(self, images, draws, net=None, labels=None):
        return self.method.details(images, draws, net, labels)

    def extra_repr(self):
        return ""
