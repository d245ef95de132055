/* path_star.c: a star of paths that part at its centre; from there to the goal, one node at a step.  The first step
 * decides, and only the end of a path tells which was right.
 * Not a general graph: each node but the centre has one edge out at most.
 * Next: steps.h.
 *
 *   question  "...Solve the following task:\n|35 24|26 46|3 23|3 10|10 26/3 46 = "
 *   prompt    " | 35 24 | 26 46 | 3 23 | 3 10 | 10 26 / 3 46\n"
 *   step      " 3", then " 10", " 26", " 46"
 *   answer    "3 10 26 46" */
#include <stdio.h>
#include <string.h>

#include "tasks/steps.h"

enum { EDGES = 96 };

struct star {
    int n, start, goal;
    int from[EDGES], to[EDGES];
};

/* ---- reading ---- */

static bool take_node(const char **at, int *node) { return take_small(at, 0, 999999, node); }

static bool read_edges(const char *at, struct star *s) {
    while (take(&at, "|")) {
        if (s->n == EDGES) return false;
        skip_space(&at);
        if (!take_node(&at, &s->from[s->n]) || !take(&at, " ") || !take_node(&at, &s->to[s->n])) return false;
        s->n++;
        skip_space(&at);
    }
    if (!take(&at, "/")) return false;
    skip_space(&at);
    if (!take_node(&at, &s->start) || !take(&at, " ") || !take_node(&at, &s->goal)) return false;
    at += strspn(at, " =\r\n");
    return !*at && s->n;
}

/* The node before `node`; -1 for none, -2 for several. */
static int before(const struct star *s, int node) {
    int found = -1;
    for (int i = 0; i < s->n; i++)
        if (s->to[i] == node) found = found == -1 ? s->from[i] : -2;
    return found;
}

static bool has_edge(const struct star *s, int from, int to) {
    for (int i = 0; i < s->n; i++)
        if (s->from[i] == from && s->to[i] == to) return true;
    return false;
}

/* The path from start to goal, found from its end; its nodes, 0 when there is none or more than one. */
static int find_path(const struct star *s, int path[EDGES + 1]) {
    int n = 0, node = s->goal;
    while (n <= EDGES) {
        path[n++] = node;
        if (node == s->start) break;
        if ((node = before(s, node)) < 0) return 0;
    }
    if (path[n - 1] != s->start) return 0;
    for (int i = 0; i < n / 2; i++) {
        int swap = path[i];
        path[i] = path[n - 1 - i], path[n - 1 - i] = swap;
    }
    return n;
}

static bool read_star(const char *text, void *own, char why[96]) {
    int path[EDGES + 1];
    const char *task = after(text, "Solve the following task:");
    if (!task) task = text;
    skip_space(&task);
    if (!read_edges(task, own)) {
        snprintf(why, 96, "no edges like |1 2|2 3/1 3");
        return false;
    }
    if (find_path(own, path)) return true;
    snprintf(why, 96, "there is not exactly one path to the goal");
    return false;
}

static void write_star(const void *own, char *out) {
    const struct star *s = own;
    size_t n = 0;
    for (int i = 0; i < s->n; i++) n = put(out, COMPACT, n, " | %d %d", s->from[i], s->to[i]);
    put(out, COMPACT, n, " / %d %d\n", s->start, s->goal);
}

/* ---- chains ---- */

/* Follows edges from the start; the newest node (-1: none yet) and the number of nodes.  False at a line that is no
 * node or has no edge from the one before. */
static bool follow(const struct star *s, const char *chain, int *newest, int *n) {
    char line[32];
    *newest = -1, *n = 0;
    while (next_line(&chain, line, sizeof line)) {
        const char *at = line;
        int node;
        if (!take(&at, " ") || !take_node(&at, &node) || *at) return false;
        if (*n == 0 ? node != s->start : !has_edge(s, *newest, node)) return false;
        *newest = node, ++*n;
    }
    return true;
}

static float oracle(const struct problem *p, const char *chain) {
    const struct star *s = p->own;
    int path[EDGES + 1], newest, n, length = find_path(s, path);
    if (!follow(s, chain, &newest, &n) || n > length) return 0;
    return n == 0 || path[n - 1] == newest; /* the star parts once: the newest node tells the path */
}

static uint64_t state(const struct problem *p, const char *chain) {
    int newest, n;
    return follow(p->own, chain, &newest, &n) ? hash_text(chain) : STATE_WRONG;
}

static size_t answer(const struct problem *p, const char *chain, char *out, size_t cap) {
    char line[32];
    size_t n = 0;
    (void)p;
    if (cap) *out = 0;
    while (next_line(&chain, line, sizeof line)) {
        const char *at = line;
        int node;
        if (!take(&at, " ") || !take_node(&at, &node) || *at) {
            if (cap) *out = 0;
            return 0;
        }
        n = put(out, cap, n, n ? " %d" : "%d", node);
    }
    return n;
}

/* The only path, with any blanks between its nodes. */
static struct judgement judge_answer(const struct problem *p, const char *text) {
    const struct star *s = p->own;
    int path[EDGES + 1], n = find_path(s, path);
    const char *at = text;
    skip_space(&at);
    for (int i = 0; i < n; i++) {
        char want[16];
        snprintf(want, sizeof want, "%d", path[i]);
        if (!take(&at, want) || (*at && !strchr(" \t\r\n", *at)))
            return judged(false, "node %d of the path is wrong", i + 1);
        skip_space(&at);
    }
    return judged(!*at, "the path goes on behind the goal");
}

/* ---- problems to learn from ---- */

static const struct knob knobs[] = {{"degree", "paths of the star", 3, 5, 2, 8},
                                    {"node_range", "labels are below this", 50, 50, 20, 999999},
                                    {"min_length", "edges of a path", 3, 5, 2, 10},
                                    {"max_length", "edges of a path", 5, 5, 2, 10},
                                    {0}};

static enum status generate(const struct task *t, uint64_t key, const struct task_draw *k, struct problem *p,
                            struct error *e) {
    struct star s = {0}, mixed;
    uint64_t counter = 0;
    int used[EDGES + 1] = {0}, n_used = 0, order[EDGES];
    int length = draw_int(key, &counter, k->knobs[2], k->knobs[3]), goal = draw_int(key, &counter, 0, k->knobs[0] - 1);
    for (int path = 0; path < k->knobs[0]; path++)
        for (int i = path ? 1 : 0; i <= length && n_used <= EDGES; i++) {
            bool taken = true;
            while (taken) {
                used[n_used] = draw_int(key, &counter, 0, k->knobs[1] - 1), taken = false;
                for (int u = 0; u < n_used; u++) taken = taken || used[u] == used[n_used];
            }
            if (i) s.from[s.n] = i == 1 ? used[0] : used[n_used - 1], s.to[s.n++] = used[n_used];
            if (path == goal && i == length) s.goal = used[n_used];
            n_used++;
        }
    s.start = used[0];
    mixed = s;
    for (int i = 0; i < s.n; i++) order[i] = i;
    draw_shuffle(key, &counter, order, s.n);
    for (int i = 0; i < s.n; i++) mixed.from[i] = s.from[order[i]], mixed.to[i] = s.to[order[i]];
    return steps_problem(t, &mixed, p, e);
}

/* Any path from the start to its end; its nodes. */
static int walk(const struct star *s, uint64_t key, int path[EDGES + 1]) {
    uint64_t counter = 0;
    int n = 0, next[EDGES], n_next = 1;
    for (next[0] = s->start; n_next && n <= EDGES;) {
        path[n++] = next[draw_int(key, &counter, 0, n_next - 1)], n_next = 0;
        for (int i = 0; i < s->n; i++)
            if (s->from[i] == path[n - 1]) next[n_next++] = s->to[i];
    }
    return n;
}

static void example(const struct problem *p, uint64_t key, struct lesson *out) {
    int path[EDGES + 1], n_path = out->stray ? walk(p->own, key, path) : find_path(p->own, path);
    out->n = 0, out->loss_after = 0;
    for (int i = 0; i < n_path; i++) out->n = put(out->text, out->cap, out->n, "%s %d", i ? "\n" : "", path[i]);
}

static uint32_t depth(const void *own) {
    int path[EDGES + 1];
    return (uint32_t)find_path(own, path);
}

/* The edges in any order. */
static uint64_t content(const struct problem *p) {
    const struct star *s = p->own;
    uint64_t sum = 0;
    for (int i = 0; i < s->n; i++) sum += rng_fold(rng_fold(1, (uint64_t)s->from[i]), (uint64_t)s->to[i]);
    return rng_fold(rng_fold(sum, (uint64_t)s->start), (uint64_t)s->goal);
}

static const struct kind kind = {sizeof(struct star), read_star, write_star, depth};

const struct task path_star_task = {.name = "path_star",
                                    .summary = "the path to a goal in a star of paths",
                                    .style = &style_steps,
                                    .kind = &kind,
                                    STEPS_VERBS,
                                    .answer = answer,
                                    .judge_answer = judge_answer,
                                    .vote = answer,
                                    .oracle = oracle,
                                    .state = state,
                                    .knobs = knobs,
                                    .generate = generate,
                                    .example = example,
                                    .content = content};
