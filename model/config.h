/* config.h: the hyper-parameters of a decoder-only transformer, validated in one place.
 * Not the weights: model.h binds those.
 * Next: model.h. */
#ifndef PONDER_CONFIG_H
#define PONDER_CONFIG_H

#include "ops/ops.h"
#include "weights/gguf.h"

enum { MAX_LAYERS = 1024 };

struct arch; /* arch.h */

/* How RoPE's angles differ from pos * base^(-2i/rope_dim); all zero: not at all. */
struct rope_scaling {
    float freq_scale;  /* angles are multiplied by it; 0: 1 */
    float magnitude;   /* cosines and sines are multiplied by it; 0: 1 */
    float yarn;        /* above 0: YaRN (Peng et al. 2023): how far high frequencies stay unscaled, mostly 1 */
    float beta_fast, beta_slow; /* turns within n_ctx_orig where its ramp begins and ends */
    uint32_t n_ctx_orig;        /* context before it was stretched */
    /* What yarn and magnitude come from, by config_set_rope */
    bool is_yarn;
    float ext_factor, attn_factor, all_factor, log_multiplier; /* ext_factor below 0: not said */
};

/* What a caller wants of RoPE instead of what the file says, as llama.cpp's flags of these names. */
struct rope_options {
    const char *scaling;                                  /* none, linear or yarn; NULL: as the file */
    double scale, freq_base, freq_scale; /* 0: as the file; scale is 1 / freq_scale */
    int64_t orig_ctx;                    /* the same, */
    double attn_factor, beta_fast, beta_slow; /* and also below 0 */
    double ext_factor;                        /* below 0: as the file; 0: all frequencies are scaled */
};

struct model_config {
    char arch[32];      /* general.architecture */
    uint32_t n_layer;   /* 1..MAX_LAYERS */
    uint32_t n_embd;    /* 1..65536 */
    uint32_t n_head;    /* query heads */
    uint32_t n_head_kv; /* key/value heads; divides n_head (grouped-query attention) */
    uint32_t head_dim;  /* a multiple of 8, at most HEAD_DIM_MAX */
    uint32_t n_ff;
    uint32_t n_vocab;
    uint32_t n_ctx;     /* context length the model was trained for */
    uint32_t rope_dim;  /* even, at most head_dim */
    float rope_base, rms_eps;
    enum rope_style rope_style;

    /* Beyond plain llama.  All zero: nothing of it. */
    const struct arch *kind;      /* the row in arch.c; NULL in a config made in memory: plain llama */
    struct rope_scaling scaling;  /* not on window layers */
    float rope_base_local;        /* of window layers */
    uint32_t window;              /* tokens that a window layer sees, the newest included */
    uint64_t local[MAX_LAYERS / 64], no_rope[MAX_LAYERS / 64]; /* bit l: layer l has a window; has no RoPE */
    float embed_scale, residual_scale, logit_scale; /* multiply; 0: 1 */
    float attn_scale;                  /* of scores; 0: 1/sqrt(head_dim) */
    float attn_softcap, final_softcap; /* 0: off */
    float temperature_scale;           /* of scores with the position, see arch.c; 0: off */
};

static inline bool layer_has(const uint64_t *bits, uint32_t layer) { return bits[layer / 64] >> layer % 64 & 1; }
static inline void layer_set(uint64_t *bits, uint32_t layer) { bits[layer / 64] |= (uint64_t)1 << layer % 64; }

/* Reads and validates; errors name file, key, value and range. */
enum status config_read(const struct gguf *g, struct model_config *c, struct error *e);
/* Before an engine is made.  YaRN with another scale than the file's also says for how long a context it is. */
enum status config_set_rope(struct model_config *c, const struct rope_options *o, struct error *e);
/* The same checks on a config made in memory (`name` for the error text). */
enum status config_check(const struct model_config *c, const char *name, struct error *e);
/* Writes the general.* and <arch>.* keys of a plain llama. */
void config_write(const struct model_config *c, const char *name, struct gguf_writer *w);

#endif
