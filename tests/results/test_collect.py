"""Records that last: what becomes one, what is refused, and that the tables of the docs are those of the records."""
import json
from pathlib import Path

import pytest

from openmix.cli import main
from openmix.results.cells import make_cells
from openmix.results.collect import collect, refusal
from openmix.results.records import gather, read_records
from openmix.results.render import render
from openmix.results.tables import make_part
from openmix.sweep.jobs import Job
from openmix.sweep.recorded import missing
from tests.engine.tiny import ROOT
from tests.results.fake_runs import write_run

CURVE = [50.0 + i for i in range(12)]


def run(root, name="r20_mixup", seed=0, git=("a" * 40, False), **options):
    folder = write_run(root / name / f"seed{seed}", seed=seed, top1=CURVE, **options)
    (config,) = folder.glob("*.py")
    config.write_text(config.read_text() + f"work_dir = '{folder}'\n")
    env = json.loads((folder / "env.json").read_text())
    env |= dict(variables=dict(OMP_NUM_THREADS="1", TORCHINDUCTOR_CACHE_DIR="/home/me/cache"))
    if git:
        env["git"] = dict(commit=git[0], dirty=git[1])
    (folder / "env.json").write_text(json.dumps(env))
    return folder


def text(root):
    records = read_records(root)
    part = make_part(make_cells(records), records[0].dataset, records[0].network)
    part.tables.pop()  # the one with links into work dirs
    return render(part, "markdown")


def test_a_record_has_all_that_tables_need_and_nothing_of_the_machine(tmp_path):
    runs, kept = tmp_path / "runs", tmp_path / "results"
    for seed in (0, 1):
        run(runs, seed=seed)
    written, refused = collect(read_records(runs), kept)
    assert not refused and [path.name for path in written] == ["seed0", "seed1"]
    assert text(kept) == text(runs)
    for path in kept.rglob("*"):
        if path.is_file():
            content = path.read_text()
            assert str(tmp_path) not in content and "/home/me" not in content and len(content) < 20_000
    assert {path.name for path in written[0].iterdir()} == {"result.json", "env.json", "status.json", "r20_mixup.py"}
    assert [r.config_hash for r in read_records(kept)] == [r.config_hash for r in read_records(runs)]
    assert [refusal(r) for r in read_records(kept)] == [None, None]
    again, refused = collect(read_records(runs), kept)
    assert not again and not refused


@pytest.mark.parametrize("options, why", [
    (dict(status="interrupted"), "not finished"), (dict(status="diverged"), "not finished .diverged"),
    (dict(git=("b" * 40, True)), "files that differ from commit bbbbbbbb"), (dict(git=None), "no commit is known")])
def test_runs_without_a_lasting_result_are_refused(tmp_path, options, why):
    run(tmp_path / "runs", **options)
    (record,) = read_records(tmp_path / "runs")
    written, refused = collect([record], tmp_path / "results")
    assert not written and list(refused) == [record.folder] and not (tmp_path / "results").exists()
    assert why.split(" .")[0] in refused[record.folder]


def test_damaged_files_edited_configs_and_second_runs_are_refused(tmp_path):
    edited, torn, first, second = (run(tmp_path / name) for name in ("edited", "torn", "first", "second"))
    (config,) = edited.glob("*.py")
    config.write_text(config.read_text().replace("total_batch=100", "total_batch=200"))
    (torn / "env.json").write_text("{")
    for folder, why in ((edited, "hashes differ"), (torn, "env.json is torn")):
        assert why in refusal(*read_records(folder))
    result = json.loads((second / "result.json").read_text())
    (second / "result.json").write_text(json.dumps(dict(result, img_s=1.0)))
    written, refused = collect(gather([tmp_path / "first", tmp_path / "second"]), tmp_path / "results")
    assert len(written) == 1 and "another run of this config and seed" in refused[str(second)]


def test_the_command_collects_what_it_can_and_exits_with_1_for_the_rest(tmp_path, capsys):
    run(tmp_path / "runs", seed=0)
    assert main(["zoo", str(tmp_path / "runs"), "--collect", str(tmp_path / "results")]) == 0
    run(tmp_path / "runs", seed=1, status="diverged")
    assert main(["zoo", str(tmp_path / "runs"), "--collect", str(tmp_path / "results")]) == 1
    out = capsys.readouterr()
    assert "0 records written, 1 runs refused" in out.out and "diverged" in out.err


def test_a_sweep_leaves_out_what_has_a_record(tmp_path):
    folder = run(tmp_path / "runs", seed=1)
    collect(read_records(folder), tmp_path / "results")
    (record,) = read_records(folder)
    jobs = [Job(f"a/seed{seed}", "a.py", seed, "w", config_hash=of) for seed in (0, 1)
            for of in (record.config_hash, "other")]
    assert missing(jobs, [tmp_path / "results"]) == [jobs[0], jobs[1], jobs[3]]


# -- the records of this repository ------------------------------------------------------------------------------------


def test_every_committed_record_is_one_and_in_its_own_folder(tmp_path):
    records = read_records(ROOT / "results")
    assert all(refusal(record) is None for record in records), [refusal(record) for record in records]
    written, _ = collect(records, tmp_path)
    assert {p.relative_to(tmp_path) for p in written} == {Path(r.folder).relative_to(ROOT / "results") for r in records}


def test_the_tables_of_the_docs_are_those_of_the_records(monkeypatch, capsys):
    monkeypatch.chdir(ROOT)
    assert main(["zoo", "results", "--check"]) == 0, f"{capsys.readouterr().out}run: openmix zoo results --write"


def test_a_run_that_was_evaluated_further_renews_its_record_and_nothing_else_of_it(tmp_path):
    folder = run(tmp_path / "runs")
    (target,), _ = collect(read_records(folder), tmp_path / "results")
    result = json.loads((folder / "result.json").read_text())
    more = dict(result, evals={**result.get("evals", {}), "cal": dict(
        type="Calibration", main="ece", epoch=1, data=dict(name="CIFAR-100"), networks=dict(net=dict(ece=3.0)))})
    (folder / "result.json").write_text(json.dumps(more))
    before = {path.name: path.read_bytes() for path in target.iterdir()}
    written, refused = collect(read_records(folder), tmp_path / "results")
    assert (written, refused) == ([target], {})
    after = {path.name: path.read_bytes() for path in target.iterdir()}
    assert json.loads(after.pop("result.json")) == more
    assert after == {name: data for name, data in before.items() if name != "result.json"}
    (folder / "result.json").write_text(json.dumps(result))  # a copy from before the evaluation
    _, refused = collect(read_records(folder), tmp_path / "results")
    assert "another run of this config and seed" in refused[str(folder)]
