import math

import pytest
import torch

from openmix.momentum import cosine_down, follow, follow_rate

PUBLISHED = dict(momentum=0.999, end=0.999999, warmup=0.1)


def published_momentum(k, steps, base=0.999, end=0.999999):
    """The momentum after k of the steps, as the paper's schedule is written."""
    return base if k < steps / 10 else end - (end - base) * (1 + math.cos(math.pi * k / steps)) / 2


@pytest.mark.parametrize("k", [0, 50, 99, 100, 101, 500, 900, 1000])
def test_the_rate_is_one_minus_the_published_momentum(k):
    assert follow_rate(k / 1000, **PUBLISHED) == pytest.approx(1 - published_momentum(k, 1000), rel=1e-9)


def test_values_at_the_start_after_ten_percent_and_at_the_end():
    jump = 1e-6 + 999e-6 * (1 + math.cos(0.1 * math.pi)) / 2
    for progress, expected in ((0.0, 1e-3), (0.0999, 1e-3), (0.1, jump), (0.5, 1e-6 + 999e-6 / 2), (1.0, 1e-6)):
        assert follow_rate(progress, **PUBLISHED) == pytest.approx(expected, rel=1e-6)
    assert jump < 1e-3


def test_a_tensor_gives_the_rate_of_the_number_to_float32():
    for progress in (0.0, 0.05, 0.1001, 0.5, 0.99, 1.0):
        rate = follow_rate(torch.tensor(progress), **PUBLISHED)
        assert rate.item() == pytest.approx(follow_rate(progress, **PUBLISHED), rel=1e-3)
    assert cosine_down(torch.tensor(1 / 3)).item() == pytest.approx(0.75)


@pytest.mark.parametrize("rate", [0.0, 0.25, 1.0])
def test_following_is_in_place_and_moves_by_the_rate(rate):
    students = [torch.randn(3, 4, requires_grad=True), torch.randn(5), torch.randn(())]
    for form in (rate, torch.tensor(rate)):
        teachers = [torch.randn_like(s) for s in students]
        expected = [t + rate * (s.detach() - t) for t, s in zip(teachers, students, strict=True)]
        places = [t.data_ptr() for t in teachers]
        follow(iter(teachers), iter(students), form)
        assert [t.data_ptr() for t in teachers] == places
        for teacher, student, wanted in zip(teachers, students, expected, strict=True):
            assert torch.allclose(teacher, wanted, atol=1e-6) and not teacher.requires_grad
            assert rate < 1 or isinstance(form, torch.Tensor) or torch.equal(teacher, student)
