"""A driver in a process of its own, to be killed: drive.py SLOTS NAME ...; work dirs are below the current folder."""
import sys
from pathlib import Path

from openmix.sweep.jobs import Job
from openmix.sweep.local import Pool
from openmix.sweep.slots import CPU, Slots

STUB = Path(__file__).with_name("stub.py")


def jobs(names):
    """``bad-3`` behaves like ``bad``; each has a work dir of its own."""
    return [Job(f"{name}/seed0", name, 0, f"runs/{name}") for name in names]


def stub(job, steps=4, seconds=0.05):
    return [sys.executable, str(STUB), job.config.split("-")[0], job.work_dir, str(steps), str(seconds)]


if __name__ == "__main__":
    pool = Pool(jobs(sys.argv[2:]), Slots([CPU] * int(sys.argv[1])), retries=2, make_command=stub)
    stopped = pool.run()
    for name, why in pool.failed.items():
        print("failed", name, why)
    sys.exit(128 + stopped if stopped else bool(pool.failed))
