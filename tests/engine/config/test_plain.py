"""What a run writes as its config is read again as the same config, or refused by name at the start."""
import ast
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config

from openmix.engine.config.load import load_config
from openmix.engine.config.plain import WIDTH, config_text, plain_config, plain_value
from openmix.results.labels import read_config
from openmix.workdir.identity import canonical, config_difference, config_hash

VALUES = dict(
    inf=math.inf, low=-math.inf, nan=math.nan, small=1e-300, negative=-1, zero=-0.0, none=None, yes=True,
    lines="a\nb\t'\"\\ \u00e9 \udcff {{ fileBasename }} {{$HOME:x}} {{{", empty="", listed=[], pair=(1, (2,), ()),
    nested=[[1, [2]], dict(a=[])],
    long=[dict(type="LinearLR", start=1 / 3, end=k, inside=dict(a=(k,), b="x" * 40)) for k in range(4)],
    words="y" * 200,
    keys={"a b": 1, "class": 2, "1": 3, "_delete_x": 4, "a-b": dict(c={"d.e": math.inf})}, number={1: "one", 2: "two"},
    custom_keys={"layer1.conv": dict(lr_mult=0.1)})


def same(a, b):
    """Equal with types; NaN is equal to itself."""
    return repr(a) == repr(b)


def test_a_written_config_is_read_again_as_it_was(tmp_path):
    text = config_text(Config(VALUES))
    path = tmp_path / "written.py"
    path.write_bytes(text.encode())
    actual = load_config(path)
    assert same({k: actual.to_dict()[k] for k in VALUES}, VALUES) and len(actual) == len(VALUES)
    assert config_hash(actual) == config_hash(VALUES) and not config_difference(actual, VALUES)
    assert config_text(actual) == text, "writing is stable"
    assert same(dict(sorted(VALUES.items())), read_config(path)), "tables read it without running it"
    assert max(len(line) for line in text.splitlines() if "yyy" not in line) <= WIDTH


def test_numbers_paths_and_short_arrays_are_written_as_plain_values(tmp_path):
    cfg = Config(dict(a=np.int64(3), b=[np.float32(0.5), np.bool_(True)], c=dict(d=torch.tensor(2), e=Path("x/y")),
                      f=np.array([0.25, 0.5]), g=np.float64("inf"), h=torch.tensor([0, 0]), i=np.str_("s")))
    expected = dict(a=3, b=[0.5, True], c=dict(d=2, e="x/y"), f=[0.25, 0.5], g=math.inf, h=[0, 0], i="s")
    assert same(plain_config(cfg).to_dict(), expected)
    assert cfg.a is not expected["a"] and isinstance(cfg.a, np.int64), "the caller's config stays"
    (tmp_path / "a.py").write_text(config_text(cfg))
    assert same(load_config(tmp_path / "a.py").to_dict(), expected)
    assert canonical(dict(a=np.int64(3), t=torch.tensor(0.5))) == dict(a=3, t=0.5)


def function():
    pass


@pytest.mark.parametrize("value, shown", [
    ({1, 2}, "set"), (b"ab", "bytes"), (1j, "complex"), (lambda: 0, "function"), (function, "function"),
    (torch.optim.SGD, "the class SGD"), (torch.float16, "dtype"), (torch.device("cpu"), "device"), (object(), "object"),
    (range(3), "range"), (np.zeros((99, 99)), "ndarray"), (..., "ellipsis"), (math, "module"),
    ({(1, 2): 3}, "the key (1, 2)"),
    ({None: 3}, "the key None")])
@pytest.mark.parametrize("wrap", [lambda v: v, lambda v: [0, v], lambda v: dict(x=dict(y=(v,)))])
def test_what_cannot_be_read_again_is_refused_by_name(value, shown, wrap):
    with pytest.raises(TypeError, match=r"^model\.backbone") as error:
        plain_config(Config(dict(model=dict(backbone=wrap(value)))))
    assert shown in str(error.value)


def test_left_over_delete_keys_are_nowhere():
    inner = [dict(_delete_=True, c=1), (dict(_delete_=False),)]
    actual = plain_value(dict(a=dict(_delete_=True, b=inner), _delete_=True))
    assert actual == dict(a=dict(b=[dict(c=1), ({},)]))


def test_nan_is_no_change_of_a_config_and_other_numbers_are():
    assert not config_difference(dict(a=math.nan, b=1), dict(a=np.float64("nan"), b=1.0))
    assert config_difference(dict(a=math.nan), dict(a=math.inf)) == ["a: nan -> inf"]
    assert config_difference(dict(a=True), dict(a=1)) and config_difference(dict(a="1"), dict(a=1))


def test_the_text_is_made_of_literals_alone():
    assert all(isinstance(line, ast.Assign) for line in ast.parse(config_text(VALUES)).body)
