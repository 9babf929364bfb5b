"""Accuracy counters against a plain loop."""
import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp

from openmix.evaluators import Accuracy


def counted(logits, labels, k):
    """Percent by sorting each row on its own."""
    right = 0
    for row, label in zip(logits.tolist(), labels.tolist(), strict=True):
        order = sorted(range(len(row)), key=lambda c: -row[c])
        right += label in order[:k]
    return 100 * right / len(labels)


@pytest.fixture
def batch():
    generator = torch.Generator().manual_seed(0)
    return torch.randn(103, 10, generator=generator), torch.randint(10, (103,), generator=generator)


@pytest.mark.parametrize("size", [1, 10, 25, 103])
def test_any_batch_size_counts_each_image_once(batch, size):
    logits, labels = batch
    metric = Accuracy(topk=(1, 3, 5))
    for part, truth in zip(logits.split(size), labels.split(size), strict=True):
        metric.update(part, truth)
    expected = {f"top{k}": counted(logits, labels, k) for k in (1, 3, 5)}
    assert metric.compute() == dict(**expected, count=103) == metric.compute()


def test_reset_forgets(batch):
    metric = Accuracy()
    metric.update(*batch)
    metric.reset()
    metric.update(torch.eye(10), torch.arange(10))
    assert metric.compute() == dict(top1=100.0, top5=100.0, count=10)


def test_few_classes_clamp_k():
    metric = Accuracy()
    metric.update(torch.randn(20, 3), torch.arange(20) % 3)
    assert metric.compute()["top5"] == 100.0


def test_ties_and_nan_are_wrong():
    metric = Accuracy(topk=(1, 2))
    nan = float("nan")
    logits = torch.tensor([[1.0, 1.0, 0.0], [nan, 0.0, 1.0], [nan, 2.0, 1.0], [nan] * 3, [float("inf"), 0.0, 1.0]])
    metric.update(logits, torch.tensor([0, 0, 1, 2, 0]))
    # 0: tied for first; 1: its own logit is NaN; 2: a NaN elsewhere may be larger; 3: all NaN; 4: right
    assert metric.compute() == dict(top1=20.0, top2=60.0, count=5)
    metric = Accuracy(topk=(1, 5))
    metric.update(torch.full((4, 3), nan), torch.tensor([0, 1, 2, 0]))
    assert metric.compute() == dict(top1=0.0, top5=0.0, count=4)


def test_negative_labels_are_padding(batch):
    logits, labels = batch
    metric = Accuracy()
    metric.update(logits, torch.where(torch.arange(103) < 50, labels, -1))
    expected = {f"top{k}": counted(logits[:50], labels[:50], k) for k in (1, 5)}
    assert metric.compute() == dict(**expected, count=50)


def test_low_precision_logits_count_like_their_values(batch):
    logits, labels = batch
    metric = Accuracy()
    metric.update(logits.bfloat16(), labels)
    assert abs(metric.compute()["top1"] - counted(logits, labels, 1)) < 5


@pytest.mark.parametrize("topk", [(), (0,), (1, 2.0), (True,)])
def test_bad_topk_is_an_error(topk):
    with pytest.raises(ValueError, match="topk"):
        Accuracy(topk=topk)


def test_bad_shapes_and_no_image_are_errors():
    with pytest.raises(ValueError, match="expected logits"):
        Accuracy().update(torch.zeros(3, 4), torch.zeros(3, 4))
    with pytest.raises(ValueError, match="no image"):
        Accuracy().compute()


def worker(rank, store, logits, labels, results):
    dist.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=2)
    metric = Accuracy()
    share = slice(0, 70) if rank == 0 else slice(70, 103)
    metric.update(logits[share], labels[share])
    results[rank] = metric.compute()
    dist.destroy_process_group()


def test_processes_add_up(batch, tmp_path):
    logits, labels = batch
    with mp.Manager() as manager:
        results = manager.dict()
        mp.start_processes(worker, (tmp_path / "store", logits, labels, results), nprocs=2, start_method="fork")
        expected = dict(top1=counted(logits, labels, 1), top5=counted(logits, labels, 5), count=103)
        assert results[0] == results[1] == expected
