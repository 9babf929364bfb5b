"""A grid to its rows: what is crossed, overridden and left out, and what is refused."""
from pathlib import Path

import pytest

from openmix.sweep.grid import parse, read_grid
from openmix.sweep.jobs import sweep_name

BASE = "configs/cifar100/{backbone}_{mixup}.py"


def rows(**keys):
    return parse(keys, "g").rows


def names(**keys):
    return [row.name for row in rows(**keys)]


def test_lists_are_crossed_in_the_order_backbone_mixup_epochs_vary():
    actual = rows(base=BASE, backbones=["r18", "rx50"], mixups=["mixup", "cutmix"], epochs=[200, 400], seeds=3,
                 vary={"optim_wrapper.optimizer.lr": [0.1, 0.2]})
    assert len(actual) == 16
    assert [row.name for row in actual[:5]] == [
        "r18_mixup_lr0.1_ep200", "r18_mixup_lr0.2_ep200", "r18_mixup_lr0.1_ep400", "r18_mixup_lr0.2_ep400",
        "r18_cutmix_lr0.1_ep200"]
    last = actual[-1]
    assert (last.base, last.backbone, last.mixup) == ("configs/cifar100/rx50_cutmix.py", "rx50", "cutmix")
    assert (last.epochs, last.seeds, last.method) == (400, (0, 1, 2), None)
    assert last.changes == dict(optim_wrapper=dict(optimizer=dict(lr=0.2)))


def test_each_mixup_has_its_own_options_and_lists_of_them():
    actual = rows(base="configs/_base_/cifar100_r18.py", mixups=[
        "Vanilla", dict(type="MixUp", vary=dict(alpha=[0.2, 1.0])),
        dict(type="CutMix", alpha=1.0, prob=0.5, name="paper"),
        dict(type="ManifoldMix", layers=("input", "layer1"), per_sample=True)])
    assert [(row.name.removeprefix("cifar100_r18_"), row.method) for row in actual] == [
        ("vanilla", dict(type="Vanilla")), ("mixup_alpha0.2", dict(type="MixUp", alpha=0.2)),
        ("mixup_alpha1", dict(type="MixUp", alpha=1.0)), ("cutmix_paper", dict(type="CutMix", alpha=1.0, prob=0.5)),
        ("manifoldmix_layers-input-layer1_per_sample-True",
         dict(type="ManifoldMix", layers=("input", "layer1"), per_sample=True))]


def test_a_method_fills_its_place_in_the_base_by_its_type():
    row, = rows(base="configs/cifar100/r18_{mixup}.py", mixups=[dict(type="CutMix", alpha=1.0)])
    assert (row.base, row.name) == ("configs/cifar100/r18_cutmix.py", "r18_cutmix_alpha1")


def test_a_row_has_the_name_of_its_backbone_and_method_wherever_they_stand_in_the_base():
    assert names(base="configs/{backbone}/{mixup}.py", backbones=["r18", "rx50"], mixups=["mixup"]) == [
        "r18_mixup", "rx50_mixup"]
    assert names(base="{mixup}/a.py", mixups=["mixup", "cutmix"]) == ["a_mixup", "a_cutmix"]


def test_an_empty_list_of_an_option_has_a_name():
    assert names(base="a.py", mixups=[dict(type="ManifoldMix", layers=[])]) == ["a_manifoldmix_layers-none"]


def test_overrides_change_the_rows_they_match_and_later_ones_win():
    actual = {row.name: row for row in rows(
        base=BASE, backbones=["r18", "rx50"], mixups=["cutmix", "mixup", "fmix_openmixup"], epochs=[200, 400],
        overrides=[dict(set={"optim_wrapper.optimizer": dict(lr=0.05), "train_cfg.limit": 3}),
                   dict(match=dict(backbone="RX50", mixup=["CutMix", "fmix*"]),
                        set={"optim_wrapper.optimizer.weight_decay": 5e-4}),
                   dict(match=dict(epochs=400), set=dict(train_cfg=dict(limit=7)), processes=4)])}
    assert actual["rx50_cutmix_ep200"].changes == dict(
        optim_wrapper=dict(optimizer=dict(lr=0.05, weight_decay=5e-4)), train_cfg=dict(limit=3))
    assert actual["rx50_fmix_openmixup_ep400"].changes["optim_wrapper"]["optimizer"]["weight_decay"] == 5e-4
    assert actual["rx50_mixup_ep400"].changes == dict(
        optim_wrapper=dict(optimizer=dict(lr=0.05)), train_cfg=dict(limit=7))
    assert [actual[n].processes for n in ("r18_mixup_ep200", "r18_mixup_ep400")] == [1, 4]


def test_overrides_may_match_what_is_varied():
    actual = rows(base="a.py", vary={"train_dataloader.total_batch": [100, 256]}, overrides=[
        dict(match={"train_dataloader.total_batch": 256}, set={"optim_wrapper.optimizer.lr": 0.2})])
    assert [row.changes.get("optim_wrapper") for row in actual] == [None, dict(optimizer=dict(lr=0.2))]


def test_excluded_rows_are_left_out():
    assert names(base=BASE, backbones=["r18", "wrn28_8"], mixups=["mixup"], epochs=[200, 400],
                 exclude=[dict(backbone="wrn*", epochs=[200])]) == ["r18_mixup_ep200", "r18_mixup_ep400",
                                                                    "wrn28_8_mixup_ep400"]


def test_seeds_are_a_number_or_a_list():
    assert rows(base="a.py")[0].seeds == (0,)
    assert rows(base="a.py", seeds=2)[0].seeds == (0, 1)
    assert rows(base="a.py", seeds=[3, 1])[0].seeds == (3, 1)


@pytest.mark.parametrize("keys, words", [
    (dict(), "no base"),
    (dict(base="a.py", mixupz=["x"]), "unknown key 'mixupz'; did you mean 'mixups'?"),
    (dict(base="{mixup}.py"), "no mixups"),
    (dict(base="{method}.py", mixups=["a"]), "unknown field 'method'"),
    (dict(base="a.py", backbones=["r18"]), "field {backbone}"),
    (dict(base="a.py", mixups="mixup"), "mixups must be a list"),
    (dict(base="a.py", mixups=[]), "something in it"),
    (dict(base="a.py", mixups=[dict(alpha=1)]), "mixups[0] needs a type"),
    (dict(base="a.py", mixups=[dict(type="MixUp", vary=dict(alpha=0.1))]), "mixups[0].vary.alpha must be a list"),
    (dict(base="a.py", epochs=[200, 0]), "epochs must be a whole number of at least 1, got 0"),
    (dict(base="a.py", epochs="200"), "epochs must be a whole number"),
    (dict(base="a.py", seeds=0), "seeds must be"),
    (dict(base="a.py", seeds=[1, 1]), "different ones"),
    (dict(base="a.py", processes=True), "processes must be a whole number"),
    (dict(base="a.py", vary=["lr"]), "vary must be a dict"),
    (dict(base="a.py", vary=dict(lr=0.1)), "lr must be a list"),
    (dict(base="a.py", overrides=[dict(sett={})]), "overrides[0]: unknown key 'sett'; did you mean 'set'?"),
    (dict(base="a.py", overrides=[dict(match=dict(epochs=3))]), "changes nothing"),
    (dict(base="a.py", mixups=["a"], overrides=[dict(match=dict(mixup="b"), set={"x": 1})]), "matches no row"),
    (dict(base="a.py", overrides=[dict(match=dict(mixxup="b"), set={"x": 1})]), "did you mean 'mixup'?"),
    (dict(base="a.py", exclude=[dict()]), "no rows left"),
    (dict(base="a.py", vary={3: [1]}), "vary takes keys of a config"),
    (dict(base="a.py", vary={"a.b": [float("inf")]}), "vary.a.b.0 must be finite"),
    (dict(base="a.py", overrides=[dict(set={3: 1})]), "overrides[0].set takes keys of a config"),
    (dict(base="a.py", overrides=[dict(set={"a.b": {1}})]), "overrides[0].set.a.b must be a plain value"),
    (dict(base="a.py", mixups=[dict(type="MixUp", name="a/b")]), "mixups[0].name is for a file name"),
    (dict(base="a.py", mixups=[dict(type="MixUp", alpha=float("nan"))]), "mixups[0].alpha must be finite, got nan"),
    (dict(base="a.py", mixups=[dict(type="A", alpha=a) for a in (1, 1 + 1e-9)]), "give one of the mixups a name")])
def test_what_is_not_understood_is_refused(keys, words):
    with pytest.raises((ValueError, TypeError)) as caught:
        rows(**keys)
    assert words in str(caught.value)


def test_a_grid_file_is_named_in_errors_and_may_use_python(tmp_path):
    file = tmp_path / "mine.py"
    file.write_text('"""words"""\nimport math\n_a = [0.1 * i for i in (1, 2)]\nbase = "a.py"\n'
                    'mixups = [dict(type="MixUp", alpha=a) for a in _a]\na = 1\n')
    with pytest.raises(ValueError, match="mine.py: grid: unknown key 'a'"):
        read_grid(file)
    file.write_text(file.read_text().replace("a = 1\n", ""))
    grid = read_grid(file)
    assert grid.name == "mine" and [row.name for row in grid.rows] == ["a_mixup_alpha0.1", "a_mixup_alpha0.2"]
    file.write_text("base = 1 +\n")
    with pytest.raises(ValueError, match="mine.py cannot be read as a grid .SyntaxError"):
        read_grid(file)
    file.write_text("import sys\nsys.exit(3)\n")
    with pytest.raises(ValueError, match="mine.py cannot be read as a grid .SystemExit: 3"):
        read_grid(file)
    with pytest.raises(FileNotFoundError, match="did you mean 'mine.py'"):
        read_grid(tmp_path / "mien.py")
    with pytest.raises(FileNotFoundError, match="a grid is a .py file"):
        read_grid(tmp_path / "mine.yaml")


GRIDS = sorted((Path(__file__).resolve().parents[2] / "configs" / "grids").glob("*.py"))


@pytest.mark.parametrize("path", GRIDS, ids=lambda path: path.stem)
def test_the_shipped_grids_start_from_shipped_configs(path):
    root = path.parents[2]
    grid = read_grid(path)
    assert grid.rows and [row.base for row in grid.rows if not (root / row.base).is_file()] == []
    repetitions = dict(mixup_paper_tables=10, mixup_paper_speech=3, mixup_paper_speech3=3)  # of splits; of small runs
    rest = 1 if path.stem.startswith("mixup_paper") else 3  # the paper has one run behind each value
    seeds = {row.seeds for row in grid.rows}
    assert len(seeds) == 1 and len(min(seeds)) >= repetitions.get(path.stem, rest)
    assert rest == 1 or seeds == {(0, 1, 2)}


@pytest.mark.parametrize("name, backbones, epochs", [
    ("cifar100_r18", {"r18"}, {200, 400, 800, 1200}), ("cifar100_rx50", {"rx50"}, {200, 400, 800, 1200}),
    ("cifar100_wrn28_8", {"wrn28_8"}, {400}), ("cifar10", {"r18", "rx50"}, {200, 400, 800, 1200})])
def test_the_grids_of_the_tables_hold_every_method_at_every_length_of_the_published_ones(name, backbones, epochs):
    from openmix.registry import MIXUPS

    path, = (p for p in GRIDS if p.stem == name)
    configs = path.parents[1] / name.split("_")[0]
    methods = {m.lower() for m in MIXUPS.known()}
    actual = {(Path(row.base).stem, row.epochs) for row in read_grid(path).rows}
    wanted = {f"{b}_{m}" for b in backbones for m in methods if (configs / f"{b}_{m}.py").is_file()}
    assert len(wanted) >= 12 and {(config, e) for config in wanted for e in epochs} <= actual
    assert {(config, e) for config, _ in actual for e in epochs} == actual
    assert {config.split("_")[0] for config, _ in actual} == {b.split("_")[0] for b in backbones}


@pytest.mark.parametrize("name", ["..py", "a;b.py", "$(x).py", "a\nb.py", "a b.py", "-x.py", ".x.py", "ä.py",
                                  "a" * 300])
def test_names_of_sweeps_reach_batch_scripts_and_are_plain(name, tmp_path):
    for read in (read_grid, sweep_name):
        with pytest.raises(ValueError, match="is called .* such names take .* letters"):
            read(tmp_path / name)


def test_names_of_rows_are_plain_whatever_the_base_is_called():
    actual = parse(dict(base="configs/-a b;$(x)ä.py", mixups=["mixup"], vary={"a.b": ["$(x)", "y\nz"]}), "g")
    assert [row.name for row in actual.rows] == ["a-b-x_mixup_b-x", "a-b-x_mixup_b-y-z"]
