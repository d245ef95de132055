/* policy.c: examples for the policy, its sizes and its file.
 * Not the loop: trainer.c.
 * Next: labels.h. */
#include "train/policy.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/rng.h"
#include "tokenizer/vocab.h"

enum { CHAIN_TEXT = 8192 };

/* clang-format off */
static const struct {
    const char *name;
    uint32_t n_layer, n_embd, n_head, n_head_kv, n_ff;
} sizes[] = {
    {"tiny",  2,  64,  2, 1, 192}, /* tests */
    {"small", 3,  96,  3, 1, 256},
    {"base",  4, 192,  6, 2, 512},
    {"deep",  8, 192,  6, 2, 512},
    {"wide",  8, 256,  8, 2, 768},
};
/* clang-format on */
const char policy_sizes[] = "tiny, small, base, deep, wide";

bool policy_size(const char *name, uint32_t n_vocab, struct model_config *c) {
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        if (!strcmp(name, sizes[i].name)) {
            *c = (struct model_config){.arch = "llama",
                                       .n_layer = sizes[i].n_layer,
                                       .n_embd = sizes[i].n_embd,
                                       .n_head = sizes[i].n_head,
                                       .n_head_kv = sizes[i].n_head_kv,
                                       .head_dim = 32,
                                       .n_ff = sizes[i].n_ff,
                                       .n_vocab = n_vocab,
                                       .n_ctx = n_vocab == VOCAB_SIZE ? 256 : 1024,
                                       .rope_dim = 32,
                                       .rope_base = 10000,
                                       .rms_eps = 1e-5f,
                                       .rope_style = ROPE_NORM};
            return true;
        }
    return false;
}

/* -- problems -- */

enum status task_mix_read(const char *names, struct task_mix *mix, struct error *e) {
    mix->n = 0;
    for (const char *at = names; *at;) {
        char name[40];
        size_t size = strcspn(at, ",");
        if (size >= sizeof name) return error_set(e, ERR_INPUT, "--task: \"%.40s\" is no task", at);
        memcpy(name, at, size), name[size] = 0;
        const struct task *t = task_find(name);
        if (!t) return error_set(e, ERR_INPUT, "--task: \"%s\" is none of %s", name, task_names);
        if (!t->generate) return error_set(e, ERR_INPUT, "--task: %s has no generator to learn from", name);
        if (mix->n == MIX_MAX) return error_set(e, ERR_INPUT, "--task: at most %d tasks", MIX_MAX);
        mix->tasks[mix->n++] = t;
        at += size + (at[size] == ',');
    }
    return mix->n ? OK : error_set(e, ERR_INPUT, "--task: names no task; there are %s", task_names);
}

enum status task_mix_draw(const struct task_mix *mix, uint64_t key, uint64_t stream, bool any, struct problem *p,
                          bool *found, struct error *e) {
    const struct task *t = mix->tasks[mix->n == 1 ? 0 : rng_below(key, 3, mix->n)];
    struct task_draw d = task_level(t, rng_uniform(key, 4) < mix->hard);
    d.any = any;
    enum status s = t->generate(t, rng_fold(key, stream), &d, p, e);
    *found = !s && !problem_is_held_out(p);
    if (!s && !*found) problem_free(p);
    return s;
}

/* -- examples -- */

/* It reaches the tokenizer by way of a file's bytes, as every vocabulary does. */
enum status policy_tok(uint32_t n_vocab, struct tok **out, struct error *e) {
    struct gguf_writer *w;
    struct gguf *g = NULL;
    void *image = NULL;
    size_t size;
    *out = NULL;
    enum status s = gguf_writer_new(&w, e);
    if (s) return s;
    vocab_add_sized(w, n_vocab);
    s = gguf_write_memory(w, "our vocabulary", &image, &size, e);
    gguf_writer_free(&w);
    if (!s) s = gguf_open_memory(image, size, "our vocabulary", &g, e);
    if (!s) s = tok_open(g, out, e);
    if (g) gguf_close(&g);
    mem_free(image);
    return s;
}

bool example_tokens(const struct tok *tok, const char *prompt, const char *steps, bool finished, struct example *x) {
    char text[2 * CHAIN_TEXT];
    size_t n = 0, size = strlen(prompt), steps_size = strlen(steps);
    if (size + steps_size >= sizeof text) return false;
    memcpy(text, prompt, size);
    memcpy(text + size, steps, steps_size + 1);
    if (tok_encode(tok, text, size + steps_size, false, true, x->tokens, EXAMPLE_MAX, &n, NULL)) return false;
    if (n + finished > EXAMPLE_MAX) return false;
    if (finished) x->tokens[n++] = tok_eos(tok);
    x->n = (uint32_t)n;
    return true;
}

/* Does the token end with this byte? */
static bool ends_with(const struct tok *tok, int32_t token, char byte) {
    struct gguf_string piece = tok_piece(tok, token, false);
    return piece.size && piece.data[piece.size - 1] == byte;
}

void example_targets(const struct tok *tok, struct example *x, uint32_t skip, char loss_after) {
    int32_t line_end = tok_find(tok, "\n");
    uint32_t lines = 0;
    bool counts = false;
    for (uint32_t i = 0; i < x->n; i++) {
        int32_t t = x->tokens[i];
        if (loss_after && ends_with(tok, t, loss_after)) counts = true;
        if (t == line_end) lines++, counts = false;
        bool has_target = i + 1 < x->n;
        x->targets[i] = has_target ? x->tokens[i + 1] : 0;
        x->weights[i] = has_target && lines >= skip && (!loss_after || counts);
        x->values[i] = 0;
    }
}

/* Tries that fail and are given up, behind each other; the length of their text.  They are legal as far as they go. */
static size_t write_tries(const struct problem *p, uint64_t key, char *text, size_t cap) {
    size_t n = 0;
    for (uint64_t i = 0, wanted = 1 + rng_below(key, 0, 3); i < wanted; i++) {
        struct lesson try = {.stray = true, .text = text + n, .cap = cap - n};
        p->task->example(p, rng_fold(key, i), &try);
        if (!try.n || try.n + sizeof TRY_GIVEN_UP + 2 > try.cap) break;
        if (problem_verdict(p, try.text) == VERDICT_RIGHT) continue;
        n += try.n;
        n += (size_t)snprintf(text + n, cap - n, "\n%s\n", TRY_GIVEN_UP);
    }
    text[n] = 0;
    return n;
}

enum status policy_example(void *arg, uint64_t index, struct example *out, struct error *e) {
    const struct policy_data *d = arg;
    uint64_t stream = rng_fold(d->key, index >= EXAMPLE_VALIDATION);
    for (uint64_t attempt = 0;; attempt++) {
        uint64_t key = rng_fold(rng_fold(stream, index), attempt);
        char text[CHAIN_TEXT];
        struct lesson lesson = {.explore = rng_uniform(key, 0) < d->explore, .text = text, .cap = sizeof text};
        struct problem p;
        bool found;
        enum status s = task_mix_draw(&d->mix, key, 1, lesson.explore, &p, &found, e);
        if (s) return s;
        if (!found) continue;
        size_t tries = rng_uniform(key, 5) < d->tries && !lesson.explore
                           ? write_tries(&p, rng_fold(key, 6), text, sizeof text)
                           : 0;
        lesson.text += tries, lesson.cap -= tries;
        p.task->example(&p, rng_fold(key, 2), &lesson);
        bool good = lesson.n && example_tokens(d->tok, p.text, text, true, out);
        problem_free(&p);
        if (!good) continue;
        example_targets(d->tok, out, 1, lesson.loss_after);
        return OK;
    }
}

enum status policy_write(const struct net *n, const char *name, const struct trained *about, const char *path,
                         struct error *e) {
    struct gguf_writer *w;
    void *store = NULL;
    enum status s = gguf_writer_new(&w, e);
    if (s) return s;
    s = net_write(n, name, TYPE_F16, w, &store, e);
    if (!s) {
        trained_write(about, w);
        vocab_add_sized(w, n->config.n_vocab);
        s = gguf_write(w, path, e);
    }
    gguf_writer_free(&w);
    mem_free(store);
    return s;
}
