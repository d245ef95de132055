/* cmd_run.c: continues a text, token by token, on stdout.
 * Not a chat; with --search it hands over to run_search.c.
 * Next: model/sample.h, solve/stream.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "cli/cancel.h"
#include "cli/command.h"
#include "base/input.h"
#include "solve/memory.h"
#include "cli/run_search.h"
#include "cli/search_flags.h"
#include "solve/sampling.h"
#include "solve/session.h"
#include "solve/speculative.h"
#include "solve/stream.h"

struct options {
    struct session_options session;
    const char *prompt, *file;
    struct sampling_options sampling;
    struct speculative_options speculative;
    struct search_options search;
    bool special, escape, no_escape, hide_prompt;
};

static const struct flag flags[] = {
    MODEL_FLAG(struct options, session),
    {"prompt", "p", FLAG_TEXT, offsetof(struct options, prompt), "", 0, 0, "TEXT", "the text to continue"},
    {"escape", "e", FLAG_YES, offsetof(struct options, escape), NULL, 0, 0, NULL,
     "\\n \\r \\t \\' \\\" \\\\ \\xHH in --prompt and --reverse-prompt are what C takes them for (the default)"},
    {"no-escape", NULL, FLAG_YES, offsetof(struct options, no_escape), NULL, 0, 0, NULL, "they are taken as they are"},
    {"file", "f", FLAG_TEXT, offsetof(struct options, file), NULL, 0, 0, "FILE",
     "the text to continue, without a newline at its end; - = standard input"},
    {"special", "sp", FLAG_YES, offsetof(struct options, special), NULL, 0, 0, NULL,
     "names of control tokens in the prompt become those tokens, and those written are shown"},
    {"no-display-prompt", NULL, FLAG_YES, offsetof(struct options, hide_prompt), NULL, 0, 0, NULL,
     "write the continuation only"},
    SAMPLING_FLAGS(struct options, sampling),
    SPECULATIVE_FLAGS(struct options, speculative),
    PRM_FLAG(struct options, session),
    VERIFIER_FLAG(struct options, session),
    COMPUTE_FLAGS(struct options, session),
    COLOR_FLAGS,
    {0},
};

/* One text under way. */
struct writer {
    const struct options *o;
    struct session session;
    uint32_t seq;
    char *file;       /* what --file holds, or NULL */
    const char *text; /* [n_text] the prompt */
    size_t n_text;
    int32_t *ids; /* [n_ids] of ctx + 1: prompt and continuation, then what is known already */
    size_t n_ids, n_prompt, n_known;
    struct sampling sampling;
    struct speculative speculative; /* without a speculator: token by token */
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
    if (!(w->ids = mem_new(ctx + 1, sizeof *w->ids))) return error_set(e, ERR_MEMORY, "no memory for %zu tokens", ctx);
    s = tok_encode(tok, w->text, w->n_text, w->o->special, tok_adds_bos(tok), w->ids, ctx, &w->n_prompt, e);
    if (s) return s;
    if (!w->n_prompt) return error_set(e, ERR_INPUT, "--prompt: empty, and the model has no token to begin with");
    if (w->n_prompt > ctx)
        return error_set(e, ERR_INPUT, "--prompt: %zu tokens, the context has %zu", w->n_prompt, ctx);
    w->n_ids = w->n_known = w->n_prompt;
    return OK;
}

static enum status open_writer(struct writer *w, const struct options *o, struct error *e) {
    struct session_size size = {.branches = 1};
    enum status s = session_open(&o->session, &size, &w->session, e);
    if (s || (s = read_prompt(w, e))) return s;
    if ((s = speculative_open(&o->speculative, &w->session, &w->speculative, e))) return s;
    w->stream =
        (struct stream){.to = stdout, .stops = o->sampling.stops.values, .n_stops = (size_t)o->sampling.stops.n};
    w->seq = engine_seq_new(w->session.policy.client);
    s = sampling_open(&o->sampling, w->session.tok, engine_n_out(w->session.policy.engine), &w->sampling, e);
    return s ? s : speculative_begin(&w->speculative, &w->sampling, w->seq, e);
}

static void close_writer(struct writer *w) {
    speculative_close(&w->speculative);
    session_close(&w->session);
    sampling_close(&w->sampling);
    mem_free(w->ids), mem_free(w->file);
}

static enum status feed(struct writer *w, const int32_t *tokens, size_t n, struct error *e) {
    struct span span = {
        .seq = w->seq, .n_tokens = (uint32_t)n, .n_out = n > 0, .tokens = tokens, .out = w->sampling.logits};
    return engine_run(w->session.policy.client, &span, 1, NULL, e);
}

/* One pass a token, or several tokens from one pass; n: tokens written so far. */
static enum status next_token(struct writer *w, uint64_t n, int32_t *id, struct error *e) {
    enum status s = OK;
    size_t cap = (size_t)w->session.ctx + 1, more = 0;
    int64_t most = w->o->sampling.n;
    if (!w->speculative.speculator) {
        if (w->n_ids > w->n_prompt) s = feed(w, w->ids + w->n_ids - 1, 1, e);
        return s ? s : sampling_next(&w->sampling, w->ids, w->n_ids, id, e);
    }
    if (most >= 0 && cap > w->n_ids + ((uint64_t)most - n)) cap = w->n_ids + ((uint64_t)most - n);
    if (w->n_known == w->n_ids) s = speculate_step(w->speculative.speculator, w->ids, w->n_ids, cap, &more, e);
    w->n_known += more;
    *id = w->ids[w->n_ids];
    return s;
}

/* Until the end token, a stop string, -n, the context, Ctrl-C or a reader that went away. */
static enum status write_text(struct writer *w, uint64_t *n, struct error *e) {
    int64_t most = w->o->sampling.n;
    const volatile int *cancel = cancel_install();
    enum status s = OK;
    bool stopped = false;
    int32_t id;
    while (!s && (most < 0 || *n < (uint64_t)most) && !*cancel && !ferror(stdout)) {
        s = next_token(w, *n, &id, e);
        if (s || tok_is_end(w->session.tok, id)) break;
        ++*n;
        struct gguf_string piece = tok_piece(w->session.tok, id, w->o->special);
        s = stream_put(&w->stream, piece.data, piece.size, &stopped, e);
        if (stopped) break;
        if (w->n_ids == w->session.ctx) {
            w->why = "; the context is full";
            break;
        }
        w->ids[w->n_ids++] = id;
    }
    stream_end(&w->stream);
    putchar('\n');
    fflush(stdout); /* what comes next is on stderr */
    return s;
}

static enum status run(struct writer *w, struct error *e) {
    uint64_t n = 0, start = clock_ns();
    /* Who guesses reads the last token of the prompt together with the first guesses. */
    enum status s = feed(w, w->ids, w->n_prompt - (w->speculative.speculator != NULL), e);
    double prompt_s = (double)(clock_ns() - start) / 1e9;
    if (s) return s;
    if (!w->o->hide_prompt) fwrite(w->text, 1, w->n_text, stdout);
    start = clock_ns();
    s = write_text(w, &n, e);
    double text_s = (double)(clock_ns() - start) / 1e9;
    fprintf(stderr, "prompt: %zu tokens, %.1f tok/s; text: %llu tokens, %.1f tok/s; %.1f MB%s\n", w->n_prompt,
            (double)w->n_prompt / prompt_s, (unsigned long long)n, (double)n / text_s, (double)memory_peak() / 1e6,
            w->why ? w->why : "");
    if (w->speculative.speculator) speculative_report(&w->speculative, n);
    return s;
}

/* The words of the command line are changed in place: they only get shorter. */
static void unescape_all(struct options *o, const struct args *a) {
    if (args_given(a, "prompt")) input_unescape((char *)o->prompt);
    for (int i = 0; i < o->sampling.stops.n; i++) input_unescape((char *)o->sampling.stops.values[i]);
}

static int searched(const struct args *a, struct options *o) {
    struct writer w = {.o = o};
    struct error e;
    struct run_search r = {&o->session, &o->search, &o->sampling, NULL, o->special, o->hide_prompt};
    int code = read_text(&w, &e) ? args_failed(a, e.text) : ARGS_GO_ON;
    char *text = code == ARGS_GO_ON ? mem_new(w.n_text + 1, 1) : NULL;
    if (text) memcpy(text, w.text, w.n_text);
    if (code == ARGS_GO_ON && !text) code = args_failed(a, "no memory for the prompt");
    else if (text && strlen(text) != w.n_text) code = args_failed(a, "--file: holds a NUL byte");
    r.text = text;
    if (code == ARGS_GO_ON) code = run_search(a, &r);
    mem_free(text), mem_free(w.file);
    return code;
}

int cmd_run(int argc, char **argv) {
    struct options o = {.search = SEARCH_OPTIONS};
    struct args a = {
        .command = "run",
        .usage = "",
        .flags = flags,
        .options = &o,
        .parts = {{search_flags, &o.search}, {strategy_flags(), &o.search}},
        .about = "Writes the prompt and its continuation on stdout.  Flags mean what they mean in llama.cpp.\n"};
    struct writer w = {.o = &o};
    struct error e;
    int code = args_parse(&a, argc, argv);
    if (code != ARGS_GO_ON) return code;
    if (a.n_rest) return args_wrong(&a, "unexpected \"%.60s\"; the text comes with --prompt", a.rest[0]);
    if (o.file && args_given(&a, "prompt")) return args_wrong(&a, "--prompt and --file: give one of them");
    if (!o.no_escape) unescape_all(&o, &a);
    if (o.search.search) return searched(&a, &o);
    const char *alone = search_flag_given(&a);
    if (alone) return args_wrong(&a, "--%s: needs --search", alone);
    enum status s = open_writer(&w, &o, &e);
    if (!s) s = run(&w, &e);
    code = s ? args_failed(&a, e.text) : EXIT_GOOD;
    close_writer(&w);
    return code;
}
