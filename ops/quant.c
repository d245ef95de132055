/* quant.c: conversion of the tensor types to and from f32, one weight at a time.
 * Not fast and not meant to be: the kernels widen weights themselves.
 * Next: scalar.c. */
#include "ops/quant.h"

#include <math.h>
#include <string.h>

#include "base/mem.h"

/* One Q8_0 block as it lies in the file; two bytes of alignment may be missing, hence memcpy for d. */
enum { Q8_WEIGHTS = 32, Q8_BYTES = 34, Q8_MAX = 127 };

const struct type_info *type_info(uint32_t type) {
    static const struct type_info f32 = {"F32", 1, 4}, f16 = {"F16", 1, 2}, bf16 = {"BF16", 1, 2};
    static const struct type_info q8_0 = {"Q8_0", Q8_WEIGHTS, Q8_BYTES};
    switch (type) {
    case TYPE_F32: return &f32;
    case TYPE_F16: return &f16;
    case TYPE_BF16: return &bf16;
    case TYPE_Q8_0: return &q8_0;
    default: return NULL;
    }
}

size_t type_row_bytes(enum tensor_type type, size_t cols) {
    const struct type_info *t = type_info(type);
    size_t bytes;
    if (!t || cols % t->block_weights || !mul_size(cols / t->block_weights, t->block_bytes, &bytes)) return 0;
    return bytes;
}

static uint32_t float_bits(float f) {
    uint32_t u;
    memcpy(&u, &f, sizeof u);
    return u;
}

static float bits_float(uint32_t u) {
    float f;
    memcpy(&f, &u, sizeof f);
    return f;
}

float f16_to_f32(uint16_t h) {
    uint32_t sign = (h & 0x8000u) << 16, exponent = (h >> 10) & 31, mantissa = h & 0x3ffu;
    if (exponent == 0) return bits_float(sign | float_bits((float)mantissa * 0x1p-24f));
    /* A NaN comes out quiet, as the CPU's own conversion makes it. */
    if (exponent == 31) return bits_float(sign | 0x7f800000u | mantissa << 13 | (mantissa ? 0x400000u : 0));
    return bits_float(sign | (exponent + 127 - 15) << 23 | mantissa << 13);
}

uint16_t f32_to_f16(float f) {
    uint32_t u = float_bits(f), sign = (u >> 16) & 0x8000u, a = u & 0x7fffffffu;
    if (a > 0x7f800000u) return (uint16_t)(sign | 0x7e00u | ((a >> 13) & 0x3ffu));
    if (a >= 0x477ff000u) return (uint16_t)(sign | 0x7c00u); /* from 65520 on, the nearest is infinity */
    /* Subnormal halves count units of 2^-24, which is the last place of floats in [0.5, 1): the addition rounds. */
    if (a < 0x38800000u) return (uint16_t)(sign | (float_bits(bits_float(a) + 0.5f) - 0x3f000000u));
    a += 0xfffu + ((a >> 13) & 1); /* half a unit; a tie goes up only from an odd value */
    return (uint16_t)(sign | ((a >> 13) - ((127 - 15) << 10)));
}

float bf16_to_f32(uint16_t h) { return bits_float((uint32_t)h << 16); }

uint16_t f32_to_bf16(float f) {
    uint32_t u = float_bits(f);
    if ((u & 0x7fffffffu) > 0x7f800000u) return (uint16_t)(u >> 16 | 0x40u);
    return (uint16_t)((u + 0x7fffu + ((u >> 16) & 1)) >> 16);
}

static uint16_t load_half(const uint8_t *p) {
    uint16_t h;
    memcpy(&h, p, sizeof h);
    return h;
}

static void q8_0_to_f32(const uint8_t *block, float *dst) {
    float d = f16_to_f32(load_half(block));
    for (size_t i = 0; i < Q8_WEIGHTS; i++) dst[i] = (float)(int8_t)block[2 + i] * d;
}

/* The quants are taken relative to d as stored (rounded to f16), so that each weight is within d/2 of w. */
static void q8_0_from_f32(const float *src, uint8_t *block) {
    float largest = 0;
    for (size_t i = 0; i < Q8_WEIGHTS; i++) largest = fmaxf(largest, fabsf(src[i]));
    uint16_t half = f32_to_f16(largest / Q8_MAX);
    float d = f16_to_f32(half);
    memcpy(block, &half, sizeof half);
    for (size_t i = 0; i < Q8_WEIGHTS; i++) {
        float q = d > 0 ? rintf(src[i] / d) : 0;
        if (!(fabsf(q) <= Q8_MAX))
            q = isnan(q) ? 0 : copysignf(Q8_MAX, q); /* a tiny d rounds coarsely; NaN has no place */
        block[2 + i] = (uint8_t)(int8_t)q;
    }
}

void type_to_f32(enum tensor_type type, const void *src, float *dst, size_t n) {
    const uint8_t *p = src;
    switch (type) {
    case TYPE_F32:
        if (n) memcpy(dst, p, n * sizeof *dst);
        break;
    case TYPE_F16:
        for (size_t i = 0; i < n; i++) dst[i] = f16_to_f32(load_half(p + 2 * i));
        break;
    case TYPE_BF16:
        for (size_t i = 0; i < n; i++) dst[i] = bf16_to_f32(load_half(p + 2 * i));
        break;
    case TYPE_Q8_0:
        for (size_t i = 0; i < n; i += Q8_WEIGHTS, p += Q8_BYTES) q8_0_to_f32(p, dst + i);
        break;
    case TYPE_COUNT: break;
    }
}

void type_from_f32(enum tensor_type type, const float *src, void *dst, size_t n) {
    uint8_t *p = dst;
    uint16_t half;
    switch (type) {
    case TYPE_F32:
        if (n) memcpy(p, src, n * sizeof *src);
        break;
    case TYPE_F16:
        for (size_t i = 0; i < n; i++) half = f32_to_f16(src[i]), memcpy(p + 2 * i, &half, sizeof half);
        break;
    case TYPE_BF16:
        for (size_t i = 0; i < n; i++) half = f32_to_bf16(src[i]), memcpy(p + 2 * i, &half, sizeof half);
        break;
    case TYPE_Q8_0:
        for (size_t i = 0; i < n; i += Q8_WEIGHTS, p += Q8_BYTES) q8_0_from_f32(src + i, p);
        break;
    case TYPE_COUNT: break;
    }
}
