"""Diagnose layers: activations, gradients, and a verdict in words."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from .._model.model import Model, all_or_nothing
from .._training import data, evaluation
from .._utils import arguments, cards
from ..layers import Dense

# Limits of the error signal as a share of the output's. Fresh networks that train well stay
# between 1e-4 and 10; fifteen layers with the lecture's initial weights have 1e-11.
VANISHED, EXPLODED = 1e-5, 1e3
# Shares of units to report. Networks of one input often do well with half of their units dead.
_MANY_DEAD, _MANY_SATURATED = 0.75, 0.5
_EDGE = 0.01  # sigmoid or tanh: saturated within this share of the range from an end
_MOST = 0.9  # share of rows on which a saturated unit is
_SAMPLE, _FEWEST = 32, 4  # most and fewest rows for error signals
_WORK = 1 << 28  # at most this many weights times rows
_HELD = 1 << 22  # at most this many activations in memory
_SHOWN = 20  # layers on a notebook's card
_LONGEST = 400  # letters of the verdict in the repr
_RANGES = {"sigmoid": (0.0, 1.0), "tanh": (-1.0, 1.0)}


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


@dataclass(frozen=True)
class LayerFigures:
    """Activations of a Dense layer, and the gradient by its weights.

    Parameters
    ----------
    name, activation : str
    units : int
    dead : float
        Share of units that are zero for every row.
    saturated : float or None
        Share of units that are within 1% of an end of their range for at least 90% of the rows.
        None if the activation has no such ends.
    mean, std : float
        Mean and standard deviation of the activations, over rows and units.
    weight_norm, gradient_norm : float
        Euclidean norms of the weights, and of the gradient of the loss by them over all rows,
        without penalty.
    ratio : float
        gradient_norm / weight_norm; NaN if all weights are zero.
    error_signal : float
        Norm of the gradient by the linear part of the layer, as a share of that at the output.
        Root mean square over single rows, so that rows cannot cancel. NaN in all layers if the
        output has no gradient, infinite in all layers if it overflows in one.
    verdict : str
        'ok', or what is wrong.
    """

    name: str
    activation: str
    units: int
    dead: float
    saturated: float | None
    mean: float
    std: float
    weight_norm: float
    gradient_norm: float
    ratio: float
    error_signal: float
    verdict: str


@dataclass(frozen=True)
class LayerReport:
    """Diagnosis of the layers of a network.

    Parameters
    ----------
    layers : list of LayerFigures
        The Dense layers, in order.
    verdict : str
        One or more sentences on the network as a whole, worst problem first.
    """

    layers: list[LayerFigures]
    verdict: str

    def to_dict(self) -> dict[str, Any]:
        """Return the report as a JSON document, which may hold NaN."""
        return asdict(self)

    def __repr__(self) -> str:
        return f"<LayerReport: {len(self.layers)} layers; {_cut(self.verdict)}>"

    def _repr_html_(self) -> str:
        """Return a table of the layers and the verdict, for notebooks."""
        rows = [
            [
                f"{layer.name}, {layer.activation}", f"{layer.units:,}", f"{layer.dead:.0%}",
                "" if layer.saturated is None else f"{layer.saturated:.0%}",
                f"{layer.ratio:.2g}", f"{layer.error_signal:.2g}", layer.verdict,
            ]
            for layer in self.layers
        ]  # fmt: skip
        shown = rows if len(rows) <= _SHOWN else [*rows[: _SHOWN - 1], rows[-1]]
        left = len(rows) - len(shown)
        head = ["layer", "units", "dead", "saturated", "|dw|/|w|", "error signal", "verdict"]
        return cards.card(
            "Layers", self.verdict, cards.table(head, shown),
            f"{left:,} layers are not shown" if left else "",
        )  # fmt: skip

    def __str__(self) -> str:
        width = max(5, *(len(layer.name) for layer in self.layers))
        saturable = any(layer.saturated is not None for layer in self.layers)
        heads = ["dead", *(["saturated"] if saturable else []),
                 "mean", "std", "|w|", "|dw|", "ratio", "signal"]  # fmt: skip
        lines = [f"{'layer':<{width}}" + "".join(f"{head:>10}" for head in heads) + "  verdict"]
        for layer in self.layers:
            shares = ["" if share is None else f"{share:.0%}"
                      for share in (layer.dead, layer.saturated)[: 1 + saturable]]  # fmt: skip
            sizes = [f"{size:.2g}" for size in (layer.mean, layer.std, layer.weight_norm,
                     layer.gradient_norm, layer.ratio, layer.error_signal)]  # fmt: skip
            cells = "".join(f"{cell:>10}" for cell in (*shares, *sizes))
            lines.append(f"{layer.name:<{width}}{cells}  {layer.verdict}")
        return "\n".join([*lines, self.verdict])


@all_or_nothing
def layer_report(model: Model, x: Any, y: Any = None) -> LayerReport:
    """Report activations and gradients of each layer, and diagnose the network.

    Parameters
    ----------
    model : Model
    x : array-like of shape (n, n_inputs)
        All or some of the training rows.
    y : array-like, optional
        With y, gradients are those of the loss without penalty; without y, those of the summed
        output. Dropout is off. Leave y out for a loss written in Python.

    Returns
    -------
    LayerReport
        Its verdict names vanishing and exploding gradients, dead layers and saturation.
    """
    x = arguments.instance("model", model, Model).checked_inputs(x)
    model.ready(trained=y is not None)
    if y is not None:
        y = data.targets(model, y, len(x))
    layers = model.dense_layers
    with _without_penalty(model), np.errstate(over="ignore", invalid="ignore"):
        norms = [(_norm(layer.get_weights()[0]), _norm(dw)) for layer, (dw, _) in
                 zip(layers, evaluation.gradients(model, x, y), strict=True)]  # fmt: skip
        signals = _error_signals(model, x, y)
        outputs = [_ActivationSums(layer) for layer in layers]
        size = max(1, _HELD // sum(layer.units for layer in layers))
        for start in range(0, len(x), size):
            part = evaluation.activations(model, x[start : start + size])
            values = dict(zip(model.layers, part, strict=True))
            for output in outputs:
                output.add(values[output.layer])
    rows = []
    for i, (layer, output) in enumerate(zip(layers, outputs, strict=True)):
        weights, gradient = norms[i]
        figures: dict[str, Any] = {
            "dead": output.dead,
            "saturated": output.saturated,
            "mean": output.mean,
            "std": output.std,
            "weight_norm": weights,
            "gradient_norm": gradient,
            "ratio": gradient / weights if weights else math.nan,
            "error_signal": signals[i],
        }
        found = _findings(figures, last=i == len(layers) - 1)
        verdict = ", ".join(found) or "ok"
        rows.append(LayerFigures(layer.name, layer.activation, layer.units, **figures,
                                 verdict=verdict))  # fmt: skip
    return LayerReport(rows, _overall(rows))


def _norm(array: np.ndarray) -> float:
    return float(np.linalg.norm(array.astype(np.float64)))


@contextlib.contextmanager
def _without_penalty(model: Model) -> Iterator[None]:
    """Set all penalties to zero: their gradient would hide a missing gradient of the data."""
    network = model.network
    with network.lock:  # another thread may train with the penalties
        for i in range(network.n_layers):
            network.set_penalty(i)
        try:
            yield
        finally:
            model.apply_penalties(network)


class _ActivationSums:
    """A layer's activations, accumulated in blocks of rows."""

    def __init__(self, layer: Dense) -> None:
        self.layer = layer
        self.n_rows = 0
        self.mean = self._squares = 0.0  # sum of squared distances from the mean
        self._alive = np.zeros(layer.units, bool)
        self._at_ends = np.zeros(layer.units, np.int64)

    def add(self, values: np.ndarray) -> None:
        """Add the activations (n, units) of a block of rows."""
        self._alive |= values.any(axis=0)
        if self.layer.activation in _RANGES:
            low, high = _RANGES[self.layer.activation]
            edge = _EDGE * (high - low)
            self._at_ends += np.count_nonzero(
                (values < low + edge) | (values > high - edge), axis=0
            )
        wide = values.astype(np.float64)
        n, mean = self.n_rows, float(wide.mean())
        share = len(values) / (n + len(values))
        step = mean - self.mean
        self._squares += float(np.square(wide - mean).sum())
        self._squares += step**2 * n * share * self.layer.units
        self.mean += step * share
        self.n_rows += len(values)

    @property
    def std(self) -> float:
        return math.sqrt(self._squares / (self.n_rows * self.layer.units))

    @property
    def dead(self) -> float:
        return float(np.mean(~self._alive))

    @property
    def saturated(self) -> float | None:
        if self.layer.activation not in _RANGES:
            return None
        return float(np.mean(self._at_ends >= _MOST * self.n_rows))


def _error_signals(model: Model, x: np.ndarray, y: np.ndarray | None) -> list[float]:
    """Return, for each Dense layer, the error signal as a share of the output layer's.

    For a single row the error signal is the norm of the gradient by the biases. Without biases it
    is the norm of the gradient by the weights divided by the norm of the layer's inputs.
    """
    layers = model.dense_layers
    n = min(_SAMPLE, max(_FEWEST, _WORK // max(1, model.count_params())), len(x))
    squares, counts = np.zeros(len(layers)), np.zeros(len(layers))
    for i in np.unique(np.linspace(0, len(x) - 1, n).round().astype(int)):
        row, target = x[i : i + 1], None if y is None else y[i : i + 1]
        gradients = evaluation.gradients(model, row, target)
        incoming = [row if model.encoding is None else model.encoding(row)]
        if not all(layer.use_bias for layer in layers):
            incoming += [values for layer, values in
                         zip(model.layers, evaluation.activations(model, row), strict=True)
                         if layer in layers]  # fmt: skip
        for k, (layer, (dw, db)) in enumerate(zip(layers, gradients, strict=True)):
            size = 1.0 if layer.use_bias else _norm(incoming[k])
            if size:  # without bias, a row of zeros has no gradient
                squares[k] += (_norm(db if layer.use_bias else dw) / size) ** 2
                counts[k] += 1
    norms = np.sqrt(squares / np.maximum(counts, 1))
    if not np.isfinite(norms).all():
        return [math.inf] * len(layers)
    if not norms[-1]:
        return [math.nan] * len(layers)
    return [float(norm) for norm in norms / norms[-1]]


# ---- words -----------------------------------------------------------------------------------


def _findings(figures: dict[str, Any], last: bool) -> list[str]:
    """Name what is wrong with a layer."""
    signal = figures["error_signal"]
    sizes = (figures["mean"], figures["std"], figures["gradient_norm"])
    found = []
    if not all(map(math.isfinite, sizes)) or signal > EXPLODED:
        found.append("exploding gradient")
    elif signal == 0:
        found.append("no gradient")
    elif signal < VANISHED:
        found.append("vanishing gradient")
    if not figures["weight_norm"]:
        found.append("weights all zero")
    elif figures["dead"] == 1:
        found.append("dead layer")
    elif figures["dead"] >= _MANY_DEAD:
        found.append("many dead units")
    # A saturated output layer is normal in a confident classifier.
    if not last and (figures["saturated"] or 0) >= _MANY_SATURATED:
        found.append("saturated units")
    return found


def _overall(layers: list[LayerFigures]) -> str:
    """Return a sentence for each problem, worst first."""

    def affected(finding: str) -> list[LayerFigures]:
        return [layer for layer in layers if finding in layer.verdict]

    def place(some: list[LayerFigures]) -> str:
        names = [f"'{layer.name}'" for layer in some]
        listed = ", ".join(names if len(names) < 4 else [*names[:2], "...", names[-1]])
        return f"{len(some)} of {len(layers)} layers ({listed})"

    said = []
    if vanishing := affected("vanishing gradient"):
        least = min(vanishing, key=lambda layer: layer.error_signal)
        said.append(
            f"Vanishing gradients: from the output back to layer '{least.name}' the error signal "
            f"shrinks to {least.error_signal:.1e} of its size; {place(vanishing)} learn slowly "
            "or not at all."
        )
    if exploding := affected("exploding gradient"):
        most = max(exploding, key=lambda layer: layer.error_signal)
        grows = f"grows to {most.error_signal:.1e} times its size"
        if not math.isfinite(most.error_signal):
            grows = "is no longer a finite number"
        said.append(
            f"Exploding gradients: from the output back to layer '{most.name}' the error signal "
            f"{grows}; {place(exploding)} learn in leaps or not at all."
        )
    if zero := affected("weights all zero"):
        said.append(
            f"Weights are all zero in {place(zero)}: the output is a constant, and no gradient "
            "passes."
        )
    if dead := affected("dead layer"):
        said.append(
            f"Dead layers: every unit is zero for every row in {place(dead)}; no gradient passes."
        )
    if some := affected("many dead units"):
        said.append(f"Dead units: three in four or more are zero for every row in {place(some)}.")
    if some := affected("saturated units"):
        said.append(
            f"Saturation: half or more of the units stay at the ends of their range in "
            f"{place(some)}; little gradient passes."
        )
    if math.isnan(layers[-1].error_signal) and not exploding:
        said.append("There is no gradient at the output: the loss is at a minimum for every row.")
    elif not said and affected("no gradient"):
        said.append(f"No gradient reaches {place(affected('no gradient'))}.")
    return " ".join(said) or "Healthy: gradients of a usable size reach every layer."
