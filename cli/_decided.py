"""Options of a training on a table; whatever is not given is decided from the table."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import click

from fastmlp._utils.names import SCHEDULES

from . import _options
from ._groups import group, option

if TYPE_CHECKING:
    from fastmlp.tabular import Prepared

    from ._data import Source, Validation
    from ._training import NetworkOptions, TrainingOptions

F = TypeVar("F", bound=Callable[..., Any])


@dataclass
class TableOptions:
    """The options of a training on DATA that the lecture's data do not take."""

    loss: str | None = option(
        "--loss",
        metavar="NAME",
        help="What training makes small: mse, mae, huber or huber:DELTA, poisson for counts, or "
        "quantile:LEVEL, whose predictions are that quantile; log_loss for classes.  [default: "
        "mse; log_loss]",
    )
    metrics: tuple[str, ...] = option(
        "--metric",
        metavar="NAME",
        multiple=True,
        help="Report this metric for each epoch beside the loss; repeatable.  [default: mse; "
        "accuracy]",
    )
    class_weight: str | None = option(
        "--class-weight",
        metavar="WEIGHTS",
        help="Weights of the classes in training: balanced, or such as no:1,yes:5.",
    )
    weight: str | None = option(
        "--weight", metavar="COLUMN", help="Weight rows by this column, which is not an input."
    )
    patience: int | None = option(
        "--patience",
        metavar="N",
        type=click.IntRange(min=0),
        help="Stop after N epochs without a smaller held-out loss.  [default: never; the best "
        "epoch is kept in any case]",
    )
    schedule: str | None = option(
        "--schedule",
        type=click.Choice(SCHEDULES),
        help="Learning rate over the epochs, at most --learning-rate: waves that get longer, one "
        "cosine, a line, or constant.  [default: cycles]",
    )
    clip: float | None = option(
        "--clip",
        metavar="NORM",
        type=click.FloatRange(min=0, min_open=True),
        help="Scale gradients down to this norm.",
    )
    max_time: str | None = option(
        "--max-time",
        metavar="TIME",
        help="Train for this time, such as 90s, 10m or 2h, and keep the best epoch.",
    )
    group: str | None = option(
        "--group",
        metavar="COLUMN",
        help="Hold out whole groups: rows with the same value of this column stay together. It is "
        "not an input.",
    )
    time: str | None = option(
        "--time",
        metavar="COLUMN",
        help="Hold out the latest rows by this column of numbers or dates.",
    )
    refit: bool = option(
        "--refit",
        is_flag=True,
        help="Then train on all rows, for the number of epochs that was best.",
    )
    interval: float | None = option(
        "--interval",
        metavar="LEVEL",
        type=float,
        help="Keep what prediction intervals of this level need, such as 0.9, from the rows held "
        "out; predict then writes them.",
    )
    threshold: str | None = option(
        "--threshold",
        metavar="P",
        help="Probability of the second class above which it is predicted: a number, or accuracy, "
        "balanced_accuracy or f1 for the one that is best on the rows held out.  [default: 0.5]",
    )
    cost: str | None = option(
        "--cost",
        metavar="COSTS",
        help="Costs of a false positive and a false negative, fp:1,fn:10; the threshold is the "
        "cheapest on the rows held out.",
    )
    find_rate: bool = option(
        "--find-rate",
        is_flag=True,
        help="Print and draw the loss over rising learning rates, and suggest one; do not train. "
        "--plot DIR also writes the figure.",
    )

    @property
    def given(self) -> list[str]:
        """The options that were given, as they are written."""
        names = {"metrics": "metric"}
        return [
            f"--{names.get(name, name).replace('_', '-')}"
            for name, value in vars(self).items()
            if value not in (None, (), False)
        ]

    def refuse(self, why: str, *allowed: str) -> None:
        """Fail if an option was given, other than those allowed."""
        for name in self.given:
            if name not in allowed:
                raise click.UsageError(f"{name} {why}")

    @property
    def wanted(self) -> Any:
        """What the model is to answer, as `tabular.answer` takes it."""
        from fastmlp import tabular

        return tabular.Wanted(self.interval, self.threshold, self.cost)


table_options: Callable[[F], F] = group(TableOptions, "options")


def keywords(
    source: Source,
    options: TableOptions,
    network: NetworkOptions,
    training: TrainingOptions,
    held_out: Validation,
    units: str | None,
) -> dict[str, Any]:
    """Return the arguments of `tabular.prepared` that the options name.

    Parameters
    ----------
    source : Source
    options : TableOptions
    network : NetworkOptions
    training : TrainingOptions
    held_out : Validation
    units : str or None

    Returns
    -------
    dict
    """
    found: dict[str, Any] = {"task": source.task, **source.described, **source.reading.keywords}
    for name in ("loss", "class_weight", "weight", "patience", "schedule", "clip", "max_time",
                 "group", "time"):  # fmt: skip
        found[name] = getattr(options, name)
    found["metrics"] = list(options.metrics) or None
    for name in ("optimizer", "learning_rate", "batch_size", "epochs"):
        found[name] = getattr(training, name)
    found |= {"units": units, "validation_split": held_out.validation_split}
    found |= {"validation": held_out.validation, **network.chosen()}
    return {name: value for name, value in found.items() if value is not None}


def resolved(prepared: Prepared) -> dict[str, Any]:
    """Return what was decided, by the names of the options in the code."""
    from fastmlp.tabular import UNBOUNDED, shown_units

    decisions = prepared.decisions
    found: dict[str, Any] = {
        "units": shown_units(decisions.units),
        "activation": _text(decisions.activation),
        "dropout": None if prepared.dropouts else _text(decisions.dropout),
        "optimizer": decisions.optimizer,
        "learning_rate": decisions.learning_rate,
        "schedule": decisions.schedule,
        "batch_size": decisions.batch_size,
        "epochs": None if decisions.epochs >= UNBOUNDED else decisions.epochs,
        "patience": decisions.patience,
        "clip": decisions.clip,
        "loss": decisions.loss,
        # Folds are decided anew from the number of rows; a share would take their place.
        "validation_split": None if decisions.folds else decisions.validation_split,
    }
    return found


def _text(value: Any) -> str:
    return ",".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)


def comments(prepared: Prepared) -> str:
    """Return lines of a TOML file about decisions that no option makes."""
    decisions = prepared.decisions
    # Target and task are keys of the file, so that there is nothing to note the next time.
    notes = [line for line in prepared.notes if not line.startswith(("Target:", "Task:"))]
    lines = [prepared.decisions.sentence(), *notes]
    lines.append(f"Initial weights: {decisions.start}; weight decay {decisions.weight_decay:g} "
                 f"times the rate; beta_2 {decisions.beta_2}.")  # fmt: skip
    if prepared.dropouts:
        rates = " or ".join(f"{rate:g}" for rate in prepared.dropouts)
        lines.append(f"Dropout: {rates}, by the held-out loss of half the epochs.")
    lines.append(f"{len(prepared.y)} rows, {prepared.preprocessing.n_inputs} inputs.")
    return "".join(f"# {' '.join(line.split())}\n" for line in lines)


def prepared(path: str, source: Source, seed: int, options: dict[str, Any]) -> Prepared:
    """Read and prepare the table that the options name; wrong values are wrong options."""
    from fastmlp import tabular

    with _options.library_call():
        return tabular.prepared(path, list(source.target) or None, seed=seed, **options)
