"""What each kernel computes, in plain NumPy: the specification for tests.

Sizes: `n` rows, `n_in` inputs and `n_out` units of one dense layer. Arrays: `x` (n, n_in) goes in,
`z` (n, n_out) is the linear part and `a` (n, n_out) the activation; a leading `d` means "derivative
of the loss by". Forward and backward pass of a layer with activation f:

    z = x @ w + b        a  = f(z)
    dz = da * f'(z)      dw = x.T @ dz      db = dz.sum(0)      dx = dz @ w.T

The functions work in the dtype of their arrays and never change their arguments, except for the
optimizer updates, which work in place. `tests/support/reference.py` combines them to a network,
with which tests compare the compiled ones.
"""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

LEAKY_SLOPE = 0.2
FLOOR = 1e-7  # probabilities are clipped to [FLOOR, 1 - FLOOR]; added to Poisson means
OPTIMIZERS = ("sgd", "rmsprop", "adagrad", "adam", "adamw")


def expit(z: Array) -> Array:
    """Return 1 / (1 + exp(-z))."""
    from scipy.special import expit  # the library itself imports this module, without SciPy

    return np.asarray(expit(z))


def erf(z: Array) -> Array:
    """Return the error function of z."""
    from scipy.special import erf

    return np.asarray(erf(z))


# ---- dense layer -------------------------------------------------------------------------------


def dense_forward(x: Array, w: Array, b: Array | None) -> Array:
    """Return z = x @ w + b of shape (n, n_out), from x (n, n_in), w (n_in, n_out), b (n_out,)."""
    return x @ w if b is None else x @ w + b


def dense_backward_data(dz: Array, w: Array) -> Array:
    """Return dx = dz @ w.T of shape (n, n_in), from dz (n, n_out) and w (n_in, n_out)."""
    return dz @ w.T


def rows_of_nonzeros(data: Array, indices: Array, indptr: Array, n_in: int) -> Array:
    """Return the array x (n, n_in) that sparse rows stand for: all else is zero."""
    x = np.zeros((len(indptr) - 1, n_in), data.dtype)
    row = np.repeat(np.arange(len(x)), np.diff(indptr))
    entries = slice(indptr[0], indptr[-1])
    x[row, indices[entries]] = data[entries]
    return x


def piecewise_linear(x: Array, first: Array, lower: Array, inverse: Array) -> Array:
    """Return the encoding (n, first[-1]) of x (n, n_in): each number, and its share of every bin.

    Column j becomes columns first[j] to first[j + 1]: itself, then clip((x - lower) * inverse, 0,
    1) for each of its bins.
    """
    counts = np.diff(first)
    repeated = np.repeat(x, counts, axis=1)
    with np.errstate(over="ignore"):
        encoded = np.clip((repeated - lower) * inverse, 0, 1).astype(x.dtype, copy=False)
    encoded[:, first[:-1]] = x
    return encoded


def dense_backward_weights(x: Array, dz: Array) -> tuple[Array, Array]:
    """Return dw = x.T @ dz (n_in, n_out) and db = sum of dz over rows (n_out,)."""
    return x.T @ dz, dz.sum(axis=0)


# ---- activations -------------------------------------------------------------------------------


def softmax(z: Array) -> Array:
    """Return exp(z) divided by its sum over each row, (n, n_out)."""
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def softplus(z: Array) -> Array:
    """Return log(1 + exp(z)), which neither overflows nor cancels."""
    return np.maximum(z, 0) + np.log1p(np.exp(-np.abs(z)))


def normal_cdf(z: Array) -> Array:
    """Return the standard normal distribution function."""
    return 0.5 * (1 + erf(z * math.sqrt(0.5)))


def normal_density(z: Array) -> Array:
    """Return the standard normal density."""
    return np.exp(-0.5 * z * z) / math.sqrt(2 * math.pi)


# name: (f(z), f'(z) from z and a = f(z)). The derivative at a kink, z = 0, is that from the left.
_ACTIVATIONS: dict[str, tuple[Any, Any]] = {
    "linear": (lambda z: z, lambda z, a: np.ones_like(z)),
    "relu": (lambda z: np.maximum(z, 0), lambda z, a: (z > 0).astype(z.dtype)),
    "leaky_relu": (
        lambda z: np.where(z > 0, z, LEAKY_SLOPE * z),
        lambda z, a: np.where(z > 0, 1, LEAKY_SLOPE).astype(z.dtype),
    ),
    "elu": (
        lambda z: np.where(z > 0, z, np.expm1(np.minimum(z, 0))),
        lambda z, a: np.where(z > 0, 1, a + 1),
    ),
    "gelu": (
        lambda z: z * normal_cdf(z),
        lambda z, a: normal_cdf(z) + z * normal_density(z),
    ),
    "silu": (lambda z: z * expit(z), lambda z, a: expit(z) * (1 + z * (1 - expit(z)))),
    "tanh": (np.tanh, lambda z, a: 1 - a * a),
    "sigmoid": (expit, lambda z, a: a * (1 - a)),
    "softplus": (softplus, lambda z, a: expit(z)),
    "softmax": (softmax, None),  # not elementwise: see activation_backward
}
ACTIVATIONS = tuple(_ACTIVATIONS)


def activation_forward(name: str, z: Array) -> Array:
    """Return a = f(z), (n, n_out): elementwise, except softmax, which normalises each row."""
    return _ACTIVATIONS[name][0](z)


def activation_backward(name: str, z: Array, a: Array, da: Array) -> Array:
    """Return dz (n, n_out) from da (n, n_out), given z and a = f(z)."""
    if name == "softmax":
        return a * (da - (da * a).sum(axis=1, keepdims=True))
    return da * _ACTIVATIONS[name][1](z, a)


# ---- losses and metrics ------------------------------------------------------------------------


def _clip(p: Array) -> Array:
    return np.clip(p, FLOOR, 1 - FLOOR)


def _shares(a: Array) -> Array:
    """Return a divided by its sum over each row; zeros for a row of zeros."""
    total = a.sum(axis=1, keepdims=True)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where((a == 0) & (total == 0), 0, a / total)


def _categorical_derivative(y: Array, a: Array) -> Array:
    q, total = _shares(a), a.sum(axis=1, keepdims=True)
    with np.errstate(divide="ignore", invalid="ignore"):  # where the sum is 0
        dq = np.where(q == _clip(q), -y / q, 0)
        return np.where(total == 0, 0, (dq - (dq * q).sum(axis=1, keepdims=True)) / total)


def _log_softmax(z: Array) -> Array:
    z = z - z.max(axis=1, keepdims=True)
    return z - np.log(np.exp(z).sum(axis=1, keepdims=True))


def _huber(e: Array, delta: float) -> Array:
    return np.where(np.abs(e) <= delta, 0.5 * e * e, delta * (np.abs(e) - 0.5 * delta))


# name: each output's part of its row's loss, and its derivative by a; y, a (n, n_out), d Huber's
# delta. A row's loss is the mean of the parts; for the categorical ones their sum, and outputs
# are first divided by their sum, then clipped.
_LOSSES: dict[str, tuple[Any, Any]] = {
    "mean_squared_error": (lambda y, a, d: (a - y) ** 2, lambda y, a, d: 2 * (a - y)),
    "mean_absolute_error": (lambda y, a, d: np.abs(a - y), lambda y, a, d: np.sign(a - y)),
    "huber": (lambda y, a, d: _huber(a - y, d), lambda y, a, d: np.clip(a - y, -d, d)),
    "poisson": (lambda y, a, d: a - y * np.log(a + FLOOR), lambda y, a, d: 1 - y / (a + FLOOR)),
    "binary_crossentropy": (
        lambda y, a, d: -y * np.log(_clip(a)) - (1 - y) * np.log1p(-_clip(a)),
        lambda y, a, d: (a == _clip(a)) * (_clip(a) - y) / (_clip(a) * (1 - _clip(a))),
    ),
    "categorical_crossentropy": (
        lambda y, a, d: -y * np.log(_clip(_shares(a))),
        lambda y, a, d: _categorical_derivative(y, a),
    ),
}
# The same two from logits z, without the clip: the value that a line search compares, and what
# training takes as the derivative by z.
_FUSED: dict[tuple[str, str], tuple[Any, Any]] = {
    ("binary_crossentropy", "sigmoid"): (
        lambda y, z: softplus(z) - y * z,
        lambda y, a: a - y,
    ),
    ("categorical_crossentropy", "softmax"): (
        lambda y, z: -y * _log_softmax(z),
        lambda y, a: a * y.sum(axis=1, keepdims=True) - y,
    ),
}
LOSSES = (*_LOSSES, "sparse_categorical_crossentropy")
METRICS = (*LOSSES, "binary_accuracy", "categorical_accuracy", "sparse_categorical_accuracy")


def _targets(loss: str, y: Array, n_out: int) -> tuple[str, Array]:
    """Return the dense loss and one-hot y of a sparse loss with class indices y (n, 1)."""
    if loss == "sparse_categorical_crossentropy":
        return "categorical_crossentropy", (y == np.arange(n_out)).astype(y.dtype)
    return loss, y


def loss_rows(
    loss: str, activation: str, y: Array, z: Array, a: Array, d: float = 1.0, smooth: bool = False
) -> Array:
    """Return each row's loss, computed in float64.

    Parameters
    ----------
    loss, activation : str
    y : ndarray of shape (n, n_out), or (n, 1) class indices for the sparse loss
    z, a : ndarray of shape (n, n_out)
        Linear part and output of the last layer.
    d : float
        Where Huber's loss turns from a square to a line.
    smooth : bool
        Take a cross-entropy from the logits, unclipped, where the last layer's activation has
        them: the function whose derivative `loss_backward` returns.

    Returns
    -------
    ndarray of shape (n,)
    """
    loss, y = _targets(loss, y, a.shape[1])
    fused = _FUSED.get((loss, activation))
    y, z, a = (part.astype(np.float64, copy=False) for part in (y, z, a))
    parts = fused[0](y, z) if fused and smooth else _LOSSES[loss][0](y, a, d)
    return parts.sum(axis=1) if loss == "categorical_crossentropy" else parts.mean(axis=1)


def loss_backward(
    loss: str, activation: str, y: Array, z: Array, a: Array, d: float = 1.0
) -> Array:
    """Return the derivative of each row's loss by z, (n, n_out); arguments as in `loss_rows`.

    The derivative is that of the logits where the activation has them; else a probability outside
    the clip has derivative 0. So has an absolute error of 0, and a row of outputs whose sum is 0.
    """
    loss, y = _targets(loss, y, a.shape[1])
    n_parts = 1 if loss == "categorical_crossentropy" else a.shape[1]
    fused = _FUSED.get((loss, activation))
    if fused:
        return fused[1](y, a) / n_parts
    return activation_backward(activation, z, a, _LOSSES[loss][1](y, a, d) / n_parts)


def metric_rows(
    metric: str, activation: str, y: Array, z: Array, a: Array, d: float = 1.0
) -> Array:
    """Return each row's value of a metric, (n,): a loss by name, or an accuracy.

    Of equal largest outputs the first is the predicted class; a probability of 0.5 is class 0.
    A prediction that is NaN is wrong.
    """
    known = ~np.isnan(a)
    if metric == "binary_accuracy":
        return np.mean(((a > 0.5) == (y > 0.5)) & known, axis=1)
    if metric == "categorical_accuracy":
        return ((a.argmax(axis=1) == y.argmax(axis=1)) & known.all(axis=1)).astype(a.dtype)
    if metric == "sparse_categorical_accuracy":
        return ((a.argmax(axis=1) == y[:, 0]) & known.all(axis=1)).astype(a.dtype)
    return loss_rows(metric, activation, y, z, a, d)


# ---- penalty -----------------------------------------------------------------------------------


def penalty_value(w: Array, l1: float, l2: float) -> float:
    """Return l1 * sum(|w|) + l2 * sum(w**2), for an array of any shape."""
    # Without penalty the value is 0 even for infinite w, where 0 * inf would be NaN.
    first = l1 * float(np.abs(w).sum(dtype=np.float64)) if l1 else 0.0
    return first + (l2 * float(np.square(w, dtype=np.float64).sum()) if l2 else 0.0)


def penalty_gradient(w: Array, l1: float, l2: float) -> Array:
    """Return l1 * sign(w) + 2 * l2 * w, in the shape of w; sign(0) is 0."""
    return l1 * np.sign(w) + (2 * l2) * w


def group_penalty_value(w: Array, group: float, by_input: bool) -> float:
    """Return group * sum over groups of sqrt(size) * norm, from w (n_in, n_out).

    A group is a column of w, a unit's incoming weights; or with `by_input` a row, an input's
    outgoing ones.
    """
    axis = 1 if by_input else 0
    norms = np.sqrt(np.square(w, dtype=np.float64).sum(axis=axis))
    return group * math.sqrt(w.shape[axis]) * float(norms.sum())


# ---- proximal steps, which follow an optimizer's: w changes in place ----------------------------
# The optimizer has moved each weight by gradient / d, to z. Then w becomes the minimiser of
# sum(d * (w - z)**2) / 2 + penalty(w).

PROX_STEPS = 10  # largest threshold, in learning rates


def proximal_metric(
    rule: str, slots: tuple[Array, Array], *, lr: float, momentum: float, nesterov: bool,
    beta_2: float, epsilon: float, t: int,
) -> Any:  # fmt: skip
    """Return d, an array or a number, for the rule's step t = 1, 2, ..., which left `slots`.

    A gradient that had always been g would have moved a weight by g / d in this step.
    """
    if rule == "sgd":
        power = t + 1 if nesterov and momentum else t
        return (1 - momentum) / (1 - momentum**power) / lr
    if rule == "rmsprop":
        return (np.sqrt(slots[1]) + epsilon) / lr
    if rule == "adagrad":
        return np.sqrt(slots[0] + epsilon) / lr
    return (np.sqrt(slots[1]) + epsilon) / (lr * math.sqrt(1 - beta_2**t))


def soft_threshold(w: Array, threshold: Any) -> None:
    """Set w = sign(w) * max(|w| - threshold, 0), the proximal step of threshold * d * |w|."""
    w[...] = np.sign(w) * np.maximum(np.abs(w) - threshold, 0)


def group_shrink(w: Array, d: Any, group: float, by_input: bool, limit: float = math.inf) -> None:
    """Make the proximal step of the penalty `group_penalty_value` in the metric d.

    A group z is zero if ||d z|| <= c = group * sqrt(size), else w = z * d s / (d s + c) where
    s = ||w||: the root of sum((d z / (d s + c))**2) = 1, found here by bisection. It goes so far
    as ||w - z|| <= limit * sqrt(size).
    """
    axis = 1 if by_input else 0
    z, c = w.astype(np.float64), group * math.sqrt(w.shape[axis])
    low = np.zeros_like(z.sum(axis=axis, keepdims=True))
    high = np.sqrt(np.square(z).sum(axis=axis, keepdims=True))
    for _ in range(80):
        s = (low + high) / 2
        below = np.square(d * z / (d * s + c)).sum(axis=axis, keepdims=True) > 1
        low, high = np.where(below, s, low), np.where(below, high, s)
    alive = np.square(d * z).sum(axis=axis, keepdims=True) > c * c
    goal = np.where(alive, z * (d * low / (d * low + c)), 0)
    moved = np.sqrt(np.square(goal - z).sum(axis=axis, keepdims=True))
    most = limit * math.sqrt(w.shape[axis])
    far = moved > most
    w[...] = np.where(far, z + (goal - z) * (most / np.where(far, moved, 1)), goal)


# ---- linear models: hessian (n, n), w and slope (n,) -------------------------------------------


def gram(x: Array, weight: Array) -> Array:
    """Return the sum over rows i of weight[i] * outer(x[i], x[i]), from x (n, n_in)."""
    return (x * weight[:, None]).T @ x


def coordinate_descent(
    hessian: Array, w: Array, slope: Array, l1: float, l2: float, size: int, n_sweeps: int
) -> None:
    """Minimise a quadratic plus l1 * |w| + l2 * w**2 over one group of w after the other, in place.

    |w| sums the norms of groups of `size` neighbours; `slope` is minus the quadratic's gradient at
    w, and follows it. A group of several weights takes a bound of its curvature, Gershgorin's.
    """
    for _ in range(n_sweeps):
        for j in range(0, len(w), size):
            group = slice(j, j + size)
            curvature = np.abs(hessian[group, group]).sum(axis=1).max()
            pull = slope[group] + curvature * w[group]
            norm = np.linalg.norm(pull)
            new = pull * (1 - l1 / norm if norm > l1 else 0) / (curvature + 2 * l2)
            slope -= (new - w[group]) @ hessian[group]
            w[group] = new


# ---- optimizers: w, g and the slots have one shape; w and the slots change in place ------------


def sgd_update(w: Array, g: Array, v: Array, *, lr: float, momentum: float, nesterov: bool) -> None:
    """Set v = momentum * v - lr * g; then w += v, or Nesterov's w += momentum * v - lr * g."""
    v[...] = momentum * v - lr * g
    w += momentum * v - lr * g if nesterov else v


def rmsprop_update(w: Array, g: Array, v: Array, *, lr: float, rho: float, epsilon: float) -> None:
    """Set v = rho * v + (1 - rho) * g**2; then w -= lr * g / (sqrt(v) + epsilon)."""
    v[...] = rho * v + (1 - rho) * (g * g)
    w -= lr * g / (np.sqrt(v) + epsilon)


def adagrad_update(w: Array, g: Array, sums: Array, *, lr: float, epsilon: float) -> None:
    """Add g**2 to the sums; then w -= lr * g / sqrt(sums + epsilon)."""
    sums += g * g
    w -= lr * g / np.sqrt(sums + epsilon)


def adam_update(
    w: Array, g: Array, m: Array, v: Array, *, lr: float, betas: Any, epsilon: float, t: int,
    weight_decay: float,
) -> None:  # fmt: skip
    """Update m and v with g and g**2; then w -= lr_t * m / (sqrt(v) + epsilon).

    With (b1, b2) = betas, in step t = 1, 2, ...: m = b1 * m + (1 - b1) * g, v likewise with b2,
    lr_t = lr * sqrt(1 - b2**t) / (1 - b1**t). AdamW first sets w -= lr * weight_decay * w.
    """
    b1, b2 = betas
    m[...] = b1 * m + (1 - b1) * g
    v[...] = b2 * v + (1 - b2) * (g * g)
    if weight_decay:
        w -= lr * weight_decay * w
    w -= lr * math.sqrt(1 - b2**t) / (1 - b1**t) * m / (np.sqrt(v) + epsilon)


def clip_gradients(
    gradients: list[Array], clip_norm: float, clip_array_norm: float, clip_value: float
) -> list[Array]:
    """Scale gradients to at most a Euclidean norm, then clip each entry.

    `clip_norm` bounds the norm of all arrays together, `clip_array_norm` that of each by itself and
    goes before it; entries end within +-`clip_value`; 0 turns any of them off.
    """
    limit = clip_array_norm or clip_norm
    if limit:
        squares = [np.square(g, dtype=np.float64).sum() for g in gradients]
        norms = [math.sqrt(total if clip_array_norm else sum(squares)) for total in squares]
        gradients = [
            g * (limit / norm) if norm > limit else g
            for g, norm in zip(gradients, norms, strict=True)
        ]
    return [np.clip(g, -clip_value, clip_value) if clip_value else g for g in gradients]
