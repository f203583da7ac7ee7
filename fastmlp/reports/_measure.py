"""The numbers of a model on a table."""

from __future__ import annotations

import copy
import math
from dataclasses import replace

import numpy as np

from .. import inspection
from ..datasets import Table
from ..ensembles import Ensemble
from ..errors import DataError
from ..tabular import (
    Baselines,
    HeldOut,
    Quality,
    TableFigures,
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
from ._known import held_out_metrics
from ._numbers import (
    ColumnNumbers,
    LayerNumbers,
    MemberNumbers,
    MetricNumbers,
    ReportNumbers,
    TargetNumbers,
    ThresholdNumbers,
    WorstRow,
)
from ._slices import slices, worst_rows
from ._subject import Subject

_MOST_ROWS, _FEWEST_ROWS = 10_000, 200  # of importance and of the diagnosis of layers
_WORK = 2e10  # multiplications for one of these, so that the time is bounded
_FOLDS = 5  # of the simple models that a model's own training did not fit
_STEPS = 200  # of the threshold
_SOME, _LARGE = 0.1, 0.25  # PSI: the usual limits


def judged_rows(model: Subject, table: Table) -> tuple[TableFigures, str, int, list[str]]:
    """Return the rows that figures are of, which they are, rows seen in training, and warnings.

    Rows that were held out from the training represent new ones: of the table of the training they
    alone are judged.

    Parameters
    ----------
    model : Subject
    table : Table

    Returns
    -------
    found : TableFigures
        Of the first target.
    part : str
    seen : int
    warnings : list of str
    """
    if model.first.loss is None:
        raise ValueError(
            "a model that is judged on a table needs a loss: call compile. Received: a model that "
            "is not compiled"
        )
    first = model.preprocessing.target.name
    found = TableFigures(model.network, model.preprocessing, table, model.quality, first)
    if found.is_classification and not _are_probabilities(found.outputs):
        raise DataError(
            f"model {model.network.name!r} does not return probabilities: its last layer needs the "
            "activation sigmoid or softmax to be judged on classes"
        )
    if model.first.loss.name == "categorical_crossentropy":
        found.encoded_y = np.eye(len(found.labels), dtype=found.x.dtype)[found.y]
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
    model: Subject,
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
    model : Subject
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
    columns = _columns(numbers.columns, model, found, importance)
    order = [int(i) for i in importance.order] if rows else None
    targets, notes = [], []
    for place, known in enumerate(numbers.targets):
        target, warned = _target(known, model, found.of_target(place), order, seed)
        targets.append(target)
        notes += warned
    layers, verdict = _layers(numbers.layers, model, found)
    return replace(
        numbers,
        rows=len(found.x),
        targets=targets,
        importance_metric=importance.metric.replace("_", " "),
        columns=columns,
        layers=layers,
        verdict=verdict,
        members=_members(numbers.members, model, found),
        warnings=[
            *numbers.warnings, *notes, *_warnings.drifted(columns), *_warnings.one_column(columns),
            *_warnings.dead_layers(layers),
        ],
    )  # fmt: skip


def _target(
    known: TargetNumbers,
    model: Subject,
    found: TableFigures,
    order: list[int] | None,
    seed: int,
) -> tuple[TargetNumbers, list[str]]:
    """Judge one target; return warnings, too. `order` is None if single rows are not shown."""
    quality, task, y = model.quality, model.task, found.y
    quantile = _quantile(model)
    outputs = found.outputs if task == "classification" else found.predicted
    losses = row_losses(task, y, outputs, quantile)
    rarer = quality.rarer(model.classes, y) if task == "classification" else None
    worst_columns: list[str] = []
    worst: list[WorstRow] = []
    if order is not None:
        worst_columns, worst = worst_rows(found, found.table, losses, order)
    notes: list[str] = []
    held = known.metrics
    if quality.held_out is None:
        simple = _simple(found, outputs, quantile, seed)
        if simple is not None:
            held, notes = held_out_metrics(simple), simple.warnings()
    result = replace(
        known,
        metrics=_metrics(held, task, y, outputs, quantile, rarer, model, seed),
        classes_table=[] if task == "regression" else per_class(
            y, found.probabilities, found.labels, chosen=found.predicted
        ),
        threshold=_threshold(found, quality) if len(found.labels) == 2 else None,
        coverage=_coverage(found, outputs),
        loss_name=_loss_name(task, quantile),
        slices=slices(found, losses),
        worst_columns=worst_columns,
        worst=worst,
    )  # fmt: skip
    return result, notes


def _simple(
    found: TableFigures, outputs: np.ndarray, quantile: float | None, seed: int
) -> HeldOut | None:
    """Compare with a constant, and with a linear model that was fitted to the other rows."""
    task, y, n = found.preprocessing.task, found.y, len(found.y)
    if n < 2 * _FOLDS:
        return None
    folds = np.random.default_rng(seed).permutation(n) % _FOLDS
    shape = (n,) if task == "regression" else (n, len(found.labels))
    linear = np.empty(shape)
    x = np.asarray(found.x, np.float64)
    for k in range(_FOLDS):
        own = folds == k
        simple = Baselines.fit(task, x[~own], y[~own], n_classes=len(found.labels) or None,
                               quantile=quantile, seed=seed)  # fmt: skip
        linear[own] = simple.linear(x[own])
    # One constant for all rows: those of the folds would order them.
    middle = np.mean(y) if quantile is None else np.quantile(y, quantile)
    if task == "classification":
        middle = np.bincount(y, minlength=len(found.labels)) / n
    constant = np.broadcast_to(middle, shape)
    return HeldOut.of(
        task, y, outputs, constant, linear, quantile=quantile, how="these rows",
        labels=found.preprocessing.target.labels, seed=seed,
    )  # fmt: skip


def _are_probabilities(out: np.ndarray) -> bool:
    good = bool(((out >= 0) & (out <= 1)).all())
    return good and (out.shape[1] == 1 or bool((abs(out.sum(axis=1) - 1) < 1e-3).all()))


def _quantile(model: Subject) -> float | None:
    quantile: float | None = getattr(model.first.loss, "quantile", None)
    return quantile


def _loss_name(task: str, quantile: float | None) -> str:
    if task == "classification":
        return "log loss"
    return "squared error" if quantile is None else "pinball loss"


def sampled(found: TableFigures, passes: int = 1, most: int = _MOST_ROWS) -> TableFigures:
    """Return as many of the rows, evenly spread, as a large network can pass through so often."""
    n = len(found.x)
    most = int(np.clip(_WORK / (passes * found.network.count_params()), _FEWEST_ROWS, most))
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
    model: Subject,
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
    ends = interval.of_target(found.place).interval(outputs)
    low, high = (np.asarray(end).reshape(-1) for end in ends)
    return {"level": interval.level, "coverage": float(((low <= y) & (y <= high)).mean()),
            "width": float((high - low).mean())}  # fmt: skip


def _columns(
    known: list[ColumnNumbers],
    model: Subject,
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
    known: list[LayerNumbers], model: Subject, found: TableFigures
) -> tuple[list[LayerNumbers], str]:
    if isinstance(model.network, Ensemble):
        return known, ""
    part = sampled(found, 3)
    report = inspection.layer_report(model.network, part.x, part.encoded_y)
    layers = [
        replace(layer, dead=float(found.dead), verdict=found.verdict)
        for layer, found in zip(known, report.layers, strict=True)
    ]
    layers[0] = replace(layers[0], change_points=_change_points(model, found))
    return layers, report.verdict


def _change_points(model: Subject, found: TableFigures) -> int | None:
    """Return how many first units turn on or off within the rows' range of a single input."""
    first = model.first.dense_layers[0]
    if found.x.shape[1] != 1 or model.first.encoding is not None or first.activation != "relu":
        return None
    w, *bias = (np.asarray(part, np.float64).ravel() for part in first.get_weights())
    used = w != 0
    points = -(bias[0] if bias else np.zeros(len(w)))[used] / w[used]
    return int(((points >= found.x.min()) & (points <= found.x.max())).sum())


def _members(
    known: list[MemberNumbers], model: Subject, found: TableFigures
) -> list[MemberNumbers]:
    result = []
    for member, network in zip(known, model.network if known else (), strict=True):
        own = copy.copy(found)
        own.outputs = network.predict(found.x, verbose=0)
        outputs = own.outputs if model.task == "classification" else own.predicted
        loss = row_losses(model.task, found.y, outputs, _quantile(model))
        result.append(replace(member, loss=float(loss.mean())))
    return result
