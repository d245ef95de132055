/* lanes16_avx2.h: sixteen lanes in two AVX2 registers, and integer products by vpdpbusd, or by maddubs where AVX-VNNI is missing.
 * Not kernels: panel_lanes.h is written over these names.
 * Next: kernels_avx2.c, kernels_avxvnni.c.
 *
 * vpdpbusd adds four products of unsigned and signed bytes in 32 bits, exactly.  maddubs adds two, saturating at 16 bits.  With
 * |q| <= 127, a group of 16 k is four such sums.  The largest possible value says how many may be added before they are widened:
 *   unsigned 2 to 5 bits  4 * 2 * 31 * 127 = 31496: quants as they are stored, small codes + 16
 *   unsigned 6 bits       2 * 2 * 63 * 127 = 32004
 *   |w| <= 128 (wide)     1 * 2 * 128 * 127 = 32512: |w| times q with the sign of w
 * Where they are widened, madd multiplies them by 2^up, too. */
#ifndef PONDER_LANES16_AVX2_H
#define PONDER_LANES16_AVX2_H

#include "ops/lanes_avx2.h"

typedef struct {
    __m256 a, b;
} f32x16; /* rows 0..7, 8..15 */
typedef struct {
    __m256i a, b;
} words; /* 16 rows x 4 k: q as stored, of wide forms w; for vpdpbusd w + 128 (with low: q as stored) */
typedef words isum;
typedef words i32x16; /* sixteen integers of 32 bits: rows 0..7, 8..15 */

enum { INT_COLUMNS = 4, FLOAT_TILE = 6 };
/* Tokens of a product up to which each tile unpacks words in registers. */
INLINE size_t most_direct(void) { return INT_COLUMNS; }
INLINE bool stays_packed(enum form form) { return (void)form, false; }
#define FLOAT_WIDTHS4(X) X(1, 4)
#define FLOAT_WIDTHS2(X) X(1, 2) X(2, 2) X(3, 2)
#define FLOAT_WIDTHS1(X) X(1, 1) X(2, 1) X(3, 1) X(4, 1) X(5, 1) X(6, 1)
#define INT_WIDTHS(X) X(1) X(2) X(3) X(4)

INLINE f32x16 f32x16_load(const float *p) { return (f32x16){_mm256_loadu_ps(p), _mm256_loadu_ps(p + 8)}; }
INLINE void f32x16_store(float *p, f32x16 v) { _mm256_storeu_ps(p, v.a), _mm256_storeu_ps(p + 8, v.b); }
INLINE f32x16 f32x16_mul(f32x16 a, f32x16 b) { return (f32x16){_mm256_mul_ps(a.a, b.a), _mm256_mul_ps(a.b, b.b)}; }
INLINE f32x16 f32x16_fma(f32x16 a, f32x16 b, f32x16 c) {
    return (f32x16){_mm256_fmadd_ps(a.a, b.a, c.a), _mm256_fmadd_ps(a.b, b.b, c.b)};
}
/* With one number for all lanes. */
INLINE f32x16 f32x16_mul_all(f32x16 a, const float *p) {
    const __m256 b = _mm256_broadcast_ss(p);
    return (f32x16){_mm256_mul_ps(a.a, b), _mm256_mul_ps(a.b, b)};
}
INLINE f32x16 f32x16_fma_all(f32x16 a, const float *p, f32x16 c) {
    const __m256 b = _mm256_broadcast_ss(p);
    return (f32x16){_mm256_fmadd_ps(a.a, b, c.a), _mm256_fmadd_ps(a.b, b, c.b)};
}
INLINE f32x16 f32x16_fnma_all(f32x16 a, const float *p, f32x16 c) {
    const __m256 b = _mm256_broadcast_ss(p);
    return (f32x16){_mm256_fnmadd_ps(a.a, b, c.a), _mm256_fnmadd_ps(a.b, b, c.b)};
}

/* Sixteen weights at one k. */
INLINE size_t float_step(enum tensor_type type) { return type == TYPE_F32 ? 64 : 32; }
INLINE f32x16 f32x16_widen(enum tensor_type type, const uint8_t *w) {
    if (type == TYPE_F32) return (f32x16){f8_load_f32(w), f8_load_f32(w + 32)};
    if (type == TYPE_F16) return (f32x16){f8_load_f16(w), f8_load_f16(w + 16)};
    return (f32x16){f8_load_bf16(w), f8_load_bf16(w + 16)};
}

INLINE words words_load(const uint8_t *w) {
    return (words){_mm256_load_si256((const __m256i *)(const void *)w),
                   _mm256_load_si256((const __m256i *)(const void *)(w + 32))};
}
/* Four activations in all lanes. */
INLINE __m256i four_of(const int8_t *q) {
    int32_t four; /* not eight: one load of 8 bytes would have to be broadcast from two other registers */
    __builtin_memcpy(&four, q, sizeof four);
    return _mm256_set1_epi32(four);
}

/* The sum of group g of the activations in three steps: what it begins with, 8 k (k: the first or the second) with two words, and
 * what is left to do, so that it is the sum of w * q * 2^up.  offset: what quants as stored have too much, a power of
 * two. */
#if defined(__AVXVNNI__)

INLINE isum isum_start(enum form form, const struct act_block *a, size_t g, int offset) {
    (void)offset;
    const __m256i all = forms[form].low ? _mm256_setzero_si256() : _mm256_set1_epi32(a->shift[g]);
    return (isum){all, all};
}
INLINE isum isum_add(enum form form, isum s, const words *w, const struct act_block *a, size_t g, size_t k) {
    (void)form;
    UNROLL
    for (size_t h = 0; h < 2; h++) {
        const __m256i four = four_of(a->q + g * ACT_GROUP + 8 * k + 4 * h);
        s.a = _mm256_dpbusd_avx_epi32(s.a, w[h].a, four), s.b = _mm256_dpbusd_avx_epi32(s.b, w[h].b, four);
    }
    KEEP_ORDER(s.a); /* as below */
    KEEP_ORDER(s.b);
    return s;
}
INLINE i32x16 isum_end(enum form form, isum s, const struct act_block *a, size_t g, int offset) {
    const __m256i by = _mm256_set1_epi32(a->up[g]);
    (void)form, (void)offset;
    return (i32x16){_mm256_sllv_epi32(s.a, by), _mm256_sllv_epi32(s.b, by)};
}

#else

/* Products of words that are added in 16 bits. */
INLINE int in_16_bits(enum form form) { return forms[form].wide ? 1 : forms[form].bits + forms[form].more > 5 ? 2 : 4; }
/* -128 times a sum of q, for offsets 1 to 32. */
INLINE __m256i times_offset(__m256i sum, int offset) {
    return _mm256_srai_epi32(sum, 7 - __builtin_ctz((unsigned)offset));
}

/* With a scale for 16 k the offset is due for each group. */
INLINE isum isum_start(enum form form, const struct act_block *a, size_t g, int offset) {
    const __m256i none = _mm256_setzero_si256();
    if (in_16_bits(form) != 2) return (isum){none, none};
    const __m256i all = _mm256_sllv_epi32(_mm256_set1_epi32(a->shift[g]), _mm256_set1_epi32(a->up[g]));
    return (isum){times_offset(all, offset), times_offset(all, offset)};
}
/* Neighbours added in 32 bits, times 2^up. */
INLINE __m256i widen_sums(__m256i s, __m256i times) { return _mm256_madd_epi16(s, times); }
INLINE __m256i signed_products(__m256i w, __m256i q, __m256i times) {
    return widen_sums(_mm256_maddubs_epi16(_mm256_abs_epi8(w), _mm256_sign_epi8(q, w)), times);
}
INLINE __m256i add8(enum form form, __m256i s, const __m256i *w, const __m256i *q, __m256i times) {
    if (in_16_bits(form) == 1)
        return _mm256_add_epi32(
            s, _mm256_add_epi32(signed_products(w[0], q[0], times), signed_products(w[1], q[1], times)));
    const __m256i eight = _mm256_add_epi16(_mm256_maddubs_epi16(w[0], q[0]), _mm256_maddubs_epi16(w[1], q[1]));
    return in_16_bits(form) == 2 ? _mm256_add_epi32(s, widen_sums(eight, times)) : _mm256_add_epi16(s, eight);
}
INLINE isum isum_add(enum form form, isum s, const words *w, const struct act_block *a, size_t g, size_t k) {
    const int8_t *at = a->q + g * ACT_GROUP + 8 * k;
    const __m256i q[2] = {four_of(at), four_of(at + 4)}, low[2] = {w[0].a, w[1].a}, high[2] = {w[0].b, w[1].b};
    const __m256i times = _mm256_set1_epi16(a->times[g]);
    s.a = add8(form, s.a, low, q, times), s.b = add8(form, s.b, high, q, times);
    KEEP_ORDER(s.a); /* gcc would make all products of a group first, and add them up as a tree */
    KEEP_ORDER(s.b);
    return s;
}
/* With the first group comes what the quants of both have too much (but for a scale for 16 k). */
INLINE i32x16 isum_end(enum form form, isum s, const struct act_block *a, size_t g, int offset) {
    if (in_16_bits(form) < 4) return s;
    const __m256i times = _mm256_set1_epi16(a->times[g]);
    s.a = widen_sums(s.a, times), s.b = widen_sums(s.b, times);
    if (forms[form].low) return s;
    if (forms[form].halves || g == 0) { /* shifted in the vector unit: moves to it are slow */
        const __m256i sum = forms[form].halves
                                ? _mm256_sllv_epi32(_mm256_set1_epi32(a->shift[g]), _mm256_set1_epi32(a->up[g]))
                                : _mm256_set1_epi32(a->base);
        const __m256i all = times_offset(sum, offset);
        s.a = _mm256_add_epi32(s.a, all), s.b = _mm256_add_epi32(s.b, all);
    }
    return s;
}

#endif

INLINE i32x16 i32x16_add(i32x16 a, i32x16 b) {
    return (i32x16){_mm256_add_epi32(a.a, b.a), _mm256_add_epi32(a.b, b.b)};
}
INLINE f32x16 f32x16_of(i32x16 a) { return (f32x16){_mm256_cvtepi32_ps(a.a), _mm256_cvtepi32_ps(a.b)}; }

/* ---- unpacking a chunk ---- */

INLINE f32x16 f32x16_halves(const uint8_t *p) { return (f32x16){f8_load_f16(p), f8_load_f16(p + 16)}; }
INLINE f32x16 f32x16_signed_bytes(const uint8_t *p) { return (f32x16){f8_load_i8(p), f8_load_i8(p + 8)}; }

/* Bit i of 32 as `value` in byte i. */
INLINE __m256i plane_bit(const uint8_t *p, char value) {
    uint32_t bits;
    __builtin_memcpy(&bits, p, sizeof bits);
    const __m256i which = _mm256_setr_epi64x(0, 0x0101010101010101, 0x0202020202020202, 0x0303030303030303);
    const __m256i bit = _mm256_set1_epi64x((long long)0x8040201008040201);
    const __m256i spread = _mm256_and_si256(_mm256_shuffle_epi8(_mm256_set1_epi32((int)bits), which), bit);
    return _mm256_and_si256(_mm256_cmpeq_epi8(spread, bit), _mm256_set1_epi8(value));
}

/* The sixteen codes, as words have them; what is added to quants without codes. */
typedef __m256i codebook;
INLINE int words_offset(enum form form) {
#if defined(__AVXVNNI__)
    return forms[form].low ? 0 : 128 - (forms[form].codes ? 0 : forms[form].offset);
#else
    return forms[form].codes ? forms[form].offset : 0;
#endif
}
INLINE codebook codes_load(enum form form, const int8_t *codes) {
    if (!forms[form].codes) return _mm256_setzero_si256();
    const __m128i all = _mm_loadu_si128((const __m128i *)(const void *)codes);
    return _mm256_broadcastsi128_si256(_mm_add_epi8(all, _mm_set1_epi8((char)words_offset(form))));
}

/* 4 or 2 bits of word i of the plane at p, half h (8 rows). */
INLINE __m256i plane_half(int bits, const uint8_t *p, int i, int h) {
    const int piece = bits == 4 ? i % 4 : i / 4, shift = bits == 4 ? i / 4 * 4 : i % 4 * 2;
    const __m256i v = _mm256_loadu_si256((const __m256i *)(const void *)(p + piece * 64 + h * 32));
    return _mm256_and_si256(shift ? _mm256_srli_epi16(v, shift) : v, _mm256_set1_epi8((char)((1 << bits) - 1)));
}
/* The plane of more bits at p, in their place above `below` others. */
INLINE __m256i more_half(int bits, int below, const uint8_t *p, int i, int h) {
    if (bits == 1) return plane_bit(p + i * 8 + h * 4, (char)(1 << below));
    const __m256i two = _mm256_loadu_si256((const __m256i *)(const void *)(p + i / 4 * 64 + h * 32));
    const int up = below - i % 4 * 2;
    return _mm256_and_si256(up >= 0 ? _mm256_slli_epi16(two, up) : _mm256_srli_epi16(two, -up),
                            _mm256_set1_epi8((char)(3 << below)));
}
/* Half h (8 rows) of word i of a block; the planes of panel.h at q and `more`. */
INLINE __m256i half_unpack(enum form form, const uint8_t *q, const uint8_t *more, int i, int h, codebook codes) {
    const struct form_info *f = &forms[form];
    __m256i v = f->bits == 8 ? _mm256_loadu_si256((const __m256i *)(const void *)(q + i * 64 + h * 32))
                             : plane_half(f->bits, q, i, h);
    if (f->more) v = _mm256_or_si256(v, more_half(f->more, f->bits, more, i, h));
    if (f->codes) return _mm256_shuffle_epi8(codes, v);
    return words_offset(form) ? _mm256_add_epi8(v, _mm256_set1_epi8((char)words_offset(form))) : v;
}
INLINE words words_unpack(enum form form, const uint8_t *q, const uint8_t *more, int i, codebook codes) {
    return (words){half_unpack(form, q, more, i, 0, codes), half_unpack(form, q, more, i, 1, codes)};
}
INLINE void words_store(uint8_t *to, words w) {
    _mm256_store_si256((__m256i *)(void *)to, w.a);
    _mm256_store_si256((__m256i *)(void *)(to + 32), w.b);
}

#endif
