/* check_attend.h: attention over pages, compared with the scalar table bit for bit.
 * Not its accuracy: test_ops.c, test_attend_i16.c.
 * Next: ops/attend_lanes.h. */
#ifndef PONDER_CHECK_ATTEND_H
#define PONDER_CHECK_ATTEND_H

#include "tests/fence.h"

/* A case of attend: rows that end at random places, and pages in a random order.  Cells that no row sees hold NaN, which must
 * not leak. */
struct attend_case {
    enum kv_type type;
    size_t n_rows, head_dim, n_pages;
    uint32_t window;
    float softcap;
    uint64_t key;
};
enum { ATTEND_ROWS = 32, ATTEND_PAGES = 11, ATTEND_FIRST = 3 * KV_PAGE };

/* Bytes of K (or of V) in a page. */
static size_t attend_bytes(const struct attend_case *c, enum kv_type type) {
    size_t n = c->head_dim * KV_PAGE, groups = (c->head_dim + KV_GROUP - 1) / KV_GROUP;
    if (type == KV_I16) return 2 * n + 4 * KV_PAGE;
    return type == KV_F32 ? 4 * n : type == KV_F16 ? 2 * n : n + 2 * groups * KV_PAGE;
}

/* Number i of a page's K or V; a cell that is not seen is NaN (q8_0: has a NaN scale). */
static void attend_set(const struct attend_case *c, enum kv_type type, uint8_t *x, size_t i, size_t group, float value, bool seen) {
    size_t n = c->head_dim * KV_PAGE;
    uint16_t half = seen ? f32_to_f16(value) : 0x7e00, scale = seen ? f32_to_f16(0.01f + (float)(group % 7)) : 0x7e00;
    if (type == KV_F32) memcpy(x + 4 * i, seen ? &value : &(float){NAN}, 4);
    else if (type == KV_F16) memcpy(x + 2 * i, &half, 2);
    else x[i] = (uint8_t)(int8_t)(value * 20), memcpy(x + n + 2 * group, &scale, 2);
}

/* K and V [hd] of one token to cell t of a page of KV_I16. */
static void attend_store_i16(size_t hd, uint8_t *k, uint8_t *v, size_t t, const float *a, const float *b) {
    const struct ops *scalar = ops_by_name("scalar");
    const float scale = scalar->round_key((int16_t *)(void *)k + t * 2, 2 * KV_PAGE, a, hd),
                exponent = scalar->round_value((int16_t *)(void *)v + t / 2 * hd * 2 + t % 2, b, hd);
    memcpy(k + 2 * hd * KV_PAGE + 4 * t, &scale, 4), memcpy(v + 2 * hd * KV_PAGE + 4 * t, &exponent, 4);
}

/* The same with random numbers, those of V of random size; a cell that is not seen has a NaN scale and exponent, and large numbers. */
static void attend_set_i16(size_t hd, uint8_t *k, uint8_t *v, size_t t, uint64_t key, bool seen) {
    float a[512], b[512], size = ldexpf(1, (int)rng_below(key, 2 * hd, 12) - 6);
    for (size_t d = 0; d < hd; d++) a[d] = 4 * rng_uniform(key, 2 * d) - 2, b[d] = size * (rng_uniform(key, 2 * d + 1) - 0.4f);
    if (!seen) a[0] = b[0] = NAN;
    attend_store_i16(hd, k, v, t, a, b);
    for (size_t d = 0; d < hd && !seen; d++) {
        const int16_t large = -32767;
        memcpy(k + 2 * ((d / 2 * KV_PAGE + t) * 2 + d % 2), &large, 2), memcpy(v + 2 * ((t / 2 * hd + d) * 2 + t % 2), &large, 2);
    }
}

/* A row of q to integers in its place. */
static void attend_round_q(float *q, size_t hd) {
    int16_t row[512];
    const float scale = ops_by_name("scalar")->round_key(row, 2, q, hd);
    memcpy(q, row, 2 * hd), memcpy((uint8_t *)q + 2 * hd, &scale, 4);
}

/* Runs the case in pieces of at most n_run pages. */
static void attend_in_runs(const struct ops *v, const struct attend_args *all, enum kv_type type, size_t n_run) {
    for (size_t page = 0; page < all->n_pages; page += n_run) {
        struct attend_args a = *all;
        a.pages += page, a.first += (uint32_t)(page * KV_PAGE);
        a.n_pages = all->n_pages - page < n_run ? all->n_pages - page : n_run;
        v->attend[type](&a);
    }
}

static bool check_attend_case(const struct ops *const *v, const struct attend_case *c) {
    size_t hd = c->head_dim, n_o = c->n_rows * hd, bytes = attend_bytes(c, kv_type_of_k(c->type)), offset[ATTEND_ROWS];
    size_t groups = (hd + KV_GROUP - 1) / KV_GROUP, page_bytes = bytes + attend_bytes(c, kv_type_of_v(c->type)) + 4;
    uint32_t pages[ATTEND_PAGES], end[ATTEND_ROWS];
    struct fence q = fence_new(n_o * 4, 4), kv = fence_new(c->n_pages * page_bytes, 4), o = fence_new(n_o * 4, 4);
    float m[ATTEND_ROWS], l[ATTEND_ROWS], want_m[ATTEND_ROWS], want_l[ATTEND_ROWS], *want = calloc(n_o + 1, sizeof *want);
    bool seen[ATTEND_PAGES * KV_PAGE] = {false}, ok = true;
    fill_random((float *)q.data, n_o, hd, false);
    for (size_t i = 0; i < c->n_rows && c->type == KV_I16; i++) attend_round_q((float *)q.data + i * hd, hd);
    for (size_t i = 0; i < c->n_rows; i++) {
        offset[i] = (c->n_rows - 1 - i) * hd; /* rows of one prompt end near each other, branches at one place, others anywhere */
        uint32_t near = 40 + (uint32_t)i / 3, any = rng_below(c->key, i, (uint32_t)(c->n_pages + 4) * KV_PAGE);
        end[i] = c->key % 3 == 0 ? near + ATTEND_FIRST : c->key % 3 == 1 ? ATTEND_FIRST + ATTEND_PAGES * KV_PAGE - 7 : any;
        for (uint32_t t = 0; t < c->n_pages * KV_PAGE; t++)
            seen[t] |= t + ATTEND_FIRST < end[i] && (!c->window || t + ATTEND_FIRST + c->window >= end[i]);
    }
    for (uint32_t j = 0; j < c->n_pages; j++) {
        pages[j] = (uint32_t)((j * 7 + c->key) % c->n_pages); /* a permutation, for 1 to 11 pages but 7 */
        uint8_t *k = kv.data + pages[j] * page_bytes, *vv = k + bytes;
        for (size_t t = 0; t < KV_PAGE; t++) {
            if (c->type == KV_I16) attend_set_i16(hd, k, vv, t, (c->key << 16) + j * KV_PAGE + t, seen[j * KV_PAGE + t]);
            for (size_t d = 0; d < hd && c->type != KV_I16; d++) {
                float a = 4 * rng_uniform(c->key + j, 2 * (t * hd + d)) - 2, b = rng_uniform(c->key + j, 2 * (t * hd + d) + 1);
                attend_set(c, kv_type_of_k(c->type), k, d * KV_PAGE + t, d / KV_GROUP * KV_PAGE + t, a, seen[j * KV_PAGE + t]);
                attend_set(c, kv_type_of_v(c->type), vv, t * hd + d, t * groups + d / KV_GROUP, b - 0.4f, seen[j * KV_PAGE + t]);
            }
        }
    }
    struct attend_args a = {.q = (float *)q.data, .o = want, .q_offset = offset, .o_offset = offset, .m = want_m, .l = want_l,
                            .end = end, .window = c->window, .first = ATTEND_FIRST, .pages = pages, .n_pages = c->n_pages,
                            .page_bytes = page_bytes, .k = kv.data, .v = kv.data + bytes, .n_rows = c->n_rows,
                            .head_dim = hd, .scale = 0.3f, .softcap = c->softcap};
    for (size_t i = 0; i < c->n_rows; i++) want_m[i] = -INFINITY, want_l[i] = 0;
    ops_by_name("scalar")->attend[c->type](&a);
    for (size_t i = 0; i < n_o && ok; i++) ok = !isnan(want[i]);
    if (!ok) fprintf(stderr, "scalar attend case %d: NaN from a cell that is not visible\n", (int)c->key);
    a.m = m, a.l = l, a.o = (float *)o.data;
    for (; *v && ok; v++)
        for (size_t run = 1; run <= 11 && ok; run += run == 1 ? 2 : 8) { /* scalar above in one piece; here in runs of 1, 3, 11 */
            memset(o.data, 0, n_o * 4);
            for (size_t i = 0; i < c->n_rows; i++) m[i] = -INFINITY, l[i] = 0;
            attend_in_runs(*v, &a, c->type, run);
            char what[128];
            snprintf(what, sizeof what, "%s attend type %d rows %zu dim %zu pages %zu window %u case %d runs of %zu",
                     (*v)->name, (int)c->type, c->n_rows, hd, c->n_pages, c->window, (int)c->key, run);
            ok = same_bits(what, m, want_m, c->n_rows) && same_bits(what, l, want_l, c->n_rows) &&
                 same_bits(what, (float *)o.data, want, n_o) && fence_intact(&o, what);
        }
    free(want);
    fence_free(&q), fence_free(&kv), fence_free(&o);
    return ok;
}

static inline bool check_attend(const struct ops *const *v) {
    static const size_t rows[] = {0, 1, 2, 3, 4, 5, 6, 7, 9, 13, 32}, dims[] = {8, 16, 24, 40, 64, 80, 128, 256, 512};
    static const size_t pages[] = {1, 2, 3, 4, 5, 8, 9, 11};
    static const uint32_t windows[] = {0, 1, 5, 17, 40, 64, 1000};
    uint64_t key = 0;
    for (int type = 0; type < KV_TYPES; type++)
        for (size_t i = 0; i < COUNT(rows); i++)
            for (size_t d = 0; d < COUNT(dims); d++, key++) {
                struct attend_case c = {(enum kv_type)type, rows[i], dims[d], pages[(i + d) % COUNT(pages)], windows[key % 9 % 7],
                                        key % 4 ? 0 : 1.5f, key};
                if (key % CHECK_EVERY == 0 && !check_attend_case(v, &c)) return false;
            }
    return true;
}

#endif
