# cython: language_level=3, cdivision=True, boundscheck=False, wraparound=False
# cython: initializedcheck=False, freethreading_compatible=True
"""Penalised linear models in double precision: coordinate descent, and the matrix it works on."""

from cpython.exc cimport PyErr_CheckSignals
from libc.math cimport fabs, sqrt

import numpy as np

cdef double LOOK_WORK = 1e8     # multiplications between two looks for a signal


def coordinate_descent(const double[:, ::1] hessian, double[::1] w, double[::1] slope,
                       double l1, double l2, int size, double tol, int max_sweeps):
    """Minimise, over w [n], a quadratic plus l1 * |w| plus l2 * w**2, group by group.

    IN, OUT: w; slope [n], minus the quadratic's gradient at w. IN: hessian [n, n]; `size`, that of
    the groups of neighbours in w whose norms |w| sums, 1 for the sum of absolute values. Sweeps
    visit the nonzero groups until none moves by more than `tol`, then all. Returns whether all
    had come to rest after at most `max_sweeps` of them.
    """
    cdef Py_ssize_t n = w.shape[0], j
    cdef double[::1] pull = np.empty(max(size, 1))
    cdef bint every = True
    cdef double moved = tol + 1, work = 0
    cdef int _sweep
    if (hessian.shape[0] != n or hessian.shape[1] != n or slope.shape[0] != n or size < 1
            or n % size):
        raise ValueError("coordinate_descent() needs arrays that fit w. Received: w of shape "
                         f"{(n,)}, hessian of shape {tuple(hessian.shape)}, size={size}.")
    with nogil:
        for _sweep in range(max_sweeps):
            moved = 0
            for j in range(n // size):
                if every or not is_zero(&w[j * size], size):
                    work += n * size
                    if work > LOOK_WORK:
                        work = 0
                        with gil:
                            PyErr_CheckSignals()
                    moved = max(moved, visit(hessian, w, slope, &pull[0], l1, l2, size, j * size))
            if moved > tol:
                every = False
            elif every:
                break
            else:
                every = True
                moved = tol + 1
    return moved <= tol


def gram(const double[:, ::1] x, const double[::1] weight, double[:, ::1] out):
    """Add to out [n_in, n_in] the sum over rows i of weight[i] * outer(x[i], x[i]).

    One sum in the rows' order, whatever the number of threads; BLAS does not promise that.
    """
    cdef Py_ssize_t n = x.shape[0], n_in = x.shape[1], i, j, k
    cdef double work = 0
    if weight.shape[0] != n or out.shape[0] != n_in or out.shape[1] != n_in:
        raise ValueError("gram() needs arrays that fit x. "
                         f"Received: x of shape {(n, n_in)}, weight of {weight.shape[0]} rows.")
    if n == 0 or n_in == 0:
        return
    with nogil:
        for i in range(n // 4):
            for j in range(n_in):
                work += n_in - j
                if work > LOOK_WORK / 4:
                    work = 0
                    with gil:
                        PyErr_CheckSignals()
                add_rows(n_in - j, &x[4 * i, j], n_in, &weight[4 * i], &out[j, j])
        for i in range(n - n % 4, n):
            for j in range(n_in):
                for k in range(j, n_in):
                    out[j, k] += weight[i] * x[i, j] * x[i, k]
        for j in range(n_in):
            for k in range(j):
                out[j, k] = out[k, j]


cdef void add_rows(Py_ssize_t n, const double* x, Py_ssize_t ld, const double* weight,
                   double* out) noexcept nogil:
    """Add four rows' products with their first entry: four of them a load and store of out."""
    cdef Py_ssize_t k
    cdef double a = weight[0] * x[0], b = weight[1] * x[ld]
    cdef double c = weight[2] * x[2 * ld], d = weight[3] * x[3 * ld]
    for k in range(n):
        out[k] += (a * x[k] + b * x[ld + k]) + (c * x[2 * ld + k] + d * x[3 * ld + k])


cdef bint is_zero(const double* w, int size) noexcept nogil:
    cdef int k
    for k in range(size):
        if w[k] != 0:
            return False
    return True


cdef double bound(const double[:, ::1] hessian, int size, Py_ssize_t j) noexcept nogil:
    """Return a group's curvature, or where it has several weights a bound of it."""
    cdef Py_ssize_t i, k
    cdef double largest = 0, total
    for i in range(j, j + size):
        total = 0
        for k in range(j, j + size):
            total += fabs(hessian[i, k])
        largest = max(largest, total)
    return largest


cdef double visit(const double[:, ::1] hessian, double[::1] w, double[::1] slope, double* pull,
                  double l1, double l2, int size, Py_ssize_t j) noexcept nogil:
    """Minimise over the group at j; return by how much its weights moved at most."""
    cdef double curvature = bound(hessian, size, j), norm = 0, shrink = 0, moved = 0, by
    cdef Py_ssize_t i, k
    for k in range(size):
        pull[k] = slope[j + k] + curvature * w[j + k]
        norm += pull[k] * pull[k]
    norm = sqrt(norm)
    # A constant column has no curvature: without a penalty nothing says what its weight is.
    if norm > l1 and curvature + 2 * l2 > 0:
        shrink = (1 - l1 / norm) / (curvature + 2 * l2)
    for k in range(size):
        by = pull[k] * shrink - w[j + k]
        if by != 0:
            w[j + k] += by
            if shrink == 0:
                w[j + k] = 0
            moved = max(moved, fabs(by))
            for i in range(w.shape[0]):
                slope[i] -= by * hessian[j + k, i]
    return moved
