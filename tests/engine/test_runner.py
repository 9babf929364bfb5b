"""A run is put together once from a config that is checked once, and mmengine's hooks find what they read."""
import json

import mmengine.hooks
import pytest
import torch
from mmengine.hooks import Hook

from openmix import apis
from openmix.engine.config import check
from openmix.engine.runner import Runner
from openmix.errors import InputError
from openmix.mixups import MixUp
from openmix.registry import HOOKS, MIXUPS
from tests.console import main, write
from tests.engine.tiny import config


@pytest.fixture
def counts(monkeypatch):
    """Calls of the config check, of the look-up of the method's keys, and of the method's constructor."""
    actual = dict(config=0, method=0, built=0)

    def count(name, function):
        def counted(*args, **kwargs):
            actual[name] += 1
            return function(*args, **kwargs)
        return counted

    whole, init = check.check_config, MixUp.__init__
    for module in ("openmix.engine.config.check", "openmix.engine.runner"):
        monkeypatch.setattr(f"{module}.check_config", count("config", whole))
    monkeypatch.setattr(MIXUPS, "check", count("method", MIXUPS.check))
    counted = count("built", init)
    counted.__wrapped__ = init  # its keys are still read
    monkeypatch.setattr(MixUp, "__init__", counted)
    return actual


def test_a_training_checks_its_config_once_and_builds_its_method_once(tmp_path, counts):
    path = write(config("unused", epochs=1), tmp_path / "tiny.json")
    assert main("train", path, "--work-dir", tmp_path / "run") == 0
    assert counts == dict(config=1, method=2, built=1)  # (building looks at the keys once more: anybody may build)


@pytest.mark.parametrize("enter", [lambda cfg: apis.train(cfg), lambda cfg: Runner.from_cfg(cfg).train()])
def test_a_config_of_python_is_checked_once_where_it_enters(tmp_path, counts, enter):
    enter(config(tmp_path, epochs=1))
    assert counts == dict(config=1, method=2, built=1)


def test_values_that_only_the_method_knows_are_refused_before_the_work_dir_is_touched(tmp_path, capsys):
    path = write(config("unused", mixup=dict(type="MixUp", alpha=-1)), tmp_path / "tiny.json")
    assert main("train", path, "--work-dir", tmp_path / "run") == 2
    assert "error: model.mixup: " in capsys.readouterr().err and not (tmp_path / "run").exists()


# -- whose fault an error is -------------------------------------------------------------------------------------------

@HOOKS.register_module()
class FailsAt(Hook):
    """Raises at a stage what a bug, or a check of the hook's own, would raise."""

    def __init__(self, stage: str, kind: str):
        error = dict(value=ValueError, type=TypeError, input=InputError)[kind]("of a hook")

        def fail(*args, **kwargs):
            raise error
        setattr(self, stage, fail)


@pytest.mark.parametrize("stage", ["before_run", "after_load_checkpoint", "before_train_epoch", "after_run"])
@pytest.mark.parametrize("kind", ["value", "type"])
def test_an_error_of_a_hook_keeps_its_traceback_and_is_not_called_wrong_input(tmp_path, capsys, stage, kind):
    cfg = config("unused", epochs=1, custom_hooks=[dict(type="FailsAt", stage=stage, kind=kind)])
    flags = []
    if stage == "after_load_checkpoint":
        network = Runner.from_cfg(config(tmp_path / "first")).model.state_dict()
        torch.save(dict(state_dict=network), tmp_path / "weights.pth")
        flags = ["--load-from", tmp_path / "weights.pth"]
    assert main("train", write(cfg, tmp_path / "tiny.json"), "--work-dir", tmp_path / "run", *flags) == 1
    message = capsys.readouterr().err
    assert "Traceback" in message and "of a hook" in message and "error: of a hook" not in message
    assert json.loads((tmp_path / "run/status.json").read_text())["state"] == "failed"


def test_a_fault_inside_a_step_keeps_its_traceback(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("openmix.engine.logging.intervals.IntervalLog.send", lambda *args: int("no number"))
    path = write(config("unused", epochs=1), tmp_path / "tiny.json")
    assert main("train", path, "--work-dir", tmp_path / "run") == 1
    assert "Traceback" in (message := capsys.readouterr().err) and "invalid literal" in message
    assert json.loads((tmp_path / "run/status.json").read_text())["state"] == "failed"


def test_an_input_error_is_one_line_whenever_it_comes(tmp_path, capsys):
    """Negative control: a hook, or a data set in the middle of a run, may blame the input."""
    cfg = config("unused", epochs=1, custom_hooks=[dict(type="FailsAt", stage="after_train_epoch", kind="input")])
    assert main("train", write(cfg, tmp_path / "tiny.json"), "--work-dir", tmp_path / "run") == 2
    message = capsys.readouterr().err
    assert "error: of a hook\n" in message and "Traceback" not in message
    assert json.loads((tmp_path / "run/status.json").read_text())["state"] == "invalid"


# -- hooks -------------------------------------------------------------------------------------------------------------

@HOOKS.register_module()
class Reads(Hook):
    """Reads what mmengine's hooks read, at each stage."""

    def __init__(self):
        self.seen = []

    def before_train(self, runner):
        assert runner.max_epochs == 1 and runner.max_iters == 4 and len(runner.train_dataloader) == 4
        assert not runner.distributed and runner.seed == 3 and runner.train_loop is runner._train_loop
        self.seen.append("before_train")

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        self.seen.append((runner.epoch, runner.iter, self.every_n_train_iters(runner, 2)))

    def after_val_epoch(self, runner, metrics=None):
        self.seen.append(sorted(metrics)[:1])
        assert runner.message_hub.get_scalar("val/top1").current() == metrics["top1"]
        assert runner.log_dir.startswith(runner.work_dir) and runner.timestamp in runner.experiment_name


def test_hooks_of_mmengine_and_of_users_find_what_they_read(tmp_path):
    cfg = config(tmp_path, epochs=1)
    cfg.custom_hooks = [*cfg.custom_hooks, dict(type="Reads"), dict(type="mmengine.EmptyCacheHook", after_epoch=True)]
    runner = Runner.from_cfg(cfg)
    runner.train()
    reads = next(hook for hook in runner.hooks if isinstance(hook, Reads))
    assert reads.seen[:5] == ["before_train", (0, 0, False), (0, 1, True), (0, 2, False), (0, 3, True)]
    assert len(reads.seen) == 6 and any(isinstance(hook, mmengine.hooks.EmptyCacheHook) for hook in runner.hooks)


def test_hooks_run_by_priority_and_then_in_the_order_they_came(tmp_path):
    names = []

    def hook(name):
        made = Hook()
        made.before_run = lambda runner: names.append(name)
        return made

    runner = Runner.from_cfg(config(tmp_path, custom_hooks=[]))
    for name, priority in dict(late="LOW", a=None, b=None, first="VERY_HIGH", c="NORMAL", d=50).items():
        runner.register_hook(hook(name), priority)
    runner.register_hook(dict(type="EMAHook", priority="LOWEST"))
    runner.call_hook("before_run")
    assert names == ["first", "a", "b", "c", "d", "late"] and type(runner.hooks[-1]).__name__ == "EMAHook"
