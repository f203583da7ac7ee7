"""Read a run from its checkpoint, and check that a call of fit can resume it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from .._model.history import History, split_history
from .._saving.untrusted import BadFileError, count, of_type, take
from ..errors import DataError, ModelFileError
from .arguments import Arguments
from .run_state import NAMES, REMADE, decode, parse_every
from .session import Placed

if TYPE_CHECKING:
    from .._model.model import Model
    from ..callbacks import Callback
    from .loop import Run


class Resumed:
    """A run read from its checkpoint.

    Parameters
    ----------
    path : str
    table : dict
        As `Checkpoint` wrote it.
    arrays : dict of str to ndarray

    Attributes
    ----------
    states : list of dict
        Of the callbacks.
    seed : int
        Of row order and dropout.
    complete : bool
        Whether the run has ended.
    """

    def __init__(self, path: str, table: dict[str, Any], arrays: Mapping[str, np.ndarray]) -> None:
        self.path = path
        self._arguments = Arguments.from_dict(take(table, "arguments", dict))
        self.every = table.get("every")
        parse_every(self.every)
        self._data = take(table, "data", dict)
        for name in [*NAMES, *(f"validation {name}" for name in NAMES)]:
            part = self._data.get(name)
            if part is not None:
                take(of_type(f"{name!r}", part, dict), "digest", str)
                if not all(type(n) is int and n > 0 for n in take(part, "shape", list)):
                    raise BadFileError(f"{name!r} has a wrong shape")
        self.seed = take(table, "seed", int)
        if not 0 <= self.seed < 2**64:
            raise BadFileError("'seed' must be at least 0 and below 2**64")
        self._read_progress(take(table, "progress", list))
        self.place = _place(decode(table.get("stream"), {}))
        self.within, self.complete = take(table, "within", bool), take(table, "complete", bool)
        self.stop_training = take(table, "stop_training", bool)
        self._past = _past(table)
        self._past_params = take(table.get("past") or {"params": {}}, "params", dict)
        self.logs = {key: float(value) for key, value in take(table, "logs", dict).items()}
        self._callbacks: list[tuple[str, Any]] = []
        self.states: list[dict[str, Any]] = []
        for entry in take(table, "callbacks", list):
            of_type("a callback", entry, dict)
            self._callbacks.append((take(entry, "class_name", str), entry.get("config")))
            state = decode(entry.get("state"), arrays)
            self.states.append(of_type("a callback's state", state, dict))

    @property
    def is_sharded(self) -> bool:
        """Whether the run trains in shards."""
        return self._arguments.shards is not None

    def _read_progress(self, values: list[Any]) -> None:
        """Read the session's position; refuse one that is not possible with these rows."""
        if len(values) != 6:
            raise BadFileError("'progress' must have 6 parts")
        names = ("epoch", "batch", "rows done", "rows summed")
        place = dict(zip(names, values, strict=False))
        epoch, batch, done, summed = (count(place, name) for name in names)
        rows = self._data.get("x") or {"shape": [0]}
        n, size = rows["shape"][0], self._arguments.batch_size
        left = batch * size >= n or done != batch * size or summed > done
        if left or epoch > self._arguments.epochs:
            raise BadFileError("its position lies outside of the run")
        sums = [float(value) for value in of_type("sums", values[5], list)]
        self.progress = (epoch, batch, done, summed, float(values[4]), sums)

    def arguments(self, given: Arguments) -> Arguments:
        """Return the run's arguments; those given must be the same, or the default."""
        stored, table = self._arguments.to_dict(), given.to_dict()
        for name, default in Arguments().to_dict().items():
            value = table[name]
            if value == default or value == stored[name]:
                continue
            if name != "verbose":
                raise ValueError(
                    f"A resumed run keeps its own arguments, {name}={stored[name]!r}. "
                    f"Received: {name}={value!r}"
                )
            stored[name] = value
        return Arguments.from_dict(stored)

    def callbacks(self, given: list[Callback]) -> list[Callback]:
        """Return the run's callbacks: those given, or new ones made from the checkpoint."""
        names = [name for name, _ in self._callbacks]
        if given:
            if [type(callback).__name__ for callback in given] != names:
                raise ValueError(
                    f"callbacks must be those of the run, in its order: {', '.join(names)}. "
                    f"Received: {', '.join(type(c).__name__ for c in given)}"
                )
            return given
        if not all(name in REMADE and config is not None for name, config in self._callbacks):
            raise ValueError(
                f"callbacks must be given again, in the order of the run: {', '.join(names)}. "
                "Received: none"
            )
        return [REMADE[name](**config) for name, config in self._callbacks]

    def check_data(self, data: dict[str, Any]) -> None:
        """Raise DataError unless the data are those of the run."""
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

    def _histories(self, model: Model) -> tuple[History | None, History]:
        """Return the history of the model's earlier runs, and this run's."""
        whole = model.history or History()
        if self._past is None:
            return None, whole
        if not all(len(whole.history.get(k, ())) >= n for k, n in self._past[1].items()):
            raise ModelFileError(f"{self.path} is not a usable model file: its history is cut off")
        return split_history(whole, *self._past)

    def own_history(self, model: Model) -> History:
        """Return the history of this run, which has ended."""
        return self._histories(model)[1]

    def restore(self, run: Run) -> History | None:
        """Set the position and the history of a run that has begun; return that of earlier ones."""
        model = run.model
        past, history = self._histories(model)
        epoch, sums = self.progress[0], self.progress[5]
        lists = history.history
        if (
            any(len(lists.get(m.name, ())) != epoch for m in run.counted)
            or len(lists.get("loss", ())) != epoch
            or not run.history.history.keys() <= lists.keys()
            or len(sums) != len(run.counted)
        ):
            raise ModelFileError(f"{self.path} is not a usable model file: its history is cut off")
        if self.place is not None and isinstance(run.session, Placed):
            run.session.place = self.place
        run.session.progress = self.progress
        run.history.history = lists
        run.history.epoch = list(range(epoch))
        run.done, run.within, run.logs = epoch, self.within, dict(self.logs)
        run.epochs_before -= epoch
        model.stop_training = self.stop_training
        if past is not None:
            past.params = self._past_params
        return past


def _past(table: dict[str, Any]) -> tuple[int, dict[str, int]] | None:
    """Return the number of epochs of earlier runs, and of their values by name; None if none."""
    past = table.get("past")
    if past is None:
        return None
    lengths = take(of_type("'past'", past, dict), "lengths", dict)
    return count(past, "epochs"), {key: count(lengths, key) for key in lengths}


def _place(value: Any) -> dict[str, Any] | None:
    """Return the place of a session on a stream, checked; see `StreamSession.place`."""
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
        raise BadFileError("'stream' is not a position in a run")
    return {**place, "moments": moments}
