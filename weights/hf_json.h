/* hf_json.h: JSON files of a model folder, and what is read from them with its range.
 * Not for other rooms.
 * Next: hf_json.c, then hf_impl.h. */
#ifndef PONDER_HF_JSON_H
#define PONDER_HF_JSON_H

#include <jansson.h>
#include <stdbool.h>

#include "base/status.h"

/* "folder/name", newly made; NULL when memory is out. */
char *hf_path(const char *folder, const char *name);

/* Text, or the whole of a file, as an object; anything else is an error with line and column.  Nesting is bounded by
 * jansson (2048).  json_decref frees it; *out is NULL on failure. */
enum status hf_json_parse(const char *text, size_t size, size_t flags, const char *name, json_t **out, struct error *e);
enum status hf_json_read(const char *path, size_t flags, json_t **out, struct error *e);

#endif
