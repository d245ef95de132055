/* cmd_serve.c: models over HTTP until a signal comes.
 * Not HTTP: serve/http.h.
 * Next: serve/server.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/input.h"
#include "base/mem.h"
#include "cli/cancel.h"
#include "cli/command.h"
#include "cli/flags_session.h"
#include "serve/server.h"

struct options {
    struct session_options session;
    const char *host, *alias, *key_file, *template_file;
    struct flag_list keys;
    int64_t port, parallel, queue, max_n, max_tokens, max_budget, timeout, drain;
    bool no_auth, no_page, log;
};

static const struct flag flags[] = {
    MODEL_FLAG(struct options, session),
    PRM_FLAG(struct options, session),
    VERIFIER_FLAG(struct options, session),
    /* clang-format off */
    {"host", NULL, FLAG_TEXT, offsetof(struct options, host), "127.0.0.1", 0, 0, "ADDRESS", "where to listen; beyond this computer a key is needed"},
    {"port", NULL, FLAG_INT, offsetof(struct options, port), "8080", 0, 65535, "N", "0 = any free one, which is printed"},
    {"alias", "a", FLAG_TEXT, offsetof(struct options, alias), NULL, 0, 0, "NAME", "of the model, for clients (default: from its file)"},
    {"api-key", NULL, FLAG_LIST, offsetof(struct options, keys), NULL, 0, 0, "KEY", "clients must send it; may be given several times"},
    {"api-key-file", NULL, FLAG_TEXT, offsetof(struct options, key_file), NULL, 0, 0, "FILE", "keys, one a line"},
    {"no-auth", NULL, FLAG_YES, offsetof(struct options, no_auth), NULL, 0, 0, NULL, "no key although others can reach --host"},
    {"parallel", "np", FLAG_INT, offsetof(struct options, parallel), "64", 1, 1024, "N", "requests answered at once"},
    {"queue", NULL, FLAG_INT, offsetof(struct options, queue), "256", 0, 100000, "N", "requests that wait; more get 429"},
    {"max-n", NULL, FLAG_INT, offsetof(struct options, max_n), "256", 1, 4096, "N", "choices of one request"},
    {"max-tokens", NULL, FLAG_INT, offsetof(struct options, max_tokens), "0", 0, 1e9, "N", "of one answer, whatever is asked; 0 = the context"},
    {"max-budget", NULL, FLAG_INT, offsetof(struct options, max_budget), "4096", 1, 1e6, "N", "of one search, whatever is asked"},
    {"timeout", "to", FLAG_INT, offsetof(struct options, timeout), "60", 1, 86400, "S", "a connection without a byte is closed"},
    {"drain", NULL, FLAG_INT, offsetof(struct options, drain), "30", 0, 86400, "S", "after SIGTERM or Ctrl-C answers may take so long to end"},
    {"chat-template-file", NULL, FLAG_TEXT, offsetof(struct options, template_file), NULL, 0, 0, "FILE", "a Jinja template instead of the model's"},
    {"no-ui", NULL, FLAG_YES, offsetof(struct options, no_page), NULL, 0, 0, NULL, "no page on /"},
    {"log", NULL, FLAG_YES, offsetof(struct options, log), NULL, 0, 0, NULL, "a line of JSON on stderr for each request"},
    /* clang-format on */
    COMPUTE_FLAGS(struct options, session),
    {0},
};

static void log_line(void *arg, const char *line) {
    (void)arg;
    fprintf(stderr, "%s\n", line);
}

/* The last part of a path without its ending; models inside the binary by their own name. */
static void name_model(const char *file, char *name, size_t cap) {
    const char *last = strrchr(file, '/');
    snprintf(name, cap, "%s", strcmp(file, "embedded") ? last && last[1] ? last + 1 : file : "game24");
    size_t n = strlen(name);
    if (n > 5 && !strcmp(name + n - 5, ".gguf")) name[n - 5] = '\0';
}

/* Lines of the file, which live as long as *text. */
static enum status read_keys(const char *path, struct server_params *p, char **text, struct error *e) {
    size_t size;
    enum status s = input_read(path, text, &size, e);
    if (s) return s;
    for (char *line = strtok(*text, "\r\n"); line; line = strtok(NULL, "\r\n")) {
        if (p->n_keys == SERVER_KEYS)
            return error_set(e, ERR_INPUT, "--api-key-file %.200s: more than %d keys", path, SERVER_KEYS);
        p->keys[p->n_keys++] = line;
    }
    return p->n_keys ? OK : error_set(e, ERR_INPUT, "--api-key-file %.200s: no key in it", path);
}

static enum status run_server(const struct options *o, struct server_params *p, struct error *e) {
    struct session session = {0};
    struct server *server = NULL;
    /* Branches of all that runs at once: choices, and what searches fork. */
    struct session_size size = {.branches = (uint32_t)(2 * o->parallel) + 4096, .with_prm = true};
    const volatile int *stop = cancel_install();
    enum status s = session_open(&o->session, &size, &session, e);
    if (!s) s = server_open(p, &session, &server, e);
    if (!s) {
        fprintf(stderr, "ponder serve: http://%s:%u serves %s\n", p->host, server_port(server), p->name);
        while (!*stop) usleep(50000);
        fprintf(stderr, "ponder serve: stopping\n");
        server_drain(server, (double)o->drain);
    }
    server_close(&server);
    session_close(&session);
    return s;
}

int cmd_serve(int argc, char **argv) {
    struct options o = {0};
    struct args a = {
        .command = "serve",
        .usage = "",
        .flags = flags,
        .options = &o,
        .about = "Chat, completions and search for clients of OpenAI, Anthropic and Ollama, and a page for people.\n"};
    char name[128], *keys = NULL, *template = NULL;
    struct error e;
    int code = args_parse(&a, argc, argv);
    if (code != ARGS_GO_ON) return code;
    if (a.n_rest) return args_wrong(&a, "unexpected \"%.60s\"", a.rest[0]);
    if (strcmp(o.session.model, "embedded") && !args_given(&a, "prm"))
        o.session.prm = "none"; /* ours reads our policies only */
    name_model(o.session.model, name, sizeof name);
    struct server_params p = {.host = o.host,
                              .port = (uint16_t)o.port,
                              .name = o.alias ? o.alias : name,
                              .parallel = (uint32_t)o.parallel,
                              .queue = (uint32_t)o.queue,
                              .max_n = (uint32_t)o.max_n,
                              .max_tokens = (uint32_t)o.max_tokens,
                              .max_budget = (uint64_t)o.max_budget,
                              .timeout = (uint32_t)o.timeout,
                              .no_auth = o.no_auth,
                              .no_page = o.no_page,
                              .version = version_commit,
                              .prm = o.session.prm,
                              .log = o.log ? log_line : NULL};
    for (int i = 0; i < o.keys.n && p.n_keys < SERVER_KEYS; i++) {
        if (!*o.keys.values[i]) return args_wrong(&a, "--api-key: an empty key");
        p.keys[p.n_keys++] = o.keys.values[i];
    }
    enum status s = o.key_file ? read_keys(o.key_file, &p, &keys, &e) : OK;
    if (!s && o.template_file) s = input_read(o.template_file, &template, &p.template_size, &e);
    p.template_text = template;
    if (!s) s = run_server(&o, &p, &e);
    mem_free(keys), mem_free(template);
    return s ? args_failed(&a, e.text) : EXIT_GOOD;
}
