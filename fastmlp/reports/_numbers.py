"""The numbers of a report: plain values, which need no page and no figure."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True)
class MetricNumbers:
    """A figure of quality on the rows of the report, and on those held out from training.

    Parameters
    ----------
    name : str
        As `TableModel.evaluate` names it.
    label : str
        As tables show it.
    value, low, high : float
        On the table, with the ends of a 95% interval; NaN without a table.
    network, constant, linear : float
        Of the model, of a constant and of a linear model, on the rows held out from training; if
        none were, on the table. NaN where unknown.
    error : float
        Standard error of `network`.
    """

    name: str
    label: str
    value: float = math.nan
    low: float = math.nan
    high: float = math.nan
    network: float = math.nan
    constant: float = math.nan
    linear: float = math.nan
    error: float = math.nan


@dataclass(frozen=True)
class ThresholdNumbers:
    """How many rows each threshold of the second class gets right and wrong.

    Parameters
    ----------
    thresholds : list of float
        In increasing order. A row above a threshold is predicted as the second class.
    true_positives, false_positives : list of int
        For each threshold.
    positives, negatives : int
        Rows of the second and of the first class.
    chosen : int
        Place of the model's own threshold.
    cost_fp, cost_fn : float
        Of the model, or 1.
    rule : str
        How the model's threshold was chosen; empty for 0.5.
    """

    thresholds: list[float]
    true_positives: list[int]
    false_positives: list[int]
    positives: int
    negatives: int
    chosen: int
    cost_fp: float = 1.0
    cost_fn: float = 1.0
    rule: str = ""

    @property
    def confusion(self) -> tuple[tuple[int, int], tuple[int, int]]:
        """Rows by true and predicted class, at the model's own threshold."""
        tp, fp = self.true_positives[self.chosen], self.false_positives[self.chosen]
        return (self.negatives - fp, fp), (self.positives - tp, tp)

    @property
    def cost(self) -> float:
        """The cost of all rows at the model's own threshold."""
        (_, fp), (fn, _) = self.confusion
        return fp * self.cost_fp + fn * self.cost_fn


@dataclass(frozen=True)
class ColumnNumbers:
    """An input column: what it is, how important, and how it differs from the training.

    Parameters
    ----------
    name, kind : str
    importance, deviation : float
        How much worse a metric gets when the column is shuffled; standard deviation over shuffles.
    missing, trained_missing : float
        Share of missing cells in the table and in training, if the column has an indicator.
    unknown : float
        Share of cells whose category training did not see.
    psi, ks : float
        See `tabular.Drift`. NaN where unknown.
    drift : str
        'none', 'some' or 'large'; empty if unknown.
    """

    name: str
    kind: str
    importance: float = math.nan
    deviation: float = math.nan
    missing: float = math.nan
    trained_missing: float = math.nan
    unknown: float = math.nan
    psi: float = math.nan
    ks: float = math.nan
    drift: str = ""


@dataclass(frozen=True)
class SliceNumbers:
    """Rows that share a range or a category of a column, and the loss on them.

    Parameters
    ----------
    column, label : str
    rows : int
    loss, others : float
        Mean loss of these rows, and of all other rows.
    z : float
        Difference in standard errors.
    """

    column: str
    label: str
    rows: int
    loss: float
    others: float
    z: float


@dataclass(frozen=True)
class WorstRow:
    """A row with one of the largest losses.

    Parameters
    ----------
    row : int
        Of the table, from 1.
    truth, predicted : str
    loss : float
    values : list of str
        Of the columns `ReportNumbers.worst_columns`, as the table has them.
    """

    row: int
    truth: str
    predicted: str
    loss: float
    values: list[str]


@dataclass(frozen=True)
class LayerNumbers:
    """A dense layer of the network.

    Parameters
    ----------
    name, activation : str
    units, weights, zeros : int
        `zeros` is the number of weights that are exactly 0.
    dead : float
        Share of units that are zero for every row; NaN without a table.
    verdict : str
        'ok', or what is wrong; empty without a table.
    penalty : str
        Its lambdas, such as 'l2 0.001'.
    change_points : int or None
        For the first layer of a network of one input with ReLU units: how many units turn on or
        off within the range of the table's rows.
    """

    name: str
    activation: str
    units: int
    weights: int
    zeros: int
    dead: float = math.nan
    verdict: str = ""
    penalty: str = ""
    change_points: int | None = None


@dataclass(frozen=True)
class MemberNumbers:
    """A network of an ensemble.

    Parameters
    ----------
    number : int
        From 1.
    seed : int
    loss : float
        Its mean loss on the table; NaN without one.
    """

    number: int
    seed: int
    loss: float = math.nan


@dataclass(frozen=True)
class TargetNumbers:
    """How well one target is predicted.

    Parameters
    ----------
    name : str
    metrics : list of MetricNumbers
    classes_table : list of dict
        See `tabular.per_class`.
    threshold : ThresholdNumbers or None
        Of two classes.
    coverage : dict
        'level', 'coverage' and 'width' or 'classes' of the model's intervals or sets.
    loss_name : str
        The loss of slices, worst rows and members.
    slices : list of SliceNumbers
    worst_columns : list of str
    worst : list of WorstRow
    """

    name: str
    metrics: list[MetricNumbers] = field(default_factory=list)
    classes_table: list[dict[str, Any]] = field(default_factory=list)
    threshold: ThresholdNumbers | None = None
    coverage: dict[str, float] = field(default_factory=dict)
    loss_name: str = "loss"
    slices: list[SliceNumbers] = field(default_factory=list)
    worst_columns: list[str] = field(default_factory=list)
    worst: list[WorstRow] = field(default_factory=list)


@dataclass(frozen=True)
class LambdaNumbers:
    """The path of lambdas that a model was chosen from, from the largest lambda.

    Parameters
    ----------
    penalty, measure : str
    lambdas, cv_mean, cv_se, train : list of float
        Each lambda, its cross-validated error with its standard error, and the error on all rows.
    n_nonzero, n_live, n_inputs : list of int
        Nonzero weights, live hidden units and inputs in use.
    null : float
        The error of the best constant.
    folds : int
    index, index_min, index_1se : int
        Places of the model's lambda and of both choices.
    names : list of str
        The inputs with the largest weights.
    norms : list of list of float
        For each lambda, the norm of the weights from each of `names`.
    """

    penalty: str
    measure: str
    lambdas: list[float]
    cv_mean: list[float]
    cv_se: list[float]
    train: list[float]
    n_nonzero: list[int]
    n_live: list[int]
    n_inputs: list[int]
    null: float
    folds: int
    index: int
    index_min: int
    index_1se: int
    names: list[str]
    norms: list[list[float]]


@dataclass(frozen=True)
class ReportNumbers:
    """All numbers of a report.

    Parameters
    ----------
    name, task : str
    classes : list of str
    source : str
        The table of the training.
    trained_rows : int or None
    shape : str
        Widths of the layers, the input first.
    parameters : int
    decisions : dict
        See `tabular.Decisions`; empty if the network was made otherwise.
    settings : dict of str to str
        Activations, lambdas, dropout, loss and optimizer in words.
    command : str
        The command that trains the model again; empty if it is not known.
    seed : int or None
    digest : str
        Of the rows of the training; empty if the model does not keep one.
    warnings : list of str
        What a reader should know first.
    held_out : str
        How the model was judged in training, such as 'held-out rows'; empty if it was not.
    held_out_rows : int
    rows : int
        Rows of the table that are judged; 0 without a table.
    part : str
        Which they are, in words.
    seen : int
        Of all the table's rows, those that the model was trained on.
    targets : list of TargetNumbers
        One, but for models of several targets.
    epochs : int
    best_epoch : int or None
    history : dict of str to list of float
    importance_metric : str
        What gets worse when a column is shuffled.
    columns : list of ColumnNumbers
    left_out : list of str
        Columns that training dropped.
    layers : list of LayerNumbers
        Of a single network.
    verdict : str
        On the layers.
    members : list of MemberNumbers
        Of an ensemble.
    path : LambdaNumbers or None
        Of a model that `fastmlp.path` chose.
    recipe : str
        TOML for ``fastmlp train --config``; empty if the model keeps no settings.
    versions : dict of str to str
    """

    name: str
    task: str
    classes: list[str]
    source: str
    trained_rows: int | None
    shape: str
    parameters: int
    decisions: dict[str, Any]
    seed: int | None
    digest: str
    recipe: str
    versions: dict[str, str]
    epochs: int
    best_epoch: int | None
    history: dict[str, list[float]]
    warnings: list[str] = field(default_factory=list)
    held_out: str = ""
    held_out_rows: int = 0
    rows: int = 0
    part: str = ""
    seen: int = 0
    targets: list[TargetNumbers] = field(default_factory=list)
    importance_metric: str = ""
    columns: list[ColumnNumbers] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    layers: list[LayerNumbers] = field(default_factory=list)
    verdict: str = ""
    members: list[MemberNumbers] = field(default_factory=list)
    path: LambdaNumbers | None = None
    settings: dict[str, str] = field(default_factory=dict)
    command: str = ""

    @property
    def target(self) -> str:
        """The name of the target, or of all targets."""
        return ", ".join(target.name for target in self.targets)

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values; numbers that are not finite are None."""
        found: dict[str, Any] = _finite(asdict(self))
        return found


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _finite(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(part) for part in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
