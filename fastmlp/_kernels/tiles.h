/* The three matrix products of a dense layer, as register tiles.
 *
 * Every element of a result is one chain of multiply-adds over the reduced index in ascending
 * order, started from +0. Tiles only decide which elements are computed together, so the bits
 * depend neither on the tile's shape nor on the thread, the batch's other rows, or on whether
 * terms that are exactly zero were left out (`idx` lists the ones that take part).
 *
 * Legend: n rows of a batch (i), K inputs (k), J outputs (j); ld* is the distance between rows.
 */
#ifndef FASTMLP_TILES_H
#define FASTMLP_TILES_H

#include "simd.h"

/* Rows of W fetched ahead of their use in the forward pass. */
#define FORWARD_AHEAD 20
/* Units whose gradients one tile forms together. */
#define TILE_ROWS 6

/* y[i, 0:2*VL] (+)= sum over t of x[i, idx[t]] * w[idx[t], 0:2*VL], for mr rows i.
 * `more`: y already holds the sum over earlier idx. `ahead`: 1 fetches rows of this panel before
 * they are used, 2 those of the next panel into the second-level cache. */
INLINE void forward_tile(const int mr, int n_idx, const int *idx, const real *x,
                         ptrdiff_t ldx, const real *w, ptrdiff_t ldw, real *y, ptrdiff_t ldy,
                         int more, const int ahead) {
    vreal acc[6][2];
    for (int r = 0; r < mr; r++)
        for (int v = 0; v < 2; v++) acc[r][v] = more ? vload(y + r * ldy + v * VL) : vzero();
    for (int t = 0; t < n_idx; t++) {
        const ptrdiff_t k = idx[t];
        const real *wk = w + k * ldw;
        if (ahead == 1) PREFETCH(w + (ptrdiff_t)idx[t + FORWARD_AHEAD] * ldw);
        if (ahead == 2) PREFETCH_FAR(wk + PANEL);
        vreal b[2];
        for (int v = 0; v < 2; v++) b[v] = vload(wk + v * VL);
        for (int r = 0; r < mr; r++) {
            const vreal a = vset1(x[r * ldx + k]);
            for (int v = 0; v < 2; v++) acc[r][v] = vfma(a, b[v], acc[r][v]);
        }
    }
    for (int r = 0; r < mr; r++)
        for (int v = 0; v < 2; v++) vstore(y + r * ldy + v * VL, acc[r][v]);
}

/* One panel of columns for rows [0, n): tiles of 6 rows, evened out so that none is thin.
 * idx must be readable FORWARD_AHEAD entries past n_idx. */
static void forward_panel(int n, int n_idx, const int *idx, const real *x, ptrdiff_t ldx,
                          const real *w, ptrdiff_t ldw, real *y, ptrdiff_t ldy, int more) {
    int tiles = (n + 5) / 6, done = 0;
    for (int t = 0; t < tiles; t++) {
        const int mr = (n - done + (tiles - t) - 1) / (tiles - t);
        const real *xr = x + (ptrdiff_t)done * ldx;
        real *yr = y + (ptrdiff_t)done * ldy;
#define ROWS(m)                                                                            \
    if (t == 0) forward_tile(m, n_idx, idx, xr, ldx, w, ldw, yr, ldy, more, 1);         \
    else if (t == 1) forward_tile(m, n_idx, idx, xr, ldx, w, ldw, yr, ldy, more, 2);    \
    else forward_tile(m, n_idx, idx, xr, ldx, w, ldw, yr, ldy, more, 0)
        switch (mr) {
            case 6: ROWS(6); break;
            case 5: ROWS(5); break;
            case 4: ROWS(4); break;
            case 3: ROWS(3); break;
            case 2: ROWS(2); break;
            default: ROWS(1); break;
        }
#undef ROWS
        done += mr;
    }
}

/* A single row: nothing of W is used twice, so it is read in the order it lies in memory, eight
 * rows at a time, and the sums stay in the first-level cache. */
static void forward_one(int n_idx, const int *idx, const real *x, const real *w, ptrdiff_t ldw,
                        real *y, int n_vec) {
    for (int v = 0; v < n_vec; v++) vstore(y + v * VL, vzero());
    int t = 0;
    for (; t + 8 <= n_idx; t += 8) {
        const real *row[8];
        vreal a[8];
        for (int r = 0; r < 8; r++) {
            row[r] = w + (ptrdiff_t)idx[t + r] * ldw;
            a[r] = vset1(x[idx[t + r]]);
        }
        for (int v = 0; v < n_vec; v++) {
            vreal acc = vload(y + v * VL);
            for (int r = 0; r < 8; r++) acc = vfma(a[r], vload(row[r] + v * VL), acc);
            vstore(y + v * VL, acc);
        }
    }
    for (; t < n_idx; t++) {
        const real *row = w + (ptrdiff_t)idx[t] * ldw;
        const vreal a = vset1(x[idx[t]]);
        for (int v = 0; v < n_vec; v++)
            vstore(y + v * VL, vfma(a, vload(row + v * VL), vload(y + v * VL)));
    }
}

/* Backward by data, feature-major so that lanes run along the batch:
 * dxt[k, 0:nv*VL] (+)= sum over t of w[k, idx[t]] * dzt[idx[t], 0:nv*VL], for kr rows k.
 * kk lists the rows k. */
INLINE void data_tile(const int kr, const int nv, int n_idx, const int *idx, const int *kk,
                      const real *w, ptrdiff_t ldw, const real *dzt, real *dxt, ptrdiff_t ldt,
                      int more) {
    vreal acc[12][4];
    const real *wr[12];
    for (int r = 0; r < kr; r++) {
        wr[r] = w + (ptrdiff_t)kk[r] * ldw;
        for (int v = 0; v < nv; v++)
            acc[r][v] = more ? vload(dxt + (ptrdiff_t)kk[r] * ldt + v * VL) : vzero();
    }
    for (int t = 0; t < n_idx; t++) {
        const ptrdiff_t j = idx[t];
        const real *dz = dzt + j * ldt;
        /* The shorter side stays in registers, so that 12 accumulators leave room for it. */
        if (kr < nv) {
            vreal a[4];
            for (int r = 0; r < kr; r++) a[r] = vset1(wr[r][j]);
            for (int v = 0; v < nv; v++) {
                const vreal b = vload(dz + v * VL);
                for (int r = 0; r < kr; r++) acc[r][v] = vfma(a[r], b, acc[r][v]);
            }
        } else {
            vreal b[4];
            for (int v = 0; v < nv; v++) b[v] = vload(dz + v * VL);
            for (int r = 0; r < kr; r++) {
                const vreal a = vset1(wr[r][j]);
                for (int v = 0; v < nv; v++) acc[r][v] = vfma(a, b[v], acc[r][v]);
            }
        }
    }
    for (int r = 0; r < kr; r++)
        for (int v = 0; v < nv; v++) vstore(dxt + (ptrdiff_t)kk[r] * ldt + v * VL, acc[r][v]);
}

/* The part of a row of weights that a block of outputs needs. */
INLINE void fetch_row(const real *w, int n_idx, const int *idx) {
    if (n_idx == 0) return;
    for (int j = idx[0]; j <= idx[n_idx - 1]; j += 64 / sizeof(real)) PREFETCH(w + j);
}

/* All listed rows k for nv (1 to 4) vectors of the batch, 12 accumulators at a time; with fetch,
 * the next rows of weights are asked for while the present ones are used. */
static void data_block(int nv, int n_k, const int *kk, int n_idx, const int *idx, const real *w,
                       ptrdiff_t ldw, const real *dzt, real *dxt, ptrdiff_t ldt, int more,
                       int fetch) {
#define SWEEP(KR, NV)                                                                      \
    for (; q + KR <= n_k; q += KR) {                                                       \
        for (int r = q + KR; fetch && r < q + 2 * KR && r < n_k; r++)                      \
            fetch_row(w + (ptrdiff_t)kk[r] * ldw, n_idx, idx);                             \
        data_tile(KR, NV, n_idx, idx, kk + q, w, ldw, dzt, dxt, ldt, more);                \
    }                                                                                      \
    for (; q < n_k; q++) data_tile(1, NV, n_idx, idx, kk + q, w, ldw, dzt, dxt, ldt, more)
    int q = 0;
    switch (nv) {
        case 4: SWEEP(3, 4); break;
        case 3: SWEEP(4, 3); break;
        case 2: SWEEP(6, 2); break;
        default: SWEEP(8, 1); break;
    }
#undef SWEEP
}

/* Backward by weights: g[r, 0:2*VL] = sum over i of x[i, kk[r]] * dz[i, 0:2*VL], for kr units. */
INLINE void weights_tile(const int kr, int n, const int *kk, const real *x, ptrdiff_t ldx,
                         const real *dz, ptrdiff_t lddz, real *g, ptrdiff_t ldg) {
    vreal acc[TILE_ROWS][2];
    const real *xr[TILE_ROWS];
    for (int r = 0; r < kr; r++) {
        xr[r] = x + kk[r];
        acc[r][0] = acc[r][1] = vzero();
    }
    for (int i = 0; i < n; i++) {
        const vreal b0 = vload(dz), b1 = vload(dz + VL);
        for (int r = 0; r < kr; r++) {
            const vreal a = vset1(xr[r][(ptrdiff_t)i * ldx]);
            acc[r][0] = vfma(a, b0, acc[r][0]);
            acc[r][1] = vfma(a, b1, acc[r][1]);
        }
        dz += lddz;
    }
    for (int r = 0; r < kr; r++) {
        vstore(g + r * ldg, acc[r][0]);
        vstore(g + r * ldg + VL, acc[r][1]);
    }
}

static void weights_tile_n(int kr, int n, const int *kk, const real *x, ptrdiff_t ldx,
                           const real *dz, ptrdiff_t lddz, real *g, ptrdiff_t ldg) {
    switch (kr) {
        case 6: weights_tile(6, n, kk, x, ldx, dz, lddz, g, ldg); break;
        case 5: weights_tile(5, n, kk, x, ldx, dz, lddz, g, ldg); break;
        case 4: weights_tile(4, n, kk, x, ldx, dz, lddz, g, ldg); break;
        case 3: weights_tile(3, n, kk, x, ldx, dz, lddz, g, ldg); break;
        case 2: weights_tile(2, n, kk, x, ldx, dz, lddz, g, ldg); break;
        default: weights_tile(1, n, kk, x, ldx, dz, lddz, g, ldg); break;
    }
}

/* Few outputs: weights are kept transposed, wt[j, 0:K], and lanes run along the inputs. */

/* y[i, j] = sum over k of x[i, k] * wt[j, k], for mr rows: lane-wise sums, then the lanes' tree. */
INLINE void narrow_forward_rows(const int mr, int n_vec, const real *x, ptrdiff_t ldx,
                                const real *wt, real *y, ptrdiff_t ldy) {
    vreal acc[4];
    for (int r = 0; r < mr; r++) acc[r] = vzero();
    for (int q = 0; q < n_vec; q++) {
        const vreal b = vload(wt + q * VL);
        for (int r = 0; r < mr; r++)
            acc[r] = vfma(vload(x + r * ldx + q * VL), b, acc[r]);
    }
    for (int r = 0; r < mr; r++) y[r * ldy] = vsum(acc[r]);
}

static void narrow_forward(int n, int J, int n_vec, const real *x, ptrdiff_t ldx, const real *wt,
                           ptrdiff_t ldw, real *y, ptrdiff_t ldy) {
    int i = 0;
    for (; i + 4 <= n; i += 4)
        for (int j = 0; j < J; j++)
            narrow_forward_rows(4, n_vec, x + i * ldx, ldx, wt + j * ldw, y + i * ldy + j, ldy);
    for (; i < n; i++)
        for (int j = 0; j < J; j++)
            narrow_forward_rows(1, n_vec, x + i * ldx, ldx, wt + j * ldw, y + i * ldy + j, ldy);
}

/* dx[i, q0:q1 vectors] = sum over j of dz[i, j] * wt[j, same]. */
static void narrow_backward_data(int n, int J, int q0, int q1, const real *dz, ptrdiff_t lddz,
                                 const real *wt, ptrdiff_t ldw, real *dx, ptrdiff_t lddx) {
    for (int i = 0; i < n; i++)
        for (int q = q0; q < q1; q++) {
            vreal acc = vzero();
            for (int j = 0; j < J; j++)
                acc = vfma(vset1(dz[i * lddz + j]), vload(wt + j * ldw + q * VL), acc);
            vstore(dx + i * lddx + q * VL, acc);
        }
}

/* g[0:nv vectors] = sum over i of dz[i] * x[i, same]. */
INLINE void narrow_weights_tile(const int nv, int n, const real *x, ptrdiff_t ldx, const real *dz,
                                ptrdiff_t lddz, real *g) {
    vreal acc[8];
    for (int v = 0; v < nv; v++) acc[v] = vzero();
    for (int i = 0; i < n; i++) {
        const vreal a = vset1(dz[i * lddz]);
        for (int v = 0; v < nv; v++) acc[v] = vfma(a, vload(x + i * ldx + v * VL), acc[v]);
    }
    for (int v = 0; v < nv; v++) vstore(g + v * VL, acc[v]);
}

static void narrow_weights(int nv, int n, const real *x, ptrdiff_t ldx, const real *dz,
                           ptrdiff_t lddz, real *g) {
    int v = 0;
    for (; v + 8 <= nv; v += 8)
        narrow_weights_tile(8, n, x + v * VL, ldx, dz, lddz, g + v * VL);
    for (; v < nv; v++) narrow_weights_tile(1, n, x + v * VL, ldx, dz, lddz, g + v * VL);
}

#endif
