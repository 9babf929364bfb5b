"""A stand-in for a training that takes no time to start: lock, status, result and signals as a run has them.

    stub.py NAME WORK_DIR [STEPS [SECONDS]]

NAME says how it ends: bad (wrong input), worse (wrong input, nothing written), nan (diverges), full (no room on the
disk), dies (kill -9 of itself), anything else: done. long and stubborn take five times the steps, stubborn also a while
to save. Steps taken, and when it began and ended, are noted in files of the work dir.
"""
import os
import signal
import sys
import time
from pathlib import Path

from openmix import workdir
from openmix.workdir import result


def note(file: str, text) -> None:
    with open(folder / file, "a") as log:
        log.write(f"{text}\n")


def end(state: str, code: int, **info):
    workdir.write_status(folder, state, **info)
    note("ends", time.time())
    sys.exit(code)


name, folder = sys.argv[1], Path(sys.argv[2])
steps, seconds = int((sys.argv[3:4] or [4])[0]), float((sys.argv[4:5] or [0.05])[0])
if name in ("long", "stubborn"):
    steps *= 5
folder.mkdir(parents=True, exist_ok=True)
if name == "worse":
    print("error: this cannot be")
    sys.exit(2)
stopped = []
for number in (signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2):
    signal.signal(number, lambda *_: stopped.append(1))
if (folder / "result.json").exists():
    note("repeated", "")
    sys.exit(0)
try:
    lock = workdir.Lock(folder)
except workdir.InUse as error:
    note("collisions", error)
    sys.exit(2)
note("starts", time.time())
note("environment", f"{os.environ['CUDA_VISIBLE_DEVICES']} {os.environ['OMP_NUM_THREADS']}")
done = len((folder / "steps").read_text().split()) if (folder / "steps").exists() else 0
workdir.write_status(folder, "running", epoch=done, step=done)
for step in range(done, steps):
    time.sleep(seconds)
    note("steps", step)
    if stopped:
        time.sleep(0.5 if name == "stubborn" else 0)
        end("preempted", 143, epoch=step + 1)
    if name == "dies":
        os.kill(os.getpid(), signal.SIGKILL)
    if name == "bad":
        end("invalid", 2, reason="no data here")
    if name == "nan":
        workdir.write_json(folder / "result.json", dict(schema=1, status="diverged"))
        end("diverged", 3, reason="loss is nan")
    if name == "full":
        end("failed", 1, reason="OSError: cannot write epoch_1.pth")
workdir.write_json(folder / "result.json", result.build(
    [dict(epoch=step) for step in range(1, steps + 1)], status="done", config=name, config_hash="", data={}, seed=0,
    processes=1, total_batch=1, parameters=1, max_epochs=steps, wall_s=0.0, peak_memory_mib=0.0))
end("done", 0, epoch=steps)
