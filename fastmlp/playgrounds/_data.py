"""The rows that a session trains on: simulated ones, or those of a table."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import datasets, preprocessing
from .._utils import arguments
from ..errors import DataError
from ..inspection import features
from ..preprocessing import Preprocessing
from ..tabular import opened
from ._settings import PlaySettings

MOST_TABLE_ROWS = 50_000
_FRESH = 500  # rows that stand in for those held out
Arrays = tuple[np.ndarray, np.ndarray]


@dataclass
class PlayAxis:
    """A column that the page can draw over, or hold at a value.

    Parameters
    ----------
    name : str
    low, high : float
        Range to draw, in the column's units.
    value : float
        Where it is held: the median, or the place of the most frequent category.
    categories : tuple of str
        Empty for numbers.
    """

    name: str
    low: float
    high: float
    value: float
    categories: tuple[str, ...] = ()

    def checked(self, value: Any) -> float:
        """Return a number of this column that the page gave."""
        rule = f"a number from {self.low:g} to {self.high:g}"
        return arguments.number(self.name, value, rule, lambda v: self.low <= v <= self.high)


@dataclass
class PlayData:
    """Rows for training, rows held out, and what is known of both.

    Parameters
    ----------
    task : {'regression', 'classification'}
    x, y, x_held, y_held : ndarray
        Of shapes (n, inputs) and (n, 1), float32; no rows may be held out.
    preprocessing : Preprocessing
    axes : list of PlayAxis
        One for each column.
    truth : callable or None
        Of an array of shape (n, axes): the true value, or probability of the second class.
    note : str
        What was decided about the rows.
    """

    task: str
    x: np.ndarray
    y: np.ndarray
    x_held: np.ndarray
    y_held: np.ndarray
    preprocessing: Preprocessing
    axes: list[PlayAxis]
    truth: Callable[[np.ndarray], np.ndarray] | None = None
    note: str = ""

    @functools.cached_property
    def columns(self) -> list[Any]:
        """The features of the axes."""
        return features(self.preprocessing)

    @property
    def classes(self) -> list[str]:
        """Labels of the classes; empty for regression."""
        return [str(label) for label in self.preprocessing.target.labels]

    def axis(self, name: str) -> int:
        """Return the place of a column."""
        return [a.name for a in self.axes].index(
            arguments.one_of("input", name, [a.name for a in self.axes])
        )

    def drawn_over(self, names: Sequence[str]) -> list[int]:
        """Return the places of the one or two columns to draw over; the first ones by default."""
        if names:
            places = [self.axis(name) for name in names]
            for place in places:
                if self.axes[place].categories:
                    raise ValueError(
                        "inputs must be columns of numbers. "
                        f"Received: {self.axes[place].name!r}, which has categories"
                    )
            return list(dict.fromkeys(places))
        return [i for i, axis in enumerate(self.axes) if not axis.categories][:2]

    def inputs(self, places: Sequence[int], values: np.ndarray, held: Mapping[str, Any]) -> Any:
        """Return inputs for values of some columns, all other columns being held.

        Parameters
        ----------
        places : sequence of int
        values : ndarray of shape (n, len(places))
            In the columns' units.
        held : mapping of str to float
            Values of the others, in place of their medians.

        Returns
        -------
        float32 ndarray of shape (n, inputs)
        """
        x = np.zeros((len(values), self.preprocessing.n_inputs), np.float32)
        for i, (axis, feature) in enumerate(zip(self.axes, self.columns, strict=True)):
            if i in places:
                own = values[:, list(places).index(i)]
            else:
                given = held.get(axis.name, axis.value)
                own = np.full(len(values), np.clip(given, axis.low, axis.high))
            if axis.categories:
                x[:, feature.columns[int(own[0])]] = 1
            else:
                x[:, list(feature.columns)] = feature.inputs(own, np.float32)
        return x

    def with_points(self, points: Sequence[tuple[float, ...]]) -> PlayData:
        """Return the data with points added to the training rows; the last number is the target."""
        if not points:
            return self
        extra = np.array(points, np.float32)
        return PlayData(
            self.task, np.vstack([self.x, extra[:, :-1]]), np.vstack([self.y, extra[:, -1:]]),
            self.x_held, self.y_held, self.preprocessing, self.axes, self.truth, self.note,
        )  # fmt: skip


# ---- simulated ---------------------------------------------------------------------------------


def _circle(rng: np.random.Generator, n: int) -> Arrays:
    x = rng.uniform(-1, 1, (n, 2))
    return x, _in_circle(x)


def _in_circle(x: np.ndarray) -> np.ndarray:
    return (np.hypot(x[:, 0], x[:, 1]) < 0.65).astype(float)


def _xor(rng: np.random.Generator, n: int) -> Arrays:
    x = rng.uniform(-1, 1, (n, 2))
    return x, _same_signs(x)


def _same_signs(x: np.ndarray) -> np.ndarray:
    return (x[:, 0] * x[:, 1] > 0).astype(float)


def _moons(rng: np.random.Generator, n: int) -> Arrays:
    turn, y = rng.uniform(0, np.pi, n), np.arange(n) % 2
    x1 = np.where(y, 0.5 - np.cos(turn), np.cos(turn) - 0.5)
    x2 = np.where(y, 0.25 - np.sin(turn), np.sin(turn) - 0.25)
    return np.stack([x1, x2], 1) * 0.62, y.astype(float)


def _spiral(rng: np.random.Generator, n: int) -> Arrays:
    radius, y = np.sqrt(rng.uniform(0.01, 1, n)), np.arange(n) % 2
    turn = radius * 1.5 * 2 * np.pi + y * np.pi
    return np.stack([radius * np.sin(turn), radius * np.cos(turn)], 1), y.astype(float)


_SHAPES: dict[str, tuple[Callable[..., Arrays], Callable[[np.ndarray], np.ndarray] | None]] = {
    "circle": (_circle, _in_circle),
    "xor": (_xor, _same_signs),
    "moons": (_moons, None),
    "spiral": (_spiral, None),
}


def _true_probability(x: np.ndarray) -> np.ndarray:
    return np.asarray(1 / (1 + np.exp(5 - 7 * x[:, 0] ** 2 - 25 * x[:, 1] ** 2)))


def _drawn(settings: PlaySettings, n: int, fresh: bool) -> Arrays:
    """Draw rows of a simulated set; `fresh` ones are independent of those for training."""
    name, seed = settings.data, settings.data_seed
    if name == "curve":
        x, y = datasets.simulate(n, (6315 if fresh else 986) if seed == 0 else 2 * seed + fresh)
        true = datasets.regression_true_function(x.astype(np.float64))
        # 0.15 is the deviation with which the lecture's rows are drawn.
        noisy = y if settings.noise == 0.15 else true + (y - true) * (settings.noise / 0.15)
        return x, noisy.astype(np.float32)
    if name == "classes":
        return datasets.simulate_classification(n, 2 + fresh if seed == 0 else 2 * seed + fresh)
    rng = np.random.default_rng([seed, int(fresh)])
    x, y = _SHAPES[name][0](rng, n)
    x = np.clip(x + rng.normal(0, 0.4 * settings.noise, x.shape), -1.25, 1.25)
    return x.astype(np.float32), y.astype(np.float32).reshape(-1, 1)


def simulated(settings: PlaySettings) -> PlayData:
    """Draw the rows of one of the simulated sets."""
    x, y = _drawn(settings, settings.rows, fresh=False)
    if settings.held_out:
        classes = y[:, 0] if settings.data != "curve" else None
        train, held = preprocessing.split(len(x), settings.held_out, settings.seed, classes)
        x, y, x_held, y_held = x[train], y[train], x[held], y[held]
    else:
        x_held, y_held = _drawn(settings, _FRESH, fresh=True)
    if settings.data == "curve":
        state, reach = Preprocessing.plain(["x"], "y", "regression"), 2.0
        truth: Any = lambda v: datasets.regression_true_function(v[:, 0])  # noqa: E731
    else:
        state = Preprocessing.plain(["x1", "x2"], "y", "classification", [0, 1])
        reach = 1.0 if settings.data == "classes" else 1.25
        truth = _true_probability if settings.data == "classes" else _SHAPES[settings.data][1]
    axes = [PlayAxis(column.name, -reach, reach, 0.0) for column in state.columns]
    return PlayData(state.task, x, y, x_held, y_held, state, axes, truth)


# ---- tables ------------------------------------------------------------------------------------


class PlayTable:
    """A table that a session may train on, with any of its columns as the target.

    Parameters
    ----------
    data : path, Table, data frame, Arrow table, array or mapping
    target : str, optional
        By default the last column.
    """

    def __init__(self, data: Any, target: str | None = None) -> None:
        self.table = opened(data, {})
        # Of a table that was read before, where it came from.
        self.path = data if isinstance(data, str) else self.table.source
        self.target = self.table.names[-1] if target is None else target
        arguments.one_of("target", self.target, self.table.names)
        self._latest: tuple[Any, Any] = (None, None)

    def _encoded(self, target: str, drop: tuple[str, ...]) -> tuple[Any, ...]:
        """Return preprocessing, inputs, targets, usable rows and a note; kept for one choice."""
        if self._latest[0] != (target, drop):
            state = Preprocessing.fit(self.table, target, drop=drop)
            usable, note = preprocessing.usable_rows(self.table, target)
            x, y = state.inputs(self.table), state.targets(self.table, rows=usable)
            self._latest = (target, drop), (state, x, y, np.asarray(usable), note)
        found: tuple[Any, ...] = self._latest[1]
        return found

    def rows(self, settings: PlaySettings) -> PlayData:
        """Return the rows of the table, encoded for a network.

        Raises
        ------
        DataError
            If the target cannot be predicted, or no column has numbers.
        """
        target = settings.target or self.target
        arguments.one_of("target", target, self.table.names)
        for name in settings.drop:
            arguments.one_of("column", name, self.table.names)
        state, x, y, rows, note = self._encoded(target, settings.drop)
        notes = [note] if note else []
        if len(rows) > MOST_TABLE_ROWS:
            chosen = np.random.default_rng(settings.seed).permutation(len(rows))
            chosen = np.sort(chosen[:MOST_TABLE_ROWS])
            notes.append(f"{MOST_TABLE_ROWS:,} of {len(rows):,} rows, drawn at random, are used.")
            rows, y = rows[chosen], y[chosen]
        x = x[rows]
        axes = _axes(state, x)
        if all(axis.categories for axis in axes):
            raise DataError(
                "The playground draws over columns of numbers. "
                f"Received: {self.table.source or 'a table'}, in which all inputs are categories"
            )
        data = PlayData(state.task, x, y, x[:0], y[:0], state, axes, None, " ".join(notes))
        if settings.held_out:
            classes = y[:, 0] if state.task == "classification" else None
            train, held = preprocessing.split(len(x), settings.held_out, settings.seed, classes)
            data.x, data.y, data.x_held, data.y_held = x[train], y[train], x[held], y[held]
        return data


def _axes(state: Preprocessing, x: np.ndarray) -> list[PlayAxis]:
    axes = []
    for feature in features(state):
        own = x[:, list(feature.columns)]
        if feature.kind == "categorical":
            counts = own[:, : len(feature.categories)].sum(axis=0)
            last = len(feature.categories) - 1
            value = float(np.argmax(counts))
            axes.append(PlayAxis(feature.name, 0.0, float(last), value, feature.categories))
            continue
        numbers = np.asarray(feature.own(own[:, 0]), np.float64)
        low, high = np.quantile(numbers, [0.01, 0.99]).tolist()
        if not high > low:
            low, high = float(numbers.min()), float(numbers.max())
        if not high > low:
            low, high = low - 1, high + 1
        axes.append(PlayAxis(feature.name, low, high, float(np.median(numbers))))
    return axes


def rows_of(settings: PlaySettings, table: PlayTable | None = None) -> PlayData:
    """Return the rows that settings name.

    Parameters
    ----------
    settings : PlaySettings
    table : PlayTable or None

    Returns
    -------
    PlayData

    Raises
    ------
    ValueError
        If they name a table and there is none.
    """
    if settings.data != "table":
        return simulated(settings)
    if table is None:
        raise ValueError("data='table' needs a table: give one to the playground. Received: none")
    return table.rows(settings)
