/* tree_options.c: the options of a search and of its models as JSON and back, for the header of a tree file.
 * Not their meaning: solver.h, session.h.
 * Next: tree_file.c. */
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "solve/tree_file.h"

enum field_kind { TEXT, INT, REAL, YES, LIST };
struct row {
    const char *name;
    enum field_kind kind;
    size_t at;
};

#define S(name, kind, field)                                                                                           \
    { name, kind, offsetof(struct search_options, field) }
#define M(name, kind, field)                                                                                           \
    { name, kind, offsetof(struct session_options, field) }
/* clang-format off */
static const struct row search_rows[] = {
    S("task", TEXT, task), S("search", TEXT, search), S("agg", TEXT, agg), S("step_delimiter", TEXT, delimiter),
    S("system", TEXT, system), S("budget", INT, budget), S("max_tokens", INT, max_tokens), S("max_ms", INT, max_ms),
    S("max_depth", INT, max_depth), S("max_step_tokens", INT, max_step_tokens), S("top_k", INT, top_k),
    S("temp", REAL, temp), S("max_gflops", REAL, max_gflops), S("top_p", REAL, top_p), S("min_p", REAL, min_p),
    S("value_noise", REAL, value_noise), S("seed", INT, seed), S("check", YES, check), S("raw", YES, raw),
    S("special", YES, special), S("max_new", INT, max_new), S("lookup", YES, lookup), S("draft_max", INT, draft_max),
    S("typical", REAL, words.typical), S("repeat_last_n", INT, words.repeat_last_n), S("repeat_penalty", REAL, words.repeat),
    S("presence_penalty", REAL, words.presence), S("frequency_penalty", REAL, words.frequency),
    S("samplers", TEXT, words.samplers), S("sampler_seq", TEXT, words.sampler_seq), S("logit_bias", LIST, words.bias),
    S("reverse_prompt", LIST, words.stops), S("ignore_eos", YES, words.ignore_eos), S("grammar", TEXT, words.grammar.text), S("grammar_file", TEXT, words.grammar.file),
    S("json_schema", TEXT, words.grammar.schema_text), S("json_schema_file", TEXT, words.grammar.schema_file),
    {0},
};
/* What values depend on, not what they are computed with: threads and memory are free. */
static const struct row session_rows[] = {
    M("model", TEXT, model), M("prm", TEXT, prm), M("model_draft", TEXT, draft), M("prm_kind", TEXT, prm_kind), M("verifier", TEXT, verifier),
    M("ctx", INT, ctx), M("exact", YES, exact), M("cache_type_k", TEXT, cache_k), M("cache_type_v", TEXT, cache_v),
    {0},
};
/* clang-format on */

static json_t *list_json(const struct flag_list *l) {
    json_t *list = json_array();
    for (int i = 0; i < l->n; i++) json_array_append_new(list, json_string(l->values[i]));
    return list;
}

/* What differs from `usual`. */
static json_t *rows_json(const struct row *rows, const void *options, const void *usual) {
    json_t *to = json_object();
    for (const struct row *x = rows; x->name; x++) {
        const void *at = (const char *)options + x->at, *was = (const char *)usual + x->at;
        const char *text;
        switch (x->kind) {
        case TEXT:
            if ((text = *(const char *const *)at)) json_object_set_new(to, x->name, json_string(text));
            break;
        case INT:
            if (*(const int64_t *)at != *(const int64_t *)was)
                json_object_set_new(to, x->name, json_integer(*(const int64_t *)at));
            break;
        case REAL:
            if (*(const double *)at != *(const double *)was)
                json_object_set_new(to, x->name, json_real(*(const double *)at));
            break;
        case YES:
            if (*(const bool *)at) json_object_set_new(to, x->name, json_true());
            break;
        case LIST:
            if (((const struct flag_list *)at)->n) json_object_set_new(to, x->name, list_json(at));
            break;
        }
    }
    return to;
}

json_t *tree_search_json(const struct search_options *o) {
    const struct search_options usual = SEARCH_OPTIONS;
    json_t *to = rows_json(search_rows, o, &usual), *settings = json_object();
    for (int i = 0; i < o->settings.n; i++)
        json_object_set_new(settings, o->settings.items[i].flag, json_string(o->settings.items[i].text));
    if (o->settings.n) json_object_set(to, "parameters", settings);
    json_decref(settings);
    return to;
}

json_t *tree_session_json(const struct session_options *o) {
    const struct session_options usual = {.ctx = -1};
    return rows_json(session_rows, o, &usual);
}

static enum status wrong(const struct saved_tree *f, const char *where, const char *name, const char *allowed,
                         struct error *e) {
    return error_set(e, ERR_INPUT, "%s:1: \"%s\".\"%.60s\": %s is allowed", f->path, where, name, allowed);
}

static enum status read_list(const struct saved_tree *f, const char *where, const char *name, const json_t *v,
                             struct flag_list *to, struct error *e) {
    if (!json_is_array(v) || json_array_size(v) > FLAG_LIST_CAP) return wrong(f, where, name, "a list of texts", e);
    for (size_t i = 0; i < json_array_size(v); i++)
        if (!(to->values[to->n++] = json_string_value(json_array_get(v, i))))
            return wrong(f, where, name, "a list of texts", e);
    return OK;
}

static enum status read_row(const struct saved_tree *f, const char *where, const struct row *x, const json_t *v,
                            void *options, struct error *e) {
    void *at = (char *)options + x->at;
    switch (x->kind) {
    case TEXT:
        if (!json_is_string(v)) return wrong(f, where, x->name, "a text", e);
        *(const char **)at = json_string_value(v);
        break;
    case INT:
        if (!json_is_integer(v)) return wrong(f, where, x->name, "a whole number", e);
        *(int64_t *)at = json_integer_value(v);
        break;
    case REAL:
        if (!json_is_number(v)) return wrong(f, where, x->name, "a number", e);
        *(double *)at = json_number_value(v);
        break;
    case YES:
        if (!json_is_boolean(v)) return wrong(f, where, x->name, "true or false", e);
        *(bool *)at = json_is_true(v);
        break;
    case LIST: return read_list(f, where, x->name, v, at, e);
    }
    return OK;
}

static enum status read_parameters(const struct saved_tree *f, const json_t *from, struct tree_options *to,
                                   struct error *e) {
    struct settings *settings = &to->search.settings;
    const char *name;
    json_t *v;
    if (!json_is_object(from)) return wrong(f, "options", "parameters", "an object of texts", e);
    json_object_foreach((json_t *)from, name, v) {
        if (!json_is_string(v) || settings->n == SETTINGS_CAP || strlen(name) >= sizeof to->names[0])
            return wrong(f, "parameters", name, "a text", e);
        snprintf(to->names[settings->n], sizeof to->names[0], "%s", name);
        settings->items[settings->n].flag = to->names[settings->n];
        settings->items[settings->n++].text = json_string_value(v);
    }
    return OK;
}

static enum status read_rows(const struct saved_tree *f, const char *where, const struct row *rows, void *options,
                             struct tree_options *to, struct error *e) {
    const char *name;
    json_t *v;
    enum status s = OK;
    json_object_foreach(json_object_get(f->header, where), name, v) {
        const struct row *x = rows;
        while (x->name && strcmp(x->name, name)) x++;
        if (x->name) s = read_row(f, where, x, v, options, e);
        else if (rows == search_rows && !strcmp(name, "parameters")) s = read_parameters(f, v, to, e);
        else s = error_set(e, ERR_INPUT, "%s:1: \"%s\": \"%.60s\" is not known", f->path, where, name);
        if (s) return s;
    }
    return OK;
}

enum status tree_options_read(const struct saved_tree *f, struct tree_options *to, struct error *e) {
    *to =
        (struct tree_options){.search = SEARCH_OPTIONS,
                              .session = {.model = "embedded", .ctx = -1, .kv_mb = 1024, .batch = 2048, .ubatch = 512}};
    enum status s = read_rows(f, "options", search_rows, &to->search, to, e);
    if (!s) s = read_rows(f, "session", session_rows, &to->session, to, e);
    if (!s && to->search.seed < 0) s = wrong(f, "options", "seed", "a whole number from 0 on", e);
    to->search.task = tree_header_text(f, "task"), to->search.search = tree_header_text(f, "strategy");
    return s;
}

enum status tree_solver(const struct saved_tree *f, const struct tree_options *o, struct solver *s, struct problem *p,
                        struct error *e) {
    const struct task *task = task_find(o->search.task);
    struct error why;
    enum status st = solver_setup(s, task, &o->search, &why);
    if (!st) st = solver_parse(task, tree_header_text(f, "problem"), p, &why);
    if (st) return error_set(e, st, "%s:1: %s", f->path, why.text);
    return OK;
}
