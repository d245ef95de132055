/* narrow.c: the fits of scales, and the types with blocks of 32 weights.
 * Not fast: a model is quantised once.
 * Next: narrow_k.c. */
#include "ops/narrow.h"

#include <math.h>
#include <string.h>

#include "ops/panel.h"

enum { BLOCK = 32, HALF = BLOCK / 2, Q8_MAX = 127 };

/* Trial roundings: the outermost weight lands up to 0.8 of a step inside or outside the last integer. */
enum { TRIALS = 17 };
static float trial_offset(int trial) { return 0.1f * (float)(trial - TRIALS / 2); }

void narrow_tame(const float *x, float *y, size_t n) {
    const float largest = 65504;
    for (size_t i = 0; i < n; i++) y[i] = isnan(x[i]) ? 0 : fminf(fmaxf(x[i], -largest), largest);
}

int narrow_nearest(float x, int lo, int hi) {
    if (!(x > (float)lo)) return lo;
    return x < (float)hi ? (int)rintf(x) : hi;
}

float narrow_store(uint8_t *p, float v) {
    uint16_t half = f32_to_f16(v);
    memcpy(p, &half, sizeof half);
    return f16_to_f32(half);
}

/* For given q the best d is xq / qq, and takes xq^2 / qq off the sum of x^2. */
float narrow_fit_scale(const float *x, size_t n, int lo) {
    float peak = 0, d = 0;
    double best = 0;
    for (size_t i = 0; i < n; i++)
        if (fabsf(x[i]) > fabsf(peak)) peak = x[i];
    if (fabsf(peak) < 1e-30f) return 0;
    for (int trial = 0; trial < TRIALS; trial++) { /* lo reaches further than -lo - 1: the peak goes there */
        const float inverse = ((float)lo + trial_offset(trial)) / peak;
        double xq = 0, qq = 0;
        for (size_t i = 0; i < n; i++) {
            const int q = narrow_nearest(x[i] * inverse, lo, -lo - 1);
            xq += (double)x[i] * q;
            qq += q * q;
        }
        if (qq > 0 && xq * xq > best * qq) best = xq * xq / qq, d = (float)(xq / qq);
    }
    return d;
}

void narrow_fit_range(const float *x, size_t n, int hi, bool below, float *d, float *m) {
    float lo = x[0], top = x[0];
    double sx = 0, best = INFINITY;
    for (size_t i = 0; i < n; i++) lo = fminf(lo, x[i]), top = fmaxf(top, x[i]), sx += (double)x[i];
    if (below && lo > 0) lo = 0;
    *d = 0, *m = lo;
    if (top - lo < 1e-30f) return;
    for (int trial = 0; trial < TRIALS; trial++) {
        const float inverse = ((float)hi + trial_offset(trial)) / (top - lo);
        double sq = 0, qq = 0, xq = 0;
        for (size_t i = 0; i < n; i++) {
            const int q = narrow_nearest((x[i] - lo) * inverse, 0, hi);
            sq += q, qq += q * q, xq += (double)x[i] * q;
        }
        const double spread = (double)n * qq - sq * sq; /* the normal equations of least squares, for these q */
        double slope = spread > 0 ? ((double)n * xq - sx * sq) / spread : 0, offset = (sx - slope * sq) / (double)n;
        if (below && offset > 0 && qq > 0) offset = 0, slope = xq / qq;
        /* the sum of squared errors less the sum of x^2, which is the same for all */
        const double loss = slope * (slope * qq + 2 * offset * sq - 2 * xq) + offset * ((double)n * offset - 2 * sx);
        if (slope > 0 && loss < best) best = loss, *d = (float)slope, *m = (float)offset;
    }
}

/* Low nibbles of byte j: weight j; high: weight j + 16.  Bit j of the result: the fifth bit of weight j. */
static uint32_t pack(const int *q, uint8_t *nibbles) {
    uint32_t fifth = 0;
    for (int j = 0; j < BLOCK; j++) fifth |= (uint32_t)(q[j] >> 4 & 1) << j;
    for (int j = 0; j < HALF; j++) nibbles[j] = (uint8_t)((q[j] & 15) | (q[j + HALF] & 15) << 4);
    return fifth;
}

/* Rounded with the scales as stored, for q in [0, hi] standing for (q - zero) d + m. */
static uint32_t round_block(const float *x, float d, float m, int zero, int hi, uint8_t *nibbles) {
    int q[BLOCK];
    for (int j = 0; j < BLOCK; j++) q[j] = d != 0 ? narrow_nearest((x[j] - m) / d + (float)zero, 0, hi) : zero;
    return pack(q, nibbles);
}

void narrow_q4_0(const float *x, uint8_t *p) {
    float y[BLOCK];
    narrow_tame(x, y, BLOCK);
    round_block(y, narrow_store(p, narrow_fit_scale(y, BLOCK, -8)), 0, 8, 15, p + 2);
}

void narrow_q5_0(const float *x, uint8_t *p) {
    float y[BLOCK];
    narrow_tame(x, y, BLOCK);
    uint32_t fifth = round_block(y, narrow_store(p, narrow_fit_scale(y, BLOCK, -16)), 0, 16, 31, p + 6);
    memcpy(p + 2, &fifth, sizeof fifth);
}

void narrow_q4_1(const float *x, uint8_t *p) {
    float y[BLOCK], d, m;
    narrow_tame(x, y, BLOCK);
    narrow_fit_range(y, BLOCK, 15, false, &d, &m);
    d = narrow_store(p, d), m = narrow_store(p + 2, m);
    round_block(y, d, m, 0, 15, p + 4);
}

void narrow_q5_1(const float *x, uint8_t *p) {
    float y[BLOCK], d, m;
    narrow_tame(x, y, BLOCK);
    narrow_fit_range(y, BLOCK, 31, false, &d, &m);
    d = narrow_store(p, d), m = narrow_store(p + 2, m);
    uint32_t fifth = round_block(y, d, m, 0, 31, p + 8);
    memcpy(p + 4, &fifth, sizeof fifth);
}

/* No search: at 8 bits the largest weight decides.  The quants are taken relative to d as stored (rounded to f16), so that
 * each weight is within d/2 of x. */
void narrow_q8_0(const float *x, uint8_t *p) {
    float largest = 0;
    for (int i = 0; i < BLOCK; i++) largest = fmaxf(largest, fabsf(x[i]));
    const float d = narrow_store(p, largest / Q8_MAX);
    for (int i = 0; i < BLOCK; i++) {
        const float q = d > 0 && !isnan(x[i]) ? x[i] / d : 0;
        p[2 + i] = isnan(q) ? 0 : (uint8_t)(int8_t)narrow_nearest(q, -Q8_MAX, Q8_MAX); /* inf / inf */
    }
}

/* ---- sixteen codes ---- */

/* The number of the nearest of n ascending codes. */
static void nearest_codes(const float *x, float inverse, const int8_t *codes, int n, int q[BLOCK]) {
    for (int i = 0; i < BLOCK; i++) q[i] = 0;
    for (int c = 1; c < n; c++) {
        const float middle = (float)(codes[c - 1] + codes[c]) / 2;
        for (int i = 0; i < BLOCK; i++) q[i] += x[i] * inverse > middle;
    }
}

/* As narrow_fit_scale, with the largest weight near either end of the codes. */
void narrow_iq4_nl(const float *x, uint8_t *p) {
    const int8_t *codes = packing_of(TYPE_IQ4_NL)->codes;
    float y[BLOCK], peak = 0, d = 0;
    double best = 0;
    int q[BLOCK];
    narrow_tame(x, y, BLOCK);
    for (int i = 0; i < BLOCK; i++)
        if (fabsf(y[i]) > fabsf(peak)) peak = y[i];
    for (int trial = 0; fabsf(peak) >= 1e-30f && trial < 2 * TRIALS; trial++) {
        const float end = trial < TRIALS ? (float)codes[0] : (float)codes[15];
        double xv = 0, vv = 0;
        nearest_codes(y, end * (1 + trial_offset(trial % TRIALS) / 8) / peak, codes, 16, q);
        for (int i = 0; i < BLOCK; i++) xv += (double)y[i] * codes[q[i]], vv += codes[q[i]] * codes[q[i]];
        if (xv * xv > best * vv) best = xv * xv / vv, d = (float)(xv / vv);
    }
    d = narrow_store(p, d);
    nearest_codes(y, d != 0 ? 1 / d : 0, codes, 16, q);
    pack(q, p + 2);
}

/* The squared error with the scale 2^(e - 128), and the codes. */
static double round_mxfp4(const float *x, int e, int q[BLOCK]) {
    const int8_t *codes = packing_of(TYPE_MXFP4)->codes; /* the first eight are positive and ascend */
    const float d = ldexpf(1, e - 128);
    float size[BLOCK];
    double error = 0;
    for (int i = 0; i < BLOCK; i++) size[i] = fabsf(x[i]);
    nearest_codes(size, ldexpf(1, 128 - e), codes, 8, q);
    for (int i = 0; i < BLOCK; i++) {
        const double off = size[i] - (double)codes[q[i]] * d;
        error += off * off;
        if (x[i] < 0) q[i] |= 8;
    }
    return error;
}

/* The largest weight fits, or is cut where that is better for all. */
void narrow_mxfp4(const float *x, uint8_t *p) {
    float y[BLOCK], most = 0;
    int e, q[2][BLOCK];
    for (int i = 0; i < BLOCK; i++) y[i] = isfinite(x[i]) ? x[i] : 0, most = fmaxf(most, fabsf(y[i]));
    frexpf(most / 12, &e);
    e = most > 0 ? e + 128 : 2;
    e = e < 2 ? 2 : e > 252 ? 252 : e; /* 2^(128 - 2) and 12 * 2^(252 - 128) are finite */
    const bool less = e > 2 && round_mxfp4(y, e - 1, q[1]) < round_mxfp4(y, e, q[0]);
    if (!less) round_mxfp4(y, e, q[0]);
    p[0] = (uint8_t)(e - less);
    pack(q[less], p + 1);
}
