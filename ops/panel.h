/* panel.h: weights and activations in the layout that the products want.
 * Not the products: ops.h.  Not the layout of the blocks in files: widen.h.
 * Next: panel.c, which packs; panel_lanes.h, from where products go on.
 *
 *   panel   = 16 rows of a matrix, interleaved so that one vector load brings the same few k of all of them: lane = row,
 *             and neither a shuffle nor a horizontal sum is left in the loops.  Rows missing in the last panel are zeros.
 *   block   = 32 consecutive k of a panel, or 256 for the K types.
 *   words   = 16 rows x 4 consecutive k: [16][4], the unit of the integer kernels.
 *
 *   layout of a panel, blocks in ascending k:
 *     F32, F16, BF16   [cols][16] numbers
 *     Q8_0   d f16[16], q int8: 8 words
 *     Q4_0   d f16[16], q: 4 x 64 bytes; byte i of piece p: word p below, word p + 4 above, both at i; weight (q - 8) d
 *     Q5_0   d f16[16], q as Q4_0, then the fifth bits: 8 x 64 bits, bit i of piece p for byte i of word p; (q - 16) d
 *     Q4_K   d f16[16], m f16[16], s u8[8][16], t u8[8][16], then 8 x q as Q4_0; weight q s d - t m
 *     Q5_K   d, m, s, t as Q4_K, then 8 x (q, fifth bits) as Q5_0
 *     Q6_K   d f32[16], s int8[16][16], then 8 x (q as Q4_0, high bits: 2 x 64 bytes; two bits at 2(w % 4) of byte i of
 *            piece w / 4 for byte i of word w); weight (q - 32) s d, a scale for 16 k
 *     others, and all quantised types when activations stay f32: the rows of the file as they are
 * Every packed block has the size it has in the file, but for 4 bytes a row of Q4_K and Q5_K (scales a byte each), and 2 of Q6_K,
 * whose words so begin at multiples of 64 bytes. */
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

enum {
    PANEL_HALVES = PANEL_ROWS * 2, /* bytes of sixteen f16 */
    PANEL_NIBBLES = 256,           /* of four bits each of 32 k, */
    PANEL_FIFTH = 64,              /* their fifth bits, */
    PANEL_HIGH = 128,              /* their fifth and sixth */
    PANEL_K_SCALES = 2 * PANEL_HALVES,
    PANEL_K_QUANTS = PANEL_K_SCALES + 256 /* where a block of 256 k has s, and q */
};

/* Is a block of the type 32 k? */
static inline bool panel_short(enum tensor_type type) {
    return type == TYPE_Q8_0 || type == TYPE_Q4_0 || type == TYPE_Q5_0;
}
/* Bytes of the quants of 32 k; of a quantised block. */
static inline size_t panel_quant_bytes(enum tensor_type type) {
    return type == TYPE_Q8_0                        ? PANEL_ROWS * 32
           : type == TYPE_Q5_0 || type == TYPE_Q5_K ? PANEL_NIBBLES + PANEL_FIFTH
           : type == TYPE_Q6_K                      ? PANEL_NIBBLES + PANEL_HIGH
                                                    : PANEL_NIBBLES;
}
static inline size_t panel_block_bytes(enum tensor_type type) {
    return panel_short(type) ? PANEL_HALVES + panel_quant_bytes(type) : PANEL_K_QUANTS + 8 * panel_quant_bytes(type);
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
 *   weight(r, k) = w[r][k] * scale[k / 16][r] - low[r] */
struct panel_block {
    int8_t w[PANEL_ROWS][32];
    float scale[2][PANEL_ROWS], low[PANEL_ROWS];
};
void panel_block_read(const struct panels *p, uint32_t panel, uint32_t b, struct panel_block *out);

#endif
