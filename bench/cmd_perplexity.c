/* cmd_perplexity.c: how well a model predicts a text, counted as llama.cpp does, so that numbers can be compared.
 * Not a task: no prompt, no answer.
 * Next: docs/RUN.md.
 *
 * The text is cut into chunks of n_ctx tokens, the first one of each being replaced by BOS where the model adds it.  Only
 * the second half is scored: every scored token has at least n_ctx / 2 others before it.
 *   PPL = exp(mean of -log p),   error = PPL * standard error of that mean */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/input.h"
#include "base/mem.h"
#include "base/terminal.h"
#include "cli/cancel.h"
#include "cli/command.h"
#include "solve/session.h"

enum { DEFAULT_CTX = 512, ROWS = 64 }; /* ROWS: logits held at once; a whole chunk of a large vocabulary is too much */

struct options {
    struct session_options session;
    const char *file;
    int64_t chunks;
};

static const struct flag flags[] = {
    MODEL_FLAG(struct options, session),
    {"file", "f", FLAG_TEXT, offsetof(struct options, file), NULL, 0, 0, "FILE", "the text; - = standard input"},
    {"chunks", NULL, FLAG_INT, offsetof(struct options, chunks), "-1", -1, 1e9, "N", "at most N chunks; -1 = all"},
    COMPUTE_FLAGS(struct options, session),
    {0},
};

/* What has been scored. */
struct score {
    uint64_t n;
    double nll, nll2; /* sums of -log p and of its square */
};

struct text {
    const struct options *o;
    struct session session;
    uint32_t seq;
    int32_t *ids; /* [n_ids] */
    size_t n_ids, n_chunks;
    float *logits; /* [ROWS, n_vocab] */
};

/* -log softmax(logits)[id], in double. */
static double neg_log_prob(const float *logits, uint32_t n, int32_t id) {
    float max = logits[0];
    double sum = 0;
    for (uint32_t i = 1; i < n; i++) max = logits[i] > max ? logits[i] : max;
    for (uint32_t i = 0; i < n; i++) sum += expf(logits[i] - max);
    return log(sum) + max - logits[id];
}

/* One chunk [n]; ids[0] is overwritten where the model begins with BOS. */
static enum status score_chunk(struct text *t, int32_t *ids, uint32_t n, struct score *score, struct error *e) {
    struct client *c = t->session.policy.client;
    uint32_t n_vocab = engine_n_out(engine_of(c)), first = n / 2;
    struct span span = {.seq = t->seq, .n_tokens = first, .tokens = ids, .out = t->logits};
    if (tok_adds_bos(t->session.tok)) ids[0] = tok_bos(t->session.tok);
    engine_truncate(c, t->seq, 0);
    enum status s = engine_run(c, &span, 1, NULL, e);
    for (uint32_t at = first; !s && at < n - 1; at += span.n_tokens) {
        span.n_tokens = span.n_out = n - 1 - at < ROWS ? n - 1 - at : ROWS;
        span.tokens = ids + at;
        if ((s = engine_run(c, &span, 1, NULL, e))) break;
        double x[ROWS];
#pragma omp parallel for num_threads(t->session.threads)
        for (uint32_t i = 0; i < span.n_tokens; i++)
            x[i] = neg_log_prob(t->logits + (size_t)i * n_vocab, n_vocab, ids[at + i + 1]);
        for (uint32_t i = 0; i < span.n_tokens; i++) score->n++, score->nll += x[i], score->nll2 += x[i] * x[i];
    }
    return s;
}

/* In place on a terminal, else a line every ten seconds. */
static void show_progress(const struct terminal *term, size_t done, size_t n, const struct score *s, uint64_t start_ns,
                          uint64_t *shown_ns) {
    uint64_t now = clock_ns();
    double seconds = (double)(now - start_ns) / 1e9;
    if (!term->live && now - *shown_ns < 10000000000u) return;
    *shown_ns = now;
    fprintf(stderr, "%schunk %zu of %zu, PPL so far %.4f, %.0f s to go%s", term->live ? "\r\033[K" : "", done, n,
            exp(s->nll / (double)s->n), seconds / (double)done * (double)(n - done), term->live ? "" : "\n");
}

static enum status score_text(struct text *t, struct score *score, struct error *e) {
    const volatile int *cancel = cancel_install();
    struct terminal term = terminal_of(2);
    uint64_t start = clock_ns(), shown = start;
    uint32_t ctx = t->session.ctx;
    enum status s = OK;
    for (size_t i = 0; !s && i < t->n_chunks && !*cancel; i++) {
        s = score_chunk(t, t->ids + i * ctx, ctx, score, e);
        if (!s) show_progress(&term, i + 1, t->n_chunks, score, start, &shown);
        if (!s && !isfinite(score->nll))
            s = error_set(e, ERR_INPUT, "the model gave no usable distribution (NaN) in chunk %zu", i + 1);
    }
    if (term.live) fputs("\r\033[K", stderr);
    if (s) return s;
    double seconds = (double)(clock_ns() - start) / 1e9;
    size_t n_done = (size_t)(score->n / (ctx - 1 - ctx / 2));
    fprintf(stderr, "%zu chunks of %u tokens, %llu scored, %.1f s, %.1f tok/s%s\n", n_done, ctx,
            (unsigned long long)score->n, seconds, (double)n_done * ctx / seconds, *cancel ? ", stopped early" : "");
    return n_done ? OK : error_set(e, ERR_INPUT, "stopped before the first chunk was done");
}

/* One trailing newline of a file is no part of the text: llama.cpp's rule. */
static enum status read_text(struct text *t, struct error *e) {
    const struct tok *tok = t->session.tok;
    uint32_t ctx = t->session.ctx;
    char *text;
    size_t size;
    enum status s = input_read_bytes(t->o->file, &text, &size, e);
    if (s) return s;
    if (size && text[size - 1] == '\n') size--;
    s = tok_encode(tok, text, size, false, tok_adds_bos(tok), NULL, 0, &t->n_ids, e);
    if (!s && t->n_ids < 2 * (size_t)ctx)
        s = error_set(
            e, ERR_INPUT,
            "--file %s: %zu tokens; at least two contexts of %u are needed: give more text, or a smaller --ctx-size",
            t->o->file, t->n_ids, ctx);
    if (!s && !(t->ids = mem_new(t->n_ids, sizeof *t->ids)))
        s = error_set(e, ERR_MEMORY, "no memory for %zu ids", t->n_ids);
    if (!s) s = tok_encode(tok, text, size, false, tok_adds_bos(tok), t->ids, t->n_ids, &t->n_ids, e);
    mem_free(text);
    t->n_chunks = t->n_ids / ctx;
    if (t->o->chunks >= 0 && (size_t)t->o->chunks < t->n_chunks) t->n_chunks = (size_t)t->o->chunks;
    return s;
}

static enum status open_text(struct text *t, const struct options *o, struct error *e) {
    struct session_size size = {.branches = 1, .usual_ctx = DEFAULT_CTX};
    enum status s = session_open(&o->session, &size, &t->session, e);
    if (!s) session_remark("perplexity", &t->session);
    if (s) return s;
    if (t->session.ctx < 4) return error_set(e, ERR_INPUT, "--ctx-size %u: at least 4", t->session.ctx);
    if (tok_n_vocab(t->session.tok) > engine_n_out(t->session.policy.engine))
        return error_set(e, ERR_INPUT, "%s: more tokens than outputs", o->session.model);
    if ((s = read_text(t, e))) return s;
    t->logits = mem_new((size_t)ROWS * engine_n_out(t->session.policy.engine), sizeof *t->logits);
    if (!t->logits) return error_set(e, ERR_MEMORY, "no memory for %d rows of logits", ROWS);
    t->seq = engine_seq_new(t->session.policy.client);
    return OK;
}

static void print_result(const struct score *s) {
    double mean = s->nll / (double)s->n, var = s->nll2 / (double)s->n - mean * mean;
    double error = s->n > 1 && var > 0 ? sqrt(var / (double)(s->n - 1)) : 0;
    printf("Final estimate: PPL = %.4f +/- %.5f\n", exp(mean), error * exp(mean));
}

int cmd_perplexity(int argc, char **argv) {
    struct options o = {0};
    struct args a = {.command = "perplexity",
                     .usage = "",
                     .flags = flags,
                     .options = &o,
                     .about =
                         "Prints exp(mean -log p) of the text's tokens, chunk by chunk as llama.cpp counts it, in\n"
                         "contexts of 512 tokens (or the model's whole, if less) unless --ctx-size says otherwise.\n"};
    struct text t = {.o = &o};
    struct score score = {0};
    struct error e;
    int code = args_parse(&a, argc, argv);
    if (code != ARGS_GO_ON) return code;
    if (a.n_rest) return args_wrong(&a, "unexpected \"%.60s\"; the text comes with --file", a.rest[0]);
    if (!o.file) return args_wrong(&a, "--file is missing");
    if (!o.chunks) return args_wrong(&a, "--chunks 0: nothing to do");
    enum status s = open_text(&t, &o, &e);
    if (!s) s = score_text(&t, &score, &e);
    if (!s) print_result(&score);
    code = s ? args_failed(&a, e.text) : EXIT_GOOD;
    session_close(&t.session);
    mem_free(t.ids), mem_free(t.logits);
    return code;
}
