"""A refused start leaves the run that is there as it was, byte by byte; a new work dir says why in its status."""
import contextlib
import fcntl
import json
import os
import shutil

import pytest
import torch

from openmix import workdir
from openmix.engine import checkpoint
from tests.console import main, write
from tests.engine.tiny import config


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A config file, and work dirs of its run: stopped in the middle of an epoch, and finished."""
    folder = tmp_path_factory.mktemp("made")
    path = write(config("unused", epochs=2), folder / "tiny.json")
    assert main("train", path, "--work-dir", folder / "stopped", "--cfg-options", "train_cfg.stop_after=6") == 128
    assert main("train", path, "--work-dir", folder / "finished") == 0
    checkpoint.save(folder / "weights.pth", dict(state_dict=dict(a=torch.zeros(3))))
    return folder


@pytest.fixture
def folder(made, tmp_path):
    """A copy of both, with the lock file that a killed process leaves."""
    shutil.copytree(made, tmp_path / "made", copy_function=shutil.copy2)
    (tmp_path / "made/stopped/.lock").write_text("pid 1 on elsewhere\n")
    return tmp_path / "made"


def contents(folder) -> dict:
    """Every file with its time and bytes, and every folder."""
    return {p: (p.stat().st_mtime_ns, p.read_bytes()) if p.is_file() else None for p in sorted(folder.rglob("*"))}


def damage(folder):
    path = next(folder.glob("stopped/iter_*.pth"))
    path.write_bytes(path.read_bytes()[:1000])


@contextlib.contextmanager
def locked(folder):
    with open(folder / "stopped/.lock", "r+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


GO_ON = ["--resume", "--cfg-options", "train_cfg.stop_after=None"]
REFUSALS = {  # arguments, and what the message says
    "an unfinished run": ([], "unfinished run"),
    "another value": ([*GO_ON, "model.mixup.alpha=0.3"], "model.mixup.alpha"),
    "another seed": ([*GO_ON, "randomness.seed=9"], "randomness.seed: 3 -> 9"),
    "an unknown key": ([*GO_ON, "train_cfg.max_epoch=3"], "max_epoch"),
    "missing data": ([*GO_ON, "train_dataloader.dataset.type=CIFAR100", "train_dataloader.dataset.data_root=no",
                      "train_dataloader.dataset.num_images=None"], ""),
    "missing test data": ([*GO_ON, "val_dataloader.dataset={'_delete_':True}"], ""),
    "a layer the network lacks": ([*GO_ON, "model.mixup.type=ManifoldMix", "model.mixup.layers=['input','leyer2']"],
                                  "leyer2"),
    "a network that is not evaluated": ([*GO_ON, "val_cfg.network=emo"], "emo"),
    "a batch larger than the set": ([*GO_ON, "train_dataloader.total_batch=400"], ""),
    "a missing checkpoint": (["--resume", "nowhere.pth"], "no checkpoint"),
    "weights alone": (["--resume", "WEIGHTS"], ""),
    "weights of another network": (["--load-from", "WEIGHTS"], "unfinished run"),
    "a checkpoint of another folder": (["--resume", "FINISHED"], "run of its own"),
    "fewer epochs than done": ([*GO_ON, "train_cfg.max_epochs=1"], "has done 1.5 of 2 epochs"),
    "fp16 on a CPU": ([*GO_ON, "env_cfg.amp=fp16"], "fp16"),
}


@pytest.mark.parametrize("kind", [*REFUSALS, "a lock", "damage and another seed"])
def test_a_refused_start_leaves_a_stopped_run_as_it_was(folder, capsys, kind):
    arguments, word = REFUSALS.get(kind, ([*GO_ON, "randomness.seed=9"], ""))
    named = dict(WEIGHTS=folder / "weights.pth", FINISHED=folder / "finished/epoch_1.pth")
    if kind.startswith("damage"):
        damage(folder)
    before = contents(folder)
    with locked(folder) if kind == "a lock" else contextlib.nullcontext():
        assert main("train", folder / "tiny.json", "--work-dir", folder / "stopped",
                    *(named.get(a, a) for a in arguments)) == 2
    assert word in (message := capsys.readouterr().err) and "error: " in message
    assert contents(folder) == before


@pytest.mark.parametrize("change, word", [
    (["train_cfg.max_epochs=1"], "has done 2 of 2 epochs"), (["model.mixup.alpha=0.3"], "alpha"),
    (["randomness.seed=9"], "seed")])
@pytest.mark.parametrize("checkpoints", [True, False])
def test_a_finished_result_is_never_overwritten_by_another_run(folder, capsys, change, word, checkpoints):
    if not checkpoints:  # as somebody who needs room does
        for path in folder.glob("finished/*.pth*"):
            path.unlink()
    before = contents(folder)
    assert main("train", folder / "tiny.json", "--work-dir", folder / "finished", "--resume", "--cfg-options",
                *change) == 2
    assert (word if checkpoints else "no checkpoint that it could go on from") in capsys.readouterr().err
    assert contents(folder) == before


def test_a_run_planned_longer_does_not_end_as_a_shorter_one_that_it_was_not(tmp_path, capsys):
    """One epoch of a cosine over three is no run of one epoch, and its result would be taken for one."""
    path = write(config("unused", epochs=3), tmp_path / "tiny.json")
    line = ["train", path, "--work-dir", tmp_path / "run"]
    assert main(*line, "--cfg-options", "train_cfg.stop_after=4") == 128
    before = contents(tmp_path / "run")
    assert main(*line, "--resume", "--cfg-options", "train_cfg.max_epochs=1") == 2
    assert "has done 1 of 3 epochs" in capsys.readouterr().err and contents(tmp_path / "run") == before
    assert main(*line, "--resume", "--cfg-options", "train_cfg.max_epochs=2") == 0


def test_a_run_killed_before_its_result_is_written_still_gets_it(folder):
    """Negative control: nothing is left to train, but it is the run that was planned."""
    (folder / "finished/result.json").unlink()
    assert main("train", folder / "tiny.json", "--work-dir", folder / "finished", "--resume") == 0
    assert json.loads((folder / "finished/result.json").read_text())["epochs"] == 2


def test_a_line_started_again_goes_on_from_its_own_checkpoint_not_from_the_one_it_names(folder, monkeypatch):
    monkeypatch.setenv("TORCHELASTIC_RESTART_COUNT", "1")
    assert main("train", folder / "tiny.json", "--work-dir", folder / "stopped", "--resume",
                folder / "finished/epoch_1.pth") == 0
    assert len(list(folder.glob("stopped/*/vis_data/scalars.json"))) == 2


def test_a_refused_start_in_a_new_work_dir_says_so_in_its_status_each_time(folder):
    for seed in (4, 5):
        assert main("train", folder / "tiny.json", "--work-dir", folder / "new", "--seed", seed, "--cfg-options",
                    f"train_dataloader.total_batch={100 * seed}") == 2
        status = json.loads((folder / "new/status.json").read_text())
        assert status["state"] == "invalid" and f"total_batch={100 * seed}" in status["reason"]
        assert status["attempt"] == seed - 3
    assert sorted(p.name for p in (folder / "new").iterdir()) == [".lock", "status.json", "tiny.py"]
    assert main("train", folder / "tiny.json", "--work-dir", folder / "new") == 0, "and can be started then"


def test_a_refused_test_leaves_no_folder(folder):
    before = contents(folder)
    assert main("test", folder / "tiny.json", folder / "weights.pth", "--work-dir", folder / "finished") == 2
    assert contents(folder) == before


def test_a_lock_that_is_released_untouched_is_as_before(tmp_path):
    (tmp_path / ".lock").write_text("pid 1 on elsewhere\n")
    os.utime(tmp_path / ".lock", (1e9, 1e9))
    lock = workdir.Lock(tmp_path)
    assert f"pid {os.getpid()}" in (tmp_path / ".lock").read_text()
    lock.release(untouched=True)
    assert (tmp_path / ".lock").read_text() == "pid 1 on elsewhere\n" and (tmp_path / ".lock").stat().st_mtime == 1e9
    with workdir.Lock(tmp_path):
        pass
    assert (tmp_path / ".lock").read_text() == ""
