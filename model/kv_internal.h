/* kv_internal.h: the pool and the sequences, for the files that share them: kv.c keeps tables, kv_pages.c pages and
 * their memory, kv_check.c the invariants.
 * Not for callers: kv.h.
 * Next: kv_pages.c. */
#ifndef PONDER_KV_INTERNAL_H
#define PONDER_KV_INTERNAL_H

#include <assert.h>

#include "model/kv.h"
#include "model/prefix.h"

/* A table holds the pages of len tokens and, between reserve and advance, the pages for the tokens to come; those were
 * taken by this sequence and a fork leaves them out, so they are never shared. */
struct sequence {
    uint32_t len, n_pages;
    uint32_t seen0;           /* the sequence sees the window parts of entries [seen0, n_pages) */
    struct kv_holder *holder; /* NULL: the sequence is free */
};

/* Two counts stand behind a page, so that forking touches one of them only: how many table entries of each holder name
 * it, and how many holders do.  The same for its window part: entries that see it, and holders that have such. */
struct kv_holder {
    uint32_t *ref;                 /* [n_pages] entries of its tables that name this page */
    uint32_t *seen;                /* [n_pages] those that see its window part; NULL without window layers */
    uint64_t room;                 /* of what has a count */
    struct kv_holder *next, *prev; /* in the list of all */
};

/* One part of all pages. */
struct kv_part {
    size_t bytes; /* of one page; 0: no layer is in it */
    uint32_t room;
    char *data; /* [n_pages][bytes] address space: the system backs it where it is written */
};

struct kv_layer {
    const struct kv_part *part;
    size_t at; /* in a page's part */
};

struct kv {
    /* constant after kv_new */
    struct kv_shape shape;
    uint32_t n_pages, n_seqs, max_tokens, cap_pages; /* cap_pages: entries of one table */
    size_t k_bytes, head_bytes;                      /* of one head of a page: K, and K and V */
    uint64_t room;                                   /* of all that is held at most */
    struct kv_part full, window;                     /* of layers that see all, and of those with a window */
    struct kv_layer *layers;                         /* [n_layer] */
    uint32_t *tables;                                /* [n_seqs][cap_pages] */

    struct sequence *seqs;            /* [n_seqs + 1], 0 unused */
    struct kv_holder *holders;        /* list */
    uint32_t *ref;                    /* [n_pages] holders that name this page */
    uint32_t *seen;                   /* [n_pages] holders that see its window part */
    bool *backed;                     /* [n_pages] the window part has its bytes */
    struct prefix *prefix;            /* remembered pages; with count 0 they are idle: neither used nor on the stack */
    uint32_t *free_pages, *free_seqs; /* stacks */
    uint32_t n_free_pages, n_free_seqs;
    uint64_t room_used, room_backed; /* of what has a count; with idle pages and unseen parts */
    uint32_t hand;                   /* where the search for an unseen part goes on */
    uint32_t *recount, *recount_seen, *recount_holders, *recount_seers; /* [n_pages] for kv_check */
    struct kv_stats stats;
};

static inline uint32_t kv_pages_of(uint64_t n_tokens) { return (uint32_t)((n_tokens + KV_PAGE - 1) / KV_PAGE); }
static inline uint32_t *kv_entries(const struct kv *kv, uint32_t seq) {
    return kv->tables + (size_t)(seq - 1) * kv->cap_pages;
}

/* ---- kv_pages.c ---- */

/* The pool's memory; false: none, and kv_parts_free cleans up. */
bool kv_parts_new(struct kv *kv);
void kv_parts_free(struct kv *kv);

/* Only this table entry names the page. */
bool kv_is_only_entry(const struct kv *kv, const struct kv_holder *h, uint32_t page);
/* One entry of the holder's tables more, one less. */
void kv_hold_page(struct kv *kv, struct kv_holder *h, uint32_t page);
void kv_let_go(struct kv *kv, struct kv_holder *h, uint32_t page); /* that was its last */
static inline void kv_release_page(struct kv *kv, struct kv_holder *h, uint32_t page) {
    assert(h->ref[page] > 0);
    if (!--h->ref[page]) kv_let_go(kv, h, page);
}
/* One entry more sees the window part, which has its bytes; one less. */
void kv_see_page(struct kv *kv, struct kv_holder *h, uint32_t page);
void kv_unsee_page(struct kv *kv, struct kv_holder *h, uint32_t page);
/* A page for an entry that sees it, both parts zeroed; the room was looked at before. */
uint32_t kv_take_page(struct kv *kv, struct kv_holder *h);
/* All of copy-on-write. */
void kv_make_writable(struct kv *kv, struct kv_holder *h, uint32_t *entry);
/* The window part of a page that one entry names becomes that of another page, which has none. */
void kv_move_window_part(struct kv *kv, uint32_t from, uint32_t to);

/* First entry that window layers see from token `len` on, and with the slack. */
uint32_t kv_seen_from(const struct kv *kv, uint32_t len);
uint32_t kv_kept_from(const struct kv *kv, uint32_t len);

#endif
