/* label_file.h: reads problems with chains for them, and what the chains are worth, from three kinds of JSON lines:
 *   ponder label         {"task":"jugs","problem":"...","chains":[{"steps":"...","finished":true,"values":[0.5,1]}]}
 *   ponder eval -o       {"problem":"...","steps":"...","correct":true}      the task stands in the header
 *   ponder generate      {"task":"jugs","problem":"...","steps":"..."}       judged here
 * Not an example to learn from: reward.h makes those, and chains.h.
 * Next: label_file.c. */
#ifndef PONDER_LABEL_FILE_H
#define PONDER_LABEL_FILE_H

#include "tasks/task.h"

struct label_chain {
    const char *steps; /* text of its steps */
    bool finished;     /* it came to an end */
    uint32_t n_values; /* steps with a value; 1 for the whole chain in a file without values of steps */
    float *values;     /* [n_values] 0 to 1; of a finished chain the last one is 1 when it is right */
};

struct label_line {
    struct problem problem; /* not held out */
    uint64_t index;         /* of the problem in its stream */
    bool has_values;        /* of steps */
    const char *where;      /* "FILE:LINE" for errors */
    uint32_t n;
    struct label_chain *chains; /* [n], borrowed until the call returns */
};

/* Takes one line; an error ends the reading. */
typedef enum status label_fn(void *arg, const struct label_line *line, struct error *e);

/* Calls fn for every problem of the file, in order.  ERR_INPUT names file, line and what is wrong:
 * no JSON, an unknown task, a problem that must not be trained on, a value that is none. */
enum status label_file_read(const char *path, label_fn *fn, void *arg, struct error *e);

#endif
