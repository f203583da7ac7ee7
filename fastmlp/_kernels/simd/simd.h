/* One vector type for every instruction set.
 *
 * The element type `real` is float or double (FASTMLP_DOUBLE), the vector width follows the
 * compiler's target, so this one source serves baseline x86-64, AVX2, AVX-512 and NEON.
 * Multiply-add is written out (`vfma`) and contraction is off: what is fused is decided here,
 * not by the optimizer, so that every tile shape gives an element the same bits.
 */
#ifndef FASTMLP_SIMD_H
#define FASTMLP_SIMD_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

#if defined(__AVX512F__)
#define VBYTES 64
#elif defined(__AVX2__)
#define VBYTES 32
#else
#define VBYTES 16
#endif

#ifdef FASTMLP_DOUBLE
typedef double real;
typedef int64_t ireal;
#define REAL_IS_DOUBLE 1
#else
typedef float real;
typedef int32_t ireal;
#define REAL_IS_DOUBLE 0
#endif

#define VL ((int)(VBYTES / sizeof(real)))
/* Columns that one tile covers: two vectors. Weights' rows are padded to whole panels. */
#define PANEL (2 * VL)

/* Rows of a batch that lie side by side where vectors run along the batch: see feature_at. */
#define LANE_ROWS (4 * VL < 16 ? 4 * VL : 16)

typedef real vreal __attribute__((vector_size(VBYTES), may_alias));
typedef real vreal_u __attribute__((vector_size(VBYTES), may_alias, aligned(sizeof(real))));
typedef ireal vint __attribute__((vector_size(VBYTES), may_alias));

#define INLINE static inline __attribute__((always_inline))

INLINE vreal vset1(real a) {
#if defined(__AVX512F__) && REAL_IS_DOUBLE
    return (vreal)_mm512_set1_pd(a);
#elif defined(__AVX512F__)
    return (vreal)_mm512_set1_ps(a);
#elif defined(__AVX2__) && REAL_IS_DOUBLE
    return (vreal)_mm256_set1_pd(a);
#elif defined(__AVX2__)
    return (vreal)_mm256_set1_ps(a);
#elif REAL_IS_DOUBLE
    return (vreal){a, a};
#else
    return (vreal){a, a, a, a};
#endif
}
INLINE vreal vzero(void) { return (vreal){0}; }
INLINE vreal vload(const real *p) { return *(const vreal *)p; }
INLINE void vstore(real *p, vreal v) { *(vreal *)p = v; }
INLINE vreal vloadu(const real *p) { return *(const vreal_u *)p; }
INLINE void vstoreu(real *p, vreal v) { *(vreal_u *)p = v; }

/* a where the mask is set, else b; masks come from comparisons of vreal. */
INLINE vreal vselect(vint mask, vreal a, vreal b) {
    return (vreal)((mask & (vint)a) | (~mask & (vint)b));
}
INLINE vreal vabs(vreal a) { return (vreal)((vint)a & ~(vint)vset1((real)-0.0)); }

INLINE vreal vfma(vreal a, vreal b, vreal c) {
#if defined(__AVX512F__) && REAL_IS_DOUBLE
    return (vreal)_mm512_fmadd_pd((__m512d)a, (__m512d)b, (__m512d)c);
#elif defined(__AVX512F__)
    return (vreal)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c);
#elif defined(__FMA__) && REAL_IS_DOUBLE
    return (vreal)_mm256_fmadd_pd((__m256d)a, (__m256d)b, (__m256d)c);
#elif defined(__FMA__)
    return (vreal)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c);
#elif defined(__aarch64__) && REAL_IS_DOUBLE
    return (vreal)vfmaq_f64((float64x2_t)c, (float64x2_t)a, (float64x2_t)b);
#elif defined(__aarch64__)
    return (vreal)vfmaq_f32((float32x4_t)c, (float32x4_t)a, (float32x4_t)b);
#else
    return a * b + c;
#endif
}

/* The same for one number. */
INLINE real rfma(real a, real b, real c) {
#if defined(__AVX512F__) || defined(__FMA__) || defined(__aarch64__)
    return REAL_IS_DOUBLE ? (real)__builtin_fma(a, b, c) : (real)__builtin_fmaf(a, b, c);
#else
    return a * b + c;
#endif
}

INLINE vreal vsqrt(vreal a) {
#if defined(__AVX512F__) && REAL_IS_DOUBLE
    return (vreal)_mm512_sqrt_pd((__m512d)a);
#elif defined(__AVX512F__)
    return (vreal)_mm512_sqrt_ps((__m512)a);
#elif defined(__AVX2__) && REAL_IS_DOUBLE
    return (vreal)_mm256_sqrt_pd((__m256d)a);
#elif defined(__AVX2__)
    return (vreal)_mm256_sqrt_ps((__m256)a);
#elif defined(__x86_64__) && REAL_IS_DOUBLE
    return (vreal)_mm_sqrt_pd((__m128d)a);
#elif defined(__x86_64__)
    return (vreal)_mm_sqrt_ps((__m128)a);
#elif defined(__aarch64__) && REAL_IS_DOUBLE
    return (vreal)vsqrtq_f64((float64x2_t)a);
#elif defined(__aarch64__)
    return (vreal)vsqrtq_f32((float32x4_t)a);
#else
    for (int i = 0; i < VL; i++) a[i] = REAL_IS_DOUBLE ? sqrt(a[i]) : sqrtf(a[i]);
    return a;
#endif
}

/* The same, a third quicker, for finite a >= 2^-101 (smaller ones give 2^-50.5): two Newton steps on
 * root and half its inverse, and the remainder's correction, which rounds as the instruction does:
 * compared for every such float. */
#define ROOT_LEAST ((real)3.9443045e-31)
INLINE vreal vsqrt_quick(vreal a) {
#if defined(__AVX512F__) && !REAL_IS_DOUBLE
    a = (vreal)_mm512_max_ps((__m512)vset1(ROOT_LEAST), (__m512)a); /* a NaN stays */
    const vreal y = (vreal)_mm512_rsqrt14_ps((__m512)a);
    vreal s = a * y, h = (real)0.5 * y;
    const vreal e = vfma(-s, h, vset1((real)0.5));
    s = vfma(s, e, s);
    h = vfma(h, e, h);
    return vfma(h, vfma(-s, s, a), s);
#else
    return vsqrt(a);
#endif
}

/* Sum of the lanes, always by the same tree: the upper half onto the lower, until one is left. */
INLINE real vsum(vreal a) {
#if defined(__AVX2__) && REAL_IS_DOUBLE
#if defined(__AVX512F__)
    const __m256d half = _mm256_add_pd(_mm512_castpd512_pd256((__m512d)a),
                                       _mm512_extractf64x4_pd((__m512d)a, 1));
#else
    const __m256d half = (__m256d)a;
#endif
    const __m128d h = _mm_add_pd(_mm256_castpd256_pd128(half), _mm256_extractf128_pd(half, 1));
    return _mm_cvtsd_f64(_mm_add_sd(h, _mm_unpackhi_pd(h, h)));
#elif defined(__AVX2__)
#if defined(__AVX512F__)
    const __m256 half = _mm256_add_ps(_mm512_castps512_ps256((__m512)a),
                                      _mm512_extractf32x8_ps((__m512)a, 1));
#else
    const __m256 half = (__m256)a;
#endif
    __m128 h = _mm_add_ps(_mm256_castps256_ps128(half), _mm256_extractf128_ps(half, 1));
    h = _mm_add_ps(h, _mm_movehl_ps(h, h));
    return _mm_cvtss_f32(_mm_add_ss(h, _mm_movehdup_ps(h)));
#else
    real t[VL];
    vstoreu(t, a);
    for (int h = VL / 2; h > 0; h /= 2)
        for (int i = 0; i < h; i++) t[i] += t[i + h];
    return t[0];
#endif
}

/* Whether any lane's bits are set. */
INLINE int vany(vint m) {
    ireal r = 0;
    for (int i = 0; i < VL; i++) r |= m[i];
    return r != 0;
}

/* Whether n numbers, whole vectors on a vector's boundary, are finite. */
static int span_finite(const real *p, ptrdiff_t n) {
    vreal sum[4] = {vzero(), vzero(), vzero(), vzero()};
    for (ptrdiff_t i = 0; i + VL <= n; i += VL)
        sum[i / VL % 4] = vfma(vload(p + i), vzero(), sum[i / VL % 4]);
    const vreal all = (sum[0] + sum[1]) + (sum[2] + sum[3]);
    return !vany((vint)(all != all));
}

/* out = the sum of n_spans spans of n_vec vectors that begin `apart` from each other, in order. */
static void add_spans(int n_vec, int n_spans, const real *p, ptrdiff_t apart, real *out) {
    for (int q = 0; q < n_vec; q++) {
        vreal sum = vload(p + q * VL);
        for (int i = 1; i < n_spans; i++) sum += vload(p + i * apart + q * VL);
        vstore(out + q * VL, sum);
    }
}

#define PREFETCH(p) __builtin_prefetch((p), 0, 3)
#define PREFETCH_FAR(p) __builtin_prefetch((p), 0, 2)
#ifndef FETCH
#define FETCH 16
#endif
INLINE void fetch_start(const real *p, int n_lines) {
    for (int i = 0; i < n_lines; i++) __builtin_prefetch((const char *)p + 64 * i, 0, 3);
}
/* Rows of several arrays that will be needed soon, to be fetched a few lines at a time between
 * multiply-adds: all at once they would hold up what comes next. */
#define FETCH_LINES 16
typedef struct {
    const int *rows;        /* those still to come */
    int n_rows, n_chunks;   /* chunks of FETCH_LINES in a row */
    int array, chunk;       /* the next one */
    const real *arrays[2];
    ptrdiff_t ld;
} fetch_list;
/* The next FETCH_LINES lines, or NULL. */
INLINE const char *fetch_next(fetch_list *f) {
    if (f->n_rows == 0) return NULL;
    const char *at = (const char *)(f->arrays[f->array] + f->rows[0] * f->ld)
                     + 64 * FETCH_LINES * f->chunk;
    if (++f->chunk == f->n_chunks) {
        f->chunk = 0;
        if (++f->array == 2) {
            f->array = 0;
            f->rows++;
            f->n_rows--;
        }
    }
    return at;
}
#define PREFETCH_W(p) __builtin_prefetch((p), 1, 3)

/* Transposes a VL x VL block held in registers. */
#if defined(__AVX2__) && !defined(__AVX512F__) && !REAL_IS_DOUBLE
INLINE void vtranspose(vreal r[]) {
    __m256 a[8], b[8];
    for (int i = 0; i < 8; i += 2) {
        a[i] = _mm256_unpacklo_ps((__m256)r[i], (__m256)r[i + 1]);
        a[i + 1] = _mm256_unpackhi_ps((__m256)r[i], (__m256)r[i + 1]);
    }
    for (int i = 0; i < 8; i += 4) {
        b[i] = _mm256_shuffle_ps(a[i], a[i + 2], 0x44);
        b[i + 1] = _mm256_shuffle_ps(a[i], a[i + 2], 0xEE);
        b[i + 2] = _mm256_shuffle_ps(a[i + 1], a[i + 3], 0x44);
        b[i + 3] = _mm256_shuffle_ps(a[i + 1], a[i + 3], 0xEE);
    }
    for (int i = 0; i < 4; i++) {
        r[i] = (vreal)_mm256_permute2f128_ps(b[i], b[i + 4], 0x20);
        r[i + 4] = (vreal)_mm256_permute2f128_ps(b[i], b[i + 4], 0x31);
    }
}
#else
INLINE void vtranspose(vreal r[]) {
    real t[VL][VL];
    for (int i = 0; i < VL; i++)
        for (int j = 0; j < VL; j++) t[j][i] = r[i][j];
    for (int i = 0; i < VL; i++) r[i] = vloadu(t[i]);
}
#endif

/* Flush denormals to zero in this thread; returns the state to restore.
 * Set in every worker, for the control register is a thread's own: otherwise an element's
 * bits would depend on which thread computed it. */
INLINE uint64_t denormals_off(void) {
#if defined(__x86_64__)
    unsigned state = _mm_getcsr();
    _mm_setcsr(state | 0x8040u);
    return state;
#elif defined(__aarch64__)
    uint64_t state;
    __asm__ volatile("mrs %0, fpcr" : "=r"(state));
    __asm__ volatile("msr fpcr, %0" : : "r"(state | (1ull << 24)));
    return state;
#else
    return 0;
#endif
}
INLINE void denormals_restore(uint64_t state) {
#if defined(__x86_64__)
    _mm_setcsr((unsigned)state);
#elif defined(__aarch64__)
    __asm__ volatile("msr fpcr, %0" : : "r"(state));
#else
    (void)state;
#endif
}

#endif
