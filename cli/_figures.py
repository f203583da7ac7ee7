"""Figures of a model, with axes in the units of its table."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastmlp._utils.names import CLASS_FIGURES, EXPLANATIONS, NUMBER_FIGURES

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.figure import Figure

    from fastmlp.ensembles import Ensemble
    from fastmlp.models import Sequential
    from fastmlp.preprocessing import Preprocessing

    Arrays = tuple[np.ndarray, np.ndarray]

KINDS = {
    "layers": "every hidden unit and the fitted curve, over one input",
    "facets": "one layer's units, 32 to a panel, over one input",
    "contributions": "what each unit of the last hidden layer adds to the fit, over one input",
    "units": "all units of a layer as a heat map, over one input",
    "boundary": "the probabilities of a classifier over two inputs, or over two columns of DATA",
    "history": "loss and metrics by epoch",
    "network": "units and weights as a graph",
    "weights": "histograms of weights by layer, with their penalty",
    "changepoints": "the curve before and after the lecture's repair, over one input",
    "members": "the members of an ensemble grey, their mean bold, over one input",
    "data": "data without a model",
}
TABLE_KINDS = {
    kind: text for kind, text in (CLASS_FIGURES | NUMBER_FIGURES | EXPLANATIONS).items()
    if kind != "boundary"
}  # fmt: skip
KINDS |= TABLE_KINDS
FORMATS = (".png", ".svg", ".pdf")


class Drawing:
    """Draws a model with the units of its table's columns and the names of its classes.

    Parameters
    ----------
    model : Sequential or Ensemble
    preprocessing : Preprocessing or None
        None for a model that was trained on arrays.
    train : tuple (x, y) or None
        Preprocessed training data; None for the lecture's.
    """

    def __init__(
        self,
        model: Sequential | Ensemble,
        preprocessing: Preprocessing | None,
        train: Arrays | None,
    ) -> None:
        self.model: Any = model
        self.preprocessing, self.train = preprocessing, train

    def draw(self, kind: str, layer: int = 1, **layout: Any) -> Figure:
        """Draw one figure.

        Parameters
        ----------
        kind : str
            One of `KINDS`, other than 'data'.
        layer : int
            Layer that facets and units show, from 1.
        **layout
            `title`, `size` and `theme`.

        Returns
        -------
        matplotlib.figure.Figure

        Raises
        ------
        ValueError
            If the model is not one that such a figure can show.
        """
        from fastmlp import lecture, plots
        from fastmlp.ensembles import Ensemble

        if isinstance(self.model, Ensemble) != (kind == "members") and kind != "history":
            held = "one network" if kind == "members" else "an ensemble; it has members and history"
            raise ValueError(f"it holds {held}")
        if kind == "members":
            return plots.plot_ensemble(self.model, **self._axis(), **layout)
        if kind == "history":
            return plots.plot_history(self._history(), **layout)
        if kind == "weights":
            return plots.plot_weights(self.model, **layout)
        if kind == "network":
            return plots.plot_network(self.model, **self._names(), **layout)
        if kind == "boundary":
            return self._boundary(layout)
        if kind == "facets":
            return plots.plot_layer_activations_facetted(
                self.model, self._layer(layer), **self._axis("x", "preprocess", "x_label"), **layout
            )
        if kind == "units":
            self._layer(layer)
            given = self._axis("x", "preprocess", "x_label")
            return plots.plot_unit_map(self.model, layer - 1, **given, **layout)
        if kind == "contributions":
            given = self._axis()
            given.pop("postprocess", None)
            if given:  # the linear output is in the units of the network
                given.pop("train")
                given["y_label"] = f"network's {given['y_label']}"
            return plots.plot_contributions(self.model, **given, **layout)
        if kind == "changepoints":
            repaired, _ = lecture.repair(self.model)
            return plots.plot_change_points(self.model, repaired, **self._axis(), **layout)
        hidden = [dense.units for dense in self.model.dense_layers[:-1]]
        legend = len(hidden) == 1 and hidden[0] <= 16
        return plots.plot_layers(self.model, legend, **self._axis(), **layout)

    def fitting(self) -> list[str]:
        """Return the kinds of figure that show this model, without the special ones."""
        from fastmlp.ensembles import Ensemble

        if isinstance(self.model, Ensemble):
            return ["history"]
        kinds = ["history", "network", "weights"]
        numeric = (
            all(c.kind == "numeric" for c in self.preprocessing.columns)
            if (self.preprocessing is not None)
            else True
        )
        classify = self.preprocessing is not None and self.preprocessing.task == "classification"
        if numeric and self.model.n_inputs == 1 and not classify:
            kinds.append("layers")
        if numeric and self.model.n_inputs == 2 and classify:
            kinds.append("boundary")
        return kinds

    @property
    def files(self) -> list[str]:
        """The files that `save` writes."""
        return [f"{kind}.png" for kind in self.fitting()]

    def save(self, directory: str) -> None:
        """Draw every kind of figure that shows this model."""
        from fastmlp import plots

        for kind in self.fitting():
            plots.save(self.draw(kind), Path(directory) / f"{kind}.png")

    def _history(self) -> dict[str, list[float]]:
        history = self.model.history  # of an ensemble the members' mean
        if history is None or not history.epoch:
            raise ValueError("it holds no history of training")
        from ._model import unit_factor

        return {
            name: [v * unit_factor(name, self.preprocessing) for v in values]
            for name, values in history.history.items()
            if values
        }

    def _layer(self, layer: int) -> int:
        dense = self.model.dense_layers
        if layer > len(dense):
            raise ValueError(f"it has {len(dense)} dense layers. Received: layer {layer}")
        return self.model.layers.index(dense[layer - 1])

    def _names(self) -> dict[str, Any]:
        state = self.preprocessing
        if state is None:
            return {}
        outputs = [state.target.name]
        if state.further:
            outputs = [target.name for target in state.all_targets]
        elif state.n_outputs > 1:
            outputs = [str(label) for label in state.target.labels]
        return {"input_names": state.input_names, "output_names": outputs}

    def _axis(self, *only: str) -> dict[str, Any]:
        """Return the arguments with which a curve over one input has the table's units."""
        import numpy as np

        state = self.preprocessing
        if state is None or self.train is None:
            return {}
        if state.task != "regression" or len(state.columns) != 1:
            raise ValueError("such a figure shows a regression on one numeric input")
        x = state.in_units(self.train[0])
        low, high = float(x.min()), float(x.max())
        dtype = self.model.dtype
        arguments = {
            "x": np.linspace(low, high, 201).reshape(-1, 1),
            "train": (x, state.target.restored(self.train[1])),
            "preprocess": lambda raw: state.from_units(np.asarray(raw)).astype(dtype),
            "postprocess": state.target.restored,
            "x_label": state.columns[0].name,
            "y_label": state.target.name,
        }
        return {name: arguments[name] for name in only} if only else arguments

    def _boundary(self, layout: dict[str, Any]) -> Figure:
        import numpy as np

        from fastmlp import plots

        state = self.preprocessing
        if state is None or self.train is None:
            return plots.plot_decision_boundary(self.model, **layout)
        if state.task != "classification" or len(state.columns) != 2:
            raise ValueError("such a figure shows a classifier of two numeric inputs")
        dtype = self.model.dtype
        return plots.plot_decision_boundary(
            self.model,
            lambda raw: state.from_units(np.asarray(raw)).astype(dtype),
            train_x=state.in_units(self.train[0]),
            train_y=self.train[1],
            class_names=[str(label) for label in state.target.labels],
            x1_label=state.columns[0].name,
            x2_label=state.columns[1].name,
            **layout,
        )
