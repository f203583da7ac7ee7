"""The summary's text: the lecture's look, columns for what there is to say, and its width."""

import pytest

from fastmlp import backend, layers, models, regularizers
from fastmlp._model.summary import summary_text, zero_share

LECTURE = """\
Model: "sequential"
_________________________________________________________________
Layer (type)                 Output Shape              Param #
=================================================================
dense (Dense)                (None, 1024)              3072
_________________________________________________________________
dense_1 (Dense)              (None, 1024)              1049600
_________________________________________________________________
dense_2 (Dense)              (None, 1024)              1049600
_________________________________________________________________
dense_3 (Dense)              (None, 1024)              1049600
_________________________________________________________________
dense_4 (Dense)              (None, 1024)              1049600
_________________________________________________________________
dense_5 (Dense)              (None, 1)                 1025
=================================================================
Total params: 4,202,497
Trainable params: 4,202,497
Non-trainable params: 0
_________________________________________________________________"""


def test_the_lectures_table():
    backend.clear_session()
    model = models.mlp("1024x5", 2, 1, activation="linear")
    assert summary_text(model, 80) == LECTURE


def test_columns_for_activations_and_lambdas():
    model = models.Sequential(
        [
            layers.Dense(4, "relu", input_shape=(2,), kernel_regularizer=regularizers.l2(0.01)),
            layers.Dropout(0.5),
            layers.Dense(1, kernel_regularizer=regularizers.l1_l2(1e-5, 2), bias_regularizer="l1"),
        ]
    )
    lines = summary_text(model, 100).splitlines()
    assert lines[2].split() == ["Layer", "(type)", "Output", "Shape", "Param", "#", "Activation",
                                "Lambda"]  # fmt: skip
    assert lines[4].endswith("relu       l2 0.01")
    assert lines[6].split()[-1] == "0"
    assert lines[8].endswith("linear     l1 1e-05, l2 2, bias l1 0.01")
    plain = models.Sequential([layers.Dense(1, input_shape=(2,))])
    assert "Activation" not in summary_text(plain) and "Lambda" not in summary_text(plain)


def test_exact_zeros_have_a_column():
    model = models.Sequential(
        [
            layers.Dense(2, input_shape=(2,), kernel_regularizer=regularizers.L1(0.1, True)),
            layers.Dropout(0.5),
            layers.Dense(2, kernel_regularizer=regularizers.GroupL1(0.2, groups="inputs")),
        ]
    )
    assert "Zero" not in summary_text(model, 120)
    model.layers[0].set_weights([[[0, 1], [0, 0]], [0, 0]])
    lines = summary_text(model, 120).splitlines()
    assert lines[2].split()[-1] == "Zero"
    assert lines[4].split()[-4:] == ["l1", "proximal", "0.1", "75.00%"]
    assert lines[8].split()[-5:] == ["l1", "of", "inputs", "0.2", "0.00%"]
    assert not lines[6].endswith("%")
    assert zero_share(model) == 3 / 8
    assert "Zero" not in summary_text(model, 120, verbose=True)


@pytest.mark.parametrize("width", [20, 30, 40, 50, 64, 65, 66, 80, 120, 300])
def test_it_fits(width):
    model = models.mlp("100000x3", 2, 1, l1=0.001, l2=0.001, dropout=0.2)
    lines = summary_text(model, width).splitlines()
    rows = [line for line in lines if not line.startswith(("Model", "Total", "Train", "Non"))]
    assert all(len(line) <= width for line in rows)
    assert {len(line) for line in rows if set(line) <= set("_=")} == {len(rows[0])}
    if width >= 40:
        assert any("100000" in line or "1000" in line for line in rows)


def test_a_width_that_is_not_known_yet():
    text = summary_text(models.Sequential([layers.Dropout(0.1), layers.Dense(3)]))
    assert "(None, ?)" in text and "(None, 3)" in text and "Total params: ?" in text


def test_no_layers():
    assert "Total params: ?" in summary_text(models.Sequential())


def test_no_weights_are_drawn_for_it():
    model = models.mlp("1000000x3", 2, 1)  # 16 terabytes, were they
    assert "Total params: 2,000,006,000,001" in summary_text(model)


def test_summary_prints_to_the_terminals_width(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "50")
    model = models.mlp([3], 2, 1)
    assert model.summary() is None
    lines = capsys.readouterr().out.splitlines()
    assert len(lines[1]) == 50
    seen = []
    model.summary(line_length=70, print_fn=seen.append)
    assert seen == [summary_text(model, 70)]


def test_verbose_adds_weights_and_memory():
    model = models.Sequential(
        [layers.Dense(4, "relu", input_shape=(2,)), layers.Dropout(0.5), layers.Dense(1)], seed=1
    )
    model.compile("adam", "mse")
    w = model.get_weights()
    w[0][...] = [[3.0, 0, 0, 0], [0, 4.0, 0, 0]]
    w[2][...] = 0
    model.set_weights(w)
    lines = summary_text(model, 100, verbose=True).splitlines()
    assert lines[2].endswith("Activation Nonzero Norm")
    assert lines[4].endswith("relu       25.00%  5")
    assert lines[6].split()[-1] == "0"
    assert lines[8].endswith("linear     0.00%   0")
    assert lines[-3:-1] == [
        "Nonzero params: 2 (11.76%)",
        "Memory: 68 bytes of parameters, 136 bytes of optimizer state",
    ]
    assert "Nonzero" not in summary_text(model, 100) and "Memory" not in summary_text(model, 100)


@pytest.mark.parametrize(
    ("optimizer", "state"), [("sgd", "0 bytes"), ("rmsprop", "17.6 KiB"), ("adam", "35.2 KiB")]
)
def test_verbose_counts_the_optimizers_state(optimizer, state):
    model = models.mlp([1500], 1, 1, seed=1)
    model.compile(optimizer, "mse")
    assert f"Memory: 17.6 KiB of parameters, {state} of" in summary_text(model, verbose=True)


def test_verbose_draws_no_weights():
    model = models.mlp("1000000x3", 2, 1)
    text = summary_text(model, verbose=True)
    assert "Nonzero params: ? (the weights are not drawn yet)" in text
    assert "Memory: 7.3 TiB of parameters" in text
    assert "Norm" not in text
    unknown = summary_text(models.Sequential([layers.Dense(3)]), verbose=True)
    assert "Nonzero params: ?" in unknown and "Memory" not in unknown


@pytest.mark.parametrize("width", [40, 65, 80, 120])
def test_the_verbose_one_fits(width):
    model = models.mlp("1000x2", 2, 1, l1=0.001, l2=0.001, dropout=0.2)
    model.predict([[1.0, 2.0]])
    for line in summary_text(model, width, verbose=True).splitlines():
        assert len(line) <= width or line.startswith(("Memory", "Total", "Non", "Train"))


def test_the_methods_argument(capsys):
    model = models.mlp([3], 2, 1)
    model.summary(verbose=True)
    assert "Memory: 52 bytes of parameters" in capsys.readouterr().out
