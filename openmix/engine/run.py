"""Train or dry-run a config."""
import copy
import tempfile
import warnings
from pathlib import Path

from ..errors import reading_input
from ..moved import renamed
from ..paths import default_work_dir, find_config
from .caller import as_before
from .optim.scaling import scale_lr


def finished(cfg) -> bool:
    """Whether ``cfg.work_dir`` holds the finished run of this very config.

    Raises:
        ValueError: it holds something a new run would overwrite.
    """
    from .. import workdir
    from ..workdir import result
    from . import run_checkpoints

    folder, config_hash = Path(cfg.work_dir), workdir.config_hash(cfg.to_dict())
    own = run_checkpoints.newest(folder)
    report = folder / "result.json"
    if report.is_file():
        try:
            record = result.read(report)
        except result.Torn as error:
            if not cfg.get("resume"):
                raise ValueError(f"{error}; --resume continues the run and writes it anew, or give another "
                                 "--work-dir") from error
            warnings.warn(f"{error}; the run goes on and writes it anew", stacklevel=2)
            return False
        seed = (cfg.get("randomness") or {}).get("seed", 0)
        same = record.get("config_hash") == config_hash and record.get("seed") == seed
        if cfg.get("resume"):
            if record.get("status") == "done" and same:
                return True
            if record.get("status") == "done" and own is None:
                raise ValueError(f"{folder} holds the result of a finished run of another config or seed, and no "
                                 "checkpoint that it could go on from; give another --work-dir")
        else:
            raise ValueError(f"{folder} holds a finished run (status {record.get('status')}); give another --work-dir "
                             "or --seed, or --resume to leave it at that")
    elif not cfg.get("resume") and any(folder.glob("*.pth")):
        raise ValueError(f"{folder} holds an unfinished run; --resume continues it, or give another --work-dir")
    source = cfg.get("resume")
    if isinstance(source, (str, Path)) and own and Path(source).resolve().parent != folder.resolve():
        raise ValueError(f"{folder} holds a run of its own, which going on from {source} would overwrite; give "
                         "another --work-dir, or --resume alone to continue the run that is there")
    return False


@reading_input()
def read(cfg, options: dict | None = None, checked: bool = False):
    """A Config of one's own, from a path, a name or a Config, with ``options`` merged into it; checked once."""
    from mmengine.config import Config

    from .config.check import check_config
    from .config.load import load_config
    from .config.options import merge_options
    from .config.plain import plain_config

    if isinstance(cfg, Config):
        cfg = copy.deepcopy(cfg)
        merge_options(cfg, options or {})
        cfg = plain_config(cfg)
    else:
        path = find_config(cfg)
        cfg = load_config(path, options)
        cfg.setdefault("work_dir", default_work_dir(path, cfg.get("randomness", {}).get("seed", 0)))
    if not checked:
        check_config(cfg, values=False)
    return cfg


@as_before()
def train(cfg, options: dict | None = None, checked: bool = False) -> dict:
    """Train a config and return its result record: ``train("cifar100/r18_mixup", {"train_cfg.max_epochs": 5})``.

    A run that has finished already is not repeated: with ``resume`` its record is returned at once. The caller's random
    generators, threads and choice of kernels are as before when it returns.

    Args:
        cfg: a path, the name of a shipped config, or a Config with ``work_dir`` set.
        options: values of config keys, dotted or nested, set over those of the config.
        checked: the config has been checked, as by ``configure``.
    """
    from ..workdir import result
    from .runner import Runner

    cfg = read(cfg, options, checked)
    with reading_input():
        scale_lr(cfg)
        done = finished(cfg)
    if not done:
        Runner(cfg).train()
    report = Path(cfg.work_dir) / "result.json"
    return result.read(report) if report.is_file() else {}


@as_before()
def dry_run(cfg, checked: bool = False) -> dict:
    """Two iterations of training and evaluation, a stop and a resume between them, and a test; in a temporary dir."""
    from .distributed import launch
    from .evaluate import evaluate
    from .optim.schedules import lr_table
    from .runner import Runner
    from .train_loop import Stopped

    cfg = read(cfg, checked=checked)
    with reading_input():
        launch.init_distributed(cfg.get("launcher", "none"))
    with tempfile.TemporaryDirectory() as own:
        folder = launch.broadcast_from_rank0(own)  # the first process's, for all
        cfg.work_dir, cfg.resume, cfg.visualizer = folder, False, None  # no trackers
        with reading_input():
            scale_lr(cfg)
            lr_table(cfg.get("param_scheduler"), 1.0, cfg.train_cfg.max_epochs, 1)  # whether it fits the real run
        cfg.param_scheduler = None
        cfg.train_cfg.update(max_epochs=1, val_interval=1, mixup_off_epochs=0, mixup_begin_epoch=0, limit=2,
                             stop_after=1)
        for key in ("val_cfg", "test_cfg"):
            if cfg.get(key) is not None:
                cfg[key].limit = 2
        cfg.evals = {name: {**entry, "limit": 2} for name, entry in (cfg.get("evals") or {}).items()}
        try:
            Runner(copy.deepcopy(cfg)).train()
        except Stopped as stop:
            if stop.signal:
                raise
        cfg.resume = True
        cfg.train_cfg.pop("stop_after")
        Runner(copy.deepcopy(cfg)).train()
        records = {}
        if cfg.get("test_dataloader") or cfg.evals:
            records = evaluate(cfg, Path(folder) / "epoch_1.pth", checked=True)
        launch.wait_for_all()  # before the folder goes
        return next(iter(records.values()))["networks"] if records else {}


__getattr__ = renamed(__name__, test="engine.evaluate.test", tested="engine.evaluate.tested",
                      evaluate="engine.evaluate.evaluate")
