/* cmd_serve.c: models over HTTP until a signal comes.
 * Not HTTP: serve/http.h.
 * Next: serve/server.h. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/cancel.h"
#include "cli/command.h"
#include "cli/flags_session.h"
#include "serve/server.h"

struct options {
    struct session_options session;
    struct server_params server;
    int64_t drain;
    bool log;
};

#define AT(field) offsetof(struct options, field)
static const struct flag flags[] = {
    MODEL_FLAG(struct options, session),
    PRM_FLAG(struct options, session),
    VERIFIER_FLAG(struct options, session),
    /* clang-format off */
    {"host", NULL, FLAG_TEXT, AT(server.host), "127.0.0.1", 0, 0, "ADDRESS", "where to listen; beyond this computer a key is needed"},
    {"port", NULL, FLAG_INT, AT(server.port), "8080", 0, 65535, "N", "0 = any free one, which is printed"},
    {"alias", "a", FLAG_TEXT, AT(server.name), NULL, 0, 0, "NAME", "of the model, for clients (default: from its file)"},
    {"api-key", NULL, FLAG_LIST, AT(server.keys), NULL, 0, 0, "KEY", "clients must send it; may be given several times"},
    {"api-key-file", NULL, FLAG_TEXT, AT(server.key_file), NULL, 0, 0, "FILE", "keys, one a line, perhaps with tokens=N gflops=N behind it: its day"},
    {"no-auth", NULL, FLAG_YES, AT(server.no_auth), NULL, 0, 0, NULL, "no key although others can reach --host"},
    {"parallel", "np", FLAG_INT, AT(server.parallel), "64", 1, 1024, "N", "requests answered at once"},
    {"queue", NULL, FLAG_INT, AT(server.queue), "256", 0, 100000, "N", "requests that wait; more get 429"},
    {"max-n", NULL, FLAG_INT, AT(server.max_n), "256", 1, 4096, "N", "choices of one request"},
    {"max-tokens", NULL, FLAG_INT, AT(server.max_tokens), "0", 0, 1e9, "N", "of one answer, whatever is asked; 0 = the context"},
    {"max-budget", NULL, FLAG_INT, AT(server.max_budget), "4096", 1, 1e6, "N", "of one search, whatever is asked"},
    {"max-request-tokens", NULL, FLAG_INT, AT(server.request_tokens), "0", 0, 1e15, "N", "read, written and verified for one request; 0 = no limit"},
    {"max-request-gflops", NULL, FLAG_REAL, AT(server.request_gflops), "0", 0, 1e9, "X", "computed for one request; 0 = no limit"},
    {"key-tokens", NULL, FLAG_INT, AT(server.key_tokens), "0", 0, 1e15, "N", "of each key in 24 hours; 0 = no limit"},
    {"key-gflops", NULL, FLAG_REAL, AT(server.key_gflops), "0", 0, 1e9, "X", "the same in computation"},
    {"all-tokens", NULL, FLAG_INT, AT(server.all_tokens), "0", 0, 1e15, "N", "of all clients together in 24 hours; 0 = no limit"},
    {"all-gflops", NULL, FLAG_REAL, AT(server.all_gflops), "0", 0, 1e9, "X", "the same in computation"},
    {"deferred", NULL, FLAG_TEXT, AT(server.deferred), NULL, 0, 0, "FOLDER", "where answers are kept that clients come back for"},
    {"max-deferred", NULL, FLAG_INT, AT(server.max_deferred), "1000", 1, 1e6, "N", "jobs in it, finished ones too; more get 429"},
    {"timeout", "to", FLAG_INT, AT(server.timeout), "60", 1, 86400, "S", "a connection without a byte is closed"},
    {"drain", NULL, FLAG_INT, AT(drain), "30", 0, 86400, "S", "after SIGTERM or Ctrl-C answers may take so long to end"},
    {"chat-template-file", NULL, FLAG_TEXT, AT(server.template_file), NULL, 0, 0, "FILE", "a Jinja template instead of the model's"},
    {"no-ui", NULL, FLAG_YES, AT(server.no_page), NULL, 0, 0, NULL, "no page on /"},
    {"log", NULL, FLAG_YES, AT(log), NULL, 0, 0, NULL, "a line of JSON on stderr for each request"},
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

static enum status run_server(const struct options *o, struct error *e) {
    const struct server_params *p = &o->server;
    struct session session = {0};
    struct server *server = NULL;
    /* Branches of all that runs at once: choices, and what searches fork. */
    struct session_size size = {.branches = (uint32_t)(2 * p->parallel) + 4096, .with_prm = true};
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
    char name[128];
    struct error e;
    int code = args_parse(&a, argc, argv);
    if (code != ARGS_GO_ON) return code;
    if (a.n_rest) return args_wrong(&a, "unexpected \"%.60s\"", a.rest[0]);
    if (strcmp(o.session.model, "embedded") && !args_given(&a, "prm"))
        o.session.prm = "none"; /* ours reads our policies only */
    name_model(o.session.model, name, sizeof name);
    if (!o.server.name) o.server.name = name;
    o.server.version = version_commit, o.server.prm = o.session.prm, o.server.log = o.log ? log_line : NULL;
    return run_server(&o, &e) ? args_failed(&a, e.text) : EXIT_GOOD;
}
