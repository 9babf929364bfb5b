"""``--cfg-options``: values are what was typed, and stand where they belong."""
import math

import pytest
from mmengine.config import Config

from openmix.engine.config.options import merge_options, parse_options, parse_value

AS_TYPED = ["/tmp/my runs", "/data/a,b", "a,b", " x ", "", "2024_01_05", "2024-01-05", "08", "it's", "/data/(old)",
            "(old) data", "[2024] run/x", "a=b", "none", "null", "~/runs", "C:\\new\\table", "'a' or b",
            "x # 1", "5 # 1", "...", "b'x'", "1+2j", "a[0]", "1.2.3", "f(x)", "exit()", "{x}/y", "-", "(a)", "a;b",
            "$(x)", "\u00e9t\u00e9", "dictionary", "dict", "'open"]
VALUES = [
    ("1", 1), ("-3", -3), ("+5", 5), ("1e-3", 1e-3), (".5", 0.5), (" 5", 5), ("True", True), ("false", False),
    ("None", None), ("inf", math.inf), ("-inf", -math.inf), ("Infinity", math.inf),
    ("[1,2]", [1, 2]), ("(1,2)", (1, 2)), ("1,5", [1, 5]), ("1, 5", [1, 5]), ("1,", [1]), ("[]", []), ("()", ()),
    ("{}", {}), ("(1,)", (1,)), ("[[1,2],[3,(4,5)]]", [[1, 2], [3, (4, 5)]]),
    ("[a, b]", ["a", "b"]), ("[a,[b, c]]", ["a", ["b", "c"]]), ("(a,1)", ("a", 1)), ("[my runs, x]", ["my runs", "x"]),
    ("[/a,/b]", ["/a", "/b"]), ("[inf, nan_]", [math.inf, "nan_"]), ("[true, None]", [True, None]),
    ("[it's, b]", ["it's", "b"]),
    ("['a,b', c]", ["a,b", "c"]), ("['a]', c]", ["a]", "c"]), ("'/data/a,b'", "/data/a,b"), ('"it\'s"', "it's"),
    ("'1'", "1"), ("'None'", "None"), ("'[1,2]'", "[1,2]"), ("'a','b,c'", ["a", "b,c"]), ("' x '", " x "),
    ("{'a': 1, 'b': [1, None]}", dict(a=1, b=[1, None])), ("{a: 1, b: x y}", dict(a=1, b="x y")),
    ("{'http': 'a:b'}", dict(http="a:b")), ("dict(type='CutMix', alpha=0.2)", dict(type="CutMix", alpha=0.2)),
    ("dict(type=CutMix, p=[0.5,0.5])", dict(type="CutMix", p=[0.5, 0.5])), ("dict()", {}),
    ("[dict(type='MixUp'), dict(type=CutMix, a=dict(b=1))]", [dict(type="MixUp"), dict(type="CutMix", a=dict(b=1))]),
    ("dict(norm_type=float('inf'))", dict(norm_type=math.inf)), ("dict(norm_type=inf)", dict(norm_type=math.inf)),
]


@pytest.mark.parametrize("text", AS_TYPED)
def test_text_stays_as_typed(text):
    assert parse_options([f"key={text}"]) == {"key": text}


@pytest.mark.parametrize("text, value", VALUES)
def test_literals_are_what_python_makes_of_them(text, value):
    actual = parse_value(text)
    assert actual == value and type(actual) is type(value)


def test_nan_is_a_number():
    assert math.isnan(parse_value("nan"))


@pytest.mark.parametrize("pair, message", [
    ("key", "KEY=VALUE"), ("=3", "KEY=VALUE"), ("a..b=1", "KEY=VALUE"), (".a=1", "KEY=VALUE"), ("a.=1", "KEY=VALUE"),
    ("a=[1,2", "brackets do not close"), ("a=[1,(2]", "brackets do not close"), ("a={1,2}", "is no KEY:VALUE"),
    ("a=dict(b)", "is no KEY=VALUE"), ("a=" + "[" * 9999, "quotes make it text"),
])
def test_what_cannot_be_read_names_the_way_out(pair, message):
    with pytest.raises(ValueError, match="--cfg-options") as error:
        parse_options([pair])
    assert message in str(error.value)


def merged(*pairs, **more):
    schedules = [dict(type="LinearLR", end=1), dict(type="StepLR", step_size=2)]
    cfg = Config(dict(model=dict(mixup=dict(type="MixUp", alpha=1.0), num_classes=10), clip=None, shape=(1, 2),
                      param_scheduler=schedules, lr=0.1, none=[]))
    merge_options(cfg, {**parse_options(pairs), **more})
    return cfg


def test_keys_reach_into_dicts_lists_tuples_and_what_is_not_there_yet():
    cfg = merged("model.mixup.alpha=0.2", "param_scheduler.1.gamma=0.5", "clip.max_norm=1", "new.a.b=x", "shape.1=5",
                 "param_scheduler.0=dict(type='ConstantLR')")
    assert cfg.model.mixup == dict(type="MixUp", alpha=0.2) and cfg.clip == dict(max_norm=1) and cfg.new.a.b == "x"
    assert cfg.param_scheduler == [dict(type="ConstantLR", end=1), dict(type="StepLR", step_size=2, gamma=0.5)]
    assert cfg.shape == [1, 5]


def test_a_dict_is_merged_and_delete_replaces():
    assert merged("model.mixup={'alpha': 2}").model.mixup == dict(type="MixUp", alpha=2)
    assert "alpha" not in merged("model.mixup={'_delete_': True, 'type': 'FMix'}").model.mixup
    pair = ["model.mixup._delete_=True", "model.mixup.type=FMix"]
    for pairs in (pair, pair[::-1]):
        assert merged(*pairs).model.mixup == dict(type="FMix")
    assert merged("param_scheduler=dict(type=StepLR, step_size=1)").param_scheduler == dict(type="StepLR", step_size=1)
    assert merged(param_scheduler={"1": dict(step_size=9)}).param_scheduler[1] == dict(type="StepLR", step_size=9)
    assert merged("model.mixup=None").model.mixup is None and merged("clip={'a': 1}").clip == dict(a=1)


def test_options_act_in_their_order():
    assert merged("model.mixup.alpha=2", "model.mixup=dict(alpha=3)").model.mixup.alpha == 3
    assert merged("model.mixup=dict(alpha=3)", "model.mixup.alpha=2").model.mixup.alpha == 2
    assert merged("lr=1", "lr=2").lr == 2


@pytest.mark.parametrize("pair, message", [
    ("param_scheduler.type=StepLR", "param_scheduler is a list of 2, so it has no key 'type'; an item goes by its "
                                    "number: param_scheduler.0.type"),
    ("param_scheduler.2.end=1", "has no item 2"), ("none.0=1", "has no item 0"), ("none.x=1", "has no key 'x'"),
    ("param_scheduler.-1.end=1", "has no key '-1'"),
    ("lr.x=1", "lr is 0.1, so it has no key 'x'"), ("model.num_classes.x.y=1", "model.num_classes is 10"),
    ("model=3", "model is a dict in the config and cannot become 3; set one of its keys, as in model.mixup=..."),
    ("model.mixup=CutMix", "cannot become 'CutMix'"), ("param_scheduler.0=3", "cannot become 3"),
])
def test_a_key_that_does_not_fit_is_named(pair, message):
    with pytest.raises(ValueError) as error:
        merged(pair)
    assert message in str(error.value)
