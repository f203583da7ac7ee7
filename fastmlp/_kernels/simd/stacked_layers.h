/* Stacks of networks of any depth: see stacked.h, of which this is the general form.
 *
 * Rows go forward and backward a block at a time, so that a block's activations stay in cache;
 * gradients are chains over the rows in the batch's order, from block to block. Each element is
 * the chain of operations of tiles.h and passes.pxi. A narrow layer there sums over lanes.
 */
#ifndef FASTMLP_STACKED_LAYERS_H
#define FASTMLP_STACKED_LAYERS_H

#include "stacked.h"

#define STACKED_BLOCK 16                          /* rows of a block */
#define STACKED_TILE (VBYTES == 64 ? 4 : 2)       /* columns of a tile; its rows are 4 */
#define STACKED_NARROW_COLUMNS 64                 /* as NARROW_COLUMNS */

/* One layer. Offsets count vectors: w [n_in, n_out] and b [n_out] in parameters, moments and
 * gradient alike. y, z and dz hold a block's rows, [STACKED_BLOCK, n_out]. */
typedef struct {
    int n_in, n_out, act, narrow, use_bias, has_z;
    size_t w_at, b_at;
    penalty_rule pen, pen_b;
    real *y, *z, *dz;
} stacked_layer;

INLINE int stacked_penalised(penalty_rule pen) { return pen.l1 != 0 || pen.l2 != 0; }

/* ---- forward ---- */

/* acc[r][c] = sum over k of x[r, k] * w[k, c]; distances count vectors. */
INLINE void stacked_tile(const int mr, const int nc, int n, const real *x, size_t ldx,
                         const real *w, size_t step_k, size_t step_c, vreal acc[4][4]) {
    for (int r = 0; r < mr; r++)
        for (int c = 0; c < nc; c++) acc[r][c] = vzero();
    for (int k = 0; k < n; k++) {
        vreal wk[4];
        for (int c = 0; c < nc; c++) wk[c] = vload(w + (k * step_k + c * step_c) * VL);
        for (int r = 0; r < mr; r++) {
            const vreal a = vload(x + (r * ldx + k) * VL);
            for (int c = 0; c < nc; c++) acc[r][c] = vfma(a, wk[c], acc[r][c]);
        }
    }
}

INLINE void stacked_product_tile(const int mr, const int nc, int n, const real *x, size_t ldx,
                                 const real *w, size_t step_k, size_t step_c, real *out,
                                 size_t ldo) {
    vreal acc[4][4];
    stacked_tile(mr, nc, n, x, ldx, w, step_k, step_c, acc);
    for (int r = 0; r < mr; r++)
        for (int c = 0; c < nc; c++) vstore(out + (r * ldo + c) * VL, acc[r][c]);
}

/* out[i, c] = sum over k < n of x[i, k] * w[k, c]: w[k, c] lies at k * step_k + c * step_c. */
static NOINLINE void stacked_product(int rows, int columns, int n, const real *x, size_t ldx,
                                     const real *w, size_t step_k, size_t step_c, real *out,
                                     size_t ldo) {
    for (int c = 0; c < columns;) {
        const int wide = c + STACKED_TILE <= columns;
        const real *wc = w + c * step_c * VL;
        int i = 0;
        for (; i + 4 <= rows; i += 4) {
            const real *xi = x + i * ldx * VL;
            real *oi = out + (i * ldo + c) * VL;
            if (wide)
                stacked_product_tile(4, STACKED_TILE, n, xi, ldx, wc, step_k, step_c, oi, ldo);
            else stacked_product_tile(4, 1, n, xi, ldx, wc, step_k, step_c, oi, ldo);
        }
        for (; i < rows; i++) {
            const real *xi = x + i * ldx * VL;
            real *oi = out + (i * ldo + c) * VL;
            if (wide)
                stacked_product_tile(1, STACKED_TILE, n, xi, ldx, wc, step_k, step_c, oi, ldo);
            else stacked_product_tile(1, 1, n, xi, ldx, wc, step_k, step_c, oi, ldo);
        }
        c += wide ? STACKED_TILE : 1;
    }
}

/* A narrow layer's product: lane e of the lone network's vectors sums the inputs e, e + ref, ...,
 * padding included, whose input is `idle` and whose weight is zero. */
static NOINLINE void stacked_narrow_product(const stacked_layer *layer, int ref, int rows,
                                            const real *x, vreal idle, const real *w) {
    const int n_in = layer->n_in, n_out = layer->n_out;
    const int padded = (n_in + ref - 1) / ref * ref;
    for (int i = 0; i < rows; i++)
        for (int j = 0; j < n_out; j++) {
            vreal lanes[16];
            for (int e = 0; e < ref; e++) {
                vreal sum = vzero();
                for (int k = e; k < padded; k += ref)
                    sum = k < n_in ? vfma(vload(x + ((size_t)i * n_in + k) * VL),
                                          vload(w + ((size_t)k * n_out + j) * VL), sum)
                                   : vfma(idle, vzero(), sum);
                lanes[e] = sum;
            }
            for (int h = ref / 2; h > 0; h /= 2)
                for (int a = 0; a < h; a++) lanes[a] += lanes[a + h];
            vstore(layer->y + ((size_t)i * n_out + j) * VL, lanes[0]);
        }
}

/* Softmax of a block's rows, a network at a time. */
static void stacked_softmax(const stacked_layer *layer, int rows) {
    const int J = layer->n_out;
    real z[STACKED_OUTPUTS], y[STACKED_OUTPUTS];
    for (int i = 0; i < rows; i++)
        for (int e = 0; e < VL; e++) {
            for (int j = 0; j < J; j++) z[j] = layer->z[((size_t)i * J + j) * VL + e];
            softmax_row(J, z, y);
            for (int j = 0; j < J; j++) layer->y[((size_t)i * J + j) * VL + e] = y[j];
        }
}

INLINE void stacked_finish(const int act, const stacked_layer *layer, int rows, const real *b) {
    for (int i = 0; i < rows; i++)
        for (int j = 0; j < layer->n_out; j++) {
            const size_t at = ((size_t)i * layer->n_out + j) * VL;
            const vreal z = vload(layer->y + at) + vload(b + j * VL);
            if (layer->has_z) vstore(layer->z + at, z);
            vstore(layer->y + at, stacked_act(act, z));
        }
}

static NOINLINE void stacked_layer_forward(const stacked_layer *layer, const stacked_layer *below,
                                           int ref, int rows, const real *x, const real *params) {
    const real *w = params + layer->w_at * VL, *b = params + layer->b_at * VL;
    if (layer->narrow) {
        const vreal idle = below ? activate(below->act, vzero()) : vzero();
        stacked_narrow_product(layer, ref, rows, x, idle, w);
    } else {
        stacked_product(rows, layer->n_out, layer->n_in, x, layer->n_in, w, layer->n_out, 1,
                        layer->y, layer->n_out);
    }
    if (layer->act == ACT_RELU) stacked_finish(ACT_RELU, layer, rows, b);
    else if (layer->act == ACT_SOFTMAX) stacked_finish(ACT_LINEAR, layer, rows, b);
    else stacked_finish(layer->act, layer, rows, b);
    if (layer->act == ACT_SOFTMAX) stacked_softmax(layer, rows);
}

/* ---- backward ---- */

INLINE void stacked_gradient_tile(const int nk, const int nj, int rows, const real *x, size_t ldx,
                                  const real *dz, size_t ldd, real *g, size_t ldg, int more) {
    vreal acc[4][4];
    for (int k = 0; k < nk; k++)
        for (int j = 0; j < nj; j++) acc[k][j] = more ? vload(g + (k * ldg + j) * VL) : vzero();
    for (int i = 0; i < rows; i++) {
        vreal d[4];
        for (int j = 0; j < nj; j++) d[j] = vload(dz + (i * ldd + j) * VL);
        for (int k = 0; k < nk; k++) {
            const vreal a = vload(x + (i * ldx + k) * VL);
            for (int j = 0; j < nj; j++) acc[k][j] = vfma(a, d[j], acc[k][j]);
        }
    }
    for (int k = 0; k < nk; k++)
        for (int j = 0; j < nj; j++) vstore(g + (k * ldg + j) * VL, acc[k][j]);
}

/* The gradient of weights and biases, going on from that of earlier rows if `more`. */
static NOINLINE void stacked_layer_gradient(const stacked_layer *layer, int rows, const real *x,
                                            real *gradient, int more) {
    const int n_in = layer->n_in, n_out = layer->n_out;
    real *db = gradient + layer->b_at * VL;
    for (int j = 0; j < n_out;) {
        const int wide = j + STACKED_TILE <= n_out;
        const real *dz = layer->dz + j * VL;
        real *g = gradient + (layer->w_at + j) * VL;
        int k = 0;
        for (; k + 4 <= n_in; k += 4) {
            real *gk = g + (size_t)k * n_out * VL;
            if (wide)
                stacked_gradient_tile(4, STACKED_TILE, rows, x + k * VL, n_in, dz, n_out, gk,
                                      n_out, more);
            else stacked_gradient_tile(4, 1, rows, x + k * VL, n_in, dz, n_out, gk, n_out, more);
        }
        for (; k < n_in; k++) {
            real *gk = g + (size_t)k * n_out * VL;
            if (wide)
                stacked_gradient_tile(1, STACKED_TILE, rows, x + k * VL, n_in, dz, n_out, gk,
                                      n_out, more);
            else stacked_gradient_tile(1, 1, rows, x + k * VL, n_in, dz, n_out, gk, n_out, more);
        }
        j += wide ? STACKED_TILE : 1;
    }
    for (int j = 0; j < n_out && layer->use_bias; j++) {
        vreal sum = more ? vload(db + j * VL) : vzero();
        for (int i = 0; i < rows; i++) sum = vload(layer->dz + ((size_t)i * n_out + j) * VL) + sum;
        vstore(db + j * VL, sum);
    }
}

INLINE void stacked_derive(const int act, const stacked_layer *layer, int rows) {
    for (size_t at = 0; at < (size_t)rows * layer->n_out * VL; at += VL) {
        const vreal z = layer->has_z ? vload(layer->z + at) : vzero();
        vstore(layer->dz + at,
               stacked_act_backward(act, vload(layer->dz + at), vload(layer->y + at), z));
    }
}

/* dz of the layer below. */
static NOINLINE void stacked_layer_data(const stacked_layer *layer, const stacked_layer *below,
                                        int rows, const real *params) {
    stacked_product(rows, layer->n_in, layer->n_out, layer->dz, layer->n_out,
                    params + layer->w_at * VL, 1, layer->n_out, below->dz, layer->n_in);
    if (below->act == ACT_RELU) stacked_derive(ACT_RELU, below, rows);
    else stacked_derive(below->act, below, rows);
}

/* ---- update ---- */

/* The penalty's value in the order of the lone network: by rows of the weights, or by parts of
 * its inputs where the layer is narrow; then the biases. */
static NOINLINE void stacked_layer_update(stacked_net *s, const stacked_layer *layer,
                                          const update_rule *rule) {
    update_sums sums[16];
    double value[VL];
    const int n_in = layer->n_in, n_out = layer->n_out, ref = s->ref;
    const int step = layer->narrow ? STACKED_NARROW_COLUMNS : 1;
    for (int k0 = 0; k0 < n_in; k0 += step) {
        for (int a = 0; a < ref; a++) sums_reset(&sums[a]);
        for (int j = 0; j < n_out; j++)
            for (int k = k0; k < k0 + step && k < n_in; k++)
                stacked_update(s, rule, layer->pen, layer->w_at + (size_t)k * n_out + j, 1,
                               &sums[(layer->narrow ? k : j) % ref]);
        memset(value, 0, sizeof(value));
        stacked_penalty(sums, ref, layer->pen, value);
        for (int e = 0; e < VL; e++) s->penalty[e] += value[e];
        for (int a = 0; a < ref; a++) stacked_note(s, &sums[a]);
    }
    for (int a = 0; a < ref; a++) sums_reset(&sums[a]);
    for (int j = 0; j < n_out; j++)
        stacked_update(s, rule, layer->pen_b, layer->b_at + j, 1, &sums[j % ref]);
    memset(value, 0, sizeof(value));
    stacked_penalty(sums, ref, layer->pen_b, value);
    for (int e = 0; e < VL; e++) s->penalty[e] += value[e];
    for (int a = 0; a < ref; a++) stacked_note(s, &sums[a]);
}

/* sum = (sum, if `more`) + g */
static void stacked_add(real *sum, const real *g, size_t n_vectors, int more) {
    for (size_t at = 0; at < n_vectors * VL; at += VL) {
        vreal value = vload(g + at);
        if (more) value = vload(sum + at) + value;
        vstore(sum + at, value);
    }
}

/* One optimizer step on the n rows in s->x and s->targets; each `part_rows` of them, if not 0,
 * have a sum of the gradient of their own, as in parts.pxi. */
static void stacked_layers_step(stacked_net *s, const stacked_layer *layers, int n_layers,
                                size_t n_params, const update_rule *rule, int n, int part_rows) {
    stacked_net part = *s; /* the rows of a block, and the last layer's arrays */
    const stacked_layer *last = &layers[n_layers - 1];
    int penalised = 0;
    part.y = last->y;
    part.z = last->z;
    part.dz = last->dz;
    memset(s->batch_loss, 0, VL * sizeof(double));
    for (int i = 0; i < n; i += STACKED_BLOCK) {
        const int rows = n - i < STACKED_BLOCK ? n - i : STACKED_BLOCK;
        const real *x = s->x + (size_t)i * s->n_in * VL;
        if (stopped(s->watched)) return;
        const int begins = i == 0 || (part_rows && i % part_rows == 0);
        if (begins && i) stacked_add(s->total, s->gradient, n_params, i > part_rows);
        part.targets = s->targets + (size_t)i * s->n_targets * VL;
        if (s->weight) part.weight = s->weight + (size_t)i * VL;
        for (int h = 0; h < n_layers; h++)
            stacked_layer_forward(&layers[h], h ? &layers[h - 1] : NULL, s->ref, rows,
                                  h ? layers[h - 1].y : x, s->params);
        stacked_loss(&part, rows, n);
        for (int h = n_layers - 1; h >= 0; h--) {
            stacked_layer_gradient(&layers[h], rows, h ? layers[h - 1].y : x, s->gradient,
                                   !begins);
            if (h) stacked_layer_data(&layers[h], &layers[h - 1], rows, s->params);
        }
    }
    if (part_rows) stacked_add(s->gradient, s->total, n_params, 1);
    memset(s->penalty, 0, VL * sizeof(double));
    for (int h = 0; h < n_layers; h++)
        penalised |= stacked_penalised(layers[h].pen) || stacked_penalised(layers[h].pen_b);
    if (penalised) {
        for (int h = 0; h < n_layers; h++) stacked_layer_update(s, &layers[h], rule);
        return;
    }
    update_sums sums;
    sums_reset(&sums);
    stacked_update(s, rule, layers[0].pen, 0, (int)n_params, &sums);
    stacked_note(s, &sums);
}

#endif
