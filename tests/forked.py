"""Python processes that start at once: forks of one that has imported torch, mmengine and openmix already.

Each start of an interpreter would spend some seconds on these imports. A fork reads its command line, environment and
folder as a new process does, gets signals under a pid of its own, and ends with a status. What depends on the start
itself (imports, hash seeds, launchers, variables that torch reads when it is imported) needs ``subprocess``.
"""
import atexit
import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import time
from functools import cache
from pathlib import Path

__all__ = ["Process", "run", "run_ranks"]

ROOT = Path(__file__).resolve().parents[1]


class Process:
    """A started fork, as :class:`subprocess.Popen` has it: ``pid``, ``poll``, ``wait``, ``send_signal``, ``kill``.

    Args:
        arguments: of ``python``: a script, or ``-c`` and code, or ``-m`` and a module, and what follows.
        cwd: its folder; that of the tests by default. environment: variables beside those of the tests, None to
            take one away.
    """

    def __init__(self, *arguments, cwd=None, **environment):
        self.folder = tempfile.TemporaryDirectory()
        self.returncode = None
        env = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": "", **environment}
        env = {name: value for name, value in env.items() if value is not None}
        self.pid = ask(arguments=list(map(str, arguments)), env=env, cwd=str(cwd or os.getcwd()),
                       outputs=[str(self._file(name)) for name in ("stdout", "stderr")])

    def _file(self, name):
        return Path(self.folder.name, name)

    stdout = property(lambda self: self._file("stdout").read_text())
    stderr = property(lambda self: self._file("stderr").read_text())

    def poll(self):
        if self.returncode is None:
            self.returncode = ask(poll=self.pid)
        return self.returncode

    def wait(self, timeout=120):
        end = time.monotonic() + timeout
        while self.poll() is None:
            if time.monotonic() > end:
                self.kill()
                raise subprocess.TimeoutExpired(f"fork {self.pid}: {self.stderr[-3000:]}", timeout)
            time.sleep(0.01)
        return self.returncode

    def send_signal(self, number):
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self):
        self.send_signal(signal.SIGKILL)


def run(*arguments, timeout=300, cwd=None, **environment) -> subprocess.CompletedProcess:
    """As ``subprocess.run([sys.executable, *arguments], capture_output=True, text=True)``."""
    process = Process(*arguments, cwd=cwd, **environment)
    process.wait(timeout)
    return subprocess.CompletedProcess(arguments, process.returncode, process.stdout, process.stderr)


def start_ranks(count, *arguments, **environment) -> list[Process]:
    """``count`` processes of one group, with the variables that torchrun sets."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    common = dict(WORLD_SIZE=str(count), LOCAL_WORLD_SIZE=str(count), MASTER_ADDR="127.0.0.1", MASTER_PORT=port)
    return [Process(*arguments, RANK=str(k), LOCAL_RANK=str(k), **common, **environment) for k in range(count)]


def run_ranks(count, *arguments, timeout=200, **environment) -> subprocess.CompletedProcess:
    """All of them to their ends; the status is the first that is not 0, the outputs are joined."""
    processes = start_ranks(count, *arguments, **environment)
    try:
        codes = [process.wait(timeout) for process in processes]
    finally:
        for process in processes:
            process.kill()
    return subprocess.CompletedProcess(arguments, next(filter(None, codes), 0), *(
        "".join(getattr(process, name) for process in processes) for name in ("stdout", "stderr")))


# -- the process that forks ------------------------------------------------------------------------------------------

ADDRESS = "OPENMIX_TESTS_FORKED"


@cache
def server() -> str:
    """The address of the process that forks; it is started by the first who asks, or before the workers of pytest."""
    if ADDRESS not in os.environ:
        folder = tempfile.TemporaryDirectory()
        address = str(Path(folder.name, "socket"))
        with socket.socket(socket.AF_UNIX) as listener:  # requests wait in it until all is imported
            listener.bind(address)
            listener.listen(64)
            process = subprocess.Popen([sys.executable, "-m", "tests.forked", str(listener.fileno())], cwd=ROOT,
                                       stdin=subprocess.PIPE, pass_fds=[listener.fileno()], env={
                                           **os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""})
        os.environ[ADDRESS] = address
        atexit.register(folder.cleanup)
        atexit.register(process.communicate)  # the end of its input is its end
    return os.environ[ADDRESS]


def ask(**request):
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(server())
        with connection.makefile("rw") as stream:
            stream.write(json.dumps(request) + "\n")
            stream.flush()
            return json.loads(stream.readline())


def serve(listener):
    import torch._dynamo  # noqa: F401  what a training imports in the end
    import torchvision  # noqa: F401

    import openmix.engine.runner  # noqa: F401
    from openmix import cli  # noqa: F401

    running = set()
    while sys.stdin not in select.select([sys.stdin, listener], [], [])[0]:
        with listener.accept()[0] as connection, connection.makefile("rw") as stream:
            request = json.loads(stream.readline())
            if "poll" in request:
                pid, status = os.waitpid(request["poll"], os.WNOHANG)
                answer = os.waitstatus_to_exitcode(status) if pid else None
                running -= {pid}
            else:
                answer = os.fork()
                if not answer:
                    connection.close()
                    listener.close()
                    be_a_new_process(**request)
                running.add(answer)
            stream.write(json.dumps(answer) + "\n")
    for pid in running:
        os.kill(pid, signal.SIGKILL)


def be_a_new_process(arguments, env, cwd, outputs):
    """Run a command line of Python's in this fork, and end it."""
    import random
    import runpy
    import threading

    for number, path in enumerate(outputs, 1):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT), number)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    sys.stdin, sys.stdout, sys.stderr = (os.fdopen(k, "r" if k == 0 else "w", buffering=1) for k in range(3))
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.environ.clear()
    os.environ.update(env)
    os.chdir(cwd)
    random.seed()
    kind, code = arguments[0], 0
    sys.argv = arguments[1:] if kind == "-m" else arguments
    first = cwd if kind in ("-c", "-m") else str(Path(kind).parent)
    sys.path[:0] = [first, *filter(None, env.get("PYTHONPATH", "").split(os.pathsep))]
    try:
        if kind == "-c":
            sys.argv = ["-c", *arguments[2:]]
            exec(compile(arguments[1], "-c", "exec"), {"__name__": "__main__"})
        elif kind == "-m":
            runpy.run_module(arguments[1], run_name="__main__", alter_sys=True)
        else:
            runpy.run_path(arguments[0], run_name="__main__")
    except SystemExit as stop:
        code = stop.code
        if code is not None and not isinstance(code, int):
            print(code, file=sys.stderr)
            code = 1
    except BaseException as error:
        sys.excepthook(type(error), error, error.__traceback__)
        code = -signal.SIGINT if isinstance(error, KeyboardInterrupt) else 1
    try:
        threading._shutdown()
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        if code == -signal.SIGINT:  # as Python itself ends after an interrupt
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            os.kill(os.getpid(), signal.SIGINT)
        os._exit(code or 0)


if __name__ == "__main__":
    serve(socket.socket(fileno=int(sys.argv[1])))
