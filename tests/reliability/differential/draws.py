"""Random trainings, drawn by number so that together they reach every regime of the kernels."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

SEED = 20240  # of all draws
SMOOTH = ("linear", "elu", "gelu", "silu", "tanh", "sigmoid", "softplus")
HIDDEN = (*SMOOTH, "relu", "relu", "relu", "leaky_relu")
KINDS = {  # with their shares
    "tiny": 10,
    "shallow": 12,
    "layers": 26,
    "parts": 10,
    "ordered": 16,
    "large": 6,
    "python": 5,
    "shards": 5,
    "stacked": 10,
}
SCHEDULES = (
    "ExponentialDecay",
    "StepDecay",
    "InverseTimeDecay",
    "PolynomialDecay",
    "PiecewiseConstantDecay",
    "CosineDecay",
)
NO_PENALTY = {"l1": 0.0, "l2": 0.0, "proximal": False, "group": 0.0, "by_input": False}


@dataclass
class Draw:
    """One training. `penalties` holds those of weights and biases of each layer in turn."""

    number: int
    kind: str
    dtype: str
    n_in: int
    units: list[int]
    activations: list[str]
    use_bias: list[bool]
    loss: str
    rows: int
    batch: int
    epochs: int
    shuffle: bool
    weighted: bool
    optimizer: dict[str, Any]
    clip: dict[str, float]
    schedule: tuple[str, dict[str, Any]] | None
    metrics: list[str]
    dropout: list[float]
    penalties: list[dict[str, Any]] = field(default_factory=list)
    delta: float = 1.0
    shards: int | None = None
    members: int = 1
    edges: list[list[float]] | None = None  # of the bins of each input, if they are encoded
    dead: bool = False  # whether biases begin so low that many relu units are inactive

    @property
    def seed(self):
        return self.number + 1

    def weights(self, member=0):
        """Return a matrix and a vector for each layer, in the network's type."""
        rng = np.random.default_rng([SEED, self.number, 1, member])
        arrays, n_in = [], self.n_in
        if self.edges is not None:
            n_in = sum(max(1, len(own)) for own in self.edges)
        for h, n_out in enumerate(self.units):
            last = h + 1 == len(self.units)
            scale = (0.7 if last else 1.2) / np.sqrt(n_in)
            low = -0.5 if self.dead and not last else 0.0
            bias = rng.normal(low, 0.2, n_out)
            arrays += [rng.normal(0, scale, (n_in, n_out))]
            arrays += [bias if self.use_bias[h] else np.zeros(n_out)]
            n_in = n_out
        return [array.astype(self.dtype) for array in arrays]

    def data(self):
        """Return x, y and the rows' weights or None, in the network's type."""
        rng = np.random.default_rng([SEED, self.number, 2])
        x, k = rng.normal(0, 1, (self.rows, self.n_in)), self.units[-1]
        for column, own in zip(x.T, self.edges or [], strict=False):
            on = rng.random(self.rows) < 0.2
            column[on] = rng.choice([*own, *own[-1:], 0.0, -0.0], on.sum())
        if self.loss.startswith("sparse"):
            y = rng.integers(0, k, (self.rows, 1))
        elif self.loss.startswith("categorical"):
            y = np.eye(k)[rng.integers(0, k, self.rows)]
        elif self.loss == "binary_crossentropy":
            y = rng.integers(0, 2, (self.rows, k))
        elif self.loss == "poisson":
            y = rng.poisson(1.5, (self.rows, k))
        else:
            y = np.sin(x[:, :1] * np.arange(1, k + 1)) + rng.normal(0, 0.1, (self.rows, k))
        weight = rng.uniform(0, 2, self.rows) * (rng.random(self.rows) > 0.1)
        given = weight.astype(self.dtype) if self.weighted else None
        return x.astype(self.dtype), y.astype(self.dtype), given


def _uniform_in_logs(rng, low, high):
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def _architecture(rng, kind):
    """Return inputs and widths, the output's last."""
    whole = rng.integers
    if kind == "tiny":
        return int(whole(1, 3)), [int(whole(1, 5)), 1]
    if kind == "shallow" or (kind == "stacked" and rng.random() < 0.5):
        return int(whole(1, 5)), [int(whole(1, 81)), int(whole(1, 5))]
    if kind in ("ordered", "large"):
        depth = int(whole(2, 4))
        low, high = ((320, 380), (226, 300))[depth - 2]
        n_in = int(whole(1, 5)) if kind == "ordered" else int(whole(5, 60))
        widths = [int(w) for w in whole(low, high, depth)]
        if rng.random() < 0.3:  # whole panels, or a narrow layer between
            widths[-1] = (320, 256)[depth - 2] if rng.random() < 0.5 else int(whole(1, 5))
            widths[0] = max(widths[0], 350) if depth == 2 else widths[0]
        if kind == "ordered" and widths[-1] < 5:
            widths = [340, 330, widths[-1]]
        return n_in, [*widths, int(rng.choice([1, 1, 3, 4, 5, 10, 17]))]
    if kind == "parts":
        if rng.random() < 0.08:
            return int(whole(5, 12)), [int(whole(260, 300)), int(whole(240, 280)), 2]
        depth = int(whole(1, 4))
        return int(whole(1, 13)), [*map(int, whole(3, 91, depth)), int(whole(1, 9))]
    depth = int(whole(0, 5))
    widest = 41 if kind == "stacked" else 100
    return int(whole(1, 13)), [*map(int, whole(1, widest, depth)), int(whole(1, 9))]


def _rows(rng, kind):
    """Return rows, batch size and epochs."""
    whole = rng.integers
    if kind == "parts":
        batch = int(whole(128, 421)) if rng.random() < 0.9 else int(whole(600, 1500))
        return int(batch * rng.uniform(1, 2.2)), batch, int(whole(1, 4))
    if kind == "stacked" and rng.random() < 0.4:  # in parts, if it is deep
        return int(whole(128, 400)), int(whole(128, 200)), 2
    if kind in ("ordered", "large"):
        shares = [0.06, 0.2, 0.2, 0.2, 0.2, 0.1, 0.04]
        batch = int(rng.choice([1, 7, 16, 33, 64, 100, 130], p=shares))
        n_batches = rng.uniform(1, 3 if batch < 60 else 2)
        return max(1, int(batch * n_batches)), batch, int(whole(1, 4 if batch < 30 else 3))
    batch = int(rng.choice([1, 3, 8, 17, 32, 64, 100, 127]))
    return max(1, int(batch * rng.uniform(0.7, 5))), batch, int(whole(1, 9))


def _outputs(rng, kind, k):
    """Return the last activation and the loss."""
    if kind == "tiny":
        return "linear", "mean_squared_error"
    if kind == "python":
        return str(rng.choice(["linear", "tanh", "sigmoid", "softplus"])), "log_cosh"
    pairs = [
        ("linear", "mean_squared_error"),
        ("linear", "mean_squared_error"),
        ("linear", "mean_absolute_error"),
        ("linear", "huber"),
        (str(rng.choice(HIDDEN)), "mean_squared_error"),
        (str(rng.choice(HIDDEN)), "mean_absolute_error"),
        (str(rng.choice(HIDDEN)), "huber"),
        (str(rng.choice(("leaky_relu", *SMOOTH))), "mean_squared_error"),
        ("softplus", "poisson"),
        ("sigmoid", "binary_crossentropy"),
    ]
    if k > 1 and kind != "shallow":
        pairs += [
            ("softmax", "categorical_crossentropy"),
            ("softmax", "sparse_categorical_crossentropy"),
            ("softmax", "mean_squared_error"),
            ("softmax", "binary_crossentropy"),
            ("sigmoid", "categorical_crossentropy"),
            ("softplus", "sparse_categorical_crossentropy"),
        ]
    return pairs[rng.integers(len(pairs))]


def _metrics(rng, loss, k):
    if loss.startswith("sparse"):
        names = ["sparse_categorical_accuracy", "sparse_categorical_crossentropy"]
    elif loss.startswith("categorical"):
        names = ["categorical_accuracy", "categorical_crossentropy", "mean_absolute_error"]
    elif loss == "binary_crossentropy":
        names = ["binary_accuracy", "binary_crossentropy", "mean_squared_error"]
    else:
        names = ["mean_squared_error", "mean_absolute_error", "huber"]
    return [str(n) for n in rng.permutation(names)[: rng.integers(0, len(names) + 1)]]


def _optimizer(rng, large):
    name = str(rng.choice(["sgd", "sgd", "rmsprop", "adagrad", "adam", "adam", "adamw"]))
    low, high = {"sgd": (1e-3, 3e-2), "adagrad": (1e-3, 3e-2)}.get(name, (1e-4, 5e-3))
    options = {"learning_rate": _uniform_in_logs(rng, low, high / (3 if large else 1))}
    if name == "sgd":
        options["momentum"] = float(rng.choice([0.0, 0.5, 0.9]))
        options["nesterov"] = bool(options["momentum"] and rng.random() < 0.5)
    elif name == "rmsprop":
        options["rho"] = float(rng.choice([0.9, 0.5]))
        options["epsilon"] = float(rng.choice([1e-7, 1e-4]))
    elif name == "adagrad":
        start = float(rng.choice([0.1, 0.01]))
        options |= {"initial_accumulator_value": start, "epsilon": 1e-7}
    else:
        options["beta_1"] = float(rng.choice([0.9, 0.5]))
        options["beta_2"] = float(rng.choice([0.999, 0.9]))
        options["epsilon"] = float(rng.choice([1e-7, 1e-8, 1e-3]))
        options["initial_step"] = int(rng.choice([0, 0, 3, 60]))
        if name == "adamw":
            options["weight_decay"] = float(rng.choice([0.004, 0.3]))
    return {"name": name, "options": options}


def _schedule(rng, rate):
    if rng.random() < 0.55:
        return None
    kind, steps = str(rng.choice(SCHEDULES)), int(rng.integers(1, 9))
    first, staircase = {"initial_learning_rate": rate}, bool(rng.random() < 0.5)
    if kind in ("ExponentialDecay", "InverseTimeDecay"):
        factor = float(rng.choice([0.5, 0.9]))
        return kind, {**first, "decay_steps": steps, "decay_rate": factor, "staircase": staircase}
    if kind == "StepDecay":
        return kind, {**first, "steps_per_drop": steps, "drop": 0.6}
    if kind == "PolynomialDecay":
        power, end = float(rng.choice([1.0, 2.0])), rate / 10
        more = {"end_learning_rate": end, "power": power, "cycle": staircase}
        return kind, {**first, "decay_steps": steps, **more}
    if kind == "PiecewiseConstantDecay":
        return kind, {"boundaries": [steps - 1, steps + 2], "values": [rate, rate / 2, rate / 5]}
    warm = int(rng.choice([0, 3]))
    target = 1.5 * rate if warm else None
    more = {"alpha": 0.1, "warmup_target": target, "warmup_steps": warm}
    return kind, {**first, "decay_steps": steps, **more}


def _penalty(rng, matrix):
    pen = dict(NO_PENALTY)
    which = rng.integers(5 if matrix else 3)
    if which < 3:
        pen["l1"] = _uniform_in_logs(rng, 1e-5, 1e-2) if which != 1 else 0.0
        pen["l2"] = _uniform_in_logs(rng, 1e-4, 1e-1) if which != 0 else 0.0
        pen["proximal"] = bool(pen["l1"] and rng.random() < 0.5)
    else:
        pen["group"] = _uniform_in_logs(rng, 1e-4, 3e-2)
        pen["by_input"] = which == 4
        pen["proximal"] = True
    return pen


def _penalties(rng, draw):
    chance = {"stacked": 0.3}.get(draw.kind, 0.5)
    if rng.random() >= chance:
        return [dict(NO_PENALTY) for _ in range(2 * len(draw.units))]
    found = []
    for bias in draw.use_bias:
        for matrix in (True, False):
            wanted = rng.random() < (0.6 if matrix else 0.3 * bias)
            pen = _penalty(rng, matrix) if wanted else dict(NO_PENALTY)
            if draw.kind == "stacked" and pen["proximal"]:
                pen = dict(NO_PENALTY)
            found.append(pen)
    return found


def _edges(rng, n_in):
    """Return ascending float32 numbers for each input, none for some; 400 in all, or few more."""
    found = []
    for _ in range(n_in):
        most = max(2, min(320 if n_in < 4 else 40, 400 // n_in))
        n = int(rng.choice([0, 2, 3, rng.integers(2, most + 1), most]))
        found.append(np.unique(rng.normal(0, 1, n).astype(np.float32)).tolist())
    return found


def draw(number):
    """Return the draw of that number."""
    rng = np.random.default_rng([SEED, number])
    shares = np.array(list(KINDS.values()), float)
    kind = str(rng.choice(list(KINDS), p=shares / shares.sum()))
    large = kind in ("ordered", "large")
    n_in, units = _architecture(rng, kind)
    last, loss = _outputs(rng, kind, units[-1])
    every = str(rng.choice(HIDDEN)) if not large or rng.random() < 0.4 else "relu"
    hidden = [every if rng.random() < 0.8 else str(rng.choice(HIDDEN)) for _ in units[:-1]]
    if kind in ("layers", "large", "parts") and hidden and rng.random() < 0.08:
        where = rng.integers(len(hidden))
        hidden[where] = "softmax" if units[where] > 1 else hidden[where]
    rows, batch, epochs = _rows(rng, kind)
    bias = [bool(rng.random() < (1 if kind in ("tiny", "shallow") else 0.9)) for _ in units]
    optimizer = _optimizer(rng, large)
    dropout = [0.0] * len(units)
    if kind not in ("tiny", "shallow", "stacked") and rng.random() < 0.25:
        dropout = [float(rng.choice([0, 0.1, 0.5])) for _ in units]
    clip = {}
    if kind != "stacked" and rng.random() < (0.1 if kind in ("tiny", "shallow") else 0.4):
        norm = str(rng.choice(["global_clipnorm", "clipnorm", "none"]))
        if norm != "none":
            clip[norm] = _uniform_in_logs(rng, 0.01, 1)
        if norm == "none" or rng.random() < 0.3:
            clip["clipvalue"] = _uniform_in_logs(rng, 1e-3, 0.1)
    made = Draw(
        number=number,
        kind=kind,
        dtype=str(rng.choice(["float32", "float64"])),
        n_in=n_in,
        units=units,
        activations=[*hidden, last],
        use_bias=bias,
        loss=loss,
        rows=rows,
        batch=batch,
        epochs=epochs,
        shuffle=bool(rng.random() < 0.8),
        weighted=bool(rng.random() < 0.35),
        optimizer=optimizer,
        clip=clip,
        schedule=None,
        metrics=[] if kind == "stacked" else _metrics(rng, loss, units[-1]),
        dropout=dropout,
        delta=float(rng.choice([1.0, 0.3])),
        dead=bool(rng.random() < 0.5),
    )
    if kind == "stacked":
        made.members = int(rng.integers(1, 9))
    else:
        made.schedule = _schedule(rng, optimizer["options"]["learning_rate"])
    if kind == "shards":
        made.shards = int(rng.integers(1, 5))
        made.rows = max(made.rows, made.shards)
        made.batch = max(made.batch, made.shards)
    made.penalties = _penalties(rng, made)
    # From another generator: the other draws are as they were before there were encodings.
    rng = np.random.default_rng([SEED, number, 4])
    if kind != "stacked" and rng.random() < 0.15:
        made.edges, made.dropout[0] = _edges(rng, n_in), 0.0
    return made
