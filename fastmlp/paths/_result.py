"""The result of a path: scores, the choice of lambda, models, tables and figures."""

from __future__ import annotations

import html
import io
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import numpy as np
from numpy.typing import NDArray

from .. import datasets
from .._utils import cards
from .._utils.atomic import write_atomically
from ._sparsity import Description

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from ..models import Sequential
    from ..preprocessing import Preprocessing

Array = NDArray[np.float64]

_KEPT_INPUTS = 20  # whose norms a model keeps
_FLAT = 1e-3  # share of the gain over a constant; a smaller difference between lambdas is none


def _short(value: float) -> float:
    return float(f"{value:.6g}")


@dataclass(repr=False)
class PathResult:
    """A path of lambdas, cross-validated, from the largest lambda to the smallest.

    Parameters
    ----------
    lambdas : ndarray of shape (n_lambdas,)
    layer_lambdas : ndarray of shape (n_lambdas, n_layers)
        The lambda of each Dense layer; `lambdas` times the layers' factors.
    penalty : {"l1", "l2", "group"}
    measure : {"mse", "deviance", "misclassification"}
        The error that compares lambdas; a mean over rows. "mse" is in squared units of the target,
        and "deviance" is minus twice the log-likelihood.
    fold_scores : dict of str to ndarray of shape (n_lambdas, n_folds)
        Each measure on each fold's rows.
    train_scores : dict of str to ndarray of shape (n_lambdas,)
        Each measure on all rows, of the models fitted to all rows.
    fold_sizes : ndarray of shape (n_folds,)
        Number of rows of each fold.
    folds : ndarray of shape (n,)
        Each row's fold.
    descriptions : list of Description
        Sparsity of the model fitted to all rows, at each lambda.
    null_score : float
        `measure` of the best constant, on all rows.
    preprocessing : Preprocessing
        Fitted to all rows.
    choose : {"min", "1se"}
        The lambda of `model`; see `chosen`.
    units, seed : list of int, int
    interrupted : bool
        Whether Ctrl-C stopped the path before all lambdas were fitted.
    held_out : ndarray of shape (n_lambdas, n, k) or None
        The prediction for each row by the model fitted without its fold: a number in the target's
        units (k = 1), or each class's probability. None if there are too many to keep.
    fold_weights : ndarray of shape (n_folds,) or None
        The sum of each fold's weights, if rows have weights.
    """

    lambdas: Array
    layer_lambdas: Array
    penalty: str
    measure: str
    fold_scores: dict[str, Array]
    train_scores: dict[str, Array]
    fold_sizes: NDArray[np.int64]
    folds: NDArray[np.int64]
    descriptions: list[Description]
    null_score: float
    preprocessing: Preprocessing
    choose: str
    units: list[int]
    seed: int
    interrupted: bool = False
    held_out: NDArray[np.float32] | None = None
    fold_weights: Array | None = None
    _fits: Any = None  # makes the models
    _made: dict[int, Sequential] = field(default_factory=dict)

    # ---- cross-validation ----

    def __setstate__(self, state: dict[str, Any]) -> None:
        if "_source" in state:  # a pickle of an earlier version
            state["_fits"] = state.pop("_source")
        vars(self).update(state)

    def __repr__(self) -> str:
        kind = f"{len(self.lambdas)} lambdas, {self.penalty}, units {self.units or 'none'}"
        return (
            f"<PathResult: {kind}, {len(self.fold_sizes)} folds, {self.measure}: "
            f"min {self.cv_mean[self.index_min]:.4g} at lambda {self.lambda_min:.3g}, "
            f"1se {self.cv_mean[self.index_1se]:.4g} at lambda {self.lambda_1se:.3g}>"
        )

    def _repr_html_(self) -> str:
        """Return the error by lambda and a table of both choices, for notebooks."""
        mean, se, lambdas = self.cv_mean, self.cv_se, self.lambdas
        x = lambdas.tolist()
        drawn = cards.curves(
            [
                (f"{self.measure}, held out", x, mean.tolist(), cards.RED),
                ("one standard error above", x, (mean + se).tolist(), "rgba(128,128,128,.6)"),
                ("training", x, self.train_scores[self.measure].tolist(), cards.BLUE),
            ],
            label="lambda", log_x=True, marks=[(self.lambda_min, "min"), (self.lambda_1se, "1se")],
        )  # fmt: skip
        rows = [
            [name, f"{lambdas[i]:.4g}", f"{mean[i]:.5g} ± {se[i]:.2g}", f"{self.n_nonzero[i]:,}",
             f"{self.n_inputs[i]:,}", f"{self.n_live[i]:,}"]
            for name, i in (("min", self.index_min), ("1se", self.index_1se))
        ]  # fmt: skip
        head = ["", "lambda", self.measure, "nonzero weights", "inputs in use", "live units"]
        units = ", ".join(map(str, self.units)) or "none"
        detail = (
            f"{len(lambdas)} lambdas, penalty {self.penalty}, hidden units {units}, "
            f"{len(self.fold_sizes)} folds, {len(self.folds):,} rows; a constant has "
            f"{self.measure} {self.null_score:.5g}"
        )
        notes = "<br>".join(html.escape(note) for note in self.warnings)
        return cards.card("PathResult", detail, drawn, cards.table(head, rows), notes)

    def cv(self, measure: str) -> tuple[Array, Array]:
        """Return a measure's mean over the folds and its standard error, (n_lambdas,) each.

        Folds are weighted by their rows, or by the weights of these: mean = sum(n_k * score_k) / n,
        and with K folds se = sqrt(sum(n_k * (score_k - mean)**2) / n / (K - 1)).

        Parameters
        ----------
        measure : str
            One of `fold_scores`.
        """
        sizes = self.fold_sizes if self.fold_weights is None else self.fold_weights
        scores, weights = self.fold_scores[measure], sizes / sizes.sum()
        mean = (scores * weights).sum(axis=1)
        variance = (np.square(scores - mean[:, None]) * weights).sum(axis=1)
        return mean, np.sqrt(variance / (scores.shape[1] - 1))

    @property
    def cv_mean(self) -> Array:
        """Mean of `measure` over the held-out folds, (n_lambdas,)."""
        return self.cv(self.measure)[0]

    @property
    def cv_se(self) -> Array:
        """Standard error of `cv_mean`, (n_lambdas,)."""
        return self.cv(self.measure)[1]

    @property
    def index_min(self) -> int:
        """The index of the lambda with the least error; of equal ones, the largest lambda."""
        return int(np.argmin(self.cv_mean))

    @property
    def index_1se(self) -> int:
        """The index of the largest lambda with an error within one standard error of the least."""
        mean, se, best = self.cv_mean, self.cv_se, self.index_min
        return int(np.argmax(mean <= mean[best] + se[best]))

    @property
    def lambda_min(self) -> float:
        """The lambda with the least cross-validated error."""
        return float(self.lambdas[self.index_min])

    @property
    def lambda_1se(self) -> float:
        """The largest lambda with an error within one standard error of the least."""
        return float(self.lambdas[self.index_1se])

    @property
    def chosen(self) -> str:
        """The rule that chose `model`: `choose`, or "min" where "1se" would lose the gain.

        That is where the error of the best constant lies within one standard error of the least
        one, or the model of "1se" has no weights, while the model of "min" is better than the
        constant.
        """
        return "min" if self.choose == "min" or self._gain_is_lost else "1se"

    @property
    def _gain_is_lost(self) -> bool:
        mean, best = self.cv_mean, self.index_min
        if self._is_empty(best) or mean[best] >= self.null_score:  # there is nothing to lose
            return False
        within = self.null_score <= mean[best] + self.cv_se[best]
        return bool(within) or self._is_empty(self.index_1se)

    def _is_empty(self, index: int) -> bool:
        """Return whether no nonzero weights connect an input to an output."""
        return self.descriptions[index].n_inputs == 0

    @property
    def index(self) -> int:
        """The index of the lambda of `model`."""
        return self.index_min if self.chosen == "min" else self.index_1se

    @property
    def warnings(self) -> list[str]:
        """What to know before `model` is used; `path` warns of it.

        "1se" was replaced by "min", the model is empty or no better than a constant, or the least
        error lies at an end of the grid.
        """
        mean, se, best, index = self.cv_mean, self.cv_se, self.index_min, self.index
        constant = f"the best constant has {self.measure} {self.null_score:.5g}"
        found = []
        if self.chosen != self.choose:
            found.append(
                f"'1se' would lose the gain over a constant, so that the model is that of 'min': "
                f"{self.measure} {mean[best]:.5g} with standard error {se[best]:.3g}, and "
                f"{constant}"
            )
        if self._is_empty(index):
            found.append(
                "The chosen model is empty: no weights connect an input to its output, so that it "
                f"predicts a constant ({self.measure} {mean[index]:.5g}, at lambda "
                f"{self.lambdas[index]:.3g})"
            )
        elif mean[index] >= self.null_score:
            found.append(
                f"The chosen model is no better than a constant: {self.measure} "
                f"{mean[index]:.5g}, and {constant}"
            )
        return found + self._at_an_end(best)

    def _at_an_end(self, best: int) -> list[str]:
        lambdas, mean, last = self.lambdas, self.cv_mean, len(self.lambdas) - 1
        if last == 0 or self.interrupted or best not in (0, last) or self._is_empty(best):
            return []
        end, other = ("largest", "larger") if best == 0 else ("smallest", "smaller")
        found = f"The least error is at the {end} lambda, {lambdas[best]:.3g}"
        decade = int(np.argmin(np.abs(np.log(lambdas / lambdas[best]) - np.log(10))))
        flat = mean[decade] - mean[best] < _FLAT * (self.null_score - mean[best])
        if best == last and flat:
            return [
                f"{found}, and about the same at {lambdas[decade]:.3g}: the penalty gains little"
            ]
        how = "other lambdas" if best == 0 else "other lambdas or a smaller ratio"
        return [f"{found}, an end of the grid; {other} ones may be better: give {how}"]

    # ---- sparsity ----

    @property
    def n_nonzero(self) -> NDArray[np.int64]:
        """Number of nonzero weights, without biases, (n_lambdas,)."""
        return np.array([d.n_nonzero for d in self.descriptions])

    @property
    def n_live_layers(self) -> NDArray[np.int64]:
        """Number of live units of each hidden layer, (n_lambdas, n_hidden).

        A unit is live if its output varies over the rows and nonzero weights connect it to an
        output.
        """
        shape = len(self.descriptions), len(self.units)
        return np.array([d.n_live for d in self.descriptions], dtype=np.int64).reshape(shape)

    @property
    def n_live(self) -> NDArray[np.int64]:
        """Number of live hidden units, (n_lambdas,)."""
        live: NDArray[np.int64] = self.n_live_layers.sum(axis=1)
        return live

    @property
    def n_inputs(self) -> NDArray[np.int64]:
        """Number of inputs that nonzero weights connect to an output, (n_lambdas,)."""
        return np.array([d.n_inputs for d in self.descriptions])

    @property
    def coefficients(self) -> Array:
        """Weights of a model without hidden layers, (n_lambdas, n_inputs, n_outputs)."""
        if self.units:
            raise ValueError(
                "coefficients needs a model without hidden layers; use norms(layer) with "
                f"hidden layers. Received: units={self.units}"
            )
        return np.array([d.weights for d in self.descriptions])

    def norms(self, layer: int) -> Array:
        """Return the norms of the weights from each input, or hidden unit, (n_lambdas, k).

        Parameters
        ----------
        layer : int
            0 for the inputs, 1 for the first hidden layer, and so on.
        """
        return np.array([d.norms[layer] for d in self.descriptions])

    @property
    def input_names(self) -> list[str]:
        """The inputs' names."""
        return self.preprocessing.input_names

    # ---- models ----

    @property
    def model(self) -> Sequential:
        """The model fitted to all rows at the chosen lambda, with its preprocessing."""
        return self.model_at(self.index)

    def model_at(self, index: int) -> Sequential:
        """Return the model fitted to all rows at one of the lambdas.

        Parameters
        ----------
        index : int
            Index of a lambda; -1 is the smallest.

        Returns
        -------
        Sequential
            With its preprocessing; its inputs are ``preprocessing.inputs(table)``.
        """
        i = range(len(self.lambdas))[index]
        if i not in self._made:
            self._made[i] = self._fits.model(self, i)
        return self._made[i]

    def kept(self, index: int) -> bool:
        """Return whether the weights for a lambda are kept.

        Those of large networks are not kept for all lambdas; `model_at` then fits again.
        """
        i = range(len(self.lambdas))[index]
        return i in self._made or self._fits.states[i] is not None

    def predict(self, x: Any, index: int | None = None) -> Any:
        """Predict the target for rows of a table.

        Parameters
        ----------
        x : array, data frame, Table and so on
            With the columns that the path was given.
        index : int, optional
            Index of a lambda; by default the chosen one.

        Returns
        -------
        ndarray of shape (n,), or list of length n
            Numbers in the target's units, or classes.
        """
        model, state = self.model_at(self.index if index is None else index), self.preprocessing
        table = datasets.as_table(np.asarray(x) if isinstance(x, list) else x)
        outputs = model.predict(state.inputs(table, model.dtype.name), verbose=0)
        return state.classes(outputs)[0] if state.target.labels else state.values(outputs)

    # ---- tables and figures ----

    def columns(self) -> dict[str, Any]:
        """Return the path as a table with a row for each lambda.

        Returns
        -------
        dict of str to ndarray
            lambda; lambda_1, lambda_2, ... if layers differ; for each measure its mean over the
            folds, the standard error of that and its value on all rows, such as cv_mse, cv_mse_se
            and train_mse; n_nonzero, n_live, n_inputs; n_live_1, n_live_2, ... with several
            hidden layers; choice, which is "min", "1se", "min 1se" or empty.
        """
        table: dict[str, Any] = {"lambda": self.lambdas}
        if self.layer_lambdas.shape[1] > 1 and np.ptp(self.layer_lambdas, axis=1).any():
            table |= {f"lambda_{i}": c for i, c in enumerate(self.layer_lambdas.T, 1)}
        for name, train in self.train_scores.items():
            mean, se = self.cv(name)
            table |= {f"cv_{name}": mean, f"cv_{name}_se": se, f"train_{name}": train}
        table |= {"n_nonzero": self.n_nonzero, "n_live": self.n_live, "n_inputs": self.n_inputs}
        if len(self.units) > 1:
            table |= {f"n_live_{i}": c for i, c in enumerate(self.n_live_layers.T, 1)}
        chosen = {self.index_min: "min"}
        chosen[self.index_1se] = " ".join([*chosen.get(self.index_1se, "").split(), "1se"])
        return table | {"choice": [chosen.get(i, "") for i in range(len(self.lambdas))]}

    def curve(self, index: int) -> dict[str, Any]:
        """Return what a model keeps of its path, as plain JSON values, for its report.

        Parameters
        ----------
        index : int
            Index of the model's lambda.

        Returns
        -------
        dict
            'lambdas', 'cv_mean', 'cv_se', 'train', 'n_nonzero', 'n_live' and 'n_inputs', a value
            for each lambda; 'index', 'index_min', 'index_1se'; 'names' of at most 20 inputs, those
            with the largest weights, and 'norms', their weights' norms at each lambda.
        """
        norms = self.norms(0)
        largest = np.sort(np.argsort(-norms.max(axis=0), kind="stable")[:_KEPT_INPUTS])
        names = self.input_names
        lists = {
            "lambdas": self.lambdas, "cv_mean": self.cv_mean, "cv_se": self.cv_se,
            "train": self.train_scores[self.measure],
        }  # fmt: skip
        counts = {"n_nonzero": self.n_nonzero, "n_live": self.n_live, "n_inputs": self.n_inputs}
        return {
            **{name: [_short(v) for v in values] for name, values in lists.items()},
            **{name: [int(v) for v in values] for name, values in counts.items()},
            "index": range(len(self.lambdas))[index],
            "index_min": self.index_min,
            "index_1se": self.index_1se,
            "names": [names[i] for i in largest],
            "norms": [[_short(v) for v in row] for row in norms[:, largest]],
        }

    def to_csv(self, file: str | os.PathLike[str] | TextIO) -> None:
        """Write `columns` to a CSV file.

        Parameters
        ----------
        file : path or text file
        """
        table = self.columns()
        if isinstance(file, str | os.PathLike):
            text = io.StringIO(newline="")
            datasets.write_csv(text, list(table), list(table.values()))
            write_atomically(Path(file), text.getvalue().encode())
        else:
            datasets.write_csv(file, list(table), list(table.values()))

    def plot_cv(self, **options: Any) -> Figure:
        """Draw the cross-validation curve; see `plots.plot_cv`."""
        from .. import plots

        return plots.plot_cv(self, **options)

    def plot_path(self, **options: Any) -> Figure:
        """Draw coefficients, or norms of weights, against lambda; see `plots.plot_path`."""
        from .. import plots

        return plots.plot_path(self, **options)

    def plot_fits(self, **options: Any) -> Figure:
        """Draw predictions at some of the lambdas; see `plots.plot_path_fits`."""
        from .. import plots

        return plots.plot_path_fits(self, **options)

    def points(self) -> tuple[Array, NDArray[Any]]:
        """Return all rows, for figures.

        Returns
        -------
        x : ndarray of shape (n, n_inputs)
            In the table's units.
        y : ndarray of shape (n,)
            In the target's units, or each row's class, counted from 0.
        """
        return self.preprocessing.in_units(self._fits.problem.whole.x), self.target_values()

    def target_values(self) -> NDArray[Any]:
        """Return the rows' targets in the table's units, or their classes from 0, (n,)."""
        y, target = self._fits.problem.whole.y[:, 0], self.preprocessing.target
        if target.labels:
            codes: NDArray[np.int64] = y.astype(np.int64)
            return codes
        return target.restored(y)
