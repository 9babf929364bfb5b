"""Damaged work dirs: each field of each record, and each file, replaced by what nobody expects there."""
import copy
import json
import os
import socket
from collections.abc import Iterable
from pathlib import Path

from tests.results.made import last_ten, make_run

RAW = dict(  # JSON as typed; none of them may stand anywhere in a record
    digits="9" * 400, nan="NaN", infinity="Infinity", beyond="1e999", surrogate='"\\ud800"',
    deep="[" * 60 + "]" * 60, deeper="[" * 100_000 + "]" * 100_000)
VALUES = [None, True, -1, 0, 101.5, 10**19, 1e300, "", "x", "\x1b[31m", [], [None], {}, {"x": {"y": []}}]
CONFIGS = dict(
    array="[]",
    expression="model = dict(backbone=dict(type=open('x')), mixup=1 + 1)\ntrain_cfg = dict(max_epochs=2 * 3)\n",
    digits=f"train_cfg = dict(max_epochs={'9' * 400})\n", infinite="train_cfg = dict(max_epochs=1e999)\n",
    keys="model = {(1, 2): 3, b'x': 4, None: 5}\n", unhashable="model = {[1]: 2}\n", unpacked="model = dict(**x)\n",
    float="lr = float(None)\n", float_digits=f"lr = float({'9' * 400})\n", float_dots="lr = float(...)\n",
    surrogate="model = '\\ud800'\n", deep=f"model = {'[' * 90}{']' * 90}\n", deeper=f"model = {'-' * 100_000}1\n",
    chain=f"model = a{'.b' * 50_000}\n", scalars="model = 1\ntrain_cfg = 'x'\nrandomness = 3\ntrain_dataloader = []\n",
    texts="model = dict(backbone='x', mixup='y')\nrandomness = 'z'\n", bytes="model = b'x'\nlr = 1j\nx = ...\n",
    zero="model = dict(mixup=dict(type='\\0'))\n", latin="model = '\xe9'\n", empty="", code="import os\n")
FILES = ("result.json", "status.json", "env.json", "wrn28_8_method.py", ".lock", "output.log",
         "20260101_000000_000000/vis_data/scalars.json", "mixes/epoch_1.png")
LOGS = ['{"step": 1e999}', '{"step": "1", "epoch": 1}', '{"step": -1, "epoch": 1, "time": 1}', "[" * 100_000, "1",
        "null",
        '{"step": 1, "epoch": "1", "time": []}', '{"step": 2, "epoch": 1e-300, "loss": 1e308, "time": 1e300}',
        f'{{"step": {"9" * 400}}}', '{"step": 3, "top1": 1e300}', '{"step": 4, "epoch": 0, "time": 1}',
        '{"step": 5, "epoch": 1, "loss": NaN, "time": "x"}', '{"step": 6, "top1": {}}']


def paths(value, path=()) -> Iterable[tuple]:
    """Where each part of nested data is; of a list the first value stands for all."""
    if path:
        yield path
    items = value.items() if isinstance(value, dict) else enumerate(value[:1]) if isinstance(value, list) else ()
    for key, inner in items:
        yield from paths(inner, (*path, key))


def replaced(content: dict, path: tuple, value) -> dict:
    content = copy.deepcopy(content)
    part = content
    for key in path[:-1]:
        part = part[key]
    part[path[-1]] = value
    return content


def fields(root: Path, epochs: int = 10) -> Iterable[tuple[Path, str, bool]]:
    """A run for each field of each record and each value: (folder, what was done, whether that is always damage)."""
    for name in ("result.json", "status.json", "env.json"):
        good = json.loads((victim(root / "good" / name[:3], epochs=epochs) / name).read_text())
        if name == "status.json":
            good |= dict(epoch=1, step=1, reason="r", process_started=1.0)
        for number, path in enumerate(paths(good)):
            changes = [(f"{name} {path} {value!r}"[:80], json.dumps(replaced(good, path, value)), False)
                       for value in VALUES]
            changes += [(f"{name} {path} {key}", json.dumps(replaced(good, path, "@@")).replace('"@@"', raw), True)
                        for key, raw in [list(RAW.items())[(number + k) % len(RAW)] for k in (0, 3)]]
            for i, (what, text, damage) in enumerate(changes):
                folder = victim(root / name[:3] / "-".join(map(str, path)) / str(i), epochs=epochs)
                (folder / name).write_text(text)
                yield folder, what, damage


def configs(root: Path) -> Iterable[tuple[Path, str]]:
    for state in ("done", "running"):
        for name, text in CONFIGS.items():
            folder = victim(root / state / name, curve=last_ten(70.0, epochs=10) if state == "done" else None,
                            status=state)
            (folder / "wrn28_8_method.py").write_text(text, encoding="latin-1")
            yield folder, f"config {name} of a run that is {state}"


def files(root: Path) -> Iterable[tuple[Path, str]]:
    """A run for each of its files and each thing that may lie in its place."""
    here = Path.cwd()

    def listen(path):  # names of sockets are short
        os.chdir(path.parent)
        with socket.socket(socket.AF_UNIX) as one:
            one.bind(path.name)
        os.chdir(here)

    kinds = dict(
        folder=Path.mkdir, pipe=os.mkfifo, socket=listen, device=lambda p: p.symlink_to("/dev/zero"),
        nowhere=lambda p: p.symlink_to("nowhere"), loop=lambda p: p.symlink_to(p.name), empty=Path.touch,
        binary=lambda p: p.write_bytes(bytes(range(256)) * 9), bom=lambda p: p.write_bytes(b"\xef\xbb\xbf{}"),
        array=lambda p: p.write_text("[]"), huge=lambda p: (p.touch(), os.truncate(p, 2**31)))
    for name in FILES:
        for kind, put in kinds.items():
            folder = victim(root / name.replace("/", "_").replace(".", "_") / kind, curve=None if "scalars" in name else
                            last_ten(70.0, epochs=10), status="running" if "scalars" in name else "done")
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.unlink(missing_ok=True)
            put(path)
            yield folder, f"{name} is {kind}"
    folder = victim(root / "logs", curve=None, status="running")
    (folder / "20260101_000000_000000" / "vis_data").mkdir(parents=True)
    (folder / "20260101_000000_000000" / "vis_data" / "scalars.json").write_text("\n".join(LOGS))
    yield folder, "odd lines in a log"


def victim(folder: Path, curve=(), epochs: int = 10, status="done") -> Path:
    curve = last_ten(70.0, epochs=epochs) if curve == () else curve
    return make_run(folder, "type='MixUp'", curve=curve, status=status, epochs=epochs, files=False)
