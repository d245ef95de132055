/* session.h: what a command works with: threads, a policy, perhaps a reward model, and their engines.
 * Not a search: solver.h.
 * Next: session.c. */
#ifndef PONDER_SESSION_H
#define PONDER_SESSION_H

#include "cli/args.h"
#include "model/engine.h"
#include "search/eval_model.h"
#include "weights/hub/hub.h"

struct session_options {
    const char *model, *prm, *prm_kind;
    const char *verifier; /* NULL: prm */
    int64_t threads, ctx, kv_mb;
    int64_t batch, ubatch; /* the smaller one is the rows of a pass; 0: as the flags' defaults */
    bool exact;            /* f32 activations */
    bool no_mmap, mlock;
    const char *cache_k, *cache_v; /* "i16", "f16", "f32" or "q8_0", the same in both; NULL: the command's choice */
};

#define MODEL_FLAG(type, field)                                                                                        \
    {"model",                                                                                                          \
     "m",                                                                                                              \
     FLAG_TEXT,                                                                                                        \
     offsetof(type, field.model),                                                                                      \
     "embedded",                                                                                                       \
     0,                                                                                                                \
     0,                                                                                                                \
     "FILE",                                                                                                           \
     "policy: a GGUF file, the folder of a model, or hf:USER/MODEL[:QUANT]"},                                          \
        HUB_FLAGS(type, field.model)
#define PRM_FLAG(type, field)                                                                                          \
    {"prm",                                                                                                            \
     NULL,                                                                                                             \
     FLAG_TEXT,                                                                                                        \
     offsetof(type, field.prm),                                                                                        \
     "embedded",                                                                                                       \
     0,                                                                                                                \
     0,                                                                                                                \
     "FILE",                                                                                                           \
     "reward model, or none, or oracle (exact: cheats)"},                                                              \
    {                                                                                                                  \
        "prm-kind", NULL, FLAG_TEXT, offsetof(type, field.prm_kind), NULL, 0, 0, "NAME",                               \
            "how it is asked: value, qwen, skywork, shepherd, rlhflow (default: what its file says)"                   \
    }
#define VERIFIER_FLAG(type, field)                                                                                     \
    {                                                                                                                  \
        "verifier", NULL, FLAG_CHOICE, offsetof(type, field.verifier), NULL, 0, 0, "prm|ptrue|logprob|none",           \
            "values from the reward model, or the policy's own P(True), or its mean log-probability"                   \
    }
#define CACHE_FLAGS(type, field)                                                                                       \
    {"cache-type-k",           "ctk", FLAG_CHOICE, offsetof(type, field.cache_k), NULL, 0, 0, "i16|f16|f32|q8_0",      \
     "numbers of the KV cache"},                                                                                       \
    {                                                                                                                  \
        "cache-type-v", "ctv", FLAG_CHOICE, offsetof(type, field.cache_v), NULL, 0, 0, "i16|f16|f32|q8_0",             \
            "the same as that of K"                                                                                    \
    }
#define COMPUTE_FLAGS(type, field)                                                                                     \
    {"threads", "t", FLAG_INT, offsetof(type, field.threads), NULL, 1, 256, "N", "threads (default: all CPUs)"},       \
        {"ctx-size",                                                                                                   \
         "c",                                                                                                          \
         FLAG_INT,                                                                                                     \
         offsetof(type, field.ctx),                                                                                    \
         "-1",                                                                                                         \
         -1,                                                                                                           \
         1 << 24,                                                                                                      \
         "N",                                                                                                          \
         "tokens of one branch; 0 = all that the model has, -1 = at most 4096 and what --kv-mb holds"},                \
        {"kv-mb",                                                                                                      \
         NULL,                                                                                                         \
         FLAG_INT,                                                                                                     \
         offsetof(type, field.kv_mb),                                                                                  \
         "1024",                                                                                                       \
         1,                                                                                                            \
         1 << 20,                                                                                                      \
         "MB",                                                                                                         \
         "most memory for the KV cache of each model"},                                                                \
        {"batch-size",                                                                                                 \
         "b",                                                                                                          \
         FLAG_INT,                                                                                                     \
         offsetof(type, field.batch),                                                                                  \
         "2048",                                                                                                       \
         1,                                                                                                            \
         65536,                                                                                                        \
         "N",                                                                                                          \
         "most tokens of one pass, if it is less than --ubatch-size"},                                                 \
        {"ubatch-size",                                                                                                \
         "ub",                                                                                                         \
         FLAG_INT,                                                                                                     \
         offsetof(type, field.ubatch),                                                                                 \
         "512",                                                                                                        \
         1,                                                                                                            \
         65536,                                                                                                        \
         "N",                                                                                                          \
         "most tokens of one pass: fewer take less memory"},                                                           \
        {"mlock", NULL, FLAG_YES, offsetof(type, field.mlock),           NULL,                                         \
         0,       0,    NULL,     "what is in memory is not swapped out"},                                             \
        {"no-mmap",                                                                                                    \
         NULL,                                                                                                         \
         FLAG_YES,                                                                                                     \
         offsetof(type, field.no_mmap),                                                                                \
         NULL,                                                                                                         \
         0,                                                                                                            \
         0,                                                                                                            \
         NULL,                                                                                                         \
         "for llama.cpp's sake: weights are packed into memory with or without it"},                                   \
        CACHE_FLAGS(type, field), {                                                                                    \
        "exact", NULL, FLAG_YES, offsetof(type, field.exact), NULL, 0, 0, NULL,                                        \
            "quantised weights meet f32 activations, not int8: slow, for comparisons"                                  \
    }

/* One open model. */
struct loaded {
    struct model *model;
    struct engine *engine; /* NULL when no engine was wanted */
    struct client *client; /* for one text at a time, without pages kept for it */
};

/* Constant after session_open, so that any number of threads may use it. */
struct session {
    int threads;
    uint32_t ctx; /* tokens of one branch */
    struct team *team;
    struct loaded policy, prm; /* prm.model NULL: none, or the oracle */
    bool oracle;
    struct tok *tok;
    enum verifier verifier;
    struct prm_reader *reader; /* how prm.model is asked; NULL without one */
    struct prm_info prm_info;
};

enum { SESSION_CTX = 4096 };

/* How much runs at once: branches alive in all searches together, and whether a reward model is wanted at all. */
struct session_size {
    uint32_t branches;
    uint32_t usual_ctx; /* --ctx-size -1 gives no more; 0: SESSION_CTX */
    bool with_prm;
    enum kv_type kv_type; /* what the KV cache holds when no flag says it */
    bool any_head;        /* the policy may be a reward model: its outputs are wanted, not tokens */
};

/* s is defined (and closable) on failure too. */
enum status session_open(const struct session_options *o, const struct session_size *size, struct session *s,
                         struct error *e);
void session_close(struct session *s);

/* What --cache-type-k and -v say, for the caller's engine; *type stays when they say nothing. */
enum status session_cache_type(const struct session_options *o, enum kv_type *type, struct error *e);
const char *session_cache_name(enum kv_type type);

/* Opens one model file (also "hf:user/model"), or one inside the binary: "embedded" means the one of that role ("policy", "prm"), other names of
 * weights/embedded.h's table mean themselves. */
enum status session_open_file(const char *name, const char *role, struct gguf **out, struct error *e);
enum status session_open_model(const char *name, const char *role, struct model **out, struct error *e);

/* Do the ids of a model file mean what those of tok mean? */
enum status session_same_tokens(const struct tok *tok, struct gguf *file, bool *same, struct error *e);

/* FNV-1a of a file's bytes, so that results name exactly what made them; `name` and `role` as above. */
enum status session_hash(const char *name, const char *role, uint64_t *hash, struct error *e);
uint64_t hash_bytes(const void *data, size_t size);

/* KV bytes of one branch of n_tokens. */
size_t session_kv_bytes(const struct model_config *c, enum kv_type type, uint32_t n_tokens);

/* CPUs that this process may use. */
int cpu_count(void);

#endif
