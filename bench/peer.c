/* peer.c: see peer.h.
 * Not a shell: the program is started directly, with our words as its arguments.
 * Next: docs/BENCH.md for what the two programs measure. */
#include "bench/peer.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/mem.h"

extern char **environ;

enum { MAX_WORDS = 40, LIST_BYTES = 400, MAX_OUTPUT = 1 << 22, LOG_BYTES = 2000 };

/* Everything that can be read from fd, up to a limit, NUL-terminated; NULL when memory is out. */
static char *read_all(int fd) {
    size_t n = 0, cap = 1 << 16;
    char *text = mem_new(cap, 1);
    while (text) {
        ssize_t got = read(fd, text + n, cap - n - 1);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) break;
        n += (size_t)got;
        if (n + 1 < cap) continue;
        if (cap >= MAX_OUTPUT) break;
        char *more = mem_grow(text, cap, 2 * cap, 1);
        if (!more) mem_free(text);
        text = more, cap *= 2;
    }
    return text;
}

/* The last line that says something, for an error text. */
static void last_line(FILE *log, char *line, size_t cap) {
    char text[LOG_BYTES], *end;
    *line = 0;
    if (fseek(log, -(long)sizeof text + 1, SEEK_END)) rewind(log);
    text[fread(text, 1, sizeof text - 1, log)] = 0;
    while ((end = strrchr(text, '\n')) && !end[1]) *end = 0;
    snprintf(line, cap, "%.150s", end ? end + 1 : text);
    for (char *c = line; *c; c++)
        if (*c < ' ' || *c > '~') *c = '?';
}

static enum status start(char *const words[], int out, int log, pid_t *pid, struct error *e) {
    posix_spawn_file_actions_t files;
    posix_spawn_file_actions_init(&files);
    posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&files, out, 1);
    posix_spawn_file_actions_adddup2(&files, log, 2);
    int code = posix_spawnp(pid, words[0], &files, NULL, words, environ);
    posix_spawn_file_actions_destroy(&files);
    return code ? error_set(e, ERR_INPUT, "%s: cannot be run: %s", words[0], strerror(code)) : OK;
}

/* *text: what the program wrote to stdout; the caller frees it. */
static enum status run(char *const words[], char **text, struct error *e) {
    int ends[2], code = 0;
    pid_t pid;
    char line[160];
    FILE *log = tmpfile();
    *text = NULL;
    if (!log || pipe2(ends, O_CLOEXEC)) {
        if (log) fclose(log);
        return error_set(e, ERR_IO, "%s: cannot be run: %s", words[0], strerror(errno));
    }
    enum status s = start(words, ends[1], fileno(log), &pid, e);
    close(ends[1]);
    if (!s) {
        *text = read_all(ends[0]);
        while (waitpid(pid, &code, 0) < 0 && errno == EINTR) {}
        last_line(log, line, sizeof line);
        if (!*text) s = error_set(e, ERR_MEMORY, "no memory for the output of %s", words[0]);
        else if (code)
            s = error_set(e, ERR_INPUT, "%s: failed (%s %d)%s%s", words[0], WIFEXITED(code) ? "exit code" : "signal",
                          WIFEXITED(code) ? WEXITSTATUS(code) : WTERMSIG(code), *line ? ": " : "", line);
    }
    close(ends[0]);
    fclose(log);
    return s;
}

/* Appends a number to a list "1,4" unless it is there; the cases repeat them. */
static void add_number(char list[LIST_BYTES], uint32_t x) {
    char text[16], padded[LIST_BYTES + 2], wanted[18];
    snprintf(text, sizeof text, "%u", x);
    snprintf(padded, sizeof padded, ",%s,", list);
    snprintf(wanted, sizeof wanted, ",%s,", text);
    if (strstr(padded, wanted)) return;
    size_t n = strlen(list);
    snprintf(list + n, LIST_BYTES - n, "%s%s", n ? "," : "", text);
}

/* A command line and the texts that it points to. */
struct line {
    char *words[MAX_WORDS];
    int n;
    char prompts[LIST_BYTES], depths[LIST_BYTES], branches[LIST_BYTES], gen[16], threads[16], ubatch[16], ctx[16];
};

static void add_words(struct line *l, const char *const *words) {
    for (; *words && l->n + 1 < MAX_WORDS; words++) l->words[l->n++] = (char *)(uintptr_t)*words;
    l->words[l->n] = NULL;
}

static void fill_line(struct line *l, const struct peer *p, const struct bench_case *cases, size_t n) {
    uint32_t ctx = 0;
    *l = (struct line){.n = 0};
    for (size_t i = 0; i < n; i++) {
        uint32_t need = cases[i].depth + cases[i].branches * cases[i].gen;
        ctx = need > ctx ? need : ctx;
        add_number(l->prompts, cases[i].prompt);
        add_number(l->depths, cases[i].depth);
        add_number(l->branches, cases[i].branches);
    }
    snprintf(l->gen, sizeof l->gen, "%u", cases[0].gen);
    snprintf(l->threads, sizeof l->threads, "%d", p->threads);
    snprintf(l->ubatch, sizeof l->ubatch, "%u", p->ubatch);
    snprintf(l->ctx, sizeof l->ctx, "%u", (ctx + 511) / 256 * 256); /* what does not fit is left out silently */
    const char *flash = p->flash ? "on" : "off";
    add_words(l, (const char *[]){p->path, "-m", p->model, "-t", l->threads, "-ub", l->ubatch, "-fa", flash, NULL});
    if (p->kind == PEER_LLAMA_BENCH)
        add_words(l, (const char *[]){"-p", l->prompts, "-n", l->gen, "-d", l->depths, "-r", "1", "-o", "jsonl", NULL});
    else
        add_words(l, (const char *[]){"-b", "2048", "-c", l->ctx, "-npp", l->depths, "-ntg", l->gen, "-npl",
                                      l->branches, "-pps", "-kvu", "--output-format", "jsonl", NULL});
}

static bool is(const json_t *row, const char *key, uint32_t value) {
    return json_integer_value(json_object_get(row, key)) == (json_int_t)value;
}

/* Is this the peer's row of our case? */
static bool is_case(const struct peer *p, const json_t *row, const struct bench_case *c) {
    if (p->kind == PEER_LLAMA_BENCH)
        return is(row, "n_prompt", c->prompt) && is(row, "n_gen", c->gen) && is(row, "n_depth", c->depth);
    return is(row, "pp", c->depth) && is(row, "tg", c->gen) && is(row, "pl", c->branches);
}

static void read_version(struct peer *p, const json_t *row) {
    const char *name = strrchr(p->path, '/') ? strrchr(p->path, '/') + 1 : p->path;
    const char *commit = json_string_value(json_object_get(row, "build_commit"));
    snprintf(p->version, sizeof p->version, "%.40s%s%.20s", name, commit ? " " : "", commit ? commit : "");
}

/* Every line that is an object is a row; other lines are talk. */
static void read_rows(struct peer *p, char *text, const struct bench_case *cases, size_t n, double *rates) {
    for (char *save, *at = strtok_r(text, "\n", &save); at; at = strtok_r(NULL, "\n", &save)) {
        json_t *row = *at == '{' ? json_loads(at, 0, NULL) : NULL;
        if (!row) continue;
        read_version(p, row);
        for (size_t i = 0; i < n; i++)
            if (is_case(p, row, &cases[i]))
                rates[i] = json_number_value(json_object_get(row, p->kind == PEER_LLAMA_BENCH ? "avg_ts" : "speed_tg"));
        json_decref(row);
    }
}

enum status peer_measure(struct peer *p, const struct bench_case *cases, size_t n, double *rates, struct error *e) {
    struct line line;
    char *text;
    fill_line(&line, p, cases, n);
    for (size_t i = 0; i < n; i++) rates[i] = 0;
    enum status s = run(line.words, &text, e);
    if (!s) read_rows(p, text, cases, n, rates);
    mem_free(text);
    for (size_t i = 0; !s && i < n; i++)
        if (!(rates[i] > 0))
            s = error_set(e, ERR_INPUT, "%s: gave no rate for prompt %u, depth %u, gen %u, branches %u", p->path,
                          cases[i].prompt, cases[i].depth, cases[i].gen, cases[i].branches);
    return s;
}

enum status peer_prepare(struct peer *p, const struct bench_case *cases, size_t n, struct error *e) {
    double gain = 0; /* of flash attention, as a sum of logarithms */
    double *rates = mem_new(n, sizeof *rates);
    enum status s = rates ? OK : error_set(e, ERR_MEMORY, "no memory for %zu rates", n);
    for (int flash = 0; !s && flash < 2; flash++) {
        p->flash = flash;
        s = peer_measure(p, cases, n, rates, e);
        for (size_t i = 0; !s && i < n; i++) gain += (flash ? 1 : -1) * log(rates[i]);
    }
    p->flash = gain >= 0;
    mem_free(rates);
    return s;
}
