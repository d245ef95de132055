/* kernels_neon_i8mm.c: the matrix products compiled for AArch64 with i8mm: chunks meet two tokens at a time by smmla.
 * Not the products of one or two tokens, nor of floats: they stay as for dotprod, panel_lanes.h over lanes16_neon.h.
 * Next: panel_lanes.h.
 *
 * smmla adds 2 rows x 8 k of weights times 8 k x 2 tokens, and a group of activations is 16 k: two smmla make the four sums of
 * a group, [row][token], that take four sdot (four rows of one token).  For this a chunk is [k/8][16][8].
 * Totals over a scale's k are parted into tokens, so that sums lie and add up as in int_tile. */
#include "ops/lanes16_neon.h"

/* Words i and i + 1 (i even) side by side in each row: rows 0..7, and in the place of word i + 1 rows 8..15. */
INLINE words words_paired(enum form form, const uint8_t *q, const uint8_t *more, int i, codebook codes) {
    int32x4_t v[2][2];
    UNROLL
    for (int h = 0; h < 2; h++) {
        UNROLL
        for (int k = 0; k < 2; k++)
            v[h][k] = vreinterpretq_s32_s8(quarter_unpack(form, q, more, i / 2 * 2 + k, i % 2 * 2 + h, codes));
    }
    return (words){
        vreinterpretq_s8_s32(vzip1q_s32(v[0][0], v[0][1])), vreinterpretq_s8_s32(vzip2q_s32(v[0][0], v[0][1])),
        vreinterpretq_s8_s32(vzip1q_s32(v[1][0], v[1][1])), vreinterpretq_s8_s32(vzip2q_s32(v[1][0], v[1][1]))};
}

#define CHUNK_WORDS words_paired
#include "ops/chunk_lanes.h"

/* Half h (8 bytes) of a, then of b: 8 k of two tokens. */
INLINE int8x16_t halves(int8x16_t a, int8x16_t b, size_t h) {
    const int64x2_t x = vreinterpretq_s64_s8(a), y = vreinterpretq_s64_s8(b);
    return vreinterpretq_s8_s64(h ? vzip2q_s64(x, y) : vzip1q_s64(x, y));
}

/* The four sums of a group (its 8 k at rows, and those BLOCK_WORDS / 4 behind). */
INLINE int32x4_t sums_of_pairs(const uint8_t *rows, const int8x16_t *tokens) {
    const int32x4_t s = vmmlaq_s32(vdupq_n_s32(0), bytes_load(rows), tokens[0]);
    return vmmlaq_s32(s, bytes_load(rows + BLOCK_WORDS / 4), tokens[1]);
}

/* Token c of [row][token]. */
INLINE int32x4_t token_of(const int32x4_t *s, size_t c) { return c ? vuzp2q_s32(s[0], s[1]) : vuzp1q_s32(s[0], s[1]); }
INLINE f32x16 token_of_pairs(const int32x4_t *s, size_t c) {
    return f32x16_of((i32x16){token_of(s, c), token_of(s + 2, c), token_of(s + 4, c), token_of(s + 6, c)});
}

/* int_tile from a chunk for two tokens; for one it is multiplied twice.  32 k take 173 instructions where sdot takes 211 to
 * 215, with low 187 and 223 to 229, with halves 204 and 231 (gcc 12; asking ahead apart). */
INLINE void pair_tile(enum form form, struct chunk *w, const struct packing *packing, const struct tile *to,
                      size_t n_columns) {
    const struct form_info *f = &forms[form];
    const size_t n_blocks = to->n_blocks;
    const struct act_block *a = to->a, *z = a + (n_columns - 1) * to->ld;
    float *sums = to->sums;
    (void)packing;
    f32x16 sum[INT_COLUMNS];
    UNROLL
    for (size_t c = 0; c < n_columns; c++) sum[c] = f32x16_load(sums + c * PANEL_ROWS);
    for (size_t b = 0; b < n_blocks; b++, a++, z++) {
        ahead_ask(&w->next, true);
        const int32x2_t ups[2] = {vld1_s32(a->up), vld1_s32(z->up)};
        int32x4_t total[PANEL_ROWS / 2];
        f32x16 t[INT_COLUMNS];
        UNROLL
        for (size_t g = 0; g < ACT_GROUPS; g++) {
            const int8x16_t qa = vld1q_s8(a->q + g * ACT_GROUP), qz = vld1q_s8(z->q + g * ACT_GROUP);
            const int8x16_t q[2] = {halves(qa, qz, 0), halves(qa, qz, 1)};
            const int32x2_t up = g ? vzip2_s32(ups[0], ups[1]) : vzip1_s32(ups[0], ups[1]);
            const int32x4_t by = vcombine_s32(up, up);
            UNROLL
            for (size_t r = 0; r < PANEL_ROWS / 2; r++) {
                const int32x4_t s = vshlq_s32(sums_of_pairs(w->w + b * BLOCK_WORDS + g * 4 * WORD + r * 16, q), by);
                total[r] = g && !f->halves ? vaddq_s32(total[r], s) : s;
            }
            if (!f->halves) continue;
            const f32x16 scale = f32x16_load(w->scale[2 * b + g]);
            UNROLL
            for (size_t c = 0; c < n_columns; c++) {
                const f32x16 s = token_of_pairs(total, c);
                t[c] = g ? f32x16_fma(s, scale, t[c]) : f32x16_mul(s, scale);
            }
        }
        UNROLL
        for (size_t c = 0; c < n_columns; c++) {
            const struct act_block *x = c ? z : a;
            if (f->halves) {
                for (size_t g = 0; g < ACT_GROUPS && f->low; g++) {
                    const float too_much = (float)(x->shift[g] * x->times[g]);
                    t[c] = f32x16_fma_all(f32x16_load(w->low[2 * b + g]), &too_much, t[c]);
                }
                sum[c] = f32x16_fma_all(t[c], &x->d, sum[c]);
                continue;
            }
            sum[c] = f32x16_fma(f32x16_mul_all(token_of_pairs(total, c), &x->d), f32x16_load(w->scale[b]), sum[c]);
            if (f->low) sum[c] = f32x16_fnma_all(f32x16_load(w->low[b]), &x->sum, sum[c]);
        }
    }
    UNROLL
    for (size_t c = 0; c < n_columns; c++) f32x16_store(sums + c * PANEL_ROWS, sum[c]);
}

#define CHUNK_TILE pair_tile
#include "ops/panel_lanes.h"

void ops_fill_neon_i8mm(struct ops *t) {
    t->name = "neon-i8mm";
    t->matmul = matmul;
}
