/* net_layout.h: where each tensor of a trainable net sits in its table.  Private to model/net*.c and their tests.
 * Not a public seam.
 * Next: net_pass.c. */
#ifndef PONDER_NET_LAYOUT_H
#define PONDER_NET_LAYOUT_H

#include "model/net.h"

enum net_slot { ATTN_NORM, ATTN_Q, ATTN_K, ATTN_V, ATTN_OUTPUT, FFN_NORM, FFN_GATE, FFN_UP, FFN_DOWN, TENSORS_PER_LAYER };

static inline size_t net_layer_offset(const struct net *n, uint32_t layer, enum net_slot slot) {
    return n->tensors[1 + layer * (size_t)TENSORS_PER_LAYER + slot].offset;
}
static inline size_t net_final_norm(const struct net *n) {
    return n->tensors[1 + n->config.n_layer * (size_t)TENSORS_PER_LAYER].offset;
}
/* Value head: n_embd weights, then one bias. */
static inline size_t net_value_head(const struct net *n) { return net_final_norm(n) + n->config.n_embd; }

#endif
