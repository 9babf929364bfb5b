"""The runs of a sweep: the command of each, and its outcome, read from its work dir alone."""
import contextlib
import os
import re
import sys
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from ..errors import did_you_mean
from ..moved import renamed
from ..workdir.files import write_json
from ..workdir.json_files import dict_of, fits, read_json, shown, whole
from ..workdir.status import TERMINAL, read_status, state, write_status

SWEEPS = Path("configs", "sweeps")
DRIVER = ".driver"  # in the folder of a sweep: the lock of its driver
TRAIN, PROCESSES = ("-m", "openmix", "train"), ("-m", "openmix.engine.distributed.processes")
OPEN = ("waiting", "running", "preempted", "interrupted")  # states of a run that has not come to an end
SCHEMA = 1
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,199}")  # of sweeps and configs: they reach paths and batch scripts


@dataclass(frozen=True)
class Job:
    """One training, which may be started any number of times: it continues where it was, and ends at once if done.

    Attributes:
        name: of its row in the grid and its seed, ``r18_mixup_ep200/seed0``.
        config: path of the config file; like ``work_dir`` relative to where the sweep was made.
        processes: on each node, one a GPU (or all on the CPU).
        nodes: machines that train together.
        epochs: planned, for the estimate of when it ends; 0 if unknown.
        config_hash: of the config at the time it was made, see :func:`openmix.workdir.files.config_hash`.
    """

    name: str
    config: str
    seed: int
    work_dir: str
    processes: int = 1
    nodes: int = 1
    epochs: int = 0
    config_hash: str = ""


KINDS = dict(  # of the fields of a job
    name=lambda value: fits(value, str) and all(NAME.fullmatch(part) for part in value.split("/")), seed=whole(),
    config=lambda value: _is_path(value), work_dir=lambda value: _is_path(value), processes=whole(1), nodes=whole(1),
    epochs=whole(), config_hash=str)


def _is_path(value) -> bool:
    return fits(value, str) and value != "" and value.isprintable()


def check_name(subject: str, name: str) -> str:
    """``name``, if it is safe in paths and batch scripts; else ValueError."""
    if not NAME.fullmatch(name):
        raise ValueError(f"{subject} is called {shown(name)}; such names take up to 200 letters (a to z), digits and "
                         ". _ + -, with a letter or digit first")
    return name


def sweep_name(sweep) -> str:
    """``cifar100_r18`` for that name itself, a grid file called so, its folder of configs or its run list.

    Raises:
        ValueError: names of sweeps are of other characters (:func:`check_name`).
    """
    path = Path(sweep)
    path = path.absolute().parent if path.name == "runs.json" else path
    return check_name(f"the sweep {shown(str(sweep))}", path.stem if path.suffix == ".py" else path.name)


def run_list(sweep) -> Path:
    """Path of the run list of a sweep, which may be named in any way :func:`sweep_name` knows."""
    path = Path(sweep)
    return path if path.name == "runs.json" else SWEEPS / sweep_name(sweep) / "runs.json"


def made_here() -> list[str]:
    """Names of the sweeps below the current folder."""
    return [path.parent.name for path in SWEEPS.glob("*/runs.json") if NAME.fullmatch(path.parent.name)]


def read_list(path) -> dict:
    """The content of a run list; ``jobs`` are :class:`Job` objects.

    Raises:
        FileNotFoundError: the sweep has not been made. ValueError: it is no run list of this version, or that of
            another grid file of the same name.
    """
    given, path = Path(path), run_list(path)
    if not os.path.lexists(path):
        raise FileNotFoundError(f"no run list {path}; write it with: openmix sweep make GRID (from the folder "
                                f"where you train). Sweeps made here: {did_you_mean(sweep_name(path), made_here())}")
    try:
        saved = read_json(path)
        if saved["schema"] != SCHEMA:
            raise ValueError(f"schema {shown(saved['schema'])}, this version reads {SCHEMA}")
        for key, kind in dict(jobs=list, grid=str, grid_sum=str, checked=dict_of(str)).items():
            if key in saved and not fits(saved[key], kind):
                raise ValueError(f"{key} is {shown(saved[key])}")
        saved["jobs"] = [_job(i, job) for i, job in enumerate(saved["jobs"])]
    except (ValueError, KeyError, TypeError, OSError) as error:
        raise ValueError(f"{path} is no run list ({type(error).__name__}: {error}); write it anew with: "
                         "openmix sweep make GRID") from error
    if given.suffix == ".py":
        refuse_other(saved, given, path)
    return saved


def _job(number: int, values) -> Job:
    if not isinstance(values, dict):
        raise ValueError(f"jobs[{number}] is {shown(values)}")
    known = {field.name: values[field.name] for field in fields(Job) if field.name in values}
    for key, value in known.items():
        if not fits(value, KINDS[key]):
            raise ValueError(f"jobs[{number}].{key} is {shown(value)}")
    return Job(**known)


def refuse_other(saved: dict, grid: Path, path: Path) -> None:
    """Raise ValueError if the run list ``saved`` at ``path`` was made from another grid file that is still there."""
    other = Path(saved.get("grid") or grid)
    if grid.is_file() and other.is_file() and not other.samefile(grid):
        raise ValueError(f"{path} was made from {other}, not from {grid}; a sweep has the name of its grid file, so "
                         f"give one of them another name, or take over the folder: openmix sweep make {grid} --force")


def load_jobs(path) -> list[Job]:
    """The jobs of a sweep: of a run list, a grid file or the sweep's name. Raises as :func:`read_list`."""
    return read_list(path)["jobs"]


def moved(name: str, jobs: list[Job]) -> str:
    """What to do where a sweep was run but none of its work dirs is here any more; empty otherwise."""
    if not jobs or not os.path.exists(SWEEPS / name / DRIVER) or any(Path(job.work_dir).is_dir() for job in jobs):
        return ""
    return (f"the sweep {name} was run before, but none of its work dirs is here, such as {jobs[0].work_dir}; if they "
            "were moved or renamed, move them back, else they are trained anew")


def write_list(path, jobs: list[Job], **more) -> None:
    """Write a run list with ``more`` facts about how it was made."""
    write_json(path, dict(schema=SCHEMA, **more, jobs=[asdict(job) for job in jobs]))


def command(job: Job, *torchrun: str) -> list[str]:
    """The command line of a job; it is the same for every start.

    It finds this package with :func:`openmix.paths.child_environment`.

    Args:
        torchrun: its arguments for a job of several processes; on one node none are needed, any free port is taken.
            :mod:`openmix.engine.distributed.processes` starts them; its exit status names the signal that killed one.
    """
    rest = [typed(job.config), "--seed", str(job.seed), "--work-dir", typed(job.work_dir), "--resume"]
    if job.processes == job.nodes == 1:
        return [sys.executable, *TRAIN, *rest]
    where = torchrun or ("--standalone",)
    return [sys.executable, *PROCESSES, *where, f"--nnodes={job.nodes}", f"--nproc_per_node={job.processes}",
            *TRAIN, *rest, "--launcher", "pytorch"]


def typed(path) -> str:
    """A path as one would type it here: relative where it is below, and never like an option (``./-x``)."""
    path, here = Path(path), Path.cwd()
    text = str(path.relative_to(here) if path.is_relative_to(here) else path)
    return f"./{text}" if text.startswith("-") else text


def record_exit(job: Job, code: int, message: str = "", before: dict | None = None) -> str:
    """The state after a start of ``job`` has ended; where the run could not write it, it is written here.

    Args:
        code: exit status, negative for a signal; 128 + signal too: one of several processes was killed.
        message: the last line the process wrote.
        before: ``status.json`` as it was at the start: an unchanged one is of an earlier attempt.
    """
    run_state, new = state(job.work_dir), read_status(job.work_dir) != (before or {})
    several, killed = job.processes * job.nodes > 1, code < 0 or code >= 128
    if several and killed and run_state == "failed":  # that is how the others ended, which lost the killed one
        left = {k: v for k, v in read_status(job.work_dir).items() if k != "reason"}
        with contextlib.suppress(OSError):
            write_json(Path(job.work_dir) / "status.json", {**left, "state": "running"})  # as a killed run leaves it
        return "interrupted"
    if run_state == "done" or run_state == "running" or run_state in TERMINAL and new:
        return run_state
    if killed or new and run_state == "preempted" or several and new and run_state == "interrupted":
        return run_state if run_state == "preempted" else "interrupted"
    ended = {0: "failed", 2: "invalid", 3: "diverged"}.get(code, "failed")
    reason = message if code else f"ended with status 0 but did not finish; {message}"
    with contextlib.suppress(OSError):  # a full disk; the driver still reports it
        Path(job.work_dir).mkdir(parents=True, exist_ok=True)
        write_status(job.work_dir, ended, reason=reason or f"exit status {code}")
    return ended


__getattr__ = renamed(__name__, settle="record_exit")
