"""A hook that holds a run back while a file exists: what a test does to a run then cannot come too late."""
import time
from pathlib import Path

from mmengine.hooks import Hook

from openmix.registry import HOOKS

__all__ = ["Hold"]


@HOOKS.register_module()
class Hold(Hook):
    """Waits before iteration ``step`` as long as ``file`` exists."""

    observer = False

    def __init__(self, file: str, step: int):
        self.file, self.step = Path(file), step

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        while runner.iter >= self.step and self.file.exists():
            time.sleep(0.01)
