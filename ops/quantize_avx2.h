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
    const __m256 size = _mm256_castsi256_ps(_mm256_set1_epi32(0x7fffffff));
    const __m256 v0 = _mm256_loadu_ps(x), v1 = _mm256_loadu_ps(x + 8);
    const __m256 a0 = _mm256_and_ps(v0, size), a1 = _mm256_and_ps(v1, size), finest = _mm256_set1_ps(FLT_MAX);
    const bool finite = _mm256_movemask_ps(_mm256_and_ps(_mm256_cmp_ps(a0, finest, _CMP_LE_OQ),
                                                         _mm256_cmp_ps(a1, finest, _CMP_LE_OQ))) == 255;
    const float most = f8_largest(_mm256_max_ps(a0, a1)); /* not used when there is NaN */
    if (!finite || most < ACT_SMALLEST) {
        _mm_storeu_si128((__m128i *)(void *)q, _mm_setzero_si128());
        *d = finite ? 0 : NAN;
        return 0;
    }
    const __m256 to = _mm256_set1_ps(127 / most);
    const __m256i i0 = _mm256_cvtps_epi32(_mm256_mul_ps(v0, to)), i1 = _mm256_cvtps_epi32(_mm256_mul_ps(v1, to));
    const __m128i s0 = _mm_packs_epi32(_mm256_castsi256_si128(i0), _mm256_extracti128_si256(i0, 1));
    const __m128i s1 = _mm_packs_epi32(_mm256_castsi256_si128(i1), _mm256_extracti128_si256(i1, 1));
    _mm_storeu_si128((__m128i *)(void *)q, _mm_packs_epi16(s0, s1));
    *d = most / 127;
    __m128i sum = _mm_madd_epi16(_mm_add_epi16(s0, s1), _mm_set1_epi16(1));
    sum = _mm_add_epi32(sum, _mm_unpackhi_epi64(sum, sum));
    return _mm_cvtsi128_si32(_mm_add_epi32(sum, _mm_shuffle_epi32(sum, 1)));
}

#endif
