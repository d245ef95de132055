/* json_schema_text.c: strings of a schema: length, format, pattern, and names that are not taken.
 * Not the JSON around them: json_schema.c.
 * Next: grammar.h.
 *
 * Patterns are ECMA regular expressions without look-around, references and lazy repetition, and anchored: ^...$. 
 * Their characters are those that JSON writes without an escape, but for \" and \\, which are escaped. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "model/json_schema_internal.h"

/* clang-format off */
#define DAY "\"0\" [1-9] | [12] [0-9]"
#define DATE "[0-9]{4} \"-\" ((\"0\" [13578] | \"1\" [02]) \"-\" (" DAY " | \"3\" [01])" \
    " | (\"0\" [469] | \"11\") \"-\" (" DAY " | \"30\")" \
    " | \"02-\" (\"0\" [1-9] | \"1\" [0-9] | \"2\" [0-8]))" /* no 29 February: years are not looked at */
#define HOUR "([01] [0-9] | \"2\" [0-3])"
#define TIME HOUR " \":\" [0-5] [0-9] \":\" [0-5] [0-9] (\".\" [0-9]{1,9})? (\"Z\" | [-+] " HOUR " \":\" [0-5] [0-9])"
#define OCTET "(\"25\" [0-5] | \"2\" [0-4] [0-9] | \"1\" [0-9]{2} | [1-9] [0-9] | [0-9])"
static const char *const formats[][2] = {
    {"date", DATE},
    {"time", TIME},
    {"date-time", DATE " \"T\" " TIME},
    {"uuid", "hex{8} \"-\" hex{4} \"-\" hex{4} \"-\" hex{4} \"-\" hex{12}"},
    {"ipv4", OCTET " (\".\" " OCTET "){3}"},
};
/* clang-format on */

static const char plain_char[] = "[^\"\\\\\\x00-\\x1F\\x7F]";

/* ---- patterns ---- */

struct pattern {
    struct schema *c;
    const char *at;
    int depth;
    struct buffer *out;
};

static enum status pattern_alternatives(struct pattern *p);

static enum status pattern_wrong(const struct pattern *p, const char *what) {
    return schema_wrong(p->c, "\"pattern\": at \"%.40s\": %s", p->at, what);
}

/* A literal character c, as JSON writes it. */
static void put_char(struct buffer *out, const char *c, size_t n) {
    if (*c == '"') buffer_text(out, "\"\\\\\\\"\" ");
    else if (*c == '\\') buffer_text(out, "\"\\\\\\\\\" ");
    else buffer_print(out, "\"%.*s\" ", (int)n, c);
}

static size_t utf8_size(const char *c) {
    unsigned char b = (unsigned char)*c;
    return b < 0x80 ? 1 : b < 0xE0 ? 2 : b < 0xF0 ? 3 : 4; /* jansson has checked it */
}

/* The inside of [] for \d \w \s. */
static const char *named_class(char c) { return c == 'd' ? "0-9" : c == 'w' ? "0-9A-Za-z_" : c == 's' ? " " : NULL; }

/* One member of a class, escaped for GBNF; *edge: it is a single character that may begin or end a range. */
static enum status class_member(struct pattern *p, bool *has_quote, bool *has_backslash, bool *edge) {
    const char *named = *p->at == '\\' ? named_class(p->at[1]) : NULL;
    if ((*edge = !named) == false) return buffer_text(p->out, named), p->at += 2, OK;
    if (*p->at == '\\' && !strchr("\\\"/-[]^.$*+?(){}|", p->at[1]))
        return pattern_wrong(p, "this escape is not supported");
    if (*p->at == '\\') p->at++;
    if (!*p->at) return pattern_wrong(p, "a class is not closed");
    *has_quote |= *p->at == '"', *has_backslash |= *p->at == '\\';
    size_t n = utf8_size(p->at);
    if ((unsigned char)*p->at < ' ' || *p->at == 0x7F) return pattern_wrong(p, "control characters are not supported");
    buffer_print(p->out, "%s%.*s", strchr("\\\"[]-^", *p->at) ? "\\" : "", (int)n, p->at);
    p->at += n;
    return OK;
}

/* A range must not hold the two characters that JSON escapes. */
static bool crosses(unsigned char lo, unsigned char hi, unsigned char c) { return lo < c && c < hi; }

static enum status pattern_class(struct pattern *p) {
    bool inverted = p->at[1] == '^', quote = false, backslash = false, edge;
    enum status s = OK;
    buffer_text(p->out, inverted ? "[^\"\\\\\\x00-\\x1F\\x7F" : "([");
    p->at += 1 + inverted;
    if (*p->at == ']') return pattern_wrong(p, "an empty class");
    while (!s && *p->at != ']') {
        unsigned char lo = (unsigned char)*p->at;
        s = class_member(p, &quote, &backslash, &edge);
        if (s || *p->at != '-' || p->at[1] == ']') continue;
        if (!edge) return pattern_wrong(p, "a range that begins with a class");
        buffer_text(p->out, "-");
        p->at++;
        unsigned char hi = (unsigned char)*p->at;
        s = class_member(p, &quote, &backslash, &edge);
        if (!s && !edge) return pattern_wrong(p, "a range that ends with a class");
        if (!s && (crosses(lo, hi, '"') || crosses(lo, hi, '\\')) && !inverted)
            return pattern_wrong(p, "a range with \\ or \\\" inside is not supported");
    }
    if (s) return s;
    p->at++;
    if (!inverted && (quote || backslash)) return pattern_wrong(p, "a class with \\ or \\\" is not supported");
    buffer_text(p->out, inverted ? "] " : "]) ");
    return OK;
}

static enum status pattern_escape(struct pattern *p) {
    const char *named = named_class(p->at[1]);
    if (named) return buffer_print(p->out, "[%s] ", named), p->at += 2, OK;
    if (!p->at[1] || !strchr("\\\"/-[]^.$*+?(){}|", p->at[1])) return pattern_wrong(p, "this escape is not supported");
    put_char(p->out, p->at + 1, 1);
    p->at += 2;
    return OK;
}

static enum status pattern_group(struct pattern *p) {
    p->at++;
    if (*p->at == '?' && p->at[1] != ':') return pattern_wrong(p, "only plain groups and (?: are supported");
    if (*p->at == '?') p->at += 2;
    if (p->depth >= 50) return pattern_wrong(p, "more than 50 groups within each other");
    buffer_text(p->out, "(");
    p->depth++;
    enum status s = pattern_alternatives(p);
    p->depth--;
    if (s) return s;
    if (*p->at != ')') return pattern_wrong(p, "a group is not closed");
    buffer_text(p->out, ") ");
    p->at++;
    return OK;
}

static enum status pattern_repetition(struct pattern *p) {
    if (*p->at == '{') {
        char *end;
        long least = strtol(p->at + 1, &end, 10), most = least;
        if (end == p->at + 1 || least < 0) return pattern_wrong(p, "a repetition is {m}, {m,} or {m,n}");
        if (*end == ',' && end[1] == '}') most = -1, end++;
        else if (*end == ',') most = strtol(end + 1, &end, 10);
        if (*end != '}' || least > 10000 || most > 10000 || (most >= 0 && most < least))
            return pattern_wrong(p, "a repetition is {m}, {m,} or {m,n}, of at most 10000");
        schema_repeat(p->out, least, most);
        p->at = end + 1;
    } else buffer_add(p->out, p->at++, 1);
    if (*p->at == '?' || *p->at == '+') return pattern_wrong(p, "lazy and possessive repetition is not supported");
    buffer_text(p->out, " ");
    return OK;
}

static enum status pattern_sequence(struct pattern *p) {
    enum status s = OK;
    bool any = false;
    buffer_text(p->out, "\"\" ");
    while (!s && *p->at && !strchr("|)", *p->at) && !(*p->at == '$' && !p->at[1])) {
        bool repeats = strchr("*+?{", *p->at) != NULL;
        if (repeats && !any) return pattern_wrong(p, "there is nothing to repeat");
        if (repeats) s = pattern_repetition(p);
        else if (*p->at == '[') s = pattern_class(p);
        else if (*p->at == '(') s = pattern_group(p);
        else if (*p->at == '\\') s = pattern_escape(p);
        else if (*p->at == '.') buffer_print(p->out, "%s ", plain_char), p->at++;
        else if (strchr("^$", *p->at)) return pattern_wrong(p, "^ and $ are supported at both ends only");
        else if ((unsigned char)*p->at < ' ' || *p->at == 0x7F)
            return pattern_wrong(p, "control characters are not supported");
        else {
            size_t n = utf8_size(p->at);
            put_char(p->out, p->at, n);
            p->at += n;
        }
        any = !repeats;
    }
    return s;
}

static enum status pattern_alternatives(struct pattern *p) {
    enum status s = pattern_sequence(p);
    while (!s && *p->at == '|') {
        if (!p->depth) return pattern_wrong(p, "alternatives stand in a group, between ^ and $");
        buffer_text(p->out, "| ");
        p->at++;
        s = pattern_sequence(p);
    }
    return s;
}

static enum status put_pattern(struct schema *c, const char *text, struct buffer *out) {
    size_t n = strlen(text);
    struct pattern p = {.c = c, .at = text + 1, .out = out};
    if (*text != '^' || n < 2 || text[n - 1] != '$' || text[n - 2] == '\\')
        return schema_wrong(c, "\"pattern\": \"%.40s\": patterns from ^ to $ are supported only", text);
    enum status s = pattern_alternatives(&p);
    if (!s && strcmp(p.at, "$")) return pattern_wrong(&p, "this is not expected here");
    return s;
}

/* ---- strings ---- */

enum status schema_string(struct schema *c, const json_t *s, struct buffer *out) {
    const json_t *format = json_object_get(s, "format"), *pattern = json_object_get(s, "pattern");
    bool bounded = json_object_get(s, "minLength") || json_object_get(s, "maxLength");
    int64_t n[2];
    enum status st = schema_bounds(c, s, "minLength", "maxLength", n);
    if (st) return st;
    if (!!format + !!pattern + bounded > 1)
        return schema_wrong(c, "format, pattern and a length together are not supported");
    if (pattern && !json_is_string(pattern)) return schema_wrong(c, "\"pattern\" is not a string");
    buffer_text(out, "\"\\\"\" ");
    if (pattern) st = put_pattern(c, json_string_value(pattern), out);
    else if (format) {
        size_t i = 0, known = sizeof formats / sizeof *formats;
        while (i < known && !(json_is_string(format) && !strcmp(json_string_value(format), formats[i][0]))) i++;
        if (i == known) return schema_wrong(c, "\"format\" is none of date, time, date-time, uuid, ipv4");
        buffer_print(out, "(%s) ", formats[i][1]);
    } else {
        buffer_text(out, "char");
        if (bounded) schema_repeat(out, n[0], n[1]);
        else buffer_text(out, "*");
    }
    buffer_text(out, " \"\\\"\"");
    return st;
}

/* ---- names that are not taken ---- */

static int by_text(const void *a, const void *b) { return strcmp(*(const char *const *)a, *(const char *const *)b); }

static bool is_plain(char c) { return c != '"' && c != '\\' && (unsigned char)c >= ' ' && c != 0x7F; }

/* The end of the names from `from` on that have the same character at byte n. */
static size_t same_character(const char *const *names, size_t from, size_t to, size_t n) {
    size_t size = utf8_size(names[from] + n), i = from + 1;
    while (i < to && !strncmp(names[i] + n, names[from] + n, size)) i++;
    return i;
}

/* names [from, to), sorted, share n bytes, which have been written: all ways to go on that lead to none of them. */
static void other_names(const char *const *names, size_t from, size_t to, size_t n, struct buffer *out) {
    enum { LONGEST = 200 }; /* longer ones are left out together with all that begin like them */
    bool taken = !names[from][n];
    if (taken) from++;
    buffer_text(out, taken ? "(" : "(\"\" | ");
    buffer_text(out, "[^\"\\\\\\x00-\\x1F\\x7F");
    for (size_t i = from; i < to; i = same_character(names, i, to, n)) {
        const char *c = names[i] + n;
        if (is_plain(*c)) buffer_print(out, "%s%.*s", strchr("[]-^", *c) ? "\\" : "", (int)utf8_size(c), c);
    }
    buffer_print(out, "] %s*", plain_char);
    for (size_t i = from, end; n < LONGEST && i < to; i = end) {
        const char *c = names[i] + n;
        end = same_character(names, i, to, n);
        if (!is_plain(*c)) continue;
        buffer_print(out, " | \"%.*s\" ", (int)utf8_size(c), c);
        other_names(names, i, end, n + utf8_size(c), out);
    }
    buffer_text(out, ")");
}

enum status schema_other_names(struct schema *c, const json_t *properties, struct buffer *out) {
    size_t n = json_object_size(properties), i = 0;
    const char *key, **names = mem_new(n, sizeof *names);
    json_t *value;
    if (!names) return error_set(c->e, ERR_MEMORY, "no memory for the names of a schema");
    json_object_foreach((json_t *)properties, key, value) names[i++] = key;
    qsort(names, n, sizeof *names, by_text);
    if (n) other_names(names, 0, n, 0, out);
    else buffer_text(out, "char*");
    mem_free(names);
    return OK;
}
