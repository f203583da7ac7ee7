"""Write a model as an ONNX graph, preprocessing included."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from .._utils.optional import require
from .._utils.version import __version__
from ..errors import DataError
from ..preprocessing import DAYS_OF_YEAR, FAR, LARGEST_LOG, MARCH_1, Column, Target, spellings
from .parts import Encoding, Grouped, MeanOfNetworks, StackedNetworks, bins_last, taken_apart

if TYPE_CHECKING:
    from .._model.model import Model
    from ..preprocessing import Preprocessing

# Old enough for every runtime in use. The second is the operator set for categories.
_OPSET, _ML_OPSET, _IR_VERSION = 17, 3, 8
_MOST = 2**31 - 2**20  # bytes; protobuf cannot write longer messages
_SIMPLE = {"relu": "Relu", "tanh": "Tanh", "sigmoid": "Sigmoid"}


class _Graph:
    """A graph under construction: nodes, constants, and generated names of values."""

    def __init__(self, dtype: np.dtype, taken: Collection[str] = ()) -> None:
        self.onnx = require("onnx", "onnx", "exporting to ONNX")
        self.helper = require("onnx.helper", "onnx", "exporting to ONNX")
        self.numpy_helper = require("onnx.numpy_helper", "onnx", "exporting to ONNX")
        self.dtype, self.taken = dtype, taken
        self.own = "fastmlp_"  # prefix of the names of values between inputs and outputs
        while any(name.startswith(self.own) for name in taken):
            self.own += "_"
        self.nodes: list[Any] = []
        self.constants: list[Any] = []
        self.inputs: list[Any] = []
        self.outputs: list[Any] = []

    def type_of(self, dtype: Any) -> int:
        return int(self.helper.np_dtype_to_tensor_dtype(np.dtype(dtype)))

    def add(self, kind: str, *inputs: str, output: str | None = None, **attributes: Any) -> str:
        """Add a node and return the name of its output."""
        output = output or f"{self.own}v{len(self.nodes)}"
        domain = "ai.onnx.ml" if kind == "LabelEncoder" else ""
        node = self.helper.make_node(kind, list(inputs), [output], domain=domain, **attributes)
        self.nodes.append(node)
        return output

    def constant(self, value: Any, dtype: Any = None) -> str:
        """Add a constant, of the network's type by default, and return its name."""
        array = np.ascontiguousarray(value, dtype or self.dtype).reshape(np.shape(value))
        name = f"{self.own}c{len(self.constants)}"
        self.constants.append(self.numpy_helper.from_array(array, name))
        return name

    def input(self, name: str, kind: int, width: int) -> str:
        self.inputs.append(self.helper.make_tensor_value_info(name, kind, ["n", width]))
        return name

    def output(self, name: str, value: str, dtype: Any, *shape: int) -> None:
        """Declare a value as an output; its name gets a _ if an input has the same."""
        while name in self.taken:
            name += "_"
        self.add("Identity", value, output=name)
        kind = self.onnx.TensorProto.STRING if dtype is str else self.type_of(dtype)
        self.outputs.append(self.helper.make_tensor_value_info(name, kind, ["n", *shape]))

    def cast(self, value: str, dtype: Any) -> str:
        return self.add("Cast", value, to=self.type_of(dtype))

    def finished(self, name: str) -> bytes:
        """Return the file."""
        helper = self.helper
        graph = helper.make_graph(self.nodes, name, self.inputs, self.outputs, self.constants)
        model = helper.make_model(
            graph,
            ir_version=_IR_VERSION,
            producer_name="fastmlp",
            producer_version=__version__,
            opset_imports=[
                helper.make_opsetid("", _OPSET),
                helper.make_opsetid("ai.onnx.ml", _ML_OPSET),
            ],
        )
        self.onnx.checker.check_model(model)
        return bytes(model.SerializeToString(deterministic=True))


# ---- the network ---------------------------------------------------------------------------------


def _activated(graph: _Graph, name: str, z: str) -> str:
    """Add an activation; those that runtimes offer only in float32 are built from parts."""
    constant, add = graph.constant, graph.add
    if name == "linear":
        return z
    if name in _SIMPLE:
        return add(_SIMPLE[name], z)
    if name == "leaky_relu":
        return add("LeakyRelu", z, alpha=0.2)
    if name == "softmax":
        return add("Softmax", z, axis=-1)
    if name == "silu":
        return add("Mul", z, add("Sigmoid", z))
    if name == "elu":
        below = add("Sub", add("Exp", add("Min", z, constant(0.0))), constant(1.0))
        return add("Where", add("Greater", z, constant(0.0)), z, below)
    if name == "softplus":  # max(z, 0) + log(1 + exp(-|z|))
        rest = add("Log", add("Add", constant(1.0), add("Exp", add("Neg", add("Abs", z)))))
        return add("Add", add("Relu", z), rest)
    scaled = add("Mul", z, constant(np.sqrt(0.5)))  # gelu
    erf = graph.cast(add("Erf", graph.cast(scaled, np.float32)), graph.dtype)
    half = add("Mul", constant(0.5), add("Add", constant(1.0), erf))
    return add("Mul", z, half)


def _encoded(graph: _Graph, encoding: Encoding, x: str) -> tuple[str, np.ndarray]:
    """Add a piecewise-linear encoding; return it and the rows of weights, see `bins_last`."""
    rows, counts = bins_last(encoding)
    bins = rows[len(counts) :]
    if not len(bins):
        return x, rows
    columns = np.repeat(np.arange(len(counts)), counts)
    number = graph.add("Gather", x, graph.constant(columns, np.int64), axis=1)
    lower, inverse = (graph.constant(array[bins]) for array in encoding[1:])
    share = graph.add("Mul", graph.add("Sub", number, lower), inverse)
    share = graph.add("Clip", share, graph.constant(0.0), graph.constant(1.0))
    return graph.add("Concat", x, share, axis=1), rows


def _network(graph: _Graph, stack: StackedNetworks, x: str, rows: slice | np.ndarray) -> str:
    """Add a network, or several side by side; their outputs are (n, units), or (m, n, units).

    `rows` orders the rows of the first layer's weights.
    """
    for part in stack.layers:
        weights, bias = part.weights[:, rows], part.bias
        rows = slice(None)
        if len(stack) == 1:
            inputs = [x, graph.constant(weights[0])]
            if bias is not None:
                inputs.append(graph.constant(bias[0]))
            z = graph.add("Gemm", *inputs)
        else:
            z = graph.add("MatMul", x, graph.constant(weights))
            if bias is not None:
                z = graph.add("Add", z, graph.constant(bias[:, None]))
        x = _activated(graph, part.activation, z)
    return x


def _mean(graph: _Graph, mean: MeanOfNetworks, x: str) -> str:
    """Add all networks, and the mean of their outputs, which is taken in double."""
    encoded = [_encoded(graph, encoding, x) for encoding in mean.encodings]
    plain = x, slice(None)
    outputs = [
        _network(graph, stack, *(plain if stack.encoding is None else encoded[stack.encoding]))
        for stack in mean.stacks
    ]
    if len(mean) == 1:
        return outputs[0]
    total = ""
    for stack, output in zip(mean.stacks, outputs, strict=True):
        one = graph.cast(output, np.float64)
        if len(stack) > 1:
            one = graph.add("ReduceSum", one, graph.constant([0], np.int64), keepdims=0)
        total = graph.add("Add", total, one) if total else one
    result = graph.add("Div", total, graph.constant(len(mean), np.float64))
    return graph.cast(result, graph.dtype)


# ---- columns -------------------------------------------------------------------------------------


def _category(graph: _Graph, column: Column, cell: str) -> tuple[list[str], str | None]:
    """Add a text column; return its inputs, and which cells are missing.

    A constant matrix has a row for each category and for "other", a row of zeros, and a last row of
    NaN for text that is not a category.
    """
    categories, width = column.categories, len(column.categories) + column.other
    missing = None
    if column.fill is not None:
        missing = graph.add("Equal", *(
            graph.add("LabelEncoder", cell, keys_strings=[""], values_int64s=[1], default_int64=0),
            graph.constant([[1]], np.int64),
        ))  # fmt: skip
    codes = dict(zip(categories, range(len(categories)), strict=True))
    for category, place in list(codes.items()):
        for text in spellings(category):
            codes.setdefault(text, place)
    none, unusable = width, width + 1
    if column.fill is not None:
        codes[""] = codes[str(column.fill)] if column.fill else none
    elif "" not in codes:
        codes[""] = unusable
    unknown = unusable if column.unknown == "error" else none
    code = graph.add(
        "LabelEncoder",
        cell,
        keys_strings=list(codes),
        values_int64s=list(codes.values()),
        default_int64=len(categories) if column.other else unknown,
    )
    rows = np.concatenate([np.eye(width), np.zeros((1, width)), np.full((1, width), np.nan)])
    picked = graph.add("Gather", graph.constant(rows), code, axis=0)  # (n, 1, width)
    return [graph.add("Squeeze", picked, graph.constant([1], np.int64))], missing


def _number(graph: _Graph, column: Column, cell: str) -> tuple[list[str], str | None]:
    """Add a column of numbers, computed in float64 as in `Preprocessing.inputs`."""
    add, double = graph.add, np.float64
    missing, value = None, cell
    if column.clip or column.date_parts:  # which would make infinity a number
        nan = graph.constant([[np.nan]], double)
        infinite = add("IsInf", cell)
        value = add("Where", infinite, nan, value)
    if column.fill is not None:
        missing = add("IsNaN", cell)
        value = add("Where", missing, graph.constant([[column.fill]], double), value)
    if column.kind == "boolean":
        zero, one = (add("Equal", value, graph.constant([[v]], double)) for v in (0.0, 1.0))
        value = add("Where", add("Or", zero, one), value, graph.constant([[np.nan]], double))
    days = value
    if column.mean != 0:
        value = add("Sub", value, graph.constant([[column.mean]], double))
    if column.scale != 1:
        value = add("Div", value, graph.constant([[column.scale]], double))
    if column.clip:
        value = _clipped(graph, value, column.clip)
    inputs = [value, *_waves(graph, days, column.date_parts)]
    return [graph.cast(one, graph.dtype) for one in inputs], missing


def _clipped(graph: _Graph, z: str, clip: float) -> str:
    """Add z / sqrt(1 + (z / clip)^2)."""
    add, double = graph.add, np.float64
    z = add("Clip", z, graph.constant(-FAR, double), graph.constant(FAR, double))
    share = add("Div", z, graph.constant([[clip]], double))
    square = add("Add", graph.constant([[1.0]], double), add("Mul", share, share))
    return add("Div", z, add("Sqrt", square))


def _waves(graph: _Graph, days: str, parts: Collection[str]) -> Iterator[str]:
    """Add sine and cosine of each part of a date, as in `preprocessing.waves`."""
    add = graph.add

    def number(value: float) -> str:
        return graph.constant([[value]], np.float64)

    def quotient(value: str, divisor: float) -> str:
        return add("Floor", add("Div", value, number(divisor)))

    whole = add("Floor", days)
    # The runtimes have sine and cosine only in float32; turns are from 0 to 1, so that it suffices.
    since = add("Add", whole, number(719468))
    of_era = add("Sub", since, add("Mul", quotient(since, 146097), number(146097)))
    leap_days = add("Sub", quotient(of_era, 1460), quotient(of_era, 36524))
    leap_days = add("Add", leap_days, quotient(of_era, 146096))
    year = quotient(add("Sub", of_era, leap_days), 365)
    of_years = add("Add", add("Mul", year, number(365)), quotient(year, 4))
    of_year = add("Sub", of_era, add("Sub", of_years, quotient(year, 100)))
    month = quotient(add("Add", add("Mul", of_year, number(5)), number(2)), 153)
    turns = {
        "year": lambda: add("Div", add("Add", of_year, number(MARCH_1)), number(DAYS_OF_YEAR)),
        "month": lambda: add("Div", add("Add", month, number(2)), number(12)),
        "weekday": lambda: add("Div", add("Add", whole, number(3)), number(7)),
        "hour": lambda: add("Sub", days, whole),
    }
    for part in parts:
        turn = turns[part]()
        turn = add("Sub", turn, add("Floor", turn))
        angle = graph.cast(add("Mul", turn, number(2 * np.pi)), np.float32)
        for wave in ("Sin", "Cos"):
            yield graph.cast(add(wave, angle), np.float64)


def _columns(graph: _Graph, columns: list[Column]) -> str:
    """Add an input for each column; return the network's input."""
    string, double = int(graph.onnx.TensorProto.STRING), int(graph.onnx.TensorProto.DOUBLE)
    pieces: list[str] = []
    for column in columns:
        textual = column.kind == "categorical"
        cell = graph.input(column.name, string if textual else double, 1)
        inputs, missing = (_category if textual else _number)(graph, column, cell)
        pieces += inputs
        if column.indicator and missing is not None:
            pieces.append(graph.cast(missing, graph.dtype))
    return graph.add("Concat", *pieces, axis=1)


def _holds_one(graph: _Graph, tests: str, keepdims: int) -> str:
    """Mark the rows in which a test holds, (n, 1) or (n,)."""
    counted = graph.cast(tests, np.float32)
    return graph.cast(graph.add("ReduceMax", counted, axes=[1], keepdims=keepdims), np.bool_)


def _unless_unusable(graph: _Graph, x: str, y: str) -> str:
    """Set outputs to NaN where the input row is not finite: a ReLU could turn NaN into 0."""
    bad = graph.add("Or", graph.add("IsNaN", x), graph.add("IsInf", x))
    return graph.add("Where", _holds_one(graph, bad, 1), graph.constant([[np.nan]]), y)


def _regression(graph: _Graph, state: Preprocessing, y: str) -> None:
    double, targets = np.float64, state.all_targets
    value = graph.cast(y, double)
    value = graph.add("Mul", value, graph.constant([[t.scale for t in targets]], double))
    value = graph.add("Add", value, graph.constant([[t.mean for t in targets]], double))
    if any(target.transform for target in targets):
        columns = []
        for place, target in enumerate(targets):
            one = graph.constant([place], np.int64)
            column = graph.add("Gather", value, one, axis=1) if len(targets) > 1 else value
            columns.append(_untransformed(graph, target, column))
        made = graph.add("Concat", *columns, axis=1) if len(columns) > 1 else columns[0]
        # Runtimes differ in what Min and Max make of NaN.
        value = graph.add("Where", graph.add("IsNaN", value), value, made)
    graph.output("prediction", graph.cast(value, graph.dtype), graph.dtype, len(targets))
    graph.output("prediction_double", value, double, len(targets))


def _untransformed(graph: _Graph, target: Target, value: str) -> str:
    """Add the inverse of a target's transform, as in `Target.restored`."""
    add = graph.add

    def numbers(*values: float) -> str:
        return graph.constant([values], np.float64)

    if target.transform == "log":
        result = add("Exp", add("Min", value, numbers(LARGEST_LOG)))
        return add("Sub", result, numbers(target.shift)) if target.shift else result
    if target.transform == "sqrt":
        result = add("Max", value, numbers(0.0))
        return add("Mul", result, result)
    if target.transform == "quantile":
        # The sum of what each stretch between knots adds: (n, knots - 1), then (n, 1).
        knots, scores = np.array(target.knots), np.array(target.scores)
        below = graph.constant(scores[None, :-1], np.float64)
        lengths = graph.constant(np.diff(scores)[None], np.float64)
        rises = graph.constant((np.diff(knots) / np.diff(scores))[:, None], np.float64)
        part = add("Max", add("Min", add("Sub", value, below), lengths), numbers(0.0))
        return add("Add", add("MatMul", part, rises), numbers(float(knots[0])))
    return value


def _no_number(labels: Collection[Any]) -> int:
    """Return a label for rows without a class: -1, or the smallest number that is not a label."""
    return next(n for n in (-1, *range(-(2**63), -(2**63) + len(labels) + 1)) if n not in labels)


def _no_text(labels: Collection[str]) -> str:
    """Return a label for rows without a class: "", or "unknown" with _ added until it is new."""
    text = ""
    while text in labels:
        text = f"{text}_" if text else "unknown"
    return text


def _classes(graph: _Graph, state: Preprocessing, y: str) -> None:
    labels = state.target.labels
    if state.n_outputs == 1:
        first = graph.add("Sub", graph.constant([[1.0]]), y)
        probabilities = graph.add("Concat", first, y, axis=1)
        above = graph.add("Greater", y, graph.constant([[0.5]]))
        code = graph.add("Squeeze", graph.cast(above, np.int64), graph.constant([1], np.int64))
    else:
        probabilities = y
        code = graph.add("ArgMax", y, axis=1, keepdims=0)
    none = graph.constant([len(labels)], np.int64)
    code = graph.add("Where", _holds_one(graph, graph.add("IsNaN", y), 0), none, code)
    if all(isinstance(label, int) and -(2**63) <= label < 2**63 for label in labels):
        known = graph.constant([*labels, _no_number(labels)], np.int64)
        graph.output("label", graph.add("Gather", known, code), np.int64)
    else:
        texts = [str(label) for label in labels]
        codes = list(range(len(texts)))
        label = graph.add(
            "LabelEncoder",
            code,
            keys_int64s=codes,
            values_strings=texts,
            default_string=_no_text(texts),
        )
        graph.output("label", label, str)
    graph.output("probabilities", probabilities, graph.dtype, len(labels))


def to_onnx(model: Model | Grouped) -> bytes:
    """Write a model or an ensemble as an ONNX file (opset 17).

    A model that was trained on arrays has one input, ``x`` of shape (n, n_inputs), and one output,
    ``y``, both in the model's type. One with preprocessing has an input of shape (n, 1) for each
    column of the table, under the column's name: a string for a categorical column, where "1.0" is
    the same as "1", else a double, which for a boolean is 0 or 1 and for a date is days since
    1970-01-01. A missing value is NaN or the empty string; where the model imputes, it is filled
    in. For regression the outputs are ``prediction`` (n, number of targets) in the targets' units
    and the model's type, and ``prediction_double``, the same in double, which keeps apart numbers
    far from 0 that are equal in float32. For classes they are ``label`` (n,) and ``probabilities``
    (n, number of classes). A row that `Preprocessing.inputs` would refuse (a missing value that is
    not imputed, an infinite value, a boolean other than 0 and 1, an unknown category of a model
    that refuses them) yields NaN, and the label "" or -1 ("unknown" or -2**63 if that is a class).

    Members of an ensemble that have the same architecture are computed by the same nodes, with an
    axis of networks before that of rows.

    Parameters
    ----------
    model : Model or Ensemble

    Returns
    -------
    bytes

    Raises
    ------
    DataError
        If the package onnx is not installed, the model is too large for an ONNX file, or a column
        has no name or the same name as another.
    """
    mean = taken_apart(model)
    state = mean.preprocessing
    if sum(stack.size for stack in mean.stacks) * mean.dtype.itemsize > _MOST:
        raise DataError("an ONNX file holds at most 2 GB of weights. Received: a larger model")
    if state is None:
        graph = _Graph(mean.dtype, ["x"])
        x = graph.input("x", graph.type_of(mean.dtype), mean.n_inputs)
        graph.output("y", _mean(graph, mean, x), mean.dtype, mean.n_outputs)
        return graph.finished("network")
    names = [column.name for column in state.columns]
    for name in names:
        if not name or names.count(name) > 1:
            raise DataError(
                f"an ONNX input needs a name that no other has. Received: column {name!r}"
            )
    graph = _Graph(mean.dtype, names)
    x = _columns(graph, state.columns)
    y = _unless_unusable(graph, x, _mean(graph, mean, x))
    (_regression if state.task == "regression" else _classes)(graph, state, y)
    return graph.finished("network")
