/* test_tasks.c: arithmetic, the oracle and the training problems against independent judges: all expression shapes for
 * what is reachable, raw move enumeration for how many solutions there are.
 * Not the text of steps and expressions: test_tasks_text.c.
 * Next: tasks/countdown.h. */
#include "tests/reference.h"
#include "tests/tasks_help.h"

static long count(const char *text) {
    struct cd_problem p = problem(text);
    struct cd_state s = cd_start(&p);
    long n = cd_count_solutions(&s, p.target, false);
    if ((n > 0) != cd_count_solutions(&s, p.target, true))
        fail_msg("%s: %ld solutions, but the fast answer differs", text, n);
    return n;
}

/* -- ratio -- */

typedef __int128 wide;

static void check_ratio(struct ratio a, char op, struct ratio b) {
    wide num = 0, den = (wide)a.den * b.den;
    if (op == '+') num = (wide)a.num * b.den + (wide)b.num * a.den;
    if (op == '-') num = (wide)a.num * b.den - (wide)b.num * a.den;
    if (op == '*') num = (wide)a.num * b.num;
    if (op == '/') num = (wide)a.num * b.den, den = (wide)a.den * b.num;
    struct ratio r;
    if (!ratio_apply(a, op, b, &r)) fail_msg("%ld/%ld %c %ld/%ld failed", a.num, a.den, op, b.num, b.den);
    bool equal = (wide)r.num * den == num * r.den;
    int64_t x = r.num < 0 ? -r.num : r.num, y = r.den;
    while (y) {
        int64_t z = x % y;
        x = y, y = z;
    }
    if (!equal || r.den <= 0 || x != 1)
        fail_msg("%ld/%ld %c %ld/%ld gave %ld/%ld", a.num, a.den, op, b.num, b.den, r.num, r.den);
}

static void test_ratio(void **state) {
    (void)state;
    /* Sizes on both sides of the short path's limit of 2^30. */
    static const int64_t limit[] = {5, 40, 2000, 1 << 15, INT64_C(1) << 31};
    for (uint64_t i = 0; i < 20000; i++) {
        uint32_t m = (uint32_t)limit[i % 5];
        struct ratio a = ratio_int((int64_t)rng_below(1, 4 * i, m) - (i % 7 == 0 ? m / 2 : 0)), b = a;
        struct ratio d = ratio_int(1 + rng_below(1, 4 * i + 1, m / 2));
        ratio_apply(a, '/', d, &a);
        b = ratio_int(1 + rng_below(1, 4 * i + 2, i % 3 ? 20 : 1 << 20));
        check_ratio(a, "+-*/"[i / 5 % 4], b);
        check_ratio(b, "+-*/"[i / 5 % 4], a.num ? a : b);
        wide l = (wide)a.num * b.den, r = (wide)b.num * a.den;
        assert_int_equal(ratio_compare(a, b), (l > r) - (l < r));
    }
}

static void test_ratio_overflow(void **state) {
    (void)state;
    static const struct {
        struct ratio a;
        char op;
        struct ratio b;
    } bad[] = {{{INT64_MAX, 1}, '+', {1, 1}},
               {{INT64_MIN, 1}, '-', {1, 1}},
               {{INT64_MIN, 1}, '/', {-1, 1}},
               {{INT64_MAX, 1}, '*', {2, 1}},
               {{1, INT64_MAX}, '/', {2, 1}},
               {{1, INT64_MAX}, '+', {1, INT64_MAX - 1}},
               {{INT64_MIN, 1}, '*', {INT64_MIN, 1}},
               {{INT64_MAX, 2}, '/', {1, INT64_MAX - 1}},
               {{1, 1}, '/', {0, 1}},
               {{INT64_MAX, 1}, '/', {0, 1}},
               {{1, 1}, '%', {1, 1}},
               {{INT64_MAX, 1}, 0, {1, 1}}};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct ratio r = {77, 78};
        if (ratio_apply(bad[i].a, bad[i].op, bad[i].b, &r)) fail_msg("case %zu gave %ld/%ld", i, r.num, r.den);
        if (r.num != 77 || r.den != 78) fail_msg("case %zu touched its output", i);
    }
    struct ratio r;
    assert_true(ratio_apply((struct ratio){INT64_MAX, 3}, '*', (struct ratio){3, INT64_MAX}, &r));
    assert_true(r.num == 1 && r.den == 1);
    assert_true(ratio_apply((struct ratio){INT64_MIN, 1}, '+', (struct ratio){INT64_MAX, 1}, &r));
    assert_true(r.num == -1 && r.den == 1);
    assert_true(ratio_compare((struct ratio){INT64_MAX, 1}, (struct ratio){1, 2}) > 0);
    assert_true(ratio_compare((struct ratio){INT64_MAX, INT64_MAX - 1}, (struct ratio){INT64_MAX - 1, INT64_MAX - 2}) <
                0);
}

/* -- problems -- */

static void test_parse(void **state) {
    (void)state;
    static const struct {
        const char *text;
        int n, last, target;
    } good[] = {{"4 7 8 8", 4, 8, 24},
                {"4,7,8,8", 4, 8, 24},
                {" 4, 7,\t8 8 \r\n", 4, 8, 24},
                {"4 7 8 8 -> 10", 4, 8, 10},
                {"4 7 8 8 = 10", 4, 8, 10},
                {"1 2 3->9999\n", 3, 3, 9999},
                {"1 2 3 4 5 9999=1", 6, 9999, 1},
                {"007 2 3", 3, 3, 24}};
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        struct cd_problem p = problem(good[i].text);
        if (p.n != good[i].n || p.numbers[p.n - 1] != good[i].last || p.target != good[i].target)
            fail_msg("\"%s\": n %d, last %d, target %d", good[i].text, p.n, p.numbers[p.n - 1], p.target);
    }
}

static void test_parse_errors(void **state) {
    (void)state;
    static const struct {
        const char *text, *says;
    } bad[] = {{"", "0 numbers"},
               {"hello", "\"hello\""},
               {"1 2", "2 numbers"},
               {"1 2 3 4 5 6 7 8 9 10", "10 numbers"},
               {"0 1 2 3", "\"0\""},
               {"-4 1 2 3", "\"-4\""},
               {"1 2 10000", "\"10000\""},
               {"1 2 1000000000000000000000000000000", "\"1000000000000000000000000000000\""},
               {"4 7 8 8 x", "\"x\""},
               {"4 7 8 8 -> 24 x", "\"x\""},
               {"4 7 8 8 ->", "no target"},
               {"4 7 8 8 -> 0", "\"0\""},
               {"4 7 8 8 -> 10000", "\"10000\""},
               {"4.5 1 2", "\"4.5\""},
               {"-> 24", "0 numbers"},
               {"1 2 3 -> 4 -> 5", "after the target"},
               {"1 2 3 - 4", "\"-\""},
               {"1 2 3\x01", "3?"},
               {"1 2 \xff\xfe", "not allowed"},
               {"1;2;3", "\"1;2;3\""}};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct cd_problem p = {.n = 99};
        struct error e = {""};
        if (cd_parse(bad[i].text, 24, &p, &e) != ERR_INPUT) fail_msg("\"%s\" was accepted", bad[i].text);
        if (!strstr(e.text, bad[i].says) || strchr(e.text, '\n')) fail_msg("\"%s\": %s", bad[i].text, e.text);
        if (p.n != 99) fail_msg("\"%s\" touched its output", bad[i].text);
    }
    struct cd_problem p;
    assert_int_equal(cd_parse("4 7 8 8", 0, &p, NULL), ERR_INPUT);
    assert_int_equal(cd_parse("4 7 8 8", 10000, &p, NULL), ERR_INPUT);
    char *huge = malloc(200001);
    memset(huge, '9', 200000);
    huge[200000] = 0;
    assert_int_equal(cd_parse(huge, 24, &p, NULL), ERR_INPUT);
    for (int i = 0; i < 200000; i += 2) huge[i] = ' ';
    assert_int_equal(cd_parse(huge, 24, &p, NULL), ERR_INPUT);
    free(huge);
}

static void test_held_out(void **state) {
    (void)state;
    static const struct {
        const char *text;
        bool held_out;
    } cases[] = {{"4 7 8 8", true},   {"13 1 13 1", true},  {"1 1 1 1", true}, {"4 7 8 8 -> 23", false},
                 {"14 1 1 1", false}, {"1 13 1 14", false}, {"4 7 8", false},  {"1 2 3 4 5 -> 24", false}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct cd_problem p = problem(cases[i].text);
        if (cd_is_held_out(&p) != cases[i].held_out) fail_msg("\"%s\"", cases[i].text);
    }
}

/* -- what is reachable -- */

/* The independent judge: fractions without reduction, negative values and all. */
struct fraction {
    long num, den;
};
static struct fraction combine(struct fraction a, int op, struct fraction b) {
    switch (op) {
    case 0: return (struct fraction){a.num * b.den + b.num * a.den, a.den * b.den};
    case 1: return (struct fraction){a.num * b.den - b.num * a.den, a.den * b.den};
    case 2: return (struct fraction){a.num * b.num, a.den * b.den};
    default: return (struct fraction){a.num * b.den, a.den * b.num}; /* den 0 marks an impossible value */
    }
}
static bool is_24(struct fraction f) { return f.den != 0 && f.num == 24 * f.den; }

/* The five ways to bracket a o b o c o d. */
static bool any_shape(const struct fraction v[4], int o, int p, int q) {
    struct fraction ab = combine(v[0], o, v[1]), bc = combine(v[1], p, v[2]), cd = combine(v[2], q, v[3]);
    return is_24(combine(combine(ab, p, v[2]), q, v[3])) || is_24(combine(combine(v[0], o, bc), q, v[3])) ||
           is_24(combine(ab, p, cd)) || is_24(combine(v[0], o, combine(bc, q, v[3]))) ||
           is_24(combine(v[0], o, combine(v[1], p, cd)));
}

static bool is_reachable_by_shapes(const int numbers[4]) {
    for (int code = 0; code < 256; code++) { /* permutations as base-4 digits */
        int at[4] = {code & 3, code >> 2 & 3, code >> 4 & 3, code >> 6};
        if ((1 << at[0] | 1 << at[1] | 1 << at[2] | 1 << at[3]) != 15) continue;
        struct fraction v[4];
        for (int i = 0; i < 4; i++) v[i] = (struct fraction){numbers[at[i]], 1};
        for (int ops = 0; ops < 64; ops++)
            if (any_shape(v, ops & 3, ops >> 2 & 3, ops >> 4)) return true;
    }
    return false;
}

static void test_all_puzzles(void **state) {
    (void)state;
    int n_puzzles = 0, n_reachable = 0;
    for (int a = 1; a <= 13; a++)
        for (int b = a; b <= 13; b++)
            for (int c = b; c <= 13; c++)
                for (int d = c; d <= 13; d++) {
                    struct cd_problem p = {4, {d, a, c, b}, 24};
                    struct cd_state s = cd_start(&p);
                    bool found = cd_count_solutions(&s, 24, true);
                    if (found != is_reachable_by_shapes(p.numbers))
                        fail_msg("%d %d %d %d: oracle says %d", a, b, c, d, found);
                    n_puzzles++, n_reachable += found;
                }
    assert_int_equal(n_puzzles, 1820);
    assert_int_equal(n_reachable, 1362); /* the published number */
}

static void test_known_puzzles(void **state) {
    (void)state;
    assert_int_equal(count("1 1 1 1"), 0);
    struct cd_state pair = {2, {{2, 1}, {2, 1}}}; /* 2 + 2 and 2 * 2 */
    assert_int_equal(cd_count_solutions(&pair, 4, false), 2);
    assert_int_equal(cd_count_solutions(&pair, 4, true), 1);
    assert_int_equal(count("1 1 1"), 0);
    assert_true(count("1 5 5 5") > 0);
    assert_true(count("4 7 8 8") > 0);
    assert_true(count("100 75 25 6 7 3 -> 952") > 0);
    static const char *const fraction_only[] = {"3 3 8 8", "1 5 5 5", "4 4 7 7"};
    for (int i = 0; i < 3; i++) {
        struct cd_problem p = problem(fraction_only[i]);
        for (uint64_t key = 0; key < 50; key++) {
            char text[CD_TEXT];
            assert_true(random_text(&p, key, text));
            bool has_fraction = false;
            for (char *c = text + 1; *c; c++) has_fraction |= *c == '/' && c[-1] != ' ';
            if (!has_fraction) fail_msg("%s without a fraction:\n%s", fraction_only[i], text);
        }
    }
    struct cd_problem p = problem("4 4 7 7");
    assert_true(cd_check_expression(&p, "(4 - 4 / 7) * 7", NULL));
    assert_true(cd_check(&p, " 4 / 7 = 4/7 ; 4/7 4 7\n 4 - 4/7 = 24/7 ; 24/7 7\n 24/7 * 7 = 24 ; 24", NULL, NULL));
}

static void test_dev_puzzles(void **state) {
    (void)state;
    const char *path = reference("game24-dev.txt");
    FILE *f = path ? fopen(path, "r") : NULL;
    if (!f) skip();
    char line[100];
    long n = 0;
    const struct task *task = task_find("game24");
    while (fgets(line, sizeof line, f)) {
        struct problem p;
        struct error e;
        if (task->parse(task, line, ++n, &p, &e)) fail_msg("%s", e.text);
        struct cd_state s = cd_start(p.own);
        if (!cd_count_solutions(&s, 24, true)) fail_msg("line %ld: unreachable: %s", n, line);
        assert_true(cd_is_held_out(p.own));
        problem_free(&p);
    }
    fclose(f);
    assert_int_equal(n, 1262);
}

/* -- how many solutions -- */

enum { MAX_TEXTS = 60000 };
struct texts {
    size_t n;
    char (*text)[96];
};

/* All sequences over all index pairs, duplicates and all; the texts tell which are distinct. */
static void collect(const struct cd_state *s, int target, char *text, size_t n, struct texts *out) {
    if (s->n == 1) {
        if (s->left[0].num != target || s->left[0].den != 1) return;
        assert_true(out->n < MAX_TEXTS && n < 96);
        memcpy(out->text[out->n++], text, n + 1);
        return;
    }
    for (int i = 0; i < s->n; i++)
        for (int j = 0; j < s->n; j++)
            for (const char *op = "+-*/"; *op; op++) {
                struct cd_state next;
                if (i == j || ((*op == '+' || *op == '*') && i > j)) continue;
                if (*op == '-' && ratio_compare(s->left[i], s->left[j]) < 0) continue;
                if (!cd_apply(s, (struct cd_move){i, j, *op}, &next)) continue;
                size_t size = cd_step_text(s, (struct cd_move){i, j, *op}, text + n, CD_TEXT - n);
                collect(&next, target, text, n + size, out);
            }
}

static int compare_texts(const void *a, const void *b) { return strcmp(a, b); }

static void test_count(void **state) {
    (void)state;
    static const char *const puzzles[] = {
        "4 7 8 8", "3 3 8 8", "6 6 6 6",    "1 1 2 12 -> 24", "2 2 2 2 -> 8", "1 3 4 6",        "1 2 3 4 -> 10",
        "5 5 5 1", "3 8 1",   "8 3 3 -> 1", "2 2 4 4 -> 1",   "1 1 1 1 -> 1", "12 12 12 -> 12", "7 7 3 3 -> 49"};
    struct texts found = {0, malloc(MAX_TEXTS * 96)};
    for (size_t k = 0; k < sizeof puzzles / sizeof puzzles[0]; k++) {
        struct cd_problem p = problem(puzzles[k]);
        struct cd_state s = cd_start(&p);
        char text[CD_TEXT];
        found.n = 0;
        collect(&s, p.target, text, 0, &found);
        qsort(found.text, found.n, sizeof found.text[0], compare_texts);
        long distinct = 0;
        for (size_t i = 0; i < found.n; i++) distinct += i == 0 || strcmp(found.text[i], found.text[i - 1]) != 0;
        if (count(puzzles[k]) != distinct)
            fail_msg("%s: counted %ld, enumerated %ld", puzzles[k], count(puzzles[k]), distinct);
    }
    free(found.text);
}

/* Sequences drawn, tallied by text: each of the k must come up, and chi-square must stay near its mean k - 1. */
static void test_uniform(void **state) {
    (void)state;
    enum { PER_TEXT = 200, MAX_KINDS = 100 };
    static char seen[MAX_KINDS][CD_TEXT];
    static const char *const puzzles[] = {"3 8 1", "4 7 8 8", "2 4 10 12", "1 6 12 12"};
    for (size_t k = 0; k < sizeof puzzles / sizeof puzzles[0]; k++) {
        struct cd_problem p = problem(puzzles[k]);
        long total = count(puzzles[k]), n_seen = 0, tally[MAX_KINDS] = {0};
        if (total < 2 || total > MAX_KINDS) fail_msg("%s has %ld solutions", puzzles[k], total);
        for (long draw = 0; draw < total * PER_TEXT; draw++) {
            char text[CD_TEXT];
            assert_true(random_text(&p, (uint64_t)draw, text));
            long i = 0;
            while (i < n_seen && strcmp(seen[i], text) != 0) i++;
            if (i == n_seen) strcpy(seen[n_seen++], text);
            assert_true(n_seen <= total);
            tally[i]++;
        }
        double chi = 0;
        for (long i = 0; i < total; i++)
            chi += (double)(tally[i] - PER_TEXT) * (double)(tally[i] - PER_TEXT) / PER_TEXT;
        double d = (double)total - 1, excess = chi - d;
        if (n_seen != total || excess * excess > 25 * 2 * d + 100)
            fail_msg("%s: %ld of %ld solutions drawn, chi-square %.1f", puzzles[k], n_seen, total, chi);
    }
}

/* -- training problems -- */

/* Said again here, not asked of the library. */
static bool is_puzzle_of_24(const struct cd_problem *p) {
    int n_cards = 0;
    for (int i = 0; i < p->n; i++) n_cards += p->numbers[i] >= 1 && p->numbers[i] <= 13;
    return p->n == 4 && n_cards == 4 && p->target == 24;
}

static void test_gen_holds_out(void **state) {
    (void)state;
    for (uint64_t index = 0; index < 200000; index++) {
        struct cd_problem p;
        gen_problem(3, index, &gen_default_mix, index % 4 != 0, &p);
        if (is_puzzle_of_24(&p) || cd_is_held_out(&p)) fail_msg("index %lu is held out", index);
        for (int turn = 0; turn < p.n; turn++) { /* order must not matter */
            int first = p.numbers[0];
            memmove(p.numbers, p.numbers + 1, (size_t)(p.n - 1) * sizeof first);
            p.numbers[p.n - 1] = first;
            if (cd_is_held_out(&p)) fail_msg("index %lu is held out when turned", index);
        }
        for (int i = 0; i < p.n; i++) assert_true(p.numbers[i] >= 1 && p.numbers[i] <= 169);
        assert_true(p.target >= 1 && p.target <= 100);
    }
}

static void test_gen_kinds(void **state) {
    (void)state;
    static const struct gen_mix only[] = {{1, 0, 0, 0}, {0, 1, 0, 0}, {0, 0, 1, 0}, {0, 0, 0, 1}};
    for (int kind = 0; kind < 4; kind++) {
        int n_unreachable = 0;
        for (uint64_t index = 0; index < 4000; index++) {
            struct cd_problem p, again;
            bool solvable = index % 2;
            gen_problem(4, index, &only[kind], solvable, &p);
            gen_problem(4, index, &only[kind], solvable, &again);
            assert_memory_equal(&p, &again, sizeof p);
            struct cd_state s = cd_start(&p);
            bool reachable = cd_count_solutions(&s, p.target, true);
            if (solvable && !reachable) fail_msg("kind %d, index %lu: unreachable", kind, index);
            n_unreachable += !reachable;
            bool four = kind < 2, is_24 = kind == 1 || kind == 2;
            if (p.n != (four ? 4 : 3) || (kind < 3 && (p.target == 24) != is_24))
                fail_msg("kind %d, index %lu: %d numbers, target %d", kind, index, p.n, p.target);
            int largest = (int)s.left[p.n - 1].num, allowed = kind == 0 ? 13 : kind == 2 ? 169 : 30;
            assert_true(largest <= allowed && (kind != 1 || largest > 13));
        }
        assert_true(n_unreachable > 100 && n_unreachable < 2000);
    }
}

/* The stream is part of a training run's identity: compilers and versions must agree on it. */
static void test_gen_signature(void **state) {
    (void)state;
    uint64_t hash = 0;
    int n_kind[4] = {0};
    for (uint64_t index = 0; index < 10000; index++) {
        struct cd_problem p;
        char text[CD_TEXT];
        gen_problem(5, index, &gen_default_mix, true, &p);
        size_t n = cd_prompt(&p, text, sizeof text);
        for (size_t i = 0; i < n; i++) hash = hash * 1099511628211u + (unsigned char)text[i];
        n_kind[p.n == 4 ? (p.target == 24) : 2 + (p.target != 24)]++;
    }
    static const int expected[] = {3500, 2500, 3000, 1000};
    for (int k = 0; k < 4; k++)
        if (abs(n_kind[k] - expected[k]) > 200)
            fail_msg("kind %d: %d of 10000, expected %d", k, n_kind[k], expected[k]);
    if (hash != UINT64_C(0x7ce4ed257509d74f)) fail_msg("signature 0x%016lx", hash);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ratio),         cmocka_unit_test(test_ratio_overflow), cmocka_unit_test(test_parse),
        cmocka_unit_test(test_parse_errors),  cmocka_unit_test(test_held_out),       cmocka_unit_test(test_all_puzzles),
        cmocka_unit_test(test_known_puzzles), cmocka_unit_test(test_dev_puzzles),    cmocka_unit_test(test_count),
        cmocka_unit_test(test_uniform),       cmocka_unit_test(test_gen_holds_out),  cmocka_unit_test(test_gen_kinds),
        cmocka_unit_test(test_gen_signature),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
