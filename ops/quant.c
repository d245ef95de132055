/* quant.c: conversion of the tensor types to and from f32, one weight at a time.
 * Not fast and not meant to be: the kernels widen weights themselves.
 * Next: scalar.c. */
#include "ops/quant.h"

#include <assert.h>
#include <string.h>

#include "base/mem.h"
#include "ops/block.h"
#include "ops/narrow.h"

const struct type_info *type_info(uint32_t type) {
    /* clang-format off */
    static const struct type_info types[TYPE_COUNT] = {
        [TYPE_F32]      = {"F32", 1, 4},
        [TYPE_F16]      = {"F16", 1, 2},
        [TYPE_BF16]     = {"BF16", 1, 2},
        [TYPE_Q8_0]     = {"Q8_0", 32, 34},
        [TYPE_Q4_0]     = {"Q4_0", 32, 18},
        [TYPE_Q4_1]     = {"Q4_1", 32, 20},
        [TYPE_Q5_0]     = {"Q5_0", 32, 22},
        [TYPE_Q5_1]     = {"Q5_1", 32, 24},
        [TYPE_IQ4_NL]   = {"IQ4_NL", 32, 18},
        [TYPE_MXFP4]    = {"MXFP4", 32, 17},
        [TYPE_Q2_K]     = {"Q2_K", 256, 84},
        [TYPE_Q3_K]     = {"Q3_K", 256, 110},
        [TYPE_Q4_K]     = {"Q4_K", 256, 144},
        [TYPE_Q5_K]     = {"Q5_K", 256, 176},
        [TYPE_Q6_K]     = {"Q6_K", 256, 210},
        [TYPE_IQ4_XS]   = {"IQ4_XS", 256, 136},
        [TYPE_IQ3_S]    = {"IQ3_S", 256, 110},
        [TYPE_IQ3_XXS]  = {"IQ3_XXS", 256, 98},
        [TYPE_IQ2_S]    = {"IQ2_S", 256, 82},
        [TYPE_IQ2_XS]   = {"IQ2_XS", 256, 74},
        [TYPE_IQ2_XXS]  = {"IQ2_XXS", 256, 66},
        [TYPE_IQ1_M]    = {"IQ1_M", 256, 56},
        [TYPE_IQ1_S]    = {"IQ1_S", 256, 50},
        [TYPE_TQ1_0]    = {"TQ1_0", 256, 54},
        [TYPE_TQ2_0]    = {"TQ2_0", 256, 66},
    };
    /* clang-format on */
    return type < TYPE_COUNT && types[type].name ? &types[type] : NULL;
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

/* The block writer of a type; NULL for the types that are only read, and for those without blocks. */
static void (*block_writer(enum tensor_type type))(const float *, uint8_t *) {
    switch (type) {
    case TYPE_Q4_0: return narrow_q4_0;
    case TYPE_Q4_1: return narrow_q4_1;
    case TYPE_Q5_0: return narrow_q5_0;
    case TYPE_Q5_1: return narrow_q5_1;
    case TYPE_Q8_0: return narrow_q8_0;
    case TYPE_IQ4_NL: return narrow_iq4_nl;
    case TYPE_MXFP4: return narrow_mxfp4;
    case TYPE_Q4_K: return narrow_q4_k;
    case TYPE_Q5_K: return narrow_q5_k;
    case TYPE_Q6_K: return narrow_q6_k;
    default: return NULL;
    }
}

bool type_writable(enum tensor_type type) {
    return type == TYPE_F32 || type == TYPE_F16 || type == TYPE_BF16 || block_writer(type);
}

void type_to_f32(enum tensor_type type, const void *src, float *dst, size_t n) {
    const uint8_t *p = src;
    switch (type) {
    case TYPE_F32:
        if (n) memcpy(dst, p, n * sizeof *dst);
        break;
    case TYPE_F16:
        for (size_t i = 0; i < n; i++) dst[i] = read_f16(p + 2 * i);
        break;
    case TYPE_BF16:
        for (size_t i = 0; i < n; i++) dst[i] = bf16_to_f32(read_u16(p + 2 * i));
        break;
    default: widen_blocks(type, p, dst, n);
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
    default:
        assert(block_writer(type));
        for (size_t i = 0; i < n; i += type_info(type)->block_weights, p += type_info(type)->block_bytes)
            block_writer(type)(src + i, p);
    }
}
