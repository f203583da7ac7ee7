/* Losses and metrics of one row, in double; gradients are rounded to the network's type. */
#ifndef FASTMLP_LOSSES_H
#define FASTMLP_LOSSES_H

#include "activations.h"

enum loss {
    LOSS_MSE, LOSS_MAE, LOSS_HUBER, LOSS_POISSON, LOSS_BCE, LOSS_CCE, LOSS_SCCE,
    METRIC_BINARY_ACCURACY, METRIC_CATEGORICAL_ACCURACY, METRIC_SPARSE_ACCURACY
};

/* Keras's fuzz: a cross-entropy's probabilities are kept this far from 0 and 1. */
#define FUZZ 1e-7

/* The first of the largest; -1, which is no class, if one is NaN. */
static int argmax(int J, const real *p) {
    int best = 0, nan = 0;
    for (int j = 0; j < J; j++) {
        if (p[j] > p[best]) best = j;
        nan |= p[j] != p[j];
    }
    return nan ? -1 : best;
}

static double clip_probability(double p) {
    return p < FUZZ ? FUZZ : p > 1 - FUZZ ? 1 - FUZZ : p;
}

/* One output's share of a row's total. Of outputs that are all 0 the shares are 0, not 0 / 0. */
static double share_of(double p, double total) { return p == 0 && total == 0 ? 0 : p / total; }

static double binary_crossentropy(double target, double p) {
    const double q = clip_probability(p);
    if (target == 1) return -log(q);
    if (target == 0) return -log1p(-q);
    return -(target * log(q) + (1 - target) * log1p(-q));
}

/* Loss (or metric) of one row. p: outputs; z: pre-activations or NULL; t: targets, or the class
 * in t[0] for the sparse kinds. With grad not NULL also the gradient with respect to p, or to z
 * if the pair has a stable form from logits (*from_logits). The row's weight is not applied.
 *
 * A cross-entropy is Keras's: of outputs scaled to sum to one (binary: as they are), then clipped
 * to [FUZZ, 1 - FUZZ]. With `smooth` it is that of the logits where there are any: the function
 * that the gradient is of, for searches that compare values and never show them. */
static double loss_row(int kind, int act, int J, double delta, const real *p, const real *z,
                       const real *t, int smooth, double *grad, int *from_logits) {
    double sum = 0;
    *from_logits = 0;
    switch (kind) {
        case LOSS_MSE:
            for (int j = 0; j < J; j++) {
                const double e = (double)p[j] - t[j];
                sum += e * e;
                if (grad) grad[j] = 2 * e / J;
            }
            return sum / J;
        case LOSS_MAE:
            for (int j = 0; j < J; j++) {
                const double e = (double)p[j] - t[j];
                sum += fabs(e);
                if (grad) grad[j] = (e > 0 ? 1.0 : e < 0 ? -1.0 : e) / J;
            }
            return sum / J;
        case LOSS_HUBER:
            for (int j = 0; j < J; j++) {
                const double e = (double)p[j] - t[j];
                if (fabs(e) <= delta) sum += 0.5 * e * e;
                else sum += delta * (fabs(e) - 0.5 * delta);
                if (grad) grad[j] = (e > delta ? delta : e < -delta ? -delta : e) / J;
            }
            return sum / J;
        case LOSS_POISSON:
            for (int j = 0; j < J; j++) {
                sum += p[j] - t[j] * log(p[j] + FUZZ);
                if (grad) grad[j] = (1 - t[j] / (p[j] + FUZZ)) / J;
            }
            return sum / J;
        case LOSS_BCE:
            if (act == ACT_SIGMOID && z) {
                *from_logits = 1;
                for (int j = 0; j < J; j++) {
                    const double a = z[j], e = smooth || grad ? exp(-fabs(a)) : 0;
                    sum += smooth ? (a > 0 ? a : 0) - a * t[j] + log1p(e) + (a != a ? a : 0)
                                  : binary_crossentropy(t[j], p[j]);
                    if (grad) grad[j] = ((a < 0 ? e : 1.0) / (1 + e) - t[j]) / J;
                }
                return sum / J;
            }
            for (int j = 0; j < J; j++) {
                const double q = clip_probability(p[j]);
                sum += binary_crossentropy(t[j], p[j]);
                if (grad) grad[j] = q == p[j] ? (q - t[j]) / (q * (1 - q)) / J : 0;
            }
            return sum / J;
        case LOSS_CCE:
        case LOSS_SCCE: {
            const int label = kind == LOSS_SCCE ? (int)t[0] : -1;
#define TARGET(j) (kind == LOSS_SCCE ? (double)((j) == label) : (double)t[j])
            const int logits = act == ACT_SOFTMAX && z;
            double total = 0, dot = 0;
            *from_logits = logits;
            if (logits && (smooth || grad)) {
                double top = z[0], weight = 0;
                for (int j = 1; j < J; j++) top = z[j] > top ? z[j] : top;
                for (int j = 0; j < J; j++) total += exp(z[j] - top);
                const double log_total = top + log(total);
                for (int j = 0; j < J; j++) {
                    const double target = TARGET(j);
                    if (smooth && target != 0) sum += target * (log_total - z[j]);
                    weight += target;
                }
                if (grad)
                    for (int j = 0; j < J; j++)
                        grad[j] = exp(z[j] - log_total) * weight - TARGET(j);
                if (smooth) return sum;
                total = 0;
            }
            for (int j = 0; j < J; j++) total += p[j];
            for (int j = 0; j < J; j++) {
                const double q = share_of(p[j], total), c = clip_probability(q), target = TARGET(j);
                if (target != 0 || q != q) sum -= target * log(c);
                if (grad && !logits) {
                    grad[j] = q == c ? -target / q : 0;
                    dot += grad[j] * q;
                }
            }
            if (grad && !logits)
                for (int j = 0; j < J; j++) grad[j] = total == 0 ? 0 : (grad[j] - dot) / total;
            return sum;
#undef TARGET
        }
        case METRIC_BINARY_ACCURACY:
            for (int j = 0; j < J; j++)
                sum += (p[j] > (real)0.5) == (t[j] > (real)0.5) && p[j] == p[j];
            return sum / J;
        case METRIC_CATEGORICAL_ACCURACY: return argmax(J, p) == argmax(J, t);
        case METRIC_SPARSE_ACCURACY: return argmax(J, p) == (int)t[0];
        default: return NAN;
    }
}

#endif
