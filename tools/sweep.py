#!/usr/bin/env python
"""From a grid file to finished runs.

    python tools/sweep.py make GRID      write the configs and the run list, and check them
    python tools/sweep.py run GRID       train them, here or on a SLURM cluster; the same line again continues
    python tools/sweep.py status GRID    what is done, running, waiting, failed

GRID is a grid file such as configs/grids/shapes.py, or the name of a sweep made here before. See docs/how_to/sweeps.md.
"""
import argparse
import shlex
import sys
from fnmatch import fnmatchcase
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # a checkout works without installation

from openmix.arguments import Parser, typed_path  # noqa: E402
from openmix.sweep.slurm import add_arguments  # noqa: E402

OK, FAILED = 0, 1


def make_parser() -> Parser:
    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    actions = parser.add_subparsers(dest="action", required=True)
    make, run, status = (actions.add_parser(name, help=text, description=text) for name, text in (
        ("make", "write the configs and the run list of a grid, and check them"),
        ("run", "train the runs of a sweep; what is done is not repeated"),
        ("status", "tell what is done, running, waiting, failed")))
    for action in (make, run, status):
        action.add_argument("grid", type=typed_path,
                            help="grid file, or name of a sweep" if action is not make else "grid file")
    make.add_argument("--force", action="store_true", help="also overwrite configs that were changed by hand")
    for action in (run, status):
        action.add_argument("--only", metavar="PATTERN", help="runs whose name fits, e.g. 'r18_cutmix*' or '*/seed0'")
    run.add_argument("--engine", choices=["local", "slurm"], default="local", help="this machine, or a job array")
    run.add_argument("--dry-run", action="store_true", help="print the commands and start nothing")
    run.add_argument("--failed", action="store_true", help="also start again what failed or diverged")
    local = run.add_argument_group("this machine")
    local.add_argument("--gpus", metavar="0,1", help="GPUs to use (default: all)")
    local.add_argument("--jobs-per-gpu", type=int, default=1, metavar="N", help="runs side by side on each GPU (1)")
    local.add_argument("--slots", type=int, metavar="N", help="runs side by side on the CPU (1), which share its cores")
    local.add_argument("--retries", type=int, default=3, metavar="N", help="new starts of a run that was killed (3)")
    add_arguments(run.add_argument_group("a SLURM cluster (--engine slurm)"))
    return parser


def select(jobs: list, pattern: str | None) -> list:
    """The jobs whose name (``config/seed0``) or config fits a shell pattern."""
    found = [job for job in jobs if not pattern
             or fnmatchcase(job.name, pattern) or fnmatchcase(job.name.rpartition("/")[0], pattern)]
    if not found:
        raise ValueError(f"--only {pattern} fits no run; names are like {jobs[0].name}")
    return found


def make(args) -> int:
    from openmix.sweep.configs import make

    made = make(args.grid, args.force)
    folder = f"configs/sweeps/{made.name}"
    configs = len({job.config for job in made.jobs})
    print(f"{folder}: {configs} configs ({len(made.new)} new, {len(made.updated)} updated), {len(made.jobs)} runs, "
          f"all checked; list: {folder}/runs.json")
    if made.kept:
        print(f"changed by hand and kept (--force overwrites): {', '.join(made.kept)}")
    if made.left:
        print(f"not in the grid and left alone: {', '.join(made.left)}")
    return OK


def run(args) -> int:
    from openmix.sweep.configs import prepare
    from openmix.sweep.jobs import command

    if args.retries < 0:
        raise ValueError(f"--retries must be at least 0, got {args.retries}")
    name, jobs, problems = prepare(args.grid)
    jobs = select(jobs, args.only)
    if args.engine == "slurm":
        from openmix.sweep.slurm import submit

        return submit(name, jobs, problems, args)
    if args.dry_run:
        for job in jobs:
            print(shlex.join(command(job)))
        return OK
    return train(name, jobs, problems, args)


def train(name: str, jobs: list, problems: dict, args) -> int:
    from openmix.console import warn
    from openmix.sweep.jobs import DRIVER, moved
    from openmix.sweep.local import Pool
    from openmix.sweep.progress import FINAL, Lines, Screen, counts, stand, together
    from openmix.sweep.slots import make_slots
    from openmix.workdir.lock import InUse, Lock

    if note := moved(name, jobs):
        warn(note)
    slots = make_slots(args.gpus, args.jobs_per_gpu, args.slots)
    try:
        lock = Lock(Path("configs", "sweeps", name), wait=2, name=DRIVER)
    except InUse as error:
        raise ValueError(f"the sweep {name} is being run already ({error.holder}); tools/sweep.py status {name} "
                         "shows how it is doing") from error
    with lock:
        screen = Screen() if sys.stdout.isatty() else Lines()
        pool = Pool(jobs, slots, args.retries, args.failed, problems, screen)
        stopped = pool.run()
    print(counts(map(stand, jobs)))
    for line in together((job.name, pool.failed[job.name]) for job in jobs if job.name in pool.failed):
        warn(line)
    if any(not why.startswith(FINAL) for why in pool.failed.values()):
        print("once the cause is gone, --failed starts these again", file=sys.stderr)
    return 128 + stopped if stopped else FAILED if pool.failed else OK


def status(args) -> int:
    from openmix.console import warn
    from openmix.sweep.jobs import load_jobs, moved, sweep_name
    from openmix.sweep.progress import stand, table

    jobs = load_jobs(args.grid)
    print(table(map(stand, select(jobs, args.only))))
    if note := moved(sweep_name(args.grid), jobs):
        warn(note)
    return OK


def main(argv=None) -> int:
    from openmix import console

    args = make_parser().parse_args(argv)
    action = dict(make=make, run=run, status=status)[args.action]
    return console.run(lambda: action(args))


if __name__ == "__main__":
    sys.exit(main())
