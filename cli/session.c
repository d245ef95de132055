/* session.c: opening and sizing.
 * Not the flags' meaning for a search: solver.c.
 * Next: solver.c. */
#include "cli/session.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
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
    *out = NULL;
    if (m) return gguf_open_memory(m->data, m->size_bytes, m->name, out, e);
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

enum status session_hash(const char *name, const char *role, uint64_t *hash, struct error *e) {
    const struct embedded *m = embedded_of(name, role);
    if (!m) return hash_file(name, hash, e);
    *hash = hash_bytes(m->data, m->size_bytes);
    return OK;
}

static struct kv_shape shape_of(const struct model_config *c, enum kv_type type) {
    return (struct kv_shape){c->n_layer, c->n_head_kv, c->head_dim, type};
}

static uint32_t pages_of(uint32_t n_tokens) { return (n_tokens + KV_PAGE - 1) / KV_PAGE; }

size_t session_kv_bytes(const struct model_config *c, uint32_t n_tokens) {
    return pages_of(n_tokens) * kv_shape_bytes(shape_of(c, KV_F16));
}

/* f32 costs twice the memory and speed; it is for comparing numbers with other programs.  q8_0 takes about half. */
static enum status choose_cache(const struct session_options *o, const struct session_size *size, enum kv_type *type,
                                struct error *e) {
    static const char *const names[KV_TYPES] = {[KV_F16] = "f16", [KV_F32] = "f32", [KV_Q8_0] = "q8_0"};
    const char *k = o->cache_k ? o->cache_k : o->cache_v, *v = o->cache_v ? o->cache_v : k;
    *type = size->kv_type;
    for (int i = 0; k && i < KV_TYPES; i++)
        if (!strcmp(k, names[i])) *type = (enum kv_type)i;
    if (!k || !strcmp(k, v)) return OK;
    return error_set(e, ERR_INPUT, "--cache-type-k %s and --cache-type-v %s: K and V must be of one type", k, v);
}

/* Pages for every branch at full length, if that fits --kv-mb; searches need far less, because branches share. */
static enum status new_engine(const struct session_options *o, const struct session_size *size, struct session *s,
                              struct loaded *l, struct error *e) {
    const struct model_config *c = &l->model->config;
    enum kv_type type;
    enum status st = choose_cache(o, size, &type, e);
    if (st) return st;
    size_t page_bytes = kv_shape_bytes(shape_of(c, type));
    uint64_t most = ((uint64_t)o->kv_mb << 20) / page_bytes,
             pages = (uint64_t)(size->branches + 1) * pages_of(s->ctx);
    if (most < pages_of(s->ctx))
        return error_set(e, ERR_INPUT,
                         "--kv-mb %lld: one branch of %u tokens needs %.1f MB; allow more, or lower --ctx-size",
                         (long long)o->kv_mb, s->ctx, (double)pages_of(s->ctx) * (double)page_bytes / 1048576);
    if (pages > most) pages = most;
    if (pages > UINT32_MAX / 2) pages = UINT32_MAX / 2;
    struct engine_params p = {
        .n_pages = (uint32_t)pages, .n_seqs = size->branches + 1, .max_tokens = s->ctx, .max_rows = size->max_rows, .kv_type = type};
    return engine_new(l->model, s->team, &p, &l->engine, e);
}

/* The reward model reads the policy's token ids: both must mean the same. */
static enum status check_same_tokens(const struct session *s, struct error *e) {
    struct tok *other;
    enum status st = tok_open(s->prm.model->file, &other, e);
    if (st) return st;
    bool same = tok_n_vocab(other) == tok_n_vocab(s->tok);
    for (uint32_t i = 0; same && i < tok_n_vocab(other); i++) {
        struct gguf_string a = tok_piece(s->tok, (int32_t)i, true), b = tok_piece(other, (int32_t)i, true);
        same = a.size == b.size && !memcmp(a.data, b.data, a.size);
    }
    tok_close(&other);
    if (same) return OK;
    return error_set(e, ERR_INPUT,
                     "%s: the reward model reads another vocabulary than the policy; give --prm FILE or --prm none",
                     gguf_name(s->prm.model->file));
}

static enum status open_prm(const struct session_options *o, struct session *s, struct error *e) {
    if (!strcmp(o->prm, "none")) return OK;
    if (!strcmp(o->prm, "oracle")) {
        s->oracle = true;
        return OK;
    }
    enum status st = session_open_model(o->prm, "prm", &s->prm.model, e);
    if (!st) st = prm_info_read(s->prm.model, &s->prm_info, e);
    if (!st) st = check_same_tokens(s, e);
    if (!st && s->prm.model->config.n_ctx < s->ctx) s->ctx = s->prm.model->config.n_ctx;
    return st;
}

enum status session_open(const struct session_options *o, const struct session_size *size, struct session *s,
                         struct error *e) {
    *s = (struct session){.threads = o->threads ? (int)o->threads : cpu_count()};
    enum status st = session_open_model(o->model, "policy", &s->policy.model, e);
    if (st) return st;
    const struct model_config *c = &s->policy.model->config;
    if (o->ctx > c->n_ctx)
        return error_set(e, ERR_INPUT, "--ctx-size %lld: the model was trained for %u tokens", (long long)o->ctx,
                         c->n_ctx);
    s->ctx = o->ctx ? (uint32_t)o->ctx : c->n_ctx;
    if ((st = tok_open(s->policy.model->file, &s->tok, e))) return st;
    if (size->with_prm && (st = open_prm(o, s, e))) return st;
    if ((st = team_new(s->threads, &s->team, e))) return st;
    if ((st = new_engine(o, size, s, &s->policy, e))) return st;
    return s->prm.model ? new_engine(o, size, s, &s->prm, e) : OK;
}

static void close_loaded(struct loaded *l) {
    if (l->engine) engine_free(&l->engine);
    if (l->model) model_close(&l->model);
}

void session_close(struct session *s) {
    close_loaded(&s->policy);
    close_loaded(&s->prm);
    if (s->tok) tok_close(&s->tok);
    if (s->team) team_free(&s->team);
}
