"""Signals that ask a run to stop."""
import contextlib
import signal

from .launch import TIME_LIMIT


class StopSignal:
    """Remembers SIGTERM (preemption, scancel, torchrun), SIGUSR1/2 (time limit) and Ctrl-C until a step boundary.

    A second Ctrl-C interrupts at once. SIGUSR1/2 after another signal changes nothing: a job that received SIGTERM is
    not requeued.
    """

    def __init__(self):
        self.received = 0
        self._previous = {}

    def _handle(self, number, frame):
        if number == signal.SIGINT == self.received:
            raise KeyboardInterrupt
        if not self.received or number not in TIME_LIMIT:
            self.received = number

    def __enter__(self):
        with contextlib.suppress(ValueError):  # not in the main thread: signals go elsewhere
            for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGUSR2):
                self._previous[number] = signal.signal(number, self._handle)
        return self

    def __exit__(self, *exc):
        for number, handler in self._previous.items():
            if handler is not None:  # else it was set outside of Python, which cannot put it back
                signal.signal(number, handler)
        self._previous = {}
