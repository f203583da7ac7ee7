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
/* Rows of a batch that one tile takes forward, and units whose gradients one tile forms. */
#define ROW_TILE 6
#define TILE_ROWS 6

/* Both cache lines or more of a row's panel. */
#define FETCH_PANEL(HOW, p)                                                       \
    for (size_t line = 0; line < PANEL * sizeof(real); line += 64)                \
    HOW((const char *)(p) + line)

/* y[i, 0:2*VL] (+)= sum over t of x[i, idx[t]] * w[idx[t], 0:2*VL], for mr rows i.
 * `more`: y already holds the sum over earlier idx. `ahead`: rows of this panel are fetched before
 * they are used. The rows want[0:n_want] of the panel behind it are fetched on the way. */
INLINE void forward_tile(const int mr, int n_idx, const int *idx, const real *x,
                         ptrdiff_t ldx, const real *w, ptrdiff_t ldw, real *y, ptrdiff_t ldy,
                         int more, const int ahead, int n_want, const int *want) {
    vreal acc[6][2];
    for (int r = 0; r < mr; r++)
        for (int v = 0; v < 2; v++) acc[r][v] = more ? vload(y + r * ldy + v * VL) : vzero();
    int t = 0;
#define TERMS(stop, FETCHES)                                            \
    for (; t < (stop); t++) {                                           \
        const ptrdiff_t k = idx[t];                                     \
        const real *wk = w + k * ldw;                                   \
        FETCHES;                                                        \
        const vreal b0 = vload(wk), b1 = vload(wk + VL);                \
        for (int r = 0; r < mr; r++) {                                  \
            const vreal a = vset1(x[r * ldx + k]);                      \
            acc[r][0] = vfma(a, b0, acc[r][0]);                         \
            acc[r][1] = vfma(a, b1, acc[r][1]);                         \
        }                                                               \
    }
    if (ahead) {
        TERMS(n_idx, FETCH_PANEL(PREFETCH, w + (ptrdiff_t)idx[t + FORWARD_AHEAD] * ldw))
    } else {
        const int both = n_want < n_idx ? n_want : n_idx;
        TERMS(both, FETCH_PANEL(PREFETCH_FAR, w + (ptrdiff_t)want[t] * ldw + PANEL))
        TERMS(n_idx, (void)0)
    }
#undef TERMS
    for (int r = 0; r < mr; r++)
        for (int v = 0; v < 2; v++) vstore(y + r * ldy + v * VL, acc[r][v]);
}

/* Inputs that take part in a product, ascending; readable FORWARD_AHEAD entries past the last. */
typedef struct {
    const int *idx;
    int n;
} index_list;

/* A block of rows is cut into tiles of 6 rows, evened out so that none is thin. */
INLINE int tiles_of(int n) { return (n + ROW_TILE - 1) / ROW_TILE; }
INLINE int tile_start(int n, int t) { return n * t / tiles_of(n); }

/* One panel of columns for rows [0, n): tile t sums over lists[t]. In the first panel of several
 * (`ahead`) the first tile fetches rows of weights as it goes; the other tiles share the fetching of
 * the next panel's rows want[0:n_want]. */
static void forward_panel(int n, const index_list *lists, const real *x, ptrdiff_t ldx,
                          const real *w, ptrdiff_t ldw, real *y, ptrdiff_t ldy, int more,
                          int ahead, int n_want, const int *want) {
    const int tiles = tiles_of(n);
    for (int t = 0; t < tiles; t++) {
        const int done = tile_start(n, t), mr = tile_start(n, t + 1) - done;
        const int *idx = lists[t].idx, n_idx = lists[t].n;
        const int from = n_want * t / tiles, wants = n_want * (t + 1) / tiles - from;
        if (more && n_idx == 0) continue;
        const real *xr = x + (ptrdiff_t)done * ldx;
        real *yr = y + (ptrdiff_t)done * ldy;
#define ROWS(m)                                                                                 \
    if (t == 0 && ahead) forward_tile(m, n_idx, idx, xr, ldx, w, ldw, yr, ldy, more, 1, 0, idx); \
    else forward_tile(m, n_idx, idx, xr, ldx, w, ldw, yr, ldy, more, 0, wants, want + from)
        switch (mr) {
            case 6: ROWS(6); break;
            case 5: ROWS(5); break;
            case 4: ROWS(4); break;
            case 3: ROWS(3); break;
            case 2: ROWS(2); break;
            default: ROWS(1); break;
        }
#undef ROWS
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

/* Accumulators of a tile of backward_data, by its number of vectors: what the registers hold beside
 * the shorter side. */
#if defined(__AVX512F__)
#define DATA_ROWS(nv) ((nv) == 1 ? 12 : 24 / (nv))
#else
#define DATA_ROWS(nv) (12 / (nv))
#endif
/* What a product costs where every group goes through alone, if one costs 1 where several do. */
#define GROUP_COST (GROUP_VECTORS > 1 ? 1.0 : 1.3)
/* Vectors of one group of LANE_ROWS rows, and where a tile's vector v lies from its first group. */
#define GROUP_VECTORS (LANE_ROWS / VL)
#define VECTOR_AT(v, group) ((v) / GROUP_VECTORS * (group) + (v) % GROUP_VECTORS * VL)

/* Backward by data, feature-major so that lanes run along the batch, for nv vectors of it, in
 * groups of LANE_ROWS rows that lie z_group and x_group apart: dxt[k, vectors] (+)= sum over t of w[k, idx[t]]
 * * dzt[idx[t], vectors], for kr rows k of w. kk lists the rows k. `fetch`, if not NULL, is where
 * FETCH_LINES lines begin that are asked for on the way. */
INLINE void data_tile(const int kr, const int nv, int n_idx, const int *idx, const int *kk,
                      const real *w, ptrdiff_t ldw, const real *dzt, ptrdiff_t z_group, real *dxt,
                      ptrdiff_t x_group, int more, const char *fetch) {
    vreal acc[12][4];
    const real *wr[12];
    for (int r = 0; r < kr; r++) {
        const real *old = dxt + (ptrdiff_t)kk[r] * LANE_ROWS;
        wr[r] = w + (ptrdiff_t)kk[r] * ldw;
        for (int v = 0; v < nv; v++) acc[r][v] = more ? vload(old + VECTOR_AT(v, x_group)) : vzero();
    }
    int t = 0;
    for (int line = 0; line < FETCH_LINES; line++) {
        const int stop = fetch ? n_idx * (line + 1) / FETCH_LINES : n_idx;
        if (fetch) PREFETCH_FAR(fetch + 64 * line);
        for (; t < stop; t++) {
            const ptrdiff_t j = idx[t];
            const real *dz = dzt + j * LANE_ROWS;
            /* The shorter side stays in registers, so that the accumulators leave room for it. */
            if (kr < nv) {
                vreal a[4];
                for (int r = 0; r < kr; r++) a[r] = vset1(wr[r][j]);
                for (int v = 0; v < nv; v++) {
                    const vreal b = vload(dz + VECTOR_AT(v, z_group));
                    for (int r = 0; r < kr; r++) acc[r][v] = vfma(a[r], b, acc[r][v]);
                }
            } else {
                vreal b[4];
                for (int v = 0; v < nv; v++) b[v] = vload(dz + VECTOR_AT(v, z_group));
                for (int r = 0; r < kr; r++) {
                    const vreal a = vset1(wr[r][j]);
                    for (int v = 0; v < nv; v++) acc[r][v] = vfma(a, b[v], acc[r][v]);
                }
            }
        }
    }
    for (int r = 0; r < kr; r++)
        for (int v = 0; v < nv; v++)
            vstore(dxt + (ptrdiff_t)kk[r] * LANE_ROWS + VECTOR_AT(v, x_group), acc[r][v]);
}

/* The part of a row of weights that a block of outputs needs. */
INLINE void fetch_row(const real *w, int n_idx, const int *idx) {
    if (n_idx == 0) return;
    for (int j = idx[0]; j <= idx[n_idx - 1]; j += 64 / sizeof(real)) PREFETCH(w + j);
}

/* All listed rows k for nv (1 to DATA_VECTORS) vectors; with fetch, the next rows of weights are
 * asked for while the present ones are used, else some of what `later` lists. */
#define DATA_VECTORS 4
static void data_block(int nv, int n_k, const int *kk, int n_idx, const int *idx, const real *w,
                       ptrdiff_t ldw, const real *dzt, ptrdiff_t z_group, real *dxt,
                       ptrdiff_t x_group, int more, int fetch, fetch_list *later) {
    const int most = DATA_ROWS(nv), tiles = (n_k + most - 1) / most;
    for (int q = 0, t = 0; t < tiles; t++) {
        const int next = n_k * (t + 1) / tiles, kr = next - q;
        for (int r = next; fetch && r < next + most && r < n_k; r++)
            fetch_row(w + (ptrdiff_t)kk[r] * ldw, n_idx, idx);
        const char *soon = fetch ? NULL : fetch_next(later);
#define TILE(KR, NV) \
    data_tile(KR, NV, n_idx, idx, kk + q, w, ldw, dzt, z_group, dxt, x_group, more, soon)
/* Rows that no tile has registers for are no case. */
#define ROWS(KR, NV) case KR: if (KR <= DATA_ROWS(NV)) TILE(KR, NV); break
        if (nv == 1) switch (kr) {
            ROWS(12, 1); ROWS(11, 1); ROWS(10, 1); ROWS(9, 1); ROWS(8, 1); ROWS(7, 1);
            ROWS(6, 1); ROWS(5, 1); ROWS(4, 1); ROWS(3, 1); ROWS(2, 1); default: TILE(1, 1);
        } else if (nv == 2) switch (kr) {
            ROWS(12, 2); ROWS(11, 2); ROWS(10, 2); ROWS(9, 2); ROWS(8, 2); ROWS(7, 2);
            ROWS(6, 2); ROWS(5, 2); ROWS(4, 2); ROWS(3, 2); ROWS(2, 2); default: TILE(1, 2);
        } else if (nv == 3) switch (kr) {
            ROWS(8, 3); ROWS(7, 3); ROWS(6, 3); ROWS(5, 3); ROWS(4, 3); ROWS(3, 3); ROWS(2, 3);
            default: TILE(1, 3);
        } else switch (kr) {
            ROWS(6, 4); ROWS(5, 4); ROWS(4, 4); ROWS(3, 4); ROWS(2, 4); default: TILE(1, 4);
        }
#undef ROWS
#undef TILE
        q = next;
    }
}

/* Backward by weights: g[r, 0:2*VL] (+)= sum over i of x[i, r] * dz[i, 0:2*VL], for kr units.
 * `rows`, if not NULL, says where the batch's i-th row lies in x and dz; fetch: see data_tile. */
INLINE void weights_tile(const int kr, int n, const int *rows, const real *x, ptrdiff_t ldx,
                         const real *dz, ptrdiff_t lddz, real *g, ptrdiff_t ldg, int more,
                         const char *fetch) {
    vreal acc[TILE_ROWS][2];
    for (int r = 0; r < kr; r++)
        for (int v = 0; v < 2; v++) acc[r][v] = more ? vload(g + r * ldg + v * VL) : vzero();
    int i = 0;
#define TERMS(stop)                                                     \
    for (; i < (stop); i++) {                                           \
        const ptrdiff_t at = rows ? rows[i] : i;                        \
        const real *xi = x + at * ldx, *di = dz + at * lddz;            \
        const vreal b0 = vload(di), b1 = vload(di + VL);                \
        for (int r = 0; r < kr; r++) {                                  \
            const vreal a = vset1(xi[r]);                               \
            acc[r][0] = vfma(a, b0, acc[r][0]);                         \
            acc[r][1] = vfma(a, b1, acc[r][1]);                         \
        }                                                               \
    }
    if (fetch)
        for (int line = 0; line < FETCH_LINES; line++) {
            PREFETCH_FAR(fetch + 64 * line);
            TERMS(n * (line + 1) / FETCH_LINES)
        }
    else
        TERMS(n)
#undef TERMS
    for (int r = 0; r < kr; r++)
        for (int v = 0; v < 2; v++) vstore(g + r * ldg + v * VL, acc[r][v]);
}

static void weights_tile_n(int kr, int n, const real *x, ptrdiff_t ldx, const real *dz,
                           ptrdiff_t lddz, real *g, ptrdiff_t ldg, int more, const char *fetch) {
    switch (kr) {
        case 6: weights_tile(6, n, NULL, x, ldx, dz, lddz, g, ldg, more, fetch); break;
        case 5: weights_tile(5, n, NULL, x, ldx, dz, lddz, g, ldg, more, fetch); break;
        case 4: weights_tile(4, n, NULL, x, ldx, dz, lddz, g, ldg, more, fetch); break;
        case 3: weights_tile(3, n, NULL, x, ldx, dz, lddz, g, ldg, more, fetch); break;
        case 2: weights_tile(2, n, NULL, x, ldx, dz, lddz, g, ldg, more, fetch); break;
        default: weights_tile(1, n, NULL, x, ldx, dz, lddz, g, ldg, more, fetch); break;
    }
}

/* The same for one unit whose rows lie anywhere. */
static void weights_row(int n, const int *rows, const real *x, ptrdiff_t ldx, const real *dz,
                        ptrdiff_t lddz, real *g) {
    weights_tile(1, n, rows, x, ldx, dz, lddz, g, PANEL, 0, NULL);
}

/* Columns kk[0:n_k] of x for n rows, side by side for the tiles that use them together: tile t's
 * lie in xp[t * n * TILE_ROWS:], a row each TILE_ROWS. `rows` says where the rows lie. */
INLINE int unit_tiles(int n_k) { return (n_k + TILE_ROWS - 1) / TILE_ROWS; }
INLINE int unit_start(int n_k, int t) { return n_k * t / unit_tiles(n_k); }
static void pack_inputs(int n_k, const int *kk, int n, const int *rows, const real *x,
                        ptrdiff_t ldx, real *xp) {
    for (int t = 0; t < unit_tiles(n_k); t++) {
        const int first = unit_start(n_k, t), kr = unit_start(n_k, t + 1) - first;
        const int *k = kk + first;
        const int whole = kr == TILE_ROWS && k[kr - 1] - k[0] == TILE_ROWS - 1;
        for (int i = 0; i < n; i++, xp += TILE_ROWS) {
            const real *row = x + rows[i] * ldx;
            if (whole) memcpy(xp, row + k[0], TILE_ROWS * sizeof(real));
            else for (int r = 0; r < kr; r++) xp[r] = row[k[r]];
        }
    }
}

/* Listed columns of dz for n rows as panels, [panel, n, PANEL]: panels [first, last) of them. */
static void pack_panels(int n_idx, const int *idx, int n, const int *rows, const real *dz,
                        ptrdiff_t lddz, int first, int last, real *out) {
    for (int p = first; p < last; p++) {
        const int *j = idx + p * PANEL;
        const int width = n_idx - p * PANEL < PANEL ? n_idx - p * PANEL : PANEL;
        real *to = out + (ptrdiff_t)p * n * PANEL;
        const int whole = width == PANEL && j[PANEL - 1] - j[0] == PANEL - 1;
        for (int i = 0; i < n; i++, to += PANEL) {
            const real *row = dz + rows[i] * lddz;
            if (whole)
                for (int v = 0; v < PANEL; v += VL) vstoreu(to + v, vloadu(row + j[0] + v));
            else /* zero beyond the last column: padding of weights gets no gradient */
                for (int e = 0; e < PANEL; e++) to[e] = e < width ? row[j[e]] : 0;
        }
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
INLINE void narrow_weights_tile(const int nv, int n, const int *rows, const real *x,
                                ptrdiff_t ldx, const real *dz, ptrdiff_t lddz, real *g) {
    vreal acc[8];
    for (int v = 0; v < nv; v++) acc[v] = vzero();
    for (int i = 0; i < n; i++) {
        const real *xi = x + rows[i] * ldx;
        const vreal a = vset1(dz[rows[i] * lddz]);
        for (int v = 0; v < nv; v++) acc[v] = vfma(a, vload(xi + v * VL), acc[v]);
    }
    for (int v = 0; v < nv; v++) vstore(g + v * VL, acc[v]);
}

static void narrow_weights(int nv, int n, const int *rows, const real *x, ptrdiff_t ldx,
                           const real *dz, ptrdiff_t lddz, real *g) {
    int v = 0;
    for (; v + 8 <= nv; v += 8)
        narrow_weights_tile(8, n, rows, x + v * VL, ldx, dz, lddz, g + v * VL);
    for (; v + 2 <= nv; v += 2)
        narrow_weights_tile(2, n, rows, x + v * VL, ldx, dz, lddz, g + v * VL);
    if (v < nv) narrow_weights_tile(1, n, rows, x + v * VL, ldx, dz, lddz, g + v * VL);
}

#endif
