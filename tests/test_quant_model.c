/* test_quant_model.c: models in every tensor type against logits from exactly dequantised weights, with f32 activations
 * and with the int8 activations that are the default, which must err less than llama.cpp's do on the same file.
 * Not the types themselves: test_quant.c and test_quant_blocks.c.  Skipped without the reference files (tests/reference.h).
 * Next: ops/block.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "model/engine.h"
#include "tests/reference.h"

enum { N_TOKENS = 16, N_VOCAB = 512 };

static const char *const names[] = {"BF16", "F16",  "IQ4_NL", "IQ4_XS", "Q2_K",   "Q3_K_M", "Q4_0",
                                    "Q4_1", "Q5_0", "Q5_1",   "Q4_K_M", "Q5_K_M", "Q6_K",   "Q8_0"};

/* What llama.cpp's integer products give for the same files and tokens (x86-64, f32 KV, no flash attention; one and two
 * threads alike, September 2026): squared error over all squares, and mean Kullback-Leibler divergence. */
static const struct peer {
    const char *name;
    double nmse, divergence;
} peers[] = {{"Q8_0", 2.22e-4, 1.22e-4},   {"Q4_0", 2.74e-4, 1.55e-4},   {"Q5_0", 2.73e-4, 1.47e-4},
             {"Q4_K_M", 4.82e-4, 2.54e-4}, {"Q5_K_M", 5.08e-4, 2.75e-4}, {"Q6_K", 4.99e-4, 2.76e-4}};

static FILE *open_reference(const char *name, char path[600]) {
    const char *found = reference("quant/%s", name);
    snprintf(path, 600, "%s", found ? found : name);
    return found ? fopen(path, "rb") : NULL;
}

static bool read_ids(int32_t ids[N_TOKENS]) {
    char path[600];
    FILE *f = open_reference("tokens.txt", path);
    if (!f) return false;
    for (int i = 0; i < N_TOKENS; i++) assert_int_equal(fscanf(f, i ? ",%d" : "%d", &ids[i]), 1);
    fclose(f);
    return true;
}

/* The logits of one file at every position, out: [N_TOKENS, N_VOCAB]. */
static void run_model(const char *path, bool exact, const int32_t *ids, float *out) {
    struct error e = {""};
    struct gguf *file = NULL;
    struct model *m = NULL;
    struct engine *en = NULL;
    struct client *c = NULL;
    struct team *team = NULL;
    struct engine_params size = {
        .n_pages = 8, .n_seqs = 1, .max_tokens = 32, .max_rows = N_TOKENS, .kv_type = KV_F32, .exact = exact};
    if (team_new(1, &team, &e) || gguf_open(path, &file, &e) || model_open(file, &m, &e) ||
        engine_new(m, team, &size, &en, &e) || engine_client_new(en, NULL, &c, &e))
        fail_msg("%s", e.text);
    assert_int_equal(engine_n_out(en), N_VOCAB);
    struct span span = {engine_seq_new(c), N_TOKENS, N_TOKENS, ids, out};
    if (engine_run(c, &span, 1, NULL, &e)) fail_msg("%s: %s", path, e.text);
    engine_client_free(&c), engine_free(&en);
    model_close(&m);
    team_free(&team);
}

static double log_sum_exp(const float *x) {
    double top = x[0], sum = 0;
    for (int k = 1; k < N_VOCAB; k++) top = fmax(top, (double)x[k]);
    for (int k = 0; k < N_VOCAB; k++) sum += exp(x[k] - top);
    return top + log(sum);
}

/* KL(want || got) of the distributions of the next token at one position, in nats. */
static double divergence_of(const float *got, const float *want) {
    const double g = log_sum_exp(got), w = log_sum_exp(want);
    double sum = 0;
    for (int k = 0; k < N_VOCAB; k++) sum += exp(want[k] - w) * ((want[k] - w) - (got[k] - g));
    return sum;
}

static void compare_with_peer(const char *name, double nmse, double divergence) {
    for (size_t i = 0; i < sizeof peers / sizeof *peers; i++) {
        const struct peer *p = &peers[i];
        if (strcmp(p->name, name)) continue;
        if (!(nmse <= p->nmse)) fail_msg("%s: NMSE %.3g, llama.cpp has %.3g", name, nmse, p->nmse);
        if (!(divergence <= p->divergence))
            fail_msg("%s: KL divergence %.3g, llama.cpp has %.3g", name, divergence, p->divergence);
        print_message("        llama.cpp's integer products: NMSE %.1e, KL divergence %.1e\n", p->nmse, p->divergence);
    }
}

/* Largest difference of a position over its largest logit, the squared error over all squares, the mean KL divergence. */
static void check_file(const char *name, bool exact, const int32_t *ids) {
    static float got[N_TOKENS * N_VOCAB], want[N_TOKENS * N_VOCAB];
    char file[64], path[600];
    snprintf(file, sizeof file, "q-%s.logits.f32", name);
    FILE *f = open_reference(file, path);
    if (!f) fail_msg("%s is missing", path);
    assert_int_equal(fread(want, sizeof *want, N_TOKENS * N_VOCAB, f), N_TOKENS * N_VOCAB);
    fclose(f);
    snprintf(file, sizeof file, "q-%s.gguf", name);
    if ((f = open_reference(file, path))) fclose(f);
    run_model(path, exact, ids, got);
    const double allowed = exact ? 1e-3 : 2.5e-2;
    double worst = 0, error = 0, power = 0, divergence = 0;
    for (int t = 0; t < N_TOKENS; t++) {
        const float *g = got + t * N_VOCAB, *w = want + t * N_VOCAB;
        double apart = 0, largest = 0, second = 0;
        int best = 0, mine = 0;
        for (int k = 0; k < N_VOCAB; k++) {
            const double d = fabs((double)g[k] - w[k]);
            if (!(d <= apart)) apart = d; /* NaN stays */
            largest = fmax(largest, fabs((double)w[k]));
            error += d * d, power += (double)w[k] * w[k];
            if (w[k] > w[best]) best = k;
            if (g[k] > g[mine]) mine = k;
        }
        if (!(apart <= allowed * largest))
            fail_msg("%s%s position %d: off by %.3g of %.3g, more than %g", name, exact ? " exact" : "", t, apart,
                     largest, allowed);
        worst = fmax(worst, apart / largest);
        divergence += divergence_of(g, w) / N_TOKENS;
        for (int k = 0; k < N_VOCAB; k++)
            if (k != best) second = k == 0 || w[k] > second ? w[k] : second;
        if (w[best] - second > 2 * apart && mine != best)
            fail_msg("%s position %d: greedy token %d, expected %d", name, t, mine, best);
    }
    if (!(error <= 3.5e-4 * power)) fail_msg("%s: NMSE %.3g, more than 3.5e-4", name, error / power);
    print_message("%-7s %s: largest difference %.1e of the largest logit, NMSE %.1e, KL divergence %.1e\n", name,
                  exact ? "f32 activations " : "int8 activations", worst, error / power, divergence);
    if (!exact) compare_with_peer(name, error / power, divergence);
}

static void test_reference_logits(void **state) {
    (void)state;
    int32_t ids[N_TOKENS];
    if (!read_ids(ids)) skip();
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        for (int exact = 0; exact <= 1; exact++) check_file(names[i], exact, ids);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_reference_logits)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
