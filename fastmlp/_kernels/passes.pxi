# A layer's three passes, as one thread of a team carries them out. Work is cut by output, so no
# sum crosses threads.

cdef void forward_rows(const Layer* layer, const real* w, const real* b, const int* idx, int n_idx,
                       const real* x, ptrdiff_t ldx, int n, real* y, real* z,
                       unsigned char* live, int* tickets, int tid,
                       int n_threads) noexcept nogil:
    """y = act(x w + b): (row block, panel) items in grabs; live may be NULL."""
    cdef int start, stop, item, block, p, i0, m, k0, grab, per_block, mine = 0
    cdef int n_blocks = (n + ROW_BLOCK - 1) // ROW_BLOCK
    cdef int rows = (n + n_blocks - 1) // n_blocks
    cdef ptrdiff_t ld = layer.ld, at
    if layer.narrow:
        share(n, 4, tid, n_threads, &start, &stop)
        if stop > start:
            narrow_forward(stop - start, layer.n_out, round_up(layer.n_in, VL) // VL,
                           x + start * ldx, ldx, w, layer.ldw, y + start * ld, ld)
            finish_forward(layer.act, stop - start, 2 * layer.n_panels, b, y + start * ld, ld,
                           z + start * ld if z != NULL else NULL, NULL)
        return
    # A grab is some panels of one row block: the block's inputs, a stretch of them at a time,
    # stay in the second-level cache for all of them.
    grab = layer.n_panels
    if n_threads > 1:
        grab = max(1, layer.n_panels * n_blocks // (4 * n_threads))
        grab = min(grab, layer.n_panels)
    per_block = (layer.n_panels + grab - 1) // grab
    while True:
        item = next_item(tickets, &mine, n_threads)
        if item >= n_blocks * per_block:
            return
        block = item // per_block
        start = (item - block * per_block) * grab
        stop = min(start + grab, layer.n_panels)
        i0 = block * rows
        m = min(rows, n - i0)
        at = i0 * ld
        if m == 1:
            forward_one(n_idx, idx, x + i0 * ldx, w + start * PANEL, layer.ldw,
                        y + at + start * PANEL, 2 * (stop - start))
        else:
            k0 = 0
            while True:
                for p in range(start, stop):
                    forward_panel(m, min(DEPTH, n_idx - k0), idx + k0, x + i0 * ldx, ldx,
                                  w + p * PANEL, layer.ldw, y + at + p * PANEL, ld, k0 > 0)
                k0 += DEPTH
                if k0 >= n_idx:
                    break
        finish_forward(layer.act, m, 2 * (stop - start), b + start * PANEL,
                       y + at + start * PANEL, ld, z + at + start * PANEL if z != NULL else NULL,
                       live + block * ld + start * PANEL if live != NULL else NULL)


cdef void softmax_rows(const Layer* layer, int start, int stop, const real* z,
                       real* y) noexcept nogil:
    cdef int i
    for i in range(start, stop):
        softmax_row(layer.n_out, z + i * layer.ld, y + i * layer.ld)


cdef void backward_data(const Layer* layer, Layer* below, const real* w, const int* kk, int n_k,
                        int k0, int k1, const int* idx, int n_idx, int n, ptrdiff_t ldt,
                        const real* mask, int keep_t) noexcept nogil:
    """dz of the layer below, for its units [k0, k1), of which kk lists those to compute."""
    cdef int j0, v0, nv, left
    cdef int n_vec = (n + VL - 1) // VL
    if layer.narrow:
        narrow_backward_data(n, layer.n_out, k0 // VL, round_up(k1, VL) // VL, layer.dz, layer.ld,
                             w, layer.ldw, below.dz, below.ld)
    else:
        j0 = 0
        while True:
            v0 = 0
            while v0 < n_vec:
                left = n_vec - v0
                # Blocks of three vectors; a remainder of one would leave the pipeline empty.
                nv = left if left <= 4 else (2 if left == 5 else 3)
                data_block(nv, n_k, kk, min(WIDTH, n_idx - j0), idx + j0, w, layer.ldw,
                           layer.t + v0 * VL, below.t + v0 * VL, ldt, j0 > 0, v0 == 0)
                v0 += nv
            j0 += WIDTH
            if j0 >= n_idx:
                break
    if below.act == ACT_SOFTMAX:
        return  # couples the units of a row: see finish_softmax
    finish_backward(below.act, k0, round_up(k1, VL), n, not layer.narrow, keep_t, below.t, ldt,
                    below.dz, below.ld, below.y, below.z, mask, below.live_dz)


cdef void update_rows(Layer* layer, const update_rule* rule, real* w, real* m, real* v,
                      const real* x, ptrdiff_t ldx, const real* dz, int n, const int* iota, int k0,
                      int k1, real* scratch) noexcept nogil:
    """Weight gradient and update of rows [k0, k1), at most UNITS, with nothing skipped: the
    gradient lives in one tile only."""
    cdef update_sums sums[UNITS]
    cdef int k, kr, r, p
    cdef ptrdiff_t at
    for r in range(k1 - k0):
        sums_reset(&sums[r])
    # Panels outside: a panel of dz and the rows' inputs then stay in the first-level cache.
    for p in range(layer.n_panels):
        k = k0
        while k < k1:
            kr = min(TILE_ROWS, k1 - k)
            at = k * layer.ldw + p * PANEL
            weights_tile_n(kr, n, iota + k, x, ldx, dz + p * PANEL, layer.ld, scratch, PANEL)
            update_tile(rule, layer.pen, kr, w + at, scratch, m + at, v + at, layer.ldw,
                        &sums[k - k0])
            k += kr
    for r in range(k1 - k0):
        layer.penalty[k0 + r] = sums_penalty(&sums[r], layer.pen)
        if not sums_finite(&sums[r]):
            layer.finite = 0


cdef void update_live_rows(Layer* layer, const update_rule* rule, real* w, real* m, real* v,
                           const real* x, ptrdiff_t ldx, int n, const unsigned char* live_x,
                           const int* idx, int n_idx, int k0, int k1, real* scratch,
                           ptrdiff_t ldg) noexcept nogil:
    """The same, computing only the products of live inputs and live outputs; what is left out
    has a gradient of exactly zero and is updated by the same code."""
    cdef int rows[6]
    cdef update_sums sums
    cdef int k = k0, kr, r, p, t
    cdef int panels = (n_idx + PANEL - 1) // PANEL
    cdef real* compact = scratch
    cdef real* g = scratch + 6 * ldg
    cdef ptrdiff_t at
    cdef int done = k0
    while done < k1:
        kr = 0
        while k < k1 and kr < 6:
            if live_x[k]:
                rows[kr] = k
                kr += 1
            k += 1
        if kr:
            for p in range(panels):
                weights_tile_n(kr, n, rows, x, ldx, layer.dzc + p * PANEL, layer.ld,
                               compact + p * PANEL, ldg)
        r = 0
        while done < k:
            memset(g, 0, layer.n_panels * PANEL * sizeof(real))
            if r < kr and rows[r] == done:
                for t in range(n_idx):
                    g[idx[t]] = compact[r * ldg + t]
                r += 1
            at = done * layer.ldw
            sums_reset(&sums)
            update_span(rule, layer.pen, 2 * layer.n_panels, w + at, g, m + at, v + at, &sums)
            layer.penalty[done] = sums_penalty(&sums, layer.pen)
            if not sums_finite(&sums):
                layer.finite = 0
            done += 1


cdef void update_narrow(Layer* layer, const update_rule* rule, real* w, real* m, real* v,
                        const real* x, ptrdiff_t ldx, int n, int k0, int k1,
                        real* scratch) noexcept nogil:
    """Weight gradient and update of a narrow layer for inputs [k0, k1)."""
    cdef update_sums sums
    cdef int k = k0, j, nv, e
    cdef ptrdiff_t at
    while k < k1:
        nv = (min(PANEL, round_up(k1 - k, VL))) // VL
        sums_reset(&sums)
        for j in range(layer.n_out):
            narrow_weights(nv, n, x + k, ldx, layer.dz + j, layer.ld, scratch)
            for e in range(layer.n_in - k, nv * VL):
                scratch[e] = 0  # padding: an idle unit's output need not be zero there
            at = j * layer.ldw + k
            update_span(rule, layer.pen, nv, w + at, scratch, m + at, v + at, &sums)
        layer.penalty[k // PANEL] = sums_penalty(&sums, layer.pen)
        if not sums_finite(&sums):
            layer.finite = 0
        k += PANEL


cdef void update_biases(Layer* layer, const update_rule* rule, real* b, real* m, real* v, int n,
                        const real* ones, real* scratch) noexcept nogil:
    """Bias gradient (dz summed over the batch in ascending order) and update."""
    cdef update_sums sums
    cdef int p, zero = 0
    sums_reset(&sums)
    for p in range(layer.n_panels):
        weights_tile_n(1, n, &zero, ones, 0, layer.dz + p * PANEL, layer.ld, scratch, PANEL)
        update_span(rule, layer.pen_b, 2, b + p * PANEL, scratch, m + p * PANEL, v + p * PANEL,
                    &sums)
    layer.penalty_b = sums_penalty(&sums, layer.pen_b)
    if not sums_finite(&sums):
        layer.finite = 0


cdef int list_live(unsigned char* live, int n_blocks, ptrdiff_t ld, int n,
                   int* idx) noexcept nogil:
    """Fill idx with the units live in any row block, ascending, and note them in the first
    block; idx is padded for the prefetch beyond its end."""
    cdef int j, block, count = 0, alive
    for j in range(n):
        alive = 0
        for block in range(n_blocks):
            alive |= live[block * ld + j]
        live[j] = alive
        idx[count] = j
        count += alive != 0
    for j in range(FORWARD_AHEAD):
        idx[count + j] = idx[count - 1] if count else 0
    return count
