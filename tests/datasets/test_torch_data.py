import numpy as np
import pytest
import torch
from torch.utils.data import Dataset, TensorDataset

from openmix.datasets import Arrays, TorchData
from openmix.engine.config.data import check_data
from openmix.registry import DATASETS

PIXELS = np.random.default_rng(0).integers(0, 256, (6, 8, 10, 3), dtype=np.uint8)
LABELS = [0, 1, 2, 0, 1, 2]


class Pairs(Dataset):
    def __init__(self, make=lambda pixels: pixels, labels=LABELS, classes=None):
        self.make, self.labels = make, labels
        if classes:
            self.classes = classes

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, i):
        return self.make(PIXELS[i]), self.labels[i]


def as_pil(pixels):
    from PIL import Image

    return Image.fromarray(pixels)


@pytest.mark.parametrize("make", [lambda p: p, as_pil, lambda p: torch.from_numpy(p).permute(2, 0, 1)],
                         ids=["array", "PIL", "tensor"])
def test_images_of_every_kind_are_those_of_arrays(make):
    data, expected = TorchData(Pairs(make, classes=list("abc"))), Arrays(PIXELS, LABELS, list("abc"))
    assert torch.equal(data.images, expected.images) and torch.equal(data.labels, expected.labels)
    assert data.classes == list("abc") and data.name == "Pairs" and data.is_bytes and data.sha256 == expected.sha256


def test_floats_maps_vectors_and_tensor_labels_are_taken_and_a_part_is_held_out():
    floats = TorchData(TensorDataset(torch.rand(6, 3, 4, 4), torch.tensor(LABELS)), mean=[0.5] * 3, std=[0.2] * 3)
    assert floats.shape == (3, 4, 4) and not floats.is_bytes and floats.mean == (0.5,) * 3
    assert TorchData(Pairs(lambda p: p[..., 0])).shape == (1, 8, 10)
    assert TorchData(TensorDataset(torch.rand(6, 7), torch.tensor(LABELS))).shape == (7,)
    parts = [TorchData(Pairs(), split=split, val_size=3) for split in ("train", "val")]
    assert [len(part) for part in parts] == [3, 3] and parts[1].labels.bincount().tolist() == [1, 1, 1]


@pytest.mark.parametrize("data, error, message", [
    (3, TypeError, "__len__ and __getitem__, got int"),
    (range(3), TypeError, r"range\[0\] must be a pair \(image, label\), got int"),
    (Pairs(labels=["a", "b"]), TypeError, r"Pairs\[0\]: a label must be a whole number"),
    (Pairs(labels=[True]), TypeError, "a label must be a whole number"),
    (Pairs(lambda p: "cat.png"), TypeError, "an image must be a PIL image, an array or a tensor, got str"),
    (Pairs(lambda p: p[:int(p[0, 0, 0]) % 7 + 1]), ValueError, "give the set a transform that resizes"),
    (Pairs(labels=[]), ValueError, "Pairs holds no image"),
    (Pairs(labels=[0, -1]), ValueError, "label -1 of image 1"),
])
def test_what_is_no_such_set_is_refused_by_name(data, error, message):
    with pytest.raises(error, match=message):
        TorchData(data)


def test_a_config_names_a_set_that_was_registered():
    DATASETS.register_module(name="PairsOfThisTest", module=Pairs, force=True)
    config = dict(type="TorchData", data=dict(type="PairsOfThisTest", labels=LABELS), classes=list("abc"))
    assert DATASETS.build(config).classes == list("abc")
    check_data(dict(train_dataloader=dict(dataset=config), test_dataloader=dict(dataset=dict(config, split="test"))))
    with pytest.raises(ValueError, match="no key 'label'; did you mean 'labels'"):
        DATASETS.check(dict(type="TorchData", data=dict(type="PairsOfThisTest", label=LABELS)))
