"""A model from its file, with the preprocessing of its table."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import click

from ._groups import option

if TYPE_CHECKING:
    from fastmlp.datasets import Table
    from fastmlp.models import Sequential
    from fastmlp.preprocessing import Preprocessing
    from fastmlp.tabular import Quality

# The power of the target's scale that brings a metric into the target's units.
POWERS = {
    "mse": 2, "mean_squared_error": 2, "mae": 1, "mean_absolute_error": 1, "rmse": 1,
    "root_mean_squared_error": 1,
}  # fmt: skip


def unit_factor(name: str, state: Preprocessing | None) -> float:
    """Return the factor that converts a metric, also of validation, to the target's own units.

    Where there is none, because the target is transformed or there are several, 1: the metric is
    that of the network's own numbers. `_evaluate.scores` computes it from predictions instead.
    """
    if state is None or not state.has_unit:
        return 1.0
    return float(state.target.scale ** POWERS.get(name.removeprefix("val_"), 0))


@dataclass
class Carried:
    """The columns of a table that go with the predictions."""

    ids: tuple[str, ...] = option(
        "--id",
        metavar="COLUMN",
        multiple=True,
        help="Write this column of DATA before the prediction; repeatable. Training need not "
        "have had it.",
    )
    keep_columns: bool = option(
        "--keep-columns", is_flag=True, help="Write all columns of DATA before the prediction."
    )

    def __post_init__(self) -> None:
        if self.ids and self.keep_columns:
            raise click.UsageError("--keep-columns writes all columns; leave --id out")

    @property
    def wanted(self) -> bool:
        """Whether any column was asked for."""
        return self.keep_columns or bool(self.ids)

    def names(self, table: Table, drop: Collection[str] = ()) -> list[str]:
        """Return the columns' names; raise DataError if the table has not one of them."""
        for name in self.ids:
            table.require(name)
        names = table.names if self.keep_columns else list(dict.fromkeys(self.ids))
        return [name for name in names if name not in drop]


@dataclass
class Loaded:
    """A model and its preprocessing; None if it was trained on arrays.

    `carried` names columns of a table that need not be inputs.
    """

    path: str
    model: Sequential
    preprocessing: Preprocessing | None
    carried: Carried = field(default_factory=Carried)

    def quality(self, state: Preprocessing) -> Quality:
        """Return held-out figures, rows seen, intervals and threshold that the model keeps.

        Parameters
        ----------
        state : Preprocessing
            What `for_table` returned.

        Returns
        -------
        Quality
        """
        from fastmlp.errors import ModelFileError
        from fastmlp.tabular import Quality

        found = Quality.of(self.model, self.path)
        labels, interval = state.target.labels, found.interval
        if interval is not None:
            n = len(interval.limits) or len(interval.edges)
            if interval.task != state.task or n != (len(labels) or state.n_outputs):
                raise ModelFileError(
                    f"{self.path}: damaged intervals: they are of another target than the model"
                )
        if found.threshold is not None and len(labels) != 2:
            raise ModelFileError(f"{self.path}: damaged threshold: the model has not two classes")
        return found

    def for_table(
        self, table: Table, target: str | None, with_target: bool, drop: Collection[str] = ()
    ) -> Preprocessing:
        """Return the preprocessing for a table; made from its columns if the model has none.

        Parameters
        ----------
        table : Table
        target : str or None
            The target column as the user names it.
        with_target : bool
            Whether the table must have the target.
        drop : collection of str
            Columns of the table to leave out.

        Returns
        -------
        Preprocessing
        """
        for name in drop:
            table.require(name)
        carried = self.carried.names(table, drop)
        if self.preprocessing is not None:
            self._leave_out(table, drop)
            known = {column.name for column in self.preprocessing.columns}
            self.preprocessing.dropped += [name for name in carried if name not in known]
            if target is not None:
                table.require(target, "target column")
                self.preprocessing.dropped.append(self.preprocessing.target.name)
                self.preprocessing.target.name = target
            return self.preprocessing
        aside = {*drop, *(() if self.carried.keep_columns else carried)}
        names = [name for name in table.names if name not in aside]
        if with_target:
            goal = names[-1] if target is None else target
            table.require(goal, "target column")
            names = [name for name in names if name != goal]
        else:
            goal = "prediction"
        state = self._unnamed(table, names, goal)
        state.dropped += sorted(aside)
        return state

    def _leave_out(self, table: Table, drop: Collection[str]) -> None:
        from fastmlp.errors import DataError

        assert self.preprocessing is not None
        for column in self.preprocessing.columns:
            if column.name in drop:
                raise DataError(
                    f"{table.source}: column '{column.name}' is an input of the model "
                    f"{self.path}; it cannot be dropped"
                )
        self.preprocessing.dropped += drop

    def _unnamed(self, table: Table, names: list[str], goal: str) -> Preprocessing:
        from fastmlp.errors import DataError
        from fastmlp.preprocessing import Preprocessing

        n_inputs, n_outputs = self.model.n_inputs, self.model.n_outputs
        assert n_inputs is not None and n_outputs is not None
        loss = self.model.loss.name if self.model.loss is not None else ""
        if len(names) != n_inputs:
            kind = "more" if len(names) > n_inputs else "fewer"
            raise DataError(
                f"{table.source}: {len(names)} input columns ({', '.join(names)}), {kind} than the "
                f"{n_inputs} inputs of the model {self.path}, which have no names"
            )
        if loss.endswith("crossentropy") and (n_outputs == 1 or loss.startswith("sparse")):
            labels = list(range(max(2, n_outputs)))
            return Preprocessing.plain(names, goal, "classification", labels)
        if n_outputs > 1:
            raise DataError(
                f"{self.path}: a model with {n_outputs} outputs without names; on the command line "
                "a table has one target column"
            )
        return Preprocessing.plain(names, goal, "regression")


def load(path: str, ensembles: bool = False) -> Loaded:
    """Read a model file.

    Parameters
    ----------
    path : str
    ensembles : bool
        Whether the file may have an ensemble.

    Returns
    -------
    Loaded

    Raises
    ------
    ModelFileError
        If the file is missing or damaged, or its preprocessing does not fit its network.
    """
    from fastmlp import models
    from fastmlp.ensembles import Ensemble
    from fastmlp.errors import ModelFileError
    from fastmlp.preprocessing import Preprocessing

    model = models.load_model(path)
    if isinstance(model, Ensemble) and not ensembles:
        raise ModelFileError(
            f"{path}: holds an ensemble of {len(model)} networks, expected a single one; "
            "predict, evaluate, compare, export, summary and plot take ensembles"
        )
    state = model.extras.get("preprocessing")
    if state is None:
        return Loaded(path, model, None)
    preprocessing = Preprocessing.from_dict(state, path)
    if (preprocessing.n_inputs, preprocessing.n_outputs) != (model.n_inputs, model.n_outputs):
        raise ModelFileError(
            f"{path}: damaged preprocessing: {preprocessing.n_inputs} inputs and "
            f"{preprocessing.n_outputs} outputs for a network of {model.n_inputs} and "
            f"{model.n_outputs}"
        )
    return Loaded(path, model, preprocessing)
