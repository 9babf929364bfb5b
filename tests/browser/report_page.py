"""A report in a real browser: run by tests/browser/run.sh, which installs one; not part of the ordinary tests.

Leaves the pictures ``report_wide.png`` and ``report_narrow.png`` in work_dirs/browser/.
"""
import math
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from selenium.webdriver.support.ui import WebDriverWait

from openmix.report import write_report
from tests.results.fake_runs import png, write_run

SHOTS = Path("work_dirs", "browser")
HOSTILE = "<script>window.fallen = true</script>"


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Four methods of up to three seeds, one of them diverged, and one with a hostile name."""
    home = tmp_path_factory.mktemp("runs")
    for i, method in enumerate(("Vanilla", "MixUp", "CutMix", HOSTILE)):
        for seed in range(3 if i < 3 else 1):
            epochs = 20 if (i, seed) != (2, 2) else 7
            top1 = [70 + 3 * i + 0.4 * seed - 50 * math.exp(-e / 5) for e in range(epochs)]
            write_run(home / f"run{i}" / f"seed{seed}", f"type={method!r}", seed, top1, epochs=20,
                      losses=[1 + 3 * math.exp(-e / 6) + i / 10 for e in range(epochs)], picture=(1, png()),
                      status="done" if epochs == 20 else "diverged", img_s=[900, 1000, 80, 950][i])
    write_run(home / "run9" / "seed0", "type='FMix'", 0, [], epochs=20, status="interrupted")
    return home


@pytest.fixture(scope="module")
def page(browser, runs):
    """The browser with the report drawn."""
    browser.get(write_report(runs, runs / "report.html").resolve().as_uri())
    items = browser.execute_script("return Object.keys(JSON.parse(document.getElementById('items').textContent))")
    WebDriverWait(browser, 60).until(lambda b: b.execute_script(
        "return Bokeh.documents.length === arguments[0] && Bokeh.documents.every(d => d.is_idle)", len(items)))
    return browser


def column(page, table: str, index: int, what="textContent") -> list[str]:
    return page.execute_script(
        "return [...document.getElementById(arguments[0]).tBodies[0].rows].map(row => row.cells[arguments[1]]"
        f".{what})", table, index)


def head(page, table: str, name: str):
    """(button, index) of a column."""
    heads = page.find_elements("css selector", f"#{table} th button")
    index = [h.text for h in heads].index(name)
    return heads[index], index


def shot(page, width: int, name: str) -> np.ndarray:
    for height in (900, "return document.documentElement.scrollHeight"):  # the whole page
        height = height if isinstance(height, int) else page.execute_script(height)
        page.execute_cdp_cmd("Emulation.setDeviceMetricsOverride",
                             dict(width=width, height=height, deviceScaleFactor=1, mobile=False))
    WebDriverWait(page, 30).until(lambda b: b.execute_script("return Bokeh.documents.every(d => d.is_idle)"))
    SHOTS.mkdir(parents=True, exist_ok=True)
    page.execute_async_script("setTimeout(arguments[0], 500)")  # canvases follow the new width
    page.save_screenshot(str(SHOTS / name))
    return np.asarray(Image.open(SHOTS / name).convert("RGB")).astype(int)


def test_nothing_fails_and_nothing_is_fetched(page):
    assert [e for e in page.get_log("browser") if e["level"] in ("SEVERE", "WARNING")] == []
    assert page.execute_script("return performance.getEntriesByType('resource').map(e => e.name)"
                               ".filter(name => !name.startsWith('data:'))") == []


def test_a_name_is_text_and_never_code(page):
    assert page.execute_script("return window.fallen") is None
    assert HOSTILE in column(page, "cells", 0)


@pytest.mark.parametrize("name", ["top-1 (%)", "img/s", "n"])
def test_a_click_on_a_head_sorts_by_number_and_another_turns_it_round(page, name):
    button, index = head(page, "cells", name)
    for direction in ("ascending", "descending"):
        button.click()
        values = column(page, "cells", index, "dataset.value")
        numbers = [float(v) for v in values if v != ""]
        assert numbers == sorted(numbers, reverse=direction == "descending") and len(set(numbers)) > 1
        assert "" not in values[:len(numbers)], "cells without a value stay last"
        assert button.find_element("xpath", "..").get_attribute("aria-sort") == direction


def test_names_are_sorted_as_text_and_rows_stay_whole(page):
    def whole():
        return {tuple(row) for row in zip(*(column(page, "cells", i) for i in range(5)), strict=True)}

    before = whole()
    button, index = head(page, "cells", "method")
    button.click()
    names = column(page, "cells", index)
    assert names[-4:] == ["CutMix", "FMix", "MixUp", "Vanilla"] and whole() == before


def test_every_chart_is_drawn_and_every_picture_shown(page):
    sizes = page.execute_script("return Object.keys(JSON.parse(document.getElementById('items').textContent))"
                                ".map(id => document.getElementById(id).getBoundingClientRect().height)")
    assert len(sizes) == 4 and min(sizes) > 150  # dots, two charts of curves, costs
    widths = page.execute_script("return [...document.images].map(i => i.naturalWidth)")
    assert widths == [8, 8, 8, 8]


@pytest.mark.parametrize("width, name", [(1400, "report_wide.png"), (400, "report_narrow.png")])
def test_the_page_fits_its_window_and_shows_lines_and_bands(page, width, name):
    pixels = shot(page, width, name)
    assert page.execute_script("return document.documentElement.scrollWidth") <= width
    blue = (abs(pixels - np.array([0x1f, 0x77, 0xb4])) < 8).all(-1).sum()  # the first colour of the palette
    assert blue > 300, "no line of the first method is to be seen"
    assert len(np.unique(pixels.reshape(-1, 3), axis=0)) > 200
