"""A fresh kernel: figures and results show themselves, without a magic line."""

import base64
import io
import re

import matplotlib
import pytest

from fastmlp import plots

SETUP = """
import warnings, numpy as np, fastmlp
warnings.simplefilter("ignore")
from fastmlp import models, plots, inspection
x = np.random.default_rng(0).normal(size=(60, 2)); y = x[:, 0] * x[:, 1]
model = models.mlp("8", 2, 1, seed=1); model.compile("adam", "mse")
history = model.fit(x, y, epochs=5, verbose=0, validation_split=0.25)
"""
FIGURES = [
    "plots.plot_history(history)",
    "plots.plot_network(model, theme='dark')",
    "display(plots.plot_weights(model))",
    "figure = plots.plot_regression_data()\nfigure",
    "plots.plot_layer_report(inspection.layer_report(model, x, y))",
]
RESULTS = [
    "model", "history", "inspection.layer_report(model, x, y)",
    "inspection.permutation_importance(model, x, y, seed=1)",
    "fastmlp.path(x, y, '4', n_lambdas=8, folds=3, epochs=2, seed=1, verbose=0)",
    "fastmlp.ensemble(x, y, '4', 3, epochs=2, seed=1, verbose=0)",
    "fastmlp.sweep(x, y, ['2', '4'], store='s.sqlite', epochs=2, seed=1, verbose=0)",
]  # fmt: skip
LONG = "model.fit(x, y, epochs=10**9, verbose=1, callbacks=stop)"


@pytest.mark.slow
def test_a_fresh_kernel_shows_figures_and_results(tmp_path):
    nbformat, nbclient = pytest.importorskip("nbformat"), pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    image = pytest.importorskip("PIL.Image")
    stop = ("import time\nfrom fastmlp.callbacks import LambdaCallback\nend = time.time() + 3\n"
            "def late(epoch, logs):\n    model.stop_training = time.time() > end\n"
            "stop = LambdaCallback(on_epoch_end=late)")  # fmt: skip
    cells = [SETUP, *FIGURES, *RESULTS, stop, LONG]
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    resources = {"metadata": {"path": str(tmp_path)}}
    nbclient.NotebookClient(book, timeout=120, kernel_name="python3", resources=resources).execute()
    outputs = dict(zip(cells, (cell.outputs for cell in book.cells), strict=True))
    for cell in FIGURES:
        assert len(outputs[cell]) == 1, cell
        data = outputs[cell][0].data
        with image.open(io.BytesIO(base64.b64decode(data["image/png"]))) as picture:
            shown = outputs[cell][0].metadata["image/png"]
            assert picture.width == 2 * shown["width"] > 800
        assert data["text/plain"].count("\n") < 10
    for cell in RESULTS:
        assert [output.output_type for output in outputs[cell]] == ["execute_result"], cell
        data = outputs[cell][0].data
        assert data["text/html"].startswith('<div class="fastmlp-card"')
        assert data["text/plain"].count("\n") < 10
    assert not outputs[SETUP]
    # The bar is gone when the history is shown; nothing went to standard error.
    bar, result = outputs[LONG]
    assert bar.data["text/html"] == ""
    assert re.search("[0-9,]+ epochs", result.data["text/html"])


def test_a_figure_has_a_sharp_picture_whatever_the_users_settings():
    figure = plots.plot_regression_data()
    data, size = figure._repr_png_()
    assert data.startswith(b"\x89PNG")
    assert size == {"width": 800, "height": 500}
    with matplotlib.rc_context({"savefig.facecolor": "red", "font.size": 30, "savefig.dpi": 7}):
        assert plots.plot_regression_data()._repr_png_()[0] == data
