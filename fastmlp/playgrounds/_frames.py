"""What the page shows of a session, as bytes: computed only for what is visible.

A frame is ``FMPG``, the version (uint16), 0 (uint16), the length of a JSON document (uint32), the
document in UTF-8, filled with spaces to a multiple of 8 bytes, then the arrays, each at a multiple
of 8 bytes. All numbers are little-endian. ``arrays`` of the document lists their name, dtype, shape
and offset behind the document.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .. import backend
from .._utils import arguments
from ._session import PlaySession
from ._settings import finite

VERSION = 1
_MAGIC = b"FMPG"
_HEAD = struct.Struct("<4sHHI")
SURFACE, MAP = 101, 25  # points along an edge: of the fitted surface, of a unit's map
CURVE_POINTS, UNIT_POINTS = 201, 64  # of the fitted curve, of a unit's
MOST_SHOWN = 64  # units of a layer
_SCATTER = 1000  # rows drawn as points
_JUDGED = 500  # rows on which a unit must be constant to be called dead


def pack(head: Mapping[str, Any], arrays: Mapping[str, np.ndarray] | None = None) -> bytes:
    """Return a frame.

    Parameters
    ----------
    head : mapping
        Plain JSON values with finite numbers.
    arrays : mapping of str to ndarray, optional
        Of float32, int8, uint8 or uint16.

    Returns
    -------
    bytes
    """
    described, blobs, offset = [], [], 0
    for name, array in (arrays or {}).items():
        blob = np.ascontiguousarray(array, array.dtype.newbyteorder("<")).tobytes()
        blob += b"\0" * (-len(blob) % 8)
        described.append([name, array.dtype.name, list(array.shape), offset])
        blobs.append(blob)
        offset += len(blob)
    text = json.dumps({**head, "arrays": described}, allow_nan=False).encode()
    text += b" " * (-(len(text) + _HEAD.size) % 8)
    return b"".join([_HEAD.pack(_MAGIC, VERSION, 0, len(text)), text, *blobs])


def unpack(frame: bytes) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Return the document and the arrays of a frame.

    Raises
    ------
    ValueError
        If it is not a frame of this version.
    """
    if len(frame) < _HEAD.size or frame[:4] != _MAGIC:
        raise ValueError("frame must begin with FMPG. Received: other bytes")
    _, version, _, length = _HEAD.unpack_from(frame)
    if version != VERSION:
        raise ValueError(f"frame must have version {VERSION}. Received: version {version}")
    head = json.loads(frame[_HEAD.size : _HEAD.size + length])
    start, arrays = _HEAD.size + length, {}
    for name, dtype, shape, offset in head.pop("arrays"):
        count = int(np.prod(shape))
        array = np.frombuffer(frame, np.dtype(dtype).newbyteorder("<"), count, start + offset)
        arrays[name] = array.reshape(shape)
    return head, arrays


@dataclass
class PlayView:
    """What a page shows of a session.

    Parameters
    ----------
    first : dict of int to int
        For a layer, the first unit that is visible; 0 where it is not given.
    selected : tuple of int, or None
        (layer, unit) whose details are shown.
    held : dict of str to float
        Values of the columns that are not drawn over.
    output : int
        The class whose probability is shown, of three or more.
    network : bool
        Whether the network is shown, and not only the fit.
    """

    first: dict[int, int] = field(default_factory=dict)
    selected: tuple[int, int] | None = None
    held: dict[str, float] = field(default_factory=dict)
    output: int = 0
    network: bool = True

    @classmethod
    def from_dict(cls, given: Any) -> PlayView:
        """Check what a page says of its view."""
        if not isinstance(given, Mapping):
            raise ValueError(f"view must be a mapping. Received: {arguments.shown(given)}")
        first = arguments.items("first", given.get("first", []), "numbers of units")[:64]
        chosen = given.get("selected")
        if chosen is not None:
            pair = arguments.items("selected", chosen, "a layer and a unit")
            if len(pair) != 2:
                raise ValueError(f"selected must be a layer and a unit. Received: {pair!r:.200}")
            chosen = tuple(arguments.below("selected", v, 1 << 16, 0) for v in pair)
        held = given.get("held", {})
        if not isinstance(held, Mapping) or len(held) > 10_000:
            raise ValueError(f"held must be values by column. Received: {held!r:.200}")
        numbers = {
            str(k): arguments.number(str(k), v, "a number", lambda v: True) for k, v in held.items()
        }
        return cls(
            {i: arguments.below("first", v, 1 << 16, 0) for i, v in enumerate(first)}, chosen,
            numbers, arguments.below("output", given.get("output", 0), 1 << 16, 0),
            arguments.flag("network", given.get("network", True)),
        )  # fmt: skip


def describe(session: PlaySession) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Return what does not change while a session trains: its rows, columns and the truth."""
    data, settings = session.data, session.settings
    over = data.drawn_over(settings.inputs)
    columns = data.columns
    step = -(-len(data.x) // _SCATTER)
    arrays = {}
    for name, x, y in (("points", data.x[::step], data.y[::step]),
                       ("held", data.x_held[::step], data.y_held[::step])):  # fmt: skip
        own = [np.asarray(columns[i].own(x[:, columns[i].columns[0]])) for i in over]
        target = y[:, 0] if data.task == "classification" else _units(session, y)
        arrays[name] = np.stack([*own, target], axis=1).astype(np.float32)
    if data.truth is not None:
        grid = _grid(session, over, SURFACE if len(over) == 2 else CURVE_POINTS)
        arrays["truth"] = np.asarray(data.truth(grid), np.float32)
    head = {
        "kind": "data",
        "task": data.task,
        "classes": data.classes[:100],
        "target": data.preprocessing.target.name,
        "over": [data.axes[i].name for i in over],
        "columns": [
            {"name": a.name, "low": a.low, "high": a.high, "value": a.value,
             "categories": list(a.categories)[:200]}
            for a in data.axes[:200]
        ],
        "targets": session.table.table.names[:500] if session.table else [],
        "dropped": list(settings.drop),
        "has_table": session.table is not None,
        "n_inputs": data.preprocessing.n_inputs,
        "input_names": data.preprocessing.input_names[:MOST_SHOWN],
        "rows": [len(data.x), len(data.x_held)],
        "note": data.note,
    }  # fmt: skip
    return head, arrays


def _grid(session: PlaySession, over: list[int], n: int) -> np.ndarray:
    """Return points over one or two columns, in their units, row by row from the lowest."""
    axes = [session.data.axes[i] for i in over]
    lines = [np.linspace(a.low, a.high, n) for a in axes]
    if len(lines) == 1:
        return lines[0][:, None]
    second, first = np.meshgrid(lines[1], lines[0], indexing="ij")
    return np.stack([first.ravel(), second.ravel()], axis=1)


def _units(session: PlaySession, outputs: np.ndarray) -> np.ndarray:
    values: np.ndarray = np.asarray(session.data.preprocessing.values(outputs)).reshape(-1)
    return values


def _shown(session: PlaySession, outputs: np.ndarray, view: PlayView) -> np.ndarray:
    """Return what is drawn of outputs: the target in its units, or a class's probability."""
    if session.data.task == "regression":
        return _units(session, outputs)
    column = min(view.output, outputs.shape[1] - 1) if outputs.shape[1] > 1 else 0
    result: np.ndarray = outputs[:, column]
    return result


def outputs_on_grid(session: PlaySession, view: PlayView) -> np.ndarray:
    """Return what the figure of the fit draws, at each of its points."""
    over = session.data.drawn_over(session.settings.inputs)
    n = SURFACE if len(over) == 2 else CURVE_POINTS
    x = session.data.inputs(over, _grid(session, over, n), view.held)
    return _shown(session, session.model.predict(x, verbose=0), view)


def _coded(values: np.ndarray, low: float, high: float) -> np.ndarray:
    """Return values as uint16 between two bounds."""
    scale = 65535 / (high - low) if high > low else 0.0
    return np.clip(np.rint((values - low) * scale), 0, 65535).astype(np.uint16)


def draw(session: PlaySession, view: PlayView) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Return a frame of a session: the fit, the visible units and weights, counts and losses."""
    data, model, settings = session.data, session.model, session.settings
    arrays: dict[str, np.ndarray] = {}
    fit = np.nan_to_num(outputs_on_grid(session, view), nan=0.0, posinf=1e30, neginf=-1e30)
    low, high = (0.0, 1.0) if data.task == "classification" else _bounds(fit)
    if data.task == "classification" or len(data.drawn_over(settings.inputs)) == 2:
        arrays["fit"] = _coded(fit, low, high)
    else:
        arrays["fit"] = fit.astype(np.float32)
    over = data.drawn_over(settings.inputs)
    x = data.inputs(over, _grid(session, over, MAP if len(over) == 2 else UNIT_POINTS), view.held)
    judged = np.ascontiguousarray(data.x[:: -(-len(data.x) // _JUDGED)])
    network, dense = model.network, model.dense_layers
    layers = []
    before = _window(view, -1, data.preprocessing.n_inputs)
    for i, layer in enumerate(dense):
        shown, weights = _window(view, i, layer.units), network.weights(i)
        head = {
            "units": layer.units, "first": shown.start, "nonzero": int(np.count_nonzero(weights)),
            "weights": int(weights.size),
        }  # fmt: skip
        if view.network:
            arrays[f"w{i}"] = np.array(weights[before, shown], np.float32)
            arrays[f"b{i}"] = np.array(network.bias(i)[shown], np.float32)
        if i < len(dense) - 1:
            own = backend.activations_of(network, judged, i)
            dead = own.max(axis=0) <= own.min(axis=0)
            head["live"] = int(layer.units - dead.sum())
            if view.network:
                arrays[f"maps{i}"] = _maps(backend.activations_of(network, x, i)[:, shown])
                arrays[f"dead{i}"] = dead[shown].astype(np.uint8)
        layers.append(head)
        before = shown
    frame: dict[str, Any] = {
        "kind": "frame", "steps": session.steps, "epoch": session.epoch, "low": low, "high": high,
        "layers": layers, "place": session.place, "frames": min(len(session.frames), 300),
        "events": len(session.events), "diverged": session.diverged,
        "parameters": model.count_params(),
    }  # fmt: skip
    chosen = None if session.diverged else view.selected
    if chosen is not None and chosen[0] < len(settings.units):
        place, unit = chosen
        if unit < settings.units[place]:
            frame["unit"], arrays["contribution"] = _details(session, view, place, unit, x)
    return frame, arrays


def _maps(outputs: np.ndarray) -> np.ndarray:
    """Return units' outputs as int8, (units, points), each relative to its largest."""
    largest = np.maximum(np.nan_to_num(np.abs(outputs)).max(axis=0), 1e-30)
    coded = np.clip(np.rint(np.nan_to_num(outputs / largest) * 127), -127, 127)
    return np.ascontiguousarray(coded.T).astype(np.int8)


def _window(view: PlayView, layer: int, units: int) -> slice:
    """Return which units of a layer are visible; layer -1 is the input."""
    start = min(view.first.get(layer, 0), max(units - 1, 0)) if layer >= 0 else 0
    start -= start % MOST_SHOWN
    return slice(start, min(start + MOST_SHOWN, units))


def _bounds(fit: np.ndarray) -> tuple[float, float]:
    low, high = float(fit.min()), float(fit.max())
    return (low, high) if high > low else (low - 0.5, low + 0.5)


def _details(
    session: PlaySession, view: PlayView, layer: int, unit: int, x: np.ndarray
) -> tuple[dict[str, Any], np.ndarray]:
    """Return a unit's numbers, and the fit minus the fit without it."""
    model = session.model
    own, following = model.dense_layers[layer], model.dense_layers[layer + 1]
    w, b = own.get_weights()
    v, c = following.get_weights()
    fit = model.predict(x, verbose=0)
    without = v.copy()
    without[unit] = 0
    following.set_weights([without, c])
    try:
        rest = model.predict(x, verbose=0)
    finally:
        following.set_weights([v, c])
    change = _shown(session, fit, view) - _shown(session, rest, view)
    incoming, outgoing = w[:, unit], v[unit]
    column = session.data.columns[0]
    turn = None
    if layer == 0 and len(incoming) == 1 and incoming[0] != 0:
        turn = float(np.asarray(column.own(np.array([-b[unit] / incoming[0]])))[0])
    found = {
        "layer": layer, "unit": unit, "bias": finite(b[unit]),
        "incoming": [finite(a) for a in incoming[:MOST_SHOWN]],
        "outgoing": [finite(a) for a in outgoing[:MOST_SHOWN]],
        "zeros_in": int((incoming == 0).sum()), "zeros_out": int((outgoing == 0).sum()),
        "turn": turn if turn is not None and np.isfinite(turn) else None,
        "largest": float(np.nan_to_num(np.abs(change)).max()),
    }  # fmt: skip
    return found, np.nan_to_num(change).astype(np.float32)
