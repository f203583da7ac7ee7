"""What a model keeps about how good it is, beside its preprocessing: ``extras["table"]``."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol

import numpy as np

from .._utils import arguments
from .._utils.names import TASKS
from ..errors import ModelFileError
from ._digest import RowDigest
from ._intervals import Conformal
from ._scores import (
    SHOWN,
    mean,
    probabilities,
    rarer_class,
    rounded,
    row_losses,
    scores,
    shown_name,
    standard_errors,
)
from ._thresholds import Threshold


class _HasExtras(Protocol):
    """The part of a model that holds what belongs to its table."""

    name: str
    extras: dict[str, Any]


@dataclass
class HeldOut:
    """The figures of a network on rows that it was not trained on, beside simple models.

    Parameters
    ----------
    task : {"regression", "classification"}
    n_rows : int
        Rows that were scored.
    network, constant, linear : dict of str to float
        `scores` of the network, of a constant (the mean, the shares of the classes) and of a
        linear or logistic model, which know the same training rows. `linear` may be empty.
    errors : dict of str to float
        Standard errors of the network's figures.
    losses : dict of str to float
        The mean of `row_losses` for 'network', 'constant' and 'linear', by which they compare.
    how : str
        'held-out rows', or such as '5-fold cross-validation'.
    per_target : dict of str to dict
        For several targets, `scores` of the network for each.
    rarer : str
        Of two classes, the rarer one, which 'average_precision' is of; otherwise empty.
    """

    task: str
    n_rows: int
    network: dict[str, float]
    constant: dict[str, float]
    linear: dict[str, float]
    errors: dict[str, float]
    losses: dict[str, float]
    how: str = "held-out rows"
    per_target: dict[str, dict[str, float]] = field(default_factory=dict)
    rarer: str = ""

    @classmethod
    def of(
        cls,
        task: str,
        y: Any,
        network: Any,
        constant: Any,
        linear: Any = None,
        weights: Any = None,
        *,
        quantile: float | None = None,
        how: str = "held-out rows",
        targets: Sequence[str] = (),
        labels: Sequence[Any] = (),
        seed: int = 0,
    ) -> HeldOut:
        """Score three models' predictions of the same rows.

        Parameters
        ----------
        task : {"regression", "classification"}
        y : array-like of shape (n,) or (n, n_outputs)
            Numbers in the target's units, or class codes.
        network, constant, linear : array-like
            Predictions, as `scores` takes them; `linear` may be None.
        weights : array-like of shape (n,), optional
        quantile : float, optional
        how : str
        targets : sequence of str
            Names of several targets, whose figures are kept one by one as well.
        labels : sequence
            The classes, by code.
        seed : int

        Returns
        -------
        HeldOut
        """
        given = {"network": network, "constant": constant, "linear": linear}
        given = {name: value for name, value in given.items() if value is not None}
        rarer = None
        if task == "classification":
            rarer = rarer_class(y, probabilities(network).shape[1])
        found = {
            name: scores(task, y, value, weights, quantile, rarer) for name, value in given.items()
        }
        lost = {
            name: mean(row_losses(task, y, value, quantile), weights)
            for name, value in given.items()
        }
        each = {}
        if len(targets) > 1:
            own, out = np.asarray(y), np.asarray(network)
            each = {
                name: scores(task, own[:, j], out[:, j], weights, quantile)
                for j, name in enumerate(targets)
            }
        return cls(
            task,
            len(np.asarray(y)),
            found["network"],
            found["constant"],
            found.get("linear", {}),
            standard_errors(task, y, network, weights, quantile, rarer, seed=seed),
            lost,
            how,
            each,
            str(labels[rarer]) if rarer is not None and labels else "",
        )

    def closing_table(self) -> list[tuple[str, str, str, str]]:
        """Return rows of text: a figure's name, and the network's, constant's and linear model's.

        Returns
        -------
        list of tuple of str
            Figures have as many digits as the number of rows can bear.
        """
        rows = []
        for name in SHOWN:
            if name not in self.network or name == "base_rate":  # the constant's accuracy
                continue
            cells = (
                rounded(model.get(name), self.errors.get(name))
                for model in (self.network, self.constant, self.linear)
            )
            first, second, third = cells
            rows.append((shown_name(name, self.rarer), first, second, third))
        return rows

    def warnings(self) -> list[str]:
        """Return at most one line: that a constant or a linear model is as good.

        Returns
        -------
        list of str
        """
        regression = self.task == "regression"
        name = "rmse" if regression else "log_loss"
        linear = "a linear model" if regression else "a logistic model"
        constant = "predicting the mean" if regression else "predicting the shares of the classes"
        if "pinball_loss" in self.network:
            name, constant = "pinball_loss", "predicting one quantile for all rows"
        compared = (("constant", constant, self.constant), ("linear", linear, self.linear))
        for key, what, figures in compared:
            if key in self.losses and not self.losses["network"] < self.losses[key]:
                return [
                    f"The network is not better than {what}: {SHOWN[name]} "
                    f"{self.network.get(name, math.nan):.4g} and "
                    f"{figures.get(name, math.nan):.4g} on {self.how}."
                ]
        return []

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values; figures that are not finite are left out."""
        state = asdict(self)
        for key in ("network", "constant", "linear", "errors", "losses"):
            state[key] = _finite(state[key])
        state["per_target"] = {name: _finite(v) for name, v in state["per_target"].items()}
        return state

    @classmethod
    def from_dict(cls, state: Any, source: str = "the model file") -> HeldOut:
        """Restore from an untrusted JSON document.

        Raises
        ------
        ModelFileError
            If the document is damaged.
        """
        try:
            if not isinstance(state, dict) or state["task"] not in TASKS:
                raise ValueError(f"{arguments.shown(state)} does not name a task")
            parts = {key: _figures(state[key]) for key in ("network", "constant", "linear")}
            errors, lost = _figures(state["errors"]), _figures(state["losses"])
            if "network" not in lost:
                raise ValueError("the network's loss is missing")
            n_rows = arguments.integer("n_rows", state["n_rows"])
            how, each = state["how"], state.get("per_target", {})
            rarer = state.get("rarer", "")
            if not isinstance(how, str) or not isinstance(each, dict):
                raise ValueError("'how' is not text, or 'per_target' not a mapping")
            if not isinstance(rarer, str):
                raise ValueError("'rarer' is not text")
            each = {str(name): _figures(value) for name, value in each.items()}
            return cls(state["task"], n_rows, **parts, errors=errors, losses=lost, how=how,
                       per_target=each, rarer=rarer)  # fmt: skip
        except (KeyError, TypeError, ValueError) as error:
            raise ModelFileError(f"{source}: damaged held-out figures: {error}") from error


@dataclass
class Quality:
    """Held-out figures, the rows that were seen, intervals, threshold and temperature.

    Parameters
    ----------
    held_out : HeldOut, optional
    digest : RowDigest, optional
    interval : Conformal, optional
    threshold : Threshold, optional
    temperature : float
        By which the last layer was divided; 1 if it was not.
    """

    held_out: HeldOut | None = None
    digest: RowDigest | None = None
    interval: Conformal | None = None
    threshold: Threshold | None = None
    temperature: float = 1.0

    def rarer(self, labels: Sequence[Any], y: Any) -> int | None:
        """Return the class of two that PR-AUC is of: the rarer one of the training, or of y.

        Parameters
        ----------
        labels : sequence
            The classes, by code.
        y : array-like of shape (n,)
            Class codes.

        Returns
        -------
        int or None
            None unless there are two classes.
        """
        names = list(map(str, labels))
        if self.held_out is not None and self.held_out.rarer in names:
            return names.index(self.held_out.rarer)
        return rarer_class(y, len(names))

    @classmethod
    def of(cls, model: _HasExtras, source: str | None = None) -> Quality:
        """Return what a model keeps; nothing if it was not trained on a table with `tabular`.

        Parameters
        ----------
        model : Sequential or Ensemble
        source : str, optional
            Name of the model's file in error messages.

        Returns
        -------
        Quality

        Raises
        ------
        ModelFileError
            If it is damaged.
        """
        return cls.from_dict(model.extras.get("table", {}), source or f"model {model.name!r}")

    def keep(self, model: _HasExtras) -> None:
        """Store all this in a model, and so in its file, beside what else the table has there."""
        state = dict(model.extras.get("table", {}))
        for key in ("held_out", "digest", "interval", "threshold", "temperature"):
            state.pop(key, None)
        model.extras["table"] = {**state, **self.to_dict()}

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values; what is None is left out."""
        parts = {
            "held_out": self.held_out,
            "digest": self.digest,
            "interval": self.interval,
            "threshold": self.threshold,
        }
        state: dict[str, Any] = {k: v.to_dict() for k, v in parts.items() if v is not None}
        if self.temperature != 1.0:
            state["temperature"] = self.temperature
        return state

    @classmethod
    def from_dict(cls, state: Any, source: str = "the model file") -> Quality:
        """Restore from an untrusted JSON document.

        Raises
        ------
        ModelFileError
            If a part is damaged.
        """
        if not isinstance(state, dict):
            raise ModelFileError(
                f"{source}: damaged table: {arguments.shown(state)} is not a mapping"
            )
        kinds = (
            ("held_out", HeldOut), ("digest", RowDigest), ("interval", Conformal),
            ("threshold", Threshold),
        )  # fmt: skip
        parts: dict[str, Any] = {
            key: kind.from_dict(state[key], source)
            for key, kind in kinds
            if state.get(key) is not None
        }
        try:
            rule = "a number above 0"
            temperature = arguments.number(
                "temperature", state.get("temperature", 1.0), rule, lambda v: v > 0
            )
        except ValueError as error:
            raise ModelFileError(f"{source}: damaged temperature: {error}") from error
        return cls(**parts, temperature=temperature)


def _finite(figures: Mapping[str, float]) -> dict[str, float]:
    return {name: float(value) for name, value in figures.items() if math.isfinite(value)}


def _figures(state: Any) -> dict[str, float]:
    if not isinstance(state, dict) or not all(
        isinstance(name, str) and type(value) in (int, float) and math.isfinite(value)
        for name, value in state.items()
    ):
        raise ValueError(f"{arguments.shown(state)} are not figures")
    return {name: float(value) for name, value in state.items()}
