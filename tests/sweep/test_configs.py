"""From a grid to configs and a run list, and the command line around them."""
import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from openmix import paths, workdir
from openmix.cli import main
from openmix.engine.config.load import load_config
from openmix.sweep.configs import literal, make, prepare
from openmix.sweep.jobs import Job, load_jobs, read_list
from openmix.sweep.progress import LiveProgress, job_status, table, time_left, together
from tests.engine import tiny
from tests.results.made import small_result

ROOT = Path(__file__).resolve().parents[2]
GRID = """
base = "configs/shapes/r20_{mixup}.py"
mixups = ["vanilla", dict(type="MixUp", alpha=0.5)]
epochs = [2]
seeds = 2
"""


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    """A folder of one's own with a grid in it; bases come from the library."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    Path("g.py").write_text(GRID)


def grid(text):
    Path("g.py").write_text(text)
    return "g.py"


def configs():
    return {p.stem: p.read_text() for p in Path("configs/sweeps/g").glob("*.py")}


def body(text):
    """A config without its first line and its ``_base_``."""
    return text.split("\n", 2)[2]


# -- make ------------------------------------------------------------------------------------------------------


def test_configs_are_a_few_lines_over_a_shipped_one_and_mean_what_the_grid_says():
    made = make("g.py")
    assert made.new == ["r20_vanilla_ep2", "r20_mixup_alpha0.5_ep2"] and made.edited == made.left == made.updated == []
    assert body(configs()["r20_vanilla_ep2"]) == "train_cfg = dict(max_epochs=2)\n"
    assert body(configs()["r20_mixup_alpha0.5_ep2"]) == (
        "model = dict(mixup=dict(alpha=0.5))\ntrain_cfg = dict(max_epochs=2)\n")
    cfg = load_config("configs/sweeps/g/r20_mixup_alpha0.5_ep2.py")
    assert cfg.model.mixup.to_dict() == dict(type="MixUp", alpha=0.5) and cfg.train_cfg.max_epochs == 2
    assert cfg.model.backbone.depth == 20


def test_the_run_list_has_a_run_for_each_seed_where_a_training_by_hand_would_put_it():
    jobs = make("g.py").jobs
    assert jobs == load_jobs("g")
    assert [job.name for job in jobs[:2]] == ["r20_vanilla_ep2/seed0", "r20_vanilla_ep2/seed1"]
    for job in jobs:
        assert job.work_dir == paths.default_work_dir(job.config, job.seed)
        assert job.epochs == 2 and len(job.config_hash) == 64
    assert len({job.config_hash for job in jobs}) == 2, "one for each config, whatever the seed"


def test_making_again_changes_no_byte_and_a_larger_grid_adds():
    make("g.py")
    before, run_list = configs(), Path("configs/sweeps/g/runs.json").read_bytes()
    made = make("g.py")
    assert (made.new, made.updated) == ([], []) and configs() == before
    assert Path("configs/sweeps/g/runs.json").read_bytes() == run_list
    made = make(grid(GRID.replace("[2]", "[2, 3]").replace("seeds = 2", "seeds = 3")))
    assert made.new == ["r20_vanilla_ep3", "r20_mixup_alpha0.5_ep3"] and len(made.jobs) == 12
    assert {k: v for k, v in configs().items() if k in before} == before
    made = make(grid(GRID))
    assert made.left == ["r20_mixup_alpha0.5_ep3", "r20_vanilla_ep3"] and len(made.jobs) == 4 and len(configs()) == 4


def test_a_config_that_was_changed_by_hand_is_kept_and_reported_unless_forced():
    make("g.py")
    file = Path("configs/sweeps/g/r20_vanilla_ep2.py")
    mine = file.read_text() + "randomness = dict(deterministic=True)\n"
    file.write_text(mine)
    Path("configs/sweeps/g/r20_mixup_alpha0.5_ep2.py").unlink()
    made = make("g.py")
    assert made.edited == ["r20_vanilla_ep2"] and made.new == ["r20_mixup_alpha0.5_ep2"] and file.read_text() == mine
    assert make("g.py", force=True).updated == ["r20_vanilla_ep2"] and file.read_text() != mine
    made = make(grid(GRID.replace("epochs", "overrides = [dict(set={'train_cfg.limit': 9})]\nepochs")))
    assert len(made.updated) == 2 and "limit=9" in file.read_text(), "what was not changed follows the grid"


def test_options_of_another_method_are_not_inherited_from_the_base():
    make(grid('base = "configs/shapes/r20_automix.py"\nmixups = ["CutMix", dict(type="AutoMix", alpha=1.0)]\n'
              'overrides = [dict(match=dict(mixup="CutMix"), set=dict(val_cfg=dict(network=None)))]'))
    cut, auto = (load_config(f"configs/sweeps/g/r20_automix_{n}.py").model.mixup for n in ("cutmix", "automix_alpha1"))
    assert cut.to_dict() == dict(type="CutMix")
    assert auto.to_dict() == dict(type="AutoMix", alpha=1.0, layer="layer2")


def test_values_are_written_as_they_are_typed():
    value = dict(a=[1, (2.5,), "x\"'"], b=dict(c=None, d=True), e={"f.g": {1: ()}})
    assert literal(value) == 'dict(a=[1, (2.5,), "x\\"\'"], b=dict(c=None, d=True), e={"f.g": {1: ()}})'
    assert eval(literal(value)) == value and ast.literal_eval(literal({"f.g": [1]})) == {"f.g": [1]}


@pytest.mark.parametrize("change, words", [
    ("overrides = [dict(set={'train_cfg.max_epoch': 3})]", "did you mean 'max_epochs'"),
    ("overrides = [dict(set={'optim_wrapper.optimizer.weight_decay': -1})]", "r20_vanilla_ep2.py"),
    ("overrides = [dict(set={'model.backbone.depth': 21})]", "depth"),
    ("overrides = [dict(set={'val_cfg.network': 'mix_k'})]", "no network 'mix_k'"),
    ("overrides = [dict(set={'param_scheduler': [dict(type='LinearLR', begin=5)]})]", "begin"),
    ("overrides = [dict(set={'optim_wrapper': 0.1})]", "optim_wrapper must be a dict"),
    ("processes = 3", "cannot be divided among 3 processes")])
def test_a_config_that_is_not_right_is_named_before_anything_starts(change, words):
    with pytest.raises(ValueError, match="these configs are not right") as caught:
        make(grid(GRID + change))
    assert words in str(caught.value) and not Path("configs/sweeps/g/runs.json").exists()
    assert len(make(grid(GRID)).jobs) == 4, "mending the grid mends the configs"


def test_a_base_that_does_not_exist_names_the_nearest():
    with pytest.raises(FileNotFoundError, match="did you mean 'r20_mixup.py'"):
        make(grid(GRID.replace('"vanilla"', '"mixupp"')))


def test_a_finished_training_has_the_hash_that_the_list_promised():
    Path("base.py").write_text(tiny.dump(tiny.config("unused"), Path("dumped.py")).read_text().replace(
        "work_dir = 'unused'", ""))
    made = make(grid('base = "base.py"\nmixups = ["MixUp", dict(type="CutMix", alpha=1.0)]\nepochs = 1\nseeds = [5]'))
    job = made.jobs[1]
    cfg = load_config(job.config)
    cfg.merge_from_dict(dict(randomness=dict(seed=job.seed), work_dir=job.work_dir))
    tiny.train(cfg)
    assert json.loads(Path(job.work_dir, "result.json").read_text())["config_hash"] == job.config_hash
    assert job_status(job).state == "done" and job_status(job).note.startswith("last ")


# -- before a run ----------------------------------------------------------------------------------------------


def test_a_run_makes_the_sweep_where_the_grid_is_new_or_changed_and_not_otherwise():
    assert len(prepare("g.py")[1]) == 4
    stamp = Path("configs/sweeps/g/runs.json").stat().st_mtime_ns
    assert len(prepare("g.py")[1]) == len(prepare("g")[1]) == 4
    assert Path("configs/sweeps/g/runs.json").stat().st_mtime_ns == stamp
    assert len(prepare(grid(GRID.replace("seeds = 2", "seeds = 3")))[1]) == 6


def test_configs_changed_since_are_checked_and_their_hash_follows():
    name, jobs, problems = prepare("g.py")
    file = Path("configs/sweeps/g/r20_vanilla_ep2.py")
    file.write_text(file.read_text() + "optim_wrapper = dict(optimizer=dict(lr=0.3))\n")
    _, changed, problems = prepare("g.py")
    assert problems == {} and [a == b for a, b in zip(jobs, changed, strict=True)] == [False, False, True, True]
    assert changed[0].config_hash != jobs[0].config_hash
    file.write_text(file.read_text() + "modle = 1\n")
    _, same, problems = prepare("g.py")
    assert list(problems) == [str(file)] and "did you mean 'model'" in problems[str(file)]
    assert [job.name for job in same] == [job.name for job in jobs]


def snapshot():
    return {p: p.read_bytes() for p in Path("configs").rglob("*") if p.is_file()}


def test_a_make_that_fails_touches_nothing():
    wrong = GRID + ("overrides = [dict(match=dict(mixup='MixUp'), set={'train_cfg.limt': 3}), "
                    "dict(set={'val_cfg.limit': 1})]")
    with pytest.raises(ValueError, match="configs/sweeps/g/r20_mixup_alpha0.5_ep2.py: .*limt"):
        make(grid(wrong))
    assert snapshot() == {}
    make(grid(GRID))
    before = snapshot()
    with pytest.raises(ValueError, match="limt"):
        make(grid(wrong))
    assert snapshot() == before and not any(p.name.startswith(".") for p in Path("configs/sweeps").iterdir())


def test_configs_that_another_grid_left_are_made_anew_before_a_run():
    """As a make that was killed while it wrote them leaves them: signed, but not in the list."""
    make(grid(GRID.replace("epochs", "overrides = [dict(set={'train_cfg.limit': 9})]\nepochs")))
    other = configs()
    make(grid(GRID))
    for how in ("g.py", "g"):
        for name, content in other.items():
            Path("configs/sweeps/g", f"{name}.py").write_text(content)
        assert prepare(how)[2] == {} and not any("limit" in content for content in configs().values())


def test_a_base_that_was_changed_changes_the_hash_in_the_list():
    Path("root.py").write_text(tiny.dump(tiny.config("unused"), Path("dumped.py")).read_text().replace(
        "work_dir = 'unused'", ""))
    Path("base.py").write_text('_base_ = ["root.py"]\n')
    grid('base = "base.py"\nepochs = 1')
    hashes = {make("g.py").jobs[0].config_hash}
    for file, change in (("root.py", "optim_wrapper['optimizer']['lr'] = 0.0456"),
                         ("base.py", "optim_wrapper = dict(optimizer=dict(weight_decay=0.0123))")):
        with open(file, "a") as base:
            base.write(f"\n{change}\n")
        jobs = prepare("g.py")[1]
        assert jobs == load_jobs("g") == make("g.py").jobs
        hashes.add(jobs[0].config_hash)
    assert len(hashes) == 3


def test_what_a_run_trains_after_a_change_by_hand_is_what_status_expects():
    make("g.py")
    with open("configs/sweeps/g/r20_vanilla_ep2.py", "a") as file:
        file.write("optim_wrapper = dict(optimizer=dict(lr=0.3))\n")
    jobs = prepare("g.py")[1]
    assert load_jobs("g") == jobs
    stamp = Path("configs/sweeps/g/runs.json").stat().st_mtime_ns
    assert prepare("g.py")[1] == jobs and Path("configs/sweeps/g/runs.json").stat().st_mtime_ns == stamp


def test_two_grid_files_of_one_name_do_not_take_each_others_place():
    make("g.py")
    before = snapshot()
    Path("mine").mkdir()
    Path("mine/g.py").write_text(GRID.replace("seeds = 2", "seeds = 1"))
    for call in (make, prepare, load_jobs):
        with pytest.raises(ValueError, match="was made from g.py, not from mine/g.py"):
            call("mine/g.py")
    assert snapshot() == before
    assert len(make("mine/g.py", force=True).jobs) == 2 and len(load_jobs("mine/g.py")) == 2
    Path("mine/g.py").rename("g.py")
    assert len(make("g.py").jobs) == 2, "a grid file may be moved"


def test_the_lock_of_a_driver_does_not_look_like_that_of_a_run():
    from openmix.results.records import SIGNS
    from openmix.sweep.jobs import DRIVER

    assert DRIVER not in SIGNS


# -- how it is doing -------------------------------------------------------------------------------------------


def log(folder, *entries, torn=""):
    path = Path(folder, "20260101_000000", "vis_data", "scalars.json")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(e) + "\n" for e in entries) + torn)


def test_the_time_that_is_left_is_that_of_the_steps_to_go():
    job = Job("a/seed0", "a.py", 0, "w", epochs=10)
    assert time_left(job) is None
    log("w", dict(epoch=1, step=50, time=0.5))
    assert time_left(job) is None, "how many steps an epoch has is not known yet"
    log("w", dict(epoch=1, step=50, time=9.0), dict(top1=1.0, step=100), dict(epoch=2, step=150, time=0.5), torn='{"ep')
    assert time_left(job) == (10 * 100 - 150) * 0.5


def test_the_table_has_every_run_and_why_one_failed():
    jobs = [Job(f"{c}/seed{s}", f"{c}.py", s, f"w/{c}{s}", epochs=5) for c in ("cut", "mix") for s in (0, 1, 2)]
    for job in jobs[:4]:
        Path(job.work_dir).mkdir(parents=True)
    workdir.write_json("w/cut0/result.json", small_result(*[71.234] * 10))
    workdir.write_status("w/cut1", "running", epoch=3)
    workdir.write_status("w/cut2", "diverged", reason="loss is nan at iteration 7", epoch=1)
    workdir.write_status("w/mix0", "preempted", epoch=2)
    with workdir.Lock("w/cut1"):
        text = table(map(job_status, jobs)).splitlines()
    assert text[1].split(None, 2) == ["cut", "1/3", "0: done 71.23 %   1: epoch 3/5, ? to go   2: diverged"]
    assert text[2].split(None, 2) == ["mix", "0/3", "0: waiting, stopped in epoch 2   1: waiting   2: waiting"]
    assert text[3:] == ["cut/seed2: diverged: loss is nan at iteration 7",
                        "6 runs: 1 done, 1 running, 3 waiting, 1 failed"]


def test_runs_that_failed_alike_share_a_line():
    assert together([("a/seed0", "no data"), ("b/seed0", "nan"), ("a/seed1", "no data")]) == [
        "a/seed0, a/seed1: no data", "b/seed0: nan"]


def test_the_screen_shows_what_runs_and_what_failed():
    import io
    from types import SimpleNamespace

    from rich.console import Console

    job = Job("cut/seed0", "c.py", 0, "w", epochs=5)
    Path("w").mkdir()
    workdir.write_status("w", "running", epoch=3)
    pool = SimpleNamespace(done=4, total=9, waiting=[1, 2], elsewhere={"x"},
                           failed={"mix/seed1": "failed: disk is full"},
                           running=[SimpleNamespace(job=job, devices=["1"], begun=True)], time_left=lambda: 90.0)
    out = io.StringIO()
    with workdir.Lock("w"), LiveProgress(Console(file=out, force_terminal=True, width=100)) as screen:
        screen.refresh(pool)
        screen.event("done [brackets] stay")
    for words in ("4/9 done, 1 running, 2 waiting, 1 running elsewhere, 1 failed; 0:01:30 to go", "cut/seed0",
                  "epoch 3/5, ? to go", "failed: mix/seed1: failed: disk is full", "done [brackets] stay"):
        assert words in out.getvalue()


def test_a_grid_goes_by_its_name_and_a_change_of_its_file_is_seen():
    Path("g.py").unlink()
    Path("configs/grids").mkdir(parents=True)
    Path("configs/grids/g.py").write_text(GRID)
    name, jobs, _ = prepare("g")
    assert name == "g" and len(jobs) == 4 and read_list("g")["grid"] == "configs/grids/g.py"
    Path("configs/grids/g.py").write_text(GRID.replace("seeds = 2", "seeds = 3"))
    assert len(prepare("g")[1]) == 6


def test_a_sweep_that_was_made_from_another_file_of_that_name_goes_on():
    """Though a shipped grid is called so too."""
    Path("shapes.py").write_text(GRID)
    make("shapes.py")
    assert len(prepare("shapes")[1]) == 4 and read_list("shapes")["grid"] == "shapes.py"
    Path("shapes.py").rename("gone.py")
    assert len(prepare("shapes")[1]) == 4


def test_a_config_that_an_earlier_version_wrote_is_not_taken_for_one_changed_by_hand():
    make("g.py")
    path = Path("configs/sweeps/g/r20_vanilla_ep2.py")
    path.write_text(path.read_text().replace("made by openmix sweep from", "made by tools/sweep.py from"))
    made = make("g.py")
    assert made.updated == ["r20_vanilla_ep2"] and made.edited == []


# -- the command line ------------------------------------------------------------------------------------------


def sweep(*arguments, check=None):
    done = subprocess.run([sys.executable, str(ROOT / "tools/sweep.py"), *arguments], capture_output=True, text=True,
                          env=os.environ, timeout=300)
    assert check is None or done.returncode == check, done.stdout + done.stderr
    return done


@pytest.mark.parametrize("arguments, words", [
    (("run", "nothing.py"), "no grid nothing.py"), (("status", "nothing"), "openmix sweep make"),
    (("run", "g", "--slots", "0"), "--slots must be at least 1"),
    (("run", "g", "--retries", "-1"), "--retries must be at least 0"),
    (("run", "g", "--gpus", "0,0"), "once each"), (("run", "g", "--gpus", "0", "--slots", "2"), "--slots is for jobs"),
    (("run", "g", "--only", "r20_nomix*"), "fits no run; names are like r20_vanilla_ep2/seed0")])
def test_wrong_input_is_one_line_and_two(arguments, words):
    make("g.py")
    done = sweep(*arguments, check=2)
    assert words in done.stderr and done.stderr.count("\n") == 1 and done.stderr.startswith("error: ")


def test_status_dry_run_and_help_need_neither_torch_nor_mmengine():
    make("g.py")
    code = ("import sys; from openmix.cli import main\n"
            "try: print(main(['sweep', *sys.argv[1:]]))\nexcept SystemExit: pass\n"
            "print({'torch', 'mmengine', 'numpy'} & set(sys.modules))")
    for arguments in (["status", "g"], ["run", "g", "--dry-run"], ["--help"]):
        done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True)
        assert done.stdout.endswith("set()\n"), done.stdout + done.stderr
    lines = sweep("run", "g", "--dry-run").stdout.splitlines()
    assert len(lines) == 4 and "--seed 1 --work-dir work_dirs/sweeps/g/r20_vanilla_ep2/seed1 --resume" in lines[1]


def test_a_part_of_a_sweep_of_which_another_part_was_run_is_no_moved_sweep(capsys):
    made = make("g.py")
    Path("configs/sweeps/g/.driver").touch()
    words = ["sweep", "run", "g", "--only", "*/seed1", "--dry-run"]
    assert main(words) == 0 and "was run before, but none of its work dirs is here" in capsys.readouterr().err
    Path(made.jobs[0].work_dir).mkdir(parents=True)
    assert main(words) == 0 and capsys.readouterr().err == ""


def test_two_drivers_do_not_run_one_sweep():
    make("g.py")
    with workdir.Lock("configs/sweeps/g", name=".driver"):
        done = sweep("run", "g", check=2)
    assert "is being run already" in done.stderr and f"pid {os.getpid()}" in done.stderr
    assert "--work-dir" not in done.stderr, "a sweep has no such option"


def test_a_sweep_of_real_trainings_with_one_command_and_once_more():
    """One ends well, one has a config that was broken by hand; the second start trains nothing."""
    grid(GRID.replace("seeds = 2", "overrides = [dict(set={'train_cfg.limit': 1, 'val_cfg.limit': 1, "
                      "'model.backbone.depth': 8, 'train_dataloader.total_batch': 10})]"))
    make("g.py")
    with open("configs/sweeps/g/r20_mixup_alpha0.5_ep2.py", "a") as file:
        file.write("modle = 1\n")
    done = sweep("run", "g.py", "--slots", "2", check=1)
    assert "done r20_vanilla_ep2/seed0 last" in done.stdout and "2 runs: 1 done, 0 waiting, 1 failed" in done.stdout
    assert "r20_mixup_alpha0.5_ep2/seed0: invalid: config: unknown key 'modle'" in done.stderr
    status = workdir.read_status("work_dirs/sweeps/g/r20_vanilla_ep2/seed0")
    again = sweep("run", "g.py", "--slots", "2", check=1)
    assert "started" not in again.stdout
    assert workdir.read_status("work_dirs/sweeps/g/r20_vanilla_ep2/seed0") == status
    assert read_list("g")["jobs"][0].config_hash == json.loads(
        Path("work_dirs/sweeps/g/r20_vanilla_ep2/seed0/result.json").read_text())["config_hash"]


def test_the_bar_has_a_line_of_its_own_and_long_names_go_on_in_the_next_one(tmp_path):
    import io
    from types import SimpleNamespace

    from rich.console import Console

    screen = LiveProgress(Console(file=io.StringIO(), force_terminal=True, width=60))
    job = SimpleNamespace(name="a" * 80, work_dir=str(tmp_path), config_hash="", epochs=1)
    child = SimpleNamespace(devices=[], job=job, begun=False)
    pool = SimpleNamespace(running=[child], elsewhere=[], waiting=[], done=1, total=2, failed={},
                           time_left=lambda: None)
    out = io.StringIO()
    Console(file=out, width=60).print(screen._draw(pool))
    lines = [line.strip() for line in out.getvalue().splitlines()]
    bar = next(i for i, line in enumerate(lines) if "━" in line)
    assert set(lines[bar]) <= set("━╸╺ ") and lines[bar - 1].endswith("to go")
    assert sum(line.count("a") for line in lines[bar + 1:]) >= 80, "nothing of the name is cut"
