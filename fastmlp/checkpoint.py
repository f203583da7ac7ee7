"""Checkpoints: a run of fit in a file, from which it goes on to the same bits.

A checkpoint is a model file that holds, besides, where the run stands: `models.load_model` reads
the model as it was then, `models.resume` the run. It is replaced in one step, so that the file is
whole whenever the process is killed. All that is random is a function of seeds, epoch and step; so
besides the model there is little to keep: those, the epoch's sums, what callbacks remember, and
digests of the data.
"""

from __future__ import annotations

import math
import os
import re
import signal
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

import numpy as np

from . import _checks, persistence
from ._fit_data import Arguments, Rows
from ._kept_history import plain
from ._untrusted import BadFileError, count, of_type, take
from .callbacks import EarlyStopping, ReduceLROnPlateau, TerminateOnNaN
from .errors import DataError, ModelFileError

if TYPE_CHECKING:
    from ._callback import Callback
    from .models import Sequential
    from .training import Run

_SECONDS = 60.0

# What a checkpoint may make anew: it holds plain values and writes no files. Others are given
# again, so that no file chooses what is written where.
_REMADE: dict[str, type[Callback]] = {
    cls.__name__: cls for cls in (EarlyStopping, ReduceLROnPlateau, TerminateOnNaN)
}


# ---- when to write -----------------------------------------------------------------------------


def parse_every(value: Any) -> tuple[float | None, int | None]:
    """Return seconds, or epochs, between two checkpoints.

    Parameters
    ----------
    value : float or str
        Seconds, also as '90' or '90 s'; 'epoch', or '10 epochs'.

    Returns
    -------
    seconds : float or None
    epochs : int or None

    Raises
    ------
    ValueError
        If it is neither.
    """
    match = None
    if isinstance(value, str):
        match = re.fullmatch(r"\s*(?:(\d{1,9})?\s*epochs?|(\d{1,12}(?:\.\d*)?)\s*s?)\s*", value)
    if match and match[2] is None:
        return None, _checks.integer("checkpoint_every", int(match[1] or 1))
    try:
        rule = "seconds, above 0, or a text such as 'epoch' or '10 epochs'"
        number = float(match[2]) if match else value
        return _checks.number("checkpoint_every", number, rule, lambda v: v > 0), None
    except ValueError:
        raise ValueError(
            f"checkpoint_every must be {rule}. Received: checkpoint_every={value!r}"
        ) from None


class Interrupts:
    """Within it, Ctrl-C waits until a run has come to rest and been kept; a second one does not.

    Only in the main thread, the only one that Python interrupts.
    """

    def __init__(self) -> None:
        self.waiting = False
        self._handler: Any = None

    def __enter__(self) -> None:
        if threading.current_thread() is threading.main_thread():
            handler = signal.getsignal(signal.SIGINT)
            if callable(handler):
                self._handler = handler
                signal.signal(signal.SIGINT, self._note)

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.waiting = True
        signal.signal(signal.SIGINT, self._handler)

    def __exit__(self, *error: object) -> None:
        if self._handler is not None:
            signal.signal(signal.SIGINT, self._handler)
            self._handler = None

    def deliver(self) -> None:
        """Do what Ctrl-C would have done; usually raise KeyboardInterrupt."""
        self.waiting = False
        handler = self._handler
        handler(signal.SIGINT, None)
        signal.signal(signal.SIGINT, self._note)  # it did not end the run: wait for the next


# ---- what the data were ------------------------------------------------------------------------


def digest(array: np.ndarray | None) -> dict[str, Any] | None:
    """Return an array's shape and a digest of its type, shape and values; None for None."""
    import hashlib

    if array is None:
        return None
    state = hashlib.blake2b(f"{array.dtype.str}{array.shape}".encode(), digest_size=16)
    state.update(np.ascontiguousarray(array).data)
    return {"shape": list(array.shape), "digest": state.hexdigest()}


def describe_data(rows: Any, validation: Any) -> dict[str, Any]:
    """Return the digests of all arrays, or of files, by the names that messages give them.

    Parameters
    ----------
    rows, validation : Rows or ParquetStream
        The latter may be None.
    """
    parts: dict[str, Any] = {}
    for prefix, data in (("", rows), ("validation ", validation)):
        digests: list[Any] = [None] * len(_NAMES)
        if isinstance(data, Rows):
            digests = [digest(array) for array in data]
        elif data is not None:
            digests[0] = data.identity()
        parts |= {prefix + name: part for name, part in zip(_NAMES, digests, strict=True)}
    return parts


_NAMES = ("x", "y", "sample_weight")


# ---- values in JSON ----------------------------------------------------------------------------


def _encode(value: Any, arrays: dict[str, np.ndarray], name: str) -> Any:
    """Return `value` as JSON values, its arrays put into `arrays`; `_decode` undoes it."""
    if isinstance(value, np.ndarray):
        if value.dtype.str not in ("<f4", "<f8"):
            raise ValueError(
                "A checkpoint keeps arrays of float32 or float64. "
                f"Received: {value.dtype} in the state of a callback"
            )
        arrays[name] = np.ascontiguousarray(value)
        return {"array": name}
    if isinstance(value, dict):
        if not all(isinstance(key, str) for key in value):
            raise ValueError(
                "What get_state of a callback returns must have strings for keys. "
                f"Received: {value!r}"
            )
        return {"dict": {k: _encode(v, arrays, f"{name}.{k}") for k, v in value.items()}}
    if isinstance(value, (list, tuple)):
        return [_encode(part, arrays, f"{name}.{i}") for i, part in enumerate(value)]
    if isinstance(value, (float, np.floating)):
        return {"float": str(value)} if not math.isfinite(value) else float(value)
    if isinstance(value, np.integer):
        return int(value)
    if value is None or isinstance(value, (str, bool, int)):
        return value
    raise ValueError(
        f"What get_state of a callback returns must be plain values or arrays. Received: {value!r}"
    )


def _decode(value: Any, arrays: Mapping[str, np.ndarray]) -> Any:
    if isinstance(value, list):
        return [_decode(part, arrays) for part in value]
    if not isinstance(value, dict):
        return value
    if value.keys() == {"array"}:
        name = take(value, "array", str)
        if name not in arrays:
            raise BadFileError(f"array {name!r} is missing")
        return np.array(arrays[name])
    if value.keys() == {"float"}:
        return float(take(value, "float", str))
    return {key: _decode(part, arrays) for key, part in take(value, "dict", dict).items()}


# ---- writing -----------------------------------------------------------------------------------


class Checkpoint:
    """Keeps one run in one file.

    Parameters
    ----------
    path : str
    every : float or str
        See `parse_every`.
    data : dict
        What `describe_data` returned.

    Attributes
    ----------
    epochs : int or None
        After how many epochs a checkpoint is written; None if time decides.
    interrupts : Interrupts
    writes : bool
        Whether the file is this process's to write.
    """

    def __init__(self, path: str, every: Any, data: dict[str, Any]) -> None:
        self.path, self.every, self.data = path, every, data
        self.writes = True
        self.seconds, self.epochs = parse_every(every)
        self.interrupts = Interrupts()
        self._time: float | None = None  # of the latest writing
        self._epoch = -1

    def pass_by(self, run: Run) -> None:
        """Write if it is time to, or if Ctrl-C was pressed; the run is at rest."""
        if self.interrupts.waiting:
            self.write(run)
            self.interrupts.deliver()
        elif self._due(run):
            self.write(run)

    def _due(self, run: Run) -> bool:
        if self._time is None or run.complete:
            return True
        if self.epochs is not None:
            return run.done % self.epochs == 0 and run.done != self._epoch
        assert self.seconds is not None
        return time.monotonic() - self._time >= self.seconds

    def write(self, run: Run) -> None:
        """Write the run, unless its weights are about to diverge: then the file stays."""
        if not self.writes or run.network.finite() >= 0:
            return
        run.update_config()
        arrays: dict[str, np.ndarray] = {}
        table = self._described(run, arrays)
        persistence.write_atomically(
            self.path, persistence.to_bytes(run.model, run=(table, arrays))
        )
        self._time, self._epoch = time.monotonic(), run.done

    def _described(self, run: Run, arrays: dict[str, np.ndarray]) -> dict[str, Any]:
        epoch, batch, done, summed, total, sums = run.session.progress
        kept = []
        for i, callback in enumerate(run.callbacks):
            name, config = type(callback).__name__, None
            if type(callback) is _REMADE.get(name):
                config = callback.get_config()  # type: ignore[attr-defined]
            state = _encode(callback.get_state(), arrays, f"run.{i}")
            kept.append({"class_name": name, "config": config, "state": state})
        return {
            "arguments": run.arguments.to_dict(),
            "every": self.every,
            "data": self.data,
            "seed": run.seed,
            "progress": [epoch, batch, done, summed, plain(total), [plain(s) for s in sums]],
            "stream": _encode(getattr(run.session, "place", None), {}, ""),
            "within": run.within,
            "logs": {k: plain(float(v)) for k, v in run.logs.items() if _is_number(v)},
            "stop_training": bool(run.model.stop_training),
            "complete": run.complete,
            "callbacks": kept,
        }


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float, np.floating, np.integer))


def keeper(path: Any, every: Any, data: tuple[Any, Any], resumed: Resumed | None) -> Checkpoint:
    """Return what keeps a run that is about to begin, or to go on.

    Raises
    ------
    DataError
        If the data are not those that the run was begun with.
    FileExistsError
        If the file holds an unfinished run, or something else.
    """
    if path is None:
        if resumed is None:
            raise ValueError(
                "checkpoint_every needs a file to write, checkpoint='run.fmlp'. "
                f"Received: checkpoint=None, checkpoint_every={every!r}"
            )
        path = resumed.path
    if every is None:
        every = _SECONDS if resumed is None else resumed.every
    result = Checkpoint(_checks.path("checkpoint", path), every, describe_data(*data))
    if resumed is not None:
        resumed.check_data(result.data)
    if resumed is None or os.path.realpath(path) != os.path.realpath(resumed.path):
        _refuse_unfinished(result.path)
    return result


def _refuse_unfinished(path: str) -> None:
    if not Path(path).exists():
        return
    try:
        run = persistence.made(persistence.read(path), {})[1]
    except (ModelFileError, *persistence.WRONG):
        run = None
    if run is None:
        raise FileExistsError(
            f"checkpoint must be a new file, or one that holds a finished run. Received: {path}, "
            "which holds something else"
        )
    if not run.get("complete"):
        raise FileExistsError(
            f"checkpoint must be a new file, or one that holds a finished run. Received: {path}, "
            "which holds an unfinished one; models.resume goes on with it"
        )


# ---- reading -----------------------------------------------------------------------------------


class Resumed:
    """A run as its checkpoint tells it.

    Parameters
    ----------
    path : str
    table : dict
        What `Checkpoint` wrote.
    arrays : dict of str to ndarray

    Attributes
    ----------
    states : list of dict
        Of the callbacks.
    seed : int
        Of order and dropout.
    complete : bool
        Whether nothing is left to do.
    """

    def __init__(self, path: str, table: dict[str, Any], arrays: Mapping[str, np.ndarray]) -> None:
        self.path = path
        self._arguments = Arguments.from_dict(take(table, "arguments", dict))
        self.every = table.get("every")
        parse_every(self.every)
        self._data = take(table, "data", dict)
        for name in [*_NAMES, *(f"validation {name}" for name in _NAMES)]:
            part = self._data.get(name)
            if part is not None:
                take(of_type(f"{name!r}", part, dict), "digest", str)
                if not all(type(n) is int and n > 0 for n in take(part, "shape", list)):
                    raise BadFileError(f"{name!r} has a wrong shape")
        self.seed = take(table, "seed", int)
        if not 0 <= self.seed < 2**64:
            raise BadFileError("'seed' must be at least 0 and below 2**64")
        self._read_progress(take(table, "progress", list))
        self.place = _place(_decode(table.get("stream"), {}))
        self.within, self.complete = take(table, "within", bool), take(table, "complete", bool)
        self.stop_training = take(table, "stop_training", bool)
        self.logs = {key: float(value) for key, value in take(table, "logs", dict).items()}
        self._callbacks: list[tuple[str, Any]] = []
        self.states: list[dict[str, Any]] = []
        for entry in take(table, "callbacks", list):
            of_type("a callback", entry, dict)
            self._callbacks.append((take(entry, "class_name", str), entry.get("config")))
            state = _decode(entry.get("state"), arrays)
            self.states.append(of_type("a callback's state", state, dict))

    @property
    def is_sharded(self) -> bool:
        """Whether its rows are cut into shards."""
        return self._arguments.shards is not None

    def _read_progress(self, values: list[Any]) -> None:
        """Take the session's place, if it is one that a session with these rows can have."""
        if len(values) != 6:
            raise BadFileError("'progress' must have 6 parts")
        names = ("epoch", "batch", "rows done", "rows summed")
        place = dict(zip(names, values, strict=False))
        epoch, batch, done, summed = (count(place, name) for name in names)
        rows = self._data.get("x") or {"shape": [0]}
        n, size = rows["shape"][0], self._arguments.batch_size
        left = batch * size >= n or done != batch * size or summed > done
        if left or epoch > self._arguments.epochs:
            raise BadFileError("its place lies outside of the run")
        sums = [float(value) for value in of_type("sums", values[5], list)]
        self.progress = (epoch, batch, done, summed, float(values[4]), sums)

    def arguments(self, given: Arguments) -> Arguments:
        """Return the run's arguments; those given anew must be the same, or the default."""
        stored, table = self._arguments.to_dict(), given.to_dict()
        for name, default in Arguments().to_dict().items():
            value = table[name]
            if value == default or value == stored[name]:
                continue
            if name != "verbose":
                raise ValueError(
                    f"A resumed run goes on with its own arguments, {name}={stored[name]!r}. "
                    f"Received: {name}={value!r}"
                )
            stored[name] = value
        return Arguments.from_dict(stored)

    def callbacks(self, given: list[Callback]) -> list[Callback]:
        """Return the callbacks to go on with: those given again, or made again."""
        names = [name for name, _ in self._callbacks]
        if given:
            if [type(callback).__name__ for callback in given] != names:
                raise ValueError(
                    f"callbacks must be those of the run, in its order: {', '.join(names)}. "
                    f"Received: {', '.join(type(c).__name__ for c in given)}"
                )
            return given
        if not all(name in _REMADE and config is not None for name, config in self._callbacks):
            raise ValueError(
                f"callbacks must be given again, in the order of the run: {', '.join(names)}. "
                "Received: none"
            )
        return [_REMADE[name](**config) for name, config in self._callbacks]

    def check_data(self, data: dict[str, Any]) -> None:
        """Raise unless the data are those of the run."""
        for name, found in data.items():
            expected = self._data.get(name)
            if found == expected:
                continue
            if expected is None:
                raise DataError(f"The run in {self.path} has no {name}. Received: one")
            shape = f"of shape {tuple(expected['shape'])}"
            received = "none"
            if found is not None:
                same = found["shape"] == expected["shape"]
                received = "other values" if same else f"shape {tuple(found['shape'])}"
            raise DataError(
                f"{name} must be that of the run in {self.path}, {shape}. Received: {received}"
            )

    def restore(self, run: Run) -> None:
        """Put a run that has begun its session where this one stood."""
        model, history = run.model, run.model.history
        epoch, sums = self.progress[0], self.progress[5]
        lists = {} if history is None else history.history
        if (
            any(len(lists.get(m.name, ())) != epoch for m in run.counted)
            or len(lists.get("loss", ())) != epoch
            or not run.history.history.keys() <= lists.keys()
            or len(sums) != len(run.counted)
        ):
            raise ModelFileError(f"{self.path} is not a usable model file: its history is cut off")
        if self.place is not None:
            run.session.place = self.place
        run.session.progress = self.progress
        run.history.history = lists
        run.history.epoch = list(range(epoch))
        run.done, run.within, run.logs = epoch, self.within, dict(self.logs)
        run.epochs_before -= epoch
        model.stop_training = self.stop_training


def _place(value: Any) -> dict[str, Any] | None:
    """Return where a session on streamed rows stood, if it is such a place."""
    if value is None:
        return None
    place: dict[str, Any] = of_type("'stream'", value, dict)
    take(place, "within", bool)
    for name in ("number", "rows", "batches"):
        count(place, name)
    place["means"] = [float(mean) for mean in take(place, "means", list)]
    moments = [[float(number) for number in of_type("moments", part, list)]
               for part in take(place, "moments", list)]  # fmt: skip
    if not moments or [len(part) for part in moments] != [3] * (len(moments) - 1) + [2]:
        raise BadFileError("'moments' have a wrong form")
    if not place["means"] or not all(0 < part[0] < 2**53 for part in moments[:-1]):
        raise BadFileError("'stream' is no place in a run")
    return {**place, "moments": moments}


def resume(path: str | Path, custom_objects: Mapping[str, Any] | None) -> Sequential:
    """Read a run; see `models.resume`."""
    data, custom = persistence.read(path), persistence.custom_table(custom_objects)
    try:
        model, table, arrays = persistence.made(data, custom)
        if table is None:
            raise BadFileError("it holds a model but no run; models.load_model reads it")
        resumed = Resumed(os.fspath(path), table, arrays)
    except persistence.WRONG as error:
        raise persistence.unusable(str(path), error) from None
    if model.missing:
        names = ", ".join(f"{name!r}: {name}" for name in model.missing)
        raise ValueError(
            f"The run in {path} needs {', '.join(model.missing)}, written in Python: "
            f"resume({str(path)!r}, custom_objects={{{names}}})"
        )
    model.resumed = resumed
    return model
