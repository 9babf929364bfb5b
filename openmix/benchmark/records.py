"""Work dirs to records. A run whose files are torn, missing or of a newer version is a record too, and says so.

Only files of the work dir are read: the resolved config, ``status.json``, ``env.json``, ``result.json`` and the
``scalars.json`` of each start. Nothing is executed, and nothing heavy is imported.
"""
import dataclasses
import json
import os
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

from ..engine import provenance
from ..engine import result as results
from ..engine.workdir import TERMINAL
from . import index, jobs, labels, usable

SIGNS = {"status.json", "result.json", "env.json", ".lock"}  # a folder with one of these is a run
BROKEN = "broken"  # beside the states of jobs.state: result.json is there and cannot be used


@dataclasses.dataclass
class Record:
    """One run.

    Attributes:
        folder: its work dir.
        state: ``broken`` (``result.json`` cannot be used) or one of those of :func:`openmix.benchmark.jobs.state`.
        method, network, dataset: labels, see :mod:`openmix.benchmark.labels`; ``?`` without a readable config.
        epochs: planned. seed: None if no file tells it.
        result: content of ``result.json``; None if there is none, or none that can be used.
        config, config_file: the resolved config as plain data, and where it stands; {} and None without one.
        config_hash: of the result, or of the config where there is no result yet; "" if neither is readable.
        hardware, processes, precision, torch: what it ran with; "" or None where no file tells it.
        status, env: content of ``status.json`` and ``env.json``, {} without one.
        problems: what is wrong with its files, a line each.
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
    config_file: str | None = None
    config_hash: str = ""
    hardware: str = ""
    processes: int | None = None
    precision: str = ""
    torch: str = ""
    status: dict = dataclasses.field(default_factory=dict)
    env: dict = dataclasses.field(default_factory=dict)
    problems: list[str] = dataclasses.field(default_factory=list)

    @property
    def primary(self) -> dict:
        """Accuracies of the network that counts (``top1``, ``median_last10``, ``best``, ``last``); {} if none."""
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
    found = []
    for folder, below, files in os.walk(root, onerror=unreadable or _tell):
        if SIGNS.intersection(files):
            found.append(folder)
            below.clear()
    return sorted(found)


def _tell(error: OSError) -> None:
    print(f"{error.filename} is left out: {error.strerror}", file=sys.stderr)


def gather(roots: Iterable, cached: bool = True) -> list[Record]:
    """The runs below several folders, each once where they overlap (symbolic links resolved), sorted by folder."""
    found: dict[str, Record] = {}
    for root in roots:
        for record in read_records(root, cached):
            found.setdefault(os.path.realpath(record.folder), record)
    return sorted(found.values(), key=lambda r: r.folder)


def read_records(root, cached: bool = True) -> list[Record]:
    """A record for every run at or below ``root``, sorted by folder.

    Args:
        cached: keep what was read in an index below ``root`` (see :mod:`openmix.benchmark.index`), so that only runs
            that have changed are read again; without, or where it cannot be written, all files are read.

    Raises:
        FileNotFoundError: no such folder.
    """
    folders = find_runs(root)
    known = index.facts(root, folders, read_facts) if cached else map(read_facts, folders)
    records = [make_record(folder, facts) for folder, facts in zip(folders, known, strict=True)]
    told = {r.config_hash: r.dataset for r in records if r.result}  # a repetition that has not ended: the same data
    for record in records:
        if not record.result:
            record.dataset = told.get(record.config_hash, record.dataset)
    return records


def make_record(folder: str, facts: dict) -> Record:
    """A record of the content of a run's files (:func:`read_facts`) and of whether it is running now."""
    config, env, status = facts["config"] or {}, facts["env"] or {}, facts["status"] or {}
    result, problems = facts["result"], list(facts["problems"])
    state = "done" if result and result["status"] == "done" else BROKEN if facts["broken"] else jobs.state(folder)
    if state == "waiting" and result and result["status"] in TERMINAL:  # status.json says nothing, and nothing runs
        state = result["status"]
    if state in ("done", "interrupted") and not result and not facts["broken"] and status.get("state") == "done":
        problems.append("status.json says done, but there is no result.json")
    file = facts["config_file"] and os.path.join(folder, facts["config_file"])
    record = Record(folder, state, result=result, config=config, config_file=file, status=status, env=env,
                    problems=problems, config_hash=facts["config_hash"])
    for name, read in dict(method=_method, network=_network, dataset=_dataset, epochs=_epochs, seed=_seed).items():
        try:
            setattr(record, name, read(config, result or {}))
        except (KeyError, TypeError, AttributeError, ValueError):
            pass  # the problems say that the config is not there or no config
    given = result or {}
    record.hardware = str(given.get("hardware") or env.get("hardware") or "")
    size = env.get("world_size")
    record.processes = given.get("processes") or (size if isinstance(size, int) else None)
    record.precision = str(given.get("precision") or "").removeprefix("torch.")
    versions = env.get("versions")
    record.torch = str(versions.get("torch") or "") if isinstance(versions, dict) else ""
    return record


def _method(config, result):
    return labels.method_label(config["model"].get("mixup"))


def _network(config, result):
    return labels.network_label(config["model"]["backbone"])


def _dataset(config, result):
    return str(result.get("data", {}).get("name") or labels.dataset_label(config["train_dataloader"]["dataset"]))


def _epochs(config, result):
    return result["max_epochs"] if result else int(config["train_cfg"]["max_epochs"])


def _seed(config, result):
    return result["seed"] if result else int((config["randomness"] or {}).get("seed", 0))


# -- files ---------------------------------------------------------------------------------------------------------


def read_facts(folder) -> dict:
    """What the files of a work dir say, as plain data: config, its hash, status, env, result, problems."""
    folder, problems = Path(folder), []
    status, env = (_read_json(folder / name, problems) for name in ("status.json", "env.json"))
    result = _read_result(folder / "result.json", problems)
    broken = result is None and (folder / "result.json").exists()
    file, config = _find_config(folder, result, problems)
    config_hash = provenance.config_hash(config) if config is not None else ""
    if result and config is not None and result["config_hash"] != config_hash:
        problems.append(f"{file.name} is not the config of result.json: their hashes differ (edited since, or written "
                        "by another version)")
    return dict(config=None if config is None else _plain(config), config_file=file and file.name,
                status=status, env=env, result=result, broken=broken, problems=problems,
                config_hash=result["config_hash"] if result else config_hash)


def _plain(value):
    """As JSON would hand it back, so that a record is the same from the files and from the index."""
    return json.loads(json.dumps(value, default=str))


def _read_json(path: Path, problems: list) -> dict | None:
    try:
        found = json.loads(path.read_text())
        if not isinstance(found, dict):
            raise ValueError(f"holds {type(found).__name__}, not an object")
        return found
    except FileNotFoundError:
        problems.append(f"{path.name} is missing")
    except (OSError, ValueError) as error:
        problems.append(f"{path.name} is torn or unreadable ({error})")
    return None


def _read_result(path: Path, problems: list) -> dict | None:
    """``result.json`` if it can be used; what is wrong with it is appended to ``problems``."""
    try:
        found = results.read(path)
        usable.check(found)
        return found
    except FileNotFoundError:
        pass  # it has not ended
    except ValueError as error:
        problems.append(str(error).replace(str(path), path.name))
    except OSError as error:
        problems.append(f"{path.name} cannot be read ({error.strerror or error})")
    return None


def _find_config(folder: Path, result: dict | None, problems: list) -> tuple[Path | None, dict | None]:
    """The resolved config: of several the one that the result was made with."""
    read = {}
    for path in sorted(folder.glob("*.py")):
        try:
            read[path] = labels.read_config(path)
        except (OSError, ValueError) as error:
            problems.append(str(error).replace(str(path), path.name))
    if len(read) > 1:
        made = [p for p, config in read.items() if result and provenance.config_hash(config) == result["config_hash"]]
        chosen = (made or list(read))[-1]
        if not made:
            problems.append(f"several configs ({', '.join(p.name for p in read)}); {chosen.name} was taken")
        return chosen, read[chosen]
    if not read and not any(folder.glob("*.py")):
        problems.append("there is no config")
    return next(iter(read.items()), (None, None))


def read_scalars(folder, problems: list | None = None) -> list[dict]:
    """What a run logged, one dict a step in order of the steps: ``step``, ``epoch``, ``loss``, ``lr``, ``top1`` ...

    Lines of all starts are merged: where a resumed run logs a step again, the later value of each key counts. Torn
    lines (a full disk, a power loss) are left out; ``problems`` gets a line for each file that has some.
    """
    steps: dict = {}
    for path in sorted(Path(folder).glob("*/vis_data/scalars.json")):
        torn = 0
        for line in path.read_bytes().splitlines():
            try:
                entry = json.loads(line)
                steps.setdefault(int(entry["step"]), {}).update(entry)
            except (ValueError, KeyError, TypeError):
                torn += bool(line.strip())
        if torn and problems is not None:
            problems.append(f"{path.parent.parent.name}/vis_data/scalars.json: {torn} torn lines were left out")
    return [steps[step] for step in sorted(steps)]
