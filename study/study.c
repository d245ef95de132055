/* study.c: see study.h; the folder is read, and its runs are found again.
 * Not a figure: figures.c.
 * Next: figures.c. */
#include "study/study.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/ds.h"
#include "base/mem.h"

/* ---- the folder ---- */

static enum status no_memory(struct error *e) { return error_set(e, ERR_MEMORY, "no memory for a study"); }

static enum status note_failure(struct study *s, const char *text, struct error *e) {
    char *copy = mem_string(text);
    if (copy && ds_push(s->failures, copy)) return OK;
    mem_free(copy);
    return no_memory(e);
}

static enum status read_calibration(struct study *s, const char *path, const char *name, struct error *e) {
    struct calibration_file c = {0};
    FILE *f = fopen(path, "r");
    char *line = NULL;
    size_t cap = 0;
    bool good = f != NULL;
    snprintf(c.name, sizeof c.name, "%.*s", (int)(strlen(name) - strlen("calibration.") - strlen(".jsonl")),
             name + strlen("calibration."));
    while (good && getline(&line, &cap, f) > 0) {
        json_t *object = json_loads(line, 0, NULL);
        good = json_is_object(object) && ds_push(c.lines, object);
        if (!good) json_decref(object);
    }
    free(line);
    if (f) fclose(f);
    if (good && ds_len(c.lines) && ds_push(s->calibrations, c)) return OK;
    for (size_t i = 0; i < ds_len(c.lines); i++) json_decref(c.lines[i]);
    ds_free(c.lines);
    char text[400];
    snprintf(text, sizeof text, "%.300s: no lines of ponder calibrate --json", path);
    return note_failure(s, text, e);
}

static enum status read_run(struct study *s, const char *path, const char *name, struct error *e) {
    struct study_run r = {0};
    struct error why;
    snprintf(r.group, sizeof r.group, "%.*s", (int)strcspn(name, "."), name);
    enum status st = run_open(path, &r.run, &why);
    if (st == ERR_MEMORY) return error_set(e, st, "%s", why.text);
    if (st) return note_failure(s, why.text, e);
    json_int_t want = json_integer_value(json_object_get(r.run.results.header, "problems"));
    if (want > r.run.n) {
        char text[400];
        snprintf(text, sizeof text, "%.300s: holds %u of %lld problems", path, r.run.n, (long long)want);
        run_close(&r.run);
        return note_failure(s, text, e);
    }
    if (ds_push(s->runs, r)) return OK;
    run_close(&r.run);
    return no_memory(e);
}

/* Lines of FOLDER/failures.txt, if it is there: runs that made no file. */
static enum status read_failures(struct study *s, const char *folder, struct error *e) {
    char path[1024], line[1024];
    enum status st = OK;
    snprintf(path, sizeof path, "%s/failures.txt", folder);
    FILE *f = fopen(path, "r");
    while (f && !st && fgets(line, sizeof line, f)) {
        line[strcspn(line, "\n")] = 0;
        st = note_failure(s, line, e);
    }
    if (f) fclose(f);
    return st;
}

static int is_jsonl(const struct dirent *d) {
    size_t n = strlen(d->d_name);
    return n > 6 && !strcmp(d->d_name + n - 6, ".jsonl") && d->d_name[0] != '.';
}

enum status study_open(const char *folder, struct study *s, struct error *e) {
    struct dirent **names = NULL;
    *s = (struct study){0};
    int n = scandir(folder, &names, is_jsonl, alphasort);
    if (n < 0) return error_set(e, ERR_IO, "%s: %s", folder, strerror(errno));
    s->paths = mem_new((size_t)n, sizeof *s->paths);
    enum status st = s->paths ? OK : no_memory(e);
    for (int i = 0; i < n; i++) {
        const char *name = names[i]->d_name;
        char path[1024];
        snprintf(path, sizeof path, "%s/%s", folder, name);
        char *kept = st ? NULL : mem_string(path);
        if (!st && !kept) st = no_memory(e);
        if (kept) s->paths[s->n_paths++] = kept; /* runs hold it */
        if (!st)
            st = strncmp(name, "calibration.", 12) ? read_run(s, kept, name, e) : read_calibration(s, kept, name, e);
        free(names[i]);
    }
    free(names);
    if (!st) st = read_failures(s, folder, e);
    if (!st && !ds_len(s->runs)) st = error_set(e, ERR_INPUT, "%s: holds no finished GROUP.*.jsonl", folder);
    if (st) study_close(s);
    return st;
}

void study_close(struct study *s) {
    for (size_t i = 0; i < ds_len(s->runs); i++) run_close(&s->runs[i].run);
    for (size_t i = 0; i < ds_len(s->calibrations); i++) {
        for (size_t k = 0; k < ds_len(s->calibrations[i].lines); k++) json_decref(s->calibrations[i].lines[k]);
        ds_free(s->calibrations[i].lines);
    }
    for (size_t i = 0; i < ds_len(s->failures); i++) mem_free(s->failures[i]);
    for (size_t i = 0; i < s->n_paths; i++) mem_free(s->paths[i]);
    mem_free(s->paths);
    ds_free(s->runs);
    ds_free(s->calibrations);
    ds_free(s->failures);
}

/* ---- its runs ---- */

const struct run *study_next(const struct study *s, size_t *i, const char *group, const struct run *like) {
    while (*i < ds_len(s->runs)) {
        const struct study_run *r = &s->runs[(*i)++];
        if (strcmp(r->group, group)) continue;
        if (!like || (!strcmp(r->run.task, like->task) && !strcmp(r->run.policy, like->policy))) return &r->run;
    }
    return NULL;
}

enum status study_each(const struct study *s, each_policy *call, struct page *p, struct error *e) {
    enum status st = OK;
    const struct run *r;
    for (size_t i = 0; !st && (r = study_next(s, &i, "main", NULL));) {
        size_t first = 0;
        if (study_next(s, &first, "main", r) == r) st = call(s, r, p, e);
    }
    return st;
}

const struct run *study_greedy(const struct study *s, const struct run *like) {
    const struct run *r;
    for (size_t i = 0; (r = study_next(s, &i, "main", like));)
        if (!strcmp(r->search, "greedy")) return r;
    return NULL;
}
