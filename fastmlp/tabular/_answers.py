"""What a trained network's file says about it: held-out figures, intervals, a threshold."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from .._utils import arguments
from ..errors import DataError
from ._baselines import Baselines
from ._calibration import scale_last_layer, scaled, temperature
from ._digest import RowDigest
from ._intervals import checked_level, conformal
from ._model import KEPT
from ._prepare import Arrays, Prepared
from ._scores import HeldOut
from ._thresholds import RULES, best_threshold, parse_costs
from ._train import Trained, Training


def check_answers(
    prepared: Prepared,
    refit: bool = False,
    interval: float | None = None,
    threshold: float | str | None = None,
    cost: str | Mapping[str, float] | None = None,
) -> None:
    """Raise ValueError, before training, for an answer that could not be given after it.

    Parameters
    ----------
    prepared : Prepared
    refit, interval, threshold, cost
        As `fit` takes them.
    """
    none = prepared.held is None and not prepared.decisions.folds
    wanted = {"refit": refit or None, "interval": interval, "threshold": threshold, "cost": cost}
    for name, value in wanted.items():
        if value is not None and none:
            raise ValueError(
                f"{name} needs rows held out, and none are: give a validation_split above 0 "
                "(--validation-split)"
            )
    if refit and prepared.validation is not None:
        raise ValueError(
            "refit trains on the rows held out as well; those of another table are never trained on"
        )
    if interval is not None:
        checked_level(interval)
    if threshold is None and cost is None:
        return
    if threshold is not None and cost is not None:
        raise ValueError("threshold and cost exclude each other: the costs choose a threshold")
    if len(prepared.preprocessing.target.labels) != 2:
        raise ValueError("a threshold, or costs, need two classes. Received: another target")
    _rule(threshold, cost)


def _rule(threshold: float | str | None, cost: Any) -> dict[str, Any]:
    """Return the arguments of `best_threshold`."""
    if cost is not None:
        text = cost if isinstance(cost, str) else ",".join(f"{k}:{v}" for k, v in cost.items())
        fp, fn = parse_costs(text)
        return {"cost_fp": fp, "cost_fn": fn}
    assert threshold is not None
    if isinstance(threshold, str):
        try:
            threshold = float(threshold)
        except ValueError:
            return {"rule": arguments.one_of("threshold", threshold, RULES)}
    positive = "a number in (0, 1), or accuracy, balanced_accuracy or f1"
    return {"rule": arguments.number("threshold", threshold, positive, lambda v: 0 < v < 1)}


def answer(
    training: Training,
    interval: float | None = None,
    threshold: float | str | None = None,
    cost: str | Mapping[str, float] | None = None,
) -> HeldOut | None:
    """Score the trained network on rows it has not seen, and keep what its answers need.

    Classifiers get the temperature that helps their held-out log loss, folded into the last layer.

    Parameters
    ----------
    training : Training
        Its run is done.
    interval, threshold, cost
        As `fit` takes them.

    Returns
    -------
    HeldOut or None
        None if no rows were held out.
    """
    prepared, found = training.prepared, training.result()
    kept: dict[str, Any] = training.model.extras[KEPT]
    single = len(prepared.held_out.pairs) == 1
    out = prepared.held_out.pairs[0][1] if single else ()
    kept["digest"] = RowDigest.of(prepared.x, prepared.y, out).to_dict()
    kept["best_epoch"] = found.best
    if found.held is None or found.outputs is None:
        return None
    outputs, y, weight = found.outputs, found.held[1], found.held[2]
    if prepared.task == "classification" and prepared.class_weight is None:
        kept["temperature"] = t = temperature(y, outputs, weight, prepared.seed)
        if t != 1.0:
            scale_last_layer(training.model, t)
            outputs = scaled(outputs, t)
    constant, linear = _baselines(training, found)
    state, how = prepared.preprocessing, "held-out rows"
    if prepared.decisions.folds:
        how = f"{prepared.held_out.folds}-fold cross-validation"
    y, outputs, weight = _once(training, y, outputs, weight)
    units, shown = (
        (state.values(y), state.values(outputs)) if prepared.task == "regression" else (y, outputs)
    )
    figures = HeldOut.of(
        prepared.task, units, shown, constant, linear, weight,
        quantile=quantile(prepared), how=how, targets=prepared.targets, seed=prepared.seed,
    )  # fmt: skip
    kept["held_out"] = figures.to_dict()
    if interval is not None:
        kept["interval"] = conformal(prepared.task, units, shown, interval).to_dict()
    if threshold is not None or cost is not None:
        chosen = best_threshold(y, outputs, weights=weight, **_rule(threshold, cost))
        kept["threshold"] = chosen.to_dict()
    return figures


def refit(training: Training, verbose: int = 1) -> None:
    """Train anew on all rows for the best number of epochs, with the temperature of `answer`.

    Parameters
    ----------
    training : Training
    verbose : {0, 1, 2}
    """
    training.refit(verbose)
    kept: dict[str, Any] = training.model.extras[KEPT]
    kept["refitted"] = True
    # Held-out figures are those of the network before; it has seen all rows now.
    kept["digest"] = RowDigest.of(training.prepared.x, training.prepared.y).to_dict()
    if kept.get("temperature", 1.0) != 1.0:
        scale_last_layer(training.model, kept["temperature"])


def quantile(prepared: Prepared) -> float | None:
    """Return the quantile that is predicted, if one is."""
    name, _, number = prepared.decisions.loss.partition(":")
    return float(number) if name == "quantile" else None


def _once(
    training: Training, y: np.ndarray, outputs: np.ndarray, weight: np.ndarray | None
) -> Arrays:
    """Return the held-out rows of the first repeat: figures count each row once."""
    if training.chosen is None:
        return y, outputs, weight
    n = len(training.prepared.y)
    return y[:n], outputs[:n], None if weight is None else weight[:n]


def _baselines(training: Training, found: Trained) -> tuple[np.ndarray, np.ndarray | None]:
    """Return predictions of a constant and of a linear model for the rows held out."""
    prepared = training.prepared
    if training.chosen is None:
        assert found.held is not None
        return _simple(prepared, training.train, found.held[0])
    pairs = prepared.held_out.pairs[: prepared.held_out.folds]
    each = [_simple(prepared, prepared.taken(a), prepared.x[b]) for a, b in pairs]
    linear = [part for _, part in each]
    return np.concatenate([part for part, _ in each]), np.concatenate(linear)


def _simple(
    prepared: Prepared, train: Arrays, x: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    y = train[1]
    labels = prepared.preprocessing.target.labels
    if prepared.task == "regression":
        y = prepared.preprocessing.values(y)
    try:
        simple = Baselines.fit(
            prepared.task, train[0], y, train[2], n_classes=len(labels) or None,
            quantile=quantile(prepared), seed=prepared.seed,
        )  # fmt: skip
    except np.linalg.LinAlgError as error:
        raise DataError(f"the linear model cannot be fitted: {error}") from error
    return simple.constant(len(x)), simple.linear(x)
