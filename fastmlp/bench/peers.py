"""The same network in fastmlp and in other libraries.

Every class trains the same weights on the same data with Adam in float32. `train(steps)` makes at
least that many optimizer steps and returns how many it made. `predict()` returns the outputs for
the case's rows. Each library is used as its documentation recommends for speed.
"""

from __future__ import annotations

import importlib
import importlib.util
import itertools
import os
from collections.abc import Iterator
from typing import Any, Protocol

import numpy as np

from .. import datasets
from .cases import KERAS_BACKENDS, Case

Array = np.ndarray
RATE, BETAS, EPSILON = 1e-3, (0.9, 0.999), 1e-7


class PeerWorkload:
    """Data and initial weights of a case, the same for every library.

    If the case has a warm-up, the weights are those after it. fastmlp does the warm-up, so that
    all libraries start with the same dead units.

    Parameters
    ----------
    case : Case
    seed : int
        Random seed of weights, random data and row order.
    """

    def __init__(self, case: Case, seed: int = 20200217) -> None:
        self.case = case
        self.rng = np.random.default_rng(seed)
        x, y = self._data()
        self.x, self.y = x.astype("float32"), y.astype("float32")
        shapes = list(itertools.pairwise(case.widths))
        self.weights = [self._small(shape) for shape in shapes]
        self.biases = [self._small(shape[1:]) for shape in shapes]
        if case.warm_up:
            peer = FastMLP(self)
            peer.train(case.warm_up)
            self.weights = [layer.get_weights()[0] for layer in peer.net.layers]
            self.biases = [layer.get_weights()[1] for layer in peer.net.layers]

    def _small(self, shape: tuple[int, ...]) -> Array:
        return (0.05 * self.rng.standard_normal(shape)).astype("float32")

    def _data(self) -> tuple[Array, Array]:
        case = self.case
        if case.data != "drawn":
            return datasets.load(f"{case.data}_train")[1:]
        # Whole batches only, so that every step of every library does the same work.
        n = case.rows if case.what == "predict" else case.steps_per_epoch * case.batch
        x = self.rng.standard_normal((n, case.inputs))
        return x, np.sin(2 * x[:, :1]) + 0.1 * self.rng.standard_normal((n, 1))

    def batches(self) -> Iterator[Array]:
        """Yield row indices of shuffled minibatches without end."""
        while True:
            yield from np.split(self.rng.permutation(len(self.x)), self.case.steps_per_epoch)


class Peer(Protocol):
    """The interface of the measured libraries."""

    def __init__(self, work: PeerWorkload) -> None: ...

    def train(self, steps: int) -> int:
        """Make at least `steps` steps; return how many it made."""

    def predict(self) -> Array:
        """Return the outputs for the case's rows."""


class NumPy:
    """Plain NumPy with in-place updates."""

    def __init__(self, work: PeerWorkload) -> None:
        self.work, self.t = work, 0
        self.w = [w.copy() for w in work.weights]
        self.b = [b.copy() for b in work.biases]
        self.m = [np.zeros_like(p) for p in self.w + self.b]
        self.v = [np.zeros_like(p) for p in self.w + self.b]
        self.batches = work.batches()

    def forward(self, x: Array) -> list[Array]:
        """Return the input and every layer's output."""
        layers = [x]
        for w, b in zip(self.w, self.b, strict=True):
            layers.append(layers[-1] @ w + b)
            if len(layers) <= len(self.w):
                np.maximum(layers[-1], 0, out=layers[-1])
        if self.work.case.loss == "bce":
            layers[-1] = 1 / (1 + np.exp(-layers[-1]))
        return layers

    def step(self, x: Array, y: Array) -> None:
        """Make one step."""
        case, layers = self.work.case, self.forward(x)
        dz = (layers[-1] - y) * np.float32((1 if case.loss == "bce" else 2) / len(x))
        dw: list[Array] = []
        db: list[Array] = []
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

    def train(self, steps: int) -> int:
        """Make `steps` steps."""
        for _ in range(steps):
            rows = slice(None) if self.work.case.full_batch else next(self.batches)
            self.step(self.work.x[rows], self.work.y[rows])
        return steps

    def predict(self) -> Array:
        """Return the outputs."""
        return self.forward(self.work.x)[-1]


class PyTorch:
    """PyTorch with its fused Adam."""

    def __init__(self, work: PeerWorkload) -> None:
        self.torch: Any = importlib.import_module("torch")
        torch, self.work = self.torch, work
        if os.environ.get("OMP_NUM_THREADS"):
            torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
        layers = []
        for w, b in zip(work.weights, work.biases, strict=True):
            linear = torch.nn.Linear(*w.shape)
            linear.weight.data = torch.tensor(w.T.copy())
            linear.bias.data = torch.tensor(b)
            layers += [linear, torch.nn.ReLU()]
        self.net = torch.nn.Sequential(*layers[:-1])
        self.w = [linear.weight for linear in layers[::2]]
        self.adam = torch.optim.Adam(self.net.parameters(), RATE, BETAS, EPSILON, fused=True)
        functional = torch.nn.functional
        bce = work.case.loss == "bce"
        self.loss = functional.binary_cross_entropy_with_logits if bce else functional.mse_loss
        self.x, self.y = torch.tensor(work.x), torch.tensor(work.y)
        self.batches = work.batches()

    def train(self, steps: int) -> int:
        """Make `steps` steps."""
        case = self.work.case
        for _ in range(steps):
            x, y = self.x, self.y
            if not case.full_batch:
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

    def predict(self) -> Array:
        """Return the outputs."""
        with self.torch.inference_mode():
            out = self.net(self.x)
            if self.work.case.loss == "bce":
                out = self.torch.sigmoid(out)
            outputs: Array = out.numpy()
        return outputs


class JAX:
    """JAX with the whole loop over steps compiled."""

    def __init__(self, work: PeerWorkload) -> None:
        self.jax: Any = importlib.import_module("jax")
        jax, jnp, case = self.jax, self.jax.numpy, work.case
        self.work = work
        x, y = jnp.array(work.x), jnp.array(work.y)

        def forward(layers: Any, a: Any) -> Any:
            for i, (w, b) in enumerate(layers):
                a = a @ w + b
                a = jnp.maximum(a, 0) if i < len(layers) - 1 else a
            return a

        def loss(layers: Any, x: Any, y: Any) -> Any:
            out = forward(layers, x)
            rows = jnp.logaddexp(0, out) - y * out if case.loss == "bce" else (out - y) ** 2
            l1 = case.l1 * sum(jnp.abs(w).sum() for w, _ in layers) if case.l1 else 0.0
            l2 = case.l2 * sum((w * w).sum() for w, _ in layers) if case.l2 else 0.0
            return rows.mean() + l1 + l2

        def step(state: Any, rows: Any) -> tuple[Any, None]:
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

    def train(self, steps: int) -> int:
        """Make `steps` steps; compiles for each new number of steps."""
        rows = None
        if not self.work.case.full_batch:
            rows = np.stack(list(itertools.islice(self.batches, steps)))
        self.state = self.jax.block_until_ready(self.many(self.state, rows, steps))
        return steps

    def predict(self) -> Array:
        """Return the outputs."""
        return np.asarray(self.forward(self.state[0]))


class _KerasLike:
    """Code for Keras and fastmlp, which have the same API."""

    def __init__(self, work: PeerWorkload) -> None:
        keras, case = self.module(), work.case
        self.work = work
        self.net = keras.models.Sequential()
        for i, units in enumerate(case.widths[1:]):
            last = i == len(case.hidden)
            options: dict[str, Any] = {"activation": "relu"}
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

    def module(self) -> Any:
        raise NotImplementedError

    def train(self, steps: int) -> int:
        """Train whole epochs of at least `steps` steps."""
        case, n = self.work.case, _epochs(steps, self.work)
        self.net.fit(self.work.x, self.work.y, epochs=n, batch_size=case.batch, verbose=0)
        return n * case.steps_per_epoch


class Keras(_KerasLike):
    """Keras with KERAS_BACKEND, or the first backend that is installed."""

    def module(self) -> Any:
        """Import Keras."""
        found = [name for name in KERAS_BACKENDS if importlib.util.find_spec(name)]
        os.environ.setdefault("KERAS_BACKEND", found[0])
        return importlib.import_module("keras")

    def predict(self) -> Array:
        """Return the outputs."""
        batch = min(1024, len(self.work.x))
        outputs: Array = self.net.predict(self.work.x, batch_size=batch, verbose=0)
        return outputs


class FastMLP(_KerasLike):
    """Fastmlp with its public API."""

    def module(self) -> Any:
        """Import fastmlp."""
        return importlib.import_module("fastmlp")

    def predict(self) -> Array:
        """Return the outputs."""
        outputs: Array = self.net.predict(self.work.x)
        return outputs


class ScikitLearn:
    """scikit-learn's estimators; each call of `train` resets Adam's moments."""

    def __init__(self, work: PeerWorkload) -> None:
        neural_network: Any = importlib.import_module("sklearn.neural_network")
        case, self.work = work.case, work
        if case.l1:
            raise NotImplementedError("no L1 penalty")
        self.bce = case.loss == "bce"
        make = neural_network.MLPClassifier if self.bce else neural_network.MLPRegressor
        self.y = work.y[:, 0].astype(int if self.bce else "float32")
        self.net = make(
            hidden_layer_sizes=case.hidden,
            # scikit-learn's penalty is alpha / (2 * batch size), its loss half the squared error.
            alpha=case.l2 * max(1, case.batch) * (2 if self.bce else 1),
            batch_size=max(1, case.batch),
            max_iter=1,
            learning_rate_init=RATE,
            epsilon=EPSILON,
            tol=1e-30,
            n_iter_no_change=10**9,
            warm_start=True,
        )
        # One epoch on two rows creates the arrays; then the workload's weights replace its own.
        self.net.fit(np.resize(work.x, (2, case.inputs)), np.array([0, 1], self.y.dtype))
        self.net.coefs_ = [w.copy() for w in work.weights]
        self.net.intercepts_ = [b.copy() for b in work.biases]

    def train(self, steps: int) -> int:
        """Train whole epochs of at least `steps` steps."""
        n = _epochs(steps, self.work)
        self.net.set_params(max_iter=n).fit(self.work.x, self.y)
        return n * self.work.case.steps_per_epoch

    def predict(self) -> Array:
        """Return the outputs."""
        if self.bce:
            shares: Array = self.net.predict_proba(self.work.x)[:, 1]
            return shares
        outputs: Array = self.net.predict(self.work.x)
        return outputs


class _PredictsOnly:
    """A library for prediction alone."""

    def __init__(self, work: PeerWorkload) -> None:
        if work.case.what != "predict":
            raise NotImplementedError("for prediction only")
        self.work = work

    def train(self, steps: int) -> int:
        """No such library trains."""
        raise NotImplementedError("for prediction only")


class LiteRT(_PredictsOnly):
    """LiteRT (once TensorFlow Lite), whose XNNPACK kernels take a file with the weights."""

    def __init__(self, work: PeerWorkload) -> None:
        super().__init__(work)
        interpreter: Any = importlib.import_module("ai_edge_litert.interpreter")
        threads = int(os.environ.get("OMP_NUM_THREADS") or os.cpu_count() or 1)
        self.net = interpreter.Interpreter(model_content=self._file(), num_threads=threads)
        self.net.allocate_tensors()
        self.input = self.net.get_input_details()[0]["index"]
        self.output = self.net.get_output_details()[0]["index"]

    def _file(self) -> bytes:
        """Return the network as a file: a fully connected operator for each layer."""
        schema: Any = importlib.import_module("ai_edge_litert.schema_py_generated")
        flatbuffers: Any = importlib.import_module("flatbuffers")
        buffers, tensors, operators = [schema.BufferT()], [], []

        def tensor(name: str, shape: tuple[int, ...], values: Array | None = None) -> int:
            one = schema.TensorT()
            one.name, one.shape, one.type = name, list(shape), schema.TensorType.FLOAT32
            if values is not None:
                buffer = schema.BufferT()
                buffer.data = np.frombuffer(np.ascontiguousarray(values).tobytes(), np.uint8)
                one.buffer = len(buffers)
                buffers.append(buffer)
            tensors.append(one)
            return len(tensors) - 1

        n, last = len(self.work.x), len(self.work.weights) - 1
        first = at = tensor("x", self.work.x.shape)
        for i, (w, b) in enumerate(zip(self.work.weights, self.work.biases, strict=True)):
            options = schema.FullyConnectedOptionsT()
            if i < last:
                options.fusedActivationFunction = schema.ActivationFunctionType.RELU
            one = schema.OperatorT()
            one.inputs = [at, tensor(f"w{i}", w.T.shape, w.T), tensor(f"b{i}", b.shape, b)]
            at = tensor(f"y{i}", (n, len(b)))
            one.outputs = [at]
            one.builtinOptionsType = schema.BuiltinOptions.FullyConnectedOptions
            one.builtinOptions = options
            operators.append(one)
        graph, code, model = schema.SubGraphT(), schema.OperatorCodeT(), schema.ModelT()
        graph.tensors, graph.operators = tensors, operators
        graph.inputs, graph.outputs = [first], [at]
        code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.FULLY_CONNECTED
        code.version = 1
        model.version, model.operatorCodes = 3, [code]
        model.subgraphs, model.buffers = [graph], buffers
        builder = flatbuffers.Builder(1 << 20)
        builder.Finish(model.Pack(builder), b"TFL3")
        return bytes(builder.Output())

    def predict(self) -> Array:
        """Return the outputs."""
        self.net.set_tensor(self.input, self.work.x)
        self.net.invoke()
        outputs: Array = self.net.get_tensor(self.output)
        return outputs


class OpenVINO(_PredictsOnly):
    """OpenVINO, compiled for latency in float32."""

    def __init__(self, work: PeerWorkload) -> None:
        super().__init__(work)
        ov: Any = importlib.import_module("openvino")
        ops: Any = importlib.import_module("openvino.opset13")
        x = at = ops.parameter(list(work.x.shape), np.float32)
        for i, (w, b) in enumerate(zip(work.weights, work.biases, strict=True)):
            at = ops.add(ops.matmul(at, ops.constant(w), False, False), ops.constant(b))
            at = ops.relu(at) if i < len(work.weights) - 1 else at
        settings: dict[str, Any] = {
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_PRECISION_HINT": "f32",
            "NUM_STREAMS": 1,
        }
        if os.environ.get("OMP_NUM_THREADS"):
            settings["INFERENCE_NUM_THREADS"] = int(os.environ["OMP_NUM_THREADS"])
        compiled = ov.Core().compile_model(ov.Model([at], [x]), "CPU", settings)
        self.request = compiled.create_infer_request()

    def predict(self) -> Array:
        """Return the outputs."""
        found = self.request.infer({0: self.work.x}, share_inputs=True, share_outputs=True)
        outputs: Array = found[0]
        return outputs


def _epochs(steps: int, work: PeerWorkload) -> int:
    return max(1, -(-steps // work.case.steps_per_epoch))


PEERS: dict[str, type[Peer]] = {
    "fastmlp": FastMLP,
    "numpy": NumPy,
    "torch": PyTorch,
    "jax": JAX,
    "keras": Keras,
    "sklearn": ScikitLearn,
    "litert": LiteRT,
    "openvino": OpenVINO,
}
