/* answer_internal.h: what the files of answer.h share.
 * Not for others.
 * Next: answer_latex.c. */
#ifndef PONDER_ANSWER_INTERNAL_H
#define PONDER_ANSWER_INTERNAL_H

#include <string.h>

#include "tasks/answer.h"

enum { ANSWER_WORK = 2048 }; /* longer answers are compared by a hash of their text */

/* ASCII only: a locale has no say, and no byte is negative. */
static inline bool is_digit(char c) { return c >= '0' && c <= '9'; }
static inline bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
static inline bool is_space(char c) { return (unsigned char)c <= ' ' || c == 0x7F; }
static inline char lower(char c) { return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c; }

static inline struct answer_span span_trim(struct answer_span s) {
    while (s.size && is_space(s.at[0])) s.at++, s.size--;
    while (s.size && is_space(s.at[s.size - 1])) s.size--;
    return s;
}

static inline struct answer_span span_skip(struct answer_span s, size_t n) {
    return (struct answer_span){s.at + n, s.size - n};
}

static inline bool span_starts(struct answer_span s, const char *word) {
    size_t n = strlen(word);
    return s.size >= n && !memcmp(s.at, word, n);
}

/* A text under work.  What does not fit is noted: the answer is then compared by a hash of the raw text. */
struct work {
    size_t n;
    bool over;
    char s[ANSWER_WORK];
};

static inline void put(struct work *w, const char *text, size_t size) {
    if (w->n + size > sizeof w->s) {
        w->over = true;
        return;
    }
    memcpy(w->s + w->n, text, size);
    w->n += size;
}

static inline void put_string(struct work *w, const char *text) { put(w, text, strlen(text)); }
static inline void put_char(struct work *w, char c) { put(w, &c, 1); }

/* Brackets and separators that are not those of plain text: bytes that no UTF-8 text has. */
enum {
    SET_OPEN = 0xF8,     /* \{ */
    SET_CLOSE = 0xF9,    /* \} */
    MATRIX_OPEN = 0xFA,  /* \begin{pmatrix} */
    MATRIX_CLOSE = 0xFB, /* \end{pmatrix} */
    ROW_END = 0xFC       /* \\ */
};
#define SET_OPEN_S "\xF8"
#define SET_CLOSE_S "\xF9"
#define MATRIX_OPEN_S "\xFA"
#define MATRIX_CLOSE_S "\xFB"
#define ROW_END_S "\xFC"

/* `raw` without LaTeX's layout, into *w: one spelling for each sign, blanks only where they part words or digits,
 * \frac{a}{b} as a/b, \sqrt{a} as \sqrt(a), scripts as ^a or ^(...).  Other commands keep their backslash, so that
 * they differ from words. */
void answer_plain(struct answer_span raw, struct work *w);

/* Length of the unsigned decimal that s begins with: "12", "1,234.50", ".5", "1{,}000", "1.5e3"; 0: none. */
size_t answer_number_size(const char *s, size_t n);

/* Length of the minus sign that s begins with: -, or U+2212 and its like; 0: none. */
size_t answer_minus_size(const char *s, size_t n);

/* A whole text as a number, perhaps with a unit; no LaTeX any more.  Writes the canonical number into
 * out[ANSWER_WORK + 16] and its length into *n_out; false when it is none. */
bool answer_number(struct answer_span text, char *out, size_t *n_out);

/* Is all of this a unit as it stands behind a number: " cm", " miles per hour"? */
bool answer_is_unit(struct answer_span text);

/* Is the whole of s a number, by its canonical form? */
bool answer_is_number(struct answer_span s);

/* The last number of a text, with its sign; size 0: there is none. */
struct answer_span answer_last_number(struct answer_span text);

/* The answer in what stands behind "answer is" or "answer:", up to the end of its sentence. */
struct answer_span answer_of_sentence(struct answer_span s);

#endif
