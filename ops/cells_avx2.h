/* cells_avx2.h: the sixteen cells of a KV page in two AVX2 registers: floats, and sums of products of pairs of int16.
 * Not kernels: attend_i16_lanes.h is written over these names, which cells_avx512.h and cells_neon.h have too.
 * Next: attend_i16_lanes.h. */
#ifndef PONDER_CELLS_AVX2_H
#define PONDER_CELLS_AVX2_H

#include "ops/lanes16_avx2.h"

INLINE f8 f8_ceil(f8 x) { return _mm256_ceil_ps(x); }

#include "ops/cells_halves.h"

typedef struct {
    __m256i a, b;
} sum16;               /* sixteen int32 */
typedef sum16 pairs16; /* 16 cells (or dimensions) x 2 int16 */
typedef __m256i pair;  /* 2 int16, for all of them */

/* In lanes 0 to 3: the largest number (by the tree of a lane sum) of each of four vectors; their sums. */
INLINE f32x16 f32x16_largest4(const f32x16 *v) {
    const f8 a = f8_larger(v[0].a, v[0].b), b = f8_larger(v[1].a, v[1].b), c = f8_larger(v[2].a, v[2].b),
             d = f8_larger(v[3].a, v[3].b);
    const f8 ab = f8_larger(_mm256_permute2f128_ps(a, b, 0x20), _mm256_permute2f128_ps(a, b, 0x31));
    const f8 cd = f8_larger(_mm256_permute2f128_ps(c, d, 0x20), _mm256_permute2f128_ps(c, d, 0x31));
    f8 s = f8_larger(_mm256_shuffle_ps(ab, cd, 0x44), _mm256_shuffle_ps(ab, cd, 0xee)); /* see f8_store_sum4 */
    s = f8_larger(s, _mm256_movehdup_ps(s));
    const __m128 four = _mm_unpacklo_ps(_mm_permute_ps(_mm256_castps256_ps128(s), 0x08),
                                        _mm_permute_ps(_mm256_extractf128_ps(s, 1), 0x08));
    return (f32x16){_mm256_castps128_ps256(four), f8_set(0)};
}
INLINE f32x16 f32x16_sum4(const f32x16 *v) {
    float four[4];
    const f8 halves[4] = {f8_add(v[0].a, v[0].b), f8_add(v[1].a, v[1].b), f8_add(v[2].a, v[2].b),
                          f8_add(v[3].a, v[3].b)};
    f8_store_sum4(four, halves);
    return (f32x16){_mm256_castps128_ps256(_mm_loadu_ps(four)), f8_set(0)};
}
/* In lanes 0 to 3: the largest of a lane and those before it; x, v[0], v[1], v[2]; as bits: is it below 1? */
INLINE f32x16 f32x16_so_far4(f32x16 v) {
    v.a = f8_larger(v.a, _mm256_permute_ps(v.a, 0x90));                       /* lanes 0 0 1 2 */
    return (f32x16){f8_larger(v.a, _mm256_permute_ps(v.a, 0x40)), f8_set(0)}; /* lanes 0 0 0 1 */
}
INLINE f32x16 f32x16_after4(float x, f32x16 v) {
    return (f32x16){_mm256_blend_ps(_mm256_permute_ps(v.a, 0x90), f8_set(x), 1), f8_set(0)};
}
INLINE unsigned f32x16_below_one4(f32x16 v) {
    return (unsigned)_mm256_movemask_ps(_mm256_cmp_ps(v.a, f8_set(1), _CMP_LT_OQ)) & 15U;
}
INLINE f32x16 f32x16_load4(const float *p) { return (f32x16){_mm256_castps128_ps256(_mm_loadu_ps(p)), f8_set(0)}; }
INLINE void f32x16_store4(float *p, f32x16 v) { _mm_storeu_ps(p, _mm256_castps256_ps128(v.a)); }

INLINE sum16 sum16_zero(void) { return (sum16){_mm256_setzero_si256(), _mm256_setzero_si256()}; }
INLINE pairs16 pairs16_load(const char *p) {
    return (pairs16){_mm256_loadu_si256((const __m256i *)(const void *)p),
                     _mm256_loadu_si256((const __m256i *)(const void *)(p + 32))};
}
INLINE pair pair_load(const int16_t *p) {
    int32_t both;
    __builtin_memcpy(&both, p, sizeof both);
    return _mm256_set1_epi32(both);
}
INLINE __m256i add_products(__m256i s, __m256i x, __m256i y) {
#if defined(__AVXVNNI__)
    return _mm256_dpwssd_avx_epi32(s, x, y);
#else
    return _mm256_add_epi32(s, _mm256_madd_epi16(x, y));
#endif
}
INLINE sum16 sum16_add(sum16 s, pairs16 x, pair y) {
    s.a = add_products(s.a, x.a, y), s.b = add_products(s.b, x.b, y);
    __asm__("" : "+x"(s.a), "+x"(s.b)); /* gcc 12 would copy sums to other registers and back */
    return s;
}
INLINE f32x16 sum16_float(sum16 s) { return (f32x16){_mm256_cvtepi32_ps(s.a), _mm256_cvtepi32_ps(s.b)}; }

/* Rounded to nearest even; all below 2^15. */
INLINE void f8_store_i16(int16_t *p, f8 v) {
    const __m256i x = _mm256_cvtps_epi32(v);
    _mm_storeu_si128((__m128i *)(void *)p, _mm_packs_epi32(_mm256_castsi256_si128(x), _mm256_extracti128_si256(x, 1)));
}
INLINE void f32x16_store_i16(int16_t *p, f32x16 v) { f8_store_i16(p, v.a), f8_store_i16(p + 8, v.b); }

#endif
