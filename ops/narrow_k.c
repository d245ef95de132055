/* narrow_k.c: the types with blocks of 256 weights: scales of groups, themselves quantised under a scale of the block.
 * Not the fits: narrow.c.
 * Next: tests/test_quant_blocks.c, which bounds the errors. */
#include <math.h>
#include <string.h>

#include "ops/narrow.h"

enum { BLOCK = 256, GROUP = 32, GROUPS = BLOCK / GROUP, SCALE_MAX = 63, SMALL_GROUP = 16, SMALL_GROUPS = 16 };

/* The inverse of parts_k. */
static void store_k_scales(const int s[GROUPS], const int t[GROUPS], uint8_t p[12]) {
    for (int i = 0; i < 4; i++) {
        p[i] = (uint8_t)(s[i] | s[i + 4] >> 4 << 6);
        p[i + 4] = (uint8_t)(t[i] | t[i + 4] >> 4 << 6);
        p[i + 8] = (uint8_t)((s[i + 4] & 15) | (t[i + 4] & 15) << 4);
    }
}

/* The head (d, m, 12 bytes of scales) of Q4_K and Q5_K, and q[i] in [0, hi]: x = q s d - t m. */
static void round_k(const float *x, int hi, uint8_t *p, int q[BLOCK]) {
    float y[BLOCK], scale[GROUPS], low[GROUPS], largest_scale = 0, largest_low = 0;
    int s[GROUPS], t[GROUPS];
    narrow_tame(x, y, BLOCK);
    for (int g = 0; g < GROUPS; g++) {
        narrow_fit_range(y + g * GROUP, GROUP, hi, true, &scale[g], &low[g]);
        low[g] = -low[g];
        largest_scale = fmaxf(largest_scale, scale[g]), largest_low = fmaxf(largest_low, low[g]);
    }
    const float d = narrow_store(p, largest_scale / SCALE_MAX), m = narrow_store(p + 2, largest_low / SCALE_MAX);
    for (int g = 0; g < GROUPS; g++) {
        s[g] = d > 0 ? narrow_nearest(scale[g] / d, 0, SCALE_MAX) : 0;
        t[g] = m > 0 ? narrow_nearest(low[g] / m, 0, SCALE_MAX) : 0;
        const float step = d * (float)s[g], offset = m * (float)t[g];
        for (int i = g * GROUP; i < (g + 1) * GROUP; i++)
            q[i] = step > 0 ? narrow_nearest((y[i] + offset) / step, 0, hi) : 0;
    }
    store_k_scales(s, t, p + 4);
}

/* Groups 2c and 2c + 1: low and high nibbles of bytes 32c .. 32c + 31. */
static void pack_nibbles(const int q[BLOCK], uint8_t *to) {
    for (int c = 0; c < GROUPS / 2; c++)
        for (int l = 0; l < GROUP; l++)
            to[c * GROUP + l] = (uint8_t)((q[c * 64 + l] & 15) | (q[c * 64 + GROUP + l] & 15) << 4);
}

void narrow_q4_k(const float *x, uint8_t *p) {
    int q[BLOCK];
    round_k(x, 15, p, q);
    pack_nibbles(q, p + 16);
}

void narrow_q5_k(const float *x, uint8_t *p) {
    int q[BLOCK];
    round_k(x, 31, p, q);
    memset(p + 16, 0, GROUP);
    for (int i = 0; i < BLOCK; i++) p[16 + i % GROUP] |= (uint8_t)((q[i] >> 4) << i / GROUP);
    pack_nibbles(q, p + 48);
}

void narrow_q6_k(const float *x, uint8_t *p) {
    float y[BLOCK], scale[SMALL_GROUPS], peak = 0;
    narrow_tame(x, y, BLOCK);
    for (int g = 0; g < SMALL_GROUPS; g++) {
        scale[g] = narrow_fit_scale(y + g * SMALL_GROUP, SMALL_GROUP, -32);
        if (fabsf(scale[g]) > fabsf(peak)) peak = scale[g];
    }
    memset(p, 0, 192);
    const float d = narrow_store(p + 208, peak / -128);
    for (int i = 0; i < BLOCK; i++) {
        const int g = i / SMALL_GROUP, s = d != 0 ? narrow_nearest(scale[g] / d, -128, 127) : 0;
        const float step = d * (float)s;
        const int q = step != 0 ? narrow_nearest(y[i] / step, -32, 31) + 32 : 32;
        const int half = i / 128, quarter = i % 128 / 32, l = i % 32; /* where parts_q6_k looks */
        p[192 + g] = (uint8_t)(int8_t)s;
        p[half * 64 + quarter % 2 * 32 + l] |= (uint8_t)((q & 15) << quarter / 2 * 4);
        p[128 + half * 32 + l] |= (uint8_t)((q >> 4) << quarter * 2);
    }
}
