"""A first layer of bins, wherever a model's layers are looked at."""

import copy
import json
import pickle

import matplotlib as mpl
import numpy as np
import pytest

import fastmlp
from fastmlp import backend, callbacks, inspection, layers, models, plots
from fastmlp._model.clone import clone
from fastmlp._training.arguments import Arguments
from fastmlp._training.distributed.agreement import describe
from fastmlp.errors import DataError, ModelFileError
from fastmlp.paths._sparsity import describe as describe_sparsity
from fastmlp.regularizers import GroupL1

mpl.use("Agg")

X = np.random.default_rng(0).normal(size=(200, 3)).astype(np.float32)
Y = np.sin(2 * X[:, :1])


def unfitted(**first):
    penalty = GroupL1(1e-3, "inputs")
    model = models.Sequential(
        [layers.PiecewiseLinear(8, **first), layers.Dense(8, "relu", kernel_regularizer=penalty),
         layers.Dropout(0.1), layers.Dense(1)],
        seed=1,
    )  # fmt: skip
    model.compile("adam", "mse")
    return model


@pytest.fixture
def model():
    made = unfitted()
    made.fit(X, Y, epochs=2, verbose=0)
    return made


def without(model, column):
    """Set all weights of an input, which has nine rows of them, to zero."""
    weights = model.get_weights()
    weights[0][9 * column : 9 * column + 9] = 0
    model.set_weights(weights)


# ---- copies and files ----------------------------------------------------------------------------


def test_copies_predict_the_same_bits(model, tmp_path):
    model.save(tmp_path / "m.fmlp")
    again = models.Sequential.from_config(json.loads(json.dumps(model.get_config())))
    again.set_weights(model.get_weights())
    copies = [
        copy.deepcopy(model), pickle.loads(pickle.dumps(model)),
        models.load_model(tmp_path / "m.fmlp"), again,
    ]  # fmt: skip
    for one in copies:
        assert one.layers[0].edges == model.layers[0].edges
        np.testing.assert_array_equal(one.predict(X), model.predict(X))


def test_copies_of_a_model_without_bins_choose_their_own():
    plain = unfitted()
    for one in (copy.deepcopy(plain), pickle.loads(pickle.dumps(plain)), clone(plain),
                models.Sequential.from_config(plain.get_config())):  # fmt: skip
        one.compile("adam", "mse")
        one.fit(X, Y, epochs=1, verbose=0)
        assert len(one.layers[0].edges) == 3
    assert plain.layers[0].edges is None


def test_a_run_is_resumed_to_the_same_bits(tmp_path):
    whole, part = unfitted(), unfitted()
    whole.fit(X, Y, epochs=5, verbose=0)

    stopped = []

    class StoppedError(Exception):
        pass

    class Stopping(callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            if epoch == 2 and not stopped:
                stopped.append(epoch)
                raise StoppedError

    with pytest.raises(StoppedError):
        part.fit(X, Y, epochs=5, verbose=0, checkpoint=tmp_path / "c.fmlp", checkpoint_every=1,
                 callbacks=[Stopping()])  # fmt: skip
    resumed = models.resume(tmp_path / "c.fmlp")
    resumed.fit(X, Y, epochs=5, verbose=0, callbacks=[Stopping()])
    np.testing.assert_array_equal(resumed.predict(X), whole.predict(X))


@pytest.mark.parametrize(
    "edges",
    [
        [[1, 0]], [[0, 0]], [[1]], [[float("nan"), 1]], [[0, float("inf")]], [["a", "b"]],
        [[True, False]], [[0, 1e-40]], [[0, 1e39]], [[0, 10**400]], [[[0, 1]]], [0, 1], "ab", {},
        [], [None],
    ],
)  # fmt: skip
def test_edges_that_are_none(edges):
    with pytest.raises(ValueError, match="edges"):
        layers.PiecewiseLinear(edges=edges)


@pytest.mark.parametrize(
    "change",
    [
        {"edges": [[0, 1], [0, 1]]}, {"edges": None}, {"edges": [[1, 0], [], []]}, {"bins": 0},
        {"edges": [[0, "1"], [], []]}, {"edges": [[0, 1], [], []]}, {"colour": 1},
        {"edges": [[]] * 100_000},
    ],
)  # fmt: skip
def test_a_file_with_wrong_bins_is_refused(model, tmp_path, change):
    from fastmlp._saving import fmlp

    table, arrays = fmlp._read(fmlp.to_bytes(model))
    table["layers"][0]["config"] |= change
    (tmp_path / "m.fmlp").write_bytes(fmlp.packed(arrays, table))
    with pytest.raises(ModelFileError):
        models.load_model(tmp_path / "m.fmlp")


def test_bins_of_many_columns_are_read_again(tmp_path):
    x = np.random.default_rng(2).normal(size=(100, 3000)).astype(np.float32)
    model = models.Sequential([layers.PiecewiseLinear(32), layers.Dense(1)], seed=1)
    model.adapt(x)
    model.save(tmp_path / "m.fmlp")
    found = models.load_model(tmp_path / "m.fmlp").predict(x)
    np.testing.assert_array_equal(found, model.predict(x))


# ---- bins and widths -----------------------------------------------------------------------------


def test_a_refused_fit_leaves_no_bins():
    model = unfitted()
    for x, y in ((np.full((5, 3), np.nan), Y[:5]), (X, Y[:5]), (X[:, None], Y)):
        with pytest.raises(DataError):
            model.fit(x, y, verbose=0)
        assert model.layers[0].edges is None and model.n_inputs is None
    model.fit(X[:, :2], Y, epochs=1, verbose=0)
    assert model.n_inputs == 2


def test_a_vector_is_one_column():
    model = unfitted()
    model.fit(X[:, 0], Y, epochs=1, verbose=0)
    assert model.predict(X[:, 0]).shape == (200, 1)


def test_bins_of_a_model_whose_other_layers_know_them_are_fixed():
    model = unfitted()
    model.adapt(X)
    with pytest.raises(AttributeError, match=r"edges of layer .* are fixed"):
        model.layers[0].edges = [[0, 1], [], []]
    with pytest.raises(AttributeError, match=r"edges of layer .* are fixed"):
        model.layers[0].adapt(2 * X)
    assert model.predict(X).shape == (200, 1)


def test_bins_must_fit_the_input():
    model = models.mlp([4], 3, 1, bins=5)
    with pytest.raises(ValueError, match="an entry for each of the 3 columns"):
        model.layers[0].edges = [[0, 1]]
    model.layers[0].edges = [[0, 1], [], [0, 1, 2]]
    assert model.get_weights()[0].shape == (6, 4)
    assert model.predict(X).shape == (200, 1)


def test_bins_are_no_more_than_rows():
    layer = layers.PiecewiseLinear(1 << 40)
    layer.adapt(np.arange(5.0)[:, None])
    np.testing.assert_allclose(layer.edges[0], [0, 0.8, 1.6, 2.4, 3.2, 4], rtol=1e-6)
    with pytest.raises(ValueError, match="bins must be"):
        layers.PiecewiseLinear(0)


def test_numbers_near_the_ends_of_float32_give_no_warning():
    layer = layers.PiecewiseLinear(2)
    for most in (1e30, 3e38):
        layer.adapt(np.array([[-most], [0], [most]]))
        assert layer.edges == ((),)
    layer = layers.PiecewiseLinear(2)
    layer.adapt(np.array([[-9e29], [0], [9e29]]))
    assert len(layer.edges[0]) == 3
    assert np.isfinite(layer(np.array([[3e38]], np.float32))).all()


# ---- what is shown -------------------------------------------------------------------------------


def test_a_summary_without_bins_does_not_count(model, capsys):
    models.mlp([4], 3, 1, bins=5).summary(verbose=True)
    text = capsys.readouterr().out
    assert "Total params: ? (the bins are not known yet)" in text and "(None, ?)" in text
    model.summary()
    text = capsys.readouterr().out
    assert "(None, 27)" in text and "Total params: 233" in text


def test_functions_of_layers_begin_at_the_numbers(model):
    encoded = model.layers[0](X)
    values = backend.function([model.input], [layer.output for layer in model.layers])([X])
    np.testing.assert_array_equal(values[0], encoded)
    np.testing.assert_array_equal(values[-1], model.predict(X))
    np.testing.assert_array_equal(model.activations(X)[0], encoded)
    assert [g.shape for pair in model.gradients(X, Y) for g in pair] == [
        (27, 8), (8,), (8, 1), (1,)
    ]  # fmt: skip


@pytest.mark.parametrize("n_inputs", [1, 3])
def test_figures_know_the_number_of_inputs(n_inputs):
    model = unfitted()
    model.fit(X[:, :n_inputs], Y, epochs=1, verbose=0)
    names = ["a", "b", "c"][:n_inputs]
    text = [t.get_text() for t in plots.plot_network(model, input_names=names).axes[0].texts]
    assert set(names) <= set(text)
    assert any(f"{9 * n_inputs} rows of weights" in part for part in text)
    plots.plot_weights(model)
    if n_inputs == 1:
        plots.plot_layers(model)
        plots.plot_layer_activations_facetted(model, 0)
        with pytest.raises(ValueError, match="units that are linear in x, without a Piecewise"):
            plots.plot_change_points(model, model, (0.0, 0.5))
    else:
        with pytest.raises(ValueError, match="Received: 3 inputs"):
            plots.plot_layers(model)


def test_an_edge_of_a_drawn_network_is_the_largest_weight_of_an_input():
    first = layers.PiecewiseLinear(edges=[[0, 1, 2], []])
    model = models.Sequential([first, layers.Dense(1)], seed=1)
    model.set_weights([[[1.0], [-4.0], [2.0], [0.0]], [0.0]])
    (edges,) = plots.plot_network(model).axes[0].collections[:1]
    assert len(edges.get_paths()) == 1  # the second input has none
    blue, vermillion = mpl.colors.to_rgb("#0072B2"), mpl.colors.to_rgb("#D55E00")
    colour = edges.get_colors()[0, :3]
    assert np.abs(colour - vermillion).sum() < np.abs(colour - blue).sum()


# ---- inputs in use -------------------------------------------------------------------------------


def test_an_input_is_used_if_any_of_its_rows_is(model):
    without(model, 1)
    found = describe_sparsity(model, X)
    assert found.n_inputs == 2
    w = model.get_weights()[0]
    expected = [np.linalg.norm(w[:9]), 0, np.linalg.norm(w[18:])]
    np.testing.assert_allclose(found.norms[0], expected, rtol=1e-6)


def test_pruning_keeps_the_bins(model):
    without(model, 1)
    weights = model.get_weights()
    weights[2][3] = 0
    model.set_weights(weights)
    pruned = model.prune()
    assert pruned.extras["pruned"]["unused_inputs"] == [1]
    assert pruned.extras["pruned"]["inputs"] == [0, 1, 2]
    assert pruned.layers[0].edges == model.layers[0].edges
    assert pruned.dense_layers[0].units == 7
    np.testing.assert_allclose(pruned.predict(X), model.predict(X), atol=1e-6)
    fewer = model.prune(inputs=True)
    assert fewer.extras["pruned"]["inputs"] == [0, 2] and fewer.n_inputs == 2
    assert fewer.layers[0].edges == model.layers[0].edges[::2]
    np.testing.assert_allclose(fewer.predict(X[:, ::2]), model.predict(X), atol=1e-6)
    fewer.fit(X[:, ::2], Y, epochs=1, verbose=0)


def test_inspection_takes_numbers(model):
    found = inspection.permutation_importance(model, X, Y, n_repeats=2)
    assert len(found.names) == 3
    assert len(inspection.layer_report(model, X, Y).layers) == 2
    first = layers.PiecewiseLinear(edges=model.layers[0].edges)
    bare = models.Sequential([first, layers.Dense(4, use_bias=False), layers.Dense(1)], seed=1)
    encoded = models.Sequential(
        [layers.Dense(4, use_bias=False, input_shape=(27,)), layers.Dense(1)]
    )
    encoded.set_weights(bare.get_weights())
    signal = inspection.layer_report(bare, X).layers[0].error_signal
    expected = inspection.layer_report(encoded, first(X)).layers[0].error_signal
    np.testing.assert_allclose(signal, expected, rtol=1e-4)


# ---- many networks -------------------------------------------------------------------------------


def test_members_share_one_template_with_its_bins(tmp_path):
    ensemble = fastmlp.ensemble(X, Y, unfitted(), members=3, epochs=2, seed=1, verbose=0)
    (edges,) = {member.layers[0].edges for member in ensemble}
    assert len(edges) == 3
    ensemble.save(tmp_path / "e.fmlp")
    again = models.load_model(tmp_path / "e.fmlp")
    np.testing.assert_array_equal(again.predict(X), ensemble.predict(X))
    members = np.stack([member.predict(X) for member in ensemble])
    np.testing.assert_allclose(ensemble.predict(X), members.mean(axis=0), atol=1e-6)


def test_ranks_that_have_other_bins_are_not_the_same():
    found = []
    for high in (1, 2):
        model = unfitted(edges=[[0, high], [], []])
        found.append(describe(model, Arguments(), (None, None))["The model"])
    assert found[0] != found[1]
