/* panel.c: packing into panels, and the plain reading back that the scalar product and the tests use.
 * Not fast reading: chunk_lanes.h unpacks whole chunks.
 * Next: scalar.c. */
#include "ops/panel.h"

#include <string.h>

#include "ops/block.h"

/* What four bits stand for.  IQ4: denser around zero, as weights are.  FP4: twice a sign, two bits of exponent and one
 * of mantissa.  The others: coordinates of the points of lattice.c with both signs; IQ1's eight times, plus or minus 1.
 * */
/* clang-format off */
static const int8_t codes_iq4[16]  = {-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};
static const int8_t codes_fp4[16]  = {0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12};
static const int8_t codes_iq3[16]  = {1, 3, 5, 7, 9, 11, 13, 15, -1, -3, -5, -7, -9, -11, -13, -15};
static const int8_t codes_iq3x[16] = {4, 12, 20, 28, 36, 44, 52, 62, -4, -12, -20, -28, -36, -44, -52, -62};
static const int8_t codes_iq2[16]  = {8, 25, 43, 0, 0, 0, 0, 0, -8, -25, -43, 0, 0, 0, 0, 0};
static const int8_t codes_iq1[16]  = {-7, 1, 9, 0, 0, 0, 0, 0, -9, -1, 7, 0, 0, 0, 0, 0};

static const struct packing packings[TYPE_COUNT] = {
    [TYPE_Q8_0]    = {FORM_8, 32, NULL},
    [TYPE_Q4_0]    = {FORM_4, 32, NULL},
    [TYPE_Q4_1]    = {FORM_4_LOW, 32, NULL},
    [TYPE_Q5_0]    = {FORM_5, 32, NULL},
    [TYPE_Q5_1]    = {FORM_5_LOW, 32, NULL},
    [TYPE_IQ4_NL]  = {FORM_CODES, 32, codes_iq4},
    [TYPE_MXFP4]   = {FORM_SMALL_CODES, 32, codes_fp4},
    [TYPE_Q2_K]    = {FORM_2_LOW, 256, NULL},
    [TYPE_Q3_K]    = {FORM_3_HALVES, 256, NULL},
    [TYPE_Q4_K]    = {FORM_4_LOW, 256, NULL},
    [TYPE_Q5_K]    = {FORM_5_LOW, 256, NULL},
    [TYPE_Q6_K]    = {FORM_6_HALVES, 256, NULL},
    [TYPE_IQ4_XS]  = {FORM_CODES, 256, codes_iq4},
    [TYPE_TQ1_0]   = {FORM_2, 256, NULL},
    [TYPE_TQ2_0]   = {FORM_2, 256, NULL},
    [TYPE_IQ3_S]   = {FORM_CODES, 256, codes_iq3},
    [TYPE_IQ3_XXS] = {FORM_CODES, 256, codes_iq3x},
    [TYPE_IQ2_XXS] = {FORM_CODES, 256, codes_iq2},
    [TYPE_IQ2_XS]  = {FORM_CODES_HALVES, 256, codes_iq2},
    [TYPE_IQ2_S]   = {FORM_CODES_HALVES, 256, codes_iq2},
    [TYPE_IQ1_S]   = {FORM_CODES, 256, codes_iq1},
    [TYPE_IQ1_M]   = {FORM_CODES_HALVES, 256, codes_iq1},
};
/* clang-format on */

const struct packing *packing_of(enum tensor_type type) { return packings[type].span ? &packings[type] : NULL; }

enum panel_layout panel_layout(enum tensor_type type, bool exact) {
    return !packing_of(type) ? PANEL_FLOAT : exact ? PANEL_FILE : PANEL_INT8;
}

/* k of a packed block, and its bytes (of one k of the float types). */
static size_t packed_span(enum tensor_type type) { return packing_of(type) ? packing_of(type)->span : 1; }
static size_t packed_bytes(enum tensor_type type) {
    return packing_of(type) ? block_bytes(packing_of(type)) : PANEL_ROWS * type_info(type)->block_bytes;
}

size_t panel_bytes(enum tensor_type type, enum panel_layout layout, uint32_t rows, uint32_t cols) {
    if (layout == PANEL_FILE) return 0;
    const size_t panels = ((size_t)rows + PANEL_ROWS - 1) / PANEL_ROWS;
    return panels * (cols / packed_span(type)) * packed_bytes(type);
}

/* ---- the planes: where the bits of weight k (of 32) of a row are ---- */

struct place {
    size_t byte;
    int shift;
};
static inline struct place place_of(int bits, int row, int k) {
    const int word = k / 4, at = 4 * row + k % 4; /* byte of the word */
    switch (bits) {
    case 8: return (struct place){(size_t)(word * 64 + at), 0};
    case 4: return (struct place){(size_t)(word % 4 * 64 + at), word / 4 * 4};
    case 2: return (struct place){(size_t)(word / 4 * 64 + at), word % 4 * 2};
    default: return (struct place){(size_t)(word * 8 + at / 8), at % 8};
    }
}

/* Bits `shift` and up of 32 stored integers of a row; the four k of a word go at once. */
static inline void put_words(uint8_t *to, int bits, int row, const int8_t q[32], int shift) {
    uint32_t w[8];
    memcpy(w, q, sizeof w);
    for (int i = 0; i < 8; i++) w[i] = w[i] >> shift & 0x01010101u * ((1u << bits) - 1);
    for (int piece = 0; piece < (bits == 1 ? 0 : bits); piece++) {
        uint32_t all = 0;
        for (int i = 0; i < 8; i++) {
            const struct place at = place_of(bits, 0, 4 * i);
            all |= at.byte / 64 == (size_t)piece ? w[i] << at.shift : 0;
        }
        memcpy(to + piece * 64 + 4 * row, &all, sizeof all);
    }
    for (int i = 0; i < (bits == 1 ? 8 : 0); i++) { /* the product moves bit 0 of byte j to bit 24 + j */
        const struct place at = place_of(1, row, 4 * i);
        to[at.byte] = (uint8_t)((to[at.byte] & ~(15 << at.shift)) | (int)(w[i] * 0x01020408u >> 24 & 15) << at.shift);
    }
}
/* Compiled for each number of bits: every weight of a model passes here when it is loaded. */
static void plane_put(uint8_t *to, int bits, int row, const int8_t q[32], int shift) {
    switch (bits) {
    case 8: put_words(to, 8, row, q, 0); return;
    case 4: put_words(to, 4, row, q, 0); return;
    case 2: put_words(to, 2, row, q, shift); return;
    default: put_words(to, 1, row, q, shift); return;
    }
}

static int plane_get(const uint8_t *from, int bits, int row, int k) {
    const struct place at = place_of(bits, row, k);
    return from[at.byte] >> at.shift & ((1 << bits) - 1);
}

/* ---- one block of one row into its places ---- */

static void put_half(uint8_t *to, int row, uint16_t half) { memcpy(to + 2 * row, &half, sizeof half); }

/* d as bf16 is exact where it is a power of two. */
static void put_scales(const struct packing *k, const struct parts *b, int row, uint8_t *to) {
    const struct form_info *f = &forms[k->form];
    if (k->span == 256 && !f->low) memcpy(to + 4 * row, &b->d, sizeof b->d);
    else put_half(to, row, k->form == FORM_SMALL_CODES ? f32_to_bf16(b->d) : f32_to_f16(b->d));
    if (f->low) put_half(to + PANEL_HALVES, row, f32_to_f16(b->m));
    if (k->span == 32) return;
    const int n = f->halves ? 16 : 8;
    for (int i = 0; i < n; i++) {
        uint8_t *s = to + PANEL_K_SCALES + i * PANEL_ROWS + row;
        s[0] = (uint8_t)b->s[i * 16 / n];
        if (f->low) s[n * PANEL_ROWS] = (uint8_t)b->t[i * 16 / n];
    }
}

static void put_block(const struct packing *k, const struct parts *b, int row, uint8_t *to) {
    const struct form_info *f = &forms[k->form];
    put_scales(k, b, row, to);
    to += block_header(k);
    for (int i = 0; i < k->span / 32; i++, to += quants_bytes(k->form)) {
        plane_put(to, f->bits, row, b->q + 32 * i, 0);
        if (f->more) plane_put(to + plane_bytes(f->bits), f->more, row, b->q + 32 * i, f->bits);
    }
}

void panel_pack(const struct panels *p, const void *file, size_t row_bytes, uint32_t first, uint32_t end, uint8_t *to) {
    const struct type_info *t = type_info(p->type);
    const struct packing *k = packing_of(p->type);
    const size_t n_blocks = p->cols / t->block_weights, size = packed_bytes(p->type);
    struct parts b;
    for (uint32_t panel = first; panel < end; panel++) {
        uint32_t row0 = panel * PANEL_ROWS, n = p->rows - row0 < PANEL_ROWS ? p->rows - row0 : PANEL_ROWS;
        uint8_t *out = to + panel * p->stride;
        if (n < PANEL_ROWS) memset(out, 0, p->stride);
        for (size_t i = 0; i < n_blocks; i++, out += size)
            for (uint32_t r = 0; r < n; r++) {
                const uint8_t *from = (const uint8_t *)file + (row0 + r) * row_bytes + i * t->block_bytes;
                if (k) block_parts(p->type, from, &b), put_block(k, &b, (int)r, out);
                else if (p->type == TYPE_F32) memcpy(out + 4 * r, from, 4);
                else memcpy(out + 2 * r, from, 2);
            }
    }
}

/* ---- reading back ---- */

static float scale_at(const struct packing *k, const uint8_t *block, int row) {
    float d;
    if (k->span == 256 && !forms[k->form].low) return memcpy(&d, block + 4 * row, sizeof d), d;
    const uint16_t half = read_u16(block + 2 * row);
    return k->form == FORM_SMALL_CODES ? bf16_to_f32(half) : f16_to_f32(half);
}

void panel_block_read(const struct panels *p, uint32_t panel, uint32_t b, struct panel_block *out) {
    const struct packing *k = packing_of(p->type);
    const struct form_info *f = &forms[k->form];
    const uint32_t per = k->span / 32, n = f->halves ? 2 : 1; /* scales of 32 k */
    const uint8_t *block = p->data + panel * p->stride + b / per * block_bytes(k);
    const uint8_t *q = block + block_header(k) + b % per * quants_bytes(k->form);
    for (int r = 0; r < PANEL_ROWS; r++) {
        for (uint32_t h = 0; h < 2; h++) {
            const uint8_t *s = block + PANEL_K_SCALES + (b % per * n + h % n) * PANEL_ROWS + r;
            const uint8_t *t = s + 8 * n * PANEL_ROWS;
            out->scale[h][r] = scale_at(k, block, r) * (k->span == 256 ? (float)(int8_t)*s : 1);
            out->low[h][r] = f->low ? read_f16(block + PANEL_HALVES + 2 * r) * (k->span == 256 ? (float)*t : 1) : 0;
        }
        for (int i = 0; i < 32; i++) {
            const int more = f->more ? plane_get(q + plane_bytes(f->bits), f->more, r, i) << f->bits : 0;
            const int stored = plane_get(q, f->bits, r, i) | more;
            out->w[r][i] = (int8_t)(f->bits == 8 ? stored : packing_value(k, stored));
        }
    }
}
