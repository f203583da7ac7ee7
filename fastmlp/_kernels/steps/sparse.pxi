# The first layer, where its inputs are given by their nonzeros: products of nonzeros alone, in the
# order of the dense passes, so that the bits are the same. Every function here is run by all
# threads of a team at once.

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
