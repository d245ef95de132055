/* task.c: the task table, and what the lines of all tasks have in common.
 * Not a file reader: the caller splits lines and skips empty ones.
 * Next: task_numbers.c and task_words.c; solve/solver.c, which uses the rows. */
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "tasks/task_internal.h"

/* A blank line between steps is what most models write anyway; the box is what they were trained to end with. */
static const char ask_for_steps[] = "Work this out step by step, with a blank line after each step. "
                                    "At the end, write the final answer, and nothing else, inside \\boxed{}.";

const char task_names[] = "game24, countdown, math, gsm8k";
const struct task task_table[] = {
    {.name = "game24",
     .summary = "four numbers to 24 with + - * /",
     .delimiter = "\n",
     .max_step_tokens = 64,
     .parse = numbers_parse_24,
     .parse_text = numbers_text_24,
     .check = numbers_check,
     .vote = numbers_vote,
     .show = numbers_show,
     .oracle = numbers_oracle},
    {.name = "countdown",
     .summary = "3 to 6 numbers to a target with + - * /",
     .delimiter = "\n",
     .max_step_tokens = 64,
     .parse = numbers_parse_any,
     .parse_text = numbers_text_any,
     .check = numbers_check,
     .vote = numbers_vote,
     .show = numbers_show,
     .oracle = numbers_oracle},
    {.name = "math",
     .summary = "a problem in words, with an answer or without",
     .delimiter = "\n\n",
     .instruction = ask_for_steps,
     .cue = "\nAnswer:",
     .max_depth = 32,
     .max_step_tokens = 256,
     .parse = words_parse,
     .parse_text = words_text,
     .check = words_check,
     .is_last = words_is_last,
     .vote = words_vote,
     .show = words_show},
    {.name = "gsm8k",
     .summary = "problems in words with their answers, as in the files of GSM8K",
     .delimiter = "\n\n",
     .instruction = ask_for_steps,
     .cue = "\nAnswer:",
     .max_depth = 32,
     .max_step_tokens = 256,
     .parse = words_parse_answered,
     .parse_text = words_text,
     .check = words_check,
     .is_last = words_is_last,
     .vote = words_vote,
     .show = words_show},
    {0},
};

const struct task *task_find(const char *name) {
    for (const struct task *t = task_table; t->name; t++)
        if (strcmp(t->name, name) == 0) return t;
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
    p->text = NULL, p->reference = NULL;
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
    return s ? s : read_task(in);
}

void entry_close(struct entry *in) {
    json_decref(in->object);
    in->object = NULL;
}
