/* grpo.h: reinforcement learning with exact rewards: group relative policy optimisation (Shao et al. 2024,
 * DeepSeekMath, section 4), with what DAPO changed (Yu et al. 2025): a clip that is wider above, no KL term, the mean
 * over tokens, and groups in which all rewards are equal left out.
 * Not a value network: a sample is compared with the other samples of its problem.
 * Next: grpo.c.
 *
 *   for each step: sample `group` chains of each of `problems` problems from the weights as they are; A = (r - mean) /
 * std
 *   for each epoch: ratio = exp(log p - log p when it was sampled), per token
 *       maximise the mean over all tokens of min(ratio A, clip(ratio, 1 - clip_low, 1 + clip_high) A) */
#ifndef PONDER_GRPO_H
#define PONDER_GRPO_H

#include "train/policy.h"

enum { GRPO_GROUP_MAX = 64 };

struct grpo_params {
    struct task_mix mix;
    const struct tok *tok;
    uint64_t key, seed; /* stream of problems and samples; seed for the checkpoint */
    uint64_t steps;
    uint32_t problems, group; /* of a step; samples of a problem */
    uint32_t epochs;          /* passes over what was sampled */
    float lr, temperature, clip_low, clip_high;
    int threads;
    const char *checkpoint, *settings, *log; /* as in trainer.h */
    double save_every_s;
    const volatile int *cancel;
};

/* What a step saw. */
struct grpo_report {
    double reward, signal, clipped,
        length; /* mean reward; share of groups with signal, of tokens clipped; tokens a sample */
};

/* Trains n in place; resumes from the checkpoint.  *last: of the last step made. */
enum status grpo_run(struct net *n, const struct grpo_params *p, struct grpo_report *last, struct error *e);

/* The derivative of what is maximised by log p of one token: A ratio while it is inside the clip, else 0.  *clipped is
 * set. */
float grpo_coefficient(float advantage, float ratio, float clip_low, float clip_high, bool *clipped);
/* Advantages of a group of rewards; false when they are all equal (then all are 0). */
bool grpo_advantages(const float *rewards, uint32_t n, float *advantages);

#endif
