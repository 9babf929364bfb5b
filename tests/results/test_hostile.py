"""No damaged run stops a tool: it is reported with its folder, and the others are shown."""
import json
import shutil
import signal
from pathlib import Path

import pytest

from openmix import workdir
from openmix.cli import main
from openmix.results.records import damaged, read_records
from openmix.sweep.jobs import Job, load_jobs, record_exit, write_list
from openmix.sweep.local import Pool
from openmix.sweep.progress import PlainProgress, job_status
from openmix.sweep.slots import CPU, Slots
from openmix.workdir.status import is_alive
from tests.results import hostile
from tests.results.made import last_ten, make_run


@pytest.fixture(autouse=True)
def at_once():
    """Nothing waits for a pipe or reads a device to its end."""
    def ring(*_):
        raise AssertionError("a tool hangs")
    previous = signal.signal(signal.SIGALRM, ring)
    signal.alarm(120)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, previous)


def call(name, *arguments) -> int:
    """A command in this process; an error that is not one of the input ends the test."""
    return main([name, *map(str, arguments)])


def every_tool(tmp_path, monkeypatch, capsys, folders):
    """All tools over some runs below ``bad`` and a good one."""
    monkeypatch.chdir(tmp_path)
    bad = [folder.relative_to(tmp_path) for folder in folders]
    good = make_run(tmp_path / "good" / "seed0", "type='CutMix'", curve=last_ten(80.0))
    for style in ("markdown", "csv", "latex", "html"):
        assert call("zoo", "good", *bad, "--format", style, "--out", f"zoo.{style}") == 0
        assert "80.00 (1)" in Path(f"zoo.{style}").read_text() or style == "csv"
    assert "CutMix,400,80," in Path("zoo.csv").read_text()
    assert call("zoo", "good", *bad, "--part", "unplaced", "--part", "overview") == 0
    assert call("report", "good", *bad, "--out", "r.html") == 0 and str(good.relative_to(tmp_path)) in Path(
        "r.html").read_text()
    assert call("compare", "good", "bad") in (0, 2)
    capsys.readouterr()
    jobs = [Job(f"good/seed{i}", "c.py", 0, str(folder), epochs=400, config_hash="") for i, folder in
            enumerate([good, *folders])]
    Path("configs/sweeps/s").mkdir(parents=True)
    write_list("configs/sweeps/s/runs.json", jobs)
    assert call("sweep", "status", "s") == 0 and "0: done 80.00 %" in capsys.readouterr().out
    assert Pool(jobs, Slots([CPU]), again=True, screen=PlainProgress(lambda _: None)).done >= 1
    for folder in folders:
        assert call("rerun", folder, "--dry-run") in (0, 2)
        record_exit(Job("a/seed0", "c.py", 0, str(folder)), 1, "x", {})
    capsys.readouterr()


def test_each_field_of_each_record_may_be_anything(tmp_path, monkeypatch, capsys):
    runs = list(hostile.fields(tmp_path / "bad"))
    records = {r.folder: r for r in read_records(tmp_path / "bad")}
    for folder, what, damage in runs:
        assert records[str(folder)].damaged or not damage, what
        top1 = records[str(folder)].primary.get("median_last10")
        assert top1 in (None, 70.0) and (top1 or "result.json" in what or "networks" in what), what
    lines = damaged(records.values())
    assert len(lines) == sum(r.damaged for r in records.values()) > len(runs) / 2
    assert all(line.startswith(str(tmp_path / "bad")) for line in lines)
    every_tool(tmp_path, monkeypatch, capsys, [folder for folder, *_ in runs[::13]])
    for folder, *_ in runs[::13]:
        assert workdir.write_status(folder, "running")["attempt"] >= 1


def test_configs_may_hold_anything(tmp_path, monkeypatch, capsys):
    runs = list(hostile.configs(tmp_path / "bad"))
    assert len(read_records(tmp_path / "bad")) == len(runs)
    every_tool(tmp_path, monkeypatch, capsys, [folder for folder, _ in runs])


def test_in_place_of_each_file_may_lie_anything(tmp_path, monkeypatch, capsys):
    runs = list(hostile.files(tmp_path / "bad"))
    records = {r.folder: r for r in read_records(tmp_path / "bad")}
    for folder, what in runs:
        if any(name in what for name in hostile.FILES[:4]) and not (
                "nowhere" in what and "method" not in what or "bom" in what or "py is empty" in what
                or "py is array" in what):
            assert records[str(folder)].damaged, what
        assert is_alive(folder) is False
    every_tool(tmp_path, monkeypatch, capsys, [folder for folder, _ in runs])


@pytest.mark.parametrize("change, says", [
    (dict(epochs=9), "networks.net.top1 has 10 values of 9 epochs"),
    (dict(epochs=9, max_epochs=9), "has 10 values of 9 epochs"),
    (dict(max_epochs=12), "it says done after 10 of 12 epochs")])
def test_a_record_that_says_done_before_its_last_epoch_is_broken(change, says, tmp_path):
    path = hostile.victim(tmp_path / "r") / "result.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    record, = read_records(tmp_path)
    assert record.state == "broken" and says in record.problems[0]
    assert job_status(Job("a/seed0", "c.py", 0, str(tmp_path / "r"))).state == "broken"


def test_a_record_of_fewer_epochs_than_its_config_has_is_broken(tmp_path):
    folder = hostile.victim(tmp_path / "r")
    config = folder / "wrn28_8_method.py"
    config.write_text(config.read_text().replace("max_epochs=10", "max_epochs=20"))
    record, = read_records(tmp_path)
    assert record.state == "broken" and "says done after 10 epochs, its config has 20" in "".join(record.problems)


@pytest.mark.parametrize("value, right", [(0, True), (100.0, True), (100.01, False), (-0.1, False), (True, False),
                                          ("70", False)])
def test_accuracies_are_numbers_from_0_to_100(value, right, tmp_path):
    path = hostile.victim(tmp_path / "r") / "result.json"
    actual = json.loads(path.read_text())
    net = actual["networks"]["net"]
    net.update(top1=[value] * 10, median_last10=value, best=dict(top1=value, epoch=1), last=dict(top1=value, epoch=10))
    path.write_text(json.dumps(actual))
    record, = read_records(tmp_path)
    assert record.state == ("done" if right else "broken")


def test_a_run_that_is_moved_while_it_is_listed_says_so(tmp_path, monkeypatch):
    hostile.victim(tmp_path / "r")
    actual = [str(tmp_path / "r")]
    shutil.move(tmp_path / "r", tmp_path / "r2")
    monkeypatch.setattr("openmix.results.records.find_runs", lambda root: actual)
    record, = read_records(tmp_path)
    assert record.problems == ["the folder was moved or deleted while it was read"]


@pytest.mark.parametrize("change", [
    dict(name="x;y/seed0"), dict(name="../x"), dict(name=3), dict(work_dir=None), dict(work_dir="a\nb"),
    dict(config=[]), dict(seed="0"), dict(processes=0), dict(nodes=True), dict(epochs=-1), dict(config_hash=1)])
def test_a_run_list_with_a_wrong_job_is_refused_with_the_way_out(change, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("configs/sweeps/s").mkdir(parents=True)
    write_list("configs/sweeps/s/runs.json", [Job("a/seed0", "c.py", 0, "w")])
    assert len(load_jobs("s")) == 1
    actual = json.loads(Path("configs/sweeps/s/runs.json").read_text())
    actual["jobs"][0] |= change
    Path("configs/sweeps/s/runs.json").write_text(json.dumps(actual))
    with pytest.raises(ValueError, match=rf"jobs\[0\].{next(iter(change))} is .*openmix sweep make GRID"):
        load_jobs("s")
