/* latin.h: squares whose rows and columns hold each number once, with boxes or signs between cells: what mini_sudoku
 * and futoshiki share.
 * Not for others than tasks/.
 * Next: latin_solve.c, then latin.c. */
#ifndef PONDER_LATIN_H
#define PONDER_LATIN_H

#include "tasks/steps.h"

enum { LATIN = 9, LATIN_CELLS = LATIN * LATIN };

struct latin {
    int n;
    bool boxes;                        /* mini sudoku: also each 2 x 2 box */
    signed char cell[LATIN_CELLS];     /* [n * n] row by row; 0: empty */
    char right[LATIN_CELLS];           /* '<' or '>' between a cell and the one right of it, else '.' */
    char down[LATIN_CELLS];            /* '^' when the cell is smaller than the one below it, 'v' larger, else '.' */
    signed char solution[LATIN_CELLS]; /* the first one found */
    bool unique;                       /* it is the only one */
};

/* Values that a cell may still have beside the filled ones: bit v for value v. */
uint16_t latin_candidates(const struct latin *g, const signed char *cell, int at);
/* Solutions that agree with the filled cells, up to `most`; the first into out (may be NULL). */
int latin_solve(const struct latin *g, const signed char *cell, int most, signed char *out);
/* The empty cell to fill next: with the fewest candidates, first in order; -1: none is empty. */
int latin_next(const struct latin *g, const signed char *cell);
/* A random full square into g->cell (and boxes, if it has them). */
void latin_fill(struct latin *g, uint64_t key, uint64_t *counter);

#endif
