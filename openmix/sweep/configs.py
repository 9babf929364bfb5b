"""A grid to short config files and a run list, all of them checked before anything starts.

Everything is in ``configs/sweeps/<name>/`` below the current folder. The first line of each file names the grid,
with a checksum of the rest: one that a user has changed is recognised and kept.
"""
import copy
import hashlib
import json
import os
import re
import shutil
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from ..errors import did_you_mean
from ..moved import renamed
from ..paths import config_root, default_work_dir, find_grid
from ..workdir.files import write_atomic
from ..workdir.json_files import MIB, read_bytes
from .dry_build import check, check_each
from .grid import Grid, Row, read_grid
from .jobs import SWEEPS, Job, made_here, read_list, refuse_other, run_list, write_list

MARK = re.compile(r"# made by (?:openmix sweep|tools/sweep\.py) from .*, checksum (\w{16}); what you change is kept\n")
BASES = re.compile(r"""^_base_\s*=\s*(\[[^\]]*\]|\([^)]*\)|["'][^"'\n]+["'])""", re.M)


@dataclass
class SweepFiles:
    """The result of :func:`make`: names of configs by outcome, and the jobs."""

    name: str
    jobs: list[Job] = field(default_factory=list)
    new: list[str] = field(default_factory=list)
    updated: list[str] = field(default_factory=list)
    edited: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)


def make(grid_path, force: bool = False) -> SweepFiles:
    """Write the configs and the run list of a grid; again and again with the same outcome, a larger grid adds.

    Args:
        force: also overwrite configs that were changed by hand, and those of another grid of the same name.

    Raises:
        FileNotFoundError, ValueError, TypeError: of the grid; or a line for each config that is not right. Nothing is
            then written.
    """
    grid_path = find_grid(grid_path)
    grid = read_grid(grid_path)
    folder, files = SWEEPS / grid.name, SweepFiles(grid.name)
    if not force:
        _refuse_other(folder / "runs.json", Path(grid_path))
    texts = {}
    for row in grid.rows:
        path = folder / f"{row.name}.py"
        plan_file(path, signed(text(row, _base(row, grid), folder), grid), force, files, texts)
    files.left = sorted({p.stem for p in folder.glob("*.py")} - {row.name for row in grid.rows})
    files.jobs = _checked([job for row in grid.rows for job in jobs_of(row, folder)], folder, texts)
    folder.mkdir(parents=True, exist_ok=True)
    for path, content in texts.items():
        write_atomic(path, content.encode(), durable=False)
    write_list(folder / "runs.json", files.jobs, grid=grid.path, grid_sum=_sum(Path(grid_path).read_text()),
               checked=_sums(files.jobs))
    return files


def _refuse_other(path: Path, grid: Path) -> None:
    try:
        saved = read_list(path)
    except (FileNotFoundError, ValueError):  # none, or one that is to be written anew
        return
    refuse_other(saved, grid, path)


def plan_file(path: Path, content: str, force: bool, files: SweepFiles, texts: dict[Path, str]) -> None:
    """Note in ``texts`` one config to be written, unless it is there or was changed by hand, as ``files`` records."""
    old = _text(path) if path.is_file() else None
    if old == content:
        return
    if old is not None and not is_signed(old) and not force:
        files.edited.append(path.stem)
        return
    (files.new if old is None else files.updated).append(path.stem)
    texts[path] = content


def _checked(jobs: list[Job], folder: Path, texts: dict[Path, str]) -> list[Job]:
    """The jobs, checked with ``texts`` in a copy of their folder beside it, where ``_base_`` means the same."""
    beside = folder.resolve().parent
    beside.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}-", dir=beside) as draft:
        for path in filter(Path.is_file, folder.glob("*.py")):
            shutil.copyfile(path, Path(draft, path.name))
        for path, content in texts.items():
            Path(draft, path.name).write_text(content)
        return check(jobs, Path(draft))


def jobs_of(row: Row, folder: Path) -> list[Job]:
    path = folder / f"{row.name}.py"
    return [Job(f"{row.name}/seed{seed}", path.as_posix(), seed, default_work_dir(path, seed), row.processes, row.nodes)
            for seed in row.seeds]


# -- the text of a config --------------------------------------------------------------------------------------


def _base(row: Row, grid: Grid) -> Path:
    """The config a row starts from: below the current folder, beside the grid, or a shipped one."""
    shipped = config_root()
    candidates = [Path(row.base), Path(grid.path).parent / row.base, shipped / row.base.removeprefix("configs/")]
    for path in candidates:
        if path.is_file():
            return path
    known = [p.name for p in candidates[0].parent.glob("*.py")] or [p.name for p in candidates[2].parent.glob("*.py")]
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
    from ..engine.config.load import load_config

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
    """With a first line that names its grid."""
    return f"# made by openmix sweep from {grid.name}.py, checksum {_sum(content)}; what you change is kept\n{content}"


def is_signed(content: str) -> bool:
    """Whether a config is as it was written here."""
    mark = MARK.match(content)
    return bool(mark) and _sum(content[mark.end():]) == mark[1]


def _text(path: Path) -> str:
    """The text of a config, from any source."""
    return read_bytes(path, MIB).decode(errors="replace")


def _sum(content: str) -> str:
    return hashlib.sha256(content.encode()).hexdigest()[:16]


def _sums(jobs: list[Job]) -> dict[str, str]:
    """Checksums of the config files of jobs with all they are based on."""
    return {path: _sum("".join(_texts(Path(path), {}).values())) for path in sorted({job.config for job in jobs})}


def _texts(path: Path, texts: dict[Path, str]) -> dict[Path, str]:
    """The texts of a config and of its bases, as far as they are files; without mmengine, which takes long to load."""
    path = Path(os.path.normpath(path))
    if path not in texts and path.is_file():
        texts[path] = _text(path)
        for bases in BASES.findall(texts[path]):
            for base in re.findall(r"""["']([^"']+)["']""", bases):
                _texts(path.parent / base, texts)
    return texts


# -- before a run ----------------------------------------------------------------------------------------------


def find_sweep(sweep) -> str:
    """``sweep`` itself where one of that name was made here from another grid; else the grid file of that name.

    So ``openmix sweep run shapes`` sees that ``configs/grids/shapes.py`` was changed since.
    """
    path = run_list(sweep)
    try:
        grid = find_grid(sweep)
    except FileNotFoundError as error:
        if path.is_file():
            return str(sweep)
        here = f". Sweeps made here: {did_you_mean(sweep, made_here())}" if made_here() else ""
        raise FileNotFoundError(f"{error}{here}") from error
    if not path.is_file():
        return grid
    made_from = Path(read_list(path).get("grid") or "none")
    return grid if Path(grid).is_file() and made_from.is_file() and made_from.samefile(grid) else str(sweep)


def prepare(sweep, force: bool = False) -> tuple[str, list[Job], dict[str, str]]:
    """Before a sweep is run: make it if its grid is new or was changed, and check configs that were changed by hand.

    Returns:
        (name, jobs, errors of configs that were changed since: {path: message}).
    """
    sweep = find_sweep(sweep)
    path, given = run_list(sweep), Path(sweep)
    grid = given if given.suffix == ".py" else None
    if grid is not None and (not path.is_file() or read_list(grid).get("grid_sum") != _grid_sum(grid)):
        make(grid, force)
    saved = read_list(path)
    changed = _changed(saved)
    source = grid or Path(saved.get("grid") or "none")
    if source.is_file() and any(not Path(c).is_file() or is_signed(_text(Path(c))) for c in changed):
        make(source, force)  # from the grid, not from what an earlier one left
        saved = read_list(path)
        changed = _changed(saved)
    jobs, problems = check_each([job for job in saved["jobs"] if job.config in changed]) if changed else ([], {})
    checked = {job.name: job for job in jobs}
    saved["jobs"] = [checked.get(job.name, job) for job in saved["jobs"]]
    if checked:  # so that status and tables know the new configs
        saved["checked"] = {**saved["checked"], **_sums(jobs)}
        write_list(path, **{k: v for k, v in saved.items() if k != "schema"})
    return path.parent.name, saved["jobs"], problems


def _changed(saved: dict) -> set[str]:
    """Configs of a run list that are not, with their bases, as they were when they were checked."""
    sums = _sums(saved["jobs"])
    return {config for config, old in saved.get("checked", {}).items() if sums.get(config) != old}


def _grid_sum(grid: Path) -> str:
    if not grid.is_file():
        read_grid(grid)  # raises with the reason
    return _sum(grid.read_text())


__getattr__ = renamed(__name__, Made="SweepFiles")
