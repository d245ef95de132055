/* grammar_check.c: what a grammar may not have: left recursion, and rules that never end.
 * Not the notation: grammar_parse.c.
 * Next: grammar.c.
 *
 * A rule that calls itself before it has read a byte would be called without end.  A rule without an end (a ::= "x" a)
 * would lead a text where it can never finish. */
#include <string.h>

#include "base/mem.h"
#include "model/grammar_internal.h"

enum colour { NEW, OPEN, EMPTY, FULL }; /* of rules: under way; may read nothing; always reads something */

struct check {
    const struct grammar *g;
    uint8_t *colour; /* [n_rules] */
    bool *seen;      /* [n_ops]: reached without a byte from the start of its rule */
    uint32_t *todo;  /* [n_ops + n_rules] pending ops of all open rules, a stack; an op is there once */
    uint32_t *calls; /* [n_rules]: op where an open rule waits for another; a stack */
    uint32_t n_todo, n_calls;
};

static void push(struct check *c, uint32_t pc) {
    if (!c->seen[pc]) c->seen[pc] = true, c->todo[c->n_todo++] = pc;
}

static enum status left_recursion(const struct check *c, uint32_t pc, struct error *e) {
    const struct rule *r = &c->g->rules[c->g->ops[pc].arg];
    return grammar_wrong(c->g, c->g->ops[pc].at, e,
                         "the rule %.*s comes back to itself without a character in between (left recursion)",
                         (int)(r->n_name < 60 ? r->n_name : 60), r->name);
}

/* Follows all ways that read nothing, depth first.  of[d]: the d-th open rule; base[d]: where its pending ops begin in
 * todo. */
static enum status visit(struct check *c, uint32_t root, uint32_t *base, uint32_t *of, struct error *e) {
    const struct grammar *g = c->g;
    uint32_t depth = 0; /* open rules: of[0..depth] */
    of[0] = root, base[0] = 0, c->n_todo = 0, c->colour[root] = OPEN;
    bool *empty = c->seen + g->n_ops; /* [n_rules] */
    push(c, g->rules[root].start);
    for (;;) {
        if (c->n_todo == base[depth]) { /* this rule is done */
            uint32_t r = of[depth];
            c->colour[r] = empty[r] ? EMPTY : FULL;
            if (!depth) return OK;
            depth--;
            uint32_t pc = c->calls[depth];
            if (empty[r]) push(c, pc + 1);
            continue;
        }
        uint32_t pc = c->todo[--c->n_todo];
        const struct op *op = &g->ops[pc];
        if (op->kind == OP_RETURN) empty[of[depth]] = true;
        if (op->kind == OP_JUMP || op->kind == OP_SPLIT) push(c, (uint32_t)((int32_t)pc + op->arg));
        if (op->kind == OP_SPLIT) push(c, pc + 1);
        if (op->kind != OP_CALL) continue;
        uint8_t colour = c->colour[op->arg];
        if (colour == OPEN) return left_recursion(c, pc, e);
        if (colour == EMPTY) push(c, pc + 1);
        if (colour != NEW) continue;
        c->calls[depth++] = pc;
        of[depth] = (uint32_t)op->arg, base[depth] = c->n_todo, c->colour[op->arg] = OPEN;
        push(c, g->rules[op->arg].start);
    }
}

static enum status check_left_recursion(const struct grammar *g, struct error *e) {
    struct check c = {.g = g};
    uint32_t n = g->n_rules + 1, *base = mem_new(n, sizeof *base), *of = mem_new(n, sizeof *of);
    c.colour = mem_new(n, 1), c.seen = mem_new(g->n_ops + n, 1);
    c.todo = mem_new(g->n_ops + 1, sizeof *c.todo), c.calls = mem_new(n, sizeof *c.calls);
    enum status s = OK;
    if (!base || !of || !c.colour || !c.seen || !c.todo || !c.calls)
        s = error_set(e, ERR_MEMORY, "no memory to check a grammar of %u rules", g->n_rules);
    for (uint32_t i = 0; !s && i < g->n_rules; i++)
        if (c.colour[i] == NEW) s = visit(&c, i, base, of, e);
    mem_free(base), mem_free(of), mem_free(c.colour), mem_free(c.seen), mem_free(c.todo), mem_free(c.calls);
    return s;
}

/* Is there a way from the start of the rule to its end through rules that end? */
static bool has_end(const struct grammar *g, uint32_t rule, const bool *ends, bool *seen, uint32_t *todo) {
    uint32_t n = 0, first = g->rules[rule].start, last = first;
    bool found = false;
    todo[n++] = first, seen[first] = true;
    while (n && !found) {
        uint32_t pc = todo[--n], next[2], n_next = 0;
        const struct op *op = &g->ops[pc];
        if (pc > last) last = pc;
        found = op->kind == OP_RETURN;
        if (op->kind == OP_JUMP || op->kind == OP_SPLIT) next[n_next++] = (uint32_t)((int32_t)pc + op->arg);
        if (op->kind == OP_SPLIT || op->kind == OP_BYTES || (op->kind == OP_CALL && ends[op->arg]))
            next[n_next++] = pc + 1;
        for (uint32_t i = 0; i < n_next; i++)
            if (!seen[next[i]]) seen[next[i]] = true, todo[n++] = next[i];
    }
    for (uint32_t i = 0; i < n; i++)
        if (todo[i] > last) last = todo[i];
    memset(seen + first, 0, last - first + 1); /* the rule's ops are in one piece */
    return found;
}

static enum status check_ends(const struct grammar *g, struct error *e) {
    bool *ends = mem_new(g->n_rules, 1), *seen = mem_new(g->n_ops + 1, 1);
    uint32_t *todo = mem_new(g->n_ops + 1, sizeof *todo);
    enum status s = OK;
    if (!ends || !seen || !todo) s = error_set(e, ERR_MEMORY, "no memory to check a grammar of %u rules", g->n_rules);
    for (bool more = !s; more;) {
        more = false;
        for (uint32_t i = g->n_rules; i--;)
            if (!ends[i] && has_end(g, i, ends, seen, todo)) ends[i] = more = true;
    }
    for (uint32_t i = 0; !s && i < g->n_rules; i++) {
        const struct rule *r = &g->rules[i];
        if (!ends[i])
            s = grammar_wrong(g, r->at, e, "the rule %.*s can never end", (int)(r->n_name < 60 ? r->n_name : 60),
                              r->name);
    }
    mem_free(ends), mem_free(seen), mem_free(todo);
    return s;
}

enum status grammar_check(const struct grammar *g, struct error *e) {
    enum status s = check_left_recursion(g, e);
    return s ? s : check_ends(g, e);
}
