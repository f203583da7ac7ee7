"""Features: the columns of x that belong together and are changed together."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from .._model.model import Model
from .._training import evaluation
from .._utils import arguments, arrays
from ..preprocessing import Column, waves

if TYPE_CHECKING:
    from ..preprocessing import Preprocessing


_STACKED = 1 << 24  # numbers in the stacked copies of x of one prediction, 64 MiB in float32


@dataclass(frozen=True)
class Feature:
    """An input of a model, or several inputs that belong together.

    Parameters
    ----------
    name : str
    columns : tuple of int
        Indices into the columns of x.
    kind : {"numeric", "boolean", "date", "categorical"}
        A date counts days since 1970-01-01.
    categories : tuple of str
        Categories in the order of their 0/1 columns; empty for other kinds.
    mean, scale : float
        x * scale + mean is the value in its own units.
    indicator : bool
        Whether the last column is 1 where the value is missing.
    clip : float
        If above 0, x is z / sqrt(1 + (z / clip)^2), and z * scale + mean the value.
    date_parts : tuple of str
        Parts of a date ("year", "month", "weekday", "hour"); sine and cosine of each are columns.
    """

    name: str
    columns: tuple[int, ...]
    kind: str = "numeric"
    categories: tuple[str, ...] = ()
    mean: float = 0.0
    scale: float = 1.0
    indicator: bool = False
    clip: float = field(default=0.0, repr=False)
    date_parts: tuple[str, ...] = field(default=(), repr=False)

    def __post_init__(self) -> None:
        width = 1 + 2 * len(self.date_parts)
        if self.kind == "categorical":
            width = len(self.categories)
        if len(self.columns) != width + self.indicator or not self.columns:
            raise ValueError(
                f"A feature of kind {self.kind!r} must have {width + self.indicator} columns. "
                f"Received: columns={self.columns} for feature {self.name!r}"
            )

    def inputs(self, own: np.ndarray, dtype: Any) -> np.ndarray:
        """Return the columns (g, columns) for values in the feature's own units, none missing."""
        column = self._column
        result = np.zeros((len(own), len(self.columns)), dtype)
        result[:, 0] = column.scaled(own)
        for place, wave in enumerate(waves(own, self.date_parts), 1):
            result[:, place] = wave
        return result

    def own(self, x: np.ndarray) -> np.ndarray:
        """Return the values in the feature's own units for the first of its columns, (g,)."""
        return self._column.restored(x)

    @property
    def _column(self) -> Column:
        return Column(self.name, self.kind, self.mean, self.scale, clip=self.clip)


def features(preprocessing: Preprocessing) -> list[Feature]:
    """Describe the inputs of a model trained on a table by the table's columns.

    Parameters
    ----------
    preprocessing : Preprocessing

    Returns
    -------
    list of Feature
        One for each column. All inputs of a categorical column are one feature.
    """
    result, start = [], 0
    for column in preprocessing.columns:
        result.append(
            Feature(
                column.name,
                tuple(range(start, start + column.width)),
                column.kind,
                (*map(str, column.categories), *(["other"] if column.other else [])),
                column.mean,
                column.scale,
                column.indicator,
                column.clip,
                column.date_parts,
            )
        )
        start += column.width
    return result


def checked_inputs(model: Any, x: Any, name: str = "x") -> np.ndarray:
    """Return x as an array that a model, or an ensemble of models, takes."""
    if isinstance(model, Model):
        return model.checked_inputs(x, name)
    for attribute in ("predict", "n_inputs", "dtype"):
        if not hasattr(model, attribute):
            arguments.instance("model", model, Model)
    return arrays.inputs(x, model.n_inputs, model.dtype, name)


def outputs_of(model: Any, x: np.ndarray) -> np.ndarray:
    """Return the outputs of a model, or the mean outputs of an ensemble."""
    if isinstance(model, Model):
        return evaluation.predict(model, x)
    return np.asarray(model.predict(x, verbose=0))


def predictions(
    model: Any, x: np.ndarray, changes: Iterable[tuple[tuple[int, ...], np.ndarray]]
) -> Iterator[np.ndarray]:
    """Yield the model's outputs (n, n_outputs) for x with each change made to it.

    A change is (columns, values), with values of shape (n, columns) or (columns,). Several changed
    copies of x are predicted in one call, at most `_STACKED` numbers.
    """
    per_call = max(1, _STACKED // x.size)
    block: np.ndarray | None = None
    rest = iter(changes)
    while batch := list(itertools.islice(rest, per_call)):
        if block is None:
            block = np.repeat(x[None], len(batch), axis=0)
        for part, (columns, values) in zip(block, batch, strict=False):
            part[:, columns] = values
        outputs = outputs_of(model, block[: len(batch)].reshape(-1, x.shape[1]))
        yield from outputs.reshape(len(batch), len(x), -1)
        for part, (columns, _) in zip(block, batch, strict=False):
            part[:, columns] = x[:, columns]


def named_features(given: Sequence[str | Feature] | None, n_inputs: int) -> list[Feature]:
    """Return features, made of single columns if only names or nothing is given."""
    if given is None:
        given = [f"x{i + 1}" for i in range(n_inputs)]
    given = arguments.items("features", given, "names or Feature objects")
    if all(isinstance(feature, str) for feature in given) and len(given) != n_inputs:
        raise ValueError(
            f"features must hold a name for each of the {n_inputs} columns of x. "
            f"Received: {len(given)} names"
        )
    made = [Feature(f, (i,)) if isinstance(f, str) else f for i, f in enumerate(given)]
    for feature in made:
        check_columns(feature, n_inputs)
    return made


def single_column(place: Any) -> Feature:
    """Return the feature of one column of x."""
    place = arguments.integer("a column in features", place, -(1 << 31))
    return Feature(f"x{place + 1}", (place,))


def check_columns(feature: Any, n_inputs: int) -> None:
    if not isinstance(feature, Feature):
        raise ValueError(f"A feature must be a column of x or a Feature. Received: {feature!r}")
    if not all(0 <= i < n_inputs for i in feature.columns):
        raise ValueError(
            f"The columns of a feature must be from 0 to {n_inputs - 1}. "
            f"Received: {feature.columns} for feature {feature.name!r}"
        )
