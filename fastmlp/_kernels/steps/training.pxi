# One optimizer step, and the epoch loop without the interpreter. Every function here is run by
# all threads of a team at once; barriers stand where one thread reads what another wrote.

cdef inline int leaves_before_update(State* s, int stored, int tid, int n_threads) noexcept nogil:
    """The barrier after which weights change: whether the step is left here. One that could not
    be undone is then carried to its end; with `stored` there is only a gradient yet."""
    if tid == 0:
        s.abandoned = s.watch.cancelled
    team_barrier(&s.gate, n_threads)
    if s.watched and not stored and s.undo == NULL:
        if tid == 0:
            s.watch.on = 0
        team_barrier(&s.gate, n_threads)
    return s.abandoned


cdef void remember_team(State* s, int back, int tid, int n_threads) noexcept nogil:
    """Copy parameters and moments as they are before a step, or with `back` put them back."""
    cdef int slot
    cdef size_t start = s.n_params * tid // n_threads, stop = s.n_params * (tid + 1) // n_threads
    cdef real* values
    cdef real* copy
    for slot in range(3 if s.optimizer != OPT_SGD else 1):
        values = (s.params if slot == 0 else s.slots[slot - 1]) + start
        copy = s.undo + slot * s.n_params + start
        memcpy(values if back else copy, copy if back else values, (stop - start) * sizeof(real))
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
            s.ran |= RAN_TINY
            s.abandoned = s.watch.cancelled
            if not s.abandoned:
                tiny_thread(s, n, &s.rule, s.slots[0], s.slots[1])
        team_barrier(&s.gate, n_threads)
        return
    if not clipped and s.shallow:
        if tid == 0:
            s.ran |= RAN_SHALLOW
        team_barrier(&s.gate, n_threads)
        shallow_team(s, n, &s.rule, s.slots[0], s.slots[1], tid, n_threads)
        return
    if tid == 0:
        s.ran |= RAN_LAYERS
    forward_team(s, s.xb, s.ldx, n, s.n_layers, FORWARD_TRAIN, tid, n_threads)
    share(n, SCORED_ROWS, tid, n_threads, &start, &stop)
    phase(PHASE_SCORE)
    score_rows(s, n, s.yb, s.wb, 1, start, stop, tid)
    if leaves_before_update(s, clipped, tid, n_threads):
        return
    if clipped:
        store = s.rule
        store.kind = OPT_STORE
        backward_team(s, s.xb, s.ldx, n, &store, s.gradient, s.gradient, 1, tid, n_threads)
        if not leaves_before_update(s, 1, tid, n_threads):
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
    if n < s.batch_size:
        s.ran |= RAN_SMALLER
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


cdef inline int batch_rows(const State* s) noexcept nogil:
    """Rows of the batch that comes next."""
    return <int>min(<long long>s.batch_size, s.n_rows - s.batch * s.batch_size)


cdef inline int whole_batch(const State* s) noexcept nogil:
    """Whether all steps have the same rows in the same places."""
    return s.batch_size >= s.n_rows and not s.shuffle


cdef double begin_step(State* s) noexcept nogil:
    """What one thread does before a step while the others wait: the epoch's and the batch's order.
    Returns when it began, if that is watched."""
    cdef int n = batch_rows(s)
    if s.shuffle and s.order_epoch != s.epoch:
        philox_shuffle(s.seed, s.epoch, s.n_rows, s.order)
        s.order_epoch = s.epoch
    if (s.may_order and not (whole_batch(s) and s.loaded)
            and not (s.parts != NULL and rows_of_part(s, n) > 0)):
        order_batch(s, n)
    if not s.watched:
        return 0
    s.watch.on = 1
    return seconds_now()


cdef void train_team(State* s, int tid, int n_threads) noexcept nogil:
    """Steps until the call's epochs have ended, its time is up, or the run has diverged."""
    cdef int n, h, start, stop, in_parts, clock = 0
    cdef double begun = 0
    cdef int clock_every = 1 if <double>s.n_params * s.batch_size > 5e5 else 64
    cdef unsigned long long state = denormals_off()
    if tid == 0:
        s.threads_used = n_threads
    if s.parts != NULL and tid < groups_of_threads(s, n_threads):
        begin_part(s, s.parts[tid])
    if tid == 0:
        begun = begin_step(s)
    team_barrier(&s.gate, n_threads)
    while True:
        if s.undo != NULL:
            remember_team(s, 0, tid, n_threads)
        n = batch_rows(s)
        in_parts = s.parts != NULL and rows_of_part(s, n) > 0
        if not in_parts and not (whole_batch(s) and s.loaded):
            phase(PHASE_LOAD)
            share(n, 1, tid, n_threads, &start, &stop)
            load_rows(s, s.batch * s.batch_size, start, stop)
            team_barrier(&s.gate, n_threads)
            if s.tiny and tid == 0:
                fill_columns(s, n)
        if in_parts:
            parts_team(s, n, tid, n_threads)
        else:
            step_team(s, n, tid, n_threads)
        phase(PHASE_OTHER)
        if s.grouped and not s.abandoned:
            group_team(s, True, tid, n_threads)
        if tid == 0 and s.watch.cancelled:
            s.loaded = 0
            s.stop = 1
        elif tid == 0:
            s.loaded = 1
            end_step(s, n)
            if s.watched:
                s.step_seconds = seconds_now() - begun
            clock += 1
            if clock >= clock_every:
                clock = 0
                if seconds_now() > s.deadline:
                    s.stop = 1
            if not s.stop:
                begun = begin_step(s)
        team_barrier(&s.gate, n_threads)
        if s.stop:
            break
    if s.watch.cancelled and not s.abandoned:
        remember_team(s, 1, tid, n_threads)
    if s.window.slot > 0:
        for h in range(s.n_layers):
            if s.layers[h].may_wait:
                update_late(s, &s.layers[h], s.iota, s.layers[h].n_in, tid, n_threads)
        team_barrier(&s.gate, n_threads)
        if tid == 0:
            close_window(s, s.window.slot)
    denormals_restore(state)
