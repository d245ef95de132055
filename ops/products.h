/* products.h: what products of integers and of floats share: batches of tokens, panels one after the other, sums to their places.
 * Not the products: int_lanes.h, float_lanes.h.
 * Next: int_lanes.h. */
#ifndef PONDER_PRODUCTS_H
#define PONDER_PRODUCTS_H

#include <string.h>

#include "ops/chunk_lanes.h"

enum {
    BATCH_BYTES = 1 << 19, /* of activations that go through all panels together: they stay in the second-level cache */
    BATCH_MAX = 128,       /* tokens of it at most */
    BATCH_MIN = 24,
};

/* Runs ONE(width, ..) with j_ the first token of a tile and its width a constant: one of WIDTHS, which lists all up to `most`.  As
 * many full tiles as fit, in pieces of nearly equal width. */
#define TILES(n, most, WIDTHS, ONE)                                                                                    \
    for (size_t j_ = 0, left_ = (n), width_; left_; j_ += width_, left_ -= width_) {                                   \
        size_t pieces_ = (left_ + (most)-1) / (most);                                                                  \
        width_ = (left_ + pieces_ - 1) / pieces_;                                                                      \
        switch (width_) { WIDTHS(ONE) }                                                                                \
    }

/* Which part of y a call makes. */
struct part {
    float *y;
    size_t ldy;
    uint32_t row1; /* the rows end here */
};

/* 16 sums of n tokens to y; the last panel may hold fewer rows. */
INLINE void put_sums(const struct part *to, uint32_t row, size_t j, const float *sums, size_t ld_sums, size_t n) {
    const size_t rows = to->row1 - row < PANEL_ROWS ? to->row1 - row : PANEL_ROWS;
    for (size_t c = 0; c < n; c++) {
        float *y = to->y + (j + c) * to->ldy + row;
        if (rows == PANEL_ROWS) f32x16_store(y, f32x16_load(sums + c * ld_sums));
        else memcpy(y, sums + c * ld_sums, rows * sizeof *y);
    }
}

INLINE const uint8_t *panel_at(const struct panels *p, uint32_t row) { return p->data + row / PANEL_ROWS * p->stride; }

/* The panel whose part from *k on follows in a product of n_panels at a time: the same one, or (at the end of its k, then
 * *k is 0) the one so many further; NULL: none. */
INLINE const uint8_t *panel_next(const struct panels *p, uint32_t row, uint32_t row1, uint32_t n_panels, size_t end,
                                 size_t *k) {
    if (*k == end) *k = 0, row += n_panels * PANEL_ROWS;
    return row < row1 ? panel_at(p, row) : NULL;
}

INLINE size_t batch_of(size_t bytes) {
    size_t n = BATCH_BYTES / (bytes + 1);
    return n > BATCH_MAX ? BATCH_MAX : n < BATCH_MIN ? BATCH_MIN : n / 8 * 8;
}

#endif
