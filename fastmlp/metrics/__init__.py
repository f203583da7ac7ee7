"""Metrics under Keras's names.

_metrics    the classes, and the lookup by name
_functions  metrics as functions: accuracies, AUC, R2, precision, recall
"""

from __future__ import annotations

from ..losses import (
    binary_crossentropy,
    categorical_crossentropy,
    huber,
    mean_absolute_error,
    mean_squared_error,
    poisson,
    sparse_categorical_crossentropy,
)
from ._functions import (
    auc,
    binary_accuracy,
    categorical_accuracy,
    precision,
    r2_score,
    recall,
    root_mean_squared_error,
    sparse_categorical_accuracy,
    sparse_top_k_categorical_accuracy,
    top_k_categorical_accuracy,
)
from ._metrics import (
    AUC,
    FUNCTIONS,
    Accuracy,
    BinaryAccuracy,
    BinaryCrossentropy,
    CategoricalAccuracy,
    CategoricalCrossentropy,
    Huber,
    LogLoss,
    MeanAbsoluteError,
    MeanSquaredError,
    Metric,
    Poisson,
    Precision,
    R2Score,
    Recall,
    RootMeanSquaredError,
    Score,
    SparseCategoricalAccuracy,
    SparseCategoricalCrossentropy,
    SparseTopKCategoricalAccuracy,
    TopKAccuracy,
    TopKCategoricalAccuracy,
    get,
)

mse = MSE = mean_squared_error
mae = MAE = mean_absolute_error

__all__ = [
    "AUC",
    "FUNCTIONS",
    "Accuracy",
    "BinaryAccuracy",
    "BinaryCrossentropy",
    "CategoricalAccuracy",
    "CategoricalCrossentropy",
    "Huber",
    "LogLoss",
    "MeanAbsoluteError",
    "MeanSquaredError",
    "Metric",
    "Poisson",
    "Precision",
    "R2Score",
    "Recall",
    "RootMeanSquaredError",
    "Score",
    "SparseCategoricalAccuracy",
    "SparseCategoricalCrossentropy",
    "SparseTopKCategoricalAccuracy",
    "TopKAccuracy",
    "TopKCategoricalAccuracy",
    "auc",
    "binary_accuracy",
    "binary_crossentropy",
    "categorical_accuracy",
    "categorical_crossentropy",
    "get",
    "huber",
    "mean_absolute_error",
    "mean_squared_error",
    "poisson",
    "precision",
    "r2_score",
    "recall",
    "root_mean_squared_error",
    "sparse_categorical_accuracy",
    "sparse_categorical_crossentropy",
    "sparse_top_k_categorical_accuracy",
    "top_k_categorical_accuracy",
]
