/* answer.c: see answer.h: where in a text its answer stands.
 * Not what the answer means: answer_canonical.c.
 * Next: answer_sentence.c. */
#include "tasks/answer_internal.h"

enum { MAX_BRACES = 64 };

static const struct answer_span nowhere = {"", 0};

static struct answer_span part(const char *from, const char *to) {
    return span_trim((struct answer_span){from, (size_t)(to - from)});
}

static bool starts(const char *at, const char *end, const char *word) {
    return span_starts((struct answer_span){at, (size_t)(end - at)}, word);
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

static bool joins(char c) { return is_letter(c) || is_digit(c) || c == '_'; }

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

/* "Step 2", "2. Multiply": headings.  Of what begins otherwise a blank makes none: "(1, 2)", "3 \text{ or } 5". */
static bool is_heading(struct answer_span s) {
    size_t digits = 0;
    if (!memchr(s.at, ' ', s.size)) return false;
    while (digits < s.size && is_digit(s.at[digits])) digits++;
    if (digits && digits + 1 < s.size && strchr(".):", s.at[digits]) && s.at[digits + 1] == ' ') return true;
    return is_letter(*s.at) || *s.at == '*';
}

/* Behind a number that is marked so the answer is given: what follows is the next problem of a model that only
 * continues texts.  Else the last mark counts that is no heading; words of several are one unless the text ends with
 * them.  strict: a number. */
static struct answer_span find_hashes(const char *text, const char *end, bool strict) {
    struct answer_span found = nowhere;
    for (const char *at = text; (at = memchr(at, '#', (size_t)(end - at)));) {
        const char *from = at;
        while (at < end && *at == '#') at++;
        if (at - from != 4) continue;
        const char *stop = line_end(at, end);
        struct answer_span s = part(at, stop);
        if (s.size && answer_is_number(s) && !is_heading(s)) return s;
        if (s.size && !strict && (!part(stop, end).size || !is_heading(s))) found = s;
        at = stop;
    }
    return found;
}

/* -- answer: -- */

/* clang-format off */
/* How an answer is announced: a word, then one of the links. */
static const char *const markers[] = {"answer", "ans"};
static const struct link {
    const char *text;
    bool word; /* no letter may follow */
} links[] = {
    {":", false}, {"=>", false}, {"=", false}, {"->", false}, {"\xE2\x86\x92", false}, {"\xE2\x87\x92", false},
    {"\\rightarrow", true}, {"\\Rightarrow", true},
    {">", false}, {"]", false}, /* <answer>, [ANSWER] */
    {"is", true}, {"are", true}, {"was", true}, {"equals", true}, {"comes to", true}, {"comes out to", true},
    {"should be", true}, {"would be", true}, {"will be", true}, {"must be", true},
};
/* What may stand between a link and the answer. */
static const char *const fillers[] = {
    "therefore", "thus", "hence", "then", "simply", "just", "only", "now", "indeed", "clearly", "exactly", "about",
    "approximately", "around", "roughly", "nearly", "equal to", "a total of", "given by", "option"};
/* clang-format on */

static const char *skip_link(const char *at, const char *end) {
    for (size_t i = 0; i < sizeof links / sizeof *links; i++) {
        const char *next = at + strlen(links[i].text);
        if (starts_any_case(at, end, links[i].text) && !(links[i].word && next < end && joins(*next))) return next;
    }
    return NULL;
}

/* Marks of bold and slanted type, those too that end it before a blank. */
static const char *skip_type(const char *at, const char *end) {
    const char *stop = at;
    while (stop < end && (*stop == '*' || *stop == '_')) stop++;
    return stop == end || is_space(*stop) || *stop == ':' ? stop : at;
}

static const char *skip_fillers(const char *at, const char *end) {
    for (size_t i = 0; i < sizeof fillers / sizeof *fillers; i++) {
        const char *next = at + strlen(fillers[i]);
        if (!starts_any_case(at, end, fillers[i]) || (next < end && joins(*next))) continue;
        while (next < end && (*next == ' ' || *next == ',' || *next == ':')) next++;
        at = next, i = (size_t)-1; /* and perhaps another one */
    }
    return at;
}

/* Is the line up to `at` only a heading: "**Final", "## The"? */
static bool begins_line(const char *text, const char *at) {
    static const char *const before[] = {"final", "the", "correct", "my"};
    while (at > text && at[-1] != '\n') {
        const char *word = at;
        while (word > text && is_letter(word[-1])) word--;
        size_t i = 0, n = (size_t)(at - word);
        while (n && i < 4 && !(strlen(before[i]) == n && starts_any_case(word, at, before[i]))) i++;
        if (i == 4 || (!n && !strchr(" \t*_#>", at[-1]))) return false;
        at = n ? word : at - 1;
    }
    return true;
}

/* Behind the link in "answer to the question is": not across the end of a clause.  NULL: there is none. */
static const char *find_link(const char *at, const char *end) {
    enum { CLAUSE = 60 };
    const char *stop = end - at > CLAUSE ? at + CLAUSE : end, *from = at;
    for (bool is_begin = true; at < stop; at++) {
        const char *next = is_begin ? skip_link(at, end) : NULL;
        bool glued = at == from; /* <answer>, answer: */
        if (next && (*at != '>' || glued) && (*at != ']' || glued)) return next;
        if (strchr(".,;!?()\n", *at) && *at) return NULL;
        is_begin = !joins(*at);
    }
    return NULL;
}

/* The answer's begin behind the marker that ends at `at`; NULL when something else follows. */
static const char *after_marker(const char *text, const char *word, const char *at, const char *end) {
    const char *stop = skip_blanks(skip_type(at, end), end);
    bool heading = stop < end && *stop == '\n' && begins_line(text, word);
    if (heading) at = stop;
    else if (!(at = find_link(at, end))) return NULL;
    at = skip_blanks(at, end);
    if (at < end && *at == ':') at++; /* "the answer is: 5" */
    at = skip_blanks(skip_type(skip_blanks(at, end), end), end);
    if (at < end && (*at == '\n' || *at == '\r'))
        while (at < end && is_space(*at)) at++; /* on the next line */
    return skip_fillers(at, end);
}

/* The end of the sentence: a period before a blank, a closing tag, or the end of the line. */
static const char *sentence_end(const char *at, const char *end) {
    const char *stop = line_end(at, end);
    for (; at < stop; at++) {
        if ((*at == '.' || *at == '!' || *at == '?') && at + 1 < stop && is_space(at[1])) return at;
        if (starts(at, stop, "</") || starts(at, stop, "[/")) return at;
    }
    return stop;
}

static size_t marker_size(const char *text, const char *at, const char *end) {
    if (at > text && (joins(at[-1]) || at[-1] == '/')) return 0; /* </answer> ends one */
    for (size_t i = 0; i < sizeof markers / sizeof *markers; i++) {
        size_t n = strlen(markers[i]);
        if (starts_any_case(at, end, markers[i]) && !(at + n < end && joins(at[n]))) return n;
    }
    return 0;
}

static struct answer_span find_marked(const char *text, const char *end) {
    struct answer_span found = nowhere;
    for (const char *at = text; at < end; at++) {
        size_t marker = lower(*at) == 'a' ? marker_size(text, at, end) : 0;
        const char *from = marker ? after_marker(text, at, at + marker, end) : NULL;
        if (!from) continue;
        const char *stop = sentence_end(from, end);
        struct answer_span s = part(from, stop);
        if (s.size) found = s;
        at = stop > at ? stop - 1 : at;
    }
    return found.size ? answer_of_sentence(found) : nowhere;
}

/* -- together -- */

struct answer_span answer_find(const char *text, size_t size) {
    struct answer_span all = span_trim((struct answer_span){text, size});
    const char *end = all.at + all.size;
    text = all.at;
    struct answer_span s = find_boxed(text, end);
    if (!s.size) s = find_hashes(text, end, false);
    if (!s.size) s = find_marked(text, end);
    if (!s.size) s = answer_last_number(all);
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
