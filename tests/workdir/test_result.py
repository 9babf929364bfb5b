"""The result of a run, schema 2, and how one of schema 1 is read."""
import json
import statistics

import pytest

from openmix.workdir import result, schema
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
    actual = result.build(history(dict(net=[1.0, 7.0, 3.0, 7.0, 2.0])), split="val", **FACTS)
    assert actual["networks"]["net"]["best"] == dict(top1=7.0, epoch=2, split="val")
    assert actual["networks"]["net"]["last"] == dict(top1=2.0, top5=7.0, epoch=5, split="val")
    assert actual["split"] == "val"


def test_every_network_is_reported_and_one_is_named():
    curves = dict(mix_k=[1.0, 2.0], one_k=[3.0, 4.0])
    actual = result.build(history(curves), **FACTS)
    assert actual["primary"] == "mix_k" and {n: v["top1"] for n, v in actual["networks"].items()} == curves
    assert actual["networks"]["one_k"]["top5"] == [8.0, 9.0]
    assert result.build(history(curves), primary="one_k", **FACTS)["primary"] == "one_k"
    with pytest.raises(ValueError, match="'mix_q' was not evaluated; evaluated: mix_k, one_k"):
        result.build(history(curves), primary="mix_q", **FACTS)


def test_repeated_epochs_count_once_and_the_later_wins():
    first, again = history(dict(net=[1.0, 2.0, 3.0])), history(dict(net=[1.0, 9.0, 4.0]))
    actual = result.build([*first, *again[1:]], **FACTS)
    assert actual["networks"]["net"]["top1"] == [1.0, 9.0, 4.0] and actual["epochs"] == 3


def test_facts_are_carried_and_speed_is_the_median_of_epochs(tmp_path):
    actual = result.build(history(dict(net=[1.0, 2.0, 3.0])), hardware="a GPU", **FACTS)
    for key, value in FACTS.items():
        assert actual[key] == value
    assert actual["schema"] == 2 and actual["main"] == "top1"
    assert actual["img_s"] == 101.0 and actual["hardware"] == "a GPU"
    assert actual["cpu_img_s"] is None
    assert actual["incomplete"] is False
    write_json(tmp_path / "result.json", actual)
    assert result.read(tmp_path / "result.json") == actual


@pytest.mark.parametrize("entries", [[], history(dict(net=[None, None]))])
def test_a_run_that_never_measured_anything_still_has_a_result(entries):
    actual = result.build(entries, primary="net", **{**FACTS, "status": "diverged"}, reason="nan at iteration 3")
    assert actual["networks"] == {} and actual["incomplete"] is True and actual["reason"] == "nan at iteration 3"
    assert actual["epochs"] == len(entries)


def test_more_facts_cannot_hide_the_schema():
    with pytest.raises(ValueError, match="networks would hide"):
        result.build([], networks=1, **FACTS)


@pytest.mark.parametrize("text", [
    '{"schema": 3}', '{"schema": true}', '{"schema": "1"}', '{"status": "done"}', '{"schema": 1', "[]", "\0"])
def test_what_cannot_be_understood_is_an_error(tmp_path, text):
    (tmp_path / "result.json").write_text(text)
    with pytest.raises(ValueError, match="result.json"):
        result.read(tmp_path / "result.json")


def test_a_missing_result_is_a_file_that_is_not_there(tmp_path):
    with pytest.raises(FileNotFoundError):
        result.read(tmp_path / "result.json")


def test_result_is_json_without_surprises():
    json.dumps(result.build(history(dict(net=[1.0] * 12)), **FACTS), allow_nan=False)


# -- names -------------------------------------------------------------------------------------------------------------

def test_the_summary_is_of_the_main_value_whatever_its_name_and_direction():
    rows = [dict(epoch=e, val=dict(net=dict(nll=v, top1=50.0, count=9))) for e, v in enumerate([3.0, 1.0, 2.0, 1.0], 1)]
    net = result.build(rows, main="nll", lower_is_better=True, **FACTS)["networks"]["net"]
    assert net["best"] == dict(nll=1.0, epoch=2, split="test")
    assert net["last"] == dict(nll=1.0, top1=50.0, epoch=4, split="test")
    only = result.build([dict(epoch=1, val=dict(net=dict(top3=60.0, top7=80.0, count=9)))], **FACTS)
    assert only["main"] == "top3"
    assert only["networks"]["net"]["last"] == dict(top3=60.0, top7=80.0, epoch=1, split="test")
    with pytest.raises(ValueError, match="'best', which would hide"):
        result.build([dict(epoch=1, val=dict(net=dict(best=1.0)))], main="best", **FACTS)


def test_the_newest_values_of_each_evaluation_count():
    def entry(epoch, **evals):
        return dict(epoch=epoch, val=None, evals={name: dict(networks=dict(net=dict(ece=v)))
                                                  for name, v in evals.items()})
    actual = result.build([entry(1, a=0.5, b=0.1), entry(2, a=0.4), dict(epoch=3, val=None)], **FACTS)["evals"]
    newest = {name: (e["epoch"], e["networks"]["net"]["ece"]) for name, e in actual.items()}
    assert newest == dict(a=(2, 0.4), b=(1, 0.1))


def schema_1(networks: dict, **fields) -> dict:
    """A file as the version before wrote it."""
    facts = dict(FACTS, incomplete=False, epochs=12, split="test", primary=next(iter(networks), None), img_s=100.0)
    return {"schema": 1, "networks": networks, **facts, **fields}


def test_a_file_of_schema_1_is_read_as_schema_2(tmp_path):
    curve = [float(e) for e in range(12)]
    last, best = dict(top1=11.0, top5=99.0, epoch=12, split="test"), dict(top1=11.0, epoch=12, split="test")
    net = dict(top1=curve, top5=[99.0] * 12, median_last10=6.5, best=best, last=last)
    write_json(tmp_path / "result.json", schema_1(dict(net=net)))
    actual = schema.read(tmp_path / "result.json")
    assert actual["schema"] == 2 and actual["main"] == "top1" and actual["evals"] == {}
    assert actual["networks"] == dict(net=net) and result.reported(actual) == (6.5, "median")
    rebuilt = [dict(epoch=e, val=dict(net=dict(top1=v, top5=99.0))) for e, v in enumerate(curve, 1)]
    assert result.build(rebuilt, **FACTS)["networks"] == actual["networks"]


def test_a_file_of_schema_1_without_top_1_is_summed_up_by_what_was_counted(tmp_path):
    curve = [10.0 + e for e in range(12)]
    net = dict(top1=[None] * 12, top5=[None] * 12, top3=curve, median_last10=None, best=None, last=None)
    write_json(tmp_path / "result.json", schema_1(dict(net=net)))
    actual = schema.read(tmp_path / "result.json")
    assert actual["main"] == "top3" and set(actual["networks"]["net"]) == {"top3", "median_last10", "best", "last"}
    assert result.reported(actual) == (16.5, "median")


def test_a_file_of_schema_1_that_measured_nothing_is_read(tmp_path):
    write_json(tmp_path / "result.json", schema_1({}, status="diverged", primary="net"))
    assert schema.read(tmp_path / "result.json")["networks"] == {}


@pytest.mark.parametrize("change, message", [
    (dict(epoch=0), "evals.cal.epoch is 0"), (dict(epoch=13), "evals.cal.epoch is 13 of 12 epochs"),
    (dict(data=3), "evals.cal.data is 3"), (dict(networks=[]), "evals.cal.networks is"),
    (dict(networks=dict(net=3)), "evals.cal.networks is"),
    (dict(networks=dict(net=dict(top1=101.0))), "evals.cal.networks.net.top1 is 101.0"),
    (dict(networks=dict(net=dict(top1=[50.0, 101.0]))), "evals.cal.networks.net.top1 is [50.0, 101.0]"),
    (dict(networks=dict(net=dict(ece="x"))), "evals.cal.networks.net.ece is 'x'"),
    (dict(networks=dict(net=dict(ece=[[1.0]]))), "evals.cal.networks.net.ece is"),
    (dict(type=3), "evals.cal.type is 3"),
    (dict(data=dict(sha256=5)), "evals.cal.data.sha256 is 5")])
def test_an_evaluation_of_another_kind_is_named(change, message):
    good = dict(epoch=12, data=dict(name="x"), networks=dict(net=dict(
        ece=0.1, accuracy=[1.0, None], nll=None, top1=[90.0, None])))
    actual = result.build(history(dict(net=[1.0] * 12)), **FACTS)
    schema.check(actual | dict(evals=dict(cal=good)))
    with pytest.raises(ValueError, match="result.json is wrong") as error:
        schema.check(actual | dict(evals=dict(cal=good | change)))
    assert message in str(error.value)
