"""The history of a run as a CSV file."""
import csv
import json
from pathlib import Path

import pytest

from openmix.engine.logging.csv_file import CSVHook
from openmix.engine.train_loop import Stopped
from tests.engine.tiny import config, train


def rows_of(folder) -> list[dict]:
    with open(Path(folder, "epochs.csv"), newline="") as file:
        return list(csv.DictReader(file))


def settings(folder, **changes):
    return config(folder, epochs=3, custom_hooks=[dict(type="CSVHook")],
                  evals=dict(cal=dict(type="Calibration")), **{"train_cfg.val_interval": 2, **changes})


def test_a_row_an_epoch_has_the_values_of_the_result_and_what_was_not_measured_is_empty(tmp_path):
    train(settings(tmp_path / "run"))
    rows, result = rows_of(tmp_path / "run"), json.loads((tmp_path / "run" / "result.json").read_text())
    assert [row["epoch"] for row in rows] == ["1", "2", "3"]
    top1 = [float(row["net.top1"]) if row["net.top1"] else None for row in rows]
    assert top1 == result["networks"]["net"]["top1"] and top1[0] is None and None not in top1[1:]
    assert [bool(row["cal.net.ece"]) for row in rows] == [False, False, True]
    assert float(rows[2]["cal.net.ece"]) == result["evals"]["cal"]["networks"]["net"]["ece"]
    assert all(float(row["train.loss"]) > 0 and float(row["seconds"]) > 0 for row in rows)
    assert [float(row["lr"]) for row in rows] == pytest.approx([0.05, 0.0375, 0.0125])  # a cosine of three steps


def test_a_resumed_run_has_each_epoch_once(tmp_path):
    with pytest.raises(Stopped):
        train(settings(tmp_path / "run", **{"train_cfg.stop_after": 4}))
    assert [row["epoch"] for row in rows_of(tmp_path / "run")] == ["1"]
    train(settings(tmp_path / "run", resume=True))
    assert [row["epoch"] for row in rows_of(tmp_path / "run")] == ["1", "2", "3"]


@pytest.mark.parametrize("name", ["a/b.csv", "../x.csv", "epochs.txt"])
def test_another_place_or_ending_is_refused(name):
    with pytest.raises(ValueError, match=r"inside the work dir that ends with \.csv"):
        CSVHook(name)


def test_a_full_disk_is_a_warning_and_no_end(tmp_path, monkeypatch):
    def full(path, data):
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr("openmix.engine.logging.csv_file.write_atomic", full)
    train(settings(tmp_path / "run"))
    log = next((tmp_path / "run").glob("*/*.log")).read_text()
    assert "could not write" in log and (tmp_path / "run" / "result.json").is_file()
