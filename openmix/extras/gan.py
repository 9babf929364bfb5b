"""Mixup for the discriminator of a GAN, on two toy distributions in the plane.

Zhang et al., "mixup: Beyond Empirical Risk Minimization", ICLR 2018, arXiv 1710.09412, section 3.8 and Figure 5.
"""
from collections.abc import Callable
from dataclasses import asdict, dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from .. import sampling
from ..checks import check_count, number, switch
from .stack import Stack, network
from .toy_points import centres, coverage, sample

FORMS = ("paper", "demo")
SNAPSHOTS = (10, 100, 1000, 10000, 20000)  # generator steps at which the paper shows samples


@dataclass(frozen=True)
class Settings:
    """A run, or several that differ in their seed; the defaults are the paper's.

    Args:
        data: ``"ring"`` or ``"grid"``. alpha: of the mixing; 0 trains an ordinary GAN.
        form: ``"paper"``: the discriminator sees lam * real + (1 - lam) * fake with the label lam, one
            lam ~ Beta(alpha, alpha) a batch. ``"demo"``, the authors' code: two shuffled batches of real and fake
            points are mixed with each other, with lam ~ U(0, alpha) for each point.
        saturating: the generator maximises the discriminator's loss; else it minimises the loss of "real" for its
            points. In the form ``"paper"`` it maximises the mixed loss, in ``"demo"`` the unmixed one.
        steps: of the generator. critic_steps: of the discriminator before each. batch: real and fake points, each.
        width: of the hidden layers. lr: of Adam. seeds: one training each, all in one batch.
    """

    data: str = "ring"
    alpha: float = 0.2
    form: str = "paper"
    saturating: bool = True
    steps: int = 20000
    critic_steps: int = 5
    batch: int = 128
    width: int = 512
    lr: float = 1e-3
    seeds: tuple[int, ...] = (0,)

    def __post_init__(self):
        centres(self.data)
        if self.form not in FORMS:
            raise ValueError(f"form must be one of {FORMS}, got {self.form!r}")
        number("alpha", self.alpha, 0)
        number("lr", self.lr, above=True)
        switch("saturating", self.saturating)
        if not self.seeds or len(set(self.seeds)) < len(self.seeds):
            raise ValueError(f"seeds must be different numbers, at least one, got {self.seeds!r}")
        for seed in self.seeds:
            check_count("seeds", seed, 0)
        for name in ("steps", "critic_steps", "batch", "width"):
            check_count(name, getattr(self, name), 1)


def labelled(real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
    """All points (S, 2B, 2) with the share that is real, 1 or 0 (S, 2B, 1)."""
    return torch.cat([real, fake], 1), torch.cat([torch.ones_like(real[..., :1]), torch.zeros_like(fake[..., :1])], 1)


def mixed(real: Tensor, fake: Tensor, settings: Settings, random=None) -> tuple[Tensor, Tensor]:
    """Points that the discriminators see, and the share of them that is real.

    Args:
        real, fake: points (S, B, 2). random: S generators; by default the global one.
    """
    random = random or [None] * len(real)
    if settings.alpha == 0:
        return labelled(real, fake)
    if settings.form == "paper":
        lam = torch.stack([sampling.beta(settings.alpha, (1, 1), each) for each in random])
        return lam * real + (1 - lam) * fake, lam.expand(*real.shape[:2], 1)
    points, share = labelled(real, fake)
    n, row = points.shape[1], torch.arange(len(points))[:, None]
    one, two = (torch.stack([torch.randperm(n, generator=each) for each in random]) for _ in range(2))
    lam = settings.alpha * torch.stack([torch.rand(n, 1, generator=each) for each in random])
    return (lam * points[row, one] + (1 - lam) * points[row, two],
            lam * share[row, one] + (1 - lam) * share[row, two])


def cross_entropy(net: Callable, points: Tensor, share: Tensor) -> Tensor:
    """Mean binary cross-entropy of each seed in nats, (S,)."""
    return F.binary_cross_entropy_with_logits(net(points), share, reduction="none").mean((1, 2))


def discriminator_loss(net: Callable, real: Tensor, fake: Tensor, settings: Settings, random=None) -> Tensor:
    """What each discriminator minimises, (S,); an unmixed one is the mean over real and fake points."""
    return cross_entropy(net, *mixed(real, fake, settings, random))


def generator_loss(net: Callable, real: Tensor, fake: Tensor, settings: Settings, random=None) -> Tensor:
    """What each generator minimises, (S,)."""
    if not settings.saturating:
        return cross_entropy(net, fake, torch.ones_like(fake[..., :1]))
    if settings.form == "paper":
        return -discriminator_loss(net, real, fake, settings, random)
    return -cross_entropy(net, *labelled(real, fake))


class Training:
    """Runs that can be stopped after any step and go on from ``state()`` as if they had not.

    Each seed has its own networks and random numbers, and becomes what it would become alone.

    Attributes:
        step: generator steps so far. snapshots: {step: 1,000 points of each seed (S, 1000, 2)}. history: a dict for
            each snapshot; its values are lists, one number a seed.
    """

    def __init__(self, settings: Settings):
        self.settings, self.means, self.step = settings, centres(settings.data), 0
        nets = []
        for seed in settings.seeds:
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(seed)
                nets.append((network(2, settings.width), network(1, settings.width)))
        self.maker, self.critic = (Stack(same) for same in zip(*nets, strict=True))
        self.random = [torch.Generator().manual_seed(seed) for seed in settings.seeds]
        self.optimizers = [torch.optim.Adam(net.parameters(), settings.lr, fused=True)
                           for net in (self.maker, self.critic)]
        self.snapshots: dict[int, Tensor] = {}
        self.history: list[dict] = []

    def draw(self, batches: int = 1) -> tuple[Tensor, Tensor]:
        """Real points and noise, (S, batches * batch, 2)."""
        n = batches * self.settings.batch
        return (torch.stack([sample(self.means, n, random) for random in self.random]),
                torch.stack([torch.randn(n, 2, generator=random) for random in self.random]))

    def update(self, which: int, losses: Tensor) -> None:
        """A step of Adam of the generators (0) or the discriminators (1); the others get no gradient."""
        parameters = list((self.maker, self.critic)[which].parameters())
        for parameter, gradient in zip(parameters, torch.autograd.grad(losses.sum(), parameters), strict=True):
            parameter.grad = gradient
        self.optimizers[which].step()

    def advance(self) -> Tensor:
        """One generator step after its discriminator steps; the two losses of each seed, (2, S)."""
        settings = self.settings
        real, noise = self.draw(settings.critic_steps)
        with torch.no_grad():
            fake = self.maker(noise)  # the generators stay as they are meanwhile
        for batch, made in zip(real.split(settings.batch, 1), fake.split(settings.batch, 1), strict=True):
            judged = discriminator_loss(self.critic, batch, made, settings, self.random)
            self.update(1, judged)
        real, noise = self.draw()
        missed = generator_loss(self.critic, real, self.maker(noise), settings, self.random)
        self.update(0, missed)
        self.step += 1
        return torch.stack([judged, missed]).detach()

    @torch.no_grad()
    def look(self, n: int = 2500) -> dict:
        """Measure ``n`` points of each generator, and remember 1,000 of them; the runs' own draws stay as they are."""
        seeds = [torch.Generator().manual_seed(seed + 1) for seed in self.settings.seeds]
        points = self.maker(torch.stack([torch.randn(n, 2, generator=seed) for seed in seeds]))
        self.snapshots[self.step] = points[:, :1000].clone()
        each = [coverage(of_seed, self.means) for of_seed in points]
        self.history.append(dict(step=self.step, **{name: [values[name] for values in each] for name in each[0]}))
        return self.history[-1]

    def run(self, until: int | None = None, snapshots=SNAPSHOTS, saved: Callable | None = None, every: int = 500):
        """Train up to step ``until`` (the end); ``saved(self)`` is called every so many steps and at the end.

        Raises:
            FloatingPointError: a loss is not finite.
        """
        until = self.settings.steps if until is None else min(until, self.settings.steps)
        while self.step < until:
            if not (losses := self.advance()).isfinite().all():
                raise FloatingPointError(f"step {self.step}: losses are not finite, {losses.tolist()}; lower lr")
            if self.step in snapshots or self.step == self.settings.steps:
                self.look()
            if saved is not None and (self.step % every == 0 or self.step == until):
                saved(self)
        return self.history

    def state(self) -> dict:
        """All that :meth:`load` needs."""
        return dict(settings=asdict(self.settings), step=self.step, random=[each.get_state() for each in self.random],
                    maker=self.maker.state_dict(), critic=self.critic.state_dict(),
                    optimizers=[optimizer.state_dict() for optimizer in self.optimizers],
                    snapshots=self.snapshots, history=self.history)

    def load(self, state: dict) -> None:
        """Go on from ``state``. Raises ValueError if it is of a run with other settings."""
        if state["settings"] != asdict(self.settings):
            raise ValueError(f"the saved run has other settings: {state['settings']}, not {asdict(self.settings)}")
        self.step, self.snapshots, self.history = state["step"], dict(state["snapshots"]), list(state["history"])
        for each, saved in zip(self.random, state["random"], strict=True):
            each.set_state(saved)
        self.maker.load_state_dict(state["maker"])
        self.critic.load_state_dict(state["critic"])
        for optimizer, saved in zip(self.optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(saved)
