/* cassette.h: an evaluator in front of another one, which writes down what that one says, or says it again.
 * Not a file (solve/tree_file.h) and not a model: without an evaluator behind it, it knows only its tape.
 * Next: cassette.c.
 *
 *     strategy --> cassette --> models       record: what models say becomes lines
 *     strategy --> cassette --> models       resume: the models recite what is on the tape, then go on by themselves
 *                      \--- tape
 *     strategy --> cassette                  replay: the tape alone
 *                      \--- tape
 *
 * A search that is cancelled stops writing with the call that was under way: what is there is the beginning of the whole
 * search, and can be gone on with.
 *
 * A search is a function of its settings and of what its evaluator says, so the same tape gives the same events:
 * whoever gets the lines may compare them with those that are there. */
#ifndef PONDER_CASSETTE_H
#define PONDER_CASSETTE_H

#include "search/trace.h"

/* Where lines go. */
struct cassette_lines {
    void *arg;
    void (*line)(void *arg, const char *line, size_t size); /* without newline */
    /* Before a model is asked: what was written so far should outlive this process.  An error ends the search. */
    enum status (*flush)(void *arg, struct error *e);
    /* The tape's end is a part of a call: lines behind those that were written by now do not count. */
    void (*cut)(void *arg);
};

/* The beginning of a tape: what there was to know when the search began. */
struct cassette_start {
    unsigned can;         /* set of enum capability */
    struct ledger ledger; /* the prompt's costs */
};

struct pending; /* what the last call said, until an event or the next call writes it */
struct cassette {
    /* set by the caller before cassette_open */
    const struct evaluator *inner; /* NULL: the tape alone; `start` is given then */
    const struct cassette_start *start;
    const struct tape_item *items; /* [n_items] NULL: an empty tape */
    size_t n_items;
    bool full_at_end; /* a call beyond the tape: KV is used up (ERR_FULL); else it is cancelled */
    struct cassette_lines lines;
    event_fn *next; /* hears of every event afterwards; NULL: nobody */
    void *next_arg;
    /* for the caller to read */
    struct evaluator ev; /* for the search */
    size_t at;           /* items that were said again */
    bool over;           /* the tape alone: something was asked that it does not say */
    /* its own */
    struct limits limits;
    struct ledger ledger; /* of the tape alone */
    struct pending *pending;
    uint32_t n_pending, cap_pending;
    uint32_t *nodes; /* [cap_nodes] node of each branch; 0: none */
    uint32_t cap_nodes;
    branch_id *free_ids; /* of the tape alone: [n_free] and all from next_id on are free */
    uint32_t n_free, cap_free, next_id;
    const volatile int *cancel; /* of the run's limits */
    bool cancelled;             /* the models may have been stopped within a call: nothing is written from here on */
    bool failed;                /* no memory for a line: the next call says so, or whoever closes it */
    struct buffer text;
};

/* ERR_INPUT: the evaluator cannot tell what it says. */
enum status cassette_open(struct cassette *c, struct error *e);
void cassette_close(struct cassette *c);

/* The event_fn of a search on c->ev; arg: the cassette. */
void cassette_event(void *cassette, const struct event *event);

#endif
