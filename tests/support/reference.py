"""A network in plain NumPy with the interface of the compiled ones, which are tested against it.

The arithmetic is in `fastmlp/_kernels/formulas.py`; this file has the order in which it happens.
"""

import itertools
import math
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from fastmlp._kernels.formulas import (
    ACTIVATIONS,
    LOSSES,
    METRICS,
    OPTIMIZERS,
    PROX_STEPS,
    Array,
    activation_backward,
    activation_forward,
    adagrad_update,
    adam_update,
    clip_gradients,
    dense_backward_data,
    dense_backward_weights,
    dense_forward,
    group_penalty_value,
    group_shrink,
    loss_backward,
    loss_rows,
    metric_rows,
    penalty_gradient,
    penalty_value,
    piecewise_linear,
    proximal_metric,
    rmsprop_update,
    rows_of_nonzeros,
    sgd_update,
    soft_threshold,
)

if TYPE_CHECKING:
    from fastmlp._kernels.interface import Arithmetic, Inputs

# Overflow is found by looking at the numbers, as in the compiled kernels, not by a warning.
_quiet = np.errstate(over="ignore", invalid="ignore", divide="ignore")


def _known(word: str, value: str, known: Sequence[str]) -> None:
    if value not in known:
        raise ValueError(f"{word} must be one of {', '.join(known)}. Received: {word}={value!r}")


def _array(x: "Inputs") -> Array:
    if isinstance(x, np.ndarray):
        return x
    return rows_of_nonzeros(x.data, x.indices, x.indptr, x.shape[1])


class ReferenceNetwork:
    """The compiled networks' interface on the formulas: slow, plain, any float dtype.

    Thread counts are accepted and ignored. Shuffling and dropout draw from NumPy's generators,
    so only runs without them can be compared with compiled networks, number for number.

    Parameters
    ----------
    n_inputs : int
        Columns of x, at least 1.
    units : sequence of int
        Width of each dense layer, the output included.
    activations : sequence of str
        One of `ACTIVATIONS` for each dense layer.
    use_bias : sequence of bool, optional
        Whether each layer has a bias; all have by default.
    dropout : sequence of float, optional
        Rate of dropout on the input of each layer, while training; 0 by default.
    encoding : tuple of ndarray, optional
        `first`, `lower` and `inverse` of `piecewise_linear`, which the first layer takes x through.
    dtype : str
        "float32" or "float64".
    """

    def __init__(
        self, n_inputs: int, units: Sequence[int], activations: Sequence[str], *,
        use_bias: Sequence[bool] | None = None, dropout: Sequence[float] | None = None,
        encoding: tuple[Array, Array, Array] | None = None, dtype: str = "float32",
    ) -> None:  # fmt: skip
        widths = [n_inputs if encoding is None else int(encoding[0][-1]), *units]
        if len(widths) < 2 or min(widths) < 1:
            raise ValueError(
                "n_inputs and units must be positive integers. "
                f"Received: n_inputs={n_inputs}, units={list(units)}"
            )
        for name in activations:
            _known("activation", name, ACTIVATIONS)
        self.dtype = np.dtype(dtype)
        self.n_layers = len(units)
        self.n_inputs = n_inputs
        self.encoding = None if encoding is None else list(encoding)
        self.n_outputs = units[-1]
        self._activations = list(activations)
        self._use_bias = [True] * self.n_layers if use_bias is None else list(use_bias)
        self._dropout = [0.0] * self.n_layers if dropout is None else list(dropout)
        lengths = [len(s) for s in (units, activations, self._use_bias, self._dropout)]
        if len(set(lengths)) > 1:
            raise ValueError(
                "units, activations, use_bias and dropout must have one value per layer. "
                f"Received: {lengths} values"
            )

        def zeros() -> list[tuple[Array, Array]]:
            return [
                (np.zeros((n_in, n_out), self.dtype), np.zeros(n_out, self.dtype))
                for n_in, n_out in itertools.pairwise(widths)
            ]

        # Each a list of (weights, bias), one pair per layer.
        self._parameters, self._gradients, *self._slots = zeros(), zeros(), zeros(), zeros()
        self._penalties = [(0.0, 0.0, 0.0, 0.0)] * self.n_layers
        self._proximal = [(0.0, 0.0)] * self.n_layers  # L1 of weights and biases
        self._groups = [(0.0, False)] * self.n_layers
        self.smooth = False  # whether the loss that is reported is that of the logits
        self._settings: dict[str, Any] = {"metrics": ()}
        self._data: tuple[Array, Array, Array | None] | None = None
        self.learning_rate = 0.001
        self.step = self.epoch = self.batch = 0
        self.batch_loss = 0.0
        self.diverged: tuple[int, int] | None = None
        self._reset_means()

    def weights(self, i: int) -> Array:
        """Return layer i's weights, (n_in, n_out); assign with `[...] =`."""
        return self._parameters[i][0]

    def bias(self, i: int) -> Array:
        """Return layer i's biases, (n_out,)."""
        return self._parameters[i][1]

    def weights_slot(self, slot: int, i: int) -> Array:
        """Return the optimizer's state of layer i's weights.

        Slot 0 holds Adam's m, SGD's velocity or Adagrad's sums; slot 1 Adam's or RMSprop's v.
        """
        return self._slots[slot][i][0]

    def bias_slot(self, slot: int, i: int) -> Array:
        """Return the optimizer's state of layer i's biases."""
        return self._slots[slot][i][1]

    def weights_gradient(self, i: int) -> Array:
        """Return what `gradients` left for layer i's weights."""
        return self._gradients[i][0]

    def bias_gradient(self, i: int) -> Array:
        """Return what `gradients` left for layer i's biases."""
        return self._gradients[i][1]

    @property
    def nbytes(self) -> int:
        """Bytes held by parameters, gradients and optimizer state."""
        return 4 * sum(w.nbytes + b.nbytes for w, b in self._parameters)

    def set_penalty(
        self, i: int, l1: float = 0.0, l2: float = 0.0, bias_l1: float = 0.0, bias_l2: float = 0.0,
        *, proximal: bool = False, bias_proximal: bool = False, group: float = 0.0,
        by_input: bool = False,
    ) -> None:  # fmt: skip
        """Set the lambdas of layer i."""
        gradient = (0.0 if proximal else l1, l2, 0.0 if bias_proximal else bias_l1, bias_l2)
        self._penalties[i] = gradient
        self._proximal[i] = (l1 - gradient[0], bias_l1 - gradient[2])
        self._groups[i] = (group, by_input)

    def penalty(self) -> float:
        """Return the sum of all penalties."""
        total = 0.0
        for i, (w, b) in enumerate(self._parameters):
            l1, l2, bias_l1, bias_l2 = self._penalties[i]
            more, bias_more = self._proximal[i]
            total += penalty_value(w, l1 + more, l2) + penalty_value(
                b, bias_l1 + bias_more, bias_l2
            )
            total += group_penalty_value(w, *self._groups[i])
        return total

    def configure(
        self, *, loss: str, metrics: Sequence[str] = (), optimizer: str = "adam",
        learning_rate: float = 0.001, momentum: float = 0.0, nesterov: bool = False,
        beta_1: float = 0.9, beta_2: float = 0.999, rho: float = 0.9, epsilon: float = 1e-7,
        weight_decay: float = 0.0, initial_step: int = 0, initial_accumulator: float = 0.1,
        huber_delta: float = 1.0, clip_norm: float = 0.0, clip_array_norm: float = 0.0,
        clip_value: float = 0.0,
    ) -> None:  # fmt: skip
        """Choose loss, metrics and optimizer, and forget the optimizer's state."""
        self._settings = {name: value for name, value in locals().items() if name != "self"}
        _known("loss", loss, LOSSES)
        _known("optimizer", optimizer, OPTIMIZERS)
        for metric in metrics:
            _known("metric", metric, METRICS)
        self.learning_rate = learning_rate
        self.step = 0
        for s, slot in enumerate(self._slots):
            for array in itertools.chain(*slot):
                array[...] = initial_accumulator if (optimizer, s) == ("adagrad", 0) else 0.0

    # ---- training ----

    def begin(
        self, x: "Inputs", y: Array, sample_weight: Array | None = None, *,
        batch_size: int, shuffle: bool, seed: int,
    ) -> None:  # fmt: skip
        """Start a session on x (n, n_inputs), y (n, n_outputs) and sample weights (n,)."""
        if len(x) < 1 or batch_size < 1:
            raise ValueError(
                "rows and batch_size must be positive. "
                f"Received: {len(x)} rows, batch_size={batch_size}"
            )
        self._data = (_array(x), y, sample_weight)
        self._batch_size, self._shuffle, self._seed = batch_size, shuffle, seed
        self.epoch = self.batch = 0
        self.batch_loss = 0.0
        self.diverged = None
        self._reset_means()

    def end(self) -> None:
        """Release the data."""
        self._data = None

    @_quiet
    def run(
        self, n_epochs: int, losses: Array, metrics: Array, *,
        n_threads: int, automatic: bool = True, max_seconds: float = 0.1, max_steps: int = 0,
    ) -> int:  # fmt: skip
        """Train on from the session's present position, which may be within an epoch.

        Stops when `n_epochs` epochs have ended in this call, after `max_seconds`, after
        `max_steps` steps (0: no limit), or when the run diverges.

        Parameters
        ----------
        n_epochs : int
        losses : ndarray of shape (>= n_epochs,), float64, out
            Mean of loss plus penalty over the rows of each epoch that ended.
        metrics : ndarray of shape (>= n_epochs, n_metrics), float64, out
        n_threads, automatic, max_seconds, max_steps
            The first two are ignored here.

        Returns
        -------
        int
            How many epochs ended.
        """
        if self._data is None:
            raise RuntimeError("run() needs data. Received: no call of begin() before it")
        n_batches = -(-len(self._data[0]) // self._batch_size)
        deadline = time.monotonic() + max_seconds
        ended = steps = 0
        while ended < n_epochs and self.diverged is None:
            x, y, weight = self._data
            rows = self._rows_of_batch(len(x))
            self._train(x[rows], y[rows], None if weight is None else weight[rows])
            if self.diverged is not None:
                break
            steps += 1
            self.batch += 1
            if self.batch == n_batches:
                losses[ended] = self.running_loss
                metrics[ended] = self._metric_sums / self._rows
                ended, self.epoch, self.batch = ended + 1, self.epoch + 1, 0
                self._reset_means()
            if steps == max_steps or time.monotonic() >= deadline:
                break
        return ended

    @property
    def running_loss(self) -> float:
        """Mean loss over the rows of the current epoch so far; NaN before its first step."""
        return self._loss_sum / self._rows if self._rows else math.nan

    def _reset_means(self) -> None:
        self._rows, self._loss_sum = 0, 0.0
        self._metric_sums = np.zeros(len(self._settings["metrics"]))

    def _generator(self, purpose: int, batch: int) -> np.random.Generator:
        # What is drawn depends on the place in the run alone, so a resumed run draws the same.
        counter = [0, purpose, batch, self.epoch]
        return np.random.Generator(np.random.Philox(key=self._seed, counter=counter))

    def _rows_of_batch(self, n: int) -> Array:
        order = self._generator(0, 0).permutation(n) if self._shuffle else np.arange(n)
        return order[self.batch * self._batch_size : (self.batch + 1) * self._batch_size]

    def _train(self, x: Array, y: Array, sample_weight: Array | None) -> None:
        masks: list[Any] = [1] * self.n_layers
        for i, rate in enumerate(self._dropout):
            if rate:
                shape = len(x), len(self.weights(i))
                keep = self._generator(1 + i, self.batch).random(shape) >= rate
                masks[i] = keep.astype(self.dtype) / (1 - rate)
        inputs, z, a = self._forward(x, masks)
        self.batch_loss = self._loss(y, z[-1], a[-1], sample_weight) + self.penalty()
        if math.isfinite(self.batch_loss):
            self._rows += len(x)
            self._loss_sum += len(x) * self.batch_loss
            self._metric_sums += len(x) * np.array(self._metrics(y, z[-1], a[-1]))
            self._backward(
                inputs, z, a, self._loss_derivative(y, z[-1], a[-1], sample_weight), masks
            )
            self._add_penalty_gradients()
            self.apply_gradients(n_threads=1)
        if not math.isfinite(self.batch_loss) or self.finite() >= 0:
            self.diverged = (self.epoch, self.finite())

    @_quiet
    def apply_gradients(self, *, n_threads: int, automatic: bool = True) -> None:
        """Make one optimizer step with the gradients that `gradients` left."""
        self.step += 1
        s = self._settings
        clipped = clip_gradients(
            list(itertools.chain(*self._gradients)),
            s["clip_norm"], s["clip_array_norm"], s["clip_value"],
        )  # fmt: skip
        for i, use_bias in enumerate(self._use_bias):
            for kind in range(1 + use_bias):
                slot_0, slot_1 = self._slots[0][i][kind], self._slots[1][i][kind]
                w = self._parameters[i][kind]
                self._update(w, clipped[2 * i + kind], slot_0, slot_1)
                group = self._groups[i] if kind == 0 else (0.0, False)
                self._shrink(w, (slot_0, slot_1), self._proximal[i][kind], *group)

    def _shrink(
        self, w: Array, slots: tuple[Array, Array], l1: float, group: float, by_input: bool
    ) -> None:
        """Make the proximal steps that follow an optimizer's."""
        s, lr = self._settings, self.learning_rate
        if not (l1 or group) or not lr:
            return
        d = proximal_metric(
            s["optimizer"], slots, lr=lr, momentum=s["momentum"], nesterov=s["nesterov"],
            beta_2=s["beta_2"], epsilon=s["epsilon"], t=self.step + s["initial_step"],
        )  # fmt: skip
        limit = math.inf if s["optimizer"] == "sgd" else PROX_STEPS * lr
        if l1:
            soft_threshold(w, np.minimum(l1 / d, limit))
        if group:
            group_shrink(w, d, group, by_input, limit)

    def _update(self, w: Array, g: Array, slot_0: Array, slot_1: Array) -> None:
        s, lr = self._settings, self.learning_rate
        if s["optimizer"] == "sgd":
            sgd_update(w, g, slot_0, lr=lr, momentum=s["momentum"], nesterov=s["nesterov"])
        elif s["optimizer"] == "rmsprop":
            rmsprop_update(w, g, slot_1, lr=lr, rho=s["rho"], epsilon=s["epsilon"])
        elif s["optimizer"] == "adagrad":
            adagrad_update(w, g, slot_0, lr=lr, epsilon=s["epsilon"])
        else:
            adam_update(
                w, g, slot_0, slot_1, lr=lr, betas=(s["beta_1"], s["beta_2"]),
                epsilon=s["epsilon"], t=self.step + s["initial_step"],
                weight_decay=s["weight_decay"] if s["optimizer"] == "adamw" else 0.0,
            )  # fmt: skip

    def finite(self, n_threads: int = 1) -> int:
        """Return the first layer with a weight or a moment that is not finite, or -1."""
        for i in range(self.n_layers):
            arrays = (*self._parameters[i], *self._slots[0][i], *self._slots[1][i])
            if not all(np.isfinite(array).all() for array in arrays):
                return i
        return -1

    # ---- inference ----

    @property
    def sorted_rows(self) -> int:
        return 1

    def predict_short(self, x: object, most: float) -> Array | None:
        return None

    @_quiet
    def predict(self, x: "Inputs", out: Array, *, n_threads: int, automatic: bool = True) -> None:
        """Write the outputs for x (n, n_inputs) to out (n, n_outputs)."""
        out[...] = self._forward(x)[2][-1]

    @_quiet
    def activations(
        self, x: "Inputs", layer: int, out: Array, *, n_threads: int, automatic: bool = True
    ) -> None:
        """Write one layer's outputs for x (n, n_inputs) to out (n, units[layer])."""
        out[...] = self._forward(x)[2][layer]

    @_quiet
    def evaluate(
        self, x: "Inputs", y: Array, sample_weight: Array | None = None, *,
        n_threads: int, automatic: bool = True,
    ) -> tuple[float, list[float]]:  # fmt: skip
        """Return the loss without the penalty, and the metrics (which know no sample weights)."""
        _, z, a = self._forward(x)
        return self._loss(y, z[-1], a[-1], sample_weight), self._metrics(y, z[-1], a[-1])

    @_quiet
    def gradients(
        self, x: "Inputs", y: Array | None = None, sample_weight: Array | None = None, *,
        n_threads: int, automatic: bool = True, smooth: bool = False,
    ) -> float:  # fmt: skip
        """Fill the gradients of loss plus penalty, or, without y, of the summed output.

        Returns the value of what was differentiated; `smooth` as in `loss_rows`. No dropout.
        """
        inputs, z, a = self._forward(x)
        if y is None:
            ones = np.ones_like(a[-1])
            dz = activation_backward(self._activations[-1], z[-1], a[-1], ones)
            self._backward(inputs, z, a, dz)
            return float(a[-1].sum(dtype=np.float64))
        self._backward(inputs, z, a, self._loss_derivative(y, z[-1], a[-1], sample_weight))
        self._add_penalty_gradients()
        return self._loss(y, z[-1], a[-1], sample_weight, smooth) + self.penalty()

    # ---- the pieces ----

    def _forward(self, x: "Inputs", masks: Sequence[Any] = ()) -> tuple[list[Array], ...]:
        """Return each layer's input (after dropout), linear part and output."""
        inputs, z, a = [], [], [_array(x)]
        if self.encoding is not None:
            a[0] = piecewise_linear(a[0], *self.encoding)
        for i, (w, b) in enumerate(self._parameters):
            inputs.append(a[i] * masks[i] if masks else a[i])
            z.append(dense_forward(inputs[i], w, b if self._use_bias[i] else None))
            a.append(activation_forward(self._activations[i], z[i]))
        return inputs, z, a[1:]

    def _backward(
        self, inputs: list[Array], z: list[Array], a: list[Array], dz: Array,
        masks: Sequence[Any] = (),
    ) -> None:  # fmt: skip
        """Fill the gradients, from the derivative dz by the last layer's linear part."""
        for i in reversed(range(self.n_layers)):
            dw, db = dense_backward_weights(inputs[i], dz)
            self.weights_gradient(i)[...] = dw
            self.bias_gradient(i)[...] = db if self._use_bias[i] else 0
            if i:
                da = dense_backward_data(dz, self.weights(i)) * (masks[i] if masks else 1)
                dz = activation_backward(self._activations[i - 1], z[i - 1], a[i - 1], da)

    def _add_penalty_gradients(self) -> None:
        for i, (l1, l2, bias_l1, bias_l2) in enumerate(self._penalties):
            self.weights_gradient(i)[...] += penalty_gradient(self.weights(i), l1, l2)
            self.bias_gradient(i)[...] += penalty_gradient(self.bias(i), bias_l1, bias_l2)

    def _loss(
        self, y: Array, z: Array, a: Array, sample_weight: Array | None, smooth: bool = False
    ) -> float:
        """sum_i(w_i * loss_i) / n: a weight of 2 counts a row twice, n stays."""
        s = self._settings
        smooth = smooth or self.smooth
        rows = loss_rows(s["loss"], self._activations[-1], y, z, a, s["huber_delta"], smooth)
        rows = rows if sample_weight is None else rows * sample_weight
        return float(rows.mean(dtype=np.float64))

    def _loss_derivative(self, y: Array, z: Array, a: Array, sample_weight: Array | None) -> Array:
        """Return the derivative of `_loss` by the last layer's z."""
        s = self._settings
        d = loss_backward(s["loss"], self._activations[-1], y, z, a, s["huber_delta"]) / len(a)
        return d if sample_weight is None else d * sample_weight[:, None]

    def _metrics(self, y: Array, z: Array, a: Array) -> list[float]:
        last, delta = self._activations[-1], self._settings["huber_delta"]
        rows = [metric_rows(m, last, y, z, a, delta) for m in self._settings["metrics"]]
        return [float(r.mean(dtype=np.float64)) for r in rows]


if TYPE_CHECKING:
    _reference: type[Arithmetic] = ReferenceNetwork
