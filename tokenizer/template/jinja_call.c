/* jinja_call.c: arguments and calls: methods, macros and the global functions.
 * Not the methods themselves: jinja_method.c.
 * Next: jinja_method.c, jinja_filter.c. */
#include <string.h>
#include <time.h>

#include "tokenizer/template/jinja_internal.h"

struct jargs jargs_evaluate(struct jrun *r, const struct jnode *args) {
    struct jargs a = {0};
    size_t n = 0;
    for (const struct jnode *x = args; x; x = x->next) n++;
    if (!n) return a;
    a.at = jwork_new(&r->w, n, sizeof *a.at);
    a.name = jwork_new(&r->w, n, sizeof *a.name);
    for (; args && a.at && a.name && !r->w.status; args = args->next, a.n++) {
        if (args->kind == N_BLOCK) a.name[a.n] = args->name;
        a.at[a.n] = jval_evaluate(r, args);
    }
    return a;
}

struct jval jargs_get(const struct jargs *a, size_t i, const char *name) {
    if (i < a->n && !a->name[i].size) return a->at[i];
    for (size_t k = 0; name && k < a->n; k++)
        if (a->name[k].size && jstr_is(a->name[k], name)) return a->at[k];
    return jval_undefined();
}

struct jargs jargs_from(const struct jargs *a, size_t i) {
    if (i >= a->n) return (struct jargs){0};
    return (struct jargs){a->at + i, a->name + i, a->n - i};
}

/* ---- global functions ---- */

static struct jval function_namespace(struct jrun *r, const struct jargs *a) {
    struct jval v = jdict_new(&r->w);
    for (size_t i = 0; i < a->n && v.type == J_DICT; i++) {
        if (a->name[i].size) jdict_set(&r->w, v.dict, jval_string(a->name[i]), a->at[i]);
        else if (a->at[i].type == J_DICT)
            for (size_t k = 0; k < a->at[i].dict->n && jwork_step(&r->w, 0); k++)
                jdict_set(&r->w, v.dict, a->at[i].dict->at[k].key, a->at[i].dict->at[k].value);
    }
    return v;
}

static struct jval call_namespace(struct jrun *r, const struct jargs *a) {
    struct jval v = function_namespace(r, a);
    if (v.type == J_DICT) v.dict->is_namespace = true;
    return v;
}

static struct jval call_raise(struct jrun *r, const struct jargs *a) {
    struct jstr text = jval_text(&r->w, jargs_get(a, 0, "message"));
    r->w.raised = r->w.status == OK;
    jwork_fail(&r->w, ERR_INPUT, "the template refuses: %.*s", (int)(text.size < 300 ? text.size : 300), text.text);
    return jval_undefined();
}

static struct jval call_range(struct jrun *r, const struct jargs *a) {
    int64_t v[3] = {0, 0, 1};
    for (size_t i = 0; i < a->n; i++) {
        if (i >= 3 || (a->at[i].type != J_INT && a->at[i].type != J_BOOL)) {
            jwork_fail(&r->w, ERR_INPUT, "range: wants 1 to 3 whole numbers");
            return jval_undefined();
        }
        v[i] = a->at[i].type == J_INT ? a->at[i].i : a->at[i].yes;
    }
    if (a->n == 1) v[1] = v[0], v[0] = 0;
    if (a->n == 0 || v[2] == 0) {
        jwork_fail(&r->w, ERR_INPUT, "range: %s", a->n ? "the step must not be 0" : "wants 1 to 3 whole numbers");
        return jval_undefined();
    }
    struct jval out = jlist_new(&r->w, 4);
    for (int64_t i = v[0]; out.type == J_LIST && (v[2] > 0 ? i < v[1] : i > v[1]) && jwork_step(&r->w, 0);) {
        if (out.list->n >= r->w.limits.range)
            jwork_fail(&r->w, ERR_INPUT, "range: more than %u numbers", r->w.limits.range);
        jlist_add(&r->w, out.list, jval_int(i));
        if (__builtin_add_overflow(i, v[2], &i)) break;
    }
    return out;
}

static struct jval call_strftime(struct jrun *r, const struct jargs *a) {
    struct jval format = jargs_get(a, 0, "format");
    char pattern[128], text[512];
    uint8_t marks[sizeof text];
    struct tm tm;
    time_t now = (time_t)r->now;
    struct jbuf b = {0};
    if (format.type != J_STRING || format.s.size >= sizeof pattern || !localtime_r(&now, &tm)) {
        jwork_fail(&r->w, ERR_INPUT, "strftime_now: wants a format of at most %zu bytes", sizeof pattern - 1);
        return jval_undefined();
    }
    if (format.s.size) memcpy(pattern, format.s.text, format.s.size);
    pattern[format.s.size] = 0;
    size_t n = strftime(text, sizeof text, pattern, &tm);
    memset(marks, format.s.plain != NULL, sizeof marks);
    jbuf_add(&r->w, &b, (struct jstr){text, marks, n});
    return jbuf_value(&b);
}

static const struct {
    const char *name;
    struct jval (*call)(struct jrun *r, const struct jargs *a);
} functions[] = {
    {"namespace", call_namespace},   {"raise_exception", call_raise}, {"range", call_range},
    {"strftime_now", call_strftime}, {"dict", function_namespace},
};
enum { N_FUNCTIONS = sizeof functions / sizeof *functions };

bool jfunction_find(struct jstr name, struct jval *out) {
    for (int i = 0; i < N_FUNCTIONS; i++)
        if (jstr_is(name, functions[i].name)) {
            *out = (struct jval){.type = J_FUNCTION, .function = i};
            return true;
        }
    return false;
}

/* ---- calls ---- */

static struct jval call_value(struct jrun *r, struct jval f, struct jstr name, const struct jargs *a) {
    if (f.type == J_FUNCTION) return functions[f.function].call(r, a);
    if (f.type == J_MACRO) return jval_call_macro(r, f.macro, a);
    jwork_fail(&r->w, ERR_INPUT, "\"%.*s\" is %s and cannot be called", (int)(name.size < 60 ? name.size : 60),
               name.text ? name.text : "", jval_kind(f));
    return jval_undefined();
}

struct jval jval_call(struct jrun *r, const struct jnode *call) {
    const struct jnode *callee = call->a;
    struct jval out = jval_undefined();
    if (callee->kind != N_ATTRIBUTE) {
        struct jval f = jval_evaluate(r, callee);
        struct jargs a = jargs_evaluate(r, call->args);
        r->w.line = call->line;
        return r->w.status ? out : call_value(r, f, callee->name, &a);
    }
    struct jval self = jval_evaluate(r, callee->a);
    struct jargs a = jargs_evaluate(r, call->args);
    r->w.line = call->line;
    if (r->w.status || jval_method(r, self, callee->name, &a, &out)) return out;
    struct jval f = jval_member(r, self, jval_string(callee->name));
    if (!r->w.status && f.type == J_UNDEFINED)
        jwork_fail(&r->w, ERR_INPUT, "%s has no method \"%.*s\"", jval_kind(self),
                   (int)(callee->name.size < 60 ? callee->name.size : 60), callee->name.text);
    return r->w.status ? out : call_value(r, f, callee->name, &a);
}
