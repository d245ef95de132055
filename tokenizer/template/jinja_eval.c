/* jinja_eval.c: values of expressions.
 * Not filters, tests and methods: jinja_filter.c, jinja_method.c.
 * Next: jinja_call.c. */
#include <math.h>
#include <string.h>

#include "tokenizer/template/jinja_internal.h"

/* ---- members ---- */

static struct jval loop_member(const struct jloop *l, struct jstr name) {
    size_t i = l->index, n = l->items->n;
    if (jstr_is(name, "index")) return jval_int((int64_t)i + 1);
    if (jstr_is(name, "index0")) return jval_int((int64_t)i);
    if (jstr_is(name, "first")) return jval_bool(i == 0);
    if (jstr_is(name, "last")) return jval_bool(i + 1 == n);
    if (jstr_is(name, "length")) return jval_int((int64_t)n);
    if (jstr_is(name, "revindex")) return jval_int((int64_t)(n - i));
    if (jstr_is(name, "revindex0")) return jval_int((int64_t)(n - i) - 1);
    if (jstr_is(name, "depth")) return jval_int((int64_t)l->depth);
    if (jstr_is(name, "depth0")) return jval_int((int64_t)l->depth - 1);
    if (jstr_is(name, "previtem") && i > 0) return l->items->at[i - 1];
    if (jstr_is(name, "nextitem") && i + 1 < n) return l->items->at[i + 1];
    return jval_undefined();
}

/* Character number i of a string; a negative one counts from the end. */
static struct jval character(struct jwork *w, struct jstr s, int64_t i) {
    if (!jwork_step(w, s.size)) return jval_undefined();
    if (i < 0) i += (int64_t)jstr_length(s);
    size_t at = 0;
    for (; i > 0 && at < s.size; i--) at = jstr_next(s, at);
    return i == 0 && at < s.size ? jval_string(jstr_slice(s, at, jstr_next(s, at))) : jval_undefined();
}

struct jval jval_member(struct jrun *r, struct jval of, struct jval key) {
    if (of.type == J_DICT) {
        struct jval *v = jdict_find(&r->w, of.dict, key);
        return v ? *v : jval_undefined();
    }
    int64_t i = key.type == J_INT ? key.i : key.type == J_BOOL ? key.yes : INT64_MIN;
    if (of.type == J_LIST && i != INT64_MIN) {
        if (i < 0) i += (int64_t)of.list->n;
        return i >= 0 && (uint64_t)i < of.list->n ? of.list->at[i] : jval_undefined();
    }
    if (of.type == J_STRING && i != INT64_MIN) return character(&r->w, of.s, i);
    if (of.type == J_LOOP && key.type == J_STRING) return loop_member(of.loop, key.s);
    if (of.type == J_UNDEFINED && !r->w.status) {
        struct jstr k = key.type == J_STRING ? key.s : jstr_of("[...]");
        jwork_fail(&r->w, ERR_INPUT, "\"%.*s\" is undefined, so it has no \"%.*s\"",
                   (int)(of.s.size < 60 ? of.s.size : 60), of.s.text ? of.s.text : "", (int)(k.size < 60 ? k.size : 60),
                   k.text);
    }
    return jval_undefined();
}

struct jval jval_path(struct jrun *r, struct jval of, struct jval path) {
    if (path.type != J_STRING) return jval_member(r, of, path);
    for (size_t from = 0; from <= path.s.size && jwork_step(&r->w, 0);) {
        size_t to = jstr_find(&r->w, path.s, jstr_of("."), from);
        if (to == SIZE_MAX) to = path.s.size;
        struct jstr name = jstr_slice(path.s, from, to);
        bool number = name.size > 0 && name.size < 10;
        int64_t i = 0;
        for (size_t k = 0; number && k < name.size; k++)
            number = name.text[k] >= '0' && name.text[k] <= '9', i = 10 * i + name.text[k] - '0';
        of = jval_member(r, of, number && of.type != J_DICT ? jval_int(i) : jval_string(name));
        from = to + 1;
    }
    return of;
}

/* ---- slices ---- */

/* A bound as Python reads it: negative from the end, then cut to what is there. */
static int64_t bound(struct jrun *r, struct jval v, int64_t fallback, int64_t n, int64_t step) {
    if (v.type == J_NONE || v.type == J_UNDEFINED) return fallback;
    if (v.type != J_INT && v.type != J_BOOL) {
        jwork_fail(&r->w, ERR_INPUT, "%s cannot bound a slice", jval_kind(v));
        return 0;
    }
    int64_t i = v.type == J_BOOL ? v.yes : v.i, lo = step < 0 ? -1 : 0, hi = step < 0 ? n - 1 : n;
    if (i < 0 && i >= -n) return i + n;
    return i < 0 ? lo : i > hi ? hi : i;
}

static struct jval slice_items(struct jrun *r, const struct jlist *items, int64_t start, int64_t stop, int64_t step) {
    struct jval out = jlist_new(&r->w, 4);
    for (int64_t i = start; out.type == J_LIST && (step > 0 ? i < stop : i > stop) && jwork_step(&r->w, 0);) {
        jlist_add(&r->w, out.list, items->at[i]);
        if (__builtin_add_overflow(i, step, &i)) break;
    }
    return out;
}

static struct jval slice(struct jrun *r, const struct jnode *n) {
    struct jval of = jval_evaluate(r, n->a), none = jval_none();
    struct jval from = n->b ? jval_evaluate(r, n->b) : none, to = n->c ? jval_evaluate(r, n->c) : none,
                by = n->d ? jval_evaluate(r, n->d) : none;
    if (!r->w.status && of.type != J_LIST && of.type != J_STRING)
        jwork_fail(&r->w, ERR_INPUT, "%s cannot be sliced", jval_kind(of));
    if (by.type != J_NONE && (by.type != J_INT || by.i == 0))
        jwork_fail(&r->w, ERR_INPUT, "a slice's step must be a number, not 0");
    const struct jlist *items = r->w.status ? NULL : jval_items(&r->w, of);
    if (!items) return jval_undefined();
    int64_t size = (int64_t)items->n, step = by.type == J_INT ? by.i : 1;
    int64_t start = bound(r, from, step < 0 ? size - 1 : 0, size, step),
            stop = bound(r, to, step < 0 ? -1 : size, size, step);
    if (r->w.status) return jval_undefined();
    struct jval out = slice_items(r, items, start, stop, step);
    if (of.type != J_STRING || out.type != J_LIST) return out;
    struct jbuf b = {0};
    for (size_t i = 0; i < out.list->n; i++) jbuf_add(&r->w, &b, out.list->at[i].s);
    return jbuf_value(&b);
}

/* ---- operators ---- */

static bool contains(struct jrun *r, struct jval in, struct jval what) {
    if (in.type == J_DICT) return jdict_find(&r->w, in.dict, what) != NULL;
    if (in.type == J_STRING && what.type == J_STRING) return jstr_find(&r->w, in.s, what.s, 0) != SIZE_MAX;
    if (in.type == J_LIST) {
        for (size_t i = 0; i < in.list->n && jwork_step(&r->w, 0); i++)
            if (jval_same(&r->w, in.list->at[i], what)) return true;
        return false;
    }
    if (in.type != J_UNDEFINED) jwork_fail(&r->w, ERR_INPUT, "%s cannot be in %s", jval_kind(what), jval_kind(in));
    return false;
}

static struct jval integer_result(enum jop op, int64_t a, int64_t b, bool *fits) {
    int64_t v = 0;
    *fits = true;
    switch (op) {
    case OP_ADD: *fits = !__builtin_add_overflow(a, b, &v); break;
    case OP_SUB: *fits = !__builtin_sub_overflow(a, b, &v); break;
    case OP_MUL: *fits = !__builtin_mul_overflow(a, b, &v); break;
    case OP_FLOOR:
    case OP_MOD:
        if (b == 0 || b == -1) { /* -1: INT64_MIN / -1 does not fit */
            *fits = b != 0 && op == OP_MOD;
            break;
        }
        v = op == OP_MOD ? a % b : a / b;
        if (a % b && (a < 0) != (b < 0)) v += op == OP_MOD ? b : -1; /* Python rounds down */
        break;
    case OP_POWER:
        *fits = b >= 0 && b < 64;
        v = 1;
        for (; *fits && b > 0; b--) *fits = !__builtin_mul_overflow(v, a, &v);
        break;
    default: *fits = false;
    }
    return jval_int(v);
}

static struct jval real_result(struct jrun *r, enum jop op, double a, double b) {
    if ((op == OP_DIV || op == OP_FLOOR || op == OP_MOD) && b == 0) jwork_fail(&r->w, ERR_INPUT, "division by zero");
    switch (op) {
    case OP_ADD: return jval_real(a + b);
    case OP_SUB: return jval_real(a - b);
    case OP_MUL: return jval_real(a * b);
    case OP_DIV: return jval_real(b == 0 ? 0 : a / b);
    case OP_FLOOR: return jval_real(b == 0 ? 0 : floor(a / b));
    case OP_MOD: return jval_real(b == 0 ? 0 : a - b * floor(a / b));
    default: return jval_real(pow(a, b));
    }
}

static struct jval repeated(struct jrun *r, struct jval v, int64_t times) {
    struct jbuf b = {0};
    if (v.type == J_STRING) {
        for (; times > 0 && v.s.size && jwork_step(&r->w, 0); times--) jbuf_add(&r->w, &b, v.s);
        return jbuf_value(&b);
    }
    struct jval out = jlist_new(&r->w, 4);
    for (; out.type == J_LIST && times > 0 && v.list->n && jwork_step(&r->w, 0); times--)
        for (size_t i = 0; i < v.list->n && jwork_step(&r->w, 0); i++) jlist_add(&r->w, out.list, v.list->at[i]);
    return out;
}

static struct jval added_lists(struct jrun *r, const struct jlist *a, const struct jlist *b) {
    struct jval out = jlist_new(&r->w, a->n + b->n);
    for (size_t i = 0; i < a->n + b->n && out.type == J_LIST && jwork_step(&r->w, 0); i++)
        jlist_add(&r->w, out.list, i < a->n ? a->at[i] : b->at[i - a->n]);
    return out;
}

static struct jval joined(struct jrun *r, struct jval a, struct jval b) {
    struct jbuf text = {0};
    jbuf_value_text(&r->w, &text, a);
    jbuf_value_text(&r->w, &text, b);
    return jbuf_value(&text);
}

static struct jval arithmetic(struct jrun *r, enum jop op, struct jval a, struct jval b) {
    static const char *const signs[] = {[OP_ADD] = "+",    [OP_SUB] = "-", [OP_MUL] = "*",   [OP_DIV] = "/",
                                        [OP_FLOOR] = "//", [OP_MOD] = "%", [OP_POWER] = "**"};
    bool whole = (a.type == J_INT || a.type == J_BOOL) && (b.type == J_INT || b.type == J_BOOL), fits = false;
    if (whole) {
        struct jval v = integer_result(op, a.type == J_INT ? a.i : a.yes, b.type == J_INT ? b.i : b.yes, &fits);
        if (fits) return v;
    }
    if (jval_is_number(a) && jval_is_number(b)) return real_result(r, op, jval_number(a), jval_number(b));
    if (op == OP_ADD && a.type == J_STRING && b.type == J_STRING) return joined(r, a, b);
    if (op == OP_ADD && a.type == J_LIST && b.type == J_LIST) return added_lists(r, a.list, b.list);
    if (op == OP_MUL && (a.type == J_STRING || a.type == J_LIST) && b.type == J_INT) return repeated(r, a, b.i);
    if (op == OP_MUL && (b.type == J_STRING || b.type == J_LIST) && a.type == J_INT) return repeated(r, b, a.i);
    struct jval u = a.type == J_UNDEFINED ? a : b;
    if (u.type == J_UNDEFINED && u.s.size)
        jwork_fail(&r->w, ERR_INPUT, "\"%.*s\" is undefined", (int)(u.s.size < 60 ? u.s.size : 60), u.s.text);
    else jwork_fail(&r->w, ERR_INPUT, "%s %s %s has no meaning", jval_kind(a), signs[op], jval_kind(b));
    return jval_undefined();
}

static struct jval binary(struct jrun *r, const struct jnode *n) {
    struct jval a = jval_evaluate(r, n->a), b = jval_evaluate(r, n->b);
    struct jwork *w = &r->w;
    if (w->status) return jval_undefined();
    switch (n->op) {
    case OP_EQ: return jval_bool(jval_same(w, a, b));
    case OP_NE: return jval_bool(!jval_same(w, a, b));
    case OP_LT: return jval_bool(jval_order(w, a, b, false) < 0);
    case OP_LE: return jval_bool(jval_order(w, a, b, false) <= 0);
    case OP_GT: return jval_bool(jval_order(w, a, b, false) > 0);
    case OP_GE: return jval_bool(jval_order(w, a, b, false) >= 0);
    case OP_IN: return jval_bool(contains(r, b, a));
    case OP_NOT_IN: return jval_bool(!contains(r, b, a));
    case OP_JOIN: return joined(r, a, b);
    default: return arithmetic(r, n->op, a, b);
    }
}

static struct jval negative(struct jrun *r, struct jval v) {
    if (v.type == J_INT && v.i != INT64_MIN) return jval_int(-v.i);
    if (jval_is_number(v)) return v.type == J_BOOL ? jval_int(-(int64_t)v.yes) : jval_real(-jval_number(v));
    jwork_fail(&r->w, ERR_INPUT, "- %s has no meaning", jval_kind(v));
    return v;
}

/* ---- names, literals ---- */

static struct jval variable(struct jrun *r, struct jstr name) {
    for (const struct jscope *s = r->scope; s; s = s->parent)
        for (const struct jvar *v = s->vars; v; v = v->next) {
            if (!jwork_step(&r->w, 0)) return jval_undefined();
            if (jstr_same(v->name, name)) return v->value;
        }
    struct jval v;
    if (jfunction_find(name, &v)) return v;
    return (struct jval){.type = J_UNDEFINED, .s = name};
}

static struct jval list_of(struct jrun *r, const struct jnode *item) {
    struct jval out = jlist_new(&r->w, 4);
    for (; item && out.type == J_LIST && !r->w.status; item = item->next)
        jlist_add(&r->w, out.list, jval_evaluate(r, item));
    return out;
}

static struct jval dict_of(struct jrun *r, const struct jnode *item) {
    struct jval out = jdict_new(&r->w);
    for (; item && item->next && !r->w.status; item = item->next->next) {
        struct jval key = jval_evaluate(r, item);
        jdict_set(&r->w, out.dict, key, jval_evaluate(r, item->next));
    }
    return out;
}

static struct jval filtered(struct jrun *r, const struct jnode *n) {
    struct jval v = jval_evaluate(r, n->a);
    struct jargs a = jargs_evaluate(r, n->args);
    r->w.line = n->line;
    if (r->w.status) return jval_undefined();
    return n->kind == N_FILTER ? jfilter_apply(r, (int)n->value.i, v, &a)
                               : jval_bool(jtest_apply(r, (int)n->value.i, v, &a));
}

static struct jval evaluate(struct jrun *r, const struct jnode *n) {
    struct jval v;
    switch (n->kind) {
    case N_LITERAL: return n->value;
    case N_NAME: return variable(r, n->name);
    case N_LIST: return list_of(r, n->args);
    case N_DICT: return dict_of(r, n->args);
    case N_ATTRIBUTE:
        v = jval_evaluate(r, n->a);
        v = jval_member(r, v, jval_string(n->name));
        return v.type == J_UNDEFINED ? (struct jval){.type = J_UNDEFINED, .s = n->name} : v;
    case N_ITEM: v = jval_evaluate(r, n->a); return jval_member(r, v, jval_evaluate(r, n->b));
    case N_SLICE: return slice(r, n);
    case N_CALL: return jval_call(r, n);
    case N_FILTER:
    case N_TEST: return filtered(r, n);
    case N_NOT: return jval_bool(!jval_true(jval_evaluate(r, n->a)));
    case N_MINUS: return negative(r, jval_evaluate(r, n->a));
    case N_PLUS: return jval_evaluate(r, n->a);
    case N_AND: v = jval_evaluate(r, n->a); return jval_true(v) ? jval_evaluate(r, n->b) : v;
    case N_OR: v = jval_evaluate(r, n->a); return jval_true(v) ? v : jval_evaluate(r, n->b);
    case N_BINARY: return binary(r, n);
    case N_CHOICE:
        if (jval_true(jval_evaluate(r, n->b))) return jval_evaluate(r, n->a);
        return n->c ? jval_evaluate(r, n->c) : jval_undefined();
    case N_CAPTURE: return jval_capture(r, n->b);
    case N_BLOCK: return jval_evaluate(r, n->a); /* a named argument */
    default: jwork_fail(&r->w, ERR_INPUT, "a statement where a value is wanted"); return jval_undefined();
    }
}

struct jval jval_evaluate(struct jrun *r, const struct jnode *n) {
    struct jval v = jval_undefined();
    if (n && jwork_enter(&r->w) && jwork_step(&r->w, 0)) v = evaluate(r, n);
    if (n) r->w.depth--;
    return r->w.status ? jval_undefined() : v;
}
