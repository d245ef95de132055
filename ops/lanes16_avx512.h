/* lanes16_avx512.h: sixteen lanes in one 512-bit register, and integer products by VNNI.
 * Not kernels: panel_lanes.h is written over these names.
 * Next: kernels_avx512.c. */
#ifndef PONDER_LANES16_AVX512_H
#define PONDER_LANES16_AVX512_H

#include <immintrin.h>

#include "ops/isa.h"

typedef __m512 f32x16; /* sixteen floats, one per row */
typedef __m512i words; /* 16 rows x 4 k of weights, as unsigned w + 128 (with low: q itself) */
typedef __m512i isum;
typedef __m512i i32x16; /* sixteen integers of 32 bits, one per row */

enum { INT_COLUMNS = 8, FLOAT_TILE = 16 };
/* Tokens of a product up to which each tile unpacks words in registers, and the form with nothing to unpack.  Zen 4
 * unpacks beside its products; Intel's CPUs do both on the same two units, so that no second tile shall do it again. */
INLINE size_t most_direct(void) { return (cpu_is_intel() ? 1 : 2) * INT_COLUMNS; }
INLINE bool stays_packed(enum form form) { return form == FORM_8; }
#define FLOAT_WIDTHS4(X) X(1, 4) X(2, 4) X(3, 4) X(4, 4)
#define FLOAT_WIDTHS2(X) X(1, 2) X(2, 2) X(3, 2) X(4, 2) X(5, 2) X(6, 2) X(7, 2) X(8, 2)
#define FLOAT_WIDTHS1(X)                                                                                               \
    X(1, 1)                                                                                                            \
    X(2, 1)                                                                                                            \
    X(3, 1)                                                                                                            \
    X(4, 1) X(5, 1) X(6, 1) X(7, 1) X(8, 1) X(9, 1) X(10, 1) X(11, 1) X(12, 1) X(13, 1) X(14, 1) X(15, 1) X(16, 1)
#define INT_WIDTHS(X) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8)

INLINE f32x16 f32x16_load(const float *p) { return _mm512_loadu_ps(p); }
INLINE void f32x16_store(float *p, f32x16 v) { _mm512_storeu_ps(p, v); }
INLINE f32x16 f32x16_fma(f32x16 a, f32x16 b, f32x16 c) { return _mm512_fmadd_ps(a, b, c); }
/* With one number for all lanes. */
INLINE f32x16 f32x16_mul_all(f32x16 a, const float *b) { return _mm512_mul_ps(a, _mm512_set1_ps(*b)); }
INLINE f32x16 f32x16_fma_all(f32x16 a, const float *b, f32x16 c) { return _mm512_fmadd_ps(a, _mm512_set1_ps(*b), c); }
INLINE f32x16 f32x16_fnma_all(f32x16 a, const float *b, f32x16 c) { return _mm512_fnmadd_ps(a, _mm512_set1_ps(*b), c); }

/* Sixteen weights at one k. */
INLINE size_t float_step(enum tensor_type type) { return type == TYPE_F32 ? 64 : 32; }
INLINE f32x16 f32x16_widen(enum tensor_type type, const uint8_t *w) {
    if (type == TYPE_F32) return _mm512_loadu_ps(w);
    const __m256i h = _mm256_loadu_si256((const __m256i *)(const void *)w);
    if (type == TYPE_F16) return _mm512_cvtph_ps(h);
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(h), 16));
}

INLINE words words_load(const uint8_t *w) { return _mm512_load_si512(w); }
/* The sum of group g of the activations in three steps: what it begins with, 8 k (k: the first or the second) with two words, and
 * times 2^up. */
INLINE isum isum_start(enum form form, const struct act_block *a, size_t g, int offset) {
    (void)offset; /* of quants as stored: words have another */
    return forms[form].low ? _mm512_setzero_si512() : _mm512_set1_epi32(a->shift[g]);
}
/* Four activations at q, or one number, for all lanes.  The instructions broadcast what they read; gcc 12 would use others for
 * that, more than a third of the loop. */
INLINE isum dot4(isum s, words w, const int8_t *q) {
    __asm__("vpdpbusd %2%{1to16%}, %1, %0" : "+v"(s) : "v"(w), "m"(*(const int8_t(*)[4])(const void *)q));
    return s;
}
INLINE i32x16 i32x16_up(i32x16 a, const int32_t *up) {
    __asm__("vpsllvd %1%{1to16%}, %0, %0" : "+v"(a) : "m"(*up));
    return a;
}
INLINE isum isum_add(enum form form, isum s, const words *w, const struct act_block *a, size_t g, size_t k) {
    const int8_t *q = a->q + g * ACT_GROUP + k * 8;
    (void)form;
    return dot4(dot4(s, w[0], q), w[1], q + 4);
}
INLINE i32x16 isum_end(enum form form, isum s, const struct act_block *a, size_t g, int offset) {
    return (void)form, (void)offset, i32x16_up(s, &a->up[g]);
}
INLINE i32x16 i32x16_add(i32x16 a, i32x16 b) { return _mm512_add_epi32(a, b); }
INLINE f32x16 f32x16_of(i32x16 a) { return _mm512_cvtepi32_ps(a); }

/* ---- unpacking a chunk ---- */

INLINE f32x16 f32x16_halves(const uint8_t *p) {
    return _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)(const void *)p));
}
INLINE f32x16 f32x16_signed_bytes(const uint8_t *p) {
    return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128((const __m128i *)(const void *)p)));
}
INLINE f32x16 f32x16_mul(f32x16 a, f32x16 b) { return _mm512_mul_ps(a, b); }

/* The sixteen codes + 128; what is added to other quants. */
typedef __m512i codebook;
INLINE codebook codes_load(enum form form, const int8_t *codes) {
    if (!forms[form].codes) return _mm512_setzero_si512();
    const __m128i all = _mm_loadu_si128((const __m128i *)(const void *)codes);
    return _mm512_broadcast_i32x4(_mm_add_epi8(all, _mm_set1_epi8(-128)));
}
INLINE char words_offset(enum form form) { return (char)(forms[form].low ? 0 : 128 - forms[form].offset); }

/* 4 or 2 bits of word i of the plane at p. */
INLINE __m512i plane_word(int bits, const uint8_t *p, int i) {
    const int piece = bits == 4 ? i % 4 : i / 4;
    const unsigned shift = (unsigned)(bits == 4 ? i / 4 * 4 : i % 4 * 2);
    const __m512i v = _mm512_loadu_si512(p + piece * 64);
    return _mm512_and_si512(shift ? _mm512_srli_epi16(v, shift) : v, _mm512_set1_epi8((char)((1 << bits) - 1)));
}
/* v with the bits of the plane of more bits at p, above `below` others. */
INLINE __m512i more_word(int bits, int below, __m512i v, const uint8_t *p, int i) {
    if (bits == 1) {
        uint64_t one;
        __builtin_memcpy(&one, p + i * 8, sizeof one);
        return _mm512_mask_add_epi8(v, _cvtu64_mask64(one), v, _mm512_set1_epi8((char)(1 << below)));
    }
    const __m512i two = _mm512_loadu_si512(p + i / 4 * 64);
    const int up = below - i % 4 * 2;
    const __m512i there = up >= 0 ? _mm512_slli_epi16(two, (unsigned)up) : _mm512_srli_epi16(two, (unsigned)-up);
    return _mm512_or_si512(v, _mm512_and_si512(there, _mm512_set1_epi8((char)(3 << below))));
}
/* Word i of a block; the planes of panel.h at q and `more`. */
INLINE words words_unpack(enum form form, const uint8_t *q, const uint8_t *more, int i, codebook codes) {
    const struct form_info *f = &forms[form];
    __m512i v = f->bits == 8 ? _mm512_loadu_si512(q + i * 64) : plane_word(f->bits, q, i);
    if (f->more) v = more_word(f->more, f->bits, v, more, i);
    if (f->codes) return _mm512_shuffle_epi8(codes, v);
    return words_offset(form) ? _mm512_add_epi8(v, _mm512_set1_epi8(words_offset(form))) : v;
}
INLINE void words_store(uint8_t *to, words w) { _mm512_store_si512(to, w); }

#endif
