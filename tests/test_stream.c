/* test_stream.c: the text that a reader sees does not depend on how tokens cut it.
 * Not a test of sampling.
 * Next: base/stream.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/stream.h"

static void append(void *arg, const char *text, size_t size) { strncat(arg, text, size); }

/* Puts text [n] in pieces of `step` bytes; returns what was written. */
static const char *written(const char *text, size_t step, const char *const *stops, size_t n_stops, bool *stopped) {
    static char out[256];
    memset(out, 0, sizeof out);
    struct stream s = {.write = append, .arg = out, .stops = stops, .n_stops = n_stops};
    *stopped = false;
    for (size_t at = 0, n = strlen(text); at < n && !*stopped; at += step)
        assert_int_equal(stream_put(&s, text + at, n - at < step ? n - at : step, stopped, NULL), OK);
    stream_end(&s);
    return out;
}

static void expect(const char *text, const char *const *stops, size_t n_stops, const char *wanted, bool wanted_stop) {
    for (size_t step = 1; step <= strlen(text) + 1; step++) {
        bool stopped;
        const char *found = written(text, step, stops, n_stops, &stopped);
        if (strcmp(found, wanted) || stopped != wanted_stop)
            fail_msg("\"%s\" in pieces of %zu: \"%s\"%s, expected \"%s\"", text, step, found,
                     stopped ? " (stopped)" : "", wanted);
    }
}

static void cut_before_the_stop(void **state) {
    (void)state;
    expect("Hello User: hi", (const char *[]){"User:"}, 1, "Hello ", true);
    expect("Hello User hi", (const char *[]){"User:"}, 1, "Hello User hi", false);
    expect("UserUser: x", (const char *[]){"User:"}, 1, "User", true);
    expect("aaab", (const char *[]){"aab"}, 1, "a", true);
    expect("ends with Us", (const char *[]){"User:"}, 1, "ends with Us", false); /* held, then no stop after all */
    expect("one two", (const char *[]){"", "two", "ne"}, 3, "o", true);          /* the earliest place; empty is none */
    expect("h\xc3\xa9llo \xe2\x82\xac!", (const char *[]){"\xe2\x82\xac"}, 1, "h\xc3\xa9llo ", true);
    expect("plain", NULL, 0, "plain", false);
}

/* After each byte only whole characters have been written; broken text comes through as it is. */
static void whole_characters_only(void **state) {
    (void)state;
    const char *text = "a\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80z";
    const size_t wanted[] = {1, 1, 3, 3, 3, 6, 6, 6, 6, 10, 11};
    char out[64] = {0};
    struct stream s = {.write = append, .arg = out};
    for (size_t i = 0; i < 11; i++) {
        bool stopped;
        assert_int_equal(stream_put(&s, text + i, 1, &stopped, NULL), OK);
        if (strlen(out) != wanted[i])
            fail_msg("after byte %zu: %zu bytes written, expected %zu", i, strlen(out), wanted[i]);
    }
    stream_end(&s);
    expect("x\x80\x80\x80\x80y\xff", NULL, 0, "x\x80\x80\x80\x80y\xff", false);
    expect("caf\xc3", NULL, 0, "caf", false); /* the text was cut within a character */
    expect("\xf0\x9f\x98", NULL, 0, "", false);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cut_before_the_stop),
        cmocka_unit_test(whole_characters_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
