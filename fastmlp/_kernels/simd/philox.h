/* Philox 4x32-10: random words as a function of a key and a counter (Salmon et al., 2011), so
 * that shuffles and dropout masks depend on no thread and no history. */
#ifndef FASTMLP_PHILOX_H
#define FASTMLP_PHILOX_H

#include "simd.h"

#define PHILOX_SHUFFLE 1u
#define PHILOX_DROPOUT 2u

#define PHILOX_A 0xD2511F53u
#define PHILOX_B 0xCD9E8D57u
#define PHILOX_K0 0x9E3779B9u
#define PHILOX_K1 0xBB67AE85u

/* words = the four words of the counter in them. */
static void philox(uint32_t words[4], uint64_t seed) {
    uint32_t k0 = (uint32_t)seed, k1 = (uint32_t)(seed >> 32);
    for (int round = 0; round < 10; round++, k0 += PHILOX_K0, k1 += PHILOX_K1) {
        const uint64_t a = (uint64_t)PHILOX_A * words[0], b = (uint64_t)PHILOX_B * words[2];
        words[0] = (uint32_t)(b >> 32) ^ words[1] ^ k0;
        words[1] = (uint32_t)b;
        words[2] = (uint32_t)(a >> 32) ^ words[3] ^ k1;
        words[3] = (uint32_t)a;
    }
}

/* The same for a vector of counters, a word in the low half of each lane; what the upper halves
 * hold does not matter. */
typedef uint64_t vcounter __attribute__((vector_size(VBYTES)));
#define COUNTERS ((int)(VBYTES / 8))

INLINE vcounter counter_set1(uint64_t a) { return (vcounter){0} + a; }

INLINE vcounter counter_product(vcounter a, vcounter b) {
#if defined(__AVX512F__)
    return (vcounter)_mm512_mul_epu32((__m512i)a, (__m512i)b);
#elif defined(__AVX2__)
    return (vcounter)_mm256_mul_epu32((__m256i)a, (__m256i)b);
#elif defined(__x86_64__)
    return (vcounter)_mm_mul_epu32((__m128i)a, (__m128i)b);
#elif defined(__aarch64__)
    return (vcounter)vmull_u32(vmovn_u64((uint64x2_t)a), vmovn_u64((uint64x2_t)b));
#else
    return (a & 0xffffffffu) * (b & 0xffffffffu);
#endif
}

INLINE void philox_counters(vcounter words[4], uint64_t seed) {
    uint32_t k0 = (uint32_t)seed, k1 = (uint32_t)(seed >> 32);
    const vcounter by_a = counter_set1(PHILOX_A), by_b = counter_set1(PHILOX_B);
    for (int round = 0; round < 10; round++, k0 += PHILOX_K0, k1 += PHILOX_K1) {
        const vcounter a = counter_product(by_a, words[0]), b = counter_product(by_b, words[2]);
        words[0] = (b >> 32) ^ words[1] ^ counter_set1(k0);
        words[1] = b;
        words[2] = (a >> 32) ^ words[3] ^ counter_set1(k1);
        words[3] = a;
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
            philox(words, seed);
        }
        const int64_t j = (int64_t)(((unsigned __int128)words[q % 4] * (uint64_t)(i + 1)) >> 32);
        const int64_t swap = order[i];
        order[i] = order[j];
        order[j] = swap;
    }
}

/* mask[0:width] = 0 with probability rate, else 1 / (1 - rate), for one row of one layer's input
 * at one optimizer step. Of 32 places, 8 in turn take the first to the fourth word of 8 counters. */
static void dropout_row(uint64_t seed, uint64_t step, uint32_t layer, uint32_t row, double rate,
                        int width, real *mask) {
    const vcounter cut = counter_set1((uint32_t)(rate * 4294967296.0));
    const vcounter low = counter_set1(0xffffffffu);
    const real keep = (real)(1 / (1 - rate));
    vcounter lane = {0};
    for (int e = 0; e < COUNTERS; e++) lane[e] = (uint64_t)e;
    for (int start = 0; start < width; start += 32) {
        real rest[32], *out = width - start < 32 ? rest : mask + start;
        for (int e = 0; e < 8; e += COUNTERS) {
            vcounter words[4] = {counter_set1((uint64_t)(start / 4 + e)) + lane,
                              counter_set1(layer ^ (PHILOX_DROPOUT << 24)), counter_set1(row),
                              counter_set1((uint32_t)step)};
            philox_counters(words, seed);
            for (int w = 0; w < 4; w++) {
                const vcounter kept = (vcounter)((words[w] & low) >= cut);
                real *at = out + 8 * w + e;
#if REAL_IS_DOUBLE
                *(vreal_u *)at = (vreal)((vint)kept & (vint)vset1(keep));
#else
                typedef ireal half __attribute__((vector_size(VBYTES / 2)));
                typedef half half_u __attribute__((may_alias, aligned(sizeof(real))));
                const union { real number; ireal bits; } one = {keep};
                *(half_u *)at = __builtin_convertvector(kept, half) & one.bits;
#endif
            }
        }
        if (out == rest) memcpy(mask + start, rest, (size_t)(width - start) * sizeof(real));
    }
}

#endif
