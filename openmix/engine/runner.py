"""One training run in one work dir.

mmengine gives the parts a run is composed of: configuration, hooks, message hub, log lines, visual backends. What is
ours: how processes start on any device, what is saved (plain data, checksummed, written atomically) and how a run
resumes, ends and reports.
"""
import os
import signal
import time
from datetime import datetime, timezone
from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.logging import MessageHub
from mmengine.registry import DefaultScope
from mmengine.runner.priority import get_priority

from .. import workdir
from ..errors import is_input_error, mark, reading_input
from ..registry import LOOPS, MODELS, SCOPE
from . import agreement, build, closing, precision, summary
from .config.check import check_config
from .config.plain import config_text, plain_config
from .distributed import launch, signals, slurm
from .distributed.launch import unwrap
from .evaluations import Evaluations, record
from .hooks import with_defaults
from .logging import parts
from .resume import load_or_resume
from .step.eager import Diverged
from .train_loop import Stopped


class Runner:
    """One training run in one work dir. :meth:`from_cfg` checks a config; the constructor takes one that is checked.

    Everything that a config can get wrong without its data is built before the work dir is touched. Data is read when
    training or testing starts.

    Attributes:
        model: the Classifier, inside DistributedDataParallel where there are several processes.
        hooks: sorted by priority; they see the run through this object, as mmengine's do.
        train_loop, val_loop, test_loop: None until they are built, or if the config has none.
        evaluations: those with names, once their data is read.
        history: an entry an epoch.
    """

    def __init__(self, cfg: Config):
        self.cfg, env, randomness = cfg, cfg.get("env_cfg") or {}, cfg.get("randomness") or {}
        self.work_dir, self.launcher = os.path.abspath(cfg.work_dir), cfg.get("launcher", "none")
        self.seed, self.deterministic = int(randomness.get("seed") or 0), bool(randomness.get("deterministic"))
        self.train_loop = self.val_loop = self.test_loop = self.evaluations = None
        self.history, self.hooks, self.stop_signal, self.peak_memory = [], [], signals.StopSignal(), 0.0
        self.begun = self.loaded = False  # the files of the work dir are this run's; its weights have been loaded
        self.data_records = None  # of the training and validation data, once they are read
        self.tried_shape = None  # (C, H, W) of the images that the network has been tried on
        self.seconds_before, self.log_dir = 0.0, None  # of the parts of a resumed run before this one
        with reading_input():
            self.rank, self.world_size = launch.init_distributed(self.launcher)
            self.device = launch.local_device()
            self.amp_dtype = precision.amp_dtype(env.get("amp", "auto"), self.device)
            self.autocast = precision.autocast(self.device, self.amp_dtype)
            build.set_environment(env, self.device)
            build.set_randomness(self.seed, self.deterministic)
            self.model = build.wrap_model(MODELS.build(cfg.model), cfg, self.device, self.amp_dtype, self.world_size)
            for hook in (*with_defaults(cfg.get("default_hooks")), *(cfg.get("custom_hooks") or ())):
                self.register_hook(hook)
            build.check_networks(cfg, self.networks())
            self.log_processor = parts.build_log_processor(cfg.get("log_processor"))
            workdir.check_writable(self.work_dir)
            try:
                with workdir.naming(self.work_dir):
                    self.open_logs()
            except BaseException:
                closing.withdraw(self)
                raise

    @classmethod
    def from_cfg(cls, cfg) -> "Runner":
        """Check ``cfg``, a Config or a dict, and build the run. Raises ValueError or TypeError for a wrong config."""
        with reading_input():
            cfg = plain_config(cfg if isinstance(cfg, Config) else Config(cfg))
            check_config(cfg, values=False)
        return cls(cfg)

    # what hooks and log processors of mmengine read, beside the attributes
    epoch = property(lambda self: self.train_loop.epoch if self.train_loop else 0)
    iter = property(lambda self: self.train_loop.iter if self.train_loop else 0)
    max_epochs = property(lambda self: self.train_loop.max_epochs if self.train_loop else 0)
    max_iters = property(lambda self: self.train_loop.max_iters if self.train_loop else 0)
    train_dataloader = property(lambda self: self.train_loop.dataloader)
    val_dataloader = property(lambda self: self.val_loop.dataloader)
    test_dataloader = property(lambda self: self.test_loop.dataloader)
    distributed = property(lambda self: self.launcher != "none")
    _train_loop = property(lambda self: self.train_loop)

    # -- building ------------------------------------------------------------------------------------------------

    def register_hook(self, hook, priority=None) -> None:
        """Add a hook, an object or a config, behind those of its priority."""
        self.hooks.append(build.build_hook(hook, priority))
        self.hooks.sort(key=lambda hook: get_priority(hook.priority))

    def call_hook(self, stage: str, **arguments) -> None:
        """Call the method ``stage`` of every hook that has it. What a hook raises is no error of the user's input."""
        try:
            for hook in self.hooks:
                if hasattr(hook, stage):
                    getattr(hook, stage)(self, **arguments)
        except Exception as error:
            mark(error, False)
            raise

    def open_logs(self) -> None:
        """Make the work dir and this part's folder in it, the logger, the message hub and the visual backends."""
        now = datetime.now(timezone.utc)  # parts of one run sort by name, wherever and whenever each began
        self.timestamp = launch.broadcast_from_rank0(now.strftime("%Y%m%d_%H%M%S_%f"))
        self.goes_on = launch.broadcast_from_rank0(workdir.holds_run(self.work_dir))
        own = () if self.cfg.get("train_cfg") else ("evals",)  # an evaluation alone is no part of the training
        self.log_dir = os.path.join(self.work_dir, *own, self.timestamp)
        os.makedirs(self.log_dir, exist_ok=True)
        name = self.cfg.get("experiment_name") or (Path(self.cfg.filename).stem if self.cfg.filename else None)
        self.experiment_name = name = f"{name}_{self.timestamp}" if name else self.timestamp
        DefaultScope.get_instance(name, scope_name=self.cfg.get("default_scope") or SCOPE)
        self.logger = parts.build_logger(name, self.cfg.get("log_level", "INFO"),
                                         Path(self.log_dir, f"{self.timestamp}.log"))
        self.message_hub = MessageHub.get_instance(name=name)
        kind = str(self.amp_dtype or torch.float32).removeprefix("torch.")
        self.logger.info(f"openmix on {workdir.hardware(self.device)}, {self.world_size} process(es), "
                         f"{torch.get_num_threads()} thread(s), {kind}, seed {self.seed}; work dir {self.work_dir}")
        self.visualizer = parts.build_visualizer(self.cfg.get("visualizer"), name, self.log_dir)
        self.visualizer.add_config(self.cfg)
        self.logger.info(f"hooks: {', '.join(type(hook).__name__ for hook in self.hooks)}")

    def write_config(self):
        """The resolved config, as a config file in the work dir."""
        if self.rank == 0:
            name = Path(self.cfg.filename).name if self.cfg.filename else "config.py"
            workdir.write_atomic(Path(self.work_dir, name).with_suffix(".py"), config_text(self.cfg).encode())

    def build_train_loop(self, dataloader=None):
        """Read the training data (or take a loader), build optimizer and step; ``train_loop`` from now on."""
        self.train_loop = LOOPS.build({"type": "EpochLoop", **self.cfg.train_cfg}, runner=self,
                                      dataloader=dataloader or self.cfg.train_dataloader)
        return self.train_loop

    def build_val_loop(self, dataloader=None):
        """The loop of evaluation during training; None if the config has none."""
        self.val_loop = self._eval_loop("val", dataloader)
        return self.val_loop

    def build_test_loop(self, dataloader=None):
        """The loop of testing; None if the config has none."""
        self.test_loop = self._eval_loop("test", dataloader)
        return self.test_loop

    def _eval_loop(self, mode: str, dataloader):
        if self.cfg.get(f"{mode}_cfg") is None:
            return None
        loop = LOOPS.build({"type": "EvalLoop", **self.cfg[f"{mode}_cfg"]}, runner=self,
                           dataloader=dataloader or self.cfg[f"{mode}_dataloader"],
                           evaluator=self.cfg[f"{mode}_evaluator"])
        loop.mode = mode
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
        if self.rank == 0 or state in ("oom", "invalid", "failed"):  # every process that fails writes its reason
            try:
                workdir.write_status(self.work_dir, state, **info)
            except OSError as error:
                self.logger.warning(f"could not write status.json: {error}")

    def train(self):
        """Train to the end (or to a stop), write ``result.json``, and return the model.

        Raises:
            Stopped: after a signal; everything is saved and ``--resume`` continues.
            Diverged: the loss was not finite; ``result.json`` has that status.
            KeyboardInterrupt: after Ctrl-C behind the last step; the run is done, and what called it is to stop.
        """
        try:
            lock = workdir.Lock(self.work_dir, self.rank, wait=2)
        except workdir.InUse:
            closing.withdraw(self)
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
            except BaseException as error:
                if is_input_error(error) and getattr(error, "errno", None) not in workdir.DISK:
                    closing.refuse(self, error, lock)
                else:
                    self.set_status("failed", reason=f"{type(error).__name__}: {error}")
                raise
            finally:
                closing.close(self)
        if self.stop_signal.received == signal.SIGINT and self.world_size == 1:
            self.logger.info(f"the run is done, see {self.work_dir}/result.json; Ctrl-C came behind its last step")
            raise KeyboardInterrupt
        return self.model

    def _train(self):
        self.started = time.perf_counter()
        summary.begin_memory(self.device)
        with reading_input():
            if not self.goes_on and not any(Path(self.work_dir).glob("*.py")):
                self.write_config()  # tables list a failed run by its config, even if its data cannot be read
            self.build_train_loop()
            self.build_val_loop()
            self.evaluations = Evaluations(self)
            self.data_records = agreement.records(self)
            self.call_hook("before_run")
            load_or_resume(self)
        self.begin()
        summary.log_plan(self)
        self.train_loop.run()
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

    def test(self) -> dict:
        """The evaluations of the config, of the weights in ``load_from``: {name: record}, see :func:`record`."""
        try:
            return self._test()
        finally:
            closing.close(self)

    def _test(self) -> dict:
        try:
            with reading_input():
                self.build_test_loop()
                self.evaluations = Evaluations(self)
                self.call_hook("before_run")
                load_or_resume(self)
        except (ValueError, TypeError, FileNotFoundError):
            closing.withdraw(self)
            raise
        records = {}
        if self.test_loop is not None:
            self.logger.info(f"testing on {agreement.evaluated_on(self.test_loop.dataloader)}")
            records["test"] = record(self.test_loop, self.test_loop.run())
        for name in self.evaluations.loops:
            records[name] = self.evaluations.measure(name)
            self.evaluations.log(name, records[name])
        return records

    def wall_seconds(self) -> float:
        """Time spent on this run, earlier parts of a resumed one included."""
        return self.seconds_before + time.perf_counter() - self.started

    def finish(self, status: str, **info) -> None:
        """Write ``result.json`` and the last status."""
        if self.rank == 0:
            summary.write_result(self, status, **info)
        self.set_status(status, epoch=self.epoch, step=self.iter, **info)
