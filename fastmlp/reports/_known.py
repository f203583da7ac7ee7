"""The numbers of a report that need no table: what the model itself keeps."""

from __future__ import annotations

import hashlib
import importlib.metadata
import math
import platform
from typing import Any

import numpy as np

from .._model.summary import lambdas_of
from .._utils.version import __version__
from ..ensembles import Ensemble
from ..errors import ModelFileError
from ..layers import Dropout
from ..tabular import (
    HeldOut,
    shown_name,
    shown_units,
)
from ._numbers import (
    ColumnNumbers,
    LambdaNumbers,
    LayerNumbers,
    MemberNumbers,
    MetricNumbers,
    ReportNumbers,
    TargetNumbers,
)
from ._recipe import command, recipe
from ._subject import Subject

_EPOCHS_DIFFER = 1e-3  # share of a loss below which two epochs are equally good


def of_model(model: Subject) -> ReportNumbers:
    """Return the numbers that need no table.

    Parameters
    ----------
    model : Subject
    """
    network, state, quality = model.network, model.preprocessing, model.quality
    history = model.history
    held = quality.held_out
    first = model.first
    widths = [state.n_inputs, *(layer.units for layer in first.dense_layers)]
    shape = " → ".join(f"{width:,}" for width in widths)
    members: list[MemberNumbers] = []
    layers: list[LayerNumbers] = []
    if isinstance(network, Ensemble):
        shape = f"{len(network)} networks of {shape}"
        members = [MemberNumbers(i + 1, int(seed)) for i, seed in enumerate(network.seeds)]
    else:
        for layer in network.dense_layers:
            weights = layer.get_weights()[0]
            zeros = int((weights == 0).sum())
            layers.append(LayerNumbers(layer.name, layer.activation, layer.units, weights.size,
                                       zeros, penalty=lambdas_of(layer)))  # fmt: skip
    digest = ""
    if quality.digest is not None:
        kept = quality.digest
        text = f"{kept.order} {kept.train.n_rows} {kept.held_out.n_rows}".encode()
        digest = hashlib.sha256(text + kept.train.kept.tobytes()).hexdigest()[:16]
    return ReportNumbers(
        name=network.name,
        task=model.task,
        classes=[str(label) for label in model.classes],
        source=model.source,
        trained_rows=model.kept.get("n_rows"),
        shape=shape,
        parameters=int(network.count_params()),
        decisions={} if model.decided is None else model.decided.to_dict(),
        settings=_settings(model),
        command=command(model),
        seed=_seed(model),
        digest=digest,
        recipe=recipe(model),
        versions={
            "fastmlp": __version__,
            "numpy": importlib.metadata.version("numpy"),
            "python": platform.python_version(),
        },
        epochs=len(history.epoch) if history is not None else 0,
        best_epoch=model.best_epoch,
        history={} if history is None else {
            name: [float(v) for v in values] for name, values in history.history.items() if values
        },
        warnings=([] if held is None else held.warnings()) + _last_epoch(model),
        held_out="" if held is None else held.how,
        held_out_rows=0 if held is None else held.n_rows,
        targets=_held_out_targets(model, held),
        columns=[ColumnNumbers(column.name, column.kind) for column in state.columns],
        left_out=list(state.dropped),
        layers=layers,
        members=members,
        path=_path(network),
    )  # fmt: skip


def _settings(model: Subject) -> dict[str, str]:
    """Return how a network is made and trained, in words, from the network itself."""
    first = model.first
    hidden = first.dense_layers[:-1]
    names = list(dict.fromkeys(layer.activation for layer in hidden))
    lambdas = [lambdas_of(layer) for layer in first.dense_layers]
    shown = f"{lambdas[0]}, each layer" if len(lambdas) > 1 else lambdas[0]
    if len(set(lambdas)) > 1:
        shown = "; ".join(f"layer {i}: {text}" for i, text in enumerate(lambdas, 1) if text)
    rates = sorted({layer.rate for layer in first.layers if isinstance(layer, Dropout)})
    optimizer = ""
    if first.optimizer is not None:
        rate = first.optimizer.learning_rate
        shown_rate = f"{rate:g}" if isinstance(rate, float) else type(rate).__name__
        optimizer = f"{first.optimizer.name} {shown_rate}"
    if model.decided is not None:
        # Training leaves the last of a schedule's rates.
        optimizer = f"{model.decided.optimizer} {model.decided.learning_rate:g}"
        optimizer += f", {model.decided.schedule}"
    found = {
        "Hidden layers": f"{shown_units(tuple(layer.units for layer in hidden)) or 'none'} "
        f"{', '.join(names)}".strip(),
        "Lambdas": shown if any(lambdas) else "none",
        "Dropout": ", ".join(f"{rate:g}" for rate in rates if rate),
        "Loss": "" if first.loss is None else first.loss.name,
        "Optimizer": optimizer,
    }
    return {name: text for name, text in found.items() if text}


def _seed(model: Subject) -> int | None:
    path = model.network.extras.get("path", {})
    config = model.network.extras.get("config", {})
    for state in (model.kept, path, config):
        seed = state.get("seed") if isinstance(state, dict) else None
        if type(seed) is int:
            return seed
    return None


def _last_epoch(model: Subject) -> list[str]:
    """Warn if the weights are those of the last epoch, and another was better."""
    history = model.history
    if history is None or model.decided is not None or isinstance(model.network, Ensemble):
        return []
    values = history.history.get("val_loss", [])
    known = np.asarray(values, float)
    if len(known) < 2 or not np.isfinite(known).any():
        return []
    best = int(np.nanargmin(known))
    if not known[best] < known[-1] * (1 - _EPOCHS_DIFFER):
        return []
    at = history.validated[best] if best < len(history.validated) else best + 1
    return [
        f"The last epoch is not the best: the loss on validation rows is {known[-1]:.4g}, and was "
        f"{known[best]:.4g} after epoch {at}."
    ]


def _path(network: Any) -> LambdaNumbers | None:
    """Return the path of lambdas that a network keeps."""
    state = network.extras.get("path")
    if not isinstance(state, dict) or "curve" not in state:
        return None
    try:
        curve, n = state["curve"], len(state["curve"]["lambdas"])
        lists = ("lambdas", "cv_mean", "cv_se", "train", "n_nonzero", "n_live", "n_inputs", "norms")
        places = ("index", "index_min", "index_1se")
        if n < 1 or any(len(curve[key]) != n for key in lists):
            raise ValueError("its lists differ in length")
        if any(type(curve[key]) is not int or not 0 <= curve[key] < n for key in places):
            raise ValueError("a place lies outside of it")
        if any(len(row) != len(curve["names"]) for row in curve["norms"]):
            raise ValueError("it has norms without names")
        numbers = [value for key in lists[:-1] for value in curve[key]]
        numbers += [value for row in curve["norms"] for value in row]
        if not all(type(value) in (int, float) and math.isfinite(value) for value in numbers):
            raise ValueError("it holds what is not a number")
        values: dict[str, Any] = {key: curve[key] for key in (*lists, *places)}
        return LambdaNumbers(
            penalty=str(state["penalty"]), measure=str(state["measure"]),
            null=float(state["null"]), folds=int(state["folds"]),
            names=[str(name) for name in curve["names"]], **values,
        )  # fmt: skip
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise ModelFileError(f"model {network.name!r}: damaged path: {error}") from error


def _held_out_targets(model: Subject, held: HeldOut | None) -> list[TargetNumbers]:
    names = [target.name for target in model.preprocessing.all_targets]
    if held is None or len(names) == 1:
        return [TargetNumbers(name, [] if held is None else held_out_metrics(held))
                for name in names]  # fmt: skip
    return [
        TargetNumbers(name, [MetricNumbers(key, shown_name(key, ""), network=value)
                             for key, value in held.per_target.get(name, {}).items()])
        for name in names
    ]  # fmt: skip


def held_out_metrics(held: HeldOut) -> list[MetricNumbers]:
    return [
        MetricNumbers(
            name, shown_name(name, held.rarer), network=value,
            constant=held.constant.get(name, math.nan), linear=held.linear.get(name, math.nan),
            error=held.errors.get(name, math.nan),
        )
        for name, value in held.network.items() if name != "base_rate"
    ]  # fmt: skip
