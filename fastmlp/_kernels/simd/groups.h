/* Group penalties: lambda * sum over groups of sqrt(size) * ||group||, by proximal steps.
 *
 * After a step of the optimizer, which moved each weight by gradient / d, a group z becomes the w
 * that minimises  sum_i d_i (w_i - z_i)^2 / 2 + c ||w||  with c = lambda * sqrt(size): zero if
 * ||d z|| <= c, else w_i = z_i * d_i s / (d_i s + c), where s = ||w|| solves
 *     sum_i (d_i z_i / (d_i s + c))^2 = 1.
 * A step that ends where it began then has gradient + c w / ||w|| = 0, whatever the d_i are.
 * ||w - z|| is bounded, as thresholds are: d goes to zero where gradients do.
 *
 * A group is n vectors that lie `step` apart: with `rows` the vectors make up one group together,
 * without them each lane is a group of its own.
 */
#ifndef FASTMLP_GROUPS_H
#define FASTMLP_GROUPS_H

#include "optimizers.h"

#define GROUP_ROUNDS 30
#define GROUP_KEPT 64 /* vectors of d that are kept, not computed anew in each round */

INLINE vreal over_group(int rows, vreal sum) { return rows ? vset1(vsum(sum)) : sum; }

/* d: what the rule divides a gradient by. */
INLINE vreal group_metric(const update_rule *rule, vreal per_rate, const real *m, const real *v) {
    if (rule->kind == OPT_ADAM || rule->kind == OPT_RMSPROP)
        return (vsqrt(vload(v)) + vset1(rule->eps)) * per_rate;
    if (rule->kind == OPT_ADAGRAD) return vsqrt(vload(m) + vset1(rule->eps)) * per_rate;
    return per_rate;
}

/* The same in the loops of group_shrink. */
#define GROUP_METRIC(i) ((i) < GROUP_KEPT ? kept[i] : group_metric(rule, per_rate, m + at, v + at))

/* Norms of the groups: of one, or of VL. */
static void group_norm(int rows, int n, ptrdiff_t step, const real *w, double *norm) {
    vreal sum = vzero();
    for (int i = 0; i < n; i++) {
        const vreal z = vload(w + i * step);
        sum = vfma(z, z, sum);
    }
    sum = vsqrt(over_group(rows, sum));
    for (int e = 0; e < (rows ? 1 : VL); e++) norm[e] = sum[e];
}

/* The proximal step of the groups that begin at w, for lambda and the size of a group. `before`:
 * their norms before the optimizer's step, near which Newton's method begins. */
static void group_shrink(const update_rule *rule, double lambda, int size, int rows, int n,
                         ptrdiff_t step, real *w, const real *m, const real *v,
                         const double *before) {
    if (!(rule->prox_rate > 0)) return;
    const vreal c = vset1((real)(lambda * sqrt((double)size)));
    const vreal per_rate = vset1(1 / rule->prox_rate), one = vset1(1);
    const vreal enough = vset1(REAL_IS_DOUBLE ? 1e-15 : 1e-7);
    const vreal most = vset1((real)(rule->prox_limit * sqrt((double)size)));
    vreal any = vzero();
    for (int i = 0; i < n; i++) any = (vreal)((vint)any | (vint)vload(w + i * step));
    if (!vany((vint)(any != vzero()))) return; /* zero already */
    vreal kept[GROUP_KEPT], sum = vzero(), s, moved = vzero();
    for (int e = 0; e < VL; e++) s[e] = (real)before[rows ? 0 : e];
    for (int i = 0; i < n; i++) {
        const ptrdiff_t at = i * step;
        const vreal d = group_metric(rule, per_rate, m + at, v + at);
        const vreal z = vload(w + at), a = d * z;
        if (i < GROUP_KEPT) kept[i] = d;
        sum = vfma(a, a, sum);
        moved = vfma(z, z, moved);
    }
    const vint zero = (vint)(vsqrt(over_group(rows, sum)) <= c); /* NaN stays */
    s = vselect(zero, vzero(), s);
    /* Newton's method on 1 / sqrt(f) - 1, f the sum above: concave, so that s grows to the root from
     * the second round on, and a straight line if all d are alike. */
    for (int round = 0; round < GROUP_ROUNDS && vany(~zero); round++) {
        vreal f = vzero(), slope = vzero(), change = vzero();
        for (int i = 0; i < n; i++) {
            const ptrdiff_t at = i * step;
            const vreal d = GROUP_METRIC(i), z = vload(w + at);
            const vreal under = one / vfma(d, s, c), q = d * z * under, part = c * z * under;
            f = vfma(q, q, f);
            slope = vfma(q * q, d * under, slope);
            change = vfma(part, part, change);
        }
        f = over_group(rows, f);
        moved = vselect(zero, moved, change);
        vreal more = f * (vsqrt(f) - one) / over_group(rows, slope);
        const vint on = round ? (vint)(more > enough * s) : (vint)(vabs(more) > enough * s);
        more = vselect(~zero & on, more, vzero());
        s += more;
        s = vselect((vint)(s > vzero()), s, vzero());
        if (!vany((vint)(more != vzero()))) break;
    }
    moved = vsqrt(over_group(rows, moved));
    const int bounded = rule->kind >= OPT_RMSPROP;
    const vint far = bounded ? (vint)(moved > most) : (vint)vzero();
    const vreal share = vselect(far, most / moved, one);
    for (int i = 0; i < n; i++) {
        const ptrdiff_t at = i * step;
        const vreal d = GROUP_METRIC(i), z = vload(w + at);
        const vreal under = one / vfma(d, s, c); /* s is 0 for a group that becomes zero */
        const vreal near = vselect(zero, vzero(), z * (d * s * under));
        vstore(w + at, vselect(far, vfma(-share * z, c * under, z), near));
    }
}

#endif
