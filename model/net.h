/* net.h: a trainable float32 transformer: forward with saved activations, loss, backward.
 * Not the inference path (forward.c): training packs whole sequences and wants large GEMMs, which OpenBLAS does.
 * Next: train/adamw.h, which moves the weights.
 *
 * Weights, gradients and optimiser moments are flat arrays of n_weights floats with one table of tensors:
 *   token_embd [n_vocab, n_embd] | per layer: attn_norm q k v output ffn_norm gate up down | output_norm | head
 * q,k,v and gate,up are neighbours, so each group is one GEMM. */
#ifndef PONDER_NET_H
#define PONDER_NET_H

#include "model/config.h"

/* What the head predicts: next tokens with the tied embedding, or one value per row (process reward model). */
enum net_head { NET_LM, NET_VALUE };

struct net_tensor {
    char name[64];     /* GGUF name */
    size_t offset;     /* into the flat arrays */
    size_t rows, cols; /* rows = 1 for norms and biases */
};

struct net {
    struct model_config config;
    enum net_head head;
    size_t n_weights, n_tensors;
    struct net_tensor *tensors;
    float *weights; /* [n_weights] */
};

/* New network; weights drawn from N(0, 0.02) with `key` (projections into the residual stream scaled by
 * 1/sqrt(2 n_layer)), norms 1. */
enum status net_new(const struct model_config *c, enum net_head head, uint64_t key, struct net **out, struct error *e);
void net_free(struct net **n);
/* Reads a GGUF's tensors into a net (F32, F16, BF16, Q8_0).  A value head that the file lacks starts at 0: a reward model
 * starts from a policy this way. */
enum status net_load(const struct gguf *g, enum net_head head, struct net **out, struct error *e);
/* Adds config keys and tensors to a writer: matrices as `type`, norms and biases as F32.  The converted copy lives in
 * *store until gguf_write; free it with mem_free. */
enum status net_write(const struct net *n, const char *name, enum tensor_type type, struct gguf_writer *w, void **store,
                      struct error *e);

/* A batch: n_seqs sequences packed one after another.  Loss is taken on rows with weight > 0. */
struct net_batch {
    const int32_t *tokens;  /* [n_rows] */
    const uint32_t *starts; /* [n_seqs + 1], row where each sequence starts; starts[n_seqs] = n_rows */
    const int32_t *targets; /* NET_LM: next token of each row */
    const float *values;    /* NET_VALUE: target probability of each row */
    const float *weights;   /* [n_rows] loss weight */
    uint32_t n_rows, n_seqs;
    /* NET_LM, soft targets instead: n_soft tokens of each row [n_rows, n_soft] and their probabilities, which sum to 1 (or
     * less: the rest has no target).  n_soft 0: targets. */
    const int32_t *soft_tokens;
    const float *soft_probs;
    uint32_t n_soft;
};

/* Activations of one batch; one tape per thread. */
struct tape;
enum status tape_new(const struct net *n, uint32_t max_rows, uint32_t max_seq, struct tape **out, struct error *e);
void tape_free(struct tape **t);

/* One pass over the batch; its activations stay on the tape.  NET_LM: out[r] = log p(target of row r), with soft targets the
 * sum of prob * log p(token); NET_VALUE: out[r] = probability.  For rows with weight > 0 only ([n_rows], others
 * untouched; NULL: not wanted).  Returns the weighted loss sum (cross-entropy, or binary cross-entropy on sigmoid(output)). */
double net_forward(const struct net *n, struct tape *t, const struct net_batch *b, float *out);
/* After net_forward of the same batch, once: adds scale * sum over rows of coefficient[r] * d(loss of row r)/d(weights) into
 * grad [n_weights].  coefficient NULL: the weights, which makes it the gradient of the loss.  Others make the gradient of
 * what is a function of the log-probabilities: -d f / d(log p) of each row. */
void net_backward(const struct net *n, struct tape *t, const struct net_batch *b, const float *coefficient, float scale,
                  float *grad);
/* Both: the loss, and its gradient when grad is not NULL. */
double net_loss(const struct net *n, struct tape *t, const struct net_batch *b, float scale, float *grad, float *out);

#endif
