/* answer_internal.h: what the files of answer.h share.
 * Not for others.
 * Next: answer_number.c. */
#ifndef PONDER_ANSWER_INTERNAL_H
#define PONDER_ANSWER_INTERNAL_H

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

/* Length of the unsigned decimal that s begins with: "12", "1,234.50", ".5", "1{,}000", "1.5e3"; 0: none. */
size_t answer_number_size(const char *s, size_t n);

/* A whole text as a number, perhaps with a unit; no LaTeX any more.  Writes the canonical number into out[ANSWER_WORK + 16] and its length
 * into *n_out; false when it is none. */
bool answer_number(struct answer_span text, char *out, size_t *n_out);

#endif
