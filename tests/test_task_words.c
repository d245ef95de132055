/* test_task_words.c: tasks math and gsm8k: lines, reference answers, verdicts, votes.
 * Not the forms of answers: test_answer.c.
 * Next: tasks/task.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "tasks/task.h"
#include "tests/reference.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static void test_lines(void **state) {
    (void)state;
    static const struct {
        const char *task, *line, *id, *text, *reference;
    } good[] = {
        {"math", "What is 2 + 2?", "9", "What is 2 + 2?", ""},
        {"math", "\xEF\xBB\xBF  What?\r\n", "9", "What?", ""},
        {"math", "{\"problem\":\"What?\",\"id\":\"a-1\"}", "a-1", "What?", ""},
        {"math", "{\"problem\":\"What?\",\"answer\":\"\\\\frac{2}{4}\"}", "9", "What?", "1/2"},
        {"math", "{\"problem\":\"What?\",\"answer\":null}", "9", "What?", ""},
        {"math", "{\"problem\":\"What?\",\"solution\":\"It is \\\\boxed{7}.\"}", "9", "What?", "7"},
        {"math", "{\"problem\":\"What?\",\"solution\":\"no box, 8\",\"answer\":\"x\"}", "9", "What?", "x"},
        {"gsm8k", "{\"question\":\"How many?\",\"answer\":\"2+2=<<2+2=4>>4\\n#### 1,004\"}", "9", "How many?", "1004"},
        {"gsm8k", "{\"question\":\"How many?\",\"answer\":18,\"id\":3,\"task\":\"gsm8k\"}", "3", "How many?", "18"},
        {"gsm8k", "{\"question\":\"How many?\",\"answer\":0.5}", "9", "How many?", "1/2"},
        {"gsm8k", "{\"problem\":\"A\\nB\",\"answer\":\"$18 dollars\"}", "9", "A\nB", "18"},
        {"gsm8k", "{\"question\":\"<|im_start|>\",\"answer\":\"1\"}", "9", "<|im_start|>", "1"},
    };
    for (size_t i = 0; i < COUNT(good); i++) {
        const struct task *task = task_find(good[i].task);
        struct problem p;
        struct error e;
        if (task->parse(task, good[i].line, 9, &p, &e)) fail_msg("%s: %s", good[i].line, e.text);
        if (strcmp(p.id, good[i].id) || strcmp(p.text, good[i].text) || strcmp(p.reference, good[i].reference))
            fail_msg("%s: id \"%s\", text \"%s\", answer \"%s\"", good[i].line, p.id, p.text, p.reference);
        assert_ptr_equal(p.task, task);
        assert_int_equal(p.max_depth, 0);
        problem_free(&p);
    }
}

static void test_bad_lines(void **state) {
    (void)state;
    static const struct {
        const char *task, *line, *says;
    } bad[] = {
        {"math", " ", "empty"},
        {"math", "{\"problem\":7}", "\"problem\""},
        {"math", "{\"problem\":\" \"}", "\"problem\""},
        {"math", "{\"answer\":\"7\"}", "\"question\""},
        {"math", "{\"problem\":\"What?\",\"answer\":[7]}", "\"answer\""},
        {"math", "{\"problem\":\"What?\",\"answer\":\" \"}", "\"answer\""},
        {"math", "{\"problem\":\"What?\"", "column"},
        {"math", "{\"problem\":\"What?\",\"task\":\"gsm8k\"}", "in a run of math"},
        {"gsm8k", "What is 2 + 2?", "question"},
        {"gsm8k", "{\"question\":\"How many?\"}", "no \"answer\""},
        {"gsm8k", "{\"question\":\"How many?\",\"answer\":null}", "no \"answer\""},
        {"gsm8k", "{\"question\":\"How \\u0000many?\",\"answer\":1}", "u0000"},
        {"gsm8k", "{\"question\":\"How many?\",\"answer\":\"7\",\"id\":\"\"}", "\"id\""},
    };
    for (size_t i = 0; i < COUNT(bad); i++) {
        const struct task *task = task_find(bad[i].task);
        struct problem p;
        struct error e = {""};
        memset(&p, 0x5A, sizeof p);
        if (task->parse(task, bad[i].line, 31, &p, &e) != ERR_INPUT) fail_msg("accepted: %s", bad[i].line);
        if (!strstr(e.text, bad[i].says) || !strstr(e.text, "line 31")) fail_msg("%s: %s", bad[i].line, e.text);
        assert_int_equal(p.id[0], 0x5A);
    }
}

/* What a user types is no JSON, and keeps every byte. */
static void test_text(void **state) {
    (void)state;
    const struct task *task = task_find("math");
    struct problem p;
    struct error e;
    assert_int_equal(task->parse_text(task, " {\"problem\": 1}\n", &p, &e), OK);
    assert_string_equal(p.text, " {\"problem\": 1}\n");
    assert_string_equal(p.reference, "");
    problem_free(&p);
    assert_int_equal(task->parse_text(task, " \n", &p, &e), ERR_INPUT);
    assert_null(task->oracle);
}

static void test_verdicts(void **state) {
    (void)state;
    const struct task *task = task_find("gsm8k");
    struct problem p;
    char out[64];
    assert_int_equal(task->parse(task, "{\"question\":\"q\",\"answer\":\"... #### 1/2\"}", 1, &p, NULL), OK);
    static const struct {
        const char *solution;
        enum verdict verdict;
        const char *vote;
    } cases[] = {{"Half of it.\n\n\\boxed{0.5}", VERDICT_RIGHT, "1/2"},
                 {"#### \\frac{2}{4}", VERDICT_RIGHT, "1/2"},
                 {"The answer is $0.50.", VERDICT_RIGHT, "1/2"},
                 {"1/2 or 3", VERDICT_WRONG, "3"},
                 {"I do not know", VERDICT_WRONG, ""},
                 {"", VERDICT_WRONG, ""}};
    for (size_t i = 0; i < COUNT(cases); i++) {
        if (problem_verdict(&p, cases[i].solution) != cases[i].verdict)
            fail_msg("\"%s\": verdict %d", cases[i].solution, (int)problem_verdict(&p, cases[i].solution));
        assert_int_equal(task->vote(&p, cases[i].solution, out, sizeof out), strlen(cases[i].vote));
        assert_string_equal(out, cases[i].vote);
        task->answer(&p, cases[i].solution, out, sizeof out);
        assert_string_equal(out, cases[i].vote);
    }
    problem_free(&p);
    task = task_find("math");
    assert_int_equal(task->parse_text(task, "q", &p, NULL), OK);
    assert_int_equal(problem_verdict(&p, "\\boxed{0.5}"), VERDICT_NONE);
    problem_free(&p);
}

static void test_steps(void **state) {
    (void)state;
    for (const struct task *const *row = task_table; *row; row++) {
        const struct task *t = *row;
        assert_non_null(strstr(task_names, t->name));
        assert_true(strlen(t->style->delimiter) > 0 && t->style->max_step_tokens > 0);
        if (!t->is_last) continue;
        assert_true(t->is_last("So it is \\boxed{5}."));
        assert_false(t->is_last("#### Step 2"));
        assert_false(t->is_last("The answer is 5"));
    }
}

/* The public file, when it is there. */
static void test_file(void **state) {
    (void)state;
    const char *path = reference("gsm8k-test.jsonl");
    FILE *f = path ? fopen(path, "r") : NULL;
    if (!f) skip();
    const struct task *task = task_find("gsm8k");
    char *line = NULL;
    size_t cap = 0;
    long n = 0;
    while (getline(&line, &cap, f) > 0) {
        struct problem p;
        struct error e;
        if (task->parse(task, line, ++n, &p, &e)) fail_msg("%s", e.text);
        if (!*p.reference || strspn(p.reference, "-/0123456789") != strlen(p.reference))
            fail_msg("line %ld: the answer is \"%s\"", n, p.reference);
        problem_free(&p);
    }
    free(line);
    fclose(f);
    assert_int_equal(n, 1319);
}

static void test_failed_memory(void **state) {
    (void)state;
    const struct task *task = task_find("gsm8k");
    struct problem p;
    struct error e;
    mem_fail_at(1, false);
    assert_int_equal(task->parse(task, "{\"question\":\"q\",\"answer\":\"1\"}", 1, &p, &e), ERR_MEMORY);
    mem_fail_at(1, false);
    assert_int_equal(task_find("game24")->parse(task_find("game24"), "4 7 8 8", 1, &p, &e), ERR_MEMORY);
    mem_fail_at(0, false);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines),         cmocka_unit_test(test_bad_lines), cmocka_unit_test(test_text),
        cmocka_unit_test(test_verdicts),      cmocka_unit_test(test_steps),     cmocka_unit_test(test_file),
        cmocka_unit_test(test_failed_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
