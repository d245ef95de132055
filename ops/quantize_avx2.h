/* quantize_avx2.h: a group of activations to int8, for both x86 tables.
 * Not the weights: those come quantised.
 * Next: quantize_lanes.h, which takes them to whole tokens. */
#ifndef PONDER_QUANTIZE_AVX2_H
#define PONDER_QUANTIZE_AVX2_H

#include <float.h>
#include <math.h>

#include "ops/lanes_avx2.h"

/* A group of activations to q, their scale and the sum of q. */
INLINE int32_t quantize_group(int8_t *q, float *d, const float *x) {
    const __m256 size = _mm256_castsi256_ps(_mm256_set1_epi32(0x7fffffff)), v = _mm256_loadu_ps(x);
    const __m256 a = _mm256_and_ps(v, size);
    const bool finite = _mm256_movemask_ps(_mm256_cmp_ps(a, _mm256_set1_ps(FLT_MAX), _CMP_LE_OQ)) == 255;
    const float most = f8_largest(a); /* not used when there is NaN */
    if (!finite || most < ACT_SMALLEST) {
        _mm_storel_epi64((__m128i *)(void *)q, _mm_setzero_si128());
        *d = finite ? 0 : NAN;
        return 0;
    }
    const __m256i i = _mm256_cvtps_epi32(_mm256_mul_ps(v, _mm256_set1_ps(127 / most)));
    const __m128i low = _mm256_castsi256_si128(i), high = _mm256_extracti128_si256(i, 1);
    const __m128i halves = _mm_packs_epi32(low, high);
    _mm_storel_epi64((__m128i *)(void *)q, _mm_packs_epi16(halves, halves));
    *d = most / 127;
    __m128i sum = _mm_add_epi32(low, high);
    sum = _mm_add_epi32(sum, _mm_unpackhi_epi64(sum, sum));
    return _mm_cvtsi128_si32(_mm_add_epi32(sum, _mm_shuffle_epi32(sum, 1)));
}

#endif
