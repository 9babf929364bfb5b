"""Config files as people and editors leave them: read, or refused in a line that names the file."""
import json

import pytest

from openmix.engine.config import load as reading
from openmix.engine.config.load import load_config
from openmix.paths import find_config

BASE = "model = dict(head=dict(type='LinearHead'), stages=[dict(a=1)])\n"


@pytest.fixture
def write(tmp_path):
    def act(text, name="a.py", encoding="utf-8"):
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode(encoding))
        return path
    return act


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
@pytest.mark.parametrize("ends", ["\n", "\r\n"])
def test_byte_order_marks_and_line_ends_of_other_systems_change_nothing(write, encoding, ends):
    write(BASE.replace("\n", ends), "base.py", encoding)
    text = "_base_ = './base.py'\nwork_dir = '\u00e9'\nmodel = dict(num_classes=3)\n".replace("\n", ends)
    actual = load_config(write(text, encoding=encoding))
    assert actual.to_dict() == dict(work_dir="\u00e9", model=dict(
        head=dict(type="LinearHead"), stages=[dict(a=1)], num_classes=3))
    write(json.dumps(dict(sync_bn=False)), "base.json", encoding)
    plain = dict(_base_="./base.json", work_dir="x")
    assert load_config(write(json.dumps(plain), "b.json", encoding)).work_dir == "x"
    copy = reading.Config._substitute_predefined_vars
    load_config(write("work_dir = 'x'"))
    assert reading.Config._substitute_predefined_vars is copy, "mmengine's reader is as it was"


def test_a_mark_in_a_base_alone_is_read_and_mmengine_stays_as_it_was(write):
    before = reading.Config._substitute_predefined_vars
    write(BASE, "base.py", "utf-8-sig")
    assert "head" in load_config(write("_base_ = ['base.py']")).model
    write("model = undefined", "base.py", "utf-8-sig")
    with pytest.raises(ValueError, match="undefined"):
        load_config(write("_base_ = ['base.py']"))
    assert reading.Config._substitute_predefined_vars is before


@pytest.mark.parametrize("text", ["model = dict(head=dict(_delete_=True, pool='max'))",
                                  "model = dict(stages=[dict(_delete_=True, b=2)], new=dict(x=dict(_delete_=True)))",
                                  "model = dict(_delete_=True, new=dict(_delete_=True, a=1))",
                                  "fresh = dict(_delete_=True, a=[dict(_delete_=True)])"])
def test_no_delete_is_left_in_what_was_read(write, text):
    write(BASE, "base.py")
    path = write(f"_base_ = ['./base.py']\n{text}\n")
    assert "_delete_" not in str(load_config(path).to_dict())
    assert "_delete_" not in str(load_config(write("_base_ = './a.py'", "b.py")).to_dict())


def test_delete_replaces_where_there_is_something_to_delete(write):
    write(BASE, "base.py")
    path = write("_base_ = './base.py'\nmodel = dict(head=dict(_delete_=True, pool='max'))")
    assert load_config(path).model.head == dict(pool="max")
    assert load_config(path, {"model.head": dict(_delete_=True, a=1)}).model.head == dict(a=1)


@pytest.mark.parametrize("files, message", [
    ({"a.py": "_base_ = './a.py'"}, "based on itself by _base_: a.py -> a.py"),
    ({"a.py": "_base_ = ['b.py']", "b.py": "_base_ = ['c.json']", "c.json": '{"_base_": "./a.py"}'},
     "a.py -> b.py -> c.json -> a.py"),
    ({"a.py": "_base_ = ['b.py']", "b.py": "_base_ = ['nowhere.py']"},
     "b.py is based on nowhere.py, but there is no file"),
    ({"a.py": "_base_ = '.'"}, "there is no file"),
    ({"a.py": "_base_ = 5"}, "cannot be read as a config"),
    ({"a.py": "_base_ = 'b.py'", "b.py": "x = '\u00e9'".encode("latin-1")},
     "b.py cannot be read as a config: it is not UTF-8"),
    ({"a.py": "x = 1".encode("utf-16")}, "not UTF-8"),
    ({"a.py": "import sys\nsys.exit(3)"}, "SystemExit: 3"),
    ({"a.py": "def f(): return f()\nf()"}, "RecursionError"),
    ({"a.json": "[1]"}, "cannot be read as a config"), ({"a.json": ""}, "cannot be read as a config"),
    ({"a.py": "x = {1, 2}"}, "a.py: x is of type set"),
    ({"a.py": "import torch\nx = dict(y=torch.float16)"}, "a.py: x.y is"),
    ({"a.py": "class Mine: pass"}, "the class Mine"),
])
def test_a_file_that_is_no_config_is_reported_in_a_line(write, tmp_path, files, message):
    for name, text in files.items():
        write(text, name)
    with pytest.raises((ValueError, FileNotFoundError, TypeError)) as error:
        load_config(tmp_path / next(iter(files)))
    assert message in str(error.value) and len(str(error.value)) < 600


def test_an_empty_config_and_one_based_on_two_files_that_share_a_base_are_read_as_before(write):
    assert len(load_config(write(""))) == 0
    write(BASE, "base.py")
    write("_base_ = 'base.py'\nwork_dir = 'x'", "b.py")
    write("lr = 1", "c.py")
    assert load_config(write("_base_ = ['b.py', 'c.py']\nmodel = dict(a=_base_.lr)")).model.a == 1


@pytest.mark.parametrize("suffix", [".py", ".json"])
@pytest.mark.parametrize("name", ["shapes/r20_mixup.py", "shapes/r20_mixup"])
def test_a_base_may_be_a_shipped_config_by_its_name(tmp_path, name, suffix):
    file, options = tmp_path / f"own{suffix}", dict(model=dict(mixup=dict(alpha=0.25)))
    text = f"_base_ = {name!r}\nmodel = {options['model']}"
    if suffix == ".json":
        text = json.dumps(dict(_base_=name, **options))
    file.write_text(text)
    cfg, shipped = load_config(file), load_config(find_config("shapes/r20_mixup"))
    assert cfg.model.mixup.alpha == 0.25 and cfg.model.backbone == shipped.model.backbone
    assert cfg.train_dataloader == shipped.train_dataloader


def test_a_base_that_is_there_comes_before_a_shipped_one_and_none_leaves_the_configs(tmp_path):
    (tmp_path / "shapes").mkdir()
    (tmp_path / "shapes" / "r20_mixup.py").write_text("model = dict(a=1)")
    (tmp_path / "own.py").write_text("_base_ = 'shapes/r20_mixup.py'")
    assert load_config(tmp_path / "own.py").model == dict(a=1)
    (tmp_path / "out.py").write_text("_base_ = '../pyproject.py'")
    with pytest.raises(FileNotFoundError, match="and no shipped config of that name"):
        load_config(tmp_path / "out.py")
