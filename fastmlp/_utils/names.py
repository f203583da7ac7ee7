"""The names of what a user may choose, once for the library and for the command line.

Nothing here imports NumPy, so that help and shell completion answer at once.
"""

from __future__ import annotations

ACTIVATIONS = (
    "linear",
    "relu",
    "leaky_relu",
    "elu",
    "gelu",
    "silu",
    "tanh",
    "sigmoid",
    "softplus",
    "softmax",
)
LOSSES = (
    "mean_squared_error",
    "mean_absolute_error",
    "huber",
    "poisson",
    "binary_crossentropy",
    "categorical_crossentropy",
    "sparse_categorical_crossentropy",
    "quantile",
)
LOSS_ALIASES = {
    "mse": "mean_squared_error",
    "mae": "mean_absolute_error",
    "bce": "binary_crossentropy",
}
OPTIMIZERS = ("sgd", "rmsprop", "adagrad", "adam", "adamw")
EFFORTS = ("normal", "high")
SCHEDULES = ("cycles", "cosine", "linear", "constant")
TASKS = ("regression", "classification")

PENALTIES = ("l1", "l2", "group")  # of a path
GROUPS = ("units", "inputs")  # of the group penalty
CHOICES = ("1se", "min")  # of the model that a path keeps
METHODS = ("grid", "random", "halving", "optuna")  # of a sweep
MEASURES = ("mse", "deviance", "misclassification")  # of predictions on rows held out; the first
# is for regression, the others are for classification.
