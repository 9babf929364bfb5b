"""Shell scripts: what a user types is never evaluated, and what begins with a dash is no option."""
import os
import subprocess
from pathlib import Path

import pytest

TOOLS = Path(__file__).resolve().parents[2] / "tools"
EVIL = "a[$(touch executed)]"


def shell(tmp_path, script, *arguments, stdin="", **variables):
    """The script with ``echo`` in place of srun and Python."""
    (tmp_path / "srun").write_text('#!/bin/sh\necho srun "$@"\n')
    (tmp_path / "srun").chmod(0o755)
    env = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}", "PYTHON": "echo", "PORT": "1", **variables}
    done = subprocess.run(["bash", str(TOOLS / script), *arguments], cwd=tmp_path, capture_output=True, text=True,
                          input=stdin, env=env, timeout=30)
    assert not (tmp_path / "executed").exists()
    return done


@pytest.mark.parametrize("gpus", [EVIL, "0", "-1", "1.5", "x", "", "1 2", "07", "9" * 30, "1\n2", "$(touch executed)"])
def test_numbers_are_whole_numbers(gpus, tmp_path):
    for script, arguments in (("slurm_train.sh", ("p", "n", "c.py")), ("dist_train.sh", ("c.py",)),
                              ("dist_test.sh", ("c.py",))):
        done = shell(tmp_path, script, *arguments, gpus, "x")
        assert done.returncode == 2 and "GPUS must be a whole number" in done.stderr and done.stdout == "", script


@pytest.mark.parametrize("name", ["GPUS_PER_NODE", "CPUS_PER_TASK"])
def test_numbers_of_the_environment_are_whole_numbers(name, tmp_path):
    script = ("slurm_train.sh", "p", "n", "c.py", "2")
    assert shell(tmp_path, *script).returncode == 0
    done = shell(tmp_path, *script, **{name: EVIL})
    assert done.returncode == 2 and f"{name} must be a whole number" in done.stderr


@pytest.mark.parametrize("name", ["-p", "a b", "a;b", "a\nb", "$(x)", "", "`x`"])
def test_names_of_partitions_jobs_and_hosts_are_plain(name, tmp_path):
    assert shell(tmp_path, "slurm_train.sh", name, "n", "c.py", "2").returncode == 2
    assert shell(tmp_path, "slurm_train.sh", "p", name, "c.py", "2").returncode == 2


def test_the_scripts_of_several_processes_hand_everything_on(tmp_path):
    for name in ("train", "test"):
        done = shell(tmp_path, f"dist_{name}.sh", "c.py", "2", "x", "--cfg-options", "a=1")
        assert done.stdout.strip() == f"{TOOLS}/{name}.py c.py x --cfg-options a=1 --gpus 2"


def test_a_config_that_begins_with_a_dash_is_no_option(tmp_path):
    for script in (("slurm_train.sh", "p", "n", "-x", "2"), ("dist_train.sh", "-x", "2")):
        assert shell(tmp_path, *script).returncode == 2, script
    done = shell(tmp_path, "slurm_train.sh", "p", "n", "./-x", "2", SRUN_ARGS="--a=1 *\n--b")
    assert done.returncode == 0 and "--a=1 * --b echo -u" in done.stdout
