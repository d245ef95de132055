/* solver.c: from flags to search parameters, and from a problem to an outcome.
 * Not the drawing: draw.c listens to the events.
 * Next: cli/draw.c. */
#include "solve/solver.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/rng.h"
#include "cli/cancel.h"
#include "base/input.h"
#include "tokenizer/pretok.h"
#include "tokenizer/vocab.h"

/* ---- flags ---- */

/* Was this model made by our own training?  Its vocabulary says it. */
static enum status is_own_model(const char *name, bool *own, struct error *e) {
    struct gguf *file;
    enum gguf_kind kind;
    size_t n = 0;
    struct error ignored;
    enum status s = session_open_file(name, "policy", &file, e);
    if (s) return s;
    *own = !gguf_get_array(file, "tokenizer.ggml.tokens", &kind, &n, &ignored) && n == VOCAB_SIZE;
    gguf_close(&file);
    return OK;
}

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

/* "\n\n" as people type it, into s->delimiter. */
static int set_delimiter(const struct args *a, const char *text, struct solver *s) {
    if (strlen(text) >= sizeof s->delimiter)
        return args_wrong(a, "--step-delimiter: \"%.60s...\" is longer than %zu bytes", text, sizeof s->delimiter - 1);
    input_unescape(strcpy(s->delimiter, text));
    if (!*s->delimiter) return args_wrong(a, "--step-delimiter: the text is empty");
    return ARGS_GO_ON;
}

static void set_search(const struct args *a, const struct search_options *o, struct solver *s) {
    struct search_params *p = &s->params;
    if (args_given(a, "temp")) p->temperature = (float)o->temp;
    if (args_given(a, "batch")) p->batch = (uint32_t)o->batch;
    if (args_given(a, "beam-width")) p->beam_width = (uint32_t)o->beam_width;
    if (args_given(a, "c-puct")) p->c_puct = (float)o->c_puct;
    if (args_given(a, "widen-c")) p->widen_c = (float)o->widen_c;
    if (args_given(a, "widen-alpha")) p->widen_alpha = (float)o->widen_alpha;
    if (args_given(a, "stop-value")) p->stop_value = (float)o->stop_value;
    if (args_given(a, "backup")) p->backup = strcmp(o->backup, "max") ? BACKUP_MEAN : BACKUP_MAX;
    if (args_given(a, "pick")) p->pick = pick_named(o->pick);
    if ((s->agg_given = args_given(a, "agg"))) prm_agg_from_name(o->agg, &s->agg);
    if (args_given(a, "top-k")) s->sampling.top_k = (uint32_t)o->top_k;
    if (args_given(a, "top-p")) s->sampling.top_p = (float)o->top_p;
    if (args_given(a, "min-p")) s->sampling.min_p = (float)o->min_p;
    if (args_given(a, "max-depth")) s->max_depth = (uint32_t)o->max_depth;
    if (args_given(a, "max-step-tokens")) s->max_step_tokens = (uint32_t)o->max_step_tokens;
}

/* Chains of a real model cost a thousand times those of the shipped one; what was tuned on puzzles does not hold for it. */
void solver_init(struct solver *s, const struct task *task, const struct strategy *strategy) {
    *s = (struct solver){.task = task, .strategy = strategy, .params = search_defaults(strategy->name), .seed = 1};
    struct search_params *p = &s->params;
    s->sampling = (struct sample_params){.top_p = 1};
    s->max_step_tokens = task->max_step_tokens;
    snprintf(s->delimiter, sizeof s->delimiter, "%s", task->delimiter);
    if (task->max_depth) p->max_depth = task->max_depth;
    if (!task_has_words(task)) return;
    s->sampling.top_p = 0.95f;
    p->stop_value = 2;                     /* never */
    p->widen_c = 1, p->widen_alpha = 0.5f; /* chains are longer, and only those that come to their end count */
    if (p->temperature > 0) p->temperature = 0.8f;
    if (p->budget.simulations > 1) p->budget.simulations /= strcmp(s->strategy->name, "mcts") ? 2 : 4;
}

int solver_setup(const struct args *a, const struct search_options *o, const char *model, struct solver *s) {
    struct error e;
    bool own = true;
    if (!o->task && is_own_model(model, &own, &e)) return args_failed(a, e.text);
    const struct task *task = task_find(o->task ? o->task : own ? "game24" : "math");
    if (!task) return args_wrong(a, "--task: \"%.60s\" is none of %s", o->task, task_names);
    const char *search = o->search ? o->search : task_has_words(task) ? "maj" : "mcts";
    const struct strategy *strategy = strategy_find(search);
    if (!strategy)
        return args_wrong(a, "--search: \"%.60s\" is none of greedy, bon, weighted, maj, beam, mcts", search);
    solver_init(s, task, strategy);
    s->seed = (uint64_t)o->seed, s->check = o->check;
    s->prompter.raw = o->raw, s->prompter.system = o->system;
    int code = o->delimiter ? set_delimiter(a, o->delimiter, s) : ARGS_GO_ON;
    if (code != ARGS_GO_ON) return code;
    struct search_params *p = &s->params;
    set_budget(a, o, s);
    set_search(a, o, s);
    p->cancel = cancel_install();
    /* Room for whole chains; a search that is bounded by time or tokens only gets what fits into some 20 MB. */
    uint64_t depth = s->max_depth > p->max_depth ? s->max_depth : p->max_depth;
    uint64_t nodes = p->budget.simulations ? p->budget.simulations * (depth + 1) + 2 : 16384;
    if (nodes < p->max_nodes) p->max_nodes = (uint32_t)nodes;
    return ARGS_GO_ON;
}

/* A delimiter of one byte that is a token, and part of no other, needs no look into texts. */
static bool is_one_token(const struct tok *t, const char *delimiter) {
    int32_t own = tok_find(t, delimiter);
    if (own < 0 || strlen(delimiter) != 1) return false;
    for (uint32_t id = 0; id < tok_n_vocab(t); id++) {
        struct gguf_string piece = tok_piece(t, (int32_t)id, false);
        if ((int32_t)id != own && piece.size && memchr(piece.data, *delimiter, piece.size)) return false;
    }
    return true;
}

enum status solver_attach(struct solver *s, const struct session *session, struct error *e) {
    s->session = session;
    s->one_token = is_one_token(session->tok, s->delimiter);
    if (!s->agg_given) s->agg = session->prm.model ? session->prm_info.agg : AGG_LAST;
    if (session->oracle && !s->task->oracle)
        return error_set(e, ERR_INPUT, "--prm oracle: nobody knows it for --task %s", s->task->name);
    bool own = session->verifier == VERIFIER_PTRUE || session->verifier == VERIFIER_LOGPROB;
    if (s->strategy->needs_prm && !session->prm.model && !session->oracle && !own)
        return error_set(
            e, ERR_INPUT,
            "--search %s needs a reward model: give --prm FILE, --verifier ptrue or logprob, or use --search "
            "greedy or maj",
            s->strategy->name);
    enum status st = task_has_words(s->task) ? prompter_open(&s->prompter, session, e) : OK;
    if (!st && session->verifier == VERIFIER_PTRUE) st = ptrue_open(session->tok, s->prompter.chat, &s->ptrue, e);
    return st;
}

void solver_close(struct solver *s) {
    prompter_close(&s->prompter);
    ptrue_close(&s->ptrue);
}

uint32_t solver_branches(const struct solver *s) {
    uint64_t n = s->params.budget.simulations + s->params.batch + 2;
    return n < s->params.max_nodes && s->params.budget.simulations ? (uint32_t)n : s->params.max_nodes;
}

enum status solver_parse(const struct task *t, const char *text, struct problem *p, struct error *e) {
    struct error why;
    enum status s = t->parse_text(t, text, p, &why);
    const char *line = "line 1: "; /* a command line has no lines */
    const char *said = strncmp(why.text, line, strlen(line)) ? why.text : why.text + strlen(line);
    return s ? error_set(e, s, "\"%.80s\": %s", text, said) : OK;
}

/* ---- what the task knows, as the evaluator asks for it ---- */

static int check_chain(void *arg, const char *text) {
    const struct problem *p = arg;
    return p->task->check(p, text) == VERDICT_RIGHT;
}

static size_t vote_of_chain(void *arg, const char *text, char *out, size_t cap) {
    const struct problem *p = arg;
    return p->task->vote(p, text, out, cap);
}

static bool states_answer(void *arg, const char *step) {
    const struct problem *p = arg;
    return p->task->is_last(step);
}

static float reachable(void *arg, const char *text) {
    const struct problem *p = arg;
    return p->task->oracle(p, text);
}

/* ---- the picked chain ---- */

/* Does the text of a step hold what ended it?  It does where a token went on behind it.  What it begins with ended nothing. */
static bool holds_end(const char *step, const char *delimiter) {
    size_t n_d = strlen(delimiter);
    for (const char *before = NULL; before != step;) {
        before = step;
        step += strspn(step, " \t\r\n");
        if (!strncmp(step, delimiter, n_d)) step += n_d;
    }
    return strstr(step, delimiter) != NULL;
}

/* Steps with what ended them. */
static char *chain_text(const struct tree *t, uint32_t node, const char *delimiter) {
    size_t size = 1, n_d = strlen(delimiter);
    for (uint32_t u = node; u; u = t->nodes[u].parent) size += strlen(t->nodes[u].text) + n_d;
    char *text = mem_new(size, 1);
    if (!text) return NULL;
    size_t end = size - 1; /* from the last step back */
    for (uint32_t u = node; u; u = t->nodes[u].parent) {
        const char *step = t->nodes[u].text;
        size_t n = strlen(step), gap = u == node || holds_end(step, delimiter) ? 0 : n_d;
        memcpy(text + end - gap, delimiter, gap);
        memcpy(text + end - gap - n, step, n);
        end -= gap + n;
    }
    memmove(text, text + end, size - end);
    return text;
}

/* A model can write any byte: what is shown, and what JSON holds, is text without control characters. */
static void clean(char *text) {
    for (size_t i = 0, left = strlen(text), n; left; i += n, left -= n) {
        n = utf8_char(text + i, left);
        bool control =
            n == 1 && ((unsigned char)text[i] < ' ' || text[i] == 0x7F) && text[i] != '\n' && text[i] != '\t';
        control |= n == 2 && text[i] == '\xC2' && (unsigned char)text[i + 1] < 0xA0;
        if (n && !control) continue;
        n = n ? n : 1;
        memset(text + i, '?', n);
    }
}

static enum status finish(const struct solver *s, const struct problem *p, const struct tree *t,
                          const struct search_result *res, struct outcome *o, struct error *e) {
    o->finished = res->node != 0;
    o->value = res->value;
    o->why = res->why;
    o->n_finished = res->n_finished;
    o->signature = search_signature(t, res);
    uint32_t rest = o->finished ? 0 : search_unfinished(t);
    if (rest && !(o->unfinished = chain_text(t, rest, s->delimiter)))
        return error_set(e, ERR_MEMORY, "no memory for a chain");
    if (rest) clean(o->unfinished);
    if (!o->finished) return OK;
    if (!(o->text = chain_text(t, res->node, s->delimiter))) return error_set(e, ERR_MEMORY, "no memory for a chain");
    o->verdict = p->task->check(p, o->text); /* only now, whatever the search was told */
    p->task->show(p, o->text, o->answer, sizeof o->answer);
    clean(o->answer);
    if (task_has_words(p->task)) clean(o->text);
    return OK;
}

void outcome_free(struct outcome *o) {
    mem_free(o->text), mem_free(o->unfinished);
    o->text = o->unfinished = NULL;
}

/* ---- one problem ---- */

static struct eval_params eval_params_of(const struct solver *s, const struct problem *p) {
    const struct session *n = s->session;
    uint64_t budget = s->params.budget.simulations;
    return (struct eval_params){
        .policy = n->policy.engine,
        .verifier = s->strategy->needs_prm || n->verifier == VERIFIER_PRM ? n->verifier : VERIFIER_NONE,
        .reader = n->reader,
        .ptrue = s->ptrue,
        .prm = s->strategy->needs_prm ? n->prm.engine : NULL, /* or the prompt would be read by it for nothing */
        .tok = n->tok,
        .agg = s->agg,
        .sampling = s->sampling,
        .max_step_tokens = s->max_step_tokens,
        .max_tokens = n->ctx,
        .max_prm_tokens = n->ctx,
        .max_branches = solver_branches(s),
        .max_batch = budget && budget < s->params.batch ? (uint32_t)budget : s->params.batch,
        .separator = s->one_token ? tok_find(n->tok, s->delimiter) : -1,
        .delimiter = s->one_token ? NULL : s->delimiter,
        .problem = p->text,
        .check = s->check && p->task->check(p, "") != VERDICT_NONE ? check_chain : NULL,
        .answer = vote_of_chain,
        .oracle = n->oracle ? reachable : NULL,
        .complete = p->task->is_last ? states_answer : NULL,
        .arg = (void *)p,
    };
}

/* Room for the prompt and as many tokens as a chain can have, not for the model's whole context. */
static enum status set_prompt(const struct solver *s, const struct problem *p, struct eval_params *ep,
                              struct outcome *o, struct error *e) {
    int32_t *ids;
    size_t n;
    if (!task_has_words(p->task)) return OK;
    enum status st = prompter_encode(&s->prompter, p, &ids, &n, e);
    if (st) return st;
    ep->prompt_tokens = ids, ep->n_prompt_tokens = n;
    size_t question = s->ptrue ? s->ptrue->n : 0;
    if (n + question + 1 >= ep->max_tokens)
        snprintf(o->trouble, sizeof o->trouble, "the prompt has %zu tokens, the context %u (-c)", n, ep->max_tokens);
    uint64_t fresh = (uint64_t)s->max_step_tokens * (s->max_depth ? s->max_depth : s->params.max_depth);
    uint64_t whole = n + question + (s->max_new_tokens && s->max_new_tokens < fresh ? s->max_new_tokens : fresh);
    if (whole < ep->max_tokens) ep->max_tokens = (uint32_t)whole;
    return OK;
}

static enum status search(const struct solver *s, const struct problem *p, const struct eval_params *ep,
                          event_fn *on_event, void *arg, struct outcome *o, struct error *e) {
    struct search_params params = s->params;
    struct eval_model *model;
    struct evaluator ev;
    struct tree tree;
    struct search_result res;
    params.seed =
        rng_fold(s->seed, hash_bytes(p->text, strlen(p->text))); /* the puzzle's, wherever it stands in a file */
    if (p->max_depth) params.max_depth = p->max_depth;           /* a longer chain is never right */
    if (s->max_depth && !(p->max_depth && p->max_depth < s->max_depth)) params.max_depth = s->max_depth;
    enum status st = eval_model_open(ep, p->text, &model, &ev, e);
    if (st) return st;
    if (!(st = search_open(&tree, &ev, &params, e))) {
        st = s->strategy->run(&ev, &params, &tree, on_event, arg, &res, e);
        if (!st) st = finish(s, p, &tree, &res, o, e);
        o->cost = *ev.ledger;
        search_close(&tree, &ev);
    }
    eval_model_close(&model);
    return st;
}

enum status solver_run(const struct solver *s, const struct problem *p, event_fn *on_event, void *arg,
                       struct outcome *o, struct error *e) {
    uint64_t start = clock_ns();
    struct eval_params ep = eval_params_of(s, p);
    *o = (struct outcome){.verdict = p->task->check(p, "")}; /* of no answer */
    enum status st = set_prompt(s, p, &ep, o, e);
    if (*o->trouble) o->why = WHY_ERROR;
    else if (!st) st = search(s, p, &ep, on_event, arg, o, e);
    mem_free((void *)ep.prompt_tokens);
    o->ms = (double)(clock_ns() - start) / 1e6;
    if (st) outcome_free(o);
    return st;
}
