/* Flags of live units, a byte each: written from vectors, listed, and rows spread by them.
 *
 * Whole vectors where the instruction set can: many small stores would hold up the vector load
 * that comes next. */
#ifndef FASTMLP_LISTS_H
#define FASTMLP_LISTS_H

#include "simd.h"

#if defined(__AVX2__) && !defined(__AVX512F__)
/* For eight flags as bits: how many are set below each, and where the set ones are. */
static unsigned char places_below[256][8], places_set[256][8];
#endif

/* Fills the tables; called once, when the module is imported. */
static void lists_begin(void) {
#if defined(__AVX2__) && !defined(__AVX512F__)
    for (int m = 0; m < 256; m++)
        for (int e = 0, n = 0; e < 8; e++) {
            places_below[m][e] = (unsigned char)n;
            if (m >> e & 1) places_set[m][n++] = (unsigned char)e;
        }
#endif
}

/* flags[e] = whether lane e of the mask, from a comparison, is set. */
INLINE void store_flags(unsigned char *flags, vint mask) {
#if defined(__AVX512F__) && !REAL_IS_DOUBLE
    _mm_storeu_si128((__m128i *)flags,
                     _mm_maskz_set1_epi8(_mm512_movepi32_mask((__m512i)mask), 1));
#elif defined(__AVX512F__)
    _mm_storel_epi64((__m128i *)flags,
                     _mm_maskz_set1_epi8(_mm512_movepi64_mask((__m512i)mask), 1));
#elif defined(__AVX2__) && !REAL_IS_DOUBLE
    const __m128i halves = _mm_packs_epi32(_mm256_castsi256_si128((__m256i)mask),
                                           _mm256_extracti128_si256((__m256i)mask, 1));
    _mm_storel_epi64((__m128i *)flags,
                     _mm_and_si128(_mm_packs_epi16(halves, halves), _mm_set1_epi8(1)));
#elif defined(__AVX2__)
    /* Four bits to the lowest ones of four bytes. */
    const unsigned bits = (unsigned)_mm256_movemask_pd((__m256d)mask) * 0x204081u & 0x1010101u;
    memcpy(flags, &bits, 4);
#else
    for (int e = 0; e < VL; e++) flags[e] = mask[e] != 0;
#endif
}

/* Writes `first` + j for each set flags[j] of n, ascending; returns how many. */
static int list_flags(const unsigned char *flags, int n, int first, int *idx) {
    int count = 0, j = 0;
#if defined(__AVX512F__)
    const __m512i lanes = _mm512_set_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0);
    for (; j + 16 <= n; j += 16) {
        const __m128i f = _mm_loadu_si128((const __m128i *)(flags + j));
        const __mmask16 mask = _mm_test_epi8_mask(f, f);
        const __m512i units = _mm512_add_epi32(lanes, _mm512_set1_epi32(first + j));
        _mm512_storeu_si512(idx + count, _mm512_maskz_compress_epi32(mask, units));
        count += __builtin_popcount(mask);
    }
#elif defined(__AVX2__)
    for (; j + 8 <= n; j += 8) {
        const __m128i f = _mm_loadl_epi64((const __m128i *)(flags + j));
        const int mask = _mm_movemask_epi8(_mm_cmpgt_epi8(f, _mm_setzero_si128()));
        const __m256i set = _mm256_cvtepu8_epi32(
            _mm_loadl_epi64((const __m128i *)places_set[mask]));
        _mm256_storeu_si256((__m256i *)(idx + count),
                            _mm256_add_epi32(set, _mm256_set1_epi32(first + j)));
        count += __builtin_popcount(mask);
    }
#endif
    for (; j < n; j++) {
        idx[count] = first + j;
        count += flags[j] != 0;
    }
    return count;
}

/* out = the flags of units that are set in any of the rows [first, last) of flags. */
static void join_flags(const unsigned char *flags, ptrdiff_t ld, int n, int first, int last,
                       unsigned char *out) {
    memmove(out, flags + first * ld, n);
    for (int t = first + 1; t < last; t++)
        for (int j = 0; j < n; j++) out[j] |= flags[t * ld + j];
}

/* The vector of g whose lanes with a set flag hold the next of the compact numbers, the others 0. */
INLINE vreal spread_vector(const unsigned char *flags, const real *compact, int *used) {
#if defined(__AVX512F__)
    const __m128i f = REAL_IS_DOUBLE ? _mm_loadl_epi64((const __m128i *)flags)
                                     : _mm_loadu_si128((const __m128i *)flags);
    const __mmask16 mask = _mm_test_epi8_mask(f, f);
    *used = __builtin_popcount(mask);
#if REAL_IS_DOUBLE
    return (vreal)_mm512_maskz_expandloadu_pd((__mmask8)mask, compact);
#else
    return (vreal)_mm512_maskz_expandloadu_ps(mask, compact);
#endif
#elif defined(__AVX2__) && !REAL_IS_DOUBLE
    const __m128i off = _mm_cmpeq_epi8(_mm_loadl_epi64((const __m128i *)flags),
                                       _mm_setzero_si128());
    const int mask = ~_mm_movemask_epi8(off) & 255;
    const __m256i from = _mm256_cvtepu8_epi32(
        _mm_loadl_epi64((const __m128i *)places_below[mask]));
    const __m256 all = _mm256_permutevar8x32_ps(_mm256_loadu_ps(compact), from);
    *used = __builtin_popcount(mask);
    return (vreal)_mm256_andnot_ps(_mm256_castsi256_ps(_mm256_cvtepi8_epi32(off)), all);
#elif defined(__AVX2__)
    int bytes;
    memcpy(&bytes, flags, 4);
    const __m128i off = _mm_cmpeq_epi8(_mm_cvtsi32_si128(bytes), _mm_setzero_si128());
    const int mask = ~_mm_movemask_epi8(off) & 15;
    memcpy(&bytes, places_below[mask], 4);
    /* As pairs of halves: lane p's are 2 p and 2 p + 1. */
    const __m256i twice = _mm256_slli_epi64(_mm256_cvtepu8_epi64(_mm_cvtsi32_si128(bytes)), 1);
    const __m256i from = _mm256_or_si256(
        twice, _mm256_slli_epi64(_mm256_add_epi64(twice, _mm256_set1_epi64x(1)), 32));
    const __m256 all = _mm256_permutevar8x32_ps(_mm256_castpd_ps(_mm256_loadu_pd(compact)), from);
    *used = __builtin_popcount(mask);
    return (vreal)_mm256_andnot_ps(_mm256_castsi256_ps(_mm256_cvtepi8_epi64(off)), all);
#else
    vreal g = vzero();
    int n = 0;
    for (int e = 0; e < VL; e++) {
        const int set = flags[e] != 0;
        g[e] = set ? compact[n] : 0;
        n += set;
    }
    *used = n;
    return g;
#endif
}

/* The reverse of picking columns, for one row: g[idx[t]] = compact[t], 0 elsewhere; `live`, NULL if
 * the list is whole, has a byte a column that says whether it is listed. Reads up to a vector past
 * the last compact number. */
static void spread_row(int n_vec, const unsigned char *live, int n_idx, const real *compact,
                       real *g) {
    if (live)
        for (int q = 0; q < n_vec; q++) {
            int used;
            vstore(g + q * VL, spread_vector(live + q * VL, compact, &used));
            compact += used;
        }
    else {
        for (int q = n_idx / VL; q < n_vec; q++) vstore(g + q * VL, vzero());
        memcpy(g, compact, n_idx * sizeof(real));
    }
}

#endif
