/* tree_file.c: see tree_file.h.
 * Not what an event says: search/trace.c.  Not the order of the calls: search/cassette.c.
 * Next: tree_tools.c. */
#include "solve/tree_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/mem.h"
#include "solve/report.h"
#include "tokenizer/pretok.h"

struct tree_file {
    const char *path;
    struct tree_origin origin;
    const struct saved_tree *saved; /* NULL: a new file */
    size_t n_same;                  /* its lines that came again */
    size_t n_compared;              /* lines of it that count: all, unless a call was cut off */
    int fd;                         /* -1: nothing is written */
    struct buffer text;             /* not written yet */
    struct cassette cassette;
    bool appends; /* what is there has come again */
    enum status status;
    struct error error; /* the first one */
};

/* ---- lines ---- */

static enum status fail(struct tree_file *f, enum status s) {
    if (!f->status) f->status = s;
    return f->status;
}

/* What stands behind the lines that came again goes. */
static void begin_to_append(struct tree_file *f) {
    f->appends = true;
    off_t at = (off_t)f->saved->lines[f->n_same];
    if (f->fd < 0) fail(f, error_set(&f->error, ERR_INPUT, "%s: the search goes on where the file ends", f->path));
    else if (ftruncate(f->fd, at) || lseek(f->fd, at, SEEK_SET) != at)
        fail(f, error_set(&f->error, ERR_IO, "%s: cannot be cut: %s", f->path, strerror(errno)));
}

static void add_line(void *arg, const char *line, size_t size) {
    struct tree_file *f = arg;
    const struct saved_tree *old = f->saved;
    if (f->status) return;
    if (!f->appends && f->n_same < f->n_compared) {
        size_t at = old->lines[f->n_same], n = old->lines[f->n_same + 1] - at - 1;
        f->n_same++;
        if (n != size || memcmp(old->text + at, line, n))
            fail(f, error_set(&f->error, ERR_INPUT,
                              "%s:%zu: the search goes another way here: made by another build, or changed by hand",
                              f->path, f->n_same));
        return;
    }
    if (!f->appends) begin_to_append(f);
    if (f->status) return;
    buffer_add(&f->text, line, size), buffer_add(&f->text, "\n", 1);
}

static enum status flush(void *arg, struct error *e) {
    struct tree_file *f = arg;
    size_t at = 0;
    if (f->text.failed) fail(f, error_set(&f->error, ERR_MEMORY, "%s: no memory for a line", f->path));
    while (!f->status && at < f->text.n) {
        ssize_t n = write(f->fd, f->text.data + at, f->text.n - at);
        if (n > 0) at += (size_t)n;
        else if (n == 0 || errno != EINTR)
            fail(f, error_set(&f->error, ERR_IO, "%s: could not be written: %s", f->path, strerror(errno)));
    }
    if (!f->text.failed) f->text.n = 0;
    return f->status ? error_set(e, f->status, "%s", f->error.text) : OK;
}

static void cut(void *arg) {
    struct tree_file *f = arg;
    f->n_compared = f->n_same;
}

/* ---- header and prompt ---- */

static json_t *hex(uint64_t hash) {
    char text[20];
    snprintf(text, sizeof text, "%016llx", (unsigned long long)hash);
    return json_string(text);
}

static enum status model_json(const char *name, const char *role, const struct model *m, json_t **out,
                              struct error *e) {
    uint64_t hash;
    enum status s = session_hash(name, role, &hash, e);
    if (s) return s;
    *out = json_pack("{s:s,s:o,s:I}", "name", gguf_name(m->file), "hash", hex(hash), "flops_per_token",
                     (json_int_t)model_flops(m, 0, true));
    return *out ? OK : error_set(e, ERR_MEMORY, "no memory for a header");
}

/* The models' hashes, against those of the file that is gone on with. */
static enum status check_model(const struct tree_file *f, const char *role, const json_t *here, struct error *e) {
    const json_t *there = json_object_get(f->saved->header, role);
    const char *a = json_string_value(json_object_get(there, "hash")),
               *b = json_string_value(json_object_get(here, "hash"));
    if (!a != !b || (a && strcmp(a, b)))
        return error_set(e, ERR_INPUT, "%s:1: \"%s\": the hash is %s there and %s here: another model", f->path, role,
                         a ? a : "missing", b ? b : "missing");
    return OK;
}

struct headed {
    const char *role, *name;
    const struct loaded *model;
};

/* The models that the session has, one member each; a file that is gone on with must name the same. */
static enum status add_models(const struct tree_file *f, const struct session *n, json_t *to, struct error *e) {
    const struct session_options *o = f->origin.session;
    const struct headed models[] = {
        {"policy", o->model, &n->policy}, {"prm", o->prm, &n->prm}, {"draft", o->draft, &n->draft}};
    enum status s = OK;
    for (size_t i = 0; i < sizeof models / sizeof *models && !s; i++) {
        json_t *one = json_null();
        const char *role = i == 1 ? "prm" : "policy";
        if (models[i].model->model) s = model_json(models[i].name, role, models[i].model->model, &one, e);
        if (!s && f->saved) s = check_model(f, models[i].role, one, e);
        if (!s) json_object_set(to, models[i].role, one);
        json_decref(one);
    }
    return s;
}

static enum status header_json(const struct tree_file *f, const struct solver *s, const struct problem *p,
                               uint64_t root, json_t **out, struct error *e) {
    const struct session *n = s->session;
    const bool values = n->prm.model || n->oracle || n->verifier != VERIFIER_PRM;
    const char *text = p->text;
    size_t size = strlen(text);
    if (!s->task->style->prose) { /* as people write it */
        while (size && text[size - 1] == '\n') size--;
        if (*text == ' ') text++, size--;
    }
    for (size_t i = 0, length; i < size; i += length)
        if (!(length = utf8_char(text + i, size - i)))
            return error_set(e, ERR_INPUT, "%s: the problem is not UTF-8, which a tree file cannot hold", f->path);
    *out = json_pack("{s:s,s:i,s:s,s:o,s:s,s:I,s:o,s:s,s:o,s:o,s:o}", "format", "ponder-tree", "version", TREE_VERSION,
                     "task", s->task->name, "problem", json_stringn(text, size), "strategy", s->strategy->name, "seed",
                     (json_int_t)s->seed, "root", hex(root), "values",
                     !values     ? "none"
                     : n->oracle ? "oracle"
                                 : verifier_name(n->verifier),
                     "settings", report_settings(s), "options", tree_search_json(f->origin.search), "session",
                     tree_session_json(f->origin.session));
    return *out ? add_models(f, n, *out, e) : error_set(e, ERR_MEMORY, "no memory for a header");
}

/* A header that is there stays as it is. */
static enum status put_header(struct tree_file *f, const struct solver *s, const struct problem *p, uint64_t root,
                              struct error *e) {
    json_t *header = NULL;
    enum status st = header_json(f, s, p, root, &header, e);
    char *text = st ? NULL : json_dumps(header, JSON_COMPACT | JSON_REAL_PRECISION(9));
    if (!st && !text) st = error_set(e, ERR_MEMORY, "no memory for a header");
    if (!st && f->saved) f->n_same = 1;
    else if (!st) add_line(f, text, strlen(text));
    free(text);
    json_decref(header);
    return st;
}

static void put_prompt(struct tree_file *f, const struct evaluator *ev, const int32_t *ids, uint32_t n) {
    const struct ledger *l = ev->ledger;
    struct buffer b = {0};
    buffer_print(&b, "{\"event\":\"prompt\",\"can\":%u,\"tokens\":%u,\"ids\":[", ev->can, n);
    for (uint32_t i = 0; i < n; i++) buffer_print(&b, i ? ",%d" : "%d", (int)ids[i]);
    buffer_print(&b, "],\"prompt_tokens\":%llu,\"prm_tokens\":%llu,\"policy_flops\":%llu,\"prm_flops\":%llu}",
                 (unsigned long long)l->prompt_tokens, (unsigned long long)l->prm_tokens,
                 (unsigned long long)l->policy_flops, (unsigned long long)l->prm_flops);
    if (b.failed) fail(f, error_set(&f->error, ERR_MEMORY, "%s: no memory for the prompt", f->path));
    else add_line(f, b.data, b.n);
    buffer_free(&b);
}

/* ---- runs ---- */

static enum status open_cassette(struct tree_file *f, const struct evaluator *inner, event_fn *on_event, void *arg,
                                 struct error *e) {
    const struct saved_tree *old = f->saved;
    f->cassette =
        (struct cassette){.inner = inner, .lines = {f, add_line, flush, cut}, .next = on_event, .next_arg = arg};
    if (old) {
        f->cassette.items = old->items, f->cassette.n_items = old->n_items, f->cassette.start = &old->start;
        f->cassette.full_at_end = old->done && old->result.why == WHY_KV_FULL;
    }
    return cassette_open(&f->cassette, e);
}

/* What went wrong with the lines comes before what that led to. */
static enum status close_cassette(struct tree_file *f, enum status s, struct error *e) {
    struct error why;
    if (f->cassette.failed) fail(f, error_set(&f->error, ERR_MEMORY, "%s: no memory for a line", f->path));
    enum status written = flush(f, &why);
    cassette_close(&f->cassette);
    if (written) s = error_set(e, written, "%s", why.text);
    return s;
}

/* The tap of solver_search_tapped: between the models and the strategy. */
struct tap {
    struct tree_file *f;
    event_fn *on_event;
    void *arg;
};

static enum status run_tapped(void *arg, struct solver_search *x, struct outcome *o, struct error *e) {
    struct tap *tap = arg;
    struct tree_file *f = tap->f;
    uint32_t n;
    const int32_t *ids = eval_model_tokens(x->model, x->ev->root, &n);
    enum status s = put_header(f, x->solver, x->problem, x->seed, e);
    if (s) return s;
    put_prompt(f, x->ev, ids, n);
    if ((s = open_cassette(f, x->ev, tap->on_event, tap->arg, e))) return s;
    struct solver_search heard = *x;
    heard.ev = &f->cassette.ev, heard.on_event = cassette_event, heard.arg = &f->cassette;
    return close_cassette(f, solver_search(&heard, o, e), e);
}

static void drop_if(enum status s, struct outcome *o) {
    if (s) outcome_free(o);
}

enum status tree_file_run(struct tree_file *f, const struct solver *s, const struct problem *p, event_fn *on_event,
                          void *arg, struct outcome *o, struct error *e) {
    struct tap tap = {f, on_event, arg};
    return solver_run_tapped(s, p, run_tapped, &tap, o, e);
}

/* A search that a clock or a user ended cannot be made again. */
static enum status check_repeats(const struct saved_tree *old, const struct solver *s, struct error *e) {
    if (s->common.budget.ns)
        return error_set(e, ERR_INPUT, "%s:1: --max-ms: the clock decided, nothing can repeat that", old->path);
    if (!old->done) return error_set(e, ERR_INPUT, "%s: has no end: ponder tree resume goes on with it", old->path);
    if (old->result.why == WHY_CANCELLED || old->result.why == WHY_TIME || old->result.why == WHY_ERROR)
        return error_set(e, ERR_INPUT, "%s:%zu: \"why\": \"%s\": the search was stopped, nothing can repeat that",
                         old->path, old->n_lines, why_name(old->result.why));
    return OK;
}

enum status tree_file_run_tape(struct tree_file *f, const struct solver *s, const struct problem *p, event_fn *on_event,
                               void *arg, struct outcome *o, struct error *e) {
    const struct saved_tree *old = f->saved;
    *o = (struct outcome){.verdict = problem_verdict(p, "")};
    enum status st = check_repeats(old, s, e);
    if (st || (st = open_cassette(f, NULL, on_event, arg, e))) return st;
    f->n_same = 1;
    put_prompt(f, &f->cassette.ev, old->prompt, (uint32_t)old->n_prompt);
    struct solver_search x = {.solver = s,
                              .problem = p,
                              .ev = &f->cassette.ev,
                              .seed = old->tree.nodes[0].key,
                              .on_event = cassette_event,
                              .arg = &f->cassette};
    st = close_cassette(f, solver_search(&x, o, e), e);
    if (!st && f->cassette.over && !f->cassette.full_at_end)
        st = error_set(e, ERR_INPUT, "%s: the search goes on where the file ends", f->path);
    if (!st && f->n_same < old->n_lines)
        st = error_set(e, ERR_INPUT, "%s:%zu: the search ends before this line", f->path, f->n_same + 1);
    drop_if(st, o);
    return st;
}

void tree_file_lines(const struct tree_file *f, size_t *same, size_t *all) {
    *same = f->n_same, *all = f->saved ? f->saved->n_lines : 0;
}

/* ---- open, close ---- */

static enum status make(const char *path, const struct saved_tree *saved, const struct tree_origin *o,
                        struct tree_file **out, struct error *e) {
    struct tree_file *f = *out = mem_new(1, sizeof *f);
    if (!f) return error_set(e, ERR_MEMORY, "no memory for a tree file");
    f->path = path, f->saved = saved, f->fd = -1;
    if (saved) f->n_compared = saved->n_lines;
    else f->appends = true;
    if (o) f->origin = *o;
    return OK;
}

/* Two that write one file would spoil it. */
static enum status open_fd(struct tree_file *f, int flags, struct error *e) {
    f->fd = open(f->path, flags | O_CLOEXEC, 0666);
    if (f->fd < 0) return error_set(e, ERR_IO, "%s: %s", f->path, strerror(errno));
    if (flock(f->fd, LOCK_EX | LOCK_NB) && errno == EWOULDBLOCK)
        return error_set(e, ERR_IO, "%s: another process is writing it", f->path);
    if ((flags & O_CREAT) && ftruncate(f->fd, 0) && errno != EINVAL)
        return error_set(e, ERR_IO, "%s: %s", f->path, strerror(errno));
    return OK;
}

static void drop(struct tree_file **f) {
    if ((*f)->fd >= 0) close((*f)->fd);
    buffer_free(&(*f)->text);
    mem_free(*f);
    *f = NULL;
}

enum status tree_file_new(const char *path, const struct tree_origin *o, struct tree_file **out, struct error *e) {
    enum status s = make(path, NULL, o, out, e);
    if (!s && (s = open_fd(*out, O_WRONLY | O_CREAT, e))) drop(out);
    return s;
}

enum status tree_file_resume(const struct saved_tree *saved, const struct tree_origin *o, struct tree_file **out,
                             struct error *e) {
    enum status s = make(saved->path, saved, o, out, e);
    if (!s && (s = open_fd(*out, O_WRONLY, e))) drop(out);
    return s;
}

enum status tree_file_replay(const struct saved_tree *saved, struct tree_file **out, struct error *e) {
    return make(saved->path, saved, NULL, out, e);
}

enum status tree_file_close(struct tree_file **fp, struct error *e) {
    struct tree_file *f = *fp;
    if (!f) return OK;
    enum status s = f->status ? error_set(e, f->status, "%s", f->error.text) : OK;
    int fd = f->fd;
    f->fd = -1;
    if (fd >= 0 && close(fd) && !s) s = error_set(e, ERR_IO, "%s: %s", f->path, strerror(errno));
    drop(fp);
    return s;
}

enum status tree_file_record(const char *path, const struct tree_origin *o, const struct solver *s,
                             const struct problem *p, event_fn *on_event, void *arg, struct outcome *out,
                             struct error *e) {
    struct tree_file *file;
    struct error why;
    if (!path) return solver_run(s, p, on_event, arg, out, e);
    enum status st = tree_file_new(path, o, &file, &why);
    if (st) return error_set(e, st, "--trace %s", why.text);
    st = tree_file_run(file, s, p, on_event, arg, out, e);
    enum status closed = tree_file_close(&file, &why);
    if (!closed) return st;
    if (!st) outcome_free(out);
    return error_set(e, closed, "--trace %s", why.text);
}
