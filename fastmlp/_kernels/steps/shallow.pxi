# A whole step of a small network in few loops: one hidden layer (shallow.h), or one with a few
# units (tiny.h).

cdef inline int is_shallow(const State* s) noexcept nogil:
    """Whether shallow.h serves this network."""
    return (s.n_layers == 2 and s.n_inputs <= SHALLOW_INPUTS and not s.layers[0].narrow
            and not s.encoding.used
            and s.layers[1].narrow and s.layers[0].use_bias and s.layers[0].act != ACT_SOFTMAX
            and s.layers[1].act != ACT_SOFTMAX and s.layers[0].dropout == 0
            and s.layers[1].dropout == 0)


cdef inline int is_tiny(const State* s) noexcept nogil:
    """Whether tiny.h can serve this network, of those that shallow.h serves."""
    return (s.shallow and s.n_inputs <= TINY_INPUTS and s.layers[0].n_out <= TINY_UNITS
            and s.n_outputs == 1 and s.layers[1].act == ACT_LINEAR)


cdef shallow_net shallow_of(const State* s) noexcept nogil:
    cdef const Layer* hidden = &s.layers[0]
    cdef const Layer* last = &s.layers[1]
    cdef shallow_net net
    net.n_in, net.n_hidden, net.n_out, net.act = s.n_inputs, hidden.n_out, last.n_out, hidden.act
    net.ldw, net.ldt, net.ldx, net.lddz = hidden.ldw, last.ldw, s.ldx, last.ld
    net.w_at, net.b_at, net.wt_at = hidden.w_at, hidden.b_at, last.w_at
    net.pen, net.pen_b, net.pen_t, net.pen_b2 = hidden.pen, hidden.pen_b, last.pen, last.pen_b
    return net


cdef void fill_columns(State* s, int n) noexcept nogil:
    """The batch in xb, yb, wb by columns, for tiny.h."""
    cdef int i, k, K = s.n_inputs
    cdef ptrdiff_t ld = s.columns_ld
    cdef real* c = s.columns
    for i in range(round_up(n, VL)):
        if stopped(s.watch):
            return
        for k in range(K):
            c[k * ld + i] = s.xb[i * s.ldx + k] if i < n else 0
        c[K * ld + i] = s.yb[i] if i < n else 0
        c[(K + 1) * ld + i] = s.wb[i] if i < n else 0
        c[(K + 2) * ld + i] = <real>(2 * <double>s.wb[i] / n) if i < n else 0


cdef void tiny_thread(State* s, int n, const update_rule* rule, real* m, real* v) noexcept nogil:
    """A step of a tiny network, by one thread."""
    cdef Layer* hidden = &s.layers[0]
    cdef Layer* last = &s.layers[1]
    cdef shallow_net net = shallow_of(s)
    cdef update_sums sums[4]
    cdef tiny_batch batch
    cdef ptrdiff_t ld = s.columns_ld
    cdef int i, q, K = s.n_inputs, unused
    batch.n_vec, batch.ld = round_up(n, VL) // VL, ld
    batch.x, batch.y = s.columns, s.columns + K * ld
    batch.weight, batch.slope = s.columns + (K + 1) * ld, s.columns + (K + 2) * ld
    batch.out = s.columns + (K + 3) * ld
    for i in range(4):
        sums_reset(&sums[i])
    s.tiny_loss = tiny_step(&net, last.b_at, last.use_bias, &batch, rule, s.params, m, v, sums)
    hidden.n_penalty = last.n_penalty = 1
    hidden.penalty_b[0] = sums_penalty(&sums[1], net.pen_b)
    hidden.penalty[0] = sums_penalty(&sums[0], net.pen)
    last.penalty[0] = sums_penalty(&sums[2], net.pen_t)
    last.penalty_b[0] = sums_penalty(&sums[3], net.pen_b2)
    if not (sums_finite(&sums[0]) and sums_finite(&sums[1])):
        lower(&hidden.finite[0])
    if not (sums_finite(&sums[2]) and sums_finite(&sums[3])):
        lower(&last.finite[0])
    for i in range(n if s.n_metrics else 0):
        for q in range(s.n_metrics):
            s.row_metrics[i * s.n_metrics + q] = loss_row(
                s.metrics[q], ACT_LINEAR, 1, s.huber_delta, batch.out + i, NULL, s.yb + i, 0,
                NULL, &unused)


cdef void shallow_team(State* s, int n, const update_rule* rule, real* m, real* v, int tid,
                       int n_threads) noexcept nogil:
    """forward_team, score_rows and backward_team in one, for a shallow network."""
    cdef Layer* hidden = &s.layers[0]
    cdef Layer* last = &s.layers[1]
    cdef shallow_net net = shallow_of(s)
    cdef update_sums sums[3]
    cdef int start, stop, first, item
    cdef Queue queue = queue_of(queues(s, 0, 0), hidden.n_panels, tid, n_threads)
    share(n, SHALLOW_ROWS, tid, n_threads, &start, &stop)
    first = start
    while first < stop and not stopped(s.watch):
        shallow_forward(&net, s.params, first, min(first + CHUNK_ROWS, stop), s.xb, last.y, last.ld)
        first += CHUNK_ROWS
    finish_forward(last.act, stop - start, round_up(last.n_out, VL) // VL,
                   s.params + last.b_at, last.y + start * last.ld, last.ld,
                   last.z + start * last.ld if last.z != NULL else NULL, NULL)
    if s.loss == LOSS_MSE and last.n_out == 1 and last.act == ACT_LINEAR and s.n_metrics == 0:
        score_squares(s, n, s.yb, s.wb, start, stop)
    else:
        score_rows(s, n, s.yb, s.wb, 1, start, stop, tid)
    if tid == 0:
        clear_queues(s, 0, n_threads)
        # The penalty is gathered by panel here, biases included.
        hidden.n_penalty = last.n_penalty = hidden.n_panels
        hidden.penalty_b[hidden.slot] = 0
    if leaves_before_update(s, 0, tid, n_threads):
        return
    while True:
        item = next_item(&queue)
        if item >= hidden.n_panels or stopped(s.watch):
            break
        sums_reset(&sums[0])
        sums_reset(&sums[1])
        sums_reset(&sums[2])
        shallow_backward(&net, item * PANEL, n, s.xb, last.dz, rule, s.params, m, v, sums)
        hidden.penalty[item] = sums_penalty(&sums[0], net.pen) + sums_penalty(&sums[1], net.pen_b)
        last.penalty[item] = sums_penalty(&sums[2], net.pen_t)
        if not (sums_finite(&sums[0]) and sums_finite(&sums[1])):
            lower(&hidden.finite[hidden.slot])
        if not sums_finite(&sums[2]):
            lower(&last.finite[last.slot])
        if item == 0 and last.use_bias:
            update_biases(last, rule, s.params + last.b_at, m + last.b_at, v + last.b_at, n,
                          s.place, s.ones, s.scratch + tid * s.n_scratch)
    team_barrier(&s.gate, n_threads)
