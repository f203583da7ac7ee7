"""Figures as SVG inside an HTML page, with the colours of light and dark pages."""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Iterable
from typing import TYPE_CHECKING
from xml.etree import ElementTree

from ._layout import AS_DRAWN, theme_colour
from ._style import SAVING

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_KEPT_COLOURS = "as-drawn"  # the class of parts whose colours no theme changes
_PLACES = ("d", "x", "y", "transform", "points", "width", "height")
_NUMBER = re.compile(r"-?\d+\.\d{3,}")  # a hundredth of a point cannot be seen
_NOT_ATTRIBUTES = ("white-space", "mix-blend-mode")


def inline_svg(fig: Figure, name: str, label: str) -> str:
    """Return a figure as an SVG element for an HTML page.

    It has no style attributes, which a strict content security policy forbids, and no letters as
    outlines: texts can be selected and read aloud, and have the page's font. The same figure gives
    the same text.

    Parameters
    ----------
    fig : matplotlib.figure.Figure
    name : str
        Begins every id, which must be unique in the page.
    label : str
        What the figure shows, for readers who do not see it.
    """
    import matplotlib.style
    from matplotlib.figure import Figure

    content = io.BytesIO()
    settings = SAVING | {"svg.fonttype": "none"}
    with matplotlib.style.context(["default", settings]), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from", category=UserWarning)
        # Not its own savefig, which makes outlines of letters.
        Figure.savefig(
            fig, content, format="svg", transparent=True, metadata={"Date": None}, dpi=100
        )
    root = ElementTree.fromstring(content.getvalue())
    for parent in list(root.iter()):
        for child in list(parent):
            if _local(child.tag) in ("metadata", "style"):
                parent.remove(child)
    used = re.findall(r"(?:url\(#|href=\"#)([\w.-]+)", content.getvalue().decode())
    names = {own: f"{name}{i}" for i, own in enumerate(dict.fromkeys(used))}
    for element in root.iter():
        element.tag = _local(element.tag)
        given = {_local(key): value for key, value in element.attrib.items()}
        for declaration in given.pop("style", "").split(";"):
            key, colon, value = (part.strip() for part in declaration.partition(":"))
            if key == "font":
                given |= _font(value)
            elif colon and key not in (*_NOT_ATTRIBUTES, "font-family"):
                given[key] = value
        own = given.pop("id", "")
        if own == AS_DRAWN:
            given["class"] = _KEPT_COLOURS
        elif own in names:
            given["id"] = names[own]
        element.attrib.clear()
        for key, value in given.items():
            if key in _PLACES:
                value = _NUMBER.sub(lambda n: f"{float(n[0]):.2f}".rstrip("0").rstrip("."), value)
            if key == "href" and value.startswith("#"):
                value = f"#{names[value[1:]]}"
            value = re.sub(r"^url\(#(.+)\)$", lambda found: f"url(#{names[found[1]]})", value)
            element.set(key, value)
    for group in root.iter("g"):
        _share_attributes(group)
    for key in ("width", "height", "version"):
        root.attrib.pop(key, None)
    width, _, _ = root.attrib["viewBox"].rpartition(" ")
    root.attrib |= {"role": "img", "aria-label": label, "stroke-linejoin": "round",
                    "data-width": width.split()[-1]}  # fmt: skip
    text = ElementTree.tostring(root, encoding="unicode")
    return re.sub(r">\s+<", "><", text).strip()


def dark_rules(figures: Iterable[str]) -> str:
    """Return style rules that give figures of `inline_svg` the colours of the dark theme.

    Parameters
    ----------
    figures : iterable of str
    """
    changed = theme_colour("dark")
    colours = {pair for text in figures for pair in re.findall(r' (fill|stroke)="(#\w{6})"', text)}
    rules = []
    for key, colour in sorted(colours):
        r, g, b, _ = changed((*(int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)), 1.0))
        dark = "".join(f"{round(255 * float(channel)):02x}" for channel in (r, g, b))
        # No ancestor in the selector: marks are copies that have none.
        rules.append(f'[{key}="{colour}"]:not(.{_KEPT_COLOURS} *){{{key}:#{dark}}}')
    # What has no colour of its own is black.
    r, g, b, _ = changed((0.0, 0.0, 0.0, 1.0))
    black = "".join(f"{round(255 * float(channel)):02x}" for channel in (r, g, b))
    rules.append(f"svg text:not([fill]):not(.{_KEPT_COLOURS} *){{fill:#{black}}}")
    return "\n".join(rules)


def _share_attributes(group: ElementTree.Element) -> None:
    """Move to a group what all its marks have in common, such as the colour of points."""
    marks = list(group)
    if len(marks) < 2 or any(mark.tag != "use" for mark in marks):
        return
    for key, value in list(marks[0].attrib.items()):
        inherited = key.startswith(("fill", "stroke"))
        if inherited and all(mark.get(key) == value for mark in marks):
            group.set(key, value)
            for mark in marks:
                del mark.attrib[key]


def _local(name: str) -> str:
    return name.rpartition("}")[2]


def _font(value: str) -> dict[str, str]:
    """Return size and weight of CSS such as "bold 10px 'DejaVu Sans'"; the page has the family."""
    size = re.search(r"([\d.]+)px", value)
    found = {} if size is None else {"font-size": f"{float(size[1]):g}"}
    return found | ({"font-weight": "bold"} if re.search(r"\b(bold|[6-9]00)\b", value) else {})
