"""Initializers: TensorFlow 1's stream, distributions, seeds and names."""

import math

import numpy as np
import pytest

from fastmlp import initializers

# Values of TensorFlow 1.15's random_normal(shape, 0, 0.05, float32, seed=seed): the first four and
# the last two of each array, its mean and its standard deviation.
TF1 = [
    ((1, 2), 5, [-0.05890414, -0.03549707], [-0.05890414, -0.03549707], None, None),
    (
        (1, 8),
        12345,
        [0.04421233, 0.00392152, 0.00681994, -0.03054788],
        [-0.03085563, -0.06385814],
        -0.0044016,
        0.0496423,
    ),
    (
        (16, 16),
        8746,
        [-0.01189955, -0.02483557, 0.00789241, 0.00879446],
        [0.02428411, 0.02059213],
        -0.0025799,
        0.0503345,
    ),
    (
        (1024,),
        999999,
        [-0.00020838, 0.06206939, -0.09131135, -0.01401426],
        [0.04030833, -0.02347100],
        0.0010969,
        0.0490984,
    ),
    (
        (1024, 1024),
        8746,
        [-0.01189955, -0.02483557, 0.00789241, 0.00879446],
        [-0.07259146, 0.00853523],
        0.0001045,
        0.0500272,
    ),
]

RANDOM = [
    initializers.RandomNormal,
    initializers.RandomUniform,
    initializers.TruncatedNormal,
    initializers.VarianceScaling,
    initializers.GlorotUniform,
    initializers.GlorotNormal,
    initializers.HeUniform,
    initializers.HeNormal,
    initializers.LecunUniform,
    initializers.LecunNormal,
    initializers.Orthogonal,
]


@pytest.mark.parametrize(("shape", "seed", "first", "last", "mean", "std"), TF1)
def test_random_normal_is_tensorflow_1s_stream(shape, seed, first, last, mean, std):
    values = initializers.RandomNormal(seed=seed)(shape)
    assert values.shape == shape and values.dtype == np.float32
    flat = values.ravel()
    assert np.abs(flat[: len(first)] - first).max() < 3e-7
    assert np.abs(flat[-2:] - last).max() < 3e-7
    if mean is not None:
        assert abs(flat.mean(dtype=float) - mean) < 1e-7
        assert abs(flat.std(dtype=float) - std) < 1e-7


def test_stream_comparison_would_notice_a_wrong_seed():
    values = initializers.RandomNormal(seed=8747)((16, 16)).ravel()
    assert np.abs(values[:4] - TF1[2][2]).max() > 3e-6


def test_stream_scales_shifts_and_keeps_its_values_in_float64():
    plain = initializers.RandomNormal(stddev=1.0, seed=7)((5, 3))
    moved = initializers.RandomNormal(mean=2.0, stddev=0.5, seed=7)((5, 3))
    np.testing.assert_array_equal(moved, plain * np.float32(0.5) + np.float32(2))
    wide = initializers.RandomNormal(stddev=1.0, seed=7)((5, 3), "float64")
    assert wide.dtype == np.float64
    np.testing.assert_array_equal(wide, plain.astype(float))


def test_stream_takes_numpy_integers_and_large_seeds():
    a = initializers.RandomNormal(seed=np.random.RandomState(1).randint(1, 1000000))((4,))
    assert np.isfinite(a).all()
    low = initializers.RandomNormal(seed=3)((4,))
    high = initializers.RandomNormal(seed=3 + (1 << 32))((4,))
    assert (low != high).all()
    with pytest.raises(ValueError, match=r"below 2\*\*64"):
        initializers.RandomNormal(seed=1 << 64)


def test_stream_is_the_same_in_pieces_of_any_size():
    # More than one chunk of blocks, cut inside a block.
    long = initializers.RandomNormal(seed=11)((70_001,))
    short = initializers.RandomNormal(seed=11)((66_003,))
    np.testing.assert_array_equal(long[:66_003], short)


@pytest.mark.parametrize("cls", RANDOM)
def test_same_seed_same_values_whatever_the_model(cls):
    a = cls(seed=3)((6, 5), "float64", np.random.default_rng(1))
    b = cls(seed=3)((6, 5), "float64", np.random.default_rng(2))
    np.testing.assert_array_equal(a, b)
    assert not np.array_equal(a, cls(seed=4)((6, 5), "float64"))


@pytest.mark.parametrize("cls", RANDOM)
def test_generator_as_seed_moves_on(cls):
    rng = np.random.default_rng(0)
    rule = cls(seed=rng)
    assert not np.array_equal(rule((6, 5)), rule((6, 5)))
    again = cls(seed=np.random.default_rng(0))((6, 5))
    np.testing.assert_array_equal(again, cls()((6, 5), rng=np.random.default_rng(0)))
    assert rule.get_config().get("seed") is None


@pytest.mark.parametrize("cls", RANDOM)
def test_both_types_share_one_stream(cls):
    rule = cls(seed=np.random.default_rng(5))
    single = rule((7, 4), "float32")
    double = cls(seed=np.random.default_rng(5))((7, 4), "float64")
    np.testing.assert_array_equal(single, double.astype(np.float32))


# name, arguments, variance as a function of (n_in, n_out), bound of |value| in standard deviations
LAWS = [
    ("RandomNormal", {}, lambda i, o: 0.05**2, None),
    ("RandomUniform", {}, lambda i, o: 0.1**2 / 12, math.sqrt(3)),
    ("TruncatedNormal", {}, lambda i, o: (0.05 * 0.87962566) ** 2, 2 / 0.87962566),
    ("VarianceScaling", {}, lambda i, o: 1 / i, 2 / 0.87962566),
    ("VarianceScaling", {"scale": 3.0, "mode": "fan_out"}, lambda i, o: 3 / o, 2 / 0.87962566),
    ("VarianceScaling", {"distribution": "untruncated_normal"}, lambda i, o: 1 / i, None),
    ("GlorotUniform", {}, lambda i, o: 2 / (i + o), math.sqrt(3)),
    ("GlorotNormal", {}, lambda i, o: 2 / (i + o), 2 / 0.87962566),
    ("HeUniform", {}, lambda i, o: 2 / i, math.sqrt(3)),
    ("HeNormal", {}, lambda i, o: 2 / i, 2 / 0.87962566),
    ("LecunUniform", {}, lambda i, o: 1 / i, math.sqrt(3)),
    ("LecunNormal", {}, lambda i, o: 1 / i, 2 / 0.87962566),
]


@pytest.mark.parametrize(("name", "arguments", "variance", "bound"), LAWS)
def test_mean_variance_and_bounds(name, arguments, variance, bound):
    n_in, n_out = 300, 150
    rule = getattr(initializers, name)(seed=np.random.default_rng(12), **arguments)
    values = rule((n_in, n_out), "float64")
    expected, n = variance(n_in, n_out), values.size
    # Five standard errors; a fourth moment of at most 3 variances squared bounds the second.
    assert abs(values.mean()) < 5 * math.sqrt(expected / n)
    assert abs(values.var() / expected - 1) < 5 * math.sqrt(2 / n)
    if bound is not None:
        largest = np.abs(values).max() / math.sqrt(expected)
        assert 0.99 * bound < largest <= bound * (1 + 1e-7)


def test_uniform_and_truncated_normal_are_where_they_are_asked_to_be():
    uniform = initializers.RandomUniform(2.0, 3.0, seed=1)((1000,), "float64")
    assert 2 <= uniform.min() < 2.05 and 2.95 < uniform.max() <= 3
    cut = initializers.TruncatedNormal(mean=10.0, stddev=1.0, seed=1)((1000,), "float64")
    assert cut.min() >= 8 and cut.max() <= 12 and abs(cut.mean() - 10) < 0.2


@pytest.mark.parametrize("shape", [(6, 6), (9, 4), (4, 9), (1, 5)])
def test_orthogonal(shape):
    q = initializers.Orthogonal(gain=2.0, seed=1)(shape, "float64")
    small = q.T @ q if shape[0] >= shape[1] else q @ q.T
    np.testing.assert_allclose(small, 4 * np.eye(min(shape)), atol=1e-12)


def test_constants():
    assert (initializers.Zeros()((2, 3)) == 0).all()
    assert (initializers.Ones()((2, 3)) == 1).all()
    assert (initializers.Constant(0.25)((3,)) == 0.25).all()
    np.testing.assert_array_equal(initializers.Identity(2.0)((2, 3)), [[2, 0, 0], [0, 2, 0]])
    for cls in (initializers.Identity, initializers.Orthogonal):
        with pytest.raises(ValueError, match=r"draws matrices only. Received: shape=\(3,\)"):
            cls()((3,))


def test_names_aliases_classes_and_objects():
    for alias in ("glorot_uniform", "GlorotUniform", initializers.GlorotUniform):
        assert isinstance(initializers.get(alias), initializers.GlorotUniform)
    made = initializers.HeNormal(seed=1)
    assert initializers.get(made) is made
    assert initializers.glorot_uniform is initializers.GlorotUniform
    assert isinstance(initializers.get("normal"), initializers.RandomNormal)
    for name in ("zeros", "ones", "constant", "identity", "random_normal", "random_uniform",
                 "truncated_normal", "variance_scaling", "glorot_normal", "he_uniform",
                 "he_normal", "lecun_uniform", "lecun_normal", "orthogonal"):  # fmt: skip
        assert isinstance(initializers.get(name), getattr(initializers, name))


def test_unknown_names_suggest_the_nearest():
    with pytest.raises(ValueError, match=r"'glorot_unform'. Did you mean 'glorot_uniform'\?"):
        initializers.get("glorot_unform")
    with pytest.raises(ValueError, match=r"Unknown initializer: 'qqq'. Known:"):
        initializers.get("qqq")
    with pytest.raises(
        ValueError, match="must be a name, or a class or object of the kind Initializer"
    ):
        initializers.get(3)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: initializers.RandomNormal(seed=-1), "seed must be a non-negative integer"),
        (lambda: initializers.HeNormal(seed=1.5), "seed must be a non-negative integer"),
        (lambda: initializers.RandomNormal(stddev=-1), "stddev must be a finite number of at"),
        (lambda: initializers.RandomUniform(1, 0), "at least minval=1. Received: maxval=0"),
        (lambda: initializers.VarianceScaling(scale=0), "scale must be a finite number above 0"),
        (lambda: initializers.VarianceScaling(mode="fan"), "Unknown mode: 'fan'"),
        (lambda: initializers.VarianceScaling(distribution="x"), "Unknown distribution: 'x'"),
        (lambda: initializers.Constant(math.nan), "value must be a finite number"),
        (lambda: initializers.Zeros()((0, 2)), "a width in shape must be a positive integer"),
    ],
)
def test_bad_arguments(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_repr_shows_arguments_and_base_class_says_what_is_missing():
    assert repr(initializers.RandomUniform(0, 1, seed=3)) == (
        "RandomUniform(minval=0.0, maxval=1.0, seed=3)"
    )
    assert repr(initializers.HeNormal(seed=2)) == "HeNormal(seed=2)"
    with pytest.raises(NotImplementedError, match="must define draw"):
        initializers.Initializer()((2, 2))


def test_an_initializer_of_ones_own():
    class Half(initializers.Initializer):
        def draw(self, shape, rng):
            return np.full(shape, 0.5)

    assert (initializers.get(Half)((2, 2)) == 0.5).all()


def test_empty_stream():
    from fastmlp._utils.tf1_random import tf1_standard_normal

    assert tf1_standard_normal((0, 3), 1).shape == (0, 3)
