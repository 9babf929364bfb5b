"""What a run reports of itself."""
from types import SimpleNamespace

import pytest

from openmix.engine.summary import val_split

VAL = dict(type="ImageFolderData", data_root="photos", split="val")


@pytest.mark.parametrize("val, test, expected", [
    (dict(type="CIFAR100", split="test"), dict(type="CIFAR100", split="test"), "test"),
    (dict(type="CIFAR100", split="val", val_size=5000), dict(type="CIFAR100", split="test"), "val"),
    (dict(VAL, val_size=5000), dict(VAL, val_size=5000), "val"),
    (VAL, dict(VAL, resize=256), "test"),  # as of ImageNet
    (VAL, dict(VAL, split="test"), "val"), (VAL, None, "val"), (VAL, dict(VAL, data_root="others"), "val"),
    (dict(type="Subset", per_class=5, data=dict(VAL, val_size=50)), dict(VAL, split="test"), "val"),
    (dict(type="Subset", per_class=5, data=VAL), VAL, "test")])
def test_accuracies_are_of_the_test_set_unless_the_run_is_tested_on_other_images(val, test, expected):
    cfg = dict(val_dataloader=dict(dataset=val), **({} if test is None else dict(test_dataloader=dict(dataset=test))))
    assert val_split(SimpleNamespace(cfg=cfg)) == expected


def test_without_evaluation_the_split_is_that_of_the_test_set():
    assert val_split(SimpleNamespace(cfg=dict(val_dataloader=None))) == "test"
