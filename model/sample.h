/* sample.h: one token from logits.
 * Not a search: no state between calls; the random number is a function of (key, counter).
 * Next: base/rng.h. */
#ifndef PONDER_SAMPLE_H
#define PONDER_SAMPLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Order, as in llama.cpp: top-k, typical, top-p, min-p, then temperature, then the draw, unless `chain` says another.  Off: top_k 0,
 * top_p 1, min_p 0, typical_p 0 or 1.  Each sees what the one before left, at the temperature so far. */
struct sample_params {
    float temperature; /* 0 or less = greedy: largest logit, ties to the lowest id */
    uint32_t top_k;    /* keep the k largest; ties to lower ids */
    float top_p;       /* keep the smallest set with at least this mass (of what top-k left), at least one */
    float min_p;       /* drop tokens below min_p * (largest probability) */
    float
        typical_p; /* keep the smallest set with this mass of those whose -log p is nearest to the entropy, and all that
                          tie (arXiv 2202.00666); as log p - E[log p] = logit - E[logit], logits meet their mean */
    const char
        *chain; /* NULL: "kypmt", letters of llama.cpp's --sampler-seq; what is left out is off, temperature too */
};

/* What the caller owns and all functions overwrite.  Nothing here allocates or sorts the vocabulary. */
struct sample_scratch {
    float *p;     /* [n_vocab] */
    int32_t *ids; /* [n_vocab] */
};

/* The distribution of the next token: P(ids[i]) = w[i] / mass.  Lives in the scratch. */
struct sample_distribution {
    float *w;     /* [n] */
    int32_t *ids; /* [n] ascending; NULL: all tokens, ids[i] = i */
    uint32_t n;
    double mass;
    float max;    /* largest logit */
    double total; /* sum of exp(logit - max) over the whole vocabulary */
};
/* False when the logits hold no usable distribution (NaN or +inf, all -inf). */
bool sample_distribution(const struct sample_params *s, const float *logits, uint32_t n_vocab,
                         struct sample_scratch *scratch, struct sample_distribution *d);
/* The token at u in [0, 1) of the distribution, in order of ids; and the probability of a token, 0 when it was dropped. */
int32_t sample_draw(const struct sample_distribution *d, double u);
double sample_probability(const struct sample_distribution *d, int32_t id);

/* log-softmax of id at temperature 1 over the whole vocabulary; logits: those that the distribution was made from. */
float sample_logprob(const struct sample_distribution *d, const float *logits, int32_t id);

/* One draw, u being number `counter` of the stream `key`: token id, or -1 as above.  *logprob (may be NULL):
 * sample_logprob of it. */
int32_t sample_token(const struct sample_params *s, const float *logits, uint32_t n_vocab, uint64_t key,
                     uint64_t counter, struct sample_scratch *scratch, float *logprob);

/* What is done to the logits before sample_token, in this order, as in llama.cpp: */

/* logits[id] += bias for each; -INFINITY forbids a token.  Ids outside [0, n_vocab) are passed over. */
struct sample_bias {
    int32_t id;
    float bias;
};
void sample_add_bias(const struct sample_bias *bias, size_t n, float *logits, uint32_t n_vocab);

/* For each token that occurs c > 0 times among recent[n] (the last tokens of prompt and text; outside ids are passed over):
 *   logit = logit > 0 ? logit / repeat : logit * repeat;   logit -= c * frequency + presence.
 * Off: repeat 1, presence and frequency 0.  counts: [n_vocab], overwritten (the ids of a sample_scratch will do). */
struct sample_penalties {
    float repeat, presence, frequency;
};
void sample_penalize(const struct sample_penalties *p, const int32_t *recent, size_t n, int32_t *counts, float *logits,
                     uint32_t n_vocab);

#endif
