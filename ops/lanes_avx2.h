/* lanes_avx2.h: eight lanes of f32 in one AVX2 register; lanes_neon.h has the same names for two NEON registers.
 * Not kernels: *_lanes.h are written over these names once, for both.
 * Next: products.h. */
#ifndef PONDER_LANES_AVX2_H
#define PONDER_LANES_AVX2_H

#include <immintrin.h>

#include "ops/isa.h"

typedef __m256 f8; /* a register, not a struct to look into: hence the typedef */

/* KEEP_ORDER(v): v is computed here, not hoisted over the products before it; gcc needs the hint to use 16 registers well.
 * FITS_4X3: clang 14 hoists and spills in 4 x 3 tiles, and loses more with the hint (f16: 7 products a cycle, 13 in
 * 4 x 2; gcc 12: 15). */
#if defined(__clang__)
#define KEEP_ORDER(v) (void)(v)
enum { FITS_4X3 = 0 };
#else
#define KEEP_ORDER(v) __asm__("" : "+x"(v))
enum { FITS_4X3 = 1 };
#endif

INLINE f8 f8_set(float x) { return _mm256_set1_ps(x); }
INLINE f8 f8_add(f8 a, f8 b) { return _mm256_add_ps(a, b); }
INLINE f8 f8_sub(f8 a, f8 b) { return _mm256_sub_ps(a, b); }
INLINE f8 f8_mul(f8 a, f8 b) { return _mm256_mul_ps(a, b); }
INLINE f8 f8_div(f8 a, f8 b) { return _mm256_div_ps(a, b); }
INLINE f8 f8_neg(f8 a) { return _mm256_xor_ps(a, _mm256_set1_ps(-0.0f)); }
INLINE f8 f8_fma(f8 a, f8 b, f8 c) { return _mm256_fmadd_ps(a, b, c); }   /* a*b + c */
INLINE f8 f8_fnma(f8 a, f8 b, f8 c) { return _mm256_fnmadd_ps(a, b, c); } /* -a*b + c */

/* a > b ? a : b, so b when one is NaN: exactly maxps. */
INLINE f8 f8_larger(f8 a, f8 b) { return _mm256_max_ps(a, b); }

/* a > b ? yes : no; x is NaN ? x : no. */
INLINE f8 f8_if_greater(f8 a, f8 b, f8 yes, f8 no) {
    return _mm256_blendv_ps(no, yes, _mm256_cmp_ps(a, b, _CMP_GT_OQ));
}
INLINE f8 f8_if_nan(f8 x, f8 no) { return _mm256_blendv_ps(no, x, _mm256_cmp_ps(x, x, _CMP_UNORD_Q)); }

/* p times 2^k, k in the low mantissa bits of t. */
INLINE f8 f8_scale_exponent(f8 p, f8 t) {
    __m256i shift = _mm256_slli_epi32(_mm256_castps_si256(t), 23);
    return _mm256_castsi256_ps(_mm256_add_epi32(_mm256_castps_si256(p), shift));
}

/* All ones in lanes [0, n), n <= 8. */
INLINE __m256i first_lanes(size_t n) {
    static const int32_t ones[16] = {-1, -1, -1, -1, -1, -1, -1, -1};
    return _mm256_loadu_si256((const __m256i *)(ones + 8 - n));
}

/* Lanes [0, n) of a, the rest of b. */
INLINE f8 f8_first(size_t n, f8 a, f8 b) { return _mm256_blendv_ps(b, a, _mm256_castsi256_ps(first_lanes(n))); }

INLINE f8 f8_load(const float *p) { return _mm256_loadu_ps(p); }
INLINE void f8_store(float *p, f8 v) { _mm256_storeu_ps(p, v); }

/* n <= 8 lanes, zeros after them when loading; memory past n is not touched. */
INLINE f8 f8_load_n(const float *p, size_t n) { return _mm256_maskload_ps(p, first_lanes(n)); }
INLINE void f8_store_n(float *p, f8 v, size_t n) { _mm256_maskstore_ps(p, first_lanes(n), v); }

/* 16 floats a0 b0 a1 b1 ... to and from a and b. */
INLINE void f8_load_pairs(const float *p, f8 *a, f8 *b) {
    __m256 low = _mm256_loadu_ps(p), high = _mm256_loadu_ps(p + 8);
    /* [a0 a1 a4 a5 | a2 a3 a6 a7], then the middle 64-bit pairs change places */
    __m256d aa = _mm256_castps_pd(_mm256_shuffle_ps(low, high, 0x88));
    __m256d bb = _mm256_castps_pd(_mm256_shuffle_ps(low, high, 0xdd));
    *a = _mm256_castpd_ps(_mm256_permute4x64_pd(aa, 0xd8));
    *b = _mm256_castpd_ps(_mm256_permute4x64_pd(bb, 0xd8));
}
INLINE void f8_store_pairs(float *p, f8 a, f8 b) {
    __m256 low = _mm256_unpacklo_ps(a, b), high = _mm256_unpackhi_ps(a, b); /* [a0 b0 a1 b1 | a4 ..], [a2 .. | a6 ..] */
    _mm256_storeu_ps(p, _mm256_permute2f128_ps(low, high, 0x20));
    _mm256_storeu_ps(p + 8, _mm256_permute2f128_ps(low, high, 0x31));
}

/* Eight weights from any address, widened exactly; one f16 in all lanes. */
INLINE f8 f8_load_f32(const void *p) { return _mm256_loadu_ps(p); }
INLINE f8 f8_load_f16(const void *p) { return _mm256_cvtph_ps(_mm_loadu_si128(p)); }
INLINE f8 f8_load_bf16(const void *p) {
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(_mm_loadu_si128(p)), 16));
}
INLINE f8 f8_load_i8(const void *p) { return _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64(p))); }
INLINE f8 f8_load_f16_all(const void *p) {
    uint16_t half;
    __builtin_memcpy(&half, p, sizeof half);
    return _mm256_cvtph_ps(_mm_set1_epi16((short)half));
}
INLINE void f8_store_f16(uint16_t *p, f8 v) {
    _mm_storeu_si128((__m128i *)(void *)p, _mm256_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
}

/* ((l0+l4)+(l2+l6)) + ((l1+l5)+(l3+l7)); the same tree of f8_larger. */
INLINE float f8_sum(f8 v) {
    __m128 s = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    s = _mm_add_ps(s, _mm_movehl_ps(s, s));
    return _mm_cvtss_f32(_mm_add_ss(s, _mm_movehdup_ps(s)));
}
INLINE float f8_largest(f8 v) {
    __m128 s = _mm_max_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    s = _mm_max_ps(s, _mm_movehl_ps(s, s));
    return _mm_cvtss_f32(_mm_max_ss(s, _mm_movehdup_ps(s)));
}

/* y[i] = f8_sum(v[i]) for four vectors at once. */
INLINE void f8_store_sum4(float *y, const f8 *v) {
    __m256 ab = _mm256_add_ps(_mm256_permute2f128_ps(v[0], v[1], 0x20), _mm256_permute2f128_ps(v[0], v[1], 0x31));
    __m256 cd = _mm256_add_ps(_mm256_permute2f128_ps(v[2], v[3], 0x20), _mm256_permute2f128_ps(v[2], v[3], 0x31));
    /* ab = [a0+a4 a1+a5 a2+a6 a3+a7 | the same of b]; bring the first and second pairs together. */
    __m256 s = _mm256_add_ps(_mm256_shuffle_ps(ab, cd, 0x44), _mm256_shuffle_ps(ab, cd, 0xee));
    /* s = [a even, a odd, c even, c odd | b.., d..] */
    s = _mm256_add_ps(s, _mm256_movehdup_ps(s));
    _mm_storeu_ps(y, _mm_unpacklo_ps(_mm_permute_ps(_mm256_castps256_ps128(s), 0x08),
                                     _mm_permute_ps(_mm256_extractf128_ps(s, 1), 0x08)));
}

#endif
