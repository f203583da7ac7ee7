"""How far rounding may carry a network's numbers from their exact values.

A sum of n products computed in any order is off by at most about n * eps times the sum of their
absolute values (Higham 2002, section 3.1). `Bounds` follows such errors through all layers, there
and back, to first order: exact values come from the float64 reference, `e` in front of a name is
the error of that array. A function of z passes an error on times its largest slope, and adds
`ULPS` roundings of its own.
"""

import numpy as np

from fastmlp._kernels.formulas import LEAKY_SLOPE, activation_backward, penalty_gradient

ULPS = 6
# Largest slope of f, largest slope of f', and the jump of f' at z = 0.
SHAPE = {
    "linear": (1.0, 0.0, 0.0),
    "relu": (1.0, 0.0, 1.0),
    "leaky_relu": (1.0, 0.0, 1.0 - LEAKY_SLOPE),
    "elu": (1.0, 1.0, 0.0),
    "gelu": (1.13, 0.8, 0.0),
    "silu": (1.1, 0.5, 0.0),
    "tanh": (1.0, 0.77, 0.0),
    "sigmoid": (0.25, 0.1, 0.0),
    "softplus": (1.0, 0.25, 0.0),
}


def dot_error(a, b, ea, eb, eps):
    """Error of the computed a @ b, given errors of a and b."""
    return (
        (a.shape[1] + 2) * eps * (np.abs(a) @ np.abs(b)) + ea @ np.abs(b) + np.abs(a) @ eb + ea @ eb
    )


def activation_error(name, z, a, ez, eps):
    """Error of a = f(z), given the error of z."""
    if name == "softmax":
        spread = 2 * ez.max(axis=1, keepdims=True)
        return a * spread * np.exp(spread) + (ULPS + a.shape[1]) * eps * a
    own = 0 if name in ("linear", "relu") else ULPS * eps * (1 + np.abs(z))
    return SHAPE[name][0] * ez + own


def activation_backward_error(name, z, a, da, ez, ea, eda, eps):
    """Error of dz = da * f'(z)."""
    if name == "softmax":
        size = np.abs(da) + (np.abs(da) * a).sum(axis=1, keepdims=True)
        inner = eda + (eda * a + np.abs(da) * ea).sum(axis=1, keepdims=True)
        return ea * size + a * inner + (ULPS + a.shape[1]) * eps * a * size
    slope, bend, jump = SHAPE[name]
    own = 0 if name in ("linear", "relu") else ULPS * eps * (1 + np.abs(z))
    change = bend * ez + jump * (np.abs(z) <= ez) + own
    return slope * eda + (np.abs(da) + eda) * change


class Bounds:
    """Exact values and error bounds of one float64 reference network on the rows of x."""

    def __init__(self, net, x, eps):
        self.net, self.eps = net, eps
        self.x, self.z, self.a = net._forward(np.asarray(x, np.float64))
        self.ex, self.ez, self.ea = [self._encoding_error()], [], []
        for i, name in enumerate(net._activations):
            w, b = net.weights(i), net.bias(i)
            ez = dot_error(self.x[i], w, self.ex[i], np.zeros_like(w), eps)
            ez = ez + eps * (np.abs(b) + np.abs(self.z[i])) + self._tiny
            self.ez.append(ez)
            self.ea.append(activation_error(name, self.z[i], self.a[i], ez, eps))
            self.ex.append(self.ea[i])

    def _encoding_error(self):
        """Error of the first layer's input: of its bins, but not of the numbers themselves."""
        error = np.zeros_like(self.x[0])
        if self.net.encoding is not None:
            error = ULPS * self.eps * np.abs(self.x[0])
            error[:, self.net.encoding[0][:-1]] = 0
        return error

    @property
    def _tiny(self):
        # Kernels may take numbers below the normal range for 0.
        return 4 * np.finfo(np.float32 if self.eps > 1e-10 else np.float64).tiny

    def loss_derivative(self, loss, y, weight, delta):
        """Return the error of the loss's derivative by the last z."""
        net, eps = self.net, self.eps
        name, z, a, ez, ea = net._activations[-1], self.z[-1], self.a[-1], self.ez[-1], self.ea[-1]
        n_out = a.shape[1]
        dz = net._loss_derivative(y, z, a, weight)
        scale = (1 if weight is None else weight[:, None]) / len(a)
        if (loss, name) == ("binary_crossentropy", "sigmoid"):
            error = (ea + ULPS * eps * (1 + np.abs(y))) / n_out
        elif loss.endswith("categorical_crossentropy") and name == "softmax":
            error = ea + (ULPS + n_out) * eps
        else:
            da, eda = _derivative_by_output(loss, y, a, ea, delta, eps)
            error = activation_backward_error(name, z, a, da, ez, ea, eda, eps)
        return dz, error * scale + ULPS * eps * np.abs(dz)

    def gradients(self, dz, edz):
        """Return exact gradients and their errors, {name: (value, error)}."""
        net, eps, found = self.net, self.eps, {}
        for i in reversed(range(net.n_layers)):
            l1, l2, bias_l1, bias_l2 = net._penalties[i]
            for kind, w, rows, ex in (
                ("weights", net.weights(i), self.x[i], self.ex[i]),
                ("bias", net.bias(i), np.ones((len(dz), 1)), np.zeros((len(dz), 1))),
            ):
                error = dot_error(rows.T, dz, ex.T, edz, eps) + self._tiny
                if i == 0 and net.encoding is not None:  # summed over rows, then over bins
                    error = error + len(dz) * eps * (np.abs(rows).T @ np.abs(dz))
                lambdas = (l1, l2) if kind == "weights" else (bias_l1, bias_l2)
                penalty = penalty_gradient(w, *lambdas)
                value = rows.T @ dz
                error = error + ULPS * eps * (np.abs(value) + np.abs(penalty))
                if kind == "bias":
                    value, error = value[0], error[0]
                    if not net._use_bias[i]:
                        value, error, penalty = value * 0, error * 0, penalty * 0
                found[f"{kind} {i}"] = (value + penalty, error)
            if i:
                w = net.weights(i).T
                da, eda = dz @ w, dot_error(dz, w, edz, np.zeros_like(w), eps)
                name, z, a = net._activations[i - 1], self.z[i - 1], self.a[i - 1]
                dz = activation_backward(name, z, a, da)
                edz = activation_backward_error(
                    name, z, a, da, self.ez[i - 1], self.ea[i - 1], eda, eps
                )
        return found


def _derivative_by_output(loss, y, a, ea, delta, eps):
    """Return the derivative of an unfused loss by the outputs, and its error."""
    n_out = a.shape[1]
    e = a - y if y.shape == a.shape else None
    if loss == "mean_squared_error":
        return 2 * e / n_out, (2 * ea + ULPS * eps * (np.abs(a) + np.abs(y))) / n_out
    if loss == "mean_absolute_error":
        return np.sign(e) / n_out, (2.0 * (np.abs(e) <= ea) + eps) / n_out
    if loss == "huber":
        d = np.clip(e, -delta, delta)
        return d / n_out, (ea + ULPS * eps * (np.abs(a) + np.abs(y) + delta)) / n_out
    if loss == "poisson":
        d = 1 - y / (a + 1e-7)
        own = ULPS * eps * (1 + y / (a + 1e-7))
        return d / n_out, (y * ea / (a + 1e-7 - ea) ** 2 + own) / n_out
    if loss == "binary_crossentropy":
        p = np.clip(a, 1e-7, 1 - 1e-7)
        inside = (a == p) * 1.0
        at_edge = np.minimum(np.abs(a - 1e-7), np.abs(a - 1 + 1e-7)) <= ea + eps
        d = (p - y) / (p * (1 - p))
        room = np.maximum(np.minimum(p, 1 - p) - ea, 1e-7 / 2)
        error = ea / room**2 + ULPS * eps * (1 / room + np.abs(d)) + at_edge * np.abs(d)
        return inside * d / n_out, error / n_out
    if loss == "sparse_categorical_crossentropy":
        y = (y == np.arange(n_out)) * 1.0
    total = a.sum(axis=1, keepdims=True)
    q = a / total
    eq = (ea + q * ea.sum(axis=1, keepdims=True)) / total + (n_out + ULPS) * eps * q
    inside = ((q > 1e-7) & (q < 1 - 1e-7)) * 1.0
    edge = np.minimum(np.abs(q - 1e-7), np.abs(q - 1 + 1e-7)) <= eq
    dq = -inside * y / q
    edq = y * eq / np.maximum(q - eq, 1e-8) ** 2 + ULPS * eps * np.abs(dq) + edge * y / q
    d = (dq - (dq * q).sum(axis=1, keepdims=True)) / total
    size = np.abs(dq) + (np.abs(dq) * q).sum(axis=1, keepdims=True)
    inner = edq + (edq * q + np.abs(dq) * eq).sum(axis=1, keepdims=True)
    et = ea.sum(axis=1, keepdims=True) + n_out * eps * total
    return d, (inner + size * (n_out + ULPS) * eps) / total + size * et / total**2


def assert_within(actual, value, error, what=""):
    """Fail, with the worst place, unless |actual - value| <= error everywhere."""
    actual = np.asarray(actual, np.float64)
    assert actual.shape == value.shape, (actual.shape, value.shape)
    excess = np.abs(actual - value) - error
    bad = ~(excess <= 0)
    if bad.any():
        at = np.unravel_index(np.argmax(np.where(np.isnan(excess), np.inf, excess)), excess.shape)
        raise AssertionError(
            f"{what}: {bad.sum()} of {bad.size} off; worst at {at}: "
            f"{actual[at]!r}, expected {value[at]!r} within {error[at]:.3g}"
        )
