"""mmengine's log processor, which counts the batches of a pass."""
import mmengine.runner

__all__ = ["LogProcessor"]


class LogProcessor(mmengine.runner.LogProcessor):
    """mmengine's, but ``[20/20]`` are the batches that a ``limit`` leaves, not all that the data would give."""

    def _get_dataloader_size(self, runner, mode) -> int:
        loop = self._get_cur_loop(runner, mode)
        size, limit = len(loop.dataloader), getattr(loop, "limit", None)
        return size if limit is None else min(size, limit)
