/* One hidden layer of a few units: lanes run along the rows of the batch.
 *
 * In shallow.h, whose lanes run along units, most of a vector would be idle. Here a step for squared
 * error is one pass over the rows, in which every sum stays in registers; sums over rows are lanes'
 * sums, then the lanes' tree.
 */
#ifndef FASTMLP_TINY_H
#define FASTMLP_TINY_H

#include "shallow.h"

#define TINY_UNITS (VL / 2 < 4 ? VL / 2 : 4)
#define TINY_INPUTS 2

/* A batch by columns, n_vec vectors each; rows beyond its end have a weight of 0. */
typedef struct {
    int n_vec;
    ptrdiff_t ld;
    const real *x, *y, *weight; /* x: [n_in, ld] */
    const real *slope;          /* 2 * weight / rows */
    real *out;                  /* the network's outputs */
} tiny_batch;

/* A vector's numbers in double. */
typedef double vwide __attribute__((vector_size(VL * sizeof(double))));
INLINE double wide_sum(const vwide *a) {
    double t[VL];
    memcpy(t, a, sizeof(t));
    for (int h = VL / 2; h > 0; h /= 2)
        for (int i = 0; i < h; i++) t[i] += t[i + h];
    return t[0];
}

/* Updates one vector of parameters, of which the first n are in use, from their gradients' lanes. */
INLINE void tiny_update(const update_rule *rule, penalty_rule pen, int n, const vreal *lanes,
                        int step, size_t at, real *params, real *m, real *v, update_sums *sums) {
    real g[VL] __attribute__((aligned(VBYTES)));
    vreal sum = vzero();
    for (int u = 0; u < n; u++) sum[u] = vsum(lanes[u * step]);
    vstore(g, sum);
    update_span(rule, pen, 1, params + at, g, m + at, v + at, sums);
}

/* One optimizer step; returns the sum over rows of weight * error^2. sums: of the hidden layer's
 * weights and biases, and of the output's. */
INLINE double tiny_case(const int act, const int n_in, const int n_hidden, const shallow_net *net,
                        size_t b2_at, int use_b2, const tiny_batch *batch, const update_rule *rule,
                        real *params, real *m, real *v, update_sums sums[4]) {
    vreal w[TINY_UNITS][TINY_INPUTS], b[TINY_UNITS], wt[TINY_UNITS];
    vreal dw[TINY_UNITS][TINY_INPUTS], db[TINY_UNITS], dwt[TINY_UNITS], db2 = vzero();
    const vreal b2 = vset1(params[b2_at]);
    vwide loss = {0};
    for (int u = 0; u < n_hidden; u++) {
        for (int k = 0; k < n_in; k++) {
            w[u][k] = vset1(params[net->w_at + k * net->ldw + u]);
            dw[u][k] = vzero();
        }
        b[u] = vset1(params[net->b_at + u]);
        wt[u] = vset1(params[net->wt_at + u]);
        db[u] = dwt[u] = vzero();
    }
    for (int q = 0; q < batch->n_vec; q++) {
        vreal z[TINY_UNITS], h[TINY_UNITS], x[TINY_INPUTS], out = vzero();
        for (int k = 0; k < n_in; k++) x[k] = vload(batch->x + k * batch->ld + q * VL);
        for (int u = 0; u < n_hidden; u++) {
            z[u] = vzero();
            for (int k = 0; k < n_in; k++) z[u] = vfma(x[k], w[u][k], z[u]);
            z[u] += b[u];
            h[u] = activate(act, z[u]);
            out = vfma(h[u], wt[u], out);
        }
        out += b2;
        vstore(batch->out + q * VL, out);
        const vreal error = out - vload(batch->y + q * VL);
        const vreal dz = error * vload(batch->slope + q * VL);
        const vwide wide = __builtin_convertvector(error, vwide);
        loss += __builtin_convertvector(vload(batch->weight + q * VL), vwide) * (wide * wide);
        db2 += dz;
        for (int u = 0; u < n_hidden; u++) {
            dwt[u] = vfma(dz, h[u], dwt[u]);
            const vreal d = activate_backward(act, dz * wt[u], h[u], z[u]);
            db[u] += d;
            for (int k = 0; k < n_in; k++) dw[u][k] = vfma(x[k], d, dw[u][k]);
        }
    }
    for (int k = 0; k < n_in; k++)
        tiny_update(rule, net->pen, n_hidden, &dw[0][k], TINY_INPUTS, net->w_at + k * net->ldw,
                    params, m, v, &sums[0]);
    tiny_update(rule, net->pen_b, n_hidden, db, 1, net->b_at, params, m, v, &sums[1]);
    tiny_update(rule, net->pen_t, n_hidden, dwt, 1, net->wt_at, params, m, v, &sums[2]);
    if (use_b2) tiny_update(rule, net->pen_b2, 1, &db2, 1, b2_at, params, m, v, &sums[3]);
    return wide_sum(&loss);
}

static double tiny_step(const shallow_net *net, size_t b2_at, int use_b2, const tiny_batch *batch,
                        const update_rule *rule, real *params, real *m, real *v,
                        update_sums sums[4]) {
#define CASE(ACT, K, U)                                                                         \
    if (net->n_in == K && net->n_hidden == U)                                                   \
    return tiny_case(ACT, K, U, net, b2_at, use_b2, batch, rule, params, m, v, sums)
#define UNITS_OF(ACT, K)                                                                        \
    CASE(ACT, K, 1);                                                                            \
    if (TINY_UNITS > 1) { CASE(ACT, K, 2); }                                                    \
    if (TINY_UNITS > 2) { CASE(ACT, K, 3); CASE(ACT, K, 4); }
    if (net->act == ACT_RELU) {
        UNITS_OF(ACT_RELU, 1) UNITS_OF(ACT_RELU, 2)
    } else if (net->act == ACT_TANH) {
        UNITS_OF(ACT_TANH, 1) UNITS_OF(ACT_TANH, 2)
    }
    return tiny_case(net->act, net->n_in, net->n_hidden, net, b2_at, use_b2, batch, rule, params, m,
                     v, sums);
#undef UNITS_OF
#undef CASE
}

#endif
