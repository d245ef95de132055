/* tape.h: what models and the task said during a search, one item a thing said, in the order of the calls.
 * Not the tree: which node an item became stands in the events.
 * Next: trace.h for items as lines; cassette.h, which writes a tape and plays it. */
#ifndef PONDER_TAPE_H
#define PONDER_TAPE_H

#include "search/search.h"

enum tape_kind {
    TAPE_STEP,     /* extend */
    TAPE_PUT,      /* put */
    TAPE_VALUE,    /* score */
    TAPE_PROPOSAL, /* propose */
    TAPE_BEGUN,    /* begin */
    TAPE_CHECKED,  /* check */
    TAPE_ANSWER,   /* answer */
    TAPE_STATE,    /* state */
};

/* Fields that a kind has no use for are zero; texts and arrays are borrowed. */
struct tape_item {
    enum tape_kind kind;
    uint32_t node;          /* that the branch belongs to; 0: none, or the prompt */
    bool draft;             /* step */
    enum step_end end;      /* step, put: of the text, not of the chain */
    uint32_t n_tokens;      /* step, put: written; proposal: proposed; begun: of the prompt */
    uint32_t n_steps;       /* step */
    const int32_t *ids;     /* [n_tokens] step, put, proposal; NULL: not told */
    const float *logprobs;  /* [n_tokens] step, proposal; NULL: not told */
    bool apart;             /* step: written without replacement, with */
    const float *shares;    /* [n_tokens] */
    double left;            /* as in struct step */
    float logprob;          /* step, put: the sum */
    float number;           /* value; checked: the reward; proposal: the entropy */
    const char *text;       /* step, put; answer; checked: the reason */
    uint64_t flops;         /* of the policy or the draft model, also where a judge had it read a chain */
    struct value_cost cost; /* value: of the judge */
    uint64_t state;
    enum ask ask; /* begun */
};

#endif
