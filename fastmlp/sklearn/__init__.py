"""scikit-learn's MLPRegressor and MLPClassifier on fastmlp's kernels, with further options.

_regressor   MLPRegressor
_classifier  MLPClassifier
_base        their base class: fit and partial_fit
_fitted      its base class: weights, predictions, pickling
_parameters  checks of the constructors' arguments
_outputs     loss and output layer for each kind of target
_data        row weights, scaling and penalties
_monitor     learning curves and early stopping
_advice      warnings of data that need preparation
_lbfgs       the solver without epochs
"""

try:
    import sklearn as _sklearn  # noqa: F401
except ModuleNotFoundError as error:
    raise ImportError(
        "fastmlp.sklearn needs scikit-learn, which is not installed: pip install 'fastmlp[sklearn]'"
    ) from error

from ._classifier import MLPClassifier
from ._regressor import MLPRegressor

__all__ = ["MLPClassifier", "MLPRegressor"]
