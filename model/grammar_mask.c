/* grammar_mask.c: which tokens a state allows.
 * Not the states: grammar.c.
 * Next: sample.h.
 *
 * Tokens are sorted by their bytes, so that a walk over them reads what neighbours have in common once, and passes over
 * all tokens that begin with bytes after which no reading is left.  What a state allows is kept as a bit per token. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "model/grammar_internal.h"

static int by_bytes(const void *a, const void *b) {
    const struct word *x = a, *y = b;
    uint32_t n = x->size < y->size ? x->size : y->size;
    int order = memcmp(x->bytes, y->bytes, n);
    if (order) return order;
    if (x->size != y->size) return x->size < y->size ? -1 : 1;
    return x->id < y->id ? -1 : x->id > y->id;
}

enum status grammar_words_new(const struct grammar_vocab *v, struct grammar_words **out, struct error *e) {
    struct grammar_words *w = mem_new(1, sizeof *w);
    *out = NULL;
    if (w) w->n = v->n, w->sorted = mem_new(v->n, sizeof *w->sorted), w->ends = mem_new(v->n, sizeof *w->ends);
    if (!w || !w->sorted || !w->ends) {
        grammar_words_free(&w);
        return error_set(e, ERR_MEMORY, "no memory for the words of %u tokens", v->n);
    }
    for (uint32_t i = 0; i < v->n; i++) {
        struct gguf_string piece = v->piece(v->arg, (int32_t)i);
        if (v->is_end(v->arg, (int32_t)i)) w->ends[w->n_ends++] = (int32_t)i;
        else if (piece.size) w->sorted[w->n_sorted++] = (struct word){piece.data, (uint32_t)piece.size, 0, (int32_t)i};
    }
    qsort(w->sorted, w->n_sorted, sizeof *w->sorted, by_bytes);
    for (uint32_t i = 0; i < w->n_sorted; i++) {
        struct word *x = &w->sorted[i];
        if (x->size > w->longest) w->longest = x->size;
        const struct word *before = x - 1;
        while (i && x->shared < x->size && x->shared < before->size && x->bytes[x->shared] == before->bytes[x->shared])
            x->shared++;
    }
    *out = w;
    return OK;
}

void grammar_words_free(struct grammar_words **w) {
    if (*w) mem_free((*w)->sorted), mem_free((*w)->ends);
    mem_free(*w);
    *w = NULL;
}

static void allow(struct mask *m, int32_t id) {
    m->bits[id >> 6] |= 1ull << (id & 63);
    m->n_allowed++;
}

/* path[i]: the state after i bytes of the present word; all of them are alive up to `alive`. */
static enum status make_mask(struct grammar *g, grammar_state state, struct mask *m, struct error *e) {
    const struct grammar_words *w = g->words;
    uint32_t alive = 0;
    enum status s = OK;
    memset(m->bits, 0, (w->n + 63) / 64 * sizeof *m->bits);
    m->n_allowed = 0, m->state = 0;
    g->path[0] = state;
    for (uint32_t i = 0; !s && i < w->n_sorted; i++) {
        const struct word *x = &w->sorted[i];
        if (i && x->shared > alive) continue; /* begins with bytes that died already */
        alive = i ? x->shared : 0;
        while (!s && alive < x->size) {
            s = grammar_step(g, g->path[alive], (unsigned char)x->bytes[alive], &g->path[alive + 1], e);
            if (s || g->path[alive + 1] == GRAMMAR_DEAD) break;
            alive++;
        }
        if (alive == x->size) allow(m, x->id);
    }
    for (uint32_t i = 0; !s && i < w->n_ends && grammar_ends(g, state); i++) allow(m, w->ends[i]);
    if (!s) m->state = state;
    return s;
}

static enum status find_mask(struct grammar *g, grammar_state state, struct mask **out, struct error *e) {
    struct mask *m = *out = &g->masks[state % g->n_slots];
    if (m->bits && m->state == state) return OK;
    if (!m->bits) m->bits = mem_new((g->words->n + 63) / 64 + 1, sizeof *m->bits);
    if (!m->bits) return error_set(e, ERR_MEMORY, "no memory for a mask of %u tokens", g->words->n);
    return make_mask(g, state, m, e);
}

enum status grammar_mask(struct grammar *g, grammar_state state, float *logits, uint32_t n_vocab, uint32_t *n_allowed,
                         struct error *e) {
    struct mask *m = NULL;
    *n_allowed = 0;
    pthread_mutex_lock(&g->lock);
    enum status s = OK;
    if (state == GRAMMAR_DEAD) {
        for (uint32_t i = 0; i < n_vocab; i++) logits[i] = -INFINITY;
    } else if (!(s = find_mask(g, state, &m, e))) {
        for (uint32_t i = 0; i < n_vocab; i++)
            if (i >= g->words->n || !(m->bits[i >> 6] >> (i & 63) & 1)) logits[i] = -INFINITY;
        *n_allowed = m->n_allowed;
    }
    pthread_mutex_unlock(&g->lock);
    return s;
}
