"""What a model keeps about how good it is, beside its preprocessing: ``extras["table"]``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from .._utils import arguments
from ..errors import ModelFileError
from ._digest import RowDigest
from ._intervals import Conformal
from ._scores import HeldOut
from ._thresholds import Threshold


class _HasExtras(Protocol):
    """The part of a model that holds what belongs to its table."""

    name: str
    extras: dict[str, Any]


@dataclass
class Quality:
    """Held-out figures, the rows that were seen, intervals, threshold and temperature.

    Parameters
    ----------
    held_out : HeldOut, optional
    digest : RowDigest, optional
    interval : Conformal, optional
    threshold : Threshold, optional
    temperature : float
        By which the last layer was divided; 1 if it was not.
    """

    held_out: HeldOut | None = None
    digest: RowDigest | None = None
    interval: Conformal | None = None
    threshold: Threshold | None = None
    temperature: float = 1.0

    @classmethod
    def of(cls, model: _HasExtras, source: str | None = None) -> Quality:
        """Return what a model keeps; nothing if it was not trained on a table with `tabular`.

        Parameters
        ----------
        model : Sequential or Ensemble
        source : str, optional
            Name of the model's file in error messages.

        Returns
        -------
        Quality

        Raises
        ------
        ModelFileError
            If it is damaged.
        """
        return cls.from_dict(model.extras.get("table", {}), source or f"model {model.name!r}")

    def keep(self, model: _HasExtras) -> None:
        """Store all this in a model, and so in its file, beside what else the table has there."""
        state = dict(model.extras.get("table", {}))
        for key in ("held_out", "digest", "interval", "threshold", "temperature"):
            state.pop(key, None)
        model.extras["table"] = {**state, **self.to_dict()}

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values; what is None is left out."""
        parts = {
            "held_out": self.held_out,
            "digest": self.digest,
            "interval": self.interval,
            "threshold": self.threshold,
        }
        state: dict[str, Any] = {k: v.to_dict() for k, v in parts.items() if v is not None}
        if self.temperature != 1.0:
            state["temperature"] = self.temperature
        return state

    @classmethod
    def from_dict(cls, state: Any, source: str = "the model file") -> Quality:
        """Restore from an untrusted JSON document.

        Raises
        ------
        ModelFileError
            If a part is damaged.
        """
        if not isinstance(state, dict):
            raise ModelFileError(
                f"{source}: damaged table: {arguments.shown(state)} is not a mapping"
            )
        kinds = (
            ("held_out", HeldOut), ("digest", RowDigest), ("interval", Conformal),
            ("threshold", Threshold),
        )  # fmt: skip
        parts: dict[str, Any] = {
            key: kind.from_dict(state[key], source)
            for key, kind in kinds
            if state.get(key) is not None
        }
        try:
            rule = "a number above 0"
            temperature = arguments.number(
                "temperature", state.get("temperature", 1.0), rule, lambda v: v > 0
            )
        except ValueError as error:
            raise ModelFileError(f"{source}: damaged temperature: {error}") from error
        return cls(**parts, temperature=temperature)
