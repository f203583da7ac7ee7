"""Penalties on weights, in Keras's convention: l1 * sum(|w|) + l2 * sum(w**2), never halved.

There are two ways to apply an L1 penalty. By default, as in Keras, its subgradient l1 * sign(w) is
added to the gradient, and weights come close to zero but do not stay there. With ``proximal=True``
the optimizer first steps along the gradient of the rest. Then each weight moves towards zero by
the step that the rule would make for a gradient of l1, and stops at zero, so that weights become
exactly zero. `GroupL1` does the same with whole groups of weights.

The arithmetic is in `_kernels/simd/optimizers.h`, that of group penalties in
`_kernels/simd/groups.h`.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from ._utils import arguments as _arguments
from ._utils.names import GROUPS
from ._utils.settings import Configurable


class Regularizer(Configurable):
    """Base class: a penalty with an l1 and an l2 coefficient, or a penalty on groups.

    Coefficients can be assigned at any time; training uses them from its next step on.

    Attributes
    ----------
    l1, l2 : float
        Finite and at least 0.
    proximal : bool
        Whether the L1 part is applied by proximal steps, which make weights exactly zero.
    group : float
        Coefficient of the group penalty; 0 for all classes but `GroupL1`.
    groups : {'units', 'inputs'}
    """

    l1: float
    l2: float
    group = 0.0
    groups = "units"
    rules = {  # noqa: RUF012
        "l1": _arguments.non_negative,
        "l2": _arguments.non_negative,
        "proximal": _arguments.flag,
    }
    _fixed: ClassVar[dict[str, float]] = {}  # settings that this class does not let change

    def __init__(self, l1: float = 0.0, l2: float = 0.0, proximal: bool = False) -> None:
        self.l1, self.l2, self.proximal = l1, l2, proximal

    def _set(self, name: str, value: Any) -> None:
        if name in self._fixed and self._fixed[name] != value:
            raise AttributeError(
                f"{name} of a penalty {type(self).__name__} is always {self._fixed[name]!r}: give "
                f"the layer another penalty, such as L1L2. Received: {name}={value!r}"
            )
        super()._set(name, value)

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

    def subgradient(self, w: np.ndarray) -> np.ndarray:
        """Return the derivative of the part that is not smooth: l1 * sign(w), 0 at 0."""
        result: np.ndarray = self.l1 * np.sign(w)
        return result

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {"l1": self.l1, "l2": self.l2} | self._proximal_config()

    def _proximal_config(self) -> dict[str, Any]:
        return {"proximal": True} if self.proximal else {}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Regularizer:
        """Make a regularizer from what `get_config` returned."""
        return _arguments.from_saved(cls, config)

    def __repr__(self) -> str:
        arguments = ", ".join(f"{key}={value!r}" for key, value in self.get_config().items())
        return f"{type(self).__name__}({arguments})"


class L1(Regularizer):
    """Penalty l1 * sum(|w|), the lasso's; its gradient is l1 * sign(w), 0 at 0.

    Parameters
    ----------
    l1 : float
    proximal : bool
        False, as in Keras: the gradient above is added to the loss's; no weight stays at zero.
        True: soft thresholding after each step of the optimizer, so that weights become exactly
        zero; the optimizer's moments do not include the penalty. The threshold is the step that
        the rule makes for a constant gradient of l1, at most 10 learning rates: for Adam in step t
        ``rate * sqrt(1 - beta_2**t) * l1 / (sqrt(v) + epsilon)``; for RMSprop
        ``rate * l1 / (sqrt(v) + epsilon)``, for Adagrad likewise; for SGD ``rate * l1``, with
        momentum times ``(1 - momentum**t) / (1 - momentum)``, t + 1 for t with Nesterov's.
    """

    _fixed = {"l2": 0.0}  # noqa: RUF012

    def __init__(self, l1: float = 0.01, proximal: bool = False) -> None:
        super().__init__(l1=l1, proximal=proximal)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {"l1": self.l1} | self._proximal_config()


class L2(Regularizer):
    """Penalty l2 * sum(w**2), the ridge's; its gradient is 2 * l2 * w.

    Parameters
    ----------
    l2 : float
    """

    _fixed = {"l1": 0.0, "proximal": False}  # noqa: RUF012

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
    proximal : bool
        Whether the L1 part is applied by proximal steps; see `L1`.
    """


def _checked_groups(name: str, value: Any) -> str:
    if not isinstance(value, str) or value not in GROUPS:
        raise _arguments.unknown(name, str(value), GROUPS)
    return value


class GroupL1(Regularizer):
    """Penalty v * sum over groups of sqrt(group size) * ||group||, the group lasso's.

    ||.|| is the Euclidean norm, and a group's size the number of its weights. A group becomes
    zero as a whole or not at all. Biases belong to no group. The penalty is always applied by a
    proximal step after each step of the optimizer, in the metric of that step, with the bound of
    `L1`.

    Parameters
    ----------
    v : float
        Finite and at least 0.
    groups : {'units', 'inputs'}
        'units': a group is the incoming weights of one unit of the layer, a column of its matrix
        of shape (n_in, units), of size n_in. If they are zero, the unit is constant: the
        activation of its bias.
        'inputs': a group is the outgoing weights of one of the layer's inputs, a row of the
        matrix, of size units. If they are zero, the layer ignores that input: on the first layer
        a column of x (feature selection), on a later layer a unit of the layer below.
        `Sequential.prune` removes either.

    References
    ----------
    Yuan & Lin (2006), Journal of the Royal Statistical Society B 68, eq. 2.1.
    """

    rules = {"group": _arguments.non_negative, "groups": _checked_groups}  # noqa: RUF012
    _fixed = {"l1": 0.0, "l2": 0.0, "proximal": True}  # noqa: RUF012

    def __init__(self, v: float = 0.01, groups: str = "units") -> None:
        super().__init__(proximal=True)
        self.v = v
        self.groups = groups

    @property
    def v(self) -> float:
        """Coefficient of the penalty."""
        return self.group

    @v.setter
    def v(self, value: float) -> None:
        self.group = _arguments.non_negative("v", value)

    def norms(self, w: Any) -> np.ndarray:
        """Return the norm of each group of weights of shape (n_in, units)."""
        w = np.asarray(w, dtype=np.float64)
        if w.ndim != 2:
            raise ValueError(f"w must have shape (n_in, units). Received: shape {w.shape}")
        norms: np.ndarray = np.sqrt(np.square(w).sum(axis=1 if self.groups == "inputs" else 0))
        return norms

    def subgradient(self, w: np.ndarray) -> np.ndarray:
        """Return the derivative, v * sqrt(size) * w / ||group||, 0 where a group is 0."""
        norms = np.expand_dims(self.norms(w), 1 if self.groups == "inputs" else 0)
        size = w.size / norms.size
        return self.group * np.sqrt(size) * w / np.where(norms > 0, norms, 1)

    def __call__(self, w: Any) -> float:
        """Return v * sum over groups of sqrt(size) * norm, for weights of shape (n_in, units)."""
        w = np.asarray(w, dtype=np.float64)
        norms = self.norms(w)
        return float(self.group * np.sqrt(w.size / max(len(norms), 1)) * norms.sum())

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {"v": self.group, "groups": self.groups}


l1 = L1
l2 = L2
l1_l2 = L1L2

_TABLE: dict[str, type[Regularizer]] = {
    "l1": L1,
    "l2": L2,
    "l1_l2": L1L2,
    "l1l2": L1L2,
    "group_l1": GroupL1,
    "groupl1": GroupL1,
}


def get(identifier: Any) -> Regularizer | None:
    """Return the regularizer that `identifier` names; None stays None.

    Parameters
    ----------
    identifier : None, str, Regularizer class or object

    Returns
    -------
    Regularizer or None

    Raises
    ------
    ValueError
        If the name is unknown; the message suggests the nearest.
    """
    if identifier is None:
        return None
    return _arguments.resolve("regularizer", identifier, Regularizer, _TABLE)


def one_per_layer(name: str, values: Any, n_layers: int) -> list[float]:
    """Return one lambda for each Dense layer, output included.

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
    checked = [_arguments.non_negative(name, value) for value in given]
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
        If a part is not a number, negative or not finite, or if the count fits neither rule.
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
