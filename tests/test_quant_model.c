/* test_quant_model.c: models in every tensor type against logits from exactly dequantised weights.
 * Not the types themselves: test_quant.c and test_quant_blocks.c.  Runs where the reference files are (the folder that
 * PONDER_REFERENCE names, or ../shared/reference), and says that it skips where they are not.
 * Next: ops/widen.h. */
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

enum { N_TOKENS = 16, N_VOCAB = 512 };

static const char *const names[] = {"BF16", "F16",  "IQ4_NL", "IQ4_XS", "Q2_K",   "Q3_K_M", "Q4_0",
                                    "Q4_1", "Q5_0", "Q5_1",   "Q4_K_M", "Q5_K_M", "Q6_K",   "Q8_0"};

static FILE *open_reference(const char *name, char path[600]) {
    const char *folder = getenv("PONDER_REFERENCE");
    snprintf(path, 600, "%s/quant/%s", folder ? folder : "../shared/reference", name);
    return fopen(path, "rb");
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
static void run_model(const char *path, const int32_t *ids, float *out) {
    struct error e = {""};
    struct gguf *file = NULL;
    struct model *m = NULL;
    struct engine *en = NULL;
    struct team *team = NULL;
    struct engine_params size = {.n_pages = 8, .n_seqs = 1, .max_tokens = 32, .max_rows = N_TOKENS, .kv_type = KV_F32};
    if (team_new(1, &team, &e) || gguf_open(path, &file, &e) || model_open(file, &m, &e) ||
        engine_new(m, team, &size, &en, &e))
        fail_msg("%s", e.text);
    assert_int_equal(engine_n_out(en), N_VOCAB);
    struct span span = {engine_seq_new(en), N_TOKENS, N_TOKENS, ids, out};
    if (engine_run(en, &span, 1, NULL, &e)) fail_msg("%s: %s", path, e.text);
    engine_free(&en);
    model_close(&m);
    team_free(&team);
}

static void test_reference_logits(void **state) {
    (void)state;
    static float got[N_TOKENS * N_VOCAB], want[N_TOKENS * N_VOCAB];
    int32_t ids[N_TOKENS];
    if (!read_ids(ids)) skip();
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char name[64], path[600];
        snprintf(name, sizeof name, "q-%s.logits.f32", names[i]);
        FILE *f = open_reference(name, path);
        if (!f) fail_msg("%s is missing", path);
        assert_int_equal(fread(want, sizeof *want, N_TOKENS * N_VOCAB, f), N_TOKENS * N_VOCAB);
        fclose(f);
        snprintf(name, sizeof name, "q-%s.gguf", names[i]);
        if ((f = open_reference(name, path))) fclose(f);
        run_model(path, ids, got);
        double worst = 0;
        for (int t = 0; t < N_TOKENS; t++) {
            double apart = 0, largest = 0;
            for (int k = 0; k < N_VOCAB; k++) {
                double w = want[t * N_VOCAB + k], d = fabs(got[t * N_VOCAB + k] - w);
                if (!(d <= apart)) apart = d; /* NaN stays */
                largest = fmax(largest, fabs(w));
            }
            if (!(apart <= 1e-3 * largest))
                fail_msg("%s position %d: off by %.3g of %.3g, more than 1e-3", names[i], t, apart, largest);
            worst = fmax(worst, apart / largest);
        }
        print_message("%-7s largest difference %.1e of the largest logit\n", names[i], worst);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_reference_logits)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
