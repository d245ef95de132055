/* attention.h: paged attention of one segment, one layer, one kv head.  Private to model/.
 * Not the page kernel: ops.h's attend.
 * Next: attention.c. */
#ifndef PONDER_ATTENTION_H
#define PONDER_ATTENTION_H

#include "model/forward.h"

/* Normalises (if the model does) and rotates q (of this kv head's group) and k of the segment's rows, then stores K and V in the pages. */
void attention_store(const struct pass *p, const struct segment *s, uint32_t layer, uint32_t kv_head);
/* Softmax(scale * q K^T) V over the pages of the sequence that the layer sees, causal, into p->heads. */
void attention_read(const struct pass *p, const struct segment *s, uint32_t layer, uint32_t kv_head);

#endif
