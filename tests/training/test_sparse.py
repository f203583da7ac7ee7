"""Models on SciPy's sparse matrices: the results of the same data as arrays."""

import subprocess
import sys
import warnings

import numpy as np
import pytest
from scipy import sparse

import fastmlp
from fastmlp import inspection, losses, models
from fastmlp.callbacks import Callback, EarlyStopping
from fastmlp.errors import DataError
from fastmlp.layers import Dense, Dropout
from fastmlp.models import Sequential, mlp

N, K = 200, 150


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    x = np.where(rng.random((N, K)) < 0.05, rng.random((N, K)), 0).astype("f4")
    y = (x[:, :40].sum(axis=1) > x[:, 40:80].sum(axis=1)).astype("f4")
    return x, y


def made(dtype="float32", loss="binary_crossentropy", **options):
    options = {"dropout": 0.2, "seed": 3, **options}
    model = mlp([24], K, 1, output_activation="sigmoid", dtype=dtype, **options)
    model.compile("adam", loss, metrics=["accuracy"])
    return model


def weights_of(model):
    return b"".join(w.tobytes() for w in model.get_weights())


def test_fit_evaluate_and_predict(data):
    x, y = data
    weight = np.arange(N) % 3 / 2
    found = []
    for form in (lambda x: x, sparse.csr_array, sparse.csc_matrix):
        model = made()
        history = model.fit(
            form(x[:150]), y[:150], epochs=4, verbose=0, validation_data=(form(x[150:]), y[150:]),
            sample_weight=weight[:150], class_weight={0: 1.0, 1: 2.0}, callbacks=[EarlyStopping()],
        ).history  # fmt: skip
        model.fit(form(x), y, epochs=2, verbose=0, validation_split=0.3, batch_size=64)
        found.append(
            (
                history,
                weights_of(model),
                model.evaluate(form(x), y, sample_weight=weight, verbose=0),
                model.predict(form(x), verbose=0).tobytes(),
                model.predict(form(x[:1]), verbose=0).tobytes(),
                [out.tobytes() for out in model.activations(form(x))],
                [g.tobytes() for pair in model.gradients(form(x), y) for g in pair],
            )
        )
    assert found[1] == found[0]
    assert found[2] == found[0]


def test_the_width_of_the_input_is_that_of_the_matrix(data):
    x, y = data
    model = Sequential([Dropout(0.1), Dense(8, "relu"), Dense(1, "sigmoid")])
    model.compile("sgd", "binary_crossentropy")
    model.fit(sparse.csr_array(x), y, verbose=0)
    assert model.n_inputs == K


def test_a_loss_in_python(data):
    class Squares(losses.Loss):
        def call(self, y_true, y_pred):
            return ((y_pred - y_true) ** 2).mean(axis=1), 2 * (y_pred - y_true) / y_true.shape[1]

    x, y = data
    found = []
    for given in (x, sparse.csr_array(x)):
        model = made(loss=Squares())
        model.fit(given, y, epochs=3, verbose=0)
        found.append((weights_of(model), model.evaluate(given, y, verbose=0)))
    assert found[0] == found[1]


def test_shards(data):
    x, y = data
    found = []
    for given in (x, sparse.csr_array(x)):
        model = made()
        model.fit(given, y, epochs=3, verbose=0, shards=3, validation_split=0.2)
        found.append((model.history.history, weights_of(model)))
    assert found[0] == found[1]


def test_polish(data):
    x, y = data
    found = []
    for given in (x, sparse.csr_array(x)):
        model = made(l1=1e-3, dropout=0)
        model.fit(given, y, epochs=3, verbose=0)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            result = model.polish(given, y, max_iter=20)
        found.append((result, weights_of(model)))
    assert repr(found[0]) == repr(found[1])


class Stop(Callback):
    def __init__(self, epoch=None):
        self.epoch = epoch

    def on_epoch_end(self, epoch, logs=None):
        if epoch == self.epoch:
            raise KeyboardInterrupt


def test_a_run_resumes_from_its_checkpoint(data, tmp_path):
    x, y = data
    path, matrix = tmp_path / "run.fmlp", sparse.csr_array(x)
    whole = made()
    whole.fit(matrix, y, epochs=6, verbose=0, validation_split=0.2)
    with pytest.raises(KeyboardInterrupt):
        made().fit(matrix, y, epochs=6, verbose=0, validation_split=0.2, checkpoint=path,
                   checkpoint_every="epoch", callbacks=[Stop(2)])  # fmt: skip
    changed = matrix.copy()
    changed.data[5] += 1
    with pytest.raises(DataError, match=r"x must be that of the run .* Received: other values"):
        models.resume(path).fit(changed, y, callbacks=[Stop()])
    model = models.resume(path)
    model.fit(matrix.tocsc(), y, verbose=0, callbacks=[Stop()])
    assert weights_of(model) == weights_of(whole)


def test_the_matrix_is_not_changed_and_errors_leave_the_model(data):
    x, y = data
    matrix = sparse.csr_array(x)
    before = matrix.data.tobytes() + matrix.indices.tobytes() + matrix.indptr.tobytes()
    model = made()
    known = weights_of(model)
    matrix.data[3] = np.nan
    with pytest.raises(DataError, match=r"x must be finite. Received: nan in row"):
        model.fit(matrix, y, verbose=0)
    matrix.data[3] = sparse.csr_array(x).data[3]
    with pytest.raises(DataError, match="validation x must have shape"):
        model.fit(matrix, y, verbose=0, validation_data=(matrix[:, 1:], y))
    with pytest.raises(DataError, match="y must have as many rows"):
        model.fit(matrix[:5], y, verbose=0)
    assert weights_of(model) == known
    model.fit(matrix, y, verbose=0)
    assert matrix.data.tobytes() + matrix.indices.tobytes() + matrix.indptr.tobytes() == before


def test_what_needs_an_array_names_the_call(data):
    x, y = data
    matrix, message = sparse.csr_array(x), r"must be an array here, not sparse: pass x.toarray\(\)"
    model = made()
    with pytest.raises(DataError, match="^x " + message):
        fastmlp.ensemble(matrix, y, "8", members=2, epochs=1, verbose=0)
    with pytest.raises(DataError, match=r"csr_array of shape \(200, 150\); its .toarray\(\) is an"):
        fastmlp.path(matrix, y, "8", epochs=1, verbose=0)
    with pytest.raises(DataError, match=r"csr_array of shape \(200, 150\); its .toarray\(\) is an"):
        fastmlp.sweep(matrix, y, "8", epochs=1)
    with pytest.raises(DataError, match="^x " + message):
        inspection.permutation_importance(model, matrix, y)
    with pytest.raises(DataError, match="^x " + message):
        inspection.partial_dependence(model, matrix, "x1")
    with pytest.raises(DataError, match="^x " + message):
        inspection.layer_report(model, matrix)


BAR = """
import sys
import numpy as np
from scipy import sparse
from fastmlp.models import mlp

def peak():
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) / 1e3 for line in file if line.startswith("VmHWM"))

n, k, kept = 4000, 50_000, 30
rng = np.random.default_rng(0)
columns = np.sort(rng.integers(0, k // kept, (n, kept)) * kept + np.arange(kept), axis=1)
x = sparse.csr_matrix((rng.random(n * kept), columns.ravel(), np.arange(n + 1) * kept), (n, k))
y = rng.integers(0, 2, n)
start = peak()
model = mlp([64], k, 1, output_activation="sigmoid", seed=0)
model.compile("adam", "binary_crossentropy")
model.fit(x, y, batch_size=200, verbose=0, validation_split=0.1)
model.predict(x, verbose=0)
print(peak() - start)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_memory_does_not_grow_with_the_zeros():
    """4000 rows of 50,000 inputs would be 800 MB as an array; 64 units are 12.8 MB of weights."""
    done = subprocess.run(
        [sys.executable, "-c", BAR], capture_output=True, text=True, timeout=240, check=False
    )
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) < 100
