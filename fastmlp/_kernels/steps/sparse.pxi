# The first layer, where its inputs are given by their nonzeros: products of nonzeros alone, in the
# order of the dense passes, so that the bits are the same. And the first layer on encoded numbers,
# of which two nonzeros stand for all bins: see Encoding. Every function here is run by all threads
# of a team at once.

cdef inline int sparse_items(int n) noexcept nogil:
    """Into how many tasks, and rows of live flags, the forward pass of n rows is cut."""
    return (n + SPARSE_ROWS - 1) // SPARSE_ROWS


cdef void keep_nonzeros(State* s, int n, int training, int tid, int n_threads) noexcept nogil:
    """Point `kept` at the values that the products take: as given, or after dropout."""
    cdef Nonzeros* batch = &s.sparse
    cdef Layer* layer = &s.layers[0]
    cdef int i, start, stop
    cdef int64_t at = 0
    share(n, 1, tid, n_threads, &start, &stop)
    if not training or layer.dropout == 0:
        memcpy(batch.kept + start, batch.values + start, (stop - start) * sizeof(batch.kept[0]))
        return
    for i in range(start):
        at += batch.n[i]
    for i in range(start, stop):
        if stopped(s.watch):
            return
        sparse_dropout(s.seed, s.step, 0, s.first_row + i, layer.dropout, batch.n[i],
                       batch.columns[i], batch.values[i], batch.dropped + at)
        batch.kept[i] = batch.dropped + at
        at += batch.n[i]


cdef void forward_nonzeros(const Layer* layer, const Nonzeros* batch, const real* w, const real* b,
                           int n, unsigned char* live, int* tickets, int tid,
                           int n_threads) noexcept nogil:
    """y = act(x w + b), a task being SPARSE_ROWS rows; `live`, if not NULL, gets the units that
    are live in each task."""
    cdef int i, item, start, stop
    cdef ptrdiff_t at
    cdef Queue queue = queue_of(tickets, sparse_items(n), tid, n_threads)
    while True:
        item = next_item(&queue)
        if item >= queue.n_items or stopped(layer.watch):
            return
        start, stop = item * SPARSE_ROWS, min(item * SPARSE_ROWS + SPARSE_ROWS, n)
        for i in range(start, stop):
            if layer.narrow:
                sparse_narrow_forward(batch.n[i], batch.columns[i], batch.kept[i], layer.n_out, w,
                                      layer.ldw, layer.y + i * layer.ld)
            else:
                sparse_row(batch.n[i], batch.columns[i], batch.kept[i], w, layer.ldw,
                           layer.y + i * layer.ld, 2 * layer.n_panels)
        at = start * layer.ld
        finish_forward(layer.act, stop - start, 2 * layer.n_panels, b, layer.y + at, layer.ld,
                       layer.z + at if layer.z != NULL else NULL,
                       live + item * layer.ld if live != NULL else NULL)


cdef inline int64_t first_at_least(const int* idx, int64_t n, int value) noexcept nogil:
    """Where in an ascending list the first entry of at least `value` is, or n."""
    cdef int64_t a = 0, b = n, middle
    while a < b:
        middle = (a + b) // 2
        if idx[middle] < value:
            a = middle + 1
        else:
            b = middle
    return a


cdef void turn_nonzeros(Nonzeros* batch, int n_inputs, int n, int tid,
                        int n_threads) noexcept nogil:
    """The batch's values column by column, each column's in the order of the rows. A thread owns
    a range of columns and finds where they begin by itself."""
    cdef int i, k, start, stop
    cdef int64_t t, count, at = 0
    share(n_inputs, 16, tid, n_threads, &start, &stop)
    memset(batch.ends + start, 0, (stop - start) * sizeof(int64_t))
    for i in range(n):
        t = first_at_least(batch.columns[i], batch.n[i], start)
        at += t
        while t < batch.n[i] and batch.columns[i][t] < stop:
            batch.ends[batch.columns[i][t]] += 1
            t += 1
    for k in range(start, stop):
        count = batch.ends[k]
        batch.ends[k] = at
        at += count
    for i in range(n):
        t = first_at_least(batch.columns[i], batch.n[i], start)
        while t < batch.n[i] and batch.columns[i][t] < stop:
            k = batch.columns[i][t]
            batch.turned_rows[batch.ends[k]] = i
            batch.turned[batch.ends[k]] = batch.kept[i][t]
            batch.ends[k] += 1
            t += 1


cdef void update_from_nonzeros(Layer* layer, const update_rule* rule, const Nonzeros* batch,
                               const real* zeros, real* w, real* m, real* v, int k0, int k1,
                               real* scratch) noexcept nogil:
    """Weight gradient and update of inputs [k0, k1). The gradient of an input without nonzeros is
    zero, and its weights are updated by the same code."""
    cdef update_sums sums
    cdef const real* g
    cdef int j, k, nv
    cdef int64_t begin, end = batch.ends[k0 - 1] if k0 > 0 else 0
    cdef ptrdiff_t at
    sums_reset(&sums)
    if layer.narrow:
        # A task is one stretch of NARROW_COLUMNS inputs, as in update_narrow.
        nv = round_up(k1 - k0, VL) // VL
        for j in range(layer.n_out):
            memset(scratch, 0, nv * VL * sizeof(real))
            begin = end
            for k in range(k0, k1):
                if batch.ends[k] > begin:
                    scratch[k - k0] = sparse_narrow_weight(
                        batch.ends[k] - begin, batch.turned_rows + begin, batch.turned + begin,
                        layer.dz + j, layer.ld)
                begin = batch.ends[k]
            at = j * layer.ldw + k0
            update_span(rule, layer.pen, nv, w + at, scratch, m + at, v + at, &sums)
        layer.penalty[k0 // NARROW_COLUMNS] = sums_penalty(&sums, layer.pen)
    else:
        for k in range(k0, k1):
            begin, end = end, batch.ends[k]
            g = zeros
            if end > begin:
                sparse_row(end - begin, batch.turned_rows + begin, batch.turned + begin, layer.dz,
                           layer.ld, scratch, 2 * layer.n_panels)
                g = scratch
            at = k * layer.ldw
            sums_restart(&sums)
            update_span(rule, layer.pen, 2 * layer.n_panels, w + at, g, m + at, v + at, &sums)
            layer.penalty[k] = sums_penalty(&sums, layer.pen)
    if not sums_finite(&sums):
        lower(&layer.finite[layer.slot])


cdef void encode_rows(State* s, const real* x, ptrdiff_t ldx, int n, int tid,
                      int n_threads) noexcept nogil:
    """The batch's rows by the nonzeros that the sums over bins are multiplied with."""
    cdef Nonzeros* batch = &s.sparse
    cdef int i, start, stop
    cdef ptrdiff_t at
    share(n, 1, tid, n_threads, &start, &stop)
    for i in range(start, stop):
        if stopped(s.watch):
            return
        at = <ptrdiff_t>i * 3 * s.n_inputs
        batch.n[i] = encode_row(s.n_inputs, s.encoding.first, s.encoding.lower, s.encoding.inverse,
                                x + i * ldx, s.encoding.columns + at, s.encoding.values + at)
        batch.columns[i] = s.encoding.columns + at
        batch.values[i] = batch.kept[i] = s.encoding.values + at


cdef void sum_bins(State* s, int tid, int n_threads) noexcept nogil:
    """The sums of weights over each number's bins, a thread's by a range of units."""
    cdef Layer* layer = &s.layers[0]
    cdef const int* first = s.encoding.first
    cdef const real* w = s.params + layer.w_at
    cdef int start, stop
    share(2 * layer.n_panels, PANEL // VL, tid, n_threads, &start, &stop)
    sum_rows(s.n_inputs, first, layer.ldw, w + start * VL, s.encoding.sums + start * VL,
             stop - start)


cdef inline int first_input(const State* s, int row) noexcept nogil:
    """The first input whose rows of weights begin at `row` or later."""
    return <int>first_at_least(s.encoding.first, s.n_inputs, row)


cdef void update_from_bins(Layer* layer, const update_rule* rule, State* s, real* w, real* m,
                           real* v, int start, int stop, real* scratch) noexcept nogil:
    """Weight gradient and update of the inputs whose rows begin in [start, stop). A bin's gradient
    is that of its sum and of all sums above, so a number's bins are gone through from the last."""
    cdef const Nonzeros* batch = &s.sparse
    cdef update_sums sums
    cdef int j, k, nv = 2 * layer.n_panels
    cdef int64_t begin, end
    cdef const real* g
    cdef real* total = scratch + layer.ldw
    cdef ptrdiff_t at
    sums_reset(&sums)
    for j in range(first_input(s, start), first_input(s, stop)):
        memset(total, 0, nv * VL * sizeof(real))
        k = s.encoding.first[j + 1] - 1
        while k >= s.encoding.first[j]:
            begin, end = batch.ends[k - 1] if k > 0 else 0, batch.ends[k]
            g = s.window.zeros
            if end > begin:
                sparse_row(end - begin, batch.turned_rows + begin, batch.turned + begin, layer.dz,
                           layer.ld, scratch, nv)
                g = scratch
            if k > s.encoding.first[j]:
                if end > begin:
                    add_row(nv, scratch, total)
                g = total
            at = k * layer.ldw
            sums_restart(&sums)
            update_span(rule, layer.pen, nv, w + at, g, m + at, v + at, &sums)
            layer.penalty[k] = sums_penalty(&sums, layer.pen)
            k -= 1
    if not sums_finite(&sums):
        lower(&layer.finite[layer.slot])
