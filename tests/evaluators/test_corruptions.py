"""Errors on corrupted images, and their mean relative to another run."""
import json

import pytest
import torch

from openmix.corruptions import corrupt
from openmix.datasets import Arrays, make_loader
from openmix.evaluators import Corruptions
from tests.results.made import last_ten, make_run

MEAN, STD = (0.5, 0.4, 0.3), (0.2, 0.25, 0.3)


def make(batch_size=5):
    images = torch.randint(0, 256, (12, 3, 16, 16), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    data = Arrays(images, torch.arange(12) % 3)
    return make_loader(data, train=False, mean=MEAN, std=STD, batch_size=batch_size)


def measure(evaluator, predict, loader):
    """``predict(family, severity)`` is how many of the first labels are wrong."""
    evaluator.begin(loader)
    for index in range(evaluator.passes):
        evaluator.begin_pass(index)
        seen, wrong = 0, predict(*divmod(index, 5))
        for images, labels in loader:
            evaluator.transform(images, labels)
            guess = torch.where(torch.arange(seen, seen + len(labels)) < wrong, (labels + 1) % 3, labels)
            seen += len(labels)
            evaluator.update(torch.eye(3)[guess], labels)
    return evaluator.compute()


def test_errors_are_by_family_and_severity():
    values = measure(Corruptions(["contrast", "fog"]), lambda family, severity: 2 * severity + family, make())
    assert values["contrast"] == pytest.approx([100 * k / 12 for k in (0, 2, 4, 6, 8)])
    assert values["fog"] == pytest.approx([100 * k / 12 for k in (1, 3, 5, 7, 9)])
    assert values["mean_error"] == pytest.approx(100 * 4.5 / 12) and values["count"] == 12 and "mce" not in values


@pytest.mark.parametrize("name", ["gaussian_noise", "snow"])
def test_networks_see_the_corrupted_pixels_whatever_the_batch_size(name):
    seen = []
    for size in (5, 12):
        evaluator, loader = Corruptions([name]), make(size)
        evaluator.begin(loader)
        evaluator.begin_pass(2)
        seen.append(torch.cat([evaluator.transform(images, labels) for images, labels in loader]))
    torch.testing.assert_close(*seen, rtol=0, atol=1e-5 + 1 / 255 / 0.2)
    mean, std = (torch.tensor(v)[:, None, None] for v in (MEAN, STD))
    expected = corrupt(loader.data.images.float() / 255, name, 3, torch.Generator().manual_seed(0))
    assert ((seen[1] * std + mean - expected).abs() < 1e-5).float().mean() > 0.999


def baseline(folder, errors, kind="Corruptions"):
    run = make_run(folder, curve=last_ten(80.0, epochs=10), epochs=10, files=False)
    record = json.loads((run / "result.json").read_text())
    networks = {record["primary"]: errors}
    record["evals"] = dict(c=dict(type=kind, main="mean_error", epoch=10, data={}, networks=networks))
    (run / "result.json").write_text(json.dumps(record))
    return run


def test_the_mean_corruption_error_is_the_mean_of_the_ratios_to_a_baseline(tmp_path):
    run = baseline(tmp_path / "a", dict(contrast=[10.0] * 5, fog=[40.0] * 5, snow=[1.0] * 5))
    for path in (run, run / "result.json"):
        values = measure(Corruptions(["contrast", "fog"], baseline=str(path)), lambda family, severity: 3, make())
        assert values["mce"] == pytest.approx(100 * (125 / 50 + 125 / 200) / 2)


def test_a_baseline_without_these_errors_and_wrong_families_are_refused(tmp_path):
    with pytest.raises(ValueError, match="not evaluated with Corruptions"):
        Corruptions(["fog"], baseline=str(baseline(tmp_path / "a", dict(contrast=[1.0] * 5))))
    with pytest.raises(ValueError, match="without errors"):
        Corruptions(["fog"], baseline=str(baseline(tmp_path / "b", dict(fog=[0.0] * 5))))
    with pytest.raises(FileNotFoundError):
        Corruptions(baseline=str(tmp_path / "none.json"))
    for families in (["fogg"], [], ["fog", "fog"]):
        with pytest.raises(ValueError, match="families"):
            Corruptions(families)


def test_data_without_pixels_is_refused():
    loader = make_loader(Arrays(torch.zeros(4, 7), torch.arange(4) % 2), train=False)
    with pytest.raises(ValueError, match="needs images"):
        Corruptions().begin(loader)
