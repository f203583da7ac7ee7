"""Loss and metrics of given rows: from the kernels where they know them, else from predictions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import metrics, threads
from .._model.compatibility import metric_kind
from .._utils.progress import ProgressLine
from ..callbacks import as_list, overriding
from .data import Rows

if TYPE_CHECKING:
    from .._model.model import Model
    from ..callbacks import Callback
    from ..metrics import Metric

_LONG = 4_000_000_000  # multiplications that take a tenth of a second or so


def batch_hooks(callbacks: Iterable[Callback], kind: str) -> list[Callable[..., None]] | None:
    """Return the hooks before and after a part of the rows, flat in pairs; None if none."""
    names = f"on_{kind}_batch_begin", f"on_{kind}_batch_end"
    wanted = overriding(callbacks, *names)
    return [getattr(callback, name) for callback in wanted for name in names] or None


def hooked(model: Model, callbacks: Any, kind: str) -> tuple[list[Callback], Any]:
    """Return callbacks of evaluate or predict that have hooks, and those hooks of parts."""
    if callbacks is None:
        return [], None
    given = as_list(callbacks)
    for callback in given:
        callback.set_model(model)
    wanted = overriding(given, f"on_{kind}_begin", f"on_{kind}_end")
    return wanted, batch_hooks(given, kind)


def _spans(
    model: Model, label: str, n_rows: int, verbose: int | str, hooks: Any = None
) -> Iterator[tuple[int, int]]:
    """Cut rows into spans of bounded work; shows progress, and lets signals in between."""
    size = max(256, _LONG // model._n_weights)
    if n_rows <= size and not hooks:
        yield 0, n_rows
        return
    with ProgressLine(label, n_rows, "rows", enabled=verbose in (1, "auto")) as line:
        for batch, start in enumerate(range(0, n_rows, size)):
            stop = min(start + size, n_rows)
            for hook in hooks[::2] if hooks else ():
                hook(batch, {})
            yield start, stop
            for hook in hooks[1::2] if hooks else ():
                hook(batch, {})
            line.update(stop)


def predict(
    model: Model, x: np.ndarray, out: np.ndarray, verbose: int | str = 0, callbacks: Any = None
) -> None:
    """Write the output for each row of x to out."""
    network = model.ready(trained=False)
    wanted, parts = hooked(model, callbacks, "predict")
    for callback in wanted:
        callback.on_predict_begin({})
    n_threads, automatic = threads.resolve()
    for start, stop in _spans(model, "predict", len(x), verbose, parts):
        network.predict(x[start:stop], out[start:stop], n_threads=n_threads, automatic=automatic)
    for callback in wanted:
        callback.on_predict_end({})


def evaluate(
    model: Model,
    rows: Rows,
    verbose: int | str = 0,
    hooks: list[Callable[..., None]] | None = None,
) -> list[float]:
    """Return [loss with penalty, metrics...], in the order of the model's metrics.

    Parameters
    ----------
    model : Model
        Compiled.
    rows : Rows
    verbose : {0, 1, 2, 'auto'}
    hooks : list of callable, optional
        As `batch_hooks` returns them.
    """
    network, loss = model.ready(), model.loss
    assert loss is not None
    kind = metric_kind(loss, rows.y, network.n_outputs)
    names = [metric.engine_name(kind, network.n_outputs) for metric in model.metrics]
    out = None
    if loss.in_python or None in names:
        out = np.empty((len(rows.x), network.n_outputs), model.dtype)
    n_threads, automatic = threads.resolve()
    counted = [name for name in names if name is not None]
    sums = [0.0] * (1 + len(counted))
    for start, stop in _spans(model, "evaluate", len(rows.x), verbose, hooks):
        x, y = rows.x[start:stop], rows.y[start:stop]
        weight = None if rows.weight is None else rows.weight[start:stop]
        part = None
        if out is not None:
            part = out[start:stop]
            network.predict(x, part, n_threads=n_threads, automatic=automatic)
        if loss.in_python:
            values = loss.rows(y, part)
            value = (values if weight is None else values * weight).mean()
            means = [metrics.FUNCTIONS[name](y, part).mean() for name in counted]
        else:
            value, means = network.evaluate(x, y, weight, n_threads=n_threads, automatic=automatic)
        for i, mean in enumerate((value, *means)):
            sums[i] += (stop - start) * mean
    found = [total / len(rows.x) for total in sums]
    with network.lock:  # between two steps, if another thread trains it
        results = [float(found.pop(0) + network.penalty())]
    for metric, name in zip(model.metrics, names, strict=True):
        if name is None:
            assert out is not None
            results.append(metric.read(rows.y, out))
        else:
            results.append(float(metric.finish(np.array([found.pop(0)]), rows.y)[0]))
    return results


def reported(names: list[str], values: list[float], return_dict: bool) -> Any:
    """Return the loss and metrics as `evaluate` does: by name, as a list, or the loss alone."""
    if return_dict:
        return dict(zip(names, values, strict=True))
    return values if len(values) > 1 else values[0]


def scores(model: Model, wanted: list[Metric], rows: Rows) -> dict[str, float]:
    """Return the values of metrics that need all predictions, by name."""
    network = model.ready()
    out = np.empty((len(rows.x), network.n_outputs), model.dtype)
    predict(model, rows.x, out)
    return {metric.name: metric.read(rows.y, out) for metric in wanted}
