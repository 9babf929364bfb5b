"""The command that makes a data set of SuperMix mixtures, from a run of seconds."""
import runpy
from pathlib import Path

import numpy as np
import pytest
import torch

from openmix.datasets.array_file import ArrayFile
from tests.engine.tiny import config, train

TOOL = runpy.run_path(str(Path(__file__).parents[2] / "tools" / "supermix.py"))


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("teacher")
    train(config(folder, mixup="Vanilla", epochs=4, custom_hooks=[]))
    return folder


def test_the_file_is_a_data_set_of_the_teachers_images_and_the_same_for_the_same_seed(run, tmp_path, capsys):
    files = [tmp_path / f"{k}" / "train.npz" for k in range(2)]
    for file in files:
        line = [str(run), str(file), "--count", "24", "--batch", "10", "--iterations", "5", "--device", "cpu"]
        assert TOOL["main"](line) == 0
    data, again = (ArrayFile(file) for file in files)
    assert data.sha256 == again.sha256 and 0 < len(data) <= 24
    assert f"{len(data)} mixtures of 24" in capsys.readouterr().out
    source = TOOL["training_set"](dict(config=dict(train_dataloader=dict(
        dataset=dict(type="Shapes", num_images=40)))), None)
    assert data.classes == source.classes and data.images.shape[1:] == source.images.shape[1:]
    with np.load(files[0]) as archive:
        label, weight, sources = (torch.from_numpy(archive[k]) for k in ("target_label", "target_weight", "sources"))
    assert label.shape == weight.shape == sources.shape == (len(data), 2)
    assert (sources[:, 0] != sources[:, 1]).all()
    assert torch.equal(data.labels, label[torch.arange(len(data)), weight.argmax(1)])
    low, high = source.images[sources].amin(1), source.images[sources].amax(1)
    assert ((data.images >= low) & (data.images <= high)).all(), "between its images, in each pixel"


@pytest.mark.parametrize("change, message", [
    (["out.npy"], "must end in .npz"), (["a.npz", "--inputs", "1"], "--inputs"),
    (["a.npz", "--batch", "0"], "--batch"), (["a.npz", "--count", "0"], "--count"), (["a.npz", "--grid", "0"], "grid")])
def test_wrong_arguments_are_one_line_and_status_2(change, message, run, tmp_path, capsys):
    assert TOOL["main"]([str(run), str(tmp_path / change[0]), *change[1:]]) == 2
    assert message in capsys.readouterr().err
    assert TOOL["main"]([str(tmp_path), str(tmp_path / "a.npz")]) == 2 and not list(tmp_path.iterdir())
