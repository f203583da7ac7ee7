# Steps of small networks on batches of many rows. A thread takes a part of the batch forward and
# back alone, with all of the part's numbers in its own cache, and stores the part's gradient; those
# are added up in the order of the parts, whoever formed them. Where there are more threads than
# parts, some share one. Which parts there are depends on the batch and the network alone, so the
# bits do not depend on the threads.

cdef enum:
    PART_ROWS = 64          # of the smallest part
    PART_STEP = 16          # what rows of a part are a multiple of
    MOST_PARTS = 16         # their gradients are to stay in caches
    MANY_WEIGHTS = 1 << 16  # with more, parts have twice the rows and are half as many
    MOST_WEIGHTS = 1 << 18  # with more, the batch is taken as one


cdef inline int rows_of_part(const State* s, int n) noexcept nogil:
    """Rows of each part but the last, for a batch of n rows; 0 if it is taken as one."""
    cdef int least = PART_ROWS, most = MOST_PARTS
    if s.shallow or s.n_weights > MOST_WEIGHTS:
        return 0
    if s.n_weights > MANY_WEIGHTS:
        if s.n_inputs <= ORDERED_INPUTS and not s.encoding.used:
            return 0    # to put rows in order saves more
        least, most = 2 * least, most // 2
    if n < 2 * least:
        return 0
    return max(least, round_up((n + most - 1) // most, PART_STEP))


cdef inline int groups_of_threads(const State* s, int n_threads) noexcept nogil:
    """How many parts are under way at a time."""
    cdef int rows = rows_of_part(s, s.batch_size)
    return min(n_threads, (s.batch_size + rows - 1) // rows)


cdef void begin_part(const State* s, State* part) noexcept nogil:
    """Give work space for parts what it shares with the network whose steps they belong to."""
    cdef int h
    part.params, part.loss, part.huber_delta = s.params, s.loss, s.huber_delta
    part.n_targets, part.smooth = s.n_targets, s.smooth
    part.x, part.y, part.sample_weight = s.x, s.y, s.sample_weight
    part.csr, part.sparse.used = s.csr, s.sparse.used
    part.encoding.sums, part.encoding.summed = s.encoding.sums, 1
    part.order, part.shuffle = s.order, s.shuffle
    part.skip, part.seed = s.skip, s.seed
    part.watch = s.watch
    for h in range(part.n_layers):
        part.layers[h].watch = s.watch
    begin_queues(part)


cdef void parts_team(State* s, int n, int tid, int n_threads) noexcept nogil:
    """One optimizer step."""
    cdef update_rule store  # of which nothing but the kind is looked at
    cdef int rows = rows_of_part(s, n), m, start, stop
    cdef int n_groups = groups_of_threads(s, n_threads), group = tid % n_groups
    cdef int rank = tid // n_groups, n_ranks = (n_threads - group - 1) // n_groups + 1
    cdef Queue queue = queue_of(queues(s, 0, 0), (n + rows - 1) // rows, group, n_groups)
    cdef State* part = s.parts[group]
    cdef real* g
    memset(&store, 0, sizeof(store))
    store.kind = OPT_STORE
    if tid == 0:
        s.ran |= RAN_PARTS
        prepare_rule(s)
    if s.encoding.used:
        sum_bins(s, tid, n_threads)
        team_barrier(&s.gate, n_threads)
    while True:
        if rank == 0:
            part.part = queue.n_items if stopped(s.watch) else next_item(&queue)
            part.step, part.first_row = s.step, part.part * rows
        team_barrier(&part.gate, n_ranks)
        if part.part >= queue.n_items:
            break
        m = min(rows, n - part.first_row)
        phase(PHASE_LOAD)
        share(m, 1, rank, n_ranks, &start, &stop)
        load_rows(part, s.batch * s.batch_size + part.first_row, start, stop)
        team_barrier(&part.gate, n_ranks)
        forward_team(part, part.xb, part.ldx, m, part.n_layers, FORWARD_TRAIN, rank,
                     n_ranks)
        share(m, SCORED_ROWS, rank, n_ranks, &start, &stop)
        phase(PHASE_SCORE)
        score_rows(part, n, part.yb, part.wb, 1, start, stop, rank)
        keep_scores(s, part, start, stop)
        team_barrier(&part.gate, n_ranks)
        g = s.part_gradients + part.part * s.n_params
        backward_team(part, part.xb, part.ldx, m, &store, g, g, 1, rank, n_ranks)
    phase(PHASE_SUM)
    if tid == 0:
        s.abandoned = s.watch.cancelled
    team_barrier(&s.gate, n_threads)
    if tid == 0:
        clear_queues(s, 0, n_threads)
    if s.abandoned:
        return
    if clips(s):
        apply_parts(s, queue.n_items, &store, s.gradient, s.gradient, tid, n_threads)
        team_barrier(&s.gate, n_threads)
        apply_team(s, tid, n_threads)
    else:
        apply_parts(s, queue.n_items, &s.rule, s.slots[0], s.slots[1], tid, n_threads)
        team_barrier(&s.gate, n_threads)


cdef void keep_scores(State* s, const State* part, int start, int stop) noexcept nogil:
    """The losses and metrics of a part's rows [start, stop) where those of the batch are."""
    cdef int at = part.first_row + start
    memcpy(s.row_loss + at, part.row_loss + start, (stop - start) * sizeof(double))
    memcpy(s.row_metrics + at * s.n_metrics, part.row_metrics + start * s.n_metrics,
           (stop - start) * s.n_metrics * sizeof(double))


cdef void apply_parts(State* s, int n_parts, const update_rule* rule, real* m, real* v, int tid,
                      int n_threads) noexcept nogil:
    """Add up the parts' gradients and update with them; with OPT_STORE as rule the sum goes to m.
    """
    cdef update_sums sums
    cdef int h, i, j, k, start, stop, nv
    cdef Layer* layer
    for h in range(s.n_layers):
        layer = &s.layers[h]
        if layer.narrow:
            share(layer.n_in, NARROW_COLUMNS, tid, n_threads, &start, &stop)
            for i in range(start // NARROW_COLUMNS,
                           (stop + NARROW_COLUMNS - 1) // NARROW_COLUMNS):
                k = i * NARROW_COLUMNS
                nv = min(NARROW_COLUMNS, round_up(layer.n_in - k, VL)) // VL
                sums_reset(&sums)
                for j in range(layer.n_out):
                    apply_span(s, n_parts, rule, layer.pen, m, v,
                               layer.w_at + j * layer.ldw + k, nv, tid, &sums)
                layer.penalty[i] = sums_penalty(&sums, layer.pen)
                if not sums_finite(&sums):
                    lower(&layer.finite[layer.slot])
        else:
            share(layer.n_in, 1, tid, n_threads, &start, &stop)
            sums_reset(&sums)
            for k in range(start, stop):
                sums_restart(&sums)
                apply_span(s, n_parts, rule, layer.pen, m, v, layer.w_at + k * layer.ldw,
                           2 * layer.n_panels, tid, &sums)
                layer.penalty[k] = sums_penalty(&sums, layer.pen)
            if not sums_finite(&sums):
                lower(&layer.finite[layer.slot])
        if tid == 0:
            layer.n_penalty = penalty_entries(layer)
        if layer.use_bias and h % n_threads == tid:
            sums_reset(&sums)
            apply_span(s, n_parts, rule, layer.pen_b, m, v, layer.b_at, 2 * layer.n_panels, tid,
                       &sums)
            layer.penalty_b[layer.slot] = sums_penalty(&sums, layer.pen_b)
            if not sums_finite(&sums):
                lower(&layer.finite[layer.slot])


cdef void apply_span(State* s, int n_parts, const update_rule* rule, penalty_rule pen, real* m,
                     real* v, size_t at, int n_vec, int tid, update_sums* sums) noexcept nogil:
    """Update n_vec vectors of parameters from number `at` on."""
    cdef real* g = s.scratch + tid * s.n_scratch
    add_spans(n_vec, n_parts, s.part_gradients + at, s.n_params, g)
    update_span(rule, pen, n_vec, s.params + at, g, m + at, v + at, sums)
