/* rope.h: the angles of rotary position embedding, for all positions.  Private to model/.
 * Not the rotation: ops.h's rope.
 * Next: rope.c. */
#ifndef PONDER_ROPE_H
#define PONDER_ROPE_H

#include "model/model.h"

/* table: [max_tokens, rope_dim/2, 2] cosine and sine.  angle = pos * base^(-2i/rope_dim) / factor[i], then scaled as
 * config.h's rope_scaling says; `local`: of window layers, with their base and no scaling.  Contexts past n_ctx_orig take
 * the long factors, if the model has two sets. */
void rope_fill(const struct model *m, bool local, uint32_t max_tokens, float *table);

#endif
