/* test_json_schema.c: what the grammar of a schema allows is valid, says an independent validator.
 * Not the grammars themselves: test_grammar.c.
 * Next: model/json_schema.h. */
#define PCRE2_CODE_UNIT_WIDTH 8
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>
#include <pcre2.h>

#include "base/mem.h"
#include "base/rng.h"
#include "model/grammar.h"
#include "model/json_schema.h"
#include "tests/corpus.h"
#include "tests/fuzz_grammar.c"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static struct grammar *must_open(const char *schema) {
    char *gbnf;
    struct error e;
    struct grammar *g;
    if (json_schema_read(schema, strlen(schema), "S", &gbnf, &e)) fail_msg("%s\n%s", schema, e.text);
    if (grammar_open(gbnf, strlen(gbnf), "S", NULL, &g, &e)) fail_msg("%s\n%s\n%s", schema, gbnf, e.text);
    mem_free(gbnf);
    return g;
}

static bool reads(struct grammar *g, const char *text) {
    grammar_state s = GRAMMAR_START;
    struct error e;
    if (grammar_accept(g, &s, text, strlen(text), &e)) fail_msg("%s", e.text);
    return grammar_can_end(g, s);
}

/* ---- a validator of its own, of JSON values ---- */

static const json_t *schema_root;

static size_t n_points(const char *s) {
    size_t n = 0;
    for (; *s; s++) n += (*s & 0xC0) != 0x80;
    return n;
}

static bool fits_regex(const char *pattern, const char *text) {
    int code;
    PCRE2_SIZE at;
    pcre2_code *re =
        pcre2_compile((PCRE2_SPTR)pattern, PCRE2_ZERO_TERMINATED, PCRE2_UTF | PCRE2_DOLLAR_ENDONLY, &code, &at, NULL);
    assert_non_null(re);
    pcre2_match_data *m = pcre2_match_data_create_from_pattern(re, NULL);
    int n = pcre2_match(re, (PCRE2_SPTR)text, PCRE2_ZERO_TERMINATED, 0, 0, m, NULL);
    pcre2_match_data_free(m);
    pcre2_code_free(re);
    return n >= 0;
}

static bool fits_format(const char *format, const char *text) {
    int y, m, d, n = 0;
    static const int days[] = {31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    if (!strcmp(format, "uuid")) return fits_regex("^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$", text);
    if (!strcmp(format, "ipv4")) {
        int b[4];
        if (sscanf(text, "%3d.%3d.%3d.%3d%n", &b[0], &b[1], &b[2], &b[3], &n) != 4 || text[n]) return false;
        return b[0] < 256 && b[1] < 256 && b[2] < 256 && b[3] < 256;
    }
    if (!strcmp(format, "time"))
        return fits_regex("^([01]\\d|2[0-3]):[0-5]\\d:[0-5]\\d(\\.\\d+)?(Z|[-+]([01]\\d|2[0-3]):[0-5]\\d)$", text);
    if (sscanf(text, "%4d-%2d-%2d%n", &y, &m, &d, &n) != 3 || n != 10 || m < 1 || m > 12 || d < 1 || d > days[m - 1])
        return false;
    return !strcmp(format, "date") ? !text[n] : text[n] == 'T' && fits_format("time", text + n + 1);
}

static bool is_type(const json_t *v, const char *type) {
    if (!strcmp(type, "object")) return json_is_object(v);
    if (!strcmp(type, "array")) return json_is_array(v);
    if (!strcmp(type, "string")) return json_is_string(v);
    if (!strcmp(type, "integer")) return json_is_integer(v);
    if (!strcmp(type, "number")) return json_is_number(v);
    if (!strcmp(type, "null")) return json_is_null(v);
    return json_is_boolean(v);
}

static bool valid(const json_t *schema, const json_t *v) {
    const json_t *k, *one;
    size_t i;
    if (json_is_true(schema)) return true;
    if (json_is_false(schema)) return false;
    if ((k = json_object_get(schema, "$ref"))) {
        const char *ref = json_string_value(k), *name = strrchr(ref, '/');
        return valid(name ? json_object_get(json_object_get(schema_root, "$defs"), name + 1) : schema_root, v);
    }
    if ((k = json_object_get(schema, "type"))) {
        bool any = json_is_string(k) && is_type(v, json_string_value(k));
        json_array_foreach(k, i, one) any |= is_type(v, json_string_value(one));
        if (!any) return false;
    }
    if ((k = json_object_get(schema, "const")) && !json_equal(k, v)) return false;
    if ((k = json_object_get(schema, "enum"))) {
        bool any = false;
        json_array_foreach(k, i, one) any |= json_equal(one, v);
        if (!any) return false;
    }
    if ((k = json_object_get(schema, "anyOf")) || (k = json_object_get(schema, "oneOf"))) {
        int n = 0;
        json_array_foreach(k, i, one) n += valid(one, v);
        if (json_object_get(schema, "oneOf") ? n != 1 : n < 1) return false;
    }
    if (json_is_string(v)) {
        size_t n = n_points(json_string_value(v));
        if ((k = json_object_get(schema, "minLength")) && n < (size_t)json_integer_value(k)) return false;
        if ((k = json_object_get(schema, "maxLength")) && n > (size_t)json_integer_value(k)) return false;
        if ((k = json_object_get(schema, "pattern")) && !fits_regex(json_string_value(k), json_string_value(v)))
            return false;
        if ((k = json_object_get(schema, "format")) && !fits_format(json_string_value(k), json_string_value(v)))
            return false;
    }
    if (json_is_array(v)) {
        size_t n = json_array_size(v);
        if ((k = json_object_get(schema, "minItems")) && n < (size_t)json_integer_value(k)) return false;
        if ((k = json_object_get(schema, "maxItems")) && n > (size_t)json_integer_value(k)) return false;
        if ((k = json_object_get(schema, "items"))) json_array_foreach(v, i, one) if (!valid(k, one)) return false;
    }
    if (json_is_object(v)) {
        const char *key;
        json_t *member;
        if ((k = json_object_get(schema, "required")))
            json_array_foreach(k, i, one) if (!json_object_get(v, json_string_value(one))) return false;
        json_object_foreach((json_t *)v, key, member) {
            const json_t *p = json_object_get(json_object_get(schema, "properties"), key);
            const json_t *rest = json_object_get(schema, "additionalProperties");
            if (p ? !valid(p, member) : rest && !valid(rest, member)) return false;
        }
    }
    return true;
}

/* ---- random texts under a grammar ---- */

/* The shortest way to an end, by breadth first: there is always one, or the grammar leads into a trap. */
static void finish(struct grammar *g, grammar_state from, char *text, size_t *n) {
    enum { MOST = 1 << 16 };
    static struct {
        grammar_state state;
        int before;
        char byte;
    } queue[MOST];
    static bool seen[1 << 20];
    int tail = 0;
    struct error e;
    memset(seen, 0, sizeof seen);
    queue[tail].state = from, queue[tail++].before = -1, seen[from] = true;
    for (int head = 0; head < tail; head++) {
        if (grammar_can_end(g, queue[head].state)) {
            char back[4096];
            size_t k = 0;
            for (int i = head; queue[i].before >= 0; i = queue[i].before) back[k++] = queue[i].byte;
            while (k) text[(*n)++] = back[--k];
            return;
        }
        for (int b = 0; b < 256 && tail < MOST; b++) {
            grammar_state to = queue[head].state;
            char byte = (char)b;
            assert_int_equal(grammar_accept(g, &to, &byte, 1, &e), OK);
            if (to == GRAMMAR_DEAD || seen[to]) continue;
            seen[to] = true;
            queue[tail].state = to, queue[tail].before = head, queue[tail++].byte = byte;
        }
    }
    fail_msg("no end can be reached after \"%.*s\"", (int)*n, text);
}

static void random_text(struct grammar *g, uint64_t key, char *text) {
    grammar_state s = GRAMMAR_START;
    struct error e;
    size_t n = 0, steps = rng_below(key, 1, 120);
    for (uint64_t i = 2; n < steps; i++) {
        int alive[256], k = 0;
        if (grammar_can_end(g, s) && !rng_below(key, i, 3)) break;
        for (int b = 0; b < 256; b++) {
            grammar_state to = s;
            char byte = (char)b;
            assert_int_equal(grammar_accept(g, &to, &byte, 1, &e), OK);
            if (to != GRAMMAR_DEAD) alive[k++] = b;
        }
        if (!k) break;
        /* Letters are many: structure gets half of the draws. */
        int pick = alive[rng_below(key, i + 1000, (uint32_t)k)];
        for (int t = 0; t < k && rng_below(key, i + 2000, 2); t++)
            if (strchr("\"{}[],:\\", alive[t]) && alive[t]) pick = alive[(t + (int)rng_below(key, i + 3000, 3)) % k];
        text[n] = (char)pick;
        assert_int_equal(grammar_accept(g, &s, text + n++, 1, &e), OK);
    }
    finish(g, s, text, &n);
    text[n] = '\0';
}

static const char *const schemas[] = {
    "{}",
    "{\"type\": \"object\"}",
    "{\"type\": [\"integer\", \"null\", \"boolean\"]}",
    "{\"type\": \"number\"}",
    "{\"type\": \"string\", \"minLength\": 2, \"maxLength\": 5}",
    "{\"type\": \"array\", \"items\": {\"type\": \"integer\"}, \"minItems\": 1, \"maxItems\": 3}",
    "{\"type\": \"array\", \"items\": {\"enum\": [1, \"a\\\"\\\\b\", null, [true], {\"k\": 1.5}]}}",
    "{\"type\": \"array\", \"maxItems\": 0}",
    "{\"properties\": {\"a\": {\"type\": \"integer\"}, \"b\": {\"type\": \"string\"}, \"c\": {\"const\": \"x\"}}, "
    "\"required\": [\"b\"]}",
    "{\"type\": \"object\", \"properties\": {\"a\": {\"type\": \"null\"}, \"b\": {\"type\": \"boolean\"}}, "
    "\"additionalProperties\": false}",
    "{\"type\": \"object\", \"properties\": {\"a\": {\"type\": \"null\"}, \"ab\": {\"type\": \"boolean\"}, \"b-]\": "
    "{\"type\": \"null\"}},"
    " \"additionalProperties\": {\"type\": \"integer\"}, \"required\": [\"ab\"]}",
    "{\"type\": \"object\", \"additionalProperties\": {\"type\": \"array\", \"items\": {\"type\": \"integer\"}}}",
    "{\"$defs\": {\"node\": {\"type\": \"object\", \"properties\": {\"v\": {\"type\": \"integer\"}, \"kids\": "
    "{\"type\": \"array\", \"items\":"
    " {\"$ref\": \"#/$defs/node\"}}}, \"required\": [\"v\"], \"additionalProperties\": false}}, \"$ref\": "
    "\"#/$defs/node\"}",
    "{\"anyOf\": [{\"type\": \"integer\"}, {\"type\": \"object\", \"properties\": {\"next\": {\"$ref\": \"#\"}}, "
    "\"required\": [\"next\"]}]}",
    "{\"oneOf\": [{\"type\": \"object\", \"properties\": {\"kind\": {\"const\": \"a\"}, \"x\": {\"type\": "
    "\"integer\"}}, \"required\": [\"kind\"]},"
    " {\"type\": \"object\", \"properties\": {\"kind\": {\"const\": \"b\"}}, \"required\": [\"kind\"]}, {\"type\": "
    "\"null\"}]}",
    "{\"type\": \"string\", \"pattern\": \"^(?:[A-Z]{2,3}-\\\\d+|x\\\"\\\\\\\\[^a\\\"]?|\\u00e9{2})$\"}",
    "{\"type\": \"string\", \"pattern\": \"^a.c*(b|)[\\\\w-]+$\"}",
    "{\"type\": \"string\", \"format\": \"date\"}",
    "{\"type\": \"string\", \"format\": \"date-time\"}",
    "{\"type\": \"string\", \"format\": \"uuid\"}",
    "{\"type\": \"string\", \"format\": \"ipv4\"}",
    "{\"allOf\": [{\"type\": \"boolean\", \"title\": \"t\", \"description\": \"d\", \"default\": true}]}",
};

static void texts_are_valid_under_the_schema(void **unused) {
    (void)unused;
    for (size_t i = 0; i < COUNT(schemas); i++) {
        struct grammar *g = must_open(schemas[i]);
        json_t *schema = json_loads(schemas[i], 0, NULL);
        schema_root = schema;
        for (uint64_t k = 0; k < 60; k++) {
            char text[8192];
            json_error_t why;
            random_text(g, rng_fold(i, k), text);
            json_t *v = json_loads(text, JSON_DECODE_ANY | JSON_ALLOW_NUL, &why);
            if (!v && strstr(why.text, "duplicate")) continue;
            if (!v) fail_msg("%s\n%s is no JSON: %s", schemas[i], text, why.text);
            const json_t *whole = json_object_get(schema, "allOf");
            if (!valid(whole ? json_array_get(whole, 0) : schema, v)) fail_msg("%s\n%s is not valid", schemas[i], text);
            json_decref(v);
        }
        json_decref(schema);
        grammar_close(&g);
    }
}

static void usual_values_are_allowed(void **unused) {
    (void)unused;
    static const struct {
        int schema;
        const char *yes[4], *no[4];
    } cases[] = {
        {0,
         {"{\"a\": [1, -2.5e3, \"\\u00e9\\uD83D\\uDE00\\n\", null]}", "7", "\"x\""},
         {"{a:1}", "01", "\"\\uD800\"", "[1,]"}},
        {1, {"{}", "{\"a\":1,\n  \"b\": {}}"}, {"[]", "{\"a\"}"}},
        {2, {"12", "null", "-0"}, {"1.5", "\"1\""}},
        {4, {"\"ab\"", "\"\xC3\xA9\\u0041\\n\""}, {"\"a\"", "\"abcdef\""}},
        {5, {"[1]", "[1, 2,3]"}, {"[]", "[1,2,3,4]", "[1.5]"}},
        {8,
         {"{\"b\":\"\"}", "{\"a\": 1, \"b\": \"x\", \"c\": \"x\"}", "{\"b\":\"y\",\"c\":\"x\"}"},
         {"{}", "{\"a\": 1}", "{\"b\":\"\",\"c\":1}", "{\"b\":\"\",\"d\":1}"}},
        {9, {"{}", "{\"b\":true}", "{\"a\":null,\"b\":false}"}, {"{\"a\":1}", "{,\"b\":true}", "{\"a\":null,}"}},
        {10,
         {"{\"ab\":true}", "{\"ab\":true,\"abc\":1,\"\":2}", "{\"a\":null,\"ab\":false,\"z\":0}"},
         {"{\"ab\":true,\"a\":1}", "{\"abc\":1}"}},
        {12, {"{\"v\":1,\"kids\":[{\"v\":2},{\"v\":3,\"kids\":[]}]}"}, {"{\"kids\":[]}", "{\"v\":1,\"kids\":[1]}"}},
        {15, {"\"AB-12\"", "\"x\\\"\\\\z\"", "\"\xC3\xA9\xC3\xA9\""}, {"\"A-1\"", "\"x\\\"\\\\a\""}},
        {17, {"\"2024-02-28\"", "\"1999-12-31\""}, {"\"2024-02-30\"", "\"2024-13-01\"", "\"2024-04-31\""}},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct grammar *g = must_open(schemas[cases[i].schema]);
        for (int k = 0; k < 4; k++) {
            const char *yes = cases[i].yes[k], *no = cases[i].no[k];
            if (yes && !reads(g, yes)) fail_msg("%s\nrefuses %s", schemas[cases[i].schema], yes);
            if (no && reads(g, no)) fail_msg("%s\nreads %s", schemas[cases[i].schema], no);
        }
        grammar_close(&g);
    }
}

static void refused(const char *schema, const char *why) {
    char *gbnf;
    struct error e = {""};
    if (json_schema_read(schema, strlen(schema), "S", &gbnf, &e) != ERR_INPUT)
        fail_msg("%.200s\nwas not refused", schema);
    assert_null(gbnf);
    if (!strstr(e.text, why)) fail_msg("%.200s\nwas refused with \"%s\"", schema, e.text);
}

static void h07_unsupported_schemas_fail_closed(void **unused) {
    (void)unused;
    static const char *const cases[][2] = {
        {"[]", "a schema is an object or true"},
        {"{\"type\": \"integer\", \"multipleOf\": 3}", "the keyword \"multipleOf\" is not supported"},
        {"{\"properties\": {\"a\": {\"items\": {\"uniqueItems\": true}}}}",
         "/a/items: the keyword \"uniqueItems\" is not supported"},
        {"{\"minimum\": 1}", "the keyword \"minimum\""},
        {"{\"not\": {}}", "the keyword \"not\""},
        {"{\"type\": \"float\"}", "\"type\" is none of"},
        {"{\"type\": [\"string\", 1]}", "\"type\" holds what is no name"},
        {"{\"required\": [\"a\"]}", "\"required\" names \"a\", which \"properties\" lacks"},
        {"{\"type\": \"string\", \"format\": \"email\"}", "\"format\" is none of"},
        {"{\"type\": \"string\", \"pattern\": \"a+\"}", "patterns from ^ to $"},
        {"{\"type\": \"string\", \"pattern\": \"^(?=a)$\"}", "only plain groups"},
        {"{\"type\": \"string\", \"pattern\": \"^a*?$\"}", "lazy"},
        {"{\"type\": \"string\", \"pattern\": \"^\\\\bx$\"}", "this escape"},
        {"{\"type\": \"string\", \"pattern\": \"^*a$\"}", "nothing to repeat"},
        {"{\"type\": \"string\", \"pattern\": \"^a|b$\"}", "alternatives stand in a group"},
        {"{\"type\": \"string\", \"minLength\": 3, \"maxLength\": 2}", "\"minLength\" is more than \"maxLength\""},
        {"{\"type\": \"string\", \"maxLength\": 1e9}", "not a whole number from 0 to 10000"},
        {"{\"type\": \"array\", \"minItems\": -1}", "not a whole number"},
        {"{\"enum\": []}", "at least one value"},
        {"{\"enum\": [1], \"type\": \"string\"}", "no value of enum or const has the type"},
        {"{\"anyOf\": [{}], \"properties\": {}}", "alone only"},
        {"{\"allOf\": [{}, {}]}", "more than one schema"},
        {"{\"oneOf\": [{\"type\": \"integer\"}, {\"type\": \"number\"}]}", "might be valid under both 0 and 1"},
        {"{\"$ref\": \"#/$defs/none\"}", "is nothing in this schema"},
        {"{\"$ref\": \"http://x/y\"}", "is nothing in this schema"},
        {"{\"properties\": {\"a\": 1}}", "/a: a schema is an object or true"},
        {"{\"additionalProperties\": 1}", "neither a schema"},
        {"{\"type\": \"string\", \"type\": \"null\"}", "duplicate object key"},
        {"{", "line 1"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) refused(cases[i][0], cases[i][1]);
    char deep[2000] = "";
    for (int i = 0; i < 100; i++) strcat(deep, "{\"items\":");
    strcat(deep, "{}");
    for (int i = 0; i < 100; i++) strcat(deep, "}");
    refused(deep, "more than 64 schemas within each other");
}

/* A circle of references reads nothing: the grammar refuses it. */
static void h07_circles_of_references(void **unused) {
    (void)unused;
    static const char schema[] =
        "{\"$defs\": {\"a\": {\"$ref\": \"#/$defs/b\"}, \"b\": {\"$ref\": \"#/$defs/a\"}}, \"$ref\": \"#/$defs/a\"}";
    char *gbnf;
    struct error e;
    struct grammar *g;
    assert_int_equal(json_schema_read(schema, strlen(schema), "S", &gbnf, &e), OK);
    assert_int_equal(grammar_open(gbnf, strlen(gbnf), "S", NULL, &g, &e), ERR_INPUT);
    assert_non_null(strstr(e.text, "left recursion"));
    mem_free(gbnf);
}

static void each_allocation_may_fail(void **unused) {
    (void)unused;
    const char *schema = schemas[10];
    for (size_t i = 1;; i++) {
        char *gbnf;
        struct error e;
        mem_fail_at(i, true);
        enum status s = json_schema_read(schema, strlen(schema), "S", &gbnf, &e);
        mem_fail_at(0, false);
        mem_free(gbnf);
        if (!s) break;
        assert_int_equal(s, ERR_MEMORY);
        assert_null(gbnf);
    }
}

static void replays_the_fuzz_corpus(void **unused) {
    (void)unused;
    replay("grammar", 4);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_are_valid_under_the_schema),
        cmocka_unit_test(usual_values_are_allowed),
        cmocka_unit_test(h07_unsupported_schemas_fail_closed),
        cmocka_unit_test(h07_circles_of_references),
        cmocka_unit_test(each_allocation_may_fail),
        cmocka_unit_test(replays_the_fuzz_corpus),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
