/* attend_block.h: the tiles of attention: up to MAX_ROWS rows go together through BLOCK pages at a time.
 * Not what happens to them: attend_lanes.h for pages of floats, attend_i16_lanes.h for pages of integers.
 * Next: attend_lanes.h. */
#ifndef PONDER_ATTEND_BLOCK_H
#define PONDER_ATTEND_BLOCK_H

#include <assert.h>
#include <math.h>

#include "ops/isa.h"

enum { MAX_ROWS = 6, BLOCK = 4, BLOCK_CELLS = BLOCK * KV_PAGE };

/* Lines of the pages that will be wanted next, asked for in pieces: [from, end) in a page, then the `left` pages at `page`. */
struct pages_ahead {
    const char *from, *end;
    const uint32_t *page;
    size_t left, lines; /* of a piece */
};

struct block {
    struct pages_ahead ahead;
    const char *k[BLOCK], *v[BLOCK];
    size_t n_pages;
    size_t row[MAX_ROWS];                  /* index in attend_args of each row */
    size_t begin[MAX_ROWS], end[MAX_ROWS]; /* cells of the block that it sees, never none */
    float *o[MAX_ROWS];
    unsigned rescale;                            /* bit g: some row's maximum grows in page g */
    _Alignas(64) float s[MAX_ROWS][BLOCK_CELLS]; /* scores, then weights */
    _Alignas(32) float c[MAX_ROWS][8];           /* correction of o and l before page g */
};

INLINE size_t smaller(size_t a, size_t b) { return a < b ? a : b; }

/* Sees row i a cell of the n cells from position `first` on?  Then b takes it in. */
INLINE bool take_row(const struct attend_args *a, struct block *b, size_t at, size_t i, uint32_t first, size_t n) {
    uint32_t end = a->end[i], begin = a->window && end > a->window ? end - a->window : 0;
    if (end <= first || begin >= first + n) return false;
    b->row[at] = i;
    b->begin[at] = begin > first ? begin - first : 0;
    b->end[at] = smaller(end - first, n);
    return true;
}

/* Bytes of K and V of one kv head in a page: V follows K. */
INLINE size_t kv_bytes(const struct attend_args *a) { return 2 * (size_t)((const char *)a->v - (const char *)a->k); }

/* The next pages, to be asked for in n_pieces: all at once they would wait for one another.  A page of one kv head lies far from
 * the next: too short for the hardware to see where the reading goes. */
INLINE struct pages_ahead pages_ahead_of(const struct attend_args *a, size_t n_pieces) {
    return (struct pages_ahead){NULL, NULL, a->next, a->n_next, a->n_next * kv_bytes(a) / 64 / n_pieces + 1};
}
/* For a piece.  It stands between the products of the scores. */
INLINE void ask_for_next(const struct attend_args *a, struct pages_ahead *of) {
    for (size_t i = 0; i < of->lines; i++, of->from += 64) {
        if (of->from >= of->end) {
            if (!of->left) return;
            of->from = (const char *)a->k + *of->page++ * a->page_bytes;
            of->end = of->from + kv_bytes(a);
            of->left--;
        }
        __builtin_prefetch(of->from, 0, 2);
    }
}

/* attend_block(a, b, n) for n rows (from 1 to MAX_ROWS), each of which sees at least one cell of the block. */
typedef void block_fn(const struct attend_args *a, struct block *b, size_t n_rows);

INLINE void attend_blocks(const struct attend_args *a, block_fn *attend_block) {
    assert(a->head_dim % 8 == 0 && a->head_dim <= HEAD_DIM_MAX);
    struct block b;
    b.ahead = pages_ahead_of(a, (a->n_rows / MAX_ROWS + 1) * a->head_dim / 2);
    for (size_t i = 0, tile; i < a->n_rows; i += tile) {
        size_t left = a->n_rows - i, tiles = (left + MAX_ROWS - 1) / MAX_ROWS;
        tile = (left + tiles - 1) / tiles; /* 7 rows are 4 and 3 */
        for (size_t page = 0; page < a->n_pages; page += BLOCK) {
            size_t n = 0;
            b.n_pages = smaller(a->n_pages - page, BLOCK);
            for (size_t g = 0; g < b.n_pages; g++) {
                b.k[g] = (const char *)a->k + a->pages[page + g] * a->page_bytes;
                b.v[g] = (const char *)a->v + a->pages[page + g] * a->page_bytes;
            }
            for (size_t r = i; r < i + tile; r++)
                n += take_row(a, &b, n, r, a->first + (uint32_t)(page * KV_PAGE), b.n_pages * KV_PAGE);
            for (size_t r = 0; r < n; r++) b.o[r] = a->o + a->o_offset[b.row[r]];
            b.rescale = 0;
            switch (n) { /* each its own code, with all loops over rows unrolled */
            case 1: attend_block(a, &b, 1); break;
            case 2: attend_block(a, &b, 2); break;
            case 3: attend_block(a, &b, 3); break;
            case 4: attend_block(a, &b, 4); break;
            case 5: attend_block(a, &b, 5); break;
            case 6: attend_block(a, &b, 6); break;
            default: break;
            }
        }
    }
}

#endif
