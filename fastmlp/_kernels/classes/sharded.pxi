# A step in parts, in one or several processes. Each part of a batch has its own forward and
# backward pass. Its gradient is stored layer by layer, so that the caller can add it to the others'
# during the backward pass of earlier layers. Then every process makes the same step.

cdef class PartStep:
    """The steps of one network, each made of the gradients of parts of a batch.

    A part's gradient is that of its rows' share in the mean loss of the whole batch; one part's
    has the penalty's as well. `n_threads` and `automatic` as for `Network`.
    """

    cdef Network net
    cdef list _levels       # blocks for gradients; the first is the one that is applied
    cdef int _n, _team
    cdef _Rows _part        # the inputs that have gone forward
    cdef long long _uses    # of the network's work space, when they had

    def __cinit__(self, Network network):
        self.net = network
        # Not the network's own, which a call of gradients() within a step would overwrite.
        self._levels = [_Block(network.s.n_params, 3 * 1088)]
        network._slot(0)
        network._slot(1)

    def begin(self, seed):
        """Start with the seed of dropout; release the data of the previous training."""
        cdef State* s = &self.net.s
        cdef int h
        self.net.end()
        self.net._release()
        s.seed = seed
        s.diverged_layer = -2
        # A weight that is not finite must reach the loss, so nothing is left out then.
        s.skip = self.net._skip_wanted and (max(self.net._units) < 64 or self.net.finite() < 0)
        s.may_order = 0
        s.window.size = 1
        enter_slot(s, 0)
        for h in range(s.n_layers):
            s.layers[h].may_wait = s.layers[h].n_late = 0

    def end(self):
        """Release work space that only this object uses."""
        self.net.s.first_row = 0
        self.net._release()

    @property
    def slices(self):
        """Return each layer's range (start, stop) in a gradient."""
        cdef State* s = &self.net.s
        return [(s.layers[h].w_at, s.layers[h].b_at + s.layers[h].ld) for h in range(s.n_layers)]

    def gradient(self, int level=0):
        """View of a stored gradient, flat and with padding; the gradient of level 0 is applied."""
        while len(self._levels) <= level:
            self._levels.append(_Block(self.net.s.n_params, (len(self._levels) + 3) * 1088))
        return np.ndarray(self.net.s.n_params, DTYPE, self._levels[level])

    def state(self):
        """Views of all arrays that a step changes: parameters and both moments."""
        self.net._known = WEIGHTS_UNKNOWN
        blocks = [self.net._params, self.net._slot(0), self.net._slot(1)]
        return [np.ndarray(self.net.s.n_params, DTYPE, block) for block in blocks]

    def forward(self, x, y, sample_weight=None, out=None, *, int n_batch, int first_row,
                int n_threads, bint automatic=True):
        """Take a part forward, with dropout: rows `first_row` and so on of a batch of n_batch.

        Returns the sums of the loss and of each metric over its rows; without y nothing but the
        outputs, in `out`.
        """
        cdef State* s = &self.net.s
        cdef Layer* last = &s.layers[s.n_layers - 1]
        cdef int i, q, team, n = <int>len(x)
        cdef const real* t = NULL
        cdef const real* w = NULL
        cdef double total = 0
        cdef _Rows source = self.net._rows(x)
        cdef _Input target = None
        cdef _Input weight = None
        cdef _Input result = None
        if n < 1:
            raise ValueError("forward() needs at least one row. Received: 0 rows.")
        if y is not None:
            s.n_targets = 1 if s.loss == LOSS_SCCE else s.n_outputs
            target = _Input(y, (n, s.n_targets), "y")
            t = target.data()
            if sample_weight is not None:
                weight = _Input(sample_weight, (n,), "sample_weight")
                w = weight.data()
        if out is not None:
            result = _Input(out, (n, s.n_outputs), "out", True)
        with self.net._lock:
            done = False
            while not done:
                self.net._reserve(n, n_threads, 0, 0, source.most(n))
                self.net._load(source, 0, n)
                self._n, self._part, self._uses = n, source, self.net._uses
                self._team = team = self.net._team(n, n_threads, automatic)
                s.first_row = first_row
                begin_queues(s)
                self.net._watch(n, 2)
                if team == 1:
                    with nogil:
                        part_forward(s, n, n_batch, t, w, 0, 1)
                else:
                    with nogil, parallel(num_threads=team):
                        part_forward(s, n, n_batch, t, w, omp_get_thread_num(),
                                     omp_get_num_threads())
                done = not s.own.cancelled
                self.net._unwatch()
            if result is not None:
                for i in range(n):
                    memcpy(result.data() + i * s.n_outputs, last.y + i * last.ld,
                           s.n_outputs * sizeof(real))
            if t == NULL:
                return None
            sums = [0.0] * s.n_metrics
            for i in range(n):
                total += s.row_loss[i]
                for q in range(s.n_metrics):
                    sums[q] += s.row_metrics[i * s.n_metrics + q]
            return total, sums

    def backward(self, int top, int bottom, *, int level=0, bint penalty, dy=None):
        """Store the gradient of the layers from `top` down to `bottom`, the last layer first.

        With the last layer `dy` may be given, the gradient by the outputs, where `forward` had
        no y.
        """
        cdef State* s = &self.net.s
        cdef int n = self._n, h, team = self._team
        cdef const real* d = NULL
        cdef _Input given = None
        cdef real* g
        self.gradient(level)
        g = (<_Block>self._levels[level]).data
        if dy is not None:
            given = _Input(dy, (n, s.n_outputs), "dy")
            d = given.data()
        kept = []
        with self.net._lock:
            if d != NULL and self._uses != self.net._uses:
                self._forward_again()
            if not penalty:
                kept = [self.net._swap_penalty(h, (0, 0, 0, 0)) for h in range(bottom, top + 1)]
            if top == s.n_layers - 1:
                self.net._measure_groups()
            try:
                # A layer's dz is made from that of the one above: from there it can be made again.
                done = False
                while not done:
                    clear_queues(s, 1, 2)
                    self.net._watch(n, 4)
                    if team == 1:
                        with nogil:
                            part_backward(s, n, d, top, bottom, g, 0, 1)
                    else:
                        with nogil, parallel(num_threads=team):
                            part_backward(s, n, d, top, bottom, g, omp_get_thread_num(),
                                          omp_get_num_threads())
                    done = not s.own.cancelled
                    self.net._unwatch()
            finally:
                for h, pen in enumerate(kept, bottom):
                    self.net._swap_penalty(h, pen)

    cdef _forward_again(self):
        """Repeat the forward pass of the part, because a Python loss has used the work space."""
        cdef State* s = &self.net.s
        cdef int team = self._team
        done = False
        while not done:
            self.net._reserve(self._n, team, 0, 0, self._part.most(self._n))
            self.net._load(self._part, 0, self._n)
            begin_queues(s)
            self.net._watch(self._n, 2)
            if team == 1:
                with nogil:
                    part_forward(s, self._n, 1, NULL, NULL, 0, 1)
            else:
                with nogil, parallel(num_threads=team):
                    part_forward(s, self._n, 1, NULL, NULL, omp_get_thread_num(),
                                 omp_get_num_threads())
            done = not s.own.cancelled
            self.net._unwatch()

    def penalty(self):
        """The penalty, computed in the backward pass of the last part."""
        return penalty_sum(&self.net.s, 0)

    def apply(self, *, int n_threads, bint automatic=True):
        """Make the step; return the first layer that is no longer finite, or -1."""
        cdef State* s = &self.net.s
        cdef _Block own = self.net._gradient
        cdef real* had = s.gradient
        cdef int h
        with self.net._lock:
            for h in range(s.n_layers):
                s.layers[h].finite[0] = 1
            s.ran |= RAN_SHARDS
            self.net._gradient = self._levels[0]
            s.gradient = (<_Block>self._levels[0]).data
            self.net.apply_gradients(n_threads=n_threads, automatic=automatic)
            self.net._gradient, s.gradient = own, had
            for h in range(s.n_layers):
                if not s.layers[h].finite[0]:
                    return h
            return -1


cdef void part_forward(State* s, int n, int n_batch, const real* y, const real* weight, int tid,
                       int n_threads) noexcept nogil:
    """Forward, and if there is y the last layer's dz for the mean over n_batch rows."""
    cdef unsigned long long state = denormals_off()
    cdef int start, stop
    forward_team(s, s.xb, s.ldx, n, s.n_layers, FORWARD_TRAIN, tid, n_threads)
    if y != NULL:
        share(n, SCORED_ROWS, tid, n_threads, &start, &stop)
        score_rows(s, n_batch, y, weight, 1, start, stop, tid)
        team_barrier(&s.gate, n_threads)
    denormals_restore(state)


cdef void part_backward(State* s, int n, const real* dy, int top, int bottom, real* g, int tid,
                        int n_threads) noexcept nogil:
    """The gradient of some layers into g; dy as for begin_from_outputs, if it is not NULL."""
    cdef unsigned long long state = denormals_off()
    cdef update_rule store = s.rule
    store.kind = OPT_STORE
    if dy != NULL:
        begin_from_outputs(s, n, dy, tid, n_threads)
        team_barrier(&s.gate, n_threads)
    if top == s.n_layers - 1:
        backward_begin(s, n, tid, n_threads)
    backward_layers(s, s.xb, s.ldx, n, &store, g, g, 1, top, bottom, tid, n_threads)
    denormals_restore(state)
