"""Work dirs to records. A run whose files are torn, missing or of a newer version is listed with its problems.

Only files of the work dir are read: the resolved config, ``status.json``, ``env.json``, ``result.json`` and the
``scalars.json`` of each start. Nothing is executed, and nothing heavy is imported.
"""
import dataclasses
import os
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

from .. import workdir
from ..moved import renamed
from ..workdir.status import TERMINAL
from . import labels
from .run_files import read_facts, whole_of

SIGNS = {"status.json", "result.json", "env.json", ".lock"}  # a folder with one of these is a run
MAIN = "top1"  # what published tables are of, and ours
BROKEN = "broken"  # beside the states of jobs.state: result.json is there and cannot be used


@dataclasses.dataclass
class Record:
    """One run.

    Attributes:
        folder: its work dir.
        state: ``broken`` (``result.json`` cannot be used) or one of those of :func:`openmix.workdir.status.state`.
        method, network, dataset: labels, see :mod:`openmix.results.labels`; ``?`` without a readable config.
        epochs: planned. seed: None if no file has it.
        result: content of ``result.json``; None if there is none, or none that can be used.
        config, config_file: the resolved config as plain data, and its path; {} and None without one.
        defaults: {class: {option: default}} of its method and network.
        config_hash: of the result, or of the config where there is no result yet; "" if neither is readable.
        hardware, processes, precision, torch: of the run; "" or None where no file has it.
        status, env: content of ``status.json`` and ``env.json``, {} without one.
        problems: the defects of its files, a line each.
        damaged: whether one of them cannot be used; a missing one is no damage.
    """

    folder: str
    state: str
    method: str = "?"
    network: str = "?"
    dataset: str = "?"
    epochs: int | None = None
    seed: int | None = None
    result: dict | None = None
    config: dict = dataclasses.field(default_factory=dict)
    defaults: dict = dataclasses.field(default_factory=dict)
    config_file: str | None = None
    config_hash: str = ""
    hardware: str = ""
    processes: int | None = None
    precision: str = ""
    torch: str = ""
    status: dict = dataclasses.field(default_factory=dict)
    env: dict = dataclasses.field(default_factory=dict)
    problems: list[str] = dataclasses.field(default_factory=list)
    damaged: bool = False

    def accuracy(self, kind: str = "median") -> float | None:
        """:data:`MAIN` of the network that counts: the ``median`` of its last 10 epochs, or its ``last`` one."""
        if (self.result or {}).get("main") != MAIN:  # no other value may be taken for it
            return None
        network = self.primary
        return network.get("median_last10") if kind == "median" else (network.get("last") or {}).get(MAIN)

    @property
    def primary(self) -> dict:
        """Of the network that counts: curves by name, ``median_last10``, ``best``, ``last``; {} if none."""
        result = self.result or {}
        return result.get("networks", {}).get(result.get("primary")) or {}


def find_runs(root, unreadable: Callable[[OSError], None] | None = None) -> list[str]:
    """The work dirs at or below ``root``, sorted. Links to folders are not followed.

    Args:
        unreadable: called with the error of each folder that cannot be listed; by default a line on stderr.

    Raises:
        FileNotFoundError: no such folder.
    """
    if not Path(root).is_dir():
        raise FileNotFoundError(f"no folder {root}; name the folder that holds the runs, e.g. work_dirs")
    folders = []
    for folder, below, files in os.walk(root, onerror=unreadable or _warn):
        if SIGNS.intersection(files + below):
            folders.append(folder)
            below.clear()
    return sorted(folders)


def _warn(error: OSError) -> None:
    print(f"{error.filename} is left out: {error.strerror}", file=sys.stderr)


def gather(roots: Iterable) -> list[Record]:
    """The runs below several folders, each once where they overlap (symbolic links resolved), sorted by folder."""
    records: dict[str, Record] = {}
    for root in roots:
        for record in read_records(root):
            records.setdefault(os.path.realpath(record.folder), record)
    return sorted(records.values(), key=lambda r: r.folder)


def read_records(root) -> list[Record]:
    """A record for every run at or below ``root``, sorted by folder.

    Raises:
        FileNotFoundError: no such folder.
    """
    records = [make_record(folder, read_facts(folder)) for folder in find_runs(root)]
    known = {r.config_hash: r.dataset for r in records if r.result}  # a repetition that has not ended: the same data
    for record in records:
        if not record.result:
            record.dataset = known.get(record.config_hash, record.dataset)
    return records


def damaged(records: Iterable[Record]) -> list[str]:
    """A line for each run with files that cannot be used: its folder and the defects."""
    return [f"{r.folder}: {'; '.join(r.problems)}" for r in records if r.damaged]


def make_record(folder: str, facts: dict) -> Record:
    """A record of the content of a run's files (:func:`read_facts`) and of whether it is running now."""
    config, env, status = facts["config"] or {}, facts["env"] or {}, facts["status"] or {}
    result, problems = facts["result"], list(facts["problems"])
    state = "done" if result and result["status"] == "done" else BROKEN if facts["broken"] else workdir.state(folder)
    if state == "waiting" and result and result["status"] in TERMINAL:  # status.json has no end, and nothing runs
        state = result["status"]
    if state in ("done", "interrupted") and not result and not facts["broken"] and status.get("state") == "done":
        problems.append("status.json says done, but there is no result.json")
    file = facts["config_file"] and os.path.join(folder, facts["config_file"])
    record = Record(folder, state, result=result, config=config, config_file=file, status=status, env=env,
                    problems=problems, config_hash=facts["config_hash"], damaged=facts["damaged"])
    outcome = result or {}
    description = outcome.get("description") or env.get("description") or {}
    record.defaults = description.get("defaults") or labels.old_defaults()
    readers = dict(
        method=lambda: labels.method_of(config, description), network=lambda: labels.network_of(config, description),
        dataset=lambda: str(outcome.get("data", {}).get("name") or labels.dataset_of(config, description)),
        epochs=lambda: outcome.get("max_epochs") or whole_of(config["train_cfg"]["max_epochs"], 1),
        seed=lambda: outcome["seed"] if outcome else whole_of((config["randomness"] or {}).get("seed", 0), 0))
    for name, read in readers.items():
        try:
            setattr(record, name, read())
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            if config:  # else the problems contain that there is none
                problems.append(f"its config has no {name} ({type(error).__name__}: {error})")
    record.hardware = str(outcome.get("hardware") or env.get("hardware") or "")
    record.processes = outcome.get("processes") or env.get("world_size")
    record.precision = str(outcome.get("precision") or "").removeprefix("torch.")
    record.torch = str(env.get("versions", {}).get("torch") or "")
    return record


__getattr__ = renamed(__name__, read_scalars="results.run_files.read_scalars")
