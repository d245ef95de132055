/* model.h: an open model for inference: config and weights bound by name, memory-mapped.
 * Not a tokenizer, not a KV cache.
 * Next: engine.h. */
#ifndef PONDER_MODEL_H
#define PONDER_MODEL_H

#include "base/team.h"
#include "model/config.h"
#include "ops/panel.h"

/* A matrix of n_rows rows; row r at data + r * row_bytes.  Borrowed from the file; `panels` is what is multiplied. */
struct matrix {
    const void *data;
    size_t row_bytes;
    uint32_t rows, cols;
    enum tensor_type type;
    float *bias; /* [rows] f32 copy, added to every product; NULL: none.  Owned by the model */
    struct panels panels; /* filled by model_pack */
};

/* Which table of angles a layer uses; the last is no table. */
enum layer_rope { ROPE_GLOBAL, ROPE_LOCAL, ROPE_OFF, N_LAYER_ROPES };

struct layer { /* norms are f32 copies */
    float *attn_norm, *ffn_norm;           /* [n_embd]; NULL: the block reads the residual stream itself */
    float *attn_post_norm, *ffn_post_norm; /* [n_embd] on what the block adds; NULL: none */
    float *q_norm, *k_norm;                /* [head_dim], or the whole row of q, of k; NULL: none */
    struct matrix q, k, v, out, gate, up, down; /* parts of one tensor when the file has them fused */
    bool fused_qkv;                        /* then the memory of q's bias is that of k's and v's too */
    uint32_t window;                       /* tokens it sees, the newest included; 0: all */
    enum layer_rope rope;
};

struct model {
    struct model_config config;
    struct gguf *file;  /* owned */
    struct matrix embd; /* [n_vocab, n_embd] */
    struct layer *layers;
    float *output_norm; /* [n_embd] */
    struct matrix head; /* [n_out, n_embd]: `output`, or the embedding when tied, or what a reward model has */
    struct matrix head_hidden; /* [n_embd, n_embd] with ReLU before the head; rows 0: none */
    bool lm_head;       /* the head's outputs are logits of tokens */
    void *head_rows;    /* memory of model_keep_tokens; or NULL */
    float head_bias;    /* of prm.head; else 0 */
    float *rope_factors, *rope_factors_long; /* [rope_dim/2] divide the frequencies; long: for contexts past n_ctx_orig; or NULL */
    uint32_t n_local;   /* layers with a window */
    uint64_t n_weights; /* multiplied per token, without the head */
    size_t size_bytes;  /* of all matrices, embedding and head included */
    /* Written by model_pack only. */
    uint8_t *packed; /* the panels of all matrices; NULL: not packed yet */
    size_t packed_bytes;
    bool exact; /* quantised weights meet f32 activations */
    bool int8;  /* some matrix wants activations as int8 */
};

/* Takes over `file` (closed with the model, also on failure).  Errors name the tensor, its shape and what was wanted. */
enum status model_open(struct gguf *file, struct model **out, struct error *e);
/* The same, but after a failure `file` is still the caller's. */
enum status model_try(struct gguf *file, struct model **out, struct error *e);
void model_close(struct model **m);

/* Brings all matrices into the layout of the kernels, in memory of its own (huge pages where the system has them); the file's pages
 * are given back.  exact: f32 activations against the weights as they are, else the types that panel.h names meet int8
 * activations.  The first call packs, later ones only compare `exact`: ERR_INPUT when it differs.  Any thread; engine_new
 * calls it. */
enum status model_pack(struct model *m, struct team *team, bool exact, struct error *e);
void model_unpack(struct model *m); /* for model_close */
/* Whether some matrix wants activations as int8; and the bytes of weights that are in memory when packed: the panels, what is
 * read from the file (rows of other types, the embedding unless it is the head too), and a file that is itself in memory. */
bool model_wants_int8(const struct model *m, bool exact);
size_t model_weight_bytes(const struct model *m, bool exact);

/* Keeps the LM head's rows of n tokens only: outputs are the logits of ids[0], ids[1], ...  For verifiers that compare a few
 * words.  Before an engine is made. */
enum status model_keep_tokens(struct model *m, const int32_t *ids, uint32_t n, struct error *e);

/* FLOPs of one token at context position `pos`, with or without the head: 2 per weight plus, for each layer,
 * 4 * n_head * head_dim * (tokens it sees, at most pos + 1) for QK^T and AV. */
uint64_t model_flops(const struct model *m, uint32_t pos, bool with_head);

#endif
