"""The result of a run, schema 2, and how one of schema 1 is read."""
import json
import statistics

import pytest

from openmix.workdir import result
from openmix.workdir.files import write_json

FACTS = dict(status="done", config="configs/cifar100/r18_mixup.py", config_hash="f" * 64,
             data=dict(name="CIFAR-100", sha256="0" * 64, official=True), seed=0, processes=1, total_batch=100,
             parameters=11_220_132, max_epochs=12, wall_s=99.5, peak_memory_mib=1024.0)


def history(curves, top5=None):
    """Entries of epochs 1, 2, ... from one top-1 curve a network (None: not evaluated)."""
    return [dict(epoch=e + 1, lr=0.1, seconds=2.0, img_s=100.0 + e, train=dict(loss=1.0),
                 val=None if values[0] is None else
                 {name: dict(top1=v, top5=v + 5, count=100) for name, v in zip(curves, values, strict=True)})
            for e, values in enumerate(zip(*curves.values(), strict=True))]


@pytest.mark.parametrize("length", [10, 11, 12, 25])
def test_median_is_of_exactly_the_last_ten(length):
    curve = [float((7 * e) % 31) for e in range(length)]
    net = result.build(history(dict(net=curve)), **FACTS)["networks"]["net"]
    ordered = sorted(curve[length - 10:])
    assert net["median_last10"] == (ordered[4] + ordered[5]) / 2
    changed = [99.0] * (length - 10) + curve[length - 10:]
    assert result.build(history(dict(net=changed)), **FACTS)["networks"]["net"]["median_last10"] == net["median_last10"]


def test_the_eleventh_from_the_end_does_not_count():
    """The scripts behind published tables take 11 or 12 epochs; here these differ from ten on purpose."""
    curve = [90.0, 90.0, 90.0, *[10.0] * 5, *[20.0] * 5]
    assert result.median_last(curve) == 15.0
    assert statistics.median(curve[-11:]) == statistics.median(curve[-12:]) == 20.0


def test_fewer_than_ten_epochs_have_no_median():
    assert result.build(history(dict(net=[50.0] * 9)), **FACTS)["networks"]["net"]["median_last10"] is None
    gaps = [50.0, None] * 10
    assert result.build(history(dict(net=gaps)), **FACTS)["networks"]["net"]["median_last10"] is None


def test_best_is_the_first_of_equals_and_says_where_it_was_measured():
    found = result.build(history(dict(net=[1.0, 7.0, 3.0, 7.0, 2.0])), split="val", **FACTS)
    assert found["networks"]["net"]["best"] == dict(top1=7.0, epoch=2, split="val")
    assert found["networks"]["net"]["last"] == dict(top1=2.0, top5=7.0, epoch=5, split="val")
    assert found["split"] == "val"


def test_every_network_is_reported_and_one_is_named():
    curves = dict(mix_k=[1.0, 2.0], one_k=[3.0, 4.0])
    found = result.build(history(curves), **FACTS)
    assert found["primary"] == "mix_k" and {n: v["top1"] for n, v in found["networks"].items()} == curves
    assert found["networks"]["one_k"]["top5"] == [8.0, 9.0]
    assert result.build(history(curves), primary="one_k", **FACTS)["primary"] == "one_k"
    with pytest.raises(ValueError, match="'mix_q' was not evaluated; evaluated: mix_k, one_k"):
        result.build(history(curves), primary="mix_q", **FACTS)


def test_repeated_epochs_count_once_and_the_later_wins():
    first, again = history(dict(net=[1.0, 2.0, 3.0])), history(dict(net=[1.0, 9.0, 4.0]))
    found = result.build([*first, *again[1:]], **FACTS)
    assert found["networks"]["net"]["top1"] == [1.0, 9.0, 4.0] and found["epochs"] == 3


def test_facts_are_carried_and_speed_is_the_median_of_epochs(tmp_path):
    found = result.build(history(dict(net=[1.0, 2.0, 3.0])), hardware="a GPU", **FACTS)
    for key, value in FACTS.items():
        assert found[key] == value
    assert found["schema"] == 2 and found["main"] == "top1" and found["img_s"] == 101.0 and found["hardware"] == "a GPU"
    assert found["incomplete"] is False
    write_json(tmp_path / "result.json", found)
    assert result.read(tmp_path / "result.json") == found


@pytest.mark.parametrize("entries", [[], history(dict(net=[None, None]))])
def test_a_run_that_never_measured_anything_still_has_a_result(entries):
    found = result.build(entries, primary="net", **{**FACTS, "status": "diverged"}, reason="nan at iteration 3")
    assert found["networks"] == {} and found["incomplete"] is True and found["reason"] == "nan at iteration 3"
    assert found["epochs"] == len(entries)


def test_more_facts_cannot_hide_the_schema():
    with pytest.raises(ValueError, match="networks would hide"):
        result.build([], networks=1, **FACTS)


@pytest.mark.parametrize("text", ['{"schema": 3}', '{"schema": true}', '{"schema": "1"}', '{"status": "done"}', '{"schema": 1', "[]", "\0"])
def test_what_cannot_be_understood_is_an_error(tmp_path, text):
    (tmp_path / "result.json").write_text(text)
    with pytest.raises(ValueError, match="result.json"):
        result.read(tmp_path / "result.json")


def test_no_result_is_file_not_found(tmp_path):
    with pytest.raises(FileNotFoundError):
        result.read(tmp_path / "result.json")


def test_result_is_json_without_surprises():
    json.dumps(result.build(history(dict(net=[1.0] * 12)), **FACTS), allow_nan=False)
