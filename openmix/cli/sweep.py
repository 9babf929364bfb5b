"""From a grid file to finished runs.

    openmix sweep make GRID      write the configs and the run list, and check them
    openmix sweep run GRID       train them, here or on a SLURM cluster; the same line again continues
    openmix sweep status GRID    the state of each run

GRID is a grid file, the name of a grid of configs/grids/ (here or shipped), or of a sweep made here before.
"""
import argparse
import shlex
import sys
from fnmatch import fnmatchcase
from pathlib import Path

from ..arguments import Parser, typed_path
from ..sweep.slurm import add_arguments

OK, FAILED = 0, 1


def make_parser(prog: str | None = None) -> Parser:
    parser = Parser(prog=prog, description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    actions = parser.add_subparsers(dest="action", required=True)
    make, run, status = (actions.add_parser(name, help=text, description=text) for name, text in (
        ("make", "write the configs and the run list of a grid, and check them"),
        ("run", "train the runs of a sweep; finished ones are not repeated"),
        ("status", "show the state of each run")))
    for action in (make, run, status):
        action.add_argument("grid", type=typed_path,
                            help="grid file, or the name of a grid or a sweep, such as shapes")
    make.add_argument("--force", action="store_true", help="also overwrite configs that were changed by hand")
    for action in (run, status):
        action.add_argument("--only", metavar="PATTERN", help="runs whose name fits, e.g. 'r18_cutmix*' or '*/seed0'")
    run.add_argument("--engine", choices=["local", "slurm"], default="local", help="this machine, or a job array")
    run.add_argument("--dry-run", action="store_true", help="print the commands and start nothing")
    run.add_argument("--records", nargs="+", type=typed_path, metavar="FOLDER",
                     help="leave out runs whose finished record is in one of these folders (openmix zoo --collect)")
    run.add_argument("--failed", action="store_true", help="also start again what failed or diverged")
    local = run.add_argument_group("this machine")
    local.add_argument("--gpus", metavar="0,1", help="GPUs to use (default: all)")
    local.add_argument("--jobs-per-gpu", type=int, default=1, metavar="N",
                       help="runs side by side on each GPU (1), under NVIDIA MPS where it is installed")
    local.add_argument("--slots", type=int, metavar="N", help="runs side by side on the CPU (1), which share its cores")
    local.add_argument("--retries", type=int, default=3, metavar="N", help="new starts of a run that was killed (3)")
    add_arguments(run.add_argument_group("a SLURM cluster (--engine slurm)"))
    return parser


def select(jobs: list, pattern: str | None) -> list:
    """The jobs whose name (``config/seed0``) or config fits a shell pattern."""
    selected = [job for job in jobs if not pattern
             or fnmatchcase(job.name, pattern) or fnmatchcase(job.name.rpartition("/")[0], pattern)]
    if not selected:
        raise ValueError(f"--only {pattern} fits no run; names are like {jobs[0].name}")
    return selected


def make(args) -> int:
    from ..sweep.configs import make

    files = make(args.grid, args.force)
    folder = f"configs/sweeps/{files.name}"
    configs = len({job.config for job in files.jobs})
    print(f"{folder}: {configs} configs ({len(files.new)} new, {len(files.updated)} updated), {len(files.jobs)} runs, "
          f"all checked; list: {folder}/runs.json")
    if files.edited:
        print(f"changed by hand and kept (--force overwrites): {', '.join(files.edited)}")
    if files.left:
        print(f"not in the grid and left alone: {', '.join(files.left)}")
    return OK


def run(args) -> int:
    from ..console import warn
    from ..sweep.configs import prepare
    from ..sweep.jobs import command, moved

    if args.retries < 0:
        raise ValueError(f"--retries must be at least 0, got {args.retries}")
    name, jobs, problems = prepare(args.grid)
    if note := moved(name, jobs):
        warn(note)
    jobs = select(jobs, args.only)
    if args.records:
        from ..sweep.recorded import missing

        every, jobs = jobs, missing(jobs, args.records)
        print(f"{len(every) - len(jobs)} of {len(every)} runs have a record", file=sys.stderr)
        if not jobs:
            return OK
    if args.engine == "slurm":
        from ..sweep.slurm import submit

        return submit(name, jobs, problems, args)
    if args.dry_run:
        for job in jobs:
            print(shlex.join(command(job)))
        return OK
    return train(name, jobs, problems, args)


def train(name: str, jobs: list, problems: dict, args) -> int:
    from ..console import warn
    from ..sweep.jobs import DRIVER
    from ..sweep.local import Pool
    from ..sweep.progress import FINAL, LiveProgress, PlainProgress, counts, job_status, together
    from ..sweep.slots import make_slots
    from ..workdir.lock import InUse, Lock

    slots = make_slots(args.gpus, args.jobs_per_gpu, args.slots)
    try:
        lock = Lock(Path("configs", "sweeps", name), wait=2, name=DRIVER)
    except InUse as error:
        raise ValueError(f"the sweep {name} is being run already ({error.holder}); openmix sweep status {name} "
                         "shows how it is doing") from error
    with lock:
        screen = LiveProgress() if sys.stdout.isatty() else PlainProgress()
        pool = Pool(jobs, slots, args.retries, args.failed, problems, screen)
        with slots.mps():
            stopped = pool.run()
    print(counts(map(job_status, jobs)))
    for line in together((job.name, pool.failed[job.name]) for job in jobs if job.name in pool.failed):
        warn(line)
    if any(not why.startswith(FINAL) for why in pool.failed.values()):
        print("once the cause is gone, --failed starts these again", file=sys.stderr)
    return 128 + stopped if stopped else FAILED if pool.failed else OK


def status(args) -> int:
    from ..console import warn
    from ..sweep.jobs import load_jobs, moved, sweep_name
    from ..sweep.progress import job_status, table

    jobs = load_jobs(args.grid)
    print(table(map(job_status, select(jobs, args.only))))
    if note := moved(sweep_name(args.grid), jobs):
        warn(note)
    return OK


def main(args) -> int:
    return dict(make=make, run=run, status=status)[args.action](args)
