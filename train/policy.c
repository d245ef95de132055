/* policy.c: examples for the policy, its sizes and its file.
 * Not the loop: trainer.c.
 * Next: labels.h. */
#include "train/policy.h"

#include <assert.h>
#include <string.h>

#include "base/mem.h"
#include "base/rng.h"
#include "tokenizer/vocab.h"

static const struct {
    const char *name;
    uint32_t n_layer, n_embd, n_head, n_head_kv, n_ff;
} sizes[] = {
    {"tiny", 2, 64, 2, 1, 192}, /* tests */
    {"small", 3, 96, 3, 1, 256},
    {"base", 4, 192, 6, 2, 512},
};

bool policy_size(const char *name, struct model_config *c) {
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        if (!strcmp(name, sizes[i].name)) {
            *c = (struct model_config){.arch = "llama", .n_layer = sizes[i].n_layer, .n_embd = sizes[i].n_embd,
                                       .n_head = sizes[i].n_head, .n_head_kv = sizes[i].n_head_kv, .head_dim = 32,
                                       .n_ff = sizes[i].n_ff, .n_vocab = VOCAB_SIZE, .n_ctx = 256, .rope_dim = 32,
                                       .rope_base = 10000, .rms_eps = 1e-5f, .rope_style = ROPE_NORM};
            return true;
        }
    return false;
}

bool example_tokens(const struct tok *tok, const struct cd_problem *p, const char *steps, bool finished, struct example *x) {
    char text[2 * CD_TEXT];
    size_t n = 0, size = cd_prompt(p, text, CD_TEXT), steps_size = strlen(steps);
    if (steps_size >= CD_TEXT) return false;
    memcpy(text + size, steps, steps_size + 1);
    if (tok_encode(tok, text, size + steps_size, false, true, x->tokens, EXAMPLE_MAX, &n, NULL) || n + finished > EXAMPLE_MAX) return false;
    if (finished) x->tokens[n++] = tok_eos(tok);
    x->n = (uint32_t)n;
    return true;
}

/* Random legal moves down to one number. */
static int random_walk(struct cd_state s, uint64_t key, struct cd_move *moves) {
    int n = 0;
    for (uint64_t draw = 0; s.n > 1 && draw < 64; draw++) {
        struct cd_move all[CD_MAX_MOVES];
        int n_moves = cd_moves(&s, all);
        moves[n] = all[rng_below(key, draw, (uint32_t)n_moves)];
        if (cd_apply(&s, moves[n], &s)) n++;
    }
    return n;
}

/* Text of a chain of moves, steps joined by '\n'. */
static bool chain_text(const struct cd_problem *p, const struct cd_move *moves, int n, char *text, size_t cap) {
    struct cd_state s = cd_start(p);
    size_t at = 0;
    for (int i = 0; i < n; i++) {
        if (at + CD_STEP_TEXT + 1 > cap) return false;
        if (i) text[at++] = '\n';
        at += cd_step_text(&s, moves[i], text + at, cap - at);
        if (!cd_apply(&s, moves[i], &s)) return false;
    }
    return s.n == 1;
}

/* Targets are the next tokens.  Loss starts after the prompt; with only_results it is on what follows "=" in a line. */
static void set_targets(const struct tok *tok, struct example *x, bool only_results) {
    int32_t line_end = tok_find(tok, "\n"), equals = tok_find(tok, " =");
    bool in_prompt = true, after_equals = false;
    for (uint32_t i = 0; i < x->n; i++) {
        int32_t t = x->tokens[i];
        if (t == equals) after_equals = true;
        if (t == line_end) in_prompt = after_equals = false;
        bool has_target = i + 1 < x->n;
        x->targets[i] = has_target ? x->tokens[i + 1] : 0;
        x->weights[i] = has_target && !in_prompt && (!only_results || after_equals);
        x->values[i] = 0;
    }
}

void policy_example(void *arg, uint64_t index, struct example *out) {
    const struct policy_data *d = arg;
    uint64_t stream = rng_fold(d->key, index >= EXAMPLE_VALIDATION);
    for (uint64_t attempt = 0;; attempt++) {
        uint64_t key = rng_fold(rng_fold(stream, index), attempt);
        bool explore = rng_uniform(key, 0) < d->explore;
        struct cd_problem p;
        struct cd_move moves[64];
        gen_problem(key, 1, &d->mix, !explore, &p);
        assert(!cd_is_held_out(&p));
        struct cd_state start = cd_start(&p);
        int n = p.n - 1;
        if (explore)
            n = random_walk(start, rng_fold(key, 2), moves);
        else if (!cd_random_solution(&start, p.target, rng_fold(key, 2), moves))
            continue;
        char text[CD_TEXT];
        if (n != p.n - 1 || !chain_text(&p, moves, n, text, sizeof text) || !example_tokens(d->tok, &p, text, true, out)) continue;
        set_targets(d->tok, out, explore);
        return;
    }
}

enum status policy_write(const struct net *n, const char *name, const char *path, struct error *e) {
    struct gguf_writer *w;
    void *store = NULL;
    enum status s = gguf_writer_new(&w, e);
    if (s) return s;
    s = net_write(n, name, TYPE_F16, w, &store, e);
    if (!s) {
        vocab_add(w);
        s = gguf_write(w, path, e);
    }
    gguf_writer_free(&w);
    mem_free(store);
    return s;
}
