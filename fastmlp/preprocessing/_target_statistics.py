"""Statistics of the target: the task, the scale or transform of numbers, the labels of classes."""

from __future__ import annotations

from collections import defaultdict

import numpy as np

from .._tables.table import Table
from .._utils.moments import Moments
from ..errors import DataError
from ._columns import MAX_CATEGORIES, Label, Target
from ._statistics import Rows, Sample
from ._targets import normal_scores, refuse_negative
from ._transform import listed

_FEW = 10  # distinct whole numbers that may be classes


class TargetLearner:
    """Fits the target column, and chooses the task if it is not given.

    Parameters
    ----------
    name : str
    task : {"regression", "classification"} or None
        None: chosen from the column's values.
    declared : bool
        Whether the column was declared categorical.
    transform : {"log", "sqrt", "quantile"}, optional
    sample : int, optional
        Fit a transform to at most this number of values.
    """

    def __init__(
        self,
        name: str,
        task: str | None,
        declared: bool = False,
        transform: str | None = None,
        sample: int | None = None,
    ) -> None:
        self.name, self.task = name, task
        self._declared = declared
        self._transform = transform or ""
        self._sample = Sample(sample)
        self._kind = ""
        self._moments = Moments()
        self._low, self._high = np.inf, -np.inf  # of all rows, not only of the training rows
        self._labels: dict[str, None] = {}
        self._numbers: set[float] = set()  # distinct values, while they are few whole numbers
        self._n_rows = 0

    def add(self, table: Table, rows: Rows = None) -> None:
        """Add a table, of which `rows` are for training. Rows without the target do not count."""
        if not self._kind:
            self._kind = self._first_kind(table)
        self._n_rows += table.n_rows
        if self.task != "classification" and self._kind == "number":
            values = regression_numbers(table, self.name)
            training = values if rows is None else values[rows]
            for part in (values, training):
                if np.isnan(part).any():
                    values, training = (v[~np.isnan(v)] for v in (values, training))
                    break
            self._add_numbers(table, values, training)
            if self.task == "regression":
                return
            if len(self._numbers) <= _FEW:
                self._numbers |= set(np.unique(values)[: _FEW + 1].tolist())
            if len(self._numbers) > 2 or any(value != round(value) for value in self._numbers):
                return
        elif self.task == "regression":
            regression_numbers(table, self.name)
        self._add_labels(table)

    def _add_numbers(self, table: Table, values: np.ndarray, training: np.ndarray) -> None:
        self._moments.add(training)
        if not len(values):
            return
        self._low = min(self._low, float(values.min()))
        self._high = max(self._high, float(values.max()))
        if self._transform:
            self._sample.add(training)
            if self._transform != "quantile" and self._low < 0:
                refuse_negative(table, self.name, self._transform)

    def _first_kind(self, table: Table) -> str:
        table.require(self.name, "target column")
        if self._declared or self.task == "classification":
            return "text"
        kind = table.kind(self.name)
        if kind == "date" and self.task is None:
            raise DataError(
                f"{table.where(0, self.name)}: the target holds dates; expected numbers or "
                "classes. Declare it categorical to take each date as a class"
            )
        return kind

    def _add_labels(self, table: Table) -> None:
        texts = table.coded(self.name).texts
        self._labels.update(dict.fromkeys(texts))
        if len(self._labels) > MAX_CATEGORIES:
            raise DataError(
                f"{table.source}: column '{self.name}' has more than {MAX_CATEGORIES} classes; "
                "for numbers, choose regression"
            )

    def decision(self) -> tuple[str, str]:
        """Return the task and the reason for it."""
        if self.task is not None:
            return self.task, "it was asked for"
        if self._declared:
            return "classification", f"'{self.name}' is declared categorical"
        if self._kind == "text":
            return "classification", f"'{self.name}' holds text"
        if self._kind == "boolean":
            return "classification", f"'{self.name}' holds true and false"
        whole = all(value == round(value) for value in self._numbers)
        if len(self._numbers) <= 2 and whole:
            shown = " and ".join(f"{value:.0f}" for value in sorted(self._numbers))
            return "classification", f"'{self.name}' holds only the whole numbers {shown}"
        reason = f"'{self.name}' holds numbers"
        if whole and len(self._numbers) <= min(_FEW, self._n_rows // 3):
            reason += f" ({len(self._numbers)} distinct whole numbers: --task classification?)"
        return "regression", reason

    def notes(self) -> list[str]:
        """Return warnings about classes: too many of them, or nearly the same twice."""
        if self.decision()[0] != "classification":
            return []
        found, alike = [], defaultdict(list)
        for label in self._labels:
            alike[" ".join(label.split()).casefold()].append(label)
        twice = [label for labels in alike.values() if len(labels) > 1 for label in labels]
        if twice:
            found.append(
                f"Warning: classes of '{self.name}' that differ only in case or spaces are "
                f"different classes: {listed(twice)}."
            )
        n_classes = len(self._labels)
        if n_classes > _FEW and 2 * n_classes > self._n_rows:
            found.append(
                f"Warning: the target '{self.name}' has {n_classes} classes in {self._n_rows} rows;"
                " is it a text or an id? Classes are learnt from several rows of each."
            )
        return found

    def fitted(self, source: str, standardize: bool) -> Target:
        """Return the target."""
        if self.decision()[0] == "classification":
            if self._transform:
                raise DataError(
                    f"{source}: target_transform is for numbers; the target '{self.name}' has "
                    "classes"
                )
            return Target(self.name, labels=self._typed_labels(source))
        if self._low == self._high:
            raise DataError(
                f"{source}: column '{self.name}', the target, holds the number {self._low:g} "
                "in every row; expected at least two different ones"
            )
        target = Target(self.name)
        moments = self._moments
        if self._transform:
            values = self._sample.values()
            target.transform = self._transform
            if self._transform == "log":
                target.shift = 0.0 if self._low > 0 else 1.0
            elif self._transform == "quantile":
                target.knots, target.scores = normal_scores(values)
            moments = Moments()
            moments.add(target.transformed(values))
        if standardize:
            target.mean, target.scale = moments.mean_and_scale(source, self.name)
        return target

    def _typed_labels(self, source: str) -> list[Label]:
        distinct = set(self._labels)
        if len(distinct) < 2:
            held = f"one class only ('{next(iter(distinct))}')" if distinct else "no class"
            raise DataError(
                f"{source}: column '{self.name}' holds {held}; classification needs at least two"
            )
        # Numbers only where they are written as numbers are: 007 stays text.
        for kind in (int, float):
            try:
                labels = {kind(text) for text in distinct}
            except ValueError:
                continue
            if {str(label) for label in labels} == distinct and np.isfinite(list(labels)).all():
                return sorted(labels)
        return sorted(distinct)


def regression_numbers(table: Table, name: str) -> np.ndarray:
    """Return a regression target's numbers, missing ones as NaN.

    Raises
    ------
    DataError
        If a cell is not a number.
    """
    kind = table.kind(name)
    if kind != "number":
        missing = table.coded(name).codes < 0
        row = int(np.argmin(missing))
        what = {"boolean": "true or false", "date": "a date"}.get(kind, "text")
        raise DataError(
            f"{table.where(row, name)}: '{table.held(row, name)}' is {what}; "
            "a regression target must hold numbers"
        )
    return table.values(name)
