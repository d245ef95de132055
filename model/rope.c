/* rope.c: tables of cosines and sines, with the stretchings that models are trained with.
 * Not read from the file here: config.c.
 * Next: attention.c, which turns q and k by them. */
#include "model/rope.h"

#include <math.h>

/* The pair whose angle makes `turns` full turns within the original context: what YaRN's ramp is measured in. */
static double pair_of_turns(const struct model_config *c, double turns) {
    return c->rope_dim * log(c->scaling.n_ctx_orig / (turns * 2 * 3.141592653589793)) / (2 * log(c->rope_base));
}

/* 1 for pairs that turn often (their angles stay), 0 for pairs that turn seldom (theirs are scaled). */
static double yarn_ramp(const struct model_config *c, uint32_t pair) {
    double low = fmax(0, floor(pair_of_turns(c, c->scaling.beta_fast)));
    double high = fmin(c->rope_dim - 1, ceil(pair_of_turns(c, c->scaling.beta_slow)));
    double at = (pair - low) / fmax(0.001, high - low);
    return 1 - fmin(1, fmax(0, at));
}

/* Angle per position of one pair. */
static double frequency(const struct model *m, bool local, const float *factors, uint32_t pair) {
    const struct model_config *c = &m->config;
    double f = pow(local ? c->rope_base_local : c->rope_base, -2.0 * pair / c->rope_dim);
    if (local) return f;
    if (factors) f /= factors[pair];
    if (c->scaling.freq_scale == 0 || c->scaling.freq_scale == 1) return f;
    if (!(c->scaling.yarn > 0)) return f * c->scaling.freq_scale;
    double keep = yarn_ramp(c, pair) * c->scaling.yarn;
    return f * c->scaling.freq_scale * (1 - keep) + f * keep;
}

void rope_fill(const struct model *m, bool local, uint32_t max_tokens, float *table) {
    const struct model_config *c = &m->config;
    bool is_long = m->rope_factors_long && max_tokens > c->scaling.n_ctx_orig;
    const float *factors = is_long ? m->rope_factors_long : m->rope_factors;
    double magnitude = local || c->scaling.magnitude == 0 ? 1 : (double)c->scaling.magnitude;
    for (uint32_t i = 0; i < c->rope_dim / 2; i++) {
        double f = frequency(m, local, factors, i);
        for (uint32_t pos = 0; pos < max_tokens; pos++) {
            float *cs = table + (size_t)pos * c->rope_dim + 2 * i;
            cs[0] = (float)(magnitude * cos(pos * f)), cs[1] = (float)(magnitude * sin(pos * f));
        }
    }
}
