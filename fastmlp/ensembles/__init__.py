"""Ensembles: many networks that are trained at once and predict together.

_ensemble      `Ensemble`: predictions, spread, quantiles, evaluation
_members       its base class: the data of an ensemble, as a sequence of models
_fit           `fastmlp.ensemble`: arguments and defaults
_training      the training of all networks, and the noise
_table_members the same over a table, as `fastmlp.fit` trains its network
_architecture  the networks of one architecture, while they are trained
_predictions   the members' predictions in parts, and quantiles
_file          the file of an ensemble
_summary       the text of `Ensemble.summary`
"""

from __future__ import annotations

from ._ensemble import Ensemble, read_ensemble
from ._fit import ensemble, of_prepared
from ._summary import ensemble_text

__all__ = [
    "Ensemble",
    "ensemble",
    "ensemble_text",
    "of_prepared",
    "read_ensemble",
]
