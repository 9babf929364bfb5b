"""The contract of mixing methods as functions, so that deliberately wrong methods can show that each check bites.

Methods are found by registration; nothing here knows their names.
"""
import copy
import inspect
import math

import pytest
import torch
from torch import Tensor

from openmix import functional
from openmix.frozen import Frozen
from openmix.mixups import MixMethod
from openmix.plan import draws_at
from openmix.registry import MIXUPS, accepted_keys
from openmix.target import as_sources, mix_target

OPTIONS = dict(default={}, half=dict(prob=0.5), per_sample=dict(per_sample=True), perm=dict(pairing="perm"),
               all=dict(prob=0.5, per_sample=True, pairing="perm"), rate=dict(mix_rate=0.5))


def make(name, **options) -> MixMethod | None:
    """The method, or None where its constructor does not know these options or says that it does not take them."""
    cls = MIXUPS.get(name)
    if not options:
        return cls.example()
    required = [p for p in inspect.signature(cls).parameters.values()
                if p.default is p.empty and p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]
    if required or not set(options) <= (accepted_keys(cls) or set()):
        return None
    try:
        return cls(**options)
    except ValueError as error:
        assert any(key in str(error) for key in options), f"{name} refuses {options} without naming the option: {error}"
        return None


def batch(needs) -> bool:
    """Methods that mix a batch by itself."""
    return needs == "batch"


def network(needs) -> bool:
    """Methods that need anything of a network, of a kind that is known or new."""
    return needs != "batch"


def cases(options=OPTIONS, needs=lambda needs: True):
    """Every registered method whose ``needs`` are asked for, with all options that it takes."""
    return [pytest.param(name, chosen, id=f"{name}-{kind}") for name in MIXUPS.known()
            for kind, chosen in options.items() if (method := make(name, **chosen)) and needs(method.needs)]


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def same(a, b) -> bool:
    """Equality of nested draws."""
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[k], b[k]) for k in a)
    return torch.equal(a, b) if isinstance(a, Tensor) else a == b


def leaves(draws):
    for value in draws.values():
        yield from leaves(value) if isinstance(value, dict) else [value]


def part(draws, low, high, n):
    """What a rank that owns images low ... high of n gets."""
    return {k: part(v, low, high, n) if isinstance(v, dict)
            else v[low:high] if isinstance(v, Tensor) and len(v) == n else v for k, v in draws.items()}


def chosen_method(method, draws):
    """The method that really mixes under ``draws``."""
    return method.chosen(None, draws)[0] if hasattr(method, "chosen") else method


def fake_teachers(method, device) -> None:
    """Give the frozen networks inside ``method`` fake weights on ``device``; inside a FakeTensorMode."""
    for net in (net for part in method.modules() if isinstance(part, Frozen) for net in part._hidden):
        for layer in net.modules():
            for key, p in layer._parameters.items():
                layer._parameters[key] = None if p is None else torch.nn.Parameter(
                    torch.empty(p.shape, dtype=p.dtype, device=device), requires_grad=False)


def check_drawing(method, n, size, rng_untouched):
    with rng_untouched():
        one, again, *others = (method.draw(n, size, generator(seed)) for seed in (1, 1, 2, 3, 4, 5, 6))
    assert same(one, again), "equal generators must give equal draws"
    assert not one or not all(same(one, other) for other in others), "different generators must give different draws"


def check_layout(method, n, size):
    """A plan of many steps: each row, and each rank's part of a row, has leading dimension n or 1, and is small."""
    steps = method.draw(n, size, generator(), steps=(5,))
    assert steps.keys() == method.draw(n, size, generator()).keys()
    for value in leaves(steps):
        assert len(value) == 5 and (not isinstance(value, Tensor) or value.shape[1] in (1, n)), "dims (*steps, n or 1)"
        assert isinstance(value, Tensor) or all(type(choice) is int for choice in value), "host choices are ints"
    rows = [draws_at(steps, i) for i in range(5)]
    assert not rows[0] or not all(same(rows[0], other) for other in rows[1:]), "the steps must differ"
    assert sum(v.numel() * v.element_size() for v in leaves(rows[0]) if isinstance(v, Tensor)) <= 1024 + 256 * n
    return rows


def check_form(method, images, labels, draws):
    before = images.clone(), labels.clone(), copy.deepcopy(draws)
    mixed, target = method(images, labels, draws)
    assert torch.equal(images, before[0]) and torch.equal(labels, before[1]), "the caller's batch was written to"
    assert same(draws, before[2]), "the draws were written to"
    assert (mixed.shape, mixed.dtype, mixed.device) == (images.shape, images.dtype, images.device)
    return mixed, target


def check_target(target, n, sums_to_one=True):
    label, weight = target
    assert label.shape == weight.shape and len(label) == n and label.dtype == torch.int64
    assert (weight >= 0).all(), "weights must not be negative"
    assert not sums_to_one or torch.allclose(weight.sum(1), torch.ones(n), atol=1e-5), "weights must sum to 1"


def check_pure(method, images, labels, draws, rng_untouched):
    with rng_untouched():
        (first, target), (second, again) = (method(images, labels, draws) for _ in range(2))
    assert torch.equal(first, second) and same(target._asdict(), again._asdict()), "not a function of the draws"


def moves_pixels(name, options):
    """Whether the method works on integer images, because it blends none."""
    method, images = make(name, **options), torch.zeros(2, 3, 16, 16, dtype=torch.uint8)
    try:
        for seed in range(20):  # a method may choose among programs
            method(images, torch.arange(2), method.draw(2, (16, 16), generator(seed)))
    except ValueError as error:
        assert "float" in str(error)
        return False
    return True


def check_forms_agree(method, images, labels, monkeypatch):
    """Copying a box on a CPU, instead of blending all, changes no bit of images and targets."""
    n, size = len(images), images.shape[2:]
    made = []
    for read in (True, False):
        with monkeypatch.context() as patch:
            if not read:
                patch.setattr(functional, "is_at_hand", lambda box: False)
            draws = [method.draw(n, size, generator(seed)) for seed in range(6)]
            made.append([(d, *method(images, labels, d)) for d in draws])
    for (draws, mixed, soft), (slow_draws, slow_mixed, slow_soft) in zip(*made, strict=True):
        assert same(draws, slow_draws) and torch.equal(mixed, slow_mixed)
        assert same(soft._asdict(), slow_soft._asdict())


def check_details(details, n, size, method=MixMethod):
    """Sources, weights and masks are of this batch; what ``method`` declares (permutes, sums_to_one) holds."""
    sources, weights, masks = as_sources(details)
    assert sources.shape == weights.shape and len(sources) == n and sources.dtype == torch.int64
    assert (sources >= -1).all() and (sources < n).all(), "a source is an image of the batch, or -1"
    assert (weights >= 0).all() and (weights <= 1).all()
    assert not method.sums_to_one or torch.allclose(weights.sum(1), torch.ones(n), atol=1e-5), "weights must sum to 1"
    for column in sources.T if method.permutes else ():
        assert column.sort().values.tolist() == list(range(n)), "every image is the partner of one"
    if masks is not None:
        assert masks.shape == (n, sources.shape[1], *size) and (masks >= 0).all() and (masks <= 1).all()
        assert torch.allclose(masks.sum(1), torch.ones(()), atol=1e-5), "the shares of a pixel must sum to 1"


def blended(details, images):
    """What a batch is mixed to by ``details``: the sum of its sources, each by its mask."""
    sources, _, masks = as_sources(details)
    return sum(masks[:, k:k + 1].to(images.dtype) * images[sources[:, k]] for k in range(sources.shape[1]))


def check_blend(details, images, mixed, atol=1e-5):
    sources, _, masks = as_sources(details)
    shown = images[sources]  # (N, M, C, H, W)
    assert torch.allclose(mixed, blended(details, images), atol=atol), "the sum of the sources, partners too, by mask"
    low, high = shown.amin(1), shown.amax(1)
    assert (mixed >= low - atol).all() and (mixed <= high + atol).all(), "between the images"


def check_weights(details, labels, target):
    """The target is what ``details`` says, as class probabilities; labels of other batches may be any."""
    sources, weights, _ = as_sources(details)
    expected = mix_target(labels, sources.clamp(min=0), weights * (sources >= 0))
    classes = int(max(expected.label.max(), target.label.max())) + 1
    actual, right = target.dense(classes), expected.dense(classes)
    if (sources < 0).any():
        assert torch.allclose(actual.sum(1), weights.sum(1), atol=1e-5), "labels of other batches have their weight"
        actual = actual.minimum(right)
    assert torch.allclose(actual, right, atol=1e-6), "the weight of each label is that of its image in details"


def check_source(weight_from, needs, details, draws):
    """The weight is the mean of the mask, or the drawn lam (which the mask of a batch method meets within a pixel)."""
    _, weights, masks = as_sources(details)
    if weight_from == "mask":
        assert torch.allclose(weights, masks.flatten(2).mean(2), atol=1e-5), "weights are not the means of the masks"
    if weight_from == "lam":
        lam = weights[:, 0]
        drawn = draws.get("lam", torch.ones(1))
        drawn = (drawn[:, 0] if drawn.ndim == 2 else drawn).expand_as(lam)  # of more than two images: that of the first
        on = draws.get("on", torch.ones(1, dtype=torch.bool)).expand_as(lam)
        assert torch.allclose(lam, torch.where(on, drawn, 1.0)), "lam is not the drawn one"
        if needs == "batch":
            pixels = masks[0, 0].numel()
            assert ((lam - masks[:, 0].flatten(1).mean(1)).abs() <= 1 / pixels + 1e-5).all()


def check_meaning(target, mixed):
    """Images of constant value i and label i: the mean pixel must be what the labels say."""
    said, seen = (target.weight * target.label).sum(1), mixed.mean((1, 2, 3))
    within = len(mixed) / math.prod(mixed.shape[2:]) + 1e-4  # one pixel
    assert torch.allclose(seen, said, atol=within), "labels are on the wrong image"


# -- the training loss --------------------------------------------------------------------------------------------


def both(method, net):
    """Every trainable parameter of the network and of the method, by name."""
    named = [*net.named_parameters(prefix="net"), *method.named_parameters(prefix="method")]
    return {name: p for name, p in named if p.requires_grad}


def check_loss(losses):
    loss = losses["loss"]
    assert loss.ndim == 0 and loss.requires_grad and loss.isfinite(), "a finite scalar to differentiate"
    assert all(isinstance(value, Tensor) and value.isfinite().all() for value in losses.values())


def check_every_parameter_learns(method, net, loss):
    """DDP waits for a gradient of each trainable parameter."""
    loss.backward()
    missing = [name for name, p in both(method, net).items() if p.grad is None]
    assert not missing, f"no gradient for {missing}"
    assert all(p.grad is None for p in method.parameters() if not p.requires_grad)


def check_accumulation(method, net, batch, criterion, draws):
    """Between two backward passes ``loss`` leaves the gradients alone, and they add up."""
    (method, net), (method2, net2) = copy.deepcopy((method, net)), copy.deepcopy((method, net))
    method.loss(net, *batch, criterion, draws)["loss"].backward()
    for p in both(method2, net2).values():
        p.grad = torch.ones_like(p)
    loss = method2.loss(net2, *batch, criterion, draws)["loss"]
    twins = both(method2, net2)
    assert all(p.grad is not None and (p.grad == 1).all() for p in twins.values()), "loss() changed gradients"
    loss.backward()
    for name, p in both(method, net).items():
        assert torch.allclose(twins[name].grad, 1 + p.grad, atol=1e-5), f"gradients of {name} do not add up"


def trace(method, net, images, labels, criterion, draws):
    """The losses, the images that ``net`` saw, and (target, value) of each call of the criterion, in order."""
    seen, calls = [], []
    handle = net.register_forward_pre_hook(lambda module, args: seen.append(args[0].detach().clone()))

    def watched(logits, target):
        calls.append((target, criterion(logits, target)))
        return calls[-1][1]

    losses = method.loss(net, images, labels, watched, draws)
    handle.remove()
    return losses, seen, calls
