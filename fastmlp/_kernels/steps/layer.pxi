# Declarations of the C kernels, and the struct that says where a layer's arrays are.

cdef extern from "simd.h" nogil:
    ctypedef float real
    int VL
    int PANEL, LANE_ROWS
    int REAL_IS_DOUBLE
    unsigned long long denormals_off()
    void denormals_restore(unsigned long long state)
    void fetch_start(const real* p, int n_lines)
    int FETCH, FETCH_LINES
    ctypedef struct fetch_list:
        const int* rows
        int n_rows, n_chunks, array, chunk
        const real* arrays[2]
        ptrdiff_t ld
    const char* fetch_next(fetch_list* f)
    int span_finite(const real* p, ptrdiff_t n)
    void add_spans(int n_vec, int n_spans, const real* p, ptrdiff_t apart, real* out)

cdef extern from "memory.h" nogil:
    void* block_alloc(size_t n_bytes, size_t skew, void** base, size_t* total)
    void block_free(void* base)
    ctypedef struct barrier:
        pass
    void team_barrier(barrier* b, int n_threads)
    int barrier_arrive(barrier* b, int n_threads)
    void barrier_wait(barrier* b, int phase)
    int barrier_last(barrier* b, int n_threads)
    void barrier_open(barrier* b)
    void lower(int* flag)
    int take_ticket(int* counter)
    double LOOK_SECONDS
    ctypedef struct watch:
        int on, cancelled
        double next
        int (*look)(void* signals) noexcept nogil
        void* signals
    int stopped(watch* w)
    double seconds_now()
    int PHASE_OTHER, PHASE_LOAD, PHASE_FORWARD, PHASE_LISTS, PHASE_LATE, PHASE_SCORE, PHASE_PACK
    int PHASE_DATA, PHASE_UPDATE, PHASE_SUM, N_PHASES, PHASE_THREADS
    void phase(int next)
    double phase_seconds(int thread, int which, int waited)
    void phases_reset()
    int omp_get_num_threads()
    int omp_get_thread_num()

cdef extern from "tiles.h" nogil:
    int FORWARD_AHEAD, ROW_TILE, TILE_ROWS, DATA_VECTORS, GROUP_VECTORS
    double GROUP_COST
    ctypedef struct index_list:
        const int* idx
        int n
    int tiles_of(int n)
    int tile_start(int n, int t)
    void forward_panel(int n, const index_list* lists, const real* x, ptrdiff_t ldx,
                       const real* w, ptrdiff_t ldw, real* y, ptrdiff_t ldy, int more, int ahead,
                       int n_want, const int* want)
    void forward_one(int n_idx, const int* idx, const real* x, const real* w, ptrdiff_t ldw,
                     real* y, int n_vec)
    void data_block(int nv, int n_k, const int* kk, int n_idx, const int* idx, const real* w,
                    ptrdiff_t ldw, const real* dzt, ptrdiff_t z_group, real* dxt, ptrdiff_t x_group,
                    int more, int fetch, fetch_list* later)
    void weights_tile_n(int kr, int n, const real* x, ptrdiff_t ldx, const real* dz,
                        ptrdiff_t lddz, real* g, ptrdiff_t ldg, int more, const char* fetch)
    void weights_row(int n, const int* rows, const real* x, ptrdiff_t ldx, const real* dz,
                     ptrdiff_t lddz, real* g)
    int unit_tiles(int n_k)
    int unit_start(int n_k, int t)
    void pack_inputs(int n_k, const int* kk, int n, const int* rows, const real* x,
                     ptrdiff_t ldx, real* xp)
    void pack_panels(int n_idx, const int* idx, int n, const int* rows, const real* dz,
                     ptrdiff_t lddz, int first, int last, real* out)
    void narrow_forward(int n, int J, int n_vec, const real* x, ptrdiff_t ldx, const real* wt,
                        ptrdiff_t ldw, real* y, ptrdiff_t ldy)
    void narrow_backward_data(int n, int J, int q0, int q1, const real* dz, ptrdiff_t lddz,
                              const real* wt, ptrdiff_t ldw, real* dx, ptrdiff_t lddx)
    void narrow_weights(int nv, int n, const int* rows, const real* x, ptrdiff_t ldx,
                        const real* dz, ptrdiff_t lddz, real* g)

cdef extern from "lists.h" nogil:
    void lists_begin()
    int list_flags(const unsigned char* flags, int n, int first, int* idx)
    void join_flags(const unsigned char* flags, ptrdiff_t ld, int n, int first, int last,
                    unsigned char* out)
    void spread_row(int n_vec, const unsigned char* live, int n_idx, const real* compact, real* g)

cdef extern from "sparse.h" nogil:
    void sparse_row(int64_t n, const int* index, const real* values, const real* table,
                    ptrdiff_t ld, real* sums, int n_vec)
    void sparse_narrow_forward(int64_t n, const int* columns, const real* values, int J,
                               const real* wt, ptrdiff_t ldw, real* y)
    real sparse_narrow_weight(int64_t n, const int* rows, const real* values, const real* dz,
                              ptrdiff_t lddz)
    void sparse_dropout(unsigned long long seed, unsigned long long step, unsigned int layer,
                        unsigned int row, double rate, int64_t n, const int* columns,
                        const real* values, real* kept)
    int64_t encode_row(int n_inputs, const int* first, const real* lower, const real* inverse,
                       const real* x, int* columns, real* values)
    void sum_rows(int n_inputs, const int* first, ptrdiff_t ldw, const real* w, real* sums,
                  int n_vec)
    void add_row(int n_vec, const real* row, real* total)

cdef extern from "activations.h" nogil:
    int ACT_LINEAR, ACT_RELU, ACT_SOFTMAX
    int activation_needs_z(int act)
    void finish_forward(int act, int n, int nv, const real* b, real* y, ptrdiff_t ldy, real* z,
                        unsigned char* live)
    void finish_backward(int act, int c0, int c1, int n, int from_t, int keep_t, real* t,
                         ptrdiff_t group, real* dz, ptrdiff_t ld, const real* y, const real* z,
                         const real* mask, unsigned char* live)
    void to_feature_major(int c0, int c1, int n, const real* dz, ptrdiff_t ld, real* t,
                          ptrdiff_t group)
    ptrdiff_t feature_at(ptrdiff_t group, int unit, int i)
    void softmax_row(int J, const real* z, real* y)
    void softmax_backward_row(int J, const real* y, real* d)

cdef extern from "optimizers.h" nogil:
    int OPT_STORE, OPT_SGD, OPT_MOMENTUM, OPT_NESTEROV, OPT_RMSPROP, OPT_ADAGRAD, OPT_ADAM
    ctypedef struct update_rule:
        int kind
        real rate, decay, momentum, eps, rho, rest_rho, beta_1, rest_1, beta_2, rest_2
        real scale, limit, prox_rate, prox_limit
    ctypedef struct penalty_rule:
        real l1, l2, prox
    ctypedef struct update_sums:
        pass
    void update_span(const update_rule* rule, penalty_rule pen, int n_vec, real* w,
                     const real* g, real* m, real* v, update_sums* sums)
    void update_block(const update_rule* rule, penalty_rule pen, int rows, int n_vec, real* w,
                      const real* g, ptrdiff_t ldg, real* m, real* v, ptrdiff_t ld,
                      update_sums* sums)
    void clip_span(const update_rule* rule, int n_vec, real* g)
    void sums_reset(update_sums* s)
    void sums_restart(update_sums* s)
    double sums_penalty(const update_sums* s, penalty_rule pen)
    int sums_finite(const update_sums* s)

cdef extern from "groups.h" nogil:
    void group_norm(int rows, int n, ptrdiff_t step, const real* w, double* norm)
    void group_shrink(const update_rule* rule, double group, int size, int rows, int n,
                      ptrdiff_t step, real* w, const real* m, const real* v,
                      const double* before)

cdef extern from "peak.h" nogil:
    double PEAK_FLOPS
    double peak_rounds(long long rounds)

cdef extern from "shallow.h" nogil:
    int SHALLOW_INPUTS, SHALLOW_OUTPUTS, SHALLOW_ROWS
    ctypedef struct shallow_net:
        int n_in, n_hidden, n_out, act
        ptrdiff_t ldw, ldt, ldx, lddz
        size_t w_at, b_at, wt_at
        penalty_rule pen, pen_b, pen_t, pen_b2
    void shallow_forward(const shallow_net* net, const real* params, int start, int stop,
                         const real* x, real* y, ptrdiff_t ldy)
    void shallow_backward(const shallow_net* net, int q, int n, const real* x, const real* dz,
                          const update_rule* rule, real* params, real* m, real* v,
                          update_sums* sums)

cdef extern from "tiny.h" nogil:
    int TINY_UNITS, TINY_INPUTS
    ctypedef struct tiny_batch:
        int n_vec
        ptrdiff_t ld
        const real* x
        const real* y
        const real* weight
        const real* slope
        real* out
    double tiny_step(const shallow_net* net, size_t b2_at, int use_b2, const tiny_batch* batch,
                     const update_rule* rule, real* params, real* m, real* v, update_sums* sums)

cdef extern from "losses.h" nogil:
    int LOSS_MSE, LOSS_SCCE
    double loss_row(int kind, int act, int J, double delta, const real* p, const real* z,
                    const real* t, int smooth, double* grad, int* from_logits)

cdef extern from "philox.h" nogil:
    void philox_shuffle(unsigned long long seed, unsigned long long epoch, int64_t n,
                        int64_t* order)
    void dropout_row(unsigned long long seed, unsigned long long step, unsigned int layer,
                     unsigned int row, double rate, int width, real* mask)


cdef enum:
    NARROW = 4      # with this many outputs or fewer a layer's weights are kept transposed
    ROW_BLOCK = 96  # rows of a batch that go through one product together
    ROW_TILES = 16  # tiles of a row block
    DEPTH = 256     # inputs of a forward panel that stay in the first-level cache
    WIDTH = 512     # outputs of a backward block that stay in the first-level cache
    UNITS = 64      # inputs of a layer that one task takes backward: a multiple of PANEL
    SUBUNITS = 32   # of which so many are updated together
    UNIT_TILES = 11  # tiles of so many inputs
    WEIGHT_ROWS = 256  # rows of a batch whose dz stays in the first-level cache
    CHUNK_ROWS = 4096  # rows whose packed inputs a thread holds at a time: whole WEIGHT_ROWS
    PACKED_ROWS = 64   # with more rows inputs are packed for the weights' gradient
    NARROW_COLUMNS = 64  # inputs of a narrow layer whose gradients are formed together
    ORDERED_ROWS = 1024  # rows of the largest batch that is put in order
    QUEUES = 8      # ranges of items that threads start from
    APART = 16      # numbers that keep two of their counters in different cache lines
    WINDOW = 8      # steps after which updates that nobody needs earlier are made together
    CORRECTIONS = 64   # steps whose corrections of Adam's rate are worked out together
    SCORED_ROWS = 4  # that a thread takes through a narrow last layer and the loss together
    LISTED_WEIGHTS = 1_000_000  # with more, tiles of rows in any order have lists of live units
    ENOUGH_TO_SHARE = 1 << 15  # numbers of a block that a thread copies or looks through
    ORDERED_AT_ONCE = 1 << 14  # rows that a prediction puts in order together
    ORDERED_INPUTS = 4   # and its inputs: with more, neighbours hardly share inactive units
    SPARSE_ROWS = 16     # rows that one task takes through a first layer of sparse inputs


# How a batch goes forward.
cdef enum:
    FORWARD_ALL = 0         # every product is computed
    FORWARD_LIVE = 1        # inactive units are left out: all weights are finite
    FORWARD_TRAIN = 2       # the same, if s.skip, with dropout


# The live units of groups of rows, ascending, each list with the places where it passes the
# multiples of DEPTH: cut[c] is the first entry not below c * DEPTH.
cdef struct Patterns:
    int* idx                # [groups, ld]
    int* cut                # [groups, n_cuts]
    ptrdiff_t ld
    int n_cuts


# One dense layer. Arrays of a batch are sample-major, [rows, ld], except t, which is
# feature-major: see feature_at. w is [n_in, ldw], or [n_out, ldw] when narrow.
cdef struct Layer:
    int n_in, n_out, act, narrow, use_bias
    int n_rows              # rows of w as it is kept
    int n_penalty           # entries of penalty in use
    int penalised           # whether any lambda of the layer but the groups' is other than zero
    int may_skip            # whether leaving out dead units may pay
    int n_panels            # panels of columns of the layer's outputs
    ptrdiff_t ldw, ld       # distance between rows of w and of the outputs
    size_t w_at, b_at       # where weights and biases begin in the parameter block
    penalty_rule pen, pen_b
    double dropout          # rate applied to the layer's input
    int frozen              # whether steps leave weights and biases as they are
    real* y                 # outputs
    real* z                 # before the activation, where the derivative needs them
    real* x                 # the layer's input after dropout
    real* mask              # what dropout multiplied it with
    real* dz                # gradient of the loss by z
    real* dzp               # dz in panels, without its dead columns, in the batch's own order
    real* t                 # dz, feature-major: groups of rows lie `group` apart
    ptrdiff_t group
    unsigned char* live_y   # [row blocks or tiles, ld]: units with an output other than zero
    unsigned char* live_dz  # [ld]: units with a gradient other than zero
    int* idx_y
    int* idx_dz             # the live units, ascending
    int n_y, n_dz
    Patterns tiles, lanes   # of tiles of rows, and of groups of LANE_ROWS
    int slot                # which step of the window is under way
    double* penalties       # [WINDOW, n_kept]
    int n_kept
    double* penalty         # of this step: its value by row of w (wide) or panel of inputs (narrow)
    double penalty_b[WINDOW]
    int finite[WINDOW]      # whether the step's update left finite weights and moments
    double group_lambda     # of group penalties
    int by_input            # whether a group is an input's outgoing weights, not a unit's incoming
    double* norms           # [2, n_norms]: the groups' norms before and after the last step
    int n_norms
    int may_wait            # whether rows that nobody reads may be updated later
    int n_late              # rows that are read now and wait for updates
    unsigned char* waits    # [n_in]: the latest steps that a row of w has not been updated for
    watch* watch            # whether to stop in the midst of it


# The latest steps, as far as some rows of weights have not taken them yet. A row whose input is
# zero for the whole batch is read by nobody and has a gradient of zero, so its updates can wait
# and then be made one after the other while the row is in cache.
cdef struct Window:
    int size                # after so many steps all rows are up to date; 1 if none ever waits
    int slot                # steps since then
    update_rule rules[WINDOW]
    const real* zeros       # a row's gradient


cdef inline int round_up(int n, int multiple) noexcept nogil:
    return (n + multiple - 1) // multiple * multiple


cdef inline ptrdiff_t padded(int n) noexcept nogil:
    """Row length for n columns: whole panels, and never a stride that lands in one cache set."""
    cdef ptrdiff_t ld = round_up(n, PANEL)
    if ld * sizeof(real) % 512 == 0:
        ld += PANEL if PANEL * sizeof(real) >= 64 else 64 // <int>sizeof(real)
    return ld


cdef inline int penalty_entries(const Layer* layer) noexcept nogil:
    """How many entries of `penalty` a step fills in."""
    return round_up(layer.n_in, NARROW_COLUMNS) // NARROW_COLUMNS if layer.narrow else layer.n_in


cdef inline index_list listed(const Patterns* p, int group, int first, int last) noexcept nogil:
    """The part of a group's list between the cuts first and last."""
    cdef index_list part
    cdef const int* cut = p.cut + group * p.n_cuts
    part.idx = p.idx + group * p.ld + cut[first]
    part.n = cut[last] - cut[first]
    return part


# The items [0, n_items) of some work, as one thread takes them. Every thread has a range of its
# own, the same in each step, so that what it wrote is still in its cache; then it helps the
# others, for neighbours on the machine, or units left out, make equal shares unequal. The bits do
# not depend on it.
cdef struct Queue:
    int* counters           # [QUEUES * APART], zero before the first thread comes
    int n_items, tid, n_threads
    int taken               # items so far, by a thread alone; else ranges that are used up


cdef inline Queue queue_of(int* counters, int n_items, int tid, int n_threads) noexcept nogil:
    cdef Queue queue
    queue.counters, queue.n_items, queue.tid, queue.n_threads = counters, n_items, tid, n_threads
    queue.taken = 0
    return queue


cdef inline int next_item(Queue* queue) noexcept nogil:
    """The next item, or n_items."""
    cdef int n_ranges = min(queue.n_threads, QUEUES), own, item
    if queue.n_threads == 1:
        queue.taken += 1
        return min(queue.taken - 1, queue.n_items)
    while queue.taken < n_ranges:
        own = (queue.tid + queue.taken) % n_ranges
        item = queue.n_items * own // n_ranges
        item += take_ticket(queue.counters + own * APART)
        if item < queue.n_items * (own + 1) // n_ranges:
            return item
        queue.taken += 1
    return queue.n_items


cdef inline void share(int n, int multiple, int tid, int n_threads, int* start,
                       int* stop) noexcept nogil:
    """The part [start, stop) of n items that thread tid takes, in whole multiples."""
    cdef int units = (n + multiple - 1) // multiple
    start[0] = min(n, units * tid // n_threads * multiple)
    stop[0] = min(n, units * (tid + 1) // n_threads * multiple)
