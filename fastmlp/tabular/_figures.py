"""Figures of a network on the rows of a table, with its names and in its units."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import inspection, plots
from .._utils import arguments
from .._utils.names import CLASS_FIGURES, EXPLANATIONS, NUMBER_FIGURES
from ..datasets import Table
from ..errors import DataError
from ..preprocessing import Preprocessing, usable_rows
from ._quality import Quality

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from ..inspection import Feature

TABLE_FIGURES = CLASS_FIGURES | NUMBER_FIGURES | EXPLANATIONS
_MOST_ROWS = 2000  # of attributions and dependence
_MOST_COLUMNS = 8  # with a panel of residuals or dependence


class TableFigures:
    """Draws a network on the rows of a table.

    Parameters
    ----------
    network : Sequential or Ensemble
    preprocessing : Preprocessing
    table : Table
        With the target.
    quality : Quality, optional
        By default that of the network.
    target : str, optional
        Which of several targets the figures are of.

    Raises
    ------
    DataError
        If no row has a target.
    """

    def __init__(
        self,
        network: Any,
        preprocessing: Preprocessing,
        table: Table,
        quality: Quality | None = None,
        target: str | None = None,
    ) -> None:
        names = [target.name for target in preprocessing.all_targets]
        if target is None and len(names) > 1:
            raise DataError(
                f"Figures on a table need a model of one target. Received: {', '.join(names)}"
            )
        if target is not None and target not in names:
            raise arguments.unknown("target", target, names)
        self.place = 0 if target is None else names.index(target)
        self.target = preprocessing.all_targets[self.place]
        self.network, self.preprocessing, self.table = network, preprocessing, table
        self.quality = Quality.of(network) if quality is None else quality
        dtype = network.dtype.name
        self.rows, _ = usable_rows(table, names)
        self.x = preprocessing.inputs(table, dtype)[self.rows]
        self.encoded_y = preprocessing.targets(table, dtype, self.rows)
        self.outputs = network.predict(self.x, verbose=0)
        self.features: list[Feature] = inspection.features(preprocessing)

    def of_target(self, place: int) -> TableFigures:
        """Return the same for another of several targets.

        Parameters
        ----------
        place : int
            Among the model's targets, from 0.
        """
        result = copy.copy(self)
        result.place, result.target = place, self.preprocessing.all_targets[place]
        return result

    def part(self, chosen: np.ndarray) -> TableFigures:
        """Return the same for some of the rows.

        Parameters
        ----------
        chosen : ndarray of int or bool
            Places among the rows with a target.
        """
        result = copy.copy(self)
        result.rows, result.x = self.rows[chosen], self.x[chosen]
        result.encoded_y, result.outputs = self.encoded_y[chosen], self.outputs[chosen]
        return result

    # ---- what is predicted ----

    @property
    def is_classification(self) -> bool:
        """Whether the target has classes."""
        return self.preprocessing.task == "classification"

    @property
    def labels(self) -> list[str]:
        """Names of the classes."""
        return [str(label) for label in self.preprocessing.target.labels]

    @property
    def y(self) -> np.ndarray:
        """Class codes, or the target in its own units."""
        if self.is_classification:
            y = np.asarray(self.encoded_y)
            return y.argmax(1) if y.ndim == 2 and y.shape[1] > 1 else y.reshape(-1).astype(int)
        return self._values(self.encoded_y)

    def _values(self, encoded: np.ndarray) -> np.ndarray:
        """Return a target, or what is predicted for it, in its own units."""
        values = np.asarray(self.preprocessing.values(encoded), np.float64)
        return values.reshape(len(values), -1)[:, self.place]

    @property
    def probabilities(self) -> np.ndarray:
        """Probability of each class."""
        return np.asarray(self.preprocessing.classes(self.outputs)[1], np.float64)

    @property
    def predicted(self) -> np.ndarray:
        """Predicted class codes, or values in the target's units."""
        if not self.is_classification:
            return self._values(self.outputs)
        if self.quality.threshold is not None and len(self.labels) == 2:
            return np.asarray(self.quality.threshold.codes(self.probabilities))
        return np.asarray(self.probabilities.argmax(1))

    def _answers(self, outputs: np.ndarray) -> np.ndarray:
        """Return outputs as users read them: probabilities, or values in the target's units."""
        if self.is_classification:
            p = np.asarray(self.preprocessing.classes(outputs)[1], np.float64)
            return p[:, 1:] if p.shape[1] == 2 else p
        return self._values(outputs)[:, None]

    @property
    def answer_name(self) -> str:
        """Name of the answer, for axes."""
        if not self.is_classification:
            return self.target.name
        return f"probability of {self.labels[1]}" if len(self.labels) == 2 else "probability"

    def kinds(self) -> list[str]:
        """Return the kinds of figure that suit the model."""
        kinds = list(CLASS_FIGURES if self.is_classification else NUMBER_FIGURES)
        if self.quality.interval is None and "coverage" in kinds:
            kinds.remove("coverage")
        several = len([f for f in self.features if f.kind == "numeric"]) >= 2
        return [*kinds, "importance", "dependence", *(["interaction"] if several else []),
                "attributions", "explain",
                *(["boundary"] if several and self.is_classification else [])]  # fmt: skip

    # ---- figures ----

    def draw(
        self, kind: str, *, columns: Sequence[str] = (), row: int = 0, seed: int = 0, **layout: Any
    ) -> Figure:
        """Draw one figure.

        Parameters
        ----------
        kind : str
            One of `TABLE_FIGURES`.
        columns : sequence of str
            Columns to show, for residuals, dependence, interaction and boundary; the most
            important by default.
        row : int
            Row that 'explain' explains, among those with a target.
        seed : int
            Random seed of shuffles and of the background of attributions.
        **layout
            `title`, `size`, `theme`, `ax`, `axes`, as for the functions of `plots`.

        Returns
        -------
        matplotlib.figure.Figure

        Raises
        ------
        ValueError
            If the kind does not suit the model.
        """
        kind = arguments.one_of("kind", kind, tuple(TABLE_FIGURES))
        if kind in CLASS_FIGURES and not self.is_classification:
            raise ValueError(f"{kind} is a figure of classes, and the target is a number")
        if kind in NUMBER_FIGURES and self.is_classification:
            raise ValueError(f"{kind} is a figure of numbers, and the target has classes")
        chosen = [self._feature(name) for name in columns]
        if kind in CLASS_FIGURES:
            return self._of_classes(kind, layout)
        if kind in NUMBER_FIGURES:
            return self._of_numbers(kind, chosen, seed, layout)
        return getattr(self, f"_{kind}")(chosen, row, seed, layout)

    def _feature(self, name: str) -> int:
        names = [feature.name for feature in self.features]
        if name not in names:
            raise arguments.unknown("column", name, names)
        return names.index(name)

    def _of_classes(self, kind: str, layout: dict[str, Any]) -> Figure:
        names: dict[str, Any] = {"class_names": self.labels}
        if kind == "confusion":
            return plots.plot_confusion(self.y, self.predicted, **names, **layout)
        if kind == "class-scores":
            return plots.plot_class_scores(self.y, self.predicted, **names, **layout)
        draw = {"roc": plots.plot_roc, "precision-recall": plots.plot_precision_recall,
                "calibration": plots.plot_calibration, "gains": plots.plot_gains}[kind]  # fmt: skip
        return draw(self.y, self.probabilities, **names, **layout)  # type: ignore[operator]

    def _of_numbers(
        self, kind: str, chosen: list[int], seed: int, layout: dict[str, Any]
    ) -> Figure:
        label = {"label": self.target.name}
        if kind == "predicted":
            return plots.plot_predicted(self.y, self.predicted, **label, **layout)
        if kind == "quantiles":
            return plots.plot_qq(self.y, self.predicted, **label, **layout)
        if kind == "residuals":
            chosen = chosen or self._most_important(seed)[: _MOST_COLUMNS - 3]
            values = {self.features[i].name: self.values_of(i) for i in chosen}
            return plots.plot_residuals(self.y, self.predicted, values, **label, **layout)
        interval = self.quality.interval
        if interval is None:
            raise ValueError(
                "coverage needs a model that was trained with interval, such as interval=0.9 "
                "(--interval 0.9)"
            )
        lower, upper = interval.of_target(self.place).interval(self.predicted)
        return plots.plot_coverage(
            self.y, self.predicted, lower, upper, level=interval.level, **label, **layout
        )

    def values_of(self, i: int) -> np.ndarray:
        """Return a column's values in its own units, or its categories as text."""
        feature = self.features[i]
        part = self.x[:, list(feature.columns)]
        if feature.kind == "categorical":
            found = part[:, : len(feature.categories)]
            names = np.array(feature.categories, dtype=object)[found.argmax(1)]
            return np.where(found.max(1) > 0, names, "missing")
        values = np.asarray(feature.own(part[:, 0]), np.float64)
        return np.where(part[:, -1] > 0.5, np.nan, values) if feature.indicator else values

    def _sample(self) -> np.ndarray:
        """Return some of the rows, evenly spread."""
        kept = np.linspace(0, len(self.x) - 1, min(len(self.x), _MOST_ROWS)).round().astype(int)
        return self.x[np.unique(kept)]

    def importance_of(self, seed: int = 0, repeats: int = 5) -> inspection.Importance:
        """Return the permutation importance of the columns, by the loss."""
        return inspection.permutation_importance(
            self.network, self.x, self.encoded_y, repeats, None, seed, self.features
        )

    def attributions_of(
        self, seed: int = 0, rows: np.ndarray | None = None, samples: int = 100
    ) -> Any:
        """Return the attributions of some rows; by default of those that figures show.

        Parameters
        ----------
        seed : int
        rows : ndarray of shape (n, n_inputs), optional
        samples : int
            Rows of the background, at most.
        """
        shown = self._sample()[:300] if rows is None else rows
        background = self._sample()
        places = np.linspace(0, len(background) - 1, min(len(background), samples))
        if samples < 100:
            background = background[np.unique(places.round().astype(int))]
        return inspection.attributions(
            self.network, shown, background, seed=seed, features=self.features,
            postprocess=self._answers, method="auto", n_samples=min(samples, 40),
        )  # fmt: skip

    def _most_important(self, seed: int) -> list[int]:
        return [int(i) for i in self.importance_of(seed, 2).order]

    def _importance(self, chosen: list[int], row: int, seed: int, layout: dict[str, Any]) -> Figure:
        return plots.plot_importance(self.importance_of(seed), **layout)

    def _dependence(self, chosen: list[int], row: int, seed: int, layout: dict[str, Any]) -> Figure:
        return self.dependence(chosen or self._most_important(seed)[:_MOST_COLUMNS], **layout)

    def dependence(self, chosen: Sequence[int], *, single: bool = True, **layout: Any) -> Figure:
        """Draw the partial dependence on some features.

        Parameters
        ----------
        chosen : sequence of int
            Places among `features`.
        single : bool
            Whether to draw single rows, too.
        **layout
            As for `draw`.

        Returns
        -------
        matplotlib.figure.Figure
        """
        x = self._sample()
        several = [
            inspection.partial_dependence(
                self.network, x, self.features[i], postprocess=self._answers
            )
            for i in chosen
        ]
        if not single:
            several = [replace(found, curves=found.curves[:0]) for found in several]
        names = self.labels if len(self.labels) > 2 else None
        return plots.plot_partial_dependence(
            several, y_label=self.answer_name, output_names=names, **layout
        )

    def _two(self, kind: str, chosen: list[int], seed: int) -> list[int]:
        """Return two columns: those given, or the most important that are numbers."""
        if not chosen:
            numeric = ("numeric", "date")
            order = self._most_important(seed)
            chosen = [i for i in order if self.features[i].kind in numeric][:2]
        if len(chosen) != 2:
            raise ValueError(f"{kind} needs two columns (--column, twice). Received: {len(chosen)}")
        return chosen

    def _interaction(
        self, chosen: list[int], row: int, seed: int, layout: dict[str, Any]
    ) -> Figure:
        first, second = self._two("interaction", chosen, seed)
        found = inspection.partial_dependence(
            self.network, self._sample()[:500], (self.features[first], self.features[second]),
            postprocess=self._answers,
        )  # fmt: skip
        return plots.plot_partial_dependence(found, y_label=self.answer_name, **layout)

    def _attributions(
        self, chosen: list[int], row: int, seed: int, layout: dict[str, Any]
    ) -> Figure:
        return plots.plot_attributions(self.attributions_of(seed), label=self.answer_name, **layout)

    def _explain(self, chosen: list[int], row: int, seed: int, layout: dict[str, Any]) -> Figure:
        if not -len(self.x) <= row < len(self.x):
            raise ValueError(
                f"row must be below the number of rows, {len(self.x)}. Received: row={row}"
            )
        found = self.attributions_of(seed, self.x[[row]])
        name = f"row {self.rows[row]}"
        return plots.plot_attribution(found, 0, label=self.answer_name, row_name=name, **layout)

    def _boundary(self, chosen: list[int], row: int, seed: int, layout: dict[str, Any]) -> Figure:
        if not self.is_classification:
            raise ValueError("boundary is a figure of classes, and the target is a number")
        pair = [self.features[i] for i in self._two("boundary", chosen, seed)]
        inputs = self._inputs_over(pair, "boundary needs columns of numbers")
        values = [self.values_of(self.features.index(feature)) for feature in pair]
        points = np.stack(values, axis=1)
        known = np.isfinite(points).all(1)
        if not layout.get("title") and len(self.features) > 2:
            layout = {**layout, "title": "The other columns at their medians"}
        return plots.plot_decision_boundary(
            self.network, inputs, train_x=points[known], train_y=self.y[known],
            predicted=self.predicted[known],
            class_names=self.labels, x1_label=pair[0].name, x2_label=pair[1].name, **layout,
        )  # fmt: skip

    def unit_map(self, column: str, layer: int | None = None, **layout: Any) -> Figure:
        """Draw all units of a layer over one column, the others at their medians.

        Parameters
        ----------
        column : str
            A column of numbers or dates.
        layer : int, optional
            Number of the Dense layer, from 0; by default the last hidden one.
        **layout
            As for `draw`.

        Returns
        -------
        matplotlib.figure.Figure

        Raises
        ------
        ValueError
            If the column does not hold numbers.
        """
        place = self._feature(column)
        feature = self.features[place]
        inputs = self._inputs_over([feature], "a map of units needs a column of numbers")
        values = self.values_of(place)
        values = values[np.isfinite(values)]
        grid = np.linspace(values.min(), values.max(), 201)
        if not layout.get("title") and len(self.features) > 1:
            layout = {**layout, "title": "The other columns at their medians"}
        return plots.plot_unit_map(
            self.network, layer, x=grid, preprocess=inputs, x_label=feature.name, **layout
        )

    def _inputs_over(
        self, chosen: Sequence[Feature], need: str
    ) -> Callable[[np.ndarray], np.ndarray]:
        """Return what maps values of some columns to inputs, the other columns at their medians.

        Raises ValueError, which begins with `need`, if one does not hold numbers.
        """
        for feature in chosen:
            if feature.kind not in ("numeric", "date"):
                raise ValueError(f"{need}. Received: {feature.name!r}, which is {feature.kind}")
        typical = self._typical()

        def inputs(points: np.ndarray) -> np.ndarray:
            rows = np.repeat(typical[None], len(points), axis=0)
            for values, feature in zip(np.asarray(points).T, chosen, strict=True):
                rows[:, list(feature.columns)] = feature.inputs(values, rows.dtype)
            return rows

        return inputs

    def _typical(self) -> np.ndarray:
        """Return a row with the median of each number and the most frequent category."""
        row = np.median(self.x, axis=0).astype(self.x.dtype)
        for feature in self.features:
            if feature.kind in ("categorical", "boolean") or feature.date_parts:
                own, counts = np.unique(
                    self.x[:, list(feature.columns)], axis=0, return_counts=True
                )
                row[list(feature.columns)] = own[counts.argmax()]
        return row
