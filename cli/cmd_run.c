/* cmd_run.c: continues a text, token by token, on stdout.
 * Not a chat; with --search it hands over to run_search.c.
 * Next: model/write.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/input.h"
#include "base/mem.h"
#include "cli/cancel.h"
#include "cli/command.h"
#include "cli/flags_llama.h"
#include "cli/flags_sampling.h"
#include "cli/run_search.h"
#include "cli/search_flags.h"
#include "cli/text_out.h"
#include "solve/memory.h"

struct options {
    struct session_options session;
    const char *prompt, *file;
    struct sampling_options sampling;
    struct speculative_options speculative;
    struct search_options search;
    const char *trace;
    bool special, escape, no_escape, hide_prompt, quiet, explain;
};

/* clang-format off */
#define AT(field) offsetof(struct options, field)
static const struct flag flags[] = {
    MODEL_FLAG(struct options, session),
    {"prompt", "p", FLAG_TEXT, AT(prompt), "", 0, 0, "TEXT", "the text to continue (default: standard input, if that is a pipe or a file)"},
    {"escape", "e", FLAG_YES, AT(escape), NULL, 0, 0, NULL, "\\n \\r \\t \\' \\\" \\\\ \\xHH in --prompt and --reverse-prompt are what C takes them for (the default)"},
    {"no-escape", NULL, FLAG_YES, AT(no_escape), NULL, 0, 0, NULL, "they are taken as they are"},
    {"file", "f", FLAG_TEXT, AT(file), NULL, 0, 0, "FILE", "the text to continue, without a newline at its end; - = standard input"},
    {"special", "sp", FLAG_YES, AT(special), NULL, 0, 0, NULL, "names of control tokens in the prompt become those tokens, and those written are shown"},
    {"no-display-prompt", NULL, FLAG_YES, AT(hide_prompt), NULL, 0, 0, NULL, "write the continuation only"},
    {"no-perf", NULL, FLAG_YES, AT(quiet), NULL, 0, 0, NULL, "no line about tokens and time on stderr (also --log-disable)"},
    SAMPLING_FLAGS(struct options, sampling),
    SPECULATIVE_FLAGS(struct options, speculative),
    VALUE_FLAGS(struct options, session),
    TRACE_FLAG(struct options, trace),
    EXPLAIN_FLAG(struct options, explain),
    COMPUTE_FLAGS(struct options, session),
    COLOR_FLAGS,
    {0},
};
/* clang-format on */

/* One text under way. */
struct written {
    const struct options *o;
    struct session session;
    char *file;         /* what --file holds, or NULL */
    const char *prompt; /* [n_prompt] */
    size_t n_prompt;
    struct sampling sampling;
    struct speculative speculative;
    struct writer *writer;
    struct text_rules rules;
    struct text text;
    uint32_t n_prompt_tokens;
    struct stream stream;
    uint64_t first_ns; /* when the first token was there */
};

/* One trailing newline of a file is no part of the prompt: editors add it (llama.cpp's rule). */
static enum status read_text(struct written *w, struct error *e) {
    const struct options *o = w->o;
    w->prompt = o->prompt, w->n_prompt = strlen(o->prompt);
    if (!o->file) return OK;
    enum status s = input_read(strcmp(o->file, "-") ? o->file : NULL, &w->file, &w->n_prompt, e);
    w->prompt = w->file;
    if (!s && w->n_prompt && w->prompt[w->n_prompt - 1] == '\n') w->n_prompt--;
    return s;
}

static void show(void *arg, const char *text, size_t size) {
    (void)arg;
    fwrite(text, 1, size, stdout);
    fflush(stdout);
}

/* A reader that went away ends the text. */
static bool on_token(void *arg, struct text *t, int32_t id, float logprob) {
    struct written *w = arg;
    (void)id, (void)logprob;
    if (t->n_drawn == 1) w->first_ns = clock_ns();
    return ferror(stdout);
}

static enum status read_prompt(struct written *w, struct error *e) {
    const struct tok *tok = w->session.tok;
    size_t ctx = w->session.ctx, n;
    struct text *t = &w->text;
    enum status s = read_text(w, e);
    if (s) return s;
    if (!(t->ids = mem_new(ctx + 1, sizeof *t->ids))) return error_set(e, ERR_MEMORY, "no memory for %zu tokens", ctx);
    s = tok_encode(tok, w->prompt, w->n_prompt, w->o->special, tok_adds_bos(tok), t->ids, ctx, &n, e);
    if (s) return s;
    if (!n) return error_set(e, ERR_INPUT, "--prompt: empty, and the model has no token to begin with");
    if (n > ctx) return error_set(e, ERR_INPUT, "--prompt: %zu tokens, the context has %zu", n, ctx);
    t->n_ids = w->n_prompt_tokens = (uint32_t)n;
    t->cap_ids = (uint32_t)ctx + 1; /* the last one is not read */
    return OK;
}

static enum status open_written(struct written *w, const struct options *o, struct error *e) {
    struct session_size size = {.branches = 1};
    enum status s = session_open(&o->session, &size, &w->session, e);
    struct client *client = w->session.policy.client;
    if (!s) s = read_prompt(w, e);
    if (!s) s = sampling_open(&o->sampling, w->session.tok, engine_n_out(engine_of(client)), &w->sampling, e);
    if (!s) s = speculative_open(&o->speculative, &w->session, &w->speculative, e);
    if (!s) s = writer_new(client, 1, w->speculative.max_guesses, &w->writer, e);
    if (s) return s;
    w->stream =
        (struct stream){.write = show, .stops = o->sampling.stops.values, .n_stops = (size_t)o->sampling.stops.n};
    w->rules = w->sampling.rules;
    w->rules.special = o->special, w->rules.on_token = on_token;
    w->text.rules = &w->rules, w->text.arg = w;
    w->text.seq = engine_seq_new(client);
    w->text.key = w->sampling.key, w->text.temperature = w->sampling.temperature;
    w->text.max_tokens = o->sampling.n > 0 ? (uint32_t)o->sampling.n : 0;
    w->text.speculator = w->speculative.speculator;
    w->text.stream = &w->stream;
    return OK;
}

static void close_written(struct written *w) {
    writer_free(&w->writer);
    speculative_close(&w->speculative);
    session_close(&w->session);
    grammar_constraint.free(w->text.state);
    sampling_close(&w->sampling);
    mem_free(w->text.ids), mem_free(w->file);
}

/* Until the end token, a stop string, -n, the context, Ctrl-C or a reader that went away. */
static enum status run(struct written *w, struct error *e) {
    struct text *t = &w->text;
    enum status s = OK;
    uint64_t start = clock_ns();
    engine_set_limits(w->session.policy.client, 0, cancel_install());
    if (!w->o->hide_prompt) fwrite(w->prompt, 1, w->n_prompt, stdout);
    fflush(stdout);
    if (w->o->sampling.n) s = sampling_begin(&w->sampling, false, &t->state, e);
    if (!s && w->o->sampling.n) s = write_some(w->writer, &t, 1, NULL, NULL, e);
    if (!s && t->end == TEXT_DEAD)
        s = error_set(e, ERR_INPUT, "no usable distribution (NaN, or every token forbidden) for token %llu",
                      (unsigned long long)t->counter + 1);
    stream_end(&w->stream);
    if (w->o->sampling.n) putchar('\n');
    fflush(stdout); /* what comes next is on stderr */
    if (!w->first_ns) w->first_ns = clock_ns();
    double prompt_s = (double)(w->first_ns - start) / 1e9, text_s = (double)(clock_ns() - w->first_ns) / 1e9;
    uint32_t n = t->n_drawn - (t->end == TEXT_END_TOKEN);
    if (w->o->quiet) return s;
    fprintf(stderr, "prompt: %u tokens, %.1f tok/s; text: %u tokens, %.1f tok/s; %.1f MB%s\n", w->n_prompt_tokens,
            w->n_prompt_tokens / prompt_s, n, n / text_s, (double)memory_peak() / 1e6,
            t->end == TEXT_FULL ? "; the context is full" : "");
    text_out_guesses(w->speculative.speculator, n);
    return s;
}

/* The words of the command line are changed in place: they only get shorter. */
static void unescape_all(struct options *o, const struct args *a) {
    if (args_given(a, "prompt")) input_unescape((char *)o->prompt);
    for (int i = 0; i < o->sampling.stops.n; i++) input_unescape((char *)o->sampling.stops.values[i]);
}

static int searched(const struct args *a, struct options *o) {
    struct written w = {.o = o};
    struct error e;
    struct run_search r = {.session = &o->session,
                           .search = &o->search,
                           .sampling = &o->sampling,
                           .speculative = &o->speculative,
                           .special = o->special,
                           .hide_prompt = o->hide_prompt,
                           .explain = o->explain,
                           .trace = o->trace};
    o->session.draft = o->speculative.model;
    int code = read_text(&w, &e) ? args_failed(a, e.text) : ARGS_GO_ON;
    char *text = code == ARGS_GO_ON ? mem_new(w.n_prompt + 1, 1) : NULL;
    if (text) memcpy(text, w.prompt, w.n_prompt);
    if (code == ARGS_GO_ON && !text) code = args_failed(a, "no memory for the prompt");
    else if (text && strlen(text) != w.n_prompt) code = args_failed(a, "--file: holds a NUL byte");
    r.text = text;
    if (code == ARGS_GO_ON) code = run_search(a, &r);
    mem_free(text), mem_free(w.file);
    return code;
}

/* Somebody put a text there: a terminal has none yet, and neither has /dev/null. */
static bool is_piped(int fd) {
    struct stat st;
    return !fstat(fd, &st) && (S_ISFIFO(st.st_mode) || S_ISREG(st.st_mode) || S_ISSOCK(st.st_mode));
}

int cmd_run(int argc, char **argv) {
    struct options o = {.search = SEARCH_OPTIONS};
    struct args a = {
        .command = "run",
        .usage = "",
        .flags = flags,
        .options = &o,
        .parts = {{search_flags, &o.search}, {strategy_flags(), &o.search}, {llama_flags, &o}, {llama_run_flags, &o}},
        .about = "Writes the prompt and its continuation on stdout.  Flags mean what they mean in llama.cpp.\n"};
    struct written w = {.o = &o};
    struct error e;
    int code = args_parse(&a, argc, argv);
    if (code != ARGS_GO_ON) return code;
    if (a.n_rest) return args_wrong(&a, "unexpected \"%.60s\"; the text comes with --prompt", a.rest[0]);
    if (o.file && args_given(&a, "prompt")) return args_wrong(&a, "--prompt and --file: give one of them");
    if (!o.file && !args_given(&a, "prompt") && is_piped(STDIN_FILENO)) o.file = "-";
    if (sampling_check(&o.sampling, &e) || speculative_check(&o.speculative, &e)) return args_wrong(&a, "%s", e.text);
    if (!o.no_escape) unescape_all(&o, &a);
    if (o.search.search) return searched(&a, &o);
    const char *alone = o.trace ? "trace" : o.explain ? "explain" : search_flag_given(&a);
    if (alone) return args_wrong(&a, "--%s: needs --search", alone);
    enum status s = open_written(&w, &o, &e);
    if (!s) {
        session_remark("run", &w.session);
        if (w.sampling.temperature > 0) fprintf(stderr, "seed %llu\n", (unsigned long long)w.sampling.seed);
        s = run(&w, &e);
    }
    code = s ? args_failed(&a, e.text) : EXIT_GOOD;
    close_written(&w);
    return code;
}
