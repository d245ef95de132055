/* avx2.h: the vector idioms that the AVX2 files share: lane trees, tails, exp.  Included by *_avx2.c only.
 * Not kernels.
 * Next: matmul_avx2.c. */
#ifndef PONDER_AVX2_H
#define PONDER_AVX2_H

#include <immintrin.h>

#include "ops/isa.h"

void ops_fill_matmul_avx2(struct ops *t);
void attend_avx2(const struct attend_args *a);

#define INLINE static inline __attribute__((always_inline))

/* UNROLL: before a loop whose bounds are constants after inlining, so that arrays of vectors become registers.
 * KEEP_ORDER(v): v is computed here, not hoisted over the products before it; gcc needs the hint to use 16 registers well.
 * FITS_4X3: clang 14 hoists and spills in 4 x 3 tiles, and loses more with the hint (f16: 7 products a cycle, 13 in
 * 4 x 2; gcc 12: 15). */
#if defined(__clang__)
#define UNROLL _Pragma("unroll")
#define KEEP_ORDER(v) (void)(v)
enum { FITS_4X3 = 0 };
#else
#define UNROLL _Pragma("GCC unroll 16")
#define KEEP_ORDER(v) __asm__("" : "+x"(v))
enum { FITS_4X3 = 1 };
#endif

/* All ones in lanes [0, n), n <= 8: the tail of a sum is absent, not zero, and nothing past the end is touched. */
INLINE __m256i first_lanes(size_t n) {
    static const int32_t ones[16] = {-1, -1, -1, -1, -1, -1, -1, -1};
    return _mm256_loadu_si256((const __m256i *)(ones + 8 - n));
}

/* ((l0+l4)+(l2+l6)) + ((l1+l5)+(l3+l7)) */
INLINE float lane_tree(__m256 v) {
    __m128 s = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    s = _mm_add_ps(s, _mm_movehl_ps(s, s));
    return _mm_cvtss_f32(_mm_add_ss(s, _mm_movehdup_ps(s)));
}

/* The same tree for four vectors at once; element i of the result is the sum of vector i. */
INLINE __m128 lane_tree4(__m256 a, __m256 b, __m256 c, __m256 d) {
    __m256 ab = _mm256_add_ps(_mm256_permute2f128_ps(a, b, 0x20), _mm256_permute2f128_ps(a, b, 0x31));
    __m256 cd = _mm256_add_ps(_mm256_permute2f128_ps(c, d, 0x20), _mm256_permute2f128_ps(c, d, 0x31));
    /* ab = [a0+a4 a1+a5 a2+a6 a3+a7 | the same of b]; bring the first and second pairs together. */
    __m256 s = _mm256_add_ps(_mm256_shuffle_ps(ab, cd, 0x44), _mm256_shuffle_ps(ab, cd, 0xee));
    /* s = [a even, a odd, c even, c odd | b.., d..] */
    s = _mm256_add_ps(s, _mm256_movehdup_ps(s));
    return _mm_unpacklo_ps(_mm_permute_ps(_mm256_castps256_ps128(s), 0x08),
                           _mm_permute_ps(_mm256_extractf128_ps(s, 1), 0x08));
}

/* larger(a, b) of scalar.c is exactly what maxps does. */
INLINE float lane_max(__m256 v) {
    __m128 s = _mm_max_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    s = _mm_max_ps(s, _mm_movehl_ps(s, s));
    return _mm_cvtss_f32(_mm_max_ss(s, _mm_movehdup_ps(s)));
}

INLINE __m256 load_f16(const void *p) { return _mm256_cvtph_ps(_mm_loadu_si128(p)); }

/* exp_scalar of scalar.c, step by step. */
INLINE __m256 exp_avx2(__m256 x) {
    const __m256 one = _mm256_set1_ps(1), round = _mm256_set1_ps(EXP_ROUND);
    __m256 t = _mm256_fmadd_ps(x, _mm256_set1_ps(EXP_INV_LN2), round);
    __m256 k = _mm256_sub_ps(t, round);
    __m256 r = _mm256_fnmadd_ps(k, _mm256_set1_ps(EXP_LN2_HI), x);
    r = _mm256_fnmadd_ps(k, _mm256_set1_ps(EXP_LN2_LO), r);
    __m256 p = _mm256_set1_ps(EXP_C6);
    p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(EXP_C5));
    p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(EXP_C4));
    p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(EXP_C3));
    p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(EXP_C2));
    p = _mm256_fmadd_ps(p, r, one);
    p = _mm256_fmadd_ps(p, r, one);
    __m256i shift = _mm256_slli_epi32(_mm256_castps_si256(t), 23);
    p = _mm256_castsi256_ps(_mm256_add_epi32(_mm256_castps_si256(p), shift));
    __m256 high = _mm256_set1_ps(EXP_HIGH), low = _mm256_set1_ps(EXP_LOW);
    p = _mm256_blendv_ps(p, _mm256_set1_ps(__builtin_inff()), _mm256_cmp_ps(x, high, _CMP_GT_OQ));
    p = _mm256_andnot_ps(_mm256_cmp_ps(x, low, _CMP_LT_OQ), p);
    return _mm256_blendv_ps(p, x, _mm256_cmp_ps(x, x, _CMP_UNORD_Q));
}

#endif
