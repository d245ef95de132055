/* jinja_lex.c: a template as tokens: text between tags, and what is in the tags.
 * Not the grammar: jinja_parse.c.  White space around tags is decided here, so that nobody else needs to know of it.
 * Next: jinja_parse.c. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tokenizer/template/jinja_internal.h"

static bool is_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }
static bool is_digit(char c) { return c >= '0' && c <= '9'; }
static bool is_name(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || is_digit(c) || (unsigned char)c >= 0x80;
}

static char char_at(const struct jlexer *l, size_t at) { return at < l->size ? l->text[at] : 0; }

static void move_to(struct jlexer *l, size_t at) {
    for (; l->at < at; l->at++) l->line += l->text[l->at] == '\n';
}

/* ---- text ---- */

/* Behind a tag or comment.  sign: the character before its end.  Variables keep the newline after them. */
static void after_tag(struct jlexer *l, char sign, bool is_variable) {
    size_t to = l->at;
    if (sign == '-')
        while (is_space(char_at(l, to))) to++;
    else if (sign != '+' && !is_variable && char_at(l, to) == '\n') to++;
    l->line_begins = to > l->at && l->text[to - 1] == '\n';
    move_to(l, to);
}

/* The text without what its neighbour on the right takes away: a "-" all white space, a tag that is the first thing on
 * its line the blanks before it. */
static size_t text_end(const struct jlexer *l, size_t end, char sign, bool is_variable) {
    size_t from = l->at, to = end;
    if (sign == '-') {
        while (to > from && is_space(l->text[to - 1])) to--;
        return to;
    }
    if (sign == '+' || is_variable) return end;
    while (to > from && is_space(l->text[to - 1]) && l->text[to - 1] != '\n') to--;
    bool whole_line = to > from ? l->text[to - 1] == '\n' : l->line_begins;
    return whole_line ? to : end;
}

static void skip_comment(struct jlexer *l) {
    const char *end = memmem(l->text + l->at, l->size - l->at, "#}", 2);
    if (!end) {
        jwork_fail(l->w, ERR_INPUT, "a comment has no end");
        return;
    }
    size_t at = (size_t)(end - l->text);
    char sign = at > l->at ? end[-1] : 0;
    move_to(l, at + 2);
    after_tag(l, sign, false);
}

/* Text up to the next tag, which is remembered in l->opening; size 0 when there is none before it. */
static struct jtoken next_text(struct jlexer *l) {
    struct jtoken t = {.kind = T_TEXT, .line = l->line};
    size_t at = l->at;
    for (; at < l->size; at++)
        if (l->text[at] == '{' && at + 1 < l->size && strchr("{%#", l->text[at + 1]) && l->text[at + 1]) break;
    if (at >= l->size) {
        t.text = (struct jstr){l->text + l->at, NULL, l->size - l->at};
        move_to(l, l->size);
        return t;
    }
    char kind = l->text[at + 1], sign = char_at(l, at + 2);
    t.text = (struct jstr){l->text + l->at, NULL, text_end(l, at, sign, kind == '{') - l->at};
    move_to(l, at + 2);
    if (sign == '-' || (sign == '+' && kind == '%')) move_to(l, l->at + 1);
    if (kind == '#') skip_comment(l);
    else l->opening = kind;
    return t;
}

/* ---- in tags ---- */

static void add_escape(struct jlexer *l, struct jbuf *b, size_t *at) {
    static const char from[] = "nrtbfv0\\'\"", to[] = "\n\r\t\b\f\v\0\\'\"";
    char c = char_at(l, ++*at);
    const char *known = c ? strchr(from, c) : NULL;
    int digits = c == 'x' ? 2 : c == 'u' ? 4 : c == 'U' ? 8 : 0;
    uint32_t value = 0;
    ++*at;
    if (known) {
        jbuf_add(l->w, b, (struct jstr){&to[known - from], NULL, 1});
        return;
    }
    if (!digits) {
        jbuf_add(l->w, b, (struct jstr){l->text + *at - 2, NULL, *at - 1 < l->size ? 2 : 1});
        return;
    }
    for (; digits; digits--, ++*at) {
        char d = char_at(l, *at) | 32;
        if (!is_digit(d) && !(d >= 'a' && d <= 'f')) break;
        value = value << 4 | (uint32_t)(is_digit(d) ? d - '0' : d - 'a' + 10);
    }
    if (digits || value > 0x10FFFF) jwork_fail(l->w, ERR_INPUT, "a string has a bad \\%c escape", c);
    else jbuf_code_point(l->w, b, value);
}

static void read_string(struct jlexer *l, struct jtoken *t) {
    char quote = l->text[l->at];
    size_t at = l->at + 1, from = at;
    struct jbuf b = {0};
    t->kind = T_STRING;
    while (at < l->size && l->text[at] != quote && !l->w->status) {
        if (l->text[at] != '\\') {
            at++;
            continue;
        }
        jbuf_add(l->w, &b, (struct jstr){l->text + from, NULL, at - from});
        add_escape(l, &b, &at);
        from = at;
    }
    if (at >= l->size) {
        jwork_fail(l->w, ERR_INPUT, "a string has no end");
        return;
    }
    jbuf_add(l->w, &b, (struct jstr){l->text + from, NULL, at - from});
    t->text = (struct jstr){b.n ? b.text : "", NULL, b.n};
    move_to(l, at + 1);
}

static void read_number(struct jlexer *l, struct jtoken *t) {
    char text[40];
    size_t n = 0, at = l->at;
    bool real = false;
    for (; n < sizeof text - 1; at++) {
        char c = char_at(l, at);
        bool exponent = (c == 'e' || c == 'E') && (is_digit(char_at(l, at + 1)) || strchr("+-", char_at(l, at + 1)));
        bool point = c == '.' && !real && is_digit(char_at(l, at + 1));
        bool sign = (c == '-' || c == '+') && n && (text[n - 1] | 32) == 'e';
        if (c == '_') continue;
        if (!is_digit(c) && !exponent && !point && !sign) break;
        real = real || exponent || point;
        text[n++] = c;
    }
    text[n] = 0;
    errno = 0;
    t->kind = real ? T_REAL : T_INT;
    t->i = real ? 0 : strtoll(text, NULL, 10);
    t->r = real ? strtod(text, NULL) : 0;
    if (errno == ERANGE && !real) jwork_fail(l->w, ERR_INPUT, "%s is too large", text);
    if (is_name(char_at(l, at))) jwork_fail(l->w, ERR_INPUT, "\"%s%c\" is no number", text, char_at(l, at));
    move_to(l, at);
}

static void read_operator(struct jlexer *l, struct jtoken *t) {
    static const char *const pairs[] = {"==", "!=", "<=", ">=", "//", "**"};
    char c = l->text[l->at];
    size_t n = 1;
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++)
        if (c == pairs[i][0] && char_at(l, l->at + 1) == pairs[i][1]) n = 2;
    if (!strchr("=<>!+-*/%~|.,:()[]{}", c) || !c || (c == '!' && n == 1))
        jwork_fail(l->w, ERR_INPUT, "\"%c\" has no meaning in a tag", c);
    l->braces += strchr("([{", c) ? 1 : strchr(")]}", c) ? -1 : 0;
    t->kind = T_OP;
    t->text = (struct jstr){l->text + l->at, NULL, n};
    l->at += n;
}

/* "}}", "%}" with their signs, unless a dict is still open. */
static bool read_close(struct jlexer *l, struct jtoken *t) {
    char sign = char_at(l, l->at), first = l->tag == '{' ? '}' : '%';
    size_t at = l->at + (sign == '-' || (sign == '+' && first == '%'));
    if (char_at(l, at) != first || char_at(l, at + 1) != '}' || (l->braces > 0 && first == '}' && at == l->at))
        return false;
    t->kind = l->tag == '{' ? T_PRINT_CLOSE : T_TAG_CLOSE;
    l->at = at + 2;
    after_tag(l, sign, l->tag == '{');
    l->tag = 0;
    return true;
}

static struct jtoken next_in_tag(struct jlexer *l) {
    while (is_space(char_at(l, l->at))) move_to(l, l->at + 1);
    struct jtoken t = {.kind = T_END, .line = l->line};
    l->w->line = l->line;
    if (l->at >= l->size) {
        jwork_fail(l->w, ERR_INPUT, "a tag has no end");
        return t;
    }
    char c = l->text[l->at];
    if (read_close(l, &t)) return t;
    if (c == '\'' || c == '"') {
        read_string(l, &t);
    } else if (is_digit(c)) {
        read_number(l, &t);
    } else if (is_name(c)) {
        size_t at = l->at;
        while (is_name(char_at(l, at))) at++;
        t.kind = T_NAME;
        t.text = (struct jstr){l->text + l->at, NULL, at - l->at};
        l->at = at;
    } else {
        read_operator(l, &t);
    }
    return t;
}

struct jtoken jlexer_next(struct jlexer *l) {
    while (!l->w->status) {
        if (l->tag) return next_in_tag(l);
        if (l->opening) {
            l->tag = l->opening, l->opening = 0, l->braces = 0;
            return (struct jtoken){.kind = l->tag == '{' ? T_PRINT_OPEN : T_TAG_OPEN, .line = l->line};
        }
        if (l->at >= l->size) break;
        l->w->line = l->line;
        struct jtoken t = next_text(l);
        if (t.text.size) return t;
    }
    return (struct jtoken){.kind = T_END, .line = l->line};
}
