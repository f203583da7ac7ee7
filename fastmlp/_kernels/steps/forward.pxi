# A batch forward, and what comes of it: outputs, losses and metrics. Every function here is run by
# all threads of a team at once; barriers stand where one thread reads what another wrote.

cdef void drop_inputs(State* s, int h, const real* x, ptrdiff_t ldx, int n, int tid,
                      int n_threads) noexcept nogil:
    """layers[h].x = x with dropout applied, and its mask."""
    cdef Layer* layer = &s.layers[h]
    cdef int i, k, start, stop, place
    cdef real* mask
    cdef real* out
    share(n, 1, tid, n_threads, &start, &stop)
    for i in range(start, stop):
        if stopped(layer.watch):
            return
        place = s.place[i]
        mask = layer.mask + place * ldx
        out = layer.x + place * ldx
        dropout_row(s.seed, s.step, h, s.first_row + i, layer.dropout, layer.n_in, mask)
        for k in range(layer.n_in):
            out[k] = x[place * ldx + k] * mask[k] if mask[k] != 0 else 0


cdef void note_batch(State* s, int n, int n_threads) noexcept nogil:
    """Note what any layer makes of a batch of n rows."""
    s.ran |= (RAN_SINGLE * (n == 1) | RAN_BLOCKS * (n > ROW_BLOCK) | RAN_TEAM * (n_threads > 1)
              | RAN_ORDERED * (s.ordered != 0) | RAN_SPARSE * (s.sparse.used != 0)
              | RAN_ENCODED * (s.encoding.used != 0))


cdef void forward_team(State* s, const real* x, ptrdiff_t ldx, int n, int n_layers, int mode,
                       int tid, int n_threads) noexcept nogil:
    """Outputs of the first n_layers layers for the batch x, into the layers' own arrays. There may
    be no barrier after the last layer of a network: its outputs for a thread's share of n, in
    SCORED_ROWS, are then the thread's own."""
    cdef int h, start, stop, n_idx, flags, n_blocks = (n + ROW_BLOCK - 1) // ROW_BLOCK
    cdef int lists, listed_below = 0
    cdef Layer* layer
    cdef Layer* below = NULL
    cdef const int* idx
    cdef const Patterns* patterns
    if tid == 0:
        clear_queues(s, 1, n_threads)
        if mode == FORWARD_TRAIN:
            note_batch(s, n, n_threads)
    for h in range(n_layers):
        layer = &s.layers[h]
        idx = s.iota
        n_idx = layer.n_in
        patterns = NULL
        lists = mode != FORWARD_ALL and h + 1 < n_layers and skips(s, layer)
        if h == 0 and s.sparse.used:
            if s.encoding.used:
                encode_rows(s, x, ldx, n, tid, n_threads)
                if not s.encoding.summed:
                    sum_bins(s, tid, n_threads)
            else:
                keep_nonzeros(s, n, mode == FORWARD_TRAIN, tid, n_threads)
            team_barrier(&s.gate, n_threads)
        elif mode == FORWARD_TRAIN and layer.dropout > 0:
            drop_inputs(s, h, x, ldx, n, tid, n_threads)
            team_barrier(&s.gate, n_threads)
            x = layer.x
        if listed_below:
            idx = below.idx_y
            n_idx = below.n_y
            if reads_patterns(s, below, n):
                patterns = &below.tiles
            if tid == 0 and mode == FORWARD_TRAIN:
                s.ran |= (RAN_LEFT_OUT * (n_idx < layer.n_in)
                          | RAN_PATTERNS * (patterns != NULL))
        phase(PHASE_FORWARD)
        if h == 0 and s.sparse.used:
            forward_nonzeros(layer, &s.sparse,
                             s.encoding.sums if s.encoding.used else s.params + layer.w_at,
                             s.params + layer.b_at, n,
                             layer.live_y if lists else NULL,
                             queues(s, 0, h), tid, n_threads)
        else:
            forward_rows(layer, s.params + layer.w_at, s.params + layer.b_at, idx, n_idx, patterns,
                         x, ldx, n, layer.y, layer.z,
                         layer.live_y if lists else NULL,
                         reads_patterns(s, layer, n), mode == FORWARD_TRAIN,
                         queues(s, 0, h), tid, n_threads)
        if layer.act == ACT_SOFTMAX:
            team_barrier(&s.gate, n_threads)
            share(n, 1, tid, n_threads, &start, &stop)
            softmax_rows(layer, start, stop, layer.z, layer.y)
            team_barrier(&s.gate, n_threads)
        elif lists:
            flags = n_blocks
            if h == 0 and s.sparse.used:
                flags = sparse_items(n)
            if reads_patterns(s, layer, n):
                flags = tile_of_row(n, (n + n_blocks - 1) // n_blocks, n - 1) + 1
                team_barrier(&s.gate, n_threads)
                phase(PHASE_LISTS)
                list_patterns(layer, n, tid, n_threads)
            if barrier_last(&s.gate, n_threads):
                layer.n_y = list_live(layer.live_y, flags, layer.ld, layer.n_out, layer.idx_y)
                count_late(layer, &s.layers[h + 1])
                barrier_open(&s.gate)
            if s.layers[h + 1].n_late:
                phase(PHASE_LATE)
                if tid == 0:
                    s.ran |= RAN_LATE
                update_late(s, &s.layers[h + 1], layer.idx_y, layer.n_y, tid, n_threads)
                team_barrier(&s.gate, n_threads)
        elif not (layer.narrow and h + 1 == s.n_layers) or h == 0 and s.sparse.used:
            team_barrier(&s.gate, n_threads)
        x = layer.y
        ldx = layer.ld
        below = layer
        listed_below = lists


cdef void count_late(const Layer* below, Layer* layer) noexcept nogil:
    """Note how many rows of a layer's weights are about to be read and wait for updates."""
    cdef int t
    layer.n_late = 0
    if layer.may_wait:
        for t in range(below.n_y):
            layer.n_late += layer.waits[below.idx_y[t]] > 0


cdef void update_late(State* s, Layer* layer, const int* idx, int n_idx, int tid,
                      int n_threads) noexcept nogil:
    """Bring the listed rows of a layer's weights up to date."""
    cdef int t = tid
    while t < n_idx:
        if layer.waits[idx[t]] > 0:
            take_late_steps(layer, &s.window, s.window.slot, s.params + layer.w_at,
                            s.slots[0] + layer.w_at, s.slots[1] + layer.w_at, idx[t])
        t += n_threads


cdef void score_squares(State* s, int n, const real* y, const real* weight, int start,
                        int stop) noexcept nogil:
    """score_rows for squared error of one linear output, without metrics: what a small network
    would otherwise spend most of its time on."""
    cdef Layer* last = &s.layers[s.n_layers - 1]
    cdef int i
    cdef double error, w
    for i in range(start, stop):
        error = <double>last.y[i * last.ld] - y[i]
        w = weight[i]
        s.row_loss[i] = w * (error * error)
        last.dz[i * last.ld] = <real>(2 * error * (w / n))


cdef inline void clear_padding(const Layer* last, real* dz) noexcept nogil:
    """Zero in a row of dz what lies beyond its units: an output that overflowed makes 0 * NaN
    there, which nobody would overwrite in later steps."""
    cdef int j
    if not last.narrow:
        for j in range(last.n_out, round_up(last.n_out, VL)):
            dz[j] = 0


cdef void score_rows(State* s, int n, const real* y, const real* weight, int with_gradient,
                     int start, int stop, int tid) noexcept nogil:
    """Losses, metrics and, if asked, the last layer's dz, for the rows [start, stop)."""
    cdef Layer* last = &s.layers[s.n_layers - 1]
    cdef int i, j, q, from_logits, J = last.n_out
    cdef double* grad = s.row_grad + tid * J if with_gradient else NULL
    cdef double scale, w
    cdef real* p
    cdef real* z
    cdef real* dz
    cdef const real* t
    for i in range(start, stop):
        if stopped(s.watch):
            return
        p = last.y + i * last.ld
        z = last.z + i * last.ld if last.z != NULL else NULL
        t = y + i * s.n_targets
        w = weight[i] if weight != NULL else 1
        s.row_loss[i] = w * loss_row(s.loss, last.act, J, s.huber_delta, p, z, t,
                                     s.smooth, grad, &from_logits)
        if with_gradient:
            scale = w / n
            dz = last.dz + i * last.ld
            for j in range(J):
                dz[j] = <real>(grad[j] * scale)
            if not from_logits:
                if last.act == ACT_SOFTMAX:
                    softmax_backward_row(J, p, dz)
                else:
                    finish_backward(last.act, 0, round_up(J, VL), 1, 0, 0, NULL, 0, dz, last.ld,
                                    p, z, NULL, NULL)
                    clear_padding(last, dz)
        for q in range(s.n_metrics):
            s.row_metrics[i * s.n_metrics + q] = loss_row(
                s.metrics[q], last.act, J, s.huber_delta, p, z, t, 0, NULL, &from_logits)
