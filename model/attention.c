/* attention.c: walks a sequence's pages in order; the queries of a segment and of the heads that share a kv head go
 * through a page together.
 * Not across branches yet: each segment walks its own table.
 * Next: kv.c. */
#include "model/attention.h"

#include <math.h>
#include <string.h>

#include "model/arch.h"

enum { TILE = 24 }; /* query rows per kernel call */

/* Norm of each head, and RoPE, on n heads of one position. */
static void norm_and_turn(const struct pass *p, const struct layer *y, float *x, const float *norm, size_t n,
                          uint32_t pos) {
    const struct model_config *c = &p->model->config;
    const struct ops *ops = ops_get();
    size_t hd = c->head_dim;
    if (norm && c->kind->qk_norm == QK_NORM_HEAD)
        for (size_t h = 0; h < n; h++) ops->rms_norm(x + h * hd, x + h * hd, norm, hd, c->rms_eps);
    const float *angles = p->rope[y->rope];
    if (angles) ops->rope(x, angles + (size_t)pos * c->rope_dim, n, hd, c->rope_dim, c->rope_style);
}

/* What mistral3_adjust in arch.c says, on the queries of one position. */
static void temper(const struct model_config *c, float *q, size_t n, uint32_t pos) {
    float scale = (float)(1 + (double)c->temperature_scale * log(1.0 + pos / c->scaling.n_ctx_orig));
    for (size_t i = 0; i < n; i++) q[i] *= scale;
}

static void store(const struct pass *p, uint32_t page, uint32_t slot, uint32_t layer, uint32_t kv_head, const float *k,
                  const float *v) {
    const struct ops *ops = ops_get();
    size_t hd = p->model->config.head_dim;
    uint16_t *k_page = kv_k(p->kv, page, layer, kv_head), *v_page = kv_v(p->kv, page, layer, kv_head);
    if (!p->kv_f32) {
        ops->store_f16(k_page + slot, KV_PAGE, k, hd);
        ops->store_f16(v_page + slot * hd, 1, v, hd);
        return;
    }
    float *to = (float *)(void *)k_page;
    for (size_t d = 0; d < hd; d++) to[d * KV_PAGE + slot] = k[d];
    memcpy((float *)(void *)v_page + slot * hd, v, hd * sizeof *v);
}

void attention_store(const struct pass *p, const struct segment *s, uint32_t layer, uint32_t kv_head) {
    const struct model_config *c = &p->model->config;
    const struct layer *y = &p->model->layers[layer];
    size_t hd = c->head_dim, q = c->n_head * hd, kv = c->n_head_kv * hd, ld = q + 2 * kv,
           group = c->n_head / c->n_head_kv;
    const uint32_t *pages = kv_table(p->kv, s->seq);
    for (uint32_t i = 0; i < s->n; i++) {
        uint32_t pos = s->pos + i;
        float *row = p->qkv + (s->first + i) * ld;
        float *queries = row + kv_head * group * hd, *k = row + q + kv_head * hd, *v = row + q + kv + kv_head * hd;
        norm_and_turn(p, y, queries, y->q_norm, group, pos);
        norm_and_turn(p, y, k, y->k_norm, 1, pos);
        if (c->temperature_scale > 0) temper(c, queries, group * hd, pos);
        store(p, pages[pos / KV_PAGE], pos % KV_PAGE, layer, kv_head, k, v);
    }
}

/* Query rows of one segment and kv head, some positions with `group` rows each. */
struct tile {
    uint32_t first_pos[TILE], end_pos[TILE]; /* cells that each row sees: [first_pos, end_pos); both ascend */
    size_t offsets[TILE];
    float m[TILE], l[TILE], o[TILE * 512]; /* head_dim is at most 512 */
    void (*attend)(const struct attend_args *a);
    size_t number; /* bytes of one number of K or V */
};

static uint32_t cells(uint32_t pos, uint32_t begin) {
    return pos <= begin ? 0 : pos - begin < KV_PAGE ? pos - begin : KV_PAGE;
}

/* A page in which some row's window begins.  Such a row reads as if the page began at its first visible cell; rows of equal
 * beginnings go together. */
static void read_window_edge(const struct tile *t, const struct attend_args *page, uint32_t begin) {
    struct attend_args a = *page;
    uint32_t skipped[TILE], visible[TILE];
    for (size_t i = 0; i < page->n_rows; i++) {
        skipped[i] = cells(t->first_pos[i], begin);
        visible[i] = page->n_visible[i] - (skipped[i] < page->n_visible[i] ? skipped[i] : page->n_visible[i]);
    }
    for (size_t i = 0, j; i < page->n_rows; i = j) {
        for (j = i + 1; j < page->n_rows && skipped[j] == skipped[i]; j++) {}
        if (skipped[i] == KV_PAGE) continue;
        a.q_offset = page->q_offset + i, a.n_visible = visible + i, a.n_rows = j - i;
        a.k = (const char *)page->k + skipped[i] * t->number;
        a.v = (const char *)page->v + skipped[i] * t->number * a.head_dim;
        a.m = page->m + i, a.l = page->l + i, a.o = page->o + i * a.head_dim;
        t->attend(&a);
    }
}

/* All pages that a row of the tile sees, in order. */
static void read_pages(const struct pass *p, struct tile *t, struct attend_args *a, const uint32_t *pages,
                       uint32_t layer, uint32_t kv_head) {
    uint32_t visible[TILE], last = (uint32_t)a->n_rows - 1;
    uint32_t full = t->end_pos[0] / KV_PAGE; /* pages before this one are seen to their end */
    for (size_t i = 0; i < a->n_rows; i++) visible[i] = KV_PAGE;
    a->n_visible = visible;
    for (uint32_t page = t->first_pos[0] / KV_PAGE; page <= (t->end_pos[last] - 1) / KV_PAGE; page++) {
        uint32_t begin = page * KV_PAGE;
        for (size_t i = 0; page >= full && i < a->n_rows; i++) visible[i] = cells(t->end_pos[i], begin);
        a->k = kv_k(p->kv, pages[page], layer, kv_head), a->v = kv_v(p->kv, pages[page], layer, kv_head);
        if (t->first_pos[last] > begin) read_window_edge(t, a, begin);
        else t->attend(a);
    }
}

void attention_read(const struct pass *p, const struct segment *s, uint32_t layer, uint32_t kv_head) {
    const struct model_config *c = &p->model->config;
    uint32_t window = p->model->layers[layer].window;
    size_t hd = c->head_dim, q = c->n_head * hd, ld = q + 2 * (size_t)c->n_head_kv * hd,
           group = c->n_head / c->n_head_kv;
    const uint32_t *pages = kv_table(p->kv, s->seq);
    size_t n_queries = s->n * group;
    struct tile t;
    t.attend = p->kv_f32 ? ops_get()->attend_f32 : ops_get()->attend;
    t.number = p->kv_f32 ? sizeof(float) : sizeof(uint16_t);
    struct attend_args a = {.q = p->qkv,
                            .q_offset = t.offsets,
                            .head_dim = hd,
                            .softcap = c->attn_softcap,
                            .m = t.m,
                            .l = t.l,
                            .o = t.o,
                            .scale = c->attn_scale > 0 ? c->attn_scale : 1 / sqrtf((float)hd)};
    for (size_t first = 0; first < n_queries; first += TILE) {
        a.n_rows = n_queries - first < TILE ? n_queries - first : TILE;
        for (size_t i = 0; i < a.n_rows; i++) {
            size_t row = (first + i) / group, head = kv_head * group + (first + i) % group;
            t.offsets[i] = (s->first + row) * ld + head * hd;
            t.m[i] = -INFINITY, t.l[i] = 0;
            t.end_pos[i] = s->pos + (uint32_t)row + 1;
            t.first_pos[i] = window && t.end_pos[i] > window ? t.end_pos[i] - window : 0;
        }
        memset(t.o, 0, a.n_rows * hd * sizeof *t.o);
        read_pages(p, &t, &a, pages, layer, kv_head);
        for (size_t i = 0; i < a.n_rows; i++) {
            size_t row = s->first + (first + i) / group, head = kv_head * group + (first + i) % group;
            float inv = 1 / t.l[i], *to = p->heads + row * q + head * hd;
            for (size_t d = 0; d < hd; d++) to[d] = t.o[i * hd + d] * inv;
        }
    }
}
