/* jinja_filter.c: the tables of filters and tests, and those on single values.
 * Not filters on sequences: jinja_list.c.
 * Next: jinja_list.c. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tokenizer/template/jinja_internal.h"

/* ---- text ---- */

static struct jval filter_string(struct jrun *r, struct jval v, const struct jargs *a) {
    (void)a;
    return jval_string(jval_text(&r->w, v));
}

static struct jval filter_trim(struct jrun *r, struct jval v, const struct jargs *a) {
    struct jval set = jargs_get(a, 0, "chars");
    return jval_string(jstr_strip(jval_text(&r->w, v), set.type == J_STRING ? &set.s : NULL, STRIP_LEFT | STRIP_RIGHT));
}

static struct jval filter_upper(struct jrun *r, struct jval v, const struct jargs *a) {
    (void)a;
    return jstr_case(&r->w, jval_text(&r->w, v), 'u');
}
static struct jval filter_lower(struct jrun *r, struct jval v, const struct jargs *a) {
    (void)a;
    return jstr_case(&r->w, jval_text(&r->w, v), 'l');
}
/* Unlike the method, which begins a word behind everything that is no letter: "don't" is "Don't". */
static struct jval filter_title(struct jrun *r, struct jval v, const struct jargs *a) {
    (void)a;
    return jstr_case(&r->w, jval_text(&r->w, v), 'w');
}
static struct jval filter_capitalize(struct jrun *r, struct jval v, const struct jargs *a) {
    (void)a;
    return jstr_case(&r->w, jval_text(&r->w, v), 'c');
}

static struct jval filter_replace(struct jrun *r, struct jval v, const struct jargs *a) {
    struct jval most = jargs_get(a, 2, "count");
    return jstr_replace(&r->w, jval_text(&r->w, v), jval_text(&r->w, jargs_get(a, 0, "old")),
                        jval_text(&r->w, jargs_get(a, 1, "new")), most.type == J_INT ? most.i : -1);
}

/* indent(width=4, first=false, blank=false): blanks before each line but the first and the empty ones. */
static struct jval filter_indent(struct jrun *r, struct jval v, const struct jargs *a) {
    struct jval width = jargs_get(a, 0, "width");
    bool first = jval_true(jargs_get(a, 1, "first")), blank = jval_true(jargs_get(a, 2, "blank"));
    struct jstr s = jval_text(&r->w, v);
    struct jstr pad = {0};
    struct jbuf b = {0}, blanks = {0};
    for (int64_t i = width.type == J_INT ? width.i : 4; i > 0 && jwork_step(&r->w, 0); i--)
        jbuf_text(&r->w, &blanks, " ");
    pad = width.type == J_STRING ? width.s : jbuf_value(&blanks).s;
    for (size_t from = 0, line = 0; from <= s.size && jwork_step(&r->w, 0); line++) {
        size_t to = jstr_find(&r->w, s, jstr_of("\n"), from), end = to == SIZE_MAX ? s.size : to;
        if (line ? end > from || blank : first) jbuf_add(&r->w, &b, pad);
        jbuf_add(&r->w, &b, jstr_slice(s, from, to == SIZE_MAX ? end : end + 1));
        from = end + 1;
    }
    return jbuf_value(&b);
}

/* ---- JSON ---- */

static struct jval filter_tojson(struct jrun *r, struct jval v, const struct jargs *a) {
    struct jval indent = jargs_get(a, 0, "indent"), ascii = jargs_get(a, 9, "ensure_ascii"),
                sort = jargs_get(a, 9, "sort_keys"), separators = jargs_get(a, 9, "separators");
    struct json_style s = {.indent =
                               indent.type == J_INT && indent.i >= 0 ? (int)(indent.i < 1000 ? indent.i : 1000) : -1,
                           .ascii = jval_true(ascii),
                           .sort_keys = jval_true(sort),
                           .key_separator = jstr_of(": ")};
    s.item_separator = jstr_of(s.indent < 0 ? ", " : ",");
    if (separators.type == J_LIST && separators.list->n == 2)
        s.item_separator = jval_text(&r->w, separators.list->at[0]),
        s.key_separator = jval_text(&r->w, separators.list->at[1]);
    struct jbuf b = {0};
    jbuf_json(&r->w, &b, v, &s);
    return jbuf_value(&b);
}

static struct jval filter_from_json(struct jrun *r, struct jval v, const struct jargs *a) {
    (void)a;
    struct jstr s = jval_text(&r->w, v);
    json_error_t error;
    json_t *j = jwork_step(&r->w, s.size) ? json_loadb(s.text, s.size, JSON_DECODE_ANY | JSON_ALLOW_NUL, &error) : NULL;
    struct jval out = jval_undefined();
    if (j) out = jval_of_json(&r->w, j, s.plain != NULL);
    else jwork_fail(&r->w, ERR_INPUT, "from_json: %s", error.text);
    json_decref(j);
    return out;
}

/* ---- numbers ---- */

static struct jval filter_int(struct jrun *r, struct jval v, const struct jargs *a) {
    struct jval fallback = jargs_get(a, 0, "default");
    if (v.type == J_INT) return v;
    double x = jval_number(v);
    if (v.type == J_STRING) {
        char text[64] = "", *end;
        struct jstr s = jstr_strip(v.s, NULL, STRIP_LEFT | STRIP_RIGHT);
        if (s.size && s.size < sizeof text) memcpy(text, s.text, s.size);
        x = strtod(text, &end);
        if (end == text || *end) x = NAN;
    } else if (!jval_is_number(v)) {
        x = NAN;
    }
    (void)r;
    if (x >= -9e18 && x <= 9e18) return jval_int((int64_t)x);
    return fallback.type == J_UNDEFINED ? jval_int(0) : fallback;
}

static struct jval filter_float(struct jrun *r, struct jval v, const struct jargs *a) {
    char text[64] = "", *end;
    struct jstr s = jval_text(&r->w, v);
    if (jval_is_number(v)) return jval_real(jval_number(v));
    if (s.size && s.size < sizeof text) memcpy(text, s.text, s.size);
    double x = strtod(text, &end);
    struct jval fallback = jargs_get(a, 0, "default");
    if (end != text && !*end) return jval_real(x);
    return fallback.type == J_UNDEFINED ? jval_real(0) : fallback;
}

static struct jval filter_abs(struct jrun *r, struct jval v, const struct jargs *a) {
    (void)a;
    if (v.type == J_INT && v.i != INT64_MIN) return jval_int(v.i < 0 ? -v.i : v.i);
    if (jval_is_number(v)) return jval_real(fabs(jval_number(v)));
    jwork_fail(&r->w, ERR_INPUT, "abs: wants a number, found %s", jval_kind(v));
    return v;
}

static struct jval filter_round(struct jrun *r, struct jval v, const struct jargs *a) {
    struct jval digits = jargs_get(a, 0, "precision"), how = jargs_get(a, 1, "method");
    if (!jval_is_number(v)) {
        jwork_fail(&r->w, ERR_INPUT, "round: wants a number, found %s", jval_kind(v));
        return v;
    }
    double scale = pow(10, digits.type == J_INT ? (double)digits.i : 0), x = jval_number(v) * scale;
    bool up = how.type == J_STRING && jstr_is(how.s, "ceil"), down = how.type == J_STRING && jstr_is(how.s, "floor");
    x = up ? ceil(x) : down ? floor(x) : nearbyint(x);
    return jval_real(scale > 0 && isfinite(scale) ? x / scale : jval_number(v));
}

/* ---- any value ---- */

static struct jval filter_default(struct jrun *r, struct jval v, const struct jargs *a) {
    (void)r;
    bool also_false = jval_true(jargs_get(a, 1, "boolean"));
    if (v.type != J_UNDEFINED && !(also_false && !jval_true(v))) return v;
    struct jval fallback = jargs_get(a, 0, "default_value");
    return fallback.type == J_UNDEFINED ? jval_string(jstr_of("")) : fallback;
}

static struct jval filter_length(struct jrun *r, struct jval v, const struct jargs *a) {
    (void)a;
    if (v.type == J_STRING) return jwork_step(&r->w, v.s.size), jval_int((int64_t)jstr_length(v.s));
    if (v.type == J_LIST) return jval_int((int64_t)v.list->n);
    if (v.type == J_DICT) return jval_int((int64_t)v.dict->n);
    if (v.type != J_UNDEFINED) jwork_fail(&r->w, ERR_INPUT, "%s has no length", jval_kind(v));
    return jval_int(0);
}

static struct jval filter_items(struct jrun *r, struct jval v, const struct jargs *a) {
    struct jval out = jval_undefined();
    if (v.type == J_UNDEFINED) return jlist_new(&r->w, 0);
    if (v.type != J_DICT || !jval_method(r, v, jstr_of("items"), a, &out))
        jwork_fail(&r->w, ERR_INPUT, "items: wants a dict, found %s", jval_kind(v));
    return out;
}

static struct jval filter_safe(struct jrun *r, struct jval v, const struct jargs *a) {
    (void)r, (void)a;
    return v;
}

static const struct {
    const char *name;
    jfilter_fn *apply;
} filters[] = {
    {"abs", filter_abs},
    {"capitalize", filter_capitalize},
    {"count", filter_length},
    {"d", filter_default},
    {"default", filter_default},
    {"dictsort", jfilter_dictsort},
    {"first", jfilter_first},
    {"float", filter_float},
    {"from_json", filter_from_json},
    {"indent", filter_indent},
    {"int", filter_int},
    {"items", filter_items},
    {"join", jfilter_join},
    {"last", jfilter_last},
    {"length", filter_length},
    {"list", jfilter_list},
    {"lower", filter_lower},
    {"map", jfilter_map},
    {"max", jfilter_max},
    {"min", jfilter_min},
    {"reject", jfilter_reject},
    {"rejectattr", jfilter_rejectattr},
    {"replace", filter_replace},
    {"reverse", jfilter_reverse},
    {"round", filter_round},
    {"safe", filter_safe},
    {"select", jfilter_select},
    {"selectattr", jfilter_selectattr},
    {"sort", jfilter_sort},
    {"string", filter_string},
    {"sum", jfilter_sum},
    {"title", filter_title},
    {"tojson", filter_tojson},
    {"trim", filter_trim},
    {"unique", jfilter_unique},
    {"upper", filter_upper},
};
enum { N_FILTERS = sizeof filters / sizeof *filters };

int jfilter_find(struct jstr name) {
    for (int i = 0; i < N_FILTERS; i++)
        if (jstr_is(name, filters[i].name)) return i;
    return -1;
}

struct jval jfilter_apply(struct jrun *r, int filter, struct jval v, const struct jargs *a) {
    struct jval out = jval_undefined();
    if (jwork_enter(&r->w) && jwork_step(&r->w, 0)) out = filters[filter].apply(r, v, a);
    r->w.depth--;
    return r->w.status ? jval_undefined() : out;
}

/* ---- tests ---- */

enum test {
    TEST_DEFINED,
    TEST_UNDEFINED,
    TEST_NONE,
    TEST_STRING,
    TEST_NUMBER,
    TEST_INTEGER,
    TEST_FLOAT,
    TEST_BOOLEAN,
    TEST_TRUE,
    TEST_FALSE,
    TEST_MAPPING,
    TEST_SEQUENCE,
    TEST_ITERABLE,
    TEST_CALLABLE,
    TEST_EQUAL,
    TEST_NOT_EQUAL,
    TEST_LESS,
    TEST_GREATER,
    TEST_IN,
    TEST_ODD,
    TEST_EVEN,
    TEST_DIVISIBLE,
    TEST_LOWER,
    TEST_UPPER
};

static const struct {
    const char *name;
    enum test test;
} tests[] = {
    {"defined", TEST_DEFINED},
    {"undefined", TEST_UNDEFINED},
    {"none", TEST_NONE},
    {"None", TEST_NONE},
    {"string", TEST_STRING},
    {"number", TEST_NUMBER},
    {"integer", TEST_INTEGER},
    {"float", TEST_FLOAT},
    {"boolean", TEST_BOOLEAN},
    {"true", TEST_TRUE},
    {"false", TEST_FALSE},
    {"True", TEST_TRUE},
    {"False", TEST_FALSE},
    {"mapping", TEST_MAPPING},
    {"sequence", TEST_SEQUENCE},
    {"iterable", TEST_ITERABLE},
    {"callable", TEST_CALLABLE},
    {"equalto", TEST_EQUAL},
    {"eq", TEST_EQUAL},
    {"ne", TEST_NOT_EQUAL},
    {"lt", TEST_LESS},
    {"gt", TEST_GREATER},
    {"in", TEST_IN},
    {"odd", TEST_ODD},
    {"even", TEST_EVEN},
    {"divisibleby", TEST_DIVISIBLE},
    {"lower", TEST_LOWER},
    {"upper", TEST_UPPER},
};
enum { N_TESTS = sizeof tests / sizeof *tests };

int jtest_find(struct jstr name) {
    for (int i = 0; i < N_TESTS; i++)
        if (jstr_is(name, tests[i].name)) return i;
    return -1;
}

static bool has_case(struct jval v, char from, char to) {
    bool any = false;
    for (size_t i = 0; v.type == J_STRING && i < v.s.size; i++) {
        char c = v.s.text[i];
        if (c >= from && c <= to) any = true;
        else if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')) return false;
    }
    return any;
}

static bool is_in(struct jrun *r, struct jval v, struct jval in) {
    if (in.type == J_STRING && v.type == J_STRING) return jstr_find(&r->w, in.s, v.s, 0) != SIZE_MAX;
    const struct jlist *items = jval_items(&r->w, in);
    for (size_t i = 0; items && i < items->n && jwork_step(&r->w, 0); i++)
        if (jval_same(&r->w, items->at[i], v)) return true;
    return false;
}

static int64_t remainder_of(struct jrun *r, struct jval v, struct jval by) {
    if (v.type == J_INT && by.type == J_INT && by.i) return by.i == -1 ? 0 : v.i % by.i;
    jwork_fail(&r->w, ERR_INPUT, "odd, even, divisibleby: want whole numbers, not 0");
    return 1;
}

bool jtest_apply(struct jrun *r, int row, struct jval v, const struct jargs *a) {
    struct jval other = jargs_get(a, 0, NULL);
    enum jtype t = v.type;
    if (!jwork_step(&r->w, 0)) return false;
    switch (tests[row].test) {
    case TEST_DEFINED: return t != J_UNDEFINED;
    case TEST_UNDEFINED: return t == J_UNDEFINED;
    case TEST_NONE: return t == J_NONE;
    case TEST_STRING: return t == J_STRING;
    case TEST_NUMBER: return jval_is_number(v);
    case TEST_INTEGER: return t == J_INT;
    case TEST_FLOAT: return t == J_REAL;
    case TEST_BOOLEAN: return t == J_BOOL;
    case TEST_TRUE: return t == J_BOOL && v.yes;
    case TEST_FALSE: return t == J_BOOL && !v.yes;
    case TEST_MAPPING: return t == J_DICT;
    case TEST_SEQUENCE: return t == J_STRING || t == J_LIST || t == J_DICT;
    case TEST_ITERABLE: return t == J_STRING || t == J_LIST || t == J_DICT || t == J_UNDEFINED;
    case TEST_CALLABLE: return t == J_MACRO || t == J_FUNCTION;
    case TEST_EQUAL: return jval_same(&r->w, v, other);
    case TEST_NOT_EQUAL: return !jval_same(&r->w, v, other);
    case TEST_LESS: return jval_order(&r->w, v, other, false) < 0;
    case TEST_GREATER: return jval_order(&r->w, v, other, false) > 0;
    case TEST_IN: return is_in(r, v, other);
    case TEST_ODD: return remainder_of(r, v, jval_int(2)) != 0;
    case TEST_EVEN: return remainder_of(r, v, jval_int(2)) == 0;
    case TEST_DIVISIBLE: return remainder_of(r, v, other) == 0;
    case TEST_LOWER: return has_case(v, 'a', 'z');
    case TEST_UPPER: return has_case(v, 'A', 'Z');
    }
    return false;
}
