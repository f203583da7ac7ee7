"""The interface of a compiled network, as types that mypy checks.

`Arithmetic` is what the NumPy reference in `tests/support` offers as well. `Network` adds what only
the compiled networks have: locks, snapshots, settings that change between steps, and steps in
halves.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

Array = np.ndarray
Progress = tuple[int, int, int, int, float, list[float]]


class SparseRows(Protocol):
    """Rows of x by their nonzeros, as in SciPy: columns of a row ascend, and no entry is twice."""

    data: Array  # of the network's type
    indices: Array  # int32
    indptr: Array  # int64

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""

    def __len__(self) -> int:
        """Return the number of rows."""


Inputs = Array | SparseRows


class Lock(AbstractContextManager[Any], Protocol):
    """A reentrant lock, such as ``threading.RLock()``."""

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        """Take the lock; return whether it was taken."""

    def release(self) -> None:
        """Give the lock back."""


class Arithmetic(Protocol):
    """A network's numbers: what the compiled networks and the NumPy reference both offer."""

    step: int
    learning_rate: float
    smooth: bool
    epoch: int
    batch: int

    @property
    def dtype(self) -> np.dtype:
        """Type of weights and computations."""

    @property
    def n_layers(self) -> int:
        """Number of dense layers."""

    @property
    def n_inputs(self) -> int:
        """Columns of x."""

    @property
    def n_outputs(self) -> int:
        """Columns of the output."""

    @property
    def nbytes(self) -> int:
        """Bytes held."""

    @property
    def batch_loss(self) -> float:
        """Loss of the last step."""

    @property
    def running_loss(self) -> float:
        """Mean loss of the present epoch so far."""

    @property
    def diverged(self) -> tuple[int, int] | None:
        """(epoch, layer) at which the run diverged, layer -1 for the loss itself; or None."""

    def weights(self, i: int) -> Array:
        """Return a view of layer i's weights, shape (n_in, n_out)."""

    def bias(self, i: int) -> Array:
        """Return a view of layer i's biases, shape (n_out,)."""

    def weights_slot(self, slot: int, i: int) -> Array:
        """Return a view of an optimizer moment (slot 0 or 1) of layer i's weights."""

    def bias_slot(self, slot: int, i: int) -> Array:
        """Return a view of an optimizer moment (slot 0 or 1) of layer i's biases."""

    def weights_gradient(self, i: int) -> Array:
        """Return a view of the gradient that `gradients` stored for layer i's weights."""

    def bias_gradient(self, i: int) -> Array:
        """Return a view of the gradient that `gradients` stored for layer i's biases."""

    def finite(self, n_threads: int = 1) -> int:
        """Return the first layer with a weight or moment that is not finite, or -1."""

    def set_penalty(
        self, i: int, l1: float = 0.0, l2: float = 0.0, bias_l1: float = 0.0, bias_l2: float = 0.0,
        *, proximal: bool = False, bias_proximal: bool = False, group: float = 0.0,
        by_input: bool = False,
    ) -> None:  # fmt: skip
        """Set layer i's lambdas."""

    def penalty(self) -> float:
        """Return the penalty of the present weights."""

    def configure(
        self, *, loss: str, metrics: Sequence[str] = (), optimizer: str = "adam",
        learning_rate: float = 0.001, momentum: float = 0.0, nesterov: bool = False,
        beta_1: float = 0.9, beta_2: float = 0.999, rho: float = 0.9, epsilon: float = 1e-7,
        weight_decay: float = 0.0, initial_step: int = 0, initial_accumulator: float = 0.1,
        huber_delta: float = 1.0, clip_norm: float = 0.0, clip_array_norm: float = 0.0,
        clip_value: float = 0.0,
    ) -> None:  # fmt: skip
        """Choose loss, metrics and optimizer; the optimizer's state starts at zero."""

    def begin(
        self, x: Inputs, y: Array, sample_weight: Array | None = None, *, batch_size: int,
        shuffle: bool, seed: int,
    ) -> None:  # fmt: skip
        """Begin training on these arrays, at epoch 0; they are held until `end`."""

    def end(self) -> None:
        """Release the data."""

    def run(
        self, n_epochs: int, losses: Array, metrics: Array, *, n_threads: int,
        automatic: bool = True, max_seconds: float = 0.1, max_steps: int = 0,
    ) -> int:  # fmt: skip
        """Train on from the session's present position; return how many epochs ended."""

    def apply_gradients(self, *, n_threads: int, automatic: bool = True) -> None:
        """Make one optimizer step with the stored gradients."""

    @property
    def sorted_rows(self) -> int:
        """Number of rows that a prediction puts in order together; 1 if it keeps them as given."""

    def predict_short(self, x: object, most: float) -> Array | None:
        """Return the outputs for a few rows x, by one thread and without any other check.

        None unless x is a C-contiguous array of the network's type with finite numbers, whose rows
        take `most` multiplications or fewer.
        """

    def predict(self, x: Inputs, out: Array, *, n_threads: int, automatic: bool = True) -> None:
        """Write the outputs for x (n, n_inputs) to out (n, n_outputs)."""

    def activations(
        self, x: Inputs, layer: int, out: Array, *, n_threads: int, automatic: bool = True
    ) -> None:
        """Write one layer's outputs for x (n, n_inputs) to out (n, units of the layer)."""

    def evaluate(
        self, x: Inputs, y: Array, sample_weight: Array | None = None, *, n_threads: int,
        automatic: bool = True,
    ) -> tuple[float, list[float]]:  # fmt: skip
        """Return the loss without the penalty, and the metrics."""

    def gradients(
        self, x: Inputs, y: Array | None = None, sample_weight: Array | None = None, *,
        n_threads: int, automatic: bool = True, smooth: bool = False,
    ) -> float:  # fmt: skip
        """Store the gradients of loss plus penalty, or without y of the summed output."""


class Network(Arithmetic, Protocol):
    """A compiled network: weights, the optimizer's state, and a training session."""

    progress: Progress  # epoch, batch, rows done and summed, their sums of the loss and metrics
    writes: int  # of weights by Python
    in_loss: int  # the thread in which a loss in Python is being called, or 0

    def __init__(
        self, n_inputs: int, units: Sequence[int], activations: Sequence[str], *,
        use_bias: Sequence[bool] | None = None, dropout: Sequence[float] | None = None,
        encoding: tuple[Array, Array, Array] | None = None,
    ) -> None:  # fmt: skip
        """Make a network whose weights are all zero."""

    @property
    def lock(self) -> Lock:
        """Held during a step, and by whoever reads or sets weights."""

    @property
    def trainer(self) -> Lock:
        """Held by the thread that trains the network."""

    @property
    def encoding(self) -> list[Array] | None:
        """The arrays of the encoding that it was made with."""

    @property
    def ran(self) -> tuple[str, ...]:
        """Names of the kernels and regimes that training has gone through."""

    def freeze(self, i: int, frozen: bool) -> None:
        """Say whether steps leave layer i's weights and biases as they are."""

    def set_dropout(self, i: int, rate: float) -> None:
        """Set the rate of dropout of layer i's input."""

    def set_activation(self, i: int, name: str) -> None:
        """Set layer i's activation."""

    def set_rule(
        self, *, optimizer: str = "adam", learning_rate: float = 0.001, momentum: float = 0.0,
        nesterov: bool = False, beta_1: float = 0.9, beta_2: float = 0.999, rho: float = 0.9,
        epsilon: float = 1e-7, weight_decay: float = 0.0, initial_step: int = 0,
        initial_accumulator: float = 0.1, huber_delta: float = 1.0, clip_norm: float = 0.0,
        clip_array_norm: float = 0.0, clip_value: float = 0.0,
    ) -> None:  # fmt: skip
        """Set the optimizer's numbers and Huber's delta; the optimizer's state stays."""

    def set_rates(self, rates: Array | None, first_step: int = 0) -> None:
        """Set the rates of the steps from `first_step` on; None returns to `learning_rate`."""

    def reset_optimizer(self) -> None:
        """Set the optimizer's moments and step count to zero."""

    def keep(self, n_threads: int = 1) -> None:
        """Copy the parameters, for `put_back`."""

    def put_back(self) -> None:
        """Set the parameters to what they were when `keep` was last called."""

    def training_bytes(
        self, n_rows: int, batch_size: int, *, n_threads: int, automatic: bool = True,
        shuffle: bool = True, stored: bool = False, x: Inputs | None = None,
    ) -> int:  # fmt: skip
        """Return the bytes that training takes besides the data and what is held already.

        x is needed only if it is sparse.
        """

    def train_forward(
        self, x: Inputs, out: Array, *, n_threads: int, automatic: bool = True
    ) -> None:
        """Take a batch forward with dropout; write the outputs to out."""

    def train_backward(self, dy: Array, *, n_threads: int, automatic: bool = True) -> float:
        """Take the gradient by the outputs backward; return the penalty."""


if TYPE_CHECKING:
    from .network import Network as _Compiled

    _compiled: type[Network] = _Compiled
