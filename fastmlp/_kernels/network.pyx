# cython: language_level=3, cdivision=True, boundscheck=False, wraparound=False
# cython: initializedcheck=False, freethreading_compatible=True
# Plain functions with their signatures in C: bound ones would make a sixth of the code to compile.
# cython: binding=False, embedsignature=True, embedsignature.format=clinic
"""One network: parameters, optimizer state and work space in padded blocks, and the loops.

This source is compiled once for each instruction set and element type.
"""

from cython.parallel cimport parallel, prange
from cpython.buffer cimport (
    PyBUF_C_CONTIGUOUS, PyBUF_FORMAT, PyBUF_WRITABLE, PyBuffer_Release, PyObject_GetBuffer,
)
from cpython.exc cimport PyErr_CheckSignals
from cpython.ref cimport PyObject
from libc.math cimport isfinite, pow, sqrt
from libc.stdint cimport int64_t
from libc.stdlib cimport calloc, free, qsort
from libc.string cimport memcpy, memset

cdef extern from "Python.h":
    Py_ssize_t references "Py_REFCNT"(PyObject* o)

import os
import threading
import weakref

import numpy as np

from . import memory
from .signals import Signals

include "steps/layer.pxi"
include "steps/passes.pxi"
include "steps/state.pxi"
include "steps/batches.pxi"
include "steps/sparse.pxi"
include "steps/forward.pxi"
include "steps/backward.pxi"
include "steps/update.pxi"
include "steps/shallow.pxi"
include "steps/training.pxi"
include "steps/parts.pxi"

lists_begin()

DTYPE = np.dtype("float64" if REAL_IS_DOUBLE else "float32")

ACTIVATIONS = ("linear", "relu", "leaky_relu", "elu", "gelu", "silu", "tanh", "sigmoid",
               "softplus", "softmax")
LOSSES = ("mean_squared_error", "mean_absolute_error", "huber", "poisson", "binary_crossentropy",
          "categorical_crossentropy", "sparse_categorical_crossentropy")
METRICS = LOSSES + ("binary_accuracy", "categorical_accuracy", "sparse_categorical_accuracy")
OPTIMIZERS = ("sgd", "rmsprop", "adagrad", "adam", "adamw")


_ndarray, _empty = np.ndarray, np.empty
_FLOAT64 = np.dtype(np.float64)


cdef bint _orders():
    """Whether rows may be put in order."""
    return os.environ.get("FASTMLP_ORDER", "1") != "0"


def _code(name, names, what):
    if name not in names:
        raise ValueError(f"Unknown {what}: {name!r}. Expected one of {', '.join(names)}.")
    return names.index(name)


include "classes/blocks.pxi"
include "classes/parameters.pxi"
include "classes/workspace.pxi"
include "classes/objective.pxi"
include "classes/session.pxi"


cdef class Network(_Session):
    """A chain of dense layers with its optimizer.

    Arrays handed in are C-contiguous and of the network's type; the caller has checked their
    values. `threads` arguments: at most `n_threads`, fewer if `automatic` and the work is small.
    """

    cdef Py_ssize_t _rows_forward  # of train_forward, until train_backward
    cdef _Rows _batch
    cdef long long _uses_forward

    # Inference

    def predict(self, x, out, *, int n_threads, bint automatic=True):
        """Write the last layer's outputs for the rows of x to out."""
        with self._lock:
            self._forward(x, out, self.s.n_layers, n_threads, automatic)

    def activations(self, x, int layer, out, *, int n_threads, bint automatic=True):
        """Write dense layer `layer`'s outputs for the rows of x to out."""
        self._layer(layer)
        with self._lock:
            self._forward(x, out, layer + 1, n_threads, automatic)

    def predict_short(self, x, double most):
        """Return the last layer's outputs for the rows of x, by one thread and without any other
        check; None unless x is a C-contiguous array of the network's type with finite numbers, and
        its rows are few and take `most` multiplications or fewer."""
        cdef State* s = &self.s
        cdef Py_buffer view, target
        cdef Py_ssize_t n, i
        cdef int bad = 0
        cdef const real* rows
        if type(x) is not _ndarray:
            return None
        try:
            PyObject_GetBuffer(x, &view, PyBUF_C_CONTIGUOUS | PyBUF_FORMAT)
        except (BufferError, ValueError):
            return None
        try:
            if (view.ndim != 2 or view.shape[1] != s.n_inputs or view.itemsize != sizeof(real)
                    or view.format[0] != (100 if REAL_IS_DOUBLE else 102) or view.format[1] != 0):
                return None
            n, rows = view.shape[0], <const real*>view.buf
            if n < 1 or n > 4 * ROW_BLOCK or n * <double>s.n_weights > most:
                return None
            for i in range(n * s.n_inputs):
                bad |= not rows[i] - rows[i] == 0
            if bad:
                return None
            out = _empty((n, s.n_outputs), DTYPE)
            PyObject_GetBuffer(out, &target, PyBUF_WRITABLE)
            try:
                with self._lock:
                    self._forward_few(rows, <int>n, <real*>target.buf)
            finally:
                PyBuffer_Release(&target)
            return out
        finally:
            PyBuffer_Release(&view)

    cdef _forward_few(self, const real* rows, int n, real* to):
        """Outputs of rows that make less than a block, by one thread."""
        cdef State* s = &self.s
        cdef Layer* layer = &s.layers[s.n_layers - 1]
        cdef Csr none
        cdef int i
        none.at = NULL
        self._reserve(n, 1)
        self._uses += 1
        s.loaded = 0
        self._keep_place(n)
        self._take_rows_of(&none, n)
        for i in range(n):
            memcpy(s.xb + i * s.ldx, rows + i * s.n_inputs, s.n_inputs * sizeof(real))
        self._forward_block(n, s.n_layers, 1, self._mode(n, n))
        for i in range(n):
            memcpy(to + i * layer.n_out, layer.y + i * layer.ld, layer.n_out * sizeof(real))
        self._unwatch()

    @property
    def sorted_rows(self):
        """Number of rows that a prediction puts in order together; 1 if it keeps them as given."""
        return ORDERED_AT_ONCE if self._orderable() else 1

    cdef bint _forward_block(self, int n, int n_layers, int team, int mode) except? 0:
        """Take the rows that are loaded forward; return whether no signal was in the way. The
        caller lets signals in with `_unwatch`."""
        cdef State* s = &self.s
        cdef bint skip = s.skip
        self._watch(n, 2)
        begin_queues(s)
        if mode == FORWARD_LIVE:
            s.skip = True
        if team == 1:
            with nogil:
                forward_thread(s, n, n_layers, mode, 0, 1)
        else:
            with nogil, parallel(num_threads=team):
                forward_thread(s, n, n_layers, mode, omp_get_thread_num(), omp_get_num_threads())
        s.skip = skip
        return not s.own.cancelled

    cdef int _mode(self, Py_ssize_t n, int block):
        """How to take n rows forward that are not trained on, so many at a time. Lists of live
        units pay for rows that one tile or lists of their own serve."""
        cdef int h
        if not self._skip_wanted or not (block <= ROW_TILE or self._has_patterns()):
            return FORWARD_ALL
        for h in range(self.s.n_layers - 1):
            if self.s.layers[h].may_skip:
                return FORWARD_LIVE if self._finite_weights(n) else FORWARD_ALL
        return FORWARD_ALL

    cdef _forward(self, x, out, int n_layers, int n_threads, bint automatic):
        cdef State* s = &self.s
        cdef Layer* layer = &s.layers[n_layers - 1]
        cdef Py_ssize_t n = len(x), first = 0, sorted_from = 0, sorted_to = 0, at
        cdef int rows, i, step, mode
        cdef bint done
        cdef _Rows source = self._rows(x)
        cdef _Input target = _Input(out, (n, layer.n_out), "out", True)
        cdef _Block order = None
        cdef unsigned long long* keys = NULL
        cdef real* to = target.data()
        if n == 0:
            return
        step = <int>min(n, <Py_ssize_t>self._block_rows(n_threads))
        while first < n:
            rows = <int>min(<Py_ssize_t>step, n - first)
            self._reserve(step, n_threads, 0, 0, source.none())
            mode = self._mode(n, step)
            if (mode == FORWARD_LIVE and first == sorted_to and n > ROW_TILE
                    and self._orderable() and source.csr.at == NULL and _orders()):
                # Like beside like, so that the rows of a tile have many inactive units in common.
                sorted_to = min(n, first + ORDERED_AT_ONCE)
                if order is None:
                    order = _Block(sorted_to * 8 // <Py_ssize_t>sizeof(real))
                    keys = <unsigned long long*>order.data
                for i in range(<int>(sorted_to - first)):
                    keys[i] = i
                bisect_rows(source.table.data() + first * s.n_inputs, s.n_inputs, NULL, keys,
                            <int>(sorted_to - first))
                sorted_from = first
            if first < sorted_to:
                rows = <int>min(<Py_ssize_t>rows, sorted_to - first)
                self._load(source, sorted_from, rows, keys + (first - sorted_from))
                s.ordered = True
            else:
                self._load(source, first, rows)
            done = self._forward_block(rows, n_layers,
                                       self._team(rows, n_threads, automatic, True), mode)
            s.ordered = False
            for i in range(rows if done else 0):
                at = first + i
                if first < sorted_to:
                    at = sorted_from + <int>keys[first - sorted_from + i]
                memcpy(to + at * layer.n_out, layer.y + i * layer.ld, layer.n_out * sizeof(real))
            self._unwatch()
            first += rows if done else 0
            PyErr_CheckSignals()

    cdef int _block_rows(self, int n_threads):
        return 4 * ROW_BLOCK * n_threads

    def evaluate(self, x, y, sample_weight=None, *, int n_threads, bint automatic=True):
        """Return the data loss (no penalty) and the metrics, means over the rows."""
        with self._lock:
            return self._evaluate(x, y, sample_weight, n_threads, automatic)

    cdef _evaluate(self, x, y, sample_weight, int n_threads, bint automatic):
        cdef State* s = &self.s
        cdef Py_ssize_t n = len(x), first = 0
        cdef int rows, i, q, step
        cdef bint done
        cdef double total = 0
        if n < 1:
            raise ValueError("evaluate() needs at least one row. Received: 0 rows.")
        n_targets = 1 if s.loss == LOSS_SCCE else s.n_outputs
        cdef _Rows source = self._rows(x)
        cdef _Input target = _Input(y, (n, n_targets), "y")
        cdef _Input weight = None
        cdef const real* t = target.data()
        cdef const real* w = NULL
        if sample_weight is not None:
            weight = _Input(sample_weight, (n,), "sample_weight")
            w = weight.data()
        sums = [0.0] * s.n_metrics
        step = <int>min(n, <Py_ssize_t>self._block_rows(n_threads))
        while first < n:
            rows = <int>min(<Py_ssize_t>step, n - first)
            self._reserve(step, n_threads, 0, 0, source.none())
            s.n_targets = n_targets
            self._load(source, first, rows)
            done = self._forward_block(rows, s.n_layers,
                                       self._team(rows, n_threads, automatic, True),
                                       self._mode(n, step))
            if done:
                score_rows(s, rows, t + first * s.n_targets,
                           w + first if w != NULL else NULL, 0, 0, rows, 0)
                done = not s.own.cancelled
            for i in range(rows if done else 0):
                total += s.row_loss[i]
                for q in range(s.n_metrics):
                    sums[q] += s.row_metrics[i * s.n_metrics + q]
            self._unwatch()
            first += rows if done else 0
            PyErr_CheckSignals()
        return total / n, [value / n for value in sums]

    # Gradients, and steps for a loss that is written elsewhere

    def gradients(self, x, y=None, sample_weight=None, *, int n_threads, bint automatic=True,
                  bint smooth=False):
        """Store the gradient of loss plus penalty (of the summed output if y is None).

        Returns the value that was differentiated. What a proximal step serves, of L1 and groups,
        is in the value and not in the gradient. With `smooth` a cross-entropy that has logits is
        theirs, without the clip that its gradient does not know: for line searches.
        """
        with self._lock:
            while True:
                value = self._differentiate(x, y, sample_weight, n_threads, automatic, smooth)
                if value is not None:
                    return value

    cdef _differentiate(self, x, y, sample_weight, int n_threads, bint automatic, bint smooth):
        cdef State* s = &self.s
        cdef Py_ssize_t n = len(x)
        cdef int i, team
        cdef _Rows source = self._rows(x)
        cdef _Input target = None
        cdef _Input weight = None
        cdef const real* t = NULL
        cdef const real* w = NULL
        cdef double total = 0
        cdef Layer* last = &self.s.layers[self.s.n_layers - 1]
        if n < 1:
            raise ValueError("gradients() needs at least one row. Received: 0 rows.")
        if y is not None:
            s.n_targets = 1 if s.loss == LOSS_SCCE else s.n_outputs
            target = _Input(y, (n, s.n_targets), "y")
            t = target.data()
            if sample_weight is not None:
                weight = _Input(sample_weight, (n,), "sample_weight")
                w = weight.data()
        self._gradients()
        self._make_room(<int>n, n_threads, 6, source.most(n))
        self._load(source, 0, <int>n)
        team = self._team(n, n_threads, automatic)
        begin_queues(s)
        kept = []
        if t == NULL:
            kept = [self._swap_penalty(i, (0, 0, 0, 0)) for i in range(s.n_layers)]
        self._measure_groups()
        was, s.smooth = s.smooth, s.smooth or smooth
        try:
            self._watch(n, 6)
            if team == 1:
                with nogil:
                    gradient_team(s, <int>n, t, w, NULL, 0, 1)
            else:
                with nogil, parallel(num_threads=team):
                    gradient_team(s, <int>n, t, w, NULL, omp_get_thread_num(),
                                  omp_get_num_threads())
            cancelled = bool(s.own.cancelled)
        finally:
            s.smooth = was
            for i, pen in enumerate(kept):
                self._swap_penalty(i, pen)
            self._unwatch()
        if cancelled:
            return None
        if t == NULL:
            for i in range(n):
                for j in range(last.n_out):
                    total += last.y[i * last.ld + j]
            return total
        for i in range(n):
            total += s.row_loss[i]
        return total / n + penalty_sum(s, 0)

    def train_forward(self, x, out, *, int n_threads, bint automatic=True):
        """Write the outputs for a batch to out, with dropout as at the present step.

        With `train_backward` and `apply_gradients` this is a step for a loss that is written
        elsewhere.
        """
        cdef State* s = &self.s
        cdef Py_ssize_t n = len(x)
        cdef Layer* last = &s.layers[s.n_layers - 1]
        cdef int i
        cdef _Rows source = self._rows(x)
        cdef _Input target = _Input(out, (n, s.n_outputs), "out", True)
        if n < 1:
            raise ValueError("train_forward() needs at least one row. Received: 0 rows.")
        with self._lock:
            self._batch = source
            self._train_forward(<int>n, n_threads, automatic)
            for i in range(n):
                memcpy(target.data() + i * s.n_outputs, last.y + i * last.ld,
                       s.n_outputs * sizeof(real))
            self._rows_forward = n

    cdef _train_forward(self, int n, int n_threads, bint automatic):
        done = False
        # Once more if it was cancelled, or if a signal's handler has used the work space.
        while not done or self._uses != self._uses_forward:
            self.s.skip = False  # nobody has checked that the weights are finite
            self._make_room(n, n_threads, 2, self._batch.most(n))
            self._load(self._batch, 0, n)
            done = self._forward_block(n, self.s.n_layers, self._team(n, n_threads, automatic),
                                       FORWARD_TRAIN)
            self._uses_forward = self._uses
            self._unwatch()

    def train_backward(self, dy, *, int n_threads, bint automatic=True):
        """Store the gradient of sum(dy * out) plus penalty for the batch of the latest
        `train_forward`; return the penalty.

        If the network has done other work since, such as a prediction, the batch goes forward
        again: the gradient does not depend on it.
        """
        cdef State* s = &self.s
        cdef int n = <int>self._rows_forward, team
        cdef _Input source = _Input(dy, (n, s.n_outputs), "dy")
        cdef const real* d = source.data()
        if n < 1:
            raise RuntimeError("train_backward() needs a batch: call train_forward() first.")
        with self._lock:
            self._rows_forward = 0
            s.ran |= RAN_PYTHON
            if self._uses != self._uses_forward:
                self._train_forward(n, n_threads, automatic)
            self._batch = None
            self._gradients()
            team = self._team(n, n_threads, automatic)
            done = False
            while not done:
                begin_queues(s)
                self._measure_groups()
                self._watch(n, 4)
                if team == 1:
                    with nogil:
                        gradient_team(s, n, NULL, NULL, d, 0, 1)
                else:
                    with nogil, parallel(num_threads=team):
                        gradient_team(s, n, NULL, NULL, d, omp_get_thread_num(),
                                      omp_get_num_threads())
                done = not s.own.cancelled
                self._unwatch()
            return penalty_sum(s, 0)

    def apply_gradients(self, *, int n_threads, bint automatic=True):
        """Make one optimizer step with the stored gradient, clipped as configured."""
        cdef State* s = &self.s
        cdef int team = self._team(1, n_threads, automatic)
        self._gradients()
        self._slot(0)
        self._slot(1)
        self._known = WEIGHTS_UNKNOWN
        prepare_rule(s)
        if team == 1:
            with nogil:
                apply_thread(s, 0, 1)
        else:
            with nogil, parallel(num_threads=team):
                apply_thread(s, omp_get_thread_num(), omp_get_num_threads())
        s.step += 1


cdef void forward_thread(State* s, int n, int n_layers, int mode, int tid,
                         int n_threads) noexcept nogil:
    cdef unsigned long long state = denormals_off()
    forward_team(s, s.xb, s.ldx, n, n_layers, mode, tid, n_threads)
    denormals_restore(state)


cdef void apply_thread(State* s, int tid, int n_threads) noexcept nogil:
    cdef unsigned long long state = denormals_off()
    apply_team(s, tid, n_threads)
    if s.grouped:
        group_team(s, True, tid, n_threads)
    denormals_restore(state)


cdef void gradient_team(State* s, int n, const real* y, const real* weight, const real* dy,
                        int tid, int n_threads) noexcept nogil:
    """Gradient of the loss, or of the summed output if y is NULL, without dropout or update; with
    dy that of sum(dy * output), of a batch that has gone forward already."""
    cdef unsigned long long state = denormals_off()
    cdef update_rule store = s.rule
    cdef int start, stop
    store.kind = OPT_STORE
    if dy == NULL:
        forward_team(s, s.xb, s.ldx, n, s.n_layers, FORWARD_ALL, tid, n_threads)
    if y != NULL:
        share(n, SCORED_ROWS, tid, n_threads, &start, &stop)
        score_rows(s, n, y, weight, 1, start, stop, tid)
    else:
        begin_from_outputs(s, n, dy, tid, n_threads)
    team_barrier(&s.gate, n_threads)
    backward_team(s, s.xb, s.ldx, n, &store, s.gradient, s.gradient, dy != NULL, tid, n_threads)
    denormals_restore(state)


def peak_flops(int n_threads, double seconds):
    """Measure floating-point operations a second in multiply-adds that wait for nothing."""
    cdef double start, passed
    cdef long long rounds = 1000
    cdef _Block block = _Block(n_threads * 8 // <Py_ssize_t>sizeof(real))
    cdef double* sums = <double*>block.data  # so that the compiler cannot leave the work out
    while True:
        start = seconds_now()
        with nogil, parallel(num_threads=n_threads):
            sums[omp_get_thread_num()] = peak_rounds(rounds)
        passed = seconds_now() - start
        PyErr_CheckSignals()
        if passed > seconds / 4:
            return n_threads * rounds * PEAK_FLOPS / passed
        rounds *= 2


PHASES = ("other", "load", "forward", "lists", "late", "score", "pack", "data", "update", "sum")


def phases(int n_threads):
    """Return the seconds that each thread has spent in each phase of steps, and waited in it, since
    the last call: [thread][phase] -> (spent, waited). None unless built with FASTMLP_PHASES."""
    cdef int t, i
    found = [{name: (phase_seconds(t, i, 0), phase_seconds(t, i, 1))
              for i, name in enumerate(PHASES)} for t in range(min(n_threads, PHASE_THREADS))]
    phases_reset()
    return found or None


include "classes/sharded.pxi"
include "classes/stacked.pxi"
