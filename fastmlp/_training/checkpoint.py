"""Checkpoints: write a run of fit to a file, from which it resumes to the same bits.

A checkpoint is a model file that also holds the run's position: `models.load_model` reads the
model as it was then, `models.resume` the run. The file is replaced atomically, so it is whole
whenever the process is killed. Everything random is a function of seeds, epoch and step, so besides
the model a checkpoint needs only those, the epoch's sums, the state of callbacks, and digests of
the data.
"""

from __future__ import annotations

import os
import time
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .._model.history import ContinuedHistory
from .._saving import fmlp
from .._saving.history import plain
from .._utils import arguments, atomic
from .._utils.claim import Claim
from .._utils.interrupts import Interrupts
from ..errors import ModelFileError
from .resume import Resumed
from .run_state import REMADE, describe_data, encode, parse_every
from .session import Placed

if TYPE_CHECKING:
    from .loop import Run

_SECONDS = 60.0
_IN_USE = "checkpoint must be a file that no other run writes. Received: {}, which another writes"


class Replacing(str):
    """The path of a checkpoint that replaces any file of that name."""

    __slots__ = ()


class Checkpoint:
    """The file that a run is written to.

    Parameters
    ----------
    path : str
    every : float or str
        See `parse_every`.
    data : dict
        As `describe_data` returned it.

    Attributes
    ----------
    epochs : int or None
        Number of epochs between two checkpoints; None if time decides.
    interrupts : Interrupts
    writes : bool
        Whether this process writes the file.
    fresh : bool
        Whether a file that holds an unfinished run, or something else, is refused.
    """

    def __init__(self, path: str, every: Any, data: dict[str, Any]) -> None:
        self.path, self.every, self.data = path, every, data
        self.writes, self.fresh = True, False
        self.seconds, self.epochs = parse_every(every)
        self.interrupts = Interrupts()
        self._time: float | None = None  # of the latest attempt to write
        self._epoch = -1
        self._claim = Claim(path)

    def claim(self, run: Run) -> None:
        """Before training: refuse a file that this run cannot or must not write.

        Raises
        ------
        FileExistsError
            If the file holds an unfinished run or something else, or if another run writes it.
        ValueError
            If it is not a regular file, or if the run cannot be described.
        OSError
            If it cannot be written.
        """
        if not self.writes:
            return
        if atomic.is_special(self.path):
            raise ValueError(
                "checkpoint must be a regular file, which can be read again. "
                f"Received: {self.path}, a device, a pipe or a socket"
            )
        atomic.check(self.path, fmlp.room_needed(run.model, run.epochs))
        try:
            self._claim.take()
        except BlockingIOError:
            raise FileExistsError(_IN_USE.format(self.path)) from None
        if self.fresh:
            _refuse_unfinished(self.path)

    def release(self) -> None:
        """Let other runs write the file."""
        self._claim.release()

    def write_if_due(self, run: Run) -> None:
        """Write if a checkpoint is due, or if Ctrl-C was pressed; no step is under way."""
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
        """Write the run; keep the file as it is if weights are not finite."""
        if not self.writes or run.network.finite() >= 0:
            return
        first = self._time is None
        try:
            self._write(run)
        except FileExistsError:  # begun by another run since `claim`
            if first:
                raise FileExistsError(_IN_USE.format(self.path)) from None
            self._warn("another run writes it")
        except OSError as error:
            self._warn(error.strerror or str(error))
        except (ValueError, MemoryError) as error:
            if first:
                raise
            self._warn(str(error) or "not enough memory")
        self._time, self._epoch = time.monotonic(), run.done

    def _write(self, run: Run) -> None:
        if self._claim.forked:
            raise OSError("a forked child does not write its parent's checkpoint")
        run.update_config()
        arrays: dict[str, np.ndarray] = {}
        table = self._described(run, arrays)
        self._claim.write(fmlp.to_bytes(run.model, run=(table, arrays)))

    def _warn(self, reason: str) -> None:
        warnings.warn(
            f"Checkpoint {self.path} could not be written: {reason}. Training continues; writing "
            "is tried again when the next checkpoint is due",
            RuntimeWarning,
            stacklevel=2,
        )

    def _described(self, run: Run, arrays: dict[str, np.ndarray]) -> dict[str, Any]:
        epoch, batch, done, summed, total, sums = run.session.progress
        place = run.session.place if isinstance(run.session, Placed) else None
        kept = []
        for i, callback in enumerate(run.callbacks):
            name, config = type(callback).__name__, None
            if type(callback) is REMADE.get(name):
                config = callback.get_config()  # type: ignore[attr-defined]
            state = encode(callback.get_state(), arrays, f"run.{i}")
            kept.append({"class_name": name, "config": config, "state": state})
        history = run.model.history
        past = {}
        if isinstance(history, ContinuedHistory):
            earlier = history.past
            lengths = {key: len(values) for key, values in earlier.history.items()}
            past["past"] = {
                "epochs": len(earlier.epoch), "lengths": lengths, "params": earlier.params,
            }  # fmt: skip
        return {
            "arguments": run.arguments.to_dict(),
            "every": self.every,
            "data": self.data,
            "seed": run.seed,
            "progress": [epoch, batch, done, summed, plain(total), [plain(s) for s in sums]],
            "stream": encode(place, {}, ""),
            "within": run.within,
            "logs": {k: plain(float(v)) for k, v in run.logs.items() if _is_number(v)},
            "stop_training": bool(run.model.stop_training),
            "complete": run.complete,
            "callbacks": kept,
        } | past


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float, np.floating, np.integer))


def checkpoint_of(
    path: Any, every: Any, data: tuple[Any, Any], resumed: Resumed | None
) -> Checkpoint:
    """Return the checkpoint of a run that is about to begin, or to be resumed.

    Raises
    ------
    DataError
        If the data are not those that the run was begun with.
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
    result = Checkpoint(arguments.path("checkpoint", path), every, describe_data(*data))
    if resumed is not None:
        resumed.check_data(result.data)
    if not isinstance(path, Replacing):
        result.fresh = resumed is None or (os.path.realpath(path) != os.path.realpath(resumed.path))
    return result


def _refuse_unfinished(path: str) -> None:
    if not Path(path).exists():
        return
    try:
        run = fmlp.run_table(fmlp.read(path))
    except (ModelFileError, *fmlp.WRONG):
        run = None
    if run is None:
        raise FileExistsError(
            f"checkpoint must be a new file, or one that holds a finished run. Received: {path}, "
            "which holds something else"
        )
    if not run.get("complete"):
        raise FileExistsError(
            f"checkpoint must be a new file, or one that holds a finished run. Received: {path}, "
            "which holds an unfinished one; models.resume resumes it"
        )
