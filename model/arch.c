/* arch.c: the table of architectures.
 * Not their mathematics: forward.c and attention.c, which know flags and no names.
 * Next: config.c. */
#include "model/arch.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* The embedding times sqrt(n_embd).  The largest of each family divides scores by sqrt(n_embd / n_head) and not by
 * sqrt(head_dim); nothing but its depth tells it from the others. */
static enum status gemma_adjust(const struct gguf *g, struct model_config *c, struct error *e) {
    (void)g, (void)e;
    c->embed_scale = sqrtf((float)c->n_embd);
    uint32_t largest = strcmp(c->arch, "gemma2") ? 62 : 46;
    if (c->n_layer == largest) c->attn_scale = 1 / sqrtf((float)c->n_embd / (float)c->n_head);
    return OK;
}

/* rope.scaling.finetuned = false means that no layer has RoPE. */
static enum status granite_adjust(const struct gguf *g, struct model_config *c, struct error *e) {
    bool rope;
    enum status s = gguf_get_bool_or(g, "granite.rope.scaling.finetuned", true, &rope, e);
    for (uint32_t l = 0; !s && !rope && l < c->n_layer; l++) layer_set(c->no_rope, l);
    return s;
}

/* Scores grow slowly with the position: q is multiplied by 1 + scale * log(1 + floor(pos / n_ctx_orig)). */
static enum status mistral3_adjust(const struct gguf *g, struct model_config *c, struct error *e) {
    double scale;
    enum status s = gguf_get_f64_or(g, "mistral3.attention.temperature_scale", 0, 1e3, 0, &scale, e);
    c->temperature_scale = (float)scale;
    return s;
}

static const struct arch table[] = {
    {.name = "llama"},
    {.name = "qwen2", .rope_style = ROPE_NEOX, .qkv_bias = true},
    {.name = "qwen3", .rope_style = ROPE_NEOX, .qk_norm = QK_NORM_HEAD},
    {.name = "smollm3", .no_rope_every = 4},
    {.name = "granite", .scales = true, .adjust = granite_adjust},
    {.name = "phi3", .rope_style = ROPE_NEOX, .fused_qkv = true, .fused_ffn = true},
    {.name = "olmo2",
     .rope_style = ROPE_NEOX,
     .qk_norm = QK_NORM_ROW,
     .no_pre_norm = true,
     .post_norm = true,
     .local_every = 4},
    {.name = "gemma2",
     .rope_style = ROPE_NEOX,
     .post_norm = true,
     .gelu = true,
     .local_every = 2,
     .window = 4096,
     .caps_scores = true,
     .caps_logits = true,
     .attn_softcap = 50,
     .final_softcap = 30,
     .adjust = gemma_adjust},
    {.name = "gemma3",
     .rope_style = ROPE_NEOX,
     .qk_norm = QK_NORM_HEAD,
     .post_norm = true,
     .gelu = true,
     .local_every = 6,
     .rope_base_local = 10000,
     .caps_logits = true,
     .adjust = gemma_adjust},
    {.name = "mistral3", .adjust = mistral3_adjust},
};
enum { N_ARCHS = sizeof table / sizeof *table };

const struct arch *arch_find(struct gguf_string name) {
    for (size_t i = 0; i < N_ARCHS; i++)
        if (strlen(table[i].name) == name.size && !memcmp(table[i].name, name.data, name.size)) return &table[i];
    return NULL;
}

void arch_names(char *dst, size_t size) {
    size_t n = 0;
    for (size_t i = 0; i < N_ARCHS && n < size; i++)
        n += (size_t)snprintf(dst + n, size - n, "%s%s", i ? ", " : "", table[i].name);
}
