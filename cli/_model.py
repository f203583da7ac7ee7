"""A model from its file, with the preprocessing of its table."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fastmlp.datasets import Table
    from fastmlp.models import Sequential
    from fastmlp.preprocessing import Preprocessing

# The power of the target's scale that brings a metric into the target's units.
POWERS = {
    "mse": 2, "mean_squared_error": 2, "mae": 1, "mean_absolute_error": 1, "rmse": 1,
    "root_mean_squared_error": 1,
}  # fmt: skip


def unit_factor(name: str, scale: float) -> float:
    """Return the factor that converts a metric, also of validation, to a target's own units."""
    return float(scale ** POWERS.get(name.removeprefix("val_"), 0))


@dataclass
class Loaded:
    """A model and its preprocessing; None if it was trained on arrays."""

    path: str
    model: Sequential
    preprocessing: Preprocessing | None

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
        if self.preprocessing is not None:
            self._leave_out(table, drop)
            if target is not None:
                table.require(target, "target column")
                self.preprocessing.dropped.append(self.preprocessing.target.name)
                self.preprocessing.target.name = target
            return self.preprocessing
        names = [name for name in table.names if name not in drop]
        if with_target:
            goal = names[-1] if target is None else target
            table.require(goal, "target column")
            names = [name for name in names if name != goal]
        else:
            goal = "prediction"
        state = self._unnamed(table, names, goal)
        state.dropped += drop
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
            "predict, evaluate, compare, summary and plot take ensembles"
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
