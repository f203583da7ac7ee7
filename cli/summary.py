"""`fastmlp summary`: a network's layers as a table."""

from __future__ import annotations

import shutil
import sys
from typing import TYPE_CHECKING, Any

import click

from . import _config, _options
from ._output import print_json

if TYPE_CHECKING:
    from fastmlp.ensembles import Ensemble
    from fastmlp.models import Sequential

EPILOG = """\b
Examples:
  fastmlp summary                                  the lecture's classifier
  fastmlp summary --units 64,32 --inputs 10 --outputs 3
  fastmlp summary --units 1024x5 --l2 0,0,0.1,0.1,0.1,0.01
  fastmlp summary my.fmlp                          a saved model
  fastmlp summary my.fmlp --verbose                weights that are not zero, norms, memory
  fastmlp summary my.fmlp --config > run.toml      what it was trained with
  fastmlp summary ensemble.fmlp                    an ensemble's members

What --config prints of a model that `fastmlp train` made is a file for its --config. Of one that
was saved from Python it is what the model knows.
"""


@click.command(epilog=EPILOG)
@_options.file_argument("model", required=False)
@_options.units(required=False)
@click.option("--inputs", type=click.IntRange(min=1), help="Inputs.  [default: 2]")
@click.option("--outputs", type=click.IntRange(min=1), help="Outputs.  [default: 1]")
@_options.penalties
@_options.activation
@_options.dropout
@click.option(
    "-v",
    "--verbose",
    is_flag=True,
    help="Also the share of weights that are not zero, norms, memory.",
)
@click.option("--config", is_flag=True, help="How MODEL was trained, as TOML, instead of layers.")
@_options.as_json
def command(model: str | None, verbose: bool, config: bool, as_json: bool, **options: Any) -> None:
    """Print the layers of a network.

    Of the MODEL file, or of a network to be, from its --units.

    With nothing at all: five hidden layers of 1024 units on two inputs.
    """
    if model is None:
        if config:
            raise click.UsageError("--config is of a MODEL that is trained")
        network = _build(**options)
    else:
        given = [name for name, value in options.items() if value is not None]
        if given:
            raise click.UsageError(f"--{given[0]} describes a network to be; MODEL is one already")
        from . import _model

        network = _model.load(model, ensembles=True).model
    if config:
        kept = network.extras.get(_config.KEPT)
        run = _known(network) if kept is None else _in_order(_config.checked(kept, str(model)))
        if as_json:
            print_json(run)
        else:
            click.echo(_config.to_toml(run), nl=False)
        return
    from fastmlp.ensembles import Ensemble

    if as_json:
        document = _of_ensemble if isinstance(network, Ensemble) else _document
        print_json(document(network, verbose))
        return
    from fastmlp._model.summary import summary_text
    from fastmlp.ensembles import ensemble_text

    # Off a terminal, wide enough for everything; COLUMNS is obeyed by both.
    width = shutil.get_terminal_size((80, 24)).columns if sys.stdout.isatty() else None
    if isinstance(network, Ensemble):
        click.echo(ensemble_text(network, width))
        return
    click.echo(summary_text(network, width, verbose))


def _build(
    units: str | None,
    inputs: int | None,
    outputs: int | None,
    l1: str | None,
    l2: str | None,
    activation: str | None,
    dropout: str | None,
    **penalties: Any,
) -> Sequential:
    from fastmlp import models

    n_outputs = outputs or 1
    network = _options.parse_network(units or "1024x5", l1, l2, activation, dropout, **penalties)
    return models.mlp(
        n_inputs=inputs or 2,
        n_outputs=n_outputs,
        # As the lecture's classifier, which is what stands here by default.
        output_activation="linear" if units or n_outputs > 1 else "sigmoid",
        **network,
    )


def _in_order(run: dict[str, Any]) -> dict[str, Any]:
    """Return a configuration in the order of the options of `train`; a file sorts by name."""
    from .train import command as train

    keys = [key for key in train.keys() if key in run]  # noqa: SIM118
    return {key: run[key] for key in [*keys, *(key for key in run if key not in keys)]}


def _known(model: Sequential) -> dict[str, Any]:
    """Return how a model was trained that keeps no configuration of a run."""
    run: dict[str, Any] = {"seed": model.seed, "dtype": model.dtype.name}
    if model.optimizer is not None and model.loss is not None:
        run |= {"optimizer": model.optimizer.name, "loss": model.loss.name}
        run["learning-rate"] = model.optimizer.learning_rate
        run["metrics"] = [metric.name for metric in model.metrics]
    run |= {key.replace("_", "-"): value for key, value in model.training_config.items()}
    return {key: value for key, value in run.items() if _config.is_plain(value)}


def _of_ensemble(network: Ensemble, verbose: bool) -> dict[str, Any]:
    groups = [
        {
            "members": len(group),
            "seeds": group.seeds,
            "folds": group.folds,
            **_document(group.template, verbose=False),
        }
        for group in network.groups
    ]
    return {
        "name": network.name,
        "members": len(network),
        "groups": groups,
        "parameters": network.count_params(),
        "noise_sd": None if network.noise_sd is None else network.noise_sd.tolist(),
        "noise_source": network.noise_source,
    }


def _document(model: Sequential, verbose: bool) -> dict[str, Any]:
    from fastmlp._model import summary
    from fastmlp.layers import Dense

    layers = []
    weights = summary.weight_figures(model) if verbose else [None] * len(model.layers)
    for layer, figures in zip(model.layers, weights, strict=True):
        document: dict[str, Any] = {
            "name": layer.name,
            "type": type(layer).__name__,
            "outputs": layer.n_outputs,
            "parameters": layer.count_params(),
        }
        if isinstance(layer, Dense):
            penalty = layer.kernel_regularizer
            document["activation"] = layer.activation
            document["l1"] = float(penalty.l1) if penalty is not None else 0.0
            document["l2"] = float(penalty.l2) if penalty is not None else 0.0
            if penalty is not None and penalty.group:
                document["group_l1"], document["groups"] = penalty.group, penalty.groups
            if penalty is not None and penalty.proximal:
                document["proximal"] = True
            if figures is not None:
                document["nonzero"], document["norm"] = figures
        layers.append(document)
    document = {"name": model.name, "layers": layers, "parameters": model.count_params()}
    return {**document, "memory": summary.memory(model)} if verbose else document
