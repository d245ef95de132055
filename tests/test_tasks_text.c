/* test_tasks_text.c: steps, solutions, expressions and problem lines, written and read back, right, wrong and hostile.
 * Not the arithmetic and the oracle: test_tasks.c.
 * Next: tasks/task.h. */
#include "tests/tasks_help.h"

/* -- text -- */

static void test_text(void **state) {
    (void)state;
    struct cd_problem p = problem("8 4 8 7");
    struct cd_state s = cd_start(&p);
    char text[CD_TEXT];
    assert_int_equal(cd_prompt(&p, text, sizeof text), 15);
    assert_string_equal(text, " 4 7 8 8 -> 24\n");
    assert_int_equal(cd_step_text(&s, (struct cd_move){3, 2, '/'}, text, sizeof text), 18);
    assert_string_equal(text, " 8 / 8 = 1 ; 1 4 7");
    assert_int_equal(cd_step_text(&s, (struct cd_move){1, 2, '/'}, text, sizeof text), 22);
    assert_string_equal(text, " 7 / 8 = 7/8 ; 7/8 4 8");
    for (size_t cap = 0; cap < 24; cap++) { /* truncation, never past the end */
        char *small = malloc(cap + 1);
        small[cap] = '#';
        size_t n = cd_step_text(&s, (struct cd_move){1, 2, '/'}, small, cap);
        assert_int_equal(small[cap], '#');
        if (cap) assert_int_equal(n, strlen(small));
        free(small);
    }
}

/* Six large numbers: the longest texts there are. */
static void test_text_sizes(void **state) {
    (void)state;
    size_t longest = 0;
    for (uint64_t i = 0; i < 20000; i++) {
        struct cd_problem p = {.n = 6, .target = 9999};
        for (uint32_t k = 0; k < 6; k++) p.numbers[k] = 9000 + (int)rng_below(i, k, 1000);
        struct cd_state s = cd_start(&p), next;
        char all[CD_TEXT];
        size_t total = cd_prompt(&p, all, sizeof all);
        for (uint64_t step = 0; s.n > 1; step++) {
            struct cd_move moves[CD_MAX_MOVES];
            char text[1000];
            int n = cd_moves(&s, moves);
            assert_true(n <= CD_MAX_MOVES);
            struct cd_move m = moves[rng_below(i, 10 + step, (uint32_t)n)];
            if (!cd_apply(&s, m, &next)) break;
            size_t size = cd_step_text(&s, m, text, sizeof text);
            if (size >= CD_STEP_TEXT) fail_msg("%zu bytes: %s", size, text);
            if (size > longest) longest = size;
            total += size + 1;
            if (!cd_step_check(&s, text, size, &s)) fail_msg("not read back: %s", text);
            assert_memory_equal(&s, &next, sizeof s);
        }
        assert_true(total < CD_TEXT);
    }
    assert_true(longest > 80); /* the walks did go to large values */
}

static void test_step_check(void **state) {
    (void)state;
    struct cd_problem p = problem("3 4 8 8");
    struct cd_state s = cd_start(&p), next;
    static const char *const good[] = {" 8 / 8 = 1 ; 1 3 4",    "8 / 8 = 1 ; 3 4 1\n",   " 8 / 8 = 1 ; 1 3 4 \r\n",
                                       "8*8=64;3 4 64",         "3 - 8 = -5 ; -5 4 8",   "8 - 3 = 5 ; 4 5 8",
                                       "8 + 3 = 11 ; 4 8 11",   "8 / 3 = 8/3 ; 8/3 4 8", "\t8  /  3 = 16/6 ; 8/3 4 8",
                                       "3 / 4 = 3/4 ; 3/4 8 8", "4 - 4/1 = 0 ; 0",       "8 -3 = 5 ; 4 5 8",
                                       "8/ 8 = 1 ; 1 3 4",      "8 /8 = 1 ; 1 3 4"};
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        bool right = cd_step_check(&s, good[i], strlen(good[i]), &next);
        if (right != (i != 10)) fail_msg("\"%s\": %d", good[i], right); /* number 10 uses 4 twice */
        if (right) assert_int_equal(next.n, 3);
    }
    static const char *const bad[] = {"",
                                      "\n",
                                      "8 / 8 = 1",
                                      "8 / 8 = 1 ;",
                                      "8 / 8 = 1 ; 1 3",
                                      "8 / 8 = 1 ; 1 3 4 8",
                                      "8 / 8 = 1 ; 1 3 5",
                                      "8 / 8 = 2 ; 2 3 4",
                                      "7 + 1 = 8 ; 3 4 8",
                                      "3 + 3 = 6 ; 4 8 8",
                                      "3 + 3 = 6 ; 6 8 8",
                                      "8 / 8 = 1 ; 1 3 4 x",
                                      "8 / 8 = 1 ; 1 3 4\n8",
                                      "8 / 8 = 1 ; 13 4",
                                      "8 % 8 = 1 ; 1 3 4",
                                      "8 / 0 = 1 ; 1 3 4",
                                      "8 8 = 1 ; 1 3 4",
                                      "8 / 8 = 1 = 1 ; 1 3 4",
                                      "8/8 = 1 ; 1 3 4",
                                      "8 / 8 = 1 ; 1 3 4\n\n",
                                      "+8 / 8 = 1 ; 1 3 4",
                                      "8 / 8 = 1 ; 1 3-4",
                                      "8 / 8 = 1/0 ; 1 3 4",
                                      "8 / 8 = 1.0 ; 1 3 4",
                                      "8 - - 3 = 11 ; 4 8 11",
                                      "8 - -3 = 11 ; 4 8 11",
                                      "18446744073709551624 / 8 = 1 ; 1 3 4",
                                      "8 / 8 = 1 ; 1 3 4 1 3 4 1 3 4 1 3 4",
                                      "8 / 8 = 1 ; 1 3 99999999999999999999999999999",
                                      "8 / 3 = 8 /3 ; 8/3 4 8",
                                      "8 / 3 = 8/ 3 ; 8/3 4 8",
                                      "3 - 8 = -5 ; 4-5 8"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        memset(&next, 0x5A, sizeof next);
        struct cd_state before = next;
        if (cd_step_check(&s, bad[i], strlen(bad[i]), &next)) fail_msg("accepted: \"%s\"", bad[i]);
        assert_memory_equal(&next, &before, sizeof next);
    }
    assert_false(cd_step_check(&s, "8 / 8 = 1 ; 1 3 4\0", 18, &next));
    struct cd_state one = {1, {{24, 1}}};
    assert_false(cd_step_check(&one, "24 - 0 = 24 ; 24", 16, &next));
    struct cd_state large = {2, {{INT64_MAX / 2 + 1, 1}, {INT64_MAX / 2 + 1, 1}}};
    const char *sum = "4611686018427387904 + 4611686018427387904 = -9223372036854775808 ; -9223372036854775808";
    assert_false(cd_step_check(&large, sum, strlen(sum), &next));
}

static void test_check(void **state) {
    (void)state;
    struct cd_problem p = problem("4 7 8 8");
    static const struct {
        const char *text;
        bool right;
        int n_ok, n_left;
    } cases[] = {{" 8 / 8 = 1 ; 1 4 7\n 7 - 1 = 6 ; 4 6\n 4 * 6 = 24 ; 24", true, 3, 1},
                 {" 8 / 8 = 1 ; 1 4 7\r\n 7 - 1 = 6 ; 4 6\r\n 4 * 6 = 24 ; 24\r\n\n  ", true, 3, 1},
                 {" 8 / 8 = 1 ; 1 4 7\n 1 - 7 = -6 ; -6 4\n 4 * -6 = -24 ; -24", false, 3, 1},
                 {"", false, 0, 4},
                 {"\n\n", false, 0, 4},
                 {" 8 / 8 = 1 ; 1 4 7\n", false, 1, 3},
                 {" 8 / 8 = 1 ; 1 4 7\n\n 7 - 1 = 6 ; 4 6\n 4 * 6 = 24 ; 24", false, 1, 3},
                 {" 8 / 8 = 1 ; 1 4 7\n 7 - 1 = 5 ; 4 5\n 4 * 6 = 24 ; 24", false, 1, 3},
                 {" 8 / 8 = 1 ; 1 4 7\n 7 - 1 = 6 ; 4 6\n 4 + 6 = 10 ; 10", false, 3, 1},
                 {" 8 / 8 = 1 ; 1 4 7\n 7 - 1 = 6 ; 4 6\n 4 * 6 = 24 ; 24\n 24 - 0 = 24 ; 24", false, 3, 1},
                 {" 8 / 8 = 1 ; 1 4 7\n 7 - 1 = 6 ; 4 6\n 4 * 6 = 24 ; 24\nand so on", false, 3, 1},
                 {" 4 * 6 = 24 ; 24", false, 0, 4},
                 {"hello", false, 0, 4}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int n_ok = -1;
        struct cd_state end = {0};
        bool right = cd_check(&p, cases[i].text, &n_ok, &end);
        if (right != cases[i].right || n_ok != cases[i].n_ok || end.n != cases[i].n_left)
            fail_msg("case %zu: verdict %d, %d steps right, %d left", i, right, n_ok, end.n);
    }
}

/* -- a second reader, for mutated texts: words cut at blanks, long double instead of fractions -- */

static bool read_word(char **at, long double *v) {
    char *word = strtok_r(NULL, " \n", at);
    int end = 0;
    long num, den = 1;
    if (!word || (sscanf(word, "%ld/%ld%n", &num, &den, &end), word[end] || !end)) {
        if (!word || (sscanf(word, "%ld%n", &num, &end), word[end] || !end)) return false;
        den = 1;
    }
    if (den == 0) return false;
    *v = (long double)num / (long double)den;
    return true;
}
static bool is_near(long double a, long double b) { return a - b < 1e-12L && b - a < 1e-12L; }
static bool take_near(long double *list, int *n, long double v) {
    for (int i = 0; i < *n; i++)
        if (is_near(list[i], v)) return list[i] = list[--*n], true;
    return false;
}
static bool expect_word(char **at, const char *word) {
    const char *found = strtok_r(NULL, " \n", at);
    return found && strcmp(found, word) == 0;
}

static bool is_right_by_words(const struct cd_problem *p, const char *text) {
    char copy[CD_TEXT + 2] = " ", *at = copy;
    long double left[CD_MAX], a, b, v, r;
    int n = p->n;
    for (int i = 0; i < n; i++) left[i] = p->numbers[i];
    strcat(copy, text);
    while (n > 1) {
        const char *op;
        if (!read_word(&at, &a) || !(op = strtok_r(NULL, " \n", &at)) || op[1] || !read_word(&at, &b)) return false;
        if (!expect_word(&at, "=") || !read_word(&at, &v) || !expect_word(&at, ";")) return false;
        if (!take_near(left, &n, a) || !take_near(left, &n, b)) return false;
        long double result = *op == '+' ? a + b : *op == '-' ? a - b : *op == '*' ? a * b : *op == '/' ? a / b : 1e9L;
        if (!is_near(result, v)) return false;
        left[n++] = v;
        long double check[CD_MAX];
        int n_check = n;
        memcpy(check, left, sizeof check);
        for (int i = 0; i < n; i++)
            if (!read_word(&at, &r) || !take_near(check, &n_check, r)) return false;
    }
    return !strtok_r(NULL, " \n", &at) && is_near(left[0], p->target);
}

static void test_mutations(void **state) {
    (void)state;
    long n_mutants = 0, n_right = 0;
    for (uint64_t index = 0; index < 400; index++) {
        struct cd_problem p;
        char text[CD_TEXT];
        gen_problem(11, index, &gen_default_mix, true, &p);
        assert_true(random_text(&p, index, text));
        assert_true(is_right_by_words(&p, text));
        for (char *c = text; *c; c++) {
            const char *set = *c >= '0' && *c <= '9' ? "0123456789" : strchr("+-*/", *c) ? "+-*/" : "";
            char kept = *c;
            for (; *set; set++) {
                if (*set == kept) continue;
                *c = *set;
                bool right = cd_check(&p, text, NULL, NULL);
                if (right != is_right_by_words(&p, text)) fail_msg("verdict %d on\n%s", right, text);
                n_mutants++, n_right += right;
            }
            *c = kept;
        }
    }
    assert_true(n_mutants > 50000 && n_right > 0 && n_right < n_mutants / 100);
}

/* Random bytes, and right lines cut at each byte, in blocks of exactly their size. */
static void test_hostile_text(void **state) {
    (void)state;
    struct cd_problem p = problem("4 7 8 8");
    struct cd_state s = cd_start(&p), next;
    const char *line = " 8 / 8 = 1 ; 1 4 7";
    for (size_t size = 0; size <= strlen(line); size++) {
        char *cut = malloc(size ? size : 1);
        memcpy(cut, line, size);
        assert_int_equal(cd_step_check(&s, cut, size, &next), size == strlen(line));
        free(cut);
    }
    static const char alphabet[] = "0123456789 +-*/=;\n\r\t().\xff";
    for (uint64_t i = 0; i < 20000; i++) {
        char text[64], out[CD_TEXT];
        size_t n = rng_below(5, i, sizeof text);
        for (size_t k = 0; k < n; k++) text[k] = alphabet[rng_below(i, k, sizeof alphabet - 1)];
        text[n] = 0;
        int n_ok;
        if (cd_check(&p, text, &n_ok, NULL)) fail_msg("accepted: %s", text);
        assert_int_equal(cd_expression(&p, text, i & 1, out, sizeof out), 0);
        cd_check_expression(&p, text, NULL);
        cd_parse(text, 24, &(struct cd_problem){0}, NULL);
    }
    char *deep = malloc(1000001);
    memset(deep, '(', 1000000);
    deep[1000000] = 0;
    struct error e;
    assert_false(cd_check_expression(&p, deep, &e));
    assert_non_null(strstr(e.text, "64 brackets"));
    assert_false(cd_check(&p, deep, NULL, NULL));
    memset(deep, '9', 1000000);
    assert_false(cd_check_expression(&p, deep, NULL));
    assert_false(cd_check(&p, deep, NULL, NULL));
    free(deep);
}

/* -- expressions -- */

static void test_expression(void **state) {
    (void)state;
    static const struct {
        const char *problem, *steps, *plain, *canonical;
    } cases[] = {
        {"4 7 8 8", "8 / 8 = 1 ; 1 4 7\n7 - 1 = 6 ; 4 6\n4 * 6 = 24 ; 24", "4 * (7 - 8 / 8)", "4 * (7 - 8 / 8)"},
        {"4 7 8 8", "8 / 8 = 1 ; 1 4 7\n7 - 1 = 6 ; 4 6\n6 * 4 = 24 ; 24", "(7 - 8 / 8) * 4", "4 * (7 - 8 / 8)"},
        {"3 3 8 8", "8 / 3 = 8/3 ; 8/3 3 8\n3 - 8/3 = 1/3 ; 1/3 8\n8 / 1/3 = 24 ; 24", "8 / (3 - 8 / 3)",
         "8 / (3 - 8 / 3)"},
        {"1 2 3 -> 6", "3 + 2 = 5 ; 1 5\n5 + 1 = 6 ; 6", "3 + 2 + 1", "1 + 2 + 3"},
        {"1 2 3 -> 6", "1 + 2 = 3 ; 3 3\n3 + 3 = 6 ; 6", "3 + 1 + 2", "1 + 2 + 3"},
        {"9 3 2 -> 4", "9 - 3 = 6 ; 2 6\n6 - 2 = 4 ; 4", "9 - 3 - 2", "9 - 2 - 3"},
        {"9 3 2 -> 4", "2 + 3 = 5 ; 5 9\n9 - 5 = 4 ; 4", "9 - (2 + 3)", "9 - 2 - 3"},
        {"9 3 2 -> 8", "3 - 2 = 1 ; 1 9\n9 - 1 = 8 ; 8", "9 - (3 - 2)", "2 + 9 - 3"},
        {"9 3 2 -> 8", "2 - 3 = -1 ; -1 9\n9 + -1 = 8 ; 8", "9 + 2 - 3", "2 + 9 - 3"},
        {"24 4 2 -> 3", "4 * 2 = 8 ; 8 24\n24 / 8 = 3 ; 3", "24 / (4 * 2)", "24 / 2 / 4"},
        {"24 4 2 -> 12", "4 / 2 = 2 ; 2 24\n24 / 2 = 12 ; 12", "24 / (4 / 2)", "2 * 24 / 4"},
        {"24 4 2 -> 12", "24 / 4 = 6 ; 2 6\n2 * 6 = 12 ; 12", "2 * 24 / 4", "2 * 24 / 4"},
        {"1 2 3 -> 9", "1 + 2 = 3 ; 3 3\n3 * 3 = 9 ; 9", "3 * (1 + 2)", "3 * (1 + 2)"},
        {"1 2 3 -> 7", "3 + 2 = 5 ; 1 5\n1 * 5 = 5 ; 5", "1 * (3 + 2)", "1 * (2 + 3)"}, /* misses the target */
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct cd_problem p = problem(cases[i].problem);
        char out[CD_TEXT];
        size_t n = cd_expression(&p, cases[i].steps, false, out, sizeof out);
        if (strcmp(out, cases[i].plain) || n != strlen(out))
            fail_msg("case %zu: \"%s\", not \"%s\"", i, out, cases[i].plain);
        n = cd_expression(&p, cases[i].steps, true, out, sizeof out);
        if (strcmp(out, cases[i].canonical) || n != strlen(out))
            fail_msg("case %zu: canonical \"%s\", not \"%s\"", i, out, cases[i].canonical);
        n = cd_expression(&p, cases[i].steps, true, out, 4);
        assert_int_equal(n, 3);
        assert_int_equal(out[3], 0);
    }
    struct cd_problem p = problem("1 2 3 -> 6");
    static const char *const broken[] = {"", "1 + 2 = 3 ; 3 3\n", "1 + 2 = 4 ; 3 4\n3 + 4 = 7 ; 7",
                                         "1 + 2 = 3 ; 3 3\n3 + 3 = 6 ; 6\nmore"};
    for (int i = 0; i < 4; i++) {
        char out[8] = "#";
        assert_int_equal(cd_expression(&p, broken[i], false, out, sizeof out), 0);
        assert_string_equal(out, "");
    }
}

/* Any solution, plain and canonical, is right in the eyes of the expression checker. */
static void test_expression_round_trip(void **state) {
    (void)state;
    for (uint64_t index = 0; index < 3000; index++) {
        struct cd_problem p;
        char text[CD_TEXT], out[CD_TEXT];
        struct error e = {""};
        if (index % 200 == 0) {
            p = (struct cd_problem){.n = 5, .target = 100 + (int)index / 100};
            for (uint32_t k = 0; k < 5; k++) p.numbers[k] = 1 + (int)rng_below(index, k, 25);
        } else gen_problem(12, index, &gen_default_mix, true, &p);
        if (!random_text(&p, index, text)) continue;
        if (!cd_check(&p, text, NULL, NULL)) fail_msg("wrong solution:\n%s", text);
        for (int canonical = 0; canonical < 2; canonical++) {
            assert_true(cd_expression(&p, text, canonical, out, sizeof out) > 0);
            if (!cd_check_expression(&p, out, &e)) fail_msg("%s\n%s\n%s", text, out, e.text);
        }
    }
}

static void test_check_expression(void **state) {
    (void)state;
    struct cd_problem p = problem("4 7 8 8");
    static const char *const good[] = {"4 * (7 - 8 / 8)", "4*(7-8/8)", " ( ((4)) * (7 - (8/8)) ) ", "(7-8/8)*4 = 24\n",
                                       "4 × (7 − 8 ÷ 8)"};
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        struct error e = {""};
        if (!cd_check_expression(&p, good[i], &e)) fail_msg("\"%s\": %s", good[i], e.text);
    }
    static const struct {
        const char *text, *says;
    } bad[] = {{"", "a number"},
               {"hello", "column 1"},
               {"4 * 7 - 8 / 8", "is 27, not 24"},
               {"4 * (7 - 8)", "8 is not used"},
               {"4 * (7 - 8 / 8", "')'"},
               {"4 * (7 - 8 / 8))", "the end"},
               {"4 * 7 - 8 / 8 + 8", "8 is not among"},
               {"4 * 6", "column 5: 6 is not among"},
               {"8 / (8 - 7 - 4)", "-8/3, not"},
               {"4 / (8 - 8) + 7", "division by zero"},
               {"4 7 8 8", "the end"},
               {"4 * (7 - 8 / 8) = 23", "the target"},
               {"4 * (7 - 8 / 8) = 24 x", "the end"},
               {"47 - 8 - 8", "47 is not among"},
               {"-4 + 7 + 8 + 8", "column 1"},
               {"4 ** 7", "column 4"},
               {"4 * (7 - 8 / 8) = 240", "the target"},
               {"()", "column 2"},
               {"(4 * 8 - 8) / 7", "is 24/7, not 24"},
               {"4 * (7 - 8 / 8) = 2", "the target"},
               {"4 * (7 - 8 / 8) =", "the target"},
               {"4 * 99999999999999999999999999", "is not among"},
               {"04294967300 * 7", "is not among"}};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct error e = {""};
        if (cd_check_expression(&p, bad[i].text, &e)) fail_msg("accepted: \"%s\"", bad[i].text);
        if (!strstr(e.text, bad[i].says)) fail_msg("\"%s\": %s", bad[i].text, e.text);
    }
    char open[41] = "", close[41] = "", many[200]; /* 80 pairs in all, never more than 40 open */
    memset(open, '(', 40), memset(close, ')', 40);
    snprintf(many, sizeof many, "%s4%s * (7 - 8 / %s8%s)", open, close, open, close);
    assert_true(cd_check_expression(&p, many, NULL));
    p = problem("9999 9998 9997 9996 9995 9994");
    struct error e = {""};
    assert_false(cd_check_expression(&p, "9999*9998*9997*9996*9995*9994", &e));
    assert_non_null(strstr(e.text, "too large"));
}

/* -- tasks -- */

static void test_task_lines(void **state) {
    (void)state;
    static const struct {
        const char *task, *line, *id;
        int n, target;
    } good[] = {{"game24", "4 7 8 8", "9", 4, 24},
                {"game24",
                 "\xEF\xBB\xBF"
                 "4 7 8 8\r\n",
                 "9", 4, 24},
                {"game24", "{\"problem\":\"4 7 8 8\",\"id\":\"dev-1\"}", "dev-1", 4, 24},
                {"game24",
                 "\xEF\xBB\xBF{\"problem\":[4,7,8,8],\"id\":12,\"answer\":\"4*(7-8/8)\",\"task\":\"game24\"}\r\n", "12",
                 4, 24},
                {"game24", "{\"problem\":\"4 7 8 8 -> 24\",\"answer\":24,\"extra\":[{}]}", "9", 4, 24},
                {"countdown", "1 2 3 4 -> 10", "9", 4, 10},
                {"countdown", "{\"problem\":[1,2,3,4,5],\"target\":10}", "9", 5, 10},
                {"countdown", "{\"problem\":\"1 2 3\",\"answer\":\"6\"}", "9", 3, 6},
                {"countdown", "{\"problem\":\"1 2 3 -> 6\",\"answer\":\"1+2+3\"}", "9", 3, 6},
                {"countdown", "{\"problem\":\"1 2 3 -> 6\",\"answer\":null}", "9", 3, 6}};
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        const struct task *task = task_find(good[i].task);
        struct problem p;
        struct error e;
        if (task->parse(task, good[i].line, 9, &p, &e)) fail_msg("%s: %s", good[i].line, e.text);
        const struct cd_problem *c = p.own;
        if (strcmp(p.id, good[i].id) || c->n != good[i].n || c->target != good[i].target || p.task != task)
            fail_msg("%s: id %s, n %d, target %d", good[i].line, p.id, c->n, c->target);
        problem_free(&p);
    }
}

static void test_task_errors(void **state) {
    (void)state;
    static const struct {
        const char *task, *line, *says;
    } bad[] = {{"game24", "", "empty"},
               {"game24", "hello", "\"hello\""},
               {"game24", "4 7 8", "3 numbers"},
               {"game24", "4 7 8 8 8", "5 numbers"},
               {"game24", "4 7 8 8 -> 10", "target 10"},
               {"game24", "{\"problem\":\"4 7 8 8\",\"target\":10}", "target 10"},
               {"game24", "{\"problem\":\"4 7 8 8\"", "column"},
               {"game24", "{\"problem\":\"4 7 8 8\"} x", "column"},
               {"game24", "{\"problem\":\"4 7 8 8\",\"problem\":\"1 1 1 1\"}", "duplicate"},
               {"game24", "{}", "\"problem\""},
               {"game24", "{\"problem\":{}}", "\"problem\""},
               {"game24", "{\"problem\":[4,7,8,\"8\"]}", "integers"},
               {"game24", "{\"problem\":[4,7,8,-8]}", "\"-8\""},
               {"game24", "{\"problem\":[4,7,8,8,4,7,8,8,4,7,8,8]}", "10 numbers"},
               {"game24", "{\"problem\":\"4 7 8 \\u0000 8\"}", "u0000"},
               {"game24", "{\"problem\":\"4 7 8 8\",\"id\":\"\"}", "\"id\""},
               {"game24", "{\"problem\":\"4 7 8 8\",\"id\":\"a\\nb\"}", "\"id\""},
               {"game24", "{\"problem\":\"4 7 8 8\",\"id\":[1]}", "\"id\""},
               {"game24", "{\"problem\":\"4 7 8 8\",\"id\":\"a\\u007fb\"}", "\"id\""},
               {"game24",
                "{\"problem\":\"4 7 8 8\",\"id\":\"0123456789012345678901234567890123456789012345678901234567890123\"}",
                "\"id\""},
               {"game24", "{\"problem\":\"4 7 8 8\",\"task\":\"countdown\"}", "countdown"},
               {"countdown", "1 2 3 4", "target 0"},
               {"countdown", "{\"problem\":\"1 2 3\",\"target\":0}", "\"target\""},
               {"countdown", "{\"problem\":\"1 2 3\",\"target\":\"six\"}", "\"target\""},
               {"countdown", "{\"problem\":\"1 2 3\",\"target\":6.0}", "\"target\""},
               {"countdown", "{\"problem\":\"1 2 3\",\"answer\":123456789012}", "\"answer\""},
               {"countdown", "{\"problem\":\"1 2 3\",\"answer\":\"4*6\"}", "target 0"}};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        const struct task *task = task_find(bad[i].task);
        struct problem p;
        struct error e = {""};
        memset(&p, 0x5A, sizeof p);
        if (task->parse(task, bad[i].line, 31, &p, &e) != ERR_INPUT) fail_msg("accepted: %s", bad[i].line);
        if (!strstr(e.text, bad[i].says) || !strstr(e.text, "line 31")) fail_msg("%s: %s", bad[i].line, e.text);
        assert_int_equal(p.id[0], 0x5A);
    }
}

static void test_task_table(void **state) {
    (void)state;
    assert_null(task_find("chess"));
    const struct task *task = task_find("game24");
    struct problem p;
    char text[CD_TEXT];
    assert_int_equal(task->parse(task, "8 8 7 4", 1, &p, NULL), OK);
    assert_string_equal(p.text, " 4 7 8 8 -> 24\n");
    assert_int_equal(p.max_depth, 3);
    assert_string_equal(p.reference, "");
    const char *solution = " 8 / 8 = 1 ; 1 4 7\n 7 - 1 = 6 ; 4 6\n 4 * 6 = 24 ; 24";
    assert_int_equal(problem_verdict(&p, solution), VERDICT_RIGHT);
    assert_int_equal(problem_verdict(&p, " 8 / 8 = 1 ; 1 4 7"), VERDICT_WRONG);
    assert_int_equal(task->vote(&p, solution, text, sizeof text), 15);
    assert_string_equal(text, "4 * (7 - 8 / 8)");
    assert_int_equal(task->answer(&p, solution, text, sizeof text), 20);
    assert_string_equal(text, "4 * (7 - 8 / 8) = 24");
    task->vote(&p, " 8 / 8 = 2", text, sizeof text); /* no expression: it stands for itself */
    assert_string_equal(text, " 8 / 8 = 2");
    task->answer(&p, " 8 / 8\n \x1b[0m", text, sizeof text);
    assert_string_equal(text, "8 / 8, ?[0m");
    problem_free(&p);
    assert_null(p.text);
}

static void test_oracle(void **state) {
    (void)state;
    const struct task *task = task_find("game24");
    struct problem p;
    assert_int_equal(task->parse_text(task, "4 7 8 8", &p, NULL), OK);
    static const struct {
        const char *steps;
        float value;
    } cases[] = {{"", 1},
                 {" 8 / 8 = 1 ; 1 4 7", 1},
                 {" 8 / 8 = 2 ; 2 4 7", 0},                     /* computes wrongly */
                 {" 8 / 8 = 1 ; 1 4 7\n 4 + 7 = 11 ; 1 11", 0}, /* a dead end */
                 {" 8 / 8 = 1 ; 1 4 7\n 7 - 1 = 6 ; 4 6\n 4 * 6 = 24 ; 24", 1},
                 {" 8 / 8 = 1 ; 1 4 7\n 7 - 1 = 6 ; 4 6\n 4 + 6 = 10 ; 10", 0}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (task->oracle(&p, cases[i].steps) != cases[i].value)
            fail_msg("\"%s\": %g, expected %g", cases[i].steps, (double)task->oracle(&p, cases[i].steps),
                     (double)cases[i].value);
    problem_free(&p);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text),
        cmocka_unit_test(test_text_sizes),
        cmocka_unit_test(test_step_check),
        cmocka_unit_test(test_check),
        cmocka_unit_test(test_mutations),
        cmocka_unit_test(test_hostile_text),
        cmocka_unit_test(test_expression),
        cmocka_unit_test(test_expression_round_trip),
        cmocka_unit_test(test_check_expression),
        cmocka_unit_test(test_task_lines),
        cmocka_unit_test(test_task_errors),
        cmocka_unit_test(test_task_table),
        cmocka_unit_test(test_oracle),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
