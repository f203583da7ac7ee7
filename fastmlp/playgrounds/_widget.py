"""The page in a notebook: the same files, carried by anywidget.

A notebook has no address for the page's files, so the widget's one module makes an address for
each in the browser's memory, in the order in which they import one another.
"""

from __future__ import annotations

import json
import re
from typing import Any

from .._utils.optional import require
from ._engine import PlayEngine
from ._server import PAGE

_IMPORT = re.compile(r'(?<=["\'])\./([\w./-]+)(?=["\'])')
_MODULE = """
const sources = %s;
// A module of the kind that looks for a loader must find none.
const alone = "const define = undefined, exports = undefined, module = undefined;\\n";
const style = document.createElement("style");
style.textContent = %s;
document.head.append(style);
const addresses = {};
for (const [name, text] of sources) {
  const own = text.replace(/(["'])\\.\\/([\\w./-]+)\\1/g, (all, quote, to) =>
    addresses[to] ? quote + addresses[to] + quote : all);
  const code = name.endsWith(".min.js") ? alone + own : own;
  addresses[name] = URL.createObjectURL(new Blob([code], { type: "text/javascript" }));
}
const { mount } = await import(addresses["app.js"]);
export default {
  render({ model, el }) {
    const root = document.createElement("div");
    root.className = "fmp embedded";
    el.append(root);
    const page = mount(root, (message) => model.send(message));
    const take = (head, buffers) => {
      const own = buffers[0];
      const bytes = own instanceof ArrayBuffer ? new Uint8Array(own)
        : new Uint8Array(own.buffer, own.byteOffset, own.byteLength);
      page.receive(bytes.slice().buffer);
    };
    model.on("msg:custom", take);
    model.send({ do: "open" });
    return () => {
      model.off("msg:custom", take);
      model.send({ do: "leave" });
      page.unmount();
    };
  },
};
"""


def modules() -> list[tuple[str, str]]:
    """Return the page's modules, names and texts, each behind those that it imports."""
    found: dict[str, str] = {}

    def add(name: str) -> None:
        if name in found:
            return
        text = (PAGE / name).read_text("utf-8")
        for other in [] if name.startswith("vendor/") else _IMPORT.findall(text):
            add(other)
        found[name] = text

    add("app.js")
    return list(found.items())


def module_text() -> str:
    """Return the widget's module."""
    names = ("vendor/uPlot.min.css", "app.css")
    # The page's own background is the notebook's.
    style = "\n".join((PAGE / name).read_text("utf-8") for name in names)
    style = re.sub(r"^html body.*$", "", style, flags=re.M)
    return _MODULE % (json.dumps(modules()), json.dumps(style))


def check_widget() -> None:
    """Raise DataError if anywidget is not installed."""
    require("anywidget", "playground", "The playground in a notebook")


def widget(engine: PlayEngine) -> Any:
    """Return a widget that shows an engine's page.

    Parameters
    ----------
    engine : PlayEngine

    Returns
    -------
    anywidget.AnyWidget
        Its ``close`` ends the engine.
    """
    anywidget = require("anywidget", "playground", "The playground in a notebook")

    def take(shown: Any, message: Any, buffers: Any) -> None:
        what = message.get("do") if isinstance(message, dict) else None
        if what == "open":
            engine.attach(lambda frame: shown.send({"kind": "frame"}, buffers=[frame]))
        elif what == "leave":
            engine.attach(None)
        else:
            engine.control(message)

    def close(self: Any) -> None:
        engine.close()
        anywidget.AnyWidget.close(self)

    kind = type("PlaygroundWidget", (anywidget.AnyWidget,), {"_esm": module_text(), "close": close})
    made = kind()
    made.engine = engine
    made.on_msg(take)
    return made
