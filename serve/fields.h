/* fields.h: the fields of a JSON object as rows: name, kind, range, place in a struct; read and checked in one way.
 * Not the meaning of the fields.
 * Next: fields.c. */
#ifndef PONDER_FIELDS_H
#define PONDER_FIELDS_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

enum field_kind {
    FIELD_INT,     /* int64_t in [low, high] */
    FIELD_REAL,    /* double in [low, high] */
    FIELD_YES,     /* bool */
    FIELD_TEXT,    /* const char *, borrowed */
    FIELD_JSON,    /* const json_t *, borrowed, anything */
    FIELD_REFUSED, /* a request that has it, with another value than null, false or an empty list, is refused */
};
struct field {
    const char *name;
    enum field_kind kind;
    size_t at;
    double low, high;
};

/* Fields that are missing or null leave the struct as it is; fields without a row are passed over, as clients send
 * many of their own. ERR_INPUT: one line with the field, its value and what is allowed. */
enum status fields_read(const json_t *object, const struct field *fields, void *to, struct error *e);

/* The value as JSON, cut, for error texts. */
const char *json_short(const json_t *value, char *text, size_t cap);

/* The object in a body.  ERR_INPUT with line and column. */
enum status body_read(const char *data, size_t n, json_t **out, struct error *e);

#endif
