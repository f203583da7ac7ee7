# Memory shared by the kernels and NumPy.

cdef size_t ZEROED_AT_ONCE = 1 << 28  # bytes; a tenth of a second


class _Abandoned(Exception):
    """A signal ends the work while memory is allocated."""


cdef class _Block:
    """Memory, all zero, that NumPy arrays may view; freed with the last of them.

    With `signals`, their handlers are put off, and `_Abandoned` is raised if one ends the work.
    """
    cdef void* base
    cdef real* data
    cdef readonly Py_ssize_t n_bytes

    def __cinit__(self, Py_ssize_t n_items, Py_ssize_t skew=0, signals=None):
        cdef size_t total = 0, done = 0, n
        self.n_bytes = max(n_items, 1) * <Py_ssize_t>sizeof(real)
        self.data = <real*>block_alloc(self.n_bytes, skew, &self.base, &total)
        if self.base == NULL:
            raise MemoryError(f"Cannot allocate {self.n_bytes} bytes for a network.")
        while done < total:  # in pieces, between which signals are seen
            n = min(total - done, ZEROED_AT_ONCE)
            memset(<char*>self.base + done, 0, n)
            done += n
            if signals is not None:
                PyErr_CheckSignals()
                if signals.asked():
                    raise _Abandoned

    def __dealloc__(self):
        block_free(self.base)

    def __getbuffer__(self, Py_buffer* view, int flags):
        view.buf = self.data
        view.obj = self
        view.len = self.n_bytes
        view.itemsize = 1
        view.readonly = 0
        view.ndim = 1
        view.format = NULL
        view.shape = &self.n_bytes
        view.strides = NULL
        view.suboffsets = NULL
        view.internal = NULL


cdef class _Input:
    """A read-only or writable view of a C-contiguous array of the network's type."""
    cdef Py_buffer view
    cdef bint held

    def __cinit__(self, array, shape, what, bint writable=False, dtype=DTYPE):
        if array.dtype != dtype or tuple(array.shape) != tuple(shape):
            raise ValueError(f"{what} must have shape {tuple(shape)} and dtype {dtype}. "
                             f"Received: shape {tuple(array.shape)}, dtype {array.dtype}.")
        PyObject_GetBuffer(array, &self.view,
                           PyBUF_C_CONTIGUOUS | (PyBUF_WRITABLE if writable else 0))
        self.held = True

    def __dealloc__(self):
        if self.held:
            PyBuffer_Release(&self.view)

    cdef real* data(self) noexcept:
        return <real*>self.view.buf


cdef class _Rows:
    """The rows of x: an array, or compressed sparse rows with `data`, `indices` (int32, ascending
    in each row, below the number of columns) and `indptr` (int64), as SciPy has them."""
    cdef _Input table       # or the values of the nonzeros
    cdef _Input at, columns
    cdef Csr csr
    cdef Py_ssize_t n
    cdef object counts      # the nonzeros of each row

    def __cinit__(self, x, int n_inputs):
        self.csr.at = NULL
        self.n = len(x)
        if isinstance(x, np.ndarray):
            self.table = _Input(x, (self.n, n_inputs), "x")
            return
        if tuple(x.shape) != (self.n, n_inputs) or n_inputs <= ORDERED_INPUTS:
            raise ValueError(f"Sparse rows must have {n_inputs} columns, more than "
                             f"{ORDERED_INPUTS}. Received: shape {tuple(x.shape)}.")
        n_kept = (len(x.data),)
        self.table = _Input(x.data, n_kept, "x.data")
        self.columns = _Input(x.indices, n_kept, "x.indices", False, np.dtype(np.int32))
        self.at = _Input(x.indptr, (self.n + 1,), "x.indptr", False, np.dtype(np.int64))
        self.counts = np.diff(x.indptr)
        self.csr.at = <const int64_t*>self.at.view.buf
        self.csr.columns = <const int*>self.columns.view.buf
        self.csr.values = self.table.data()

    cdef long long none(self) noexcept:
        """0 if the rows are sparse, else -1: what `_reserve` takes for a forward pass."""
        return -1 if self.csr.at == NULL else 0

    cdef long long most(self, Py_ssize_t n_rows) except? -1:
        """The nonzeros that n_rows of the rows have at most, or -1 if they are not sparse."""
        if self.csr.at == NULL:
            return -1
        if n_rows < 1:
            return 0
        if n_rows >= self.n:
            return self.csr.at[self.n] - self.csr.at[0]
        return int(np.partition(self.counts, self.n - n_rows)[self.n - n_rows:].sum())


cdef bint _is_forked = False    # whether this is a child of the process that loaded it


cdef bint block_finite(const real* data, Py_ssize_t n, int n_threads) noexcept:
    """Return whether n numbers are finite; threads share them in whole vectors."""
    cdef Py_ssize_t piece = ENOUGH_TO_SHARE, k, n_pieces = (n + piece - 1) // piece
    cdef int bad = 0
    if n_pieces < 2 or n_threads < 2 or _is_forked:
        return span_finite(data, n)
    for k in prange(n_pieces, nogil=True, num_threads=n_threads, schedule="static"):
        bad |= not span_finite(data + k * piece, min(piece, n - k * piece))
    return not bad


cdef void block_copy(real* to, const real* data, Py_ssize_t n, int n_threads) noexcept:
    cdef Py_ssize_t piece = ENOUGH_TO_SHARE, k, n_pieces = (n + piece - 1) // piece
    if n_pieces < 2 or n_threads < 2 or _is_forked:
        memcpy(to, data, n * sizeof(real))
        return
    for k in prange(n_pieces, nogil=True, num_threads=n_threads, schedule="static"):
        memcpy(to + k * piece, data + k * piece, min(piece, n - k * piece) * sizeof(real))
