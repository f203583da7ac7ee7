"""Train 20 configurations in both types, and print a hash of all that each leaves behind.

Called as ``train_all.py``; threads, skipping and instruction set come from the environment.
"""

import hashlib
import os

import numpy as np

import fastmlp
from fastmlp import callbacks, layers, models, optimizers

THREADS = int(os.environ["THREADS"])
fastmlp.set_num_threads(THREADS)  # exactly, on work of any size

_ONE, _MANY = "mean_squared_error", "sparse_categorical_crossentropy"
CONFIGURATIONS = [
    # hidden layers, activation, optimizer, loss, and what else there is
    ("8", "relu", "adam", _ONE, {}),
    ("64x2", "relu", "adam", _ONE, {"l2": 0.01}),
    ("257x3", "relu", "adam", _ONE, {}),
    ("300,33,300", "relu", "sgd", _ONE, {}),
    ("96x5", "relu", "rmsprop", _ONE, {"l1": 0.001}),
    ("130x2", "relu", "adagrad", _ONE, {"l1": 0.01, "proximal": True}),
    ("100x2", "relu", "adamw", _ONE, {"group_l1": 0.01}),
    ("100x2", "relu", "adam", _ONE, {"group_l1": 0.01, "groups": "inputs"}),
    ("200x2", "relu", "adam", _ONE, {"dropout": 0.4}),
    ("65,31", "tanh", "adam", _ONE, {"dropout": [0.0, 0.2]}),
    ("48x3", "leaky_relu", "adam", _MANY, {}),
    ("48x3", "elu", "adam", _MANY, {"l2": 0.001}),
    ("80x2", "gelu", "rmsprop", _MANY, {}),
    ("80x2", "silu", "sgd", _MANY, {}),
    ("50x2", "softplus", "adam", _MANY, {}),
    ("33x2", "softmax", "adam", _MANY, {}),
    ("70x2", "sigmoid", "adamw", "huber", {}),
    ("512", "relu", "adam", "mean_absolute_error", {}),
    ("1x4", "relu", "adam", _ONE, {}),
    ("16x9", "relu", "adam", "poisson", {}),
]


def digest(index, dtype):
    units, activation, optimizer, loss, more = CONFIGURATIONS[index]
    rng = np.random.default_rng(index)
    n_inputs, n_outputs = 1 + 7 * (index % 4), 1 + 3 * (loss == _MANY)
    last = {"poisson": "softplus", _MANY: "softmax"}.get(loss, "linear")
    n = 203
    x = rng.normal(size=(n, n_inputs))
    y = rng.integers(0, n_outputs, n) if loss == _MANY else rng.poisson(2, (n, 1)).astype(float)
    model = models.mlp(
        units, n_inputs, n_outputs, activation, last, seed=index, dtype=dtype, **more
    )
    clip = {"clipnorm": 0.5} if index % 5 == 1 else {}
    model.compile(optimizers.get({"class_name": optimizer, "config": clip}), loss)
    for layer in model.dense_layers[:-1]:  # so that units are dead for whole batches
        w, b = layer.get_weights()
        layer.set_weights([w, b - np.linspace(0, 2, len(b))])
    weight = rng.uniform(0, 2, n) if index % 3 == 0 else None
    history = model.fit(
        x, y, batch_size=50 + index, epochs=3, verbose=0, validation_split=0.2,
        sample_weight=weight,
        callbacks=[callbacks.EarlyStopping(patience=2)] if index % 4 == 0 else None,
    )  # fmt: skip
    assert model.network.threads_used == THREADS
    found = hashlib.sha256()
    for array in (*model.get_weights(), model.predict(x, verbose=0), *model.activations(x)):
        found.update(array.tobytes())
    found.update(repr(history.history).encode())
    found.update(repr(model.evaluate(x, y, verbose=0)).encode())
    return found.hexdigest()


for dtype in ("float32", "float64"):
    for i in range(len(CONFIGURATIONS)):
        layers.reset_names()
        print(i, dtype, digest(i, dtype))
