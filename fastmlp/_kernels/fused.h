/* Weight gradient and optimizer in one sweep.
 *
 * While the multiply-adds of one tile of gradients run, the tile before it is updated, a vector
 * at a time: the optimizer's square roots and divisions, and the fetching of weights and moments,
 * hide behind them. A gradient never leaves the first-level cache.
 */
#ifndef FASTMLP_FUSED_H
#define FASTMLP_FUSED_H

#include "optimizers.h"
#include "tiles.h"

#define TILE_ROWS 6

/* A tile of weights whose gradient g [rows, PANEL] is known and whose update is due. */
typedef struct {
    int rows; /* 0: none */
    real *w, *m, *v;
    ptrdiff_t ld;
    const real *g;
    update_sums *sums; /* one for each row */
} update_job;

static void update_tile(const update_rule *rule, penalty_rule pen, update_job *job) {
    for (int r = 0; r < job->rows; r++)
        update_span(rule, pen, 2, job->w + r * job->ld, job->g + r * PANEL, job->m + r * job->ld,
                    job->v + r * job->ld, &job->sums[r]);
    job->rows = 0;
}

/* g = the full tile of gradients of units kk, as weights_tile computes it; meanwhile the due job
 * is done, and the weights of the tile after this one (`next` is this one) are fetched. */
INLINE void fused_case(const int kind, const int penalised, int n, const int *kk, const real *x,
                       ptrdiff_t ldx, const real *dz, ptrdiff_t lddz, real *g,
                       const update_rule *rule, penalty_rule pen, const update_job *due,
                       const update_job *next) {
    vreal acc[TILE_ROWS][2];
    const real *xr[TILE_ROWS];
    for (int r = 0; r < TILE_ROWS; r++) {
        xr[r] = x + kk[r];
        acc[r][0] = acc[r][1] = vzero();
    }
    /* Half of the sums step aside for each update; volatile, or the compiler would rather leave
     * them in memory for the whole of the inner loop. */
    volatile vreal aside[TILE_ROWS];
    int i = 0;
    ptrdiff_t at = 0;
    for (int u = 0; u < TILE_ROWS; u++) {
        const int stop = n * (u + 1) / TILE_ROWS;
        for (; i < stop; i++) {
            const vreal b0 = vload(dz), b1 = vload(dz + VL);
            for (int r = 0; r < TILE_ROWS; r++) {
                const vreal a = vset1(xr[r][at]);
                acc[r][0] = vfma(a, b0, acc[r][0]);
                acc[r][1] = vfma(a, b1, acc[r][1]);
            }
            dz += lddz;
            at += ldx;
        }
        for (int e = 0; e < TILE_ROWS; e++) aside[e] = acc[e / 2][e % 2];
        const ptrdiff_t here = u * due->ld;
        const real *gu = due->g + u * PANEL;
        for (int c = 0; c < PANEL; c += VL)
            update_vector(kind, penalised, rule, pen, due->w + here + c, gu + c,
                          due->m + here + c, due->v + here + c, &due->sums[u]);
        PREFETCH_W(next->w + u * next->ld + PANEL);
        PREFETCH_W(next->m + u * next->ld + PANEL);
        PREFETCH_W(next->v + u * next->ld + PANEL);
        for (int e = 0; e < TILE_ROWS; e++) acc[e / 2][e % 2] = aside[e];
    }
    for (int r = 0; r < TILE_ROWS; r++) {
        vstore(g + r * PANEL, acc[r][0]);
        vstore(g + r * PANEL + VL, acc[r][1]);
    }
}

static void fused_tile(int n, const int *kk, const real *x, ptrdiff_t ldx, const real *dz,
                       ptrdiff_t lddz, real *g, const update_rule *rule, penalty_rule pen,
                       const update_job *due, const update_job *next) {
    const int penalised = pen.l1 != 0 || pen.l2 != 0;
#define CASE(K)                                                                              \
    case K:                                                                                  \
        if (penalised) fused_case(K, 1, n, kk, x, ldx, dz, lddz, g, rule, pen, due, next);   \
        else fused_case(K, 0, n, kk, x, ldx, dz, lddz, g, rule, pen, due, next);             \
        break
    switch (rule->kind) {
        CASE(OPT_STORE); CASE(OPT_SGD); CASE(OPT_MOMENTUM); CASE(OPT_NESTEROV);
        CASE(OPT_RMSPROP); CASE(OPT_ADAGRAD); CASE(OPT_ADAM);
        default: break;
    }
#undef CASE
}

/* The tile `next`, its gradient in g; does what is due first or meanwhile, and leaves `next` due.
 * due and next are two jobs used in turn. */
static void weights_step(int n, const int *kk, const real *x, ptrdiff_t ldx, const real *dz,
                         ptrdiff_t lddz, real *g, const update_rule *rule, penalty_rule pen,
                         update_job *due, update_job *next) {
    next->g = g;
    if (due->rows == TILE_ROWS && next->rows == TILE_ROWS) {
        fused_tile(n, kk, x, ldx, dz, lddz, g, rule, pen, due, next);
        due->rows = 0;
    } else {
        weights_tile_n(next->rows, n, kk, x, ldx, dz, lddz, g, PANEL);
        update_tile(rule, pen, due);
    }
}

#endif
