/* tree.c: the node arena: adding, walking, comparing, checking and hashing.
 * Not a strategy: nothing here decides what is extended.
 * Next: grow.c, which fills it. */
#include <math.h>
#include <stdalign.h>
#include <string.h>

#include "base/mem.h"
#include "base/rng.h"
#include "search/search_internal.h"

struct column {
    struct column *next;
    const char *name;
    alignas(16) unsigned char items[]; /* [cap, size] */
};

enum status search_open(struct tree *t, const struct evaluator *ev, uint64_t seed, uint32_t n_nodes, struct error *e) {
    *t = (struct tree){0};
    if (n_nodes < 2 || n_nodes > UINT32_MAX / 2)
        return error_set(e, ERR_INPUT, "a tree of %u nodes, allowed are 2 to %u", n_nodes, UINT32_MAX / 2);
    t->nodes = mem_new(n_nodes, sizeof *t->nodes);
    if (!t->nodes) return error_set(e, ERR_MEMORY, "no memory for a search tree of %u nodes", n_nodes);
    t->cap = n_nodes;
    t->n = 1;
    t->nodes[0] = (struct node){.key = seed, .text = "", .branch = ev->root};
    return OK;
}

void search_close(struct tree *t, const struct evaluator *ev) {
    for (uint32_t u = 1; u < t->n; u++) tree_drop(t, ev, u);
    for (struct column *c = t->columns, *next; c; c = next) {
        next = c->next;
        mem_free(c);
    }
    mem_free(t->nodes);
    *t = (struct tree){0};
}

static struct column *find_column(const struct tree *t, const char *name) {
    struct column *c = t->columns;
    while (c && strcmp(c->name, name)) c = c->next;
    return c;
}

void *tree_column(struct tree *t, const char *name, size_t size) {
    struct column *c = find_column(t, name);
    if (c) return c->items;
    if (size > (SIZE_MAX - sizeof *c) / t->cap || !(c = mem_new(1, sizeof *c + t->cap * size))) return NULL;
    c->name = name, c->next = t->columns, t->columns = c;
    return c->items;
}

const struct visits *tree_visits(const struct tree *t) {
    const struct column *c = find_column(t, "visits");
    return c ? (const struct visits *)(const void *)c->items : NULL;
}

void tree_drop(struct tree *t, const struct evaluator *ev, uint32_t u) {
    if (u && t->nodes[u].branch) ev->drop(ev->self, &t->nodes[u].branch);
    t->nodes[u].flags &= ~(uint32_t)NODE_EVICTED;
}

uint32_t tree_steps(const struct tree *t, uint32_t u) {
    uint32_t n = 0;
    for (; u; u = t->nodes[u].parent) n += t->nodes[u].n_steps;
    return n;
}

bool tree_has_finished(const struct tree *t) {
    for (uint32_t u = 1; u < t->n; u++)
        if (t->nodes[u].flags & NODE_FINISHED) return true;
    return false;
}

uint32_t tree_end_flag(enum step_end end, uint32_t depth, uint32_t max_depth) {
    switch (end) {
    case STEP_FINISHED: return NODE_FINISHED;
    case STEP_TRUNCATED: return NODE_TRUNCATED;
    case STEP_DEAD: return NODE_DEAD;
    case STEP_OPEN: return depth >= max_depth ? NODE_TRUNCATED : NODE_PART;
    case STEP_SEPARATOR: break;
    }
    return depth >= max_depth ? NODE_TRUNCATED : 0;
}

uint32_t tree_twin(const struct tree *t, uint32_t parent, const char *text, uint32_t ends) {
    for (uint32_t c = t->nodes[parent].first_child; c; c = t->nodes[c].next_sibling)
        if ((t->nodes[c].flags & (NODE_TERMINAL | NODE_PART)) == ends && !strcmp(t->nodes[c].text, text)) return c;
    return 0;
}

uint32_t tree_add(struct tree *t, const struct try *try, const struct step *step, uint32_t ends) {
    uint32_t u = t->n++;
    struct node *parent = &t->nodes[try->parent], *n = &t->nodes[u];
    *n = (struct node){
        .parent = try->parent,
        .depth = parent->depth + 1,
        .child_index = try->child_index,
        .key = step->key,
        .text = step->text ? step->text : "",
        .logprob = step->logprob,
        .n_tokens = step->n_tokens,
        .n_steps = step->to_end ? step->n_steps : step->end != STEP_OPEN,
        .flags = ends | (step->draft ? NODE_DRAFTED : 0),
        .branch = step->branch,
        .multiplicity = 1,
    };
    if (parent->last_child) t->nodes[parent->last_child].next_sibling = u;
    else parent->first_child = u;
    parent->last_child = u;
    parent->n_children++;
    return u;
}

uint32_t tree_next(const struct tree *t, uint32_t u) {
    if (t->nodes[u].first_child) return t->nodes[u].first_child;
    while (u && !t->nodes[u].next_sibling) u = t->nodes[u].parent;
    return t->nodes[u].next_sibling;
}

bool tree_part(const struct tree *t, uint32_t *a, uint32_t *b) {
    const struct node *n = t->nodes;
    uint32_t x = *a, y = *b;
    while (n[x].depth > n[y].depth) x = n[x].parent;
    while (n[y].depth > n[x].depth) y = n[y].parent;
    if (x == y) return false;
    while (n[x].parent != n[y].parent) x = n[x].parent, y = n[y].parent;
    *a = x, *b = y;
    return true;
}

int tree_path_compare(const struct tree *t, uint32_t a, uint32_t b) {
    uint32_t x = a, y = b;
    if (tree_part(t, &x, &y)) return t->nodes[x].child_index < t->nodes[y].child_index ? -1 : 1;
    return (t->nodes[a].depth > t->nodes[b].depth) - (t->nodes[a].depth < t->nodes[b].depth);
}

double tree_logprob(const struct tree *t, uint32_t u) {
    double sum = 0;
    for (; u; u = t->nodes[u].parent) sum += t->nodes[u].logprob;
    return sum;
}

double node_mean(const struct tree *t, uint32_t u) {
    const struct visits *v = tree_visits(t);
    return v && v[u].n ? v[u].sum / v[u].n : (double)t->nodes[u].value;
}

size_t search_chain_text(const struct tree *t, uint32_t node, char *text, size_t cap) {
    size_t len = 0;
    if (!cap) return 0;
    for (uint32_t depth = 1; depth <= t->nodes[node].depth; depth++) {
        uint32_t u = node;
        while (t->nodes[u].depth > depth) u = t->nodes[u].parent;
        bool whole = !(t->nodes[t->nodes[u].parent].flags & NODE_PART);
        if (depth > 1 && whole && len < cap - 1) text[len++] = '\n';
        size_t n = strlen(t->nodes[u].text);
        if (n > cap - 1 - len) n = cap - 1 - len;
        memcpy(text + len, t->nodes[u].text, n);
        len += n;
    }
    text[len] = 0;
    return len;
}

static bool wrong(struct error *e, uint32_t u, const char *what) {
    error_set(e, ERR_INPUT, "search tree: node %u: %s", u, what);
    return false;
}

/* Every finished visit ended at the node itself (one per try that gave it) or went on to a child.  While visits are in
 * flight the tries are ahead of the visits. */
static bool check_visits(const struct tree *t, uint32_t u, struct error *e) {
    const struct visits *v = tree_visits(t), *mine = v + u;
    const struct node *n = &t->nodes[u];
    uint64_t visits = 0, in_flight = 0;
    if (!v || !v->n) return true;
    for (uint32_t c = n->first_child; c; c = t->nodes[c].next_sibling) visits += v[c].n, in_flight += v[c].in_flight;
    if (in_flight > mine->in_flight) return wrong(e, u, "children have more visits in flight");
    if (mine->n && !(mine->sum >= 0 && mine->sum <= mine->n * 1.0000001)) return wrong(e, u, "mean outside [0,1]");
    if (visits > mine->n) return wrong(e, u, "children have more visits");
    if (mine->n - visits > n->multiplicity) return wrong(e, u, "more own visits than tries");
    if (v->in_flight || (u && !mine->n)) return true; /* under way, or not visited yet: another strategy made it */
    if (mine->n - visits != n->multiplicity) return wrong(e, u, "visits != own tries + visits of children");
    return !mine->in_flight || wrong(e, u, "a visit in flight that the root does not know");
}

static bool check_node(const struct tree *t, uint32_t u, struct error *e) {
    const struct node *n = &t->nodes[u];
    uint64_t tries = 0;
    uint32_t count = 0, last = 0;
    for (uint32_t c = n->first_child; c; last = c, c = t->nodes[c].next_sibling) {
        const struct node *child = &t->nodes[c];
        if (c >= t->n || c <= u || c <= last) return wrong(e, u, "child list leaves the order of creation");
        if (child->parent != u) return wrong(e, c, "is in the list of a node that is not its parent");
        if (child->depth != n->depth + 1) return wrong(e, c, "depth is not the parent's + 1");
        if (child->key != rng_fold(n->key, child->child_index))
            return wrong(e, c, "key is not derived from the parent");
        if (last && child->child_index <= t->nodes[last].child_index) return wrong(e, c, "child_index does not grow");
        tries += child->multiplicity;
        count++;
    }
    if (count != n->n_children || last != n->last_child) return wrong(e, u, "child count or last child");
    if ((n->flags & NODE_TERMINAL) && count) return wrong(e, u, "terminal node with children");
    if (!(n->value >= 0 && n->value <= 1)) return wrong(e, u, "value outside [0,1]");
    if (tries > n->tries) return wrong(e, u, "children count more tries than were made");
    return check_visits(t, u, e);
}

bool tree_check(const struct tree *t, struct error *e) {
    if (t->n < 1 || t->n > t->cap) return wrong(e, 0, "arena overflow");
    uint64_t n_children = 0;
    for (uint32_t u = 0; u < t->n; u++) {
        if (!check_node(t, u, e)) return false;
        n_children += t->nodes[u].n_children;
    }
    return n_children == t->n - 1 || wrong(e, 0, "nodes that are in no child list");
}

bool search_check(const struct tree *t, struct error *e) {
    if (!tree_check(t, e)) return false;
    for (uint32_t u = 0; u < t->n; u++)
        for (uint32_t v = u + 1; t->nodes[u].branch && v < t->n; v++)
            if (t->nodes[v].branch == t->nodes[u].branch)
                return wrong(e, v, "holds a branch that an earlier node holds");
    return true;
}

static uint64_t mix(uint64_t h, const void *data, size_t n) {
    const unsigned char *c = data;
    while (n--) h = (h ^ *c++) * 0x100000001b3u; /* FNV-1a */
    return h;
}

static uint64_t mix_u64(uint64_t h, uint64_t x) { return mix(h, &x, sizeof x); }

/* Not those of evictions, batches and of what was scored: memory and parts of a run do not show. */
enum { HASHED_FLAGS = NODE_TERMINAL | NODE_PRUNED | NODE_CHECKED_RIGHT | NODE_CHECKED_WRONG };

static uint64_t mix_node(uint64_t h, const struct tree *t, uint32_t u) {
    static const struct visits none;
    const struct node *n = &t->nodes[u];
    const struct visits *v = tree_visits(t);
    v = v ? v + u : &none;
    h = mix(h, n->text, strlen(n->text) + 1);
    h = mix(h, &n->value, sizeof n->value);
    h = mix(h, &n->logprob, sizeof n->logprob);
    h = mix(h, &v->sum, sizeof v->sum);
    h = mix(h, &v->best, sizeof v->best);
    h = mix_u64(h, n->answer);
    h = mix_u64(h, (uint64_t)n->depth << 32 | n->child_index);
    h = mix_u64(h, (uint64_t)n->n_tokens << 32 | (n->flags & HASHED_FLAGS));
    h = mix_u64(h, (uint64_t)v->n << 32 | n->tries);
    return mix_u64(h, n->multiplicity);
}

/* Walks in pre-order and leaves node numbers, evictions and branches out, so that memory and batches do not show. */
uint64_t search_signature(const struct tree *t, const struct search_result *r) {
    uint64_t h = mix_node(0xcbf29ce484222325u, t, 0);
    for (uint32_t u = tree_next(t, 0); u; u = tree_next(t, u)) h = mix_node(h, t, u);
    for (uint32_t u = r->node; u; u = t->nodes[u].parent) h = mix_u64(h, t->nodes[u].child_index);
    h = mix(h, &r->value, sizeof r->value);
    return mix_u64(h, (uint64_t)r->why << 32 | r->n_finished);
}
