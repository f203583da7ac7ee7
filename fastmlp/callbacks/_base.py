"""The base classes of callbacks."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from .._model.history import History
from .._utils import arguments as _arguments

if TYPE_CHECKING:
    from .._model.model import Model

Logs = dict[str, float]


class Callback:
    """Base class: a subclass overrides the hooks it needs; the others cost nothing.

    Training leaves the compiled loop at every epoch for an epoch hook, and at every batch for
    a batch hook, but only if one is overridden. All callbacks of an epoch get the same `logs`:
    later callbacks and the History have the values that a callback adds.

    Attributes
    ----------
    model : Sequential
        The model in training. Setting ``model.stop_training = True`` ends training after the
        epoch, or after the batch from a batch hook.
    params : dict
        ``epochs``, ``batch_size``, ``steps`` (batches in an epoch), ``samples``, ``verbose`` and
        ``metrics`` (every key that logs may have).
    idle_hooks : set of str
        Overridden hooks that this object does not need with its present settings.
    epoch_period : int
        The epoch hooks are called at least every `epoch_period` epochs; a hook may change it.
    """

    model: Any  # a Sequential, which is defined above this package
    params: dict[str, Any]
    idle_hooks: frozenset[str] = frozenset()
    epoch_period: int = 1

    def set_model(self, model: Model) -> None:
        """Remember the model; called before training."""
        self.model = model

    def set_params(self, params: dict[str, Any]) -> None:
        """Remember the settings of this training; called before it."""
        self.params = params

    # ---- training ----

    def check(self) -> None:
        """Raise if this callback cannot be used in this training.

        Called for all callbacks before the first `on_train_begin`, when `model` and `params` are
        set. It must not change anything, so that a call of fit that is refused has no effect.
        """

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Before the first epoch."""

    def on_train_end(self, logs: Logs | None = None) -> None:
        """After the last epoch; `logs` are the epoch's."""

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """Before an epoch, counted from 0."""

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """After an epoch; `logs` have its loss and metrics, and those of its validation."""

    def on_train_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Before a batch, counted from 0 in each epoch."""
        self.on_batch_begin(batch, logs)

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """After a batch; `logs` have the mean loss of the epoch so far."""
        self.on_batch_end(batch, logs)

    def on_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Keras's older name of `on_train_batch_begin`."""

    def on_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Keras's older name of `on_train_batch_end`."""

    # ---- evaluation and prediction ----

    def on_test_begin(self, logs: Logs | None = None) -> None:
        """Before an evaluation, of `evaluate` or on validation data."""

    def on_test_end(self, logs: Logs | None = None) -> None:
        """After an evaluation; `logs` have its loss and metrics."""

    def on_test_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Before each part of the rows that `evaluate` passes to the kernels at once."""

    def on_test_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """After each part of the rows that `evaluate` passes to the kernels at once."""

    def on_predict_begin(self, logs: Logs | None = None) -> None:
        """Before a prediction."""

    def on_predict_end(self, logs: Logs | None = None) -> None:
        """After a prediction."""

    def on_predict_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Before each part of the rows that `predict` passes to the kernels at once."""

    def on_predict_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """After each part of the rows that `predict` passes to the kernels at once."""

    # ---- checkpoints ----

    def get_state(self) -> dict[str, Any]:
        """Return the state that a checkpoint stores, so that a resumed run is the same.

        Returns
        -------
        dict
            JSON values, NumPy arrays and lists of arrays.
        """
        return {}

    def set_state(self, state: dict[str, Any]) -> None:
        """Set the state that `get_state` returned."""

    def on_train_resume(self, state: dict[str, Any]) -> None:
        """Before training resumes from a checkpoint, in place of `on_train_begin`.

        By default it calls `on_train_begin`, then `set_state`.
        """
        self.on_train_begin({})
        self.set_state(state)


HOOKS = tuple(
    name for name in vars(Callback) if name.startswith("on_") and name != "on_train_resume"
)


class ConfiguredCallback(Callback):
    """A callback whose arguments are plain values, stored as attributes of the same names."""

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments; plain JSON values."""
        import inspect

        return {name: getattr(self, name) for name in inspect.signature(type(self)).parameters}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> ConfiguredCallback:
        """Make a callback from what `get_config` returned."""
        return _arguments.from_saved(cls, config)

    def __repr__(self) -> str:
        arguments = ", ".join(f"{key}={value!r}" for key, value in self.get_config().items())
        return f"{type(self).__name__}({arguments})"


class Monitor(ConfiguredCallback):
    """A callback that monitors one value of the logs.

    Parameters
    ----------
    monitor : str
        A key of the logs.
    mode : {'auto', 'min', 'max'}
        Whether small or large values are better.
    min_delta : float
        Smallest change that counts as an improvement.
    verbose : {0, 1, 2}
        1 or 2 print a line for each action.
    """

    def __init__(self, monitor: str, mode: str, min_delta: float = 0.0, verbose: int = 0) -> None:
        if not isinstance(monitor, str) or not monitor:
            raise ValueError(
                "monitor must be the name of a figure. "
                f"Received: monitor={_arguments.shown(monitor)}"
            )
        self.monitor = monitor
        self.mode = _arguments.one_of("mode", mode, ("auto", "min", "max"))
        self.verbose = _arguments.verbosity(verbose)
        self.min_delta = abs(
            _arguments.number("min_delta", min_delta, "a finite number", lambda v: True)
        )
        self._sign = 1.0

    def require_monitor(self) -> None:
        """Raise unless the logs will have the value; find out whether large ones are better."""
        known = self.params["metrics"]
        name = self.monitor.removeprefix("val_")
        if self.monitor not in known:
            hint = ""
            if name in known:
                hint = " Validation figures need validation_data or validation_split."
            elif "val_" + name in known:
                hint = f" {name!r} is not computed for the training rows."
            raise ValueError(
                f"monitor must be one of {', '.join(known)}.{hint} "
                f"Received: monitor={self.monitor!r}"
            )
        large = self.mode == "max"
        if self.mode == "auto":
            metrics = {metric.name: metric for metric in getattr(self.model, "metrics", ())}
            large = metrics[name].larger_is_better if name in metrics else "acc" in name
        self._sign = -1.0 if large else 1.0

    @property
    def worst(self) -> float:
        """The value that every other value improves on."""
        return self._sign * float("inf")

    def better(self, value: float, than: float) -> bool:
        """Return whether `value` is an improvement on `than`; NaN never is."""
        return self._sign * (than - value) > self.min_delta


def as_list(callbacks: Callback | Iterable[Callback] | None) -> list[Callback]:
    """Return the callbacks given to fit as a list; raise ValueError for any other object."""
    if callbacks is None:
        return []
    if isinstance(callbacks, Callback):
        return [callbacks]
    given = _arguments.items("callbacks", callbacks, "callbacks.Callback objects")
    for callback in given:
        if isinstance(callback, History):
            continue  # each fit makes its own
        if not isinstance(callback, Callback):
            raise ValueError(
                "callbacks must be callbacks.Callback objects. "
                f"Received: {_arguments.shown(callback)}"
            )
    return given


def overriding(callbacks: Iterable[Callback], *hooks: str) -> list[Callback]:
    """Return the callbacks that override one of these hooks and need it."""

    def overrides(callback: Callback, hook: str) -> bool:
        # A function that is set on the object has no __func__, and counts as well.
        own = getattr(getattr(callback, hook), "__func__", None)
        return own is not getattr(Callback, hook) and hook not in callback.idle_hooks

    return [c for c in callbacks if any(overrides(c, hook) for hook in hooks)]
