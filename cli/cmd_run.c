/* cmd_run.c: continues a text, token by token, on stdout.
 * Not a chat and not a search.
 * Next: model/sample.h, cli/stream.h. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/rng.h"
#include "cli/cancel.h"
#include "cli/command.h"
#include "cli/input.h"
#include "cli/session.h"
#include "cli/stream.h"
#include "model/sample.h"

struct options {
    struct session_options session;
    const char *prompt, *file;
    int64_t n, seed, top_k, repeat_last_n;
    double temp, top_p, min_p, repeat, presence, frequency;
    struct flag_list bias, stops;
    bool special, ignore_eos, hide_prompt;
};

static const struct flag flags[] = {
    MODEL_FLAG(struct options, session),
    {"prompt", "p", FLAG_TEXT, offsetof(struct options, prompt), "", 0, 0, "TEXT", "the text to continue"},
    {"file", "f", FLAG_TEXT, offsetof(struct options, file), NULL, 0, 0, "FILE",
     "the text to continue, without a newline at its end; - = standard input"},
    {"special", "sp", FLAG_YES, offsetof(struct options, special), NULL, 0, 0, NULL,
     "names of control tokens in the prompt become those tokens, and those written are shown"},
    {"no-display-prompt", NULL, FLAG_YES, offsetof(struct options, hide_prompt), NULL, 0, 0, NULL,
     "write the continuation only"},
    {"predict", "n", FLAG_INT, offsetof(struct options, n), "-1", -1, 1e9, "N",
     "tokens to write; -1 = until the end or the context is full"},
    {"reverse-prompt", "r", FLAG_LIST, offsetof(struct options, stops), NULL, 0, 0, "TEXT",
     "stop before this text; may be given several times"},
    {"ignore-eos", NULL, FLAG_YES, offsetof(struct options, ignore_eos), NULL, 0, 0, NULL, "never end by a token"},
    {"temp", NULL, FLAG_REAL, offsetof(struct options, temp), "0.8", 0, 100, "X",
     "temperature; 0 = always the likeliest token"},
    {"top-k", NULL, FLAG_INT, offsetof(struct options, top_k), "40", 0, 1e9, "N", "only the N likeliest; 0 = all"},
    {"top-p", NULL, FLAG_REAL, offsetof(struct options, top_p), "0.95", 0, 1, "X",
     "only the likeliest with together this probability; 1 = all"},
    {"min-p", NULL, FLAG_REAL, offsetof(struct options, min_p), "0.05", 0, 1, "X",
     "only tokens this likely, the best one being 1; 0 = all"},
    {"repeat-last-n", NULL, FLAG_INT, offsetof(struct options, repeat_last_n), "64", -1, 1e9, "N",
     "the penalties look at the last N tokens; 0 = none, -1 = all"},
    {"repeat-penalty", NULL, FLAG_REAL, offsetof(struct options, repeat), "1", 1e-3, 1e3, "X",
     "divides positive logits of recent tokens and multiplies negative ones; 1 = off"},
    {"presence-penalty", NULL, FLAG_REAL, offsetof(struct options, presence), "0", -1e3, 1e3, "X",
     "taken from the logit of each recent token; 0 = off"},
    {"frequency-penalty", NULL, FLAG_REAL, offsetof(struct options, frequency), "0", -1e3, 1e3, "X",
     "taken from it for each time that it occurred; 0 = off"},
    {"logit-bias", "l", FLAG_LIST, offsetof(struct options, bias), NULL, 0, 0, "ID(+|-)X",
     "added to the logit of a token, -inf forbids it: 15043+1, 15043-inf; may be given several times"},
    {"seed", "s", FLAG_INT, offsetof(struct options, seed), "-1", -1, 9e15, "N",
     "same seed, same text; -1 = a new one"},
    COMPUTE_FLAGS(struct options, session),
    {0},
};

/* One text under way. */
struct writer {
    const struct options *o;
    struct session session;
    uint32_t seq, n_vocab;
    char *file;       /* what --file holds, or NULL */
    const char *text; /* [n_text] the prompt */
    size_t n_text;
    int32_t *ids; /* [n_ids] of ctx: prompt and continuation */
    size_t n_ids, n_prompt;
    float *logits; /* [n_vocab] */
    struct sample_scratch scratch;
    struct sample_bias bias[FLAG_LIST_CAP]; /* [o->bias.n] */
    uint64_t key;
    struct stream stream;
    const char *why; /* the text ended, where the reader cannot see it */
};

/* One trailing newline of a file is no part of the prompt: editors add it (llama.cpp's rule). */
static enum status read_text(struct writer *w, struct error *e) {
    const struct options *o = w->o;
    w->text = o->prompt, w->n_text = strlen(o->prompt);
    if (!o->file) return OK;
    enum status s = input_read(strcmp(o->file, "-") ? o->file : NULL, &w->file, &w->n_text, e);
    w->text = w->file;
    if (!s && w->n_text && w->text[w->n_text - 1] == '\n') w->n_text--;
    return s;
}

static enum status read_prompt(struct writer *w, struct error *e) {
    const struct tok *tok = w->session.tok;
    size_t ctx = w->session.ctx;
    enum status s = read_text(w, e);
    if (s) return s;
    if (!(w->ids = mem_new(ctx, sizeof *w->ids))) return error_set(e, ERR_MEMORY, "no memory for %zu tokens", ctx);
    s = tok_encode(tok, w->text, w->n_text, w->o->special, tok_adds_bos(tok), w->ids, ctx, &w->n_prompt, e);
    if (s) return s;
    if (!w->n_prompt) return error_set(e, ERR_INPUT, "--prompt: empty, and the model has no token to begin with");
    if (w->n_prompt > ctx)
        return error_set(e, ERR_INPUT, "--prompt: %zu tokens, the context has %zu", w->n_prompt, ctx);
    w->n_ids = w->n_prompt;
    return OK;
}

/* "15043+1", "15043-inf". */
static enum status parse_bias(struct writer *w, struct error *e) {
    for (int i = 0; i < w->o->bias.n; i++) {
        const char *text = w->o->bias.values[i];
        char *at, *end;
        unsigned long id = strtoul(text, &at, 10);
        double sign = *at == '-' ? -1 : 1, bias = (*at == '+' || *at == '-') ? strtod(at + 1, &end) : NAN;
        if (isnan(bias) || text[0] < '0' || text[0] > '9' || end == at + 1 || *end || bias < 0 ||
            (sign > 0 && isinf(bias)))
            return error_set(e, ERR_INPUT, "--logit-bias: \"%.60s\" is not of the form 15043+1 or 15043-inf", text);
        if (id >= w->n_vocab)
            return error_set(e, ERR_INPUT, "--logit-bias: token %lu, the model has 0 to %u", id, w->n_vocab - 1);
        w->bias[i] = (struct sample_bias){(int32_t)id, (float)(sign * bias)};
    }
    return OK;
}

static void choose_seed(struct writer *w) {
    const struct options *o = w->o;
    uint64_t seed = (uint64_t)o->seed;
    if (o->seed < 0 && getrandom(&seed, sizeof seed, 0) != sizeof seed) seed = clock_ns();
    if (o->seed < 0) seed %= 1000000000u; /* short enough to type again */
    w->key = rng_fold(seed, 0);
    if (o->temp > 0) fprintf(stderr, "seed %llu\n", (unsigned long long)seed);
}

static enum status open_writer(struct writer *w, const struct options *o, struct error *e) {
    struct session_size size = {.branches = 1, .max_rows = 512};
    enum status s = session_open(&o->session, &size, &w->session, e);
    if (s || (s = read_prompt(w, e))) return s;
    w->n_vocab = engine_n_out(w->session.policy.engine);
    w->logits = mem_new(w->n_vocab, sizeof *w->logits);
    w->scratch.p = mem_new(w->n_vocab, sizeof *w->scratch.p);
    w->scratch.ids = mem_new(w->n_vocab, sizeof *w->scratch.ids);
    if (!w->logits || !w->scratch.p || !w->scratch.ids)
        return error_set(e, ERR_MEMORY, "no memory for %u logits", w->n_vocab);
    if ((s = parse_bias(w, e))) return s;
    w->stream = (struct stream){.to = stdout, .stops = o->stops.values, .n_stops = (size_t)o->stops.n};
    w->seq = engine_seq_new(w->session.policy.engine);
    choose_seed(w);
    return OK;
}

static void close_writer(struct writer *w) {
    session_close(&w->session);
    mem_free(w->ids), mem_free(w->file), mem_free(w->logits), mem_free(w->scratch.p), mem_free(w->scratch.ids);
}

static enum status feed(struct writer *w, const int32_t *tokens, size_t n, struct error *e) {
    struct span span = {.seq = w->seq, .n_tokens = (uint32_t)n, .n_out = 1, .tokens = tokens, .out = w->logits};
    return engine_run(w->session.policy.engine, &span, 1, NULL, e);
}

/* Biases, penalties over the last tokens (the prompt's too), the draw. */
static int32_t next_token(struct writer *w) {
    const struct options *o = w->o;
    size_t last = o->repeat_last_n < 0 || (size_t)o->repeat_last_n > w->n_ids ? w->n_ids : (size_t)o->repeat_last_n;
    struct sample_penalties penalties = {(float)o->repeat, (float)o->presence, (float)o->frequency};
    struct sample_params sp = {
        .temperature = (float)o->temp, .top_k = (uint32_t)o->top_k, .top_p = (float)o->top_p, .min_p = (float)o->min_p};
    sample_add_bias(w->bias, (size_t)o->bias.n, w->logits, w->n_vocab);
    for (uint32_t id = 0; o->ignore_eos && id < w->n_vocab; id++)
        if (tok_is_end(w->session.tok, (int32_t)id)) w->logits[id] = -INFINITY;
    sample_penalize(&penalties, w->ids + w->n_ids - last, last, w->scratch.ids, w->logits, w->n_vocab);
    return sample_token(&sp, w->logits, w->n_vocab, w->key, w->n_ids - w->n_prompt, &w->scratch, NULL);
}

/* Until the end token, a stop string, -n, the context, Ctrl-C or a reader that went away. */
static enum status write_text(struct writer *w, uint64_t *n, struct error *e) {
    const struct options *o = w->o;
    const volatile int *cancel = cancel_install();
    enum status s = OK;
    bool stopped = false;
    while (!s && (o->n < 0 || *n < (uint64_t)o->n) && !*cancel && !ferror(stdout)) {
        int32_t id = next_token(w);
        if (id < 0) {
            s = error_set(e, ERR_INPUT, "no usable distribution (NaN, or every token forbidden) after %llu tokens",
                          (unsigned long long)*n);
            break;
        }
        if (tok_is_end(w->session.tok, id)) break;
        ++*n;
        struct gguf_string piece = tok_piece(w->session.tok, id, o->special);
        s = stream_put(&w->stream, piece.data, piece.size, &stopped, e);
        if (stopped) break;
        if (w->n_ids == w->session.ctx) {
            w->why = "; the context is full";
            break;
        }
        w->ids[w->n_ids++] = id;
        if (!s) s = feed(w, &id, 1, e);
    }
    stream_end(&w->stream);
    putchar('\n');
    return s;
}

static enum status run(struct writer *w, struct error *e) {
    uint64_t n = 0, start = clock_ns();
    enum status s = feed(w, w->ids, w->n_prompt, e);
    double prompt_s = (double)(clock_ns() - start) / 1e9;
    if (s) return s;
    if (!w->o->hide_prompt) fwrite(w->text, 1, w->n_text, stdout);
    start = clock_ns();
    s = write_text(w, &n, e);
    double text_s = (double)(clock_ns() - start) / 1e9;
    fprintf(stderr, "prompt: %zu tokens, %.1f tok/s; text: %llu tokens, %.1f tok/s%s\n", w->n_prompt,
            (double)w->n_prompt / prompt_s, (unsigned long long)n, (double)n / text_s, w->why ? w->why : "");
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
    struct writer w = {.o = &o};
    struct error e;
    int code = args_parse(&a, argc, argv);
    if (code != ARGS_GO_ON) return code;
    if (a.n_rest) return args_wrong(&a, "unexpected \"%.60s\"; the text comes with --prompt", a.rest[0]);
    if (o.file && args_given(&a, "prompt")) return args_wrong(&a, "--prompt and --file: give one of them");
    enum status s = open_writer(&w, &o, &e);
    if (!s) s = run(&w, &e);
    code = s ? args_failed(&a, e.text) : EXIT_GOOD;
    close_writer(&w);
    return code;
}
