"""The data of training, evaluation and a checkpoint: compared by classes and images, and named."""
import json
import re

import numpy as np
import pytest
from mmengine.config import Config

from openmix import apis
from openmix.engine import checkpoint
from openmix.engine.agreement import check_resumed
from openmix.engine.config.data import check_data
from openmix.engine.runner import Runner
from openmix.engine.train_loop import Stopped
from openmix.inference.publish import publish
from tests.console import main, write
from tests.engine.tiny import config, train

FOLDER, ARRAYS = dict(type="ImageFolderData", data_root="data"), dict(type="ArrayFile", data_root="data")
SHAPES = dict(type="Shapes")
COLOURS = dict(a=(220, 30, 30), b=(30, 220, 30), c=(30, 30, 220), d=(220, 220, 30))


# -- configs -----------------------------------------------------------------------------------------------------------

def names(train, val=None, test=None, **more):
    """A config of data sets alone."""
    loaders = dict(train_dataloader=train, val_dataloader=val, test_dataloader=test)
    return Config({k: dict(dataset=v) if "dataset" not in v else v for k, v in loaders.items() if v} | more)


@pytest.mark.parametrize("loader", ["val", "test"])
@pytest.mark.parametrize("train, other", [
    (FOLDER, dict(SHAPES, split="test")), (FOLDER, dict(FOLDER, data_root="other", split="test")),
    (ARRAYS, dict(FOLDER, split="test")), (dict(FOLDER, name="x"), dict(FOLDER, name="y", split="test")),
])
def test_evaluation_on_another_set_than_training_is_refused_unless_the_config_says_so(loader, train, other):
    with pytest.raises(ValueError, match=rf"train_dataloader reads {train['type']}.* and {loader}_dataloader reads "
                                         rf"{other['type']}.*{loader}_dataloader.allow=\['other_data'\]"):
        check_data(names(train, **{loader: other}))
    check_data(names(train, **{loader: dict(dataset=other, allow=["other_data"])}))


@pytest.mark.parametrize("train, other", [
    (FOLDER, dict(FOLDER, split="test")), (FOLDER, dict(type="ImageFolderData", split="test")),  # "data" by default
    (dict(ARRAYS, data_root="x/train.npz"), dict(ARRAYS, data_root="./x/test.npz", split="test")),
    (SHAPES, dict(SHAPES, split="test", num_images=99)),
    (dict(FOLDER, size=32), dict(FOLDER, size=48, split="val")),
])
def test_parts_of_one_set_are_one_set(train, other):
    check_data(names(train, other, other))


def test_the_base_of_a_config_does_not_lend_its_evaluation_to_other_training_data(tmp_path):
    cfg = config(tmp_path)
    cfg.train_dataloader.dataset = dict(FOLDER, size=32)
    with pytest.raises(ValueError, match="reads ImageFolderData of .*data and val_dataloader reads Shapes"):
        Runner.from_cfg(cfg)
    assert not list(tmp_path.iterdir()), "nothing was started"


@pytest.mark.parametrize("train, other, overlap", [
    (dict(), dict(split="val", val_size=5), True), (dict(val_size=4), dict(split="val", val_size=5), True),
    (dict(val_size=5), dict(split="val", val_size=5), False), (dict(val_size=6), dict(split="val", val_size=5), False),
    (dict(), dict(split="val"), False), (dict(val_size=5), dict(split="val"), False),
    (dict(split="val"), dict(split="val", val_size=5), False), (dict(split="val"), dict(split="val"), True),
    (dict(split="val", val_size=5), dict(split="train", val_size=5), False),
    (dict(split="val", val_size=6), dict(split="train", val_size=5), True),
    (dict(), dict(split="train"), True), (dict(), dict(), True), (dict(val_size=5), dict(split="train"), True),
    (dict(split="test"), dict(split="test"), True), (dict(split="test"), dict(split="train"), False),
    (dict(), dict(split="test"), False), (dict(), dict(split="test", val_size=5), False),
])
def test_validation_on_images_that_are_trained_on_is_refused(train, other, overlap):
    train, other = dict(FOLDER, **train), dict(FOLDER, **other)
    check_data(names(train, dict(dataset=other, allow=["training_images"])))
    if not overlap:
        return check_data(names(train, other, other))
    with pytest.raises(ValueError, match=r"val_dataloader.dataset .* holds images that are trained on"):
        check_data(names(train, other))
    if other.get("split", "train") != "train":  # the training error may be measured on purpose
        with pytest.raises(ValueError, match=r"test_dataloader.dataset .* holds images that are trained on"):
            check_data(names(train, None, other))
    else:
        check_data(names(train, None, other))


@pytest.mark.parametrize("allow, error", [("other_data", TypeError), (["other data"], ValueError), (5, TypeError)])
def test_what_is_allowed_is_a_list_of_known_words(allow, error):
    with pytest.raises(error, match="other_data"):
        check_data(names(SHAPES, dict(dataset=dict(SHAPES, split="test"), allow=allow)))


MEAN, OTHER = (0.1, 0.2, 0.3), (0.4, 0.4, 0.4)


@pytest.mark.parametrize("key", ["mean", "std"])
def test_statistics_in_two_places_agree_or_are_an_error(key):
    train, test = dict(ARRAYS, **{key: MEAN}), dict(ARRAYS, split="test")
    check_data(names(train, test, data_preprocessor={key: list(MEAN)}))
    check_data(names(train, test))
    check_data(names(train, {**test, key: np.array(MEAN)}))
    with pytest.raises(ValueError, match=rf"data_preprocessor.{key} is .*0.4.* and train_dataloader.dataset.{key} is"):
        check_data(names(train, test, data_preprocessor={key: OTHER}))
    with pytest.raises(ValueError, match=rf"train_dataloader.dataset.{key} is .* and val_dataloader.dataset.{key} is"):
        check_data(names(train, {**test, key: OTHER}))
    with pytest.raises(ValueError, match=rf"test_dataloader.dataset.{key} is given and that of training is not"):
        check_data(names(ARRAYS, test, {**test, key: OTHER}))


# -- runs --------------------------------------------------------------------------------------------------------------

def npz(path, order="abcd", n=10, seed=0, **options):
    """An npz file of coloured images, labelled by the place of their class in ``order``."""
    rng = np.random.default_rng(seed)
    images = [COLOURS[c] + rng.integers(-25, 25, (16, 16, 3)) for c in order for _ in range(n)]
    content = dict(images=np.clip(images, 0, 255).astype(np.uint8), labels=np.repeat(np.arange(len(order)), n),
                   classes=list(order))
    path.parent.mkdir(exist_ok=True)
    np.savez(path, **content | options)


def coloured(tmp_path, **changes):
    """A config on ``train.npz`` and ``test.npz`` of ``tmp_path/data``."""
    cfg = config(tmp_path / "run", mixup="Vanilla", epochs=1, custom_hooks=[], total_batch=20)
    for name, split in (("train", "train"), ("val", "test"), ("test", "test")):
        cfg[f"{name}_dataloader"].dataset = dict(type="ArrayFile", data_root=str(tmp_path / f"data/{split}.npz"),
                                                 split=split)
    cfg.model.num_classes = 4
    cfg.merge_from_dict(changes)
    return cfg


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A run of three epochs that classifies by colour."""
    folder = tmp_path_factory.mktemp("colours")
    npz(folder / "data/train.npz"), npz(folder / "data/test.npz", seed=1)
    runner = train(coloured(folder, **{"train_cfg.max_epochs": 3}))
    assert runner.history[-1]["val"]["net"]["top1"] == 100
    return folder


def accuracy(finished, tmp_path, weights=None, **changes):
    """Top-1 of the finished run on ``tmp_path/data/test.npz``; without the training set, as in a config for tests."""
    cfg = coloured(tmp_path, **changes)
    cfg.pop("train_dataloader"), cfg.pop("train_cfg"), cfg.pop("optim_wrapper")
    return apis.test(cfg, weights or finished / "run/epoch_3.pth")["net"]["top1"]


@pytest.mark.parametrize("order", ["abcd", "bcda", "db"])
def test_validation_and_test_sets_are_numbered_by_name_as_in_training(finished, tmp_path, order):
    npz(tmp_path / "data/test.npz", order, seed=2)
    assert accuracy(finished, tmp_path) == 100
    npz(tmp_path / "data/train.npz")
    cfg = coloured(tmp_path, **{"train_cfg.limit": 1, "load_from": str(finished / "run/epoch_3.pth"),
                                "optim_wrapper.optimizer.lr": 0.0})
    assert train(cfg).history[-1]["val"]["net"]["top1"] > 90


def test_classes_that_training_lacks_are_named(finished, tmp_path):
    npz(tmp_path / "data/test.npz", classes=["a", "b", "x", "y"], seed=2)
    published = publish(finished / "run", tmp_path)
    for weights in (None, published):
        with pytest.raises(ValueError, match="the checkpoint, trained on .*, lacks: x, y; .* has a, b, c, d"):
            accuracy(finished, tmp_path, weights)
    npz(tmp_path / "data/train.npz")
    with pytest.raises(ValueError, match="val_dataloader: .*lacks: x, y.*other_classes"):
        train(coloured(tmp_path))
    assert accuracy(finished, tmp_path, **{"test_dataloader.allow": ["other_classes"]}) == 100  # as they are numbered


def test_a_start_from_weights_of_other_classes_is_no_fault(finished, tmp_path):
    for split, seed in (("train", 0), ("test", 1)):
        npz(tmp_path / f"data/{split}.npz", classes=list("wxyz"), seed=seed)
    train(coloured(tmp_path, load_from=str(finished / "run/epoch_3.pth"), **{"train_cfg.limit": 1}))


def test_validation_images_that_other_files_train_on_are_refused_and_a_few_are_reported(tmp_path):
    npz(tmp_path / "data/train.npz"), npz(tmp_path / "data/test.npz")
    with pytest.raises(ValueError, match="40 of the 40 images of val_dataloader .* are in the training set"):
        train(coloured(tmp_path))
    images = np.load(tmp_path / "data/train.npz")["images"]
    npz(tmp_path / "data/test.npz", seed=1)
    fresh = np.load(tmp_path / "data/test.npz")["images"]
    fresh[:2] = images[:2]
    npz(tmp_path / "data/test.npz", images=fresh)
    train(coloured(tmp_path, work_dir=str(tmp_path / "second"), **{"train_cfg.limit": 1}))
    log = next((tmp_path / "second").glob("*/*.log")).read_text()
    assert "WARNING - 2 of the 40 images of val_dataloader" in log


def test_a_checkpoint_is_not_tested_as_held_out_on_what_it_was_trained_on(finished, tmp_path):
    npz(tmp_path / "data/train.npz")
    data = dict(type="ArrayFile", data_root=str(tmp_path / "data/train.npz"))
    with pytest.raises(ValueError, match="split 'val' with val_size=8.* that the checkpoint was trained on"):
        accuracy(finished, tmp_path, **{"test_dataloader.dataset": dict(data, split="val", val_size=8)})
    npz(tmp_path / "data/test.npz")  # the training images under the name of a test set
    with pytest.raises(ValueError, match="holds images that the checkpoint was trained on"):
        accuracy(finished, tmp_path)
    assert accuracy(finished, tmp_path, **{"test_dataloader.allow": ["training_images"]}) == 100
    assert accuracy(finished, tmp_path, **{"test_dataloader.dataset": dict(data, split="train")}) == 100


def test_evaluation_normalises_as_training_did(tmp_path):
    npz(tmp_path / "data/train.npz"), npz(tmp_path / "data/test.npz", seed=1)
    runner = train(coloured(tmp_path, **{"train_dataloader.dataset.mean": list(MEAN), "train_cfg.limit": 1}))
    assert runner.val_loop.dataloader.mean.flatten().tolist() == pytest.approx(MEAN)
    cfg = coloured(tmp_path, load_from=str(tmp_path / "run/epoch_1.pth"))
    for key in ("train_dataloader", "train_cfg", "optim_wrapper", "param_scheduler",
                "val_dataloader", "val_cfg", "val_evaluator"):
        cfg.pop(key)
    runner = Runner.from_cfg(cfg)
    runner.test()
    assert runner.test_loop.dataloader.mean.flatten().tolist() == pytest.approx(MEAN)
    cfg.data_preprocessor = dict(mean=OTHER)
    runner = Runner.from_cfg(cfg)
    runner.test()
    assert runner.test_loop.dataloader.mean.flatten().tolist() == pytest.approx(OTHER)
    log = "".join(path.read_text() for path in tmp_path.glob("run/evals/*/*.log"))
    assert "was trained with the mean (0.1, 0.2, 0.3)" in log


def test_evaluation_data_are_named_in_log_result_and_the_output_of_a_test(finished, tmp_path, capsys):
    result = json.loads((finished / "run/result.json").read_text())
    log = next((finished / "run").glob("*/*.log")).read_text()
    saved = checkpoint.load(finished / "run/epoch_3.pth")["meta"]["data_sets"]
    for key, field, name in (("train", "data", "train"), ("val", "val_data", "test")):
        assert result[field]["name"] == saved[key]["name"] == name and len(result[field]["sha256"]) == 64
        assert result[field]["sha256"] == saved[key]["sha256"] and saved[key]["classes"] == list("abcd")
    assert f"validating on test, split test, 40 images of 4 classes, SHA-256 {saved['val']['sha256'][:16]}" in log
    path = write(coloured(finished), tmp_path / "c.json")
    out = tmp_path / "out.json"
    assert main("test", path, finished / "run/epoch_3.pth", "--work-dir", tmp_path / "t", "--out", out) == 0
    assert f"data: test, split test, SHA-256 {saved['val']['sha256']}" in capsys.readouterr().out
    assert json.loads(out.read_text())["data"]["sha256"] == saved["val"]["sha256"]


# -- a run goes on -----------------------------------------------------------------------------------------------------

def relabel(folder):
    npz(folder / "train.npz", labels=np.roll(np.repeat(np.arange(4), 10), 1))


CHANGES = {
    "images added": (lambda d: npz(d / "train.npz", n=15), "training data .*images: 40 -> 60"),
    "images removed": (lambda d: npz(d / "train.npz", n=6), "training data .*images of classes: a 10 -> 6"),
    "a class renamed": (lambda d: npz(d / "train.npz", classes=["a", "b", "c", "e"]), "classes that are gone: d"),
    "other labels": (relabel, "training data .*SHA-256 of images and labels: [0-9a-f]{64} -> [0-9a-f]{64}"),
    "other validation images": (lambda d: npz(d / "test.npz", seed=9), "validation data .*SHA-256"),
    "fewer validation images": (lambda d: npz(d / "test.npz", n=9, seed=1), "validation data .*images: 40 -> 36"),
}


@pytest.fixture(scope="module")
def stopped(tmp_path_factory):
    """A run that was stopped in the middle of an epoch; its checkpoint."""
    folder = tmp_path_factory.mktemp("stopped")
    npz(folder / "data/train.npz"), npz(folder / "data/test.npz", seed=1)
    with pytest.raises(Stopped):
        train(coloured(folder, **{"train_cfg.stop_after": 1}))
    return folder / "run/iter_1.pth"


@pytest.mark.parametrize("change", CHANGES)
def test_a_run_does_not_go_on_with_other_data(stopped, tmp_path, change):
    npz(tmp_path / "data/train.npz"), npz(tmp_path / "data/test.npz", seed=1)
    alter, message = CHANGES[change]
    alter(tmp_path / "data")
    if change == "a class renamed":
        npz(tmp_path / "data/test.npz", "abc", seed=1)
    with pytest.raises(ValueError, match="the data changed since the run was started:") as error:
        train(coloured(tmp_path, resume=str(stopped)))
    assert re.search(message, str(error.value))


def test_equal_data_elsewhere_go_on(stopped, tmp_path):
    """The negative control."""
    npz(tmp_path / "data/train.npz"), npz(tmp_path / "data/test.npz", seed=1)
    assert train(coloured(tmp_path, resume=str(stopped))).epoch == 1


def test_a_checkpoint_of_an_older_version_goes_on_with_a_warning():
    said = []
    check_resumed(None, dict(train={}, val=None), "old.pth", said.append)
    assert len(said) == 1 and "old.pth does not record which data it was trained on" in said[0]
