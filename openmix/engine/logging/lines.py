"""The log line of a training interval and its entry in scalars.json, as mmengine writes them but in half the time.

mmengine's own takes more than a small step does (copies of its configuration and of the scalars, a file opened anew).
"""
import contextlib
import functools
import json
import logging
import sys
from datetime import timedelta
from pathlib import Path

import mmengine.runner
import mmengine.visualization
import torch

from .processor import LogProcessor

__all__ = ["LocalVisBackend"]

PLAIN = (LogProcessor, mmengine.runner.LogProcessor)


def brief_errors(logger: logging.Logger) -> logging.Logger:
    """``logger``, whose handlers report a full disk once, in one line, instead of a traceback for each record."""
    def handle_error(handler, record):
        error = sys.exc_info()[1]
        if not isinstance(error, OSError):
            return logging.Handler.handleError(handler, record)
        if handler not in failed:
            failed.append(handler)
            print(f"warning: could not write {getattr(handler, 'baseFilename', 'the log')}: {error.strerror or error}",
                  file=sys.stderr)

    failed = []
    for handler in logger.handlers:
        handler.handleError = functools.partial(handle_error, handler)
    return logger


def is_plain(processor) -> bool:
    """Whether :func:`train_line` writes what ``processor`` would: its format was not configured."""
    return type(processor) in PLAIN and processor.by_epoch and not (
        processor.custom_cfg or processor.log_with_hierarchy)


def train_line(runner, batch_idx: int, scalars: dict) -> tuple[dict, str]:
    """What ``LogProcessor.get_log_after_iter(runner, batch_idx, "train")`` gives for the scalars of one interval."""
    processor, loop = runner.log_processor, runner.train_loop
    digits, steps = processor.num_digits, loop.steps
    tag = {**scalars, "epoch": runner.epoch + 1, "iter": runner.iter + 1}
    epoch = f"[{tag['epoch']}]".rjust(len(str(loop.max_epochs)) + 3)
    parts = [f"Epoch(train){epoch}[{batch_idx + 1:>{len(str(steps))}}/{steps}]", f"lr: {scalars['lr']:.{digits}e}",
             f"eta: {timedelta(seconds=int(runner.message_hub.get_info('eta')))}"]
    parts += [f"{name}: {scalars[name]:.{digits}f}" for name in ("time", "data_time")]
    if runner.device.type == "cuda":
        tag["memory"] = torch.cuda.max_memory_allocated(runner.device) // 2**20  # (mmengine's waits for the device)
        parts.append(f"memory: {tag['memory']}")
    rest = [name for name in scalars if name not in ("lr", "time", "data_time")]
    parts += [f"{name}: {scalars[name]:.{digits}f}" for name in rest]
    return tag, "  ".join(parts)


class LocalVisBackend(mmengine.visualization.LocalVisBackend):
    """mmengine's, with scalars.json kept open; each line is handed to the system at once, so that a kill loses none."""

    _file = None

    def __init__(self, save_dir, **names):
        for key, name in names.items():
            ending = dict(config_save_file=".py", scalar_save_file=".json").get(key, "")
            if not isinstance(name, str) or Path(name).name != name or name == ".." or not name.endswith(ending):
                raise ValueError(f"LocalVisBackend.{key} must be a name inside the work dir"
                                 f"{ending and f' that ends with {ending}'}, got {name!r}")
        super().__init__(save_dir, **names)

    def _dump(self, value_dict, file_path, file_format):
        if self._file is None or self._file.name != str(file_path):
            self.close()
            self._file = open(file_path, "a")
        self._file.write(json.dumps(value_dict) + "\n")
        self._file.flush()

    def close(self) -> None:
        file, self._file = self._file, None
        if file is not None:
            with contextlib.suppress(OSError):  # a full disk was reported before
                file.close()
