"""Evaluations with names: the config key ``evals``, when they run in a training, and what a result keeps of them."""
import re

import torch

from ..checks import check_count, check_dict, check_keys
from ..errors import did_you_mean
from ..registry import EVALUATORS, accepted_keys
from .build import build_loader
from .config.data import allowed
from .eval_loop import EvalLoop, scalars
from .hooks import unless_disk_full

LOADER = ("dataset", "batch_size", "num_workers", "allow")  # as in val_dataloader, and that one's by default
OWN = ("interval", "networks", "limit")  # the other keys are the evaluator's
NAME = re.compile(r"[A-Za-z]\w{0,63}")
RESERVED = ("val", "test")


def split_entry(entry, default=None) -> tuple[dict, dict, dict]:
    """An entry of ``evals`` as (evaluator, loader, other keys).

    Args:
        default: the loader of the validation, whose data an entry without a ``dataset`` takes.
    """
    loader = {k: entry[k] for k in LOADER if entry.get(k) is not None}
    if "dataset" not in loader:
        loader = {**(default or {}), **loader}
    evaluator = {k: v for k, v in entry.items() if k not in (*LOADER, *OWN)}
    return {"type": "Accuracy", **evaluator}, loader, {k: entry[k] for k in OWN if entry.get(k) is not None}


def with_data(cfg) -> dict:
    """The ``evals`` of a config, each with data of its own: the validation's where it names none."""
    evals = {}
    for name, entry in (cfg.get("evals") or {}).items():
        evaluator, loader, others = split_entry(entry, cfg.get("val_dataloader"))
        evals[name] = {**evaluator, **loader, **others}
    return evals


def check_evaluator(where: str, evaluator) -> None:
    """Name, keys and values of an evaluator."""
    EVALUATORS.check(evaluator, where, filled=())
    EVALUATORS.build_part(where, dict(evaluator))


def check_evals(cfg, check_loader) -> None:
    """The key ``evals``: names, evaluators, their data.

    Args:
        check_loader: called with (where, loader config).

    Raises:
        ValueError, TypeError: see the message.
    """
    evals = cfg.get("evals") or {}
    check_dict("evals", evals)
    for name, entry in evals.items():
        where = f"evals.{name}"
        if not isinstance(name, str) or not NAME.fullmatch(name) or name in RESERVED:
            raise ValueError(f"evals: {name!r} cannot be the name of an evaluation; take letters, digits and _, a "
                             f"letter first, and neither of {', '.join(RESERVED)}, which have keys of their own")
        check_dict(where, entry)
        evaluator, loader, others = split_entry(entry, cfg.get("val_dataloader"))
        cls = EVALUATORS.get(evaluator["type"]) if isinstance(evaluator["type"], str) else None
        if cls is not None:
            check_keys(where, entry, {"type", *LOADER, *OWN, *(accepted_keys(cls) or entry)})
        check_evaluator(where, evaluator)
        if "dataset" not in loader:
            raise ValueError(f"{where} has no 'dataset', and there is no val_dataloader whose data it could take")
        check_loader(where, loader)
        allowed(loader, where)
        for key in ("interval", "limit"):
            if key in others:
                check_count(f"{where}.{key}", others[key])
        names = others.get("networks", [])
        if not isinstance(names, (list, tuple)) or "networks" in others and not names:
            raise TypeError(f"{where}.networks must be a list of names, such as ['net'], got {names!r}")


class Evaluations:
    """The named evaluations of a run; their data is read when this is made, before anything is trained.

    Args:
        runner: the run. names: those that are made; all by default.

    Raises:
        ValueError: a network that this run does not have.
    """

    def __init__(self, runner, names=None):
        self.runner, self.loops, self.intervals = runner, {}, {}
        evals, validation = runner.cfg.get("evals") or {}, runner.val_loop
        for name in evals if names is None else names:
            evaluator, loader, others = split_entry(evals[name], runner.cfg.get("val_dataloader"))
            shared = isinstance(validation, EvalLoop) and loader == dict(runner.cfg.val_dataloader)
            self.intervals[name] = others.pop("interval", None)
            known, where = runner.networks(), f"evals.{name}"
            for network in others.get("networks", ()):
                if network not in known:
                    raise ValueError(f"{where}.networks: no network {network!r} is evaluated here; "
                                     f"{did_you_mean(network, known)}")
            built = validation.dataloader if shared else build_loader(runner, loader, train=False, where=where)
            self.loops[name] = loop = EvalLoop(runner, built, evaluator, limit=others.get("limit"))
            loop.mode, loop.names = where, others.get("networks")

    def run_due(self, entry: dict) -> None:
        """Run those that are due after the epoch of ``entry`` of the history, and note their values there."""
        due = [name for name, every in self.intervals.items() if every and entry["epoch"] % every == 0]
        self.run(due, entry)

    def run_last(self) -> None:
        """After the last epoch: run those that have no values of it yet."""
        history = self.runner.history
        if history:
            self.run([name for name in self.loops if name not in history[-1].get("evals", {})], history[-1])

    def run(self, names, entry: dict) -> None:
        for name in names:
            entry.setdefault("evals", {})[name] = measured = self.measure(name)
            self.log(name, measured)

    def measure(self, name: str) -> dict:
        """A record of one evaluation: the evaluator's type and main value, the data, ``networks: {network: values}``.

        Random numbers of the run stay as they are.
        """
        loop, device = self.loops[name], self.runner.device
        with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
            return record(loop, loop.measure())

    def log(self, name: str, measured: dict) -> None:
        values = {network: scalars(values) for network, values in measured["networks"].items()}
        shown = "; ".join(f"{network}: {'  '.join(f'{k} {v:.4g}' for k, v in own.items())}"
                          for network, own in values.items())
        self.runner.logger.info(f"evaluation {name} ({measured['type']}, {measured['data']['name']}, split "
                                f"{measured['data']['split']}): {shown}")
        if self.runner.rank == 0:
            logged = {f"{name}/{network}/{k}": v for network, own in values.items() for k, v in own.items()}
            with unless_disk_full(self.runner, "the log"):
                self.runner.visualizer.add_scalars(logged, step=self.runner.iter)


def record(loop: EvalLoop, networks: dict) -> dict:
    """What a result keeps of one evaluation, but for the epoch of the weights."""
    return dict(type=loop.config["type"], main=loop.main, data=loop.dataloader.describe(), networks=networks)
