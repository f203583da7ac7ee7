"""The page in headless Chromium: no message, no request, and a slider that recomputes."""

import json
import shutil

import pytest

import fastmlp

from .conftest import table

pytestmark = [
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.skipif(
        not (shutil.which("chromium") and shutil.which("chromedriver")),
        reason="chromium and chromedriver are not installed",
    ),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]


@pytest.fixture(scope="module")
def browser():
    webdriver = pytest.importorskip("selenium.webdriver")
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium")
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    service = webdriver.ChromeService(shutil.which("chromedriver"))
    found = webdriver.Chrome(options=options, service=service)
    yield found
    found.quit()


@pytest.fixture(scope="module")
def opened(browser, trained, tmp_path_factory):
    folder = tmp_path_factory.mktemp("pages")

    def open_page(task, width=1280, scheme="light", effort="normal"):
        path = folder / f"{task}_{effort}.html"
        if not path.exists():
            fastmlp.report(trained(task, effort), table(task)).save(path)
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500}
        browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        browser.execute_cdp_cmd(
            "Emulation.setEmulatedMedia",
            {"features": [{"name": "prefers-color-scheme", "value": scheme}]},
        )
        browser.get_log("performance")
        browser.get(path.as_uri())
        return path.as_uri()

    return open_page


@pytest.mark.parametrize("task", ["two", "three", "number"])
@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_message_no_request_and_no_sideways_scrolling(browser, opened, task, width, scheme):
    address = opened(task, width, scheme)
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


def test_the_slider_recomputes_confusion_and_cost(browser, opened):
    opened("two")
    numbers = json.loads(
        browser.execute_script("return document.getElementById('numbers').textContent")
    )["threshold"]

    def shown(name):
        return browser.execute_script(f"return document.getElementById('t-{name}').textContent")

    def move(place):
        browser.execute_script(
            "const s = document.getElementById('t-slider'); s.value = arguments[0];"
            "s.dispatchEvent(new Event('input'))",
            place,
        )

    for place in (0, 40, 120):
        move(place)
        tp, fp = numbers["true_positives"][place], numbers["false_positives"][place]
        fn = numbers["positives"] - tp
        assert [shown("11"), shown("01"), shown("10")] == [str(tp), str(fp), str(fn)]
        assert f"cost {fp + 3 * fn}," in shown("text")
    browser.find_element("id", "t-best").click()
    costs = [
        fp + 3 * (numbers["positives"] - tp)
        for tp, fp in zip(numbers["true_positives"], numbers["false_positives"], strict=True)
    ]
    assert f"cost {min(costs)}," in shown("text")
    browser.find_element("id", "t-own").click()
    assert shown("value") == f"{numbers['thresholds'][numbers['chosen']]:.3f}"
