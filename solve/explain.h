/* explain.h: why a search gave this answer and not another one, in words and numbers.
 * Not the tree (draw.h) and not its costs (report.h).
 * Next: explain.c. */
#ifndef PONDER_EXPLAIN_H
#define PONDER_EXPLAIN_H

#include "base/buffer.h"
#include "solve/solver.h"

/* The answer of a finished chain as people read it, "": it names none.  Returns its length. */
typedef size_t explain_answer_fn(void *arg, const struct tree *t, uint32_t node, char *text, size_t cap);

/* The rule, the answers with votes and values, the runner-up and by how much it lost, the steps with what was beside them. */
enum status explain(const struct tree *t, const struct search_result *r, explain_answer_fn *answer, void *arg,
                    struct buffer *to, struct error *e);

/* Of a search that is running: an event_fn which explains at the end and passes all events on.  s and p are set by the caller; text is
 * for buffer_free. */
struct explainer {
    const struct solver *solver;
    const struct problem *problem;
    event_fn *next; /* NULL: nobody */
    void *arg;
    struct buffer text;
};
void explain_event(void *explainer, const struct event *event);

#endif
