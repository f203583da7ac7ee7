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
        if s.shuffle:
            bisect_rows(s.x, s.n_inputs, s.order + first, s.keys, n)
        else:
            bisect_rows(s.x + first * s.n_inputs, s.n_inputs, NULL, s.keys, n)
    for i in range(n):
        s.place[<int>s.keys[i]] = i


cdef inline long long listed_row(const int64_t* rows, int i) noexcept nogil:
    return rows[i] if rows != NULL else i


cdef void bisect_rows(const real* x, int n_inputs, const int64_t* rows, unsigned long long* keys,
                      int n) noexcept nogil:
    """Order n rows of x by halving them along their widest input, recursively. The low halves of
    keys count rows of x, or in `rows`, which lists them, if it is not NULL."""
    cdef int i, k, best = 0
    cdef real low, high, value, width, widest = -1
    cdef float rounded
    cdef unsigned int bits
    if n <= ROW_TILE:
        return
    for k in range(n_inputs):
        low = high = x[listed_row(rows, <int>keys[0]) * n_inputs + k]
        for i in range(1, n):
            value = x[listed_row(rows, <int>keys[i]) * n_inputs + k]
            low = min(low, value)
            high = max(high, value)
        width = high - low
        if width > widest:
            widest = width
            best = k
    for i in range(n):
        k = <int>keys[i]
        rounded = <float>x[listed_row(rows, k) * n_inputs + best]
        memcpy(&bits, &rounded, sizeof(bits))
        # A float's bits as an integer that sorts like the float.
        bits = ~bits if bits >> 31 else bits | (<unsigned int>1 << 31)
        keys[i] = (<unsigned long long>bits << 32) | <unsigned int>k
    if n_inputs == 1:
        qsort(keys, n, sizeof(keys[0]), compare_keys)
    else:
        # Half of the tiles each.
        k = min(n - 1, (n + ROW_TILE - 1) // ROW_TILE // 2 * ROW_TILE)
        part_keys(keys, n, k)
        bisect_rows(x, n_inputs, rows, keys, k)
        bisect_rows(x, n_inputs, rows, keys + k, n - k)


cdef void part_keys(unsigned long long* keys, int n, int k) noexcept nogil:
    """Bring the k smallest of n different keys to the front."""
    cdef int low = 0, high = n - 1, i, j
    cdef unsigned long long pivot, swapped
    while low < high:
        pivot = keys[low + (high - low) // 2]
        i, j = low, high
        while i <= j:
            while keys[i] < pivot:
                i += 1
            while keys[j] > pivot:
                j -= 1
            if i <= j:
                swapped = keys[i]
                keys[i] = keys[j]
                keys[j] = swapped
                i += 1
                j -= 1
        if k <= j:
            high = j
        elif k >= i:
            low = i
        else:
            return


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
