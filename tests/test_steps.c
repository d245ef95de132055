/* test_steps.c: the tasks of compact steps: problems and chains of many keys, outside wordings, damaged answers, and counts that
 * are known from elsewhere.
 * Not the numbers game: test_tasks.c.
 * Next: tasks/steps.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/rng.h"
#include "tasks/latin.h"
#include "tasks/task.h"

enum { CHAIN = 1 << 18 };

/* Tasks with a generator, and how many problems are drawn of each: some are slow to find. */
static const struct {
    const char *name;
    int easy, hard;
} drawn[] = {
    {"game24", 60, 60},
    {"countdown", 300, 300},
    {"puzzle24", 60, 60},
    {"chain_sum", 500, 500},
    {"basic_arithmetic", 500, 500},
    {"multistep_arithmetic_two", 500, 50},
    {"n_queens", 300, 300},
    {"path_star", 300, 300},
    {"boolean_expressions", 500, 500},
    {"quantum_lock", 200, 200},
    {"jugs", 40, 4},
    {"tower_of_hanoi", 60, 30},
    {"mini_sudoku", 200, 200},
    {"futoshiki", 12, 40},
    {"knights_knaves", 400, 400},
    {"kakurasu", 100, 30},
};
enum { N_DRAWN = sizeof drawn / sizeof *drawn };

static struct problem draw(const struct task *t, uint64_t key, bool hard) {
    struct problem p;
    struct error e;
    struct task_draw d = task_level(t, hard);
    if (t->generate(t, key, &d, &p, &e)) fail_msg("%s: %s", t->name, e.text);
    return p;
}

/* A chain of the task for p, for free(); NULL when there is none for this key. */
static char *chain_of(const struct problem *p, uint64_t key) {
    char *text = malloc(CHAIN);
    struct lesson lesson = {.text = text, .cap = CHAIN};
    p->task->example(p, key, &lesson);
    if (lesson.n == 0) {
        free(text);
        return NULL;
    }
    text[lesson.n] = 0;
    return text;
}

static char *answer_of_chain(const struct problem *p, const char *chain) {
    size_t room = problem_answer_room(p, chain);
    char *answer = malloc(room);
    assert_true(p->task->answer(p, chain, answer, room) < room);
    return answer;
}

static void expect(const struct problem *p, const char *answer, bool right) {
    struct judgement j = p->task->judge_answer(p, answer);
    assert_true(j.known);
    if ((j.reward >= 1) != right)
        fail_msg("%s \"%s\": \"%s\" is judged %g: %s", p->task->name, p->text, answer, (double)j.reward, j.reason);
    if (right != (j.reason[0] == 0)) fail_msg("%s: \"%s\" has the reason \"%s\"", p->task->name, answer, j.reason);
}

/* ---- every task, many keys ---- */

/* After each line of a right chain the oracle says 1 and the state is none of the special ones. */
static void check_prefixes(const struct problem *p, char *chain) {
    for (char *end = chain; *end; end++) {
        if (*end != '\n') continue;
        *end = 0;
        if (p->task->state && p->task->state(p, chain) <= STATE_WRONG)
            fail_msg("%s \"%s\": \"%s\" has no state", p->task->name, p->text, chain);
        float v = p->task->oracle ? p->task->oracle(p, chain) : 1;
        if (v == 0) fail_msg("%s \"%s\": the oracle gives up \"%s\"", p->task->name, p->text, chain);
        *end = '\n';
    }
}

static void check_problem(const struct problem *p, uint64_t key) {
    const struct task *t = p->task;
    char *chain = chain_of(p, key);
    if (!chain) return;
    struct judgement j = t->judge(p, chain);
    if (!j.known || j.reward < 1) fail_msg("%s \"%s\": \"%s\" is judged wrong: %s", t->name, p->text, chain, j.reason);
    if (p->max_depth) {
        uint32_t lines = 1;
        for (const char *c = chain; *c; c++) lines += *c == '\n';
        if (lines > p->max_depth) fail_msg("%s \"%s\": %u steps of at most %u", t->name, p->text, lines, p->max_depth);
    }
    check_prefixes(p, chain);
    char *answer = answer_of_chain(p, chain);
    if (strncmp(t->name, "countdown", 9) != 0)
        expect(p, answer, true); /* there it ends with "= 24" unless it was posed */
    free(answer), free(chain);
    j = t->judge(p, "");
    assert_true(j.known && j.reward < 1 && j.reason[0]);
}

/* The compact form is read back as the same problem. */
static void check_round_trip(const struct problem *p) {
    struct problem again;
    struct error e;
    if (p->task->parse_text(p->task, p->text, &again, &e)) fail_msg("%s \"%s\": %s", p->task->name, p->text, e.text);
    assert_string_equal(p->text, again.text);
    assert_true(p->max_depth == again.max_depth && problem_hash(p) == problem_hash(&again));
    assert_true(problem_is_held_out(p) == problem_is_held_out(&again));
    problem_free(&again);
}

static void chains_of_the_task_are_right(void **state) {
    (void)state;
    for (int i = 0; i < N_DRAWN; i++) {
        const struct task *t = task_find(drawn[i].name);
        assert_non_null(t);
        int n_chains = 0, n_held_out = 0, n = 0;
        for (int hard = 0; hard < 2; hard++)
            for (int k = 0; k < (hard ? drawn[i].hard : drawn[i].easy); k++, n++) {
                uint64_t key = rng_fold(rng_fold(11, (uint64_t)hard), (uint64_t)k);
                struct problem p = draw(t, key, hard), same = draw(t, key, hard);
                assert_string_equal(p.text, same.text); /* a pure function of the key */
                size_t size = strlen(p.text);
                if (p.text[0] != ' ' || strcspn(p.text, "\n") != size - 1) fail_msg("%s: \"%s\"", t->name, p.text);
                char *chain = chain_of(&p, key);
                n_chains += chain != NULL;
                n_held_out += problem_is_held_out(&p);
                free(chain);
                check_problem(&p, key);
                check_round_trip(&p);
                problem_free(&p), problem_free(&same);
            }
        if (n_chains < n * 2 / 5) fail_msg("%s: chains for %d of %d problems", t->name, n_chains, n);
        bool few = !strcmp(t->name, "jugs") ||
                   !strcmp(t->name, "mini_sudoku"); /* the published sets hold many of all there are */
        if (n_held_out > (few ? n / 2 : n / 6)) fail_msg("%s: %d of %d problems are held out", t->name, n_held_out, n);
    }
}

/* Two problems of each of some published sets, written in another order where that makes no difference. */
static void published_problems_are_held_out(void **state) {
    (void)state;
    static const struct {
        const char *task, *text;
    } published[] = {
        {"jugs", "11 13 13 -> 12"},
        {"jugs", "7 6 7 -> 3"},
        {"quantum_lock", "0 r -> 18 ; - 2 g ; * 2 a ; + 2 a"},
        {"quantum_lock", "0 r -> 8 ; + 1 g ; - 1 g ; + 1 a"},
        {"n_queens", "8 : d . h . . . c f"},
        {"n_queens", "8 : d . h . . . c f"},
        {"mini_sudoku", "_ 4 _ 1 / 1 _ _ _ / _ _ 2 3 / _ 2 _ 4"},
        {"mini_sudoku", "_ 3 _ 4 / 4 1 _ 2 / 3 _ _ _ / _ _ 4 3"},
        {"path_star", "| 31 16 | 18 47 | 4 30 | 1 4 | 7 18 | 5 19 | 21 1 | 16 5 | 17 0 | 17 21 | 0 7 | 17 31 / 17 47"},
        {"path_star", "| 3 8 | 8 35 | 4 2 | 37 14 | 2 37 | 20 3 | 4 20 | 9 34 | 33 9 | 4 33 | 14 40 | 34 1 / 4 1"},
    };
    for (size_t i = 0; i < sizeof published / sizeof *published; i++) {
        const struct task *t = task_find(published[i].task);
        struct problem p;
        struct error e;
        if (t->parse_text(t, published[i].text, &p, &e)) fail_msg("%s: %s", published[i].text, e.text);
        if (!problem_is_held_out(&p)) fail_msg("%s \"%s\" could be trained on", t->name, published[i].text);
        problem_free(&p);
    }
}

/* Stray chains are legal as far as they go, and often lead nowhere. */
static void stray_chains_are_legal_and_may_fail(void **state) {
    (void)state;
    static const char *const straying[] = {"countdown", "n_queens", "path_star", "mini_sudoku", "futoshiki"};
    for (size_t i = 0; i < sizeof straying / sizeof *straying; i++) {
        const struct task *t = task_find(straying[i]);
        int failed = 0, n = 0;
        for (uint64_t k = 0; k < (i == 4 ? 4 : 40); k++) {
            struct problem p = draw(t, rng_fold(8, k), true);
            char text[8192];
            struct lesson lesson = {.stray = true, .text = text, .cap = sizeof text};
            t->example(&p, k, &lesson);
            assert_true(lesson.n == strlen(text));
            if (lesson.n && t->state(&p, text) == STATE_WRONG && strcmp(straying[i], "countdown"))
                fail_msg("%s \"%s\": \"%s\" is not legal", t->name, p.text, text);
            n += lesson.n > 0, failed += lesson.n && t->judge(&p, text).reward < 1;
            problem_free(&p);
        }
        if (failed < n / 8 || (!failed && i < 4)) fail_msg("%s: %d of %d stray chains fail", t->name, failed, n);
    }
}

/* What stands before the last line " <" was given up. */
static void the_last_try_counts(void **state) {
    (void)state;
    const struct task *t = task_find("n_queens"), *words = task_find("math");
    struct problem p;
    struct error e;
    assert_int_equal(t->parse_text(t, "4 : b . . .", &p, &e), OK);
    assert_int_equal(problem_verdict(&p, " b\n d\n a\n c"), VERDICT_RIGHT);
    assert_int_equal(problem_verdict(&p, " b\n d\n <\n b\n d\n a\n c"), VERDICT_RIGHT);
    assert_int_equal(problem_verdict(&p, " b\n d\n <\n a\n <\n b\n d\n a\n c"), VERDICT_RIGHT);
    assert_int_equal(problem_verdict(&p, " b\n d\n a\n c\n <\n b"), VERDICT_WRONG);
    assert_int_equal(problem_verdict(&p, " b\n d\n < \n a\n c"), VERDICT_WRONG);
    assert_true(problem_state(&p, " a\n <\n b") == t->state(&p, " b") && problem_state(&p, " a") == STATE_WRONG);
    assert_true(problem_oracle(&p, " a\n <") == 1);
    problem_free(&p);
    assert_int_equal(words->parse_text(words, "What?", &p, &e), OK);
    assert_string_equal(problem_last_try(&p, "a\n <\nb"), "a\n <\nb");
    problem_free(&p);
}

/* One byte of a right answer changed: it must be judged as a second writing of the rules would, so here only what is surely
 * wrong is tried: a digit or letter that counts becomes another. */
static void damaged_answers_are_wrong(void **state) {
    (void)state;
    static const struct {
        const char *task, *bytes; /* bytes that are exchanged for each other */
    } damage[] = {{"chain_sum", "0123456789"},
                  {"basic_arithmetic", "0123456789"},
                  {"multistep_arithmetic_two", "0123456789"},
                  {"n_queens", "Q_"},
                  {"path_star", "0123456789"},
                  {"mini_sudoku", "1234"},
                  {"futoshiki", "123456789"},
                  {"kakurasu", "01"},
                  {"tower_of_hanoi", "12345"},
                  {"boolean_expressions", "TruFals"}};
    for (size_t i = 0; i < sizeof damage / sizeof *damage; i++) {
        const struct task *t = task_find(damage[i].task);
        for (uint64_t k = 0; k < 12; k++) {
            struct problem p = draw(t, rng_fold(5, k), i != 6 && k % 2);
            char *chain = chain_of(&p, k), *answer = answer_of_chain(&p, chain);
            size_t n = strlen(answer);
            for (int try = 0; try < 20; try++) {
                size_t at = rng_below(rng_fold(k, (uint64_t)try), 0, (uint32_t)n);
                const char *old = strchr(damage[i].bytes, answer[at]);
                if (!old) continue;
                char kept = answer[at];
                answer[at] = damage[i].bytes[((size_t)(old - damage[i].bytes) + 1) % strlen(damage[i].bytes)];
                if (answer[at] != kept && !(at == 0 && answer[at] == '0')) expect(&p, answer, false);
                answer[at] = kept;
            }
            expect(&p, answer, true);
            answer[n - 1] = 0; /* cut */
            if (!strcmp(t->name, "chain_sum") || n < 3) answer[n / 2] = 0;
            if (n > 3) expect(&p, answer, false);
            expect(&p, "", false);
            free(chain), free(answer), problem_free(&p);
        }
    }
}

/* A line of a chain with another digit or letter is a wrong state wherever the line says something about the rules. */
static void spoiled_steps_are_seen(void **state) {
    (void)state;
    static const char *const strict[] = {"countdown",    "chain_sum", "basic_arithmetic", "multistep_arithmetic_two",
                                         "quantum_lock", "jugs",      "knights_knaves"};
    for (size_t i = 0; i < sizeof strict / sizeof *strict; i++) {
        const struct task *t = task_find(strict[i]);
        int seen = 0, tried = 0;
        for (uint64_t k = 0; k < 20; k++) {
            struct problem p = draw(t, rng_fold(6, k), false);
            char *chain = chain_of(&p, k);
            for (size_t at = 0; chain && chain[at]; at++) {
                char kept = chain[at];
                if (kept < '0' || kept > '9') continue;
                chain[at] = (char)('0' + (kept - '0' + 1) % 10);
                seen += t->state(&p, chain) == STATE_WRONG, tried++;
                if (t->judge(&p, chain).reward >= 1 && t->state(&p, chain) != STATE_WRONG && strcmp(strict[i], "jugs"))
                    fail_msg("%s \"%s\": \"%s\" is judged right", t->name, p.text, chain);
                chain[at] = kept;
            }
            free(chain), problem_free(&p);
        }
        if (tried && seen < tried * 9 / 10) fail_msg("%s: %d of %d spoiled chains are seen", t->name, seen, tried);
    }
}

/* ---- the wordings of the published sets ---- */

static void outside_wordings_are_read(void **state) {
    (void)state;
    static const struct {
        const char *task, *question, *compact, *right, *wrong;
    } cases[] = {
        {"countdown",
         "Using all the numbers 2, 9, 3, create an expression that equals 33.\nYou can only use each number "
         "once.\n\nFinal answer format instructions:\n1. Provide...",
         " 2 3 9 -> 33\n", "(2 + 9) * 3", "2 + 9 * 3"},
        {"countdown",
         "Find a way to make 100 using all of these numbers: 40, 5, 12, 2.\nEach number can only be used once.\n",
         " 2 5 12 40 -> 100\n", "40 * 5 / 2 * 12 / 12", "40*5/2"},
        {"countdown", "Calculate 7 using all of these numbers: 4, 1, 2.\nEach number may be used at most once.\n",
         " 1 2 4 -> 7\n", "-(1) + 4*2", "4 + 2 + 1 = 7"},
        {"puzzle24",
         "Make 24 using 8, 4, 7, 8. You can only use each number once. You can use the operators +, -, *, /.\nFinal",
         " 4 7 8 8 -> 24\n", "4 * (7 - 8 / 8)", "4 * (7 - 1)"},
        {"chain_sum", "State the final answer to the following arithmetic problem: 21 - 81 + 6 =", " < 12 - 18 + 6\n",
         "-54", "54"},
        {"chain_sum", "State the final answer to the following arithmetic problem: 21 - 81 + 6 =", " < 12 - 18 + 6\n",
         "-054.00", "-54.5"},
        {"basic_arithmetic", "Calculate -65 - -9292 * -(3 + 1) / 2.", " < -56 - -2929 * ~ ( 3 + 1 ) / 2\n", "-18649",
         "-18650"},
        {"basic_arithmetic", "Calculate -(-(7)).", " < 7\n", "7", "-7"},
        {"multistep_arithmetic_two", "((-1 + 2 + 9 * 5) - (-2 + -4 + -4 * -7)) =",
         " < ( ( -1 + 2 + 9 * 5 ) - ( -2 + -4 + -4 * -7 ) )\n", "24", "-24"},
        {"boolean_expressions", "not ( True ) and ( True ) is", " ! T & T\n", "False", "True"},
        {"boolean_expressions", "True and not not ( not False or True ) is", " T & ! ! ( ! F | T )\n", "True", "true"},
        {"n_queens",
         "Your job is ...\nGiven the below board of size 4 x 4 your job is to place 3 queen(s) ...\n_ Q _ _\n_ _ _ "
         "_\n_ _ _ _\n_ _ _ _\n",
         " 4 : b . . .\n", "_ Q _ _\n_ _ _ Q\nQ _ _ _\n_ _ Q _", "_ _ Q _\nQ _ _ _\n_ _ _ Q\n_ Q _ _"},
        {"path_star",
         "\nFind a path...\nExample:\n|1 2|1 3|2 4|3 5/1 5 = 1 3 5\n\nSolve the following task:\n|7 2|5 9|7 5|2 11/7 9 "
         "= \n",
         " | 7 2 | 5 9 | 7 5 | 2 11 / 7 9\n", "7 5 9", "7 2 11"},
        {"quantum_lock",
         "In front of you ...\n\nStart: 0 (red)\nTarget: 8\nButtons:\nA: Multiply 2 (when any)\nB: Add 2 (when "
         "green)\nC: Add 2 (when any)",
         " 0 r -> 8 ; * 2 a ; + 2 g ; + 2 a\n", "C → A → A", "C → C → C → C"},
        {"jugs",
         "You are a police officer. ...\n\nThe empty jugs hold this many litres of water: A:3, B:5\nAnd your target "
         "is: 4 litres.\n\nHow do you",
         " 3 5 -> 4\n", "[\"fill B\", \"pour B->A\", \"empty A\", \"pour B->A\", \"fill B\", \"pour B->A\"]",
         "[\"fill B\"]"},
        {"tower_of_hanoi",
         "Solve the Tower of Hanoi problem with 2 disks and 3 pegs.\nMove all disks from Peg 1 to Peg 3 following the "
         "rules:\n",
         " 3 : 11 -> 33\n",
         "Move disk 1 from Peg 1 to Peg 2\nMove disk 2 from Peg 1 to Peg 3\nMove disk 1 from Peg 2 to Peg 3",
         "Move disk 2 from Peg 1 to Peg 3\nMove disk 1 from Peg 1 to Peg 3"},
        {"mini_sudoku",
         "In 4x4 Mini Sudoku:\n- ...\nSolve this 4x4 Mini Sudoku puzzle:\n2 _ _ 1\n_ _ _ _\n_ 4 3 _\n3 _ _ 4\nFormat "
         "your response",
         " 2 _ _ 1 / _ _ _ _ / _ 4 3 _ / 3 _ _ 4\n", "2 3 4 1\n4 1 2 3\n1 4 3 2\n3 2 1 4",
         "2 3 4 1\n4 1 2 3\n1 4 3 2\n3 2 1 4 "},
        {"futoshiki",
         "Solve the following 4x4 Futoshiki puzzle:\n\n_   _   _   1\n             \n_ < _   _   _\n             \n_   "
         "_   1   _\n∧           ∧\n3   _   _ < _\n\nEnsure your",
         " _.. _.. _.. 1.. / _<. _.. _.. _.. / _.^ _.. 1.. _.^ / 3.. _.. _<. _..\n",
         "4   2   3   1\n\n1 < 3   4   2\n\n2   4   1   3\n∧           ∧\n3   1   2 < 4",
         "4 2 3 1\n1 3 4 2\n2 4 1 3\n3 1 2 4"},
        {"knights_knaves",
         "A very special island is inhabited only by angels and devils. Angels always tell the truth, and devils "
         "always lie. "
         "You meet 2 inhabitants: Ann, and Bob. \"if Bob is a devil then Bob is an angel,\" Ann claimed. According to "
         "Bob, \"(Ann is an angel) if and only if Bob is an angel\". "
         "So who is an angel and who is a devil? (Format your answer like: ...)",
         " (b>B) ; (A=B)\n", "Bob is an angel, and Ann is an angel.", "Ann is a devil, and Bob is an angel."},
        {"kakurasu",
         "You're presented with a 2 x 3 Kukurasu puzzle grid. The goal ...: row sums [4, 2] and column sums [1, 2, "
         "1].\n1. Rules:",
         " 4 2 ; 1 2 1\n", "1 0 1\n0 1 0", "0 1 0\n1 0 1"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct task *t = task_find(cases[i].task);
        struct problem p;
        struct error e;
        if (t->parse_text(t, cases[i].question, &p, &e)) fail_msg("%s: %s", cases[i].task, e.text);
        assert_string_equal(p.text, cases[i].compact);
        if (i != 1) expect(&p, cases[i].right, true); /* 12 / 12 uses a number twice: wrong */
        else expect(&p, cases[i].right, false);
        expect(&p, cases[i].wrong, false);
        problem_free(&p);
    }
}

static void bad_problems_are_refused(void **state) {
    (void)state;
    static const struct {
        const char *task, *text;
    } bad[] = {{"chain_sum", "State the final answer to the following arithmetic problem: 21 - "},
               {"basic_arithmetic", "Calculate 5 / (3 - 3)."},
               {"basic_arithmetic", "Calculate (5 + 3."},
               {"basic_arithmetic", "Calculate 9 ** 2."},
               {"boolean_expressions", "True and is"},
               {"boolean_expressions", "( True or False is"},
               {"n_queens", "Q _ _\n_ _ _\n_ _ _"},
               {"n_queens", "Q _ _ _\n_ Q _ _\n_ _ _ _\n_ _ _ _"},
               {"path_star", "|1 2|2 3/1 9"},
               {"path_star", "|1 2|3 2/1 2"},
               {"quantum_lock", "0 r -> 9 ; * 2 a ; * 2 g ; + 2 g"},
               {"jugs", "4 6 -> 5"},
               {"jugs", "4 99 -> 5"},
               {"tower_of_hanoi", "3 : 111 -> 11"},
               {"tower_of_hanoi", "3 : 111 -> 111"},
               {"mini_sudoku", "2 2 _ 1 / _ _ _ _ / _ 4 3 _ / 3 _ _ 4"},
               {"mini_sudoku", "2 _ _ 1 / _ _ _ _ / _ 4 3 _"},
               {"futoshiki", "1>. _.. / _.. _.."},
               {"knights_knaves", "A ; (A&B"},
               {"knights_knaves", "a ; A"},
               {"kakurasu", "9 9 ; 1 1"},
               {"kakurasu", "4 2 ; 1 2 one"}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        const struct task *t = task_find(bad[i].task);
        struct problem p;
        struct error e = {""};
        memset(&p, 0x5A, sizeof p);
        if (t->parse_text(t, bad[i].text, &p, &e) != ERR_INPUT) fail_msg("%s takes \"%s\"", bad[i].task, bad[i].text);
        if (!strstr(e.text, bad[i].task) || strchr(e.text, '\n'))
            fail_msg("\"%s\" should name %s", e.text, bad[i].task);
        assert_int_equal(p.id[0], 0x5A);
    }
}

/* Any bytes for a problem or a chain: no crash, and nothing is right by chance. */
static void hostile_texts_are_survived(void **state) {
    (void)state;
    static const char bytes[] = " 0123456789+-*/()=;:<>|&!~TFQ_.abcABC->\n^v∧r";
    for (int i = 0; i < N_DRAWN; i++) {
        const struct task *t = task_find(drawn[i].name);
        struct problem p = draw(t, 3, false), other;
        char text[200], answer[8192];
        for (uint64_t k = 0; k < 3000; k++) {
            uint32_t n = rng_below(k, 0, sizeof text);
            for (uint32_t c = 0; c < n; c++) text[c] = bytes[rng_below(k, 1 + c, sizeof bytes - 1)];
            text[n] = 0;
            if (t->judge(&p, text).reward >= 1) fail_msg("%s: \"%s\" is right", t->name, text);
            t->answer(&p, text, answer, 1 + k % sizeof answer);
            if (t->state) t->state(&p, text);
            if (t->oracle) t->oracle(&p, text);
            t->judge_answer(&p, text);
            if (!t->parse_text(t, text, &other, NULL)) problem_free(&other);
        }
        problem_free(&p);
    }
}

static void memory_may_fail(void **state) {
    (void)state;
    for (int i = 0; i < N_DRAWN; i++) {
        const struct task *t = task_find(drawn[i].name);
        struct problem p;
        struct error e;
        struct task_draw d = task_level(t, false);
        mem_fail_at(1, true);
        enum status s = t->generate(t, 3, &d, &p, &e);
        mem_fail_at(0, false);
        assert_int_equal(s, ERR_MEMORY);
    }
}

/* ---- counts from elsewhere ---- */

/* 92 boards of eight queens, 4 of six, 2 of four; the oracle agrees with a count by permutations. */
static void queens_are_counted(void **state) {
    (void)state;
    static const int known[] = {0, 0, 0, 0, 2, 10, 4, 40, 92};
    const struct task *t = task_find("n_queens");
    for (int n = 4; n <= 8; n++) {
        char text[64], chain[64];
        int found = 0, column[8] = {0};
        size_t at = (size_t)snprintf(text, sizeof text, "%d :", n);
        for (int r = 0; r < n; r++) at += (size_t)snprintf(text + at, sizeof text - at, " .");
        struct problem p;
        struct error e;
        if (t->parse_text(t, text, &p, &e)) fail_msg("%s", e.text);
        for (;;) { /* all n^n placements */
            size_t size = 0;
            bool good = true;
            for (int r = 0; r < n; r++) {
                size += (size_t)snprintf(chain + size, sizeof chain - size, "%s %c", r ? "\n" : "", 'a' + column[r]);
                for (int q = 0; q < r; q++)
                    good = good && column[q] != column[r] && abs(column[q] - column[r]) != r - q;
            }
            if (good) {
                found++;
                assert_true(t->judge(&p, chain).reward >= 1);
            } else if (n <= 5) assert_true(t->judge(&p, chain).reward < 1);
            int r = 0;
            while (r < n && ++column[r] == n) column[r++] = 0;
            if (r == n) break;
        }
        assert_int_equal(found, known[n]);
        problem_free(&p);
    }
}

/* 288 mini sudokus; 12 Latin squares of 3, 576 of 4, 161280 of 5. */
static void squares_are_counted(void **state) {
    (void)state;
    static const struct {
        int n, count;
        bool boxes;
    } known[] = {{4, 288, true}, {3, 12, false}, {4, 576, false}, {5, 161280, false}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        struct latin g = {.n = known[i].n, .boxes = known[i].boxes};
        memset(g.right, '.', sizeof g.right), memset(g.down, '.', sizeof g.down);
        assert_int_equal(latin_solve(&g, g.cell, 1 << 20, NULL), known[i].count);
    }
}

/* Moves of Frame and Stewart: 2^n - 1 with three pegs; with four 1 3 5 9 13 17 25 33 41 49. */
static void towers_take_the_known_moves(void **state) {
    (void)state;
    static const int four[] = {1, 3, 5, 9, 13, 17, 25, 33, 41, 49};
    const struct task *t = task_find("tower_of_hanoi");
    for (int n = 1; n <= 10; n++)
        for (int pegs = 3; pegs <= 4; pegs++) {
            char text[64];
            snprintf(text, sizeof text, "%d : %.*s -> %.*s", pegs, n, "1111111111", n, "3333333333");
            struct problem p;
            struct error e;
            if (t->parse_text(t, text, &p, &e)) fail_msg("%s", e.text);
            assert_int_equal(p.max_depth, pegs == 3 ? (1 << n) - 1 : four[n - 1]);
            for (uint64_t key = 0; key < 3; key++) {
                char *chain = chain_of(&p, key);
                uint32_t moves = 1;
                for (char *c = chain; *c; c++) moves += *c == '\n';
                assert_int_equal(moves, p.max_depth);
                assert_true(t->judge(&p, chain).reward >= 1);
                free(chain);
            }
            problem_free(&p);
        }
}

/* A detour on three pegs: the oracle knows that it cannot be short any more. */
static void the_oracle_of_towers_counts_moves(void **state) {
    (void)state;
    const struct task *t = task_find("tower_of_hanoi");
    struct problem p;
    assert_int_equal(t->parse_text(t, "3 : 111 -> 222", &p, NULL), OK);
    assert_true(t->oracle(&p, " 211") == 1 && t->oracle(&p, " 311") == 0 && t->oracle(&p, " 211\n 231") == 1);
    assert_true(t->oracle(&p, " 211\n 111") == 0 && t->oracle(&p, " 121") == 0);
    problem_free(&p);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(chains_of_the_task_are_right),
        cmocka_unit_test(published_problems_are_held_out),
        cmocka_unit_test(stray_chains_are_legal_and_may_fail),
        cmocka_unit_test(the_last_try_counts),
        cmocka_unit_test(damaged_answers_are_wrong),
        cmocka_unit_test(spoiled_steps_are_seen),
        cmocka_unit_test(outside_wordings_are_read),
        cmocka_unit_test(bad_problems_are_refused),
        cmocka_unit_test(hostile_texts_are_survived),
        cmocka_unit_test(memory_may_fail),
        cmocka_unit_test(queens_are_counted),
        cmocka_unit_test(squares_are_counted),
        cmocka_unit_test(towers_take_the_known_moves),
        cmocka_unit_test(the_oracle_of_towers_counts_moves),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
