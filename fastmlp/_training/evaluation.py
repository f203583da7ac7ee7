"""Predictions, losses, metrics, activations and gradients of a model, for arrays of rows.

`Totals` accumulates the loss and the metrics of rows that come in parts; arrays, streams and
shards all use it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import backend, metrics, threads
from .._model.compatibility import metric_kind
from .._utils import arrays
from .._utils.moments import Moments
from .._utils.progress import ProgressLine
from .._utils.sparse import Inputs
from ..callbacks import as_list, overriding
from ..layers import Dense
from . import data
from .data import Rows

if TYPE_CHECKING:
    from .._kernels.interface import Network
    from .._model.model import Model
    from ..callbacks import Callback
    from ..metrics import Metric

Hooks = list[Callable[..., None]]

_LONG = 4_000_000_000  # multiplications that take a tenth of a second or so
_SHORT = 400_000  # multiplications that one thread does faster than two


# ---- parts of the rows -------------------------------------------------------------------------


def batch_hooks(callbacks: Iterable[Callback], kind: str) -> Hooks | None:
    """Return the hooks before and after a part of the rows, flat in pairs; None if none."""
    names = f"on_{kind}_batch_begin", f"on_{kind}_batch_end"
    wanted = overriding(callbacks, *names)
    return [getattr(callback, name) for callback in wanted for name in names] or None


def hooked(model: Model, callbacks: Any, kind: str) -> tuple[list[Callback], Hooks | None]:
    """Return the callbacks with hooks for evaluate or predict, and their hooks for parts."""
    if callbacks is None:
        return [], None
    given = as_list(callbacks)
    for callback in given:
        callback.set_model(model)
    wanted = overriding(given, f"on_{kind}_begin", f"on_{kind}_end")
    return wanted, batch_hooks(given, kind)


def call_hooks(hooks: Hooks | None, after: bool, batch: int) -> None:
    """Call the hooks before a part of the rows, or those after it."""
    for hook in hooks[after::2] if hooks else ():
        hook(batch, {})


def _spans(
    model: Model, label: str, n_rows: int, verbose: int | str, hooks: Hooks | None = None,
    least: int = 256,
) -> Iterator[tuple[int, int]]:  # fmt: skip
    """Cut rows into spans of bounded work; show progress, and let signals in between spans."""
    size = max(least, _LONG // model.n_weights)
    if n_rows <= size and not hooks:
        yield 0, n_rows
        return
    with ProgressLine(label, n_rows, "rows", enabled=verbose in (1, "auto")) as line:
        for batch, start in enumerate(range(0, n_rows, size)):
            stop = min(start + size, n_rows)
            call_hooks(hooks, False, batch)
            yield start, stop
            call_hooks(hooks, True, batch)
            line.update(stop)


# ---- predictions -------------------------------------------------------------------------------


def predict(model: Model, x: Any, verbose: int | str = 0, callbacks: Any = None) -> np.ndarray:
    """Return the output for each row of x; see `Sequential.predict`."""
    network = model.usable_network
    if network is not None and callbacks is None:
        short = network.predict_short(x, _SHORT)
        if short is not None:
            return short
    if network is not None:
        x = model.checked_rows(x)
    else:
        with model.accepting():
            x = model.checked_rows(x)
            as_list(callbacks)
            network = model.ready(trained=False)
    return _outputs(model, network, x, verbose, callbacks)


def _outputs(
    model: Model, network: Network, x: Inputs, verbose: int | str = 0, callbacks: Any = None
) -> np.ndarray:
    """Return the output for each row of x, which is checked."""
    out = np.empty((len(x), network.n_outputs), model.dtype)
    wanted, parts = hooked(model, callbacks, "predict")
    for callback in wanted:
        callback.on_predict_begin({})
    n_threads, automatic = threads.resolve()
    least = max(256, network.sorted_rows)
    for start, stop in _spans(model, "predict", len(x), verbose, parts, least):
        network.predict(x[start:stop], out[start:stop], n_threads=n_threads, automatic=automatic)
    for callback in wanted:
        callback.on_predict_end({})
    return out


def scores(model: Model, wanted: list[Metric], rows: Rows) -> dict[str, float]:
    """Return the values of metrics that need all predictions, by name."""
    out = _outputs(model, model.ready(), rows.x)
    return {metric.name: metric.read(rows.y, out) for metric in wanted}


# ---- loss and metrics --------------------------------------------------------------------------


class Totals:
    """The loss and the metrics of rows that come in parts.

    Parameters
    ----------
    model : Model
        Compiled.
    y : ndarray, optional
        Targets of all rows; None for rows of a stream, which are never in memory as a whole.

    Attributes
    ----------
    n_rows : int
    sums : list of float
        Of the loss without penalty, and of the metrics that are means over rows.
    outputs : list of (y, output) pairs
        Of each part, if a metric needs all predictions; y is None unless rows are streamed.
    moments : Moments
        Of streamed targets.
    """

    def __init__(self, model: Model, y: np.ndarray | None = None) -> None:
        network, loss = model.ready(), model.loss
        assert loss is not None
        self._model, self._network, self._loss, self._y = model, network, loss, y
        kind = metric_kind(loss, np.zeros((1, 1)) if y is None else y, network.n_outputs)
        self._names = [metric.engine_name(kind, network.n_outputs) for metric in model.metrics]
        self._counted = [name for name in self._names if name is not None]
        self._threads = threads.resolve()
        self.n_rows, self.sums = 0, [0.0] * (1 + len(self._counted))
        self.outputs: list[tuple[np.ndarray | None, np.ndarray]] = []
        self.moments = Moments()

    def add(self, x: Inputs, y: np.ndarray, weight: np.ndarray | None = None) -> None:
        """Add a part of the rows."""
        self._accumulate(len(x), self._part_means(x, y, weight))
        self.n_rows += len(x)
        if self._y is None:
            self.moments.add(y[:, 0].astype(np.float64))

    def _accumulate(self, n: int, means: list[float]) -> None:
        for i, mean in enumerate(means):
            self.sums[i] += n * float(mean)

    def _part_means(self, x: Inputs, y: np.ndarray, weight: np.ndarray | None) -> list[float]:
        """Return the means of the loss and the metrics over a part of the rows."""
        network, loss, (n_threads, automatic) = self._network, self._loss, self._threads
        out = None
        if loss.in_python or None in self._names:
            out = np.empty((len(x), network.n_outputs), network.dtype)
            network.predict(x, out, n_threads=n_threads, automatic=automatic)
            if None in self._names:  # a stream overwrites y with its next rows
                self.outputs.append((y.copy() if self._y is None else None, out))
        if loss.in_python:
            values = loss.rows(y, out)
            value = (values if weight is None else values * weight).mean()
            return [value, *(metrics.FUNCTIONS[name](y, out).mean() for name in self._counted)]
        value, means = network.evaluate(x, y, weight, n_threads=n_threads, automatic=automatic)
        return [value, *means]

    @property
    def means(self) -> list[float]:
        """Means of the loss without penalty, and of the metrics that are means over rows."""
        return [total / self.n_rows for total in self.sums]

    def results(self) -> list[float]:
        """Return [loss with penalty, metrics...], in the order of the model's metrics."""
        y, means = self.moments.like() if self._y is None else self._y, list(self.means)
        with self._network.lock:  # between two steps, if another thread trains it
            found = [float(means.pop(0) + self._network.penalty())]
        if None in self._names:
            outputs = _joined([output for _, output in self.outputs])
            targets = self._y if self._y is not None else _joined([y for y, _ in self.outputs])
        for metric, name in zip(self._model.metrics, self._names, strict=True):
            if name is None:
                found.append(metric.read(targets, outputs))
            else:
                found.append(float(metric.finish(np.array([means.pop(0)]), y)[0]))
        return found


class RunningTotals(Totals):
    """The same with means that are updated part by part, as training on a stream does."""

    def __init__(self, model: Model, y: np.ndarray | None = None) -> None:
        super().__init__(model, y)
        self._running = [0.0] * len(self.sums)

    def _accumulate(self, n: int, means: list[float]) -> None:
        share = n / (self.n_rows + n)
        pairs = zip(self._running, means, strict=True)
        self._running = [(1 - share) * old + share * float(new) for old, new in pairs]

    @property
    def means(self) -> list[float]:
        """Means of the loss without penalty, and of the metrics that are means over rows."""
        return self._running


def _joined(parts: list[Any]) -> np.ndarray:
    """Concatenate arrays; a single one is not copied."""
    array: np.ndarray = parts[0] if len(parts) == 1 else np.concatenate(parts)
    return array


def evaluate_rows(
    model: Model, rows: Rows, verbose: int | str = 0, hooks: Hooks | None = None
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
    totals = Totals(model, rows.y)
    for start, stop in _spans(model, "evaluate", len(rows.x), verbose, hooks):
        weight = None if rows.weight is None else rows.weight[start:stop]
        totals.add(rows.x[start:stop], rows.y[start:stop], weight)
    return totals.results()


def evaluate(
    model: Model, x: Any, y: Any, sample_weight: Any, verbose: int | str, callbacks: Any
) -> list[float]:
    """Return [loss with penalty, metrics...]; see `Sequential.evaluate`."""
    with model.accepting():
        rows = data.checked(model, x, y, sample_weight)
        wanted, parts = hooked(model, callbacks, "test")
    for callback in wanted:
        callback.on_test_begin({})
    values = evaluate_rows(model, rows, verbose, parts)
    for callback in wanted:
        callback.on_test_end(reported(model.metrics_names, values, True))
    return values


def reported(names: list[str], values: list[float], return_dict: bool) -> Any:
    """Return the loss and metrics as `evaluate` does: by name, as a list, or the loss alone."""
    if return_dict:
        return dict(zip(names, values, strict=True))
    return values if len(values) > 1 else values[0]


# ---- inside the network ------------------------------------------------------------------------


def activations(model: Model, x: Any) -> list[np.ndarray]:
    """Return every layer's output; see `Sequential.activations`."""
    with model.accepting():
        x = model.checked_rows(x)
        network = model.materialise()
    outputs: list[np.ndarray] = []
    for layer in model.layers:
        if isinstance(layer, Dense) or not outputs:
            outputs.append(backend.activations_of(network, x, layer.dense_index))
        else:
            outputs.append(outputs[-1])
    return outputs


def gradients(
    model: Model, x: Any, y: Any = None, sample_weight: Any = None
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return the gradient by each Dense layer's weights and biases; see `Sequential.gradients`."""
    with model.accepting():
        x = model.checked_rows(x)
        network = model.ready(trained=y is not None)
        if y is not None:
            assert model.loss is not None
            if model.loss.in_python:
                raise RuntimeError(
                    "gradients(x, y) needs one of fastmlp's losses. "
                    f"Received: loss {model.loss.name!r}, written in Python"
                )
            y = data.targets(model, y, len(x))
        weight = arrays.row_weights(sample_weight, len(x), model.dtype)
    n_threads, automatic = threads.resolve()
    with network.lock:  # until they are copied
        network.gradients(x, y, weight, n_threads=n_threads, automatic=automatic)
        found = [
            (np.array(network.weights_gradient(i)), np.array(network.bias_gradient(i)))
            for i in range(network.n_layers)
        ]
    for layer, pair in zip(model.dense_layers, found, strict=True):
        layer.add_proximal_gradients(*(pair if y is not None else ()))
    return found
