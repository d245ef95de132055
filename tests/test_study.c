/* test_study.c: curves as tables and pictures, and files of results under allocations that fail.
 * Not the commands: cli_study.sh.
 * Next: study/figure.h, study/merge.h. */
#include <math.h>
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
#include "study/compare.h"
#include "study/merge.h"
#include "study/study.h"

/* -- figures -- */

static void add(struct figure *f, const char *series, struct point p) {
    struct error e;
    assert_int_equal(figure_add(f, series, p, &e), OK);
}

static struct figure three_points(void) {
    struct figure f = {
        .name = "f", .title = "a < b & c", .x_label = "x", .y_label = "y", .log_x = true, .percent = true};
    add(&f, "one, \"two\"", (struct point){100, 1, 0.9, 1, ""});
    add(&f, "one, \"two\"", (struct point){1, 0, NAN, NAN, "budget 1"});
    add(&f, "one, \"two\"", (struct point){10, 0.5, 0.4, 0.6, ""});
    figure_sort(&f);
    return f;
}

static void tables(void **state) {
    (void)state;
    struct figure f = three_points();
    struct buffer b = {0};
    add(&f, "plain", (struct point){2.5e9, 0.25, 0, 1, ""});
    figure_csv(&f, &b);
    assert_string_equal(b.data, "series,x,y,low,high,note\n\"one, \"\"two\"\"\",1,0,,,budget 1\n"
                                "\"one, \"\"two\"\"\",10,0.5,0.4,0.6,\n\"one, \"\"two\"\"\",100,1,0.9,1,\n"
                                "plain,2.5e+09,0.25,0,1,\n");
    buffer_free(&b);
    figure_free(&f);
}

/* The places of the circles, in order. */
static int circles(const char *svg, double x[8], double y[8]) {
    int n = 0;
    for (const char *at = svg; (at = strstr(at, "<circle ")) && n < 8; at++, n++)
        assert_int_equal(sscanf(at, "<circle cx=\"%lf\" cy=\"%lf\"", &x[n], &y[n]), 2);
    return n;
}

/* 1, 10 and 100 are equally far apart on a log axis, and y grows upwards; the fourth circle is the legend's. */
static void pictures(void **state) {
    (void)state;
    struct figure f = three_points();
    struct buffer b = {0};
    double x[8], y[8];
    figure_svg(&f, &b);
    assert_int_equal(circles(b.data, x, y), 4);
    assert_true(fabs((x[2] - x[1]) - (x[1] - x[0])) < 0.21 && x[1] - x[0] > 200);
    assert_true(fabs((y[1] - y[0]) - (y[2] - y[1])) < 0.21 && y[1] - y[0] < -100);
    assert_non_null(strstr(b.data, ">a &lt; b &amp; c</text>"));
    assert_non_null(strstr(b.data, ">40%</text>"));
    assert_non_null(strstr(b.data, ">10</text>"));
    assert_null(strstr(b.data, "nan"));
    buffer_free(&b);
    figure_free(&f);
    struct figure zero = three_points();
    add(&zero, "zero", (struct point){0, 0.5, 0.4, 0.6, ""});
    figure_svg(&zero, &b);
    assert_int_equal(circles(b.data, x, y), 5); /* three points, two names */
    assert_null(strstr(b.data, "inf"));
    buffer_free(&b);
    figure_free(&zero);
    struct figure none = {.title = "nothing"}, one = {.title = "one", .log_x = true};
    add(&one, "a", (struct point){7, 0.5, NAN, NAN, ""});
    figure_svg(&none, &b), figure_svg(&one, &b);
    assert_null(strstr(b.data, "nan"));
    assert_null(strstr(b.data, "inf"));
    buffer_free(&b);
    figure_free(&one);
}

/* -- allocations that fail -- */

static const char *const header =
    "{\"format\":\"ponder-results\",\"version\":1,\"problems\":3,\"shard\":\"%d/2\",\"task\":\"game24\","
    "\"search\":\"bon\",\"model\":\"m\",\"host\":\"h%d\"}\n";

static void write_shard(const char *path, int k) {
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fprintf(f, header, k, k);
    for (int i = k; i <= 3; i += 2)
        fprintf(f, "{\"id\":\"%d\",\"problem\":\"p\",\"correct\":%s,\"generated_tokens\":7,\"policy_flops\":5}\n", i,
                i == 2 ? "true" : "false");
    fclose(f);
}

static enum status make_page(const char *folder, struct error *e) {
    struct study s;
    char page[128];
    enum status st = study_open(folder, &s, e);
    if (st) return st;
    snprintf(page, sizeof page, "%s/page", folder);
    st = study_report(&s, page, e);
    study_close(&s);
    return st;
}

static enum status use_files(const char *const shards[2], const char *merged, const char *folder, struct error *e) {
    struct results a, b;
    struct comparison c;
    struct run r;
    struct figure f = {.name = "f"};
    enum status s = merge_results(shards, 2, merged, e);
    if (s || (s = run_open(merged, &r, e))) return s;
    assert_int_equal(r.n, 3);
    assert_int_equal(r.n_right, 1);
    s = runs_plot(&r, 1, BY_TOKENS, &f, e);
    figure_free(&f);
    run_close(&r);
    if (s || (s = results_load(merged, &a, e))) return s;
    if (!(s = results_load(shards[0], &b, e))) {
        s = compare_results(&a, &b, 1, 100, &c, e);
        results_close(&b);
    }
    results_close(&a);
    if (!s) assert_int_equal(c.n, 1);
    return s ? s : make_page(folder, e);
}

static void allocations_fail(void **state) {
    (void)state;
    char folder[] = "/tmp/ponder-study-XXXXXX", a[64], b[64], merged[64];
    assert_non_null(mkdtemp(folder));
    snprintf(a, sizeof a, "%s/a", folder), snprintf(b, sizeof b, "%s/b", folder);
    snprintf(merged, sizeof merged, "%s/main.m.jsonl", folder);
    write_shard(a, 1), write_shard(b, 2);
    const char *const shards[] = {b, a};
    struct error e;
    mem_fail_at(0, false);
    assert_int_equal(use_files(shards, merged, folder, &e), OK);
    size_t n = mem_fail_at(0, false);
    assert_true(n > 5);
    for (size_t i = 1; i <= n; i++) {
        unlink(merged);
        mem_fail_at(i, true);
        enum status s = use_files(shards, merged, folder, &e);
        mem_fail_at(0, false);
        if (s != ERR_MEMORY) fail_msg("allocation %zu of %zu: status %d", i, n, s);
    }
    char clean[64];
    snprintf(clean, sizeof clean, "rm -rf %s", folder);
    assert_int_equal(system(clean), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tables),
        cmocka_unit_test(pictures),
        cmocka_unit_test(allocations_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
