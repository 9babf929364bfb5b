"""What a user types: flags, exit codes, work dirs, and what each command leaves behind."""
import fcntl
import json
import os
import re
import resource
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import pytest
import torch
from mmengine.config import Config

from openmix import apis, workdir
from openmix.arguments import Parser
from openmix.cli import train as cli
from openmix.engine import checkpoint
from openmix.engine.config import options
from openmix.engine.config.load import load_config
from openmix.engine.distributed import launch
from tests import forked
from tests.console import main, write
from tests.engine.tiny import ROOT, assert_equal_state, config, train

PARSE = cli.train_parser(Parser()).parse_args
SMALL = [f"{part}_dataloader.dataset.num_images={n}" for part, n in (("train", 300), ("val", 20), ("test", 20))]


def record(folder) -> dict:
    return json.loads((Path(folder) / "result.json").read_text())


def contents(folder) -> dict:
    """Every file with its time and bytes."""
    return {p: (p.stat().st_mtime_ns, p.read_bytes()) for p in sorted(Path(folder).rglob("*")) if p.is_file()}


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A config file and the work dir of its finished run."""
    folder = tmp_path_factory.mktemp("finished")
    path = write(config("unused", epochs=3), folder / "tiny.json")
    assert main("train", path, "--work-dir", folder / "run") == 0
    return path, folder / "run"


@pytest.fixture
def tiny(tmp_path):
    """A config file of one epoch."""
    return write(config("unused", epochs=1, custom_hooks=[]), tmp_path / "tiny.json")


# -- arguments -------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("script", ["train.py", "test.py"])
def test_help_comes_at_once_and_imports_nothing_heavy(script):
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run([sys.executable, "-X", "importtime", str(ROOT / "tools" / script), "--help"],
                          capture_output=True, text=True, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    imported = {line.split("|")[-1].strip().split(".")[0] for line in done.stderr.splitlines() if "|" in line}
    assert "openmix" in imported and not imported & {"torch", "numpy", "mmengine", "torchvision", "mmcv"}
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 1
    assert "--cfg-options" in done.stdout and "--local" not in done.stdout


@pytest.mark.parametrize("typed, name, value", [
    ("--work_dir x", "work_dir", "x"), ("--work-dir x", "work_dir", "x"),
    ("--resume_from x.pth", "resume", "x.pth"), ("--resume-from x.pth", "resume", "x.pth"),
    ("--auto_resume", "resume", "auto"), ("--resume", "resume", "auto"), ("--resume x.pth", "resume", "x.pth"),
    ("--load_checkpoint x.pth", "load_from", "x.pth"), ("--load-from x.pth", "load_from", "x.pth"),
    ("--local_rank 1", "local_rank", 1), ("--local-rank=1", "local_rank", 1),
    ("--amp", "amp", "auto"), ("--amp bf16", "amp", "bf16"), ("", "amp", None), ("", "resume", None),
    ("--seed 7", "seed", 7), ("--deterministic", "deterministic", True), ("--no-validate", "no_validate", True),
    ("--launcher slurm", "launcher", "slurm"), ("--cfg-options a=1 b.c=2", "cfg_options", ["a=1", "b.c=2"]),
])
def test_flags_and_their_older_spellings(typed, name, value):
    assert getattr(PARSE(["config.py", *typed.split()]), name) == value


@pytest.mark.parametrize("typed", ["--amp fp8", "--launcher ray", "--seed one", "--workdirr x"])
def test_wrong_flags_exit_with_2(typed, capsys):
    with pytest.raises(SystemExit) as stop:
        PARSE(["config.py", *typed.split()])
    assert stop.value.code == 2 and "usage:" in capsys.readouterr().err


def test_every_group_of_options_counts_and_the_later_of_two_for_one_key_wins():
    args = PARSE(["c.py", "--cfg-options", "a=1", "b=2", "--seed", "3", "--cfg-options", "a=5"])
    assert options.parse_options(args.cfg_options) == {"b": 2, "a": 5} and args.seed == 3
    assert PARSE(["c.py"]).cfg_options == [], "the default is left alone"


@pytest.mark.parametrize("typed, message", [
    (["c.py", "--workdirr", "x"], "did you mean --work-dir?"), (["c.py", "--cfg-option=a=1", "--sed=3"], "--seed"),
    (["c.py", "--seed", "-1"], "whole number from 0"), (["c.py", "--seed", "abc"], "whole number from 0"),
    (["c.py", "--seed", str(2**63)], "whole number from 0"), (["c.py", "--seed", "1.5"], "whole number from 0"),
    (["--cfg-options", "a=1", "c.py"], "put them first"), (["c.py", "--work-dir", ""], "expected a path"),
    (["c.py", "--amp", "bf61"], "did you mean bf16?"),
])
def test_wrong_arguments_name_the_way_out(typed, message, capsys):
    with pytest.raises(SystemExit) as stop:
        PARSE(typed)
    assert stop.value.code == 2 and message in capsys.readouterr().err


def test_a_tilde_is_the_home_folder_in_every_argument_and_key_of_a_path(tiny, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    typed = ["~/c.py", "--work-dir", "~/run", "--load-from", "~/a.pth", "--resume", "~/b.pth"]
    args = PARSE(typed)
    assert [args.config, args.work_dir, args.load_from, args.resume] == [f"{tmp_path}/{p}" for p in (
        "c.py", "run", "a.pth", "b.pth")]
    cfg = load_config("~/tiny.json", dict(work_dir="~/w", load_from="~/x.pth", resume="~/y.pth"))
    assert [cfg.work_dir, cfg.load_from, cfg.resume] == [f"{tmp_path}/{p}" for p in ("w", "x.pth", "y.pth")]
    named = config("~/named", epochs=1, custom_hooks=[], train_cfg=dict(limit=1))
    apis.train(named)
    assert (tmp_path / "named" / "result.json").is_file() and not Path("~").exists()
    net = apis.get_model("CifarResNet", 10, depth=8, pretrained="~/named")
    assert torch.equal(net.head.fc.weight, apis.get_model(
        "CifarResNet", 10, depth=8, pretrained="~/named/epoch_1.pth").head.fc.weight)


@pytest.mark.parametrize("key", ["work_dir", "load_from"])
def test_a_path_that_is_a_number_is_refused_and_quotes_make_it_text(tiny, capsys, key):
    assert main("train", tiny, "--cfg-options", f"{key}=2024") == 2
    assert f"{key} must be a path" in (actual := capsys.readouterr().err) and "quotes" in actual


def test_files_given_in_the_place_of_others_are_named(tiny, tmp_path, capsys):
    (tmp_path / "run").mkdir()
    for action, typed, message in (
            ("train", [tmp_path], "is a folder, not a config; name one of its files: tiny.json"),
            ("train", [tmp_path / "run"], "it holds none"),
            ("train", [tmp_path / "a.pth"], "got the checkpoint"),
            ("test", [tiny, tiny], "is no checkpoint but looks like a config"),
            ("train", [tiny, "--resume", tmp_path / "run"], "is a folder, not a checkpoint"),
            ("train", [tiny, "--load-from", tiny], "is no checkpoint but looks like a config")):
        assert main(action, *typed) == 2
        assert message in (actual := capsys.readouterr().err) and actual.count("\n") == 1


@pytest.mark.parametrize("flag", ["--load-from", "--resume"])
def test_a_missing_checkpoint_is_reported_before_anything_happens(tiny, tmp_path, capsys, flag):
    assert main("train", tiny, "--work-dir", tmp_path / "run", flag, "nowhere.pth") == 2
    assert "no checkpoint nowhere.pth" in capsys.readouterr().err and not (tmp_path / "run").exists()


def test_the_launcher_of_torchrun_without_torchrun_says_how_to_start(tiny, tmp_path, capsys, monkeypatch):
    for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.delenv(name, raising=False)
    assert main("train", tiny, "--work-dir", tmp_path / "run", "--launcher", "pytorch") == 2
    assert "openmix train CONFIG --gpus N" in capsys.readouterr().err and not (tmp_path / "run").exists()


# -- work dirs and repeated runs -------------------------------------------------------------------------------------

def test_the_default_work_dir_mirrors_the_config_path_and_the_seed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "configs" / "toy").mkdir(parents=True)
    path = write(config("unused", epochs=1, custom_hooks=[]), tmp_path / "configs" / "toy" / "tiny.json")
    assert main("train", path) == 0  # seed 3 of the config
    assert main("train", Path("configs/toy/tiny.json"), "--seed", 5, "--deterministic") == 0
    torch.use_deterministic_algorithms(False)
    assert [record(f"work_dirs/toy/tiny/seed{k}")["seed"] for k in (3, 5)] == [3, 5]
    assert sorted(p.name for p in Path("work_dirs/toy/tiny").iterdir()) == ["seed3", "seed5"]


def test_a_finished_run_ends_at_once_with_resume_and_with_an_error_without(finished, capsys):
    path, folder = finished
    before = contents(folder)
    assert main("train", path, "--work-dir", folder, "--resume") == 0
    assert "top-1 best" in capsys.readouterr().out
    assert main("train", path, "--work-dir", folder) == 2
    assert "holds a finished run" in capsys.readouterr().err
    assert contents(folder) == before


@pytest.mark.parametrize("change, message", [
    (["--seed", 4], "randomness.seed: 3 -> 4"),
    (["--cfg-options", "model.mixup.alpha=0.5"], "model.mixup.alpha"),
])
def test_another_config_never_continues_a_run(finished, capsys, change, message):
    path, folder = finished
    kept = {p: v for p, v in contents(folder).items() if p.suffix in (".pth", ".py") or p.name == "result.json"}
    assert main("train", path, "--work-dir", folder, "--resume", *change) == 2
    assert "the config changed" in (actual := capsys.readouterr().err) and message in actual
    assert {p: v for p, v in contents(folder).items() if p in kept} == kept


def test_resume_without_anything_to_resume_starts_from_the_beginning(tiny, tmp_path):
    assert main("train", tiny, "--work-dir", tmp_path / "run", "--resume") == 0
    assert record(tmp_path / "run")["epochs"] == 1


def test_longer_training_continues_a_finished_run(tiny, tmp_path):
    assert main("train", tiny, "--work-dir", tmp_path / "run") == 0
    longer = ["--resume", "--cfg-options", "train_cfg.max_epochs=2"]
    assert main("train", tiny, "--work-dir", tmp_path / "run", *longer) == 0
    assert record(tmp_path / "run")["epochs"] == 2


def test_a_moved_work_dir_goes_on_where_it_is_now(tiny, tmp_path, capsys):
    stop = ["--cfg-options", "train_cfg.stop_after=2"]
    assert main("train", tiny, "--work-dir", tmp_path / "old", *stop) == 128
    (tmp_path / "old").rename(tmp_path / "new")
    line = ["train", tmp_path / "new" / "tiny.py", "--resume", "--cfg-options", "train_cfg.stop_after=None"]
    assert main(*line) == 2
    assert f"go on with --work-dir {tmp_path / 'new'}" in capsys.readouterr().err and not (tmp_path / "old").exists()
    assert main(*line, "--work-dir", tmp_path / "new") == 0
    assert record(tmp_path / "new")["status"] == "done" and not (tmp_path / "old").exists()
    assert main(*line) == 0, "its config names the new place from then on"


def test_a_work_dir_in_use_is_left_alone(tiny, tmp_path, capsys):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "tiny.py").write_text("# the other run's config")
    with workdir.Lock(tmp_path / "run"):
        assert main("train", tiny, "--work-dir", tmp_path / "run") == 2
    actual = capsys.readouterr().err
    assert re.search(r"^error: .*in use by another run \(pid", actual, re.M) and "Traceback" not in actual
    assert (tmp_path / "run" / "tiny.py").read_text() == "# the other run's config"
    assert not (tmp_path / "run" / "status.json").exists()


def test_who_looks_whether_a_run_is_alive_does_not_make_its_start_fail(tiny, tmp_path):
    (tmp_path / "run").mkdir()
    with open(tmp_path / "run" / ".lock", "w") as file:
        fcntl.flock(file, fcntl.LOCK_SH)  # as one that looks does, for longer than the start takes to come to the lock
        looker = threading.Timer(0.5, fcntl.flock, (file, fcntl.LOCK_UN))
        acquire = workdir.Lock._acquire
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(workdir.Lock, "_acquire", lambda lock, wait: (looker.start(), acquire(lock, wait)))
            assert main("train", tiny, "--work-dir", tmp_path / "run") == 0
        looker.join()


@pytest.mark.parametrize("torn", ['{"schema": 1, "status": "do', "", "[]"])
def test_a_torn_result_is_written_anew_with_resume(tiny, tmp_path, capsys, torn):
    assert main("train", tiny, "--work-dir", tmp_path / "run") == 0
    whole = record(tmp_path / "run")
    (tmp_path / "run" / "result.json").write_text(torn)
    assert main("train", tiny, "--work-dir", tmp_path / "run") == 2
    assert "--resume continues" in capsys.readouterr().err
    with pytest.warns(UserWarning, match="no result of a run"):
        assert main("train", tiny, "--work-dir", tmp_path / "run", "--resume") == 0
    actual = record(tmp_path / "run")
    assert actual["status"] == "done" and actual["networks"] == whole["networks"]


def test_a_result_of_a_newer_version_is_never_overwritten(tiny, tmp_path, capsys):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "result.json").write_text('{"schema": 99}')
    assert main("train", tiny, "--work-dir", tmp_path / "run", "--resume") == 2
    assert "schema 99" in capsys.readouterr().err
    assert (tmp_path / "run" / "result.json").read_text() == '{"schema": 99}'


def test_equal_seeds_give_equal_weights_and_others_do_not(tiny, tmp_path):
    weights = {}
    for name, seed in (("a", 5), ("b", 5), ("c", 6)):
        assert main("train", tiny, "--work-dir", tmp_path / name, "--seed", seed, "--deterministic") == 0
        weights[name] = checkpoint.load(tmp_path / name / "epoch_1.pth")["state_dict"]
    torch.use_deterministic_algorithms(False)
    assert_equal_state(weights["a"], weights["b"])
    assert not torch.equal(*(weights[k]["net.head.fc.weight"] for k in "ac"))


# -- training flags --------------------------------------------------------------------------------------------------

def test_without_validation_the_result_has_no_accuracy(tiny, tmp_path, capsys):
    assert main("train", tiny, "--work-dir", tmp_path / "run", "--no-validate") == 0
    actual = record(tmp_path / "run")
    assert actual["status"] == "done" and actual["networks"] == {} and actual["primary"] is None
    assert "trained without evaluation" in capsys.readouterr().out
    assert not (tmp_path / "run" / "best.pth").exists() and (tmp_path / "run" / "epoch_1.pth").exists()


@pytest.mark.parametrize("topk, titles", [
    ([1], ["top-1 last", "top-1 best", "top-1 median of last 10"]),
    ([5], ["top-5 last", "top-5 best", "top-5 median of last 10"]),
    ([2, 1], ["top-1 last", "top-1 best", "top-1 median of last 10", "top-2 last"]),
    ([7, 3], ["top-3 last", "top-3 best", "top-3 median of last 10", "top-7 last"])], ids=str)
def test_any_topk_trains_shows_its_row_and_resumes_to_it(tmp_path, capsys, topk, titles):
    path = write(config("unused", epochs=2, custom_hooks=[], **{"val_evaluator.topk": topk, "test_evaluator.topk": 3}),
                 tmp_path / "tiny.json")
    assert main("train", path, "--work-dir", tmp_path / "run") == 0
    first = capsys.readouterr().out.splitlines()[-6:]
    head, row = ([cell.strip() for cell in line.strip("|").split("|")] for line in (first[1], first[3]))
    assert head == ["network", *titles, "img/s"]
    actual = record(tmp_path / "run")["networks"]["net"]
    for title, shown in zip(head, row, strict=True):
        name, _, kind = title.partition(" ")
        if kind == "last":
            assert shown == f"{actual[name.replace('-', '')][-1]:.2f}"
    assert set(actual) == {*(f"top{k}" for k in topk), "median_last10", "best", "last"}
    assert actual["last"] == {**{f"top{k}": actual[f"top{k}"][1] for k in topk}, "epoch": 2, "split": "test"}
    assert record(tmp_path / "run")["main"] == f"top{min(topk)}"
    best = checkpoint.load(tmp_path / "run" / "best.pth")["meta"]["epoch"]
    curve = actual[f"top{min(topk)}"]
    assert curve[best - 1] == max(curve)
    assert main("train", path, "--work-dir", tmp_path / "run", "--resume") == 0
    assert capsys.readouterr().out.splitlines()[-6:] == first
    assert main("test", path, tmp_path / "run/epoch_2.pth", "--work-dir", tmp_path / "test") == 0
    assert "net: top3 " in capsys.readouterr().out


def test_a_run_without_top_1_is_no_trouble_for_tables(tmp_path):
    from openmix.results.cells import make_cells
    from openmix.results.records import read_records

    train(config(tmp_path / "run", epochs=1, custom_hooks=[], **{"val_evaluator.topk": [3]}))
    actual, = read_records(tmp_path)
    assert actual.state == "done" and not actual.problems
    assert actual.primary["last"]["top3"] > 0 and actual.accuracy("last") is None
    cell, = make_cells([actual])
    assert cell.kind is None and cell.others == {"not evaluated": 1}, "top-3 was taken for top-1"


@pytest.mark.parametrize("topk, word", [([10], "topk=10 of 10 classes is always 100 %"), ([0], "topk must be whole"),
                                        ([], "topk must be whole")])
def test_a_topk_that_says_nothing_is_refused_before_training(tmp_path, capsys, topk, word):
    path = write(config("unused", epochs=1, **{"val_evaluator.topk": topk}), tmp_path / "tiny.json")
    assert main("train", path, "--work-dir", tmp_path / "run") == 2
    assert word in capsys.readouterr().err and not list(tmp_path.glob("run/*.pth"))


def test_a_diverged_run_exits_with_3(tiny, tmp_path, capsys):
    code = main("train", tiny, "--work-dir", tmp_path / "run", "--cfg-options", "optim_wrapper.optimizer.lr=1e20")
    assert code == 3 and "diverged" in capsys.readouterr().err
    assert record(tmp_path / "run")["status"] == "diverged"


def test_fp16_on_a_cpu_is_refused_before_anything_is_made(tiny, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(launch, "local_device", lambda: torch.device("cpu"))
    assert main("train", tiny, "--work-dir", tmp_path / "run", "--amp", "fp16") == 2
    assert "--amp bf16 or off" in capsys.readouterr().err and not (tmp_path / "run").exists()


def test_flags_also_act_where_a_config_says_nothing(tmp_path):
    cfg = config("unused", epochs=1, custom_hooks=[])
    cfg.pop("env_cfg"), cfg.pop("randomness")
    path = write(cfg, tmp_path / "tiny.json")
    assert main("train", path, "--work-dir", tmp_path / "run", "--amp", "bf16", "--seed", 2) == 0
    assert record(tmp_path / "run")["precision"].endswith("bfloat16") and record(tmp_path / "run")["seed"] == 2
    assert main("train", path, "--work-dir", tmp_path / "default") == 0
    assert record(tmp_path / "default")["seed"] == 0


def scaled(total_batch=None, **auto):
    cfg = config("unused", auto_scale_lr=dict(base_batch_size=10, enable=True, **auto))
    cfg.param_scheduler = [dict(type="LinearLR", end=1), dict(type="CosineAnnealingLR", begin=1, eta_min=0.01)]
    cfg.train_dataloader.total_batch = total_batch or 10
    apis.scale_lr(cfg)
    return cfg


def test_the_learning_rate_is_scaled_only_for_another_batch():
    assert scaled().optim_wrapper.optimizer.lr == 0.05 and "scaled_to" not in scaled().auto_scale_lr
    cfg = scaled(40)
    assert cfg.optim_wrapper.optimizer.lr == pytest.approx(0.2) and cfg.auto_scale_lr.scaled_to == 40
    assert cfg.param_scheduler[1].eta_min == pytest.approx(0.04), "the floor belongs to the curve"


def test_the_learning_rate_is_never_scaled_twice(tiny, tmp_path):
    arguments = ["--auto-scale-lr", "--cfg-options", "train_dataloader.total_batch=20",
                 "auto_scale_lr.base_batch_size=10"]
    assert main("train", tiny, "--work-dir", tmp_path / "run", *arguments) == 0
    used = tmp_path / "run" / "tiny.py"
    assert Config.fromfile(str(used)).optim_wrapper.optimizer.lr == pytest.approx(0.1)
    before = contents(tmp_path / "run")
    for path in (tiny, used):  # the same command again, and the config in the work dir
        assert main("train", path, "--work-dir", tmp_path / "run", "--resume", *arguments) == 0
    assert contents(tmp_path / "run") == before


def test_scaling_needs_to_know_the_batch_the_rate_was_made_for(tiny, tmp_path, capsys):
    assert main("train", tiny, "--work-dir", tmp_path / "run", "--auto-scale-lr") == 2
    assert "base_batch_size" in capsys.readouterr().err and not (tmp_path / "run").exists()


@pytest.mark.parametrize("name, options", [
    ("r20_mixup", []), ("r20_automix", []), ("r20_cutmix", ["optim_wrapper.accumulative_counts=2"])])
def test_a_dry_run_leaves_nothing_behind(tmp_path, monkeypatch, capsys, name, options):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    batch = ["train_dataloader.total_batch=20", "val_dataloader.batch_size=10", "test_dataloader.batch_size=5"]
    path = ROOT / "configs" / "shapes" / f"{name}.py"
    assert main("train", path, "--dry-run", "--cfg-options", *SMALL, *batch, *options) == 0
    assert "ok: trained, saved, resumed, tested" in (actual := capsys.readouterr().out) and "'count': 10" in actual
    assert list(tmp_path.iterdir()) == []


# -- testing ---------------------------------------------------------------------------------------------------------

def test_testing_gives_the_accuracy_that_training_logged(finished, tmp_path, capsys):
    path, folder = finished
    networks, out = record(folder)["networks"], tmp_path / "accuracies.json"
    for name, kind in (("epoch_3.pth", "last"), ("best.pth", "best")):
        assert main("test", path, folder / name, "--work-dir", tmp_path / "test", "--out", out) == 0
        actual, shown = json.loads(out.read_text()), capsys.readouterr().out
        epoch = networks["net"][kind]["epoch"]  # the best epoch of the run's network
        for network in ("net", "ema"):
            assert actual[network]["count"] == 23
            assert actual[network]["top1"] == networks[network]["top1"][epoch - 1]
            assert actual[network]["top5"] == networks[network]["top5"][epoch - 1]
            assert f"{network}: top1 {actual[network]['top1']:.2f}" in shown


def test_testing_leaves_the_runs_files_alone(finished):
    path, folder = finished
    before = contents(folder)
    assert main("test", path, folder / "best.pth", "--work-dir", folder) == 0
    after = contents(folder)
    assert {p: after[p] for p in before} == before


def test_two_processes_test_each_image_once(finished, tmp_path):
    path, folder = finished
    done = forked.run_ranks(2, ROOT / "tools/test.py", path, folder / "best.pth", "--launcher", "pytorch", "--work-dir",
                            tmp_path / "test", "--out", tmp_path / "two.json")
    assert done.returncode == 0, done.stderr[-3000:]
    assert main("test", path, folder / "best.pth", "--work-dir", tmp_path / "one", "--out", tmp_path / "one.json") == 0
    one, two = (json.loads((tmp_path / f"{name}.json").read_text()) for name in ("one", "two"))
    assert one == two and one["net"]["count"] == 23
    assert done.stdout.count("net: top1") == 1, "only the first process talks"


def test_two_processes_dry_run_and_leave_nothing_behind(tmp_path):
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": "", "PYTHON": sys.executable,
                   "TMPDIR": str(tmp_path)}
    line = ["bash", str(ROOT / "tools/dist_train.sh"), str(ROOT / "configs/shapes/r20_mixup.py"), "2", "--dry-run",
            "--cfg-options", *SMALL]
    done = subprocess.run(line, capture_output=True, text=True, timeout=200, env=environment, cwd=tmp_path)
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.count("ok: trained, saved, resumed, tested") == 1
    assert not [p for p in tmp_path.iterdir() if not p.name.startswith("torchelastic")]


@pytest.mark.parametrize("arguments", [[], ["config.py"], ["config.py", "two"], ["config.py", "0"]])
@pytest.mark.parametrize("script", ["dist_train.sh", "dist_test.sh"])
def test_scripts_tell_their_usage(script, arguments):
    done = subprocess.run(["bash", str(ROOT / "tools" / script), *arguments], capture_output=True, text=True)
    assert done.returncode == 2 and "CONFIG GPUS" in done.stderr
