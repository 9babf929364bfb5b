"""torchrun, whose exit status shows if a process was killed: python -m openmix.engine.distributed.processes ARGS

Ends with 128 + signal after a signal, and if one of its processes was killed (out of memory, preemption), where
torchrun ends with 1 whatever happened. A killed run goes on when it is started again, a failed one fails again. A
process that loses its partner fails or aborts, so among failed ones only SIGKILL counts, which nobody sends oneself.
"""
import os
import re
import signal
import sys

from ...console import leave
from ...paths import child_environment

SIGNALS = "SIGTERM,SIGINT,SIGHUP,SIGQUIT,SIGUSR1,SIGUSR2"  # handed on to the processes; older torchruns ignore it
HOST = re.compile(r"[A-Za-z0-9_[][\]\[A-Za-z0-9_.,@:+=-]*")


def killed_by(codes: list[int]) -> int:
    """The signal that ended a run whose processes failed with these exit statuses; 0 if none did."""
    signals = [-code for code in codes if code < 0]
    if signal.SIGKILL in signals:
        return signal.SIGKILL
    return signals[0] if signals and len(signals) == len(codes) else 0


def start(words: list[str], processes: int) -> int:
    """Run ``openmix WORDS`` in ``processes`` processes on this node; returns the exit status of the whole.

    The environment may set NNODES, NODE_RANK, MASTER_ADDR, PORT and MAX_RESTARTS.

    Raises:
        ValueError: a number or a host name that cannot be.
    """
    if processes < 1:
        raise ValueError(f"--gpus must be a whole number of at least 1, got {processes}")
    nodes, rank = _number("NNODES", 1, least=1), _number("NODE_RANK", 0)
    port, restarts = _number("PORT", 0), _number("MAX_RESTARTS", 0)
    host = os.environ.get("MASTER_ADDR") or "127.0.0.1"
    if not HOST.fullmatch(host):
        raise ValueError(f"MASTER_ADDR is the name or address of a host, got {host!r}")
    where = ["--standalone"]  # on one node any free port: two runs on one machine must not meet
    if nodes > 1 or port:
        where = [f"--node_rank={rank}", f"--master_addr={host}", f"--master_port={port or 29500}"]
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, len(os.sched_getaffinity(0)) // processes)))
    return main([*where, f"--nnodes={nodes}", f"--nproc_per_node={processes}", f"--max-restarts={restarts}",
                 "-m", "openmix", *words, "--launcher", "pytorch"])


def _number(name: str, default: int, least: int = 0) -> int:
    text = os.environ.get(name) or str(default)
    if not re.fullmatch(r"0|[1-9]\d{0,5}", text, re.A) or int(text) < least:
        raise ValueError(f"{name} must be a whole number of at least {least}, got {text!r}")
    return int(text)


def main(arguments: list[str] | None = None) -> int:
    os.environ.update(child_environment())
    os.environ.setdefault("PET_SIGNALS_TO_HANDLE", SIGNALS)
    from torch.distributed import run
    from torch.distributed.elastic.multiprocessing.api import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError

    try:
        run.main(arguments)
    except ChildFailedError as error:
        print(error, file=sys.stderr)
        number = killed_by([failure.exitcode for failure in error.failures.values()])
        return 128 + number if number else 1
    except SignalException as error:
        print(f"stopped by {error.sigval.name}", file=sys.stderr)
        return 128 + error.sigval
    return 0


if __name__ == "__main__":
    leave(main())
