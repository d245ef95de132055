/* task_numbers.c: Game of 24, countdown and puzzle24 as rows of the task table.
 * Not the rules: countdown.c; and not where problems come from: numbers_gen.c.
 * Next: countdown.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/rng.h"
#include "tasks/countdown.h"
#include "tasks/numbers.h"

static const struct cd_problem *own_of(const struct problem *p) { return &((const struct numbers *)p->own)->c; }
static bool is_posed(const struct problem *p) { return ((const struct numbers *)p->own)->posed; }

enum status numbers_set(struct problem *p, const struct numbers *given, struct error *e) {
    char prompt[CD_TEXT];
    enum status s = problem_set_text(p, prompt, cd_prompt(&given->c, prompt, sizeof prompt), NULL, e);
    if (s) return s;
    struct numbers *own = p->own = mem_new(1, sizeof *own);
    if (!own) {
        problem_free(p);
        return error_set(e, ERR_MEMORY, "no memory for a problem");
    }
    *own = *given;
    p->max_depth = (uint32_t)given->c.n - 1; /* each step takes one number away */
    return OK;
}

/* -- reading -- */

static enum status parse_numbers(struct entry *in, const char *text, int target, struct cd_problem *c) {
    struct error why;
    enum status s = cd_parse(text, target, c, &why);
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
static enum status read_problem(struct entry *in, int target, struct cd_problem *c) {
    const json_t *v = json_object_get(in->object, "problem");
    if (json_is_string(v)) return parse_numbers(in, json_string_value(v), target, c); /* jansson lets no NUL into it */
    if (!json_is_array(v))
        return entry_bad_field(in, "problem", "a string like \"4 7 8 8\" or an array of 3 to 9 integers");
    size_t n = json_array_size(v), at = 0;
    char text[24 * (CD_MAX + 1)] = "";
    for (size_t i = 0; i < n && i <= CD_MAX; i++) {
        const json_t *number = json_array_get(v, i);
        if (!json_is_integer(number)) return entry_bad_field(in, "problem", "an array of integers only");
        at += (size_t)snprintf(text + at, sizeof text - at, "%lld ", (long long)json_integer_value(number));
    }
    return parse_numbers(in, text, target, c);
}

static enum status check_24(const struct entry *in, const struct cd_problem *c) {
    if (c->n != 4) return error_set(in->e, ERR_INPUT, "line %ld: %d numbers; game24 takes 4", in->number, c->n);
    if (c->target != 24)
        return error_set(in->e, ERR_INPUT, "line %ld: target %d; game24 has target 24, countdown any", in->number,
                         c->target);
    return OK;
}

/* The published wordings; false when the text is none of them.  *plain: the same as "1 2 3 -> 6". */
static bool read_wording(const char *text, char *plain, size_t cap) {
    static const struct {
        const char *before_list, *before_target; /* the first as it stands in the text, the second too */
    } wordings[] = {{"Using all the numbers ", "that equals "},
                    {"using all of these numbers: ", "Find a way to make "},
                    {"using all of these numbers: ", "Calculate "},
                    {" using ", "Make "}};
    for (size_t i = 0; i < sizeof wordings / sizeof *wordings; i++) {
        const char *list = strstr(text, wordings[i].before_list), *target = strstr(text, wordings[i].before_target);
        if (!list || !target) continue;
        list += strlen(wordings[i].before_list), target += strlen(wordings[i].before_target);
        snprintf(plain, cap, "%.*s -> %.*s", (int)strspn(list, "0123456789, "), list, (int)strspn(target, "0123456789"),
                 target);
        return true;
    }
    return false;
}

/* default_target 0: the line must say it. */
static enum status parse(struct entry *in, const char *line, int default_target, struct problem *p) {
    struct numbers made = {.posed = false};
    int target = default_target;
    char plain[512];
    enum status s = entry_open(in, line);
    if (s) return s;
    const char *question = json_string_value(json_object_get(in->object, "question"));
    if (!question && !in->object) question = in->text;
    made.posed = question && read_wording(question, plain, sizeof plain);
    if (made.posed) s = parse_numbers(in, plain, target, &made.c);
    else if (in->object) {
        s = read_target(in, &target);
        if (!s) s = read_problem(in, target, &made.c);
    } else s = parse_numbers(in, in->text, target, &made.c);
    if (!s && default_target) s = check_24(in, &made.c);
    entry_close(in);
    if (!s) s = numbers_set(&in->p, &made, in->e);
    if (!s) *p = in->p;
    return s;
}

static enum status numbers_parse_any(const struct task *t, const char *line, long number, struct problem *p,
                                     struct error *e) {
    return parse(&(struct entry){.task = t, .number = number, .e = e}, line, 0, p);
}

static enum status numbers_parse_24(const struct task *t, const char *line, long number, struct problem *p,
                                    struct error *e) {
    return parse(&(struct entry){.task = t, .number = number, .e = e}, line, 24, p);
}

static enum status numbers_text_any(const struct task *t, const char *text, struct problem *p, struct error *e) {
    return numbers_parse_any(t, text, 1, p, e);
}

static enum status numbers_text_24(const struct task *t, const char *text, struct problem *p, struct error *e) {
    return numbers_parse_24(t, text, 1, p, e);
}

/* -- solutions -- */

/* The first wrong line of a chain, as a reason. */
static struct judgement wrong_step(const struct cd_problem *c, const char *chain, int n_ok,
                                   const struct cd_state *end) {
    for (int i = 0; i < n_ok; i++) {
        chain += strcspn(chain, "\n");
        chain += *chain == '\n'; /* nothing follows the last step */
    }
    int size = (int)strcspn(chain, "\n");
    if (size) return judged(false, "step %d is wrong:%.*s", n_ok + 1, size < 60 ? size : 60, chain);
    if (end->n > 1) return judged(false, "%d numbers are left, not one", end->n);
    return judged(false, "the result is not %d", c->target);
}

static struct judgement numbers_judge(const struct problem *p, const char *chain) {
    int n_ok;
    struct cd_state end;
    if (cd_check(own_of(p), chain, &n_ok, &end)) return judged(true, "right");
    return wrong_step(own_of(p), chain, n_ok, &end);
}

static struct judgement numbers_judge_answer(const struct problem *p, const char *answer) {
    struct error why = {""};
    if (is_posed(p)) return judged(cd_check_posed(own_of(p), answer, &why), "%s", why.text);
    return judged(cd_check_expression(own_of(p), answer, &why), "%s", why.text);
}

/* A chain that makes no expression stands for itself: a vote must not learn from a checker. */
static size_t numbers_vote(const struct problem *p, const char *chain, char *out, size_t cap) {
    size_t size = cd_expression(own_of(p), chain, true, out, cap);
    return size ? size : (size_t)snprintf(out, cap, "%s", chain);
}

/* "4 * (7 - 8 / 8) = 24", or without what the published wording forbids; the steps in one line when they make no
 * expression. */
static size_t numbers_answer(const struct problem *p, const char *chain, char *out, size_t cap) {
    struct cd_state end = {0};
    size_t size = cd_expression(own_of(p), chain, false, out, cap);
    if (size && is_posed(p)) return size;
    if (size && size < cap) {
        cd_check(own_of(p), chain, NULL, &end);
        int more = snprintf(out + size, cap - size, end.left[0].den == 1 ? " = %lld" : " = %lld/%lld",
                            (long long)end.left[0].num, (long long)end.left[0].den);
        return size + (size_t)more;
    }
    size = 0;
    for (const char *c = chain; *c && size + 3 < cap; c++) {
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

/* Seven numbers have too many ways to be counted for every step of a search. */
static float numbers_oracle(const struct problem *p, const char *chain) {
    struct cd_state end;
    int n_ok;
    if (cd_check(own_of(p), chain, &n_ok, &end)) return 1;
    if (n_ok < count_lines(chain)) return 0;
    if (end.n > 6) return -1;
    return end.n > 1 && cd_count_solutions(&end, own_of(p)->target, true) > 0;
}

static uint64_t numbers_state(const struct problem *p, const char *chain) {
    struct cd_state end;
    int n_ok;
    uint64_t key = 0;
    cd_check(own_of(p), chain, &n_ok, &end);
    if (n_ok < count_lines(chain)) return STATE_WRONG;
    if (end.n == 1 && (end.left[0].num != own_of(p)->target || end.left[0].den != 1)) return STATE_WRONG;
    for (int i = 0; i < end.n; i++) key = rng_fold(rng_fold(key, (uint64_t)end.left[i].num), (uint64_t)end.left[i].den);
    return key | 2;
}

/* Cards to 24; and one in sixteen of the problems with targets that the shipped models never saw. */
static bool numbers_held_out(const struct problem *p) {
    if (cd_is_held_out(own_of(p))) return true;
    return own_of(p)->target > 100 && rng_fold(problem_hash(p), 0) % 16 == 0;
}

/* -- rows -- */

#define NUMBERS                                                                                                        \
    .style = &style_numbers, .judge = numbers_judge, .answer = numbers_answer, .judge_answer = numbers_judge_answer,   \
    .vote = numbers_vote, .oracle = numbers_oracle, .state = numbers_state, .example = numbers_example,                \
    .held_out = numbers_held_out

const struct task game24_task = {.name = "game24",
                                 .summary = "four numbers to 24 with + - * /",
                                 .parse = numbers_parse_24,
                                 .parse_text = numbers_text_24,
                                 .knobs = cards_knobs,
                                 .generate = cards_generate,
                                 NUMBERS};
const struct task countdown_task = {.name = "countdown",
                                    .summary = "3 to 9 numbers to a target with + - * /",
                                    .parse = numbers_parse_any,
                                    .parse_text = numbers_text_any,
                                    .knobs = countdown_knobs,
                                    .generate = countdown_generate,
                                    NUMBERS};
const struct task puzzle24_task = {.name = "puzzle24",
                                   .summary = "four numbers to 24, each used exactly once",
                                   .parse = numbers_parse_24,
                                   .parse_text = numbers_text_24,
                                   .knobs = cards_knobs,
                                   .generate = cards_generate,
                                   NUMBERS};
