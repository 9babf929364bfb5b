"""Short names of configs and grids, and what a child process needs to find this package."""
import os
import subprocess
import sys
from pathlib import Path

import pytest

from openmix import paths

ROOT = Path(__file__).resolve().parents[1]
MIXUP = ROOT / "configs/cifar100/r18_mixup.py"


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("name", ["cifar100/r18_mixup", "cifar100/r18_mixup.py", "configs/cifar100/r18_mixup.py"])
def test_a_shipped_config_goes_by_its_name_with_or_without_its_ending(name):
    assert Path(paths.find_config(name)).samefile(MIXUP)
    assert paths.default_work_dir(paths.find_config(name), 0) == "work_dirs/cifar100/r18_mixup/seed0"


def test_every_listed_name_has_a_file_and_bases_grids_and_sweeps_are_not_listed():
    from openmix import list_configs, list_grids

    assert all(Path(paths.find_config(name)).is_file() for name in list_configs())
    assert all(Path(paths.find_grid(name)).is_file() for name in list_grids()) and "shapes.py" in list_grids()
    assert not [name for name in list_configs() if name.split("/")[0] in paths.OTHERS]


def test_in_a_checkout_the_path_is_the_one_that_one_would_type(monkeypatch):
    monkeypatch.chdir(ROOT)
    assert paths.find_config("cifar100/r18_mixup") == "configs/cifar100/r18_mixup.py"
    assert paths.find_grid("shapes") == "configs/grids/shapes.py"


def test_an_existing_file_wins_and_an_empty_folder_of_that_name_does_not():
    Path("cifar100/r18_mixup").mkdir(parents=True)
    assert Path(paths.find_config("cifar100/r18_mixup")).samefile(MIXUP)
    own = Path("cifar100/r18_mixup.py")
    own.touch()
    assert paths.find_config("cifar100/r18_mixup.py") == paths.find_config("cifar100/r18_mixup") == str(own)
    Path("configs/grids").mkdir(parents=True)
    Path("configs/grids/shapes.py").touch()
    assert paths.find_grid("shapes") == "configs/grids/shapes.py"


@pytest.mark.parametrize("name, near", [("cifar100/r18_mixpu", "cifar100/r18_mixup"), ("r18_mixup", "r18_mixup"),
                                        ("cifar100/r18_mixpu.py", "cifar100/r18_mixup")])
def test_an_unknown_name_gets_the_nearest(name, near):
    with pytest.raises(FileNotFoundError, match=f"did you mean cifar.*{near.rpartition('/')[2]}.*openmix list configs"):
        paths.find_config(name)


@pytest.mark.parametrize("name", ["a.pth", "x.json", "nothing.py"])
def test_what_looks_like_a_path_is_left_to_its_reader(name):
    assert paths.find_config(name) == name


@pytest.mark.parametrize("name", ["grids/shapes", "_base_/runtime", "sweeps/x/y"])
def test_what_is_no_config_is_none_by_name_either(name):
    with pytest.raises(FileNotFoundError):
        paths.find_config(name)


def test_a_child_imports_this_very_package_wherever_it_starts(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", "/nowhere")
    actual = paths.child_environment()
    assert actual == dict(PYTHONPATH=f"{ROOT}{os.pathsep}/nowhere")
    line = [sys.executable, "-c", "import openmix; print(openmix.__file__)"]
    done = subprocess.run(line, env={**os.environ, **actual}, capture_output=True, text=True)
    assert done.stdout.strip() == str(ROOT / "openmix/__init__.py")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    assert paths.child_environment() == {}, "it is there already"
    monkeypatch.setattr(paths, "CODE", Path(paths.site.getsitepackages()[0]))
    monkeypatch.delenv("PYTHONPATH")
    assert paths.child_environment() == {}, "an installed package must not come before the standard library"
