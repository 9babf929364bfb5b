"""How each command ends: wrong input in one line with status 2, a fault of the program with its traceback and 1."""
import subprocess
import sys
from importlib import import_module

import pytest

from openmix.cli import COMMANDS, main
from openmix.errors import is_refusal
from tests.cli.test_command import ENV
from tests.cli.test_train import finished  # noqa: F401  (a fixture)

# {command: (words that work, a function they reach, words that are wrong)}; RUN is a finished run, IMAGE a picture
CASES = dict(
    train=("CONFIG --work-dir new", "engine.summary:log_plan", "CONFIG --cfg-options model.mixup.alhpa=1"),
    test=("CONFIG RUN/epoch_3.pth", "engine.agreement:evaluated_on", "CONFIG nowhere.pth"),
    infer=("RUN IMAGE", "inference.predict:normalise", "RUN nowhere.png"),
    sweep=("make GRID", "sweep.configs:write_list", "make nowhere.py"),
    zoo=("RUN", "results.cells:has_table", "nowhere"),
    report=("RUN --out r.html", "report.page:run_row", "nowhere"),
    compare=("RUN --baseline MixUp", "results.baseline:baseline_part", "nowhere --baseline MixUp"),
    rerun=("RUN --dry-run", "sweep.jobs:command", "nowhere"),
    publish=("RUN", "inference.publish:default_name", "nowhere.pth"),
    show=("MixUp --dataset Shapes", "visualization.gallery:draw", "Mixpu --dataset Shapes"),
    data=("IMAGES out --size 8", "datasets.prepare:write_split", "nowhere out"),
    config=("CONFIG", "engine.config.plain:config_text", "nowhere.py"),
    list=("mixups", "apis:match", "mixups nothing"),
    doctor=("", "workdir.environment:hardware", None),
)


@pytest.fixture
def words(finished, tmp_path, monkeypatch):  # noqa: F811
    """A line of CASES as words, in a folder of its own."""
    from PIL import Image

    config, run = finished
    monkeypatch.chdir(tmp_path)
    for split in ("train", "test"):
        (tmp_path / f"images/{split}/a").mkdir(parents=True)
        Image.new("RGB", (8, 8)).save(tmp_path / f"images/{split}/a/0.png")
    (tmp_path / "grid.py").write_text('base = "configs/shapes/r20_{mixup}.py"\nmixups = ["MixUp"]\nseeds = 1\n')
    named = dict(CONFIG=config, RUN=run, IMAGES="images", IMAGE="images/test/a/0.png", GRID="grid.py")

    def fill(line: str) -> list[str]:
        for name, value in named.items():
            line = line.replace(name, str(value))
        return line.split()
    return fill


def test_every_command_is_tried():
    assert set(CASES) == set(COMMANDS)


@pytest.mark.parametrize("command", CASES)
def test_a_fault_keeps_its_traceback(command, words, monkeypatch, capsys):
    line, name, _ = CASES[command]
    module, function = name.split(":")

    def fail(*args, **kwargs):
        raise ValueError("a fault")

    monkeypatch.setattr(import_module(f"openmix.{module}"), function, fail)
    if command in ("train", "test"):  # these print it, after the work dir has its last status
        assert main([command, *words(line)]) == 1
        assert "Traceback" in (text := capsys.readouterr().err) and "ValueError: a fault" in text
    else:
        with pytest.raises(ValueError, match="^a fault$"):
            main([command, *words(line)])
        assert "error:" not in capsys.readouterr().err


@pytest.mark.parametrize("command", [command for command, case in CASES.items() if case[2]])
def test_wrong_input_is_one_line(command, words, capsys):
    assert main([command, *words(CASES[command][2])]) == 2
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line]
    assert line.startswith("error: ") or line.startswith("openmix")


def test_a_fault_ends_the_process_with_1(tmp_path):
    code = ("import sys, openmix.cli, openmix.results.records as records\n"
            "records.gather = lambda roots: int('a fault')\n"
            "sys.exit(openmix.cli.main(['zoo', '.']))")
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=ENV, capture_output=True, text=True)
    assert done.returncode == 1 and done.stderr.startswith("Traceback") and "a fault" in done.stderr


def test_a_refusal_is_what_openmix_itself_raises():
    from openmix.checks import number

    errors = []
    for call in (lambda: number("x", "y"), lambda: number("x"), lambda: int("x"), lambda: [].index(1)):
        with pytest.raises((ValueError, TypeError)) as caught:
            call()
        errors.append(is_refusal(caught.value))
    assert errors == [True, False, False, False]
