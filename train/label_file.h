/* label_file.h: reads what labels.h writes: problems with chains of a policy and the values of their steps.
 * Not an example to learn from: reward.h makes those, and revise.h.
 * Next: label_file.c. */
#ifndef PONDER_LABEL_FILE_H
#define PONDER_LABEL_FILE_H

#include "tasks/task.h"

struct label_chain {
    const char *steps; /* text of its steps */
    bool finished;     /* it came to an end */
    uint32_t n_values; /* steps with a value */
    float *values;     /* [n_values] 0 to 1 */
};

struct label_line {
    struct problem problem; /* not held out */
    uint64_t index;         /* of the problem in its stream */
    uint32_t n;
    struct label_chain *chains; /* [n], borrowed until the call returns */
};

/* Takes one line; an error ends the reading. */
typedef enum status label_fn(void *arg, const struct label_line *line, struct error *e);

/* Calls fn for every problem of the file, in order; headers are passed over.  ERR_INPUT names file, line and what is wrong:
 * no JSON, an unknown task, a problem that must not be trained on, a value that is none. */
enum status label_file_read(const char *path, label_fn *fn, void *arg, struct error *e);

#endif
