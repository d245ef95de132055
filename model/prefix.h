/* prefix.h: which pages are remembered, and under which tokens.  Private to kv.c and the tests.
 * Not the pages and not their counts: kv.c, which says when the last sequence lets go of one.
 * Next: prefix.c.
 *
 * A full page means: these KV_PAGE tokens after all tokens of the page before it.  So its address is (parent page, tokens):
 *
 *   (none, "You are a")--(0, "helpful as")--(4, "sistant. W")      page 7 has one parent: the page of the same text that
 *         page 0               page 4    \---(4, "sistant. T")      sequences share, so equal texts meet in equal pages
 *                                  pages 7 and 9
 *
 * A page that no sequence holds is idle: still remembered, and free for others.  kv.c sees to it that who holds a page
 * holds its parent too, so below an idle page all is idle, and forgetting leaves can free every idle page. */
#ifndef PONDER_PREFIX_H
#define PONDER_PREFIX_H

#include <stdbool.h>

#include "base/status.h"
#include "ops/ops.h"

#define PREFIX_NONE UINT32_MAX /* no page; as a parent: the beginning of a text */

struct prefix;

/* For pages 0..n_pages-1; hashes fall into n_buckets, any number from 1.  NULL: no memory.  Nothing else allocates. */
struct prefix *prefix_new(uint32_t n_pages, uint32_t n_buckets);
void prefix_free(struct prefix **p);

/* The page of these KV_PAGE tokens after `parent`, or PREFIX_NONE.  Tokens are compared, so that equal hashes do no harm. */
uint32_t prefix_find(const struct prefix *p, uint32_t parent, const int32_t *tokens);
/* Remembers a page that a sequence holds.  The address is not taken, the parent remembered. */
void prefix_add(struct prefix *p, uint32_t parent, const int32_t *tokens, uint32_t page);
bool prefix_has(const struct prefix *p, uint32_t page);
uint32_t prefix_parent(const struct prefix *p, uint32_t page);

/* The first sequence takes a remembered page; the last one lets go of it. */
void prefix_hold(struct prefix *p, uint32_t page);
void prefix_let_go(struct prefix *p, uint32_t page);
/* Forgets the idle page without remembered children that was let go first, and returns it.  There is an idle page. */
uint32_t prefix_evict(struct prefix *p);

uint32_t prefix_n_pages(const struct prefix *p);
uint32_t prefix_n_idle(const struct prefix *p);
/* Idle == no reference; parents remembered, held when a child is, and with the right number of children; every page found in
 * its bucket under its address and once; the list of evictable pages complete and in order. */
bool prefix_check(const struct prefix *p, const uint32_t *ref, struct error *e);

#endif
