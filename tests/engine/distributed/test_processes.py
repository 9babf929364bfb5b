"""A run one of whose processes is killed goes on like a killed run of one process."""
import sys
from pathlib import Path

import pytest

from openmix.engine.distributed import processes
from openmix.engine.distributed.processes import killed_by
from openmix.sweep.jobs import PROCESSES, Job
from openmix.sweep.local import Pool
from openmix.sweep.progress import PlainProgress
from openmix.sweep.slots import CPU, Slots
from openmix.workdir.status import read_status, state

ROOT = Path(__file__).resolve().parents[3]
TRAINING = """
import fcntl, os, signal, sys, time
from pathlib import Path
sys.path.insert(0, {root!r})
from openmix import workdir
from tests.results.made import small_result

how, folder, rank = sys.argv[1], Path(sys.argv[2]), int(os.environ["RANK"])
partner = folder / os.environ["TORCHELASTIC_RUN_ID"]  # locked by rank 1 while it lives, another file at each start
starts = folder / "starts"
if rank == 1:
    life = open(folder / "life", "w")
    fcntl.flock(life, fcntl.LOCK_EX)
    starts.write_text(starts.read_text() + "x" if starts.exists() else "x")
    os.rename(folder / "life", partner)
    while workdir.state(folder) != "running":
        time.sleep(0.01)
    if how == "fails":
        workdir.write_status(folder, "failed", reason="RuntimeError: out of luck")  # whoever fails says so
        sys.exit(1)
    if how == "always killed" or len(starts.read_text()) == 1:
        os.kill(os.getpid(), signal.SIGKILL)
else:
    with workdir.Lock(folder):
        workdir.write_status(folder, "running")
        while not partner.exists():
            time.sleep(0.01)
        fcntl.flock(open(partner), fcntl.LOCK_EX)  # a process learns that its partner is gone after it is
        if how != "killed" or len(starts.read_text()) == 1:
            workdir.write_status(folder, "failed", reason="RuntimeError: connection closed by peer")
            sys.exit(1)
        workdir.write_json(folder / "result.json", small_result(50.0))
        workdir.write_status(folder, "done")
"""


@pytest.mark.parametrize("codes, number", [
    ([-9], 9), ([1, -9], 9), ([-6, -9], 9), ([-11], 11), ([-15, -6], 15), ([1], 0), ([1, -6], 0), ([2, 1], 0)])
def test_only_a_signal_that_nobody_caused_by_failing_counts(codes, number):
    assert killed_by(codes) == number


EVIL = "a[$(touch executed)]"


@pytest.mark.parametrize("name, value", [
    *((name, value) for name in ("NNODES", "NODE_RANK", "PORT", "MAX_RESTARTS") for value in (EVIL, "-1", "1.5", "07")),
    ("NNODES", "0"), *(("MASTER_ADDR", value) for value in ("-p", "a b", "a;b", "a\nb", "$(x)", "`x`"))])
def test_the_environment_of_several_nodes_is_checked(name, value, monkeypatch):
    monkeypatch.setattr(processes, "main", lambda arguments: pytest.fail("started"))
    monkeypatch.setenv(name, value)
    with pytest.raises(ValueError, match=name):
        processes.start(["train", "c.py"], 2)


def test_one_node_meets_at_a_free_port_and_several_where_the_environment_says(monkeypatch):
    lines = []
    monkeypatch.setattr(processes, "main", lambda arguments: lines.append(" ".join(arguments)) or 0)
    for name in ("NNODES", "NODE_RANK", "PORT", "MAX_RESTARTS", "MASTER_ADDR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert processes.start(["train", "c.py", "--seed", "1"], 2) == 0
    for name, value in dict(NNODES="2", NODE_RANK="1", MASTER_ADDR="host0", MAX_RESTARTS="3").items():
        monkeypatch.setenv(name, value)
    processes.start(["test", "c.py", "x.pth"], 4)
    assert lines == [
        "--standalone --nnodes=1 --nproc_per_node=2 --max-restarts=0 -m openmix train c.py --seed 1 --launcher pytorch",
        "--node_rank=1 --master_addr=host0 --master_port=29500 --nnodes=2 --nproc_per_node=4 --max-restarts=3 "
        "-m openmix test c.py x.pth --launcher pytorch"]
    with pytest.raises(ValueError, match="--gpus must be"):
        processes.start(["train", "c.py"], 0)


@pytest.mark.parametrize("how, starts, ends", [("killed", 2, "done"), ("always killed", 2, "killed"),
                                               ("fails", 1, "failed")])
def test_a_run_whose_second_process_is_killed_is_started_again(how, starts, ends, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("openmix.sweep.local.AGAIN", 0.1)
    Path("training.py").write_text(TRAINING.format(root=str(ROOT)))
    job = Job("a/seed0", "c.py", 0, "w", processes=2)
    line = [sys.executable, *PROCESSES, "--standalone", "--nnodes=1", "--nproc_per_node=2",
            "training.py", how, "w"]
    pool = Pool([job], Slots([CPU, CPU]), retries=1, make_command=lambda _: line, screen=PlainProgress(lambda _: None))
    assert pool.run() == 0 and len(Path("w/starts").read_text()) == starts
    if ends == "done":
        assert pool.done == 1 and state("w") == "done"
    else:
        assert pool.failed["a/seed0"].startswith(ends)
        assert state("w") == ("interrupted" if ends == "killed" else "failed"), "a later driver tries the killed one"
        assert ("reason" in read_status("w")) == (ends == "failed")
