/* answer.h: the final answer that a text states, and a form of it that is equal for equal answers.
 * Not a proof checker and not an algebra system: numbers are compared by value, everything else as tidied text.
 * Next: answer.c (where the answer stands), answer_canonical.c and answer_number.c (what it says).
 *
 * All work is linear in the text but for short pieces, nothing recurses and nothing allocates: texts come from models. */
#ifndef PONDER_ANSWER_H
#define PONDER_ANSWER_H

#include <stdbool.h>
#include <stddef.h>

enum { ANSWER_CAP = 512 }; /* holds every canonical answer and its NUL */

/* A part of a text, borrowed. */
struct answer_span {
    const char *at; /* [size], not NUL-terminated */
    size_t size;
};

/* Where `text` states its answer; size 0: nowhere.  The first of these that it has, and of several the last:
 *   \boxed{...}   braces inside it match, up to 64 deep; one that is not closed is none; also \boxed 5 and \fbox{...}
 *   #### x        the rest of its line; a heading of several words ("#### Step 2") is none, unless it ends the text
 *   answer: x     "answer is x" too, in any case: up to the end of the sentence or line; of a sentence its last number
 *   a number      the last one of the text */
struct answer_span answer_find(const char *text, size_t size);

/* Is it stated by a mark that has no other meaning: \boxed{...}, or #### before a number? */
bool answer_is_stated(const char *text, size_t size);

/* The canonical form of an answer, NUL-terminated, into out[ANSWER_CAP]; its length, 0 when nothing is left.
 *   numbers     "-1/2", "18": lowest terms, exact up to 150 digits and beyond that by digits.  Read are integers, decimals, a/b,
 *               \frac{a}{b}, mixed numbers, 1e5, 1.5 \times 10^5, commas between groups of three digits, "2 million"; a sign, $,
 *               %, units and a final period are passed over.  Digits are ASCII digits.
 *   lists       "(1,1/2)": each element for itself
 *   other text  without LaTeX spacing, \text, outer parentheses and "x ="; words in lower case; \frac{a}{b} as a/b
 * What is longer than the buffer becomes its beginning and a hash. */
size_t answer_canonical(const char *text, size_t size, char *out);

/* The canonical form of the answer that the text states. */
size_t answer_of(const char *text, size_t size, char *out);

#endif
