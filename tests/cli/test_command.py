"""The command ``openmix``: dispatch, names, what each new command prints, and Ctrl-C before anything has begun."""
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from importlib import import_module
from pathlib import Path

import pytest

import openmix
from openmix.cli import COMMANDS, main, spin_briefly
from openmix.registry import BACKBONES, DATASETS, LOSSES, MIXUPS
from tests.cli.test_train import finished  # noqa: F401  (a fixture)
from tests.engine.tiny import ROOT, config
from tests.results.made import last_ten, make_run

ENV = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}


# -- threads -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("variables, expected", [
    ({}, dict(GOMP_SPINCOUNT="10000")), (dict(GOMP_SPINCOUNT="7"), dict(GOMP_SPINCOUNT="7")),
    (dict(OMP_WAIT_POLICY="active"), dict(OMP_WAIT_POLICY="active"))])
def test_waiting_threads_give_their_core_away_unless_the_user_says_how_they_wait(variables, expected, monkeypatch):
    for name in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    spin_briefly()
    assert {name: os.environ[name] for name in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY") if name in os.environ} == expected


@pytest.mark.parametrize("words", ["-m openmix infer nothing.pth nothing.png",
                                   "tools/train.py shapes/r20_mixup --cfg-options nothing=1"])
def test_the_openmp_of_torch_reads_how_threads_of_a_command_wait(words):
    env = {k: v for k, v in ENV.items() if k not in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")}
    said = subprocess.run([sys.executable, *words.split()], env=env | dict(OMP_DISPLAY_ENV="verbose"),
                          capture_output=True, text=True, cwd=ROOT).stderr
    if "GOMP_" not in said:
        pytest.skip("the OpenMP of this torch is not GCC's")
    assert "GOMP_SPINCOUNT = '10000'" in said


# -- dispatch ----------------------------------------------------------------------------------------------------------


def test_the_help_names_every_command_and_every_command_has_its_own(capsys):
    assert main(["--help"]) == 0
    text = capsys.readouterr().out
    for command in COMMANDS:
        assert f"\n  {command} " in text
        with pytest.raises(SystemExit) as stop:
            main([command, "--help"])
        assert stop.value.code == 0 and f"usage: openmix {command}" in capsys.readouterr().out
    files = {path.stem for path in (ROOT / "openmix/cli").glob("*.py")} - {"__init__"}
    assert files == set(COMMANDS)


@pytest.mark.parametrize("words, message", [
    (["trian", "x"], "did you mean 'train'"), ([], "usage: openmix COMMAND"), (["train", "cifar100/r18_mixpu"],
     "did you mean cifar100/r18_mixup?"), (["sweep", "run", "shaeps"], "did you mean shapes?"),
    (["list", "configs", "r18_nomix"], "none of the configs fits"), (["infer", "nowhere", "x.png"], "no image x.png")])
def test_wrong_words_end_with_2_and_the_way_out(words, message, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(words) == 2 and message in capsys.readouterr().err and not list(tmp_path.iterdir())


def test_wrong_arguments_name_the_nearest(capsys):
    for words, near in ((["train", "x", "--sed", "1"], "--seed"), (["list", "mixup"], "mixups")):
        with pytest.raises(SystemExit) as stop:
            main(words)
        assert stop.value.code == 2 and f"did you mean {near}?" in capsys.readouterr().err


def test_help_and_lists_of_files_import_nothing_heavy():
    code = ("import sys; from openmix.cli import main\n"
            "for words in (['--help'], ['list', 'configs'], ['list', 'grids']): main(words)\n"
            "print({'torch', 'mmengine', 'numpy', 'torchvision'} & set(sys.modules))")
    done = subprocess.run([sys.executable, "-c", code], env=ENV, capture_output=True, text=True, check=True)
    assert done.stdout.endswith("set()\n") and "cifar100/r18_mixup\n" in done.stdout


def test_files_of_the_current_folder_hide_no_module_and_are_there_for_configs(tmp_path):
    (tmp_path / "random.py").write_text("raise SystemExit('the wrong one')")
    (tmp_path / "my_module.py").write_text("")
    (tmp_path / "c.py").write_text('custom_imports = dict(imports=["my_module"])\n'
                                   f'_base_ = "{ROOT}/configs/shapes/r20_mixup.py"\n')
    done = subprocess.run([sys.executable, "-m", "openmix", "config", "c.py"], env=ENV, cwd=tmp_path,
                          capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


# -- list, doctor, infer, config, data ---------------------------------------------------------------------------------


@pytest.mark.parametrize("kind, names", [
    ("mixups", MIXUPS.known()), ("backbones", BACKBONES.known()), ("losses", LOSSES.known()),
    ("datasets", DATASETS.known()), ("configs", [name[:-3] for name in openmix.list_configs()]),
    ("grids", [name[:-3] for name in openmix.list_grids()])])
def test_the_list_of_each_kind_is_what_python_lists(kind, names, capsys):
    assert main(["list", kind]) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == list(names)


def test_a_pattern_or_a_part_of_a_name_chooses(capsys):
    main(["list", "mixups", "cut*"])
    assert capsys.readouterr().out.split()[:2] == ["CutMix", "batch"]
    for pattern in ("r18_puzzlem", "r18_puzzlemi[x]"):  # also of the last part of a name
        main(["list", "configs", pattern])
        assert capsys.readouterr().out.split() == ["cifar10/r18_puzzlemix", "cifar100/r18_puzzlemix"]


def test_the_doctor_shows_what_a_bug_report_needs_and_no_secrets(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WANDB_API_KEY", "a-secret")
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    (tmp_path / "data/cifar-100-python").mkdir(parents=True)
    (tmp_path / "data/mine").mkdir()
    (tmp_path / "data/mine/info.json").touch()
    assert main(["doctor"]) == 0
    text = capsys.readouterr().out
    import torch

    for words in (openmix.__version__, torch.__version__.split("+")[0], "OMP_NUM_THREADS=7", "CIFAR100",
                  "mine (ArrayFile)", "CPU"):
        assert words in text
    assert "a-secret" not in text and "CIFAR10," not in text


def test_the_doctor_reports_a_broken_installation(capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    assert main(["doctor"]) == 1
    actual = capsys.readouterr()
    assert "MISSING, it cannot be imported" in actual.out and "does not work without torch" in actual.err


def test_images_are_classified_with_the_names_of_their_classes(finished, tmp_path, capsys):  # noqa: F811
    from PIL import Image

    _, run = finished
    (tmp_path / "pictures").mkdir()
    for i in range(2):
        Image.new("RGB", (32, 32), (40 * i, 0, 0)).save(tmp_path / f"pictures/{i}.png")
    assert main(["infer", str(run), str(tmp_path / "pictures"), "--top", "3", "--out", str(tmp_path / "o.json")]) == 0
    lines, actual = capsys.readouterr().out.splitlines(), json.loads((tmp_path / "o.json").read_text())
    expected = openmix.infer(str(run), [str(tmp_path / f"pictures/{i}.png") for i in range(2)])
    assert len(lines) == 2 and [len(image["classes"]) for image in actual] == [3, 3]
    for image, name, share in zip(actual, expected.names, expected.probabilities.amax(1), strict=True):
        assert image["classes"][0]["name"] == name
        assert image["classes"][0]["probability"] == pytest.approx(float(share), abs=1e-5)


def test_evaluations_by_name_are_printed_saved_and_written_into_the_result(finished, tmp_path, capsys):  # noqa: F811
    path, run = finished
    shutil.copytree(run, tmp_path / "run")
    words = ["test", str(path), str(tmp_path / "run/epoch_3.pth"), "--work-dir", str(tmp_path / "tested"),
             "--cfg-options", "evals.cal.type=Calibration"]
    before = json.loads((tmp_path / "run/result.json").read_text())
    assert main([*words, "--evals", "cal", "--out", str(tmp_path / "o.json")]) == 0
    assert "cal, data: Shapes" in capsys.readouterr().out
    assert json.loads((tmp_path / "run/result.json").read_text()) == before
    saved = json.loads((tmp_path / "o.json").read_text())
    assert saved.keys() == {"evals"} and saved["evals"].keys() == {"cal"}
    assert main([*words, "--evals", "cal", "--write"]) == 0 and "written: " in capsys.readouterr().out
    after = json.loads((tmp_path / "run/result.json").read_text())
    assert after.pop("evals")["cal"]["networks"] == saved["evals"]["cal"]["networks"]
    assert after == {key: value for key, value in before.items() if key != "evals"}
    assert main([*words, "--evals", "call"]) == 2 and "did you mean 'cal'?" in capsys.readouterr().err
    assert main([*words, "--evals", "cal", "--write", "--cfg-options", "optim_wrapper.optimizer.lr=9"]) == 2
    assert "the config is not that of the run" in capsys.readouterr().err


def test_the_word_of_a_single_action_may_be_left_out(capsys):
    texts = []
    for words in (["config", "shapes/r20_mixup"], ["config", "print", "shapes/r20_mixup"]):
        assert main(words) == 0
        texts.append(capsys.readouterr().out)
    assert texts[0] == texts[1] and "work_dirs/shapes/r20_mixup/seed0" in texts[0]


# -- Python ------------------------------------------------------------------------------------------------------------


def test_python_trains_by_name_with_other_values_where_the_command_would(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    small = {"train_cfg.max_epochs": 1, "train_cfg.limit": 1, "val_cfg": dict(limit=1), "model.backbone.depth": 8,
             "train_dataloader.dataset.num_images": 100, "val_dataloader.dataset.num_images": 20,
             "env_cfg.num_threads": 1, "default_hooks.preview": None}
    actual = openmix.train("shapes/r20_mixup", small)
    assert actual["epochs"] == 1 and Path("work_dirs/shapes/r20_mixup/seed0/result.json").is_file()
    cfg = config(tmp_path / "other", epochs=5, custom_hooks=[])
    assert openmix.train(cfg, {"train_cfg.max_epochs": 1})["epochs"] == 1 and cfg.train_cfg.max_epochs == 5
    with pytest.raises(FileNotFoundError, match="did you mean shapes/r20_mixup"):
        openmix.train("shapes/r20_mixpu")


# -- several processes -------------------------------------------------------------------------------------------------


def test_gpus_starts_the_same_words_in_several_processes_once(monkeypatch, capsys):
    from openmix.engine.distributed import processes

    started = []
    monkeypatch.setattr(processes, "start", lambda words, number: started.append((words, number)) or 7)
    words = ["train", "shapes/r20_mixup", "--gpus", "2", "--seed", "1"]
    assert main(words) == 7 and started == [(words, 2)]
    assert main(["train", "shapes/r20_mixpu", "--gpus", "2"]) == 2 and len(started) == 1
    assert main([*words, "--launcher", "slurm"]) == 2 and "leave out --launcher" in capsys.readouterr().err


# -- Ctrl-C ------------------------------------------------------------------------------------------------------------

SLOW = """
import importlib, os, sys, time
open("importing", "w").close()
try:
    time.sleep(1)
except BaseException:
    raise RuntimeError("what C++ makes of it")
sys.path.remove(os.path.dirname(__file__))
del sys.modules[__name__]
sys.modules[__name__] = importlib.import_module(__name__)
"""


@pytest.mark.parametrize("words, module", [
    (["train", "shapes/r20_mixup"], "mmengine"), (["sweep", "make", "shapes"], "mmengine"),
    (["report", "runs"], "bokeh")])
def test_ctrl_c_during_imports_is_one_line_and_ends_by_the_signal(words, module, tmp_path):
    """The module stands for one that makes another error of the interrupt, as PyTorch's does."""
    make_run(tmp_path / "runs/a/seed0", "type='MixUp'", curve=last_ten(80.0))
    (tmp_path / "hiding").mkdir()
    (tmp_path / f"hiding/{module}.py").write_text(SLOW)
    process = subprocess.Popen([sys.executable, "-m", "openmix", *words], cwd=tmp_path, stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT, text=True, start_new_session=True,
                               env={**ENV, "PYTHONPATH": f"{tmp_path / 'hiding'}{os.pathsep}{ROOT}"},
                               preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler))
    end = time.monotonic() + 60
    while not (tmp_path / "importing").exists() and time.monotonic() < end:
        assert process.poll() is None, process.communicate()[0]
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=60)
    assert (process.returncode, out) == (-signal.SIGINT, "stopped\n")


@pytest.mark.parametrize("code, rounds", [(130, ["1"]), (2, ["1", "2"])])
def test_ctrl_c_ends_a_loop_of_bash_too(code, rounds, tmp_path):
    """As a terminal does it: the signal reaches bash and the command. Another status lets the loop go on."""
    (tmp_path / "command.py").write_text(
        "import os, signal, sys, time, openmix.console\n"
        "signal.signal(signal.SIGINT, lambda *_: openmix.console.leave(int(sys.argv[1])))\n"
        "print(sys.argv[2], flush=True)\n"
        "if sys.argv[2] == '1': os.killpg(0, signal.SIGINT); time.sleep(30)\n")
    loop = f"for i in 1 2; do {shlex.quote(sys.executable)} command.py {code} $i; done"
    done = subprocess.run(["bash", "-c", loop], cwd=tmp_path, capture_output=True, text=True, timeout=60,
                          start_new_session=True, env={**ENV, "PYTHONPATH": str(ROOT)},
                          preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler))
    assert done.stdout.split() == rounds and done.stderr == ""


@pytest.mark.parametrize("command", COMMANDS)
def test_ctrl_c_in_any_command_is_one_line_and_130(command, monkeypatch, capsys):
    module = import_module(f"openmix.cli.{command}")

    def stop(args):
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "main", stop)
    words = dict(sweep=["make", "x"], list=["configs"], doctor=[], test=["x", "y"], infer=["x", "y"],
                 compare=["x", "y"], data=["x", "y"])
    assert main([command, *words.get(command, ["x"])]) == 130 and capsys.readouterr().err == "stopped\n"
