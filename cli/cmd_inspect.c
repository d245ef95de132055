/* cmd_inspect.c: what is in a model file, and what it costs to run.
 * Not a converter.
 * Next: weights/gguf.h. */
#include <string.h>

#include "cli/command.h"
#include "cli/session.h"
#include "cli/terminal.h"
#include "weights/embedded.h"

struct options {
    const char *model;
    int64_t ctx;
};

static const struct flag flags[] = {
    {"model", "m", FLAG_TEXT, offsetof(struct options, model), "embedded", 0, 0, "FILE",
     "a GGUF file; embedded = all models inside the binary"},
    {"ctx-size", "c", FLAG_INT, offsetof(struct options, ctx), "0", 0, 1 << 24, "N",
     "tokens to count KV memory for; 0 = the model's own"},
    {0},
};

static void show_model(const struct model *m, uint32_t ctx) {
    const struct model_config *c = &m->config;
    char a[32], b[32];
    if (!ctx) ctx = c->n_ctx;
    printf("\n%u layers of width %u, %u query and %u KV heads of %u, feed-forward %u, vocabulary %u, context %u\n",
           c->n_layer, c->n_embd, c->n_head, c->n_head_kv, c->head_dim, c->n_ff, c->n_vocab, c->n_ctx);
    printf("%s weights multiplied per token; %s for a token at position %u\n", show_count(m->n_weights, a),
           show_flops(model_flops(m, ctx - 1, true), b), ctx - 1);
    printf("KV cache: %s bytes a page of %d tokens, %s bytes for one branch of %u; forks share pages\n",
           show_count(session_kv_bytes(c, 1), a), KV_PAGE, show_count(session_kv_bytes(c, ctx), b), ctx);
    if (gguf_has(m->file, "prm.kind")) printf("a reward model: one value per step\n");
}

/* Any GGUF file is shown; one that this build cannot run (a vocabulary alone, another architecture) with the reason. */
static void show_file(const char *name, struct gguf *file, uint32_t ctx) {
    struct model *m;
    struct error why;
    printf("%s\n", name);
    gguf_print(file, stdout);
    if (model_open(file, &m, &why)) {
        printf("\nnot a model that this build can run: %s\n", why.text);
        return;
    }
    show_model(m, ctx);
    model_close(&m);
}

int cmd_inspect(int argc, char **argv) {
    struct options o = {0};
    struct args a = {.command = "inspect",
                     .usage = "[FILE]",
                     .flags = flags,
                     .options = &o,
                     .about = "Prints the keys and tensors of a GGUF file, and the memory of a branch.\n"};
    struct gguf *file;
    struct error e;
    enum status s = OK;
    int code = args_parse(&a, argc, argv);
    if (code != ARGS_GO_ON) return code;
    if (a.n_rest > 1) return args_wrong(&a, "one file at a time, found \"%.60s\" too", a.rest[1]);
    const char *name = a.n_rest ? a.rest[0] : o.model;
    if (strcmp(name, "embedded")) {
        s = gguf_open(name, &file, &e);
        if (!s) show_file(name, file, (uint32_t)o.ctx);
        return s ? args_failed(&a, e.text) : EXIT_GOOD;
    }
    if (!embedded_table[0].name) return args_failed(&a, "this binary was built without models inside; give a FILE");
    for (const struct embedded *m = embedded_table; m->name && !s; m++) {
        if (m != embedded_table) putchar('\n');
        s = gguf_open_memory(m->data, m->size_bytes, m->name, &file, &e);
        if (!s) show_file(m->name, file, (uint32_t)o.ctx);
    }
    return s ? args_failed(&a, e.text) : EXIT_GOOD;
}
