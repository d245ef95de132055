/* peer.h: another program's benchmark, if the user has it installed: run on the same file, its rates read back.
 * Nothing of it is part of ponder, and nothing is downloaded.
 * Next: cmd_bench_model.c, which runs it between our rounds. */
#ifndef PONDER_PEER_H
#define PONDER_PEER_H

#include "base/status.h"
#include "bench/bench_run.h"

enum peer_kind { PEER_NONE, PEER_LLAMA_BENCH, PEER_BATCHED_BENCH };

struct peer {
    enum peer_kind kind;
    const char *path, *model; /* the program; the model file */
    int threads;
    uint32_t ubatch;
    bool flash;       /* its flash attention; peer_prepare finds what is faster */
    char version[64]; /* "llama-bench de3ff81": its commit, where it says it */
};

/* Runs the cases, all of the same kind and gen, once: rates [n] in tokens per second, as the peer itself measures them.
 * llama-bench: decode and prefill.  llama-batched-bench: tree, with the prompt read once and one KV buffer for all (-pps -kvu).
 * ERR_INPUT when it cannot be run, fails, or leaves a case out. */
enum status peer_measure(struct peer *p, const struct bench_case *cases, size_t n, double *rates, struct error *e);

/* Measures once with and once without flash attention and keeps what gives the larger product of rates. */
enum status peer_prepare(struct peer *p, const struct bench_case *cases, size_t n, struct error *e);

#endif
