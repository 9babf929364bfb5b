"""The jobs of a sweep on a SLURM cluster: one job array through submitit, an element a training.

Of submitit this takes the submission: sbatch script, array, folder of logs. Its protocol for requeueing is not used: it
asks for a checkpoint inside a signal handler and requeues at once, where a training saves at its next step; it ignores
SIGTERM; and it knows nothing of a run that has ended. Our trainings save and resume by themselves, so that
:mod:`openmix.sweep.slurm_element` needs only to ask SLURM for the requeue.
"""
import re
import shlex
import subprocess
from dataclasses import replace
from pathlib import Path

from ..console import warn
from ..paths import CODE
from ..workdir.files import write_json
from ..workdir.json_files import dict_of, list_of, read_json
from ..workdir.lock import InUse, Lock
from ..workdir.status import is_alive
from . import slurm_element as element
from .jobs import DRIVER, OPEN, SWEEPS, Job, check_name, command, record_exit
from .progress import FAILED, job_status

TIME = re.compile(r"(?:(\d+)-)?(\d+)(?::(\d+))?(?::(\d+))?")
VALUE = re.compile(r"[A-Za-z0-9_.,:@%+=/*&|()\[\]!<>~-]+")  # of an option: safe in a batch script
LOST = ", and without it jobs might be submitted twice; delete it once none of them is in the queue"
OWN = ("array", "error", "nodes", "ntasks", "ntasks-per-node", "open-mode", "output", "signal", "time")


def add_arguments(group) -> None:
    """The options of ``openmix sweep run --engine slurm``."""
    group.add_argument("--partition", help="partition to submit to (default: the cluster's)")
    group.add_argument("--time", type=minutes, default="1-00:00:00", metavar="LIMIT",
                       help="time limit of an element before it is requeued, as sbatch takes it (1-00:00:00)")
    group.add_argument("--warning", type=int, default=180, metavar="S",
                       help="seconds before the time limit at which a training saves and is requeued (180)")
    group.add_argument("--requeues", type=int, default=20, metavar="N",
                       help="how often an element goes on after its time limit (20)")
    group.add_argument("--parallel", type=int, metavar="N", help="elements at the same time (default: no limit)")
    group.add_argument("--nodes", type=int, metavar="N", help="nodes that train one run together (default: the grid's)")
    group.add_argument("--gpus-per-process", type=int, default=1, metavar="N", help="1, or 0 to train on CPUs")
    group.add_argument("--cpus-per-process", type=int, default=4, metavar="N", help="cores of each process (4)")
    group.add_argument("--sbatch", nargs="+", default=[], metavar="KEY[=VALUE]",
                       help="more options of sbatch, e.g. account=vision mem=32G exclusive")


def minutes(text: str) -> int:
    """A time as sbatch reads it: ``90`` and ``90:00`` (minutes), ``12:00:00``, ``2-12``, ``2-12:00``."""
    match = TIME.fullmatch(text)
    if not match:
        raise ValueError(f"no time: {text!r}")
    days, *rest = match.groups()
    parts = [int(part) for part in rest if part is not None]
    if days is None and len(parts) < 3:
        parts.insert(0, 0)
    hours, mins, seconds = (parts + [0, 0])[:3]
    return max(1, (int(days or 0) * 24 + hours) * 60 + mins + (seconds > 0))


def options(pairs: list[str]) -> dict:
    """``account=vision exclusive`` to options of sbatch; those that are set here are refused."""
    chosen = {}
    for pair in pairs:
        key, _, value = pair.lstrip("-").partition("=")
        if key in OWN or not re.fullmatch(r"[a-z][a-z0-9-]*", key):
            raise ValueError(f"--sbatch takes options of sbatch like account=vision, got {pair!r}; "
                             f"not {', '.join(OWN)}, which are set by the sweep")
        if value and not VALUE.fullmatch(value):
            raise ValueError(f"--sbatch {key}: its value takes letters (a to z), digits and . , : @ % + = / * & | ( ) "
                             f"[ ] ! < > ~ _ -, got {value!r}")
        chosen[key] = value or True
    return chosen


# -- which jobs to submit ----------------------------------------------------------------------------------------


def choose(jobs: list[Job], problems: dict[str, str], again: bool, queued: set[str]) -> tuple[list[Job], dict]:
    """The jobs to submit, and the names of the others by why they are left out."""
    chosen, others = [], {}
    for job in jobs:
        why = job_status(job).state
        if why != "done" and job.config in problems:
            why = "invalid"
        elif why in OPEN or why in FAILED and again:
            why = "queued" if job.name in queued else "running" if is_alive(job.work_dir) else ""
        if why:
            others.setdefault(why, []).append(job)
        else:
            chosen.append(job)
    return chosen, others


def folder(name: str) -> Path:
    """Of submitit's files for the sweep ``name``."""
    return Path("work_dirs", *SWEEPS.parts[1:], name, ".slurm")


def in_queue(name: str) -> set[str]:
    """Names of the jobs of this sweep whose elements SLURM has queued or runs."""
    elements = _read(folder(name) / "elements.json")
    if not elements:
        return set()
    done = subprocess.run(["squeue", "--noheader", "--array", "--me", "--format=%i"], capture_output=True, text=True)
    if done.returncode:
        raise ValueError(f"squeue failed, and without it jobs might be submitted twice: {done.stderr.strip()}")
    here = set(done.stdout.split())
    return {job for job, ids in elements.items() if here.intersection(ids)}


def _read(path: Path) -> dict:
    """{name of a job: ids of its elements}; empty before the first submission."""
    try:
        content = read_json(path)
    except FileNotFoundError:
        return {}
    except (ValueError, OSError) as error:
        raise ValueError(f"{path} cannot be read ({error}){LOST}") from error
    if not dict_of(list_of(str))(content):
        raise ValueError(f"{path} is no list of elements{LOST}")
    return content


# -- submitting ------------------------------------------------------------------------------------------------


def submit(name: str, jobs: list[Job], problems: dict[str, str], args) -> int:
    """Submit the jobs that are neither finished nor in the queue, as an array for each number of nodes and processes.

    Args:
        name: of the sweep. problems: {config: error}. args: see :func:`add_arguments`.

    Returns:
        The exit status of the command: 1 if a config is wrong.

    Raises:
        ValueError: options that cannot be; SLURM refuses; the sweep is being run here.
        ImportError: submitit is not installed.
    """
    check(args)
    check_name("the sweep", name)
    jobs = [replace(job, nodes=args.nodes or job.nodes) for job in jobs]
    try:
        with Lock(SWEEPS / name, wait=2, name=DRIVER):
            return _submit(name, jobs, problems, args)
    except InUse as error:
        raise ValueError(f"the sweep {name} is being run already ({error.holder})") from error


def check(args) -> None:
    """Raise ValueError for options that cannot be."""
    for option, least in dict(warning=1, requeues=0, parallel=1, nodes=1, gpus_per_process=0,
                              cpus_per_process=1).items():
        value = getattr(args, option)
        if value is not None and value < least:
            raise ValueError(f"--{option.replace('_', '-')} must be at least {least}, got {value}")
    if args.warning >= args.time * 60:
        raise ValueError(f"--warning {args.warning} s must be shorter than --time, {args.time} minutes")
    options(args.sbatch)
    if args.partition is not None and (not VALUE.fullmatch(args.partition) or args.partition.startswith("-")):
        raise ValueError(f"--partition takes the name of a partition, got {args.partition!r}")
    here = str(Path().absolute())
    if not here.isprintable():  # it is written into the batch script
        raise ValueError(f"the name of this folder holds control characters: {here!r}; train in another one")


def _submit(name: str, jobs: list[Job], problems: dict[str, str], args) -> int:
    chosen, others = choose(jobs, problems, args.failed, in_queue(name))
    wrong = [job for job in others.get("invalid", []) if job.config in problems]
    shapes = dict.fromkeys((job.nodes, job.processes) for job in chosen)
    for nodes, processes in shapes:
        array = executor(name, nodes, processes, args)
        same = [job for job in chosen if (job.nodes, job.processes) == (nodes, processes)]
        size = f"{len(same)} run(s), {nodes} node(s), {processes} process(es) a node"
        if args.dry_run:
            print(f"# one array: {size}; {shown(array.parameters)}")
            for job in same:
                print(shlex.join(command(job, *(["--rdzv-backend=c10d", "--rdzv-endpoint=HOST:PORT"] * (nodes > 1)))))
        else:
            print(f"array {send(name, array, same, args)}: {size}")
    for why, left in others.items():
        print(f"{why}, not submitted: {len(left)}")
    if args.dry_run:
        return 0
    for job in wrong:
        record_exit(job, 2, problems[job.config])
        warn(f"{job.name}: {problems[job.config]}")
    print(f"how they are doing: openmix sweep status {name}; what SLURM wrote: {folder(name)}")
    return int(bool(wrong))


def shown(parameters: dict) -> str:
    more = parameters.get("additional_parameters", {})
    known = {k.replace("_", "-"): v for k, v in parameters.items() if k not in ("additional_parameters", "setup")}
    return " ".join(f"{k}={v}" for k, v in {**known, **more}.items() if v is not None)


def executor(name: str, nodes: int, processes: int, args):
    """submitit's executor of one array: on each node one task, which starts the processes."""
    try:
        from submitit import SlurmExecutor
    except ImportError as error:
        raise ImportError("--engine slurm needs submitit: pip install submitit") from error

    try:
        array = SlurmExecutor(folder(name).resolve())
    except RuntimeError as error:
        raise ValueError(f"this is no SLURM cluster: {error}") from error
    gpus, cpus = args.gpus_per_process * processes, args.cpus_per_process * processes
    setup = [f"export PYTHONPATH={shlex.quote(str(CODE))}${{PYTHONPATH:+:$PYTHONPATH}}"]
    if not gpus:
        setup.append("export CUDA_VISIBLE_DEVICES=")
    array.update_parameters(
        job_name=name, partition=args.partition, time=args.time, nodes=nodes, ntasks_per_node=1, cpus_per_task=cpus,
        gpus_per_node=gpus or None, signal_delay_s=args.warning, stderr_to_stdout=True, wckey=None, setup=setup,
        array_parallelism=args.parallel or 100_000,
        # srun of SLURM 22.05 and later does not take the number of cores from sbatch
        srun_args=[f"--cpus-per-task={cpus}", "--kill-on-bad-exit=1"],
        additional_parameters={"requeue": True, **options(args.sbatch)})
    return array


def send(name: str, array, jobs: list[Job], args) -> str:
    """Submit the array and note which element is whose; returns its id."""
    from submitit.core.utils import FailedJobError, FailedSubmissionError

    folder(name).mkdir(parents=True, exist_ok=True)
    folder(name).chmod(0o700)  # the nodes unpickle its files
    try:
        sent = array.map_array(element.run, jobs, [args.retries] * len(jobs), [args.requeues] * len(jobs))
    except (FailedJobError, FailedSubmissionError, subprocess.CalledProcessError) as error:
        raise ValueError(f"SLURM refuses the array: {error}") from error
    path = folder(name) / "elements.json"
    elements = _read(path)
    for job, one in zip(jobs, sent, strict=True):
        elements.setdefault(job.name, []).append(one.job_id)
    write_json(path, elements)
    return sent[0].job_id.split("_")[0]
