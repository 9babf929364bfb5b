import pytest
import torch
import torch.nn.functional as F

from openmix.mixups import RMix
from openmix.mixups.rmix import row_quantiles


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def peaks(n, seed=0):
    coarse = torch.rand(n, 1, 8, 8, generator=generator(seed)) ** 4
    return F.interpolate(coarse, size=(32, 32), mode="bilinear")[:, 0]


def drawn(method, n, blocks, q=None, lam=0.3, seed=0):
    draws = {**method.draw(n, (32, 32), generator(seed)), "blocks": method.blocks.index(blocks),
             "lam": torch.tensor([lam])}
    return draws if q is None else {**draws, "q": torch.full((n,), q)}


def test_quantiles_of_rows_are_those_of_torch_one_row_at_a_time():
    values, q = torch.rand(30, 16, generator=generator()), torch.linspace(0, 1, 30)
    expected = torch.stack([torch.quantile(row, share) for row, share in zip(values, q, strict=True)])
    assert torch.allclose(row_quantiles(values, q), expected, atol=1e-6)


@pytest.mark.parametrize("blocks", [2, 4])
def test_the_three_cases_pixel_by_pixel(blocks, make_batch):
    """Both images salient or neither: interpolated; one of them: that one alone. Labels follow the pixels."""
    method, (images, labels), saliency = RMix(), make_batch(8), peaks(8)
    draws, side, seen = drawn(method, 8, blocks), 32 // blocks, set()
    mixed, target = method(images, labels, draws, saliency)
    salient = []
    for one, q in zip(saliency, draws["q"], strict=True):
        cells = torch.tensor([[one[r:r + side, c:c + side].mean() for c in range(0, 32, side)]
                              for r in range(0, 32, side)])
        salient.append(cells >= torch.quantile(cells, q))
    for i in range(8):
        j, share = (i - 1) % 8, 0.0
        for row in range(blocks):
            for column in range(blocks):
                a, b = salient[i][row, column], salient[j][row, column]
                kept = 0.3 if a == b else 1.0 if a else 0.0
                seen.add(kept)
                cell = (..., slice(side * row, side * row + side), slice(side * column, side * column + side))
                assert torch.allclose(mixed[i][cell], kept * images[i][cell] + (1 - kept) * images[j][cell], atol=1e-6)
                share += kept / blocks**2
        assert target.weight[i].tolist() == pytest.approx([share, 1 - share], abs=1e-6)
    assert seen == {0.3, 1.0, 0.0}


def test_where_everything_is_salient_it_is_mixup_with_lam(make_batch):
    method, (images, labels) = RMix(), make_batch(4)
    mixed, target = method(images, labels, drawn(method, 4, 4, q=0.0), peaks(4))
    assert torch.allclose(mixed, 0.3 * images + 0.7 * images.roll(1, 0), atol=1e-6)
    assert torch.allclose(target.weight, torch.tensor([0.3, 0.7]).expand(4, 2))


def test_q_is_one_of_ten_equidistant_levels_and_the_grid_a_host_choice():
    draws = RMix().draw(50, (32, 32), generator(), steps=(200,))
    levels = draws["q"].unique()
    assert torch.allclose(levels, torch.linspace(0, 0.99, 10)) and set(draws["blocks"]) == {0, 1}
    assert (draws["q"].flatten()[:, None] == levels).float().mean(0).sub(0.1).abs().max() < 0.02
    assert draws["q"].shape == (200, 50) and draws["lam"].shape == (200, 1)


@pytest.mark.parametrize("options, word", [(dict(blocks=()), "blocks"), (dict(levels=1), "levels"),
                                           (dict(quantiles=(0.5, 0.2)), "quantiles")], ids=str)
def test_settings_out_of_range_are_refused_by_name(options, word):
    with pytest.raises(ValueError, match=word):
        RMix(**options)


def test_cells_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="4 does not divide both sides of 30x30"):
        RMix().draw(2, (30, 30))
