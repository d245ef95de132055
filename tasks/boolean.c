/* boolean.c: boolean_expressions of BIG-Bench Hard: True, False, not, and, or, brackets; one operation away at each
 * step.
 * Not a logic of several sentences: knights.c.
 * Next: steps.h.
 *
 *   question  "not ( True ) and ( True ) is"        "!" binds before "&" before "|"
 *   prompt    " ! T & T\n"                          brackets round one value are left out
 *   step      " F & T"                              the leftmost operation that may be done is done
 *   last      " F" */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "tasks/steps.h"

enum { ITEMS = 96 };

struct boolean {
    int n;
    char items[ITEMS]; /* T F ! & | ( ) */
};

/* ---- reading ---- */

static bool read_item(const char **at, char *item) {
    static const struct {
        const char *word;
        char item;
    } words[] = {{"True", 'T'}, {"False", 'F'}, {"not", '!'}, {"and", '&'}, {"or", '|'}};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        const char *s = *at;
        if (!take(&s, words[i].word) || isalnum((unsigned char)*s)) continue;
        *item = words[i].item, *at = s;
        return true;
    }
    if (!**at || !strchr("TF!&|()", **at)) return false;
    *item = *(*at)++;
    return true;
}

/* Every bracket is closed, operands and operators follow each other. */
static bool is_well_formed(const struct boolean *b) {
    bool operand = true; /* one is expected */
    int open = 0;
    for (int i = 0; i < b->n; i++) {
        char c = b->items[i];
        bool starts = strchr("TF!(", c) != NULL;
        if (starts != operand) return false;
        open += (c == '(') - (c == ')');
        if (open < 0) return false;
        operand = strchr("!&|(", c) != NULL;
    }
    return b->n && !operand && open == 0;
}

static void cut(struct boolean *b, int at, int n) {
    memmove(b->items + at, b->items + at + n, (size_t)(b->n - at - n));
    b->n -= n;
}

static bool is_value(char c) { return c == 'T' || c == 'F'; }

static void normalize(struct boolean *b) {
    for (int i = 0; i + 2 < b->n;)
        if (b->items[i] == '(' && is_value(b->items[i + 1]) && b->items[i + 2] == ')') {
            cut(b, i + 2, 1), cut(b, i, 1);
            i = 0;
        } else i++;
}

static bool read_boolean(const char *text, void *own, char why[96]) {
    struct boolean *b = own;
    const char *at = text;
    for (skip_space(&at); *at; skip_space(&at)) {
        char item;
        const char *is = at;
        if (take(&is, "is")) {
            skip_space(&is);
            if (!*is) break;
        }
        if (b->n == ITEMS || !read_item(&at, &item)) {
            snprintf(why, 96, "\"%.20s\" where True, False, not, and, or or a bracket is expected", at);
            return false;
        }
        b->items[b->n++] = item;
    }
    if (!is_well_formed(b)) {
        snprintf(why, 96, "the expression is not complete");
        return false;
    }
    normalize(b);
    return true;
}

static size_t write_items(const struct boolean *b, char *out, size_t cap) {
    size_t n = 0;
    *out = 0;
    for (int i = 0; i < b->n; i++) n = put(out, cap, n, " %c", b->items[i]);
    return n;
}

static void write_boolean(const void *own, char *out) { put(out, COMPACT, write_items(own, out, COMPACT), "\n"); }

/* ---- reductions ---- */

/* Does the operation at i, if it may be done now: a "!" before a value, "&" between values that no "!" waits for, "|"
 * where no "&" or "!" waits. */
static bool reduce(struct boolean *b, int i) {
    char *s = b->items, op = s[i];
    if (op == '!' && i + 1 < b->n && is_value(s[i + 1])) {
        s[i] = s[i + 1] == 'T' ? 'F' : 'T';
        cut(b, i + 1, 1);
    } else if ((op == '&' || op == '|') && is_value(s[i - 1]) && is_value(s[i + 1])) {
        char left = i >= 2 ? s[i - 2] : '(', right = i + 2 < b->n ? s[i + 2] : ')';
        if (left == '!' || (op == '|' && (left == '&' || right == '&'))) return false;
        bool x = s[i - 1] == 'T', y = s[i + 1] == 'T';
        s[i - 1] = (op == '&' ? x && y : x || y) ? 'T' : 'F';
        cut(b, i, 2);
    } else return false;
    normalize(b);
    return true;
}

static bool reduce_first(struct boolean *b) {
    for (int i = 0; i < b->n; i++)
        if (reduce(b, i)) return true;
    return false;
}

static char value_of(const struct boolean *b) {
    struct boolean work = *b;
    while (work.n > 1 && reduce_first(&work)) {}
    return work.items[0];
}

/* ---- chains ---- */

/* A problem of one value has that value as its only step. */
static bool follow(const char *chain, struct boolean *b, bool *done) {
    char line[4 * ITEMS], want[4 * ITEMS];
    bool first = true;
    *done = false;
    for (; next_line(&chain, line, sizeof line); first = false) {
        bool found = false;
        if (*done) return false;
        for (int i = 0; i < b->n && !found; i++) {
            struct boolean next = *b;
            if (!(first && b->n == 1) && !reduce(&next, i)) continue;
            write_items(&next, want, sizeof want);
            found = !strcmp(line, want);
            if (found) *b = next;
        }
        if (!found) return false;
        *done = b->n == 1;
    }
    return true;
}

static float oracle(const struct problem *p, const char *chain) {
    struct boolean b = *(const struct boolean *)p->own;
    bool done;
    return follow(chain, &b, &done);
}

static uint64_t state(const struct problem *p, const char *chain) {
    struct boolean b = *(const struct boolean *)p->own;
    char text[COMPACT];
    bool done;
    if (!follow(chain, &b, &done)) return STATE_WRONG;
    write_boolean(&b, text);
    return hash_text(text) ^ (uint64_t)done << 2;
}

/* The last line, when it is one value. */
static size_t answer(const struct problem *p, const char *chain, char *out, size_t cap) {
    char line[4 * ITEMS] = "";
    (void)p;
    while (next_line(&chain, line, sizeof line)) {}
    bool whole = !strcmp(line, " T") || !strcmp(line, " F");
    return put(out, cap, 0, "%s", !whole ? "" : line[1] == 'T' ? "True" : "False");
}

static struct judgement judge_answer(const struct problem *p, const char *text) {
    const char *want = value_of(p->own) == 'T' ? "True" : "False";
    return judged(!strcmp(text, want), "\"%.40s\" is not the value", text);
}

/* ---- problems to learn from ---- */

static const struct knob knobs[] = {{"min_values", "values in the expression", 2, 3, 1, 12},
                                    {"max_values", "values in the expression", 5, 8, 1, 12},
                                    {0}};

struct draws {
    uint64_t key, counter;
    struct boolean b;
};

static void add(struct draws *d, char c) {
    if (d->b.n < ITEMS) d->b.items[d->b.n++] = c;
}

static void add_terms(struct draws *d, int n) {
    while (n > 0) {
        int part = draw_int(d->key, &d->counter, 1, n);
        for (int nots = 0; nots < 3 && draw_int(d->key, &d->counter, 0, 3) == 0; nots++) add(d, '!');
        if (part > 1 && draw_int(d->key, &d->counter, 0, 1)) {
            add(d, '('), add_terms(d, part), add(d, ')');
        } else {
            part = 1;
            add(d, "TF"[draw_int(d->key, &d->counter, 0, 1)]);
        }
        if ((n -= part) > 0) add(d, "&|"[draw_int(d->key, &d->counter, 0, 1)]);
    }
}

static enum status generate(const struct task *t, uint64_t key, const struct task_draw *k, struct problem *p,
                            struct error *e) {
    for (uint64_t attempt = 0;; attempt++) {
        struct draws d = {.key = rng_fold(key, attempt)};
        add_terms(&d, draw_int(d.key, &d.counter, k->knobs[0], k->knobs[1]));
        if (d.b.n == ITEMS) continue;
        normalize(&d.b);
        return steps_problem(t, &d.b, p, e);
    }
}

static void example(const struct problem *p, uint64_t key, struct lesson *out) {
    struct boolean b = *(const struct boolean *)p->own;
    char line[4 * ITEMS];
    size_t n = 0;
    uint64_t counter = 0;
    out->loss_after = 0;
    bool free_order = rng_uniform(key, counter++) < 0.1;
    for (bool first = true; first || b.n > 1; first = false) {
        struct boolean next = b;
        if (b.n > 1 && !reduce_first(&next)) break;
        for (int i = 0, seen = 1; free_order && b.n > 1 && i < b.n; i++) {
            struct boolean other = b;
            if (reduce(&other, i) && draw_int(key, &counter, 0, seen++) == 0) next = other;
        }
        b = next;
        write_items(&b, line, sizeof line);
        n = put(out->text, out->cap, n, "%s%s", n ? "\n" : "", line);
    }
    out->n = n + 1 < out->cap ? n : 0;
}

static uint32_t depth(const void *own) {
    const struct boolean *b = own;
    uint32_t n = 0;
    for (int i = 0; i < b->n; i++) n += strchr("!&|", b->items[i]) != NULL;
    return n ? n : 1;
}

static const struct kind kind = {sizeof(struct boolean), read_boolean, write_boolean, depth};

const struct task boolean_expressions_task = {.name = "boolean_expressions",
                                              .summary = "True, False, not, and, or: the expressions of BIG-Bench Hard",
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
                                              .example = example};
