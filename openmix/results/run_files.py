"""The files of a run, read without trust."""
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path

from .. import workdir
from ..workdir import schema
from ..workdir.json_files import fits, fitting, parse_json, read_bytes, read_json, shown, whole
from ..workdir.status import STATUS
from . import labels

SHORT, LONGEST_LOG = 2**24, 2**28  # bytes: status.json and env.json; a log

def read_facts(folder) -> dict:
    """The files of a work dir as plain data: config, its hash, status, env, result, problems."""
    folder, bad, problems = Path(folder), [], []
    status, env = (_read(partial(_fields, kinds=kinds, bad=bad), folder / name, bad, problems)
                   for name, kinds in (("status.json", STATUS), ("env.json", schema.ENV)))
    result = _read(schema.read, folder / "result.json", bad)
    file, config = _find_config(folder, result, bad, problems)
    config_hash = workdir.config_hash(config) if config is not None else ""
    if result and config is not None and result["config_hash"] != config_hash:
        problems.append(f"{file.name} is not the config of result.json: their hashes differ (edited since, or written "
                        "by another version)")
    if result and (contradiction := _contradiction(config, result)):
        bad.append(contradiction)
        result = None
    broken = result is None and os.path.lexists(folder / "result.json")
    if not folder.is_dir():
        bad, problems = ["the folder was moved or deleted while it was read"], []
    return dict(config=config, config_file=file and file.name, status=status, env=env, result=result, broken=broken,
                problems=bad + problems, damaged=bool(bad),
                config_hash=result["config_hash"] if result else config_hash)


def _fields(path: Path, kinds: dict, bad: list) -> dict:
    return fitting(read_json(path, SHORT), kinds, lambda text: bad.append(f"{path.name} is wrong: {text}"))


def _contradiction(config: dict | None, result: dict) -> str:
    """How a finished result and its config exclude each other; empty if they do not."""
    planned = (config or {}).get("train_cfg")
    planned = planned.get("max_epochs") if isinstance(planned, dict) else None
    if result["status"] == "done" and fits(planned, int) and planned != result["epochs"]:
        return f"result.json is wrong: it says done after {result['epochs']} epochs, its config has {shown(planned)}"
    return ""


def _read(read: Callable, path: Path, bad: list, missing: list | None = None):
    """The content of a file by ``read``, or None: the reason is added to ``bad``, or to ``missing`` without a file."""
    try:
        return read(path)
    except FileNotFoundError:
        if os.path.islink(path):
            bad.append(f"{path.name} is a link to nothing")
        elif missing is not None:
            missing.append(f"{path.name} is missing")
    except ValueError as error:
        text = str(error).replace(str(path), path.name)
        bad.append(text if text.startswith(path.name) else f"{path.name} is torn or unreadable ({text})")
    except OSError as error:
        text = str(error.strerror or error).replace(str(path), path.name)
        bad.append(text if text.startswith(path.name) else f"{path.name} cannot be read ({text})")
    return None


def _find_config(folder: Path, result: dict | None, bad: list, problems: list) -> tuple[Path | None, dict | None]:
    """The resolved config: of several the one with the hash that the result names."""
    configs = {path: _read(labels.read_config, path, bad) for path in sorted(folder.glob("*.py"))}
    read = {path: config for path, config in configs.items() if config is not None}
    if len(read) > 1:
        matching = [p for p, config in read.items()
                    if result and workdir.config_hash(config) == result["config_hash"]]
        chosen = (matching or list(read))[-1]
        if not matching:
            problems.append(f"several configs ({', '.join(p.name for p in read)}); {chosen.name} was taken")
        return chosen, read[chosen]
    if not configs:
        problems.append("there is no config")
    return next(iter(read.items()), (None, None))


def read_scalars(folder, problems: list | None = None) -> list[dict]:
    """What a run logged, one dict a step in order of the steps: ``step``, ``epoch``, ``loss``, ``lr``, ``top1`` ...

    Lines of all starts are merged: where a resumed run logs a step again, the later value of each key counts. Torn
    lines (a full disk, a power loss) are left out; ``problems`` gets a line for each file that has some.
    """
    steps: dict = {}
    for path in sorted(Path(folder).glob("*/vis_data/scalars.json")):
        where, torn = path.relative_to(folder).as_posix(), 0
        try:
            lines = read_bytes(path, LONGEST_LOG).splitlines()
        except (OSError, ValueError) as error:
            if problems is not None:
                problems.append(f"{where}: it was left out ({str(error).replace(str(path), path.name)})")
            continue
        for line in lines:
            try:
                entry = parse_json(line, finite=False)
                steps.setdefault(whole_of(entry["step"], 0), {}).update(entry)
            except (ValueError, KeyError, TypeError):
                torn += bool(line.strip())
        if torn and problems is not None:
            problems.append(f"{where}: {torn} torn lines were left out")
    return [steps[step] for step in sorted(steps)]


def whole_of(value, least: int) -> int:
    """``value``, a whole number of at least ``least``; else ValueError."""
    if not fits(value, whole(least)):
        raise ValueError(f"{shown(value)} is no whole number of at least {least}")
    return value
