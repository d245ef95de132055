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
#include "model/sample.h"
#include "prm/judge.h"

struct judgement {
    int32_t *prompt; /* [n_prompt] */
    size_t n_prompt;
    uint32_t seq, n, n_read; /* n: written */
};

struct writing_judge {
    struct judge j;
    struct judgement *judgements; /* [max_batch] */
    int32_t *ids;                 /* [max_batch, max_judgement] */
    float *logits;                /* [max_batch, n_vocab] */
    struct span *spans;           /* [max_batch] */
    uint32_t *active;             /* [max_batch] */
    struct sample_scratch sample;
    char *text; /* [text_cap] */
    size_t text_cap;
};

static void close_writes(struct judge *judge) {
    struct writing_judge *j = (struct writing_judge *)judge;
    mem_free(j->judgements), mem_free(j->ids), mem_free(j->logits), mem_free(j->spans), mem_free(j->active);
    mem_free(j->sample.p), mem_free(j->sample.ids), mem_free(j->text);
}

static enum status open_writes(struct judge *judge, struct error *e) {
    struct writing_judge *j = (struct writing_judge *)judge;
    size_t n = j->j.p.max_batch, n_vocab = engine_n_out(engine_of(j->j.p.policy));
    j->text_cap = (size_t)j->j.p.max_judgement * 64 + 1;
    if ((j->judgements = mem_new(n, sizeof *j->judgements)) &&
        (j->ids = mem_new(n * j->j.p.max_judgement, sizeof *j->ids)) &&
        (j->logits = mem_new(n * n_vocab, sizeof(float))) && (j->spans = mem_new(n, sizeof *j->spans)) &&
        (j->active = mem_new(n, sizeof *j->active)) && (j->sample.p = mem_new(n_vocab, sizeof(float))) &&
        (j->sample.ids = mem_new(n_vocab, sizeof(int32_t))) && (j->text = mem_new(j->text_cap, 1)))
        return OK;
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

static enum status begin(struct writing_judge *j, const struct judge_chain *chains, uint32_t n, struct error *e) {
    struct client *en = j->j.p.policy;
    for (uint32_t i = 0; i < n; i++) {
        struct judgement *x = &j->judgements[i];
        enum status s = j->j.p.chains.prompt(j->j.p.chains.self, chains[i].slot, &x->prompt, &x->n_prompt, e);
        if (s) return s;
        if (!x->n_prompt) return error_set(e, ERR_INPUT, "the prompt to judge has no tokens");
        if (!(x->seq = engine_seq_new(en))) return error_set(e, ERR_FULL, "all KV sequences are in use");
        x->n_read = engine_prefix(en, x->seq, x->prompt, (uint32_t)x->n_prompt);
        j->j.cost.cached_tokens += x->n_read, j->j.cost.tokens += x->n_read; /* counted as if computed here */
        j->j.cost.flops += judge_flops(engine_of(en), 0, x->n_read, 0);
    }
    return OK;
}

/* One pass for the judgements under way. */
static enum status read_active(struct writing_judge *j, uint32_t n_active, struct error *e) {
    struct client *en = j->j.p.policy;
    for (uint32_t i = 0; i < n_active; i++) {
        struct judgement *x = &j->judgements[j->active[i]];
        const int32_t *ids =
            x->n ? j->ids + (size_t)j->active[i] * j->j.p.max_judgement + x->n - 1 : x->prompt + x->n_read;
        uint32_t fresh = x->n ? 1 : (uint32_t)x->n_prompt - x->n_read;
        j->spans[i] = (struct span){x->seq, fresh, 1, ids, j->logits + (size_t)i * engine_n_out(engine_of(en))};
    }
    enum status s = engine_run(en, j->spans, n_active, &j->j.cost.pages_copied, e);
    for (uint32_t i = 0; i < n_active && !s; i++) {
        struct judgement *x = &j->judgements[j->active[i]];
        j->j.cost.tokens += j->spans[i].n_tokens;
        j->j.cost.flops += judge_flops(engine_of(en), x->n_read, x->n_read + j->spans[i].n_tokens, 1);
        x->n_read += j->spans[i].n_tokens;
    }
    return s;
}

static enum status write_all(struct writing_judge *j, uint32_t n, struct error *e) {
    const struct sample_params greedy = {.top_p = 1};
    uint32_t n_active = n, n_vocab = engine_n_out(engine_of(j->j.p.policy));
    for (uint32_t i = 0; i < n; i++) j->active[i] = i;
    while (n_active) {
        enum status s = read_active(j, n_active, e);
        if (s) return s;
        uint32_t still = 0;
        for (uint32_t i = 0; i < n_active; i++) {
            struct judgement *x = &j->judgements[j->active[i]];
            int32_t id = sample_token(&greedy, j->logits + (size_t)i * n_vocab, n_vocab, 0, 0, &j->sample, NULL);
            if (id < 0 || tok_is_end(j->j.p.tok, id)) continue;
            j->ids[(size_t)j->active[i] * j->j.p.max_judgement + x->n++] = id;
            if (x->n < j->j.p.max_judgement) j->active[still++] = j->active[i];
        }
        n_active = still;
    }
    return OK;
}

static float read_judgement(struct writing_judge *j, uint32_t i) {
    const struct judge_chains *c = &j->j.p.chains;
    size_t size;
    tok_decode(j->j.p.tok, j->ids + (size_t)i * j->j.p.max_judgement, j->judgements[i].n, false, j->text, j->text_cap,
               &size);
    float v = c->read ? c->read(c->self, j->text) : judgement_value(j->text);
    return v >= 0 && v <= 1 ? v : 0.5f; /* a judgement that says nothing */
}

static enum status value_writes(struct judge *judge, const struct judge_chain *chains, uint32_t n, float *values,
                                struct error *e) {
    struct writing_judge *j = (struct writing_judge *)judge;
    memset(j->judgements, 0, n * sizeof *j->judgements);
    enum status s = begin(j, chains, n, e);
    if (!s) s = write_all(j, n, e);
    for (uint32_t i = 0; i < n; i++) {
        if (!s) values[i] = read_judgement(j, i);
        if (j->judgements[i].seq) engine_drop(j->j.p.policy, &j->judgements[i].seq);
        mem_free(j->judgements[i].prompt);
    }
    return s;
}

const struct judge_row judge_writes = {.name = "judge",
                                       .summary = "the policy judges in words, on a prompt of the task",
                                       .size = sizeof(struct writing_judge),
                                       .open = open_writes,
                                       .close = close_writes,
                                       .value = value_writes};
