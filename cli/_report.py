"""Results of `fastmlp train`: sizes before training, loss and metrics after it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from . import _data, _ranks
from ._evaluate import scores
from ._output import console, grid, print_json, significant

if TYPE_CHECKING:
    from fastmlp.models import Sequential

    from ._training import Settings


def result(
    model: Sequential,
    data: _data.Data,
    facts: dict[str, Any],
    seconds: float,
    quiet: bool,
    team: _ranks.Team,
) -> dict[str, Any]:
    """Return all results of a training, what `described` said and loss and metrics on the rows."""
    scored = [
        None if part is None else scores(model, data.preprocessing, part, quiet, team)
        for part in (data.train, data.validation)
    ]
    return {**facts, "train": scored[0], "val": scored[1], "seconds": seconds}


def described(model: Sequential, data: _data.Data, settings: Settings) -> dict[str, Any]:
    """Return the description of a training: data, network and settings."""
    from fastmlp._model.summary import zero_share

    dense = model.dense_layers
    lambdas = {
        name: [float(getattr(layer.kernel_regularizer, name, 0.0)) for layer in dense]
        for name in ("l1", "l2")
    }
    group = [layer.kernel_regularizer.group if layer.kernel_regularizer else 0.0 for layer in dense]
    if any(group):
        lambdas["group_l1"] = group
    return {
        "task": data.preprocessing.task,
        "data": data.source,
        "target": data.preprocessing.target.name,
        "units": [layer.units for layer in dense[:-1]],
        **{k: v[0] if len(set(v)) == 1 else v for k, v in lambdas.items()},
        "optimizer": settings.optimizer.name,
        "learning_rate": settings.learning_rate,
        "epochs": settings.epochs,
        "batch_size": settings.batch_size,
        "seed": settings.seed,
        "parameters": model.count_params(),
        "zeros": zero_share(model),
    }


def print_table(result: dict[str, Any], scaled: bool) -> None:
    """Print loss and metrics on training and validation rows, and a line about the run."""
    table = grid()
    table.add_column("")
    parts = {"training": result["train"], "validation": result["val"]}
    shown = {name: values for name, values in parts.items() if values is not None}
    for name in shown:
        table.add_column(name, justify="right", no_wrap=True)
    for key in result["train"]:
        name = "loss (standardised)" if scaled and key == "loss" else key
        table.add_row(name, *(significant(values[key]) for values in shown.values()))
    out = console()
    out.print(table)
    ranks = f", {result['ranks']} ranks" if result.get("ranks", 1) > 1 else ""
    zeros = f" ({result['zeros']:.2%} of weights zero)" if result["zeros"] else ""
    out.print(
        f"{result['parameters']:,} parameters{zeros}, {result['epochs']} epochs, "
        f"{result['seconds']:.3g} s, seed {result['seed']}{ranks}"
    )


def print_sizes(model: Sequential, data: _data.Data, settings: Settings, as_json: bool) -> None:
    """Print the size of the network, and the memory that its training needs."""
    from fastmlp._model.summary import readable_bytes

    table = described(model, data, settings)
    item = model.dtype.itemsize
    widths = [layer.units for layer in model.dense_layers]
    memory = {
        "weights": model.count_params() * item,
        "optimizer": model.count_params() * item * len(settings.optimizer.slots),
        # The output of each layer, and the gradient with respect to it.
        "activations": 2 * settings.batch_size * sum(widths) * item,
        "data": data.nbytes(settings.batch_size),
    }
    memory["total"] = sum(memory.values())
    if as_json:
        print_json({**table, "rows": data.n_rows, "memory": memory})
        return
    click.echo(f"rows         {data.n_rows}")
    click.echo(f"inputs       {model.n_inputs}")
    click.echo(f"outputs      {model.n_outputs}")
    click.echo(f"parameters   {table['parameters']:,}")
    click.echo(f"steps        {settings.epochs * -(-data.n_rows // settings.batch_size):,}")
    for name, size in memory.items():
        click.echo(f"{name:<12} {readable_bytes(size)}")
