"""Recipes of learned and aligned methods, PatchUp and decoupled losses: settings of their authors and the tables."""
import math

import pytest
import torch

from openmix.engine.optim.schedules import lr_table
from openmix.mixups import AlignMix, MixUp
from openmix.registry import LOSSES, MIXUPS, MODELS
from tests.test_configs import config, leaves

SAMIX = [("cifar100", "r18"), ("cifar100", "rx50"), ("cifar100", "wrn28_8"), ("cifar10", "r18"), ("cifar10", "rx50")]
# eta, mode, power and the alpha that differs from the config without decoupling
DECOUPLED = dict(
    r18_mixup=(0.01, "more", 0.5, 0.2), r18_cutmix=(0.1, "less", 0.5, None), r18_fmix=(0.01, "less", 0, None),
    r18_manifoldmix=(0.01, "more", 0, 0.5), r18_resizemix=(0.1, "less", 0.5, 0.2),
    r18_saliencymix=(0.01, "less", 0, None), rx50_mixup=(0.01, "both", 1, 0.2), rx50_cutmix=(0.1, "both", 1, None),
    rx50_fmix=(0.5, "both", 0, None), rx50_manifoldmix=(0.05, "both", 1, None), rx50_resizemix=(0.01, "less", 0, 0.2),
    rx50_saliencymix=(0.1, "both", 1, None))


def changes(of, name):
    """What the config ``name`` sets other than ``of``; both define the same other keys."""
    was, now = (leaves(config(n).to_dict()) for n in (of, name))
    return {k.removeprefix("."): v for k, v in now.items() if k not in was or was[k] != v}


@pytest.mark.parametrize("data, backbone", SAMIX)
def test_samix_is_trained_as_automix_in_the_tables(data, backbone):
    assert changes(f"{data}/{backbone}_automix", f"{data}/{backbone}_samix") == {
        "model.mixup.type": "SAMix", "model.mixup.lam_mul_k": 0.25}
    built = MIXUPS.build(config(f"{data}/{backbone}_samix").model.mixup)
    assert (built.alpha, built.mask_loss, built.margin, built.lam_margin, built.upsample) == (
        2, 0.1, 0.1, 0.08, "bilinear")


@pytest.mark.parametrize("backbone", ["r18", "rx50", "wrn28_8"])
def test_samix_p_is_samix_with_the_parts_of_its_run(backbone):
    assert changes(f"cifar100/{backbone}_samix", f"cifar100/{backbone}_samix_p") == {
        "model.mixup.pretrained": f"work_dirs/cifar100/{backbone}_samix/seed0", "val_cfg.network": "mix_q",
        "test_cfg.network": "mix_q"}


@pytest.mark.parametrize("backbone", ["r18", "rx50"])
def test_adautomix_has_the_settings_of_the_authors_code(backbone):
    assert changes(f"cifar100/{backbone}_automix", f"cifar100/{backbone}_adautomix") == {
        "model.mixup.type": "AdAutoMix", "model.mixup.alpha": 1.0, "model.mixup.beta": 0.3}
    built = MIXUPS.build(config(f"cifar100/{backbone}_adautomix").model.mixup)
    assert (built.lam_margin, built.momentum, built.momentum_end, built.upsample, built.maximise_cosine) == (
        0.03, 0.999, 0.999999, "bilinear", False)


@pytest.mark.parametrize("data, mode", [("cifar100", "zeros"), ("cifar10", "zeros")])
def test_alignmix_has_the_recipe_of_the_authors_code(data, mode):
    cfg = config(f"{data}/preact18_alignmix")
    with torch.device("meta"):
        net = MODELS.build(cfg.model).net
    classes = dict(cifar100=100, cifar10=10)[data]
    assert sum(p.numel() for p in net.parameters()) == 11_171_274 + 513 * (classes - 10)
    assert cfg.train_dataloader.total_batch == cfg.auto_scale_lr.base_batch_size == 128
    assert cfg.train_dataloader.augment.to_dict() == dict(padding=4, mode=mode, flip=0.5)
    assert cfg.optim_wrapper.to_dict() == dict(optimizer=dict(type="SGD", lr=0.1, momentum=0.9, weight_decay=1e-4))
    curve = lr_table(cfg.param_scheduler, 0.1, cfg.train_cfg.max_epochs, 1)
    assert len(curve) == 2000
    assert [curve[e] for e in (0, 499, 500, 1000, 1500, 1999)] == pytest.approx([0.1, 0.1, 0.01, 1e-3, 1e-4, 1e-4])


@pytest.mark.parametrize("name", ["cifar100/preact18_alignmix", "cifar10/preact18_alignmix", "cifar100/r18_alignmix"])
def test_alignmix_takes_turns_with_mixup(name):
    mixup, align = MIXUPS.build(config(name).model.mixup).methods
    assert isinstance(mixup, MixUp) and isinstance(align, AlignMix) and mixup.alpha == align.alpha == 2
    assert (align.epsilon, align.iterations, align.cost_scale) == (0.1, 100, None)


@pytest.mark.parametrize("name", DECOUPLED)
def test_a_decoupled_loss_has_the_shipped_settings(name):
    eta, mode, power, alpha = DECOUPLED[name]
    actual = changes(f"cifar100/{name}", f"cifar100/{name}_decouple")
    assert actual.pop("model.mixup.alpha", None) == alpha and actual.pop("train_cfg.max_epochs") == 800
    assert all(key.startswith("model.loss.") for key in actual)
    built = LOSSES.build(config(f"cifar100/{name}_decouple").model.loss)
    assert (built.eta, built.mode, built.power, built.threshold) == (eta, mode, power, 0.5)
    cfg = config(f"cifar100/{name}_decouple")
    curve = lr_table(cfg.param_scheduler, 0.1, 800, 1)
    assert curve[400] == pytest.approx(0.05) and curve[799] == pytest.approx(0.05 * (1 + math.cos(math.pi * 799 / 800)))


def test_patchup_has_the_layers_and_the_loss_of_the_paper():
    cfg = config("cifar100/r18_patchup")
    built = MIXUPS.build(cfg.model.mixup)
    assert built.layers == ("input", "conv1", "layer1") and cfg.model.loss.type == "SoftmaxBCE"
    assert (built.alpha, built.hard, built.gamma, built.block_size, built.prob) == (2, False, 0.75, 7, 1)
