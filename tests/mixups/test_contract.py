"""What holds for every registered mixing method: draws, images and labels of batch mixing, ``details``.

The training loss is in ``test_contract_network.py``; that the checks bite, in ``test_contract_controls.py``.
"""
import math

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode, unset_fake_temporarily

from openmix import sampling
from openmix.registry import MIXUPS
from openmix.target import as_sources
from tests.mixups.contract import (
    batch,
    blended,
    cases,
    check_blend,
    check_details,
    check_drawing,
    check_form,
    check_forms_agree,
    check_layout,
    check_meaning,
    check_pure,
    check_source,
    check_target,
    check_weights,
    chosen_method,
    fake_teachers,
    generator,
    make,
    moves_pixels,
    network,
    part,
    same,
)

every = pytest.mark.parametrize("name, options", cases())
batch_only = pytest.mark.parametrize("name, options", cases(needs=batch))
plain_batch_only = pytest.mark.parametrize("name", [p.values[0] for p in cases(dict(default={}), batch)])


# -- draws ----------------------------------------------------------------------------------------------------------


@every
def test_draws_are_a_function_of_the_generator_and_leave_the_global_state_alone(name, options, rng_untouched):
    check_drawing(make(name, **options), 6, (32, 32), rng_untouched)


@every
def test_draws_of_many_steps_have_small_rows_that_ranks_can_cut(name, options, make_batch):
    method = make(name, **options)
    rows = check_layout(method, 6, (32, 32))
    images, labels = make_batch()
    for draws in rows if method.needs == "batch" else ():
        for cut in (slice(0, 3), slice(3, 6)):
            mine = part(draws, cut.start, cut.stop, 6)
            mixed, target = method(images[cut], labels[cut], mine)
            check_target(target, 3, method.sums_to_one)
            details = method.details(images[cut], mine, labels=labels[cut])
            check_details(details, 3, (32, 32), method)
            check_weights(details, labels[cut], target)


# -- batch mixing----------------------------------------------------------------------------------------------------


@batch_only
@pytest.mark.parametrize("n, size", [(6, (32, 32)), (1, (16, 16)), (5, (20, 36))], ids=str)
def test_images_labels_and_details_tell_one_story(name, options, n, size, make_batch, rng_untouched):
    method, (images, labels) = make(name, **options), make_batch(n, size)
    for seed in range(8):
        draws = method.draw(n, size, generator(seed))
        mixed, target = check_form(method, images, labels, draws)
        check_target(target, n, method.sums_to_one)
        check_pure(method, images, labels, draws, rng_untouched)
        details, inner = method.details(images, draws, labels=labels), chosen_method(method, draws)
        check_details(details, n, size, inner)
        if inner.blends:
            check_blend(details, images, mixed)
        check_weights(details, labels, target)
        check_source(inner.weight_from, inner.needs, details, draws.get(str(draws.get("choice")), draws))


@batch_only
def test_labels_belong_to_the_pixels_that_are_there(name, options):
    method, n = make(name, **options), 6
    images = torch.arange(float(n)).reshape(n, 1, 1, 1).expand(n, 3, 32, 32)
    for seed in range(8):
        mixed, target = method(images, torch.arange(n), method.draw(n, (32, 32), generator(seed)))
        check_meaning(target, mixed)


@batch_only
def test_equal_images_stay_what_they_are(name, options):
    method, images = make(name, **options), torch.full((4, 3, 32, 32), 0.7)
    mixed, _ = method(images, torch.arange(4), method.draw(4, (32, 32), generator()))
    assert torch.allclose(mixed, images, atol=1e-5)


@pytest.mark.parametrize("name, options", cases(dict(off=dict(prob=0), rows=dict(prob=0, per_sample=True)), batch))
def test_prob_0_leaves_batch_and_labels_alone(name, options, make_batch):
    method, (images, labels) = make(name, **options), make_batch()
    mixed, target = method(images, labels)
    assert torch.equal(mixed, images)
    assert torch.equal(target.dense(10), torch.eye(10)[labels])


@pytest.mark.parametrize("name", [p.values[0] for p in cases(dict(half=dict(prob=0.5, per_sample=True)), batch)])
def test_prob_is_the_share_of_images_that_are_mixed(name):
    method = make(name, prob=0.25, per_sample=True)
    on = method.draw(100, (32, 32), generator(), steps=(50,))["on"]
    assert abs(on.float().mean() - 0.25) < 4 * math.sqrt(0.25 * 0.75 / 5000)


@pytest.mark.parametrize("name", [p.values[0] for p in cases(dict(dense=dict(num_classes=10)), batch)])
def test_num_classes_hands_out_what_the_target_says(name, make_batch):
    images, labels = make_batch()
    sparse, dense = make(name), make(name, num_classes=10)
    draws = sparse.draw(6, (32, 32), generator())
    probabilities = dense(images, labels, draws)[1]
    assert torch.allclose(probabilities, sparse(images, labels, draws)[1].dense(10), atol=1e-6)
    assert torch.allclose(dense(images, torch.eye(10)[labels], draws)[1], probabilities, atol=1e-6)
    with pytest.raises(ValueError, match="num_classes=10"):
        dense(images, torch.eye(4)[labels % 4], draws)


@plain_batch_only
def test_probabilities_are_mixed_like_indices(name, make_batch):
    method, (images, labels) = make(name), make_batch()
    draws = method.draw(6, (32, 32), generator())
    target = method(images, torch.eye(10)[labels], draws)[1]
    check_target(target, 6, method.sums_to_one)
    assert torch.allclose(target.dense(10), method(images, labels, draws)[1].dense(10), atol=1e-6)


DRAWN_LAM = [name for name, method in ((name, make(name)) for name in MIXUPS.known())
             if method.needs == "batch" and method.weight_from == "lam" and "lam" in method.draw(2, (32, 32))]


def test_there_are_methods_that_weigh_labels_by_the_drawn_lam():
    assert {"MixUp", "FMix"} <= set(DRAWN_LAM)


@pytest.mark.parametrize("name", DRAWN_LAM)
def test_drawn_lam_1_keeps_the_batch_and_lam_0_takes_the_partners(name, make_batch):
    method, (images, labels) = make(name), make_batch()
    draws = method.draw(6, (32, 32), generator())
    sources = as_sources(method.details(images, draws, labels=labels))[0]
    for lam, expected in ((1.0, images), (0.0, images[sources[:, 1]])):
        mixed, _ = method(images, labels, {**draws, "lam": torch.full_like(draws["lam"], lam)})
        assert torch.equal(mixed, expected)


@plain_batch_only
@pytest.mark.parametrize("dtype, atol", [(torch.bfloat16, 0.05), (torch.float64, 1e-5)], ids=str)
def test_other_float_types_stay_and_blend_right(name, dtype, atol, make_batch):
    method, (images, labels) = make(name), make_batch(dtype=dtype)
    draws = method.draw(6, (32, 32), generator())
    mixed, target = check_form(method, images, labels, draws)
    check_target(target, 6, method.sums_to_one)
    if chosen_method(method, draws).blends:
        check_blend(method.details(images, draws), images, mixed, atol)


@plain_batch_only
def test_uint8_images_are_moved_exactly_or_refused_readably(name, make_batch):
    method, (images, labels) = make(name), make_batch()
    images = (images * 50 + 128).clamp(0, 255).byte()
    draws = method.draw(6, (32, 32), generator())
    try:
        mixed, _ = check_form(method, images, labels, draws)
    except ValueError as error:
        assert "float" in str(error) and "uint8" in str(error)
        return
    assert mixed.dtype == torch.uint8
    if chosen_method(method, draws).blends:
        assert torch.equal(mixed, blended(method.details(images, draws, labels=labels), images))


# -- the copy of a box on a CPU, and what runs on every device ----------------------------------------------------


@batch_only
@pytest.mark.parametrize("n, size", [(5, (32, 32)), (1, (12, 12)), (4, (20, 36))], ids=str)
def test_copying_a_box_on_a_cpu_changes_no_bit(name, options, n, size, make_batch, monkeypatch):
    check_forms_agree(make(name, **options), *make_batch(n, size), monkeypatch)


@pytest.mark.parametrize("name, options", [c.values for c in cases(needs=batch) if moves_pixels(*c.values)])
def test_copying_a_box_on_a_cpu_changes_no_integer_pixel(name, options, make_batch, monkeypatch):
    images, labels = make_batch(5, (20, 20))
    check_forms_agree(make(name, **options), (images * 50 + 128).clamp(0, 255).byte(), labels, monkeypatch)


@plain_batch_only
def test_without_draws_the_default_generator_decides(name, make_batch):
    method, (images, labels), actual = make(name), make_batch(), []
    for _ in range(2):
        torch.manual_seed(3)
        actual.append(method(images, labels))
    assert torch.equal(actual[0][0], actual[1][0]) and same(actual[0][1]._asdict(), actual[1][1]._asdict())


@plain_batch_only
def test_gradient_reaches_an_image_through_what_is_kept_of_it(name, make_batch):
    method, (images, labels) = make(name), make_batch()
    draws = method.draw(6, (32, 32), generator())
    if chosen_method(method, draws).blends:
        details = method.details(images, draws)
        (gradient,) = torch.autograd.grad(method(images.requires_grad_(), labels, draws)[0].sum(), images)
        sources, _, masks = as_sources(details)
        expected = torch.zeros_like(masks[:, :1])
        for k in range(sources.shape[1]):
            expected.index_add_(0, sources[:, k], masks[:, k:k + 1])
        assert torch.allclose(gradient, expected.expand_as(gradient), atol=1e-5)


@batch_only
@pytest.mark.parametrize("drawn_on", ["cpu", "cuda", "inside"])
def test_nothing_reads_the_device_or_has_shapes_that_depend_on_data(name, options, drawn_on, monkeypatch):
    """Fake CUDA tensors have no values: ``.item()``, boolean indexing or a stray CPU tensor would raise."""
    def choose(*args):  # the one place where the host may look: into numbers of its own
        with unset_fake_temporarily():
            return real_choose(*args)

    real_choose, method = sampling.choose, make(name, **options)
    monkeypatch.setattr(sampling, "choose", choose)
    with FakeTensorMode():
        fake_teachers(method, "cuda")
        images, labels = torch.empty(6, 3, 32, 32, device="cuda"), torch.empty(6, dtype=torch.int64, device="cuda")
        draws = None if drawn_on == "inside" else method.draw(6, (32, 32), device=drawn_on)
        mixed, target = method(images, labels, draws)
        details = method.details(images, draws if draws else method.draw(6, (32, 32), device="cuda"))
        assert (mixed.shape, mixed.device.type) == (images.shape, "cuda")
        assert {t.device.type for t in (*target, *as_sources(details))} == {"cuda"}


@pytest.mark.parametrize("name", [p.values[0] for p in cases(dict(default={}), network)])
def test_a_method_that_needs_the_network_says_so_when_called(name, make_batch):
    with pytest.raises(TypeError, match="attach.*loss"):
        make(name)(*make_batch())


@plain_batch_only
@pytest.mark.parametrize("labels", [torch.zeros(5).long(), torch.zeros(6), torch.zeros(6, 1).long()],
                         ids=["too few", "float", "a column of integers"])
def test_wrong_labels_are_refused_readably(name, labels, make_batch):
    with pytest.raises(ValueError, match="labels must be 6 class indices"):
        make(name)(make_batch()[0], labels)
