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
    case WHY_DECIDED: return "decided";
    case WHY_ERROR: return "error";
    }
    return "?";
}

static uint64_t tokens_of(const struct ledger *l) { return l->generated_tokens + l->prm_tokens; }
static uint64_t flops_of(const struct ledger *l) { return l->policy_flops + l->prm_flops; }

bool budget_is_open(const struct budget *b) { return !b->simulations && !b->tokens && !b->flops && !b->ns; }

uint64_t search_simulations(const struct strategy *s, const struct budget *b) {
    return budget_is_open(b) ? s->simulations[0] : b->simulations;
}

uint32_t room_for_chains(const struct search_params *common, uint64_t n) {
    uint64_t nodes = n ? n * (common->max_depth + 1) + 2 : 16384;
    return nodes < 65536 ? (uint32_t)nodes : 65536;
}

struct search_room search_room(const struct strategy *s, const struct search_params *common, const void *params) {
    struct search_params p = *common;
    p.budget.simulations = search_simulations(s, &p.budget);
    struct search_room room = s->room(&p, params);
    if (room.batch > room.nodes) room.batch = room.nodes;
    if (room.branches > room.nodes) room.branches = room.nodes;
    return room;
}

/* All limits of the params in one place.  Written so that a NaN fails every test. */
static enum status check_params(const struct strategy *s, const struct search *on, const void *params,
                                struct error *e) {
    const struct search_params *c = &on->common;
    char range[96];
    if (!(c->temperature >= 0 && c->temperature <= 100))
        return error_set(e, ERR_INPUT, "temperature: %g, allowed are 0 to 100", c->temperature);
    if (c->max_depth < 1 || c->max_depth > 1u << 20)
        return error_set(e, ERR_INPUT, "max_depth: %u, allowed are 1 to %u", c->max_depth, 1u << 20);
    for (const struct param *p = s->params; p && p->flag; p++) {
        double v = param_get(p, params);
        if (p->kind != PARAM_CHOICE && p->kind != PARAM_YES && !(v >= p->low && v <= p->high))
            return error_set(e, ERR_INPUT, "%s: %g, allowed are %s", p->flag, v, param_range(p, range, sizeof range));
    }
    const char *lack = evaluator_lacks(on->ev, strategy_needs(s, params));
    if (lack) return error_set(e, ERR_INPUT, "--search %s needs %s", s->name, lack);
    return OK;
}

static enum status new_scratch(struct run *r, struct error *e) {
    r->tries = mem_new(r->cap, sizeof *r->tries);
    r->steps = mem_new(r->cap, sizeof *r->steps);
    r->puts = mem_new(r->cap, sizeof *r->puts);
    r->scored = mem_new(r->cap, sizeof *r->scored);
    r->branches = mem_new(r->cap, sizeof *r->branches);
    r->values = mem_new(r->cap, sizeof *r->values);
    if (r->tries && r->steps && r->puts && r->scored && r->branches && r->values) return OK;
    return error_set(e, ERR_MEMORY, "no memory for search batches of %u steps", r->cap);
}

/* The evaluator stops in the middle of a step where run_go would have stopped behind it. */
static void hand_limits(struct run *r) {
    const struct budget *b = &r->common->budget;
    struct limits l = {.deadline_ns = b->ns ? r->start_ns + b->ns : 0,
                       .cancel = r->common->cancel,
                       .max_tokens = b->tokens ? b->tokens + tokens_of(&r->start) : 0,
                       .max_flops = b->flops ? b->flops + flops_of(&r->start) : 0,
                       .make_room = run_make_room,
                       .arg = r};
    r->ev->limit(r->ev->self, &l);
}

static void free_scratch(struct run *r) {
    mem_free(r->tries);
    mem_free(r->steps);
    mem_free(r->puts);
    mem_free(r->scored);
    mem_free(r->branches);
    mem_free(r->values);
}

static enum status begin(struct run *r, const struct strategy *s, const void *params) {
    enum status st = check_params(s, &r->on, params, r->e);
    if (st) return st;
    r->cap = search_room(s, r->common, params).batch;
    if (r->cap > r->t->cap) r->cap = r->t->cap;
    if (!r->cap) r->cap = 1;
    hand_limits(r);
    return new_scratch(r, r->e);
}

/* The answer, which a failed pick must not hide: the first error stays. */
static enum status end(struct run *r, enum status s) {
    enum status picked = pick_answer(r->t, r->pick, r->res, s ? NULL : r->e);
    if (!s) s = picked;
    if (s) r->res->why = WHY_ERROR;
    r->ev->ledger->ns = r->start.ns + clock_ns() - r->start_ns;
    if (!r->on.nested) r->ev->limit(r->ev->self, NULL);
    if (!r->on.nested) run_emit(r, EVENT_DONE, r->res->node);
    free_scratch(r);
    return s;
}

enum status search_run(const struct strategy *s, const struct search *on, const void *params, struct search_result *res,
                       struct error *e) {
    struct run r = {
        .on = *on,
        .ev = on->ev,
        .t = on->tree,
        .res = res,
        .e = e,
        .simulations = search_simulations(s, &on->common.budget),
        .start = *on->ev->ledger,
        .start_ns = clock_ns(),
        .first = on->tree->n,
        .score = on->ev->score ? SCORE_ALL : SCORE_NONE,
        .stop_value = NEVER,
        .temperature = on->common.temperature,
        .max_depth = on->common.max_depth,
    };
    r.common = &r.on.common;
    *res = (struct search_result){.why = WHY_DONE};
    enum status st = begin(&r, s, params);
    if (!st) st = s->run(&r, params);
    return end(&r, st);
}

/* What is left of a limit, at most `part` of it; both 0: none. */
static uint64_t left_of(uint64_t limit, uint64_t used, uint64_t part) {
    uint64_t left = !limit ? UINT64_MAX : used < limit ? limit - used : 1;
    if (part && part < left) left = part;
    return left == UINT64_MAX ? 0 : left;
}

static struct budget part_of(const struct run *r, const struct budget *part) {
    const struct budget *b = &r->common->budget;
    const struct ledger *now = r->ev->ledger;
    return (struct budget){
        .simulations = part->simulations,
        .tokens = left_of(b->tokens, tokens_of(now) - tokens_of(&r->start), part->tokens),
        .flops = left_of(b->flops, flops_of(now) - flops_of(&r->start), part->flops),
        .ns = left_of(b->ns, clock_ns() - r->start_ns, part->ns),
    };
}

enum status run_part(struct run *r, const struct strategy *s, const void *params, const struct budget *part,
                     struct search_result *res) {
    struct search on = r->on;
    on.nested = on.keep = true;
    on.common.budget = part_of(r, part);
    enum status st = search_run(s, &on, params, res, r->e);
    hand_limits(r);
    return st;
}

enum status run_apart(struct run *r, struct apart *a) {
    struct evaluator ev = *r->ev;
    struct tree tree;
    struct search_result res;
    struct search on = {.ev = &ev, .tree = &tree, .common = r->on.common, .nested = true};
    ev.root = a->root, on.common.seed = a->key, on.common.budget = part_of(r, &a->budget);
    a->text = "";
    enum status st = search_open(&tree, &ev, a->key, search_room(a->strategy, &on.common, a->params).nodes, r->e);
    if (st) return st;
    st = search_run(a->strategy, &on, a->params, &res, r->e);
    if (!st && res.node) a->text = tree.nodes[res.node].text;
    search_close(&tree, &ev);
    hand_limits(r);
    run_look(r);
    return st;
}

void run_note(struct run *r, const char *name, double value) {
    if (r->res->n_notes < MOST_NOTES) r->res->notes[r->res->n_notes++] = (struct note){name, value};
}

void run_stop(struct run *r, enum why_stopped why) {
    if (r->stopped) return;
    r->stopped = true;
    r->res->why = why;
}

void run_look(struct run *r) {
    const struct budget *b = &r->common->budget;
    struct ledger *now = r->ev->ledger;
    uint64_t elapsed = clock_ns() - r->start_ns;
    now->ns = r->start.ns + elapsed;
    if (r->common->cancel && *r->common->cancel) run_stop(r, WHY_CANCELLED);
    else if (b->tokens && tokens_of(now) - tokens_of(&r->start) >= b->tokens) run_stop(r, WHY_TOKENS);
    else if (b->flops && flops_of(now) - flops_of(&r->start) >= b->flops) run_stop(r, WHY_FLOPS);
    else if (b->ns && elapsed >= b->ns) run_stop(r, WHY_TIME);
}

bool run_go(struct run *r) {
    run_look(r);
    r->n_tries = 0;
    return !r->stopped;
}

void run_emit(const struct run *r, enum event_kind kind, uint32_t node) {
    if (!r->on.on_event) return;
    struct event ev = {kind, node, r->t, r->ev->ledger, kind == EVENT_DONE ? r->res : NULL};
    r->on.on_event(r->on.arg, &ev);
}
