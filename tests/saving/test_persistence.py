"""Model files: round trips to the bit, hostile files, and writing that never leaves half a file."""

import json
import math
import os
import pickle
import stat
import struct

import numpy as np
import pytest

from fastmlp import (
    callbacks,
    initializers,
    layers,
    losses,
    metrics,
    models,
    optimizers,
    regularizers,
)
from fastmlp._saving import fmlp, history
from fastmlp._utils import atomic
from fastmlp.errors import ModelFileError


def data(n=30, k=3, outputs=1, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, k)), rng.uniform(0.1, 0.9, size=(n, outputs))


def trained(optimizer="adam", epochs=3, **kwargs):
    model = models.mlp([5, 4], 3, 1, activation=["relu", "gelu"], seed=7, dropout=0.1, **kwargs)
    model.compile(optimizer, losses.Huber(0.5), metrics=["mse", metrics.MeanAbsoluteError("off")])
    x, y = data()
    model.fit(x, y, epochs=epochs, verbose=0, validation_split=0.2)
    return model


def reloaded(model, tmp_path):
    path = tmp_path / "model.fmlp"
    model.save(path)
    return models.load_model(path)


def split(raw):
    """Take a file apart: its header as a dict, the description in it, the arrays' bytes."""
    n = struct.unpack("<Q", raw[:8])[0]
    header = json.loads(raw[8 : 8 + n])
    return header, json.loads(header["__metadata__"]["fastmlp"]), raw[8 + n :]


def joined(header, description, body):
    header["__metadata__"] = {"fastmlp": json.dumps(description)}
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + body


# ---- round trips ----

OPTIMIZERS = [
    optimizers.SGD(0.01),
    optimizers.SGD(0.01, momentum=0.9, nesterov=True),
    optimizers.RMSprop(0.01, clipvalue=0.5, clipnorm=2.0),
    optimizers.Adagrad(0.01),
    optimizers.Adam(0.01, initial_step=1),
    optimizers.AdamW(0.01, global_clipnorm=0.1),
]


@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=repr)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_loaded_model_goes_on_as_if_nothing_had_happened(tmp_path, optimizer, dtype):
    model = trained(optimizer, dtype=dtype)
    model.extras = {"preprocessing": {"mean": [0.5, None], "names": ["é", "b"]}}
    loaded = reloaded(model, tmp_path)
    x, y = data(seed=1)
    np.testing.assert_array_equal(loaded.predict(x), model.predict(x))
    assert loaded.evaluate(x, y) == model.evaluate(x, y)
    assert loaded.history.history == model.history.history
    assert loaded.history.epoch == [0, 1, 2] and not loaded.history.interrupted
    assert loaded.history.params == model.history.params
    for name in ("seed", "name", "dtype", "extras", "training_config", "n_fits", "metrics_names"):
        assert getattr(loaded, name) == getattr(model, name)
    assert repr(loaded.optimizer) == repr(model.optimizer) and loaded.loss.delta == 0.5
    assert [a.get_config() for a in loaded.layers] == [b.get_config() for b in model.layers]
    a = model.fit(x, y, epochs=3, batch_size=8, verbose=0).history
    assert loaded.fit(x, y, epochs=3, batch_size=8, verbose=0).history == a
    np.testing.assert_array_equal(loaded.predict(x), model.predict(x))


@pytest.mark.reliability
def test_random_architectures_predict_the_same_bits():
    rng = np.random.default_rng(0)
    for _ in range(40):
        n_inputs = int(rng.integers(1, 20))
        model = models.Sequential(seed=1, dtype=str(rng.choice(["float32", "float64"])))
        model.add(layers.Input((n_inputs,)))
        for _ in range(rng.integers(0, 4)):
            kind = str(rng.choice(layers.ACTIVATIONS))
            rule = str(rng.choice(["he_normal", "zeros", "orthogonal", "random_normal"]))
            width, bias = int(rng.integers(1, 40)), bool(rng.integers(2))
            model.add(layers.Dense(width, kind, use_bias=bias, kernel_initializer=rule))
            if rng.integers(2):
                model.add(layers.Dropout(0.3, seed=3))
        model.add(layers.Dense(int(rng.integers(1, 5))))
        x = rng.normal(size=(7, n_inputs))
        loaded = models.from_bytes(fmlp.to_bytes(model))
        np.testing.assert_array_equal(loaded.predict(x), model.predict(x))


def test_a_model_that_was_never_compiled_or_trained(tmp_path):
    model = models.Sequential(
        [
            layers.Dense(
                3,
                input_shape=(2,),
                kernel_initializer=initializers.RandomNormal(seed=5),
                bias_initializer=initializers.HeNormal(seed=np.random.default_rng(1)),
                kernel_regularizer="l1_l2",
                bias_regularizer="l2",
            )
        ]
    )
    loaded = reloaded(model, tmp_path)
    np.testing.assert_array_equal(loaded.predict([[1, 2]]), model.predict([[1, 2]]))
    assert loaded.optimizer is None and loaded.history is None
    assert loaded.layers[0].penalties() == model.layers[0].penalties()
    with pytest.raises(RuntimeError, match="is not built yet"):
        models.Sequential([layers.Dense(3)]).save(tmp_path / "x.fmlp")


def test_compiled_but_not_trained_and_restored_early_stopping(tmp_path):
    model = models.mlp([4], 3, 1, seed=1)
    model.compile("adam", "mse")
    loaded = reloaded(model, tmp_path)
    x, y = data()
    stop = callbacks.EarlyStopping("loss", patience=1, restore_best_weights=True)
    a = model.fit(x, y, epochs=3, verbose=0, callbacks=stop).history
    assert loaded.fit(x, y, epochs=3, verbose=0, callbacks=stop).history == a


def test_equal_models_make_equal_files():
    assert fmlp.to_bytes(trained()) != fmlp.to_bytes(trained(epochs=4))
    a, b = trained(), trained()
    names = [layer.name for layer in a.layers]
    for layer, name in zip(b.layers, names, strict=True):
        layer.name = name
    b.name = a.name
    assert fmlp.to_bytes(a) == fmlp.to_bytes(b)


def test_a_history_that_is_not_finite(tmp_path):
    model = trained()
    model.history.history["loss"] = [1.0, math.inf, math.nan]
    values = reloaded(model, tmp_path).history.history["loss"]
    assert values[:2] == [1.0, math.inf] and math.isnan(values[2])


def test_a_long_history_is_kept_as_arrays(monkeypatch):
    monkeypatch.setattr(history, "_MOST_VALUES", 9)
    model = trained()
    before = fmlp.to_bytes(model)
    assert "history.epoch" in split(before)[0] and split(before)[1]["history"]["history"] == sorted(
        model.history.history
    )
    loaded = models.from_bytes(before)
    assert fmlp.to_bytes(loaded) == before
    assert loaded.history.history == model.history.history
    assert loaded.history.epoch == model.history.epoch == [0, 1, 2]
    assert all(type(e) is int for e in loaded.history.epoch)
    assert loaded.history.params == model.history.params
    model.history.history["loss"] = [1.0, math.inf, math.nan]
    values = models.from_bytes(fmlp.to_bytes(model)).history.history["loss"]
    assert values[:2] == [1.0, math.inf] and math.isnan(values[2])
    clone = pickle.loads(pickle.dumps(models.from_bytes(before)))
    assert clone.history.history == loaded.history.history


def swap(table, a, b):
    table[a], table[b] = table[b], table[a]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda h, d: h.update(x=h.pop("history.0")), "'history.0' is missing, or not a row"),
        (lambda h, d: h["history.0"].update(shape=[3, 1]), "'history.0' is missing, or not a row"),
        (lambda h, d: d["history"].update(history=["loss"] * 6), "its history has a name twice"),
        (lambda h, d: d["history"].update(history=["loss"]), "match its layers: 'history.1' is"),
        (lambda h, d: d["history"]["history"].__setitem__(0, 3), "must be of type str, not int"),
        (
            lambda h, d: swap(h, "history.epoch", "history.0"),
            "an epoch of its history is not a whole number",
        ),
    ],
)
def test_hostile_long_histories(monkeypatch, change, message):
    monkeypatch.setattr(history, "_MOST_VALUES", 9)
    header, description, body = split(fmlp.to_bytes(trained()))
    change(header, description)
    with pytest.raises(ModelFileError, match=message):
        models.from_bytes(joined(header, description, body))


def test_what_could_not_be_read_again_is_not_written(tmp_path):
    model = models.mlp([2], 1, 1)
    model.extras = {"a": ["x" * 8] * 700_000}  # 7 MB, and 46 MB as Python's objects
    models.from_bytes(fmlp.to_bytes(model))
    model.extras = {"a": ["x" * 8] * 800_000}
    with pytest.raises(ValueError, match="must be few enough to be read again"):
        model.save(tmp_path / "m.fmlp")
    assert list(tmp_path.iterdir()) == []


def test_the_file_is_safetensors(tmp_path):
    from safetensors.numpy import load_file

    model = trained()
    model.save(tmp_path / "m.fmlp")
    arrays = load_file(tmp_path / "m.fmlp")
    np.testing.assert_array_equal(arrays["layers.0.weights"], model.get_weights()[0])
    assert "optimizer.1.2.bias" in arrays


@pytest.mark.parametrize("extras", [{"a": {1, 2}}, {"a": math.nan}, {"a": np.float32(1)}])
def test_extras_must_be_plain(extras, tmp_path):
    model = models.mlp([2], 1, 1)
    model.extras = extras
    with pytest.raises(ValueError, match="must hold plain, finite JSON values"):
        model.save(tmp_path / "m.fmlp")
    assert list(tmp_path.iterdir()) == []


# ---- what is written in Python ----


def squares(y_true, y_pred):
    error = y_pred - y_true
    return (error**2).mean(axis=1), 2 * error / error.shape[1]


class Pinball(losses.Loss):
    def __init__(self, share=0.5):
        self.share = share

    def call(self, y_true, y_pred):
        error = y_true - y_pred
        rows = np.maximum(self.share * error, (self.share - 1) * error)
        return rows.mean(axis=1), np.where(error > 0, -self.share, 1 - self.share)


class Largest(metrics.Score):
    def __call__(self, y_true, y_pred, sample_weight=None):
        return float(np.abs(y_true - y_pred).max())


class Halving(optimizers.schedules.LearningRateSchedule):
    def rates(self, steps):
        return 0.01 * 0.5**steps


class Slow(optimizers.SGD):
    pass


OWN = {"squares": squares, "Pinball": Pinball, "Largest": Largest, "Halving": Halving, "Slow": Slow}


def own(loss):
    model = models.mlp([5], 3, 1, seed=7)
    model.compile(Slow(Halving(), momentum=0.5), loss, metrics=["mae", Largest("most")])
    model.fit(*data(), epochs=2, verbose=0)
    return model


@pytest.mark.parametrize("loss", [squares, Pinball(0.8)])
def test_what_is_written_in_python_is_kept_by_name(tmp_path, loss):
    model = own(loss)
    name = model.loss.name if loss is squares else "Pinball"
    assert fmlp.own_objects(model).keys() == {name, "Largest", "Halving", "Slow"}
    model.save(tmp_path / "m.fmlp")
    loaded = models.load_model(tmp_path / "m.fmlp", custom_objects=OWN)
    assert repr(loaded.loss) == repr(model.loss) and repr(loaded.optimizer) == repr(model.optimizer)
    assert loaded.metrics_names == ["loss", "mae", "most"]
    x, y = data(seed=1)
    assert loaded.evaluate(x, y) == model.evaluate(x, y)
    # With the optimizer's state.
    assert loaded.fit(x, y, verbose=0).history == model.fit(x, y, verbose=0).history
    clone = pickle.loads(pickle.dumps(model))
    assert clone.fit(x, y, verbose=0).history == model.fit(x, y, verbose=0).history


def test_without_it_a_model_is_loaded_all_the_same(tmp_path):
    model = own(squares)
    loaded = reloaded(model, tmp_path)
    x, y = data()
    np.testing.assert_array_equal(loaded.predict(x), model.predict(x))
    assert loaded.history.history == model.history.history and loaded.optimizer is None
    message = (
        r"was compiled with Halving, Largest, Slow, squares, written in Python, which its file "
        r"does not hold: load it with custom_objects=\{'Halving': Halving.*\}, or call compile"
    )
    for call in (loaded.fit, loaded.evaluate):
        with pytest.raises(RuntimeError, match=message):
            call(x, y)
    again = models.load_model(tmp_path / "model.fmlp", {"squares": squares, "Slow": Slow})
    assert again.missing == ["Halving", "Largest"]
    loaded.compile("adam", squares)
    assert loaded.missing == []
    assert len(loaded.fit(x, y, verbose=0).epoch) == 1


def test_custom_objects_replace_nothing_of_fastmlps(tmp_path):
    def huber(y_true, y_pred):
        raise AssertionError

    model = trained()
    model.save(tmp_path / "m.fmlp")
    loaded = models.load_model(tmp_path / "m.fmlp", {"Huber": huber, "Adam": Slow})
    assert type(loaded.loss) is losses.Huber and type(loaded.optimizer) is optimizers.Adam
    mine = own(huber_squares := lambda t, p: squares(t, p))
    huber_squares.__name__ = "huber"
    mine.compile("adam", huber_squares)  # a name that fastmlp has as well
    mine.save(tmp_path / "n.fmlp")
    assert models.load_model(tmp_path / "n.fmlp").loss is None
    assert models.load_model(tmp_path / "n.fmlp", {"huber": squares}).loss.function is squares


# ---- configurations ----


def test_a_model_from_its_configuration():
    model = trained()
    config = json.loads(json.dumps(model.get_config()))
    made = models.Sequential.from_config(config)
    assert made.get_config() == config and made.count_params() == model.count_params()
    fresh = models.mlp([5, 4], 3, 1, activation=["relu", "gelu"], seed=7, dropout=0.1)
    for a, b in zip(made.get_weights(), fresh.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)  # weights of its own, drawn from the same seed
    unbuilt = models.Sequential([layers.Dense(3, name="only")])
    assert models.Sequential.from_config(unbuilt.get_config()).n_inputs is None


LAYERS = [
    layers.Input((3,), name="i"),
    layers.Dropout(0.3, seed=2, name="d"),
    layers.Dense(
        3,
        "relu",
        use_bias=False,
        kernel_initializer=initializers.RandomNormal(0.1, 0.2, seed=3),
        kernel_regularizer=regularizers.L1L2(0.1, 0.2),
        bias_regularizer="l2",
        name="e",
    ),
]


@pytest.mark.parametrize("layer", LAYERS, ids=lambda layer: layer.name)
def test_layers_from_their_configuration(layer):
    config = json.loads(json.dumps(layer.get_config()))
    made = type(layer).from_config(config)
    assert made.get_config() == config and repr(made) == repr(layer)
    assert made.n_inputs == layer.n_inputs


@pytest.mark.parametrize(
    "thing",
    [
        regularizers.L1(0.1),
        regularizers.L2(0.2),
        regularizers.L1L2(0.1, 0.2),
        *(getattr(initializers, name)() for name in
          ("Zeros", "Constant", "RandomNormal", "RandomUniform", "TruncatedNormal", "HeNormal",
           "GlorotUniform", "VarianceScaling", "Orthogonal", "Identity")),
    ],
    ids=lambda thing: type(thing).__name__,
)  # fmt: skip
def test_rules_from_their_configuration(thing):
    config = json.loads(json.dumps(thing.get_config()))
    made = type(thing).from_config(config)
    assert type(made) is type(thing) and made.get_config() == config


# ---- writing ----


def test_overwriting(tmp_path):
    path = tmp_path / "m.fmlp"
    first, second = models.mlp([2], 1, 1, seed=1), models.mlp([2], 1, 1, seed=2)
    first.save(path, overwrite=False)
    with pytest.raises(FileExistsError):
        second.save(path, overwrite=False)
    assert models.load_model(path).seed == 1
    second.save(str(path))
    assert models.load_model(path).seed == 2
    assert [p.name for p in tmp_path.iterdir()] == ["m.fmlp"]


def test_a_link_stays_a_link(tmp_path):
    target, link = tmp_path / "a.fmlp", tmp_path / "b.fmlp"
    target.write_bytes(b"old")
    link.symlink_to(target)
    models.mlp([2], 1, 1, seed=9).save(link)
    assert link.is_symlink() and models.load_model(target).seed == 9


@pytest.mark.reliability
@pytest.mark.parametrize("failing", ["fsync", "replace", "write"])
def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch, failing):
    path = tmp_path / "m.fmlp"
    path.write_bytes(b"old")

    def fail(*args, **kwargs):
        raise OSError(28, "No space left on device")

    if failing == "fsync":
        monkeypatch.setattr(os, "fsync", fail)
    elif failing == "replace":
        monkeypatch.setattr(type(path), "replace", fail)
    else:
        monkeypatch.setattr(atomic, "open", fail, raising=False)
    with pytest.raises(OSError, match="No space left"):
        atomic.write_atomically(path, b"new")
    monkeypatch.undo()
    assert path.read_bytes() == b"old" and len(list(tmp_path.iterdir())) == 1


@pytest.mark.reliability
@pytest.mark.parametrize("named", [False, True])
def test_what_is_written_is_on_the_disk_before_its_name_is(tmp_path, monkeypatch, named):
    path, calls = tmp_path / "m.fmlp", []
    path.write_bytes(b"old")
    if named:  # as on file systems that know no files without names
        monkeypatch.delattr(os, "O_TMPFILE", raising=False)
    real_sync, real_replace = os.fsync, type(path).replace

    def fsync(descriptor):
        kind = "directory" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file"
        calls.append((kind, path.read_bytes(), len(list(tmp_path.iterdir()))))
        real_sync(descriptor)

    def replace(self, target):
        calls.append(("replace", self.read_bytes()))
        return real_replace(self, target)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(type(path), "replace", replace)
    atomic.write_atomically(path, b"new")
    assert calls == [
        ("file", b"old", 2 if named or not hasattr(os, "O_TMPFILE") else 1),
        ("replace", b"new"),
        ("directory", b"new", 1),
    ]
    with pytest.raises(FileExistsError):
        atomic.write_atomically(path, b"newer", overwrite=False)
    atomic.write_atomically(tmp_path / "other", b"x", overwrite=False)
    assert path.read_bytes() == b"new" and len(list(tmp_path.iterdir())) == 2


def test_writing_where_directories_cannot_be_opened(tmp_path, monkeypatch):
    monkeypatch.setattr(atomic, "_opened_directory", lambda path: None)
    monkeypatch.delattr(os, "O_TMPFILE", raising=False)
    path = tmp_path / "model.fmlp"
    atomic.write_atomically(path, b"old")
    atomic.write_atomically(path, b"new")
    with pytest.raises(FileExistsError):
        atomic.write_atomically(path, b"other", overwrite=False)
    assert path.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [path]


def test_new_files_have_the_umasks_mode(tmp_path):
    old = os.umask(0o027)
    try:
        atomic.write_atomically(tmp_path / "a", b"x")
    finally:
        os.umask(old)
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o640


# ---- reading what is no model, or a hostile one ----


def test_missing_directory_and_special_files(tmp_path):
    for path, message in [
        (tmp_path / "none.fmlp", "Cannot read model file .*none.fmlp: No such file"),
        (tmp_path, "it is not a regular file"),
        ("/dev/zero", "it is not a regular file"),
    ]:
        with pytest.raises(ModelFileError, match=message):
            models.load_model(path)


@pytest.mark.reliability
def test_a_file_cut_at_any_byte(tmp_path):
    raw = fmlp.to_bytes(trained())
    path = tmp_path / "cut.fmlp"
    header_end = 8 + struct.unpack("<Q", raw[:8])[0]
    cuts = {*range(0, 40), *range(40, len(raw), 97), *range(header_end - 3, header_end + 9)}
    for cut in sorted(cuts | {len(raw) - 1}):
        with pytest.raises(ModelFileError, match="the data is not a usable model file"):
            models.from_bytes(raw[:cut])
    path.write_bytes(raw[: len(raw) // 2])
    with pytest.raises(ModelFileError, match=r"cut.fmlp is not a usable model file"):
        models.load_model(path)
    with pytest.raises(ModelFileError, match="arrays do not fill it"):
        models.from_bytes(raw + b"\0")


@pytest.mark.reliability
def test_flipped_bytes_are_refused_or_harmless():
    raw = fmlp.to_bytes(trained())
    rng = np.random.default_rng(0)
    for _ in range(300):
        spoilt = bytearray(raw)
        for _ in range(rng.integers(1, 4)):
            spoilt[rng.integers(len(raw))] = rng.integers(256)
        try:
            model = models.from_bytes(bytes(spoilt))
        except ModelFileError:
            continue
        assert all(np.isfinite(w).all() for w in model.get_weights())


def test_other_files():
    for raw, message in [
        (b"", "too short"),
        (b"PK\3\4" + b"\0" * 100, "cut off, or not a model file"),
        (struct.pack("<Q", 2) + b"[]", "its header must be of type dict"),
        (struct.pack("<Q", 2) + b"{}", "a safetensors file, but not of fastmlp"),
        (struct.pack("<Q", 2) + b"xx", "its header is not JSON"),
        (struct.pack("<Q", 2) + b"\xff\xfe", "its header is not UTF-8"),
        (struct.pack("<Q", 20000) + b'{"a":' * 4000, "its header is not JSON"),
        (struct.pack("<Q", 15) + b'{"a":1, "a": 2}', "a name in it occurs twice"),
        (struct.pack("<Q", 9) + b'{"a":NaN}', "NaN is not a JSON number"),
    ]:
        with pytest.raises(ModelFileError, match=message):
            models.from_bytes(raw)


def spoil_header(change):
    header, description, body = split(fmlp.to_bytes(trained()))
    change(header)
    return joined(header, description, body)


def spoil(change):
    header, description, body = split(fmlp.to_bytes(trained()))
    changed = change(description)
    return joined(header, description if changed is None else changed, body)


W = "layers.0.weights"


@pytest.mark.reliability
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda h: h[W].update(shape=[10**9, 10**9]), "does not match its shape or the file"),
        (lambda h: h[W].update(shape=[-3, -5]), "a negative size or place"),
        (lambda h: h[W].update(shape=[True, 15]), "must be of type int, not bool"),
        (lambda h: h[W].update(shape=[5, 3]), r"must be \(3, 5\) of float32, not \(5, 3\)"),
        (lambda h: h[W].update(dtype="F64"), "does not match its shape or the file"),
        (lambda h: h[W].update(dtype="U8"), "has the unknown type 'U8'"),
        (lambda h: h[W].update(data_offsets=[0, 10**18]), "does not match its shape"),
        (lambda h: h[W].update(data_offsets=[0]), "does not match its shape"),
        (lambda h: h[W].update(data_offsets=h["layers.1.weights"]["data_offsets"]), "match"),
        (lambda h: h[W].pop("shape"), "'shape' is missing"),
        (lambda h: h.update({W: 3}), "must be of type dict, not int"),
        (lambda h: h.update(more=h.pop(W)), "do not match its layers: 'layers.0.weights' is"),
        (lambda h: h.pop(W), "overlap or leave gaps|do not fill it"),
    ],
)
def test_hostile_array_headers(change, message):
    with pytest.raises(ModelFileError, match=message):
        models.from_bytes(spoil_header(change))


def set_in(*keys, to):
    def change(table):
        for key in keys[:-1]:
            table = table[key]
        table[keys[-1]] = to

    return change


@pytest.mark.reliability
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (set_in("version", to=2), "format version 2; this fastmlp reads version 1"),
        (set_in("version", to="1"), "'version' must be of type int, not str"),
        (lambda t: [t], "its header must be of type dict, not list"),
        (lambda t: {}, "'version' is missing"),
        (set_in("seed", to=-1), "seed must be a non-negative integer"),
        (set_in("dtype", to="float16"), "Unknown dtype"),
        (set_in("name", to="a\x1b[31m"), "name must be a non-empty string on one line"),
        (set_in("layers", to=[]), "its layers make no network"),
        (set_in("layers", to=[3]), "a layer must be of type dict, not int"),
        (set_in("layers", 0, "class_name", to="Lambda"), "there is no layer 'Lambda'"),
        (set_in("layers", 0, "class_name", to="__class__"), "there is no layer '__class__'"),
        (set_in("layers", 0, "config", "units", to=10**12), r"units must be below 2\*\*31"),
        (set_in("layers", 0, "config", "units", to=6), r"must be \(6,\) of float32"),
        (set_in("layers", 0, "config", "units", to="5"), "units must be a positive integer"),
        (set_in("layers", 0, "config", "evil", to=1), "unexpected keyword argument 'evil'"),
        (set_in("layers", 0, "config", "activation", to="exec"), "Unknown activation: 'exec'"),
        (
            set_in("layers", 0, "config", "kernel_initializer", to={"class_name": "os.system"}),
            "must be a name, or a class",
        ),
        (
            set_in("layers", 0, "config", "kernel_initializer", "class_name", to="os.system"),
            "Unknown initializer: 'os.system'",
        ),
        (
            set_in("layers", 0, "config", "kernel_initializer", "config", to=[1]),
            "must be a mapping",
        ),
        (set_in("n_inputs", to=4), r"must be \(4, 5\) of float32, not \(3, 5\)"),
        (set_in("n_inputs", to=0), "'n_inputs' must be at least 1"),
        (set_in("step", to=-1), "'step' must be at least 0"),
        (set_in("step", to=2**63), "'step' must be at least 0 and below"),
        (set_in("step", to=0), "is missing or too many"),
        (set_in("compile", to=None), "'step' is set though nothing is compiled"),
        (set_in("compile", to=[]), "'compile' must be of type dict, not list"),
        (set_in("compile", "custom", to=[3]), "a name in 'custom' must be of type str, not int"),
        (set_in("compile", "loss", "class_name", to="Pinball"), "Unknown loss: 'Pinball'"),
        (set_in("run", to=3), "'run' must be of type dict, not int"),
        (set_in("compile", "loss", to="mse"), "'loss' must be of type dict, not str"),
        (set_in("compile", "optimizer", "class_name", to="SGD"), "unexpected keyword argument"),
        (set_in("n_fits", to=1.5), "'n_fits' must be of type int, not float"),
        (set_in("history", to=[]), "'history' must be of type dict, not list"),
        (set_in("history", "epoch", to=["a"]), "an epoch must be of type int, not str"),
        (set_in("history", "history", to={"loss": ["x"]}), "could not convert string to float"),
        (set_in("history", "interrupted", to=0), "'interrupted' must be of type bool, not int"),
        (set_in("extras", to=[]), "'extras' must be of type dict"),
    ],
)
def test_hostile_descriptions(change, message):
    with pytest.raises(ModelFileError, match=message):
        models.from_bytes(spoil(change))


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        (W, math.nan, "holds a value that is not finite"),
        ("optimizer.0.1.bias", math.inf, "holds a value that is not finite"),
        ("optimizer.1.1.bias", -1.0, "holds a mean square below 0"),
    ],
)
def test_hostile_values(name, value, message):
    header, description, body = split(fmlp.to_bytes(trained()))
    start = header[name]["data_offsets"][0]
    body = body[:start] + struct.pack("<f", value) + body[start + 4 :]
    with pytest.raises(ModelFileError, match=message):
        models.from_bytes(joined(header, description, body))


def test_a_negative_velocity_is_no_fault(tmp_path):
    model = trained(optimizers.SGD(0.01, momentum=0.9))
    assert any(model.network.weights_slot(0, i).min() < 0 for i in range(3))
    reloaded(model, tmp_path)


@pytest.mark.reliability
def test_many_layers_in_a_small_file_are_refused_quickly():
    header, description, body = split(fmlp.to_bytes(trained()))
    description["layers"] = [
        {"class_name": "Dense", "config": {"units": 1, "name": f"l{i}"}} for i in range(3000)
    ]
    with pytest.raises(ModelFileError, match="do not match its arrays"):
        models.from_bytes(joined(header, description, body))


@pytest.mark.reliability
def test_a_dtype_of_a_file_is_not_compiled(monkeypatch):
    """NumPy reads "32,f4" as a shape and a type, for which it parses Python."""
    asked = []
    monkeypatch.setattr("ast.literal_eval", asked.append)
    for text in ("32,f4", "(2,3)f4", "f4,f4", "{}"):
        with pytest.raises(ValueError, match="dtype"):
            models.Sequential(dtype=text)
    assert asked == []
    assert models.Sequential(dtype="<f4").dtype == np.float32
    assert models.Sequential(dtype="float64").dtype == np.float64
