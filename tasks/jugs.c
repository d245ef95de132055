/* jugs.c: fill, empty and pour until some jug holds the target.  One move at a step, with what all jugs hold after it.
 * Not a shortest way: any way is right.
 * Next: steps.h.
 *
 *   question  "...hold this many litres of water: A:13, B:7, C:7\nAnd your target is: 2 litres..."
 *   prompt    " 13 7 7 -> 2\n"
 *   step      " + B : 0 7 0", " B > A : 7 0 0", " - A : 0 0 0"      fill, pour, empty
 *   answer    ["fill B", "pour B->A", "empty A"] */
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "tasks/steps.h"

enum { JUGS = 5, CAPACITY = 30, STATES = 1 << 18, LONGEST = 60 };

struct jugs {
    int n, target, shortest;
    int capacity[JUGS];
};

struct move {
    int from, to; /* equal: fill or empty */
    char kind;    /* + - > */
};

static int list_moves(const struct jugs *j, struct move moves[JUGS * (JUGS + 1)]) {
    int n = 0;
    for (int i = 0; i < j->n; i++) {
        moves[n++] = (struct move){i, i, '+'};
        moves[n++] = (struct move){i, i, '-'};
        for (int k = 0; k < j->n; k++)
            if (k != i) moves[n++] = (struct move){i, k, '>'};
    }
    return n;
}

static void do_move(const struct jugs *j, struct move m, int *holds) {
    if (m.kind == '+') holds[m.from] = j->capacity[m.from];
    else if (m.kind == '-') holds[m.from] = 0;
    else {
        int room = j->capacity[m.to] - holds[m.to], amount = holds[m.from] < room ? holds[m.from] : room;
        holds[m.from] -= amount, holds[m.to] += amount;
    }
}

static bool is_solved(const struct jugs *j, const int *holds) {
    for (int i = 0; i < j->n; i++)
        if (holds[i] == j->target) return true;
    return false;
}

/* ---- distances: breadth-first from the empty jugs, or from any state ---- */

static long number_of(const struct jugs *j, const int *holds) {
    long number = 0;
    for (int i = 0; i < j->n; i++) number = number * (j->capacity[i] + 1) + holds[i];
    return number;
}

static void holds_of(const struct jugs *j, long number, int *holds) {
    for (int i = j->n - 1; i >= 0; i--) holds[i] = (int)(number % (j->capacity[i] + 1)), number /= j->capacity[i] + 1;
}

static long n_states(const struct jugs *j) {
    long n = 1;
    for (int i = 0; i < j->n; i++) n *= j->capacity[i] + 1;
    return n;
}

struct queue {
    long n;       /* states of these jugs */
    int *parent;  /* [n] state before + 1; 0: not seen */
    int *order;   /* [n] states as they were met */
    int solution; /* the first state with the target; -1: none */
};

/* The first solution from `holds` in breadth-first order, with moves tried from a random one on when key is not 0.
 * False without memory. */
static bool search(const struct jugs *j, const int *holds, uint64_t key, struct queue *q) {
    struct move moves[JUGS * (JUGS + 1)];
    int n_moves = list_moves(j, moves), at[JUGS];
    q->n = n_states(j);
    q->parent = mem_new((size_t)q->n, sizeof *q->parent), q->order = mem_new((size_t)q->n, sizeof *q->order);
    if (!q->parent || !q->order) return false;
    int head = 0, tail = 0, first = key ? (int)rng_below(key, 0, (uint32_t)n_moves) : 0;
    q->solution = -1;
    q->order[tail++] = (int)number_of(j, holds);
    q->parent[q->order[0]] = q->order[0] + 1;
    for (; head < tail; head++) {
        int state = q->order[head];
        holds_of(j, state, at);
        if (is_solved(j, at)) {
            q->solution = state;
            return true;
        }
        for (int k = 0; k < n_moves; k++) {
            int next[JUGS];
            memcpy(next, at, sizeof next);
            do_move(j, moves[(k + first) % n_moves], next);
            int number = (int)number_of(j, next);
            if (q->parent[number]) continue;
            q->parent[number] = state + 1;
            q->order[tail++] = number;
        }
    }
    return true;
}

static void queue_free(struct queue *q) { mem_free(q->parent), mem_free(q->order); }

/* States on the way to the solution, the start first; their number, 0 when there is none or it is longer than LONGEST.
 * */
static int way(const struct queue *q, int states[LONGEST + 1]) {
    int n = 0, back[LONGEST + 1];
    for (int s = q->solution; s >= 0 && n <= LONGEST; s = q->parent[s] - 1) {
        back[n++] = s;
        if (q->parent[s] - 1 == s) break;
    }
    if (n == 0 || n > LONGEST) return 0;
    for (int i = 0; i < n; i++) states[i] = back[n - 1 - i];
    return n;
}

/* Moves of the shortest way; -1 for none, -2 without memory. */
static int shortest(const struct jugs *j) {
    struct queue q = {0};
    int holds[JUGS] = {0}, states[LONGEST + 1], n = -2;
    if (search(j, holds, 0, &q)) n = way(&q, states) - 1;
    queue_free(&q);
    return n;
}

/* ---- reading ---- */

static bool read_question(const char *text, struct jugs *j) {
    const char *at = after(text, "this many litres of water: "), *target = after(text, "your target is: ");
    if (!at || !target || !take_small(&target, 1, CAPACITY, &j->target)) return false;
    do {
        char name[3] = {(char)('A' + j->n), ':', 0};
        skip_space(&at);
        if (j->n == JUGS || !take(&at, name) || !take_small(&at, 1, CAPACITY, &j->capacity[j->n])) return false;
        j->n++;
    } while (take(&at, ","));
    return true;
}

static bool read_compact(const char *at, struct jugs *j) {
    skip_space(&at);
    while (j->n < JUGS && take_small(&at, 1, CAPACITY, &j->capacity[j->n])) j->n++, skip_space(&at);
    if (!take(&at, "-> ") || !take_small(&at, 1, CAPACITY, &j->target)) return false;
    skip_space(&at);
    return !*at;
}

static bool read_jugs(const char *text, void *own, char why[96]) {
    struct jugs *j = own;
    bool good = strstr(text, "target is") ? read_question(text, j) : read_compact(text, j);
    if (!good || j->n < 2 || n_states(j) > STATES) {
        snprintf(why, 96, "no 2 to %d jugs of 1 to %d litres and a target", JUGS, CAPACITY);
        return false;
    }
    j->shortest = shortest(j);
    if (j->shortest >= 0) return true;
    snprintf(why, 96, "no way leads to %d litres", j->target);
    return false;
}

static void write_jugs(const void *own, char *out) {
    const struct jugs *j = own;
    size_t n = 0;
    for (int i = 0; i < j->n; i++) n = put(out, COMPACT, n, " %d", j->capacity[i]);
    put(out, COMPACT, n, " -> %d\n", j->target);
}

/* ---- chains ---- */

static size_t write_step(const struct jugs *j, struct move m, const int *holds, char *out, size_t cap) {
    size_t n = m.kind == '>' ? put(out, cap, 0, " %c > %c :", 'A' + m.from, 'A' + m.to)
                             : put(out, cap, 0, " %c %c :", m.kind, 'A' + m.from);
    for (int i = 0; i < j->n; i++) n = put(out, cap, n, " %d", holds[i]);
    return n;
}

/* The move that a step names. */
static bool read_move(const struct jugs *j, const char *at, struct move *m) {
    int from, to;
    if (!take(&at, " ")) return false;
    if (*at == '+' || *at == '-') {
        char kind = *at++;
        if (!take(&at, " ")) return false;
        from = to = *at - 'A';
        *m = (struct move){from, to, kind};
    } else {
        from = *at ? *at++ - 'A' : -1;
        if (!take(&at, " > ")) return false;
        to = *at - 'A';
        if (from == to) return false;
        *m = (struct move){from, to, '>'};
    }
    return from >= 0 && from < j->n && to >= 0 && to < j->n && at[0] && at[1] == ' ' && at[2] == ':';
}

static bool follow(const struct jugs *j, const char *chain, int *holds) {
    char line[64], want[64];
    struct move m;
    memset(holds, 0, JUGS * sizeof *holds);
    while (next_line(&chain, line, sizeof line)) {
        if (!read_move(j, line, &m)) return false;
        do_move(j, m, holds);
        write_step(j, m, holds, want, sizeof want);
        if (strcmp(line, want) != 0) return false;
    }
    return true;
}

/* Whatever was done, the jugs can be emptied: only a wrong line spoils a chain. */
static float oracle(const struct problem *p, const char *chain) {
    int holds[JUGS];
    return follow(p->own, chain, holds);
}

static uint64_t state(const struct problem *p, const char *chain) {
    const struct jugs *j = p->own;
    int holds[JUGS];
    return follow(j, chain, holds) ? rng_fold(1, (uint64_t)number_of(j, holds)) | 2 : STATE_WRONG;
}

static size_t answer(const struct problem *p, const char *chain, char *out, size_t cap) {
    char line[64];
    struct move m;
    size_t n = put(out, cap, 0, "[");
    while (next_line(&chain, line, sizeof line)) {
        if (!read_move(p->own, line, &m)) {
            if (cap) *out = 0;
            return 0;
        }
        if (n > 1) n = put(out, cap, n, ", ");
        if (m.kind == '>') n = put(out, cap, n, "\"pour %c->%c\"", 'A' + m.from, 'A' + m.to);
        else n = put(out, cap, n, "\"%s %c\"", m.kind == '+' ? "fill" : "empty", 'A' + m.from);
    }
    return put(out, cap, n, "]");
}

/* "fill A", "empty A", "pour A->B" with any blanks between the words. */
static bool read_words(const struct jugs *j, const char *at, struct move *m) {
    skip_space(&at);
    size_t word = strcspn(at, " \t");
    char kind = word == 4 && !strncmp(at, "fill", 4) ? '+' : word == 5 && !strncmp(at, "empty", 5) ? '-' : '>';
    if (kind == '>' && (word != 4 || strncmp(at, "pour", 4) != 0)) return false;
    at += word;
    skip_space(&at);
    int from = *at ? *at++ - 'A' : -1, to = from;
    if (kind == '>') {
        if (!take(&at, "->")) return false;
        to = *at ? *at++ - 'A' : -1;
    }
    if (*at && !strchr(" \t", *at)) return false;
    *m = (struct move){from, to, kind};
    return from >= 0 && from < j->n && to >= 0 && to < j->n && (kind != '>' || from != to);
}

static struct judgement judge_answer(const struct problem *p, const char *text) {
    const struct jugs *j = p->own;
    int holds[JUGS] = {0};
    size_t i;
    json_t *list = json_loads(text, 0, NULL), *move;
    if (!json_is_array(list)) {
        json_decref(list);
        return judged(false, "the answer is no JSON list of moves");
    }
    struct judgement verdict = judged(true, "right");
    json_array_foreach(list, i, move) {
        struct move m;
        if (!json_is_string(move) || !read_words(j, json_string_value(move), &m)) {
            verdict = judged(false, "move %zu is none: %.40s", i + 1,
                             json_is_string(move) ? json_string_value(move) : "no text");
            break;
        }
        do_move(j, m, holds);
    }
    json_decref(list);
    if (verdict.reward < 1) return verdict;
    return judged(is_solved(j, holds), "no jug holds %d litres at the end", j->target);
}

/* ---- problems to learn from ---- */

static const struct knob knobs[] = {
    {"num_jugs", "jugs", 3, 4, 2, JUGS},
    {"difficulty", "moves that are needed; capacities go from 3 to 3 more", 10, 10, 1, 15},
    {0}};

/* Moves after which some jug can first hold each amount, up to LONGEST; -1: never.  False without memory. */
static bool first_moves(const struct jugs *j, int first[CAPACITY + 1]) {
    struct move moves[JUGS * (JUGS + 1)];
    int n_moves = list_moves(j, moves), head = 0, tail = 0, *order = mem_new((size_t)n_states(j), sizeof *order);
    unsigned char *seen = mem_new((size_t)n_states(j), 1);
    memset(first, -1, (CAPACITY + 1) * sizeof *first);
    if (order && seen) order[tail++] = 0, seen[0] = 1, first[0] = 0;
    for (int depth = 1; head < tail && depth <= LONGEST; depth++)
        for (int end = tail; head < end; head++) {
            int at[JUGS], next[JUGS];
            holds_of(j, order[head], at);
            for (int k = 0; k < n_moves; k++) {
                memcpy(next, at, sizeof next);
                do_move(j, moves[k], next);
                long number = number_of(j, next);
                if (seen[number]) continue;
                seen[number] = 1, order[tail++] = (int)number;
                for (int i = 0; i < j->n; i++)
                    if (first[next[i]] < 0) first[next[i]] = depth;
            }
        }
    bool good = order && seen;
    mem_free(order), mem_free(seen);
    return good;
}

/* Capacities first; then one of the amounts that need so many moves, if there are any. */
static enum status generate(const struct task *t, uint64_t key, const struct task_draw *k, struct problem *p,
                            struct error *e) {
    for (uint64_t attempt = 0;; attempt++) {
        struct jugs j = {.n = k->knobs[0]};
        uint64_t draw = rng_fold(key, attempt), counter = 0;
        int first[CAPACITY + 1], far[CAPACITY], n_far = 0;
        for (int i = 0; i < j.n; i++) j.capacity[i] = draw_int(draw, &counter, 3, 3 + k->knobs[1]);
        if (!first_moves(&j, first)) return error_set(e, ERR_MEMORY, "no memory for a problem");
        for (int amount = 1; amount <= CAPACITY; amount++)
            if (first[amount] >= k->knobs[1]) far[n_far++] = amount;
        if (!n_far) continue;
        j.target = far[draw_int(draw, &counter, 0, n_far - 1)];
        j.shortest = first[j.target];
        return steps_problem(t, &j, p, e);
    }
}

/* A shortest way; in every second example a few random moves come first, so that ways back are learned. */
static void example(const struct problem *p, uint64_t key, struct lesson *out) {
    const struct jugs *j = p->own;
    struct move moves[JUGS * (JUGS + 1)];
    struct queue q = {0};
    uint64_t counter = 0;
    int holds[JUGS] = {0}, states[LONGEST + 1], n_moves = list_moves(j, moves), n = 0;
    size_t at = 0;
    char step[64];
    out->n = 0, out->loss_after = 0;
    for (int detour = draw_int(key, &counter, 0, 1) ? draw_int(key, &counter, 0, 4) : 0; detour > 0; detour--) {
        struct move m = moves[draw_int(key, &counter, 0, n_moves - 1)];
        do_move(j, m, holds);
        if (is_solved(j, holds)) return;
        write_step(j, m, holds, step, sizeof step);
        at = put(out->text, out->cap, at, "%s%s", at ? "\n" : "", step);
    }
    if (search(j, holds, key | 1, &q)) n = way(&q, states);
    for (int i = 1; i < n; i++)
        for (int k = 0; k < n_moves; k++) {
            int next[JUGS];
            memcpy(next, holds, sizeof next);
            do_move(j, moves[k], next);
            if (number_of(j, next) != states[i]) continue;
            memcpy(holds, next, sizeof next);
            write_step(j, moves[k], holds, step, sizeof step);
            at = put(out->text, out->cap, at, "%s%s", at ? "\n" : "", step);
            break;
        }
    queue_free(&q);
    if (n && is_solved(j, holds)) out->n = at;
}

/* The jugs in any order. */
static uint64_t content(const struct problem *p) {
    const struct jugs *j = p->own;
    uint64_t sum = 0;
    for (int i = 0; i < j->n; i++) sum += rng_fold(1, (uint64_t)j->capacity[i]);
    return rng_fold(sum, (uint64_t)j->target);
}

static const struct kind kind = {sizeof(struct jugs), read_jugs, write_jugs, NULL};

const struct task jugs_task = {.name = "jugs",
                               .summary = "water to be measured with jugs",
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
