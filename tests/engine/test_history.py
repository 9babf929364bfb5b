"""What a mixing method remembers of earlier batches is part of a run's state, for each process its own."""
import shutil

import pytest
import torch

from openmix.engine import checkpoint
from openmix.engine.distributed.launch import gather
from openmix.engine.train_loop import Stopped
from openmix.mixups import RecursiveMix
from tests import forked
from tests.engine.tiny import config, dump, train

TWO_PROCESSES = '''
import os, shutil, sys
from pathlib import Path
import torch
import torch.distributed as dist
from openmix.engine import checkpoint
from openmix.engine.config.load import load_config
from openmix.engine.train_loop import Stopped
from openmix.mixups import RecursiveMix
from tests.engine.tiny import assert_equal_state, train

root = Path(sys.argv[2])
def run(name, **changes):
    cfg = load_config(sys.argv[1])
    cfg.launcher, cfg.work_dir = "pytorch", str(root / name)
    cfg.merge_from_dict(changes)
    try:
        return train(cfg)
    except Stopped:
        return None
    finally:
        dist.barrier()

run("whole")
run("parts", **{"train_cfg.stop_after": 6})
if dist.get_rank() == 0:
    first, second = checkpoint.load(root / "parts" / "iter_6.pth")["mixup_history"]
    assert first["images"].shape == second["images"].shape == (5, 3, 32, 32), first["images"].shape
    assert (first["images"] - second["images"]).abs().max() > 0.1, "each process has its own"
    shutil.copytree(root / "parts", root / "forgotten")
dist.barrier()
run("parts", resume=True)
load, RecursiveMix.load_history = RecursiveMix.load_history, lambda self, history: None
run("forgotten", resume=True)
if dist.get_rank() == 0:
    whole, parts, forgotten = (checkpoint.load(root / name / "epoch_2.pth") for name in ("whole", "parts", "forgotten"))
    for part in ("state_dict", "optimizer"):
        assert_equal_state(whole[part], parts[part])
    for a, b in zip(whole["mixup_history"], parts["mixup_history"], strict=True):
        assert_equal_state(a, b)
    key = "net.head.fc.weight"
    assert (whole["state_dict"][key] - forgotten["state_dict"][key]).abs().max() > 1e-5, "the history matters"
    print("BIT-EQUAL")
eval_mode = {"model.mixup": dict(_delete_=True, type="PuzzleMix", blocks=(2,)), "sync_bn": False}
run("plain", **eval_mode)  # its saliency uses the running statistics, of which each process has its own
run("cut", **eval_mode, **{"train_cfg.stop_after": 6})
if dist.get_rank() == 0:
    first, second = checkpoint.load(root / "cut" / "iter_6.pth")["own_buffers"]
    assert any(not torch.equal(value, second[name]) for name, value in first.items())
dist.barrier()
run("cut", **eval_mode, resume=True)
if dist.get_rank() == 0:
    plain, cut = (checkpoint.load(root / name / "epoch_2.pth") for name in ("plain", "cut"))
    for part in ("state_dict", "optimizer"):
        assert_equal_state(plain[part], cut[part])
    print("STATISTICS-TOO")
dist.barrier(); sys.stdout.flush()
os._exit(0)  # all is asserted; gloo's threads sometimes abort an interpreter that ends by itself
'''


def test_a_run_of_two_processes_cut_in_mid_epoch_goes_on_bit_by_bit(tmp_path):
    cfg = config(tmp_path / "x", mixup=dict(type="RecursiveMix"), custom_hooks=[], sync_bn=True,
                 val_cfg=None, val_dataloader=None, val_evaluator=None)
    (tmp_path / "check.py").write_text(TWO_PROCESSES)
    done = forked.run_ranks(2, tmp_path / "check.py", dump(cfg, tmp_path / "config.py"), tmp_path)
    assert done.returncode == 0, done.stdout[-1500:] + done.stderr[-6000:]
    assert "BIT-EQUAL" in done.stdout and "STATISTICS-TOO" in done.stdout


@pytest.fixture(scope="module")
def stopped(tmp_path_factory):
    """The work dir of a run of one process, stopped at the end of its first epoch."""
    folder = tmp_path_factory.mktemp("stopped")
    with pytest.raises(Stopped):
        train(config(folder, mixup="RecursiveMix", custom_hooks=[], **{"train_cfg.stop_after": 4}))
    return folder


def changed(stopped, folder, change):
    """A copy of the work dir, its checkpoint changed."""
    shutil.copytree(stopped, folder)
    path = folder / "epoch_1.pth"
    content = checkpoint.load(path)
    change(content)
    checkpoint.save(path, content)
    return folder


@pytest.mark.parametrize("change", [
    lambda content: content["meta"].update(processes=2),
    lambda content: content.pop("mixup_history")], ids=["of two processes", "of a version without history"])
def test_at_an_epochs_end_a_run_may_go_on_without_history(stopped, tmp_path, change, monkeypatch):
    kinds = []
    monkeypatch.setattr(RecursiveMix, "loss", spied(RecursiveMix.loss, kinds))
    cfg = config(changed(stopped, tmp_path / "run", change), mixup="RecursiveMix", custom_hooks=[], resume=True)
    train(cfg)
    assert kinds == ["first"] + 3 * ["recursive"]


def test_with_history_the_first_batch_after_a_resume_is_mixed(stopped, tmp_path, monkeypatch):
    kinds = []
    monkeypatch.setattr(RecursiveMix, "loss", spied(RecursiveMix.loss, kinds))
    train(config(changed(stopped, tmp_path / "run", lambda content: None), mixup="RecursiveMix", custom_hooks=[],
                 resume=True))
    assert kinds == 4 * ["recursive"]


def spied(loss, kinds):
    def spy(self, *args, **kwargs):
        kinds.append("first" if self.past is None else "recursive")
        return loss(self, *args, **kwargs)
    return spy


def test_methods_without_memory_save_none(tmp_path):
    train(config(tmp_path, epochs=1, custom_hooks=[]))
    assert checkpoint.load(tmp_path / "epoch_1.pth")["mixup_history"] == [{}]
    assert gather({}) == [{}] and torch.equal(gather(dict(a=torch.ones(2)))[0]["a"], torch.ones(2))
