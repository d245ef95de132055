/* test_kv_window.c: pages whose window part is given back when no sequence sees it any more: what is kept, what it
 * counts for, and that no bit of any output depends on it.
 * Not pages of models without windows: test_kv.c, test_prefix.c.
 * Next: model/kv_pages.c. */
#include "tests/arch_model.h"
#include "tests/engine_check.h"

enum { P = KV_PAGE, WINDOW = 21, N_SEQS = 7, MAX_TOKENS = 400, CAP = MAX_TOKENS / P, LAYERS = 4 };

/* Layers 0 and 2 have the window: twice 1 of 4 layers sees all. */
static const uint64_t local[] = {1 | 4};
static const struct kv_shape shape = {
    .n_layer = LAYERS, .n_head_kv = 1, .head_dim = 8, .type = KV_F32, .window = WINDOW, .local = local};

/* ---- the cache alone, against sequences that own their tokens ---- */

struct branch {
    bool live;
    uint32_t len, seen0; /* entries from seen0 on count */
    int32_t tokens[MAX_TOKENS];
};

struct world {
    struct kv *kv;
    struct kv_holder *holder;
    struct branch b[N_SEQS + 1];
    uint64_t key, counter;
    uint32_t n_lost, n_cut, n_refused, n_hit;
};

static uint32_t roll(struct world *w, uint32_t n) { return rng_below(w->key, w->counter++, n); }
static uint32_t pages_of(uint32_t n) { return (n + P - 1) / P; }

/* The first entry that holds one of the newest `reach` positions, the next token's included. */
static uint32_t first_of(uint32_t len, uint32_t reach) { return len + 1 > reach ? (len + 1 - reach) / P : 0; }

/* A number that depends on all tokens up to this one. */
static float value_of(const int32_t *tokens, uint32_t pos, uint32_t layer) {
    uint64_t h = layer + 1;
    for (uint32_t i = 0; i <= pos; i++) h = rng_fold(h, (uint64_t)tokens[i]);
    return (float)(h >> 44);
}

static float *cell(const struct world *w, uint32_t seq, uint32_t pos, uint32_t layer) {
    return (float *)(void *)kv_k(w->kv, kv_table(w->kv, seq)[pos / P], layer, 0) + pos % P;
}

static void check_sequence(const struct world *w, uint32_t seq) {
    const struct branch *b = &w->b[seq];
    assert_int_equal(kv_len(w->kv, seq), b->len);
    for (uint32_t layer = 0; layer < LAYERS; layer++) {
        uint32_t from = local[0] >> layer & 1 ? first_of(b->len, WINDOW) * P : 0;
        for (uint32_t pos = from + (b->len - from > 40 ? roll((struct world *)w, 5) : 0); pos < b->len; pos += 5) {
            float got = *cell(w, seq, pos, layer), want = value_of(b->tokens, pos, layer);
            if (got != want)
                fail_msg("sequence %u of %u tokens, layer %u, position %u: %g, want %g", seq, b->len, layer, pos,
                         (double)got, (double)want);
        }
    }
}

/* Room by the definition: two of four layers of every page that is named, two of every one that is seen. */
static void check_world(struct world *w) {
    bool named[512] = {0}, seen[512] = {0};
    uint64_t room = 0;
    struct error e;
    if (!kv_check(w->kv, &e)) fail_msg("%s", e.text);
    for (uint32_t s = 1; s <= N_SEQS; s++) {
        if (!w->b[s].live) continue;
        check_sequence(w, s);
        for (uint32_t i = 0; i < pages_of(w->b[s].len); i++) {
            uint32_t page = kv_table(w->kv, s)[i];
            assert_true(page < 512);
            named[page] = true;
            if (i >= w->b[s].seen0) seen[page] = true;
        }
    }
    for (int i = 0; i < 512; i++) room += 2 * named[i] + 2 * seen[i];
    assert_int_equal(kv_held(w->holder), room);
    assert_int_equal(kv_pages_free(w->kv), (kv_room(w->kv) - room) / LAYERS);
}

static void do_new(struct world *w) {
    uint32_t seq = kv_seq_new(w->kv, w->holder), n = 1 + roll(w, MAX_TOKENS);
    if (!seq) return;
    struct branch *b = &w->b[seq];
    *b = (struct branch){.live = true};
    for (uint32_t i = 0; i < MAX_TOKENS; i++) b->tokens[i] = i % (3 * P) ? b->tokens[i - 1] : (int32_t)roll(w, 2);
    uint32_t known = kv_prefix_length(w->kv, b->tokens, n);
    assert_int_equal(kv_prefix_lookup(w->kv, seq, b->tokens, n), known);
    assert_true(known < n && known % P == 0);
    b->len = known, b->seen0 = first_of(known, WINDOW), w->n_hit += known > 0;
}

static void do_append(struct world *w, uint32_t seq) {
    struct branch *b = &w->b[seq];
    uint32_t n = roll(w, 60);
    if (n > MAX_TOKENS - b->len) n = MAX_TOKENS - b->len;
    struct kv_need need = {seq, n};
    uint64_t free = kv_room(w->kv) - kv_held(w->holder), want = kv_room_needed(w->kv, &need, 1, UINT32_MAX);
    struct error e;
    enum status s = kv_reserve(w->kv, &need, 1, &e);
    if (s != (want > free ? ERR_FULL : OK))
        fail_msg("%u tokens after %u: %s; %llu of %llu", n, b->len, e.text, (unsigned long long)want,
                 (unsigned long long)free);
    w->n_refused += s != OK;
    if (s) return;
    for (uint32_t i = 0; i < n; i++, b->len++)
        for (uint32_t l = 0; l < LAYERS; l++) *cell(w, seq, b->len, l) = value_of(b->tokens, b->len, l);
    const uint64_t held = kv_held(w->holder), less = kv_advance(w->kv, seq, n);
    assert_int_equal(held - kv_held(w->holder), less);
    uint32_t kept = first_of(b->len, WINDOW + KV_SLACK);
    if (kept > b->seen0) b->seen0 = kept;
}

static void do_cut(struct world *w, uint32_t seq) {
    struct branch *b = &w->b[seq];
    uint32_t len = roll(w, 3) ? b->len - roll(w, b->len < KV_SLACK ? b->len + 1 : KV_SLACK + 1) : roll(w, b->len + 1);
    uint32_t got = kv_truncate(w->kv, seq, len);
    if (got != len && got) fail_msg("cut to %u tokens, got %u", len, got);
    if (got != len && first_of(len, WINDOW) >= b->seen0) fail_msg("cut to %u tokens, all lost", len);
    w->n_lost += got != len, w->n_cut += got == len;
    b->len = got;
    if (first_of(got, WINDOW) < b->seen0) b->seen0 = first_of(got, WINDOW);
}

static void random_step(struct world *w) {
    uint32_t seq = 1 + roll(w, N_SEQS), what = roll(w, 100), child;
    struct branch *b = &w->b[seq];
    if (!b->live) do_new(w);
    else if (what < 50) do_append(w, seq);
    else if (what < 65) do_cut(w, seq);
    else if (what < 80) {
        if ((child = kv_fork(w->kv, seq))) w->b[child] = *b;
    } else if (what < 88) kv_prefix_insert(w->kv, seq, b->tokens, b->len);
    else b->live = false, kv_drop(w->kv, &seq);
    check_world(w);
}

static void only_what_a_window_reaches_is_kept(void **state) {
    (void)state;
    static const uint32_t pool[] = {6, 16, 30, 200};
    static struct world w;
    uint32_t lost = 0, cut = 0, refused = 0, hit = 0;
    for (size_t k = 0; k < COUNT(pool); k++) {
        struct error e;
        memset(&w, 0, sizeof w);
        w.key = rng_fold(77, k);
        GOOD(kv_new(shape, pool[k], N_SEQS, MAX_TOKENS, &w.kv, &e));
        assert_non_null(w.holder = kv_holder_new(w.kv));
        for (int i = 0; i < 1500; i++) random_step(&w);
        if (pool[k] == 200) assert_int_equal(w.n_lost, 0); /* what nobody needs the room of is kept */
        lost += w.n_lost, cut += w.n_cut, refused += w.n_refused, hit += w.n_hit;
        kv_free(&w.kv);
    }
    print_message("%u cuts, %u lost; %u refused; %u begun with remembered pages\n", cut, lost, refused, hit);
    assert_true(lost > 10 && cut > 300 && refused > 100 && hit > 100); /* else the walk did not go where it should */
}

/* ---- engines ---- */

enum { TEXT = 250, N_LIVE_TEXTS = 2, LIVE_BRANCHES = 4 };

struct long_texts {
    uint32_t n_out;
    int32_t tokens[N_LIVE_TEXTS][TEXT];
    float *want[N_LIVE_TEXTS]; /* [TEXT, n_out], read in one piece */
};

/* Two texts that part in their middle. */
static struct long_texts long_texts_of(struct model *m) {
    struct long_texts x = {.n_out = m->head.rows};
    for (int i = 0; i < N_LIVE_TEXTS; i++) {
        tiny_tokens(5, m->config.n_vocab, x.tokens[i], TEXT);
        for (uint32_t k = TEXT / 2; k < TEXT; k++)
            x.tokens[i][k] = (int32_t)rng_below(rng_fold(6, (uint64_t)i), k, m->config.n_vocab);
        x.want[i] = malloc(TEXT * x.n_out * sizeof(float));
        struct bench b =
            bench_open(m, 1, (struct engine_params){.n_pages = 40, .n_seqs = 1, .max_tokens = 256, .max_rows = 256});
        run_tokens(&b, engine_seq_new(b.client), x.tokens[i], TEXT, x.want[i]);
        bench_close(&b);
    }
    return x;
}

/* Tokens [at, at + n) of a text; false when there was no room. */
static bool read_on(struct bench *b, const struct long_texts *x, struct live *l, uint32_t n, float *out) {
    struct error e;
    struct span s = {l->seq, n, n, x->tokens[l->text] + l->at, out};
    enum status st = engine_run(b->client, &s, 1, NULL, &e);
    if (st == ERR_FULL) return false;
    GOOD(st);
    same_floats(out, x->want[l->text] + l->at * x->n_out, n * x->n_out, "text %u from %u", l->text, l->at);
    l->at += n;
    return true;
}

static void begin(struct bench *b, const struct long_texts *x, struct live *l, uint32_t text) {
    *l = (struct live){engine_seq_new(b->client), text, 0};
    l->at = engine_prefix_lookup(b->client, l->seq, x->tokens[text], TEXT);
}

/* Branches on two texts that read on, are cut, fork and begin again; where there is no room another one goes. */
static void random_reading(struct bench *b, const struct long_texts *x, uint64_t key, int rounds) {
    struct live live[LIVE_BRANCHES];
    struct error e;
    float *out = malloc(TEXT * x->n_out * sizeof *out);
    for (uint32_t i = 0; i < LIVE_BRANCHES; i++) begin(b, x, &live[i], i % N_LIVE_TEXTS);
    for (int r = 0; r < rounds; r++) {
        uint32_t i = rng_below(key, 10 * (uint64_t)r, LIVE_BRANCHES),
                 k = rng_below(key, 10 * (uint64_t)r + 1, LIVE_BRANCHES);
        uint32_t what = rng_below(key, 10 * (uint64_t)r + 2, 10), n = 1 + rng_below(key, 10 * (uint64_t)r + 3, 90);
        struct live *l = &live[i];
        if (what < 6 && l->at < TEXT) {
            if (n > TEXT - l->at) n = TEXT - l->at;
            for (uint32_t j = i + 1; !read_on(b, x, l, n, out); j++) {
                assert_true(j < i + LIVE_BRANCHES); /* alone there is always room */
                engine_drop(b->client, &live[j % LIVE_BRANCHES].seq);
                begin(b, x, &live[j % LIVE_BRANCHES], live[j % LIVE_BRANCHES].text);
                engine_truncate(b->client, live[j % LIVE_BRANCHES].seq, live[j % LIVE_BRANCHES].at = 0);
            }
            engine_prefix_insert(b->client, l->seq, x->tokens[l->text], l->at);
        } else if (what == 6) {
            l->at = engine_truncate(b->client, l->seq, l->at - n % (l->at + 1));
        } else if (what == 7 && k != i) {
            engine_drop(b->client, &l->seq);
            *l = live[k], l->seq = engine_fork(b->client, live[k].seq);
        } else if (what > 7) {
            engine_drop(b->client, &l->seq);
            begin(b, x, l, n % N_LIVE_TEXTS);
        }
        if (!engine_check(b->engine, &e)) fail_msg("%s", e.text);
    }
    for (uint32_t i = 0; i < LIVE_BRANCHES; i++) engine_drop(b->client, &live[i].seq);
    free(out);
}

static struct model *arch_model_named(const char *name) {
    const char *path = tiny_path("window.gguf");
    arch_write(name, NULL, NULL, path);
    return tiny_open(path);
}

static void no_bit_depends_on_what_was_given_back(void **state) {
    (void)state;
    static const char *const names[] = {"gemma2", "gemma3", "olmo2"}; /* windows of 5, 20 and 18 tokens */
    for (size_t i = 0; i < COUNT(names); i++) {
        struct model *m = arch_model_named(names[i]);
        struct long_texts x = long_texts_of(m);
        for (int small = 0; small < 2; small++) {
            struct engine_params p = {.n_seqs = LIVE_BRANCHES, .max_tokens = 256, .max_rows = 32};
            p.n_pages = small ? kv_shape_pages(engine_kv_shape(&m->config, KV_I16), TEXT, p.max_rows) + 3 : 64;
            struct bench b = bench_open(m, 1 + small, p);
            random_reading(&b, &x, 40 + i, 80);
            bench_close(&b);
        }
        for (int k = 0; k < N_LIVE_TEXTS; k++) free(x.want[k]);
        model_close(&m);
    }
}

/* A long text takes what was announced, and with the whole window's pages it would not fit. */
static void a_long_text_takes_what_was_announced(void **state) {
    (void)state;
    struct model *m = arch_model_named("gemma3");
    struct long_texts x = long_texts_of(m);
    struct engine_params p = {.n_seqs = 2, .max_tokens = 256, .max_rows = 16};
    const struct kv_shape s = engine_kv_shape(&m->config, KV_I16);
    p.n_pages = kv_shape_pages(s, TEXT, p.max_rows);
    assert_true(p.n_pages < pages_of(TEXT));
    struct bench b = bench_open(m, 1, p);
    assert_int_equal(engine_pages_for(b.engine, TEXT), p.n_pages);
    struct live l = {engine_seq_new(b.client), 0, 0};
    float *out = malloc(TEXT * x.n_out * sizeof *out);
    assert_true(read_on(&b, &x, &l, TEXT, out)); /* in 16 passes, by one promise */
    uint64_t peak = engine_kv_bytes_peak(b.engine);
    print_message("%u tokens: %u of %u pages, peak %u of %u bytes\n", TEXT, p.n_pages, pages_of(TEXT), (unsigned)peak,
                  (unsigned)(p.n_pages * kv_shape_bytes(s)));
    assert_true(peak <= p.n_pages * kv_shape_bytes(s));
    uint32_t other = engine_seq_new(b.client);
    struct span too_much = {other, TEXT, 0, x.tokens[1], NULL};
    struct error e;
    assert_int_equal(engine_run(b.client, &too_much, 1, NULL, &e), ERR_FULL);
    assert_int_equal(engine_len(b.client, other), 0);
    free(out);
    for (int k = 0; k < N_LIVE_TEXTS; k++) free(x.want[k]);
    bench_close(&b), model_close(&m);
}

/* Going back may want room for what windows see there.  Where the cut gives as much, it goes back; where a fork keeps
 * what is cut off and all other room is promised, it may not, and begins again. */
static void going_back_takes_no_room_of_others(void **state) {
    (void)state;
    struct model *m = arch_model_named("gemma3");
    struct long_texts x = long_texts_of(m);
    for (int forked = 0; forked < 2; forked++) {
        struct engine_params p = {.n_pages = 40, .n_seqs = 4, .max_tokens = 256, .max_rows = 16};
        struct bench b = bench_open(m, 1, p);
        struct live l = {engine_seq_new(b.client), 0, 0};
        struct client *other;
        struct error e;
        float *out = malloc(TEXT * x.n_out * sizeof *out);
        assert_true(read_on(&b, &x, &l, TEXT, out));
        uint32_t fork = forked ? engine_fork(b.client, l.seq) : 0;
        struct client_params wants = {.min_pages = engine_pages_free(b.engine)};
        GOOD(engine_client_new(b.engine, &wants, &other, &e));
        l.at = engine_truncate(b.client, l.seq, TEXT / 2);
        assert_int_equal(l.at, forked ? 0 : TEXT / 2);
        struct span all = {engine_seq_new(other), wants.min_pages * P - P, 0, x.tokens[1], NULL};
        if (all.n_tokens > TEXT) all.n_tokens = TEXT;
        GOOD(engine_run(other, &all, 1, NULL, &e)); /* what was promised is there */
        if (!engine_check(b.engine, &e)) fail_msg("%s", e.text);
        engine_client_free(&other);
        assert_true(read_on(&b, &x, &l, TEXT - l.at, out));
        if (fork) engine_drop(b.client, &fork);
        free(out), bench_close(&b);
    }
    for (int k = 0; k < N_LIVE_TEXTS; k++) free(x.want[k]);
    model_close(&m);
}

/* Room that windows give back in the middle of a text stays with it: another client that takes what it can get must not
 * come between two of its passes. */
struct taker {
    struct bench *bench;
    const struct long_texts *x;
    volatile int stop, n_taken;
};

static void *take_what_is_there(void *arg) {
    struct taker *t = arg;
    struct client *c;
    struct error e;
    enum { MANY = 32 };
    const size_t n_floats = MANY * t->x->n_out;
    float *out = malloc(2 * n_floats * sizeof *out);
    if (engine_client_new(t->bench->engine, NULL, &c, &e)) return arg;
    uint32_t seqs[2] = {engine_seq_new(c), engine_seq_new(c)};
    bool good = true;
    while (!t->stop && good) { /* a call for two sequences does not wait: it asks again and again */
        struct span s[2] = {{seqs[0], MANY, MANY, t->x->tokens[1], out},
                            {seqs[1], MANY, MANY, t->x->tokens[1], out + n_floats}};
        enum status st = engine_run(c, s, 2, NULL, &e);
        if (st == OK) good = !memcmp(out, t->x->want[1], n_floats * sizeof *out), t->n_taken++;
        engine_truncate(c, seqs[0], 0), engine_truncate(c, seqs[1], 0);
    }
    engine_client_free(&c);
    free(out);
    return good ? NULL : arg;
}

static void room_that_comes_back_is_kept_for_the_text(void **state) {
    (void)state;
    struct model *m = arch_model_named("gemma3");
    struct long_texts x = long_texts_of(m);
    struct engine_params p = {.n_seqs = 3, .max_tokens = 256, .max_rows = 16};
    p.n_pages = kv_shape_pages(engine_kv_shape(&m->config, KV_I16), TEXT, p.max_rows) + 2;
    struct bench b = bench_open(m, 1, p);
    struct taker t = {.bench = &b, .x = &x};
    struct live l = {engine_seq_new(b.client), 0, 0};
    struct error e;
    float *out = malloc(TEXT * x.n_out * sizeof *out);
    pthread_t thread;
    void *failed;
    assert_int_equal(pthread_create(&thread, NULL, take_what_is_there, &t), 0);
    for (int round = 0, n = 0; round < 40 && n < 6; round++) {
        n += read_on(&b, &x, &l, TEXT, out);
        l.at = engine_truncate(b.client, l.seq, 0);
        if (!engine_check(b.engine, &e)) fail_msg("%s", e.text);
    }
    t.stop = 1;
    pthread_join(thread, &failed);
    assert_null(failed);
    print_message("%d other texts were read meanwhile\n", t.n_taken);
    free(out);
    for (int k = 0; k < N_LIVE_TEXTS; k++) free(x.want[k]);
    bench_close(&b), model_close(&m);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(going_back_takes_no_room_of_others),
        cmocka_unit_test(room_that_comes_back_is_kept_for_the_text),
        cmocka_unit_test(only_what_a_window_reaches_is_kept),
        cmocka_unit_test(no_bit_depends_on_what_was_given_back),
        cmocka_unit_test(a_long_text_takes_what_was_announced),
    };
    return cmocka_run_group_tests(tests, NULL, tiny_cleanup);
}
