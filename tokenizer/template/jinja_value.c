/* jinja_value.c: memory, strings, lists, dicts and comparison of template values.
 * Not their text: jinja_print.c.
 * Next: jinja_print.c. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "tokenizer/template/jinja_internal.h"

/* ---- memory and errors ---- */

void jwork_fail(struct jwork *w, enum status s, const char *format, ...) {
    if (w->status) return; /* the first one counts */
    char text[400];
    va_list list;
    va_start(list, format);
    vsnprintf(text, sizeof text, format, list);
    va_end(list);
    w->status = error_set(w->e, s, "%s:%d: %s", w->name, w->line, text);
}

void *jwork_new(struct jwork *w, size_t n, size_t size) {
    size_t bytes;
    if (w->status) return NULL;
    if (!mul_size(n, size, &bytes) || bytes > w->limits.memory_bytes - w->n_used) {
        jwork_fail(w, ERR_INPUT, "the template wants more than %zu bytes of memory", w->limits.memory_bytes);
        return NULL;
    }
    bytes = (bytes + 15) & ~(size_t)15;
    if (bytes > w->n_free || !w->free) { /* nothing is a valid piece of memory too */
        size_t want = (bytes > 1 << 15 ? bytes : 1 << 15) + sizeof(struct jchunk);
        struct jchunk *c = mem_new(want, 1);
        if (!c) {
            jwork_fail(w, ERR_MEMORY, "no memory for %zu bytes", want);
            return NULL;
        }
        _Static_assert(sizeof *c % 16 == 0, "what follows a chunk's head is aligned");
        *c = (struct jchunk){w->chunks, want};
        w->chunks = c;
        w->free = (char *)(c + 1), w->n_free = want - sizeof *c;
    }
    void *p = w->free;
    w->free += bytes, w->n_free -= bytes;
    w->n_used = bytes > w->limits.memory_bytes - w->n_used ? w->limits.memory_bytes : w->n_used + bytes;
    return p;
}

void jwork_free(struct jwork *w) {
    for (struct jchunk *c = w->chunks, *next; c; c = next) {
        next = c->next;
        mem_free(c);
    }
    w->chunks = NULL, w->free = NULL, w->n_free = 0;
}

bool jwork_step(struct jwork *w, size_t bytes) {
    w->n_steps += 1 + bytes / 64;
    if (w->n_steps > w->limits.steps)
        jwork_fail(w, ERR_INPUT, "the template takes more than %llu steps", (unsigned long long)w->limits.steps);
    return w->status == OK;
}

bool jwork_enter(struct jwork *w) {
    if (++w->depth > w->limits.depth) jwork_fail(w, ERR_INPUT, "nested deeper than %u", w->limits.depth);
    return w->status == OK;
}

/* ---- strings ---- */

struct jstr jstr_of(const char *text) {
    return (struct jstr){text, NULL, strlen(text)};
}

struct jstr jstr_slice(struct jstr s, size_t from, size_t to) {
    return (struct jstr){s.text + from, s.plain ? s.plain + from : NULL, to - from};
}

bool jstr_same(struct jstr a, struct jstr b) {
    return a.size == b.size && (!a.size || !memcmp(a.text, b.text, a.size));
}
bool jstr_is(struct jstr s, const char *text) { return jstr_same(s, jstr_of(text)); }

int jstr_order(struct jstr a, struct jstr b) {
    size_t n = a.size < b.size ? a.size : b.size;
    int c = n ? memcmp(a.text, b.text, n) : 0;
    return c ? c : (a.size > b.size) - (a.size < b.size);
}

size_t jstr_find(struct jwork *w, struct jstr s, struct jstr what, size_t from) {
    if (from > s.size || what.size > s.size - from) return SIZE_MAX;
    if (!what.size) return from;
    const char *at = memmem(s.text + from, s.size - from, what.text, what.size);
    size_t found = at ? (size_t)(at - s.text) : SIZE_MAX;
    jwork_step(w, at ? found - from : s.size - from);
    return found;
}

size_t jstr_next(struct jstr s, size_t at) {
    do at++;
    while (at < s.size && ((unsigned char)s.text[at] & 0xC0) == 0x80);
    return at;
}

size_t jstr_length(struct jstr s) {
    size_t n = 0;
    for (size_t i = 0; i < s.size; i = jstr_next(s, i)) n++;
    return n;
}

/* ---- lists and dicts ---- */

struct jval jlist_new(struct jwork *w, size_t cap) {
    struct jlist *l = jwork_new(w, 1, sizeof *l);
    if (!l) return jval_undefined();
    l->at = jwork_new(w, cap, sizeof *l->at);
    l->cap = l->at ? cap : 0;
    return (struct jval){.type = J_LIST, .list = l};
}

/* The same elements with room for one more; NULL after a failure. */
static void *grown(struct jwork *w, void *old, size_t n, size_t *cap, size_t size) {
    if (n < *cap) return old;
    size_t wanted = *cap ? 2 * *cap : 4;
    void *p = jwork_new(w, wanted, size);
    if (!p) return NULL;
    if (n) memcpy(p, old, n * size);
    *cap = wanted;
    return p;
}

void jlist_add(struct jwork *w, struct jlist *l, struct jval v) {
    struct jval *at = l ? grown(w, l->at, l->n, &l->cap, sizeof *at) : NULL;
    if (!at) return;
    l->at = at;
    l->at[l->n++] = v;
}

struct jval jdict_new(struct jwork *w) {
    struct jdict *d = jwork_new(w, 1, sizeof *d);
    return d ? (struct jval){.type = J_DICT, .dict = d} : jval_undefined();
}

struct jval *jdict_find(struct jwork *w, const struct jdict *d, struct jval key) {
    if (!jwork_step(w, d->n * 8)) return NULL;
    for (size_t i = 0; i < d->n; i++)
        if (d->at[i].key.type == J_STRING && key.type == J_STRING ? jstr_same(d->at[i].key.s, key.s)
                                                                  : jval_same(w, d->at[i].key, key))
            return &d->at[i].value;
    return NULL;
}

void jdict_set(struct jwork *w, struct jdict *d, struct jval key, struct jval v) {
    struct jval *old = jdict_find(w, d, key);
    if (old) *old = v;
    if (old || w->status) return;
    struct jpair *at = grown(w, d->at, d->n, &d->cap, sizeof *at);
    if (!at) return;
    d->at = at;
    d->at[d->n++] = (struct jpair){key, v};
}

/* ---- facts about values ---- */

const char *jval_kind(struct jval v) {
    static const char *const kinds[] = {"undefined", "none",   "a boolean", "an integer", "a number",  "a string",
                                        "a list",    "a dict", "a loop",    "a macro",    "a function"};
    return kinds[v.type];
}

bool jval_true(struct jval v) {
    switch (v.type) {
    case J_UNDEFINED:
    case J_NONE: return false;
    case J_BOOL: return v.yes;
    case J_INT: return v.i != 0;
    case J_REAL: return v.r != 0;
    case J_STRING: return v.s.size > 0;
    case J_LIST: return v.list->n > 0;
    case J_DICT: return v.dict->is_namespace || v.dict->n > 0;
    default: return true;
    }
}

bool jval_is_number(struct jval v) { return v.type == J_BOOL || v.type == J_INT || v.type == J_REAL; }

double jval_number(struct jval v) {
    return v.type == J_BOOL ? v.yes : v.type == J_INT ? (double)v.i : v.type == J_REAL ? v.r : 0;
}

static bool same_lists(struct jwork *w, const struct jlist *a, const struct jlist *b) {
    if (a->n != b->n) return false;
    for (size_t i = 0; i < a->n; i++)
        if (!jval_same(w, a->at[i], b->at[i])) return false;
    return true;
}

static bool same_dicts(struct jwork *w, const struct jdict *a, const struct jdict *b) {
    if (a->n != b->n) return false;
    for (size_t i = 0; i < a->n; i++) {
        struct jval *other = jdict_find(w, b, a->at[i].key);
        if (!other || !jval_same(w, a->at[i].value, *other)) return false;
    }
    return true;
}

bool jval_same(struct jwork *w, struct jval a, struct jval b) {
    bool same = false;
    if (a.type == J_INT && b.type == J_INT) return a.i == b.i;
    if (jval_is_number(a) && jval_is_number(b)) return jval_number(a) == jval_number(b);
    if (a.type != b.type) return false;
    switch (a.type) {
    case J_UNDEFINED:
    case J_NONE: return true;
    case J_STRING: return jwork_step(w, a.s.size) && jstr_same(a.s, b.s);
    case J_LIST:
    case J_DICT:
        if (jwork_enter(w) && jwork_step(w, 0))
            same = a.type == J_LIST ? same_lists(w, a.list, b.list) : same_dicts(w, a.dict, b.dict);
        w->depth--;
        return same;
    case J_LOOP: return a.loop == b.loop;
    case J_MACRO: return a.macro == b.macro;
    case J_FUNCTION: return a.function == b.function;
    default: return false;
    }
}

static int order_folded(struct jstr a, struct jstr b) {
    for (size_t i = 0; i < a.size && i < b.size; i++) {
        int x = (unsigned char)a.text[i], y = (unsigned char)b.text[i];
        x += x >= 'A' && x <= 'Z' ? 32 : 0, y += y >= 'A' && y <= 'Z' ? 32 : 0;
        if (x != y) return x - y;
    }
    return (a.size > b.size) - (a.size < b.size);
}

int jval_order(struct jwork *w, struct jval a, struct jval b, bool fold_case) {
    if (a.type == J_INT && b.type == J_INT) return (a.i > b.i) - (a.i < b.i);
    if (jval_is_number(a) && jval_is_number(b)) {
        double x = jval_number(a), y = jval_number(b);
        return (x > y) - (x < y);
    }
    if (a.type == J_STRING && b.type == J_STRING) {
        jwork_step(w, a.s.size);
        return fold_case ? order_folded(a.s, b.s) : jstr_order(a.s, b.s);
    }
    if (a.type == J_LIST && b.type == J_LIST) {
        int c = 0;
        size_t n = a.list->n < b.list->n ? a.list->n : b.list->n;
        if (jwork_enter(w))
            for (size_t i = 0; !c && i < n && jwork_step(w, 0); i++)
                c = jval_order(w, a.list->at[i], b.list->at[i], fold_case);
        w->depth--;
        return c ? c : (a.list->n > b.list->n) - (a.list->n < b.list->n);
    }
    jwork_fail(w, ERR_INPUT, "%s and %s have no order", jval_kind(a), jval_kind(b));
    return 0;
}

struct jlist *jval_items(struct jwork *w, struct jval v) {
    if (v.type == J_LIST) return v.list;
    struct jval l = jlist_new(w, 4);
    if (l.type != J_LIST) return NULL;
    if (v.type == J_DICT)
        for (size_t i = 0; i < v.dict->n && jwork_step(w, 0); i++) jlist_add(w, l.list, v.dict->at[i].key);
    else if (v.type == J_STRING)
        for (size_t i = 0, next; i < v.s.size && jwork_step(w, 0); i = next) {
            next = jstr_next(v.s, i);
            jlist_add(w, l.list, jval_string(jstr_slice(v.s, i, next)));
        }
    else if (v.type != J_UNDEFINED) jwork_fail(w, ERR_INPUT, "%s has no items to go through", jval_kind(v));
    return w->status ? NULL : l.list;
}

/* ---- from JSON ---- */

static struct jval string_of_json(struct jwork *w, const char *text, size_t size, bool plain) {
    char *copy = jwork_new(w, size, 1);
    uint8_t *marks = plain ? jwork_new(w, size, 1) : NULL;
    if (!copy || (plain && !marks)) return jval_undefined();
    if (size) memcpy(copy, text, size);
    if (size && marks) memset(marks, 1, size);
    return jval_string((struct jstr){copy, marks, size});
}

static struct jval object_of_json(struct jwork *w, const json_t *j, bool plain) {
    struct jval d = jdict_new(w);
    const char *key;
    json_t *value;
    if (d.type != J_DICT) return d;
    json_object_foreach((json_t *)j, key, value) {
        struct jval k = string_of_json(w, key, strlen(key), plain), v = jval_of_json(w, value, plain);
        struct jpair *at = grown(w, d.dict->at, d.dict->n, &d.dict->cap, sizeof *at);
        if (!at || w->status) break;
        d.dict->at = at;
        d.dict->at[d.dict->n++] = (struct jpair){k, v}; /* jansson's keys are unique: no search */
    }
    return d;
}

struct jval jval_of_json(struct jwork *w, const json_t *j, bool plain) {
    struct jval v = jval_none();
    switch (json_typeof(j)) {
    case JSON_STRING: return string_of_json(w, json_string_value(j), json_string_length(j), plain);
    case JSON_INTEGER: return jval_int(json_integer_value(j));
    case JSON_REAL: return jval_real(json_real_value(j));
    case JSON_TRUE: return jval_bool(true);
    case JSON_FALSE: return jval_bool(false);
    case JSON_NULL: return jval_none();
    default: break;
    }
    if (jwork_enter(w) && json_is_object(j)) v = object_of_json(w, j, plain);
    else if (!w->status && (v = jlist_new(w, json_array_size(j))).type == J_LIST)
        for (size_t i = 0; i < json_array_size(j) && !w->status; i++)
            jlist_add(w, v.list, jval_of_json(w, json_array_get(j, i), plain));
    w->depth--;
    return v;
}
