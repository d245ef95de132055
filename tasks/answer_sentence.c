/* answer_sentence.c: which part of a sentence is its answer, and the numbers of a text.
 * Not where the sentence stands: answer.c.
 * Next: answer_latex.c. */
#include "tasks/answer_internal.h"

static const struct answer_span nowhere = {"", 0};

static bool joins(char c) { return is_letter(c) || is_digit(c) || c == '_'; }

/* -- numbers -- */

bool answer_is_number(struct answer_span s) {
    char out[ANSWER_CAP];
    size_t n = answer_canonical(s.at, s.size, out), sign = out[0] == '-';
    return n > sign && strspn(out + sign, "0123456789/") == n - sign;
}

/* A fraction's {12} or its one digit at s; its size, 0: none. */
static size_t number_argument(struct answer_span s) {
    if (s.size && is_digit(*s.at)) return 1;
    if (!s.size || *s.at != '{') return 0;
    size_t sign = 1 + (s.size > 1 && s.at[1] == '-');
    size_t n = answer_number_size(s.at + sign, s.size - sign), close = sign + n;
    return n && close < s.size && s.at[close] == '}' ? close + 1 : 0;
}

/* Size of the unsigned number that s begins with: 12, 3/4, \frac{3}{4}; 0: none does. */
static size_t unsigned_size(struct answer_span s) {
    static const char *const commands[] = {"\\frac", "\\dfrac", "\\tfrac"};
    for (int i = 0; i < 3; i++) {
        if (!span_starts(s, commands[i])) continue;
        size_t n = strlen(commands[i]), above = number_argument(span_skip(s, n));
        size_t below = above ? number_argument(span_skip(s, n + above)) : 0;
        return below ? n + above + below : 0;
    }
    size_t n = answer_number_size(s.at, s.size);
    size_t below = n && n + 1 < s.size && s.at[n] == '/' ? answer_number_size(s.at + n + 1, s.size - n - 1) : 0;
    return n + (below ? 1 + below : 0);
}

/* Size of a number at s with what may follow a whole one: 1 1/2, 1\frac{1}{2}. */
static size_t mixed_size(struct answer_span s) {
    size_t n = unsigned_size(s), digits = 0;
    while (digits < n && is_digit(s.at[digits])) digits++;
    if (!n || digits < n || n == s.size) return n;
    size_t blank = s.at[n] == ' ';
    struct answer_span rest = span_skip(s, n + blank);
    size_t fraction = rest.size && (is_digit(*rest.at) || !blank) ? unsigned_size(rest) : 0;
    bool is_fraction = fraction && (*rest.at == '\\' || (blank && memchr(rest.at, '/', fraction)));
    return n + (is_fraction ? blank + fraction : 0);
}

/* The minus sign before text[at], also with money between: -$5; where it begins, `at`: none, or one of a difference. */
static size_t find_sign(struct answer_span text, size_t at) {
    static const char *const money[] = {"\\$", "$", "\xC2\xA3", "\xE2\x82\xAC"};
    size_t to = at;
    for (size_t i = 0; i < sizeof money / sizeof *money; i++) {
        size_t n = strlen(money[i]);
        if (to == at && at >= n && !memcmp(text.at + at - n, money[i], n)) to = at - n;
    }
    for (size_t n = 1; n <= 3 && n <= to; n++) {
        size_t from = to - n;
        if (answer_minus_size(text.at + from, n) != n) continue;
        char before = from ? text.at[from - 1] : ' ';
        return joins(before) || before == ')' ? at : from;
    }
    return at;
}

/* The first number at or behind *at, with its sign; *at moves behind it.  size 0: there is none. */
static struct answer_span next_number(struct answer_span text, size_t *at) {
    for (size_t i = *at; i < text.size;) {
        char c = text.at[i];
        if (joins(c) && !is_digit(c)) { /* a word, its digits too: x2 */
            while (i < text.size && joins(text.at[i])) i++;
            continue;
        }
        size_t n = is_digit(c) || c == '.' || c == '\\' ? mixed_size(span_skip(text, i)) : 0;
        if (!n) {
            i++;
            continue;
        }
        size_t from = find_sign(text, i);
        *at = i + n;
        return (struct answer_span){text.at + from, i + n - from};
    }
    *at = text.size;
    return nowhere;
}

struct answer_span answer_last_number(struct answer_span text) {
    struct answer_span found = nowhere;
    for (size_t at = 0; at < text.size;) {
        struct answer_span s = next_number(text, &at);
        if (s.size) found = s;
    }
    return found;
}

/* -- sentences -- */

/* Words of prose: three letters and more, that no backslash makes a command. */
static bool has_prose(struct answer_span s) {
    for (size_t i = 0; i < s.size;) {
        size_t n = 0;
        while (i + n < s.size && is_letter(s.at[i + n])) n++;
        if (n >= 3 && !(i && (s.at[i - 1] == '\\' || s.at[i - 1] == '{'))) return true;
        i += n ? n : 1;
    }
    return false;
}

/* A number, or numbers between commas.  What a sentence says behind a comma is none: "12, since x = 5". */
static bool is_number_list(struct answer_span s) {
    char out[ANSWER_CAP];
    size_t n = answer_canonical(s.at, s.size, out);
    if (memchr(s.at, '=', s.size) && has_prose(s)) return false;
    return n && strspn(out, "0123456789/-,()[]{}") == n && strpbrk(out, "0123456789");
}

/* The text between delimiters that s begins with; s itself: there are none.  As usual, no blank is inside of a $ and
 * no digit behind the closing one: "$16 - $7" is money. */
static struct answer_span between_delimiters(struct answer_span s) {
    static const char *const pairs[][2] = {{"$$", "$$"},   {"$", "$"},   {"\\(", "\\)"},
                                           {"\\[", "\\]"}, {"**", "**"}, {"`", "`"}};
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        size_t n = strlen(pairs[i][0]);
        bool dollar = n == 1 && *s.at == '$';
        for (size_t end = n; span_starts(s, pairs[i][0]) && end < s.size; end++) {
            struct answer_span rest = span_skip(s, end);
            if (!span_starts(rest, pairs[i][1])) continue;
            if (dollar && (is_space(s.at[end - 1]) || (rest.size > 1 && is_digit(rest.at[1])))) continue;
            return span_trim((struct answer_span){s.at + n, end - n});
        }
    }
    return s;
}

/* Up to the first comma, semicolon or parenthesis of prose. */
static struct answer_span first_clause(struct answer_span s) {
    for (size_t i = 0; i + 1 < s.size; i++)
        if ((strchr(",;", s.at[i]) && is_space(s.at[i + 1])) || (is_space(s.at[i]) && s.at[i + 1] == '(' && i))
            return (struct answer_span){s.at, i};
    return s;
}

/* Behind the last "=" of s, which is no part of another sign; s itself: there is none. */
static struct answer_span behind_equals(struct answer_span s) {
    for (size_t i = s.size; i-- > 0;)
        if (s.at[i] == '=' && !(i && strchr("<>!:", s.at[i - 1])) && !(i + 1 < s.size && s.at[i + 1] == '>'))
            return span_trim(span_skip(s, i + 1));
    return s;
}

/* Size of what may stand before the digits of a number: blanks, signs, money, type. */
static size_t front_size(struct answer_span s) {
    size_t n = 0, more = 1;
    for (; n < s.size && more; n += more) {
        struct answer_span rest = span_skip(s, n);
        size_t minus = answer_minus_size(rest.at, rest.size);
        bool command = span_starts(rest, "\\(") || span_starts(rest, "\\$");
        more = minus ? minus : command ? 2 : strchr("$*_+ ", *rest.at) != NULL;
    }
    return n;
}

/* The number that s begins with, when it is a value and not the begin of a formula: "12, which ...", "$12.50 per 3
 * items". */
static struct answer_span leading_number(struct answer_span s) {
    size_t at = 0;
    struct answer_span number = next_number(s, &at), rest = span_skip(s, at);
    if (!number.size || number.at > s.at + front_size(s)) return nowhere;
    if (rest.size && (is_letter(*rest.at) || strchr("^_!", *rest.at))) return nowhere;
    rest = span_trim(rest);
    bool command = rest.size > 1 && *rest.at == '\\' && is_letter(rest.at[1]);
    bool sign = rest.size && (strchr("+*/=<>^", *rest.at) || answer_minus_size(rest.at, rest.size));
    return (command || sign) && !has_prose(rest) ? nowhere : number;
}

/* A value in numbers is one as it stands.  Then: what delimiters mark, what follows the last "=", a number right
 * behind the announcement, a formula or a name as a whole, and of other sentences the last number. */
struct answer_span answer_of_sentence(struct answer_span s) {
    struct answer_span marked = between_delimiters(s), clause = first_clause(marked), right = behind_equals(clause);
    if (is_number_list(marked)) return marked;
    if (is_number_list(s)) return s;
    struct answer_span number = leading_number(right.size < clause.size ? right : marked);
    if (number.size) return number;
    if (marked.size < s.size) return marked;
    bool words = memchr(s.at, ' ', s.size) != NULL;
    for (size_t i = 0; i < s.size; i++)
        if (strchr("\\^=+_({[/<>", s.at[i]) && s.at[i]) return s;
    number = words ? answer_last_number(s) : nowhere;
    return number.size ? number : s;
}
