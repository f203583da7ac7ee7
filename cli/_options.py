"""Options that several commands share, and the lists that shells complete."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import click
from click.shell_completion import CompletionItem

from ._output import Failure, Messages

F = TypeVar("F", bound=Callable[..., Any])

# Restated here, and compared by a test, because the library's own lists come with NumPy.
ACTIVATIONS = (
    "linear",
    "relu",
    "leaky_relu",
    "elu",
    "gelu",
    "silu",
    "tanh",
    "sigmoid",
    "softplus",
    "softmax",
)
GROUPS = ("units", "inputs")
OPTIMIZERS = ("sgd", "rmsprop", "adagrad", "adam", "adamw")
TASKS = ("regression", "classification")


def _combine(*options: Callable[[F], F]) -> Callable[[F], F]:
    def decorate(function: F) -> F:
        for option in reversed(options):
            function = option(function)
        return function

    return decorate


def common(function: F) -> F:
    """Add -q and -v."""
    return _combine(
        click.option("-q", "--quiet", is_flag=True, help="No notes and no progress."),
        click.option("-v", "--verbose", is_flag=True, help="More notes."),
    )(function)


def messages(quiet: bool, verbose: bool) -> Messages:
    """Return what -q and -v ask for."""
    if quiet and verbose:
        raise click.UsageError("--quiet and --verbose exclude each other")
    return Messages(quiet, verbose)


def _use_threads(ctx: click.Context, param: click.Parameter, value: int | None) -> int | None:
    if value is not None and not ctx.resilient_parsing:
        import fastmlp

        try:
            fastmlp.set_num_threads(value)
        except ValueError as error:
            raise click.BadParameter(str(error), ctx, param) from None
    return value


threads: Callable[[F], F] = click.option(
    "--threads",
    type=click.IntRange(min=1),
    expose_value=False,
    callback=_use_threads,
    help="Threads to use, even above the number of processors.  [default: OMP_NUM_THREADS, "
    "else one a processor this process may use]",
)
jobs: Callable[[F], F] = click.option(
    "--jobs",
    type=click.IntRange(min=1),
    metavar="N",
    help="Work in N processes, each with --threads.  [default: threads of this one]",
)
cluster: Callable[[F], F] = click.option(
    "--cluster",
    metavar="ADDRESS",
    help="Work on a Dask cluster, tcp://scheduler:8786; --threads of each worker.  [default: this "
    "machine]",
)
as_json: Callable[[F], F] = click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON document instead of tables."
)
force: Callable[[F], F] = click.option(
    "--force", is_flag=True, help="Replace output files that exist."
)
target: Callable[[F], F] = click.option("--target", metavar="COLUMN", help="The column to predict.")
drop: Callable[[F], F] = click.option(
    "--drop",
    metavar="COLUMN",
    multiple=True,
    help="Leave out a column that was not there in training; repeatable.",
)


@contextlib.contextmanager
def library_call() -> Iterator[None]:
    """Turn complaints about arguments, which are options, into code 2; of workers into code 1."""
    from fastmlp.errors import DataError, DivergedError, ModelFileError

    try:
        yield
    except (DataError, DivergedError, ModelFileError):
        raise
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    except (ConnectionError, RuntimeError) as error:
        raise Failure(str(error)) from error


def given_seed(seed: int | None) -> int:
    """Return the seed, drawn if none was given."""
    import secrets

    return secrets.randbits(31) if seed is None else seed


def complete_names(
    names: tuple[str, ...],
) -> Callable[[click.Context, click.Parameter, str], list[CompletionItem]]:
    """Complete the last of a comma-separated list of names."""

    def complete(
        ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        before, comma, last = incomplete.rpartition(",")
        return [CompletionItem(before + comma + name) for name in names if name.startswith(last)]

    return complete


def units(required: bool) -> Callable[[F], F]:
    """Add --units."""
    return click.option(
        "--units",
        required=required,
        metavar="WIDTHS",
        help="Hidden layers' widths: 1024x5, or 64,32,16.",
    )


def penalties(function: F) -> F:
    """Add --l1, --l2, --group-l1 and what goes with them."""
    return _combine(
        click.option(
            "--l1",
            metavar="LAMBDAS",
            help="L1 penalty on weights: one for all layers, or one a layer, output included.",
        ),
        click.option("--l2", metavar="LAMBDAS", help="L2 penalty on weights, likewise."),
        click.option(
            "--proximal",
            is_flag=True,
            default=None,
            help="Take --l1 by proximal steps: weights become exactly zero.",
        ),
        click.option(
            "--group-l1",
            metavar="LAMBDAS",
            help="Group penalty, likewise: whole units become zero.  A layer has this or the "
            "others.",
        ),
        click.option(
            "--groups",
            type=click.Choice(GROUPS, case_sensitive=False),
            help="A group is a unit's incoming weights, or an input's outgoing ones; on the first "
            "layer the latter selects inputs.  [default: units]",
        ),
    )(function)


def columns(standardized: bool = False) -> Callable[[F], F]:
    """Add the options that say what a table's columns are: those of `_data.Columns`.

    Parameters
    ----------
    standardized : bool
        Whether numbers are scaled unless --no-standardize says not to.
    """
    scaled = "Scale numbers, a regression target too, to mean 0 and deviation 1"
    return _combine(
        click.option(
            "--target", metavar="COLUMN", help="What to predict.  [default: the last column]"
        ),
        click.option(
            "--task",
            type=click.Choice(TASKS),
            help="[default: decided from the target: text or two whole numbers are classes]",
        ),
        click.option(
            "--categorical", metavar="COLUMN", multiple=True, help="Not numbers; repeatable."
        ),
        click.option("--drop", metavar="COLUMN", multiple=True, help="Leave out; repeatable."),
        click.option(
            "--standardize/--no-standardize" if standardized else "--standardize",
            default=standardized,
            is_flag=True,
            help=f"{scaled}.  [default: standardize]"
            if standardized
            else f"{scaled}; predictions and mse come back in the target's units.",
        ),
        click.option(
            "--impute",
            type=click.Choice(["mean", "median"]),
            help="Replace missing numbers so, missing categories by the most frequent.  "
            "[default: missing values are an error]",
        ),
        click.option(
            "--indicator",
            is_flag=True,
            help="With --impute: one more input for each column with missing values, 1 where one "
            "is.",
        ),
    )


def check_columns(impute: str | None, indicator: bool) -> None:
    """Refuse --indicator where missing values are an error."""
    if indicator and impute is None:
        raise click.UsageError("--indicator needs --impute; without, missing values are an error")


def lecture(text: str) -> Callable[[F], F]:
    """Add --data, as the argument lecture."""
    return click.option("--data", "lecture", type=click.Choice(TASKS), help=text)


def seed(what: str, most: int = 2**63 - 1) -> Callable[[F], F]:
    """Add --seed; `what` says of what."""
    return click.option(
        "--seed",
        type=click.IntRange(min=0, max=most),
        help=f"{what}  [default: drawn, and recorded]",
    )


def held_out(share: float | None = 0.0, more: str = "") -> Callable[[F], F]:
    """Add --validation-split, by default `share`, and --validation."""
    return _combine(
        click.option(
            "--validation-split",
            type=click.FloatRange(0, 1, max_open=True),
            default=share,
            help=f"Share of the rows to hold out, drawn at random.{more}",
        ),
        click.option("--validation", metavar="DATA", help="A file to validate on."),
    )


def training(function: F) -> F:
    """Add --optimizer, --learning-rate, --epochs and --batch-size."""
    return _combine(
        click.option(
            "--optimizer",
            type=click.Choice(OPTIMIZERS, case_sensitive=False),
            default="adam",
            show_default=True,
        ),
        click.option("--learning-rate", type=float, help="[default: the optimizer's]"),
        click.option("--epochs", type=click.IntRange(min=1), help="[default: 1000, with DATA 100]"),
        click.option(
            "--batch-size", type=click.IntRange(min=1), help="[default: all, with DATA 32]"
        ),
    )(function)


activation: Callable[[F], F] = click.option(
    "--activation",
    metavar="NAMES",
    shell_complete=complete_names(ACTIVATIONS),
    help=f"Of hidden layers: one for all or one a layer; {', '.join(ACTIVATIONS)}."
    "  [default: relu]",
)
dropout: Callable[[F], F] = click.option(
    "--dropout",
    metavar="RATES",
    help="Dropout after hidden layers: one rate for all or one a layer.  [default: 0]",
)


def file_argument(name: str, required: bool = True) -> Callable[[F], F]:
    """Add an argument that names a file, completed as one; the library checks that it is there."""

    def complete(
        ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        return [CompletionItem(incomplete, type="file")]

    return click.argument(name, required=required, shell_complete=complete)


@contextlib.contextmanager
def wrong_option(hint: str) -> Iterator[None]:
    """Turn the library's complaint about a value into Click's, exit code 2."""
    try:
        yield
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint=f"'{hint}'") from error


def parse_network(
    units: str,
    l1: str | None,
    l2: str | None,
    activation: str | None,
    dropout: str | None,
    proximal: bool | None = None,
    group_l1: str | None = None,
    groups: str | None = None,
) -> dict[str, Any]:
    """Check the options that describe a network; exit code 2 with whatever is wrong in them.

    Returns
    -------
    dict
        Arguments of `fastmlp.models.mlp`.
    """
    from fastmlp import layers, models, regularizers

    network: dict[str, Any] = {}
    with wrong_option("--units"):
        network["units"] = models.parse_units(units)
    n_hidden = len(network["units"])
    for name, text in (("l1", l1), ("l2", l2), ("group_l1", group_l1)):
        with wrong_option(f"--{name.replace('_', '-')}"):
            network[name] = regularizers.parse_lambdas(_given(text, "0"), n_hidden + 1, name)
    _check_penalties(network, proximal, groups)
    network |= {"proximal": bool(proximal), "groups": groups or "units"}
    with wrong_option("--activation"):
        names = [
            layers.activation_name(part.strip()) for part in _given(activation, "relu").split(",")
        ]
        network["activation"] = models.parse_layer_values(
            "activation", names, n_hidden, "hidden layer"
        )
    with wrong_option("--dropout"):
        rates = [_rate(part) for part in _given(dropout, "0").split(",")]
        network["dropout"] = models.parse_layer_values("dropout", rates, n_hidden, "hidden layer")
    return network


def _check_penalties(network: dict[str, Any], proximal: bool | None, groups: str | None) -> None:
    lambdas = zip(network["l1"], network["l2"], network["group_l1"], strict=True)
    for layer, (l1, l2, group) in enumerate(lambdas, 1):
        if group and (l1 or l2):
            raise click.UsageError(
                f"--group-l1 goes without --l1 and --l2 in a layer; layer {layer} has both"
            )
    if proximal and not any(network["l1"]):
        raise click.UsageError("--proximal says how --l1 is taken, which is not given")
    if groups is not None and not any(network["group_l1"]):
        raise click.UsageError("--groups says what --group-l1 is about, which is not given")


def _given(text: str | None, default: str) -> str:
    return default if text is None else text


def _rate(text: str) -> float:
    try:
        rate = float(text)
    except ValueError:
        rate = -1.0
    if not 0 <= rate < 1:
        raise ValueError(f"dropout must be a rate in [0, 1). Received: {text!r}")
    return rate
