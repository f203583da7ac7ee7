/* Networks of one shape side by side: each lane of a vector is a network of its own.
 *
 * One hidden layer between few inputs and few outputs, as in shallow.h, whose order of operations
 * is kept element by element, so a network in a stack has the bits of the same network alone. Where
 * shallow.h sums over the lanes of a vector, the same tree of `ref` partial sums is followed here;
 * `ref` is the vector length of the kernels that would serve the lone network, not of these.
 */
#ifndef FASTMLP_STACKED_H
#define FASTMLP_STACKED_H

#include "losses.h"
#include "shallow.h"

#define STACKED_OUTPUTS 64                      /* at most */
#define STACKED_ROWS 4                          /* rows that go forward together */
#define STACKED_CHUNK 4096                      /* rows between two looks at the watch */
#define STACKED_UNITS (VBYTES == 64 ? 4 : 2)    /* units that go backward together */

/* Apart from one another: together they are too much for some compilers. */
#define NOINLINE __attribute__((noinline))

/* A vector of doubles for each part of a vector of `real`. */
#if REAL_IS_DOUBLE
#define VPARTS 1
typedef vreal vpart_u;
#else
#define VPARTS 2
typedef float vpart_u __attribute__((vector_size(VBYTES / 2), may_alias, aligned(4)));
#endif
#define VDL ((int)(VBYTES / sizeof(double)))
typedef double vdouble __attribute__((vector_size(VBYTES), may_alias));

/* Arrays of vectors; offsets and distances count vectors. Hidden units are padded to a multiple of
 * `ref` by units whose weights are zero. Parameters, moments and gradient alike: w [n_in, n_units],
 * b [n_units] of the hidden layer, wt [n_out, n_units], bt [n_out] of the output layer. */
typedef struct {
    int n_in, n_hidden, n_units, n_out, n_targets, act, act_out, ref, use_bias_out, has_z;
    int loss;
    double huber_delta;
    penalty_rule pen, pen_b, pen_t, pen_bt;
    real *params, *m, *v, *gradient, *total;
    real *x, *targets, *weight;  /* of the batch: [n, n_in], [n, n_targets], [n] or NULL */
    real *y, *z, *dz;            /* [n, n_out] */
    double *batch_loss, *penalty;  /* [VL] */
    double *panels;                /* [panels of hidden units, VL]: penalties of the output layer */
    real *finite;                  /* [VL]: NaN for networks that have diverged */
    watch *watched;                /* whether to stop in the midst of a step */
} stacked_net;

INLINE size_t stacked_b(const stacked_net *s) { return (size_t)s->n_in * s->n_units; }
INLINE size_t stacked_wt(const stacked_net *s) { return stacked_b(s) + s->n_units; }
INLINE size_t stacked_bt(const stacked_net *s) {
    return stacked_wt(s) + (size_t)s->n_out * s->n_units;
}
INLINE size_t stacked_size(const stacked_net *s) { return stacked_bt(s) + s->n_out; }

INLINE void stacked_note(const stacked_net *s, const update_sums *sums) {
    vstore(s->finite, vload(s->finite) + sums->finite);
}

/* activate(), with one instruction for ReLU: max(0, z) is z where z is NaN or both are zeros. */
INLINE vreal stacked_act(const int act, vreal z) {
    if (act != ACT_RELU) return activate(act, z);
#if defined(__AVX512F__) && REAL_IS_DOUBLE
    return (vreal)_mm512_max_pd(_mm512_setzero_pd(), (__m512d)z);
#elif defined(__AVX512F__)
    return (vreal)_mm512_max_ps(_mm512_setzero_ps(), (__m512)z);
#elif defined(__AVX2__) && REAL_IS_DOUBLE
    return (vreal)_mm256_max_pd(_mm256_setzero_pd(), (__m256d)z);
#elif defined(__AVX2__)
    return (vreal)_mm256_max_ps(_mm256_setzero_ps(), (__m256)z);
#elif defined(__x86_64__) && REAL_IS_DOUBLE
    return (vreal)_mm_max_pd(_mm_setzero_pd(), (__m128d)z);
#elif defined(__x86_64__)
    return (vreal)_mm_max_ps(_mm_setzero_ps(), (__m128)z);
#else
    return activate(act, z);
#endif
}

INLINE vreal stacked_act_backward(const int act, vreal d, vreal h, vreal z) {
#if defined(__AVX512F__) && !REAL_IS_DOUBLE
    if (act == ACT_RELU)
        return (vreal)_mm512_maskz_mov_ps(
            _mm512_cmp_ps_mask((__m512)h, _mm512_setzero_ps(), _CMP_GT_OQ), (__m512)d);
#elif defined(__x86_64__) && VBYTES == 16 && REAL_IS_DOUBLE
    /* Written out: gcc 12 fails on the comparison that activate_backward() has. */
    if (act == ACT_RELU)
        return (vreal)_mm_and_pd(_mm_cmpgt_pd((__m128d)h, _mm_setzero_pd()), (__m128d)d);
#endif
    return activate_backward(act, d, h, z);
}

/* ---- forward ---- */

#define STACKED_ARGS const int ref, const int act, const int n_in, const int n_out, const int mr, \
                     const stacked_net *s, const real *x, int e
#define STACKED_PASS ref, act, n_in, n_out, mr, s, x
#define STACKED_SUMS vreal sums[STACKED_ROWS][SHALLOW_OUTPUTS]

/* Sums over the units e, e + ref, ...: what lane e of the lone network's vectors holds. */
INLINE void stacked_lane(STACKED_ARGS, STACKED_SUMS) {
    for (int r = 0; r < mr; r++)
        for (int j = 0; j < n_out; j++) sums[r][j] = vzero();
    for (int u = e; u < s->n_units; u += ref) {
        vreal w[SHALLOW_INPUTS];
        for (int k = 0; k < n_in; k++)
            w[k] = vload(s->params + ((size_t)k * s->n_units + u) * VL);
        const vreal b = vload(s->params + (stacked_b(s) + u) * VL);
        for (int r = 0; r < mr; r++) {
            vreal z = vzero();
            for (int k = 0; k < n_in; k++) z = vfma(vload(x + (r * n_in + k) * VL), w[k], z);
            const vreal h = stacked_act(act, z + b);
            for (int j = 0; j < n_out; j++) {
                const real *wt = s->params + (stacked_wt(s) + (size_t)j * s->n_units + u) * VL;
                sums[r][j] = vfma(h, vload(wt), sums[r][j]);
            }
        }
    }
}

/* vsum's tree: entry e once the lanes have been added down to STEP of them. */
#define STACKED_NODE(STEP, NAME, NEXT)                                    \
    INLINE void NAME(STACKED_ARGS, STACKED_SUMS) {                        \
        if (ref <= STEP) {                                                \
            stacked_lane(STACKED_PASS, e, sums);                          \
            return;                                                       \
        }                                                                 \
        vreal upper[STACKED_ROWS][SHALLOW_OUTPUTS];                       \
        NEXT(STACKED_PASS, e, sums);                                      \
        NEXT(STACKED_PASS, e + STEP, upper);                              \
        for (int r = 0; r < mr; r++)                                      \
            for (int j = 0; j < n_out; j++) sums[r][j] += upper[r][j];    \
    }
STACKED_NODE(8, stacked_node8, stacked_lane)
STACKED_NODE(4, stacked_node4, stacked_node8)
STACKED_NODE(2, stacked_node2, stacked_node4)
STACKED_NODE(1, stacked_node1, stacked_node2)

/* The same tree for any network, by way of memory. */
INLINE void stacked_tree(STACKED_ARGS, STACKED_SUMS) {
    vreal lanes[16][STACKED_ROWS][SHALLOW_OUTPUTS];
    for (; e < ref; e++) stacked_lane(STACKED_PASS, e, lanes[e]);
    for (int h = ref / 2; h > 0; h /= 2)
        for (int a = 0; a < h; a++)
            for (int r = 0; r < mr; r++)
                for (int j = 0; j < n_out; j++) lanes[a][r][j] += lanes[a + h][r][j];
    for (int r = 0; r < mr; r++)
        for (int j = 0; j < n_out; j++) sums[r][j] = lanes[0][r][j];
}

INLINE void stacked_rows(const int unrolled, const int ref, const int act, const int n_in,
                         const int n_out, const int mr, const stacked_net *s, int i) {
    vreal sums[STACKED_ROWS][SHALLOW_OUTPUTS];
    const real *x = s->x + (size_t)i * n_in * VL;
    if (unrolled) stacked_node1(STACKED_PASS, 0, sums);
    else stacked_tree(STACKED_PASS, 0, sums);
    for (int r = 0; r < mr; r++)
        for (int j = 0; j < n_out; j++) {
            const size_t at = ((size_t)(i + r) * n_out + j) * VL;
            const vreal z = sums[r][j] + vload(s->params + (stacked_bt(s) + j) * VL);
            if (s->has_z) vstore(s->z + at, z);
            vstore(s->y + at, z);
        }
}

INLINE void stacked_forward_case(const int unrolled, const int ref, const int act, const int n_in,
                                 const int n_out, const stacked_net *s, int n) {
    int i = 0;
    if (unrolled)
        for (; i + STACKED_ROWS <= n; i += STACKED_ROWS)
            stacked_rows(1, ref, act, n_in, n_out, STACKED_ROWS, s, i);
    for (; i < n; i++) stacked_rows(0, ref, act, n_in, n_out, 1, s, i);
}

static NOINLINE void stacked_forward(const stacked_net *s, int n) {
    if (s->act == ACT_RELU && s->n_in == 1 && s->n_out == 1 && s->ref == 8)
        stacked_forward_case(1, 8, ACT_RELU, 1, 1, s, n);
    else if (s->act == ACT_RELU && s->n_in == 1 && s->n_out == 1 && s->ref == 16)
        stacked_forward_case(1, 16, ACT_RELU, 1, 1, s, n);
    else if (s->act == ACT_RELU)
        stacked_forward_case(0, s->ref, ACT_RELU, s->n_in, s->n_out, s, n);
    else if (s->act == ACT_TANH)
        stacked_forward_case(0, s->ref, ACT_TANH, s->n_in, s->n_out, s, n);
    else
        stacked_forward_case(0, s->ref, s->act, s->n_in, s->n_out, s, n);
    if (s->act_out == ACT_LINEAR) return;
    for (int i = 0; i < n * s->n_out; i++)
        vstore(s->y + (size_t)i * VL, activate(s->act_out, vload(s->y + (size_t)i * VL)));
}

/* ---- loss ---- */

INLINE vdouble stacked_wide(const real *p) {
#if REAL_IS_DOUBLE
    return vload(p);
#else
    return __builtin_convertvector(*(const vpart_u *)p, vdouble);
#endif
}

INLINE void stacked_narrow(real *p, vdouble d) {
#if REAL_IS_DOUBLE
    vstore(p, d);
#else
    *(vpart_u *)p = __builtin_convertvector(d, vpart_u);
#endif
}

/* Squared error of linear outputs. */
INLINE void stacked_squares(const int J, stacked_net *s, int n, int n_batch) {
    const vdouble one = (vdouble){0} + 1.0, even = one / (double)n_batch;
    const real *weight = s->weight;
    for (int part = 0; part < VPARTS; part++) {
        const int at = part * VDL;
        const real *y = s->y + at, *t = s->targets + at;
        real *dz = s->dz + at;
        vdouble total = *(const vdouble *)(s->batch_loss + at);
        for (int i = 0; i < n; i++, y += J * VL, t += J * VL, dz += J * VL) {
            vdouble w = one, scale = even, sum = {0};
            if (weight) {
                w = stacked_wide(weight + (size_t)i * VL + at);
                scale = w / (double)n_batch;
            }
            for (int j = 0; j < J; j++) {
                const vdouble e = stacked_wide(y + j * VL) - stacked_wide(t + j * VL);
                sum += e * e;
                stacked_narrow(dz + j * VL, 2 * e / (double)J * scale);
            }
            sum /= (double)J;
            total += w * sum;
        }
        *(vdouble *)(s->batch_loss + at) = total;
    }
}

/* Any loss, a network at a time. */
static NOINLINE void stacked_score(stacked_net *s, int n, int n_batch) {
    const int J = s->n_out;
    for (int i = 0; i < n; i++) {
        real *yi = s->y + (size_t)i * J * VL, *zi = s->z + (size_t)i * J * VL;
        real *di = s->dz + (size_t)i * J * VL;
        int from_logits = 0;
        for (int e = 0; e < VL; e++) {
            real p[STACKED_OUTPUTS], z[STACKED_OUTPUTS], t[STACKED_OUTPUTS];
            double grad[STACKED_OUTPUTS];
            for (int j = 0; j < J; j++) {
                p[j] = yi[j * VL + e];
                if (s->has_z) z[j] = zi[j * VL + e];
            }
            for (int j = 0; j < s->n_targets; j++)
                t[j] = s->targets[((size_t)i * s->n_targets + j) * VL + e];
            const double w = s->weight ? s->weight[(size_t)i * VL + e] : 1;
            const real *logits = s->has_z ? z : NULL;
            s->batch_loss[e] += w * loss_row(s->loss, s->act_out, J, s->huber_delta, p, logits, t,
                                             0, grad, &from_logits);
            const double scale = w / n_batch;
            for (int j = 0; j < J; j++) di[j * VL + e] = (real)(grad[j] * scale);
        }
        if (from_logits) continue;
        if (s->act_out == ACT_SOFTMAX) {
            for (int e = 0; e < VL; e++) {
                real p[STACKED_OUTPUTS], d[STACKED_OUTPUTS];
                for (int j = 0; j < J; j++) {
                    p[j] = yi[j * VL + e];
                    d[j] = di[j * VL + e];
                }
                softmax_backward_row(J, p, d);
                for (int j = 0; j < J; j++) di[j * VL + e] = d[j];
            }
            continue;
        }
        for (int j = 0; j < J; j++) {
            const vreal z = s->has_z ? vload(zi + j * VL) : vzero();
            vstore(di + j * VL,
                   activate_backward(s->act_out, vload(di + j * VL), vload(yi + j * VL), z));
        }
    }
}

/* Losses and their gradients for n rows of a batch of n_batch; sums go on from earlier rows. */
static NOINLINE void stacked_loss(stacked_net *s, int n, int n_batch) {
    const int squares = s->loss == LOSS_MSE && s->act_out == ACT_LINEAR;
    if (squares && s->n_out == 1) stacked_squares(1, s, n, n_batch);
    else if (squares) stacked_squares(s->n_out, s, n, n_batch);
    else stacked_score(s, n, n_batch);
}

/* ---- backward ---- */

/* Gradients of the units [u, u + nu). */
INLINE void stacked_units(const int act, const int n_in, const int n_out, const int nu,
                          const stacked_net *s, int n, int u) {
    vreal w[STACKED_UNITS][SHALLOW_INPUTS], wt[STACKED_UNITS][SHALLOW_OUTPUTS];
    vreal dw[STACKED_UNITS][SHALLOW_INPUTS], dwt[STACKED_UNITS][SHALLOW_OUTPUTS];
    vreal b[STACKED_UNITS], db[STACKED_UNITS];
    for (int c = 0; c < nu; c++) {
        for (int k = 0; k < n_in; k++) {
            w[c][k] = vload(s->params + ((size_t)k * s->n_units + u + c) * VL);
            dw[c][k] = vzero();
        }
        for (int j = 0; j < n_out; j++) {
            wt[c][j] = vload(s->params + (stacked_wt(s) + (size_t)j * s->n_units + u + c) * VL);
            dwt[c][j] = vzero();
        }
        b[c] = vload(s->params + (stacked_b(s) + u + c) * VL);
        db[c] = vzero();
    }
    for (int i = 0; i < n; i++) {
        vreal x[SHALLOW_INPUTS], out[SHALLOW_OUTPUTS];
        for (int k = 0; k < n_in; k++) x[k] = vload(s->x + ((size_t)i * n_in + k) * VL);
        for (int j = 0; j < n_out; j++) out[j] = vload(s->dz + ((size_t)i * n_out + j) * VL);
        for (int c = 0; c < nu; c++) {
            vreal z = vzero(), d = vzero();
            for (int k = 0; k < n_in; k++) z = vfma(x[k], w[c][k], z);
            z = z + b[c];
            const vreal h = stacked_act(act, z);
            for (int j = 0; j < n_out; j++) {
                d = vfma(out[j], wt[c][j], d);
                dwt[c][j] = vfma(out[j], h, dwt[c][j]);
            }
            d = stacked_act_backward(act, d, h, z);
            for (int k = 0; k < n_in; k++) dw[c][k] = vfma(x[k], d, dw[c][k]);
            db[c] = d + db[c];
        }
    }
    for (int c = 0; c < nu; c++) {
        for (int k = 0; k < n_in; k++)
            vstore(s->gradient + ((size_t)k * s->n_units + u + c) * VL, dw[c][k]);
        for (int j = 0; j < n_out; j++)
            vstore(s->gradient + (stacked_wt(s) + (size_t)j * s->n_units + u + c) * VL, dwt[c][j]);
        vstore(s->gradient + (stacked_b(s) + u + c) * VL, db[c]);
    }
}

INLINE void stacked_backward_case(const int act, const int n_in, const int n_out,
                                  const stacked_net *s, int n) {
    int u = 0;
    if (__builtin_constant_p(n_in) && n_in == 1 && n_out == 1)
        for (; u + STACKED_UNITS <= s->n_hidden && !stopped(s->watched); u += STACKED_UNITS)
            stacked_units(act, n_in, n_out, STACKED_UNITS, s, n, u);
    for (; u < s->n_hidden && !stopped(s->watched); u++)
        stacked_units(act, n_in, n_out, 1, s, n, u);
}

static NOINLINE void stacked_backward(const stacked_net *s, int n) {
    if (s->act == ACT_RELU && s->n_in == 1 && s->n_out == 1)
        stacked_backward_case(ACT_RELU, 1, 1, s, n);
    else if (s->act == ACT_RELU)
        stacked_backward_case(ACT_RELU, s->n_in, s->n_out, s, n);
    else if (s->act == ACT_TANH)
        stacked_backward_case(ACT_TANH, s->n_in, s->n_out, s, n);
    else
        stacked_backward_case(s->act, s->n_in, s->n_out, s, n);
    for (int j = 0; j < s->n_out; j++) {
        vreal db = vzero();
        for (int i = 0; i < n; i++) db = vload(s->dz + ((size_t)i * s->n_out + j) * VL) + db;
        vstore(s->gradient + (stacked_bt(s) + j) * VL, db);
    }
}

/* ---- update ---- */

INLINE void stacked_update(stacked_net *s, const update_rule *rule, penalty_rule pen, size_t at,
                           int n_vec, update_sums *sums) {
    at *= VL;
    update_span(rule, pen, n_vec, s->params + at, s->gradient + at, s->m + at, s->v + at, sums);
}

/* sums_penalty of each network, from the sums that its vectors' lanes would hold. */
static void stacked_penalty(const update_sums *lanes, int ref, penalty_rule pen, double *out) {
    for (int e = 0; e < VL; e++) {
        real sum_abs[16], sum_sq[16];
        for (int a = 0; a < ref; a++) {
            sum_abs[a] = lanes[a].sum_abs[e];
            sum_sq[a] = lanes[a].sum_sq[e];
        }
        for (int h = ref / 2; h > 0; h /= 2)
            for (int a = 0; a < h; a++) {
                sum_abs[a] += sum_abs[a + h];
                sum_sq[a] += sum_sq[a + h];
            }
        double value = 0;
        if (pen.l1 != 0) value += (double)pen.l1 * sum_abs[0];
        if (pen.l2 != 0) value += (double)pen.l2 * sum_sq[0];
        out[e] += value;
    }
}

/* Updates of every unit, and the penalty in the order in which the lone network adds it up: by
 * panels of units, all of the hidden layer before those of the output layer. */
static NOINLINE void stacked_update_penalised(stacked_net *s, const update_rule *rule) {
    update_sums sums[3][16];
    double part[3][VL];
    const int width = 2 * s->ref;
    memset(s->penalty, 0, VL * sizeof(double));
    for (int q = 0; q < s->n_hidden; q += width) {
        memset(part, 0, sizeof(part));
        for (int p = 0; p < 3; p++)
            for (int a = 0; a < s->ref; a++) sums_reset(&sums[p][a]);
        for (int u = q; u < q + width && u < s->n_hidden; u++) {
            const int a = u % s->ref;
            for (int k = 0; k < s->n_in; k++)
                stacked_update(s, rule, s->pen, (size_t)k * s->n_units + u, 1, &sums[0][a]);
            for (int j = 0; j < s->n_out; j++)
                stacked_update(s, rule, s->pen_t, stacked_wt(s) + (size_t)j * s->n_units + u, 1,
                               &sums[2][a]);
            stacked_update(s, rule, s->pen_b, stacked_b(s) + u, 1, &sums[1][a]);
        }
        stacked_penalty(sums[0], s->ref, s->pen, part[0]);
        stacked_penalty(sums[1], s->ref, s->pen_b, part[1]);
        stacked_penalty(sums[2], s->ref, s->pen_t, part[2]);
        for (int e = 0; e < VL; e++) {
            s->penalty[e] += part[0][e] + part[1][e];
            s->panels[q / width * VL + e] = part[2][e];
        }
        for (int p = 0; p < 3; p++)
            for (int a = 0; a < s->ref; a++) stacked_note(s, &sums[p][a]);
    }
    for (int q = 0; q < s->n_hidden; q += width)
        for (int e = 0; e < VL; e++) s->penalty[e] += s->panels[q / width * VL + e];
    if (!s->use_bias_out) return;
    memset(part, 0, sizeof(part));
    for (int a = 0; a < s->ref; a++) sums_reset(&sums[0][a]);
    for (int j = 0; j < s->n_out; j++)
        stacked_update(s, rule, s->pen_bt, stacked_bt(s) + j, 1, &sums[0][j % s->ref]);
    stacked_penalty(sums[0], s->ref, s->pen_bt, part[0]);
    for (int a = 0; a < s->ref; a++) stacked_note(s, &sums[0][a]);
    for (int e = 0; e < VL; e++) s->penalty[e] += part[0][e];
}

/* A step that is to stop leaves the weights as they were. */
static void stacked_step(stacked_net *s, const update_rule *rule, int n) {
    stacked_net part = *s;
    memset(s->batch_loss, 0, VL * sizeof(double));
    for (int i = 0; i < n && !stopped(s->watched); i += STACKED_CHUNK) {
        const int rows = n - i < STACKED_CHUNK ? n - i : STACKED_CHUNK;
        part.x = s->x + (size_t)i * s->n_in * VL;
        part.targets = s->targets + (size_t)i * s->n_targets * VL;
        if (s->weight) part.weight = s->weight + (size_t)i * VL;
        part.y = s->y + (size_t)i * s->n_out * VL;
        part.z = s->z + (size_t)i * s->n_out * VL;
        part.dz = s->dz + (size_t)i * s->n_out * VL;
        stacked_forward(&part, rows);
        stacked_loss(&part, rows, n);
    }
    stacked_backward(s, n);
    if (stopped(s->watched)) return;
    if (s->pen.l1 != 0 || s->pen.l2 != 0 || s->pen_b.l1 != 0 || s->pen_b.l2 != 0 ||
        s->pen_t.l1 != 0 || s->pen_t.l2 != 0 || s->pen_bt.l1 != 0 || s->pen_bt.l2 != 0) {
        stacked_update_penalised(s, rule);
        return;
    }
    update_sums sums;
    sums_reset(&sums);
    stacked_update(s, rule, s->pen, 0, (int)stacked_bt(s) + (s->use_bias_out ? s->n_out : 0),
                   &sums);
    stacked_note(s, &sums);
}

#endif
