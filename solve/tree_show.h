/* tree_show.h: a saved tree in text, for people.
 * Not its pictures and numbers: tree_tools.h.
 * Next: tree_show.c. */
#ifndef PONDER_TREE_SHOW_H
#define PONDER_TREE_SHOW_H

#include <stdio.h>

#include "base/terminal.h"
#include "solve/tree_rescore.h"

/* What was asked, the tree, the answer, the cost. */
void tree_show(const struct saved_tree *f, const struct terminal *term, FILE *to);
/* Why this answer won: explain.h. */
enum status tree_show_why(const struct saved_tree *f, FILE *to, struct error *e);
/* The answer before and now. */
void tree_show_rescored(const struct saved_tree *f, const struct rescored *r, const char *judge, FILE *to);

#endif
