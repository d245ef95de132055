/* explain.c: see explain.h.
 * Not the choice: search/pick.c, search/vote.c.
 * Next: cli/cmd_solve.c. */
#include "solve/explain.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"

enum { SHOWN = 6, WIDTH = 44 };

static const char *rule_of(const struct tree *t, const struct search_result *r) {
    static const char *const rules[] = {
        [PICK_BEST] = "the finished chain of the largest value",
        [PICK_WEIGHTED] = "the answer with most votes, chains weighted by their values",
        [PICK_MAJORITY] = "the answer with most votes, one for each chain",
        [PICK_VISITS] = "the end of the most visited path",
        [PICK_CONFIDENT] = "the answer with most votes, chains weighted by the mean probability of their tokens",
        [PICK_LOWEST] = "the answer with most votes, chains weighted by their least likely step"};
    if (t->nodes[r->node].flags & NODE_CHECKED_RIGHT) return "a checker found it right";
    return rules[r->pick];
}

static bool is_vote(enum pick p) { return p != PICK_BEST && p != PICK_VISITS; }

/* One line of text, cut to WIDTH. */
static void put_short(struct buffer *to, const char *text) {
    char line[WIDTH + 4];
    size_t n = 0;
    text += strspn(text, " \n\t");
    for (; *text && n < WIDTH; text++) line[n++] = (unsigned char)*text < ' ' || *text == 0x7f ? ' ' : *text;
    if (*text) /* not within a character */
        while (n && ((unsigned char)line[n - 1] & 0xC0) == 0x80) n--;
    line[n] = 0;
    buffer_print(to, "%s%s", line, *text ? "..." : "");
    for (n += *text ? 3 : 0; n < WIDTH; n++) buffer_text(to, " ");
}

/* Answers in the order in which they were preferred. */
static uint32_t rank(const struct tree *t, const struct search_result *r, struct tally *to) {
    uint32_t n = search_tally(t, is_vote(r->pick) ? r->pick : PICK_MAJORITY, to);
    if (is_vote(r->pick)) return n;
    for (uint32_t i = 1; i < n; i++) { /* by the best chain of each; the picked one first */
        struct tally x = to[i];
        uint32_t j = i;
        for (; j && (x.node == r->node ||
                     (to[j - 1].node != r->node && t->nodes[x.node].value > t->nodes[to[j - 1].node].value));
             j--)
            to[j] = to[j - 1];
        to[j] = x;
    }
    return n;
}

static double mean_logprob(const struct tree *t, uint32_t u) {
    double sum = 0, tokens = 0;
    for (; u; u = t->nodes[u].parent) sum += (double)t->nodes[u].logprob, tokens += t->nodes[u].n_tokens;
    return tokens > 0 ? sum / tokens : 0;
}

static void put_answers(const struct tree *t, const struct search_result *r, const struct tally *all, uint32_t n,
                        explain_answer_fn *answer, void *arg, struct buffer *to) {
    char text[256];
    buffer_text(to, "  answer");
    for (int i = 6; i < WIDTH; i++) buffer_text(to, " ");
    buffer_print(to, "  chains  %8s  best value  log p/token\n", is_vote(r->pick) ? "votes" : "");
    for (uint32_t i = 0; i < n && i < SHOWN; i++) {
        const struct node *best = &t->nodes[all[i].node];
        answer(arg, t, all[i].node, text, sizeof text);
        buffer_text(to, "  ");
        put_short(to, *text ? text : "(names none)");
        buffer_print(to, "  %6u  ", all[i].chains);
        if (is_vote(r->pick)) buffer_print(to, "%8.3g", all[i].votes);
        else buffer_print(to, "%8s", "");
        if (best->flags & NODE_SCORED) buffer_print(to, "  %10.4f", (double)best->value);
        else buffer_print(to, "  %10s", "none");
        buffer_print(to, "  %11.3f\n", mean_logprob(t, all[i].node));
    }
    if (n > SHOWN) buffer_print(to, "  and %u more answers\n", n - SHOWN);
}

/* By how much the second lost. */
static void put_margin(const struct tree *t, const struct search_result *r, const struct tally *all, uint32_t n,
                       struct buffer *to) {
    double total = 0;
    for (uint32_t i = 0; i < n; i++) total += all[i].votes;
    if (n < 2)
        buffer_text(to, n ? "no runner-up: all finished chains come to this answer\n"
                          : "no finished chain names an answer\n");
    else if (is_vote(r->pick))
        buffer_print(to, "runner-up: %.3g of %.3g votes behind\n", all[0].votes - all[1].votes, total);
    else {
        double behind = (double)t->nodes[all[0].node].value - (double)t->nodes[all[1].node].value;
        if (behind != 0) buffer_print(to, "runner-up: %.4f behind in value\n", behind);
        else
            buffer_text(to,
                        "runner-up: the same value; the chain found more often, then the likelier one, comes first\n");
    }
}

static void put_step(const struct tree *t, uint32_t u, struct buffer *to) {
    const struct node *n = &t->nodes[u];
    const struct visits *v = tree_visits(t);
    uint32_t beside = 0, best = 0;
    for (uint32_t c = t->nodes[n->parent].first_child; c; c = t->nodes[c].next_sibling) {
        if (c == u) continue;
        beside++;
        if ((t->nodes[c].flags & NODE_SCORED) && (!best || t->nodes[c].value > t->nodes[best].value)) best = c;
    }
    buffer_text(to, "  ");
    put_short(to, n->text);
    if (n->flags & NODE_SCORED) buffer_print(to, "  value %.4f", (double)n->value);
    if (v && v[u].n) buffer_print(to, ", %u visits", v[u].n);
    if (n->multiplicity > 1) buffer_print(to, ", written %u times", n->multiplicity);
    if (beside) buffer_print(to, "; %u beside it", beside);
    if (best) buffer_print(to, ", the best with %.4f", (double)t->nodes[best].value);
    buffer_text(to, "\n");
}

static void put_steps(const struct tree *t, uint32_t node, struct buffer *to) {
    for (uint32_t depth = 1; depth <= t->nodes[node].depth; depth++) {
        uint32_t u = node;
        while (t->nodes[u].depth > depth) u = t->nodes[u].parent;
        put_step(t, u, to);
    }
}

enum status explain(const struct tree *t, const struct search_result *r, explain_answer_fn *answer, void *arg,
                    struct buffer *to, struct error *e) {
    if (!r->node) {
        buffer_print(to, "why no answer: no chain came to its end (stopped: %s)\n", why_name(r->why));
        return to->failed ? error_set(e, ERR_MEMORY, "no memory for an explanation") : OK;
    }
    struct tally *all = mem_new(r->n_finished ? r->n_finished : 1, sizeof *all);
    if (!all) return error_set(e, ERR_MEMORY, "no memory for an explanation");
    uint32_t n = rank(t, r, all);
    buffer_print(to, "why this answer: %s, of %u finished chains (stopped: %s)\n", rule_of(t, r), r->n_finished,
                 why_name(r->why));
    if (n) put_answers(t, r, all, n, answer, arg, to);
    put_margin(t, r, all, n, to);
    buffer_text(to, "its steps:\n");
    put_steps(t, r->node, to);
    for (uint32_t i = 0; i < r->n_notes; i++) buffer_print(to, "%s: %g\n", r->notes[i].name, r->notes[i].value);
    mem_free(all);
    return to->failed ? error_set(e, ERR_MEMORY, "no memory for an explanation") : OK;
}

static size_t answer_of_chain(void *arg, const struct tree *t, uint32_t node, char *text, size_t cap) {
    const struct explainer *x = arg;
    char *chain = solver_chain_text(x->solver, t, node);
    *text = 0;
    size_t n = chain ? problem_vote(x->problem, chain, text, cap) : 0;
    mem_free(chain);
    return n;
}

void explain_event(void *explainer, const struct event *event) {
    struct explainer *x = explainer;
    struct error ignored; /* of memory: then there is no explanation */
    if (event->kind == EVENT_DONE) explain(event->tree, event->result, answer_of_chain, x, &x->text, &ignored);
    if (x->next) x->next(x->arg, event);
}
