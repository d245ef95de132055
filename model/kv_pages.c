/* kv_pages.c: pages, their two parts, who holds them, and the one function that copies a page on write.
 * Not tables: kv.c.
 * Next: prefix.c, the remembered ones. */
#include <assert.h>
#include <math.h>
#include <string.h>
#include <sys/mman.h>

#include "base/mem.h"
#include "model/kv_internal.h"

enum { SYSTEM_PAGE = 4096 }; /* parts that are given back one by one begin and end at such borders */

/* ---- sizes ---- */

/* Bytes of K (or V), of this type, of one head in a page; 0 when that overflows. */
static size_t head_bytes(struct kv_shape s, enum kv_type type) {
    size_t n, groups = ((size_t)s.head_dim + KV_GROUP - 1) / KV_GROUP, scales = groups * KV_PAGE * sizeof(uint16_t);
    if (!mul_size(s.head_dim, KV_PAGE * sizeof(float), &n)) return 0;
    if (type == KV_I16) return n / 2 + KV_PAGE * sizeof(float);
    return type == KV_F32 ? n : type == KV_F16 ? n / 2 : n / 4 + scales;
}

static bool has_window(struct kv_shape s, uint32_t layer) {
    return s.window && s.local && s.local[layer / 64] >> layer % 64 & 1;
}

/* Layers with a window.  Where all have one, pages are kept whole: a page without a full part would cost nothing. */
static uint32_t n_windows(struct kv_shape s) {
    uint32_t n = 0;
    for (uint32_t l = 0; l < s.n_layer; l++) n += has_window(s, l);
    return n < s.n_layer ? n : 0;
}

/* Of n_layer layers; 0 when that overflows, or for none. */
static size_t part_bytes(struct kv_shape s, uint32_t n_layer, bool whole) {
    size_t n, k = head_bytes(s, kv_type_of_k(s.type)), v = head_bytes(s, kv_type_of_v(s.type));
    if (!k || !v || !mul_size(n_layer, s.n_head_kv, &n) || !mul_size(n, k + v, &n)) return 0;
    if (whole) return n;
    return n > SIZE_MAX - SYSTEM_PAGE ? 0 : (n + SYSTEM_PAGE - 1) / SYSTEM_PAGE * SYSTEM_PAGE;
}

size_t kv_shape_bytes(struct kv_shape s) {
    uint32_t n = n_windows(s);
    size_t full = part_bytes(s, s.n_layer - n, !n), window = part_bytes(s, n, !n);
    return !full || (n && !window) || full > SIZE_MAX - window ? 0 : full + window;
}

/* Window parts that a sequence sees at once while it takes tokens in pieces. */
static uint64_t parts_of_window(struct kv_shape s, uint32_t piece) {
    return ((uint64_t)s.window + KV_SLACK + piece) / KV_PAGE + 2;
}

static uint64_t smaller(uint64_t a, uint64_t b) { return a < b ? a : b; }

uint32_t kv_shape_pages(struct kv_shape s, uint32_t n_tokens, uint32_t piece) {
    const uint32_t n = n_windows(s);
    const uint64_t pages = kv_pages_of(n_tokens);
    if (!n) return (uint32_t)pages;
    return (uint32_t)((pages * (s.n_layer - n) + smaller(pages, parts_of_window(s, piece)) * n + s.n_layer - 1) /
                      s.n_layer);
}

uint64_t kv_room_of(const struct kv *kv, uint64_t n_pages, uint32_t piece) {
    return n_pages * kv->full.room + smaller(n_pages, parts_of_window(kv->shape, piece)) * kv->window.room;
}

uint32_t kv_kept_from(const struct kv *kv, uint32_t len) {
    const uint64_t reach = (uint64_t)kv->shape.window + KV_SLACK;
    return kv->window.room && len >= reach ? (uint32_t)((len + 1 - reach) / KV_PAGE) : 0;
}

uint32_t kv_seen_from(const struct kv *kv, uint32_t len) {
    return kv->window.room && len >= kv->shape.window ? (len + 1 - kv->shape.window) / KV_PAGE : 0;
}

/* ---- memory ---- */

/* Address space only: the system backs a page when it is first written. */
static bool map_part(struct kv *kv, struct kv_part *part) {
    size_t size;
    if (!part->bytes) return true;
    if (!mul_size(part->bytes, kv->n_pages, &size)) return false;
    void *data = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (data == MAP_FAILED) return false;
    madvise(data, size, MADV_HUGEPAGE); /* a hint: failure changes speed only */
    part->data = data;
    return true;
}

static void unmap_part(struct kv *kv, struct kv_part *part) {
    if (part->data) munmap(part->data, part->bytes * kv->n_pages);
}

bool kv_parts_new(struct kv *kv) {
    const struct kv_shape *s = &kv->shape;
    const uint32_t n = n_windows(*s);
    struct kv_part *parts[] = {&kv->full, &kv->window};
    uint32_t n_layers[] = {0, 0};
    kv->k_bytes = head_bytes(*s, kv_type_of_k(s->type));
    kv->head_bytes = kv->k_bytes + head_bytes(*s, kv_type_of_v(s->type));
    kv->full.bytes = part_bytes(*s, s->n_layer - n, !n), kv->window.bytes = part_bytes(*s, n, !n);
    if (!kv->full.bytes || (n && !kv->window.bytes)) return false;
    kv->full.room = n ? s->n_layer - n : 1, kv->window.room = n;
    kv->room = (uint64_t)kv->n_pages * kv_page_room(kv);
    if (n) { /* more pages than with all their layers: as many as tables can name, or as the full parts fill the room */
        uint64_t named = (uint64_t)kv->n_seqs * kv->cap_pages, held = kv->room / kv->full.room;
        if (named > kv->n_pages) kv->n_pages = (uint32_t)smaller(smaller(named, held), UINT32_MAX / 2);
    }
    if (!(kv->layers = mem_new(s->n_layer, sizeof *kv->layers))) return false;
    for (uint32_t l = 0; l < s->n_layer; l++) {
        bool window = n && has_window(*s, l);
        kv->layers[l] = (struct kv_layer){parts[window], n_layers[window]++ * s->n_head_kv * kv->head_bytes};
    }
    return map_part(kv, &kv->full) && map_part(kv, &kv->window);
}

void kv_parts_free(struct kv *kv) {
    unmap_part(kv, &kv->full), unmap_part(kv, &kv->window);
    mem_free(kv->layers);
}

static char *part_data(const struct kv *kv, const struct kv_part *part, uint32_t page) {
    assert(page < kv->n_pages);
    return part->data + page * part->bytes;
}

/* With windows there are more pages than memory: what is not in use must not keep any. */
static void give_back(struct kv *kv, const struct kv_part *part, uint32_t page) {
    kv->room_backed -= part->room;
    if (kv->window.room) madvise(part_data(kv, part, page), part->bytes, MADV_DONTNEED);
}

static void lose_window_part(struct kv *kv, uint32_t page) {
    if (!kv->backed[page]) return;
    kv->backed[page] = false;
    give_back(kv, &kv->window, page);
}

static void free_page(struct kv *kv, uint32_t page) {
    lose_window_part(kv, page);
    give_back(kv, &kv->full, page);
    kv->free_pages[kv->n_free_pages++] = page;
}

void kv_prefix_forget(struct kv *kv) {
    while (prefix_n_idle(kv->prefix)) free_page(kv, prefix_evict(kv->prefix));
}

/* Room for one page: idle pages go first, then window parts that nobody sees, the oldest pages' first. */
static void make_room(struct kv *kv) {
    while (!kv->n_free_pages || kv->room_backed + kv_page_room(kv) > kv->room) {
        if (prefix_n_idle(kv->prefix)) {
            kv->stats.pages_evicted++;
            free_page(kv, prefix_evict(kv->prefix));
            continue;
        }
        assert(kv->room_backed > kv->room_used); /* else more was taken than there is */
        while (!kv->backed[kv->hand] || kv->seen[kv->hand]) kv->hand = (kv->hand + 1) % kv->n_pages;
        lose_window_part(kv, kv->hand);
    }
}

/* ---- holding ---- */

bool kv_is_only_entry(const struct kv *kv, const struct kv_holder *h, uint32_t page) {
    return h->ref[page] == 1 && kv->ref[page] == 1;
}

/* One more, or one less, that has a count; bytes of the part. */
static void count_used(struct kv *kv, const struct kv_part *part) {
    kv->room_used += part->room;
    kv->stats.bytes_used += part->bytes;
    if (kv->stats.bytes_used > kv->stats.bytes_peak) kv->stats.bytes_peak = kv->stats.bytes_used;
}

static void count_unused(struct kv *kv, const struct kv_part *part) {
    kv->room_used -= part->room;
    kv->stats.bytes_used -= part->bytes;
}

void kv_hold_page(struct kv *kv, struct kv_holder *h, uint32_t page) {
    if (h->ref[page]++) return;
    h->room += kv->full.room;
    if (kv->ref[page]++) return;
    count_used(kv, &kv->full);
    kv->stats.pages_used++;
    if (kv->stats.pages_used > kv->stats.pages_peak) kv->stats.pages_peak = kv->stats.pages_used;
}

void kv_let_go(struct kv *kv, struct kv_holder *h, uint32_t page) {
    h->room -= kv->full.room;
    if (--kv->ref[page]) return;
    count_unused(kv, &kv->full);
    kv->stats.pages_used--;
    if (prefix_has(kv->prefix, page)) prefix_let_go(kv->prefix, page);
    else free_page(kv, page);
}

void kv_see_page(struct kv *kv, struct kv_holder *h, uint32_t page) {
    if (!kv->window.room) return;
    assert(kv->backed[page]);
    if (h->seen[page]++) return;
    h->room += kv->window.room;
    if (!kv->seen[page]++) count_used(kv, &kv->window);
}

void kv_unsee_page(struct kv *kv, struct kv_holder *h, uint32_t page) {
    if (!kv->window.room) return;
    assert(h->seen[page] > 0);
    if (--h->seen[page]) return;
    h->room -= kv->window.room;
    if (!--kv->seen[page]) count_unused(kv, &kv->window);
}

/* ---- taking and copying ---- */

/* The content is what the last owner left. */
static uint32_t take(struct kv *kv, struct kv_holder *h) {
    make_room(kv);
    uint32_t page = kv->free_pages[--kv->n_free_pages];
    kv->room_backed += kv_page_room(kv);
    kv->backed[page] = kv->window.room > 0;
    kv_hold_page(kv, h, page);
    kv_see_page(kv, h, page);
    return page;
}

/* Zeroed: kernels read cells past the length too (and drop what comes of it), and zeros are never slow. */
uint32_t kv_take_page(struct kv *kv, struct kv_holder *h) {
    uint32_t page = take(kv, h);
    memset(part_data(kv, &kv->full, page), 0, kv->full.bytes);
    if (kv->window.bytes) memset(part_data(kv, &kv->window, page), 0, kv->window.bytes);
    return page;
}

static void copy_part(struct kv *kv, const struct kv_part *part, uint32_t to, uint32_t from) {
    if (part->bytes) memcpy(part_data(kv, part, to), part_data(kv, part, from), part->bytes);
}

/* Would another reader see it?  The last owner writes in place, but not into what is remembered. */
void kv_make_writable(struct kv *kv, struct kv_holder *h, uint32_t *entry) {
    if (kv_is_only_entry(kv, h, *entry) && !prefix_has(kv->prefix, *entry)) return;
    uint32_t copy = take(kv, h);
    copy_part(kv, &kv->full, copy, *entry), copy_part(kv, &kv->window, copy, *entry);
    kv_unsee_page(kv, h, *entry);
    kv_release_page(kv, h, *entry);
    *entry = copy;
    kv->stats.pages_copied++;
}

void kv_move_window_part(struct kv *kv, uint32_t from, uint32_t to) {
    copy_part(kv, &kv->window, to, from);
    kv->backed[to] = true, kv->room_backed += kv->window.room;
}

/* ---- what is in a page ---- */

uint16_t *kv_k(const struct kv *kv, uint32_t page, uint32_t layer, uint32_t head) {
    assert(layer < kv->shape.n_layer && head < kv->shape.n_head_kv);
    const struct kv_layer *y = &kv->layers[layer];
    return (uint16_t *)(void *)(part_data(kv, y->part, page) + y->at + head * kv->head_bytes);
}

uint16_t *kv_v(const struct kv *kv, uint32_t page, uint32_t layer, uint32_t head) {
    return kv_k(kv, page, layer, head) + kv->k_bytes / sizeof(uint16_t);
}

size_t kv_stride(const struct kv *kv, uint32_t layer) { return kv->layers[layer].part->bytes; }

/* x[i] = to[i * step] * scale, one scale per KV_GROUP numbers, the largest of them at 127; group g's scale to scales[g
 * * scale_step].  The scale is rounded first, so that the numbers fit the one that is stored. */
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

static void write_k(enum kv_type type, void *to, uint32_t slot, const float *k, size_t hd) {
    if (type == KV_Q8_0) {
        write_q8_0((int8_t *)to + slot, KV_PAGE, (uint16_t *)to + hd * KV_PAGE / 2 + slot, KV_PAGE, k, hd);
        return;
    }
    if (type == KV_F16) ops_get()->store_f16((uint16_t *)to + slot, KV_PAGE, k, hd);
    for (size_t d = 0; type == KV_F32 && d < hd; d++) ((float *)to)[d * KV_PAGE + slot] = k[d];
}

static void write_v(enum kv_type type, void *to, uint32_t slot, const float *v, size_t hd) {
    const size_t groups = (hd + KV_GROUP - 1) / KV_GROUP;
    if (type == KV_Q8_0)
        write_q8_0((int8_t *)to + slot * hd, 1, (uint16_t *)to + hd * KV_PAGE / 2 + slot * groups, 1, v, hd);
    else if (type == KV_F16) ops_get()->store_f16((uint16_t *)to + slot * hd, 1, v, hd);
    else memcpy((float *)to + slot * hd, v, hd * sizeof *v);
}

void kv_write(const struct kv *kv, uint32_t page, uint32_t slot, uint32_t layer, uint32_t head, const float *k,
              const float *v) {
    void *to_k = kv_k(kv, page, layer, head), *to_v = kv_v(kv, page, layer, head);
    const enum kv_type type = kv->shape.type;
    const size_t hd = kv->shape.head_dim;
    if (type == KV_I16) {
        write_i16(to_k, to_v, slot, k, v, hd);
        return;
    }
    write_k(kv_type_of_k(type), to_k, slot, k, hd);
    write_v(kv_type_of_v(type), to_v, slot, v, hd);
}
