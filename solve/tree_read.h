/* tree_read.h: a tree file in memory: the tree, the tape it was made from, and the lines themselves; and what is wrong with it.
 * Not the writing: tree_file.h.
 * Next: tree_read.c; docs/TREE.md for the format. */
#ifndef PONDER_TREE_READ_H
#define PONDER_TREE_READ_H

#include <jansson.h>

#include "search/cassette.h"

enum { TREE_VERSION = 2 };

/* What is beside a node of the tree. */
struct saved_node {
    size_t line;                  /* that made it; 0: the prompt's node */
    const struct tape_item *item; /* its tokens; NULL: no model was asked for it */
    const char *answer;           /* canonical; NULL: not asked for */
    const char *status;           /* at the end; NULL: the file has no end */
    bool judged;                  /* its value is the judge's */
};

/* One event, as it is played. */
struct saved_event {
    enum event_kind kind;
    uint32_t node;
    float value; /* scored, finished; visited: the mean */
    uint32_t visits;
};

struct saved_tree {
    const char *path; /* borrowed */
    char *text;       /* [size] all whole lines */
    size_t size;
    size_t *lines; /* [n_lines + 1] where each begins */
    size_t n_lines;
    bool torn; /* there was a last line without end */
    json_t *header;
    int32_t *prompt; /* [n_prompt] NULL: the search had not begun */
    size_t n_prompt;
    struct cassette_start start;
    struct tape_item *items; /* [n_items] */
    size_t *item_lines;      /* [n_items] */
    size_t n_items;
    struct tree tree;
    struct saved_node *nodes; /* [tree.n] */
    struct saved_event *events;
    size_t n_events;
    bool done; /* the last line is the result: */
    struct search_result result;
    struct ledger cost;
    void *blocks; /* parts of the lines, decoded */
};

/* Told of each fault: the line, counted from 1, and one line of text that names field, value and what is allowed. */
typedef void tree_fault_fn(void *arg, size_t line, const char *text);

/* on_fault NULL: the first fault is the error, "FILE:LINE: ..."; else all are told and the result is that of the sound lines; then
 * *n_faults says how many there were.  A last line without end is no fault.  f is for tree_close on success. */
enum status tree_read(const char *path, struct saved_tree *f, tree_fault_fn *on_fault, void *arg, size_t *n_faults,
                      struct error *e);
void tree_close(struct saved_tree *f);

/* Of the header: a text, "" when it is none. */
const char *tree_header_text(const struct saved_tree *f, const char *name);

#endif
