/* scores.c: POST /v1/score: what the server's verifier says of chains that clients bring.
 * Not a search: search.c.
 * Next: solve/score.h.
 *
 *   {"problem": "4 7 8 8", "chains": [{"steps": ["4 * 7 = 28 ; 8 8 28", ...], "finished": true}, ["..."], "a\nb"]} */
#include "solve/score.h"

#include <string.h>

#include "base/mem.h"
#include "serve/fields.h"
#include "serve/handlers.h"
#include "serve/search.h"
#include "serve/server.h"
#include "serve/texts.h"

enum { MOST_CHAINS = 256, MOST_STEPS = 1024 };

struct score_wish {
    struct search_options o;
    const char *problem, *model;
    const json_t *steps, *chains;
    bool finished;
};

#define AT(field) offsetof(struct score_wish, field)
/* clang-format off */
static const struct field score_fields[] = {
    {"problem",        FIELD_TEXT, AT(problem),     0, 0},
    {"model",          FIELD_TEXT, AT(model),       0, 0},
    {"task",           FIELD_TEXT, AT(o.task),      0, 0},
    {"agg",            FIELD_TEXT, AT(o.agg),       0, 0},
    {"system",         FIELD_TEXT, AT(o.system),    0, 0},
    {"step_delimiter", FIELD_TEXT, AT(o.delimiter), 0, 0},
    {"steps",          FIELD_JSON, AT(steps),       0, 0},
    {"chains",         FIELD_JSON, AT(chains),      0, 0},
    {"finished",       FIELD_YES,  AT(finished),    0, 0},
    {0},
};
/* clang-format on */

struct score_job {
    struct job job; /* its first member */
    json_t *body;   /* the wish and the steps borrow from it */
    struct score_wish wish;
    struct solver solver;
    struct problem problem;
    struct scored *chains; /* [n] */
    uint32_t n;
    char **texts; /* [n]: chains that came as one text, cut into steps */
};

static void free_job(struct score_job *j) {
    for (uint32_t i = 0; i < j->n && j->chains; i++) {
        mem_free((void *)j->chains[i].steps), mem_free(j->chains[i].values);
        if (j->texts) mem_free(j->texts[i]);
    }
    mem_free(j->chains), mem_free(j->texts);
    solver_close(&j->solver);
    if (j->problem.task) problem_free(&j->problem);
    json_decref(j->body);
    mem_free(j);
}

/* ---- the request ---- */

static enum status no_memory(struct error *e) { return error_set(e, ERR_MEMORY, "no memory for chains"); }

static enum status make_room(struct scored *c, size_t n, struct error *e) {
    if (!n || n > MOST_STEPS)
        return error_set(e, ERR_INPUT, "a chain has %zu steps; from 1 to %d are allowed", n, MOST_STEPS);
    c->n = (uint32_t)n;
    const char **steps = mem_new(n, sizeof *steps);
    c->steps = steps, c->values = mem_new(n, sizeof *c->values);
    return steps && c->values ? OK : no_memory(e);
}

/* One text: cut at the delimiters; one at its end ends its last step. */
static enum status cut_text(struct score_job *j, uint32_t i, const char *text, struct error *e) {
    const char *delimiter = j->solver.delimiter;
    size_t n_d = strlen(delimiter), n = 0;
    char *copy = j->texts[i] = mem_string(text);
    if (!copy) return no_memory(e);
    for (const char *at = copy; *at; n++) {
        const char *end = strstr(at, delimiter);
        at = end ? end + n_d : at + strlen(at);
    }
    enum status s = make_room(&j->chains[i], n, e);
    const char **steps = (const char **)j->chains[i].steps;
    for (size_t k = 0; k < n && !s; k++) {
        char *end = strstr(copy, delimiter);
        steps[k] = copy;
        if (!end) break;
        *end = '\0', copy = end + n_d;
    }
    return s;
}

static enum status take_steps(struct scored *c, const json_t *list, struct error *e) {
    enum status s = make_room(c, json_array_size(list), e);
    const char **steps = (const char **)c->steps;
    for (uint32_t k = 0; k < c->n && !s; k++)
        if (!(steps[k] = json_string_value(json_array_get(list, k))))
            s = error_set(e, ERR_INPUT, "\"steps\": a list of texts is allowed");
    return s;
}

static enum status take_chain(struct score_job *j, uint32_t i, const json_t *chain, struct error *e) {
    const json_t *steps = json_is_object(chain) ? json_object_get(chain, "steps") : chain;
    const json_t *finished = json_object_get(chain, "finished");
    if (finished && !json_is_boolean(finished))
        return error_set(e, ERR_INPUT, "\"finished\": true or false is allowed");
    j->chains[i].finished = finished ? json_is_true(finished) : j->wish.finished;
    if (json_is_string(steps)) return cut_text(j, i, json_string_value(steps), e);
    if (json_is_array(steps)) return take_steps(&j->chains[i], steps, e);
    return error_set(e, ERR_INPUT, "chain %u: a text, a list of steps or an object with \"steps\" is allowed", i + 1);
}

static enum status take_chains(struct score_job *j, struct error *e) {
    const json_t *list = j->wish.chains;
    size_t n = list ? json_array_size(list) : 1;
    if (!!list == !!j->wish.steps) return error_set(e, ERR_INPUT, "\"steps\" or \"chains\": one of them is needed");
    if (!n || n > MOST_CHAINS)
        return error_set(e, ERR_INPUT, "\"chains\": a list of 1 to %d chains is allowed", MOST_CHAINS);
    j->chains = mem_new(n, sizeof *j->chains), j->texts = mem_new(n, sizeof *j->texts);
    if (!j->chains || !j->texts) return no_memory(e);
    j->n = (uint32_t)n;
    enum status s = OK;
    for (uint32_t i = 0; i < n && !s; i++) s = take_chain(j, i, list ? json_array_get(list, i) : j->wish.steps, e);
    return s;
}

static enum status prepare(struct score_job *j, struct exchange *ex, struct error *e) {
    struct server *s = ex->server;
    enum status st = body_read(ex->body.data, ex->body.n, &j->body, e);
    j->wish = (struct score_wish){.o = SEARCH_OPTIONS, .finished = false};
    if (!st) st = fields_read(j->body, score_fields, &j->wish, e);
    if (st) return st;
    const char *name = j->wish.o.task ? j->wish.o.task : server_task(s);
    const struct task *task = task_find(name);
    if (!task) return error_set(e, ERR_INPUT, "\"task\": \"%.60s\" is none of %s", name, task_names);
    if (!j->wish.problem) return error_set(e, ERR_INPUT, "\"problem\": a text is needed");
    if (!server_has_model(s, j->wish.model))
        return error_set(e, ERR_INPUT, "\"model\": \"%.100s\" is not served here; %s is", j->wish.model, s->p.name);
    j->wish.o.search = "bon"; /* a strategy that asks for values */
    if ((st = solver_setup(&j->solver, task, &j->wish.o, e))) return st;
    j->solver.common.cancel = &ex->stop;
    if ((st = solver_attach(&j->solver, s->session, e))) return st;
    if ((st = solver_parse(task, j->wish.problem, &j->problem, e))) return st;
    return take_chains(j, e);
}

/* ---- the reply ---- */

static json_t *chain_json(const struct scored *c, uint32_t index) {
    json_t *values = json_array();
    for (uint32_t i = 0; i < c->n; i++) json_array_append_new(values, json_real((double)c->values[i]));
    json_t *all = json_pack("{s:I,s:o,s:f,s:s}", "index", (json_int_t)index, "values", values, "score",
                            (double)c->value, "verdict", verdict_name(c->verdict));
    if (all && *c->reason) json_object_set_new(all, "reason", clean_text(c->reason, strlen(c->reason)));
    return all;
}

static void tell(struct score_job *j, const struct ledger *cost) {
    struct exchange *ex = j->job.ex;
    json_t *data = json_array();
    for (uint32_t i = 0; i < j->n; i++) json_array_append_new(data, chain_json(&j->chains[i], i));
    exchange_json(ex, 200,
                  json_pack("{s:s,s:s,s:s,s:s,s:s,s:o,s:o}", "object", "score", "model", j->job.server->p.name, "task",
                            j->solver.task->name, "verifier", verifier_name(j->solver.session->verifier), "agg",
                            prm_agg_name(j->solver.agg), "data", data, "cost", ledger_json(cost)));
}

static void run(struct job *job) {
    struct score_job *j = (struct score_job *)job;
    struct error e;
    struct ledger cost = {0};
    enum status s = score_chains(&j->solver, &j->problem, j->chains, j->n, &cost, &e);
    quota_charge(job->ex, &cost);
    if (s == ERR_CANCELLED) server_fail(job->ex, 503, NULL, "the server is stopping"); /* or nobody reads it */
    else if (s) server_fail_status(job->ex, s, &e);
    else tell(j, &cost);
    free_job(j);
}

void handle_score(struct exchange *ex) {
    struct server *s = ex->server;
    struct score_job *j = mem_new(1, sizeof *j);
    struct error e;
    if (!server_has_values(s)) {
        server_fail(ex, 501, NULL, "nothing here values steps: start ponder serve with --prm FILE, or with --verifier");
        mem_free(j);
        return;
    }
    if (!j) {
        server_fail(ex, 500, NULL, "no memory for a request");
        return;
    }
    j->job.run = run, j->job.ex = ex;
    enum status st = prepare(j, ex, &e);
    const struct allowance most = {0}; /* texts are not encoded yet: what it took is known at the end */
    if (st) server_fail_status(ex, st, &e);
    bool good = !st && server_classify(ex, j->body) && quota_admit(ex, &most);
    j->solver.priority = ex->latency_class == CLASS_INTERACTIVE;
    if (!good || !server_queue(s, &j->job)) free_job(j);
}
