# cython: language_level=3, cdivision=True, boundscheck=False, wraparound=False
# cython: initializedcheck=False, freethreading_compatible=False
"""One network: parameters, optimizer state and work space in padded blocks, and the loops.

This source is compiled once for each instruction set and element type.
"""

from cython.parallel cimport parallel, prange
from cpython.buffer cimport (
    PyBUF_C_CONTIGUOUS, PyBUF_WRITABLE, PyBuffer_Release, PyObject_GetBuffer,
)
from cpython.exc cimport PyErr_CheckSignals
from libc.math cimport isfinite, pow, sqrt
from libc.stdint cimport int64_t
from libc.stdlib cimport calloc, free, qsort
from libc.string cimport memcpy, memset

import os
import threading

import numpy as np

include "layer.pxi"
include "passes.pxi"
include "training.pxi"
include "parts.pxi"

DTYPE = np.dtype("float64" if REAL_IS_DOUBLE else "float32")

ACTIVATIONS = ("linear", "relu", "leaky_relu", "elu", "gelu", "silu", "tanh", "sigmoid",
               "softplus", "softmax")
LOSSES = ("mean_squared_error", "mean_absolute_error", "huber", "poisson", "binary_crossentropy",
          "categorical_crossentropy", "sparse_categorical_crossentropy")
METRICS = LOSSES + ("binary_accuracy", "categorical_accuracy", "sparse_categorical_accuracy")
OPTIMIZERS = ("sgd", "rmsprop", "adagrad", "adam", "adamw")


def _code(name, names, what):
    if name not in names:
        raise ValueError(f"Unknown {what}: {name!r}. Expected one of {', '.join(names)}.")
    return names.index(name)


cdef class _Block:
    """Memory that NumPy arrays may look into; freed when the last of them is gone."""
    cdef void* base
    cdef real* data
    cdef readonly Py_ssize_t n_bytes

    def __cinit__(self, Py_ssize_t n_items, Py_ssize_t skew=0):
        self.n_bytes = max(n_items, 1) * <Py_ssize_t>sizeof(real)
        self.data = <real*>block_alloc(self.n_bytes, skew, &self.base)
        if self.base == NULL:
            raise MemoryError(f"Cannot allocate {self.n_bytes} bytes for a network.")

    def __dealloc__(self):
        block_free(self.base)

    def __getbuffer__(self, Py_buffer* view, int flags):
        view.buf = self.data
        view.obj = self
        view.len = self.n_bytes
        view.itemsize = 1
        view.readonly = 0
        view.ndim = 1
        view.format = NULL
        view.shape = &self.n_bytes
        view.strides = NULL
        view.suboffsets = NULL
        view.internal = NULL


cdef class _Input:
    """A read-only (or writable) look into a C-contiguous array of the network's type."""
    cdef Py_buffer view
    cdef bint held

    def __cinit__(self, array, shape, what, bint writable=False):
        if array.dtype != DTYPE or tuple(array.shape) != tuple(shape):
            raise ValueError(f"{what} must have shape {tuple(shape)} and dtype {DTYPE}. "
                             f"Received: shape {tuple(array.shape)}, dtype {array.dtype}.")
        PyObject_GetBuffer(array, &self.view,
                           PyBUF_C_CONTIGUOUS | (PyBUF_WRITABLE if writable else 0))
        self.held = True

    def __dealloc__(self):
        if self.held:
            PyBuffer_Release(&self.view)

    cdef real* data(self) noexcept:
        return <real*>self.view.buf


cdef double _penalty_value(penalty_rule pen, view) except? -1:
    cdef double total = 0
    if pen.l1 != 0 or pen.prox != 0:
        total += (pen.l1 + pen.prox) * np.abs(view).sum(dtype=np.float64)
    if pen.l2 != 0:
        total += pen.l2 * np.square(view, dtype=np.float64).sum()
    return total


cdef class Network:
    """A chain of dense layers with its optimizer.

    Arrays handed in are C-contiguous and of the network's type; the caller has checked their
    values. `threads` arguments: at most `n_threads`, fewer if `automatic` and the work is small.
    """

    cdef State s
    cdef _Block _params
    cdef _Block _gradient
    cdef _Block _kept       # a copy of the parameters
    cdef _Block _zeros
    cdef _Block _scratch
    cdef list _slots, _work, _session
    cdef list _parts        # networks that lend the threads work space, see parts.pxi
    cdef _Block _part_gradients
    cdef object _rates
    cdef list _units, _activations
    cdef double _accumulator  # what Adagrad's starts from
    cdef bint _skip_wanted, _unchecked
    cdef Py_ssize_t _rows_forward  # of train_forward, until train_backward
    cdef object _lock

    def __cinit__(self, int n_inputs, units, activations, *, use_bias=None, dropout=None):
        cdef int h, n_in = n_inputs, widest = n_inputs
        cdef size_t at = 0
        cdef Layer* layer
        self._units = [int(u) for u in units]
        self._activations = list(activations)
        self._work, self._session, self._parts = [], [], []
        self._lock = threading.RLock()
        n_layers = len(self._units)
        if n_layers < 1 or n_inputs < 1 or min(self._units) < 1:
            raise ValueError("A network needs at least one input, one layer and one unit a layer. "
                             f"Received: {n_inputs} inputs, units={self._units}.")
        if len(self._activations) != n_layers:
            raise ValueError(f"Expected {n_layers} activations. Received: {self._activations}")
        self.s.n_layers = n_layers
        self.s.n_inputs = n_inputs
        self.s.n_outputs = self._units[n_layers - 1]
        self.s.layers = <Layer*>calloc(n_layers, sizeof(Layer))
        self.s.diverged_layer = -2
        self._skip_wanted = os.environ.get("FASTMLP_SKIP_DEAD", "1") != "0"
        self.s.skip = self._skip_wanted
        if self.s.layers == NULL:
            raise MemoryError("Cannot allocate a network's layers.")
        for h in range(n_layers):
            layer = &self.s.layers[h]
            layer.n_in = n_in
            layer.n_out = self._units[h]
            layer.act = _code(self._activations[h], ACTIVATIONS, "activation")
            # With few inputs as well, lanes across a hidden layer's units serve better.
            layer.narrow = layer.n_out <= NARROW and (h == n_layers - 1 or n_in > NARROW)
            layer.use_bias = use_bias is None or bool(use_bias[h])
            layer.dropout = 0.0 if dropout is None else dropout[h]
            layer.n_panels = (layer.n_out + PANEL - 1) // PANEL
            layer.ld = padded(layer.n_out)
            layer.n_rows = layer.n_out if layer.narrow else n_in
            layer.ldw = padded(n_in) if layer.narrow else padded(layer.n_out)
            layer.may_skip = (h < n_layers - 1 and not layer.narrow and layer.n_out >= 64
                              and layer.act != ACT_SOFTMAX)
            layer.w_at = at
            self.s.n_weights += <size_t>n_in * layer.n_out
            at += layer.n_rows * layer.ldw
            layer.b_at = at
            at += layer.ld
            n_in = layer.n_out
            widest = max(widest, n_in)
        self.s.n_params = at
        self._params = _Block(at)
        self.s.params = self._params.data
        self._slots = [None, None]
        self.s.shallow = is_shallow(&self.s)
        self._keep_constants(widest)
        for h in range(n_layers):
            layer = &self.s.layers[h]
            layer.n_kept = max(layer.n_in, layer.n_panels)
            layer.penalties = <double*>calloc(WINDOW * layer.n_kept, sizeof(double))
            layer.waits = <unsigned char*>calloc(layer.n_in, 1)
            if layer.penalties == NULL or layer.waits == NULL:
                raise MemoryError("Cannot allocate a network's layers.")
        enter_slot(&self.s, 0)

    def __dealloc__(self):
        cdef int h
        if self.s.layers != NULL:
            for h in range(self.s.n_layers):
                free(self.s.layers[h].penalties)
                free(self.s.layers[h].waits)
                free(self.s.layers[h].idx_y)
                free(self.s.layers[h].idx_dz)
                free(self.s.layers[h].norms)
        free(self.s.layers)
        free(self.s.iota)
        free(self.s.ones)
        free(self.s.tickets)
        free(self.s.parts)
        free(self.s.metrics)
        free(self.s.metric_sums)
        free(self.s.record_metrics)
        free(self.s.norms)

    cdef _keep_constants(self, int widest):
        cdef int i, h
        self._zeros = _Block(padded(widest))
        self.s.window.zeros = self._zeros.data
        cdef Layer* layer
        self.s.iota = <int*>calloc(widest + 2 * FORWARD_AHEAD, sizeof(int))
        self.s.ones = <real*>calloc(1, sizeof(real))
        self.s.tickets = <int*>calloc(2 * self.s.n_layers * QUEUES * APART, sizeof(int))
        h = self.s.n_params // 4096 + 2 * self.s.n_layers
        self.s.norms = <double*>calloc(h, sizeof(double))
        if (self.s.iota == NULL or self.s.ones == NULL or self.s.norms == NULL
                or self.s.tickets == NULL):
            raise MemoryError("Cannot allocate a network's layers.")
        self.s.ones[0] = 1
        for i in range(widest + 2 * FORWARD_AHEAD):
            self.s.iota[i] = min(i, widest - 1)
        for h in range(self.s.n_layers):
            layer = &self.s.layers[h]
            layer.idx_y = <int*>calloc(layer.n_out + 2 * FORWARD_AHEAD, sizeof(int))
            layer.idx_dz = <int*>calloc(layer.n_out + 2 * FORWARD_AHEAD, sizeof(int))
            layer.n_norms = max(layer.n_rows, <int>layer.ldw)
            layer.norms = <double*>calloc(2 * layer.n_norms, sizeof(double))
            if layer.idx_y == NULL or layer.idx_dz == NULL or layer.norms == NULL:
                raise MemoryError("Cannot allocate a network's layers.")

    # Parameters and their views

    @property
    def dtype(self):
        return DTYPE

    @property
    def n_layers(self):
        return self.s.n_layers

    @property
    def n_inputs(self):
        return self.s.n_inputs

    @property
    def n_outputs(self):
        return self.s.n_outputs

    @property
    def regime(self):
        """Which loops train it: "tiny" (tiny.h), "shallow" (shallow.h) or "layers"."""
        return "tiny" if self.s.tiny else "shallow" if self.s.shallow else "layers"

    def in_parts(self, int batch_size):
        """Whether it trains on such batches in parts, whose gradients are added up."""
        return rows_of_part(&self.s, batch_size) > 0

    @property
    def nbytes(self):
        """Bytes held: parameters and their copy, optimizer state, gradient and work space."""
        blocks = [self._params, self._gradient, self._kept, self._part_gradients, *self._slots,
                  *self._work]
        return (sum(block.n_bytes for block in blocks if block is not None)
                + sum(part.nbytes for part in self._parts))

    cdef Layer* _layer(self, int i) except NULL:
        if not 0 <= i < self.s.n_layers:
            raise IndexError(f"The network has layers 0 to {self.s.n_layers - 1}. Received: {i}")
        return &self.s.layers[i]

    cdef _weights_view(self, _Block block, int i):
        cdef Layer* layer = self._layer(i)
        cdef Py_ssize_t item = sizeof(real)
        cdef Py_ssize_t row = layer.ldw * item
        strides = (item, row) if layer.narrow else (row, item)
        return np.ndarray((layer.n_in, layer.n_out), DTYPE, block, layer.w_at * item, strides)

    cdef _bias_view(self, _Block block, int i):
        cdef Layer* layer = self._layer(i)
        return np.ndarray((layer.n_out,), DTYPE, block, layer.b_at * sizeof(real))

    def weights(self, int i):
        """View of layer i's weights, shape (n_in, n_out)."""
        return self._weights_view(self._params, i)

    def bias(self, int i):
        """View of layer i's biases, shape (n_out,)."""
        return self._bias_view(self._params, i)

    def weights_slot(self, int slot, int i):
        """View of an optimizer moment (slot 0 or 1) of layer i's weights."""
        return self._weights_view(self._slot(slot), i)

    def bias_slot(self, int slot, int i):
        """View of an optimizer moment (slot 0 or 1) of layer i's biases."""
        return self._bias_view(self._slot(slot), i)

    def weights_gradient(self, int i):
        """View of the stored gradient of layer i's weights."""
        return self._weights_view(self._gradients(), i)

    def bias_gradient(self, int i):
        """View of the stored gradient of layer i's biases."""
        return self._bias_view(self._gradients(), i)

    cdef _Block _slot(self, int slot):
        # Skewed by a cache line more than a page each, so that a weight and its moments do not
        # share a cache set.
        if not 0 <= slot < 2:
            raise IndexError(f"An optimizer has slots 0 and 1. Received: {slot}")
        if self._slots[slot] is None:
            self._slots[slot] = _Block(self.s.n_params, (slot + 1) * 1088)
            self.s.slots[slot] = (<_Block>self._slots[slot]).data
        return self._slots[slot]

    cdef _Block _gradients(self):
        if self._gradient is None:
            self._gradient = _Block(self.s.n_params, 3 * 1088)
            self.s.gradient = self._gradient.data
        return self._gradient

    def copy_parameters(self):
        """Return all parameters, padding included, as one array."""
        return np.ndarray(self.s.n_params, DTYPE, self._params).copy()

    def restore_parameters(self, saved):
        """Put back what copy_parameters returned; the optimizer starts anew."""
        np.ndarray(self.s.n_params, DTYPE, self._params)[...] = saved
        self.reset_optimizer()
        self._release()

    def finite(self, int n_threads=1):
        """Return the first layer with a weight or moment that is not finite, or -1."""
        cdef State* s = &self.s
        cdef int i
        cdef Py_ssize_t start, stop
        blocks = [b for b in (self._params, *self._slots) if b is not None]
        for i in range(s.n_layers):
            start = s.layers[i].w_at
            stop = s.layers[i].b_at + s.layers[i].ld
            for block in blocks:
                if not block_finite((<_Block>block).data + start, stop - start, n_threads):
                    return i
        return -1

    def keep(self, int n_threads=1):
        """Copy the parameters, for `put_back`."""
        if self._kept is None:
            self._kept = _Block(self.s.n_params)
        block_copy(self._kept.data, self.s.params, self.s.n_params, n_threads)

    def put_back(self):
        """Set the parameters to what they were when `keep` was last called."""
        if self._kept is None:
            raise RuntimeError("put_back() needs a copy: call keep() first.")
        block_copy(self.s.params, self._kept.data, self.s.n_params, 1)
        self.s.loaded = 0

    def set_penalty(self, int i, double l1=0.0, double l2=0.0, double bias_l1=0.0,
                    double bias_l2=0.0, *, bint proximal=False, bint bias_proximal=False,
                    double group=0.0, bint by_input=False):
        """Set layer i's lambdas: l1 * sum|w| + l2 * sum(w**2), and the same for its biases.

        With `proximal` the L1 part is no gradient but a proximal step. `group` adds
        group * sum over groups of sqrt(size) * norm, by proximal steps: a group is a unit's
        incoming weights, or with `by_input` an input's outgoing ones.
        """
        cdef Layer* layer = self._layer(i)
        cdef int h
        self._swap_penalty(i, (0 if proximal else l1, l2, 0 if bias_proximal else bias_l1,
                               bias_l2))
        layer.pen.prox = <real>(l1 if proximal else 0)
        layer.pen_b.prox = <real>(bias_l1 if bias_proximal else 0)
        layer.penalised = layer.penalised or layer.pen.prox != 0 or layer.pen_b.prox != 0
        layer.group_lambda, layer.by_input = group, by_input
        memset(layer.norms, 0, 2 * layer.n_norms * sizeof(double))
        layer.penalty_b[0] = 0
        self.s.grouped = False
        for h in range(self.s.n_layers):
            self.s.grouped |= self.s.layers[h].group_lambda != 0

    cdef _swap_penalty(self, int i, pen):
        """Set layer i's lambdas of gradients and return those it had."""
        cdef Layer* layer = self._layer(i)
        # By way of double: Cython takes `real` for float in every conversion from Python.
        cdef double l1 = pen[0], l2 = pen[1], bias_l1 = pen[2], bias_l2 = pen[3]
        had = (<double>layer.pen.l1, <double>layer.pen.l2, <double>layer.pen_b.l1,
               <double>layer.pen_b.l2)
        layer.pen.l1, layer.pen.l2 = <real>l1, <real>l2
        layer.pen_b.l1, layer.pen_b.l2 = <real>bias_l1, <real>bias_l2
        layer.penalised = any(pen) or layer.pen.prox != 0 or layer.pen_b.prox != 0
        return had

    cdef void _measure_groups(self) noexcept:
        """Norms of the groups of the present weights, which Python may have changed."""
        cdef unsigned long long state = denormals_off()
        if self.s.grouped:
            group_team(&self.s, False, 0, 1)
        denormals_restore(state)

    def penalty(self):
        """Return the penalty of the present weights."""
        total = 0.0
        for i in range(self.s.n_layers):
            total += _penalty_value(self.s.layers[i].pen, self.weights(i))
            total += _penalty_value(self.s.layers[i].pen_b, self.bias(i))
            if self.s.layers[i].group_lambda != 0:
                norms = np.sqrt(np.square(self.weights(i), dtype=np.float64).sum(
                    axis=1 if self.s.layers[i].by_input else 0))
                total += (self.s.layers[i].group_lambda * float(norms.sum())
                          * sqrt(<double>group_size(&self.s.layers[i])))
        return total

    # Loss and optimizer

    def configure(self, *, loss, metrics=(), optimizer="adam", double learning_rate=0.001,
                  double momentum=0.0, bint nesterov=False, double beta_1=0.9,
                  double beta_2=0.999, double rho=0.9, double epsilon=1e-7,
                  double weight_decay=0.0, long long initial_step=0,
                  double initial_accumulator=0.1, double huber_delta=1.0, double clip_norm=0.0,
                  double clip_array_norm=0.0, double clip_value=0.0):
        """Choose loss, metrics and optimizer; the optimizer starts anew."""
        cdef State* s = &self.s
        cdef int i
        s.loss = _code(loss, LOSSES, "loss")
        codes = [_code(name, METRICS, "metric") for name in metrics]
        kind = OPTIMIZERS[_code(optimizer, OPTIMIZERS, "optimizer")]
        free(s.metrics)
        free(s.metric_sums)
        free(s.record_metrics)
        s.metrics = <int*>calloc(len(codes) + 1, sizeof(int))
        s.metric_sums = <double*>calloc(len(codes) + 1, sizeof(double))
        s.record_metrics = <double*>calloc(WINDOW * len(codes) + 1, sizeof(double))
        if s.metrics == NULL or s.metric_sums == NULL or s.record_metrics == NULL:
            raise MemoryError("Cannot allocate a network's metrics.")
        s.n_metrics = len(codes)
        for i in range(s.n_metrics):
            s.metrics[i] = codes[i]
        if kind == "sgd":
            s.optimizer = OPT_SGD if momentum == 0 else OPT_NESTEROV if nesterov else OPT_MOMENTUM
        else:
            s.optimizer = {"rmsprop": OPT_RMSPROP, "adagrad": OPT_ADAGRAD}.get(kind, OPT_ADAM)
        s.learning_rate = learning_rate
        s.weight_decay = weight_decay if kind == "adamw" else 0
        s.beta_1, s.beta_2 = beta_1, beta_2
        s.corrections_known = 0
        s.tiny = is_tiny(s) and s.loss == LOSS_MSE
        s.rule.beta_1, s.rule.beta_2 = <real>beta_1, <real>beta_2
        s.rule.momentum, s.rule.rho, s.rule.eps = <real>momentum, <real>rho, <real>epsilon
        if s.rule.eps == 0:
            s.rule.eps = <real>1e-30  # padding has moments of zero, and 0 / 0 would not stay there
        # Rounded once: 1 - beta taken from the rounded beta would be off by 1e-5.
        s.rule.rest_1, s.rule.rest_2 = <real>(1 - beta_1), <real>(1 - beta_2)
        s.rule.rest_rho = <real>(1 - rho)
        s.initial_step = initial_step
        s.huber_delta = huber_delta
        s.clip_norm, s.clip_array_norm, s.clip_value = clip_norm, clip_array_norm, clip_value
        self._accumulator = initial_accumulator
        self._release()
        self.reset_optimizer()

    def reset_optimizer(self):
        """Forget the optimizer's moments and steps."""
        cdef int slot
        self.s.step = 0
        for slot in range(2):
            if self._slots[slot] is not None:
                memset(self.s.slots[slot], 0, self.s.n_params * sizeof(real))
        if self.s.optimizer == OPT_ADAGRAD:
            for i in range(self.s.n_layers):
                self.weights_slot(0, i)[...] = self._accumulator
                self.bias_slot(0, i)[...] = self._accumulator

    @property
    def step(self):
        """Optimizer steps done."""
        return self.s.step

    @step.setter
    def step(self, long long value):
        self.s.step = value

    @property
    def learning_rate(self):
        """Rate of the next step."""
        return self.s.learning_rate

    @learning_rate.setter
    def learning_rate(self, double value):
        self.s.learning_rate = value

    def set_rates(self, rates, long long first_step=0):
        """Set the rates of the optimizer's steps from `first_step` on; the last one stays.

        None goes back to `learning_rate`.
        """
        cdef const double[::1] view
        self._rates = None
        self.s.rates = NULL
        if rates is None:
            return
        self._rates = np.array(rates, np.float64, ndmin=1)
        if self._rates.ndim != 1 or not len(self._rates):
            raise ValueError("rates must hold a number for each step. Received: an array of shape "
                             f"{self._rates.shape}")
        view = self._rates
        self.s.rates, self.s.n_rates, self.s.rates_first = &view[0], view.shape[0], first_step

    # Work space

    cdef real* _take(self, Py_ssize_t n_items) except NULL:
        block = _Block(n_items, len(self._work) % 16 * 320)
        self._work.append(block)
        return (<_Block>block).data

    def _release(self):
        self._work, self._parts = [], []
        self.s.capacity = 0
        self.s.loaded = 0

    cdef _reserve(self, int n, int n_threads):
        """Work space for batches of n rows; what is there is kept if it is large enough."""
        cdef State* s = &self.s
        cdef Layer* layer
        cdef int h, rows, blocks, widest = 0
        cdef Py_ssize_t per_thread, doubles = 8 // sizeof(real)
        if n <= s.capacity and n_threads * s.n_scratch * sizeof(real) <= self._scratch_bytes():
            return
        n = max(n, s.capacity)
        rows = round_up(n, VL)
        blocks = (n + ROW_BLOCK - 1) // ROW_BLOCK
        self._release()
        s.ldx = padded(s.n_inputs)
        s.xb = self._take(rows * s.ldx)
        s.yb = self._take(rows * max(s.n_outputs, 1))
        s.wb = self._take(rows)
        s.place = <int*>self._take(rows)
        s.keys = <unsigned long long*>self._take(rows * doubles)
        self._keep_place(n)
        s.columns_ld = rows
        s.columns = self._take((s.n_inputs + 4) * rows if s.tiny else 1)
        s.row_loss = <double*>self._take(rows * doubles)
        s.row_metrics = <double*>self._take(rows * doubles * max(s.n_metrics, 1))
        for h in range(s.n_layers):
            layer = &s.layers[h]
            widest = max(widest, layer.ld)
            layer.y = self._take(rows * layer.ld)
            layer.dz = self._take(rows * layer.ld)
            layer.z = NULL
            if (activation_needs_z(layer.act)
                    or (h == s.n_layers - 1 and self._activations[h] == "sigmoid")):
                layer.z = self._take(rows * layer.ld)
            layer.group = round_up(layer.n_out, PANEL) * LANE_ROWS
            layer.t = self._take((n + LANE_ROWS - 1) // LANE_ROWS * layer.group)
            layer.live_y = layer.live_dz = NULL
            layer.dzp = NULL
            if not layer.narrow and (self._orderable() or h > 0 and skips(s, &s.layers[h - 1])):
                layer.dzp = self._take(rows * layer.n_panels * PANEL)
            if skips(s, layer):
                layer.live_y = <unsigned char*>self._take(blocks * ROW_TILES * layer.ld)
                layer.live_dz = <unsigned char*>self._take(layer.ld)
                self._take_patterns(&layer.tiles, layer.n_out, blocks * ROW_TILES)
                self._take_patterns(&layer.lanes, layer.n_out,
                                    (n + LANE_ROWS - 1) // LANE_ROWS)
            if layer.dropout > 0:
                layer.x = self._take(rows * (s.ldx if h == 0 else s.layers[h - 1].ld))
                layer.mask = self._take(rows * (s.ldx if h == 0 else s.layers[h - 1].ld))
        s.ldg = padded(widest)
        per_thread = (UNITS + 2) * s.ldg + UNIT_TILES * TILE_ROWS * rows
        per_thread = round_up(per_thread + PANEL, 64) + 64
        s.n_scratch = per_thread
        s.scratch = self._take(per_thread * n_threads)
        self._scratch = self._work[len(self._work) - 1]
        s.row_grad = <double*>self._take(s.n_outputs * doubles * n_threads)
        s.capacity = n

    cdef _take_patterns(self, Patterns* p, int n_units, int n_groups):
        if not self._orderable():
            return
        p.ld = n_units + FORWARD_AHEAD
        p.n_cuts = (n_units + DEPTH - 1) // DEPTH + 1
        p.idx = <int*>self._take(n_groups * p.ld)
        p.cut = <int*>self._take(n_groups * p.n_cuts)

    cdef bint _orderable(self):
        """Whether putting the rows of a batch in order may pay: with few inputs rows that lie
        side by side have much the same inactive units, and large layers make use of it."""
        return (self.s.n_inputs <= ORDERED_INPUTS and self.s.n_layers > 2
                and self.s.n_params > 100_000)

    cdef _open_parts(self, int n_threads):
        """Work space for batches in parts, if the session's batches are taken so."""
        cdef State* s = &self.s
        cdef State** parts
        cdef Network part
        cdef int i, n_groups
        free(s.parts)
        s.parts = NULL
        if not rows_of_part(s, s.batch_size):
            return
        n_groups = groups_of_threads(s, n_threads)
        while len(self._parts) < n_groups:
            part = Network(s.n_inputs, self._units, self._activations,
                           use_bias=[s.layers[i].use_bias for i in range(s.n_layers)],
                           dropout=[s.layers[i].dropout for i in range(s.n_layers)])
            part.configure(loss=LOSSES[s.loss],
                           metrics=[METRICS[s.metrics[i]] for i in range(s.n_metrics)])
            part.s.skip = self._skip_wanted
            self._parts.append(part)
        if self._part_gradients is None:
            self._part_gradients = _Block(MOST_PARTS * s.n_params, 4 * 1088)
            s.part_gradients = self._part_gradients.data
        parts = <State**>calloc(n_groups, sizeof(State*))
        if parts == NULL:
            raise MemoryError("Cannot allocate a network's work space.")
        for i in range(n_groups):
            part = self._parts[i]
            part._reserve(rows_of_part(s, s.batch_size), (n_threads - i - 1) // n_groups + 1)
            parts[i] = &part.s
        s.parts = parts

    cdef Py_ssize_t _scratch_bytes(self):
        return self._scratch.n_bytes if self._work else 0

    cdef int _team(self, double rows, int n_threads, bint automatic, bint forward=False):
        """Threads for a step on so many rows: one if waking and waiting for the others would cost
        more than they give. What only goes forward has a third of the work."""
        cdef double enough = 3e6 if forward else 6e5 if self.s.shallow else 1.5e6
        if not forward and rows_of_part(&self.s, <int>rows):
            enough = 4e5    # threads hardly wait for each other
        if automatic and rows * self.s.n_params < enough:
            return 1
        return n_threads

    # Training session

    def begin(self, x, y, sample_weight=None, *, int batch_size, bint shuffle, seed):
        """Begin training on these arrays, at epoch 0; they are held until `end`."""
        cdef State* s = &self.s
        n = len(x)
        if n < 1 or batch_size < 1:
            raise ValueError("Training needs at least one row and a batch size of at least 1. "
                             f"Received: {n} rows, batch_size={batch_size}.")
        self.end()
        n_targets = 1 if s.loss == LOSS_SCCE else s.n_outputs
        held = [_Input(x, (n, s.n_inputs), "x"), _Input(y, (n, n_targets), "y")]
        s.x, s.y, s.sample_weight = (<_Input>held[0]).data(), (<_Input>held[1]).data(), NULL
        if sample_weight is not None:
            held.append(_Input(sample_weight, (n,), "sample_weight"))
            s.sample_weight = (<_Input>held[2]).data()
        order = _Block(n * 8 // sizeof(real) if shuffle else 1)
        s.order = <int64_t*>(<_Block>order).data
        self._session = [*held, order]
        s.n_rows, s.n_targets = n, n_targets
        s.batch_size = min(batch_size, n)
        s.shuffle = shuffle
        s.seed = seed
        s.epoch = s.batch = s.rows_done = 0
        s.order_epoch = -1
        self._forget_sums()
        s.diverged_layer = -2
        self._unchecked = True

    cdef void _forget_sums(self) noexcept:
        self.s.loaded = 0
        self.s.loss_sum = 0
        self.s.rows_summed = 0
        memset(self.s.metric_sums, 0, self.s.n_metrics * sizeof(double))

    def end(self):
        """Let go of the data."""
        self._session = []
        self.s.x = self.s.y = self.s.sample_weight = NULL
        self.s.order = NULL

    def run(self, long long n_epochs, losses, metrics, *, int n_threads, bint automatic=True,
            double max_seconds=0.1, long long max_steps=0):
        """Train on from where the session stands; return how many epochs ended."""
        cdef State* s = &self.s
        cdef double[::1] losses_out = losses
        cdef double[:, ::1] metrics_out = metrics
        if not self._session:
            raise RuntimeError("run() needs a session: call begin() first.")
        if (losses_out.shape[0] < n_epochs or metrics_out.shape[0] < n_epochs
                or metrics_out.shape[1] != s.n_metrics):
            raise ValueError("losses and metrics have no room for the epochs asked for.")
        PyErr_CheckSignals()
        if n_epochs < 1 or s.diverged_layer != -2:
            return 0
        with self._lock:
            return self._run(n_epochs, losses_out, metrics_out, n_threads, automatic, max_seconds,
                             max_steps)

    cdef _run(self, long long n_epochs, double[::1] losses_out, double[:, ::1] metrics_out,
              int n_threads, bint automatic, double max_seconds, long long max_steps):
        cdef State* s = &self.s
        cdef int team = self._team(s.batch_size, n_threads, automatic)
        if self._unchecked:
            # A weight that is not finite must reach the loss, so nothing is left out then.
            s.skip = self._skip_wanted and (max(self._units) < 64 or self.finite(team) < 0)
            self._unchecked = False
        self._reserve(s.batch_size, n_threads)
        self._slot(0)
        self._slot(1)
        if clips(s):
            self._gradients()
        self._open_parts(team)
        self._open_window()
        s.losses_out = &losses_out[0]
        s.metrics_out = &metrics_out[0, 0] if s.n_metrics else NULL
        s.epochs_wanted, s.steps_left = n_epochs, max_steps
        s.epochs_passed = s.epochs_ended = 0
        s.deadline = seconds_now() + max_seconds
        s.stop = 0
        s.may_order = (s.skip and self._orderable() and min(s.n_rows, s.batch_size) <= ORDERED_ROWS
                       and os.environ.get("FASTMLP_ORDER", "1") != "0")
        begin_queues(s)
        self._measure_groups()
        if team == 1:
            with nogil:
                train_team(s, 0, 1)
        else:
            with nogil, parallel(num_threads=team):
                train_team(s, omp_get_thread_num(), omp_get_num_threads())
        return s.epochs_ended

    cdef void _open_window(self) noexcept:
        """Decide which layers' updates may wait. In caches nothing is gained by it."""
        cdef State* s = &self.s
        cdef int h, slot
        # Groups, and parts of a batch, need all of their weights.
        cdef bint may = (s.skip and s.n_params > 100_000 and not clips(s) and not s.grouped
                         and s.parts == NULL)
        s.window.size = 1
        for h in range(s.n_layers):
            for slot in range(WINDOW):
                s.layers[h].finite[slot] = 1
            s.layers[h].may_wait = (may and h > 0 and not s.layers[h].narrow
                                    and s.layers[h - 1].may_skip
                                    and s.layers[h - 1].act == ACT_RELU)
            if s.layers[h].may_wait:
                s.window.size = WINDOW

    @property
    def epoch(self):
        """Epochs ended in this session."""
        return self.s.epoch

    @epoch.setter
    def epoch(self, long long value):
        self.s.epoch = value
        self._forget_sums()

    @property
    def batch(self):
        """Batches done in the present epoch."""
        return self.s.batch

    @batch.setter
    def batch(self, long long value):
        self.s.batch = value
        self.s.rows_done = value * self.s.batch_size
        self._forget_sums()

    @property
    def progress(self):
        """Where the session stands: epoch, batch, rows done and summed, their sums of the loss
        and of each metric. Set after `begin`, it resumes a session within an epoch."""
        cdef State* s = &self.s
        return (s.epoch, s.batch, s.rows_done, s.rows_summed, s.loss_sum,
                [s.metric_sums[i] for i in range(s.n_metrics)])

    @progress.setter
    def progress(self, value):
        cdef State* s = &self.s
        s.epoch, s.batch, s.rows_done, s.rows_summed, s.loss_sum, sums = value
        if len(sums) != s.n_metrics:
            raise ValueError(f"Expected {s.n_metrics} sums of metrics. Received: {len(sums)}")
        for i in range(s.n_metrics):
            s.metric_sums[i] = sums[i]
        s.loaded = 0

    @property
    def batch_loss(self):
        """Loss of the last step."""
        return self.s.batch_loss

    @property
    def threads_used(self):
        """Threads that took part in the last run()."""
        return self.s.threads_used

    @property
    def window(self):
        """Steps that a row of weights could wait for updates in the last run(); 1: none did."""
        return self.s.window.size

    @property
    def running_loss(self):
        """Mean loss of the present epoch so far."""
        return self.s.loss_sum / self.s.rows_summed if self.s.rows_summed else float("nan")

    @property
    def diverged(self):
        """(epoch, layer) at which the run diverged, layer -1 for the loss itself; or None."""
        if self.s.diverged_layer == -2:
            return None
        return (self.s.diverged_epoch, self.s.diverged_layer)

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

    cdef void _keep_place(self, int n) noexcept:
        """Rows of a batch lie where they are given."""
        cdef int i
        self.s.ordered = 0
        for i in range(n):
            self.s.place[i] = i

    cdef _load(self, const real* x, Py_ssize_t first, int n):
        cdef int i
        self.s.loaded = 0
        self._keep_place(n)
        for i in range(n):
            memcpy(self.s.xb + i * self.s.ldx, x + (first + i) * self.s.n_inputs,
                   self.s.n_inputs * sizeof(real))

    cdef void _forward_block(self, int n, int n_layers, int team, bint training=False) noexcept:
        cdef State* s = &self.s
        cdef unsigned long long state
        begin_queues(s)
        if team == 1:
            with nogil:
                state = denormals_off()
                forward_team(s, s.xb, s.ldx, n, n_layers, training, 0, 1)
                denormals_restore(state)
        else:
            with nogil, parallel(num_threads=team):
                forward_thread(s, n, n_layers, training)

    cdef _forward(self, x, out, int n_layers, int n_threads, bint automatic):
        cdef Layer* layer = &self.s.layers[n_layers - 1]
        cdef Py_ssize_t n = len(x), first = 0
        cdef int rows, i, step
        cdef _Input source = _Input(x, (n, self.s.n_inputs), "x")
        cdef _Input target = _Input(out, (n, layer.n_out), "out", True)
        cdef real* to = target.data()
        if n == 0:
            return
        step = <int>min(n, <Py_ssize_t>self._block_rows(n_threads))
        self._reserve(step, n_threads)
        while first < n:
            rows = <int>min(<Py_ssize_t>step, n - first)
            self._load(source.data(), first, rows)
            self._forward_block(rows, n_layers, self._team(rows, n_threads, automatic, True))
            for i in range(rows):
                memcpy(to + (first + i) * layer.n_out, layer.y + i * layer.ld,
                       layer.n_out * sizeof(real))
            first += rows
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
        cdef double total = 0
        if n < 1:
            raise ValueError("evaluate() needs at least one row. Received: 0 rows.")
        n_targets = 1 if s.loss == LOSS_SCCE else s.n_outputs
        cdef _Input source = _Input(x, (n, s.n_inputs), "x")
        cdef _Input target = _Input(y, (n, n_targets), "y")
        cdef _Input weight = None
        cdef const real* t = target.data()
        cdef const real* w = NULL
        if sample_weight is not None:
            weight = _Input(sample_weight, (n,), "sample_weight")
            w = weight.data()
        sums = [0.0] * s.n_metrics
        step = <int>min(n, <Py_ssize_t>self._block_rows(n_threads))
        self._reserve(step, n_threads)
        s.n_targets = n_targets
        while first < n:
            rows = <int>min(<Py_ssize_t>step, n - first)
            self._load(source.data(), first, rows)
            self._forward_block(rows, s.n_layers, self._team(rows, n_threads, automatic, True))
            score_rows(s, rows, t + first * s.n_targets,
                       w + first if w != NULL else NULL, 0, 0, rows, 0)
            for i in range(rows):
                total += s.row_loss[i]
                for q in range(s.n_metrics):
                    sums[q] += s.row_metrics[i * s.n_metrics + q]
            first += rows
            PyErr_CheckSignals()
        return total / n, [value / n for value in sums]

    def gradients(self, x, y=None, sample_weight=None, *, int n_threads, bint automatic=True):
        """Store the gradient of loss plus penalty (of the summed output if y is None).

        Returns the value that was differentiated. What a proximal step serves, of L1 and groups,
        is in the value and not in the gradient.
        """
        with self._lock:
            return self._differentiate(x, y, sample_weight, n_threads, automatic)

    cdef _differentiate(self, x, y, sample_weight, int n_threads, bint automatic):
        cdef State* s = &self.s
        cdef Py_ssize_t n = len(x)
        cdef int i, team
        cdef _Input source = _Input(x, (n, s.n_inputs), "x")
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
        self._reserve(<int>n, n_threads)
        self._load(source.data(), 0, <int>n)
        team = self._team(n, n_threads, automatic)
        begin_queues(s)
        kept = []
        if t == NULL:
            kept = [self._swap_penalty(i, (0, 0, 0, 0)) for i in range(s.n_layers)]
        self._measure_groups()
        if team == 1:
            with nogil:
                gradient_team(s, <int>n, t, w, NULL, 0, 1)
        else:
            with nogil, parallel(num_threads=team):
                gradient_team(s, <int>n, t, w, NULL, omp_get_thread_num(), omp_get_num_threads())
        for i, pen in enumerate(kept):
            self._swap_penalty(i, pen)
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
        cdef int i, team
        cdef _Input source = _Input(x, (n, s.n_inputs), "x")
        cdef _Input target = _Input(out, (n, s.n_outputs), "out", True)
        if n < 1:
            raise ValueError("train_forward() needs at least one row. Received: 0 rows.")
        with self._lock:
            s.skip = False  # nobody has checked that the weights are finite
            self._reserve(<int>n, n_threads)
            self._load(source.data(), 0, <int>n)
            team = self._team(n, n_threads, automatic)
            self._forward_block(<int>n, s.n_layers, team, True)
            for i in range(n):
                memcpy(target.data() + i * s.n_outputs, last.y + i * last.ld,
                       s.n_outputs * sizeof(real))
            self._rows_forward = n

    def train_backward(self, dy, *, int n_threads, bint automatic=True):
        """Store the gradient of sum(dy * out) plus penalty for the batch of the latest
        `train_forward`; return the penalty."""
        cdef State* s = &self.s
        cdef int n = <int>self._rows_forward, team
        cdef _Input source = _Input(dy, (n, s.n_outputs), "dy")
        cdef const real* d = source.data()
        if n < 1:
            raise RuntimeError("train_backward() needs a batch: call train_forward() first.")
        with self._lock:
            self._rows_forward = 0
            self._gradients()
            team = self._team(n, n_threads, automatic)
            begin_queues(s)
            self._measure_groups()
            if team == 1:
                with nogil:
                    gradient_team(s, n, NULL, NULL, d, 0, 1)
            else:
                with nogil, parallel(num_threads=team):
                    gradient_team(s, n, NULL, NULL, d, omp_get_thread_num(), omp_get_num_threads())
            return penalty_sum(s, 0)

    def apply_gradients(self, *, int n_threads, bint automatic=True):
        """Make one optimizer step with the stored gradient, clipped as configured."""
        cdef State* s = &self.s
        cdef int team = self._team(1, n_threads, automatic)
        self._gradients()
        self._slot(0)
        self._slot(1)
        prepare_rule(s)
        if team == 1:
            with nogil:
                apply_thread(s, 0, 1)
        else:
            with nogil, parallel(num_threads=team):
                apply_thread(s, omp_get_thread_num(), omp_get_num_threads())
        s.step += 1


def peak_flops(int n_threads, double seconds):
    """Measure floating-point operations a second in multiply-adds that wait for nothing."""
    cdef double start, passed
    cdef long long rounds = 1000
    cdef double[::1] sums = np.zeros(n_threads)
    while True:
        start = seconds_now()
        with nogil, parallel(num_threads=n_threads):
            sums[omp_get_thread_num()] = peak_rounds(rounds)
        passed = seconds_now() - start
        PyErr_CheckSignals()
        if passed > seconds / 4:
            return n_threads * rounds * PEAK_FLOPS / passed
        rounds *= 2


cdef bint block_finite(const real* data, Py_ssize_t n, int n_threads) noexcept:
    """Whether n numbers are finite, in shares of whole vectors."""
    cdef Py_ssize_t piece = ENOUGH_TO_SHARE, k, n_pieces = (n + piece - 1) // piece
    cdef int bad = 0
    if n_pieces < 2 or n_threads < 2:
        return span_finite(data, n)
    for k in prange(n_pieces, nogil=True, num_threads=n_threads, schedule="static"):
        bad |= not span_finite(data + k * piece, min(piece, n - k * piece))
    return not bad


cdef void block_copy(real* to, const real* data, Py_ssize_t n, int n_threads) noexcept:
    cdef Py_ssize_t piece = ENOUGH_TO_SHARE, k, n_pieces = (n + piece - 1) // piece
    if n_pieces < 2 or n_threads < 2:
        memcpy(to, data, n * sizeof(real))
        return
    for k in prange(n_pieces, nogil=True, num_threads=n_threads, schedule="static"):
        memcpy(to + k * piece, data + k * piece, min(piece, n - k * piece) * sizeof(real))


cdef void forward_thread(State* s, int n, int n_layers, int training) noexcept nogil:
    cdef unsigned long long state = denormals_off()
    forward_team(s, s.xb, s.ldx, n, n_layers, training, omp_get_thread_num(), omp_get_num_threads())
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
        forward_team(s, s.xb, s.ldx, n, s.n_layers, 0, tid, n_threads)
    if y != NULL:
        share(n, VL, tid, n_threads, &start, &stop)
        score_rows(s, n, y, weight, 1, start, stop, tid)
    else:
        begin_from_outputs(s, n, dy, tid, n_threads)
    team_barrier(&s.gate, n_threads)
    backward_team(s, s.xb, s.ldx, n, &store, s.gradient, s.gradient, dy != NULL, tid, n_threads)
    denormals_restore(state)


cdef void begin_from_outputs(State* s, int n, const real* dy, int tid,
                             int n_threads) noexcept nogil:
    """The last layer's dz from dy, the gradient by the outputs; NULL: all ones."""
    cdef Layer* last = &s.layers[s.n_layers - 1]
    cdef int i, j, start, stop
    share(n, VL, tid, n_threads, &start, &stop)
    for i in range(start, stop):
        for j in range(last.n_out):
            last.dz[i * last.ld + j] = dy[i * last.n_out + j] if dy != NULL else 1
        if last.act == ACT_SOFTMAX:
            softmax_backward_row(last.n_out, last.y + i * last.ld, last.dz + i * last.ld)
        else:
            finish_backward(last.act, 0, round_up(last.n_out, VL), 1, 0, 0, NULL, 0,
                            last.dz + i * last.ld, last.ld, last.y + i * last.ld,
                            last.z + i * last.ld if last.z != NULL else NULL, NULL, NULL)


include "sharded.pxi"
include "stacked.pxi"
