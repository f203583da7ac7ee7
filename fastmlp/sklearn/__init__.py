"""scikit-learn's MLPRegressor and MLPClassifier with further options, and estimators for tables.

_tabular_regressor
             TabularRegressor
_tabular_classifier
             TabularClassifier
_tabular     their base class
_frames      what they are given, as tables
_regressor   MLPRegressor
_classifier  MLPClassifier
_base        the base class of these two: fit and partial_fit
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
from ._tabular_classifier import TabularClassifier
from ._tabular_regressor import TabularRegressor

__all__ = ["MLPClassifier", "MLPRegressor", "TabularClassifier", "TabularRegressor"]
