/* cells_avx512.h: the sixteen cells of a KV page in a 512-bit register: floats, and sums of products of pairs of int16 by VNNI.
 * Not kernels: attend_i16_lanes.h is written over these names.
 * Next: cells_avx2.h, where they are explained. */
#ifndef PONDER_CELLS_AVX512_H
#define PONDER_CELLS_AVX512_H

#include "ops/lanes16_avx512.h"

typedef __m512i sum16, pairs16, pair;

enum { WEIGHTS_TOGETHER = 8, VALUE_ROWS = 6 };
INLINE size_t scores_together(size_t n_rows) { return (void)n_rows, 4; }
INLINE size_t values_together(size_t n_rows) { return n_rows <= 3 ? 4 : 2; }

INLINE f32x16 f32x16_set(float x) { return _mm512_set1_ps(x); }
INLINE f32x16 f32x16_sub(f32x16 x, f32x16 y) { return _mm512_sub_ps(x, y); }
INLINE f32x16 f32x16_add(f32x16 x, f32x16 y) { return _mm512_add_ps(x, y); }
INLINE f32x16 f32x16_larger(f32x16 x, f32x16 y) { return _mm512_max_ps(x, y); }
INLINE f32x16 f32x16_ceil(f32x16 x) { return _mm512_roundscale_ps(x, _MM_FROUND_TO_POS_INF | _MM_FROUND_NO_EXC); }
INLINE f32x16 f32x16_scale_exponent(f32x16 p, f32x16 t) {
    const __m512i shift = _mm512_slli_epi32(_mm512_castps_si512(t), 23);
    return _mm512_castsi512_ps(_mm512_add_epi32(_mm512_castps_si512(p), shift));
}
INLINE f32x16 f32x16_unless_less(f32x16 x, f32x16 low, f32x16 y) {
    return _mm512_maskz_mov_ps(_mm512_cmp_ps_mask(x, low, _CMP_NLT_UQ), y);
}

/* The lower half of a, of b; the upper ones.  Quarters 0 and 2 of a, of b; 1 and 3. */
INLINE f32x16 lower_halves(f32x16 a, f32x16 b) { return _mm512_shuffle_f32x4(a, b, 0x44); }
INLINE f32x16 upper_halves(f32x16 a, f32x16 b) { return _mm512_shuffle_f32x4(a, b, 0xee); }
INLINE f32x16 even_quarters(f32x16 a, f32x16 b) { return _mm512_shuffle_f32x4(a, b, 0x88); }
INLINE f32x16 odd_quarters(f32x16 a, f32x16 b) { return _mm512_shuffle_f32x4(a, b, 0xdd); }
/* The first number of each quarter. */
INLINE f32x16 firsts(f32x16 v) {
    return _mm512_permutexvar_ps(_mm512_setr_epi32(0, 4, 8, 12, 0, 4, 8, 12, 0, 4, 8, 12, 0, 4, 8, 12), v);
}
INLINE f32x16 f32x16_largest4(const f32x16 *v) {
    const f32x16 ab = f32x16_larger(lower_halves(v[0], v[1]), upper_halves(v[0], v[1]));
    const f32x16 cd = f32x16_larger(lower_halves(v[2], v[3]), upper_halves(v[2], v[3]));
    f32x16 s = f32x16_larger(even_quarters(ab, cd), odd_quarters(ab, cd));
    s = f32x16_larger(s, _mm512_permute_ps(s, 0xee));
    return firsts(f32x16_larger(s, _mm512_permute_ps(s, 0x55)));
}
INLINE f32x16 f32x16_sum4(const f32x16 *v) {
    const f32x16 ab = f32x16_add(lower_halves(v[0], v[1]), upper_halves(v[0], v[1]));
    const f32x16 cd = f32x16_add(lower_halves(v[2], v[3]), upper_halves(v[2], v[3]));
    f32x16 s = f32x16_add(even_quarters(ab, cd), odd_quarters(ab, cd));
    s = f32x16_add(s, _mm512_permute_ps(s, 0xee));
    return firsts(f32x16_add(s, _mm512_permute_ps(s, 0x55)));
}
INLINE f32x16 f32x16_so_far4(f32x16 v) {
    v = f32x16_larger(v, _mm512_permute_ps(v, 0x90));    /* lanes 0 0 1 2 */
    return f32x16_larger(v, _mm512_permute_ps(v, 0x40)); /* lanes 0 0 0 1 */
}
INLINE f32x16 f32x16_after4(float x, f32x16 v) { return _mm512_mask_permute_ps(_mm512_set1_ps(x), 0xe, v, 0x90); }
INLINE unsigned f32x16_below_one4(f32x16 v) { return _mm512_cmp_ps_mask(v, _mm512_set1_ps(1), _CMP_LT_OQ) & 15U; }
INLINE f32x16 f32x16_load4(const float *p) { return _mm512_castps128_ps512(_mm_loadu_ps(p)); }
INLINE void f32x16_store4(float *p, f32x16 v) { _mm_storeu_ps(p, _mm512_castps512_ps128(v)); }

/* The empty statements keep a value in a register: gcc 12 would else load pairs again for each product, and copy sums to another
 * register and back. */
INLINE sum16 sum16_zero(void) { return _mm512_setzero_si512(); }
INLINE pairs16 pairs16_load(const char *p) {
    pairs16 x = _mm512_loadu_si512(p);
    __asm__("" : "+v"(x));
    return x;
}
INLINE pair pair_load(const int16_t *p) {
    int32_t both;
    __builtin_memcpy(&both, p, sizeof both);
    pair x = _mm512_set1_epi32(both);
    __asm__("" : "+v"(x));
    return x;
}
INLINE sum16 sum16_add(sum16 s, pairs16 x, pair y) {
    s = _mm512_dpwssd_epi32(s, x, y);
    __asm__("" : "+v"(s));
    return s;
}
INLINE f32x16 sum16_float(sum16 s) { return _mm512_cvtepi32_ps(s); }
INLINE void f32x16_store_i16(int16_t *p, f32x16 v) {
    _mm256_storeu_si256((__m256i *)(void *)p, _mm512_cvtepi32_epi16(_mm512_cvtps_epi32(v)));
}

#endif
