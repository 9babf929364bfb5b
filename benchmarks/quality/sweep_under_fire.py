"""A sweep of twelve short real trainings to which everything happens that may: does the rest finish, once?

    python benchmarks/quality/sweep_under_fire.py [FOLDER]

Four methods, three seeds, a ResNet-8 on the embedded shapes. The driver is killed with -9 twice and a training once,
one config names data that is not there, the disk of one run is full. In the end every other run must be done, no
process left, and another start must train nothing. With room on the disk again, --failed finishes that run. Status and
table are printed; the folder is kept if it was given.
"""
import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from openmix.sweep.jobs import load_jobs
from openmix.workdir.status import is_alive, read_status, state

ROOT = Path(__file__).resolve().parents[2]
GRID = """
base = "configs/shapes/r20_{mixup}.py"
mixups = ["vanilla", "mixup", "cutmix", "automix"]
epochs = 12
seeds = 3
overrides = [dict(set={
    "model.backbone.depth": 8, "train_cfg.limit": 3, "train_dataloader.total_batch": 20,
    "train_dataloader.dataset.num_images": 200, "val_dataloader.dataset.num_images": 100,
    "default_hooks.checkpoint": dict(min_seconds=0), "default_hooks.preview": None})]
"""
FULL = """
import os, resource, sys
if os.path.exists("full") and open("full").read().encode() in open("/proc/self/cmdline", "rb").read().split(b"\\0"):
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
"""
NO_DATA = "".join(f'{name}_dataloader = dict(dataset=dict(_delete_=True, type="CIFAR10", data_root="nowhere", '
                  f'split="{split}"))\n' for name, split in (("train", "train"), ("val", "test"), ("test", "test")))


def tool(name: str, *arguments: str) -> list[str]:
    return [sys.executable, str(ROOT / "tools" / name), *arguments]


def wait_until(condition, what: str, seconds: float = 600) -> None:
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            sys.exit(f"after {seconds:g} s still not: {what}")
        time.sleep(0.1)


def trainings() -> list[int]:
    """Processes that train in this folder."""
    pids = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            here = entry.joinpath("cwd").resolve() == Path.cwd()
            if here and b"openmix\0train\0" in entry.joinpath("cmdline").read_bytes():
                pids.append(int(entry.name))
        except OSError:
            pass
    return pids


def progress(jobs) -> int:
    """Epochs that are done, over all runs."""
    return sum(read_status(job.work_dir).get("epoch", 0) for job in jobs)


def scene(jobs) -> None:
    """Everything that happens to the sweep, up to its end."""
    driver = tool("sweep.py", "run", "grid.py", "--slots", "2")
    for death in range(2):
        process, begun = subprocess.Popen(driver), progress(jobs)
        wait_until(lambda begun=begun: progress(jobs) > begun + 8 and len(trainings()) == 2, "two trainings under way")
        process.kill()
        process.wait()
        print(f"-- driver killed ({death + 1})")
        if death == 0:
            wait_until(lambda: not trainings(), "its trainings have saved and left", 60)
    starts = {job: read_status(job.work_dir).get("attempt", 0) for job in jobs}
    process = subprocess.Popen(driver)  # the trainings of the second may still be saving

    def training():
        statuses = {job: read_status(job.work_dir) for job in jobs if is_alive(job.work_dir)}
        return [status["pid"] for job, status in statuses.items()
                if status.get("attempt", 0) > starts[job] and status.get("epoch", 0) > 2]

    wait_until(training, "a training under way")
    os.kill(training()[0], signal.SIGKILL)
    print("-- a training killed")
    process.wait()


def main() -> int:
    jobs = load_jobs("grid")
    wrong = [job for job in jobs if "cutmix" in job.name]
    full = next(job for job in jobs if "automix" in job.name and job.seed == 1)
    with open(wrong[0].config, "a") as file:
        file.write(NO_DATA)
    Path("full").write_text(full.work_dir)  # its files cannot grow, as on a full disk
    scene(jobs)
    states = {job.name: state(job.work_dir) for job in jobs}
    expected = {job.name: "invalid" if job in wrong else "failed" if job == full else "done" for job in jobs}
    results = {job: Path(job.work_dir, "result.json").stat().st_mtime_ns for job in jobs if states[job.name] == "done"}
    attempts = {job: read_status(job.work_dir).get("attempt") for job in jobs}
    checks = {"every run ended as it must": states == expected, "no process is left": not trainings()}
    again = subprocess.run(tool("sweep.py", "run", "grid", "--slots", "2"), capture_output=True, text=True).stdout
    checks["a second start trains nothing"] = "started" not in again and attempts == {
        job: read_status(job.work_dir).get("attempt") for job in jobs}
    epochs = {len(json.loads(Path(job.work_dir, "result.json").read_text())["networks"]["net"]["top1"])
              for job in results if "automix" not in job.name}
    checks["each has every epoch once"] = epochs == {12}
    subprocess.run(tool("sweep.py", "status", "grid"))
    Path("full").unlink()
    subprocess.run(tool("sweep.py", "run", "grid", "--failed", "--only", full.name))
    checks["with room on the disk that run goes on"] = state(full.work_dir) == "done"
    checks["and no other was touched"] = results == {
        job: Path(job.work_dir, "result.json").stat().st_mtime_ns for job in results}
    subprocess.run(tool("model_zoo.py", "work_dirs"))
    for what, holds in checks.items():
        print(f"{'yes' if holds else 'NO '}  {what}")
    return not all(checks.values())


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", help="where (default: a temporary folder)")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(args.folder or temporary)
        folder.mkdir(parents=True, exist_ok=True)
        os.chdir(folder)
        Path("grid.py").write_text(GRID)
        Path("sitecustomize.py").write_text(FULL)  # read by every Python that starts with this folder in its path
        os.environ["PYTHONPATH"] = f"{Path.cwd()}{os.pathsep}{ROOT}"
        subprocess.run(tool("sweep.py", "make", "grid.py"), check=True)
        code = main()
        os.chdir("/")
    sys.exit(code)
