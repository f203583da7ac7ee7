"""Entry points beside those of a model's life: figures, the lecture, streams, ranks, functions."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

from fastmlp import backend, datasets, inspection, layers, lecture, models, plots, streaming

from .bad_values import KINDS, STRANGE, _with, _without
from .entry_points import COUNT, X, Y, _fit, _path, entry, shared

KINDS |= {
    "handles": _with(
        _without(STRANGE, "no_list"), number=3, of_numbers=[3], of_nothing=[None], of_text=["a"],
        of_layers=[layers.Dense(3)],
    ),
    "stream": {
        **STRANGE,
        "a number": lambda good, tmp: 3,
        "a path": lambda good, tmp: tmp / "table.parquet",
        "arrays": lambda good, tmp: (X, Y),
    },
    "communicator": _with(_without(STRANGE, "nothing"), number=3, true=True),
    "result": _with(STRANGE, number=3),
    "report": _with(STRANGE, number=3),
    "figure": _with(STRANGE, number=3),
    "entry of the lecture": _with(STRANGE, number=3),
}  # fmt: skip


@functools.cache
def curve() -> models.Sequential:
    """Return a trained model of one input."""
    model = models.mlp("3x2", 1, 1, seed=1)
    model.compile("adam", "mean_squared_error")
    model.fit(X[:, :1], Y, epochs=2, verbose=0)
    return model


@functools.cache
def plane() -> models.Sequential:
    """Return a classifier of two inputs."""
    return models.mlp("3", 2, 1, output_activation="sigmoid", seed=1)


# ---- figures -------------------------------------------------------------------------------------

entry("plots.plot_layers", plots.plot_layers, {"model": curve()}, {"model": "model"})
entry("plots.plot_layer_activations_facetted", plots.plot_layer_activations_facetted,
      {"model": curve(), "layer": 1}, {"model": "model", "layer": COUNT},
      layer={"zero", "minus_one", "numpy_zero"})  # fmt: skip
entry("plots.plot_network", plots.plot_network, {"model": curve()}, {"model": "model"})
entry("plots.plot_weights", plots.plot_weights, {"model": curve()}, {"model": "model"})
entry("plots.plot_change_points", plots.plot_change_points,
      {"before": curve(), "after": curve()}, {"before": "model", "after": "model"})  # fmt: skip
entry("plots.plot_decision_boundary", plots.plot_decision_boundary,
      {"model": plane(), "gridlen": 5}, {"model": "model", "gridlen": COUNT})  # fmt: skip
entry("plots.plot_path", plots.plot_path,
      lambda tmp: {"result": _path(x=X, y=Y)},
      {"result": "result"})  # fmt: skip
entry("plots.plot_layer_report", plots.plot_layer_report,
      {"report": inspection.layer_report(shared(), X, Y)}, {"report": "report"})  # fmt: skip
entry("plots.save", plots.save,
      lambda tmp: {"fig": plots.plot_network(curve()), "path": tmp / "figure.png"},
      {"fig": "figure", "path": "file to write"})  # fmt: skip

# ---- the lecture ---------------------------------------------------------------------------------

entry("lecture.data", lecture.data, {"task": "regression"}, {"task": "name"})
entry("lecture.preprocessing", lecture.preprocessing, {"task": "regression"}, {"task": "name"})
entry("lecture.build", lecture.build, {"entry": lecture.CATALOGUE["model_8units"]},
      {"entry": "entry of the lecture"})  # fmt: skip
entry("lecture.train", lecture.train, {"entry": lecture.CATALOGUE["model_8units"], "epochs": 1},
      {"entry": "entry of the lecture", "epochs": COUNT, "curves": "flag"})  # fmt: skip

# ---- streams and ranks ---------------------------------------------------------------------------


def _stream(tmp: Path) -> datasets.ParquetStream:
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns = {f"x{i}": X[:, i] for i in range(3)} | {"y": Y[:, 0]}
    pq.write_table(pa.table(columns), tmp / "table.parquet", row_group_size=4)
    return datasets.ParquetStream(tmp / "table.parquet", target="y")


def _streamed(**arguments: Any) -> Any:
    model = arguments.pop("model", None) or models.mlp("4", 3, 1, seed=1)
    if isinstance(model, models.Sequential):
        model.compile("adam", "mean_squared_error")
    return streaming.fit(model, **{"verbose": 0, **arguments})


entry("streaming.fit", _streamed, lambda tmp: {"stream": _stream(tmp)},
      {"stream": "stream", "batch_size": COUNT, "epochs": COUNT, "verbose": "verbose",
       "callbacks": "callbacks", "shuffle": "flag", "shards": COUNT + "?", "fast_reduce": "flag",
       "comm": "communicator"})  # fmt: skip
entry("streaming.evaluate", streaming.evaluate,
      lambda tmp: {"model": shared(), "stream": _stream(tmp), "verbose": 0},
      {"model": "model", "stream": "stream", "verbose": "verbose"})  # fmt: skip
entry("streaming.predict", lambda **a: list(streaming.predict(**a)),
      lambda tmp: {"model": shared(), "stream": _stream(tmp), "verbose": 0},
      {"model": "model", "stream": "stream", "verbose": "verbose"})  # fmt: skip
entry("ParquetStream", datasets.ParquetStream,
      lambda tmp: {"path": _stream(tmp) and tmp / "table.parquet", "target": "y"},
      {"path": "file to read", "target": "name?"})  # fmt: skip
entry("Sequential.fit, ranks", _fit, {"x": X, "y": Y}, {"comm": "communicator"})

# ---- functions of layers -------------------------------------------------------------------------

entry("backend.function", backend.function,
      {"inputs": [shared().layers[0].input], "outputs": [shared().layers[0].output]},
      {"inputs": "handles", "outputs": "handles"})  # fmt: skip
entry("a function of layers",
      lambda x: backend.function([shared().layers[0].input], [shared().layers[0].output])([x]),
      {"x": X}, {"x": "x"})  # fmt: skip
