"""Parts of a table where a model fails, and its worst rows."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator

import numpy as np

from .._utils import arrays
from ..datasets import Table
from ..tabular import TableFigures
from ._numbers import SliceNumbers, WorstRow

_FEWEST = 20  # rows of a slice
_SHARE = 0.02  # of all rows, at least, in a slice
_PARTS = 4  # of a column of numbers
_CATEGORIES = 20  # of a column, the most frequent ones
_CLEAR = 2.0  # standard errors from which a slice is shown
_MOST_SLICES, _MOST_WORST, _MOST_COLUMNS = 10, 10, 6
_DIGITS = 8  # letters of a number from which it is rounded
_LONGEST = 40  # letters of a cell


def slices(found: TableFigures, losses: np.ndarray) -> list[SliceNumbers]:
    """Return the slices whose mean loss is clearly above that of the other rows.

    Parameters
    ----------
    found : TableFigures
    losses : ndarray of shape (n,)
        The loss of each row.

    Returns
    -------
    list of SliceNumbers
        At most 10, those first that add most to the loss.
    """
    n = len(losses)
    fewest = max(_FEWEST, int(np.ceil(_SHARE * n)))
    result = []
    for i, feature in enumerate(found.features):
        for label, rows in _parts(found.values_of(i)):
            size = int(rows.sum())
            if size < fewest or n - size < fewest:
                continue
            own, others = losses[rows], losses[~rows]
            spread = np.sqrt(own.var(ddof=1) / size + others.var(ddof=1) / (n - size))
            more = float(own.mean() - others.mean())
            if spread > 0 and more > _CLEAR * spread:
                result.append(SliceNumbers(feature.name, label, size, float(own.mean()),
                                           float(others.mean()), more / float(spread)))  # fmt: skip
    result.sort(key=lambda s: (-s.rows * (s.loss - s.others), s.column, s.label))
    return result[:_MOST_SLICES]


def _parts(values: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    """Yield a column's slices: categories, or ranges of about equally many rows."""
    if values.dtype == object:
        names, counts = np.unique(values.astype(str), return_counts=True)
        for place in np.argsort(-counts, kind="stable")[:_CATEGORIES]:
            yield str(names[place]), values.astype(str) == names[place]
        return
    known = np.isfinite(values)
    if not known.all():
        yield "missing", ~known
    own = np.unique(values[known])
    if len(own) <= _PARTS:
        for value in own:
            yield f"{value:.6g}", values == value
        return
    # Scaling and back leaves 1e-9 of a 0.
    least = 1e-6 * float(np.abs(own).max())
    bounds = [-np.inf, *arrays.group_edges(values[known], _PARTS), np.inf]
    for low, high in itertools.pairwise(bounds):
        first, last = (shown_number(0.0 if abs(v) < least else v) for v in (low, high))
        if low == -np.inf:
            label = f"up to {last}"
        else:
            label = f"above {first}" if high == np.inf else f"{first} to {last}"
        yield label, (values > low) & (values <= high)


def shown_number(value: float) -> str:
    """Return a number with four digits, without an exponent where it is of usual size.

    Parameters
    ----------
    value : float
    """
    return f"{value:,.0f}" if 1e4 <= abs(value) < 1e9 else f"{value:.4g}"


def worst_rows(
    found: TableFigures, table: Table, losses: np.ndarray, order: list[int]
) -> tuple[list[str], list[WorstRow]]:
    """Return the rows with the largest losses.

    Parameters
    ----------
    found : TableFigures
    table : Table
    losses : ndarray of shape (n,)
    order : list of int
        The features, the most important first.

    Returns
    -------
    columns : list of str
        Names of the columns shown.
    rows : list of WorstRow
    """
    columns = [found.features[i].name for i in order[:_MOST_COLUMNS]]
    y, predicted, target = found.y, found.predicted, found.target.name
    rows = []
    for place in np.argsort(-losses, kind="stable")[:_MOST_WORST].tolist():
        row = int(found.rows[place])
        if found.is_classification:
            p = found.probabilities[place]
            shown = f"{found.labels[predicted[place]]} ({p[predicted[place]]:.1%})"
            truth = found.labels[y[place]]
        else:
            shown, truth = f"{predicted[place]:.6g}", table.held(row, target)
        cells = [_cell(table.held(row, name)) for name in columns]
        number = row + table.first_row + 1
        loss = float(losses[place])
        rows.append(WorstRow(number, _cell(truth), _cell(shown), loss, cells))
    return columns, rows


def _cell(text: str) -> str:
    """Return a cell's text; a number of many digits is rounded, and a long text is cut."""
    if "." in text and len(text) > _DIGITS:
        with contextlib.suppress(ValueError):
            return f"{float(text):.6g}"
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
