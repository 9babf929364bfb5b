"""Mixup for the discriminator of a GAN, on two toy distributions in the plane.

Zhang et al., "mixup: Beyond Empirical Risk Minimization", ICLR 2018, arXiv 1710.09412, section 3.8 and Figure 5.
"""
import math
from collections.abc import Callable
from dataclasses import asdict, dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .. import sampling
from ..checks import check_count, number, switch

STD = 0.01  # of each Gaussian
FORMS = ("paper", "demo")
SNAPSHOTS = (10, 100, 1000, 10000, 20000)  # generator steps at which the paper shows samples


def centres(data: str) -> Tensor:
    """Means of the Gaussians: ``"ring"`` (8, 2) on the unit circle, ``"grid"`` (25, 2) from -1 to 1.

    Raises:
        ValueError: another name.
    """
    if data == "ring":
        angle = torch.arange(8) * (math.tau / 8)
        return torch.stack([angle.cos(), angle.sin()], 1)
    if data == "grid":
        return torch.cartesian_prod(torch.linspace(-1, 1, 5), torch.linspace(-1, 1, 5))
    raise ValueError(f"data must be 'ring' or 'grid', got {data!r}")


def sample(means: Tensor, n: int, generator=None) -> Tensor:
    """``n`` points (n, 2) of the mixture with equal weights around ``means`` (K, 2)."""
    which = torch.randint(len(means), (n,), generator=generator)
    return means[which] + STD * torch.randn(n, 2, generator=generator)


def network(outputs: int, width: int = 512) -> nn.Sequential:
    """2 -> three hidden layers of ReLU -> ``outputs``: the generator (2) and the discriminator (1)."""
    sizes = [2, width, width, width]
    layers = [layer for a, b in zip(sizes, sizes[1:], strict=False) for layer in (nn.Linear(a, b), nn.ReLU())]
    return nn.Sequential(*layers, nn.Linear(width, outputs))


@dataclass(frozen=True)
class Settings:
    """A run; the defaults are the paper's.

    Args:
        data: ``"ring"`` or ``"grid"``. alpha: of the mixing; 0 trains an ordinary GAN.
        form: ``"paper"``: the discriminator sees lam * real + (1 - lam) * fake with the label lam, one
            lam ~ Beta(alpha, alpha) a batch. ``"demo"``, the authors' code: two shuffled batches of real and fake
            points are mixed with each other, with lam ~ U(0, alpha) for each point.
        saturating: the generator maximises the discriminator's loss; else it minimises the loss of "real" for its
            points. In the form ``"paper"`` it maximises the mixed loss, in ``"demo"`` the unmixed one.
        steps: of the generator. critic_steps: of the discriminator before each. batch: real and fake points, each.
        width: of the hidden layers. lr: of Adam.
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
    seed: int = 0

    def __post_init__(self):
        centres(self.data)
        if self.form not in FORMS:
            raise ValueError(f"form must be one of {FORMS}, got {self.form!r}")
        number("alpha", self.alpha, 0)
        number("lr", self.lr, above=True)
        switch("saturating", self.saturating)
        check_count("seed", self.seed, 0)
        for name in ("steps", "critic_steps", "batch", "width"):
            check_count(name, getattr(self, name), 1)


def labelled(real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
    """All points (2B, 2) with the share that is real, 1 or 0 (2B, 1)."""
    return torch.cat([real, fake]), torch.cat([real.new_ones(len(real), 1), real.new_zeros(len(fake), 1)])


def mixed(real: Tensor, fake: Tensor, settings: Settings, generator=None) -> tuple[Tensor, Tensor]:
    """Points that the discriminator sees, and the share of them that is real."""
    if settings.alpha == 0:
        return labelled(real, fake)
    if settings.form == "paper":
        lam = sampling.beta(settings.alpha, (1, 1), generator)
        return lam * real + (1 - lam) * fake, lam.expand(len(real), 1)
    points, share = labelled(real, fake)
    one, two = (torch.randperm(len(points), generator=generator) for _ in range(2))
    lam = settings.alpha * torch.rand(len(points), 1, generator=generator)
    return lam * points[one] + (1 - lam) * points[two], lam * share[one] + (1 - lam) * share[two]


def discriminator_loss(net: Callable, real: Tensor, fake: Tensor, settings: Settings, generator=None) -> Tensor:
    """Binary cross-entropy of the discriminator, in nats; an unmixed one is the mean over real and fake points."""
    points, share = mixed(real, fake, settings, generator)
    return F.binary_cross_entropy_with_logits(net(points), share)


def generator_loss(net: Callable, real: Tensor, fake: Tensor, settings: Settings, generator=None) -> Tensor:
    """What the generator minimises."""
    if not settings.saturating:
        return F.binary_cross_entropy_with_logits(net(fake), fake.new_ones(len(fake), 1))
    if settings.form == "paper":
        return -discriminator_loss(net, real, fake, settings, generator)
    points, share = labelled(real, fake)
    return -F.binary_cross_entropy_with_logits(net(points), share)


def coverage(points: Tensor, means: Tensor) -> dict:
    """How well ``points`` (n, 2) cover the Gaussians around ``means``.

    Returns:
        ``modes``: Gaussians with at least 0.8 % of the points (20 of 2,500) within 3 standard deviations. ``good``:
        share of the points that are within 3 of any. ``distance``: mean distance to the nearest mean.
    """
    distance, nearest = torch.cdist(points, means).min(1)
    close = distance <= 3 * STD
    counts = nearest[close].bincount(minlength=len(means))
    return dict(modes=int((counts >= 0.008 * len(points)).sum()), good=float(close.float().mean()),
                distance=float(distance.mean()))


class Training:
    """A run that can be stopped after any step and go on from ``state()`` as if it had not.

    Attributes:
        step: generator steps so far. snapshots: {step: 1,000 points (1000, 2)}. history: a dict for each snapshot.
    """

    def __init__(self, settings: Settings):
        self.settings, self.means, self.step = settings, centres(settings.data), 0
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(settings.seed)
            self.maker, self.critic = network(2, settings.width), network(1, settings.width)
        self.random = torch.Generator().manual_seed(settings.seed)
        self.optimizers = [torch.optim.Adam(net.parameters(), settings.lr) for net in (self.maker, self.critic)]
        self.snapshots: dict[int, Tensor] = {}
        self.history: list[dict] = []

    def draw(self) -> tuple[Tensor, Tensor]:
        """Real points and noise (batch, 2)."""
        n = self.settings.batch
        return sample(self.means, n, self.random), torch.randn(n, 2, generator=self.random)

    def advance(self) -> tuple[float, float]:
        """One generator step after its discriminator steps; the two losses."""
        optimize_maker, optimize_critic = self.optimizers
        for _ in range(self.settings.critic_steps):
            real, noise = self.draw()
            with torch.no_grad():
                fake = self.maker(noise)
            loss = discriminator_loss(self.critic, real, fake, self.settings, self.random)
            optimize_critic.zero_grad()
            loss.backward()
            optimize_critic.step()
        real, noise = self.draw()
        made = generator_loss(self.critic, real, self.maker(noise), self.settings, self.random)
        gradients = torch.autograd.grad(made, list(self.maker.parameters()))  # the discriminator gets none
        for parameter, gradient in zip(self.maker.parameters(), gradients, strict=True):
            parameter.grad = gradient
        optimize_maker.step()
        self.step += 1
        return float(loss.detach()), float(made.detach())

    @torch.no_grad()
    def look(self, n: int = 2500) -> dict:
        """Measure ``n`` points of the generator, and remember 1,000 of them; the run's own draws stay as they are."""
        points = self.maker(torch.randn(n, 2, generator=torch.Generator().manual_seed(self.settings.seed + 1)))
        self.snapshots[self.step] = points[:1000].clone()
        self.history.append(dict(step=self.step, **coverage(points, self.means)))
        return self.history[-1]

    def run(self, until: int | None = None, snapshots=SNAPSHOTS, saved: Callable | None = None, every: int = 500):
        """Train up to step ``until`` (the end); ``saved(self)`` is called every so many steps and at the end."""
        until = self.settings.steps if until is None else min(until, self.settings.steps)
        while self.step < until:
            losses = self.advance()
            if not all(map(math.isfinite, losses)):
                raise FloatingPointError(f"the losses of step {self.step} are not finite: {losses}; lower lr")
            if self.step in snapshots or self.step == self.settings.steps:
                self.look()
            if saved is not None and (self.step % every == 0 or self.step == until):
                saved(self)
        return self.history

    def state(self) -> dict:
        """All that :meth:`load` needs; tensors and plain values."""
        return dict(settings=asdict(self.settings), step=self.step, random=self.random.get_state(),
                    maker=self.maker.state_dict(), critic=self.critic.state_dict(),
                    optimizers=[optimizer.state_dict() for optimizer in self.optimizers],
                    snapshots=self.snapshots, history=self.history)

    def load(self, state: dict) -> None:
        """Go on from ``state``. Raises ValueError if it is of a run with other settings."""
        if state["settings"] != asdict(self.settings):
            raise ValueError(f"the saved run has other settings: {state['settings']}, not {asdict(self.settings)}")
        self.step, self.snapshots, self.history = state["step"], dict(state["snapshots"]), list(state["history"])
        self.random.set_state(state["random"])
        self.maker.load_state_dict(state["maker"])
        self.critic.load_state_dict(state["critic"])
        for optimizer, saved in zip(self.optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(saved)
