/* json_schema.h: a JSON schema as a grammar in GBNF: what is written under the grammar is valid under the schema.
 * Not a validator of texts.
 * Next: json_schema.c.
 *
 * It fails closed: a keyword that the grammar could not keep is refused by its name and place, never passed over.  The
 * grammar may allow less than the schema: properties come in the order of the schema, others only where
 * additionalProperties asks for them; numbers have at most 16 digits before and 15 behind the point. *
 * Read are: type, enum, const, properties, required, additionalProperties, items, minItems, maxItems, minLength,
 * maxLength, pattern (anchored), format (date, time, date-time, uuid, ipv4), anyOf, oneOf (of alternatives that cannot
 * both hold), allOf of one, $ref into the schema itself, $defs, definitions, and what only describes (title, default).
 * */
#ifndef PONDER_JSON_SCHEMA_H
#define PONDER_JSON_SCHEMA_H

#include <jansson.h>

#include "base/status.h"

/* *gbnf is for mem_free.  `name` stands in front of errors.  ERR_INPUT: no schema, a keyword that is not supported,
 * more than JSON_SCHEMA_DEPTH schemas within each other or JSON_SCHEMA_NODES in all. */
enum { JSON_SCHEMA_DEPTH = 64, JSON_SCHEMA_NODES = 10000 };
enum status json_schema_grammar(const json_t *schema, const char *name, char **gbnf, struct error *e);

/* The same from the text of a schema. */
enum status json_schema_read(const char *text, size_t size, const char *name, char **gbnf, struct error *e);

#endif
