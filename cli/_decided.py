"""Options of a training on a table; whatever is not given is decided from the table."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import click

from fastmlp._utils.names import ACTIVATIONS, EFFORTS, SCHEDULES

from . import _options
from ._groups import group, option

if TYPE_CHECKING:
    from fastmlp.tabular import Prepared

    from ._data import Source, Validation
    from ._training import NetworkOptions, TrainingOptions

F = TypeVar("F", bound=Callable[..., Any])

# What help says of options whose defaults are decided.
NETWORK = {
    "activation": {
        "help": "Activation of the hidden layers, one for all or one for each: "
        f"{', '.join(ACTIVATIONS)}.  [default: silu; on the lecture's data relu]"
    },
    "dropout": {
        "help": "Dropout rate after the hidden layers, one for all or one for each.  [default: 0.1;"
        " with few rows, and on the lecture's data, 0]"
    },
}
TRAINING = {
    "optimizer": {
        "help": "Optimizer that trains the weights.  [default: adamw; on the lecture's data adam]"
    },
    "learning_rate": {
        "help": "Learning rate, at the maximum of the schedule.  [default: 0.0045 for regression, "
        "0.0025 for classification; for other optimizers, and on the lecture's data, the "
        "optimizer's default]"
    },
    "epochs": {
        "help": "Maximum number of passes over the training rows.  [default: 24 to 128, depending "
        "on the number of rows; on the lecture's data 1000]"
    },
    "batch_size": {
        "help": "Number of rows in a batch.  [default: 16 to 1024, depending on the number of rows;"
        " on the lecture's data all]"
    },
}


@dataclass
class TableOptions:
    """The options of a training on DATA that the lecture's data do not take."""

    loss: str | None = option(
        "--loss",
        metavar="NAME",
        help="Loss to minimise: mse, mae, huber or huber:DELTA, poisson for counts, or "
        "quantile:LEVEL to predict that quantile; log_loss for classes.  [default: mse, or "
        "log_loss for classes]",
    )
    metrics: tuple[str, ...] = option(
        "--metric",
        metavar="NAME",
        multiple=True,
        help="Also record this metric in each epoch; repeatable.  [default: mse, or accuracy for "
        "classes]",
    )
    bins: int | None = option(
        "--bins",
        metavar="N",
        type=click.IntRange(min=0),
        help="Add a piecewise linear encoding of each number with N bins between quantiles; 0 "
        "for none.  [default: 32; fewer with fewer than 800 rows or more than 512 inputs]",
    )
    effort: str | None = option(
        "--effort",
        type=click.Choice(EFFORTS),
        help="high: average the five networks of a 5-fold cross-validation, for a smaller error "
        "at several times the cost.  [default: normal]",
    )
    class_weight: str | None = option(
        "--class-weight",
        metavar="WEIGHTS",
        help="Weights of the classes in the loss: balanced, or a weight for each class such as "
        "no:1,yes:5.",
    )
    weight: str | None = option(
        "--weight", metavar="COLUMN", help="Column of sample weights; it is not used as an input."
    )
    patience: int | None = option(
        "--patience",
        metavar="N",
        type=click.IntRange(min=0),
        help="Early stopping: stop after N epochs without a smaller validation loss.  [default: "
        "never; the best epoch is kept in any case]",
    )
    schedule: str | None = option(
        "--schedule",
        type=click.Choice(SCHEDULES),
        help="Learning-rate schedule, with --learning-rate as its maximum: cosine cycles of "
        "growing length, one cosine, linear, or constant.  [default: cycles]",
    )
    clip: float | None = option(
        "--clip",
        metavar="NORM",
        type=click.FloatRange(min=0, min_open=True),
        help="Clip the norm of the gradient to this value.",
    )
    max_time: str | None = option(
        "--max-time",
        metavar="TIME",
        help="Time limit for training, such as 90s, 10m or 2h; the best epoch is kept.",
    )
    group: str | None = option(
        "--group",
        metavar="COLUMN",
        help="Group column: rows with the same value are either all held out or all trained on. "
        "It is not used as an input.",
    )
    time: str | None = option(
        "--time",
        metavar="COLUMN",
        help="Time column (numbers or dates): hold out the latest rows.",
    )
    refit: bool = option(
        "--refit",
        is_flag=True,
        help="After validation, train again on all rows for the best number of epochs.",
    )
    interval: float | None = option(
        "--interval",
        metavar="LEVEL",
        type=float,
        help="Compute prediction intervals of this level, such as 0.9, from the validation rows; "
        "predict then writes them.",
    )
    threshold: str | None = option(
        "--threshold",
        metavar="P",
        help="Probability threshold for predicting the second class: a number, or the metric "
        "that the threshold should maximise on the validation rows: accuracy, balanced_accuracy "
        "or f1.  [default: 0.5]",
    )
    cost: str | None = option(
        "--cost",
        metavar="COSTS",
        help="Costs of a false positive and a false negative, such as fp:1,fn:10; the threshold "
        "minimises the cost on the validation rows.",
    )
    find_rate: bool = option(
        "--find-rate",
        is_flag=True,
        help="Learning-rate finder: print and draw the loss against the learning rate, and "
        "suggest a rate; do not train. --plot DIR also writes the figure.",
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


@dataclass
class SharedOptions:
    """Those of TableOptions that hold for each of many networks; filled below."""

    @property
    def keywords(self) -> dict[str, Any]:
        """Arguments of `tabular.prepared`."""
        return {name: value for name, value in vars(self).items() if value is not None}

    def refuse(self, why: str) -> None:
        """Fail if an option was given."""
        for name in self.keywords:
            raise click.UsageError(f"--{name.replace('_', '-')} {why}")


SHARED = ("bins", "loss", "class_weight", "weight", "patience", "schedule", "clip", "group", "time")


def shared_options(*names: str) -> Callable[[F], F]:
    """Add some of the options of `TableOptions`, as the argument options."""
    fields = {field.name: field for field in dataclasses.fields(TableOptions)}
    own: list[Any] = [
        (n, Any, dataclasses.field(default=None, metadata=fields[n].metadata)) for n in names
    ]
    kind = dataclasses.make_dataclass("SharedOptions", own, bases=(SharedOptions,))
    return group(kind, "options")


def table_keywords(source: Source) -> dict[str, Any]:
    """Return the keywords that describe the file and its columns."""
    found = {"task": source.task, **source.described, **source.reading.keywords}
    return {name: value for name, value in found.items() if value is not None}


def given_options(*groups: Any) -> dict[str, Any]:
    """Return the options of groups that differ from their defaults, by their keys in a file."""
    found: dict[str, Any] = {}
    for one in groups:
        for field in dataclasses.fields(one):
            value = getattr(one, field.name)
            flags = field.metadata.get("flags")
            if flags and value not in (field.default, None, ()):
                key = flags[-1].split("/")[0].lstrip("-")
                found[key] = list(value) if isinstance(value, tuple) else value
    return found


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
                 "bins", "group", "time", "effort"):  # fmt: skip
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
        "dropout": _text(decisions.dropout),
        "bins": decisions.bins,
        "optimizer": decisions.optimizer,
        "learning_rate": decisions.learning_rate,
        "schedule": decisions.schedule,
        "batch_size": decisions.batch_size,
        "epochs": None if decisions.epochs >= UNBOUNDED else decisions.epochs,
        **_penalty(prepared),
        "patience": decisions.patience,
        "clip": decisions.clip,
        "loss": decisions.loss,
        "effort": None if decisions.effort == EFFORTS[0] else decisions.effort,
        # Folds are decided anew from the number of rows; a share would take their place.
        "validation_split": None if decisions.folds else decisions.validation_split,
    }
    return found


def _penalty(prepared: Prepared) -> dict[str, Any]:
    if prepared.own_penalty or prepared.repeated:
        return {}
    rest = [0.0] * len(prepared.decisions.units)
    lambdas = ",".join(f"{value:g}" for value in [prepared.decisions.group_l1, *rest])
    return {"group_l1": lambdas, "groups": "inputs"}


def described(source: Source) -> dict[str, Any]:
    """Return how columns are treated, by the names of the options in the code."""
    return {
        "standardize": True,
        "impute": "median",
        "indicator": source.impute != "none",
        "max_categories": 64,
        "unknown": "ignore",
    }


def _text(value: Any) -> str:
    return ",".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)


def comments(prepared: Prepared) -> str:
    """Return lines of a TOML file about decisions that no option makes."""
    decisions = prepared.decisions
    # Target and task are options of the file.
    notes = [note for note in prepared.notes if not note.startswith(("Target: ", "Task: "))]
    lines = [prepared.sentence(), *notes]
    lines.append(f"Initial weights: {decisions.start}; weight decay {decisions.weight_decay:g} "
                 f"times the rate; beta_2 {decisions.beta_2}.")  # fmt: skip
    if prepared.repeated:
        lines.append(
            f"Group penalty on inputs: {decisions.group_l1:g}; in the last {prepared.repeated} "
            "epochs that or none, by the held-out loss."
        )
    lines.append(f"{len(prepared.y)} rows, {prepared.preprocessing.n_inputs} inputs.")
    return "".join(f"# {' '.join(line.split())}\n" for line in lines)


def prepared(path: str, source: Source, seed: int, options: dict[str, Any]) -> Prepared:
    """Read and prepare the table that the options name; wrong values are wrong options."""
    from fastmlp import tabular

    with _options.library_call():
        return tabular.prepared(path, list(source.target) or None, seed=seed, **options)
