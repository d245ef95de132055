/* figure_svg.c: the drawing of a figure: axes, ticks, curves with error bars, a legend.
 * Not interactive: a text that browsers, editors and papers read.
 * Next: runs.c, whose numbers it draws. */
#include <math.h>
#include <stdio.h>

#include "base/ds.h"
#include "study/figure.h"

enum { WIDTH = 860, HEIGHT = 430, LEFT = 64, RIGHT = 590, TOP = 40, BOTTOM = 370, N_COLORS = 8, MAX_TICKS = 16 };
/* Okabe and Ito 2008: colours that people with any colour vision tell apart. */
static const char *const colors[N_COLORS] = {"#0072b2", "#d55e00", "#009e73", "#cc79a7",
                                             "#e69f00", "#56b4e9", "#000000", "#8a8a00"};

/* From numbers to pixels. */
struct axis {
    double low, high, from, to; /* of numbers, in log10 if log; of pixels */
    bool log;
    bool whole; /* all of its numbers are whole: so are its ticks */
};

static double place(const struct axis *a, double x) {
    double at = a->log ? log10(x) : x;
    return a->from + (a->to - a->from) * (at - a->low) / (a->high - a->low);
}

static void widen(struct axis *a, double x) {
    double at = a->log ? log10(x) : x;
    if (!isfinite(at)) return;
    a->low = fmin(a->low, at), a->high = fmax(a->high, at);
}

static void close_axis(struct axis *a) {
    if (!(a->low <= a->high)) a->low = 0, a->high = 1;
    double room = a->high > a->low ? 0.03 * (a->high - a->low) : 0.5;
    a->low -= room, a->high += room;
}

/* "2M", "0.5": as short as it is exact enough for an axis. */
static void show(double x, char text[32]) {
    static const struct {
        double unit;
        const char *name;
    } units[] = {{1e15, "P"}, {1e12, "T"}, {1e9, "G"}, {1e6, "M"}, {1e3, "k"}};
    for (size_t i = 0; i < sizeof units / sizeof *units; i++)
        if (fabs(x) >= units[i].unit) {
            snprintf(text, 32, "%.4g%s", x / units[i].unit, units[i].name);
            return;
        }
    snprintf(text, 32, "%.4g", fabs(x) < 1e-12 ? 0 : x);
}

/* A zero has no place on a log axis: such a point stands in the table only. */
static bool has_place(const struct axis *a, const struct point *p) {
    return isfinite(place(a, p->x)) && isfinite(p->y);
}

/* Steps of 1, 2 or 5 times a power of ten; on a log axis powers of ten, with 2 and 5 between when there are few. */
static int find_ticks(const struct axis *a, double ticks[MAX_TICKS]) {
    int n = 0;
    if (a->log) {
        bool few = a->high - a->low < 2.5;
        for (int power = (int)floor(a->low); power <= (int)ceil(a->high); power++)
            for (int m = 1; m <= 5; m = m == 1 ? 2 : m + 3) {
                double at = power + log10(m);
                if ((m == 1 || few) && at >= a->low && at <= a->high && n < MAX_TICKS) ticks[n++] = pow(10, power) * m;
            }
        return n;
    }
    double step = pow(10, floor(log10((a->high - a->low) / 4)));
    if (a->whole) step = fmax(step, 1);
    while ((a->high - a->low) / step > 9) step *= (a->high - a->low) / step > 18 ? 5 : 2;
    for (double k = ceil(a->low / step); k * step <= a->high && n < MAX_TICKS; k++)
        ticks[n++] = k * step + 0.0; /* + 0.0: no minus before a zero */
    return n;
}

static void draw_text(struct buffer *to, double x, double y, const char *how, const char *text) {
    buffer_print(to, "<text x=\"%.1f\" y=\"%.1f\"%s>", x, y, how);
    figure_escape(to, text);
    buffer_text(to, "</text>\n");
}

static void draw_axes(const struct figure *f, const struct axis *x, const struct axis *y, struct buffer *to) {
    double ticks[MAX_TICKS];
    char text[32];
    int n = find_ticks(x, ticks);
    for (int i = 0; i < n; i++) {
        double at = place(x, ticks[i]);
        buffer_print(to, "<path class=\"grid\" d=\"M%.1f %d V%d\"/>\n", at, TOP, BOTTOM);
        show(ticks[i], text);
        draw_text(to, at, BOTTOM + 18, " text-anchor=\"middle\"", text);
    }
    n = find_ticks(y, ticks);
    for (int i = 0; i < n; i++) {
        double at = place(y, ticks[i]);
        buffer_print(to, "<path class=\"grid\" d=\"M%d %.1f H%d\"/>\n", LEFT, at, RIGHT);
        if (f->percent) snprintf(text, sizeof text, "%.4g%%", 100 * ticks[i]);
        else show(ticks[i], text);
        draw_text(to, LEFT - 8, at + 4, " text-anchor=\"end\"", text);
    }
    buffer_print(to, "<path class=\"axis\" d=\"M%d %d V%d H%d\"/>\n", LEFT, TOP, BOTTOM, RIGHT);
    draw_text(to, LEFT, 22, " class=\"title\"", f->title);
    draw_text(to, (LEFT + RIGHT) / 2.0, HEIGHT - 18, " text-anchor=\"middle\"", f->x_label);
    buffer_print(to, "<text transform=\"translate(16 %d) rotate(-90)\" text-anchor=\"middle\">", (TOP + BOTTOM) / 2);
    figure_escape(to, f->y_label);
    buffer_text(to, "</text>\n");
}

/* The second round of colours has squares and dashes. */
static void draw_mark(struct buffer *to, double x, double y, const struct series *s, size_t i, const char *title) {
    size_t place = s->color ? s->color - 1 : i;
    const char *color = colors[place % N_COLORS];
    if (s->dots)
        buffer_print(to, "<path fill=\"%s\" stroke=\"#fff\" d=\"M%.1f %.1f l6 6 l-6 6 l-6 -6 z\">", color, x, y - 6);
    else if (place / N_COLORS % 2)
        buffer_print(to, "<rect x=\"%.1f\" y=\"%.1f\" width=\"7\" height=\"7\" fill=\"%s\">", x - 3.5, y - 3.5, color);
    else buffer_print(to, "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"4\" fill=\"%s\">", x, y, color);
    if (*title) buffer_text(to, "<title>"), figure_escape(to, title), buffer_text(to, "</title>");
    buffer_text(to, s->dots ? "</path>\n" : place / N_COLORS % 2 ? "</rect>\n" : "</circle>\n");
}

static void draw_series(const struct figure *f, size_t i, const struct axis *x, const struct axis *y,
                        struct buffer *to) {
    const struct series *s = &f->series[i];
    const char *color = colors[(s->color ? s->color - 1 : i) % N_COLORS];
    if (!s->dots && ds_len(s->points) > 1) {
        buffer_print(to, "<path fill=\"none\" stroke=\"%s\" stroke-width=\"2\"%s d=\"", color,
                     i / N_COLORS % 2 ? " stroke-dasharray=\"6 3\"" : "");
        bool begun = false;
        for (size_t k = 0; k < ds_len(s->points); k++) {
            if (!has_place(x, &s->points[k])) continue;
            buffer_print(to, "%s%.1f %.1f", begun ? " L" : "M", place(x, s->points[k].x), place(y, s->points[k].y));
            begun = true;
        }
        buffer_text(to, "\"/>\n");
    }
    for (size_t k = 0; k < ds_len(s->points); k++) {
        const struct point *p = &s->points[k];
        double at = place(x, p->x);
        char title[280];
        if (!has_place(x, p)) continue;
        if (!isnan(p->low))
            buffer_print(to, "<path stroke=\"%s\" d=\"M%.1f %.1f V%.1f\"/>\n", color, at, place(y, p->low),
                         place(y, p->high));
        snprintf(title, sizeof title, "%s%s%s: %.4g, %.4g", s->name, *p->note ? ", " : "", p->note, p->x, p->y);
        draw_mark(to, at, place(y, p->y), s, i, title);
    }
}

void figure_svg(const struct figure *f, struct buffer *to) {
    struct axis x = {INFINITY, -INFINITY, LEFT, RIGHT, f->log_x, true},
                y = {INFINITY, -INFINITY, BOTTOM, TOP, false, false};
    for (size_t i = 0; i < ds_len(f->series); i++)
        for (size_t k = 0; k < ds_len(f->series[i].points); k++) {
            const struct point *p = &f->series[i].points[k];
            x.whole &= p->x == floor(p->x);
            widen(&x, p->x), widen(&y, p->y), widen(&y, p->low), widen(&y, p->high);
        }
    close_axis(&x), close_axis(&y);
    buffer_print(to,
                 "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" font-family=\"sans-serif\" "
                 "font-size=\"12\">\n<style>.grid{stroke:#ddd}.axis{stroke:#333;fill:none}.title{font-size:14px;"
                 "font-weight:bold}</style>\n<rect width=\"%d\" height=\"%d\" fill=\"#fff\"/>\n",
                 WIDTH, HEIGHT, WIDTH, HEIGHT);
    draw_axes(f, &x, &y, to);
    for (size_t i = 0; i < ds_len(f->series); i++) {
        draw_series(f, i, &x, &y, to);
        draw_mark(to, RIGHT + 22, TOP + 8 + 18 * (double)i, &f->series[i], i, "");
        draw_text(to, RIGHT + 34, TOP + 12 + 18 * (double)i, "", f->series[i].name);
    }
    buffer_text(to, "</svg>\n");
}
