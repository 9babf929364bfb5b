"""Negative controls: methods that are wrong on purpose must fail the check that is there for their defect."""
import pytest
import torch
from torch import nn
from torch._subclasses.fake_tensor import DataDependentOutputException, FakeTensorMode

from openmix import sampling
from openmix.mixups import CutMix, MixMethod, MixUp
from openmix.registry import MIXUPS
from openmix.target import Target, as_sources, mix_target
from tests.mixups.contract import (
    cases,
    check_accumulation,
    check_blend,
    check_details,
    check_drawing,
    check_every_parameter_learns,
    check_form,
    check_forms_agree,
    check_layout,
    check_meaning,
    check_pure,
    check_source,
    check_target,
    check_weights,
    generator,
    network,
)


class SwappedLabels(CutMix):
    def target(self, labels, lam, draws, k=1):
        return super().target(labels, 1 - lam, draws, k)


class WritesIntoTheBatch(MixUp):
    def forward(self, images, labels, draws=None):
        mixed, target = super().forward(images, labels, draws)
        return images.copy_(mixed), target


class DrawsGlobally(MixUp):
    def draw(self, n, size, generator=None, steps=(), device=None):
        return super().draw(n, size, None, steps, device)


class DrawsInForward(MixUp):
    def mask(self, images, draws):
        return super().mask(images, draws) * torch.rand(1)


class WeightIsNotTheMask(CutMix):
    def box_mask_lam(self, images, draws):
        return *super().box_mask_lam(images, draws)[:2], draws["lam"]  # what was drawn before the box was clipped


class PastesElsewhere(CutMix):
    def partner(self, values, draws, k=1):
        actual = super().partner(values, draws, k)
        return actual.flip(-1) if actual.ndim == 4 else actual


class WeightsAboveOne(MixUp):
    def target(self, labels, lam, draws, k=1):
        label, weight = super().target(labels, lam, draws, k)
        return Target(label, 2 * weight)


class NotAPairing(MixUp):
    def partner(self, values, draws, k=1):
        return values[:1].expand_as(values).clone()


class OneDrawTooMany(MixUp):
    def draw(self, n, size, generator=None, steps=(), device=None):
        draws = super().draw(n, size, generator, steps, device)
        return {**draws, "lam": sampling.beta(self.alpha, (*steps, n + 1), generator, device)}


class NoiseInTheDraws(MixUp):
    def draw(self, n, size, generator=None, steps=(), device=None):
        noise = sampling.uniform(0, 1, (*steps, n, *size), generator, device)
        return {**super().draw(n, size, generator, steps, device), "noise": noise}


class ReadsTheDevice(MixUp):
    def mask(self, images, draws):
        return torch.full((len(images), 1, 1, 1), draws["lam"].mean().item())


class BackwardForSaliency(MixUp):
    def loss(self, net, images, labels, criterion, draws=None, progress=0.0):
        criterion(net(images), labels).backward()
        net.zero_grad()
        return super().loss(net, images, labels, criterion, draws, progress)


class IdleParameter(MixUp):
    def attach(self, net):
        self.idle = nn.Parameter(torch.zeros(3))


class NeedsAttention(IdleParameter):
    """Of a kind that no test names."""

    needs = "attention"


class NearestNeighbour(NotAPairing):
    """All pair with the first image, and it says so."""

    permutes = False


class Three(MixMethod):
    """An image and its two predecessors, a third each."""

    def forward(self, images, labels, draws=None):
        sources, weights, _ = as_sources(self.details(images, draws))
        return sum(images.roll(k, 0) for k in range(3)) / 3, mix_target(labels, sources, weights)

    def details(self, images, draws, net=None, labels=None):
        n = len(images)
        sources = torch.stack([torch.arange(n).roll(k) for k in range(3)], 1)
        return dict(sources=sources, weights=torch.full((n, 3), 1 / 3),
                    masks=torch.full((n, 3, *images.shape[2:]), 1 / 3))


class ThreeWithWrongLabels(Three):
    def forward(self, images, labels, draws=None):
        mixed, target = super().forward(images, labels, draws)
        return mixed, Target(target.label, torch.tensor([[0.5, 0.25, 0.25]]).expand(len(images), 3))


class SourceOutside(Three):
    def details(self, images, draws, net=None, labels=None):
        made = super().details(images, draws)
        return {**made, "sources": made["sources"] + 1}


def mix(method, batch, seed=0):
    draws = method.draw(len(batch[0]), batch[0].shape[2:], generator(seed))
    return draws, *method(*batch, draws)


def test_right_methods_pass_what_the_wrong_ones_fail(make_batch):
    method, batch = CutMix(), make_batch()
    draws, mixed, target = mix(method, batch, seed=1)
    details = method.details(batch[0], draws)
    check_target(target, 6)
    check_blend(details, batch[0], mixed)
    check_weights(details, batch[1], target)
    check_source("mask", "batch", details, draws)
    assert 0 < details["lam"][0] < 1 and details["lam"][0] != draws["lam"][0], "this draw would show a defect"


def test_swapped_labels_are_noticed(make_batch):
    method = SwappedLabels()
    images = torch.arange(6.0).reshape(6, 1, 1, 1).expand(6, 3, 32, 32)
    _, mixed, target = mix(method, (images, torch.arange(6)), seed=1)
    with pytest.raises(AssertionError, match="wrong image"):
        check_meaning(target, mixed)
    batch = make_batch()
    draws, _, target = mix(method, batch, seed=1)
    with pytest.raises(AssertionError, match="weight of each label"):
        check_weights(method.details(batch[0], draws), batch[1], target)


def test_writing_into_the_batch_is_noticed(make_batch):
    method = WritesIntoTheBatch()
    with pytest.raises(AssertionError, match="written to"):
        check_form(method, *make_batch(), method.draw(6, (32, 32)))


def test_use_of_the_global_generator_is_noticed(make_batch, rng_untouched):
    with pytest.raises(AssertionError, match="global random state"):
        check_drawing(DrawsGlobally(), 6, (32, 32), rng_untouched)
    method = DrawsInForward()
    with pytest.raises(AssertionError, match="global random state"):
        check_pure(method, *make_batch(), method.draw(6, (32, 32)), rng_untouched)


def test_a_weight_that_is_not_the_area_is_noticed(make_batch):
    method, batch = WeightIsNotTheMask(), make_batch()
    draws, _, _ = mix(method, batch, seed=1)
    with pytest.raises(AssertionError, match="means of the masks"):
        check_source("mask", "batch", method.details(batch[0], draws), draws)


def test_a_box_copied_otherwise_than_blended_is_noticed(make_batch, monkeypatch):
    with pytest.raises(AssertionError):
        check_forms_agree(PastesElsewhere(), *make_batch(), monkeypatch)


def test_pixels_from_elsewhere_are_noticed(make_batch):
    method, batch = PastesElsewhere(), make_batch()
    draws, mixed, _ = mix(method, batch, seed=1)
    with pytest.raises(AssertionError, match="partner"):
        check_blend(method.details(batch[0], draws), batch[0], mixed)


def test_weights_that_do_not_sum_to_1_are_noticed(make_batch):
    _, _, target = mix(WeightsAboveOne(), make_batch())
    with pytest.raises(AssertionError, match="sum to 1"):
        check_target(target, 6)


def test_a_pairing_that_leaves_images_out_is_noticed(make_batch):
    method, (images, _) = NotAPairing(), make_batch()
    with pytest.raises(AssertionError, match="partner of one"):
        check_details(method.details(images, method.draw(6, (32, 32))), 6, (32, 32))


@pytest.mark.parametrize("method", [OneDrawTooMany(), NoiseInTheDraws()], ids=lambda m: type(m).__name__)
def test_draws_that_cannot_be_cut_or_are_big_are_noticed(method):
    with pytest.raises(AssertionError):
        check_layout(method, 6, (32, 32))


def test_reading_the_device_is_noticed():
    with FakeTensorMode(), pytest.raises(DataDependentOutputException):
        ReadsTheDevice()(torch.empty(6, 3, 32, 32, device="cuda"), torch.empty(6, dtype=torch.int64, device="cuda"))


def test_a_backward_pass_inside_the_loss_is_noticed(make_net, make_batch, criterion):
    method = BackwardForSaliency()
    with pytest.raises(AssertionError, match="changed gradients"):
        check_accumulation(method, make_net(), make_batch(4), criterion, method.draw(4, (32, 32)))


def test_a_parameter_that_gets_no_gradient_is_noticed(make_net, make_batch, criterion):
    method, net = IdleParameter(), make_net()
    method.attach(net)
    with pytest.raises(AssertionError, match="method.idle"):
        check_every_parameter_learns(method, net, method.loss(net, *make_batch(4), criterion)["loss"])


def test_a_pairing_that_is_no_permutation_passes_where_it_is_declared(make_batch):
    method, (images, labels) = NearestNeighbour(), make_batch()
    draws, mixed, target = mix(method, (images, labels))
    details = method.details(images, draws)
    check_details(details, 6, (32, 32), method)
    check_blend(details, images, mixed)
    check_weights(details, labels, target)


def test_three_sources_pass_and_their_defects_are_noticed(make_batch):
    images, labels = make_batch()
    for method in (Three(), ThreeWithWrongLabels(), SourceOutside()):
        details = method.details(images, {})
        if isinstance(method, SourceOutside):
            with pytest.raises(AssertionError, match="image of the batch"):
                check_details(details, 6, (32, 32), method)
            continue
        mixed, target = method(images, labels)
        check_details(details, 6, (32, 32), method)
        check_blend(details, images, mixed)
        check_source("mask", "batch", details, {})
        check_target(target, 6)
        with pytest.raises(AssertionError, match="sum of the sources"):
            check_blend(details, images, mixed.flip(0))
        if isinstance(method, ThreeWithWrongLabels):
            with pytest.raises(AssertionError, match="weight of each label"):
                check_weights(details, labels, target)
        else:
            check_weights(details, labels, target)


def test_weights_of_any_sum_pass_where_they_are_declared(make_batch):
    _, _, target = mix(WeightsAboveOne(), make_batch())
    check_target(target, 6, sums_to_one=False)


def test_a_method_of_a_new_kind_gets_every_test_of_methods_with_a_network(monkeypatch, make_net, make_batch, criterion):
    monkeypatch.setitem(MIXUPS._module_dict, "NeedsAttention", NeedsAttention)
    assert "NeedsAttention" in {case.values[0] for case in cases(needs=network)} & {c.values[0] for c in cases()}
    assert not {case.values[0] for case in cases(needs=network)} & {"MixUp", "CutMix"}
    method, net = NeedsAttention(), make_net()
    method.attach(net)
    with pytest.raises(AssertionError, match="method.idle"):
        check_every_parameter_learns(method, net, method.loss(net, *make_batch(4), criterion)["loss"])
