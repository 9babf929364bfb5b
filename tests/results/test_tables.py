"""The model zoo against a table typed by hand, and what holds for every table."""
import csv
import io
import json
import re
import shutil
import statistics
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from openmix import datasets
from openmix.engine.config.load import load_config
from openmix.engine.description import description
from openmix.paths import config_root
from openmix.results import documents, published
from openmix.results import recipes as shipped
from openmix.results import tables as zoo
from openmix.results.cells import make_cells
from openmix.results.costs import make_costs, reads_outputs
from openmix.results.documents import rewrite
from openmix.results.labels import read_config
from openmix.results.records import read_records
from openmix.results.render import Link, Part, Table, layout, render
from openmix.workdir.identity import canonical, config_hash
from tests.engine.tiny import ROOT
from tests.results.made import WRN, damage, last_ten, make_run, make_two_kinds

GOLDEN = Path(__file__).with_name("golden_wrn28_8.md")
TABLE = ("CIFAR-100", "WideResNet-28-8")


def made_runs(root):
    """The runs whose table is typed in the golden file: medians 81.45, 81.65, 81.40 for Vanilla, and so on."""
    steps = [0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]  # their median is 0.45, of 11 with a 10 before it 0.4
    for seed, curve, img_s in ((0, last_ten(*(81.0 + s for s in steps)), 5000.0),
                               (1, last_ten(*(81.2 + s for s in reversed(steps))), 5200.0),
                               (2, last_ten(81.4), 4800.0)):
        make_run(root / "vanilla" / f"seed{seed}", seed=seed, curve=curve, img_s=img_s, files=False)
    mixup = dict(mixup="alpha=1.0, type='MixUp'", img_s=4000.0, memory=2100.0, files=False)
    make_run(root / "mixup" / "seed0", curve=last_ten(83.0), **mixup)
    for seed, top1 in enumerate((28.0, 32.0)):
        make_run(root / "mixup_short" / f"seed{seed}", seed=seed, curve=[1.0, 1.0, 1.0, 99.0, top1], epochs=5, **mixup)
    cutmix = dict(mixup="alpha=0.2, type='CutMix'")
    make_run(root / "cutmix" / "seed0", curve=last_ten(84.4), **cutmix)
    make_run(root / "cutmix" / "seed1", seed=1, curve=[10.0, 20.0], status="diverged", files=False,
             reason="loss nan at iteration 7", **cutmix)
    make_run(root / "cutmix" / "seed2", seed=2, status="running", files=False, **cutmix)  # and killed: no lock
    for seed, top1 in enumerate((84.2, 84.22)):
        make_run(root / "fmix" / f"seed{seed}", "alpha=0.2, type='FMix'", seed=seed, curve=last_ten(top1),
                 hardware="GPU B", img_s=9500.0, files=False)
    torn = make_run(root / "manifoldmix" / "seed0", "type='ManifoldMix'", curve=last_ten(83.0), files=False)
    (torn / "result.json").write_text('{"schema": 1, "sta')
    for seed, how in enumerate(("newer", "partial")):
        damage(make_run(root / "puzzlemix" / f"seed{seed}", "std=(0.2, 0.2, 0.2), type='PuzzleMix'", seed=seed,
                        curve=last_ten(85.0), files=False), how)
    make_run(root / "automix" / "seed0", "layer='layer2', type='AutoMix'", status="preempted", files=False)
    make_run(root / "mymix" / "seed0", "strength=3, type='MyMix'", curve=last_ten(70.0), processes=2, img_s=9000.0,
             files=False)


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    root = tmp_path_factory.mktemp("zoo") / "runs"
    made_runs(root)
    return root


def squeezed(text: str) -> list[str]:
    """Lines without the padding of tables, and without the lines that align their columns."""
    lines = [re.sub(r"\s+", " ", line).strip() for line in text.splitlines()]
    return [line for line in lines if line and not re.fullmatch(r"[|: -]+", line)]


def table_of(root, base, place=TABLE, style="markdown"):
    return render(zoo.make_part(make_cells(read_records(root)), *place, base), style)


def cell(text: str, row: str, column: str) -> str:
    """One cell of the first Markdown table of ``text``."""
    lines = [[c.strip() for c in line.strip("|").split("|")] for line in text.splitlines() if line.startswith("|")]
    return next(line for line in lines if line[0] == row)[lines[0].index(column)]


def command(*arguments, cwd=ROOT, check=True):
    done = subprocess.run([sys.executable, str(ROOT / "tools" / "model_zoo.py"), *map(str, arguments)], cwd=cwd,
                          capture_output=True, text=True, timeout=60)
    assert not check or done.returncode == 0, done.stderr
    return done


def test_overlapping_folders_count_a_run_once(tmp_path):
    make_run(tmp_path / "runs" / "seed0", curve=last_ten(80.0), files=False)
    text = command("runs", "runs/seed0", "runs", cwd=tmp_path).stdout
    assert "80.00 (1)" in text and "1 run:" in text and "more than once" not in text


# -- the table -----------------------------------------------------------------------------------------------------


def test_the_table_of_hand_made_runs_is_the_one_typed_by_hand(runs, tmp_path):
    actual, typed = squeezed(table_of(runs, runs.parent / "doc")), squeezed(GOLDEN.read_text())
    for a, b in zip(actual, typed, strict=False):
        assert a == b
    assert len(actual) == len(typed)


def test_the_same_runs_give_the_same_bytes_wherever_they_lie_and_however_often(runs, tmp_path):
    copy = tmp_path / "runs"
    shutil.copytree(runs, copy)
    once = table_of(runs, runs.parent / "doc")
    assert once == table_of(runs, runs.parent / "doc") == table_of(copy, tmp_path / "doc")
    assert len({command("runs", "--format", "csv", cwd=folder).stdout for folder in (runs.parent, tmp_path)}) == 1


def test_mean_and_deviation_are_those_of_the_formulas(tmp_path):
    values = (80.13, 79.2, 81.77, 80.5)
    for seed, value in enumerate(values):
        make_run(tmp_path / f"seed{seed}", seed=seed, curve=last_ten(value))
    actual, = make_cells(read_records(tmp_path))
    mean = sum(values) / 4
    assert actual.mean == pytest.approx(mean, rel=1e-12)
    assert actual.std == pytest.approx((sum((v - mean) ** 2 for v in values) / 3) ** 0.5, rel=1e-12)
    assert (actual.seeds, actual.kind, actual.values) == (4, "median", list(values))
    assert actual.std != pytest.approx(statistics.pstdev(values), rel=1e-3)


@pytest.mark.parametrize("change, row", [
    (dict(weight_decay=0.0005), "Vanilla, weight_decay=0.0005"), (dict(processes=2), "Vanilla, processes 2"),
    (dict(precision="torch.float32"), "Vanilla, precision float32"), (dict(torch="3.0.1"), "Vanilla, torch 3")])
def test_runs_that_differ_in_more_than_the_seed_are_never_averaged(change, row, tmp_path):
    make_run(tmp_path / "a" / "seed0", curve=last_ten(80.0))
    make_run(tmp_path / "b" / "seed1", seed=1, curve=last_ten(70.0), **change)
    cells = make_cells(read_records(tmp_path))
    assert sorted(c.mean for c in cells) == [70.0, 80.0]
    assert row in [c.row for c in cells] and all(c.row.startswith("Vanilla, ") for c in cells)


def test_a_key_that_one_run_lacks_names_the_row_of_the_other_alone(tmp_path):
    make_run(tmp_path / "a" / "seed0", curve=last_ten(80.0))
    loss = WRN + "), loss=dict(type='SoftmaxBCE'"  # behind the backbone
    make_run(tmp_path / "b" / "seed0", curve=last_ten(3.4), backbone=loss)
    rows = {cell.row: cell.mean for cell in make_cells(read_records(tmp_path))}
    assert rows == {"Vanilla": 80.0, "Vanilla, loss=SoftmaxBCE": 3.4}


def test_other_lengths_of_training_are_other_columns_of_the_same_row(tmp_path):
    make_run(tmp_path / "a" / "seed0", curve=last_ten(80.0))
    make_run(tmp_path / "b" / "seed0", curve=last_ten(70.0, epochs=30), epochs=30)
    assert [(c.row, c.epochs) for c in make_cells(read_records(tmp_path))] == [("Vanilla", 30), ("Vanilla", 400)]


def test_many_differences_are_shortened_to_a_hash_that_differs_between_rows(tmp_path):
    make_run(tmp_path / "a", curve=last_ten(80.0))
    folder = make_run(tmp_path / "b", seed=1)
    path = folder / "wrn28_8_method.py"
    text = path.read_text().replace("flip=0.5", "flip=0.1").replace("lr=0.03", "lr=0.3").replace("=4", "=2")
    path.write_text(text.replace("momentum=0.9", "momentum=0.8"))
    rows = [c.row for c in make_cells(read_records(tmp_path))]
    assert len(set(rows)) == 2 and all(re.fullmatch("Vanilla, config [0-9a-f]{8}", row) for row in rows)


def test_an_unfinished_run_stays_with_its_repetitions(tmp_path):
    """Its precision and data are known only when it has ended."""
    make_run(tmp_path / "seed0", curve=last_ten(80.0))
    make_run(tmp_path / "seed1", seed=1, status="oom")
    actual, = make_cells(read_records(tmp_path))
    assert actual.row == "Vanilla" and zoo.cell_text(actual, []) == "80.00 (1/2, 1 oom)"


def test_a_seed_that_finished_twice_counts_once_and_a_note_says_which(tmp_path):
    make_run(tmp_path / "b" / "seed0", curve=last_ten(70.0))
    make_run(tmp_path / "a" / "seed0", curve=last_ten(80.0))
    notes, (actual,) = [], make_cells(read_records(tmp_path))
    assert zoo.cell_text(actual, notes) == "80.00 (1) [1]"
    assert notes == [f"seed 0 was run more than once; {tmp_path}/a/seed0 counts, {tmp_path}/b/seed0 does not"]


def test_accuracies_on_held_out_images_are_marked_and_not_compared(tmp_path):
    make_run(tmp_path / "seed0", curve=last_ten(80.0), split="val")
    text = table_of(tmp_path, tmp_path)
    assert cell(text, "Vanilla", "400 epochs") == "80.00‡ (1)" and cell(text, "Vanilla", "difference, 400") == "-"
    assert "‡ measured on images held out of training" in text


def test_a_finished_run_without_evaluation_or_without_ten_of_them_says_so(tmp_path):
    make_run(tmp_path / "seed0", curve=last_ten(80.0))
    make_run(tmp_path / "seed1", seed=1, curve=[*last_ten(80.0)[:-3], None, 80.0, 80.0])
    actual, = make_cells(read_records(tmp_path))
    assert zoo.cell_text(actual, []) == "80.00 (1/2, 1 without median)"
    make_run(tmp_path / "other", "type='MixUp'", curve=[None] * 400)
    assert [zoo.cell_text(c, []) for c in make_cells(read_records(tmp_path))][0] == "- (0/1, 1 not evaluated)"


def test_a_published_value_that_is_no_target_is_shown_and_not_subtracted(tmp_path):
    make_run(tmp_path / "r", "type='ResizeMix'", curve=last_ten(80.0, epochs=200), epochs=200,
             backbone="depth=50, type='ResNeXt'")
    text = table_of(tmp_path, tmp_path, ("CIFAR-100", "ResNeXt-50"))
    assert re.fullmatch(r"79.56( \[\d+\]){3}", cell(text, "ResizeMix", "published, 200"))
    assert cell(text, "ResizeMix", "difference, 200") == "-"


def change_config(folder, text, by):
    """Another config of a finished run, and the hash of it in its result."""
    path = folder / "wrn28_8_method.py"
    path.write_text(path.read_text().replace(text, by))
    result = json.loads((folder / "result.json").read_text())
    result["config_hash"] = config_hash(read_config(path))
    (folder / "result.json").write_text(json.dumps(result))


@pytest.mark.parametrize("text, by, key", [
    ("total_batch=100", "total_batch=7", "train_dataloader.total_batch"), ("lr=0.03", "lr=33", "optimizer.lr"),
    ("weight_decay=0.001", "weight_decay=0.5", "optimizer.weight_decay"),
    ("dict(eta_min=0.0, type='CosineAnnealingLR')", "dict(type='StepLR')", "param_scheduler[0].eta_min")])
def test_a_run_with_another_recipe_is_not_compared_with_the_published_value(text, by, key, tmp_path):
    run = make_run(tmp_path / "seed0", curve=last_ten(82.0))
    assert cell(table_of(tmp_path, tmp_path), "Vanilla", "difference, 400") == "+0.37"
    change_config(run, text, by)
    text = table_of(tmp_path, tmp_path)
    number = re.fullmatch(r"- \[(\d+)\]", cell(text, "Vanilla", "difference, 400"))[1]
    note = re.search(rf"^\[{number}\] (.*)$", text, re.M)[1]
    assert "not compared, its config differs" in note and key in note


def test_a_run_on_data_that_are_not_official_is_not_compared(tmp_path):
    path = make_run(tmp_path / "seed0", curve=last_ten(82.0)) / "result.json"
    path.write_text(path.read_text().replace('"official": true', '"official": false'))
    text = table_of(tmp_path, tmp_path)
    assert cell(text, "Vanilla", "difference, 400").startswith("- [") and "the data are not known to be" in text


def test_shipped_configs_read_as_literals_are_those_that_mmengine_reads():
    paths = sorted(p for folder in shipped.FOLDERS for p in (config_root() / folder).glob("*.py"))
    assert len(paths) > 50
    for path in paths[::4]:
        assert canonical(shipped.read(path)) == canonical(load_config(path)), path


def test_every_shipped_config_is_the_one_of_its_row_and_the_loss_of_a_method_has_rows_of_its_own():
    """With the labels that a run would write."""
    rows = {}
    for path in sorted((config_root() / "cifar100").glob("r18_[cm]*.py")):
        config = shipped.read(path)
        made = description(config["model"], "CIFAR-100")
        assert shipped.differing(SimpleNamespace(config=config, **made)) == [], path
        rows[path.stem] = made
    plain, decoupled = rows["r18_cutmix"], rows["r18_cutmix_decouple"]
    assert decoupled["method"] == plain["method"] + " + DecoupledCrossEntropy (mode=less, power=0.5)"
    other = SimpleNamespace(config=shipped.read(config_root() / "cifar100/r18_cutmix.py"), **decoupled)
    assert "model.loss.type" in shipped.differing(other)


def test_a_setting_that_was_not_published_has_a_row_without_a_published_value(tmp_path):
    make_run(tmp_path / "r", "type='CutMix'", curve=last_ten(80.0))
    text = table_of(tmp_path, tmp_path)
    assert cell(text, "CutMix", "published, 400") == "-"
    assert cell(text, "CutMix (alpha=0.2)", "400 epochs") == "no run yet"


@pytest.mark.parametrize("change", [dict(hardware="GPU B"), dict(processes=2), dict(precision="torch.float32")])
def test_costs_are_compared_in_the_same_place_only(change, tmp_path):
    make_run(tmp_path / "vanilla", curve=last_ten(80.0), img_s=6000.0)
    make_run(tmp_path / "mixup", "type='MixUp'", curve=last_ten(80.0), img_s=4000.0)
    actual = make_costs(make_cells(read_records(tmp_path)))
    assert [(c.method, c.relative) for c in actual] == [("MixUp", 1.5), ("Vanilla", 1.0)]
    shutil.rmtree(tmp_path / "mixup")
    make_run(tmp_path / "mixup", "type='MixUp'", curve=last_ten(80.0), img_s=4000.0, **change)
    assert {c.method: c.relative for c in make_costs(make_cells(read_records(tmp_path)))} == dict(
        MixUp=None, Vanilla=1.0)


def test_on_a_cpu_costs_are_of_processor_time_if_any_run_measured_it(tmp_path):
    def measured(name, mixup, img_s, cpu_img_s):
        path = make_run(tmp_path / name, mixup, curve=last_ten(80.0), img_s=img_s) / "result.json"
        path.write_text(json.dumps(dict(json.loads(path.read_text()), cpu_img_s=cpu_img_s)))

    measured("vanilla", "type='Vanilla'", 900.0, 300.0)
    measured("mixup", "type='MixUp'", 20.0, 250.0)  # beside other programs
    measured("cutmix", "type='CutMix'", 450.0, None)  # a run of an earlier version
    actual = {c.method: c for c in make_costs(make_cells(read_records(tmp_path)))}
    assert {name: (c.relative, c.img_s, c.runs) for name, c in actual.items()} == dict(
        Vanilla=(1.0, 300.0, 1), MixUp=(1.2, 250.0, 1), CutMix=(None, None, 0))
    assert "processor time" in actual["CutMix"].why


@pytest.mark.parametrize("hardware, relative", [
    ("AMD EPYC (AVX512)", None), ("Intel(R) Xeon(R) CPU @ 2.20GHz", None), ("12th Gen Intel(R) Core(TM) i7", None),
    ("x86_64", None), ("NVIDIA H100 80GB HBM3", 1.5), ("Tesla T4", 1.5), ("AMD Instinct MI250X", 1.5)])
def test_the_time_of_a_clock_is_a_cost_on_gpus_alone(hardware, relative, tmp_path):
    make_run(tmp_path / "vanilla", curve=last_ten(80.0), img_s=6000.0, hardware=hardware)
    make_run(tmp_path / "mixup", "type='MixUp'", curve=last_ten(80.0), img_s=4000.0, hardware=hardware)
    cost = {c.method: c for c in make_costs(make_cells(read_records(tmp_path)))}["MixUp"]
    assert (cost.relative, cost.memory_mib) == (relative, 2000.0)
    assert cost.why == ("" if relative else "no run with a measured processor time")


def test_a_run_that_may_have_read_the_outputs_of_its_teacher_has_no_cost(tmp_path):
    for name, cache in (("plain", ""), ("stored", ", cache='outputs'")):
        mixup = f"type='Distill', teacher=dict(type='Teacher', backbone=dict(type='LeNet'){cache})"
        make_run(tmp_path / name / "seed0", mixup, curve=last_ten(80.0), img_s=9000.0 if cache else 1000.0)
    cells = make_cells(read_records(tmp_path))
    assert [len(cell.counted) + len(cell.repeated) for cell in cells] == [2]
    assert [(cost.runs, cost.img_s) for cost in make_costs(cells)] == [(1, 1000.0)]


def test_a_run_whose_config_is_gone_or_damaged_still_has_a_row_and_a_cost(tmp_path):
    names = dict(method="MixUp", network="Net-7", dataset="CIFAR-100", defaults={})
    folder = make_run(tmp_path / "a" / "seed0", "type='MixUp'", curve=last_ten(80.0), description=names)
    (folder / "wrn28_8_method.py").unlink()
    cells = make_cells(read_records(tmp_path))
    assert [cost.method for cost in make_costs(cells)] == ["MixUp"]
    for config in ({}, dict(model="text"), dict(model=dict(mixup="text")), dict(model=dict(mixup=dict(teacher=3)))):
        assert not reads_outputs(config)
    assert reads_outputs(dict(model=dict(mixup=dict(teacher=dict(cache="outputs")))))


def test_of_several_baselines_the_one_with_the_same_recipe_is_the_measure(tmp_path):
    make_run(tmp_path / "v1" / "seed0", curve=last_ten(80.0), img_s=6000.0)
    other = make_run(tmp_path / "v2" / "seed0", curve=last_ten(80.0), img_s=1000.0, weight_decay=0.5)
    make_run(tmp_path / "m" / "seed0", "type='MixUp'", curve=last_ten(80.0), img_s=4000.0)
    actual = make_costs(make_cells(read_records(tmp_path)))
    assert {c.method: c.relative for c in actual if c.method == "MixUp"} == dict(MixUp=1.5)
    assert [c.relative for c in actual if c.method == "Vanilla"] == [1.0, 1.0]
    shutil.rmtree(tmp_path / "v1")
    make_run(tmp_path / "v3" / "seed0", curve=last_ten(80.0), img_s=2000.0, weight_decay=0.25)
    text = table_of(tmp_path, tmp_path)
    assert "several variants of Vanilla on this hardware" in text
    shutil.rmtree(other)  # one variant alone is the measure, whatever its recipe
    actual = make_costs(make_cells(read_records(tmp_path)))
    assert {c.method: c.relative for c in actual} == dict(MixUp=0.5, Vanilla=1.0)


def test_of_a_seed_that_finished_twice_the_run_with_a_median_counts(tmp_path):
    make_run(tmp_path / "a", curve=[*last_ten(80.0)[:-3], None, 80.0, 80.0], files=False)
    make_run(tmp_path / "b", curve=last_ten(81.0), files=False)
    actual, = make_cells(read_records(tmp_path))
    assert actual.mean == 81.0 and actual.kind == "median" and [Path(r.folder).name for r in actual.repeated] == ["a"]


def test_the_embedded_shapes_are_called_a_demonstration(tmp_path):
    path = make_run(tmp_path / "seed0", curve=last_ten(80.0)) / "result.json"
    other = path.read_text().replace('"official": true', '"official": false')
    path.write_text(other)
    assert "other than the official archive" in table_of(tmp_path, tmp_path)
    path.write_text(other.replace("CIFAR-100", zoo.SHAPES))
    text = table_of(tmp_path, tmp_path, (zoo.SHAPES, "WideResNet-28-8"))
    assert "embedded shapes, a demonstration" in text and "official archive" not in text
    assert datasets.Shapes.name == zoo.SHAPES


def test_every_run_is_in_a_table_or_among_those_without_a_place(runs, tmp_path):
    root = tmp_path / "runs"
    shutil.copytree(runs, root)
    (root / "vanilla" / "seed1" / "wrn28_8_method.py").write_text("model = dict(")
    (root / "empty").mkdir()
    (root / "empty" / "status.json").write_text("")
    records = read_records(root)
    cells = make_cells(records)
    lost = zoo.any_part(zoo.UNPLACED, records, cells, root).tables[0].rows
    assert sum(len(c.records) for c in cells) + len(lost) == len(records) == 17
    assert [row[0].path for row in lost] == ["empty", "vanilla/seed1"] and "torn or no config" in lost[1][2]
    assert "status.json is torn" in lost[0][2]


# -- formats -------------------------------------------------------------------------------------------------------


def test_places_whose_names_read_alike_have_parts_of_their_own(tmp_path):
    backbones = [WRN, f"first_conv='1x1', {WRN}", f"first_conv='1*x1', {WRN}", f"first_conv='1.x1', {WRN}"]
    for i, backbone in enumerate(backbones):
        make_run(tmp_path / f"run{i}", curve=last_ten(80.0), backbone=backbone, files=False)
    dotted = make_run(tmp_path / "dots", curve=last_ten(80.0), files=False) / "result.json"
    dotted.write_text(dotted.read_text().replace("CIFAR-100", "CIFAR.100"))
    records = read_records(tmp_path)
    cells = make_cells(records)
    names = zoo.parts(cells)
    assert names["cifar100-wideresnet-28-8"] == TABLE and all(re.fullmatch("[a-z0-9-]+", name) for name in names)
    shown = [row for name in names for table in zoo.any_part(name, records, cells, tmp_path).tables
             for row in table.rows if table.folded]
    assert len(shown) == len(records) == 5 and len({zoo.part_name(*place) for place in names.values() if any(
        (c.dataset, c.network) == place for c in cells)}) == 3
    assert names == zoo.parts(make_cells(read_records(tmp_path)[::-1]))


def test_a_cell_on_two_kinds_of_hardware_shows_the_cost_on_that_of_most_rows(tmp_path):
    make_two_kinds(tmp_path)
    rows = {row["method"]: row for row in csv.DictReader(io.StringIO(command(tmp_path, "--format", "csv").stdout))}
    assert {name: (rows[name]["relative_time"], rows[name]["img_s"], rows[name]["hardware"])
            for name in ("Vanilla", "MixUp", "CutMix")} == {
        "Vanilla": ("1", "1000", "GPU B"), "MixUp": ("2", "500", "GPU B"), "CutMix": ("1.25", "800", "GPU B")}


def test_csv_has_a_row_for_each_cell_and_reads_back(runs):
    rows = list(csv.DictReader(io.StringIO(command(runs, "--format", "csv").stdout)))
    actual = {(r["method"], r["epochs"]): r for r in rows}
    vanilla = actual["Vanilla", "400"]
    assert (vanilla["top1"], vanilla["std"], vanilla["seeds"]) == ("81.5", "0.1323", "3")
    assert (vanilla["published"], vanilla["difference"], vanilla["relative_time"]) == ("81.63", "-0.13", "1")
    assert actual["MixUp", "5"]["reduction"] == "last epoch" and actual["MixUp", "5"]["difference"] == ""
    assert actual["CutMix (alpha=0.2)", "400"]["others"] == "1 diverged, 1 interrupted"
    samix = "SAMix (layer=layer2)"
    assert (actual[samix, "400"]["top1"], actual[samix, "400"]["published"]) == ("", "85.5")
    assert {r["network"] for r in rows} == {"WideResNet-28-8"}


def test_every_format_escapes_what_would_break_it():
    part = Part("A_b", "5 % & <more>", [Table(["x"], [["a|b <i> 50% & c_d"], [Link("l", "p q/r_1.py")]])], ["note_1"])
    assert r"a\|b &lt;i> 50% & c_d" in render(part, "markdown") and "[l](p%20q/r_1.py)" in render(part, "markdown")
    html = render(part, "html")
    assert "a|b &lt;i&gt; 50% &amp; c_d" in html and '<a href="p%20q/r_1.py">l</a>' in html
    latex = render(part, "latex")
    assert r"a\textbar{}b \textless{}i\textgreater{} 50\% \& c\_d" in latex
    assert r"\href{p\%20q/r_1.py}{l}" in latex and r"A\_b. 5 \%" in latex
    assert "p q/r_1.py" in layout(part.tables[0], "csv")
    with pytest.raises(ValueError, match="markdown, latex or html, got 'csv'"):
        render(part, "csv")


def test_html_and_latex_show_the_same_cells(runs):
    for style in ("html", "latex"):
        text = table_of(runs, runs, style=style)
        assert "84.40 (1/3, 1 diverged, 1 interrupted)" in text
        assert ("81.50 ± 0.13 (3)" if style == "html" else r"81.50 $\pm$ 0.13 (3)") in text


# -- documents -----------------------------------------------------------------------------------------------------


def marked(*names):
    return "".join(f"<!-- zoo:{n} begin -->\nold {n}\n<!-- zoo:{n} end -->\n" for n in names)


def test_tables_are_rewritten_in_place_and_the_rest_is_untouched():
    text = f"# Title\n\nwords  \n{marked('a')}between\n\n{marked('b')}\nlast line without end"
    actual = rewrite(text, lambda name: f"new {name}\n")
    assert actual == text.replace("old a", "new a").replace("old b", "new b")
    assert rewrite(actual, lambda name: f"new {name}\n") == actual
    shown = "In words `<!-- zoo:a begin -->` is no marker.\n" + marked("a")
    assert rewrite(shown, lambda name: "x\n").startswith("In words `<!-- zoo:a begin -->` is no marker.\n<!-- zoo:a")


@pytest.mark.parametrize("text, has", [
    ("# nothing\n", "no markers"), ("  <!-- zoo:a begin -->\n", "no markers"),
    ("x\n<!-- zoo:a begin -->\n", "zoo:a begin"), ("<!-- zoo:a end -->\n", "zoo:a end"),
    (marked("a") + marked("a"), "zoo:a begin, zoo:a end, zoo:a begin, zoo:a end"),
    ("<!-- zoo:a begin -->\n" + marked("b"), "zoo:a begin, zoo:b begin, zoo:b end"),
    (f"<!-- zoo:a begin -->\n{marked('b')}<!-- zoo:a end -->\n", "zoo:a begin, zoo:b begin, zoo:b end, zoo:a end"),
    ("<!-- zoo:a begin -->\n<!-- zoo:b end -->\n", "zoo:a begin, zoo:b end"),
    ("<!-- zoo:a end -->\n<!-- zoo:a begin -->\n", "zoo:a end, zoo:a begin"),
    (marked("a") + "<!-- zoo:a end -->\n", "zoo:a begin, zoo:a end, zoo:a end")])
def test_markers_that_do_not_fit_together_are_an_error(text, has):
    with pytest.raises(ValueError, match=re.escape("README.md needs lines <!-- zoo:NAME begin -->")) as caught:
        rewrite(text, lambda name: "new\n", "README.md")
    assert str(caught.value).endswith(f"it has {has}")


@pytest.fixture
def repository(tmp_path, runs):
    """A small repository with documents and the hand-made runs."""
    shutil.copytree(runs, tmp_path / "work_dirs")
    for folder in ("docs", "configs/cifar100", "configs/cifar10"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "configs/cifar100/README.md").write_text("# C\n" + marked("cifar100-wideresnet-28-8"))
    (tmp_path / "docs/tables.md").write_text(marked("overview", "unplaced") + "end\n")
    (tmp_path / "docs/plain.md").write_text("no markers\n")
    return tmp_path


def test_the_tool_rewrites_documents_and_a_second_time_nothing(repository):
    said = command("--check", cwd=repository, check=False)
    assert said.returncode == 1 and said.stdout.count("out of date") == 2
    assert (repository / "docs/tables.md").read_text() == marked("overview", "unplaced") + "end\n"
    said = command("--write", cwd=repository)
    assert said.stdout.split() == "written: configs/cifar100/README.md written: docs/tables.md".split()
    text = (repository / "configs/cifar100/README.md").read_text()
    assert text.startswith("# C\n<!-- zoo:cifar100-wideresnet-28-8 begin -->\n**WideResNet-28-8")
    for path in re.findall(r"\]\((?!https:)([^)]+)\)", text):
        assert (repository / "configs/cifar100" / path).is_file()
    assert "84.40 (1/3" in text and (repository / "docs/plain.md").read_text() == "no markers\n"
    again = command("--write", cwd=repository)
    assert again.stdout == "" and command("--check", cwd=repository).returncode == 0


def test_links_to_rewritten_files_stay_links(repository):
    real = repository / "real.md"
    real.write_text(marked("overview"))
    (repository / "docs/tables.md").unlink()
    (repository / "docs/tables.md").symlink_to(real)
    command("--write", cwd=repository)
    assert (repository / "docs/tables.md").is_symlink() and "**Tables.**" in real.read_text()


def test_documents_of_the_repository_have_markers_that_fit():
    files = documents.find_documents(ROOT)
    own = [ROOT / "configs" / d / "README.md" for d in ("cifar10", "cifar100", "distill", "feature_mix")]
    assert {*own, ROOT / "docs" / "reference" / "model_zoo.md"} <= set(files)
    names = [name for path in own for name, half in documents.marks_in(path.read_text(), "zoo") if half == "begin"]
    cnns = {zoo.part_name(*place) for place in published.tables() if place[1][:3] in ("Res", "Wid", "LeN")
            and (published.source(*place) or {}).get("name", "").find("mixup: Beyond") < 0
            and "a class" not in place[0]}  # small ones, on the page of the mixup paper
    assert set(names) == cnns and len(names) == 7
    for path in files:
        assert rewrite(path.read_text(), lambda name: "", str(path))


@pytest.mark.parametrize("arguments, says", [
    (["nowhere"], "no folder nowhere"), ([".", "--part", "cifar100-resnet-19"], "did you mean 'cifar100-resnet-18'?"),
    ([".", "--files", "x.md"], "--files belongs to --write or --check"),
    ([".", "--write", "--format", "csv"], "are for printing"), ([".", "--write", "--files", "x.md"], "x.md"),
    ([".", "--write", "--files", "plain.md"], "plain.md needs lines <!-- zoo:NAME begin -->"),
    ([".", "--write", "--files", "other.md"], "nothing is called zoo:cifar100-resnet-19; did you mean")])
def test_wrong_input_ends_with_2_and_one_line(arguments, says, tmp_path):
    (tmp_path / "plain.md").write_text("x\n")
    (tmp_path / "other.md").write_text(marked("cifar100-resnet-19"))
    done = command(*arguments, cwd=tmp_path, check=False)
    assert done.returncode == 2 and done.stderr.count("\n") == 1 and done.stderr.startswith("error: ")
    assert says in done.stderr
    assert (tmp_path / "other.md").read_text() == marked("cifar100-resnet-19")
