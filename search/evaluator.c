/* evaluator.c: what can be said of any evaluator: what it lacks for a strategy, and whether a limit of the run is
 * reached.
 * Not an evaluator: eval_model.c, and tests/toy_eval.h.
 * Next: eval_model.h. */
#include "base/clock.h"
#include "search/search.h"

static const char *const ask_names[N_ASKS] = {"solve",     "propose", "judge",   "critique", "revise",
                                                "decompose", "part",    "compose", "compare"};

const char *ask_name(enum ask a) { return ask_names[a]; }

const char *evaluator_lacks(const struct evaluator *ev, unsigned needs) {
    static const char *const names[] = {
        "values of chains",         "a checker",     "answers of chains", "given tokens",
        "proposals of next tokens", "a draft model", "keys of states"};
    static const char *const prompts[N_ASKS] = {
        "a prompt to solve",  "a prompt to propose",   "a prompt to judge",         "a prompt to critique",
        "a prompt to revise", "a prompt to decompose", "a prompt to answer a part", "a prompt to compose",
        "a prompt to compare"};
    unsigned missing = needs & ~ev->can;
    for (unsigned i = 0; (CAN_VALUE << i) < CAN_ASK; i++)
        if (missing & (CAN_VALUE << i)) return names[i];
    for (unsigned i = 0; i < N_ASKS; i++)
        if (missing & (CAN_ASK << i)) return prompts[i];
    return NULL;
}

bool limits_stopped(const struct limits *l) {
    return (l->cancel && *l->cancel) || (l->deadline_ns && clock_ns() >= l->deadline_ns);
}

bool limits_reached(const struct limits *l, const struct ledger *cost) {
    if (!l) return false;
    return limits_stopped(l) || (l->max_tokens && cost->generated_tokens + cost->prm_tokens >= l->max_tokens) ||
           (l->max_flops && cost->policy_flops + cost->prm_flops >= l->max_flops);
}
