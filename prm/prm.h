/* prm.h: process reward models: keys of our own kind, step values, aggregation over a chain.
 * Not how models of other kinds are asked: reader.h.
 * Next: reader.h; train/labels.h for how one is made.
 *
 * File of kind "value": an ordinary model with the keys prm.kind = "value", prm.step_token_id, prm.aggregation, and in place of the LM head the
 * tensors prm.head.weight [1, n_embd] and prm.head.bias [1].  value of a step = sigmoid(head . hidden) at the step's
 * last token (separator or end token). */
#ifndef PONDER_PRM_H
#define PONDER_PRM_H

#include "model/engine.h"

/* How step values become the value of a chain (SEARCH.md C.0). */
enum prm_agg { AGG_LAST, AGG_MIN, AGG_PRODUCT, AGG_MEAN };
/* "last", "min", "product", "mean"; false when unknown. */
bool prm_agg_from_name(const char *name, enum prm_agg *out);
const char *prm_agg_name(enum prm_agg a);

/* Running aggregate of a chain; copied when a branch is forked.  Start: all zero. */
struct prm_chain {
    uint32_t n_steps;
    float last, min, product;
    double sum;
};
void prm_chain_add(struct prm_chain *c, float step_value);
float prm_chain_value(const struct prm_chain *c, enum prm_agg agg); /* an empty chain: 0.5 */

/* The key prm.aggregation of any reward model; `otherwise` when there is none. */
enum status prm_agg_read(const struct gguf *file, enum prm_agg otherwise, enum prm_agg *out, struct error *e);

/* What the keys of a model of kind "value" say.  ERR_INPUT when it is none. */
struct prm_info {
    enum prm_agg agg;
    int32_t step_token; /* separator that ends a step */
};
enum status prm_info_read(const struct model *m, struct prm_info *out, struct error *e);
/* Writes those keys. */
void prm_info_write(const struct prm_info *info, struct gguf_writer *w);

/* Outputs of a reward engine (one float per position) to values in [0,1]; NaN becomes 0. */
float prm_value(float output);

#endif
