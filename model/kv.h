/* kv.h: the paged KV cache with copy-on-write forks.
 * Not thread-safe: the engine's lock guards it.  Not attention: that only reads pages.
 * Next: engine.h.
 *
 *   sequence = page table + length.  A page holds KV_PAGE tokens of all layers and a reference count.
 *
 *   root   : [ 4 ][ 7 ][ 9*]        fork copies the table and adds 1 to three counts; no KV is copied
 *   child a: [ 4 ][ 7 ][ 9 ]        the first write into a page whose count is above 1 copies that one page
 *   child b: [ 4 ][ 7 ][ 2*]
 *
 *   page = for each layer, for each kv head:  K, one cell per column, then V, one cell per row, as enum kv_type says.
 *   16 tokens: attention takes several pages at a time, so that larger ones would only make copies and tails longer.
 *
 * Layers with a window read the newest `window` tokens only.  So a page has two parts, one for the layers that see all
 * and one for those with a window, and the second is given back when no sequence sees it any more:
 *
 *   table of a sequence   [ 4 ][ 7 ][ 9 ][ 2 ][ 5*]
 *   full part               x    x    x    x    x      as long as a table names the page
 *   window part             -    -    x    x    x      while a sequence that names the page sees it
 *
 * A window part that nobody sees keeps its bytes until its room is wanted, so that going back is mostly possible
 * (kv_truncate, kv_prefix_lookup).  Memory is counted as room, of which each part of a page takes its own. */
#ifndef PONDER_KV_H
#define PONDER_KV_H

#include <stdbool.h>

#include "base/status.h"
#include "ops/ops.h"

struct kv_shape {
    uint32_t n_layer, n_head_kv, head_dim;
    enum kv_type type;
    uint32_t window;       /* tokens that a window layer sees, the newest included; 0: all */
    const uint64_t *local; /* bit l: layer l has the window; NULL: none has.  Read by the call that gets it only */
};

/* After its newest tokens a window layer is kept this many more: wrong guesses are cut off without a loss. */
enum { KV_SLACK = 2 * KV_PAGE };

/* Written by kv_* only; read them for the ledger. */
struct kv_stats {
    uint64_t forks, pages_copied;
    uint64_t prefix_tokens_asked, prefix_tokens_hit,
        pages_evicted;                     /* of kv_prefix_lookup; remembered pages given to others */
    uint32_t pages_used, pages_peak;       /* held by a sequence */
    uint64_t bytes_used, bytes_peak;       /* of their full parts, and of the window parts that a sequence sees */
    uint32_t pages_remembered, pages_idle; /* idle: remembered and held by none */
};

struct kv; /* pool and sequences */

/* Who holds sequences, so that pages can be counted by holder: a page that several sequences of one holder name counts
 * once for it, and once for every other holder. */
struct kv_holder;

/* Room of n_pages pages, at most n_seqs sequences of at most max_tokens tokens.  All memory is taken here (pages lazily
 * backed by the system).  Sequence ids are 1..n_seqs; 0 is none. */
enum status kv_new(struct kv_shape shape, uint32_t n_pages, uint32_t n_seqs, uint32_t max_tokens, struct kv **out,
                   struct error *e);
void kv_free(struct kv **kv);

/* NULL: no memory.  What it holds is counted in 4 or 8 bytes per page of the pool. */
struct kv_holder *kv_holder_new(struct kv *kv);
void kv_holder_free(struct kv *kv, struct kv_holder **h); /* drops its sequences */
uint64_t kv_held(const struct kv_holder *h);              /* room */

/* 0 when no sequence is free.  No allocation in any of these. */
uint32_t kv_seq_new(struct kv *kv, struct kv_holder *h);
uint32_t kv_fork(struct kv *kv, uint32_t seq); /* of the same holder; well under 1 us for 4k tokens */
void kv_drop(struct kv *kv, uint32_t *seq);    /* nulls it; 0 is allowed */

/* Cuts to len tokens, at most the present length: whole pages are released, reserved ones too; a shared partial page is
 * copied by the next reserve.  Returns the length: len; or 0 when window layers have lost what they see there, which
 * cannot be when at most KV_SLACK of the tokens that were appended are cut off. */
uint32_t kv_truncate(struct kv *kv, uint32_t seq, uint32_t len);
/* Room that its holder will hold more after this cut, for what window layers see there; UINT64_MAX: that is lost. */
uint64_t kv_room_to_cut(const struct kv *kv, uint32_t seq, uint32_t len);

struct kv_need {
    uint32_t seq, n_tokens;
};
/* Room that kv_reserve would take now; when it is called for pieces of at most so many tokens, each advanced before the
 * next, then at most what all of them take less what they give back. */
uint64_t kv_room_needed(struct kv *kv, const struct kv_need *needs, size_t n, uint32_t piece);
/* Makes room for n_tokens more on each sequence (each at most once), all or nothing: takes pages, copies the shared
 * partial ones, zeroes fresh ones.  ERR_FULL when pages run out or a sequence would pass max_tokens; then nothing has
 * changed. */
enum status kv_reserve(struct kv *kv, const struct kv_need *needs, size_t n, struct error *e);
/* After the reserved tokens were written.  No fork between reserve and advance: it would share the page being written.
 * Returns the room that its holder holds less, because windows have moved on. */
uint64_t kv_advance(struct kv *kv, uint32_t seq, uint32_t n_tokens);

/* The first n tokens of the sequence, n <= its length, are these and it was computed from them alone: its full pages
 * are remembered, also after it is gone, until others need the room.  A page of the same text that is remembered
 * already takes the place of the sequence's own.  To be called before forking: pages that forks share already are left
 * out. */
void kv_prefix_insert(struct kv *kv, uint32_t seq, const int32_t *tokens, uint32_t n);
/* On an empty sequence: takes over the longest remembered beginning of these tokens, in full pages and at most n - 1
 * tokens, so that something is left to compute; where window layers have lost what they see there, a shorter one.
 * Returns its length, now that of the sequence. */
uint32_t kv_prefix_lookup(struct kv *kv, uint32_t seq, const int32_t *tokens, uint32_t n);
uint32_t kv_prefix_length(const struct kv *kv, const int32_t *tokens,
                          uint32_t n); /* what kv_prefix_lookup would return */

/* Forgets all remembered pages that no sequence holds: the weights that computed them have changed. */
void kv_prefix_forget(struct kv *kv);

uint32_t kv_len(const struct kv *kv, uint32_t seq);
const uint32_t *kv_table(const struct kv *kv,
                         uint32_t seq); /* page ids, valid until the next change of this sequence */
/* Where K and V of one page begin for one layer and kv head; f16, or what the type says.  The next page's are kv_stride
 * bytes behind. */
uint16_t *kv_k(const struct kv *kv, uint32_t page, uint32_t layer, uint32_t head);
uint16_t *kv_v(const struct kv *kv, uint32_t page, uint32_t layer, uint32_t head);
/* Stores K and V of one token, [head_dim] each, in cell `slot` of a reserved page. */
void kv_write(const struct kv *kv, uint32_t page, uint32_t slot, uint32_t layer, uint32_t head, const float *k,
              const float *v);
enum kv_type kv_type(const struct kv *kv);
/* Bytes of one page; 0: more than a size_t holds. */
size_t kv_shape_bytes(struct kv_shape shape);
/* Pages whose room holds a sequence of n tokens that is read in pieces of at most so many: all of its pages; with
 * window layers fewer. */
uint32_t kv_shape_pages(struct kv_shape shape, uint32_t n_tokens, uint32_t piece);

size_t kv_page_bytes(const struct kv *kv);
size_t kv_stride(const struct kv *kv, uint32_t layer); /* bytes from page to page */
/* Room is counted in units of which a whole page has so many: 1, or with window layers one for each layer. */
uint32_t kv_page_room(const struct kv *kv);
uint64_t kv_room(const struct kv *kv);                                      /* of all */
uint64_t kv_room_of(const struct kv *kv, uint64_t n_pages, uint32_t piece); /* of the pages of one sequence */
uint32_t kv_pages_free(const struct kv *kv); /* whole ones, with the remembered ones that no sequence holds */
/* Pages that dropping this sequence would free. */
uint32_t kv_pages_owned(const struct kv *kv, uint32_t seq);
struct kv_stats kv_stats(const struct kv *kv);
/* References of each holder == its table entries, references of a page == its holders, and the same for window parts;
 * what is seen has its bytes; free + used + idle = all; no page in two of them; lengths fit tables; remembered pages
 * stand in tables after their parents, and prefix_check. */
bool kv_check(const struct kv *kv, struct error *e);

#endif
