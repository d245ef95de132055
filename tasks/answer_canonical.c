/* answer_canonical.c: plain text as a number, a list or a text.
 * Not LaTeX any more: answer_latex.c has made it plain.
 * Next: answer_number.c.
 *
 *   put_value: a list ? its elements, each a value : a number ? in lowest terms : a text */
#include <stdint.h>
#include <stdio.h>

#include "tasks/answer_internal.h"

enum { MAX_NESTED = 4 }; /* lists inside lists; deeper ones are texts */

/* -- edges -- */

static bool is_edge(char c) { return is_space(c) || (c && strchr("*_\"'.,;:", c)); }

/* Without blanks and punctuation at both ends.  A point before a digit is part of a number, a ' a prime, and a !
 * behind anything but a word a factorial. */
static struct answer_span peel(struct answer_span s) {
    if (s.size > 2 && s.at[s.size - 1] == '!' && is_letter(s.at[s.size - 2]) && is_letter(s.at[s.size - 3])) s.size--;
    while (s.size && is_edge(s.at[s.size - 1]) && s.at[s.size - 1] != '\'') s.size--;
    while (s.size && is_edge(s.at[0]) && !(s.at[0] == '.' && s.size > 1 && is_digit(s.at[1]))) s = span_skip(s, 1);
    if (s.size && s.at[s.size - 1] == '\'' && (s.size == 1 || is_space(s.at[s.size - 2]))) s.size--;
    return s;
}

/* -- equations -- */

static bool is_number(struct answer_span s) {
    char number[ANSWER_WORK + 16];
    size_t n;
    return answer_number(s, number, &n);
}

/* x, x1, x_1, \theta, f(x), f'(x): what an equation defines. */
static bool is_name(struct answer_span s) {
    bool command = s.size && *s.at == '\\';
    size_t n = command;
    while (n < s.size && is_letter(s.at[n])) n++;
    if (n != 1 && !command) return false;
    if (n < s.size && s.at[n] == '_') n++;
    while (n < s.size && (is_digit(s.at[n]) || s.at[n] == '\'')) n++;
    if (n + 2 < s.size && s.at[n] == '(' && is_letter(s.at[n + 1])) n += 2 + (s.at[n + 2] == ')');
    return s.size && n == s.size;
}

/* "x = 5" is 5, so is "m + n = 3 + 4 = 7": behind the last sign, where a number stands there or a name before the
 * only one.  Of "2/3 \approx 0.67" the exact side counts.  Inequalities stay, and equations like x^2 + y^2 = 1. */
static struct answer_span right_side(struct answer_span s) {
    size_t n_signs = 0, first = 0, last = 0, near = s.size;
    for (size_t i = 0; i < s.size; i++) {
        if (s.at[i] == '<' || s.at[i] == '>' || (s.at[i] == '!' && i + 1 < s.size && s.at[i + 1] == '=')) return s;
        if (s.at[i] == '~') near = near == s.size ? i : near;
        else if (s.at[i] == '=' && !n_signs++) first = i;
        if (s.at[i] == '=') last = i;
    }
    struct answer_span left = peel((struct answer_span){s.at, near});
    if (near < s.size && (!left.size || is_name(left))) return peel(span_skip(s, near + 1));
    if (near < s.size) return right_side(left);
    if (!n_signs) return s;
    struct answer_span name = peel((struct answer_span){s.at, first}), right = peel(span_skip(s, last + 1));
    bool defined = n_signs == 1 && (!name.size || is_name(name));
    return right.size && (defined || is_number(right)) ? right : s;
}

/* -- lists -- */

static bool opens(char c) { return c && strchr("([{" SET_OPEN_S MATRIX_OPEN_S, c); }
static bool closes(char c) { return c && strchr(")]}" SET_CLOSE_S MATRIX_CLOSE_S, c); }

/* clang-format off */
static const struct separator {
    const char *text, *shown;
} separators[] = {
    {",", ","}, {";", ","}, {"&", ","}, {ROW_END_S, ";"}, {"\\cup ", " cup "}, {"\\cup", " cup "},
};
/* clang-format on */

/* A span up to its first separator outside of brackets; found NULL: there is none. */
struct cut {
    size_t size;
    const struct separator *found;
    bool closed; /* the bracket that begins the span ends with it */
};

static bool is_spaced(struct answer_span s) {
    for (size_t i = 1; i < s.size; i++)
        if (s.at[i] == ' ' && s.at[i - 1] == ',') return true;
    return false;
}

/* groups: commas between groups of digits part nothing, as in "1,000" and "1,200, 300"; in "(1,000)" they do. */
static struct cut cut_list(struct answer_span s, bool groups) {
    struct cut c = {s.size, NULL, s.size > 1 && opens(s.at[0])};
    size_t depth = 0;
    for (size_t i = 0; i < s.size; i++) {
        struct answer_span rest = span_skip(s, i);
        if (opens(s.at[i])) depth++;
        if (closes(s.at[i]) && depth && --depth == 0 && i + 1 < s.size) c.closed = false;
        for (size_t k = 0; k < sizeof separators / sizeof *separators && !depth && !c.found; k++)
            if (span_starts(rest, separators[k].text)) c.size = i, c.found = &separators[k];
        size_t number = groups && is_digit(s.at[i]) ? answer_number_size(rest.at, rest.size) : 0;
        if (number) i += number - 1;
    }
    if (depth) c.closed = false;
    return c;
}

/* -- texts -- */

static bool is_word(char c) {
    return is_letter(c) || is_digit(c) || ((unsigned char)c >= 0x80 && !opens(c) && !closes(c));
}

/* Is the letter at i of s part of a word, not a name of its own? */
static bool in_word(struct answer_span s, size_t i) {
    return (i && is_letter(s.at[i - 1])) || (i + 1 < s.size && is_letter(s.at[i + 1]));
}

/* Does a blank between s[i - 1] and s[k] part two words or two numbers? */
static bool parts(struct answer_span s, size_t i, size_t k) {
    if (!i || k >= s.size || !is_word(s.at[i - 1]) || !is_word(s.at[k])) return false;
    if (is_digit(s.at[i - 1]) || is_digit(s.at[k])) return is_digit(s.at[i - 1]) && is_digit(s.at[k]);
    return in_word(s, i - 1) || in_word(s, k) || (unsigned char)s.at[k] >= 0x80;
}

static void put_byte(struct work *out, char c) {
    switch ((unsigned char)c) {
    case SET_OPEN: put_char(out, '{'); break;
    case SET_CLOSE: put_char(out, '}'); break;
    case MATRIX_OPEN: put_string(out, "[["); break;
    case MATRIX_CLOSE: put_string(out, "]]"); break;
    case ROW_END: put_char(out, ';'); break;
    default: put_char(out, c);
    }
}

/* The name of a command keeps its case and stays apart from letters: "r pi", "pi r".  Its size with the backslash. */
static size_t put_command(struct answer_span s, struct work *out) {
    size_t n = 1;
    while (n < s.size && is_letter(s.at[n])) n++;
    if (out->n && is_letter(out->s[out->n - 1])) put_char(out, ' ');
    put(out, s.at + 1, n - 1);
    size_t next = n;
    while (next < s.size && is_space(s.at[next])) next++;
    if (next < s.size && is_letter(s.at[next])) put_char(out, ' ');
    return next;
}

/* Does a product sign at i say nothing: 2*x, 3*(...)? */
static bool is_silent(struct answer_span s, size_t i) {
    if (!i || i + 1 == s.size || !(is_word(s.at[i - 1]) || closes(s.at[i - 1]))) return false;
    return is_letter(s.at[i + 1]) || s.at[i + 1] == '\\' || s.at[i + 1] == '(';
}

/* Blanks between words become one, all others go; words get lower case, single letters are names and keep theirs. */
static void put_text(struct answer_span s, struct work *out) {
    for (size_t i = 0, size; i < s.size; i += size) {
        char c = s.at[i];
        size = 1;
        if (is_space(c)) {
            while (i + size < s.size && is_space(s.at[i + size])) size++;
            if (parts(s, i, i + size)) put_char(out, ' ');
        } else if (c == '\\' && i + 1 < s.size && is_letter(s.at[i + 1])) size = put_command(span_skip(s, i), out);
        else if (c != '*' || !is_silent(s, i)) put_byte(out, is_letter(c) && in_word(s, i) ? lower(c) : c);
    }
}

/* Without the unit behind a formula in digits or commands: "2\sqrt(3) cm", "10\pi square meters". */
static struct answer_span without_unit(struct answer_span s) {
    size_t end = s.size;
    bool formula = false;
    while (end && (is_letter(s.at[end - 1]) || s.at[end - 1] == ' ' || strchr("^23", s.at[end - 1]))) end--;
    while (end < s.size && s.at[end] != ' ') end++;
    for (size_t i = 0; i < end; i++) {
        if (s.at[i] == ' ') return s; /* a sentence */
        formula |= is_digit(s.at[i]) || s.at[i] == '\\';
    }
    return formula && end < s.size && answer_is_unit(span_skip(s, end)) ? (struct answer_span){s.at, end} : s;
}

/* -- values -- */

static void put_value(struct answer_span s, int depth, struct work *out);

/* Moves the element that begins at `at`, the last one of a set that begins at `from`, to its place: sets have no
 * order. */
static void sort_in(struct work *out, size_t from, size_t at) {
    char last[ANSWER_WORK];
    size_t size = out->n - at, to = from, next;
    memcpy(last, out->s + at, size);
    for (; to < at; to = next) {
        struct cut c = cut_list((struct answer_span){out->s + to, at - 1 - to}, false);
        size_t n = c.size < size ? c.size : size;
        int order = memcmp(out->s + to, last, n);
        next = to + c.size + 1;
        if (order > 0 || (order == 0 && c.size > size)) break;
    }
    if (to >= at) return;
    memmove(out->s + to + size + 1, out->s + to, at - 1 - to); /* its comma moves with it */
    memcpy(out->s + to, last, size);
    out->s[to + size] = ',';
}

/* The elements of s, each a value; empty ones, as of "1, 2, and 3" or behind the last row, are none. */
static void put_list(struct answer_span s, bool groups, bool is_set, int depth, struct work *out) {
    size_t from = out->n;
    const struct separator *before = NULL;
    for (bool more = true; more && !out->over;) {
        struct cut c = cut_list(s, groups);
        struct answer_span element = peel((struct answer_span){s.at, c.size});
        more = c.found != NULL;
        if (element.size) {
            if (before) put_string(out, before->shown);
            size_t at = out->n;
            put_value(element, depth, out);
            if (is_set && !out->over) sort_in(out, from, at);
            before = c.found;
        }
        if (more) s = span_skip(s, c.size + strlen(c.found->text));
    }
}

/* s, a bracket that closes at its end: as a list with its brackets (of an interval like [0, 1) they differ); false:
 * it has no elements. */
static bool put_bracketed(struct answer_span s, int depth, struct work *out) {
    struct answer_span inner = {s.at + 1, s.size - 2};
    bool groups = is_spaced(inner);
    if (depth == MAX_NESTED || !cut_list(inner, groups).found) return false;
    put_byte(out, s.at[0]);
    put_list(inner, groups, s.at[0] == (char)SET_OPEN, depth + 1, out);
    put_byte(out, s.at[s.size - 1]);
    return true;
}

/* Takes off, one after the other: "x =", and parentheses around all of it.  False: there were none. */
static bool undress(struct answer_span *s, bool closed) {
    struct answer_span right = right_side(*s);
    if (right.size < s->size) {
        *s = right;
        return true;
    }
    if (!closed || s->at[0] != '(' || s->at[s->size - 1] != ')') return false;
    *s = (struct answer_span){s->at + 1, s->size - 2};
    return true;
}

static void put_value(struct answer_span s, int depth, struct work *out) {
    char number[ANSWER_WORK + 16];
    size_t n;
    struct cut whole;
    do {
        s = peel(s);
        whole = cut_list(s, true);
        if (answer_number(s, number, &n)) {
            put(out, number, n);
            return;
        }
        if (whole.found && depth < MAX_NESTED) {
            put_list(s, true, false, depth + 1, out);
            return;
        }
        if (whole.closed && put_bracketed(s, depth, out)) return;
    } while (undress(&s, whole.closed));
    put_text(without_unit(s), out);
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
    struct work plain, done = {0};
    *out = 0;
    if (raw.size >= ANSWER_WORK) return put_hash(raw, out);
    answer_plain(raw, &plain);
    if (!plain.over) put_value((struct answer_span){plain.s, plain.n}, 0, &done);
    if (plain.over || done.over) return put_hash(raw, out);
    if (done.n >= ANSWER_CAP) return put_hash((struct answer_span){done.s, done.n}, out);
    memcpy(out, done.s, done.n);
    out[done.n] = 0;
    return done.n;
}
