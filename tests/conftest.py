"""What tests share: a small residual-style network, a slow criterion, batches, and guards of the random state."""
from contextlib import contextmanager

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from openmix.target import Target

torch.set_num_threads(1)
pytest.register_assert_rewrite("tests.mixups.contract")
CLASSES = 10

if not torch._C._dispatch_has_kernel_for_dispatch_key("aten::_standard_gamma", "Meta"):  # torch before 2.12 or so
    META = torch.library.Library("aten", "IMPL", "Meta")
    META.impl("_standard_gamma", lambda shapes, generator=None: torch.empty_like(shapes))



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
    """``make_net(seed)``: a fresh TinyNet in training mode; equal seeds give equal networks."""
    def make(seed=0, **kwargs):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return TinyNet(**kwargs)
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
