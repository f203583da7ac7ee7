"""A model's loss and metrics on rows, with short names and in the target's units."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    import numpy as np

    from fastmlp.datasets import ParquetStream
    from fastmlp.metrics import Metric
    from fastmlp.models import Sequential
    from fastmlp.preprocessing import Preprocessing

    from ._ranks import Team

    Arrays = tuple[np.ndarray, np.ndarray]
    Part = Arrays | ParquetStream

# Short names of Keras's metrics, for tables and JSON documents.
SHORT = {"mean_squared_error": "mse", "mean_absolute_error": "mae"}


def with_loss(model: Sequential, name: str) -> None:
    """Give a model the loss that the user names, instead of its own.

    Parameters
    ----------
    model : Sequential or Ensemble
    name : str
        As `fastmlp train --loss` takes it.
    """
    from fastmlp import losses
    from fastmlp.ensembles import Ensemble

    from ._options import wrong_option

    if isinstance(model, Ensemble):
        raise click.UsageError("--loss is for a single network; an ensemble keeps its own loss")
    with wrong_option("--loss"):
        base, _, number = name.partition(":")
        if base == "log_loss":
            several = (model.n_outputs or 1) > 1
            loss = losses.get(losses.SPARSE if several else "binary_crossentropy")
        elif number and base in ("quantile", "huber"):
            kind = losses.Quantile if base == "quantile" else losses.Huber
            loss = kind(float(number))
        else:
            loss = losses.get(name)
        model.compile(model.optimizer or "adam", loss, [m for m in model.metrics])


def scores(
    model: Sequential, state: Preprocessing, part: Part, quiet: bool, team: Team | None = None
) -> dict[str, float]:
    """Evaluate a model; return loss and metrics by short names, errors in the target's units.

    Parameters
    ----------
    model : Sequential
    state : Preprocessing
    part : tuple (x, y), or ParquetStream
    quiet : bool
    team : Team, optional
        The processes that evaluate together.

    Returns
    -------
    dict of str to float
    """
    from fastmlp import streaming

    from ._model import unit_factor

    options: dict[str, Any] = {"verbose": 0 if quiet else 1, "return_dict": True}
    if team is not None and team.ranks.size > 1:
        values = team.evaluate(model, part)
    elif isinstance(part, tuple):
        values = model.evaluate(*part, **options)
    else:
        values = streaming.evaluate(model, part, **options)
    if not state.has_unit:
        y, outputs = _targets_and_outputs(model, part)
        for metric in model.metrics:
            values[metric.name] = in_units(metric, state)(y, outputs)
    short = {SHORT.get(name, name): float(value) for name, value in values.items()}
    return {name: value * unit_factor(name, state) for name, value in short.items()}


def in_units(metric: Metric, state: Preprocessing) -> Metric:
    """Return a metric of the network's targets and outputs that is computed in the table's units.

    Parameters
    ----------
    metric : Metric
    state : Preprocessing
        Of a regression.

    Returns
    -------
    Metric
        Under the same name.
    """
    from fastmlp import metrics

    class InUnits(metrics.Metric):
        larger_is_better = metric.larger_is_better

        def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> float:
            y, predicted = (state.values(a).reshape(len(a), -1) for a in (y_true, y_pred))
            return metric(y, predicted, sample_weight)

    return InUnits(metric.name)


def _targets_and_outputs(model: Sequential, part: Part) -> Arrays:
    import numpy as np

    if isinstance(part, tuple):
        return part[1], model.predict(part[0], verbose=0)
    found = [(y, model.predict(x, verbose=0)) for x, y in part.arrays(model.dtype.name)]
    y, outputs = zip(*found, strict=True)
    return np.concatenate(y), np.concatenate(outputs)
