/* task_numbers.c: Game of 24 and countdown as rows of the task table.
 * Not the rules: countdown.c.
 * Next: countdown.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tasks/task_internal.h"

/* -- reading -- */

static enum status parse_numbers(struct entry *in, const char *text, int target) {
    struct error why;
    enum status s = cd_parse(text, target, &in->p.countdown, &why);
    return s ? error_set(in->e, s, "line %ld: %s", in->number, why.text) : OK;
}

/* An integer, also as a string of digits; -1 for anything else. */
static json_int_t whole_number(const json_t *v) {
    if (json_is_integer(v)) return json_integer_value(v);
    size_t size = json_string_length(v); /* 0 when v is no string */
    if (size == 0 || size > 9 || strspn(json_string_value(v), "0123456789") != size) return -1;
    return strtol(json_string_value(v), NULL, 10);
}

/* "target", else "answer", into *target.  An answer may also be another text, a solution: it names no target. */
static enum status read_target(const struct entry *in, int *target) {
    const char *field = json_object_get(in->object, "target") ? "target" : "answer";
    const json_t *v = json_object_get(in->object, field);
    json_int_t t = whole_number(v);
    bool is_solution = t < 0 && (json_is_string(v) || json_is_null(v)) && strcmp(field, "answer") == 0;
    if (!v || is_solution) return OK;
    if (t < 1 || t > 9999) return entry_bad_field(in, field, "a whole number from 1 to 9999");
    *target = (int)t;
    return OK;
}

/* "problem": a text, or an array of integers, which is turned into a text so that one parser judges both. */
static enum status read_problem(struct entry *in, int target) {
    const json_t *v = json_object_get(in->object, "problem");
    if (json_is_string(v)) return parse_numbers(in, json_string_value(v), target); /* jansson lets no NUL into it */
    if (!json_is_array(v))
        return entry_bad_field(in, "problem", "a string like \"4 7 8 8\" or an array of 3 to 6 integers");
    size_t n = json_array_size(v), at = 0;
    char text[24 * (CD_MAX + 1)] = "";
    for (size_t i = 0; i < n && i <= CD_MAX; i++) {
        const json_t *number = json_array_get(v, i);
        if (!json_is_integer(number)) return entry_bad_field(in, "problem", "an array of integers only");
        at += (size_t)snprintf(text + at, sizeof text - at, "%lld ", (long long)json_integer_value(number));
    }
    return parse_numbers(in, text, target);
}

static enum status check_24(const struct entry *in) {
    const struct cd_problem *c = &in->p.countdown;
    if (c->n != 4) return error_set(in->e, ERR_INPUT, "line %ld: %d numbers; game24 takes 4", in->number, c->n);
    if (c->target != 24)
        return error_set(in->e, ERR_INPUT, "line %ld: target %d; game24 has target 24, countdown any", in->number,
                         c->target);
    return OK;
}

/* default_target 0: the line must say it. */
static enum status parse(struct entry *in, const char *line, int default_target, struct problem *p) {
    int target = default_target;
    char prompt[CD_TEXT];
    enum status s = entry_open(in, line);
    if (!s && in->object) s = read_target(in, &target);
    if (!s) s = in->object ? read_problem(in, target) : parse_numbers(in, in->text, target);
    if (!s && default_target) s = check_24(in);
    entry_close(in);
    if (s) return s;
    in->p.max_depth = (uint32_t)in->p.countdown.n - 1; /* each step takes one number away */
    s = problem_set_text(&in->p, prompt, cd_prompt(&in->p.countdown, prompt, sizeof prompt), NULL, in->e);
    if (!s) *p = in->p;
    return s;
}

enum status numbers_parse_any(const struct task *t, const char *line, long number, struct problem *p, struct error *e) {
    return parse(&(struct entry){.task = t, .number = number, .e = e}, line, 0, p);
}

enum status numbers_parse_24(const struct task *t, const char *line, long number, struct problem *p, struct error *e) {
    return parse(&(struct entry){.task = t, .number = number, .e = e}, line, 24, p);
}

enum status numbers_text_any(const struct task *t, const char *text, struct problem *p, struct error *e) {
    return numbers_parse_any(t, text, 1, p, e);
}

enum status numbers_text_24(const struct task *t, const char *text, struct problem *p, struct error *e) {
    return numbers_parse_24(t, text, 1, p, e);
}

/* -- solutions -- */

enum verdict numbers_check(const struct problem *p, const char *solution) {
    return cd_check(&p->countdown, solution, NULL, NULL) ? VERDICT_RIGHT : VERDICT_WRONG;
}

/* A chain that makes no expression stands for itself: a vote must not learn from a checker. */
size_t numbers_vote(const struct problem *p, const char *solution, char *out, size_t cap) {
    size_t size = cd_expression(&p->countdown, solution, true, out, cap);
    return size ? size : (size_t)snprintf(out, cap, "%s", solution);
}

/* "4 * (7 - 8 / 8) = 24"; the steps in one line when they make no expression. */
size_t numbers_show(const struct problem *p, const char *solution, char *out, size_t cap) {
    struct cd_state end = {0};
    size_t size = cd_expression(&p->countdown, solution, false, out, cap);
    if (size && size < cap) {
        cd_check(&p->countdown, solution, NULL, &end);
        int more = snprintf(out + size, cap - size, end.left[0].den == 1 ? " = %lld" : " = %lld/%lld",
                            (long long)end.left[0].num, (long long)end.left[0].den);
        return size + (size_t)more;
    }
    size = 0;
    for (const char *c = solution; *c && size + 3 < cap; c++) {
        if (*c == '\n') out[size++] = ',';
        else if (size || *c != ' ') out[size++] = *c >= ' ' && *c <= '~' ? *c : '?';
    }
    out[size] = 0;
    return size;
}

static int count_lines(const char *text) {
    int n = 0;
    for (const char *line = text; *line; n++) {
        const char *end = strchr(line, '\n');
        line = end ? end + 1 : line + strlen(line);
    }
    return n;
}

float numbers_oracle(const struct problem *p, const char *solution) {
    struct cd_state end;
    int n_ok;
    if (cd_check(&p->countdown, solution, &n_ok, &end)) return 1;
    if (n_ok < count_lines(solution)) return 0;
    return end.n > 1 && cd_count_solutions(&end, p->countdown.target, true) > 0;
}
