/* solver.c: from flags to search parameters, and from a problem to an outcome.
 * Not the drawing: draw.c listens to the events.
 * Next: draw.c. */
#include "cli/solver.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/rng.h"
#include "cli/cancel.h"

/* ---- flags ---- */

static enum pick pick_named(const char *name) {
    if (!strcmp(name, "weighted")) return PICK_WEIGHTED;
    if (!strcmp(name, "majority")) return PICK_MAJORITY;
    return strcmp(name, "visits") ? PICK_BEST : PICK_VISITS;
}

static void set_budget(const struct args *a, const struct search_options *o, struct solver *s) {
    struct budget *b = &s->params.budget;
    bool other = args_given(a, "max-tokens") || args_given(a, "max-gflops") || args_given(a, "max-ms");
    if (args_given(a, "budget")) b->simulations = (uint64_t)o->budget;
    else if (other && strcmp(s->strategy->name, "beam")) b->simulations = 0; /* the other limit is the budget */
    b->tokens = (uint64_t)o->max_tokens;
    b->flops = (uint64_t)(o->max_gflops * 1e9);
    b->ns = (uint64_t)o->max_ms * 1000000u;
}

int solver_setup(const struct args *a, const struct search_options *o, struct solver *s) {
    *s = (struct solver){.task = task_find(o->task), .strategy = strategy_find(o->search), .seed = (uint64_t)o->seed};
    if (!s->task) return args_wrong(a, "--task: \"%.60s\" is none of game24, countdown", o->task);
    if (!s->strategy)
        return args_wrong(a, "--search: \"%.60s\" is none of greedy, bon, weighted, maj, beam, mcts", o->search);
    struct search_params *p = &s->params;
    *p = search_defaults(o->search);
    set_budget(a, o, s);
    if (args_given(a, "temp")) p->temperature = (float)o->temp;
    if (args_given(a, "batch")) p->batch = (uint32_t)o->batch;
    if (args_given(a, "beam-width")) p->beam_width = (uint32_t)o->beam_width;
    if (args_given(a, "c-puct")) p->c_puct = (float)o->c_puct;
    if (args_given(a, "widen-c")) p->widen_c = (float)o->widen_c;
    if (args_given(a, "widen-alpha")) p->widen_alpha = (float)o->widen_alpha;
    if (args_given(a, "stop-value")) p->stop_value = (float)o->stop_value;
    if (args_given(a, "backup")) p->backup = strcmp(o->backup, "max") ? BACKUP_MEAN : BACKUP_MAX;
    if (args_given(a, "pick")) p->pick = pick_named(o->pick);
    if (args_given(a, "agg")) prm_agg_from_name(o->agg, &s->agg);
    p->cancel = cancel_install();
    /* Room for whole chains; a search that is bounded by time or tokens only gets what fits into some 20 MB. */
    uint64_t nodes = p->budget.simulations ? p->budget.simulations * (p->max_depth + 1) + 2 : 16384;
    if (nodes < p->max_nodes) p->max_nodes = (uint32_t)nodes;
    s->check = o->check;
    return ARGS_GO_ON;
}

enum status solver_attach(struct solver *s, const struct args *a, const struct session *session, struct error *e) {
    s->session = session;
    if (!args_given(a, "agg")) s->agg = session->prm.model ? session->prm_info.agg : AGG_LAST;
    if (!s->strategy->needs_prm || session->prm.model || session->oracle) return OK;
    return error_set(e, ERR_INPUT, "--search %s needs a reward model: give --prm FILE, or use --search greedy or maj",
                     s->strategy->name);
}

uint32_t solver_branches(const struct solver *s) {
    uint64_t n = s->params.budget.simulations + s->params.batch + 2;
    return n < s->params.max_nodes && s->params.budget.simulations ? (uint32_t)n : s->params.max_nodes;
}

enum status solver_parse(const struct task *t, const char *text, struct problem *p, struct error *e) {
    struct error why;
    enum status s = t->parse(t, text, 1, p, &why);
    const char *line = "line 1: "; /* a command line has no lines */
    const char *said = strncmp(why.text, line, strlen(line)) ? why.text : why.text + strlen(line);
    return s ? error_set(e, s, "\"%.80s\": %s", text, said) : OK;
}

/* ---- what the task knows, as the evaluator asks for it ---- */

static int check_chain(void *arg, const char *text) {
    const struct problem *p = arg;
    return p->task->check(p, text);
}

/* For votes.  A chain that makes no expression stands for itself: a vote must not learn from a checker. */
static size_t canonical_answer(void *arg, const char *text, char *out, size_t cap) {
    const struct problem *p = arg;
    size_t size = p->task->answer(p, text, true, out, cap);
    return size ? size : (size_t)snprintf(out, cap, "%s", text);
}

static int count_lines(const char *text) {
    int n = 0;
    for (const char *line = text; *line; n++) {
        const char *end = strchr(line, '\n');
        line = end ? end + 1 : line + strlen(line);
    }
    return n;
}

/* --prm oracle: 1 when the target can still be reached. */
static float reachable(void *arg, const char *text) {
    const struct problem *p = arg;
    struct cd_state end;
    int n_ok;
    if (cd_check(&p->countdown, text, &n_ok, &end)) return 1;
    if (n_ok < count_lines(text)) return 0;
    return end.n > 1 && cd_count_solutions(&end, p->countdown.target, true) > 0;
}

/* ---- one problem ---- */

/* A model can write any byte: what is shown is plain text. */
static void show_answer(const struct problem *p, struct outcome *o) {
    struct cd_state end = {0};
    size_t size = p->task->answer(p, o->steps, false, o->answer, sizeof o->answer);
    if (size) {
        cd_check(&p->countdown, o->steps, NULL, &end);
        snprintf(o->answer + size, sizeof o->answer - size, end.left[0].den == 1 ? " = %lld" : " = %lld/%lld",
                 (long long)end.left[0].num, (long long)end.left[0].den);
        return;
    }
    for (const char *c = o->steps; *c && size + 3 < sizeof o->answer; c++) {
        if (*c == '\n') o->answer[size++] = ',';
        else if (size || *c != ' ') o->answer[size++] = *c >= ' ' && *c <= '~' ? *c : '?';
    }
    o->answer[size] = 0;
}

static void finish(const struct problem *p, const struct tree *t, const struct search_result *res, struct outcome *o) {
    o->finished = res->node != 0;
    o->value = res->value;
    o->why = res->why;
    o->n_finished = res->n_finished;
    o->signature = search_signature(t, res);
    if (!o->finished) return;
    search_chain_text(t, res->node, o->steps, sizeof o->steps);
    o->correct = p->task->check(p, o->steps); /* only now, whatever the search was told */
    show_answer(p, o);
}

static struct eval_params eval_params_of(const struct solver *s, const struct problem *p) {
    const struct session *n = s->session;
    return (struct eval_params){
        .policy = n->policy.engine,
        .prm = s->strategy->needs_prm ? n->prm.engine : NULL, /* or the prompt would be read by it for nothing */
        .tok = n->tok,
        .agg = s->agg,
        .sampling = {.top_p = 1},
        .max_step_tokens = 64,
        .max_tokens = n->ctx,
        .max_branches = solver_branches(s),
        .max_batch = s->params.batch,
        .separator = tok_find(n->tok, "\n"),
        .check = s->check ? check_chain : NULL,
        .answer = canonical_answer,
        .oracle = n->oracle ? reachable : NULL,
        .arg = (void *)p,
    };
}

enum status solver_run(const struct solver *s, const struct problem *p, event_fn *on_event, void *arg,
                       struct outcome *o, struct error *e) {
    char prompt[CD_TEXT];
    uint64_t start = clock_ns();
    struct search_params params = s->params;
    struct eval_params ep = eval_params_of(s, p);
    struct eval_model *model;
    struct evaluator ev;
    struct tree tree;
    struct search_result res;
    *o = (struct outcome){0};
    size_t size = p->task->prompt(p, prompt, sizeof prompt);
    params.seed = rng_fold(s->seed, hash_bytes(prompt, size)); /* the puzzle's, wherever it stands in a file */
    params.max_depth = (uint32_t)p->countdown.n - 1;           /* a longer chain is never right */
    enum status st = eval_model_open(&ep, prompt, &model, &ev, e);
    if (st) return st;
    if (!(st = search_open(&tree, &ev, &params, e))) {
        st = s->strategy->run(&ev, &params, &tree, on_event, arg, &res, e);
        if (!st) finish(p, &tree, &res, o);
        o->cost = *ev.ledger;
        search_close(&tree, &ev);
    }
    eval_model_close(&model);
    o->ms = (double)(clock_ns() - start) / 1e6;
    return st;
}
