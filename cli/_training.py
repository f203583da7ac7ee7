"""The settings of a training: options checked, and the model they describe."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from . import _data, _options

if TYPE_CHECKING:
    from fastmlp.models import Sequential
    from fastmlp.optimizers import Optimizer


@dataclass
class Settings:
    """How to train.

    Parameters
    ----------
    epochs, batch_size, validation_every : int
    seed : int
    optimizer : Optimizer
    """

    epochs: int
    batch_size: int
    validation_every: int
    seed: int
    optimizer: Optimizer


def _check_combinations(
    data: str | None,
    lecture: str | None,
    columns: _data.Columns,
    streaming: _data.Streaming,
    validation: str | None,
    validation_split: float,
    output: str | None,
) -> None:
    if data is not None and lecture is not None:
        raise click.UsageError(f"--data {lecture} is the lecture's data; DATA is given as well")
    name = columns.first_given() or streaming.first_given()
    if data is None and name is not None:
        raise click.UsageError(f"--{name} describes DATA, which is not given")
    if validation is not None and validation_split:
        raise click.UsageError("--validation and --validation-split exclude each other")
    _options.check_columns(columns.impute, columns.indicator)
    if output == "-":
        raise click.BadParameter("a model goes to a file", param_hint="'--output'")
    _data.check_streams(data, validation)


def _settings(
    on_lecture: bool,
    optimizer: str,
    learning_rate: float | None,
    epochs: int | None,
    batch_size: int | None,
    validation_every: int | None,
    seed: int | None,
) -> Settings:
    from fastmlp import optimizers

    config: dict[str, Any] = {} if learning_rate is None else {"learning_rate": learning_rate}
    with _options.wrong_option("--learning-rate"):
        chosen = type(optimizers.get(optimizer))(**config)
    epochs = epochs or (1000 if on_lecture else 100)
    return Settings(
        epochs=epochs,
        batch_size=batch_size or (2**31 if on_lecture else 32),
        validation_every=validation_every or (-(-epochs // 20) if on_lecture else 1),
        seed=_options.given_seed(seed),
        optimizer=chosen,
    )


def _build(network: dict[str, Any], data: _data.Data, settings: Settings) -> Sequential:
    from fastmlp import models

    state = data.preprocessing
    if state.task == "regression":
        output, loss, metric = "linear", "mean_squared_error", "mse"
    elif state.n_outputs == 1:
        output, loss, metric = "sigmoid", "binary_crossentropy", "accuracy"
    else:
        output, loss, metric = "softmax", "sparse_categorical_crossentropy", "accuracy"
    model = models.mlp(
        n_inputs=state.n_inputs,
        n_outputs=state.n_outputs,
        output_activation=output,
        seed=settings.seed,
        **network,
    )
    model.compile(settings.optimizer, loss, [metric])
    model.extras["preprocessing"] = state.to_dict()
    model.extras["data"] = data.source
    return model
