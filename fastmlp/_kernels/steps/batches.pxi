# Which rows are in a batch, where in the work space they go, and their copies there.

cdef inline long long batch_row(const State* s, long long i) noexcept nogil:
    return s.order[i] if s.shuffle else i


cdef void order_batch(State* s, int n) noexcept nogil:
    """Decide where in xb each row of the batch goes: like beside like, so that units which are
    inactive for a whole group of rows are many. Sums over rows keep the batch's own order."""
    cdef int i
    cdef long long first = s.batch * s.batch_size
    s.ordered = s.may_order and n > ROW_TILE
    for i in range(n):
        s.keys[i] = i
    if s.ordered:
        bisect_rows(s, s.keys, n, first)
    for i in range(n):
        s.place[<int>s.keys[i]] = i


cdef void bisect_rows(const State* s, unsigned long long* keys, int n,
                      long long first) noexcept nogil:
    """Order rows (low halves of keys) by halving them along their widest input, recursively."""
    cdef int i, k, best = 0
    cdef real low, high, value, width, widest = -1
    cdef float rounded
    cdef unsigned int bits
    if n <= ROW_TILE:
        return
    for k in range(s.n_inputs):
        low = high = s.x[batch_row(s, first + <int>keys[0]) * s.n_inputs + k]
        for i in range(1, n):
            value = s.x[batch_row(s, first + <int>keys[i]) * s.n_inputs + k]
            low = min(low, value)
            high = max(high, value)
        width = high - low
        if width > widest:
            widest = width
            best = k
    for i in range(n):
        k = <int>keys[i]
        rounded = <float>s.x[batch_row(s, first + k) * s.n_inputs + best]
        memcpy(&bits, &rounded, sizeof(bits))
        # A float's bits as an integer that sorts like the float.
        bits = ~bits if bits >> 31 else bits | (<unsigned int>1 << 31)
        keys[i] = (<unsigned long long>bits << 32) | <unsigned int>k
    qsort(keys, n, sizeof(keys[0]), compare_keys)
    if s.n_inputs > 1:
        # Half of the tiles each.
        k = min(n - 1, (n + ROW_TILE - 1) // ROW_TILE // 2 * ROW_TILE)
        bisect_rows(s, keys, k, first)
        bisect_rows(s, keys + k, n - k, first)


cdef int compare_keys(const void* a, const void* b) noexcept nogil:
    cdef unsigned long long x = (<const unsigned long long*>a)[0]
    cdef unsigned long long y = (<const unsigned long long*>b)[0]
    return (x > y) - (x < y)


cdef inline void point_at_row(Nonzeros* batch, int i, const Csr* csr, long long row) noexcept nogil:
    """Make a row of the data the batch's row i."""
    batch.n[i] = csr.at[row + 1] - csr.at[row]
    batch.columns[i] = csr.columns + csr.at[row]
    batch.values[i] = csr.values + csr.at[row]


cdef void load_rows(State* s, long long first, int start, int stop) noexcept nogil:
    """Copy rows [start, stop) of the batch that begins with row `first`, in this epoch's order."""
    cdef int i, place
    cdef long long row
    for i in range(start, stop):
        if stopped(s.watch):
            return
        row = batch_row(s, first + i)
        place = s.place[i]
        if s.csr.at != NULL:
            point_at_row(&s.sparse, place, &s.csr, row)
        else:
            memcpy(s.xb + place * s.ldx, s.x + row * s.n_inputs, s.n_inputs * sizeof(real))
        memcpy(s.yb + place * s.n_targets, s.y + row * s.n_targets, s.n_targets * sizeof(real))
        s.wb[place] = s.sample_weight[row] if s.sample_weight != NULL else 1
