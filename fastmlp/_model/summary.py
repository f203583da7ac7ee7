"""A model's summary, a table of text in the style of Keras 2."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import numpy as np

from .._utils import arguments, cards
from ..layers import Dense, Dropout, Layer

if TYPE_CHECKING:
    from ..regularizers import Regularizer
    from .model import Model

_KERAS_WIDTH = 65
_KERAS_COLUMNS = (29, 26, 10)
_CARD_ROWS = 20  # layers on a notebook's card
_LEAST = 10  # characters of a column in a narrow terminal


def _penalty(prefix: str, regularizer: Regularizer | None) -> list[str]:
    if regularizer is None:
        return []
    l1 = "l1 proximal" if regularizer.proximal else "l1"
    group = f"group l1 of {regularizer.groups}"
    pairs = ((l1, regularizer.l1), ("l2", regularizer.l2), (group, regularizer.group))
    return [f"{prefix}{name} {value:g}" for name, value in pairs if value]


def lambdas_of(layer: Layer) -> str:
    """Return a layer's penalties as text, such as 'l2 0.001'; empty if it has none."""
    if not isinstance(layer, Dense):
        return ""
    parts = _penalty("", layer.kernel_regularizer) + _penalty("bias ", layer.bias_regularizer)
    if not layer.trainable:  # its penalties are not counted
        return "frozen" + (f" ({', '.join(parts)} unused)" if parts else "")
    return ", ".join(parts)


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else text[: max(width - 3, 0)] + "..."[:width]


def _columns(rows: list[list[str]], line_length: int) -> list[int]:
    """Return the columns' widths, including a gap of one; at least those of Keras."""
    widths = [max(map(len, column)) + 1 for column in zip(*rows, strict=True)]
    widths = [max(w, k) for w, k in zip(widths, _KERAS_COLUMNS, strict=False)] + widths[3:]
    excess = sum(widths) - line_length
    for j in range(len(widths)):  # cut the padding first, then the widest columns
        least = max(len(row[j]) for row in rows) + 1
        cut = min(excess, widths[j] - least)
        if cut > 0:
            widths[j], excess = widths[j] - cut, excess - cut
    while excess > 0 and max(widths) > _LEAST:
        widths[widths.index(max(widths))] -= 1
        excess -= 1
    return widths


def weight_figures(model: Model) -> list[tuple[float, float] | None]:
    """Return, for each layer, the share of its weights that are not zero, and their norm.

    Parameters
    ----------
    model : Model
        No weights are drawn for it; there are no figures before they are.

    Returns
    -------
    list of (share, norm) or None
        Of the weights without the biases; None for a layer without weights.
    """
    result: list[tuple[float, float] | None] = []
    for layer in model.layers:
        if not isinstance(layer, Dense) or not model.drawn:
            result.append(None)
            continue
        w = layer.views()[0]
        norm = float(np.linalg.norm(w.astype(np.float64)))
        result.append((np.count_nonzero(w) / w.size, norm))
    return result


def zero_share(model: Model) -> float:
    """Return the share of a model's weights, without biases, that are exactly zero."""
    if not model.drawn:
        return 0.0
    views = [layer.views()[0] for layer in model.dense_layers]
    zeros = sum(view.size - int(np.count_nonzero(view)) for view in views)
    return zeros / sum(view.size for view in views)


def memory(model: Model) -> dict[str, int]:
    """Return the bytes of the parameters, and of the optimizer's state while training.

    Parameters
    ----------
    model : Model
        The width of its input must be known.

    Returns
    -------
    dict of str to int
        'parameters', and 'optimizer' of a model that is compiled.
    """
    size = model.count_params() * model.dtype.itemsize
    if model.optimizer is None:
        return {"parameters": size}
    return {"parameters": size, "optimizer": size * len(model.optimizer.slots)}


def readable_bytes(size: float) -> str:
    """Return a number of bytes as text with a suitable unit."""
    for unit in ("bytes", "KiB", "MiB", "GiB"):
        if size < 1024:
            return f"{size:.0f} bytes" if unit == "bytes" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} TiB"


def summary_card(model: Model) -> str:
    """Return a model's layers, size, compilation and training as HTML, for notebooks."""
    rows = []
    for layer, share in zip(model.layers, weight_figures(model), strict=True):
        zero = "" if share is None or share[0] == 1 else f"{1 - share[0]:.1%} zero"
        what = f"rate {layer.rate:g}" if isinstance(layer, Dropout) else ""
        what = layer.activation if isinstance(layer, Dense) else what
        known = layer.n_inputs is not None
        rows.append([
            f"{layer.name} ({type(layer).__name__})",
            "?" if layer.n_outputs is None else f"{layer.n_outputs:,}",
            what + ("" if layer.trainable else ", frozen"),
            f"{layer.count_params():,}" if known else "?",
            lambdas_of(layer), zero,
        ])  # fmt: skip
    head = ["layer", "units", "activation", "parameters", "lambda", ""]
    used = [j for j in range(len(head)) if j < 4 or any(row[j] for row in rows)]
    shown = rows if len(rows) <= _CARD_ROWS else [*rows[: _CARD_ROWS - 1], rows[-1]]
    layers = cards.table([head[j] for j in used], [[row[j] for j in used] for row in shown])
    left = f"{len(rows) - len(shown):,} layers are not shown" if len(rows) > len(shown) else ""
    total = f"{model.count_params():,} parameters" if model.built else "not built yet"
    parts = [f"{'?' if model.n_inputs is None else f'{model.n_inputs:,}'} inputs", total,
             model.dtype.name, f"seed {model.seed}"]  # fmt: skip
    if model.optimizer is not None and model.loss is not None:
        parts.append(f"{model.loss.name}, {type(model.optimizer).__name__}")
    if model.history is not None and model.history.epoch:
        losses = model.history.history.get("loss") or [float("nan")]
        parts.append(f"trained for {len(model.history.epoch):,} epochs, loss {losses[-1]:.4g}")
    return cards.card(f"{type(model).__name__} {model.name}", " · ".join(parts), layers, left)


def summary_text(model: Model, line_length: int | None = None, verbose: bool = False) -> str:
    """Return the table that `Sequential.summary` prints.

    Parameters
    ----------
    model : Model
    line_length : int, optional
        Width in characters; the terminal's by default. Columns for activations, lambdas and the
        share of weights that are exactly zero are left out if they would be empty.
    verbose : bool
        Add the share of weights that are not zero, their norms, and the memory needed.

    Returns
    -------
    str
    """
    verbose = arguments.flag("verbose", verbose)
    if line_length is not None:
        line_length = arguments.integer("line_length", line_length)
    else:
        line_length = shutil.get_terminal_size((80, 24)).columns
    known = model.n_inputs is not None and all(x.n_inputs is not None for x in model.layers)
    header = ["Layer (type)", "Output Shape", "Param #"]
    rows = []
    for layer in model.layers:
        params = f"{layer.count_params()}" if known else "?"
        shape = f"(None, {layer.n_outputs if layer.n_outputs is not None else '?'})"
        rows.append([f"{layer.name} ({type(layer).__name__})", shape, params])
    activations = [layer.activation if isinstance(layer, Dense) else "" for layer in model.layers]
    extra = {
        "Activation": activations if set(activations) - {"", "linear"} else [],
        "Lambda": [lambdas_of(layer) for layer in model.layers],
    }
    for title, values in extra.items():
        if any(values):
            header.append(title)
            rows = [[*row, value] for row, value in zip(rows, values, strict=True)]
    figures = weight_figures(model)
    if not verbose and any(f is not None and f[0] < 1 for f in figures):
        header.append("Zero")
        rows = [
            [*row, "" if f is None else f"{1 - f[0]:.2%}"]
            for row, f in zip(rows, figures, strict=True)
        ]
    if verbose and model.drawn:
        header += ["Nonzero", "Norm"]
        cells = [["", ""] if f is None else [f"{f[0]:.2%}", f"{f[1]:.4g}"] for f in figures]
        rows = [[*row, *more] for row, more in zip(rows, cells, strict=True)]
    widths = _columns([header, *rows], line_length)
    width = min(max(sum(widths), min(_KERAS_WIDTH, line_length)), line_length)

    def line(cells: list[str]) -> str:
        padded = (_cut(c, w - 1).ljust(w) for c, w in zip(cells, widths, strict=True))
        return "".join(padded)[:width].rstrip()

    thin, thick = "_" * width, "=" * width
    lines = [f'Model: "{model.name}"', thin, line(header), thick]
    for i, row in enumerate(rows):
        lines += [line(row), thick if i == len(rows) - 1 else thin]
    unknown = "bins are" if model.n_inputs is not None else "input's width is"
    total = f"{model.count_params():,}" if known else f"? (the {unknown} not known yet)"
    frozen = sum(layer.count_params() for layer in model.layers if not layer.trainable)
    trained = f"{model.count_params() - frozen:,}" if known else total
    lines += [
        f"Total params: {total}",
        f"Trainable params: {trained}",
        f"Non-trainable params: {frozen:,}",
    ]
    if verbose:
        lines += _verbose_lines(model, known)
    return "\n".join([*lines, thin])


def _verbose_lines(model: Model, known: bool) -> list[str]:
    lines = []
    if model.drawn:
        views = [view for layer in model.dense_layers for view in layer.views()]
        nonzero = sum(int(np.count_nonzero(view)) for view in views)
        share = nonzero / model.count_params()
        lines.append(f"Nonzero params: {nonzero:,} ({share:.2%})")
    else:
        lines.append("Nonzero params: ? (the weights are not drawn yet)")
    if known:
        names = {"parameters": "parameters", "optimizer": "optimizer state"}
        parts = [f"{readable_bytes(size)} of {names[key]}" for key, size in memory(model).items()]
        lines.append(f"Memory: {', '.join(parts)}")
    return lines
