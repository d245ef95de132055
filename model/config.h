/* config.h: the hyper-parameters of a decoder-only transformer, validated in one place.
 * Not the weights: model.h binds those.
 * Next: model.h. */
#ifndef PONDER_CONFIG_H
#define PONDER_CONFIG_H

#include "ops/ops.h"
#include "weights/gguf.h"

struct model_config {
    char arch[32];      /* general.architecture, "llama" */
    uint32_t n_layer;   /* 1..1024 */
    uint32_t n_embd;    /* 1..65536 */
    uint32_t n_head;    /* query heads */
    uint32_t n_head_kv; /* key/value heads; divides n_head (grouped-query attention) */
    uint32_t head_dim;  /* a multiple of 8, at most 512 */
    uint32_t n_ff;
    uint32_t n_vocab;
    uint32_t n_ctx;     /* context length the model was trained for */
    uint32_t rope_dim;  /* even, at most head_dim */
    float rope_base, rms_eps;
    enum rope_style rope_style;
};

/* Reads and validates; errors name file, key, value and range. */
enum status config_read(const struct gguf *g, struct model_config *c, struct error *e);
/* The same checks on a config made in memory (`name` for the error text). */
enum status config_check(const struct model_config *c, const char *name, struct error *e);
/* Writes the general.* and <arch>.* keys. */
void config_write(const struct model_config *c, const char *name, struct gguf_writer *w);

#endif
