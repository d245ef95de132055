/* test_prefix.c: remembered prefixes: the page cache against an oracle that keeps every text in full, engines that start from
 * cached pages against those that compute all, and searches cold, warm and under pressure.
 * Not copy-on-write itself: test_kv.c.
 * Next: test_speculate.c. */
#include "tests/engine_check.h"

#include "model/prefix.h"
#include "search/eval_model.h"

enum { P = KV_PAGE, N_SEQS = 9, MAX_TOKENS = 6 * P + 5, MAX_DEPTH = MAX_TOKENS / P, MAX_ENTRIES = 256 };

/* ---- the oracle ----
 * What is in a cell depends on all tokens up to it, as K and V do.  The oracle knows each sequence's text, each remembered
 * text and when it was let go; from that it says which one must go next. */

struct branch {
    bool live;
    uint32_t len, n_known; /* n_known: leading pages that are remembered ones */
    int32_t tokens[MAX_TOKENS];
};
struct entry {
    uint32_t depth; /* pages; 0: none here */
    uint64_t let_go;
    int32_t tokens[MAX_DEPTH * P];
};
struct world {
    struct kv *kv;
    struct kv_holder *holders[2]; /* sequences with odd and with even numbers of tokens asked for */
    uint32_t owner[N_SEQS + 1];   /* of a sequence */
    struct branch b[N_SEQS + 1];
    struct entry entries[MAX_ENTRIES];
    uint32_t n_pages, n_free, step; /* n_free: neither held nor remembered */
    uint64_t clock, evicted, hit;
    uint64_t key, counter;
};

static uint32_t roll(struct world *w, uint32_t n) { return rng_below(w->key, w->counter++, n); }
static uint32_t pages_of(uint32_t n) { return (n + P - 1) / P; }

static void world_new(struct world *w, uint32_t n_pages, uint64_t key) {
    struct error e;
    memset(w, 0, sizeof *w);
    w->n_pages = w->n_free = n_pages, w->key = key;
    GOOD(kv_new((struct kv_shape){.n_layer = 1, .n_head_kv = 1, .head_dim = 1, .type = KV_F16}, n_pages, N_SEQS,
                MAX_TOKENS, &w->kv, &e));
    for (int i = 0; i < 2; i++) assert_non_null(w->holders[i] = kv_holder_new(w->kv));
}

static bool holds(const struct branch *b, const struct entry *x) {
    return b->live && b->n_known >= x->depth && !memcmp(b->tokens, x->tokens, x->depth * P * sizeof *x->tokens);
}

static bool is_held(const struct world *w, const struct entry *x) {
    for (uint32_t s = 1; s <= N_SEQS; s++)
        if (holds(&w->b[s], x)) return true;
    return false;
}

static struct entry *find_entry(struct world *w, const int32_t *tokens, uint32_t depth) {
    for (struct entry *x = w->entries; x < w->entries + MAX_ENTRIES; x++)
        if (x->depth == depth && depth && !memcmp(x->tokens, tokens, depth * P * sizeof *tokens)) return x;
    return NULL;
}

static void add_entry(struct world *w, const int32_t *tokens, uint32_t depth) {
    struct entry *x = w->entries;
    while (x->depth) x++;
    assert_true(x < w->entries + MAX_ENTRIES);
    x->depth = depth;
    memcpy(x->tokens, tokens, depth * P * sizeof *tokens);
}

static uint32_t n_entries(const struct world *w, bool idle_only) {
    uint32_t n = 0;
    for (int i = 0; i < MAX_ENTRIES; i++) n += w->entries[i].depth && !(idle_only && is_held(w, &w->entries[i]));
    return n;
}

static void evict_entry(struct world *w) {
    struct entry *oldest = NULL;
    for (struct entry *x = w->entries; x < w->entries + MAX_ENTRIES; x++) {
        bool leaf = x->depth && !is_held(w, x);
        for (struct entry *y = w->entries; leaf && y < w->entries + MAX_ENTRIES; y++)
            leaf = y->depth != x->depth + 1 || memcmp(x->tokens, y->tokens, x->depth * P * sizeof *x->tokens) != 0;
        if (leaf && (!oldest || x->let_go < oldest->let_go)) oldest = x;
    }
    assert_non_null(oldest);
    oldest->depth = 0;
    w->evicted++;
}

static void take(struct world *w) {
    if (w->n_free) w->n_free--;
    else evict_entry(w);
}

/* Sequences other than `seq` that name the page in its table. */
static uint32_t others(const struct world *w, uint32_t seq, uint32_t at) {
    uint32_t page = kv_table(w->kv, seq)[at], n = 0;
    for (uint32_t s = 1; s <= N_SEQS; s++)
        for (uint32_t i = 0; s != seq && w->b[s].live && i < pages_of(w->b[s].len); i++)
            n += kv_table(w->kv, s)[i] == page;
    return n;
}

/* Before pages `from` and up leave the sequence: its own ones become free, remembered ones idle, from the last. */
static void let_go(struct world *w, uint32_t seq, uint32_t from) {
    struct branch *b = &w->b[seq];
    for (uint32_t i = pages_of(b->len); i-- > from;) {
        if (i >= b->n_known) {
            w->n_free += !others(w, seq, i);
            continue;
        }
        b->n_known = i;
        struct entry *x = find_entry(w, b->tokens, i + 1);
        assert_non_null(x);
        if (!is_held(w, x)) x->let_go = w->clock++;
    }
}

/* ---- checks ---- */

static uint16_t cell_value(const int32_t *tokens, uint32_t pos) {
    uint64_t h = 1;
    for (uint32_t i = 0; i <= pos; i++) h = (h ^ (uint64_t)tokens[i]) * 0x9E3779B97F4A7C15u, h ^= h >> 31;
    return (uint16_t)h;
}

static uint16_t *cell(const struct world *w, uint32_t seq, uint32_t pos) {
    return kv_k(w->kv, kv_table(w->kv, seq)[pos / P], 0, 0) + pos % P;
}

/* Each holder holds the different pages that its sequences name. */
static void check_holders(const struct world *w) {
    for (uint32_t h = 0; h < 2; h++) {
        uint32_t n = 0;
        for (uint32_t page = 0; page < w->n_pages; page++) {
            bool named = false;
            for (uint32_t s = 1; s <= N_SEQS; s++)
                for (uint32_t i = 0; w->b[s].live && w->owner[s] == h && i < pages_of(w->b[s].len); i++)
                    named |= kv_table(w->kv, s)[i] == page;
            n += named;
        }
        if (kv_held(w->holders[h]) != n)
            fail_msg("step %u: holder %u has %zu rooms, want %u", w->step, h, (size_t)kv_held(w->holders[h]), n);
    }
}

static void check_world(struct world *w) {
    struct error e;
    w->step++;
    if (!kv_check(w->kv, &e)) fail_msg("step %u: %s", w->step, e.text);
    for (uint32_t s = 1; s <= N_SEQS; s++) {
        const struct branch *b = &w->b[s];
        if (!b->live) continue;
        if (kv_len(w->kv, s) != b->len)
            fail_msg("step %u: sequence %u has %u tokens, want %u", w->step, s, kv_len(w->kv, s), b->len);
        for (uint32_t pos = 0; pos < b->len; pos++)
            if (*cell(w, s, pos) != cell_value(b->tokens, pos))
                fail_msg("step %u: sequence %u of %u tokens, position %u: %u, want %u", w->step, s, b->len, pos,
                         *cell(w, s, pos), cell_value(b->tokens, pos));
    }
    check_holders(w);
    struct kv_stats got = kv_stats(w->kv);
    uint32_t n_free = w->n_free + n_entries(w, true);
    if (got.pages_remembered != n_entries(w, false) || got.pages_evicted != w->evicted ||
        kv_pages_free(w->kv) != n_free || got.pages_used + n_free != w->n_pages || got.prefix_tokens_hit != w->hit)
        fail_msg("step %u: %u remembered, %u evicted, %u free, %u hit; want %u, %u, %u, %u", w->step,
                 got.pages_remembered, (unsigned)got.pages_evicted, kv_pages_free(w->kv),
                 (unsigned)got.prefix_tokens_hit, n_entries(w, false), (unsigned)w->evicted, n_free, (unsigned)w->hit);
}

/* ---- operations ---- */

/* Texts differ by whole pages of three kinds, so that they meet often, and by a token here and there. */
static void random_text(struct world *w, int32_t *tokens, uint32_t from, uint32_t to) {
    for (uint32_t i = from; i < to; i++) {
        if (i % P == 0) tokens[i] = 100 + (int32_t)roll(w, 3);
        else tokens[i] = tokens[i - 1] < 100 ? 100 : tokens[i - 1];
        if (roll(w, 12 * P) == 0) tokens[i] = (int32_t)roll(w, 3);
    }
}

static void do_adopt(struct world *w) {
    uint32_t n = roll(w, MAX_TOKENS + 1), want = 0, seq = kv_seq_new(w->kv, w->holders[n % 2]);
    if (!seq) return;
    w->owner[seq] = n % 2;
    struct branch *b = &w->b[seq];
    *b = (struct branch){.live = true};
    random_text(w, b->tokens, 0, n);
    while ((want + 1) * P < n && find_entry(w, b->tokens, want + 1)) want++;
    uint32_t got = kv_prefix_lookup(w->kv, seq, b->tokens, n);
    if (got != want * P) fail_msg("step %u: adopted %u of %u tokens, want %u", w->step, got, n, want * P);
    b->len = got, b->n_known = want, w->hit += got;
}

static void do_append(struct world *w, uint32_t seq) {
    struct branch *b = &w->b[seq];
    uint32_t n = roll(w, 3 * P), at = b->len / P, before = pages_of(b->len), after = pages_of(b->len + n);
    if (b->len + n > MAX_TOKENS) n = 0, after = before;
    bool known = n && b->len % P && b->n_known > at, copies = n && b->len % P && (known || others(w, seq, at));
    struct kv_need need = {seq, n};
    struct error e;
    enum status s = kv_reserve(w->kv, &need, 1, &e), want = OK;
    if (copies + after - before > w->n_free + n_entries(w, true)) want = ERR_FULL;
    if (s != want) fail_msg("step %u: reserve of %u tokens gave %d, want %d", w->step, n, s, want);
    if (s) return;
    if (copies) take(w);
    if (known) {
        b->n_known = at;
        struct entry *x = find_entry(w, b->tokens, at + 1);
        if (!is_held(w, x)) x->let_go = w->clock++;
    }
    for (uint32_t i = before; i < after; i++) take(w);
    random_text(w, b->tokens, b->len, b->len + n);
    for (uint32_t i = b->len; i < b->len + n; i++) *cell(w, seq, i) = cell_value(b->tokens, i);
    kv_advance(w->kv, seq, n);
    b->len += n;
}

static void do_remember(struct world *w, uint32_t seq) {
    struct branch *b = &w->b[seq];
    uint32_t n = roll(w, 2) ? b->len : roll(w, b->len + 1);
    for (uint32_t i = b->n_known; i < n / P; i++) {
        bool shared = others(w, seq, i);
        if (find_entry(w, b->tokens, i + 1)) w->n_free += !shared; /* ours is given back */
        else if (shared) break;
        else add_entry(w, b->tokens, i + 1);
        b->n_known = i + 1;
    }
    kv_prefix_insert(w->kv, seq, b->tokens, n);
}

static void random_step(struct world *w) {
    uint32_t seq = 1 + roll(w, N_SEQS), what = roll(w, 100);
    struct branch *b = &w->b[seq];
    if (!b->live) do_adopt(w);
    else if (what < 30) do_append(w, seq);
    else if (what < 60) do_remember(w, seq);
    else if (what < 75) {
        uint32_t child = kv_fork(w->kv, seq);
        if (child) w->b[child] = *b, w->owner[child] = w->owner[seq];
    } else if (what < 85) {
        uint32_t len = roll(w, b->len + 1);
        let_go(w, seq, pages_of(len));
        b->len = len;
        kv_truncate(w->kv, seq, len);
    } else {
        uint32_t id = seq;
        let_go(w, seq, 0);
        b->live = false;
        kv_drop(w->kv, &id);
    }
    check_world(w);
}

static void random_texts_meet_in_remembered_pages(void **state) {
    (void)state;
    static const uint32_t pool[] = {1, 4, 12, 25, 200};
    static struct world w;
    uint64_t hit = 0, evicted = 0;
    for (size_t k = 0; k < COUNT(pool); k++) {
        world_new(&w, pool[k], rng_fold(5, k));
        for (int i = 0; i < 4000; i++) random_step(&w);
        hit += w.hit, evicted += w.evicted;
        kv_free(&w.kv);
    }
    print_message("%u tokens hit, %u pages evicted\n", (unsigned)hit, (unsigned)evicted);
    assert_true(hit > 2000 && evicted > 300); /* else the walk did not go where it should */
}

/* ---- single properties ---- */

/* All addresses fall into one bucket: only the tokens tell them apart. */
static void equal_hashes_do_no_harm(void **state) {
    (void)state;
    enum { N = 24 };
    struct prefix *p = prefix_new(N, 1);
    struct error e;
    uint32_t ref[N] = {0};
    int32_t tokens[N][P];
    assert_non_null(p);
    for (uint32_t i = 0; i < N; i++) {
        uint32_t parent = i < 8 ? PREFIX_NONE : i - 8;
        for (int j = 0; j < P; j++) tokens[i][j] = j == P - 1 ? (int32_t)(i % 8) : 7;
        if (prefix_find(p, parent, tokens[i]) != PREFIX_NONE) fail_msg("page %u: found before it was there", i);
        ref[i] = 1;
        prefix_add(p, parent, tokens[i], i);
        if (!prefix_check(p, ref, &e)) fail_msg("%s", e.text);
    }
    for (uint32_t i = 0; i < N; i++) {
        uint32_t got = prefix_find(p, i < 8 ? PREFIX_NONE : i - 8, tokens[i]);
        if (got != i) fail_msg("page %u: found page %u", i, got);
    }
    for (uint32_t i = N; i-- > 0;) prefix_let_go(p, i), ref[i] = 0;
    for (uint32_t i = N; i-- > 0;) { /* let go last to first, all leaves first */
        uint32_t got = prefix_evict(p);
        if (got != i) fail_msg("evicted page %u, want %u", got, i);
        if (prefix_find(p, i < 8 ? PREFIX_NONE : i - 8, tokens[i]) != PREFIX_NONE) fail_msg("page %u: still there", i);
        if (!prefix_check(p, ref, &e)) fail_msg("%s", e.text);
    }
    assert_int_equal(prefix_n_pages(p), 0);
    prefix_free(&p);
}

static void nothing_allocates_and_failures_leave_nothing(void **state) {
    (void)state;
    struct kv_shape shape = {.n_layer = 1, .n_head_kv = 1, .head_dim = 1, .type = KV_F16};
    struct error e;
    struct kv *kv = NULL;
    size_t n_allocations = 0;
    mem_fail_at(0, false);
    for (size_t n = 1; !kv; n++) {
        mem_fail_at(n, true);
        enum status s = kv_new(shape, 8, 4, MAX_TOKENS, &kv, &e);
        n_allocations = mem_fail_at(0, false);
        assert_int_equal(s, kv ? OK : ERR_MEMORY);
    }
    assert_true(n_allocations > 8);
    int32_t tokens[2 * P + 1] = {0};
    struct kv_holder *h = kv_holder_new(kv);
    assert_non_null(h);
    mem_fail_at(1, true);
    uint32_t a = kv_seq_new(kv, h), b;
    GOOD(kv_reserve(kv, &(struct kv_need){a, 2 * P + 1}, 1, &e));
    kv_advance(kv, a, 2 * P + 1);
    kv_prefix_insert(kv, a, tokens, 2 * P + 1);
    kv_drop(kv, &a);
    b = kv_seq_new(kv, h);
    assert_int_equal(kv_prefix_lookup(kv, b, tokens, 2 * P), P); /* the last token is left to compute */
    kv_truncate(kv, b, 0);
    assert_int_equal(kv_prefix_lookup(kv, b, tokens, 2 * P + 1), 2 * P);
    assert_int_equal(mem_fail_at(0, false), 0);
    kv_free(&kv);
}

/* ---- engines ---- */

/* Reads text `i` from what is remembered; all outputs after that must be the known ones.  Returns the tokens computed. */
static uint32_t ask(struct bench *b, const struct texts *x, int i, const char *when) {
    float *out = malloc(x->len[i] * x->n_out * sizeof *out);
    struct error e;
    uint32_t seq = engine_seq_new(b->client), known = engine_prefix_lookup(b->client, seq, x->tokens[i], x->len[i]);
    assert_true(known < x->len[i] && known % P == 0);
    run_tokens(b, seq, x->tokens[i] + known, x->len[i] - known, out);
    same_floats(out, x->want[i] + known * x->n_out, (x->len[i] - known) * x->n_out, "%s, text %d from %u", when, i,
                known);
    engine_prefix_insert(b->client, seq, x->tokens[i], x->len[i]);
    if (!engine_check(b->engine, &e)) fail_msg("%s", e.text);
    engine_drop(b->client, &seq);
    free(out);
    return x->len[i] - known;
}

/* Room for everything, and for little more than the longest text: then pages are evicted and made again. */
static void texts_asked_again_give_the_same_bits(void **state) {
    (void)state;
    struct model_config c = wide_shape();
    for (int value = 0; value < 2; value++) {
        struct net *n = tiny_net(&c, value ? NET_VALUE : NET_LM, 30);
        struct model *m = tiny_model(n, TYPE_F16);
        struct texts x = texts_of(m, 9);
        for (int small = 0; small < 2; small++) {
            struct engine_params p = small_engine;
            p.n_pages = small ? pages_of(MAX_TEXT) + 1 : 512;
            struct bench b = bench_open(m, 1 + small, p);
            uint32_t computed[3] = {0};
            for (int round = 0; round < 3; round++)
                for (int i = 0; i < N_TEXTS; i++) computed[round] += ask(&b, &x, i, small ? "little room" : "room");
            struct kv_stats s = engine_kv_stats(b.engine);
            print_message("%u pages: %u, %u, %u tokens computed, %u evicted\n", p.n_pages, computed[0], computed[1],
                          computed[2], (unsigned)s.pages_evicted);
            assert_int_equal(s.pages_used, 0);
            assert_true(small ? s.pages_evicted > 0 : s.pages_evicted == 0);
            if (!small) { /* all but what is after the last page border */
                uint32_t rest = 0;
                for (int i = 0; i < N_TEXTS; i++) rest += x.len[i] - (x.len[i] - 1) / P * P;
                assert_int_equal(computed[1], rest);
                assert_int_equal(computed[2], rest);
                assert_true(computed[0] > computed[1]);
            }
            bench_close(&b);
        }
        texts_free(&x), model_close(&m), net_free(&n);
    }
}

/* Two callers read the same text at once; the second to remember it gives its own pages back. */
static void equal_texts_end_in_the_same_pages(void **state) {
    (void)state;
    struct model_config c = wide_shape();
    struct net *n = tiny_net(&c, NET_LM, 31);
    struct model *m = tiny_model(n, TYPE_F32);
    struct texts x = texts_of(m, 3);
    struct bench b = bench_open(m, 1, small_engine);
    enum { LONG = N_TEXTS - 1 };
    uint32_t seqs[2] = {engine_seq_new(b.client), engine_seq_new(b.client)}, len = x.len[LONG] - 1;
    for (int i = 0; i < 2; i++) run_tokens(&b, seqs[i], x.tokens[LONG], len, NULL);
    assert_int_equal(engine_kv_stats(b.engine).pages_used, 2 * pages_of(len));
    for (int i = 0; i < 2; i++) engine_prefix_insert(b.client, seqs[i], x.tokens[LONG], len);
    assert_int_equal(engine_kv_stats(b.engine).pages_used, 2 * pages_of(len) - len / P);
    float *out = malloc(x.n_out * sizeof *out);
    for (int i = 0; i < 2; i++) {
        run_tokens(&b, seqs[i], x.tokens[LONG] + len, 1, out);
        same_floats(out, x.want[LONG] + len * x.n_out, x.n_out, "caller %d", i);
    }
    free(out), bench_close(&b), texts_free(&x), model_close(&m), net_free(&n);
}

/* ---- searches ---- */

enum { N_STEPS = 6, VOCAB = 40, SEPARATOR = 2 + '\n' };

struct play {
    char text[N_STEPS][80];
    float logprob[N_STEPS], value[N_STEPS];
    struct ledger ledger;
};

/* A prompt of two whole pages and some: opened, then one chain of steps. */
static void play(struct play *out, struct eval_params *p) {
    char prompt[2 * P + 3];
    struct eval_model *m;
    struct evaluator ev;
    struct error e;
    memset(out, 0, sizeof *out);
    for (int i = 0; i < 2 * P + 2; i++) prompt[i] = (char)(' ' + i % 5);
    prompt[2 * P + 2] = 0;
    GOOD(eval_model_open(p, prompt, &m, &ev, &e));
    out->ledger = *ev.ledger;
    for (uint32_t i = 0; i < N_STEPS; i++) {
        branch_id b;
        GOOD(ev.fork(ev.self, ev.root, &b, &e));
        struct step s = {.branch = b, .key = 50 + i, .temperature = 1};
        GOOD(ev.extend(ev.self, &s, 1, &e));
        GOOD(ev.score(ev.self, &b, 1, &out->value[i], &e));
        snprintf(out->text[i], sizeof out->text[i], "%s", s.text);
        out->logprob[i] = s.logprob;
        if (i % 2) ev.evict(ev.self, b);
        else ev.drop(ev.self, &b);
    }
    eval_model_close(&m);
}

static void searches_are_the_same_cold_and_warm(void **state) {
    (void)state;
    struct model_config c = tiny_config(2, 12, 4, 2, 24), d = tiny_config(1, 16, 2, 2, 20);
    c.n_vocab = d.n_vocab = VOCAB;
    struct net *nets[2] = {tiny_net(&c, NET_LM, 10), tiny_net(&d, NET_VALUE, 6)};
    struct model *m[2] = {tiny_model(nets[0], TYPE_F32), tiny_model(nets[1], TYPE_F16)};
    struct tok *tok = tiny_tok(VOCAB_SIZE);
    struct bench a = bench_open(m[0], 1, small_engine), b = bench_share(m[1], &a, small_engine);
    struct eval_params p = {.policy = a.engine,
                            .prm = b.engine,
                            .tok = tok,
                            .agg = AGG_MEAN,
                            .sampling = {.top_p = 1},
                            .max_step_tokens = 12,
                            .max_tokens = 100,
                            .max_branches = 20,
                            .max_batch = 16,
                            .separator = SEPARATOR};
    static struct play cold, warm;
    play(&cold, &p);
    play(&warm, &p);
    assert_memory_equal(cold.text, warm.text, sizeof cold.text);
    same_floats(warm.logprob, cold.logprob, N_STEPS, "log-probabilities");
    same_floats(warm.value, cold.value, N_STEPS, "values");
    assert_int_equal(cold.ledger.cached_tokens, 0);
    assert_int_equal(warm.ledger.cached_tokens, 4 * P); /* the costs are those of the search alone */
    assert_int_equal(warm.ledger.policy_flops, cold.ledger.policy_flops);
    assert_int_equal(warm.ledger.prm_flops, cold.ledger.prm_flops);
    assert_int_equal(warm.ledger.prm_tokens, cold.ledger.prm_tokens);
    assert_int_equal(warm.ledger.shared_tokens, cold.ledger.shared_tokens);
    assert_int_equal(engine_kv_stats(a.engine).pages_used, 0);
    bench_close(&b), bench_close(&a), tok_close(&tok);
    for (int i = 0; i < 2; i++) model_close(&m[i]), net_free(&nets[i]);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_texts_meet_in_remembered_pages),
        cmocka_unit_test(equal_hashes_do_no_harm),
        cmocka_unit_test(nothing_allocates_and_failures_leave_nothing),
        cmocka_unit_test(texts_asked_again_give_the_same_bits),
        cmocka_unit_test(equal_texts_end_in_the_same_pages),
        cmocka_unit_test(searches_are_the_same_cold_and_warm),
    };
    return cmocka_run_group_tests(tests, NULL, tiny_cleanup);
}
