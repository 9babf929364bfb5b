"""Sums of scalars over many steps."""
import torch

from openmix.engine.step.meters import ScalarMeter


def steps(meter, *losses):
    for loss in losses:
        meter.add({name: torch.tensor(value) for name, value in loss.items()})
        meter.count_step(loss.keys())


def read(meter, *others):
    count, names, values = meter.read_and_reset(*others)
    return count, dict(zip([*names, "other"], values.tolist(), strict=False))


def test_scalars_are_added_up_by_name_and_a_reading_begins_anew():
    meter = ScalarMeter()
    steps(meter, dict(loss=1.0), dict(loss=2.0, mix=5.0))
    assert read(meter, torch.tensor(7.0)) == (2, dict(loss=3.0, mix=5.0, other=7.0))
    steps(meter, dict(loss=4.0))
    assert read(meter) == (1, dict(loss=4.0)), "terms of other steps are gone, and their tensors stay"


def test_the_tensors_stay_the_same_so_that_a_graph_may_write_to_them():
    meter = ScalarMeter()
    steps(meter, dict(loss=1.0))
    total = meter.totals["loss"]
    read(meter)
    steps(meter, dict(loss=2.0))
    assert meter.totals["loss"] is total and total == 2


def test_what_is_handed_in_is_not_written_to():
    meter, loss = ScalarMeter(), torch.tensor(1.0)
    meter.add(dict(loss=loss))
    meter.add(dict(loss=torch.tensor(2.0)))
    assert loss == 1


def test_a_resumed_meter_goes_on_bit_by_bit_and_its_state_is_a_copy():
    values = torch.rand(9, generator=torch.Generator().manual_seed(0)).tolist()
    whole, first, second = ScalarMeter(), ScalarMeter(), ScalarMeter()
    steps(whole, *(dict(loss=v) for v in values))
    steps(first, *(dict(loss=v) for v in values[:4]))
    state = first.state()
    steps(first, dict(loss=9.0))
    second.load(state, "cpu")
    steps(second, *(dict(loss=v) for v in values[4:]))
    assert read(second) == read(whole)


def test_the_state_of_an_older_version_is_read():
    meter = ScalarMeter()
    pending = [dict(loss=torch.tensor(2.0)), dict(loss=torch.tensor(3.0), mix=torch.tensor(1.0))]
    meter.load(dict(totals=dict(loss=torch.tensor(1.0)), pending=pending, seen=["loss", "mix"], count=3), "cpu")
    assert read(meter) == (3, dict(loss=6.0, mix=1.0))
