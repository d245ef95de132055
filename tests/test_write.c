/* test_write.c: the token loop against a naive one: one text after the other, one token after the other, each text read again
 * from its beginning.
 * Not the guesses: test_speculate.c.
 * Next: model/write.h. */
#include "tests/engine_check.h"

#include "model/write.h"
#include "tokenizer/vocab.h"

enum { VOCAB = 40, CTX = 96, N_WRITTEN = 9, N_RULES = 4 };

static struct world {
    struct model *model;
    struct tok *tok;
    struct bench bench;
    struct trail_pool *pool;
    float logits[VOCAB], p[VOCAB];
    int32_t ids[VOCAB];
} w;

static int open_world(void **state) {
    (void)state;
    struct model_config c = tiny_config(2, 12, 4, 2, 24);
    struct error e;
    c.n_vocab = VOCAB, c.n_ctx = 2048;
    struct net *n = tiny_net(&c, NET_LM, 10);
    w.model = tiny_model(n, TYPE_F32);
    net_free(&n);
    w.tok = tiny_tok(VOCAB_SIZE); /* ids below 40: the control tokens and the bytes 0 to 37 */
    w.bench = bench_open(w.model, 1,
                         (struct engine_params){.n_pages = 300, .n_seqs = 24, .max_tokens = 1400, .max_rows = 64});
    GOOD(trail_pool_new(&w.pool, &e));
    return 0;
}

static int close_world(void **state) {
    trail_pool_free(&w.pool), bench_close(&w.bench), model_close(&w.model), tok_close(&w.tok);
    return tiny_cleanup(state);
}

/* Nothing may be left in the engine. */
static void nothing_left(void) {
    struct error e;
    if (!engine_check(w.bench.engine, &e)) fail_msg("%s", e.text);
    assert_int_equal(engine_kv_stats(w.bench.engine).pages_used, 0);
    assert_int_equal(trail_blocks_used(w.pool), 0);
}

/* ---- the naive loop ---- */

static const struct sample_bias no_six[] = {{6, -INFINITY}, {9, 1.5f}};
static struct text_rules rules_at(int i) {
    struct text_rules r[N_RULES] = {
        {.sampling = {.top_p = 1}},
        {.sampling = {.top_k = 12, .top_p = 0.9f}, .penalties = {1.3f, 0.2f, 0.4f}, .n_penalized = 7},
        {.sampling = {.top_p = 1, .min_p = 0.02f}, .bias = no_six, .n_bias = COUNT(no_six)},
        {.sampling = {.top_p = 1, .chain = "kt", .top_k = 20},
         .bias = no_six,
         .n_bias = 2,
         .penalties = {1.1f, 0, 0.2f},
         .n_penalized = UINT32_MAX},
    };
    r[i].tok = w.tok;
    return r[i];
}

/* Appends to ids [n] until an end token or `end` tokens; returns their number. */
static uint32_t naive(const struct text_rules *r, float temperature, uint64_t key, int32_t *ids, uint32_t n,
                      uint32_t end) {
    struct sample_params sp = r->sampling;
    struct sample_scratch scratch = {w.p, w.ids};
    sp.temperature = temperature;
    for (uint64_t counter = 0; n < end; counter++) {
        uint32_t seq = engine_seq_new(w.bench.client), last = r->n_penalized < n ? r->n_penalized : n;
        struct span span = {seq, n, 1, ids, w.logits};
        struct error e;
        GOOD(engine_run(w.bench.client, &span, 1, NULL, &e));
        engine_drop(w.bench.client, &seq);
        sample_add_bias(r->bias, r->n_bias, w.logits, VOCAB);
        if (r->penalties.repeat > 0) sample_penalize(&r->penalties, ids + n - last, last, w.ids, w.logits, VOCAB);
        ids[n++] = sample_token(&sp, w.logits, VOCAB, key, counter, &scratch, NULL);
        if (tok_is_end(w.tok, ids[n - 1])) break;
    }
    return n;
}

/* ---- texts ---- */

/* A text that begins as the others of its group do. */
struct written {
    struct text text;
    struct text_rules rules;
    int32_t ids[CTX], want[CTX];
    uint32_t n_prompt, n_want;
};

static struct written texts[N_WRITTEN];
static struct text *pointers[N_WRITTEN];

static void make_text(struct written *x, int i, bool in_parts) {
    static const uint32_t lengths[] = {1, 15, 16, 17, 30, 33, 48, 5, 2};
    *x = (struct written){.n_prompt = lengths[i], .rules = rules_at(i % N_RULES)};
    tiny_tokens(i % 3, VOCAB - 2, x->want, x->n_prompt);
    for (uint32_t k = 0; k < x->n_prompt; k++) x->want[k] += 2; /* no control token */
    uint32_t b = in_parts ? x->n_prompt - x->n_prompt / 4 : 0;  /* tokens in the trail */
    struct error e;
    memcpy(x->ids, x->want + b, (x->n_prompt - b) * sizeof *x->ids);
    struct trail before = {0};
    if (b) GOOD(trail_append(w.pool, &before, x->want, b, &e));
    x->text = (struct text){.rules = &x->rules,
                            .seq = engine_seq_new(w.bench.client),
                            .pool = w.pool,
                            .before = before,
                            .ids = x->ids,
                            .n_ids = x->n_prompt - b,
                            .cap_ids = CTX - b - 8 * (uint32_t)(i % 2),
                            .key = rng_fold(5, (uint64_t)i),
                            .temperature = i % 4 ? 1.2f : 0};
    x->n_want = naive(&x->rules, x->text.temperature, x->text.key, x->want, x->n_prompt, b + x->text.cap_ids);
}

static void same_text(const struct written *x, int i, const char *what) {
    const struct text *t = &x->text;
    uint32_t b = t->before.len;
    bool ended = tok_is_end(w.tok, x->want[x->n_want - 1]);
    if (text_length(t) != x->n_want)
        fail_msg("%s, text %d: %u tokens, expected %u", what, i, text_length(t), x->n_want);
    for (uint32_t k = 0; k < t->n_ids; k++)
        if (t->ids[k] != x->want[b + k])
            fail_msg("%s, text %d: token %u is %d, expected %d", what, i, b + k, t->ids[k], x->want[b + k]);
    assert_int_equal(t->end, ended ? TEXT_END_TOKEN : TEXT_FULL);
    assert_int_equal(t->n_drawn, x->n_want - x->n_prompt);
}

static void drop_text(struct text *t) {
    engine_drop(w.bench.client, &t->seq);
    trail_drop(w.pool, &t->before);
}

static void drop_texts(void) {
    for (int i = 0; i < N_WRITTEN; i++) drop_text(&texts[i].text);
    nothing_left();
}

/* Alone and in crowds of every size, with tokens of their own and shared ones. */
static void texts_are_those_of_the_naive_loop(void **state) {
    (void)state;
    struct error e;
    for (uint32_t crowd = 1; crowd <= N_WRITTEN; crowd += crowd == 1 ? 3 : 5)
        for (int in_parts = 0; in_parts < 2; in_parts++) {
            struct writer *writer;
            GOOD(writer_new(w.bench.client, crowd, 0, &writer, &e));
            for (int i = 0; i < N_WRITTEN; i++) {
                make_text(&texts[i], i, in_parts);
                pointers[i] = &texts[i].text;
            }
            GOOD(write_some(writer, pointers, N_WRITTEN, NULL, NULL, &e));
            for (int i = 0; i < N_WRITTEN; i++) same_text(&texts[i], i, in_parts ? "in parts" : "in one");
            writer_free(&writer);
            drop_texts();
        }
}

/* Guesses from the text and shared tokens, some texts with guesses and some without. */
static void guesses_change_nothing(void **state) {
    (void)state;
    struct speculate_params p = {.n_vocab = VOCAB, .draft_max = 6};
    struct writer *writer;
    struct error e;
    GOOD(writer_new(w.bench.client, 4, 6, &writer, &e));
    for (int i = 0; i < N_WRITTEN; i++) {
        make_text(&texts[i], i, i % 2);
        if (i % 3) GOOD(speculate_new(&p, &texts[i].text.speculator, &e));
        pointers[i] = &texts[i].text;
    }
    GOOD(write_some(writer, pointers, N_WRITTEN, NULL, NULL, &e));
    for (int i = 0; i < N_WRITTEN; i++) {
        same_text(&texts[i], i, "guessed");
        speculate_free(&texts[i].text.speculator);
    }
    writer_free(&writer);
    drop_texts();
}

/* In calls of 1, 2, 3 ... tokens, with all KV thrown away between two of them: what goes on is the same text. */
static void calls_do_not_matter(void **state) {
    (void)state;
    struct writer *writer;
    struct error e;
    GOOD(writer_new(w.bench.client, 1, 0, &writer, &e));
    for (int i = 0; i < N_WRITTEN; i++) {
        struct text *t = &texts[i].text;
        make_text(&texts[i], i, i % 2);
        t->max_tokens = 1;
        for (t->end = TEXT_MAX_TOKENS; t->end == TEXT_MAX_TOKENS; t->max_tokens++) {
            GOOD(write_some(writer, &t, 1, NULL, NULL, &e));
            if (t->end == TEXT_MAX_TOKENS) assert_int_equal(t->n_drawn, t->max_tokens);
            if (t->max_tokens != 3) continue;
            engine_drop(w.bench.client, &t->seq);
            t->seq = engine_seq_new(w.bench.client), t->n_read = 0;
        }
        t->n_drawn = text_length(t) - texts[i].n_prompt;
        same_text(&texts[i], i, "in calls");
    }
    writer_free(&writer);
    drop_texts();
}

/* ---- how texts end ---- */

struct seen {
    uint32_t n, until;
    double logprob;
    uint32_t cancel_at;
    bool cancelled;
    bool logits_missing;
    enum text_end last;
};

static bool look(void *arg, struct text *t, int32_t id, float logprob) {
    struct seen *s = arg;
    s->n++, s->logprob += logprob;
    s->logits_missing |= !t->logits || !isfinite(t->logits[id]);
    if (s->n == s->cancel_at) s->cancelled = true;
    s->last = t->end;
    return s->n == s->until;
}

static bool is_cancelled(void *arg) { return ((struct seen *)arg)->cancelled; }

static void callers_end_texts(void **state) {
    (void)state;
    struct writer *writer;
    struct error e;
    struct seen seen = {.until = 5};
    struct written *x = &texts[0];
    struct text *t = &x->text;
    GOOD(writer_new(w.bench.client, 1, 0, &writer, &e));
    make_text(x, 2, false);
    x->rules.on_token = look, t->arg = &seen;
    GOOD(write_some(writer, &t, 1, NULL, NULL, &e));
    assert_int_equal(t->end, TEXT_ENDED);
    assert_int_equal(t->n_drawn, 5);
    assert_int_equal(seen.n, 5);
    assert_true(seen.logprob < 0 && !seen.logits_missing);
    assert_memory_equal(t->ids, x->want, t->n_ids * sizeof *t->ids);
    struct write_limit limit = {is_cancelled, &seen};
    seen.until = 0, seen.cancel_at = 9;
    GOOD(write_some(writer, &t, 1, &limit, NULL, &e)); /* one pass a token: the next one is not begun */
    assert_int_equal(t->end, TEXT_CANCELLED);
    assert_int_equal(seen.n, 9);
    engine_set_limits(w.bench.client, 1, NULL); /* a deadline of the client, long ago */
    GOOD(write_some(writer, &t, 1, NULL, NULL, &e));
    engine_set_limits(w.bench.client, 0, NULL);
    assert_int_equal(t->end, TEXT_CANCELLED);
    assert_int_equal(t->n_drawn, 0);
    GOOD(write_some(writer, &t, 1, NULL, NULL, &e));
    t->n_drawn = t->n_ids - x->n_prompt;
    same_text(x, 0, "after all");
    assert_true(tok_is_end(w.tok, t->ids[t->n_ids - 1]) ? seen.last == TEXT_END_TOKEN : seen.last == TEXT_GOES_ON);
    drop_text(t);
    writer_free(&writer);
    nothing_left();
}

static void append(void *arg, const char *text, size_t size) { strncat(arg, text, size); }

/* Ids are bytes and two more here, so the naive text shows what a stop string has to cut. */
static void stop_strings_end_texts(void **state) {
    (void)state;
    struct writer *writer;
    struct error e;
    struct written *x = &texts[0];
    struct text *t = &x->text;
    char stop[3] = "", shown[CTX] = "", want[CTX] = "";
    const char *stops[] = {stop};
    GOOD(writer_new(w.bench.client, 1, 4, &writer, &e));
    for (int guessing = 0; guessing < 2; guessing++) {
        struct speculate_params p = {.n_vocab = VOCAB, .draft_max = 4};
        uint32_t at;
        make_text(x, 5, false); /* greedy draws are not among these: the text is long enough */
        for (at = x->n_prompt + 6; at + 2 < x->n_want; at++)
            if (x->want[at] > 34 && x->want[at + 1] > 34) break; /* two printable bytes */
        if (at + 2 >= x->n_want) at = x->n_prompt + 6;
        stop[0] = (char)(x->want[at] - VOCAB_BYTES), stop[1] = (char)(x->want[at + 1] - VOCAB_BYTES);
        assert_true(stop[0] && stop[1]);
        struct stream stream = {.write = append, .arg = shown, .stops = stops, .n_stops = 1};
        if (guessing) GOOD(speculate_new(&p, &t->speculator, &e));
        *shown = *want = 0;
        t->stream = &stream;
        GOOD(write_some(writer, &t, 1, NULL, NULL, &e));
        stream_end(&stream);
        assert_int_equal(t->end, TEXT_STOP_STRING);
        assert_true(t->n_ids <= at + 2);
        size_t size = 0;
        for (uint32_t i = x->n_prompt; i < t->n_ids; i++) /* NUL bytes do not show */
            if (x->want[i] > VOCAB_BYTES) want[size++] = (char)(x->want[i] - VOCAB_BYTES);
        want[size - 2] = 0;
        assert_string_equal(shown, want);
        speculate_free(&t->speculator);
        drop_text(t);
    }
    writer_free(&writer);
    nothing_left();
}

/* Only the tokens 20 and 21, in turn. */
static enum status mask_turns(void *state, float *logits, uint32_t n_vocab, struct error *e) {
    (void)e;
    for (uint32_t i = 0; i < n_vocab; i++)
        if (i != 20 + *(const uint32_t *)state) logits[i] = -INFINITY;
    return OK;
}
static enum status turn(void *state, int32_t id, struct error *e) {
    (void)e;
    assert_int_equal(id, 20 + *(uint32_t *)state);
    *(uint32_t *)state ^= 1;
    return OK;
}

static void constraints_hold(void **state) {
    (void)state;
    static const struct text_constraint turns = {.mask = mask_turns, .advance = turn};
    struct speculate_params p = {.n_vocab = VOCAB, .draft_max = 4};
    struct writer *writer;
    struct error e;
    struct written *x = &texts[0];
    struct text *t = &x->text;
    GOOD(writer_new(w.bench.client, 1, 4, &writer, &e));
    for (int guessing = 0; guessing < 2; guessing++) {
        uint32_t which = 0;
        make_text(x, 3, false);
        x->rules.constraint = &turns, t->state = &which;
        if (guessing) GOOD(speculate_new(&p, &t->speculator, &e));
        GOOD(write_some(writer, &t, 1, NULL, NULL, &e));
        assert_int_equal(t->end, TEXT_FULL);
        for (uint32_t i = x->n_prompt; i < t->n_ids; i++) assert_int_equal(t->ids[i], 20 + (i - x->n_prompt) % 2);
        if (guessing) assert_true(speculate_stats(t->speculator).accepted > 20);
        speculate_free(&t->speculator);
        drop_text(t);
    }
    writer_free(&writer);
    nothing_left();
}

/* ---- putting and cutting ---- */

static bool put_once(void *arg, struct text *t, int32_t id, float logprob) {
    (void)id, (void)logprob;
    struct seen *s = arg;
    struct error e;
    if (++s->n == s->until) GOOD(text_put(t, (const int32_t[]){11, 12, 13}, 3, &e));
    return false;
}

/* Tokens that are put into a text are read like drawn ones, and cost no random number. */
static void put_and_cut(void **state) {
    (void)state;
    struct speculate_params p = {.n_vocab = VOCAB, .draft_max = 4};
    struct writer *writer;
    struct error e;
    struct written *x = &texts[0];
    struct text *t = &x->text;
    GOOD(writer_new(w.bench.client, 1, 4, &writer, &e));
    for (int guessing = 0; guessing < 2; guessing++) {
        struct seen seen = {.until = 6};
        int32_t want[CTX];
        make_text(x, 5, false);
        x->rules.on_token = put_once, t->arg = &seen;
        if (guessing) GOOD(speculate_new(&p, &t->speculator, &e));
        GOOD(write_some(writer, &t, 1, NULL, NULL, &e));
        uint32_t at = x->n_prompt + 6;
        assert_memory_equal(t->ids, x->want, at * sizeof *t->ids);
        assert_int_equal(t->ids[at], 11), assert_int_equal(t->ids[at + 2], 13);
        memcpy(want, t->ids, sizeof want);
        uint32_t n = t->n_ids;
        /* Cut back behind what was put, and on from there with the same draws: the same text. */
        text_cut(writer, t, at + 3);
        assert_true(engine_len(w.bench.client, t->seq) <= at + 3);
        t->counter = 6;
        GOOD(write_some(writer, &t, 1, NULL, NULL, &e));
        assert_int_equal(t->n_ids, n);
        assert_memory_equal(t->ids, want, n * sizeof *want);
        speculate_free(&t->speculator);
        drop_text(t);
    }
    writer_free(&writer);
    nothing_left();
}

/* A prompt that takes several passes: the other text is not kept waiting, and neither is changed. */
static void long_prompts_are_read_in_pieces(void **state) {
    (void)state;
    enum { LONG = 1300 };
    static int32_t ids[LONG + 4], want[LONG + 4];
    struct written *x = &texts[1];
    struct text_rules rules = rules_at(0);
    struct text long_one = {.rules = &rules,
                            .seq = engine_seq_new(w.bench.client),
                            .ids = ids,
                            .n_ids = LONG,
                            .cap_ids = LONG + 3,
                            .key = 1,
                            .temperature = 1};
    struct text *both[2] = {&long_one, &x->text};
    struct writer *writer;
    struct error e;
    volatile int cancel = 1;
    GOOD(writer_new(w.bench.client, 2, 0, &writer, &e));
    make_text(x, 5, false);
    tiny_tokens(3, VOCAB, ids, LONG);
    memcpy(want, ids, sizeof want);
    uint32_t n_want = naive(&rules, 1, 1, want, LONG, LONG + 3);
    text_begin(both[0]), text_begin(both[1]);
    GOOD(write_pass(writer, both, 2, NULL, &e));
    assert_true(long_one.n_read > 0 && long_one.n_read < LONG && long_one.n_drawn == 0);
    assert_int_equal(x->text.n_drawn, 1);
    engine_set_limits(w.bench.client, 0, &cancel);
    GOOD(write_some(writer, both, 2, NULL, NULL, &e)); /* in the middle of the prompt */
    engine_set_limits(w.bench.client, 0, NULL);
    assert_int_equal(long_one.end, TEXT_CANCELLED);
    GOOD(write_some(writer, both, 2, NULL, NULL, &e));
    assert_int_equal(long_one.n_ids, n_want);
    assert_memory_equal(ids, want, n_want * sizeof *ids);
    uint64_t flops = 0;
    for (uint32_t at = 0; at < long_one.n_read; at++) flops += model_flops(w.model, at, at >= LONG - 1);
    assert_int_equal(long_one.n_flops, flops);
    x->text.n_drawn = x->text.n_ids - x->n_prompt;
    same_text(x, 1, "beside a long prompt");
    engine_drop(w.bench.client, &long_one.seq), drop_text(&x->text);
    writer_free(&writer);
    nothing_left();
}

/* ---- failures ---- */

/* No KV pages: the error comes, the text stays as it was and goes on when there is room. */
static void full_memory_loses_nothing(void **state) {
    (void)state;
    struct error e;
    struct writer *writer;
    static int32_t ballast[1400];
    uint32_t hogs[8], n_hogs = 0;
    struct written *x = &texts[0];
    struct text *t = &x->text;
    GOOD(writer_new(w.bench.client, 1, 0, &writer, &e));
    make_text(x, 5, false);
    for (uint32_t left = engine_pages_free(w.bench.engine) - 3, n; left; left -= n) { /* three pages are left */
        n = left < 80 ? left : 80;
        run_tokens(&w.bench, hogs[n_hogs++] = engine_seq_new(w.bench.client), ballast, n * KV_PAGE, NULL);
    }
    assert_int_equal(write_some(writer, &t, 1, NULL, NULL, &e), ERR_FULL);
    assert_int_equal(t->end, TEXT_GOES_ON);
    assert_int_equal(t->n_read, 3 * KV_PAGE);
    while (n_hogs) engine_drop(w.bench.client, &hogs[--n_hogs]);
    GOOD(write_some(writer, &t, 1, NULL, NULL, &e));
    t->n_drawn = text_length(t) - x->n_prompt;
    same_text(x, 5, "after full memory");
    drop_text(t);
    writer_free(&writer);
    nothing_left();
}

static void failing_memory(void **state) {
    (void)state;
    struct writer *writer = NULL;
    struct error e;
    uint32_t n_failed = 0;
    for (size_t n = 1; !writer; n++) {
        mem_fail_at(n, true);
        enum status s = writer_new(w.bench.client, 3, 2, &writer, &e);
        mem_fail_at(0, false);
        assert_int_equal(s, writer ? OK : ERR_MEMORY);
        n_failed += !writer;
    }
    assert_true(n_failed >= 7);
    make_text(&texts[0], 3, true);
    struct text *t = &texts[0].text;
    for (size_t n = 1;; n++) { /* each failure leaves a text that goes on */
        mem_fail_at(n, true);
        enum status s = write_some(writer, &t, 1, NULL, NULL, &e);
        mem_fail_at(0, false);
        if (!s) break;
        assert_int_equal(s, ERR_MEMORY);
        assert_int_equal(t->end, TEXT_GOES_ON);
    }
    t->n_drawn = text_length(t) - texts[0].n_prompt;
    same_text(&texts[0], 3, "after failures");
    drop_text(t);
    writer_free(&writer);
    nothing_left();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_are_those_of_the_naive_loop),
        cmocka_unit_test(guesses_change_nothing),
        cmocka_unit_test(calls_do_not_matter),
        cmocka_unit_test(callers_end_texts),
        cmocka_unit_test(stop_strings_end_texts),
        cmocka_unit_test(constraints_hold),
        cmocka_unit_test(put_and_cut),
        cmocka_unit_test(long_prompts_are_read_in_pieces),
        cmocka_unit_test(full_memory_loses_nothing),
        cmocka_unit_test(failing_memory),
    };
    return cmocka_run_group_tests(tests, open_world, close_world);
}
