/* answer_canonical.c: an answer without its clothes: LaTeX, spacing, brackets; then as a number, a list or a text.
 * Not a parser of LaTeX: unknown commands stay as words.
 * Next: answer_number.c.
 *
 *   raw -> tidy (spacing, \text, unicode signs) -> fractions and roots -> braces -> number? list? text */
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "tasks/answer_internal.h"

/* A text under work.  What does not fit is noted: the answer is then compared by a hash of the raw text. */
struct work {
    size_t n;
    bool over;
    char s[ANSWER_WORK];
};

static void start(struct work *w) { w->n = 0, w->over = false; }

static void put(struct work *w, const char *text, size_t size) {
    if (w->n + size > sizeof w->s) {
        w->over = true;
        return;
    }
    memcpy(w->s + w->n, text, size);
    w->n += size;
}

static void put_char(struct work *w, char c) { put(w, &c, 1); }

/* Replaces w->s[from, to) by `with`. */
static void splice(struct work *w, size_t from, size_t to, const struct work *with) {
    if (w->n - (to - from) + with->n > sizeof w->s) {
        w->over = true;
        return;
    }
    memmove(w->s + from + with->n, w->s + to, w->n - to);
    memcpy(w->s + from, with->s, with->n);
    w->n = w->n - (to - from) + with->n;
}

/* -- tidy -- */

/* \{ and \} while braces are at work: bytes that no UTF-8 text has. */
static const char SET_OPEN = (char)0xFE, SET_CLOSE = (char)0xFF;

static const struct {
    const char *from, *to;
} tidy_rules[] = {
    {"\\left", ""},
    {"\\right", ""},
    {"\\bigl", ""},
    {"\\bigr", ""},
    {"\\big", ""},
    {"\\Big", ""},
    {"\\dfrac", "\\frac"},
    {"\\tfrac", "\\frac"},
    {"\\cfrac", "\\frac"},
    {"\\displaystyle", ""},
    {"\\quad", " "},
    {"\\qquad", " "},
    {"\\cdot", "*"},
    {"\\times", "*"},
    {"\\div", "/"},
    {"\\approx", "="},
    {"\\boxed", ""},
    {"\\fbox", ""},
    {"^\\circ", ""},
    {"^{\\circ}", ""},
    {"\\degree", ""},
    {"^\\degree", ""},
    {"^\\prime", "'"},
    {"\\!", ""},
    {"\\,", ""},
    {"\\;", " "},
    {"\\:", " "},
    {"\\ ", " "},
    {"\\\n", " "},
    {"\\%", "%"},
    {"\\$", ""},
    {"$", ""},
    {"\\(", ""},
    {"\\)", ""},
    {"\\[", ""},
    {"\\]", ""},
    {"\\#", "#"},
    {"\\&", "&"},
    {"\\_", "_"},
    {"\\{", "\xFE"},
    {"\\}", "\xFF"},
    {"{,}", ","},
    {"~", " "},
    {"**", ""},
    {"`", ""},
    {"\xE2\x88\x92", "-"} /* minus */,
    {"\xE2\x80\x93", "-"} /* en dash */,
    {"\xC2\xA0", " "} /* no-break space */,
    {"\xE2\x80\x89", " "} /* thin space */,
    {"\xE2\x80\xAF", " "} /* narrow space */,
    {"\xC2\xB0", ""} /* degree */,
    {"\xC2\xA3", ""} /* pound */,
    {"\xE2\x82\xAC", ""} /* euro */,
    {"\xE2\x89\x88", "="} /* almost equal */,
    {"\xC3\x97", "*"} /* times */,
};
static const char *const text_commands[] = {"\\text",   "\\textbf", "\\textit", "\\textrm",       "\\mathrm",
                                            "\\mathbf", "\\mathit", "\\mbox",   "\\operatorname", "\\mathsf"};

static bool starts(struct answer_span s, const char *word) {
    size_t n = strlen(word);
    return s.size >= n && !memcmp(s.at, word, n);
}

/* Like starts; of \name the whole name must be there: \left is not the beginning of \leftarrow. */
static bool starts_rule(struct answer_span s, const char *word) {
    size_t n = strlen(word);
    return starts(s, word) && !(strchr(word, '\\') && is_letter(word[n - 1]) && s.size > n && is_letter(s.at[n]));
}

/* Size of "\text {" and its like at s, 0: another text. */
static size_t text_command(struct answer_span s) {
    for (size_t i = 0; i < sizeof text_commands / sizeof *text_commands; i++) {
        if (!starts_rule(s, text_commands[i])) continue;
        size_t n = strlen(text_commands[i]);
        while (n < s.size && is_space(s.at[n])) n++;
        return n < s.size && s.at[n] == '{' ? n + 1 : 0;
    }
    return 0;
}

static void tidy(struct answer_span raw, struct work *w) {
    uint8_t is_text[ANSWER_WORK]; /* open braces: does this one belong to \text? */
    size_t depth = 0;
    start(w);
    while (raw.size && !w->over) {
        size_t skip = text_command(raw), rule = 0, n_rules = sizeof tidy_rules / sizeof *tidy_rules;
        char c = *raw.at;
        if (skip || c == '{') {
            bool comma = !skip && starts(raw, "{,}");
            if (comma) put_char(w, ','), skip = 3;
            else if (depth == sizeof is_text) w->over = true;
            else {
                is_text[depth++] = skip > 0;
                put_char(w, skip ? ' ' : '{');
            }
            skip += !skip;
        } else if (c == '}' && depth) {
            put_char(w, is_text[--depth] ? ' ' : '}');
            skip = 1;
        } else {
            while (rule < n_rules && !starts_rule(raw, tidy_rules[rule].from)) rule++;
            if (rule < n_rules) put(w, tidy_rules[rule].to, strlen(tidy_rules[rule].to));
            else put_char(w, is_space(c) ? ' ' : c);
            skip = rule < n_rules ? strlen(tidy_rules[rule].from) : 1;
        }
        raw.at += skip, raw.size -= skip;
    }
}

/* -- fractions, roots, braces -- */

/* The argument of a command at *at: {...} or one character.  False: there is none. */
static bool take_argument(const struct work *w, size_t *at, struct answer_span *argument) {
    size_t depth = 0, i = *at;
    while (i < w->n && w->s[i] == ' ') i++;
    if (i >= w->n || strchr("}[\\", w->s[i])) return false;
    size_t start = i;
    do {
        if (w->s[i] == '{') depth++;
        if (w->s[i] == '}') depth--;
        i++;
    } while (depth && i < w->n);
    if (depth) return false;
    bool braces = w->s[start] == '{';
    *argument = span_trim((struct answer_span){w->s + start + braces, i - start - 2 * braces});
    *at = i;
    return true;
}

/* One number, one word, or a function of something: what needs no parentheses below a fraction line. */
static bool is_factor(struct answer_span part) {
    size_t digits = 0, letters = 0;
    while (digits < part.size && (is_digit(part.at[digits]) || strchr(".,", part.at[digits]))) digits++;
    if (digits) return digits == part.size;
    letters = part.size && part.at[0] == '\\';
    while (letters < part.size && is_letter(part.at[letters])) letters++;
    return letters && (letters == part.size || (part.at[letters] == '(' && part.at[part.size - 1] == ')'));
}

/* Without signs and blanks outside of brackets: what needs none above it. */
static bool is_product(struct answer_span part) {
    size_t depth = 0;
    for (size_t i = 0; i < part.size; i++) {
        char c = part.at[i];
        if (c == '(' || c == '{') depth++;
        if ((c == ')' || c == '}') && depth) depth--;
        if (!depth && c && strchr("+-/= ", c) && !(c == '-' && !i)) return false;
    }
    return part.size > 0;
}

static void put_part(struct work *out, struct answer_span part, bool bare) {
    if (!bare) put_char(out, '(');
    put(out, part.at, part.size);
    if (!bare) put_char(out, ')');
}

/* The command at `at` as a/b or sqrt(a).  Damaged ones, and roots with an index, stay as words. */
static void unfold_one(struct work *w, size_t at, bool is_fraction) {
    struct work out;
    struct answer_span a, b;
    size_t end = at + 5; /* behind \frac, \sqrt */
    start(&out);
    if (!take_argument(w, &end, &a) || (is_fraction && !take_argument(w, &end, &b))) {
        put(&out, is_fraction ? "frac" : "sqrt", 4);
        end = at + 5;
    } else if (is_fraction) {
        if (at && is_digit(w->s[at - 1])) put_char(&out, ' '); /* a mixed number */
        put_part(&out, a, is_product(a));
        put_char(&out, '/');
        put_part(&out, b, is_factor(b) || (b.size > 1 && b.at[0] == '-' && is_digit(b.at[1])));
    } else {
        put(&out, "sqrt", 4);
        put_part(&out, a, false);
    }
    w->over |= out.over;
    splice(w, at, end, &out);
}

/* The last command first: it has no other inside it. */
static void unfold(struct work *w) {
    for (size_t at = w->n; at-- > 0 && !w->over;) {
        struct answer_span s = {w->s + at, w->n - at};
        if (starts(s, "\\frac")) unfold_one(w, at, true);
        else if (starts(s, "\\sqrt")) unfold_one(w, at, false);
    }
}

/* {5} and {10} lose their braces, other ones become parentheses. */
static void unbrace(struct work *w) {
    uint8_t dropped[ANSWER_WORK];
    size_t depth = 0, n = 0;
    for (size_t i = 0; i < w->n; i++) {
        char c = w->s[i];
        if (c == '{') {
            size_t digits = 0, rest = w->n - i - 1;
            const char *inner = w->s + i + 1;
            while (digits < rest && is_digit(inner[digits])) digits++;
            bool one = rest > 1 && inner[1] == '}', number = digits && digits < rest && inner[digits] == '}';
            dropped[depth++] = one || number || (rest && inner[0] == '}');
            if (!dropped[depth - 1]) w->s[n++] = '(';
        } else if (c == '}' && depth) {
            if (!dropped[--depth]) w->s[n++] = ')';
        } else if (c != '}') w->s[n++] = c;
    }
    w->n = n;
}

/* -- what is left: a number, a list or a text -- */

static bool is_edge(char c) { return is_space(c) || (c && strchr("*_\"'.,;:!", c)); }

/* Without blanks and punctuation at both ends; a point before a digit is part of a number, and a ' a prime. */
static struct answer_span peel(struct answer_span s) {
    while (s.size && is_edge(s.at[s.size - 1]) && s.at[s.size - 1] != '\'') s.size--;
    while (s.size && is_edge(s.at[0]) && !(s.at[0] == '.' && s.size > 1 && is_digit(s.at[1]))) s.at++, s.size--;
    if (s.size && s.at[s.size - 1] == '\'' && (s.size == 1 || is_space(s.at[s.size - 2]))) s.size--;
    return s;
}

static bool opens(char c) { return c == '(' || c == '[' || c == SET_OPEN; }
static bool closes(char c) { return c == ')' || c == ']' || c == SET_CLOSE; }

/* The first comma outside of brackets, s.size: none.  *closed: the bracket that begins s ends with s. */
static size_t find_comma(struct answer_span s, bool *closed) {
    size_t depth = 0, comma = s.size;
    *closed = s.size > 1 && opens(s.at[0]);
    for (size_t i = 0; i < s.size; i++) {
        if (opens(s.at[i])) depth++;
        if (closes(s.at[i]) && depth && --depth == 0 && i + 1 < s.size) *closed = false;
        if (s.at[i] == ',' && !depth && comma == s.size) comma = i;
    }
    if (depth) *closed = false;
    return comma;
}

/* "x = 5" is 5; so is "5 + 3 = 5 * 1 + 3 ..." with one sign and a number behind it.  Inequalities stay. */
static struct answer_span right_side(struct answer_span s) {
    const char *sign = memchr(s.at, '=', s.size);
    char number[ANSWER_WORK + 16];
    size_t n;
    if (!sign || sign == s.at || strchr("<>!=:", sign[-1])) {
        if (!sign || sign != s.at) return s;
    }
    struct answer_span left = span_trim((struct answer_span){s.at, (size_t)(sign - s.at)}), right;
    right = peel((struct answer_span){sign + 1, s.size - (size_t)(sign + 1 - s.at)});
    if (!right.size || memchr(right.at, '=', right.size)) return s;
    bool name = left.size <= 2;
    for (size_t i = 0; i < left.size; i++) name = name && (is_letter(left.at[i]) || (i && is_digit(left.at[i])));
    return name || answer_number(right, number, &n) ? right : s;
}

static bool is_word(char c) { return is_letter(c) || is_digit(c); }

/* Blanks between words become one, all others go; words get lower case, single letters are names and keep theirs. */
static void put_text(struct answer_span s, struct work *out) {
    for (size_t i = 0; i < s.size; i++) {
        char c = s.at[i];
        if (is_space(c)) {
            size_t next = i;
            while (next < s.size && is_space(s.at[next])) next++;
            bool between = out->n && is_word(out->s[out->n - 1]) && next < s.size && is_word(s.at[next]);
            if (between) put_char(out, ' ');
            i = next - 1;
            continue;
        }
        bool beside = (i && is_letter(s.at[i - 1])) || (i + 1 < s.size && is_letter(s.at[i + 1]));
        if (c == '\\' && i + 1 < s.size && is_letter(s.at[i + 1])) continue;
        put_char(out, c == SET_OPEN ? '{' : c == SET_CLOSE ? '}' : beside ? lower(c) : c);
    }
}

static void put_element(struct answer_span s, struct work *out) {
    char number[ANSWER_WORK + 16];
    size_t n;
    bool closed;
    s = right_side(peel(s));
    while (find_comma(s, &closed) == s.size && closed && s.at[0] == '(') {
        struct answer_span inner = {s.at + 1, s.size - 2};
        bool nested;
        if (s.at[s.size - 1] != ')' || find_comma(inner, &nested) < inner.size) break; /* a point, an interval */
        s = peel(inner);
    }
    if (answer_number(s, number, &n)) put(out, number, n);
    else put_text(s, out);
}

/* Elements between commas, each for itself.  Of an interval like [0, 1) the brackets differ, and stay. */
static void put_all(struct answer_span s, struct work *out) {
    char number[ANSWER_WORK + 16];
    size_t n;
    bool closed;
    s = right_side(peel(s));
    size_t comma = find_comma(s, &closed);
    struct answer_span inner = {s.at + 1, s.size - 2};
    bool nested, listed = closed && find_comma(inner, &nested) < inner.size;
    if (answer_number(s, number, &n) || (comma == s.size && !listed)) {
        put_element(s, out);
        return;
    }
    if (listed) put_char(out, s.at[0] == SET_OPEN ? '{' : s.at[0]);
    for (struct answer_span rest = listed ? inner : s;;) {
        comma = find_comma(rest, &nested);
        put_element((struct answer_span){rest.at, comma}, out);
        if (comma == rest.size) break;
        put_char(out, ',');
        rest.at += comma + 1, rest.size -= comma + 1;
    }
    if (listed) put_char(out, s.at[s.size - 1] == SET_CLOSE ? '}' : s.at[s.size - 1]);
}

/* -- together -- */

/* Too long to keep: its beginning for people, and a hash (FNV-1a) of all that is not blank. */
static size_t put_hash(struct answer_span s, char *out) {
    uint64_t h = 0xcbf29ce484222325u;
    size_t n = 0;
    for (size_t i = 0; i < s.size; i++) {
        if (is_space(s.at[i])) continue;
        h = (h ^ (unsigned char)s.at[i]) * 0x100000001b3u;
        if (n < 64) out[n++] = s.at[i];
    }
    return n + (size_t)snprintf(out + n, 32, "...#%016llx", (unsigned long long)h);
}

size_t answer_canonical(const char *text, size_t size, char *out) {
    struct answer_span raw = span_trim((struct answer_span){text, size});
    struct work w, done;
    *out = 0;
    start(&done);
    if (raw.size >= ANSWER_WORK) return put_hash(raw, out);
    tidy(raw, &w);
    unfold(&w);
    if (!w.over) unbrace(&w);
    if (!w.over) put_all((struct answer_span){w.s, w.n}, &done);
    if (w.over || done.over) return put_hash(raw, out);
    if (done.n >= ANSWER_CAP) return put_hash((struct answer_span){done.s, done.n}, out);
    memcpy(out, done.s, done.n);
    out[done.n] = 0;
    return done.n;
}
