"""scikit-learn's MLPRegressor and MLPClassifier on fastmlp's kernels, and what those lack.

_regressor and _classifier hold the two, _base their fit, _fitted their weights and predictions.
_settings checks constructors' arguments, _outputs chooses loss and last layer, _problem weighs
rows and penalties, _watch decides when to stop, _lbfgs minimises without epochs.
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
