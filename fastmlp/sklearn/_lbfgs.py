"""Minimise a model's loss with SciPy's L-BFGS."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import numpy as np

from .. import threads
from .._utils.sparse import Inputs
from ..models import Sequential


class _OneBlasThread:
    """Limits NumPy's and SciPy's BLAS libraries to one thread while any thread is inside.

    L-BFGS calls BLAS for short vectors. Idle BLAS threads would spin on the processors that the
    kernels need, and a fit would take up to forty times as long.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0
        self._blas: Any = None
        self._limit: Any = None

    def __enter__(self) -> None:
        with self._lock:
            self._inside += 1
            if self._inside == 1:
                if self._blas is None:
                    from threadpoolctl import ThreadpoolController

                    self._blas = ThreadpoolController().select(user_api="blas")
                self._limit = self._blas.limit(limits=1)
                self._limit.__enter__()

    def __exit__(self, *exception: object) -> None:
        with self._lock:
            self._inside -= 1
            if not self._inside:
                self._limit.__exit__(*exception)


one_blas_thread = _OneBlasThread()


def minimise(
    model: Sequential,
    x: Inputs,
    y: np.ndarray,
    weight: np.ndarray | None,
    l1: list[float],
    *,
    max_iter: int,
    max_fun: int,
    tol: float,
    report: Callable[[int, float], None] | None,
) -> Any:
    """Minimise a float64 model's loss with L-BFGS-B and leave the model at the minimum.

    The line search uses the cross-entropy of the logits, whose gradient is exact. `report` gets
    the clipped cross-entropy, as reported everywhere else.

    With an l1 penalty each weight is the difference of two variables of at least 0, and their sum
    is penalised. This is a smooth problem with bounds, at whose solution weights are exactly 0.

    Parameters
    ----------
    model : Sequential
        Compiled, with penalties without their l1 part.
    x, y, weight : ndarray, or sparse rows x
        In the form that the engine takes.
    l1 : list of float
        For each layer.
    max_iter, max_fun : int
        Largest numbers of iterations and of evaluations.
    tol : float
        The search ends when no entry of the gradient is larger.
    report : callable or None
        Called with an iteration's number and loss.

    Returns
    -------
    scipy.optimize.OptimizeResult
    """
    from scipy.optimize import minimize

    network = model.ready()
    n_threads, automatic = threads.resolve()
    layers = range(network.n_layers)
    views = [v for i in layers for v in (network.weights(i), network.bias(i))]
    slopes = [v for i in layers for v in (network.weights_gradient(i), network.bias_gradient(i))]
    ends = np.cumsum([view.size for view in views])
    lambdas = np.concatenate(
        [np.full(view.size, value) for i in layers for view, value in
         ((network.weights(i), l1[i]), (network.bias(i), 0.0))]
    )  # fmt: skip
    split = np.flatnonzero(lambdas)
    lambdas = lambdas[split]
    n = int(ends[-1])

    def place(parameters: np.ndarray) -> None:
        for view, end in zip(views, ends, strict=True):
            view[...] = parameters[end - view.size : end].reshape(view.shape)

    def joined(variables: np.ndarray) -> np.ndarray:
        parameters = variables[:n].copy()
        parameters[split] -= variables[n:]
        return parameters

    def value_and_gradient(variables: np.ndarray) -> tuple[float, np.ndarray]:
        place(joined(variables) if len(split) else variables)
        value = network.gradients(
            x, y, weight, n_threads=n_threads, automatic=automatic, smooth=True
        )
        gradient = np.concatenate([slope.ravel() for slope in slopes])
        if len(split):
            value += lambdas @ (variables[split] + variables[n:])
            gradient = np.concatenate([gradient, lambdas - gradient[split]])
            gradient[split] += lambdas
        return value, gradient

    start = np.concatenate([view.ravel() for view in views])
    bounds = None
    if len(split):
        negative = np.maximum(-start[split], 0)
        start[split] = np.maximum(start[split], 0)
        start = np.concatenate([start, negative])
        lower = np.full(len(start), -np.inf)
        lower[split] = lower[n:] = 0
        bounds = np.column_stack([lower, np.full(len(start), np.inf)])
    iteration = 0

    def after_iteration(intermediate_result: Any) -> None:
        nonlocal iteration
        iteration += 1
        assert report is not None
        place(joined(intermediate_result.x) if len(split) else intermediate_result.x)
        loss, _ = network.evaluate(x, y, weight, n_threads=n_threads, automatic=automatic)
        value = loss + network.penalty()
        if len(split):
            value += lambdas @ (intermediate_result.x[split] + intermediate_result.x[n:])
        report(iteration, float(value))

    # SciPy's default, or less if tol needs more digits.
    decrease = min(2.2e-9, max(1e-3 * tol, 1e-14))
    with one_blas_thread:
        result = minimize(
            value_and_gradient,
            start,
            jac=True,
            method="L-BFGS-B",
            bounds=bounds,
            callback=None if report is None else after_iteration,
            options={"maxiter": max_iter, "maxfun": max_fun, "gtol": tol, "ftol": decrease},
        )
    place(joined(result.x) if len(split) else result.x)
    return result
