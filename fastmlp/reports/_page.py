"""The page of a report: one HTML file that requests nothing."""

from __future__ import annotations

import base64
import hashlib
import json
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from .. import plots
from .._utils.optional import require
from ..tabular import rounded, shown_units
from ._drawings import CAPTIONS, PageFigure
from ._numbers import ColumnNumbers, MetricNumbers, ReportNumbers

_FOLDER = Path(__file__).parent
_MOST_COLUMNS = 60  # in the table of columns
_KINDS = {"numeric": "numbers", "boolean": "true or false", "date": "dates",
          "categorical": "categories"}  # fmt: skip


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
    written = require("markupsafe", "report", "A report").Markup  # ours, or escaped already
    dark = plots.dark_rules(drawing.svg for drawing in drawings)
    style = f"{(_FOLDER / 'page.css').read_text('utf-8')}{dark}\n}}\n"
    script = (_FOLDER / "page.js").read_text("utf-8")
    policy = (
        f"default-src 'none'; img-src data:; style-src '{_hash(style)}'; "
        f"script-src '{_hash(script)}'; base-uri 'none'; form-action 'none'"
    )
    n, held = numbers, numbers.held_out
    shown = n.columns[:_MOST_COLUMNS]
    if n.rows:
        order = sorted(n.columns, key=lambda c: -c.importance)
        shown = order[:_MOST_COLUMNS]
    text: str = environment.get_template("page.html").render(
        n=n, policy=policy, style=written(style), script=written(script),
        json=written(_json(n)), captions=CAPTIONS, sections=_sections(n),
        drawings=[replace(drawing, svg=written(drawing.svg)) for drawing in drawings],
        findings=_findings(n), card=_card(n),
        metrics=[_metric(metric, bool(n.rows), bool(held)) for metric in n.metrics],
        confusion=n.threshold.confusion if n.threshold else None,
        classes_table=[_class(row) for row in n.classes_table], history=_history(n),
        columns=[_column(column, bool(n.rows)) for column in shown],
        more_columns=len(n.columns) - len(shown),
        slices=[
            (s.column, s.label, f"{s.rows:,}", f"{s.loss:.3g}", f"{s.others:.3g}",
             f"{s.loss / s.others:.1f}" if s.others > 0 else "")
            for s in n.slices
        ],
    )  # fmt: skip
    return text


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
        ("card", "Card", True), ("quality", "How good it is", bool(n.metrics)),
        ("training", "Training", bool(n.epochs)), ("uses", "What it uses", bool(n.rows)),
        ("inside", "Inside", bool(n.layers)), ("members", "Members", bool(n.members)),
        ("data", "Data", True), ("errors", "Errors", bool(n.rows)),
        ("reproduce", "Reproduce", True),
    ]  # fmt: skip
    return [(key, title) for key, title, shown in there if shown]


# ---- tables ------------------------------------------------------------------------------------


def _card(n: ReportNumbers) -> list[tuple[str, str]]:
    d = n.decisions
    penalty = f"{d['group_l1']:g}, a group for each encoded input" if d["group_l1"] else ""
    judged = ""
    if n.rows:
        judged = f"{n.rows:,}, {n.part}"
    rows = [
        ("Task", f"{n.task} of {n.target}"),
        ("Classes", ", ".join(n.classes[:12]) + (" and more" if len(n.classes) > 12 else "")),
        ("Trained on", n.source),
        ("Rows in training, with those held out", _count(n.trained_rows)),
        ("Rows in this report", judged),
        ("Of the table's rows seen in training", _count(n.seen) if n.rows else ""),
        ("Columns", f"{len(n.columns):,}"),
        ("Network", n.shape),
        ("Hidden layers", f"{shown_units(tuple(d['units']))} {d['activation']}"),
        ("Weights and biases", _count(n.parameters)),
        ("Group penalty on inputs", penalty),
        ("Weight decay", f"{d['weight_decay']:g} times the rate" if d["weight_decay"] else ""),
        ("Dropout", f"{d['dropout']:g}" if d["dropout"] else ""),
        ("Loss", d["loss"]),
        ("Optimizer", f"{d['optimizer']} {d['learning_rate']:g}, {d['schedule']}"),
        ("Seed", "" if n.seed is None else str(n.seed)),
        ("Digest of the training rows", n.digest),
    ]
    return [(name, value) for name, value in rows if value]


def _count(value: int | None) -> str:
    return "" if value is None else f"{value:,}"


def _metric(metric: MetricNumbers, rows: bool, held: bool) -> tuple[str, ...]:
    cells = [metric.label]
    if rows:
        # A normal figure lies within 1.96 standard errors in 95 of 100 cases.
        error = (metric.high - metric.low) / 3.92
        between = ""
        if math.isfinite(error) and error:
            between = f"{rounded(metric.low, error)} to {rounded(metric.high, error)}"
        cells += [rounded(metric.value, error), between]
    if held:
        three = (metric.network, metric.constant, metric.linear)
        cells += [rounded(value, metric.error) for value in three]
    return tuple(cells)


def _class(row: dict[str, Any]) -> tuple[str, ...]:
    shares = (f"{row[name]:.3f}" for name in ("precision", "recall", "f1", "auc"))
    return (str(row["class"]), f"{row['rows']:,}", *(s if s != "nan" else "" for s in shares))


def _history(n: ReportNumbers) -> list[tuple[str, ...]]:
    rows = []
    for name, values in n.history.items():
        own = [v for v in values if math.isfinite(v)]
        if own:
            larger = any(word in name for word in ("acc", "auc", "r2", "precision", "recall", "f1"))
            best = max(own) if larger else min(own)
            label = name.replace("val_", "held out: ", 1).replace("_", " ")
            rows.append((label, *(f"{v:.4g}" for v in (values[0], best, values[-1]))))
    return rows


def _column(column: ColumnNumbers, rows: bool) -> tuple[str, ...]:
    first = (column.name, _KINDS.get(column.kind, column.kind))
    if not rows:
        return first
    return (
        *first,
        f"{column.importance:.3g} ± {column.deviation:.1g}",
        _share(column.missing), _share(column.trained_missing),
        _share(column.unknown) if column.kind == "categorical" else "",
        "" if math.isnan(column.psi) else f"{column.psi:.3f}",
        "" if math.isnan(column.ks) else f"{column.ks:.3f}",
        column.drift,
    )  # fmt: skip


def _share(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.1%}"


# ---- one sentence for each section -------------------------------------------------------------


def _findings(n: ReportNumbers) -> dict[str, str]:
    found = {
        "card": _lead(n), "quality": _quality(n), "coverage": _coverage(n),
        "threshold": _threshold(n), "training": _training(n), "uses": _uses(n),
        "inside": _inside(n), "members": _members(n), "data": _data(n), "errors": _errors(n),
    }  # fmt: skip
    return found


def _main(n: ReportNumbers) -> MetricNumbers | None:
    wanted = ("pinball_loss", "auc", "accuracy", "r2")
    return next((m for name in wanted for m in n.metrics if m.name == name), None)


def _lead(n: ReportNumbers) -> str:
    what = "network" if not n.members else f"mean of {len(n.members)} networks"
    text = f"A {what} for {n.task}, trained on {n.source}" if n.source else f"A {what}"
    main = _main(n)
    if main is None:
        return f"{text}."
    if n.rows:
        error = (main.high - main.low) / 3.92
        which = n.part if n.part != "all rows" else "rows"
        return f"{text}. {main.label} {rounded(main.value, error)} on {n.rows:,} {which}."
    return f"{text}. {main.label} {rounded(main.network, main.error)} on {n.held_out}."


def _quality(n: ReportNumbers) -> str:
    name = "rmse" if n.task == "regression" else "log_loss"
    if any(m.name == "pinball_loss" for m in n.metrics):
        name = "pinball_loss"
    metric = next((m for m in n.metrics if m.name == name), None)
    if metric is None:
        return ""
    if not n.held_out:
        return "No rows were held out in training: the network was compared with no simple model."
    simple = metric.linear if math.isfinite(metric.linear) else metric.constant
    what = "linear" if n.task == "regression" else "logistic"
    what = f"a {what} model" if math.isfinite(metric.linear) else "a constant"
    if not simple > 0 or not math.isfinite(metric.network):
        return ""
    change = 1 - metric.network / simple
    word = "below" if change >= 0 else "above"
    return (
        f"Its {metric.label} on {n.held_out} is {abs(change):.0%} {word} that of {what} "
        f"({rounded(metric.network, metric.error)} against {rounded(simple, metric.error)})."
    )


def _coverage(n: ReportNumbers) -> str:
    c = n.coverage
    if not c:
        return ""
    what = "sets" if "classes" in c else "intervals"
    size = f"{c['classes']:.2f} classes" if "classes" in c else f"a width of {c['width']:.4g}"
    return (
        f"The model's {what} of level {c['level']:.0%} hold the truth for {c['coverage']:.1%} of "
        f"the rows, with {size} on average."
    )


def _threshold(n: ReportNumbers) -> str:
    t = n.threshold
    if t is None:
        return ""
    (tn, fp), (_, tp) = t.confusion
    total = t.positives + t.negatives

    def share(a: int, b: int) -> str:
        return f"{a / b:.1%}" if b else "none"

    return (
        f"At {t.thresholds[t.chosen]:.3f}: accuracy {share(tp + tn, total)}, precision "
        f"{share(tp, tp + fp)}, recall {share(tp, t.positives)}; cost {t.cost:,.6g}, "
        f"{t.cost / total:.4g} a row."
    )


def _training(n: ReportNumbers) -> str:
    epochs = f"{n.epochs:,} epoch{'s' if n.epochs != 1 else ''}"
    if n.members:
        return f"Mean curves of {len(n.members)} networks over {epochs}."
    if n.best_epoch is None:
        return f"{epochs}."
    if n.best_epoch >= n.epochs:
        return f"{epochs}; the last one is kept."
    text = f"{epochs}; the weights of epoch {n.best_epoch}, the best on held-out rows, are kept."
    if n.decisions["group_l1"]:
        text += " Losses in the figure include the penalty; the choice is made without it."
    return text


def _uses(n: ReportNumbers) -> str:
    values = sorted(n.columns, key=lambda c: -c.importance)
    total = sum(max(c.importance, 0.0) for c in values)
    if not total > 0:
        return f"Shuffling any column makes {n.importance_metric} no worse."
    few, share = [], 0.0
    for column in values:
        few.append(column.name)
        share += max(column.importance, 0.0) / total
        if share >= 0.8 or len(few) == 3:
            break
    names = few[0] if len(few) == 1 else f"{', '.join(few[:-1])} and {few[-1]}"
    of = f"of {len(values)} columns" if len(values) > 1 else ""
    verb = "has" if len(few) == 1 else "have"
    return f"{names} {verb} {share:.0%} of the importance {of}".rstrip() + "."


def _inside(n: ReportNumbers) -> str:
    weights, zeros = sum(x.weights for x in n.layers), sum(x.zeros for x in n.layers)
    text = f"{zeros:,} of {weights:,} weights are exactly zero." if weights else ""
    return f"{n.verdict} {text}".strip()


def _members(n: ReportNumbers) -> str:
    losses = [m.loss for m in n.members if math.isfinite(m.loss)]
    if not losses:
        return f"The model is the mean of {len(n.members)} networks." if n.members else ""
    mean = sum(losses) / len(losses)
    name = {"log loss": "log_loss", "pinball loss": "pinball_loss"}.get(n.loss_name, "rmse")
    own = next((m.value for m in n.metrics if m.name == name), math.nan)
    own = own**2 if name == "rmse" else own
    return (
        f"The mean of the networks has a {n.loss_name} of {own:.4g}; single ones have "
        f"{min(losses):.4g} to {max(losses):.4g}, {mean:.4g} on average."
    )


def _data(n: ReportNumbers) -> str:
    count = f"{len(n.columns):,} column{'s' if len(n.columns) != 1 else ''}"
    if not n.rows:
        return f"{count}."
    if not any(c.drift for c in n.columns):
        return f"{count}; the model does not keep how its training's values are distributed."
    large = [c.name for c in n.columns if c.drift == "large"]
    some = [c.name for c in n.columns if c.drift == "some"]
    if not large and not some:
        return f"{count}; none differs from the training by more than chance or PSI 0.1."
    much = (
        f"{len(large)} differ{'s' if len(large) == 1 else ''} much"
        if large
        else "none differs much"
    )
    return f"{count}: {much} from the training, {len(some)} somewhat."


def _errors(n: ReportNumbers) -> str:
    if not n.slices:
        return f"No range or category of a column has a clearly larger {n.loss_name}."
    s = n.slices[0]
    times = f"{s.loss / s.others:.1f} times as large as elsewhere" if s.others > 0 else "larger"
    return f"The {n.loss_name} is {times} where {s.column} is {s.label} ({s.rows:,} rows)."
