/* tree_show.c: see tree_show.h.
 * Not the drawing: draw.c.
 * Next: cli/cmd_tree.c. */
#include "solve/tree_show.h"

#include "solve/draw.h"
#include "solve/explain.h"
#include "solve/tree_tools.h"

static const char *answer_of(const struct saved_tree *f, uint32_t node) {
    const char *answer = f->nodes[node].answer;
    return answer && *answer ? answer : node ? "the chain names none" : "none";
}

static void show_so_far(const struct saved_tree *f, FILE *to) {
    struct search_result best = {0};
    struct error ignored; /* of memory: the best chain is there anyway */
    pick_answer(&f->tree, PICK_BEST, &best, &ignored);
    fprintf(to, "no end: the search was stopped after %u steps; ponder tree resume goes on\n", f->tree.n - 1);
    if (best.node) fprintf(to, "best so far: %s   value %.3f\n", answer_of(f, best.node), (double)best.value);
}

static void show_result(const struct saved_tree *f, const struct ledger *cost, FILE *to) {
    char a[32], b[32], c[32], d[32];
    if (!f->done) show_so_far(f, to);
    else if (!f->result.node) fprintf(to, "no answer (stopped: %s)\n", why_name(f->result.why));
    else
        fprintf(to, "answer: %s   value %.3f of %u finished chains (stopped: %s)\n", answer_of(f, f->result.node),
                (double)f->result.value, f->result.n_finished, why_name(f->result.why));
    fprintf(to, "cost: %s policy + %s PRM tokens, %s + %s\n",
            show_count(cost->prompt_tokens + cost->generated_tokens, a), show_count(cost->prm_tokens, b),
            show_flops(cost->policy_flops, c), show_flops(cost->prm_flops, d));
}

void tree_show(const struct saved_tree *f, const struct terminal *term, FILE *to) {
    struct ledger cost = tree_cost(f);
    struct draw d = {.to = to, .term = *term, .title = tree_header_text(f, "problem")};
    d.words = task_find(tree_header_text(f, "task"))->style->prose;
    d.term.live = false, d.visited = tree_visits(&f->tree) != NULL;
    for (uint32_t u = 1; u < f->tree.n; u++) d.scored |= (f->tree.nodes[u].flags & NODE_SCORED) != 0;
    struct event end = {EVENT_DONE, f->result.node, &f->tree, &cost, f->done ? &f->result : NULL};
    fprintf(to, "%s, %s, seed %lld\n", tree_header_text(f, "task"), tree_header_text(f, "strategy"),
            json_integer_value(json_object_get(f->header, "seed")));
    draw_event(&d, &end);
    draw_free(&d);
    show_result(f, &cost, to);
}

static size_t saved_answer(void *arg, const struct tree *t, uint32_t node, char *text, size_t cap) {
    const char *answer = ((const struct saved_tree *)arg)->nodes[node].answer;
    (void)t;
    return (size_t)snprintf(text, cap, "%s", answer ? answer : "");
}

enum status tree_show_why(const struct saved_tree *f, FILE *to, struct error *e) {
    struct buffer text = {0};
    enum status s = explain(&f->tree, &f->result, saved_answer, (void *)f, &text, e);
    if (!s) fputs(text.data, to);
    buffer_free(&text);
    return s;
}

void tree_show_rescored(const struct saved_tree *f, const struct rescored *r, const char *judge, FILE *to) {
    fprintf(to, "%u steps valued by %s, %u of %u values changed; rank correlation of finished chains %.3f\n", r->n,
            judge, r->n_changed, r->n_had, r->rank);
    if (f->done)
        fprintf(to, "was: %s   node %u, value %.4f\n", answer_of(f, r->was.node), r->was.node, (double)r->was.value);
    fprintf(to, "now: %s   node %u, value %.4f\n", answer_of(f, r->result.node), r->result.node,
            (double)r->result.value);
}
