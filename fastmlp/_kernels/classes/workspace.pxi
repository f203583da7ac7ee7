# Memory for the passes of a batch, and the number of threads.

_networks = weakref.WeakSet()


def _after_fork():
    global _is_forked
    _is_forked = True
    for network in _networks:
        network._forked()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


cdef int ask_for_signals(void* signals) noexcept nogil:
    """Let signals in, and return whether one of them ends the work; called by `watch`."""
    with gil:
        try:
            PyErr_CheckSignals()
            return (<object>signals).asked()
        except BaseException as error:
            (<object>signals).error = error
            return 1


cdef watch_for_signals(State* s, double n, double passes):
    """Watch for signals if the work is long; return the Signals that the caller ends, or None."""
    s.own.on = s.own.cancelled = s.watched = s.abandoned = 0
    if n * (passes * s.row_weights + ROW_WORK) < LONG_WORK:
        return None
    signals = Signals()
    signals.begin()
    s.own.signals, s.own.look = <void*>signals, ask_for_signals
    s.own.next = seconds_now() + LOOK_SECONDS
    s.own.on = s.watched = 1
    return signals


cdef class _Workspace(_Parameters):
    """Work space, allocated when needed and enlarged for larger batches."""

    cdef _Block _scratch
    cdef list _work
    cdef list _parts        # networks that lend the threads work space, see parts.pxi
    cdef _Block _part_gradients
    cdef bint _skip_wanted
    cdef long long _uses    # number of uses of the work space, to notice a use in between
    cdef public long long writes    # of weights by Python, counted likewise
    cdef public unsigned long long in_loss  # the thread in which a loss in Python is called, or 0
    cdef object _lock       # held while the work space is used
    cdef readonly object trainer  # a lock of the thread that trains, see training.py
    cdef object _signals    # while they are watched for
    cdef object __weakref__

    def __cinit__(self):
        self._work, self._parts = [], []
        self._lock, self.trainer = threading.RLock(), threading.RLock()
        _networks.add(self)
        self._skip_wanted = os.environ.get("FASTMLP_SKIP_DEAD", "1") != "0"
        self.s.skip = self._skip_wanted

    @property
    def lock(self):
        """Reentrant lock, held while the work space is used."""
        return self._lock

    def _forked(self):
        """Release locks of threads that do not exist in a forked child."""
        if self._lock.acquire(blocking=False):
            self._lock.release()
        else:
            self._lock = threading.RLock()
            self._release()  # what was left half done
        if self.trainer.acquire(blocking=False):
            self.trainer.release()
        else:
            self.trainer = threading.RLock()

    @property
    def nbytes(self):
        """Bytes held: parameters and their copy, optimizer state, gradient and work space."""
        blocks = [self._params, self._gradient, self._kept, self._part_gradients, self._sums,
                  *self._slots, *self._work]
        return (sum(block.n_bytes for block in blocks if block is not None)
                + sum(part.nbytes for part in self._parts))

    cdef _Rows _rows(self, x):
        """The rows of x; of an array alone if they are encoded."""
        if self.s.encoding.used and not isinstance(x, np.ndarray):
            raise ValueError("A network that encodes its inputs takes arrays, not sparse rows.")
        return _Rows(x, self.s.n_inputs)

    cdef _watch(self, double n, double passes):
        """Watch for signals during work on n rows, if it is long: `passes` operations for each row
        and weight. Their handlers run in `_unwatch`."""
        self._signals = watch_for_signals(&self.s, n, passes)

    cdef _unwatch(self):
        """Run the handlers of signals that have arrived; they may raise."""
        self.s.own.on = self.s.own.cancelled = self.s.watched = 0
        if self._signals is not None:
            signals, self._signals = self._signals, None
            signals.end()

    cdef real* _take(self, Py_ssize_t n_items) except NULL:
        block = _Block(n_items, len(self._work) % 16 * 320, self._signals)
        self._work.append(block)
        return (<_Block>block).data

    cdef _make_room(self, int n, int n_threads, double passes, long long nonzeros=-1):
        """Work space as of `_reserve`, for work of `passes` as in `_watch`; signals are watched
        for while it is allocated."""
        # Again if a handler has released it.
        while not self._has_room(n, n_threads, n, n, nonzeros):
            self._watch(n, passes)
            try:
                self._reserve(n, n_threads, 0, 0, nonzeros)
            except _Abandoned:
                self._release()
            finally:
                self._unwatch()

    cdef bint _has_room(self, int n, int n_threads, int batch, int scored, long long nonzeros):
        cdef State* s = &self.s
        return (n <= s.capacity and batch <= s.batch_capacity and scored <= s.score_capacity
                and (batch <= s.x_capacity if nonzeros < 0
                     else batch <= s.sparse.capacity and nonzeros <= s.sparse.room)
                and n_threads * s.n_scratch * sizeof(real) <= self._scratch_bytes())

    def _release(self):
        with self._lock:
            self._work, self._parts = [], []
            self._uses += 1
            self.s.capacity = self.s.batch_capacity = self.s.score_capacity = 0
            self.s.x_capacity = self.s.sparse.capacity = 0
            self.s.sparse.room = 0
            self.s.loaded = 0

    cdef _reserve(self, int n, int n_threads, int batch=0, int scored=0, long long nonzeros=-1):
        """Work space for n rows that go through hidden layers together, of batches of `batch` rows
        whose losses are those of `scored`; what is there is kept if it is large enough. Where
        inputs are sparse, `nonzeros` of a batch take part in gradients."""
        cdef State* s = &self.s
        cdef Layer* layer
        cdef int h, blocks, widest = 0, dense, sparse
        cdef Py_ssize_t rows, per_thread, doubles = 8 // sizeof(real)
        batch = max(batch, n)
        scored = max(scored, batch)
        dense = batch if nonzeros < 0 else 0
        sparse = batch - dense
        if self._has_room(n, n_threads, batch, scored, nonzeros):
            return
        n, batch = max(n, s.capacity), max(batch, s.batch_capacity)
        scored = max(scored, s.score_capacity)
        dense, sparse = max(dense, s.x_capacity), max(sparse, s.sparse.capacity)
        if s.encoding.used:
            sparse, nonzeros = dense, 3 * <long long>dense * s.n_inputs
        else:
            nonzeros = max(nonzeros, s.sparse.room if s.sparse.capacity else -1)
        self._release()
        memory.require(self._work_bytes(n, n_threads, batch, scored, dense, nonzeros), "work space",
                       f"batches of {scored} rows on {n_threads} threads")
        rows = round_up(scored, VL)
        s.place = <int*>self._take(rows)
        s.row_loss = <double*>self._take(rows * doubles)
        s.row_metrics = <double*>self._take(rows * doubles * max(s.n_metrics, 1))
        self._keep_place(scored)
        rows = round_up(batch, VL)
        s.ldx = padded(s.n_inputs)
        s.xb = self._take(round_up(dense, VL) * s.ldx)
        self._take_nonzeros(sparse, nonzeros)
        s.yb = self._take(rows * max(s.n_outputs, 1))
        s.wb = self._take(rows)
        s.keys = <unsigned long long*>self._take(rows * doubles)
        s.columns_ld = rows
        s.columns = self._take((s.n_inputs + 4) * rows if s.tiny else 1)
        blocks = (n + ROW_BLOCK - 1) // ROW_BLOCK
        for h in range(s.n_layers):
            layer = &s.layers[h]
            rows = round_up(n if h + 1 < s.n_layers else batch, VL)
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
            if not layer.narrow and (self._orderable() or h > 0 and self._may_list(h - 1)):
                layer.dzp = self._take(rows * layer.n_panels * PANEL)
            if self._may_list(h):
                layer.live_y = <unsigned char*>self._take(blocks * ROW_TILES * layer.ld)
                layer.live_dz = <unsigned char*>self._take(layer.ld)
                self._take_patterns(&layer.tiles, layer.n_out, blocks * ROW_TILES)
                self._take_patterns(&layer.lanes, layer.n_out,
                                    (n + LANE_ROWS - 1) // LANE_ROWS)
            if layer.dropout > 0:
                if h == 0:
                    rows = round_up(dense, VL)
                layer.x = self._take(rows * (s.ldx if h == 0 else s.layers[h - 1].ld))
                layer.mask = self._take(rows * (s.ldx if h == 0 else s.layers[h - 1].ld))
        s.ldg = padded(widest)
        per_thread = self._thread_scratch(s.ldg, batch)
        s.n_scratch = per_thread
        s.scratch = self._take(per_thread * n_threads)
        self._scratch = self._work[len(self._work) - 1]
        s.row_grad = <double*>self._take(s.n_outputs * doubles * n_threads)
        s.capacity, s.batch_capacity, s.score_capacity = n, batch, scored
        s.x_capacity, s.sparse.capacity, s.sparse.room = dense, sparse, max(nonzeros, 0)

    cdef _take_nonzeros(self, int rows, long long nonzeros):
        """Work space for a batch of sparse rows, `nonzeros` of which take part in gradients."""
        cdef Nonzeros* batch = &self.s.sparse
        cdef Py_ssize_t doubles = 8 // sizeof(real)
        batch.n = <int64_t*>self._take(rows * doubles)
        batch.columns = <const int**>self._take(rows * doubles)
        batch.values = <const real**>self._take(rows * doubles)
        batch.kept = <const real**>self._take(rows * doubles)
        nonzeros = max(nonzeros, 0)
        batch.dropped = self._take(nonzeros if self.s.layers[0].dropout > 0 else 0)
        batch.ends = <int64_t*>self._take(self.s.layers[0].n_in * doubles if rows else 0)
        batch.turned_rows = <int*>self._take(nonzeros)
        batch.turned = self._take(nonzeros)
        if self.s.encoding.used:
            self.s.encoding.columns = <int*>self._take(nonzeros)
            self.s.encoding.values = self._take(nonzeros)

    cdef Py_ssize_t _thread_scratch(self, Py_ssize_t ldg, int rows) noexcept:
        cdef Py_ssize_t n = (UNITS + 2) * ldg + UNIT_TILES * TILE_ROWS * min(rows, CHUNK_ROWS)
        return (n + PANEL + 63) // 64 * 64 + 64

    cdef double _work_bytes(self, int n, int n_threads, int batch=0, int scored=0, int dense=-1,
                            long long nonzeros=-1):
        """Bytes that `_reserve` allocates, without small arrays, if `dense` rows of inputs are
        tables; as many as a batch has by default."""
        cdef State* s = &self.s
        cdef Layer* layer
        cdef int h
        cdef double widest = 0, total, values, live
        batch = max(batch, n)
        scored = max(scored, batch)
        dense = batch if dense < 0 else dense
        total = 8.0 * scored * max(s.n_metrics, 1) + scored * (8.0 + sizeof(real))
        values = batch * (max(s.n_outputs, 1) + 1.0) + <double>dense * padded(s.n_inputs)
        if s.encoding.used:
            total += 8.0 * s.layers[0].n_in + 24.0 * dense * s.n_inputs
            values += 6.0 * dense * s.n_inputs
        elif nonzeros >= 0:
            total += 8.0 * s.n_inputs + 4.0 * nonzeros
            values += nonzeros * (1 + (s.layers[0].dropout > 0))
        if s.tiny:
            values += (s.n_inputs + 4.0) * batch
        total += 8.0 * batch
        for h in range(s.n_layers):
            layer = &s.layers[h]
            rows = n if h + 1 < s.n_layers else batch
            widest = max(widest, layer.ld)
            values += 2.0 * rows * layer.ld + <double>n * round_up(layer.n_out, PANEL)
            if (activation_needs_z(layer.act)
                    or (h == s.n_layers - 1 and self._activations[h] == "sigmoid")):
                values += <double>rows * layer.ld
            live = self._may_list(h)
            if not layer.narrow and (self._orderable() or h > 0 and self._may_list(h - 1)):
                values += <double>rows * layer.n_panels * PANEL
            if live:
                values += (n / ROW_BLOCK + 1.0) * ROW_TILES * layer.ld
                if self._has_patterns():
                    values += ((n / ROW_BLOCK + 1.0) * ROW_TILES + n / LANE_ROWS) * layer.n_out
            if layer.dropout > 0:
                values += 2.0 * (dense * <double>padded(s.n_inputs) if h == 0
                                 else n * <double>s.layers[h - 1].ld)
        values += <double>n_threads * self._thread_scratch(<Py_ssize_t>widest, batch)
        return total + values * sizeof(real)

    cdef _take_patterns(self, Patterns* p, int n_units, int n_groups):
        if not self._has_patterns():
            return
        p.ld = n_units + FORWARD_AHEAD
        p.n_cuts = (n_units + DEPTH - 1) // DEPTH + 1
        p.idx = <int*>self._take(n_groups * p.ld)
        p.cut = <int*>self._take(n_groups * p.n_cuts)

    cdef bint _orderable(self):
        """Whether putting the rows of a batch in order may pay: with few inputs rows that lie
        side by side have much the same inactive units, and large layers make use of it."""
        return (self.s.n_inputs <= ORDERED_INPUTS and self.s.n_layers > 2
                and not self.s.encoding.used
                and self.s.n_params > 100_000)

    cdef bint _may_list(self, int h) noexcept:
        """Whether some pass may leave out inactive units of layer h."""
        return self._skip_wanted and self.s.layers[h].may_skip

    cdef bint _has_patterns(self):
        """Whether groups of rows have lists of their live units, see reads_patterns."""
        return self._orderable() or self.s.n_weights > LISTED_WEIGHTS

    cdef Py_ssize_t _scratch_bytes(self):
        return self._scratch.n_bytes if self._work else 0

    cdef int _team(self, double rows, int n_threads, bint automatic, bint forward=False):
        """Return the number of threads for a step on n rows: one if starting the others would take
        longer than they save. A forward pass alone has a third of the work of a step."""
        cdef double enough = 3e6 if forward else 6e5 if self.s.shallow else 2e6
        if _is_forked:
            return 1    # the OpenMP runtime's threads are the parent's
        if not forward and rows_of_part(&self.s, <int>rows):
            enough = 4e5    # threads hardly wait for each other
        if automatic and self._numbers(rows, forward) < enough:
            return 1
        return n_threads

    cdef double _numbers(self, double rows, bint forward) noexcept:
        """Return the work of a pass, in multiplications of a forward pass. A step on sparse rows
        is mostly the update of all parameters."""
        cdef State* s = &self.s
        if s.row_weights >= s.n_weights:
            return rows * s.n_params
        return rows * s.row_weights + (0 if forward else 2.0 * s.n_params)

    cdef void _keep_place(self, int n) noexcept:
        """Keep the rows of a batch in their order."""
        cdef int i
        self.s.ordered = 0
        for i in range(n):
            self.s.place[i] = i

    cdef _load(self, _Rows x, Py_ssize_t first, int n, const unsigned long long* keys=NULL):
        """Load the rows of x from `first` on, or those that the low halves of keys count from
        there."""
        cdef int i
        cdef Py_ssize_t row
        cdef const real* rows = x.table.data()
        self._uses += 1
        self.s.loaded = 0
        self._keep_place(n)
        self._take_rows_of(&x.csr, x.n)
        for i in range(n):
            if x.csr.at != NULL:
                point_at_row(&self.s.sparse, i, &x.csr, first + i)
            else:
                row = first + (i if keys == NULL else <int>keys[i])
                memcpy(self.s.xb + i * self.s.ldx, rows + row * self.s.n_inputs,
                       self.s.n_inputs * sizeof(real))

    cdef void _take_rows_of(self, const Csr* csr, long long n) noexcept:
        """Note the kind of rows that come next, n in all if they are sparse."""
        cdef State* s = &self.s
        cdef double nonzeros
        s.sparse.used = csr.at != NULL or s.encoding.used
        s.row_weights = s.n_weights
        if s.sparse.used:
            nonzeros = (3.0 * s.n_inputs if s.encoding.used
                        else <double>(csr.at[n] - csr.at[0]) / n)
            s.row_weights -= max(s.layers[0].n_in - nonzeros, 0.0) * s.layers[0].n_out
