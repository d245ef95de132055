/* cmd_strategies.c: the strategies as their rows describe them, for people and as JSON (help pages, completion, other programs).
 * Not a search: cmd_solve.c.
 * Next: search/strategy.c, the table. */
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "cli/command.h"
#include "cli/search_flags.h"
#include "solve/report.h"

struct options {
    bool json;
};

static const struct flag flags[] = {
    {"json", NULL, FLAG_YES, offsetof(struct options, json), NULL, 0, 0, NULL, "as JSON on stdout"},
    {0},
};

/* With its defaults. */
static unsigned needs_of(const struct strategy *s) {
    struct params p;
    strategy_defaults(s, false, &p);
    return strategy_needs(s, p.bytes);
}

/* The n-th ability that it needs, in words; NULL behind the last. */
static const char *need_at(const struct strategy *s, unsigned n) {
    for (unsigned bit = 1; bit && bit <= CAN_ALL; bit <<= 1) {
        struct evaluator none = {.can = ~bit};
        if ((needs_of(s) & bit) && !n--) return evaluator_lacks(&none, bit);
    }
    return NULL;
}

static json_t *value_json(const struct param *p, const struct params *at) {
    char text[64];
    double v = param_get(p, at->bytes);
    if (p->kind == PARAM_CHOICE) return json_string(param_text(p, at->bytes, text, sizeof text));
    if (p->kind == PARAM_YES) return json_boolean(v != 0);
    return p->kind == PARAM_COUNT ? json_integer((json_int_t)v) : json_real(v);
}

static json_t *param_json(const struct strategy *s, const struct param *p) {
    static const char *const kinds[] = {"count", "real", "choice", "yes"};
    struct params puzzles, words;
    strategy_defaults(s, false, &puzzles), strategy_defaults(s, true, &words);
    json_t *j = json_pack("{s:s,s:s,s:s}", "flag", p->flag, "summary", p->summary, "kind", kinds[p->kind]);
    json_object_set_new(j, "default", value_json(p, &puzzles));
    json_object_set_new(j, "default_words", value_json(p, &words));
    if (p->kind == PARAM_CHOICE) json_object_set_new(j, "choices", json_string(p->choices));
    if (p->kind == PARAM_COUNT || p->kind == PARAM_REAL) {
        json_object_set_new(j, "low", json_real(p->low));
        json_object_set_new(j, "high", json_real(p->high));
    }
    return j;
}

static json_t *strategy_json(const struct strategy *s) {
    json_t *needs = json_array(), *params = json_array();
    const char *need;
    for (unsigned i = 0; (need = need_at(s, i)); i++) json_array_append_new(needs, json_string(need));
    for (const struct param *p = s->params; p && p->flag; p++) json_array_append_new(params, param_json(s, p));
    return json_pack("{s:s,s:s,s:s,s:o,s:b,s:b,s:{s:s,s:i,s:i},s:o}", "name", s->name, "summary", s->summary, "source",
                     s->source, "needs", needs, "uses_temp", !(s->without & WITHOUT_TEMPERATURE), "uses_budget",
                     !(s->without & WITHOUT_BUDGET), "budget", "counts", s->unit, "default", (int)s->simulations[0],
                     "default_words", (int)s->simulations[1], "params", params);
}

static void print_param(const struct strategy *s, const struct param *p) {
    struct params puzzles, words;
    char range[96], a[64], b[64], form[80];
    strategy_defaults(s, false, &puzzles), strategy_defaults(s, true, &words);
    param_text(p, puzzles.bytes, a, sizeof a), param_text(p, words.bytes, b, sizeof b);
    snprintf(form, sizeof form, "--%s %s", p->flag, a);
    printf("  %-22s %s (%s%s%s)\n", form, p->summary, param_range(p, range, sizeof range),
           strcmp(a, b) ? "; in words: " : "", strcmp(a, b) ? b : "");
}

static void print_strategy(const struct strategy *s) {
    const char *need;
    printf("%s: %s\n  source: %s\n  needs: ", s->name, s->summary, s->source);
    for (unsigned i = 0; (need = need_at(s, i)); i++) printf("%s%s", i ? ", " : "", need);
    printf("%s\n", needs_of(s) ? "" : "nothing");
    if (!(s->without & WITHOUT_BUDGET))
        printf("  --budget %-13u %s (for problems in words: %u)\n", s->simulations[0], s->unit, s->simulations[1]);
    for (const struct param *p = s->params; p && p->flag; p++) print_param(s, p);
}

static void print_all(bool json, const struct strategy *only) {
    json_t *list = json_array();
    for (const struct strategy *const *s = strategy_table; *s; s++) {
        if (only && only != *s) continue;
        if (json) json_array_append_new(list, strategy_json(*s));
        else if (only) print_strategy(*s);
        else printf("%-10s %s\n", (*s)->name, (*s)->summary);
    }
    if (json) json_dumpf(list, stdout, REPORT_JSON), putchar('\n');
    else if (!only) printf("\nponder strategies NAME shows what one needs and its parameters, with their defaults.\n");
    json_decref(list);
}

int cmd_strategies(int argc, char **argv) {
    struct options o = {0};
    struct args a = {.command = "strategies",
                     .usage = "[NAME]",
                     .flags = flags,
                     .options = &o,
                     .about = "Lists the search strategies; with NAME, what one needs and its parameters.\n"};
    char names[512];
    int code = args_parse(&a, argc, argv);
    if (code != ARGS_GO_ON) return code;
    if (a.n_rest > 1) return args_wrong(&a, "unexpected \"%.60s\"; one name at a time", a.rest[1]);
    const struct strategy *only = a.n_rest ? strategy_find(a.rest[0]) : NULL;
    if (a.n_rest && !only)
        return args_wrong(&a, "\"%.60s\" is none of %s", a.rest[0], strategy_names(names, sizeof names));
    print_all(o.json, only);
    return EXIT_GOOD;
}
