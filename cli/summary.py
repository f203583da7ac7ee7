"""`fastmlp summary`: a network's layers as a table."""

from __future__ import annotations

import shutil
import sys
from typing import TYPE_CHECKING, Any

import click

from fastmlp.errors import printable

from . import _config, _help, _options, _training
from ._output import print_json
from ._training import NetworkOptions

if TYPE_CHECKING:
    from fastmlp.ensembles import Ensemble
    from fastmlp.models import Sequential

EPILOG = """\b
Examples:
  fastmlp summary                                  the lecture's classifier
  fastmlp summary --units 64,32 --inputs 10 --outputs 3
  fastmlp summary --units 1024x5 --l2 0,0,0.1,0.1,0.1,0.01
  fastmlp summary my.fmlp                          a saved model
  fastmlp summary my.fmlp --verbose                and nonzero weights, norms, memory
  fastmlp summary my.fmlp --config > run.toml      how it was trained
  fastmlp summary ensemble.fmlp                    the members of an ensemble

For a model of a table, the output also lists target, columns and preprocessing, and compares the
validation metrics with those of simple models.

For a model of `fastmlp train`, the output of --config is a file for `fastmlp train --config`. For a
model that was saved from Python, it lists the recorded settings.
"""


@click.command(cls=_help.Command, epilog=EPILOG)
@_options.file_argument("model", required=False)
@_training.units(required=False)
@click.option("--inputs", type=click.IntRange(min=1), help="Number of inputs.  [default: 2]")
@click.option("--outputs", type=click.IntRange(min=1), help="Number of outputs.  [default: 1]")
@_training.network
@click.option(
    "-v",
    "--verbose",
    is_flag=True,
    help="Print the share of and nonzero weights, norms, memory.",
)
@click.option(
    "--config", is_flag=True, help="Print how MODEL was trained, as TOML, instead of its layers."
)
@_options.as_json
def command(
    model: str | None,
    units: str | None,
    inputs: int | None,
    outputs: int | None,
    network: NetworkOptions,
    verbose: bool,
    config: bool,
    as_json: bool,
) -> None:
    """Print the layers of a network.

    MODEL is a model file. Without it, the options describe a new network; by default it has five
    hidden layers of 1024 units on two inputs.
    """
    if model is None:
        if config:
            raise click.UsageError("--config needs a MODEL file")
        made: Any = _build(units, inputs, outputs, network)
    else:
        sizes = {"units": units, "inputs": inputs, "outputs": outputs}
        given = [name for name, value in sizes.items() if value is not None] + network.given
        if given:
            raise click.UsageError(
                f"--{given[0].replace('_', '-')} describes a new network; MODEL is a saved one"
            )
        from . import _model

        made = _model.load(model, ensembles=True).model
    if config:
        kept = made.extras.get(_config.KEPT)
        run = _known(made) if kept is None else _in_order(_config.checked(kept, str(model)))
        if as_json:
            print_json(run)
        else:
            click.echo(_config.to_toml(run), nl=False)
        return
    from fastmlp.ensembles import Ensemble
    from fastmlp.tabular import table_facts, table_text

    if as_json:
        document = _of_ensemble if isinstance(made, Ensemble) else _document
        print_json({**document(made, verbose), "table": table_facts(made, model)})
        return
    from fastmlp._model.summary import summary_text
    from fastmlp.ensembles import ensemble_text

    # Not on a terminal: as wide as the table needs. COLUMNS applies in both cases.
    width = shutil.get_terminal_size((80, 24)).columns if sys.stdout.isatty() else None
    if isinstance(made, Ensemble):
        click.echo(ensemble_text(made, width))
    else:
        click.echo(summary_text(made, width, verbose))
    known = table_text(made, width, model)
    if known is not None:
        click.echo(printable(known))


def _build(
    units: str | None, inputs: int | None, outputs: int | None, network: NetworkOptions
) -> Sequential:
    from fastmlp import models

    n_outputs = outputs or 1
    return models.mlp(
        n_inputs=inputs or 2,
        n_outputs=n_outputs,
        # The default is the lecture's classifier.
        output_activation="linear" if units or n_outputs > 1 else "sigmoid",
        **network.arguments(units or "1024x5"),
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
