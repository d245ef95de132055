/* test_base.c: random numbers against published vectors, failing allocations, error text, and the thread team.
 * Not a proof of the absence of races: also run it built with -fsanitize=thread.
 * Next: test_kv.c. */
#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/input.h"
#include "base/mem.h"
#include "base/rng.h"
#include "base/status.h"
#include "base/team.h"

/* Random numbers: */

/* The known answers for philox4x32-10 that come with Random123. */
static void test_philox_known_answers(void **state) {
    (void)state;
    static const struct {
        uint32_t counter[4], key[2], out[4];
    } known[] = {
        {{0, 0, 0, 0}, {0, 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
        {{~0u, ~0u, ~0u, ~0u}, {~0u, ~0u}, {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
        {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
         {0xa4093822, 0x299f31d0},
         {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
    };
    for (size_t k = 0; k < sizeof known / sizeof *known; k++) {
        uint32_t out[4];
        rng_block(known[k].counter, known[k].key, out);
        for (int i = 0; i < 4; i++)
            if (out[i] != known[k].out[i])
                fail_msg("vector %zu, word %d: got %08x, want %08x", k, i, out[i], known[k].out[i]);
    }
}

/* Sum of (observed - expected)^2 / expected over equal cells. */
static double chi_square(const uint32_t *count, size_t n_cells, double n_draws) {
    double expected = n_draws / (double)n_cells, sum = 0;
    for (size_t i = 0; i < n_cells; i++) sum += (count[i] - expected) * (count[i] - expected) / expected;
    return sum;
}

/* 99 degrees of freedom: mean 99, standard deviation 14; both tails are failures. */
static void check_flat(const char *what, const uint32_t count[100], double n_draws) {
    double x = chi_square(count, 100, n_draws);
    if (x < 50 || x > 160) fail_msg("%s: chi-square %.1f over 100 cells, want 50 to 160", what, x);
}

static void test_rng_flat(void **state) {
    (void)state;
    enum { N = 200000 };
    uint32_t uniform[100] = {0}, below[100] = {0}, keys[100] = {0}, low[100] = {0};
    double sum = 0, sum_next = 0, previous = rng_uniform(7, 0);
    for (uint64_t i = 0; i < N; i++) {
        double u = rng_uniform(7, i);
        if (!(u >= 0 && u < 1)) fail_msg("rng_uniform(7, %llu) is %g", (unsigned long long)i, u);
        uniform[(int)(u * 100)]++;
        uint32_t b = rng_below(8, i, 100);
        if (b >= 100) fail_msg("rng_below(8, %llu, 100) is %u", (unsigned long long)i, b);
        below[b]++;
        keys[(int)(rng_uniform(rng_fold(9, i), 0) * 100)]++;
        low[rng_u64(10, i) % 100]++;
        sum += u;
        if (i) sum_next += (u - 0.5) * (previous - 0.5);
        previous = u;
    }
    check_flat("one stream", uniform, N);
    check_flat("rng_below", below, N);
    check_flat("first draws of child streams", keys, N);
    check_flat("low bits", low, N);
    if (fabs(sum / N - 0.5) > 0.003) fail_msg("mean %.5f, want 0.5", sum / N);
    if (fabs(sum_next / N) > 0.001) fail_msg("covariance of neighbours %.5f, want 0", sum_next / N);
}

static void test_rng_is_a_function(void **state) {
    (void)state;
    uint64_t forward[64];
    for (uint64_t i = 0; i < 64; i++) forward[i] = rng_u64(3, i);
    for (uint64_t i = 64; i-- > 0;) assert_int_equal(rng_u64(3, i), forward[i]);
    for (uint64_t i = 0; i < 64; i++) {
        assert_int_equal(rng_below(3, i, 1), 0);
        assert_true(rng_uniform(3, i) == (double)(forward[i] >> 11) / 9007199254740992.0);
    }
    /* All 64 bits of key and counter matter. */
    for (int bit = 0; bit < 64; bit++) {
        uint64_t one = (uint64_t)1 << bit;
        if (rng_u64(3 ^ one, 5) == rng_u64(3, 5)) fail_msg("bit %d of the key does not matter", bit);
        if (rng_u64(3, 5 ^ one) == rng_u64(3, 5)) fail_msg("bit %d of the counter does not matter", bit);
        if (rng_fold(3, 5 ^ one) == rng_fold(3, 5)) fail_msg("bit %d of the folded data does not matter", bit);
    }
}

static int compare_u64(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

/* Two levels of children of a few seeds, and the draws of the seeds: no two alike. */
static void test_folds_distinct(void **state) {
    (void)state;
    enum { SEEDS = 4, WIDE = 128, N = SEEDS * (WIDE + WIDE * WIDE + WIDE) };
    uint64_t *keys = mem_new(N, sizeof *keys);
    size_t n = 0;
    for (uint64_t seed = 0; seed < SEEDS; seed++)
        for (uint64_t i = 0; i < WIDE; i++) {
            uint64_t child = rng_fold(seed, i);
            keys[n++] = child;
            keys[n++] = rng_u64(seed, i);
            for (uint64_t j = 0; j < WIDE; j++) keys[n++] = rng_fold(child, j);
        }
    assert_int_equal(n, N);
    qsort(keys, N, sizeof *keys, compare_u64);
    for (size_t i = 1; i < N; i++)
        if (keys[i] == keys[i - 1]) fail_msg("key %016llx twice", (unsigned long long)keys[i]);
    mem_free(keys);
}

/* Memory: */

static void test_mem_overflow(void **state) {
    (void)state;
    size_t out = 42;
    assert_true(mul_size(1u << 20, 1u << 20, &out));
    assert_int_equal(out, (size_t)1 << 40);
    assert_false(mul_size(SIZE_MAX / 2 + 1, 2, &out));
    assert_int_equal(out, (size_t)1 << 40);
    assert_true(mul_size(SIZE_MAX, 1, &out));
    assert_int_equal(out, SIZE_MAX);
    assert_false(add_size(SIZE_MAX, 1, &out));
    assert_int_equal(out, SIZE_MAX);
    assert_true(add_size(SIZE_MAX - 1, 1, &out));
    assert_int_equal(out, SIZE_MAX);
    assert_null(mem_new(SIZE_MAX / 2 + 1, 2));
    assert_null(mem_new(SIZE_MAX, 1));
    assert_null(mem_new(1, SIZE_MAX - 100));
    uint32_t *p = mem_new(1, sizeof *p);
    *p = 77;
    assert_null(mem_grow(p, 1, SIZE_MAX, sizeof *p));
    assert_int_equal(*p, 77);
    mem_free(p);
}

static void test_mem_blocks(void **state) {
    (void)state;
    static const size_t sizes[] = {0, 1, 63, 64, 65, 1000, 100000};
    for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++) {
        unsigned char *p = mem_new(sizes[k], 1);
        assert_non_null(p);
        assert_int_equal((uintptr_t)p % 64, 0);
        for (size_t i = 0; i < sizes[k]; i++)
            if (p[i]) fail_msg("size %zu: byte %zu is %d, want 0", sizes[k], i, p[i]);
        memset(p, 0xa5, sizes[k]);
        mem_free(p); /* the next block of this size may be this one again, dirty */
    }
    uint16_t *a = mem_new(3, sizeof *a);
    a[0] = 1, a[1] = 2, a[2] = 3;
    a = mem_grow(a, 3, 200, sizeof *a);
    for (size_t i = 0; i < 200; i++)
        if (a[i] != (i < 3 ? i + 1 : 0)) fail_msg("after growing: element %zu is %u", i, a[i]);
    a = mem_grow(a, 200, 2, sizeof *a);
    assert_int_equal(a[0], 1);
    assert_int_equal(a[1], 2);
    mem_free(a);
    a = mem_grow(NULL, 0, 5, sizeof *a);
    assert_int_equal(a[4], 0);
    mem_free(a);
    char *s = mem_string("caf\xc3\xa9");
    assert_string_equal(s, "caf\xc3\xa9");
    mem_free(s);
    mem_free(NULL);
}

/* Which of six allocations succeed, as text. */
static void check_failing(size_t n, bool rest, const char *want) {
    char got[7] = {0};
    mem_fail_at(n, rest);
    for (int i = 0; i < 6; i++) {
        void *p = mem_new(8, 1);
        got[i] = p ? '+' : '-';
        mem_free(p);
    }
    size_t made = mem_fail_at(0, false);
    if (strcmp(got, want) != 0) fail_msg("mem_fail_at(%zu, %d): got %s, want %s", n, rest, got, want);
    assert_int_equal(made, 6);
}

static void test_mem_fail_at(void **state) {
    (void)state;
    check_failing(0, false, "++++++");
    check_failing(1, false, "-+++++");
    check_failing(3, false, "++-+++");
    check_failing(3, true, "++----");
    check_failing(6, true, "+++++-");
    check_failing(7, true, "++++++");
    char *old = mem_string("kept");
    mem_fail_at(1, true);
    char *grown = mem_grow(old, 5, 500, 1), *copy = mem_string("x");
    mem_fail_at(0, false);
    assert_null(grown);
    assert_null(copy);
    assert_string_equal(old, "kept");
    mem_free(old);
}

/* Errors: */

static void test_error_text(void **state) {
    (void)state;
    struct error e;
    assert_int_equal(error_set(NULL, ERR_IO, "%s", "x"), ERR_IO);
    assert_int_equal(error_set(&e, ERR_INPUT, "%s: %d, allowed 1 to %d", "a.gguf", 7, 5), ERR_INPUT);
    assert_string_equal(e.text, "a.gguf: 7, allowed 1 to 5");
    error_set(&e, ERR_INPUT, "%s",
              "a\033[31mb\nc\td\x7f"
              "e\r");
    assert_string_equal(e.text, "a?[31mb?c?d?e?");
    error_set(&e, ERR_INPUT, "%s", "caf\xc3\xa9");
    assert_string_equal(e.text, "caf\xc3\xa9");
    error_set(&e, ERR_INPUT, "%s",
              "a\xc2\x9b"
              "31mb"); /* U+009B is a one-character escape */
    assert_string_equal(e.text, "a??31mb");
    char wide[2 * sizeof e.text];
    memset(wide, 'w', sizeof wide - 1);
    wide[sizeof wide - 1] = '\0';
    error_set(&e, ERR_INPUT, "%s", wide);
    assert_int_equal(strlen(e.text), sizeof e.text - 1);
    error_set(&e, ERR_INPUT, "inner");
    error_set(&e, ERR_INPUT, "outer: %s", e.text); /* an error may quote itself */
    assert_string_equal(e.text, "outer: inner");
}

/* The team: */

enum { STAGES = 9, CELLS = 5 };

/* Stage after stage each member sums what all members wrote in the stage before: a barrier that lets one pass too early
 * changes the sum.  No atomics here, so that the thread sanitizer checks the team's own ordering. */
struct relay {
    struct team *team;
    uint64_t cell[2][CELLS];
    uint32_t n_calls[CELLS];
    int wrong_count;
};

static void relay_member(void *arg, int index, int count) {
    struct relay *r = arg;
    r->n_calls[index]++;
    if (index == 0 && count != team_size(r->team)) r->wrong_count = count;
    for (int stage = 0; stage < STAGES; stage++) {
        uint64_t sum = (uint64_t)index + 1;
        for (int i = 0; i < count; i++) sum += r->cell[stage % 2][i];
        r->cell[(stage + 1) % 2][index] = sum;
        if (stage + 1 < STAGES) team_barrier(r->team); /* the last stage is closed by the end of the run */
    }
}

/* The same, by one thread. */
static void relay_alone(uint64_t cell[2][CELLS], int count) {
    for (int stage = 0; stage < STAGES; stage++)
        for (int index = 0; index < count; index++) {
            uint64_t sum = (uint64_t)index + 1;
            for (int i = 0; i < count; i++) sum += cell[stage % 2][i];
            cell[(stage + 1) % 2][index] = sum;
        }
}

/* Reports by value: cmocka's checks may not fail outside the main thread. */
static enum status relay_runs(struct team *team, struct relay *r, uint32_t n_runs, struct error *e) {
    int count = team_size(team);
    uint64_t want[2][CELLS] = {{0}};
    *r = (struct relay){.team = team};
    for (uint32_t run = 0; run < n_runs; run++) {
        team_run(team, relay_member, r);
        relay_alone(want, count);
        for (int i = 0; i < count; i++)
            if (r->cell[STAGES % 2][i] != want[STAGES % 2][i] || r->n_calls[i] != run + 1 || r->wrong_count)
                return error_set(e, ERR_INPUT,
                                 "%d threads, run %u, member %d: got %llu after %u calls, want %llu after %u", count,
                                 run, i, (unsigned long long)r->cell[STAGES % 2][i], r->n_calls[i],
                                 (unsigned long long)want[STAGES % 2][i], run + 1);
    }
    return OK;
}

static void test_team_relay(void **state) {
    (void)state;
    for (int n = 1; n <= CELLS; n++) {
        struct team *team;
        struct error e;
        struct relay r;
        if (team_new(n, &team, &e)) fail_msg("%s", e.text);
        assert_int_equal(team_size(team), n);
        if (relay_runs(team, &r, n <= 2 ? 2000 : 200, &e)) fail_msg("%s", e.text);
        team_free(&team);
        assert_null(team);
        team_free(&team);
    }
}

/* Members of very different speed, and pauses in which members fall asleep. */
static void slow_member(void *arg, int index, int count) {
    struct relay *r = arg;
    struct timespec pause = {0, 300000 * (index + 1)};
    if (r->n_calls[index] % (uint32_t)count == (uint32_t)index) nanosleep(&pause, NULL);
    relay_member(arg, index, count);
}

static void test_team_sleeps(void **state) {
    (void)state;
    for (int n = 2; n <= 3; n++) {
        struct team *team;
        struct relay r, fast;
        assert_int_equal(team_new(n, &team, NULL), OK);
        r = (struct relay){.team = team}, fast = r;
        for (int run = 0; run < 20; run++) {
            struct timespec pause = {0, 500000};
            nanosleep(&pause, NULL);
            team_run(team, slow_member, &r);
            team_run(team, relay_member, &fast);
        }
        for (int i = 0; i < n; i++) assert_int_equal(r.cell[STAGES % 2][i], fast.cell[STAGES % 2][i]);
        team_free(&team);
    }
}

/* Every piece of every job is taken exactly once; jobs follow each other with few barriers, and runs begin anew. */
enum { JOBS = 50, JOB_PIECES = 9, JOBS_TOGETHER = 5 };
struct tickets {
    struct team *team;
    unsigned char taken[JOBS][JOB_PIECES]; /* a byte has one writer */
};

static void take_tickets(void *arg, int index, int count) {
    struct tickets *k = arg;
    (void)index, (void)count;
    for (unsigned job = 0; job < JOBS; job++) {
        team_job(k->team, job);
        for (unsigned t; (t = team_ticket(k->team, job)) < JOB_PIECES;) k->taken[job][t]++;
        if (job % JOBS_TOGETHER == 0) team_barrier(k->team);
    }
}

static void test_team_tickets(void **state) {
    (void)state;
    for (int n = 1; n <= 3; n++) {
        struct tickets k = {0};
        assert_int_equal(team_new(n, &k.team, NULL), OK);
        for (unsigned run = 1; run <= 40; run++) {
            team_run(k.team, take_tickets, &k);
            for (unsigned job = 0; job < JOBS; job++)
                for (unsigned t = 0; t < JOB_PIECES; t++)
                    if (k.taken[job][t] != run)
                        fail_msg("%d threads, run %u, job %u: piece %u was taken %u times in all", n, run, job, t,
                                 k.taken[job][t]);
        }
        team_free(&k.team);
    }
}

struct caller {
    struct team *team;
    struct relay relay;
    pthread_t thread;
    enum status status;
    struct error error;
};

static void *caller_main(void *arg) {
    struct caller *c = arg;
    c->status = relay_runs(c->team, &c->relay, 150, &c->error);
    return NULL;
}

static void test_team_shared(void **state) {
    (void)state;
    for (int n = 1; n <= 3; n++) {
        struct caller callers[2];
        struct team *team;
        assert_int_equal(team_new(n, &team, NULL), OK);
        for (int i = 0; i < 2; i++) {
            callers[i].team = team;
            assert_int_equal(pthread_create(&callers[i].thread, NULL, caller_main, &callers[i]), 0);
        }
        for (int i = 0; i < 2; i++) pthread_join(callers[i].thread, NULL);
        for (int i = 0; i < 2; i++)
            if (callers[i].status) fail_msg("caller %d: %s", i, callers[i].error.text);
        team_free(&team);
    }
}

static void test_team_refusals(void **state) {
    (void)state;
    struct error e;
    struct team *team = (struct team *)&e;
    assert_int_equal(team_new(0, &team, &e), ERR_INPUT);
    assert_null(team);
    assert_string_equal(e.text, "threads: 0, allowed 1 to 256");
    assert_int_equal(team_new(257, &team, &e), ERR_INPUT);
    assert_int_equal(team_new(-1, &team, NULL), ERR_INPUT);
    mem_fail_at(1, true);
    enum status s = team_new(2, &team, &e);
    mem_fail_at(0, false);
    assert_int_equal(s, ERR_MEMORY);
    assert_null(team);
    for (int i = 0; i < 30; i++) { /* threads that never ran anything end too */
        assert_int_equal(team_new(1 + i % 4, &team, &e), OK);
        team_free(&team);
    }
}

static void test_clock(void **state) {
    (void)state;
    struct timespec pause = {0, 2000000};
    uint64_t a = clock_ns();
    nanosleep(&pause, NULL);
    uint64_t b = clock_ns();
    assert_true(b - a >= 2000000 && b - a < 10000000000u);
}

/* Line ends of other systems: a CR goes before a line feed, and nowhere else. */
static void test_line_ends(void **state) {
    (void)state;
    static const char *const cases[][2] = {
        {"a\r\nb\r\n", "a\nb\n"}, {"a\rb\r", "a\rb\r"}, {"\r\r\n", "\r\n"}, {"a\nb", "a\nb"}, {"", ""}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[16];
        strcpy(text, cases[i][0]);
        assert_int_equal(input_unix_lines(text, strlen(text)), strlen(cases[i][1]));
        assert_string_equal(text, cases[i][1]);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_philox_known_answers),
        cmocka_unit_test(test_rng_flat),
        cmocka_unit_test(test_rng_is_a_function),
        cmocka_unit_test(test_folds_distinct),
        cmocka_unit_test(test_mem_overflow),
        cmocka_unit_test(test_mem_blocks),
        cmocka_unit_test(test_line_ends),
        cmocka_unit_test(test_mem_fail_at),
        cmocka_unit_test(test_error_text),
        cmocka_unit_test(test_team_relay),
        cmocka_unit_test(test_team_sleeps),
        cmocka_unit_test(test_team_tickets),
        cmocka_unit_test(test_team_shared),
        cmocka_unit_test(test_team_refusals),
        cmocka_unit_test(test_clock),
    };
    alarm(60); /* a team that hangs is a failure too */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
