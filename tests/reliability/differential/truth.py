"""Training written afresh in NumPy and float64, from the documentation; imports no fastmlp.

Several runs go in lockstep, along the first axis of every array. Run 0 is exact. The others
receive noise of the size of the network's rounding errors wherever the kernels round, and take
the other side wherever run 0 stands at a kink (relu at zero, the sign of a weight, |error| = 0)
nearer than the runs are to one another. How far they end from run 0 says how far rounding alone
may take a network; see `tolerance`.
"""

from __future__ import annotations

import itertools
import math

import numpy as np
from scipy.special import ndtr  # exact in the tail as well, unlike 1 + erf

from .rates import rate_at

FUZZ = 1e-7
LEAKY = 0.2
PROX_STEPS = 10  # the largest threshold of a proximal step, in learning rates
PIECE = 4096  # numbers whose squares are added up one by one; sums of such pieces are added then
FACTOR = 16  # how many times the noisy runs' distance a network may be away

# ---- random numbers: Philox 4x32-10 (Salmon et al., 2011), in whole arrays ----


def philox(counter, key):
    """Return four arrays of words for four arrays of counters and a key of 64 bits."""
    c = [np.asarray(word, np.uint64) for word in np.broadcast_arrays(*counter)]
    k0, k1, low = key & 0xFFFFFFFF, key >> 32, np.uint64(0xFFFFFFFF)
    for _ in range(10):
        a, b = c[0] * np.uint64(0xD2511F53), c[2] * np.uint64(0xCD9E8D57)
        c = [
            (b >> np.uint64(32)) ^ c[1] ^ np.uint64(k0),
            b & low,
            (a >> np.uint64(32)) ^ c[3] ^ np.uint64(k1),
            a & low,
        ]
        k0, k1 = (k0 + 0x9E3779B9) & 0xFFFFFFFF, (k1 + 0xBB67AE85) & 0xFFFFFFFF
    return c


def shuffled(seed, epoch, n):
    """Return the order of an epoch's rows: Fisher-Yates, one word a swap."""
    blocks = np.arange((n + 3) // 4)
    words = philox((blocks, 1 << 24, epoch & 0xFFFFFFFF, epoch >> 32), seed)
    order = list(range(n))
    flat = np.stack(words, axis=1).ravel().tolist()
    for q, i in enumerate(range(n - 1, 0, -1)):
        j = flat[q] * (i + 1) >> 32
        order[i], order[j] = order[j], order[i]
    return np.array(order)


def dropout_mask(seed, step, layer, n_rows, width, rate):
    """Return what a layer's input is multiplied with, [n_rows, width]."""
    unit = np.arange(width)
    counter = unit // 32 * 8 + unit % 8, layer ^ (2 << 24), np.arange(n_rows)[:, None], step
    word = np.choose(unit % 32 // 8, philox(counter, seed))
    return np.where(word >= int(rate * 4294967296.0), 1 / (1 - rate), 0.0)


# ---- activations ----


def sigmoid(z):
    e = np.exp(-np.abs(z))
    return np.where(z < 0, e, 1.0) / (1 + e)


def activated(name, z):
    if name == "relu":
        return np.maximum(z, 0)
    if name == "leaky_relu":
        return np.where(z < 0, LEAKY * z, z)
    if name == "elu":
        return np.where(z < 0, np.expm1(np.minimum(z, 0)), z)
    if name == "gelu":
        return z * ndtr(z)
    if name == "silu":
        return z * sigmoid(z)
    if name == "tanh":
        return np.tanh(z)
    if name == "sigmoid":
        return sigmoid(z)
    if name == "softplus":
        return np.logaddexp(0, z)
    if name == "softmax":
        e = np.exp(z - z.max(axis=-1, keepdims=True))
        return e / e.sum(axis=-1, keepdims=True)
    return z


def backward(name, d, z, y, positive):
    """Return d times the activation's derivative; `positive` says on which side of a kink z is."""
    if name == "relu":
        return np.where(positive, d, 0)
    if name == "leaky_relu":
        return np.where(positive, d, LEAKY * d)
    if name == "elu":
        return d * np.where(z < 0, np.exp(np.minimum(z, 0)), 1)
    if name == "gelu":
        return d * (ndtr(z) + z * np.exp(-z * z / 2) / np.sqrt(2 * np.pi))
    if name == "silu":
        s = sigmoid(z)
        return d * (s + z * s * (1 - s))
    if name == "tanh":
        return d * (1 - y * y)
    if name == "sigmoid":
        return d * y * (1 - y)
    if name == "softplus":
        return d * sigmoid(z)
    if name == "softmax":
        return y * (d - (y * d).sum(axis=-1, keepdims=True))
    return d


# ---- losses and metrics of rows ----


def one_hot(t, k):
    return (t.astype(int) == np.arange(k)).astype(float)


def loss_values(name, p, t, delta=1.0):
    """Return each row's loss, [runs, n]."""
    if name == "mean_squared_error":
        return ((p - t) ** 2).mean(-1)
    if name == "mean_absolute_error":
        return np.abs(p - t).mean(-1)
    if name == "huber":
        e = np.abs(p - t)
        return np.where(e <= delta, e * e / 2, delta * (e - delta / 2)).mean(-1)
    if name == "poisson":
        return (p - t * np.log(p + FUZZ)).mean(-1)
    if name == "log_cosh":  # the one that is written in Python
        return np.log(np.cosh(p - t)).mean(-1)
    if name == "binary_crossentropy":
        q = np.clip(p, FUZZ, 1 - FUZZ)
        return -(t * np.log(q) + (1 - t) * np.log(1 - q)).mean(-1)
    if name.startswith("sparse"):
        t = one_hot(t, p.shape[-1])
    q = np.clip(p / p.sum(-1, keepdims=True), FUZZ, 1 - FUZZ)
    return -(t * np.log(q)).sum(-1)


def loss_gradient(name, p, t, side, delta=1.0):
    """Return the gradient of `loss_values` by p."""
    k = p.shape[-1]
    if name == "mean_squared_error":
        return 2 * (p - t) / k
    if name == "mean_absolute_error":
        return side / k
    if name == "huber":
        return np.clip(p - t, -delta, delta) / k
    if name == "poisson":
        return (1 - t / (p + FUZZ)) / k
    if name == "log_cosh":
        return np.tanh(p - t) / k
    if name == "binary_crossentropy":
        inside = (p >= FUZZ) & (p <= 1 - FUZZ)
        q = np.clip(p, FUZZ, 1 - FUZZ)
        return np.where(inside, (q - t) / (q * (1 - q)) / k, 0)
    if name.startswith("sparse"):
        t = one_hot(t, k)
    total = p.sum(-1, keepdims=True)
    q = p / total
    inside = (q >= FUZZ) & (q <= 1 - FUZZ)
    by_q = np.where(inside, -t / np.where(inside, q, 1), 0)
    return (by_q - (by_q * q).sum(-1, keepdims=True)) / total


def metric_values(name, p, t, delta):
    if name == "binary_accuracy":
        return ((p > 0.5) == (t > 0.5)).mean(-1)
    if name == "categorical_accuracy":
        return (p.argmax(-1) == t.argmax(-1)).astype(float)
    if name == "sparse_categorical_accuracy":
        return (p.argmax(-1) == t[..., 0]).astype(float)
    return loss_values(name, p, t, delta)


def undecided(name, p, apart):
    """Return for each row how much of an accuracy rounding may decide.

    Of a cross-entropy any amount where a probability is clipped: its logits may be told apart
    beyond that.
    """
    if "crossentropy" in name:
        q = p[0] if name.startswith("binary") else p[0] / p[0].sum(-1, keepdims=True)
        beyond = (q <= 2 * FUZZ) | (q >= 1 - 2 * FUZZ)
        return np.where(beyond.any(-1), np.inf, 0)
    if name == "binary_accuracy":
        return (np.abs(p[0] - 0.5) <= apart).mean(-1)
    if name.endswith("categorical_accuracy"):
        top = np.sort(p[0], axis=-1)
        return (top[:, -1] - top[:, -2] <= 2 * apart).astype(float)
    return np.zeros(p.shape[1])


# ---- noise ----


class Noise:
    """Adds rounding errors to all runs but the first."""

    def __init__(self, dtype, seed):
        self.eps, self._rng = np.finfo(dtype).eps, np.random.default_rng(seed)
        self._pool = np.random.default_rng(seed).standard_normal(1 << 19)

    def _normal(self, shape):
        """Return numbers from a pool, for drawing anew would take most of the time."""
        size = math.prod(shape)
        if size > len(self._pool):
            return self._rng.standard_normal(shape)
        start = self._rng.integers(len(self._pool) - size + 1)
        return self._pool[start : start + size].reshape(shape)

    def add(self, a, spread):
        """Add errors of standard deviation eps times spread, which is for the noisy runs."""
        a[1:] += self.eps * spread * self._normal(a[1:].shape)
        return a

    def relative(self, a):
        return self.add(a, np.abs(a[1:]))

    def product(self, a, b):
        """Return a @ b, as if summed up in the network's type."""
        n, c = a.shape[-1], a @ b
        of_rows = np.sqrt(np.square(a[1:]).mean(-1, keepdims=True))
        of_columns = np.sqrt(np.square(b[1:]).mean(-2, keepdims=True))
        return self.add(c, 0.3 * n * of_rows * of_columns + np.abs(c[1:]))


def apart(a):
    """How far the noisy runs are from the first, element by element."""
    return np.abs(a[1:] - a[:1]).max(0)


def sides(a, near):
    """Sign of each element, both signs among the noisy runs where it is nearer to 0 than `near`."""
    sign = np.sign(a)
    if len(a) == 1:
        return sign
    doubtful = (np.abs(a[0]) < near) & ~((a == 0).all(0))
    sign[1::2][:, doubtful] = 1
    sign[2::2][:, doubtful] = -1
    return sign


# ---- the optimizer's step ----


class Parameter:
    """One array of weights or biases with its moments and penalty, in all runs."""

    def __init__(self, value, n_runs, penalty, optimizer, noise):
        self.w = np.repeat(np.asarray(value, np.float64)[None], n_runs, axis=0)
        self.penalty, self.o, self._noise = penalty, optimizer, noise
        start = optimizer["options"].get("initial_accumulator_value", 0.1)
        self.m, self.v = np.zeros_like(self.w), np.zeros_like(self.w)
        if optimizer["name"] == "adagrad":
            self.m += start

    def penalty_value(self):
        pen, axes = self.penalty, tuple(range(1, self.w.ndim))
        value = pen["l1"] * np.abs(self.w).sum(axes) + pen["l2"] * np.square(self.w).sum(axes)
        if pen["group"]:
            axis = 2 if pen["by_input"] else 1
            norms = np.sqrt(np.square(self.w).sum(axis))
            value = value + pen["group"] * np.sqrt(self.w.shape[axis]) * norms.sum(1)
        return value

    def with_penalty(self, g):
        pen = self.penalty
        if pen["l2"]:
            g = g + 2 * pen["l2"] * self.w
        if pen["l1"] and not pen["proximal"]:
            gap = apart(self.w)
            near = 4 * gap + 2 * np.sqrt(np.square(gap).mean())
            g = g + pen["l1"] * sides(self.w, near)
        return self._noise.relative(g)

    def step(self, g, rate, count):
        """Make the step number `count`, 1 for the first."""
        o, noise, name = self.o["options"], self._noise, self.o["name"]
        prox_rate, divisor, bounded = rate, np.ones_like(g), name != "sgd"
        before = self.w
        if name == "sgd":
            mu = o["momentum"]
            if mu:
                self.m = noise.relative(mu * self.m - rate * g)
                change = mu * self.m - rate * g if o["nesterov"] else self.m
                prox_rate *= (1 - mu ** (count + o["nesterov"])) / (1 - mu)
            else:
                change = -rate * g
        elif name == "rmsprop":
            self.v = noise.relative(o["rho"] * self.v + (1 - o["rho"]) * g * g)
            divisor = np.sqrt(self.v) + o["epsilon"]
            change = -rate * g / divisor
        elif name == "adagrad":
            self.m = noise.relative(self.m + g * g)
            divisor = np.sqrt(self.m + o["epsilon"])
            change = -rate * g / divisor
        else:
            t = count + o["initial_step"]
            b1, b2 = o["beta_1"], o["beta_2"]
            root = np.sqrt(1 - b2**t)
            self.m = noise.relative(b1 * self.m + (1 - b1) * g)
            self.v = noise.relative(b2 * self.v + (1 - b2) * g * g)
            divisor = np.sqrt(self.v) + o["epsilon"]
            prox_rate = rate * root
            change = -rate * root / (1 - b1**t) * self.m / divisor
            if name == "adamw":
                before = before * (1 - rate * o["weight_decay"])
        self.w = before + noise.relative(change)
        noise.add(self.w, 0.5 * np.abs(self.w[1:]))
        most = PROX_STEPS * rate if bounded else np.inf
        if self.penalty["l1"] and self.penalty["proximal"]:
            threshold = np.minimum(prox_rate * self.penalty["l1"] / divisor, most)
            self.w = np.sign(self.w) * np.maximum(np.abs(self.w) - threshold, 0)
        if self.penalty["group"] and prox_rate > 0:
            self._shrink_groups(divisor / prox_rate, most)

    def _shrink_groups(self, d, most):
        """w minimises sum(d (w - z)^2) / 2 + c ||w||, group by group, z the weights so far."""
        axis = 2 if self.penalty["by_input"] else 1
        root = np.sqrt(self.w.shape[axis])
        c, z = self.penalty["group"] * root, self.w
        gone = np.sqrt(np.square(d * z).sum(axis, keepdims=True)) <= c
        norm = np.zeros(gone.shape)  # of w: the root of a concave function, from below
        for _ in range(60):
            under = d * norm + c
            share = np.square(d * z / under)
            total = np.where(gone, 1, share.sum(axis, keepdims=True))
            slope = np.where(gone, 1, (share * d / under).sum(axis, keepdims=True))
            more = total * (np.sqrt(total) - 1) / slope
            norm = norm + np.maximum(more, 0)
            if (more <= 1e-15 * norm).all():
                break
        w = np.where(gone, 0, z * (d * norm / (d * norm + c)))
        moved = np.sqrt(np.square(w - z).sum(axis, keepdims=True))
        far = moved > most * root
        self.w = np.where(far, z + (w - z) * (most * root / np.where(far, moved, 1)), w)
        self._noise.relative(self.w)


def _sum_of_squares(g, noise):
    """Sum over all but the first axis, with errors as of a sum in double, one by one.

    Errors of equal numbers, such as the gradients of an L1 penalty, all go one way.
    """
    total = np.square(g).sum(tuple(range(1, g.ndim)))
    in_a_row = min(g[0].size, PIECE)
    return noise.add(total, 0.1 * in_a_row * np.finfo(np.float64).eps / noise.eps * total[1:])


def clipped(gradients, clip, noise):
    """Scale and cut the gradients of all arrays."""
    squares = [_sum_of_squares(g, noise) for g in gradients]
    if clip.get("global_clipnorm"):
        norm = np.sqrt(sum(squares))
        scale = [clip["global_clipnorm"] / np.maximum(norm, clip["global_clipnorm"])] * len(squares)
    elif clip.get("clipnorm"):
        scale = [clip["clipnorm"] / np.maximum(np.sqrt(s), clip["clipnorm"]) for s in squares]
    else:
        scale = [np.ones(len(s)) for s in squares]
    result = []
    for g, s in zip(gradients, scale, strict=True):
        scaled = noise.relative(g * s.reshape(-1, *[1] * (g.ndim - 1)))
        cut = clip.get("clipvalue")
        result.append(np.clip(scaled, -cut, cut) if cut else scaled)
    return result


# ---- the network ----


def shares(x, edges):
    """How far numbers have passed through each bin between two edges, along a last axis."""
    through = [
        np.where(x < low, 0, np.where(x >= high, 1, (x - low) / (high - low)))
        for low, high in itertools.pairwise(edges)
    ]
    return np.stack(through, axis=-1) if through else np.empty((*x.shape, 0))


class Training:
    """A network in `n_runs` runs, trained on rows that the caller chooses.

    `draw` is as `draws.Draw` describes it; weights holds a matrix and a vector for each layer.
    """

    def __init__(self, draw, weights, seed, n_runs=3):
        self.d, self.seed, self.steps, self.n_runs = draw, seed, 0, n_runs
        self.noise = Noise(draw.dtype, draw.number)
        self.parameters = [
            Parameter(value, n_runs, penalty, draw.optimizer, self.noise)
            for value, penalty in zip(weights, draw.penalties, strict=True)
        ]
        self.losses, self.metrics, self.doubts = [], [], []

    def forward(self, x, training):
        d, noise, kept = self.d, self.noise, []
        y = np.repeat(np.asarray(x, np.float64)[None], self.n_runs, axis=0)
        if d.edges is not None:
            y = np.concatenate(
                [
                    part
                    for j, edges in enumerate(d.edges)
                    for part in (y[:, :, j : j + 1], noise.relative(shares(y[:, :, j], edges)))
                ],
                axis=2,
            )
        for h, name in enumerate(d.activations):
            mask = None
            if training and d.dropout[h]:
                mask = dropout_mask(self.seed, self.steps, h, len(x), y.shape[2], d.dropout[h])
                y = y * mask
            w, b = self.parameters[2 * h].w, self.parameters[2 * h + 1].w
            z = noise.product(y, w) + b[:, None]
            noise.relative(z)
            out = noise.relative(activated(name, z))
            # Units differ in how far the runs are apart; rows of a unit much less.
            positive = sides(z, 4 * apart(z).max(0)) > 0 if "relu" in name else None
            kept.append((y, mask, z, out, positive))
            y = out
        return y, kept

    def step(self, x, t, weight):
        """Make one step; return its loss, penalty included, and metrics' means, [runs] each."""
        d, noise, n = self.d, self.noise, len(x)
        p, kept = self.forward(x, True)
        t = np.asarray(t, np.float64)
        weight = np.ones(n) if weight is None else np.asarray(weight, np.float64)
        loss = (loss_values(d.loss, p, t, d.delta) * weight).sum(1) / n
        loss = loss + sum(parameter.penalty_value() for parameter in self.parameters)
        delta = d.delta if d.loss == "huber" else 1.0  # as the metric Huber says
        metrics = [metric_values(name, p, t, delta).mean(1) for name in d.metrics]
        gap = 8 * apart(p).max()
        doubts = [undecided(name, p, gap).mean() for name in [*d.metrics, d.loss]]
        last = d.activations[-1]
        logits = (last, d.loss) in (
            ("sigmoid", "binary_crossentropy"),
            ("softmax", "categorical_crossentropy"),
            ("softmax", "sparse_categorical_crossentropy"),
        )
        if logits:
            target = one_hot(t, p.shape[-1]) if d.loss.startswith("sparse") else t
            if last == "softmax":
                dz = p * target.sum(-1, keepdims=True) - target
            else:
                dz = (p - target) / p.shape[-1]
        else:
            # `sides` is asked of the loss where it has a kink of its own.
            e = p - t if d.loss == "mean_absolute_error" else p
            side = sides(e, 4 * apart(e).max())
            dz = loss_gradient(d.loss, p, t, side, d.delta)
            dz = backward(last, dz, kept[-1][2], p, kept[-1][4])
        dz = noise.relative(dz * (weight / n)[:, None])
        gradients = []
        for h in reversed(range(len(d.activations))):
            x_in, mask = kept[h][:2]
            db = dz.sum(1)
            # One by one; errors of equal numbers, such as the signs of errors, all go one way.
            of_rows = np.sqrt(np.square(dz[1:]).mean(1))
            noise.add(db, 0.3 * n * of_rows + (1 + 0.1 * n) * np.abs(db[1:]))
            gradients += [db * d.use_bias[h], noise.product(x_in.transpose(0, 2, 1), dz)]
            if h:
                below = noise.product(dz, self.parameters[2 * h].w.transpose(0, 2, 1))
                if mask is not None:
                    below = below * mask
                _, _, z, out, positive = kept[h - 1]
                dz = noise.relative(backward(d.activations[h - 1], below, z, out, positive))
        gradients = gradients[::-1]
        gradients = [q.with_penalty(g) for q, g in zip(self.parameters, gradients, strict=True)]
        gradients = clipped(gradients, d.clip, noise)
        rate = rate_at(d.schedule, d.optimizer["options"]["learning_rate"], self.steps)
        self.steps += 1
        for q, g in zip(self.parameters, gradients, strict=True):
            q.step(g, rate, self.steps)
        return loss, metrics, doubts

    def epoch(self, x, y, weight, batches):
        """Train on batches, each an array of rows."""
        done = [
            (len(rows), *self.step(x[rows], y[rows], None if weight is None else weight[rows]))
            for rows in batches
        ]
        total = sum(n for n, *_ in done)
        self.losses.append(sum(n * loss for n, loss, *_ in done) / total)
        for into, column in ((self.metrics, 2), (self.doubts, 3)):
            parts = [step[0] * np.array(step[column]) for step in done]
            into.append(sum(parts) / total)


def tolerance(a, share):
    """Return how far from a[0] a network may be, for an array of all runs.

    `share` is what the runs differ by in all arrays together, relative to what these hold: an
    array of few numbers may differ by little as it happens.
    """
    return FACTOR * np.maximum(apart(a).max(initial=0), share * np.abs(a[0]).max(initial=0))
