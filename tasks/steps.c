/* steps.c: see steps.h.
 * Not a task.
 * Next: tasks/jugs.c. */
#include "tasks/steps.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

/* -- lines to problems -- */

enum status steps_problem(const struct task *t, const void *own, struct problem *p, struct error *e) {
    struct problem made = {.task = t, .id = "1"};
    char text[COMPACT];
    t->kind->write(own, text);
    enum status s = problem_set_text(&made, text, strlen(text), NULL, e);
    if (s) return s;
    if (!(made.own = mem_new(1, t->kind->size))) {
        problem_free(&made);
        return error_set(e, ERR_MEMORY, "no memory for a problem");
    }
    memcpy(made.own, own, t->kind->size);
    made.max_depth = t->kind->depth ? t->kind->depth(own) : 0;
    *p = made;
    return OK;
}

/* `where` begins the message. */
static enum status read_text(const struct task *t, const char *text, const char *where, struct problem *p,
                             struct error *e) {
    char why[96] = "";
    void *own = mem_new(1, t->kind->size);
    if (!own) return error_set(e, ERR_MEMORY, "no memory for a problem");
    enum status s = t->kind->read(text, own, why)
                        ? steps_problem(t, own, p, e)
                        : error_set(e, ERR_INPUT, "%sno problem of %s: %s", where, t->name, why);
    mem_free(own);
    return s;
}

enum status steps_parse_text(const struct task *t, const char *text, struct problem *p, struct error *e) {
    return read_text(t, text, "", p, e);
}

/* The text of the first field that is there. */
static const char *question_of(const struct entry *in) {
    static const char *const usual[] = {"question", "problem", "input"};
    for (int i = 0; i < 3; i++) {
        const char *text = json_string_value(json_object_get(in->object, usual[i]));
        if (text) return text;
    }
    return NULL;
}

enum status steps_parse(const struct task *t, const char *line, long number, struct problem *p, struct error *e) {
    struct entry in = {.task = t, .number = number, .e = e};
    char where[40];
    struct problem made;
    snprintf(where, sizeof where, "line %ld: ", number);
    enum status s = entry_open(&in, line);
    const char *text = s ? NULL : in.object ? question_of(&in) : in.text;
    if (!s && !text) s = entry_bad_field(&in, "question", "a text (also \"problem\" or \"input\")");
    if (!s) s = read_text(t, text, where, &made, e);
    if (!s) {
        memcpy(made.id, in.p.id, sizeof made.id);
        *p = made;
    }
    entry_close(&in);
    return s;
}

struct judgement steps_judge(const struct problem *p, const char *chain) {
    size_t room = problem_answer_room(p, chain);
    char *answer = mem_new(room, 1);
    if (!answer) return judged(false, "no memory for an answer");
    size_t n = p->task->answer(p, chain, answer, room);
    struct judgement j = n ? p->task->judge_answer(p, answer) : judged(false, "the chain comes to no answer");
    mem_free(answer);
    return j;
}

/* -- text -- */

bool next_line(const char **at, char *line, size_t cap) {
    if (!**at) return false;
    size_t size = strcspn(*at, "\n"), kept = size < cap ? size : cap - 1;
    memcpy(line, *at, kept);
    line[kept] = 0;
    *at += size + ((*at)[size] == '\n');
    return true;
}

size_t put(char *out, size_t cap, size_t n, const char *format, ...) {
    if (n + 1 >= cap) return n;
    va_list args;
    va_start(args, format);
    int size = vsnprintf(out + n, cap - n, format, args);
    va_end(args);
    return (size_t)size < cap - n ? n + (size_t)size : cap - 1;
}

bool take(const char **at, const char *word) {
    size_t n = strlen(word);
    if (strncmp(*at, word, n) != 0) return false;
    *at += n;
    return true;
}

bool take_int(const char **at, long *value) {
    const char *s = *at + (**at == '-');
    size_t n = strspn(s, "0123456789");
    if (n == 0 || n > 18) return false;
    *value = strtol(*at, NULL, 10);
    *at = s + n;
    return true;
}

bool take_small(const char **at, long low, long high, int *value) {
    const char *s = *at;
    long v;
    if (!take_int(&s, &v) || v < low || v > high) return false;
    *value = (int)v, *at = s;
    return true;
}

void skip_space(const char **at) { *at += strspn(*at, " \t\r\n"); }

const char *after(const char *text, const char *mark) {
    const char *found = strstr(text, mark);
    return found ? found + strlen(mark) : NULL;
}

uint64_t hash_text(const char *text) {
    uint64_t h = 0xcbf29ce484222325u; /* FNV-1a */
    for (; *text; text++) h = (h ^ (unsigned char)*text) * 0x100000001b3u;
    return h | 2;
}

int draw_int(uint64_t key, uint64_t *counter, int low, int high) {
    return low + (int)rng_below(key, (*counter)++, (uint32_t)(high - low + 1));
}

void draw_shuffle(uint64_t key, uint64_t *counter, int *items, int n) {
    for (int i = n - 1; i > 0; i--) {
        int j = draw_int(key, counter, 0, i), swap = items[i];
        items[i] = items[j], items[j] = swap;
    }
}
