/* arch.h: what one architecture asks for beyond a plain llama: one row of flags each.
 * Not code paths: config.c and model.c turn a row and a file's keys into per-layer facts, and forward.c follows those.
 * Next: arch.c, the table.  docs/MODELS.md says how to add a row. */
#ifndef PONDER_ARCH_H
#define PONDER_ARCH_H

#include "model/config.h"

/* RMS norm of q and k before RoPE: each head alone, or the whole row before it is cut into heads. */
enum qk_norm { QK_NORM_NONE, QK_NORM_HEAD, QK_NORM_ROW };

/* All zero = plain llama: RMS norm before each block, separate q k v gate up, SiLU, every layer sees every token.
 * Taken from the file whatever the row says: biases that are there, rope_freqs.weight, rope scaling, a tied head. */
struct arch {
    const char *name; /* general.architecture */
    enum rope_style rope_style;
    enum qk_norm qk_norm;   /* attn_q_norm, attn_k_norm */
    bool qkv_bias;          /* attn_{q,k,v}.bias must be there (otherwise they may be) */
    bool fused_qkv;         /* attn_qkv = q, k, v one after another is usual; either form is taken from every row */
    bool fused_ffn;         /* ffn_up = gate, then up */
    bool no_pre_norm;       /* no attn_norm and no ffn_norm: blocks read the residual stream itself */
    bool post_norm;         /* post_attention_norm, post_ffw_norm: on what a block adds */
    bool gelu;              /* GELU by tanh instead of SiLU */
    bool scales;            /* embedding_scale, residual_scale, logit_scale (divides) */
    uint32_t no_rope_every; /* layers l with (l + 1) % n == 0 have no RoPE; 0: all have it */
    uint32_t local_every;   /* layers l with (l + 1) % n != 0 see a sliding window, if the file names one; 0: none do */
    uint32_t window;        /* tokens of that window when the file names none; 0: then there is none */
    float rope_base_local;  /* RoPE base of window layers when the file names none; 0: the common one */
    bool caps_scores, caps_logits; /* soft caps; the same keys in other files mean nothing (llama.cpp saves them all) */
    float attn_softcap, final_softcap; /* those caps when the file names none; 0: off */

    /* What flags cannot say: called last, with all keys read; NULL for most. */
    enum status (*adjust)(const struct gguf *g, struct model_config *c, struct error *e);

    /* For layers with state that is not KV (convolution, recurrence): such a model adds state_bytes (per sequence, all
     * layers) to what a sequence owns, and fork copies it by copy_state, since unlike pages it changes with every token.
     * NULL, both, for models of attention only: their sequences are page tables and nothing else. */
    size_t (*state_bytes)(const struct model_config *c);
    void (*copy_state)(const struct model_config *c, void *to, const void *from);
};

/* The row of a name; NULL when there is none. */
const struct arch *arch_find(struct gguf_string name);
/* "llama, qwen2, ..." into dst. */
void arch_names(char *dst, size_t size);

#endif
