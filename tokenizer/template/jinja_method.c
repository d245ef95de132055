/* jinja_method.c: methods of strings, lists and dicts, and the text functions that filters share with them.
 * Not filters.  Letters change case in ASCII only.
 * Next: chat.h, the user of all this. */
#include <string.h>

#include "tokenizer/template/jinja_internal.h"

/* ---- white space ---- */

/* Bytes of the white space character at text[at], 0: none.  Unicode's White_Space, as Python's strip(). */
static size_t space_at(struct jstr s, size_t at) {
    static const char *const wide[] = {"\xc2\x85",     "\xc2\xa0",     "\xe1\x9a\x80", "\xe2\x80\xa8",
                                       "\xe2\x80\xa9", "\xe2\x80\xaf", "\xe2\x81\x9f", "\xe3\x80\x80"};
    unsigned char c = (unsigned char)s.text[at];
    size_t left = s.size - at;
    if (c == ' ' || (c >= '\t' && c <= '\r') || (c >= 0x1c && c <= 0x1f)) return 1;
    if (c < 0x80) return 0;
    if (left >= 3 && !memcmp(s.text + at, "\xe2\x80", 2) && (unsigned char)s.text[at + 2] >= 0x80 &&
        (unsigned char)s.text[at + 2] <= 0x8a)
        return 3;
    for (size_t i = 0; i < sizeof wide / sizeof *wide; i++) {
        size_t n = strlen(wide[i]);
        if (left >= n && !memcmp(s.text + at, wide[i], n)) return n;
    }
    return 0;
}

/* Bytes of the character at `at` if it is in the set (NULL: white space). */
static size_t member_at(struct jstr s, size_t at, const struct jstr *set) {
    if (!set) return space_at(s, at);
    size_t n = jstr_next(s, at) - at;
    for (size_t i = 0, next; i < set->size; i = next) {
        next = jstr_next(*set, i);
        if (next - i == n && !memcmp(set->text + i, s.text + at, n)) return n;
    }
    return 0;
}

struct jstr jstr_strip(struct jstr s, const struct jstr *characters, int sides) {
    size_t from = 0, to = s.size, n;
    while (sides & STRIP_LEFT && from < to && (n = member_at(s, from, characters))) from += n;
    while (sides & STRIP_RIGHT && to > from) {
        size_t at = to - 1;
        while (at > from && ((unsigned char)s.text[at] & 0xC0) == 0x80) at--;
        struct jstr head = jstr_slice(s, 0, to);
        if (at + member_at(head, at, characters) != to) break;
        to = at;
    }
    return jstr_slice(s, from, to);
}

/* ---- case and replacement ---- */

struct jval jstr_case(struct jwork *w, struct jstr s, char how) {
    struct jbuf b = {0};
    bool begins = true; /* of a word, or of the text */
    jbuf_add(w, &b, s);
    for (size_t i = 0; i < b.n; i++) {
        char c = b.text[i];
        bool small = c >= 'a' && c <= 'z', large = c >= 'A' && c <= 'Z';
        bool up = how == 'u' || (how != 'l' && begins);
        if (small && up) b.text[i] = (char)(c - 32);
        if (large && !up) b.text[i] = (char)(c + 32);
        begins = how == 't'   ? !small && !large && (unsigned char)c < 0x80
                 : how == 'w' ? c && strchr("-([{< \t\n\v\f\r", c) != NULL
                              : false;
    }
    return jbuf_value(&b);
}

struct jval jstr_replace(struct jwork *w, struct jstr s, struct jstr old, struct jstr new_text, int64_t most) {
    struct jbuf b = {0};
    size_t from = 0;
    if (!old.size) { /* before each character and at the end */
        for (; from < s.size && most != 0 && jwork_step(w, 0); most--) {
            size_t next = jstr_next(s, from);
            jbuf_add(w, &b, new_text);
            jbuf_add(w, &b, jstr_slice(s, from, next));
            from = next;
        }
        if (from == s.size && most != 0) jbuf_add(w, &b, new_text);
        jbuf_add(w, &b, jstr_slice(s, from, s.size));
        return jbuf_value(&b);
    }
    for (size_t at; most != 0 && jwork_step(w, 0) && (at = jstr_find(w, s, old, from)) != SIZE_MAX; most--) {
        jbuf_add(w, &b, jstr_slice(s, from, at));
        jbuf_add(w, &b, new_text);
        from = at + old.size;
    }
    jbuf_add(w, &b, jstr_slice(s, from, s.size));
    return jbuf_value(&b);
}

/* ---- methods of strings ---- */

/* split(sep=none, maxsplit=-1) */
static struct jval split(struct jrun *r, struct jstr s, const struct jargs *a) {
    struct jval sep = jargs_get(a, 0, "sep"), most = jargs_get(a, 1, "maxsplit"), out = jlist_new(&r->w, 4);
    int64_t left = most.type == J_INT ? most.i : -1;
    size_t from = 0;
    bool at_space = sep.type != J_STRING;
    if (!at_space && !sep.s.size) jwork_fail(&r->w, ERR_INPUT, "split: the separator is empty");
    if (at_space) s = jstr_strip(s, NULL, left < 0 ? STRIP_LEFT | STRIP_RIGHT : STRIP_LEFT);
    for (; left != 0 && out.type == J_LIST && jwork_step(&r->w, 0); left--) {
        size_t at = from, n = at_space ? 0 : sep.s.size;
        if (!at_space) at = jstr_find(&r->w, s, sep.s, from);
        else
            while (at < s.size && !(n = space_at(s, at))) at++;
        if (at >= s.size || !n) break; /* a separator at the very end begins before s.size */
        jlist_add(&r->w, out.list, jval_string(jstr_slice(s, from, at)));
        from = at + n;
        while (at_space && from < s.size && (n = space_at(s, from))) from += n;
    }
    if (out.type == J_LIST && (!at_space || from < s.size))
        jlist_add(&r->w, out.list, jval_string(jstr_slice(s, from, s.size)));
    return out;
}

static struct jval strip(struct jrun *r, struct jstr s, const struct jargs *a, int sides) {
    struct jval set = jargs_get(a, 0, "chars");
    jwork_step(&r->w, s.size);
    return jval_string(jstr_strip(s, set.type == J_STRING ? &set.s : NULL, sides));
}
static struct jval strip_both(struct jrun *r, struct jstr s, const struct jargs *a) {
    return strip(r, s, a, STRIP_LEFT | STRIP_RIGHT);
}
static struct jval strip_left(struct jrun *r, struct jstr s, const struct jargs *a) {
    return strip(r, s, a, STRIP_LEFT);
}
static struct jval strip_right(struct jrun *r, struct jstr s, const struct jargs *a) {
    return strip(r, s, a, STRIP_RIGHT);
}

/* The text, or any of a list of texts, stands at that end. */
static bool has_end(struct jrun *r, struct jstr s, struct jval what, bool at_start) {
    if (what.type == J_LIST) {
        for (size_t i = 0; i < what.list->n && jwork_step(&r->w, 0); i++)
            if (what.list->at[i].type == J_STRING && has_end(r, s, what.list->at[i], at_start)) return true;
        return false;
    }
    if (what.type != J_STRING) {
        jwork_fail(&r->w, ERR_INPUT, "startswith, endswith: want a string, found %s", jval_kind(what));
        return false;
    }
    size_t n = what.s.size;
    return n <= s.size && jstr_same(at_start ? jstr_slice(s, 0, n) : jstr_slice(s, s.size - n, s.size), what.s);
}
static struct jval starts_with(struct jrun *r, struct jstr s, const struct jargs *a) {
    return jval_bool(has_end(r, s, jargs_get(a, 0, NULL), true));
}
static struct jval ends_with(struct jrun *r, struct jstr s, const struct jargs *a) {
    return jval_bool(has_end(r, s, jargs_get(a, 0, NULL), false));
}

static struct jval replace(struct jrun *r, struct jstr s, const struct jargs *a) {
    struct jval old = jargs_get(a, 0, "old"), new_text = jargs_get(a, 1, "new"), most = jargs_get(a, 2, "count");
    if (old.type != J_STRING || new_text.type != J_STRING) jwork_fail(&r->w, ERR_INPUT, "replace: wants two strings");
    if (r->w.status) return jval_undefined();
    return jstr_replace(&r->w, s, old.s, new_text.s, most.type == J_INT ? most.i : -1);
}

static struct jval upper(struct jrun *r, struct jstr s, const struct jargs *a) {
    return (void)a, jstr_case(&r->w, s, 'u');
}
static struct jval lower(struct jrun *r, struct jstr s, const struct jargs *a) {
    return (void)a, jstr_case(&r->w, s, 'l');
}
static struct jval title(struct jrun *r, struct jstr s, const struct jargs *a) {
    return (void)a, jstr_case(&r->w, s, 't');
}
static struct jval capitalize(struct jrun *r, struct jstr s, const struct jargs *a) {
    return (void)a, jstr_case(&r->w, s, 'c');
}

/* "{}", "{0}", "{name}"; "{{" and "}}" are braces. */
static struct jval format(struct jrun *r, struct jstr s, const struct jargs *a) {
    struct jbuf b = {0};
    size_t next = 0;
    for (size_t i = 0; i < s.size && jwork_step(&r->w, 0); i++) {
        char c = s.text[i];
        if (c != '{' && c != '}') {
            jbuf_add(&r->w, &b, jstr_slice(s, i, i + 1));
            continue;
        }
        if (i + 1 < s.size && s.text[i + 1] == c) {
            jbuf_add(&r->w, &b, jstr_slice(s, i, i + 1));
            i++;
            continue;
        }
        char name[40] = "";
        size_t end = c == '{' ? jstr_find(&r->w, s, jstr_of("}"), i) : SIZE_MAX, n = end == SIZE_MAX ? 0 : end - i - 1;
        if (n && n < sizeof name) memcpy(name, s.text + i + 1, n);
        size_t place = n == 0                                       ? next++
                       : n == 1 && name[0] >= '0' && name[0] <= '9' ? (size_t)(name[0] - '0')
                                                                    : SIZE_MAX;
        struct jval v = jargs_get(a, place, name);
        if (end == SIZE_MAX || v.type == J_UNDEFINED) {
            jwork_fail(&r->w, ERR_INPUT, "format: only {}, {0} and {name} with a value are known, found \"{%s\"", name);
            break;
        }
        jbuf_value_text(&r->w, &b, v);
        i = end;
    }
    return jbuf_value(&b);
}

static struct jval join(struct jrun *r, struct jstr s, const struct jargs *a) {
    struct jval between = jval_string(s);
    struct jstr by_place = {0};
    return jfilter_join(r, jargs_get(a, 0, NULL), &(struct jargs){&between, &by_place, 1});
}

static const struct {
    const char *name;
    struct jval (*call)(struct jrun *r, struct jstr s, const struct jargs *a);
} string_methods[] = {
    {"split", split},
    {"strip", strip_both},
    {"lstrip", strip_left},
    {"rstrip", strip_right},
    {"startswith", starts_with},
    {"endswith", ends_with},
    {"replace", replace},
    {"upper", upper},
    {"lower", lower},
    {"title", title},
    {"capitalize", capitalize},
    {"format", format},
    {"join", join},
};

/* ---- methods of lists and dicts ---- */

static void remove_at(void *at, size_t i, size_t *n, size_t size) {
    memmove((char *)at + i * size, (char *)at + (i + 1) * size, (*n - i - 1) * size);
    --*n;
}

static bool list_method(struct jrun *r, struct jlist *l, struct jstr name, const struct jargs *a, struct jval *out) {
    struct jval v = jargs_get(a, 0, NULL);
    if (jstr_is(name, "append")) {
        jlist_add(&r->w, l, v);
        *out = jval_none();
        return true;
    }
    if (!jstr_is(name, "pop")) return false;
    int64_t i = v.type == J_INT ? v.i : -1;
    if (i < 0) i += (int64_t)l->n;
    if (i < 0 || (uint64_t)i >= l->n) {
        jwork_fail(&r->w, ERR_INPUT, "pop: no such item in a list of %zu", l->n);
        return true;
    }
    *out = l->at[i];
    remove_at(l->at, (size_t)i, &l->n, sizeof *l->at);
    jwork_step(&r->w, l->n);
    return true;
}

/* items, keys, values */
static struct jval dict_list(struct jrun *r, const struct jdict *d, char what) {
    struct jval out = jlist_new(&r->w, d->n);
    for (size_t i = 0; out.type == J_LIST && i < d->n && jwork_step(&r->w, 0); i++) {
        struct jval one = what == 'k' ? d->at[i].key : d->at[i].value;
        if (what == 'i') {
            one = jlist_new(&r->w, 2);
            if (one.type != J_LIST) break;
            jlist_add(&r->w, one.list, d->at[i].key);
            jlist_add(&r->w, one.list, d->at[i].value);
        }
        jlist_add(&r->w, out.list, one);
    }
    return out;
}

static bool dict_method(struct jrun *r, struct jdict *d, struct jstr name, const struct jargs *a, struct jval *out) {
    bool get = jstr_is(name, "get"), pop = jstr_is(name, "pop");
    if (jstr_is(name, "items") || jstr_is(name, "keys") || jstr_is(name, "values")) {
        *out = dict_list(r, d, name.text[0]);
        return true;
    }
    if (!get && !pop) return false;
    struct jval key = jargs_get(a, 0, "key"), fallback = jargs_get(a, 1, "default");
    const struct jval *v = jdict_find(&r->w, d, key);
    if (!v && pop && a->n < 2) jwork_fail(&r->w, ERR_INPUT, "pop: the dict has no such key");
    *out = v ? *v : fallback.type == J_UNDEFINED ? jval_none() : fallback;
    for (size_t i = 0; v && pop && i < d->n; i++)
        if (&d->at[i].value == v) {
            remove_at(d->at, i, &d->n, sizeof *d->at);
            break;
        }
    return true;
}

bool jval_method(struct jrun *r, struct jval self, struct jstr name, const struct jargs *a, struct jval *out) {
    if (self.type == J_LIST) return list_method(r, self.list, name, a, out);
    if (self.type == J_DICT) return dict_method(r, self.dict, name, a, out);
    if (self.type != J_STRING) return false;
    for (size_t i = 0; i < sizeof string_methods / sizeof *string_methods; i++)
        if (jstr_is(name, string_methods[i].name)) {
            *out = string_methods[i].call(r, self.s, a);
            return true;
        }
    return false;
}
