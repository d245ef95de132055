/* input.h: a whole text from a file or from standard input.
 * Not lines: problems.h.
 * Next: cli/cmd_tokenize.c. */
#ifndef PONDER_INPUT_H
#define PONDER_INPUT_H

#include <stddef.h>
#include <stdio.h>

#include "base/status.h"

/* All of `path`, or of standard input when it is NULL or "-"; *text is NUL-terminated behind *size bytes and freed
 * by the caller with mem_free; NULL on failure.  At most 1 GiB.  Line ends of other systems, \r\n, become \n. */
enum status input_read(const char *path, char **text, size_t *size, struct error *e);
/* The same, byte by byte. */
enum status input_read_bytes(const char *path, char **text, size_t *size, struct error *e);

/* Each \r\n of text[size] becomes \n, in place; the new size.  A text that got shorter is NUL-terminated. */
size_t input_unix_lines(char *text, size_t size);

/* `path` for reading, standard input when it is NULL or "-"; NULL: ERR_IO.  input_close leaves standard input open. */
FILE *input_open(const char *path, struct error *e);
void input_close(FILE *f);
const char *input_name(const char *path); /* for messages */

/* \n \r \t \' \" \\ and \xHH become the characters they stand for, in place, as llama.cpp does with prompts; other
 * backslashes stay.  \x00 ends the text.  Returns the text. */
char *input_unescape(char *text);

#endif
