/* Products of a first layer whose inputs are given by their nonzeros.
 *
 * Every element of a result is the chain of multiply-adds of tiles.h without the terms whose input
 * is zero: these would add +-0 to a sum that began with +0. So the bits are those of a dense input.
 *
 * Legend: n nonzeros with their columns (of x) or rows (of the batch), ascending, and values.
 */
#ifndef FASTMLP_SPARSE_H
#define FASTMLP_SPARSE_H

#include "philox.h"
#include "simd.h"

/* Rows that are fetched ahead of their use: they lie anywhere. */
#define SPARSE_AHEAD 8

/* sums[0:nv vectors] = sum over t of values[t] * table[index[t], same]. */
INLINE void sparse_tile(const int nv, int64_t n, const int *index, const real *values,
                        const real *table, ptrdiff_t ld, real *sums) {
    vreal acc[8];
    for (int v = 0; v < nv; v++) acc[v] = vzero();
    for (int64_t t = 0; t < n; t++) {
        if (t + SPARSE_AHEAD < n) {
            const char *soon = (const char *)(table + (ptrdiff_t)index[t + SPARSE_AHEAD] * ld);
            for (int line = 0; line < (int)(nv * sizeof(vreal)); line += 64) PREFETCH(soon + line);
        }
        const vreal a = vset1(values[t]);
        const real *row = table + (ptrdiff_t)index[t] * ld;
        for (int v = 0; v < nv; v++) acc[v] = vfma(a, vload(row + v * VL), acc[v]);
    }
    for (int v = 0; v < nv; v++) vstore(sums + v * VL, acc[v]);
}

/* The same for n_vec vectors, an even number. Forward the table is w, and a row of y results;
 * backward by weights it is dz, and a row of w's gradient results. */
static void sparse_row(int64_t n, const int *index, const real *values, const real *table,
                       ptrdiff_t ld, real *sums, int n_vec) {
    int v = 0;
    for (; v + 8 <= n_vec; v += 8)
        sparse_tile(8, n, index, values, table + v * VL, ld, sums + v * VL);
    for (; v + 4 <= n_vec; v += 4)
        sparse_tile(4, n, index, values, table + v * VL, ld, sums + v * VL);
    for (; v + 2 <= n_vec; v += 2)
        sparse_tile(2, n, index, values, table + v * VL, ld, sums + v * VL);
}

/* y[0:J] of a narrow layer, whose weights are kept transposed: as in narrow_forward_rows an input's
 * product goes to the lane of its column, and the lanes are summed by their tree. */
static void sparse_narrow_forward(int64_t n, const int *columns, const real *values, int J,
                                  const real *wt, ptrdiff_t ldw, real *y) {
    for (int j = 0; j < J; j++) {
        real lanes[VL] __attribute__((aligned(VBYTES)));
        vstore(lanes, vzero());
        for (int64_t t = 0; t < n; t++) {
            const int k = columns[t];
            lanes[k % VL] = rfma(values[t], wt[j * ldw + k], lanes[k % VL]);
        }
        y[j] = vsum(vload(lanes));
    }
}

/* The gradient of a narrow layer's weight: the sum over t of dz[rows[t]] * values[t]. */
static real sparse_narrow_weight(int64_t n, const int *rows, const real *values, const real *dz,
                                 ptrdiff_t lddz) {
    real sum = 0;
    for (int64_t t = 0; t < n; t++) sum = rfma(dz[rows[t] * lddz], values[t], sum);
    return sum;
}

/* kept = values times the entries of dropout_row's mask in their columns. */
static void sparse_dropout(uint64_t seed, uint64_t step, uint32_t layer, uint32_t row, double rate,
                           int64_t n, const int *columns, const real *values, real *kept) {
    const uint32_t cut = (uint32_t)(rate * 4294967296.0);
    const real keep = (real)(1 / (1 - rate));
    for (int64_t t = 0; t < n; t += COUNTERS) {
        const int lanes = n - t < COUNTERS ? (int)(n - t) : COUNTERS;
        vcounter words[4] = {{0}, counter_set1(layer ^ (PHILOX_DROPOUT << 24)), counter_set1(row),
                          counter_set1((uint32_t)step)};
        for (int e = 0; e < lanes; e++) {
            const uint32_t k = (uint32_t)columns[t + e];
            words[0][e] = k / 32 * 8 + k % 8;
        }
        philox_counters(words, seed);
        for (int e = 0; e < lanes; e++)
            kept[t + e] =
                (uint32_t)words[columns[t + e] % 32 / 8][e] >= cut ? values[t + e] * keep : 0;
    }
}

/* The nonzeros of a row on sums over bins, see Encoding in state.pxi: input j's number itself in
 * column first[j], then for a number in bin k the point between the sums up to bin k - 1 and up to
 * bin k. Returns how many there are, at most three for an input. */
static int64_t encode_row(int n_inputs, const int *first, const real *lower, const real *inverse,
                          const real *x, int *columns, real *values) {
    int64_t n = 0;
    for (int j = 0; j < n_inputs; j++) {
        const real value = x[j];
        const int at = first[j];
        int low = at, high = first[j + 1]; /* the last row whose bin begins at or below the value */
        if (value != 0) {
            columns[n] = at;
            values[n++] = value;
        }
        while (high - low > 1) {
            const int middle = (low + high) / 2;
            if (lower[middle] <= value)
                low = middle;
            else
                high = middle;
        }
        if (low == at) continue;
        real share = (value - lower[low]) * inverse[low];
        share = share < 1 ? share : 1;
        if (low > at + 1 && share < 1) {
            columns[n] = low - 1;
            values[n++] = 1 - share;
        }
        if (share > 0) {
            columns[n] = low;
            values[n++] = share;
        }
    }
    return n;
}

/* sums = the rows of w; from the second of an input's bins on each with those of the bins below. */
static void sum_rows(int n_inputs, const int *first, ptrdiff_t ldw, const real *w, real *sums,
                     int n_vec) {
    for (int j = 0; j < n_inputs; j++)
        for (int k = first[j]; k < first[j + 1]; k++) {
            const real *row = w + (ptrdiff_t)k * ldw;
            real *sum = sums + (ptrdiff_t)k * ldw;
            if (k < first[j] + 2)
                for (int v = 0; v < n_vec; v++) vstore(sum + v * VL, vload(row + v * VL));
            else
                for (int v = 0; v < n_vec; v++)
                    vstore(sum + v * VL, vload(sum - ldw + v * VL) + vload(row + v * VL));
        }
}

/* total += row. */
static void add_row(int n_vec, const real *row, real *total) {
    for (int v = 0; v < n_vec; v++)
        vstore(total + v * VL, vload(total + v * VL) + vload(row + v * VL));
}

#endif
