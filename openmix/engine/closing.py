"""What a run lets go of when it ends, and what a start that is refused takes back."""
import contextlib
import os
import shutil
import warnings
from functools import partial

from .logging import parts

__all__ = ["close", "refuse", "withdraw"]


def close(runner) -> None:
    """Let go of what a run has open, however it ended: the bar, decoding processes, trackers, log files.

    What fails in that is a warning: it changes nothing of how the run ended.
    """
    named = runner.evaluations.loops.values() if runner.evaluations else ()
    loops = (runner.train_loop, runner.val_loop, runner.test_loop, *named)
    steps = [hook.close_run for hook in runner.hooks if hasattr(hook, "close_run")]
    steps += [loop.dataloader.close for loop in loops if hasattr(getattr(loop, "dataloader", None), "close")]
    if hasattr(runner, "visualizer"):
        steps += [runner.visualizer.close, partial(parts.forget, runner.experiment_name, type(runner.visualizer))]
    if hasattr(runner, "logger"):
        steps += [partial(parts.close_files, runner.logger, runner.log_dir)]
    for step in steps:
        try:
            step()
        except Exception as error:
            warnings.warn(f"the run has ended; closing what it had open failed: {type(error).__name__}: {error}",
                          stacklevel=2)


def withdraw(runner) -> None:
    """Remove the folder of logs of a start that was refused; no other run or process writes there."""
    if runner.log_dir is None:
        return
    close(runner)
    shutil.rmtree(runner.log_dir, ignore_errors=True)
    if not runner.cfg.get("train_cfg"):
        with contextlib.suppress(OSError):  # logs of other evaluations
            os.rmdir(os.path.dirname(runner.log_dir))


def refuse(runner, error: Exception, lock) -> None:
    """Record why a start was refused; a run that is in the work dir already stays as it was."""
    if runner.begun or not runner.goes_on:
        runner.set_status("invalid", reason=str(error))
    else:
        lock.release(untouched=True)
    if not runner.begun:
        withdraw(runner)
