"""Printing. A reader that has gone (``| head``) ends the printing, and nothing else."""
import contextlib
import os
import sys


class UntilClosed:
    """A text stream whose writes lead nowhere once its reader has closed the pipe; else it is the stream itself."""

    def __init__(self, stream):
        self._stream = stream

    def __getattr__(self, name):
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        with self._reader():
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        with self._reader():
            self._stream.flush()

    @contextlib.contextmanager
    def _reader(self):
        try:
            yield
        except BrokenPipeError:  # the rest of the buffer goes to the null device, also at exit
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, self._stream.fileno())
            os.close(null)


@contextlib.contextmanager
def until_closed():
    """Standard output and error as :class:`UntilClosed`."""
    out, error = UntilClosed(sys.stdout), UntilClosed(sys.stderr)
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(error):
        try:
            yield
        finally:
            out.flush()
            error.flush()
