"""What the quality benchmarks share: start runs that are not finished yet, and compare sets of accuracies."""
import json
import os
import statistics
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def start(line, threads: int = 1) -> None:
    """Run a command of this repository with so many threads; its output goes to the terminal only on failure."""
    path = f"{ROOT}:{os.environ.get('PYTHONPATH', '')}"
    env = {**os.environ, "OMP_NUM_THREADS": str(threads), "PYTHON": sys.executable, "PYTHONPATH": path}
    done = subprocess.run([str(x) for x in line], env=env, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(map(str, line))} failed:\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}")


def train(config, work_dir, seed, options=(), processes: int = 1, threads: int = 1, amp: str = "off") -> float:
    """Last top-1 of a training by the library; a finished one is not repeated."""
    script = [sys.executable, ROOT / "tools/train.py", config] if processes == 1 else [
        "bash", ROOT / "tools/dist_train.sh", config, processes]
    more = ["--cfg-options", *options] if options else []
    start([*script, "--work-dir", work_dir, "--seed", seed, "--resume", "--amp", amp, *more], threads)
    record = json.loads((Path(work_dir) / "result.json").read_text())
    return record["networks"][record["primary"]]["last"]["top1"]


def spread(values) -> str:
    """Mean and standard deviation of accuracies, with their number."""
    deviation = statistics.stdev(values) if len(values) > 1 else float("nan")
    return f"{statistics.mean(values):.2f} +- {deviation:.2f} (n={len(values)})"


def agree(a, b) -> bool:
    """Whether the means differ by at most two standard deviations of one run (pooled)."""
    pooled = ((statistics.variance(a) + statistics.variance(b)) / 2) ** 0.5
    return abs(statistics.mean(a) - statistics.mean(b)) <= 2 * pooled
