/* strategy.c: the table of strategies, and their parameters as numbers and as text.
 * Not the strategies: each has a file of its own.
 * Next: search/budget.c, where a run begins and ends. */
#include "search/strategy.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* In the order of `ponder strategies`. */
#define STRATEGIES                                                                                                     \
    X(greedy) X(bon) X(weighted) X(maj) X(beam) X(blocks) X(tot_bfs) X(tot_dfs) X(dvts) X(rebase) X(particle) X(gibbs) \
    X(reject) X(draft) X(mcts) X(abmcts) X(tokenbeam) X(refine) X(judge) \
    X(think) X(decompose) X(adaptive)

#define X(name) extern const struct strategy strategy_##name;
STRATEGIES
#undef X

#define X(name) &strategy_##name,
const struct strategy *const strategy_table[] = {STRATEGIES NULL};
#undef X

const struct strategy *strategy_find(const char *name) {
    for (const struct strategy *const *s = strategy_table; *s; s++)
        if (!strcmp((*s)->name, name)) return *s;
    return NULL;
}

static void add_name(char *text, size_t cap, const char *name) {
    size_t n = strlen(text);
    snprintf(text + n, cap - n, "%s%s", n ? ", " : "", name);
}

const char *strategy_names(char *text, size_t cap) {
    *text = 0;
    for (const struct strategy *const *s = strategy_table; *s; s++) add_name(text, cap, (*s)->name);
    return text;
}

unsigned strategy_needs(const struct strategy *s, const void *params) {
    return s->needs | (s->needs_too ? s->needs_too(params) : 0);
}

void strategy_defaults(const struct strategy *s, bool words, struct params *p) {
    const void *from = words && s->defaults_for_words ? s->defaults_for_words : s->defaults;
    assert(s->size <= sizeof p->bytes);
    *p = (struct params){0};
    if (from) memcpy(p->bytes, from, s->size);
}

const struct param *strategy_param(const struct strategy *s, const char *flag, size_t size) {
    for (const struct param *p = s->params; p && p->flag; p++)
        if (strlen(p->flag) == size && !memcmp(p->flag, flag, size)) return p;
    return NULL;
}

/* The words of "a|b|c": word number i, its size; NULL behind the last. */
static const char *choice_at(const char *choices, uint32_t i, size_t *size) {
    while (i-- && choices) choices = strchr(choices, '|') ? strchr(choices, '|') + 1 : NULL;
    *size = choices ? strcspn(choices, "|") : 0;
    return choices;
}

static bool find_choice(const struct param *p, const char *text, uint32_t *at) {
    size_t size;
    const char *word;
    for (*at = 0; (word = choice_at(p->choices, *at, &size)); ++*at)
        if (strlen(text) == size && !memcmp(word, text, size)) return true;
    return false;
}

const char *param_range(const struct param *p, char *text, size_t cap) {
    if (p->kind == PARAM_CHOICE) snprintf(text, cap, "%s", p->choices);
    else if (p->kind == PARAM_YES) snprintf(text, cap, "yes or no");
    else if (isinf(p->high)) snprintf(text, cap, "%g or more", p->low);
    else snprintf(text, cap, p->kind == PARAM_COUNT ? "%.0f to %.0f" : "%g to %g", p->low, p->high);
    return text;
}

static enum status out_of_range(const struct param *p, const char *text, struct error *e) {
    char range[96];
    const char *what = p->kind == PARAM_COUNT ? "a whole number from " : p->kind == PARAM_REAL ? "a number from " : "";
    return error_set(e, ERR_INPUT, "--%s: \"%.60s\" is %s %s%s", p->flag, text,
                     p->kind == PARAM_CHOICE ? "none of" : "not", what, param_range(p, range, sizeof range));
}

enum status param_set(const struct param *p, struct params *to, const char *text, struct error *e) {
    void *field = to->bytes + p->offset;
    char *end;
    uint32_t at;
    double v = strtod(text, &end);
    bool number = end != text && !*end && v >= p->low && v <= p->high;
    switch (p->kind) {
    case PARAM_COUNT:
        if (!number || v != floor(v)) return out_of_range(p, text, e);
        *(uint32_t *)field = (uint32_t)v;
        return OK;
    case PARAM_REAL:
        if (!number) return out_of_range(p, text, e);
        *(float *)field = (float)v;
        return OK;
    case PARAM_CHOICE:
        if (!find_choice(p, text, &at)) return out_of_range(p, text, e);
        *(uint32_t *)field = at;
        return OK;
    case PARAM_YES:
        if (strcmp(text, "yes") && strcmp(text, "no")) return out_of_range(p, text, e);
        *(bool *)field = *text == 'y';
        return OK;
    }
    return OK;
}

double param_get(const struct param *p, const void *params) {
    const unsigned char *field = (const unsigned char *)params + p->offset;
    if (p->kind == PARAM_REAL) return (double)*(const float *)field;
    return p->kind == PARAM_YES ? *(const bool *)field : *(const uint32_t *)field;
}

const char *param_text(const struct param *p, const void *params, char *text, size_t cap) {
    double v = param_get(p, params);
    size_t size = 0;
    const char *word = p->kind == PARAM_CHOICE ? choice_at(p->choices, (uint32_t)v, &size) : NULL;
    if (p->kind == PARAM_CHOICE) snprintf(text, cap, "%.*s", (int)size, word ? word : "");
    else if (p->kind == PARAM_YES) snprintf(text, cap, "%s", v ? "yes" : "no");
    else snprintf(text, cap, "%g", v);
    return text;
}

const char *strategy_owners(const char *flag, char *text, size_t cap) {
    *text = 0;
    for (const struct strategy *const *s = strategy_table; *s; s++)
        if (strategy_param(*s, flag, strlen(flag))) add_name(text, cap, (*s)->name);
    return text;
}

enum status strategy_set(const struct strategy *s, const struct settings *from, struct params *to, struct error *e) {
    char owners[256];
    for (int i = 0; i < from->n; i++) {
        const char *flag = from->items[i].flag;
        const struct param *p = strategy_param(s, flag, strlen(flag));
        if (!p && !*strategy_owners(flag, owners, sizeof owners))
            return error_set(e, ERR_INPUT, "--%.60s: no strategy has a parameter of this name", flag);
        if (!p)
            return error_set(e, ERR_INPUT, "--%s: --search %s does not use it; those that do: %s", flag, s->name,
                             owners);
        enum status st = param_set(p, to, from->items[i].text, e);
        if (st) return st;
    }
    return OK;
}
