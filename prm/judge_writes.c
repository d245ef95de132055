/* judge_writes.c: the policy is asked to judge a chain in words, on a prompt of the task, and its last word is the
 * value.
 * Not a reward model: nothing was trained for this.
 * Next: judge.h.  Source: Zhang et al. 2024, "Generative Verifiers", arXiv:2408.15240 (there trained for it). */
#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "base/trail.h"
#include "model/write.h"
#include "prm/judge.h"

struct judgement {
    struct trail prompt;
    struct text text; /* its ids: [max_judgement + 1] */
};

struct writing_judge {
    struct judge j;
    struct judgement *judgements; /* [max_batch] */
    struct text **texts;          /* [max_batch] theirs */
    int32_t *ids;                 /* [max_batch, max_judgement + 1] */
    struct writer *writer;
    struct text_rules rules;
    struct trail_pool *pool; /* of the prompts */
    char *text; /* [text_cap] */
    size_t text_cap;
};

static void close_writes(struct judge *judge) {
    struct writing_judge *j = (struct writing_judge *)judge;
    writer_free(&j->writer);
    trail_pool_free(&j->pool);
    mem_free(j->judgements), mem_free(j->texts), mem_free(j->ids), mem_free(j->text);
}

static enum status open_writes(struct judge *judge, struct error *e) {
    struct writing_judge *j = (struct writing_judge *)judge;
    size_t n = j->j.p.max_batch;
    j->text_cap = (size_t)j->j.p.max_judgement * 64 + 1;
    enum status s = trail_pool_new(&j->pool, e);
    if (s) return s;
    j->rules = (struct text_rules){.tok = j->j.p.tok, .sampling = {.top_p = 1}};
    if ((j->judgements = mem_new(n, sizeof *j->judgements)) && (j->texts = mem_new(n, sizeof *j->texts)) &&
        (j->ids = mem_new(n * (j->j.p.max_judgement + 1), sizeof *j->ids)) && (j->text = mem_new(j->text_cap, 1)))
        return writer_new(j->j.p.policy, (uint32_t)n, 0, &j->writer, e);
    return error_set(e, ERR_MEMORY, "no memory for judgements of %zu chains", n);
}

/* ---- what a judgement says ---- */

static bool is_word(const char *at, const char *text, const char *word) {
    size_t n = strlen(word);
    return !strncasecmp(at, word, n) && (at == text || !isalpha((unsigned char)at[-1])) &&
           !isalpha((unsigned char)at[n]);
}

/* "7/10", "7.5 out of 10" */
static float score_at(const char *at, const char *text) {
    char *end;
    if (!isdigit((unsigned char)*at) || (at > text && (isdigit((unsigned char)at[-1]) || at[-1] == '.'))) return NAN;
    double x = strtod(at, &end);
    while (*end == ' ') end++;
    if (*end == '/') end++;
    else if (!strncasecmp(end, "out of", 6)) end += 6;
    else return NAN;
    while (*end == ' ') end++;
    if (strncmp(end, "10", 2) || isdigit((unsigned char)end[2]) || x > 10) return NAN;
    return (float)(x / 10);
}

float judgement_value(const char *text) {
    static const char *const good[] = {"yes", "true", "correct", "right"}, *const bad[] = {"no", "false", "incorrect",
                                                                                           "wrong"};
    float score = NAN, word = NAN;
    for (const char *at = text; *at; at++) {
        float x = score_at(at, text);
        if (!isnan(x)) score = x;
        for (int i = 0; i < 4; i++) {
            if (is_word(at, text, good[i])) word = 1;
            if (is_word(at, text, bad[i])) word = 0;
        }
    }
    return isnan(score) ? word : score;
}

/* ---- writing ---- */

/* A judgement that has read its prompt, all but the last token of it. */
static enum status read_prompt(struct writing_judge *j, struct judgement *x, const int32_t *ids, uint32_t n,
                               struct error *e) {
    struct client *client = j->j.p.policy;
    struct reading r = {.seq = x->text.seq = engine_seq_new(client), .n = n - 1, .tokens = ids};
    if (!r.seq) return error_set(e, ERR_FULL, "all KV sequences are in use");
    enum status s = trail_append(j->pool, &x->prompt, ids, n, e);
    if (!s && r.n) s = engine_read(client, &r, e);
    if (s) return s;
    x->text.before = x->prompt, x->text.n_read = r.n;
    j->j.cost.tokens += r.n, j->j.cost.cached_tokens += r.n_cached; /* counted as if computed here */
    j->j.cost.pages_copied += r.pages_copied;
    j->j.cost.flops += judge_flops(engine_of(client), 0, r.n, 0);
    return OK;
}

static enum status begin(struct writing_judge *j, uint32_t slot, struct judgement *x, int32_t *own, struct error *e) {
    const struct judge_chains *c = &j->j.p.chains;
    int32_t *ids = NULL;
    size_t n = 0;
    x->text = (struct text){.rules = &j->rules,
                            .pool = j->pool,
                            .ids = own,
                            .cap_ids = j->j.p.max_judgement + 1,
                            .max_tokens = j->j.p.max_judgement};
    enum status s = c->prompt(c->self, slot, &ids, &n, e);
    if (!s && !n) s = error_set(e, ERR_INPUT, "the prompt to judge has no tokens");
    if (!s) s = read_prompt(j, x, ids, (uint32_t)n, e);
    mem_free(ids);
    return s;
}

static float read_judgement(struct writing_judge *j, const struct text *t) {
    const struct judge_chains *c = &j->j.p.chains;
    size_t size;
    tok_decode(j->j.p.tok, t->ids, t->n_ids, false, j->text, j->text_cap, &size);
    float v = c->read ? c->read(c->self, j->text) : judgement_value(j->text);
    return v >= 0 && v <= 1 ? v : 0.5f; /* a judgement that says nothing */
}

static enum status value_writes(struct judge *judge, struct judge_chain *chains, uint32_t n, float *values,
                                struct error *e) {
    struct writing_judge *j = (struct writing_judge *)judge;
    enum status s = OK;
    memset(j->judgements, 0, n * sizeof *j->judgements);
    for (uint32_t i = 0; i < n && !s; i++) {
        struct judgement *x = &j->judgements[i];
        j->texts[i] = &x->text;
        const struct judge_cost before = j->j.cost;
        s = begin(j, chains[i].slot, x, j->ids + (size_t)i * (j->j.p.max_judgement + 1), e);
        chains[i].tokens = j->j.cost.tokens - before.tokens, chains[i].flops = j->j.cost.flops - before.flops;
    }
    if (!s) s = write_some(j->writer, j->texts, n, NULL, &j->j.cost.pages_copied, e);
    for (uint32_t i = 0; i < n; i++) {
        struct judgement *x = &j->judgements[i];
        if (!s && x->text.end == TEXT_CANCELLED) s = error_set(e, ERR_CANCELLED, "stopped before chains were judged");
        if (!s) values[i] = read_judgement(j, &x->text);
        uint64_t written = x->text.n_drawn ? x->text.n_read - (x->prompt.len - 1) : 0;
        j->j.cost.tokens += written, chains[i].tokens += written;
        j->j.cost.flops += x->text.n_flops, chains[i].flops += x->text.n_flops;
        if (x->text.seq) engine_drop(j->j.p.policy, &x->text.seq);
        trail_drop(j->pool, &x->prompt);
    }
    return s;
}

const struct judge_row judge_writes = {.name = "judge",
                                       .summary = "the policy judges in words, on a prompt of the task",
                                       .size = sizeof(struct writing_judge),
                                       .open = open_writes,
                                       .close = close_writes,
                                       .value = value_writes};
