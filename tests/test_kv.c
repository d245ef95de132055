/* test_kv.c: the paged KV cache against an oracle in which every sequence owns all of its tokens.
 * Not a test of attention, nor of speed.
 * Next: test_sample.c.
 *
 * Every operation goes through a function of `world` that does it, works out naively what must have happened (contents,
 * copies made, pages used, refused or not), and compares everything. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/rng.h"
#include "model/kv.h"

enum { N_LAYER = 2, N_HEAD = 1, HEAD_DIM = 2, N_SEQS = 12, MAX_TOKENS = 101, CAP = 7, P = KV_PAGE };

struct branch {
    bool live;
    uint32_t len, n_pages; /* n_pages: with the reserved ones */
    uint16_t tokens[MAX_TOKENS];
};

struct world {
    struct kv *kv;
    struct kv_holder *holder;
    struct branch b[N_SEQS + 1]; /* by sequence id */
    uint32_t n_pages, step;
    uint16_t next_token;
    struct kv_stats stats; /* as they should be */
    uint32_t n_refused, n_shared_copies;
};

static uint32_t pages_of(uint32_t n_tokens) { return (n_tokens + P - 1) / P; }
static uint32_t min_u32(uint32_t a, uint32_t b) { return a < b ? a : b; }

/* A number for one cell that depends on everything that names it. */
static uint16_t cell_value(uint16_t token, uint32_t layer, uint32_t head, uint32_t d, uint32_t is_v) {
    return (uint16_t)(token * 40503u + layer * 10007u + head * 3001u + d * 211u + is_v * 77u + 1);
}

static uint16_t *cell(const struct kv *kv, uint32_t seq, uint32_t pos, uint32_t layer, uint32_t head, uint32_t d,
                      uint32_t is_v) {
    uint32_t page = kv_table(kv, seq)[pos / P], t = pos % P;
    return is_v ? kv_v(kv, page, layer, head) + t * HEAD_DIM + d : kv_k(kv, page, layer, head) + d * P + t;
}

/* Each cell of one token. */
#define FOR_CELLS(l, h, d, is_v)                                                                                       \
    for (uint32_t l = 0; l < N_LAYER; l++)                                                                             \
        for (uint32_t h = 0; h < N_HEAD; h++)                                                                          \
            for (uint32_t d = 0; d < HEAD_DIM; d++)                                                                    \
                for (uint32_t is_v = 0; is_v < 2; is_v++)

static void world_new(struct world *w, uint32_t n_pages) {
    struct error e;
    *w = (struct world){.n_pages = n_pages};
    struct kv_shape shape = {.n_layer = N_LAYER, .n_head_kv = N_HEAD, .head_dim = HEAD_DIM, .type = KV_F16};
    if (kv_new(shape, n_pages, N_SEQS, MAX_TOKENS, &w->kv, &e)) fail_msg("%s", e.text);
    assert_non_null(w->holder = kv_holder_new(w->kv));
    assert_int_equal(kv_page_bytes(w->kv), 2 * 2 * N_LAYER * N_HEAD * HEAD_DIM * P);
}

/* How many live tables name this page. */
static uint32_t holders(const struct world *w, uint32_t page) {
    uint32_t n = 0;
    for (uint32_t seq = 1; seq <= N_SEQS; seq++)
        for (uint32_t i = 0; w->b[seq].live && i < w->b[seq].n_pages; i++) n += kv_table(w->kv, seq)[i] == page;
    return n;
}

static void check_sequence(const struct world *w, uint32_t seq) {
    const struct branch *b = &w->b[seq];
    if (kv_len(w->kv, seq) != b->len)
        fail_msg("step %u: sequence %u has %u tokens, want %u", w->step, seq, kv_len(w->kv, seq), b->len);
    for (uint32_t pos = 0; pos < b->len; pos++) FOR_CELLS(l, h, d, is_v) {
            uint16_t got = *cell(w->kv, seq, pos, l, h, d, is_v), want = cell_value(b->tokens[pos], l, h, d, is_v);
            if (got != want)
                fail_msg("step %u: sequence %u of %u tokens, position %u, layer %u, head %u, %c[%u]: got %u, want %u",
                         w->step, seq, b->len, pos, l, h, is_v ? 'V' : 'K', d, got, want);
        }
    uint32_t owned = 0;
    for (uint32_t i = 0; i < b->n_pages; i++) owned += holders(w, kv_table(w->kv, seq)[i]) == 1;
    if (kv_pages_owned(w->kv, seq) != owned)
        fail_msg("step %u: sequence %u owns %u pages, want %u", w->step, seq, kv_pages_owned(w->kv, seq), owned);
}

static void check_world(struct world *w) {
    struct error e;
    w->step++;
    if (!kv_check(w->kv, &e)) fail_msg("step %u: kv_check: %s", w->step, e.text);
    for (uint32_t seq = 1; seq <= N_SEQS; seq++)
        if (w->b[seq].live) check_sequence(w, seq);
    w->stats.pages_used = 0;
    for (uint32_t page = 0; page < w->n_pages; page++) w->stats.pages_used += holders(w, page) > 0;
    if (w->stats.pages_used > w->stats.pages_peak) w->stats.pages_peak = w->stats.pages_used;
    struct kv_stats got = kv_stats(w->kv), want = w->stats;
    if (got.forks != want.forks || got.pages_copied != want.pages_copied || got.pages_used != want.pages_used ||
        got.pages_peak != want.pages_peak || kv_pages_free(w->kv) != w->n_pages - want.pages_used)
        fail_msg("step %u: %u forks, %u copied, %u used, %u peak, %u free; want %u, %u, %u, %u, %u", w->step,
                 (unsigned)got.forks, (unsigned)got.pages_copied, got.pages_used, got.pages_peak, kv_pages_free(w->kv),
                 (unsigned)want.forks, (unsigned)want.pages_copied, want.pages_used, want.pages_peak,
                 w->n_pages - want.pages_used);
    assert_int_equal(kv_held(w->holder), got.pages_used);
}

static void world_free(struct world *w) {
    for (uint32_t seq = 1; seq <= N_SEQS; seq++) {
        uint32_t s = seq;
        if (!w->b[seq].live) continue;
        kv_drop(w->kv, &s);
        w->b[seq].live = false;
        check_world(w);
    }
    assert_int_equal(kv_pages_free(w->kv), w->n_pages);
    kv_free(&w->kv);
    assert_null(w->kv);
    kv_free(&w->kv);
}

static uint32_t n_live(const struct world *w) {
    uint32_t n = 0;
    for (uint32_t seq = 1; seq <= N_SEQS; seq++) n += w->b[seq].live;
    return n;
}

static uint32_t adopt(struct world *w, uint32_t seq, const struct branch *from) {
    if ((seq == 0) != (n_live(w) == N_SEQS)) fail_msg("step %u: got sequence %u with %u live", w->step, seq, n_live(w));
    if (seq > N_SEQS || w->b[seq].live) fail_msg("step %u: sequence %u is out of range or live", w->step, seq);
    if (seq) {
        w->b[seq] = *from;
        w->b[seq].live = true;
        w->b[seq].n_pages = pages_of(from->len);
    }
    return seq;
}

static uint32_t world_seq(struct world *w) {
    static const struct branch empty;
    uint32_t seq = adopt(w, kv_seq_new(w->kv, w->holder), &empty);
    check_world(w);
    return seq;
}

static uint32_t world_fork(struct world *w, uint32_t parent) {
    struct branch copy = w->b[parent];
    uint32_t used = kv_stats(w->kv).pages_used;
    uint32_t seq = adopt(w, kv_fork(w->kv, parent), &copy);
    w->stats.forks += seq != 0;
    assert_int_equal(kv_stats(w->kv).pages_used, used);
    check_world(w);
    return seq;
}

static void world_truncate(struct world *w, uint32_t seq, uint32_t len) {
    kv_truncate(w->kv, seq, len);
    w->b[seq].len = len;
    w->b[seq].n_pages = pages_of(len);
    check_world(w);
}

static void world_drop(struct world *w, uint32_t seq) {
    uint32_t owned = kv_pages_owned(w->kv, seq), before = kv_pages_free(w->kv), s = seq;
    kv_drop(w->kv, &s);
    assert_int_equal(s, 0);
    w->b[seq].live = false;
    if (kv_pages_free(w->kv) != before + owned)
        fail_msg("step %u: drop of %u freed %u pages, kv_pages_owned said %u", w->step, seq,
                 kv_pages_free(w->kv) - before, owned);
    check_world(w);
}

/* What a reserve must do: of k sequences that write into one partial page with c owners, all copy but the last owner. */
struct forecast {
    uint32_t copies, fresh;
    bool refused;
};

static struct forecast foresee(const struct world *w, const struct kv_need *needs, size_t n) {
    struct forecast f = {0};
    for (size_t i = 0; i < n; i++) {
        const struct branch *b = &w->b[needs[i].seq];
        uint64_t len = (uint64_t)b->len + needs[i].n_tokens;
        if (len > MAX_TOKENS) {
            f.refused = true;
            continue;
        }
        if (pages_of((uint32_t)len) > b->n_pages) f.fresh += pages_of((uint32_t)len) - b->n_pages;
        if (!needs[i].n_tokens || b->len % P == 0) continue;
        uint32_t page = kv_table(w->kv, needs[i].seq)[b->len / P], earlier = 0;
        for (size_t j = 0; j < i; j++) {
            const struct branch *o = &w->b[needs[j].seq];
            earlier += needs[j].n_tokens && o->len % P && kv_table(w->kv, needs[j].seq)[o->len / P] == page;
        }
        f.copies += earlier + 1 < holders(w, page);
    }
    if (f.copies + f.fresh > kv_pages_free(w->kv)) f.refused = true;
    return f;
}

struct snapshot {
    uint32_t tables[N_SEQS + 1][CAP];
    struct kv_stats stats;
    uint32_t n_free;
};

static void take_snapshot(const struct world *w, struct snapshot *s) {
    memset(s, 0, sizeof *s);
    for (uint32_t seq = 1; seq <= N_SEQS; seq++)
        if (w->b[seq].live) memcpy(s->tables[seq], kv_table(w->kv, seq), w->b[seq].n_pages * sizeof(uint32_t));
    s->stats = kv_stats(w->kv);
    s->n_free = kv_pages_free(w->kv);
}

/* Whole pages stay where they are, new ones are zero. */
static void check_reserved(const struct world *w, uint32_t seq, const uint32_t *old_table, uint32_t old_n_pages) {
    const uint32_t *table = kv_table(w->kv, seq);
    for (uint32_t i = 0; i < w->b[seq].len / P; i++)
        if (table[i] != old_table[i]) fail_msg("step %u: sequence %u: whole page %u moved", w->step, seq, i);
    for (uint32_t i = old_n_pages; i < w->b[seq].n_pages; i++)
        for (uint32_t t = 0; t < P; t++) FOR_CELLS(l, h, d, is_v) {
                uint16_t got = *cell(w->kv, seq, i * P + t, l, h, d, is_v);
                if (got)
                    fail_msg("step %u: sequence %u: new page %u, cell %u holds %u, want 0", w->step, seq, i, t, got);
            }
}

static void write_tokens(struct world *w, uint32_t seq, uint32_t n) {
    struct branch *b = &w->b[seq];
    for (uint32_t i = 0; i < n; i++) {
        uint16_t token = w->next_token++;
        FOR_CELLS(l, h, d, is_v) * cell(w->kv, seq, b->len, l, h, d, is_v) = cell_value(token, l, h, d, is_v);
        b->tokens[b->len++] = token;
    }
    kv_advance(w->kv, seq, n);
}

/* Reserves for all, then writes on each all that it asked for but `withheld`.  True when the reserve went through. */
static bool world_append(struct world *w, const struct kv_need *needs, size_t n, uint32_t withheld) {
    struct snapshot before, after;
    struct error e = {"untouched"};
    take_snapshot(w, &before);
    struct forecast f = foresee(w, needs, n);
    enum status s = kv_reserve(w->kv, needs, n, &e);
    if (s != (f.refused ? ERR_FULL : OK))
        fail_msg("step %u: reserve gave %d (%s); %u copies and %u new pages needed, %u free", w->step, s, e.text,
                 f.copies, f.fresh, before.n_free);
    if (s) {
        take_snapshot(w, &after);
        if (memcmp(&before, &after, sizeof before) != 0)
            fail_msg("step %u: a refused reserve changed something", w->step);
        w->n_refused++;
        check_world(w);
        return false;
    }
    w->stats.pages_copied += f.copies;
    w->n_shared_copies += f.copies;
    for (size_t i = 0; i < n; i++) {
        struct branch *b = &w->b[needs[i].seq];
        uint32_t old_n_pages = b->n_pages, now = pages_of(b->len + needs[i].n_tokens);
        if (now > b->n_pages) b->n_pages = now;
        check_reserved(w, needs[i].seq, before.tables[needs[i].seq], old_n_pages);
    }
    check_world(w);
    for (size_t i = 0; i < n; i++)
        write_tokens(w, needs[i].seq, needs[i].n_tokens - min_u32(withheld, needs[i].n_tokens));
    check_world(w);
    return true;
}

static bool append(struct world *w, uint32_t seq, uint32_t n_tokens) {
    return world_append(w, &(struct kv_need){seq, n_tokens}, 1, 0);
}

static uint64_t copied(const struct world *w) { return kv_stats(w->kv).pages_copied; }

/* Random walks: */

struct dice {
    uint64_t key, counter;
};
static uint32_t roll(struct dice *d, uint32_t n) { return rng_below(d->key, d->counter++, n); }

/* A live sequence, or 0. */
static uint32_t pick(const struct world *w, struct dice *d) {
    uint32_t seq = 1 + roll(d, N_SEQS);
    for (uint32_t i = 0; i < N_SEQS; i++, seq = seq % N_SEQS + 1)
        if (w->b[seq].live) return seq;
    return 0;
}

static void random_append(struct world *w, struct dice *d, uint32_t seq) {
    struct kv_need needs[N_SEQS];
    size_t n = 0;
    if (roll(d, 2)) needs[n++] = (struct kv_need){seq, 1 + roll(d, 40)};
    else
        for (seq = 1; seq <= N_SEQS; seq++)
            if (w->b[seq].live && roll(d, 2)) needs[n++] = (struct kv_need){seq, roll(d, 9)};
    world_append(w, needs, n, roll(d, 8) ? 0 : roll(d, 20));
}

static void random_step(struct world *w, struct dice *d) {
    uint32_t seq = pick(w, d), what = roll(d, 100);
    if (!seq || what < 4) world_seq(w);
    else if (what < 30) world_fork(w, seq);
    else if (what < 70) random_append(w, d, seq);
    else if (what < 82) world_truncate(w, seq, roll(d, w->b[seq].len + 1));
    else world_drop(w, seq);
}

static void test_random(void **state) {
    (void)state;
    static const uint32_t pool[] = {1, 5, 20, 40, CAP * N_SEQS};
    uint32_t n_refused = 0, n_copies = 0;
    for (uint64_t k = 0; k < sizeof pool / sizeof *pool; k++) {
        struct world w;
        struct dice d = {rng_fold(2024, k), 0};
        world_new(&w, pool[k]);
        for (int i = 0; i < 1500; i++) random_step(&w, &d);
        n_refused += w.n_refused, n_copies += w.n_shared_copies;
        world_free(&w);
    }
    assert_true(n_refused > 300); /* else the walk did not go where it should */
    assert_true(n_copies > 300);
}

/* Page edges by name: */

/* A parent of `len` tokens, one fork, both go on; `copies` is what the first and then the second of them may copy. */
static void fork_at(uint32_t len, uint64_t copies, bool parent_first) {
    struct world w;
    world_new(&w, 40);
    uint32_t parent = world_seq(&w);
    if (len) append(&w, parent, len);
    uint32_t child = world_fork(&w, parent);
    append(&w, parent_first ? parent : child, 1);
    assert_int_equal(copied(&w), copies);
    append(&w, parent_first ? child : parent, 1); /* the last owner writes in place */
    assert_int_equal(copied(&w), copies);
    append(&w, parent, P + 3);
    append(&w, child, P + 5);
    assert_int_equal(copied(&w), copies);
    world_free(&w);
}

static void test_fork_at_edges(void **state) {
    (void)state;
    for (int parent_first = 0; parent_first < 2; parent_first++) {
        static const uint32_t border[] = {0, P, 2 * P, 3 * P};
        static const uint32_t partial[] = {1, 2, P - 1, P + 1, 2 * P - 1, 3 * P + P / 2};
        for (size_t i = 0; i < sizeof border / sizeof *border; i++) fork_at(border[i], 0, parent_first);
        for (size_t i = 0; i < sizeof partial / sizeof *partial; i++) fork_at(partial[i], 1, parent_first);
    }
}

static void test_parent_dropped_first(void **state) {
    (void)state;
    static const uint32_t lens[] = {0, 1, P - 1, P, P + 1, 2 * P};
    for (size_t i = 0; i < sizeof lens / sizeof *lens; i++) {
        struct world w;
        world_new(&w, 40);
        uint32_t parent = world_seq(&w);
        if (lens[i]) append(&w, parent, lens[i]);
        uint32_t child = world_fork(&w, parent), other = world_seq(&w);
        world_drop(&w, parent);
        append(&w, other, 3 * P); /* takes pages that would be free if the drop had freed too many */
        append(&w, child, 2);
        assert_int_equal(copied(&w), 0); /* the only owner left */
        world_drop(&w, child);
        assert_int_equal(kv_stats(w.kv).pages_used, 3);
        world_free(&w);
    }
}

static void test_double_fork(void **state) {
    (void)state;
    struct world w;
    world_new(&w, 40);
    uint32_t root = world_seq(&w);
    append(&w, root, P + 5);
    uint32_t a = world_fork(&w, root), b = world_fork(&w, root), c = world_fork(&w, a);
    assert_int_equal(kv_stats(w.kv).pages_used, 2);
    append(&w, a, 1);
    append(&w, b, 1);
    append(&w, c, 1);
    assert_int_equal(copied(&w), 3);
    append(&w, root, 1); /* alone with the original by now */
    assert_int_equal(copied(&w), 3);
    assert_int_equal(kv_stats(w.kv).pages_used, 1 + 4);
    uint32_t again = world_fork(&w, a);
    world_drop(&w, a);
    append(&w, again, 1);
    assert_int_equal(copied(&w), 3);
    world_free(&w);
}

static void test_truncate_into_shared(void **state) {
    (void)state;
    struct world w;
    world_new(&w, 40);
    uint32_t parent = world_seq(&w);
    append(&w, parent, 3 * P + 4);
    uint32_t child = world_fork(&w, parent);
    world_truncate(&w, child, P + 7); /* inside a whole page that the parent still reads */
    assert_int_equal(kv_pages_owned(w.kv, parent), 2);
    assert_int_equal(kv_pages_owned(w.kv, child), 0);
    append(&w, child, 2);
    assert_int_equal(copied(&w), 1);
    world_truncate(&w, child, P); /* to a border: nothing to copy */
    append(&w, child, 2);
    assert_int_equal(copied(&w), 1);
    world_truncate(&w, parent, 2); /* the parent is the one that writes into a shared page */
    append(&w, parent, 1);
    assert_int_equal(copied(&w), 2);
    world_truncate(&w, child, 0);
    append(&w, child, 2 * P);
    assert_int_equal(copied(&w), 2);
    world_free(&w);
}

/* n forks of one partial page reserved in one call: with the parent among them or kept out of it. */
static void test_reserve_many(void **state) {
    (void)state;
    for (int parent_writes = 0; parent_writes < 2; parent_writes++)
        for (uint32_t n_forks = 1; n_forks <= 4; n_forks++) {
            struct world w;
            struct kv_need needs[5];
            world_new(&w, 2 + n_forks); /* two pages of the parent and exactly the copies */
            uint32_t parent = world_seq(&w), n = 0;
            append(&w, parent, P + 1);
            for (uint32_t i = 0; i < n_forks; i++) needs[n++] = (struct kv_need){world_fork(&w, parent), 3};
            if (parent_writes) needs[n++] = (struct kv_need){parent, 3};
            assert_true(world_append(&w, needs, n, 0));
            assert_int_equal(copied(&w), n_forks);
            assert_int_equal(kv_pages_free(w.kv), 0);
            world_free(&w);
        }
}

/* One page fewer than test_reserve_many needs: refused, and after one drop allowed. */
static void test_reserve_all_or_nothing(void **state) {
    (void)state;
    struct world w;
    world_new(&w, 2 + 2);
    uint32_t parent = world_seq(&w);
    append(&w, parent, P + 1);
    uint32_t a = world_fork(&w, parent), b = world_fork(&w, parent), c = world_fork(&w, parent);
    struct kv_need needs[] = {{a, 1}, {b, 1}, {c, 1}};
    assert_false(world_append(&w, needs, 3, 0));
    world_drop(&w, parent);
    assert_true(world_append(&w, needs, 3, 0));
    assert_int_equal(copied(&w), 2);
    /* One sequence past the context refuses the call for the others too. */
    struct kv_need too_long[] = {{a, 1}, {b, MAX_TOKENS}};
    assert_false(world_append(&w, too_long, 2, 0));
    too_long[1].n_tokens = UINT32_MAX;
    assert_false(world_append(&w, too_long, 2, 0));
    assert_true(world_append(&w, NULL, 0, 0));
    world_free(&w);
}

static void test_full_context(void **state) {
    (void)state;
    struct world w;
    world_new(&w, CAP);
    uint32_t seq = world_seq(&w);
    assert_true(append(&w, seq, MAX_TOKENS));
    assert_false(append(&w, seq, 1));
    assert_true(append(&w, seq, 0));
    world_truncate(&w, seq, MAX_TOKENS - 1);
    assert_true(append(&w, seq, 1));
    world_free(&w);
}

/* Reserved but never written: kept for the next reserve, left out of forks, given back by truncate. */
static void test_reserved_pages(void **state) {
    (void)state;
    struct world w;
    world_new(&w, 10);
    uint32_t seq = world_seq(&w);
    world_append(&w, &(struct kv_need){seq, 3 * P}, 1, 3 * P - 5);
    assert_int_equal(kv_len(w.kv, seq), 5);
    assert_int_equal(kv_stats(w.kv).pages_used, 3);
    uint32_t child = world_fork(&w, seq);
    assert_int_equal(kv_pages_owned(w.kv, seq), 2);
    append(&w, child, 2 * P);
    append(&w, seq, 2 * P);
    assert_int_equal(copied(&w), 1);
    assert_int_equal(kv_stats(w.kv).pages_used, 6);
    world_append(&w, &(struct kv_need){seq, 2 * P}, 1, 2 * P);
    world_truncate(&w, seq, 2 * P + 5);
    assert_int_equal(kv_stats(w.kv).pages_used, 6);
    world_free(&w);
}

/* The pool itself: */

static void test_pages_do_not_overlap(void **state) {
    (void)state;
    enum { L = 3, H = 5, D = 7, PAGES = 4, N = PAGES * L * H * 2 * D * P };
    struct kv *kv;
    assert_int_equal(
        kv_new((struct kv_shape){.n_layer = L, .n_head_kv = H, .head_dim = D, .type = KV_F16}, PAGES, 1, 20, &kv, NULL),
        OK);
    assert_int_equal(kv_page_bytes(kv) * PAGES, N * sizeof(uint16_t));
    for (int writing = 1; writing >= 0; writing--) {
        uint16_t value = 0;
        for (uint32_t page = 0; page < PAGES; page++)
            for (uint32_t l = 0; l < L; l++)
                for (uint32_t i = 0; i < H * 2 * D * P; i++) {
                    uint32_t h = i / (2 * D * P), rest = i % (2 * D * P);
                    uint16_t *at = rest < D * P ? kv_k(kv, page, l, h) + rest : kv_v(kv, page, l, h) + rest - D * P;
                    if (writing) *at = value++;
                    else if (*at != value++)
                        fail_msg("page %u, layer %u, head %u, half %u was overwritten", page, l, h, rest);
                }
    }
    kv_free(&kv);
}

static void test_check_finds_damage(void **state) {
    (void)state;
    struct world w;
    struct error e;
    world_new(&w, 8);
    uint32_t a = world_seq(&w);
    append(&w, a, 2 * P);
    uint32_t *entry = (uint32_t *)kv_table(w.kv, a), kept = *entry;
    static const char *const want[] = {"page 0: count 1, 0 entries name it",
                                       "sequence 1: entry 0 is page 99, out of range or reserved and shared"};
    for (int i = 0; i < 2; i++) {
        *entry = i ? 99 : 1;
        assert_false(kv_check(w.kv, &e));
        assert_string_equal(e.text, want[i]);
        assert_false(kv_check(w.kv, NULL));
    }
    *entry = kept;
    world_free(&w);
}

static void test_new_refusals(void **state) {
    (void)state;
    struct kv_shape shape = {.n_layer = 1, .n_head_kv = 1, .head_dim = 8, .type = KV_F16}, huge = shape, large = shape;
    huge.n_layer = huge.n_head_kv = huge.head_dim = 65535, large.n_layer = large.n_head_kv = large.head_dim = 1024;
    struct error e;
    struct kv *kv = (struct kv *)&e;
    assert_int_equal(
        kv_new((struct kv_shape){.n_layer = 0, .n_head_kv = 1, .head_dim = 8, .type = KV_F16}, 1, 1, 1, &kv, &e),
        ERR_INPUT);
    assert_null(kv);
    assert_int_equal(
        kv_new((struct kv_shape){.n_layer = 1, .n_head_kv = 0, .head_dim = 8, .type = KV_F16}, 1, 1, 1, &kv, &e),
        ERR_INPUT);
    assert_int_equal(
        kv_new((struct kv_shape){.n_layer = 1, .n_head_kv = 1, .head_dim = 0, .type = KV_F16}, 1, 1, 1, &kv, &e),
        ERR_INPUT);
    assert_int_equal(kv_new(shape, 0, 1, 1, &kv, &e), ERR_INPUT);
    assert_int_equal(kv_new(shape, 1, 0, 1, &kv, &e), ERR_INPUT);
    assert_int_equal(kv_new(shape, 1, 1, 0, &kv, &e), ERR_INPUT);
    assert_int_equal(kv_new(huge, UINT32_MAX, 1, 1, &kv, &e), ERR_MEMORY); /* the product overflows */
    assert_int_equal(kv_new(large, 1u << 20, 1, 1, &kv, &e), ERR_MEMORY);  /* the system says no */
    mem_fail_at(0, false);
    assert_int_equal(kv_new(shape, 4, 4, 40, &kv, &e), OK);
    size_t n = mem_fail_at(0, false);
    kv_free(&kv);
    for (size_t i = 1; i <= n; i++) {
        mem_fail_at(i, false);
        enum status s = kv_new(shape, 4, 4, 40, &kv, &e);
        mem_fail_at(0, false);
        if (s != ERR_MEMORY || kv) fail_msg("allocation %zu of %zu failed: status %d", i, n, s);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random),
        cmocka_unit_test(test_fork_at_edges),
        cmocka_unit_test(test_parent_dropped_first),
        cmocka_unit_test(test_double_fork),
        cmocka_unit_test(test_truncate_into_shared),
        cmocka_unit_test(test_reserve_many),
        cmocka_unit_test(test_reserve_all_or_nothing),
        cmocka_unit_test(test_full_context),
        cmocka_unit_test(test_reserved_pages),
        cmocka_unit_test(test_pages_do_not_overlap),
        cmocka_unit_test(test_check_finds_damage),
        cmocka_unit_test(test_new_refusals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
