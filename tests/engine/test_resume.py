"""A run that was cut and resumed is the run that was not: bit by bit, for every registered method."""
import json
import shutil

import pytest
import torch
from torch import nn

from openmix.datasets.loader import ResidentLoader
from openmix.engine import checkpoint
from openmix.engine.train_loop import Stopped
from openmix.registry import BACKBONES
from tests.engine.tiny import METHODS, assert_equal_state, config, losses, spec, train

pytestmark = pytest.mark.usefixtures("four_layers")

PARTS = ("state_dict", "optimizer", "ema")
LAST = "epoch_2.pth"


class DropoutNet(nn.Module):
    """A backbone that draws random numbers itself."""

    out_channels = 8

    def __init__(self):
        super().__init__()
        self.layer1 = nn.Sequential(nn.Conv2d(3, 8, 3, 2), nn.BatchNorm2d(8), nn.ReLU())
        self.layer2, self.layer3 = nn.Dropout(0.5), nn.Conv2d(8, 8, 3, 2)

    def forward(self, images):
        return self.layer3(self.layer2(self.layer1(images)))


def straight_and_cut(tmp_path, *cuts, **options):
    """Final checkpoints and logged losses of a straight run and of one cut after each of the iterations ``cuts``."""
    whole = config(tmp_path / "whole", **options)
    train(whole)
    parts = config(tmp_path / "parts", **options)
    for cut in cuts:
        parts.train_cfg.stop_after = cut
        with pytest.raises(Stopped):
            train(parts)
        parts.resume = True
    parts.train_cfg.pop("stop_after")
    train(parts)
    actual = [(checkpoint.load(tmp_path / name / LAST), losses(tmp_path / name)) for name in ("whole", "parts")]
    return actual[0], actual[1]


@pytest.mark.parametrize("method", METHODS)
def test_a_run_cut_at_the_end_of_an_epoch_in_its_middle_and_before_the_last_step_equals_the_straight_one(
        tmp_path, method):
    (whole, whole_losses), (parts, parts_losses) = straight_and_cut(tmp_path, 4, 6, 7, mixup=method)
    for part in PARTS:
        assert_equal_state(whole[part], parts[part])
    assert whole_losses == parts_losses and len(whole_losses) == 4
    assert whole["loop"]["iter"] == parts["loop"]["iter"] == 8


@pytest.mark.parametrize("cut", [3, 4, 7])
def test_a_teacher_and_hints_in_two_stages_over_hidden_mixing_resume_exactly(tmp_path, cut):
    mixup = dict(spec("Distill"), method=dict(type="ManifoldMix"), hints=[["layer2", "layer2"]], hint_stage=0.4)
    (whole, whole_losses), (parts, parts_losses) = straight_and_cut(tmp_path, cut, mixup=mixup)
    for part in PARTS:
        assert_equal_state(whole[part], parts[part])
    assert whole_losses == parts_losses
    assert [key for key in whole["state_dict"] if key.startswith("mixup.")] == [
        "mixup.hints.regressors.0.weight", "mixup.hints.regressors.0.bias"], "and no teacher"


def test_samix_p_trains_with_the_frozen_block_and_teacher_of_a_finished_run(tmp_path):
    train(config(tmp_path / "run", mixup="SAMix", epochs=1))
    source = checkpoint.load(tmp_path / "run" / "epoch_1.pth")["state_dict"]
    mixup = dict(type="SAMix", pretrained=str(tmp_path / "run"))
    (whole, whole_losses), (parts, parts_losses) = straight_and_cut(tmp_path, 6, mixup=mixup)
    for part in PARTS:
        assert_equal_state(whole[part], parts[part])
    assert whole_losses == parts_losses
    frozen = [key for key in source if key.startswith(("mixup.block.", "mixup.teacher.", "mixup.head_mix_k."))]
    assert len(frozen) > 30 and all(torch.equal(whole["state_dict"][key], source[key]) for key in frozen)
    assert not torch.equal(whole["state_dict"]["net.head.fc.weight"], source["net.head.fc.weight"])


@pytest.fixture
def dropout_net():
    BACKBONES.register_module(module=DropoutNet)
    yield
    BACKBONES.module_dict.pop("DropoutNet")


def test_a_network_with_dropout_resumes_exactly(tmp_path, dropout_net):
    (whole, _), (parts, _) = straight_and_cut(tmp_path, 6, **{"model.backbone": dict(_delete_=True, type="DropoutNet")})
    for part in PARTS:
        assert_equal_state(whole[part], parts[part])


def test_the_wrong_epoch_key_after_a_resume_is_noticed(tmp_path, monkeypatch):
    """Negative control: were the draws not a function of the epoch, the equality above would fail."""
    plan, epochs = ResidentLoader.plan, []

    def wrong(self, epoch):
        epochs.append(epoch)
        return plan(self, 0 if len(epochs) == 4 else epoch)  # the fourth plan is the resumed second epoch

    monkeypatch.setattr(ResidentLoader, "plan", wrong)
    (whole, _), (parts, _) = straight_and_cut(tmp_path, 4)
    assert epochs == [0, 1, 0, 1]
    assert not torch.equal(whole["state_dict"]["net.head.fc.weight"], parts["state_dict"]["net.head.fc.weight"])


@pytest.mark.parametrize("accumulate, interval", [(2, 1), (3, 2), (3, 4)])
def test_accumulated_gradients_and_due_averages_resume_at_an_update(tmp_path, accumulate, interval):
    """Cut in the second window of an epoch; one with a last window of one batch, and an average due inside windows."""
    average = [dict(type="EMAHook", momentum=0.1, interval=interval)]
    (whole, _), (parts, _) = straight_and_cut(tmp_path, 5, custom_hooks=average,
                                              **{"optim_wrapper.accumulative_counts": accumulate})
    for part in PARTS:
        assert_equal_state(whole[part], parts[part])


def test_checkpoints_hold_plain_data_and_load_with_weights_only(tmp_path):
    train(config(tmp_path, mixup="AutoMix", epochs=1))
    actual = torch.load(tmp_path / "epoch_1.pth", weights_only=True)
    assert any(key.startswith("mixup.teacher") for key in actual["state_dict"])


def test_resume_refuses_another_config(tmp_path):
    cfg = config(tmp_path)
    cfg.train_cfg.stop_after = 4
    with pytest.raises(Stopped):
        train(cfg)
    cfg.train_cfg.pop("stop_after")
    cfg.resume, cfg.optim_wrapper.optimizer.lr = True, 0.01
    with pytest.raises(ValueError, match=r"optimizer.lr: 0.05 -> 0.01"):
        train(cfg)


@pytest.fixture(scope="module")
def stopped(tmp_path_factory):
    """A run of AutoMix stopped in the middle of an epoch, and the final checkpoint of one that was not."""
    folder = tmp_path_factory.mktemp("stopped")
    train(config(folder / "whole", mixup="AutoMix"))
    with pytest.raises(Stopped):
        train(config(folder / "run", mixup="AutoMix", **{"train_cfg.stop_after": 6}))
    return folder / "run", checkpoint.load(folder / "whole" / LAST)


CHANGES_NO_BIT = [
    {"val_dataloader.batch_size": 7}, {"test_dataloader.batch_size": 3}, {"test_dataloader.dataset.num_images": 9},
    {"test_dataloader": None, "test_cfg": None, "test_evaluator": None}, {"test_evaluator.topk": 2},
    {"test_cfg.network": "ema"}, {"train_dataloader.num_workers": 1}, {"find_unused_parameters": True},
    {"auto_scale_lr": dict(base_batch_size=10)}, {"custom_imports": dict(imports=["json"])},
    {"default_scope": "mmengine"}, {"log_level": "WARNING"},
    {"default_hooks.logger.interval": 1}, {"default_hooks.preview": dict(_delete_=True, interval=1)},
    {"default_hooks.checkpoint.save_best": False}, {"default_hooks.progress": None}, {"experiment_name": "other"},
    {"visualizer": dict(vis_backends=[])}, {"log_processor": dict(window_size=1)}, {"randomness.deterministic": False}]


@pytest.mark.parametrize("change", CHANGES_NO_BIT, ids=str)
def test_what_may_change_between_a_stop_and_a_resume_changes_no_bit(tmp_path, stopped, change):
    run, whole = stopped
    shutil.copytree(run, tmp_path / "run")
    runner = train(config(tmp_path / "run", mixup="AutoMix", resume=True, **change))
    parts = checkpoint.load(tmp_path / "run" / LAST)
    for part in PARTS:
        assert_equal_state(whole[part], parts[part])
    assert [entry["val"] for entry in runner.history] == [entry["val"] for entry in json.loads(whole["history_json"])]


@pytest.mark.parametrize("change", [
    {"env_cfg.channels_last": True}, {"env_cfg.step": "eager"}, {"env_cfg.num_threads": 1},
    {"env_cfg.cudnn_benchmark": False}])
def test_other_kernels_are_allowed_with_a_note_that_they_are_not_bit_by_bit(tmp_path, stopped, capsys, change):
    shutil.copytree(stopped[0], tmp_path / "run")
    train(config(tmp_path / "run", mixup="AutoMix", resume=True, **change))
    log = next(p for p in tmp_path.glob("run/*/*.log") if "resumed" in p.read_text()).read_text()
    assert "not bit by bit" in log and next(iter(change)) in log


def test_the_same_kernels_are_nothing_to_speak_of(tmp_path, stopped):
    """Negative control."""
    shutil.copytree(stopped[0], tmp_path / "run")
    train(config(tmp_path / "run", mixup="AutoMix", resume=True))
    assert not any("not bit by bit" in p.read_text() for p in tmp_path.glob("run/*/*.log"))


@pytest.mark.parametrize("change", [
    {"train_dataloader.total_batch": 20}, {"train_dataloader.augment.flip": 0.0}, {"val_cfg.network": "ema"},
    {"val_dataloader.dataset.num_images": 20}, {"optim_wrapper.accumulative_counts": 2}, {"env_cfg.amp": "bf16"},
    {"train_cfg.mixup_off_epochs": 1}, {"sync_bn": True}, {"randomness.seed": 1}], ids=str)
def test_what_changes_a_run_or_its_result_is_refused(tmp_path, stopped, change):
    shutil.copytree(stopped[0], tmp_path / "run")
    with pytest.raises(ValueError, match=next(iter(change)).replace(".", r"\.")):
        train(config(tmp_path / "run", mixup="AutoMix", resume=True, **change))


def test_a_longer_run_continues_with_the_longer_schedule(tmp_path):
    train(config(tmp_path, epochs=2))
    longer = config(tmp_path, epochs=3)
    longer.resume = True
    runner = train(longer)
    assert [entry["epoch"] for entry in runner.history] == [1, 2, 3]
    assert runner.history[-1]["lr"] == pytest.approx(0.05 * 0.25)  # cosine of 3 epochs at epoch 2
