/* cost.c: see cost.h.
 * Not the fields' names for writers: solve/report.c.
 * Next: compare.c. */
#include "study/cost.h"

static double number(const json_t *line, const char *name) { return json_number_value(json_object_get(line, name)); }

const char *cost_name(enum cost c) {
    static const char *const names[] = {"policy tokens", "PRM tokens", "policy FLOPs", "PRM FLOPs", "FLOPs", "ms"};
    return names[c];
}

double cost_of(const json_t *line, enum cost c) {
    switch (c) {
    case COST_POLICY_TOKENS: return number(line, "prompt_tokens") + number(line, "generated_tokens");
    case COST_PRM_TOKENS: return number(line, "prm_tokens");
    case COST_POLICY_FLOPS: return number(line, "policy_flops");
    case COST_PRM_FLOPS: return number(line, "prm_flops");
    case COST_FLOPS: return number(line, "policy_flops") + number(line, "prm_flops");
    case COST_MS: return number(line, "ms");
    case N_COSTS: break;
    }
    return 0;
}
