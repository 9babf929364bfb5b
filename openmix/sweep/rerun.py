"""A run once more, with its resolved config and its seed, in a new work dir; and whether the outcome is the same."""
import os
import subprocess
from collections.abc import Iterable
from pathlib import Path

from ..engine.config import foreign
from ..paths import child_environment
from ..results.cells import make_cells
from ..results.records import Record, read_records
from ..results.run_files import read_scalars
from ..workdir.status import read_status
from . import jobs

HOME = Path("reruns")  # outside the folders that tables are made of
KEPT = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "CUBLAS_WORKSPACE_CONFIG")  # variables that change bits


def find(where, trust: bool = False) -> list[Record]:
    """The run in a work dir, or all runs of the cell in a folder above them, e.g. the seeds of a config.

    Args:
        trust: run configs that are more than data, e.g. with ``custom_imports``; without, these are refused, as a work
            dir may come from a stranger.

    Raises:
        FileNotFoundError: no folder, or no run in it. ValueError: runs of several cells, a run without its config, or
            one whose config would run other code.
    """
    records = read_records(where)
    if not records:
        raise FileNotFoundError(f"no run in {where}; name a work dir, or a folder with the seeds of one cell")
    lost = [r.folder for r in records if not r.config or r.seed is None]
    if lost:
        raise ValueError(f"{lost[0]} has no readable config; it cannot be run again")
    for record in () if trust else records:
        if reason := foreign.runs_code(record.config_file):
            raise ValueError(f"{record.config_file} is more than data: {reason}. Read it, and give --trust to run it")
    cells = make_cells(records)
    if len(cells) > 1:
        names = ", ".join(f"{c.row} / {c.network} / {c.epochs} epochs" for c in cells[:4])
        raise ValueError(f"{where} holds runs of {len(cells)} cells ({names}); name the work dir or folder of one")
    return records


def new_folder(record: Record) -> Path:
    """``reruns/<path of the run>``, numbered from 2 where there is one already."""
    old = Path(record.folder).resolve()
    here = Path.cwd()
    inside = old.relative_to(here) if old.is_relative_to(here) else Path(*old.parts[-3:])
    folder, number = HOME / inside, 2
    while folder.exists():
        folder, number = HOME / inside.with_name(f"{inside.name}_{number}"), number + 1
    return folder


def command(record: Record, folder) -> list[str]:
    """The command line that repeats a run in ``folder``; it continues where it was stopped.

    Raises:
        ValueError: ``folder`` is that of the run itself, which would be compared with itself.
    """
    if os.path.realpath(folder) == os.path.realpath(record.folder):
        raise ValueError(f"{folder} is the run that is to be repeated; name another --work-dir")
    job = jobs.Job(name=str(folder), config=record.config_file, seed=record.seed, work_dir=str(folder),
                   processes=record.processes or 1)
    return jobs.command(job)


def rerun(record: Record, folder) -> Record:
    """Run it in ``folder`` and return the new record, whatever became of it. The threads are those of the first run.

    Raises:
        ValueError: ``folder`` holds another run.
    """
    if Path(folder).exists() and any(r.config_hash != record.config_hash or r.seed != record.seed
                                     for r in read_records(folder)):
        raise ValueError(f"{folder} holds another run; name another --work-dir")
    variables = record.env.get("variables") or {}
    same = {name: variables[name] for name in KEPT if name in variables}
    with subprocess.Popen(command(record, folder), env={**os.environ, **child_environment(), **same}) as process:
        try:
            process.wait()
        except KeyboardInterrupt:  # the terminal has sent it to the training, too, which saves
            process.wait()
            raise
    records = read_records(folder) if Path(folder).is_dir() else []
    if not records:
        raise ValueError(f"the run wrote nothing to {folder}")
    return records[0]


# -- the same? -------------------------------------------------------------------------------------------------


def differences(old: Record, new: Record) -> list[str]:
    """What differs between the outcomes of two runs, a line each; empty if they are the same bit by bit.

    Compared are how they ended, every accuracy and logged value of every step, and the weights of the newest
    checkpoint of both.
    """
    lines = []
    if old.config_hash != new.config_hash:
        lines.append("the configs differ (another version of openmix reads it otherwise)")
    if old.state != new.state:
        reason = read_status(new.folder).get("reason")
        lines.append(f"state: {old.state} -> {new.state}{f' ({reason})' if reason else ''}")
    if old.result and new.result:
        lines += [*_accuracies(old.result, new.result), *_evaluations(old.result, new.result)]
    lines += _logs(read_scalars(old.folder), read_scalars(new.folder))
    return [*lines, *_weights(old.folder, new.folder)]


def _accuracies(old: dict, new: dict) -> Iterable[str]:
    for name in sorted(old["networks"].keys() | new["networks"].keys()):
        pair = [record["networks"].get(name) for record in (old, new)]
        if None in pair:
            yield f"network {name}: only in the {'new' if pair[0] is None else 'old'} run"
            continue
        for key in dict.fromkeys(key for record in pair for key, curve in record.items() if isinstance(curve, list)):
            a, b = (record.get(key) or [] for record in pair)
            if a != b:
                both = [(x, y) for x, y in zip(a, b, strict=False) if None not in (x, y)]
                gaps = [float(x != y) if isinstance(x, list) else abs(x - y) for x, y in both]
                last = [next((v for v in reversed(c) if v is not None), None) for c in (a, b)]
                yield (f"{name} {key}: {sum(g > 0 for g in gaps)} of {len(gaps)} epochs differ, by up to "
                       f"{max(gaps, default=0):.2f}; last {last[0]} -> {last[1]}"
                       f"{'' if len(a) == len(b) else f'; {len(a)} epochs -> {len(b)}'}")


def _evaluations(old: dict, new: dict) -> Iterable[str]:
    for name in sorted(old["evals"].keys() & new["evals"].keys()):
        a, b = (record["evals"][name] for record in (old, new))
        if (a["epoch"], a["networks"]) != (b["epoch"], b["networks"]):
            yield f"evaluation {name}: the values differ (epoch {a['epoch']} -> {b['epoch']})"


TIMES = {"time", "data_time", "img/s", "memory", "eta"}  # differ between any two runs


def _logs(old: list[dict], new: list[dict]) -> Iterable[str]:
    a, b = ({entry["step"]: {k: v for k, v in entry.items() if k not in TIMES} for entry in log} for log in (old, new))
    shared = sorted(a.keys() & b.keys())
    differ = [step for step in shared if a[step] != b[step]]
    if differ:
        first, keys = differ[0], sorted(k for k in a[differ[0]] if a[differ[0]][k] != b[differ[0]].get(k))
        shown = ", ".join(f"{k} {a[first][k]} -> {b[first].get(k)}" for k in keys[:3])
        yield f"log: {len(differ)} of {len(shared)} steps differ, first at step {first}: {shown}"
    elif a.keys() != b.keys():
        yield f"log: {len(a)} steps -> {len(b)}; those in both are equal"


def _weights(old, new) -> Iterable[str]:
    from ..engine import checkpoint, run_checkpoints  # the only part that needs torch

    paths = [run_checkpoints.newest(folder) for folder in (old, new)]
    if None in paths or paths[0].name != paths[1].name:
        yield f"weights: not compared, newest checkpoints are {' and '.join(p.name if p else 'none' for p in paths)}"
        return
    a, b = (checkpoint.weights(checkpoint.load(path)) for path in paths)
    differ = [k for k in a if k not in b or a[k].shape != b[k].shape or not a[k].equal(b[k])]
    if differ or a.keys() != b.keys():
        gap = max((float((a[k].double() - b[k].double()).abs().max()) for k in differ
                   if k in b and a[k].shape == b[k].shape and a[k].numel()), default=float("nan"))
        yield f"weights of {paths[0].name}: {len(differ)} of {len(a)} tensors differ, by up to {gap:.3g}"


def circumstances(old: Record, new: Record) -> list[str]:
    """What else was different: versions, device, commit, variables."""
    lines = []
    for where, a, b in (("", old.env, new.env), *((f"{key}.", old.env.get(key) or {}, new.env.get(key) or {})
                                                   for key in ("versions", "git", "variables"))):
        for key in sorted((a.keys() | b.keys()) - {"versions", "git", "variables"}):
            if a.get(key) != b.get(key):
                lines.append(f"{where}{key}: {a.get(key)} -> {b.get(key)}")
    return lines
