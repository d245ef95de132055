/* cmd_signature.c: one hash of fixed searches with the embedded models: the same on any thread count and instruction set.
 * Not a benchmark and not listed for users: `make signature` and CI run it.
 * Next: search/tree.c, where a search becomes a hash. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/rng.h"
#include "cli/command.h"
#include "solve/solver.h"
#include "weights/quantize.h"

struct options {
    struct session_options session;
};

static const struct flag flags[] = {
    MODEL_FLAG(struct options, session),
    PRM_FLAG(struct options, session),
    COMPUTE_FLAGS(struct options, session),
    {0},
};

/* What is searched.  Each row is there for something that no other row goes through. */
struct fixed {
    const char *policy, *type; /* NULL: what the flags say; a type that the policy is quantised to, NULL: as it is */
    const char *prm, *prm_kind;
    const char *search;
    int64_t budget; /* negative: the strategy's own */
    bool text;      /* the puzzle is a text, steps end by one, and the answer is the last number */
};
/* clang-format off */
static const struct fixed searches[] = {
    {.search = "greedy",   .budget = -1},
    {.search = "bon",      .budget = -1},
    {.search = "beam",     .budget = -1},
    {.search = "mcts",     .budget = -1},
    {.search = "maj",      .budget = 4},
    {.search = "weighted", .budget = 4},
    {.policy = "game24-policy-small", .search = "weighted", .budget = 4, .text = true},
    {.policy = "game24-policy-small", .type = "Q8_0", .search = "mcts", .budget = 8},
    {.policy = "game24-policy-small", .type = "Q4_0", .search = "bon", .budget = 4},
    {.policy = "game24-policy-small", .prm = "game24-policy-small", .prm_kind = "rlhflow", .search = "beam", .budget = 2, .text = true},
};
/* clang-format on */

static const char *const puzzles[] = {"4 7 8 8", "3 3 8 8", "2 3 5 12"};
static const char *const texts[] = {" 4 7 8 8 -> 24\n"};

/* The policy inside the binary with smaller weights, in a file that is gone at the end. */
static enum status write_quantised(const struct fixed *f, const char *path, struct error *e) {
    struct gguf *in;
    struct quantize_sizes sizes;
    enum status s = session_open_file(f->policy, "policy", &in, e);
    if (!s) s = quantize_write(in, &(struct quantize_options){.recipe = quantize_recipe(f->type)}, path, &sizes, e);
    gguf_close(&in);
    return s;
}

static enum status add_problem(const struct solver *s, const char *text, uint64_t *hash, struct error *e) {
    struct problem p;
    struct outcome o;
    enum status st = solver_parse(s->task, text, &p, e);
    if (st) return st;
    st = solver_run(s, &p, NULL, NULL, &o, e);
    problem_free(&p);
    if (st) return st;
    *hash = rng_fold(*hash, o.signature);
    outcome_free(&o);
    return OK;
}

static enum status add_problems(const struct session *session, const struct fixed *f, uint64_t *hash, struct error *e) {
    struct solver s;
    struct search_options o = SEARCH_OPTIONS;
    o.search = f->search, o.budget = f->budget;
    if (f->text) o.raw = true, o.delimiter = "\\n";
    const char *const *problems = f->text ? texts : puzzles;
    size_t n = f->text ? sizeof texts / sizeof *texts : sizeof puzzles / sizeof *puzzles;
    enum status st = solver_setup(&s, task_find(f->text ? "math" : "game24"), &o, e);
    if (st) return st;
    st = solver_attach(&s, session, e);
    for (size_t i = 0; !st && i < n; i++) st = add_problem(&s, problems[i], hash, e);
    solver_close(&s);
    return st;
}

static enum status add_search(const struct session_options *given, const struct fixed *f, uint64_t *hash,
                              struct error *e) {
    struct session session;
    struct session_options o = *given;
    char path[] = "/tmp/ponder-signature-XXXXXX";
    int file = -1;
    enum status st = OK;
    if (f->policy) o.model = f->policy;
    if (f->prm) o.prm = f->prm, o.prm_kind = f->prm_kind;
    if (f->type) {
        if ((file = mkstemp(path)) < 0) return error_set(e, ERR_IO, "%s: no file can be made there", path);
        close(file);
        o.model = path;
        st = write_quantised(f, path, e);
    }
    if (!st) {
        st = session_open(&o, &(struct session_size){.branches = 256, .with_prm = true}, &session, e);
        if (!st) st = add_problems(&session, f, hash, e);
        session_close(&session);
    }
    if (file >= 0) unlink(path);
    return st;
}

int cmd_signature(int argc, char **argv) {
    struct options o = {0};
    struct args a = {.command = "signature",
                     .usage = "",
                     .flags = flags,
                     .options = &o,
                     .about = "Prints one hash of fixed searches.\n"};
    struct error e;
    int code = args_parse(&a, argc, argv);
    if (code != ARGS_GO_ON) return code;
    uint64_t hash = 0;
    enum status st = OK;
    for (size_t i = 0; !st && i < sizeof searches / sizeof *searches; i++)
        st = add_search(&o.session, &searches[i], &hash, &e);
    if (st) return args_failed(&a, e.text);
    printf("%016llx\n", (unsigned long long)hash);
    return EXIT_GOOD;
}
