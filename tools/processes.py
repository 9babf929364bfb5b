#!/usr/bin/env python
"""torchrun, whose exit status tells whether a process was killed: python tools/processes.py [torchrun's arguments]

Ends with 128 + signal if one of its processes was killed (out of memory, preemption), where torchrun ends with 1
whatever happened: a killed run goes on when it is started again, a failed one fails again. A process that loses its
partner fails or aborts, so among failed ones only SIGKILL counts, which nobody sends oneself.
"""
import signal
import sys


def killed_by(codes: list[int]) -> int:
    """The signal that ended a run whose processes failed with these exit statuses; 0 if none did."""
    signals = [-code for code in codes if code < 0]
    if signal.SIGKILL in signals:
        return signal.SIGKILL
    return signals[0] if signals and len(signals) == len(codes) else 0


def main(arguments: list[str] | None = None) -> int:
    from torch.distributed import run
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError

    try:
        run.main(arguments)
    except ChildFailedError as error:
        print(error, file=sys.stderr)
        number = killed_by([failure.exitcode for failure in error.failures.values()])
        return 128 + number if number else 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
