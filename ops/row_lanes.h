/* row_lanes.h: the row-wise kernels, eight elements at a time, step by step as in scalar.c.
 * Not the matrix products (matmul_lanes.h) nor attention (attend_lanes.h).
 * Next: attend_lanes.h. */
#ifndef PONDER_ROW_LANES_H
#define PONDER_ROW_LANES_H

#include <math.h>

#include "ops/isa.h"

/* exp of what is not above EXP_HIGH. */
INLINE f8 f8_exp_low(f8 x) {
    f8 t = f8_fma(x, f8_set(EXP_INV_LN2), f8_set(EXP_ROUND)), k = f8_sub(t, f8_set(EXP_ROUND));
    f8 r = f8_fnma(k, f8_set(EXP_LN2_LO), f8_fnma(k, f8_set(EXP_LN2_HI), x));
    f8 p = f8_set(EXP_C6);
    p = f8_fma(p, r, f8_set(EXP_C5));
    p = f8_fma(p, r, f8_set(EXP_C4));
    p = f8_fma(p, r, f8_set(EXP_C3));
    p = f8_fma(p, r, f8_set(EXP_C2));
    p = f8_fma(p, r, f8_set(1));
    p = f8_fma(p, r, f8_set(1));
    p = f8_scale_exponent(p, t);
    p = f8_if_greater(f8_set(EXP_LOW), x, f8_set(0), p);
    return f8_if_nan(x, p);
}

INLINE f8 f8_exp(f8 x) { return f8_if_greater(x, f8_set(EXP_HIGH), f8_set(INFINITY), f8_exp_low(x)); }

static void rms_norm(float *y, const float *x, const float *w, size_t n, float eps) {
    size_t i = 0;
    f8 sum = f8_set(0);
    for (; i + 8 <= n; i += 8) sum = f8_fma(f8_load(x + i), f8_load(x + i), sum);
    if (i < n) { /* a square is never -0, so adding 0 is the same as absent */
        f8 v = f8_load_n(x + i, n - i);
        sum = f8_fma(v, v, sum);
    }
    float inverse = 1 / sqrtf(f8_sum(sum) / (float)n + eps);
    for (i = 0; i + 8 <= n; i += 8) f8_store(y + i, f8_mul(f8_mul(f8_load(x + i), f8_set(inverse)), f8_load(w + i)));
    for (; i < n; i++) y[i] = x[i] * inverse * w[i];
}

/* (a, b) turned by the angle whose cosine and sine are c and s; for the pairs that do not fill a vector. */
INLINE void turn(float *a, float *b, float c, float s) {
    float first = fmaf(*a, c, -(*b * s));
    *b = fmaf(*a, s, *b * c);
    *a = first;
}

/* -(b*s) + a*c with the product a*c fused: fma(a, c, -(b*s)). */
INLINE void turn8(f8 *a, f8 *b, f8 c, f8 s) {
    f8 first = f8_fma(*a, c, f8_neg(f8_mul(*b, s)));
    *b = f8_fma(*a, s, f8_mul(*b, c));
    *a = first;
}

static void rope_norm_head(float *x, const float *cos_sin, size_t n_pairs) {
    size_t i = 0;
    f8 a, b, c, s;
    for (; i + 8 <= n_pairs; i += 8) {
        f8_load_pairs(cos_sin + 2 * i, &c, &s);
        f8_load_pairs(x + 2 * i, &a, &b);
        turn8(&a, &b, c, s);
        f8_store_pairs(x + 2 * i, a, b);
    }
    for (; i < n_pairs; i++) turn(x + 2 * i, x + 2 * i + 1, cos_sin[2 * i], cos_sin[2 * i + 1]);
}

static void rope_neox_head(float *x, const float *cos_sin, size_t n_pairs) {
    size_t i = 0;
    f8 c, s;
    for (; i + 8 <= n_pairs; i += 8) {
        f8_load_pairs(cos_sin + 2 * i, &c, &s);
        f8 a = f8_load(x + i), b = f8_load(x + i + n_pairs);
        turn8(&a, &b, c, s);
        f8_store(x + i, a);
        f8_store(x + i + n_pairs, b);
    }
    for (; i < n_pairs; i++) turn(x + i, x + i + n_pairs, cos_sin[2 * i], cos_sin[2 * i + 1]);
}

static void rope(float *x, const float *cos_sin, size_t n_heads, size_t head_dim, size_t rope_dim,
                 enum rope_style style) {
    for (size_t h = 0; h < n_heads; h++) {
        if (style == ROPE_NORM) rope_norm_head(x + h * head_dim, cos_sin, rope_dim / 2);
        else rope_neox_head(x + h * head_dim, cos_sin, rope_dim / 2);
    }
}

INLINE f8 silu(f8 gate, f8 up) { return f8_mul(f8_div(gate, f8_add(f8_set(1), f8_exp(f8_neg(gate)))), up); }

static void silu_mul(float *y, const float *gate, const float *up, size_t n) {
    size_t i = 0;
    for (; i + 8 <= n; i += 8) f8_store(y + i, silu(f8_load(gate + i), f8_load(up + i)));
    if (i < n) f8_store_n(y + i, silu(f8_load_n(gate + i, n - i), f8_load_n(up + i, n - i)), n - i);
}

INLINE f8 gelu(f8 x, f8 up) {
    f8 t = f8_mul(x, f8_fma(f8_set(GELU_B), f8_mul(x, x), f8_set(GELU_A)));
    return f8_mul(f8_div(x, f8_add(f8_set(1), f8_exp(f8_neg(t)))), up);
}

static void gelu_mul(float *y, const float *gate, const float *up, size_t n) {
    size_t i = 0;
    for (; i + 8 <= n; i += 8) f8_store(y + i, gelu(f8_load(gate + i), f8_load(up + i)));
    if (i < n) f8_store_n(y + i, gelu(f8_load_n(gate + i, n - i), f8_load_n(up + i, n - i)), n - i);
}

INLINE f8 f8_softcap(f8 x, float cap) {
    f8 e = f8_add(f8_set(1), f8_exp(f8_mul(x, f8_set(2 / cap))));
    return f8_mul(f8_set(cap), f8_sub(f8_set(1), f8_div(f8_set(2), e)));
}

static void softcap(float *x, float cap, size_t n) {
    size_t i = 0;
    for (; i + 8 <= n; i += 8) f8_store(x + i, f8_softcap(f8_load(x + i), cap));
    if (i < n) f8_store_n(x + i, f8_softcap(f8_load_n(x + i, n - i), cap), n - i);
}

static void add(float *y, const float *x, size_t n) {
    size_t i = 0;
    for (; i + 8 <= n; i += 8) f8_store(y + i, f8_add(f8_load(y + i), f8_load(x + i)));
    for (; i < n; i++) y[i] += x[i];
}

static float exp_sum(float *y, const float *x, float scale, float shift, size_t n) {
    size_t i = 0;
    f8 sum = f8_set(0);
    for (; i + 8 <= n; i += 8) {
        f8 e = f8_exp(f8_fma(f8_load(x + i), f8_set(scale), f8_set(-shift)));
        f8_store(y + i, e);
        sum = f8_add(sum, e);
    }
    if (i < n) { /* exp is never -0, so adding 0 is the same as absent */
        f8 e = f8_exp(f8_fma(f8_load_n(x + i, n - i), f8_set(scale), f8_set(-shift)));
        f8_store_n(y + i, e, n - i);
        sum = f8_add(sum, f8_first(n - i, e, f8_set(0)));
    }
    return f8_sum(sum);
}

static float max(const float *x, size_t n) {
    size_t i = 0;
    f8 largest = f8_set(-INFINITY);
    for (; i + 8 <= n; i += 8) largest = f8_larger(f8_load(x + i), largest);
    if (i < n) largest = f8_larger(f8_first(n - i, f8_load_n(x + i, n - i), f8_set(-INFINITY)), largest);
    return f8_largest(largest);
}

static void store_f16(uint16_t *dst, size_t dst_stride, const float *src, size_t n) {
    size_t i = 0;
    for (; i + 8 <= n; i += 8) {
        uint16_t half[8];
        f8_store_f16(dst_stride == 1 ? dst + i : half, f8_load(src + i));
        for (size_t e = 0; e < 8 && dst_stride != 1; e++) dst[(i + e) * dst_stride] = half[e];
    }
    for (; i < n; i++) dst[i * dst_stride] = f32_to_f16(src[i]);
}

#endif
