# The first of the classes of a network, each derived from the one before: _Parameters,
# _Workspace (workspace.pxi), _Objective (objective.pxi), _Session (session.pxi), Network
# (network.pyx).

cdef enum:
    ROW_WORK = 200      # operations that a row costs besides those of weights
    WEIGHTS_UNKNOWN = 0     # they may have changed since anybody looked
    WEIGHTS_FINITE = 1
    WEIGHTS_BAD = 2
    CHECKED_ROWS = 64       # as many are worth a look at weights while a view of them is held
    UNDO_ROWS = 4096    # with as many, a copy of all weights costs less than a hundredth of a step

cdef double LONG_WORK = 5e9     # operations: a tenth of a second, or on a slow processor a second
cdef double UNDO_WORK = 1e11    # of a step that is undone whatever the copy costs
cdef double UNDO_SECONDS = 0.5


cdef class _Parameters:
    """The layers, their parameters and the optimizer's moments."""

    cdef State s
    cdef _Block _params
    cdef _Block _gradient
    cdef _Block _kept       # a copy of the parameters
    cdef _Block _undo       # parameters and moments before a step
    cdef _Block _zeros
    cdef _Block _sums       # of weights over the bins of inputs
    cdef list _encoding     # arrays that describe those, or None
    cdef list _slots
    cdef int _known         # whether all weights are finite, WEIGHTS_*
    cdef list _units, _activations

    def __cinit__(self, int n_inputs, units, activations, *, use_bias=None, dropout=None,
                  encoding=None):
        cdef int h, n_in = n_inputs, widest
        cdef size_t at = 0
        cdef Layer* layer
        self._units = [int(u) for u in units]
        self._activations = list(activations)
        self._slots = [None, None]
        n_layers = len(self._units)
        if n_layers < 1 or n_inputs < 1 or min(self._units) < 1:
            raise ValueError("A network needs at least one input, one layer and one unit a layer. "
                             f"Received: {n_inputs} inputs, units={self._units}.")
        if len(self._activations) != n_layers:
            raise ValueError(f"Expected {n_layers} activations. Received: {self._activations}")
        self.s.n_layers = n_layers
        self.s.n_inputs = n_inputs
        if encoding is not None:
            first, lower, inverse = encoding
            n_in = self._encode(first, lower, inverse)
        widest = n_in
        self.s.n_outputs = self._units[n_layers - 1]
        self.s.layers = <Layer*>calloc(n_layers, sizeof(Layer))
        if self.s.layers == NULL:
            raise MemoryError("Cannot allocate a network's layers.")
        for h in range(n_layers):
            layer = &self.s.layers[h]
            layer.n_in = n_in
            layer.n_out = self._units[h]
            layer.act = _code(self._activations[h], ACTIVATIONS, "activation")
            # With few inputs as well, lanes across a hidden layer's units serve better.
            layer.narrow = (layer.n_out <= NARROW and (h == n_layers - 1 or n_in > NARROW)
                            and not (h == 0 and self.s.encoding.used))
            layer.use_bias = use_bias is None or bool(use_bias[h])
            layer.dropout = 0.0 if dropout is None else dropout[h]
            if h == 0 and layer.dropout > 0 and self.s.encoding.used:
                raise ValueError("Encoded inputs are never formed: they cannot be dropped.")
            layer.n_panels = (layer.n_out + PANEL - 1) // PANEL
            layer.ld = padded(layer.n_out)
            layer.n_rows = layer.n_out if layer.narrow else n_in
            layer.ldw = padded(n_in) if layer.narrow else padded(layer.n_out)
            layer.may_skip = may_skip(&self.s, h)
            layer.w_at = at
            self.s.n_weights += <size_t>n_in * layer.n_out
            at += layer.n_rows * layer.ldw
            layer.b_at = at
            at += layer.ld
            n_in = layer.n_out
            widest = max(widest, n_in)
        self.s.n_params = at
        self.s.row_weights = self.s.n_weights
        self._params = _Block(at)
        self.s.params = self._params.data
        if self.s.encoding.used:
            self._sums = _Block(self.s.layers[0].n_rows * self.s.layers[0].ldw)
            self.s.encoding.sums = self._sums.data
        self.s.shallow = is_shallow(&self.s)
        self._keep_constants(widest)
        for h in range(n_layers):
            layer = &self.s.layers[h]
            layer.n_kept = max(layer.n_in, layer.n_panels)
            layer.penalties = <double*>calloc(WINDOW * layer.n_kept, sizeof(double))
            layer.waits = <unsigned char*>calloc(layer.n_in, 1)
            if layer.penalties == NULL or layer.waits == NULL:
                raise MemoryError("Cannot allocate a network's layers.")
            layer.watch = &self.s.own
        self.s.watch = &self.s.own
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
        free(self.s.norms)

    cdef int _encode(self, first, lower, inverse) except -1:
        """Take the encoding of the inputs, see Encoding; return the columns that it gives."""
        cdef Encoding* own = &self.s.encoding
        cdef int j
        cdef _Input starts = _Input(np.ascontiguousarray(first, np.int32), (self.s.n_inputs + 1,),
                                    "first", False, np.dtype(np.int32))
        own.first = <const int*>starts.view.buf
        n_rows = own.first[self.s.n_inputs]
        if own.first[0] != 0:
            raise ValueError("first must begin with 0.")
        for j in range(self.s.n_inputs):
            if own.first[j + 1] <= own.first[j]:
                raise ValueError("Every input must have a column of its own.")
        self._encoding = [starts]
        for values, name in ((lower, "lower"), (inverse, "inverse")):
            self._encoding.append(_Input(np.ascontiguousarray(values, DTYPE), (n_rows,), name))
        own.lower = (<_Input>self._encoding[1]).data()
        own.inverse = (<_Input>self._encoding[2]).data()
        own.used = 1
        return n_rows

    @property
    def encoding(self):
        """The arrays that describe how inputs are encoded, or None."""
        if self._encoding is None:
            return None
        return [(<_Input>part).view.obj for part in self._encoding]

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

    # Views

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
        self._known = WEIGHTS_UNKNOWN
        return self._weights_view(self._params, i)

    def bias(self, int i):
        """View of layer i's biases, shape (n_out,)."""
        self._known = WEIGHTS_UNKNOWN
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

    # All of them at once

    def padding(self):
        """Return the padding of the parameters, of each moment, and of the stored gradient if
        there is one. All of it stays zero."""
        cdef Layer* layer
        used = np.zeros(self.s.n_params, bool)
        for i in range(self.s.n_layers):
            layer = &self.s.layers[i]
            rows = used[layer.w_at:layer.b_at].reshape(layer.n_rows, layer.ldw)
            rows[:, :layer.n_in if layer.narrow else layer.n_out] = True
            used[layer.b_at:layer.b_at + layer.n_out] = True
        blocks = [self._params, *self._slots, self._gradient]
        return [np.ndarray(self.s.n_params, DTYPE, block)[~used] for block in blocks
                if block is not None]

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

    cdef bint _finite_weights(self, Py_ssize_t n_rows):
        """Whether all weights are known to be finite, before a pass of n_rows through them: then
        what they are multiplied with may be left out where it is zero. Somebody who holds a view
        may write at any time, so nothing is remembered then, and few rows are not worth a look."""
        cdef bint held = references(<PyObject*>self._params) > 1
        if held and n_rows < CHECKED_ROWS:
            return False
        if held or self._known == WEIGHTS_UNKNOWN:
            self._known = (WEIGHTS_FINITE if span_finite(self.s.params, self.s.n_params)
                           else WEIGHTS_BAD)
        return self._known == WEIGHTS_FINITE

    def keep(self, int n_threads=1):
        """Copy the parameters, for `put_back`."""
        if self._kept is None:
            self._kept = _Block(self.s.n_params)
        block_copy(self._kept.data, self.s.params, self.s.n_params, n_threads)

    def put_back(self):
        """Restore the parameters copied by the last `keep`."""
        if self._kept is None:
            raise RuntimeError("put_back() needs a copy: call keep() first.")
        self._known = WEIGHTS_UNKNOWN
        block_copy(self.s.params, self._kept.data, self.s.n_params, 1)
        self.s.loaded = 0
