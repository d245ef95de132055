/* cmd_run.c: continues a text, token by token, on stdout.
 * Not a chat and not a search.
 * Next: model/sample.h. */
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/rng.h"
#include "cli/cancel.h"
#include "cli/command.h"
#include "cli/session.h"
#include "model/sample.h"

struct options {
    struct session_options session;
    const char *prompt;
    int64_t n, seed, top_k;
    double temp, top_p, min_p;
};

static const struct flag flags[] = {
    MODEL_FLAG(struct options, session),
    {"prompt", "p", FLAG_TEXT, offsetof(struct options, prompt), "", 0, 0, "TEXT", "the text to continue"},
    {"predict", "n", FLAG_INT, offsetof(struct options, n), "-1", -1, 1e9, "N",
     "tokens to write; -1 = until the end or the context is full"},
    {"temp", NULL, FLAG_REAL, offsetof(struct options, temp), "0.8", 0, 100, "X",
     "temperature; 0 = always the likeliest token"},
    {"top-k", NULL, FLAG_INT, offsetof(struct options, top_k), "40", 0, 1e9, "N", "only the N likeliest; 0 = all"},
    {"top-p", NULL, FLAG_REAL, offsetof(struct options, top_p), "0.95", 0, 1, "X",
     "only the likeliest with together this probability; 1 = all"},
    {"min-p", NULL, FLAG_REAL, offsetof(struct options, min_p), "0.05", 0, 1, "X",
     "only tokens this likely, the best one being 1; 0 = all"},
    {"seed", "s", FLAG_INT, offsetof(struct options, seed), "-1", -1, 9e15, "N",
     "same seed, same text; -1 = a new one"},
    COMPUTE_FLAGS(struct options, session),
    {0},
};

/* One text under way. */
struct writer {
    const struct options *o;
    struct session session;
    uint32_t seq;
    int32_t *prompt; /* [n_prompt] */
    size_t n_prompt;
    float *logits; /* [n_vocab] */
    struct sample_scratch scratch;
    uint64_t key;
    char held[8]; /* the beginning of a character whose bytes are still to come */
    size_t n_held;
};

/* Bytes that the character beginning with c has; 1 for what begins none. */
static size_t utf8_size(unsigned char c) { return c >= 0xF0 && c < 0xF8 ? 4 : c >= 0xE0 ? 3 : c >= 0xC0 ? 2 : 1; }

/* Writes whole characters; the rest waits. */
static void stream(struct writer *w, struct gguf_string piece) {
    for (size_t i = 0; i < piece.size; i++) {
        unsigned char c = (unsigned char)piece.data[i];
        bool continues = (c & 0xC0) == 0x80;
        if (w->n_held && !continues) fwrite(w->held, 1, w->n_held, stdout), w->n_held = 0;
        w->held[w->n_held++] = (char)c;
        if (w->n_held >= utf8_size((unsigned char)w->held[0])) fwrite(w->held, 1, w->n_held, stdout), w->n_held = 0;
    }
    fflush(stdout);
}

static enum status read_prompt(struct writer *w, struct error *e) {
    const struct tok *tok = w->session.tok;
    size_t size = strlen(w->o->prompt);
    enum status s = tok_encode(tok, w->o->prompt, size, false, tok_adds_bos(tok), NULL, 0, &w->n_prompt, e);
    if (s) return s;
    if (!w->n_prompt) return error_set(e, ERR_INPUT, "--prompt: empty, and the model has no token to begin with");
    if (w->n_prompt > w->session.ctx)
        return error_set(e, ERR_INPUT, "--prompt: %zu tokens, the context has %u", w->n_prompt, w->session.ctx);
    if (!(w->prompt = mem_new(w->n_prompt, sizeof *w->prompt)))
        return error_set(e, ERR_MEMORY, "no memory for the prompt");
    return tok_encode(tok, w->o->prompt, size, false, tok_adds_bos(tok), w->prompt, w->n_prompt, &w->n_prompt, e);
}

static enum status open_writer(struct writer *w, const struct options *o, struct error *e) {
    struct session_size size = {.branches = 1, .max_rows = 512};
    *w = (struct writer){.o = o};
    enum status s = session_open(&o->session, &size, &w->session, e);
    if (s || (s = read_prompt(w, e))) return s;
    uint32_t n_vocab = engine_n_out(w->session.policy.engine);
    w->logits = mem_new(n_vocab, sizeof *w->logits);
    w->scratch.p = mem_new(n_vocab, sizeof *w->scratch.p);
    w->scratch.ids = mem_new(n_vocab, sizeof *w->scratch.ids);
    if (!w->logits || !w->scratch.p || !w->scratch.ids)
        return error_set(e, ERR_MEMORY, "no memory for %u logits", n_vocab);
    w->seq = engine_seq_new(w->session.policy.engine);
    uint64_t seed = (uint64_t)o->seed;
    if (o->seed < 0 && getrandom(&seed, sizeof seed, 0) != sizeof seed) seed = clock_ns();
    if (o->seed < 0) seed %= 1000000000u; /* short enough to type again */
    w->key = rng_fold(seed, 0);
    if (o->temp > 0) fprintf(stderr, "seed %llu\n", (unsigned long long)seed);
    return OK;
}

static void close_writer(struct writer *w) {
    session_close(&w->session);
    mem_free(w->prompt), mem_free(w->logits), mem_free(w->scratch.p), mem_free(w->scratch.ids);
}

static enum status feed(struct writer *w, const int32_t *tokens, size_t n, struct error *e) {
    struct span span = {.seq = w->seq, .n_tokens = (uint32_t)n, .n_out = 1, .tokens = tokens, .out = w->logits};
    return engine_run(w->session.policy.engine, &span, 1, NULL, e);
}

/* Until the end token, -n, the context, Ctrl-C or a reader that went away. */
static enum status write_text(struct writer *w, uint64_t *n, struct error *e) {
    const struct options *o = w->o;
    const volatile int *cancel = cancel_install();
    struct sample_params sp = {
        .temperature = (float)o->temp, .top_k = (uint32_t)o->top_k, .top_p = (float)o->top_p, .min_p = (float)o->min_p};
    enum status s = OK;
    while ((o->n < 0 || *n < (uint64_t)o->n) && !*cancel && !ferror(stdout)) {
        int32_t id =
            sample_token(&sp, w->logits, engine_n_out(w->session.policy.engine), w->key, *n, &w->scratch, NULL);
        if (id < 0)
            return error_set(e, ERR_INPUT, "the model gave no usable distribution (NaN) after %llu tokens",
                             (unsigned long long)*n);
        if (tok_is_end(w->session.tok, id)) break;
        ++*n;
        stream(w, tok_piece(w->session.tok, id, false));
        if (w->n_prompt + *n >= w->session.ctx) break;
        if ((s = feed(w, &id, 1, e))) break;
    }
    fwrite(w->held, 1, w->n_held, stdout);
    putchar('\n');
    return s;
}

static enum status run(struct writer *w, struct error *e) {
    uint64_t n = 0, start = clock_ns();
    enum status s = feed(w, w->prompt, w->n_prompt, e);
    double prompt_s = (double)(clock_ns() - start) / 1e9;
    if (s) return s;
    fputs(w->o->prompt, stdout);
    start = clock_ns();
    s = write_text(w, &n, e);
    double text_s = (double)(clock_ns() - start) / 1e9;
    fprintf(stderr, "prompt: %zu tokens, %.0f/s; text: %llu tokens, %.0f/s\n", w->n_prompt,
            (double)w->n_prompt / prompt_s, (unsigned long long)n, (double)n / text_s);
    return s;
}

int cmd_run(int argc, char **argv) {
    struct options o = {0};
    struct args a = {
        .command = "run",
        .usage = "",
        .flags = flags,
        .options = &o,
        .about = "Writes the prompt and its continuation on stdout.  Flags mean what they mean in llama.cpp.\n"};
    struct writer w;
    struct error e;
    int code = args_parse(&a, argc, argv);
    if (code != ARGS_GO_ON) return code;
    if (a.n_rest) return args_wrong(&a, "unexpected \"%.60s\"; the text comes with --prompt", a.rest[0]);
    enum status s = open_writer(&w, &o, &e);
    if (!s) s = run(&w, &e);
    code = s ? args_failed(&a, e.text) : EXIT_GOOD;
    close_writer(&w);
    return code;
}
