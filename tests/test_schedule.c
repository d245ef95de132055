/* test_schedule.c: clients of one engine: who is admitted, who gets pages, who waits and who gives up; and a crowd with
 * hardly any pages, whose outputs are the known bits.
 * Not the numbers of a pass: test_engine.c.  Not how long anything takes: ponder bench mix.
 * Next: test_engine_limits.c. */
#include "tests/engine_check.h"

#include <unistd.h>

#include "base/clock.h"

enum { N_PAGES = 10, P = KV_PAGE };

static struct world {
    struct net *net;
    struct model *model;
    struct bench b;
    struct texts x;
} w;

static void open_world(uint32_t n_pages, uint32_t max_rows) {
    struct model_config c = wide_shape();
    w.net = tiny_net(&c, NET_LM, 3);
    w.model = tiny_model(w.net, TYPE_F32);
    w.x = texts_of(w.model, 3);
    struct engine_params p = {.n_pages = n_pages, .n_seqs = 40, .max_tokens = 128, .max_rows = max_rows};
    w.b = bench_open(w.model, 2, p);
}

static void close_world(void) {
    struct error e;
    assert_int_equal(engine_kv_stats(w.b.engine).pages_used, 0);
    if (!engine_check(w.b.engine, &e)) fail_msg("%s", e.text);
    bench_close(&w.b), texts_free(&w.x), model_close(&w.model), net_free(&w.net);
}

static struct client *client_of(struct client_params p) {
    struct client *c;
    struct error e;
    GOOD(engine_client_new(w.b.engine, &p, &c, &e));
    return c;
}

static const int32_t any[128]; /* tokens */

/* n more tokens on one sequence. */
static enum status append(struct client *c, uint32_t seq, uint32_t n) {
    struct span s = {seq, n, 0, any, NULL};
    struct error e;
    return engine_run(c, &s, 1, NULL, &e);
}

static enum status append_two(struct client *c, uint32_t a, uint32_t b, uint32_t n) {
    struct span s[] = {{a, n, 0, any, NULL}, {b, n, 0, any, NULL}};
    struct error e;
    return engine_run(c, s, 2, NULL, &e);
}

/* ---- a call on another thread ---- */

struct call {
    pthread_t thread;
    void (*run)(struct call *c);
    struct client_params params;
    struct client *client;
    uint32_t seq, n;
    enum status status;
    struct reading reading;
    _Atomic int done;
};

static void *call_main(void *arg) {
    struct call *c = arg;
    c->run(c);
    c->done = 1;
    return NULL;
}
static void call_start(struct call *c) { assert_int_equal(pthread_create(&c->thread, NULL, call_main, c), 0); }
static void call_join(struct call *c) { pthread_join(c->thread, NULL); }

static void run_apply(struct call *c) {
    struct error e;
    c->status = engine_client_new(w.b.engine, &c->params, &c->client, &e);
}
static void run_append(struct call *c) { c->status = append(c->client, c->seq, c->n); }

/* Long enough for a call that would not wait; a slow machine can only miss a fault here, not see one. */
static void rest(void) { usleep(30000); }

/* ---- admission ---- */

static void admission_keeps_the_sum_of_promises(void **state) {
    (void)state;
    open_world(N_PAGES, 48);
    struct client *a = client_of((struct client_params){.min_pages = 6});
    struct call b = {.run = run_apply, .params = {.min_pages = 6}}, c = {.run = run_apply, .params = {.min_pages = 2}};
    call_start(&b), rest();
    call_start(&c), rest();
    assert_false(b.done || c.done); /* c would fit, but comes after b */
    engine_client_free(&a);
    call_join(&b), call_join(&c);
    assert_true(b.status == OK && c.status == OK);
    struct call d = {.run = run_apply, .params = {.min_pages = 1000}}; /* counts as all of them */
    struct call f = {.run = run_apply, .params = {.min_pages = 3, .priority = 1}};
    call_start(&d), rest();
    call_start(&f), rest();
    engine_client_free(&b.client);
    call_join(&f); /* before d: its priority is higher */
    assert_int_equal(f.status, OK);
    assert_false(d.done);
    engine_client_free(&c.client), engine_client_free(&f.client);
    call_join(&d);
    assert_int_equal(d.status, OK);
    engine_client_free(&d.client);
    close_world();
}

/* Who is admitted already does not grow into what the next one needs, though the pages are free just now. */
static void nobody_grows_into_what_the_next_one_needs(void **state) {
    (void)state;
    open_world(8, 48);
    struct client *a = client_of((struct client_params){0});
    uint32_t s = engine_seq_new(a), t = engine_seq_new(a);
    assert_int_equal(append(a, s, 3 * P), OK);
    struct call b = {.run = run_apply, .params = {.min_pages = 6}};
    call_start(&b), rest();
    assert_false(b.done);
    assert_int_equal(append_two(a, s, t, 1), ERR_FULL); /* for several sequences nobody waits */
    engine_drop(a, &s);
    call_join(&b);
    assert_int_equal(b.status, OK);
    assert_int_equal(append(a, t, 1), OK); /* what is left */
    engine_client_free(&a), engine_client_free(&b.client);
    close_world();
}

static void waiting_obeys_cancel_and_deadline(void **state) {
    (void)state;
    open_world(N_PAGES, 48);
    static volatile int cancel;
    cancel = 0;
    struct client *a = client_of((struct client_params){.min_pages = N_PAGES});
    struct call b = {.run = run_apply, .params = {.min_pages = 1, .cancel = &cancel}};
    struct call c = {.run = run_apply, .params = {.min_pages = 1, .deadline_ns = clock_ns() + 20000000}};
    call_start(&b), call_start(&c);
    call_join(&c);
    assert_int_equal(c.status, ERR_CANCELLED);
    assert_null(c.client);
    __atomic_store_n(&cancel, 1, __ATOMIC_RELAXED);
    call_join(&b);
    assert_int_equal(b.status, ERR_CANCELLED);
    engine_client_free(&a);
    close_world();
}

/* ---- pages ---- */

static void promised_pages_are_there(void **state) {
    (void)state;
    open_world(N_PAGES, 48);
    struct client *a = client_of((struct client_params){.min_pages = 4}), *b = client_of((struct client_params){0});
    uint32_t s = engine_seq_new(a), t = engine_seq_new(b), u = engine_seq_new(b);
    assert_int_equal(append_two(b, t, u, 3 * P), OK);   /* all of the surplus */
    assert_int_equal(append_two(b, t, u, 1), ERR_FULL); /* a call for several does not wait */
    assert_int_equal(engine_pages_free(w.b.engine), 4);
    for (int i = 0; i < 4; i++) assert_int_equal(append(a, s, P), OK);
    assert_int_equal(engine_pages_free(w.b.engine), 0);
    engine_truncate(a, s, P);
    assert_int_equal(append_two(b, t, u, 1), ERR_FULL); /* what a gave back is still promised to it */
    assert_int_equal(append(a, s, 3 * P), OK);
    engine_client_free(&a);
    assert_int_equal(append_two(b, t, u, 1), OK);
    engine_client_free(&b);
    close_world();
}

static void a_call_above_its_promise_waits_for_others(void **state) {
    (void)state;
    open_world(N_PAGES, 48);
    struct client *a = client_of((struct client_params){.min_pages = 2}), *b = client_of((struct client_params){0});
    uint32_t s = engine_seq_new(a), t = engine_seq_new(b);
    assert_int_equal(append(a, s, 7 * P), OK);
    assert_int_equal(append(b, t, 3 * P), OK);
    struct call c = {.run = run_append, .client = b, .seq = t, .n = P};
    call_start(&c), rest();
    assert_false(c.done);
    assert_int_equal(append(a, s, P), ERR_FULL); /* all others wait: the last one does not */
    engine_truncate(a, s, P);                    /* one page of two: the other one is still promised */
    call_join(&c);
    assert_int_equal(c.status, OK);
    assert_int_equal(engine_len(b, t), 4 * P);
    engine_client_free(&a);
    assert_int_equal(append(b, t, 4 * P), OK);
    engine_truncate(b, t, 4 * P);
    engine_client_free(&b);
    close_world();
}

/* Two sequences: one in use, one that can go. */
struct hoard {
    struct client *client;
    uint32_t seqs[8], n, n_calls;
};

static uint32_t give_back(void *arg, uint32_t n_pages) {
    struct hoard *h = arg;
    h->n_calls++;
    assert_true(n_pages > 0);
    if (!h->n) return 0;
    engine_drop(h->client, &h->seqs[--h->n]);
    return 1;
}

static void kv_is_reclaimed_when_it_must_be(void **state) {
    (void)state;
    open_world(N_PAGES, 48);
    struct hoard h = {.n = 6};
    h.client = client_of((struct client_params){.min_pages = 3, .reclaim = give_back, .arg = &h});
    uint32_t s = engine_seq_new(h.client);
    for (uint32_t i = 0; i < h.n; i++) {
        h.seqs[i] = engine_seq_new(h.client);
        assert_int_equal(append(h.client, h.seqs[i], P), OK);
    }
    assert_int_equal(append(h.client, s, 4 * P), OK);
    assert_int_equal(h.n_calls, 0);
    assert_int_equal(append(h.client, s, 2 * P), OK); /* two of them go */
    assert_int_equal(h.n, 4);
    struct call c = {.run = run_apply, .params = {.min_pages = 3}};
    call_start(&c);
    while (!c.done) { /* who has more than its promise gives it back while others wait */
        engine_truncate(h.client, s, 5 * P);
        assert_int_equal(append(h.client, s, 1), OK);
    }
    call_join(&c);
    assert_int_equal(h.n, 1);
    assert_int_equal(append(h.client, s, P), OK);
    assert_int_equal(append(h.client, s, 2 * P), ERR_FULL); /* nothing to give, and nobody to wait for */
    engine_client_free(&h.client), engine_client_free(&c.client);
    close_world();
}

/* ---- giving up ---- */

static void a_call_that_is_given_up_changes_nothing(void **state) {
    (void)state;
    static volatile int cancel;
    cancel = 0;
    open_world(64, 4); /* long spans go in pieces of a few rows */
    struct client *a = client_of((struct client_params){.min_pages = 8, .cancel = &cancel});
    uint32_t s = engine_seq_new(a), t = engine_seq_new(a);
    assert_int_equal(append(a, s, 20), OK);
    engine_set_limits(a, 1, &cancel); /* long ago */
    assert_int_equal(append(a, s, 60), ERR_CANCELLED);
    engine_set_limits(a, 0, &cancel);
    struct call c = {.run = run_append, .client = a, .seq = s, .n = 69};
    for (int i = 0; i < 20; i++) { /* some of them in the middle */
        call_start(&c);
        if (i % 2) { /* after its first pages, surely */
            while (!c.done && engine_kv_stats(w.b.engine).pages_used < 3 + (uint32_t)i / 8) {}
        } else {
            for (volatile int k = 0; k < i * 20000; k++) {}
        }
        __atomic_store_n(&cancel, 1, __ATOMIC_RELAXED);
        call_join(&c);
        __atomic_store_n(&cancel, 0, __ATOMIC_RELAXED);
        assert_true(c.status == OK || c.status == ERR_CANCELLED);
        assert_int_equal(engine_len(a, s), c.status ? 20 : 89);
        engine_truncate(a, s, 20);
        assert_int_equal(engine_kv_stats(w.b.engine).pages_used, 2);
    }
    uint32_t n_given_up = 0;
    for (uint64_t ns = 10000; ns < 40000000;
         ns += ns / 4) { /* whoever leads looks at the clock, so some end in the middle */
        engine_set_limits(a, clock_ns() + ns, &cancel);
        enum status st = append(a, s, 69);
        engine_set_limits(a, 0, &cancel);
        assert_true(st == OK || st == ERR_CANCELLED);
        assert_int_equal(engine_len(a, s), st ? 20 : 89);
        n_given_up += st != OK;
        engine_truncate(a, s, 20);
    }
    assert_true(n_given_up > 0);
    assert_int_equal(append(a, t, 1), OK);
    engine_client_free(&a);
    close_world();
}

/* ---- equal texts ---- */

static void run_read(struct call *c) {
    struct error e;
    c->reading.seq = engine_seq_new(c->client);
    c->status = engine_read(c->client, &c->reading, &e);
}

static void equal_texts_are_read_once(void **state) {
    (void)state;
    enum { N = 4 };
    open_world(64, 4);
    struct call c[N];
    float *out = malloc(N * w.x.n_out * sizeof *out);
    const uint32_t len = w.x.len[7], whole = (len - 1) / P * P;
    uint32_t cached = 0;
    for (int i = 0; i < N; i++) {
        c[i] = (struct call){.run = run_read, .client = client_of((struct client_params){.min_pages = 6})};
        c[i].reading = (struct reading){.n = len, .tokens = w.x.tokens[7], .out = out + (size_t)i * w.x.n_out};
        call_start(&c[i]);
    }
    for (int i = 0; i < N; i++) {
        call_join(&c[i]);
        assert_int_equal(c[i].status, OK);
        assert_true(c[i].reading.n_cached == 0 || c[i].reading.n_cached == whole);
        cached += c[i].reading.n_cached;
        same_floats(c[i].reading.out, w.x.want[7] + (len - 1) * w.x.n_out, w.x.n_out, "reader %d", i);
    }
    assert_int_equal(cached, (N - 1) * whole); /* one of them computed it, whoever that was */
    for (int i = 0; i < N; i++) engine_client_free(&c[i].client);
    free(out);
    close_world();
}

/* ---- a crowd ---- */

/* Reads a text token by token or in pieces on a few branches, as much at once as pages allow. */
struct walker {
    pthread_t thread;
    uint64_t key;
    int rounds;
};

static void walk_on(struct client *c, struct live *l, uint32_t take, struct live *others) {
    float *out = malloc(take * w.x.n_out * sizeof *out);
    struct span s = {l->seq, take, take, w.x.tokens[l->text] + l->at, out};
    struct error e = {""};
    enum status st = engine_run(c, &s, 1, NULL, &e);
    for (int i = 0; st == ERR_FULL && i < 3; i++) { /* without the others' KV it must go on: so much was promised */
        if (others[i].seq == l->seq) continue;
        engine_truncate(c, others[i].seq, others[i].at = 0);
        st = engine_run(c, &s, 1, NULL, &e);
    }
    if (st) schedule_fails("engine_run: status %d, %s", (int)st, e.text);
    const float *want = w.x.want[l->text] + l->at * w.x.n_out;
    if (!st && memcmp(out, want, take * w.x.n_out * sizeof *out))
        schedule_fails("text %u, %u tokens from %u: other outputs", l->text, take, l->at);
    l->at += st ? 0 : take;
    free(out);
}

static void *walk(void *arg) {
    struct walker *me = arg;
    struct error e;
    for (int round = 0; round < me->rounds; round++) {
        struct client *c;
        struct live live[3];
        struct client_params p = {.min_pages = MAX_TEXT / P + 1, .priority = (uint32_t)round % 2};
        if (engine_client_new(w.b.engine, &p, &c, &e)) return schedule_fails("%s", e.text), NULL;
        for (uint32_t i = 0; i < 3; i++) live[i] = (struct live){engine_seq_new(c), (i + (uint32_t)round) % N_TEXTS, 0};
        for (uint32_t k = 0; k < 20; k++) {
            struct live *l = &live[rng_below(me->key, 100 * (uint64_t)round + k, 3)];
            uint32_t left = w.x.len[l->text] - l->at, take = rng_below(me->key, 7777 + k, 3) ? 1 : left;
            if (left) walk_on(c, l, take, live);
            else engine_truncate(c, l->seq, l->at = 0);
        }
        engine_client_free(&c);
    }
    return NULL;
}

/* Each promise is half of all pages: two are admitted at a time, and every one comes to its end with the known bits. */
static void a_crowd_with_hardly_any_pages_goes_on(void **state) {
    (void)state;
    enum { N = 6 };
    struct walker walkers[N];
    open_world(2 * (MAX_TEXT / P + 1), 24);
    *schedule_failure = 0;
    for (int i = 0; i < N; i++) {
        walkers[i] = (struct walker){.key = rng_fold(5, (uint64_t)i), .rounds = 6};
        assert_int_equal(pthread_create(&walkers[i].thread, NULL, walk, &walkers[i]), 0);
    }
    for (int i = 0; i < N; i++) pthread_join(walkers[i].thread, NULL);
    if (*schedule_failure) fail_msg("%s", schedule_failure);
    close_world();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(admission_keeps_the_sum_of_promises),
        cmocka_unit_test(waiting_obeys_cancel_and_deadline),
        cmocka_unit_test(nobody_grows_into_what_the_next_one_needs),
        cmocka_unit_test(promised_pages_are_there),
        cmocka_unit_test(a_call_above_its_promise_waits_for_others),
        cmocka_unit_test(kv_is_reclaimed_when_it_must_be),
        cmocka_unit_test(a_call_that_is_given_up_changes_nothing),
        cmocka_unit_test(equal_texts_are_read_once),
        cmocka_unit_test(a_crowd_with_hardly_any_pages_goes_on),
    };
    return cmocka_run_group_tests(tests, NULL, tiny_cleanup);
}
