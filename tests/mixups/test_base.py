"""The base of mixing methods: options, pairing, draws of many steps, methods of one's own."""
import inspect
import math

import pytest
import torch
from torch import nn

from openmix.mixups import CutMix, MaskMethod, MixUp, Vanilla
from openmix.mixups.base import MixMethod, touch_parameters
from openmix.plan import draws_at, draws_to


class HalfAndHalf(MaskMethod):
    """What a user would write: the upper half of the first image."""

    def mask(self, images, draws):
        upper = torch.arange(images.shape[2], device=images.device) < images.shape[2] // 2
        return upper[:, None].expand(images[:1, :1].shape)


class TwoPairings(MixUp):
    pairs = 2


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def test_a_mask_is_all_that_a_method_of_ones_own_needs(make_batch):
    images, labels = make_batch(4, (10, 6))
    mixed, target = HalfAndHalf()(images, labels)
    assert torch.equal(mixed[:, :, :5], images[:, :, :5]) and torch.equal(mixed[:, :, 5:], images.roll(1, 0)[:, :, 5:])
    assert torch.equal(target.weight, torch.full((4, 2), 0.5))


def test_roll_pairs_each_image_with_the_kth_before_it():
    values = torch.arange(5)
    method = MixUp()
    assert method.partner(values, {}).tolist() == [4, 0, 1, 2, 3]
    assert method.partner(values, {}, k=2).tolist() == [3, 4, 0, 1, 2]


def test_perm_draws_uniform_permutations_and_independent_ones():
    method, values = TwoPairings(pairing="perm"), torch.arange(4)
    plan = method.draw(4, (8, 8), generator(), steps=(2400,))
    assert plan["order"].shape == (2400, 4, 2)
    counts, equal = {}, 0
    for i in range(2400):
        first, second = (tuple(method.partner(values, draws_at(plan, i), k).tolist()) for k in (1, 2))
        counts[first] = counts.get(first, 0) + 1
        equal += first == second
    assert len(counts) == math.factorial(4)  # 100 of each expected, standard deviation 10
    assert max(abs(count - 100) for count in counts.values()) < 45
    assert equal == pytest.approx(100, abs=45)


def test_perm_moves_images_and_labels_together(make_batch):
    images, labels = make_batch()
    method = MixUp(pairing="perm")
    draws = method.draw(6, (32, 32), generator(3))
    index = method.partner(torch.arange(6), draws)
    _, target = method(images, labels, draws)
    assert index.tolist() != list(range(6)) and torch.equal(target.label[:, 1], labels[index])


def test_prob_is_drawn_for_the_batch_or_for_each_image():
    assert MixUp(prob=0.5).draw(4, (8, 8), steps=(3,))["on"].shape == (3, 1)
    assert MixUp(prob=0.5, per_sample=True).draw(4, (8, 8), steps=(3,))["on"].shape == (3, 4)
    on = MixUp(prob=0.3).draw(4, (8, 8), generator(), steps=(5000,))["on"]
    assert on.float().mean() == pytest.approx(0.3, abs=4 * math.sqrt(0.21 / 5000))


def test_one_step_reaches_into_nested_draws_and_host_choices():
    plan = dict(lam=torch.tensor([[1.0], [2.0]]), choice=[5, 6], inner=dict(layer=[7, 8], key=torch.tensor([[3], [4]])))
    actual = draws_at(plan, 1)
    assert actual["choice"] == 6 and actual["inner"]["layer"] == 8
    assert actual["lam"].tolist() == [2.0] and actual["inner"]["key"].tolist() == [4]


def test_draws_move_to_the_device_of_the_images():
    draws = draws_to(dict(lam=torch.ones(1), choice=3, inner=dict(key=torch.ones(1))), "meta")
    assert draws["lam"].is_meta and draws["inner"]["key"].is_meta and draws["choice"] == 3


def test_touching_gives_trainable_parameters_a_zero_gradient_and_keeps_the_loss():
    module = nn.Sequential(nn.Linear(3, 2), nn.Linear(2, 2).requires_grad_(False))
    weight = torch.tensor(2.0, requires_grad=True)
    loss = touch_parameters(module, weight * 3)
    assert loss == 6
    loss.backward()
    assert weight.grad == 3
    assert all((p.grad == 0).all() for p in module[0].parameters())
    assert all(p.grad is None for p in module[1].parameters())
    assert touch_parameters(nn.Identity(), weight) is weight


def test_vanilla_hands_out_the_batch_and_plain_labels(make_batch):
    images, labels = make_batch()
    mixed, target = Vanilla()(images, labels)
    assert torch.equal(mixed, images)
    assert target.label.tolist() == labels[:, None].tolist() and (target.weight == 1).all()
    assert torch.equal(Vanilla(num_classes=10)(images, labels)[1], torch.eye(10)[labels])


@pytest.mark.parametrize("options, message", [
    (dict(prob=1.5), "prob must lie in"), (dict(prob=-0.1), "prob must lie in"), (dict(prob=math.nan), "prob must lie"),
    (dict(pairing="flip"), "pairing must be one of.*roll.*perm.*'flip'"), (dict(num_classes=0), "num_classes must be"),
])
def test_options_out_of_range_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        MixUp(**options)


def test_blending_uint8_images_is_refused_with_the_way_out():
    with pytest.raises(ValueError, match=r"MixUp blends pixels.*uint8.*float\(\) / 255"):
        MixUp()(torch.zeros(2, 3, 8, 8, dtype=torch.uint8), torch.arange(2))


def test_a_batch_is_mixed_once_not_twice(make_batch):
    images, labels = make_batch()
    with pytest.raises(TypeError, match="Target.*dense"):
        MixUp()(*MixUp()(images, labels))
    mixed, target = MixUp(num_classes=10)(*MixUp(num_classes=10)(images, labels))
    assert mixed.shape == images.shape and torch.allclose(target.sum(1), torch.ones(6))


@pytest.mark.parametrize("build, message", [
    (lambda: CutMix(alhpa=1), "CutMix has no option 'alhpa'; did you mean 'alpha'? known: alpha, correct_lam"),
    (lambda: Inherited(1, probb=2), "Inherited has no option 'probb'; did you mean 'prob'? known: alpha, correct"),
    (lambda: Vanilla(alpha=1), "Vanilla has no option 'alpha'; known: num_classes"),
    (lambda: MixMethod(aplha=1), "MixMethod has no option 'aplha'; did you mean 'alpha'?"),
])
def test_an_unknown_option_names_the_class_that_was_built_and_the_nearest_known(build, message):
    with pytest.raises(TypeError) as error:
        build()
    assert message in str(error.value)


class Inherited(CutMix):
    def __init__(self, extra, alpha=1.0, **options):
        super().__init__(alpha, **options)


def test_other_errors_of_constructors_and_their_signatures_stay():
    with pytest.raises(TypeError, match="missing 1 required positional argument: 'extra'"):
        Inherited()
    assert list(inspect.signature(Inherited.__init__).parameters) == ["self", "extra", "alpha", "options"]
    assert Inherited(1, prob=0.5).prob == 0.5
