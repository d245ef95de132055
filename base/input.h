/* input.h: a whole text from a file or from standard input.
 * Not lines: problems.h.
 * Next: cli/cmd_tokenize.c. */
#ifndef PONDER_INPUT_H
#define PONDER_INPUT_H

#include <stddef.h>

#include "base/status.h"

/* All bytes of `path`, or of standard input when it is NULL; *text is NUL-terminated behind *size bytes and freed by
 * the caller with mem_free; NULL on failure.  At most 1 GiB. */
enum status input_read(const char *path, char **text, size_t *size, struct error *e);

/* \n \r \t \' \" \\ and \xHH become the characters they stand for, in place, as llama.cpp does with prompts; other backslashes
 * stay.  \x00 ends the text.  Returns the text. */
char *input_unescape(char *text);

#endif
