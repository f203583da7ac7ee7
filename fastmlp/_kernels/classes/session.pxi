# Training on data that is held during many calls.

cdef class _Session(_Objective):
    """The data, the training loop and its position."""

    cdef list _session
    cdef bint _unchecked    # whether weights may have been set to what is not finite
    # The most nonzeros of sparse rows in a batch that is not split, and in a part; else -1
    cdef long long _whole_nonzeros, _part_nonzeros

    def __cinit__(self):
        self._session = []
        self.s.diverged_layer = -2

    def __dealloc__(self):
        free(self.s.parts)

    def in_parts(self, int batch_size):
        """Return whether such batches are split into parts whose gradients are added."""
        return rows_of_part(&self.s, batch_size) > 0

    def begin(self, x, y, sample_weight=None, *, int batch_size, bint shuffle, seed):
        """Start training on these arrays at epoch 0; they are held until `end`."""
        cdef State* s = &self.s
        n = len(x)
        if n < 1 or batch_size < 1:
            raise ValueError("Training needs at least one row and a batch size of at least 1. "
                             f"Received: {n} rows, batch_size={batch_size}.")
        self.end()
        n_targets = 1 if s.loss == LOSS_SCCE else s.n_outputs
        held = [self._rows(x), _Input(y, (n, n_targets), "y")]
        s.x, s.y, s.sample_weight = (<_Rows>held[0]).table.data(), (<_Input>held[1]).data(), NULL
        s.csr = (<_Rows>held[0]).csr
        if sample_weight is not None:
            held.append(_Input(sample_weight, (n,), "sample_weight"))
            s.sample_weight = (<_Input>held[2]).data()
        order = _Block(n * 8 // sizeof(real) if shuffle else 1)
        s.order = <int64_t*>(<_Block>order).data
        self._session = [*held, order]
        s.n_rows, s.n_targets = n, n_targets
        s.batch_size = min(batch_size, n)
        self._take_rows_of(&s.csr, n)
        rows = rows_of_part(s, s.batch_size)
        self._whole_nonzeros = (<_Rows>held[0]).most(self._whole_rows(n, s.batch_size))
        self._part_nonzeros = (<_Rows>held[0]).most(rows)
        s.shuffle = shuffle
        s.seed = seed
        s.epoch = s.batch = s.rows_done = 0
        s.order_epoch = -1
        self._forget_sums()
        s.diverged_layer = -2
        s.step_seconds = 0
        self._unchecked = True

    cdef void _forget_sums(self) noexcept:
        self.s.loaded = 0
        self.s.loss_sum = 0
        self.s.rows_summed = 0
        memset(self.s.metric_sums, 0, self.s.n_metrics * sizeof(double))

    def end(self):
        """Release the data."""
        self._session = []
        self._undo = None
        self.s.undo = NULL
        self.s.x = self.s.y = self.s.sample_weight = NULL
        self.s.csr.at = NULL
        self.s.order = NULL

    def run(self, long long n_epochs, losses, metrics, *, int n_threads, bint automatic=True,
            double max_seconds=0.1, long long max_steps=0):
        """Continue training; return how many epochs ended."""
        cdef State* s = &self.s
        cdef _Input losses_out, metrics_out
        PyErr_CheckSignals()
        with self._lock:
            if not self._session:
                raise RuntimeError("run() needs a session: call begin() first.")
            if min(len(losses), len(metrics)) < n_epochs:
                raise ValueError("losses and metrics must have room for n_epochs epochs.")
            losses_out = _Input(losses, (len(losses),), "losses", True, _FLOAT64)
            metrics_out = _Input(metrics, (len(metrics), s.n_metrics), "metrics", True, _FLOAT64)
            if n_epochs < 1 or s.diverged_layer != -2:
                return 0
            self._take_rows_of(&s.csr, s.n_rows)
            self._watch(s.batch_size, 6)
            try:
                return self._run(n_epochs, <double*>losses_out.view.buf,
                                 <double*>metrics_out.view.buf, n_threads, automatic, max_seconds,
                                 max_steps)
            except _Abandoned:
                self._release()
                return 0
            finally:
                self._unwatch()

    cdef _run(self, long long n_epochs, double* losses_out, double* metrics_out,
              int n_threads, bint automatic, double max_seconds, long long max_steps):
        cdef State* s = &self.s
        cdef int team, whole
        self._take_rows_of(&s.csr, s.n_rows)
        team = self._team(s.batch_size, n_threads, automatic)
        if self._unchecked:
            # A weight that is not finite must reach the loss, so nothing is left out then.
            s.skip = self._skip_wanted and (max(self._units) < 64 or self.finite(team) < 0)
            self._unchecked = False
        self._uses += 1
        self._known = WEIGHTS_UNKNOWN
        whole = self._whole_rows(s.n_rows, s.batch_size)
        # What shallow.h serves, and batches in parts, need nothing of the hidden layers here.
        self._reserve(1 if s.shallow and not clips(s) else whole, n_threads, whole, s.batch_size,
                      self._whole_nonzeros)
        self._slot(0)
        self._slot(1)
        if clips(s):
            self._gradients()
        self._open_parts(team)
        self._open_undo()
        self._open_window()
        s.losses_out, s.metrics_out = losses_out, metrics_out
        s.epochs_wanted, s.steps_left = n_epochs, max_steps
        s.epochs_passed = s.epochs_ended = 0
        s.deadline = seconds_now() + max_seconds
        s.stop = 0
        s.may_order = (s.skip and self._orderable() and min(s.n_rows, s.batch_size) <= ORDERED_ROWS
                       and _orders())
        if s.ordered and not s.may_order:
            self._keep_place(s.capacity)
            s.loaded = 0
        begin_queues(s)
        self._measure_groups()
        if team == 1:
            with nogil:
                train_team(s, 0, 1)
        else:
            with nogil, parallel(num_threads=team):
                train_team(s, omp_get_thread_num(), omp_get_num_threads())
        self._note_run()
        return s.epochs_ended

    cdef void _note_run(self) noexcept:
        """Record the kernels and regimes that the steps of a call used."""
        cdef State* s = &self.s
        cdef _Objective part
        cdef int h
        s.ran |= (RAN_RATES * (s.rates != NULL) | RAN_WEIGHTED * (s.sample_weight != NULL)
                  | RAN_TEAM * (s.threads_used > 1) | RAN_SINGLE * (s.batch_size == 1))
        for h in range(s.n_layers):
            s.ran |= RAN_DROPOUT * (s.layers[h].dropout > 0)
        for part in self._parts:
            s.ran |= part.s.ran

    @property
    def ran(self):
        """Names, as in `RAN`, of the kernels and regimes used since the network was created."""
        return tuple(name for i, name in enumerate(RAN) if self.s.ran >> i & 1)

    cdef int _whole_rows(self, long long n_rows, int batch_size) noexcept:
        """Rows of the largest batch that is not split into parts; at least 1."""
        cdef int last = <int>(n_rows % batch_size)
        if not rows_of_part(&self.s, batch_size):
            return batch_size
        return 1 if rows_of_part(&self.s, last) else max(last, 1)

    def training_bytes(self, long long n_rows, batch_size, *, int n_threads, bint automatic=True,
                       bint shuffle=True, bint stored=False, x=None):
        """Return the bytes that training takes besides the data and what the network holds already:
        moments, gradient, the copies of weights, work space, the rows' order. With `stored` for
        steps by `train_forward` and `train_backward`. `x` must be given if its rows are sparse.
        """
        cdef State* s = &self.s
        cdef _Rows source = None if x is None else self._rows(x)
        cdef long long nonzeros = -1
        cdef int dense = -1
        cdef int batch = <int>min(n_rows, <long long>batch_size), whole, rows, team, groups
        cdef double params = <double>s.n_params * sizeof(real), total = 8.0 * n_rows * shuffle
        cdef double sums = 0 if self._sums is None else self._sums.n_bytes
        cdef double held = sum([block.n_bytes for block in self._work])
        stores = stored or clips(s)
        if source is not None and source.csr.at != NULL:
            dense = 0
            self._take_rows_of(&source.csr, source.n)
        team = self._team(batch, n_threads, automatic)
        rows = 0 if stored else rows_of_part(s, batch)
        total += params * ((self._slots[0] is None) + (self._slots[1] is None)
                           + (self._kept is None) + (stores and self._gradient is None))
        if stored:
            if dense == 0:
                nonzeros = source.most(batch)
            total += self._work_bytes(batch, n_threads, 0, 0, dense, nonzeros)
        else:
            whole = self._whole_rows(n_rows, batch)
            if dense == 0:
                nonzeros = source.most(whole)
            total += self._work_bytes(1 if s.shallow and not clips(s) else whole, n_threads, whole,
                                      batch, dense, nonzeros)
        if rows:
            groups = min(team, (batch + rows - 1) // rows)
            if dense == 0:
                nonzeros = source.most(rows)
            total += params * MOST_PARTS * (self._part_gradients is None)
            total += groups * (params + sums + self._work_bytes(rows, (team - 1) // groups + 1,
                                                                0, 0, dense, nonzeros))
            held += sum([part.nbytes for part in self._parts])
        elif not stores and (batch * s.row_weights >= UNDO_ROWS * <double>s.n_weights
                             or 6.0 * batch * s.row_weights >= UNDO_WORK):
            if batch * (6.0 * s.row_weights + ROW_WORK) >= LONG_WORK:
                total += 3 * params
        return max(total - held, 0.0)

    cdef _open_undo(self):
        """Allocate memory to undo a step, if it may be abandoned halfway."""
        cdef State* s = &self.s
        s.undo = NULL
        # Others form the whole gradient before they change a weight, or change all at once.
        if not s.watched or clips(s) or s.parts != NULL or s.tiny:
            return
        if (s.batch_size * s.row_weights < UNDO_ROWS * <double>s.n_weights
                and s.step_seconds < UNDO_SECONDS
                and 6.0 * s.batch_size * s.row_weights < UNDO_WORK):
            return
        if self._undo is None:
            self._undo = _Block(s.n_params * (1 if s.optimizer == OPT_SGD else 3))
        s.undo = self._undo.data

    cdef _open_parts(self, int n_threads):
        """Allocate work space for parts, if the session's batches are split."""
        cdef State* s = &self.s
        cdef State** parts
        cdef _Objective part
        cdef int i, n_groups
        free(s.parts)
        s.parts = NULL
        if not rows_of_part(s, s.batch_size):
            return
        n_groups = groups_of_threads(s, n_threads)
        while len(self._parts) < n_groups:
            part = type(self)(s.n_inputs, self._units, self._activations,
                              use_bias=[s.layers[i].use_bias for i in range(s.n_layers)],
                              dropout=[s.layers[i].dropout for i in range(s.n_layers)],
                              encoding=self.encoding)
            part.configure(loss=LOSSES[s.loss],
                           metrics=[METRICS[s.metrics[i]] for i in range(s.n_metrics)])
            part.s.skip = self._skip_wanted
            self._parts.append(part)
        if self._part_gradients is None:
            self._part_gradients = _Block(MOST_PARTS * s.n_params, 4 * 1088)
            s.part_gradients = self._part_gradients.data
        for i in range(n_groups):
            part = self._parts[i]
            part._signals = self._signals
            try:
                part._reserve(rows_of_part(s, s.batch_size), (n_threads - i - 1) // n_groups + 1,
                              0, 0, self._part_nonzeros)
            finally:
                part._signals = None
        parts = <State**>calloc(n_groups, sizeof(State*))
        if parts == NULL:
            raise MemoryError("Cannot allocate a network's work space.")
        for i in range(n_groups):
            part = self._parts[i]
            parts[i] = &part.s
        s.parts = parts

    cdef void _open_window(self) noexcept:
        """Choose the layers whose updates are postponed; not if all weights fit into a cache."""
        cdef State* s = &self.s
        cdef int h, slot
        # Groups, and parts of a batch, need all of their weights.
        cdef bint may = (s.skip and s.n_params > 100_000 and not clips(s) and not s.grouped
                         and s.parts == NULL and s.undo == NULL)
        s.window.size = 1
        for h in range(s.n_layers):
            for slot in range(WINDOW):
                s.layers[h].finite[slot] = 1
            s.layers[h].may_wait = (may and h > 0 and not s.layers[h].narrow
                                    and s.layers[h - 1].may_skip
                                    and s.layers[h - 1].act == ACT_RELU)
            if s.layers[h].may_wait:
                s.window.size = WINDOW

    # Where it stands

    @property
    def epoch(self):
        """Number of epochs ended in this session."""
        return self.s.epoch

    @epoch.setter
    def epoch(self, long long value):
        self.s.epoch = value
        self._forget_sums()

    @property
    def batch(self):
        """Number of batches done in the present epoch."""
        return self.s.batch

    @batch.setter
    def batch(self, long long value):
        self.s.batch = value
        self.s.rows_done = value * self.s.batch_size
        self._forget_sums()

    @property
    def progress(self):
        """Position of the session: epoch, batch, rows done and summed, their sums of the loss and
        of each metric. Set after `begin` to resume a session within an epoch."""
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
        """Number of threads in the last run()."""
        return self.s.threads_used

    @property
    def window(self):
        """Most steps by which an update could be postponed in the last run(); 1: not postponed."""
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
