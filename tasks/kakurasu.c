/* kakurasu.c: ones in a grid so that the weighted sums of rows and columns come out.  One row at a step.
 * Not a puzzle with given cells: the published grids are empty.
 * Next: steps.h.
 *
 *   question  "...row sums [1, 3, 7, 6] and column sums [1, 4, 5, 7]..."
 *   prompt    " 1 3 7 6 ; 1 4 5 7\n"
 *   step      " 1000"                the next row from the top
 *   answer    "1 0 0 0\n0 0 1 0\n..." */
#include <stdio.h>
#include <string.h>

#include "tasks/steps.h"

enum { SIDE = 9 };

struct grid {
    int rows, columns;
    int row_sum[SIDE], column_sum[SIDE];
};

/* A row as bits: bit j for column j, which weighs j + 1. */
static int weight(unsigned row) {
    int sum = 0;
    for (int j = 0; row >> j; j++) sum += row >> j & 1 ? j + 1 : 0;
    return sum;
}

/* What columns still need after `row` in row r; false when one has too much. */
static bool subtract(const struct grid *g, int r, unsigned row, int *need) {
    bool good = true;
    for (int j = 0; j < g->columns; j++) good = (need[j] -= row >> j & 1 ? r + 1 : 0) >= 0 && good;
    return good;
}

/* Ways to fill the rows from r on, up to `most`; the first into out (may be NULL). */
static int count_from(const struct grid *g, int r, const int *need, int most, unsigned *out) {
    int found = 0;
    if (r == g->rows) {
        for (int j = 0; j < g->columns; j++)
            if (need[j]) return 0;
        return 1;
    }
    for (unsigned row = 0; row < 1u << g->columns && found < most; row++) {
        int left[SIDE];
        memcpy(left, need, sizeof left);
        if (weight(row) != g->row_sum[r] || !subtract(g, r, row, left)) continue;
        int n = count_from(g, r + 1, left, most - found, found ? NULL : out);
        if (n && !found && out) out[r] = row;
        found += n;
    }
    return found;
}

/* ---- reading ---- */

/* Numbers up to a byte of `ends`; false when there are none or too many. */
static bool read_sums(const char **at, const char *ends, int *sums, int *n) {
    for (*n = 0; *n < SIDE; ++*n) {
        *at += strspn(*at, " ,");
        if (!take_small(at, 0, 45, &sums[*n])) break;
    }
    *at += strspn(*at, " ");
    return *n >= 2 && (strchr(ends, **at) || !**at);
}

static bool read_grid(const char *text, void *own, char why[96]) {
    struct grid *g = own;
    const char *rows = after(text, "ow sums"), *columns = after(text, "olumn sums"), *at = text;
    rows = rows ? after(rows, "[") : NULL, columns = columns ? after(columns, "[") : NULL;
    bool good;
    if (rows && columns)
        good = read_sums(&rows, "]", g->row_sum, &g->rows) && read_sums(&columns, "]", g->column_sum, &g->columns);
    else {
        skip_space(&at);
        good = read_sums(&at, ";", g->row_sum, &g->rows) && take(&at, ";") &&
               read_sums(&at, "\n", g->column_sum, &g->columns);
        skip_space(&at);
        good = good && !*at;
    }
    if (!good) snprintf(why, 96, "no sums of 2 to %d rows and columns", SIDE);
    else if (!(good = count_from(g, 0, g->column_sum, 1, NULL) > 0)) snprintf(why, 96, "no grid has these sums");
    return good;
}

static void write_grid(const void *own, char *out) {
    const struct grid *g = own;
    size_t n = 0;
    for (int i = 0; i < g->rows; i++) n = put(out, COMPACT, n, " %d", g->row_sum[i]);
    n = put(out, COMPACT, n, " ;");
    for (int j = 0; j < g->columns; j++) n = put(out, COMPACT, n, " %d", g->column_sum[j]);
    put(out, COMPACT, n, "\n");
}

/* ---- chains ---- */

static bool read_line(const struct grid *g, const char *line, unsigned *row) {
    *row = 0;
    if (line[0] != ' ' || strlen(line) != (size_t)g->columns + 1) return false;
    for (int j = 0; j < g->columns; j++) {
        if (line[j + 1] != '0' && line[j + 1] != '1') return false;
        *row |= (unsigned)(line[j + 1] - '0') << j;
    }
    return true;
}

/* False at a line that is no row, has another sum than its own, or gives a column too much. */
static bool follow(const struct grid *g, const char *chain, int *need, int *rows) {
    char line[SIDE + 4];
    unsigned row;
    memcpy(need, g->column_sum, sizeof g->column_sum);
    for (*rows = 0; next_line(&chain, line, sizeof line); ++*rows)
        if (*rows == g->rows || !read_line(g, line, &row) || weight(row) != g->row_sum[*rows] ||
            !subtract(g, *rows, row, need))
            return false;
    return true;
}

static float oracle(const struct problem *p, const char *chain) {
    int need[SIDE], rows;
    return follow(p->own, chain, need, &rows) && count_from(p->own, rows, need, 1, NULL);
}

static uint64_t state(const struct problem *p, const char *chain) {
    const struct grid *g = p->own;
    int need[SIDE], rows;
    if (!follow(g, chain, need, &rows)) return STATE_WRONG;
    uint64_t key = (uint64_t)rows;
    for (int j = 0; j < g->columns; j++) key = rng_fold(key, (uint64_t)need[j]);
    return key | 2;
}

static size_t write_row(const struct grid *g, unsigned row, bool spaced, char *out, size_t cap, size_t n) {
    if (!spaced) n = put(out, cap, n, " ");
    for (int j = 0; j < g->columns; j++) n = put(out, cap, n, "%s%u", spaced && j ? " " : "", row >> j & 1);
    return n;
}

static size_t answer(const struct problem *p, const char *chain, char *out, size_t cap) {
    const struct grid *g = p->own;
    char line[SIDE + 4];
    unsigned row;
    size_t n = 0;
    int rows = 0;
    for (; next_line(&chain, line, sizeof line) && read_line(g, line, &row) && rows < g->rows; rows++) {
        if (rows) n = put(out, cap, n, "\n");
        n = write_row(g, row, true, out, cap, n);
    }
    if (rows == g->rows && !*chain) return n;
    if (cap) *out = 0;
    return 0;
}

/* Any grid with the sums; bytes that are no 0 or 1 do not matter. */
static struct judgement judge_answer(const struct problem *p, const char *text) {
    const struct grid *g = p->own;
    int need[SIDE];
    memcpy(need, g->column_sum, sizeof need);
    skip_space(&text);
    size_t end = strlen(text);
    while (end && strchr(" \t\r\n", text[end - 1])) end--;
    const char *stop = text + end;
    for (int r = 0; r < g->rows; r++) {
        unsigned row = 0;
        int n = 0;
        for (; text < stop && *text != '\n'; text++)
            if ((*text == '0' || *text == '1') && n < 32) row |= (unsigned)(*text - '0') << n++;
        if (n != g->columns) return judged(false, "row %d has %d cells", r + 1, n);
        if (weight(row) != g->row_sum[r]) return judged(false, "the sum of row %d is %d", r + 1, weight(row));
        if (!subtract(g, r, row, need)) return judged(false, "a column has too much in row %d", r + 1);
        if (r + 1 < g->rows && text++ >= stop) return judged(false, "there are only %d rows", r + 1);
    }
    if (text < stop) return judged(false, "there are more than %d rows", g->rows);
    for (int j = 0; j < g->columns; j++)
        if (need[j]) return judged(false, "column %d lacks %d", j + 1, need[j]);
    return judged(true, "right");
}

/* ---- problems to learn from ---- */

static const struct knob knobs[] = {{"min_rows", "rows", 4, 5, 3, 6},
                                    {"max_rows", "rows", 5, 6, 3, 6},
                                    {"min_columns", "columns", 4, 5, 3, 6},
                                    {"max_columns", "columns", 5, 6, 3, 6},
                                    {"ones", "cells of a hundred that hold a 1", 30, 30, 10, 90},
                                    {0}};

/* Like the published ones: no empty row or column, equal totals, and one solution. */
static enum status generate(const struct task *t, uint64_t key, const struct task_draw *k, struct problem *p,
                            struct error *e) {
    uint64_t counter = 0;
    struct grid size = {.rows = draw_int(key, &counter, k->knobs[0], k->knobs[1]),
                        .columns = draw_int(key, &counter, k->knobs[2], k->knobs[3])};
    for (;;) {
        struct grid g = size;
        int totals = 0;
        bool full = true;
        for (int r = 0; r < g.rows; r++)
            for (int j = 0; j < g.columns; j++)
                if (draw_int(key, &counter, 0, 99) < k->knobs[4]) g.row_sum[r] += j + 1, g.column_sum[j] += r + 1;
        for (int r = 0; r < g.rows; r++) full = full && g.row_sum[r], totals += g.row_sum[r];
        for (int j = 0; j < g.columns; j++) full = full && g.column_sum[j], totals -= g.column_sum[j];
        if (full && !totals && count_from(&g, 0, g.column_sum, 2, NULL) == 1) return steps_problem(t, &g, p, e);
    }
}

static void example(const struct problem *p, uint64_t key, struct lesson *out) {
    const struct grid *g = p->own;
    unsigned rows[SIDE];
    (void)key;
    out->n = 0, out->loss_after = 0;
    if (!count_from(g, 0, g->column_sum, 1, rows)) return;
    for (int r = 0; r < g->rows; r++) {
        if (r) out->n = put(out->text, out->cap, out->n, "\n");
        out->n = write_row(g, rows[r], false, out->text, out->cap, out->n);
    }
}

static uint32_t depth(const void *own) { return (uint32_t)((const struct grid *)own)->rows; }

static const struct kind kind = {sizeof(struct grid), read_grid, write_grid, depth};

const struct task kakurasu_task = {.name = "kakurasu",
                                   .summary = "ones in a grid with given weighted sums",
                                   .style = &style_steps,
                                   .kind = &kind,
                                   STEPS_VERBS,
                                   .answer = answer,
                                   .judge_answer = judge_answer,
                                   .vote = answer,
                                   .oracle = oracle,
                                   .state = state,
                                   .knobs = knobs,
                                   .generate = generate,
                                   .example = example};
