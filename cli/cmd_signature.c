/* cmd_signature.c: one hash of fixed searches with the embedded models: the same on any thread count and instruction set.
 * Not a benchmark and not listed for users: `make signature` and CI run it.
 * Next: search/tree.c, where a search becomes a hash. */
#include <stdio.h>

#include "base/rng.h"
#include "cli/command.h"
#include "solve/solver.h"

struct options {
    struct session_options session;
};

static const struct flag flags[] = {
    MODEL_FLAG(struct options, session),
    PRM_FLAG(struct options, session),
    COMPUTE_FLAGS(struct options, session),
    {0},
};

static const char *const puzzles[] = {"4 7 8 8", "3 3 8 8", "2 3 5 12"};
static const char *const searches[] = {"greedy", "bon", "beam", "mcts"};

static enum status add_search(const struct session *session, const char *name, uint64_t *hash, struct error *e) {
    struct solver s;
    solver_init(&s, task_find("game24"), strategy_find(name));
    enum status st = solver_attach(&s, session, e);
    if (st) return st;
    for (size_t i = 0; i < sizeof puzzles / sizeof *puzzles; i++) {
        struct problem p;
        struct outcome o;
        if ((st = solver_parse(s.task, puzzles[i], &p, e))) break;
        st = solver_run(&s, &p, NULL, NULL, &o, e);
        problem_free(&p);
        if (st) break;
        *hash = rng_fold(*hash, o.signature);
        outcome_free(&o);
    }
    solver_close(&s);
    return st;
}

int cmd_signature(int argc, char **argv) {
    struct options o = {0};
    struct args a = {.command = "signature",
                     .usage = "",
                     .flags = flags,
                     .options = &o,
                     .about = "Prints one hash of fixed searches.\n"};
    struct session session;
    struct error e;
    int code = args_parse(&a, argc, argv);
    if (code != ARGS_GO_ON) return code;
    uint64_t hash = 0;
    enum status st = session_open(&o.session, &(struct session_size){.branches = 256, .with_prm = true}, &session, &e);
    for (size_t i = 0; !st && i < sizeof searches / sizeof *searches; i++)
        st = add_search(&session, searches[i], &hash, &e);
    code = st ? args_failed(&a, e.text) : EXIT_GOOD;
    if (!st) printf("%016llx\n", (unsigned long long)hash);
    session_close(&session);
    return code;
}
