/* task.c: the task table, and what the lines of all tasks have in common.
 * Not a file reader: the caller splits lines and skips empty ones.
 * Next: task_numbers.c and task_words.c; solve/solver.c, which uses the rows. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/rng.h"
#include "tasks/task_internal.h"

/* -- styles -- */

/* A blank line between steps is what most models write anyway; the box is what they were trained to end with. */
#define STEP_BY_STEP                                                                                                   \
    "step by step, with a blank line after each step. At the end, write the final answer, and nothing else, "          \
    "inside \\boxed{}."

#define STEPS .delimiter = "\n", .max_step_tokens = 64, .asks = {[ASK_REVISE] = "%s\n" TRY_GIVEN_UP "\n"}
/* Only the numbers game has a reward model that can guide a tree (docs/RESULTS.md). */
const struct task_style style_numbers = {.search = "mcts", STEPS}, style_steps = {.search = "maj", STEPS};

const struct task_style style_prose = {
    .delimiter = "\n\n",
    .search = "maj",
    .max_depth = 32,
    .max_step_tokens = 256,
    .prose = true,
    .asks = {[ASK_SOLVE] = "Work this out " STEP_BY_STEP,
             [ASK_PROPOSE] = "The work so far:\n\n%s\n\nWrite the next step, and nothing else.",
             [ASK_JUDGE] = "A solution:\n\n%s\n\nIs every step of it right, and its answer? Reply with Yes or No.",
             [ASK_CRITIQUE] = "A solution:\n\n%s\n\nName the first mistake in it, in one or two sentences. "
                              "If there is none, reply that it is right.",
             [ASK_REVISE] = "An earlier try:\n\n%s\n\nIt may hold mistakes. Solve the problem again, " STEP_BY_STEP,
             [ASK_DECOMPOSE] = "Split this problem into smaller questions whose answers lead to its own. "
                               "Write one question a line, without answers.",
             [ASK_PART] = "Answer only this part of it, in a few words: %s",
             [ASK_COMPOSE] = "What is known of its parts:\n\n%s\n\nUse it to work out the whole problem " STEP_BY_STEP,
             [ASK_COMPARE] = "Some solutions:\n\n%s\n\nWhich of them is right? Reply with its number, and nothing "
                             "else."},
    .cue = "\nAnswer:"};

/* -- the table -- */

const char task_names[] = "game24, countdown, puzzle24, chain_sum, basic_arithmetic, multistep_arithmetic_two, "
                          "boolean_expressions, n_queens, path_star, quantum_lock, jugs, tower_of_hanoi, mini_sudoku, "
                          "futoshiki, knights_knaves, kakurasu, math, gsm8k, code";
const struct task *const task_table[] = {
    &game24_task,
    &countdown_task,
    &puzzle24_task,
    &chain_sum_task,
    &basic_arithmetic_task,
    &multistep_arithmetic_task,
    &boolean_expressions_task,
    &n_queens_task,
    &path_star_task,
    &quantum_lock_task,
    &jugs_task,
    &tower_of_hanoi_task,
    &mini_sudoku_task,
    &futoshiki_task,
    &knights_knaves_task,
    &kakurasu_task,
    &math_task,
    &gsm8k_task,
    &code_task,
    NULL,
};

const struct task *task_find(const char *name) {
    for (const struct task *const *t = task_table; *t; t++)
        if (strcmp((*t)->name, name) == 0) return *t;
    return NULL;
}

enum status problem_set_text(struct problem *p, const char *text, size_t size, const char *reference, struct error *e) {
    size_t n = reference ? strlen(reference) : 0;
    char *at = mem_new(size + n + 2, 1);
    if (!at) return error_set(e, ERR_MEMORY, "no memory for a problem of %zu bytes", size);
    memcpy(at, text, size);
    memcpy(at + size + 1, reference ? reference : "", n); /* mem_new gives zeros: both end */
    p->text = at, p->reference = at + size + 1;
    return OK;
}

void problem_free(struct problem *p) {
    mem_free(p->text);
    mem_free(p->own);
    p->text = NULL, p->reference = NULL, p->own = NULL;
}

const char *problem_last_try(const struct problem *p, const char *chain) {
    for (const char *line = chain; !p->task->style->prose && *line;) {
        size_t size = strcspn(line, "\n");
        bool ends = size == strlen(TRY_GIVEN_UP) && !memcmp(line, TRY_GIVEN_UP, size);
        line += size + (line[size] == '\n');
        if (ends) chain = line;
    }
    return chain;
}

struct judgement problem_judge(const struct problem *p, const char *chain) {
    return p->task->judge(p, problem_last_try(p, chain));
}

size_t problem_answer(const struct problem *p, const char *chain, char *out, size_t cap) {
    return p->task->answer(p, problem_last_try(p, chain), out, cap);
}

size_t problem_vote(const struct problem *p, const char *chain, char *out, size_t cap) {
    return p->task->vote(p, problem_last_try(p, chain), out, cap);
}

float problem_oracle(const struct problem *p, const char *chain) {
    return p->task->oracle(p, problem_last_try(p, chain));
}

uint64_t problem_state(const struct problem *p, const char *chain) {
    return p->task->state ? p->task->state(p, problem_last_try(p, chain)) : STATE_UNKNOWN;
}

enum verdict problem_verdict(const struct problem *p, const char *chain) {
    struct judgement j = problem_judge(p, chain);
    return !j.known ? VERDICT_NONE : j.reward >= 1 ? VERDICT_RIGHT : VERDICT_WRONG;
}

/* The longest are moves of a tower: 32 bytes for a step of three; and boards, which need no chain. */
size_t problem_answer_room(const struct problem *p, const char *chain) {
    return 4096 + strlen(p->text) + 16 * strlen(chain);
}

/* FNV-1a. */
uint64_t problem_hash(const struct problem *p) {
    uint64_t h = 0xcbf29ce484222325u;
    for (const char *c = p->text; *c; c++) h = (h ^ (unsigned char)*c) * 0x100000001b3u;
    return h;
}

uint64_t problem_content(const struct problem *p) { return p->task->content ? p->task->content(p) : problem_hash(p); }

bool problem_is_held_out(const struct problem *p) {
    uint64_t content = problem_content(p);
    if (is_official(content)) return true;
    return p->task->held_out ? p->task->held_out(p) : rng_fold(content, 0) % 16 == 0;
}

/* `text` with the "%s" in it replaced; at most one is there. */
char *problem_ask(const struct problem *p, enum ask ask, const char *so_far, bool message) {
    const struct task_style *style = p->task->style;
    const char *cue = ask == ASK_SOLVE ? (style->cue ? style->cue : "") : style->prose ? NULL : style->asks[ask];
    const char *asks = message ? style->asks[ask] : cue;
    if (!asks) return NULL;
    const char *gap = message ? "\n\n" : "", *hole = strstr(asks, "%s");
    int head = hole ? (int)(hole - asks) : (int)strlen(asks);
    size_t size = strlen(p->text) + strlen(gap) + strlen(asks) + strlen(so_far) + 1;
    char *all = mem_new(size, 1);
    if (all) snprintf(all, size, "%s%s%.*s%s%s", p->text, gap, head, asks, hole ? so_far : "", hole ? hole + 2 : "");
    return all;
}

struct task_draw task_level(const struct task *t, bool hard) {
    struct task_draw d = {.any = false};
    for (int i = 0; t->knobs && t->knobs[i].name; i++) d.knobs[i] = hard ? t->knobs[i].hard : t->knobs[i].easy;
    return d;
}

enum status task_set_knobs(const struct task *t, const char *text, struct task_draw *d, struct error *e) {
    static const struct knob none = {0};
    const struct knob *knobs = t->knobs ? t->knobs : &none;
    while (*text) {
        size_t name = strcspn(text, "=,"), i = 0;
        while (knobs[i].name && (strlen(knobs[i].name) != name || strncmp(knobs[i].name, text, name) != 0)) i++;
        const struct knob *k = &knobs[i];
        if (!k->name)
            return error_set(e, ERR_INPUT, "%s has no \"%.*s\"; --knobs list shows what it has", t->name, (int)name,
                             text);
        char *end = NULL;
        long v = text[name] == '=' ? strtol(text + name + 1, &end, 10) : 0;
        if (!end || end == text + name + 1 || (*end && *end != ',') || v < k->low || v > k->high)
            return error_set(e, ERR_INPUT, "%s takes %d to %d", k->name, k->low, k->high);
        d->knobs[i] = (int)v;
        text = end + (*end == ',');
    }
    for (int i = 0; knobs[i].name && knobs[i + 1].name; i++)
        if (!strncmp(knobs[i].name, "min_", 4) && !strncmp(knobs[i + 1].name, "max_", 4) &&
            d->knobs[i] > d->knobs[i + 1])
            return error_set(e, ERR_INPUT, "%s is %d and %s is %d", knobs[i].name, d->knobs[i], knobs[i + 1].name,
                             d->knobs[i + 1]);
    return OK;
}

struct judgement judged(bool right, const char *format, ...) {
    struct judgement j = {.known = true, .reward = right};
    va_list args;
    va_start(args, format);
    if (!right) vsnprintf(j.reason, sizeof j.reason, format, args);
    va_end(args);
    return j;
}

/* -- lines -- */

enum status entry_bad_field(const struct entry *in, const char *field, const char *allowed) {
    return error_set(in->e, ERR_INPUT, "line %ld: \"%s\" must be %s", in->number, field, allowed);
}

/* `text` without byte-order mark, line end and blanks around it. */
static const char *trim(const char *text, size_t *size) {
    if (strncmp(text, "\xEF\xBB\xBF", 3) == 0) text += 3;
    text += strspn(text, " \t\r\n");
    *size = strlen(text);
    while (*size && strchr(" \t\r\n", text[*size - 1])) --*size;
    return text;
}

/* Optional "id": a short string or an integer. */
static enum status read_id(struct entry *in) {
    const json_t *id = json_object_get(in->object, "id");
    size_t cap = sizeof in->p.id;
    if (!id) return OK;
    if (json_is_integer(id)) {
        snprintf(in->p.id, cap, "%lld", (long long)json_integer_value(id));
        return OK;
    }
    const char *allowed = "an integer or a string of 1 to 63 bytes without control characters";
    size_t size = json_string_length(id); /* 0 when it is no string */
    if (size == 0 || size >= cap) return entry_bad_field(in, "id", allowed);
    for (const char *c = json_string_value(id); *c; c++)
        if ((unsigned char)*c < ' ' || *c == 0x7F) return entry_bad_field(in, "id", allowed);
    snprintf(in->p.id, cap, "%s", json_string_value(id));
    return OK;
}

/* Optional "task": must name the task that reads the line. */
static enum status read_task(const struct entry *in) {
    const json_t *task = json_object_get(in->object, "task");
    if (!task) return OK;
    if (!json_is_string(task)) return entry_bad_field(in, "task", "a string");
    if (strcmp(json_string_value(task), in->task->name) == 0) return OK;
    return error_set(in->e, ERR_INPUT, "line %ld: \"task\" is \"%.40s\" in a run of %s", in->number,
                     json_string_value(task), in->task->name);
}

enum status entry_open(struct entry *in, const char *line) {
    json_error_t why;
    in->p = (struct problem){.task = in->task};
    in->object = NULL;
    in->text = trim(line, &in->size);
    snprintf(in->p.id, sizeof in->p.id, "%ld", in->number);
    if (in->size == 0) return error_set(in->e, ERR_INPUT, "line %ld: empty", in->number);
    if (*in->text != '{') return OK;
    in->object = json_loadb(in->text, in->size, JSON_REJECT_DUPLICATES, &why);
    if (!in->object) return error_set(in->e, ERR_INPUT, "line %ld, column %d: %s", in->number, why.column, why.text);
    enum status s = read_id(in);
    if (!s) s = read_task(in);
    if (s) entry_close(in);
    return s;
}

void entry_close(struct entry *in) {
    json_decref(in->object);
    in->object = NULL;
}
