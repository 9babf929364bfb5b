"""Data, checkpoints and folders that are wrong: a clear error, exit code 2, nothing lost, nothing executed."""
import json
import os
import pickle
import resource

import numpy as np
import pytest
import torch
from mmengine.visualization import LocalVisBackend
from PIL import Image

from openmix.datasets import CIFAR100, Shapes
from openmix.engine import checkpoint
from tests.console import main, write
from tests.datasets.fabricate import cifar100_files, tar, write_folder
from tests.engine.tiny import assert_equal_state, config

ARCHIVE = "cifar-100-python.tar.gz"


class Malice:
    """A pickle of this makes a file when it is read carelessly."""

    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return os.system, (f"touch {self.marker}",)


@pytest.fixture
def train(tmp_path, capsys):
    """``train(cfg, *flags)``: exit code of tools/train.py on ``cfg`` in the work dir ``run``, and its messages."""
    def act(cfg, *flags, run="run"):
        code = main("train", write(cfg, tmp_path / "config.json"), "--work-dir", tmp_path / run, *flags)
        return code, capsys.readouterr().err
    return act


@pytest.fixture
def refused(train):
    """``refused(cfg, *flags)``: the message of a run that ends with 2 and without a traceback."""
    def act(cfg, *flags, **where):
        code, message = train(cfg, *flags, **where)
        assert code == 2, message
        assert "error: " in message and "Traceback" not in message
        return message
    return act


def on(data, **changes):
    """A config that trains and tests on ``data``."""
    cfg = config("unused", epochs=1, custom_hooks=[], **changes)
    cfg.train_dataloader.dataset = dict(data, split="train")
    cfg.val_dataloader.dataset = dict(data, split="test")
    cfg.test_dataloader.dataset = dict(data, split="test")
    return cfg


def arrays(folder, n=20, classes=10, side=32, labels=None):
    """Two npz files, and the config of a data set in them."""
    folder.mkdir(exist_ok=True)
    rng = np.random.default_rng(0)
    for split in ("train", "test"):
        np.savez(folder / f"{split}.npz", images=rng.integers(0, 256, (n, side, side, 3), dtype=np.uint8),
                 labels=np.arange(n) % classes if labels is None else labels, classes=[f"c{i}" for i in range(classes)])
    return dict(type="ArrayFile", data_root=str(folder))


def state(folder):
    return json.loads((folder / "status.json").read_text())


# -- data ------------------------------------------------------------------------------------------------------------

def test_missing_data_says_what_to_do_and_the_same_command_works_once_it_is_there(refused, train, tmp_path):
    message = refused(on(dict(type="CIFAR100", data_root=str(tmp_path / "data"))))
    assert "no data in" in message and "download=True" in message and "Shapes" in message
    assert not (tmp_path / "data").exists()
    cfg = on(dict(type="ArrayFile", data_root=str(tmp_path / "arrays")))
    assert "openmix data" in refused(cfg)
    assert state(tmp_path / "run")["state"] == "invalid" and "openmix data" in state(tmp_path / "run")["reason"]
    assert len(list((tmp_path / "run").glob("*.py"))) == 1, "its config is there, for the tables"
    arrays(tmp_path / "arrays")
    assert train(cfg)[0] == 0


@pytest.mark.parametrize("content", [b"", b"no archive at all" * 100, tar(cifar100_files())[:-5000]],
                         ids=["empty", "garbage", "cut"])
def test_a_corrupt_archive_is_named_and_left_alone(refused, tmp_path, content):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / ARCHIVE).write_bytes(content)
    message = refused(on(dict(type="CIFAR100", data_root=str(tmp_path / "data"))))
    assert "cannot be unpacked" in message and ARCHIVE in message
    assert (tmp_path / "data" / ARCHIVE).read_bytes() == content and not (tmp_path / "data/cifar-100-python").exists()


@pytest.mark.parametrize("packed", [True, False], ids=["archive", "folder"])
def test_a_malicious_archive_executes_nothing(refused, tmp_path, monkeypatch, packed):
    monkeypatch.setattr(CIFAR100, "per_class", dict(train=2, test=1))
    marker, files = tmp_path / "marker", cifar100_files()
    files["train"] = pickle.dumps({"data": Malice(marker), "fine_labels": []}, protocol=2)
    if packed:
        (tmp_path / "data").mkdir()
        (tmp_path / "data" / ARCHIVE).write_bytes(tar(files))
    else:
        write_folder(tmp_path / "data", files)
    message = refused(on(dict(type="CIFAR100", data_root=str(tmp_path / "data"))))
    assert "nothing was executed" in message and not marker.exists()
    pickle.loads(files["train"])  # the negative control: these bytes do run elsewhere
    assert marker.exists()


@pytest.mark.parametrize("classes", [5, 12])
def test_a_wrong_number_of_classes_says_what_to_set(refused, tmp_path, classes):
    message = refused(on(arrays(tmp_path / "data", 24, classes)))
    assert f"the model has 10 classes but data has {classes}" in message.replace("train", "data")
    assert f"set model.num_classes={classes}" in message


@pytest.mark.parametrize("bad", [10, -1, 255])
def test_a_label_out_of_range_is_named_with_its_image(refused, tmp_path, bad):
    labels = np.arange(20) % 10
    labels[7] = bad
    message = refused(on(arrays(tmp_path / "data", labels=labels)))
    assert f"label {bad} of image 7 is out of range, classes are 0 to 9" in message


def test_a_truncated_image_is_named(refused, train, tmp_path):
    for split in ("train", "test"):
        for name in "abcdefghij":
            path = tmp_path / "data" / split / name / "0.jpg"
            path.parent.mkdir(parents=True)
            Image.fromarray(np.random.default_rng(2 * ord(name) + (split == "test")).integers(
                0, 256, (40, 40, 3), dtype=np.uint8)).save(path)
    broken = tmp_path / "data" / "train" / "c" / "0.jpg"
    whole = broken.read_bytes()
    broken.write_bytes(whole[: len(whole) // 2])
    cfg = on(dict(type="ImageFolderData", data_root=str(tmp_path / "data"), size=32))
    message = refused(cfg)
    assert f"cannot read the image {broken}" in message and "on_error='skip'" in message
    broken.write_bytes(whole)
    assert train(cfg)[0] == 0


def test_a_set_smaller_than_a_batch(refused, tmp_path):
    message = refused(on(arrays(tmp_path / "data", 20), **{"train_dataloader.total_batch": 32}))
    assert "20 images make no batch of total_batch=32; lower total_batch" in message


def test_images_smaller_than_the_blocks_of_puzzlemix(refused, tmp_path):
    message = refused(on(arrays(tmp_path / "data", side=8), mixup="PuzzleMix"))
    assert "16 does not divide both sides of 8x8 images; possible are 2, 4, 8" in message


def test_a_border_wider_than_the_images(refused, tmp_path):
    message = refused(on(arrays(tmp_path / "data", side=4)))
    assert "padding must be a whole number in [0, 3]" in message


# -- names that only the model knows ---------------------------------------------------------------------------------

@pytest.fixture
def no_data(monkeypatch):
    def touched(*args, **kwargs):
        raise AssertionError("data was touched")
    touched.__wrapped__ = Shapes.__init__  # its keys are still checked
    monkeypatch.setattr(Shapes, "__init__", touched)


@pytest.mark.parametrize("mixup", [dict(type="ManifoldMix", layers=["input", "leyer2"]),
                                   dict(type="AutoMix", layer="leyer2")])
def test_an_unknown_layer_names_the_nearest_before_data_is_touched(refused, no_data, mixup):
    message = refused(config("unused", mixup=mixup))
    assert "no layer 'leyer2'; did you mean 'layer2'" in message


@pytest.mark.parametrize("loop", ["val_cfg", "test_cfg"])
def test_an_unknown_network_to_report_is_refused_before_training(refused, no_data, loop):
    message = refused(config("unused", mixup="AutoMix", **{f"{loop}.network": "mix_kk"}))
    assert f"{loop}.network: no network 'mix_kk'" in message and "did you mean 'mix_k'" in message
    assert "ema" in message  # networks of hooks are known, too


# -- work dirs and full disks ----------------------------------------------------------------------------------------

@pytest.mark.parametrize("below", ["", "inside"])
def test_a_file_where_the_work_dir_should_be(refused, tmp_path, below):
    (tmp_path / "run").write_text("mine")
    message = refused(config("unused"), run=f"run/{below}")
    assert "cannot use" in message and "--work-dir" in message
    assert (tmp_path / "run").read_text() == "mine"


@pytest.fixture
def limited():
    """``limited(bytes)``: from now on no file grows larger than that, as on a disk that is full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield lambda size: resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk_keeps_the_older_checkpoint_and_the_run_goes_on_later(train, tmp_path, limited):
    whole = config("unused", epochs=2)
    assert train(whole, run="whole")[0] == 0
    cut = config("unused", epochs=2, **{"train_cfg.stop_after": 4})  # the end of the first epoch
    assert train(cut)[0] == 128
    older = (tmp_path / "run" / "epoch_1.pth").read_bytes()
    limited(200_000)
    code, message = train(whole, "--resume")
    assert code == 1 and "Traceback" not in message
    assert "cannot write" in message and "epoch_2.pth" in message and "bytes are free" in message
    assert (tmp_path / "run" / "epoch_1.pth").read_bytes() == older
    assert [p.name for p in (tmp_path / "run").glob("*.tmp")] == [] and not (tmp_path / "run/epoch_2.pth").exists()
    assert state(tmp_path / "run")["state"] == "failed"
    limited(resource.RLIM_INFINITY)
    assert train(whole, "--resume")[0] == 0
    a, b = (checkpoint.load(tmp_path / name / "epoch_2.pth")["state_dict"] for name in ("whole", "run"))
    assert_equal_state(a, b)


@pytest.mark.parametrize("size", [5_000, 40_000])
def test_a_disk_that_is_full_at_the_start_is_one_line_with_path_and_room(train, tmp_path, limited, size):
    limited(size)
    code, message = train(config("unused", epochs=1))
    limited(resource.RLIM_INFINITY)
    assert code == 1 and message.count("\n") == 1
    assert f"cannot write in {tmp_path / 'run'}: File too large" in message and "bytes are free there" in message
    assert list((tmp_path / "run").iterdir()) == []


def test_a_disk_that_fills_up_during_the_start_is_named_as_well(train, tmp_path, monkeypatch):
    def full(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(LocalVisBackend, "add_config", full)
    code, message = train(config("unused", epochs=1))
    assert code == 1 and f"cannot write in {tmp_path / 'run'}: No space left" in message and "bytes are" in message


def test_a_full_disk_costs_log_lines_and_pictures_but_not_the_run(train, tmp_path, monkeypatch):
    def full(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(LocalVisBackend, "add_scalars", full)
    monkeypatch.setattr("openmix.visualization.save_mix_picture", full)
    cfg = config("unused", epochs=1)
    cfg.default_hooks.preview = dict(interval=1)
    code, message = train(cfg)
    assert code == 0 and message.count("could not write") >= 3 and "No space left" in message
    assert json.loads((tmp_path / "run" / "result.json").read_text())["status"] == "done"


# -- checkpoints -----------------------------------------------------------------------------------------------------

@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """The work dir of a run of three epochs."""
    folder = tmp_path_factory.mktemp("run")
    path = write(config("unused", epochs=3), folder / "config.json")
    assert main("train", path, "--work-dir", folder / "run") == 0
    return folder / "run"


@pytest.fixture
def interrupted(run, tmp_path):
    """That run as it was before its last epoch was recorded: to be resumed."""
    (tmp_path / "run").mkdir()
    for k in (1, 2):
        for suffix in ("", ".sha256"):
            (tmp_path / "run" / f"epoch_{k}.pth{suffix}").write_bytes((run / f"epoch_{k}.pth{suffix}").read_bytes())
    return tmp_path / "run"


def cut(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def flip(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def empty(path):
    path.write_bytes(b"")


@pytest.mark.parametrize("damage", [cut, flip, empty])
def test_a_damaged_newest_checkpoint_costs_an_epoch(train, interrupted, run, damage):
    damage(interrupted / "epoch_2.pth")
    assert train(config("unused", epochs=3), "--resume")[0] == 0
    assert (interrupted / "epoch_2.pth.corrupt").exists()
    a, b = (checkpoint.load(folder / "epoch_3.pth")["state_dict"] for folder in (run, interrupted))
    assert_equal_state(a, b)


def test_with_every_checkpoint_damaged_nothing_starts_again_silently(refused, interrupted):
    for path in interrupted.glob("*.pth"):
        cut(path)
    before = {p.name: p.read_bytes() for p in interrupted.iterdir()}
    for _ in range(2):
        assert "no valid checkpoint left" in refused(config("unused", epochs=3), "--resume")
        assert {p.name: p.read_bytes() for p in interrupted.iterdir() if p.name != ".lock"} == before


@pytest.mark.parametrize("flag", ["--load-from", "--resume"])
def test_a_damaged_file_that_was_named_is_an_error(refused, interrupted, tmp_path, flag):
    path = interrupted / "epoch_2.pth"
    cut(path)
    before = path.read_bytes()
    message = refused(config("unused", epochs=3), flag, path, run="other")
    assert "epoch_2.pth is damaged" in message and path.read_bytes() == before


def malicious(folder):
    path, marker = folder / "bad.pth", folder / "marker"
    torch.save(dict(state_dict=Malice(marker), meta={}), path)
    return path, marker


@pytest.mark.parametrize("flag", ["--load-from", "--resume"])
def test_a_malicious_checkpoint_executes_nothing_in_training(refused, tmp_path, flag):
    path, marker = malicious(tmp_path)
    assert "is refused" in refused(config("unused"), flag, path) and not marker.exists()
    torch.load(path, weights_only=False)  # the negative control
    assert marker.exists()


def test_a_malicious_checkpoint_in_the_work_dir_executes_nothing(refused, interrupted, tmp_path):
    path, marker = malicious(tmp_path)
    for old in interrupted.iterdir():
        old.unlink()
    path.rename(interrupted / "epoch_7.pth")
    assert "no valid checkpoint left" in refused(config("unused"), "--resume") and not marker.exists()


def test_a_malicious_checkpoint_executes_nothing_in_testing(tmp_path, capsys):
    path, marker = malicious(tmp_path)
    assert main("test", write(config("unused"), tmp_path / "c.json"), path, "--work-dir", tmp_path / "test") == 2
    assert "is refused" in capsys.readouterr().err and not marker.exists()


@pytest.mark.parametrize("change, message", [
    ({"model.num_classes": 7}, "set model.num_classes=10"),
    ({"model.backbone.depth": 14}, "lacks"),
    ({"model.mixup": dict(type="AutoMix")}, "lacks"),
])
def test_weights_of_another_model_are_never_tested(run, tmp_path, capsys, change, message):
    path = write(config("unused", **change), tmp_path / "c.json")
    assert main("test", path, run / "best.pth", "--work-dir", tmp_path / "test") == 2
    actual = capsys.readouterr().err
    assert message in actual and "Traceback" not in actual


def test_weights_of_another_shape_are_no_start(refused, run, tmp_path):
    weights = checkpoint.load(run / "best.pth")["state_dict"]
    torch.save({**weights, "net.head.fc.weight": torch.zeros(7, 64)}, tmp_path / "seven.pth")
    message = refused(config("unused"), "--load-from", tmp_path / "seven.pth")
    assert "does not fit this model" in message and "net.head.fc.weight" in message


def test_a_file_without_weights_is_no_start(refused, tmp_path):
    torch.save({"a": torch.zeros(3)}, tmp_path / "other.pth")
    assert "holds no weight of this model" in refused(config("unused"), "--load-from", tmp_path / "other.pth")
    torch.save([1, 2], tmp_path / "list.pth")
    assert "expected a dict" in refused(config("unused"), "--load-from", tmp_path / "list.pth", run="b")


def test_weights_alone_are_no_run_to_resume(refused, run, tmp_path):
    torch.save(checkpoint.load(run / "best.pth")["state_dict"], tmp_path / "weights.pth")
    assert "use --load-from" in refused(config("unused"), "--resume", tmp_path / "weights.pth")


def test_an_average_starts_from_weights_that_came_without_one(run, tmp_path, capsys):
    """Tested on plain weights, the moving average is the network and not a random one."""
    torch.save(checkpoint.load(run / "best.pth")["state_dict"], tmp_path / "weights.pth")
    path = write(config("unused"), tmp_path / "c.json")
    out = tmp_path / "out.json"
    assert main("test", path, tmp_path / "weights.pth", "--work-dir", tmp_path / "test", "--out", out) == 0
    actual = json.loads(out.read_text())
    assert actual["ema"] == actual["net"]


def test_a_torn_result_is_reported_and_kept(refused, interrupted):
    (interrupted / "result.json").write_text('{"schema": 1, ')
    message = refused(config("unused", epochs=3))
    assert "is no result of a run" in message and "--resume continues the run" in message
    assert (interrupted / "result.json").read_text() == '{"schema": 1, '
