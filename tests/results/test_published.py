"""Published numbers: spot checks typed from the sources, and that every row of ours finds its own and no other."""
import json
from importlib import resources

import pytest

from openmix import apis
from openmix.engine.config.load import load_config
from openmix.engine.description import description
from openmix.registry import MIXUPS
from openmix.results import published

TABLE = {"r18": "ResNet-18", "rx50": "ResNeXt-50", "wrn28": "WideResNet-28-8"}


@pytest.mark.parametrize("dataset, network, method, epochs, value", [
    ("CIFAR-100", "ResNet-18", "Vanilla", 200, 76.42), ("CIFAR-100", "ResNet-18", "SAMix", 1200, 82.41),
    ("CIFAR-100", "ResNeXt-50", "CutMix", 1200, 77.17), ("CIFAR-100", "ResNeXt-50", "AutoMix", 800, 83.64),
    ("CIFAR-100", "WideResNet-28-8", "PuzzleMix", 400, 85.02), ("CIFAR-10", "ResNet-18", "MixUp", 400, 96.55),
    ("CIFAR-10", "ResNeXt-50", "GridMix", 1200, 95.79), ("CIFAR-100", "DeiT-S", "SAMix", 600, 82.49),
    ("CIFAR-10", "LeNet", "KD", 200, 75.5), ("CIFAR-10", "LeNet", "KD + mixup, alpha 2", 200, 75),
    ("CIFAR-10", "LeNet", "KD + manifold mixup, alpha 1", 200, None),
    ("CIFAR-100", "ResNet-18", "AdAutoMix", 800, 82.32), ("CIFAR-100", "ResNeXt-50", "AdAutoMix", 200, 84.40),
    ("CIFAR-100", "ResNet-18", "SaliencyMix+SUMix", 800, 79.91), ("CIFAR-100", "ResNeXt-50", "FMix+SUMix", 800, 80.79),
    ("CIFAR-100", "WideResNet-28-8", "ResizeMix+SUMix", 400, 84.91),
    ("CIFAR-100", "PreActResNet-18", "R-Mix", 300, 81.45),
    ("CIFAR-10", "PreActResNet-18 (stem_norm=True)", "AlignMix", 2000, 97.05),
    ("CIFAR-100", "Swin-T", "Vanilla", 200, 78.41),
    ("CIFAR-100", "ConvNeXt-T", "PuzzleMix", 600, 84.17)])
def test_values_are_those_of_the_source(dataset, network, method, epochs, value):
    assert published.published(dataset, network, method, epochs) == value


@pytest.mark.parametrize("asked", [
    ("CIFAR-100", "ResNet-18", "AlignMix", 200),   # not reported
    ("CIFAR-100", "ResNet-18", "MixUp", 300), ("CIFAR-100", "ResNet-18", "CutOut", 200),
    ("CIFAR-100", "ResNet-19", "MixUp", 200), ("SVHN", "ResNet-18", "MixUp", 200)])
def test_where_nothing_was_published_there_is_none(asked):
    assert published.published(*asked) is None


def test_every_table_names_its_source_and_every_key_in_the_data_leads_somewhere():
    for dataset, network in published.tables():
        source = published.source(dataset, network)
        if source is None:  # its settings alone
            continue
        assert source["url"].startswith("https://") and published.general_caveats(dataset, network)
        if "OpenMixup" in source["name"]:
            assert "last 10 epochs" in source["reduction"]
            assert any("one run" in caveat for caveat in published.general_caveats(dataset, network))
        for method in published.methods(dataset, network):
            for epochs in published.epochs(dataset, network):
                assert "" not in published.caveats(dataset, network, method, epochs)
                value = published.published(dataset, network, method, epochs)
                assert value is None or 20 < value < 100
    assert len(set(published.tables())) == len(published.tables()) >= 9
    assert published.source("SVHN", "ResNet-18") is None


def test_known_doubts_stand_with_the_values_they_concern():
    slip = "slip of copying"
    of = {(m, e): " ".join(published.caveats("CIFAR-100", "ResNeXt-50", m, e))
          for m in published.methods("CIFAR-100", "ResNeXt-50") for e in (200, 400, 800, 1200)}
    assert [key for key, text in of.items() if slip in text] == [("ResizeMix", 200)]
    assert "79.23" in of["ResizeMix", 200]  # what others print in its place
    values = [published.published("CIFAR-100", network, "ResizeMix", 200) for network in ("ResNet-18", "ResNeXt-50")]
    assert values[0] == values[1]  # which is why
    assert {m for (m, _), text in of.items() if "weight decay" in text} == {
        "CutMix", "AttentiveMix+", "SaliencyMix", "FMix", "ResizeMix"}
    assert all("SUMix" in text and "mean label weight" in text for (m, _), text in of.items() if m.endswith("+SUMix"))
    assert "Adversarial-AutoMixup" in of["AdAutoMix", 200]
    assert "labels of the two images swapped" in published.caveats("CIFAR-10", "ResNet-18", "SmoothMix")[0]
    assert "several networks" in published.caveats("CIFAR-10", "ResNet-18", "AutoMix")[0]
    assert published.caveats("CIFAR-10", "ResNet-18", "CutOut") == []


def test_every_config_of_a_published_table_finds_its_row():
    """The labels in the data are those that the shipped configs get."""
    actual, without = set(), set()
    for name in apis.list_configs("cifar10*"):
        dataset, file = name.split("/")
        if not file.startswith(tuple(TABLE)):
            continue
        config = load_config(apis.config_root() / name).to_dict()
        made = description(config["model"], dict(cifar10="CIFAR-10", cifar100="CIFAR-100")[dataset])
        if not file.removesuffix(".py").removesuffix("_openmixup").endswith(config["model"]["mixup"]["type"].lower()):
            # with another loss, or among other methods: no row of these tables
            assert published.published_name(made["dataset"], made["network"], made["method"]) is None, name
            assert "_decouple" not in file or " + DecoupledCrossEntropy (" in made["method"]
            continue
        where, row = (made["dataset"], made["network"]), made["method"]
        assert where[1] == TABLE[file.split("_")[0]]
        method = published.published_name(*where, row)
        (without if method is None else actual).add((*where, row))
    listed = {(d, n, m): published.labels(d, n, m) for d, n in published.tables() for m in published.methods(d, n)}
    assert actual <= {(d, n, row) for (d, n, _), rows in listed.items() for row in rows}
    for (d, n, method), rows in listed.items():  # of methods that are here, each row has a config
        kinds = {row.split(" (")[0] for row in rows}
        if rows and kinds <= set(MIXUPS.known()) and n in TABLE.values():
            assert any((d, n, row) in actual for row in rows), f"{n} on {d}: no config gets a label of {method}: {rows}"
    kinds = {(d, n, row.split(" (")[0]) for (d, n, _), rows in listed.items() for row in rows}
    without = {(d, n, row.split(" (")[0]) for d, n, row in without}
    assert not kinds & without, "a published method with a label of no row"
    assert ("CIFAR-100", "ResNet-18", "GridMix") in without  # of the paper; what the tables call so is GridMixup
    assert published.published_name("CIFAR-100", "ResNet-18", "GridMixup (alpha=0.2)") == "GridMix"
    assert published.published_name("CIFAR-100", "ResNet-18", "CutMix") is None  # alpha 1 is not the published setting


@pytest.mark.parametrize("name, method", [
    ("cifar100/preact18_comixup", "Co-Mixup"), ("cifar100/preact18_rmix", "R-Mix"),
    ("cifar10/preact18_alignmix", "AlignMix"), ("cifar100/preact18_alignmix", "AlignMix")])
def test_the_recipes_of_authors_find_their_values(name, method):
    config = load_config(apis.config_root() / f"{name}.py").to_dict()
    made = description(config["model"], "CIFAR-100" if "cifar100" in name else "CIFAR-10")
    where = made["dataset"], made["network"]
    assert published.published_name(*where, made["method"]) == method
    assert published.epochs(*where) == [config["train_cfg"]["max_epochs"]]
    assert published.is_target(*where, method, config["train_cfg"]["max_epochs"]) == (method != "AlignMix")


def test_every_config_of_the_distillation_table_finds_its_row():
    actual = set()
    for name in apis.list_configs("distill/cifar10_*"):
        if "teacher" not in name:
            config = load_config(apis.config_root() / name).to_dict()
            made = description(config["model"], "CIFAR-10")
            actual.add(published.published_name("CIFAR-10", made["network"], made["method"]))
    assert actual == set(published.methods("CIFAR-10", "LeNet")) and len(actual) == 9
    assert not published.is_target("CIFAR-10", "LeNet", "KD", 200)  # of another teacher, at an unknown length


def test_the_data_is_where_an_installed_package_has_it():
    text = resources.files("openmix.results").joinpath("published_cifar.json").read_text()
    assert json.loads(text)["tables"]
