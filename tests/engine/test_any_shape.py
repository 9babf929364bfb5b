"""Runs on data that are no colour images: float vectors and one-channel maps, by config from training to a result."""
import json

import numpy as np
import pytest

from openmix import apis
from openmix.engine import checkpoint
from openmix.engine.train_loop import Stopped
from tests.engine.tiny import assert_equal_state, config, train

SHAPES = {"vectors": ((12,), dict(type="MLP", in_features=12, widths=[16])),
          "maps": ((20, 18), dict(type="SpeechLeNet", image_size=[20, 18])),
          "bytes": ((2, 12, 12), dict(type="CifarResNet", depth=8, in_channels=2))}


@pytest.fixture(params=SHAPES)
def run(request, tmp_path):
    """A config that trains two epochs of six steps; ``changes`` as of ``tiny.config``."""
    shape, backbone = SHAPES[request.param]
    for split, n in (("train", 60), ("test", 20)):
        rng = np.random.default_rng(n)
        labels = np.arange(n) % 10
        values = rng.normal(labels.reshape(-1, *[1] * len(shape)), 1, (n, *shape))
        values = (values * 10 + 60).clip(0, 255).astype(np.uint8) if request.param == "bytes" else values
        np.savez(tmp_path / f"{split}.npz", images=values, labels=labels)

    def build(name, **changes):
        first = {} if request.param != "bytes" else dict(channels_last=False)
        sets = {split: dict(type="ArrayFile", data_root=str(tmp_path), split=split, **first)
                for split in ("train", "test")}
        cfg = config(tmp_path / name, epochs=2)
        cfg.merge_from_dict(dict(data_preprocessor=None))
        cfg.model.backbone = backbone
        cfg.model.mixup = dict(type="MixUp", prob=0.5)
        cfg.train_dataloader = dict(total_batch=10, dataset=sets["train"])
        if request.param != "vectors":
            cfg.train_dataloader.augment = None
        cfg.val_dataloader = dict(batch_size=8, dataset=sets["test"])
        cfg.test_dataloader = cfg.val_dataloader
        cfg.merge_from_dict(changes)
        return cfg
    return build


def test_a_config_trains_evaluates_and_resumes_bit_exactly(run, tmp_path):
    record = apis.train(run("straight"))
    assert record["status"] == "done" and record["data"]["sha256"]
    with pytest.raises(Stopped):
        train(run("cut", **{"train_cfg.stop_after": 8}))
    train(run("cut", resume=True))
    straight, cut = (checkpoint.load(tmp_path / name / "epoch_2.pth") for name in ("straight", "cut"))
    for part in ("state_dict", "optimizer", "ema"):
        assert_equal_state(straight[part], cut[part])
    actual = apis.test(run("tested"), tmp_path / "cut" / "epoch_2.pth")
    last = json.loads((tmp_path / "straight" / "result.json").read_text())["networks"]
    assert actual.keys() == last.keys()


@pytest.mark.parametrize("mixup", [dict(type="CutMix"), dict(type="RandomChoice", methods=[
    dict(type="MixUp"), dict(type="CutMix")])], ids=["CutMix", "RandomChoice"])
def test_a_method_that_needs_images_refuses_vectors_at_the_start(mixup, tmp_path):
    np.savez(tmp_path / "train.npz", images=np.random.default_rng(0).normal(size=(20, 12)), labels=np.arange(20) % 10)
    cfg = config(tmp_path / "refused", mixup=mixup, val_cfg=None, val_dataloader=None, val_evaluator=None,
                 test_cfg=None, test_dataloader=None, test_evaluator=None)
    cfg.model.backbone = dict(type="MLP", in_features=12)
    cfg.train_dataloader = dict(total_batch=10, dataset=dict(type="ArrayFile", data_root=str(tmp_path)))
    with pytest.raises(ValueError, match=r"CutMix needs images \(N, C, H, W\), got shape \(1, 12\)"):
        train(cfg)
