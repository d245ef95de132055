/* latin_solve.c: candidates of cells, and all solutions by the cell with the fewest of them.
 * Not a strategy of search/: it knows the rules.
 * Next: latin.c. */
#include <string.h>

#include "tasks/latin.h"

/* A square being filled, with what its lines hold already: bit v for value v. */
struct filling {
    const struct latin *g;
    signed char *cell;
    int n_empty, empty[LATIN_CELLS]; /* cells without a value, in no order */
    uint16_t row[LATIN], column[LATIN], box[LATIN];
};

static int box_of(const struct latin *g, int at) { return g->boxes ? at / g->n / 2 * 2 + at % g->n / 2 : 0; }

/* Puts a value in, or takes it out again. */
static void toggle(struct filling *f, int at, int v) {
    uint16_t bit = (uint16_t)(1u << v);
    f->row[at / f->g->n] ^= bit, f->column[at % f->g->n] ^= bit;
    if (f->g->boxes) f->box[box_of(f->g, at)] ^= bit;
}

/* False when a line or a box holds a value twice. */
static bool open_filling(const struct latin *g, signed char *cell, struct filling *f) {
    *f = (struct filling){.g = g, .cell = cell};
    for (int at = 0; at < g->n * g->n; at++) {
        uint16_t bit = (uint16_t)(1u << cell[at]);
        if (!cell[at]) f->empty[f->n_empty++] = at;
        else if ((f->row[at / g->n] | f->column[at % g->n] | f->box[box_of(g, at)]) & bit) return false;
        else toggle(f, at, cell[at]);
    }
    return true;
}

/* Cuts values that the neighbour `v` (0: empty) forbids: less, this cell must be smaller than it. */
static uint16_t bound(uint16_t c, int v, bool less, int n) {
    if (less) return v ? c & ((1u << v) - 1) : c & ~(1u << n);
    return v ? c & ~((2u << v) - 1) : c & ~2u;
}

static uint16_t bound_by_signs(const struct latin *g, const signed char *cell, int at, uint16_t can) {
    int n = g->n, r = at / n, c = at % n;
    if (c + 1 < n && g->right[at] != '.') can = bound(can, cell[at + 1], g->right[at] == '<', n);
    if (c > 0 && g->right[at - 1] != '.') can = bound(can, cell[at - 1], g->right[at - 1] == '>', n);
    if (r + 1 < n && g->down[at] != '.') can = bound(can, cell[at + n], g->down[at] == '^', n);
    if (r > 0 && g->down[at - n] != '.') can = bound(can, cell[at - n], g->down[at - n] == 'v', n);
    return can;
}

static uint16_t candidates(const struct filling *f, int at) {
    int n = f->g->n;
    uint16_t used = f->row[at / n] | f->column[at % n] | f->box[box_of(f->g, at)];
    uint16_t can = (uint16_t)((2u << n) - 2) & (uint16_t)~used;
    return f->g->boxes ? can : bound_by_signs(f->g, f->cell, at, can);
}

uint16_t latin_candidates(const struct latin *g, const signed char *cell, int at) {
    int n = g->n, r = at / n, c = at % n;
    uint16_t can = (uint16_t)((2u << n) - 2);
    for (int i = 0; i < n; i++) {
        if (i != c) can &= (uint16_t) ~(1u << cell[r * n + i]);
        if (i != r) can &= (uint16_t) ~(1u << cell[i * n + c]);
    }
    for (int i = 0; i < 4 && g->boxes; i++) {
        int other = (r / 2 * 2 + i / 2) * n + c / 2 * 2 + i % 2;
        if (other != at) can &= (uint16_t) ~(1u << cell[other]);
    }
    return bound_by_signs(g, cell, at, can) & (uint16_t)~1u;
}

/* The place in f->empty of the cell with the fewest candidates, the first one on the board where several are equal. */
static int choose(const struct filling *f, uint16_t *can) {
    int best = -1, fewest = 99;
    for (int i = 0; i < f->n_empty; i++) {
        uint16_t c = candidates(f, f->empty[i]);
        int n = __builtin_popcount(c);
        if (n > fewest || (n == fewest && f->empty[i] > f->empty[best])) continue;
        fewest = n, best = i, *can = c;
        if (!n) break;
    }
    return best;
}

int latin_next(const struct latin *g, const signed char *cell) {
    struct filling f;
    signed char work[LATIN_CELLS];
    uint16_t can;
    memcpy(work, cell, sizeof work);
    if (!open_filling(g, work, &f)) return -1;
    int i = choose(&f, &can);
    return i < 0 ? -1 : f.empty[i];
}

static int solve(struct filling *f, int most, signed char *out) {
    uint16_t can = 0;
    int i = choose(f, &can), found = 0;
    if (i < 0) {
        if (out) memcpy(out, f->cell, (size_t)(f->g->n * f->g->n));
        return 1;
    }
    int at = f->empty[i];
    f->empty[i] = f->empty[--f->n_empty];
    for (int v = 1; v <= f->g->n && found < most; v++) {
        if (!(can >> v & 1)) continue;
        f->cell[at] = (signed char)v, toggle(f, at, v);
        found += solve(f, most - found, found ? NULL : out);
        toggle(f, at, v);
    }
    f->cell[at] = 0;
    f->empty[f->n_empty++] = f->empty[i], f->empty[i] = at;
    return found;
}

int latin_solve(const struct latin *g, const signed char *cell, int most, signed char *out) {
    struct filling f;
    signed char work[LATIN_CELLS];
    memcpy(work, cell, sizeof work);
    if (!open_filling(g, work, &f)) return 0;
    for (int at = 0; at < g->n * g->n && !g->boxes; at++)
        if (cell[at] && !(bound_by_signs(g, cell, at, (uint16_t)(1u << cell[at])))) return 0;
    return solve(&f, most, out);
}

static bool fill(struct filling *f, uint64_t key, uint64_t *counter) {
    uint16_t can = 0;
    int i = choose(f, &can), values[LATIN];
    if (i < 0) return true;
    int at = f->empty[i];
    f->empty[i] = f->empty[--f->n_empty];
    for (int v = 0; v < f->g->n; v++) values[v] = v + 1;
    draw_shuffle(key, counter, values, f->g->n);
    for (int k = 0; k < f->g->n; k++) {
        if (!(can >> values[k] & 1)) continue;
        f->cell[at] = (signed char)values[k], toggle(f, at, values[k]);
        if (fill(f, key, counter)) return true;
        toggle(f, at, values[k]);
    }
    f->cell[at] = 0;
    f->empty[f->n_empty++] = f->empty[i], f->empty[i] = at;
    return false;
}

void latin_fill(struct latin *g, uint64_t key, uint64_t *counter) {
    struct filling f;
    memset(g->cell, 0, sizeof g->cell);
    open_filling(g, g->cell, &f);
    fill(&f, key, counter);
}
