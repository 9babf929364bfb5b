"""How tools end: wrong input in one line, and quietly when the output's reader closes it (``| head``)."""
import _thread
import contextlib
import os
import signal
import sys
import threading
from collections.abc import Callable
from typing import NoReturn

from .errors import is_input_error, is_refusal
from .escape import printable

OK, WRONG_INPUT = 0, 2


def run(action: Callable[[], int]) -> int:
    """The exit status of a tool that does ``action``: its own, or 2 after an error that the input causes.

    Raises:
        Exception: any other error, a fault; with its traceback it ends Python with status 1.
    """
    try:
        code = action()
        sys.stdout.flush()
        return code
    except BrokenPipeError:
        _silence()
        return OK
    except (ValueError, TypeError, OSError, ImportError) as error:
        if not (is_input_error(error) or is_refusal(error)):
            raise
        if sys.flags.dev_mode:
            import traceback

            traceback.print_exc()
        warn(f"error: {error}")
        return WRONG_INPUT


def leave(code: int) -> NoReturn:
    """End Python with the exit status ``code``; after Ctrl-C, which is 130, by its signal, as shells expect.

    A loop of bash (``for seed in 0 1 2; do openmix train ...``) goes on if its command ends with 130 by itself.

    Raises:
        SystemExit: with ``code``.
        KeyboardInterrupt: of which Python makes the signal, after all that it does at its end.
    """
    if code != 128 + signal.SIGINT:
        sys.exit(code)
    sys.excepthook = lambda *error: None  # what there is to say has been said
    raise KeyboardInterrupt


@contextlib.contextmanager
def interrupts_after_imports():
    """Ctrl-C while a module is imported is raised once it is there: inside, C++ code makes other errors of it."""
    def interrupt(number, frame):
        outer = frame
        while outer is not None and outer.f_code.co_filename != "<frozen importlib._bootstrap>":
            outer = outer.f_back
        if outer is None:
            raise KeyboardInterrupt
        again = threading.Timer(0.02, _thread.interrupt_main)
        again.daemon = True
        again.start()

    ours = (threading.current_thread() is threading.main_thread()
            and signal.getsignal(signal.SIGINT) is signal.default_int_handler)
    if ours:
        signal.signal(signal.SIGINT, interrupt)
    try:
        yield
    finally:
        if ours:
            signal.signal(signal.SIGINT, signal.default_int_handler)


def warn(text) -> None:
    """A line on stderr."""
    print(printable(text), file=sys.stderr)


def _silence() -> None:
    """Let nothing more reach the closed pipe, not even what Python writes out when it ends."""
    try:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (OSError, ValueError):  # it is no file of its own
        sys.stdout = None
