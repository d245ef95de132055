/* kv_check.c: the invariants of the KV cache, counted again from the tables.
 * Not a test: tests/test_kv.c and tests/test_prefix.c call it after every step.
 * Next: prefix.c. */
#include <string.h>

#include "model/kv_internal.h"

/* Counts the entries of one table; false with the reason when the table itself is wrong. */
static bool recount_sequence(const struct kv *kv, uint32_t seq, struct error *e) {
    const struct sequence *s = &kv->seqs[seq];
    if (s->len > kv->max_tokens || s->n_pages > kv->cap_pages || s->n_pages < kv_pages_of(s->len)) {
        error_set(e, ERR_INPUT, "sequence %u: %u tokens in %u pages", seq, s->len, s->n_pages);
        return false;
    }
    for (uint32_t i = 0; i < s->n_pages; i++) {
        uint32_t page = kv_entries(kv, seq)[i];
        bool known = page < kv->n_pages && prefix_has(kv->prefix, page);
        if (page >= kv->n_pages || (i >= kv_pages_of(s->len) && (!kv_is_only_entry(kv, s->holder, page) || known))) {
            error_set(e, ERR_INPUT, "sequence %u: entry %u is page %u, out of range or reserved and shared", seq, i,
                      page);
            return false;
        }
        if (known && prefix_parent(kv->prefix, page) != (i ? kv_entries(kv, seq)[i - 1] : PREFIX_NONE)) {
            error_set(e, ERR_INPUT, "sequence %u: entry %u is page %u, remembered after another page", seq, i, page);
            return false;
        }
        kv->recount[page]++;
        if (kv->window.room && i >= s->seen0) kv->recount_seen[page]++;
    }
    if (s->seen0 <= (s->len ? kv_seen_from(kv, s->len) : 0)) return true;
    error_set(e, ERR_INPUT, "sequence %u of %u tokens: window parts are kept from entry %u on only", seq, s->len,
              s->seen0);
    return false;
}

static bool wrong_count(struct error *e, uint32_t page, const char *what, uint32_t count, uint32_t n) {
    error_set(e, ERR_INPUT, "page %u: count %u, %u %s", page, count, n, what);
    return false;
}

/* The entries of one holder's tables against its counts; adds its pages to recount_holders. */
static bool recount_holder(const struct kv *kv, const struct kv_holder *h, uint32_t *n_live, struct error *e) {
    uint64_t room = 0;
    memset(kv->recount, 0, kv->n_pages * sizeof *kv->recount);
    memset(kv->recount_seen, 0, kv->n_pages * sizeof *kv->recount);
    for (uint32_t seq = 1; seq <= kv->n_seqs; seq++) {
        if (kv->seqs[seq].holder != h) continue;
        ++*n_live;
        if (!recount_sequence(kv, seq, e)) return false;
    }
    for (uint32_t page = 0; page < kv->n_pages; page++) {
        const uint32_t n = kv->recount[page], n_seen = kv->recount_seen[page], seen = h->seen ? h->seen[page] : 0;
        if (n != h->ref[page]) return wrong_count(e, page, "entries name it", h->ref[page], n);
        if (n_seen != seen) return wrong_count(e, page, "entries see it", seen, n_seen);
        kv->recount_holders[page] += n > 0, kv->recount_seers[page] += n_seen > 0;
        room += (n > 0) * kv->full.room + (n_seen > 0) * kv->window.room;
    }
    if (room == h->room) return true;
    error_set(e, ERR_INPUT, "room %llu held, %llu counted", (unsigned long long)room, (unsigned long long)h->room);
    return false;
}

/* The holders of each page, and the room of all: counted against recount_holders and recount_seers. */
static bool recount_pages(const struct kv *kv, uint32_t *n_used, struct error *e) {
    uint64_t used = 0, backed = (uint64_t)(kv->n_pages - kv->n_free_pages) * kv->full.room;
    for (uint32_t page = 0; page < kv->n_pages; page++) {
        const uint32_t n = kv->recount_holders[page], n_seen = kv->recount_seers[page];
        if (n != kv->ref[page]) return wrong_count(e, page, "holders name it", kv->ref[page], n);
        if (n_seen != kv->seen[page]) return wrong_count(e, page, "holders see it", kv->seen[page], n_seen);
        if (n_seen && !kv->backed[page]) return wrong_count(e, page, "holders see it, and it is lost", 0, n_seen);
        *n_used += n > 0;
        used += (n > 0) * kv->full.room + (n_seen > 0) * kv->window.room, backed += kv->backed[page] * kv->window.room;
    }
    if (used == kv->room_used && backed == kv->room_backed && used <= kv->room && backed <= kv->room) return true;
    error_set(e, ERR_INPUT, "room %llu: %llu used, %llu counted; %llu with bytes, %llu counted",
              (unsigned long long)kv->room, (unsigned long long)used, (unsigned long long)kv->room_used,
              (unsigned long long)backed, (unsigned long long)kv->room_backed);
    return false;
}

bool kv_check(const struct kv *kv, struct error *e) {
    uint32_t n_live = 0, n_used = 0, n_idle = prefix_n_idle(kv->prefix), *counted = kv->recount_holders;
    memset(kv->recount_holders, 0, kv->n_pages * sizeof *kv->recount_holders);
    memset(kv->recount_seers, 0, kv->n_pages * sizeof *kv->recount_seers);
    for (const struct kv_holder *h = kv->holders; h; h = h->next)
        if (!recount_holder(kv, h, &n_live, e)) return false;
    if (!recount_pages(kv, &n_used, e)) return false;
    if (n_used != kv->stats.pages_used || n_used + n_idle + kv->n_free_pages != kv->n_pages ||
        n_live + kv->n_free_seqs != kv->n_seqs) {
        error_set(e, ERR_INPUT,
                  "%u pages used (%u by stats), %u idle, %u free, %u in all; %u sequences live, %u free, %u in all",
                  n_used, kv->stats.pages_used, n_idle, kv->n_free_pages, kv->n_pages, n_live, kv->n_free_seqs,
                  kv->n_seqs);
        return false;
    }
    for (uint32_t i = 0; i < kv->n_free_pages; i++) {
        uint32_t page = kv->free_pages[i];
        if (page >= kv->n_pages || prefix_has(kv->prefix, page) || kv->backed[page] ||
            counted[page]++) { /* a second visit finds 1 */
            error_set(e, ERR_INPUT, "page %u: free, and used, remembered or free twice", page);
            return false;
        }
    }
    return prefix_check(kv->prefix, kv->ref, e);
}
