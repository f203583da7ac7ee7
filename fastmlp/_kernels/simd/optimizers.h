/* Optimizer updates, a vector at a time, fused with the penalty's gradient and value.
 *
 * Pointers: w weights, g gradient of the data loss, m and v the optimizer's two moments.
 */
#ifndef FASTMLP_OPTIMIZERS_H
#define FASTMLP_OPTIMIZERS_H

#include "simd.h"

enum optimizer {
    OPT_STORE, OPT_SGD, OPT_MOMENTUM, OPT_NESTEROV, OPT_RMSPROP, OPT_ADAGRAD, OPT_ADAM
};

/* One step's scalars. rate is Adam's corrected rate there; decay is AdamW's rate * weight decay. */
typedef struct {
    int kind;
    real rate, decay, momentum, eps;
    real rho, rest_rho, beta_1, rest_1, beta_2, rest_2; /* rest: 1 less the one before */
    real scale, limit; /* gradients are multiplied by scale, then cut to +-limit (0: no limit) */
    real prox_rate, prox_limit; /* of a proximal step: its rate, and its largest threshold */
} update_rule;

/* Penalty of one layer's weights (or biases), and what an update gathers on its way:
 * sums of |w| and w^2 before the update, and a detector that turns NaN when a new weight or
 * second moment is not finite. l1 is taken as a subgradient; prox, an L1 penalty too, by soft
 * thresholding after the step, so that weights become exactly zero. */
typedef struct {
    real l1, l2, prox;
} penalty_rule;

typedef struct {
    vreal sum_abs, sum_sq, finite;
} update_sums;

INLINE vreal penalty_gradient(vreal g, vreal w, penalty_rule pen) {
    const vint minus = (vint)vset1((real)-0.0);
    g = vfma(vset1(2 * pen.l2), w, g);
    /* l1 with the sign of w, 0 where w is 0 */
    const vint signed_l1 = ((vint)w & minus) | (vint)vset1(pen.l1);
    return g + (vreal)(signed_l1 & (vint)(w != vzero()));
}

/* p moved towards 0 by t, and 0 within it; NaN stays. */
INLINE vreal soft_threshold(vreal p, vreal t) {
    const vreal moved = vselect(p > vzero(), p - t, p + t);
    return vselect(vabs(p) <= t, vzero(), moved);
}

/* The threshold of a proximal step over the divisor of the optimizer's own. Bounded: the second
 * moment of a dead unit goes to zero, and the quotient would explode. */
INLINE vreal prox_threshold(const update_rule *rule, penalty_rule pen, vreal divisor) {
    const vreal t = vset1(rule->prox_rate * pen.prox) / divisor, most = vset1(rule->prox_limit);
    return vselect(t > most, most, t);
}

/* Below this, eps would show the difference between vsqrt_quick and vsqrt. */
#define QUICK_EPS ((real)0x1p-25)

/* One vector of weights; penalised is 0, 1, or 2 for a proximal step. `quick`: eps is QUICK_EPS or
 * more. */
INLINE void update_vector(const int kind, const int penalised, const int quick,
                          const update_rule *rule, penalty_rule pen, real *w, const real *g,
                          real *m, real *v, update_sums *sums) {
    const vreal rate = vset1(rule->rate), eps = vset1(rule->eps);
    vreal p = vload(w), d = vload(g), t = vset1(rule->prox_rate * pen.prox);
    if (penalised) {
        sums->sum_abs += vabs(p);
        sums->sum_sq = vfma(p, p, sums->sum_sq);
        d = penalty_gradient(d, p, pen);
    }
    if (kind == OPT_STORE) {
        vstore(m, d);
        return;
    }
    if (kind == OPT_SGD) {
        p = vfma(-rate, d, p);
    } else if (kind == OPT_MOMENTUM || kind == OPT_NESTEROV) {
        const vreal mu = vset1(rule->momentum), step = rate * d;
        const vreal speed = vfma(mu, vload(m), -step);
        vstore(m, speed);
        p += kind == OPT_NESTEROV ? vfma(mu, speed, -step) : speed;
    } else if (kind == OPT_RMSPROP) {
        const vreal second = vfma(vset1(rule->rho), vload(v), vset1(rule->rest_rho) * d * d);
        const vreal divisor = (quick ? vsqrt_quick(second) : vsqrt(second)) + eps;
        vstore(v, second);
        p -= rate * d / divisor;
        if (penalised == 2) t = prox_threshold(rule, pen, divisor);
        sums->finite = vfma(second, vzero(), sums->finite);
    } else if (kind == OPT_ADAGRAD) {
        const vreal second = vfma(d, d, vload(m));
        const vreal divisor = vsqrt(second + eps);
        vstore(m, second);
        p -= rate * d / divisor;
        if (penalised == 2) t = prox_threshold(rule, pen, divisor);
        sums->finite = vfma(second, vzero(), sums->finite);
    } else {
        const vreal first = vfma(vset1(rule->beta_1), vload(m), vset1(rule->rest_1) * d);
        const vreal second = vfma(vset1(rule->beta_2), vload(v), vset1(rule->rest_2) * d * d);
        const vreal divisor = (quick ? vsqrt_quick(second) : vsqrt(second)) + eps;
        vstore(m, first);
        vstore(v, second);
        if (rule->decay != 0) p = vfma(vset1(-rule->decay), p, p);
        p -= rate * first / divisor;
        if (penalised == 2) t = prox_threshold(rule, pen, divisor);
        sums->finite = vfma(second, vzero(), sums->finite);
    }
    if (penalised == 2) p = soft_threshold(p, t);
    sums->finite = vfma(p, vzero(), sums->finite);
    vstore(w, p);
}

INLINE void update_case(const int kind, const int penalised, const update_rule *rule,
                        penalty_rule pen, int n_vec, real *w, const real *g, real *m, real *v,
                        update_sums *sums) {
    update_sums local = *sums;
    const update_rule fixed = *rule;
#define LOOP(QUICK)                                                                           \
    for (int q = 0; q < n_vec; q++)                                                           \
    update_vector(kind, penalised, QUICK, &fixed, pen, w + q * VL, g + q * VL, m + q * VL,    \
                  v + q * VL, &local)
    if ((kind == OPT_RMSPROP || kind == OPT_ADAM) && fixed.eps >= QUICK_EPS) LOOP(1);
    else LOOP(0);
#undef LOOP
    *sums = local;
}

/* Some rows, each with sums of its own; rows of the gradient lie ldg apart. */
INLINE void update_block_case(const int kind, const int penalised, const update_rule *rule,
                              penalty_rule pen, int rows, int n_vec, real *w, const real *g,
                              ptrdiff_t ldg, real *m, real *v, ptrdiff_t ld, update_sums *sums) {
    for (int r = 0; r < rows; r++)
        update_case(kind, penalised, rule, pen, n_vec, w + r * ld, g + r * ldg, m + r * ld,
                    v + r * ld, sums + r);
}

/* Calls F for the rule's kind, without, with or with a proximal penalty, as constants. */
#define FOR_RULE(F, ...)                                     \
    do {                                                     \
        const int penalised = pen.l1 != 0 || pen.l2 != 0;    \
        const int proximal = pen.prox != 0;                  \
        switch (rule->kind) {                                \
            RULE_CASE(F, OPT_STORE, __VA_ARGS__);            \
            RULE_CASE(F, OPT_SGD, __VA_ARGS__);              \
            RULE_CASE(F, OPT_MOMENTUM, __VA_ARGS__);         \
            RULE_CASE(F, OPT_NESTEROV, __VA_ARGS__);         \
            RULE_CASE(F, OPT_RMSPROP, __VA_ARGS__);          \
            RULE_CASE(F, OPT_ADAGRAD, __VA_ARGS__);          \
            RULE_CASE(F, OPT_ADAM, __VA_ARGS__);             \
            default: break;                                  \
        }                                                    \
    } while (0)
#define RULE_CASE(F, KIND, ...)                              \
    case KIND:                                               \
        if (proximal) F(KIND, 2, rule, pen, __VA_ARGS__);    \
        else if (penalised) F(KIND, 1, rule, pen, __VA_ARGS__); \
        else F(KIND, 0, rule, pen, __VA_ARGS__);             \
        break

/* Updates n_vec vectors in place; sums go on in the order of the calls. */
static void update_span(const update_rule *rule, penalty_rule pen, int n_vec, real *w,
                        const real *g, real *m, real *v, update_sums *sums) {
    FOR_RULE(update_case, n_vec, w, g, m, v, sums);
}

static void update_block(const update_rule *rule, penalty_rule pen, int rows, int n_vec, real *w,
                         const real *g, ptrdiff_t ldg, real *m, real *v, ptrdiff_t ld,
                         update_sums *sums) {
    FOR_RULE(update_block_case, rows, n_vec, w, g, ldg, m, v, ld, sums);
}

/* Scales and cuts a stored gradient in place, as clipping asks. */
static void clip_span(const update_rule *rule, int n_vec, real *g) {
    const vreal scale = vset1(rule->scale), limit = vset1(rule->limit);
    for (int q = 0; q < n_vec; q++) {
        vreal d = vload(g + q * VL) * scale;
        if (rule->limit > 0) {
            d = vselect(d > limit, limit, d);
            d = vselect(d < -limit, -limit, d);
        }
        vstore(g + q * VL, d);
    }
}

INLINE void sums_reset(update_sums *s) { s->sum_abs = s->sum_sq = s->finite = vzero(); }
/* Begins a penalty's sums; the detector goes on. */
INLINE void sums_restart(update_sums *s) { s->sum_abs = s->sum_sq = vzero(); }
/* The penalty that the sums stand for. */
INLINE double sums_penalty(const update_sums *s, penalty_rule pen) {
    double value = 0;
    if (pen.l1 != 0) value += (double)pen.l1 * vsum(s->sum_abs);
    if (pen.prox != 0) value += (double)pen.prox * vsum(s->sum_abs);
    if (pen.l2 != 0) value += (double)pen.l2 * vsum(s->sum_sq);
    return value;
}
INLINE int sums_finite(const update_sums *s) {
    return !vany((vint)(s->finite != s->finite));
}

#endif
