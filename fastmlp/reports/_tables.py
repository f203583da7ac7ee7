"""What the tables and drawings of a page show, as text."""

from __future__ import annotations

import math
from typing import Any

from ..tabular import rounded
from ._numbers import (
    ColumnNumbers,
    LambdaNumbers,
    MetricNumbers,
    ReportNumbers,
    TargetNumbers,
)

_LOG_SPAN = 5.0  # a path's errors that span a larger factor have a logarithmic axis
_KINDS = {"numeric": "numbers", "boolean": "true or false", "date": "dates",
          "categorical": "categories"}  # fmt: skip


def card(n: ReportNumbers) -> list[tuple[str, str]]:
    """Return the entries of the card: name and value."""
    d, settings = n.decisions, n.settings
    decay = d.get("weight_decay", 0)
    rows = [
        ("Task", f"{n.task} of {n.target}"),
        ("Classes", ", ".join(n.classes[:12]) + (" and more" if len(n.classes) > 12 else "")),
        ("Trained on", source(n)),
        ("Rows in training, with those held out", _count(n.trained_rows)),
        ("Rows in this report", f"{n.rows:,}, {n.part}" if n.rows else ""),
        ("Of the table's rows seen in training", _seen(n)),
        ("Columns", f"{len(n.columns):,}"),
        ("Network", n.shape),
        ("Hidden layers", settings.get("Hidden layers", "")),
        ("Weights and biases", _count(n.parameters)),
        ("Lambdas", settings.get("Lambdas", "")),
        ("Weight decay", f"{decay:g} times the rate" if decay else ""),
        ("Dropout", settings.get("Dropout", "")),
        ("Loss", d.get("loss", "") or settings.get("Loss", "")),
        ("Optimizer", settings.get("Optimizer", "")),
        ("Epochs", _count(n.epochs) if n.epochs else ""),
        ("Seed", "" if n.seed is None else str(n.seed)),
        ("Digest of the training rows", n.digest),
        ("Command", n.command),
    ]
    return [(name, value) for name, value in rows if value]


def _count(value: int | None) -> str:
    return "" if value is None else f"{value:,}"


def source(n: ReportNumbers) -> str:
    """Return the table of the training in words."""
    if n.source.startswith("lecture:"):
        return f"the lecture's {n.source.removeprefix('lecture:')} data"
    return n.source


def _seen(n: ReportNumbers) -> str:
    if not n.rows:
        return ""
    return _count(n.seen) if n.digest else "not known"


def simple(n: ReportNumbers, t: TargetNumbers) -> list[str]:
    """Return which simple models a target's figures are compared with."""
    names = {"constant": "constant", "linear": linear(n)}
    return [
        name for key, name in names.items()
        if any(math.isfinite(getattr(m, key)) for m in t.metrics)
    ]  # fmt: skip


def linear(n: ReportNumbers) -> str:
    """Return what the linear model of a task is called."""
    return "logistic" if n.task == "classification" else "linear"


def metric(of: MetricNumbers, n: ReportNumbers, simple: list[str]) -> tuple[str, ...]:
    """Return a row of the table of figures; `simple` names the models beside the network."""
    cells = [of.label]
    if n.rows:
        # A normal figure lies within 1.96 standard errors in 95 of 100 cases.
        error = (of.high - of.low) / 3.92
        between = ""
        if math.isfinite(error) and error:
            between = f"{rounded(of.low, error)} to {rounded(of.high, error)}"
        cells += [rounded(of.value, error), between]
    shown = [of.network] if n.held_out else []
    shown += [of.constant] if "constant" in simple else []
    shown += [of.linear] if linear(n) in simple else []
    cells += [rounded(value, of.error) for value in shown]
    return tuple(cells)


def per_class(row: dict[str, Any]) -> tuple[str, ...]:
    """Return a row of the table of classes."""
    shares = (f"{row[name]:.3f}" for name in ("precision", "recall", "f1", "auc"))
    return (str(row["class"]), f"{row['rows']:,}", *(s if s != "nan" else "" for s in shares))


def history(n: ReportNumbers) -> list[tuple[str, ...]]:
    """Return the first, best and last value of losses and metrics."""
    rows = []
    for name, values in n.history.items():
        own = [v for v in values if math.isfinite(v)]
        if own:
            larger = any(word in name for word in ("acc", "auc", "r2", "precision", "recall", "f1"))
            best = max(own) if larger else min(own)
            label = name.replace("val_", "validation: ", 1).replace("_", " ")
            rows.append((label, *(f"{v:.4g}" for v in (values[0], best, values[-1]))))
    return rows


def column(of: ColumnNumbers, rows: bool, drift: bool) -> tuple[str, ...]:
    """Return a row of the table of columns: with a table of rows, and with known drift."""
    first: tuple[str, ...] = (of.name, _KINDS.get(of.kind, of.kind))
    if not rows:
        return first
    first = (*first, f"{of.importance:.3g} ± {of.deviation:.1g}")
    if not drift:
        return first
    return (
        *first,
        _share(of.missing), _share(of.trained_missing),
        _share(of.unknown) if of.kind == "categorical" else "",
        "" if math.isnan(of.psi) else f"{of.psi:.3f}",
        "" if math.isnan(of.ks) else f"{of.ks:.3f}",
        of.drift,
    )  # fmt: skip


def _share(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.1%}"


def between(p: LambdaNumbers, i: int) -> str:
    """Return a cross-validated error with its standard error."""
    mean, error = p.cv_mean[i], p.cv_se[i]
    if not error > 0:
        return f"{mean:.4g}"
    places = max(0, 1 - math.floor(math.log10(error)))
    return f"{mean:,.{places}f} ± {error:,.{places}f}"


def path(p: LambdaNumbers) -> dict[str, Any]:
    """Return the drawing of the path: points of its curves in a plane of 600 by 200."""
    n = len(p.lambdas)
    upper = [m + e for m, e in zip(p.cv_mean, p.cv_se, strict=True)]
    lower = [m - e for m, e in zip(p.cv_mean, p.cv_se, strict=True)]
    low, high = min(p.cv_mean + p.train), max(upper)
    log = low > 0 and high > _LOG_SPAN * low
    bottom, top = (math.log(low), math.log(high)) if log else (low, high)

    def points(values: list[float]) -> str:
        place = (600 * i / max(n - 1, 1) for i in range(n))
        own = (math.log(max(v, low)) for v in values) if log else values
        height = (195 - 190 * (v - bottom) / ((top - bottom) or 1) for v in own)
        both = zip(place, height, strict=True)
        return " ".join(f"{x:.1f},{min(max(y, 0), 200):.1f}" for x, y in both)

    band = points(upper).split() + points(lower).split()[::-1]
    rows = []
    for name, i in (("min", p.index_min), ("1se", p.index_1se), ("this model", p.index)):
        rows.append((
            name, f"{p.lambdas[i]:.3g}", between(p, i), rounded(p.train[i], p.cv_se[i]),
            f"{p.n_nonzero[i]:,}", f"{p.n_live[i]:,}", f"{p.n_inputs[i]:,}",
        ))  # fmt: skip
    return {"p": p, "mean": points(p.cv_mean), "train": points(p.train), "band": " ".join(band),
            "rows": rows, "low": f"{low:.4g}", "high": f"{high:.4g}", "log": log,
            "x": f"{600 * p.index / max(n - 1, 1):.1f}",
            "largest": max((max(row, default=0) for row in p.norms), default=0) or 1.0,
            "norms": p.norms[p.index]}  # fmt: skip
