"""Any work dir becomes a record: finished, unfinished, torn, partial, of a newer version, or not even started."""
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from openmix.registry import DATASETS
from openmix.results import labels
from openmix.results import tables as zoo
from openmix.results.cells import make_cells
from openmix.results.costs import make_costs
from openmix.results.records import Record, find_runs, gather, read_records
from openmix.results.run_files import read_scalars
from openmix.workdir.lock import Lock
from tests.engine import tiny
from tests.results.made import damage, last_ten, make_run


def one(root) -> Record:
    record, = read_records(root)
    return record


def test_a_finished_run_has_every_fact(tmp_path):
    make_run(tmp_path / "a" / "seed3", "alpha=0.2, type='CutMix'", seed=3, curve=last_ten(80.0))
    record = one(tmp_path)
    assert (record.state, record.method, record.network) == ("done", "CutMix (alpha=0.2)", "WideResNet-28-8")
    assert (record.dataset, record.epochs, record.seed) == ("CIFAR-100", 400, 3)
    assert (record.hardware, record.processes, record.precision, record.torch) == ("GPU A", 1, "bfloat16", "2.11.0")
    assert record.primary["median_last10"] == 80.0 and record.problems == []
    assert record.config["model"]["mixup"] == dict(alpha=0.2, type="CutMix")
    assert record.config_file == str(tmp_path / "a" / "seed3" / "wrn28_8_method.py")
    assert record.config_hash == record.result["config_hash"]


def test_a_real_training_is_read_like_a_made_one(tmp_path):
    tiny.train(tiny.config(tmp_path / "run", epochs=2))
    record = one(tmp_path)
    assert record.problems == [] and record.state == "done" and record.epochs == 2 and record.seed == 3
    assert record.config_hash == record.result["config_hash"] != ""
    steps = read_scalars(record.folder)
    assert [s["step"] for s in steps] == sorted({*tiny.losses(tmp_path / "run"), *(s["step"] for s in steps)})
    assert {s["step"]: s["loss"] for s in steps if "loss" in s} == tiny.losses(tmp_path / "run")


@pytest.mark.parametrize("how, says", [
    ("torn", "result.json is no result of a run"), ("newer", "has schema 3, this version of openmix reads 1 and 2"),
    ("partial", "result.json is partial: it lacks networks")])
def test_a_result_that_cannot_be_used_is_reported_and_the_run_kept(how, says, tmp_path):
    damage(make_run(tmp_path / "r", curve=last_ten(80.0)), how)
    record = one(tmp_path)
    assert record.state == "broken" and record.result is None and record.primary == {}
    assert len(record.problems) == 1 and says in record.problems[0]
    assert (record.method, record.network, record.epochs, record.seed) == ("Vanilla", "WideResNet-28-8", 400, 0)


def net(**summary) -> dict:
    return dict(networks=dict(net=dict(top1=[1.0], **summary)))


@pytest.mark.parametrize("change, says", [
    (dict(seed="3"), "seed is '3'"), (dict(primary="teacher"), "it lacks teacher"),
    (dict(networks=[]), "networks is []"),
    (dict(networks=dict(net=dict(top1=[1.0], last=None))), "it lacks networks.net.median_last10"),
    (net(median_last10=1.0, last=dict(epoch=3)), 'it lacks networks.net.last.top1'),
    (net(median_last10=1.0, last=dict(epoch=3, top1=float("nan"))), 'it holds nan'),
    (net(median_last10=float("nan"), last=None), 'it holds nan'),
    (net(median_last10=float("inf"), last=None), 'it holds inf'),
    (dict(networks=dict(net=dict(top1=['a'], median_last10=None, last=None))), "networks.net.top1 is ['a']"),
    (dict(networks=dict(net=dict(top1=[1], top5=3, median_last10=None, last=None))), 'networks.net.top5 is 3'),
    (dict(networks=dict(net=['a'])), "net is ['a']"),
    (dict(primary=["net"]), "primary is ['net']"),
    (dict(img_s="fast"), "img_s is 'fast'"),
    (dict(peak_memory_mib=float("nan")), 'it holds nan'),
    (dict(data=dict(name='CIFAR-100', sha256=5)), 'data.sha256 is 5'),
    (dict(data=dict(name=['x'])), "data.name is ['x']"),
    (dict(hardware={}), 'hardware is {}'),
    (dict(total_batch='7'), "total_batch is '7'"),
    (dict(networks=["a"]), "networks is ['a']")])
def test_fields_of_another_kind_are_reported(change, says, tmp_path):
    path = make_run(tmp_path / "r", curve=last_ten(80.0)) / "result.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    record = one(tmp_path)
    assert record.state == "broken" and says in record.problems[0] and "\n" not in record.problems[0]
    cells = make_cells([record])
    assert cells[0].mean is None and make_costs(cells) == []
    assert zoo.make_part(cells, "CIFAR-100", "WideResNet-28-8").tables


def test_torn_and_missing_files_beside_the_result_are_reported(tmp_path):
    folder = make_run(tmp_path / "r", curve=last_ten(80.0))
    (folder / "status.json").write_text('{"state": "do')
    (folder / "env.json").unlink()
    record = one(tmp_path)
    assert record.state == "done" and record.primary["median_last10"] == 80.0
    assert any("status.json is torn" in p for p in record.problems) and "env.json is missing" in record.problems


@pytest.mark.parametrize("text, says", [
    ("model = dict(backbo", "torn or no config"), ("import os\n", "is not `key = value`"),
    (None, "there is no config")])
def test_without_a_config_a_run_has_no_place_but_is_there(text, says, tmp_path):
    folder = make_run(tmp_path / "r", curve=last_ten(80.0))
    path = folder / "wrn28_8_method.py"
    path.unlink() if text is None else path.write_text(text)
    record = one(tmp_path)
    assert (record.method, record.network, record.state, record.epochs) == ("?", "?", "done", 400)
    assert says in record.problems[0]


def test_a_config_is_never_executed(tmp_path):
    folder = make_run(tmp_path / "r")
    mark = tmp_path / "executed"
    (folder / "wrn28_8_method.py").write_text(
        f"work_dir = open({str(mark)!r}, 'w')\nmodel = dict(mixup=__import__('os'))\n")
    assert one(tmp_path).config["work_dir"].startswith("open(") and not mark.exists()


def test_an_edited_config_is_noticed(tmp_path):
    folder = make_run(tmp_path / "r", curve=last_ten(80.0))
    path = folder / "wrn28_8_method.py"
    path.write_text(path.read_text().replace("lr=0.03", "lr=0.3"))
    assert "their hashes differ" in one(tmp_path).problems[0]


def test_of_several_configs_the_one_of_the_result_is_taken(tmp_path):
    folder = make_run(tmp_path / "r", "type='MixUp'", curve=last_ten(80.0))
    (folder / "z.py").write_text((folder / "wrn28_8_method.py").read_text().replace("MixUp", "CutMix"))
    assert one(tmp_path).method == "MixUp" and one(tmp_path).problems == []
    (folder / "result.json").unlink()
    record = one(tmp_path)
    assert record.method == "CutMix" and "several configs (wrn28_8_method.py, z.py); z.py was taken" in record.problems


@pytest.mark.parametrize("state, locked, expected", [
    ("running", True, "running"), ("running", False, "interrupted"), ("preempted", False, "preempted"),
    ("oom", False, "oom"), ("failed", False, "failed")])
def test_the_state_of_an_unfinished_run_is_true_now(state, locked, expected, tmp_path):
    folder = make_run(tmp_path / "r", status=state)
    with Lock(folder, rank=0 if locked else 1):
        assert one(tmp_path).state == expected


def test_without_a_status_the_state_is_that_of_the_result_unless_the_run_goes_on(tmp_path):
    folder = make_run(tmp_path / "r", curve=last_ten(80.0)[:3], status="diverged")
    (folder / "status.json").unlink()
    assert one(tmp_path).state == "diverged"
    with Lock(folder, rank=0):
        assert one(tmp_path).state == "running"


def test_a_folder_that_cannot_be_listed_is_reported(tmp_path, monkeypatch, capsys):
    make_run(tmp_path / "a" / "seed0", curve=last_ten(80.0))
    closed, scandir = tmp_path / "closed", os.scandir
    closed.mkdir()

    def refuse(path):
        if str(path) == str(closed):
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)
    monkeypatch.setattr(os, "scandir", refuse)  # permissions would not stop root
    assert len(read_records(tmp_path)) == 1
    assert capsys.readouterr().err == f"{closed} is left out: Permission denied\n"


def test_runs_below_overlapping_folders_are_gathered_once(tmp_path):
    for name in "ab":
        make_run(tmp_path / "runs" / name, curve=last_ten(80.0), files=False)
    (tmp_path / "link").symlink_to(tmp_path / "runs" / "a")
    roots = [tmp_path / "runs", tmp_path / "runs" / "a", f"{tmp_path}/runs/", tmp_path / "link"]
    assert [Path(r.folder).name for r in gather(roots)] == ["a", "b"]
    assert gather([]) == []


def test_a_run_that_says_done_without_a_result_is_not_done(tmp_path):
    make_run(tmp_path / "r", status="done")
    record = one(tmp_path)
    assert record.state == "interrupted" and "status.json says done, but there is no result.json" in record.problems


def test_an_unfinished_run_has_the_data_set_of_its_finished_repetition(tmp_path):
    done = make_run(tmp_path / "seed0", curve=last_ten(80.0), seed=0)
    path = done / "result.json"
    path.write_text(path.read_text().replace('"CIFAR-100"', '"CIFAR-100 (mine)"'))
    make_run(tmp_path / "seed1", status="preempted", seed=1)
    assert {r.dataset for r in read_records(tmp_path)} == {"CIFAR-100 (mine)"}


def test_runs_are_listed_at_any_depth_in_order_and_not_inside_each_other(tmp_path):
    for name in ("b/seed1", "a/x/y/seed0", "b/seed0"):
        make_run(tmp_path / name)
    (tmp_path / "b" / "seed0" / "mixes").mkdir()
    (tmp_path / "b" / "seed0" / "mixes" / "status.json").write_text("{}")
    assert find_runs(tmp_path) == [str(tmp_path / n) for n in ("a/x/y/seed0", "b/seed0", "b/seed1")]
    assert find_runs(tmp_path / "b" / "seed0") == [str(tmp_path / "b" / "seed0")]
    with pytest.raises(FileNotFoundError, match="no folder .*nowhere"):
        find_runs(tmp_path / "nowhere")


# -- scalars -------------------------------------------------------------------------------------------------------


def write_log(folder, start, *lines):
    path = folder / start / "vis_data" / "scalars.json"
    path.parent.mkdir(parents=True)
    path.write_text("\n".join(json.dumps(line) if isinstance(line, dict) else line for line in lines))


def test_parts_of_a_resumed_run_are_merged_by_step_the_later_value_counts(tmp_path):
    write_log(tmp_path, "20260101_1", dict(step=10, loss=3.0, lr=0.1), dict(step=20, loss=2.0, lr=0.1),
              dict(step=20, top1=40.0), dict(step=30, loss=9.0))
    write_log(tmp_path, "20260101_2", dict(step=20, loss=2.5), dict(step=40, loss=1.0))
    assert read_scalars(tmp_path) == [
        dict(step=10, loss=3.0, lr=0.1), dict(step=20, loss=2.5, lr=0.1, top1=40.0), dict(step=30, loss=9.0),
        dict(step=40, loss=1.0)]


def test_torn_lines_are_left_out_and_reported(tmp_path):
    write_log(tmp_path, "20260101_1", dict(step=10, loss=3.0), '{"step": 20, "lo', dict(step=30, loss=1.0), "\x00\x00",
              "[1]", '{"loss": 1}', '{"step": 40, "loss": 0.')
    problems = []
    assert [s["step"] for s in read_scalars(tmp_path, problems)] == [10, 30]
    assert problems == ["20260101_1/vis_data/scalars.json: 5 torn lines were left out"]
    assert read_scalars(tmp_path / "none") == []


# -- labels --------------------------------------------------------------------------------------------------------


def test_the_data_set_of_an_old_run_is_named_by_its_class_its_name_or_its_folder():
    def dataset(**config):
        return labels.dataset_of(dict(train_dataloader=dict(dataset=config)), {})

    assert dataset(type="CIFAR10", data_root="data") == "CIFAR-10"
    assert dataset(type="ImageFolderData", data_root="/x/birds") == "birds"
    assert dataset(type="ArrayFile", data_root="/x/moons.npz") == "moons"
    assert dataset(type="ImageFolderData", data_root="/x/birds", name="Birds") == "Birds"


@pytest.mark.parametrize("options", [dict(per_class=2), dict(indices=[0, 3, 5]), dict(per_class=2, name="Few")])
def test_an_unfinished_run_on_a_part_of_a_data_set_is_named_as_the_finished_one(options):
    inner = dict(type="Shapes", num_images=60)
    config = dict(train_dataloader=dict(dataset=dict(type="Subset", data=inner, **options)))
    assert labels.dataset_of(config, {}) == DATASETS.build(config["train_dataloader"]["dataset"]).name


def test_a_run_is_called_as_its_description_says_and_an_unusable_description_is_damage(tmp_path):
    names = dict(method="New (beta=2)", network="Net-7", dataset="Birds", defaults=dict(New=dict(beta=1)))
    folder = make_run(tmp_path / "a", "type='New', beta=2, alpha=1", curve=[50.0], epochs=1, description=names)
    record = read_records(folder)[0]
    assert (record.method, record.network, record.defaults) == ("New (beta=2)", "Net-7", names["defaults"])
    assert record.dataset == "CIFAR-100"  # the data that were read, by the same file
    folder = make_run(tmp_path / "b", "type='New', beta=2", curve=[50.0], epochs=1, description=dict(names, method=3))
    assert "description is" in read_records(folder)[0].problems[0]


def test_a_run_that_has_not_ended_is_called_by_the_description_in_its_env_file(tmp_path):
    folder = make_run(tmp_path / "a", "type='New', beta=2", status="running")
    env = json.loads((folder / "env.json").read_text())
    for method, label in (("New", "New"), (3, "New (beta=2)")):
        described = dict(method=method, network="Net-7", dataset="Birds", defaults={})
        (folder / "env.json").write_text(json.dumps(env | dict(description=described)))
        assert read_records(folder)[0].method == label


def test_reading_records_imports_neither_torch_nor_mmengine():
    code = ("import sys, openmix.results.tables, openmix.results.documents, openmix.results.csv_table\n"
            "print(sorted({'torch', 'mmengine', 'numpy'} & set(sys.modules)))")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tiny.ROOT)
    assert done.stdout.strip() == "[]"
