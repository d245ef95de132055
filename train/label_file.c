/* label_file.c: see label_file.h.
 * Not the writer: labels.c.
 * Next: reward.c. */
#include "train/label_file.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"

/* The chains of a line, with all their values behind them in one block for mem_free. */
static enum status read_chains(json_t *list, const char *where, struct label_line *out, struct error *e) {
    size_t i, k, n_values = 0, n = json_array_size(list);
    json_t *o, *number;
    json_array_foreach(list, i, o) n_values += json_array_size(json_object_get(o, "values"));
    out->chains = mem_new(n * sizeof *out->chains + n_values * sizeof(float) + 1, 1);
    if (!out->chains) return error_set(e, ERR_MEMORY, "no memory for the labels");
    float *values = (float *)(out->chains + n);
    json_array_foreach(list, i, o) {
        json_t *given = json_object_get(o, "values");
        struct label_chain *c = &out->chains[out->n++];
        *c = (struct label_chain){.steps = json_string_value(json_object_get(o, "steps")),
                                  .finished = json_is_true(json_object_get(o, "finished")),
                                  .n_values = (uint32_t)json_array_size(given),
                                  .values = values};
        if (!c->steps || !json_is_array(given))
            return error_set(e, ERR_INPUT, "%s: a chain needs \"steps\" and \"values\"", where);
        json_array_foreach(given, k, number) {
            double v = json_is_number(number) ? json_number_value(number) : -1;
            if (!(v >= 0 && v <= 1))
                return error_set(e, ERR_INPUT, "%s: value %zu of a chain is no number from 0 to 1", where, k + 1);
            *values++ = (float)v;
        }
    }
    return OK;
}

/* One chain that is right or not: a search ended with it, or the task wrote it. */
static enum status read_steps(json_t *o, struct label_line *out, struct error *e) {
    const char *steps = json_string_value(json_object_get(o, "steps"));
    json_t *correct = json_object_get(o, "correct");
    if (!steps) return OK; /* the search came to no end */
    if (!(out->chains = mem_new(sizeof *out->chains + sizeof(float), 1)))
        return error_set(e, ERR_MEMORY, "no memory for a chain");
    bool right = correct ? json_is_true(correct) : problem_verdict(&out->problem, steps) == VERDICT_RIGHT;
    out->chains[0] = (struct label_chain){steps, true, 1, (float *)(out->chains + 1)};
    out->chains[0].values[0] = right, out->n = 1;
    return OK;
}

static enum status read_problem(json_t *o, const struct task *usual, const char *where, struct problem *p,
                                struct error *e) {
    const char *text = json_string_value(json_object_get(o, "problem"));
    const char *name = json_string_value(json_object_get(o, "task"));
    const struct task *t = name ? task_find(name) : usual;
    struct error why;
    enum status s = !t     ? error_set(&why, ERR_INPUT, "\"task\" is \"%.40s\", none of %s", name, task_names)
                    : text ? t->parse_text(t, text, p, &why)
                           : error_set(&why, ERR_INPUT, "no \"problem\"");
    if (s) return error_set(e, s, "%s: %s", where, why.text);
    if (!problem_is_held_out(p)) return OK;
    problem_free(p);
    return error_set(e, ERR_INPUT, "%s: \"%s\" is a test problem: it must not be trained on", where, text);
}

/* *usual: the task of lines that name none. */
static enum status read_line(const char *text, const struct task **usual, const char *where, label_fn *fn, void *arg,
                             struct error *e) {
    json_error_t je;
    json_t *o = json_loads(text, 0, &je);
    struct label_line line = {.where = where, .has_values = json_object_get(o, "chains") != NULL};
    if (!o) return error_set(e, ERR_INPUT, "%s: not JSON: %s", where, je.text);
    enum status s = OK;
    if (json_object_get(o, "format")) { /* a header */
        const char *name = json_string_value(json_object_get(o, "task"));
        if (name && task_find(name)) *usual = task_find(name);
    } else {
        line.index = (uint64_t)json_integer_value(json_object_get(o, "index"));
        s = read_problem(o, *usual, where, &line.problem, e);
        if (!s)
            s = line.has_values ? read_chains(json_object_get(o, "chains"), where, &line, e) : read_steps(o, &line, e);
        if (!s) s = fn(arg, &line, e);
        mem_free(line.chains);
        problem_free(&line.problem);
    }
    json_decref(o);
    return s;
}

enum status label_file_read(const char *path, label_fn *fn, void *arg, struct error *e) {
    FILE *f = fopen(path, "r");
    const struct task *usual = task_find("countdown");
    char *line = NULL, where[600];
    size_t cap = 0;
    enum status s = OK;
    if (!f) return error_set(e, ERR_IO, "%s: cannot be opened", path);
    for (long number = 1; !s && getline(&line, &cap, f) > 0; number++) {
        snprintf(where, sizeof where, "%s:%ld", path, number);
        s = read_line(line, &usual, where, fn, arg, e);
    }
    free(line);
    fclose(f);
    return s;
}
