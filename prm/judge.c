/* judge.c: the rows, and those judges that need no pass of a model.
 * Not the reward model: judge_prm.c.  Not a pass over chains of the policy: judge_ptrue.c, judge_writes.c.
 * Next: judge_prm.c. */
#include "prm/judge.h"

#include <math.h>
#include <string.h>

#include "base/mem.h"

static float clean(float v) { return v > 0 ? (v < 1 ? v : 1) : 0; }

static enum status value_logprob(struct judge *j, struct judge_chain *chains, uint32_t n, float *values,
                                 struct error *e) {
    (void)j, (void)e;
    for (uint32_t i = 0; i < n; i++)
        values[i] = chains[i].n_rated ? (float)exp(chains[i].logprob / chains[i].n_rated) : 0.5f;
    return OK;
}

static enum status value_oracle(struct judge *j, struct judge_chain *chains, uint32_t n, float *values,
                                struct error *e) {
    const struct judge_chains *c = &j->p.chains;
    (void)e;
    for (uint32_t i = 0; i < n; i++) values[i] = c->oracle(c->self, c->text(c->self, chains[i].slot));
    return OK;
}

static enum status value_check(struct judge *j, struct judge_chain *chains, uint32_t n, float *values,
                               struct error *e) {
    const struct judge_chains *c = &j->p.chains;
    (void)e;
    for (uint32_t i = 0; i < n; i++) values[i] = clean(c->check(c->self, c->text(c->self, chains[i].slot)));
    return OK;
}

#define NO_PASS(NAME, SUMMARY) {.name = #NAME, .summary = SUMMARY, .size = sizeof(struct judge), .value = value_##NAME}
/* clang-format off */
static const struct judge_row
    logprob = NO_PASS(logprob, "exp of the mean log-probability of the chain's tokens"),
    oracle = NO_PASS(oracle, "what the task knows exactly of a chain, finished or not"),
    check = NO_PASS(check, "the task's checker, of what there is");
/* clang-format on */

const struct judge_row *const judge_rows[] = {&judge_prm, &judge_ptrue, &logprob, &oracle, &judge_writes, &check, NULL};

const struct judge_row *judge_find(const char *name) {
    for (const struct judge_row *const *r = judge_rows; *r; r++)
        if (!strcmp((*r)->name, name)) return *r;
    return NULL;
}

enum status judge_open(const struct judge_row *row, const struct judge_params *p, struct judge **out, struct error *e) {
    struct judge *j = *out = mem_new(1, row->size);
    if (!j) return error_set(e, ERR_MEMORY, "no memory for a judge");
    j->row = row, j->p = *p;
    enum status s = row->open ? row->open(j, e) : OK;
    if (s) judge_close(out);
    return s;
}

void judge_close(struct judge **j) {
    if (!*j) return;
    if ((*j)->row->close) (*j)->row->close(*j);
    mem_free(*j);
    *j = NULL;
}

uint64_t judge_flops(const struct engine *en, uint32_t from, uint32_t to, uint32_t n_out) {
    uint64_t sum = 0;
    for (uint32_t pos = from; pos < to; pos++) sum += model_flops(engine_model(en), pos, pos + n_out >= to);
    return sum;
}
