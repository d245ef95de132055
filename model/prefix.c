/* prefix.c: a hash table of (parent, tokens), and the list of idle leaves in the order in which they were let go.
 * Not thread-safe: the engine's lock guards it.
 * Next: kv.c, its only caller. */
#include "model/prefix.h"

#include <assert.h>
#include <string.h>

#include "base/mem.h"

struct node {
    uint32_t parent, n_children; /* children: remembered pages that name this one as parent */
    uint32_t next;               /* in the bucket */
    uint32_t older, newer;       /* in the list of leaves, when idle without children */
    uint64_t let_go;             /* when the last sequence left */
    bool in, idle;
};

struct prefix {
    uint32_t n_pages, n_buckets; /* constant */
    struct node *nodes;          /* [n_pages] */
    int32_t *tokens;             /* [n_pages][KV_PAGE] */
    uint32_t *buckets;           /* [n_buckets] first page, or PREFIX_NONE */
    uint32_t *recount;           /* [n_pages] for prefix_check */
    uint32_t oldest, newest;     /* ends of the list of leaves */
    uint32_t n_in, n_idle;
    uint64_t clock; /* counts departures */
};

struct prefix *prefix_new(uint32_t n_pages, uint32_t n_buckets) {
    struct prefix *p = mem_new(1, sizeof *p);
    if (!p) return NULL;
    p->n_pages = n_pages, p->n_buckets = n_buckets;
    p->nodes = mem_new(n_pages, sizeof *p->nodes);
    p->tokens = mem_new(n_pages, KV_PAGE * sizeof *p->tokens);
    p->buckets = mem_new(n_buckets, sizeof *p->buckets);
    p->recount = mem_new(n_pages, sizeof *p->recount);
    if (!p->nodes || !p->tokens || !p->buckets || !p->recount) {
        prefix_free(&p);
        return NULL;
    }
    for (uint32_t i = 0; i < n_buckets; i++) p->buckets[i] = PREFIX_NONE;
    p->oldest = p->newest = PREFIX_NONE;
    return p;
}

void prefix_free(struct prefix **pp) {
    struct prefix *p = *pp;
    if (!p) return;
    mem_free(p->nodes);
    mem_free(p->tokens);
    mem_free(p->buckets);
    mem_free(p->recount);
    mem_free(p);
    *pp = NULL;
}

static int32_t *tokens_of(const struct prefix *p, uint32_t page) { return p->tokens + (size_t)page * KV_PAGE; }

/* FNV-1a over parent and tokens, a word at a time, with the high bits folded down. */
static uint32_t *bucket(const struct prefix *p, uint32_t parent, const int32_t *tokens) {
    uint64_t h = (0xcbf29ce484222325u ^ parent) * 0x100000001b3u;
    for (int i = 0; i < KV_PAGE; i++) {
        h = (h ^ (uint32_t)tokens[i]) * 0x100000001b3u;
        h ^= h >> 29;
    }
    return &p->buckets[h % p->n_buckets];
}

uint32_t prefix_find(const struct prefix *p, uint32_t parent, const int32_t *tokens) {
    uint32_t page = *bucket(p, parent, tokens);
    while (page != PREFIX_NONE &&
           (p->nodes[page].parent != parent || memcmp(tokens_of(p, page), tokens, KV_PAGE * sizeof *tokens)))
        page = p->nodes[page].next;
    return page;
}

void prefix_add(struct prefix *p, uint32_t parent, const int32_t *tokens, uint32_t page) {
    assert(!prefix_has(p, page) && prefix_find(p, parent, tokens) == PREFIX_NONE);
    assert(parent == PREFIX_NONE || (prefix_has(p, parent) && !p->nodes[parent].idle));
    uint32_t *first = bucket(p, parent, tokens);
    p->nodes[page] = (struct node){.parent = parent, .next = *first, .in = true};
    *first = page;
    memcpy(tokens_of(p, page), tokens, KV_PAGE * sizeof *tokens);
    if (parent != PREFIX_NONE) p->nodes[parent].n_children++;
    p->n_in++;
}

bool prefix_has(const struct prefix *p, uint32_t page) { return p->nodes[page].in; }
uint32_t prefix_parent(const struct prefix *p, uint32_t page) { return p->nodes[page].parent; }
uint32_t prefix_n_pages(const struct prefix *p) { return p->n_in; }
uint32_t prefix_n_idle(const struct prefix *p) { return p->n_idle; }

/* The list of leaves: */

/* Where an end of the list or a neighbour names the page. */
static uint32_t *link_newer(struct prefix *p, uint32_t page) {
    return page == PREFIX_NONE ? &p->oldest : &p->nodes[page].newer;
}
static uint32_t *link_older(struct prefix *p, uint32_t page) {
    return page == PREFIX_NONE ? &p->newest : &p->nodes[page].older;
}

static void put_between(struct prefix *p, uint32_t older, uint32_t page, uint32_t newer) {
    p->nodes[page].older = older, p->nodes[page].newer = newer;
    *link_newer(p, older) = *link_older(p, newer) = page;
}

static void take_out(struct prefix *p, uint32_t page) {
    uint32_t older = p->nodes[page].older, newer = p->nodes[page].newer;
    *link_newer(p, older) = newer, *link_older(p, newer) = older;
}

void prefix_hold(struct prefix *p, uint32_t page) {
    struct node *n = &p->nodes[page];
    assert(n->in && n->idle);
    if (!n->n_children) take_out(p, page);
    n->idle = false;
    p->n_idle--;
}

void prefix_let_go(struct prefix *p, uint32_t page) {
    struct node *n = &p->nodes[page];
    assert(n->in && !n->idle);
    n->idle = true, n->let_go = p->clock++;
    p->n_idle++;
    if (!n->n_children) put_between(p, p->newest, page, PREFIX_NONE);
}

/* A parent was let go after its children, most often just after: its place is near the old end. */
static void lose_child(struct prefix *p, uint32_t page) {
    struct node *n = &p->nodes[page];
    if (--n->n_children || !n->idle) return;
    uint32_t newer = p->oldest;
    while (newer != PREFIX_NONE && p->nodes[newer].let_go < n->let_go) newer = p->nodes[newer].newer;
    put_between(p, *link_older(p, newer), page, newer);
}

uint32_t prefix_evict(struct prefix *p) {
    uint32_t page = p->oldest;
    assert(page != PREFIX_NONE);
    struct node *n = &p->nodes[page];
    uint32_t *at = bucket(p, n->parent, tokens_of(p, page));
    while (*at != page) at = &p->nodes[*at].next;
    *at = n->next;
    take_out(p, page);
    n->in = n->idle = false;
    p->n_in--, p->n_idle--;
    if (n->parent != PREFIX_NONE) lose_child(p, n->parent);
    return page;
}

/* Checks: */

static bool check_page(const struct prefix *p, uint32_t page, const uint32_t *ref, struct error *e) {
    const struct node *n = &p->nodes[page], *parent = n->parent == PREFIX_NONE ? NULL : &p->nodes[n->parent];
    const char *wrong = NULL;
    if (n->idle != (ref[page] == 0)) wrong = "idle and held, or neither";
    else if (n->n_children != p->recount[page]) wrong = "its children are miscounted";
    else if (parent && !parent->in) wrong = "its parent is forgotten";
    else if (parent && parent->idle && !n->idle) wrong = "held while its parent is not";
    else if (prefix_find(p, n->parent, tokens_of(p, page)) != page) wrong = "not found under its address";
    if (wrong) error_set(e, ERR_INPUT, "remembered page %u: %s", page, wrong);
    return !wrong;
}

/* Every page hangs in one bucket, so that the walk over all of them meets each once. */
static uint32_t count_in_buckets(const struct prefix *p) {
    uint32_t n = 0;
    for (uint32_t i = 0; i < p->n_buckets; i++)
        for (uint32_t page = p->buckets[i]; page != PREFIX_NONE && n <= p->n_pages; page = p->nodes[page].next) n++;
    return n;
}

/* The length of the list, or PREFIX_NONE when something in it is wrong. */
static uint32_t count_leaves(const struct prefix *p) {
    uint32_t n = 0, older = PREFIX_NONE;
    for (uint32_t page = p->oldest; page != PREFIX_NONE; older = page, page = p->nodes[page].newer, n++) {
        const struct node *node = &p->nodes[page];
        if (n >= p->n_pages || !node->in || !node->idle || node->n_children || node->older != older ||
            (older != PREFIX_NONE && p->nodes[older].let_go > node->let_go))
            return PREFIX_NONE;
    }
    return older == p->newest ? n : PREFIX_NONE;
}

bool prefix_check(const struct prefix *p, const uint32_t *ref, struct error *e) {
    uint32_t n_in = 0, n_idle = 0, n_leaves = 0;
    memset(p->recount, 0, p->n_pages * sizeof *p->recount);
    for (uint32_t page = 0; page < p->n_pages; page++)
        if (p->nodes[page].in && p->nodes[page].parent != PREFIX_NONE) p->recount[p->nodes[page].parent]++;
    for (uint32_t page = 0; page < p->n_pages; page++) {
        const struct node *n = &p->nodes[page];
        if (!n->in) continue;
        if (!check_page(p, page, ref, e)) return false;
        n_in++, n_idle += n->idle, n_leaves += n->idle && !n->n_children;
    }
    if (n_in == p->n_in && n_idle == p->n_idle && n_in == count_in_buckets(p) && n_leaves == count_leaves(p))
        return true;
    error_set(e, ERR_INPUT, "remembered pages: %u of %u, %u of %u idle, %u in buckets; %u leaves, list %u", n_in,
              p->n_in, n_idle, p->n_idle, count_in_buckets(p), n_leaves, count_leaves(p));
    return false;
}
