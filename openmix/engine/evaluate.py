"""Evaluate a checkpoint on the data of a config."""
from pathlib import Path

from ..errors import did_you_mean, reading_input
from .caller import as_before
from .run import read


def test(cfg, weights, options: dict | None = None) -> dict:
    """The values of a checkpoint on the test set: {network: {name of a value: number}}, such as ``top1`` in percent.

    ``cfg`` and ``options`` are those of :func:`train`.
    """
    return tested(cfg, weights, options)[0]


def tested(cfg, weights, options: dict | None = None) -> tuple[dict, dict]:
    """What :func:`test` returns, and which data that was measured on, as ``result.json`` records data."""
    measured = evaluate(cfg, weights, ["test"], options=options)["test"]
    return measured["networks"], measured["data"]


@as_before()
def evaluate(cfg, weights, names=None, write: bool = False, options: dict | None = None,
             checked: bool = False) -> dict:
    """Run evaluations of a config on the weights of a checkpoint.

    Args:
        cfg, options, checked: those of :func:`train`. weights: path of a checkpoint.
        names: ``test`` (of ``test_dataloader``) and names in ``evals``; all that the config has by default.
        write: also put them into the ``result.json`` beside the checkpoint, that of the finished run it belongs to.

    Returns:
        {name: dict(type, main, data, networks={network: {name of a value: number}})}.

    Raises:
        ValueError: an unknown name; with ``write``, no finished run, or weights or a config that are not the run's.
        FileNotFoundError: no checkpoint; with ``write``, no ``result.json``.
    """
    from ..workdir.result import add_evaluations
    from .distributed import launch
    from .evaluations import with_data
    from .runner import Runner

    cfg = read(cfg, options, checked)
    with reading_input():
        names = evaluations_to_run(cfg, names)
        facts = run_of_weights(cfg, weights) if write else {}
    cfg.evals = {name: entry for name, entry in with_data(cfg).items() if name in names}
    cfg.load_from, cfg.resume = str(weights), False
    for key in ("train_dataloader", "train_cfg", "optim_wrapper", "param_scheduler", "val_dataloader", "val_cfg",
                "val_evaluator", *(() if "test" in names else ("test_dataloader", "test_cfg", "test_evaluator"))):
        cfg.pop(key, None)
    records = Runner(cfg).test()
    if write and launch.is_first():
        with reading_input():
            add_evaluations(Path(weights).parent, {name: {**record, **facts} for name, record in records.items()})
    launch.wait_for_all()
    return {name: records[name] for name in names}


def evaluations_to_run(cfg, names=None) -> list[str]:
    """The evaluations in a config that ``names`` lists, all by default. Raises ValueError for an unknown name."""
    known = [*(["test"] if cfg.get("test_dataloader") is not None else []), *(cfg.get("evals") or {})]
    names = known if names is None else list(names)
    for name in names:
        if name not in known:
            raise ValueError(f"no evaluation {name!r} in this config; {did_you_mean(name, known)}")
    if not names:
        raise ValueError("the config has neither a test_dataloader nor evals, so there is nothing to evaluate")
    return names


def run_of_weights(cfg, weights) -> dict:
    """What the result of a run keeps of a checkpoint whose evaluation is written there: ``epoch`` and ``checkpoint``.

    Raises:
        ValueError: the run in the checkpoint's folder has not finished, or is another than that of the weights or of
            the config. FileNotFoundError: there is no ``result.json``.
    """
    from .. import workdir
    from ..workdir import schema
    from . import checkpoint

    path = Path(weights).parent / "result.json"
    if not path.is_file():
        raise FileNotFoundError(f"no {path}: --write adds to the result of a finished run, which is beside its "
                                "checkpoint")
    result, meta = schema.read(path), checkpoint.load(weights).get("meta") or {}
    if result["status"] != "done":
        raise ValueError(f"{path} is of a run that ended as {result['status']}; --write adds to a finished one")
    own = meta.get("config")
    if not isinstance(own, dict) or "epoch" not in meta:
        raise ValueError(f"{weights} does not say which run it is of; --write takes a checkpoint that a run saved")
    if workdir.config_hash(own) != result["config_hash"] or meta.get("seed") != result["seed"] or not (
            0 < meta["epoch"] <= result["epochs"]):
        raise ValueError(f"{weights} holds the weights of another run than {path} (config, seed or epoch differ)")
    if Path(weights).name.startswith("iter_"):
        raise ValueError(f"{weights} was saved in the middle of an epoch; take a checkpoint of an epoch's end")
    ours = (*workdir.RESUMABLE, "val_dataloader", "val_cfg", "val_evaluator", "randomness", "load_from")
    if changed := workdir.config_difference(own, cfg.to_dict(), ours):
        raise ValueError("the config is not that of the run whose result is to be written:\n  " + "\n  ".join(changed))
    return dict(epoch=meta["epoch"], checkpoint=Path(weights).name)
