"""Hooks into training, under Keras's names.

_base           the base classes, and the hooks that a callback overrides
_stopping       EarlyStopping, TerminateOnNaN
_learning_rate  ReduceLROnPlateau, LearningRateScheduler
_files          ModelCheckpoint, CSVLogger
_lambda         LambdaCallback
"""

from __future__ import annotations

from .._model.history import History
from ._base import HOOKS, Callback, Logs, as_list, overriding
from ._files import CSVLogger, ModelCheckpoint
from ._lambda import LambdaCallback
from ._learning_rate import LearningRateScheduler, ReduceLROnPlateau
from ._stopping import EarlyStopping, TerminateOnNaN

__all__ = [
    "HOOKS",
    "CSVLogger",
    "Callback",
    "EarlyStopping",
    "History",
    "LambdaCallback",
    "LearningRateScheduler",
    "Logs",
    "ModelCheckpoint",
    "ReduceLROnPlateau",
    "TerminateOnNaN",
    "as_list",
    "overriding",
]
