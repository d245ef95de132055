/* scan.c: see scan.h.
 * Not a parser of language: phrases, compared word by word, without case and with any white space between words.
 * Next: texts_reply.c, which asks it. */
#include "serve/scan.h"

#include <ctype.h>
#include <string.h>

/* A phrase: words with one blank between; "*" stands for up to three other words. */
/* clang-format off */
static const struct { const char *kind, *phrase; } phrases[] = {
    {"verifier", "score this * 1"},
    {"verifier", "score this * 10"},
    {"verifier", "score this * as"},
    {"verifier", "rate this * 10"},
    {"verifier", "rate this * as"},
    {"verifier", "give this * the highest"},
    {"verifier", "give this * a high"},
    {"verifier", "give it the highest"},
    {"verifier", "give full marks"},
    {"verifier", "the maximum score"},
    {"verifier", "the highest score"},
    {"verifier", "the highest reward"},
    {"verifier", "mark this * correct"},
    {"verifier", "label this * correct"},
    {"verifier", "judge this * correct"},
    {"verifier", "this step must be * correct"},
    {"verifier", "this step has been verified"},
    {"verifier", "this answer has been verified"},
    {"verifier", "you are the verifier"},
    {"verifier", "note to the verifier"},
    {"verifier", "note to the grader"},
    {"verifier", "note to the judge"},
    {"verifier", "dear verifier"},
    {"verifier", "dear grader"},
    {"verifier", "dear judge"},
    {"verifier", "reward model"},
    {"verifier", "ignore the rubric"},
    {"verifier", "ignore * previous instructions"},
    {"verifier", "ignore * instructions above"},
    {"verifier", "disregard * previous instructions"},
    {"verifier", "is the answer correct (yes/no)? yes"},
    {"verifier", "is this step correct? yes"},
    {"verifier", "correctness: 1"},
    {"verifier", "score: 1.0"},
    {"verifier", "score: 10/10"},
    {"verifier", "step tag"},
    {"verifier", "\xd0\xba\xd0\xb8"}, /* ends a step for shepherd */
    {"thinking", "stop thinking"},
    {"thinking", "end your thinking"},
    {"thinking", "end the thinking"},
    {"thinking", "finish thinking"},
    {"thinking", "skip the reasoning"},
    {"thinking", "skip your reasoning"},
    {"thinking", "do not think"},
    {"thinking", "don't think"},
    {"thinking", "without thinking"},
    {"thinking", "answer immediately"},
};
/* What stands for itself wherever it is: delimiters of thinking, marks of reward models' protocols. */
static const struct { const char *kind, *mark; } marks[] = {
    {"thinking", "<think>"}, {"thinking", "</think>"}, {"thinking", "/no_think"},
    {"verifier", "<extra_0>"},
};
/* clang-format on */
enum { MOST_BOXES = 3, GAP = 3, MOST_TOLD = 80, LONGEST_NAME = 64 };

/* Texts are compared in small letters of ASCII. */
static bool is_word(char c) { return isalnum((unsigned char)c) || (unsigned char)c >= 0x80; }
static bool is_blank(char c) { return c == ' ' || c == '\n' || c == '\t' || c == '\r'; }
static bool same_letter(char text, char phrase) { return tolower((unsigned char)text) == (unsigned char)phrase; }

/* Length of what fits the phrase at the start of text [n]; 0: it does not. */
static size_t fits(const char *text, size_t n, const char *phrase) {
    size_t at = 0;
    for (; *phrase; phrase++) {
        if (*phrase == '*') { /* as few words as it takes */
            for (int words = 0; words <= GAP; words++) {
                size_t rest = fits(text + at, n - at, phrase + 2);
                if (rest) return at + rest;
                while (at < n && !is_blank(text[at])) at++;
                while (at < n && is_blank(text[at])) at++;
            }
            return 0;
        }
        if (*phrase == ' ') {
            if (at >= n || !is_blank(text[at])) return 0;
            while (at < n && is_blank(text[at])) at++;
        } else if (at >= n || !same_letter(text[at++], *phrase)) return 0;
    }
    bool whole = at == n || !is_word(text[at]); /* "1" is not the beginning of "100" */
    return whole ? at : 0;
}

struct scan {
    const char *where;
    json_t **findings;
};

static bool is_known(const struct scan *s, const char *kind) {
    size_t i;
    json_t *one;
    json_array_foreach(*s->findings, i, one) {
        if (!strcmp(json_string_value(json_object_get(one, "where")), s->where) &&
            !strcmp(json_string_value(json_object_get(one, "kind")), kind))
            return true;
    }
    return false;
}

static void found(const struct scan *s, const char *kind, const char *text, size_t n) {
    char told[MOST_TOLD];
    if (is_known(s, kind) || json_array_size(*s->findings) >= SCAN_FINDINGS) return;
    if (n >= sizeof told) n = sizeof told - 1;
    memcpy(told, text, n);
    for (size_t i = 0; i < n; i++)
        if ((unsigned char)told[i] < ' ') told[i] = ' ';
    json_t *one = json_pack("{s:s,s:s,s:s#}", "where", s->where, "kind", kind, "text", told, (int)n);
    if (!one)
        one = json_pack("{s:s,s:s,s:s}", "where", s->where, "kind", kind, "text", ""); /* cut within a character */
    if (!*s->findings) *s->findings = json_array();
    if (*s->findings) json_array_append_new(*s->findings, one);
    else json_decref(one);
}

/* Names of control tokens are in <> or []. */
static void look_for_control(const struct scan *s, const struct tok *tok, const char *text, size_t n) {
    char name[LONGEST_NAME + 1];
    const char *end = memchr(text, *text == '<' ? '>' : ']', n < LONGEST_NAME ? n : LONGEST_NAME);
    if (!end) return;
    size_t size = (size_t)(end - text) + 1;
    memcpy(name, text, size), name[size] = '\0';
    int32_t id = strlen(name) == size ? tok_find(tok, name) : -1;
    if (id >= 0 && !tok_piece(tok, id, false).size) found(s, "control", text, size);
}

static void look_for_phrases(const struct scan *s, const char *text, size_t n) {
    for (size_t i = 0; i < sizeof phrases / sizeof *phrases; i++) {
        if (!same_letter(*text, *phrases[i].phrase)) continue;
        size_t size = fits(text, n, phrases[i].phrase);
        if (size) found(s, phrases[i].kind, text, size);
    }
}

void scan_text(const struct tok *tok, const char *text, size_t n, const char *where, json_t **findings) {
    static const char box[] = "\\boxed{";
    struct scan s = {where, findings};
    size_t boxes = 0;
    if (n > SCAN_BYTES) n = SCAN_BYTES;
    for (size_t i = 0; i < n; i++) {
        const char *at = text + i;
        size_t left = n - i;
        bool starts = !i || !is_word(text[i - 1]);
        if (starts) look_for_phrases(&s, at, left);
        for (size_t k = 0; k < sizeof marks / sizeof *marks; k++) {
            size_t size = strlen(marks[k].mark);
            if (left >= size && !memcmp(at, marks[k].mark, size)) found(&s, marks[k].kind, at, size);
        }
        if (*at == '<' || *at == '[') look_for_control(&s, tok, at, left);
        if (left >= sizeof box - 1 && !memcmp(at, box, sizeof box - 1) && ++boxes > MOST_BOXES)
            found(&s, "verifier", at, sizeof box - 1); /* answers for every picker */
    }
}
