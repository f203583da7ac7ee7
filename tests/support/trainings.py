"""Small trainings that meet every kernel, and what they leave behind to compare."""

from dataclasses import dataclass, field

import numpy as np

from . import networks

MSE, MAE, BCE = "mean_squared_error", "mean_absolute_error", "binary_crossentropy"
CCE, SCCE = "categorical_crossentropy", "sparse_categorical_crossentropy"


@dataclass
class Case:
    """A network, its data, and how it is trained."""

    n_inputs: int
    units: list[int]
    activations: str  # of hidden layers, by turns, and of the last
    loss: str = MSE
    n: int = 100
    batch_size: int = 48
    dropout: list[float] | None = None
    lambdas: tuple[float, float] = (0, 0)
    weighted: bool = False
    dying: bool = False  # biases begin so low that many units are dead
    settings: dict = field(default_factory=dict)

    @property
    def names(self):
        """Each layer's activation."""
        *hidden, last = self.activations.split()
        return [*(hidden * len(self.units))[: len(self.units) - 1], last]


CASES = {
    "one unit": Case(1, [1], "linear", n=7, batch_size=3, settings={"optimizer": "sgd"}),
    "units in single file": Case(3, [1, 1, 1, 1], "tanh elu sigmoid", BCE, batch_size=7),
    "shallow": Case(2, [37, 3], "relu linear", weighted=True, lambdas=(1e-3, 1e-3)),
    "shallow, wide": Case(4, [517, 1], "gelu linear", MAE, settings={"optimizer": "adamw"}),
    "shallow, all rows": Case(
        1, [203, 1], "relu linear", batch_size=100, settings={"optimizer": "adagrad"}
    ),
    "odd widths": Case(
        7, [33, 17, 65, 3], "relu tanh relu linear", n=101, batch_size=13, weighted=True
    ),
    "lecture": Case(1, [96, 96, 96, 1], "relu linear", n=50, batch_size=50, dying=True),
    "low dimension": Case(
        2, [96, 96, 96, 1], "relu linear", n=130, batch_size=31, dying=True, lambdas=(1e-3, 1e-2)
    ),
    "deep and narrow": Case(
        5, [8] * 9 + [2], "silu leaky_relu linear", "huber", settings={"optimizer": "rmsprop"}
    ),
    "narrow in the middle": Case(20, [130, 3, 70, 2], "relu linear", dying=True, lambdas=(1e-4, 0)),
    "wide": Case(
        20, [257, 300, 1], "relu linear", n=200, batch_size=199, dying=True, weighted=True,
        settings={"optimizer": "sgd", "momentum": 0.9, "nesterov": True},
    ),
    "many outputs": Case(9, [130, 97, 33], "elu leaky_relu linear", lambdas=(0, 1e-3)),
    "dropout": Case(
        3, [100, 128, 65, 10], "relu softmax", CCE, dropout=[0, 0.6, 0.5, 0.2], dying=True
    ),
    "dropout of inputs": Case(
        20, [130, 97, 5], "relu gelu linear", n=200, dropout=[0.3, 0.5, 0], weighted=True,
        lambdas=(0, 1e-3),
    ),
    "softmax inside": Case(
        20, [100, 64, 10], "tanh softmax softmax", SCCE, dropout=[0, 0.3, 0],
        settings={"optimizer": "adamw", "weight_decay": 0.01},
    ),
    "counts": Case(6, [66, 70, 2], "silu softplus softplus", "poisson", lambdas=(1e-3, 0)),
    "clipped by norm": Case(
        20, [150, 96, 40], "relu sigmoid", BCE, dying=True, lambdas=(1e-4, 1e-3),
        settings={"clip_norm": 0.01},
    ),
    "clipped by arrays' norms": Case(
        5, [300, 70, 2], "tanh relu linear", lambdas=(0, 1e-3), settings={"clip_array_norm": 1e-2}
    ),
    "clipped by value": Case(
        4, [70, 3, 65, 1], "relu elu linear", dropout=[0, 0, 0.2, 0], settings={"clip_value": 1e-3}
    ),
    "a row at a time": Case(3, [96, 80, 1], "relu linear", n=9, batch_size=1, dying=True),
    "batch larger than the data": Case(
        5, [64, 129, 4], "leaky_relu relu linear", n=97, batch_size=500,
        settings={"optimizer": "rmsprop"},
    ),
    "many rows": Case(
        7, [70, 33, 1], "relu tanh linear", n=340, batch_size=150, dying=True, weighted=True,
        lambdas=(1e-3, 1e-3),
    ),
    "many rows, dropout": Case(
        9, [66, 129, 10], "relu softmax", CCE, n=300, batch_size=300, dropout=[0.2, 0.5, 0],
        dying=True, settings={"optimizer": "adamw", "weight_decay": 0.01},
    ),
    "many rows, more weights": Case(
        20, [260, 250, 3], "relu linear", n=400, batch_size=270, dying=True, weighted=True
    ),
    "many rows, one layer": Case(
        130, [7], "sigmoid", BCE, n=2100, batch_size=2050, settings={"optimizer": "rmsprop"}
    ),
}  # fmt: skip


def build(name, dtype, **settings):
    """Return a network ready to train, and x, y and sample weights or None."""
    case = CASES[name]
    net = networks.compiled(dtype)(case.n_inputs, case.units, case.names, dropout=case.dropout)
    networks.draw_parameters(net, 1)
    for i, (l1, l2) in enumerate([case.lambdas] * net.n_layers):
        net.set_penalty(i, l1=l1, l2=l2, bias_l2=l2)
        if case.dying and i < net.n_layers - 1:
            net.bias(i)[...] -= np.linspace(0, 3, case.units[i], dtype=dtype)
    net.configure(loss=case.loss, metrics=networks.METRICS[case.loss], **(case.settings | settings))
    x, y, weight = networks.draw_data(2, case.n, case.n_inputs, case.units[-1], case.loss, dtype)
    return net, (x, y, weight if case.weighted else None)


def train(name, dtype, n_threads=1, **settings):
    """Train three epochs; return the network, its data and whatever there is to compare."""
    case = CASES[name]
    net, data = build(name, dtype, **settings)
    losses, metrics = networks.train(
        net, *data, epochs=3, n_metrics=len(networks.METRICS[case.loss]), n_threads=n_threads,
        batch_size=case.batch_size, shuffle=case.batch_size < case.n, seed=7,
    )  # fmt: skip
    found = networks.parameters(net) | networks.slots(net)
    return net, data, found | {"losses": losses, "metrics": metrics}


def same_bits(a, b):
    return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()
