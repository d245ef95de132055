/* shapes.h: the sizes of well-known models, so that files of their exact form can be made with random weights.
 * Not their weights and not their vocabularies: speed depends on neither.
 * Next: shapes.c, then cmd_bench_make.c. */
#ifndef PONDER_SHAPES_H
#define PONDER_SHAPES_H

#include "weights/gguf.h"

enum shape_vocab { VOCAB_BPE, VOCAB_SPM };

struct shape {
    const char *name; /* "qwen2.5-0.5b" */
    const char *arch; /* general.architecture */
    uint32_t n_layer, n_embd, n_ff, n_head, n_head_kv, head_dim, n_vocab, n_ctx;
    float rope_base, rms_eps;
    bool untied, qkv_bias, qk_norm; /* output.weight; attn_{q,k,v}.bias; attn_{q,k}_norm */
    float rope_factor;              /* above 0: rope_freqs.weight as Llama 3 stretches its 8192 tokens */
    enum shape_vocab vocab;
    const char *pre;             /* tokenizer.ggml.pre */
    uint32_t special, n_special; /* ids [special, special + n_special) are control tokens */
    uint32_t bos, eos;
    bool hidden; /* for tests: not in lists */
};

/* NULL when there is none; shape_names: "qwen2.5-0.5b, ..." */
const struct shape *shape_find(const char *name);
void shape_names(char *text, size_t size);

/* One tensor of a shape: weights are drawn around `base` with standard deviation `spread`, which keeps the residual
 * stream and the logits of a random model at the sizes of a trained one. */
struct shape_tensor {
    char name[64];
    uint32_t n_dims;
    uint64_t dims[4]; /* dims[0]: columns; absent ones are 1 */
    float base, spread;
};
enum { SHAPE_MAX_TENSORS = 1024 };
/* Into t [SHAPE_MAX_TENSORS], as the file has them; rope_freqs.weight is not among them.  Returns how many. */
size_t shape_tensors(const struct shape *s, struct shape_tensor *t);

/* Every key but those of the quantisation: sizes, and a vocabulary of the right length: all bytes, then two to four letters
 * with the merges that make them.  false when memory is out. */
bool shape_add_keys(const struct shape *s, struct gguf_writer *w);

/* RoPE frequencies are divided by these [head_dim / 2] where rope_factor is set (Llama 3.1 report, section 3.2): long waves by
 * the factor, short ones by 1, between them a blend. */
void shape_rope_factors(const struct shape *s, float *factors);

#endif
