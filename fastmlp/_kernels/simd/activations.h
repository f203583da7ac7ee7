/* Activation functions and their derivatives, a vector at a time.
 *
 * A hidden unit's NaN must survive to be noticed: comparisons are written so that a NaN falls
 * through to the branch that keeps it.
 */
#ifndef FASTMLP_ACTIVATIONS_H
#define FASTMLP_ACTIVATIONS_H

#include "lists.h"
#include "simd.h"

enum activation {
    ACT_LINEAR, ACT_RELU, ACT_LEAKY_RELU, ACT_ELU, ACT_GELU, ACT_SILU, ACT_TANH, ACT_SIGMOID,
    ACT_SOFTPLUS, ACT_SOFTMAX
};

#define LEAKY_SLOPE ((real)0.2)

/* exp(x) - 1 for x <= 0 (elsewhere unused): x = n ln 2 + r, |r| <= ln 2 / 2, and exp(r) - 1 by its
 * Taylor series, to a rounding error of the last place. Also returns 2^n. */
INLINE vreal vexpm1_parts(vreal x, vreal *scale) {
#if REAL_IS_DOUBLE
    const real low = -708.0, magic = 6755399441055744.0; /* 1.5 * 2^52 */
    const real ln2_hi = 0x1.62e42fefa0000p-1, ln2_lo = 0x1.cf79abc9e3b3ap-40;
    enum { TERMS = 14, MANTISSA = 52, BIAS = 1023 };
#else
    const real low = -87.0f, magic = 12582912.0f; /* 1.5 * 2^23 */
    const real ln2_hi = 0x1.62e4p-1f, ln2_lo = 0x1.7f7d1cp-20f;
    enum { TERMS = 8, MANTISSA = 23, BIAS = 127 };
#endif
    x = vselect(x < vset1(low), vset1(low), x);
    const vreal t = vfma(x, vset1((real)1.4426950408889634), vset1(magic));
    const vreal n = t - vset1(magic);
    vreal r = vfma(n, vset1(-ln2_hi), x);
    r = vfma(n, vset1(-ln2_lo), r);
    real term = 1;
    real c[TERMS + 1];
    for (int i = 1; i <= TERMS; i++) {
        term /= (real)i;
        c[i] = term;
    }
    vreal p = vset1(c[TERMS]);
    for (int i = TERMS - 1; i >= 1; i--) p = vfma(p, r, vset1(c[i]));
    *scale = (vreal)(((vint)t - (vint)vset1(magic) + BIAS) << MANTISSA);
    return p * r;
}

INLINE vreal vexp_nonpositive(vreal x) {
    vreal scale;
    const vreal q = vexpm1_parts(x, &scale);
    return vfma(scale, q, scale);
}

INLINE vreal vexpm1_nonpositive(vreal x) {
    vreal scale;
    const vreal q = vexpm1_parts(x, &scale);
    return vfma(scale, q, scale - (real)1);
}

INLINE vreal vsigmoid(vreal z) {
    const vreal e = vexp_nonpositive(-vabs(z));
    const vreal s = (real)1 / (e + (real)1);
    return vselect(z < vzero(), e * s, s);
}

INLINE vreal vtanh(vreal z) {
    const vreal q = vexpm1_nonpositive((real)-2 * vabs(z));
    const vreal t = -q / (q + (real)2);
    return vselect(z < vzero(), -t, t);
}

INLINE vreal vnormal_cdf(vreal z) {
    for (int i = 0; i < VL; i++) {
#if REAL_IS_DOUBLE
        z[i] = 0.5 * erfc(z[i] * -0.7071067811865476);
#else
        z[i] = 0.5f * erfcf(z[i] * -0.70710678f);
#endif
    }
    return z;
}

INLINE vreal vlog1p(vreal a) {
    for (int i = 0; i < VL; i++) a[i] = REAL_IS_DOUBLE ? log1p(a[i]) : log1pf(a[i]);
    return a;
}

/* y = act(z); softmax couples a row's units and is applied by softmax_row. */
INLINE vreal activate(const int act, vreal z) {
    switch (act) {
        case ACT_RELU: return vselect(z < vzero(), vzero(), z);
        case ACT_LEAKY_RELU: return vselect(z < vzero(), z * LEAKY_SLOPE, z);
        case ACT_ELU:
            return vselect(z < vzero(), vexpm1_nonpositive(vselect(z < vzero(), z, vzero())), z);
        case ACT_GELU: return z * vnormal_cdf(z);
        case ACT_SILU: return z * vsigmoid(z);
        case ACT_TANH: return vtanh(z);
        case ACT_SIGMOID: return vsigmoid(z);
        case ACT_SOFTPLUS:
            return vselect(z < vzero(), vzero(), z) + vlog1p(vexp_nonpositive(-vabs(z)));
        default: return z;
    }
}

/* dz = d * act'(z), from y = act(z) where that suffices, else from z. Masks select, never
 * multiply, so that an inactive unit's garbage cannot reach a gradient. */
INLINE vreal activate_backward(const int act, vreal d, vreal y, vreal z) {
    switch (act) {
        case ACT_RELU: return vselect(y > vzero(), d, vzero());
        case ACT_LEAKY_RELU: return vselect(y > vzero(), d, d * LEAKY_SLOPE);
        case ACT_ELU: return vselect(y > vzero(), d, d * (y + (real)1));
        case ACT_GELU: {
            const vreal density =
                vexp_nonpositive((real)-0.5 * z * z) * (real)0.3989422804014327;
            return d * vfma(z, density, vnormal_cdf(z));
        }
        case ACT_SILU: {
            const vreal s = vsigmoid(z);
            return d * (s + z * s * ((real)1 - s));
        }
        case ACT_TANH: return d * ((real)1 - y * y);
        case ACT_SIGMOID: return d * (y * ((real)1 - y));
        case ACT_SOFTPLUS: return d * vsigmoid(z);
        default: return d;
    }
}

static int activation_needs_z(int act) {
    return act == ACT_GELU || act == ACT_SILU || act == ACT_SOFTPLUS || act == ACT_SOFTMAX;
}

/* Finishes n rows of nv vectors: adds the bias, keeps z if asked, applies the activation and
 * notes in `live` which columns have a value other than zero in some row. */
INLINE void finish_case(const int act, int n, int nv, const real *b, real *y, ptrdiff_t ldy,
                        real *z, unsigned char *live) {
    for (int v = 0; v < nv; v++) {
        const vreal bias = vload(b + v * VL);
        vint any = (vint)vzero();
        for (int i = 0; i < n; i++) {
            real *p = y + (ptrdiff_t)i * ldy + v * VL;
            const vreal pre = vload(p) + bias;
            if (z) vstore(z + (ptrdiff_t)i * ldy + v * VL, pre);
            const vreal out = activate(act, pre);
            vstore(p, out);
            any |= (vint)(out != vzero());
        }
        if (live) store_flags(live + v * VL, any);
    }
}

static void finish_forward(int act, int n, int nv, const real *b, real *y, ptrdiff_t ldy, real *z,
                           unsigned char *live) {
#define CASE(A) case A: finish_case(A, n, nv, b, y, ldy, z, live); break
    switch (act) {
        CASE(ACT_RELU); CASE(ACT_LEAKY_RELU); CASE(ACT_ELU); CASE(ACT_GELU); CASE(ACT_SILU);
        CASE(ACT_TANH); CASE(ACT_SIGMOID); CASE(ACT_SOFTPLUS);
        default: finish_case(ACT_LINEAR, n, nv, b, y, ldy, z, live); break;
    }
#undef CASE
}

/* y = softmax(z) over J units of a row. */
static void softmax_row(int J, const real *z, real *y) {
    double top = z[0], sum = 0;
    for (int j = 1; j < J; j++) top = z[j] > top ? z[j] : top;
    for (int j = 0; j < J; j++) {
        const double e = exp((double)z[j] - top);
        y[j] = (real)e;
        sum += e;
    }
    for (int j = 0; j < J; j++) y[j] = (real)(y[j] / sum);
}

/* dz = J(softmax)' d in place, for one row. */
static void softmax_backward_row(int J, const real *y, real *d) {
    double dot = 0;
    for (int j = 0; j < J; j++) dot += (double)y[j] * d[j];
    for (int j = 0; j < J; j++) d[j] = (real)(y[j] * (d[j] - dot));
}

/* Where a unit's value for row i lies in a feature-major array: [group of rows, unit, LANE_ROWS],
 * groups `group` items apart. */
INLINE ptrdiff_t feature_at(ptrdiff_t group, int unit, int i) {
    return i / LANE_ROWS * group + (ptrdiff_t)unit * LANE_ROWS + i % LANE_ROWS;
}

/* From dx to dz for the units [c0, c1) (multiples of VL) of one layer and n rows of the batch.
 * The gradient arrives feature-major in t (from_t) or sample-major in dz; it leaves in dz, and in
 * t as well if keep_t. Applies the dropout mask of the layer's output (mask may be NULL) and the
 * activation's derivative; live[c] says whether any row's dz is other than zero. */
INLINE void backward_case(const int act, int c0, int c1, int n, int from_t, int keep_t, real *t,
                          ptrdiff_t group, real *dz, ptrdiff_t ld, const real *y, const real *z,
                          const real *mask, unsigned char *live) {
    for (int c = c0; c < c1; c += VL) {
        vint any = (vint)vzero();
        for (int i = 0; i < n; i += VL) {
            const int rows = n - i < VL ? n - i : VL;
            const int ahead = n - i - VL < VL ? n - i - VL : VL;
            vreal r[VL];
            /* Outputs that another thread computed lie in its cache. */
            for (int e = 0; e < ahead; e++) PREFETCH(y + (ptrdiff_t)(i + VL + e) * ld + c);
            if (from_t) {
                for (int e = 0; e < VL; e++) r[e] = vload(t + feature_at(group, c + e, i));
                vtranspose(r);
            } else
                for (int e = 0; e < rows; e++) r[e] = vload(dz + (ptrdiff_t)(i + e) * ld + c);
            for (int e = 0; e < rows; e++) {
                const ptrdiff_t at = (ptrdiff_t)(i + e) * ld + c;
                vreal d = r[e];
                if (mask) {
                    const vreal keep = vload(mask + at);
                    d = vselect(keep != vzero(), d * keep, vzero());
                }
                d = activate_backward(act, d, vload(y + at), z ? vload(z + at) : vzero());
                vstore(dz + at, d);
                any |= (vint)(d != vzero());
                r[e] = d;
            }
            if (keep_t) {
                for (int e = rows; e < VL; e++) r[e] = vzero();
                vtranspose(r);
                for (int e = 0; e < VL; e++) vstore(t + feature_at(group, c + e, i), r[e]);
            }
        }
        if (live) store_flags(live + c, any);
    }
}

static void finish_backward(int act, int c0, int c1, int n, int from_t, int keep_t, real *t,
                            ptrdiff_t group, real *dz, ptrdiff_t ld, const real *y, const real *z,
                            const real *mask, unsigned char *live) {
#define CASE(A)                                                                              \
    case A:                                                                                  \
        backward_case(A, c0, c1, n, from_t, keep_t, t, group, dz, ld, y, z, mask, live);       \
        break
    switch (act) {
        CASE(ACT_RELU); CASE(ACT_LEAKY_RELU); CASE(ACT_ELU); CASE(ACT_GELU); CASE(ACT_SILU);
        CASE(ACT_TANH); CASE(ACT_SIGMOID); CASE(ACT_SOFTPLUS);
        default:
            backward_case(ACT_LINEAR, c0, c1, n, from_t, keep_t, t, group, dz, ld, y, z, mask, live);
            break;
    }
#undef CASE
}

/* t = dz transposed for columns [c0, c1). */
static void to_feature_major(int c0, int c1, int n, const real *dz, ptrdiff_t ld, real *t,
                             ptrdiff_t group) {
    for (int c = c0; c < c1; c += VL)
        for (int i = 0; i < n; i += VL) {
            vreal r[VL];
            for (int e = 0; e < VL; e++)
                r[e] = i + e < n ? vload(dz + (ptrdiff_t)(i + e) * ld + c) : vzero();
            vtranspose(r);
            for (int e = 0; e < VL; e++) vstore(t + feature_at(group, c + e, i), r[e]);
        }
}

#endif
