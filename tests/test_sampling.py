"""Everything that draws: distributions, counter-based noise, host choices, and whose random state is used."""
import math
from itertools import product

import pytest
import torch

from openmix import sampling


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("a, b", [(0.2, None), (1, None), (2, 2.0), (0.5, 3.0), (3.0, 0.5), (0.05, 0.02), (4, 0.1)])
def test_beta_has_the_moments_of_the_closed_form(a, b):
    draw, b = sampling.beta(a, (100_000,), generator(), b=b), b or a
    mean, variance = a / (a + b), a * b / ((a + b) ** 2 * (a + b + 1))
    assert draw.dtype == torch.float32 and (draw >= 0).all() and (draw <= 1).all()
    assert draw.mean() == pytest.approx(mean, abs=4 * math.sqrt(variance / 1e5))
    assert draw.var() == pytest.approx(variance, rel=0.05, abs=1e-4)


@pytest.mark.parametrize("alpha", [0.09, 0.02, 0.005, 1e-4, 1e-8])
def test_beta_of_tiny_alpha_nears_a_fair_coin_and_never_half(alpha):
    """Both gammas underflow there; a quotient of two clamped ones would be 1/2."""
    draw = sampling.beta(alpha, (100_000,), generator())
    assert draw.isfinite().all()
    assert draw.mean() == pytest.approx(0.5, abs=4 * 0.5 / math.sqrt(1e5))
    assert draw.var() == pytest.approx(1 / (4 * (2 * alpha + 1)), rel=0.01)
    near_half = ((draw - 0.5).abs() < 0.01).double().mean()
    assert near_half == pytest.approx(0.02 * 4 * alpha / 2, abs=2e-3)  # density at 1/2 is about 2 alpha


@pytest.mark.parametrize("alpha", [0.5, 0.01])
def test_drawing_with_a_generator_repeats_and_leaves_the_global_state(alpha, rng_untouched):
    def draw():
        g = generator(3)
        return [sampling.beta(alpha, (4,), g), sampling.uniform(-1, 2, (4,), g), sampling.integers(9, (4,), g),
                sampling.centres((4, 6), (4,), g), sampling.keys((4,), g), sampling.inner_boxes((0, 1), (5, 7), (), g)]

    with rng_untouched():
        first, second = draw(), draw()
        choices = [sampling.choose([1, 2], (9,), generator(3)) for _ in range(2)]
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))
    assert choices[0] == choices[1]


def test_centres_are_rows_then_columns_and_uniform():
    centre = sampling.centres((3, 5), (15_000,), generator())
    counts = torch.zeros(3, 5).index_put_(tuple(centre.unbind(-1)), torch.ones(15_000), accumulate=True)
    assert (counts - 1000).abs().max() < 5 * math.sqrt(1000)


def test_inner_boxes_stay_inside_with_sides_in_range():
    box = sampling.inner_boxes((0.2, 0.6), (10, 30), (4000,), generator())
    top, bottom, left, right = box.unbind(-1)
    assert (top >= 0).all() and (bottom <= 10).all() and (left >= 0).all() and (right <= 30).all()
    assert set((bottom - top).tolist()) == {2, 3, 4, 5} and set((right - left).tolist()) == set(range(6, 18))
    for length in (2, 5):  # every place is as likely as any other
        starts = top[(bottom - top) == length]
        counts = torch.bincount(starts, minlength=11 - length)
        assert len(counts) == 11 - length
        expected = len(starts) / len(counts)
        assert (counts - expected).abs().max() < 5 * math.sqrt(expected)


def test_the_largest_random_number_still_keeps_a_box_inside(monkeypatch):
    monkeypatch.setattr(torch, "rand", lambda shape, **_: torch.full(shape, 1 - 2.0**-24))
    for side in range(1, 300):
        top, bottom, left, right = sampling.inner_boxes((0.1, 0.5), (side, side), (1,)).unbind(-1)
        assert bottom <= side and right <= side


@pytest.mark.parametrize("p", [[0.5, 0.5], [0.1, 0.6, 0.3], [2, 1, 1], [0, 1, 0, 1]])
def test_choices_come_with_their_probabilities(p):
    choices = sampling.choose(p, (4, 3000), generator())
    assert len(choices) == 4 and len(choices[0]) == 3000
    flat = [choice for step in choices for choice in step]
    for i, share in enumerate(p):
        share = share / sum(p)
        assert flat.count(i) / 12000 == pytest.approx(share, abs=4 * math.sqrt(share * (1 - share) / 12000))
    assert type(sampling.choose(p, (), generator())) is int


def test_a_choice_without_probability_is_never_made(monkeypatch):
    for draw in (0.0, 1 - 2.0**-53):
        monkeypatch.setattr(torch, "rand", lambda shape, value=draw, **_: torch.full(shape, value, dtype=torch.float64))
        assert sampling.choose([0, 1, 0]) == 1


def test_keyed_noise_is_uniform_and_normal():
    keys = sampling.keys((64,), generator())
    uniform = sampling.keyed_uniform(keys, (50, 40))
    assert uniform.shape == (64, 50, 40) and uniform.dtype == torch.float32
    flat = uniform.flatten().double()
    bins = torch.histc(flat, 64, 0, 1)
    chi_square = ((bins - 2000) ** 2 / 2000).sum()
    assert abs(chi_square - 63) < 5 * math.sqrt(2 * 63)
    normal = sampling.keyed_normal(keys, (50, 40)).flatten().double()
    for power, moment, variance in ((1, 0, 1), (2, 1, 2), (3, 0, 15), (4, 3, 96)):
        assert (normal**power).mean() == pytest.approx(moment, abs=5 * math.sqrt(variance / 128_000))


@pytest.mark.parametrize("bits", [0, -1], ids=["no bit set", "all bits set"])
def test_keyed_noise_never_reaches_0_or_1(bits, monkeypatch):
    """0 would be an infinite normal; 24 bits and a half would round to 1."""
    monkeypatch.setattr(sampling, "_mix_bits", lambda x: torch.full_like(x, bits))
    noise = sampling.keyed_uniform(torch.tensor([5]), (3,))
    assert noise.min() > 0 and noise.max() < 1
    assert sampling.keyed_normal(torch.tensor([5]), (3,)).isfinite().all()


def test_keyed_noise_of_neighbouring_keys_and_places_is_independent():
    noise = sampling.keyed_normal(torch.arange(40), (5000,))  # the most alike keys there are
    for rows in (noise, noise.view(40 * 5000)[: 40 * 4800].view(4800, 40).T):
        correlation = torch.corrcoef(rows) - torch.eye(len(rows))
        assert correlation.abs().max() < 5.5 / math.sqrt(rows.shape[1])
    lagged = (noise[:, 1:] * noise[:, :-1]).mean()
    assert abs(lagged) < 5 / math.sqrt(noise.numel())


def test_keyed_noise_is_a_function_of_the_key_alone(rng_untouched):
    keys = sampling.keys((3, 2), generator())
    with rng_untouched():
        whole = sampling.keyed_normal(keys, (4, 5))
    assert whole.shape == (3, 2, 4, 5)
    for i in range(3):
        assert torch.equal(sampling.keyed_normal(keys[i], (4, 5)), whole[i])


def test_keyed_uniform_is_splitmix64():
    """Against the published generator in Python integers."""
    mask = (1 << 64) - 1

    def finalise(x):
        x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9 & mask
        x = (x ^ x >> 27) * 0x94D049BB133111EB & mask
        return x ^ x >> 31

    for key in (0, 1, 12345, 2**62 - 1):
        state = finalise(key)
        expected = []
        for _ in range(20):
            state = state + 0x9E3779B97F4A7C15 & mask
            expected.append(((finalise(state) >> 41) + 0.5) / 2**23)
        assert sampling.keyed_uniform(torch.tensor(key), (20,)).tolist() == expected


def test_keyed_seeds_of_counters_differ_and_depend_on_order():
    seeds = {sampling.keyed_seed(*counters) for counters in product(range(20), range(50), range(5))}
    assert len(seeds) == 5000 and all(0 <= seed < 2**63 for seed in seeds)
    assert sampling.keyed_seed(1, 2) != sampling.keyed_seed(2, 1) != sampling.keyed_seed(2, 1, 0)
    assert abs(sum(bin(seed).count("1") for seed in seeds) / 5000 - 31.5) < 0.5  # bits are fair
    sampling.keyed_seed(-1, 2**70)  # any integers


def test_keyed_generators_are_functions_of_counters(rng_untouched):
    with rng_untouched():
        first, again, other = (torch.rand(5, generator=sampling.keyed_generator(0, epoch)) for epoch in (3, 3, 4))
    assert torch.equal(first, again) and not torch.equal(first, other)


@pytest.mark.parametrize("steps", [(), (40,)])
@pytest.mark.parametrize("count", [0, 3, 7])
def test_a_subset_has_exactly_so_many_members_and_each_is_as_likely(steps, count):
    chosen = sampling.subset(count, 7, steps, torch.Generator().manual_seed(0))
    assert chosen.dtype == torch.bool and chosen.shape == (*steps, 7) and (chosen.sum(-1) == count).all()
    many = sampling.subset(count, 7, (7000,), torch.Generator().manual_seed(1)).float().mean(0)
    assert (many - count / 7).abs().max() < 0.03
