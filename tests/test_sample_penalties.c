/* test_sample_penalties.c: what is done to logits before the draw, against counting by hand and against a plain writing.
 * Not the draw: test_sample.c.
 * Next: model/sample.h. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/rng.h"
#include "model/sample.h"

enum { N = 50, MAX_RECENT = 200 };

static void expect_logits(const float *found, const float *wanted, size_t n) {
    for (size_t i = 0; i < n; i++) {
        float error = fabsf(found[i] - wanted[i]), most = 1e-6f * (1 + fabsf(wanted[i]));
        if (found[i] != wanted[i] && !(error <= most))
            fail_msg("logit %zu: %.9g, expected %.9g", i, (double)found[i], (double)wanted[i]);
    }
}

static void penalties_by_hand(void **state) {
    (void)state;
    float logits[] = {2, -2, 0, 3, 1};
    const float wanted[] = {2 / 1.25f - 0.75f, -2 * 1.25f - 1.0f, -0.75f, 3, 1};
    const int32_t recent[] = {1, 0, 2, 1};
    int32_t counts[5] = {7, 7, 7, 7, 7}; /* what lay there does not matter */
    sample_penalize(&(struct sample_penalties){1.25f, 0.5f, 0.25f}, recent, 4, counts, logits, 5);
    expect_logits(logits, wanted, 5);
}

static void switched_off_changes_nothing(void **state) {
    (void)state;
    float logits[] = {2, -INFINITY, 0.1f};
    const float before[] = {2, -INFINITY, 0.1f};
    int32_t counts[3];
    sample_penalize(&(struct sample_penalties){1, 0, 0}, (int32_t[]){0, 1, 2, 2}, 4, counts, logits, 3);
    assert_memory_equal(logits, before, sizeof before);
    sample_penalize(&(struct sample_penalties){2, 1, 1}, NULL, 0, counts, logits, 3);
    assert_memory_equal(logits, before, sizeof before);
}

/* Token by token: count in the whole window, then the formula. */
static void penalties_against_plain(void **state) {
    (void)state;
    for (uint64_t round = 0; round < 300; round++) {
        uint64_t key = rng_fold(11, round);
        float logits[N], wanted[N];
        int32_t recent[MAX_RECENT], counts[N];
        size_t n = rng_below(key, 0, MAX_RECENT + 1);
        struct sample_penalties p = {(float)(0.5 + 1.5 * rng_uniform(key, 1)), (float)(rng_uniform(key, 2) - 0.5),
                                     (float)(rng_uniform(key, 3) - 0.5)};
        for (size_t i = 0; i < n; i++) recent[i] = (int32_t)rng_below(key, 10 + i, N + 4) - 2; /* some are no tokens */
        for (int32_t id = 0; id < N; id++) {
            float x = logits[id] = (float)(20 * rng_uniform(key, 1000 + (uint64_t)id) - 10);
            size_t c = 0;
            for (size_t i = 0; i < n; i++) c += recent[i] == id;
            if (c) x = (x > 0 ? x / p.repeat : x * p.repeat) - (float)c * p.frequency - p.presence;
            wanted[id] = x;
            counts[id] = (int32_t)round;
        }
        sample_penalize(&p, recent, n, counts, logits, N);
        expect_logits(logits, wanted, N);
    }
}

static void biases(void **state) {
    (void)state;
    float logits[] = {1, 2, 3};
    const struct sample_bias bias[] = {{0, 1.5f}, {2, -INFINITY}, {0, -0.25f}, {3, 9}, {-1, 9}};
    sample_add_bias(bias, 5, logits, 3);
    expect_logits(logits, (const float[]){2.25f, 2, -INFINITY}, 3);
    float p[3];
    int32_t ids[3];
    struct sample_scratch scratch = {p, ids};
    for (uint64_t i = 0; i < 200; i++) /* forbidden is never drawn, however hot */
        assert_int_not_equal(
            sample_token(&(struct sample_params){.temperature = 50, .top_p = 1}, logits, 3, 5, i, &scratch, NULL), 2);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(penalties_by_hand),
        cmocka_unit_test(switched_off_changes_nothing),
        cmocka_unit_test(penalties_against_plain),
        cmocka_unit_test(biases),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
