"""Launchers, signals, precision and what processes share."""
import argparse
import os
import resource
import signal
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from torch import nn

from openmix import workdir
from openmix.cli import train as cli
from openmix.engine import precision
from openmix.engine.config import command_line
from openmix.engine.distributed import launch, signals, syncbn
from tests.engine.tiny import ROOT


@pytest.fixture
def variables(monkeypatch):
    for name in [*os.environ]:
        if name.startswith(("SLURM_", "OMPI_")) or name in ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR",
                                                             "MASTER_PORT"):
            monkeypatch.delenv(name)
    return monkeypatch


@pytest.mark.parametrize("launcher, missing", [("slurm", "SLURM_PROCID"), ("mpi", "OMPI_COMM_WORLD_RANK"),
                                               ("pytorch", "RANK")])
def test_a_launcher_without_its_environment_says_how_to_start(variables, launcher, missing):
    with pytest.raises(ValueError, match=missing):
        launch.init_distributed(launcher)


def test_signals_are_remembered_and_handlers_restored():
    before = signal.getsignal(signal.SIGTERM)
    with signals.StopSignal() as stop:
        os.kill(os.getpid(), signal.SIGTERM)
        assert stop.received == signal.SIGTERM
    assert signal.getsignal(signal.SIGTERM) is before


@pytest.mark.parametrize("numbers, kept", [
    ([signal.SIGUSR2, signal.SIGTERM], signal.SIGTERM), ([signal.SIGTERM, signal.SIGUSR2], signal.SIGTERM),
    ([signal.SIGUSR1], signal.SIGUSR1)])
def test_a_time_limit_does_not_hide_that_a_run_was_asked_to_end(numbers, kept):
    with signals.StopSignal() as stop:
        for number in numbers:
            os.kill(os.getpid(), number)
        assert stop.received == kept


def test_precision_names():
    cpu = torch.device("cpu")
    assert precision.amp_dtype("bf16", cpu) is torch.bfloat16 and precision.amp_dtype("off", cpu) is None
    assert precision.amp_dtype("auto", cpu) in (None, torch.bfloat16)
    with pytest.raises(ValueError, match="needs a GPU"):
        precision.amp_dtype("fp16", cpu)
    with pytest.raises(ValueError, match="'auto', 'bf16'"):
        precision.amp_dtype("fp8", cpu)


def test_memory_freed_by_a_step_serves_the_next_without_page_faults():
    def step():
        activations = [torch.empty(2**21).fill_(1) for _ in range(10)]  # 20,480 pages of 4 KiB
        return len(activations)

    precision.tune_malloc()
    for _ in range(3):
        step()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    step()
    faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
    assert faults < 5_000, "a quarter: one block may have been cut up by what ran before"


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
    assert command_line.configure(args).get("resume") is resumes


@pytest.mark.parametrize("state, restarts, code", [("diverged", 1, 3), ("invalid", 2, 2), ("oom", 1, 1),
                                                   ("failed", 1, None), ("running", 1, None), ("diverged", 0, None)])
def test_what_has_ended_for_good_is_not_repeated_by_torchrun(monkeypatch, tmp_path, state, restarts, code):
    workdir.write_status(tmp_path, state)
    monkeypatch.setenv("TORCHELASTIC_RESTART_COUNT", str(restarts))
    monkeypatch.chdir(ROOT)
    trained = []
    monkeypatch.setattr(cli, "_train", lambda cfg, args: trained.append(cfg) or 0)
    args = cli.train_parser(argparse.ArgumentParser()).parse_args(
        ["configs/shapes/r20_mixup.py", "--work-dir", str(tmp_path)])
    assert cli.run("train", args) == (code or 0) and len(trained) == (code is None)


def test_no_thread_of_the_process_group_outlives_it_though_a_network_in_a_cycle_holds_it(variables, tmp_path):
    def threads():
        return sum("gloo" in name.read_text() for name in Path("/proc/self/task").glob("*/comm"))

    before = threads()
    dist.init_process_group("gloo", init_method=f"file://{tmp_path / 'store'}", rank=0, world_size=1)
    net = nn.parallel.DistributedDataParallel(nn.Linear(2, 2))
    net.cycle = [net]
    assert threads() > before
    del net
    launch.leave_distributed()
    assert threads() == before
