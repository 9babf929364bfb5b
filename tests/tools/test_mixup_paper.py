"""The page of the mixup paper: its tables and figure come from records alone, and an empty cell has no number."""
import json
import runpy
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TOOL = ROOT / "tools" / "mixup_paper.py"
MARKS = "".join(f"<!-- paper:{name} begin -->\nold\n<!-- paper:{name} end -->\n" for name in
                ("attacks", "corruptions", "gan"))


def write(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))


@pytest.fixture
def root(tmp_path):
    """Three ERM runs without corruptions, the first on fewer images, a GAN of two seeds, and the page."""
    for seed, (top1, images) in enumerate(((10.0, 50), (60.0, 1000), (62.0, 1000))):
        evals = dict(fgsm4=dict(top1=top1), between=dict(lam=[0, 0.5, 1], miss=[1, 9, 1], norm=[0, 2, 0]))
        write(tmp_path / f"results/cifar10500aclass-lenet/cifar10_lenet_between_vanilla-1/seed{seed}/result.json",
              dict(evals={name: dict(networks=dict(net=values), data=dict(images=images))
                          for name, values in evals.items()}))
    settings = dict(data="ring", form="paper", width=16, alpha=0.2, seeds=[0, 1])
    write(tmp_path / "results/gan/one/gan.json",
          dict(settings=settings, history=[dict(step=1000, modes=[8, 6], good=[0.5, 0.5], distance=[0.1, 0.3])]))
    page = tmp_path / "docs/explanation/mixup_paper.md"
    page.parent.mkdir(parents=True)
    page.write_text(MARKS)
    (tmp_path / "docs/images").mkdir()
    return tmp_path


def call(monkeypatch, *args):
    monkeypatch.setattr(sys, "argv", [str(TOOL), *map(str, args)])
    with pytest.raises(SystemExit) as exit:
        runpy.run_path(str(TOOL), run_name="__main__")
    return exit.value.code


def test_tables_hold_means_and_deviations_of_records_and_say_where_there_is_none(root, monkeypatch):
    page = root / "docs/explanation/mixup_paper.md"
    assert call(monkeypatch, "--check", "--root", root) == 1 and page.read_text() == MARKS
    assert call(monkeypatch, "--root", root) == 0
    lines = {line.split(" | ")[0].strip("| "): line for line in page.read_text().splitlines() if line.startswith("|")}
    assert lines["FGSM 4"].split(" | ")[1:] == ["39.0 ± 1.4 (2)", "no run yet", "no run yet |"]
    assert "| test images | 1,000 | no run yet | no run yet |" in page.read_text(), "a run on other images is left out"
    assert lines["mean of all"].count("no run yet") == 3
    assert lines["ring"] == "| ring | paper | 16 | 0.2 | 1,000 | 2 | 7.0 ± 1.4 | 50.0 ± 0.0 | 0.200 ± 0.141 |"
    assert (root / "docs/images/mixup_paper_between.png").read_bytes()[:4] == b"\x89PNG"
    assert "![Samples, ring, width 16, alpha 0.2, form paper](../../results/gan/one/samples.png)" in page.read_text()
    assert call(monkeypatch, "--check", "--root", root) == 0


def test_the_tables_of_the_page_are_those_of_the_records(monkeypatch):
    assert call(monkeypatch, "--check", "--root", ROOT) == 0
