"""What a model knows of its table, as text and as plain values: columns, preparation, figures."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from ..preprocessing import Column, Preprocessing, Target
from ._quality import HeldOut, Quality

_WIDTH = 88  # characters of a line, if no other width is given
_LISTED = 24  # names in a line
_LABEL = 12  # characters of the first column
_TRANSFORMS = {"log": "logarithm", "sqrt": "square root", "quantile": "normal score"}


class _Described(Protocol):
    """The part of a model that holds what belongs to its table."""

    name: str
    extras: dict[str, Any]


# ---- plain values ------------------------------------------------------------------------------


def table_facts(model: _Described, source: str | None = None) -> dict[str, Any] | None:
    """Return what a model knows of its table.

    Parameters
    ----------
    model : Sequential or Ensemble
    source : str, optional
        The model's file, for messages.

    Returns
    -------
    dict or None
        Plain JSON values: 'data', 'task', 'targets', 'columns', 'left_out', 'rows', 'best_epoch',
        'held_out', 'interval' and 'threshold'; None if the model was trained on arrays.

    Raises
    ------
    ModelFileError
        If a part is damaged.
    """
    state = model.extras.get("preprocessing")
    if state is None:
        return None
    found = Preprocessing.from_dict(state, source or f"model {model.name!r}")
    quality = Quality.of(model, source)
    kept = model.extras.get("table", {})
    return {
        "data": model.extras.get("data"),
        "task": found.task,
        "targets": [_target_facts(target) for target in found.all_targets],
        "inputs": found.n_inputs,
        "columns": [_column_facts(column) for column in found.columns],
        "left_out": list(found.dropped),
        "rows": kept.get("n_rows"),
        "best_epoch": kept.get("best_epoch"),
        "held_out": None if quality.held_out is None else quality.held_out.to_dict(),
        "interval": None if quality.interval is None else quality.interval.level,
        "threshold": None if quality.threshold is None else quality.threshold.to_dict(),
    }


def _target_facts(target: Target) -> dict[str, Any]:
    if target.labels:
        return {"name": target.name, "classes": list(target.labels)}
    return {
        "name": target.name,
        "mean": target.mean,
        "scale": target.scale,
        "transform": target.transform or None,
    }


def _column_facts(column: Column) -> dict[str, Any]:
    facts: dict[str, Any] = {"name": column.name, "kind": column.kind, "inputs": column.width}
    if column.kind == "categorical":
        facts |= {"categories": len(column.categories), "other": column.other}
    elif column.kind != "boolean":
        facts |= {"mean": column.mean, "scale": column.scale, "clip": column.clip or None}
    if column.date_parts:
        facts["date_parts"] = list(column.date_parts)
    return {**facts, "fill": column.fill, "indicator": column.indicator}


# ---- text --------------------------------------------------------------------------------------


def table_text(
    model: _Described, width: int | None = None, source: str | None = None
) -> str | None:
    """Return what a model knows of its table, as lines of text.

    Parameters
    ----------
    model : Sequential or Ensemble
    width : int, optional
        Of a line, in characters.
    source : str, optional
        The model's file, for messages.

    Returns
    -------
    str or None
        None if the model was trained on arrays.

    Raises
    ------
    ModelFileError
        If a part is damaged.
    """
    facts = table_facts(model, source)
    if facts is None:
        return None
    state = Preprocessing.from_dict(model.extras["preprocessing"])
    quality = Quality.of(model, source)
    size = f"{len(state.columns):,} columns, {state.n_inputs:,} inputs"
    if facts["rows"] is not None:
        size = f"{facts['rows']:,} rows, {size}"
    rows = [("Table", ": ".join(filter(None, [facts["data"], size])))]
    several = len(state.all_targets) > 1
    rows.append(("targets" if several else "target", "; ".join(map(_target, state.all_targets))))
    rows += _columns(state.columns)
    rows += _missing(state.columns)
    if state.dropped:
        rows.append(("left out", _names(state.dropped)))
    rows += _answers(quality)
    lines = [line for label, text in rows for line in _wrapped(label, text, width or _WIDTH)]
    if quality.held_out is not None:
        lines += _figures(quality.held_out, width or _WIDTH)
    return "\n".join(lines)


def _wrapped(label: str, text: str, width: int) -> list[str]:
    start = " " * (_LABEL + 2)
    first = label.ljust(_LABEL + 2) if label == "Table" else f"  {label.ljust(_LABEL)}"
    return textwrap.wrap(text, max(width, 40), initial_indent=first, subsequent_indent=start)


def _names(names: Sequence[str]) -> str:
    shown = ", ".join(names[:_LISTED])
    return shown if len(names) <= _LISTED else f"{shown} and {len(names) - _LISTED:,} more"


def _target(target: Target) -> str:
    if target.labels:
        labels = _names(list(map(str, target.labels)))
        return f"{target.name}, {len(target.labels)} classes: {labels}"
    if target.transform:
        return f"{target.name}, numbers; the network predicts the {_TRANSFORMS[target.transform]}"
    if target.is_scaled:
        return f"{target.name}, numbers of mean {target.mean:.4g} and deviation {target.scale:.4g}"
    return f"{target.name}, numbers as they are"


def _columns(columns: Sequence[Column]) -> list[tuple[str, str]]:
    kinds: dict[str, tuple[str, Callable[[Column], str]]] = {
        "numeric": ("numbers", lambda column: column.name),
        "boolean": ("true, false", lambda column: column.name),
        "date": ("dates", _date),
        "categorical": ("categories", _categories),
    }
    rows = []
    for kind, (label, shown) in kinds.items():
        own = [column for column in columns if column.kind == kind]
        if own:
            text = _names([shown(column) for column in own])
            rows.append((label, text + (f"; {_scaling(own)}" if kind == "numeric" else "")))
    return rows


def _date(column: Column) -> str:
    parts = f" (days, {', '.join(column.date_parts)})" if column.date_parts else ""
    return column.name + parts


def _categories(column: Column) -> str:
    return f"{column.name} ({len(column.categories):,}{' and other' if column.other else ''})"


def _scaling(columns: Sequence[Column]) -> str:
    if any(column.clip for column in columns):
        return "scaled by median and interquartile range, outliers drawn in"
    if any(column.mean or column.scale != 1 for column in columns):
        return "scaled to mean 0 and deviation 1"
    return "as they are"


def _missing(columns: Sequence[Column]) -> list[tuple[str, str]]:
    filled = [column for column in columns if column.fill is not None]
    if not filled:
        return [("missing", "an error")]
    shown = [f"{column.name} by {_fill(column)}" for column in filled]
    indicated = [column.name for column in filled if column.indicator]
    if len(indicated) == len(filled):
        shown[-1] += ", each with an indicator"
    elif indicated:
        shown[-1] += f"; with an indicator: {_names(indicated)}"
    return [("missing", _names(shown))]


def _fill(column: Column) -> str:
    if isinstance(column.fill, str):
        return f"'{column.fill}'" if column.fill else "no category"
    if column.kind == "boolean":
        return "true" if column.fill else "false"
    if column.kind == "date":
        return "the middle date"
    return f"{column.fill:.4g}"


def _answers(quality: Quality) -> list[tuple[str, str]]:
    found = []
    if quality.interval is not None:
        kind = "intervals" if quality.interval.task == "regression" else "sets of classes"
        found.append(f"{kind} that hold {quality.interval.level:.0%} of new rows")
    if quality.threshold is not None:
        found.append(f"threshold {quality.threshold.value:.3g} ({quality.threshold.rule})")
    return [("answers", "; ".join(found))] if found else []


def _figures(held_out: HeldOut, width: int) -> list[str]:
    linear = "linear" if held_out.task == "regression" else "logistic"
    head = ("", "network", "constant", *([linear] if held_out.linear else []))
    rows = [head, *(row[: len(head)] for row in held_out.closing_table())]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    how = f"{held_out.n_rows:,} {'' if held_out.how == 'held-out rows' else 'rows, '}{held_out.how}"
    lines = [f"  {'held out'.ljust(_LABEL)}{how}"]
    for row in rows:
        name, *cells = row
        shown = "  ".join(cell.rjust(w) for cell, w in zip(cells, widths[1:], strict=True))
        lines.append(f"{' ' * (_LABEL + 2)}{name.ljust(widths[0])}  {shown}".rstrip())
    return lines + [one for line in held_out.warnings() for one in _wrapped("", line, width)]
