/* models.c: see models.h.
 * Not a registry: a file says itself what it was trained for.
 * Next: session.c. */
#include "solve/models.h"

#include <stdio.h>
#include <string.h>

#include "solve/session.h"
#include "tokenizer/vocab.h"
#include "weights/embedded.h"

static const char numbers_game[] = "game24,countdown,puzzle24";

enum status models_tasks(const struct gguf *file, struct trained *out, struct error *e) {
    enum gguf_kind kind;
    size_t n = 0;
    struct error ignored;
    enum status s = trained_read(file, out, e);
    bool numbers = !gguf_get_array(file, "tokenizer.ggml.tokens", &kind, &n, &ignored) && n == VOCAB_SIZE;
    if (!s && !*out->tasks && numbers) snprintf(out->tasks, sizeof out->tasks, "%s", numbers_game);
    return s;
}

const char *models_for(const char *name, const char *role, const struct task *t) {
    if (strcmp(name, "embedded")) return name;
    for (const struct embedded *m = embedded_table; m->name; m++) {
        struct gguf *file;
        struct trained about;
        struct error e;
        const char *end = strrchr(m->name, '-');
        if (!end || strcmp(end + 1, role) || gguf_open_memory(m->data, m->size_bytes, m->name, &file, &e)) continue;
        bool fits = !models_tasks(file, &about, &e) && trained_for(&about, t->name);
        gguf_close(&file);
        if (fits) return m->name;
    }
    return name;
}

/* Numbers, and perhaps a target. */
static bool is_numbers(const char *text) { return !text[strspn(text, "0123456789 ,\t\r\n->=")]; }

static void add_task(struct trained *to, const char *name) {
    const size_t n = strlen(to->tasks);
    if (*name && !trained_for(to, name) && n + strlen(name) + 2 <= sizeof to->tasks)
        sprintf(to->tasks + n, "%s%s", n ? "," : "", name);
}

/* What all models inside the binary know together. */
static void tasks_inside(struct trained *out) {
    *out = (struct trained){.revises = false};
    for (const struct embedded *m = embedded_table; m->name; m++) {
        struct gguf *file;
        struct trained about;
        struct error e;
        if (gguf_open_memory(m->data, m->size_bytes, m->name, &file, &e)) continue;
        char *rest = about.tasks, *name;
        if (!models_tasks(file, &about, &e))
            while ((name = strsep(&rest, ","))) add_task(out, name);
        gguf_close(&file);
    }
}

/* The only task that reads the text, of those that a model knows. */
static enum status task_reading(const char *text, const struct trained *known, const struct task **task,
                                struct error *e) {
    char names[256] = "";
    int n = 0;
    for (const struct task *const *t = task_table; *t; t++) {
        struct problem p;
        if ((*t)->style->prose || !trained_for(known, (*t)->name)) continue;
        if (*task && (*t)->oracle && (*t)->oracle == (*task)->oracle) continue; /* another name of the same game */
        if ((*t)->parse_text(*t, text, &p, NULL)) continue;
        problem_free(&p);
        size_t at = strlen(names);
        snprintf(names + at, sizeof names - at, "%s%s", n++ ? " or " : "", (*t)->name);
        if (!*task) *task = *t;
    }
    if (n == 1) return OK;
    if (n) return error_set(e, ERR_INPUT, "\"%.60s\" could be a problem of %s: say which with --task", text, names);
    return error_set(e, ERR_INPUT,
                     "\"%.60s\" is a problem of no task that the model knows (%.200s); questions in words need another "
                     "model: -m FILE",
                     text, known->tasks);
}

enum status models_known(const char *policy, struct trained *out, struct error *e) {
    struct gguf *file;
    enum status s = session_open_file(policy, "policy", &file, e);
    if (s) return s;
    s = models_tasks(file, out, e);
    gguf_close(&file);
    if (!s && !strcmp(policy, "embedded")) tasks_inside(out);
    return s;
}

enum status models_pick(const struct trained *known, const char *text, const struct task **task, struct error *e) {
    bool numbers = trained_for(known, "game24") && (!text || is_numbers(text));
    *task = NULL;
    if (!*known->tasks) *task = task_find("math");
    else if (!strchr(known->tasks, ',')) *task = task_find(known->tasks);
    else if (numbers) *task = task_find(text && strpbrk(text, ">=") ? "countdown" : "game24");
    else if (text && !task_reading(text, known, task, e)) return OK;
    else if (text && (*task || !trained_for(known, "game24") || !strchr("-0123456789", *text))) return ERR_INPUT;
    else if (text) *task = task_find("game24"); /* which says what is wrong with these numbers */
    else return error_set(e, ERR_INPUT, "--task is missing: the model knows %.200s", known->tasks);
    return *task ? OK
                 : error_set(e, ERR_INPUT, "the model was trained for \"%.60s\", which is no task here", known->tasks);
}
