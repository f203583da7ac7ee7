"""The numbers of a model, and of a model on a table."""

from __future__ import annotations

import hashlib
import importlib.metadata
import math
import platform
from dataclasses import replace
from typing import Any

import numpy as np

from .. import inspection
from .._utils.version import __version__
from ..datasets import Table
from ..ensembles import Ensemble
from ..tabular import (
    Quality,
    TableFigures,
    TableModel,
    bootstrap,
    drifts,
    parse_costs,
    per_class,
    row_hashes,
    row_losses,
    scores,
    shown_name,
)
from . import _warnings
from ._numbers import (
    ColumnNumbers,
    LayerNumbers,
    MemberNumbers,
    MetricNumbers,
    ReportNumbers,
    ThresholdNumbers,
    WorstRow,
)
from ._recipe import recipe
from ._slices import slices, worst_rows

_MOST_ROWS = 10_000  # of importance and of the diagnosis of layers
_STEPS = 200  # of the threshold
_SOME, _LARGE = 0.1, 0.25  # PSI: the usual limits


def of_model(model: TableModel) -> ReportNumbers:
    """Return the numbers that need no table.

    Parameters
    ----------
    model : TableModel
    """
    network, state, quality = model.network, model.preprocessing, model.quality
    history = model.history
    held = quality.held_out
    first = network[0] if isinstance(network, Ensemble) else network
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
                                       zeros))  # fmt: skip
    digest = ""
    if quality.digest is not None:
        kept = quality.digest
        text = f"{kept.order} {kept.train.n_rows} {kept.held_out.n_rows}".encode()
        digest = hashlib.sha256(text + kept.train.kept.tobytes()).hexdigest()[:16]
    return ReportNumbers(
        name=network.name,
        target=str(model.target),
        task=model.task,
        classes=[str(label) for label in model.classes],
        source=str(network.extras.get("data", "")),
        trained_rows=model.kept.get("n_rows"),
        shape=shape,
        parameters=int(network.count_params()),
        decisions=model.decisions.to_dict(),
        seed=model.kept.get("seed"),
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
        warnings=[] if held is None else held.warnings(),
        held_out="" if held is None else held.how,
        held_out_rows=0 if held is None else held.n_rows,
        metrics=_held_out_metrics(quality),
        columns=[ColumnNumbers(column.name, column.kind) for column in state.columns],
        left_out=list(state.dropped),
        layers=layers,
        members=members,
    )  # fmt: skip


def _held_out_metrics(quality: Quality) -> list[MetricNumbers]:
    held = quality.held_out
    if held is None:
        return []
    return [
        MetricNumbers(
            name, shown_name(name, held.rarer), network=value,
            constant=held.constant.get(name, math.nan), linear=held.linear.get(name, math.nan),
            error=held.errors.get(name, math.nan),
        )
        for name, value in held.network.items() if name != "base_rate"
    ]  # fmt: skip


def judged_rows(model: TableModel, table: Table) -> tuple[TableFigures, str, int, list[str]]:
    """Return the rows that figures are of, which they are, rows seen in training, and warnings.

    Rows that were held out from the training represent new ones: of the table of the training they
    alone are judged.

    Parameters
    ----------
    model : TableModel
    table : Table

    Returns
    -------
    found : TableFigures
    part : str
    seen : int
    warnings : list of str
    """
    found = TableFigures(model.network, model.preprocessing, table, model.quality)
    digest, total = model.quality.digest, len(found.x)
    if digest is None:
        return found, "all rows", 0, _warnings.too_few(total)
    hashes = row_hashes(found.x, found.encoded_y)
    seen, exact = digest.seen(hashes)
    part = "all rows"
    if seen:
        held = digest.held_out_rows(hashes)
        if len(held):
            found, part = found.part(held), "rows held out from the training"
    judged = len(found.x)
    notes = _warnings.seen_rows(seen, exact, total, judged) + _warnings.too_few(judged)
    return found, part, seen, notes


def on_table(
    numbers: ReportNumbers,
    model: TableModel,
    found: TableFigures,
    importance: inspection.Importance,
    *,
    rows: bool = True,
    seed: int = 0,
) -> ReportNumbers:
    """Add what a table tells.

    Parameters
    ----------
    numbers : ReportNumbers
        Of `of_model`.
    model : TableModel
    found : TableFigures
        Of `judged_rows`.
    importance : Importance
    rows : bool
        Whether single rows are shown.
    seed : int

    Returns
    -------
    ReportNumbers
    """
    quality, task = model.quality, model.task
    quantile = _quantile(model)
    y = found.y
    outputs = found.outputs
    if task == "regression":
        outputs = np.asarray(model.preprocessing.values(outputs), np.float64).reshape(-1)
    losses = row_losses(task, y, outputs, quantile)
    rarer = quality.rarer(model.classes, y) if task == "classification" else None
    columns = _columns(numbers.columns, model, found, importance)
    worst_columns: list[str] = []
    worst: list[WorstRow] = []
    if rows:
        order = [int(i) for i in importance.order]
        worst_columns, worst = worst_rows(found, found.table, losses, order)
    layers, verdict = _layers(numbers.layers, model, found)
    return replace(
        numbers,
        rows=len(y),
        metrics=_metrics(numbers.metrics, task, y, outputs, quantile, rarer, model, seed),
        classes_table=[] if task == "regression" else per_class(
            y, found.probabilities, found.labels, chosen=found.predicted
        ),
        threshold=_threshold(found, quality) if len(found.labels) == 2 else None,
        coverage=_coverage(found, outputs),
        loss_name=_loss_name(task, quantile),
        importance_metric=importance.metric.replace("_", " "),
        columns=columns,
        slices=slices(found, losses),
        worst_columns=worst_columns,
        worst=worst,
        layers=layers,
        verdict=verdict,
        members=_members(numbers.members, model, found, quantile),
        warnings=[
            *numbers.warnings, *_warnings.drifted(columns), *_warnings.one_column(columns),
            *_warnings.dead_layers(layers),
        ],
    )  # fmt: skip


def _quantile(model: TableModel) -> float | None:
    name, _, number = model.decisions.loss.partition(":")
    return float(number) if name == "quantile" else None


def _loss_name(task: str, quantile: float | None) -> str:
    if task == "classification":
        return "log loss"
    return "squared error" if quantile is None else "pinball loss"


def sampled(found: TableFigures, most: int = _MOST_ROWS) -> TableFigures:
    """Return at most so many of the rows, evenly spread."""
    n = len(found.x)
    if n <= most:
        return found
    return found.part(np.unique(np.linspace(0, n - 1, most).round().astype(int)))


def _metrics(
    held: list[MetricNumbers],
    task: str,
    y: np.ndarray,
    outputs: np.ndarray,
    quantile: float | None,
    rarer: int | None,
    model: TableModel,
    seed: int,
) -> list[MetricNumbers]:
    found = scores(task, y, outputs, None, quantile, rarer)
    ends = {} if len(y) < 2 else bootstrap(task, y, outputs, None, quantile, rarer, seed=seed)
    known = {metric.name: metric for metric in held}
    name_of = "" if rarer is None else str(model.classes[rarer])
    result = []
    for name, value in found.items():
        low, high = ends.get(name, (math.nan, math.nan))
        base = known.get(name) or MetricNumbers(name, shown_name(name, name_of))
        result.append(replace(base, value=float(value), low=low, high=high))
    return result


def _threshold(found: TableFigures, quality: Quality) -> ThresholdNumbers:
    p, one = found.probabilities[:, 1], found.y == 1
    own = 0.5 if quality.threshold is None else quality.threshold.value
    values = np.unique(np.r_[np.arange(_STEPS + 1) / _STEPS, own])
    # A row counts as positive if its probability is above the threshold.
    true, false = (
        len(part) - np.searchsorted(np.sort(part), values, side="right")
        for part in (p[one], p[~one])
    )
    rule = "" if quality.threshold is None else quality.threshold.rule
    costs = parse_costs(rule.removeprefix("cost ")) if rule.startswith("cost ") else (1.0, 1.0)
    return ThresholdNumbers(
        [float(v) for v in values], [int(v) for v in true], [int(v) for v in false],
        int(one.sum()), int((~one).sum()), int(np.searchsorted(values, own)), *costs, rule,
    )  # fmt: skip


def _coverage(found: TableFigures, outputs: np.ndarray) -> dict[str, float]:
    interval, y = found.quality.interval, found.y
    if interval is None:
        return {}
    if found.is_classification:
        inside = interval.sets(found.probabilities)
        return {"level": interval.level, "coverage": float(inside[np.arange(len(y)), y].mean()),
                "classes": float(inside.sum(axis=1).mean())}  # fmt: skip
    low, high = (np.asarray(end).reshape(-1) for end in interval.interval(outputs))
    return {"level": interval.level, "coverage": float(((low <= y) & (y <= high)).mean()),
            "width": float((high - low).mean())}  # fmt: skip


def _columns(
    known: list[ColumnNumbers],
    model: TableModel,
    found: TableFigures,
    importance: inspection.Importance,
) -> list[ColumnNumbers]:
    state = model.kept.get("profile", [])
    drift = drifts(state, model.preprocessing, found.x, f"model {model.network.name!r}")
    result = []
    mean, std = importance.mean, importance.std
    for i, column in enumerate(known):
        column = replace(column, importance=float(mean[i]), deviation=float(std[i]))
        if column.name in drift:
            profile, far = drift[column.name]
            clear = far.psi > far.chance
            size = "none"
            if clear and far.psi > _SOME:
                size = "large" if far.psi > _LARGE else "some"
            has = model.preprocessing.columns[i].indicator
            column = replace(
                column, psi=far.psi, ks=far.ks, unknown=far.unknown, drift=size,
                missing=far.missing if has else math.nan,
                trained_missing=profile.missing if has else math.nan,
            )  # fmt: skip
        result.append(column)
    return result


def _layers(
    known: list[LayerNumbers], model: TableModel, found: TableFigures
) -> tuple[list[LayerNumbers], str]:
    if isinstance(model.network, Ensemble):
        return known, ""
    part = sampled(found)
    report = inspection.layer_report(model.network, part.x, part.encoded_y)
    layers = [
        replace(layer, dead=float(found.dead), verdict=found.verdict)
        for layer, found in zip(known, report.layers, strict=True)
    ]
    return layers, report.verdict


def _members(
    known: list[MemberNumbers], model: TableModel, found: TableFigures, quantile: float | None
) -> list[MemberNumbers]:
    result = []
    for member, network in zip(known, model.network if known else (), strict=True):
        outputs: Any = network.predict(found.x, verbose=0)
        if model.task == "regression":
            outputs = np.asarray(model.preprocessing.values(outputs), np.float64).reshape(-1)
        loss = row_losses(model.task, found.y, outputs, quantile)
        result.append(replace(member, loss=float(loss.mean())))
    return result
