/* cmd_inspect.c: what is in a model file, and what it costs to run.
 * Not a converter.
 * Next: solve/memory.h, weights/gguf.h. */
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "base/terminal.h"
#include "cli/command.h"
#include "solve/memory.h"
#include "solve/session.h"
#include "weights/embedded.h"

struct options {
    struct session_options session; /* the model and the type of its KV cache */
    enum kv_type kv_type;
    int64_t ctx;
    bool json, tensors;
    size_t program_bytes; /* resident before the first file was opened */
};

static const struct flag flags[] = {
    {"model", "m", FLAG_TEXT, offsetof(struct options, session.model), "embedded", 0, 0, "FILE",
     "a GGUF file, or hf:USER/MODEL[:QUANT]; embedded = all models inside the binary"},
    HUB_FLAGS(struct options, session.model),
    {"ctx-size", "c", FLAG_INT, offsetof(struct options, ctx), "-1", -1, 1 << 24, "N",
     "tokens to count memory for; 0 = all that the model has, -1 = at most 4096 of them"},
    CACHE_FLAGS(struct options, session),
    {"tensors", NULL, FLAG_YES, offsetof(struct options, tensors), NULL, 0, 0, NULL, "each tensor with type and shape"},
    {"json", NULL, FLAG_YES, offsetof(struct options, json), NULL, 0, 0, NULL, "one JSON object a model"},
    {0},
};

/* ---- tensors by type ---- */

struct type_sum {
    size_t n, bytes;
};

static void sum_types(const struct gguf *g, struct type_sum sums[TYPE_COUNT]) {
    memset(sums, 0, TYPE_COUNT * sizeof *sums);
    for (size_t i = 0; i < gguf_n_tensors(g); i++) {
        const struct gguf_tensor *t = gguf_tensor_at(g, i);
        sums[t->type].n++, sums[t->type].bytes += t->size_bytes;
    }
}

static void show_types(const struct gguf *g) {
    struct type_sum sums[TYPE_COUNT];
    char text[32];
    const char *between = "\ntypes: ";
    sum_types(g, sums);
    for (int t = 0; t < TYPE_COUNT; t++) {
        if (!sums[t].n) continue;
        printf("%s%zu %s of %s bytes", between, sums[t].n, type_info((enum tensor_type)t)->name,
               show_count(sums[t].bytes, text));
        between = ", ";
    }
    putchar('\n');
}

/* ---- the model ---- */

static uint32_t choose_ctx(const struct model *m, int64_t asked) {
    uint32_t own = m->config.n_ctx;
    if (asked > 0) return (uint32_t)asked;
    return asked == 0 || own < SESSION_CTX ? own : SESSION_CTX;
}

static void show_memory(const struct memory_figure *f) {
    printf("\nmemory of ponder run with a full context of %" PRIu32 " tokens, at most:\n", f->ctx);
    for (int i = 0; i < f->n; i++)
        printf("  %-12s %9.1f MB  %s\n", f->lines[i].name, (double)f->lines[i].bytes / 1e6, f->lines[i].what);
    printf("  %-12s %9.1f MB\n", "together", (double)f->total / 1e6);
}

static void show_model(const struct options *o, const struct model *m, const struct memory_figure *f) {
    const struct model_config *c = &m->config;
    char a[32], b[32];
    printf("%u layers of width %u, %u query and %u KV heads of %u, feed-forward %u, vocabulary %u, context %u\n",
           c->n_layer, c->n_embd, c->n_head, c->n_head_kv, c->head_dim, c->n_ff, c->n_vocab, c->n_ctx);
    printf("%s weights multiplied per token; %s for a token at position %u\n", show_count(m->n_weights, a),
           show_flops(model_flops(m, f->ctx - 1, true), b), f->ctx - 1);
    printf("KV cache: %s, %s bytes a page of %d tokens; forks share pages\n", session_cache_name(o->kv_type),
           show_count(session_kv_bytes(c, o->kv_type, 1), a), KV_PAGE);
    if (gguf_has(m->file, "prm.kind")) printf("a reward model: one value per step\n");
    show_memory(f);
    if (f->ctx > c->n_ctx) printf("(the model was trained for %u tokens: a run of more is refused)\n", c->n_ctx);
}

static void put_model(const struct options *o, const struct model *m, const struct memory_figure *f) {
    const struct model_config *c = &m->config;
    printf(",\"model\":{\"n_layer\":%u,\"n_embd\":%u,\"n_head\":%u,\"n_head_kv\":%u,\"head_dim\":%u,\"n_ff\":%u,"
           "\"n_vocab\":%u,\"n_ctx\":%u,\"weights_per_token\":%" PRIu64
           ",\"kv_type\":\"%s\",\"kv_page_bytes\":%zu,\"reward_model\":%s}",
           c->n_layer, c->n_embd, c->n_head, c->n_head_kv, c->head_dim, c->n_ff, c->n_vocab, c->n_ctx, m->n_weights,
           session_cache_name(o->kv_type), session_kv_bytes(c, o->kv_type, 1),
           gguf_has(m->file, "prm.kind") ? "true" : "false");
    printf(",\"memory\":{\"ctx\":%" PRIu32, f->ctx);
    for (int i = 0; i < f->n; i++) printf(",\"%s\":%zu", f->lines[i].name, f->lines[i].bytes);
    printf(",\"total\":%zu}", f->total);
}

static void put_reason(const struct error *why) {
    json_t *text = json_string(why->text);
    fputs(",\"not_a_model\":", stdout);
    if (!text || json_dumpf(text, stdout, JSON_ENCODE_ANY)) fputs("true", stdout); /* a name in it is no UTF-8 */
    puts("}");
    json_decref(text);
}

/* A reward model may lack a vocabulary of its own: then it takes no memory. */
static size_t vocabulary_bytes(const struct gguf *file) {
    struct tok *tok;
    struct error ignored;
    size_t before = memory_heap();
    if (tok_open(file, &tok, &ignored)) return 0;
    size_t bytes = memory_heap() - before;
    tok_close(&tok);
    return bytes;
}

static void show_contents(const struct options *o, const struct gguf *file) {
    putchar('\n');
    gguf_print(file, o->tensors, stdout);
    show_types(file);
}

/* Any GGUF file is shown; one that this build cannot run (a vocabulary alone, another architecture) with the
 * reason.  What a run costs comes first, what the file holds behind it. */
static void show_file(const struct options *o, const char *name, struct gguf *file) {
    struct model *m;
    struct error why;
    struct memory_figure f;
    size_t tok_bytes = vocabulary_bytes(file);
    if (!o->json) printf("%s\n", name);
    else printf("{\"file\":"), gguf_print_json(file, stdout);
    if (model_try(file, &m, &why)) {
        if (o->json) put_reason(&why);
        else printf("not a model that this build can run: %s\n", why.text), show_contents(o, file);
        gguf_close(&file);
        return;
    }
    memory_of_run(m, choose_ctx(m, o->ctx), o->kv_type, tok_bytes, o->program_bytes, &f);
    if (o->json) put_model(o, m, &f), puts("}");
    else show_model(o, m, &f), show_contents(o, file);
    model_close(&m);
}

static enum status show_all(const struct options *o, const char *name, struct error *e) {
    struct gguf *file;
    enum status s = OK;
    if (strcmp(name, "embedded")) {
        s = session_open_file(name, "policy", &file, e);
        if (!s) show_file(o, name, file);
        return s;
    }
    if (!embedded_table[0].name)
        return error_set(e, ERR_INPUT, "this binary was built without models inside; give a FILE");
    for (const struct embedded *m = embedded_table; m->name && !s; m++) {
        if (m != embedded_table && !o->json) putchar('\n');
        s = gguf_open_memory(m->data, m->size_bytes, m->name, &file, e);
        if (!s) show_file(o, m->name, file);
    }
    return s;
}

int cmd_inspect(int argc, char **argv) {
    struct options o = {.program_bytes = memory_resident()};
    struct args a = {.command = "inspect",
                     .usage = "[FILE]",
                     .flags = flags,
                     .options = &o,
                     .about = "Prints what a GGUF file costs to run, its keys and, with --tensors, its tensors.\n"};
    struct error e;
    int code = args_parse(&a, argc, argv);
    if (code != ARGS_GO_ON) return code;
    if (a.n_rest > 1) return args_wrong(&a, "one file at a time, found \"%.60s\" too", a.rest[1]);
    if (session_cache_type(&o.session, &o.kv_type, &e)) return args_failed(&a, e.text);
    return show_all(&o, a.n_rest ? a.rest[0] : o.session.model, &e) ? args_failed(&a, e.text) : EXIT_GOOD;
}
