/* tree_tools.c: see tree_tools.h: numbers and differences.
 * Not the pictures: tree_export.c.
 * Next: tree_export.c. */
#include "solve/tree_tools.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "solve/report.h"

/* ---- numbers ---- */

struct ledger tree_cost(const struct saved_tree *f) {
    if (f->done) return f->cost;
    struct ledger l = f->start.ledger;
    for (size_t i = 0; i < f->n_items; i++) {
        const struct tape_item *x = &f->items[i];
        l.policy_flops += x->flops + x->cost.policy_flops;
        l.prm_tokens += x->cost.tokens, l.prm_flops += x->cost.flops;
        if (x->kind == TAPE_STEP) l.generated_tokens += x->n_tokens;
        if (x->kind == TAPE_BEGUN) l.prompt_tokens += x->n_tokens;
    }
    return l;
}

/* Mean, smallest and largest of the values that there are. */
struct spread {
    double sum, low, high;
    uint32_t n;
};

static void add(struct spread *s, double x) {
    s->low = s->n ? fmin(s->low, x) : x, s->high = s->n ? fmax(s->high, x) : x;
    s->sum += x, s->n++;
}

static json_t *spread_json(const struct spread *s) {
    if (!s->n) return json_null();
    return json_pack("{s:i,s:f,s:f,s:f}", "n", (int)s->n, "mean", s->sum / s->n, "min", s->low, "max", s->high);
}

static uint32_t first_step(const struct tree *t, uint32_t u) {
    while (t->nodes[u].parent) u = t->nodes[u].parent;
    return u;
}

/* Different ones among n numbers. */
static int by_number(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static uint32_t distinct(uint64_t *x, uint32_t n) {
    uint32_t count = 0;
    if (n) qsort(x, n, sizeof *x, by_number);
    for (uint32_t i = 0; i < n; i++) count += !i || x[i] != x[i - 1];
    return count;
}

struct counts {
    uint32_t ends[4], pruned, inner, children, deepest;
    uint64_t times;
    struct spread open, finished, depth;
};

static void count_node(const struct saved_tree *f, uint32_t u, struct counts *c) {
    const struct node *n = &f->tree.nodes[u];
    bool over = n->flags & NODE_FINISHED;
    c->ends[over ? 1 : n->flags & NODE_TRUNCATED ? 2 : n->flags & NODE_DEAD ? 3 : 0]++;
    c->pruned += !!(n->flags & NODE_PRUNED);
    c->times += n->multiplicity;
    if (n->n_children) c->inner++, c->children += n->n_children;
    if (n->depth > c->deepest) c->deepest = n->depth;
    if (over) add(&c->depth, n->depth);
    if (n->flags & NODE_SCORED) add(over ? &c->finished : &c->open, (double)n->value);
}

static uint64_t chain_tokens(const struct tree *t, uint32_t u) {
    uint64_t n = 0;
    for (; u; u = t->nodes[u].parent) n += t->nodes[u].n_tokens;
    return n;
}

json_t *tree_stats(const struct saved_tree *f) {
    const struct tree *t = &f->tree;
    struct counts c = {0};
    uint64_t *firsts = mem_new(t->n, sizeof *firsts), *answers = mem_new(t->n, sizeof *answers);
    uint32_t n = 0, n_answers = 0;
    for (uint32_t u = 1; u < t->n && firsts && answers; u++) {
        count_node(f, u, &c);
        if (t->nodes[u].flags & NODE_FINISHED) firsts[n++] = first_step(t, u);
        const char *answer = f->nodes[u].answer;
        uint64_t h = 0xcbf29ce484222325u;
        for (const char *a = answer; a && *a; a++) h = (h ^ (unsigned char)*a) * 0x100000001b3u;
        if (answer && *answer) answers[n_answers++] = h;
    }
    struct ledger cost = tree_cost(f);
    uint32_t root = t->nodes[0].n_children != 0;
    json_t *j =
        firsts && answers
            ? json_pack("{s:s,s:s,s:s,s:I,s:b,s:i,s:i,s:i,s:i,s:i,s:i,s:i,s:f,s:I,s:i,s:i,s:o,s:o,s:o,s:I}", "task",
                        tree_header_text(f, "task"), "problem", tree_header_text(f, "problem"), "strategy",
                        tree_header_text(f, "strategy"), "seed", json_integer_value(json_object_get(f->header, "seed")),
                        "complete", (int)f->done, "nodes", (int)(t->n - 1), "open", (int)c.ends[0], "finished",
                        (int)c.ends[1], "truncated", (int)c.ends[2], "dead", (int)c.ends[3], "pruned", (int)c.pruned,
                        "depth", (int)c.deepest, "children_per_inner_node",
                        c.inner + root ? (c.children + t->nodes[0].n_children) / (double)(c.inner + root) : 0.0,
                        "tries", (json_int_t)c.times, "first_steps", (int)distinct(firsts, n), "answers",
                        (int)distinct(answers, n_answers), "depth_of_finished", spread_json(&c.depth), "values_of_open",
                        spread_json(&c.open), "values_of_finished", spread_json(&c.finished), "tokens_of_answer",
                        (json_int_t)(f->done ? chain_tokens(t, f->result.node) : 0))
            : NULL;
    if (j) {
        if (f->done) json_object_set_new(j, "why", json_string(why_name(f->result.why)));
        report_add_ledger(j, &cost, false);
        json_object_del(j, "shared_tokens");
    }
    mem_free(firsts), mem_free(answers);
    return j;
}

/* ---- differences ---- */

struct comparison {
    const struct saved_tree *a, *b;
    uint32_t *twins; /* [a->tree.n] node of b; 0 but for the prompt: none */
    bool *met;       /* [b->tree.n] */
    struct buffer *to;
    size_t n, most;
};

__attribute__((format(printf, 2, 3))) static void differ(struct comparison *c, const char *format, ...) {
    char text[400];
    va_list list;
    if (++c->n > c->most) return;
    va_start(list, format);
    vsnprintf(text, sizeof text, format, list);
    va_end(list);
    buffer_print(c->to, "%s\n", text);
}

/* The node's path of tries, "0.3.1". */
static const char *path_of(const struct tree *t, uint32_t u, char *text, size_t cap) {
    char all[400];
    size_t at = sizeof all - 1;
    all[at] = 0;
    for (; u && at > 12; u = t->nodes[u].parent) {
        char one[16];
        size_t n = (size_t)snprintf(one, sizeof one, all[at] ? "%u." : "%u", t->nodes[u].child_index);
        memcpy(all + (at -= n), one, n);
    }
    snprintf(text, cap, "%s%s", u ? "..." : "", all + at);
    return text;
}

static void compare_headers(struct comparison *c) {
    static const char *const groups[] = {"settings", NULL};
    json_t *x = json_copy(c->a->header), *y = json_copy(c->b->header);
    for (int i = 0; groups[i]; i++) {
        json_object_update_missing(x, json_object_get(x, groups[i]));
        json_object_update_missing(y, json_object_get(y, groups[i]));
    }
    static const char *const left_out[] = {"settings", "options", "session"};
    for (size_t i = 0; i < 3; i++) json_object_del(x, left_out[i]), json_object_del(y, left_out[i]);
    const char *name;
    json_t *v;
    json_object_foreach(x, name, v) {
        const json_t *w = json_object_get(y, name);
        char *p = json_dumps(v, JSON_COMPACT | JSON_ENCODE_ANY),
             *q = w ? json_dumps(w, JSON_COMPACT | JSON_ENCODE_ANY) : NULL;
        if (!w || !json_equal(v, (json_t *)w))
            differ(c, "header: \"%s\": %.120s, %.120s", name, p ? p : "?", q ? q : "missing");
        free(p), free(q);
    }
    json_object_foreach(y, name, v) if (!json_object_get(x, name)) differ(c, "header: \"%s\": missing, there", name);
    json_decref(x), json_decref(y);
}

/* Children with the same number of the try are the same node; both lists are in that order. */
static void match(struct comparison *c) {
    const struct tree *a = &c->a->tree, *b = &c->b->tree;
    for (uint32_t u = 0; u < a->n; u++) {
        if (u && !c->twins[u]) continue;
        uint32_t x = a->nodes[u].first_child, y = b->nodes[c->twins[u]].first_child;
        while (x && y) {
            if (a->nodes[x].child_index == b->nodes[y].child_index) {
                c->twins[x] = y, c->met[y] = true;
                x = a->nodes[x].next_sibling, y = b->nodes[y].next_sibling;
            } else if (a->nodes[x].child_index < b->nodes[y].child_index) x = a->nodes[x].next_sibling;
            else y = b->nodes[y].next_sibling;
        }
    }
}

static void compare_nodes(struct comparison *c, uint32_t u) {
    const struct node *x = &c->a->tree.nodes[u], *y = &c->b->tree.nodes[c->twins[u]];
    const struct visits *v = tree_visits(&c->a->tree), *w = tree_visits(&c->b->tree);
    char path[80];
    path_of(&c->a->tree, u, path, sizeof path);
    if (strcmp(x->text, y->text)) differ(c, "node %s: text \"%.60s\", \"%.60s\"", path, x->text, y->text);
    else if (x->n_tokens != y->n_tokens) differ(c, "node %s: %u tokens, %u", path, x->n_tokens, y->n_tokens);
    else if (x->logprob != y->logprob)
        differ(c, "node %s: log-probability %.9g, %.9g", path, (double)x->logprob, (double)y->logprob);
    if (x->value != y->value) differ(c, "node %s: value %.9g, %.9g", path, (double)x->value, (double)y->value);
    if (strcmp(node_status_name(x), node_status_name(y)))
        differ(c, "node %s: %s, %s", path, node_status_name(x), node_status_name(y));
    if (x->multiplicity != y->multiplicity) differ(c, "node %s: %u times, %u", path, x->multiplicity, y->multiplicity);
    if (v && w && v[u].n != w[c->twins[u]].n) differ(c, "node %s: %u visits, %u", path, v[u].n, w[c->twins[u]].n);
}

static void compare_results(struct comparison *c) {
    const struct saved_tree *a = c->a, *b = c->b;
    if (a->done != b->done) {
        differ(c, "result: %s, %s", a->done ? "there" : "missing", b->done ? "there" : "missing");
        return;
    }
    if (!a->done) return;
    char x[80], y[80];
    if ((a->result.node != 0) != (b->result.node != 0) ||
        (a->result.node && c->twins[a->result.node] != b->result.node))
        differ(c, "result: node %s, %s", path_of(&a->tree, a->result.node, x, sizeof x),
               path_of(&b->tree, b->result.node, y, sizeof y));
    if (a->result.why != b->result.why)
        differ(c, "result: stopped by %s, %s", why_name(a->result.why), why_name(b->result.why));
    if (a->result.value != b->result.value)
        differ(c, "result: value %.9g, %.9g", (double)a->result.value, (double)b->result.value);
    struct ledger p = a->cost, q = b->cost;
    for (const struct ledger_field *l = ledger_fields; l->name; l++)
        if (!l->of_run && *ledger_at(&p, l) != *ledger_at(&q, l))
            differ(c, "cost: %s %llu, %llu", l->name, (unsigned long long)*ledger_at(&p, l),
                   (unsigned long long)*ledger_at(&q, l));
}

enum status tree_diff(const struct saved_tree *a, const struct saved_tree *b, size_t most, struct buffer *to, size_t *n,
                      struct error *e) {
    struct comparison c = {.a = a, .b = b, .to = to, .most = most};
    c.twins = mem_new(a->tree.n, sizeof *c.twins), c.met = mem_new(b->tree.n, sizeof *c.met);
    char path[80];
    if (c.twins && c.met) {
        compare_headers(&c);
        match(&c);
        for (uint32_t u = 1; u < a->tree.n; u++) {
            if (c.twins[u]) compare_nodes(&c, u);
            else
                differ(&c, "node %s: only in %s: \"%.60s\"", path_of(&a->tree, u, path, sizeof path), a->path,
                       a->tree.nodes[u].text);
        }
        for (uint32_t u = 1; u < b->tree.n; u++)
            if (!c.met[u])
                differ(&c, "node %s: only in %s: \"%.60s\"", path_of(&b->tree, u, path, sizeof path), b->path,
                       b->tree.nodes[u].text);
        compare_results(&c);
        if (c.n > most) buffer_print(to, "and %zu more\n", c.n - most);
    }
    bool good = c.twins && c.met && !to->failed;
    mem_free(c.twins), mem_free(c.met);
    *n = c.n;
    return good ? OK : error_set(e, ERR_MEMORY, "no memory to compare two trees");
}
