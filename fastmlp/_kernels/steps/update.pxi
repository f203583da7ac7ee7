# What an optimizer's step takes besides the gradient: its scalars, penalties, and the norms that
# groups shrink by and the gradient is clipped by.

cdef enum:
    # The largest threshold of a proximal step, in learning rates: more than any step that Adam
    # (3.2 by default) and RMSprop make, so that what is held at zero stays there.
    PROX_STEPS = 10


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
        if stepped and tid == 0:
            s.ran |= RAN_GROUP_INPUTS if layer.by_input else RAN_GROUP_UNITS
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
                             s.params + at, s.slots[0] + at, s.slots[1] + at, norm)
            group_norm(rows, n, step, s.params + at, norm + layer.n_norms)
            if not stepped:
                memcpy(norm, norm + layer.n_norms, (1 if rows else VL) * sizeof(double))
    team_barrier(&s.gate, n_threads)


cdef inline long long pieces(size_t size) noexcept nogil:
    """Pieces of 4096 entries that an array's squares are summed by."""
    return (size + 4095) // 4096


cdef long long square_parts(State* s, size_t at, size_t size, int frozen, long long piece,
                            int tid, int n_threads) noexcept nogil:
    """Sums of squares of one array of the stored gradient, by fixed pieces of 4096 entries, into
    norms from number `piece` on; returns the number after the last. A frozen array counts as 0."""
    cdef size_t i, start, stop
    cdef double total
    for start in range(0, size, 4096):
        if piece % n_threads == tid:
            total = 0
            stop = start if frozen else min(start + 4096, size)
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
            last = square_parts(s, layer.w_at, layer.n_rows * layer.ldw, layer.frozen, last, tid,
                                n_threads)
            last = square_parts(s, layer.b_at, layer.ld, layer.frozen, last, tid, n_threads)
        team_barrier(&s.gate, n_threads)
    if s.clip_norm > 0:
        rule.scale = norm_scale(s, 0, last, s.clip_norm)
        if tid == 0 and rule.scale < 1:
            s.ran |= RAN_CLIP_NORM
    if tid == 0 and s.clip_value > 0:
        s.ran |= RAN_CLIP_VALUE
    for h in range(s.n_layers):
        layer = &s.layers[h]
        if layer.frozen:
            first += pieces(layer.n_rows * layer.ldw) + pieces(layer.ld)
            continue
        share(layer.n_rows, 1, tid, n_threads, &start, &stop)
        at = layer.w_at + start * layer.ldw
        n = (stop - start) * layer.ldw // VL
        sums_reset(&sums)
        if s.clip_array_norm > 0:
            last = first + pieces(layer.n_rows * layer.ldw)
            rule.scale = norm_scale(s, first, last, s.clip_array_norm)
            first = last
            if tid == 0 and rule.scale < 1:
                s.ran |= RAN_CLIP_ARRAY
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
