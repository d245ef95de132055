/* test_train_data.c: what is trained on: policy examples (never a held-out problem, loss where it belongs), Monte-Carlo labels
 * (the same file however it is made) and reward examples.
 * Not the loop: test_train.c.
 * Next: train/policy.h, train/labels.h, train/reward.h. */
#include "tests/tiny_model.h"

#include <jansson.h>

#include "tasks/countdown.h"
#include "tasks/gen.h"
#include "train/chains.h"
#include "train/labels.h"
#include "train/policy.h"
#include "train/reward.h"

static struct tok *tok;
static struct model *policy; /* has learned a few problems by heart */

enum { LABEL_KEY = 31, N_LEARNED = 5, N_LABELLED = 7, END = VOCAB_END, LINE_END = VOCAB_BYTES + '\n' };
static const struct gen_mix three = {.three_any = 1};

static void label_problem(uint64_t index, struct cd_problem *p) {
    uint64_t key = rng_fold(LABEL_KEY, index);
    gen_problem(key, 0, &three, true, p); /* as labels_make does with solvable_share 1 */
}

static enum status generate_three(const struct task *t, uint64_t key, const struct task_draw *d, struct problem *out,
                                  struct error *e) {
    struct cd_problem p;
    char prompt[CD_TEXT];
    gen_one(key, &three, !d->any, &p);
    cd_prompt(&p, prompt, sizeof prompt);
    return t->parse_text(task_find("countdown"), prompt, out, e);
}

/* A task of its own, with problems of three numbers only. */
static struct task_mix three_mix(void) {
    static struct task task;
    task = *task_find("countdown");
    task.generate = generate_three;
    return (struct task_mix){.n = 1, .tasks = {&task}};
}

static struct policy_data data_of(uint64_t key, double explore) {
    return (struct policy_data){
        .tok = tok, .key = key, .mix = {.n = 1, .tasks = {task_find("game24")}}, .explore = explore};
}

static void example_of(struct policy_data *d, uint64_t index, struct example *x) {
    struct error e;
    GOOD(policy_example(d, index, x, &e));
}

/* One solution of one of the first problems that will be labelled; and a mistake. */
static enum status learned_example(void *arg, uint64_t index, struct example *x, struct error *e) {
    (void)arg, (void)e;
    struct cd_problem p;
    struct cd_move moves[CD_MAX];
    char text[CD_TEXT];
    size_t at = 0;
    uint64_t which = index % 12 == 11 ? N_LEARNED : index % N_LEARNED;
    label_problem(which, &p);
    struct cd_state s = cd_start(&p);
    assert_true(cd_random_solution(&s, p.target, which, moves));
    for (int i = 0; i + 1 < p.n; i++) {
        if (i) text[at++] = '\n';
        at += cd_step_text(&s, moves[i], text + at, sizeof text - at);
        assert_true(cd_apply(&s, moves[i], &s));
    }
    if (which == N_LEARNED) /* one that it gets wrong from the first step on */
        snprintf(text, sizeof text, " %d + %d = 1 ; 1 %d\n 1 + %d = 24 ; 24", p.numbers[0], p.numbers[1], p.numbers[2],
                 p.numbers[2]);
    *x = (struct example){0};
    char prompt[CD_TEXT];
    cd_prompt(&p, prompt, sizeof prompt);
    assert_true(example_tokens(tok, prompt, text, true, x));
    bool in_prompt = true;
    for (uint32_t i = 0; i + 1 < x->n; i++) {
        x->targets[i] = x->tokens[i + 1];
        if (x->tokens[i] == LINE_END) in_prompt = false;
        x->weights[i] = !in_prompt;
    }
    return OK;
}

static int open_policy(void **state) {
    (void)state;
    struct model_config c = tiny_config(1, 32, 2, 1, 64);
    struct net *n;
    struct error e;
    double loss;
    tok = tiny_tok(VOCAB_SIZE);
    c.head_dim = c.rope_dim = 16, c.n_vocab = VOCAB_SIZE;
    GOOD(net_new(&c, NET_LM, 1, &n, &e));
    struct train_params p = {
        .steps = 180, .warmup = 5, .batch = 4, .lr = 0.02f, .lr_floor = 0.1f, .threads = 1, .save_every_s = 1e9};
    GOOD(train_run(n, learned_example, NULL, &p, &loss, &e));
    GOOD(policy_write(n, "tiny", &(struct trained){.revises = false}, tiny_path("policy.gguf"), &e));
    net_free(&n);
    policy = tiny_open(tiny_path("policy.gguf"));
    return 0;
}

static int close_policy(void **state) {
    tok_close(&tok), model_close(&policy);
    return tiny_cleanup(state);
}

/* ---- policy examples ---- */

/* Prompt and steps of an example as text; the tokens must be begin, prompt, steps, end. */
static void decode(const struct example *x, char *prompt, char *steps) {
    uint32_t first = 0;
    size_t size;
    while (first < x->n && x->tokens[first] != LINE_END) first++;
    assert_true(x->n <= EXAMPLE_MAX && first + 2 < x->n && x->tokens[0] == VOCAB_BEGIN && x->tokens[x->n - 1] == END);
    tok_decode(tok, x->tokens, first, false, prompt, CD_TEXT, &size);
    tok_decode(tok, x->tokens + first + 1, x->n - first - 2, false, steps, CD_TEXT, &size);
    for (uint32_t i = 1; i + 1 < x->n; i++) assert_true(x->tokens[i] != VOCAB_BEGIN && x->tokens[i] != END);
}

/* Loss after the prompt; of an exploration only after each "=" up to the end of its line. */
static void check_mask(const struct example *x, bool exploration) {
    bool after_prompt = false, after_equals = false;
    for (uint32_t i = 0; i < x->n; i++) {
        struct gguf_string piece = tok_piece(tok, x->tokens[i], false);
        bool line_end = piece.size == 1 && piece.data[0] == '\n';
        if (line_end) after_prompt = true, after_equals = false;
        if (memchr(piece.data, '=', piece.size)) after_equals = true;
        bool wanted = i + 1 < x->n && after_prompt && (!exploration || after_equals);
        if (x->weights[i] != (float)wanted)
            fail_msg("row %u (\"%.*s\") has weight %g, expected %d", i, (int)piece.size, piece.data,
                     (double)x->weights[i], wanted);
        if (i + 1 < x->n) assert_int_equal(x->targets[i], x->tokens[i + 1]);
    }
}

static void check_example(struct policy_data *d, uint64_t index, bool exploration) {
    struct example x, again;
    struct cd_problem p;
    struct error e;
    char prompt[CD_TEXT], steps[CD_TEXT];
    int n_ok;
    memset(&x, 0x55, sizeof x), memset(&again, 0xAA, sizeof again);
    example_of(d, index, &x);
    decode(&x, prompt, steps);
    GOOD(cd_parse(prompt, 0, &p, &e));
    if (cd_is_held_out(&p)) fail_msg("example %llu trains on \"%s\"", (unsigned long long)index, prompt);
    bool right = cd_check(&p, steps, &n_ok, NULL);
    if (!exploration && !right) fail_msg("\"%s\": \"%s\" is no solution", prompt, steps);
    if (n_ok != p.n - 1) fail_msg("\"%s\": \"%s\" has %d right steps", prompt, steps, n_ok);
    check_mask(&x, exploration);
    if (index % 64) return;
    example_of(d, index, &again); /* a pure function of the index */
    assert_int_equal(x.n, again.n);
    assert_memory_equal(x.tokens, again.tokens, x.n * sizeof *x.tokens);
    same_floats(again.weights, x.weights, x.n, "weights");
}

static void examples_are_right_and_never_held_out(void **state) {
    (void)state;
    for (int exploration = 0; exploration < 2; exploration++) {
        struct policy_data d = data_of(3, exploration);
        for (uint64_t i = 0; i < 4000; i++) check_example(&d, i % 2 * EXAMPLE_VALIDATION + i / 2, exploration);
    }
}

/* Both kinds in their shares; a solution shows as loss before the first "=". */
static void kinds_come_in_their_shares(void **state) {
    (void)state;
    struct policy_data d = data_of(4, 0.25);
    int n_explored = 0;
    for (uint64_t i = 0; i < 2000; i++) {
        struct example x;
        uint32_t first = 0;
        example_of(&d, i, &x);
        while (x.tokens[first] != LINE_END) first++;
        n_explored += x.weights[first] == 0;
    }
    if (n_explored < 400 || n_explored > 600) fail_msg("%d of 2000 explore, expected about 500", n_explored);
}

/* The draws that both streams are made of, many more of them. */
static void no_draw_is_held_out(void **state) {
    (void)state;
    for (uint64_t validation = 0; validation < 2; validation++) {
        uint64_t stream = rng_fold(1, validation);
        for (uint64_t i = 0; i < 100000; i++) {
            struct cd_problem p;
            gen_problem(rng_fold(rng_fold(stream, validation * EXAMPLE_VALIDATION + i), 0), 1, &gen_default_mix,
                        i % 4 == 0, &p);
            bool cards = p.n == 4 && p.target == 24;
            for (int k = 0; k < p.n; k++) cards = cards && p.numbers[k] <= 13;
            if (cards || cd_is_held_out(&p)) fail_msg("draw %llu is a test problem", (unsigned long long)i);
        }
    }
}

static void streams_differ(void **state) {
    (void)state;
    struct policy_data d = data_of(4, 0.25), other = data_of(5, 0.25);
    int same = 0;
    for (uint64_t i = 0; i < 50; i++) {
        struct example a, b, c;
        example_of(&d, i, &a), example_of(&d, EXAMPLE_VALIDATION + i, &b), example_of(&other, i, &c);
        same += a.n == b.n && !memcmp(a.tokens, b.tokens, a.n * sizeof *a.tokens);
        same += a.n == c.n && !memcmp(a.tokens, c.tokens, a.n * sizeof *a.tokens);
    }
    assert_int_equal(same, 0);
}

static void long_texts_are_no_example(void **state) {
    (void)state;
    struct example x;
    char text[2 * CD_TEXT];
    uint32_t n_prompt;
    assert_true(example_tokens(tok, " 4 7 8 -> 24\n", "", false, &x));
    n_prompt = x.n;
    for (uint32_t n = 0; n < sizeof text - 1; n++) {
        memset(text, 'x', n); /* one token each */
        text[n] = 0;
        bool fits = n_prompt + n + n % 2 <= EXAMPLE_MAX;
        if (example_tokens(tok, " 4 7 8 -> 24\n", text, n % 2, &x) != fits)
            fail_msg("%u bytes: %s", n, fits ? "refused" : "taken");
        if (fits) assert_int_equal(x.n, n_prompt + n + n % 2);
    }
}

static void sizes_have_names(void **state) {
    (void)state;
    static const char *const names[] = {"tiny", "small", "base"};
    struct model_config c;
    struct error e;
    uint32_t width = 0;
    for (int i = 0; i < 3; i++) {
        assert_true(policy_size(names[i], VOCAB_SIZE, &c));
        GOOD(config_check(&c, names[i], &e));
        assert_true(c.n_embd > width && c.n_vocab == VOCAB_SIZE && c.n_ctx >= EXAMPLE_ROOM);
        width = c.n_embd;
    }
    assert_false(policy_size("huge", VOCAB_SIZE, &c));
    assert_false(policy_size("", VOCAB_SIZE, &c));
}

/* ---- labels ---- */

static struct label_params params(const char *out) {
    return (struct label_params){.policy = policy,
                                 .tok = tok,
                                 .key = LABEL_KEY,
                                 .mix = three_mix(),
                                 .solvable_share = 1,
                                 .n_problems = N_LABELLED,
                                 .chains = 5,
                                 .min_rollouts = 4,
                                 .max_rollouts = 16,
                                 .temperature = 1,
                                 .wild_temperature = 1.8f,
                                 .out = out,
                                 .threads = 1};
}

static char *read_file(const char *path, size_t *size) {
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    char *data = calloc(1, 1 << 20);
    *size = fread(data, 1, (1 << 20) - 1, f);
    fclose(f);
    return data;
}

static void write_file(const char *path, const char *data, size_t size) {
    FILE *f = fopen(path, "wb");
    assert_true(f && fwrite(data, 1, size, f) == size && !fclose(f));
}

static char *make_labels(struct label_params p, size_t *size) {
    struct error e;
    GOOD(labels_make(&p, NULL, &e));
    return read_file(p.out, size);
}

static void same_text(const char *got, size_t n_got, const char *want, size_t n_want, const char *what) {
    for (size_t i = 0; i < n_got && i < n_want; i++)
        if (got[i] != want[i])
            fail_msg("%s: byte %zu differs: \"%.40s\", expected \"%.40s\"", what, i, got + i, want + i);
    if (n_got != n_want) fail_msg("%s: %zu bytes, expected %zu", what, n_got, n_want);
}

/* What the labels of all chains of one problem must agree on. */
struct seen {
    struct {
        struct cd_state state;
        double value;
        int rollouts;
    } at[128];
    int n;
};

static void note_place(struct seen *seen, const struct cd_state *s, double value, int rollouts) {
    for (int i = 0; i < seen->n; i++)
        if (seen->at[i].state.n == s->n && !memcmp(seen->at[i].state.left, s->left, (size_t)s->n * sizeof s->left[0])) {
            assert_true(seen->at[i].value == value &&
                        seen->at[i].rollouts == rollouts); /* states share their rollouts */
            return;
        }
    seen->at[seen->n].state = *s, seen->at[seen->n].value = value, seen->at[seen->n++].rollouts = rollouts;
}

/* Steps, values and rollouts of one chain against the checker; counts wrong ends, right ends, and wrong steps that
 * the chain went on from. */
static void check_chain(const struct cd_problem *p, json_t *chain, struct seen *seen, int ends[3]) {
    const char *text = json_string_value(json_object_get(chain, "steps"));
    json_t *values = json_object_get(chain, "values"), *rollouts = json_object_get(chain, "rollouts");
    bool finished = json_is_true(json_object_get(chain, "finished")), right = true;
    size_t n = json_array_size(values);
    assert_true(text && n >= 1 && n <= 8 && json_array_size(rollouts) == n);
    struct cd_state s = cd_start(p);
    for (size_t i = 0; i < n; i++) {
        double v = json_number_value(json_array_get(values, i));
        int r = (int)json_integer_value(json_array_get(rollouts, i));
        size_t size = strcspn(text, "\n");
        assert_true(v >= 0 && v <= 1);
        right = right && cd_step_check(&s, text, size, &s);
        if (i + 1 == n && finished) {
            bool solved = cd_check(p, json_string_value(json_object_get(chain, "steps")), NULL, NULL);
            assert_true(v == solved && r == 0);
            ends[solved]++;
        } else if (!right || (s.n == 1 && (s.left[0].num != p->target || s.left[0].den != 1))) {
            if (v != 0 || r != 0) fail_msg("\"%s\": step %zu is wrong and has value %g", text, i, v);
            ends[2] += i == 0;
        } else {
            assert_true(r == 4 || r == 8 || r == 16);
            if (fabs(v * r - round(v * r)) > 1e-2) fail_msg("value %g of %d rollouts", v, r);
            if (cd_count_solutions(&s, p->target, true) == 0) assert_true(v == 0);
            if (v == 0 || v == 1) assert_int_equal(r, 8); /* doubled once */
            else assert_int_equal(r, 16);
            note_place(seen, &s, v, r);
        }
        text += size + (text[size] == '\n');
    }
    assert_int_equal(*text, 0);
}

static void labels_agree_with_the_checker(void **state) {
    (void)state;
    size_t size;
    char *text = make_labels(params(tiny_path("labels.jsonl")), &size), *rest = text, prompt[CD_TEXT];
    int ends[3] = {0}, index = 0, n_places = 0;
    for (char *line; (line = strsep(&rest, "\n")) && *line; index++) {
        struct cd_problem p, want;
        struct error e;
        struct seen seen = {.n = 0};
        size_t i;
        json_t *o = json_loads(line, 0, NULL), *chain;
        assert_non_null(o);
        assert_int_equal(json_integer_value(json_object_get(o, "index")), index);
        GOOD(cd_parse(json_string_value(json_object_get(o, "problem")), 0, &p, &e));
        label_problem((uint64_t)index, &want);
        cd_prompt(&want, prompt, sizeof prompt);
        assert_memory_equal(prompt + 1, json_string_value(json_object_get(o, "problem")), strlen(prompt) - 2);
        json_array_foreach(json_object_get(o, "chains"), i, chain) check_chain(&p, chain, &seen, ends);
        n_places += seen.n;
        json_decref(o);
    }
    assert_int_equal(index, N_LABELLED);
    print_message("%d chains end right, %d wrong, %d start wrong, %d states rolled out\n", ends[1], ends[0], ends[2],
                  n_places);
    assert_true(ends[0] >= 1 && ends[1] >= 1 && ends[2] >= 1 && n_places >= 3); /* else nothing was tested */
    free(text);
}

static void labels_do_not_depend_on_threads_or_stops(void **state) {
    (void)state;
    size_t size, other, cuts[8];
    const char *path = tiny_path("again.jsonl");
    char *want = make_labels(params(tiny_path("labels.jsonl")), &size), *got;
    struct label_params p = params(path);
    p.threads = 2;
    got = make_labels(p, &other);
    same_text(got, other, want, size, "2 threads");
    free(got);
    size_t line = strcspn(want, "\n") + 1; /* torn in the first line, at its end, in the middle, in the last line */
    cuts[0] = 1, cuts[1] = line - 1, cuts[2] = line, cuts[3] = line + 1, cuts[4] = size / 2, cuts[5] = size - 1,
    cuts[6] = size;
    for (int i = 0; i < 7; i++) {
        write_file(path, want, cuts[i]);
        p.threads = 1 + i % 2;
        got = make_labels(p, &other);
        same_text(got, other, want, size, "after a torn line");
        free(got);
    }
    struct label_params part = params(tiny_path("part.jsonl"));
    part.first = 1, part.n_problems = 2;
    got = make_labels(part, &other);
    assert_memory_equal(got, want + line, other); /* a line is a function of its index */
    assert_true(other > 2 && got[other - 1] == '\n');
    free(got), unlink(path);
    volatile int cancel = 1;
    p.cancel = &cancel;
    got = make_labels(p, &other);
    assert_int_equal(other, 0);
    free(got), free(want);
}

static void bad_label_flags_are_refused(void **state) {
    (void)state;
    for (int i = 0; i < 5; i++) {
        static const char *const part[] = {"--chains", "--chains", "-t", "-t", "/no/such/folder"};
        struct label_params p = params(tiny_path("x.jsonl"));
        struct error e = {""};
        if (i < 2) p.chains = i ? 17 : 0;
        else if (i < 4) p.threads = i == 2 ? 0 : 65;
        else p.out = "/no/such/folder/x.jsonl";
        assert_int_equal(labels_make(&p, NULL, &e), i == 4 ? ERR_IO : ERR_INPUT);
        if (!strstr(e.text, part[i])) fail_msg("\"%s\" should name %s", e.text, part[i]);
    }
}

static void failed_memory_makes_no_wrong_labels(void **state) {
    (void)state;
    size_t size, other;
    struct label_params p = params(tiny_path("memory.jsonl"));
    struct error e;
    p.n_problems = 1;
    mem_fail_at(0, false);
    char *want = make_labels(p, &size);
    size_t n = mem_fail_at(0, false);
    assert_true(n > 20);
    for (size_t i = 1; i <= n; i++) {
        unlink(p.out);
        e.text[0] = 0;
        mem_fail_at(i, true);
        enum status s = labels_make(&p, NULL, &e);
        mem_fail_at(0, false);
        if (s != ERR_MEMORY || !e.text[0]) fail_msg("allocation %zu of %zu: status %d, \"%s\"", i, n, (int)s, e.text);
        char *got = read_file(p.out, &other);
        assert_int_equal(other, 0);
        free(got);
    }
    free(want);
}

/* ---- reward examples ---- */

/* A label file of 40 problems: "index 1 2 -> t" with two chains; the last of them may be changed. */
static void write_labels(const char *path, const char *last) {
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    for (int i = 0; i < 40; i++) {
        if (i == 39 && last) fprintf(f, "%s\n", last);
        else
            fprintf(f,
                    "{\"index\":%d,\"problem\":\"%d 2 3 -> 24\",\"chains\":[{\"steps\":\" 2 + 3 = 5 ; %d 5\\n 5 + %d = "
                    "%d ; %d\",\"finished\":true,"
                    "\"values\":[0.25,1],\"rollouts\":[8,0]},{\"steps\":\" 2 * 3 = 7 ; "
                    "7\\n\",\"finished\":false,\"values\":[0],\"rollouts\":[0]}]}\n",
                    i, i + 1, i + 1, i + 1, i + 6, i + 6);
    }
    fclose(f);
}

static void values_lie_on_the_ends_of_steps(void **state) {
    (void)state;
    struct reward_data *d;
    struct error e;
    int n_side[2] = {0}, n_kind[2] = {0};
    write_labels(tiny_path("labels.jsonl"), NULL);
    GOOD(reward_data_open(tiny_path("labels.jsonl"), tok, 7, 0, &d, &e));
    assert_int_equal(reward_data_chains(d), 80);
    for (uint64_t i = 0; i < 400; i++) {
        struct example x, again;
        bool validation = i % 2;
        memset(&x, 0x55, sizeof x), memset(&again, 0xAA, sizeof again);
        GOOD(reward_example(d, i / 2 + validation * EXAMPLE_VALIDATION, &x, &e));
        GOOD(reward_example(d, i / 2 + validation * EXAMPLE_VALIDATION, &again, &e));
        assert_true(x.n == again.n && !memcmp(x.tokens, again.tokens, x.n * sizeof *x.tokens));
        bool finished = x.tokens[x.n - 1] == END;
        const float want[2] = {finished ? 0.25f : 0, 1};
        uint32_t n_ends = 0;
        for (uint32_t k = 0; k < x.n; k++) {
            bool end = x.tokens[k] == LINE_END || x.tokens[k] == END;
            bool labelled = end && n_ends > 0; /* the first line is the prompt */
            assert_true(x.weights[k] == (float)labelled && (x.values[k] == (labelled ? want[n_ends - 1] : 0)));
            n_ends += end;
        }
        assert_int_equal(n_ends, finished ? 3 : 2);
        char text[CD_TEXT];
        size_t size;
        tok_decode(tok, x.tokens, x.n, false, text, sizeof text, &size);
        int index = atoi(text + strspn(text, " 23->")); /* the numbers are in order: 2 and 3 may come first */
        struct cd_problem p;
        text[strcspn(text, "\n")] = 0;
        GOOD(cd_parse(text, 0, &p, &e));
        index = p.numbers[0] + p.numbers[1] + p.numbers[2] - 5 - 1;
        if ((index % 20 == 19) != validation) fail_msg("problem %d is on the wrong side", index);
        n_side[validation]++, n_kind[finished]++;
    }
    assert_true(n_side[0] == 200 && n_side[1] == 200 && n_kind[0] > 100 && n_kind[1] > 100);
    reward_data_close(&d);
}

/* ---- chains ---- */

/* 60 problems with a right chain, a wrong one that shares its first step, one that shares none, and one without an end. */
static void write_chains(const char *path) {
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    for (int i = 1; i <= 60; i++)
        fprintf(
            f,
            "{\"index\":%d,\"problem\":\"2 3 %d -> %d\",\"chains\":[{\"steps\":\" 3 - 2 = 1 ; 1 %d\\n 1 * %d = %d ; "
            "%d\",\"finished\":true,\"values\":[0,0]},"
            "{\"steps\":\" 2 + 3 = 5 ; 5 %d\\n 5 + %d = %d ; %d\",\"finished\":true,\"values\":[1,1]},"
            "{\"steps\":\" 2 + 3 = 5 ; 5 %d\\n 5 * %d = %d ; %d\",\"finished\":true,\"values\":[1,0]},"
            "{\"steps\":\" 2 * 3 = 6 ; 6 %d\\n\",\"finished\":false,\"values\":[0]}]}\n",
            i, i, i + 5, i, i, i, i, i, i, i + 5, i + 5, i, i, 5 * i, 5 * i, i);
    fclose(f);
}

static void text_of(const struct example *x, bool learned, char text[CD_TEXT]) {
    int32_t ids[EXAMPLE_MAX];
    size_t n = 0, size;
    for (uint32_t i = 0; i + 1 < x->n; i++)
        if (!learned || x->weights[i] > 0) ids[n++] = learned ? x->targets[i] : x->tokens[i];
    tok_decode(tok, ids, n, false, text, CD_TEXT, &size);
    text[size] = 0;
}

/* Behind the prompt come tries that were given up, the nearest one last; only the right chain is learned.  Distilled, there are
 * no tries. */
static void revisions_learn_the_right_chain_only(void **state) {
    (void)state;
    struct chains *c;
    struct error e;
    for (int revise = 0; revise < 2; revise++) {
        int with_tries[6] = {0};
        write_chains(tiny_path("chains.jsonl"));
        GOOD(chains_open(tiny_path("chains.jsonl"), tok, 7, revise, &c, &e));
        struct chains_count n = chains_counts(c);
        assert_true(n.problems == 60 && n.right == 60 && n.wrong == 120);
        for (uint64_t i = 0; i < 400; i++) {
            struct example x;
            char all[CD_TEXT], learned[CD_TEXT];
            GOOD(chains_example(c, i, &x, &e));
            text_of(&x, false, all), text_of(&x, true, learned);
            int tries = 0, k = 0;
            const char *last = strchr(all, '\n') + 1, *before = NULL;
            for (const char *at; (at = strstr(last, " <\n")); tries++) before = last, last = at + 3;
            assert_true(sscanf(all, " 2 3 %d", &k) == 1 || sscanf(all, " 2 %d 3", &k) == 1 ||
                        sscanf(all, " %d", &k) == 1);
            assert_true(tries <= (revise ? 4 : 0));
            with_tries[tries]++;
            assert_true(!strncmp(last, learned, strlen(last)) && !strncmp(last, " 2 + 3 = 5 ;", 12) &&
                        strstr(last, "5 +"));
            if (before && strncmp(before, " 2 + 3 = 5 ;", 12)) fail_msg("\"%s\": the last try is not the nearest", all);
        }
        for (int t = 0; t <= 4 && revise; t++)
            if (with_tries[t] < 40) fail_msg("%d of 400 examples have %d tries", with_tries[t], t);
        chains_close(&c);
    }
    for (size_t i = 1; i < 12; i++) { /* no memory: an error, no leak */
        mem_fail_at(i, true);
        enum status s = chains_open(tiny_path("chains.jsonl"), tok, 7, true, &c, &e);
        mem_fail_at(0, false);
        if (!s) fail_msg("allocation %zu is none", i);
        assert_true(s == ERR_MEMORY && !c);
    }
}

/* Right or not as the line says; where it says nothing, as the task judges. */
static void results_and_generated_chains_are_read(void **state) {
    (void)state;
    struct chains *c;
    struct error e;
    FILE *f = fopen(tiny_path("results.jsonl"), "w");
    fputs("{\"format\":\"ponder-results\",\"task\":\"boolean_expressions\"}\n", f);
    for (int i = 1; i <= 60; i++)
        fprintf(f,
                "{\"task\":\"countdown\",\"problem\":\"2 3 %d -> %d\",\"steps\":\" 2 + 3 = 5 ; 5 %d\\n 5 + %d = %d ; "
                "%d\"}\n",
                i, i % 3 ? i + 5 : i + 6, i, i, i + 5, i + 5);
    fputs("{\"problem\":\"! T & F\",\"steps\":\" F & F\\n F\",\"correct\":true,\"answer\":\"False\"}\n", f);
    fputs("{\"problem\":\"! T & T\",\"answer\":null,\"correct\":false}\n", f);
    fclose(f);
    GOOD(chains_open(tiny_path("results.jsonl"), tok, 7, false, &c, &e));
    struct chains_count n = chains_counts(c);
    assert_true(n.problems == 41 && n.right == 41 && n.wrong == 0);
    chains_close(&c);
}

static void bad_label_files_are_refused(void **state) {
    (void)state;
    static const char *const bad[][2] = {
        {"{\"index\":39,\"problem\":\"4 7 8 8 -> 24\",\"chains\":[]}", "test problem"},
        {"{\"index\":39,\"task\":\"game24\",\"problem\":\"8 8 4 7\",\"chains\":[]}", "test problem"},
        {"{\"index\":39,\"task\":\"chess\",\"problem\":\"8 8 4 7\",\"chains\":[]}", "chess"},
        {"{\"index\":39,\"chains\":[]}", "problem"},
        {"{\"index\":39,\"problem\":\"1 2\",\"chains\":[]}", "labels.jsonl:40"},
        {"{\"index\":39,\"problem\":\"1 2 3 -> 6\",\"chains\":[{\"values\":[1]}]}", "steps"},
        {"{\"index\":39,\"problem\":\"1 2 3 -> 6\",\"chains\":[{\"steps\":\"x\"}]}", "values"},
        {"{\"index\":39,\"problem\":\"1 2 3 -> 6\",\"chains\":[{\"steps\":\"x\",\"finished\":true,\"values\":[1.5]}]}",
         "value"},
        {"{\"index\":39,\"problem\":\"1 2 3 -> 6\",\"chains\":[{\"steps\":\"x\",\"finished\":true,\"values\":[-1]}]}",
         "value"},
        {"{\"index\":39,\"problem\":\"1 2 3 -> "
         "6\",\"chains\":[{\"steps\":\"x\",\"finished\":true,\"values\":[\"1\"]}]}",
         "value"},
        {"{\"index\":39,\"problem\":\"1 2 3 -> 6\"", "not JSON"},
        {"[]", "problem"},
        {"\"x\"", "labels.jsonl:40"},
        {"", "not JSON"},
    };
    struct reward_data *d;
    struct error e;
    for (size_t i = 0; i < COUNT(bad); i++) {
        write_labels(tiny_path("labels.jsonl"), bad[i][0]);
        d = (struct reward_data *)&e;
        e.text[0] = 0;
        enum status s = reward_data_open(tiny_path("labels.jsonl"), tok, 7, 0, &d, &e);
        if (s != ERR_INPUT || !strstr(e.text, bad[i][1]) || !strstr(e.text, "labels.jsonl:40") || strchr(e.text, '\n'))
            fail_msg("%s: status %d, \"%s\"", bad[i][0], (int)s, e.text);
        assert_null(d);
    }
    write_file(tiny_path("labels.jsonl"), "", 0);
    assert_int_equal(reward_data_open(tiny_path("labels.jsonl"), tok, 7, 0, &d, &e), ERR_INPUT);
    if (!strstr(e.text, "fewer than 20")) fail_msg("\"%s\"", e.text);
    assert_int_equal(reward_data_open(tiny_path("none.jsonl"), tok, 7, 0, &d, &e), ERR_IO);
    if (!strstr(e.text, "none.jsonl")) fail_msg("\"%s\"", e.text);
}

static void reward_files_open_as_reward_models(void **state) {
    (void)state;
    struct model_config c;
    struct net *n;
    struct prm_info info;
    struct error e;
    struct tok *t;
    policy_size("tiny", VOCAB_SIZE, &c);
    GOOD(net_new(&c, NET_VALUE, 1, &n, &e));
    GOOD(reward_write(n, tok, "tiny", &(struct trained){.revises = false}, tiny_path("reward.gguf"), &e));
    struct model *m = tiny_open(tiny_path("reward.gguf"));
    GOOD(prm_info_read(m, &info, &e));
    assert_int_equal(info.step_token, LINE_END);
    assert_int_equal(m->head.rows, 1);
    GOOD(tok_open(m->file, &t, &e));
    assert_int_equal(tok_n_vocab(t), c.n_vocab);
    assert_int_equal(policy->embd.type, TYPE_F16);
    tok_close(&t), model_close(&m);
    assert_int_equal(reward_write(n, tok, "tiny", &(struct trained){.revises = false}, "/no/such/folder/x.gguf", &e),
                     ERR_IO);
    net_free(&n);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(examples_are_right_and_never_held_out),
        cmocka_unit_test(kinds_come_in_their_shares),
        cmocka_unit_test(no_draw_is_held_out),
        cmocka_unit_test(streams_differ),
        cmocka_unit_test(long_texts_are_no_example),
        cmocka_unit_test(sizes_have_names),
        cmocka_unit_test(labels_agree_with_the_checker),
        cmocka_unit_test(labels_do_not_depend_on_threads_or_stops),
        cmocka_unit_test(bad_label_flags_are_refused),
        cmocka_unit_test(failed_memory_makes_no_wrong_labels),
        cmocka_unit_test(values_lie_on_the_ends_of_steps),
        cmocka_unit_test(revisions_learn_the_right_chain_only),
        cmocka_unit_test(results_and_generated_chains_are_read),
        cmocka_unit_test(bad_label_files_are_refused),
        cmocka_unit_test(reward_files_open_as_reward_models),
    };
    return cmocka_run_group_tests(tests, open_policy, close_policy);
}
