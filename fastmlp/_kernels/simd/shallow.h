/* One hidden layer between few inputs and few outputs, unit by unit.
 *
 * Such a network has hardly any products to do, and its hidden activations are its largest array.
 * Here they are never stored: forward forms them for a few rows at a time and sums the outputs,
 * backward forms them again, a panel of units at a time, beside every gradient of those units.
 * Each element is the same chain of operations as in tiles.h, so the bits are the same too.
 */
#ifndef FASTMLP_SHALLOW_H
#define FASTMLP_SHALLOW_H

#include "activations.h"
#include "optimizers.h"

#define SHALLOW_INPUTS 4
#define SHALLOW_OUTPUTS 4
#define SHALLOW_ROWS 8

/* Where the arrays of such a network lie: w [n_in, ldw] and b of the hidden layer, wt
 * [n_out, ldt] of the output layer, all three offsets into parameters and moments alike. */
typedef struct {
    int n_in, n_hidden, n_out, act;
    ptrdiff_t ldw, ldt, ldx, lddz;
    size_t w_at, b_at, wt_at;
    penalty_rule pen, pen_b, pen_t, pen_b2; /* b2: the output's biases */
} shallow_net;

INLINE vreal shallow_z(const int n_in, const real *x, const vreal *w, vreal b) {
    vreal z = vzero();
    for (int k = 0; k < n_in; k++) z = vfma(vset1(x[k]), w[k], z);
    return z + b;
}

/* Sums that become the outputs of mr rows: y[r, j] = sum over units of h[r, unit] * wt[j, unit]. */
INLINE void shallow_rows(const int act, const int n_in, const int n_out, const int mr,
                         const shallow_net *net, const real *params, const real *x, real *y,
                         ptrdiff_t ldy) {
    vreal acc[SHALLOW_ROWS][SHALLOW_OUTPUTS];
    for (int r = 0; r < mr; r++)
        for (int j = 0; j < n_out; j++) acc[r][j] = vzero();
    for (int q = 0; q < net->n_hidden; q += VL) {
        vreal w[SHALLOW_INPUTS], wt[SHALLOW_OUTPUTS];
        for (int k = 0; k < n_in; k++) w[k] = vload(params + net->w_at + k * net->ldw + q);
        for (int j = 0; j < n_out; j++) wt[j] = vload(params + net->wt_at + j * net->ldt + q);
        const vreal b = vload(params + net->b_at + q);
        for (int r = 0; r < mr; r++) {
            const vreal h = activate(act, shallow_z(n_in, x + r * net->ldx, w, b));
            for (int j = 0; j < n_out; j++) acc[r][j] = vfma(h, wt[j], acc[r][j]);
        }
    }
    for (int r = 0; r < mr; r++)
        for (int j = 0; j < n_out; j++) y[r * ldy + j] = vsum(acc[r][j]);
}

/* Gradients and updates of the units [q, q + VL), from the outputs' dz. */
INLINE void shallow_units(const int act, const int n_in, const int n_out, const shallow_net *net,
                          int q, int n, const real *x, const real *dz, const update_rule *rule,
                          real *params, real *m, real *v, update_sums sums[3]) {
    const size_t at = net->w_at + q, at_b = net->b_at + q, at_t = net->wt_at + q;
    vreal w[SHALLOW_INPUTS], wt[SHALLOW_OUTPUTS];
    vreal dw[SHALLOW_INPUTS], dwt[SHALLOW_OUTPUTS], db = vzero();
    for (int k = 0; k < n_in; k++) {
        w[k] = vload(params + at + k * net->ldw);
        dw[k] = vzero();
    }
    for (int j = 0; j < n_out; j++) {
        wt[j] = vload(params + at_t + j * net->ldt);
        dwt[j] = vzero();
    }
    const vreal b = vload(params + at_b), one = vset1(1);
    for (int i = 0; i < n; i++) {
        const real *xi = x + i * net->ldx, *di = dz + i * net->lddz;
        const vreal z = shallow_z(n_in, xi, w, b);
        const vreal h = activate(act, z);
        vreal d = vzero();
        for (int j = 0; j < n_out; j++) {
            const vreal out = vset1(di[j]);
            d = vfma(out, wt[j], d);
            dwt[j] = vfma(out, h, dwt[j]);
        }
        d = activate_backward(act, d, h, z);
        for (int k = 0; k < n_in; k++) dw[k] = vfma(vset1(xi[k]), d, dw[k]);
        db = vfma(one, d, db);
    }
    if (q + VL > net->n_hidden) { /* padding: an idle unit's output need not be zero there */
        for (int e = net->n_hidden - q; e < VL; e++) {
            for (int k = 0; k < n_in; k++) dw[k][e] = 0;
            for (int j = 0; j < n_out; j++) dwt[j][e] = 0;
            db[e] = 0;
        }
    }
    real g[VL] __attribute__((aligned(VBYTES)));
    for (int k = 0; k < n_in; k++) {
        const size_t here = at + k * net->ldw;
        vstore(g, dw[k]);
        update_span(rule, net->pen, 1, params + here, g, m + here, v + here, &sums[0]);
    }
    for (int j = 0; j < n_out; j++) {
        const size_t here = at_t + j * net->ldt;
        vstore(g, dwt[j]);
        update_span(rule, net->pen_t, 1, params + here, g, m + here, v + here, &sums[2]);
    }
    vstore(g, db);
    update_span(rule, net->pen_b, 1, params + at_b, g, m + at_b, v + at_b, &sums[1]);
}

/* Calls BODY with act, n_in and n_out as constants for the commonest networks. */
#define SHALLOW_SPECIALISE(BODY)                                              \
    if (net->act == ACT_RELU && net->n_in == 1 && net->n_out == 1) {          \
        BODY(ACT_RELU, 1, 1);                                                 \
    } else if (net->act == ACT_RELU) {                                        \
        BODY(ACT_RELU, net->n_in, net->n_out);                                \
    } else if (net->act == ACT_TANH) {                                        \
        BODY(ACT_TANH, net->n_in, net->n_out);                                \
    } else {                                                                  \
        BODY(net->act, net->n_in, net->n_out);                                \
    }

static void shallow_forward(const shallow_net *net, const real *params, int start, int stop,
                            const real *x, real *y, ptrdiff_t ldy) {
#define BODY(ACT, K, J)                                                                        \
    int i = start;                                                                             \
    for (; i + SHALLOW_ROWS <= stop; i += SHALLOW_ROWS)                                        \
        shallow_rows(ACT, K, J, SHALLOW_ROWS, net, params, x + i * net->ldx, y + i * ldy, ldy); \
    for (; i < stop; i++)                                                                      \
        shallow_rows(ACT, K, J, 1, net, params, x + i * net->ldx, y + i * ldy, ldy)
    SHALLOW_SPECIALISE(BODY)
#undef BODY
}

/* The panel of units that begins at q. */
static void shallow_backward(const shallow_net *net, int q, int n, const real *x, const real *dz,
                             const update_rule *rule, real *params, real *m, real *v,
                             update_sums sums[3]) {
#define BODY(ACT, K, J)                                                                      \
    for (int e = q; e < q + PANEL && e < net->n_hidden; e += VL)                             \
        shallow_units(ACT, K, J, net, e, n, x, dz, rule, params, m, v, sums)
    SHALLOW_SPECIALISE(BODY)
#undef BODY
}

#endif
