"""What tests share: a small residual-style network, a slow criterion, batches, and guards of the random state."""
import os
import signal
from contextlib import contextmanager

import mmengine.config.config  # before the workers start: its first import on a machine writes a cache of yapf
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from openmix.target import Target
from tests import forked

torch.set_num_threads(1)
mmengine.config.config.FormatCode = lambda text, **_: (text, True)  # another tenth: yapf sets the config that is logged
os.fsync = lambda handle: None  # a sixth of the time of short trainings; tests need not survive a power loss
for number in (signal.SIGINT, signal.SIGHUP):  # a shell ignores them in the background, and what tests start would, too
    signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
pytest.register_assert_rewrite("tests.mixups.contract")
CLASSES = 10

if not torch._C._dispatch_has_kernel_for_dispatch_key("aten::_standard_gamma", "Meta"):  # torch before 2.12 or so
    META = torch.library.Library("aten", "IMPL", "Meta")
    META.impl("_standard_gamma", lambda shapes, generator=None: torch.empty_like(shapes))


def pytest_configure(config):
    """One process forks for all workers of pytest."""
    if getattr(config.option, "dist", "no") != "no" and not hasattr(config, "workerinput"):
        forked.server()


def pytest_xdist_auto_num_workers(config):
    """One more than cores: many tests wait for processes that they start."""
    return len(os.sched_getaffinity(0)) + 1


class TinyNet(nn.Module):
    """Layers named and strided like a CIFAR ResNet, with batch norm, a few thousand parameters."""

    def __init__(self, widths=(8, 8, 12, 16), num_classes=CLASSES):
        super().__init__()
        self.stem, width = nn.Sequential(nn.Conv2d(3, widths[0], 3, padding=1), nn.BatchNorm2d(widths[0])), widths[0]
        for i, (new, stride) in enumerate(zip(widths, (1, 2, 2, 2), strict=True), 1):
            self.add_module(f"layer{i}", nn.Sequential(
                nn.Conv2d(width, new, 3, stride, 1, bias=False), nn.BatchNorm2d(new), nn.ReLU()))
            width = new
        self.fc = nn.Linear(width, num_classes)

    def forward(self, images):
        x = self.stem(images)
        for i in range(1, 5):
            x = getattr(self, f"layer{i}")(x)
        return self.fc(x.mean((2, 3)))


class TinyAttention(nn.Module):
    """Written like timm's: one layer for queries, keys and values, and a fused kernel."""

    def __init__(self, width, num_heads=2):
        super().__init__()
        self.num_heads, self.scale = num_heads, (width // num_heads) ** -0.5
        self.qkv, self.proj = nn.Linear(width, 3 * width), nn.Linear(width, width)

    def forward(self, x):
        query, key, value = self.qkv(x).unflatten(2, (3, self.num_heads, -1)).permute(2, 0, 3, 1, 4)
        return self.proj(F.scaled_dot_product_attention(query, key, value).transpose(1, 2).flatten(2))


class TinyBlock(nn.Sequential):
    def __init__(self, width):
        super().__init__(nn.LayerNorm(width), TinyAttention(width), nn.LayerNorm(width), nn.Linear(width, width))

    def forward(self, x):
        x = x + self[1](self[0](x))
        return x + self[3](self[2](x)).relu()


class TinyViT(nn.Module):
    """A vision transformer with two blocks on 4 x 4 patches of images of 32 x 32, layers named as of TinyNet."""

    def __init__(self, width=16, num_classes=CLASSES):
        super().__init__()
        self.patch = nn.Conv2d(3, width, 8, 8)
        self.cls_token, self.pos_embed = (nn.Parameter(torch.randn(1, n, width) / 4) for n in (1, 17))
        self.layer1, self.layer2 = TinyBlock(width), TinyBlock(width)
        self.norm, self.fc = nn.LayerNorm(width), nn.Linear(width, num_classes)

    def forward(self, images):
        patches = self.patch(images).flatten(2).transpose(1, 2)
        x = torch.cat([self.cls_token.expand(len(images), -1, -1), patches], 1) + self.pos_embed
        return self.fc(self.norm(self.layer2(self.layer1(x)))[:, 0])


def slow_cross_entropy(logits, target):
    """Soft cross-entropy written out by example and class; takes indices, probabilities and Targets."""
    log_p = F.log_softmax(logits.float(), 1)
    if isinstance(target, Target):
        each = [sum(-w * log_p[i, k] for k, w in zip(label, weight, strict=True))
                for i, (label, weight) in enumerate(zip(*target, strict=True))]
        return torch.stack(each).mean()
    if target.ndim == 2:
        return -(target * log_p).sum(1).mean()
    return -torch.stack([log_p[i, k] for i, k in enumerate(target)]).mean()


@pytest.fixture
def criterion():
    return slow_cross_entropy


@pytest.fixture
def make_net():
    """``make_net(seed, needs)``: a fresh TinyNet in training mode; equal seeds give equal networks.

    For methods whose ``needs`` are "attention" it is a TinyViT.
    """
    def make(seed=0, needs="batch", **kwargs):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return TinyViT(**kwargs) if needs == "attention" else TinyNet(**kwargs)
    return make


@pytest.fixture
def make_batch():
    """``make_batch(n, size)``: float images (n, 3, H, W) and labels (n,), the first ones all different."""
    def make(n=6, size=(32, 32), seed=0, dtype=torch.float32):
        generator = torch.Generator().manual_seed(seed)
        images = torch.randn(n, 3, *size, generator=generator).to(dtype)
        return images, (torch.randperm(max(n, CLASSES), generator=generator) % CLASSES)[:n]
    return make


@pytest.fixture
def rng_untouched():
    """``with rng_untouched():`` fails if anything inside draws from the global generator."""
    @contextmanager
    def guard():
        before = torch.get_rng_state()
        yield
        assert torch.equal(before, torch.get_rng_state()), "the global random state was used"
    return guard
