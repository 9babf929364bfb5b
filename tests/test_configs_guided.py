"""The recipes of the methods that mix by saliency: as their authors train, and as the tables do."""
from functools import cache

import pytest

from openmix import apis
from openmix.engine.config.load import load_config
from openmix.engine.optim.schedules import lr_table
from openmix.registry import MIXUPS, MODELS

PREACT = ("comixup", "rmix", "guidedmixup")


@cache
def config(name):
    cfg = load_config(apis.config_root() / f"{name}.py")
    cfg.work_dir = "/never/made"
    return cfg


@pytest.mark.parametrize("name", [f"{data}/{backbone}" for data, backbones in (
    ("cifar100", ("r18", "rx50", "wrn28_8")), ("cifar10", ("r18", "rx50"))) for backbone in backbones])
def test_co_mixup_has_the_recipe_of_the_tables_and_the_loss_of_its_authors(name):
    cfg, plain = config(f"{name}_comixup"), config(f"{name}_vanilla")
    assert cfg.model.loss.type == "SoftmaxBCE"
    for key in ("optim_wrapper", "param_scheduler", "train_cfg", "train_dataloader", "data_preprocessor"):
        assert cfg[key] == plain[key], key
    method = MIXUPS.build(cfg.model.mixup)
    assert (method.alpha, method.blocks, method.part, method.omega, method.clean_weight) == (2, 4, 20, 0.001, 1)
    assert method.energy == dict(beta=0.32, gamma=1, eta=0.05, threshold=0.83, sweeps=4)


@pytest.mark.parametrize("method", PREACT)
def test_the_authors_network_and_crops(method):
    cfg = config(f"cifar100/preact18_{method}")
    net = MODELS.build(cfg.model).net
    assert sum(p.numel() for p in net.parameters()) == 11_171_146 + 90 * 513, "10 classes, and 90 more"
    assert cfg.train_dataloader.augment.to_dict() == dict(padding=2, mode="zeros", flip=0.5)
    assert cfg.train_dataloader.total_batch == 100 and cfg.optim_wrapper.optimizer.weight_decay == 1e-4


@pytest.mark.parametrize("method, base, epochs, steps", [("comixup", 0.2, 300, (100, 200)),
                                                         ("guidedmixup", 0.1, 1200, (400, 800))])
def test_the_authors_learning_rates_fall_by_ten(method, base, epochs, steps):
    cfg = config(f"cifar100/preact18_{method}")
    curve = lr_table(cfg.param_scheduler, cfg.optim_wrapper.optimizer.lr, cfg.train_cfg.max_epochs, 1)
    assert len(curve) == epochs
    for epoch in (0, steps[0] - 1, steps[0], steps[1] - 1, steps[1], epochs - 1):
        assert curve[epoch] == pytest.approx(base / 10 ** sum(epoch >= step for step in steps))


def test_r_mix_is_trained_with_one_cycle():
    """From a hundredth of the greatest rate, reached after 30 % of the iterations, to a millionth."""
    cfg = config("cifar100/preact18_rmix")
    curve = lr_table(cfg.param_scheduler, cfg.optim_wrapper.optimizer.lr, 300, 10)
    assert curve[0] == pytest.approx(0.002995) and max(curve) == pytest.approx(0.2995, rel=1e-4)
    assert curve.index(max(curve)) in range(890, 910) and curve[-1] == pytest.approx(0.2995e-6, rel=1e-2)
    assert cfg.optim_wrapper.optimizer.nesterov and "loss" not in cfg.model


def test_guided_mixup_has_both_variants_of_the_paper():
    filtered, gradient = (MIXUPS.build(config(f"cifar100/{name}_guidedmixup").model.mixup)
                          for name in ("r18", "preact18"))
    assert (filtered.guide, filtered.prob, filtered.needs) == ("spectral_residual", 0.5, "batch")
    assert (gradient.guide, gradient.prob, gradient.needs) == ("gradient", 0.8, "gradient")
    assert filtered.greedy and gradient.greedy
