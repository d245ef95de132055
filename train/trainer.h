/* trainer.h: the training loop: batches from a source, both cores busy, checkpoint, resume, log, progress.
 * Not what is learned: policy.c and reward.c give the examples.
 * Next: policy.h. */
#ifndef PONDER_TRAINER_H
#define PONDER_TRAINER_H

#include <stdio.h>

#include "model/net.h"

/* Rows of the longest example; and rows a sequence of a batch may have on average.  Examples of a batch beyond that
 * are left out, so that one long task does not make room for itself in every batch. */
enum { EXAMPLE_MAX = 512, EXAMPLE_ROOM = 96 };

/* One sequence; row i reads tokens[i].  weights[i] > 0 marks rows with loss. */
struct example {
    uint32_t n;
    int32_t tokens[EXAMPLE_MAX];
    int32_t targets[EXAMPLE_MAX]; /* NET_LM */
    float values[EXAMPLE_MAX];    /* NET_VALUE */
    float weights[EXAMPLE_MAX];
};

/* Example number `index`: a pure function of (arg, index), called from several threads.  ERR_MEMORY only.  Validation
 * examples have the indices from EXAMPLE_VALIDATION up and come from a stream of their own; small problems may occur
 * in both. */
#define EXAMPLE_VALIDATION ((uint64_t)1 << 62)
typedef enum status example_fn(void *arg, uint64_t index, struct example *out, struct error *e);

struct train_params {
    uint64_t steps, warmup; /* optimiser steps */
    uint32_t batch;         /* sequences a step, a multiple of 4 */
    float lr, lr_floor;     /* peak; the end as a share of it */
    uint64_t seed;          /* identifies the run in checkpoint and log */
    int threads;
    const char *checkpoint; /* file to save to and resume from; NULL: none */
    const char
        *settings;   /* "flag=value" lines of what else decides the result; a checkpoint of others is refused by name */
    const char *log; /* JSONL, one line per report, appended; lines beyond the checkpoint are cut.  NULL: none */
    double save_every_s;   /* seconds between checkpoints */
    uint32_t n_validation; /* examples, 0 = none */
    uint64_t stop_after;   /* 0, or leave (checkpointed) after this many steps: tests */
    const volatile int *cancel;
};

/* Trains n in place.  Resumes from params->checkpoint when that exists; a damaged one is refused by its CRC and the
 * previous one taken (with a line on stderr).  Loss that is not finite: the step is skipped; ten in a row are an error
 * and the last good checkpoint stays.  *final_loss: mean validation loss (training loss without validation). */
enum status train_run(struct net *n, example_fn *source, void *arg, const struct train_params *p, double *final_loss,
                      struct error *e);

/* Cuts a log's lines of steps above `step`: a run that was killed reported more than its checkpoint holds, and those
 * steps come again.  log is open for reading and appending. */
enum status train_cut_log(FILE *log, const char *path, uint64_t step, struct error *e);

#endif
