"""tools/publish_model.py: weights to hand out."""
import hashlib
import json
from pathlib import Path

import pytest
import torch

import openmix
from openmix.datasets import Shapes
from openmix.engine.config.check import check_config
from openmix.models import build_net
from tests import forked
from tests.engine.tiny import config, train

ROOT = Path(__file__).resolve().parents[2]


def tool(*arguments):
    return forked.run(ROOT / "tools" / "publish_model.py", *arguments)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """The work dir of a finished AutoMix run."""
    folder = tmp_path_factory.mktemp("run") / "work"
    train(config(folder, "AutoMix"))
    return folder


@pytest.fixture(scope="module")
def published(run):
    done = tool(run, "--out-dir", run.parent / "out")
    assert done.returncode == 0, done.stderr
    return Path(done.stdout.strip())


def test_the_name_ends_with_the_hash_of_the_file(published):
    stem, digits = published.stem.rsplit("-", 1)
    assert stem == "config_mix_k" and len(digits) == 8
    assert hashlib.sha256(published.read_bytes()).hexdigest().startswith(digits)


def test_publishing_again_gives_the_same_file(run, published):
    from openmix.inference.publish import publish

    assert publish(run, run.parent / "again").read_bytes() == published.read_bytes()


def test_it_holds_weights_alone_and_is_smaller_than_the_checkpoint(run, published):
    content = torch.load(published, weights_only=True)
    assert set(content) == {"meta", "state_dict"}
    assert published.stat().st_size < (run / "epoch_2.pth").stat().st_size / 3
    record = json.loads((run / "result.json").read_text())
    meta = content["meta"]
    assert meta["config_hash"] == record["config_hash"] and meta["network"] == record["primary"] == "mix_k"
    assert meta["top1"] == record["networks"]["mix_k"]["last"]["top1"] and meta["epoch"] == 2
    assert meta["data"]["classes"] == Shapes(num_images=10, split="test").classes


def test_a_plain_network_takes_the_weights_and_answers_like_the_run(run, published):
    content = torch.load(published, weights_only=True)
    net = build_net(**content["meta"]["model"])
    net.load_state_dict(content["state_dict"])
    net.eval()
    images = Shapes(num_images=12, split="test").images
    expected = openmix.infer(run, images)
    mean, std = (torch.tensor(content["meta"]["data"][k]).view(1, 3, 1, 1) for k in ("mean", "std"))
    with torch.no_grad():
        torch.testing.assert_close(net((images / 255 - mean) / std).softmax(1), expected.probabilities)
    actual = openmix.infer(published, images)
    assert torch.equal(actual.probabilities, expected.probabilities) and actual.names == expected.names


def test_get_model_and_load_from_take_it(published, tmp_path):
    weights = torch.load(published, weights_only=True)["state_dict"]
    net = openmix.get_model("CifarResNet", 10, depth=8, pretrained=published)
    assert all(torch.equal(v, weights[k]) for k, v in net.state_dict().items())
    cfg = config(tmp_path / "run", "MixUp", epochs=1, load_from=str(published))
    cfg.optim_wrapper.optimizer = dict(type="SGD", lr=1e-30)
    check_config(cfg)
    trained = train(cfg).model.net.state_dict()
    frozen = [k for k in weights if k.endswith("weight")]
    assert frozen and all(torch.equal(trained[k], weights[k]) for k in frozen)


def test_another_network_and_another_name_can_be_asked_for(run, tmp_path):
    done = tool(run / "epoch_1.pth", "--out-dir", tmp_path, "--network", "one_q", "--name", "r8-automix")
    path = Path(done.stdout.strip())
    assert path.name.startswith("r8-automix-") and torch.load(path, weights_only=True)["meta"]["network"] == "one_q"
    with pytest.raises(ValueError, match="holds the network 'one_q' alone, not 'mix_k'"):
        openmix.infer(path, torch.zeros(1, 3, 32, 32), network="mix_k")


@pytest.mark.parametrize("arguments, message", [
    (["nothing"], "no checkpoint nothing"), (["RUN", "--network", "mix_r"], "did you mean 'mix_"),
    (["RUN", "--name", "../x"], "cannot be the name of a file")])
def test_wrong_input_ends_with_2_and_one_line(run, tmp_path, arguments, message):
    done = tool(*[run if a == "RUN" else a for a in arguments], "--out-dir", tmp_path / "out")
    assert done.returncode == 2 and done.stderr.count("\n") == 1 and message in done.stderr
    assert not (tmp_path / "out").exists()
