/* kernels_avx2.c: the row-wise kernels, eight elements at a time, and the door of the AVX2 set.
 * Not the matrix products (matmul_avx2.c) nor attention (attend_avx2.c).
 * Next: attend_avx2.c. */
#include <math.h>

#include "ops/avx2.h"

static void rms_norm(float *y, const float *x, const float *w, size_t n, float eps) {
    size_t full = n & ~(size_t)7;
    __m256i mask = first_lanes(n - full);
    __m256 sum = _mm256_setzero_ps();
    for (size_t i = 0; i < full; i += 8) {
        __m256 v = _mm256_loadu_ps(x + i);
        sum = _mm256_fmadd_ps(v, v, sum);
    }
    if (full < n) { /* a square is never -0, so adding 0 is the same as absent */
        __m256 v = _mm256_maskload_ps(x + full, mask);
        sum = _mm256_fmadd_ps(v, v, sum);
    }
    __m256 inverse = _mm256_set1_ps(1 / sqrtf(lane_tree(sum) / (float)n + eps));
    for (size_t i = 0; i < full; i += 8) {
        __m256 v = _mm256_mul_ps(_mm256_loadu_ps(x + i), inverse);
        _mm256_storeu_ps(y + i, _mm256_mul_ps(v, _mm256_loadu_ps(w + i)));
    }
    for (size_t i = full; i < n; i++) y[i] = x[i] * _mm256_cvtss_f32(inverse) * w[i];
}

/* Pairs (a b) side by side: [a0 b0 a1 b1 ..] with [c0 s0 c1 s1 ..]. */
static void rope_norm_head(float *x, const float *cos_sin, size_t n_pairs) {
    size_t i = 0;
    for (; i + 4 <= n_pairs; i += 4) {
        __m256 v = _mm256_loadu_ps(x + 2 * i), cs = _mm256_loadu_ps(cos_sin + 2 * i);
        __m256 b_sc = _mm256_mul_ps(_mm256_movehdup_ps(v), _mm256_permute_ps(cs, 0xb1));
        _mm256_storeu_ps(x + 2 * i, _mm256_fmaddsub_ps(_mm256_moveldup_ps(v), cs, b_sc)); /* -, +, -, + */
    }
    for (; i < n_pairs; i++) {
        float a = x[2 * i], b = x[2 * i + 1], c = cos_sin[2 * i], s = cos_sin[2 * i + 1];
        x[2 * i] = fmaf(a, c, -(b * s));
        x[2 * i + 1] = fmaf(a, s, b * c);
    }
}

/* Pairs half a head apart. */
static void rope_neox_head(float *x, const float *cos_sin, size_t n_pairs) {
    size_t i = 0;
    for (; i + 8 <= n_pairs; i += 8) {
        __m256 low = _mm256_loadu_ps(cos_sin + 2 * i), high = _mm256_loadu_ps(cos_sin + 2 * i + 8);
        /* [c0 c1 c4 c5 | c2 c3 c6 c7], then the middle 64-bit pairs change places */
        __m256d cc = _mm256_castps_pd(_mm256_shuffle_ps(low, high, 0x88));
        __m256d ss = _mm256_castps_pd(_mm256_shuffle_ps(low, high, 0xdd));
        __m256 c = _mm256_castpd_ps(_mm256_permute4x64_pd(cc, 0xd8));
        __m256 s = _mm256_castpd_ps(_mm256_permute4x64_pd(ss, 0xd8));
        __m256 a = _mm256_loadu_ps(x + i), b = _mm256_loadu_ps(x + i + n_pairs);
        _mm256_storeu_ps(x + i, _mm256_fmsub_ps(a, c, _mm256_mul_ps(b, s)));
        _mm256_storeu_ps(x + i + n_pairs, _mm256_fmadd_ps(a, s, _mm256_mul_ps(b, c)));
    }
    for (; i < n_pairs; i++) {
        float a = x[i], b = x[i + n_pairs], c = cos_sin[2 * i], s = cos_sin[2 * i + 1];
        x[i] = fmaf(a, c, -(b * s));
        x[i + n_pairs] = fmaf(a, s, b * c);
    }
}

static void rope(float *x, const float *cos_sin, size_t n_heads, size_t head_dim, size_t rope_dim,
                 enum rope_style style) {
    for (size_t h = 0; h < n_heads; h++) {
        if (style == ROPE_NORM) rope_norm_head(x + h * head_dim, cos_sin, rope_dim / 2);
        else rope_neox_head(x + h * head_dim, cos_sin, rope_dim / 2);
    }
}

INLINE __m256 silu(__m256 gate, __m256 up) {
    __m256 e = exp_avx2(_mm256_xor_ps(gate, _mm256_set1_ps(-0.0f)));
    return _mm256_mul_ps(_mm256_div_ps(gate, _mm256_add_ps(_mm256_set1_ps(1), e)), up);
}

static void silu_mul(float *y, const float *gate, const float *up, size_t n) {
    size_t i = 0;
    for (; i + 8 <= n; i += 8) _mm256_storeu_ps(y + i, silu(_mm256_loadu_ps(gate + i), _mm256_loadu_ps(up + i)));
    if (i < n) {
        __m256i mask = first_lanes(n - i);
        __m256 v = silu(_mm256_maskload_ps(gate + i, mask), _mm256_maskload_ps(up + i, mask));
        _mm256_maskstore_ps(y + i, mask, v);
    }
}

static void add(float *y, const float *x, size_t n) {
    size_t i = 0;
    for (; i + 8 <= n; i += 8) _mm256_storeu_ps(y + i, _mm256_add_ps(_mm256_loadu_ps(y + i), _mm256_loadu_ps(x + i)));
    for (; i < n; i++) y[i] += x[i];
}

static float exp_sum(float *y, const float *x, float scale, float shift, size_t n) {
    __m256 factor = _mm256_set1_ps(scale), less = _mm256_set1_ps(-shift), sum = _mm256_setzero_ps();
    size_t i = 0;
    for (; i + 8 <= n; i += 8) {
        __m256 e = exp_avx2(_mm256_fmadd_ps(_mm256_loadu_ps(x + i), factor, less));
        _mm256_storeu_ps(y + i, e);
        sum = _mm256_add_ps(sum, e);
    }
    if (i < n) { /* exp is never -0, so adding 0 is the same as absent */
        __m256i mask = first_lanes(n - i);
        __m256 e = exp_avx2(_mm256_fmadd_ps(_mm256_maskload_ps(x + i, mask), factor, less));
        _mm256_maskstore_ps(y + i, mask, e);
        sum = _mm256_add_ps(sum, _mm256_and_ps(e, _mm256_castsi256_ps(mask)));
    }
    return lane_tree(sum);
}

static float max(const float *x, size_t n) {
    const __m256 lowest = _mm256_set1_ps(-INFINITY);
    __m256 largest = lowest;
    size_t i = 0;
    for (; i + 8 <= n; i += 8) largest = _mm256_max_ps(_mm256_loadu_ps(x + i), largest);
    if (i < n) {
        __m256i mask = first_lanes(n - i);
        __m256 v = _mm256_blendv_ps(lowest, _mm256_maskload_ps(x + i, mask), _mm256_castsi256_ps(mask));
        largest = _mm256_max_ps(v, largest);
    }
    return lane_max(largest);
}

static void store_f16(uint16_t *dst, size_t dst_stride, const float *src, size_t n) {
    size_t i = 0;
    for (; i + 8 <= n; i += 8) {
        __m128i half = _mm256_cvtps_ph(_mm256_loadu_ps(src + i), _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
        if (dst_stride == 1) {
            _mm_storeu_si128((__m128i *)(void *)(dst + i), half);
        } else {
            uint16_t h[8];
            _mm_storeu_si128((__m128i *)(void *)h, half);
            for (size_t e = 0; e < 8; e++) dst[(i + e) * dst_stride] = h[e];
        }
    }
    for (; i < n; i++) dst[i * dst_stride] = f32_to_f16(src[i]);
}

void ops_fill_avx2(struct ops *t) {
    t->name = "avx2";
    ops_fill_matmul_avx2(t);
    t->rms_norm = rms_norm;
    t->rope = rope;
    t->silu_mul = silu_mul;
    t->add = add;
    t->exp_sum = exp_sum;
    t->max = max;
    t->attend = attend_avx2;
    t->store_f16 = store_f16;
}
