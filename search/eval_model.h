/* eval_model.h: real models behind the seam of search: a policy, a judge, a tokenizer, and what the task knows.
 * Not a strategy, and not how chains are judged: prm/judge.h.
 * Next: eval_model.c.
 *
 *   branch = tokens + policy sequence + draft sequence + what the judge keeps of the chain, forked together
 *   tokens : [prompt ............ step 1 \n step 2 \n]    shared with other branches: base/trail.h
 *   policy : [....................................]       all but the last token: it is read when tokens follow */
#ifndef PONDER_EVAL_MODEL_H
#define PONDER_EVAL_MODEL_H

#include "model/sample.h"
#include "prm/judge.h"
#include "search/search.h"
#include "tokenizer/tok.h"

struct text_constraint; /* model/write.h */

/* Where the values of chains come from. */
enum verifier {
    VERIFIER_PRM,     /* the reward model, if there is one */
    VERIFIER_PTRUE,   /* the policy's own P(True), asked on a fork: prm/ptrue.h */
    VERIFIER_LOGPROB, /* exp(mean log-probability of the chain's tokens) */
    VERIFIER_JUDGE,   /* the policy judges in words, on the task's prompt to judge: prm/judge_writes.c */
    VERIFIER_CHECK,   /* the task's checker */
    VERIFIER_NONE,
};

const char *verifier_name(enum verifier v); /* "prm", "ptrue", "logprob", "judge", "check", "none" */

struct eval_params {
    struct engine *policy;
    struct engine *draft; /* writes the steps that say so; the same vocabulary.  NULL: none */
    enum verifier verifier;
    struct engine *prm;              /* NULL: no reward model */
    const struct prm_reader *reader; /* how it is asked; NULL: prm_value_reader() */
    const struct ptrue *ptrue;       /* for VERIFIER_PTRUE */
    const struct tok *tok;
    enum prm_agg agg;
    struct sample_params sampling; /* temperature comes from each step */
    /* As in struct text_rules (model/write.h); penalties look at the prompt, too. */
    const struct sample_bias *bias; /* [n_bias] */
    size_t n_bias;
    struct sample_penalties penalties;
    uint32_t n_penalized;
    const struct text_constraint *constraint; /* of what is written behind the problem's own prompt; NULL: none */
    const void *constraint_state;             /* at the beginning; cloned */
    uint32_t guesses; /* a pass, copied from earlier places of a chain (model/speculate.h); the steps stay the same */
    const char *const *stops; /* [n_stops] texts that end a chain and are not part of it */
    size_t n_stops;
    uint32_t max_step_tokens; /* longer steps are truncated */
    uint32_t max_tokens;      /* of a chain, prompt included, and the question of P(True) */
    uint32_t max_prm_tokens; /* of what the reward model reads; 0: max_tokens.  A step that does not fit is truncated */
    uint32_t max_branches;
    uint32_t max_batch; /* branches of one extend call; larger calls are cut */
    int32_t separator;  /* token that ends a step */
    /* Text that ends a step instead, NULL: the separator does.  A step ends with the token that completes it, wherever
     * in its tokens it begins and ends; blanks or delimiters before any other text do not end it. */
    const char *delimiter;
    const int32_t *prompt_tokens; /* [n_prompt_tokens] read instead of the prompt's text; NULL: the text is read */
    size_t n_prompt_tokens;
    uint32_t priority;          /* of its clients (model/engine.h) */
    uint64_t deadline_ns;       /* of clock_ns, 0: none; and a flag: calls are given up between two passes of a model */
    const volatile int *cancel; /* NULL: none */
    const char *problem;        /* what a reward model is told the task is; NULL: the prompt */
    /* What the task knows, given the text after the prompt; each may be NULL. */
    /* The reward in [0,1], 1: right; and why, at most cap bytes with the NUL.  Returns by the deadline (of clock_ns, 0:
     * none). Only if the user allows it during search. */
    float (*check)(void *arg, const char *text, uint64_t deadline_ns, char *reason, size_t cap);
    uint64_t (*state)(void *arg, const char *text); /* key of what the chain has reached; 0: unknown */
    /* The prompt of each enum ask in the set `asks` (1 << ask) about a chain (text "": none yet), ids for mem_free. */
    enum status (*prompt)(void *arg, enum ask ask, const char *text, const char *note, int32_t **ids, size_t *n,
                          struct error *e);
    unsigned asks;
    size_t (*answer)(void *arg, const char *text, char *out, size_t cap); /* canonical answer */
    float (*oracle)(void *arg, const char *text);                         /* --prm oracle: replaces the reward model */
    /* For studies of judges that err: a normal draw of this standard deviation on the log-odds of each value (the
     * value taken within 0.02 and 0.98), the same for the same (noise_key, text); 0: none. */
    double value_noise;
    uint64_t noise_key;
    /* Does this step state the final answer?  Then it is the chain's last one, whatever the model would go on with.
     * NULL: only the end token ends a chain. */
    bool (*complete)(void *arg, const char *step);
    void *arg;
};

struct eval_model;

/* Reads the prompt.  ev is filled; ledger is the evaluator's own. */
enum status eval_model_open(const struct eval_params *p, const char *prompt, struct eval_model **out,
                            struct evaluator *ev, struct error *e);
void eval_model_close(struct eval_model **m);

/* Tokens of a live branch, prompt included; and what the reward model was or will be given for it, with 1 in *scored
 * where a step's value is read.  Owned by the evaluator until its next call. */
const int32_t *eval_model_tokens(struct eval_model *m, branch_id b, uint32_t *n);
const int32_t *eval_model_prm_tokens(struct eval_model *m, branch_id b, uint32_t *n, const uint8_t **scored);

/* Text after the prompt of a live branch, NUL-terminated, owned by the evaluator until its next call. */
const char *eval_model_text(struct eval_model *m, branch_id b);

#endif
