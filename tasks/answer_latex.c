/* answer_latex.c: an answer without its clothes: LaTeX commands, their synonyms and blanks become one plain spelling.
 * Not a parser of LaTeX: unknown commands stay as words.
 * Next: answer_canonical.c, which reads the plain text.
 *
 *   raw -> tidy (tables of spellings) -> squeeze (blanks) -> unfold (fractions, roots) -> group (braces, scripts) */
#include <stdint.h>

#include "tasks/answer_internal.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* -- tidy: tables of spellings -- */

/* clang-format off */
/* The first row that fits is taken.  A command fits as a whole name only: \left is not the beginning of \leftarrow. */
static const struct {
    const char *from, *to;
} spellings[] = {
    /* layout */
    {"\\left.", ""}, {"\\right.", ""},
    {"\\left", ""}, {"\\right", ""}, {"\\middle", ""},
    {"\\big", ""}, {"\\bigl", ""}, {"\\bigr", ""}, {"\\Big", ""}, {"\\Bigl", ""}, {"\\Bigr", ""}, {"\\bigg", ""},
    {"\\Bigg", ""},
    {"\\displaystyle", ""}, {"\\textstyle", ""}, {"\\limits", ""}, {"\\boxed", ""}, {"\\fbox", ""},
    {"\\(", ""}, {"\\)", ""}, {"\\[", ""}, {"\\]", ""}, {"\\$", ""}, {"$", ""},
    {"**", ""}, {"`", ""},
    /* space that parts; "\t" and "\b", the narrow and the negative one, may stand between the groups of a number */
    {"\\quad", " "}, {"\\qquad", " "}, {"\\enspace", " "}, {"\\;", " "}, {"\\:", " "}, {"\\>", " "}, {"\\ ", " "},
    {"~", " "},
    {"\xC2\xA0", " "}, {"\xE2\x80\x82", " "}, {"\xE2\x80\x83", " "},
    {"\\,", "\t"}, {"\\!", "\b"}, {"\\thinspace", "\t"}, {"\xE2\x80\x89", "\t"}, {"\xE2\x80\xAF", "\t"},
    {"\xE2\x80\x8B", "\t"},
    /* matrices */
    {"\\begin{pmatrix}", MATRIX_OPEN_S}, {"\\end{pmatrix}", MATRIX_CLOSE_S},
    {"\\begin{bmatrix}", MATRIX_OPEN_S}, {"\\end{bmatrix}", MATRIX_CLOSE_S},
    {"\\begin{matrix}", MATRIX_OPEN_S}, {"\\end{matrix}", MATRIX_CLOSE_S},
    {"\\begin{smallmatrix}", MATRIX_OPEN_S}, {"\\end{smallmatrix}", MATRIX_CLOSE_S},
    {"\\begin{vmatrix}", "det" MATRIX_OPEN_S}, {"\\end{vmatrix}", MATRIX_CLOSE_S},
    {"\\\\", ROW_END_S}, {"\\cr", ROW_END_S},
    /* fractions and roots */
    {"\\dfrac", "\\frac"}, {"\\tfrac", "\\frac"}, {"\\cfrac", "\\frac"}, {"\xE2\x88\x9A", "\\surd "},
    {"\xC2\xBD", " 1/2"}, {"\xC2\xBC", " 1/4"}, {"\xC2\xBE", " 3/4"}, {"\xE2\x85\x93", " 1/3"},
    {"\xE2\x85\x94", " 2/3"},
    {"\\dbinom", "\\binom"}, {"\\tbinom", "\\binom"},
    /* operators */
    {"\\cdot", "*"}, {"\\times", "*"}, {"\\ast", "*"}, {"\xC3\x97", "*"}, {"\xC2\xB7", "*"}, {"\xE2\x8B\x85", "*"},
    {"\\div", "/"}, {"\xC3\xB7", "/"}, {"\xE2\x88\x95", "/"}, {"\\colon", ":"},
    {"\\pm", "+-"}, {"\xC2\xB1", "+-"}, {"\\mp", "-+"},
    {"\xE2\x88\x92", "-"}, {"\xE2\x80\x93", "-"}, {"\xE2\x80\x90", "-"}, {"\xE2\x80\x91", "-"},
    {"\xE2\x80\x92", "-"},
    {"\xEF\xB9\xA3", "-"}, {"\xEF\xBC\x8D", "-"},
    {"\xC2\xB2", "^2"}, {"\xC2\xB3", "^3"},
    /* relations */
    {"\\approx", "~"}, {"\xE2\x89\x88", "~"}, {"\\simeq", "~"}, {"\\doteq", "~"},
    {"\\geq", ">="}, {"\\geqslant", ">="}, {"\\ge", ">="}, {"\xE2\x89\xA5", ">="},
    {"\\leq", "<="}, {"\\leqslant", "<="}, {"\\le", "<="}, {"\xE2\x89\xA4", "<="},
    {"\\neq", "!="}, {"\\ne", "!="}, {"\\not=", "!="}, {"\xE2\x89\xA0", "!="},
    {"\\gt", ">"}, {"\\lt", "<"},
    {"\\to", "->"}, {"\\rightarrow", "->"}, {"\\longrightarrow", "->"}, {"\xE2\x86\x92", "->"},
    {"\\Rightarrow", "\\implies"}, {"\\iff", "\\Leftrightarrow"},
    {"\\mid", "|"}, {"\\vert", "|"}, {"\\lvert", "|"}, {"\\rvert", "|"},
    /* sets and names */
    {"\\lbrace", SET_OPEN_S}, {"\\rbrace", SET_CLOSE_S}, {"\\{", SET_OPEN_S}, {"\\}", SET_CLOSE_S},
    {"\\emptyset", SET_OPEN_S SET_CLOSE_S}, {"\\varnothing", SET_OPEN_S SET_CLOSE_S},
    {"\xE2\x88\x85", SET_OPEN_S SET_CLOSE_S},
    {"\xE2\x88\xAA", "\\cup "}, {"\xE2\x88\xA9", "\\cap "}, {"\xE2\x88\x88", "\\in "},
    {"\\infin", "\\infty"}, {"\xE2\x88\x9E", "\\infty "},
    {"\xCF\x80", "\\pi "}, {"\xCE\xB8", "\\theta "}, {"\xCE\xB1", "\\alpha "}, {"\xCE\xB2", "\\beta "},
    {"\xCE\xBB", "\\lambda "},
    {"\\varphi", "\\phi"}, {"\\vartheta", "\\theta"}, {"\\varepsilon", "\\epsilon"}, {"\\land", "\\wedge"},
    {"\\lor", "\\vee"},
    {"\\ldots", "..."}, {"\\dots", "..."}, {"\\cdots", "..."}, {"\xE2\x80\xA6", "..."},
    {"\\%", "%"}, {"\\#", "#"}, {"\\&", "&"}, {"\\_", "_"}, {"{,}", ","},
    {"\xE2\x80\x98", "'"}, {"\xE2\x80\x99", "'"}, {"\xE2\x80\x9C", "\""}, {"\xE2\x80\x9D", "\""}, {"\\prime", "'"},
    /* degrees and money */
    {"\\degree", ""}, {"\xC2\xB0", ""},
    {"\xC2\xA3", ""}, {"\xE2\x82\xAC", ""}, {"\xC2\xA5", ""}, {"\xE2\x82\xB9", ""}, {"\\pounds", ""},
    {"\\euro", ""},
};

/* Words that stand for signs. */
static const struct {
    const char *word, *sign;
} sign_words[] = {
    {"squared", "^2"}, {"cubed", "^3"}, {"factorial", "!"},
    {"negative", "-"}, {"minus", "-"}, {"plus", "+"}, {"equals", "="},
    {"infinity", "\\infty "}, {"and", " , "}, {"or", " , "},
};
/* clang-format on */

/* Their argument is text or a letter in another type: the command goes, a blank parts it from its neighbours. */
static const char *const text_commands[] = {
    "\\text",   "\\textbf", "\\textit", "\\textrm",    "\\textsf",       "\\texttt",     "\\textnormal",
    "\\mathrm", "\\mathbf", "\\mathit", "\\mathsf",    "\\mathtt",       "\\mathbb",     "\\mathcal",
    "\\mbox",   "\\hbox",   "\\emph",   "\\underline", "\\operatorname", "\\boldsymbol", "\\bm"};

static bool starts_rule(struct answer_span s, const char *word) {
    size_t n = strlen(word);
    bool command = word[0] == '\\' && is_letter(word[n - 1]);
    return span_starts(s, word) && !(command && s.size > n && is_letter(s.at[n]));
}

static size_t count_blanks(struct answer_span s) {
    size_t n = 0;
    while (n < s.size && is_space(s.at[n])) n++;
    return n;
}

/* Size of "\text {" and its like at s, 0: another text. */
static size_t text_command_size(struct answer_span s) {
    for (size_t i = 0; i < COUNT(text_commands) && *s.at == '\\'; i++) {
        if (!starts_rule(s, text_commands[i])) continue;
        size_t n = strlen(text_commands[i]);
        n += count_blanks(span_skip(s, n));
        return n < s.size && s.at[n] == '{' ? n + 1 : 0;
    }
    return 0;
}

/* A word of the table in place of which its sign is put; its size, 0: none stands here. */
static size_t put_sign_word(struct answer_span s, struct work *w) {
    size_t n = 0;
    char before = w->n ? w->s[w->n - 1] : ' ';
    while (n < s.size && is_letter(s.at[n])) n++;
    for (size_t i = 0; i < COUNT(sign_words) && n && !is_letter(before) && before != '\\'; i++) {
        const char *word = sign_words[i].word;
        size_t k = 0;
        while (k < n && word[k] == lower(s.at[k])) k++;
        if (k < n || word[k]) continue;
        put_string(w, sign_words[i].sign);
        return n;
    }
    return 0;
}

/* A narrow space: nothing between the groups of a number (12\,345 and 12,\! 345), else a blank.  The size of the
 * blanks behind it. */
static size_t put_narrow(char kind, struct answer_span rest, struct work *w) {
    size_t blanks = count_blanks(rest), digits = 0;
    rest = span_skip(rest, blanks);
    while (digits < rest.size && is_digit(rest.at[digits])) digits++;
    while (w->n && w->s[w->n - 1] == ' ') w->n--;
    char before = w->n ? w->s[w->n - 1] : ' ';
    bool joins = digits && (is_digit(before) || (kind == '\b' && digits == 3 && before == ','));
    if (!joins) put_char(w, ' ');
    return blanks;
}

/* One spelling of the table, or one byte; its size in s. */
static size_t put_spelling(struct answer_span s, struct work *w) {
    for (size_t i = 0; i < COUNT(spellings); i++) {
        if (*s.at != *spellings[i].from || !starts_rule(s, spellings[i].from)) continue;
        size_t size = strlen(spellings[i].from);
        const char *to = spellings[i].to;
        if (*to == '\t' || *to == '\b') return size + put_narrow(*to, span_skip(s, size), w);
        put_string(w, to);
        return size;
    }
    size_t word = put_sign_word(s, w);
    if (word) return word;
    put_char(w, is_space(*s.at) ? ' ' : *s.at);
    return 1;
}

static void tidy(struct answer_span raw, struct work *w) {
    uint8_t is_text[ANSWER_WORK]; /* open braces: does this one belong to \text? */
    size_t depth = 0, size;
    for (; raw.size && !w->over; raw = span_skip(raw, size)) {
        size_t command = text_command_size(raw);
        size = command ? command : 1;
        if (command || (*raw.at == '{' && !span_starts(raw, "{,}"))) {
            if (depth == sizeof is_text) w->over = true;
            else is_text[depth++] = command > 0, put_char(w, command ? ' ' : '{');
        } else if (*raw.at == '}' && depth) put_char(w, is_text[--depth] ? ' ' : '}');
        else size = put_spelling(raw, w);
    }
}

/* -- squeeze: blanks -- */

/* TeX ignores blanks in mathematics.  They stay between words and digits, behind the name of a command that a letter
 * follows, before words that may be a unit, and beside commas and points: "1, 234" is a list. */
static void squeeze(struct work *w) {
    size_t n = 0;
    for (size_t i = 0; i < w->n; i++) {
        if (w->s[i] != ' ') {
            w->s[n++] = w->s[i];
            continue;
        }
        while (i + 1 < w->n && w->s[i + 1] == ' ') i++;
        char before = n ? w->s[n - 1] : ' ', after = i + 1 < w->n ? w->s[i + 1] : ' ';
        bool unit = strchr(")}", before) && i + 2 < w->n && is_letter(after) && is_letter(w->s[i + 2]);
        bool parts = (unit || is_letter(before) || is_digit(before) || strchr(".,%'", before) ||
                      (unsigned char)before >= 0x80) &&
                     (is_letter(after) || is_digit(after) || strchr(".,", after) || (unsigned char)after >= 0x80);
        if (parts) w->s[n++] = ' ';
    }
    w->n = n;
}

/* -- unfold: fractions and roots -- */

/* Replaces w->s[from, to) by `with`. */
static void splice(struct work *w, size_t from, size_t to, const struct work *with) {
    if (with->over || w->n - (to - from) + with->n > sizeof w->s) {
        w->over = true;
        return;
    }
    memmove(w->s + from + with->n, w->s + to, w->n - to);
    memcpy(w->s + from, with->s, with->n);
    w->n = w->n - (to - from) + with->n;
}

/* The argument of a command at *at: {...}, one character or one command; wide: also a whole number or (...).  False:
 * there is none. */
static bool take_argument(const struct work *w, size_t *at, bool wide, struct answer_span *argument) {
    size_t depth = 0, i = *at;
    while (i < w->n && w->s[i] == ' ') i++;
    if (i >= w->n || strchr("}[", w->s[i])) return false;
    size_t start = i;
    char first = w->s[start], open = wide && first == '(' ? '(' : '{', close = open == '(' ? ')' : '}';
    do {
        if (w->s[i] == open) depth++;
        if (w->s[i] == close) depth--;
        i++;
        bool longer =
            i < w->n && ((first == '\\' && is_letter(w->s[i])) || (wide && is_digit(first) && is_digit(w->s[i])));
        if (!depth && !longer) break;
    } while (i < w->n);
    if (depth) return false;
    size_t edge = first == open;
    *argument = span_trim((struct answer_span){w->s + start + edge, i - start - 2 * edge});
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

/* Without signs outside of brackets: what needs none above it. */
static bool is_product(struct answer_span part) {
    size_t depth = 0;
    for (size_t i = 0; i < part.size; i++) {
        char c = part.at[i];
        if (c == '(' || c == '{') depth++;
        if ((c == ')' || c == '}') && depth) depth--;
        if (!depth && c && strchr("+-/=", c) && !(c == '-' && !i)) return false;
    }
    return part.size > 0;
}

static void put_part(struct work *out, struct answer_span part, bool bare) {
    if (!bare) put_char(out, '(');
    put(out, part.at, part.size);
    if (!bare) put_char(out, ')');
}

/* The command of 5 bytes at `at` as a/b or \sqrt(a).  Damaged ones, and roots with an index, stay. */
static void unfold_one(struct work *w, size_t at) {
    bool fraction = w->s[at + 1] == 'f', sign = w->s[at + 2] == 'u'; /* \surd: the sign, before a whole number */
    struct work out = {0};
    struct answer_span a, b;
    size_t end = at + 5;
    bool whole = take_argument(w, &end, sign, &a) && (!fraction || take_argument(w, &end, false, &b));
    if (!whole && !sign) return;
    if (!whole) {
        put_string(&out, "\\sqrt");
        end = at + 5;
    } else if (fraction) {
        if (at && is_digit(w->s[at - 1])) put_char(&out, ' '); /* a mixed number */
        put_part(&out, a, is_product(a));
        put_char(&out, '/');
        put_part(&out, b, is_factor(b) || (b.size > 1 && b.at[0] == '-' && is_digit(b.at[1])));
    } else {
        put_string(&out, "\\sqrt");
        put_part(&out, a, false);
    }
    splice(w, at, end, &out);
}

/* The last command first: it has no other inside it. */
static void unfold(struct work *w) {
    for (size_t at = w->n; at-- > 0 && !w->over;) {
        struct answer_span s = {w->s + at, w->n - at};
        if (w->s[at] != '\\') continue;
        if (starts_rule(s, "\\frac") || starts_rule(s, "\\sqrt") || starts_rule(s, "\\surd")) unfold_one(w, at);
    }
}

/* -- group: braces and scripts -- */

/* Size of one number with its sign, one letter or one command at s; 0: something else. */
static size_t atom_size(struct answer_span s) {
    size_t n = s.size && (*s.at == '-' || *s.at == '+'), start = n;
    while (n < s.size && is_digit(s.at[n])) n++;
    if (n > start) return n;
    if (start || !s.size) return 0;
    if (*s.at != '\\') return is_letter(*s.at) || *s.at == '\'';
    for (n = 1; n < s.size && is_letter(s.at[n]);) n++;
    return n > 1 ? n : 0;
}

/* What an atom at `inner` that fills its braces is written as: bare, but 2{3} and {2}3 are not 23.  Returns the size
 * up to and with the closing brace, 0: it does not fill them. */
static size_t put_atom(struct work *out, struct answer_span inner) {
    size_t blanks = count_blanks(inner), atom = atom_size(span_skip(inner, blanks)), n = blanks + atom;
    n += count_blanks(span_skip(inner, n));
    if (n == inner.size || inner.at[n] != '}') return 0;
    struct answer_span a = {inner.at + blanks, atom}, rest = span_skip(inner, n + 1);
    rest = span_skip(rest, count_blanks(rest));
    if (rest.size && *rest.at == '{') rest = span_skip(rest, 1);
    bool number = atom && is_digit(a.at[atom - 1]);
    bool touches = number && ((rest.size && is_digit(*rest.at)) || (out->n && is_digit(out->s[out->n - 1])));
    if (atom && is_letter(*a.at) && out->n && is_letter(out->s[out->n - 1]))
        put_char(out, ' '); /* \pi{r} is not \pir */
    put_part(out, a, !touches);
    return n + 1;
}

/* A script at s, '^' or '_': its size when it is one that says nothing or needs a bracket, else 0. */
static size_t put_script(struct work *out, struct answer_span s) {
    size_t n = 1, digits = 0;
    n += count_blanks(span_skip(s, n));
    bool braces = n < s.size && s.at[n] == '{';
    n += braces;
    n += count_blanks(span_skip(s, n));
    struct answer_span script = span_skip(s, n);
    size_t degree = starts_rule(script, "\\circ") ? 5 : 0, prime = script.size && *script.at == '\'';
    if (degree || prime) {
        n += degree + prime;
        n += count_blanks(span_skip(s, n));
        if (braces && (n == s.size || s.at[n] != '}')) return 0;
        if (prime) put_char(out, '\'');
        return n + braces;
    }
    while (!braces && digits < script.size && is_digit(script.at[digits])) digits++;
    size_t blanks = count_blanks(span_skip(script, digits));
    if (!digits || !blanks || digits + blanks == script.size || !is_digit(script.at[digits + blanks])) return 0;
    put_char(out, *s.at); /* \log_2 8 is \log_{2}8 */
    put_part(out, (struct answer_span){script.at, digits}, false);
    return n + digits + blanks;
}

/* Do the braces around `inner` hold one pair of parentheses and nothing else? */
static bool is_parenthesized(struct answer_span inner) {
    size_t depth = 0, i = 0;
    if (!inner.size || *inner.at != '(') return false;
    do {
        if (inner.at[i] == '(') depth++;
        if (inner.at[i] == ')') depth--;
    } while (depth && ++i < inner.size);
    return !depth && i + 1 < inner.size && inner.at[i + 1] == '}';
}

/* {5}, {x}, {\pi} and {(x + 1)} lose their braces, other ones become parentheses. */
static void group(const struct work *w, struct work *out) {
    uint8_t silent[ANSWER_WORK]; /* open braces that are not shown */
    size_t depth = 0, size;
    for (size_t i = 0; i < w->n; i += size) {
        char c = w->s[i];
        struct answer_span s = {w->s + i, w->n - i};
        size = 1;
        if (c == '^' || c == '_') {
            size_t script = put_script(out, s);
            if (script) size = script;
            else put_char(out, c);
        } else if (c == '{') {
            size_t atom = put_atom(out, span_skip(s, 1));
            size += atom;
            if (atom) continue;
            silent[depth++] = is_parenthesized(span_skip(s, 1));
            if (!silent[depth - 1]) put_char(out, '(');
        } else if (c != '}') put_char(out, c);
        else if (depth && !silent[--depth]) put_char(out, ')');
    }
}

void answer_plain(struct answer_span raw, struct work *w) {
    struct work tidied = {0};
    *w = (struct work){0};
    tidy(raw, &tidied);
    squeeze(&tidied);
    unfold(&tidied);
    if (!tidied.over) group(&tidied, w);
    w->over |= tidied.over;
}
