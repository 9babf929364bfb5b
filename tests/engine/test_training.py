"""What a training run does and leaves behind."""
import contextlib
import copy
import io
import json
import logging
import math
import os
import signal
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F
from mmengine.hooks import Hook

from openmix import apis, workdir
from openmix.engine import checkpoint
from openmix.engine.hooks import EMAHook, ProgressHook
from openmix.engine.resume import load_weights
from openmix.engine.step.eager import Diverged, EagerStep
from openmix.engine.train_loop import Stopped
from openmix.plan import PlanRow
from openmix.registry import HOOKS
from tests.engine.tiny import METHODS, config, train

pytestmark = pytest.mark.usefixtures("four_layers")


def result(folder) -> dict:
    return json.loads((Path(folder) / "result.json").read_text())


def test_the_loss_falls_and_the_record_is_complete(tmp_path):
    runner = train(config(tmp_path, mixup="Vanilla", epochs=11, images=60, custom_hooks=[]))
    record = result(tmp_path)
    assert runner.history[-1]["train"]["loss"] < 0.95 * runner.history[0]["train"]["loss"]
    assert record["schema"] == 2 and record["status"] == "done" and record["primary"] == "net"
    assert len(record["networks"]["net"]["top1"]) == 11
    last_ten = sorted(record["networks"]["net"]["top1"][1:])
    median = record["networks"]["net"]["median_last10"]
    median = median["top1"] if isinstance(median, dict) else median
    assert median == pytest.approx((last_ten[4] + last_ten[5]) / 2)
    assert record["seed"] == 3 and record["processes"] == 1 and record["img_s"] > 0 and record["parameters"] > 1000
    assert record["cpu_img_s"] > 0
    assert json.loads((tmp_path / "status.json").read_text())["state"] == "done"
    assert (tmp_path / "env.json").is_file() and list(tmp_path.glob("*/vis_data/scalars.json"))


@pytest.mark.parametrize("method", METHODS)
def test_every_method_trains_validates_and_reports_its_networks(tmp_path, method):
    cfg = config(tmp_path, mixup=method, epochs=1)
    cfg.default_hooks.preview = dict(interval=1, count=4)
    runner = train(cfg)
    record = result(tmp_path)
    assert set(record["networks"]) == set(runner.networks())
    assert "ema" in record["networks"] and record["primary"] == next(iter(runner.networks()))
    assert (tmp_path / "mixes" / "epoch_1.png").stat().st_size > 500


def test_validation_counts_each_image_once_and_test_repeats_it(tmp_path):
    cfg = config(tmp_path, mixup="AutoMix", epochs=1, custom_hooks=[])
    runner = train(cfg)
    logged = runner.history[-1]["val"]
    assert {m["count"] for m in logged.values()} == {23}
    assert apis.test(cfg, tmp_path / "epoch_1.pth") == logged


def test_a_diverged_run_says_so_and_keeps_its_last_good_checkpoint(tmp_path):
    cfg = config(tmp_path, epochs=3)
    cfg.optim_wrapper.optimizer.lr = 1e20
    with pytest.raises(Diverged, match="iteration"):
        train(cfg)
    assert result(tmp_path)["status"] == "diverged"
    assert "lr" in json.loads((tmp_path / "status.json").read_text())["reason"]


class Explosion(Hook):
    """Spoils numbers after the last update of the second epoch, where no loss of that epoch shows it."""

    def __init__(self, spoil, iteration=7):
        self.spoil, self.iteration = spoil, iteration

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        if runner.iter == self.iteration:
            with torch.no_grad():
                self.spoil(runner)


def average(runner):
    return next(h for h in runner.hooks if isinstance(h, EMAHook)).net


SPOILT = {
    "weight": lambda r: r.model.net.head.fc.weight[0, 0].fill_(math.nan),
    "infinite bias": lambda r: r.model.net.head.fc.bias[3].fill_(-math.inf),
    "buffer": lambda r: next(b for b in r.model.net.buffers() if b.is_floating_point())[0].fill_(math.inf),
    "average": lambda r: average(r).head.fc.weight[0, 0].fill_(math.nan),
    "teacher": lambda r: r.model.mixup.teacher.head.fc.weight[0, 0].fill_(math.nan),
    "momentum": lambda r: list(r.train_loop.optimizer.state.values())[0]["momentum_buffer"].fill_(math.inf),
    "finite but useless": lambda r: [p.mul_(1e30) for p in r.model.net.parameters()],
}


@pytest.mark.parametrize("epochs", [2, 3], ids=["last epoch", "epoch before"])
@pytest.mark.parametrize("what", SPOILT)
def test_an_explosion_in_an_epochs_last_update_is_neither_saved_nor_evaluated(tmp_path, what, epochs):
    cfg = config(tmp_path, mixup="AutoMix" if what == "teacher" else "MixUp", epochs=epochs,
                 **{"default_hooks.checkpoint": dict(min_seconds=0, max_keep=1)})
    runner, after_first = apis_runner(cfg), {}

    class Look(Hook):
        priority = "LOWEST"

        def after_epoch(self, runner, entry, force=False):
            after_first.update({p.name: p.read_bytes() for p in tmp_path.glob("*.pth*")})

    runner.register_hook(Look())
    runner.register_hook(Explosion(SPOILT[what]), "LOWEST")
    with pytest.raises(Diverged, match=r"not finite.* at iteration 8 \(epoch 2, lr .*the last good checkpoint is kept"):
        runner.train()
    assert {p.name: p.read_bytes() for p in tmp_path.glob("*.pth*")} == after_first and "epoch_1.pth" in after_first
    actual = result(tmp_path)
    assert actual["status"] == "diverged" and actual["epochs"] == 1
    assert len(actual["networks"][actual["primary"]]["top1"]) == 1
    assert json.loads((tmp_path / "status.json").read_text())["state"] == "diverged"


def test_an_explosion_before_a_stop_is_not_saved(tmp_path):
    cfg = config(tmp_path, **{"train_cfg.stop_after": 6})
    runner = apis_runner(cfg)
    runner.register_hook(Explosion(SPOILT["weight"], iteration=5), "LOWEST")
    with pytest.raises(Diverged, match="net.head.fc.weight"):
        runner.train()
    assert not list(tmp_path.glob("iter_*")) and (tmp_path / "epoch_1.pth").is_file()


def test_a_network_with_infinities_by_design_trains(tmp_path):
    """Negative control: masks of minus infinity, and logits of classes that a head masks."""
    runner = apis_runner(config(tmp_path, epochs=1, custom_hooks=[]))
    runner.model.net.register_buffer("mask", torch.tensor([0.0] * 9 + [-math.inf]))
    runner.model.net.register_forward_hook(lambda net, _, logits: logits + net.mask if not net.training else logits)
    runner.train()
    assert result(tmp_path)["status"] == "done"


def test_no_update_happens_once_the_loss_is_not_finite(tmp_path):
    cfg = config(tmp_path)
    runner = apis_runner(cfg)
    loop = runner.build_train_loop()
    row = PlanRow(mix=None, seed=0, images=torch.full((10, 3, 32, 32), float("nan")), labels=torch.zeros(10).long())
    loop.step.batch = lambda row: (row.images, row.labels)
    before = [p.clone() for p in runner.model.parameters()]
    with pytest.raises(Diverged):
        loop.step(row, 0.0)
    assert all(torch.equal(a, b) for a, b in zip(before, runner.model.parameters(), strict=True))


def apis_runner(cfg):
    from openmix.engine.runner import Runner

    return Runner.from_cfg(cfg)


def test_finished_run_is_not_repeated_and_not_overwritten(tmp_path):
    cfg = config(tmp_path, epochs=1)
    first = apis.train(cfg)
    with pytest.raises(ValueError, match="finished run"):
        apis.train(cfg)
    cfg.resume = True
    assert apis.train(cfg) == first


def test_unfinished_run_is_not_overwritten(tmp_path):
    cfg = config(tmp_path, epochs=2)
    train(cfg)
    (tmp_path / "result.json").unlink()
    with pytest.raises(ValueError, match="unfinished run"):
        apis.train(cfg)


def test_accumulation_equals_one_large_batch_without_batchnorm_coupling(tmp_path):
    """Gradients of 2 micro batches of 5 average to that of 10 (evaluation-mode BN, no mixing)."""
    cfg = config(tmp_path, mixup="Vanilla", custom_hooks=[])
    runner = apis_runner(cfg)
    loop = runner.build_train_loop()
    runner.model.eval()
    images, labels, draws, _ = next(iter(loop.dataloader.batches(0)))
    runner.model(images, labels, draws)["loss"].backward()
    whole = [p.grad.clone() for p in runner.model.parameters()]
    runner.model.zero_grad()
    for part in (slice(0, 5), slice(5, 10)):
        (runner.model(images[part], labels[part], draws)["loss"] / 2).backward()
    for a, b in zip(whole, runner.model.parameters(), strict=True):
        torch.testing.assert_close(a, b.grad, atol=1e-6, rtol=1e-4)


def gradients_of_updates(work_dir, accumulate, **changes):
    """The gradient of each update of an epoch of four batches, at weights that stay as they are."""
    runner = apis_runner(config(work_dir, mixup="Vanilla", epochs=1, custom_hooks=[], val_cfg=None, val_dataloader=None,
                                val_evaluator=None, **{"optim_wrapper.accumulative_counts": accumulate,
                                "optim_wrapper.optimizer.lr": 0.0, **changes}))
    actual, update = [], EagerStep.update

    def spy(self, progress):
        actual.append(torch.cat([p.grad.flatten() for p in self.parameters]))
        update(self, progress)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(EagerStep, "update", spy)
        runner.train()
    return actual


@pytest.mark.parametrize("accumulate, limit, windows", [
    (3, None, [(0, 1, 2), (3,)]), (9, None, [(0, 1, 2, 3)]), (2, 3, [(0, 1), (2,)]), (2, None, [(0, 1), (2, 3)])])
def test_an_update_averages_over_the_real_length_of_its_window(tmp_path, accumulate, limit, windows):
    each = gradients_of_updates(tmp_path / "each", 1)
    actual = gradients_of_updates(tmp_path / "found", accumulate, **{"train_cfg.limit": limit})
    assert len(each) == 4 and len(actual) == len(windows)
    for gradient, window in zip(actual, windows, strict=True):
        torch.testing.assert_close(gradient, torch.stack([each[i] for i in window]).mean(0), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("accumulate, interval, updates", [
    (1, 3, [2, 5]),        # every update that is due
    (2, 3, [3, 6, 8]),     # due at 2, 5, 8 of five batches an epoch; updates come at 1, 3, 4, 6, 8, 9
    (4, 1, [3, 4, 8, 9]),  # several in one window count once
    (3, 5, [4, 9]),        # in the last, shorter window of an epoch
    (9, 2, [4, 9]),        # windows of a whole epoch
    (2, 11, []),           # never due
])
def test_an_average_that_is_due_between_two_updates_follows_at_the_next(tmp_path, accumulate, interval, updates):
    total = 5 if accumulate > 1 else 4
    cfg = config(tmp_path, images=10 * total, custom_hooks=[dict(type="EMAHook", interval=interval)],
                 **{"optim_wrapper.accumulative_counts": accumulate})
    runner, followed = apis_runner(cfg), []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(EMAHook, "follow", lambda hook: followed.append(runner.iter))
        runner.train()
    assert followed == updates


@pytest.mark.parametrize("mixup, epochs, options, expected", [
    ("AutoMix", 3, dict(mixup_off_epochs=1), [True, True, False]),
    ("MixUp", 4, dict(mixup_begin_epoch=1, mixup_off_epochs=2), [False, True, False, False])])
def test_mixing_is_switched_off_before_its_first_and_after_its_last_epoch(tmp_path, monkeypatch, mixup, epochs, options,
                                                                          expected):
    from openmix.models import Classifier

    seen, forward = [], Classifier.forward

    def spy(self, *args, mixing=True, mode="loss", **kwargs):
        if mode == "loss":
            seen.append(mixing)
        return forward(self, *args, mixing=mixing, mode=mode, **kwargs)

    monkeypatch.setattr(Classifier, "forward", spy)
    cfg = config(tmp_path, mixup=mixup, epochs=epochs, custom_hooks=[])
    cfg.train_cfg.update(options)
    train(cfg)
    assert seen == [mixing for mixing in expected for _ in range(4)]


def test_an_epoch_must_be_left_to_mix(tmp_path):
    cfg = config(tmp_path, mixup="MixUp", epochs=3)
    cfg.train_cfg.update(mixup_begin_epoch=2, mixup_off_epochs=1)
    with pytest.raises(ValueError, match="no epoch is mixed: mixup_begin_epoch=2"):
        train(cfg)
    cfg.train_cfg.update(mixup_begin_epoch=-1)
    with pytest.raises(ValueError, match="mixup_begin_epoch"):
        train(cfg)


def test_users_hooks_act_at_every_iteration(tmp_path):
    @HOOKS.register_module(force=True)
    class CountingHook(Hook):
        seen = 0

        def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
            CountingHook.seen += 1

    train(config(tmp_path, epochs=2, custom_hooks=[dict(type="CountingHook")]))
    assert CountingHook.seen == 8


def test_checkpoint_retention_keeps_the_newest_and_the_best(tmp_path):
    cfg = config(tmp_path, epochs=4)
    cfg.default_hooks.checkpoint = dict(min_seconds=0, max_keep=2)
    train(cfg)
    assert sorted(p.name for p in tmp_path.glob("*.pth")) == ["best.pth", "epoch_3.pth", "epoch_4.pth"]


def test_validation_split_keeps_best_off_the_test_set(tmp_path):
    cfg = config(tmp_path, epochs=1)
    for name, split in (("train", "train"), ("val", "val")):
        cfg[f"{name}_dataloader"].dataset = dict(type="Shapes", num_images=60, split=split, val_size=20)
    runner = train(cfg)
    assert runner.history[0]["val"]["net"]["count"] == 20
    assert len(runner.train_loop.dataloader) == 4


def test_load_from_takes_weights_of_another_run(tmp_path):
    train(config(tmp_path / "a", epochs=1))
    cfg = config(tmp_path / "b", epochs=1)
    cfg.load_from = str(tmp_path / "a" / "epoch_1.pth")
    cfg.optim_wrapper.optimizer.lr = 1e-30
    runner = train(cfg)
    before = checkpoint.load(cfg.load_from)["state_dict"]["net.head.fc.weight"]
    torch.testing.assert_close(runner.model.net.head.fc.weight.detach(), before)


def test_dry_run_leaves_nothing_behind(tmp_path):
    actual = apis.dry_run(config(tmp_path / "never", mixup="PuzzleMix"))
    assert actual["net"]["count"] == 20 and not (tmp_path / "never").exists()


def test_tensorboard_by_one_config_line(tmp_path):
    cfg = config(tmp_path, epochs=1)
    cfg.visualizer = dict(vis_backends=[dict(type="LocalVisBackend"), dict(type="TensorboardVisBackend")])
    train(cfg)
    assert list(tmp_path.rglob("events.out.tfevents*"))


def test_bf16_on_the_cpu_trains(tmp_path):
    cfg = config(tmp_path, mixup="PuzzleMix", epochs=1)
    cfg.env_cfg.amp = "bf16"
    train(cfg)
    assert result(tmp_path)["precision"].endswith("bfloat16")


def test_warm_up_clipping_and_no_decay_groups_by_config(tmp_path):
    cfg = config(tmp_path, epochs=2)
    cfg.param_scheduler = [dict(type="LinearLR", start_factor=0.1, end=1), dict(type="CosineAnnealingLR", begin=1)]
    cfg.optim_wrapper.update(clip_grad=dict(max_norm=1.0), paramwise_cfg=dict(norm_decay_mult=0.0, bias_decay_mult=0.0))
    runner = train(cfg)
    decays = {group["weight_decay"] for group in runner.train_loop.optimizer.param_groups}
    assert decays == {0.0, 1e-4} and runner.history[0]["lr"] < 0.05


def test_a_loaded_network_is_where_a_teacher_starts(tmp_path):
    train(config(tmp_path / "a", epochs=1, custom_hooks=[]))
    weights = checkpoint.load(tmp_path / "a" / "epoch_1.pth")["state_dict"]
    network = {k.removeprefix("net."): v for k, v in weights.items() if k.startswith("net.")}
    checkpoint.save(tmp_path / "network.pth", dict(state_dict=network))
    runner = apis_runner(config(tmp_path / "b", mixup="AutoMix", epochs=1))
    runner.build_train_loop()
    runner.call_hook("before_run")
    load_weights(runner, tmp_path / "network.pth")
    for name, value in runner.model.mixup.teacher.state_dict().items():
        assert torch.equal(value, network[name]), name


def test_progress_bar_advances_and_closes(tmp_path):
    cfg = config(tmp_path, epochs=1, custom_hooks=[])
    cfg.default_hooks.progress = dict(enabled=True)
    runner = train(cfg)
    hook = next(h for h in runner.hooks if type(h).__name__ == "ProgressHook")
    assert hook.bar is None and hook.task is not None
    assert hook.values.startswith("top1 "), "what the bar of the next epoch shows"


def test_log_lines_go_above_the_bar_and_to_the_screen_itself_after_it(tmp_path, monkeypatch):
    hook, screen = ProgressHook(enabled=True), io.StringIO()
    monkeypatch.setattr(sys, "stdout", screen)
    monkeypatch.setattr(sys, "__stdout__", screen)
    monkeypatch.setenv("FORCE_COLOR", "1")  # a terminal for rich
    handler = logging.StreamHandler(screen)
    logger = logging.Logger("bar")
    logger.addHandler(handler)
    loop = SimpleNamespace(steps=4)
    runner = SimpleNamespace(rank=0, train_loop=loop, iter=0, epoch=0, max_epochs=1, logger=logger)
    hook.before_train_epoch(runner)
    assert handler.stream is not screen and handler.stream is sys.stdout, "rich draws the bar below what is printed"
    hook.after_train_epoch(runner)
    assert handler.stream is screen


def test_a_line_of_a_limited_epoch_counts_the_steps_that_it_has(tmp_path):
    train(config(tmp_path, epochs=1, **{"train_cfg.limit": 2, "default_hooks.logger.interval": 1}))
    log = next(tmp_path.glob("*/*.log")).read_text()
    assert "[1][1/2]" in log and "[1][2/2]" in log


def test_two_runs_in_one_process_log_into_folders_of_their_own(tmp_path):
    for name in "ab":
        train(config(tmp_path / name, epochs=1))
    for name in "ab":
        assert len(list((tmp_path / name).glob("*/vis_data/scalars.json"))) == 1


def test_a_signal_during_evaluation_saves_the_epoch_that_was_trained(tmp_path):
    cfg = config(tmp_path, epochs=3, **{"default_hooks.checkpoint": dict(min_seconds=1e9)})
    runner = apis_runner(cfg)

    class Signal(Hook):
        def before_val_epoch(self, runner):
            runner.stop_signal.received = 15

    runner.register_hook(Signal())
    with pytest.raises(Stopped):
        runner.train()
    assert checkpoint.load(tmp_path / "epoch_1.pth")["meta"]["epoch"] == 1


@pytest.mark.parametrize("number, stops", [(signal.SIGINT, True), (signal.SIGTERM, False)])
def test_ctrl_c_behind_the_last_step_finishes_the_run_and_stops_what_called_it(tmp_path, number, stops):
    runner = apis_runner(config(tmp_path, epochs=1))

    class Signal(Hook):
        def before_val_epoch(self, runner):
            os.kill(os.getpid(), number)

    runner.register_hook(Signal())
    with pytest.raises(KeyboardInterrupt) if stops else contextlib.nullcontext():
        runner.train()
    assert workdir.read_status(tmp_path)["state"] == "done" and result(tmp_path)["status"] == "done"


@pytest.mark.parametrize("method", ["Vanilla", "MixUp"])
def test_training_is_that_of_a_hand_written_loop(tmp_path, method):
    """Plain torch on the same batches and draws: one loss formula, one unfused SGD, one cosine."""
    epochs, lr = 3, 0.05
    runner = apis_runner(config(tmp_path, mixup=method, epochs=epochs, custom_hooks=[]))
    net = copy.deepcopy(runner.model.net)
    runner.train()
    loader = runner.train_loop.dataloader
    optimizer = torch.optim.SGD(net.parameters(), lr=lr, momentum=0.9, weight_decay=1e-4, foreach=False)
    means = []
    for epoch in range(epochs):
        optimizer.param_groups[0]["lr"] = lr * (1 + math.cos(math.pi * epoch / epochs)) / 2
        total = 0.0
        for images, labels, draws, _ in loader.batches(epoch):
            lam = float(draws["lam"][0]) if method == "MixUp" else 1.0
            logits = net(lam * images + (1 - lam) * images.roll(1, 0))
            loss = lam * F.cross_entropy(logits, labels) + (1 - lam) * F.cross_entropy(logits, labels.roll(1, 0))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item()
        means.append(total / len(loader))
    assert [entry["train"]["loss"] for entry in runner.history] == pytest.approx(means, abs=2e-4)
    for ours, by_hand in zip(runner.model.net.state_dict().values(), net.state_dict().values(), strict=True):
        torch.testing.assert_close(ours, by_hand, atol=2e-3, rtol=2e-2)
