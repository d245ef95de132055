/* budget.c: begin and end of a run, its limits and the reasons for stopping.
 * Not a scheduler: limits are looked at between batches only.
 * Next: pick.c, which turns finished chains into an answer. */
#include <math.h>

#include "base/clock.h"
#include "base/mem.h"
#include "search/search_internal.h"

const char *why_name(enum why_stopped w) {
    switch (w) {
    case WHY_DONE: return "done";
    case WHY_SOLVED: return "solved";
    case WHY_SIMULATIONS: return "simulations";
    case WHY_TOKENS: return "tokens";
    case WHY_FLOPS: return "flops";
    case WHY_TIME: return "time";
    case WHY_KV_FULL: return "kv full";
    case WHY_NODES: return "nodes";
    case WHY_CANCELLED: return "cancelled";
    case WHY_ERROR: return "error";
    }
    return "?";
}

bool budget_is_open(const struct budget *b) { return !b->simulations && !b->tokens && !b->flops && !b->ns; }

/* All limits of the params in one place.  Written so that a NaN fails every test. */
static enum status check_params(const struct search_params *p, struct error *e) {
    if (!(p->temperature >= 0 && p->temperature <= 100))
        return error_set(e, ERR_INPUT, "temperature: %g, allowed are 0 to 100", p->temperature);
    if (p->max_depth < 1 || p->max_depth > 1u << 20)
        return error_set(e, ERR_INPUT, "max_depth: %u, allowed are 1 to %u", p->max_depth, 1u << 20);
    if (p->batch < 1 || p->batch > 1u << 16)
        return error_set(e, ERR_INPUT, "batch: %u, allowed are 1 to %u", p->batch, 1u << 16);
    if (!(p->c_puct >= 0 && p->c_puct <= 1e6))
        return error_set(e, ERR_INPUT, "c_puct: %g, allowed are 0 to 1e6", p->c_puct);
    if (!(p->widen_c > 0 && p->widen_c <= 1e6))
        return error_set(e, ERR_INPUT, "widen_c: %g, allowed are numbers above 0, up to 1e6", p->widen_c);
    if (!(p->widen_alpha >= 0 && p->widen_alpha <= 1))
        return error_set(e, ERR_INPUT, "widen_alpha: %g, allowed are 0 to 1", p->widen_alpha);
    if (isnan(p->stop_value)) return error_set(e, ERR_INPUT, "stop_value: not a number; above 1 means never");
    return OK;
}

static enum status new_scratch(struct run *r, struct error *e) {
    r->tries = mem_new(r->cap, sizeof *r->tries);
    r->steps = mem_new(r->cap, sizeof *r->steps);
    r->scored = mem_new(r->cap, sizeof *r->scored);
    r->branches = mem_new(r->cap, sizeof *r->branches);
    r->values = mem_new(r->cap, sizeof *r->values);
    if (r->tries && r->steps && r->scored && r->branches && r->values) return OK;
    return error_set(e, ERR_MEMORY, "no memory for search batches of %u steps", r->cap);
}

/* The evaluator stops in the middle of a step where run_go would have stopped behind it. */
static void hand_limits(const struct run *r) {
    const struct budget *b = &r->p->budget;
    const struct ledger *now = &r->start;
    struct limits l = {.deadline_ns = b->ns ? r->start_ns + b->ns : 0,
                       .cancel = r->p->cancel,
                       .max_tokens = b->tokens ? b->tokens + now->generated_tokens + now->prm_tokens : 0,
                       .max_flops = b->flops ? b->flops + now->policy_flops + now->prm_flops : 0};
    r->ev->limit(r->ev->self, &l);
}

enum status run_begin(struct run *r, const struct run_args *a, uint64_t cap, bool needs_prm) {
    *r = (struct run){
        .ev = a->ev,
        .p = a->p,
        .t = a->t,
        .on_event = a->on_event,
        .arg = a->arg,
        .res = a->res,
        .e = a->e,
        .start = *a->ev->ledger,
        .start_ns = clock_ns(),
        .score = a->ev->score ? SCORE_ALL : SCORE_NONE,
        .pick = a->p->pick,
        .temperature = a->p->temperature,
    };
    *r->res = (struct search_result){.why = WHY_DONE};
    enum status s = check_params(r->p, r->e);
    if (s) return s;
    if (needs_prm && !r->ev->score) return error_set(r->e, ERR_INPUT, "this search strategy needs a reward model");
    if (cap > r->p->batch) cap = r->p->batch;
    if (cap > r->t->cap) cap = r->t->cap;
    r->cap = cap ? (uint32_t)cap : 1;
    hand_limits(r);
    return new_scratch(r, r->e);
}

void run_stop(struct run *r, enum why_stopped why) {
    if (r->stopped) return;
    r->stopped = true;
    r->res->why = why;
}

void run_look(struct run *r) {
    const struct budget *b = &r->p->budget;
    struct ledger *now = r->ev->ledger;
    const struct ledger *then = &r->start;
    uint64_t elapsed = clock_ns() - r->start_ns;
    uint64_t tokens = now->generated_tokens - then->generated_tokens + now->prm_tokens - then->prm_tokens;
    uint64_t flops = now->policy_flops - then->policy_flops + now->prm_flops - then->prm_flops;
    now->ns = then->ns + elapsed;
    if (r->p->cancel && *r->p->cancel) run_stop(r, WHY_CANCELLED);
    else if (b->tokens && tokens >= b->tokens) run_stop(r, WHY_TOKENS);
    else if (b->flops && flops >= b->flops) run_stop(r, WHY_FLOPS);
    else if (b->ns && elapsed >= b->ns) run_stop(r, WHY_TIME);
}

bool run_go(struct run *r) {
    run_look(r);
    r->n_tries = 0;
    return !r->stopped;
}

void run_emit(const struct run *r, enum event_kind kind, uint32_t node) {
    if (!r->on_event) return;
    struct event ev = {kind, node, r->t, r->ev->ledger, kind == EVENT_DONE ? r->res : NULL};
    r->on_event(r->arg, &ev);
}

enum status run_end(struct run *r, enum status s) {
    /* A failed pick must not hide the first error. */
    enum status picked = pick_answer(r->t, r->pick, r->res, s ? NULL : r->e);
    if (!s) s = picked;
    if (s) r->res->why = WHY_ERROR;
    r->ev->ledger->ns = r->start.ns + clock_ns() - r->start_ns;
    r->ev->limit(r->ev->self, NULL);
    run_emit(r, EVENT_DONE, r->res->node);
    mem_free(r->tries);
    mem_free(r->steps);
    mem_free(r->scored);
    mem_free(r->branches);
    mem_free(r->values);
    return s;
}
