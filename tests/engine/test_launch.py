"""Launchers, signals, precision and what processes share."""
import argparse
import os
import resource
import signal
import stat

import pytest
import torch
from torch import nn

from openmix.engine import cli, launch, syncbn

from .tiny import ROOT

SLURM = dict(SLURM_PROCID="3", SLURM_NTASKS="8", SLURM_LOCALID="1", SLURM_JOB_ID="40017", SLURM_NNODES="1")


@pytest.fixture
def variables(monkeypatch):
    for name in [*os.environ]:
        if name.startswith(("SLURM_", "OMPI_")) or name in ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR",
                                                             "MASTER_PORT"):
            monkeypatch.delenv(name)
    return monkeypatch


def fake_program(folder, name, text):
    path = folder / name
    path.write_text(text)
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def test_slurm_variables_become_the_process_groups(variables):
    for name, value in SLURM.items():
        variables.setenv(name, value)
    found = launch._slurm_environment()
    assert found == dict(RANK="3", WORLD_SIZE="8", LOCAL_RANK="1", MASTER_ADDR="127.0.0.1",
                         MASTER_PORT=str(20000 + 40017 % 20000))


def test_slurm_on_two_nodes_asks_for_the_first_host(variables, tmp_path):
    for name, value in {**SLURM, "SLURM_NNODES": "2", "SLURM_NODELIST": "n[1-2]"}.items():
        variables.setenv(name, value)
    fake_program(tmp_path, "scontrol", "#!/bin/sh\nprintf 'n1\\nn2\\n'\n")
    variables.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    assert launch._slurm_environment()["MASTER_ADDR"] == "n1"


@pytest.mark.parametrize("launcher, missing", [("slurm", "SLURM_PROCID"), ("mpi", "OMPI_COMM_WORLD_RANK"),
                                               ("pytorch", "RANK")])
def test_a_launcher_without_its_environment_says_how_to_start(variables, launcher, missing):
    with pytest.raises(ValueError, match=missing):
        launch.init_distributed(launcher)


@pytest.mark.parametrize("number, array, calls", [
    (signal.SIGUSR1, {}, "requeue 77"), (signal.SIGUSR2, {}, "requeue 77"), (signal.SIGTERM, {}, ""),
    (signal.SIGUSR2, dict(SLURM_ARRAY_JOB_ID="70", SLURM_ARRAY_TASK_ID="5"), "requeue 70_5"),
])
def test_only_a_time_limit_requeues(variables, tmp_path, number, array, calls):
    fake_program(tmp_path, "scontrol", f'#!/bin/sh\necho "$@" >> {tmp_path}/calls\n')
    variables.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    for name, value in dict(SLURM_JOB_ID="77", **array).items():
        variables.setenv(name, value)
    launch.requeue(number)
    log = tmp_path / "calls"
    assert (log.read_text().strip() if log.exists() else "") == calls


def test_a_job_id_that_is_no_number_reaches_no_program(variables, tmp_path):
    fake_program(tmp_path, "scontrol", f'#!/bin/sh\necho "$@" >> {tmp_path}/calls\n')
    variables.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    variables.setenv("SLURM_JOB_ID", "7; rm -rf x")
    launch.requeue(signal.SIGUSR1)
    assert not (tmp_path / "calls").exists()


def test_signals_are_remembered_and_handlers_restored():
    before = signal.getsignal(signal.SIGTERM)
    with launch.StopSignal() as stop:
        os.kill(os.getpid(), signal.SIGTERM)
        assert stop.number == signal.SIGTERM
    assert signal.getsignal(signal.SIGTERM) is before


def test_precision_names():
    cpu = torch.device("cpu")
    assert launch.amp_dtype("bf16", cpu) is torch.bfloat16 and launch.amp_dtype("off", cpu) is None
    assert launch.amp_dtype("auto", cpu) in (None, torch.bfloat16)
    with pytest.raises(ValueError, match="needs a GPU"):
        launch.amp_dtype("fp16", cpu)
    with pytest.raises(ValueError, match="'auto', 'bf16'"):
        launch.amp_dtype("fp8", cpu)


def test_memory_freed_by_a_step_serves_the_next_without_page_faults():
    def step():
        activations = [torch.empty(2**21).fill_(1) for _ in range(10)]  # 20,480 pages of 4 KiB
        return len(activations)

    launch.keep_freed_memory()
    for _ in range(3):
        step()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    step()
    assert resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before < 2_000


def test_synchronised_batchnorm_in_one_process_is_batchnorm():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU())
    synced = syncbn.convert(nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU()), torch.device("cpu"))
    synced.load_state_dict(net.state_dict())
    images = torch.randn(6, 3, 8, 8)
    assert isinstance(synced[1], syncbn.CPUSyncBatchNorm)
    torch.testing.assert_close(net(images), synced(images))
    torch.testing.assert_close(net[1].running_var, synced[1].running_var)


@pytest.mark.parametrize("name, count, resumes", [("TORCHELASTIC", "1", True), ("SLURM", "2", True),
                                                  ("SLURM", "0", None)])
def test_a_line_that_is_started_again_resumes(monkeypatch, name, count, resumes):
    for who in ("TORCHELASTIC", "SLURM"):
        monkeypatch.delenv(f"{who}_RESTART_COUNT", raising=False)
    monkeypatch.setenv(f"{name}_RESTART_COUNT", count)
    args = cli.train_parser(argparse.ArgumentParser()).parse_args(["configs/shapes/r20_mixup.py"])
    monkeypatch.chdir(ROOT)
    assert cli.configure(args).get("resume") is resumes
