"""Classifying with what was trained: from work dirs, checkpoints, published files and networks."""
import hashlib
import json

import numpy as np
import pytest
import torch
from PIL import Image

import openmix
from openmix.datasets import Shapes
from openmix.inference.weights import load_network
from tests.engine.tiny import config, train


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Work dirs of two finished runs: MixUp with averaged weights, AutoMix with its four networks."""
    home = tmp_path_factory.mktemp("runs")
    for method in ("MixUp", "AutoMix"):
        train(config(home / method, method, env_cfg=dict(amp="off", channels_last=False, num_threads=1)))
    return home


@pytest.fixture(scope="module")
def test_set():
    return Shapes(num_images=23, split="test")


def top1(prediction, labels) -> float:
    return 100 * (prediction.labels == labels).float().mean().item()


@pytest.mark.parametrize("method, network", [
    ("MixUp", "net"), ("MixUp", "ema"), ("AutoMix", "mix_k"), ("AutoMix", "one_k"), ("AutoMix", "mix_q"),
    ("AutoMix", "one_q")])
def test_the_accuracy_of_every_network_is_that_of_the_run(runs, test_set, method, network):
    record = json.loads((runs / method / "result.json").read_text())
    actual = openmix.infer(runs / method, test_set.images, network=network, batch_size=10)
    assert top1(actual, test_set.labels) == pytest.approx(record["networks"][network]["last"]["top1"], abs=1e-4)


def test_files_are_cropped_as_in_the_evaluation_of_the_run(tmp_path, test_set):
    """Trained on random crops of 24 pixels and evaluated on the centre: so are files, of the size of the data."""
    train(config(tmp_path / "run", "CutMix", data_preprocessor=dict(crop=24), epochs=1))
    record = json.loads((tmp_path / "run" / "result.json").read_text())
    files = [tmp_path / f"{k}.png" for k in range(len(test_set))]
    for file, image in zip(files, test_set.images, strict=True):
        Image.fromarray(image.permute(1, 2, 0).numpy()).save(file)
    actual = openmix.infer(tmp_path / "run", files, batch_size=10)
    assert top1(actual, test_set.labels) == pytest.approx(record["networks"]["net"]["last"]["top1"], abs=1e-4)
    net, facts = load_network(tmp_path / "run")
    mean, std = (torch.tensor(facts["data"][k]).view(1, 3, 1, 1) for k in ("mean", "std"))
    with torch.no_grad():
        expected = net((test_set.images[:, :, 4:28, 4:28].float() / 255 - mean) / std).softmax(1)
    torch.testing.assert_close(actual.probabilities, expected)


def test_the_networks_of_a_run_differ_so_that_one_for_another_would_be_noticed(runs, test_set):
    p = [openmix.infer(runs / "AutoMix", test_set.images, network=n).probabilities for n in ("mix_q", "one_q", "mix_k")]
    assert not torch.equal(p[0], p[1]) and not torch.equal(p[0], p[2])


def test_without_a_name_it_is_the_network_that_the_run_is_judged_by(runs, test_set):
    named = openmix.infer(runs / "AutoMix", test_set.images, network="mix_k")
    assert torch.equal(openmix.infer(runs / "AutoMix", test_set.images).probabilities, named.probabilities)


def test_probabilities_are_those_of_the_network_on_images_normalised_by_hand(runs, test_set):
    net, facts = load_network(runs / "MixUp")
    mean, std = (torch.tensor(facts["data"][k]).view(1, 3, 1, 1) for k in ("mean", "std"))
    with torch.no_grad():
        expected = net((test_set.images.float() / 255 - mean) / std).softmax(1)
    actual = openmix.infer(runs / "MixUp", test_set.images)
    torch.testing.assert_close(actual.probabilities, expected)
    assert torch.equal(actual.labels, expected.argmax(1))
    assert actual.names == [test_set.classes[k] for k in actual.labels.tolist()]


def test_every_way_to_give_images_gives_the_same_answer(runs, test_set, tmp_path):
    images = test_set.images[:5]
    expected = openmix.infer(runs / "MixUp", images).probabilities
    arrays = images.permute(0, 2, 3, 1).numpy()
    pictures = [Image.fromarray(a) for a in arrays]
    for i, picture in enumerate(pictures):
        picture.save(tmp_path / f"{i}.png")
    paths = [tmp_path / f"{i}.png" for i in range(5)]
    for given in (images.float() / 255, images.double() / 255, arrays, images.numpy(), pictures, paths,
                  [str(p) for p in paths], list(images), [pictures[0], paths[1], arrays[2], images[3:5]]):
        torch.testing.assert_close(openmix.infer(runs / "MixUp", given).probabilities, expected, rtol=1e-4, atol=1e-5)
    one = openmix.infer(runs / "MixUp", paths[3])
    torch.testing.assert_close(one.probabilities, expected[3:4], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("batch_size", [1, 2, 7, 23, 100])
def test_the_size_of_batches_changes_nothing(runs, test_set, batch_size):
    expected = openmix.infer(runs / "MixUp", test_set.images, batch_size=23)
    actual = openmix.infer(runs / "MixUp", [*test_set.images[:4], test_set.images[4:]], batch_size=batch_size)
    torch.testing.assert_close(actual.probabilities, expected.probabilities, rtol=1e-4, atol=1e-5)


def test_files_of_another_size_are_resized_and_cropped_as_in_evaluation(runs, test_set, tmp_path):
    small = test_set.images[0].permute(1, 2, 0).numpy()
    wide = np.repeat(np.repeat(small, 4, 0), 4, 1)
    wide = np.concatenate([np.zeros_like(wide), wide, np.zeros_like(wide)], 1)  # the centre is the image
    Image.fromarray(wide).save(tmp_path / "wide.png")
    expected = openmix.infer(runs / "MixUp", test_set.images[:1]).probabilities
    actual = openmix.infer(runs / "MixUp", tmp_path / "wide.png").probabilities
    torch.testing.assert_close(actual, expected, rtol=0.05, atol=0.02)
    grey = Image.fromarray(small).convert("L")
    assert openmix.infer(runs / "MixUp", grey).probabilities.shape == (1, 10)


def test_a_checkpoint_and_a_config_with_one_say_the_same_as_the_work_dir(runs, test_set):
    expected = openmix.infer(runs / "AutoMix", test_set.images).probabilities
    path = runs / "AutoMix" / "epoch_2.pth"
    assert torch.equal(openmix.infer(path, test_set.images).probabilities, expected)
    pair = (runs / "AutoMix" / "config.py", path)
    assert torch.equal(openmix.infer(pair, test_set.images).probabilities, expected)
    earlier = openmix.infer(runs / "AutoMix" / "epoch_1.pth", test_set.images).probabilities
    assert not torch.equal(earlier, expected)


def test_the_network_of_get_model_knows_what_it_was_trained_on(runs, test_set):
    for path in (runs / "AutoMix", runs / "AutoMix" / "epoch_2.pth"):
        net = openmix.get_model("CifarResNet", 10, depth=8, pretrained=path)
        net.train()
        actual = openmix.infer(net, test_set.images)
        assert torch.equal(actual.probabilities, openmix.infer(path, test_set.images).probabilities)
        assert net.training and actual.names[0] in test_set.classes


def test_a_network_of_ones_own_needs_the_statistics(runs, test_set):
    net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(3 * 32 * 32, 4))
    with pytest.raises(ValueError, match="give mean= and std="):
        openmix.infer(net, test_set.images)
    actual = openmix.infer(net, test_set.images, mean=(0, 0, 0), std=(1, 1, 1), classes="abcd")
    with torch.no_grad():
        torch.testing.assert_close(actual.probabilities, net(test_set.images / 255).softmax(1))
    assert set(actual.names) <= set("abcd")
    floats = test_set.images.float()
    with pytest.raises(ValueError, match=r"must lie in \[0, 1\], got 0 to 2"):
        openmix.infer(net, floats, mean=(0.5,) * 3, std=(0.25,) * 3)
    assert openmix.infer(net, floats, mean=(0,) * 3, std=(1,) * 3).probabilities.shape == (23, 4), "normalised already"
    with pytest.raises(ValueError, match="knows 4 classes, 3 names"):
        openmix.infer(net, test_set.images, mean=(0, 0, 0), std=(1, 1, 1), classes="abc")


def test_a_network_of_one_channel_classifies_grey_images_alone(tmp_path):
    net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(16, 3))
    net.trained_on = dict(size=[4, 4], mean=[0.5], std=[0.25], classes=["a", "b", "c"])
    grey = torch.arange(16, dtype=torch.uint8).view(1, 1, 4, 4) * 16
    with torch.no_grad():
        expected = net((grey / 255 - 0.5) / 0.25).softmax(1)
    picture = Image.fromarray(grey[0, 0].numpy())
    picture.save(tmp_path / "grey.png")
    Image.new("RGB", (4, 4), (200, 0, 0)).save(tmp_path / "red.png")
    for given in (grey, grey[0], grey.numpy(), grey.permute(0, 2, 3, 1).numpy(), picture, tmp_path / "grey.png"):
        torch.testing.assert_close(openmix.infer(net, given).probabilities, expected)
    with pytest.raises(ValueError, match=r"trained on grey images, and .*red.png has colours"):
        openmix.infer(net, tmp_path / "red.png")
    with pytest.raises(ValueError, match=r"must have shape \(N, 1, H, W\)"):
        openmix.infer(net, grey.expand(1, 3, 4, 4))


def test_images_of_other_channels_come_as_tensors_and_vectors_not_at_all(tmp_path):
    net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(32, 3))
    net.trained_on = dict(size=[4, 4], mean=[0.5] * 2, std=[0.25] * 2)
    assert openmix.infer(net, torch.rand(5, 2, 4, 4)).probabilities.shape == (5, 3)
    with pytest.raises(ValueError, match=r"trained on 2 channels.*give a tensor \(N, 2, H, W\)"):
        openmix.infer(net, Image.new("RGB", (4, 4)))
    net.trained_on = dict(size=[], mean=None, std=None)
    with pytest.raises(ValueError, match="trained on vectors.*call the network itself"):
        openmix.infer(net, torch.rand(5, 32))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_networks_of_another_precision_classify_alike(runs, test_set, dtype):
    net = openmix.get_model("CifarResNet", 10, depth=8, pretrained=runs / "MixUp")
    expected = openmix.infer(net, test_set.images).probabilities
    for images in (test_set.images, test_set.images / 255, (test_set.images / 255).to(dtype)):
        actual = openmix.infer(net.to(dtype), images).probabilities
        assert actual.dtype == torch.float32
        torch.testing.assert_close(actual, expected, rtol=0, atol=0.05)


def test_logits_that_are_not_finite_are_an_error(runs, test_set):
    net = openmix.get_model("CifarResNet", 10, depth=8, pretrained=runs / "MixUp")
    with torch.no_grad():
        net.head.fc.bias[3] = torch.nan
    with pytest.raises(ValueError, match="logits that are not finite"):
        openmix.infer(net, test_set.images)


NAMES = [f"name {i}" for i in range(10)]


@pytest.mark.parametrize("classes", [
    NAMES, tuple(NAMES), np.array(NAMES), dict(enumerate(NAMES)), {9 - i: NAMES[9 - i] for i in range(10)},
    {str(i): name for i, name in enumerate(NAMES)}, {np.int64(i): name for i, name in enumerate(NAMES)},
    {name: i for i, name in enumerate(NAMES)}], ids=["list", "tuple", "array", "dict", "any order", "JSON", "numpy",
                                                    "class_to_idx"])
def test_names_of_classes_are_given_in_order_or_by_index(runs, test_set, classes):
    actual = openmix.infer(runs / "MixUp", test_set.images, classes=classes)
    assert actual.names == [NAMES[i] for i in actual.labels.tolist()]


@pytest.mark.parametrize("classes, error, message", [
    (dict(enumerate(NAMES[:9])), ValueError, "classes 0 to 9, the indices of classes are 0, 1, 2"),
    ({i + 1: name for i, name in enumerate(NAMES)}, ValueError, "classes 0 to 9, the indices of classes are 1, 2"),
    ({"a": "b"}, ValueError, "must be {index: name} or {name: index}"), ({}, ValueError, "indices of classes are"),
    ([], ValueError, "10 classes, 0 names"), (set(NAMES), TypeError, "a set has none"),
])
def test_names_that_are_not_those_of_the_outputs_are_refused(runs, test_set, classes, error, message):
    with pytest.raises(error, match=message):
        openmix.infer(runs / "MixUp", test_set.images, classes=classes)


def test_the_callers_random_numbers_and_the_run_stay_untouched(runs, test_set, rng_untouched):
    def state():
        files = sorted(p for p in (runs / "AutoMix").rglob("*") if p.is_file())
        return {p: hashlib.sha256(p.read_bytes()).hexdigest() for p in files}

    before = state()
    with rng_untouched():
        openmix.infer(runs / "AutoMix", test_set.images)
    assert state() == before


@pytest.mark.parametrize("images, error, message", [
    (torch.zeros(2, 1, 32, 32, dtype=torch.uint8), ValueError, r"shape \(N, 3, H, W\).*got \(2, 1, 32, 32\)"),
    (torch.zeros(2, 3, 32, 32, dtype=torch.int64), TypeError, "uint8 .* or floating point .* got torch.int64"),
    (torch.full((1, 3, 32, 32), 200.0), ValueError, r"must lie in \[0, 1\], got 200 to 200.*mean=\(0, 0, 0\)"),
    (torch.full((1, 3, 32, 32), 1.5), ValueError, r"must lie in \[0, 1\], got 1.5 to 1.5"),
    (torch.full((1, 3, 32, 32), -0.1), ValueError, r"must lie in \[0, 1\], got -0.1"),
    (torch.full((1, 3, 32, 32), 200.0, dtype=torch.float16), ValueError, r"must lie in \[0, 1\], got 200"),
    (torch.full((1, 3, 32, 32), torch.nan), ValueError, "must be finite numbers, got nan to nan"),
    (torch.full((1, 3, 32, 32), -torch.inf), ValueError, "must be finite numbers, got -inf"),
    (np.zeros((2, 32, 32, 4), np.uint8), ValueError, r"got \(2, 32, 32, 4\)"),
    (np.zeros((32, 32), np.uint8), ValueError, r"got \(32, 32\)"),
    (np.zeros((2, 32, 32, 3), np.uint16), TypeError, "uint8 .* or floating point .* got torch.uint16"),
    (np.zeros((2, 32, 32, 3), bool), TypeError, "got torch.bool"),
    (np.array(["a.png", "b.png"]), TypeError, "array of uint8 or floating-point numbers, got <U5"),
    (torch.zeros(1, 3, 64, 64, dtype=torch.uint8), ValueError, r"trained on images of \(32, 32\), got \(1, 3, 64"),
    ("nowhere.png", FileNotFoundError, "no image nowhere.png"),
    (__file__, ValueError, "cannot be read as an image"),
    (dict(), TypeError, "got dict"),
])
def test_what_cannot_be_classified_is_refused_by_name(runs, images, error, message):
    with pytest.raises(error, match=message):
        openmix.infer(runs / "MixUp", images)


def test_no_images_give_no_predictions(runs):
    actual = openmix.infer(runs / "MixUp", [])
    assert actual.labels.shape == (0,) and actual.names == [] and actual.probabilities.shape == (0, 10)
    assert openmix.infer(runs / "MixUp", [], classes=NAMES).names == []


def test_what_holds_no_network_is_refused_by_name(runs, tmp_path, test_set):
    with pytest.raises(ValueError, match="holds no weights; give .config, checkpoint."):
        openmix.infer(runs / "MixUp" / "config.py", test_set.images)
    with pytest.raises(FileNotFoundError, match="holds no checkpoint"):
        openmix.infer(tmp_path, test_set.images)
    with pytest.raises(FileNotFoundError, match="no checkpoint nothing.pth"):
        openmix.infer("nothing.pth", test_set.images)
    with pytest.raises(ValueError, match="no network 'emma'; did you mean 'ema'"):
        openmix.infer(runs / "MixUp", test_set.images, network="emma")
    torch.save(torch.nn.Linear(2, 2).state_dict(), tmp_path / "foreign.pth")
    with pytest.raises(ValueError, match="does not name its network"):
        openmix.infer(tmp_path / "foreign.pth", test_set.images)


def test_pretrained_weights_must_be_of_that_network(runs, tmp_path):
    with pytest.raises(ValueError, match="missing: backbone.*and .* more"):
        openmix.get_model("CifarResNet", 10, depth=14, pretrained=runs / "MixUp")
    with pytest.raises(FileNotFoundError, match="nothing.pth"):
        openmix.get_model("CifarResNet", 10, depth=8, pretrained="nothing.pth")
    with pytest.raises(ValueError, match="no published weights of ResNet.*pretrained=PATH"):
        openmix.get_model("ResNet", 10, depth=18, pretrained=True)


def test_the_weights_of_a_run_with_another_number_of_classes_leave_the_head_new(runs, test_set):
    with pytest.warns(UserWarning, match="head of 10 classes, this model one of 7: the head stays new, head.fc.weight"):
        net = openmix.get_model("CifarResNet", 7, depth=8, pretrained=runs / "MixUp")
    actual = openmix.infer(net, test_set.images)
    assert actual.probabilities.shape == (23, 7) and set(actual.names) <= set("0123456"), "names of the old head"


def test_foreign_weights_with_a_config_are_normalised_as_it_says(runs, tmp_path, test_set):
    net = openmix.get_model("CifarResNet", 10, depth=8)
    torch.save(net.state_dict(), tmp_path / "foreign.pth")
    cfg = config("unused")
    with pytest.raises(ValueError, match="give mean= and std="):
        openmix.infer((cfg, tmp_path / "foreign.pth"), test_set.images)
    cfg.data_preprocessor = dict(mean=(0.1, 0.2, 0.3), std=(0.4, 0.5, 0.6))
    actual = openmix.infer((cfg, tmp_path / "foreign.pth"), test_set.images)
    expected = openmix.infer(net, test_set.images, mean=(0.1, 0.2, 0.3), std=(0.4, 0.5, 0.6))
    assert torch.equal(actual.probabilities, expected.probabilities)


def test_foreign_weights_are_loaded_by_their_names(tmp_path):
    net = openmix.get_model("CifarResNet", 10, depth=8)
    torch.save(dict(model={f"module.{k}": v for k, v in net.state_dict().items()}), tmp_path / "foreign.pth")
    actual = openmix.get_model("CifarResNet", 10, depth=8, pretrained=tmp_path / "foreign.pth")
    assert all(torch.equal(v, actual.state_dict()[k]) for k, v in net.state_dict().items())


@pytest.mark.parametrize("library, option", [("TimmModel", dict(pretrained=True)),
                                             ("TorchvisionModel", dict(weights="DEFAULT"))])
def test_true_asks_the_library_for_its_weights(monkeypatch, library, option):
    asked = []
    monkeypatch.setattr("openmix.models.build_net", lambda backbone, num_classes: asked.append(backbone))
    openmix.get_model(library, 10, name="resnet18", pretrained=True)
    assert asked == [dict(type=library, name="resnet18", **option)]
