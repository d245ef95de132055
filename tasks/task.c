/* task.c: the task table and the reader of problem lines, plain or JSON.
 * Not a file reader: the caller splits lines and skips empty ones.
 * Next: cli/, which looks tasks up by name. */
#include "tasks/task.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A line on its way to a problem: what both forms have in common. */
struct entry {
    const struct task *task;
    long number;
    int default_target; /* 0: the line must say it */
    struct problem *p;
    struct error *e;
};

/* `text` without byte-order mark, line end and blanks around it. */
static const char *trim(const char *text, size_t *size) {
    if (strncmp(text, "\xEF\xBB\xBF", 3) == 0) text += 3;
    text += strspn(text, " \t\r\n");
    *size = strlen(text);
    while (*size && strchr(" \t\r\n", text[*size - 1])) --*size;
    return text;
}

static enum status parse_text(const struct entry *in, const char *text, int target) {
    struct error why;
    enum status s = cd_parse(text, target, &in->p->countdown, &why);
    return s ? error_set(in->e, s, "line %ld: %s", in->number, why.text) : OK;
}

static enum status bad_field(const struct entry *in, const char *field, const char *allowed) {
    return error_set(in->e, ERR_INPUT, "line %ld: \"%s\" must be %s", in->number, field, allowed);
}

/* -- JSON -- */

/* Optional "id": a short string or an integer. */
static enum status read_id(const struct entry *in, const json_t *object) {
    const json_t *id = json_object_get(object, "id");
    size_t cap = sizeof in->p->id;
    if (!id) return OK;
    if (json_is_integer(id)) {
        snprintf(in->p->id, cap, "%lld", (long long)json_integer_value(id));
        return OK;
    }
    const char *allowed = "an integer or a string of 1 to 63 bytes without control characters";
    size_t size = json_string_length(id); /* 0 when it is no string */
    if (size == 0 || size >= cap) return bad_field(in, "id", allowed);
    for (const char *c = json_string_value(id); *c; c++)
        if ((unsigned char)*c < ' ' || *c == 0x7F) return bad_field(in, "id", allowed);
    snprintf(in->p->id, cap, "%s", json_string_value(id));
    return OK;
}

/* Optional "task": must name the task that reads the line. */
static enum status read_task(const struct entry *in, const json_t *object) {
    const json_t *task = json_object_get(object, "task");
    if (!task) return OK;
    if (!json_is_string(task)) return bad_field(in, "task", "a string");
    if (strcmp(json_string_value(task), in->task->name) == 0) return OK;
    return error_set(in->e, ERR_INPUT, "line %ld: \"task\" is \"%.40s\" in a run of %s", in->number,
                     json_string_value(task), in->task->name);
}

/* An integer, also as a string of digits; -1 for anything else. */
static json_int_t whole_number(const json_t *v) {
    if (json_is_integer(v)) return json_integer_value(v);
    size_t size = json_string_length(v); /* 0 when v is no string */
    if (size == 0 || size > 9 || strspn(json_string_value(v), "0123456789") != size) return -1;
    return strtol(json_string_value(v), NULL, 10);
}

/* "target", else "answer", into *target.  An answer may also be another text, a solution: it names no target. */
static enum status read_target(const struct entry *in, const json_t *object, int *target) {
    const char *field = json_object_get(object, "target") ? "target" : "answer";
    const json_t *v = json_object_get(object, field);
    json_int_t t = whole_number(v);
    bool is_solution = t < 0 && (json_is_string(v) || json_is_null(v)) && strcmp(field, "answer") == 0;
    if (!v || is_solution) return OK;
    if (t < 1 || t > 9999) return bad_field(in, field, "a whole number from 1 to 9999");
    *target = (int)t;
    return OK;
}

/* "problem": a text, or an array of integers, which is turned into a text so that one parser judges both. */
static enum status read_problem(const struct entry *in, const json_t *object, int target) {
    const json_t *v = json_object_get(object, "problem");
    if (json_is_string(v)) return parse_text(in, json_string_value(v), target); /* jansson lets no NUL into it */
    if (!json_is_array(v)) return bad_field(in, "problem", "a string like \"4 7 8 8\" or an array of 3 to 6 integers");
    size_t n = json_array_size(v), at = 0;
    char text[24 * (CD_MAX + 1)] = "";
    for (size_t i = 0; i < n && i <= CD_MAX; i++) {
        const json_t *number = json_array_get(v, i);
        if (!json_is_integer(number)) return bad_field(in, "problem", "an array of integers only");
        at += (size_t)snprintf(text + at, sizeof text - at, "%lld ", (long long)json_integer_value(number));
    }
    return parse_text(in, text, target);
}

static enum status parse_object(const struct entry *in, const char *text, size_t size) {
    json_error_t why;
    int target = in->default_target;
    json_t *object = json_loadb(text, size, JSON_REJECT_DUPLICATES, &why);
    if (!object) return error_set(in->e, ERR_INPUT, "line %ld, column %d: %s", in->number, why.column, why.text);
    enum status s = read_id(in, object);
    if (!s) s = read_task(in, object);
    if (!s) s = read_target(in, object, &target);
    if (!s) s = read_problem(in, object, target);
    json_decref(object);
    return s;
}

/* -- lines -- */

static enum status parse_line(const struct entry *in, const char *line) {
    size_t size;
    const char *text = trim(line, &size);
    snprintf(in->p->id, sizeof in->p->id, "%ld", in->number);
    if (size == 0) return error_set(in->e, ERR_INPUT, "line %ld: empty", in->number);
    return *text == '{' ? parse_object(in, text, size) : parse_text(in, text, in->default_target);
}

static enum status parse_countdown(const struct task *t, const char *line, long number, struct problem *p,
                                   struct error *e) {
    struct problem r = {.task = t};
    struct entry in = {t, number, 0, &r, e};
    enum status s = parse_line(&in, line);
    if (!s) *p = r;
    return s;
}

static enum status parse_game24(const struct task *t, const char *line, long number, struct problem *p,
                                struct error *e) {
    struct problem r = {.task = t};
    struct entry in = {t, number, 24, &r, e};
    enum status s = parse_line(&in, line);
    if (s) return s;
    if (r.countdown.n != 4)
        return error_set(e, ERR_INPUT, "line %ld: %d numbers; game24 takes 4", number, r.countdown.n);
    if (r.countdown.target != 24)
        return error_set(e, ERR_INPUT, "line %ld: target %d; game24 has target 24, countdown any", number,
                         r.countdown.target);
    *p = r;
    return OK;
}

static size_t prompt(const struct problem *p, char *text, size_t cap) { return cd_prompt(&p->countdown, text, cap); }

static bool check(const struct problem *p, const char *solution) {
    return cd_check(&p->countdown, solution, NULL, NULL);
}

static int check_steps(const struct problem *p, const char *solution) {
    int n_ok;
    cd_check(&p->countdown, solution, &n_ok, NULL);
    return n_ok;
}

static size_t answer(const struct problem *p, const char *solution, bool canonical, char *out, size_t cap) {
    return cd_expression(&p->countdown, solution, canonical, out, cap);
}

const struct task task_table[] = {
    {"game24", "four numbers to 24 with + - * /", parse_game24, prompt, check, check_steps, answer},
    {"countdown", "3 to 6 numbers to a target with + - * /", parse_countdown, prompt, check, check_steps, answer},
    {0},
};

const struct task *task_find(const char *name) {
    for (const struct task *t = task_table; t->name; t++)
        if (strcmp(t->name, name) == 0) return t;
    return NULL;
}
