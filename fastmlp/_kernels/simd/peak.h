/* What the machine can do at most: multiply-adds that wait for nothing. */
#ifndef FASTMLP_PEAK_H
#define FASTMLP_PEAK_H

#include "simd.h"

/* Does `rounds` rounds of PEAK_FLOPS operations; the result only keeps them from being dropped. */
#define PEAK_CHAINS 12
#define PEAK_FLOPS (2.0 * PEAK_CHAINS * 64 * VL)
static double peak_rounds(long long rounds) {
    vreal acc[PEAK_CHAINS], total = vzero();
    vreal factor = vset1((real)0.999), term = vset1((real)0.001);
    for (int c = 0; c < PEAK_CHAINS; c++) acc[c] = vset1((real)c);
    for (long long k = 0; k < rounds * 64; k++)
        for (int c = 0; c < PEAK_CHAINS; c++) acc[c] = vfma(acc[c], factor, term);
    for (int c = 0; c < PEAK_CHAINS; c++) total += acc[c];
    return vsum(total);
}

#endif
