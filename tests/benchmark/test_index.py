"""The index gives what the files give, reads only what has changed, and is never needed."""
import json
import os
import shutil
import sqlite3

import pytest

from openmix.benchmark import index
from openmix.benchmark.records import read_facts, read_records

from .made import damage, last_ten, make_run


@pytest.fixture
def runs(tmp_path):
    make_run(tmp_path / "a" / "seed0", curve=last_ten(80.0))
    make_run(tmp_path / "a" / "seed1", status="failed", seed=1)
    damage(make_run(tmp_path / "b" / "seed0", "type='MixUp'", curve=last_ten(81.0)), "torn")
    return tmp_path


def counted(root):
    """Folders that are really read when the index below ``root`` is asked."""
    read = []

    def reader(folder):
        read.append(os.path.relpath(folder, root))
        return read_facts(folder)
    folders = sorted(str(p.parent) for p in root.rglob("status.json"))
    found = index.facts(root, folders, reader)
    assert found == [read_facts(folder) for folder in folders]
    return read


def test_records_from_the_index_are_those_of_the_files(runs):
    first, second, files = read_records(runs), read_records(runs), read_records(runs, cached=False)
    assert first == second == files and len(files) == 3
    assert (runs / index.NAME).is_file()


def test_only_what_has_changed_is_read_again(runs):
    assert counted(runs) == ["a/seed0", "a/seed1", "b/seed0"]
    assert counted(runs) == []
    path = runs / "a" / "seed0" / "status.json"
    path.write_text(path.read_text() + " ")
    assert counted(runs) == ["a/seed0"]
    (runs / "a" / "seed1" / "other.py").write_text("x = 1\n")
    assert counted(runs) == ["a/seed1"]
    (runs / "b" / "seed0" / "env.json").unlink()
    assert counted(runs) == ["b/seed0"]


def test_a_file_replaced_by_one_of_equal_size_and_time_is_noticed(runs):
    counted(runs)
    path = runs / "a" / "seed0" / "result.json"
    times = path.stat().st_atime_ns, path.stat().st_mtime_ns
    new = path.with_name("result.json.tmp")
    new.write_text(path.read_text().replace("80.0", "90.0"))
    os.utime(new, ns=times)
    os.replace(new, path)
    assert counted(runs) == ["a/seed0"]


def test_runs_come_and_go(runs):
    counted(runs)
    shutil.rmtree(runs / "a" / "seed1")
    make_run(runs / "c" / "seed0")
    assert counted(runs) == ["c/seed0"]
    with sqlite3.connect(runs / index.NAME) as base:
        assert [row for row, in base.execute("SELECT folder FROM runs ORDER BY folder")] == [
            "a/seed0", "b/seed0", "c/seed0"]


def test_the_index_moves_with_its_folder(runs, tmp_path_factory):
    read_records(runs)
    new = tmp_path_factory.mktemp("moved") / "runs"
    os.rename(runs, new)
    assert counted(new) == []
    assert read_records(new)[0].config_file == str(new / "a" / "seed0" / "wrn28_8_method.py")


@pytest.mark.parametrize("content", [b"", b"not a database", b"SQLite format 3\x00" + b"\xff" * 4000])
def test_a_damaged_index_is_made_anew(content, runs):
    (runs / index.NAME).write_bytes(content)
    assert read_records(runs) == read_records(runs, cached=False)
    assert read_records(runs) == read_records(runs, cached=False)
    assert counted(runs) == []


def test_a_damaged_index_that_cannot_be_deleted_does_not_stop_a_reader(runs, monkeypatch):
    (runs / index.NAME).write_bytes(b"no database at all, long enough to be read as one" * 9)

    def refuse(path, missing_ok=False):
        raise PermissionError(13, "Permission denied", str(path))
    monkeypatch.setattr(index.Path, "unlink", refuse)
    assert read_records(runs) == read_records(runs, cached=False)


def test_an_index_of_another_version_is_not_believed(runs):
    counted(runs)
    with sqlite3.connect(runs / index.NAME) as base:
        base.execute("UPDATE runs SET signature = replace(signature, ?, '0 0.0.1'), facts = '{}'", (index.FORMAT,))
    base.close()
    assert len(counted(runs)) == 3


def test_without_room_for_an_index_the_files_are_read(runs, monkeypatch):
    (runs / index.NAME).mkdir()  # where no file can be written; permissions would not stop root
    assert read_records(runs) == read_records(runs, cached=False)


def test_a_locked_index_does_not_stop_a_reader(runs):
    read_records(runs)
    path = runs / "a" / "seed0" / "status.json"
    path.write_text(path.read_text() + " ")
    with sqlite3.connect(runs / index.NAME) as other:
        other.execute("BEGIN EXCLUSIVE")
        assert read_records(runs) == read_records(runs, cached=False)
    other.close()


def test_a_run_that_vanishes_while_it_is_listed_is_a_record_with_problems(runs):
    found = index.facts(runs, [str(runs / "gone")], read_facts)
    assert "there is no config" in found[0]["problems"]


def test_facts_go_through_json_unchanged(runs):
    for path in runs.rglob("status.json"):
        facts = read_facts(path.parent)
        assert json.loads(json.dumps(facts)) == facts
