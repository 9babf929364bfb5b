"""The logging parts of a run, which are mmengine's: logger, log processor, visual backends."""
import contextlib
import logging
import os
from pathlib import Path

import mmengine.registry
import mmengine.visualization
from mmengine.logging import MessageHub, MMLogger
from mmengine.registry import DefaultScope

from ...registry import LOG_PROCESSORS, VISBACKENDS, VISUALIZERS
from .lines import brief_errors


def build_logger(name: str, level: str, path: Path) -> MMLogger:
    """A logger that writes to the screen and to the file ``path``."""
    return brief_errors(MMLogger.get_instance(name=name, log_level=level, file_mode="a", log_file=str(path)))


def build_log_processor(cfg: dict | None):
    """The log processor. The loop gives means of an interval, so by default it averages over one value."""
    return LOG_PROCESSORS.build({"type": "LogProcessor", "window_size": 1, **(cfg or {})})


def build_visualizer(cfg: dict | None, name: str, folder: str):
    """mmengine's visualizer with the backends of the config; ours come before mmengine's of the same name."""
    cfg = dict(vis_backends=[dict(type="LocalVisBackend")]) if cfg is None else cfg
    backends = [{**backend, "type": VISBACKENDS.get(backend["type"])} for backend in cfg.get("vis_backends") or ()]
    return mmengine.registry.VISUALIZERS.build({
        "name": name, "save_dir": folder, **cfg, "vis_backends": backends,
        "type": VISUALIZERS.get(cfg.get("type", "Visualizer"))})


def forget(name: str, visualizer: type) -> None:
    """Drop what mmengine keeps for ever under the name of a run: logger, history of scalars, scope, visualizer."""
    for kind in (MMLogger, MessageHub, DefaultScope, mmengine.visualization.Visualizer, visualizer):
        kind._instance_dict.pop(name, None)


def close_files(logger: logging.Logger, folder: str) -> None:
    """Close the log files in ``folder``."""
    for handler in [h for h in logger.handlers if hasattr(h, "baseFilename")]:
        if Path(handler.baseFilename).is_relative_to(os.path.abspath(folder)):
            logger.removeHandler(handler)
            with contextlib.suppress(OSError):  # a full disk, which the logger has reported
                handler.close()
