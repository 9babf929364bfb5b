"""Evaluations with names: what they give, where they are kept, and that training does not notice them."""
import copy
import json
import shutil
from pathlib import Path

import pytest
import torch

from openmix import apis, workdir
from openmix.engine import checkpoint
from openmix.engine.config.check import check_config
from openmix.engine.eval_loop import evaluate
from openmix.engine.runner import Runner
from openmix.evaluators import Accuracy, Calibration, Evaluator
from openmix.registry import EVALUATORS
from openmix.workdir import result, schema

from .tiny import config, train

OTHER = dict(type="Shapes", num_images=31, split="test", seed=1)
EVALS = dict(cal=dict(type="Calibration"), other=dict(dataset=OTHER, topk=[2, 1], batch_size=7, networks=["net"]),
             classes=dict(type="PerClass", interval=2), noisy=dict(type="Noisy", interval=1))


@EVALUATORS.register_module()
class Noisy(Evaluator):
    """Draws from every default generator, takes two passes and gradients of the images."""

    main, passes = "changed", 2

    def __init__(self):
        self.seen, self.right = [], 0

    def begin_pass(self, index):
        self.seen.append(index)

    def perturb(self, net, images, labels):
        with torch.enable_grad():
            images = images.clone().requires_grad_()
            loss = torch.nn.functional.cross_entropy(net(images).float(), labels)
            gradient, = torch.autograd.grad(loss, images)
        assert gradient.abs().max() > 0
        return (images + torch.rand(1) * gradient.sign()).detach()

    def update(self, logits, labels):
        assert not logits.requires_grad
        self.right += int((logits.argmax(1) == labels).sum())

    def compute(self):
        return dict(changed=float(self.right), passes=self.seen)


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """The same training with and without evaluations; the finished one with them."""
    folder = tmp_path_factory.mktemp("evals")
    return train(config(folder / "plain", epochs=3)), train(config(folder / "with", epochs=3, evals=EVALS))


def test_training_does_not_notice_evaluations(runs):
    plain, with_evals = runs
    for a, b in zip(*(runner.model.state_dict().values() for runner in runs), strict=True):
        assert torch.equal(a, b)
    for a, b in zip(plain.history, with_evals.history, strict=True):
        assert (a["train"], a["val"]) == (b["train"], b["val"])
    one, two = (schema.read(Path(runner.work_dir, "result.json")) for runner in runs)
    assert one["config_hash"] == two["config_hash"] and one["networks"] == two["networks"] and one["evals"] == {}


def test_a_result_carries_every_value_of_every_network_by_name(runs):
    actual = schema.read(Path(runs[1].work_dir, "result.json"))["evals"]
    assert set(actual) == set(EVALS)
    assert {name: set(e["networks"]) for name, e in actual.items()} == dict(
        cal={"net", "ema"}, other={"net"}, classes={"net", "ema"}, noisy={"net", "ema"})
    assert set(actual["cal"]["networks"]["net"]) == {"nll", "ece", "brier", "count"}
    assert actual["cal"]["networks"]["ema"] != actual["cal"]["networks"]["net"]
    assert actual["other"]["networks"]["net"].keys() == {"top2", "top1", "count"}
    assert actual["noisy"]["networks"]["net"]["passes"] == [0, 1]
    assert {name: e["epoch"] for name, e in actual.items()} == dict(cal=3, other=3, classes=3, noisy=3)
    assert [sorted(entry["evals"]) for entry in runs[1].history] == [
        ["noisy"], ["classes", "noisy"], sorted(EVALS)]
    assert actual["cal"]["data"]["images"] == 23 and actual["other"]["data"]["images"] == 31
    assert actual["cal"]["data"]["sha256"] == runs[1].val_loop.dataloader.describe()["sha256"]
    assert actual["other"]["data"]["sha256"] not in (None, actual["cal"]["data"]["sha256"])
    assert (actual["cal"]["type"], actual["cal"]["main"], actual["other"]["main"]) == ("Calibration", "ece", "top1")


def test_the_values_are_those_of_the_evaluator_on_the_networks_logits(runs):
    runner = runs[1]
    actual = runner.history[-1]["evals"]["cal"]["networks"]
    runner.model.eval()
    for name, net in runner.networks().items():
        evaluator = Calibration()
        with torch.no_grad():
            for images, labels in runner.val_loop.dataloader:
                evaluator.update(net(images), labels)
        assert evaluator.compute() == pytest.approx(actual[name], rel=1e-5)


def test_data_of_the_validation_is_not_read_twice(runs):
    loops = runs[1].evaluations.loops
    assert loops["cal"].dataloader is runs[1].val_loop.dataloader is not loops["other"].dataloader


def test_the_loop_transforms_once_for_all_networks_and_perturbs_for_each():
    class Shared(Accuracy):
        def transform(self, images, labels):
            calls.append("transform")
            return -images

    class Model(torch.nn.Module):
        def networks(self):
            return dict(a=torch.nn.Identity(), b=torch.nn.Identity())

        def forward(self, images, mode):
            return dict(a=images, b=-images)

    calls, model = [], Model()
    batches = [(torch.eye(4), torch.arange(4)), (torch.eye(4)[:2], torch.arange(2))]
    actual, wrong = evaluate(model, model.networks(), batches, dict(a=Shared((1,)), b=Shared((1,))))
    assert actual["b"] == dict(top1=100.0, count=6) and actual["a"]["top1"] == 0.0
    assert calls == ["transform"] * 2 and wrong.tolist() == [0, 0]


@pytest.mark.parametrize("evals, message", [
    (dict(cal=dict(type="Calibratio")), "evals.cal: unknown type 'Calibratio'; did you mean 'Calibration'?"),
    (dict(cal=dict(type="Calibration", bin=3)), "evals.cal: unknown key 'bin'; did you mean 'bins'?"),
    (dict(cal=dict(type="Calibration", intervall=3)), "evals.cal: unknown key 'intervall'; did you mean 'interval'?"),
    (dict(cal=dict(type="Calibration", bins=0)), "evals.cal: bins must be a whole number"),
    (dict(cal=dict(interval=0)), "evals.cal.interval must be a whole number of at least 1"),
    (dict(cal=dict(networks="net")), "evals.cal.networks must be a list of names"),
    (dict(cal=dict(networks=["nett"])), "evals.cal.networks: no network 'nett' is evaluated here; did you mean 'net'?"),
    (dict(cal=dict(topk=[10])), "topk=10 of 10 classes is always 100 %"),
    (dict(cal=5), "evals.cal must be a dict"), ([], None), (["cal"], "evals must be a dict"),
    ({"test": {}}, "'test' cannot be the name of an evaluation"), ({"val": {}}, "'val' cannot be the name"),
    ({"a.b": {}}, "'a.b' cannot be the name"), ({"../x": {}}, "'../x' cannot be the name"),
    ({"": {}}, "'' cannot be the name"),
    (dict(x=dict(dataset=dict(type="Shapse"))), "evals.x.dataset: unknown type 'Shapse'; did you mean 'Shapes'?"),
    (dict(x=dict(dataset=dict(type="Shapes", num_images=40))), "evals.x.dataset (split 'train') holds images that are"),
    (dict(x=dict(dataset=dict(type="CIFAR10", split="test"))), "set evals.x.allow=['other_data']"),
    (dict(x=dict(allow=["other"])), "evals.x.allow: unknown value 'other'")])
def test_what_cannot_be_evaluated_is_refused_before_training(tmp_path, evals, message):
    cfg = config(tmp_path / "run", epochs=1)
    cfg.evals = evals
    if message is None:
        return check_config(cfg)
    with pytest.raises((ValueError, TypeError)) as error:
        train(cfg)
    assert message in str(error.value) and not list(tmp_path.glob("run/*.pth"))


def test_evaluations_without_data_need_those_of_a_validation(tmp_path):
    cfg = config(tmp_path / "run", epochs=1, evals=dict(cal=dict(type="Calibration")))
    cfg.val_dataloader = cfg.val_cfg = cfg.val_evaluator = None
    with pytest.raises(ValueError, match="evals.cal has no 'dataset', and there is no val_dataloader"):
        check_config(cfg)


def test_evaluations_do_not_forbid_a_resume_and_are_run_if_only_they_were_missing(runs, tmp_path):
    folder = shutil.copytree(runs[0].work_dir, tmp_path / "run")
    (folder / "result.json").unlink()
    actual = apis.train(config(folder, epochs=3, evals=dict(cal=dict(type="Calibration")), resume=True))
    assert actual["evals"]["cal"]["epoch"] == 3
    assert actual["evals"]["cal"]["networks"] == runs[1].history[-1]["evals"]["cal"]["networks"]


def test_an_evaluation_that_fails_after_the_last_epoch_costs_no_training(tmp_path, monkeypatch):
    cfg = config(tmp_path / "run", epochs=1, evals=dict(cal=dict(type="Calibration")))
    with monkeypatch.context() as patch:
        patch.setattr(Calibration, "compute", lambda self: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            train(cfg)
    assert (tmp_path / "run/epoch_1.pth").is_file()
    cfg.resume = True
    assert apis.train(cfg)["evals"]["cal"]["epoch"] == 1


# -- written afterwards ------------------------------------------------------------------------------------------------

@pytest.fixture
def finished(runs, tmp_path):
    return Path(shutil.copytree(runs[0].work_dir, tmp_path / "run"))


def asked(folder, **changes):
    return config(folder.parent / "test", epochs=3, evals=copy.deepcopy(EVALS), **changes)


def test_an_evaluation_is_added_to_a_finished_run_and_is_what_training_would_have_measured(finished, runs):
    before = json.loads((finished / "result.json").read_text())
    actual = apis.evaluate(asked(finished), finished / "epoch_3.pth", ["cal", "classes"], write=True)
    after = schema.read(finished / "result.json")
    assert {k: v for k, v in after.items() if k != "evals"} == {k: v for k, v in before.items() if k != "evals"}
    assert set(after["evals"]) == set(actual) == {"cal", "classes"}
    during = result.read(Path(runs[1].work_dir, "result.json"))["evals"]
    for name in actual:
        written = after["evals"][name]
        assert written["networks"] == during[name]["networks"] and written["epoch"] == 3
        assert written["data"] == during[name]["data"] and written["checkpoint"] == "epoch_3.pth"
    apis.evaluate(asked(finished), finished / "epoch_2.pth", ["test"], write=True)
    again = schema.read(finished / "result.json")["evals"]
    assert set(again) == {"cal", "classes", "test"} and again["test"]["epoch"] == 2
    assert again["test"]["networks"]["net"]["top1"] == before["networks"]["net"]["top1"][1]
    assert not workdir.is_alive(finished) and workdir.state(finished) == "done"


def test_without_write_nothing_is_written_and_names_are_checked(finished):
    before = (finished / "result.json").read_bytes()
    actual = apis.evaluate(asked(finished), finished / "epoch_3.pth", ["cal"])
    assert list(actual) == ["cal"] and (finished / "result.json").read_bytes() == before
    with pytest.raises(ValueError, match="no evaluation 'call' in this config; did you mean 'cal'"):
        apis.evaluate(asked(finished), finished / "epoch_3.pth", ["call"])


def change(folder, **fields):
    path = folder / "result.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | fields))


def foreign_meta(folder):
    content = checkpoint.load(folder / "epoch_3.pth")
    content["meta"]["seed"] = 9
    checkpoint.save(folder / "epoch_3.pth", content)


@pytest.mark.parametrize("spoil, message", [
    (lambda f: (f / "result.json").unlink(), "no .*result.json"),
    (lambda f: change(f, status="diverged"), "ended as diverged"),
    (lambda f: change(f, config_hash="0" * 64), "weights of another run"),
    (lambda f: change(f, seed=4), "weights of another run"),
    (foreign_meta, "weights of another run"),
    (lambda f: (f / "result.json").write_text("{"), "result.json is no result")])
def test_weights_that_are_not_of_a_finished_run_there_are_refused(finished, spoil, message):
    spoil(finished)
    before = {p: p.read_bytes() for p in finished.glob("*.json")}
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        apis.evaluate(asked(finished), finished / "epoch_3.pth", ["cal"], write=True)
    assert {p: p.read_bytes() for p in finished.glob("*.json")} == before


def test_another_config_than_the_runs_writes_nothing(finished):
    with pytest.raises(ValueError, match="model.mixup.type: 'MixUp' -> 'CutMix'"):
        apis.evaluate(asked(finished, **{"model.mixup.type": "CutMix"}), finished / "epoch_3.pth", ["cal"], write=True)


def test_a_run_that_is_in_use_is_not_written_to(finished):
    before = (finished / "result.json").read_bytes()
    with workdir.Lock(finished), pytest.raises(workdir.InUse):
        result.add_evaluations(finished, {}, wait=0)
    assert (finished / "result.json").read_bytes() == before


# -- older runs --------------------------------------------------------------------------------------------------------

def test_a_run_with_the_old_name_of_accuracy_resumes_and_has_the_same_hash(tmp_path):
    old = config(tmp_path / "run", epochs=2, **{"val_evaluator.type": "TopK", "test_evaluator.type": "TopK"})
    new = config(tmp_path / "run", epochs=2)
    assert workdir.config_hash(old.to_dict()) == workdir.config_hash(new.to_dict())
    old.train_cfg.stop_after = 3
    from openmix.engine.train_loop import Stopped

    with pytest.warns(DeprecationWarning, match="TopK is called Accuracy"), pytest.raises(Stopped):
        Runner.from_cfg(old).train()
    new.resume = True
    assert apis.train(new)["status"] == "done"
