"""The configs and grids of the mixup paper: they pass their checks and are the paper's experiments."""
from functools import cache

import pytest
import torch

from openmix import apis
from openmix.engine.config.check import check_config
from openmix.engine.config.load import load_config
from openmix.engine.optim.schedules import lr_table
from openmix.registry import LOSSES, MIXUPS, MODELS
from openmix.sweep.grid import read_grid

CONFIGS = [name.removesuffix(".py") for name in apis.list_configs("mixup_paper/*")]
PARAMETERS = dict(  # as the codes that the paper names have them
    cifar10_preact18=11_171_146, cifar100_preact18=11_217_316, cifar10_wrn28_10=36_479_194,
    cifar100_wrn28_10=36_536_884, cifar10_densenet190=25_624_430, cifar100_densenet190=25_821_620,
    noise20_preact18=11_171_146, noise50_preact18=11_171_146, noise80_preact18=11_171_146,
    cifar10_preact18_smoothing=11_171_146, cifar10_preact18_gaussian=11_171_146,
    cifar10_preact18_between=11_171_146,
    imagenet_r50=25_557_032, imagenet_r101=44_549_160, imagenet_rx101_32x4d=44_177_704,
    imagenet_rx101_64x4d=83_455_272, imagenet_r101_attacked=44_549_160, speech_lenet=16_321_570,
    speech_vgg11=13_172_894, table_abalone=21_532, table_arcene=1_296_898, table_arrhythmia=54_029, table_htru2=17_922,
    table_iris=17_539, table_phishing_1353=18_179, table_phishing_11055=20_738)
RUNS = dict(cifar=12, between=2, ablation=24, smoothing=14, gaussian=6, noise=15, noise_dropout=12, noise_both=40,
            noise_small=3, between_small=2, imagenet=8, imagenet_resnext=6, attacks=2, speech=6, speech3=6,
            tables=21)  # rows of each grid


@cache
def config(name):
    cfg = load_config(apis.config_root() / f"{name}.py")
    cfg.work_dir = "/never/made"
    return cfg


@pytest.mark.parametrize("name", CONFIGS)
def test_a_config_passes_its_check_and_has_the_parameters_of_the_papers_network(name):
    check_config(config(name))
    with torch.device("meta"):
        model = MODELS.build(config(name).model)
    count = sum(p.numel() for p in model.net.parameters())
    assert count == PARAMETERS.get(name.split("/")[1], count)


def test_every_counted_config_is_there():
    assert {f"mixup_paper/{name}" for name in PARAMETERS} <= set(CONFIGS)


@pytest.mark.parametrize("name, rows", RUNS.items())
def test_every_row_of_a_grid_starts_from_a_config_and_names_a_method(name, rows):
    grid = read_grid(apis.config_root() / f"grids/mixup_paper_{name}.py")
    assert len(grid.rows) == rows
    for row in grid.rows:
        assert row.base.removeprefix("configs/").removesuffix(".py") in CONFIGS
        assert MIXUPS.build(row.method)


def test_no_grid_of_the_paper_is_left_out():
    assert {n.removesuffix(".py") for n in apis.list_grids("mixup_paper_*")} == {f"mixup_paper_{name}" for name in RUNS}


@pytest.mark.parametrize("network, steps", [("preact18", (100, 150)), ("wrn28_10", (60, 120, 180)),
                                            ("densenet190", (100, 150))])
@pytest.mark.parametrize("data", ["cifar10", "cifar100"])
def test_cifar_is_trained_as_in_the_paper(data, network, steps):
    cfg = config(f"mixup_paper/{data}_{network}")
    assert cfg.optim_wrapper.to_dict() == dict(
        optimizer=dict(type="SGD", lr=0.1, momentum=0.9, weight_decay=1e-4)), "no Nesterov, decay on every parameter"
    assert cfg.train_dataloader.total_batch == 128 and cfg.train_cfg.max_epochs == 200
    assert cfg.train_dataloader.augment.to_dict() == dict(padding=4, mode="zeros", flip=0.5)
    assert cfg.data_preprocessor.to_dict() == dict(mean=(0.4914, 0.4822, 0.4465), std=(0.2023, 0.1994, 0.2010))
    table = lr_table(cfg.param_scheduler, 0.1, 200, 1)
    assert table == pytest.approx([0.1 * 0.1 ** sum(epoch >= s for s in steps) for epoch in range(200)])


@pytest.mark.parametrize("epochs, cuts", [(90, (30, 60, 80)), (200, (60, 120, 180))])
def test_the_learning_rate_of_imagenet_warms_up_each_iteration_and_falls_at_the_papers_epochs(epochs, cuts):
    grid = read_grid(apis.config_root() / "grids/mixup_paper_imagenet.py")
    row = next(row for row in grid.rows if row.epochs == epochs)
    schedule = row.changes.get("param_scheduler") or config("mixup_paper/imagenet_r50").param_scheduler
    steps = 1251  # of 1,281,167 images in batches of 1,024
    lr = lr_table(schedule, config("mixup_paper/imagenet_r50").optim_wrapper.optimizer.lr, epochs, steps)
    assert lr[0] == pytest.approx(0.1) and lr[5 * steps] == pytest.approx(0.4) and len(lr) == epochs * steps
    rises = [b - a for a, b in zip(lr[:5 * steps - 1], lr[1:5 * steps], strict=True)]
    assert rises == pytest.approx([0.3 / (5 * steps - 1)] * len(rises)), "a straight line, each iteration"
    for cut, value in zip(cuts, (0.04, 0.004, 0.0004), strict=True):
        assert lr[cut * steps] == pytest.approx(value) and lr[cut * steps - 1] == pytest.approx(10 * value)


def test_imagenet_decays_no_norm_and_runs_the_rows_of_the_table():
    cfg = config("mixup_paper/imagenet_r50")
    assert cfg.optim_wrapper.to_dict() == dict(
        optimizer=dict(type="SGD", lr=0.4, momentum=0.9, weight_decay=1e-4, nesterov=True),
        paramwise_cfg=dict(norm_decay_mult=0.0))
    assert cfg.train_dataloader.total_batch == 1024 and cfg.val_evaluator.topk == (1, 5)
    rows = {(row.backbone, row.epochs, row.method.get("alpha")) for name in ("imagenet", "imagenet_resnext")
            for row in read_grid(apis.config_root() / f"grids/mixup_paper_{name}.py").rows}
    assert rows >= {("r50", 200, 0.2), ("r101", 90, 0.2), ("rx101_32x4d", 200, 0.4), ("rx101_64x4d", 90, 0.4),
                    ("r50", 200, None), ("rx101_32x4d", 90, None)}


@pytest.mark.parametrize("noise", [20, 50, 80])
def test_corrupted_labels_are_the_same_in_training_and_in_both_evaluations(noise):
    cfg = config(f"mixup_paper/noise{noise}_preact18")
    train = cfg.train_dataloader.dataset.to_dict()
    assert train == dict(type="LabelNoise", kind="uniform", p=noise / 100, seed=12345,
                         data=dict(type="CIFAR10", data_root="data", split="train"))
    assert {name: cfg.evals[name].dataset.to_dict() for name in ("real", "corrupted")} == dict(
        real={**train, "part": "clean"}, corrupted={**train, "part": "noisy"})
    assert cfg.val_dataloader.dataset.to_dict() == dict(type="CIFAR10", data_root="data", split="test")


def test_the_small_corrupted_run_evaluates_the_images_that_it_trains_on():
    cfg = config("mixup_paper/noise50_lenet")
    train = cfg.train_dataloader.dataset.to_dict()
    assert cfg.evals.real.dataset.to_dict() == {**train, "part": "clean"}
    assert cfg.evals.corrupted.dataset.to_dict() == {**train, "part": "noisy"}


def test_the_ablation_has_the_layers_and_partners_of_the_table_with_both_decays():
    rows = read_grid(apis.config_root() / "grids/mixup_paper_ablation.py").rows
    layers = [row.method["layers"] for row in rows if row.method["type"] == "ManifoldMix"]
    assert sorted(set(layers)) == ["layer1", "layer2", "layer3", "layer4", "stem"]  # outputs: inputs of stages 1 to 5
    methods = [MIXUPS.build(row.method) for row in rows if row.method["type"] != "Vanilla"]
    assert all(method.alpha == 1 for method in methods)
    near = [method for method in methods if method.neighbours]
    assert all(method.pairing == "perm" for method in methods if method not in near)
    assert all(method.neighbours["k"] == 200 for method in near)
    kinds = [(method.neighbours["same_class"], method.nearer) for method in near]
    assert sorted(kinds) == sorted(2 * [(False, False), (False, True), (True, True)])
    assert {row.changes["optim_wrapper"]["optimizer"]["weight_decay"] for row in rows} == {1e-4, 5e-4}


def test_smoothing_gives_a_tenth_of_eps_to_each_wrong_class():
    loss = LOSSES.build(config("mixup_paper/cifar10_preact18_smoothing").model.loss)
    logits = torch.zeros(1, 10).index_fill_(1, torch.tensor([3]), 5.0)
    target = torch.full((10,), 0.01).index_fill_(0, torch.tensor([3]), 0.91)
    torch.testing.assert_close(loss(logits, torch.tensor([3])), -(target * logits.log_softmax(1)).sum())
