"""mmengine's Runner with our loops, checkpoints and work dir.

What mmengine gives: the configuration, hooks, log lines, visual backends. What is ours: how processes start on any
device, what is saved (plain data, checksummed, written atomically) and how a run resumes, ends and reports.
"""
import logging
import os
import random
import shutil
import time
from datetime import datetime
from pathlib import Path

import mmengine.runner
import numpy as np
import torch
from mmengine.config import Config
from torch import nn

from .. import workdir
from ..errors import did_you_mean
from ..registry import DATASETS, HOOKS, LOOPS, MODELS, VISBACKENDS, VISUALIZERS
from . import agreement, precision, summary
from . import resume as state
from .config.check import check_config
from .config.plain import config_text, plain_config
from .distributed import launch, signals, slurm, syncbn
from .distributed.launch import unwrap
from .evaluations import Evaluations, record
from .logging.lines import brief_errors
from .step.eager import Diverged
from .train_loop import Stopped
from .trial import try_network

DEFAULT_HOOKS = dict(
    logger=dict(type="LoggerHook", interval=50, ignore_last=False, log_metric_by_epoch=False),
    checkpoint=dict(type="CheckpointHook"),
    preview=dict(type="MixPreviewHook"),
    progress=dict(type="ProgressHook"),
)


class Runner(mmengine.runner.Runner):
    """One training run in one work dir. Build it with :meth:`from_cfg`."""

    evaluations = None  # those with names, once their data is read
    tried = None  # shape (C, H, W) of the images that the network has been tried on
    data_records = None  # of the training and validation data, once they are read

    @classmethod
    def from_cfg(cls, cfg) -> "Runner":
        """Check ``cfg`` and build the run; data is read when training or testing starts."""
        cfg = plain_config(cfg if isinstance(cfg, Config) else Config(cfg))
        check_config(cfg)
        launch.init_distributed(cfg.get("launcher", "none"))
        precision.amp_dtype((cfg.get("env_cfg") or {}).get("amp", "auto"), launch.device())
        workdir.check_writable(cfg.work_dir)
        runner = super().from_cfg(cfg)
        for name in ("val_cfg", "test_cfg"):
            network, known = (cfg.get(name) or {}).get("network"), runner.networks()
            if network is not None and network not in known:
                runner.withdraw()
                raise ValueError(f"{name}.network: no network {network!r} is evaluated here; "
                                 f"{did_you_mean(network, known)}")
        return runner

    def __init__(self, *args, **kwargs):
        try:
            with workdir.naming(kwargs["work_dir"]):
                super().__init__(*args, **kwargs)
        except BaseException:
            self.withdraw()
            raise

    # -- building, in the order of mmengine's constructor ------------------------------------------------------

    def setup_env(self, env_cfg):
        self._rank, self._world_size = launch.init_distributed(self._launcher)
        self.device = launch.device()
        if self.device.type == "cpu":
            precision.keep_freed_memory()
        else:
            torch.cuda.set_device(self.device)
        self.amp_dtype = precision.amp_dtype(env_cfg.get("amp", "auto"), self.device)
        self.autocast = precision.autocast(self.device, self.amp_dtype)
        self._timestamp = launch.agree(datetime.now().strftime("%Y%m%d_%H%M%S_%f"))  # names this part of the run
        self.goes_on, self.begun = launch.agree(workdir.holds_run(self.work_dir)), False
        self.history, self.stop_signal, self._seconds, self.peak_memory = [], signals.StopSignal(), 0.0, 0.0
        if env_cfg.get("num_threads"):
            torch.set_num_threads(env_cfg["num_threads"])
        torch.backends.cudnn.benchmark = env_cfg.get("cudnn_benchmark", True)

    def set_randomness(self, seed=0, deterministic=False, diff_rank_seed=False):
        self._seed, self._deterministic = int(seed or 0), bool(deterministic)
        random.seed(self._seed)
        np.random.seed(self._seed % 2**32)
        torch.manual_seed(self._seed)
        if self._deterministic:
            torch.backends.cudnn.benchmark = False
            os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
            torch.use_deterministic_algorithms(True)

    def _log_env(self, env_cfg):
        threads = torch.get_num_threads()
        precision = str(self.amp_dtype or torch.float32).removeprefix("torch.")
        self.logger.info(f"openmix on {workdir.hardware(self.device)}, {self.world_size} process(es), {threads} "
                         f"thread(s), {precision}, seed {self.seed}; work dir {self.work_dir}")

    def build_model(self, model):
        # the top-level data_preprocessor, which mmengine put in here, is our loader's
        return MODELS.build({k: v for k, v in model.items() if k != "data_preprocessor"})

    def wrap_model(self, model_wrapper_cfg, model):
        channels_last = self.cfg.get("env_cfg", {}).get("channels_last", "auto")
        if channels_last == "auto":  # on CPUs it pays in float32 and costs in bf16 (docs/reference/speed.md)
            channels_last = self.device.type == "cuda" or self.amp_dtype is None
        if channels_last:
            model = model.to(memory_format=torch.channels_last)
        if self.cfg.get("sync_bn") and self.world_size > 1:
            model = syncbn.convert(model, self.device)
        model = model.to(self.device)
        if self.world_size == 1:
            return model
        ids = [self.device.index] if self.device.type == "cuda" else None
        unused = self.cfg.get("find_unused_parameters", False)
        return nn.parallel.DistributedDataParallel(model, device_ids=ids, broadcast_buffers=False,
                                                   gradient_as_bucket_view=True, find_unused_parameters=unused)

    def register_default_hooks(self, hooks=None):
        merged = {name: {**cfg} for name, cfg in DEFAULT_HOOKS.items()}
        for name, cfg in (hooks or {}).items():
            if cfg is None:
                merged.pop(name, None)
            elif name in merged and "type" not in cfg:
                merged[name].update(cfg)
            else:
                merged[name] = cfg
        for cfg in merged.values():
            self.register_hook(cfg)

    def register_hook(self, hook, priority=None):
        if isinstance(hook, dict):
            hook = dict(hook)
            priority = hook.pop("priority", priority)
            hook = HOOKS.build(hook)
        super().register_hook(hook, priority)

    def build_logger(self, *args, **kwargs):
        return brief_errors(super().build_logger(*args, **kwargs))

    def build_log_processor(self, log_processor):
        # the loop hands over means of an interval already: no second averaging over intervals
        return super().build_log_processor({"type": "LogProcessor", "window_size": 1, **log_processor})

    def build_visualizer(self, visualizer=None):
        visualizer = dict(vis_backends=[dict(type="LocalVisBackend")]) if visualizer is None else visualizer
        if isinstance(visualizer, dict):
            kind = visualizer.get("type", "Visualizer")
            backends = [{**b, "type": VISBACKENDS.get(b["type"])} if isinstance(b, dict) and isinstance(b["type"], str)
                        else b for b in visualizer.get("vis_backends") or ()]  # ours first, then mmengine's
            visualizer = {**visualizer, "type": VISUALIZERS.get(kind) if isinstance(kind, str) else kind,
                          "vis_backends": backends}
        return super().build_visualizer(visualizer)

    def get_hooks_info(self):
        return ", ".join(type(hook).__name__ for hook in self.hooks)

    def dump_config(self):
        """Nothing yet: a test, or a second run that the lock turns away, must not overwrite a run's config."""

    def write_config(self):
        """The resolved config, as a config file in the work dir."""
        if self.rank == 0:
            name = Path(self.cfg.filename).name if self.cfg.filename else "config.py"
            workdir.write_atomic(Path(self.work_dir, name).with_suffix(".py"), config_text(self.cfg).encode())

    def build_loader(self, cfg, train: bool, where: str = "val_dataloader"):
        """The loader of ``train_dataloader`` or of an evaluation (``where``), resident or streaming."""
        from ..datasets import make_loader
        from ..datasets.options import with_seed

        if not isinstance(cfg, dict):
            return cfg
        cfg, normalise = dict(cfg), dict(self.cfg.get("data_preprocessor") or {})
        allow, fits = cfg.pop("allow", None) or (), getattr(self._train_loop, "dataloader", None)
        data = DATASETS.build(with_seed(cfg.pop("dataset"), self.seed))
        if not train and fits is not None:  # evaluation numbers classes and normalises as training does
            data = agreement.fit_to_training(data, fits.data, allow, where, self.logger.warning)
            normalise = fits.statistics()
        common = dict(normalise, device=self.device, rank=self.rank, world=self.world_size, train=train, **cfg)
        if train:
            common.update(seed=self.seed, draw=unwrap(self.model).mixup.draw)
        loader = make_loader(data, **common)
        if not train and fits is not None and len(loader.size) == len(fits.size) == 2 and loader.size != fits.size:
            self.logger.warning(agreement.other_size(loader.size, fits.size))
        classes, found = unwrap(self.model).num_classes, len(data.classes)
        if classes is not None and (found > classes or train and found < classes):  # a small test set may lack some
            raise ValueError(f"the model has {classes} classes but {data.name} has {found}; set "
                             f"model.num_classes={found}")
        if loader.shape != self.tried:
            try_network(unwrap(self.model), loader.shape, self.device, self.autocast)
            self.tried = loader.shape
        if train:
            unwrap(self.model).mixup.check_images(torch.empty(1, *loader.shape, device="meta"))
        return loader

    def build_train_loop(self, loop):
        kwargs = dict(type="EpochLoop")
        return loop if not isinstance(loop, dict) else LOOPS.build(
            {**kwargs, **loop}, runner=self, dataloader=self._train_dataloader)

    def build_val_loop(self, loop):
        return loop if not isinstance(loop, dict) else LOOPS.build(
            {"type": "EvalLoop", **loop}, runner=self, dataloader=self._val_dataloader, evaluator=self._val_evaluator)

    def build_test_loop(self, loop):
        if not isinstance(loop, dict):
            return loop
        loop = LOOPS.build({"type": "EvalLoop", **loop}, runner=self, dataloader=self._test_dataloader,
                           evaluator=self._test_evaluator)
        loop.mode = "test"
        return loop

    # -- running -----------------------------------------------------------------------------------------------

    def networks(self) -> dict:
        """Every network that is evaluated, by name: the mixing method's, then those of hooks (``ema``)."""
        return {**unwrap(self.model).networks(), **self.hook_networks()}

    def hook_networks(self) -> dict:
        """Those of hooks alone."""
        named = {}
        for hook in self.hooks:
            if hasattr(hook, "networks"):
                named |= hook.networks(self)
        return named

    def set_status(self, state: str, **info) -> None:
        """Write ``status.json``; a full disk does not stop a run for a status line."""
        if self.rank == 0 or state in ("oom", "invalid", "failed"):  # whoever fails says so
            try:
                workdir.write_status(self.work_dir, state, **info)
            except OSError as error:
                self.logger.warning(f"could not write status.json: {error}")

    def train(self):
        """Train to the end (or to a stop), write ``result.json``, and return the model.

        Raises:
            Stopped: after a signal; everything is saved and ``--resume`` continues.
            Diverged: the loss was not finite; ``result.json`` says so.
        """
        try:
            lock = workdir.Lock(self.work_dir, self.rank, wait=2)
        except workdir.InUse:
            self.withdraw()
            raise
        with self.stop_signal, lock:
            if not self.goes_on:
                self.set_status("running", epoch=0, step=0)
            try:
                with workdir.naming(self.work_dir):
                    self._train()
                    self.finish("done")
            except Stopped as stop:
                self.set_status("preempted", reason=str(stop), epoch=self.epoch, step=self.iter)
                slurm.requeue_after(stop.signal if self.rank == 0 else 0)
                raise
            except Diverged as error:
                self.finish("diverged", reason=str(error))
                raise
            except torch.OutOfMemoryError as error:
                self.set_status("oom", reason=f"{str(error).splitlines()[0]}; try a smaller total_batch")
                raise
            except (ValueError, TypeError, FileNotFoundError) as error:
                self.refuse(error, lock)
                raise
            except BaseException as error:
                self.set_status("failed", reason=f"{type(error).__name__}: {error}")
                raise
        return self.model

    def _train(self):
        started = time.perf_counter()
        if not self.goes_on and not any(Path(self.work_dir).glob("*.py")):
            self.write_config()  # a table can tell whose run failed if its data cannot be read
        self._train_loop = self.build_train_loop(self._train_loop)
        if self._val_loop is not None:
            self._val_loop = self.build_val_loop(self._val_loop)
        self.evaluations = Evaluations(self)
        self.data_records = agreement.records(self)
        self.call_hook("before_run")
        self.load_or_resume()
        self.begin()
        self.log_plan()
        self._seconds_before, self._started = self._seconds, started
        self._train_loop.run()
        self.evaluations.run_last()
        self.call_hook("after_run")

    def begin(self) -> None:
        """Nothing has been refused: from here on the files of the work dir are this run's."""
        self.begun = True
        self.set_status("running", epoch=self.epoch, step=self.iter)
        if self.rank == 0:
            info = workdir.describe_machine(self.world_size, self.seed, self.device)
            info["description"] = summary.describe_run(self)  # tables list runs that have not ended, too
            workdir.write_json(Path(self.work_dir) / "env.json", info)
        self.write_config()

    def refuse(self, error: Exception, lock) -> None:
        """A start that cannot be: its status says why, but a run that was there already stays as it was."""
        if self.begun or not self.goes_on:
            self.set_status("invalid", reason=str(error))
        else:
            lock.release(untouched=True)
        if not self.begun:
            self.withdraw()

    def withdraw(self) -> None:
        """Remove the folder of logs of a start that was refused; no other run or process writes there."""
        folder = getattr(self, "_log_dir", None)
        if folder is None:
            return
        for handler in [h for h in getattr(self, "logger", logging.root).handlers if hasattr(h, "baseFilename")]:
            if Path(handler.baseFilename).is_relative_to(Path(folder).resolve()):
                self.logger.removeHandler(handler)
                handler.close()
        if hasattr(self, "visualizer"):
            self.visualizer.close()
        shutil.rmtree(folder, ignore_errors=True)

    def test(self) -> dict:
        """The evaluations of the config, of the weights in ``load_from``: {name: record}, see :func:`record`."""
        try:
            if self._test_loop is not None:
                self._test_loop = self.build_test_loop(self._test_loop)
            self.evaluations = Evaluations(self)
            self.call_hook("before_run")
            self.load_or_resume()
        except (ValueError, TypeError, FileNotFoundError):
            self.withdraw()
            raise
        found = {}
        if self._test_loop is not None:
            self.logger.info(f"testing on {agreement.evaluated_on(self.test_loop.dataloader)}")
            found["test"] = record(self.test_loop, self.test_loop.run())
        for name in self.evaluations.loops:
            found[name] = self.evaluations.measure(name)
            self.evaluations.log(name, found[name])
        return found

    def test_loaders(self) -> dict:
        """Loaders of :meth:`test`, by the config key of their data."""
        test = {} if self._test_loop is None else {"test_dataloader": self.test_loop.dataloader}
        return test | {f"evals.{name}": loop.dataloader for name, loop in self.evaluations.loops.items()}

    def wall_seconds(self) -> float:
        """Time spent on this run, earlier parts of a resumed one included."""
        return self._seconds_before + time.perf_counter() - self._started

    def finish(self, status: str, **info) -> None:
        """Write ``result.json`` and the last status."""
        if self.rank == 0:
            self.write_result(status, **info)
        self.set_status(status, epoch=self.epoch, step=self.iter, **info)

    # what is saved and how a run goes on
    save_run, load_or_resume = state.save_run, state.load_or_resume
    load_weights, resume = state.load_weights, state.resume
    # what it says about itself
    log_plan, write_result, note_memory = summary.log_plan, summary.write_result, summary.note_memory
    count_parameters = summary.count_parameters
