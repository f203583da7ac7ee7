"""What a report is about: a network, what its inputs are, and what is known of its training."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np

from .. import datasets
from .._utils import arguments
from ..datasets import Table, as_table
from ..ensembles import Ensemble
from ..errors import DataError
from ..models import Sequential, load_model
from ..paths import PathResult
from ..preprocessing import Column, Preprocessing, Target
from ..tabular import KEPT, Decisions, TableModel, opened

_LECTURE = "lecture:"  # begins the source of the lecture's data


class Subject(TableModel):
    """A model of any kind, as a `TableModel` that may know nothing of a table.

    Parameters
    ----------
    network : Sequential or Ensemble
    preprocessing : Preprocessing
    named : bool
        Whether the model knows its columns.
    """

    def __init__(self, network: Any, preprocessing: Preprocessing, named: bool = True) -> None:
        self.network, self.preprocessing, self.named = network, preprocessing, named
        self.notes = list(self.kept.get("notes", ()))

    @classmethod
    def of(cls, model: Any) -> Subject:
        """Return what a report takes as its model.

        Parameters
        ----------
        model : TableModel, Sequential, Ensemble, PathResult or path
        """
        if isinstance(model, str | Path):
            model = load_model(model)
        elif isinstance(model, TableModel):
            model = model.network
        elif isinstance(model, PathResult):
            model = model.model
        elif not isinstance(model, Sequential | Ensemble):
            arguments.instance("model", model, TableModel)
        if "preprocessing" in model.extras:
            return cls(model, Preprocessing.of(model))
        if isinstance(model, Sequential) and model.n_inputs is None:
            raise ValueError(
                "report needs a model whose number of inputs is known. Received: a model that is "
                "not built"
            )
        names = [f"x{i + 1}" for i in range(model.n_inputs)]
        return cls(model, unnamed(model, names, ["y"]), False)

    @property
    def kept(self) -> dict[str, Any]:
        """What the file holds about table and training; empty for arrays."""
        found: dict[str, Any] = self.network.extras.get(KEPT, {})
        return found

    @property
    def decided(self) -> Decisions | None:
        """How the network was made and trained, if `fastmlp.fit` decided that."""
        return self.decisions if "decisions" in self.kept else None

    @property
    def first(self) -> Sequential:
        """The network, or the first of an ensemble."""
        found: Sequential = self.network[0] if isinstance(self.network, Ensemble) else self.network
        return found

    @property
    def source(self) -> str:
        """The table of the training; empty if it is not known."""
        return str(self.network.extras.get("data") or "")

    @property
    def lecture_task(self) -> str:
        """Which of the lecture's data the model was trained on; empty if on none."""
        return self.source.removeprefix(_LECTURE) if self.source.startswith(_LECTURE) else ""

    def table(self, data: Any, target: str | None) -> Table:
        """Return the rows of a report, and name the columns of a model that knows none.

        Parameters
        ----------
        data : tuple (x, y), path, Table, data frame, Arrow table, array or mapping
        target : str or None

        Raises
        ------
        DataError
            If the columns are not those of the model.
        """
        if isinstance(data, tuple):
            return self._of_arrays(*data)
        table: Table = opened(data, {}, self.reading)
        if not self.named:
            goal = table.names[-1] if target is None else target
            table.require(goal, "target column")
            names = [name for name in table.names if name != goal]
            self.preprocessing = unnamed(self.network, names, [goal], table.source)
        elif target is not None:
            state = copy.deepcopy(self.preprocessing)
            table.require(target, "target column")
            if target != state.target.name:
                state.dropped.append(state.target.name)
                state.target.name = target
            self.preprocessing = state
        return table

    def _of_arrays(self, x: Any, y: Any) -> Table:
        x, y = np.asarray(x), np.asarray(y)
        y = y.reshape(len(y), -1)
        state, n_inputs = self.preprocessing, self.network.n_inputs
        if x.ndim != 2 or x.shape[1] != n_inputs or len(x) != len(y):
            raise DataError(
                f"x must have shape (n, {n_inputs}) and y as many rows. Received: x of shape "
                f"{x.shape}, y of shape {y.shape}"
            )
        if not state.is_plain or any(c.scale != 1 or c.mean != 0 for c in state.columns):
            raise DataError("the model was trained on a table: give a table in place of arrays")
        if state.task == "classification" and y.shape[1] > 1:
            y = y.argmax(1)[:, None]
        if state.task == "classification" and y.dtype.kind == "f":
            y = y.astype(int)
        names = [target.name for target in state.all_targets]
        if y.shape[1] != len(names):
            raise DataError(f"y must have {len(names)} columns. Received: y of shape {y.shape}")
        columns = {column.name: x[:, i] for i, column in enumerate(state.columns)}
        return as_table(
            {**columns, **{name: y[:, j] for j, name in enumerate(names)}}, "the arrays"
        )

    def own_table(self) -> Table | None:
        """Return the rows to judge a model of the lecture by; None for any other model."""
        if not self.lecture_task or not self.named:
            return None
        known, x, y = datasets.load(f"{self.lecture_task}_validation")
        names = list(known)
        columns = dict(zip(names, [*x.T, y[:, 0]], strict=True))
        if [*(c.name for c in self.preprocessing.columns), self.preprocessing.target.name] != names:
            return None
        if self.task == "classification":
            columns[names[-1]] = y[:, 0].astype(int)
        return as_table(columns, f"the lecture's validation data ({len(x):,} rows)")


def unnamed(model: Any, names: list[str], targets: list[str], source: str = "") -> Preprocessing:
    """Return the preprocessing of a network that was trained on arrays.

    Parameters
    ----------
    model : Sequential or Ensemble
    names, targets : list of str
        One target stands for all that a regression has.
    source : str
        Name of the table in error messages.

    Raises
    ------
    DataError
        If there are more or fewer names than inputs.
    """
    if len(names) != model.n_inputs:
        kind = "more" if len(names) > model.n_inputs else "fewer"
        raise DataError(
            f"{source}: {len(names)} input columns, {kind} than the {model.n_inputs} inputs of the "
            f"model {model.name!r}, which have no names"
        )
    first = model[0] if isinstance(model, Ensemble) else model
    n_outputs = first.n_outputs or 1
    last = first.dense_layers[-1].activation
    loss = "" if first.loss is None else first.loss.name
    if "crossentropy" in loss or (not loss and last in ("sigmoid", "softmax")):
        return Preprocessing.plain(names, targets[0], "classification",
                                   list(range(max(2, n_outputs))))  # fmt: skip
    if n_outputs > 1 and len(targets) == 1:
        targets = [f"{targets[0]}{j + 1}" for j in range(n_outputs)]
    goals = [Target(name) for name in targets]
    return Preprocessing(
        "regression", [Column(name) for name in names], goals[0], further=goals[1:]
    )
