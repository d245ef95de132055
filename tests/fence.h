/* fence.h: what tests of kernels need: memory that shows who reads or writes outside it, values to put there, comparing bits.
 * Not a test: check_matmul.h, check_attend.h, ops_check.h.
 * Next: ops_check.h. */
#ifndef PONDER_FENCE_H
#define PONDER_FENCE_H

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/rng.h"
#include "ops/ops.h"

#define COUNT(a) (sizeof(a) / sizeof(a)[0])

/* One of so many cases of the long lists is run: emulators are slow.  Counted through all types, each of which keeps some of
 * every list; 5 has no factor in common with the lengths of the lists, so every size meets every type or a near one. */
#ifndef CHECK_EVERY
#define CHECK_EVERY 1
#endif

static const enum tensor_type check_types[] = {
    TYPE_F32,   TYPE_F16,   TYPE_BF16,    TYPE_Q4_0,   TYPE_Q4_1,   TYPE_Q5_0,    TYPE_Q5_1,  TYPE_Q8_0,  TYPE_Q2_K,
    TYPE_Q3_K,  TYPE_Q4_K,  TYPE_Q5_K,    TYPE_Q6_K,   TYPE_IQ4_NL, TYPE_MXFP4,   TYPE_TQ1_0, TYPE_TQ2_0, TYPE_IQ4_XS,
    TYPE_IQ1_S, TYPE_IQ1_M, TYPE_IQ2_XXS, TYPE_IQ2_XS, TYPE_IQ2_S,  TYPE_IQ3_XXS, TYPE_IQ3_S};
static const size_t check_sizes[] = {0, 1, 2, 7, 8, 9, 15, 16, 31, 32, 33, 64, 96, 100, 192, 512};

/* Memory that ends (but for `gap` bytes, which make it unaligned) at a page that may not be touched, after a page of
 * guard bytes: reading past the end faults, writing around it shows in fence_intact.
 *   [ GUARD ... ][ data, n bytes ][ gap, GUARD ][ no access ] */
struct fence {
    uint8_t *map, *data;
    size_t n_bytes, map_bytes, n_open; /* n_open: readable bytes from map on */
};
enum { FENCE_MARGIN = 256, FENCE_GUARD = 0xa5 }; /* at least so many guard bytes before the data */

static inline struct fence fence_new(size_t n_bytes, size_t gap) {
    struct fence f = {.n_bytes = n_bytes};
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    f.n_open = (n_bytes + gap + FENCE_MARGIN + page - 1) / page * page;
    f.map_bytes = f.n_open + page;
    f.map = mmap(NULL, f.map_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (f.map == MAP_FAILED || mprotect(f.map + f.n_open, page, PROT_NONE)) abort();
    memset(f.map, FENCE_GUARD, f.n_open);
    f.data = f.map + f.n_open - gap - n_bytes;
    return f;
}

static inline bool fence_intact(const struct fence *f, const char *what) {
    for (const uint8_t *p = f->map; p < f->map + f->n_open; p++) {
        if (p == f->data) p += f->n_bytes;
        if (p < f->map + f->n_open && *p != FENCE_GUARD) {
            fprintf(stderr, "%s: wrote outside its output, byte %td of %zu\n", what, p - f->data, f->n_bytes);
            return false;
        }
    }
    return true;
}

static inline void fence_free(struct fence *f) { munmap(f->map, f->map_bytes); }

/* Equal bits, or both NaN (which NaN comes out of an operation is the CPU's choice). */
static inline bool same_bits(const char *what, const float *got, const float *want, size_t n) {
    for (size_t i = 0; i < n; i++) {
        uint32_t g, w;
        memcpy(&g, got + i, sizeof g);
        memcpy(&w, want + i, sizeof w);
        if (g == w || (isnan(got[i]) && isnan(want[i]))) continue;
        fprintf(stderr, "%s: element %zu of %zu is %.9g (%08x), scalar has %.9g (%08x)\n", what, i, n, (double)got[i],
                g, (double)want[i], w);
        return false;
    }
    return true;
}

/* Values of a bell-like shape around 0; `wild` mixes in zeros of both signs, subnormals, huge values, infinity, NaN. */
static inline void fill_random(float *x, size_t n, uint64_t key, bool wild) {
    static const float odd[] = {0.0f, -0.0f, 1e-42f, -3e-45f, 1e-30f, -1e-30f, 3e38f, -3e38f, INFINITY, -INFINITY, NAN};
    for (size_t i = 0; i < n; i++) {
        double u = rng_uniform(key, 2 * i), v = rng_uniform(key, 2 * i + 1);
        x[i] = (float)((u + v - 1) * 3);
        if (wild && v < 0.2) x[i] = odd[rng_below(key + 1, i, COUNT(odd))];
    }
}

/* A row of any type from values.  Types with scales of 16 or 32 weights: random bits, and the one or two f16 scales of a
 * block taken from its first values, so that every bit of the layout counts and wild rows have wild scales. */
static inline void fill_row(enum tensor_type type, const float *row, uint8_t *bytes, size_t cols, uint64_t key) {
    const struct type_info *t = type_info(type);
    size_t at = 0, n_scales = 1;
    switch (type) {
    case TYPE_F32:
    case TYPE_F16:
    case TYPE_BF16: type_from_f32(type, row, bytes, cols); return;
    case TYPE_Q4_1:
    case TYPE_Q5_1:
    case TYPE_Q4_K:
    case TYPE_Q5_K: n_scales = 2; break;
    case TYPE_Q2_K: at = 80, n_scales = 2; break;
    case TYPE_Q3_K: at = 108; break;
    case TYPE_Q6_K: at = 208; break;
    case TYPE_TQ1_0: at = 52; break;
    case TYPE_TQ2_0: at = 64; break;
    case TYPE_MXFP4:
    case TYPE_IQ1_M: n_scales = 0; break; /* below */
    default: break;
    }
    for (size_t b = 0; b < cols / t->block_weights; b++, bytes += t->block_bytes, row += t->block_weights) {
        for (size_t i = 0; i < t->block_bytes; i++) bytes[i] = (uint8_t)rng_below(key, b * 256 + i, 256);
        for (size_t i = 0; i < n_scales; i++) {
            uint16_t scale = f32_to_f16(row[i] / 64);
            memcpy(bytes + at + 2 * i, &scale, sizeof scale);
        }
        if (type == TYPE_MXFP4) bytes[0] = (uint8_t)(bytes[0] < 8 ? bytes[0] : 100 + bytes[0] % 32);
        const uint16_t scale = f32_to_f16(row[0] / 64); /* of IQ1_M: in the upper nibbles of its last four u16 */
        for (int i = 0; type == TYPE_IQ1_M && i < 4; i++)
            bytes[49 + 2 * i] = (uint8_t)((bytes[49 + 2 * i] & 15) | (scale >> 4 * i & 15) << 4);
    }
}

#endif
