# One optimizer step, and the epoch loop without the interpreter. Every function here is run by
# all threads of a team at once; barriers stand where one thread reads what another wrote.

cdef enum:
    # The largest threshold of a proximal step, in learning rates: more than any step that Adam
    # (3.2 by default) and RMSprop make, so that what is held at zero stays there.
    PROX_STEPS = 10


# What a step leaves to be told once every row of weights has taken it.
cdef struct StepRecord:
    double loss             # of the data
    int n                   # rows of the batch
    int ends_epoch
    long long epoch, batch, rows_done   # before the step


cdef struct AdamCorrection:
    double root             # sqrt(1 - beta_2^t)
    double both             # that divided by 1 - beta_1^t


cdef struct State:
    int n_layers, n_inputs, n_outputs
    Layer* layers
    size_t n_params, n_weights  # with padding and without
    real* params
    real* slots[2]
    real* gradient
    int* iota
    real* ones
    barrier gate
    int* tickets            # [2, n_layers, QUEUES * APART]: work handed out in the present step
    # Loss and optimizer
    int loss, n_metrics
    int* metrics
    double huber_delta
    update_rule rule
    Window window
    StepRecord records[WINDOW]
    double* record_metrics  # [WINDOW, n_metrics]: sums over the batch
    int optimizer
    double learning_rate, weight_decay
    double clip_norm, clip_array_norm, clip_value   # 0: not clipped so
    double beta_1, beta_2
    long long initial_step, step
    AdamCorrection corrections[CORRECTIONS]     # for the steps of a block
    long long corrections_block
    int corrections_known
    const double* rates     # [n_rates], of steps from rates_first on; NULL: learning_rate for all
    long long n_rates, rates_first
    # Work space for a batch
    int capacity
    int skip                # leave out dead units
    int shallow             # shallow.h serves
    int grouped             # whether any layer has a group penalty
    int tiny                # and tiny.h, if the loss is squared error
    real* columns           # of a batch, for tiny.h: [n_inputs + 4, columns_ld]
    ptrdiff_t columns_ld
    double tiny_loss        # sum over the batch
    int may_order           # whether rows of a batch are put in order
    int ordered             # whether those in xb are: then neighbours are alike
    int* place              # [capacity]: where in xb the batch's i-th row lies
    int first_row           # of the batch in xb, in the whole one that it is part of: sharded.pxi
    unsigned long long* keys    # [capacity]: space for sorting
    ptrdiff_t ldx
    real* xb                # [capacity, ldx], zero beyond n_inputs
    real* yb                # [capacity, n_targets]
    real* wb                # [capacity]
    double* row_loss        # [capacity]
    double* row_metrics     # [capacity, n_metrics]
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


cdef inline int skips(const State* s, const Layer* layer) noexcept nogil:
    """Whether dead units of this layer are worth leaving out."""
    return s.skip and layer.may_skip


cdef inline int reads_patterns(const State* s, const Layer* layer) noexcept nogil:
    """Whether groups of rows have lists of this layer's live units."""
    return s.ordered and skips(s, layer) and layer.act == ACT_RELU


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


cdef void load_rows(State* s, long long first, int start, int stop) noexcept nogil:
    """Copy rows [start, stop) of the batch that begins with row `first`, in this epoch's order."""
    cdef int i, place
    cdef long long row
    for i in range(start, stop):
        row = batch_row(s, first + i)
        place = s.place[i]
        memcpy(s.xb + place * s.ldx, s.x + row * s.n_inputs, s.n_inputs * sizeof(real))
        memcpy(s.yb + place * s.n_targets, s.y + row * s.n_targets, s.n_targets * sizeof(real))
        s.wb[place] = s.sample_weight[row] if s.sample_weight != NULL else 1


cdef void drop_inputs(State* s, int h, const real* x, ptrdiff_t ldx, int n, int tid,
                      int n_threads) noexcept nogil:
    """layers[h].x = x with dropout applied, and its mask."""
    cdef Layer* layer = &s.layers[h]
    cdef int i, k, start, stop, place
    cdef real* mask
    cdef real* out
    share(n, 1, tid, n_threads, &start, &stop)
    for i in range(start, stop):
        place = s.place[i]
        mask = layer.mask + place * ldx
        out = layer.x + place * ldx
        dropout_row(s.seed, s.step, h, s.first_row + i, layer.dropout, layer.n_in, mask)
        for k in range(layer.n_in):
            out[k] = x[place * ldx + k] * mask[k] if mask[k] != 0 else 0


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


cdef void forward_team(State* s, const real* x, ptrdiff_t ldx, int n, int n_layers, int training,
                       int tid, int n_threads) noexcept nogil:
    """Outputs of the first n_layers layers for the batch x, into the layers' own arrays."""
    cdef int h, start, stop, n_idx, flags, n_blocks = (n + ROW_BLOCK - 1) // ROW_BLOCK
    cdef Layer* layer
    cdef Layer* below = NULL
    cdef const int* idx
    cdef const Patterns* patterns
    if tid == 0:
        clear_queues(s, 1, n_threads)
    for h in range(n_layers):
        layer = &s.layers[h]
        idx = s.iota
        n_idx = layer.n_in
        patterns = NULL
        if training and layer.dropout > 0:
            drop_inputs(s, h, x, ldx, n, tid, n_threads)
            team_barrier(&s.gate, n_threads)
            x = layer.x
        if training and h > 0 and skips(s, below):
            idx = below.idx_y
            n_idx = below.n_y
            if reads_patterns(s, below):
                patterns = &below.tiles
        forward_rows(layer, s.params + layer.w_at, s.params + layer.b_at, idx, n_idx, patterns, x,
                     ldx, n, layer.y, layer.z,
                     layer.live_y if training and skips(s, layer) else NULL,
                     reads_patterns(s, layer), training, queues(s, 0, h), tid, n_threads)
        team_barrier(&s.gate, n_threads)
        if layer.act == ACT_SOFTMAX:
            share(n, 1, tid, n_threads, &start, &stop)
            softmax_rows(layer, start, stop, layer.z, layer.y)
            team_barrier(&s.gate, n_threads)
        elif training and skips(s, layer) and h + 1 < s.n_layers:
            flags = n_blocks
            if reads_patterns(s, layer):
                flags = tile_of_row(n, (n + n_blocks - 1) // n_blocks, n - 1) + 1
                list_patterns(layer, n, tid, n_threads)
                team_barrier(&s.gate, n_threads)
            if tid == 0:
                layer.n_y = list_live(layer.live_y, flags, layer.ld, layer.n_out, layer.idx_y)
                count_late(layer, &s.layers[h + 1])
            team_barrier(&s.gate, n_threads)
            if s.layers[h + 1].n_late:
                update_late(s, &s.layers[h + 1], layer.idx_y, layer.n_y, tid, n_threads)
                team_barrier(&s.gate, n_threads)
        x = layer.y
        ldx = layer.ld
        below = layer


cdef void count_late(const Layer* below, Layer* layer) noexcept nogil:
    """Note how many rows of a layer's weights are about to be read and wait for updates."""
    cdef int t
    layer.n_late = 0
    if layer.may_wait:
        for t in range(below.n_y):
            layer.n_late += layer.waits[below.idx_y[t]] > 0


cdef void update_late(State* s, Layer* layer, const int* idx, int n_idx, int tid,
                      int n_threads) noexcept nogil:
    """Bring the listed rows of a layer's weights up to date."""
    cdef int t = tid
    while t < n_idx:
        if layer.waits[idx[t]] > 0:
            take_late_steps(layer, &s.window, s.window.slot, s.params + layer.w_at,
                            s.slots[0] + layer.w_at, s.slots[1] + layer.w_at, idx[t])
        t += n_threads


cdef void score_squares(State* s, int n, const real* y, const real* weight, int start,
                        int stop) noexcept nogil:
    """score_rows for squared error of one linear output, without metrics: what a small network
    would otherwise spend most of its time on."""
    cdef Layer* last = &s.layers[s.n_layers - 1]
    cdef int i
    cdef double error, w
    for i in range(start, stop):
        error = <double>last.y[i * last.ld] - y[i]
        w = weight[i]
        s.row_loss[i] = w * (error * error)
        last.dz[i * last.ld] = <real>(2 * error * (w / n))


cdef void score_rows(State* s, int n, const real* y, const real* weight, int with_gradient,
                     int start, int stop, int tid) noexcept nogil:
    """Losses, metrics and, if asked, the last layer's dz, for the rows [start, stop)."""
    cdef Layer* last = &s.layers[s.n_layers - 1]
    cdef int i, j, q, from_logits, J = last.n_out
    cdef double* grad = s.row_grad + tid * J if with_gradient else NULL
    cdef double scale, w
    cdef real* p
    cdef real* z
    cdef real* dz
    cdef const real* t
    for i in range(start, stop):
        p = last.y + i * last.ld
        z = last.z + i * last.ld if last.z != NULL else NULL
        t = y + i * s.n_targets
        w = weight[i] if weight != NULL else 1
        s.row_loss[i] = w * loss_row(s.loss, last.act, J, s.huber_delta, p, z, t, grad,
                                     &from_logits)
        if with_gradient:
            scale = w / n
            dz = last.dz + i * last.ld
            for j in range(J):
                dz[j] = <real>(grad[j] * scale)
            if not from_logits:
                if last.act == ACT_SOFTMAX:
                    softmax_backward_row(J, p, dz)
                else:
                    finish_backward(last.act, 0, round_up(J, VL), 1, 0, 0, NULL, 0, dz, last.ld,
                                    p, z, NULL, NULL)
        for q in range(s.n_metrics):
            s.row_metrics[i * s.n_metrics + q] = loss_row(
                s.metrics[q], last.act, J, s.huber_delta, p, z, t, NULL, &from_logits)


cdef void finish_softmax(State* s, Layer* below, int n, int from_t, int keep_t,
                         const real* mask, int tid, int n_threads) noexcept nogil:
    """The part of backward_data that couples a row's units: a hidden softmax layer."""
    cdef int i, j, start, stop
    cdef ptrdiff_t at
    team_barrier(&s.gate, n_threads)
    share(n, VL, tid, n_threads, &start, &stop)
    for i in range(start, stop):
        at = i * below.ld
        for j in range(below.n_out):
            if from_t:
                below.dz[at + j] = below.t[feature_at(below.group, j, i)]
            if mask != NULL:
                below.dz[at + j] *= mask[at + j]
        softmax_backward_row(below.n_out, below.y + at, below.dz + at)
        if keep_t:
            for j in range(below.n_out):
                below.t[feature_at(below.group, j, i)] = below.dz[at + j]
    if below.live_dz != NULL:
        share(below.n_out, 1, tid, n_threads, &start, &stop)
        for j in range(start, stop):
            below.live_dz[j] = 1


cdef void backward_team(State* s, const real* x, ptrdiff_t ldx, int n, const update_rule* rule,
                        real* m, real* v, int training, int tid, int n_threads) noexcept nogil:
    """From the last layer's dz to updated weights. With OPT_STORE as rule the gradient goes to m
    and weights stay."""
    backward_begin(s, n, tid, n_threads)
    backward_layers(s, x, ldx, n, rule, m, v, training, s.n_layers - 1, 0, tid, n_threads)


cdef void backward_begin(State* s, int n, int tid, int n_threads) noexcept nogil:
    """Make ready what backward_layers takes from the last layer's dz."""
    cdef int h, start, stop
    cdef Layer* layer
    if tid == 0:
        clear_queues(s, 0, n_threads)
        for h in range(s.n_layers):
            s.layers[h].n_penalty = penalty_entries(&s.layers[h])
    layer = &s.layers[s.n_layers - 1]
    if s.n_layers > 1 and not layer.narrow:
        share(layer.n_out, PANEL, tid, n_threads, &start, &stop)
        to_feature_major(start, round_up(stop, VL), n, layer.dz, layer.ld, layer.t, layer.group)
        team_barrier(&s.gate, n_threads)


cdef void backward_layers(State* s, const real* x, ptrdiff_t ldx, int n, const update_rule* rule,
                          real* m, real* v, int training, int top, int bottom, int tid,
                          int n_threads) noexcept nogil:
    """backward_team's work for the layers from `top` down to `bottom`. A task takes rows of weights
    backward by data and then updates them, so one barrier a layer is enough."""
    cdef int h, start, stop, unit, n_idx, n_columns, compacted, packed, keep_t
    cdef Queue queue
    cdef fetch_list later
    cdef Layer* layer
    cdef Layer* below
    cdef const int* idx
    cdef const int* columns
    cdef const real* input
    cdef const real* mask
    cdef real* w
    cdef real* scratch = s.scratch + tid * s.n_scratch
    cdef ptrdiff_t ld
    for h in range(top, bottom - 1, -1):
        layer = &s.layers[h]
        below = &s.layers[h - 1] if h > 0 else NULL
        mask = NULL
        input = x
        ld = ldx
        if h > 0:
            input = below.y
            ld = below.ld
        if training and layer.dropout > 0:
            input = layer.x
            mask = layer.mask
        w = s.params + layer.w_at
        idx = s.iota
        n_idx = layer.n_out
        compacted = 0
        if training and skips(s, layer) and h + 1 < s.n_layers:
            if tid == 0:
                layer.n_dz = list_live(layer.live_dz, 1, layer.ld, layer.n_out, layer.idx_dz)
            team_barrier(&s.gate, n_threads)
            idx = layer.idx_dz
            n_idx = layer.n_dz
        # Rows are worth picking when a tenth or more of the products fall away.
        if (training and h > 0 and skips(s, below) and not layer.narrow
                and 10 * <long long>below.n_y * n_idx
                < 9 * <long long>layer.n_in * layer.n_out):
            compacted = 1
        packed = not layer.narrow and (compacted or s.ordered)
        if packed:
            columns = idx if compacted else s.iota
            n_columns = n_idx if compacted else layer.n_out
            share((n_columns + PANEL - 1) // PANEL, 1, tid, n_threads, &start, &stop)
            pack_panels(n_columns, columns, n, s.place, layer.dz, layer.ld, start, stop, layer.dzp)
            team_barrier(&s.gate, n_threads)
        keep_t = h > 1 and not below.narrow
        later.n_rows = 0
        if h > 0 and below.act == ACT_SOFTMAX:
            share(layer.n_in, PANEL, tid, n_threads, &start, &stop)
            backward_data(layer, below, w, s.iota + start, stop - start, start, stop, idx, n_idx,
                          False, n, mask, keep_t, &later)
            finish_softmax(s, below, n, not layer.narrow, keep_t, mask, tid, n_threads)
        unit = UNITS
        if not layer.narrow:
            unit = min(UNITS, max(PANEL, round_up(layer.n_in // (4 * n_threads), PANEL)))
        queue = queue_of(queues(s, 1, h), (layer.n_in + unit - 1) // unit, tid, n_threads)
        while True:
            start = next_item(&queue) * unit
            if start >= layer.n_in:
                break
            stop = min(start + unit, layer.n_in)
            if compacted and layer.ldw * sizeof(real) >= 64 * FETCH_LINES:
                later = moments_later(layer, below, m + layer.w_at, v + layer.w_at, start, stop)
            if h > 0 and below.act != ACT_SOFTMAX:
                data_task(s, layer, below, training, w, start, stop, idx, n_idx, n, mask, keep_t,
                          &later)
            if layer.narrow:
                update_narrow(layer, rule, w, m + layer.w_at, v + layer.w_at, input, ld, n,
                              s.place, start, stop, scratch)
            elif compacted:
                update_live_rows(layer, rule, &s.window, w, m + layer.w_at, v + layer.w_at, input,
                                 ld, n, s.place, below.live_y, idx, n_idx, start, stop, scratch,
                                 s.ldg, &later)
            else:
                if layer.may_wait:
                    update_late(s, layer, s.iota + start, stop - start, 0, 1)
                update_rows(layer, rule, w, m + layer.w_at, v + layer.w_at, input, ld,
                            layer.dzp if packed else layer.dz, PANEL if packed else layer.ld,
                            n * PANEL if packed else PANEL, n, s.place,
                            packed or n > PACKED_ROWS, s.iota, start, stop, scratch, s.ldg)
            if start == 0 and layer.use_bias:
                update_biases(layer, rule, s.params + layer.b_at, m + layer.b_at,
                              v + layer.b_at, n, s.place, s.ones, scratch)
        team_barrier(&s.gate, n_threads)


cdef fetch_list moments_later(const Layer* layer, const Layer* below, const real* m,
                              const real* v, int start, int stop) noexcept nogil:
    """What a task's update of live rows will read, to be fetched while there is much to compute."""
    cdef fetch_list later
    later.rows = live_range(below.idx_y, below.n_y, start, stop, &later.n_rows)
    later.arrays[0], later.arrays[1] = m, v
    later.ld, later.array, later.chunk = layer.ldw, 0, 0
    later.n_chunks = <int>(layer.ldw * sizeof(real)) // (64 * FETCH_LINES)
    return later


cdef void data_task(State* s, const Layer* layer, Layer* below, int training, const real* w,
                    int start, int stop, const int* idx, int n_idx, int n, const real* mask,
                    int keep_t, fetch_list* later) noexcept nogil:
    """dz of the layer below for its units [start, stop)."""
    cdef const int* kk = s.iota + start
    cdef int n_k = stop - start
    cdef int by_group = 0
    if training and below.act == ACT_RELU and skips(s, below):
        # A unit that is off in every row passes nothing back.
        kk = live_range(below.idx_y, below.n_y, start, stop, &n_k)
        by_group = (reads_patterns(s, below) and reads_patterns(s, layer) and not layer.narrow
                    and groups_pay(layer, below, n_idx, n))
    backward_data(layer, below, w, kk, n_k, start, stop, idx, n_idx, by_group, n, mask, keep_t,
                  later)


cdef int groups_pay(const Layer* layer, const Layer* below, int n_idx, int n) noexcept nogil:
    """Whether groups of rows, each with lists of its own, save more products backward by data than
    going through alone costs them."""
    cdef int group, n_groups = (n + LANE_ROWS - 1) // LANE_ROWS
    cdef long long products = 0
    for group in range(n_groups):
        products += (<long long>layer.lanes.cut[(group + 1) * layer.lanes.n_cuts - 1]
                     * below.lanes.cut[(group + 1) * below.lanes.n_cuts - 1])
    return GROUP_COST * products < <long long>n_groups * n_idx * below.n_y


cdef double penalty_sum(const State* s, int slot) noexcept nogil:
    """The penalty that a step of the window met, in a fixed order."""
    cdef int h, k
    cdef double value, total = 0
    cdef Layer* layer
    for h in range(s.n_layers):
        layer = &s.layers[h]
        for k in range(layer.n_penalty if layer.penalised else 0):
            total += layer.penalties[slot * layer.n_kept + k]
        total += layer.penalty_b[slot]
        if layer.group_lambda != 0:
            value = 0
            for k in range(layer.n_norms):
                value += layer.norms[k]
            total += layer.group_lambda * sqrt(<double>group_size(layer)) * value
    return total


cdef AdamCorrection adam_correction(State* s, long long t) noexcept nogil:
    """What Adam's rate is corrected by at step t. Powers are taken every CORRECTIONS steps and go
    on as products: a tiny network's step would otherwise spend a third of its time on them."""
    cdef long long block = t // CORRECTIONS
    cdef double power_1, power_2
    cdef int i
    if block != s.corrections_block or not s.corrections_known:
        power_1, power_2 = pow(s.beta_1, block * CORRECTIONS), pow(s.beta_2, block * CORRECTIONS)
        for i in range(CORRECTIONS):
            s.corrections[i].root = sqrt(1 - power_2)
            # At t = 0, which no step has, both are 0.
            s.corrections[i].both = s.corrections[i].root / (1 - power_1) if power_1 < 1 else 0
            power_1 *= s.beta_1
            power_2 *= s.beta_2
        s.corrections_block, s.corrections_known = block, 1
    return s.corrections[t - block * CORRECTIONS]


cdef void prepare_rule(State* s) noexcept nogil:
    """The scalars of the step about to be made."""
    cdef long long t = s.step + s.initial_step + 1
    cdef double rate = s.learning_rate, mu = s.rule.momentum
    if s.rates != NULL:
        rate = s.rates[max(0, min(s.n_rates - 1, s.step - s.rates_first))]
    s.rule.kind = s.optimizer
    s.rule.rate = <real>rate
    if s.optimizer == OPT_ADAM:
        s.rule.rate = <real>(rate * adam_correction(s, t).both)
    s.rule.decay = <real>(rate * s.weight_decay)
    # A proximal step goes as far as the rule itself would have gone against a gradient that had
    # always been the penalty's: then the fixed points are those of the penalised loss.
    s.rule.prox_limit = <real>(PROX_STEPS * rate)
    if s.optimizer == OPT_ADAM:
        rate *= adam_correction(s, t).root
    elif s.optimizer == OPT_MOMENTUM:
        rate *= (1 - pow(mu, <double>t)) / (1 - mu)
    elif s.optimizer == OPT_NESTEROV:
        rate *= (1 - pow(mu, <double>t + 1)) / (1 - mu)
    s.rule.prox_rate = <real>rate
    s.window.rules[s.window.slot] = s.rule


cdef inline int group_size(const Layer* layer) noexcept nogil:
    """Weights of one group."""
    return layer.n_out if layer.by_input else layer.n_in


cdef void group_team(State* s, int stepped, int tid, int n_threads) noexcept nogil:
    """The groups' proximal step after the optimizer's own, if `stepped`, and their norms."""
    cdef int h, line, start, stop, rows, n
    cdef ptrdiff_t step, apart
    cdef size_t at
    cdef Layer* layer
    cdef double* norm
    for h in range(s.n_layers):
        layer = &s.layers[h]
        if layer.group_lambda == 0:
            continue
        # Groups are rows of w as it is kept, or its columns, a vector of them at a time.
        rows = layer.by_input != layer.narrow
        n = <int>(layer.ldw // VL) if rows else layer.n_rows
        step = VL if rows else layer.ldw
        apart = layer.ldw if rows else VL
        share(layer.n_rows if rows else <int>(layer.ldw // VL), 1, tid, n_threads, &start, &stop)
        for line in range(start, stop):
            at = layer.w_at + line * apart
            norm = layer.norms + line * (1 if rows else VL)
            memcpy(norm, norm + layer.n_norms, (1 if rows else VL) * sizeof(double))
            if stepped:
                group_shrink(&s.rule, layer.group_lambda, group_size(layer), rows, n, step,
                             s.params + at, s.slots[0] + at, s.slots[1] + at)
            group_norm(rows, n, step, s.params + at, norm + layer.n_norms)
            if not stepped:
                memcpy(norm, norm + layer.n_norms, (1 if rows else VL) * sizeof(double))
    team_barrier(&s.gate, n_threads)


cdef inline int clips(const State* s) noexcept nogil:
    return s.clip_norm > 0 or s.clip_array_norm > 0 or s.clip_value > 0


cdef inline long long pieces(size_t size) noexcept nogil:
    """Pieces of 4096 entries that an array's squares are summed by."""
    return (size + 4095) // 4096


cdef long long square_parts(State* s, size_t at, size_t size, long long piece, int tid,
                            int n_threads) noexcept nogil:
    """Sums of squares of one array of the stored gradient, by fixed pieces of 4096 entries, into
    norms from number `piece` on; returns the number after the last."""
    cdef size_t i, start, stop
    cdef double total
    for start in range(0, size, 4096):
        if piece % n_threads == tid:
            total = 0
            stop = min(start + 4096, size)
            for i in range(at + start, at + stop):
                total += <double>s.gradient[i] * s.gradient[i]
            s.norms[piece] = total
        piece += 1
    return piece


cdef real norm_scale(const State* s, long long first, long long last, double limit) noexcept nogil:
    """What brings the gradient whose squares are in norms [first, last) down to that norm."""
    cdef long long piece
    cdef double total = 0
    for piece in range(first, last):
        total += s.norms[piece]
    return <real>(limit / sqrt(total)) if sqrt(total) > limit else 1


cdef void apply_team(State* s, int tid, int n_threads) noexcept nogil:
    """Clip the stored gradient (which includes the penalty's) and make one step with it."""
    cdef penalty_rule pen
    cdef update_sums sums
    cdef update_rule rule = s.rule
    cdef int h, start, stop
    cdef long long first = 0, last = 0
    cdef size_t at
    cdef ptrdiff_t n
    cdef Layer* layer
    pen.l1 = pen.l2 = 0
    rule.scale = 1
    rule.limit = <real>s.clip_value
    if s.clip_norm > 0 or s.clip_array_norm > 0:
        for h in range(s.n_layers):
            layer = &s.layers[h]
            last = square_parts(s, layer.w_at, layer.n_rows * layer.ldw, last, tid, n_threads)
            last = square_parts(s, layer.b_at, layer.ld, last, tid, n_threads)
        team_barrier(&s.gate, n_threads)
    if s.clip_norm > 0:
        rule.scale = norm_scale(s, 0, last, s.clip_norm)
    for h in range(s.n_layers):
        layer = &s.layers[h]
        share(layer.n_rows, 1, tid, n_threads, &start, &stop)
        at = layer.w_at + start * layer.ldw
        n = (stop - start) * layer.ldw // VL
        sums_reset(&sums)
        if s.clip_array_norm > 0:
            last = first + pieces(layer.n_rows * layer.ldw)
            rule.scale = norm_scale(s, first, last, s.clip_array_norm)
            first = last
        pen.prox = layer.pen.prox
        clip_span(&rule, n, s.gradient + at)
        update_span(&rule, pen, n, s.params + at, s.gradient + at, s.slots[0] + at,
                    s.slots[1] + at, &sums)
        if s.clip_array_norm > 0:
            last = first + pieces(layer.ld)
            rule.scale = norm_scale(s, first, last, s.clip_array_norm)
            first = last
        if layer.use_bias and tid == 0:
            at = layer.b_at
            n = layer.n_panels * PANEL // VL
            pen.prox = layer.pen_b.prox
            clip_span(&rule, n, s.gradient + at)
            update_span(&rule, pen, n, s.params + at, s.gradient + at, s.slots[0] + at,
                        s.slots[1] + at, &sums)
        if not sums_finite(&sums):
            lower(&layer.finite[layer.slot])
    team_barrier(&s.gate, n_threads)


cdef inline int is_shallow(const State* s) noexcept nogil:
    """Whether shallow.h serves this network."""
    return (s.n_layers == 2 and s.n_inputs <= SHALLOW_INPUTS and not s.layers[0].narrow
            and s.layers[1].narrow and s.layers[0].use_bias and s.layers[0].act != ACT_SOFTMAX
            and s.layers[1].act != ACT_SOFTMAX and s.layers[0].dropout == 0
            and s.layers[1].dropout == 0)


cdef inline int is_tiny(const State* s) noexcept nogil:
    """Whether tiny.h can serve this network, of those that shallow.h serves."""
    return (s.shallow and s.n_inputs <= TINY_INPUTS and s.layers[0].n_out <= TINY_UNITS
            and s.n_outputs == 1 and s.layers[1].act == ACT_LINEAR)


cdef shallow_net shallow_of(const State* s) noexcept nogil:
    cdef const Layer* hidden = &s.layers[0]
    cdef const Layer* last = &s.layers[1]
    cdef shallow_net net
    net.n_in, net.n_hidden, net.n_out, net.act = s.n_inputs, hidden.n_out, last.n_out, hidden.act
    net.ldw, net.ldt, net.ldx, net.lddz = hidden.ldw, last.ldw, s.ldx, last.ld
    net.w_at, net.b_at, net.wt_at = hidden.w_at, hidden.b_at, last.w_at
    net.pen, net.pen_b, net.pen_t, net.pen_b2 = hidden.pen, hidden.pen_b, last.pen, last.pen_b
    return net


cdef void fill_columns(State* s, int n) noexcept nogil:
    """The batch in xb, yb, wb by columns, for tiny.h."""
    cdef int i, k, K = s.n_inputs
    cdef ptrdiff_t ld = s.columns_ld
    cdef real* c = s.columns
    for i in range(round_up(n, VL)):
        for k in range(K):
            c[k * ld + i] = s.xb[i * s.ldx + k] if i < n else 0
        c[K * ld + i] = s.yb[i] if i < n else 0
        c[(K + 1) * ld + i] = s.wb[i] if i < n else 0
        c[(K + 2) * ld + i] = <real>(2 * <double>s.wb[i] / n) if i < n else 0


cdef void tiny_thread(State* s, int n, const update_rule* rule, real* m, real* v) noexcept nogil:
    """A step of a tiny network, by one thread."""
    cdef Layer* hidden = &s.layers[0]
    cdef Layer* last = &s.layers[1]
    cdef shallow_net net = shallow_of(s)
    cdef update_sums sums[4]
    cdef tiny_batch batch
    cdef ptrdiff_t ld = s.columns_ld
    cdef int i, q, K = s.n_inputs, unused
    batch.n_vec, batch.ld = round_up(n, VL) // VL, ld
    batch.x, batch.y = s.columns, s.columns + K * ld
    batch.weight, batch.slope = s.columns + (K + 1) * ld, s.columns + (K + 2) * ld
    batch.out = s.columns + (K + 3) * ld
    for i in range(4):
        sums_reset(&sums[i])
    s.tiny_loss = tiny_step(&net, last.b_at, last.use_bias, &batch, rule, s.params, m, v, sums)
    hidden.n_penalty = last.n_penalty = 1
    hidden.penalty_b[0] = sums_penalty(&sums[1], net.pen_b)
    hidden.penalty[0] = sums_penalty(&sums[0], net.pen)
    last.penalty[0] = sums_penalty(&sums[2], net.pen_t)
    last.penalty_b[0] = sums_penalty(&sums[3], net.pen_b2)
    if not (sums_finite(&sums[0]) and sums_finite(&sums[1])):
        lower(&hidden.finite[0])
    if not (sums_finite(&sums[2]) and sums_finite(&sums[3])):
        lower(&last.finite[0])
    for i in range(n if s.n_metrics else 0):
        for q in range(s.n_metrics):
            s.row_metrics[i * s.n_metrics + q] = loss_row(
                s.metrics[q], ACT_LINEAR, 1, s.huber_delta, batch.out + i, NULL, s.yb + i, NULL,
                &unused)


cdef void shallow_team(State* s, int n, const update_rule* rule, real* m, real* v, int tid,
                       int n_threads) noexcept nogil:
    """forward_team, score_rows and backward_team in one, for a shallow network."""
    cdef Layer* hidden = &s.layers[0]
    cdef Layer* last = &s.layers[1]
    cdef shallow_net net = shallow_of(s)
    cdef update_sums sums[3]
    cdef int start, stop, item
    cdef Queue queue = queue_of(queues(s, 0, 0), hidden.n_panels, tid, n_threads)
    share(n, SHALLOW_ROWS, tid, n_threads, &start, &stop)
    shallow_forward(&net, s.params, start, stop, s.xb, last.y, last.ld)
    finish_forward(last.act, stop - start, round_up(last.n_out, VL) // VL,
                   s.params + last.b_at, last.y + start * last.ld, last.ld,
                   last.z + start * last.ld if last.z != NULL else NULL, NULL)
    if s.loss == LOSS_MSE and last.n_out == 1 and last.act == ACT_LINEAR and s.n_metrics == 0:
        score_squares(s, n, s.yb, s.wb, start, stop)
    else:
        score_rows(s, n, s.yb, s.wb, 1, start, stop, tid)
    if tid == 0:
        clear_queues(s, 0, n_threads)
        # The penalty is gathered by panel here, biases included.
        hidden.n_penalty = last.n_penalty = hidden.n_panels
        hidden.penalty_b[hidden.slot] = 0
    team_barrier(&s.gate, n_threads)
    while True:
        item = next_item(&queue)
        if item >= hidden.n_panels:
            break
        sums_reset(&sums[0])
        sums_reset(&sums[1])
        sums_reset(&sums[2])
        shallow_backward(&net, item * PANEL, n, s.xb, last.dz, rule, s.params, m, v, sums)
        hidden.penalty[item] = sums_penalty(&sums[0], net.pen) + sums_penalty(&sums[1], net.pen_b)
        last.penalty[item] = sums_penalty(&sums[2], net.pen_t)
        if not (sums_finite(&sums[0]) and sums_finite(&sums[1])):
            lower(&hidden.finite[hidden.slot])
        if not sums_finite(&sums[2]):
            lower(&last.finite[last.slot])
        if item == 0 and last.use_bias:
            update_biases(last, rule, s.params + last.b_at, m + last.b_at, v + last.b_at, n,
                          s.place, s.ones, s.scratch + tid * s.n_scratch)
    team_barrier(&s.gate, n_threads)


cdef void step_team(State* s, int n, int tid, int n_threads) noexcept nogil:
    """One optimizer step on the batch in xb, yb, wb."""
    cdef update_rule store
    cdef int start, stop
    cdef int clipped = clips(s)
    if tid == 0:
        prepare_rule(s)
    if not clipped and s.tiny:
        if tid == 0:
            tiny_thread(s, n, &s.rule, s.slots[0], s.slots[1])
        team_barrier(&s.gate, n_threads)
        return
    if not clipped and s.shallow:
        team_barrier(&s.gate, n_threads)
        shallow_team(s, n, &s.rule, s.slots[0], s.slots[1], tid, n_threads)
        return
    forward_team(s, s.xb, s.ldx, n, s.n_layers, 1, tid, n_threads)
    share(n, VL, tid, n_threads, &start, &stop)
    score_rows(s, n, s.yb, s.wb, 1, start, stop, tid)
    team_barrier(&s.gate, n_threads)
    if clipped:
        store = s.rule
        store.kind = OPT_STORE
        backward_team(s, s.xb, s.ldx, n, &store, s.gradient, s.gradient, 1, tid, n_threads)
        apply_team(s, tid, n_threads)
    else:
        backward_team(s, s.xb, s.ldx, n, &s.rule, s.slots[0], s.slots[1], 1, tid, n_threads)


cdef void enter_slot(State* s, int slot) noexcept nogil:
    """The window's slot that the next step's penalties and flags go to."""
    cdef int h
    cdef Layer* layer
    s.window.slot = slot
    for h in range(s.n_layers):
        layer = &s.layers[h]
        layer.slot = slot
        layer.penalty = layer.penalties + slot * layer.n_kept


cdef void end_step(State* s, int n) noexcept nogil:
    """Thread 0's bookkeeping: the step's record, the epoch's end, whether to stop."""
    cdef int i, h, q, slot = s.window.slot
    cdef double total = 0
    cdef StepRecord* record = &s.records[slot]
    cdef double* sums = s.record_metrics + slot * s.n_metrics
    if s.tiny and not clips(s):
        total = s.tiny_loss
    else:
        for i in range(n):
            total += s.row_loss[s.place[i]]
    for q in range(s.n_metrics):
        sums[q] = 0
        for i in range(n):
            sums[q] += s.row_metrics[s.place[i] * s.n_metrics + q]
    record.loss = total / n
    record.n = n
    record.epoch, record.batch, record.rows_done = s.epoch, s.batch, s.rows_done
    s.step += 1
    s.rows_done += n
    s.batch += 1
    record.ends_epoch = s.rows_done == s.n_rows
    if record.ends_epoch:
        s.rows_done = s.batch = 0
        s.epoch += 1
        s.epochs_passed += 1
        if s.epochs_passed == s.epochs_wanted:
            s.stop = 1
    if s.steps_left > 0:
        s.steps_left -= 1
        if s.steps_left == 0:
            s.stop = 1
    for h in range(s.n_layers):
        if not s.layers[h].finite[slot]:
            s.stop = 1
    if not isfinite(record.loss):
        s.stop = 1
    if s.window.size == 1:
        close_window(s, 1)
    elif slot + 1 == s.window.size:
        close_window(s, slot + 1)
    else:
        enter_slot(s, slot + 1)


cdef void close_window(State* s, int n_steps) noexcept nogil:
    """Take in the window's steps, which every row of weights has made by now: losses, metrics,
    divergence."""
    cdef int slot, h, q
    cdef StepRecord* record
    for slot in range(n_steps):
        record = &s.records[slot]
        s.batch_loss = record.loss + penalty_sum(s, slot)
        for h in range(s.n_layers):
            if not s.layers[h].finite[slot]:
                s.diverged_layer = h
                break
        if s.diverged_layer == -2 and not isfinite(s.batch_loss):
            s.diverged_layer = -1
        if s.diverged_layer != -2:
            s.epoch, s.batch, s.rows_done = record.epoch, record.batch, record.rows_done
            s.diverged_epoch = record.epoch
            s.stop = 1
            break
        s.loss_sum += s.batch_loss * record.n
        s.rows_summed += record.n
        for q in range(s.n_metrics):
            s.metric_sums[q] += s.record_metrics[slot * s.n_metrics + q]
        if record.ends_epoch:
            s.losses_out[s.epochs_ended] = s.loss_sum / s.rows_summed
            for q in range(s.n_metrics):
                s.metrics_out[s.epochs_ended * s.n_metrics + q] = s.metric_sums[q] / s.rows_summed
                s.metric_sums[q] = 0
            s.loss_sum = 0
            s.rows_summed = 0
            s.epochs_ended += 1
    if s.window.size > 1:
        enter_slot(s, 0)


cdef void train_team(State* s, int tid, int n_threads) noexcept nogil:
    """Steps until the call's epochs have ended, its time is up, or the run has diverged."""
    cdef int n, h, start, stop, in_parts, clock = 0
    cdef int clock_every = 1 if <double>s.n_params * s.batch_size > 5e5 else 64
    cdef int whole = s.batch_size >= s.n_rows and not s.shuffle
    cdef unsigned long long state = denormals_off()
    if tid == 0:
        s.threads_used = n_threads
    if s.parts != NULL and tid < groups_of_threads(s, n_threads):
        begin_part(s, s.parts[tid])
    while True:
        if tid == 0 and s.shuffle and s.order_epoch != s.epoch:
            philox_shuffle(s.seed, s.epoch, s.n_rows, s.order)
            s.order_epoch = s.epoch
        team_barrier(&s.gate, n_threads)
        n = <int>min(<long long>s.batch_size, s.n_rows - s.batch * s.batch_size)
        in_parts = s.parts != NULL and rows_of_part(s, n) > 0
        if not in_parts and not (whole and s.loaded):
            if s.may_order:
                if tid == 0:
                    order_batch(s, n)
                team_barrier(&s.gate, n_threads)
            share(n, 1, tid, n_threads, &start, &stop)
            load_rows(s, s.batch * s.batch_size, start, stop)
            team_barrier(&s.gate, n_threads)
            if s.tiny and tid == 0:
                fill_columns(s, n)
        if in_parts:
            parts_team(s, n, tid, n_threads)
        else:
            step_team(s, n, tid, n_threads)
        if s.grouped:
            group_team(s, True, tid, n_threads)
        if tid == 0:
            s.loaded = 1
            end_step(s, n)
            clock += 1
            if clock >= clock_every:
                clock = 0
                if seconds_now() > s.deadline:
                    s.stop = 1
        team_barrier(&s.gate, n_threads)
        if s.stop:
            break
    if s.window.slot > 0:
        for h in range(s.n_layers):
            if s.layers[h].may_wait:
                update_late(s, &s.layers[h], s.iota, s.layers[h].n_in, tid, n_threads)
        team_barrier(&s.gate, n_threads)
        if tid == 0:
            close_window(s, s.window.slot)
    denormals_restore(state)
