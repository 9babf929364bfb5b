"""The built site of documents in a real browser: run by tests/browser/run.sh after tools/build_docs.sh.

Leaves the pictures ``site_<page>_<width>.png`` in work_dirs/browser/.
"""
import functools
import http.server
import threading
from pathlib import Path

import pytest
from selenium.webdriver.support.ui import WebDriverWait

SITE = Path(__file__).resolve().parents[2] / "docs" / "_build" / "html"
SHOTS = Path("work_dirs", "browser")
PAGES = dict(start="index.html", card="reference/methods/CutMix.html", gallery="reference/methods/gallery.html",
             tables="reference/model_zoo.html", keys="reference/configs.html", names="reference/api/openmix.html")


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args):
        pass


@pytest.fixture(scope="module")
def site():
    if not (SITE / "index.html").is_file():
        pytest.skip("no site here; bash tools/build_docs.sh builds it")
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=SITE))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()


def resize(browser, width: int) -> None:
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride",
                            dict(width=width, height=900, deviceScaleFactor=1, mobile=False))


def complaints(browser) -> list:
    return [entry for entry in browser.get_log("browser") if entry["level"] in ("SEVERE", "WARNING")]


@pytest.mark.parametrize("width", [1400, 400])
@pytest.mark.parametrize("page", PAGES)
def test_a_page_fits_its_window_and_fetches_nothing_from_elsewhere(browser, site, page, width):
    resize(browser, width)
    browser.get(site + PAGES[page])
    SHOTS.mkdir(parents=True, exist_ok=True)
    browser.save_screenshot(str(SHOTS / f"site_{page}_{width}.png"))
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width
    fetched = browser.execute_script("return performance.getEntriesByType('resource').map(e => e.name)")
    assert fetched and [name for name in fetched if not name.startswith((site, "data:"))] == []
    assert browser.execute_script("return [...document.images].every(i => i.complete && i.naturalWidth > 0)")
    assert complaints(browser) == []


@pytest.mark.parametrize("width", [1400, 400])
def test_a_search_for_cutmix_leads_to_its_card(browser, site, width):
    resize(browser, width)
    browser.get(site + "search.html?q=cutmix")
    links = WebDriverWait(browser, 30).until(lambda b: b.find_elements("css selector", "#search-results li > a"))
    card = next(link for link in links if "reference/methods/CutMix.html" in link.get_attribute("href"))
    browser.execute_script("arguments[0].click()", card)
    WebDriverWait(browser, 30).until(lambda b: b.find_elements("css selector", "h1"))
    assert browser.find_element("css selector", "h1").text.startswith("CutMix")
    assert "minmax" in browser.find_element("css selector", "article").text
    assert complaints(browser) == []


def test_light_and_dark_differ(browser, site):
    resize(browser, 1400)
    browser.get(site)
    colours = set()
    for theme in ("light", "dark"):
        browser.execute_script("document.body.dataset.theme = arguments[0]", theme)
        colours.add(browser.execute_script("return getComputedStyle(document.body).backgroundColor"))
    assert len(colours) == 2
