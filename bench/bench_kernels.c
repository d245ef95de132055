/* bench_kernels.c: see bench_kernels.h.
 * Not a measurement: cmd_bench_kernels.c holds the clock.
 * Next: ops/ops.h. */
#include "bench/bench_kernels.h"

#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "base/rng.h"
#include "model/forward.h"

enum { POOL = 1 << 14 };

static void fill(float *x, size_t n) {
    for (size_t i = 0; i < n; i++) x[i] = i < POOL ? (float)rng_uniform(1, i) - 0.5F : x[i % POOL];
}

bool product_possible(enum tensor_type type) { return type_info(type); }

/* One row of random weights, repeated, in the layout of the kernels: time does not depend on the values. */
static enum status fill_weights(struct product *p, struct error *e) {
    const size_t row_bytes = type_row_bytes(p->type, p->cols);
    struct panels *w = &p->panels;
    *w = (struct panels){p->type, panel_layout(p->type, false), p->rows, p->cols, row_bytes, NULL};
    const size_t packed = panel_bytes(p->type, w->layout, p->rows, p->cols);
    float *row = mem_new(p->cols, sizeof *row);
    uint8_t *bytes = mem_new(w->layout == PANEL_FILE ? p->rows : PANEL_ROWS, row_bytes);
    p->weights = packed ? mem_new(packed, 1) : bytes;
    if (!row || !bytes || !p->weights) {
        mem_free(row);
        if (packed) mem_free(bytes);
        return error_set(e, ERR_MEMORY, "no memory for a matrix of %u x %u", p->rows, p->cols);
    }
    fill(row, p->cols);
    if (type_writable(p->type)) type_from_f32(p->type, row, bytes, p->cols);
    else memset(bytes, 0x2a, row_bytes); /* no scale is subnormal */
    mem_free(row);
    for (uint32_t r = 1; r < (packed ? PANEL_ROWS : p->rows); r++) memcpy(bytes + r * row_bytes, bytes, row_bytes);
    w->data = p->weights, p->bytes = packed ? packed : p->rows * row_bytes;
    if (!packed) return OK;
    w->stride = packed / ((p->rows + PANEL_ROWS - 1) / PANEL_ROWS);
    const struct panels one = {p->type, w->layout, PANEL_ROWS, p->cols, w->stride, NULL};
    for (size_t at = 0; at < packed; at += w->stride)
        panel_pack(&one, bytes, row_bytes, 0, 1, (uint8_t *)p->weights + at);
    mem_free(bytes);
    return OK;
}

enum status product_new(struct product *p, enum tensor_type type, uint32_t rows, uint32_t cols, uint32_t n_max,
                        struct error *e) {
    *p = (struct product){.type = type, .rows = rows, .cols = cols, .n_max = n_max};
    p->x = mem_new(n_max * row_ld(cols), sizeof *p->x);
    p->a = mem_new((size_t)n_max * row8_ld(cols), sizeof *p->a);
    p->y = mem_new((size_t)n_max * rows, sizeof *p->y);
    if (!p->x || !p->y || !p->a) return error_set(e, ERR_MEMORY, "no memory for a matrix of %u x %u", rows, cols);
    fill(p->x, n_max * row_ld(cols));
    enum status s = fill_weights(p, e);
    for (uint32_t j = 0; !s && p->panels.layout == PANEL_INT8 && j < n_max; j++)
        ops_get()->quantize(p->a + j * row8_ld(cols), p->x + j * row_ld(cols), cols);
    return s;
}

void product_free(struct product *p) {
    mem_free(p->weights);
    mem_free(p->x);
    mem_free(p->a);
    mem_free(p->y);
    *p = (struct product){0};
}

void product_run(const struct product *p, uint32_t first, uint32_t end, uint32_t n) {
    ops_get()->matmul(p->y, p->rows, &p->panels, first, end, p->x, row_ld(p->cols), p->a, row8_ld(p->cols), n);
}

/* Pages of random keys and values, made as a forward pass makes them. */
static enum status fill_pages(struct attention *a, enum kv_type type, struct error *e) {
    const struct kv_shape shape = {.n_layer = 1, .n_head_kv = 1, .head_dim = a->head_dim, .type = type};
    enum status s = kv_new(shape, a->n_cells / KV_PAGE, 1, a->n_cells, &a->kv, e);
    if (s) return s;
    float k[HEAD_DIM_MAX], v[HEAD_DIM_MAX];
    struct kv_holder *h = kv_holder_new(a->kv);
    if (!h) return error_set(e, ERR_MEMORY, "no memory for a holder of pages");
    const struct kv_need need = {kv_seq_new(a->kv, h), a->n_cells};
    if ((s = kv_reserve(a->kv, &need, 1, e))) return s;
    a->pages = kv_table(a->kv, need.seq);
    for (uint32_t i = 0; i < a->n_cells; i++) {
        for (uint32_t d = 0; d < a->head_dim; d++)
            k[d] = (float)rng_uniform(2, d + i % 64) - 0.5F, v[d] = (float)rng_uniform(3, d + i % 64) - 0.5F;
        kv_write(a->kv, a->pages[i / KV_PAGE], i % KV_PAGE, 0, 0, k, v);
    }
    return OK;
}

enum status attend_bench_new(struct attention *a, enum kv_type type, uint32_t n_rows, uint32_t head_dim,
                             uint32_t n_cells, struct error *e) {
    *a = (struct attention){.n_rows = n_rows, .head_dim = head_dim, .n_cells = n_cells / KV_PAGE * KV_PAGE};
    const size_t n_q = (size_t)n_rows * head_dim;
    a->q = mem_new(n_q, sizeof *a->q);
    a->o = mem_new(n_q, sizeof *a->o);
    a->m = mem_new(n_rows, sizeof *a->m);
    a->l = mem_new(n_rows, sizeof *a->l);
    a->q_offset = mem_new(n_rows, sizeof *a->q_offset);
    a->end = mem_new(n_rows, sizeof *a->end);
    if (!a->q || !a->o || !a->m || !a->l || !a->q_offset || !a->end)
        return error_set(e, ERR_MEMORY, "no memory for %u cells", n_cells);
    fill(a->q, n_q);
    if (type == KV_I16) attention_round_queries(a->q, n_rows, head_dim);
    for (uint32_t i = 0; i < n_rows; i++) a->q_offset[i] = (size_t)i * head_dim, a->end[i] = a->n_cells;
    return fill_pages(a, type, e);
}

void attend_bench_free(struct attention *a) {
    kv_free(&a->kv);
    mem_free(a->q);
    mem_free(a->o);
    mem_free(a->m);
    mem_free(a->l);
    mem_free(a->q_offset);
    mem_free(a->end);
    *a = (struct attention){0};
}

void attend_bench_run(struct attention *a) {
    const struct attend_args args = {.q = a->q,
                                     .o = a->o,
                                     .q_offset = a->q_offset,
                                     .o_offset = a->q_offset,
                                     .m = a->m,
                                     .l = a->l,
                                     .end = a->end,
                                     .pages = a->pages,
                                     .n_pages = a->n_cells / KV_PAGE,
                                     .page_bytes = kv_page_bytes(a->kv),
                                     .k = kv_k(a->kv, 0, 0, 0),
                                     .v = kv_v(a->kv, 0, 0, 0),
                                     .n_rows = a->n_rows,
                                     .head_dim = a->head_dim,
                                     .scale = 1 / sqrtf((float)a->head_dim)};
    for (uint32_t i = 0; i < a->n_rows; i++) a->m[i] = -INFINITY, a->l[i] = 0;
    memset(a->o, 0, (size_t)a->n_rows * a->head_dim * sizeof *a->o);
    ops_get()->attend[kv_type(a->kv)](&args);
}
