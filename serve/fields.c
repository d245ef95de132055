/* fields.c: see fields.h.
 * Not HTTP.
 * Next: openai.c, whose rows are the most. */
#include "serve/fields.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *json_short(const json_t *value, char *text, size_t cap) {
    char *all = value ? json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY | JSON_REAL_PRECISION(12)) : NULL;
    snprintf(text, cap, "%.*s%s", (int)(cap - 5), all ? all : "nothing", all && strlen(all) > cap - 5 ? "..." : "");
    free(all);
    return text;
}

static enum status wrong(const struct field *f, const json_t *v, const char *allowed, struct error *e) {
    char value[80];
    return error_set(e, ERR_INPUT, "\"%s\": %s is not allowed; %s", f->name, json_short(v, value, sizeof value),
                     allowed);
}

static enum status read_number(const struct field *f, const json_t *v, void *to, struct error *e) {
    char allowed[96];
    double x = json_number_value(v);
    bool whole = f->kind == FIELD_INT;
    snprintf(allowed, sizeof allowed, "%s from %.12g to %.12g", whole ? "a whole number" : "a number", f->low, f->high);
    /* 8.0 is what some clients write for 8 */
    bool kind = whole ? json_is_integer(v) || (json_is_real(v) && x == floor(x)) : json_is_number(v);
    if (!kind || !(x >= f->low && x <= f->high)) return wrong(f, v, allowed, e);
    if (whole) *(int64_t *)((char *)to + f->at) = json_is_integer(v) ? json_integer_value(v) : (int64_t)x;
    else *(double *)((char *)to + f->at) = x;
    return OK;
}

static bool is_nothing(const json_t *v) {
    return json_is_false(v) || (json_is_array(v) && !json_array_size(v)) ||
           (json_is_object(v) && !json_object_size(v)) || (json_is_string(v) && !json_string_length(v)) ||
           (json_is_string(v) && !strcmp(json_string_value(v), "none"));
}

enum status fields_read(const json_t *object, const struct field *fields, void *to, struct error *e) {
    for (const struct field *f = fields; f->name; f++) {
        const json_t *v = json_object_get(object, f->name);
        void *at = (char *)to + f->at;
        enum status s = OK;
        if (!v || json_is_null(v)) continue;
        if (f->kind == FIELD_INT || f->kind == FIELD_REAL) s = read_number(f, v, to, e);
        else if (f->kind == FIELD_YES && !json_is_boolean(v)) s = wrong(f, v, "true or false", e);
        else if (f->kind == FIELD_YES) *(bool *)at = json_is_true(v);
        else if (f->kind == FIELD_TEXT && !json_is_string(v)) s = wrong(f, v, "a text", e);
        else if (f->kind == FIELD_TEXT) *(const char **)at = json_string_value(v);
        else if (f->kind == FIELD_JSON) *(const json_t **)at = v;
        else if (!is_nothing(v)) s = error_set(e, ERR_INPUT, "\"%s\" is not supported", f->name);
        if (s) return s;
    }
    return OK;
}

enum status body_read(const char *data, size_t n, json_t **out, struct error *e) {
    json_error_t why;
    *out = json_loadb(data ? data : "", n, JSON_REJECT_DUPLICATES, &why);
    if (!*out) return error_set(e, ERR_INPUT, "the body: line %d, column %d: %s", why.line, why.column, why.text);
    if (json_is_object(*out)) return OK;
    json_decref(*out);
    *out = NULL;
    return error_set(e, ERR_INPUT, "the body is no JSON object");
}
