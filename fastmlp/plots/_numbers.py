"""Numbers on axes. Importing it imports matplotlib."""

from __future__ import annotations

import itertools
import math
from typing import Any

from matplotlib.ticker import LogFormatter, ScalarFormatter

_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


class PlainFormatter(ScalarFormatter):
    """matplotlib's numbers; where it would write an offset such as 1e12, each is written out."""

    def format_ticks(self, values: Any) -> list[str]:
        """Return the labels of ticks at `values`."""
        labels = list(super().format_ticks(values))
        return distinct([float(v) for v in values]) if super().get_offset() else labels

    def get_offset(self) -> str:
        """Return an empty text: labels need no offset."""
        return ""


def distinct(values: list[float]) -> list[str]:
    """Return numbers with as few digits as tell them apart and are close to each.

    Parameters
    ----------
    values : list of float
    """
    finite = sorted({value for value in values if math.isfinite(value)})
    steps = [b - a for a, b in itertools.pairwise(finite)]
    slack = min(steps, default=abs(finite[0]) if finite else 1.0) * 1e-3
    labels: list[str] = []
    for digits in range(1, 18):
        labels = [f"{value:.{digits}g}" for value in values]
        close = all(
            abs(float(label) - value) <= slack
            for label, value in zip(labels, values, strict=True)
            if math.isfinite(value)
        )
        if close:
            break
    return [_written(label) for label in labels]


def _written(label: str) -> str:
    """Write 1e+12 as 1e12, 120000 as 120,000, and a minus as one."""
    mantissa, _, exponent = label.partition("e")
    if exponent:
        mantissa = f"{mantissa}e{int(exponent)}"
    elif "." not in mantissa and mantissa.lstrip("-").isdigit():
        mantissa = f"{int(mantissa):,}"
    return mantissa.replace("-", "\N{MINUS SIGN}")


class PowerFormatter(LogFormatter):
    """Labels of a logarithmic axis: 10 with raised digits, or the number itself."""

    def __call__(self, x: float, pos: int | None = None) -> str:
        """Return the label of the tick at x."""
        if x <= 0 or not super().__call__(x, pos):
            return ""
        power = math.log10(x)
        if abs(power - round(power)) > 1e-9:
            return f"{x:g}"
        return f"10{str(round(power)).translate(_RAISED)}"
