/* model.h: an open model for inference: config and weights bound by name, memory-mapped.
 * Not a tokenizer, not a KV cache.
 * Next: engine.h. */
#ifndef PONDER_MODEL_H
#define PONDER_MODEL_H

#include "model/config.h"

/* A matrix of n_rows rows; row r at data + r * row_bytes.  Borrowed from the file. */
struct matrix {
    const void *data;
    size_t row_bytes;
    uint32_t rows, cols;
    enum tensor_type type;
};

struct layer {
    float *attn_norm, *ffn_norm; /* [n_embd] f32 copies */
    struct matrix q, k, v, out, gate, up, down;
};

struct model {
    struct model_config config;
    struct gguf *file;  /* owned */
    struct matrix embd; /* [n_vocab, n_embd] */
    struct layer *layers;
    float *output_norm; /* [n_embd] */
    struct matrix head; /* [n_out, n_embd]: `output`, or the embedding when tied, or prm.head of a reward model */
    float head_bias;    /* reward models; else 0 */
    uint64_t n_weights; /* multiplied per token, without the head */
    size_t size_bytes;  /* of all matrices, embedding and head included */
};

/* Takes over `file` (closed with the model, also on failure).  Errors name the tensor, its shape and what was wanted. */
enum status model_open(struct gguf *file, struct model **out, struct error *e);
void model_close(struct model **m);

/* FLOPs of one token at context position `pos`, with or without the head: 2 per weight plus 4 * n_layer * n_head * head_dim * (pos + 1)
 * (SEARCH.md's D.4: QK^T and AV). */
uint64_t model_flops(const struct model *m, uint32_t pos, bool with_head);

#endif
