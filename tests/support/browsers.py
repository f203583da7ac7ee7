"""Headless Chromium for the tests of pages."""

import shutil

import pytest

MARKS = [
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.skipif(
        not (shutil.which("chromium") and shutil.which("chromedriver")),
        reason="chromium and chromedriver are not installed",
    ),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]


def started(*logs):
    """Yield a browser that keeps these logs, "browser" or "performance", and end it."""
    webdriver = pytest.importorskip("selenium.webdriver")
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium")
    # In containers the sandbox is not allowed, and /dev/shm is small.
    for argument in (
        "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"
    ):  # fmt: skip
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", dict.fromkeys(logs, "ALL"))
    service = webdriver.ChromeService(shutil.which("chromedriver"))
    found = webdriver.Chrome(options=options, service=service)
    found.set_script_timeout(120)
    yield found
    found.quit()
