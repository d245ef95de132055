/* test_faults.c: every allocation of a load, a search and an eval fails once, then all from there on: an error, no crash and, under ASan,
 * no leak.
 * Not failing disks: tests/cli.sh.
 * Next: base/mem.h. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"
#include "solve/eval_run.h"
#include "weights/embedded.h"

enum stage { LOAD, SEARCH, EVAL };

/* What one run leaves open; everything may be closed at any point. */
struct trial {
    struct session session;
    struct solver solver;
    struct problems problems;
    struct eval_run run;
    struct outcome outcome;
};

static enum status load(struct trial *t, struct error *e) {
    const struct session_options o = {.model = "game24-policy-small",
                                      .prm = "none",
                                      .threads = 1,
                                      .ctx = -1,
                                      .kv_mb = 4,
                                      .batch = 64,
                                      .ubatch = 64,
                                      .rope = {.ext_factor = -1}};
    struct search_options search = SEARCH_OPTIONS;
    search.search = "maj", search.budget = 2;
    enum status s = solver_setup(&t->solver, task_find("game24"), &search, e);
    if (s) return s;
    struct session_size size = {.branches = solver_branches(&t->solver)};
    s = session_open(&o, &size, &t->session, e);
    return s ? s : solver_attach(&t->solver, &t->session, e);
}

static enum status one_search(struct trial *t, struct error *e) {
    struct problem p;
    enum status s = solver_parse(t->solver.task, "4 7 8 8", &p, e);
    if (s) return s;
    s = solver_run(&t->solver, &p, NULL, NULL, &t->outcome, e);
    if (!s) outcome_free(&t->outcome);
    problem_free(&p);
    return s;
}

static enum status one_eval(struct trial *t, const char *path, struct error *e) {
    enum status s = problems_read(path, t->solver.task, 0, 0, 1, &t->problems, e);
    if (s) return s;
    t->run = (struct eval_run){.solver = &t->solver, .problems = &t->problems, .in_flight = 1};
    s = eval_run(&t->run, e);
    if (!s) assert_int_equal(eval_summary(&t->run).n, 2);
    eval_run_free(&t->run);
    problems_free(&t->problems);
    return s;
}

static enum status run(enum stage stage, const char *path, struct error *e) {
    struct trial t = {0};
    enum status s = load(&t, e);
    if (!s && stage == SEARCH) s = one_search(&t, e);
    if (!s && stage == EVAL) s = one_eval(&t, path, e);
    solver_close(&t.solver);
    session_close(&t.session);
    return s;
}

static void each_fails(enum stage stage, size_t from) {
    char path[] = "/tmp/ponder-faults-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0 && write(fd, "4 7 8 8\n1 2 3 4\n", 16) == 16);
    close(fd);
    struct error e;
    mem_fail_at(0, false);
    assert_int_equal(run(stage, path, &e), OK);
    size_t n = mem_fail_at(0, false);
    assert_true(n > from);
    for (size_t i = from + 1; i <= n; i++)
        for (int rest = 0; rest < 2; rest++) {
            *e.text = 0;
            mem_fail_at(i, rest);
            enum status s = run(stage, path, &e);
            mem_fail_at(0, false);
            if (s == OK) continue; /* what could do without */
            if (s != ERR_MEMORY && s != ERR_FULL)
                fail_msg("allocation %zu of %zu: status %d: %s", i, n, (int)s, e.text);
            if (!*e.text || strchr(e.text, '\n')) fail_msg("allocation %zu of %zu: \"%s\"", i, n, e.text);
        }
    print_message("%zu allocations\n", n - from);
    assert_int_equal(run(stage, path, &e), OK); /* nothing is left behind */
    unlink(path);
}

static size_t of_load(void) {
    struct error e;
    mem_fail_at(0, false);
    assert_int_equal(run(LOAD, NULL, &e), OK);
    return mem_fail_at(0, false);
}

static void no_models(void) {
    if (!embedded_table[0].name) skip();
}

static void y03_each_allocation_of_a_load_fails(void **state) {
    (void)state;
    no_models();
    each_fails(LOAD, 0);
}

static void y03_each_allocation_of_a_search_fails(void **state) {
    (void)state;
    no_models();
    each_fails(SEARCH, of_load());
}

static void y03_each_allocation_of_an_eval_fails(void **state) {
    (void)state;
    no_models();
    each_fails(EVAL, of_load());
}

/* A line that cannot be written counts as not solved: the next run does it again. */
static void y02_what_is_not_written_is_not_counted(void **state) {
    (void)state;
    no_models();
    char path[] = "/tmp/ponder-faults-XXXXXX", out[] = "/tmp/ponder-results-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0 && write(fd, "4 7 8 8\n1 2 3 4\n", 16) == 16);
    close(fd), close(mkstemp(out));
    struct trial t = {0};
    struct results results;
    struct error e;
    json_t *header = json_pack("{s:s}", "format", "ponder-results");
    assert_int_equal(load(&t, &e), OK);
    assert_int_equal(problems_read(path, t.solver.task, 0, 0, 1, &t.problems, &e), OK);
    for (int broken = 1; broken >= 0; broken--) {
        assert_int_equal(results_open(out, header, &results, &e), OK);
        int good = results.fd;
        if (broken) results.fd = open(out, O_RDONLY);
        t.run = (struct eval_run){.solver = &t.solver, .problems = &t.problems, .in_flight = 1, .results = &results};
        assert_int_equal(eval_run(&t.run, &e), broken ? ERR_IO : OK);
        assert_int_equal(eval_summary(&t.run).n, broken ? 0 : 2);
        eval_run_free(&t.run);
        if (broken) close(good);
        results_close(&results);
    }
    problems_free(&t.problems);
    solver_close(&t.solver);
    session_close(&t.session);
    json_decref(header);
    unlink(path), unlink(out);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(y03_each_allocation_of_a_load_fails),
                                       cmocka_unit_test(y03_each_allocation_of_a_search_fails),
                                       cmocka_unit_test(y03_each_allocation_of_an_eval_fails),
                                       cmocka_unit_test(y02_what_is_not_written_is_not_counted)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
