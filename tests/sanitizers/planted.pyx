# cython: language_level=3, cdivision=True, boundscheck=False, wraparound=False
# cython: initializedcheck=False
"""Mistakes for the sanitizers to find, and what looks like one to them and is none.

Compiled as the kernels are, with what they allocate memory and wait for one another by.
"""

from cython.parallel cimport parallel
from libc.string cimport memset

cdef extern from "simd.h" nogil:
    ctypedef float real
    ctypedef real vreal
    int VL
    vreal vload(const real* p)
    void vstore(real* p, vreal v)
    void vstoreu(real* p, vreal v)

cdef extern from "memory.h" nogil:
    void* block_alloc(size_t n_bytes, size_t skew, void** base, size_t* total)
    void block_free(void* base)
    ctypedef struct barrier:
        pass
    void team_barrier(barrier* b, int n_threads)
    int take_ticket(int* counter)
    int omp_get_num_threads()
    int omp_get_thread_num()

cdef extern from *:
    """
    /* Beside a parallel region Cython keeps variables of its own: these are the test's. */
    static int shared_number, tickets, taken[64];
    static const real a_vector[64] __attribute__((aligned(64)));
    static barrier gate;
    """
    int shared_number, tickets
    int taken[64]
    barrier gate
    const real* a_vector


cdef void* block(size_t n_bytes, size_t skew, void** base) noexcept nogil:
    """Return a block of zeros."""
    cdef size_t total
    return memset(block_alloc(n_bytes, skew, base, &total), 0, n_bytes)


# ---- addresses and undefined operations ----------------------------------------------------------


cdef double block_read(Py_ssize_t skew, Py_ssize_t at, bint freed=False, Py_ssize_t n=32) noexcept:
    cdef void* base
    cdef real* data = <real*>block(n * sizeof(real), skew, &base)
    if freed:
        block_free(base)
    cdef double value = data[at]
    if not freed:
        block_free(base)
    return value


def reads_a_block():
    return block_read(0, 31) + block_read(1088, 31) + block_read(0, 700_000, False, 700_001)


def reads_past_a_block():
    return block_read(0, 32)


def reads_past_a_large_block():
    return block_read(0, 700_001, False, 700_001)


def reads_before_a_block_that_is_skewed():
    return block_read(1088, -1)


def reads_a_freed_block():
    return block_read(0, 0, True)


def loses_a_block():
    cdef void* base
    block(64, 0, &base)
    base = NULL


def writes_a_vector_past_a_block():
    cdef void* base
    cdef real* data = <real*>block((4 * VL - 1) * sizeof(real), 0, &base)
    vstore(data + 3 * VL, vload(data))
    block_free(base)


def loads_a_vector_off_its_boundary():
    cdef void* base
    cdef real* data = <real*>block(4 * VL * sizeof(real), 0, &base)
    vstore(data, vload(data + 1))
    block_free(base)


def adds_beyond_an_int(int a):
    cdef int sum
    with nogil:
        sum = a + 2147483647
    return sum


# ---- races ---------------------------------------------------------------------------------------


def threads_write_one_vector():
    cdef void* base
    cdef real* data = <real*>block(2 * VL * sizeof(real), 0, &base)
    with nogil, parallel(num_threads=2):
        store_at(data)
    block_free(base)


def threads_write_vectors_that_overlap():
    """By one number, in the last lane."""
    cdef void* base
    cdef real* data = <real*>block(3 * VL * sizeof(real), 0, &base)
    with nogil, parallel(num_threads=2):
        store_at(data + (VL - 1) * omp_get_thread_num())
    block_free(base)


def threads_write_neighbours():
    cdef void* base
    cdef real* data = <real*>block(2 * VL * sizeof(real), 0, &base)
    cdef int _i
    for _i in range(20):
        with nogil, parallel(num_threads=2):
            store_at(data + VL * omp_get_thread_num())
        block_free(base)
        data = <real*>block(2 * VL * sizeof(real), 0, &base)
    block_free(base)


cdef void store_at(real* data) noexcept nogil:
    vstoreu(data, vload(a_vector))


def a_thread_reads_without_waiting():
    cdef int got[2]
    memset(&gate, 0, sizeof(gate))
    with nogil, parallel(num_threads=2):
        pass_on(got, False)
    return got[0] + got[1]


def a_thread_reads_after_the_barrier():
    cdef int _i
    cdef int got[2]
    memset(&gate, 0, sizeof(gate))
    for _i in range(20):
        with nogil, parallel(num_threads=2):
            pass_on(got, True)
    return got[0] + got[1]


cdef void pass_on(int* got, bint wait) noexcept nogil:
    """Thread 0 writes a number that both read."""
    global shared_number
    cdef int tid = omp_get_thread_num()
    if tid == 0:
        shared_number = 7
    if wait:
        team_barrier(&gate, omp_get_num_threads())
    got[tid] = shared_number
    if wait:
        team_barrier(&gate, omp_get_num_threads())


def threads_take_tickets_and_a_team_follows_another():
    cdef int _i, total = 0
    global tickets
    for _i in range(20):
        tickets = 0
        memset(taken, 0, sizeof(taken))
        with nogil, parallel(num_threads=3):
            take_all()
        total += sum(taken[k] for k in range(64))
    return total


cdef void take_all() noexcept nogil:
    cdef int mine = take_ticket(&tickets)
    while mine < 64:
        taken[mine] += 1
        mine = take_ticket(&tickets)


# ---- Cython's own checks -------------------------------------------------------------------------


def reads_past_a_view(const double[::1] view):
    return view[view.shape[0]]


def reads_before_a_view(const double[::1] view, Py_ssize_t at=-1):
    return view[at]
