/* forward.h: one pass over any mix of rows.  Private to model/ and its tests.
 * Not the queue of requests: engine.c.
 * Next: forward.c. */
#ifndef PONDER_FORWARD_H
#define PONDER_FORWARD_H

#include "model/attention.h"
#include "model/engine.h"
#include "model/pace.h"

/* Rows [first, first + n) of a pass belong to one sequence, at positions [pos, pos + n). */
struct segment {
    uint32_t seq, first, n, pos;
};

/* From one row of activations to the next, in floats and in blocks: rows a multiple of 4 KB apart would share cache sets. */
static inline size_t row_ld(size_t cols) { return cols + 16; }
static inline size_t row8_ld(size_t cols) { return cols / 32 + 1; }

/* Below this, weights stay in the cores' caches and every thread may read all of them. */
enum { SMALL_MODEL_BYTES = 8 << 20 };

/* A row whose output is wanted. */
struct output {
    uint32_t row;
    float *to; /* [n_out] */
};

/* One pass.  Buffers belong to the engine, sized for max_rows. */
struct pass {
    const struct model *model;
    const struct kv *kv;
    const float
        *rope[N_LAYER_ROPES]; /* [max_tokens, rope_dim/2, 2] cosines and sines by enum layer_rope; ROPE_OFF: NULL */
    const int32_t *tokens;    /* [n_rows] */
    struct segment *segments;
    struct output *outputs;
    uint32_t n_rows, n_segments, n_outputs;
    float *x;     /* [n_rows, n_embd] residual stream */
    float *norm;  /* [n_rows, row_ld(n_embd)] */
    float *qkv;   /* [n_rows, (n_head + 2 n_head_kv) * head_dim] */
    float *heads; /* [n_rows, row_ld(n_head * head_dim)] attention output */
    float *ff;    /* [n_rows, row_ld(2 n_ff)] gate, up */
    /* The same as int8, a token's blocks one after another; NULL when no matrix wants them. */
    struct act_block *norm8, *heads8, *ff8; /* [n_rows, row8_ld(..)] of n_embd, n_head * head_dim, n_ff */
    float *delta;                           /* [n_rows, n_embd] what a block adds to x */
    struct attention_plan attention;        /* the buffers; and by weights the plan */
    struct pace pace;
    bool always_share; /* do not ask it */
};

/* Runs the pass on a team in the way that was the fastest lately; branches may be split over threads (no barriers) when there are
 * enough of them and the weights are small, the rows of weights (barriers) always.  The bits do not depend on the choice. */
void forward_run(struct pass *p, struct team *team);

#endif
