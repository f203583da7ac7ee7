# A layer's three passes, as one thread of a team carries them out. Work is cut by output, so no
# sum crosses threads.

cdef const int* live_range(const int* idx, int n, int start, int stop, int* count) noexcept nogil:
    """The part of an ascending list that lies in [start, stop)."""
    cdef int a = 0, b = n, middle
    while a < b:
        middle = (a + b) // 2
        if idx[middle] < start:
            a = middle + 1
        else:
            b = middle
    while b < n and idx[b] < stop:
        b += 1
    count[0] = b - a
    return idx + a


cdef void forward_rows(const Layer* layer, const real* w, const real* b, const int* idx, int n_idx,
                       const Patterns* patterns, const real* x, ptrdiff_t ldx, int n, real* y,
                       real* z, unsigned char* live, int live_tiles, int by_panel, int* tickets,
                       int tid, int n_threads) noexcept nogil:
    """y = act(x w + b), an item being some panels of one row block; consecutive items share the
    panels if `by_panel`, else the block. `patterns`, if not NULL, lists the
    inputs that each tile of rows needs, else idx serves all. `live`, if not NULL, gets the units
    that are live in each block, or in each tile of rows if `live_tiles`."""
    cdef int start, stop, item, block, p, i0, m, t, c, step, group, groups = 1
    cdef int n_blocks = (n + ROW_BLOCK - 1) // ROW_BLOCK
    cdef int rows = (n + n_blocks - 1) // n_blocks
    cdef ptrdiff_t ld = layer.ld, at
    cdef index_list lists[ROW_TILES]
    cdef int n_want = 0
    cdef const int* want
    cdef Queue queue
    if layer.narrow:
        share(n, SCORED_ROWS, tid, n_threads, &start, &stop)
        while start < stop and not stopped(layer.watch):
            m = min(CHUNK_ROWS, stop - start)
            narrow_forward(m, layer.n_out, round_up(layer.n_in, VL) // VL, x + start * ldx, ldx, w,
                           layer.ldw, y + start * ld, ld)
            finish_forward(layer.act, m, 2 * layer.n_panels, b, y + start * ld, ld,
                           z + start * ld if z != NULL else NULL, NULL)
            start += m
        return
    # A block's inputs, a stretch of them at a time, stay in the second-level cache for all panels
    # of an item.
    if n_threads > 1:
        groups = (4 * n_threads + n_blocks - 1) // n_blocks
        if by_panel:
            groups = round_up(groups, n_threads)
        groups = min(groups, layer.n_panels)
    queue = queue_of(tickets, n_blocks * groups, tid, n_threads)
    while True:
        item = next_item(&queue)
        if item >= queue.n_items or stopped(layer.watch):
            return
        block = item % n_blocks if by_panel else item // groups
        group = item // n_blocks if by_panel else item % groups
        start = group * layer.n_panels // groups
        stop = (group + 1) * layer.n_panels // groups
        i0 = block * rows
        m = min(rows, n - i0)
        at = i0 * ld
        if m == 1 and patterns == NULL:
            forward_one(n_idx, idx, x + i0 * ldx, w + start * PANEL, layer.ldw,
                        y + at + start * PANEL, 2 * (stop - start))
        else:
            c = 0
            while True:
                if stopped(layer.watch):
                    return
                if patterns != NULL:
                    # Lists are half as long as their range or shorter.
                    step = 2
                    for t in range(tiles_of(m)):
                        lists[t] = listed(patterns, block * tiles_of(rows) + t, c,
                                          min(c + step, patterns.n_cuts - 1))
                else:
                    step = 1
                    for t in range(tiles_of(m)):
                        lists[t].idx = idx + c * DEPTH
                        lists[t].n = min(DEPTH, n_idx - c * DEPTH)
                if patterns != NULL:
                    want = live_range(idx, n_idx, c * DEPTH, (c + step) * DEPTH, &n_want)
                else:
                    want, n_want = lists[0].idx, lists[0].n
                for p in range(start, stop):
                    forward_panel(m, lists, x + i0 * ldx, ldx, w + p * PANEL, layer.ldw,
                                  y + at + p * PANEL, ld, c > 0, p == start,
                                  n_want if p + 1 < stop else 0, want)
                c += step
                if c * DEPTH >= (layer.n_in if patterns != NULL else n_idx):
                    break
        at += start * PANEL
        if live != NULL and live_tiles:
            for t in range(tiles_of(m)):
                i0 = tile_start(m, t)
                finish_forward(layer.act, tile_start(m, t + 1) - i0, 2 * (stop - start),
                               b + start * PANEL, y + at + i0 * ld, ld,
                               z + at + i0 * ld if z != NULL else NULL,
                               live + (block * tiles_of(rows) + t) * ld + start * PANEL)
        else:
            finish_forward(layer.act, m, 2 * (stop - start), b + start * PANEL, y + at, ld,
                           z + at if z != NULL else NULL,
                           live + block * ld + start * PANEL if live != NULL else NULL)


cdef void softmax_rows(const Layer* layer, int start, int stop, const real* z,
                       real* y) noexcept nogil:
    cdef int i
    for i in range(start, stop):
        if stopped(layer.watch):
            return
        softmax_row(layer.n_out, z + i * layer.ld, y + i * layer.ld)


cdef void backward_data(const Layer* layer, Layer* below, const real* w, const int* kk, int n_k,
                        int k0, int k1, const int* idx, int n_idx, int by_group, int n,
                        const real* mask, int keep_t, fetch_list* later) noexcept nogil:
    """dz of the layer below, for its units [k0, k1), of which kk lists those to compute, from the
    units idx of the layer. With `by_group` each group of rows takes the lists of its own: `below`
    is ReLU, so a unit that is off in a group needs no gradient there."""
    cdef int c = 0, group, nv, n_vec = (n + VL - 1) // VL
    cdef int n_groups = (n + LANE_ROWS - 1) // LANE_ROWS
    # Groups of rows that go through together, and outputs whose dz then stays in the cache.
    cdef int together = 1 if by_group else max(1, DATA_VECTORS // GROUP_VECTORS)
    cdef int width = WIDTH // together
    cdef int end = layer.n_out if by_group else n_idx
    cdef index_list part, units
    if layer.narrow:
        narrow_backward_data(n, layer.n_out, k0 // VL, round_up(k1, VL) // VL, layer.dz, layer.ld,
                             w, layer.ldw, below.dz, below.ld)
    else:
        while True:
            group = 0
            while group < n_groups and not stopped(layer.watch):
                nv = min(together * GROUP_VECTORS, n_vec - group * GROUP_VECTORS)
                if by_group:
                    units = listed(&below.lanes, group, k0 // DEPTH,
                                   min(k1 // DEPTH + 1, below.lanes.n_cuts - 1))
                    kk = live_range(units.idx, units.n, k0, k1, &n_k)
                    part = listed(&layer.lanes, group, c // DEPTH,
                                  min((c + WIDTH) // DEPTH, layer.lanes.n_cuts - 1))
                else:
                    part.idx = idx + c
                    part.n = min(width, n_idx - c)
                if part.n > 0 or c == 0:
                    data_block(nv, n_k, kk, part.n, part.idx, w, layer.ldw,
                               layer.t + group * layer.group, layer.group,
                               below.t + group * below.group, below.group, c > 0, group == 0,
                               later)
                group += together
            c += width
            if c >= end:
                break
    if below.act == ACT_SOFTMAX:
        return  # couples the units of a row: see finish_softmax
    if not layer.narrow:
        # What overflow once made of the padding, no product overwrites.
        for c in range(k1, round_up(k1, VL)):
            for group in range(n_groups):
                memset(below.t + feature_at(below.group, c, group * LANE_ROWS), 0,
                       LANE_ROWS * sizeof(real))
    finish_backward(below.act, k0, round_up(k1, VL), n, not layer.narrow, keep_t, below.t,
                    below.group, below.dz, below.ld, below.y, below.z, mask, below.live_dz)


cdef void form_gradient(int n_k, const int* kk, int n, const real* x, ptrdiff_t ldx, int packed,
                        const real* dz, ptrdiff_t lddz, real* g, ptrdiff_t ldg, int more,
                        fetch_list* later, watch* watched) noexcept nogil:
    """g[0:n_k, 0:PANEL] = (g, if `more`) + the gradient of n_k units' weights to one panel of
    outputs, for n rows: a stretch of rows at a time, whose dz then stays in the first-level cache.
    x is packed by pack_inputs, or else a row-major array whose columns kk are side by side."""
    cdef int i = 0, t, k, kr, rows
    while i < n and not stopped(watched):
        rows = min(WEIGHT_ROWS, n - i)
        for t in range(unit_tiles(n_k)):
            k = unit_start(n_k, t)
            kr = unit_start(n_k, t + 1) - k
            weights_tile_n(kr, rows,
                           x + (t * n + i) * TILE_ROWS if packed else x + i * ldx + kk[k],
                           TILE_ROWS if packed else ldx, dz + i * lddz, lddz, g + k * ldg, ldg,
                           more or i > 0, fetch_next(later))
        i += rows


cdef void update_rows(Layer* layer, const update_rule* rule, real* w, real* m, real* v,
                      const real* x, ptrdiff_t ldx, const real* dz, ptrdiff_t lddz,
                      ptrdiff_t panel, int n, const int* rows, int packed, const int* iota, int k0,
                      int k1, real* scratch, ptrdiff_t ldg) noexcept nogil:
    """Weight gradient and update of rows [k0, k1), at most UNITS, with nothing skipped. Panels of
    dz begin `panel` items apart."""
    cdef update_sums sums[SUBUNITS]
    cdef int k = k0, r, p, n_k, i, m_rows
    cdef fetch_list later
    later.n_rows = 0
    cdef ptrdiff_t at
    cdef real* xp = scratch + SUBUNITS * ldg
    cdef const real* given = x
    # The gradient of some rows waits in the second-level cache until they are complete: weights
    # and moments are then read and written in the order they lie in memory.
    while k < k1:
        n_k = min(SUBUNITS, k1 - k)
        i = 0
        while i < n:
            m_rows = n - i
            if packed:
                m_rows = min(CHUNK_ROWS, m_rows)
                pack_inputs(n_k, iota + k, m_rows, rows + i, x, ldx, xp)
                given = xp
            for p in range(layer.n_panels):
                form_gradient(n_k, iota + k, m_rows, given, ldx, packed, dz + p * panel + i * lddz,
                              lddz, scratch + p * PANEL, ldg, i > 0, &later, layer.watch)
            i += m_rows
        if stopped(layer.watch):
            return
        for r in range(n_k):
            sums_reset(&sums[r])
        at = k * layer.ldw
        update_block(rule, layer.pen, n_k, 2 * layer.n_panels, w + at, scratch, ldg, m + at,
                     v + at, layer.ldw, sums)
        for r in range(n_k):
            layer.penalty[k + r] = sums_penalty(&sums[r], layer.pen)
            if not sums_finite(&sums[r]):
                lower(&layer.finite[layer.slot])
        k += n_k


cdef void update_live_rows(Layer* layer, const update_rule* rule, const Window* window, real* w,
                           real* m, real* v, const real* x, ptrdiff_t ldx, int n, const int* rows,
                           const unsigned char* live_x, const int* idx, int n_idx, int k0, int k1,
                           real* scratch, ptrdiff_t ldg, fetch_list* later) noexcept nogil:
    """The same, computing only the products of live inputs and live outputs; what is left out
    has a gradient of exactly zero and is updated by the same code, at the window's end if may be.
    """
    cdef int kk[UNITS]
    cdef update_sums sums
    cdef int k, p, t, i = 0, m_rows, n_k = 0, done = 0
    cdef int wait = layer.may_wait and window.slot + 1 < window.size
    cdef const unsigned char* live = layer.live_dz if n_idx < layer.n_out else NULL
    cdef real* g = scratch
    cdef real* compact = g + ldg
    cdef real* xp = compact + UNITS * ldg
    cdef ptrdiff_t at
    for k in range(k0, k1):
        if live_x[k]:
            kk[n_k] = k
            n_k += 1
    sums_reset(&sums)
    while n_k and i < n:
        m_rows = min(CHUNK_ROWS, n - i)
        pack_inputs(n_k, kk, m_rows, rows + i, x, ldx, xp)
        for p in range((n_idx + PANEL - 1) // PANEL):
            at = (<ptrdiff_t>p * n + i) * PANEL
            form_gradient(n_k, kk, m_rows, xp, 0, True, layer.dzp + at, PANEL, compact + p * PANEL,
                          ldg, i > 0, later, layer.watch)
        i += m_rows
    if stopped(layer.watch):
        return
    for k in range(k0, k1):
        at = k * layer.ldw
        if done < n_k and kk[done] == k:
            if done + 1 < n_k:
                t = (kk[done + 1] - k) * <int>layer.ldw
                fetch_start(w + at + t, FETCH)
                fetch_start(m + at + t, FETCH)
                fetch_start(v + at + t, FETCH)
            spread_row(2 * layer.n_panels, live, n_idx, compact + done * ldg, g)
            done += 1
            sums_restart(&sums)
            update_span(rule, layer.pen, 2 * layer.n_panels, w + at, g, m + at, v + at, &sums)
            layer.penalty[k] = sums_penalty(&sums, layer.pen)
        elif wait:
            layer.waits[k] += 1
        elif layer.may_wait:
            layer.waits[k] += 1
            fetch_start(w + at + layer.ldw, FETCH)
            fetch_start(m + at + layer.ldw, FETCH)
            fetch_start(v + at + layer.ldw, FETCH)
            take_late_steps(layer, window, window.slot + 1, w, m, v, k)
        else:
            sums_restart(&sums)
            update_span(rule, layer.pen, 2 * layer.n_panels, w + at, window.zeros, m + at, v + at,
                        &sums)
            layer.penalty[k] = sums_penalty(&sums, layer.pen)
    if not sums_finite(&sums):
        lower(&layer.finite[layer.slot])


cdef void take_late_steps(Layer* layer, const Window* window, int stop, real* w, real* m, real* v,
                          int k) noexcept nogil:
    """Update row k for the steps it waits for, the last of which is the one before `stop`."""
    cdef update_sums sums
    cdef int slot
    cdef ptrdiff_t at = k * layer.ldw
    for slot in range(stop - layer.waits[k], stop):
        sums_reset(&sums)
        update_span(&window.rules[slot], layer.pen, 2 * layer.n_panels, w + at, window.zeros,
                    m + at, v + at, &sums)
        layer.penalties[slot * layer.n_kept + k] = sums_penalty(&sums, layer.pen)
        if not sums_finite(&sums):
            lower(&layer.finite[slot])
    layer.waits[k] = 0


cdef void update_narrow(Layer* layer, const update_rule* rule, real* w, real* m, real* v,
                        const real* x, ptrdiff_t ldx, int n, const int* rows, int k0, int k1,
                        real* scratch) noexcept nogil:
    """Weight gradient and update of a narrow layer for inputs [k0, k1)."""
    cdef update_sums sums
    cdef int k = k0, j, nv, e
    cdef ptrdiff_t at
    while k < k1 and not stopped(layer.watch):
        nv = (min(NARROW_COLUMNS, round_up(k1 - k, VL))) // VL
        sums_reset(&sums)
        for j in range(layer.n_out):
            narrow_weights(nv, n, rows, x + k, ldx, layer.dz + j, layer.ld, scratch)
            for e in range(layer.n_in - k, nv * VL):
                scratch[e] = 0  # padding: an idle unit's output need not be zero there
            at = j * layer.ldw + k
            update_span(rule, layer.pen, nv, w + at, scratch, m + at, v + at, &sums)
        layer.penalty[k // NARROW_COLUMNS] = sums_penalty(&sums, layer.pen)
        if not sums_finite(&sums):
            lower(&layer.finite[layer.slot])
        k += NARROW_COLUMNS


cdef void update_biases(Layer* layer, const update_rule* rule, real* b, real* m, real* v, int n,
                        const int* rows, const real* ones, real* scratch) noexcept nogil:
    """Bias gradient (dz summed over the batch in ascending order) and update."""
    cdef update_sums sums
    cdef int p
    sums_reset(&sums)
    for p in range(layer.n_panels):
        weights_row(n, rows, ones, 0, layer.dz + p * PANEL, layer.ld, scratch)
        update_span(rule, layer.pen_b, 2, b + p * PANEL, scratch, m + p * PANEL, v + p * PANEL,
                    &sums)
    layer.penalty_b[layer.slot] = sums_penalty(&sums, layer.pen_b)
    if not sums_finite(&sums):
        lower(&layer.finite[layer.slot])


cdef int list_live(unsigned char* live, int n_blocks, int ld, int n,
                   int* idx) noexcept nogil:
    """Fill idx with the units live in any row block, ascending, and note them in the first
    block; idx is padded for the prefetch beyond its end."""
    cdef int j, count
    join_flags(live, ld, n, 0, n_blocks, live)
    memset(live + n, 0, ld - n)
    count = list_flags(live, n, 0, idx)
    for j in range(FORWARD_AHEAD):
        idx[count + j] = idx[count - 1] if count else 0
    return count


cdef void list_groups(const Patterns* p, const unsigned char* live, ptrdiff_t ld, int n_units,
                      int first, int last, int group) noexcept nogil:
    """Fill one group's list with the units live in any of the rows of flags [first, last)."""
    cdef int j, c, m, count = 0
    cdef unsigned char joined[DEPTH]
    cdef int* idx = p.idx + group * p.ld
    cdef int* cut = p.cut + group * p.n_cuts
    for c in range(p.n_cuts - 1):
        cut[c] = count
        m = min(DEPTH, n_units - c * DEPTH)
        join_flags(live + c * DEPTH, ld, m, first, last, joined)
        count += list_flags(joined, m, c * DEPTH, idx + count)
    cut[p.n_cuts - 1] = count
    for j in range(FORWARD_AHEAD):
        idx[count + j] = idx[count - 1] if count else 0


cdef void list_patterns(Layer* layer, int n, int tid, int n_threads) noexcept nogil:
    """The live units of every tile of rows and of every group of lanes, from the tiles' flags."""
    cdef int n_blocks = (n + ROW_BLOCK - 1) // ROW_BLOCK
    cdef int rows = (n + n_blocks - 1) // n_blocks
    cdef int row, n_groups = (n + LANE_ROWS - 1) // LANE_ROWS
    cdef int n_tiles = tile_of_row(n, rows, n - 1) + 1
    cdef int t = tid, group = n_groups - 1 - tid
    while t < n_tiles:
        list_groups(&layer.tiles, layer.live_y, layer.ld, layer.n_out, t, t + 1, t)
        t += n_threads
    while group >= 0:
        row = group * LANE_ROWS
        list_groups(&layer.lanes, layer.live_y, layer.ld, layer.n_out, tile_of_row(n, rows, row),
                    tile_of_row(n, rows, min(row + LANE_ROWS, n) - 1) + 1, group)
        group -= n_threads


cdef int tile_of_row(int n, int rows, int row) noexcept nogil:
    """The tile that holds a row, where blocks of `rows` rows are cut into tiles."""
    cdef int block = row // rows, t = 0
    cdef int m = min(rows, n - block * rows)
    while tile_start(m, t + 1) <= row - block * rows:
        t += 1
    return block * tiles_of(rows) + t
