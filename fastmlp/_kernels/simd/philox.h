/* Philox 4x32-10: random words as a function of a key and a counter (Salmon et al., 2011), so
 * that shuffles and dropout masks depend on no thread and no history. */
#ifndef FASTMLP_PHILOX_H
#define FASTMLP_PHILOX_H

#include "simd.h"

#define PHILOX_SHUFFLE 1u
#define PHILOX_DROPOUT 2u

INLINE void philox_lanes(const int lanes, uint32_t c0[], uint32_t c1[], uint32_t c2[],
                         uint32_t c3[], uint32_t k0, uint32_t k1) {
    for (int round = 0; round < 10; round++) {
        for (int e = 0; e < lanes; e++) {
            const uint64_t a = (uint64_t)0xD2511F53u * c0[e], b = (uint64_t)0xCD9E8D57u * c2[e];
            const uint32_t n0 = (uint32_t)(b >> 32) ^ c1[e] ^ k0;
            const uint32_t n2 = (uint32_t)(a >> 32) ^ c3[e] ^ k1;
            c1[e] = (uint32_t)b;
            c3[e] = (uint32_t)a;
            c0[e] = n0;
            c2[e] = n2;
        }
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
}

/* order = a permutation of 0..n-1 that depends on (seed, epoch) alone: Fisher-Yates. */
static void philox_shuffle(uint64_t seed, uint64_t epoch, int64_t n, int64_t *order) {
    uint32_t words[4] = {0, 0, 0, 0};
    for (int64_t i = 0; i < n; i++) order[i] = i;
    for (int64_t i = n - 1, q = 0; i > 0; i--, q++) {
        if (q % 4 == 0) {
            words[0] = (uint32_t)(q / 4);
            words[1] = (uint32_t)((uint64_t)q >> 34) ^ (PHILOX_SHUFFLE << 24);
            words[2] = (uint32_t)epoch;
            words[3] = (uint32_t)(epoch >> 32);
            philox_lanes(1, words, words + 1, words + 2, words + 3, (uint32_t)seed,
                         (uint32_t)(seed >> 32));
        }
        const int64_t j = (int64_t)(((unsigned __int128)words[q % 4] * (uint64_t)(i + 1)) >> 32);
        const int64_t swap = order[i];
        order[i] = order[j];
        order[j] = swap;
    }
}

/* mask[0:width] = 0 with probability rate, else 1 / (1 - rate), for one row of one layer's input
 * at one optimizer step; width is read up to the next multiple of 32. */
static void dropout_row(uint64_t seed, uint64_t step, uint32_t layer, uint32_t row, double rate,
                        int width, real *mask) {
    const uint32_t cut = (uint32_t)(rate * 4294967296.0);
    const real keep = (real)(1 / (1 - rate));
    for (int start = 0; start < width; start += 32) {
        uint32_t c[4][8];
        for (int e = 0; e < 8; e++) {
            c[0][e] = (uint32_t)(start / 4 + e);
            c[1][e] = layer ^ (PHILOX_DROPOUT << 24);
            c[2][e] = row;
            c[3][e] = (uint32_t)step;
        }
        philox_lanes(8, c[0], c[1], c[2], c[3], (uint32_t)seed, (uint32_t)(seed >> 32));
        const int stop = width - start < 32 ? width - start : 32;
        for (int q = 0; q < stop; q++) mask[start + q] = c[q / 8][q % 8] >= cut ? keep : 0;
    }
}

#endif
