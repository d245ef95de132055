/* greedy.c: the likeliest step each time, until the chain is complete: what every search must beat.
 * Not random and not scored: one chain, temperature 0, no reward model.
 * Next: sample.c, many chains. */
#include "search/search_internal.h"

enum status greedy_run(struct evaluator *ev, const struct search_params *p, struct tree *t, event_fn *on_event,
                       void *arg, struct search_result *res, struct error *e) {
    struct run r;
    enum status s = run_begin(&r, &(struct run_args){ev, p, t, on_event, arg, res, e}, 1, false);
    r.temperature = 0;
    r.score = SCORE_NONE;
    uint32_t tip = 0;
    ev->ledger->simulations += !s;
    while (!s && !(t->nodes[tip].flags & NODE_TERMINAL) && run_go(&r) && run_room(&r, 1)) {
        run_plan(&r, tip, true);
        if ((s = run_grow(&r))) break;
        if (!r.n_made) run_stop(&r, WHY_KV_FULL);
        else tip = r.tries[0].child;
        s = run_settle(&r);
    }
    return run_end(&r, s);
}
