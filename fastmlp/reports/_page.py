"""The page of a report: one HTML file that requests nothing."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from .. import plots
from .._utils.optional import require
from . import _sentences, _tables
from ._drawings import CAPTIONS, PageFigure
from ._numbers import (
    ReportNumbers,
    TargetNumbers,
)
from ._slices import shown_number

_FOLDER = Path(__file__).parent
_MOST_COLUMNS = 60  # in the table of columns


def page(numbers: ReportNumbers, drawings: Sequence[PageFigure]) -> str:
    """Return a report as HTML.

    Every text of the model and its table is escaped. Style and script are allowed by their
    hashes, and nothing else is: neither requests nor scripts of others.

    Parameters
    ----------
    numbers : ReportNumbers
    drawings : sequence of PageFigure

    Returns
    -------
    str

    Raises
    ------
    DataError
        If Jinja2 is not installed.
    """
    environment = templates()
    environment.filters["number"] = shown_number
    written = require("markupsafe", "report", "A report").Markup  # ours, or escaped already
    dark = plots.dark_rules(drawing.svg for drawing in drawings)
    style = f"{(_FOLDER / 'page.css').read_text('utf-8')}{dark}\n}}\n"
    script = (_FOLDER / "page.js").read_text("utf-8")
    policy = (
        f"default-src 'none'; img-src data:; style-src '{_hash(style)}'; "
        f"script-src '{_hash(script)}'; base-uri 'none'; form-action 'none'"
    )
    n = numbers
    shown = n.columns[:_MOST_COLUMNS]
    if n.rows:
        order = sorted(n.columns, key=lambda c: -c.importance)
        shown = order[:_MOST_COLUMNS]
    drift = any(column.drift for column in n.columns)
    text: str = environment.get_template("page.html").render(
        n=n, policy=policy, style=written(style), script=written(script),
        json=written(_json(n)), captions=CAPTIONS, sections=_sections(n),
        drawings=[replace(drawing, svg=written(drawing.svg)) for drawing in drawings],
        findings=_sentences.findings(n), card=_tables.card(n),
        targets=[_target(n, t) for t in n.targets], history=_tables.history(n),
        path=_tables.path(n.path) | {"text": _sentences.lambda_text(n.path)} if n.path else None,
        columns=[_tables.column(column, bool(n.rows), drift) for column in shown], drift=drift,
        linear=_tables.linear(n),
        more_columns=len(n.columns) - len(shown),
    )  # fmt: skip
    return text


def _target(n: ReportNumbers, t: TargetNumbers) -> dict[str, Any]:
    """Return what the page shows of a target."""
    return {
        "name": t.name, "t": t, "finding": _sentences.quality(n, t),
        "coverage": _sentences.coverage(t), "threshold": _sentences.threshold(t),
        "errors": _sentences.errors(t),
        "metrics": [_tables.metric(m, n, _tables.simple(n, t)) for m in t.metrics],
        "simple": _tables.simple(n, t),
        "confusion": t.threshold.confusion if t.threshold else None,
        "classes_table": [_tables.per_class(row) for row in t.classes_table],
        "slices": [
            (s.column, s.label, f"{s.rows:,}", shown_number(s.loss), shown_number(s.others),
             f"{s.loss / s.others:.1f}" if s.others > 0 else "")
            for s in t.slices
        ],
    }  # fmt: skip


def templates() -> Any:
    """Return Jinja2's environment, which escapes every text; raise DataError without Jinja2."""
    jinja2 = require("jinja2", "report", "A report")
    return jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True,
        loader=jinja2.FileSystemLoader(_FOLDER, encoding="utf-8"),
    )  # fmt: skip


def _hash(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return f"sha256-{base64.b64encode(digest).decode('ascii')}"


def _json(n: ReportNumbers) -> str:
    """Return all numbers as JSON in which nothing can end the element or open another."""
    text = json.dumps(n.to_dict(), allow_nan=False, ensure_ascii=True, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _sections(n: ReportNumbers) -> list[tuple[str, str]]:
    there = [
        ("card", "Card", True),
        ("quality", "How good it is", any(t.metrics for t in n.targets)),
        ("training", "Training", bool(n.epochs)), ("lambda", "Lambda", n.path is not None),
        ("uses", "What it uses", bool(n.rows)), ("inside", "Inside", bool(n.layers)),
        ("members", "Members", bool(n.members)),
        ("data", "Data", True), ("errors", "Errors", bool(n.rows)),
        ("reproduce", "Reproduce", True),
    ]  # fmt: skip
    return [(key, title) for key, title, shown in there if shown]
