/* quant.h: the tensor types of GGUF files: names, block sizes, conversion to and from f32.
 * Not the kernels that multiply them: ops.h.  Not the layouts of the blocks: block.h.
 * Next: weights/gguf.h, which finds the tensors. */
#ifndef PONDER_QUANT_H
#define PONDER_QUANT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Values are GGUF's own type ids (ggml docs/gguf.md). */
enum tensor_type {
    TYPE_F32 = 0,
    TYPE_F16 = 1,
    TYPE_Q4_0 = 2,
    TYPE_Q4_1 = 3,
    TYPE_Q5_0 = 6,
    TYPE_Q5_1 = 7,
    TYPE_Q8_0 = 8, /* 32 weights: one f16 scale d, 32 int8 q; w = d * q */
    TYPE_Q2_K = 10,
    TYPE_Q3_K = 11,
    TYPE_Q4_K = 12,
    TYPE_Q5_K = 13,
    TYPE_Q6_K = 14,
    TYPE_IQ2_XXS = 16,
    TYPE_IQ2_XS = 17,
    TYPE_IQ3_XXS = 18,
    TYPE_IQ1_S = 19,
    TYPE_IQ4_NL = 20,
    TYPE_IQ3_S = 21,
    TYPE_IQ2_S = 22,
    TYPE_IQ4_XS = 23,
    TYPE_IQ1_M = 29,
    TYPE_BF16 = 30,
    TYPE_TQ1_0 = 34,
    TYPE_TQ2_0 = 35,
    TYPE_MXFP4 = 39,
    TYPE_COUNT = 40,
};

struct type_info {
    const char *name;       /* "Q8_0" */
    uint32_t block_weights; /* weights per block */
    uint32_t block_bytes;
};

/* NULL for an id that this build does not know. */
const struct type_info *type_info(uint32_t type);

/* Bytes of one row of `cols` weights; 0 when cols is not a multiple of the block or the product overflows. */
size_t type_row_bytes(enum tensor_type type, size_t cols);

/* dst[i] = weight i of a row, i in [0, n); n is a multiple of the block.  Never fails. */
void type_to_f32(enum tensor_type type, const void *src, float *dst, size_t n);

/* The types that type_from_f32 writes; the others are read only (docs/QUANT.md). */
bool type_writable(enum tensor_type type);

/* The way back.  F16, BF16: round to nearest even.  Q8_0: d = max|w| / 127 as f16.  The others choose the scales with a
 * small squared error: narrow.c.  type must be writable. */
void type_from_f32(enum tensor_type type, const float *src, void *dst, size_t n);

/* IEEE binary16 and bfloat16, round to nearest even; NaN stays NaN. */
float f16_to_f32(uint16_t h);
uint16_t f32_to_f16(float f);
float bf16_to_f32(uint16_t h);
uint16_t f32_to_bf16(float f);

#endif
