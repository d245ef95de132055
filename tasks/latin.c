/* latin.c: mini_sudoku and futoshiki.  One cell at a step.
 * Not the solver: latin_solve.c.
 * Next: latin.h.
 *
 *   question  the square as the published problems write it
 *   prompt    " _.^ _<. _.. 1.. / ...\n"    each cell with the sign right of it and the one below it; mini sudoku without signs
 *   step      " b3 4"                       row b, column 3 is 4
 *   answer    the square, filled, as it was written */
#include "tasks/latin.h"

#include <stdio.h>
#include <string.h>

static const char up_sign[] = "∧",
                  down_sign[] = "∨"; /* between a cell and the one below: smaller above, larger above */

/* ---- reading ---- */

static bool take_cell(const char **at, signed char *cell) {
    if (**at != '_' && (**at < '1' || **at > '9')) return false;
    *cell = **at == '_' ? 0 : (signed char)(**at - '0');
    ++*at;
    return true;
}

/* Cells of one line with signs or blanks between them, each three bytes apart (one byte in a sudoku); their number. */
static int read_row(const char **at, struct latin *g, int row) {
    int c = 0;
    while (c < LATIN && take_cell(at, &g->cell[row * g->n + c])) {
        c++;
        if (g->boxes) {
            if (c < g->n && !take(at, " ")) return 0;
        } else if (c < g->n) {
            if ((*at)[0] != ' ' || !(*at)[1] || !strchr(" <>", (*at)[1]) || (*at)[2] != ' ') return 0;
            if ((*at)[1] != ' ') g->right[row * g->n + c - 1] = (*at)[1];
            *at += 3;
        }
    }
    return c;
}

/* The line of signs below a row: one for each column, three blanks between; what is left out at the end is blank. */
static bool read_signs(const char **at, struct latin *g, int row) {
    for (int c = 0; c < g->n && **at && **at != '\n'; c++) {
        if (take(at, up_sign)) g->down[row * g->n + c] = '^';
        else if (take(at, down_sign)) g->down[row * g->n + c] = 'v';
        else if (!take(at, " ")) return false;
        for (int i = 0; i < 3 && c + 1 < g->n; i++)
            if (!take(at, " ") && **at != '\n') return false;
    }
    return take(at, "\n");
}

static bool read_square(const char *at, struct latin *g) {
    for (int r = 0; r < g->n; r++) {
        if (read_row(&at, g, r) != g->n) return false;
        at += strspn(at, " ");
        if (r + 1 < g->n && (!take(&at, "\n") || (!g->boxes && !read_signs(&at, g, r)))) return false;
    }
    return true;
}

static bool read_compact(const char *at, struct latin *g) {
    const char *first = strstr(at, " /");
    int cells = 0;
    skip_space(&at);
    for (const char *c = at; first && c < first; c++) cells += *c == '_' || (*c >= '1' && *c <= '9');
    g->n = cells;
    if (g->n < 2 || g->n > LATIN || (g->boxes && g->n != 4)) return false;
    for (int i = 0; i < g->n * g->n; i++) {
        if (i && i % g->n == 0 && !take(&at, " / ")) return false;
        if (i % g->n && !take(&at, " ")) return false;
        if (!take_cell(&at, &g->cell[i])) return false;
        if (g->boxes) continue;
        if (!*at || !strchr(".<>", *at)) return false;
        g->right[i] = *at++;
        if (!*at || !strchr(".^v", *at)) return false;
        g->down[i] = *at++;
    }
    skip_space(&at);
    return !*at;
}

static bool solve_first(struct latin *g, char why[96]) {
    for (int i = 0; i < g->n * g->n; i++)
        if (g->cell[i] > g->n) {
            snprintf(why, 96, "%d in a square of %d rows", g->cell[i], g->n);
            return false;
        }
    int n = latin_solve(g, g->cell, 2, g->solution);
    g->unique = n == 1;
    if (!n) snprintf(why, 96, "the square cannot be filled");
    return n > 0;
}

static void clear(struct latin *g, bool boxes) {
    *g = (struct latin){.n = 4, .boxes = boxes};
    memset(g->right, '.', sizeof g->right), memset(g->down, '.', sizeof g->down);
}

static bool read_sudoku(const char *text, void *own, char why[96]) {
    struct latin *g = own;
    const char *at = after(text, "Mini Sudoku puzzle:\n");
    clear(g, true);
    if (at ? read_square(at, g) : read_compact(text, g)) return solve_first(g, why);
    snprintf(why, 96, "no square of 4 lines like \"2 _ _ 1\"");
    return false;
}

static bool read_futoshiki(const char *text, void *own, char why[96]) {
    struct latin *g = own;
    const char *at = after(text, "Solve the following ");
    clear(g, false);
    bool good = at && take_small(&at, 2, LATIN, &g->n) && (at = after(at, "puzzle:\n\n"));
    if (good ? read_square(at, g) : !at && read_compact(text, g)) return solve_first(g, why);
    snprintf(why, 96, "no square of 2 to %d lines like \"_ < _   3\" with lines of signs between them", LATIN);
    return false;
}

static void write_compact(const void *own, char *out) {
    const struct latin *g = own;
    size_t n = 0;
    for (int i = 0; i < g->n * g->n; i++) {
        if (i && i % g->n == 0) n = put(out, COMPACT, n, " /");
        n = put(out, COMPACT, n, " %c", g->cell[i] ? '0' + g->cell[i] : '_');
        if (!g->boxes) n = put(out, COMPACT, n, "%c%c", g->right[i], g->down[i]);
    }
    put(out, COMPACT, n, "\n");
}

/* The square as the question writes it. */
static size_t write_square(const struct latin *g, const signed char *cell, char *out, size_t cap) {
    size_t n = 0;
    for (int r = 0; r < g->n; r++) {
        for (int c = 0; c < g->n; c++) {
            int i = r * g->n + c;
            char sign = g->right[i] == '.' ? ' ' : g->right[i];
            n = put(out, cap, n, "%d", cell[i]);
            if (c + 1 < g->n) n = g->boxes ? put(out, cap, n, " ") : put(out, cap, n, " %c ", sign);
        }
        if (r + 1 < g->n) n = put(out, cap, n, "\n");
        if (g->boxes || r + 1 == g->n) continue;
        for (int c = 0; c < g->n; c++) {
            char sign = g->down[r * g->n + c];
            n = put(out, cap, n, "%s%s",
                    sign == '^'   ? up_sign
                    : sign == 'v' ? down_sign
                                  : " ",
                    c + 1 < g->n ? "   " : "");
        }
        n = put(out, cap, n, "\n");
    }
    return n;
}

/* ---- chains ---- */

/* Fills cells; false at a line that is no cell, one that is full, or a value that a rule forbids. */
static bool follow(const struct latin *g, const char *chain, signed char *cell) {
    char line[16];
    memcpy(cell, g->cell, sizeof g->cell);
    while (next_line(&chain, line, sizeof line)) {
        int r = line[0] == ' ' && line[1] ? line[1] - 'a' : -1, c = r >= 0 && line[2] ? line[2] - '1' : -1;
        if (r < 0 || r >= g->n || c < 0 || c >= g->n || line[3] != ' ' || !line[4] || line[5]) return false;
        int v = line[4] - '0', at = r * g->n + c;
        if (cell[at] || v < 1 || v > g->n || !(latin_candidates(g, cell, at) >> v & 1)) return false;
        cell[at] = (signed char)v;
    }
    return true;
}

static float oracle(const struct problem *p, const char *chain) {
    const struct latin *g = p->own;
    signed char cell[LATIN_CELLS];
    if (!follow(g, chain, cell)) return 0;
    if (!g->unique) return latin_solve(g, cell, 1, NULL) > 0;
    for (int i = 0; i < g->n * g->n; i++)
        if (cell[i] && cell[i] != g->solution[i]) return 0;
    return 1;
}

static uint64_t state(const struct problem *p, const char *chain) {
    const struct latin *g = p->own;
    signed char cell[LATIN_CELLS];
    char text[LATIN_CELLS + 1] = "";
    if (!follow(g, chain, cell)) return STATE_WRONG;
    for (int i = 0; i < g->n * g->n; i++) text[i] = (char)('0' + cell[i]);
    return hash_text(text);
}

static size_t answer(const struct problem *p, const char *chain, char *out, size_t cap) {
    const struct latin *g = p->own;
    signed char cell[LATIN_CELLS];
    if (cap) *out = 0;
    if (!follow(g, chain, cell) || latin_next(g, cell) >= 0) return 0;
    return write_square(g, cell, out, cap);
}

static size_t count_chars(const char *text) {
    size_t n = 0;
    for (; *text; text++) n += ((unsigned char)*text & 0xC0) != 0x80;
    return n;
}

/* Equal line by line but for blanks at the ends of lines, of which there may not be more than in the square. */
static bool is_square(const char *text, const char *want) {
    bool fits = count_chars(text) <= count_chars(want);
    for (;;) {
        size_t a = strcspn(text, "\n"), b = strcspn(want, "\n"), end = a, stop = b;
        while (end && strchr(" \t\r", text[end - 1])) end--;
        while (stop && want[stop - 1] == ' ') stop--;
        if (end != stop || memcmp(text, want, end) != 0 || (text[a] == '\n') != (want[b] == '\n')) return false;
        if (!text[a]) return fits;
        text += a + 1, want += b + 1;
    }
}

/* Of a square with several solutions each is right: then the digits of the text are tried. */
static struct judgement judge_answer(const struct problem *p, const char *text) {
    const struct latin *g = p->own;
    struct latin full = *g;
    char want[COMPACT];
    if (!g->unique) {
        int n = 0;
        for (const char *c = text; *c && n < g->n * g->n; c++)
            if (*c >= '1' && *c <= '9') full.cell[n++] = (signed char)(*c - '0');
        for (int i = 0; i < g->n * g->n; i++)
            if (n < g->n * g->n || (g->cell[i] && g->cell[i] != full.cell[i])) return judged(false, "it is not filled");
        if (!latin_solve(g, full.cell, 1, full.solution)) return judged(false, "a rule is broken");
    }
    write_square(g, full.solution, want, sizeof want);
    return judged(is_square(text, want), "it is not the solution, written as in the question");
}

/* ---- problems to learn from ---- */

/* Does no other value than v lead to a solution in this empty cell? */
static bool is_forced(struct latin *g, int at, int v) {
    uint16_t can = latin_candidates(g, g->cell, at) & (uint16_t) ~(1u << v);
    bool other = false;
    for (int w = 1; w <= g->n && !other; w++)
        if (can >> w & 1) g->cell[at] = (signed char)w, other = latin_solve(g, g->cell, 1, NULL);
    g->cell[at] = 0;
    return !other;
}

/* Empties cells in random order while there is one solution, until `left` are filled. */
static void remove_clues(struct latin *g, int left, uint64_t key, uint64_t *counter) {
    int order[LATIN_CELLS], n = g->n * g->n, filled = n;
    for (int i = 0; i < n; i++) order[i] = i;
    draw_shuffle(key, counter, order, n);
    for (int i = 0; i < n && filled > left; i++) {
        signed char saved = g->cell[order[i]];
        g->cell[order[i]] = 0;
        if (is_forced(g, order[i], saved)) filled--;
        else g->cell[order[i]] = saved;
    }
}

static const struct knob sudoku_knobs[] = {
    {"min_empty", "empty cells", 8, 6, 0, 12}, {"max_empty", "empty cells", 12, 10, 0, 12}, {0}};

static enum status generate_sudoku(const struct task *t, uint64_t key, const struct task_draw *k, struct problem *p,
                                   struct error *e) {
    struct latin g;
    uint64_t counter = 0;
    clear(&g, true);
    latin_fill(&g, key, &counter);
    memcpy(g.solution, g.cell, sizeof g.cell);
    g.unique = true;
    remove_clues(&g, 16 - draw_int(key, &counter, k->knobs[0], k->knobs[1]), key, &counter);
    return steps_problem(t, &g, p, e);
}

static const struct knob futoshiki_knobs[] = {
    {"min_size", "rows", 4, 6, 2, LATIN},
    {"max_size", "rows", 9, 7, 2, LATIN},
    {"min_difficulty", "signs: 3% of the places and 7% more for each", 0, 1, 0, 5},
    {"max_difficulty", "signs", 3, 2, 0, 5},
    {0}};

static enum status generate_futoshiki(const struct task *t, uint64_t key, const struct task_draw *k, struct problem *p,
                                      struct error *e) {
    struct latin g;
    uint64_t counter = 0;
    clear(&g, false);
    g.n = draw_int(key, &counter, k->knobs[0], k->knobs[1]);
    double share = 0.03 + 0.07 * draw_int(key, &counter, k->knobs[2], k->knobs[3]);
    latin_fill(&g, key, &counter);
    memcpy(g.solution, g.cell, sizeof g.cell);
    g.unique = true;
    for (int i = 0; i < g.n * g.n; i++) {
        if (i % g.n + 1 < g.n && rng_uniform(key, counter++) < share)
            g.right[i] = g.cell[i] < g.cell[i + 1] ? '<' : '>';
        if (i / g.n + 1 < g.n && rng_uniform(key, counter++) < share)
            g.down[i] = g.cell[i] < g.cell[i + g.n] ? '^' : 'v';
    }
    remove_clues(&g, g.n * g.n / 10, key, &counter);
    return steps_problem(t, &g, p, e);
}

/* Some empty cell and some value that it may have; false when there is none. */
static bool stray_cell(const struct latin *g, const signed char *cell, uint64_t key, uint64_t *counter, int *at,
                       int *v) {
    int items[LATIN_CELLS], n = 0;
    for (int i = 0; i < g->n * g->n; i++)
        if (!cell[i]) items[n++] = i;
    if (!n) return false;
    *at = items[draw_int(key, counter, 0, n - 1)];
    uint16_t can = latin_candidates(g, cell, *at);
    n = 0;
    for (int i = 1; i <= g->n; i++)
        if (can >> i & 1) items[n++] = i;
    if (n) *v = items[draw_int(key, counter, 0, n - 1)];
    return n > 0;
}

/* Always a cell with the fewest candidates: most often there is one whose value is forced. */
static void example(const struct problem *p, uint64_t key, struct lesson *out) {
    const struct latin *g = p->own;
    signed char cell[LATIN_CELLS];
    uint64_t counter = 0;
    memcpy(cell, g->cell, sizeof cell);
    out->n = 0, out->loss_after = 0;
    for (int at, v = 0; out->stray ? stray_cell(g, cell, key, &counter, &at, &v) : (at = latin_next(g, cell)) >= 0;) {
        cell[at] = out->stray ? (signed char)v : g->solution[at];
        out->n = put(out->text, out->cap, out->n, "%s %c%d %d", out->n ? "\n" : "", 'a' + at / g->n, at % g->n + 1,
                     cell[at]);
    }
}

static uint32_t depth(const void *own) {
    const struct latin *g = own;
    uint32_t n = 0;
    for (int i = 0; i < g->n * g->n; i++) n += g->cell[i] == 0;
    return n;
}

/* Only 288 full mini sudokus exist: a puzzle is known by its solution. */
static uint64_t content(const struct problem *p) {
    const struct latin *g = p->own;
    uint64_t key = (uint64_t)g->n;
    for (int i = 0; i < g->n * g->n; i++) key = rng_fold(key, (uint64_t)g->solution[i]);
    return key;
}

static const struct kind sudoku_kind = {sizeof(struct latin), read_sudoku, write_compact, depth};
static const struct kind futoshiki_kind = {sizeof(struct latin), read_futoshiki, write_compact, depth};

#define SQUARE                                                                                                         \
    .style = &style_steps, STEPS_VERBS, .answer = answer, .judge_answer = judge_answer, .vote = answer,                \
    .oracle = oracle, .state = state, .example = example, .content = content

const struct task mini_sudoku_task = {.name = "mini_sudoku",
                                      .summary = "sudoku of 4 x 4",
                                      .kind = &sudoku_kind,
                                      .knobs = sudoku_knobs,
                                      .generate = generate_sudoku,
                                      SQUARE};
const struct task futoshiki_task = {.name = "futoshiki",
                                    .summary = "a Latin square with signs between its cells",
                                    .kind = &futoshiki_kind,
                                    .knobs = futoshiki_knobs,
                                    .generate = generate_futoshiki,
                                    SQUARE};
