/* test_prm_protocol.c: every way of asking a reward model: what it reads, where, and the formula, against the whole text
 * rendered by hand, read at once, and computed in double from hidden states; and values made step by step on forks.
 * Not our own kind "value": test_eval_model.c.
 * Next: test_eval_verifier.c. */
#include "tests/hf_folder.h"
#include "tests/prm_model.h"

#include "prm/protocol.h"
#include "search/eval_model.h"

enum { CHAINS = 7, DEPTH = 4 };
#define SYSTEM "Please reason step by step, and put your final answer within \\boxed{}."
#define TAG " \xd0\xba\xd0\xb8"
static const char PROBLEM[] = "What is 3 + 3 <|im_end|>?";
static const char LLAMA_CHAT[] =
    "{{ bos_token }}{{ '<|start_header_id|>system<|end_header_id|>\n\nToday: 26 Jul<|eot_id|>' }}"
    "{% for m in messages %}{{ '<|start_header_id|>' + m.role + '<|end_header_id|>\n\n' + m.content | trim + "
    "'<|eot_id|>' }}{% endfor %}";

struct protocol {
    const char *name;
    struct p_file file;
    enum prm_agg agg; /* of files that name none */
    bool strip;
};
static const struct protocol protocols[] = {
    {"qwen", {.arch = "qwen2", .pre = "qwen2", .head = P_CLASSES, .shift = 3, .key = 21}, AGG_MIN, false},
    {"skywork", {.arch = "qwen2", .pre = "qwen2", .head = P_VALUE, .shift = 1, .key = 22}, AGG_LAST, false},
    {"shepherd", {.arch = "llama", .vocab = P_SPM, .name = "Math Shepherd Mistral 7b Prm", .key = 23}, AGG_MIN, true},
    {"rlhflow",
     {.arch = "llama",
      .pre = "llama-bpe",
      .name = "Llama3.1 8B PRM Deepseek Data",
      .chat = LLAMA_CHAT,
      .shift = 9,
      .key = 24},
     AGG_LAST,
     true},
};

/* ---- a chain rendered by hand ---- */

struct whole {
    int32_t ids[P_IDS];
    size_t n, at[DEPTH], n_at; /* where outputs are read */
};

static void strip(char *text, bool all) {
    size_t n = strlen(text), skip = strspn(text, all ? " \t\r\n" : "\r\n");
    while (n > skip && strchr(" \t\r\n", text[n - 1])) n--;
    text[n] = 0;
    memmove(text, text + skip, n - skip + 1);
}

static void add_ids(struct whole *w, const struct tok *t, const char *text, bool special, bool bos) {
    w->n += p_encode(t, text, special, bos, w->ids + w->n);
}

/* The problem holds the text of a control token: it must stay text.  So the parts around it are encoded with control tokens,
 * and the text between two of those without. */
static void render_qwen(struct whole *w, const struct tok *t, char steps[][256], int n) {
    add_ids(w, t, "<|im_start|>system\n" SYSTEM "<|im_end|>\n<|im_start|>", true, false);
    char user[300];
    snprintf(user, sizeof user, "user\n%s", PROBLEM);
    add_ids(w, t, user, false, false);
    char text[P_TEXT] = "<|im_end|>\n<|im_start|>assistant\n";
    for (int i = 0; i < n; i++) strcat(strcat(text, steps[i]), "<extra_0>");
    size_t from = w->n;
    add_ids(w, t, text, true, false);
    for (size_t i = from; i < w->n; i++)
        if (w->ids[i] == tok_find(t, "<extra_0>")) w->at[w->n_at++] = i;
}

static void render_skywork(struct whole *w, const struct tok *t, char steps[][256], int n) {
    char text[300];
    snprintf(text, sizeof text, "%s\n", PROBLEM);
    add_ids(w, t, "<|endoftext|>", true, false);
    add_ids(w, t, text, false, false);
    for (int i = 0; i < n; i++) {
        add_ids(w, t, steps[i], false, false);
        w->ids[w->n++] = tok_find(t, "\n");
        w->at[w->n_at++] = w->n - 1;
    }
}

static void render_shepherd(struct whole *w, const struct tok *t, char steps[][256], int n) {
    char text[P_TEXT];
    size_t size = (size_t)snprintf(text, sizeof text, "%s ", PROBLEM);
    for (int i = 0; i < n; i++)
        size += (size_t)snprintf(text + size, sizeof text - size, "%s%s" TAG, i ? "\n" : "", steps[i]);
    if (!n) text[size - 1] = 0;
    add_ids(w, t, text, false, true);
    for (size_t i = 0; i < w->n; i++)
        if (w->ids[i] == tok_find(t, TAG)) w->at[w->n_at++] = i;
}

/* The k-th conversation as its authors build it, "+" and all: outputs are read three tokens before its end. */
static void render_rlhflow(struct whole *w, const struct tok *t, char steps[][256], int n) {
    static const char user[] = "<|start_header_id|>user<|end_header_id|>",
                      answer[] = "<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n+<|eot_id|>";
    for (int k = n ? 1 : 0; k <= n; k++) {
        w->n = 0;
        add_ids(w, t, "<|begin_of_text|><|start_header_id|>system<|end_header_id|>\n\nToday: 26 Jul<|eot_id|>", true,
                false);
        for (int i = 0; i < k || i == 0; i++) {
            char text[P_TEXT];
            snprintf(text, sizeof text, "\n\n%s%s%s", i ? "" : PROBLEM, !i && k ? " " : "", k ? steps[i] : "");
            add_ids(w, t, user, true, false);
            add_ids(w, t, text, false, false);
            if (k) add_ids(w, t, answer, true, false);
        }
        if (k) w->at[w->n_at++] = w->n - 3;
    }
    if (n) w->n -= 2; /* the answer to the last step is not read */
}

static void render(struct whole *w, const struct protocol *p, const struct tok *t, char steps[][256], int n) {
    static void (*const by[])(struct whole *, const struct tok *, char[][256], int) = {render_qwen, render_skywork,
                                                                                       render_shepherd, render_rlhflow};
    w->n = w->n_at = 0;
    by[p - protocols](w, t, steps, n);
    assert_int_equal(w->n_at, n);
}

/* ---- formulas, in double, from hidden states ---- */

static double dot(const float *w, const float *h) {
    double sum = 0;
    for (int i = 0; i < A_EMBD; i++) sum += (double)w[i] * (double)h[i];
    return sum;
}

static const float *tensor(const struct model *m, const char *name) { return arch_tensor(m->file, -1, name, 0, 0); }

static double formula(const struct protocol *p, const struct model *m, const struct tok *t, const float *h) {
    double good = 0, bad = 0;
    if (!strcmp(p->name, "qwen")) {
        double out[2] = {tensor(m, "cls.output.bias")[0], tensor(m, "cls.output.bias")[1]};
        for (int r = 0; r < A_EMBD; r++) {
            double x = fmax(0, dot(tensor(m, "cls.weight") + r * A_EMBD, h) + tensor(m, "cls.bias")[r]);
            for (int k = 0; k < 2; k++) out[k] += tensor(m, "cls.output.weight")[k * A_EMBD + r] * x;
        }
        bad = out[0], good = out[1];
    } else if (!strcmp(p->name, "skywork")) {
        good = dot(tensor(m, "v_head.summary.weight"), h) + tensor(m, "v_head.summary.bias")[0]; /* sigmoid */
    } else { /* logits of the two words; the head is tied */
        bool spm = !strcmp(p->name, "shepherd");
        good = dot(tensor(m, "token_embd.weight") + tok_find(t, spm ? " +" : "+") * A_EMBD, h);
        bad = dot(tensor(m, "token_embd.weight") + tok_find(t, spm ? " -" : "-") * A_EMBD, h);
    }
    return exp(good) / (exp(good) + exp(bad));
}

/* ---- chains on forks ---- */

static struct world {
    struct model *policy, *prm, *hidden; /* hidden: prm with its hidden states as outputs */
    struct tok *tok, *prm_tok;
    struct prm_reader *reader;
    struct team *team;
    struct engine *engines[2];
    struct eval_params params;
    struct eval_model *model;
    struct evaluator ev;
    int32_t prompt[64];
} w;

static void open_world(const struct protocol *p, uint32_t max_prm_tokens) {
    struct p_file policy = p_policy(), hidden = p->file;
    struct engine_params ep = {.n_pages = 900, .n_seqs = 40, .max_tokens = 1024, .max_rows = 100};
    struct error e;
    hidden.head = P_HIDDEN;
    w.policy = p_model(&policy), w.prm = p_model(&p->file), w.hidden = p_model(&hidden);
    w.tok = p_tok(w.policy), w.prm_tok = p_tok(w.prm);
    GOOD(prm_reader_open(w.prm, NULL, &w.reader, &e));
    assert_string_equal(prm_reader_kind(w.reader), p->name);
    assert_int_equal(prm_reader_agg(w.reader), p->agg);
    assert_false(prm_reads_policy_tokens(w.reader));
    GOOD(team_new(1, &w.team, &e));
    GOOD(engine_new(w.policy, w.team, &ep, &w.engines[0], &e));
    GOOD(engine_new(w.prm, w.team, &ep, &w.engines[1], &e));
    w.params = (struct eval_params){.policy = w.engines[0],
                                    .prm = w.engines[1],
                                    .reader = w.reader,
                                    .tok = w.tok,
                                    .agg = AGG_MEAN,
                                    .sampling = {.top_p = 1},
                                    .max_step_tokens = 40,
                                    .max_tokens = 200,
                                    .max_prm_tokens = max_prm_tokens,
                                    .max_branches = 30,
                                    .max_batch = 5,
                                    .delimiter = "\n\n",
                                    .prompt_tokens = w.prompt,
                                    .problem = PROBLEM};
    w.params.n_prompt_tokens = p_encode(w.tok, "Solve this: 3 + 3?\n", false, false, w.prompt);
    GOOD(eval_model_open(&w.params, NULL, &w.model, &w.ev, &e));
}

static void close_world(void) {
    eval_model_close(&w.model);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(engine_kv_stats(w.engines[i]).pages_used, 0);
        engine_free(&w.engines[i]);
    }
    team_free(&w.team);
    prm_reader_close(&w.reader);
    tok_close(&w.tok), tok_close(&w.prm_tok);
    model_close(&w.policy), model_close(&w.prm), model_close(&w.hidden);
}

struct play {
    branch_id branch;
    char steps[DEPTH][256]; /* those that are not blank */
    int n;
    bool over;
};

static void compare_chain(const struct protocol *p, int chain, const struct play *c, float value) {
    static struct whole x;
    static float out[P_IDS * 2], hidden[P_IDS * P_VOCAB];
    uint32_t n;
    const uint8_t *scored;
    const int32_t *ids = eval_model_prm_tokens(w.model, c->branch, &n, &scored);
    render(&x, p, w.prm_tok, (char(*)[256])c->steps, c->n);
    for (size_t i = 0; i < n && i < x.n; i++)
        if (ids[i] != x.ids[i])
            fail_msg("%s, chain %d, %d steps: token %zu is %d, expected %d", p->name, chain, c->n, i, ids[i], x.ids[i]);
    if (n != x.n) fail_msg("%s, chain %d, %d steps: %u tokens, expected %zu", p->name, chain, c->n, n, x.n);
    for (size_t i = 0, k = 0; i < n; i++) {
        bool want = k < x.n_at && x.at[k] == i;
        k += want;
        if (scored[i] != want)
            fail_msg("%s, chain %d: token %zu: scored %d, expected %d", p->name, chain, i, scored[i], want);
    }
    struct prm_chain got = {0};
    double want = c->n ? 0 : 0.5;
    size_t n_out = w.prm->head.rows;
    p_read(w.prm, x.ids, x.n, x.n, out);
    p_read(w.hidden, x.ids, x.n, x.n, hidden);
    for (int k = 0; k < c->n; k++) {
        float one = prm_reader_value(w.reader, out + x.at[k] * n_out);
        double exact = formula(p, w.prm, w.prm_tok, hidden + x.at[k] * P_VOCAB);
        if (!(fabs((double)one - exact) < 1e-5))
            fail_msg("%s, chain %d, step %d: %.9g, by the formula %.9g", p->name, chain, k, (double)one, exact);
        prm_chain_add(&got, one);
        want += exact / c->n;
    }
    float whole = prm_chain_value(&got, AGG_MEAN);
    same_floats(&value, &whole, 1, "%s, chain %d, %d steps, value", p->name, chain, c->n);
    assert_true(fabs((double)value - want) < 1e-5);
}

static void note_step(const struct protocol *p, struct play *c, const struct step *s) {
    c->over = s->end != STEP_SEPARATOR;
    if (s->end == STEP_TRUNCATED || s->end == STEP_DEAD) return;
    assert_true(strlen(s->text) < sizeof c->steps[0]);
    strip(strcpy(c->steps[c->n], s->text), p->strip);
    if (*c->steps[c->n]) c->n++;
}

/* Some chains are scored after every step, some at last only, some after their KV was dropped; children replace parents. */
static void values_on_forks(const struct protocol *p, int *n_steps, int *n_finished, int *n_inside) {
    struct play plays[CHAINS] = {0};
    struct error e;
    for (int i = 0; i < CHAINS; i++) GOOD(w.ev.fork(w.ev.self, w.ev.root, &plays[i].branch, &e));
    for (int depth = 0; depth < DEPTH; depth++)
        for (int i = 0; i < CHAINS; i++) {
            struct play *c = &plays[i];
            branch_id child;
            float value;
            if (c->over) continue;
            GOOD(w.ev.fork(w.ev.self, c->branch, &child, &e));
            if (i % 2) w.ev.drop(w.ev.self, &c->branch);
            struct step s = {
                .branch = child, .key = rng_fold(rng_fold(3, (uint64_t)i), (uint64_t)depth), .temperature = 1};
            GOOD(w.ev.extend(w.ev.self, &s, 1, &e));
            *n_inside += s.end == STEP_SEPARATOR && strstr(s.text, "\n\n") != NULL;
            *n_finished += s.end == STEP_FINISHED;
            if (c->branch) w.ev.drop(w.ev.self, &c->branch);
            c->branch = child;
            note_step(p, c, &s);
            if (i % 3 == 1 && !c->over && depth + 1 < DEPTH) continue;
            if (i % 3 == 2) w.ev.evict(w.ev.self, child);
            GOOD(w.ev.score(w.ev.self, &child, 1, &value, &e));
            compare_chain(p, i, c, value);
            *n_steps += c->n;
        }
}

static void steps_are_read_as_their_authors_do(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT(protocols); i++) {
        int n_steps = 0, n_finished = 0, n_inside = 0;
        struct play root = {.branch = 0};
        open_world(&protocols[i], 1000);
        root.branch = w.ev.root;
        if (!protocols[i].file.chat) compare_chain(&protocols[i], -1, &root, 0.5f);
        values_on_forks(&protocols[i], &n_steps, &n_finished, &n_inside);
        if (n_steps < 20 || !n_finished || !n_inside)
            fail_msg("%s: %d steps, %d chains finished, %d delimiters inside a token: the test is empty",
                     protocols[i].name, n_steps, n_finished, n_inside);
        close_world();
    }
}

/* ---- which protocol a file is for ---- */

static void opens_as(struct p_file f, const char *given, const char *want, enum prm_agg agg, uint32_t n_out) {
    struct model *m = p_model(&f);
    struct prm_reader *r;
    struct error e;
    GOOD(prm_reader_open(m, given, &r, &e));
    assert_string_equal(prm_reader_kind(r), want);
    assert_int_equal(prm_reader_agg(r), agg);
    assert_int_equal(m->head.rows, n_out);
    prm_reader_close(&r), model_close(&m);
}

static void fails(struct p_file f, const char *given, const char *part) {
    struct model *m = p_model(&f);
    struct prm_reader *r;
    struct error e = {""};
    assert_int_equal(prm_reader_open(m, given, &r, &e), ERR_INPUT);
    assert_null(r);
    if (!strstr(e.text, part) || !strstr(e.text, "prm-model.gguf") || strchr(e.text, '\n'))
        fail_msg("\"%s\" should name the file and \"%s\" in one line", e.text, part);
    model_close(&m);
}

static void kinds_are_recognised(void **state) {
    (void)state;
    struct p_file qwen = protocols[0].file, skywork = protocols[1].file, shepherd = protocols[2].file,
                  rlhflow = protocols[3].file;
    opens_as(qwen, NULL, "qwen", AGG_MIN, 2);
    opens_as(skywork, NULL, "skywork", AGG_LAST, 1);
    opens_as(shepherd, NULL, "shepherd", AGG_MIN, 2);
    opens_as(rlhflow, NULL, "rlhflow", AGG_LAST, 2);
    shepherd.name = "peiyi9979_MATH_shepherd", rlhflow.name = "models--RLHFlow--Llama3.1-8B-PRM-Mistral-Data";
    opens_as(shepherd, NULL, "shepherd", AGG_MIN, 2);
    opens_as(rlhflow, NULL, "rlhflow", AGG_LAST, 2);
    rlhflow.name = "another", shepherd.name = NULL;
    opens_as(rlhflow, "rlhflow", "rlhflow", AGG_LAST, 2);
    fails(rlhflow, NULL, "prm.kind is missing");
    rlhflow.kind = "rlhflow", shepherd.kind = "shepherd";
    opens_as(rlhflow, NULL, "rlhflow", AGG_LAST, 2);
    opens_as(shepherd, NULL, "shepherd", AGG_MIN, 2);
    rlhflow.kind = "rlhf";
    fails(rlhflow, NULL, "prm.kind \"rlhf\" is not known; known: value, qwen, skywork, shepherd, rlhflow");
    opens_as(rlhflow, "rlhflow", "rlhflow", AGG_LAST, 2); /* the user knows better than the file */
    fails(rlhflow, "flow", "--prm-kind \"flow\"");
    fails(rlhflow, "qwen", "cls.weight");
    fails(rlhflow, "skywork", "v_head.summary.weight");
    fails(qwen, "shepherd", "an LM head");
    fails(skywork, "value", "prm.kind");
    rlhflow.kind = "shepherd";
    fails(rlhflow, NULL, "as one token"); /* no tag in this vocabulary */
}

/* A file without a template: the named one, which has no system text. */
static void without_a_template_there_is_a_named_one(void **state) {
    (void)state;
    struct p_file f = protocols[3].file;
    f.chat = NULL;
    struct model *m = p_model(&f);
    struct tok *t = p_tok(m);
    struct prm_reader *r;
    struct prm_prompt prompt;
    int32_t want[P_IDS];
    struct error e;
    GOOD(prm_reader_open(m, NULL, &r, &e));
    GOOD(prm_begin(r, " 3 + 3 ", NULL, 0, &prompt, &e));
    size_t n = p_encode(t, "<|begin_of_text|><|start_header_id|>user<|end_header_id|>\n\n3 + 3", true, false, want);
    assert_int_equal(prompt.n, n);
    assert_memory_equal(prompt.ids, want, n * sizeof *want);
    prm_prompt_free(&prompt);
    assert_int_equal(prm_begin(r, NULL, NULL, 0, &prompt, &e), ERR_INPUT);
    prm_prompt_free(&prompt);
    prm_reader_close(&r), tok_close(&t), model_close(&m);
}

/* Templates that lose a message or write later turns otherwise cannot be cut into steps. */
static void templates_that_do_not_repeat_are_refused(void **state) {
    (void)state;
    static const char *const bad[] = {
        "{{ '<|start_header_id|>' + messages[0].content + '<|eot_id|>' }}",
        "{% for m in messages %}{{ '<|start_header_id|>' + m.role + (' again' if loop.index > 2 else '') + m.content }}"
        "{% endfor %}"};
    for (size_t i = 0; i < COUNT(bad); i++) {
        struct p_file f = protocols[3].file;
        struct prm_reader *r;
        struct error e = {""};
        f.chat = bad[i];
        struct model *m = p_model(&f);
        assert_int_equal(prm_reader_open(m, NULL, &r, &e), ERR_INPUT);
        if (!strstr(e.text, "chat template")) fail_msg("\"%s\"", e.text);
        model_close(&m);
    }
}

/* NaN and infinities of any protocol's outputs. */
static void outputs_that_are_no_numbers_are_worthless(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT(protocols); i++) {
        struct model *m = p_model(&protocols[i].file);
        struct prm_reader *r;
        struct error e;
        GOOD(prm_reader_open(m, NULL, &r, &e));
        const float nan[2] = {NAN, 1}, both[2] = {INFINITY, INFINITY}, none[2] = {-INFINITY, -INFINITY};
        assert_true(prm_reader_value(r, nan) == 0);
        assert_true(prm_reader_value(r, both) == (i == 1 ? 1 : 0) && prm_reader_value(r, none) == 0);
        prm_reader_close(&r), model_close(&m);
    }
}

/* ---- folders as their authors publish them ---- */

/* Heads of other names arrive under ours, bit for bit, and tell the kind. */
static void folders_bring_their_heads(void **state) {
    (void)state;
    for (int value = 0; value < 2; value++) {
        float x[64], got[64];
        struct st_make st = st_new();
        struct error e;
        for (size_t i = 0; i < 64; i++) x[i] = (float)i / 4 - 8;
        fresh_folder();
        put_small_tensors(&st, 5);
        if (value)
            st_add(&st, "v_head.summary.weight", TYPE_F32, 1, 8, x),
                st_add(&st, "v_head.summary.bias", TYPE_F32, 0, 1, x + 3);
        else {
            st_add(&st, "score.0.weight", TYPE_BF16, 8, 8, x), st_add(&st, "score.0.bias", TYPE_BF16, 0, 8, x + 1);
            st_add(&st, "score.2.weight", TYPE_BF16, 2, 8, x + 2), st_add(&st, "score.2.bias", TYPE_BF16, 0, 2, x + 3);
        }
        st_put(&st, "model.safetensors");
        json_t *config = small_config(5);
        json_object_set_new(config, "tie_word_embeddings", json_boolean(value));
        put_json("config.json", config);
        put_text("tokenizer.json", small_tokenizer);
        struct gguf *g;
        struct model *m;
        const struct prm_protocol *row;
        GOOD(hf_open(tiny_folder, &g, &e));
        GOOD(model_open(g, &m, &e));
        GOOD(prm_protocol_of(m, NULL, &row, &e));
        assert_string_equal(row->name, value ? "skywork" : "qwen");
        type_to_f32(m->head.type, m->head.data, got, 8);
        same_floats(got, x + (value ? 0 : 2), 8, "head");
        same_floats(m->head.bias, x + 3, value ? 1 : 2, "its bias");
        if (!value) {
            type_to_f32(m->head_hidden.type, m->head_hidden.data, got, 64);
            same_floats(got, x, 64, "hidden layer");
            same_floats(m->head_hidden.bias, x + 1, 8, "its bias");
        }
        model_close(&m);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(steps_are_read_as_their_authors_do),
        cmocka_unit_test(kinds_are_recognised),
        cmocka_unit_test(without_a_template_there_is_a_named_one),
        cmocka_unit_test(templates_that_do_not_repeat_are_refused),
        cmocka_unit_test(outputs_that_are_no_numbers_are_worthless),
        cmocka_unit_test(folders_bring_their_heads),
    };
    return cmocka_run_group_tests(tests, NULL, tiny_cleanup);
}
