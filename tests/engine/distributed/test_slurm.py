"""What is read from SLURM's variables, and when it is asked to run a job again; scontrol is a small program here."""
import os
import signal

import pytest

from openmix.engine.distributed import slurm

STEP = dict(SLURM_PROCID="3", SLURM_NTASKS="8", SLURM_LOCALID="1", SLURM_JOB_ID="40017", SLURM_NNODES="1")


@pytest.fixture
def variables(monkeypatch):
    for name in [*os.environ]:
        if name.startswith(("SLURM_", "OPENMIX_")):
            monkeypatch.delenv(name)
    return monkeypatch


@pytest.fixture
def scontrol(variables, tmp_path):
    """Makes a program that notes what it is asked and says ``answer``."""
    def make(answer="", code=0):
        path = tmp_path / "scontrol"
        path.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/calls\nprintf "{answer}"\nexit {code}\n')
        path.chmod(0o755)
        variables.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
        log = tmp_path / "calls"
        return lambda: log.read_text().splitlines() if log.exists() else []
    return make


def test_slurm_variables_become_the_process_groups(variables):
    for name, value in STEP.items():
        variables.setenv(name, value)
    assert slurm.process_group() == dict(RANK="3", WORLD_SIZE="8", LOCAL_RANK="1", MASTER_ADDR="127.0.0.1",
                                         MASTER_PORT=str(20000 + 40017 % 20000))


def test_slurm_on_two_nodes_asks_for_the_first_host(variables, scontrol):
    for name, value in {**STEP, "SLURM_NNODES": "2", "SLURM_NODELIST": "n[1-2]"}.items():
        variables.setenv(name, value)
    calls = scontrol("n1\\nn2\\n")
    assert slurm.process_group()["MASTER_ADDR"] == "n1" and calls() == ["show hostname n[1-2]"]


@pytest.mark.parametrize("number, more, expected", [
    (signal.SIGUSR1, {}, ["requeue 77"]), (signal.SIGUSR2, {}, ["requeue 77"]), (0, {}, []),
    (signal.SIGTERM, {}, ["show job --oneliner 77"]),
    (signal.SIGUSR2, dict(SLURM_ARRAY_JOB_ID="70", SLURM_ARRAY_TASK_ID="5"), ["requeue 70_5"]),
    (signal.SIGUSR2, {slurm.WATCHED: "1"}, []),
])
def test_only_a_time_limit_requeues_and_only_where_nobody_else_will(variables, scontrol, number, more, expected):
    calls = scontrol()
    for name, value in dict(SLURM_JOB_ID="77", **more).items():
        variables.setenv(name, value)
    slurm.requeue_after(number)
    assert calls() == expected


def test_a_job_id_that_is_no_number_reaches_no_program(variables, scontrol):
    calls = scontrol()
    variables.setenv("SLURM_JOB_ID", "7; rm -rf x")
    slurm.requeue_after(signal.SIGUSR1)
    assert not slurm.requeue() and not slurm.being_preempted() and calls() == []


def test_a_requeue_that_is_refused_is_reported(variables, scontrol):
    variables.setenv("SLURM_JOB_ID", "77")
    scontrol()
    assert slurm.requeue()
    scontrol(code=1)
    assert not slurm.requeue()
    variables.setenv("PATH", "/nowhere")
    assert not slurm.requeue()


@pytest.mark.parametrize("job, expected", [
    ("JobId=77 JobState=RUNNING Reason=None PreemptTime=2026-01-01T00:00:00", True),
    ("JobId=77 JobState=RUNNING PreemptEligibleTime=2026-01-01T00:00:00 PreemptTime=None", False),
    ("JobId=77 JobState=CANCELLED PreemptTime=2026-01-01T00:00:00", False), ("", False)])
def test_a_preemption_is_distinguished_from_a_cancellation(variables, scontrol, job, expected):
    variables.setenv("SLURM_JOB_ID", "77")
    calls = scontrol(job)
    assert slurm.being_preempted() is expected and calls() == ["show job --oneliner 77"]
    slurm.requeue_after(signal.SIGTERM)
    assert ("requeue 77" in calls()) is expected
