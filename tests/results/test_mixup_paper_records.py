"""The committed records of the mixup paper show what its page says of them."""
import json
import statistics
from pathlib import Path

import pytest

RESULTS = Path(__file__).parents[2] / "results"
SETS = ("abalone", "arcene", "arrhythmia", "htru2", "iris", "phishing1353")


def runs(pattern):
    return [json.loads(file.read_text()) for file in sorted(RESULTS.glob(f"{pattern}/seed*/result.json"))]


@pytest.mark.parametrize("name", SETS)
@pytest.mark.parametrize("row", ["vanilla", "mixup_alpha0.2", "mixup_alpha1"])
def test_each_row_of_table_4_has_five_repetitions_of_two_folds(name, row):
    records = runs(f"{name}-mlp/table_*_{row}*")
    assert sorted(record["seed"] for record in records) == list(range(10)) and len(records) == 10
    assert all(record["status"] == "done" and record["epochs"] == 10 for record in records)


def corrupted(row):
    return [run["evals"]["corrupted"]["networks"]["net"]["top1"]
            for run in runs(f"cifar10200aclass50uniformnoise-lenet/noise50_lenet_{row}-*")]


def test_erm_learns_corrupted_labels_by_heart_and_mixup_fewer_with_a_larger_alpha():
    erm, some, most = map(statistics.mean, map(corrupted, ("vanilla", "mixup_pairing-perm_alpha8",
                                                           "mixup_pairing-perm_alpha32")))
    assert erm > 99 and erm - 30 > some > most


def test_attacks_on_a_trained_network_grow_with_eps_and_ten_steps_do_more_than_one():
    evals = json.loads((RESULTS / "cifar10-resnet20/evaluations.json").read_text())["evals"]
    error = {name: 100 - evaluation["networks"]["net"].get("top1", 0) for name, evaluation in evals.items()
             if evaluation["type"] in ("Accuracy", "FGSM", "IFGSM", "PGD")}
    for kind in ("fgsm", "ifgsm"):
        grown = [error["clean"], *(error[f"{kind}{eps}"] for eps in (1, 2, 4, 8))]
        assert grown == sorted(grown) and grown[1] > grown[0] + 20
    assert all(error[f"ifgsm{eps}"] >= error[f"fgsm{eps}"] for eps in (1, 2, 4, 8))
    assert error["pgd4"] >= error["ifgsm4"] - 1


def test_a_network_trained_without_mixing_misses_most_in_the_middle_between_two_images():
    between = json.loads((RESULTS / "cifar10-resnet20/evaluations.json").read_text())["evals"]["between"]
    for name in ("miss", "norm"):
        curve = between["networks"]["net"][name]
        assert len(curve) == 21 and max(curve[8:13]) == max(curve) > 10 * max(curve[0], curve[-1], 0.1)
