/* test_eval_text.c: chains of models of others: steps that end by a text, in a vocabulary that hides spaces; prompts given as tokens;
 * steps that state the answer.
 * Not the values of chains: test_eval_model.c, test_prm_protocol.c.
 * Next: search/eval_model.h. */
#include "tests/tiny_model.h"
#include "tests/tok_vocab.h"

#include "search/eval_model.h"

enum { N_VOCAB = 14, CTX = 120, DEPTH = 40 };

/* A delimiter of two characters, whole in one token, in the middle of one, and spread over two. */
static const float scores[N_VOCAB] = {0};
static const int32_t types[N_VOCAB] = {2, 3, 3, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 4};
static const struct spec words = {
    .model = "llama",
    .tokens = {"<unk>", "<s>", "</s>", SP, "a", SP "a", ";", "|", ";|", "b;|c", SP ";|" SP "d", "e", SP SP "f",
               "<sep>"},
    .scores = scores,
    .n_scores = N_VOCAB,
    .types = types,
    .n_types = N_VOCAB,
    .has_bos = true,
    .bos = 1,
    .has_eos = true,
    .eos = 2,
};
static const char delimiter[] = ";|";

static struct world {
    struct model *m;
    struct tok *tok;
    struct team *team;
    struct engine *engine;
    struct eval_params params;
} w;

static int open_world(void **state) {
    (void)state;
    struct model_config c = tiny_config(2, 16, 2, 1, 24);
    struct gguf_writer *file;
    struct error e;
    void *store;
    const char *path = tiny_path("words.gguf");
    c.n_vocab = N_VOCAB;
    struct net *n = tiny_net(&c, NET_LM, 5);
    GOOD(gguf_writer_new(&file, &e));
    GOOD(net_write(n, "words", TYPE_F32, file, &store, &e));
    spec_add(&words, file);
    GOOD(gguf_write(file, path, &e));
    gguf_writer_free(&file);
    mem_free(store);
    net_free(&n);
    w.m = tiny_open(path);
    GOOD(tok_open(w.m->file, &w.tok, &e));
    GOOD(team_new(1, &w.team, &e));
    struct engine_params ep = {.n_pages = 200, .n_seqs = 12, .max_tokens = CTX, .max_rows = 64};
    GOOD(engine_new(w.m, w.team, &ep, &w.engine, &e));
    w.params = (struct eval_params){.policy = w.engine,
                                    .tok = w.tok,
                                    .sampling = {.top_p = 1},
                                    .max_step_tokens = 30,
                                    .max_tokens = CTX,
                                    .max_branches = 8,
                                    .max_batch = 4,
                                    .separator = -1,
                                    .delimiter = delimiter};
    return 0;
}

static int close_world(void **state) {
    engine_free(&w.engine);
    team_free(&w.team);
    tok_close(&w.tok);
    model_close(&w.m);
    return tiny_cleanup(state);
}

/* One chain: its steps' texts as the delimiter joins them, and its own text. */
struct chain_text {
    char joined[4096], whole[4096];
    enum step_end end;
    uint32_t n_steps, n_inside; /* steps with the delimiter inside their text */
};

static void write_chain(const struct eval_params *p, const char *prompt, uint64_t key, struct chain_text *out) {
    struct eval_model *model;
    struct evaluator ev;
    struct error e;
    branch_id b;
    *out = (struct chain_text){0};
    GOOD(eval_model_open(p, prompt, &model, &ev, &e));
    GOOD(ev.fork(ev.self, ev.root, &b, &e));
    do {
        struct step st = {.branch = b, .key = rng_fold(key, out->n_steps), .temperature = 1};
        GOOD(ev.extend(ev.self, &st, 1, &e));
        bool inside = strstr(st.text, delimiter) != NULL;
        /* What stands before any other text ends no step. */
        size_t blank = strspn(st.text, " ");
        while (!strncmp(st.text + blank, delimiter, 2)) blank += 2, blank += strspn(st.text + blank, " ");
        if (st.end == STEP_SEPARATOR && !st.text[blank]) fail_msg("step %u is blank: \"%s\"", out->n_steps, st.text);
        if (st.end == STEP_TRUNCATED || (st.end == STEP_FINISHED && !p->complete))
            if (strstr(st.text + blank, delimiter)) fail_msg("step %u went on: \"%s\"", out->n_steps, st.text);
        strcat(out->joined, st.text);
        if (st.end == STEP_SEPARATOR && !strstr(st.text + blank, delimiter)) strcat(out->joined, delimiter);
        out->n_inside += inside && st.end == STEP_SEPARATOR && strstr(st.text + blank, delimiter);
        out->n_steps++;
        out->end = st.end;
    } while (out->end == STEP_SEPARATOR && out->n_steps < DEPTH);
    strcpy(out->whole, eval_model_text(model, b));
    ev.drop(ev.self, &b);
    eval_model_close(&model);
}

static void steps_and_delimiters_make_the_text(void **state) {
    (void)state;
    uint32_t n_steps = 0, n_inside = 0, n_finished = 0;
    for (uint64_t key = 0; key < 300; key++) {
        struct chain_text c;
        write_chain(&w.params, "a b", key, &c);
        /* As a whole, the text begins a text, and the vocabulary's own space at a beginning is none. */
        const char *joined = c.joined + (*c.joined == ' ' && *c.whole != ' ');
        if (strcmp(joined, c.whole) && strcmp(c.joined, c.whole))
            fail_msg("chain %llu: steps \"%s\", whole \"%s\"", (unsigned long long)key, c.joined, c.whole);
        n_steps += c.n_steps, n_inside += c.n_inside, n_finished += c.end == STEP_FINISHED;
    }
    if (n_steps < 600 || n_inside < 50 || n_finished < 50)
        fail_msg("%u steps, %u with a delimiter inside, %u chains to the end: the test is empty", n_steps, n_inside,
                 n_finished);
}

static void prompts_as_tokens_are_the_same(void **state) {
    (void)state;
    int32_t ids[16];
    size_t n;
    struct error e;
    GOOD(tok_encode(w.tok, "a b", 3, false, true, ids, COUNT(ids), &n, &e));
    struct eval_params p = w.params;
    p.prompt_tokens = ids, p.n_prompt_tokens = n;
    for (uint64_t key = 0; key < 20; key++) {
        struct chain_text a, b;
        write_chain(&w.params, "a b", key, &a);
        write_chain(&p, "something else", key, &b);
        assert_string_equal(a.whole, b.whole);
    }
    p.n_prompt_tokens = CTX;
    struct eval_model *model;
    struct evaluator ev;
    p.prompt_tokens = mem_new(CTX, sizeof(int32_t));
    assert_int_equal(eval_model_open(&p, "", &model, &ev, &e), ERR_INPUT);
    assert_non_null(strstr(e.text, "the prompt has 120 tokens"));
    mem_free((void *)p.prompt_tokens);
}

static bool holds_an_e(void *arg, const char *step) {
    ++*(int *)arg;
    return strchr(step, 'e') != NULL;
}

static void a_step_that_states_the_answer_is_the_last(void **state) {
    (void)state;
    int calls = 0, ended = 0;
    struct eval_params p = w.params;
    p.complete = holds_an_e, p.arg = &calls;
    for (uint64_t key = 0; key < 100; key++) {
        struct chain_text with, without;
        write_chain(&w.params, "a", key, &without);
        write_chain(&p, "a", key, &with);
        if (with.n_steps < without.n_steps || (with.end == STEP_FINISHED && without.end == STEP_SEPARATOR)) {
            assert_int_equal(with.end, STEP_FINISHED);
            assert_non_null(strchr(with.joined, 'e'));
            assert_int_equal(strncmp(with.whole, without.whole, strlen(with.whole)), 0);
            ended++;
        } else assert_string_equal(with.whole, without.whole);
    }
    if (calls < 100 || ended < 10) fail_msg("%d calls, %d chains ended: the test is empty", calls, ended);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(steps_and_delimiters_make_the_text),
        cmocka_unit_test(prompts_as_tokens_are_the_same),
        cmocka_unit_test(a_step_that_states_the_answer_is_the_last),
    };
    return cmocka_run_group_tests(tests, open_world, close_world);
}
