/* attention.c: walks a sequence's pages in order; the queries of a segment and of the heads that share a kv head go
 * through a page together.
 * Not across branches yet: each segment walks its own table.
 * Next: kv.c. */
#include "model/attention.h"

#include <math.h>
#include <string.h>

enum { TILE = 24 }; /* query rows per kernel call */

void attention_store(const struct pass *p, const struct segment *s, uint32_t layer, uint32_t kv_head) {
    const struct model_config *c = &p->model->config;
    const struct ops *ops = ops_get();
    size_t hd = c->head_dim, q = c->n_head * hd, kv = c->n_head_kv * hd, ld = q + 2 * kv, group = c->n_head / c->n_head_kv;
    const uint32_t *pages = kv_table(p->kv, s->seq);
    for (uint32_t i = 0; i < s->n; i++) {
        uint32_t pos = s->pos + i, page = pages[pos / KV_PAGE], slot = pos % KV_PAGE;
        float *row = p->qkv + (s->first + i) * ld;
        const float *cs = p->rope + (size_t)pos * c->rope_dim;
        float *k = row + q + kv_head * hd, *v = row + q + kv + kv_head * hd;
        ops->rope(row + kv_head * group * hd, cs, group, hd, c->rope_dim, c->rope_style);
        ops->rope(k, cs, 1, hd, c->rope_dim, c->rope_style);
        ops->store_f16(kv_k(p->kv, page, layer, kv_head) + slot, KV_PAGE, k, hd);
        ops->store_f16(kv_v(p->kv, page, layer, kv_head) + slot * hd, 1, v, hd);
    }
}

void attention_read(const struct pass *p, const struct segment *s, uint32_t layer, uint32_t kv_head) {
    const struct model_config *c = &p->model->config;
    const struct ops *ops = ops_get();
    size_t hd = c->head_dim, q = c->n_head * hd, ld = q + 2 * (size_t)c->n_head_kv * hd, group = c->n_head / c->n_head_kv;
    const uint32_t *pages = kv_table(p->kv, s->seq);
    size_t n_queries = s->n * group, offsets[TILE];
    uint32_t visible[TILE];
    float m[TILE], l[TILE], o[TILE * 512]; /* head_dim is at most 512 */
    for (size_t first = 0; first < n_queries; first += TILE) {
        size_t n = n_queries - first < TILE ? n_queries - first : TILE;
        uint32_t last = 0;
        for (size_t i = 0; i < n; i++) {
            size_t row = (first + i) / group, head = kv_head * group + (first + i) % group;
            offsets[i] = (s->first + row) * ld + head * hd;
            m[i] = -INFINITY, l[i] = 0;
            if (s->pos + (uint32_t)row > last) last = s->pos + (uint32_t)row;
        }
        memset(o, 0, n * hd * sizeof *o);
        for (uint32_t page = 0; page <= last / KV_PAGE; page++) {
            for (size_t i = 0; i < n; i++) {
                uint32_t end = s->pos + (uint32_t)((first + i) / group) + 1, begin = page * KV_PAGE;
                visible[i] = end <= begin ? 0 : end - begin < KV_PAGE ? end - begin : KV_PAGE;
            }
            struct attend_args a = {.q = p->qkv, .q_offset = offsets, .n_visible = visible, .n_rows = n, .head_dim = hd,
                                    .k = kv_k(p->kv, pages[page], layer, kv_head), .v = kv_v(p->kv, pages[page], layer, kv_head),
                                    .scale = 1 / sqrtf((float)hd), .m = m, .l = l, .o = o};
            ops->attend(&a);
        }
        for (size_t i = 0; i < n; i++) {
            size_t row = s->first + (first + i) / group, head = kv_head * group + (first + i) % group;
            float inv = 1 / l[i], *to = p->heads + row * q + head * hd;
            for (size_t d = 0; d < hd; d++) to[d] = o[i * hd + d] * inv;
        }
    }
}
