/* hf_impl.h: what the files hf*.c share while a folder becomes a description of a GGUF file.
 * Not for other rooms: they include weights/hf.h.
 * Next: hf.c, then hf_config.c, hf_tensors.c, hf_tokens.c. */
#ifndef PONDER_HF_IMPL_H
#define PONDER_HF_IMPL_H

#include "weights/gguf_impl.h"
#include "weights/hf.h"
#include "weights/hf_json.h"
#include "weights/safetensors.h"

struct hf;

/* What a model_type of config.json means. */
struct hf_kind {
    const char *model_type, *arch; /* arch: general.architecture */
    bool
        paired_rope; /* RoPE turns neighbouring rows of q and k in the GGUF file, rows half a head apart in the folder */
    bool norm_offset; /* norms multiply by 1 + weight in the folder, by weight in the GGUF file */
    bool post_norms;  /* post_attention_layernorm is the norm after attention, not the one before the feed-forward */
    bool row_norms;   /* q_norm and k_norm see whole rows */
    bool gelu;
    void (*shape_defaults)(struct hf *h); /* for keys that config.json may leave out; NULL: none */
    enum status (*keys)(struct hf *h);    /* beyond the common ones; NULL: none */
};

struct hf {
    const char *folder;
    struct error *e;
    json_t *config, *text; /* config.json; and its text_config, borrowed, or config itself */
    char *config_name;     /* its path, for error texts */
    const struct hf_kind *kind;
    uint32_t n_layer, n_embd, n_head, n_head_kv, head_dim, n_ff, n_vocab, n_ctx, rope_dim;
    json_t *rope;      /* borrowed: the object that says how RoPE is scaled; NULL: none */
    double rope_theta; /* base */
    struct gguf_writer *w;

    /* What lives as long as the opened file. */
    struct hf_keep {
        struct safetensors *st;
        void **own; /* memory of tensors that are not as in the files; an array of base/ds.h */
    } * keep;
};

/* Zeroed memory that lives as long as the file; NULL, with the error set, when memory is out. */
void *hf_alloc(struct hf *h, size_t n, size_t size);

/* ---- hf_config.c: config.json ---- */

/* A value that is there and not null, of text_config first; else NULL. */
json_t *hf_get(const struct hf *h, const char *key);

/* A number in [lo, hi]; object NULL: hf_get's.  `fallback` when it is absent; NAN: then it must be there.  hf_u32: an
 * integer, and UINT32_MAX for NAN. */
enum status hf_number(const struct hf *h, const json_t *object, const char *key, double lo, double hi, double fallback,
                      double *out);
enum status hf_u32(const struct hf *h, const char *key, uint32_t lo, uint32_t hi, uint32_t fallback, uint32_t *out);

/* Reads what shapes depend on; then adds general.architecture and all <arch>.* keys. */
enum status hf_read_config(struct hf *h);
enum status hf_add_config(struct hf *h);

/* Error texts begin with the path of config.json. */
enum status hf_config_error(const struct hf *h, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* "<arch>.suffix" */
void hf_key(const struct hf *h, const char *suffix, char key[128]);
void hf_put_u32(const struct hf *h, const char *suffix, uint32_t v);
void hf_put_f32(const struct hf *h, const char *suffix, double v);
void hf_put_string(const struct hf *h, const char *suffix, const char *v);

/* ---- hf_archs.c: what single architectures ask for ---- */

/* The row of a model_type; NULL when there is none. */
const struct hf_kind *hf_kind_find(const char *model_type);
void hf_kind_names(char *dst, size_t size);

/* ---- hf_tensors.c ---- */

/* Adds all tensors, renamed, checked against the config; sets general.file_type. */
enum status hf_add_tensors(struct hf *h);

/* ---- hf_tokens.c, hf_special.c, hf_pretok.c: the tokenizer ---- */

/* Adds tokenizer.*. */
enum status hf_add_tokens(struct hf *h);

/* Adds the special tokens' ids and the chat template.  find: the id of a token's text, -1 when there is none. */
struct hf_vocab {
    struct hf *h;
    const char *name;    /* path of tokenizer.json, for error texts */
    json_t *json;        /* tokenizer.json */
    const char **tokens; /* [n] NULL: no such id (yet) */
    int32_t *types;      /* [n] */
    uint32_t n;
    bool is_spm;
};
enum status hf_add_special(const struct hf_vocab *v);

/* The name of tokenizer.ggml.pre that cuts as tokenizer.json does, or an error that shows what it asks for. */
enum status hf_pretok_name(const struct hf_vocab *v, const char **name);

#endif
