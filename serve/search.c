/* search.c: a search as the answer to a chat.
 * Not the events (search_store.c) and not the routes of searches (search_routes.c).
 * Next: solve/solver.h, which runs one problem. */
#include "serve/search.h"

#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "search/cassette.h"
#include "serve/search_store.h"
#include "solve/solver.h"

/* ---- who wants one ---- */

bool search_of_name(const struct server *s, const char *model, char *strategy, size_t cap, uint64_t *budget) {
    size_t n = strlen(s->p.name), k = 0;
    if (!model || strncmp(model, s->p.name, n) || model[n] != ':') return false;
    const char *word = model + n + 1;
    while (word[k] && !isdigit((unsigned char)word[k])) k++;
    char *end;
    *budget = strtoull(word + k, &end, 10);
    if (!k || k >= cap || *end) return false;
    memcpy(strategy, word, k), strategy[k] = '\0';
    return strategy_find(strategy) != NULL;
}

bool search_wanted(const struct texts *t) {
    char strategy[32];
    uint64_t budget;
    const json_t *wish = json_object_get(t->body, "search");
    if (wish && !json_is_null(wish) && !json_is_false(wish)) return true;
    const char *model = json_string_value(json_object_get(t->body, "model"));
    const char *mode = json_string_value(json_object_get(json_object_get(t->body, "reasoning"), "mode"));
    return t->server->own || (mode && !strcmp(mode, "pro")) ||
           search_of_name(t->server, model, strategy, sizeof strategy, &budget);
}

/* ---- the wish ---- */

struct search_wish {
    struct search_options o;
    char strategy[32];
    char *flags[SETTINGS_CAP], *texts[SETTINGS_CAP]; /* what o.settings points to */
    bool seed_given;
};

#define AT(field) offsetof(struct search_wish, o.field)
/* clang-format off */
static const struct field search_fields[] = {
    {"strategy",        FIELD_TEXT, AT(search),          0, 0},
    {"task",            FIELD_TEXT, AT(task),            0, 0},
    {"budget",          FIELD_INT,  AT(budget),          1, 1e6},
    {"seed",            FIELD_INT,  AT(seed),            0, 9e15},
    {"max_tokens",      FIELD_INT,  AT(max_tokens),      1, 1e12},
    {"max_gflops",      FIELD_REAL, AT(max_gflops),      1e-6, 1e9},
    {"max_ms",          FIELD_INT,  AT(max_ms),          1, 1e9},
    {"max_depth",       FIELD_INT,  AT(max_depth),       1, 1 << 16},
    {"max_step_tokens", FIELD_INT,  AT(max_step_tokens), 1, 1 << 20},
    {"step_delimiter",  FIELD_TEXT, AT(delimiter),       0, 0},
    {"temperature",     FIELD_REAL, AT(temp),            0, 100},
    {"top_k",           FIELD_INT,  AT(top_k),           0, 1e9},
    {"top_p",           FIELD_REAL, AT(top_p),           0, 1},
    {"min_p",           FIELD_REAL, AT(min_p),           0, 1},
    {"agg",             FIELD_TEXT, AT(agg),             0, 0},
    {"check",           FIELD_YES,  AT(check),           0, 0},
    {0},
};
/* Of the chat around it (in Ollama's protocol of its "options"), when "search" does not say it. */
static const struct field chat_fields[] = {
    {"seed",               FIELD_INT,  AT(seed),                0, 9e15},
    {"temperature",        FIELD_REAL, AT(temp),                0, 100},
    {"top_k",              FIELD_INT,  AT(top_k),               0, 1e9},
    {"top_p",              FIELD_REAL, AT(top_p),               0, 1},
    {"min_p",              FIELD_REAL, AT(min_p),               0, 1},
    {"typical_p",          FIELD_REAL, AT(words.typical),       0, 1},
    {"repeat_penalty",     FIELD_REAL, AT(words.repeat),        1e-3, 1e3},
    {"repetition_penalty", FIELD_REAL, AT(words.repeat),        1e-3, 1e3},
    {"repeat_last_n",      FIELD_INT,  AT(words.repeat_last_n), -1, 1e9},
    {"presence_penalty",   FIELD_REAL, AT(words.presence),      -1e3, 1e3},
    {"frequency_penalty",  FIELD_REAL, AT(words.frequency),     -1e3, 1e3},
    {"ignore_eos",         FIELD_YES,  AT(words.ignore_eos),    0, 0},
    {0},
};
static const char *const not_with_search[] = {"logprobs", "logit_bias", "tools", NULL};
/* clang-format on */

static bool is_common(const char *name) {
    for (const struct field *f = search_fields; f->name; f++)
        if (!strcmp(f->name, name)) return true;
    return false;
}

/* Members that are none of the common ones are parameters of the strategy: "c_puct" for --c-puct. */
static enum status read_settings(struct search_wish *w, const json_t *object, struct error *e) {
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)object, key, value) {
        int n = w->o.settings.n;
        if (is_common(key) || json_is_null(value)) continue;
        if (n == SETTINGS_CAP) return error_set(e, ERR_INPUT, "\"search\": more than %d parameters", SETTINGS_CAP);
        char text[64];
        snprintf(text, sizeof text, "%s", json_is_true(value) ? "yes" : json_is_false(value) ? "no" : "");
        if (json_is_number(value)) snprintf(text, sizeof text, "%.17g", json_number_value(value));
        if (json_is_string(value)) snprintf(text, sizeof text, "%s", json_string_value(value));
        w->flags[n] = mem_string(key), w->texts[n] = mem_string(text);
        w->o.settings.n++; /* wish_free looks at both, NULL or not */
        if (!w->flags[n] || !w->texts[n]) return error_set(e, ERR_MEMORY, "no memory for a search");
        for (char *c = w->flags[n]; *c; c++)
            if (*c == '_') *c = '-';
        w->o.settings.items[n].flag = w->flags[n], w->o.settings.items[n].text = w->texts[n];
    }
    return OK;
}

static void wish_free(struct search_wish *w) {
    for (int i = 0; i < SETTINGS_CAP; i++) mem_free(w->flags[i]), mem_free(w->texts[i]);
}

/* Stop strings and the grammar of the chat hold for chains. */
static enum status read_words(const struct texts *t, struct search_wish *w, struct error *e) {
    struct flag_list *stops = &w->o.words.stops;
    if (t->n_stops > FLAG_LIST_CAP)
        return error_set(e, ERR_INPUT, "\"stop\": at most %d texts are allowed with a search", FLAG_LIST_CAP);
    for (size_t i = 0; i < t->n_stops; i++) stops->values[stops->n++] = t->stops[i];
    w->o.words.grammar.open = t->grammar;
    return OK;
}

static enum status read_wish(const struct texts *t, struct search_wish *w, struct error *e) {
    const json_t *wish = json_object_get(t->body, "search");
    uint64_t budget = 0;
    *w = (struct search_wish){.o = SEARCH_OPTIONS};
    w->o.seed = -1;
    for (int i = 0; not_with_search[i]; i++) {
        const json_t *v = json_object_get(t->body, not_with_search[i]);
        if (v && !json_is_null(v) && !json_is_false(v) && !(json_is_array(v) && !json_array_size(v)))
            return error_set(e, ERR_INPUT, "\"%s\" is not supported together with a search", not_with_search[i]);
    }
    if (search_of_name(t->server, json_string_value(json_object_get(t->body, "model")), w->strategy, sizeof w->strategy,
                       &budget))
        w->o.search = w->strategy, w->o.budget = budget ? (int64_t)budget : -1;
    enum status s = fields_read(t->body, chat_fields, w, e);
    if (!s) s = fields_read(json_object_get(t->body, "options"), chat_fields, w, e);
    if (!s) s = read_words(t, w, e);
    if (json_is_string(wish)) w->o.search = json_string_value(wish);
    else if (json_is_object(wish)) {
        if (!s) s = fields_read(wish, search_fields, w, e);
        if (!s) s = read_settings(w, wish, e);
    } else if (wish && !json_is_true(wish))
        return error_set(e, ERR_INPUT, "\"search\": the name of a strategy, or an object is allowed");
    if (!s && w->o.budget > t->server->p.max_budget)
        s = error_set(e, ERR_INPUT, "\"budget\": %lld; at most %lld is allowed here (--max-budget)",
                      (long long)w->o.budget, (long long)t->server->p.max_budget);
    w->seed_given = w->o.seed >= 0;
    if (!w->seed_given) w->o.seed = (int64_t)(t->seed & ((1ull << 53) - 1));
    return s;
}

/* ---- the problem ---- */

/* Texts of a message: NULL when it is none. */
static char *content_of(const json_t *message) {
    const json_t *content = json_object_get(message, "content");
    struct buffer b = {0};
    size_t i;
    json_t *part;
    if (json_is_string(content)) return mem_string(json_string_value(content));
    json_array_foreach((json_t *)content, i, part) {
        const char *text = json_string_value(json_object_get(part, "text"));
        if (!text) {
            buffer_free(&b);
            return NULL;
        }
        buffer_text(&b, text);
    }
    return b.data;
}

/* The only message of the user, and the system's, if there is one. */
static enum status read_messages(const json_t *messages, char **problem, char **system, struct error *e) {
    size_t i;
    json_t *m;
    *problem = *system = NULL;
    json_array_foreach((json_t *)messages, i, m) {
        const char *role = json_string_value(json_object_get(m, "role"));
        bool user = role && !strcmp(role, "user");
        bool is_system = role && (!strcmp(role, "system") || !strcmp(role, "developer"));
        char **to = user ? problem : is_system ? system : NULL;
        if (!to || *to)
            return error_set(e, ERR_INPUT,
                             "\"messages\": a search takes one message of the user, and perhaps one of the system");
        if (!(*to = content_of(m))) return error_set(e, ERR_INPUT, "\"content\" is neither a text nor a list of texts");
    }
    return *problem ? OK : error_set(e, ERR_INPUT, "\"messages\": a search takes one message of the user");
}

/* ---- the job ---- */

struct search_job {
    struct job job; /* its first member */
    struct texts *t;
    struct search_wish wish;
    struct solver solver;
    struct problem problem;
    char *text, *system;
    struct kept *kept;
};

static void free_job(struct search_job *j) {
    solver_close(&j->solver);
    if (j->problem.task) problem_free(&j->problem);
    wish_free(&j->wish);
    mem_free(j->text), mem_free(j->system);
    if (j->kept) search_release(j->kept);
    texts_free(j->t);
    mem_free(j);
}

const char *verdict_name(enum verdict v) {
    static const char *const names[] = {
        [VERDICT_WRONG] = "wrong", [VERDICT_RIGHT] = "right", [VERDICT_NONE] = "unknown"};
    return names[v];
}

json_t *ledger_json(const struct ledger *l) {
    return json_pack("{s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I}", "simulations", (json_int_t)l->simulations,
                     "prompt_tokens", (json_int_t)l->prompt_tokens, "generated_tokens", (json_int_t)l->generated_tokens,
                     "verifier_tokens", (json_int_t)l->prm_tokens, "policy_flops", (json_int_t)l->policy_flops,
                     "verifier_flops", (json_int_t)l->prm_flops, "shared_tokens", (json_int_t)l->shared_tokens, "forks",
                     (json_int_t)l->forks, "pages_copied", (json_int_t)l->pages_copied, "replayed_tokens",
                     (json_int_t)l->replayed_tokens, "peak_kv_bytes", (json_int_t)l->peak_kv_bytes);
}

static json_t *about_json(const struct search_job *j) {
    const struct solver *s = &j->solver;
    return json_pack("{s:s,s:s,s:I,s:I,s:o}", "strategy", s->strategy->name, "task", s->task->name, "budget",
                     (json_int_t)search_simulations(s->strategy, &s->common.budget), "seed", (json_int_t)s->seed,
                     "problem", clean_text(j->problem.text, strlen(j->problem.text)));
}

static json_t *result_json(const struct search_job *j, const struct outcome *o, const char *answer) {
    json_t *all =
        json_pack("{s:s,s:s,s:I,s:I,s:s,s:b,s:I,s:f,s:s,s:o,s:o,s:f}", "id", search_id(j->kept), "strategy",
                  j->solver.strategy->name, "budget",
                  (json_int_t)search_simulations(j->solver.strategy, &j->solver.common.budget), "seed",
                  (json_int_t)j->solver.seed, "why", why_name(o->why), "complete", (int)o->finished, "chains_finished",
                  (json_int_t)o->n_finished, "confidence", (double)o->value, "verdict", verdict_name(o->verdict),
                  "answer", clean_text(o->answer ? o->answer : "", o->answer ? strlen(o->answer) : 0), "cost",
                  ledger_json(&o->cost), "ms", o->ms);
    if (all) json_object_set_new(all, "text", clean_text(answer, strlen(answer)));
    if (all && j->t->steering) json_object_set(all, "steering", j->t->steering);
    return all;
}

struct listener {
    struct search_job *j;
    uint64_t made, pruned, picked; /* picked: tokens of the chain that is the answer */
};

static uint64_t chain_tokens(const struct tree *t, uint32_t node) {
    uint64_t n = 0;
    for (; node; node = t->nodes[node].parent) n += t->nodes[node].n_tokens;
    return n;
}

static void on_event(void *arg, const struct event *event) {
    struct listener *l = arg;
    l->made += event->kind == EVENT_MADE, l->pruned += event->kind == EVENT_PRUNED;
    if (event->kind == EVENT_DONE) l->picked = chain_tokens(event->tree, event->result->node);
}

/* What is kept of a search are the lines of its tree file, with tokens and their probabilities. */
static void add_line(void *arg, const char *line, size_t n) { search_line(((struct listener *)arg)->j->kept, line, n); }
static enum status flush(void *arg, struct error *e) { return (void)arg, (void)e, OK; }
static void cut(void *arg) { (void)arg; }

static enum status record(void *arg, struct solver_search *x, struct outcome *o, struct error *e) {
    struct listener *l = arg;
    struct cassette c = {.inner = x->ev, .lines = {l, add_line, flush, cut}, .next = on_event, .next_arg = l};
    struct solver_search heard = *x;
    enum status s = cassette_open(&c, e);
    if (s) return s;
    heard.ev = &c.ev, heard.on_event = cassette_event, heard.arg = &c;
    s = solver_search(&heard, o, e);
    cassette_close(&c);
    return s;
}

static void count(const struct listener *l, const struct outcome *o) {
    struct texts *t = l->j->t;
    struct server *s = t->server;
    uint64_t written = o->cost.generated_tokens;
    t->n_dropped = written > l->picked ? written - l->picked : 0;
    quota_charge(t->ex, &o->cost);
    metrics_add(&s->metrics, COUNT_DROPPED_TOKENS, t->n_dropped);
    metrics_add(&s->metrics, COUNT_STEERING, t->steering != NULL);
    metrics_add(&s->metrics, COUNT_SEARCHES, 1);
    metrics_add(&s->metrics, COUNT_SEARCH_NODES, l->made);
    metrics_add(&s->metrics, COUNT_PRUNED, l->pruned);
}

/* The picked chain, and below a puzzle's steps its answer in one line; what there is of a chain that came to no end. */
static enum status put_answer(struct choice *c, const struct solver *s, const struct outcome *o, struct error *e) {
    const char *text = o->text ? o->text : o->unfinished ? o->unfinished : "";
    c->text.end = o->finished ? TEXT_END_TOKEN : TEXT_MAX_TOKENS;
    buffer_text(&c->said, text);
    if (o->finished && !s->task->style->prose && o->answer && *o->answer) buffer_print(&c->said, "\n\n%s", o->answer);
    return c->said.failed ? error_set(e, ERR_MEMORY, "no memory for an answer") : OK;
}

static enum status tell(struct search_job *j, const struct outcome *o, struct error *e) {
    struct texts *t = j->t;
    struct choice *c = t->choices = mem_new(1, sizeof *t->choices);
    if (!c) return error_set(e, ERR_MEMORY, "no memory for an answer");
    *c = (struct choice){.all = t};
    t->n_choices = t->n_told = 1, t->n_generated = o->cost.generated_tokens, t->n_search_prompt = o->cost.prompt_tokens;
    t->write_ns = (uint64_t)(o->ms * 1e6);
    enum status s = put_answer(c, &j->solver, o, e);
    if (s) return s;
    texts_scan_answer(t, c);
    json_decref(t->search);
    t->search = result_json(j, o, c->said.data ? c->said.data : "");
    search_done(j->kept, t->search);
    if (!t->wish.stream) return t->voice->whole(t), OK;
    if (c->said.n && t->voice->delta) t->voice->delta(t, c, c->said.data, c->said.n, false, NULL);
    if (t->voice->end) t->voice->end(t, c);
    t->voice->close(t);
    return OK;
}

static void run(struct job *job) {
    struct search_job *j = (struct search_job *)job;
    struct texts *t = j->t;
    struct listener l = {.j = j};
    struct outcome o = {0};
    struct error e = {""};
    struct choice first = {.all = t};
    if (t->wish.stream) { /* the first chunk says where the events are */
        t->search = json_pack("{s:s}", "id", search_id(j->kept));
        exchange_begin(t->ex, t->content_type);
        if (t->voice->begin) t->voice->begin(t, &first);
    }
    enum status s = solver_run_tapped(&j->solver, &j->problem, record, &l, &o, &e);
    if (!s && *o.trouble) s = error_set(&e, ERR_INPUT, "%s", o.trouble);
    if (!s) texts_scan_prompts(t);
    if (!s) count(&l, &o);
    if (!s) s = tell(j, &o, &e);
    if (s) {
        json_t *failed = json_pack("{s:s}", "why", e.text);
        search_done(j->kept, failed ? failed : json_object());
        json_decref(failed);
        server_fail_status(t->ex, s, &e);
    }
    outcome_free(&o);
    free_job(j);
}

/* The usual budget is one for an effort in the middle, and no search goes beyond what is allowed. */
static void limit_budget(struct search_job *j) {
    const struct texts *t = j->t;
    struct budget *b = &j->solver.common.budget;
    bool counts = !(j->solver.strategy->without & WITHOUT_BUDGET);
    double most = (double)t->server->p.max_budget, wanted = (double)b->simulations * t->wish.effort;
    if (counts && b->simulations && j->wish.o.budget < 0 && t->wish.effort > 0)
        b->simulations = wanted < 1 ? 1 : (uint64_t)fmin(wanted, most);
    struct allowance left = quota_left(t->ex);
    if (left.tokens != UINT64_MAX && (!b->tokens || b->tokens > left.tokens)) b->tokens = left.tokens;
    if (left.flops != UINT64_MAX && (!b->flops || b->flops > left.flops)) b->flops = left.flops;
}

static enum status prepare(struct search_job *j, const json_t *messages, struct error *e) {
    struct texts *t = j->t;
    struct server *s = t->server;
    const char *name = server_task(s);
    enum status st = read_messages(messages, &j->text, &j->system, e);
    if (!st) st = read_wish(t, &j->wish, e);
    if (st) return st;
    if (j->wish.o.task) name = j->wish.o.task;
    const struct task *task = task_find(name);
    if (!task) return error_set(e, ERR_INPUT, "\"task\": \"%.60s\" is none of %s", name, task_names);
    if (j->system && !task->style->prose)
        return error_set(e, ERR_INPUT, "\"messages\": a puzzle has no system message");
    j->wish.o.system = j->system;
    if (t->wish.n > 1) return error_set(e, ERR_INPUT, "\"n\": a search gives one answer");
    if ((st = solver_setup(&j->solver, task, &j->wish.o, e))) return st;
    j->solver.common.cancel = &t->ex->stop;
    j->solver.priority = t->ex->latency_class == CLASS_INTERACTIVE;
    limit_budget(j);
    if (t->wish.max_tokens > 0) j->solver.max_new_tokens = (uint64_t)t->wish.max_tokens;
    if ((st = solver_attach(&j->solver, s->session, e))) return st;
    if ((st = solver_parse(task, j->text, &j->problem, e))) return st;
    json_t *about = about_json(j);
    if (about) j->kept = search_keep(s->searches, t->ex, about);
    return j->kept ? OK : error_set(e, ERR_MEMORY, "no memory for a search");
}

void search_chat(struct texts *t, const json_t *messages) {
    struct search_job *j = mem_new(1, sizeof *j);
    struct error e;
    if (!j) {
        server_fail(t->ex, 500, NULL, "no memory for a search");
        texts_free(t);
        return;
    }
    j->t = t, j->job.run = run, j->job.ex = t->ex;
    enum status s = prepare(j, messages, &e);
    const struct allowance most = {0}; /* it stops where its budget ends */
    if (s) server_fail_status(t->ex, s == ERR_INPUT ? s : ERR_MEMORY, &e);
    if (s || !quota_admit(t->ex, &most) || !server_queue(t->server, &j->job)) {
        if (j->kept) search_remove(t->server->searches, j->kept);
        free_job(j);
    }
}
