/* figure.h: curves with error bars, as CSV and as SVG.
 * Not a plotting library: one kind of chart, which is the one that results need.
 * Next: figure.c; figure_svg.c draws. */
#ifndef PONDER_FIGURE_H
#define PONDER_FIGURE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/status.h"

struct point {
    double x, y, low, high; /* low, high: of y's 95% interval; NaN: none */
    char note[48];          /* what made it: "budget 16"; may be empty */
};

struct series {
    char name[128];
    struct point *points; /* an array of base/ds.h, by x once figure_sort was called */
    bool dots;            /* diamonds, and no line between them */
    size_t color;         /* 1, 2, ...: that of the series at this place; 0: its own */
};

struct figure {
    char name[200]; /* of its files, without ending */
    char title[240], x_label[120], y_label[80];
    bool log_x;            /* every x is above 0 */
    bool percent;          /* y is a share: 0 to 100% */
    struct series *series; /* an array of base/ds.h */
};

/* The series of this name, made when it is not there; NULL: no memory. */
struct series *figure_series(struct figure *f, const char *name);
enum status figure_add(struct figure *f, const char *series, struct point p, struct error *e);
void figure_sort(struct figure *f); /* points by x */
void figure_free(struct figure *f);

/* A line per point: series,x,y,low,high,note.  After a failed allocation to->failed is set. */
void figure_csv(const struct figure *f, struct buffer *to);
void figure_svg(const struct figure *f, struct buffer *to);

/* FOLDER/NAME.csv and FOLDER/NAME.svg, or one file of any name. */
enum status figure_write(const struct figure *f, const char *folder, struct error *e);
enum status figure_write_file(const struct buffer *text, const char *path, struct error *e);

/* Text with & < > " as XML has them. */
void figure_escape(struct buffer *to, const char *text);

#endif
