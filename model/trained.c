/* trained.c: see trained.h.
 * Not a list of tasks: tasks/task.c has it.
 * Next: net.c. */
#include "model/trained.h"

#include <string.h>

void trained_write(const struct trained *t, struct gguf_writer *w) {
    if (*t->tasks) gguf_add_string(w, "ponder.tasks", t->tasks);
    if (t->revises) gguf_add_bool(w, "ponder.revises", true);
}

enum status trained_read(const struct gguf *g, struct trained *out, struct error *e) {
    struct gguf_string tasks = {"", 0};
    *out = (struct trained){.revises = false};
    enum status s = gguf_has(g, "ponder.tasks") ? gguf_get_string(g, "ponder.tasks", &tasks, e) : OK;
    if (!s) s = gguf_get_bool_or(g, "ponder.revises", false, &out->revises, e);
    if (!s && tasks.size >= sizeof out->tasks)
        s = error_set(e, ERR_INPUT, "%s: ponder.tasks has %zu bytes, allowed %zu", gguf_name(g), tasks.size,
                      sizeof out->tasks - 1);
    if (!s) memcpy(out->tasks, tasks.data, tasks.size);
    return s;
}

bool trained_for(const struct trained *t, const char *task) {
    size_t n = strlen(task);
    for (const char *at = t->tasks; *at; at += strcspn(at, ","), at += *at == ',')
        if (!strncmp(at, task, n) && (at[n] == ',' || !at[n])) return true;
    return false;
}
