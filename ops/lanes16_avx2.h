/* lanes16_avx2.h: sixteen lanes in two AVX2 registers, and integer products by vpdpbusd, or by maddubs where AVX-VNNI is missing.
 * Not kernels: panel_lanes.h is written over these names.
 * Next: kernels_avx2.c, kernels_avxvnni.c.
 *
 * vpdpbusd adds four products of unsigned and signed bytes in 32 bits, exactly.  maddubs adds two, saturating at 16 bits.  With
 * |q| <= 127, a group of 16 k is four such sums.  The largest possible value says how many may be added before they are widened:
 *   unsigned 4 or 5 bits  4 * 2 * 31 * 127 = 31496: the quants of Q4_0, Q5_0, Q4_K and Q5_K as they are stored
 *   unsigned 6 bits       2 * 2 * 63 * 127 = 32004: those of Q6_K
 *   |w| <= 128 (Q8_0)     1 * 2 * 128 * 127 = 32512: |w| times q with the sign of w
 * Where they are widened, madd multiplies them by 2^up, too. */
#ifndef PONDER_LANES16_AVX2_H
#define PONDER_LANES16_AVX2_H

#include "ops/lanes_avx2.h"

typedef struct {
    __m256 a, b;
} f16; /* rows 0..7, 8..15 */
typedef struct {
    __m256i a, b;
} words; /* 16 rows x 4 k: q as stored, of Q8_0 w; for vpdpbusd w + 128 (KIND_LOW: q as stored) */
typedef words isum;
typedef words i16; /* sixteen integers of 32 bits: rows 0..7, 8..15 */

enum { INT_COLUMNS = 4, FLOAT_TILE = 6 };
/* Tokens of a product up to which each tile unpacks words in registers. */
INLINE size_t most_direct(void) { return INT_COLUMNS; }
INLINE bool stays_packed(enum tensor_type type) { return (void)type, false; }
#define FLOAT_WIDTHS4(X) X(1, 4)
#define FLOAT_WIDTHS2(X) X(1, 2) X(2, 2) X(3, 2)
#define FLOAT_WIDTHS1(X) X(1, 1) X(2, 1) X(3, 1) X(4, 1) X(5, 1) X(6, 1)
#define INT_WIDTHS(X) X(1) X(2) X(3) X(4)

INLINE f16 f16_load(const float *p) { return (f16){_mm256_loadu_ps(p), _mm256_loadu_ps(p + 8)}; }
INLINE void f16_store(float *p, f16 v) { _mm256_storeu_ps(p, v.a), _mm256_storeu_ps(p + 8, v.b); }
INLINE f16 f16_mul(f16 a, f16 b) { return (f16){_mm256_mul_ps(a.a, b.a), _mm256_mul_ps(a.b, b.b)}; }
INLINE f16 f16_fma(f16 a, f16 b, f16 c) {
    return (f16){_mm256_fmadd_ps(a.a, b.a, c.a), _mm256_fmadd_ps(a.b, b.b, c.b)};
}
/* With one number for all lanes. */
INLINE f16 f16_mul_all(f16 a, const float *p) {
    const __m256 b = _mm256_broadcast_ss(p);
    return (f16){_mm256_mul_ps(a.a, b), _mm256_mul_ps(a.b, b)};
}
INLINE f16 f16_fma_all(f16 a, const float *p, f16 c) {
    const __m256 b = _mm256_broadcast_ss(p);
    return (f16){_mm256_fmadd_ps(a.a, b, c.a), _mm256_fmadd_ps(a.b, b, c.b)};
}
INLINE f16 f16_fnma_all(f16 a, const float *p, f16 c) {
    const __m256 b = _mm256_broadcast_ss(p);
    return (f16){_mm256_fnmadd_ps(a.a, b, c.a), _mm256_fnmadd_ps(a.b, b, c.b)};
}

/* Sixteen weights at one k. */
INLINE size_t float_step(enum tensor_type type) { return type == TYPE_F32 ? 64 : 32; }
INLINE f16 f16_widen(enum tensor_type type, const uint8_t *w) {
    if (type == TYPE_F32) return (f16){f8_load_f32(w), f8_load_f32(w + 32)};
    if (type == TYPE_F16) return (f16){f8_load_f16(w), f8_load_f16(w + 16)};
    return (f16){f8_load_bf16(w), f8_load_bf16(w + 16)};
}

INLINE words words_load(const uint8_t *w) {
    return (words){_mm256_load_si256((const __m256i *)(const void *)w),
                   _mm256_load_si256((const __m256i *)(const void *)(w + 32))};
}
INLINE bool is_low(enum tensor_type type) { return type == TYPE_Q4_K || type == TYPE_Q5_K; }
/* Four activations in all lanes. */
INLINE __m256i four_of(const int8_t *q) {
    int32_t four; /* not eight: one load of 8 bytes would have to be broadcast from two other registers */
    __builtin_memcpy(&four, q, sizeof four);
    return _mm256_set1_epi32(four);
}

/* The sum of group g of the activations in three steps: what it begins with, 8 k (k: the first or the second) with two words, and
 * what is left to do, so that it is the sum of w * q * 2^up. */
#if defined(__AVXVNNI__)

INLINE isum isum_start(enum tensor_type type, const struct act_block *a, size_t g) {
    const __m256i all = is_low(type) ? _mm256_setzero_si256() : _mm256_set1_epi32(a->shift[g]);
    return (isum){all, all};
}
INLINE isum isum_add(enum tensor_type type, isum s, const words *w, const struct act_block *a, size_t g, size_t k) {
    (void)type;
    UNROLL
    for (size_t h = 0; h < 2; h++) {
        const __m256i four = four_of(a->q + g * ACT_GROUP + 8 * k + 4 * h);
        s.a = _mm256_dpbusd_avx_epi32(s.a, w[h].a, four), s.b = _mm256_dpbusd_avx_epi32(s.b, w[h].b, four);
    }
    KEEP_ORDER(s.a); /* as below */
    KEEP_ORDER(s.b);
    return s;
}
INLINE i16 isum_end(enum tensor_type type, isum s, const struct act_block *a, size_t g) {
    const __m256i by = _mm256_set1_epi32(a->up[g]);
    (void)type;
    return (i16){_mm256_sllv_epi32(s.a, by), _mm256_sllv_epi32(s.b, by)};
}

#else

/* What -128 times the sum of q is divided by: for unsigned quants 8, 16 and 32 too large. */
INLINE int offset_bits(enum tensor_type type) { return type == TYPE_Q4_0 ? 4 : type == TYPE_Q5_0 ? 3 : 2; }

INLINE isum isum_start(enum tensor_type type, const struct act_block *a, size_t g) {
    const __m256i none = _mm256_setzero_si256();
    if (type != TYPE_Q6_K) return (isum){none, none};
    const __m256i all = _mm256_sllv_epi32(_mm256_set1_epi32(a->shift[g]), _mm256_set1_epi32(a->up[g]));
    return (isum){_mm256_srai_epi32(all, offset_bits(type)), _mm256_srai_epi32(all, offset_bits(type))};
}
/* Neighbours added in 32 bits, times 2^up. */
INLINE __m256i widen_sums(__m256i s, __m256i times) { return _mm256_madd_epi16(s, times); }
INLINE __m256i signed_products(__m256i w, __m256i q, __m256i times) {
    return widen_sums(_mm256_maddubs_epi16(_mm256_abs_epi8(w), _mm256_sign_epi8(q, w)), times);
}
INLINE __m256i add8(enum tensor_type type, __m256i s, const __m256i *w, const __m256i *q, __m256i times) {
    if (type == TYPE_Q8_0)
        return _mm256_add_epi32(
            s, _mm256_add_epi32(signed_products(w[0], q[0], times), signed_products(w[1], q[1], times)));
    const __m256i eight = _mm256_add_epi16(_mm256_maddubs_epi16(w[0], q[0]), _mm256_maddubs_epi16(w[1], q[1]));
    return type == TYPE_Q6_K ? _mm256_add_epi32(s, widen_sums(eight, times)) : _mm256_add_epi16(s, eight);
}
INLINE isum isum_add(enum tensor_type type, isum s, const words *w, const struct act_block *a, size_t g, size_t k) {
    const int8_t *at = a->q + g * ACT_GROUP + 8 * k;
    const __m256i q[2] = {four_of(at), four_of(at + 4)}, low[2] = {w[0].a, w[1].a}, high[2] = {w[0].b, w[1].b};
    const __m256i times = _mm256_set1_epi16(a->times[g]);
    s.a = add8(type, s.a, low, q, times), s.b = add8(type, s.b, high, q, times);
    KEEP_ORDER(s.a); /* gcc would make all products of a group first, and add them up as a tree */
    KEEP_ORDER(s.b);
    return s;
}
/* With the first group comes what the quants of both have too much. */
INLINE i16 isum_end(enum tensor_type type, isum s, const struct act_block *a, size_t g) {
    if (type == TYPE_Q8_0 || type == TYPE_Q6_K) return s;
    const __m256i times = _mm256_set1_epi16(a->times[g]);
    s.a = widen_sums(s.a, times), s.b = widen_sums(s.b, times);
    if (g == 0 && !is_low(type)) { /* shifted in the vector unit: moves to it are slow */
        const __m256i all = _mm256_srai_epi32(_mm256_set1_epi32(a->base), offset_bits(type));
        s.a = _mm256_add_epi32(s.a, all), s.b = _mm256_add_epi32(s.b, all);
    }
    return s;
}

#endif

INLINE i16 i16_add(i16 a, i16 b) { return (i16){_mm256_add_epi32(a.a, b.a), _mm256_add_epi32(a.b, b.b)}; }
INLINE f16 f16_of(i16 a) { return (f16){_mm256_cvtepi32_ps(a.a), _mm256_cvtepi32_ps(a.b)}; }

/* ---- unpacking a chunk ---- */

INLINE f16 f16_halves(const uint8_t *p) { return (f16){f8_load_f16(p), f8_load_f16(p + 16)}; }
INLINE f16 f16_signed_bytes(const uint8_t *p) { return (f16){f8_load_i8(p), f8_load_i8(p + 8)}; }
INLINE __m256 f8_load_u8(const uint8_t *p) {
    return _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)(const void *)p)));
}
INLINE f16 f16_bytes(const uint8_t *p) { return (f16){f8_load_u8(p), f8_load_u8(p + 8)}; }

/* Bit i of 32 as 16 in byte i. */
INLINE __m256i fifth_bits(const uint8_t *p) {
    uint32_t bits;
    __builtin_memcpy(&bits, p, sizeof bits);
    const __m256i which = _mm256_setr_epi64x(0, 0x0101010101010101, 0x0202020202020202, 0x0303030303030303);
    const __m256i bit = _mm256_set1_epi64x((long long)0x8040201008040201);
    const __m256i spread = _mm256_and_si256(_mm256_shuffle_epi8(_mm256_set1_epi32((int)bits), which), bit);
    return _mm256_and_si256(_mm256_cmpeq_epi8(spread, bit), _mm256_set1_epi8(16));
}

/* Half h (8 rows) of word i of a block as it is stored; q as panel.h lays the quants out, `more` their further bits. */
INLINE __m256i half_stored(enum tensor_type type, const uint8_t *q, const uint8_t *more, int i, int h) {
    if (type == TYPE_Q8_0) return _mm256_loadu_si256((const __m256i *)(const void *)(q + i * 64 + h * 32));
    __m256i v = _mm256_loadu_si256((const __m256i *)(const void *)(q + i % 4 * 64 + h * 32));
    v = _mm256_and_si256(i < 4 ? v : _mm256_srli_epi16(v, 4), _mm256_set1_epi8(15));
    if (type == TYPE_Q5_0 || type == TYPE_Q5_K) v = _mm256_or_si256(v, fifth_bits(more + i * 8 + h * 4));
    if (type == TYPE_Q6_K) {
        const __m256i two_bits = _mm256_loadu_si256((const __m256i *)(const void *)(more + i / 4 * 64 + h * 32));
        const int up = 4 - i % 4 * 2;
        const __m256i two = up >= 0 ? _mm256_slli_epi16(two_bits, up) : _mm256_srli_epi16(two_bits, -up);
        v = _mm256_or_si256(v, _mm256_and_si256(two, _mm256_set1_epi8(0x30)));
    }
    return v;
}
#if defined(__AVXVNNI__)
/* The same as w + 128. */
INLINE __m256i half_unpack(enum tensor_type type, const uint8_t *q, const uint8_t *more, int i, int h) {
    const char offset = type == TYPE_Q8_0 ? -128 : type == TYPE_Q4_0 ? 120 : type == TYPE_Q5_0 ? 112 : 96;
    const __m256i v = half_stored(type, q, more, i, h);
    return is_low(type) ? v : _mm256_add_epi8(v, _mm256_set1_epi8(offset));
}
#else
INLINE __m256i half_unpack(enum tensor_type type, const uint8_t *q, const uint8_t *more, int i, int h) {
    return half_stored(type, q, more, i, h);
}
#endif
INLINE words words_unpack(enum tensor_type type, const uint8_t *q, const uint8_t *more, int i) {
    return (words){half_unpack(type, q, more, i, 0), half_unpack(type, q, more, i, 1)};
}
INLINE void words_store(uint8_t *to, words w) {
    _mm256_store_si256((__m256i *)(void *)to, w.a);
    _mm256_store_si256((__m256i *)(void *)(to + 32), w.b);
}

#endif
