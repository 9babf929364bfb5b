"""The package as it is installed: light to import, complete, typed, with its configs."""
import fcntl
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
HEAVY = ("torch", "numpy", "mmengine", "mmcv", "torchvision", "cv2", "timm", "matplotlib")


def python(code, folder=ROOT, cwd=None):
    """What ``code`` prints in a new interpreter that finds openmix in ``folder``."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=cwd, timeout=120,
                          env={**os.environ, "PYTHONPATH": str(folder), "OMP_NUM_THREADS": "1"})
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_importing_the_package_imports_nothing_heavy_and_takes_no_time():
    code = f"""
import sys, time
start = time.process_time()
import openmix
seconds = time.process_time() - start
configs = openmix.list_configs("cifar100/r18_*")
print([m for m in {HEAVY} if m in sys.modules], seconds < 0.3, len(configs) > 10, "CutMix" in dir(openmix))
"""
    assert python(code) == "[] True True True"


def test_the_mixing_methods_import_torch_and_nothing_of_mmengine():
    """numpy comes with torch where it is installed; nothing else may."""
    code = f"""
import sys, torch
before = set(sys.modules)
from openmix import CutMix, MixUp, Target
new = {{name.split(".")[0] for name in set(sys.modules) - before}}
print(sorted(new & set({HEAVY}) - {{"torch", "numpy"}}))
"""
    assert python(code) == "[]"


def test_every_public_name_is_there_and_others_are_not():
    import openmix

    assert all(getattr(openmix, name) is not None for name in openmix.__all__)
    assert set(openmix.__all__) <= set(dir(openmix))
    assert not hasattr(openmix, "cutmix")
    with pytest.raises(AttributeError, match="'openmix' has no attribute 'CutMxi'"):
        _ = openmix.CutMxi


def test_every_folder_with_code_is_a_package():
    """setuptools finds packages by their __init__.py; without it a wheel would lack the folder."""
    folders = {path.parent for path in (ROOT / "openmix").rglob("*.py")}
    assert [str(f) for f in folders if not (f / "__init__.py").is_file()] == []


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """A folder into which a wheel of this checkout was installed, with a config that a sweep had left in it.

    The first worker of pytest that asks makes it, for all.
    """
    shared = tmp_path_factory.getbasetemp()
    shared = shared.parent if "PYTEST_XDIST_WORKER" in os.environ else shared
    target = shared / "installed"
    with open(shared / "installed.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not target.exists():
            install(tmp_path_factory.mktemp("source"), target)
    return target


def install(source, target):
    for name in ("openmix", "configs"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    (source / "configs/sweeps/mine").mkdir(parents=True)
    (source / "configs/sweeps/mine/c.py").touch()
    for name in ("setup.py", "pyproject.toml", "MANIFEST.in", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source / name)
    done = subprocess.run([sys.executable, "setup.py", "-q", "bdist_wheel", "-d", "dist"], cwd=source,
                          capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr[-2000:]
    wheel, = (source / "dist").glob("openmix-*.whl")
    assert wheel.name.endswith("-py3-none-any.whl")
    line = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-index", "--disable-pip-version-check",
            "--no-compile", "--target", str(target), str(wheel)]
    done = subprocess.run(line, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr[-2000:]


def test_a_wheel_holds_all_code_all_configs_and_the_marker_of_types(installed):
    def files(folder, pattern="*.py"):
        return {p.relative_to(folder).as_posix() for p in folder.rglob(pattern) if "__pycache__" not in p.parts}

    assert files(ROOT / "openmix") == {f for f in files(installed / "openmix") if not f.startswith("configs/")}
    shipped = {f for f in files(ROOT / "configs") if not f.startswith("sweeps/")}
    assert shipped == files(installed / "openmix" / "configs") and "grids/shapes.py" in shipped
    assert files(ROOT / "openmix", "*.json") == files(installed / "openmix", "*.json") != set()
    assert (installed / "openmix" / "py.typed").is_file() and not (installed / "tests").exists()


def test_a_wheel_holds_the_data_files_of_the_package(installed):
    actual = [p.relative_to(ROOT) for p in (ROOT / "openmix").rglob("*")
             if p.is_file() and p.suffix != ".py" and "__pycache__" not in p.parts]
    assert Path("openmix/report/report.html") in actual
    assert [path for path in actual if not (installed / path).is_file()] == []


def test_an_installed_wheel_lists_and_reads_its_configs(installed, tmp_path):
    code = """
import openmix
from openmix import apis
from openmix.engine.config.check import check_config
from openmix.engine.config.load import load_config
assert apis.config_root() == __import__("pathlib").Path(openmix.__file__).parent / "configs"
cfg = load_config(apis.config_root() / "cifar100" / "r18_mixup.py")
cfg.work_dir = "unused"
check_config(cfg)
print(openmix.__file__, len(openmix.list_configs()), cfg.model.mixup.type, openmix.get_mixup("CutMix").alpha)
"""
    home, count, kind, alpha = python(code, installed, tmp_path).split()
    assert home == str(installed / "openmix" / "__init__.py") and (kind, alpha) == ("MixUp", "1.0")
    actual = [p for p in (ROOT / "configs").rglob("*.py") if not {"_base_", "grids", "sweeps"} & set(p.parts)]
    assert int(count) == len(actual)


GRID = """
base = "configs/shapes/r20_{mixup}.py"
mixups = ["vanilla", "mixup"]
epochs = 1
vary = {"model.backbone.depth": [8]}
overrides = [dict(set={"train_cfg.limit": 1, "val_cfg.limit": 1, "train_dataloader.dataset.num_images": 100,
                       "val_dataloader.dataset.num_images": 20, "env_cfg.num_threads": 1})]
"""


@pytest.fixture
def command(installed, tmp_path):
    """``command("list configs")``: the installed command in an empty folder; what it prints."""
    (tmp_path / "work").mkdir()

    def call(line, code=0):
        done = subprocess.run([sys.executable, str(installed / "bin/openmix"), *line.split()], cwd=tmp_path / "work",
                              env={**os.environ, "PYTHONPATH": str(installed), "OMP_NUM_THREADS": "1",
                                   "CUDA_VISIBLE_DEVICES": ""}, capture_output=True, text=True, timeout=300)
        assert done.returncode == code, f"{line}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
        return done.stdout + done.stderr

    call.folder = tmp_path / "work"
    return call


def test_an_installed_wheel_goes_from_a_grid_to_its_table_in_an_empty_folder(command):
    (command.folder / "tiny.py").write_text(GRID)
    assert "2 configs" in command("sweep make tiny.py")
    assert "2 done" in command("sweep run tiny --slots 2") and "2 done" in command("sweep status tiny")
    results = sorted(command.folder.glob("work_dirs/sweeps/tiny/*/seed0/result.json"))
    assert len(results) == 2
    table = command("zoo work_dirs")
    assert "MixUp" in table and "Vanilla" in table and "| " in table
    line = command(f"rerun {results[0].parent.relative_to(command.folder)} --dry-run")
    assert line.startswith(f"{sys.executable} -m openmix train ")


def test_an_installed_wheel_lists_checks_itself_and_finds_its_grids(command, installed):
    """The first by the command, the others in one process that calls it."""
    assert "CutMix" in command("list mixups")
    lines = ["list configs shapes", "doctor", "sweep make shapes", "sweep run shapes --dry-run",
             "train shapes/r20_mixpu"]
    code = f"""
from contextlib import redirect_stderr
import sys
from openmix.cli import main
for line in {lines}:
    with redirect_stderr(sys.stdout):
        print(main(line.split()), end="NEXT")
"""
    configs, doctor, made, dry_run, wrong = python(code, installed, command.folder).split("NEXT")[:-1]
    assert "shapes/r20_mixup" in configs
    assert f"in {installed}" in doctor.replace("~", str(Path.home()))
    assert "12 runs" in made
    assert len(dry_run.splitlines()) == 12 + 1 and dry_run.endswith("\n0")
    assert "did you mean shapes/r20_mixup?" in wrong and wrong.endswith("\n2")


def test_an_installed_wheel_trains_a_shipped_config_by_its_name(command):
    sizes = dict(train=300, val=20, test=20)
    small = " ".join(f"{part}_dataloader.dataset.num_images={number}" for part, number in sizes.items())
    assert "ok: trained, saved, resumed" in command(f"train shapes/r20_mixup --dry-run --cfg-options {small}")
    assert list(command.folder.iterdir()) == []


def test_the_metadata_names_the_extras_and_the_supported_versions(installed):
    text = next(installed.glob("openmix-*.dist-info/METADATA")).read_text()
    assert "Requires-Python: <3.14,>=3.10" in text or "Requires-Python: >=3.10,<3.14" in text
    for extra in ("dev", "timm", "tensorboard", "wandb", "slurm", "report"):
        assert f"Provides-Extra: {extra}\n" in text
    assert "Requires-Dist: torch>=2.6\n" in text and "License-File: LICENSE" in text
