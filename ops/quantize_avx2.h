/* quantize_avx2.h: a group of activations to int8, for both x86 tables.
 * Not the weights: those come quantised.
 * Next: quantize_lanes.h, which takes them to whole tokens. */
#ifndef PONDER_QUANTIZE_AVX2_H
#define PONDER_QUANTIZE_AVX2_H

#include "ops/lanes_avx2.h"

/* The bits of the largest |x| of a group; those of an infinity or of a NaN when there is one. */
INLINE int32_t group_most(const float *x) {
    const __m256i size = _mm256_set1_epi32(0x7fffffff);
    const __m256i most = _mm256_max_epi32(_mm256_and_si256(_mm256_castps_si256(_mm256_loadu_ps(x)), size),
                                          _mm256_and_si256(_mm256_castps_si256(_mm256_loadu_ps(x + 8)), size));
    __m128i m = _mm_max_epi32(_mm256_castsi256_si128(most), _mm256_extracti128_si256(most, 1));
    m = _mm_max_epi32(m, _mm_unpackhi_epi64(m, m));
    return _mm_cvtsi128_si32(_mm_max_epi32(m, _mm_shuffle_epi32(m, 1)));
}

/* q = x * by, rounded to nearest even, of a group; returns their sum. */
INLINE int32_t group_round(int8_t *q, const float *x, float by) {
    const __m256 to = _mm256_set1_ps(by);
    const __m256i i0 = _mm256_cvtps_epi32(_mm256_mul_ps(_mm256_loadu_ps(x), to));
    const __m256i i1 = _mm256_cvtps_epi32(_mm256_mul_ps(_mm256_loadu_ps(x + 8), to));
    const __m128i s0 = _mm_packs_epi32(_mm256_castsi256_si128(i0), _mm256_extracti128_si256(i0, 1));
    const __m128i s1 = _mm_packs_epi32(_mm256_castsi256_si128(i1), _mm256_extracti128_si256(i1, 1));
    _mm_storeu_si128((__m128i *)(void *)q, _mm_packs_epi16(s0, s1));
    __m128i sum = _mm_madd_epi16(_mm_add_epi16(s0, s1), _mm_set1_epi16(1));
    sum = _mm_add_epi32(sum, _mm_unpackhi_epi64(sum, sum));
    return _mm_cvtsi128_si32(_mm_add_epi32(sum, _mm_shuffle_epi32(sum, 1)));
}

#endif
