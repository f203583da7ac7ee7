"""From a table to what training needs: inputs, targets, weights, held-out rows and decisions."""

from __future__ import annotations

import dataclasses
import functools
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .. import datasets, preprocessing
from .._tables.context import Context
from .._tables.table import Table
from .._utils import arguments
from ..datasets import ReadingOptions, as_table
from ..errors import DataError
from ..layers import PiecewiseLinear
from ..preprocessing import Preprocessing, choose_task, column_names
from ._class_weights import class_weights
from ._decisions import Decisions, decide, seconds
from ._held_out import HeldOutRows, column_codes, column_numbers, held_out
from ._profile import profiles

READING = (
    "delimiter", "decimal", "thousands", "encoding", "comment", "header", "missing", "dates",
    "sheet",
)  # fmt: skip
PREPARATION = (
    "categorical", "drop", "keep", "standardize", "impute", "indicator", "max_categories",
    "unknown", "date_parts", "target_transform",
)  # fmt: skip
DECIDED = (
    "units", "activation", "dropout", "optimizer", "learning_rate", "schedule", "batch_size",
    "epochs", "patience", "clip", "bins", "loss", "validation_split", "effort",
)  # fmt: skip
PENALTIES = ("l1", "l2", "group_l1", "groups", "proximal")
_IMBALANCE = 0.1  # share of the rarest class below which a note says so
_FEW_NUMBERS = 10  # distinct whole numbers that may be meant as classes

Arrays = tuple[np.ndarray, np.ndarray, "np.ndarray | None"]


@dataclass
class Prepared:
    """A table as arrays, and every decision about its network.

    Parameters
    ----------
    source : str
        The table's name, such as the file's.
    preprocessing : Preprocessing
    x : ndarray of shape (n, n_inputs)
    y : ndarray of shape (n, k)
    weight : ndarray of shape (n,) or None
        Of the column ``weight``.
    rows : ndarray of int
        The table's rows that x and y hold: those with a target.
    held_out : HeldOutRows
        Positions in x and y.
    validation : tuple (x, y, weight) or None
        Rows of another table, held out in their stead.
    decisions : Decisions
    penalties : dict
        Arguments of `models.mlp`.
    class_weight : dict of int to float, or None
        By class index.
    metrics : list of str
    max_time : float or None
        Seconds of training.
    seed : int
    notes : list of str
        What was found and decided, a line each.
    reading : dict
        Of the file, as the model keeps it.
    n_rows : int or None
        Rows to train on, if they are not all in x.
    twice : bool
        Whether the last epochs may be run a second time, see `repeated`.
    """

    source: str
    preprocessing: Preprocessing
    x: np.ndarray
    y: np.ndarray
    weight: np.ndarray | None
    rows: np.ndarray
    held_out: HeldOutRows
    validation: Arrays | None
    decisions: Decisions
    penalties: dict[str, Any] = field(default_factory=dict)
    class_weight: dict[int, float] | None = None
    metrics: list[Any] = field(default_factory=list)
    max_time: float | None = None
    seed: int = 0
    notes: list[str] = field(default_factory=list)
    reading: dict[str, Any] = field(default_factory=dict)
    n_rows: int | None = None
    twice: bool = True

    @functools.cached_property
    def edges(self) -> Any:
        """Edges of the bins, as `layers.PiecewiseLinear` has them: of every fold and member."""
        layer = PiecewiseLinear(self.decisions.bins)
        layer.adapt(self.train[0])
        return layer.edges

    @functools.cached_property
    def profile(self) -> list[dict[str, Any]]:
        """The distribution of each column, as the model keeps it."""
        return profiles(self.preprocessing, self.x)

    @property
    def own_penalty(self) -> bool:
        """Whether `penalties` replace the one of the decisions."""
        return any(name in self.penalties for name in PENALTIES[:3])

    @property
    def repeated(self) -> int:
        """Epochs that are run a second time, without the penalty decided; see `_endings`."""
        judged = self.validation is not None or len(self.held_out.pairs) == 1
        judged = judged or self.decisions.effort == "high"
        none = self.own_penalty or not self.twice or not judged
        return 0 if none else self.decisions.repeated

    @property
    def n_epochs(self) -> int:
        """The most epochs of a training, those that are run a second time counted twice."""
        return self.decisions.epochs + self.repeated

    def sentence(self) -> str:
        """Say the main decisions in one line."""
        return self.decisions.sentence(self.repeated)

    @property
    def task(self) -> str:
        """'regression' or 'classification'."""
        return self.preprocessing.task

    @property
    def targets(self) -> list[str]:
        """Names of the target columns."""
        state = self.preprocessing
        return [state.target.name, *(target.name for target in state.further)]

    def taken(self, rows: np.ndarray | None = None) -> Arrays:
        """Return inputs, targets and weights of these positions; of all by default."""
        if rows is None:
            return self.x, self.y, self.weight
        return self.x[rows], self.y[rows], None if self.weight is None else self.weight[rows]

    @property
    def train(self) -> Arrays:
        """The rows to train on: all but a held-out part; all if there are folds."""
        single = len(self.held_out.pairs) == 1
        return self.taken(self.held_out.pairs[0][0] if single else None)

    @property
    def held(self) -> Arrays | None:
        """The held-out part or the rows of the other table; None if there are folds or none."""
        if self.validation is not None:
            return self.validation
        single = len(self.held_out.pairs) == 1
        return self.taken(self.held_out.pairs[0][1]) if single else None


def prepared(data: Any, target: str | Sequence[str] | None = None, **keywords: Any) -> Prepared:
    """Read and prepare a table, and decide how to train a network for it.

    Parameters
    ----------
    data : path, Table, data frame, Arrow table, array or mapping
    target : str or sequence of str, optional
        By default the last column.
    **keywords
        Those of `fit` that describe the file, its columns, the rows held out and the network.

    Returns
    -------
    Prepared

    Raises
    ------
    DataError
        If the table cannot be used.
    ValueError
        If an argument cannot be used.
    """
    unknown = set(keywords) - {
        *READING, *PREPARATION, *DECIDED, *PENALTIES,
        "task", "metrics", "class_weight", "weight", "group", "time", "validation", "max_time",
        "seed",
    }  # fmt: skip
    if unknown:
        raise TypeError(f"there is no argument {', '.join(map(repr, sorted(unknown)))}")
    options = {key: value for key, value in keywords.items() if value is not None}
    seed = arguments.seed(options.get("seed"))
    read = {key: options[key] for key in READING if key in options}
    table = opened(data, read)
    notes = list(table.notes)
    targets = _targets(table, target, notes)
    task = _task(table, targets, options, notes)
    rows = _rows_with_target(table, targets, notes)
    held = _side_columns(table, options, rows)
    weight = held.pop("weight")
    given = {key: options.get(key) for key in DECIDED}
    max_time = options.get("max_time")
    given["max_time"] = None if max_time is None else seconds(max_time)
    given["own_rows"] = "validation" in options
    if task == "classification":
        held["classes"] = np.asarray(table.coded(targets[0]).codes)[rows]
    parts = held_out(decide(len(rows), 1, task, given), seed, len(rows), **held)
    if parts.how:
        notes.append(parts.how)
    training = rows[parts.pairs[0][0]] if len(parts.pairs) == 1 else rows
    columns = {key: options[key] for key in PREPARATION if key in options}
    left_out = [options[key] for key in ("weight", "group") if key in options]
    columns["drop"] = [*column_names("drop", columns.get("drop", ())), *left_out]
    if "time" in options:
        columns["keep"] = [*column_names("keep", columns.get("keep", ())), options["time"]]
    state = Preprocessing.fit(
        table, targets[0] if len(targets) == 1 else targets, task, rows=training, **columns
    )
    notes += [note for note in state.notes if note not in notes]  # rows without a target
    decisions = _with_loss(decide(len(rows), state.n_inputs, task, given), parts)
    if task == "regression":
        _refuse_extremes(table, targets, rows)
    y = state.targets(table, rows=rows)
    if decisions.loss == "poisson":
        _unshifted(state, table, targets, rows)
        y = state.targets(table, rows=rows)
    x = state.inputs(table)
    x = x if len(rows) == table.n_rows else x[rows]
    _note_target(table, targets, task, y, state, options, notes)
    validation, like = None, table.reading
    if "validation" in options:
        validation = _other(
            options["validation"], read, state, targets, options.get("weight"), like, notes
        )
    return Prepared(
        table.source, state, x, y, weight, rows, parts, validation, decisions,
        {key: options[key] for key in PENALTIES if key in options},
        class_weights(options.get("class_weight"), state, y),
        _metric_list(options.get("metrics"), task),
        given["max_time"], seed, notes, {} if like is None else like.to_dict(),
    )  # fmt: skip


def prepared_stream(
    stream: Any, sample: tuple[np.ndarray, np.ndarray], seed: int, **keywords: Any
) -> Prepared:
    """Decide how to train a network for a stream, whose rows are never all in memory.

    Parameters
    ----------
    stream : ParquetStream
    sample : tuple (x, y)
        Some of its rows, on which the first weights are scaled.
    seed : int
    **keywords
        Those of `prepared` that describe the network and its training.

    Returns
    -------
    Prepared
        Its x and y are the sample; nothing of it is held out.
    """
    options = {key: value for key, value in keywords.items() if value is not None}
    state = stream.preprocessing
    given = {key: options.get(key) for key in DECIDED}
    max_time = options.get("max_time")
    given["max_time"] = None if max_time is None else seconds(max_time)
    if options.get("loss", "").startswith("poisson"):
        raise ValueError("loss='poisson' scales the target; it needs all rows in memory")
    decisions = decide(stream.n_rows, state.n_inputs, state.task, given)
    return Prepared(
        str(stream.path), state, *sample, None, np.arange(len(sample[0])), HeldOutRows([]), None,
        decisions, {}, None, _metric_list(options.get("metrics"), state.task), given["max_time"],
        seed, n_rows=stream.n_rows,
    )  # fmt: skip


def opened(data: Any, reading: Mapping[str, Any], like: ReadingOptions | None = None) -> Table:
    """Return a table from a path or from memory; reading options are for paths.

    Parameters
    ----------
    data : path, Table, data frame, Arrow table, array or mapping
    reading : mapping
        Arguments of `datasets.read_table`.
    like : ReadingOptions, optional
        How the table of the training was read; what it settled holds for tables in memory, too.
    """
    if isinstance(data, (str, os.PathLike)):
        return datasets.read_table(os.fspath(data), **reading, like=like)
    if reading:
        raise ValueError(
            f"{next(iter(reading))} says how to read a file. "
            f"Received: it, and data of the type {type(data).__name__}"
        )
    table = as_table(data)
    if like is None or table.context.options != ReadingOptions():
        return table
    # Text that may be a date of either order has that of the training.
    return Table(table.source, table.columns, table.lines, table.first_row, Context(like))


# ---- the target --------------------------------------------------------------------------------


def _targets(table: Table, target: str | Sequence[str] | None, notes: list[str]) -> list[str]:
    if target is None:
        notes.append(f"Target: '{table.names[-1]}', the last column.")
        return [table.names[-1]]
    targets = column_names("target", target)
    if not targets or len(set(targets)) < len(targets):
        raise ValueError(f"target must name columns, each once. Received: target={target!r}")
    for name in targets:
        table.require(name, "target column")
    return targets


def _task(
    table: Table, targets: Sequence[str], options: Mapping[str, Any], notes: list[str]
) -> str:
    given: str | None = options.get("task")
    if given is not None:
        if len(targets) > 1 and given == "classification":
            raise ValueError("several targets must be numbers. Received: task='classification'")
        return given
    if len(targets) > 1:
        return "regression"
    task, reason = choose_task(table, targets[0], options.get("categorical", ()))
    notes.append(f"Task: {task}, because {reason}.")
    return task


def _rows_with_target(table: Table, targets: Sequence[str], notes: list[str]) -> np.ndarray:
    rows, note = preprocessing.usable_rows(table, targets)
    if note:
        notes.append(note)
    return np.asarray(rows)


def _refuse_extremes(table: Table, targets: Sequence[str], rows: np.ndarray) -> None:
    """Raise for targets whose squared errors float64 cannot hold."""
    for name in targets:
        values = table.values(name)[rows]
        largest = float(np.abs(values).max())
        with np.errstate(over="ignore", under="ignore"):
            most = np.square(2.0 * largest) * len(values)
            spread = np.square(values.max() - values.min())
        if not np.isfinite(most) or (spread == 0 and values.max() > values.min()):
            size, remedy = ("small", "divide") if not np.isfinite(most) else ("large", "multiply")
            raise DataError(
                f"{table.source}: the target '{name}' must be {size} enough to be squared; "
                f"{remedy} it by a power of ten. Received: {largest:.3g}"
            )


def _note_target(
    table: Table,
    targets: Sequence[str],
    task: str,
    y: np.ndarray,
    state: Preprocessing,
    options: Mapping[str, Any],
    notes: list[str],
) -> None:
    if task == "classification":
        shares = np.bincount(y[:, 0].astype(np.intp), minlength=len(state.target.labels)) / len(y)
        rarest = int(np.argmin(shares))
        if shares[rarest] < _IMBALANCE and shares[rarest] < 0.5 / len(shares):
            notes.append(
                f"Imbalance: the class '{state.target.labels[rarest]}' has {shares[rarest]:.1%} of "
                "the rows; accuracy says little (--class-weight balanced weighs the classes)."
            )
        return
    if "task" in options or len(targets) > 1:
        return
    values = table.values(targets[0])
    distinct = np.unique(values[~np.isnan(values)])
    if len(distinct) <= min(_FEW_NUMBERS, len(y) // 3) and (distinct == np.round(distinct)).all():
        notes.append(
            f"'{targets[0]}' holds {len(distinct)} distinct whole numbers: --task classification?"
        )


# ---- rows, weights and other columns -----------------------------------------------------------


def _side_columns(table: Table, options: Mapping[str, Any], rows: np.ndarray) -> dict[str, Any]:
    """Return weights, groups and times of the rows, of the columns that options name."""
    found: dict[str, Any] = {"weight": None, "groups": None, "times": None}
    if "group" in options and "time" in options:
        raise ValueError("group and time exclude each other. Received: both")
    for other in ("group", "time"):
        if other == "time" and other in options and options.get("effort") == "high":
            raise ValueError(
                "effort='high' and time exclude each other: its folds are drawn at random. "
                "Received: both"
            )
        if other in options and "validation" in options:
            raise ValueError(f"{other} chooses rows to hold out, validation gives them instead")
        if other in options and options.get("validation_split") == 0.0:
            raise ValueError(f"{other} chooses rows to hold out. Received: validation_split=0")
    if "weight" in options:
        found["weight"] = row_weights(table, rows, options["weight"]).astype(np.float32)
    if "group" in options:
        found["groups"] = column_codes(table, options["group"], "group")[rows]
    if "time" in options:
        found["times"] = column_numbers(table, options["time"], "time")[rows]
    return found


def row_weights(table: Table, rows: np.ndarray, name: str) -> np.ndarray:
    """Return the weights of rows, with mean 1, from the column of this name."""
    values = column_numbers(table, name, "weight")[rows]
    if (values < 0).any() or not values.any():
        raise DataError(
            f"{table.source}: column '{name}', the weight, must hold numbers of at least 0, and "
            "not only 0"
        )
    return np.asarray(values / values.mean())


def _other(
    data: Any,
    reading: Mapping[str, Any],
    state: Preprocessing,
    targets: Sequence[str],
    weight: str | None,
    like: ReadingOptions | None,
    notes: list[str],
) -> Arrays:
    """Return the arrays of another table, without the rows that have no target."""
    is_file = isinstance(data, (str, os.PathLike))
    table = opened(data, reading if is_file else {}, like)
    # First: that the target is missing says more than that another column is extra.
    rows, note = preprocessing.usable_rows(table, targets)
    if note:
        notes.append(f"{table.source}: {note}")
    weights = None
    if weight is not None:
        weights = column_numbers(table, weight, "weight")[rows].astype(np.float32)
    return state.inputs(table)[rows], state.targets(table, rows=rows), weights


def _metric_list(given: Any, task: str) -> list[Any]:
    if given is None:
        return ["mse"] if task == "regression" else ["accuracy"]
    return [given] if isinstance(given, str) else list(given)


def _unshifted(
    state: Preprocessing, table: Table, targets: Sequence[str], rows: np.ndarray
) -> None:
    """Scale a target of counts by its mean alone: the loss needs numbers of at least 0."""
    if len(targets) > 1:
        raise ValueError("loss='poisson' takes one target. Received: several")
    values = table.values(targets[0])[rows]
    if (values < 0).any():
        raise DataError(
            f"{table.source}: column '{targets[0]}' holds numbers below 0; the loss poisson needs "
            "counts of at least 0"
        )
    state.target = dataclasses.replace(state.target, mean=0.0, scale=float(values.mean()) or 1.0)


def _with_loss(decisions: Decisions, parts: HeldOutRows) -> Decisions:
    """Record what was held out where it differs from what was decided."""
    if decisions.folds and len(parts.pairs) == 1:  # the latest rows
        return dataclasses.replace(decisions, folds=0, repeats=0, validation_split=0.2)
    return decisions
