/* kv.c: page tables, reference counts and the one function that copies a page on write.
 * Not a policy: who is dropped when pages run out is decided by the search.
 * Next: engine.c, which reserves, lets the forward pass write, and advances. */
#include "model/kv.h"

#include <assert.h>
#include <math.h>
#include <string.h>
#include <sys/mman.h>

#include "base/mem.h"
#include "model/prefix.h"

/* A table holds the pages of len tokens and, between reserve and advance, the pages for the tokens to come; those were
 * taken by this sequence and a fork leaves them out, so they are never shared. */
struct sequence {
    uint32_t len, n_pages;
    struct kv_holder *holder; /* NULL: the sequence is free */
};

/* Two counts stand behind a page, so that forking touches one of them only: how many table entries of each holder name it,
 * and how many holders do. */
struct kv_holder {
    uint32_t *ref;                 /* [n_pages] entries of its tables that name this page */
    uint32_t n_held;               /* pages with a count */
    struct kv_holder *next, *prev; /* in the list of all */
};

struct kv {
    /* constant after kv_new */
    struct kv_shape shape;
    uint32_t n_pages, n_seqs, max_tokens, cap_pages; /* cap_pages: entries of one table */
    size_t page_bytes, head_bytes;                   /* of a page, and of K (or V) of one head of it */
    size_t data_bytes;
    char *data;       /* [n_pages][page_bytes] */
    uint32_t *tables; /* [n_seqs][cap_pages] */

    struct sequence *seqs;            /* [n_seqs + 1], 0 unused */
    struct kv_holder *holders;        /* list */
    uint32_t *ref;                    /* [n_pages] holders that name this page */
    struct prefix *prefix;            /* remembered pages; with count 0 they are idle: neither used nor on the stack */
    uint32_t *free_pages, *free_seqs; /* stacks */
    uint32_t n_free_pages, n_free_seqs;
    uint32_t *recount, *recount_holders; /* [n_pages] for kv_check */
    struct kv_stats stats;
};

static uint32_t pages_of(uint64_t n_tokens) { return (uint32_t)((n_tokens + KV_PAGE - 1) / KV_PAGE); }

static struct sequence *sequence(const struct kv *kv, uint32_t seq) {
    assert(seq >= 1 && seq <= kv->n_seqs && kv->seqs[seq].holder);
    return &kv->seqs[seq];
}

static uint32_t *table(const struct kv *kv, uint32_t seq) { return kv->tables + (size_t)(seq - 1) * kv->cap_pages; }

static char *page_data(const struct kv *kv, uint32_t page) {
    assert(page < kv->n_pages);
    return kv->data + page * kv->page_bytes;
}

/* Pages: */

/* One more entry of the holder's tables. */
static void hold_page(struct kv *kv, struct kv_holder *h, uint32_t page) {
    if (h->ref[page]++) return;
    h->n_held++;
    if (kv->ref[page]++) return;
    kv->stats.pages_used++;
    if (kv->stats.pages_used > kv->stats.pages_peak) kv->stats.pages_peak = kv->stats.pages_used;
}

/* The content is what the last owner left.  Idle pages go when there are no others. */
static uint32_t take_page(struct kv *kv, struct kv_holder *h) {
    kv->stats.pages_evicted += !kv->n_free_pages;
    uint32_t page = kv->n_free_pages ? kv->free_pages[--kv->n_free_pages] : prefix_evict(kv->prefix);
    hold_page(kv, h, page);
    return page;
}

/* Zeroed: kernels read cells past the length too (and drop what comes of it), and zeros are never slow. */
static uint32_t take_zeroed_page(struct kv *kv, struct kv_holder *h) {
    uint32_t page = take_page(kv, h);
    memset(page_data(kv, page), 0, kv_page_bytes(kv));
    return page;
}

static void release_page(struct kv *kv, struct kv_holder *h, uint32_t page) {
    assert(h->ref[page] > 0);
    if (--h->ref[page]) return;
    h->n_held--;
    if (--kv->ref[page]) return;
    kv->stats.pages_used--;
    if (prefix_has(kv->prefix, page)) prefix_let_go(kv->prefix, page);
    else kv->free_pages[kv->n_free_pages++] = page;
}

/* Only this table entry names the page. */
static bool is_only_entry(const struct kv *kv, const struct kv_holder *h, uint32_t page) {
    return h->ref[page] == 1 && kv->ref[page] == 1;
}

/* All of copy-on-write: would another reader see it?  The last owner writes in place, but not into what is remembered. */
static void make_writable(struct kv *kv, struct kv_holder *h, uint32_t *entry) {
    if (is_only_entry(kv, h, *entry) && !prefix_has(kv->prefix, *entry)) return;
    uint32_t copy = take_page(kv, h);
    memcpy(page_data(kv, copy), page_data(kv, *entry), kv_page_bytes(kv));
    release_page(kv, h, *entry);
    *entry = copy;
    kv->stats.pages_copied++;
}

/* Life of the pool: */

/* Bytes of K (or V) of one head in a page; 0 when that overflows. */
static size_t head_bytes(struct kv_shape s) {
    size_t n, groups = ((size_t)s.head_dim + KV_GROUP - 1) / KV_GROUP, scales = groups * KV_PAGE * sizeof(uint16_t);
    if (!mul_size(s.head_dim, KV_PAGE * sizeof(float), &n)) return 0;
    if (s.type == KV_I16) return n / 2 + KV_PAGE * sizeof(float);
    return s.type == KV_F32 ? n : s.type == KV_F16 ? n / 2 : n / 4 + scales;
}

size_t kv_shape_bytes(struct kv_shape s) {
    size_t n;
    return mul_size(s.n_layer, s.n_head_kv, &n) && mul_size(n, 2, &n) && mul_size(n, head_bytes(s), &n) ? n : 0;
}

/* Fills the sizes; false when a product overflows. */
static bool plan(struct kv *kv, size_t *n_entries) {
    kv->head_bytes = head_bytes(kv->shape), kv->page_bytes = kv_shape_bytes(kv->shape);
    return kv->page_bytes && mul_size(kv->page_bytes, kv->n_pages, &kv->data_bytes) &&
           mul_size(kv->n_seqs, kv->cap_pages, n_entries);
}

static bool allocate(struct kv *kv, size_t n_entries) {
    kv->tables = mem_new(n_entries, sizeof *kv->tables);
    kv->seqs = mem_new((size_t)kv->n_seqs + 1, sizeof *kv->seqs);
    kv->ref = mem_new(kv->n_pages, sizeof *kv->ref);
    kv->free_pages = mem_new(kv->n_pages, sizeof *kv->free_pages);
    kv->free_seqs = mem_new(kv->n_seqs, sizeof *kv->free_seqs);
    kv->recount = mem_new(kv->n_pages, sizeof *kv->recount);
    kv->recount_holders = mem_new(kv->n_pages, sizeof *kv->recount_holders);
    kv->prefix = prefix_new(kv->n_pages, kv->n_pages);
    if (!kv->tables || !kv->seqs || !kv->ref || !kv->free_pages || !kv->free_seqs || !kv->recount ||
        !kv->recount_holders || !kv->prefix)
        return false;
    /* Address space only: the system backs a page when it is first written. */
    void *data = mmap(NULL, kv->data_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (data == MAP_FAILED) return false;
    madvise(data, kv->data_bytes, MADV_HUGEPAGE); /* a hint: failure changes speed only */
    kv->data = data;
    return true;
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
    kv->n_pages = n_pages, kv->n_seqs = n_seqs, kv->max_tokens = max_tokens, kv->cap_pages = pages_of(max_tokens);
    size_t n_entries = 0;
    if (!plan(kv, &n_entries) || !allocate(kv, n_entries)) {
        kv_free(&kv);
        return error_set(e, ERR_MEMORY, "no memory for a KV cache of %u pages and %u sequences of %u tokens", n_pages,
                         n_seqs, max_tokens);
    }
    /* Low numbers on top of the stacks. */
    for (uint32_t i = 0; i < n_pages; i++) kv->free_pages[i] = n_pages - 1 - i;
    for (uint32_t i = 0; i < n_seqs; i++) kv->free_seqs[i] = n_seqs - i;
    kv->n_free_pages = n_pages, kv->n_free_seqs = n_seqs;
    *out = kv;
    return OK;
}

void kv_free(struct kv **kvp) {
    struct kv *kv = *kvp;
    if (!kv) return;
    for (struct kv_holder *h = kv->holders; h; h = kv->holders) kv_holder_free(kv, &h);
    if (kv->data) munmap(kv->data, kv->data_bytes);
    mem_free(kv->tables);
    mem_free(kv->seqs);
    mem_free(kv->ref);
    mem_free(kv->free_pages);
    mem_free(kv->free_seqs);
    mem_free(kv->recount), mem_free(kv->recount_holders);
    prefix_free(&kv->prefix);
    mem_free(kv);
    *kvp = NULL;
}

/* Holders: */

struct kv_holder *kv_holder_new(struct kv *kv) {
    struct kv_holder *h = mem_new(1, sizeof *h);
    if (!h || !(h->ref = mem_new(kv->n_pages, sizeof *h->ref))) {
        mem_free(h);
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
    assert(h->n_held == 0);
    if (h->next) h->next->prev = h->prev;
    if (h->prev) h->prev->next = h->next;
    else kv->holders = h->next;
    mem_free(h->ref);
    mem_free(h);
    *hp = NULL;
}

uint32_t kv_held(const struct kv_holder *h) { return h->n_held; }

/* Sequences: */

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
    uint32_t n = pages_of(parent->len);
    const uint32_t *restrict from = table(kv, seq);
    uint32_t *restrict to = table(kv, child), *restrict ref = parent->holder->ref;
    memcpy(to, from, n * sizeof *to);
    for (uint32_t i = 0; i < n; i++) ref[from[i]]++;
    kv->seqs[child].len = parent->len;
    kv->seqs[child].n_pages = n;
    kv->stats.forks++;
    return child;
}

void kv_truncate(struct kv *kv, uint32_t seq, uint32_t len) {
    struct sequence *s = sequence(kv, seq);
    assert(len <= s->len);
    const uint32_t *pages = table(kv, seq);
    while (s->n_pages > pages_of(len)) release_page(kv, s->holder, pages[--s->n_pages]);
    s->len = len;
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
    return len % KV_PAGE ? table(kv, seq) + len / KV_PAGE : NULL;
}

/* Pages that a reserve will take.  Forks of one partial page give up their claims one after the other, as
 * make_writable will do it, so that the last owner is not counted (unless the page is remembered); then the claims are
 * put back. */
uint64_t kv_pages_needed(struct kv *kv, const struct kv_need *needs, size_t n) {
    uint64_t pages = 0;
    for (size_t i = 0; i < n; i++) {
        const struct sequence *s = sequence(kv, needs[i].seq);
        uint32_t after = pages_of((uint64_t)s->len + needs[i].n_tokens);
        if (after > s->n_pages) pages += after - s->n_pages;
        uint32_t *entry = needs[i].n_tokens ? partial_page(kv, needs[i].seq) : NULL;
        if (!entry) continue;
        assert(s->holder->ref[*entry] > 0); /* fails when a sequence is named twice */
        if (s->holder->ref[*entry]-- > 1 || kv->ref[*entry] > 1 || prefix_has(kv->prefix, *entry)) pages++;
    }
    for (size_t i = 0; i < n; i++) {
        uint32_t *entry = needs[i].n_tokens ? partial_page(kv, needs[i].seq) : NULL;
        if (entry) kv->seqs[needs[i].seq].holder->ref[*entry]++;
    }
    return pages;
}

enum status kv_reserve(struct kv *kv, const struct kv_need *needs, size_t n, struct error *e) {
    for (size_t i = 0; i < n; i++) {
        uint32_t len = sequence(kv, needs[i].seq)->len;
        if (needs[i].n_tokens > kv->max_tokens - len)
            return error_set(e, ERR_FULL, "context: %u tokens and %u more, at most %u", len, needs[i].n_tokens,
                             kv->max_tokens);
    }
    uint64_t pages = kv_pages_needed(kv, needs, n);
    if (pages > kv_pages_free(kv))
        return error_set(e, ERR_FULL, "KV cache: %llu pages needed, %u of %u free", (unsigned long long)pages,
                         kv_pages_free(kv), kv->n_pages);
    for (size_t i = 0; i < n; i++) {
        uint32_t *pages_of_seq = table(kv, needs[i].seq);
        struct sequence *s = sequence(kv, needs[i].seq);
        uint32_t *entry = needs[i].n_tokens ? partial_page(kv, needs[i].seq) : NULL;
        if (entry) make_writable(kv, s->holder, entry);
        uint32_t after = pages_of((uint64_t)s->len + needs[i].n_tokens);
        while (s->n_pages < after) pages_of_seq[s->n_pages++] = take_zeroed_page(kv, s->holder);
    }
    return OK;
}

void kv_advance(struct kv *kv, uint32_t seq, uint32_t n_tokens) {
    struct sequence *s = sequence(kv, seq);
    assert((uint64_t)s->len + n_tokens <= (uint64_t)s->n_pages * KV_PAGE);
    /* Else a shared page was written: not reserved, or forked between reserve and advance. */
    assert(!n_tokens || !partial_page(kv, seq) ||
           (is_only_entry(kv, s->holder, *partial_page(kv, seq)) && !prefix_has(kv->prefix, *partial_page(kv, seq))));
    s->len += n_tokens;
}

/* Remembered prefixes: */

uint32_t kv_prefix_lookup(struct kv *kv, uint32_t seq, const int32_t *tokens, uint32_t n) {
    struct sequence *s = sequence(kv, seq);
    assert(s->len == 0);
    kv_truncate(kv, seq, 0);
    uint32_t page = PREFIX_NONE;
    kv->stats.prefix_tokens_asked += n;
    for (; s->len + KV_PAGE < n; s->len += KV_PAGE) {
        page = prefix_find(kv->prefix, page, tokens + s->len);
        if (page == PREFIX_NONE) break;
        if (!kv->ref[page]) prefix_hold(kv->prefix, page);
        hold_page(kv, s->holder, page);
        table(kv, seq)[s->n_pages++] = page;
    }
    kv->stats.prefix_tokens_hit += s->len;
    return s->len;
}

uint32_t kv_prefix_length(const struct kv *kv, const int32_t *tokens, uint32_t n) {
    uint32_t len = 0, page = PREFIX_NONE;
    for (; len + KV_PAGE < n; len += KV_PAGE)
        if ((page = prefix_find(kv->prefix, page, tokens + len)) == PREFIX_NONE) break;
    return len;
}

/* Who holds a remembered page must hold its parent (prefix.h).  So a page of another sequence with the same text takes the
 * place of ours, which has the same bits, and a page that forks hold too, whose tables we do not see, ends the walk. */
void kv_prefix_insert(struct kv *kv, uint32_t seq, const int32_t *tokens, uint32_t n) {
    const struct sequence *s = sequence(kv, seq);
    uint32_t *pages = table(kv, seq), parent = PREFIX_NONE;
    assert(n <= s->len);
    for (uint32_t i = 0; i < n / KV_PAGE; parent = pages[i++]) {
        uint32_t known = prefix_find(kv->prefix, parent, tokens + (size_t)i * KV_PAGE);
        if (known == pages[i]) continue;
        if (prefix_has(kv->prefix, pages[i])) return; /* under other tokens: the caller errs */
        if (known != PREFIX_NONE) {
            if (!kv->ref[known]) prefix_hold(kv->prefix, known);
            hold_page(kv, s->holder, known);
            release_page(kv, s->holder, pages[i]);
            pages[i] = known;
        } else {
            if (!is_only_entry(kv, s->holder, pages[i])) return;
            prefix_add(kv->prefix, parent, tokens + (size_t)i * KV_PAGE, pages[i]);
        }
    }
}

/* Looking: */

uint32_t kv_len(const struct kv *kv, uint32_t seq) { return sequence(kv, seq)->len; }

const uint32_t *kv_table(const struct kv *kv, uint32_t seq) {
    (void)sequence(kv, seq);
    return table(kv, seq);
}

uint16_t *kv_k(const struct kv *kv, uint32_t page, uint32_t layer, uint32_t head) {
    assert(layer < kv->shape.n_layer && head < kv->shape.n_head_kv);
    size_t at = ((size_t)layer * kv->shape.n_head_kv + head) * 2 * kv->head_bytes;
    return (uint16_t *)(void *)(page_data(kv, page) + at);
}

uint16_t *kv_v(const struct kv *kv, uint32_t page, uint32_t layer, uint32_t head) {
    return kv_k(kv, page, layer, head) + kv->head_bytes / sizeof(uint16_t);
}

/* x[i] = to[i * step] * scale, one scale per KV_GROUP numbers, the largest of them at 127; group g's scale to scales[g *
 * scale_step].  The scale is rounded first, so that the numbers fit the one that is stored. */
static void write_q8_0(int8_t *to, size_t step, uint16_t *scales, size_t scale_step, const float *x, size_t n) {
    for (size_t d0 = 0; d0 < n; d0 += KV_GROUP) {
        size_t d1 = d0 + KV_GROUP < n ? d0 + KV_GROUP : n;
        float most = 0;
        for (size_t d = d0; d < d1; d++) most = fabsf(x[d]) > most ? fabsf(x[d]) : most;
        uint16_t half = f32_to_f16(most / 127);
        float scale = f16_to_f32(half), inverse = scale > 0 ? 1 / scale : 0;
        scales[d0 / KV_GROUP * scale_step] = half;
        for (size_t d = d0; d < d1; d++) {
            float q = x[d] * inverse;
            to[d * step] = (int8_t)(q >= 127 ? 127 : q <= -127 ? -127 : q == q ? lrintf(q) : 0);
        }
    }
}

/* As ops.h lays out pages of integers. */
static void write_i16(int16_t *to_k, int16_t *to_v, uint32_t slot, const float *k, const float *v, size_t hd) {
    float scale = ops_get()->round_key(to_k + slot * 2, KV_PAGE * 2, k, hd),
          exponent = ops_get()->round_value(to_v + slot / 2 * hd * 2 + slot % 2, v, hd);
    memcpy(to_k + hd * KV_PAGE + slot * 2, &scale, sizeof scale);
    memcpy(to_v + hd * KV_PAGE + slot * 2, &exponent, sizeof exponent);
}

void kv_write(const struct kv *kv, uint32_t page, uint32_t slot, uint32_t layer, uint32_t head, const float *k,
              const float *v) {
    void *to_k = kv_k(kv, page, layer, head), *to_v = kv_v(kv, page, layer, head);
    size_t hd = kv->shape.head_dim, groups = (hd + KV_GROUP - 1) / KV_GROUP;
    switch (kv->shape.type) {
    case KV_F32:
        for (size_t d = 0; d < hd; d++) ((float *)to_k)[d * KV_PAGE + slot] = k[d];
        memcpy((float *)to_v + slot * hd, v, hd * sizeof *v);
        return;
    case KV_Q8_0:
        write_q8_0((int8_t *)to_k + slot, KV_PAGE, (uint16_t *)to_k + hd * KV_PAGE / 2 + slot, KV_PAGE, k, hd);
        write_q8_0((int8_t *)to_v + slot * hd, 1, (uint16_t *)to_v + hd * KV_PAGE / 2 + slot * groups, 1, v, hd);
        return;
    case KV_I16: write_i16(to_k, to_v, slot, k, v, hd); return;
    default:
        ops_get()->store_f16((uint16_t *)to_k + slot, KV_PAGE, k, hd);
        ops_get()->store_f16((uint16_t *)to_v + slot * hd, 1, v, hd);
    }
}

enum kv_type kv_type(const struct kv *kv) { return kv->shape.type; }
size_t kv_page_bytes(const struct kv *kv) { return kv->page_bytes; }
uint32_t kv_pages_free(const struct kv *kv) { return kv->n_free_pages + prefix_n_idle(kv->prefix); }
struct kv_stats kv_stats(const struct kv *kv) {
    struct kv_stats s = kv->stats;
    s.pages_remembered = prefix_n_pages(kv->prefix), s.pages_idle = prefix_n_idle(kv->prefix);
    return s;
}

uint32_t kv_pages_owned(const struct kv *kv, uint32_t seq) {
    const struct sequence *s = sequence(kv, seq);
    const uint32_t *pages = table(kv, seq);
    uint32_t n = 0;
    for (uint32_t i = 0; i < s->n_pages; i++) n += is_only_entry(kv, s->holder, pages[i]);
    return n;
}

/* Counts the entries of one table; false with the reason when the table itself is wrong. */
static bool recount_sequence(const struct kv *kv, uint32_t seq, struct error *e) {
    const struct sequence *s = &kv->seqs[seq];
    if (s->len > kv->max_tokens || s->n_pages > kv->cap_pages || s->n_pages < pages_of(s->len)) {
        error_set(e, ERR_INPUT, "sequence %u: %u tokens in %u pages", seq, s->len, s->n_pages);
        return false;
    }
    for (uint32_t i = 0; i < s->n_pages; i++) {
        uint32_t page = table(kv, seq)[i];
        bool known = page < kv->n_pages && prefix_has(kv->prefix, page);
        if (page >= kv->n_pages || (i >= pages_of(s->len) && (!is_only_entry(kv, s->holder, page) || known))) {
            error_set(e, ERR_INPUT, "sequence %u: entry %u is page %u, out of range or reserved and shared", seq, i,
                      page);
            return false;
        }
        if (known && prefix_parent(kv->prefix, page) != (i ? table(kv, seq)[i - 1] : PREFIX_NONE)) {
            error_set(e, ERR_INPUT, "sequence %u: entry %u is page %u, remembered after another page", seq, i, page);
            return false;
        }
        kv->recount[page]++;
    }
    return true;
}

/* The entries of one holder's tables against its counts; adds its pages to recount_holders. */
static bool recount_holder(const struct kv *kv, const struct kv_holder *h, uint32_t *n_live, struct error *e) {
    uint32_t n_held = 0;
    memset(kv->recount, 0, kv->n_pages * sizeof *kv->recount);
    for (uint32_t seq = 1; seq <= kv->n_seqs; seq++) {
        if (kv->seqs[seq].holder != h) continue;
        ++*n_live;
        if (!recount_sequence(kv, seq, e)) return false;
    }
    for (uint32_t page = 0; page < kv->n_pages; page++) {
        if (kv->recount[page] != h->ref[page]) {
            error_set(e, ERR_INPUT, "page %u: count %u, tables name it %u times", page, h->ref[page],
                      kv->recount[page]);
            return false;
        }
        n_held += h->ref[page] > 0, kv->recount_holders[page] += h->ref[page] > 0;
    }
    if (n_held == h->n_held) return true;
    error_set(e, ERR_INPUT, "%u pages held, %u counted", n_held, h->n_held);
    return false;
}

bool kv_check(const struct kv *kv, struct error *e) {
    uint32_t n_live = 0;
    memset(kv->recount_holders, 0, kv->n_pages * sizeof *kv->recount_holders);
    for (const struct kv_holder *h = kv->holders; h; h = h->next)
        if (!recount_holder(kv, h, &n_live, e)) return false;
    uint32_t n_used = 0, n_idle = prefix_n_idle(kv->prefix), *counted = kv->recount_holders;
    for (uint32_t page = 0; page < kv->n_pages; page++) {
        if (counted[page] != kv->ref[page]) {
            error_set(e, ERR_INPUT, "page %u: count %u, %u holders name it", page, kv->ref[page], counted[page]);
            return false;
        }
        n_used += kv->ref[page] > 0;
    }
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
        if (page >= kv->n_pages || prefix_has(kv->prefix, page) || counted[page]++) { /* a second visit finds 1 */
            error_set(e, ERR_INPUT, "page %u: free, and used, remembered or free twice", page);
            return false;
        }
    }
    return prefix_check(kv->prefix, kv->ref, e);
}
