/* jinja_list.c: filters on sequences: choosing, mapping, sorting, joining.
 * Not filters on single values: jinja_filter.c.
 * Next: jinja_method.c. */
#include <string.h>

#include "tokenizer/template/jinja_internal.h"

struct jval jfilter_list(struct jrun *r, struct jval v, const struct jargs *a) {
    (void)a;
    const struct jlist *items = jval_items(&r->w, v);
    struct jval out = jlist_new(&r->w, items ? items->n : 0);
    for (size_t i = 0; items && out.type == J_LIST && i < items->n && jwork_step(&r->w, 0); i++)
        jlist_add(&r->w, out.list, items->at[i]);
    return out;
}

struct jval jfilter_first(struct jrun *r, struct jval v, const struct jargs *a) {
    (void)a;
    const struct jlist *items = jval_items(&r->w, v);
    return items && items->n ? items->at[0] : jval_undefined();
}

struct jval jfilter_last(struct jrun *r, struct jval v, const struct jargs *a) {
    (void)a;
    const struct jlist *items = jval_items(&r->w, v);
    return items && items->n ? items->at[items->n - 1] : jval_undefined();
}

struct jval jfilter_reverse(struct jrun *r, struct jval v, const struct jargs *a) {
    struct jval out = jfilter_list(r, v, a);
    for (size_t i = 0; out.type == J_LIST && i < out.list->n / 2; i++) {
        struct jval swap = out.list->at[i];
        out.list->at[i] = out.list->at[out.list->n - 1 - i], out.list->at[out.list->n - 1 - i] = swap;
    }
    if (v.type != J_STRING || out.type != J_LIST) return out;
    return jfilter_join(r, out, &(struct jargs){0});
}

struct jval jfilter_join(struct jrun *r, struct jval v, const struct jargs *a) {
    struct jval between = jargs_get(a, 0, "d"), attribute = jargs_get(a, 1, "attribute");
    const struct jlist *items = jval_items(&r->w, v);
    struct jbuf b = {0};
    for (size_t i = 0; items && i < items->n && jwork_step(&r->w, 0); i++) {
        if (i) jbuf_value_text(&r->w, &b, between);
        struct jval one = attribute.type == J_UNDEFINED ? items->at[i] : jval_path(r, items->at[i], attribute);
        jbuf_value_text(&r->w, &b, one);
    }
    return jbuf_value(&b);
}

struct jval jfilter_sum(struct jrun *r, struct jval v, const struct jargs *a) {
    struct jval attribute = jargs_get(a, 0, "attribute");
    const struct jlist *items = jval_items(&r->w, v);
    double sum = 0;
    bool whole = true;
    for (size_t i = 0; items && i < items->n && jwork_step(&r->w, 0); i++) {
        struct jval one = attribute.type == J_UNDEFINED ? items->at[i] : jval_path(r, items->at[i], attribute);
        if (!jval_is_number(one)) jwork_fail(&r->w, ERR_INPUT, "sum: %s among the items", jval_kind(one));
        whole = whole && one.type != J_REAL;
        sum += jval_number(one);
    }
    return whole && sum > -9e15 && sum < 9e15 ? jval_int((int64_t)sum) : jval_real(sum);
}

/* ---- choosing ---- */

/* map("filter", ...) or map(attribute="a.b", default=x) */
struct jval jfilter_map(struct jrun *r, struct jval v, const struct jargs *a) {
    struct jval attribute = jargs_get(a, SIZE_MAX, "attribute"), fallback = jargs_get(a, SIZE_MAX, "default"),
                name = jargs_get(a, 0, NULL);
    int filter = name.type == J_STRING ? jfilter_find(name.s) : -1;
    if (attribute.type == J_UNDEFINED && filter < 0) {
        jwork_fail(&r->w, ERR_INPUT, "map: wants the name of a filter, or attribute=");
        return jval_undefined();
    }
    const struct jlist *items = jval_items(&r->w, v);
    struct jargs rest = jargs_from(a, 1);
    struct jval out = jlist_new(&r->w, items ? items->n : 0);
    for (size_t i = 0; items && out.type == J_LIST && i < items->n && jwork_step(&r->w, 0); i++) {
        struct jval one = attribute.type != J_UNDEFINED ? jval_path(r, items->at[i], attribute)
                                                        : jfilter_apply(r, filter, items->at[i], &rest);
        jlist_add(&r->w, out.list, one.type == J_UNDEFINED ? fallback : one);
    }
    return out;
}

/* The items (or their attribute) for which the test gives `wanted`; without a test: that are true. */
static struct jval choose(struct jrun *r, struct jval v, const struct jargs *a, bool by_attribute, bool wanted) {
    struct jval attribute = jargs_get(a, 0, NULL), name = jargs_get(a, by_attribute, NULL);
    int test = name.type == J_STRING ? jtest_find(name.s) : -1;
    if (name.type == J_STRING && test < 0)
        jwork_fail(&r->w, ERR_INPUT, "test \"%.*s\" is not known", (int)(name.s.size < 40 ? name.s.size : 40),
                   name.s.text);
    const struct jlist *items = jval_items(&r->w, v);
    struct jargs rest = jargs_from(a, by_attribute ? 2 : 1);
    struct jval out = jlist_new(&r->w, 4);
    for (size_t i = 0; items && out.type == J_LIST && i < items->n && jwork_step(&r->w, 0); i++) {
        struct jval one = by_attribute ? jval_path(r, items->at[i], attribute) : items->at[i];
        if ((test < 0 ? jval_true(one) : jtest_apply(r, test, one, &rest)) == wanted)
            jlist_add(&r->w, out.list, items->at[i]);
    }
    return out;
}

struct jval jfilter_select(struct jrun *r, struct jval v, const struct jargs *a) {
    return choose(r, v, a, false, true);
}
struct jval jfilter_reject(struct jrun *r, struct jval v, const struct jargs *a) {
    return choose(r, v, a, false, false);
}
struct jval jfilter_selectattr(struct jrun *r, struct jval v, const struct jargs *a) {
    return choose(r, v, a, true, true);
}
struct jval jfilter_rejectattr(struct jrun *r, struct jval v, const struct jargs *a) {
    return choose(r, v, a, true, false);
}

/* ---- order ---- */

struct order {
    struct jval attribute; /* undefined: the item itself */
    bool fold_case, reverse;
};

static struct jval key_of(struct jrun *r, const struct order *o, struct jval item) {
    return o->attribute.type == J_UNDEFINED ? item : jval_path(r, item, o->attribute);
}

/* Merge sort, so that equals keep their places: from in[0..n) into itself. */
static void sort(struct jrun *r, struct jval *items, struct jval *scratch, size_t n, const struct order *o) {
    if (n < 2) return;
    size_t half = n / 2, i = 0, j = half, k = 0;
    sort(r, items, scratch, half, o), sort(r, items + half, scratch, n - half, o);
    while (i < half && j < n && jwork_step(&r->w, 0)) {
        int c = jval_order(&r->w, key_of(r, o, items[i]), key_of(r, o, items[j]), o->fold_case);
        scratch[k++] = (o->reverse ? c >= 0 : c <= 0) ? items[i++] : items[j++];
    }
    while (i < half) scratch[k++] = items[i++];
    while (j < n) scratch[k++] = items[j++];
    memcpy(items, scratch, n * sizeof *items);
}

static struct jval sorted(struct jrun *r, struct jval list, const struct order *o) {
    struct jval *scratch = list.type == J_LIST ? jwork_new(&r->w, list.list->n, sizeof *scratch) : NULL;
    if (scratch) sort(r, list.list->at, scratch, list.list->n, o);
    return list;
}

/* sort(reverse=false, case_sensitive=false, attribute=none) */
struct jval jfilter_sort(struct jrun *r, struct jval v, const struct jargs *a) {
    struct order o = {.reverse = jval_true(jargs_get(a, 0, "reverse")),
                      .fold_case = !jval_true(jargs_get(a, 1, "case_sensitive")),
                      .attribute = jargs_get(a, 2, "attribute")};
    return sorted(r, jfilter_list(r, v, a), &o);
}

/* dictsort(case_sensitive=false, by="key", reverse=false): [key, value] pairs */
struct jval jfilter_dictsort(struct jrun *r, struct jval v, const struct jargs *a) {
    struct jval by = jargs_get(a, 1, "by"), pairs = jval_undefined();
    struct order o = {.fold_case = !jval_true(jargs_get(a, 0, "case_sensitive")),
                      .reverse = jval_true(jargs_get(a, 2, "reverse")),
                      .attribute = jval_int(by.type == J_STRING && jstr_is(by.s, "value"))};
    if (v.type != J_DICT || !jval_method(r, v, jstr_of("items"), &(struct jargs){0}, &pairs))
        jwork_fail(&r->w, ERR_INPUT, "dictsort: wants a dict, found %s", jval_kind(v));
    return sorted(r, pairs, &o);
}

struct jval jfilter_unique(struct jrun *r, struct jval v, const struct jargs *a) {
    bool exact = jval_true(jargs_get(a, 0, "case_sensitive"));
    struct order o = {.attribute = jargs_get(a, 1, "attribute"), .fold_case = !exact};
    const struct jlist *items = jval_items(&r->w, v);
    struct jval out = jlist_new(&r->w, 4);
    for (size_t i = 0; items && out.type == J_LIST && i < items->n && jwork_step(&r->w, 0); i++) {
        struct jval key = key_of(r, &o, items->at[i]);
        bool seen = false;
        for (size_t k = 0; !seen && k < out.list->n && jwork_step(&r->w, 0); k++) {
            struct jval other = key_of(r, &o, out.list->at[k]);
            bool text = key.type == J_STRING && other.type == J_STRING;
            seen = text ? jval_order(&r->w, key, other, o.fold_case) == 0 : jval_same(&r->w, key, other);
        }
        if (!seen) jlist_add(&r->w, out.list, items->at[i]);
    }
    return out;
}

static struct jval extreme(struct jrun *r, struct jval v, const struct jargs *a, int sign) {
    struct order o = {.fold_case = !jval_true(jargs_get(a, 0, "case_sensitive")),
                      .attribute = jargs_get(a, 1, "attribute")};
    const struct jlist *items = jval_items(&r->w, v);
    struct jval best = jval_undefined();
    for (size_t i = 0; items && i < items->n && jwork_step(&r->w, 0); i++)
        if (i == 0 || sign * jval_order(&r->w, key_of(r, &o, items->at[i]), key_of(r, &o, best), o.fold_case) > 0)
            best = items->at[i];
    return best;
}

struct jval jfilter_min(struct jrun *r, struct jval v, const struct jargs *a) {
    return extreme(r, v, a, -1);
}
struct jval jfilter_max(struct jrun *r, struct jval v, const struct jargs *a) {
    return extreme(r, v, a, 1);
}
