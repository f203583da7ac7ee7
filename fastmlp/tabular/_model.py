"""`TableModel`: a network that knows its table."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .._model.history import History
from .._utils.progress import say
from ..datasets import ReadingOptions
from ..errors import ModelFileError
from ..models import load_model
from ..preprocessing import Preprocessing, usable_rows
from ._decisions import Decisions
from ._figures import TableFigures
from ._held_out import column_numbers
from ._prepare import opened
from ._quality import HeldOut, Quality
from ._scores import scores
from ._summary import table_text

if TYPE_CHECKING:
    from matplotlib.figure import Figure

KEPT = "table"  # among a model's extras


class TableModel:
    """A network with the preparation of its table: it takes tables, and answers in their terms.

    It is what `fastmlp.fit` returns. Its file is that of the network, so that `models.load_model`
    and all commands read it.

    Parameters
    ----------
    network : Sequential or Ensemble
        Its extras hold the preparation and what was found when it was trained.

    Attributes
    ----------
    network : Sequential, or Ensemble if it was trained with effort="high"
    preprocessing : Preprocessing
    notes : list of str
        What was found and decided in training, a line each.
    """

    network: Any

    def __init__(self, network: Any) -> None:
        if KEPT not in network.extras:
            raise ModelFileError(
                f"Model {network.name!r} was not trained on a table by fastmlp.fit or fastmlp "
                "train; models.load_model reads it"
            )
        self.network = network
        self.preprocessing = Preprocessing.of(network)
        self.notes: list[str] = list(self.kept.get("notes", ()))

    # ---- what is known of it ----

    @property
    def kept(self) -> dict[str, Any]:
        """What the file holds about table and training; plain JSON values."""
        found: dict[str, Any] = self.network.extras[KEPT]
        return found

    @property
    def quality(self) -> Quality:
        """Held-out figures, rows seen, intervals, threshold and temperature."""
        return Quality.of(self.network)

    @property
    def held_out(self) -> HeldOut | None:
        """The figures on rows held out, beside simple models'; None if no rows were."""
        return self.quality.held_out

    @property
    def task(self) -> str:
        """'regression' or 'classification'."""
        return self.preprocessing.task

    @property
    def target(self) -> Any:
        """The name of the target column; a list of them if there are several."""
        state = self.preprocessing
        names = [state.target.name, *(target.name for target in state.further)]
        return names[0] if len(names) == 1 else names

    @property
    def classes(self) -> list[Any]:
        """The classes, in the order of `predict_proba`'s columns; empty for a regression."""
        return list(self.preprocessing.target.labels)

    @property
    def decisions(self) -> Decisions:
        """How the network was made and trained."""
        return Decisions.from_dict(self.kept["decisions"])

    @property
    def history(self) -> History | None:
        """Losses and metrics of the training, epoch by epoch."""
        return self.network.history

    @property
    def best_epoch(self) -> int | None:
        """The epoch, from 1, that was best on the rows held out; None if there were none."""
        best: int | None = self.kept.get("best_epoch")
        return best

    # ---- predictions ----

    def _outputs(self, data: Any) -> np.ndarray:
        table = opened(data, {}, self.reading)
        return self.network.predict(self.preprocessing.inputs(table), verbose=0)

    @property
    def reading(self) -> ReadingOptions | None:
        """How the file of the training was read, for later ones; None if it was not a file."""
        state = self.network.extras.get("reading")
        return None if state is None else ReadingOptions.from_dict(state)

    def predict(self, data: Any) -> np.ndarray:
        """Return predictions in the target's terms: numbers, or each row's class.

        Parameters
        ----------
        data : path, Table, data frame, Arrow table, array or mapping
            Rows with the columns of the training; the target may be missing.

        Returns
        -------
        ndarray of shape (n,), or (n, n_targets) if there are several targets
        """
        outputs = self._outputs(data)
        if self.task == "regression":
            return self.preprocessing.values(outputs)
        threshold = self.quality.threshold
        if threshold is not None and len(self.classes) == 2:
            codes = threshold.codes(self.preprocessing.classes(outputs)[1])
            return np.array([self.classes[code] for code in codes.tolist()])
        return np.array(self.preprocessing.classes(outputs)[0])

    def predict_proba(self, data: Any) -> np.ndarray:
        """Return the probability of each class, in the order of `classes`.

        Parameters
        ----------
        data : path, Table, data frame, Arrow table, array or mapping

        Returns
        -------
        ndarray of shape (n, n_classes)
        """
        if self.task == "regression":
            raise ValueError("predict_proba needs classes. Received: a call on a regression")
        return np.asarray(self.preprocessing.classes(self._outputs(data))[1], np.float64)

    def predict_interval(self, data: Any) -> Any:
        """Return the interval, or the set of classes, that holds the truth with `interval`'s level.

        Parameters
        ----------
        data : path, Table, data frame, Arrow table, array or mapping

        Returns
        -------
        lower, upper : ndarrays of shape (n,) or (n, n_targets)
            For a regression.
        sets : ndarray of bool, shape (n, n_classes)
            For classes: which are in each row's set.

        Raises
        ------
        ValueError
            If the model was trained without `interval`.
        """
        found = self.quality.interval
        if found is None:
            raise ValueError(
                "predict_interval needs a model that was trained with interval, such as "
                "interval=0.9 (--interval 0.9)"
            )
        outputs = self._outputs(data)
        if self.task == "regression":
            return found.interval(self.preprocessing.values(outputs))
        return found.sets(self.preprocessing.classes(outputs)[1])

    def evaluate(self, data: Any, weight: str | None = None) -> dict[str, float]:
        """Return the figures by which predictions are judged, on a table that has the target.

        Parameters
        ----------
        data : path, Table, data frame, Arrow table, array or mapping
            Rows without a target are left out.
        weight : str, optional
            A column with the weight of each row.

        Returns
        -------
        dict of str to float
            For regression 'r2', 'rmse' and 'mae'; for two classes 'auc', 'average_precision' (of
            the class that was the rarer one in training), 'log_loss', 'brier_score', 'accuracy' and
            'base_rate'; for more classes 'log_loss', 'accuracy', 'balanced_accuracy', 'macro_f1'
            and 'base_rate'.
        """
        table = opened(data, {}, self.reading)
        state = self.preprocessing
        names = [self.target] if isinstance(self.target, str) else self.target
        rows, _ = usable_rows(table, names)
        outputs = self.network.predict(state.inputs(table), verbose=0)[rows]
        y = state.targets(table, rows=rows)
        weights = None if weight is None else column_numbers(table, weight, "weight")[rows]
        name, _, number = self.decisions.loss.partition(":")
        quantile = float(number) if name == "quantile" else None
        if self.task == "regression":
            return scores(self.task, state.values(y), state.values(outputs), weights, quantile)
        rarer = self.quality.rarer(self.classes, y)
        return scores(self.task, y, outputs, weights, rarer=rarer)

    def plot(
        self,
        kind: str,
        data: Any,
        *,
        columns: Sequence[str] = (),
        row: int = 0,
        seed: int = 0,
        **layout: Any,
    ) -> Figure:
        """Draw how well the model predicts the rows of a table, or why it predicts what it does.

        Parameters
        ----------
        kind : str
            For classes 'roc', 'precision-recall', 'confusion', 'calibration', 'gains' or
            'class-scores'; for numbers 'predicted', 'residuals', 'quantiles' or 'coverage'; for
            both 'importance', 'dependence', 'interaction', 'attributions', 'explain' and, for
            classes, 'boundary'.
        data : path, Table, data frame, Arrow table, array or mapping
            Rows with the target.
        columns : sequence of str
            Columns to show, for residuals, dependence, interaction and boundary; the most
            important by default.
        row : int
            Row that 'explain' explains, among those with a target.
        seed : int
            Random seed of shuffles and of the background of attributions.
        **layout
            `title`, `size`, `theme`, `ax` or `axes`, as for the functions of `plots`.

        Returns
        -------
        matplotlib.figure.Figure
        """
        table = opened(data, {}, self.reading)
        found = TableFigures(self.network, self.preprocessing, table, self.quality)
        return found.draw(kind, columns=columns, row=row, seed=seed, **layout)

    # ---- keep ----

    def save(self, path: str | Path, overwrite: bool = True) -> None:
        """Write the model to a file; see `Sequential.save`."""
        self.network.save(path, overwrite)

    @classmethod
    def load(cls, path: str | Path) -> TableModel:
        """Read a model from a file that `save` or ``fastmlp train`` wrote.

        Parameters
        ----------
        path : str or Path

        Returns
        -------
        TableModel

        Raises
        ------
        ModelFileError
            If the file is missing or damaged, or was not trained on a table.
        """
        network = load_model(path)
        if KEPT not in getattr(network, "extras", {}):
            raise ModelFileError(
                f"{path}: holds a model that was not trained on a table by fastmlp.fit or fastmlp "
                "train; models.load_model reads it"
            )
        return cls(network)

    def export(self, path: str | Path, to: str | None = None, overwrite: bool = True) -> None:
        """Write the network for ONNX, Keras, PyTorch or as C; see `Sequential.export`."""
        self.network.export(path, to, overwrite)

    def summary(self, print_fn: Callable[[str], Any] | None = None) -> None:
        """Print target, columns, preparation, figures on rows held out, and the layers.

        Parameters
        ----------
        print_fn : callable, optional
            Called with each text; `print` by default.
        """
        out = print_fn or say
        out(table_text(self.network) or "")
        self.network.summary(print_fn=out)

    def __repr__(self) -> str:
        units = ",".join(map(str, self.decisions.units))
        return f"<TableModel: {self.target!r}, {self.task}, units {units or 'none'}>"
