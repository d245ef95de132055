/* tree_tools.h: what can be done with a saved tree without any model: numbers, differences, pictures.
 * Not the search again (tree_file.h) and not other values (tree_rescore.h).
 * Next: tree_tools.c, tree_export.c. */
#ifndef PONDER_TREE_TOOLS_H
#define PONDER_TREE_TOOLS_H

#include "solve/tree_read.h"

/* Sizes, ends, values, tokens and costs; NULL: no memory. */
json_t *tree_stats(const struct saved_tree *f);

/* What a differs from b in, a line each, at most `most` of them and then how many more; nodes are matched by their path of
 * tries.  *n: how many differences there are. */
enum status tree_diff(const struct saved_tree *a, const struct saved_tree *b, size_t most, struct buffer *to, size_t *n,
                      struct error *e);

/* Costs so far: of the end, or what the lines add up to. */
struct ledger tree_cost(const struct saved_tree *f);

/* The page that draws trees: serve/page.h, which this room must not know. */
struct tree_page {
    const char *data; /* [size] */
    size_t size;
};
/* The file as "dot", "svg", "json" or "html"; html takes one or two trees, the others one. */
enum status tree_export(const char *format, const struct tree_page *page, const struct saved_tree *const *trees, int n,
                        struct buffer *to, struct error *e);

#endif
