"""Accuracy of each class against a plain count."""
import torch

from openmix.evaluators import Accuracy, PerClass


def test_each_class_is_counted_on_its_own():
    generator = torch.Generator().manual_seed(0)
    logits, labels = torch.randn(200, 6, generator=generator), torch.randint(5, (200,), generator=generator)
    evaluator = PerClass()
    for part, truth in zip(logits.split(30), labels.split(30), strict=True):
        evaluator.update(part, truth)
    actual = evaluator.compute()
    expected = [100 * sum(row.argmax() == c for row in logits[labels == c]).item() / int((labels == c).sum())
                for c in range(5)]
    assert actual["accuracy"] == [*expected, None], "a class without images has no accuracy"
    assert actual["mean"] == sum(expected) / 5 and actual["worst"] == min(expected) and actual["count"] == 200


def test_its_count_of_right_images_is_that_of_top_1_also_with_ties_and_nan():
    nan = float("nan")
    logits = torch.tensor([[1.0, 1.0, 0.0], [nan, 0.0, 1.0], [nan, 2.0, 1.0], [nan] * 3, [float("inf"), 0.0, 1.0]])
    labels = torch.tensor([0, 0, 1, 2, 0])
    top, classes = Accuracy((1,)), PerClass()
    for evaluator in (top, classes):
        evaluator.update(logits, labels)
    actual = classes.compute()
    assert actual["accuracy"] == [100 / 3, 0.0, 0.0] and top.compute()["top1"] == 20.0
