/* cmd_judge.c: answers that anyone gave to the problems of a file, judged by the task.
 * Not a search: cmd_eval.c has one.
 * Next: tasks/task.h. */
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/args.h"
#include "cli/command.h"
#include "solve/problems.h"

struct options {
    const char *task, *input, *answers;
    bool quiet;
};

static const struct flag flags[] = {
    {"task", NULL, FLAG_TEXT, offsetof(struct options, task), NULL, 0, 0, "NAME", "what the problems are"},
    {"input", NULL, FLAG_TEXT, offsetof(struct options, input), NULL, 0, 0, "FILE", "problems, one a line"},
    {"answers", NULL, FLAG_TEXT, offsetof(struct options, answers), NULL, 0, 0, "FILE",
     "JSON lines with \"id\" and \"answer\"; several of one id are judged one by one"},
    {"quiet", "q", FLAG_YES, offsetof(struct options, quiet), NULL, 0, 0, NULL, "only the sum"},
    {0},
};

/* Problem of each id, as a number. */
static json_t *index_of(const struct problems *p) {
    json_t *ids = json_object();
    for (uint32_t i = 0; i < p->n; i++) json_object_set_new(ids, p->items[i].id, json_integer(i));
    return ids;
}

static int judge_line(const struct args *a, const struct options *o, const struct problems *p, json_t *ids,
                      const char *line, long number, long *n, long *right) {
    json_error_t why;
    json_t *object = json_loads(line, 0, &why);
    const char *id = json_string_value(json_object_get(object, "id"));
    const json_t *at = id ? json_object_get(ids, id) : NULL, *answer = json_object_get(object, "answer");
    int code = EXIT_GOOD;
    if (!object) code = args_wrong(a, "%s: line %ld: %s", o->answers, number, why.text);
    else if (id && !at) code = args_wrong(a, "%s: line %ld: no problem has the id \"%.60s\"", o->answers, number, id);
    if (code == EXIT_GOOD && id) { /* a line without an id is a header */
        const struct problem *problem = &p->items[json_integer_value(at)];
        struct judgement j = {.known = true, .reason = "no answer"};
        if (json_is_string(answer)) j = problem->task->judge_answer(problem, json_string_value(answer));
        char content[20];
        snprintf(content, sizeof content, "%016llx", (unsigned long long)problem_content(problem));
        json_t *out = json_pack("{s:s,s:f,s:s,s:s}", "id", id, "reward", (double)j.reward, "reason", j.reason,
                                "content", content);
        if (!o->quiet && out) json_dumpf(out, stdout, JSON_COMPACT | JSON_REAL_PRECISION(4)), putchar('\n');
        json_decref(out);
        ++*n, *right += j.reward >= 1;
    }
    json_decref(object);
    return code;
}

static int judge(const struct args *a, const struct options *o, const struct problems *p) {
    FILE *f = fopen(o->answers, "r");
    if (!f) return args_wrong(a, "--answers %.300s: %s", o->answers, strerror(errno));
    json_t *ids = index_of(p);
    char *line = NULL;
    size_t cap = 0;
    long n = 0, right = 0;
    int code = EXIT_GOOD;
    for (long number = 1; code == EXIT_GOOD && getline(&line, &cap, f) > 0; number++)
        if (line[strspn(line, " \t\r\n")]) code = judge_line(a, o, p, ids, line, number, &n, &right);
    free(line);
    fclose(f);
    json_decref(ids);
    if (code == EXIT_GOOD) fprintf(stderr, "%ld of %ld answers are right\n", right, n);
    return code;
}

int cmd_judge(int argc, char **argv) {
    struct options o = {0};
    struct args a = {.command = "judge",
                     .usage = "",
                     .flags = flags,
                     .options = &o,
                     .about = "Judges answers to problems: one JSON line each with reward and reason.\n"};
    struct problems problems;
    struct error e = {""};
    int code = args_parse(&a, argc, argv);
    if (code != ARGS_GO_ON) return code;
    if (a.n_rest) return args_wrong(&a, "unexpected \"%.60s\"", a.rest[0]);
    if (!o.task || !o.input || !o.answers)
        return args_wrong(&a, "--%s is missing", !o.task ? "task" : !o.input ? "input" : "answers");
    const struct task *t = task_find(o.task);
    if (!t) return args_wrong(&a, "--task: \"%.60s\" is none of %s", o.task, task_names);
    if (problems_read(o.input, t, 0, 0, 0, &problems, &e)) return args_failed(&a, e.text);
    code = judge(&a, &o, &problems);
    problems_free(&problems);
    return code;
}
