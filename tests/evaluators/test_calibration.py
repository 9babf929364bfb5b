"""Calibration against closed forms and a slow NumPy reference."""
import math

import numpy as np
import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp

from openmix.evaluators import Calibration, PerClass


def reference(logits, labels, bins=15):
    """(nll, ece, brier) image by image."""
    nll, brier, groups = [], [], {}
    for row, label in zip(logits.double().numpy(), labels.tolist(), strict=True):
        p = np.exp(row - row.max())
        p /= p.sum()
        nll.append(-math.log(p[label]))
        brier.append(sum((p[c] - (c == label)) ** 2 for c in range(len(p))))
        groups.setdefault(max(math.ceil(p.max() * bins) - 1, 0), []).append((p.argmax() == label, p.max()))
    ece = sum(abs(sum(right for right, _ in g) - sum(conf for _, conf in g)) for g in groups.values()) / len(labels)
    return np.mean(nll), ece, np.mean(brier)


@pytest.fixture
def batch():
    generator = torch.Generator().manual_seed(0)
    return 3 * torch.randn(103, 10, generator=generator), torch.randint(10, (103,), generator=generator)


@pytest.mark.parametrize("size, bins", [(1, 15), (25, 15), (103, 15), (103, 4)])
def test_it_is_the_reference_for_any_batch_size(batch, size, bins):
    evaluator = Calibration(bins)
    for logits, labels in zip(batch[0].split(size), batch[1].split(size), strict=True):
        evaluator.update(logits, labels)
    actual = evaluator.compute()
    assert [actual[key] for key in ("nll", "ece", "brier")] == pytest.approx(reference(*batch, bins), rel=1e-5)
    assert actual["count"] == 103 and actual == evaluator.compute()


def test_closed_forms():
    """Of two classes, all images at 0.75 for the first: half of them right."""
    evaluator = Calibration()
    evaluator.update(torch.tensor([[math.log(3.0), 0.0]] * 4), torch.tensor([0, 1, 0, 1]))
    actual = evaluator.compute()
    assert actual["nll"] == pytest.approx(-(math.log(0.75) + math.log(0.25)) / 2, rel=1e-6)
    assert actual["ece"] == pytest.approx(0.25, rel=1e-6)
    assert actual["brier"] == pytest.approx((2 * 0.25**2 + 2 * 0.75**2) / 2, rel=1e-6)
    sure = Calibration()
    sure.update(100 * torch.eye(5), torch.arange(5))
    assert sure.compute() == dict(nll=0.0, ece=0.0, brier=0.0, count=5)
    uniform = Calibration()
    uniform.update(torch.zeros(8, 4), torch.arange(8) % 4)
    assert uniform.compute() == pytest.approx(dict(nll=math.log(4), ece=0.0, brier=0.75, count=8))


def test_errors_of_opposite_sign_in_two_bins_do_not_cancel():
    """One bin of all would see accuracy 0.5 at confidence 0.5 + something; bins see both errors."""
    logits = torch.tensor([[math.log(9.0), 0.0], [math.log(1.5), 0.0]])  # 0.9 and wrong, 0.6 and right
    evaluator, one = Calibration(), Calibration(1)
    for each in (evaluator, one):
        each.update(logits, torch.tensor([1, 0]))
    assert evaluator.compute()["ece"] == pytest.approx((0.9 + 0.4) / 2) != pytest.approx(one.compute()["ece"])


def test_padding_is_left_out_and_half_precision_is_summed_in_full(batch):
    logits, labels = batch
    evaluator, half = Calibration(), Calibration()
    evaluator.update(logits, torch.where(torch.arange(103) < 50, labels, -1))
    actual = evaluator.compute()
    expected = pytest.approx(reference(logits[:50], labels[:50]), rel=1e-5)
    assert (actual["nll"], actual["ece"], actual["brier"]) == expected
    half.update(logits.bfloat16(), labels)
    assert half.compute()["nll"] == pytest.approx(reference(logits.bfloat16().float(), labels)[0], rel=1e-4)


def test_a_masked_class_costs_nothing_unless_it_is_the_label():
    logits = torch.tensor([[1.0, 0.0, -math.inf]])
    evaluator = Calibration()
    evaluator.update(logits, torch.tensor([0]))
    assert evaluator.compute()["nll"] == pytest.approx(math.log1p(math.exp(-1)), rel=1e-6)
    evaluator.update(logits, torch.tensor([2]))
    assert evaluator.compute()["nll"] == math.inf


@pytest.mark.parametrize("bins", [0, 1.5, True, "15"])
def test_bins_that_are_no_number_of_bins_are_refused(bins):
    with pytest.raises(ValueError, match="bins must be a whole number"):
        Calibration(bins)


@pytest.mark.parametrize("evaluator", [Calibration(), PerClass()], ids=["calibration", "per class"])
def test_no_image_is_an_error(evaluator):
    with pytest.raises(ValueError, match="no image"):
        evaluator.compute()
    evaluator.update(torch.zeros(2, 3), torch.tensor([-1, -1]))
    with pytest.raises(ValueError, match="no image"):
        evaluator.compute()
    with pytest.raises(ValueError, match="expected logits"):
        evaluator.update(torch.zeros(3, 4), torch.zeros(3, 4))


def worker(rank, store, logits, labels, results):
    dist.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=3)
    share = (slice(0, 70), slice(70, 103), slice(0, 0))[rank]
    actual = []
    for evaluator in (Calibration(), PerClass()):
        if rank < 2:  # the third has no image
            evaluator.update(logits[share], labels[share])
        actual.append(evaluator.compute())
    results[rank] = actual
    dist.destroy_process_group()


def test_processes_add_up_although_one_has_no_image(batch, tmp_path):
    alone = [Calibration(), PerClass()]
    for evaluator in alone:
        evaluator.update(*batch)
    with mp.Manager() as manager:
        results = manager.dict()
        mp.start_processes(worker, (tmp_path / "store", *batch, results), nprocs=3, start_method="fork")
        assert results[0] == results[1] == results[2]
        calibration, classes = results[0]
        assert calibration == pytest.approx(alone[0].compute()) and classes == alone[1].compute()
