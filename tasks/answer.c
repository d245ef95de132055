/* answer.c: see answer.h: where in a text its answer stands.
 * Not what the answer means: answer_canonical.c.
 * Next: answer_canonical.c. */
#include "tasks/answer.h"

#include <string.h>

#include "tasks/answer_internal.h"

enum { MAX_BRACES = 64 };

static const struct answer_span nowhere = {"", 0};

static struct answer_span part(const char *from, const char *to) {
    return span_trim((struct answer_span){from, (size_t)(to - from)});
}

static bool starts(const char *at, const char *end, const char *word) {
    size_t n = strlen(word);
    return (size_t)(end - at) >= n && !memcmp(at, word, n);
}

static bool starts_any_case(const char *at, const char *end, const char *word) {
    for (; *word; word++, at++)
        if (at == end || lower(*at) != *word) return false;
    return true;
}

static const char *line_end(const char *at, const char *end) {
    const char *stop = memchr(at, '\n', (size_t)(end - at));
    return stop ? stop : end;
}

static const char *skip_blanks(const char *at, const char *end) {
    while (at < end && (*at == ' ' || *at == '\t')) at++;
    return at;
}

/* -- \boxed -- */

/* What is behind \boxed: {...} with matching braces, or one word. */
static struct answer_span box_content(const char *at, const char *end) {
    size_t depth = 0;
    at = skip_blanks(at, end);
    if (at < end && *at != '{') {
        const char *stop = at;
        while (stop < end && !is_space(*stop) && *stop != '$' && *stop != '.') stop++;
        return is_letter(*at) ? nowhere : part(at, stop); /* \boxedfoo is another command */
    }
    for (const char *c = at; c < end; c++) {
        if (*c == '\\' && c + 1 < end) { /* \{ and \} are no braces */
            c++;
            continue;
        }
        if (*c == '{' && ++depth > MAX_BRACES) break;
        if (*c == '}' && --depth == 0) return part(at + 1, c);
    }
    return nowhere;
}

static struct answer_span find_boxed(const char *text, const char *end) {
    struct answer_span found = nowhere;
    for (const char *at = end; !found.size && at > text;) {
        at--;
        if (*at != '\\') continue;
        if (starts(at, end, "\\boxed")) found = box_content(at + 6, end);
        else if (starts(at, end, "\\fbox")) found = box_content(at + 5, end);
    }
    return found;
}

/* -- #### -- */

static bool is_number(struct answer_span s) {
    char out[ANSWER_CAP];
    size_t n = answer_canonical(s.at, s.size, out), sign = out[0] == '-';
    if (n <= sign) return false;
    for (size_t i = sign; i < n; i++)
        if (!is_digit(out[i]) && out[i] != '/') return false;
    return true;
}

/* A heading may look like an answer; a number, a word, or what the text ends with is one.  strict: a number. */
static struct answer_span find_hashes(const char *text, const char *end, bool strict) {
    struct answer_span found = nowhere;
    for (const char *at = text; (at = memchr(at, '#', (size_t)(end - at)));) {
        const char *from = at;
        while (at < end && *at == '#') at++;
        if (at - from != 4) continue;
        const char *stop = line_end(at, end);
        struct answer_span s = part(at, stop);
        bool taken = !strict && (!part(stop, end).size || !memchr(s.at, ' ', s.size));
        if (s.size && (taken || is_number(s))) found = s;
        at = stop;
    }
    return found;
}

/* -- the last number -- */

/* A fraction's {12} or its one digit at `at`; its end, NULL: none. */
static const char *number_argument(const char *at, const char *end) {
    if (at < end && is_digit(*at)) return at + 1;
    if (at >= end || *at != '{') return NULL;
    at++;
    if (at < end && *at == '-') at++;
    size_t n = answer_number_size(at, (size_t)(end - at));
    return n && at + n < end && at[n] == '}' ? at + n + 1 : NULL;
}

/* The end of the unsigned number at `at`, NULL: none begins here. */
static const char *number_end(const char *at, const char *end) {
    if (*at == '\\') {
        static const char *const commands[] = {"\\frac", "\\dfrac", "\\tfrac"};
        for (int i = 0; i < 3; i++)
            if (starts(at, end, commands[i])) {
                const char *a = number_argument(at + strlen(commands[i]), end);
                return a ? number_argument(a, end) : NULL;
            }
        return NULL;
    }
    size_t n = answer_number_size(at, (size_t)(end - at));
    if (!n) return NULL;
    at += n;
    size_t below = at + 1 < end && *at == '/' ? answer_number_size(at + 1, (size_t)(end - at - 1)) : 0;
    return at + (below ? 1 + below : 0);
}

static bool joins(char c) { return is_letter(c) || is_digit(c) || c == '_'; }

/* Does this fraction follow a whole number, as in 1\frac{1}{2} and 1 1/2? */
static bool is_mixed(struct answer_span whole, const char *from, const char *stop) {
    const char *after = whole.at + whole.size;
    for (size_t i = 0; i < whole.size; i++)
        if (!is_digit(whole.at[i]) && (i || whole.at[i] != '-')) return false;
    if (!whole.size) return false;
    return (*from == '\\' && after == from) ||
           (after + 1 == from && *after == ' ' && is_digit(*from) && memchr(from, '/', (size_t)(stop - from)));
}

static struct answer_span find_number(const char *text, const char *end) {
    struct answer_span found = nowhere;
    for (const char *at = text; at < end;) {
        if (joins(*at) && !is_digit(*at)) { /* a word, its digits too: x2 */
            while (at < end && joins(*at)) at++;
            continue;
        }
        const char *stop = is_digit(*at) || *at == '.' || *at == '\\' ? number_end(at, end) : NULL;
        if (!stop) {
            at++;
            continue;
        }
        const char *from = at;
        if (is_mixed(found, from, stop)) from = found.at;
        else if (from > text && from[-1] == '-' && !(from - 1 > text && (joins(from[-2]) || from[-2] == ')'))) from--;
        found = (struct answer_span){from, (size_t)(stop - from)};
        at = stop;
    }
    return found;
}

/* -- answer: -- */

/* What follows the word "answer" here, behind ":" or "is"; NULL when something else does. */
static const char *after_marker(const char *at, const char *end) {
    const char *word = at;
    while (at < end && (*at == '*' || *at == '_' || *at == ' ')) at++;
    bool colon = at < end && *at == ':';
    bool is = at > word && starts_any_case(at, end, "is") && (end - at == 2 || !joins(at[2]));
    if (!colon && !is) return NULL;
    at += colon ? 1 : 2;
    while (at < end && strchr(" \t*_:", *at) && *at) at++;
    if (at < end && (*at == '\n' || *at == '\r'))
        while (at < end && is_space(*at)) at++; /* on the next line */
    return at;
}

/* The end of the sentence: a period before a blank, or the end of the line. */
static const char *sentence_end(const char *at, const char *end) {
    const char *stop = line_end(at, end);
    for (; at < stop; at++)
        if ((*at == '.' || *at == '!' || *at == '?') && at + 1 < stop && is_space(at[1])) return at;
    return stop;
}

/* A sentence in words has its last number as answer, a formula or a name is one. */
static struct answer_span of_sentence(struct answer_span s) {
    bool words = false;
    if (is_number(s)) return s;
    for (size_t i = 0; i < s.size; i++) {
        if (strchr("\\^=+_({[/<>", s.at[i]) && s.at[i]) return s;
        words |= s.at[i] == ' ';
    }
    struct answer_span number = words ? find_number(s.at, s.at + s.size) : nowhere;
    return number.size ? number : s;
}

static struct answer_span find_marked(const char *text, const char *end) {
    struct answer_span found = nowhere;
    for (const char *at = text; end - at >= 7; at++) {
        if (lower(*at) != 'a' || !starts_any_case(at, end, "answer") || (at > text && joins(at[-1]))) continue;
        const char *from = after_marker(at + 6, end);
        if (!from) continue;
        const char *stop = sentence_end(from, end);
        struct answer_span s = part(from, stop);
        if (s.size) found = s;
        at = stop > at ? stop - 1 : at;
    }
    return found.size ? of_sentence(found) : nowhere;
}

struct answer_span answer_find(const char *text, size_t size) {
    struct answer_span all = span_trim((struct answer_span){text, size});
    const char *end = all.at + all.size;
    text = all.at;
    struct answer_span s = find_boxed(text, end);
    if (!s.size) s = find_hashes(text, end, false);
    if (!s.size) s = find_marked(text, end);
    if (!s.size) s = find_number(text, end);
    return s;
}

bool answer_is_stated(const char *text, size_t size) {
    struct answer_span all = span_trim((struct answer_span){text, size});
    const char *end = all.at + all.size;
    return find_boxed(all.at, end).size || find_hashes(all.at, end, true).size;
}

size_t answer_of(const char *text, size_t size, char *out) {
    struct answer_span s = answer_find(text, size);
    return answer_canonical(s.at, s.size, out);
}
