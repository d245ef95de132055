/* test_trace.c: every line of a trace is JSON, and the lines give the tree back.
 * Not about strategies: test_search.c.
 * Next: search/trace.h for the format. */
#include <jansson.h>

#include "base/mem.h"
#include "search/trace.h"
#include "tests/toy_run.h"

static const struct toy_world world = {
    .seed = 2, .width = 4, .depth = 4, .best = "3031", .noise = 0.3f, .p_dead = 0.04f, .p_cut = 0.04f};

/* The event's line, parsed. */
static json_t *parse(const struct event *event) {
    struct buffer line = {0};
    json_error_t e;
    trace_event(&line, event, NULL, true);
    assert_false(line.failed);
    for (size_t i = 0; i < line.n; i++) assert_true((unsigned char)line.data[i] >= 0x20 && line.data[i] != 0x7f);
    json_t *json = json_loads(line.data, 0, &e);
    if (!json) fail_msg("%s: %s", line.data, e.text);
    buffer_free(&line);
    return json;
}

static double number(const json_t *json, const char *name) {
    const json_t *x = json_object_get(json, name);
    if (!json_is_number(x)) fail_msg("no number %s", name);
    return json_number_value(x);
}

static void any_text_becomes_json(void **state) {
    static const char *const texts[][2] = {
        {"", ""},
        {"4*6=24", "4*6=24"},
        {"a\"b\\c/d", "a\"b\\c/d"},
        {"\x01\x1b[0m\t\n\x7f", "\x01\x1b[0m\t\n\x7f"},
        {"\xC3\xA4 \xE2\x82\xAC \xF0\x9F\x98\x80", "\xC3\xA4 \xE2\x82\xAC \xF0\x9F\x98\x80"},
        {"\x80", "\xEF\xBF\xBD"},                                                   /* lone continuation */
        {"\xC0\xAF", "\xEF\xBF\xBD\xEF\xBF\xBD"},                                   /* overlong */
        {"\xED\xA0\x80", "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD"},                   /* surrogate */
        {"\xF4\x90\x80\x80x", "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBDx"}, /* above U+10FFFF */
        {"\xE0\x9F\xBF", "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD"},                   /* overlong */
        {"\xE2\x82", "\xEF\xBF\xBD\xEF\xBF\xBD"},                                   /* cut at the end */
        {"\xF0\x8F\xBF\xBF", "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD"},
        {"\xFF\"", "\xEF\xBF\xBD\""},
    };
    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct node nodes[2] = {{0}, {.text = texts[i][0], .logprob = -INFINITY, .depth = 1, .flags = NODE_DEAD}};
        struct tree t = {.nodes = nodes, .n = 2, .cap = 2};
        json_t *json = parse(&(struct event){EVENT_MADE, 1, &t, NULL, NULL});
        const char *text = json_string_value(json_object_get(json, "text"));
        if (!text || strcmp(text, texts[i][1])) fail_msg("text %zu: %s, want %s", i, text, texts[i][1]);
        assert_true(json_is_null(json_object_get(json, "logprob")));
        assert_string_equal(json_string_value(json_object_get(json, "end")), "dead");
        json_decref(json);
    }
}

static void numbers_come_back(void **state) {
    struct node nodes[2] = {{0}, {.text = "", .value = 0.1f, .flags = NODE_FINISHED | NODE_CHECKED_WRONG}};
    struct tree t = {.nodes = nodes, .n = 2, .cap = 2};
    struct visits *visits = tree_column(&t, "visits", sizeof *visits);
    assert_non_null(visits);
    visits[1] = (struct visits){.n = 3, .sum = 1};
    struct ledger ledger = {.prm_tokens = 1u << 31, .policy_flops = 1ull << 53};
    struct search_result res = {.node = 1, .value = 0.1f, .why = WHY_KV_FULL, .n_finished = 7};
    (void)state;
    json_t *json = parse(&(struct event){EVENT_SCORED, 1, &t, &ledger, NULL});
    assert_true((float)number(json, "value") == 0.1f);
    json_decref(json);
    json = parse(&(struct event){EVENT_VISITED, 1, &t, &ledger, NULL});
    assert_int_equal(number(json, "visits"), 3);
    assert_true(fabs(number(json, "mean") - 1 / 3.0) < 1e-8);
    json_decref(json);
    json = parse(&(struct event){EVENT_FINISHED, 1, &t, &ledger, NULL});
    assert_true(json_is_false(json_object_get(json, "checked")));
    json_decref(json);
    json = parse(&(struct event){EVENT_DONE, 1, &t, &ledger, &res});
    assert_string_equal(json_string_value(json_object_get(json, "why")), "kv full");
    assert_int_equal(number(json, "finished"), 7);
    assert_true(number(json, "prm_tokens") == 1u << 31);
    assert_true(json_integer_value(json_object_get(json, "policy_flops")) == 1ll << 53);
    json_decref(json);
    mem_free(t.columns);
}

/* A tree built from lines only. */
static struct node replayed[512];
static char replayed_text[512][8];
static uint32_t replayed_visits[512];

static void replay(void *arg, const struct event *event) {
    (void)arg;
    json_t *json = parse(event);
    const char *kind = json_string_value(json_object_get(json, "event"));
    uint32_t u = (uint32_t)number(json, "node");
    struct node *n = &replayed[u];
    if (!strcmp(kind, "made")) {
        n->parent = (uint32_t)number(json, "parent");
        n->child_index = (uint32_t)number(json, "try");
        n->logprob = (float)number(json, "logprob");
        strcpy(replayed_text[u], json_string_value(json_object_get(json, "text")));
        if (!strcmp(json_string_value(json_object_get(json, "end")), "finished")) n->flags |= NODE_FINISHED;
    }
    if (!strcmp(kind, "scored")) n->value = (float)number(json, "value");
    if (!strcmp(kind, "visited")) replayed_visits[u] = (uint32_t)number(json, "visits");
    if (!strcmp(kind, "pruned")) n->flags |= NODE_PRUNED;
    json_decref(json);
    fx_on_event(arg, event);
}

static void the_lines_give_the_tree_back(void **state) {
    (void)state;
    for (const struct strategy *const *at = strategy_table, *s; (s = *at); at++) {
        memset(replayed, 0, sizeof replayed);
        fx_open(s->name, &world);
        assert_int_equal(search_open(&fx.tree, &fx.toy.ev, fx.common.seed, fx.max_nodes, &fx.error), OK);
        assert_int_equal(fx_search(replay, NULL), OK);
        assert_true(fx.tree.n < 512);
        const struct visits *v = tree_visits(&fx.tree);
        for (uint32_t u = 1; u < fx.tree.n; u++) {
            const struct node *n = &fx.tree.nodes[u], *m = &replayed[u];
            assert_int_equal(n->parent, m->parent);
            assert_int_equal(n->child_index, m->child_index);
            assert_true(n->logprob == m->logprob);
            assert_true(n->value == m->value);
            assert_string_equal(n->text, replayed_text[u]);
            assert_int_equal(n->flags & (NODE_FINISHED | NODE_PRUNED), m->flags);
            /* Ancestors' visits follow from their descendants' lines; leaves have their own. */
            if (!n->n_children && v) assert_int_equal(v[u].n, replayed_visits[u]);
        }
        fx_close();
    }
}

/* What no text can hold stands beside it, byte by byte. */
static void bytes_come_back(void **state) {
    (void)state;
    struct tape_item item = {.kind = TAPE_ANSWER, .text = "a\xC3("};
    struct buffer line = {0};
    trace_item(&line, &item);
    assert_string_equal(line.data, "{\"event\":\"answer\",\"answer\":\"a\\ufffd(\",\"bytes\":\"61c328\"}");
    buffer_free(&line);
}

static void without_memory_the_line_says_so(void **state) {
    (void)state;
    struct node nodes[2] = {{0}, {.text = "4*6=24"}};
    struct tree t = {.nodes = nodes, .n = 2, .cap = 2};
    for (size_t i = 1; i < 4; i++) {
        struct buffer line = {0};
        mem_fail_at(i, false);
        trace_event(&line, &(struct event){EVENT_MADE, 1, &t, NULL, NULL}, NULL, true);
        size_t n = mem_fail_at(0, false);
        assert_true(line.failed == (n >= i));
        buffer_free(&line);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_text_becomes_json),        cmocka_unit_test(numbers_come_back),
        cmocka_unit_test(the_lines_give_the_tree_back), cmocka_unit_test(bytes_come_back),
        cmocka_unit_test(without_memory_the_line_says_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
