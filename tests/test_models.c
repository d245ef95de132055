/* test_models.c: real models that people have: token ids, greedy text, a chat, and how far integer products are from exact ones,
 * each beside llama.cpp's.
 * Not for every clone: skipped unless PONDER_MODELS names a folder with the files that tests/fetch_models.sh gets.
 * Next: tests/fetch_models.sh. */
#include "tests/golden.h"

#include <jansson.h>
#include <time.h>

#include "tokenizer/template/chat.h"

struct real {
    const char *name, *file;
    /* llama.cpp's mean KL divergence (nats) on `text` from logits of exactly dequantised weights: commit 80fb11a, x86-64,
     * one thread, K and V in f32. */
    double divergence;
    const char *prompt;
    int32_t greedy[40]; /* its greedy ids after the prompt's, up to the first 0 */
};

static const struct real models[] = {
    {"SmolLM2", "SmolLM2-135M-Instruct.Q4_1.gguf", 4.60e-3, "The capital of France is", {7042, 30,  198, 198, 504, 2988,
                                                                                         314,  42,  216, 34,  32,  33,
                                                                                         40,   29,  32,  33,  29,  34,
                                                                                         34,   216, 33,  34,  42,  33}},
    {"Gemma 3",
     "gemma-3-270m.Q4_K_M.gguf",
     1.45e-2,
     "one, two, three, four, five,",
     {3962, 236764, 6819, 236764, 6589, 236764, 10155, 236764, 3595, 236764, 36707, 236764, 22778, 236764, 59197,
      236764}},
};
enum { N_MODELS = sizeof models / sizeof *models, MAX_TOKENS = 128 };

static const char text[] = "The quick brown fox jumps over the lazy dog. In 1969, people first walked on the Moon, and";

struct open_model {
    struct model *model;
    struct tok *tok;
    struct team *team;
    struct engine *engine;
    struct client *client;
};

static const char *path_of(const struct real *r) {
    static char path[600];
    const char *folder = getenv("PONDER_MODELS");
    if (!folder) return NULL;
    snprintf(path, sizeof path, "%s/%s", folder, r->file);
    return access(path, R_OK) ? NULL : path;
}

static struct open_model open_real(const struct real *r, bool exact) {
    struct open_model o = {.model = tiny_open(path_of(r))};
    struct engine_params p = {
        .n_pages = MAX_TOKENS / 16 + 2, .n_seqs = 2, .max_tokens = MAX_TOKENS, .max_rows = 64, .exact = exact};
    struct error e;
    GOOD(tok_open(o.model->file, &o.tok, &e));
    GOOD(team_new(2, &o.team, &e));
    GOOD(engine_new(o.model, o.team, &p, &o.engine, &e));
    GOOD(engine_client_new(o.engine, NULL, &o.client, &e));
    return o;
}

static void close_real(struct open_model *o) {
    engine_client_free(&o->client), engine_free(&o->engine), team_free(&o->team), tok_close(&o->tok),
        model_close(&o->model);
}

static size_t ids_of(const struct open_model *o, const char *s, int32_t ids[MAX_TOKENS]) {
    struct error e;
    size_t n;
    GOOD(tok_encode(o->tok, s, strlen(s), false, tok_adds_bos(o->tok), ids, MAX_TOKENS, &n, &e));
    return n;
}

static void run(struct open_model *o, uint32_t seq, const int32_t *ids, size_t n, size_t n_out, float *out) {
    struct span s = {seq, (uint32_t)n, (uint32_t)n_out, ids, out};
    struct error e;
    GOOD(engine_run(o->client, &s, 1, NULL, &e));
}

/* The likeliest token again and again, until an end token or n_new. */
static size_t write_greedily(struct open_model *o, int32_t *ids, size_t n, size_t n_new) {
    uint32_t n_vocab = engine_n_out(o->engine), seq = engine_seq_new(o->client);
    float *logits = malloc(n_vocab * sizeof *logits);
    size_t read = 0;
    for (size_t made = 0; made < n_new; made++) {
        run(o, seq, ids + read, n - read, 1, logits);
        read = n;
        int32_t best = 0;
        for (uint32_t i = 1; i < n_vocab; i++)
            if (logits[i] > logits[best]) best = (int32_t)i;
        ids[n++] = best;
        if (tok_is_end(o->tok, best)) break;
    }
    free(logits), engine_drop(o->client, &seq);
    return n;
}

static void greedy_text_is_that_of_llama_cpp(void **state) {
    (void)state;
    int n_run = 0;
    for (const struct real *r = models; r < models + N_MODELS; r++) {
        if (!path_of(r)) continue;
        struct open_model o = open_real(r, false);
        int32_t ids[MAX_TOKENS];
        size_t n = ids_of(&o, r->prompt, ids), n_want = 0;
        while (r->greedy[n_want]) n_want++;
        assert_int_equal(write_greedily(&o, ids, n, n_want), n + n_want);
        for (size_t i = 0; i < n_want; i++)
            if (ids[n + i] != r->greedy[i])
                fail_msg("%s, token %zu after the prompt: %d, llama.cpp has %d", r->name, i, ids[n + i], r->greedy[i]);
        close_real(&o), n_run++;
    }
    if (!n_run) skip();
}

static double log_sum_exp(const float *x, size_t n) {
    double top = x[0], sum = 0;
    for (size_t k = 1; k < n; k++) top = fmax(top, (double)x[k]);
    for (size_t k = 0; k < n; k++) sum += exp(x[k] - top);
    return top + log(sum);
}

/* Mean KL(exact || ours) over the positions of a text. */
static void integer_products_err_less_than_llama_cpps(void **state) {
    (void)state;
    int n_run = 0;
    for (const struct real *r = models; r < models + N_MODELS; r++) {
        if (!path_of(r)) continue;
        float *logits[2];
        size_t n = 0, n_vocab = 0;
        for (int exact = 0; exact < 2; exact++) {
            struct open_model o = open_real(r, exact);
            int32_t ids[MAX_TOKENS];
            n = ids_of(&o, text, ids), n_vocab = engine_n_out(o.engine);
            logits[exact] = malloc(n * n_vocab * sizeof(float));
            run(&o, engine_seq_new(o.client), ids, n, n, logits[exact]);
            close_real(&o);
        }
        double sum = 0;
        for (size_t t = 0; t < n; t++) {
            const float *got = logits[0] + t * n_vocab, *want = logits[1] + t * n_vocab;
            double g = log_sum_exp(got, n_vocab), w = log_sum_exp(want, n_vocab);
            for (size_t k = 0; k < n_vocab; k++) sum += exp(want[k] - w) * ((want[k] - w) - (got[k] - g));
        }
        print_message("%s: mean KL divergence %.2e, llama.cpp's %.2e\n", r->name, sum / (double)n, r->divergence);
        if (!(sum / (double)n < r->divergence))
            fail_msg("%s: mean KL divergence %g, llama.cpp has %g", r->name, sum / (double)n, r->divergence);
        free(logits[0]), free(logits[1]), n_run++;
    }
    if (!n_run) skip();
}

static void tokens_are_those_of_llama_cpp(void **state) {
    (void)state;
    int n_run = 0;
    for (const struct real *r = models; r < models + N_MODELS; r++) {
        if (!path_of(r)) continue;
        struct open_model o = {.model = tiny_open(path_of(r))};
        struct error e;
        GOOD(tok_open(o.model->file, &o.tok, &e));
        FILE *f = fopen("tests/golden/tokens.jsonl", "r");
        assert_non_null(f);
        for (json_t *line; (line = json_loadf(f, JSON_DISABLE_EOF_CHECK, NULL)); json_decref(line)) {
            const json_t *s = json_object_get(line, "text"), *want = json_object_get(line, r->name);
            int32_t ids[256];
            size_t n;
            GOOD(tok_encode(o.tok, json_string_value(s), json_string_length(s), false, false, ids, 256, &n, &e));
            if (n != json_array_size(want)) fail_msg("%s: \"%s\": %zu tokens", r->name, json_string_value(s), n);
            for (size_t i = 0; i < n; i++)
                if (ids[i] != json_integer_value(json_array_get(want, i)))
                    fail_msg("%s: \"%s\", token %zu is %d", r->name, json_string_value(s), i, ids[i]);
        }
        fclose(f), tok_close(&o.tok), model_close(&o.model), n_run++;
    }
    if (!n_run) skip();
}

/* SmolLM2 is the one that was trained to chat.  Its template opens the answer, the answer ends by its end token. */
static void a_chat_ends_by_itself(void **state) {
    (void)state;
    if (!path_of(&models[0])) skip();
    struct open_model o = open_real(&models[0], false);
    struct chat *c;
    struct jinja_text rendered = {0};
    struct error e;
    int32_t *prompt, ids[MAX_TOKENS];
    size_t n;
    GOOD(chat_open(o.model->file, o.tok, &(struct chat_source){0}, &c, &e));
    json_t *given = json_pack("{s:[{s:s,s:s}],s:b}", "messages", "role", "user", "content",
                              "What is the capital of France? Answer in one word.", "add_generation_prompt", 1);
    GOOD(chat_render(c, given, 0, &rendered, &e));
    GOOD(chat_encode(c, &rendered, 0, &prompt, &n, &e));
    assert_true(n < MAX_TOKENS / 2);
    memcpy(ids, prompt, n * sizeof *ids);
    size_t end = write_greedily(&o, ids, n, MAX_TOKENS - n - 1), size;
    char answer[512];
    tok_decode(o.tok, ids + n, end - n, false, answer, sizeof answer, &size);
    assert_true(tok_is_end(o.tok, ids[end - 1]));
    if (!strstr(answer, "Paris")) fail_msg("the answer is \"%s\"", answer);
    json_decref(given), mem_free(prompt), jinja_text_free(&rendered), chat_close(&c), close_real(&o);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tokens_are_those_of_llama_cpp),
        cmocka_unit_test(greedy_text_is_that_of_llama_cpp),
        cmocka_unit_test(integer_products_err_less_than_llama_cpps),
        cmocka_unit_test(a_chat_ends_by_itself),
    };
    return cmocka_run_group_tests(tests, NULL, tiny_cleanup);
}
