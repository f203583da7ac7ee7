# What all functions of training know: a network's arrays, its optimizer, its work space and where
# its session stands; and the questions they ask of it most.

# What a step leaves to be told once every row of weights has taken it.
cdef struct StepRecord:
    double loss             # of the data
    int n                   # rows of the batch
    int ends_epoch
    long long epoch, batch, rows_done   # before the step


cdef struct AdamCorrection:
    double root             # sqrt(1 - beta_2^t)
    double both             # that divided by 1 - beta_1^t


# What training has gone through, a bit each, in the order of RAN; thread 0 notes it.
cdef enum:
    RAN_TINY = 1 << 0           # steps of tiny.h
    RAN_SHALLOW = 1 << 1        # of shallow.h
    RAN_LAYERS = 1 << 2         # of a whole batch, layer by layer
    RAN_PARTS = 1 << 3          # in parts: parts.pxi
    RAN_SHARDS = 1 << 4         # whose gradients the caller added: sharded.pxi
    RAN_PYTHON = 1 << 5         # for a loss in Python
    RAN_ORDERED = 1 << 6        # rows of a batch were put in order
    RAN_PATTERNS = 1 << 7       # tiles of rows had lists of live units, forward
    RAN_GROUPS = 1 << 8         # groups of rows had them, backward
    RAN_LEFT_OUT = 1 << 9       # a unit was inactive for the whole batch and left out, forward
    RAN_LEFT_OUT_BACK = 1 << 10     # backward
    RAN_PICKED = 1 << 11        # only the products of live inputs and outputs were computed
    RAN_PACKED = 1 << 12        # all of dz was packed, of rows in order
    RAN_PACKED_REST = 1 << 13   # and its last panel was not full
    RAN_LATE = 1 << 14          # rows of weights took steps later than the others
    RAN_GATHERED = 1 << 15      # inputs were packed for the weights' gradient
    RAN_BLOCKS = 1 << 16        # rows made more than one block
    RAN_SMALLER = 1 << 17       # a batch was smaller than the others
    RAN_SINGLE = 1 << 18        # a batch had one row
    RAN_CLIP_NORM = 1 << 19     # a gradient was scaled down to the norm of all
    RAN_CLIP_ARRAY = 1 << 20    # or to an array's norm
    RAN_CLIP_VALUE = 1 << 21    # or cut
    RAN_GROUP_UNITS = 1 << 22   # a group penalty's step was made
    RAN_GROUP_INPUTS = 1 << 23
    RAN_TEAM = 1 << 24          # by more than one thread
    RAN_NARROW = 1 << 25        # a layer had few outputs
    RAN_PANEL_REST = 1 << 26    # a layer of more than one panel did not fill the last
    RAN_DROPOUT = 1 << 27
    RAN_WEIGHTED = 1 << 28      # rows had weights
    RAN_RATES = 1 << 29         # each step had a rate of its own
    RAN_SPARSE = 1 << 30        # the first layer multiplied the nonzeros of its inputs alone
    RAN_ENCODED = 1U << 31      # which were those of encoded numbers


RAN = ("tiny", "shallow", "layers", "parts", "shards", "python_loss", "ordered", "patterns",
       "groups_of_rows", "left_out", "left_out_backward", "picked", "packed", "packed_rest",
       "late", "gathered", "blocks", "smaller_batch", "single_row", "clip_norm",
       "clip_array_norm", "clip_value", "group_units", "group_inputs", "team", "narrow",
       "panel_rest", "dropout", "weighted", "rates", "sparse", "encoded")


# Rows of inputs by their nonzeros: row i has the entries at[i] to at[i + 1], columns ascending.
cdef struct Csr:
    const int64_t* at       # NULL: the inputs are a table
    const int* columns
    const real* values


# The nonzeros of a batch, where the inputs are such rows: its rows lie in the data that it is from.
# Turned are the same numbers in the order of the columns, and within a column of the rows.
cdef struct Nonzeros:
    int used                # whether the batch is here and not in xb
    int capacity            # rows
    long long room          # nonzeros that dropped, turned_rows and turned have room for
    int64_t* n              # [capacity]: of each row
    const int** columns     # [capacity]
    const real** values     # [capacity]
    const real** kept       # [capacity]: values after dropout
    real* dropped           # [room]: where they are
    int64_t* ends           # [columns]: where a column's numbers end
    int* turned_rows        # [room]
    real* turned            # [room]


# A fixed piecewise-linear encoding of the inputs, on which the first layer stands. Input j is
# encoded as the rows first[j] to first[j + 1] of that layer's weights: the number itself, then for
# each of its bins how far the number has passed through it, from 0 to 1. Bins below the one that a
# number lies in are 1, those above are 0; so the product with all of a number's bins is a point on
# the line between two sums of weights, which `sums` holds.
cdef struct Encoding:
    int used
    const int* first        # [n_inputs + 1]
    const real* lower       # [rows]: where a bin begins; without meaning for a number itself
    const real* inverse     # [rows]: 1 / its width
    real* sums              # [rows, ldw]: weights of a number's bins, each with all below it
    int summed              # whether whoever lends the parameters has formed them
    int* columns            # [batch rows, 3 * n_inputs]: of the batch's nonzeros
    real* values


cdef struct State:
    unsigned int ran        # RAN_* of all steps so far
    int n_layers, n_inputs, n_outputs
    Layer* layers
    size_t n_params, n_weights  # with padding and without
    real* params
    real* slots[2]
    real* gradient
    int* iota
    real* ones
    barrier gate
    watch own
    watch* watch            # its own, or that of the network that it is a part of
    int watched             # whether steps are long enough for it
    int abandoned           # whether a step is left before it changes a weight
    real* undo              # [3, n_params]: parameters and moments before the step; NULL: none kept
    double step_seconds     # of the latest step that was watched
    int* tickets            # [2, n_layers, QUEUES * APART]: work handed out in the present step
    # Loss and optimizer
    int loss, n_metrics
    int* metrics
    double huber_delta
    int smooth              # whether a loss is that of the logits, unclipped; see loss_row
    update_rule rule
    Window window
    StepRecord records[WINDOW]
    double* record_metrics  # [WINDOW, n_metrics]: sums over the batch
    int optimizer
    double learning_rate, weight_decay
    double clip_norm, clip_array_norm, clip_value   # 0: not clipped so
    int frozen              # whether any layer is
    double beta_1, beta_2
    long long initial_step, step
    AdamCorrection corrections[CORRECTIONS]     # for the steps of a block
    long long corrections_block
    int corrections_known
    const double* rates     # [n_rates], of steps from rates_first on; NULL: learning_rate for all
    long long n_rates, rates_first
    # Work space for a batch
    int capacity            # rows that go through hidden layers together
    int batch_capacity, score_capacity  # rows of a batch, and of its losses
    int skip                # leave out dead units
    int shallow             # shallow.h serves
    int grouped             # whether any layer has a group penalty
    int tiny                # and tiny.h, if the loss is squared error
    real* columns           # of a batch, for tiny.h: [n_inputs + 4, columns_ld]
    ptrdiff_t columns_ld
    double tiny_loss        # sum over the batch
    int may_order           # whether rows of a batch are put in order
    int ordered             # whether those in xb are: then neighbours are alike
    int* place              # [score_capacity]: where in xb the batch's i-th row lies
    int first_row           # of the batch in xb, in the whole one that it is part of: sharded.pxi
    unsigned long long* keys    # [batch_capacity]: space for sorting
    ptrdiff_t ldx
    int x_capacity          # rows of xb
    real* xb                # [x_capacity, ldx], zero beyond n_inputs
    Nonzeros sparse         # the batch in place of xb, if the data are csr, or encoded
    Encoding encoding
    double row_weights      # weights that a row is multiplied with
    real* yb                # [batch_capacity, n_targets]
    real* wb                # [batch_capacity]
    double* row_loss        # [score_capacity]
    double* row_metrics     # [score_capacity, n_metrics]
    double* row_grad        # [n_threads, n_outputs]
    real* scratch           # [n_threads, n_scratch]
    size_t n_scratch
    ptrdiff_t ldg
    double* norms           # [pieces of all arrays of the gradient]
    State** parts           # work space for parts of a batch, or NULL: see parts.pxi
    int part                # and in such work space: which one is under way
    real* part_gradients    # [MOST_PARTS, n_params]
    # Session
    const real* x
    Csr csr                 # in place of x
    const real* y
    const real* sample_weight
    long long n_rows, n_targets
    int batch_size, shuffle, loaded
    unsigned long long seed
    int64_t* order
    long long epoch, batch, order_epoch
    double batch_loss, loss_sum
    double* metric_sums
    long long rows_done, rows_summed    # in the present epoch; differ after a resume within it
    # Control of one call
    long long epochs_wanted, epochs_passed, epochs_ended, steps_left    # ended: with its loss
    double deadline
    double* losses_out
    double* metrics_out
    int stop
    int threads_used        # the size of the team, as the runtime made it
    int diverged_layer      # -2: no; -1: the loss; else a layer
    long long diverged_epoch


cdef inline int may_skip(const State* s, int h) noexcept nogil:
    """Whether leaving out dead units of this layer may pay."""
    cdef const Layer* layer = &s.layers[h]
    return (h < s.n_layers - 1 and not layer.narrow and layer.n_out >= 64
            and layer.act != ACT_SOFTMAX)


cdef inline int skips(const State* s, const Layer* layer) noexcept nogil:
    """Whether dead units of this layer are worth leaving out."""
    return s.skip and layer.may_skip


cdef inline int reads_patterns(const State* s, const Layer* layer, int n) noexcept nogil:
    """Whether groups of the n rows of a batch have lists of this layer's live units."""
    return ((s.ordered or s.n_weights > LISTED_WEIGHTS) and skips(s, layer) and n > 1
            and layer.act == ACT_RELU
            and not (s.sparse.used and layer == s.layers))  # it notes them by task, not by tile


cdef inline int clips(const State* s) noexcept nogil:
    """Whether a step stores the whole gradient before it applies it: to clip it, or to leave
    layers out."""
    return s.clip_norm > 0 or s.clip_array_norm > 0 or s.clip_value > 0 or s.frozen


cdef inline int* queues(State* s, int backward, int h) noexcept nogil:
    """The counters of a layer's work in one direction."""
    return s.tickets + (backward * s.n_layers + h) * QUEUES * APART


cdef inline void clear_queues(State* s, int backward, int n_threads) noexcept nogil:
    """Begin with all work of one direction. A thread alone counts for itself."""
    if n_threads > 1:
        memset(queues(s, backward, 0), 0, s.n_layers * QUEUES * APART * sizeof(int))


cdef inline void begin_queues(State* s) noexcept nogil:
    """Begin with all work of both directions, whatever the threads."""
    clear_queues(s, 0, 2)
    clear_queues(s, 1, 2)
