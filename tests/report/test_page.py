"""The page of a report: everything in it, nothing outside it, every run listed. tests/browser opens one for real."""
import base64
import html
import json
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

from openmix.report import charts, write_report
from openmix.report.curves import Curve
from openmix.report.page import gather, images_an_epoch
from tests.results.fake_runs import png, write_run

ROOT = Path(__file__).resolve().parents[2]
HOSTILE = "</script><script>alert(1)</script>"


class Page(HTMLParser):
    """Elements with their attributes, tables as lists of rows, what JSON holds."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.tables, self.json, self.inside, self.words = [], {}, None, None, []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.elements.append((tag, attrs))
        if tag == "table":
            self.rows = self.tables.setdefault(attrs["id"], [])
        elif tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th"):
            self.rows[-1].append("")
        self.inside = (tag, attrs)

    def handle_endtag(self, tag):
        self.inside = None

    def handle_data(self, data):
        tag, attrs = self.inside or (None, {})
        if tag in ("td", "button"):
            self.rows[-1][-1] += data
        elif attrs.get("type") == "application/json":
            self.json = (self.json or "") + data
        elif tag not in ("script", "style"):
            self.words.append(data)

    def table(self, name):
        head, *rows = self.tables[name]
        return [dict(zip(head, row, strict=True)) for row in rows]


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    home = tmp_path_factory.mktemp("runs")
    for seed, value in enumerate((70.0, 71.0, 72.5)):
        write_run(home / "vanilla" / f"seed{seed}", "type='Vanilla'", seed, [1.0, *[value] * 10], losses=[1.0] * 11,
                  img_s=900.0, picture=(7, png()))
    write_run(home / "mixup" / "seed0", "type='MixUp'", 0, [1.0, *[73.0] * 10], losses=[1.0] * 11, img_s=600.0)
    write_run(home / "mixup" / "seed1", "type='MixUp'", 1, [1.0, 2.0], losses=[1.0] * 2, epochs=11, status="diverged")
    write_run(home / "short" / "seed0", "type='CutMix'", 0, [*[None] * 9, 50.0, 60.0])
    write_run(home / "started" / "seed0", "type='FMix'", 0, [], epochs=11, status="interrupted")
    write_run(home / "hostile" / "seed0", f"type={HOSTILE!r}", 0, [5.0] * 11, hardware=HOSTILE, picture=(1, b"<b>"))
    torn = write_run(home / "torn" / "seed0", "type='GridMix'", 0, [5.0] * 11)
    (torn / "result.json").write_text('{"schema": 1, "sta')
    (home / "empty" / "seed0").mkdir(parents=True)
    (home / "empty" / "seed0" / "status.json").write_text("{}")
    return home


@pytest.fixture(scope="module")
def text(runs):
    return write_report(runs, runs / "report.html", title="A <title> & more").read_text()


@pytest.fixture(scope="module")
def page(text):
    return Page(text)


def test_nothing_is_loaded_from_elsewhere(page):
    for tag, attrs in page.elements:
        for key in ("src", "href", "action", "data"):
            assert attrs.get(key) is None or attrs[key].startswith("data:image/png;base64,"), (tag, attrs)
        assert tag not in ("link", "iframe", "object", "embed", "base")
    assert any(tag == "script" for tag, _ in page.elements)


def test_no_name_becomes_an_element(text, page):
    assert [attrs for tag, attrs in page.elements if tag in ("b", "title")] == [{}]
    assert "alert(1)" in text and HOSTILE not in text
    assert text.count("<title>A &lt;title&gt; &amp; more</title>") == 1
    assert HOSTILE in [row["method"] for row in page.table("cells")]


def test_cells_show_the_mean_the_spread_and_what_is_not_in_them(page):
    rows = {row["method"]: row for row in page.table("cells")}
    shown = {m: (r["top-1 (%)"], r["std"], r["n"], r["not counted"], r["cost"]) for m, r in rows.items()}
    assert shown["Vanilla"] == ("71.17", "1.26", "3/3", "", "1.00x")
    assert shown["MixUp"] == ("73.00", "-", "1/2", "1 diverged", "1.50x")
    assert shown["CutMix"] == ("60.00 (last epoch)", "-", "1/1", "", "0.90x")
    assert shown["FMix"] == ("-", "-", "0/1", "1 interrupted", "-")
    assert shown["GridMix"][:4] == ("-", "-", "0/1", "1 broken")


def test_every_run_is_in_the_table_with_its_state_and_its_problems(page, runs):
    rows = {Path(row["folder"]).relative_to(runs).as_posix(): row for row in page.table("runs")}
    assert len(rows) == 10
    assert (rows["mixup/seed1"]["state"], rows["mixup/seed1"]["epoch"], rows["mixup/seed1"]["last top-1 (%)"]) == (
        "diverged", "2", "2.00")
    assert rows["torn/seed0"]["state"] == "broken" and "result.json is no result" in rows["torn/seed0"]["remarks"]
    assert "in no cell" in rows["empty/seed0"]["remarks"] and "there is no config" in rows["empty/seed0"]["remarks"]
    assert "10 runs: 2 broken" not in " ".join(page.words) and "10 runs: 1 broken, 1 diverged" in " ".join(page.words)


def objects(value):
    """All dicts in nested data."""
    if isinstance(value, dict):
        yield value
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from objects(inner)


def test_charts_hold_the_curves_and_their_bands(page):
    items = json.loads(page.json)
    assert set(items) == {attrs["id"] for tag, attrs in page.elements if tag == "div" and "id" in attrs}
    accuracy = json.dumps(items["chart1"])
    for label in ("Vanilla (n = 3)", "MixUp (n = 1 of 2)", "MixUp, seed 1, diverged", "CutMix (n = 1)"):
        assert label in accuracy
    drawn = [d["attributes"]["glyph"]["name"] for d in objects(items["chart1"]) if d.get("name") == "GlyphRenderer"]
    assert drawn.count("VArea") == 1, "only three seeds make a band"
    assert drawn.count("Line") == 5, "four means, and the diverged run"


def test_accuracies_are_dots_with_bars_in_their_order(page):
    dots = json.dumps(json.loads(page.json)["chart0"])
    order = ["Vanilla", "CutMix", "MixUp"]
    shown = next(d["attributes"]["factors"] for d in objects(json.loads(dots)) if d.get("name") == "FactorRange")
    assert [row for row in shown if row in order] == ["CutMix", "Vanilla", "MixUp"]
    drawn = [d["attributes"]["glyph"]["name"] for d in objects(json.loads(dots)) if d.get("name") == "GlyphRenderer"]
    assert drawn.count("Segment") == 1, "only Vanilla has three seeds"


def test_a_chart_of_curves_shows_the_values_of_the_last_quarter(page):
    ranges = [d["attributes"] for d in objects(json.loads(page.json)["chart1"]) if d.get("name") == "Range1d"]
    assert len(ranges) == 1 and ranges[0]["start"] < 5.0 and ranges[0]["end"] > 73.0
    low, mean, high = [10.0, 50.0, 69.0, 71.0], [10.0, 50.0, 70.0, 72.0], [10.0, 50.0, 71.0, 73.0]
    curve = Curve("a", "a", 1, [1, 2, 3, 4], mean, low, high)
    low, high = charts.last_values([curve])
    assert (low, high) == pytest.approx((69 - 0.32, 73 + 0.32)) and charts.last_values([]) is None


def test_the_difference_to_vanilla_is_that_of_the_means(page):
    rows = {row["method"]: row["to Vanilla"] for row in page.table("cells")}
    assert rows["MixUp"] == f"{73 - (70 + 71 + 72.5) / 3:+.2f}" and rows["Vanilla"] == rows["CutMix"] == "-"


def test_a_difference_that_a_test_adjusted_for_all_rows_confirms_is_marked(tmp_path):
    from scipy import stats

    vanilla, others = [70.0, 71.0, 72.5], dict(MixUp=[73.0, 74.2, 75.6], CutMix=[70.4, 70.9, 72.9])
    for method, values in dict(Vanilla=vanilla, **others).items():
        for seed, value in enumerate(values):
            write_run(tmp_path / method / f"seed{seed}", f"type={method!r}", seed, [value] * 11)
    p = stats.false_discovery_control([stats.ttest_rel(values, vanilla).pvalue for values in others.values()])
    assert p[0] < 0.05 < p[1]
    rows = {row["method"]: row["to Vanilla"]
            for row in Page(write_report(tmp_path, tmp_path / "r.html").read_text()).table("cells")}
    assert rows == dict(Vanilla="-", MixUp="+3.10 *", CutMix="+0.23")


def test_what_is_the_same_in_all_rows_is_said_once(tmp_path):
    for method in ("Vanilla", "MixUp"):
        write_run(tmp_path / method / "seed0", f"type={method!r}", 0, [50.0] * 11)
    page = Page(write_report(tmp_path, tmp_path / "r.html").read_text())
    assert not {"network", "data", "epochs", "hardware", "published"} & page.table("cells")[0].keys()
    words = " ".join(" ".join(page.words).split())
    assert "All rows: network CifarResNet-20, data CIFAR-100, epochs 11, hardware 1 x GPU A" in words.replace(" ,", ",")


def test_a_limited_run_is_charged_the_batches_that_it_trained_on(tmp_path):
    folder = write_run(tmp_path / "a" / "seed0", "type='Vanilla'", 0, [50.0] * 11)
    record = next(iter(gather([tmp_path])))
    assert images_an_epoch(record) == 50000
    record.config["train_cfg"]["limit"] = 7
    assert images_an_epoch(record) == 700 and folder.is_dir()


def test_one_epoch_is_no_epochs_and_a_folder_that_is_not_there_is_not_made(tmp_path):
    write_run(tmp_path / "a" / "seed0", "type='Vanilla'", 0, [50.0])
    assert "CIFAR-100, 1 epoch<" in write_report(tmp_path, tmp_path / "r.html").read_text()
    with pytest.raises(FileNotFoundError, match="no folder .*nope for the report x.html"):
        write_report(tmp_path, tmp_path / "nope" / "x.html")
    assert not (tmp_path / "nope").exists()


def test_what_a_chart_lacks_stands_below_it(page):
    words = " ".join(page.words)
    assert "Without a value of accuracy: FMix, seed 0 (interrupted); GridMix, seed 0 (broken)." in words
    loss = re.search(r"Without a value of loss: ([^.]*)\.", words)[1]
    assert "CutMix, seed 0 (done)" in loss and "Vanilla" not in loss


def test_costs_of_two_places_are_two_charts(page):
    titles = [html.unescape(w) for w in page.words if "batch 100" in w]
    assert titles == [f"CIFAR-100, 1 x {HOSTILE}, bfloat16, batch 100", "CIFAR-100, 1 x GPU A, bfloat16, batch 100"]


def test_pictures_are_embedded_whole_and_others_named(page):
    sources = [attrs["src"] for tag, attrs in page.elements if tag == "img"]
    assert [base64.b64decode(s.split(",", 1)[1]) for s in sources] == [png()]
    assert "is no PNG file" in " ".join(page.words)


def test_pictures_can_be_left_out(runs, tmp_path):
    without = Page(write_report(runs, tmp_path / "r.html", pictures=False).read_text())
    assert not [tag for tag, _ in without.elements if tag == "img"]


def test_a_large_picture_is_named_and_not_shown(tmp_path):
    write_run(tmp_path / "seed0", top1=[1.0], picture=(1, png() + b"\0" * 2**20))
    actual = Page(write_report(tmp_path, tmp_path / "r.html").read_text())
    assert not [tag for tag, _ in actual.elements if tag == "img"]
    assert "is left out: " in " ".join(actual.words)


def test_the_same_runs_give_the_same_bytes(runs, text, tmp_path):
    again = write_report(runs, tmp_path / "a.html", title="A <title> & more").read_text()
    line = [sys.executable, str(ROOT / "tools" / "report.py"), str(runs), "--out", str(tmp_path / "b.html"),
            "--title", "A <title> & more"]
    done = subprocess.run(line, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert again == text == (tmp_path / "b.html").read_text()


def test_a_report_imports_no_torch(runs, tmp_path):
    code = (f"import sys; from openmix.report import write_report; write_report({str(runs)!r}, "
            f"{str(tmp_path / 'r.html')!r}); print('torch' in sys.modules)")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, cwd=ROOT)
    assert done.stdout.strip() == "False", done.stderr


def test_two_roots_that_overlap_count_a_run_once(runs, tmp_path):
    actual = Page(write_report([runs / "mixup", runs], tmp_path / "r.html").read_text())
    assert len(actual.table("runs")) == 10


def test_without_runs_or_bokeh_one_line_says_what_to_do(tmp_path, monkeypatch, runs):
    done = subprocess.run([sys.executable, str(ROOT / "tools" / "report.py"), str(tmp_path)], capture_output=True,
                          text=True, timeout=120, cwd=tmp_path)
    assert done.returncode == 2 and done.stderr.count("\n") == 1 and "no run below" in done.stderr
    assert not (tmp_path / "report.html").exists()
    monkeypatch.setitem(sys.modules, "bokeh", None)
    monkeypatch.setitem(sys.modules, "bokeh.plotting", None)
    with pytest.raises(ImportError, match=r'pip install bokeh scipy'):
        write_report(runs, tmp_path / "r.html")
