/* json_schema_internal.h: the writer of a schema's grammar.
 * Not for users of json_schema.h.
 * Next: json_schema.c. */
#ifndef PONDER_JSON_SCHEMA_INTERNAL_H
#define PONDER_JSON_SCHEMA_INTERNAL_H

#include <stdint.h>

#include "base/buffer.h"
#include "model/json_schema.h"

enum { JSON_SCHEMA_REFS = 1000 };
struct schema {
    const json_t *root;
    const char *name;
    struct buffer rules, path; /* path: where in the schema, for errors */
    unsigned n_objects, n_arrays, n_nodes, depth;
    const json_t *refs[JSON_SCHEMA_REFS]; /* [n_refs] what rule ref0, ref1 ... stand for */
    size_t n_refs;
    bool failed; /* memory */
    json_free_t free_text;
    struct error *e;
};

enum status schema_wrong(const struct schema *c, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Appends the expression of one schema. */
enum status schema_put(struct schema *c, const json_t *s, struct buffer *out);
/* What "#/$defs/name" names; NULL: nothing. */
const json_t *schema_ref(struct schema *c, const char *ref);
/* Two keywords with whole numbers; without the second, bounds[1] is -1. */
enum status schema_bounds(struct schema *c, const json_t *s, const char *low, const char *high, int64_t bounds[2]);
void schema_repeat(struct buffer *out, int64_t least, int64_t most);

/* json_schema_text.c: a string with length, format or pattern; the inner characters of names that are none of the
 * properties. */
enum status schema_string(struct schema *c, const json_t *s, struct buffer *out);
enum status schema_other_names(struct schema *c, const json_t *properties, struct buffer *out);

#endif
