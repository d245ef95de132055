/* json_schema.c: one schema after the other becomes an expression; objects and what $ref names become rules.
 * Not the strings with a pattern or format: json_schema_text.c.
 * Next: json_schema_text.c; grammar_parse.c reads what is written here. */
#include "model/json_schema.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "model/json_schema_internal.h"

/* What every grammar has.  A character is one code point, escaped or not, so that {m,n} counts as minLength does. */
static const char common[] = "ws ::= [ ]? | \"\\n\" [ \\t]{0,20}\n"
                             "hex ::= [0-9a-fA-F]\n"
                             "char ::= [^\"\\\\\\x00-\\x1F\\x7F] | \"\\\\\" ([\"\\\\/bfnrt] | \"u\" ([0-9abcefABCEF] "
                             "hex{3} | [dD] [0-7] hex{2} | "
                             "[dD] [89abAB] hex{2} \"\\\\u\" [dD] [c-fC-F] hex{2}))\n"
                             "string ::= \"\\\"\" char* \"\\\"\"\n"
                             "integer ::= \"-\"? (\"0\" | [1-9] [0-9]{0,15})\n"
                             "number ::= integer (\".\" [0-9]{1,15})? ([eE] [-+]? [0-9]{1,2})?\n"
                             "boolean ::= \"true\" | \"false\"\n"
                             "null ::= \"null\"\n"
                             "value ::= object | array | string | number | boolean | null\n"
                             "array ::= \"[\" ws (value (\",\" ws value)*)? ws \"]\"\n"
                             "member ::= string \":\" ws value\n"
                             "object ::= \"{\" ws (member (\",\" ws member)*)? ws \"}\"\n";

/* ---- keywords ---- */

enum group { ANNOTATION, TYPE, VALUES, UNION, REF, OBJECT, ARRAY, STRING, DEFINITIONS };
/* clang-format off */
static const struct { const char *name; enum group group; } keywords[] = {
    {"title", ANNOTATION}, {"description", ANNOTATION}, {"default", ANNOTATION}, {"examples", ANNOTATION},
    {"$schema", ANNOTATION}, {"$id", ANNOTATION}, {"$comment", ANNOTATION}, {"deprecated", ANNOTATION},
    {"readOnly", ANNOTATION}, {"writeOnly", ANNOTATION},
    {"$defs", DEFINITIONS}, {"definitions", DEFINITIONS},
    {"type", TYPE},
    {"enum", VALUES}, {"const", VALUES},
    {"anyOf", UNION}, {"oneOf", UNION}, {"allOf", UNION},
    {"$ref", REF},
    {"properties", OBJECT}, {"required", OBJECT}, {"additionalProperties", OBJECT},
    {"items", ARRAY}, {"minItems", ARRAY}, {"maxItems", ARRAY},
    {"minLength", STRING}, {"maxLength", STRING}, {"format", STRING}, {"pattern", STRING},
};
/* clang-format on */

static int group_of(const char *keyword) {
    for (size_t i = 0; i < sizeof keywords / sizeof *keywords; i++)
        if (!strcmp(keywords[i].name, keyword)) return keywords[i].group;
    return -1;
}

enum status schema_wrong(const struct schema *c, const char *format, ...) {
    char what[300];
    va_list args;
    va_start(args, format);
    vsnprintf(what, sizeof what, format, args);
    va_end(args);
    return error_set(c->e, ERR_INPUT, "%s: %s: %s", c->name, c->path.n ? c->path.data : "the schema", what);
}

/* Goes down to a part for error texts; back with path_back. */
static size_t path_to(struct schema *c, const char *part) {
    size_t n = c->path.n;
    buffer_print(&c->path, "/%.60s", part);
    return n;
}
static void path_back(struct schema *c, size_t n) {
    if (c->path.failed || !c->path.data) return;
    c->path.data[c->path.n = n] = '\0';
}

/* Bit i: the schema has keywords of group i. */
static enum status find_groups(struct schema *c, const json_t *s, unsigned *groups) {
    const char *key;
    json_t *value;
    *groups = 0;
    json_object_foreach((json_t *)s, key, value) {
        int group = group_of(key);
        if (group < 0 && !strcmp(key, "uniqueItems") && json_is_false(value)) continue;
        if (group < 0) return schema_wrong(c, "the keyword \"%.60s\" is not supported", key);
        *groups |= 1u << group;
    }
    unsigned whole = *groups & (1u << VALUES | 1u << UNION | 1u << REF);
    unsigned rest = *groups & (1u << OBJECT | 1u << ARRAY | 1u << STRING);
    if ((whole & (whole - 1)) || (whole && rest) || ((whole & ~(1u << VALUES)) && (*groups & 1u << TYPE)))
        return schema_wrong(
            c, "enum, const, anyOf, oneOf, allOf and $ref are supported alone only (the first two with type)");
    return OK;
}

/* ---- values as they are ---- */

static void put_quoted(struct buffer *out, const char *text, size_t n) {
    buffer_text(out, "\"");
    for (size_t i = 0; i < n; i++) {
        unsigned char b = (unsigned char)text[i];
        if (b == '"' || b == '\\') buffer_print(out, "\\%c", b);
        else if (b < ' ' || b == 0x7F) buffer_print(out, "\\x%02X", b);
        else buffer_add(out, text + i, 1);
    }
    buffer_text(out, "\"");
}

static enum status put_json(struct schema *c, const json_t *value, struct buffer *out) {
    char *text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY | JSON_REAL_PRECISION(15));
    if (!text) return schema_wrong(c, "a value that JSON cannot write");
    put_quoted(out, text, strlen(text));
    c->free_text(text);
    return OK;
}

static const char *type_name(const json_t *v) {
    switch (json_typeof(v)) {
    case JSON_OBJECT: return "object";
    case JSON_ARRAY: return "array";
    case JSON_STRING: return "string";
    case JSON_INTEGER: return "integer";
    case JSON_REAL: return "number";
    case JSON_NULL: return "null";
    default: return "boolean";
    }
}

/* "type": one name or several; NULL: any. */
static bool has_type(const json_t *types, const char *name) {
    size_t i;
    json_t *one;
    if (!types) return true;
    if (json_is_string(types)) return !strcmp(json_string_value(types), name);
    json_array_foreach(types, i, one) if (has_type(one, name)) return true;
    return false;
}

static enum status check_types(struct schema *c, const json_t *types) {
    static const char *const known[] = {"object", "array", "string", "integer", "number", "boolean", "null"};
    size_t i;
    json_t *one;
    if (!types) return OK;
    if (json_is_array(types) && json_array_size(types)) {
        json_array_foreach(types, i,
                           one) if (!json_is_string(one)) return schema_wrong(c, "\"type\" holds what is no name");
        enum status s = OK;
        json_array_foreach(types, i, one) if (!s) s = check_types(c, one);
        return s;
    }
    for (i = 0; json_is_string(types) && i < sizeof known / sizeof *known; i++)
        if (!strcmp(json_string_value(types), known[i])) return OK;
    return schema_wrong(c,
                        "\"type\" is none of object, array, string, integer, number, boolean, null, or a list of them");
}

static enum status put_values(struct schema *c, const json_t *s, struct buffer *out) {
    const json_t *values = json_object_get(s, "enum"), *constant = json_object_get(s, "const");
    const json_t *types = json_object_get(s, "type");
    size_t n = 0;
    if (values && constant) return schema_wrong(c, "enum and const together are not supported");
    if (values && !json_array_size(values)) return schema_wrong(c, "\"enum\" is not a list with at least one value");
    enum status st = check_types(c, types);
    buffer_text(out, "(");
    for (size_t i = 0; !st && i < (values ? json_array_size(values) : 1); i++) {
        const json_t *v = values ? json_array_get(values, i) : constant;
        if (!has_type(types, type_name(v)) && !(json_is_integer(v) && has_type(types, "number"))) continue;
        if (n++) buffer_text(out, " | ");
        st = put_json(c, v, out);
    }
    buffer_text(out, ")");
    if (!st && !n) return schema_wrong(c, "no value of enum or const has the type");
    return st;
}

/* ---- unions ---- */

/* Can no value be valid under both?  Sure only where types, constants or a constant property say so. */
static bool are_disjoint(const json_t *a, const json_t *b, int depth) {
    static const char *const types[] = {"object", "array", "string", "number", "boolean", "null"};
    const json_t *ca = json_object_get(a, "const"), *cb = json_object_get(b, "const");
    const json_t *ta = json_object_get(a, "type"), *tb = json_object_get(b, "type");
    if (ca && cb) return !json_equal(ca, cb);
    bool common_type = false;
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        bool number = !strcmp(types[i], "number");
        bool in_a = has_type(ta, types[i]) || (number && has_type(ta, "integer"));
        bool in_b = has_type(tb, types[i]) || (number && has_type(tb, "integer"));
        common_type |= in_a && in_b;
    }
    if (!common_type) return true;
    const json_t *required = json_object_get(a, "required"), *also = json_object_get(b, "required");
    for (size_t i = 0; depth < 4 && i < json_array_size(required); i++)
        for (size_t k = 0; k < json_array_size(also); k++) {
            const json_t *name = json_array_get(required, i);
            if (!json_is_string(name) || !json_equal(name, json_array_get(also, k))) continue;
            const json_t *pa = json_object_get(json_object_get(a, "properties"), json_string_value(name));
            const json_t *pb = json_object_get(json_object_get(b, "properties"), json_string_value(name));
            if (pa && pb && are_disjoint(pa, pb, depth + 1) && has_type(ta, "object") && json_is_string(ta))
                return true;
        }
    return false;
}

static const json_t *resolve(struct schema *c, const json_t *s, int depth) {
    const char *ref = json_string_value(json_object_get(s, "$ref"));
    const json_t *to = ref && depth < 16 ? schema_ref(c, ref) : NULL;
    return to ? resolve(c, to, depth + 1) : s;
}

static enum status put_union(struct schema *c, const json_t *s, struct buffer *out) {
    const json_t *any = json_object_get(s, "anyOf"), *one = json_object_get(s, "oneOf"),
                 *all = json_object_get(s, "allOf");
    if (!!any + !!one + !!all > 1) return schema_wrong(c, "anyOf, oneOf and allOf together are not supported");
    const char *key = any ? "anyOf" : one ? "oneOf" : "allOf";
    const json_t *list = any ? any : one ? one : all;
    size_t n = json_array_size(list);
    if (!n) return schema_wrong(c, "\"%s\" is not a list with at least one schema", key);
    if (all && n > 1) return schema_wrong(c, "\"allOf\" of more than one schema is not supported");
    for (size_t i = 0; one && i < n; i++)
        for (size_t k = i + 1; k < n; k++)
            if (!are_disjoint(resolve(c, json_array_get(list, i), 0), resolve(c, json_array_get(list, k), 0), 0))
                return schema_wrong(c, "\"oneOf\": a value might be valid under both %zu and %zu; use anyOf", i, k);
    enum status st = OK;
    size_t here = path_to(c, key);
    buffer_text(out, "(");
    for (size_t i = 0; !st && i < n; i++) {
        if (i) buffer_text(out, " | ");
        st = schema_put(c, json_array_get(list, i), out);
    }
    buffer_text(out, ")");
    path_back(c, here);
    return st;
}

/* ---- objects ---- */

/*  first of properties a (required), b and c (optional), nothing written before:
 *      rule-0 ::= kv-a rule-t1            t: what may follow, each with its comma
 *      rule-t1 ::= ("," kv-b)? rule-t2    rule-t2 ::= ("," kv-c)? more*
 * and with all optional: rule-0 ::= kv-a rule-t1 | rule-1; rule-1 ::= kv-b rule-t2 | rule-2 ... */
static bool is_required(const json_t *required, const char *name) {
    size_t i;
    json_t *one;
    json_array_foreach(required, i, one) if (json_is_string(one) && !strcmp(json_string_value(one), name)) return true;
    return false;
}

static enum status put_members(struct schema *c, const json_t *s, unsigned id, struct buffer *rules, const char *more) {
    json_t *properties = json_object_get(s, "properties"), *value;
    const json_t *required = json_object_get(s, "required");
    const char *key;
    unsigned i = 0;
    enum status st = OK;
    json_object_foreach(properties, key, value) {
        struct buffer kv = {0};
        bool must = is_required(required, key);
        json_t *name = json_string(key);
        size_t here = path_to(c, key);
        st = name ? put_json(c, name, &kv) : error_set(c->e, ERR_MEMORY, "no memory for a schema");
        json_decref(name);
        buffer_text(&kv, " \":\" ws ");
        if (!st) st = schema_put(c, value, &kv);
        path_back(c, here);
        if (!st) {
            buffer_print(rules, "o%u-kv%u ::= %s\n", id, i, kv.failed ? "" : kv.data);
            buffer_print(rules, "o%u-t%u ::= (\",\" ws o%u-kv%u)%s o%u-t%u\n", id, i, id, i, must ? "" : "?", id,
                         i + 1);
            buffer_print(rules, "o%u-%u ::= o%u-kv%u o%u-t%u", id, i, id, i, id, i + 1);
            if (!must) buffer_print(rules, " | o%u-%u", id, i + 1);
            buffer_text(rules, "\n");
        }
        c->failed |= kv.failed;
        buffer_free(&kv);
        if (st) return st;
        i++;
    }
    if (*more)
        buffer_print(rules, "o%u-t%u ::= (\",\" ws %s)*\no%u-%u ::= (%s (\",\" ws %s)*)?\n", id, i, more, id, i,
                     more, more);
    else buffer_print(rules, "o%u-t%u ::= \"\"\no%u-%u ::= \"\"\n", id, i, id, i);
    return OK;
}

static enum status check_required(struct schema *c, const json_t *s) {
    const json_t *required = json_object_get(s, "required"), *properties = json_object_get(s, "properties");
    size_t i;
    json_t *one;
    if (required && !json_is_array(required)) return schema_wrong(c, "\"required\" is not a list of names");
    if (properties && !json_is_object(properties)) return schema_wrong(c, "\"properties\" is not an object");
    json_array_foreach(required, i, one) {
        if (!json_is_string(one)) return schema_wrong(c, "\"required\" is not a list of names");
        if (!json_object_get(properties, json_string_value(one)))
            return schema_wrong(c, "\"required\" names \"%.60s\", which \"properties\" lacks", json_string_value(one));
    }
    return OK;
}

static enum status put_object(struct schema *c, const json_t *s, struct buffer *out) {
    const json_t *properties = json_object_get(s, "properties"), *others = json_object_get(s, "additionalProperties");
    enum status st = check_required(c, s);
    if (st) return st;
    if (!json_object_size(properties) && (!others || json_is_true(others))) return buffer_text(out, "object"), OK;
    unsigned id = c->n_objects++;
    char more[32] = "";
    if (others && !json_is_boolean(others) && !json_is_object(others))
        return schema_wrong(c, "\"additionalProperties\" is neither a schema nor true or false");
    if (others && !json_is_false(others)) {
        struct buffer value = {0};
        size_t here = path_to(c, "additionalProperties");
        snprintf(more, sizeof more, "o%u-more", id);
        st = schema_put(c, others, &value);
        path_back(c, here);
        if (!st) {
            buffer_print(&c->rules, "%s ::= \"\\\"\" ", more);
            st = schema_other_names(c, properties, &c->rules);
            buffer_print(&c->rules, " \"\\\"\" \":\" ws %s\n", value.failed ? "" : value.data);
        }
        c->failed |= value.failed;
        buffer_free(&value);
        if (st) return st;
    }
    buffer_print(out, "\"{\" ws o%u-0 ws \"}\"", id);
    struct buffer rules = {0};
    st = put_members(c, s, id, &rules, more);
    if (!st) buffer_text(&c->rules, rules.failed ? "" : rules.data);
    c->failed |= rules.failed;
    buffer_free(&rules);
    return st;
}

/* ---- arrays, strings, types ---- */

enum status schema_bounds(struct schema *c, const json_t *s, const char *low, const char *high, int64_t bounds[2]) {
    const char *const names[] = {low, high};
    bounds[0] = 0, bounds[1] = -1;
    for (int i = 0; i < 2; i++) {
        const json_t *v = json_object_get(s, names[i]);
        if (!v) continue;
        if (!json_is_integer(v) || json_integer_value(v) < 0 || json_integer_value(v) > 10000)
            return schema_wrong(c, "\"%s\" is not a whole number from 0 to 10000", names[i]);
        bounds[i] = json_integer_value(v);
    }
    if (bounds[1] >= 0 && bounds[1] < bounds[0]) return schema_wrong(c, "\"%s\" is more than \"%s\"", low, high);
    return OK;
}

void schema_repeat(struct buffer *out, int64_t least, int64_t most) {
    if (most < 0) buffer_print(out, "{%lld,}", (long long)least);
    else buffer_print(out, "{%lld,%lld}", (long long)least, (long long)most);
}

static enum status put_array(struct schema *c, const json_t *s, struct buffer *out) {
    struct buffer item = {0};
    int64_t n[2];
    const json_t *items = json_object_get(s, "items");
    size_t here = path_to(c, "items");
    enum status st = items ? schema_put(c, items, &item) : (buffer_text(&item, "value"), OK);
    path_back(c, here);
    if (!st) st = schema_bounds(c, s, "minItems", "maxItems", n);
    if (st || item.failed) {
        c->failed |= item.failed;
        buffer_free(&item);
        return st;
    }
    unsigned id = c->n_arrays++;
    buffer_print(&c->rules, "i%u ::= %s\n", id, item.data);
    buffer_free(&item);
    buffer_text(out, "\"[\" ws ");
    if (n[1]) {
        buffer_print(out, "%si%u (\",\" ws i%u)", n[0] ? "" : "(", id, id);
        schema_repeat(out, n[0] ? n[0] - 1 : 0, n[1] < 0 ? -1 : n[1] - 1);
        buffer_text(out, n[0] ? " ws " : ")? ws ");
    }
    buffer_text(out, "\"]\"");
    return OK;
}

/* Without "type" the keywords say it: a schema with properties means objects here. */
static enum status put_types(struct schema *c, const json_t *s, unsigned groups, struct buffer *out) {
    static const char *const plain[] = {"integer", "number", "boolean", "null"};
    const json_t *types = json_object_get(s, "type");
    enum status st = check_types(c, types);
    if (st) return st;
    unsigned special = groups & (1u << OBJECT | 1u << ARRAY | 1u << STRING);
    if (!types && !special) return buffer_text(out, "value"), OK;
    int n = 0;
    buffer_text(out, "(");
    for (int i = 0; i < 3 && !st; i++) {
        static const char *const names[] = {"object", "array", "string"};
        static const enum group group[] = {OBJECT, ARRAY, STRING};
        if (types ? !has_type(types, names[i]) : !(special >> group[i] & 1)) continue;
        if (n++) buffer_text(out, " | ");
        st = i == 0 ? put_object(c, s, out) : i == 1 ? put_array(c, s, out) : schema_string(c, s, out);
    }
    for (int i = 0; i < 4 && types && !st; i++) {
        if (!has_type(types, plain[i]) || (i == 0 && has_type(types, "number"))) continue; /* integers are numbers */
        buffer_print(out, "%s%s", n++ ? " | " : "", plain[i]);
    }
    buffer_text(out, ")");
    return st;
}

/* ---- references ---- */

const json_t *schema_ref(struct schema *c, const char *ref) {
    const json_t *at = c->root;
    if (*ref++ != '#') return NULL;
    while (at && *ref == '/') {
        char part[200];
        size_t n = 0;
        for (ref++; *ref && *ref != '/' && n + 1 < sizeof part; ref++) {
            bool escaped = *ref == '~' && (ref[1] == '0' || ref[1] == '1');
            part[n++] = escaped ? *++ref == '0' ? '~' : '/' : *ref;
        }
        part[n] = '\0';
        at = json_object_get(at, part);
    }
    return *ref ? NULL : at;
}

static enum status put_ref(struct schema *c, const json_t *s, struct buffer *out) {
    const char *ref = json_string_value(json_object_get(s, "$ref"));
    const json_t *to = ref ? schema_ref(c, ref) : NULL;
    if (!to) return schema_wrong(c, "\"$ref\": \"%.80s\" is nothing in this schema (#/$defs/NAME)", ref ? ref : "");
    size_t i = 0;
    while (i < c->n_refs && c->refs[i] != to) i++;
    if (i == JSON_SCHEMA_REFS) return schema_wrong(c, "more than %d schemas are named by $ref", JSON_SCHEMA_REFS);
    buffer_print(out, "ref%zu", i);
    if (i < c->n_refs) return OK;
    c->refs[c->n_refs++] = to;
    struct buffer rule = {0};
    enum status st = schema_put(c, to, &rule);
    if (!st) buffer_print(&c->rules, "ref%zu ::= %s\n", i, rule.failed ? "" : rule.data);
    c->failed |= rule.failed;
    buffer_free(&rule);
    return st;
}

enum status schema_put(struct schema *c, const json_t *s, struct buffer *out) {
    unsigned groups;
    if (json_is_true(s)) return buffer_text(out, "value"), OK;
    if (!json_is_object(s)) return schema_wrong(c, "a schema is an object or true");
    if (c->depth >= JSON_SCHEMA_DEPTH)
        return schema_wrong(c, "more than %d schemas within each other", JSON_SCHEMA_DEPTH);
    if (++c->n_nodes > JSON_SCHEMA_NODES) return schema_wrong(c, "more than %d schemas", JSON_SCHEMA_NODES);
    enum status st = find_groups(c, s, &groups);
    if (st) return st;
    c->depth++;
    if (groups >> REF & 1) st = put_ref(c, s, out);
    else if (groups >> UNION & 1) st = put_union(c, s, out);
    else if (groups >> VALUES & 1) st = put_values(c, s, out);
    else st = put_types(c, s, groups, out);
    c->depth--;
    return st;
}

enum status json_schema_grammar(const json_t *schema, const char *name, char **gbnf, struct error *e) {
    struct schema c = {.root = schema, .name = name, .e = e};
    struct buffer root = {0};
    json_malloc_t give;
    json_get_alloc_funcs(&give, &c.free_text);
    *gbnf = NULL;
    buffer_text(&c.rules, common);
    enum status s = schema_put(&c, schema, &root);
    if (!s) buffer_print(&c.rules, "root ::= %s\n", root.failed ? "" : root.data);
    if (!s && (root.failed || c.failed || c.rules.failed || c.path.failed))
        s = error_set(e, ERR_MEMORY, "%s: no memory for its grammar", name);
    buffer_free(&root), buffer_free(&c.path);
    if (s) buffer_free(&c.rules);
    *gbnf = c.rules.data;
    return s;
}

enum status json_schema_read(const char *text, size_t size, const char *name, char **gbnf, struct error *e) {
    json_error_t why;
    *gbnf = NULL;
    json_t *schema = json_loadb(text, size, JSON_REJECT_DUPLICATES, &why);
    if (!schema) return error_set(e, ERR_INPUT, "%s: line %d, column %d: %s", name, why.line, why.column, why.text);
    enum status s = json_schema_grammar(schema, name, gbnf, e);
    json_decref(schema);
    return s;
}
