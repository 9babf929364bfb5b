"""Several processes: the same run, split. gloo on the CPU."""
import json
import os
import signal
import subprocess
import sys
import time

import pytest
import torch
from mmengine.config import Config

from openmix.engine import checkpoint, run_checkpoints
from openmix.engine.train_loop import Stopped
from tests import forked
from tests.engine import tiny
from tests.engine.tiny import METHODS, ROOT, assert_equal_state, command, dump, losses, spec, train

pytestmark = pytest.mark.usefixtures("four_layers")


def config(*arguments, imports=(), **changes):
    return tiny.config(*arguments, custom_imports=dict(imports=["tests.engine.four_layers", *imports]), **changes)


def logged(folder):
    return torch.tensor([losses(folder)[k] for k in sorted(losses(folder))])


CHECK_RANKS = '''
import os, sys, torch
from openmix.engine.config.load import load_config
from openmix.engine.distributed.launch import leave_distributed
from openmix.engine.runner import Runner
import torch.distributed as dist
for path in sys.argv[1:]:
    cfg = load_config(path); cfg.launcher = "pytorch"
    runner = Runner.from_cfg(cfg); runner.train()
    tensors = [list(runner.model.parameters()), list(runner.model.buffers())]  # a transformer has no buffers
    for values in (torch.cat([t.detach().float().flatten() for t in kind]) for kind in tensors if kind):
        found = [torch.empty_like(values) for _ in range(2)]
        dist.all_gather(found, values)
        assert torch.equal(*found), (path, (found[0] - found[1]).abs().max())
    counts = {name: m["count"] for name, m in runner.history[-1]["val"].items()}
    assert set(counts.values()) == {23}, (path, counts)
    print("RANKS-AGREE", runner.iter)
leave_distributed()
'''


def ranks_agree(tmp_path, *cfgs):
    script = tmp_path / "check.py"
    script.write_text(CHECK_RANKS)
    done = forked.run_ranks(2, script, *(dump(cfg, tmp_path / f"config_{k}.py") for k, cfg in enumerate(cfgs)))
    agreed = done.stdout.count("RANKS-AGREE")
    assert done.returncode == 0 and agreed == 2 * len(cfgs), done.stdout[-1500:] + done.stderr[-3000:]
    assert "FutureWarning" not in done.stderr, done.stderr[-3000:]


def test_two_processes_with_sync_batchnorm_train_as_one_and_without_it_differ(tmp_path):
    """fp32, no mixing: 1 x 100 and 2 x 50 images agree in the loss of each of 20 steps; without SyncBN they do not."""
    options = {"mixup": "Vanilla", "total_batch": 100, "custom_hooks": [], "default_hooks.logger.interval": 1}
    kinds = dict(sync=dict(images=1000, sync_bn=True), plain=dict(images=200))
    for kind, changes in kinds.items():
        train(config(tmp_path / kind / "one", **options, **changes))
    ranks_agree(tmp_path, *(config(tmp_path / kind / "two", **options, **changes) for kind, changes in kinds.items()))
    sync, plain = ([logged(tmp_path / kind / name) for name in ("one", "two")] for kind in kinds)
    assert len(sync[0]) == 20
    torch.testing.assert_close(*sync, atol=1e-5, rtol=0)
    assert (plain[0] - plain[1]).abs().max() > 1e-4
    assert json.loads((tmp_path / "sync/two/result.json").read_text())["processes"] == 2


def test_parameters_stay_equal_with_every_method_and_with_gradient_accumulation(tmp_path):
    """All in one start of the processes; a choice of a learned and a static method long enough to see both."""
    choice = dict(type="RandomChoice", methods=[dict(type="AutoMix"), dict(type="CutMix")])
    ranks_agree(tmp_path, config(tmp_path / "accumulate", images=60, **{"optim_wrapper.accumulative_counts": 4}),
                config(tmp_path / "choice", mixup=choice, images=80),
                *(config(tmp_path / name, mixup=name, epochs=1, images=20) for name in METHODS))


def test_an_indivisible_process_count_names_valid_ones(tmp_path):
    path = dump(config(tmp_path / "run", total_batch=15), tmp_path / "config.py")
    done = command(path, processes=2, check=False)
    assert done.returncode != 0 and "15" in done.stderr and "1, 3, 5, 15" in done.stderr


def test_another_process_count_resumes_at_an_epochs_end_only(tmp_path):
    cfg = config(tmp_path / "run", **{"train_cfg.stop_after": 6})
    path = dump(cfg, tmp_path / "config.py")
    with pytest.raises(Stopped):
        train(cfg)
    done = command(path, "--resume", "--cfg-options", "train_cfg.stop_after=None", processes=2, check=False)
    assert done.returncode != 0 and "middle of an epoch by 1 processes" in done.stderr
    for leftover in (tmp_path / "run").glob("iter_*"):
        leftover.unlink()
    command(path, "--resume", "--cfg-options", "train_cfg.stop_after=None", processes=2)
    record = json.loads((tmp_path / "run" / "result.json").read_text())
    assert record["status"] == "done" and record["epochs"] == 2


def start(path, *arguments):
    return forked.Process(ROOT / "tools/train.py", path, *arguments)


def launch(path, processes):
    """By the script that a user starts, each process a new interpreter."""
    env = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": "", "PYTHON": sys.executable,
           "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(["bash", str(ROOT / "tools/dist_train.sh"), str(path), str(processes)], env=env,
                            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def wait_for(condition, process, seconds=120):
    end = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None, (process.returncode, str(process.stderr)[-3000:])
        assert time.monotonic() < end, "timed out"
        time.sleep(0.02)


def progress(folder):
    """The step that a run has come to."""
    try:
        return json.loads((folder / "status.json").read_text()).get("step", 0)
    except (FileNotFoundError, ValueError):
        return 0


@pytest.mark.parametrize("method, numbers", [("MixUp", (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)),
                                             ("AutoMix", (signal.SIGTERM,)),
                                             ("Distill", (signal.SIGKILL,))], ids=str)
def test_a_run_killed_again_and_again_resumes_to_the_weights_of_an_unkilled_one(tmp_path, method, numbers):
    epochs = 2 * len(numbers) + 3
    options = dict(mixup=method, epochs=epochs, images=100)
    if method == "Distill":  # with a teacher, hidden mixing and regressors that are trained along
        options["mixup"] = dict(spec(method), method=dict(type="ManifoldMix"), hints=[["layer2", "layer2"]])
    train(config(tmp_path / "whole", **options))
    hold = tmp_path / "hold"  # the last epoch waits for the signal, which comes late where the machine is busy
    cfg = config(tmp_path / "cut", **options, imports=["tests.engine.hold"])
    cfg.custom_hooks.append(dict(type="Hold", file=str(hold), step=10 * (epochs - 1)))
    path = dump(cfg, tmp_path / "config.py")
    for k, number in enumerate(numbers):
        hold.touch()
        process, epoch = start(path, *(["--resume"] if k else [])), 2 * (k + 1)
        wait_for((tmp_path / "cut" / f"epoch_{epoch}.pth").exists, process)
        time.sleep(0.02 * (k + 1))  # some steps later
        process.send_signal(number)
        hold.unlink()
        code = process.wait(60)
        if number == signal.SIGKILL:
            assert code == -number
        else:
            status = json.loads((tmp_path / "cut" / "status.json").read_text())
            assert code == (-number if number == signal.SIGINT else 128 + number) and status["state"] == "preempted"
        assert not (tmp_path / "cut" / "result.json").exists()
    command(path, "--resume")
    whole, cut = (checkpoint.load(tmp_path / name / f"epoch_{epochs}.pth") for name in ("whole", "cut"))
    for part in ("state_dict", "optimizer", "ema"):
        assert_equal_state(whole[part], cut[part])


def test_a_signal_to_one_rank_stops_all_at_the_same_step(tmp_path):
    cfg = config(tmp_path / "run", epochs=200, images=100)
    path = dump(cfg, tmp_path / "config.py")
    ranks = forked.start_ranks(2, ROOT / "tools/train.py", path, "--launcher", "pytorch")
    wait_for(lambda: progress(tmp_path / "run") > 10, ranks[0])
    ranks[1].send_signal(signal.SIGTERM)
    assert [rank.wait(90) for rank in ranks] == [128 + signal.SIGTERM] * 2
    status = json.loads((tmp_path / "run" / "status.json").read_text())
    assert status["state"] == "preempted", status
    saved = checkpoint.load(run_checkpoints.newest_valid(tmp_path / "run"))
    assert saved["meta"]["iter"] == status["step"]


def test_no_orphan_survives_a_launcher_that_was_killed(tmp_path):
    path = dump(config(tmp_path / "run", epochs=500, images=100), tmp_path / "config.py")
    process = launch(path, 2)
    wait_for(lambda: progress(tmp_path / "run") > 10, process)
    workers = subprocess.run(["pgrep", "-P", str(process.pid)], capture_output=True, text=True).stdout.split()
    process.kill()
    end = time.monotonic() + 60
    while any(os.path.exists(f"/proc/{pid}") for pid in workers) and time.monotonic() < end:
        time.sleep(0.1)
    assert not any(os.path.exists(f"/proc/{pid}") for pid in workers)


def test_two_runs_never_share_a_work_dir(tmp_path):
    path = dump(config(tmp_path / "run", epochs=200, images=100), tmp_path / "config.py")
    process = start(path)
    try:
        wait_for(lambda: progress(tmp_path / "run") > 3, process)
        with pytest.raises(RuntimeError, match="in use by another run"):
            train(config(tmp_path / "run", epochs=200, images=100))
    finally:
        process.kill()
        process.wait()


def test_the_config_file_of_a_run_can_be_run_again(tmp_path):
    """The dumped config in the work dir is a config itself."""
    train(config(tmp_path / "a", epochs=1))
    again = next((tmp_path / "a").glob("config.py"))
    command(again, "--work-dir", tmp_path / "b")
    assert Config.fromfile(str(tmp_path / "b" / "config.py")).train_cfg.max_epochs == 1
    a, b = (checkpoint.load(tmp_path / name / "epoch_1.pth")["state_dict"] for name in "ab")
    assert_equal_state(a, b)
