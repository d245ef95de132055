/* grammar_parse.c: the text of a grammar to code.
 * Not its running: grammar.c.
 * Next: grammar_class.c.
 *
 *   rules        name ::= alternatives, one after the other; within (), after ::= and after | lines may break
 *   alternatives sequence | sequence ...
 *   sequence     items, each perhaps followed by * + ? {m} {m,} {m,n}; "" and nothing at all are the empty text
 *   items        "literal"  [class]  [^class]  .  (group)  name
 *   escapes      \n \r \t \" \\ \[ \] \- \^ \xHH \uHHHH \UHHHHHHHH
 *   comments     # to the end of the line */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "model/grammar_internal.h"

struct parser {
    struct grammar *g;
    size_t at; /* next byte of g->text, which ends with a NUL */
    uint32_t depth;
    struct error *e;
};

static enum status alternatives(struct parser *p);

enum status grammar_wrong(const struct grammar *g, size_t at, struct error *e, const char *format, ...) {
    char what[256];
    va_list args;
    va_start(args, format);
    vsnprintf(what, sizeof what, format, args);
    va_end(args);
    size_t line = 1, start = 0;
    for (size_t i = 0; i < at; i++)
        if (g->text[i] == '\n') line++, start = i + 1;
    return error_set(e, ERR_INPUT, "%s: line %zu, column %zu: %s", g->name, line, at - start + 1, what);
}

enum status grammar_grow(void **array, uint32_t n, uint32_t *cap, size_t size, struct error *e) {
    if (n < *cap) return OK;
    uint32_t wider = *cap ? *cap * 2 : 64;
    void *p = mem_grow(*array, n, wider, size);
    if (!p) return error_set(e, ERR_MEMORY, "no memory for a grammar of %u elements", n);
    *array = p, *cap = wider;
    return OK;
}

static enum status too_large(const struct grammar *g, size_t at, struct error *e) {
    return grammar_wrong(g, at, e, "here the grammar has more than %d elements", GRAMMAR_OPS);
}

enum status grammar_op(struct grammar *g, enum op_kind kind, int32_t arg, size_t at, struct error *e) {
    if (g->n_ops >= GRAMMAR_OPS) return too_large(g, at, e);
    enum status s = grammar_grow((void **)&g->ops, g->n_ops, &g->cap_ops, sizeof *g->ops, e);
    if (s) return s;
    g->ops[g->n_ops++] = (struct op){kind, arg, (uint32_t)at};
    return OK;
}

/* A SPLIT in front of the code from `start` on, which moves; what is within it jumps by distances and need not know. */
static enum status split_before(struct parser *p, uint32_t start, size_t at) {
    struct grammar *g = p->g;
    enum status s = grammar_op(g, OP_SPLIT, 0, at, p->e);
    if (s) return s;
    memmove(&g->ops[start + 1], &g->ops[start], (g->n_ops - 1 - start) * sizeof *g->ops);
    g->ops[start] = (struct op){OP_SPLIT, 0, (uint32_t)at};
    return OK;
}

/* Spaces and comments; line ends where they mean nothing. */
static void skip(struct parser *p, bool lines) {
    for (const char *t = p->g->text;; p->at++) {
        if (t[p->at] == '#') p->at += strcspn(t + p->at, "\r\n");
        char c = t[p->at];
        if (c != ' ' && c != '\t' && !(lines && (c == '\n' || c == '\r'))) return;
    }
}

static bool is_name(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
}

static enum status name(struct parser *p, const char **start, size_t *n) {
    *start = p->g->text + p->at;
    for (*n = 0; is_name((*start)[*n]); ++*n) continue;
    if (!*n) return grammar_wrong(p->g, p->at, p->e, "the name of a rule is expected");
    p->at += *n;
    return OK;
}

static enum status find_rule(struct parser *p, const char *start, size_t n, size_t at, uint32_t *rule) {
    struct grammar *g = p->g;
    for (*rule = 0; *rule < g->n_rules; ++*rule)
        if (g->rules[*rule].n_name == n && !memcmp(g->rules[*rule].name, start, n)) return OK;
    if (g->n_rules >= GRAMMAR_RULES)
        return grammar_wrong(g, at, p->e, "here the grammar has more than %d rules", GRAMMAR_RULES);
    enum status s = grammar_grow((void **)&g->rules, g->n_rules, &g->cap_rules, sizeof *g->rules, p->e);
    if (!s) g->rules[g->n_rules++] = (struct rule){.name = start, .n_name = n, .at = (uint32_t)at};
    return s;
}

static int hex_digit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static enum status hex(struct parser *p, int digits, uint32_t *c) {
    for (*c = 0; digits--; p->at++) {
        int digit = hex_digit(p->g->text[p->at]);
        if (digit < 0) return grammar_wrong(p->g, p->at, p->e, "a hexadecimal digit is expected");
        *c = *c << 4 | (uint32_t)digit;
    }
    if (*c > 0x10FFFF || (*c >= 0xD800 && *c < 0xE000))
        return grammar_wrong(p->g, p->at, p->e, "U+%04X is no character", (unsigned)*c);
    return OK;
}

/* One character as written: of UTF-8, or an escape. */
static enum status character(struct parser *p, uint32_t *c) {
    static const char from[] = "nrt\"\\[]-^", to[] = "\n\r\t\"\\[]-^";
    const unsigned char *t = (const unsigned char *)p->g->text + p->at;
    if (*t == '\\') {
        const char *simple = t[1] ? strchr(from, (char)t[1]) : NULL;
        int digits = t[1] == 'x' ? 2 : t[1] == 'u' ? 4 : t[1] == 'U' ? 8 : 0;
        if (!simple && !digits)
            return grammar_wrong(p->g, p->at, p->e,
                                 "no escape; known are \\n \\r \\t \\\" \\\\ \\[ \\] \\- \\^ \\x \\u \\U");
        p->at += 2;
        return digits ? hex(p, digits, c) : (*c = (uint32_t)to[simple - from], OK);
    }
    int more = *t < 0x80                 ? 0
               : *t >= 0xC2 && *t < 0xE0 ? 1
               : *t >= 0xE0 && *t < 0xF0 ? 2
               : *t >= 0xF0 && *t < 0xF5 ? 3
                                         : -1;
    if (more < 0) return grammar_wrong(p->g, p->at, p->e, "the byte 0x%02X is not UTF-8", *t);
    *c = more ? *t & (0x3Fu >> more) : *t;
    for (int i = 1; i <= more; i++) {
        if ((t[i] & 0xC0) != 0x80) return grammar_wrong(p->g, p->at, p->e, "the byte 0x%02X is not UTF-8", *t);
        *c = *c << 6 | (t[i] & 0x3F);
    }
    p->at += (size_t)more + 1;
    return OK;
}

static enum status unclosed(struct parser *p, size_t at, const char *what) {
    return grammar_wrong(p->g, at, p->e, "%s is not closed", what);
}

static bool at_line_end(const struct parser *p) { return strchr("\r\n", p->g->text[p->at]) != NULL; } /* or the end */

static enum status literal(struct parser *p) {
    size_t start = p->at++;
    enum status s = OK;
    while (!s && p->g->text[p->at] != '"') {
        uint32_t point, one[1][2];
        size_t at = p->at;
        if (at_line_end(p)) return unclosed(p, start, "this literal");
        s = character(p, &point);
        one[0][0] = one[0][1] = point;
        if (!s)
            s = point < 0x80 ? grammar_byte(p->g, (unsigned char)point, at, p->e)
                             : grammar_class(p->g, one, 1, false, at, p->e);
    }
    p->at++;
    return s;
}

/* "x" or "x-y". */
static enum status class_range(struct parser *p, size_t start, uint32_t range[2]) {
    if (at_line_end(p)) return unclosed(p, start, "this class");
    enum status s = character(p, &range[0]);
    if (s) return s;
    range[1] = range[0];
    if (p->g->text[p->at] != '-' || p->g->text[p->at + 1] == ']') return OK;
    p->at++;
    if (at_line_end(p)) return unclosed(p, start, "this class");
    size_t at = p->at;
    if ((s = character(p, &range[1]))) return s;
    return range[1] < range[0] ? grammar_wrong(p->g, at, p->e, "this range of characters ends before its start") : OK;
}

static enum status char_class(struct parser *p) {
    size_t start = p->at++;
    uint32_t n = 0, cap = 0, (*ranges)[2] = NULL;
    bool inverted = p->g->text[p->at] == '^';
    enum status s = OK;
    if (inverted) p->at++;
    while (!s && p->g->text[p->at] != ']') {
        s = grammar_grow((void **)&ranges, n, &cap, sizeof *ranges, p->e);
        if (!s) s = class_range(p, start, ranges[n++]);
    }
    if (!s) p->at++;
    if (!s && !n) s = grammar_wrong(p->g, start, p->e, "this class is empty");
    if (!s) s = grammar_class(p->g, ranges, n, inverted, start, p->e);
    mem_free(ranges);
    return s;
}

static enum status group(struct parser *p) {
    size_t start = p->at++;
    if (p->depth >= GRAMMAR_DEPTH)
        return grammar_wrong(p->g, start, p->e, "more than %d groups within each other", GRAMMAR_DEPTH);
    p->depth++;
    enum status s = alternatives(p);
    p->depth--;
    if (s) return s;
    if (p->g->text[p->at] != ')') return unclosed(p, start, "this group");
    p->at++;
    return OK;
}

static enum status reference(struct parser *p) {
    const char *start;
    size_t n, at = p->at;
    uint32_t rule;
    enum status s = name(p, &start, &n);
    if (!s) s = find_rule(p, start, n, at, &rule);
    return s ? s : grammar_op(p->g, OP_CALL, (int32_t)rule, at, p->e);
}

/* ---- repetition ---- */

static enum status append_copy(struct parser *p, uint32_t from, uint32_t n) {
    enum status s = OK;
    for (uint32_t i = 0; !s && i < n; i++) {
        struct op op = p->g->ops[from + i];
        s = grammar_op(p->g, op.kind, op.arg, op.at, p->e);
    }
    return s;
}

/* The code from `start` on, least to most times; most < 0: without end.
 *   x*      SPLIT(out) x JUMP(back)         x{2,}   x x SPLIT(back to the second)
 *   x{1,3}  x SPLIT(out) x SPLIT(out) x */
static enum status repeat(struct parser *p, uint32_t start, int32_t least, int32_t most, size_t at) {
    struct grammar *g = p->g;
    uint32_t n = g->n_ops - start;
    enum status s = OK;
    if (!most) return g->n_ops = start, OK;
    if (!least && most < 0) {
        s = split_before(p, start, at);
        g->ops[start].arg = (int32_t)n + 2;
        return s ? s : grammar_op(g, OP_JUMP, -(int32_t)n - 1, at, p->e);
    }
    uint32_t from = start + (least ? 0 : 1);
    if (!least) s = split_before(p, start, at);
    for (int32_t i = 1; !s && i < least; i++) s = append_copy(p, from, n);
    if (!s && most < 0) return grammar_op(g, OP_SPLIT, -(int32_t)n, at, p->e);
    for (int32_t i = least ? least : 1; !s && i < most; i++) {
        s = grammar_op(g, OP_SPLIT, 0, at, p->e);
        if (!s) s = append_copy(p, from, n);
    }
    /* The optional ones lie at the end, n + 1 ops each. */
    for (uint32_t i = 1, left = (uint32_t)(most - least); !s && i <= left; i++)
        g->ops[g->n_ops - i * (n + 1)].arg = (int32_t)(i * (n + 1));
    return s;
}

static enum status number(struct parser *p, int32_t *out) {
    const char *t = p->g->text;
    size_t at = p->at;
    if (t[at] < '0' || t[at] > '9') return grammar_wrong(p->g, at, p->e, "a number is expected");
    for (*out = 0; t[p->at] >= '0' && t[p->at] <= '9'; p->at++) {
        *out = *out * 10 + (t[p->at] - '0');
        if (*out > GRAMMAR_REPEAT) return grammar_wrong(p->g, at, p->e, "a repetition of more than %d", GRAMMAR_REPEAT);
    }
    return OK;
}

static enum status braces(struct parser *p, int32_t *least, int32_t *most) {
    size_t start = p->at++;
    skip(p, true);
    enum status s = number(p, least);
    if (s) return s;
    *most = *least;
    skip(p, true);
    if (p->g->text[p->at] == ',') {
        p->at++, *most = -1;
        skip(p, true);
        if (p->g->text[p->at] != '}' && (s = number(p, most))) return s;
        skip(p, true);
    }
    if (p->g->text[p->at] != '}') return unclosed(p, start, "this repetition");
    if (*most >= 0 && *most < *least)
        return grammar_wrong(p->g, start, p->e, "a repetition of at least %d and at most %d", *least, *most);
    p->at++;
    return OK;
}

static enum status repetition(struct parser *p, uint32_t start) {
    size_t at = p->at;
    char c = p->g->text[at];
    int32_t least = c == '+', most = c == '?' ? 1 : -1;
    enum status s = OK;
    if (c == '{') s = braces(p, &least, &most);
    else p->at++;
    return s ? s : repeat(p, start, least, most, at);
}

/* ---- sequences, alternatives, rules ---- */

static enum status item(struct parser *p) {
    char c = p->g->text[p->at];
    uint32_t none[1][2];
    if (c == '"') return literal(p);
    if (c == '[') return char_class(p);
    if (c == '(') return group(p);
    if (c == '.') return grammar_class(p->g, none, 0, true, p->at++, p->e);
    if (c == '<' || c == '!') return grammar_wrong(p->g, p->at, p->e, "tokens in a grammar are not supported");
    if (!is_name(c)) return grammar_wrong(p->g, p->at, p->e, "'%c' is not expected here", c);
    return reference(p);
}

static enum status sequence(struct parser *p) {
    enum status s = OK;
    uint32_t start = UINT32_MAX; /* of the last item: there is none */
    skip(p, p->depth > 0);
    while (!s && p->g->text[p->at] && !strchr("|)\r\n", p->g->text[p->at])) {
        if (strchr("*+?{", p->g->text[p->at])) {
            if (start == UINT32_MAX) return grammar_wrong(p->g, p->at, p->e, "there is nothing to repeat");
            s = repetition(p, start);
        } else {
            start = p->g->n_ops;
            s = item(p);
        }
        if (!s) skip(p, p->depth > 0);
    }
    return s;
}

static enum status alternatives(struct parser *p) {
    struct grammar *g = p->g;
    uint32_t start = g->n_ops;
    int32_t last_jump = -1; /* chained through their args until the end is known */
    enum status s = sequence(p);
    while (!s && g->text[p->at] == '|') {
        size_t at = p->at++;
        skip(p, true);
        if ((s = split_before(p, start, at)) || (s = grammar_op(g, OP_JUMP, last_jump, at, p->e))) return s;
        last_jump = (int32_t)g->n_ops - 1;
        g->ops[start].arg = (int32_t)(g->n_ops - start);
        start = g->n_ops;
        s = sequence(p);
    }
    while (!s && last_jump >= 0) {
        int32_t before = g->ops[last_jump].arg;
        g->ops[last_jump].arg = (int32_t)g->n_ops - last_jump;
        last_jump = before;
    }
    return s;
}

static enum status rule(struct parser *p) {
    struct grammar *g = p->g;
    const char *start;
    size_t n, at = p->at;
    uint32_t id;
    enum status s = name(p, &start, &n);
    if (!s) s = find_rule(p, start, n, at, &id);
    if (s) return s;
    if (g->rules[id].defined) return grammar_wrong(g, at, p->e, "the rule %.*s has been defined before", (int)n, start);
    skip(p, false);
    if (strncmp(g->text + p->at, "::=", 3)) return grammar_wrong(g, p->at, p->e, "::= is expected");
    p->at += 3;
    skip(p, true);
    g->rules[id].defined = true, g->rules[id].start = g->n_ops, g->rules[id].at = (uint32_t)at;
    if ((s = alternatives(p))) return s;
    if (!at_line_end(p)) return grammar_wrong(g, p->at, p->e, "'%c' is not expected here", g->text[p->at]);
    return grammar_op(g, OP_RETURN, 0, p->at, p->e);
}

/* The rule "root" is moved to the front of the machine by calling it from the very first op. */
enum status grammar_parse(struct grammar *g, struct error *e) {
    struct parser p = {.g = g, .e = e};
    uint32_t root;
    if (memchr(g->text, 0, g->size)) return grammar_wrong(g, strlen(g->text), e, "a NUL byte");
    enum status s = find_rule(&p, "root", 4, 0, &root);
    if (!s) s = grammar_op(g, OP_CALL, (int32_t)root, 0, e);
    if (!s) s = grammar_op(g, OP_RETURN, 0, 0, e);
    skip(&p, true);
    while (!s && g->text[p.at]) {
        s = rule(&p);
        if (!s) skip(&p, true);
    }
    for (uint32_t i = 0; !s && i < g->n_rules; i++) {
        const struct rule *r = &g->rules[i];
        if (r->defined) continue;
        s = grammar_wrong(g, r->at, e, "the rule %.*s is not defined", (int)(r->n_name < 60 ? r->n_name : 60), r->name);
    }
    return s;
}
