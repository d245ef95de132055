/* kv.c: sequences: page tables that fork, grow, are cut, and begin with remembered pages.
 * Not pages and their memory: kv_pages.c.  Not a policy: who is dropped when pages run out is decided by the search.
 * Next: kv_pages.c; engine.c, which reserves, lets the forward pass write, and advances. */
#include <assert.h>
#include <string.h>

#include "base/mem.h"
#include "model/kv_internal.h"

static struct sequence *sequence(const struct kv *kv, uint32_t seq) {
    assert(seq >= 1 && seq <= kv->n_seqs && kv->seqs[seq].holder);
    return &kv->seqs[seq];
}

/* ---- life of the pool ---- */

static bool allocate(struct kv *kv) {
    size_t n_entries;
    if (!kv_parts_new(kv) || !mul_size(kv->n_seqs, kv->cap_pages, &n_entries)) return false;
    const size_t n = kv->n_pages;
    return (kv->tables = mem_new(n_entries, sizeof *kv->tables)) &&
           (kv->seqs = mem_new((size_t)kv->n_seqs + 1, sizeof *kv->seqs)) && (kv->ref = mem_new(n, sizeof *kv->ref)) &&
           (kv->seen = mem_new(n, sizeof *kv->seen)) && (kv->backed = mem_new(n, sizeof *kv->backed)) &&
           (kv->free_pages = mem_new(n, sizeof *kv->free_pages)) &&
           (kv->free_seqs = mem_new(kv->n_seqs, sizeof *kv->free_seqs)) &&
           (kv->recount = mem_new(n, sizeof *kv->recount)) && (kv->recount_seen = mem_new(n, sizeof *kv->recount)) &&
           (kv->recount_holders = mem_new(n, sizeof *kv->recount)) &&
           (kv->recount_seers = mem_new(n, sizeof *kv->recount)) && (kv->prefix = prefix_new(kv->n_pages, kv->n_pages));
}

enum status kv_new(struct kv_shape shape, uint32_t n_pages, uint32_t n_seqs, uint32_t max_tokens, struct kv **out,
                   struct error *e) {
    *out = NULL;
    if (!shape.n_layer || !shape.n_head_kv || !shape.head_dim)
        return error_set(e, ERR_INPUT, "KV cache: %u layers, %u heads, head size %u; each must be at least 1",
                         shape.n_layer, shape.n_head_kv, shape.head_dim);
    if (!n_pages || !n_seqs || !max_tokens)
        return error_set(e, ERR_INPUT, "KV cache: %u pages, %u sequences, %u tokens; each must be at least 1", n_pages,
                         n_seqs, max_tokens);
    struct kv *kv = mem_new(1, sizeof *kv);
    if (!kv) return error_set(e, ERR_MEMORY, "no memory for the KV cache");
    kv->shape = shape;
    kv->n_pages = n_pages, kv->n_seqs = n_seqs, kv->max_tokens = max_tokens, kv->cap_pages = kv_pages_of(max_tokens);
    if (!allocate(kv)) {
        kv_free(&kv);
        return error_set(e, ERR_MEMORY, "no memory for a KV cache of %u pages and %u sequences of %u tokens", n_pages,
                         n_seqs, max_tokens);
    }
    /* Low numbers on top of the stacks. */
    for (uint32_t i = 0; i < kv->n_pages; i++) kv->free_pages[i] = kv->n_pages - 1 - i;
    for (uint32_t i = 0; i < n_seqs; i++) kv->free_seqs[i] = n_seqs - i;
    kv->n_free_pages = kv->n_pages, kv->n_free_seqs = n_seqs;
    *out = kv;
    return OK;
}

void kv_free(struct kv **kvp) {
    struct kv *kv = *kvp;
    if (!kv) return;
    for (struct kv_holder *h = kv->holders; h; h = kv->holders) kv_holder_free(kv, &h);
    kv_parts_free(kv);
    mem_free(kv->tables), mem_free(kv->seqs);
    mem_free(kv->ref), mem_free(kv->seen), mem_free(kv->backed);
    mem_free(kv->free_pages), mem_free(kv->free_seqs);
    mem_free(kv->recount), mem_free(kv->recount_seen), mem_free(kv->recount_holders), mem_free(kv->recount_seers);
    prefix_free(&kv->prefix);
    mem_free(kv);
    *kvp = NULL;
}

/* ---- holders ---- */

struct kv_holder *kv_holder_new(struct kv *kv) {
    struct kv_holder *h = mem_new(1, sizeof *h);
    if (!h) return NULL;
    h->ref = mem_new(kv->n_pages, sizeof *h->ref);
    if (kv->window.room) h->seen = mem_new(kv->n_pages, sizeof *h->seen);
    if (!h->ref || (kv->window.room && !h->seen)) {
        mem_free(h->ref), mem_free(h->seen), mem_free(h);
        return NULL;
    }
    if ((h->next = kv->holders)) h->next->prev = h;
    return kv->holders = h;
}

void kv_holder_free(struct kv *kv, struct kv_holder **hp) {
    struct kv_holder *h = *hp;
    if (!h) return;
    for (uint32_t seq = 1; seq <= kv->n_seqs; seq++) {
        uint32_t mine = seq;
        if (kv->seqs[seq].holder == h) kv_drop(kv, &mine);
    }
    assert(h->room == 0);
    if (h->next) h->next->prev = h->prev;
    if (h->prev) h->prev->next = h->next;
    else kv->holders = h->next;
    mem_free(h->ref), mem_free(h->seen);
    mem_free(h);
    *hp = NULL;
}

uint64_t kv_held(const struct kv_holder *h) { return h->room; }

/* ---- sequences ---- */

uint32_t kv_seq_new(struct kv *kv, struct kv_holder *h) {
    if (!kv->n_free_seqs) return 0;
    uint32_t seq = kv->free_seqs[--kv->n_free_seqs];
    kv->seqs[seq] = (struct sequence){.holder = h};
    return seq;
}

uint32_t kv_fork(struct kv *kv, uint32_t seq) {
    const struct sequence *parent = sequence(kv, seq);
    uint32_t child = kv_seq_new(kv, parent->holder);
    if (!child) return 0;
    uint32_t n = kv_pages_of(parent->len);
    const uint32_t *restrict from = kv_entries(kv, seq);
    uint32_t *restrict to = kv_entries(kv, child), *restrict ref = parent->holder->ref;
    memcpy(to, from, n * sizeof *to);
    for (uint32_t i = 0; i < n; i++) ref[from[i]]++;
    for (uint32_t i = parent->seen0; kv->window.room && i < n; i++) parent->holder->seen[from[i]]++;
    kv->seqs[child].len = parent->len, kv->seqs[child].seen0 = parent->seen0;
    kv->seqs[child].n_pages = n;
    kv->stats.forks++;
    return child;
}

/* What the holder must see again when it is cut. */
uint64_t kv_room_to_cut(const struct kv *kv, uint32_t seq, uint32_t len) {
    const struct sequence *s = sequence(kv, seq);
    const uint32_t *pages = kv_entries(kv, seq), n = kv_pages_of(len), end = n < s->seen0 ? n : s->seen0;
    int64_t room = 0;
    for (uint32_t i = kv_seen_from(kv, len); i < end; i++) {
        if (!kv->backed[pages[i]]) return UINT64_MAX;
        if (!s->holder->seen[pages[i]]) room += kv->window.room;
    }
    for (uint32_t i = n; room > 0 && i < s->n_pages; i++) { /* what goes makes room for it */
        if (s->holder->ref[pages[i]] == 1) room -= kv->full.room;
        if (i >= s->seen0 && s->holder->seen[pages[i]] == 1) room -= kv->window.room;
    }
    return room > 0 ? (uint64_t)room : 0;
}

uint32_t kv_truncate(struct kv *kv, uint32_t seq, uint32_t len) {
    struct sequence *s = sequence(kv, seq);
    assert(len <= s->len);
    if (kv_room_to_cut(kv, seq, len) == UINT64_MAX) len = 0;
    const uint32_t *pages = kv_entries(kv, seq), n = kv_pages_of(len), first = kv_seen_from(kv, len);
    for (uint32_t i = first; i < s->seen0 && i < n; i++) kv_see_page(kv, s->holder, pages[i]);
    for (uint32_t i = s->seen0 > n ? s->seen0 : n; kv->window.room && i < s->n_pages; i++)
        kv_unsee_page(kv, s->holder, pages[i]);
    while (s->n_pages > n) kv_release_page(kv, s->holder, pages[--s->n_pages]);
    if (first < s->seen0) s->seen0 = first;
    return s->len = len;
}

void kv_drop(struct kv *kv, uint32_t *seq) {
    if (!*seq) return;
    kv_truncate(kv, *seq, 0);
    kv->seqs[*seq].holder = NULL;
    kv->free_seqs[kv->n_free_seqs++] = *seq;
    *seq = 0;
}

/* The page that the next token goes into, when it already holds some; NULL at a page border. */
static uint32_t *partial_page(const struct kv *kv, uint32_t seq) {
    uint32_t len = kv->seqs[seq].len;
    return len % KV_PAGE ? kv_entries(kv, seq) + len / KV_PAGE : NULL;
}

/* Forks of one partial page give up their claims one after the other, as kv_make_writable will do it, so that the last
 * owner is not counted (unless the page is remembered); then the claims are put back. */
uint64_t kv_room_needed(struct kv *kv, const struct kv_need *needs, size_t n, uint32_t piece) {
    uint64_t room = 0;
    for (size_t i = 0; i < n; i++) {
        const struct sequence *s = sequence(kv, needs[i].seq);
        uint32_t after = kv_pages_of((uint64_t)s->len + needs[i].n_tokens);
        if (after > s->n_pages) room += kv_room_of(kv, after - s->n_pages, piece);
        uint32_t *entry = needs[i].n_tokens ? partial_page(kv, needs[i].seq) : NULL;
        if (!entry) continue;
        assert(s->holder->ref[*entry] > 0); /* fails when a sequence is named twice */
        if (s->holder->ref[*entry]-- > 1 || kv->ref[*entry] > 1 || prefix_has(kv->prefix, *entry))
            room += kv_page_room(kv);
    }
    for (size_t i = 0; i < n; i++) {
        uint32_t *entry = needs[i].n_tokens ? partial_page(kv, needs[i].seq) : NULL;
        if (entry) kv->seqs[needs[i].seq].holder->ref[*entry]++;
    }
    return room;
}

enum status kv_reserve(struct kv *kv, const struct kv_need *needs, size_t n, struct error *e) {
    for (size_t i = 0; i < n; i++) {
        uint32_t len = sequence(kv, needs[i].seq)->len;
        if (needs[i].n_tokens > kv->max_tokens - len)
            return error_set(e, ERR_FULL, "context: %u tokens and %u more, at most %u", len, needs[i].n_tokens,
                             kv->max_tokens);
    }
    uint64_t room = kv_room_needed(kv, needs, n, UINT32_MAX), page = kv_page_room(kv);
    if (room > kv->room - kv->room_used)
        return error_set(e, ERR_FULL, "KV cache: %llu pages needed, %u of %llu free",
                         (unsigned long long)((room + page - 1) / page), kv_pages_free(kv),
                         (unsigned long long)(kv->room / page));
    for (size_t i = 0; i < n; i++) {
        uint32_t *pages_of_seq = kv_entries(kv, needs[i].seq);
        struct sequence *s = sequence(kv, needs[i].seq);
        uint32_t *entry = needs[i].n_tokens ? partial_page(kv, needs[i].seq) : NULL;
        if (entry) kv_make_writable(kv, s->holder, entry);
        uint32_t after = kv_pages_of((uint64_t)s->len + needs[i].n_tokens);
        while (s->n_pages < after) pages_of_seq[s->n_pages++] = kv_take_page(kv, s->holder);
    }
    return OK;
}

uint64_t kv_advance(struct kv *kv, uint32_t seq, uint32_t n_tokens) {
    struct sequence *s = sequence(kv, seq);
    assert((uint64_t)s->len + n_tokens <= (uint64_t)s->n_pages * KV_PAGE);
    /* Else a shared page was written: not reserved, or forked between reserve and advance. */
    assert(
        !n_tokens || !partial_page(kv, seq) ||
        (kv_is_only_entry(kv, s->holder, *partial_page(kv, seq)) && !prefix_has(kv->prefix, *partial_page(kv, seq))));
    const uint64_t room = s->holder->room;
    s->len += n_tokens;
    for (const uint32_t from = kv_kept_from(kv, s->len); s->seen0 < from; s->seen0++)
        kv_unsee_page(kv, s->holder, kv_entries(kv, seq)[s->seen0]);
    return room - s->holder->room;
}

/* ---- remembered prefixes ---- */

/* Full pages that are remembered, up to a length at which window layers find all that they see there. */
uint32_t kv_prefix_length(const struct kv *kv, const int32_t *tokens, uint32_t n) {
    uint32_t len = 0, best = 0, page = PREFIX_NONE, unbroken = 0; /* from this entry on no window part is lost */
    while (len + KV_PAGE < n && (page = prefix_find(kv->prefix, page, tokens + len)) != PREFIX_NONE) {
        len += KV_PAGE;
        if (kv->window.room && !kv->backed[page]) unbroken = len / KV_PAGE;
        if (kv_seen_from(kv, len) >= unbroken) best = len;
    }
    return best;
}

uint32_t kv_prefix_lookup(struct kv *kv, uint32_t seq, const int32_t *tokens, uint32_t n) {
    struct sequence *s = sequence(kv, seq);
    assert(s->len == 0);
    kv_truncate(kv, seq, 0);
    const uint32_t len = kv_prefix_length(kv, tokens, n);
    uint32_t page = PREFIX_NONE;
    kv->stats.prefix_tokens_asked += n;
    s->seen0 = kv_seen_from(kv, len);
    for (; s->len < len; s->len += KV_PAGE) {
        page = prefix_find(kv->prefix, page, tokens + s->len);
        if (!kv->ref[page]) prefix_hold(kv->prefix, page);
        kv_hold_page(kv, s->holder, page);
        if (s->n_pages >= s->seen0) kv_see_page(kv, s->holder, page);
        kv_entries(kv, seq)[s->n_pages++] = page;
    }
    kv->stats.prefix_tokens_hit += len;
    return len;
}

/* The remembered page `known` takes the place of ours, which has the same bits; false: it cannot. */
static bool take_known(struct kv *kv, const struct sequence *s, uint32_t *entry, uint32_t known, bool sees) {
    const bool lacks = kv->backed[*entry] && !kv->backed[known], alone = kv_is_only_entry(kv, s->holder, *entry);
    if (lacks && sees && !alone) return false;
    if (!kv->ref[known]) prefix_hold(kv->prefix, known);
    kv_hold_page(kv, s->holder, known);
    if (lacks && alone) kv_move_window_part(kv, *entry, known);
    if (sees) kv_see_page(kv, s->holder, known), kv_unsee_page(kv, s->holder, *entry);
    kv_release_page(kv, s->holder, *entry);
    *entry = known;
    return true;
}

/* Who holds a remembered page must hold its parent (prefix.h).  So a page of another sequence with the same text takes
 * the place of ours, which has the same bits, and a page that forks hold too, whose tables we do not see, ends the
 * walk. */
void kv_prefix_insert(struct kv *kv, uint32_t seq, const int32_t *tokens, uint32_t n) {
    const struct sequence *s = sequence(kv, seq);
    uint32_t *pages = kv_entries(kv, seq), parent = PREFIX_NONE;
    assert(n <= s->len);
    for (uint32_t i = 0; i < n / KV_PAGE; parent = pages[i++]) {
        uint32_t known = prefix_find(kv->prefix, parent, tokens + (size_t)i * KV_PAGE);
        if (known == pages[i]) continue;
        if (prefix_has(kv->prefix, pages[i])) return; /* under other tokens: the caller errs */
        if (known != PREFIX_NONE) {
            if (!take_known(kv, s, &pages[i], known, i >= s->seen0)) return;
        } else {
            if (!kv_is_only_entry(kv, s->holder, pages[i])) return;
            prefix_add(kv->prefix, parent, tokens + (size_t)i * KV_PAGE, pages[i]);
        }
    }
}

/* ---- looking ---- */

uint32_t kv_len(const struct kv *kv, uint32_t seq) { return sequence(kv, seq)->len; }

const uint32_t *kv_table(const struct kv *kv, uint32_t seq) {
    (void)sequence(kv, seq);
    return kv_entries(kv, seq);
}

enum kv_type kv_type(const struct kv *kv) { return kv->shape.type; }
size_t kv_page_bytes(const struct kv *kv) { return kv->full.bytes + kv->window.bytes; }
uint32_t kv_page_room(const struct kv *kv) { return kv->full.room + kv->window.room; }
uint64_t kv_room(const struct kv *kv) { return kv->room; }
uint32_t kv_pages_free(const struct kv *kv) { return (uint32_t)((kv->room - kv->room_used) / kv_page_room(kv)); }
struct kv_stats kv_stats(const struct kv *kv) {
    struct kv_stats s = kv->stats;
    s.pages_remembered = prefix_n_pages(kv->prefix), s.pages_idle = prefix_n_idle(kv->prefix);
    return s;
}

uint32_t kv_pages_owned(const struct kv *kv, uint32_t seq) {
    const struct sequence *s = sequence(kv, seq);
    const uint32_t *pages = kv_entries(kv, seq);
    uint32_t n = 0;
    for (uint32_t i = 0; i < s->n_pages; i++) n += kv_is_only_entry(kv, s->holder, pages[i]);
    return n;
}
