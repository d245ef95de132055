/* knights.h: what knights.c and knights_read.c share.
 * Not for others than tasks/.
 * Next: knights.c. */
#ifndef PONDER_KNIGHTS_H
#define PONDER_KNIGHTS_H

#include "tasks/steps.h"

enum { PERSONS = 5, SAID = 320, NAME = 24 };

struct island {
    int n;
    char names[PERSONS][NAME], knight[NAME], knave[NAME]; /* "a knight", with its article */
    char said[PERSONS][SAID];                             /* compact: "(b>B)" */
};

/* The published question; false when it has another form. */
bool knights_read(const char *text, struct island *k);

#endif
