"""How good a model's predictions of a table are: figures, their intervals, and what it has seen."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from fastmlp.datasets import ParquetStream, Table
    from fastmlp.preprocessing import Preprocessing
    from fastmlp.tabular import Quality

    from ._model import Loaded
    from ._output import Messages


@dataclass
class JudgedRows:
    """A table's rows, as a network takes them, and what the model gives for them.

    Parameters
    ----------
    outputs, y : ndarray of shape (n, n_outputs), (n, n_targets)
        The network's outputs and targets.
    hashes : ndarray of shape (n,)
        `tabular.row_hashes` of the rows.
    x : ndarray, optional
        The inputs, unless the rows are streamed.
    notes : list of str
        About rows left out, unknown categories and missing cells.
    """

    outputs: np.ndarray
    y: np.ndarray
    hashes: np.ndarray
    x: np.ndarray | None
    notes: list[str] = field(default_factory=list)

    def part(self, rows: np.ndarray) -> JudgedRows:
        """Return some of the rows."""
        x = None if self.x is None else self.x[rows]
        return JudgedRows(self.outputs[rows], self.y[rows], self.hashes[rows], x, self.notes)


def predicted(loaded: Loaded, state: Preprocessing, rows: Table | ParquetStream) -> JudgedRows:
    """Predict a table's rows that have a target.

    Parameters
    ----------
    loaded : Loaded
    state : Preprocessing
    rows : Table or ParquetStream

    Returns
    -------
    JudgedRows
    """
    from fastmlp import datasets, preprocessing, tabular

    model = loaded.model
    dtype = model.dtype.name
    if isinstance(rows, datasets.Table):
        usable, note = preprocessing.usable_rows(rows, [t.name for t in state.all_targets])
        unseen: dict[str, int] = {}
        filled: dict[str, int] = {}
        y = state.targets(rows, dtype, usable)
        x = state.inputs(rows, dtype, unseen=unseen, filled=filled)
        x = x if len(usable) == len(x) else x[usable]
        outputs = model.predict(x, verbose=0)
        notes = note, state.unseen_note(unseen), state.filled_note(filled)
        hashes = tabular.row_hashes(x, y)
        return JudgedRows(outputs, y, hashes, x, [text for text in notes if text is not None])
    found: list[tuple[np.ndarray, ...]] = []
    for x, y_part in rows.arrays(dtype):
        assert y_part is not None
        found.append((model.predict(x, verbose=0), y_part, tabular.row_hashes(x, y_part)))
    outputs, y, hashes = (np.concatenate(parts) for parts in zip(*found, strict=True))
    return JudgedRows(outputs, y, hashes, None, rows.notes)


def held_out(rows: JudgedRows, quality: Quality, path: str, data: str) -> JudgedRows:
    """Return the rows of the training's file that were held out.

    Raises
    ------
    DataError
        If none of the rows was, or the model keeps none.
    """
    from fastmlp.errors import DataError

    digest = quality.digest
    if digest is None or not digest.held_out.n_rows:
        why = "no rows were held out from its training"
        if quality.held_out is not None and "cross-validation" in quality.held_out.how:
            why = f"it was judged by {quality.held_out.how} and trained on all rows"
        elif digest is None:
            why = "it does not keep which rows were held out (fastmlp train on a table does)"
        raise DataError(f"{path}: the model has no held-out rows: {why}; leave --part out")
    chosen = digest.held_out_rows(rows.hashes)
    if not len(chosen):
        raise DataError(
            f"{data}: none of these rows was held out from the training of {path}; --part held-out "
            "is for the table that it was trained on"
        )
    return rows.part(chosen)


def document(
    loaded: Loaded, state: Preprocessing, rows: JudgedRows, quality: Quality, report: Messages
) -> dict[str, Any]:
    """Return the figures of rows, their intervals, and more where it applies.

    Returns
    -------
    dict
        'scores' and 'intervals' (95%); 'rarer', the class of PR-AUC; 'per_class' or 'per_target';
        'threshold'; 'interval', the coverage of the model's intervals or sets; 'seen', how many of
        the rows it was trained on.
    """
    from fastmlp import tabular

    task, y, loss = state.task, rows.y, loaded.model.loss
    result: dict[str, Any] = {"scores": {}, "intervals": {}}
    quantile = getattr(loss, "quantile", None)
    out = rows.outputs
    if task == "regression":
        y, out = state.values(y), state.values(out)
    elif not _are_probabilities(out):
        report.note("The outputs are not probabilities: there are only loss and metrics.")
        return result
    rarer = quality.rarer(state.target.labels, y)
    result["scores"] = tabular.scores(task, y, out, None, quantile, rarer)
    if rarer is not None:
        result["rarer"] = str(state.target.labels[rarer])
    if len(y) > 1:
        result["intervals"] = {
            name: list(pair)
            for name, pair in tabular.bootstrap(task, y, out, None, quantile, rarer).items()
        }
    names = [target.name for target in state.all_targets]
    if len(names) > 1:
        result["per_target"] = {
            name: tabular.scores(task, y[:, j], out[:, j], None, quantile)
            for j, name in enumerate(names)
        }
    if task == "classification":
        threshold = quality.threshold
        codes = None if threshold is None else threshold.codes(out)
        result["per_class"] = tabular.per_class(y, out, state.target.labels, chosen=codes)
        if threshold is not None:
            found = tabular.best_threshold(y, out, threshold.value).to_dict()
            accuracy = float(np.mean(codes == y[:, 0]))
            result["threshold"] = {**found, "rule": threshold.rule, "accuracy": accuracy}
    if quality.interval is not None:
        result["interval"] = _coverage(quality.interval, y, out)
    if quality.digest is not None:
        n_seen, exact = quality.digest.seen(rows.hashes)
        result["seen"] = {"rows": n_seen, "exact": exact}
        if n_seen:
            about = "" if exact else "about "
            unseen = "these figures are too good for new rows"
            report.note(
                f"The model was trained on {about}{n_seen:,} of these {len(y):,} rows: {unseen}."
            )
    return result


def _are_probabilities(out: np.ndarray) -> bool:
    good = bool(((out >= 0) & (out <= 1)).all())
    return good and (out.shape[1] == 1 or bool((abs(out.sum(axis=1) - 1) < 1e-3).all()))


def _coverage(interval: Any, y: np.ndarray, out: np.ndarray) -> dict[str, Any]:
    if interval.task == "classification":
        inside = interval.sets(out)
        own = inside[np.arange(len(y)), y[:, 0].astype(int)]
        return {"level": interval.level, "coverage": float(own.mean()),
                "classes": float(inside.sum(axis=1).mean())}  # fmt: skip
    low, high = interval.interval(out)
    return {"level": interval.level, "coverage": float(((low <= y) & (y <= high)).mean()),
            "width": float((high - low).mean())}  # fmt: skip
