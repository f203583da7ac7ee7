"""Options of networks and of their training, and the model that they describe."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import click

from fastmlp._utils.names import ACTIVATIONS, GROUPS, OPTIMIZERS

from . import _data, _options
from ._groups import group, option

if TYPE_CHECKING:
    from fastmlp.models import Sequential
    from fastmlp.optimizers import Optimizer

F = TypeVar("F", bound=Callable[..., Any])

ALL_ROWS = 2**31  # as a batch size


# ---- networks ----------------------------------------------------------------------------------


def units(
    required: bool, help_text: str = "Widths of the hidden layers: 1024x5, or 64,32,16."
) -> Callable[[F], F]:
    """Add --units."""
    return click.option("--units", required=required, metavar="WIDTHS", help=help_text)


def activation_option() -> Any:
    """Declare --activation."""
    return option(
        "--activation",
        metavar="NAMES",
        shell_complete=_options.complete_names(ACTIVATIONS),
        help="Activation of the hidden layers, one for all or one for each: "
        f"{', '.join(ACTIVATIONS)}.  [default: relu]",
    )


@dataclass
class NetworkOptions:
    """The options that describe a network, apart from its units; lists are text."""

    l1: str | None = option(
        "--l1",
        metavar="LAMBDAS",
        help="L1 penalty on weights: one lambda for all layers, or one for each, output included.",
    )
    l2: str | None = option(
        "--l2",
        metavar="LAMBDAS",
        help="L2 penalty on weights: one lambda for all layers, or one for each.",
    )
    proximal: bool | None = option(
        "--proximal",
        is_flag=True,
        default=None,
        help="Use proximal steps for the L1 penalty, which make weights exactly zero.",
    )
    group_l1: str | None = option(
        "--group-l1",
        metavar="LAMBDAS",
        help="Group lasso penalty, which makes all weights of a unit zero together: one lambda "
        "for all layers, or one for each. A layer cannot have it together with L1 or L2.",
    )
    groups: str | None = option(
        "--groups",
        type=click.Choice(GROUPS, case_sensitive=False),
        help="What a group of --group-l1 is: the incoming weights of a unit, or the outgoing "
        "weights of an input, which selects inputs in the first layer.  [default: units]",
    )
    activation: str | None = activation_option()
    dropout: str | None = option(
        "--dropout",
        metavar="RATES",
        help="Dropout rate after the hidden layers, one for all or one for each.  [default: 0]",
    )

    def arguments(self, units: str, activation: Any = "relu", dropout: Any = "0") -> dict[str, Any]:
        """Return the arguments of `fastmlp.models.mlp`, checked.

        Parameters
        ----------
        units : str
        activation, dropout : str
            Used where the options are not given.

        Raises
        ------
        click.UsageError
            If a value cannot be; the message names the option.
        """
        from fastmlp import models, regularizers

        found: dict[str, Any] = {}
        with _options.wrong_option("--units"):
            found["units"] = models.parse_units(units)
        n_hidden = len(found["units"])
        for name in ("l1", "l2", "group_l1"):
            with _options.wrong_option(f"--{name.replace('_', '-')}"):
                text = getattr(self, name)
                lambdas = regularizers.parse_lambdas(_given(text, "0"), n_hidden + 1, name)
                found[name] = lambdas
        self._check_penalties(found)
        found |= {"proximal": bool(self.proximal), "groups": self.groups or GROUPS[0]}
        with _options.wrong_option("--activation"):
            names = activation_names(_given(self.activation, activation))
            found["activation"] = models.parse_layer_values(
                "activation", names, n_hidden, "hidden layer"
            )
        with _options.wrong_option("--dropout"):
            rates = [_rate(part) for part in _given(self.dropout, dropout).split(",")]
            found["dropout"] = models.parse_layer_values("dropout", rates, n_hidden, "hidden layer")
        return found

    def penalties(self, units: str) -> dict[str, Any]:
        """Return the arguments of `fastmlp.models.mlp` on penalties; none if none was given."""
        found = self.arguments(units)
        if self.l1 is self.l2 is self.group_l1 is None:
            return {}
        names = ("l1", "l2", "group_l1", "groups", "proximal")
        return {name: found[name] for name in names}

    def _check_penalties(self, found: dict[str, Any]) -> None:
        lambdas = zip(found["l1"], found["l2"], found["group_l1"], strict=True)
        for layer, (l1, l2, group_l1) in enumerate(lambdas, 1):
            if group_l1 and (l1 or l2):
                raise click.UsageError(
                    "--group-l1 cannot be combined with --l1 or --l2 in a layer; layer "
                    f"{layer} has both"
                )
        if self.proximal and not any(found["l1"]):
            raise click.UsageError("--proximal requires --l1")
        if self.groups is not None and not any(found["group_l1"]):
            raise click.UsageError("--groups requires --group-l1")

    @property
    def given(self) -> list[str]:
        """The options that were given."""
        return [name for name, value in vars(self).items() if value is not None]

    def chosen(self) -> dict[str, Any]:
        """Return arguments of `tabular.prepared` for the options that were given."""
        found: dict[str, Any] = {}
        if self.activation is not None:
            with _options.wrong_option("--activation"):
                names = activation_names(self.activation)
            found["activation"] = names[0] if len(names) == 1 else names
        if self.dropout is not None:
            with _options.wrong_option("--dropout"):
                rates = [_rate(part) for part in self.dropout.split(",")]
            found["dropout"] = rates[0] if len(rates) == 1 else rates
        return found


def _given(text: str | None, default: str) -> str:
    return default if text is None else text


def activation_names(text: str) -> list[str]:
    """Return the names of activations, checked."""
    from fastmlp import layers

    return [layers.activation_name(part.strip()) for part in text.split(",")]


def _rate(text: str) -> float:
    try:
        rate = float(text)
    except ValueError:
        rate = -1.0
    if not 0 <= rate < 1:
        raise ValueError(f"dropout must be a rate in [0, 1). Received: {text!r}")
    return rate


def network_with(**changes: dict[str, Any]) -> Callable[[F], F]:
    """Add the options of a network, some with other attributes."""
    return group(NetworkOptions, "network", **changes)


network: Callable[[F], F] = network_with()


# ---- training ----------------------------------------------------------------------------------


@dataclass
class Settings:
    """How to train, with what was decided where no option says it.

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

    @property
    def learning_rate(self) -> float:
        """The learning rate; of a schedule the highest."""
        schedule = self.optimizer.schedule
        if schedule is None:
            return float(self.optimizer.learning_rate)
        config = schedule.get_config()
        names = ("peak", "warmup_target", "initial_learning_rate")
        return next(float(config[name]) for name in names if config.get(name) is not None)


@dataclass
class TrainingOptions:
    """The options that say how to train; None where the default depends on the data."""

    optimizer: str | None = option(
        "--optimizer",
        type=click.Choice(OPTIMIZERS, case_sensitive=False),
        help="Optimizer that trains the weights.  [default: adam]",
    )
    learning_rate: float | None = option(
        "--learning-rate", type=float, help="Learning rate.  [default: the optimizer's own]"
    )
    epochs: int | None = option(
        "--epochs",
        type=click.IntRange(min=1),
        help="Number of passes over the training rows.  [default: 100; on the lecture's data 1000]",
    )
    batch_size: int | None = option(
        "--batch-size",
        type=click.IntRange(min=1),
        help="Number of rows in a batch.  [default: 32; on the lecture's data all]",
    )
    seed: int | None = option("--seed", **_options.seed_option())

    def settings(self, source: _data.Source, validation_every: int | None = None) -> Settings:
        """Return the settings for the data: defaults for a table, or for the lecture's data."""
        from fastmlp import optimizers

        on_lecture = source.data is None
        config: dict[str, Any] = {}
        if self.learning_rate is not None:
            config["learning_rate"] = self.learning_rate
        with _options.wrong_option("--learning-rate"):
            chosen = type(optimizers.get(self.optimizer or "adam"))(**config)
        epochs = self.epochs or (1000 if on_lecture else 100)
        return Settings(
            epochs=epochs,
            batch_size=self.batch_size or (ALL_ROWS if on_lecture else 32),
            validation_every=validation_every or (-(-epochs // 20) if on_lecture else 1),
            seed=_options.given_seed(self.seed),
            optimizer=chosen,
        )


def training(
    seed: str, most: int = 2**63 - 1, changes: dict[str, dict[str, Any]] | None = None
) -> Callable[[F], F]:
    """Add --optimizer to --seed; `seed` is the help of the latter."""
    every = {**(changes or {}), "seed": _options.seed_option(seed, most)}
    return group(TrainingOptions, "training", **every)


def build(network: dict[str, Any], data: _data.Data, settings: Settings) -> Sequential:
    """Return the compiled model for the data.

    Parameters
    ----------
    network : dict
        Arguments of `fastmlp.models.mlp`.
    data : Data
    settings : Settings

    Returns
    -------
    Sequential
    """
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
    if data.reading is not None and (reading := data.reading.to_dict()):
        model.extras["reading"] = reading
    return model
