/* report.c: see report.h.
 * Not the drawing of the tree: draw.c.
 * Next: cli/cmd_solve.c. */
#include "solve/report.h"

#include <string.h>

#include "base/terminal.h"

#define FIELD(name, of_run)                                                                                            \
    { #name, offsetof(struct ledger, name), of_run }
/* clang-format off */
const struct ledger_field ledger_fields[] = {
    FIELD(prompt_tokens, false),
    FIELD(generated_tokens, false),
    FIELD(prm_tokens, false),
    FIELD(policy_flops, false),
    FIELD(prm_flops, false),
    FIELD(shared_tokens, false),
    FIELD(forks, false),
    FIELD(simulations, false),
    FIELD(pages_copied, true),
    FIELD(replayed_tokens, true),
    FIELD(cached_tokens, true),
    {NULL, 0, false},
};
/* clang-format on */

uint64_t *ledger_at(struct ledger *l, const struct ledger_field *f) { return (uint64_t *)(void *)((char *)l + f->at); }

void report_add_ledger(json_t *object, const struct ledger *l, bool with_run) {
    struct ledger copy = *l;
    for (const struct ledger_field *f = ledger_fields; f->name && (with_run || !f->of_run); f++)
        json_object_set_new(object, f->name, json_integer((json_int_t)*ledger_at(&copy, f)));
}

void report_cost(const struct ledger *l, double seconds, FILE *to) {
    char a[32], b[32], c[32], d[32], f[32], g[32], h[32];
    fprintf(to,
            "cost: %s policy + %s PRM tokens, %s + %s, %s forks, %s pages copied, %s tokens saved by sharing, %.2f s\n",
            show_count(l->prompt_tokens + l->generated_tokens, a), show_count(l->prm_tokens, b),
            show_flops(l->policy_flops, c), show_flops(l->prm_flops, d), show_count(l->forks, f),
            show_count(l->pages_copied, g), show_count(l->shared_tokens, h), seconds);
}

void report_votes(const struct outcome *o, FILE *to) {
    if (!o->n_votes) return;
    for (uint32_t i = 0; i < o->n_votes && i < MOST_VOTES; i++) {
        fprintf(to, "%s%s: %.3g", i ? ", " : "votes: ", o->votes[i].answer, o->votes[i].votes);
        if (o->votes[i].votes != o->votes[i].chains) fprintf(to, " of %u", o->votes[i].chains);
    }
    if (o->n_votes > MOST_VOTES) fprintf(to, ", and %u others", o->n_votes - MOST_VOTES);
    fputc('\n', to);
}

static json_t *votes_json(const struct outcome *o) {
    json_t *list = json_array();
    for (uint32_t i = 0; i < o->n_votes && i < MOST_VOTES; i++)
        json_array_append_new(list, json_pack("{s:s,s:f,s:i}", "answer", o->votes[i].answer, "votes", o->votes[i].votes,
                                              "chains", (int)o->votes[i].chains));
    return list;
}

json_t *report_outcome(const struct problem *p, const struct outcome *o) {
    size_t size = strlen(p->text);
    while (size && p->text[size - 1] == '\n') size--;
    json_t *object = json_object();
    json_object_set_new(object, "id", json_string(p->id));
    json_object_set_new(object, "problem", json_stringn(p->text + (*p->text == ' '), size - (*p->text == ' ')));
    json_object_set_new(object, "answer", o->finished ? json_string(o->answer) : json_null());
    json_object_set_new(object, "correct", o->verdict == VERDICT_NONE ? json_null() : json_boolean(o->verdict));
    json_object_set_new(object, "value", json_real((double)o->value));
    json_object_set_new(object, "why", json_string(why_name(o->why)));
    json_object_set_new(object, "finished", json_integer(o->n_finished));
    json_object_set_new(object, "first_steps", json_integer(o->n_firsts));
    if (o->n_votes) json_object_set_new(object, "votes", votes_json(o));
    for (uint32_t i = 0; i < o->n_notes; i++)
        json_object_set_new(object, o->notes[i].name, json_real(o->notes[i].value));
    if (*o->trouble) json_object_set_new(object, "trouble", json_string(o->trouble));
    const char *text = o->text ? o->text : o->unfinished; /* a cut chain is something to look at, if no answer */
    if (p->task->style->prose && text) json_object_set_new(object, "text", json_string(text));
    if (!p->task->style->prose && o->text) json_object_set_new(object, "steps", json_string(o->text)); /* to learn from */
    report_add_ledger(object, &o->cost, false);
    json_object_set_new(object, "ms", json_real(o->ms));
    return object;
}

static json_t *param_json(const struct param *p, const void *params) {
    char text[64];
    double v = param_get(p, params);
    switch (p->kind) {
    case PARAM_COUNT: return json_integer((json_int_t)v);
    case PARAM_REAL: return json_real(v);
    case PARAM_YES: return json_boolean(v != 0);
    case PARAM_CHOICE: break;
    }
    return json_string(param_text(p, params, text, sizeof text));
}

/* Under the flag's name, with _ for -. */
static void add_params(json_t *settings, const struct solver *s) {
    for (const struct param *p = s->strategy->params; p && p->flag; p++) {
        char name[64];
        snprintf(name, sizeof name, "%s", p->flag);
        for (char *c = name; (c = strchr(c, '-'));) *c = '_';
        json_object_set_new(settings, name, param_json(p, s->params.bytes));
    }
}

static void add_number(json_t *to, const char *name, double value, double usual) {
    if (value != usual) json_object_set_new(to, name, json_real(value));
}

static void add_text(json_t *to, const char *name, const char *text) {
    if (text) json_object_set_new(to, name, json_string(text));
}

static void add_list(json_t *to, const char *name, const struct flag_list *l) {
    json_t *values = json_array();
    for (int i = 0; i < l->n; i++) json_array_append_new(values, json_string(l->values[i]));
    if (l->n) json_object_set(to, name, values);
    json_decref(values);
}

/* What is not as usual; headers of results are older than these fields. */
static void add_sampling(json_t *to, const struct sampling_options *o) {
    add_number(to, "typical", o->typical, 1);
    add_number(to, "repeat_last_n", (double)o->repeat_last_n, 64);
    add_number(to, "repeat_penalty", o->repeat, 1);
    add_number(to, "presence_penalty", o->presence, 0);
    add_number(to, "frequency_penalty", o->frequency, 0);
    add_text(to, "samplers", o->samplers);
    add_text(to, "sampler_seq", o->sampler_seq);
    if (o->ignore_eos) json_object_set_new(to, "ignore_eos", json_true());
    add_list(to, "logit_bias", &o->bias);
    add_list(to, "reverse_prompt", &o->stops);
}

/* Its hash: a file may hold another one tomorrow. */
static void add_grammar(json_t *to, const struct grammar *g) {
    const char *text = g ? grammar_text(g) : "";
    char hash[32];
    snprintf(hash, sizeof hash, "%016llx", (unsigned long long)hash_bytes(text, strlen(text)));
    if (g) json_object_set_new(to, "grammar", json_string(hash));
}

json_t *report_settings(const struct solver *s) {
    const struct search_params *p = &s->common;
    bool values = strategy_needs(s->strategy, s->params.bytes) & CAN_VALUE;
    json_t *settings =
        json_pack("{s:s,s:s,s:I,s:I,s:I,s:I,s:I,s:b,s:i}", "task", s->task->name, "search", s->strategy->name, "budget",
                  (json_int_t)p->budget.simulations, "max_tokens", (json_int_t)p->budget.tokens, "max_flops",
                  (json_int_t)p->budget.flops, "max_ns", (json_int_t)p->budget.ns, "seed", (json_int_t)s->seed, "check",
                  s->check, "ctx", (int)s->session->ctx);
    if (!(s->strategy->without & WITHOUT_TEMPERATURE))
        json_object_set_new(settings, "temp", json_real((double)p->temperature));
    if (values) json_object_set_new(settings, "agg", json_string(prm_agg_name(s->agg)));
    add_number(settings, "value_noise", s->value_noise, 0);
    add_params(settings, s);
    add_sampling(settings, &s->words);
    add_grammar(settings, s->drawn.grammar);
    if (s->guesses) json_object_set_new(settings, "guesses", json_integer(s->guesses)); /* they cost FLOPs */
    bool words = s->task->style->prose; /* headers of results on puzzles are older than these fields */
    bool given = s->session->verifier != VERIFIER_PRM || s->session->prm.model || s->session->oracle;
    if (values && (words || s->session->verifier != VERIFIER_PRM))
        json_object_set_new(settings, "verifier", json_string(given ? verifier_name(s->session->verifier) : "none"));
    if (!words) return settings;
    json_t *more = json_pack("{s:s,s:i,s:i,s:i,s:f,s:f,s:s,s:s}", "step_delimiter", s->delimiter, "max_step_tokens",
                             (int)s->max_step_tokens, "max_depth", (int)(s->max_depth ? s->max_depth : p->max_depth),
                             "top_k", (int)s->sampling.top_k, "top_p", (double)s->sampling.top_p, "min_p",
                             (double)s->sampling.min_p, "prompt",
                             s->prompter.raw    ? "raw"
                             : s->prompter.chat ? "chat"
                                                : "plain",
                             "system", s->prompter.system ? s->prompter.system : "");
    json_object_update(settings, more);
    json_decref(more);
    return settings;
}
