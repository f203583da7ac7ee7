import numpy as np

def coordinate_descent(
    hessian: np.ndarray,
    w: np.ndarray,
    slope: np.ndarray,
    l1: float,
    l2: float,
    size: int,
    tol: float,
    max_sweeps: int,
) -> bool: ...
def gram(x: np.ndarray, weight: np.ndarray, out: np.ndarray) -> None: ...
