"""Numbers beyond the run's end are said, and those that happen are not."""
import pytest

from openmix.engine.config.beyond import beyond_the_run
from openmix.engine.config.check import check_config
from openmix.engine.hooks import EMAHook
from tests.engine.tiny import config, train


def said(epochs=4, steps=5, hooks=(), schedule=None, **changes):
    cfg = config("unused", epochs=epochs, **changes)
    cfg.param_scheduler = schedule
    check_config(cfg)
    return beyond_the_run(cfg, epochs, steps, hooks)


@pytest.mark.parametrize("schedule, word", [
    (dict(type="LinearLR", end=5), "param_scheduler[0].end=5 is beyond the run of 4 epochs"),
    (dict(type="LinearLR", end=5, convert_to_iter_based=True), "end=5"),
    (dict(type="LinearLR", end=21, by_epoch=False), "end=21 is beyond the run of 20 iterations"),
    (dict(type="MultiStepLR", milestones=[2, 4, 6]), "milestones: 4, 6 of 4 epochs never come"),
    (dict(type="MultiStepLR", milestones=[2], begin=2), "milestones: 2 of 2 epochs never come"),
    (dict(type="StepLR", step_size=4), "step_size=4 of 4 epochs: the learning rate never steps"),
    (dict(type="CosineAnnealingLR", T_max=5), "T_max=5 of 4 epochs: the cosine does not reach its floor"),
    (dict(type="OneCycleLR", total_steps=21, by_epoch=False), "total_steps=21 of 20 iterations"),
])
def test_a_schedule_that_is_cut_off_by_the_runs_end_is_reported(schedule, word):
    line, = said(schedule=[schedule])
    assert word in line


def test_second_schedules_are_named_by_their_place():
    line, = said(schedule=[dict(type="LinearLR", end=1), dict(type="CosineAnnealingLR", begin=1, T_max=9)])
    assert line.startswith("param_scheduler[1].T_max=9 of 3 epochs")


@pytest.mark.parametrize("changes, word", [
    ({"train_cfg.val_interval": 5}, "val_interval=5: only the last of 4 epochs is evaluated"),
    ({"default_hooks.checkpoint.interval": 5}, "checkpoint.interval=5: only the last of 4 epochs is saved"),
    ({"optim_wrapper.accumulative_counts": 6}, "accumulative_counts=6: an update averages over the 5 batches"),
])
def test_intervals_longer_than_the_run_are_reported(changes, word):
    line, = said(**changes)
    assert word in line


def test_an_average_that_is_never_due_is_reported():
    assert "none of 20 iterations is due" in said(hooks=[EMAHook(interval=21)])[0]
    assert said(hooks=[EMAHook(interval=20)]) == []


@pytest.mark.parametrize("schedule", [
    None, dict(type="LinearLR", end=4), dict(type="MultiStepLR", milestones=[1, 3]), dict(type="StepLR", step_size=3),
    dict(type="CosineAnnealingLR", T_max=4), dict(type="CosineAnnealingLR", T_max=2),
    dict(type="ExponentialLR", gamma=1), dict(type="OneCycleLR", total_steps=20, by_epoch=False),
    dict(type="LinearLR", end=20, by_epoch=False)])
def test_what_happens_within_the_run_is_nothing_to_speak_of(schedule):
    assert said(schedule=schedule, **{"train_cfg.val_interval": 4, "default_hooks.checkpoint.interval": 4,
                                      "optim_wrapper.accumulative_counts": 5, "train_cfg.mixup_off_epochs": 3}) == []


@pytest.mark.parametrize("off", [4, 5])
def test_a_run_without_any_mixing_is_refused(off):
    with pytest.raises(ValueError, match=rf"mixup_off_epochs={off} of max_epochs=4 trains without any mixing"):
        said(**{"train_cfg.mixup_off_epochs": off})


def test_the_log_has_these_lines_before_training(tmp_path):
    train(config(tmp_path, epochs=1, **{"param_scheduler": [dict(type="MultiStepLR", milestones=[30, 60])]}))
    log, = tmp_path.glob("*/*.log")
    text = log.read_text()
    assert "WARNING" in text and text.index("milestones: 30, 60") < text.index("Epoch(train)")
