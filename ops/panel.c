/* panel.c: packing into panels, and the plain reading back that the scalar product and the tests use.
 * Not fast reading: chunk_lanes.h unpacks whole chunks.
 * Next: scalar.c. */
#include "ops/panel.h"

#include <string.h>

#include "ops/widen.h"

enum panel_layout panel_layout(enum tensor_type type, bool exact) {
    switch (type) {
    case TYPE_F32:
    case TYPE_F16:
    case TYPE_BF16: return PANEL_FLOAT;
    case TYPE_Q8_0:
    case TYPE_Q4_0:
    case TYPE_Q5_0:
    case TYPE_Q4_K:
    case TYPE_Q5_K:
    case TYPE_Q6_K: return exact ? PANEL_FILE : PANEL_INT8;
    default: return PANEL_FILE;
    }
}

/* Bytes of a packed block (of one k of the float types). */
static size_t packed_bytes(enum tensor_type type) {
    const struct type_info *t = type_info(type);
    return t->block_weights == 1 ? PANEL_ROWS * t->block_bytes : panel_block_bytes(type);
}

size_t panel_bytes(enum tensor_type type, enum panel_layout layout, uint32_t rows, uint32_t cols) {
    if (layout == PANEL_FILE) return 0;
    size_t panels = ((size_t)rows + PANEL_ROWS - 1) / PANEL_ROWS;
    return panels * (cols / type_info(type)->block_weights) * packed_bytes(type);
}

/* ---- one block of one row into its places ---- */

/* Value q of weight k (of 32) of a row goes to word k / 4, byte 4 * row + k % 4. */
static void put_nibbles(uint8_t *to, int row, const uint8_t q[32]) {
    for (int k = 0; k < 16; k++) to[k / 4 * 64 + 4 * row + k % 4] = (uint8_t)((q[k] & 15) | (q[k + 16] & 15) << 4);
}

static void put_fifth(uint8_t *to, int row, const uint8_t q[32]) {
    for (int k = 0; k < 32; k++) {
        int at = 4 * row + k % 4;
        uint8_t *byte = to + k / 4 * 8 + at / 8;
        *byte = (uint8_t)((*byte & ~(1 << at % 8)) | (q[k] >> 4 & 1) << at % 8);
    }
}

static void put_high(uint8_t *to, int row, const uint8_t q[32]) {
    for (int k = 0; k < 32; k++) {
        uint8_t *byte = to + k / 16 * 64 + 4 * row + k % 4;
        int shift = k / 4 % 4 * 2;
        *byte = (uint8_t)((*byte & ~(3 << shift)) | (q[k] >> 4 & 3) << shift);
    }
}

static void pack_q8_0(const uint8_t *p, int row, uint8_t *to) {
    memcpy(to + 2 * row, p, 2);
    for (int k = 0; k < 32; k++) to[PANEL_HALVES + k / 4 * 64 + 4 * row + k % 4] = p[2 + k];
}

static void pack_q4_0(const uint8_t *p, int row, uint8_t *to) {
    memcpy(to + 2 * row, p, 2);
    for (int k = 0; k < 16; k++)
        to[PANEL_HALVES + k / 4 * 64 + 4 * row + k % 4] = p[2 + k]; /* the nibbles lie as in the file */
}

static void pack_q5_0(const uint8_t *p, int row, uint8_t *to) {
    uint8_t q[32];
    uint32_t h;
    memcpy(&h, p + 2, sizeof h);
    memcpy(to + 2 * row, p, 2);
    for (int k = 0; k < 32; k++) q[k] = (uint8_t)((p[6 + k % 16] >> k / 16 * 4 & 15) | (h >> k & 1) << 4);
    put_nibbles(to + PANEL_HALVES, row, q);
    put_fifth(to + PANEL_HALVES + PANEL_NIBBLES, row, q);
}

/* Q4_K and Q5_K: their quants begin at `from`, the fifth bits (NULL: none) at `h`. */
static void pack_k(const uint8_t *p, const uint8_t *from, const uint8_t *h, int row, uint8_t *to) {
    const size_t piece = panel_quant_bytes(h ? TYPE_Q5_K : TYPE_Q4_K);
    memcpy(to + 2 * row, p, 2);
    memcpy(to + PANEL_HALVES + 2 * row, p + 2, 2);
    for (int i = 0; i < 8; i++) {
        uint8_t q[32], *block = to + PANEL_K_QUANTS + (size_t)i * piece;
        int s, t;
        widen_k_scale(p + 4, i, &s, &t);
        to[PANEL_K_SCALES + i * PANEL_ROWS + row] = (uint8_t)s;
        to[PANEL_K_SCALES + 128 + i * PANEL_ROWS + row] = (uint8_t)t;
        for (int k = 0; k < 32; k++)
            q[k] = (uint8_t)((from[i / 2 * 32 + k] >> i % 2 * 4 & 15) | (h ? (h[k] >> i & 1) << 4 : 0));
        put_nibbles(block, row, q);
        if (h) put_fifth(block + PANEL_NIBBLES, row, q);
    }
}

static void pack_q6_k(const uint8_t *p, int row, uint8_t *to) {
    const float d = widen_f16(p + 208);
    memcpy(to + 4 * row, &d, 4);
    for (int i = 0; i < 16; i++) to[PANEL_K_SCALES + i * PANEL_ROWS + row] = p[192 + i];
    for (int i = 0; i < 8; i++) {
        uint8_t q[32], *block = to + PANEL_K_QUANTS + (size_t)i * panel_quant_bytes(TYPE_Q6_K);
        const uint8_t *low = p + i / 4 * 64 + i % 2 * 32, *high = p + 128 + i / 4 * 32;
        for (int k = 0; k < 32; k++) q[k] = (uint8_t)((low[k] >> i % 4 / 2 * 4 & 15) | (high[k] >> i % 4 * 2 & 3) << 4);
        put_nibbles(block, row, q);
        put_high(block + PANEL_NIBBLES, row, q);
    }
}

static void pack_block(enum tensor_type type, const uint8_t *p, int row, uint8_t *to) {
    switch (type) {
    case TYPE_F32: memcpy(to + 4 * row, p, 4); break;
    case TYPE_F16:
    case TYPE_BF16: memcpy(to + 2 * row, p, 2); break;
    case TYPE_Q8_0: pack_q8_0(p, row, to); break;
    case TYPE_Q4_0: pack_q4_0(p, row, to); break;
    case TYPE_Q5_0: pack_q5_0(p, row, to); break;
    case TYPE_Q4_K: pack_k(p, p + 16, NULL, row, to); break;
    case TYPE_Q5_K: pack_k(p, p + 48, p + 16, row, to); break;
    case TYPE_Q6_K: pack_q6_k(p, row, to); break;
    default: break;
    }
}

void panel_pack(const struct panels *p, const void *file, size_t row_bytes, uint32_t first, uint32_t end, uint8_t *to) {
    const struct type_info *t = type_info(p->type);
    const size_t n_blocks = p->cols / t->block_weights, size = packed_bytes(p->type);
    for (uint32_t panel = first; panel < end; panel++) {
        uint32_t row0 = panel * PANEL_ROWS, n = p->rows - row0 < PANEL_ROWS ? p->rows - row0 : PANEL_ROWS;
        uint8_t *out = to + panel * p->stride;
        if (n < PANEL_ROWS) memset(out, 0, p->stride);
        for (size_t b = 0; b < n_blocks; b++)
            for (uint32_t r = 0; r < n; r++)
                pack_block(p->type, (const uint8_t *)file + (row0 + r) * row_bytes + b * t->block_bytes, (int)r,
                           out + b * size);
    }
}

/* ---- reading back ---- */

static int nibble(const uint8_t *q, int row, int k) { return q[k % 16 / 4 * 64 + 4 * row + k % 4] >> k / 16 * 4 & 15; }
static int fifth(const uint8_t *h, int row, int k) {
    int at = 4 * row + k % 4;
    return (h[k / 4 * 8 + at / 8] >> at % 8 & 1) << 4;
}
static int high(const uint8_t *h, int row, int k) {
    return (h[k / 16 * 64 + 4 * row + k % 4] >> k / 4 % 4 * 2 & 3) << 4;
}

static void read_k(const struct panels *p, const uint8_t *block, uint32_t b, struct panel_block *out) {
    const bool five = p->type == TYPE_Q5_K;
    const uint8_t *s = block + PANEL_K_SCALES + b % 8 * PANEL_ROWS, *t = s + 128;
    const uint8_t *q = block + PANEL_K_QUANTS + b % 8 * panel_quant_bytes(p->type);
    for (int r = 0; r < PANEL_ROWS; r++) {
        out->scale[0][r] = out->scale[1][r] = widen_f16(block + 2 * r) * (float)s[r];
        out->low[r] = widen_f16(block + PANEL_HALVES + 2 * r) * (float)t[r];
        for (int k = 0; k < 32; k++)
            out->w[r][k] = (int8_t)(nibble(q, r, k) | (five ? fifth(q + PANEL_NIBBLES, r, k) : 0));
    }
}

static void read_q6_k(const uint8_t *block, uint32_t b, struct panel_block *out) {
    const uint8_t *s = block + PANEL_K_SCALES + b % 8 * 2 * PANEL_ROWS;
    const uint8_t *q = block + PANEL_K_QUANTS + b % 8 * panel_quant_bytes(TYPE_Q6_K);
    for (int r = 0; r < PANEL_ROWS; r++) {
        float d;
        memcpy(&d, block + 4 * r, 4);
        for (int h = 0; h < 2; h++) out->scale[h][r] = d * (float)(int8_t)s[h * PANEL_ROWS + r];
        out->low[r] = 0;
        for (int k = 0; k < 32; k++) out->w[r][k] = (int8_t)((nibble(q, r, k) | high(q + PANEL_NIBBLES, r, k)) - 32);
    }
}

static void read_small(enum tensor_type type, const uint8_t *block, struct panel_block *out) {
    const uint8_t *q = block + PANEL_HALVES;
    for (int r = 0; r < PANEL_ROWS; r++) {
        out->scale[0][r] = out->scale[1][r] = widen_f16(block + 2 * r);
        out->low[r] = 0;
        for (int k = 0; k < 32; k++)
            out->w[r][k] = (int8_t)(type == TYPE_Q8_0   ? q[k / 4 * 64 + 4 * r + k % 4]
                                    : type == TYPE_Q4_0 ? nibble(q, r, k) - 8
                                                        : (nibble(q, r, k) | fifth(q + PANEL_NIBBLES, r, k)) - 16);
    }
}

void panel_block_read(const struct panels *p, uint32_t panel, uint32_t b, struct panel_block *out) {
    const uint32_t per = type_info(p->type)->block_weights / 32;
    const uint8_t *block = p->data + panel * p->stride + b / per * panel_block_bytes(p->type);
    if (p->type == TYPE_Q4_K || p->type == TYPE_Q5_K) read_k(p, block, b, out);
    else if (p->type == TYPE_Q6_K) read_q6_k(block, b, out);
    else read_small(p->type, block, out);
}
