"""The published values of the mixup paper, and the tables that they are compared in."""
import json

import pytest

from openmix import apis
from openmix.engine.config.load import load_config
from openmix.engine.description import description
from openmix.results import published
from openmix.results import tables as zoo
from openmix.results.cells import make_cells
from openmix.results.records import read_records
from openmix.results.repetitions import recipe_of
from openmix.sweep.grid import read_grid
from tests.results.made import make_run

PREACT = "PreActResNet-18 (init=torch)"
NOISE = "CIFAR-10 ({}% uniform noise)"


@pytest.mark.parametrize("dataset, network, method, epochs, error", [
    ("CIFAR-10", PREACT, "ERM", 200, 5.53), ("CIFAR-10", PREACT, "mixup, weight decay 5e-4", 200, 4.68),
    ("CIFAR-10", PREACT, "mixup at the input of stage 4", 200, 5.95),
    ("CIFAR-10", "DenseNet-190-40", "mixup", 200, 2.7),
    ("CIFAR-100", PREACT, "mixup", 200, 21.1), ("imagenet", "ResNet-101 (stem=imagenet)", "mixup", 200, 20.8),
    ("imagenet", "ResNeXt-101 (groups=64, stem=imagenet)", "mixup", 90, 19.8),
    ("Speech Commands (30 words)", "SpeechVGG11", "mixup, alpha 0.2", 30, 3.4),
    (NOISE.format(50), PREACT, "mixup, alpha 32", 200, 12.7), (NOISE.format(80), PREACT, "ERM", 200, 73.9),
    (NOISE.format(20), "PreActResNet-18 (dropout=0.7, init=torch)", "ERM + dropout", 200, 10.4),
    (NOISE.format(20), "PreActResNet-18 (dropout=0.1, init=torch)", "mixup, alpha 4 + dropout", 200, 6.2),
    ("arcene", "MLP", "ERM", 10, 57.6), ("phishing_1353", "MLP", "mixup", 10, 15.2)])
def test_values_are_100_minus_the_errors_of_the_paper(dataset, network, method, epochs, error):
    assert published.published(dataset, network, method, epochs) == pytest.approx(100 - error)
    assert any("errors" in caveat for caveat in published.general_caveats(dataset, network))


def test_cells_whose_place_in_the_source_is_not_certain_are_not_printed():
    errors = {round(100 - published.published("CIFAR-10", PREACT, name, 200), 2)
              for name in published.methods("CIFAR-10", PREACT)}
    assert not errors & {4.98, 5.26, 5.15, 5.55 + 1, 5.23, 5.17, 5.72, 5.25, 5.02, 5.06, 5.33, 5.34, 5.40, 5.08, 5.09,
                         5.04, 7.16, 7.24}
    assert len(errors) >= 14


def test_the_uci_sets_are_no_target_and_say_why():
    for name in ("abalone", "arcene", "arrhythmia", "htru2", "iris", "phishing_1353"):
        assert not published.is_target(name, "MLP", "mixup", 10)
        assert "not stated" in " ".join(published.general_caveats(name, "MLP"))
        assert published.reduction(name, "MLP") == "last"
    assert "majority class" in " ".join(published.general_caveats("arcene", "MLP"))


def rows_of(grid):
    """(network, method, recipe) of each row of a shipped grid."""
    for row in read_grid(apis.config_root() / f"grids/{grid}.py").rows:
        config = load_config(row.base).to_dict()
        if row.method:
            config["model"]["mixup"] = row.method
        zoo_recipe = recipe_of(_merged(config, row.changes))
        made = description(_merged(config, row.changes)["model"], "CIFAR-10")
        yield made["network"], made["method"], zoo_recipe


def _merged(base, over):
    return {**base, **{k: _merged(base.get(k) or {}, v) if isinstance(v, dict) else v for k, v in over.items()}}


@pytest.mark.parametrize("grid, least", [("mixup_paper_ablation", 16), ("mixup_paper_noise", 0)])
def test_rows_of_a_grid_find_the_published_row_of_their_settings(grid, least):
    names = [published.published_name("CIFAR-10", network, method, recipe) for network, method, recipe in rows_of(grid)]
    actual = [name for name in names if name]
    if least:
        assert len(actual) == len(set(actual)) >= least, "each row another published one"
    assert published.published_name("CIFAR-10", PREACT, "Vanilla", {
        "optim_wrapper.optimizer.weight_decay": 0.0001, "model.loss.eps": 0.1}) is None, "smoothed labels are no ERM"


def test_every_noise_level_has_the_rows_of_its_grid():
    for noise in (20, 50, 80):
        own = {label for name in published.methods(NOISE.format(noise), PREACT)
               for label in published.labels(NOISE.format(noise), PREACT, name)}
        assert own <= {method for _, method, _ in rows_of("mixup_paper_noise")} and len(own) == 2
        assert published.columns(NOISE.format(noise), PREACT) == [
            ("val", "best"), ("real", "top1"), ("corrupted", "top1")]


def make_split_runs(root, repetition=lambda seed: seed):
    """Three runs, each of a split of its own, 20 epochs that rise to 70, 71 and 72."""
    for seed in range(3):
        folder = make_run(root / f"seed{seed}", "type='Vanilla'", seed=seed, epochs=20, files=False,
                          curve=[10.0] * 19 + [70.0 + seed], backbone="type='MLP'")
        content = json.loads((folder / "result.json").read_text())
        content["data"] |= dict(sha256=f"{seed}" * 64, official=False, name="iris", size=[4],
                                selection=dict(folds=2, repetition=repetition(seed)))
        content["description"] = dict(method="Vanilla", network="MLP", dataset="iris", defaults={})
        (folder / "result.json").write_text(json.dumps(content))
        config = folder / "wrn28_8_method.py"
        config.write_text(config.read_text())
    return make_cells(read_records(root))


def test_splits_that_each_seed_draws_anew_are_one_row_with_the_accuracy_of_the_last_epoch(tmp_path):
    (cell,) = make_split_runs(tmp_path)
    assert cell.values == [70.0, 71.0, 72.0] and cell.kind == "last" == cell.reduction
    text = zoo.cell_text(cell, [])
    assert text == "71.00 ± 1.00 (3)", "no dagger: the last epoch is what this table reports"
    part = zoo.make_part([cell], "iris", "MLP")
    assert "of the last epoch of each run" in part.caption[0] and "†" not in " ".join(map(str, part.caption))


def test_other_splits_than_the_seeds_stay_rows_of_their_own(tmp_path):
    assert len(make_split_runs(tmp_path, repetition=lambda seed: seed + 1)) == 3


def test_the_reduction_of_printed_tables_is_an_option(tmp_path):
    make_split_runs(tmp_path)
    records = read_records(tmp_path)
    assert [cell.values for cell in make_cells(records, "median")] == [[10.0, 10.0, 10.0]]
    assert [cell.values for cell in make_cells(records, "last")] == [[70.0, 71.0, 72.0]]
