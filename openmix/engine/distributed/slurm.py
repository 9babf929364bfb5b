"""SLURM: the environment of a running job, and requeueing it. Imports nothing heavy."""
import contextlib
import os
import re
import signal
import subprocess

WATCHED = "OPENMIX_WATCHED"  # set for a training whose starter sees to it that its job is queued again


def first_host() -> str:
    """Where the processes of this step meet: its first node."""
    env = os.environ
    if int(env.get("SLURM_NNODES", 1)) == 1:
        return "127.0.0.1"
    hosts = env.get("SLURM_STEP_NODELIST", env.get("SLURM_NODELIST", "localhost"))
    return subprocess.run(["scontrol", "show", "hostname", hosts], capture_output=True, text=True,
                          check=True).stdout.split()[0]


def port() -> int:
    """A port between 20000 and 39999: two jobs, or two steps of one, on a node must not meet."""
    job, step = int(os.environ.get("SLURM_JOB_ID", 0)), int(os.environ.get("SLURM_STEP_ID", 0))
    return 20000 + (job + 7919 * step) % 20000


def process_group() -> dict[str, str]:
    """RANK, WORLD_SIZE, LOCAL_RANK, MASTER_ADDR and MASTER_PORT of a process that srun started.

    Raises:
        ValueError: it was not.
    """
    env = os.environ
    if "SLURM_PROCID" not in env:
        raise ValueError("launcher 'slurm' expects to be started by srun (SLURM_PROCID is not set); "
                         "use tools/slurm_train.sh, or launcher 'pytorch' under torchrun")
    return dict(RANK=env["SLURM_PROCID"], WORLD_SIZE=env["SLURM_NTASKS"], LOCAL_RANK=env.get("SLURM_LOCALID", "0"),
                MASTER_ADDR=first_host(), MASTER_PORT=str(port()))


def job_id() -> str:
    """Of this job; of this element alone (``70_5``) in an array. Empty where there is none."""
    env = os.environ
    job, array, task = (env.get(f"SLURM_{n}", "") for n in ("JOB_ID", "ARRAY_JOB_ID", "ARRAY_TASK_ID"))
    if array.isdigit() and task.isdigit():
        return f"{array}_{task}"
    return job if job.isdigit() else ""


def restarts() -> int:
    """How often SLURM has queued this job again."""
    return int(os.environ.get("SLURM_RESTART_COUNT", 0))


def requeue() -> bool:
    """Ask SLURM to end this job and to queue it again; returns whether it will."""
    job = job_id()
    if not job:
        return False
    with contextlib.suppress(OSError):  # no scontrol here
        # a signal: the end of the job may reach scontrol before it has left
        return subprocess.run(["scontrol", "requeue", job], check=False).returncode in (0, -signal.SIGTERM)
    return False


def requeue_after(number: int) -> None:
    """Requeue this job after a time-limit signal; after SIGTERM only if it is preempted, so that scancel ends it."""
    if os.environ.get(WATCHED):
        return
    if number in (signal.SIGUSR1, signal.SIGUSR2) or number == signal.SIGTERM and being_preempted():
        requeue()


def being_preempted() -> bool:
    """Whether SLURM is preempting this job (within its ``GraceTime``).

    A job that leaves by itself in that time is not queued again by SLURM. After scancel this is False.
    """
    job = job_id()
    if not job:
        return False
    try:
        answer = subprocess.run(["scontrol", "show", "job", "--oneliner", job], capture_output=True, text=True,
                              timeout=60).stdout
    except (OSError, subprocess.SubprocessError):
        return False
    return " JobState=RUNNING " in answer and re.search(r" PreemptTime=\d", answer) is not None
