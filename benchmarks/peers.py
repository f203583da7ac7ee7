"""The same network in fastmlp and in its peers: what compare_peers.py measures.

Every class here trains the same weights on the same data with Adam in float32. `train(steps)`
makes at least that many optimizer steps and returns how many it made; `predict()` returns the
outputs for the case's rows. Each peer is written the way its own documentation recommends for
speed.
"""

import importlib.util
import itertools
import os
from dataclasses import dataclass

import numpy as np

RATE, BETAS, EPSILON = 1e-3, (0.9, 0.999), 1e-7


@dataclass(frozen=True)
class Case:
    """One workload: relu layers and a linear output (a sigmoid for classification)."""

    rows: int
    inputs: int
    hidden: tuple[int, ...]
    batch: int
    l1: float = 0.0
    l2: float = 0.0
    loss: str = "mse"
    what: str = "train"

    @property
    def dims(self):
        return [self.inputs, *self.hidden, 1]

    @property
    def flops(self):
        """Floating-point operations of a step (6 a weight and row, 4 in layer 1) or a predict."""
        products = [a * b for a, b in itertools.pairwise(self.dims)]
        if self.what == "predict":
            return 2 * self.rows * sum(products)
        return min(self.batch, self.rows) * (6 * sum(products) - 2 * products[0])


LECTURE = (1024,) * 5
TABLE = (256,) * 3
CASES = {
    "units-2": Case(50, 1, (2,), 50),
    "units-16x4": Case(50, 1, (16,) * 4, 50),
    "units-128": Case(50, 1, (128,), 50),
    "units-1024": Case(50, 1, (1024,), 50),
    "units-8192": Case(50, 1, (8192,), 50),
    "lecture": Case(50, 1, LECTURE, 50),
    "lecture-l2": Case(50, 1, LECTURE, 50, l2=1e-3),
    "lecture-l1": Case(50, 1, LECTURE, 50, l1=1e-3),
    "lecture-classes": Case(100, 2, LECTURE, 100, l2=1e-3, loss="bce"),
    "table-32": Case(20000, 64, TABLE, 32, l2=1e-4),
    "table-256": Case(20000, 64, TABLE, 256, l2=1e-4),
    "wide-512": Case(8192, 256, LECTURE, 512, l2=1e-4),
    "predict-10000": Case(10000, 2, LECTURE, 0, what="predict"),
    "predict-1": Case(1, 64, TABLE, 0, what="predict"),
}


class Work:
    """Data and initial weights of a case, the same for every peer."""

    def __init__(self, case, seed=20200217):
        rng = np.random.default_rng(seed)
        self.case = case
        x = rng.uniform(-2, 2, (case.rows, case.inputs))
        y = 0.2 * np.cos(5 * x[:, :1]) - 0.25 * x[:, -1:] ** 2
        y += 0.15 * rng.standard_normal(y.shape)
        if case.loss == "bce":
            y = y > np.median(y)
        self.x, self.y = x.astype("float32"), y.astype("float32")
        shapes = list(itertools.pairwise(case.dims))
        self.weights = [(0.05 * rng.standard_normal(s)).astype("float32") for s in shapes]
        self.biases = [(0.05 * rng.standard_normal(s[1])).astype("float32") for s in shapes]
        self.rng = rng
        self.full = case.batch >= case.rows
        self.per_epoch = max(1, case.rows // max(1, case.batch))
        # Whole batches only, so that every step of every peer does the same work.
        n = self.per_epoch * case.batch if case.batch and not self.full else case.rows
        self.x, self.y = self.x[:n], self.y[:n]

    def batches(self):
        """Yield row indices of shuffled minibatches for ever."""
        while True:
            yield from np.split(self.rng.permutation(len(self.x)), self.per_epoch)


def epochs(steps, per_epoch):
    return max(1, -(-steps // per_epoch))


class NumPy:
    package = "numpy"

    def __init__(self, work):
        self.work, self.t = work, 0
        self.w = [w.copy() for w in work.weights]
        self.b = [b.copy() for b in work.biases]
        self.m = [np.zeros_like(p) for p in self.w + self.b]
        self.v = [np.zeros_like(p) for p in self.w + self.b]
        self.batches = work.batches()

    def forward(self, x):
        layers = [x]
        for w, b in zip(self.w, self.b, strict=True):
            layers.append(layers[-1] @ w + b)
            if len(layers) <= len(self.w):
                np.maximum(layers[-1], 0, out=layers[-1])
        if self.work.case.loss == "bce":
            layers[-1] = 1 / (1 + np.exp(-layers[-1]))
        return layers

    def step(self, x, y):
        case, layers = self.work.case, self.forward(x)
        dz = (layers[-1] - y) * np.float32((1 if case.loss == "bce" else 2) / len(x))
        dw, db = [], []
        for i in reversed(range(len(self.w))):
            g = layers[i].T @ dz
            if case.l2:
                g += np.float32(2 * case.l2) * self.w[i]
            if case.l1:
                g += np.float32(case.l1) * np.sign(self.w[i])
            dw.insert(0, g)
            db.insert(0, dz.sum(0))
            if i:
                dz = (dz @ self.w[i].T) * (layers[i] > 0)
        self.t += 1
        b1, b2 = (np.float32(b) for b in BETAS)
        rate = np.float32(RATE * np.sqrt(1 - BETAS[1] ** self.t) / (1 - BETAS[0] ** self.t))
        for p, m, v, g in zip(self.w + self.b, self.m, self.v, dw + db, strict=True):
            m *= b1
            m += (1 - b1) * g
            v *= b2
            v += (1 - b2) * (g * g)
            p -= rate * m / (np.sqrt(v) + np.float32(EPSILON))

    def train(self, steps):
        for _ in range(steps):
            rows = slice(None) if self.work.full else next(self.batches)
            self.step(self.work.x[rows], self.work.y[rows])
        return steps

    def predict(self):
        return self.forward(self.work.x)[-1]


class PyTorch:
    package = "torch"

    def __init__(self, work):
        import torch

        self.torch, self.work = torch, work
        if os.environ.get("OMP_NUM_THREADS"):
            torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
        layers = []
        for w, b in zip(work.weights, work.biases, strict=True):
            linear = torch.nn.Linear(*w.shape)
            linear.weight.data = torch.tensor(w.T.copy())
            linear.bias.data = torch.tensor(b)
            layers += [linear, torch.nn.ReLU()]
        self.net = torch.nn.Sequential(*layers[:-1])
        self.w = [m.weight for m in layers[::2]]
        self.adam = torch.optim.Adam(self.net.parameters(), RATE, BETAS, EPSILON, fused=True)
        functional = torch.nn.functional
        bce = work.case.loss == "bce"
        self.loss = functional.binary_cross_entropy_with_logits if bce else functional.mse_loss
        self.x, self.y = torch.tensor(work.x), torch.tensor(work.y)
        self.batches = work.batches()

    def train(self, steps):
        case = self.work.case
        for _ in range(steps):
            x, y = self.x, self.y
            if not self.work.full:
                rows = self.torch.from_numpy(next(self.batches))
                x, y = x[rows], y[rows]
            self.adam.zero_grad(set_to_none=True)
            loss = self.loss(self.net(x), y)
            if case.l2:
                loss = loss + case.l2 * sum((w * w).sum() for w in self.w)
            if case.l1:
                loss = loss + case.l1 * sum(w.abs().sum() for w in self.w)
            loss.backward()
            self.adam.step()
        return steps

    def predict(self):
        with self.torch.inference_mode():
            out = self.net(self.x)
            return (self.torch.sigmoid(out) if self.work.case.loss == "bce" else out).numpy()


class JAX:
    package = "jax"

    def __init__(self, work):
        import jax
        import jax.numpy as jnp

        self.jax, self.work, case = jax, work, work.case
        x, y = jnp.array(work.x), jnp.array(work.y)

        def forward(layers, a):
            for i, (w, b) in enumerate(layers):
                a = a @ w + b
                a = jnp.maximum(a, 0) if i < len(layers) - 1 else a
            return a

        def loss(layers, x, y):
            out = forward(layers, x)
            rows = jnp.logaddexp(0, out) - y * out if case.loss == "bce" else (out - y) ** 2
            l1 = case.l1 * sum(jnp.abs(w).sum() for w, _ in layers) if case.l1 else 0.0
            l2 = case.l2 * sum((w * w).sum() for w, _ in layers) if case.l2 else 0.0
            return rows.mean() + l1 + l2

        def step(state, rows):
            layers, m, v, t = state
            g = jax.grad(loss)(layers, *((x, y) if rows is None else (x[rows], y[rows])))
            t = t + 1
            b1, b2 = BETAS
            m = jax.tree.map(lambda m, g: b1 * m + (1 - b1) * g, m, g)
            v = jax.tree.map(lambda v, g: b2 * v + (1 - b2) * g * g, v, g)
            rate = RATE * jnp.sqrt(1 - b2**t) / (1 - b1**t)
            layers = jax.tree.map(
                lambda p, m, v: p - rate * m / (jnp.sqrt(v) + EPSILON), layers, m, v
            )
            return (layers, m, v, t), None

        pairs = zip(work.weights, work.biases, strict=True)
        layers = [(jnp.array(w), jnp.array(b)) for w, b in pairs]
        zeros = jax.tree.map(jnp.zeros_like, layers)
        self.state = (layers, zeros, jax.tree.map(jnp.zeros_like, layers), jnp.float32(0))
        self.many = jax.jit(
            lambda state, rows, n: jax.lax.scan(step, state, rows, length=n)[0],
            static_argnums=2,
            donate_argnums=0,
        )
        last = jax.nn.sigmoid if case.loss == "bce" else lambda a: a
        self.forward = jax.jit(lambda layers: last(forward(layers, x)))
        self.batches = work.batches()

    def train(self, steps):
        rows = None
        if not self.work.full:
            rows = np.stack(list(itertools.islice(self.batches, steps)))
        self.state = self.jax.block_until_ready(self.many(self.state, rows, steps))
        return steps

    def predict(self):
        return np.asarray(self.forward(self.state[0]))


class _KerasLike:
    """Keras and fastmlp share a vocabulary, and so this code."""

    def __init__(self, work):
        keras, case = self.module(), work.case
        self.work = work
        self.net = keras.models.Sequential()
        for i, units in enumerate((*case.hidden, 1)):
            last = i == len(case.hidden)
            options = {"activation": "relu"}
            if last:
                options["activation"] = "sigmoid" if case.loss == "bce" else "linear"
            if case.l1 or case.l2:
                options["kernel_regularizer"] = keras.regularizers.L1L2(case.l1, case.l2)
            self.net.add(keras.layers.Dense(units, **options))
        self.net.build((None, case.inputs))
        for layer, w, b in zip(self.net.layers, work.weights, work.biases, strict=True):
            layer.set_weights((w, b))
        loss = "binary_crossentropy" if case.loss == "bce" else "mean_squared_error"
        self.net.compile(optimizer=keras.optimizers.Adam(RATE, epsilon=EPSILON), loss=loss)

    def train(self, steps):
        n = epochs(steps, self.work.per_epoch)
        batch = self.work.case.batch
        self.net.fit(self.work.x, self.work.y, epochs=n, batch_size=batch, verbose=0)
        return n * self.work.per_epoch


class Keras(_KerasLike):
    package = "keras"

    def module(self):
        backends = {"tensorflow": "tensorflow", "jax": "jax", "torch": "torch"}
        installed = [b for b, p in backends.items() if importlib.util.find_spec(p)]
        os.environ.setdefault("KERAS_BACKEND", installed[0])
        import keras

        return keras

    def predict(self):
        return self.net.predict(self.work.x, batch_size=min(1024, len(self.work.x)), verbose=0)


class FastMLP(_KerasLike):
    package = "fastmlp"

    def module(self):
        import fastmlp

        return fastmlp

    def predict(self):
        return self.net.predict(self.work.x)


class ScikitLearn:
    package = "sklearn"

    def __init__(self, work):
        from sklearn.neural_network import MLPClassifier, MLPRegressor

        case = work.case
        if case.l1:
            raise NotImplementedError("scikit-learn has no L1 penalty")
        self.work = work
        self.make = MLPClassifier if case.loss == "bce" else MLPRegressor
        # Its loss is half the squared error, its penalty alpha / (2 * rows of a batch).
        self.alpha = case.l2 * max(1, case.batch)
        self.y = work.y[:, 0].astype(int if case.loss == "bce" else "float32")
        if case.what == "predict":
            self.net = self.fit(1, np.vstack([work.x] * 2), np.tile(self.y, 2))

    def fit(self, n_epochs, x, y):
        case = self.work.case
        net = self.make(
            hidden_layer_sizes=case.hidden,
            alpha=self.alpha,
            batch_size=case.batch or len(x),
            max_iter=n_epochs,
            learning_rate_init=RATE,
            epsilon=EPSILON,
            tol=1e-30,
            n_iter_no_change=10**9,
        )
        return net.fit(x, y)

    def train(self, steps):
        n = epochs(steps, self.work.per_epoch)
        self.fit(n, self.work.x, self.y)
        return n * self.work.per_epoch

    def predict(self):
        return self.net.predict(self.work.x)


PEERS = {
    "fastmlp": FastMLP,
    "numpy": NumPy,
    "torch": PyTorch,
    "jax": JAX,
    "keras": Keras,
    "sklearn": ScikitLearn,
}


def installed():
    """Return the names of the peers that this interpreter can run."""
    names = [name for name, peer in PEERS.items() if importlib.util.find_spec(peer.package)]
    backends = any(importlib.util.find_spec(p) for p in ("tensorflow", "jax", "torch"))
    return [name for name in names if name != "keras" or backends]
