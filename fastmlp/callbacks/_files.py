"""Callbacks that write files: the model after epochs, and a table of the logs."""

from __future__ import annotations

import errno
import math
import os
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .._utils import arguments, atomic
from .._utils.progress import say
from ._base import ConfiguredCallback, Logs, Monitor


def _warn(what: str, error: OSError, then: str) -> None:
    warnings.warn(
        f"{what} could not be written: {error.strerror or error}. Training continues; {then}",
        RuntimeWarning,
        stacklevel=3,
    )


class ModelCheckpoint(Monitor):
    """Save the model after epochs or batches, atomically.

    A path that cannot be written is refused before training. If saving fails later, for example on
    a full disk, there is a RuntimeWarning, and saving is tried again when it is next due.

    Parameters
    ----------
    filepath : str or Path
        May contain values, as in 'm-{epoch:02d}-{val_loss:.4f}.fmlp': the epoch counted from 1,
        the batch counted from 1 if `save_freq` is a number, and every key of the logs. An epoch
        whose logs lack one of them, because it had no validation, is not saved.
    monitor : str
        A key of the logs, for `save_best_only`.
    verbose : {0, 1}
        1 prints a line whenever the model is saved.
    save_best_only : bool
        Whether to save only when `monitor` has improved. The best value is kept from one `fit`
        to the next with the same callback.
    save_weights_only : bool
        Whether compilation, the optimizer's state and the history are left out of the file.
    mode : {'auto', 'min', 'max'}
        Whether small or large values are better; 'auto' uses the metric's direction.
    save_freq : 'epoch' or int
        Save after every epoch, or after this number of batches.
    initial_value_threshold : float, optional
        The first model is saved only if its value is better than this.
    """

    def __init__(
        self,
        filepath: str | Path,
        monitor: str = "val_loss",
        verbose: int = 0,
        save_best_only: bool = False,
        save_weights_only: bool = False,
        mode: str = "auto",
        save_freq: str | int = "epoch",
        initial_value_threshold: float | None = None,
    ) -> None:
        super().__init__(monitor, mode, verbose=verbose)
        self.filepath = arguments.path("filepath", filepath)
        self.save_best_only = arguments.flag("save_best_only", save_best_only)
        self.save_weights_only = arguments.flag("save_weights_only", save_weights_only)
        if not isinstance(save_freq, str) or save_freq != "epoch":
            try:
                save_freq = arguments.integer("save_freq", save_freq)
            except ValueError:
                raise ValueError(
                    "save_freq must be 'epoch' or a positive number of batches. "
                    f"Received: save_freq={arguments.shown(save_freq)}"
                ) from None
        self.save_freq = save_freq
        if initial_value_threshold is not None:
            arguments.number(
                "initial_value_threshold", initial_value_threshold, "a number or None",
                lambda v: True,
            )  # fmt: skip
        if not self.save_best_only:
            arguments.warn_unused(
                "save_best_only=False saves every time",
                {
                    "monitor": monitor,
                    "mode": mode,
                    "initial_value_threshold": initial_value_threshold,
                },
                arguments.defaults_of(ModelCheckpoint.__init__),
            )
        self.initial_value_threshold = initial_value_threshold
        if self.save_freq == "epoch":
            self.idle_hooks = frozenset({"on_epoch_begin", "on_train_batch_end"})
        else:
            self.idle_hooks = frozenset({"on_epoch_end"})
        self.best = math.nan
        self._epoch = self._batches = 0

    @property
    def _by_epoch(self) -> bool:
        return self.save_freq == "epoch"

    def check(self) -> None:
        """Require the names in `filepath`, its directory, and the monitored value."""
        if self.save_best_only:
            self.require_monitor()
        from string import Formatter

        known = {"epoch": 1, **({} if self._by_epoch else {"batch": 1})}
        figures = [*self.params["metrics"], "learning_rate"] if self._by_epoch else ["loss"]
        known |= dict.fromkeys(figures, 1.0)  # type: ignore[arg-type]
        try:
            names = {name for _, name, _, _ in Formatter().parse(self.filepath) if name}
            if not names <= known.keys():
                raise KeyError
            example = Path(self.filepath.format(**known))
        except (KeyError, ValueError, IndexError, AttributeError):
            raise ValueError(
                f"filepath may contain, in braces, {', '.join(known)}. "
                f"Received: filepath={self.filepath!r}"
            ) from None
        if not example.parent.is_dir():
            raise ValueError(
                f"filepath must be in a directory that exists. Received: filepath={self.filepath!r}"
            )
        from .._saving.fmlp import room_needed

        epochs = self.params.get("epochs", 0)
        atomic.check(str(example), room_needed(self.model, epochs, self.save_weights_only))

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Reset the count of batches; the best value is kept from one fit to the next."""
        self.check()
        if math.isnan(self.best):
            first = self.initial_value_threshold
            self.best = self.worst if first is None else float(first)
        self._epoch = self._batches = 0

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """Remember the epoch."""
        self._epoch = epoch

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Save if it is due."""
        self._batches += 1
        if not self._by_epoch and self._batches >= int(self.save_freq):
            self._batches = 0
            self._save({**(logs or {}), "epoch": self._epoch + 1, "batch": batch + 1})

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Save if every epoch is saved."""
        if self._by_epoch:
            self._save({**(logs or {}), "epoch": epoch + 1})

    def _save(self, figures: Mapping[str, float]) -> None:
        reason = ""
        if self.save_best_only:
            value = figures.get(self.monitor)
            if value is None or not self.better(value, self.best):
                return
            reason = f"{self.monitor} improved from {self.best:.5g} to {value:.5g}, "
        try:
            path = self.filepath.format(**figures)
        except KeyError:
            return
        if self.verbose:
            say(f"Epoch {figures['epoch']}: {reason}saving model to {path}")
        from .._saving.fmlp import save_model

        try:
            save_model(self.model, path, weights_only=self.save_weights_only)
        except OSError as error:
            _warn(f"Model file {path}", error, "saving is tried again when it is next due")
            return
        if self.save_best_only:
            self.best = figures[self.monitor]

    def get_state(self) -> dict[str, Any]:
        """Return the best value and the counts."""
        return {"best": self.best, "epoch": self._epoch, "batches": self._batches}

    def set_state(self, state: dict[str, Any]) -> None:
        """Set the state that `get_state` returned."""
        self.best = float(state["best"])
        self._epoch, self._batches = int(state["epoch"]), int(state["batches"])


class CSVLogger(ConfiguredCallback):
    """Write a table with a row for each epoch: its number, counted from 0, and its logs.

    A row is written when its epoch ends, in one piece. A row that a crash cut short is removed
    when the file is next appended to. The columns are those of the first row; a value that an
    epoch lacks is 'NA'. In a resumed run the table continues where the checkpoint was written;
    the rows of epochs that are trained again are written again.

    A file that cannot be written is refused before training. If a row cannot be written later, for
    example on a full disk, there is a RuntimeWarning, and it is written with the next one. Rows
    can also be written to a device or a pipe.

    Parameters
    ----------
    filename : str or Path
    separator : str
        Character between two cells.
    append : bool
        Whether to append to an existing table, which must have the same columns.
    """

    def __init__(self, filename: str | Path, separator: str = ",", append: bool = False) -> None:
        self.filename = arguments.path("filename", filename)
        if not isinstance(separator, str) or len(separator) != 1 or separator in '\r\n"':
            raise ValueError(
                f"separator must be one character. Received: separator={arguments.shown(separator)}"
            )
        self.separator = separator
        self.append = arguments.flag("append", append)
        self._columns: list[str] = []
        self._appending = False  # to a file whose columns have not been compared yet
        self._rest = b""  # rows that could not be written yet

    def check(self) -> None:
        """Require a directory that exists."""
        if not Path(self.filename).parent.is_dir():
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), self.filename)

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Write an empty file, or prepare the existing one for appending."""
        self._appending, self._rest, self._columns = self.append, b"", []
        if atomic.is_special(self.filename):
            atomic.check(self.filename)
        elif self.append:
            self._continue_file(None)
        else:
            Path(self.filename).write_bytes(b"")

    def on_train_resume(self, state: dict[str, Any]) -> None:
        """Remove the rows of epochs that will be trained again."""
        self._rest, self._columns = str(state.get("rest", "")).encode(), []
        if not atomic.is_special(self.filename):
            self._continue_file(int(state["size"]))

    def on_train_end(self, logs: Logs | None = None) -> None:
        """Write rows that could not be written before."""
        if self._rest:
            self._write()

    def _continue_file(self, size: int | None) -> None:
        """Keep whole rows only, of the first `size` bytes if given; read the columns."""
        import csv

        path = Path(self.filename)
        data = path.read_bytes() if path.exists() else b""
        kept = data[:size]
        kept = kept[: kept.rfind(b"\n") + 1]
        if len(kept) < len(data) or not path.exists():
            with path.open("ab") as file:
                file.truncate(len(kept))
        header = (kept or self._rest).split(b"\n", 1)[0].decode(errors="replace")
        self._columns = next(csv.reader([header], delimiter=self.separator), [])

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Write a row."""
        import csv
        import io

        row: dict[str, Any] = {"epoch": epoch, **(logs or {})}
        names = ["epoch", *sorted({*self.params["metrics"], *(logs or {})})]
        lines: list[list[Any]] = []
        if not self._columns:
            self._columns = names
            lines.append(names)
        elif self._appending and {*names} != {*self._columns}:
            raise ValueError(
                f"{self.filename} must have the columns {', '.join(names)} to be appended to. "
                f"Received: a file with the columns {', '.join(self._columns)}"
            )
        self._appending = False
        lines.append([row.get(name, "NA") for name in self._columns])
        text = io.StringIO()
        csv.writer(text, delimiter=self.separator, lineterminator="\n").writerows(lines)
        self._rest += text.getvalue().encode()
        self._write()

    def _write(self) -> None:
        """Write the rows that are not yet written, all or none of them."""
        try:
            if atomic.is_special(self.filename):
                atomic.write_atomically(self.filename, self._rest)
            else:
                with open(self.filename, "ab", buffering=0) as file:  # noqa: PTH123
                    size = os.fstat(file.fileno()).st_size
                    # In one call, so that a crash cannot cut a row. A full disk may take a part.
                    if file.write(self._rest) != len(self._rest):
                        file.truncate(size)
                        raise OSError("the disk has no room for it")
        except OSError as error:
            _warn(f"Table {self.filename}", error, "the row is written with the next one")
        else:
            self._rest = b""

    def get_state(self) -> dict[str, Any]:
        """Return the size of the file, flushed to the disk, and rows that are not yet written."""
        rest = {"rest": self._rest.decode()} if self._rest else {}
        if atomic.is_special(self.filename):
            return {"size": 0, **rest}
        try:
            descriptor = os.open(self.filename, os.O_RDWR)  # Windows flushes only those
        except FileNotFoundError:
            return {"size": 0, **rest}
        try:
            os.fsync(descriptor)
            return {"size": os.fstat(descriptor).st_size, **rest}
        finally:
            os.close(descriptor)
