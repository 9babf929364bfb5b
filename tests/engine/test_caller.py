"""A run leaves the process that started it as it was: many trainings in one notebook or search."""
import random
import sys
from pathlib import Path

import mmengine.visualization
import numpy as np
import pytest
import torch
from mmengine.hooks import Hook
from mmengine.logging import MessageHub, MMLogger
from mmengine.registry import DefaultScope

import openmix
from openmix.engine.caller import as_before
from openmix.engine.evaluate import evaluate
from openmix.engine.hooks import ProgressHook
from openmix.engine.logging.visualizer import Visualizer
from openmix.engine.run import dry_run
from openmix.engine.runner import Runner
from openmix.engine.train_loop import Stopped
from openmix.results.run_files import read_scalars
from openmix.workdir.files import last_log
from tests.engine.tiny import config


def draws():
    return random.random(), float(np.random.rand()), float(torch.rand(()))


def test_training_and_evaluating_advance_no_random_generator_of_the_caller(tmp_path):
    random.seed(1), np.random.seed(1), torch.manual_seed(1)
    expected = [draws() for _ in range(4)]
    random.seed(1), np.random.seed(1), torch.manual_seed(1)
    actual = [draws()]
    cfg = config(tmp_path / "a", epochs=1, randomness=dict(seed=5, deterministic=True))
    openmix.train(cfg)
    actual.append(draws())
    evaluate(cfg, str(tmp_path / "a" / "epoch_1.pth"))
    actual.append(draws())
    dry_run(config(tmp_path / "b"))
    assert [*actual, draws()] == expected


def test_threads_and_kernels_are_those_of_before_also_after_an_error():
    threads, benchmark = torch.get_num_threads(), torch.backends.cudnn.benchmark
    with pytest.raises(KeyError), as_before():
        torch.set_num_threads(threads + 1)
        torch.use_deterministic_algorithms(True)
        torch.backends.cudnn.benchmark = not benchmark
        raise KeyError
    assert torch.get_num_threads() == threads and torch.backends.cudnn.benchmark == benchmark
    assert not torch.are_deterministic_algorithms_enabled()


@pytest.mark.parametrize("stop", [None, 2])
def test_nothing_of_a_run_stays_open_or_registered_however_it_ends(tmp_path, stop):
    def state():
        open_files = {str(path.resolve()) for path in Path("/proc/self/fd").iterdir() if path.exists()}
        kinds = MMLogger, MessageHub, DefaultScope, Visualizer, mmengine.visualization.Visualizer
        names = [set(kind._instance_dict) for kind in kinds]
        return {name for name in open_files if str(tmp_path) in name}, names

    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")  # also where the work dir is below a link
    before = state()
    cfg = config(tmp_path / "link" / "run", epochs=1)
    if stop:
        cfg.train_cfg.stop_after = stop
        with pytest.raises(Stopped):
            Runner.from_cfg(cfg).train()
    else:
        Runner.from_cfg(cfg).train()
        evaluate(cfg, str(tmp_path / "link" / "run" / "epoch_1.pth"))
    assert state() == before


def test_the_bar_of_a_run_that_is_stopped_gives_the_terminal_back(tmp_path):
    streams = sys.stdout, sys.stderr
    hook = ProgressHook(enabled=True)
    cfg = config(tmp_path, epochs=1)
    cfg.train_cfg.stop_after = 2
    runner = Runner.from_cfg(cfg)
    runner.register_hook(hook)
    with pytest.raises(Stopped):
        runner.train()
    assert hook.bar is None and (sys.stdout, sys.stderr) == streams


def test_an_evaluation_adds_nothing_to_the_log_of_the_training(tmp_path):
    cfg = config(tmp_path, epochs=1, evals=dict(cal=dict(type="Calibration")))
    openmix.train(cfg)
    scalars, log = read_scalars(tmp_path), last_log(tmp_path)
    evaluate(cfg, str(tmp_path / "epoch_1.pth"))
    assert scalars and read_scalars(tmp_path) == scalars and last_log(tmp_path) == log
    assert list(tmp_path.glob("evals/*/*.log")), "the evaluation has a log of its own"


def test_the_peak_of_memory_is_that_of_the_run_and_not_of_what_ran_before(tmp_path):
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        pytest.skip("this system counts the peak of a process alone")
    ballast = torch.ones(300 * 2**18)  # 300 MiB
    del ballast
    record = openmix.train(config(tmp_path, epochs=1))
    now = int(Path("/proc/self/status").read_text().split("VmRSS:")[1].split()[0]) / 2**10
    assert 0 < record["peak_memory_mib"] < now + 200


class ClosesBadly(Hook):
    def close_run(self):
        raise OSError(28, "No space left on device")


def test_what_cannot_be_closed_is_a_warning_and_changes_no_outcome(tmp_path):
    cfg = config(tmp_path, epochs=1)
    cfg.train_cfg.stop_after = 2
    runner = Runner.from_cfg(cfg)
    runner.register_hook(ClosesBadly())
    handler = next(h for h in runner.logger.handlers if hasattr(h, "baseFilename"))
    handler.stream = open("/dev/full", "w")  # a line that could not be written is tried again at the end
    handler.stream.write("a line")
    with pytest.raises(Stopped), pytest.warns(UserWarning, match="closing what it had open failed: OSError"):
        runner.train()
    assert handler not in runner.logger.handlers
