"""Penalties on weights, Keras's convention: l1 * sum(|w|) + l2 * sum(w**2), never halved."""

from __future__ import annotations

from typing import Any

import numpy as np

from . import _checks


class Regularizer:
    """Base class: a penalty with an l1 and an l2 coefficient.

    Attributes
    ----------
    l1, l2 : float
        Finite and at least 0.
    """

    l1: float
    l2: float

    def __init__(self, l1: float = 0.0, l2: float = 0.0) -> None:
        self.l1 = _checks.non_negative("l1", l1)
        self.l2 = _checks.non_negative("l2", l2)

    def __call__(self, w: Any) -> float:
        """Return l1 * sum(|w|) + l2 * sum(w**2).

        Parameters
        ----------
        w : array-like

        Returns
        -------
        float
        """
        w = np.asarray(w, dtype=np.float64)
        return float(self.l1 * np.abs(w).sum() + self.l2 * np.square(w).sum())

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {"l1": self.l1, "l2": self.l2}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Regularizer:
        """Make a regularizer from what `get_config` returned."""
        return cls(**config)

    def __repr__(self) -> str:
        arguments = ", ".join(f"{key}={value!r}" for key, value in self.get_config().items())
        return f"{type(self).__name__}({arguments})"


class L1(Regularizer):
    """Penalty l1 * sum(|w|), the lasso's; its gradient is l1 * sign(w), 0 at 0.

    Parameters
    ----------
    l1 : float
    """

    def __init__(self, l1: float = 0.01) -> None:
        super().__init__(l1=l1)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {"l1": self.l1}


class L2(Regularizer):
    """Penalty l2 * sum(w**2), the ridge's; its gradient is 2 * l2 * w.

    Parameters
    ----------
    l2 : float
    """

    def __init__(self, l2: float = 0.01) -> None:
        super().__init__(l2=l2)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {"l2": self.l2}


class L1L2(Regularizer):
    """Penalty l1 * sum(|w|) + l2 * sum(w**2), the elastic net's.

    Parameters
    ----------
    l1, l2 : float
    """


l1 = L1
l2 = L2
l1_l2 = L1L2

_TABLE: dict[str, type[Regularizer]] = {"l1": L1, "l2": L2, "l1_l2": L1L2, "l1l2": L1L2}


def get(identifier: Any) -> Regularizer | None:
    """Return the regularizer that `identifier` means; None stays None.

    Parameters
    ----------
    identifier : None, str, Regularizer class or object

    Returns
    -------
    Regularizer or None

    Raises
    ------
    ValueError
        If there is none of that name; the message suggests the nearest.
    """
    if identifier is None:
        return None
    return _checks.resolve("regularizer", identifier, Regularizer, _TABLE)


def one_per_layer(name: str, values: Any, n_layers: int) -> list[float]:
    """Spread lambdas over the Dense layers, output included.

    Parameters
    ----------
    name : str
        For messages, such as 'l1'.
    values : float or sequence of float
        One for all layers, or one per layer.
    n_layers : int
        Dense layers of the network.

    Returns
    -------
    list of float, of length `n_layers`

    Raises
    ------
    ValueError
        If a value is negative or not a number, or if the count fits neither rule.
    """
    given = [values] if np.ndim(values) == 0 else list(values)
    checked = [_checks.non_negative(name, value) for value in given]
    if len(checked) == 1:
        return checked * n_layers
    if len(checked) != n_layers:
        raise ValueError(
            f"{name} must hold one value for all layers or one per Dense layer, output included: "
            f"1 or {n_layers}. Received: {len(checked)} values, {name}={given}"
        )
    return checked


def parse_lambdas(text: str, n_layers: int, name: str = "lambda") -> list[float]:
    """Read ``"0.001"`` or ``"0.1,0.01,0"`` as one lambda per Dense layer, output included.

    Parameters
    ----------
    text : str
        One number for all layers, or one per layer with commas between.
    n_layers : int
        Dense layers of the network.
    name : str
        For messages.

    Returns
    -------
    list of float, of length `n_layers`

    Raises
    ------
    ValueError
        If a part is no number, is negative or not finite, or if the count fits neither rule.
    """
    values = []
    for part in text.split(","):
        try:
            values.append(float(part))
        except ValueError:
            raise ValueError(
                f"{name} must be a number or numbers with commas between. Received: {text!r}"
            ) from None
    return one_per_layer(name, values, n_layers)
