/* queens.c: n_queens: a board with some queens, to be completed so that no two attack each other.  One row at a step.
 * Not only the classical board: 4 to 12 rows.
 * Next: steps.h.
 *
 *   question  a board of "_ _ Q _" lines
 *   prompt    " 8 : . . . f . . . .\n"       the column of each row's queen as a letter, "." where none is given
 *   step      " b"                           the queen of the next row, from the top
 *   answer    the board */
#include <stdio.h>
#include <string.h>

#include "tasks/steps.h"

enum { SIZE = 12 };

struct board {
    int n;
    signed char queen[SIZE]; /* column in each row; -1: none given */
};

/* ---- reading ---- */

/* A line of n cells "_" or "Q" with blanks between them; the queen's column, -1 without one, -2 when it is no such
 * line. */
static int read_row(const char *line, int *n) {
    int queen = -1, count = 0;
    for (const char *c = line; *c && *c != '\n' && *c != '\r'; c++) {
        if (*c == ' ') continue;
        if (*c != '_' && *c != 'Q') return -2;
        if (*c == 'Q' && queen >= 0) return -2;
        if (*c == 'Q') queen = count;
        count++;
    }
    *n = count;
    return count ? queen : -2;
}

static bool attacks(int r1, int c1, int r2, int c2) { return c1 == c2 || r1 - r2 == c1 - c2 || r1 - r2 == c2 - c1; }

/* May row r have its queen in column c, beside those of q that are not -1? */
static bool is_free(const signed char *q, int n, int r, int c) {
    for (int i = 0; i < n; i++)
        if (i != r && q[i] >= 0 && attacks(i, q[i], r, c)) return false;
    return true;
}

static bool read_compact(const char *at, struct board *b) {
    skip_space(&at);
    if (!take_small(&at, 4, SIZE, &b->n) || !take(&at, " :")) return false;
    for (int r = 0; r < b->n; r++) {
        if (at[0] != ' ' || (at[1] != '.' && (at[1] < 'a' || at[1] >= 'a' + b->n))) return false;
        b->queen[r] = at[1] == '.' ? -1 : (signed char)(at[1] - 'a');
        at += 2;
    }
    skip_space(&at);
    return !*at;
}

/* The lines of the question behind its last sentence. */
static bool read_grid(const char *text, struct board *b) {
    int width = 0, n;
    for (const char *line = text; line; line = after(line, "\n")) {
        int queen = read_row(line, &n);
        if (queen == -2) {
            if (*line && *line != '\n') b->n = 0; /* a sentence */
            continue;
        }
        if (b->n == SIZE || (b->n && n != width)) return false;
        width = n;
        b->queen[b->n++] = (signed char)queen;
    }
    return b->n >= 4 && b->n == width;
}

/* Completions of the rows from r on, up to `most`. */
static int count_from(signed char *q, int n, int r, int most) {
    while (r < n && q[r] >= 0) r++;
    if (r == n) return 1;
    int found = 0;
    for (int c = 0; c < n && found < most; c++) {
        if (!is_free(q, n, r, c)) continue;
        q[r] = (signed char)c;
        found += count_from(q, n, r + 1, most - found);
        q[r] = -1;
    }
    return found;
}

static bool is_sound(const struct board *b) {
    for (int r = 0; r < b->n; r++)
        if (b->queen[r] >= 0 && (b->queen[r] >= b->n || !is_free(b->queen, b->n, r, b->queen[r]))) return false;
    return true;
}

static bool read_board(const char *text, void *own, char why[96]) {
    struct board *b = own, work;
    if (!read_compact(text, b)) {
        memset(b, 0, sizeof *b);
        if (!read_grid(text, b)) {
            snprintf(why, 96, "no board of 4 to 12 lines like \"_ _ Q _\"");
            return false;
        }
    }
    work = *b;
    if (is_sound(b) && count_from(work.queen, b->n, 0, 1)) return true;
    snprintf(why, 96, "the board cannot be completed");
    return false;
}

static void write_board(const void *own, char *out) {
    const struct board *b = own;
    size_t n = put(out, COMPACT, 0, " %d :", b->n);
    for (int r = 0; r < b->n; r++) n = put(out, COMPACT, n, " %c", b->queen[r] < 0 ? '.' : 'a' + b->queen[r]);
    put(out, COMPACT, n, "\n");
}

/* ---- chains ---- */

/* The queens that the chain has placed, from the top; those below are the given ones.  False at a line that is wrong:
 * not one letter of the board, not the given queen, or an attack. */
static bool follow(const struct board *b, const char *chain, signed char *q, int *rows) {
    char line[8];
    memcpy(q, b->queen, sizeof b->queen);
    *rows = 0;
    for (; next_line(&chain, line, sizeof line); ++*rows) {
        int c = line[0] == ' ' && line[1] && !line[2] ? line[1] - 'a' : -1;
        if (*rows == b->n || c < 0 || c >= b->n) return false;
        if (b->queen[*rows] >= 0 && b->queen[*rows] != c) return false;
        q[*rows] = (signed char)c;
        if (!is_free(q, b->n, *rows, c)) return false;
    }
    return true;
}

static float oracle(const struct problem *p, const char *chain) {
    signed char q[SIZE];
    int rows;
    const struct board *b = p->own;
    return follow(b, chain, q, &rows) && count_from(q, b->n, rows, 1);
}

static uint64_t state(const struct problem *p, const char *chain) {
    signed char q[SIZE];
    int rows;
    return follow(p->own, chain, q, &rows) ? hash_text(chain) : STATE_WRONG;
}

static size_t answer(const struct problem *p, const char *chain, char *out, size_t cap) {
    const struct board *b = p->own;
    char line[8];
    size_t n = 0;
    int rows = 0;
    if (cap) *out = 0;
    for (; next_line(&chain, line, sizeof line); rows++) {
        int queen = line[0] == ' ' && line[1] && !line[2] ? line[1] - 'a' : -1;
        if (queen < 0 || queen >= b->n || rows == b->n) break;
        for (int c = 0; c < b->n; c++) n = put(out, cap, n, "%s%c", c ? " " : rows ? "\n" : "", c == queen ? 'Q' : '_');
    }
    if (rows == b->n && !*chain) return n;
    if (cap) *out = 0;
    return 0;
}

static struct judgement judge_answer(const struct problem *p, const char *text) {
    const struct board *b = p->own;
    signed char q[SIZE];
    const char *at = text;
    for (int r = 0; r < b->n; r++) {
        q[r] = -1;
        for (int c = 0; c < b->n; c++) {
            if ((c && !take(&at, " ")) || (*at != 'Q' && *at != '_'))
                return judged(false, "row %d is not written as in the question", r + 1);
            if (*at == 'Q' && q[r] >= 0) return judged(false, "row %d has two queens", r + 1);
            if (*at++ == 'Q') q[r] = (signed char)c;
        }
        if (r + 1 < b->n && !take(&at, "\n")) return judged(false, "row %d is too long", r + 1);
        if (q[r] < 0) return judged(false, "row %d has no queen", r + 1);
        if (b->queen[r] >= 0 && b->queen[r] != q[r]) return judged(false, "the queen of row %d was moved", r + 1);
    }
    if (*at) return judged(false, "\"%.20s\" behind the board", at);
    for (int r = 0; r < b->n; r++)
        if (!is_free(q, b->n, r, q[r])) return judged(false, "the queen of row %d is attacked", r + 1);
    return judged(true, "right");
}

/* ---- problems to learn from ---- */

static const struct knob knobs[] = {{"n", "rows of the board", 8, 8, 4, SIZE},
                                    {"min_remove", "queens to place", 1, 4, 1, SIZE},
                                    {"max_remove", "queens to place", 7, 6, 1, SIZE},
                                    {0}};

/* A completion of the rows from r on, with columns tried in random order. */
static bool complete(signed char *q, int n, int r, uint64_t key, uint64_t *counter) {
    int columns[SIZE];
    while (r < n && q[r] >= 0) r++;
    if (r == n) return true;
    for (int c = 0; c < n; c++) columns[c] = c;
    draw_shuffle(key, counter, columns, n);
    for (int c = 0; c < n; c++) {
        if (!is_free(q, n, r, columns[c])) continue;
        q[r] = (signed char)columns[c];
        if (complete(q, n, r + 1, key, counter)) return true;
        q[r] = -1;
    }
    return false;
}

static enum status generate(const struct task *t, uint64_t key, const struct task_draw *k, struct problem *p,
                            struct error *e) {
    struct board b = {.n = k->knobs[0]};
    uint64_t counter = 0;
    int rows[SIZE], most = k->knobs[2] < b.n ? k->knobs[2] : b.n, least = k->knobs[1] < most ? k->knobs[1] : most;
    memset(b.queen, -1, sizeof b.queen);
    complete(b.queen, b.n, 0, key, &counter);
    for (int r = 0; r < b.n; r++) rows[r] = r;
    draw_shuffle(key, &counter, rows, b.n);
    for (int i = 0, n = draw_int(key, &counter, least, most); i < n; i++) b.queen[rows[i]] = -1;
    return steps_problem(t, &b, p, e);
}

/* Queens on free columns from the top, until a row has none: the rows that have one. */
static int place_any(signed char *q, int n, uint64_t key, uint64_t *counter) {
    for (int r = 0; r < n; r++) {
        int columns[SIZE], n_free = 0;
        for (int c = 0; c < n && q[r] < 0; c++)
            if (is_free(q, n, r, c)) columns[n_free++] = c;
        if (q[r] < 0 && !n_free) return r;
        if (q[r] < 0) q[r] = (signed char)columns[draw_int(key, counter, 0, n_free - 1)];
    }
    return n;
}

static void example(const struct problem *p, uint64_t key, struct lesson *out) {
    struct board b = *(const struct board *)p->own;
    uint64_t counter = 0;
    size_t n = 0;
    out->n = 0, out->loss_after = 0;
    int rows = b.n;
    if (out->stray) rows = place_any(b.queen, b.n, key, &counter);
    else if (!complete(b.queen, b.n, 0, key, &counter)) return;
    for (int r = 0; r < rows; r++) n = put(out->text, out->cap, n, "%s %c", r ? "\n" : "", 'a' + b.queen[r]);
    out->n = n;
}

static uint32_t depth(const void *own) { return (uint32_t)((const struct board *)own)->n; }

static const struct kind kind = {sizeof(struct board), read_board, write_board, depth};

const struct task n_queens_task = {.name = "n_queens",
                                   .summary = "a board of queens to complete, none attacking another",
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
