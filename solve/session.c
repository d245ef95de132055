/* session.c: opening and sizing.
 * Not the flags' meaning for a search: solver.c.
 * Next: solver.c. */
#include "solve/session.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "weights/embedded.h"

int cpu_count(void) {
    cpu_set_t set;
    int n = sched_getaffinity(0, sizeof set, &set) ? 1 : CPU_COUNT(&set);
    return n < 1 ? 1 : n > 256 ? 256 : n;
}

/* The model inside the binary that a name means: "embedded" is the one of that role, other names are those of
 * embedded_table.  NULL: a file. */
static const struct embedded *embedded_of(const char *name, const char *role) {
    char own[32];
    snprintf(own, sizeof own, "game24-%s", role);
    return embedded_find(strcmp(name, "embedded") ? name : own);
}

static enum status without_models(const char *role, struct error *e) {
    return error_set(e, ERR_INPUT, "this binary was built without models inside; give --%s FILE",
                     strcmp(role, "prm") ? "model" : role);
}

enum status session_open_file(const char *name, const char *role, struct gguf **out, struct error *e) {
    const struct embedded *m = embedded_of(name, role);
    char path[HUB_PATH];
    *out = NULL;
    if (m) return gguf_open_memory(m->data, m->size_bytes, m->name, out, e);
    enum status s = hub_resolve(&name, path, e);
    if (s) return s;
    return strcmp(name, "embedded") ? gguf_open(name, out, e) : without_models(role, e);
}

enum status session_open_model(const char *name, const char *role, struct model **out, struct error *e) {
    struct gguf *file;
    *out = NULL;
    enum status s = session_open_file(name, role, &file, e);
    return s ? s : model_open(file, out, e);
}

uint64_t hash_bytes(const void *data, size_t size) {
    uint64_t h = 0xcbf29ce484222325u;
    for (const unsigned char *c = data; size--; c++) h = (h ^ *c) * 0x100000001b3u;
    return h;
}

static enum status hash_file(const char *path, uint64_t *hash, struct error *e) {
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st)) {
        error_set(e, ERR_IO, "%s: %s", path, strerror(errno));
        if (fd >= 0) close(fd);
        return ERR_IO;
    }
    void *data = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    close(fd);
    if (data == MAP_FAILED) return error_set(e, ERR_IO, "%s: cannot be mapped: %s", path, strerror(errno));
    *hash = hash_bytes(data, (size_t)st.st_size);
    munmap(data, (size_t)st.st_size);
    return OK;
}

/* Files that a model's folder is read from. */
static int is_model_part(const struct dirent *entry) {
    const char *end = strrchr(entry->d_name, '.');
    return end && end != entry->d_name &&
           (!strcmp(end, ".safetensors") || !strcmp(end, ".json") || !strcmp(end, ".jinja"));
}

/* Of the names and contents of those files, in order. */
static enum status hash_folder(const char *folder, uint64_t *hash, struct error *e) {
    struct dirent **list;
    int n = scandir(folder, &list, is_model_part, alphasort);
    if (n < 0) return error_set(e, ERR_IO, "%s: %s", folder, strerror(errno));
    enum status s = OK;
    *hash = hash_bytes(folder, 0);
    for (int i = 0; i < n; i++) {
        char path[HUB_PATH];
        uint64_t parts[3] = {*hash, hash_bytes(list[i]->d_name, strlen(list[i]->d_name))};
        if (!s && snprintf(path, sizeof path, "%s/%s", folder, list[i]->d_name) >= HUB_PATH)
            s = error_set(e, ERR_INPUT, "%.200s: the path is too long", folder);
        if (!s) s = hash_file(path, &parts[2], e);
        *hash = hash_bytes(parts, sizeof parts);
        free(list[i]);
    }
    free(list);
    return s;
}

enum status session_hash(const char *name, const char *role, uint64_t *hash, struct error *e) {
    const struct embedded *m = embedded_of(name, role);
    char path[HUB_PATH];
    enum status s = m ? OK : hub_resolve(&name, path, e);
    if (s) return s;
    struct stat st;
    if (!m && !stat(name, &st) && S_ISDIR(st.st_mode)) return hash_folder(name, hash, e);
    if (!m) return hash_file(name, hash, e);
    *hash = hash_bytes(m->data, m->size_bytes);
    return OK;
}

enum { USUAL_ROWS = 512 }; /* of a pass */

static uint32_t rows_of_pass(const struct session_options *o) {
    if (!o->batch || !o->ubatch) return USUAL_ROWS;
    return (uint32_t)(o->batch < o->ubatch ? o->batch : o->ubatch);
}

size_t session_kv_bytes(const struct model_config *c, enum kv_type type, uint32_t n_tokens) {
    struct kv_shape shape = engine_kv_shape(c, type);
    return kv_shape_pages(shape, n_tokens, USUAL_ROWS) * kv_shape_bytes(shape);
}

const char *session_cache_name(enum kv_type type) {
    static const char *const names[KV_TYPES] = {
        [KV_I16] = "i16",   [KV_F16] = "f16",           [KV_F32] = "f32",
        [KV_Q8_0] = "q8_0", [KV_F16_Q8_0] = "f16/q8_0", [KV_Q8_0_F16] = "q8_0/f16"};
    return names[type];
}

/* i16 is as large as f16, faster and nearer to f32.  f32 costs twice the memory and speed; f32 and f16 are for comparing numbers
 * with other programs.  q8_0 takes about half.  Integer products need K and V of i16. */
enum status session_cache_type(const struct session_options *o, enum kv_type *type, struct error *e) {
    const char *k = o->cache_k ? o->cache_k : o->cache_v, *v = o->cache_v ? o->cache_v : k;
    for (enum kv_type t = 0; k && t < KV_TYPES; t++) {
        if (strcmp(k, session_cache_name(kv_type_of_k(t))) || strcmp(v, session_cache_name(kv_type_of_v(t)))) continue;
        *type = t;
        return OK;
    }
    if (!k) return OK;
    return error_set(e, ERR_INPUT, "--cache-type-k %s and --cache-type-v %s: only f16 and q8_0 go together", k, v);
}

/* The first one stays. */
__attribute__((format(printf, 2, 3))) static void remark(struct session *s, const char *format, ...) {
    va_list list;
    if (*s->remark) return;
    va_start(list, format);
    vsnprintf(s->remark, sizeof s->remark, format, list);
    va_end(list);
}

/* The KV cache of one model as the options want it. */
struct cache {
    struct kv_shape shape;
    uint32_t rows;
    uint64_t most; /* pages that --kv-mb holds */
};

static enum status cache_of(const struct session_options *o, enum kv_type usual, const struct model_config *c,
                            struct cache *cache, struct error *e) {
    enum kv_type type = usual;
    enum status st = session_cache_type(o, &type, e);
    if (st) return st;
    *cache = (struct cache){.shape = engine_kv_shape(c, type), .rows = rows_of_pass(o)};
    cache->most = ((uint64_t)o->kv_mb << 20) / kv_shape_bytes(cache->shape);
    return OK;
}

static uint32_t pages_for(const struct cache *c, uint32_t n_tokens) {
    return kv_shape_pages(c->shape, n_tokens, c->rows);
}

/* The longest text up to n tokens that --kv-mb holds. */
static uint32_t longest(const struct cache *c, uint32_t n) {
    while (n && pages_for(c, n) > c->most) n = (n - 1) / KV_PAGE * KV_PAGE;
    return n;
}

/* --ctx-size: a number, all that the models have, or a usual length that fits.  The other models read what the policy
 * writes, so that the shortest context holds. */
static enum status choose_ctx(const struct session_options *o, const struct session_size *size, struct session *s,
                              struct error *e) {
    const struct loaded *all[] = {&s->policy, &s->prm, &s->draft};
    uint64_t usual = size->usual_ctx ? size->usual_ctx : SESSION_CTX;
    uint32_t trained = s->policy.model->config.n_ctx;
    if (o->ctx > trained)
        remark(s, "--ctx-size %lld: the model was trained for %u tokens, what comes after them may be nonsense",
               (long long)o->ctx, trained);
    s->ctx = o->ctx > 0 ? (uint32_t)o->ctx : UINT32_MAX;
    for (int i = 0; i < 3; i++) {
        if (!all[i]->model) continue;
        const struct model_config *c = &all[i]->model->config;
        struct cache cache;
        enum status st = cache_of(o, size->kv_type, c, &cache, e);
        if (st) return st;
        uint32_t fits = longest(&cache, (uint32_t)usual);
        if (o->ctx < 0 && fits) usual = fits;
        if (c->n_ctx < s->ctx && (o->ctx <= 0 || i)) s->ctx = c->n_ctx;
    }
    if (o->ctx < 0 && usual < s->ctx) s->ctx = (uint32_t)usual;
    return OK;
}

/* Pages for every branch at full length, if that fits --kv-mb; searches need far less, because branches share. */
static enum status new_engine(const struct session_options *o, const struct session_size *size, struct session *s,
                              struct loaded *l, struct error *e) {
    const struct model_config *c = &l->model->config;
    struct cache cache;
    enum status st = cache_of(o, size->kv_type, c, &cache, e);
    if (st) return st;
    const uint32_t one = pages_for(&cache, s->ctx);
    const uint64_t texts = size->branches > 1 ? (uint64_t)size->branches + 1 : 1; /* the branches, and their prompt */
    uint64_t pages = texts * one;
    if (cache.most < one)
        return error_set(e, ERR_INPUT,
                         "--kv-mb %lld: the KV cache of %u tokens needs %.1f MB; allow more, or take a shorter context "
                         "with -c (%u tokens fit)",
                         (long long)o->kv_mb, s->ctx, (double)one * (double)kv_shape_bytes(cache.shape) / 1048576,
                         longest(&cache, s->ctx));
    if (pages > cache.most) pages = cache.most;
    if (pages > UINT32_MAX / 2) pages = UINT32_MAX / 2;
    bool asks = s->verifier == VERIFIER_PTRUE || s->verifier == VERIFIER_JUDGE; /* on a fork, or on another prompt */
    uint32_t per_branch = asks && l == &s->policy ? 2 : 1;
    struct engine_params p = {.n_pages = (uint32_t)pages,
                              .n_seqs = per_branch * size->branches + 1,
                              .max_tokens = s->ctx,
                              .max_rows = cache.rows,
                              .exact = o->exact,
                              .kv_type = cache.shape.type};
    st = engine_new(l->model, s->team, &p, &l->engine, e);
    return st ? st : engine_client_new(l->engine, NULL, &l->client, e);
}

enum status session_same_tokens(const struct tok *tok, struct gguf *file, bool *same, struct error *e) {
    struct tok *other;
    enum status st = tok_open(file, &other, e);
    if (st) return st;
    *same = tok_n_vocab(other) == tok_n_vocab(tok);
    for (uint32_t i = 0; *same && i < tok_n_vocab(other); i++) {
        struct gguf_string a = tok_piece(tok, (int32_t)i, true), b = tok_piece(other, (int32_t)i, true);
        *same = a.size == b.size && !memcmp(a.data, b.data, a.size);
    }
    tok_close(&other);
    return OK;
}

enum status session_open_draft(const char *name, const struct session *session, struct loaded *l, struct error *e) {
    bool same;
    enum status st = session_open_model(name, "policy", &l->model, e);
    if (st) return st;
    const struct gguf *file = l->model->file;
    if (!l->model->lm_head)
        return error_set(e, ERR_INPUT, "%s: a reward model, which predicts no tokens; --model-draft wants a policy",
                         gguf_name(file));
    if ((st = session_same_tokens(session->tok, l->model->file, &same, e)) || same) return st;
    return error_set(e, ERR_INPUT, "--model-draft %s: it has other tokens than %s; both must have one vocabulary",
                     gguf_name(file), gguf_name(session->policy.model->file));
}

/* A reward model that reads the policy's token ids: both must mean the same. */
static enum status check_same_tokens(const struct session *s, struct error *e) {
    bool same;
    enum status st = session_same_tokens(s->tok, s->prm.model->file, &same, e);
    if (st || same) return st;
    return error_set(e, ERR_INPUT,
                     "%s: the reward model reads another vocabulary than the policy; give --prm FILE, or --verifier "
                     "ptrue, logprob, judge, check or none",
                     gguf_name(s->prm.model->file));
}

static enum verifier verifier_named(const char *name) {
    enum verifier v = VERIFIER_PRM;
    while (name && v < VERIFIER_NONE && strcmp(name, verifier_name(v))) v++;
    return v;
}

static enum status open_prm(const struct session_options *o, struct session *s, struct error *e) {
    if (!strcmp(o->prm, "none")) return OK;
    if (!strcmp(o->prm, "oracle")) {
        s->oracle = true;
        return OK;
    }
    enum status st = session_open_model(o->prm, "prm", &s->prm.model, e);
    if (!st) st = prm_reader_open(s->prm.model, o->prm_kind, &s->reader, e);
    if (st) return st;
    s->prm_info.agg = prm_reader_agg(s->reader);
    return prm_reads_policy_tokens(s->reader) ? check_same_tokens(s, e) : OK;
}

/* Its outputs are to be drawn from, and its tokens to be read. */
static enum status check_policy(const struct session *s, const struct session_size *size, struct error *e) {
    const struct model *m = s->policy.model;
    if (!m->lm_head && !size->any_head)
        return error_set(e, ERR_INPUT, "%s: a reward model, which predicts no tokens; --model wants a policy",
                         gguf_name(m->file));
    if (tok_n_vocab(s->tok) > m->config.n_vocab)
        return error_set(e, ERR_INPUT, "%s: tokenizer.ggml.tokens has %u tokens, tensor token_embd.weight %u rows",
                         gguf_name(m->file), tok_n_vocab(s->tok), m->config.n_vocab);
    return OK;
}

/* What is resident now, and the rest of these mappings (the KV cache, mapped weights) when it is touched: locking would
 * fill what is reserved only.  Without the right to do it the work goes on. */
static void lock_memory(struct session *s) {
    if (mlockall(MCL_CURRENT | MCL_ONFAULT))
        remark(s, "--mlock: memory is not locked: %s; ulimit -l allows more", strerror(errno));
}

enum status session_open(const struct session_options *o, const struct session_size *size, struct session *s,
                         struct error *e) {
    *s = (struct session){.threads = o->threads > 0 ? (int)o->threads : cpu_count(),
                          .verifier = verifier_named(o->verifier)};
    enum status st = session_open_model(o->model, "policy", &s->policy.model, e);
    if (st) return st;
    if ((st = config_set_rope(&s->policy.model->config, &o->rope, e))) return st;
    if ((st = tok_open(s->policy.model->file, &s->tok, e)) || (st = check_policy(s, size, e))) return st;
    if (size->with_prm && s->verifier == VERIFIER_PRM && (st = open_prm(o, s, e))) return st;
    if (o->draft && (st = session_open_draft(o->draft, s, &s->draft, e))) return st;
    if ((st = choose_ctx(o, size, s, e))) return st;
    if ((st = team_new(s->threads, &s->team, e))) return st;
    if ((st = new_engine(o, size, s, &s->policy, e))) return st;
    if (s->prm.model && (st = new_engine(o, size, s, &s->prm, e))) return st;
    if (s->draft.model && (st = new_engine(o, size, s, &s->draft, e))) return st;
    if (o->mlock) lock_memory(s);
    return OK;
}

static void close_loaded(struct loaded *l) {
    if (l->client) engine_client_free(&l->client);
    if (l->engine) engine_free(&l->engine);
    if (l->model) model_close(&l->model);
}

void session_close(struct session *s) {
    close_loaded(&s->policy);
    close_loaded(&s->prm);
    close_loaded(&s->draft);
    prm_reader_close(&s->reader);
    if (s->tok) tok_close(&s->tok);
    if (s->team) team_free(&s->team);
}
