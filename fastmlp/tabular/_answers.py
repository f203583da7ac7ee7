"""What a trained network's file says about it: held-out figures, intervals, a threshold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from .._utils import arguments
from ..errors import DataError
from ._baselines import Baselines
from ._calibration import scale_last_layer, scaled, temperature
from ._digest import RowDigest
from ._folds import FoldsTraining
from ._intervals import checked_level, conformal
from ._model import KEPT
from ._prepare import Arrays, Prepared
from ._quality import HeldOut
from ._thresholds import RULES, best_threshold, parse_costs
from ._train import TableTraining


@dataclass(frozen=True)
class Wanted:
    """What a model is asked to answer, as `fit` takes it."""

    interval: float | None = None
    threshold: float | str | None = None
    cost: str | Mapping[str, float] | None = None


def check_answers(prepared: Prepared, wanted: Wanted, refit: bool = False) -> None:
    """Raise ValueError, before training, for an answer that could not be given after it.

    Parameters
    ----------
    prepared : Prepared
    wanted : Wanted
    refit : bool
    """
    interval, threshold, cost = wanted.interval, wanted.threshold, wanted.cost
    none = prepared.held is None and not prepared.decisions.folds
    given = {"refit": refit or None, "interval": interval, "threshold": threshold, "cost": cost}
    for name, value in given.items():
        if value is not None and none:
            raise ValueError(
                f"{name} needs rows held out, and none are: give a validation_split above 0 "
                "(--validation-split)"
            )
    if refit and prepared.decisions.effort == "high":
        raise ValueError(
            "effort='high' and refit exclude each other: its networks have seen all rows together"
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


def choose(training: TableTraining, wanted: Wanted) -> None:
    """Let the folds choose the epochs, and keep what their predictions say.

    Parameters
    ----------
    training : TableTraining
        Before its run.
    wanted : Wanted
    """
    chosen = training.choose()
    # Figures are those of the first repeat: each row counts once.
    pairs = training.prepared.held_out.pairs[: training.prepared.held_out.folds]
    _score_folds(training, pairs, chosen.rows, chosen.outputs, wanted)


def _score_folds(
    training: TableTraining | FoldsTraining,
    pairs: list[tuple[np.ndarray, np.ndarray]],
    rows: np.ndarray,
    outputs: np.ndarray,
    wanted: Wanted,
) -> None:
    """Calibrate by all predictions of rows held out, and score those of the folds in `pairs`."""
    prepared = training.prepared
    _, y, weight = prepared.taken(rows)
    constant, linear = [], []
    for train, held in pairs:
        parts = _simple(prepared, prepared.taken(train), prepared.x[held])
        constant.append(parts[0])
        linear.append(parts[1])
    outputs = _calibrated(training, y, outputs, weight)
    n = sum(len(held) for _, held in pairs)
    _score(
        training, y[:n], outputs[:n], None if weight is None else weight[:n],
        np.concatenate(constant), np.concatenate(linear), wanted,
    )  # fmt: skip


def answer_folds(training: FoldsTraining, wanted: Wanted) -> None:
    """Score the networks of folds on the rows of their folds, and keep what their answers need.

    Parameters
    ----------
    training : FoldsTraining
        Its run is done, or was interrupted and left a model.
    wanted : Wanted
    """
    prepared, kept = training.prepared, training.kept
    kept["digest"] = RowDigest.of(prepared.x, prepared.y).to_dict()
    _score_folds(training, training.pairs, training.rows, training.outputs, wanted)
    if kept.get("temperature", 1.0) != 1.0:
        training.scale(kept["temperature"])


def answer(training: TableTraining, wanted: Wanted) -> None:
    """Score the trained network on rows it has not seen, and keep what its answers need.

    A classifier's last layer is divided by the temperature that helps its held-out log loss.

    Parameters
    ----------
    training : TableTraining
        Its run is done.
    wanted : Wanted
    """
    prepared, kept = training.prepared, training.kept
    single = len(prepared.held_out.pairs) == 1
    held_rows = prepared.held_out.pairs[0][1] if single else ()
    kept["digest"] = RowDigest.of(prepared.x, prepared.y, held_rows).to_dict()
    kept["best_epoch"] = training.best
    if training.held is not None:
        x, y, weight = training.held
        outputs = training.model.predict(x, verbose=0)
        outputs = _calibrated(training, y, outputs, weight)
        constant, linear = _simple(prepared, training.train, x)
        _score(training, y, outputs, weight, constant, linear, wanted)
    if kept.get("temperature", 1.0) != 1.0:
        scale_last_layer(training.model, kept["temperature"])


def score(training: TableTraining, outputs: np.ndarray, wanted: Wanted) -> None:
    """Keep the figures of other predictions for the rows held out, such as an ensemble's.

    Parameters
    ----------
    training : TableTraining
        It need not have run; simple models are fitted to its rows.
    outputs : ndarray
        Predictions, as a network's outputs, for `TableTraining.held`.
    wanted : Wanted
    """
    assert training.held is not None
    x, y, weight = training.held
    constant, linear = _simple(training.prepared, training.train, x)
    _score(training, y, outputs, weight, constant, linear, wanted)


def figures(training: TableTraining | FoldsTraining) -> HeldOut | None:
    """Return the figures of the rows held out; None if none were."""
    state = training.kept.get("held_out")
    return None if state is None else HeldOut.from_dict(state)


def _calibrated(
    training: TableTraining | FoldsTraining,
    y: np.ndarray,
    outputs: np.ndarray,
    weight: np.ndarray | None,
) -> np.ndarray:
    """Keep the temperature that helps, and return what it makes of the outputs."""
    prepared = training.prepared
    if prepared.task == "regression" or prepared.class_weight is not None:
        return outputs
    training.kept["temperature"] = t = temperature(y, outputs, weight, prepared.seed)
    return outputs if t == 1.0 else scaled(outputs, t)


def _score(
    training: TableTraining | FoldsTraining,
    y: np.ndarray,
    outputs: np.ndarray,
    weight: np.ndarray | None,
    constant: np.ndarray,
    linear: np.ndarray,
    wanted: Wanted,
) -> None:
    prepared, kept = training.prepared, training.kept
    state, how = prepared.preprocessing, "held-out rows"
    if prepared.held_out.folds:
        how = f"{prepared.held_out.folds}-fold cross-validation"
    shown, true = outputs, y
    if prepared.task == "regression":
        shown, true = state.values(outputs), state.values(y)
    kept["held_out"] = HeldOut.of(
        prepared.task, true, shown, constant, linear, weight,
        quantile=quantile(prepared), how=how, targets=prepared.targets,
        labels=state.target.labels, seed=prepared.seed,
    ).to_dict()  # fmt: skip
    if wanted.interval is not None:
        kept["interval"] = conformal(prepared.task, true, shown, wanted.interval).to_dict()
    if wanted.threshold is not None or wanted.cost is not None:
        rule = _rule(wanted.threshold, wanted.cost)
        kept["threshold"] = best_threshold(y, outputs, weights=weight, **rule).to_dict()


def refit(training: TableTraining, verbose: int = 1) -> None:
    """Train anew on all rows for the best number of epochs, with the temperature of `answer`.

    Parameters
    ----------
    training : TableTraining
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


def _simple(prepared: Prepared, train: Arrays, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
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
