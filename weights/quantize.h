/* quantize.h: a model file again with smaller weights: which tensor gets which type, and the writing.
 * Not the blocks: ops/quant.h.
 * Next: docs/QUANT.md. */
#ifndef PONDER_QUANTIZE_H
#define PONDER_QUANTIZE_H

#include "base/team.h"
#include "weights/gguf.h"

/* More bits for the value and down projections of some layers. */
enum quant_mix { QUANT_PLAIN, QUANT_S, QUANT_M };

struct quant_recipe {
    const char *name;      /* "Q4_K_M" */
    enum tensor_type base; /* of most matrices */
    uint32_t file_type;    /* general.file_type */
    enum quant_mix mix;
    const char *summary;
};

/* By name, in any case; NULL when there is none.  The list ends in a row with name NULL. */
const struct quant_recipe *quantize_recipe(const char *name);
extern const struct quant_recipe quant_recipes[];

/* What a tensor becomes, as llama.cpp chooses without an importance matrix:
 *   - vectors, norms and small special tensors keep their type;
 *   - output.weight (token_embd.weight where there is none) gets at least Q6_K;
 *   - QUANT_M: attn_v, or a fused attn_qkv, and ffn_down of the first and last eighth of the layers and of every third
 *     between get Q6_K;
 *   - QUANT_S: attn_v or attn_qkv of the first four layers and ffn_down of the first eighth get Q5_K;
 *   - rows that are no multiple of 256: Q4_K -> Q5_0, Q5_K -> Q5_1, Q6_K -> Q8_0; no multiple of 32: F16. */
struct quant_model {
    uint32_t n_layer;
    bool has_output; /* output.weight is there */
};
enum tensor_type quantize_choose(const struct quant_recipe *r, const struct quant_model *m,
                                 const struct gguf_tensor *t);

/* Writes `in` to path with other weights: all keys are kept but general.file_type and general.quantization_version,
 * which are set, and those of a split file.  A tensor that must change and is quantised already is refused unless
 * `requantize`: errors would add up.  A tensor with NaN or infinity, or with weights that its new type has no room for,
 * is refused (ERR_INPUT).  Rows are shared by the team (NULL: the caller alone).  The new weights are held in memory
 * until they are on disk.  progress may be NULL: called before each tensor.  On failure the old file at path is as it
 * was. */
struct quantize_options {
    const struct quant_recipe *recipe;
    bool requantize;
    struct team *team;
    void (*progress)(size_t i, size_t n, const struct gguf_tensor *from, enum tensor_type to);
};
struct quantize_sizes {
    uint64_t bytes_before, bytes_after, n_weights; /* of all tensors */
};
enum status quantize_write(const struct gguf *in, const struct quantize_options *o, const char *path,
                           struct quantize_sizes *sizes, struct error *e);

#endif
