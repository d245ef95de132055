/* answer.h: the final answer that a text states, and a form of it that is equal for equal answers.
 * Not a proof checker and not an algebra system: numbers are compared by value, everything else as tidied text.
 * Next: answer.c (where the answer stands), answer_canonical.c (what it says); docs/ANSWERS.md for people.
 *
 * All work is linear in the text but for short pieces, recursion is bounded and nothing allocates: texts come from
 * models. */
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
 *   #### x        the rest of its line; behind the first number nothing counts, because texts that go on begin another
 *                 problem; a heading of several words ("#### Step 2") is none, unless it ends the text
 *   answer: x     and what answer.c's table of links has, in any case: the value that the sentence begins with, the one
 *                 behind its last "=", or its last number; below a heading "Final answer" the next line
 *   a number      the last one of the text */
struct answer_span answer_find(const char *text, size_t size);

/* Is it stated by a mark that has no other meaning: \boxed{...}, or #### before a number? */
bool answer_is_stated(const char *text, size_t size);

/* The canonical form of an answer, NUL-terminated, into out[ANSWER_CAP]; its length, 0 when nothing is left.
 *   numbers     "-1/2", "18": lowest terms, exact up to 150 digits and beyond that by digits.  Read are integers,
 *               decimals, a/b, \frac{a}{b}, mixed numbers, 1e5, 1.5 \times 10^5, commas between groups of three digits,
 *               "2 million", "5 dozen"; a sign, $, %, units and a final period are passed over.  Digits are ASCII ones.
 *   lists       "(1,1/2)": each element for itself; sets are sorted, matrices are "[[1,2;3,4]]"
 *   other text  without LaTeX's layout, outer parentheses and "x ="; one spelling for each sign; words in lower case
 * What is longer than the buffer becomes its beginning and a hash. */
size_t answer_canonical(const char *text, size_t size, char *out);

/* The canonical form of the answer that the text states. */
size_t answer_of(const char *text, size_t size, char *out);

#endif
