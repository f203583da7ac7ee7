"""One sentence of finding for each section of a page."""

from __future__ import annotations

import math
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path

from ..tabular import rounded
from . import _tables
from ._numbers import (
    LambdaNumbers,
    MetricNumbers,
    ReportNumbers,
    TargetNumbers,
)


def findings(n: ReportNumbers) -> dict[str, str]:
    """Return the sentences that are not of a single target, by section."""
    found = {
        "card": _lead(n), "training": _training(n), "uses": _uses(n), "inside": _inside(n),
        "members": _members(n), "data": _data(n), "lambda": _lambda(n.path) if n.path else "",
    }  # fmt: skip
    return found


def _main(t: TargetNumbers) -> MetricNumbers | None:
    wanted = ("pinball_loss", "auc", "accuracy", "r2")
    return next((m for name in wanted for m in t.metrics if m.name == name), None)


def _lead(n: ReportNumbers) -> str:
    what = "network" if not n.members else f"mean of {len(n.members)} networks"
    text = f"A {what} for {n.task}"
    if n.source.startswith("lecture:"):
        text += f", trained on {_tables.source(n)}"
    elif n.source and not n.source.startswith("the "):  # no file, such as the mapping
        text += f", trained on {Path(n.source).name}"
    shown = []
    for target in n.targets:
        main = _main(target)
        if main is not None:
            error = (main.high - main.low) / 3.92 if n.rows else main.error
            value = rounded(main.value if n.rows else main.network, error)
            of = f" for {target.name}" if len(n.targets) > 1 else ""
            shown.append(f"{main.label} {value}{of}")
    if not shown:
        return f"{text}."
    which = n.part if n.part != "all rows" else "rows"
    on = f"{n.rows:,} {which}" if n.rows else n.held_out
    return f"{text}: {', '.join(shown)} on {on}."


def quality(n: ReportNumbers, t: TargetNumbers) -> str:
    """Return how well a target is predicted, beside the best simple model."""
    name = "rmse" if n.task == "regression" else "log_loss"
    if any(m.name == "pinball_loss" for m in t.metrics):
        name = "pinball_loss"
    metric = next((m for m in t.metrics if m.name == name), None)
    if metric is None:
        return ""
    simple = metric.linear if math.isfinite(metric.linear) else metric.constant
    what = f"a {_tables.linear(n)} model" if math.isfinite(metric.linear) else "a constant"
    if not simple > 0 or not math.isfinite(metric.network):
        own = metric.value if n.rows else metric.network
        error = (metric.high - metric.low) / 3.92 if n.rows else metric.error
        text = f"The {metric.label} is {rounded(own, error)}"
        main = _main(t)
        if main is None or main is metric:
            return f"{text}."
        error = (main.high - main.low) / 3.92 if n.rows else main.error
        return f"{text}, the {main.label} {rounded(main.value if n.rows else main.network, error)}."
    change = 1 - metric.network / simple
    word = "below" if change >= 0 else "above"
    on = f"on {n.rows:,} {n.part if n.part != 'all rows' else 'rows'}"
    if n.held_out:
        on = f"by {n.held_out}" if "validation" in n.held_out else f"on {n.held_out}"
    return (
        f"The {metric.label} {on} is {abs(change):.0%} {word} that of {what} "
        f"({rounded(metric.network, metric.error)} against {rounded(simple, metric.error)})."
    )


def coverage(t: TargetNumbers) -> str:
    """Return how often intervals or sets hold the truth; empty without them."""
    c = t.coverage
    if not c:
        return ""
    what = "sets" if "classes" in c else "intervals"
    size = f"{c['classes']:.2f} classes" if "classes" in c else f"a width of {c['width']:.4g}"
    return (
        f"The model's {what} of level {c['level']:.0%} hold the truth for {c['coverage']:.1%} of "
        f"the rows, with {size} on average."
    )


def threshold(of: TargetNumbers) -> str:
    """Return what the model's own threshold gives, as the script writes it for others."""
    t = of.threshold
    if t is None:
        return ""
    (tn, fp), (_, tp) = t.confusion
    total = t.positives + t.negatives

    def share(a: int, b: int) -> str:
        # Halves up, as the script rounds.
        exact = Decimal(100 * a / b).quantize(Decimal("0.1"), ROUND_HALF_UP) if b else None
        return "none" if exact is None else f"{exact}%"

    return (
        f"At {t.thresholds[t.chosen]:.3f}: accuracy {share(tp + tn, total)}, precision "
        f"{share(tp, tp + fp)}, recall {share(tp, t.positives)}; cost {t.cost:,.6g}, "
        f"{t.cost / total:.4g} a row."
    )


def _training(n: ReportNumbers) -> str:
    epochs = f"{n.epochs:,} epoch{'s' if n.epochs != 1 else ''}"
    if n.members:
        return f"Mean curves of {len(n.members)} networks over {epochs}."
    if n.best_epoch is None:
        held = [v for v in n.history.get("val_loss", []) if math.isfinite(v)]
        own = [v for v in n.history.get("loss", []) if math.isfinite(v)]
        text = f"{epochs}; the weights of the last one are kept."
        if own:
            text += f" The loss fell from {own[0]:.4g} to {own[-1]:.4g} on the training rows"
            text += f", to {held[-1]:.4g} on validation rows." if held else "."
        return text
    if n.best_epoch >= n.epochs:
        return f"{epochs}; the last one is kept."
    text = f"{epochs}; the weights of epoch {n.best_epoch}, the best on held-out rows, are kept."
    if n.decisions.get("group_l1"):
        text += " Losses in the figure include the penalty; the choice is made without it."
    return text


def _uses(n: ReportNumbers) -> str:
    values = sorted(n.columns, key=lambda c: -c.importance)
    total = sum(max(c.importance, 0.0) for c in values)
    if not total > 0:
        return f"Shuffling any column makes {n.importance_metric} no worse."
    if len(values) == 1:
        return f"It uses its only column, {values[0].name}."
    few, share = [], 0.0
    for column in values[:3]:
        own = max(column.importance, 0.0) / total
        few.append(f"{column.name} {own:.0%}")
        share += own
        if share >= 0.95:
            break
    return f"Shares of the importance of {len(values)} columns: {', '.join(few)}."


def _inside(n: ReportNumbers) -> str:
    weights, zeros = sum(x.weights for x in n.layers), sum(x.zeros for x in n.layers)
    text = f"{zeros:,} of {weights:,} weights are exactly zero." if weights else ""
    points = n.layers[0].change_points if n.layers else None
    if points is not None:
        text += f" {points:,} of the {n.layers[0].units:,} change points of the first layer lie "
        text += "in the range of the rows."
    return f"{n.verdict} {text}".strip()


def _members(n: ReportNumbers) -> str:
    losses = [m.loss for m in n.members if math.isfinite(m.loss)]
    if not losses:
        return f"The model is the mean of {len(n.members)} networks." if n.members else ""
    mean = sum(losses) / len(losses)
    t = n.targets[0]
    name = {"log loss": "log_loss", "pinball loss": "pinball_loss"}.get(t.loss_name, "rmse")
    own = next((m.value for m in t.metrics if m.name == name), math.nan)
    own = own**2 if name == "rmse" else own
    return (
        f"The mean of the networks has a {t.loss_name} of {own:.4g}; single ones have "
        f"{min(losses):.4g} to {max(losses):.4g}, {mean:.4g} on average."
    )


def _data(n: ReportNumbers) -> str:
    count = f"{len(n.columns):,} column{'s' if len(n.columns) != 1 else ''}"
    if not n.rows:
        return f"{count}."
    if not any(c.drift for c in n.columns):
        return f"{count}; the model does not keep how its training's values are distributed."
    large = [c.name for c in n.columns if c.drift == "large"]
    some = [c.name for c in n.columns if c.drift == "some"]
    if not large and not some:
        return f"{count}; none differs from the training by more than chance or PSI 0.1."
    much = (
        f"{len(large)} differ{'s' if len(large) == 1 else ''} much"
        if large
        else "none differs much"
    )
    return f"{count}: {much} from the training, {len(some)} somewhat."


def errors(t: TargetNumbers) -> str:
    """Return where the loss is largest."""
    if not t.slices:
        return f"No range or category of a column has a clearly larger {t.loss_name}."
    s = t.slices[0]
    times = f"{s.loss / s.others:.1f} times as large as elsewhere" if s.others > 0 else "larger"
    return f"The {t.loss_name} is {times} where {s.column} is {s.label} ({s.rows:,} rows)."


def _lambda(p: LambdaNumbers) -> str:
    best, own = p.index_min, p.index
    rule = "min" if own == best else "1se" if own == p.index_1se else "another one"
    gain = f"; a constant has {rounded(p.null, p.cv_se[own])}" if math.isfinite(p.null) else ""
    return (
        f"Of {len(p.lambdas)} lambdas this is {rule}, {p.lambdas[own]:.3g}: {p.measure} "
        f"{_tables.between(p, own)} by {p.folds}-fold cross-validation{gain}. "
        f"{p.n_nonzero[own]:,} weights are not zero, and {p.n_inputs[own]:,} inputs are in use."
    )


def lambda_text(p: LambdaNumbers) -> str:
    """Return the sentence that the slider changes, as the script writes it."""
    i = p.index
    return (
        f"{p.measure} {_tables.between(p, i)} held out, {p.train[i]:.4g} in training; "
        f"{p.n_nonzero[i]:,} nonzero weights, {p.n_live[i]:,} live units, "
        f"{p.n_inputs[i]:,} inputs in use"
    )
