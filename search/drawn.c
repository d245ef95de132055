/* drawn.c: see drawn.h.
 * Not a search tree: its nodes are tokens.
 * Next: search/eval_write.c. */
#include "search/drawn.h"

#include <math.h>

#include "base/mem.h"

/* Of what is left of a distribution, so much is rounding. */
static const double NOTHING = 1e-5;

struct trie_node {
    uint32_t parent, first_child, next_sibling;
    int32_t token;
    double p, used;
};
struct noted {
    uint32_t root; /* 0: the sequence goes on */
    int32_t token;
    float p;
};

struct drawn {
    struct trie_node *nodes; /* [n of cap], 0 unused */
    size_t n, cap;
    struct noted *waiting; /* [n_waiting of cap_waiting] a sequence's first token has its root */
    size_t n_waiting, cap_waiting;
};

enum status drawn_new(struct drawn **out, struct error *e) {
    struct drawn *a = *out = mem_new(1, sizeof *a);
    if (a && (a->nodes = mem_new(1, sizeof *a->nodes))) {
        a->n = a->cap = 1;
        return OK;
    }
    drawn_free(out);
    return error_set(e, ERR_MEMORY, "no memory for what was drawn");
}

void drawn_free(struct drawn **a) {
    if (!*a) return;
    mem_free((*a)->nodes), mem_free((*a)->waiting), mem_free(*a);
    *a = NULL;
}

/* 0: no memory. */
static uint32_t new_node(struct drawn *a) {
    if (a->n == a->cap) {
        struct trie_node *more = a->n < UINT32_MAX / 2 ? mem_grow(a->nodes, a->cap, 2 * a->cap, sizeof *more) : NULL;
        if (!more) return 0;
        a->nodes = more, a->cap *= 2;
    }
    a->nodes[a->n] = (struct trie_node){0};
    return (uint32_t)a->n++;
}

uint32_t drawn_root(struct drawn *a) { return new_node(a); }

uint32_t drawn_next(const struct drawn *a, uint32_t v, int32_t token) {
    uint32_t c = v ? a->nodes[v].first_child : 0;
    while (c && a->nodes[c].token != token) c = a->nodes[c].next_sibling;
    return c;
}

double drawn_used(const struct drawn *a, uint32_t v) {
    return !v ? 0 : 1 - a->nodes[v].used > NOTHING ? a->nodes[v].used : 1;
}

/* log of what is left below a node. */
static float log_left(const struct trie_node *c) { return 1 - c->used > NOTHING ? (float)log1p(-c->used) : -INFINITY; }

void drawn_mask(const struct drawn *a, uint32_t v, float temperature, float *logits, uint32_t n_vocab) {
    for (uint32_t c = v ? a->nodes[v].first_child : 0; c; c = a->nodes[c].next_sibling)
        if ((uint32_t)a->nodes[c].token < n_vocab) logits[a->nodes[c].token] += temperature * log_left(&a->nodes[c]);
}

float drawn_bias(const struct drawn *a, uint32_t v, float temperature, int32_t token) {
    uint32_t c = drawn_next(a, v, token);
    return c ? temperature * log_left(&a->nodes[c]) : 0;
}

static enum status no_memory(struct error *e) { return error_set(e, ERR_MEMORY, "no memory for what was drawn"); }

enum status drawn_note(struct drawn *a, uint32_t root, const int32_t *tokens, const float *p, uint32_t n,
                       struct error *e) {
    if (a->n_waiting + n > a->cap_waiting) {
        size_t cap = 2 * (a->n_waiting + n);
        struct noted *more = mem_grow(a->waiting, a->cap_waiting, cap, sizeof *more);
        if (!more) return no_memory(e);
        a->waiting = more, a->cap_waiting = cap;
    }
    for (uint32_t i = 0; i < n; i++) a->waiting[a->n_waiting++] = (struct noted){i ? 0 : root, tokens[i], p[i]};
    return OK;
}

size_t drawn_waiting(const struct drawn *a) { return a->n_waiting; }
void drawn_forget(struct drawn *a, size_t n) { a->n_waiting = n; }

/* All behind v is used up, and so is p of what its parent has, and so on. */
static void use_up(struct drawn *a, uint32_t v) {
    double more = 1 - a->nodes[v].used;
    for (; v; v = a->nodes[v].parent) {
        a->nodes[v].used += more;
        if (a->nodes[v].used > 1) a->nodes[v].used = 1;
        more *= a->nodes[v].p;
    }
}

static uint32_t find_or_add(struct drawn *a, uint32_t v, const struct noted *x) {
    uint32_t c = drawn_next(a, v, x->token);
    if (c || !(c = new_node(a))) return c;
    a->nodes[c].parent = v, a->nodes[c].token = x->token, a->nodes[c].p = x->p;
    a->nodes[c].next_sibling = a->nodes[v].first_child;
    a->nodes[v].first_child = c;
    return c;
}

enum status drawn_add(struct drawn *a, struct error *e) {
    uint32_t v = 0;
    for (size_t i = 0; i < a->n_waiting; i++) {
        if (a->waiting[i].root) v = a->waiting[i].root;
        if (!(v = find_or_add(a, v, &a->waiting[i]))) return no_memory(e);
        if (i + 1 == a->n_waiting || a->waiting[i + 1].root) use_up(a, v);
    }
    a->n_waiting = 0;
    return OK;
}
