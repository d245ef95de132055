/* jinja_print.c: text of template values: as Python's str() and repr(), and as JSON; the buffer they are written into.
 * Not the parsing of JSON: jansson does that.
 * Next: jinja_eval.c. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tokenizer/template/jinja_internal.h"

/* ---- the buffer ---- */

static bool reserve(struct jwork *w, struct jbuf *b, size_t more) {
    if (more > w->limits.output_bytes || b->n > w->limits.output_bytes - more)
        jwork_fail(w, ERR_INPUT, "the template writes more than %zu bytes", w->limits.output_bytes);
    if (w->status) return false;
    if (b->n + more <= b->cap) return true;
    size_t cap = b->cap ? 2 * b->cap : 64;
    while (cap < b->n + more) cap *= 2;
    char *text = jwork_new(w, cap, 1);
    uint8_t *plain = jwork_new(w, cap, 1);
    if (!text || !plain) return false;
    if (b->n) memcpy(text, b->text, b->n), memcpy(plain, b->plain, b->n);
    b->text = text, b->plain = plain, b->cap = cap;
    return true;
}

void jbuf_add(struct jwork *w, struct jbuf *b, struct jstr s) {
    if (!s.size || !jwork_step(w, s.size) || !reserve(w, b, s.size)) return;
    memcpy(b->text + b->n, s.text, s.size);
    if (s.plain) memcpy(b->plain + b->n, s.plain, s.size);
    else memset(b->plain + b->n, 0, s.size);
    b->n += s.size;
}

void jbuf_text(struct jwork *w, struct jbuf *b, const char *text) { jbuf_add(w, b, jstr_of(text)); }

void jbuf_code_point(struct jwork *w, struct jbuf *b, uint32_t c) {
    char t[5] = {0};
    if (c < 0x80) t[0] = (char)c;
    else if (c < 0x800) t[0] = (char)(0xC0 | c >> 6), t[1] = (char)(0x80 | (c & 63));
    else if (c < 0x10000)
        t[0] = (char)(0xE0 | c >> 12), t[1] = (char)(0x80 | (c >> 6 & 63)), t[2] = (char)(0x80 | (c & 63));
    else
        t[0] = (char)(0xF0 | c >> 18), t[1] = (char)(0x80 | (c >> 12 & 63)), t[2] = (char)(0x80 | (c >> 6 & 63)),
        t[3] = (char)(0x80 | (c & 63));
    jbuf_add(w, b, (struct jstr){t, NULL, c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4});
}

struct jval jbuf_value(const struct jbuf *b) {
    return jval_string((struct jstr){b->n ? b->text : "", b->plain, b->n});
}

/* ---- numbers ---- */

/* The shortest digits that give the same double, in Python's form. */
static void print_real(double r, char text[40], bool json) {
    int digits = 1, exponent;
    if (!isfinite(r)) {
        snprintf(text, 40, "%s%s", r < 0 ? "-" : "", isnan(r) ? (json ? "NaN" : "nan") : json ? "Infinity" : "inf");
        return;
    }
    do snprintf(text, 40, "%.*e", digits - 1, r);
    while (strtod(text, NULL) != r && digits++ < 17);
    exponent = atoi(strchr(text, 'e') + 1);
    if (exponent < -4 || exponent >= 16) return;
    int decimals = digits - 1 - exponent;
    snprintf(text, 40, "%.*f", decimals < 1 ? 1 : decimals, r);
}

static void add_number(struct jwork *w, struct jbuf *b, struct jval v, bool json) {
    char text[40];
    if (v.type == J_INT) snprintf(text, sizeof text, "%lld", (long long)v.i);
    else print_real(v.r, text, json);
    jbuf_text(w, b, text);
}

/* ---- Python's repr ---- */

static void add_repr(struct jwork *w, struct jbuf *b, struct jval v);

static void add_repr_string(struct jwork *w, struct jbuf *b, struct jstr s) {
    bool doubled = s.size && memchr(s.text, '\'', s.size) && !memchr(s.text, '"', s.size);
    char quote = doubled ? '"' : '\'';
    size_t from = 0;
    jbuf_add(w, b, (struct jstr){&quote, NULL, 1});
    for (size_t i = 0; i < s.size; i++) {
        unsigned char c = (unsigned char)s.text[i];
        if (c >= 0x20 && c != '\\' && c != quote && c != 0x7f) continue;
        char text[8];
        if (c == '\n' || c == '\r' || c == '\t')
            snprintf(text, sizeof text, "\\%c", c == '\n' ? 'n' : c == '\r' ? 'r' : 't');
        else if (c == '\\' || c == quote) snprintf(text, sizeof text, "\\%c", c);
        else snprintf(text, sizeof text, "\\x%02x", c);
        jbuf_add(w, b, jstr_slice(s, from, i));
        jbuf_text(w, b, text);
        from = i + 1;
    }
    jbuf_add(w, b, jstr_slice(s, from, s.size));
    jbuf_add(w, b, (struct jstr){&quote, NULL, 1});
}

static void add_repr_members(struct jwork *w, struct jbuf *b, struct jval v) {
    size_t n = v.type == J_LIST ? v.list->n : v.dict->n;
    jbuf_text(w, b, v.type == J_LIST ? "[" : "{");
    for (size_t i = 0; i < n && jwork_step(w, 0); i++) {
        if (i) jbuf_text(w, b, ", ");
        if (v.type == J_LIST) {
            add_repr(w, b, v.list->at[i]);
        } else {
            add_repr(w, b, v.dict->at[i].key);
            jbuf_text(w, b, ": ");
            add_repr(w, b, v.dict->at[i].value);
        }
    }
    jbuf_text(w, b, v.type == J_LIST ? "]" : "}");
}

static void add_repr(struct jwork *w, struct jbuf *b, struct jval v) {
    if (v.type == J_STRING) {
        add_repr_string(w, b, v.s);
    } else if (v.type == J_LIST || v.type == J_DICT) {
        if (jwork_enter(w)) add_repr_members(w, b, v);
        w->depth--;
    } else if (v.type == J_UNDEFINED) {
        jbuf_text(w, b, "Undefined");
    } else {
        jbuf_value_text(w, b, v);
    }
}

void jbuf_value_text(struct jwork *w, struct jbuf *b, struct jval v) {
    switch (v.type) {
    case J_UNDEFINED: return;
    case J_NONE: jbuf_text(w, b, "None"); return;
    case J_BOOL: jbuf_text(w, b, v.yes ? "True" : "False"); return;
    case J_INT:
    case J_REAL: add_number(w, b, v, false); return;
    case J_STRING: jbuf_add(w, b, v.s); return;
    case J_LIST:
    case J_DICT: add_repr(w, b, v); return;
    default: jwork_fail(w, ERR_INPUT, "%s has no text", jval_kind(v));
    }
}

struct jstr jval_text(struct jwork *w, struct jval v) {
    struct jbuf b = {0};
    if (v.type == J_STRING) return v.s;
    jbuf_value_text(w, &b, v);
    return jbuf_value(&b).s;
}

/* ---- JSON ---- */

/* Code point at i (bytes that are no UTF-8 stand for themselves); *next: behind it. */
static uint32_t code_point(struct jstr s, size_t i, size_t *next) {
    unsigned char c = (unsigned char)s.text[i];
    *next = jstr_next(s, i);
    size_t n = *next - i;
    if (n < 2 || n > 4 || c < 0xC0) return c;
    uint32_t v = c & (n == 2 ? 0x1F : n == 3 ? 0x0F : 0x07);
    for (size_t k = i + 1; k < *next; k++) v = v << 6 | ((unsigned char)s.text[k] & 63);
    return v;
}

static void escape_json(uint32_t c, char text[16]) {
    static const char from[] = "\n\r\t\b\f\"\\", to[] = "nrtbf\"\\";
    const char *known = c && c < 0x80 ? strchr(from, (int)c) : NULL;
    if (known) snprintf(text, 16, "\\%c", to[known - from]);
    else if (c < 0x10000) snprintf(text, 16, "\\u%04x", (unsigned)c);
    else
        snprintf(text, 16, "\\u%04x\\u%04x", (unsigned)(0xD800 + ((c - 0x10000) >> 10 & 0x3FF)),
                 (unsigned)(0xDC00 + (c & 0x3FF)));
}

static void add_json_string(struct jwork *w, struct jbuf *b, struct jstr s, bool ascii) {
    size_t from = 0;
    jbuf_text(w, b, "\"");
    for (size_t i = 0, next; i < s.size; i = next) {
        uint32_t c = code_point(s, i, &next);
        if (c >= 0x20 && c != '"' && c != '\\' && (c < 0x7f || !ascii)) continue;
        char text[16];
        escape_json(c, text);
        jbuf_add(w, b, jstr_slice(s, from, i));
        jbuf_text(w, b, text);
        from = next;
    }
    jbuf_add(w, b, jstr_slice(s, from, s.size));
    jbuf_text(w, b, "\"");
}

static void break_line(struct jwork *w, struct jbuf *b, const struct json_style *s, int level) {
    if (s->indent < 0) return;
    jbuf_text(w, b, "\n");
    for (int64_t i = (int64_t)level * s->indent; i > 0 && jwork_step(w, 0); i--) jbuf_text(w, b, " ");
}

static int by_key(const void *a, const void *b) {
    return jstr_order(((const struct jpair *)a)->key.s, ((const struct jpair *)b)->key.s);
}

/* The dict's pairs in the order they are written. */
static const struct jpair *pairs_of(struct jwork *w, const struct jdict *d, bool sorted) {
    if (!sorted) return d->at;
    struct jpair *p = jwork_new(w, d->n, sizeof *p);
    for (size_t i = 0; p && i < d->n; i++)
        p[i] = (struct jpair){jval_string(jval_text(w, d->at[i].key)), d->at[i].value};
    if (p && d->n && !w->status) qsort(p, d->n, sizeof *p, by_key);
    return p;
}

static void add_json(struct jwork *w, struct jbuf *b, struct jval v, const struct json_style *s, int level);

static void add_json_members(struct jwork *w, struct jbuf *b, struct jval v, const struct json_style *s, int level) {
    bool is_list = v.type == J_LIST;
    size_t n = is_list ? v.list->n : v.dict->n;
    const struct jpair *pairs = is_list ? NULL : pairs_of(w, v.dict, s->sort_keys);
    jbuf_text(w, b, is_list ? "[" : "{");
    for (size_t i = 0; i < n && jwork_step(w, 0); i++) {
        if (i) jbuf_add(w, b, s->item_separator);
        break_line(w, b, s, level + 1);
        if (!is_list) {
            add_json_string(w, b, jval_text(w, pairs[i].key), s->ascii);
            jbuf_add(w, b, s->key_separator);
        }
        add_json(w, b, is_list ? v.list->at[i] : pairs[i].value, s, level + 1);
    }
    if (n) break_line(w, b, s, level);
    jbuf_text(w, b, is_list ? "]" : "}");
}

static void add_json(struct jwork *w, struct jbuf *b, struct jval v, const struct json_style *s, int level) {
    switch (v.type) {
    case J_NONE: jbuf_text(w, b, "null"); return;
    case J_BOOL: jbuf_text(w, b, v.yes ? "true" : "false"); return;
    case J_INT:
    case J_REAL: add_number(w, b, v, true); return;
    case J_STRING: add_json_string(w, b, v.s, s->ascii); return;
    case J_LIST:
    case J_DICT:
        if (jwork_enter(w)) add_json_members(w, b, v, s, level);
        w->depth--;
        return;
    default: jwork_fail(w, ERR_INPUT, "tojson: %s has no JSON form", jval_kind(v));
    }
}

void jbuf_json(struct jwork *w, struct jbuf *b, struct jval v, const struct json_style *s) { add_json(w, b, v, s, 0); }
