"""Many networks that predict together, trained side by side.

_ensemble     the class: predictions, spread, quantiles
_members      its members: weights, histories, selection
_fit          `fastmlp.ensemble`
_kinds        networks of one architecture and training, before they are trained
_training     training them, in this process or in workers
_predictions  members' predictions, some rows at a time
_file         an ensemble's file
_summary      the text of `summary`
"""

from __future__ import annotations

from ._ensemble import Ensemble, read_ensemble
from ._fit import ensemble
from ._summary import ensemble_text

__all__ = [
    "Ensemble",
    "ensemble",
    "ensemble_text",
    "read_ensemble",
]
