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

# Figures of a model on a table: what each shows.
CLASS_FIGURES = {
    "roc": "true against false positives at every threshold, with the area",
    "precision-recall": "precision against recall, with the base rate",
    "confusion": "rows by true and predicted class",
    "calibration": "how often a class occurs against its predicted probability",
    "gains": "share of a class among the rows with the largest predictions",
    "class-scores": "precision, recall and F1 of each class",
}
NUMBER_FIGURES = {
    "predicted": "actual against predicted values",
    "residuals": "residuals against the prediction and against columns",
    "quantiles": "quantiles of the residuals against the normal distribution's",
    "coverage": "prediction intervals, and the rows outside of them",
}
EXPLANATIONS = {
    "importance": "how much worse the model predicts when a column is shuffled",
    "dependence": "the mean prediction over each of the most important columns",
    "interaction": "the mean prediction over two columns",
    "attributions": "every row's contribution of each column",
    "explain": "how the columns lead to the prediction for one row",
    "boundary": "the probabilities of the classes over two columns",
}
