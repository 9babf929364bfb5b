"""SuperMix: the step in closed form, masks that sum to 1, mixtures that a teacher reads as they were drawn."""
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from openmix.extras.supermix import agrees, divergence, newton_step, pixel_masks, supermix

CLASSES = 5


class Colours(nn.Module):
    """Sees class c in the mean of channel c, and the last class where no other has six tenths of a full one."""

    def forward(self, images):
        bright = images.mean((2, 3))[:, :4]
        return 48 * torch.cat([bright, torch.full_like(bright[:, :1], 0.15)], 1)


def batch(n=40, inputs=2, seed=0):
    """Images with one quarter bright in one channel, other quarters and channels in a mixture, and their classes."""
    generator = torch.Generator().manual_seed(seed)
    labels, quarters = (torch.stack([torch.randperm(4, generator=generator)[:inputs] for _ in range(n)])
                        for _ in range(2))
    place = torch.eye(4)[quarters].view(n, inputs, 2, 2).repeat_interleave(8, 2).repeat_interleave(8, 3)
    return torch.eye(4)[labels][..., None, None] * place[:, :, None], labels


def mixtures(iterations, seed=1, inputs=2, **options):
    images, labels = batch(inputs=inputs)
    made = supermix(Colours(), images, torch.Generator().manual_seed(seed), grid=8, iterations=iterations, **options)
    return images, labels, made


@pytest.mark.parametrize("inputs", [2, 3])
def test_nearly_all_mixtures_of_a_simple_teacher_are_solved_and_are_what_they_say(inputs):
    images, labels, made = mixtures(50, inputs=inputs)
    assert torch.equal(made.label, labels), "what the teacher sees in the images"
    assert made.solved.float().mean() > 0.9
    assert not agrees(Colours()(images.mean(1)), torch.eye(CLASSES)[labels].sum(1)).any(), "equal shares would not do"
    assert torch.allclose(made.masks.sum(1), torch.ones(()), atol=1e-5) and (made.masks >= 0).all()
    assert torch.allclose(made.images, (made.masks[:, :, None] * images).sum(1), atol=1e-6)
    assert torch.allclose(made.weight.sum(1), torch.ones(()), atol=1e-6)
    top = Colours()(made.images).topk(inputs).indices.sort(1).values
    assert torch.equal((top == labels.sort(1).values).all(1), made.solved)


def test_the_loss_falls_until_a_mixture_is_solved_and_masks_come_apart():
    def loss(made):
        target = torch.zeros(40, CLASSES).scatter_add_(1, made.label, made.weight)
        apart = (made.masks * (made.masks - 1)).abs().flatten(1).mean(1)
        return divergence(target, Colours()(made.images)) + 25 * apart
    first, last = (mixtures(count)[2] for count in (1, 50))
    assert torch.equal(first.weight, last.weight) and loss(last).mean() < loss(first).mean()


def test_a_solved_mixture_never_changes():
    images, labels = batch(inputs=3)
    short, long = (supermix(Colours(), images, torch.Generator().manual_seed(1), grid=8, iterations=count)
                   for count in (3, 30))
    solved = short.solved
    assert solved.any() and torch.equal(short.images[solved], long.images[solved])
    assert not solved.all() and not torch.equal(short.images[~solved], long.images[~solved])


def test_a_step_is_that_of_newton_down_a_linear_loss():
    gradient = torch.randn(5, 2, 6, 6, generator=torch.Generator().manual_seed(0))
    loss = torch.tensor([0.1, 1, 2, 5, 10.0])
    step = newton_step(gradient, loss, 1.0)
    assert torch.allclose((gradient * step).flatten(1).sum(1), loss, rtol=1e-4), "a linear loss would be 0"
    taps = torch.exp(-torch.arange(-2.0, 3) ** 2 / 2)
    kernel = torch.outer(taps, taps) / taps.sum() ** 2
    inner = F.conv2d(gradient.flatten(0, 1)[:, None], kernel[None, None]).view(5, 2, 2, 2)
    ratio = step[:, :, 2:-2, 2:-2] / inner
    assert torch.allclose(ratio, ratio[:, :1, :1, :1].expand_as(ratio), rtol=1e-3), "along the blurred gradient"


@pytest.mark.parametrize("scale, bound", [(1e-6, 2000.0), (1e6, 1e-4)])
def test_the_length_of_a_step_is_bounded(scale, bound):
    gradient = torch.full((1, 2, 8, 8), scale)
    assert torch.allclose(newton_step(gradient, torch.ones(1), 1.0)[..., 4, 4], torch.tensor(bound * scale), rtol=1e-4)
    assert (newton_step(gradient * 0, torch.zeros(1), 1.0) == 0).all()


def test_masks_start_as_equal_shares_and_are_sigmoids_normalised():
    assert torch.allclose(pixel_masks(torch.zeros(2, 3, 4, 4), (16, 16)), torch.tensor(1 / 3))
    logits = torch.randn(2, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    shares = torch.sigmoid(logits)
    assert torch.allclose(pixel_masks(logits, (4, 4)), shares / shares.sum(1, keepdim=True))


def test_agreement_asks_for_the_set_of_classes_whatever_their_order():
    target = torch.tensor([[0.6, 0.4, 0], [0.6, 0.4, 0], [0.0, 1, 0], [0.6, 0.4, 0]])
    logits = torch.tensor([[2.0, 3, 1], [3.0, 1, 2], [1.0, 3, 2], [3, 2, 1]])
    assert agrees(logits, target).tolist() == [True, False, True, True], "one class: two images of it"


def test_the_divergence_is_that_of_the_target_from_the_prediction():
    generator = torch.Generator().manual_seed(0)
    target, logits = (torch.randn(6, 5, generator=generator) for _ in range(2))
    target = target.softmax(1)
    expected = F.kl_div(logits.log_softmax(1), target, reduction="none").sum(1)
    assert torch.allclose(divergence(target, logits), expected, atol=1e-6)
    assert divergence(torch.eye(5), torch.eye(5) * 50).abs().max() < 1e-6, "zeros in the target count nothing"


@pytest.mark.parametrize("options, match", [(dict(alpha=0), "alpha"), (dict(grid=0), "grid"), (dict(sigma=0), "sigma"),
                                            (dict(iterations=0), "iterations")])
def test_options_out_of_range_are_refused(options, match):
    with pytest.raises(ValueError, match=match):
        supermix(Colours(), batch(2)[0], **options)
    with pytest.raises(ValueError, match=r"\(N, K, C, H, W\)"):
        supermix(Colours(), torch.rand(3, 3, 8, 8))
