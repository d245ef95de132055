/* cmd_models.c: the models inside the binary, and files that are named, with their sizes and the tasks they were trained for.
 * Not what a model costs to run: cmd_inspect.c.
 * Next: solve/models.h. */
#include <jansson.h>
#include <stdio.h>

#include "cli/command.h"
#include "solve/models.h"
#include "solve/session.h"
#include "weights/embedded.h"

struct options {
    bool json;
};

static const struct flag flags[] = {
    {"json", NULL, FLAG_YES, offsetof(struct options, json), NULL, 0, 0, NULL, "one JSON object a line"},
    {0},
};

static enum status show(const struct options *o, const char *name, const char *where, struct error *e) {
    struct gguf *file;
    struct trained about;
    uint64_t weights = 0, bytes = 0;
    enum status s = session_open_file(name, "policy", &file, e);
    if (s) return s;
    s = models_tasks(file, &about, e);
    for (size_t i = 0; i < gguf_n_tensors(file); i++) {
        const struct gguf_tensor *t = gguf_tensor_at(file, i);
        weights += t->dims[0] * t->dims[1] * t->dims[2] * t->dims[3], bytes += t->size_bytes;
    }
    gguf_close(&file);
    const char *tasks = *about.tasks ? about.tasks : "words";
    if (s) return s;
    if (!o->json)
        printf("%-20s %8.2f M weights %8.2f MB  %-7s %s\n", name, (double)weights / 1e6, (double)bytes / 1e6, where,
               tasks);
    else {
        json_t *j = json_pack("{s:s,s:I,s:I,s:s,s:s,s:b}", "name", name, "weights", (json_int_t)weights, "bytes",
                              (json_int_t)bytes, "where", where, "tasks", tasks, "revises", about.revises);
        json_dumpf(j, stdout, JSON_COMPACT), putchar('\n');
        json_decref(j);
    }
    return OK;
}

int cmd_models(int argc, char **argv) {
    struct options o = {0};
    struct args a = {.command = "models",
                     .usage = "[FILE]...",
                     .flags = flags,
                     .options = &o,
                     .about =
                         "Lists the models inside the binary, or FILEs, with their tasks; \"words\": models of others.\n"};
    struct error e;
    int code = args_parse(&a, argc, argv);
    if (code != ARGS_GO_ON) return code;
    enum status s = OK;
    for (const struct embedded *m = embedded_table; m->name && !s && !a.n_rest; m++) s = show(&o, m->name, "inside", &e);
    for (int i = 0; i < a.n_rest && !s; i++) s = show(&o, a.rest[i], "file", &e);
    return s ? args_failed(&a, e.text) : EXIT_GOOD;
}
