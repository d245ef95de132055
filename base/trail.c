/* trail.c: see trail.h.
 * Not a list of texts: what tokens mean is not known here.
 * Next: search/eval_branch.c, whose branches are trails. */
#include "base/trail.h"

#include <assert.h>
#include <string.h>

#include "base/mem.h"

enum { FIRST_BLOCKS = 64 };

struct block {
    uint32_t parent; /* 0: none.  Of a free block: the next free one */
    uint32_t start;  /* ids before this block's: of the parent, those up to here count */
    uint32_t n;      /* ids it holds; every handle on it has a length of start + 1 to start + n */
    uint32_t n_refs; /* handles, and blocks whose parent it is */
    int32_t ids[TRAIL_BLOCK];
};

struct trail_pool {
    struct block *blocks; /* [cap], 0 unused */
    uint32_t cap, free, n_used;
};

static enum status grow(struct trail_pool *p, struct error *e) {
    uint32_t cap = p->cap ? 2 * p->cap : FIRST_BLOCKS;
    struct block *grown = mem_grow(p->blocks, p->cap, cap, sizeof *grown);
    if (!grown) return error_set(e, ERR_MEMORY, "no memory for %u blocks of tokens", cap);
    p->blocks = grown;
    for (uint32_t b = cap - 1; b >= (p->cap ? p->cap : 1); b--) grown[b].parent = p->free, p->free = b;
    p->cap = cap;
    return OK;
}

enum status trail_pool_new(struct trail_pool **out, struct error *e) {
    struct trail_pool *p = *out = mem_new(1, sizeof *p);
    if (!p) return error_set(e, ERR_MEMORY, "no memory for tokens");
    enum status s = grow(p, e);
    if (s) trail_pool_free(out);
    return s;
}

void trail_pool_free(struct trail_pool **p) {
    if (!*p) return;
    mem_free((*p)->blocks);
    mem_free(*p);
    *p = NULL;
}

uint32_t trail_blocks_used(const struct trail_pool *p) { return p->n_used; }

static void release(struct trail_pool *p, uint32_t b) {
    while (b && --p->blocks[b].n_refs == 0) {
        uint32_t parent = p->blocks[b].parent;
        p->blocks[b].parent = p->free, p->free = b, p->n_used--;
        b = parent;
    }
}

struct trail trail_fork(struct trail_pool *p, struct trail t) {
    if (t.block) p->blocks[t.block].n_refs++;
    return t;
}

void trail_drop(struct trail_pool *p, struct trail *t) {
    release(p, t->block);
    *t = (struct trail){0};
}

/* A new block at the end of t, which it takes the place of in the handle. */
static enum status push(struct trail_pool *p, struct trail *t, struct error *e) {
    enum status s = p->free ? OK : grow(p, e);
    if (s) return s;
    uint32_t b = p->free;
    p->free = p->blocks[b].parent, p->n_used++;
    struct block *x = &p->blocks[b];
    x->parent = t->block, x->start = t->len, x->n = 0, x->n_refs = 1;
    t->block = b;
    return OK;
}

enum status trail_append(struct trail_pool *p, struct trail *t, const int32_t *ids, uint32_t n, struct error *e) {
    const uint32_t before = t->len;
    while (n) {
        struct block *b = &p->blocks[t->block];
        if (!t->block || t->len != b->start + b->n || b->n == TRAIL_BLOCK) {
            enum status s = push(p, t, e);
            if (s) {
                trail_cut(p, t, before);
                return s;
            }
            b = &p->blocks[t->block];
        }
        uint32_t some = n < TRAIL_BLOCK - b->n ? n : TRAIL_BLOCK - b->n;
        memcpy(b->ids + b->n, ids, some * sizeof *ids);
        b->n += some, t->len += some, ids += some, n -= some;
    }
    return OK;
}

void trail_cut(struct trail_pool *p, struct trail *t, uint32_t len) {
    assert(len <= t->len);
    while (t->block && len <= p->blocks[t->block].start) {
        uint32_t parent = p->blocks[t->block].parent;
        if (parent) p->blocks[parent].n_refs++;
        release(p, t->block);
        t->block = parent;
    }
    t->len = len;
    struct block *b = &p->blocks[t->block];
    if (t->block && b->n_refs == 1) b->n = len - b->start; /* nobody else sees the rest */
}

void trail_read(const struct trail_pool *p, struct trail t, uint32_t from, int32_t *out) {
    for (uint32_t end = t.len, b = t.block; end > from; b = p->blocks[b].parent) {
        const struct block *x = &p->blocks[b];
        uint32_t start = x->start > from ? x->start : from;
        memcpy(out + (start - from), x->ids + (start - x->start), (end - start) * sizeof *out);
        end = start;
    }
}

int32_t trail_last(const struct trail_pool *p, struct trail t) {
    const struct block *b = &p->blocks[t.block];
    return b->ids[t.len - 1 - b->start];
}
