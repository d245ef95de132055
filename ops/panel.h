/* panel.h: weights and activations in the layout that the products want.
 * Not the products: ops.h.  Not the layout of the blocks in files: block.h.
 * Next: panel.c, which packs; panel_lanes.h, from where products go on.
 *
 *   panel   = 16 rows of a matrix, interleaved so that one vector load brings the same few k of all of them: lane = row,
 *             and neither a shuffle nor a horizontal sum is left in the loops.  Rows missing in the last panel are zeros.
 *   block   = 32 consecutive k of a panel, or 256 for the K types.
 *   words   = 16 rows x 4 consecutive k: [16][4], the unit of the integer kernels.
 *
 *   quants = the stored integers of 32 k, in planes, one after the other:
 *     4 bits   4 x 64 bytes; byte i of piece p: word p below, word p + 4 above, both at i
 *     2 bits   2 x 64 bytes; two bits at 2(w % 4) of byte i of piece w / 4 for byte i of word w
 *     1 bit    8 x 64 bits, bit i of piece p for byte i of word p
 *     8 bits   8 words
 *   A form (below) has a plane of 8, 4 or 2 bits and perhaps one of 1 or 2 above it: 3 = 2 + 1, 5 = 4 + 1, 6 = 4 + 2.
 *
 *   layout of a panel, blocks in ascending k; low: only in forms that have it
 *     F32, F16, BF16     [cols][16] numbers
 *     blocks of 32 k     d f16[16] (MXFP4: bf16), low: m f16[16], then the quants
 *     blocks of 256 k    d f32[16], or with low d f16[16], m f16[16]; s int8[n][16], low: t int8[n][16], n = 8 (scales
 *                        for 32 k) or 16 (for 16 k); then 8 times quants
 *     all quantised types when activations stay f32: the rows of the file as they are
 *
 *   weight = value(q) * (d * s) - m * t, s = t = 1 in blocks of 32 k; value(q) = q - offset, or one of sixteen codes
 * A packed block has about the size that it has in the file (scales take a byte each).  The types that look up points
 * in lists (lattice.c) are the exception: 1.6 to 3.4 bits a weight in the file, four here. */
#ifndef PONDER_PANEL_H
#define PONDER_PANEL_H

#include "base/status.h"
#include "ops/quant.h"

enum { PANEL_ROWS = 16, PANEL_CHUNK = 256 /* k that are unpacked at a time */ };

enum panel_layout {
    PANEL_FLOAT, /* F32, F16, BF16 in panels; f32 activations */
    PANEL_INT8,  /* quantised types in panels; activations quantised to int8 */
    PANEL_FILE,  /* rows as in the file, widened to f32 when used; f32 activations */
};

struct panels {
    enum tensor_type type;
    enum panel_layout layout;
    uint32_t rows, cols;
    size_t stride;       /* bytes from one panel to the next; PANEL_FILE: from one row to the next */
    const uint8_t *data; /* borrowed */
};

/* How integers are stored and summed: all that the product kernels tell apart. */
enum form {
    FORM_8,            /* q signed */
    FORM_4,            /* q - 8 */
    FORM_5,            /* q - 16 */
    FORM_2,            /* q - 1 */
    FORM_4_LOW,        /* q, and something subtracted */
    FORM_5_LOW,        /* the same */
    FORM_6_HALVES,     /* q - 32, a scale for 16 k */
    FORM_3_HALVES,     /* q - 4, the same */
    FORM_2_LOW,        /* q, a scale and something subtracted for 16 k */
    FORM_CODES,        /* four bits that stand for any int8 */
    FORM_CODES_HALVES, /* the same, a scale for 16 k */
    FORM_SMALL_CODES,  /* four bits that stand for -16 to 15; scales are bf16 */
    FORMS
};
struct form_info {
    uint8_t bits, more, offset;    /* of the first plane; of the one above it; what is subtracted from q */
    bool codes, wide, halves, low; /* wide: values may need all of int8 */
    enum form unpacked;            /* once unpacked to bytes it is multiplied as this one */
};
/* clang-format off */
static const struct form_info forms[FORMS] = {
    /*                     bits, more, offset, codes, wide,  halves, low,   unpacked */
    [FORM_8]            = {8,    0,    0,      false, true,  false,  false, FORM_8},
    [FORM_4]            = {4,    0,    8,      false, false, false,  false, FORM_5},
    [FORM_5]            = {4,    1,    16,     false, false, false,  false, FORM_5},
    [FORM_2]            = {2,    0,    1,      false, false, false,  false, FORM_5},
    [FORM_4_LOW]        = {4,    0,    0,      false, false, false,  true,  FORM_5_LOW},
    [FORM_5_LOW]        = {4,    1,    0,      false, false, false,  true,  FORM_5_LOW},
    [FORM_6_HALVES]     = {4,    2,    32,     false, false, true,   false, FORM_6_HALVES},
    [FORM_3_HALVES]     = {2,    1,    4,      false, false, true,   false, FORM_6_HALVES},
    [FORM_2_LOW]        = {2,    0,    0,      false, false, true,   true,  FORM_2_LOW},
    [FORM_CODES]        = {4,    0,    0,      true,  true,  false,  false, FORM_8},
    [FORM_CODES_HALVES] = {4,    0,    0,      true,  true,  true,   false, FORM_CODES_HALVES},
    [FORM_SMALL_CODES]  = {4,    0,    16,     true,  false, false,  false, FORM_5},
};
/* clang-format on */

/* How a type is packed; what differs between types of one form. */
struct packing {
    enum form form;
    uint16_t span;       /* k of a block: 32 or 256 */
    const int8_t *codes; /* [16]; NULL: none */
};
/* NULL for types that are not quantised. */
const struct packing *packing_of(enum tensor_type type);

/* The weight that q stands for, without its scale. */
static inline int packing_value(const struct packing *k, int q) {
    return k->codes ? k->codes[q] : q - forms[k->form].offset;
}

enum {
    PANEL_HALVES = PANEL_ROWS * 2,     /* bytes of sixteen f16 */
    PANEL_K_SCALES = 2 * PANEL_HALVES, /* where a block of 256 k has s */
};
/* Bytes of a plane of so many bits of 32 k. */
static inline size_t plane_bytes(int bits) { return (size_t)bits * PANEL_ROWS * 32 / 8; }
static inline size_t quants_bytes(enum form form) { return plane_bytes(forms[form].bits + forms[form].more); }
/* Scales of 256 k, in bytes: s, and t where there is one. */
static inline size_t scales_bytes(enum form form) {
    return (forms[form].halves ? 16 : 8) * (forms[form].low ? 2 : 1) * PANEL_ROWS;
}
/* From the start of a block to its quants; a whole block. */
static inline size_t block_header(const struct packing *k) {
    return k->span == 256 ? PANEL_K_SCALES + scales_bytes(k->form) : PANEL_HALVES * (forms[k->form].low ? 2 : 1);
}
static inline size_t block_bytes(const struct packing *k) {
    return block_header(k) + k->span / 32 * quants_bytes(k->form);
}

/* The layout for a type; exact: quantised types keep f32 activations. */
enum panel_layout panel_layout(enum tensor_type type, bool exact);
/* Bytes of a packed matrix (0 for PANEL_FILE, which is not packed). */
size_t panel_bytes(enum tensor_type type, enum panel_layout layout, uint32_t rows, uint32_t cols);
/* Packs panels [first, end) of the rows at `file` (row r at file + r * row_bytes) into `to`, the start of all panels.
 * Threads may pack different panels at once. */
void panel_pack(const struct panels *p, const void *file, size_t row_bytes, uint32_t first, uint32_t end, uint8_t *to);

/* 32 consecutive activations of one token, quantised in groups of 16 whose steps differ by a power of two:
 *   x[i] ~ q[i] * d * 2^up[i / 16], |q| <= 127
 * The group with the larger most = max|x| has the step most / 127; the other one that step / 2^s, s the largest integer from 0 to
 * ACT_UP for which its own most * 2^s is not above the larger.  So d = larger most / 127 / 2^s, and up is s for the larger group
 * and 0 for the other; both are 0 when they are equal.
 * Small groups, because the rounding of the activations is the only error that these products make; powers of two, because
 * then the sums of both groups can be added as integers: at most 16 * 128 * 127 * (2^ACT_UP + 1) < 2^25 + 2^18.
 * A block that holds NaN or infinity has d = NaN and zeros, so that its products are NaN; one whose numbers are all below
 * ACT_SMALLEST (isa.h) has zeros only. */
enum { ACT_GROUP = 16, ACT_GROUPS = 32 / ACT_GROUP, ACT_UP = 7 };
struct act_block {
    int8_t q[32];
    int32_t shift[ACT_GROUPS]; /* -128 * sum of q: what unsigned weights (w + 128) have too much */
    int32_t up[ACT_GROUPS];
    float d;
    float sum;                 /* d * exact sum of q * 2^up ~ sum of x */
    int32_t base;              /* sum of shift * 2^up */
    int16_t times[ACT_GROUPS]; /* 2^up */
};

/* Block b of 32 k of a panel as integers: w[r][k], and per row a scale for each half of it and what is subtracted.
 *   weight(r, k) = w[r][k] * scale[k / 16][r] - low[k / 16][r] */
struct panel_block {
    int8_t w[PANEL_ROWS][32];
    float scale[2][PANEL_ROWS], low[2][PANEL_ROWS];
};
void panel_block_read(const struct panels *p, uint32_t panel, uint32_t b, struct panel_block *out);

#endif
