"""The command ``openmix``: a module of this folder for each of its commands, imported when it is asked for.

Such a module has ``make_parser(prog) -> Parser`` and ``main(args) -> int``, the exit status.
"""
import os
import sys
from typing import NoReturn

COMMANDS = dict(
    train="train a config",
    test="evaluate a checkpoint",
    infer="classify images with a trained network",
    sweep="train all runs of a grid: make, run, status",
    zoo="tables of runs beside published values",
    report="one HTML page of runs",
    compare="compare two sets of runs",
    rerun="repeat a run and compare the outcomes",
    publish="write the weights of a run for others to use",
    show="pictures of what mixing methods do to images",
    data="turn a data set into array files: prepare",
    config="print a config as a run would read it",
    list="mixing methods, backbones, losses, data sets, configs, grids",
    doctor="versions, devices and data here, for a bug report",
)
ACTIONS = dict(data="prepare", config="print")  # the one action of a command; the word may be left out

HELP = f"""usage: openmix COMMAND [arguments]

Mixup benchmarks: train, sweep, compare. Configs go by the names that `openmix list configs` prints.

{chr(10).join(f"  {name:9}{text}" for name, text in COMMANDS.items())}

openmix COMMAND --help describes a command, openmix --version prints the version.
"""


def main(argv: list[str] | None = None) -> int:
    """Run ``openmix ARGV``.

    Args:
        argv: words of the command line, ``sys.argv[1:]`` by default.

    Returns:
        Exit status: 0 done, 1 failed, 2 wrong input, 3 diverged, 128 + signal after a stop.

    Raises:
        SystemExit: after ``--help``, or arguments that argparse refuses (2).
    """
    try:
        from ..console import interrupts_after_imports

        with interrupts_after_imports():
            return _main(sys.argv[1:] if argv is None else argv)
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return 130


def script(argv: list[str] | None = None) -> NoReturn:
    """:func:`main`, and the end of Python with its status."""
    from ..console import leave

    spin_briefly()
    leave(main(argv))


def spin_briefly() -> None:
    """Let a thread that waits for the others of its operation look 10,000 times, not 300,000, before it sleeps.

    Where another program has one of the cores, two threads share the other, and each wait costs what it spins: training
    on two cores is many times slower. GCC's OpenMP, with which PyTorch comes on Linux, reads the variable as torch is
    imported; others ignore it. A variable that the user set is kept.
    """
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", "10000")


def _main(argv: list[str]) -> int:
    from ..console import run

    command = argv[0] if argv else None
    if command in COMMANDS:
        return run(lambda: _run(command, argv[1:]))
    if command in ("-h", "--help"):
        return run(lambda: print(HELP, end="") or 0)
    if command == "--version":
        from ..version import __version__

        return run(lambda: print(f"openmix {__version__}") or 0)
    from ..errors import did_you_mean

    problem = f"openmix: no command {command!r}; {did_you_mean(command, COMMANDS)}" if command else HELP.rstrip()
    print(problem, file=sys.stderr)
    return 2


def _run(command: str, words: list[str]) -> int:
    from importlib import import_module

    if os.getcwd() not in sys.path:  # for modules that configs import; last, so that it hides no other module
        sys.path.append(os.getcwd())
    if words and words[0] == ACTIONS.get(command):
        words = words[1:]
    module = import_module(f"{__name__}.{command}")
    args = module.make_parser(f"openmix {command}").parse_args(words)
    args.words = [command, *words]
    return module.main(args)
