"""Ensembles: members with the bits of networks alone, what they predict, their files."""

import pickle
import signal

import numpy as np
import pytest

import fastmlp
from fastmlp import _kernels, datasets, models, plots
from fastmlp._many import pool, stacks
from fastmlp.ensembles import _fit, _training
from fastmlp.errors import DataError, DivergedError, ModelFileError


def rows(n=60, k=2, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(0, 1, (n, k))
    return x, x[:, :1] ** 2 + rng.normal(0, 0.3, (n, 1))


def alone(units, seed, x, y, *, epochs=4, batch_size=None, optimizer="adam", **network):
    """Train one network in the ordinary way."""
    model = models.mlp(units or [], x.shape[1], y.shape[1], seed=seed, **network)
    model.compile(optimizer, "mse")
    model.fit(x, y, epochs=epochs, batch_size=batch_size or len(x), verbose=0)
    return model


def digest(model):
    return b"".join(array.tobytes() for array in model.get_weights())


CASES = {
    "stacked": ("16", {}),
    "stacked, tanh, lambda": ("20", {"activation": "tanh", "l2": 0.01}),
    "stacked, l1": ("8", {"l1": 0.001}),
    "stacked, three hidden layers": ("5,8,3", {}),
    "stacked, without hidden layer": ("", {}),
    "two wide hidden layers": ("80x2", {}),
    "dropout": ("16", {"dropout": 0.2}),
    "wide": ("600", {}),
    "three units": ("3", {}),
    "float64": ("16", {"dtype": "float64"}),
}


@pytest.mark.parametrize("batch_size", [None, 7])
@pytest.mark.parametrize("case", CASES)
def test_every_member_has_the_bits_of_the_network_alone(case, batch_size):
    units, network = CASES[case]
    x, y = rows()
    expected = [alone(units, 5 + i, x, y, batch_size=batch_size, **network) for i in range(16)]
    for n_threads in (1, 2, 3):
        made = fastmlp.ensemble(
            x, y, units or [], 16, epochs=4, batch_size=batch_size, seed=5, threads=n_threads,
            verbose=0, **network,
        )  # fmt: skip
        assert made.seeds == list(range(5, 21))
        for member, model in zip(made, expected, strict=True):
            assert digest(member) == digest(model)
            assert member.history.history["loss"] == model.history.history["loss"]
        outputs = made.predictions(x, verbose=0)
        for i, model in enumerate(expected):
            assert outputs[i].tobytes() == model.predict(x, verbose=0).tobytes()


def test_the_kernels_that_stack_are_really_used(monkeypatch):
    calls = []
    train = stacks.train

    def spy(how, model, seeds, *arguments, **options):
        calls.append(len(seeds))
        return train(how, model, seeds, *arguments, **options)

    monkeypatch.setattr(stacks, "train", spy)
    x, y = rows()
    fastmlp.ensemble(x, y, "16", 40, epochs=2, seed=0, verbose=0, threads=2)
    assert sum(calls) == 40 and min(calls) > 1
    if _kernels.stack_modules("float32")[0].LANES > 4:  # four are not enough for layers like these
        calls.clear()
        fastmlp.ensemble(x, y, "8x3", 40, epochs=2, seed=0, verbose=0, threads=2)
        assert sum(calls) == 40 and min(calls) > 1
    calls.clear()
    for units, members in (("16", 2), ("128x2", 40)):  # which would be slower so
        fastmlp.ensemble(x, y, units, members, epochs=2, seed=0, verbose=0)
    assert calls == []


@pytest.mark.parametrize("n_threads", [1, 2, 3])
def test_large_networks_have_the_same_bits(n_threads, monkeypatch):
    monkeypatch.setattr(pool, "LARGE", 100)
    x, y = rows()
    made = fastmlp.ensemble(x, y, "40x2", 2, epochs=4, seed=1, threads=n_threads, verbose=0)
    for i, member in enumerate(made):
        assert digest(member) == digest(alone("40x2", 1 + i, x, y, epochs=4, batch_size=32))


def test_bagging_trains_each_on_its_own_draw_of_the_rows():
    x, y = rows()
    for units in ("16", "8x2"):
        made = fastmlp.ensemble(
            x, y, units, 4, epochs=9, batch_size=None, seed=3, bootstrap=True, verbose=0
        )
        for seed, member in zip(range(3, 7), made, strict=True):
            sequence = np.random.SeedSequence(seed, spawn_key=(2,))
            drawn = np.random.default_rng(sequence).integers(0, 60, 60)
            assert digest(member) == digest(alone(units, seed, x[drawn], y[drawn], epochs=9))
        assert made.noise_source == "out-of-bag rows"


def test_folds_lambdas_and_architectures_in_one_ensemble():
    x, y = rows(61)
    made = fastmlp.ensemble(
        x, y, ["16", [8, 8]], 2, epochs=5, batch_size=None, seed=3, folds=3, lambdas=[0.0, 0.01],
        verbose=0,
    )  # fmt: skip
    assert len(made) == 2 * 2 * 3 * 2
    parts = _fit._parts(3, 61, 3, False)
    assert sorted(np.concatenate(parts).tolist()) == list(range(61))
    members = iter(made)
    for units in ("16", "8x2"):
        for l2 in (0.0, 0.01):
            for held in parts:
                kept = np.setdiff1d(np.arange(61), held)
                for seed in (3, 4):
                    model = alone(units, seed, x[kept], y[kept], epochs=5, l2=l2)
                    assert digest(next(members)) == digest(model)
    assert made.groups[0].folds == [0, 0, 1, 1, 2, 2]
    assert made.noise_source == "held-out folds"


def test_a_compiled_model_serves_as_architecture():
    x, y = rows()
    model = models.Sequential(seed=9)
    model.add(fastmlp.layers.Dense(12, "relu", kernel_initializer="he_normal", input_shape=(2,)))
    model.add(fastmlp.layers.Dense(1, bias_initializer=fastmlp.initializers.RandomNormal(seed=4)))
    model.compile(fastmlp.optimizers.SGD(0.01, momentum=0.9), "huber", ["mae"])
    before = digest(model)
    made = fastmlp.ensemble(x, y, model, seeds=[9, 2], epochs=7, batch_size=16, verbose=0)
    assert digest(model) == before
    model.fit(x, y, epochs=7, batch_size=16, verbose=0)
    assert digest(made[0]) == digest(model)
    assert digest(made[1]) != digest(model)
    assert made.metrics_names == ["loss", "mae"]
    assert len(made.evaluate(x, y, verbose=0)) == 2


def test_sample_weights_reach_every_member():
    x, y = rows()
    weight = np.linspace(0, 2, 60)
    made = fastmlp.ensemble(
        x, y, "16", 3, epochs=6, batch_size=20, seed=0, sample_weight=weight, verbose=0
    )
    model = models.mlp("16", 2, 1, seed=2)
    model.compile("adam", "mse")
    model.fit(x, y, epochs=6, batch_size=20, sample_weight=weight, verbose=0)
    assert digest(made[2]) == digest(model)


# ---- what it predicts ----


@pytest.fixture(scope="module")
def bagged():
    x, y = rows(200)
    return fastmlp.ensemble(
        x, y, "16", 12, epochs=40, seed=1, bootstrap=True, verbose=0, metrics=["mae"],
        optimizer=fastmlp.optimizers.Adam(0.02),
    )  # fmt: skip


def test_mean_spread_and_quantiles_are_those_of_the_predictions(bagged):
    x = rows(30, seed=5)[0].astype("float32")
    outputs = bagged.predictions(x, verbose=0).astype(np.float64)
    assert outputs.shape == (12, 30, 1)
    np.testing.assert_allclose(bagged.predict(x, verbose=0), outputs.mean(0), rtol=1e-6)
    np.testing.assert_allclose(bagged.spread(x, verbose=0), outputs.std(0, ddof=1), rtol=1e-5)
    np.testing.assert_allclose(
        bagged.quantiles(x, [0.1, 0.9], verbose=0), np.quantile(outputs, [0.1, 0.9], 0), rtol=1e-5
    )
    assert bagged.quantiles(x, 0.5, verbose=0).shape == (30, 1)
    assert bagged(x, verbose=0).dtype == np.float32


def test_rows_in_parts_give_the_same(bagged, monkeypatch):
    x = rows(1000, seed=5)[0]
    whole = [f(x, verbose=0) for f in (bagged.predict, bagged.spread, bagged.predictive_sd)]
    monkeypatch.setattr("fastmlp.ensembles._predictions._VALUES", 12 * 300)
    parts = [f(x, verbose=0) for f in (bagged.predict, bagged.spread, bagged.predictive_sd)]
    for a, b in zip(whole, parts, strict=True):
        assert a.tobytes() == b.tobytes()


def test_noise_makes_the_mean_variance_the_held_out_error():
    x, y = rows(150)
    held = rows(500, seed=8)
    made = fastmlp.ensemble(
        x, y, "16", 8, epochs=60, seed=1, validation_data=held, verbose=0, batch_size=None
    )
    assert made.noise_source == "validation rows"
    error = np.mean((made.predict(held[0], verbose=0) - held[1]) ** 2)
    variance = np.mean(made.predictive_sd(held[0], verbose=0).astype(np.float64) ** 2)
    assert variance == pytest.approx(error, rel=1e-5)
    spread = made.spread(held[0], verbose=0)
    np.testing.assert_allclose(
        made.predictive_sd(held[0], verbose=0), np.sqrt(spread**2 + made.noise_sd**2), rtol=1e-5
    )


def test_out_of_bag_noise_is_of_members_that_have_not_seen_the_row(bagged):
    x, y = (array.astype("float32") for array in rows(200))
    outputs = bagged.predictions(x, verbose=0)[:, :, 0].astype(np.float64)
    terms = []
    drawn = [
        np.random.default_rng(np.random.SeedSequence(s, spawn_key=(2,))).integers(0, 200, 200)
        for s in bagged.seeds
    ]
    for i in range(200):
        errors = np.array([outputs[m, i] - y[i, 0] for m in range(12) if i not in drawn[m]])
        if len(errors):
            spread = errors.var(ddof=1) if len(errors) > 1 else 0.0
            terms.append(errors.mean() ** 2 - spread)
    assert bagged.noise_sd == pytest.approx(np.sqrt(np.mean(terms)), rel=1e-6)
    assert 0.2 < bagged.noise_sd[0] < 0.6  # drawn with 0.3


def test_quantiles_with_noise_are_of_the_mixture(bagged):
    from scipy.stats import norm

    x = rows(7, seed=5)[0]
    q = [0.05, 0.5, 0.975]
    found = bagged.quantiles(x, q, noise=True, verbose=0)[:, :, 0].astype(np.float64)
    outputs = bagged.predictions(x, verbose=0)[:, :, 0].astype(np.float64)
    for level, values in zip(q, found, strict=True):
        mass = norm.cdf(values, outputs, bagged.noise_sd[0]).mean(0)
        np.testing.assert_allclose(mass, level, atol=1e-5)


def test_an_interval_covers_what_it_should():
    x, y = datasets.regression_train()
    new_x, new_y = datasets.regression_validation()
    made = fastmlp.ensemble(
        x, y, "16", 40, epochs=1500, batch_size=None, seed=0, bootstrap=True, verbose=0,
        optimizer=fastmlp.optimizers.Adam(0.01),
    )  # fmt: skip
    low, high = made.quantiles(new_x, [0.05, 0.95], noise=True, verbose=0)
    assert 0.82 < np.mean((new_y >= low) & (new_y <= high)) < 0.97


def test_evaluate_is_of_the_mean_prediction(bagged):
    x, y = rows(50, seed=6)
    mean = bagged.predict(x, verbose=0)
    named = bagged.evaluate(x, y, verbose=0, return_dict=True)
    assert named["loss"] == pytest.approx(np.mean((mean - y) ** 2), rel=1e-5)
    assert named["mae"] == pytest.approx(np.mean(np.abs(mean - y)), rel=1e-5)
    assert bagged.evaluate(x, y, verbose=0) == [named["loss"], named["mae"]]
    table = bagged.evaluate_members(x, y, verbose=0)
    assert table.shape == (12, 2)
    np.testing.assert_allclose(table[3], bagged[3].evaluate(x, y, verbose=0), rtol=1e-5)
    assert named["loss"] < table[:, 0].mean()  # by convexity


def test_classes_have_mean_probabilities():
    rng = np.random.default_rng(0)
    x = rng.normal(0, 1, (90, 2))
    y = (x[:, 0] > 0).astype(int) + (x[:, 1] > 0)
    made = fastmlp.ensemble(
        x, y, "16", 4, output_activation="softmax", loss="sparse_categorical_crossentropy",
        metrics=["accuracy"], epochs=200, seed=0, verbose=0, validation_split=0.2,
    )  # fmt: skip
    p = made.predict(x, verbose=0)
    assert p.shape == (90, 3)
    np.testing.assert_allclose(p.sum(1), 1, rtol=1e-5)
    assert made.evaluate(x, y, verbose=0, return_dict=True)["accuracy"] > 0.85
    with pytest.raises(ValueError, match="classifier has no noise"):
        made.predictive_sd(x, verbose=0)


def test_one_member_has_no_spread():
    x, y = rows()
    made = fastmlp.ensemble(x, y, "4", 1, epochs=2, seed=0, verbose=0)
    assert made.predict(x, verbose=0).shape == (60, 1)
    for function in (made.spread, made.predictive_sd):
        with pytest.raises(ValueError, match="at least two members"):
            function(x, verbose=0)


def test_without_rows_held_out_there_is_no_noise():
    x, y = rows()
    made = fastmlp.ensemble(x, y, "4", 3, epochs=2, seed=0, verbose=0)
    assert made.noise_sd is None
    with pytest.raises(ValueError, match="bootstrap=True"):
        made.predictive_sd(x, verbose=0)
    with pytest.raises(ValueError, match="held-out rows"):
        made.quantiles(x, noise=True, verbose=0)


def test_it_is_a_sequence_of_models(bagged):
    assert len(bagged) == 12 == len(list(bagged))
    assert digest(bagged[-1]) == digest(bagged[11])
    with pytest.raises(IndexError, match="members 0 to 11"):
        bagged[12]
    member = bagged[0]
    assert member.training_config["epochs"] == 40
    x, y = rows(200)
    member.fit(x, y, epochs=1, verbose=0)  # a model of its own
    assert digest(member) != digest(bagged[0])


# ---- files ----


def test_a_file_holds_all_of_it(bagged, tmp_path):
    path = tmp_path / "e.fmlp"
    bagged.extras["note"] = ["any", 1]
    bagged.save(path)
    again = models.load_model(path)
    assert isinstance(again, fastmlp.ensembles.Ensemble)
    x = rows(20, seed=4)[0]
    for name in ("predict", "spread", "predictive_sd", "predictions"):
        a, b = (getattr(e, name)(x, verbose=0) for e in (bagged, again))
        assert a.tobytes() == b.tobytes()
    assert again.seeds == bagged.seeds and again.extras == bagged.extras
    assert again.noise_source == bagged.noise_source
    assert again.losses.tobytes() == bagged.losses.tobytes()
    assert again.metrics_names == ["loss", "mae"]
    assert digest(again[5]) == digest(bagged[5])
    assert again[5].history.history == bagged[5].history.history
    again.save(tmp_path / "again.fmlp")
    assert (tmp_path / "again.fmlp").read_bytes() == path.read_bytes()
    with pytest.raises(FileExistsError):
        again.save(path, overwrite=False)
    assert pickle.loads(pickle.dumps(bagged)).predict(x, verbose=0).tobytes() == (
        bagged.predict(x, verbose=0).tobytes()
    )


def test_folds_and_architectures_survive_a_file(tmp_path):
    x, y = rows()
    made = fastmlp.ensemble(
        x, y, ["8", "4x2"], 2, epochs=3, folds=2, seed=0, verbose=0, dtype="float64"
    )
    made.save(tmp_path / "e.fmlp")
    again = models.load_model(tmp_path / "e.fmlp")
    assert [group.folds for group in again.groups] == [[0, 0, 1, 1]] * 2
    assert again.predict(x, verbose=0).tobytes() == made.predict(x, verbose=0).tobytes()


def test_long_loss_curves_are_thinned_to_bound_the_file(tmp_path, monkeypatch):
    from fastmlp.ensembles import _file

    monkeypatch.setattr(_file, "_MAX_LOSSES", 60)
    x, y = rows()
    made = fastmlp.ensemble(x, y, "4", 4, epochs=100, seed=0, verbose=0)
    made.save(tmp_path / "e.fmlp")
    again = models.load_model(tmp_path / "e.fmlp")
    kept = again.groups[0].epochs
    assert len(kept) <= 15 and kept[-1] == 100
    np.testing.assert_array_equal(
        again.groups[0].losses, made.groups[0].losses[:, np.array(kept) - 1]
    )
    assert again.losses.tobytes() == made.losses.tobytes()


def test_a_damaged_file_is_an_error_that_names_it(bagged, tmp_path):
    path = tmp_path / "e.fmlp"
    bagged.save(path)
    data = path.read_bytes()
    rng = np.random.default_rng(0)
    damaged = tmp_path / "damaged.fmlp"
    for cut in rng.integers(0, len(data), 60):
        damaged.write_bytes(data[:cut])
        with pytest.raises(ModelFileError, match="damaged"):
            models.load_model(damaged)
    header = 8 + int.from_bytes(data[:8], "little")
    for at in rng.integers(8, header, 300):
        damaged.write_bytes(data[:at] + bytes([rng.integers(32, 127)]) + data[at + 1 :])
        try:
            models.load_model(damaged).predict(np.zeros((1, 2)), verbose=0)
        except ModelFileError as error:
            assert "damaged.fmlp" in str(error)


def test_a_run_cannot_be_resumed_from_an_ensemble(bagged, tmp_path):
    bagged.save(tmp_path / "e.fmlp")
    with pytest.raises(ModelFileError, match="ensemble"):
        models.resume(tmp_path / "e.fmlp")


# ---- figures and text ----


def test_the_lectures_picture(tmp_path):
    x, y = datasets.regression_train()
    made = fastmlp.ensemble(x, y, "16", 5, epochs=50, batch_size=None, seed=0, verbose=0)
    figure = made.plot()
    lines = figure.axes[0].get_lines()
    curves = [line for line in lines if len(line.get_xdata()) == len(datasets.grid())]
    assert len(curves) == 5 + 1 + 1  # members, mean, truth
    grid = datasets.grid()
    np.testing.assert_allclose(curves[2].get_ydata(), made[2].predict(grid, verbose=0)[:, 0])
    np.testing.assert_allclose(
        curves[5].get_ydata(), made.predict(grid, verbose=0)[:, 0], rtol=1e-5
    )
    same = plots.plot_ensemble(list(made)).axes[0].get_lines()
    np.testing.assert_array_equal(same[5].get_ydata(), lines[5].get_ydata())


def test_a_picture_needs_one_input(bagged):
    with pytest.raises(ValueError, match="one input"):
        bagged.plot()


def test_summary(bagged):
    lines = []
    bagged.summary(print_fn=lines.append)
    assert "12 members" in lines[0] and "seeds 1-12" in lines[0]
    assert "Params of all members: 780" in lines[0]
    assert "out-of-bag rows" in lines[0]


# ---- trouble ----


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"members": 0}, "members must be a positive integer. Received: members=0"),
        ({"seed": -1}, "seed must be a non-negative"),
        ({"seeds": [1, 1]}, "no seed twice"),
        ({"seeds": []}, "at least one seed"),
        ({"seeds": [1], "seed": 2}, "exclude each other"),
        ({"units": "16x"}, "units must be positive integers"),
        ({"units": 16}, "units must be a string such as"),
        ({"lambdas": []}, "at least one value"),
        ({"lambdas": [0.1, -0.1]}, "at least 0. Received: a value in lambdas=-0.1"),
        ({"lambdas": [0.1, float("nan")]}, "finite"),
        ({"lambdas": [0.1, 0.1]}, "must differ"),
        ({"lambdas": [0.1], "l1": 0.1}, "exclude each other"),
        ({"penalty": "l3"}, "Unknown penalty"),
        ({"folds": 1}, "at least 2"),
        ({"folds": 61}, "folds must not be more than the rows. Received: folds=61, 60 rows"),
        ({"folds": 3, "bootstrap": True}, "exclude each other"),
        ({"bootstrap": "yes"}, "bootstrap must be True or False"),
        ({"epochs": 0}, "epochs must be a positive integer"),
        ({"batch_size": 0}, "batch_size must be a positive integer"),
        ({"validation_split": 1.0}, "validation_split"),
        ({"optimizer": "adm"}, "Did you mean 'adam'"),
        ({"threads": 0}, "number of threads"),
        ({"dtype": "int8"}, "dtype"),
    ],
)
def test_bad_arguments(arguments, message):
    x, y = rows()
    with pytest.raises(ValueError, match=message):
        fastmlp.ensemble(x, y, **{"units": "4", "verbose": 0, **arguments})


def test_bad_data():
    x, y = rows()
    for bad_x, bad_y, message in (
        (x, y[:50], "50"),
        (x[:0], y[:0], "empty"),
        (np.where(x > 2, np.nan, x), y, "nan"),
        (x, np.full_like(y, np.inf), "inf"),
        ([["a"]], [1], "x"),
    ):
        with pytest.raises(DataError, match=message):
            fastmlp.ensemble(bad_x, bad_y, "4", verbose=0)
    model = models.mlp("4", 3, 1)
    with pytest.raises(RuntimeError, match="not compiled"):
        fastmlp.ensemble(x, y, model, verbose=0)
    model.compile("adam", "mse")
    with pytest.raises(DataError, match="shape"):
        fastmlp.ensemble(x, y, model, verbose=0)
    made = fastmlp.ensemble(x, y, "4", 2, epochs=1, verbose=0)
    with pytest.raises(DataError, match="one column for each input"):
        made.predict(x[:, :1], verbose=0)
    with pytest.raises(ValueError, match="q must be"):
        made.quantiles(x, [0.5, 1.5], verbose=0)


@pytest.mark.parametrize("units", ["16", "8x2"])
def test_a_member_that_diverges_is_left_out(units, monkeypatch):
    x, y = rows()
    optimizer = fastmlp.optimizers.SGD(0.01)
    draw = stacks.draw_into
    initial = fastmlp.layers.Dense.initial_weights

    def spoilt(model, seeds, views):
        draw(model, seeds, views)
        for i, seed in enumerate(seeds):
            if seed == 3:
                views[0][i] *= 1e18

    def spoilt_alone(self, dtype, rngs):
        values = initial(self, dtype, rngs)
        if self._model is not None and self._model.seed == 3 and self.n_inputs == 2:
            values[0] *= 1e18
        return values

    monkeypatch.setattr(stacks, "draw_into", spoilt)
    monkeypatch.setattr(fastmlp.layers.Dense, "initial_weights", spoilt_alone)
    with pytest.warns(RuntimeWarning, match="seed 3 is left out: Training diverged"):
        made = fastmlp.ensemble(
            x, y, units, 4, epochs=9, batch_size=None, seed=1, optimizer=optimizer, verbose=0
        )
    assert made.seeds == [1, 2, 4]
    assert [entry["seed"] for entry in made.diverged] == [3]
    assert digest(made[2]) == digest(alone(units, 4, x, y, epochs=9, optimizer=optimizer))


def test_if_all_diverge_there_is_no_ensemble():
    x, y = rows()
    with pytest.raises(DivergedError, match="epoch"):
        fastmlp.ensemble(
            x, y * 1e18, "8", 3, epochs=50, seed=1, verbose=0,
            optimizer=fastmlp.optimizers.SGD(1e10),
        )  # fmt: skip


@pytest.mark.parametrize("units", ["16", "16x2"])
@pytest.mark.parametrize("n_threads", [1, 2])
def test_ctrl_c_leaves_what_is_usable(units, n_threads, monkeypatch):
    class Interrupting(_training.ProgressLine):
        def update(self, done, values=None):
            if done > 0:
                signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(_training, "ProgressLine", Interrupting)
    x, y = rows()
    with pytest.raises(KeyboardInterrupt) as caught:
        fastmlp.ensemble(x, y, units, 4, epochs=10**7, seed=1, threads=n_threads, verbose=0)
    left = caught.value.ensemble
    assert left.interrupted and 1 <= len(left) <= 4
    epochs = left.training_config["epochs"]
    assert 0 < epochs < 10**7
    assert np.isfinite(left.predict(x, verbose=0)).all()
    assert left.groups[0].epochs[-1] == epochs
    assert np.isfinite(left.losses).all()


def test_progress_is_shown_on_long_work(capsys, monkeypatch):
    from fastmlp._utils import progress

    monkeypatch.setattr(progress, "_QUIET_SECONDS", 0.0)
    monkeypatch.setattr(progress, "_PLAIN_SECONDS", 0.0)
    x, y = rows()
    fastmlp.ensemble(x, y, "16", 20, epochs=50, seed=1)
    assert "20/20 members" in capsys.readouterr().err


@pytest.mark.parametrize("loss", ["mean_squared_error", "sparse_categorical_crossentropy"])
def test_the_validation_rows_are_drawn_of_each_class_the_same_share(monkeypatch, loss):
    seen = []
    real = _fit._split

    def note(*arguments):
        seen.append(real(*arguments))
        return seen[-1]

    monkeypatch.setattr(_fit, "_split", note)
    x = np.arange(100.0)[:, None] / 100
    y = np.repeat([0, 1, 2], [60, 30, 10])
    last = "linear" if loss == "mean_squared_error" else "softmax"
    options = {"loss": loss, "output_activation": last, "epochs": 1, "verbose": 0}
    for seed in (1, 1, 2):
        fastmlp.ensemble(x, y, "2", 2, validation_split=0.2, seed=seed, **options)
    (_, held), (_, same), (_, other) = seen
    np.testing.assert_array_equal(held.x, same.x)
    assert not np.array_equal(held.x, other.x)
    assert held.x.min() < 0.6 and len(held.x) == 20
    if loss != "mean_squared_error":
        assert np.bincount(held.y[:, 0].astype(int)).tolist() == [12, 6, 2]
