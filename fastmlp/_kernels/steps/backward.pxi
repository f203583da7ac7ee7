# A batch back through the layers, whose weights are updated on the way. Every function here is run
# by all threads of a team at once; barriers stand where one thread reads what another wrote.

cdef void begin_from_outputs(State* s, int n, const real* dy, int tid,
                             int n_threads) noexcept nogil:
    """The last layer's dz from dy, the gradient by the outputs; NULL: all ones."""
    cdef Layer* last = &s.layers[s.n_layers - 1]
    cdef int i, j, start, stop
    share(n, SCORED_ROWS, tid, n_threads, &start, &stop)
    for i in range(start, stop):
        for j in range(last.n_out):
            last.dz[i * last.ld + j] = dy[i * last.n_out + j] if dy != NULL else 1
        if last.act == ACT_SOFTMAX:
            softmax_backward_row(last.n_out, last.y + i * last.ld, last.dz + i * last.ld)
        else:
            finish_backward(last.act, 0, round_up(last.n_out, VL), 1, 0, 0, NULL, 0,
                            last.dz + i * last.ld, last.ld, last.y + i * last.ld,
                            last.z + i * last.ld if last.z != NULL else NULL, NULL, NULL)
            clear_padding(last, last.dz + i * last.ld)


cdef void finish_softmax(State* s, Layer* below, int n, int from_t, int keep_t,
                         const real* mask, int tid, int n_threads) noexcept nogil:
    """The part of backward_data that couples a row's units: a hidden softmax layer."""
    cdef int i, j, start, stop
    cdef ptrdiff_t at
    team_barrier(&s.gate, n_threads)
    share(n, VL, tid, n_threads, &start, &stop)
    for i in range(start, stop):
        at = i * below.ld
        for j in range(below.n_out):
            if from_t:
                below.dz[at + j] = below.t[feature_at(below.group, j, i)]
            if mask != NULL:
                below.dz[at + j] *= mask[at + j]
        softmax_backward_row(below.n_out, below.y + at, below.dz + at)
        if keep_t:
            for j in range(below.n_out):
                below.t[feature_at(below.group, j, i)] = below.dz[at + j]
    if below.live_dz != NULL:
        share(below.n_out, 1, tid, n_threads, &start, &stop)
        for j in range(start, stop):
            below.live_dz[j] = 1


cdef void backward_team(State* s, const real* x, ptrdiff_t ldx, int n, const update_rule* rule,
                        real* m, real* v, int training, int tid, int n_threads) noexcept nogil:
    """From the last layer's dz to updated weights. With OPT_STORE as rule the gradient goes to m
    and weights stay."""
    backward_begin(s, n, tid, n_threads)
    backward_layers(s, x, ldx, n, rule, m, v, training, s.n_layers - 1, 0, tid, n_threads)


cdef void backward_begin(State* s, int n, int tid, int n_threads) noexcept nogil:
    """Make ready what backward_layers takes from the last layer's dz."""
    cdef int h, start, stop
    cdef Layer* layer
    if tid == 0:
        clear_queues(s, 0, n_threads)
        for h in range(s.n_layers):
            s.layers[h].n_penalty = penalty_entries(&s.layers[h])
    layer = &s.layers[s.n_layers - 1]
    if s.n_layers > 1 and not layer.narrow:
        share(layer.n_out, PANEL, tid, n_threads, &start, &stop)
        to_feature_major(start, round_up(stop, VL), n, layer.dz, layer.ld, layer.t, layer.group)
        team_barrier(&s.gate, n_threads)


cdef void backward_layers(State* s, const real* x, ptrdiff_t ldx, int n, const update_rule* rule,
                          real* m, real* v, int training, int top, int bottom, int tid,
                          int n_threads) noexcept nogil:
    """backward_team's work for the layers from `top` down to `bottom`. A task takes rows of weights
    backward by data and then updates them, so one barrier a layer is enough."""
    cdef int h, start, stop, unit, n_idx, n_columns, compacted, packed, keep_t
    cdef int packing, awaited = 0
    cdef Queue queue
    cdef fetch_list later
    cdef Layer* layer
    cdef Layer* below
    cdef const int* idx
    cdef const int* columns
    cdef const real* input
    cdef const real* mask
    cdef real* w
    cdef real* scratch = s.scratch + tid * s.n_scratch
    cdef ptrdiff_t ld
    for h in range(top, bottom - 1, -1):
        layer = &s.layers[h]
        below = &s.layers[h - 1] if h > 0 else NULL
        mask = NULL
        input = x
        ld = ldx
        if h > 0:
            input = below.y
            ld = below.ld
        if training and layer.dropout > 0:
            input = layer.x
            mask = layer.mask
        w = s.params + layer.w_at
        idx = s.iota
        n_idx = layer.n_out
        compacted = packing = 0
        if training and skips(s, layer) and h + 1 < s.n_layers:
            idx = layer.idx_dz
            n_idx = layer.n_dz
        # Rows are worth picking when a tenth or more of the products fall away.
        if (training and h > 0 and skips(s, below) and not layer.narrow
                and 10 * <long long>below.n_y * n_idx
                < 9 * <long long>layer.n_in * layer.n_out):
            compacted = 1
        packed = not layer.narrow and (compacted or s.ordered)
        if packed:
            columns = idx if compacted else s.iota
            n_columns = n_idx if compacted else layer.n_out
            share((n_columns + PANEL - 1) // PANEL, 1, tid, n_threads, &start, &stop)
            phase(PHASE_PACK)
            pack_panels(n_columns, columns, n, s.place, layer.dz, layer.ld, start, stop, layer.dzp)
            # Gradients by data do not need it: it is waited for where the first update does.
            awaited = barrier_arrive(&s.gate, n_threads)
            packing = 1
        if tid == 0 and training:
            note_backward(s, layer, n_idx, n, compacted, packed)
        if h == 0 and s.sparse.used:
            if packing:
                barrier_wait(&s.gate, awaited)
                packing = 0
            turn_nonzeros(&s.sparse, layer.n_in, n, tid, n_threads)
            team_barrier(&s.gate, n_threads)
        keep_t = h > 1 and not below.narrow
        later.n_rows = 0
        if packing and h > 0 and below.act == ACT_SOFTMAX:
            barrier_wait(&s.gate, awaited)
            packing = 0
        if h > 0 and below.act == ACT_SOFTMAX:
            share(layer.n_in, PANEL, tid, n_threads, &start, &stop)
            backward_data(layer, below, w, s.iota + start, stop - start, start, stop, idx, n_idx,
                          False, n, mask, keep_t, &later)
            finish_softmax(s, below, n, not layer.narrow, keep_t, mask, tid, n_threads)
        unit = UNITS
        if not layer.narrow:
            unit = min(UNITS, max(PANEL, round_up(layer.n_in // (4 * n_threads), PANEL)))
        queue = queue_of(queues(s, 1, h), (layer.n_in + unit - 1) // unit, tid, n_threads)
        while True:
            start = next_item(&queue) * unit
            if start >= layer.n_in or stopped(s.watch):
                break
            stop = min(start + unit, layer.n_in)
            if compacted and layer.ldw * sizeof(real) >= 64 * FETCH_LINES:
                later = moments_later(layer, below, m + layer.w_at, v + layer.w_at, start, stop)
            phase(PHASE_DATA)
            if h > 0 and below.act != ACT_SOFTMAX:
                data_task(s, layer, below, training, w, start, stop, idx, n_idx, n, mask, keep_t,
                          &later, tid)
            if packing:
                barrier_wait(&s.gate, awaited)
                packing = 0
            phase(PHASE_UPDATE)
            if h == 0 and s.encoding.used:
                update_from_bins(layer, rule, s, w, m + layer.w_at, v + layer.w_at, start, stop,
                                 scratch)
            elif h == 0 and s.sparse.used:
                update_from_nonzeros(layer, rule, &s.sparse, s.window.zeros, w, m + layer.w_at,
                                     v + layer.w_at, start, stop, scratch)
            elif layer.narrow:
                update_narrow(layer, rule, w, m + layer.w_at, v + layer.w_at, input, ld, n,
                              s.place, start, stop, scratch)
            elif compacted:
                update_live_rows(layer, rule, &s.window, w, m + layer.w_at, v + layer.w_at, input,
                                 ld, n, s.place, below.live_y, idx, n_idx, start, stop, scratch,
                                 s.ldg, &later)
            else:
                if layer.may_wait:
                    update_late(s, layer, s.iota + start, stop - start, 0, 1)
                update_rows(layer, rule, w, m + layer.w_at, v + layer.w_at, input, ld,
                            layer.dzp if packed else layer.dz, PANEL if packed else layer.ld,
                            n * PANEL if packed else PANEL, n, s.place,
                            packed or n > PACKED_ROWS, s.iota, start, stop, scratch, s.ldg)
            if start == 0 and layer.use_bias:
                update_biases(layer, rule, s.params + layer.b_at, m + layer.b_at,
                              v + layer.b_at, n, s.place, s.ones, scratch)
        if packing:
            barrier_wait(&s.gate, awaited)
        if training and h > 0 and skips(s, below):
            if barrier_last(&s.gate, n_threads):
                below.n_dz = list_live(below.live_dz, 1, below.ld, below.n_out, below.idx_dz)
                barrier_open(&s.gate)
        else:
            team_barrier(&s.gate, n_threads)


cdef void note_backward(State* s, const Layer* layer, int n_idx, int n, int compacted,
                        int packed) noexcept nogil:
    """Note how a layer's gradient is formed."""
    s.ran |= (RAN_LEFT_OUT_BACK * (n_idx < layer.n_out) | RAN_PICKED * (compacted != 0)
              | RAN_GATHERED * (not layer.narrow and not packed and n > PACKED_ROWS
                                and not (s.sparse.used and layer == s.layers))
              | RAN_NARROW * (layer.narrow != 0)
              | RAN_PANEL_REST * (layer.n_out > PANEL and layer.n_out % PANEL != 0))
    if packed and not compacted:
        s.ran |= RAN_PACKED | RAN_PACKED_REST * (layer.n_out % PANEL != 0)


cdef fetch_list moments_later(const Layer* layer, const Layer* below, const real* m,
                              const real* v, int start, int stop) noexcept nogil:
    """What a task's update of live rows will read, to be fetched while there is much to compute."""
    cdef fetch_list later
    later.rows = live_range(below.idx_y, below.n_y, start, stop, &later.n_rows)
    later.arrays[0], later.arrays[1] = m, v
    later.ld, later.array, later.chunk = layer.ldw, 0, 0
    later.n_chunks = <int>(layer.ldw * sizeof(real)) // (64 * FETCH_LINES)
    return later


cdef void data_task(State* s, const Layer* layer, Layer* below, int training, const real* w,
                    int start, int stop, const int* idx, int n_idx, int n, const real* mask,
                    int keep_t, fetch_list* later, int tid) noexcept nogil:
    """dz of the layer below for its units [start, stop)."""
    cdef const int* kk = s.iota + start
    cdef int n_k = stop - start
    cdef int by_group = 0
    if training and below.act == ACT_RELU and skips(s, below):
        # A unit that is off in every row passes nothing back.
        kk = live_range(below.idx_y, below.n_y, start, stop, &n_k)
        by_group = (reads_patterns(s, below, n) and reads_patterns(s, layer, n) and not layer.narrow
                    and groups_pay(layer, below, n_idx, n))
        if by_group and tid == 0:
            s.ran |= RAN_GROUPS
    backward_data(layer, below, w, kk, n_k, start, stop, idx, n_idx, by_group, n, mask, keep_t,
                  later)


cdef int groups_pay(const Layer* layer, const Layer* below, int n_idx, int n) noexcept nogil:
    """Whether groups of rows, each with lists of its own, save more products backward by data than
    going through alone costs them."""
    cdef int group, n_groups = (n + LANE_ROWS - 1) // LANE_ROWS
    cdef long long products = 0
    for group in range(n_groups):
        products += (<long long>layer.lanes.cut[(group + 1) * layer.lanes.n_cuts - 1]
                     * below.lanes.cut[(group + 1) * below.lanes.n_cuts - 1])
    return GROUP_COST * products < <long long>n_groups * n_idx * below.n_y
