/* test_cassette.c: searches that are written down, and made again from any beginning of what was written: every line is the same.
 * Not the tree that the lines give: test_trace.c.  Not files of real searches: tests/cli_search.sh.
 * Next: search/cassette.h. */
#include "tests/eval_world.h"
#include "tests/toy_run.h"

#include "solve/tree_file.h"

/* The lines of one search; written ones are compared with those that are there. */
static struct log {
    char *lines[20000];
    size_t n, n_same; /* there are; came again */
    size_t cut;       /* where a call was cut off; SIZE_MAX: nowhere */
    bool differs;
} full, part;

static void log_clear(struct log *l) {
    for (size_t i = 0; i < l->n; i++) free(l->lines[i]);
    *l = (struct log){.cut = SIZE_MAX};
}

static void log_line(void *arg, const char *line, size_t size) {
    struct log *l = arg;
    size_t most = l->cut < l->n ? l->cut : l->n;
    if (l->n_same < most) {
        l->differs |= strlen(l->lines[l->n_same]) != size || memcmp(l->lines[l->n_same], line, size);
        l->n_same++;
        return;
    }
    while (l->n > most) free(l->lines[--l->n]);
    assert_true(l->n < 20000);
    l->lines[l->n++] = strndup(line, size);
    l->n_same = l->n, l->cut = SIZE_MAX;
}

static enum status log_flush(void *arg, struct error *e) {
    (void)arg, (void)e;
    return OK;
}

static void log_cut(void *arg) { ((struct log *)arg)->cut = ((struct log *)arg)->n_same; }

/* The first n lines of `full` as a file. */
static const char HEADER[] =
    "{\"format\":\"ponder-tree\",\"version\":2,\"task\":\"game24\",\"problem\":\"1 2 3 4\",\"strategy\":\"mcts\","
    "\"seed\":1,\"root\":\"%016llx\",\"policy\":{\"hash\":\"0000000000000000\"},\"settings\":{},\"options\":{},"
    "\"session\":{}}\n"
    "{\"event\":\"prompt\",\"can\":%u,\"tokens\":1,\"ids\":[1],\"prompt_tokens\":%llu,\"prm_tokens\":%llu,"
    "\"policy_flops\":%llu,\"prm_flops\":%llu}\n";

static void read_part(const char *path, size_t n, uint64_t root, unsigned can, const struct ledger *start,
                      struct saved_tree *saved) {
    struct error e;
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fprintf(f, HEADER, (unsigned long long)root, can, (unsigned long long)start->prompt_tokens,
            (unsigned long long)start->prm_tokens, (unsigned long long)start->policy_flops,
            (unsigned long long)start->prm_flops);
    log_clear(&part);
    for (size_t i = 0; i < n; i++) {
        fprintf(f, "%s\n", full.lines[i]);
        part.lines[part.n++] = strdup(full.lines[i]);
    }
    fclose(f);
    if (tree_read(path, saved, NULL, NULL, NULL, &e)) fail_msg("%s", e.text);
}

/* One search through a cassette.  inner NULL: from the tape alone. */
static void run(const struct evaluator *inner, const struct saved_tree *saved, const char *strategy,
                const struct search_params *common, const void *params, struct log *to, struct search_result *res,
                bool *over) {
    struct error e;
    struct tree tree;
    struct cassette c = {.inner = inner, .lines = {to, log_line, log_flush, log_cut}};
    if (saved) c.items = saved->items, c.n_items = saved->n_items, c.start = &saved->start;
    assert_int_equal(cassette_open(&c, &e), OK);
    assert_int_equal(search_open(&tree, &c.ev, common->seed, 2048, &e), OK);
    struct search on = {.ev = &c.ev, .tree = &tree, .common = *common, .on_event = cassette_event, .arg = &c};
    enum status s = search_run(strategy_find(strategy), &on, params, res, &e);
    if (s) fail_msg("%s: %s", strategy, e.text);
    search_close(&tree, &c.ev);
    *over = c.over;
    if (inner && saved && c.at != c.n_items)
        fail_msg("%s: %zu of %zu items were said again", strategy, c.at, c.n_items);
    cassette_close(&c);
}

static void compare(const char *strategy, size_t n) {
    if (part.differs || part.n != full.n) fail_msg("%s, from %zu lines of %zu: %zu lines", strategy, n, full.n, part.n);
    for (size_t i = 0; i < full.n; i++)
        if (strcmp(full.lines[i], part.lines[i]))
            fail_msg("%s, from %zu lines: line %zu is %s, not %s", strategy, n, i, part.lines[i], full.lines[i]);
}

static const struct toy_world world = {
    .seed = 2, .width = 4, .depth = 4, .best = "3031", .noise = 0.3f, .p_dead = 0.04f, .p_cut = 0.04f};

static bool limited_draws; /* mcts draws without replacement */

static void open_toy(const char *strategy, uint64_t tokens, bool check) {
    fx_open(strategy, &world);
    if (check) fx.toy.ev.check = toy_check, fx.toy.ev.can |= CAN_CHECK;
    if (fx.common.budget.simulations > 6) fx.common.budget.simulations = 6;
    if (tokens) fx.common.budget = (struct budget){.tokens = tokens};
    fx_set("batch", 4);
    if (limited_draws) fx_set("again", 0);
}

static void close_toy(void) {
    if (fx.toy.misuse) fail_msg("%s: %s", fx.strategy, fx.toy.misuse);
    assert_int_equal(fx.toy.n_branches, 0);
}

/* Every strategy, with a limit in tokens too, from every line on. */
static void every_beginning_gives_the_same_lines(void **state) {
    (void)state;
    uint32_t n_recited = 0;
    for (const struct strategy *const *at = strategy_table, *s; (s = *at); at++)
        for (int limited = 0; limited < 2; limited++) {
            struct search_result res, again;
            struct saved_tree saved;
            bool over;
            limited_draws = limited;
            log_clear(&full);
            open_toy(s->name, limited ? 40 : 0, limited);
            run(&fx.toy.ev, NULL, s->name, &fx.common, fx.params.bytes, &full, &res, &over);
            close_toy();
            for (size_t n = 0; n <= full.n; n += 1 + full.n / 40) {
                open_toy(s->name, limited ? 40 : 0, limited);
                read_part(tiny_path("part.jsonl"), n, fx.common.seed, fx.toy.ev.can, &(struct ledger){0}, &saved);
                run(&fx.toy.ev, &saved, s->name, &fx.common, fx.params.bytes, &part, &again, &over);
                close_toy();
                compare(s->name, n);
                assert_true(res.node == again.node && res.value == again.value && res.why == again.why);
                n_recited += fx.toy.n_recited;
                tree_close(&saved);
            }
        }
    if (n_recited < 1000) fail_msg("%u steps were recited: the test is empty", n_recited);
}

/* The tape alone: the same lines without anybody behind it; and it says when it ends. */
static void the_tape_alone_gives_the_same_lines(void **state) {
    (void)state;
    for (const struct strategy *const *at = strategy_table, *s; (s = *at); at++)
        for (int limited = 0; limited < 2; limited++) {
            struct search_result res, again;
            struct saved_tree saved;
            bool over;
            limited_draws = limited;
            log_clear(&full);
            open_toy(s->name, limited ? 40 : 0, limited);
            run(&fx.toy.ev, NULL, s->name, &fx.common, fx.params.bytes, &full, &res, &over);
            read_part(tiny_path("part.jsonl"), full.n, fx.common.seed, fx.toy.ev.can, &(struct ledger){0}, &saved);
            run(NULL, &saved, s->name, &fx.common, fx.params.bytes, &part, &again, &over);
            compare(s->name, full.n);
            assert_false(over);
            assert_true(res.node == again.node && res.value == again.value && res.why == again.why);
            tree_close(&saved);
            read_part(tiny_path("part.jsonl"), full.n / 3, fx.common.seed, fx.toy.ev.can, &(struct ledger){0}, &saved);
            run(NULL, &saved, s->name, &fx.common, fx.params.bytes, &part, &again, &over);
            assert_true(over);
            tree_close(&saved);
            close_toy();
        }
}

/* A line that was changed is noticed, wherever it is. */
static void a_changed_line_is_noticed(void **state) {
    (void)state;
    struct search_result res;
    struct saved_tree saved;
    bool over;
    log_clear(&full);
    open_toy("mcts", 0, false);
    run(&fx.toy.ev, NULL, "mcts", &fx.common, fx.params.bytes, &full, &res, &over);
    for (size_t i = 0; i < full.n; i += 3) {
        char *old = full.lines[i], *digit;
        full.lines[i] = strdup(old);
        digit = strstr(full.lines[i], "\"value\":0.");
        if (digit && digit[10] >= '1' && digit[10] <= '8') {
            digit[10]++;
            read_part(tiny_path("part.jsonl"), full.n, fx.common.seed, fx.toy.ev.can, &(struct ledger){0}, &saved);
            run(NULL, &saved, "mcts", &fx.common, fx.params.bytes, &part, &res, &over);
            assert_true(part.differs || over);
            tree_close(&saved);
        }
        free(full.lines[i]);
        full.lines[i] = old;
    }
    close_toy();
}

/* Any allocation may fail: the search ends with an error, or the log says that it is not whole; nothing leaks. */
static void failed_memory_is_an_error_and_no_leak(void **state) {
    (void)state;
    size_t n_failed = 0;
    for (size_t i = 1;; i++) {
        struct error e = {""};
        struct tree tree;
        struct search_result res;
        log_clear(&full);
        open_toy("mcts", 0, true);
        struct cassette c = {.inner = &fx.toy.ev, .lines = {&full, log_line, log_flush, log_cut}};
        assert_int_equal(cassette_open(&c, &e), OK);
        assert_int_equal(search_open(&tree, &c.ev, 1, 512, &e), OK);
        struct search on = {.ev = &c.ev, .tree = &tree, .common = fx.common, .on_event = cassette_event, .arg = &c};
        mem_fail_at(i, false);
        enum status s = search_run(strategy_find("mcts"), &on, fx.params.bytes, &res, &e);
        size_t made = mem_fail_at(0, false);
        if (s && s != ERR_MEMORY) fail_msg("allocation %zu: status %d, %s", i, s, e.text);
        if (made >= i && !s && !c.failed) fail_msg("allocation %zu failed, and nobody said so", i);
        n_failed += s != OK || c.failed;
        search_close(&tree, &c.ev);
        cassette_close(&c);
        close_toy();
        if (made < i) break;
    }
    if (n_failed < 5) fail_msg("%zu failures: the test is empty", n_failed);
}

/* ---- real models ---- */

static const struct search_params of_models = {
    .seed = 3, .budget = {.simulations = 14}, .temperature = 1, .max_depth = 4};

static void open_recorded(const char *strategy, enum verifier verifier, bool once, struct params *params) {
    struct error e;
    open_engines(roomy.n_pages);
    w.params.verifier = verifier;
    w.params.max_step_tokens = 24;
    open_eval();
    strategy_defaults(strategy_find(strategy), true, params);
    const struct param *again = strategy_param(strategy_find(strategy), "again", 5);
    if (once) assert_int_equal(param_set(again, params, "no", &e), OK);
}

/* Lines of `full` that hold this text. */
static size_t count_lines(const char *text) {
    size_t n = 0;
    for (size_t i = 0; i < full.n; i++) n += strstr(full.lines[i], text) != NULL;
    return n;
}

/* A policy and a judge: from every line on the same file, and so the same costs. */
static void models_go_on_where_the_tape_ends(void **state) {
    static const struct {
        const char *strategy;
        enum verifier verifier;
        bool once; /* steps are drawn without replacement */
    } rows[] = {{"bon", VERIFIER_PRM, false},      {"mcts", VERIFIER_PRM, false},       {"beam", VERIFIER_PRM, false},
                {"mcts", VERIFIER_LOGPROB, false}, {"tokenbeam", VERIFIER_NONE, false}, {"mcts", VERIFIER_PRM, true}};
    size_t n_valued = 0;
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const char *strategy = rows[i].strategy;
        struct search_result res, again;
        struct saved_tree saved;
        struct params params;
        bool over;
        log_clear(&full);
        open_recorded(strategy, rows[i].verifier, rows[i].once, &params);
        const unsigned can = w.ev.can;
        const struct ledger start = *w.ev.ledger;
        run(&w.ev, NULL, strategy, &of_models, params.bytes, &full, &res, &over);
        close_world();
        n_valued += count_lines("\"judge_tokens\":") - count_lines("\"judge_tokens\":0,");
        for (size_t n = 0; n <= full.n; n += 1 + full.n / 25) {
            open_recorded(strategy, rows[i].verifier, rows[i].once, &params);
            read_part(tiny_path("part.jsonl"), n, of_models.seed, can, &start, &saved);
            run(&w.ev, &saved, strategy, &of_models, params.bytes, &part, &again, &over);
            close_world();
            compare(strategy, n);
            tree_close(&saved);
        }
        read_part(tiny_path("part.jsonl"), full.n, of_models.seed, can, &start, &saved);
        run(NULL, &saved, strategy, &of_models, params.bytes, &part, &again, &over);
        compare(strategy, full.n);
        tree_close(&saved);
    }
    if (n_valued < 8) fail_msg("%zu steps were valued by the reward model: the test is empty", n_valued);
}

static int clean_up(void **state) {
    log_clear(&full), log_clear(&part);
    return close_models(state);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_beginning_gives_the_same_lines),
        cmocka_unit_test(the_tape_alone_gives_the_same_lines),
        cmocka_unit_test(a_changed_line_is_noticed),
        cmocka_unit_test(failed_memory_is_an_error_and_no_leak),
        cmocka_unit_test(models_go_on_where_the_tape_ends),
    };
    return cmocka_run_group_tests(tests, open_models, clean_up);
}
