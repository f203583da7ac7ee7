"""Every decision about a network for a table, in one place: sizes, rates, epochs, held-out rows."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .. import losses, optimizers, schedules
from .._model.architecture import parse_units
from .._utils import arguments
from .._utils.names import EFFORTS, LOSS_ALIASES, LOSSES, SCHEDULES

FEW_ROWS = 500  # below, repeated cross-validation takes the place of one held-out part
MANY_ROWS = 400  # to train on: one network is trained, not those of all folds; it may cost more
FEWEST_ROWS = 10  # below, nothing is held out
SHARE = 0.2  # of the rows, held out
MOST_BINS = 16_384  # of all inputs together, each of which has a weight to every first unit
FOLDS, REPEATS = 5, 2
PATH_WIDEST = 64  # units of a layer
OWN_RATES = ("adam", "adamw")  # optimizers that the rates below are for
UNBOUNDED = 1 << 30  # epochs, where time is the limit
_STRENGTHS = {"regression": 1e-4, "classification": 3e-4}  # of the group penalty on inputs


@dataclass(frozen=True)
class Decisions:
    """How a network for a table is made and trained.

    Parameters
    ----------
    units : tuple of int
    activation : str
    dropout : float
    start : {"data", "glorot"}
        Initial weights: scaled so that every unit varies by 1 over training rows, or Glorot's.
    optimizer : str
    learning_rate : float
        The highest of the schedule.
    schedule : str
        A name in `SCHEDULES`.
    beta_2 : float or None
        Of Adam; None: the optimizer's own.
    weight_decay : float
        Of AdamW, times the rate.
    batch_size, epochs : int
        `epochs` is the most; fewer if an earlier epoch is best on the held-out rows.
    patience : int or None
        Epochs without a better held-out loss after which training stops; None: never.
    clip : float or None
        Largest Euclidean norm of the gradient.
    bins : int
        Of every input, for `layers.PiecewiseLinear`; 0 for none.
    group_l1 : float
        Group penalty on the first layer's weights, a group for each encoded input; the last
        `repeated` epochs are run with it and without it.
    loss : str
        With its number after a colon, such as ``quantile:0.9``.
    validation_split : float
        Share of the rows held out; 0 for none or for rows given otherwise.
    folds, repeats : int
        Of the cross-validation that takes the place of one held-out part; 0 for none.
    effort : {"normal", "high"}
        "high": the mean of a network for each fold, trained on the others; see `_folds`.
    """

    units: tuple[int, ...]
    activation: str
    dropout: float
    start: str
    optimizer: str
    learning_rate: float
    schedule: str
    beta_2: float | None
    weight_decay: float
    batch_size: int
    epochs: int
    patience: int | None
    clip: float | None
    bins: int
    group_l1: float
    loss: str
    validation_split: float
    folds: int
    repeats: int
    effort: str

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values, from which `from_dict` makes the same decisions."""
        return {**dataclasses.asdict(self), "units": list(self.units)}

    @classmethod
    def from_dict(cls, table: Mapping[str, Any]) -> Decisions:
        """Return the decisions that `to_dict` described."""
        # What was not decided in earlier versions.
        earlier = {"bins": 0, "group_l1": 0.0, "effort": "normal"}
        return cls(**{**earlier, **table, "units": tuple(table["units"])})

    def sentence(self, repeated: int = 0) -> str:
        """Say the main decisions in one line.

        Parameters
        ----------
        repeated : int
            Epochs that are run a second time, see `Prepared.repeated`.
        """
        units = shown_units(self.units)
        batches = "one batch" if self.batch_size <= 0 else f"batches of {self.batch_size}"
        limit = "" if self.epochs >= UNBOUNDED else f", at most {self.epochs} epochs"
        if repeated:
            limit += f", the last {repeated} also without penalty"
        if self.effort == "high":
            held = f"the mean of {self.folds} networks, each trained without a fifth of the rows"
        elif self.folds:
            held = f"{self.repeats} x {self.folds}-fold cross-validation chooses the epochs"
        elif self.validation_split:
            held = f"{self.validation_split:.0%} of the rows held out"
        else:
            held = ""
        network = f"{units} {self.activation}, " if units else ""
        if network and self.bins:
            network += f"{self.bins} bins for each number, "
        text = f"{network}{self.optimizer} {self.learning_rate:g}, {batches}{limit}"
        return f"{text}; {held}." if held else f"{text}."

    # ---- the objects that the names stand for ----

    def compiled_optimizer(self, n_rows: int) -> optimizers.Optimizer:
        """Return the optimizer, with a schedule over all epochs on this number of rows."""
        steps = -(-n_rows // self.batch_size)
        config: dict[str, Any] = {"learning_rate": self.rates(steps)}
        if self.beta_2 is not None and self.optimizer in OWN_RATES:
            config["beta_2"] = self.beta_2
        if self.optimizer == "adamw":
            config["weight_decay"] = self.weight_decay
        if self.clip is not None:
            config["global_clipnorm"] = self.clip
        return type(optimizers.get(self.optimizer))(**config)

    def rates(self, steps: int) -> float | schedules.LearningRateSchedule:
        """Return the learning rate, or its schedule, over epochs of this number of steps."""
        if self.epochs >= UNBOUNDED or self.schedule == "constant":
            return self.learning_rate
        total, again = max(1, self.epochs * steps), self.repeated * steps
        return schedule_over(self.schedule, self.learning_rate, total, again)

    @property
    def repeated(self) -> int:
        """Epochs of the schedule's last wave; 0 if there is no wave, or no penalty to take away."""
        waves = self.schedule == "cycles" and self.epochs < UNBOUNDED and self.patience is None
        begin = round(7 / 15 * self.epochs)
        return self.epochs - begin if waves and self.group_l1 and begin else 0


def schedule_over(
    name: str, peak: float, steps: int, again: int = 0
) -> schedules.LearningRateSchedule:
    """Return the schedule of this name with this highest rate, over a number of steps.

    Parameters
    ----------
    name : str
    peak : float
    steps : int
    again : int
        Steps of the end that are run a second time.
    """
    if name == "cosine":
        warmup = steps // 20
        if not warmup:
            return schedules.CosineDecay(peak, steps)
        return schedules.CosineDecay(
            peak / 25, steps - warmup, warmup_target=peak, warmup_steps=warmup
        )
    if name == "linear":
        return schedules.PolynomialDecay(peak, steps, 0.0)
    return schedules.CosineCycles(peak, steps, again=again)


def decide(
    n_rows: int, n_inputs: int, task: str, given: Mapping[str, Any] | None = None
) -> Decisions:
    """Decide how to make and train a network for a table.

    Parameters
    ----------
    n_rows, n_inputs : int
        Rows with a target, and inputs of the network.
    task : {"regression", "classification"}
    given : mapping of str to object, optional
        Fields of `Decisions` that the user has chosen; None is not a choice. Also
        ``max_time``, which leaves the number of epochs open, and ``own_rows``: whether the rows
        to hold out are given otherwise than as a share, so that none is decided.

    Returns
    -------
    Decisions
    """
    chosen = {key: value for key, value in (given or {}).items() if value is not None}
    timed, own_rows = chosen.pop("max_time", None), chosen.pop("own_rows", False)
    n_train, held = n_rows, _held_out(n_rows, chosen.get("validation_split"), own_rows)
    if arguments.one_of("effort", chosen.setdefault("effort", EFFORTS[0]), EFFORTS) == "high":
        _check_effort(n_rows, chosen, timed, own_rows)
        held = {"validation_split": 0.0, "folds": FOLDS, "repeats": 1}
        n_train = max(1, round(n_rows * (1 - 1 / FOLDS)))
    elif timed is not None and held["folds"]:  # the time is for one network
        held = {"validation_split": SHARE, "folds": 0, "repeats": 0}
    if held["validation_split"]:
        n_train = max(1, round(n_rows * (1 - held["validation_split"])))
    if "units" in chosen:
        chosen["units"] = checked_units(chosen["units"])
    optimizer = str(chosen.get("optimizer", "adamw")).lower()
    chosen["optimizer"] = type(optimizers.get(optimizer)).__name__.lower()
    if "schedule" in chosen:
        arguments.one_of("schedule", chosen["schedule"], SCHEDULES)
    if "loss" in chosen:
        chosen["loss"] = checked_loss(chosen["loss"], task)
    regression = task == "regression"
    own = chosen["optimizer"] in OWN_RATES
    rate = float(optimizers.get(chosen["optimizer"]).learning_rate)
    decided: dict[str, Any] = {
        "units": _units(n_train),
        "activation": "silu",
        "dropout": 0.0 if n_train < 200 else 0.1,
        "start": "data",
        "learning_rate": (0.0045 if regression else 0.0025) if own else rate,
        "schedule": "cycles" if own else "cosine",
        "beta_2": 0.95 if own else None,
        "weight_decay": 0.3 if chosen["optimizer"] == "adamw" else 0.0,
        "batch_size": _batch_size(n_train),
        "epochs": UNBOUNDED if timed else _epochs(n_train),
        "patience": None,
        "clip": None,
        "bins": _bins(n_train, n_inputs),
        "group_l1": _STRENGTHS[task],
        "loss": LOSSES[0] if regression else LOG_LOSS,
        **held,
    }
    found = {**decided, **chosen, **held}
    found["batch_size"] = min(found["batch_size"], max(n_train, 1))
    return Decisions(**found)


def _check_effort(n_rows: int, chosen: Mapping[str, Any], timed: Any, own_rows: bool) -> None:
    """Raise ValueError for what the folds of effort="high" leave no place for."""
    given = {
        "validation_split": chosen.get("validation_split") is not None,
        "validation": own_rows,
        "max_time": timed is not None,
    }
    for name, found in given.items():
        if found:
            raise ValueError(
                f"effort='high' and {name} exclude each other: each of {FOLDS} networks is trained "
                "without a part of the rows of its own. Received: both"
            )
    if n_rows < FEWEST_ROWS:
        raise ValueError(
            f"effort='high' needs at least {FEWEST_ROWS} rows with a target. Received: {n_rows}"
        )


def _held_out(n_rows: int, share: float | None, own_rows: bool) -> dict[str, Any]:
    if own_rows:
        return {"validation_split": 0.0, "folds": 0, "repeats": 0}
    if share is not None:
        return {"validation_split": share, "folds": 0, "repeats": 0}
    if n_rows < FEWEST_ROWS:
        return {"validation_split": 0.0, "folds": 0, "repeats": 0}
    if n_rows < FEW_ROWS:
        return {"validation_split": 0.0, "folds": FOLDS, "repeats": REPEATS}
    return {"validation_split": SHARE, "folds": 0, "repeats": 0}


def _units(n: int) -> tuple[int, ...]:
    if n < 150:
        return (32, 32)
    if n < MANY_ROWS:
        return (128, 128)
    return (128, 128, 128) if n < 50_000 else (256, 256, 256)


def _bins(n: int, n_inputs: int) -> int:
    found = min(32, n // 25, MOST_BINS // max(n_inputs, 1)) if n >= 200 else 0
    return found if found > 1 else 0


def path_units(n_rows: int) -> tuple[int, ...]:
    """Return the widths of a path of lambdas, which fits hundreds of networks: small ones."""
    return tuple(min(width, PATH_WIDEST) for width in _units(n_rows)[:2])


def _batch_size(n: int) -> int:
    if n >= 100_000:
        return 512 if n < 500_000 else 1024
    # At least 8 steps an epoch, and of few rows enough steps in all.
    most = 256 if n >= 4000 else 128
    return min(most, max(16, 1 << max(0, (n // 8).bit_length() - 1)))


def _epochs(n: int) -> int:
    fewest = 24 if n < 64_000 else max(8, round(24 * math.sqrt(64_000 / n)))
    most = 128 if n < MANY_ROWS else 256
    # More rows need fewer epochs, for about as many steps; few rows are overfitted by as many.
    share = 4000 / max(n, 1)
    return min(most, max(fewest, round(64 * share ** (0.5 if share > 1 else 0.8))))


# ---- what the user has chosen ------------------------------------------------------------------


def checked_units(given: Any) -> tuple[int, ...]:
    """Return the widths of hidden layers, from text such as "64x2" or a sequence."""
    if isinstance(given, str):
        return tuple(parse_units(given))
    widths = arguments.items("units", given, "widths of hidden layers")
    return tuple(arguments.integer("a width in units", width) for width in widths)


LOG_LOSS = "log_loss"  # of classes: the cross-entropy that suits the number of outputs
_CHOICES = ("mse", "mae", "huber", "poisson", "quantile", LOG_LOSS)


def checked_loss(text: Any, task: str) -> str:
    """Return the full name of a loss that fits the task, with its number after a colon."""
    written = str(text).strip().lower().replace("log loss", LOG_LOSS).replace("log-", "log_")
    name, colon, number = written.partition(":")
    name = LOSS_ALIASES.get(name, name)
    if name not in (LOG_LOSS, *LOSSES) or name.endswith("crossentropy"):
        raise arguments.unknown("loss", name, _CHOICES)
    if (name == LOG_LOSS) != (task == "classification"):
        fits = "log_loss" if task == "classification" else "mse, mae, huber, poisson or quantile"
        raise ValueError(f"loss of a {task} must be {fits}. Received: loss={text!r}")
    if name in ("quantile", "huber"):
        default = "0.5" if name == "quantile" else "1"
        try:
            value = float(number if colon else default)
        except ValueError:
            raise ValueError(
                f"the number after {name}: must be a number. Received: loss={text!r}"
            ) from None
        losses.Quantile(value) if name == "quantile" else losses.Huber(value)
        return f"{name}:{value:g}"
    if colon:
        raise ValueError(
            f"only quantile and huber take a number, as in quantile:0.9. Received: loss={text!r}"
        )
    return name


def loss_object(name: str, n_outputs: int) -> losses.Loss:
    """Return the loss of `Decisions.loss`, for a network with this number of outputs."""
    base, _, number = name.partition(":")
    if base == "quantile":
        return losses.Quantile(float(number))
    if base == "huber":
        return losses.Huber(float(number))
    if base == LOG_LOSS:
        base = "bce" if n_outputs == 1 else losses.SPARSE
    return losses.get(base)


def seconds(value: Any) -> float:
    """Return a duration in seconds, from a number or text such as ``90``, ``10m`` and ``1.5h``."""
    text = str(value).strip().lower()
    factor = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}.get(text[-1:], 0.0)
    try:
        found = float(text[:-1]) * factor if factor else float(text)
    except ValueError:
        found = -1.0
    if not (math.isfinite(found) and found > 0) or isinstance(value, bool):
        raise ValueError(
            "max_time must be seconds, or such as '90s', '10m' or '2h'. "
            f"Received: max_time={arguments.shown(value)}"
        )
    return found


def shown_units(units: tuple[int, ...]) -> str:
    """Write widths as the option --units takes them: 256x3, or 64,32."""
    if len(units) > 1 and len(set(units)) == 1:
        return f"{units[0]}x{len(units)}"
    return ",".join(map(str, units))
