/* cmd_logits.c: the logits of given tokens, raw, to compare with other programs.
 * Not sampling.
 * Next: model/engine.h. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "cli/command.h"
#include "solve/session.h"

struct options {
    struct session_options session;
    const char *tokens, *out;
};

static const struct flag flags[] = {
    MODEL_FLAG(struct options, session),
    {"tokens", NULL, FLAG_TEXT, offsetof(struct options, tokens), NULL, 0, 0, "1,2,3", "token ids"},
    {"out", "o", FLAG_TEXT, offsetof(struct options, out), NULL, 0, 0, "FILE", "gets [n_tokens, n_vocab] float32"},
    COMPUTE_FLAGS(struct options, session),
    {0},
};

/* "1,2,3" into ids [cap]; 0 when it is no such list or too long. */
static size_t read_ids(const char *text, int32_t *ids, size_t cap) {
    for (size_t n = 0; n < cap; text++) {
        char *end;
        errno = 0;
        long id = strtol(text, &end, 10);
        if (end == text || errno || id < 0 || id > INT32_MAX) return 0;
        ids[n++] = (int32_t)id;
        if (!*end) return n;
        if (*end != ',') return 0;
        text = end;
    }
    return 0;
}

static enum status write_file(const char *path, const float *data, size_t n, struct error *e) {
    FILE *f = fopen(path, "wb");
    if (!f) return error_set(e, ERR_IO, "%s: %s", path, strerror(errno));
    bool good = fwrite(data, sizeof *data, n, f) == n;
    if (fclose(f) || !good) return error_set(e, ERR_IO, "%s: %s", path, strerror(errno));
    return OK;
}

static enum status run(const struct session *s, const int32_t *ids, uint32_t n, const char *out, struct error *e) {
    struct client *c = s->policy.client;
    size_t n_out = engine_n_out(s->policy.engine);
    float *logits = mem_new(n, n_out * sizeof *logits);
    if (!logits) return error_set(e, ERR_MEMORY, "no memory for %u rows of %zu logits", n, n_out);
    struct span span = {.seq = engine_seq_new(c), .n_tokens = n, .n_out = n, .tokens = ids, .out = logits};
    enum status st = engine_run(c, &span, 1, NULL, e);
    if (!st) st = write_file(out, logits, n * n_out, e);
    if (!st) fprintf(stderr, "%s: %u rows of %zu float32\n", out, n, n_out);
    mem_free(logits);
    return st;
}

int cmd_logits(int argc, char **argv) {
    struct options o = {0};
    struct args a = {
        .command = "logits",
        .usage = "",
        .flags = flags,
        .options = &o,
        .about =
            "Writes the logits at every position; K and V are kept as f32 unless --cache-type-k says otherwise.\n"};
    struct session session;
    struct error e;
    int code = args_parse(&a, argc, argv);
    if (code != ARGS_GO_ON) return code;
    if (a.n_rest) return args_wrong(&a, "unexpected \"%.60s\"", a.rest[0]);
    if (!o.tokens || !o.out) return args_wrong(&a, "--%s is missing", o.tokens ? "out" : "tokens");
    size_t cap = strlen(o.tokens) + 1;
    int32_t *ids = mem_new(cap, sizeof *ids);
    size_t n = ids ? read_ids(o.tokens, ids, cap) : 0;
    if (!n) {
        mem_free(ids);
        return args_wrong(&a, "--tokens: \"%.60s\" is not a list of ids like 1,2,3", o.tokens);
    }
    struct session_size size = {.branches = 1, .usual_ctx = (uint32_t)n, .kv_type = KV_F32, .any_head = true};
    enum status s = session_open(&o.session, &size, &session, &e);
    if (!s) session_remark("logits", &session);
    if (!s && n > session.ctx) s = error_set(&e, ERR_INPUT, "--tokens: %zu ids, the context has %u", n, session.ctx);
    if (!s) s = run(&session, ids, (uint32_t)n, o.out, &e);
    code = s ? args_failed(&a, e.text) : EXIT_GOOD;
    session_close(&session);
    mem_free(ids);
    return code;
}
