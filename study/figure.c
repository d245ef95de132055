/* figure.c: see figure.h; the points and their table.
 * Not the drawing: figure_svg.c.
 * Next: figure_svg.c. */
#include "study/figure.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/ds.h"

struct series *figure_series(struct figure *f, const char *name) {
    struct series s = {0};
    for (size_t i = 0; i < ds_len(f->series); i++)
        if (!strcmp(f->series[i].name, name)) return &f->series[i];
    snprintf(s.name, sizeof s.name, "%s", name);
    return ds_push(f->series, s) ? &f->series[ds_len(f->series) - 1] : NULL;
}

enum status figure_add(struct figure *f, const char *series, struct point p, struct error *e) {
    struct series *s = figure_series(f, series);
    return s && ds_push(s->points, p) ? OK : error_set(e, ERR_MEMORY, "no memory for a point of %s", f->name);
}

static int by_x(const void *a, const void *b) {
    double x = ((const struct point *)a)->x, y = ((const struct point *)b)->x;
    return (x > y) - (x < y);
}

void figure_sort(struct figure *f) {
    for (size_t i = 0; i < ds_len(f->series); i++)
        if (f->series[i].points) qsort(f->series[i].points, ds_len(f->series[i].points), sizeof(struct point), by_x);
}

void figure_free(struct figure *f) {
    for (size_t i = 0; i < ds_len(f->series); i++) ds_free(f->series[i].points);
    ds_free(f->series);
}

/* A field of RFC 4180. */
static void put_field(struct buffer *to, const char *text) {
    bool plain = !text[strcspn(text, ",\"\n")];
    if (!plain) buffer_text(to, "\"");
    for (; *text; text++) {
        if (*text == '"') buffer_text(to, "\"");
        buffer_add(to, text, 1);
    }
    if (!plain) buffer_text(to, "\"");
}

static void put_number(struct buffer *to, double x) {
    if (isnan(x)) buffer_text(to, ",");
    else buffer_print(to, ",%.6g", x);
}

void figure_csv(const struct figure *f, struct buffer *to) {
    buffer_text(to, "series,x,y,low,high,note\n");
    for (size_t i = 0; i < ds_len(f->series); i++)
        for (size_t k = 0; k < ds_len(f->series[i].points); k++) {
            const struct point *p = &f->series[i].points[k];
            put_field(to, f->series[i].name);
            put_number(to, p->x), put_number(to, p->y), put_number(to, p->low), put_number(to, p->high);
            buffer_text(to, ",");
            put_field(to, p->note);
            buffer_text(to, "\n");
        }
}

void figure_escape(struct buffer *to, const char *text) {
    for (; *text; text++) {
        const char *entity = *text == '&'   ? "&amp;"
                             : *text == '<' ? "&lt;"
                             : *text == '>' ? "&gt;"
                             : *text == '"' ? "&quot;"
                                            : NULL;
        if (entity) buffer_text(to, entity);
        else buffer_add(to, text, 1);
    }
}

enum status figure_write_file(const struct buffer *text, const char *path, struct error *e) {
    if (text->failed) return error_set(e, ERR_MEMORY, "%s: no memory for its text", path);
    FILE *f = fopen(path, "w");
    bool good = f && fwrite(text->data, 1, text->n, f) == text->n;
    int why = errno;
    if (f && fclose(f)) good = false, why = errno;
    return good ? OK : error_set(e, ERR_IO, "%s: cannot be written: %s", path, strerror(why));
}

enum status figure_write(const struct figure *f, const char *folder, struct error *e) {
    static void (*const forms[])(const struct figure *, struct buffer *) = {figure_csv, figure_svg};
    static const char *const endings[] = {"csv", "svg"};
    enum status s = OK;
    for (int i = 0; i < 2 && !s; i++) {
        struct buffer text = {0};
        char path[512];
        forms[i](f, &text);
        snprintf(path, sizeof path, "%s/%s.%s", folder, f->name, endings[i]);
        s = figure_write_file(&text, path, e);
        buffer_free(&text);
    }
    return s;
}
