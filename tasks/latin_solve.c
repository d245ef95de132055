/* latin_solve.c: candidates of cells, and all solutions by the cell with the fewest of them.
 * Not a strategy of search/: it knows the rules.
 * Next: latin.c. */
#include <string.h>

#include "tasks/latin.h"

/* Cuts values that the neighbour `v` (0: empty) forbids: less, this cell must be smaller than it. */
static uint16_t bound(uint16_t c, int v, bool less, int n) {
    if (less) return v ? c & ((1u << v) - 1) : c & ~(1u << n);
    return v ? c & ~((2u << v) - 1) : c & ~2u;
}

uint16_t latin_candidates(const struct latin *g, const signed char *cell, int at) {
    int n = g->n, r = at / n, c = at % n;
    uint16_t can = (uint16_t)((2u << n) - 2);
    for (int i = 0; i < n; i++) {
        if (i != c) can &= (uint16_t) ~(1u << cell[r * n + i]);
        if (i != r) can &= (uint16_t) ~(1u << cell[i * n + c]);
    }
    if (g->boxes)
        for (int i = 0; i < 4; i++) {
            int other = (r / 2 * 2 + i / 2) * n + c / 2 * 2 + i % 2;
            if (other != at) can &= (uint16_t) ~(1u << cell[other]);
        }
    if (c + 1 < n && g->right[at] != '.') can = bound(can, cell[at + 1], g->right[at] == '<', n);
    if (c > 0 && g->right[at - 1] != '.') can = bound(can, cell[at - 1], g->right[at - 1] == '>', n);
    if (r + 1 < n && g->down[at] != '.') can = bound(can, cell[at + n], g->down[at] == '^', n);
    if (r > 0 && g->down[at - n] != '.') can = bound(can, cell[at - n], g->down[at - n] == 'v', n);
    return can & (uint16_t)~1u;
}

int latin_next(const struct latin *g, const signed char *cell) {
    int best = -1, fewest = 99;
    for (int at = 0; at < g->n * g->n; at++) {
        if (cell[at]) continue;
        int n = __builtin_popcount(latin_candidates(g, cell, at));
        if (n < fewest) fewest = n, best = at;
    }
    return best;
}

static int solve(const struct latin *g, signed char *cell, int most, signed char *out) {
    int at = latin_next(g, cell), found = 0;
    if (at < 0) {
        if (out) memcpy(out, cell, (size_t)(g->n * g->n));
        return 1;
    }
    uint16_t can = latin_candidates(g, cell, at);
    for (int v = 1; v <= g->n && found < most; v++) {
        if (!(can >> v & 1)) continue;
        cell[at] = (signed char)v;
        found += solve(g, cell, most - found, found ? NULL : out);
    }
    cell[at] = 0;
    return found;
}

int latin_solve(const struct latin *g, const signed char *cell, int most, signed char *out) {
    signed char work[LATIN_CELLS];
    memcpy(work, cell, sizeof work);
    for (int at = 0; at < g->n * g->n; at++)
        if (cell[at] && !(latin_candidates(g, cell, at) >> cell[at] & 1)) return 0;
    return solve(g, work, most, out);
}

static bool fill(struct latin *g, uint64_t key, uint64_t *counter) {
    int at = latin_next(g, g->cell), values[LATIN];
    if (at < 0) return true;
    uint16_t can = latin_candidates(g, g->cell, at);
    for (int v = 0; v < g->n; v++) values[v] = v + 1;
    draw_shuffle(key, counter, values, g->n);
    for (int i = 0; i < g->n; i++) {
        if (!(can >> values[i] & 1)) continue;
        g->cell[at] = (signed char)values[i];
        if (fill(g, key, counter)) return true;
    }
    g->cell[at] = 0;
    return false;
}

void latin_fill(struct latin *g, uint64_t key, uint64_t *counter) {
    memset(g->cell, 0, sizeof g->cell);
    fill(g, key, counter);
}
