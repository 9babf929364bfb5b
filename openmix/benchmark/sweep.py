"""A grid to short config files and a run list, all of them checked before anything starts.

Everything lies in ``configs/sweeps/<name>/`` below the current folder. A file written here says so in its first line,
with a checksum of the rest: one that a user has changed is recognised and kept.
"""
import copy
import hashlib
import json
import os
import re
from dataclasses import dataclass, field
from pathlib import Path

from ..apis import config_root, default_work_dir
from ..engine.workdir import write_atomic
from ..errors import did_you_mean
from .check import check, check_each
from .grid import Grid, Row, read_grid
from .jobs import SWEEPS, Job, read_list, run_list, write_list

MARK = re.compile(r"# made by tools/sweep\.py from .*, checksum (\w{16}); what you change is kept\n")


@dataclass
class Made:
    """What :func:`make` did: names of configs by what became of them, and the jobs."""

    name: str
    jobs: list[Job] = field(default_factory=list)
    new: list[str] = field(default_factory=list)
    updated: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)


def make(grid_path, force: bool = False) -> Made:
    """Write the configs and the run list of a grid; again and again with the same outcome, a larger grid adds.

    Args:
        force: also overwrite configs that were changed by hand.

    Raises:
        FileNotFoundError, ValueError, TypeError: of the grid; or a line for each config that is not right. The run list
            is then left as it was.
    """
    grid = read_grid(grid_path)
    folder, made = SWEEPS / grid.name, Made(grid.name)
    folder.mkdir(parents=True, exist_ok=True)
    for row in grid.rows:
        path = folder / f"{row.name}.py"
        made_of(path, signed(text(row, _base(row, grid), folder), grid), force, made)
    made.left = sorted({p.stem for p in folder.glob("*.py")} - {row.name for row in grid.rows})
    made.jobs = check([job for row in grid.rows for job in jobs_of(row, folder)])
    write_list(folder / "runs.json", made.jobs, grid=grid.path, grid_sum=_sum(Path(grid_path).read_text()),
               checked=_sums(made.jobs))
    return made


def made_of(path: Path, content: str, force: bool, made: Made) -> None:
    """Write one config, unless it is there already or was changed by hand; ``made`` notes what happened."""
    old = path.read_text() if path.is_file() else None
    if old == content:
        return
    mark = MARK.match(old or "")
    mine = mark and _sum(old[mark.end():]) == mark[1]
    if old is not None and not mine and not force:
        made.kept.append(path.stem)
        return
    (made.new if old is None else made.updated).append(path.stem)
    write_atomic(path, content.encode(), durable=False)


def jobs_of(row: Row, folder: Path) -> list[Job]:
    path = folder / f"{row.name}.py"
    return [Job(f"{row.name}/seed{seed}", path.as_posix(), seed, default_work_dir(path, seed), row.processes, row.nodes)
            for seed in row.seeds]


# -- the text of a config --------------------------------------------------------------------------------------


def _base(row: Row, grid: Grid) -> Path:
    """The config a row starts from: below the current folder, beside the grid, or a shipped one."""
    shipped = config_root()
    places = [Path(row.base), Path(grid.path).parent / row.base, shipped / row.base.removeprefix("configs/")]
    for path in places:
        if path.is_file():
            return path
    known = [p.name for p in places[0].parent.glob("*.py")] or [p.name for p in places[2].parent.glob("*.py")]
    raise FileNotFoundError(f"{grid.path}: row {row.name} starts from {row.base}, which does not exist; "
                            f"{did_you_mean(Path(row.base).name, known)}")


def text(row: Row, base: Path, folder: Path) -> str:
    """The config of a row without its first line: ``_base_`` and what differs."""
    relative = Path(os.path.relpath(base.resolve(), folder.resolve())).as_posix()
    changes = copy.deepcopy(row.changes)
    if row.method is not None and (method := _method(row, base, changes)):
        changes["model"] = {**changes.get("model", {}), "mixup": method}
    if row.epochs is not None:
        changes["train_cfg"] = {**changes.get("train_cfg", {}), "max_epochs": row.epochs}
    lines = [f'_base_ = ["{relative}"]', *(f"{key} = {literal(value)}" for key, value in changes.items())]
    return "\n".join(lines) + "\n"


def _method(row: Row, base: Path, changes: dict) -> dict:
    """The mixing method over that of the base; options of another one are not inherited."""
    from ..engine.config import load_config

    method = {**row.method, **changes.get("model", {}).get("mixup", {})}
    old = (load_config(base).get("model") or {}).get("mixup") or {}
    if old.get("type", method["type"]) != method["type"]:
        return {**({"_delete_": True} if len(old) > 1 else {}), **method}
    return {k: v for k, v in method.items() if k != "type" or "type" not in old}


def literal(value) -> str:
    """A value as it is typed in a config."""
    if isinstance(value, dict):
        if all(isinstance(k, str) and k.isidentifier() for k in value):
            return f"dict({', '.join(f'{k}={literal(v)}' for k, v in value.items())})"
        return "{" + ", ".join(f"{literal(k)}: {literal(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return f"[{', '.join(map(literal, value))}]"
    if isinstance(value, tuple):
        return f"({', '.join(map(literal, value))}{',' if len(value) == 1 else ''})"
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str) else repr(value)


def signed(content: str, grid: Grid) -> str:
    """With the line that says where it is from."""
    return f"# made by tools/sweep.py from {grid.name}.py, checksum {_sum(content)}; what you change is kept\n{content}"


def _sum(content: str) -> str:
    return hashlib.sha256(content.encode()).hexdigest()[:16]


def _sums(jobs: list[Job]) -> dict[str, str]:
    """Checksums of the config files of jobs."""
    return {path: _sum(Path(path).read_text()) for path in sorted({job.config for job in jobs})}


# -- before a run ----------------------------------------------------------------------------------------------


def prepare(sweep, force: bool = False) -> tuple[str, list[Job], dict[str, str]]:
    """Before a sweep is run: make it if its grid is new or was changed, and check configs that were changed by hand.

    Returns:
        (name, jobs, what is wrong with configs that were changed since: {path: message}).
    """
    path, given = run_list(sweep), Path(sweep)
    grid = given if given.suffix == ".py" else None
    if grid is not None and (not path.is_file() or read_list(path).get("grid_sum") != _grid_sum(grid)):
        make(grid, force)
    found = read_list(path)
    changed = {config for config, old in found.get("checked", {}).items()
               if not Path(config).is_file() or _sum(Path(config).read_text()) != old}
    jobs, problems = check_each([job for job in found["jobs"] if job.config in changed]) if changed else ([], {})
    checked = {job.name: job for job in jobs}
    return path.parent.name, [checked.get(job.name, job) for job in found["jobs"]], problems


def _grid_sum(grid: Path) -> str:
    if not grid.is_file():
        read_grid(grid)  # says what is wrong
    return _sum(grid.read_text())
