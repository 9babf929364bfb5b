"""Learning-rate tables against mmengine's schedulers, stepped for real, and against closed forms."""
import math

import pytest
import torch
from mmengine.optim.scheduler import lr_scheduler as mm

from openmix.engine.optim.schedules import SCHEDULES, check_schedule, lr_table

EPOCHS, STEPS = 12, 7


def stepped(configs, base, epochs, steps):
    """What mmengine's loop and hook do: each iteration, then each epoch, every scheduler that counts it steps."""
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=base)
    schedulers = []
    for cfg in configs:
        cfg = dict(cfg)
        cls, convert = getattr(mm, cfg.pop("type")), cfg.pop("convert_to_iter_based", False)
        cfg.setdefault("end", epochs if cfg.get("by_epoch", True) else epochs * steps)
        make = cls.build_iter_from_epoch if convert else cls
        schedulers.append(make(optimizer, **cfg, **(dict(epoch_length=steps) if convert else {})))
    rates = []
    for _ in range(epochs):
        for _ in range(steps):
            rates.append(optimizer.param_groups[0]["lr"])
            optimizer.step()
            for scheduler in schedulers:
                if not scheduler.by_epoch:
                    scheduler.step()
        for scheduler in schedulers:
            if scheduler.by_epoch:
                scheduler.step()
    return rates


CASES = {
    "cosine": [dict(type="CosineAnnealingLR")],
    "cosine to a floor": [dict(type="CosineAnnealingLR", eta_min=0.05)],
    "cosine to a share": [dict(type="CosineAnnealingLR", eta_min_ratio=0.1)],
    "cosine that rises again": [dict(type="CosineAnnealingLR", T_max=3, eta_min=0.01)],
    "cosine by iteration": [dict(type="CosineAnnealingLR", convert_to_iter_based=True, eta_min=1e-6)],
    "cosine in iterations": [dict(type="CosineAnnealingLR", by_epoch=False, begin=5, end=60)],
    "warm-up then cosine": [
        dict(type="LinearLR", start_factor=1e-5, end=3, convert_to_iter_based=True),
        dict(type="CosineAnnealingLR", begin=3, eta_min=1e-6)],
    "warm-up then cosine, both by iteration": [
        dict(type="LinearLR", start_factor=0.01, end=2, convert_to_iter_based=True),
        dict(type="CosineAnnealingLR", begin=2, convert_to_iter_based=True)],
    "warm-up over cosine with a floor": [
        dict(type="LinearLR", start_factor=0.1, end=20, by_epoch=False),
        dict(type="CosineAnnealingLR", eta_min=0.02)],
    "cosine with a floor under a warm-up": [
        dict(type="CosineAnnealingLR", eta_min=0.02),
        dict(type="LinearLR", start_factor=0.1, end=20, by_epoch=False)],
    "warm-up of half an epoch": [
        dict(type="LinearLR", start_factor=0.1, end=0.5, convert_to_iter_based=True), dict(type="CosineAnnealingLR")],
    "linear by epoch": [dict(type="LinearLR", start_factor=0.5, end_factor=0.1, begin=2, end=9)],
    "steps": [dict(type="StepLR", step_size=3, gamma=0.3)],
    "steps by iteration": [dict(type="StepLR", step_size=2, convert_to_iter_based=True)],
    "milestones": [dict(type="MultiStepLR", milestones=[4, 8, 8], gamma=0.2)],
    "milestones after a warm-up": [
        dict(type="MultiStepLR", milestones=[6, 9]), dict(type="LinearLR", end=4, start_factor=0.2)],
    "constant": [dict(type="ConstantLR", factor=0.25, begin=1, end=5)],
    "constant to the end": [dict(type="ConstantLR", factor=0.25, end=50)],
    "exponential": [dict(type="ExponentialLR", gamma=0.8, begin=3)],
    "poly": [dict(type="PolyLR", power=0.9, eta_min=1e-3)],
    "poly by iteration": [dict(type="PolyLR", power=2.0, convert_to_iter_based=True, end=10)],
    "one cycle": [dict(type="OneCycleLR", eta_max=0.3, by_epoch=False)],
    "one cycle in three": [dict(type="OneCycleLR", eta_max=0.3, three_phase=True, convert_to_iter_based=True)],
    "one cycle in lines": [dict(type="OneCycleLR", eta_max=0.3, anneal_strategy="linear", pct_start=0.4)],
}


@pytest.mark.parametrize("name", CASES)
def test_table_is_what_mmengine_steps_through(name):
    expected = stepped(CASES[name], 0.1, EPOCHS, STEPS)
    table = lr_table(CASES[name], 0.1, EPOCHS, STEPS)
    assert len(table) == EPOCHS * STEPS
    assert table == pytest.approx(expected, rel=1e-11, abs=1e-16)


def test_every_schedule_is_compared():
    assert {cfg["type"] for case in CASES.values() for cfg in case} == set(SCHEDULES)


@pytest.mark.parametrize("epochs", [200, 1200])
@pytest.mark.parametrize("low", [0.0, 0.05])
def test_recipe_formula_once_an_epoch(epochs, low):
    table = lr_table(dict(type="CosineAnnealingLR", eta_min=low), 0.1, epochs, 3)
    for e in range(epochs):
        expected = low + (0.1 - low) / 2 * (1 + math.cos(math.pi * e / epochs))
        assert table[3 * e: 3 * e + 3] == pytest.approx([expected] * 3, rel=1e-9)
        assert len(set(table[3 * e: 3 * e + 3])) == 1


def test_length_of_the_run_is_one_option():
    """Nothing in the config names the number of epochs, so a longer run stretches the same curve."""
    config = [dict(type="LinearLR", end=2), dict(type="CosineAnnealingLR", begin=2)]
    short, long = lr_table(config, 1.0, 12, 1), lr_table(config, 1.0, 22, 1)
    assert short[2:] == pytest.approx(long[2::2], rel=1e-12)


def test_no_schedule_is_constant():
    assert lr_table(None, 0.3, 2, 2) == lr_table([], 0.3, 2, 2) == [0.3] * 4


def test_one_cycle_peaks_at_the_base_rate_by_default():
    table = lr_table(dict(type="OneCycleLR", by_epoch=False, pct_start=0.25), 0.4, 1, 20)
    assert max(table) == table[4] == pytest.approx(0.4)
    assert lr_table(dict(type="OneCycleLR", pct_start=0.1, by_epoch=False), 0.4, 1, 10)[0] == 0.4  # no way up


@pytest.mark.parametrize("config, message", [
    (dict(type="CosineAnealingLR"), "did you mean 'CosineAnnealingLR'"),
    (dict(type="CosineAnnealingLR", eta_mim=0.1), "did you mean 'eta_min'"),
    ([dict(type="CosineAnnealingLR"), dict(type="LinearLR", warmup=3)], r"param_scheduler\[1\]: LinearLR has no key"),
    (dict(type="MultiStepLR"), "needs the key 'milestones'"),
    (dict(type="StepLR", step_size=0), "whole number of at least 1"),
    (dict(type="MultiStepLR", milestones=[3.5]), "whole number"),
    (dict(type="LinearLR", start_factor=0), "start_factor"),
    (dict(type="LinearLR", end=5, begin=5), "must be larger than begin"),
    (dict(type="LinearLR", by_epoch=False, convert_to_iter_based=True, end=5), "iterations"),
    (dict(type="CosineAnnealingLR", eta_min=0.1, eta_min_ratio=0.1), "not both"),
    (dict(type="OneCycleLR", anneal_strategy="exp"), "anneal_strategy"),
])
def test_bad_schedule_is_a_clear_error(config, message):
    with pytest.raises(ValueError, match=message):
        check_schedule(config)


@pytest.mark.parametrize("config", ["CosineAnnealingLR", dict(eta_min=1), dict(type="CosineAnnealingLR", eta_min="0")])
def test_value_of_the_wrong_type_is_a_type_error(config):
    with pytest.raises(TypeError):
        check_schedule(config)


def test_begin_after_the_end_of_the_run_is_an_error():
    with pytest.raises(ValueError, match="already ends"):
        lr_table(dict(type="CosineAnnealingLR", begin=5), 0.1, 5, 10)
