/* pretok.h: cuts text into words before BPE, by the patterns that tokenizer.ggml.pre names.
 * Not BPE itself: no merge crosses a word's end.
 * Next: pretok.c for the table, bpe.c for the user. */
#ifndef PONDER_PRETOK_H
#define PONDER_PRETOK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

struct pretok;

/* name is not NUL-terminated.  An unknown name is an error that lists the known ones. */
enum status pretok_open(const char *name, size_t size, struct pretok **out, struct error *e);
void pretok_close(struct pretok **p);

/* What else the name decides: whole words that are tokens skip the merges; BOS is added when the file does not say. */
bool pretok_ignores_merges(const struct pretok *p);
bool pretok_adds_bos(const struct pretok *p);

/* Ends of the words of text: ends[0] < ends[1] ... ends[*n - 1] = size; word i starts at ends[i - 1].  Every byte is in
 * one word.  Bytes that are not UTF-8 make words of their own.  ends: [size].  Safe from many threads. */
enum status pretok_split(const struct pretok *p, const char *text, size_t size, uint32_t *ends, size_t *n,
                         struct error *e);

/* Bytes of the well-formed UTF-8 character at text, 0 when there is none (RFC 3629; size is what is left). */
size_t utf8_char(const char *text, size_t size);

#endif
