"""Record docs/_static/playground.gif: a walk of about twenty seconds through the playground.

    python docs/playground_walk.py [OUTPUT]

It needs fastmlp[playground], Selenium with Chromium, and Pillow. The documentation's build does not
run it; the GIF is kept in the repository.
"""

import io
import shutil
import sys
import time
from pathlib import Path

from PIL import Image
from selenium import webdriver

import fastmlp

OUTPUT = Path(__file__).parent / "_static" / "playground.gif"
SIZE, WIDTH, PERIOD, COLOURS = (1240, 800), 744, 0.25, 96


class Walk:
    """A browser on the page, and what it has shown."""

    def __init__(self):
        options = webdriver.ChromeOptions()
        options.binary_location = shutil.which("chromium")
        for argument in ("--headless=new", "--no-sandbox", "--hide-scrollbars"):
            options.add_argument(argument)
        service = webdriver.ChromeService(shutil.which("chromedriver"))
        self.browser = webdriver.Chrome(options=options, service=service)
        self.browser.execute_cdp_cmd(
            "Emulation.setDeviceMetricsOverride",
            {"width": SIZE[0], "height": SIZE[1], "deviceScaleFactor": 1, "mobile": False},
        )
        self.images, self.due = [], 0.0

    def watch(self, seconds):
        """Record for some seconds."""
        for _ in range(round(seconds / PERIOD)):
            time.sleep(max(0.0, self.due - time.monotonic()))
            self.due = time.monotonic() + PERIOD
            png = self.browser.get_screenshot_as_png()
            with Image.open(io.BytesIO(png)) as image:
                size = (WIDTH, WIDTH * SIZE[1] // SIZE[0])
                self.images.append(image.convert("RGB").resize(size, Image.Resampling.LANCZOS))

    def script(self, text, *arguments):
        """Run JavaScript on the page."""
        self.browser.execute_script(text, *arguments)

    def click(self, name):
        """Click the element of that id."""
        self.script("document.getElementById(arguments[0]).click()", name)

    def slide(self, name, value, event="input"):
        """Set a control to a value."""
        self.script(
            "const e = document.getElementById(arguments[0]); e.value = arguments[1];"
            "e.dispatchEvent(new Event(arguments[2], { bubbles: true }))",
            name, value, event,
        )  # fmt: skip

    def save(self, path):
        """Write the GIF: one palette for all images, so that only what changes takes room."""
        step = max(1, len(self.images) // 12)
        some = self.images[::step]
        sheet = Image.new("RGB", (WIDTH, some[0].height * len(some)))
        for i, image in enumerate(some):
            sheet.paste(image, (0, i * image.height))
        palette = sheet.quantize(COLOURS, dither=Image.Dither.NONE)
        frames = [image.quantize(palette=palette, dither=Image.Dither.NONE)
                  for image in self.images]  # fmt: skip
        frames[0].save(
            path, save_all=True, append_images=frames[1:], duration=round(PERIOD * 1000), loop=0,
            optimize=True, disposal=1,
        )  # fmt: skip


def main(path):
    """Walk, and write the GIF."""
    server = fastmlp.playground(browser=False, block=False, notebook=False)
    walk = Walk()
    try:
        walk.browser.get(server.url + "?lesson=l1")
        time.sleep(1.5)
        walk.slide("penalty", "none", "change")
        walk.watch(1)
        walk.slide("speed", "60", "change")
        walk.click("play")
        walk.watch(3.5)
        walk.slide("penalty", "l1", "change")  # edges vanish, units die
        walk.slide("lambda", 26)
        walk.watch(5)
        walk.click("play")
        for place in (60, 40, 20, 10):
            walk.slide("rewind", place)
            walk.watch(0.5)
        walk.browser.get(server.url + "?lesson=dropout")  # two settings, side by side
        time.sleep(1)
        walk.click("play")
        walk.watch(6)
        walk.click("play")
        walk.watch(1)
        walk.save(path)
    finally:
        walk.browser.quit()
        server.close()
    print(f"{path}: {len(walk.images)} images, {Path(path).stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else OUTPUT)
