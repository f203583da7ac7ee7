"""The page in headless Chromium: no message, no request, no barrier, and sliders that recompute."""

import importlib.util
import json
import os
from pathlib import Path

import numpy as np
import pytest

import fastmlp

from ..support import browsers
from .conftest import table

pytestmark = browsers.MARKS
CASES = ["two", "three", "number", "both", "path", "lecture"]
VIEWS = [(1280, "light"), (1280, "dark"), (390, "light"), (390, "dark")]


@pytest.fixture(scope="module")
def browser():
    yield from browsers.started("browser", "performance")


@pytest.fixture(scope="module")
def opened(browser, trained, path, of_lecture, tmp_path_factory):
    folder = tmp_path_factory.mktemp("pages")

    def made(case):
        if case == "lecture":
            return fastmlp.report(of_lecture("classifier_l2_0.001", (16, 16)))
        if case == "path":
            return fastmlp.report(path, table("number"))
        return fastmlp.report(trained(case), table(case))

    def open_page(case, width=1280, scheme="light"):
        file = folder / f"{case}.html"
        if not file.exists():
            made(case).save(file)
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500}
        browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        browser.execute_cdp_cmd(
            "Emulation.setEmulatedMedia",
            {"features": [{"name": "prefers-color-scheme", "value": scheme}]},
        )
        browser.get_log("performance")
        browser.get(file.as_uri())
        return file

    return open_page


@pytest.fixture(scope="module")
def axe():
    """The text of axe-core: of the file that AXE_CORE names, or of the package for Python."""
    file = os.environ.get("AXE_CORE")
    if file is None:
        package = importlib.util.find_spec("axe_core_python")
        if package is None:
            pytest.skip("axe-core is not installed: set AXE_CORE, or install axe-core-python")
        file = Path(package.origin).parent / "axe.min.js"
    return Path(file).read_text("utf-8")


def shown(browser, name):
    return browser.execute_script("return document.getElementById(arguments[0]).textContent", name)


def move(browser, name, place):
    browser.execute_script(
        "const s = document.getElementById(arguments[0]); s.value = arguments[1];"
        "s.dispatchEvent(new Event('input'))",
        name,
        place,
    )


@pytest.mark.parametrize("case", CASES)
def test_no_message_no_request_and_no_sideways_scrolling(browser, opened, case):
    for width, scheme in VIEWS:
        address = opened(case, width, scheme).as_uri()
        assert browser.get_log("browser") == []
        sent = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
        requested = {
            message["params"]["request"]["url"]
            for message in sent
            if message["method"] == "Network.requestWillBeSent"
        }
        assert {url for url in requested if not url.startswith("data:")} == {address}
        assert browser.execute_script("return document.documentElement.scrollWidth") <= width
        colour = browser.execute_script("return getComputedStyle(document.body).backgroundColor")
        assert colour == ("rgb(255, 255, 255)" if scheme == "light" else "rgb(20, 24, 30)")
        assert browser.execute_script("return window.alerted") is None
        assert browser.execute_script("return document.querySelectorAll('img').length") == 0


@pytest.mark.parametrize("case", CASES)
def test_no_serious_barrier(browser, opened, axe, case):
    for width, scheme in (VIEWS[0], VIEWS[3]):
        opened(case, width, scheme)
        # Not as an element, which the page's policy would refuse.
        browser.execute_cdp_cmd("Runtime.evaluate", {"expression": axe})
        found = browser.execute_async_script(
            "const done = arguments[0]; axe.run({resultTypes: ['violations']}).then("
            "r => done(r.violations.map(v => [v.impact, v.id, v.nodes.slice(0, 3).map("
            "n => n.html.slice(0, 200) + ' ' + n.failureSummary)])))"
        )
        assert [v for v in found if v[0] in ("serious", "critical")] == []


def test_the_slider_recomputes_confusion_and_cost(browser, opened):
    opened("two")
    numbers = json.loads(shown(browser, "numbers"))["targets"][0]["threshold"]
    for place in (0, 40, 120):
        move(browser, "t-slider", place)
        tp, fp = numbers["true_positives"][place], numbers["false_positives"][place]
        fn = numbers["positives"] - tp
        cells = [shown(browser, f"t-{name}") for name in ("11", "01", "10")]
        assert cells == [str(tp), str(fp), str(fn)]
        assert f"cost {fp + 3 * fn}," in shown(browser, "t-text")
    browser.find_element("id", "t-best").click()
    costs = [
        fp + 3 * (numbers["positives"] - tp)
        for tp, fp in zip(numbers["true_positives"], numbers["false_positives"], strict=True)
    ]
    assert f"cost {min(costs)}," in shown(browser, "t-text")
    assert shown(browser, "t-least") == str(min(costs))
    browser.find_element("id", "t-own").click()
    assert shown(browser, "t-value") == f"{numbers['thresholds'][numbers['chosen']]:.3f}"


def test_the_script_writes_what_the_page_has_without_it(browser, opened):
    for case, names in (("two", ["t-text", "t-00", "t-01", "t-10"]), ("path", ["l-text", "l-n0"])):
        document = opened(case).read_text("utf-8")
        for name in names:
            assert f'id="{name}"' in document
            after = document.split(f'id="{name}"', 1)[1].split(">", 1)[1]
            assert after.startswith(shown(browser, name)), (name, after[:200])


def test_the_slider_of_lambda_moves_the_text_and_the_bars(browser, opened, path):
    opened("path")
    numbers = json.loads(shown(browser, "numbers"))["path"]
    for place in (0, 3):
        move(browser, "l-slider", place)
        assert f"{path.n_nonzero[place]:,} nonzero weights" in shown(browser, "l-text")
        width = browser.execute_script(
            "return Number(document.getElementById('l-b0').getAttribute('width'))"
        )
        share = numbers["norms"][place][0] / np.max(numbers["norms"])
        assert width == pytest.approx(100 * share, abs=0.01)
    browser.find_element("id", "l-min").click()
    assert f"{path.n_nonzero[path.index_min]:,} nonzero" in shown(browser, "l-text")


@pytest.mark.parametrize("case", ["two", "path"])
def test_a_printed_page_holds_everything_but_controls(browser, opened, case):
    opened(case)
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    hidden = browser.execute_script(
        "return [...document.querySelectorAll('section *')].filter(e => "
        "getComputedStyle(e).display === 'none' && !e.closest('.controls')).map(e => e.tagName)"
    )
    assert set(hidden) <= {"DEFS", "CLIPPATH", "PATH", "RECT"}
    wide = browser.execute_script(
        "document.body.style.width = '700px'; return document.documentElement.scrollWidth"
    )
    assert wide <= 1280
    assert (
        browser.execute_script(
            "return getComputedStyle(document.querySelector('.controls')).display"
        )
        == "none"
    )


def test_a_page_of_a_hundred_thousand_rows_is_small(trained):
    data = {name: np.resize(values, 100_000) for name, values in table("two").items()}
    assert len(fastmlp.report(trained("two"), data).html.encode()) < 1_000_000
