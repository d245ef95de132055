/* session.h: what a command works with: threads, a policy, perhaps a reward model, and their engines.
 * Not a search (solver.h) and not its flags (cli/flags_session.h).
 * Next: session.c. */
#ifndef PONDER_SESSION_H
#define PONDER_SESSION_H

#include "model/engine.h"
#include "search/eval_model.h"
#include "weights/hub/hub.h"

struct session_options {
    const char *model, *prm, *prm_kind;
    const char *draft;    /* NULL: no draft model */
    const char *verifier; /* NULL: prm */
    int64_t threads, ctx, kv_mb;
    int64_t batch, ubatch; /* the smaller one is the rows of a pass; 0: as the flags' defaults */
    bool exact;            /* f32 activations */
    bool no_mmap, mlock;
    const char *cache_k, *cache_v; /* "i16", "f16", "f32" or "q8_0"; NULL: the same as the other, or the command's choice */
    struct rope_options rope;      /* of the policy */
};

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
    struct loaded draft;       /* model NULL: none */
    bool oracle;
    struct tok *tok;
    enum verifier verifier;
    struct prm_reader *reader; /* how prm.model is asked; NULL without one */
    struct prm_info prm_info;
    char remark[200]; /* for the user, one line: what was asked for and is doubtful or was not possible; "": nothing */
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

/* A model that writes what session's policy reads: the same vocabulary, or ERR_INPUT.  Its engine is the caller's. */
enum status session_open_draft(const char *name, const struct session *session, struct loaded *l, struct error *e);

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
