/* solver.c: from what a user says to search parameters, and from a problem to an outcome.
 * Not the drawing: draw.c listens to the events.
 * Next: solve/draw.c. */
#include "solve/solver.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/input.h"
#include "base/mem.h"
#include "base/rng.h"
#include "model/write.h"
#include "solve/models.h"
#include "tokenizer/pretok.h"
#include "tokenizer/vocab.h"

/* ---- settings ---- */

/* Chains of a real model cost a thousand times those of the shipped one; what was tuned on puzzles does not hold for it. */
void solver_init(struct solver *s, const struct task *task, const struct strategy *strategy) {
    bool words = task->style->prose;
    *s = (struct solver){
        .task = task,
        .strategy = strategy,
        .common = {.budget = {.simulations = strategy->simulations[words]},
                   .temperature = words ? 0.8f : 1,
                   .max_depth = 16},
        .seed = 1,
        .sampling = {.top_p = words ? 0.95f : 1},
        .max_step_tokens = task->style->max_step_tokens,
    };
    strategy_defaults(strategy, words, &s->params);
    snprintf(s->delimiter, sizeof s->delimiter, "%s", task->style->delimiter);
    if (task->style->max_depth) s->common.max_depth = task->style->max_depth;
}

/* "\n\n" as people type it, into s->delimiter. */
static enum status set_delimiter(struct solver *s, const char *text, struct error *e) {
    if (strlen(text) >= sizeof s->delimiter)
        return error_set(e, ERR_INPUT, "--step-delimiter: \"%.60s...\" is longer than %zu bytes", text,
                         sizeof s->delimiter - 1);
    input_unescape(strcpy(s->delimiter, text));
    return *s->delimiter ? OK : error_set(e, ERR_INPUT, "--step-delimiter: the text is empty");
}

/* Where another limit is given, --budget is none, unless both are. */
static void set_budget(struct solver *s, const struct search_options *o) {
    struct budget *b = &s->common.budget;
    bool other = o->max_tokens > 0 || o->max_gflops > 0 || o->max_ms > 0;
    if (o->budget > 0) b->simulations = (uint64_t)o->budget;
    else if (other && !(s->strategy->without & WITHOUT_BUDGET)) b->simulations = 0;
    b->tokens = o->max_tokens > 0 ? (uint64_t)o->max_tokens : 0;
    b->flops = o->max_gflops > 0 ? (uint64_t)(o->max_gflops * 1e9) : 0;
    b->ns = o->max_ms > 0 ? (uint64_t)o->max_ms * 1000000u : 0;
}

static unsigned needs(const struct solver *s) { return strategy_needs(s->strategy, s->params.bytes); }

static enum status not_used(const struct solver *s, const char *flag, struct error *e) {
    return error_set(e, ERR_INPUT, "--%s: --search %s does not use it", flag, s->strategy->name);
}

static enum status set_search(struct solver *s, const struct search_options *o, struct error *e) {
    if (o->temp > 0 && (s->strategy->without & WITHOUT_TEMPERATURE)) return not_used(s, "temp", e); /* 0 is true */
    if (o->budget > 1 && (s->strategy->without & WITHOUT_BUDGET)) return not_used(s, "budget", e);  /* 1 is true */
    if (o->temp >= 0) s->common.temperature = (float)o->temp;
    if ((s->agg_given = o->agg != NULL) && !prm_agg_from_name(o->agg, &s->agg))
        return error_set(e, ERR_INPUT, "--agg: \"%.40s\" is none of last, min, product, mean", o->agg);
    if (o->top_k >= 0) s->sampling.top_k = (uint32_t)o->top_k;
    if (o->top_p >= 0) s->sampling.top_p = (float)o->top_p;
    if (o->min_p >= 0) s->sampling.min_p = (float)o->min_p;
    if (o->max_depth > 0) s->max_depth = (uint32_t)o->max_depth;
    if (o->max_step_tokens > 0) s->max_step_tokens = (uint32_t)o->max_step_tokens;
    set_budget(s, o);
    enum status st = strategy_set(s->strategy, &o->settings, &s->params, e);
    const char *of_values = o->agg ? "agg" : o->value_noise > 0 ? "value-noise" : NULL;
    return st || !of_values || (needs(s) & CAN_VALUE) ? st : not_used(s, of_values, e);
}

enum status solver_models(const struct solver *s, struct session_options *o, struct error *e) {
    bool values = needs(s) & CAN_VALUE;
    if (!values && o->prm && strcmp(o->prm, "none")) return not_used(s, "prm", e); /* none is true */
    if (!values && o->prm_kind) return not_used(s, "prm-kind", e);
    if (!values && o->verifier && strcmp(o->verifier, "none")) return not_used(s, "verifier", e);
    if (o->draft && !(needs(s) & CAN_DRAFT)) return not_used(s, "model-draft", e);
    if (!o->prm) o->prm = values && !s->task->style->prose ? "embedded" : "none";
    o->model = models_for(o->model, "policy", s->task), o->prm = models_for(o->prm, "prm", s->task);
    return OK;
}

/* Results hold them, and JSON holds UTF-8 only. */
static enum status check_stops(const struct flag_list *l, struct error *e) {
    for (int i = 0; i < l->n; i++) {
        const char *text = l->values[i];
        for (size_t n = 1; *text && n; text += n) n = utf8_char(text, strlen(text));
        if (*text) return error_set(e, ERR_INPUT, "--reverse-prompt: text %d is not UTF-8", i + 1);
    }
    return OK;
}

enum status solver_setup(struct solver *s, const struct task *task, const struct search_options *o, struct error *e) {
    const char *search = o->search ? o->search : task->style->search;
    const struct strategy *strategy = strategy_find(search);
    char names[512];
    if (!strategy)
        return error_set(e, ERR_INPUT, "--search: \"%.60s\" is none of %s", search,
                         strategy_names(names, sizeof names));
    solver_init(s, task, strategy);
    s->seed = (uint64_t)o->seed, s->check = o->check, s->value_noise = o->value_noise;
    s->prompter.raw = o->raw, s->prompter.system = o->system, s->prompter.special = o->special;
    s->max_new_tokens = (uint64_t)o->max_new;
    s->words = o->words;
    s->guesses = o->lookup ? (uint32_t)o->draft_max : 0;
    enum status st = sampling_check(&s->words, e);
    if (!st) st = check_stops(&s->words.stops, e);
    if (!st && o->delimiter) st = set_delimiter(s, o->delimiter, e);
    return st ? st : set_search(s, o, e);
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

static enum status open_drawn(struct solver *s, struct error *e) {
    struct sampling_options o = s->words;
    o.temp = 0, o.seed = 0; /* each step has its own */
    o.top_k = s->sampling.top_k, o.top_p = (double)s->sampling.top_p, o.min_p = (double)s->sampling.min_p;
    return sampling_open(&o, s->session->tok, engine_n_out(s->session->policy.engine), &s->drawn, e);
}

/* What the evaluator will be able to do, as far as it does not depend on the problem. */
static unsigned abilities(const struct solver *s) {
    const struct session *n = s->session;
    bool own = n->verifier != VERIFIER_PRM && n->verifier != VERIFIER_NONE;
    unsigned can = CAN_ANSWER | CAN_PUT | CAN_PROPOSE | prompter_asks(&s->prompter, s->task) * CAN_ASK;
    if (n->prm.model || n->oracle || own) can |= CAN_VALUE;
    if (n->draft.model) can |= CAN_DRAFT;
    if (s->check || n->verifier == VERIFIER_CHECK) can |= CAN_CHECK;
    if (s->task->state) can |= CAN_STATE;
    return can;
}

/* Said before anything runs. */
static enum status check_needs(const struct solver *s, struct error *e) {
    const unsigned can = abilities(s);
    const struct evaluator would = {.can = can};
    const char *lack = evaluator_lacks(&would, needs(s)), *name = s->strategy->name;
    if (!lack) return OK;
    if (needs(s) & ~can & CAN_VALUE)
        return error_set(e, ERR_INPUT,
                         "--search %s needs a reward model: give --prm FILE, --verifier ptrue or logprob, or use "
                         "--search greedy or maj",
                         name);
    if (needs(s) & ~can & CAN_CHECK) return error_set(e, ERR_INPUT, "--search %s needs %s: give --check", name, lack);
    if (needs(s) & ~can & CAN_DRAFT)
        return error_set(e, ERR_INPUT, "--search %s needs %s: give --model-draft FILE", name, lack);
    return error_set(e, ERR_INPUT, "--search %s needs %s: --task %s has none%s", name, lack, s->task->name,
                     s->task->style->prose ? " for a model without chat template, or with --raw" : "");
}

enum status solver_attach(struct solver *s, const struct session *session, struct error *e) {
    s->session = session;
    s->one_token = is_one_token(session->tok, s->delimiter);
    if (!s->agg_given) s->agg = session->prm.model ? session->prm_info.agg : AGG_LAST;
    if (session->oracle && !s->task->oracle)
        return error_set(e, ERR_INPUT, "--prm oracle: nobody knows it for --task %s", s->task->name);
    enum status st = prompter_open(&s->prompter, session, s->task->style->prose, e);
    if (!st) st = check_needs(s, e);
    if (!st) st = open_drawn(s, e);
    if (!st && session->verifier == VERIFIER_PTRUE) st = ptrue_open(session->tok, s->prompter.chat, &s->ptrue, e);
    return st;
}

void solver_close(struct solver *s) {
    prompter_close(&s->prompter);
    ptrue_close(&s->ptrue);
    sampling_close(&s->drawn);
}

/* The deepest that a problem of the task may go. */
struct search_room solver_room(const struct solver *s) {
    struct search_params common = s->common;
    if (s->max_depth > common.max_depth) common.max_depth = s->max_depth;
    return search_room(s->strategy, &common, s->params.bytes);
}

uint32_t solver_branches(const struct solver *s) {
    struct search_room room = solver_room(s);
    return room.branches + room.batch + 2;
}

enum status solver_parse(const struct task *t, const char *text, struct problem *p, struct error *e) {
    struct error why;
    enum status s = t->parse_text(t, text, p, &why);
    const char *line = "line 1: "; /* a command line has no lines */
    const char *said = strncmp(why.text, line, strlen(line)) ? why.text : why.text + strlen(line);
    return s ? error_set(e, s, "\"%.80s\": %s", text, said) : OK;
}

/* ---- the picked chain ---- */

/* Does the text of n steps hold what ended the last one?  It does where a token went on behind it.  What a step begins
 * with ended nothing. */
static bool holds_end(const char *text, uint32_t n, const char *delimiter) {
    size_t n_d = strlen(delimiter);
    for (; n; n--) {
        for (const char *before = NULL; before != text;) {
            before = text;
            text += strspn(text, " \t\r\n");
            if (!strncmp(text, delimiter, n_d)) text += n_d;
        }
        if (!(text = strstr(text, delimiter))) return false;
        text += n_d;
    }
    return true;
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
        bool joined = u == node || (t->nodes[u].flags & NODE_PART) || holds_end(step, t->nodes[u].n_steps, delimiter);
        size_t n = strlen(step), gap = joined ? 0 : n_d;
        memcpy(text + end - gap, delimiter, gap);
        memcpy(text + end - gap - n, step, n);
        end -= gap + n;
    }
    memmove(text, text + end, size - end);
    return text;
}

char *solver_chain_text(const struct solver *s, const struct tree *t, uint32_t node) {
    return chain_text(t, node, s->delimiter);
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

/* ---- what the task knows, as the evaluator asks for it ---- */

struct subject {
    const struct solver *solver;
    const struct problem *problem;
};

static float check_chain(void *arg, const char *text, uint64_t deadline_ns, char *reason, size_t cap) {
    const struct problem *p = ((const struct subject *)arg)->problem;
    struct judgement j = problem_judge(p, text);
    (void)deadline_ns; /* no task runs anything that takes long */
    snprintf(reason, cap, "%s", j.reason);
    return j.known ? j.reward : 0;
}

static size_t vote_of_chain(void *arg, const char *text, char *out, size_t cap) {
    const struct problem *p = ((const struct subject *)arg)->problem;
    return problem_vote(p, text, out, cap);
}

static bool states_answer(void *arg, const char *step) {
    const struct problem *p = ((const struct subject *)arg)->problem;
    return p->task->is_last(step);
}

/* A search must not learn from the task which steps are wrong. */
static uint64_t state_of_chain(void *arg, const char *text) {
    const struct problem *p = ((const struct subject *)arg)->problem;
    uint64_t key = problem_state(p, text);
    return key == STATE_WRONG ? STATE_UNKNOWN : key;
}

static float reachable(void *arg, const char *text) {
    const struct problem *p = ((const struct subject *)arg)->problem;
    float v = problem_oracle(p, text);
    return v < 0 ? 0.5f : v; /* not known: neither good nor bad */
}

/* A chain may hold bytes that no message can hold: it is asked about as it is shown. */
static enum status prompt_of(void *arg, enum ask ask, const char *text, const char *note, int32_t **ids, size_t *n,
                             struct error *e) {
    const struct subject *x = arg;
    char *chain = mem_string(text), *more = mem_string(note);
    enum status s = chain && more ? OK : error_set(e, ERR_MEMORY, "no memory for a prompt");
    if (!s) clean(chain), clean(more);
    if (!s) s = prompter_ask(&x->solver->prompter, x->problem, ask, chain, more, ids, n, e);
    mem_free(chain), mem_free(more);
    return s;
}

/* ---- the end ---- */

/* Who had how many votes, and for what. */
static enum status count_votes(const struct solver *s, const struct problem *p, const struct tree *t,
                               const struct search_result *res, struct outcome *o, struct error *e) {
    if (res->pick == PICK_BEST || res->pick == PICK_VISITS || !res->n_finished) return OK;
    struct tally *tally = mem_new(res->n_finished, sizeof *tally);
    if (!tally) return error_set(e, ERR_MEMORY, "no memory to count %u votes", res->n_finished);
    o->n_votes = search_tally(t, res->pick, tally);
    enum status st = OK;
    for (uint32_t i = 0; i < o->n_votes && i < MOST_VOTES && !st; i++) {
        char answer[512] = "";
        char *text = chain_text(t, tally[i].node, s->delimiter);
        if (!text) st = error_set(e, ERR_MEMORY, "no memory for a chain");
        else problem_vote(p, text, answer, sizeof answer);
        clean(answer);
        for (char *c = answer; (c = strchr(c, '\n'));) *c = ' '; /* a chain that makes no answer stands for itself */
        o->votes[i] = (struct vote){.votes = tally[i].votes, .chains = tally[i].chains};
        snprintf(o->votes[i].answer, sizeof o->votes[i].answer, "%.63s", answer);
        mem_free(text);
    }
    mem_free(tally);
    return st;
}

static enum status finish(const struct solver *s, const struct problem *p, const struct tree *t,
                          const struct search_result *res, struct outcome *o, struct error *e) {
    o->finished = res->node != 0;
    o->value = res->value;
    o->why = res->why;
    o->n_finished = res->n_finished, o->n_firsts = res->n_firsts;
    o->n_notes = res->n_notes;
    memcpy(o->notes, res->notes, sizeof o->notes);
    o->signature = search_signature(t, res);
    uint32_t rest = o->finished ? 0 : search_unfinished(t);
    if (rest && !(o->unfinished = chain_text(t, rest, s->delimiter)))
        return error_set(e, ERR_MEMORY, "no memory for a chain");
    if (rest) clean(o->unfinished);
    if (!o->finished) return OK;
    if (!(o->text = chain_text(t, res->node, s->delimiter))) return error_set(e, ERR_MEMORY, "no memory for a chain");
    size_t room = problem_answer_room(p, o->text);
    if (!(o->answer = mem_new(room, 1))) return error_set(e, ERR_MEMORY, "no memory for an answer");
    o->verdict = problem_verdict(p, o->text); /* only now, whatever the search was told */
    problem_answer(p, o->text, o->answer, room);
    clean(o->answer);
    if (p->task->style->prose) clean(o->text);
    return count_votes(s, p, t, res, o, e);
}

void outcome_free(struct outcome *o) {
    mem_free(o->text), mem_free(o->unfinished), mem_free(o->answer);
    o->text = o->unfinished = o->answer = NULL;
}

/* ---- one problem ---- */

static struct eval_params eval_params_of(const struct solver *s, const struct subject *x) {
    const struct session *n = s->session;
    const struct problem *p = x->problem;
    bool values = needs(s) & CAN_VALUE; /* or the prompt would be read by a reward model for nothing */
    bool knows = problem_verdict(p, "") != VERDICT_NONE;
    return (struct eval_params){
        .policy = n->policy.engine,
        .draft = needs(s) & CAN_DRAFT ? n->draft.engine : NULL,
        .verifier = values || n->verifier == VERIFIER_PRM ? n->verifier : VERIFIER_NONE,
        .reader = n->reader,
        .ptrue = s->ptrue,
        .prm = values ? n->prm.engine : NULL,
        .tok = n->tok,
        .agg = s->agg,
        .sampling = s->drawn.rules.sampling,
        .bias = s->drawn.rules.bias,
        .n_bias = s->drawn.rules.n_bias,
        .penalties = s->drawn.rules.penalties,
        .n_penalized = s->drawn.rules.n_penalized,
        .constraint = s->drawn.rules.constraint,
        .priority = s->priority,
        .guesses = s->guesses,
        .stops = s->words.stops.values,
        .n_stops = (size_t)s->words.stops.n,
        .max_step_tokens = s->max_step_tokens,
        .max_tokens = n->ctx,
        .max_prm_tokens = n->ctx,
        .max_branches = solver_branches(s),
        .max_batch = solver_room(s).batch,
        .separator = s->one_token ? tok_find(n->tok, s->delimiter) : -1,
        .delimiter = s->one_token ? NULL : s->delimiter,
        .problem = p->text,
        .check = knows && (s->check || n->verifier == VERIFIER_CHECK) ? check_chain : NULL,
        .answer = vote_of_chain,
        .state = p->task->state ? state_of_chain : NULL,
        .oracle = n->oracle ? reachable : NULL,
        .value_noise = s->value_noise,
        .noise_key = rng_fold(s->seed, hash_bytes(p->text, strlen(p->text))),
        .complete = p->task->is_last ? states_answer : NULL,
        .cancel = s->common.cancel,
        .prompt = prompt_of,
        .asks = prompter_asks(&s->prompter, p->task),
        .arg = (void *)x,
    };
}

static enum status begin_grammar(const struct solver *s, bool thinking, struct eval_params *ep, struct error *e) {
    void *state;
    enum status st = sampling_begin(&s->drawn, thinking, &state, e);
    ep->constraint_state = state;
    return st;
}

/* Room for the prompt and as many tokens as a chain can have, not for the model's whole context. */
static enum status set_prompt(const struct solver *s, const struct problem *p, struct eval_params *ep,
                              struct outcome *o, struct error *e) {
    int32_t *ids;
    size_t n;
    bool thinking = false;
    uint64_t depth = s->max_depth ? s->max_depth : p->max_depth ? p->max_depth : s->common.max_depth;
    uint64_t fresh = s->max_step_tokens * depth;
    if (!p->task->style->prose) { /* a token has a byte or more */
        uint64_t whole = strlen(p->text) + 3 + (s->ptrue ? s->ptrue->n : 0) + fresh;
        if (s->prompter.revises) whole += fresh + 3; /* an attempt on the prompt */
        if (whole < ep->max_tokens) ep->max_tokens = (uint32_t)whole;
        if (!ep->reader || prm_reads_policy_tokens(ep->reader)) ep->max_prm_tokens = ep->max_tokens;
        return begin_grammar(s, thinking, ep, e);
    }
    enum status st = prompter_encode(&s->prompter, p, &ids, &n, &thinking, e);
    if (st) return st;
    ep->prompt_tokens = ids, ep->n_prompt_tokens = n;
    size_t question = s->ptrue ? s->ptrue->n : 0;
    if (n + question + 1 >= ep->max_tokens)
        snprintf(o->trouble, sizeof o->trouble, "the prompt has %zu tokens, the context %u (-c)", n, ep->max_tokens);
    uint64_t whole = n + question + (s->max_new_tokens && s->max_new_tokens < fresh ? s->max_new_tokens : fresh);
    /* Prompts about chains hold all of one or two, and what the task says about them. */
    if (ep->verifier == VERIFIER_JUDGE || (needs(s) & ~(CAN_ASK - 1u))) whole += 2 * fresh + 512;
    if (whole < ep->max_tokens) ep->max_tokens = (uint32_t)whole;
    return begin_grammar(s, thinking, ep, e);
}

enum status solver_search(const struct solver_search *x, struct outcome *o, struct error *e) {
    const struct solver *s = x->solver;
    const struct problem *p = x->problem;
    struct tree tree;
    struct search_result res;
    struct search on = {.ev = x->ev, .tree = &tree, .common = s->common, .on_event = x->on_event, .arg = x->arg};
    struct search_params *common = &on.common;
    common->seed = x->seed;
    if (p->max_depth) common->max_depth = p->max_depth; /* a longer chain is never right */
    if (s->max_depth && !(p->max_depth && p->max_depth < s->max_depth)) common->max_depth = s->max_depth;
    if (x->deadline_ns) { /* reading the prompt was part of it */
        const uint64_t now = clock_ns();
        common->budget.ns = now < x->deadline_ns ? x->deadline_ns - now : 1;
    }
    enum status st = search_open(&tree, x->ev, common->seed, solver_room(s).nodes, e);
    if (st) return st;
    st = search_run(s->strategy, &on, s->params.bytes, &res, e);
    if (!st) st = finish(s, p, &tree, &res, o, e);
    o->cost = *x->ev->ledger;
    search_close(&tree, x->ev);
    return st;
}

static enum status search(const struct solver *s, const struct problem *p, const struct eval_params *ep,
                          solver_tap *tap, void *arg, struct outcome *o, struct error *e) {
    struct evaluator ev;
    struct solver_search x = {.solver = s, .problem = p, .ev = &ev, .deadline_ns = ep->deadline_ns};
    x.seed = rng_fold(s->seed, hash_bytes(p->text, strlen(p->text))); /* the puzzle's, wherever it stands in a file */
    enum status st = eval_model_open(ep, p->text, &x.model, &ev, e);
    if (st) return st;
    st = tap(arg, &x, o, e);
    eval_model_close(&x.model);
    return st;
}

enum status solver_run_tapped(const struct solver *s, const struct problem *p, solver_tap *tap, void *arg,
                              struct outcome *o, struct error *e) {
    uint64_t start = clock_ns();
    struct subject x = {s, p};
    struct eval_params ep = eval_params_of(s, &x);
    if (s->common.budget.ns) ep.deadline_ns = start + s->common.budget.ns;
    *o = (struct outcome){.verdict = problem_verdict(p, "")}; /* of no answer */
    enum status st = set_prompt(s, p, &ep, o, e);
    if (*o->trouble) o->why = WHY_ERROR;
    else if (!st) st = search(s, p, &ep, tap, arg, o, e);
    if (st == ERR_CANCELLED) { /* before the search had begun: nothing was found yet */
        outcome_free(o);
        const bool cancelled = s->common.cancel && *s->common.cancel;
        *o = (struct outcome){.verdict = problem_verdict(p, ""), .why = cancelled ? WHY_CANCELLED : WHY_TIME};
        st = OK;
    }
    mem_free((void *)ep.prompt_tokens);
    grammar_constraint.free((void *)ep.constraint_state);
    o->ms = (double)(clock_ns() - start) / 1e6;
    if (st) outcome_free(o);
    return st;
}

struct listener {
    event_fn *on_event;
    void *arg;
};

static enum status run_plain(void *arg, struct solver_search *x, struct outcome *o, struct error *e) {
    const struct listener *l = arg;
    x->on_event = l->on_event, x->arg = l->arg;
    return solver_search(x, o, e);
}

enum status solver_run(const struct solver *s, const struct problem *p, event_fn *on_event, void *arg,
                       struct outcome *o, struct error *e) {
    struct listener l = {on_event, arg};
    return solver_run_tapped(s, p, run_plain, &l, o, e);
}
