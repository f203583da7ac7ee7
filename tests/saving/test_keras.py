"""Keras's files: agreement with Keras itself, both ways, and what is refused."""

import io
import json
import zipfile

import numpy as np
import pytest

from fastmlp import interchange, layers, models, regularizers
from fastmlp._saving.export import to_bytes
from fastmlp.errors import DataError, ModelFileError

from . import drawn
from .files import hdf5, numbered, old_weights, whole

h5py = pytest.importorskip("h5py")


@pytest.fixture(scope="module")
def keras():
    """Keras on JAX, or no test."""
    import importlib.util
    import os
    import warnings

    if importlib.util.find_spec("keras") is None or importlib.util.find_spec("jax") is None:
        pytest.skip("needs keras and jax")
    os.environ["KERAS_BACKEND"] = "jax"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import keras

        yield keras


def test_bins_of_inputs_are_refused_by_name():
    first = layers.PiecewiseLinear(edges=[[0, 1]], name="bins")
    model = models.Sequential([first, layers.Dense(1)], seed=1)
    with pytest.raises(DataError, match=r"export to ONNX, C or PyTorch\. Received: .* 'bins' is"):
        to_bytes(model, "keras")


# ---- with Keras ----------------------------------------------------------------------------------


def keras_model(keras, rng):
    """Draw a model, in a row or connected by name."""
    widths = [int(w) for w in rng.integers(1, 48, size=int(rng.integers(2, 7)))]
    penalties = [None, "l1", "l2", keras.regularizers.L1L2(0.1)]
    built = [keras.layers.Input((widths[0],))]
    for units in widths[1:]:
        activation = drawn.pick(rng, layers.ACTIVATIONS)
        separate = bool(rng.integers(3) == 0)
        built.append(
            keras.layers.Dense(
                units,
                None if separate else activation,
                use_bias=bool(rng.integers(4)),
                bias_initializer="random_normal",
                kernel_regularizer=drawn.pick(rng, penalties),
            )
        )
        if separate:
            built.append(keras.layers.Activation(activation))
        if rng.integers(3) == 0 and units is not widths[-1]:
            built.append(keras.layers.Dropout(0.3))
    if isinstance(built[-1], keras.layers.Dropout):
        built.pop()
    if rng.integers(2):
        return keras.Sequential(built)
    value = start = built[0]
    for layer in built[1:]:
        value = layer(value)
    return keras.Model(start, value)


@pytest.mark.frameworks
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("seed", range(20))
def test_a_model_of_keras_predicts_the_same(tmp_path, keras, seed):
    keras.utils.set_random_seed(seed)
    rng = np.random.default_rng([13, seed])
    theirs = keras_model(keras, rng)
    theirs.compile("adam", "mse")
    x = rng.normal(size=(40, theirs.input_shape[1])).astype("float32")
    expected = theirs.predict(x, verbose=0)
    for name in ("m.keras", "m.h5"):
        theirs.save(tmp_path / name)
        ours = interchange.import_model(tmp_path / name)
        drawn.close(ours.predict(x), expected, 1e-6)
    theirs.save_weights(tmp_path / "m.weights.h5")
    chosen = [d.activation for d in ours.dense_layers]
    ours = interchange.import_model(
        tmp_path / "m.weights.h5",
        activation=chosen[:-1] or None,
        output_activation=chosen[-1],
    )
    drawn.close(ours.predict(x), expected, 1e-6)


@pytest.mark.frameworks
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("seed", range(20))
def test_keras_opens_what_is_exported(tmp_path, keras, seed):
    rng = np.random.default_rng([14, seed])
    model = drawn.network(rng, dtype="float32")
    model.export(tmp_path / "m.keras")
    theirs = keras.models.load_model(tmp_path / "m.keras")
    x = drawn.rows(rng, model)
    drawn.close(theirs.predict(x, verbose=0), model.predict(x), 1e-6)
    assert [d.name for d in theirs.layers] == [d.name for d in model.layers]
    for a, b in zip(theirs.layers, model.layers, strict=True):
        penalty = getattr(b, "kernel_regularizer", None)
        if penalty is not None and (penalty.l1 or penalty.l2):
            found = a.kernel_regularizer.get_config()
            assert np.allclose([found["l1"], found["l2"]], [penalty.l1, penalty.l2])
    theirs.compile("sgd", "mse")
    theirs.fit(x, np.zeros((len(x), model.n_outputs)), verbose=0)  # it can go on
    theirs.save(tmp_path / "again.keras")
    again = interchange.import_model(tmp_path / "again.keras")
    drawn.close(again.predict(x), theirs.predict(x, verbose=0), 1e-6)


@pytest.mark.frameworks
@pytest.mark.filterwarnings("ignore")
def test_layers_of_keras_that_cannot_be_imported(tmp_path, keras):
    for odd in (
        keras.layers.BatchNormalization(),
        keras.layers.Dense(3, kernel_constraint="non_neg"),
        keras.layers.Dense(3, kernel_regularizer=keras.regularizers.OrthogonalRegularizer()),
        keras.layers.Dense(3, activation="selu"),
        keras.layers.Dense(3, activation=keras.layers.LeakyReLU()),
        keras.layers.GaussianNoise(0.1),
    ):
        theirs = keras.Sequential([keras.layers.Input((3,)), odd, keras.layers.Dense(1)])
        for name in ("m.keras", "m.h5"):
            theirs.save(tmp_path / name)
            with pytest.raises(ModelFileError, match=r"can be imported|Unknown activation"):
                interchange.import_model(tmp_path / name)
    joined = keras.Input((3,))
    halves = [keras.layers.Dense(2)(joined), keras.layers.Dense(2)(joined)]
    branching = keras.Model(joined, keras.layers.Dense(1)(keras.layers.Add()(halves)))
    branching.save(tmp_path / "b.keras")
    with pytest.raises(ModelFileError, match="a layer of class 'Add'"):
        interchange.import_model(tmp_path / "b.keras")
    two = keras.Model(joined, [keras.layers.Dense(2)(joined), keras.layers.Dense(2)(joined)])
    two.save(tmp_path / "b.keras")
    with pytest.raises(ModelFileError, match="layers that branch or join"):
        interchange.import_model(tmp_path / "b.keras")
    odd = keras.Sequential([keras.layers.Input((3,), dtype="float16"),
                            keras.layers.Dense(1, dtype="float16")])  # fmt: skip
    odd.save(tmp_path / "b.keras")
    with pytest.raises(ModelFileError, match="neither float32 nor float64"):
        interchange.import_model(tmp_path / "b.keras")


# ---- there and back ------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(20))
def test_there_and_back_to_the_bit(seed):
    rng = np.random.default_rng([15, seed])
    model = drawn.network(rng)
    back = interchange.from_bytes(to_bytes(model, "keras"))
    x = drawn.rows(rng, model)
    np.testing.assert_array_equal(back.predict(x), model.predict(x))
    for a, b in zip(back.layers, model.layers, strict=True):
        assert (a.name, type(a)) == (b.name, type(b))
        if isinstance(a, layers.Dense):
            assert (a.activation, a.penalties()) == (b.activation, b.penalties())
        else:
            assert (a.rate, a.seed) == (b.rate, b.seed)
    assert back.dtype == model.dtype and back.name == model.name and back.optimizer is None


def test_a_penalty_on_groups_is_left_out():
    model = models.mlp([3], 2, 1, seed=1)
    model.layers[0].kernel_regularizer = regularizers.GroupL1(0.1)
    model.layers[1].kernel_regularizer = regularizers.L1(0.2, proximal=True)
    back = interchange.from_bytes(to_bytes(model, "keras"))
    assert back.layers[0].kernel_regularizer is None
    assert back.layers[1].penalties()[:2] == (0.2, 0.0)


def test_equal_models_make_equal_files():
    model = models.mlp([3], 2, 1, seed=1)
    assert to_bytes(model, "keras") == to_bytes(model, "keras")


def archive(change=None, compression=zipfile.ZIP_STORED, leave_out=None, more=()):
    """Return an exported model with a changed configuration."""
    model = models.mlp([3, 4], 2, 1, seed=1, activation="tanh", dropout=0.1)
    model.layers[0].name = "first"
    with zipfile.ZipFile(io.BytesIO(to_bytes(model, "keras"))) as source:
        contents = {name: source.read(name) for name in source.namelist()}
    config = json.loads(contents["config.json"])
    if change is not None:
        config = change(config) or config
    contents["config.json"] = json.dumps(config).encode()
    contents.pop(leave_out, None)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as made:
        for name, content in (*contents.items(), *more):
            made.writestr(name, content)
    return buffer.getvalue()


def layer(i, **values):
    return lambda config: config["config"]["layers"][i]["config"].update(values)


def entry(i, **values):
    return lambda config: config["config"]["layers"][i].update(values)


def test_an_archive_that_was_packed_again():
    expected = interchange.from_bytes(archive()).get_weights()
    packed = interchange.from_bytes(archive(compression=zipfile.ZIP_DEFLATED)).get_weights()
    for a, b in zip(expected, packed, strict=True):
        np.testing.assert_array_equal(a, b)


ONLY = "only sequential models of the layers InputLayer, Dense, Dropout, Activation can be imported"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c.update(class_name="Lambda"), f"a model of class 'Lambda'; {ONLY}"),
        (lambda c: [c], "config.json must be of type dict, not list"),
        (lambda c: c.pop("config"), "'config' is missing"),
        (entry(1, class_name="Lambda"), f"a layer of class 'Lambda'; {ONLY}"),
        (entry(1, registered_name="mine>Dense"), "a layer of class 'mine>Dense'"),
        (entry(1, module="mine.layers"), "a layer of class 'Dense'"),
        (entry(1, module="kerasx.layers"), "a layer of class 'Dense'"),
        (layer(1, activation={"class_name": "function", "config": "x"}), "not a plain name"),
        (layer(1, activation="exec"), "Unknown activation: 'exec'"),
        (layer(1, units=10**7), r"must have shape \(2, 10000000\), not \(2, 3\)"),
        (layer(1, units=-1), "units must be a positive integer"),
        (layer(1, units="3"), "'units' must be of type int, not str"),
        (layer(1, use_bias=False), "the bias of layer 'first' is missing, or not expected"),
        (layer(1, name="a\nb"), "name must be a non-empty string on one line"),
        (
            layer(1, name="dense_x", kernel_constraint={"class_name": "MaxNorm"}),
            "kernel_constraint",
        ),
        (layer(1, lora_rank=4), "a layer with lora_rank"),
        (layer(1, kernel_regularizer={"class_name": "Mine", "config": {}}), "class 'Mine'"),
        (layer(1, kernel_regularizer={"class_name": "L1", "config": {"l1": "x"}}), "l1 must be"),
        (layer(1, kernel_regularizer=3), "a regularizer must be of type dict"),
        (layer(0, batch_shape=[None, 5]), "its input has 5 columns, its weights are for 2"),
        (layer(0, batch_shape=[None, 28, 28]), "an input of 2 dimensions"),
        (layer(0, batch_shape=[None, "2"]), "an input's width must be of type int"),
        (layer(0, sparse=True), "not the first layer, or sparse"),
        (layer(2, rate=1.0), r"rate must be a number in \[0, 1\)"),
        (layer(2, noise_shape=[1]), "a layer with noise_shape"),
        (lambda c: c["config"].update(layers=[]), "it has no dense layer"),
        (lambda c: c["config"]["layers"].pop(3), r"must have shape \(3, 1\)"),
        (lambda c: c["config"]["layers"].reverse(), "not the first layer"),
        (lambda c: c["config"].update(layers=[{}] * 5000), "more than 4096 layers"),
    ],
)
def test_hostile_configurations(change, message):
    def changed(config):
        replacement = change(config)
        return replacement if isinstance(replacement, list) else None

    with pytest.raises(ModelFileError, match=message):
        interchange.from_bytes(archive(changed))


def test_archives_without_their_parts():
    for name in ("config.json", "model.weights.h5"):
        with pytest.raises(ModelFileError, match=f"it has no member '{name}'"):
            interchange.from_bytes(archive(leave_out=name))
    with pytest.raises(ModelFileError, match="it is cut off, or not a zip archive"):
        interchange.from_bytes(archive()[:-30])
    many = [(f"{i}", b"") for i in range(1001)]
    with pytest.raises(ModelFileError, match="more than 1000 members"):
        interchange.from_bytes(archive(more=many))


def test_members_that_grow_too_much():
    bomb = [("model.weights.h5", bytes(100_000_000))]
    data = archive(leave_out="model.weights.h5", more=bomb, compression=zipfile.ZIP_DEFLATED)
    with pytest.raises(ModelFileError, match="compressed too much"):
        interchange.from_bytes(data)


# ---- files of older versions ---------------------------------------------------------------------


def test_files_of_keras_2():
    model = models.mlp([3, 4], 2, 1, seed=1, activation="tanh")

    x = np.random.default_rng(0).normal(size=(5, 2)).astype("f4")
    back = interchange.from_bytes(hdf5(lambda file: whole(file, model)))
    np.testing.assert_array_equal(back.predict(x), model.predict(x))
    assert all(d.kernel_regularizer.get_config() == {"l2": 0.5} for d in back.dense_layers)
    weights = hdf5(lambda file: old_weights(file, model))
    back = interchange.from_bytes(weights, activation="tanh")
    np.testing.assert_array_equal(back.predict(x), model.predict(x))


def test_activations_are_given_for_weights_alone():
    model = models.mlp([3], 2, 1)
    for data in (archive(), hdf5(lambda f: f.attrs.update(model_config="{}"))):
        with pytest.raises(ValueError, match="activations are only for files of weights") as error:
            interchange.from_bytes(data, activation="relu")
        assert not isinstance(error.value, ModelFileError)
    with pytest.raises(ValueError, match="layers is only for PyTorch's files"):
        interchange.from_bytes(to_bytes(model, "keras"), layers=["a"])


def test_weights_alone_of_keras_3():
    back = interchange.from_bytes(hdf5(numbered))
    assert [d.activation for d in back.dense_layers] == ["relu", "linear"]
    assert float(back.predict([[1, 1]])[0, 0]) == 10


def many_dimensions(file):
    group = file.create_group("layers/dense/vars")
    group.create_dataset("0", data=np.ones((2, 2, 2), "f4"))


@pytest.mark.parametrize(
    ("write", "settings", "message"),
    [
        (lambda f: None, {}, "it is an HDF5 file, but not written by Keras"),
        (lambda f: numbered(f, ["lstm"]), {}, "it has a layer 'lstm'"),
        (lambda f: numbered(f, ["dense_1"]), {}, "it has 0 arrays for 'dense'"),
        (lambda f: numbered(f, chunks=(1, 1)), {}, "cut into chunks, which Keras does not write"),
        (lambda f: numbered(f, compression="gzip"), {}, "cut into chunks"),
        (lambda f: numbered(f, dtype="f2"), {}, "neither float32 nor float64"),
        (lambda f: numbered(f, dtype=">f4"), {}, "neither float32 nor float64"),
        (lambda f: numbered(f, dtype="i4"), {}, "neither float32 nor float64"),
        (numbered, {"libver": "latest"}, "its HDF5 layout is not the one that Keras writes"),
        (numbered, {"track_order": True}, "damaged, or not as Keras writes it"),
        (numbered, {"userblock_size": 512}, "its header is not JSON"),
        (many_dimensions, {}, "more than two dimensions"),
        (lambda f: f.attrs.update(layer_names=3), {}, "its attribute 'layer_names' is not text"),
        (lambda f: f.attrs.update(model_config=["{}", "{}"]), {}, "is not one text"),
        (lambda f: f.attrs.update(model_config="{}"), {}, "'model_weights' is missing"),
        (
            lambda f: (f.attrs.update(model_config="[]"), f.create_group("model_weights")),
            {},
            "its model_config must be of type dict",
        ),
    ],
)
def test_hdf5_that_is_refused(write, settings, message):
    with pytest.raises(ModelFileError, match=message):
        interchange.from_bytes(hdf5(write, **settings))


def test_links_to_other_files_are_not_followed(tmp_path):
    (tmp_path / "other.h5").write_bytes(hdf5(numbered))

    def linked(file):
        file["layers"] = h5py.ExternalLink(str(tmp_path / "other.h5"), "layers")

    def soft(file):
        numbered(file)
        file.move("layers", "real")
        file["layers"] = h5py.SoftLink("/real")

    def outside(file):
        numbered(file)
        del file["layers/dense/vars/0"]
        space, kind = h5py.h5s.create_simple((2, 3)), h5py.h5t.IEEE_F32LE
        plan = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        plan.set_external(str(tmp_path / "other.h5").encode(), 0, 24)
        h5py.h5d.create(file["layers/dense/vars"].id, b"0", kind, space, plan)

    for write in (linked, soft, outside):
        with pytest.raises(ModelFileError):
            interchange.from_bytes(hdf5(write))


def test_arrays_that_share_their_bytes():
    def shared(file):
        file.create_group("layers/dense/vars")["0"] = np.ones((200, 200), "f4")
        for i in range(1, 9):
            file.create_group(f"layers/dense_{i}/vars")["0"] = file["layers/dense/vars/0"]

    with pytest.raises(ModelFileError, match="its arrays overlap"):
        interchange.from_bytes(hdf5(shared))
