"""Sequential: add layers, compile, fit, evaluate, predict, look inside, save."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import backend, threads
from .._model.history import History
from .._model.model import Model
from .._training import data, evaluation
from .._training.arguments import check_verbose
from .._training.fit import fit
from .._utils import arguments, arrays
from .._utils.progress import ProgressLine, say
from ..callbacks import Callback, as_list
from ..layers import Dense, Layer

if TYPE_CHECKING:
    from .._training.polish import PolishResult

_SHORT = 400_000  # multiplications that are not worth a second thread


class Sequential(Model):
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
        self.history: History | None = None
        self.stop_training = False
        self.training_config: dict[str, Any] = {}
        self.extras: dict[str, Any] = {}
        self.n_fits = 0
        super().__init__(layers, seed, dtype, name)

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
        checkpoint: str | Path | None = None,
        checkpoint_every: float | str | None = None,
        comm: Any = None,
        shards: int | None = None,
        fast_reduce: bool = False,
    ) -> History:
        """Train; a second call goes on from the first, the optimizer's state included.

        A model that `resume` returned goes on with its run: it needs the data again, and
        callbacks that write files or are one's own; other arguments are the run's.

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
        checkpoint : str or Path, optional
            Where the run is kept, so that `models.resume` goes on with it after a crash, a kill
            or Ctrl-C, to the same bits. A file that holds an unfinished run is an error.
        checkpoint_every : float or str, optional
            Seconds between two checkpoints, 60 by default; or 'epoch', or '10 epochs'. One is
            written at the beginning, on Ctrl-C and at the end as well.
        comm : mpi4py.MPI.Comm, optional
            Processes that train this network together; each calls fit with the same arguments,
            and uses its shards of the rows. All end with the same model.
        shards : int, optional
            Into how many the rows and every batch are cut; a multiple of the number of processes,
            by a power of two. The result has the same bits on any such number of processes, and
            without `comm`. By default 4, or one a process.
        fast_reduce : bool
            Whether the shards' gradients are added as MPI's own reduction does it: faster, but
            the bits depend on the number of processes.

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
        return fit(
            self,
            x,
            y,
            {
                "batch_size": 32 if batch_size is None else batch_size,
                "epochs": epochs,
                "verbose": verbose,
                "validation_split": validation_split,
                "shuffle": shuffle,
                "class_weight": class_weight,
                "validation_freq": validation_freq,
                "shards": shards,
                "fast_reduce": fast_reduce,
            },
            callbacks=callbacks,
            validation_data=validation_data,
            sample_weight=sample_weight,
            checkpoint=checkpoint,
            checkpoint_every=checkpoint_every,
            comm=comm,
        )

    def checked_inputs(self, x: Any, name: str = "x") -> np.ndarray:
        """Return x as the network takes it; builds a model that did not know its input's width."""
        array = arrays.inputs(x, self.n_inputs, self.dtype, name)
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
        callbacks: Callback | Sequence[Callback] | None = None,
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
        callbacks : list of Callback, optional
            Their hooks on_test_begin, on_test_end and so on are called.

        Returns
        -------
        float, or list of float
            The loss; [loss, metrics...] if there are metrics. A dict by name if asked.
        """
        check_verbose(verbose)
        return_dict = arguments.flag("return_dict", return_dict)
        if batch_size is not None:
            arguments.integer("batch_size", batch_size)
        with self.accepting():
            rows = data.checked(self, x, y, sample_weight)
            hooked, parts = evaluation.hooked(self, callbacks, "test")
        for callback in hooked:
            callback.on_test_begin({})
        values = evaluation.evaluate(self, rows, verbose, parts)
        for callback in hooked:
            callback.on_test_end(evaluation.reported(self.metrics_names, values, True))
        return evaluation.reported(self.metrics_names, values, return_dict)

    def predict(
        self,
        x: Any,
        batch_size: int | None = None,
        verbose: int | str = 1,
        callbacks: Callback | Sequence[Callback] | None = None,
    ) -> np.ndarray:
        """Return the output for each row.

        A row's prediction has the same bits whatever rows accompany it.

        Parameters
        ----------
        x : array-like of shape (n, n_inputs)
        batch_size : int, optional
            Accepted for Keras's sake; the result does not depend on it.
        verbose : {0, 1, 2}
            1: a progress line on stderr for work of more than a second.
        callbacks : list of Callback, optional
            Their hooks on_predict_begin, on_predict_end and so on are called.

        Returns
        -------
        ndarray of shape (n, n_outputs)
        """
        if batch_size is not None:
            arguments.integer("batch_size", batch_size)
        check_verbose(verbose)
        if self._usable:
            x, network = self.checked_inputs(x), self._network
        else:
            with self.accepting():
                x = self.checked_inputs(x)
                as_list(callbacks)
                network = self.ready(trained=False)
        out = np.empty((len(x), network.n_outputs), self.dtype)
        if len(x) * self._n_weights < _SHORT and callbacks is None:
            network.predict(x, out, n_threads=1)
            return out
        evaluation.predict(self, x, out, verbose, callbacks)
        return out

    __call__ = predict

    # ---- sparse networks ----

    def polish(
        self,
        x: Any,
        y: Any,
        *,
        tol: float | None = None,
        max_iter: int = 20_000,
        sample_weight: Any = None,
        verbose: int | str = 0,
    ) -> PolishResult:
        """Bring the weights from where `fit` left them to an optimum of the loss, to tolerance.

        Proximal gradient steps with a line search on all rows at once, sped up by quasi-Newton
        steps, in float64 whatever the model's type: no batches, no learning rate, nothing random.
        L1 and group penalties are taken exactly, whether `proximal` or not, so that weights and
        groups become zero; dropout is off. With smooth activations the result fulfils the
        conditions of a local optimum. A loss that has kinks, with ReLU above all, may have its
        optimum at one, where gradients jump and no slack goes to zero: the result says so. The
        loss never ends higher than it was. The optimizer of a further `fit` starts anew.

        Parameters
        ----------
        x : array-like of shape (n, n_inputs)
        y : array-like of shape (n, n_outputs)
        tol : float, optional
            Largest slack; see `PolishResult`. By default 1e-6, for a model in float32, whose
            weights are rounded at the end, 1e-5.
        max_iter : int
        sample_weight : array-like of shape (n,), optional
        verbose : {0, 1, 2}
            1: a progress line on stderr for work of more than a second.

        Returns
        -------
        PolishResult
            converged, slack, n_iter, loss and message.

        References
        ----------
        Stella, Themelis, Sopasakis & Patrinos (2017), CDC: PANOC.
        """
        from .._training.polish import polish

        if tol is None:
            tol = 1e-6 if self.dtype == "float64" else 1e-5
        tol = arguments.number("tol", tol, "a finite number above 0", lambda v: v > 0)
        max_iter = arguments.integer("max_iter", max_iter)
        check_verbose(verbose)
        self.require_rest("polish")
        rows = data.checked(self, x, y, sample_weight)
        with ProgressLine("polish", max_iter, "iterations", enabled=verbose in (1, "auto")) as line:
            return polish(self, rows, tol, max_iter, line)

    def prune(self, inputs: bool = False) -> Sequential:
        """Return the smaller network with the same predictions, to rounding.

        A hidden unit goes if its outgoing weights are all zero, for nothing sees it; or if its
        incoming weights are all zero, for then it is a constant, which is added to the biases
        of the next layer (that gets biases if it has none). This goes on until no unit is left
        that could go, but for one a layer. Units of a hidden softmax layer stay. Optimizer,
        its state, history and `extras` are copied, so that `fit` goes on, faster; the size of a
        group in a `GroupL1` is that of what is left.

        Parameters
        ----------
        inputs : bool
            Whether inputs without weights go as well; x then must be
            ``x[:, pruned.extras["pruned"]["inputs"]]``, and the preprocessing of a table that
            is kept with the model goes too. By default the model takes the x that it took.

        Returns
        -------
        Sequential
            Its ``extras["pruned"]`` holds 'units' (before and after, by layer's name), 'inputs'
            (the columns it takes), 'unused_inputs' (those that no prediction depends on) and
            'parameters' (before and after).
        """
        from .._model.prune import prune

        self.materialise()
        return prune(self, arguments.flag("inputs", inputs))

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
        with self.accepting():
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
            With y the loss is differentiated, penalty included, whose derivative at a zero is
            taken to be 0; without it the sum of the output over rows and columns. Dropout is off.
        sample_weight : array-like of shape (n,), optional

        Returns
        -------
        list of (dw, db)
            Shapes (n_in, units) and (units,); db is 0 where a layer has no biases.
        """
        with self.accepting():
            x = self.checked_inputs(x)
            network = self.ready(trained=y is not None)
            if y is not None:
                assert self.loss is not None
                if self.loss.in_python:
                    raise RuntimeError(
                        "gradients(x, y) knows the losses of fastmlp only. "
                        f"Received: loss {self.loss.name!r}, written in Python"
                    )
                y = data.targets(self, y, len(x))
            weight = arrays.row_weights(sample_weight, len(x), self.dtype)
        n_threads, automatic = threads.resolve()
        with network.lock:  # until they are copied
            network.gradients(x, y, weight, n_threads=n_threads, automatic=automatic)
            gradients = [
                (np.array(network.weights_gradient(i)), np.array(network.bias_gradient(i)))
                for i in range(network.n_layers)
            ]
        for layer, pair in zip(self.dense_layers, gradients, strict=True):
            layer.add_proximal_gradients(*(pair if y is not None else ()))
        return gradients

    def summary(
        self,
        line_length: int | None = None,
        print_fn: Callable[[str], Any] | None = None,
        verbose: bool = False,
    ) -> None:
        """Print a table of the layers.

        Parameters
        ----------
        line_length : int, optional
            The terminal's width by default.
        print_fn : callable, optional
            Takes the text; `print` by default.
        verbose : bool
            Add the share of weights that are not zero, their norms, and what takes how much
            memory. Weights that are not drawn yet stay so.
        """
        from .._model.summary import summary_text

        (print_fn or say)(summary_text(self, line_length, verbose))

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
        from .._saving.fmlp import save_model

        save_model(self, path, overwrite)

    def export(
        self,
        path: str | Path,
        to: str | None = None,
        overwrite: bool = True,
        name: str = "model",
    ) -> None:
        """Write the model for ONNX, Keras, PyTorch or as C; see `interchange.export_model`.

        Parameters
        ----------
        path : str or Path
        to : {'onnx', 'keras', 'torch', 'c'}, optional
            By default what the suffix says: .onnx, .keras, .safetensors or .c.
        overwrite : bool
            If False, an existing file is an error (FileExistsError).
        name : str
            Begins the names of the functions in a C file.
        """
        from .._saving.export import export_model

        export_model(self, path, to, overwrite, name)

    def get_config(self) -> dict[str, Any]:
        """Return the architecture: name, type, seed, width of the input and layers.

        Returns
        -------
        dict
            Plain JSON values, without weights and compilation.
        """
        return {
            "name": self.name,
            "dtype": self.dtype.name,
            "seed": self.seed,
            "n_inputs": self.n_inputs,
            "layers": [arguments.saved(layer) for layer in self._layers],
        }

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Sequential:
        """Make a model, with weights of its own, from what `get_config` returned.

        Parameters
        ----------
        config : mapping

        Returns
        -------
        Sequential

        Raises
        ------
        ValueError
            If it is not such a mapping; the message names what is wrong.
        """
        from ..layers import made_layers

        keys = {"name", "dtype", "seed", "n_inputs", "layers"}
        if not isinstance(config, Mapping) or set(config) != keys:
            odd = sorted(keys ^ set(config), key=str) if isinstance(config, Mapping) else []
            known = [f"{key!r} is missing" if key in keys else f"{key!r} is unknown" for key in odd]
            raise ValueError(
                f"config must be a dict with the keys {', '.join(sorted(keys))}. "
                f"Received: {arguments.shown(config)}{', where ' if odd else ''}{', '.join(known)}"
            )
        try:
            layers = made_layers(arguments.items("config['layers']", config["layers"], "layers"))
        except ValueError as error:
            raise ValueError(f"config['layers'] cannot be used: {error}") from error
        model = cls(layers, config["seed"], config["dtype"], config["name"])
        if config["n_inputs"] is not None:
            model.build((config["n_inputs"],))
        return model

    def _state_of_fit(self) -> dict[str, Any]:
        names = ("history", "n_fits", "stop_training", "resumed")
        copied = ("training_config", "extras")
        state = {name: getattr(self, name) for name in names}
        return state | {name: dict(getattr(self, name)) for name in copied}

    def __reduce__(self) -> tuple[Any, ...]:
        from .._saving.fmlp import own_objects, to_bytes

        if not self.built:  # it has no weights, so a file does not hold it
            return _unbuilt, (type(self), self._described())
        return from_bytes, (to_bytes(self), "the data", own_objects(self))

    def _described(self) -> dict[str, Any]:
        """Return what a copy of a model that is not built yet has."""
        names = ("seed", "name", "n_fits", "training_config", "extras", "history", "_input",
                 "missing", "_optimizer", "_loss", "_metrics")  # fmt: skip
        return {
            "layers": self.layers,
            "dtype": self.dtype.name,
            "state": {name: getattr(self, name) for name in names},
        }

    def __repr__(self) -> str:
        units = ", ".join(str(layer.units) for layer in self.dense_layers)
        return f"<Sequential {self.name!r}: {self.n_inputs or '?'} inputs, units {units or 'none'}>"


def _unbuilt(cls: type[Sequential], described: dict[str, Any]) -> Sequential:
    """Return the copy of a model that was not built yet, or such a model that was pickled."""
    model = cls(described["layers"], dtype=described["dtype"])
    for name, value in described["state"].items():
        setattr(model, name, value)
    return model


def from_bytes(
    data: bytes, name: str = "the data", custom_objects: Mapping[str, Any] | None = None
) -> Sequential:
    """Return the model whose file has this content, or the Ensemble; see `load_model`.

    Parameters
    ----------
    data : bytes
    name : str
        Where they came from, for messages.
    custom_objects : mapping of str to function or class, optional
        As for `load_model`.

    Returns
    -------
    Sequential

    Raises
    ------
    ModelFileError
        If anything is wrong with them.
    """
    from .._saving import fmlp

    return fmlp.from_bytes(data, Sequential, name, custom_objects)
