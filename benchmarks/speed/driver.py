"""What the driver of sweeps costs: jobs of one second each on two slots, against half the sum of their own times.

    python benchmarks/speed/driver.py
"""
import argparse
import json
import sys
import tempfile
import time
from pathlib import Path

from measure import print_setting, print_table

from openmix.sweep.jobs import Job
from openmix.sweep.local import Pool
from openmix.sweep.progress import PlainProgress
from openmix.sweep.slots import CPU, Slots
from openmix.workdir import result

JOB = """
import json, sys, time
begin = time.time()
time.sleep(float(sys.argv[2]))
open(sys.argv[1] + "/result.json", "w").write(json.dumps(dict(json.loads(sys.argv[3]), span=[begin, time.time()])))
"""
RESULT = json.dumps(result.build(
    [dict(epoch=1)], status="done", config="", config_hash="", data={}, seed=0, processes=1, total_batch=1,
    parameters=1, max_epochs=1, wall_s=0.0, peak_memory_mib=0.0))


def span(job: Job) -> tuple[float, float]:
    """When a job began and ended by its own clock, which starts after its interpreter."""
    return tuple(json.loads((Path(job.work_dir) / "result.json").read_text())["span"])


def main(argv=None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=60)
    parser.add_argument("--seconds", type=float, default=1.0, help="of each job")
    parser.add_argument("--slots", type=int, default=2)
    args = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as folder:
        jobs = [Job(f"job{i}/seed0", "stub", 0, f"{folder}/{i}") for i in range(args.jobs)]
        pool = Pool(jobs, Slots([CPU] * args.slots), screen=PlainProgress(lambda _: None), make_command=lambda job: [
            sys.executable, "-S", "-c", JOB, job.work_dir, str(args.seconds), RESULT])
        start = time.time()
        pool.run()
        wall = time.time() - start
        spans = [span(job) for job in jobs]
    own = sum(b - a for a, b in spans) / args.slots
    marks = sorted({time for pair in spans for time in pair})
    busy = sum(b - a for a, b in zip(marks, marks[1:], strict=False)
               if sum(s <= a and b <= e for s, e in spans) == args.slots)
    print_setting(jobs=len(jobs), slots=args.slots)
    print_table(["seconds of all / slots", "wall seconds", "ratio", "share of the time with all slots busy"],
                [[own, wall, wall / own, busy / wall]])


if __name__ == "__main__":
    main()
