/* page.c: the page of a study: figures, tables, and the order they come in.
 * Not their numbers.
 * Next: bench/cmd_study.c. */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/ds.h"
#include "study/study.h"

void page_heading(struct page *p, const char *text) {
    buffer_text(&p->html, "<h2>");
    figure_escape(&p->html, text);
    buffer_text(&p->html, "</h2>\n");
}

/* Names of models come from files of anyone: no slash, no blank. */
static void make_file_name(char *name) {
    for (; *name; name++)
        if (!isalnum((unsigned char)*name) && !strchr("._-", *name)) *name = '_';
}

enum status page_figure(struct page *p, struct figure *f, const char *caption, struct error *e) {
    size_t points = 0;
    make_file_name(f->name);
    for (size_t i = 0; i < ds_len(f->series); i++) points += ds_len(f->series[i].points);
    if (!points) return OK;
    enum status s = figure_write(f, p->folder, e);
    if (s) return s;
    buffer_text(&p->html, "<figure>\n");
    figure_svg(f, &p->html);
    buffer_text(&p->html, "<figcaption>");
    figure_escape(&p->html, caption);
    buffer_print(&p->html, " <a href=\"%s.csv\">CSV</a>, <a href=\"%s.svg\">SVG</a></figcaption></figure>\n", f->name,
                 f->name);
    return OK;
}

/* Cells that look like numbers stand to the right. */
static void put_cells(struct page *p, const char *cells, const char *tag) {
    buffer_text(&p->html, "<tr>");
    for (const char *at = cells; at; at = strchr(at, '|') ? strchr(at, '|') + 1 : NULL) {
        size_t n = strcspn(at, "|");
        char cell[512];
        snprintf(cell, sizeof cell, "%.*s", (int)(n < 500 ? n : 500), at);
        buffer_print(&p->html, "<%s%s>", tag, strchr("+-0123456789", *cell) && *cell ? " class=\"n\"" : "");
        figure_escape(&p->html, cell);
        buffer_print(&p->html, "</%s>", tag);
    }
    buffer_text(&p->html, "</tr>\n");
}

void page_table(struct page *p, const char *caption, const char *head) {
    buffer_text(&p->html, "<table><caption>");
    figure_escape(&p->html, caption);
    buffer_text(&p->html, "</caption>\n");
    put_cells(p, head, "th");
}

void page_row(struct page *p, const char *cells) { put_cells(p, cells, "td"); }

void page_end_table(struct page *p) { buffer_text(&p->html, "</table>\n"); }

static enum status write_page(const struct study *s, struct page *p, struct error *e) {
    enum status st = OK;
    page_heading(p, "Accuracy over FLOPs");
    st = study_each(s, figures_strategies, p, e);
    if (!st) st = figures_sizes(s, p, e);
    page_heading(p, "By difficulty");
    if (!st) st = study_each(s, figures_bins, p, e);
    if (!st) st = study_each(s, figures_optimal, p, e);
    page_heading(p, "A small model with search, a larger one without");
    if (!st) st = figures_exchange(s, p, e);
    if (!st) st = tables_pairs(s, p, e);
    page_heading(p, "Sequential and parallel");
    if (!st) st = study_each(s, figures_turns, p, e);
    page_heading(p, "Judges that err");
    if (!st) st = study_each(s, figures_judges, p, e);
    if (!st) st = study_each(s, figures_widths, p, e);
    if (!st) st = figures_calibration(s, p, e);
    page_heading(p, "Runs");
    tables_runs(s, p);
    return st;
}

enum status study_report(const struct study *s, const char *out, struct error *e) {
    struct page p = {.folder = out};
    char path[512];
    if (mkdir(out, 0777) && errno != EEXIST) return error_set(e, ERR_IO, "%s: %s", out, strerror(errno));
    buffer_text(
        &p.html,
        "<!doctype html>\n<meta charset=\"utf-8\">\n<title>ponder study</title>\n<style>body{font:15px/1.5 "
        "sans-serif;max-width:1500px;margin:2em auto;padding:0 1em}figure{margin:1em "
        "0;display:inline-block;width:720px;max-width:100%;vertical-align:top}figcaption,caption{color:#444;"
        "text-align:left;font-size:13px;padding:.3em 0}table{border-collapse:collapse;font-size:12px;margin:1.5em 0;"
        "display:block;overflow-x:auto}td,th{padding:2px 8px;border-bottom:1px solid #ddd;text-align:left}"
        ".n{text-align:right}svg{max-width:100%}</style>\n<h1>How much search a small model needs</h1>\n"
        "<p>Made by <code>ponder study</code> from files of results only. Bars are 95% intervals.</p>\n");
    enum status st = write_page(s, &p, e);
    snprintf(path, sizeof path, "%s/report.html", out);
    if (!st) st = figure_write_file(&p.html, path, e);
    buffer_free(&p.html);
    return st;
}
