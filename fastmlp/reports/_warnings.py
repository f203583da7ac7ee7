"""What a reader of a report should know first."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ._numbers import ColumnNumbers, LayerNumbers

_ONE_COLUMN = 0.95  # of all importance
_NAMED = 5  # columns in a warning


def seen_rows(seen: int, exact: bool, total: int, judged: int) -> list[str]:
    """Warn of rows that the model was trained on.

    Parameters
    ----------
    seen, total, judged : int
        Rows of the table that were trained on, all rows, and those that are judged.
    exact : bool
        Whether `seen` is exact.
    """
    if not seen:
        return []
    about = "" if exact else "about "
    if judged < total:
        return [
            f"The model was trained on {about}{seen:,} of the table's {total:,} rows; the figures "
            f"are those of the {judged:,} rows that were held out."
        ]
    return [
        f"The model was trained on {about}{seen:,} of these {total:,} rows: the figures are too "
        "good for new rows."
    ]


def one_column(columns: Sequence[ColumnNumbers]) -> list[str]:
    """Warn if one column has nearly all importance, which often means that it tells the target."""
    values = np.array([max(column.importance, 0.0) for column in columns])
    if len(values) < 2 or not np.isfinite(values).all() or not values.sum() > 0:
        return []
    share = values.max() / values.sum()
    if share < _ONE_COLUMN:
        return []
    name = columns[int(values.argmax())].name
    return [
        f"One column, '{name}', has {share:.0%} of the importance. Check that it is known when a "
        "prediction is made."
    ]


def drifted(columns: Sequence[ColumnNumbers]) -> list[str]:
    """Warn of columns whose distribution differs from that of the training."""
    found = sorted((c for c in columns if c.drift == "large"), key=lambda c: -c.psi)
    result = []
    if found:
        names = _names([column.name for column in found])
        one = len(found) == 1
        result.append(
            f"The values of {'column' if one else f'{len(found)} columns'} {names} differ much "
            "from those of the training (PSI above 0.25)."
        )
    unknown = [c for c in columns if c.unknown > 0]
    if unknown:
        shown = _names([c.name for c in unknown])
        result.append(f"Categories that training did not see occur in {shown}.")
    return result


def dead_layers(layers: Sequence[LayerNumbers]) -> list[str]:
    """Warn of layers whose units are zero for every row."""
    dead = [layer.name for layer in layers[:-1] if layer.dead == 1]
    return [f"All units of layer {name} are zero for every row." for name in dead]


def too_few(rows: int) -> list[str]:
    """Warn of few rows."""
    if 0 < rows < 100:
        return [f"There are only {rows} rows: the figures are rough."]
    return []


def _names(names: Sequence[str]) -> str:
    shown = ", ".join(f"'{name}'" for name in names[:_NAMED])
    return shown if len(names) <= _NAMED else f"{shown} and {len(names) - _NAMED} more"
