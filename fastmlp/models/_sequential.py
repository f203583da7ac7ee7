"""`Sequential`: thin methods that call the services."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, overload

import numpy as np

from .._model.history import History
from .._model.model import Model
from .._model.summary import summary_card
from .._training import data, evaluation
from .._training.arguments import check_verbose
from .._training.fit import fit
from .._training.input_gradients import input_gradients
from .._utils import arguments
from .._utils.progress import ProgressLine, say
from ..callbacks import Callback

if TYPE_CHECKING:
    from .._training.polish import PolishResult


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
        Type of weights and computations.
    name : str, optional

    Attributes
    ----------
    seed : int
        Given or drawn. A second model with the same seed gets the same weights.
    optimizer, loss, metrics
        As compiled; None and an empty list before.
    history : History or None
        Of all calls of `fit`, also of one that was interrupted.
    stop_training : bool
        Set by callbacks to end `fit` after the epoch.
    training_config, extras : dict
        Plain JSON values, kept in the model's file: the arguments of `fit`, and whatever
        other code keeps with the model.
    """

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
        """Train; a second call continues from the first, with the optimizer's state.

        A model from `models.resume` resumes its run. Give it the data again, and callbacks that
        write files or are written by you; all other arguments are the run's.

        Parameters
        ----------
        x : {array-like, sparse matrix} of shape (n, n_inputs)
            A sparse matrix or array of SciPy is not made dense; the results have the same bits.
        y : array-like of shape (n, n_outputs)
            (n,) and (n, 1) are equivalent.
        batch_size : int
            Rows in each step; the last batch of an epoch may be smaller.
        epochs : int
        verbose : {0, 1, 2}
            1: a progress line on stderr, once training has taken a second. 2: a line on stdout
            for each epoch.
        callbacks : list of Callback, optional
        validation_split : float
            Share of the rows kept for validation: the last ones, before any shuffling.
        validation_data : tuple (x, y) or (x, y, sample_weight), optional
            Used instead of a split.
        shuffle : bool
            Whether each epoch uses the rows in a new order.
        class_weight : dict of class to weight, optional
        sample_weight : array-like of shape (n,), optional
        validation_freq : int or list of int
            Number of epochs between two validations, or the epochs to validate after, counted
            from 1.
        checkpoint : str or Path, optional
            File to write checkpoints to. After a crash, a kill or Ctrl-C `models.resume` resumes
            the run from it, to the same bits. A file that holds an unfinished run is an error.
        checkpoint_every : float or str, optional
            Seconds between two checkpoints, 60 by default; or 'epoch', or '10 epochs'. One is
            also written at the beginning, on Ctrl-C and at the end.
        comm : mpi4py.MPI.Comm, optional
            Processes that train this network together. Each calls fit with the same arguments
            and trains on its shards of the rows; all end with the same model.
        shards : int, optional
            Number of parts that the rows and every batch are cut into: the number of processes
            times a power of two. The result has the same bits on any such number of processes,
            and without `comm`. By default 4, or one for each process.
        fast_reduce : bool
            Whether MPI's own reduction adds the shards' gradients. This is faster, but the bits
            depend on the number of processes.

        Returns
        -------
        History

        Raises
        ------
        DataError
            If the data cannot be used.
        DivergedError
            If a loss, weight or moment of the optimizer is no longer finite. The model then has
            the latest finite snapshot of its weights, at most a second old.
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
            Accepted for compatibility with Keras; the result does not depend on it.
        verbose : {0, 1, 2}
            1: a progress line on stderr if it takes more than a second.
        sample_weight : array-like of shape (n,), optional
        return_dict : bool
        callbacks : list of Callback, optional
            Their hooks on_test_begin, on_test_end, on_test_batch_begin and on_test_batch_end
            are called.

        Returns
        -------
        float, or list of float
            The loss; [loss, metrics...] if there are metrics. A dict by name if asked.
        """
        check_verbose(verbose)
        return_dict = arguments.flag("return_dict", return_dict)
        if batch_size is not None:
            arguments.integer("batch_size", batch_size)
        values = evaluation.evaluate(self, x, y, sample_weight, verbose, callbacks)
        return evaluation.reported(self.metrics_names, values, return_dict)

    def predict(
        self,
        x: Any,
        batch_size: int | None = None,
        verbose: int | str = 1,
        callbacks: Callback | Sequence[Callback] | None = None,
    ) -> np.ndarray:
        """Return the output for each row.

        A row's prediction has the same bits whatever other rows x has.

        Parameters
        ----------
        x : {array-like, sparse matrix} of shape (n, n_inputs)
        batch_size : int, optional
            Accepted for compatibility with Keras; the result does not depend on it.
        verbose : {0, 1, 2}
            1: a progress line on stderr if it takes more than a second.
        callbacks : list of Callback, optional
            Their hooks on_predict_begin, on_predict_end, on_predict_batch_begin and
            on_predict_batch_end are called.

        Returns
        -------
        ndarray of shape (n, n_outputs)
        """
        if batch_size is not None:
            arguments.integer("batch_size", batch_size)
        if type(verbose) is not int or not 0 <= verbose <= 2:
            check_verbose(verbose)
        return evaluation.predict(self, x, verbose, callbacks)

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
        """Minimise the loss from the present weights on all rows at once, to a tolerance.

        The method is proximal gradient with a line search, sped up by quasi-Newton steps, in
        float64 for either type of model. There are no batches, no learning rate and nothing
        random. Proximal steps treat L1 and group penalties exactly, whether they are `proximal`
        or not, so that weights and groups become zero. Dropout is off. With smooth activations
        the result fulfils the conditions of a local optimum. A loss with kinks, above all with
        ReLU, may have its optimum at a kink, where gradients jump and the slack does not go to
        zero; the result says so. The loss never ends higher than it was. The optimizer's state
        is reset.

        Parameters
        ----------
        x : {array-like, sparse matrix} of shape (n, n_inputs)
        y : array-like of shape (n, n_outputs)
        tol : float, optional
            Largest slack; see `PolishResult`. By default 1e-6, or 1e-5 for a model in float32,
            whose weights are rounded at the end.
        max_iter : int
        sample_weight : array-like of shape (n,), optional
        verbose : {0, 1, 2}
            1: a progress line on stderr if it takes more than a second.

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
        self.require_idle("polish")
        rows = data.checked(self, x, y, sample_weight)
        with ProgressLine("polish", max_iter, "iterations", enabled=verbose in (1, "auto")) as line:
            return polish(self, rows, tol, max_iter, line)

    def prune(self, inputs: bool = False) -> Sequential:
        """Return the smaller network with the same predictions, to rounding.

        A hidden unit is removed if its outgoing weights are all zero, or if its incoming weights
        are all zero: then it is a constant, which is added to the biases of the next layer (a
        layer without biases gets them). Removal repeats until no such unit is left; each layer
        keeps at least one unit. Units of a hidden softmax layer stay. The optimizer, its state,
        the history and `extras` are copied, so that `fit` continues, faster. The size of a group
        in a `GroupL1` counts the remaining weights.

        Parameters
        ----------
        inputs : bool
            Whether inputs without weights are removed as well. x then must be
            ``x[:, pruned.extras["pruned"]["inputs"]]``, and the preprocessing of a table that
            is kept with the model is removed. By default the model takes the same x as before.

        Returns
        -------
        Sequential
            Its ``extras["pruned"]`` holds 'units' (before and after, by layer's name), 'inputs'
            (the columns it takes), 'unused_inputs' (those that no prediction depends on) and
            'parameters' (before and after).

        Warns
        -----
        ModelWarning
            If nothing could be removed; the message says why.
        """
        from .._model.prune import prune

        self.materialise()
        return prune(self, arguments.flag("inputs", inputs))

    # ---- look inside ----

    def activations(self, x: Any) -> list[np.ndarray]:
        """Return every layer's output.

        Parameters
        ----------
        x : {array-like, sparse matrix} of shape (n, n_inputs)

        Returns
        -------
        list of ndarray
            One of shape (n, width) for each of `layers`; Dropout passes its input on.
        """
        return evaluation.activations(self, x)

    @overload
    def gradients(
        self, x: Any, y: Any = None, sample_weight: Any = None, *, wrt: Literal["weights"] = ...
    ) -> list[tuple[np.ndarray, np.ndarray]]: ...

    @overload
    def gradients(
        self, x: Any, *, wrt: Literal["inputs"], output: int | None = None
    ) -> np.ndarray: ...

    def gradients(
        self,
        x: Any,
        y: Any = None,
        sample_weight: Any = None,
        *,
        wrt: str = "weights",
        output: int | None = None,
    ) -> Any:
        """Return the gradient by each Dense layer's weights and biases, or by the inputs.

        Parameters
        ----------
        x : {array-like, sparse matrix} of shape (n, n_inputs)
        y : array-like, optional
            With y the gradient is that of the loss with its penalty, whose derivative at 0 is
            taken to be 0; without y, of the sum of the output over rows and columns. Dropout is
            off.
        sample_weight : array-like of shape (n,), optional
        wrt : {'weights', 'inputs'}
            What the gradient is by. 'inputs': of an output of each row by that row's inputs;
            without y and weights.
        output : int, optional
            The output, for 'inputs'; the sum of all outputs by default.

        Returns
        -------
        list of (dw, db), or ndarray of shape (n, n_inputs)
            Shapes (n_in, units) and (units,); db is 0 for a layer without biases.
        """
        if arguments.one_of("wrt", wrt, ("weights", "inputs")) == "inputs":
            for name, given in (("y", y), ("sample_weight", sample_weight)):
                if given is not None:
                    raise ValueError(
                        f"{name} cannot be combined with wrt='inputs', which is of the outputs. "
                        f"Received: {name}"
                    )
            return input_gradients(self, x, output)
        if output is not None:
            raise ValueError(f"output needs wrt='inputs'. Received: output={output!r}")
        return evaluation.gradients(self, x, y, sample_weight)

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
            Width in characters; the terminal's by default.
        print_fn : callable, optional
            Called with the text; `print` by default.
        verbose : bool
            Add the share of weights that are not zero, their norms, and the memory of
            parameters and optimizer. No weights are drawn for it.
        """
        from .._model.summary import summary_text

        (print_fn or say)(summary_text(self, line_length, verbose))

    # ---- keep ----

    def save(self, path: str | Path, overwrite: bool = True) -> None:
        """Write the model to a file, atomically: the old file or the new one, never a part.

        Parameters
        ----------
        path : str or Path
            Conventionally with the suffix '.fmlp'.
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
            By default the format of the suffix: .onnx, .keras, .safetensors or .c.
        overwrite : bool
            If False, an existing file is an error (FileExistsError).
        name : str
            Prefix of the names of functions in a C file.
        """
        from .._saving.export import export_model

        export_model(self, path, to, overwrite, name)

    def __reduce__(self) -> tuple[Any, ...]:
        from .._saving.fmlp import own_objects, to_bytes

        if not self.built:  # it has no weights, which a file needs
            return _unbuilt, (type(self), self.unbuilt_state())
        return from_bytes, (to_bytes(self), "the data", own_objects(self))

    def __repr__(self) -> str:
        units = ", ".join(str(layer.units) for layer in self.dense_layers)
        return f"<Sequential {self.name!r}: {self.n_inputs or '?'} inputs, units {units or 'none'}>"

    def _repr_html_(self) -> str:
        """Return a card of the model, for notebooks."""
        return summary_card(self)


def _unbuilt(cls: type[Sequential], described: dict[str, Any]) -> Sequential:
    """Return the copy of a model that was not built yet, or such a model that was pickled."""
    return cls.from_unbuilt_state(described)


def from_bytes(
    data: bytes, name: str = "the data", custom_objects: Mapping[str, Any] | None = None
) -> Sequential:
    """Return the model whose file has this content, or the Ensemble; see `load_model`.

    Parameters
    ----------
    data : bytes
    name : str
        Name of the source, for messages.
    custom_objects : mapping of str to function or class, optional
        As for `load_model`.

    Returns
    -------
    Sequential

    Raises
    ------
    ModelFileError
        If the data are not a usable model file.
    """
    from .._saving import fmlp

    return fmlp.from_bytes(data, Sequential, name, custom_objects)
