/* cmd_generate.c: problems of a task, drawn from a seed; with a chain that solves each, if wanted.
 * Not an official set: those have seeds of their own and are made elsewhere.
 * Next: tasks/task.h. */
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/rng.h"
#include "cli/args.h"
#include "cli/cancel.h"
#include "cli/command.h"
#include "tasks/task.h"

struct options {
    const char *task, *out, *knobs;
    int64_t n, first, seed;
    bool hard, steps, held_out, training;
};

/* clang-format off */
static const struct flag flags[] = {
    {"task", NULL, FLAG_TEXT, offsetof(struct options, task), NULL, 0, 0, "NAME", "what to generate"},
    {"n", "n", FLAG_INT, offsetof(struct options, n), "10", 1, 1e12, "N", "how many"},
    {"first", NULL, FLAG_INT, offsetof(struct options, first), "0", 0, 1e12, "N", "number of the first"},
    {"seed", "s", FLAG_INT, offsetof(struct options, seed), "1", 0, 9e15, "N", "same seed, same problems"},
    {"hard", NULL, FLAG_YES, offsetof(struct options, hard), NULL, 0, 0, NULL, "the settings of the published hard level instead of the easy one"},
    {"knobs", NULL, FLAG_TEXT, offsetof(struct options, knobs), NULL, 0, 0, "NAME=N,...", "other settings; --knobs list shows those of the task"},
    {"steps", NULL, FLAG_YES, offsetof(struct options, steps), NULL, 0, 0, NULL, "also a chain that solves each problem, and its answer"},
    {"held-out", NULL, FLAG_YES, offsetof(struct options, held_out), NULL, 0, 0, NULL, "only problems that are never trained on"},
    {"training", NULL, FLAG_YES, offsetof(struct options, training), NULL, 0, 0, NULL, "only the others"},
    {"out", "o", FLAG_TEXT, offsetof(struct options, out), NULL, 0, 0, "FILE", "instead of stdout"},
    {0},
};
/* clang-format on */

enum { STREAM_GENERATE = 9 /* of --seed */, MOST_TRIES = 20000 };

static int list_knobs(const struct task *t) {
    for (const struct knob *k = t->knobs; k && k->name; k++)
        printf("%-16s easy %d, hard %d, allowed %d to %d: %s\n", k->name, k->easy, k->hard, k->low, k->high,
               k->summary);
    return EXIT_GOOD;
}

/* Adds "steps" and "answer". */
static enum status add_chain(json_t *line, const struct problem *p, uint64_t key, struct error *e) {
    enum { CHAIN = 1 << 18 };
    char *text = mem_new(CHAIN, 1);
    if (!text) return error_set(e, ERR_MEMORY, "no memory for a chain");
    struct lesson lesson = {.text = text, .cap = CHAIN};
    p->task->example(p, key, &lesson);
    size_t room = problem_answer_room(p, text);
    char *answer = lesson.n ? mem_new(room, 1) : NULL;
    if (answer) {
        p->task->answer(p, text, answer, room);
        json_object_set_new(line, "steps", json_string(text));
        json_object_set_new(line, "answer", json_string(answer));
    }
    mem_free(answer), mem_free(text);
    return OK;
}

static enum status write_one(const struct options *o, const struct problem *p, int64_t index, uint64_t key, FILE *to,
                             struct error *e) {
    char id[128];
    size_t size = strcspn(p->text, "\n"), blank = *p->text == ' ';
    snprintf(id, sizeof id, "%s-%lld-%lld", p->task->name, (long long)o->seed, (long long)index);
    json_t *line =
        json_pack("{s:s,s:s,s:s%}", "id", id, "task", p->task->name, "problem", p->text + blank, size - blank);
    if (!line) return error_set(e, ERR_MEMORY, "no memory for a line");
    enum status s = o->steps ? add_chain(line, p, key, e) : OK;
    if (!s && (json_dumpf(line, to, JSON_COMPACT) || putc('\n', to) == EOF))
        s = error_set(e, ERR_IO, "%s: %s", o->out ? o->out : "stdout", strerror(errno));
    json_decref(line);
    return s;
}

static enum status generate(const struct options *o, const struct task *t, const struct task_draw *d, FILE *to,
                            struct error *e) {
    const volatile int *cancel = cancel_install();
    uint64_t stream = rng_fold((uint64_t)o->seed, STREAM_GENERATE);
    enum status s = OK;
    for (int64_t i = 0; i < o->n && !s && !*cancel; i++) {
        for (uint64_t attempt = 0; !s && !*cancel; attempt++) {
            uint64_t key = rng_fold(rng_fold(stream, (uint64_t)(o->first + i)), attempt);
            struct problem p;
            if ((s = t->generate(t, rng_fold(key, 1), d, &p, e))) break;
            bool kept = problem_is_held_out(&p), taken = kept ? !o->training : !o->held_out;
            if (!taken && attempt == MOST_TRIES)
                s = error_set(e, ERR_INPUT, "--%s: none of %d problems of these settings is %sheld out",
                              kept ? "training" : "held-out", MOST_TRIES, kept ? "not " : "");
            if (taken) s = write_one(o, &p, o->first + i, rng_fold(key, 2), to, e);
            problem_free(&p);
            if (taken) break;
        }
    }
    return s;
}

int cmd_generate(int argc, char **argv) {
    struct options o = {0};
    struct args a = {
        .command = "generate",
        .usage = "",
        .flags = flags,
        .options = &o,
        .about = "Problems as JSON lines, in the compact form that a policy reads; eval takes them as they are.\n"};
    struct error e = {""};
    int code = args_parse(&a, argc, argv);
    if (code != ARGS_GO_ON) return code;
    if (a.n_rest) return args_wrong(&a, "unexpected \"%.60s\"", a.rest[0]);
    if (!o.task) return args_wrong(&a, "--task is missing: one of %s", task_names);
    const struct task *t = task_find(o.task);
    if (!t) return args_wrong(&a, "--task: \"%.60s\" is none of %s", o.task, task_names);
    if (!t->generate) return args_wrong(&a, "--task: %s has no generator", t->name);
    if (o.knobs && !strcmp(o.knobs, "list")) return list_knobs(t);
    if (o.held_out && o.training) return args_wrong(&a, "--held-out and --training: give one of them");
    struct task_draw d = task_level(t, o.hard);
    if (o.knobs && task_set_knobs(t, o.knobs, &d, &e)) return args_wrong(&a, "--knobs: %s", e.text);
    FILE *to = o.out ? fopen(o.out, "w") : stdout;
    if (!to) return args_wrong(&a, "-o %.300s: %s", o.out, strerror(errno));
    uint64_t start = clock_ns();
    enum status s = generate(&o, t, &d, to, &e);
    if (o.out && fclose(to) && !s) s = error_set(&e, ERR_IO, "%s: %s", o.out, strerror(errno));
    if (s) return args_failed(&a, e.text);
    double seconds = (double)(clock_ns() - start) / 1e9;
    if (o.out) fprintf(stderr, "%lld problems, %.0f a second\n", (long long)o.n, (double)o.n / seconds);
    return EXIT_GOOD;
}
