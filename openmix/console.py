"""How tools end: wrong input in one line, and quietly when whoever reads their output has enough (``| head``)."""
import os
import sys
from collections.abc import Callable

from .escape import printable

OK, WRONG_INPUT = 0, 2


def run(action: Callable[[], int]) -> int:
    """The exit status of a tool that does ``action``: its own, or 2 after an error that the input causes."""
    try:
        code = action()
        sys.stdout.flush()
        return code
    except BrokenPipeError:
        _silence()
        return OK
    except (ValueError, TypeError, OSError, ImportError) as error:
        warn(f"error: {error}")
        return WRONG_INPUT


def warn(text) -> None:
    """A line on stderr."""
    print(printable(text), file=sys.stderr)


def _silence() -> None:
    """Let nothing more reach the closed pipe, not even what Python writes out when it ends."""
    try:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (OSError, ValueError):  # it is no file of its own
        sys.stdout = None
