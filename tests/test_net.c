/* test_net.c: the trainable net against a naive transformer in double: loss, gradients, files; and the optimiser.
 * Not training runs: test_train.c.
 * Next: test_engine.c, where the same weights are read for inference. */
#include "tests/naive_net.h"

#include "train/adamw.h"

/* ---- nets and batches ---- */

/* One net per kind of trap: all heads alike, one kv head for all, groups of two; feed-forward narrower and wider than the
 * heads together; RoPE on a part of the head; widths that no vector length divides. */
static struct model_config config_at(int i) {
    struct model_config c[] = {tiny_config(1, 6, 1, 1, 5), tiny_config(2, 12, 4, 2, 41), tiny_config(2, 9, 3, 1, 7),
                               tiny_config(1, 20, 2, 2, 33), tiny_config(3, 5, 2, 1, 11)};
    c[1].rope_dim = 4, c[2].head_dim = 16, c[2].rope_dim = 10, c[3].n_vocab = 3, c[4].rope_base = 100,
    c[4].rms_eps = 0.01f;
    return c[i];
}
enum { N_CONFIGS = 5, ROWS = 64, ALL_WEIGHTS = 1000 };

struct rows {
    struct net_batch batch;
    int32_t tokens[ROWS], targets[ROWS];
    float values[ROWS], weights[ROWS];
    uint32_t starts[8];
};

/* Sequences of the given lengths; weights 0, 1 and 0.5 in turn, values over [0,1] with both ends. */
static void fill(struct rows *b, const struct model_config *c, uint64_t key, const uint32_t *lengths, uint32_t n_seqs) {
    uint32_t n = 0;
    for (uint32_t s = 0; s < n_seqs; s++) b->starts[s] = n, n += lengths[s];
    b->starts[n_seqs] = n;
    assert_true(n <= ROWS);
    tiny_tokens(rng_fold(key, 1), c->n_vocab, b->tokens, n);
    tiny_tokens(rng_fold(key, 2), c->n_vocab, b->targets, n);
    for (uint32_t i = 0; i < n; i++) {
        b->weights[i] = (float)rng_below(rng_fold(key, 3), i, 3) / 2;
        b->values[i] = (float)rng_below(rng_fold(key, 4), i, 5) / 4;
    }
    b->weights[n - 1] = 1, b->weights[0] = 0.5f;
    b->batch = (struct net_batch){.tokens = b->tokens,
                                  .starts = b->starts,
                                  .targets = b->targets,
                                  .values = b->values,
                                  .weights = b->weights,
                                  .n_rows = n,
                                  .n_seqs = n_seqs};
}

static const uint32_t odd_lengths[] = {1, 7, 2, 17, 3};

static struct tape *tape_for(const struct net *n) {
    struct tape *t;
    struct error e;
    GOOD(tape_new(n, ROWS, 17, &t, &e));
    return t;
}

static void is_near(double got, double want, double tolerance, const char *what) {
    if (!(fabs(got - want) <= tolerance)) fail_msg("%s: %.9g, expected %.9g (within %.2g)", what, got, want, tolerance);
}

/* ---- forward ---- */

static void loss_is_that_of_the_naive_net(void **state) {
    (void)state;
    for (int i = 0; i < 2 * N_CONFIGS; i++) {
        struct model_config c = config_at(i / 2);
        struct net *n = tiny_net(&c, i % 2 ? NET_VALUE : NET_LM, (uint64_t)i);
        struct naive v = naive_new(n);
        struct tape *t = tape_for(n);
        struct rows b;
        for (uint64_t key = 0; key < 3;
             key++) { /* shorter batches after longer ones: what is left in the tape is not read */
            fill(&b, &c, key, odd_lengths + key, key == 2 ? 1 : 4 - (uint32_t)key);
            double want = naive_loss(&v, &b.batch);
            is_near(net_loss(n, t, &b.batch, 1, NULL, NULL), want, 2e-5 * (1 + want), "loss");
        }
        tape_free(&t), free(v.w), net_free(&n);
    }
}

static void probabilities_are_written_for_weighted_rows_only(void **state) {
    (void)state;
    for (int i = 0; i < N_CONFIGS; i++) {
        struct model_config c = config_at(i);
        struct net *n = tiny_net(&c, NET_VALUE, 7);
        struct naive v = naive_new(n);
        struct tape *t = tape_for(n);
        struct rows b;
        fill(&b, &c, 5, odd_lengths, 5);
        float out[ROWS];
        double z[ROWS];
        for (int r = 0; r < ROWS; r++) out[r] = -3;
        net_loss(n, t, &b.batch, 1, NULL, out);
        for (uint32_t s = 0; s < 5; s++) naive_outputs(&v, b.tokens + b.starts[s], odd_lengths[s], z + b.starts[s]);
        for (uint32_t r = 0; r < b.batch.n_rows; r++)
            is_near(out[r], b.weights[r] > 0 ? 1 / (1 + exp(-z[r])) : -3, 1e-5, "probability");
        for (uint32_t r = b.batch.n_rows; r < ROWS; r++) assert_true(out[r] == -3);
        tape_free(&t), free(v.w), net_free(&n);
    }
}

/* ---- gradients ---- */

/* Compares d(loss)/d(weight j) with the central difference of the naive loss. */
static void check_weight(const struct naive *v, const struct rows *b, const struct net_tensor *t, size_t j, double got,
                         double size) {
    double at = v->w[t->offset + j], h = 1e-4;
    v->w[t->offset + j] = at + h;
    double high = naive_loss(v, &b->batch);
    v->w[t->offset + j] = at - h;
    double low = naive_loss(v, &b->batch), want = (high - low) / (2 * h);
    v->w[t->offset + j] = at;
    if (!(fabs(got - want) <= 1e-4 * size + 1e-5))
        fail_msg("%s [%zu]: gradient %.9g, difference quotient %.9g (largest of the tensor: %.3g)", t->name, j, got,
                 want, size);
}

/* All weights of small nets; of larger ones the steepest and some others of each tensor. */
static void check_gradient(const struct net *n, uint64_t key) {
    struct naive v = naive_new(n);
    struct tape *t = tape_for(n);
    struct rows b;
    fill(&b, &n->config, key, odd_lengths, 4);
    float *grad = calloc(n->n_weights, sizeof *grad);
    net_loss(n, t, &b.batch, 1, grad, NULL);
    for (size_t i = 0; i < n->n_tensors; i++) {
        const struct net_tensor *x = &n->tensors[i];
        const float *g = grad + x->offset;
        size_t size = x->rows * x->cols, steepest = 0, n_checked = n->n_weights < ALL_WEIGHTS || size < 6 ? size : 6;
        for (size_t j = 0; j < size; j++)
            if (fabsf(g[j]) > fabsf(g[steepest])) steepest = j;
        if (g[steepest] == 0) fail_msg("%s: no gradient at all", x->name);
        check_weight(&v, &b, x, steepest, g[steepest], fabsf(g[steepest]));
        for (size_t k = 0; k < n_checked; k++) {
            size_t j = n_checked == size ? k : rng_below(key, x->offset + k, (uint32_t)size);
            check_weight(&v, &b, x, j, g[j], fabsf(g[steepest]));
        }
    }
    free(grad), free(v.w), tape_free(&t);
}

static void gradients_are_difference_quotients(enum net_head head) {
    for (int i = 0; i < N_CONFIGS; i++) {
        struct model_config c = config_at(i);
        struct net *n = tiny_net(&c, head, 11 + (uint64_t)i);
        check_gradient(n, 100 + (uint64_t)i);
        net_free(&n);
    }
}

static void lm_gradients(void **state) {
    (void)state;
    gradients_are_difference_quotients(NET_LM);
}

static void value_gradients(void **state) {
    (void)state;
    gradients_are_difference_quotients(NET_VALUE);
}

static void gradient_is_scaled_and_added(void **state) {
    (void)state;
    for (int head = NET_LM; head <= NET_VALUE; head++) {
        struct model_config c = config_at(1);
        struct net *n = tiny_net(&c, (enum net_head)head, 3);
        struct tape *t = tape_for(n);
        struct rows b;
        fill(&b, &c, 8, odd_lengths, 4);
        float *one = calloc(n->n_weights, sizeof *one), *added = calloc(n->n_weights, sizeof *added);
        double loss = net_loss(n, t, &b.batch, 1, one, NULL);
        for (size_t i = 0; i < n->n_weights; i++) added[i] = (float)(i % 5) - 2;
        double same = net_loss(n, t, &b.batch, -0.25f, added, NULL);
        assert_true(loss == same &&
                    loss == net_loss(n, t, &b.batch, 1, NULL, NULL)); /* the scale is for the gradient only */
        for (size_t i = 0; i < n->n_weights; i++) {
            double want = (double)(i % 5) - 2 - 0.25 * (double)one[i];
            if (!(fabs(added[i] - want) <= 1e-5 * (3 + fabs(want))))
                fail_msg("weight %zu: %.9g, expected %.9g", i, (double)added[i], want);
        }
        free(one), free(added), tape_free(&t), net_free(&n);
    }
}

static void without_weight_there_is_no_loss_and_no_gradient(void **state) {
    (void)state;
    for (int head = NET_LM; head <= NET_VALUE; head++) {
        struct model_config c = config_at(3);
        struct net *n = tiny_net(&c, (enum net_head)head, 4);
        struct tape *t = tape_for(n);
        struct rows b;
        fill(&b, &c, 9, odd_lengths, 4);
        float *grad = calloc(n->n_weights, sizeof *grad);
        net_loss(n, t, &b.batch, 1, grad, NULL);
        memset(grad, 0, n->n_weights * sizeof *grad);
        for (int i = 0; i < ROWS; i++) b.weights[i] = 0;
        assert_true(net_loss(n, t, &b.batch, 1, grad, NULL) == 0);
        for (size_t i = 0; i < n->n_weights; i++)
            if (grad[i] != 0) fail_msg("weight %zu has gradient %g", i, (double)grad[i]);
        free(grad), tape_free(&t), net_free(&n);
    }
}

/* Sequences know nothing of their neighbours in a batch: the sum of single losses and gradients is that of the batch. */
static void sequences_of_a_batch_are_apart(void **state) {
    (void)state;
    struct model_config c = config_at(2);
    struct net *n = tiny_net(&c, NET_LM, 5);
    struct tape *t = tape_for(n);
    struct rows b;
    fill(&b, &c, 10, odd_lengths, 5);
    float *all = calloc(n->n_weights, sizeof *all), *sum = calloc(n->n_weights, sizeof *sum);
    double loss = net_loss(n, t, &b.batch, 1, all, NULL), apart = 0;
    for (uint32_t s = 0; s < 5; s++) {
        uint32_t at = b.starts[s], starts[2] = {0, odd_lengths[s]};
        struct net_batch one = {.tokens = b.tokens + at,
                                .starts = starts,
                                .targets = b.targets + at,
                                .values = b.values + at,
                                .weights = b.weights + at,
                                .n_rows = odd_lengths[s],
                                .n_seqs = 1};
        apart += net_loss(n, t, &one, 1, sum, NULL);
    }
    is_near(loss, apart, 1e-5 * apart, "loss");
    for (size_t i = 0; i < n->n_weights; i++) is_near(all[i], sum[i], 1e-4, "gradient");
    free(all), free(sum), tape_free(&t), net_free(&n);
}

/* The log-probability of a row alone is minus the loss of a batch in which only that row counts. */
static void log_probabilities_are_those_of_the_loss(void **state) {
    (void)state;
    struct model_config c = config_at(1);
    struct net *n = tiny_net(&c, NET_LM, 6);
    struct tape *t = tape_for(n);
    struct rows b;
    float out[ROWS];
    fill(&b, &c, 11, odd_lengths, 4);
    for (uint32_t i = 0; i < b.batch.n_rows; i++) b.weights[i] = 1, out[i] = 5;
    double sum = 0, loss = net_forward(n, t, &b.batch, out);
    for (uint32_t i = 0; i < b.batch.n_rows; i++) sum -= out[i];
    is_near(sum, loss, 1e-4, "sum of log-probabilities");
    for (uint32_t i = 0; i < b.batch.n_rows; i++) {
        memset(b.weights, 0, sizeof b.weights);
        b.weights[i] = 1;
        is_near(-out[i], net_forward(n, t, &b.batch, NULL), 1e-5, "log-probability");
    }
    tape_free(&t), net_free(&n);
}

/* Coefficients of either sign: the gradient of sum c_r log p_r is that of single rows, added up. */
static void coefficients_weigh_the_rows_of_the_gradient(void **state) {
    (void)state;
    for (int head = NET_LM; head <= NET_VALUE; head++) {
        struct model_config c = config_at(2);
        struct net *n = tiny_net(&c, (enum net_head)head, 7);
        struct tape *t = tape_for(n);
        struct rows b;
        float coefficient[ROWS];
        fill(&b, &c, 12, odd_lengths, 3);
        float *got = calloc(n->n_weights, sizeof *got), *want = calloc(n->n_weights, sizeof *want);
        for (uint32_t i = 0; i < b.batch.n_rows; i++) b.weights[i] = 1, coefficient[i] = (float)(i % 5) - 2;
        net_forward(n, t, &b.batch, NULL);
        net_backward(n, t, &b.batch, coefficient, 0.5f, got);
        memset(b.weights, 0, sizeof b.weights);
        for (uint32_t i = 0; i < b.batch.n_rows; i++) {
            b.weights[i] = 1;
            net_loss(n, t, &b.batch, 0.5f * coefficient[i], want, NULL);
            b.weights[i] = 0;
        }
        for (size_t i = 0; i < n->n_weights; i++) is_near(got[i], want[i], 1e-4, "gradient");
        free(got), free(want), tape_free(&t), net_free(&n);
    }
}

/* One token with all the probability is a hard target; two tokens are the mean of two hard targets by their probabilities. */
static void soft_targets_are_means_of_hard_ones(void **state) {
    (void)state;
    struct model_config c = config_at(0);
    struct net *n = tiny_net(&c, NET_LM, 8);
    struct tape *t = tape_for(n);
    struct rows b;
    int32_t tokens[2 * ROWS];
    float probs[2 * ROWS];
    fill(&b, &c, 13, odd_lengths, 4);
    float *soft = calloc(n->n_weights, sizeof *soft), *hard = calloc(n->n_weights, sizeof *hard);
    double want = 0;
    for (int part = 0; part < 2; part++) {
        for (uint32_t i = 0; i < b.batch.n_rows; i++) {
            b.targets[i] = (int32_t)((i * 3 + (uint32_t)part * 7 + 1) % c.n_vocab);
            tokens[2 * i + (uint32_t)part] = b.targets[i], probs[2 * i + (uint32_t)part] = part ? 0.75f : 0.25f;
        }
        want += (part ? 0.75 : 0.25) * net_loss(n, t, &b.batch, part ? 0.75f : 0.25f, hard, NULL);
    }
    struct net_batch mixed = b.batch;
    mixed.soft_tokens = tokens, mixed.soft_probs = probs, mixed.n_soft = 2;
    is_near(net_loss(n, t, &mixed, 1, soft, NULL), want, 1e-4, "loss of soft targets");
    for (size_t i = 0; i < n->n_weights; i++) is_near(soft[i], hard[i], 1e-4, "gradient of soft targets");
    free(soft), free(hard), tape_free(&t), net_free(&n);
}

/* ---- files ---- */

static void same_config(const struct model_config *a, const struct model_config *b) {
    assert_string_equal(a->arch, b->arch);
    assert_memory_equal(&a->n_layer, &b->n_layer,
                        offsetof(struct model_config, rope_style) - offsetof(struct model_config, n_layer));
    assert_int_equal(a->rope_style, b->rope_style);
}

static void files_give_the_net_back(void **state) {
    (void)state;
    static const enum tensor_type types[] = {TYPE_F32, TYPE_F16, TYPE_BF16, TYPE_Q8_0};
    for (int k = 0; k < 8; k++) {
        enum tensor_type type = types[k / 2];
        struct model_config c = type == TYPE_Q8_0 ? tiny_config(2, 32, 4, 2, 64) : config_at(1);
        struct net *n = tiny_net(&c, k % 2 ? NET_VALUE : NET_LM, 6), *back;
        struct gguf *g;
        struct error e;
        tiny_write(n, type, false, tiny_path("net.gguf"));
        GOOD(gguf_open(tiny_path("net.gguf"), &g, &e));
        GOOD(net_load(g, n->head, &back, &e));
        gguf_close(&g);
        same_config(&back->config, &c);
        assert_int_equal(back->n_weights, n->n_weights);
        assert_int_equal(back->head, n->head);
        for (size_t i = 0; i < n->n_tensors; i++) {
            struct net_tensor *t = &n->tensors[i];
            char raw[4096];
            float want[512];
            for (size_t r = 0; r < t->rows; r++) {
                enum tensor_type as = t->rows > 1 ? type : TYPE_F32;
                type_from_f32(as, n->weights + t->offset + r * t->cols, raw, t->cols);
                type_to_f32(as, raw, want, t->cols);
                same_floats(back->weights + t->offset + r * t->cols, want, t->cols, "%s as %s, row %zu", t->name,
                            type_info(as)->name, r);
            }
        }
        if (type == TYPE_F32) same_floats(back->weights, n->weights, n->n_weights, "F32");
        net_free(&n), net_free(&back);
    }
}

static void a_reward_net_starts_from_a_policy(void **state) {
    (void)state;
    struct model_config c = config_at(1);
    struct net *policy = tiny_net(&c, NET_LM, 6), *value;
    struct gguf *g;
    struct error e;
    tiny_write(policy, TYPE_F32, false, tiny_path("net.gguf"));
    GOOD(gguf_open(tiny_path("net.gguf"), &g, &e));
    GOOD(net_load(g, NET_VALUE, &value, &e));
    gguf_close(&g);
    assert_int_equal(value->n_weights, policy->n_weights + c.n_embd + 1);
    same_floats(value->weights, policy->weights, policy->n_weights, "body");
    for (size_t i = policy->n_weights; i < value->n_weights; i++) assert_true(value->weights[i] == 0);
    struct tape *t = tape_for(value);
    struct rows b;
    fill(&b, &c, 1, odd_lengths, 4);
    double weight = 0;
    for (uint32_t i = 0; i < b.batch.n_rows; i++) weight += b.weights[i];
    is_near(net_loss(value, t, &b.batch, 1, NULL, NULL), weight * log(2), 1e-6 * weight, "loss of a head of zeros");
    tape_free(&t), net_free(&policy), net_free(&value);
}

/* Loads what a changed net wrote; the error must be one line that holds `part`. */
static void load_fails(struct net *n, const char *part) {
    struct gguf *g;
    struct net *back = n;
    struct error e;
    tiny_write(n, TYPE_F32, false, tiny_path("net.gguf"));
    GOOD(gguf_open(tiny_path("net.gguf"), &g, &e));
    assert_int_equal(net_load(g, NET_LM, &back, &e), ERR_INPUT);
    assert_null(back);
    if (!strstr(e.text, part) || !strstr(e.text, "net.gguf") || strchr(e.text, '\n'))
        fail_msg("\"%s\" should name the file and %s", e.text, part);
    gguf_close(&g);
    net_free(&n);
}

static void wrong_files_are_refused(void **state) {
    (void)state;
    struct model_config c = config_at(1);
    for (size_t i = 0; i < 4; i++) {
        static const size_t which[] = {1, 2, 9, 18};
        struct net *n = tiny_net(&c, NET_LM, 6);
        char name[64];
        snprintf(name, sizeof name, "%s", n->tensors[which[i] % n->n_tensors].name);
        strcat(n->tensors[which[i] % n->n_tensors].name, "x");
        load_fails(n, name);
    }
    struct net *n = tiny_net(&c, NET_LM, 6);
    n->tensors[2].rows--;
    load_fails(n, "attn_q.weight");
    n = tiny_net(&c, NET_LM, 6);
    n->tensors[2].cols = n->config.n_embd / 2, n->tensors[2].rows *= 2;
    load_fails(n, "attn_q.weight");
}

/* Only the tied head is trained: a file with another one would be read wrong. */
static void a_head_of_its_own_is_refused(void **state) {
    (void)state;
    struct model_config c = config_at(1);
    struct net *n = tiny_net(&c, NET_LM, 6), *back;
    struct gguf_writer *w;
    struct gguf *g;
    struct error e;
    void *store;
    uint64_t dims[] = {c.n_embd, c.n_vocab};
    GOOD(gguf_writer_new(&w, &e));
    GOOD(net_write(n, "x", TYPE_F32, w, &store, &e));
    gguf_add_tensor(w, "output.weight", TYPE_F32, 2, dims, n->weights);
    GOOD(gguf_write(w, tiny_path("net.gguf"), &e));
    gguf_writer_free(&w), mem_free(store), net_free(&n);
    GOOD(gguf_open(tiny_path("net.gguf"), &g, &e));
    assert_int_equal(net_load(g, NET_LM, &back, &e), ERR_INPUT);
    if (!strstr(e.text, "output.weight")) fail_msg("\"%s\"", e.text);
    assert_null(back);
    assert_int_equal(net_load(g, NET_VALUE, &back, &e), ERR_INPUT); /* what the layout lacks is not dropped quietly */
    assert_null(back);
    gguf_close(&g);
}

static void bad_configs_make_no_net(void **state) {
    (void)state;
    struct net *n;
    struct error e;
    struct model_config good = config_at(1), c;
#define REFUSED(change, part)                                                                                          \
    do {                                                                                                               \
        c = good;                                                                                                      \
        change;                                                                                                        \
        assert_int_equal(net_new(&c, NET_LM, 1, &n, &e), ERR_INPUT);                                                   \
        assert_null(n);                                                                                                \
        if (!strstr(e.text, part)) fail_msg("\"%s\" should name %s", e.text, part);                                    \
    } while (0)
    REFUSED(c.n_head_kv = 0, "head_count_kv");
    REFUSED(c.n_head_kv = 3, "head_count_kv");
    REFUSED(c.head_dim = 12, "head dimension");
    REFUSED(c.head_dim = 0, "head dimension");
    REFUSED(c.head_dim = 520, "head dimension");
    REFUSED(c.rope_dim = 7, "rope.dimension_count");
    REFUSED(c.rope_dim = 10, "rope.dimension_count");
    REFUSED(c.rope_dim = 0, "rope.dimension_count");
    REFUSED(c.rms_eps = 0, "rms_epsilon");
    REFUSED(c.rms_eps = NAN, "rms_epsilon");
    REFUSED(c.rope_base = INFINITY, "freq_base");
    REFUSED(c.rope_base = 0.5f, "freq_base");
}

static enum status make_everything(struct gguf *g, struct error *e) {
    struct model_config c = config_at(0);
    struct net *n = NULL, *back = NULL;
    struct tape *t = NULL;
    struct adamw a = {0};
    struct gguf_writer *w = NULL;
    void *store = NULL;
    enum status s = net_new(&c, NET_VALUE, 1, &n, e);
    if (!s) s = tape_new(n, 8, 8, &t, e);
    if (!s) s = adamw_new(n, &a, e);
    if (!s) s = net_load(g, NET_LM, &back, e);
    if (!s) s = gguf_writer_new(&w, e);
    if (!s) s = net_write(n, "x", TYPE_F16, w, &store, e);
    if (w) gguf_writer_free(&w);
    mem_free(store), adamw_free(&a), tape_free(&t), net_free(&back), net_free(&n);
    return s;
}

static void failed_memory_is_an_error_and_no_leak(void **state) {
    (void)state;
    struct error e;
    struct gguf *g;
    struct model_config c = config_at(0);
    struct net *n = tiny_net(&c, NET_LM, 6);
    tiny_write(n, TYPE_F32, false, tiny_path("net.gguf"));
    net_free(&n);
    GOOD(gguf_open(tiny_path("net.gguf"), &g, &e));
    mem_fail_at(0, false);
    GOOD(make_everything(g, &e));
    size_t n_allocs = mem_fail_at(0, false), n_failed = 0;
    assert_true(n_allocs >= 10);
    for (size_t i = 1; i <= n_allocs; i++) {
        mem_fail_at(i, true);
        e.text[0] = 0;
        enum status s = make_everything(g, &e);
        mem_fail_at(0, false);
        if (s) {
            assert_int_equal(s, ERR_MEMORY);
            assert_true(e.text[0] != 0);
            n_failed++;
        }
    }
    assert_true(n_failed >= 10); /* only the writer keeps its failures for gguf_write */
    gguf_close(&g);
}

/* ---- optimiser ---- */

/* Loshchilov & Hutter, algorithm 2, one weight, in double. */
struct scalar_adamw {
    double w, m, v;
};
static void scalar_step(struct scalar_adamw *x, const struct adamw *a, double g, int t, double lr, bool decayed) {
    double b1 = a->beta1, b2 = a->beta2;
    x->m = b1 * x->m + (1 - b1) * g;
    x->v = b2 * x->v + (1 - b2) * g * g;
    double m = x->m / (1 - pow(b1, t)), v = x->v / (1 - pow(b2, t));
    x->w -= lr * (m / (sqrt(v) + a->eps) + (decayed ? a->weight_decay * x->w : 0));
}

static void adamw_is_the_algorithm(void **state) {
    (void)state;
    struct model_config c = config_at(0);
    struct net *n = tiny_net(&c, NET_VALUE, 9);
    struct adamw a;
    struct error e;
    GOOD(adamw_new(n, &a, &e));
    struct scalar_adamw *want = calloc(n->n_weights, sizeof *want);
    float *grad = calloc(n->n_weights, sizeof *grad);
    for (size_t i = 0; i < n->n_weights; i++) want[i].w = n->weights[i];
    for (int t = 1; t <= 12; t++) {
        double size = t % 3 == 0 ? 5 : 0.01, norm = 0, lr = 0.01 / t; /* every third is clipped */
        for (size_t i = 0; i < n->n_weights; i++) {
            grad[i] = (float)(size * tiny_gauss((uint64_t)t, i));
            norm += (double)grad[i] * grad[i];
        }
        norm = sqrt(norm);
        double k = norm > a.clip ? a.clip / norm : 1;
        assert_true((t % 3 == 0) == (k < 1));
        for (size_t j = 0; j < n->n_tensors; j++)
            for (size_t i = 0; i < n->tensors[j].rows * n->tensors[j].cols; i++)
                scalar_step(&want[n->tensors[j].offset + i], &a, k * grad[n->tensors[j].offset + i], t, lr,
                            n->tensors[j].rows > 1);
        is_near(adamw_step(&a, n, grad, (uint64_t)t, (float)lr), norm, 1e-5 * norm, "norm before clipping");
        for (size_t i = 0; i < n->n_weights; i++) is_near(n->weights[i], want[i].w, 2e-6, "weight");
    }
    free(want), free(grad), adamw_free(&a), net_free(&n);
}

static void a_gradient_that_is_not_finite_changes_nothing(void **state) {
    (void)state;
    struct model_config c = config_at(0);
    struct net *n = tiny_net(&c, NET_LM, 9);
    struct adamw a;
    struct error e;
    GOOD(adamw_new(n, &a, &e));
    float *grad = calloc(n->n_weights, sizeof *grad), *before = calloc(3 * n->n_weights, sizeof *before);
    for (size_t i = 0; i < n->n_weights; i++) grad[i] = 0.01f;
    adamw_step(&a, n, grad, 1, 0.01f);
    size_t bytes = n->n_weights * sizeof *grad;
    memcpy(before, n->weights, bytes), memcpy(before + n->n_weights, a.m, bytes),
        memcpy(before + 2 * n->n_weights, a.v, bytes);
    static const float bad[] = {NAN, INFINITY, -INFINITY, 3e38f};
    for (int i = 0; i < 4; i++) {
        grad[n->n_weights - 1] = bad[i], grad[0] = i == 3 ? bad[i] : 0; /* the norm of two large ones overflows */
        assert_false(isfinite(adamw_step(&a, n, grad, 2, 0.01f)));
        same_floats(n->weights, before, n->n_weights, "weights");
        same_floats(a.m, before + n->n_weights, n->n_weights, "m");
        same_floats(a.v, before + 2 * n->n_weights, n->n_weights, "v");
    }
    free(grad), free(before), adamw_free(&a), net_free(&n);
}

static void learning_rate_warms_up_and_falls(void **state) {
    (void)state;
    is_near(lr_at(0, 100, 10, 2, 0.1f), 0.2, 1e-6, "first step");
    is_near(lr_at(4, 100, 10, 2, 0.1f), 1, 1e-6, "half of the warm-up");
    is_near(lr_at(9, 100, 10, 2, 0.1f), 2, 1e-6, "end of the warm-up");
    is_near(lr_at(10, 100, 10, 2, 0.1f), 2, 1e-6, "start of the cosine");
    is_near(lr_at(55, 100, 10, 2, 0.1f), 2 * 0.55, 1e-6, "middle of the cosine");
    is_near(lr_at(100, 100, 10, 2, 0.1f), 0.2, 1e-6, "end");
    is_near(lr_at(1000, 100, 10, 2, 0.1f), 0.2, 1e-6, "past the end");
    is_near(lr_at(0, 100, 0, 2, 0), 2, 1e-6, "no warm-up");
    is_near(lr_at(5, 5, 10, 1, 0), 0.6, 1e-6, "warm-up longer than the run");
    for (uint64_t t = 10; t < 99; t++) assert_true(lr_at(t, 100, 10, 2, 0.1f) > lr_at(t + 1, 100, 10, 2, 0.1f));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(loss_is_that_of_the_naive_net),
        cmocka_unit_test(probabilities_are_written_for_weighted_rows_only),
        cmocka_unit_test(lm_gradients),
        cmocka_unit_test(value_gradients),
        cmocka_unit_test(gradient_is_scaled_and_added),
        cmocka_unit_test(without_weight_there_is_no_loss_and_no_gradient),
        cmocka_unit_test(sequences_of_a_batch_are_apart),
        cmocka_unit_test(files_give_the_net_back),
        cmocka_unit_test(a_reward_net_starts_from_a_policy),
        cmocka_unit_test(wrong_files_are_refused),
        cmocka_unit_test(a_head_of_its_own_is_refused),
        cmocka_unit_test(log_probabilities_are_those_of_the_loss),
        cmocka_unit_test(coefficients_weigh_the_rows_of_the_gradient),
        cmocka_unit_test(soft_targets_are_means_of_hard_ones),
        cmocka_unit_test(bad_configs_make_no_net),
        cmocka_unit_test(failed_memory_is_an_error_and_no_leak),
        cmocka_unit_test(adamw_is_the_algorithm),
        cmocka_unit_test(a_gradient_that_is_not_finite_changes_nothing),
        cmocka_unit_test(learning_rate_warms_up_and_falls),
    };
    return cmocka_run_group_tests(tests, NULL, tiny_cleanup);
}
