"""Sequential: add layers, compile, fit, evaluate, predict, look inside, save."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from . import _arrays, _checks, backend, losses, optimizers, threads
from . import metrics as _metrics
from . import training as _training
from .callbacks import Callback, History
from .layers import Dense, Layer
from .mlp import mlp, parse_layer_values, parse_units
from .progress import ProgressLine
from .stack import Stack

__all__ = ["Sequential", "load_model", "mlp", "parse_layer_values", "parse_units"]

# Multiplications: what takes a tenth of a second or so, and what is not worth a second thread.
_LONG, _SHORT = 4_000_000_000, 400_000


class Sequential(Stack):
    """A network whose layers follow one another.

    Parameters
    ----------
    layers : sequence of Layer, optional
        Added in order.
    seed : int, optional
        Fixes everything that is drawn: weights of initializers without a seed of their own,
        the order of rows, dropout. One is drawn if none is given.
    dtype : {'float32', 'float64'}
        Of weights and computations.
    name : str, optional

    Attributes
    ----------
    seed : int
        Given or drawn: a second model with it behaves alike.
    optimizer, loss, metrics
        As compiled; None and an empty list before.
    history : History or None
        Of the latest `fit`, even one that was interrupted.
    stop_training : bool
        Set by callbacks to end `fit` after the epoch.
    training_config, extras : dict
        Plain JSON values, kept in the model's file: what `fit` was called with, and what
        others wish to keep with the model.
    """

    def __init__(
        self,
        layers: Iterable[Layer] | None = None,
        seed: int | None = None,
        dtype: str = "float32",
        name: str | None = None,
    ) -> None:
        self.optimizer: optimizers.Optimizer | None = None
        self.loss: losses.Loss | None = None
        self.metrics: list[_metrics.Metric] = []
        self.history: History | None = None
        self.stop_training = False
        self.training_config: dict[str, Any] = {}
        self.extras: dict[str, Any] = {}
        self.n_fits = 0
        super().__init__(layers, seed, dtype, name)

    # ---- compile ----

    def compile(self, optimizer: Any, loss: Any, metrics: Any = None) -> None:
        """Choose how to train; forgets the state of an optimizer used before.

        Parameters
        ----------
        optimizer : str or Optimizer
            Such as 'adam' or ``optimizers.Adam(0.01)``.
        loss : str or Loss
            Such as 'mean_squared_error', 'mse'.
        metrics : list of str or Metric, optional
            Reported beside the loss, under the names given here.
        """
        given = [metrics] if isinstance(metrics, (str, _metrics.Metric)) else list(metrics or ())
        chosen = [_metrics.get(identifier) for identifier in given]
        names = ["loss", *(metric.name for metric in chosen)]
        if len(set(names)) < len(names):
            raise ValueError(f"Names of metrics must differ. Received: {', '.join(names[1:])}")
        optimizer, loss = optimizers.get(optimizer), losses.get(loss)
        if self._layers and isinstance(self._layers[-1], Dense):
            _training.check_last(self._layers[-1], loss, chosen)
        self.optimizer, self.loss, self.metrics = optimizer, loss, chosen
        self._configured = False

    @property
    def metrics_names(self) -> list[str]:
        """What `evaluate` returns: 'loss', then the metrics."""
        return ["loss", *(metric.name for metric in self.metrics)]

    def ready(self, trained: bool = True) -> Any:
        """Return the network, checked to be complete and, if `trained`, configured to train."""
        last = self._required_layers()[-1]
        if not isinstance(last, Dense):
            raise ValueError(
                "The last layer must be Dense: dropout of the output itself is no model. "
                f"Received: {last.name!r} at the end"
            )
        network = self.materialise()
        self._usable = True
        if not trained or self._configured:
            return network
        if self.optimizer is None or self.loss is None:
            raise RuntimeError(
                f"Model {self.name!r} is not compiled yet: call compile(optimizer, loss) first"
            )
        _training.check_last(last, self.loss, self.metrics)
        network.configure(
            loss=self.loss.name,
            metrics=[m.engine_name(self.loss.name, network.n_outputs) for m in self.metrics],
            huber_delta=getattr(self.loss, "delta", 1.0),
            **self.optimizer.engine_options(),
        )
        for i, layer in enumerate(self.dense_layers):
            network.set_penalty(i, *layer.penalties())
        self._configured = True
        return network

    # ---- train, evaluate, predict ----

    def fit(
        self,
        x: Any,
        y: Any,
        batch_size: int | None = 32,
        epochs: int = 1,
        verbose: int | str = 1,
        callbacks: Callback | Sequence[Callback] | None = None,
        validation_split: float = 0.0,
        validation_data: Any = None,
        shuffle: bool = True,
        class_weight: Any = None,
        sample_weight: Any = None,
        validation_freq: int | Sequence[int] = 1,
    ) -> History:
        """Train; a second call goes on from the first, the optimizer's state included.

        Parameters
        ----------
        x : array-like of shape (n, n_inputs)
        y : array-like of shape (n, n_outputs)
            (n,) and (n, 1) mean the same.
        batch_size : int
            Rows a step; the last batch of an epoch may be smaller.
        epochs : int
        verbose : {0, 1, 2}
            1: a progress line on stderr once training has taken a second. 2: a line an epoch on
            stdout.
        callbacks : list of Callback, optional
        validation_split : float
            The last share of the rows, before any shuffling, is kept for validation.
        validation_data : tuple (x, y) or (x, y, sample_weight), optional
            Used instead of a split.
        shuffle : bool
            Whether each epoch takes the rows in a new order.
        class_weight : dict of class to weight, optional
        sample_weight : array-like of shape (n,), optional
        validation_freq : int or list of int
            Validate every so many epochs, or after these epochs, counted from 1.

        Returns
        -------
        History

        Raises
        ------
        DataError
            If the data cannot be used.
        DivergedError
            If a loss, weight or moment of the optimizer is no longer finite; the model is left
            with the latest finite snapshot of its weights, at most a second old.
        """
        return _training.fit(
            self,
            x,
            y,
            batch_size=32 if batch_size is None else batch_size,
            epochs=epochs,
            verbose=verbose,
            callbacks=callbacks,
            validation_split=validation_split,
            validation_data=validation_data,
            shuffle=shuffle,
            class_weight=class_weight,
            sample_weight=sample_weight,
            validation_freq=validation_freq,
        )

    def checked_inputs(self, x: Any, name: str = "x") -> np.ndarray:
        """Return x as the network takes it; builds a model that did not know its input's width."""
        array = _arrays.inputs(x, self.n_inputs, self.dtype, name)
        if self.n_inputs is None:
            self.build(array.shape[1])
        return array

    def evaluate(
        self,
        x: Any,
        y: Any,
        batch_size: int | None = None,
        verbose: int | str = 1,
        sample_weight: Any = None,
        return_dict: bool = False,
    ) -> Any:
        """Return the loss, penalty included, and the metrics.

        Parameters
        ----------
        x, y : array-like
        batch_size : int, optional
            Accepted for Keras's sake; the result does not depend on it.
        verbose : {0, 1, 2}
            1: a progress line on stderr for work of more than a second.
        sample_weight : array-like of shape (n,), optional
        return_dict : bool

        Returns
        -------
        float, or list of float
            The loss; [loss, metrics...] if there are metrics. A dict by name if asked.
        """
        _training.check_verbose(verbose)
        if batch_size is not None:
            _checks.integer("batch_size", batch_size)
        x = self.checked_inputs(x)
        network = self.ready()
        assert self.loss is not None
        y = _arrays.targets(y, len(x), network.n_outputs, self.loss.name, self.dtype)
        weight = _arrays.row_weights(sample_weight, len(x), self.dtype)
        values = self._evaluate(x, y, weight, verbose)
        if return_dict:
            return dict(zip(self.metrics_names, values, strict=True))
        return values if self.metrics else values[0]

    def _evaluate(
        self, x: np.ndarray, y: np.ndarray, weight: np.ndarray | None, verbose: int | str = 0
    ) -> list[float]:
        """Return [loss with penalty, metrics...] for checked arrays."""
        network = self.ready()
        n_threads, automatic = threads.resolve()
        sums = np.zeros(1 + len(self.metrics))
        for start, stop in self._spans("evaluate", len(x), verbose):
            part = None if weight is None else weight[start:stop]
            loss, values = network.evaluate(
                x[start:stop], y[start:stop], part, n_threads=n_threads, automatic=automatic
            )
            sums += (stop - start) * np.array([loss, *values])
        sums /= len(x)
        sums[0] += network.penalty()
        return sums.tolist()

    def _spans(self, label: str, n_rows: int, verbose: int | str) -> Iterable[tuple[int, int]]:
        """Cut rows into spans of bounded work; shows progress, and lets signals in between."""
        size = max(256, _LONG // self._n_weights)
        if n_rows <= size:
            yield 0, n_rows
            return
        with ProgressLine(label, n_rows, "rows", enabled=verbose in (1, "auto")) as line:
            for start in range(0, n_rows, size):
                stop = min(start + size, n_rows)
                yield start, stop
                line.update(stop)

    def predict(self, x: Any, batch_size: int | None = None, verbose: int | str = 1) -> np.ndarray:
        """Return the output for each row.

        A row's prediction has the same bits whatever rows accompany it.

        Parameters
        ----------
        x : array-like of shape (n, n_inputs)
        batch_size : int, optional
            Accepted for Keras's sake; the result does not depend on it.
        verbose : {0, 1, 2}
            1: a progress line on stderr for work of more than a second.

        Returns
        -------
        ndarray of shape (n, n_outputs)
        """
        if batch_size is not None:
            _checks.integer("batch_size", batch_size)
        _training.check_verbose(verbose)
        x = self.checked_inputs(x)
        network = self._network if self._usable else self.ready(trained=False)
        out = np.empty((len(x), network.n_outputs), self.dtype)
        if len(x) * self._n_weights < _SHORT:
            network.predict(x, out, n_threads=1)
            return out
        n_threads, automatic = threads.resolve()
        for start, stop in self._spans("predict", len(x), verbose):
            network.predict(
                x[start:stop], out[start:stop], n_threads=n_threads, automatic=automatic
            )
        return out

    __call__ = predict

    # ---- look inside ----

    def activations(self, x: Any) -> list[np.ndarray]:
        """Return every layer's output.

        Parameters
        ----------
        x : array-like of shape (n, n_inputs)

        Returns
        -------
        list of ndarray
            One of shape (n, width) for each of `layers`; Dropout passes its input on.
        """
        x = self.checked_inputs(x)
        network = self.materialise()
        outputs: list[np.ndarray] = []
        for layer in self._layers:
            if isinstance(layer, Dense) or not outputs:
                outputs.append(backend.activations_of(network, x, layer._dense_index))
            else:
                outputs.append(outputs[-1])
        return outputs

    def gradients(
        self, x: Any, y: Any = None, sample_weight: Any = None
    ) -> list[tuple[np.ndarray, np.ndarray]]:
        """Return the gradient by each Dense layer's weights and biases.

        Parameters
        ----------
        x : array-like of shape (n, n_inputs)
        y : array-like, optional
            With y the loss is differentiated, penalty included; without it the sum of the
            output over rows and columns. Dropout is off.
        sample_weight : array-like of shape (n,), optional

        Returns
        -------
        list of (dw, db)
            Shapes (n_in, units) and (units,); db is 0 where a layer has no biases.
        """
        x = self.checked_inputs(x)
        network = self.ready(trained=y is not None)
        if y is not None:
            assert self.loss is not None
            y = _arrays.targets(y, len(x), network.n_outputs, self.loss.name, self.dtype)
        weight = _arrays.row_weights(sample_weight, len(x), self.dtype)
        n_threads, automatic = threads.resolve()
        network.gradients(x, y, weight, n_threads=n_threads, automatic=automatic)
        return [
            (np.array(network.weights_gradient(i)), np.array(network.bias_gradient(i)))
            for i in range(network.n_layers)
        ]

    def summary(
        self, line_length: int | None = None, print_fn: Callable[[str], Any] | None = None
    ) -> None:
        """Print a table of the layers.

        Parameters
        ----------
        line_length : int, optional
            The terminal's width by default.
        print_fn : callable, optional
            Takes the text; `print` by default.
        """
        from .summary import summary_text

        (print_fn or print)(summary_text(self, line_length))

    # ---- keep ----

    def save(self, path: str | Path, overwrite: bool = True) -> None:
        """Write the model to a file, atomically: the old file or the new one, never a part.

        Parameters
        ----------
        path : str or Path
            Its suffix is '.fmlp' by custom.
        overwrite : bool
            If False, an existing file is an error (FileExistsError).
        """
        from .persistence import save_model

        save_model(self, path, overwrite)

    def __reduce__(self) -> tuple[Any, ...]:
        from .persistence import from_bytes, to_bytes

        return from_bytes, (to_bytes(self),)

    def __repr__(self) -> str:
        units = ", ".join(str(layer.units) for layer in self.dense_layers)
        return f"<Sequential {self.name!r}: {self.n_inputs or '?'} inputs, units {units or 'none'}>"


def load_model(path: str | Path) -> Sequential:
    """Read a model from a file; no code of the file's is ever run.

    Parameters
    ----------
    path : str or Path

    Returns
    -------
    Sequential
        With its compilation, the optimizer's state and the history: a further `fit` goes on.

    Raises
    ------
    ModelFileError
        If the file is missing, damaged or no model.
    """
    from .persistence import load_model as load

    return load(path)
