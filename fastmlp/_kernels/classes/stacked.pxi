# Stack: networks of one shape trained side by side, one per lane of the vectors; see stacked.h and
# stacked_layers.h.

cdef extern from "stacked.h" nogil:
    ctypedef struct stacked_net:
        int n_in, n_hidden, n_units, n_out, n_targets, act, act_out, ref, use_bias_out, has_z
        int loss
        double huber_delta
        penalty_rule pen, pen_b, pen_t, pen_bt
        real* params
        real* m
        real* v
        real* gradient
        real* total
        real* x
        real* targets
        real* weight
        real* y
        real* z
        real* dz
        double* batch_loss
        double* penalty
        double* panels
        real* finite
        watch* watched
    size_t stacked_b(const stacked_net* s)
    size_t stacked_wt(const stacked_net* s)
    size_t stacked_bt(const stacked_net* s)
    size_t stacked_size(const stacked_net* s)
    void stacked_step(stacked_net* s, const update_rule* rule, int n)

cdef extern from "stacked_layers.h" nogil:
    int STACKED_BLOCK, STACKED_OUTPUTS
    ctypedef struct stacked_layer:
        int n_in, n_out, act, narrow, use_bias, has_z
        size_t w_at, b_at
        penalty_rule pen, pen_b
        real* y
        real* z
        real* dz
    void stacked_layers_step(stacked_net* s, const stacked_layer* layers, int n_layers,
                             size_t n_params, const update_rule* rule, int n, int part_rows)


# What one stack trains on, and where it stands. Arrays of doubles hold a value for each lane.
cdef struct StackedRun:
    int n_members, loaded, n_layers
    stacked_layer* layers   # NULL: a shallow network
    size_t n_params
    long long done          # epochs of the latest call
    const real* x           # [1 or n_members, n_rows, n_inputs]
    const real* y
    const real* weight      # or NULL
    long long x_step, y_step, weight_step   # from one network's rows to the next one's; 0: shared
    long long n_rows, batch, epoch
    int batch_size, shuffle
    const unsigned long long* seeds
    int64_t* order          # [n_members, n_rows]
    double* loss_sum
    double deadline


cdef void stacked_load(const stacked_net* s, StackedRun* run, int n) noexcept nogil:
    """Copy the rows of a batch into the lanes of the vectors."""
    cdef int i, e, k
    cdef long long row, first = run.batch * run.batch_size
    cdef const real* source
    for e in range(run.n_members):
        for i in range(n):
            if stopped(s.watched):
                return
            row = run.order[e * run.n_rows + first + i] if run.shuffle else first + i
            source = run.x + e * run.x_step + row * s.n_in
            for k in range(s.n_in):
                s.x[(i * s.n_in + k) * VL + e] = source[k]
            source = run.y + e * run.y_step + row * s.n_targets
            for k in range(s.n_targets):
                s.targets[(i * s.n_targets + k) * VL + e] = source[k]
            if s.weight != NULL:
                s.weight[i * VL + e] = run.weight[e * run.weight_step + row]


cdef void stacked_train(State* c, stacked_net* s, StackedRun* run, long long n_epochs,
                        double* losses) noexcept nogil:
    """Steps until n_epochs have ended or the time is up; losses [n_epochs, VL]."""
    cdef int n, e, clock = 0
    cdef int clock_every = 1 if s.watched.on else 16
    cdef int whole = run.batch_size >= run.n_rows and not run.shuffle
    cdef long long done = 0
    cdef unsigned long long state = denormals_off()
    while done < n_epochs:
        if run.shuffle and run.batch == 0:
            for e in range(run.n_members):
                philox_shuffle(run.seeds[e], run.epoch, run.n_rows, run.order + e * run.n_rows)
        n = <int>min(<long long>run.batch_size, run.n_rows - run.batch * run.batch_size)
        if not (whole and run.loaded):
            stacked_load(s, run, n)
            run.loaded = not s.watched.cancelled
        prepare_rule(c)
        c.ran |= RAN_SMALLER * (n < run.batch_size) | RAN_WEIGHTED * (s.weight != NULL)
        if run.layers == NULL:
            c.ran |= RAN_SHALLOW
            stacked_step(s, &c.rule, n)
        else:
            c.ran |= RAN_PARTS if rows_of_part(c, n) else RAN_LAYERS
            stacked_layers_step(s, run.layers, run.n_layers, run.n_params, &c.rule, n,
                                rows_of_part(c, n))
        if s.watched.cancelled:
            break
        c.step += 1
        for e in range(VL):
            run.loss_sum[e] += (s.batch_loss[e] / n + s.penalty[e]) * n
        run.batch += 1
        if run.batch * run.batch_size >= run.n_rows:
            for e in range(VL):
                losses[done * VL + e] = run.loss_sum[e] / run.n_rows
                run.loss_sum[e] = 0
            run.batch = 0
            run.epoch += 1
            done += 1
        clock += 1
        if clock >= clock_every:
            clock = 0
            if seconds_now() > run.deadline:
                break
    denormals_restore(state)
    run.done = done


cdef class Stack:
    """Networks like `template` trained side by side, each with the bits of training it alone.

    Parameters
    ----------
    template : Network
        Configured, with its penalties, rates and the optimizer's first step; shallow.
    n_members : int
        At most LANES.
    ref : int
        LANES of the kernels that would train such a network alone.
    """

    cdef Network _template
    cdef State c
    cdef stacked_net s
    cdef StackedRun run_
    cdef list _work
    cdef object _params, _slots, _session

    def __cinit__(self, Network template, int n_members, int ref):
        cdef State* c = &template.s
        cdef Layer* last
        if not stackable(template):
            raise ValueError("A stack needs small networks without dropout, clipping and hidden "
                             "softmax.")
        if not 1 <= n_members <= VL or ref not in (2, 4, 8, 16):
            raise ValueError(f"A stack holds 1 to {VL} networks. Received: {n_members}")
        last = &c.layers[c.n_layers - 1]
        self._template, self.c, self._work = template, template.s, []
        self.c.ran = 0
        self.s.watched = &self.c.own
        self.s.n_in, self.s.n_out, self.s.ref = c.n_inputs, last.n_out, ref
        self.s.n_targets = 1 if c.loss == LOSS_SCCE else last.n_out
        self.s.act_out, self.s.use_bias_out = last.act, last.use_bias
        self.s.has_z = self._needs_z(c.n_layers - 1)
        self.s.loss, self.s.huber_delta = c.loss, c.huber_delta
        self.run_.n_members, self.run_.n_layers = n_members, c.n_layers
        if c.shallow:
            self._plan_shallow(c)
        else:
            self._plan_layers(c)
        n_params = self.run_.n_params
        self._params = self._vectors(n_params)
        self._slots = [self._vectors(n_params) for _ in range(2)]
        self.s.params = (<_Block>self._params).data
        self.s.m = (<_Block>self._slots[0]).data
        self.s.v = (<_Block>self._slots[1]).data
        if c.optimizer == OPT_ADAGRAD:
            np.frombuffer(self._slots[0], DTYPE)[...] = template._accumulator
        self.s.gradient = self._take(n_params)
        self.s.total = self._take(n_params if self.run_.layers != NULL else 1)
        self.s.batch_loss = self._doubles(1)
        self.s.penalty = self._doubles(1)
        self.s.finite = self._take(1)
        self.run_.loss_sum = self._doubles(1)

    cdef bint _needs_z(self, int h):
        cdef State* c = &self._template.s
        return (activation_needs_z(c.layers[h].act)
                or h == c.n_layers - 1 and self._template._activations[h] == "sigmoid")

    cdef _plan_shallow(self, const State* c):
        cdef Layer* hidden = &c.layers[0]
        cdef Layer* last = &c.layers[1]
        self.s.n_hidden, self.s.act = hidden.n_out, hidden.act
        self.s.n_units = round_up(hidden.n_out, self.s.ref)
        self.s.pen, self.s.pen_b = hidden.pen, hidden.pen_b
        self.s.pen_t, self.s.pen_bt = last.pen, last.pen_b
        self.s.panels = self._doubles(self.s.n_units // self.s.ref)
        self.run_.n_params = stacked_size(&self.s)

    cdef _plan_layers(self, const State* c):
        cdef int h
        cdef Layer* layer
        cdef stacked_layer* to
        cdef size_t at = 0, n
        block = _Block(c.n_layers * sizeof(stacked_layer) // sizeof(real))
        self._work.append(block)
        self.run_.layers = <stacked_layer*>(<_Block>block).data
        for h in range(c.n_layers):
            layer, to = &c.layers[h], &self.run_.layers[h]
            to.n_in, to.n_out, to.act, to.narrow = layer.n_in, layer.n_out, layer.act, layer.narrow
            to.use_bias, to.has_z = layer.use_bias, self._needs_z(h)
            to.pen, to.pen_b = layer.pen, layer.pen_b
            to.w_at = at
            to.b_at = at + <size_t>layer.n_in * layer.n_out
            at = to.b_at + layer.n_out
            n = STACKED_BLOCK * layer.n_out
            to.y, to.dz = self._take(n), self._take(n)
            to.z = self._take(n if to.has_z else 1)
        self.run_.n_params = at

    cdef _Block _vectors(self, size_t n_vectors):
        return _Block(n_vectors * VL)

    cdef real* _take(self, size_t n_vectors) except NULL:
        self._work.append(self._vectors(n_vectors))
        return (<_Block>self._work[len(self._work) - 1]).data

    cdef double* _doubles(self, size_t n) except NULL:
        return <double*>self._take(n * sizeof(double) // sizeof(real))

    cdef _views(self, block):
        """Arrays of the parameters, a network first: as `Network.weights` and `bias` give them."""
        cdef int h
        cdef stacked_layer* layer
        lanes = slice(self.run_.n_members)
        flat = np.frombuffer(block, DTYPE)[:self.run_.n_params * VL].reshape(-1, VL)[:, lanes].T
        views = []
        if self.run_.layers == NULL:
            shape = -1, self.s.n_in, self.s.n_units
            w, b, wt, bt = np.split(flat, [stacked_b(&self.s), stacked_wt(&self.s),
                                           stacked_bt(&self.s)], axis=1)
            used = self.s.n_hidden
            wt = wt.reshape(-1, self.s.n_out, self.s.n_units).transpose(0, 2, 1)
            return [w.reshape(shape)[:, :, :used], b[:, :used], wt[:, :used], bt]
        for h in range(self.run_.n_layers):
            layer = &self.run_.layers[h]
            views.append(flat[:, layer.w_at:layer.b_at].reshape(-1, layer.n_in, layer.n_out))
            views.append(flat[:, layer.b_at:layer.b_at + layer.n_out])
        return views

    def parameters(self):
        """Views of weights and biases, layer by layer, each [n_members, ...]."""
        return self._views(self._params)

    def slots(self, int slot):
        """Views of an optimizer moment (slot 0 or 1) of the parameters."""
        return self._views(self._slots[slot])

    @property
    def step(self):
        """Optimizer steps done."""
        return self.c.step

    @property
    def epoch(self):
        """Epochs ended."""
        return self.run_.epoch

    @property
    def ran(self):
        """Names of kernels and regimes as in `Network.ran`, each with the prefix "stacked_"."""
        return tuple("stacked_" + name for i, name in enumerate(RAN) if self.c.ran >> i & 1)

    def finite(self):
        """Whether each network's weights and second moments have always been finite."""
        return [self.s.finite[e] == self.s.finite[e] for e in range(self.run_.n_members)]

    def needed_bytes(self, int batch_size, *, bint weighted):
        """Return the bytes of work space for batches of this number of rows."""
        return (float(batch_size) * VL * sizeof(real)
                * (self.s.n_in + self.s.n_targets + 3 * self.s.n_out + weighted))

    def begin(self, x, y, sample_weight=None, *, int batch_size, bint shuffle, seeds):
        """Begin training: x is (n, n_inputs) for all networks or (n_members, n, n_inputs), y and
        sample_weight likewise; `seeds` holds a session's seed for each network."""
        cdef StackedRun* run = &self.run_
        n, members = x.shape[x.ndim - 2], run.n_members
        if n < 1 or batch_size < 1:
            raise ValueError("Training needs at least one row and a batch size of at least 1. "
                             f"Received: {n} rows, batch_size={batch_size}.")
        held = [_Input(x, (members, n, self.s.n_in)[3 - x.ndim:], "x"),
                _Input(y, (members, n, self.s.n_targets)[3 - y.ndim:], "y")]
        run.x, run.y, run.weight = (<_Input>held[0]).data(), (<_Input>held[1]).data(), NULL
        run.n_rows, run.batch_size, run.shuffle = n, min(batch_size, n), shuffle
        run.x_step = n * self.s.n_in if x.ndim == 3 else 0
        run.y_step = n * self.s.n_targets if y.ndim == 3 else 0
        rows = run.batch_size
        memory.require(self.needed_bytes(rows, weighted=sample_weight is not None), "work space",
                       f"batches of {rows} rows for {VL} networks side by side",
                       "a smaller batch_size takes less")
        self.s.weight = NULL
        if sample_weight is not None:
            held.append(_Input(sample_weight, (members, n)[2 - sample_weight.ndim:],
                               "sample_weight"))
            run.weight = (<_Input>held[2]).data()
            run.weight_step = n if sample_weight.ndim == 2 else 0
            self.s.weight = self._take(rows)
        self.s.x = self._take(rows * self.s.n_in)
        self.s.targets = self._take(rows * self.s.n_targets)
        self.s.y = self._take(rows * self.s.n_out)
        self.s.z = self._take(rows * self.s.n_out)
        self.s.dz = self._take(rows * self.s.n_out)
        numbers = np.array(seeds, np.uint64)
        cdef _Input view = _Input(numbers, numbers.shape, "seeds", False, numbers.dtype)
        run.seeds = <unsigned long long*>view.view.buf
        order = _Block(n * members * 8 // sizeof(real) if shuffle else 1)
        run.order = <int64_t*>(<_Block>order).data
        self._session = [held, order, view]
        run.epoch = run.batch = run.loaded = 0

    def run(self, long long n_epochs, losses, *, double max_seconds=0.1):
        """Continue training; losses [n_epochs, LANES] receives a value for each epoch and network.
        Return how many epochs ended."""
        if self._session is None:
            raise RuntimeError("run() needs a session: call begin() first.")
        if len(losses) < n_epochs:
            raise ValueError("losses must have room for n_epochs epochs.")
        cdef _Input out = _Input(losses, (len(losses), VL), "losses", True, _FLOAT64)
        PyErr_CheckSignals()
        if n_epochs < 1:
            return 0
        cdef double* to = <double*>out.view.buf
        signals = watch_for_signals(&self.c, self.run_.batch_size, 6.0 * VL)
        self.run_.deadline = seconds_now() + max_seconds
        with nogil:
            stacked_train(&self.c, &self.s, &self.run_, n_epochs, to)
        self.c.own.on = 0
        if signals is not None:
            signals.end()
        return self.run_.done


def stackable(Network network):
    """Return whether `Stack` can train such networks."""
    cdef State* s = &network.s
    cdef int h
    if s.encoding.used or clips(s) or s.n_outputs > STACKED_OUTPUTS or s.n_params > 100_000:
        return False  # rows of larger ones may be put in order
    for h in range(s.n_layers):
        if s.layers[h].dropout > 0 or s.layers[h].act == ACT_SOFTMAX and h < s.n_layers - 1:
            return False
    return True


LANES = VL
