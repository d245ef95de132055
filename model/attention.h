/* attention.h: attention of all rows of a pass over the KV pages: planned once per pass, then run for every layer.  Private to
 * model/.
 * Not the page kernel: ops.h's attend.
 * Next: attention_plan.c.
 *
 * Rows of branches that share pages go through those pages together, so that a page is read once for all of them.  The page
 * tables of the segments are a tree; a run is one edge of it: pages, and the segments below.
 *
 *   segment 0: [ 4 ][ 7 ][ 9 ]               runs, parents first:   pages 4 7  segments 0 2 1
 *   segment 1: [ 4 ][ 7 ][ 3 ][ 8 ]                                 page  9    segment  0
 *   segment 2: [ 4 ][ 7 ][ 9'][ 5 ]                                 page  3 8  segment  1     and so on
 *
 * A slot is a query row of one kv head: one position of a segment and one of the heads that share the kv head.  Slots are
 * numbered in the order of the tree, so that every run has a range of them.
 *
 * What a slot computes depends on its own pages only: page after page within chunks of CHUNK positions, and the chunks' states
 * merged in ascending order.  Grouping and the split over threads decide when, never what. */
#ifndef PONDER_ATTENTION_H
#define PONDER_ATTENTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pass;

enum { ATTENTION_CHUNK = 512 }; /* positions; whole pages */

struct attention_run {
    const uint32_t *pages;     /* the page table of one of its segments, from its beginning */
    uint32_t page0, page1;     /* entries of it */
    uint32_t slot0, slot1;     /* before attention_plan is done: places in `order` */
    uint32_t min_end, max_end; /* of its slots */
};

/* Buffers of the engine, written by attention_plan; [n_x]: room for so many. */
struct attention_plan {
    uint32_t *order;             /* [n_segments] segments in the order of the tree */
    uint32_t *slot0;             /* [n_segments] first slot of each of them */
    uint32_t *end;               /* [n_slots] positions that a slot sees: [0, end), or a window before end */
    size_t *q_offset, *o_offset; /* [n_slots] in floats, into pass->qkv and pass->heads, for kv head 0 */
    float *m, *l;                /* [n_head_kv, n_slots] state of the online softmax; the outputs are in pass->heads */
    float *chunk_m, *chunk_l;    /* the same for the chunk under way, and */
    float *chunk_o;              /* [n_rows, n_head * head_dim]; NULL when no context is longer than a chunk */
    struct attention_run *runs;  /* [2 * n_segments] parents before children */
    uint32_t n_segments, n_runs, n_slots, group;
    size_t stride; /* of m and l from one kv head to the next */
};

/* Takes the buffers for passes of max_rows rows.  false: no memory; attention_free cleans up. */
struct model;
bool attention_alloc(struct attention_plan *plan, const struct model *m, uint32_t max_rows, uint32_t max_tokens);
void attention_free(struct attention_plan *plan);
size_t attention_bytes(const struct model *m, uint32_t max_rows, uint32_t max_tokens); /* what attention_alloc takes */

/* The plan of segments [segment0, segment1), in a part of the buffers of `all` that belongs to them. */
struct attention_plan attention_plan(const struct attention_plan *all, const struct pass *p, uint32_t segment0,
                                     uint32_t segment1);

/* Do `count` threads have kv heads of their own?  Then each stores and reads these; else all must have stored before one reads. */
bool attention_by_heads(const struct pass *p, int count);
/* n queries of hd floats, each to integers in its place, as KV_I16 wants them (ops.h). */
void attention_round_queries(float *q, size_t n, size_t hd);
/* Thread `index`'s part: normalises (if the model does) and rotates q and k of the rows, and stores K and V in the pages. */
void attention_store(const struct pass *p, const struct attention_plan *plan, uint32_t layer, int index, int count);
/* Thread `index`'s part: softmax(scale * q K^T) V over the pages that the layer sees, causal, into p->heads. */
void attention_read(const struct pass *p, const struct attention_plan *plan, uint32_t layer, int index, int count);

#endif
