"""Finished runs to records that last: a few small files each, to be committed, from which tables can be made anywhere.

A record is a folder ``<data set and network>/<config>-<hash>/seed<k>`` with ``result.json``, ``env.json``,
``status.json`` and the resolved config: what :func:`openmix.results.records.read_records` needs, and no checkpoint.
"""
import json
from pathlib import Path

from ..workdir.files import write_atomic
from ..workdir.json_files import read_json
from .cells import has_table
from .labels import section
from .records import Record

LOCAL = ("work_dir", "launcher", "resume", "load_from")  # lines of a config that say where it ran


def refusal(record: Record) -> str | None:
    """Why a run is no record; None if it may become one."""
    git = record.env.get("git") or {}
    if record.state != "done":
        return f"it is not finished ({record.state})"
    if record.problems or not has_table(record) or not record.config_file:
        return "; ".join(record.problems) or "its files do not tell its method, network, data set and epochs"
    if record.accuracy("last") is None:
        return "it was not evaluated"
    if not git.get("commit"):
        return "no commit is known: it ran outside a checkout"
    if git.get("dirty"):
        return f"it ran with files that differ from commit {git['commit'][:8]}"
    return None


def place(record: Record) -> Path:
    """The folder of a record below that of all records."""
    name = f"{Path(record.config_file).stem}-{record.config_hash[:8]}"
    return Path(section(record.dataset, record.network), name, f"seed{record.seed}")


def contents(record: Record) -> dict[str, bytes]:
    """The files of a record by name."""
    env = dict(record.env)
    env["variables"] = {k: v for k, v in (env.get("variables") or {}).items() if "/" not in v}
    text = Path(record.config_file).read_text(encoding="utf-8")
    lines = [line for line in text.splitlines(keepends=True) if line.partition(" = ")[0] not in LOCAL]
    result = read_json(Path(record.folder, "result.json"))
    status = {key: record.status[key] for key in ("state", "epoch", "step") if key in record.status}
    return {"result.json": _json(result), "env.json": _json(env), "status.json": _json(status),
            Path(record.config_file).name: "".join(lines).encode()}


def _json(value) -> bytes:
    return (json.dumps(value, indent=2) + "\n").encode()


def collect(records: list[Record], folder) -> tuple[list[Path], dict[str, str]]:
    """Write the records of finished runs below ``folder``.

    A record that is there stays, but for its ``result.json`` if the run has been evaluated further since.

    Returns:
        (folders that were written, {work dir: why it was refused}).
    """
    written, refused = [], {}
    for record in records:
        if why := refusal(record):
            refused[record.folder] = why
            continue
        target, files = Path(folder, place(record)), contents(record)
        if target.exists():
            old = target / "result.json"
            if old.is_file() and old.read_bytes() == files["result.json"]:
                continue
            if not _measured_further(old, files["result.json"]):
                refused[record.folder] = f"another run of this config and seed is in {target}"
                continue
            files = {"result.json": files["result.json"]}
        target.mkdir(parents=True, exist_ok=True)
        for name, data in files.items():
            write_atomic(target / name, data)
        written.append(target)
    return written, refused


def _measured_further(old: Path, new: bytes) -> bool:
    """Whether ``new`` is the result in the file ``old`` with evaluations that were added or repeated."""
    try:
        before, after = read_json(old), json.loads(new)
        evals, more = before.pop("evals", {}), after.pop("evals", {})
        return before == after and evals.keys() <= more.keys()
    except (OSError, ValueError, AttributeError):
        return False
