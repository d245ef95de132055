/* scalar.c: every kernel in plain C: the specification that the instruction-set files must match bit for bit.
 * Not fast: fmaf may be a call.
 * Next: products.h, which computes the same bits eight lanes at a time. */
#include <assert.h>
#include <float.h>
#include <math.h>
#include <string.h>

#include "ops/isa.h"

enum { LANES = 8 };

/* ((l0+l4)+(l2+l6)) + ((l1+l5)+(l3+l7)): what halving a vector of 8, then of 4, then of 2 gives. */
static float lane_tree(const float lane[LANES]) {
    return ((lane[0] + lane[4]) + (lane[2] + lane[6])) + ((lane[1] + lane[5]) + (lane[3] + lane[7]));
}

/* The second when either is NaN, or both are zero: the order of arguments matters. */
static float larger(float a, float b) { return a > b ? a : b; }

static float exp_scalar(float x) {
    float t = fmaf(x, EXP_INV_LN2, EXP_ROUND);
    float k = t - EXP_ROUND;
    float r = fmaf(-k, EXP_LN2_LO, fmaf(-k, EXP_LN2_HI, x));
    float p = EXP_C6;
    p = fmaf(p, r, EXP_C5);
    p = fmaf(p, r, EXP_C4);
    p = fmaf(p, r, EXP_C3);
    p = fmaf(p, r, EXP_C2);
    p = fmaf(p, r, 1.0f);
    p = fmaf(p, r, 1.0f);
    uint32_t bits, shift;
    memcpy(&bits, &p, sizeof bits);
    memcpy(&shift, &t, sizeof shift);
    bits += shift << 23; /* times 2^k: k sits in the low bits of t */
    memcpy(&p, &bits, sizeof p);
    if (x > EXP_HIGH) p = INFINITY;
    if (x < EXP_LOW) p = 0;
    return x == x ? p : x;
}

/* ---- products ---- */

static void zero_rows(float *y, size_t ldy, uint32_t row0, uint32_t row1, size_t n) {
    for (size_t j = 0; j < n; j++)
        for (uint32_t row = row0; row < row1; row++) y[j * ldy + row] = 0;
}

/* A panel, or a row of a file, at a time, in pieces of one block of the largest type. */
static void float_product(float *y, size_t ldy, const struct panels *p, uint32_t row0, uint32_t row1, const float *x,
                          size_t ldx, size_t n) {
    enum { PIECE = 256 };
    const struct type_info *t = type_info(p->type);
    const uint32_t lanes = p->layout == PANEL_FILE ? 1 : PANEL_ROWS;
    float w[PIECE * PANEL_ROWS];
    zero_rows(y, ldy, row0, row1, n);
    for (uint32_t row = row0; row < row1; row += lanes)
        for (size_t k = 0; k < p->cols; k += PIECE) {
            const size_t ks = p->cols - k < PIECE ? p->cols - k : PIECE;
            const uint32_t rows = row1 - row < lanes ? row1 - row : lanes;
            const uint8_t *from = p->data + row / lanes * p->stride + k * lanes / t->block_weights * t->block_bytes;
            type_to_f32(p->type, from, w, ks * lanes);
            for (size_t j = 0; j < n; j++) {
                float *sum = &y[j * ldy + row];
                for (size_t i = 0; i < ks; i++)
                    for (uint32_t r = 0; r < rows; r++) sum[r] = fmaf(w[i * lanes + r], x[j * ldx + k + i], sum[r]);
            }
        }
}

/* The exact sum of w * q * 2^up over group g of one row and token. */
static int32_t group_dot(const int8_t *w, const struct act_block *a, int g) {
    int32_t i = 0;
    for (int k = g * ACT_GROUP; k < (g + 1) * ACT_GROUP; k++) i += w[k] * a->q[k];
    return i * (1 << a->up[g]);
}

static float int_dot(const struct panels *p, const struct panel_block *w, uint32_t r, const struct act_block *a,
                     float sum) {
    const int32_t i0 = group_dot(w->w[r], a, 0), i1 = group_dot(w->w[r], a, 1);
    const struct form_info *f = &forms[packing_of(p->type)->form];
    if (f->halves) {
        float t = fmaf((float)i1, w->scale[1][r], (float)i0 * w->scale[0][r]);
        for (int g = 0; f->low && g < ACT_GROUPS; g++)
            t = fmaf(w->low[g][r] / 128, (float)(a->shift[g] * a->times[g]), t);
        return fmaf(t, a->d, sum);
    }
    sum = fmaf((float)(i0 + i1) * a->d, w->scale[0][r], sum);
    return f->low ? fmaf(-w->low[0][r], a->sum, sum) : sum;
}

static void int_product(float *y, size_t ldy, const struct panels *p, uint32_t row0, uint32_t row1,
                        const struct act_block *a, size_t lda, size_t n) {
    struct panel_block w;
    zero_rows(y, ldy, row0, row1, n);
    for (uint32_t row = row0; row < row1; row += PANEL_ROWS)
        for (uint32_t b = 0; b < p->cols / 32; b++) {
            panel_block_read(p, row / PANEL_ROWS, b, &w);
            for (uint32_t r = 0; r < PANEL_ROWS && row + r < row1; r++)
                for (size_t j = 0; j < n; j++) {
                    float *to = &y[j * ldy + row + r];
                    *to = int_dot(p, &w, r, a + j * lda + b, *to);
                }
        }
}

static void matmul(float *y, size_t ldy, const struct panels *p, uint32_t row0, uint32_t row1, const float *x,
                   size_t ldx, const struct act_block *a, size_t lda, size_t n) {
    if (p->layout == PANEL_INT8) int_product(y, ldy, p, row0, row1, a, lda, n);
    else float_product(y, ldy, p, row0, row1, x, ldx, n);
}

/* x[i] * 2^s is at most the larger group's most, exactly, so that rounding cannot make a q of 128. */
static void quantize_block(struct act_block *to, const float *x) {
    float most[ACT_GROUPS] = {0};
    bool finite = true;
    int s = 0;
    for (int i = 0; i < 32; i++) {
        most[i / ACT_GROUP] = larger(fabsf(x[i]), most[i / ACT_GROUP]);
        finite = finite && fabsf(x[i]) <= FLT_MAX;
    }
    const float high = larger(most[0], most[1]), low = most[0] > most[1] ? most[1] : most[0];
    *to = (struct act_block){.d = finite ? 0 : NAN, .sum = finite ? 0 : NAN};
    if (!finite || high < ACT_SMALLEST) return;
    while (s < ACT_UP && low * (float)(2 << s) <= high) s++;
    int32_t total = 0;
    for (int g = 0; g < ACT_GROUPS; g++) {
        to->up[g] = most[g] > low ? s : 0;
        int32_t sum = 0;
        for (int i = g * ACT_GROUP; i < (g + 1) * ACT_GROUP; i++) {
            to->q[i] = (int8_t)nearbyintf(x[i] * (127 / high * (float)(1 << (s - to->up[g]))));
            sum += to->q[i];
        }
        to->shift[g] = -128 * sum;
        to->times[g] = (int16_t)(1 << to->up[g]);
        total += sum * to->times[g];
    }
    to->d = high / 127 / (float)(1 << s);
    to->sum = to->d * (float)total;
    to->base = -128 * total;
}

static void quantize(struct act_block *to, const float *x, size_t n) {
    for (size_t k = 0; k < n; k += 32, to++) quantize_block(to, x + k);
}

static void rms_norm(float *y, const float *x, const float *w, size_t n, float eps) {
    float lane[LANES] = {0};
    for (size_t i = 0; i < n; i++) lane[i % LANES] = fmaf(x[i], x[i], lane[i % LANES]);
    float inverse = 1 / sqrtf(lane_tree(lane) / (float)n + eps);
    for (size_t i = 0; i < n; i++) y[i] = x[i] * inverse * w[i];
}

static void rope(float *x, const float *cos_sin, size_t n_heads, size_t head_dim, size_t rope_dim,
                 enum rope_style style) {
    size_t half = rope_dim / 2, step = style == ROPE_NORM ? 2 : 1, apart = style == ROPE_NORM ? 1 : half;
    for (size_t h = 0; h < n_heads; h++) {
        float *head = x + h * head_dim;
        for (size_t i = 0; i < half; i++) {
            float a = head[i * step], b = head[i * step + apart], c = cos_sin[2 * i], s = cos_sin[2 * i + 1];
            head[i * step] = fmaf(a, c, -(b * s));
            head[i * step + apart] = fmaf(a, s, b * c);
        }
    }
}

static void silu_mul(float *y, const float *gate, const float *up, size_t n) {
    for (size_t i = 0; i < n; i++) y[i] = gate[i] / (1 + exp_scalar(-gate[i])) * up[i];
}

static void gelu_mul(float *y, const float *gate, const float *up, size_t n) {
    for (size_t i = 0; i < n; i++) {
        float t = gate[i] * fmaf(GELU_B, gate[i] * gate[i], GELU_A);
        y[i] = gate[i] / (1 + exp_scalar(-t)) * up[i];
    }
}

static void softcap(float *x, float cap, size_t n) {
    for (size_t i = 0; i < n; i++) x[i] = cap * (1 - 2 / (1 + exp_scalar(x[i] * (2 / cap))));
}

static void add(float *y, const float *x, size_t n) {
    for (size_t i = 0; i < n; i++) y[i] += x[i];
}

static float exp_sum(float *y, const float *x, float scale, float shift, size_t n) {
    float lane[LANES] = {0};
    for (size_t i = 0; i < n; i++) {
        y[i] = exp_scalar(fmaf(x[i], scale, -shift));
        lane[i % LANES] += y[i];
    }
    return lane_tree(lane);
}

/* Lanes and tree as for a sum; NaN elements lose every comparison and so are passed over. */
static float max(const float *x, size_t n) {
    float lane[LANES];
    for (size_t l = 0; l < LANES; l++) lane[l] = -INFINITY;
    for (size_t i = 0; i < n; i++) lane[i % LANES] = larger(x[i], lane[i % LANES]);
    return larger(larger(larger(lane[0], lane[4]), larger(lane[2], lane[6])),
                  larger(larger(lane[1], lane[5]), larger(lane[3], lane[7])));
}

/* Number of K or V: element i, whose scale (q8_0) is number `group` of those after the page's n elements. */
static float kv_at(const void *x, size_t i, enum kv_type type, size_t n, size_t group) {
    uint16_t scale;
    if (type == KV_F32) return ((const float *)x)[i];
    if (type == KV_F16) return f16_to_f32(((const uint16_t *)x)[i]);
    memcpy(&scale, (const int8_t *)x + n + group * sizeof scale, sizeof scale);
    return (float)((const int8_t *)x)[i] * f16_to_f32(scale);
}

/* One query row over the cells [begin, end) of one page, at least one. */
static void attend_row(const struct attend_args *a, size_t row, size_t page, size_t begin, size_t end,
                       enum kv_type type_k, enum kv_type type_v) {
    const float *q = a->q + a->q_offset[row];
    const char *k = (const char *)a->k + a->pages[page] * a->page_bytes,
               *v = (const char *)a->v + a->pages[page] * a->page_bytes;
    float *o = a->o + a->o_offset[row], p[KV_PAGE];
    size_t hd = a->head_dim, n = hd * KV_PAGE, groups = (hd + KV_GROUP - 1) / KV_GROUP;
    for (size_t t = 0; t < end; t++) {
        float s = 0;
        for (size_t d = 0; d < hd; d++)
            s = fmaf(q[d], kv_at(k, d * KV_PAGE + t, type_k, n, d / KV_GROUP * KV_PAGE + t), s);
        p[t] = a->scale * s;
    }
    if (a->softcap > 0) softcap(p, a->softcap, end);
    for (size_t t = 0; t < begin; t++) p[t] = -INFINITY; /* weight 0 */
    float m = larger(max(p, end), a->m[row]);
    float c = exp_scalar(a->m[row] - m);
    a->l[row] = a->l[row] * c + exp_sum(p, p, 1, m, end);
    a->m[row] = m;
    for (size_t d = 0; d < hd; d++) {
        o[d] *= c;
        for (size_t t = begin; t < end; t++)
            o[d] = fmaf(p[t], kv_at(v, t * hd + d, type_v, n, t * groups + d / KV_GROUP), o[d]);
    }
}

/* 2^x * I16_WEIGHT for x <= 0: as exp_scalar. */
static float weight(float x) {
    const float t = x + EXP_ROUND, r = x - (t - EXP_ROUND);
    float p = I16_WEIGHT * EXP2_C5;
    p = fmaf(p, r, I16_WEIGHT * EXP2_C4);
    p = fmaf(p, r, I16_WEIGHT * EXP2_C3);
    p = fmaf(p, r, I16_WEIGHT * EXP2_C2);
    p = fmaf(p, r, I16_WEIGHT * EXP2_C1);
    p = fmaf(p, r, I16_WEIGHT);
    uint32_t bits, shift;
    memcpy(&bits, &p, sizeof bits);
    memcpy(&shift, &t, sizeof shift);
    bits += shift << 23;
    memcpy(&p, &bits, sizeof p);
    return x < EXP2_LOW ? 0 : p; /* NaN stays: its low bits are 0 when it comes from arithmetic or is NAN */
}

/* 2^x for an integer x <= 0; exact. */
static float power(float x) { return x >= EXP2_LOW ? ldexpf(1, (int)x) : 0; }

/* attend_row for pages of integers. */
static void attend_row_i16(const struct attend_args *a, size_t row, size_t page, size_t begin, size_t end) {
    const size_t hd = a->head_dim;
    const int16_t *q = (const int16_t *)(const void *)(a->q + a->q_offset[row]),
                  *k = (const int16_t *)(const void *)((const char *)a->k + a->pages[page] * a->page_bytes),
                  *v = (const int16_t *)(const void *)((const char *)a->v + a->pages[page] * a->page_bytes);
    float *o = a->o + a->o_offset[row], u[KV_PAGE], qs, ks[KV_PAGE], e[KV_PAGE];
    int32_t p[KV_PAGE] = {0};
    memcpy(&qs, q + hd, sizeof qs), memcpy(ks, k + hd * KV_PAGE, sizeof ks), memcpy(e, v + hd * KV_PAGE, sizeof e);
    for (size_t t = 0; t < KV_PAGE; t++) u[t] = -INFINITY;
    for (size_t t = begin; t < end; t++) {
        int32_t i = 0;
        for (size_t d = 0; d < hd; d++) i += q[d] * k[(d / 2 * KV_PAGE + t) * 2 + d % 2];
        u[t] = (float)i * ks[t];
        if (a->softcap > 0) u[t] *= qs * a->scale;
    }
    if (a->softcap > 0) softcap(u + begin, a->softcap, end - begin);
    const float factor = a->softcap > 0 ? EXP_INV_LN2 : qs * a->scale * EXP_INV_LN2;
    for (size_t t = begin; t < end; t++) u[t] = fmaf(u[t], factor, e[t]);
    float lane[LANES], larger8[LANES], m;
    for (size_t l = 0; l < LANES; l++) larger8[l] = larger(u[l], u[l + LANES]);
    m = larger(larger(larger(larger8[0], larger8[4]), larger(larger8[2], larger8[6])),
               larger(larger(larger8[1], larger8[5]), larger(larger8[3], larger8[7])));
    m = ceilf(larger(m, -FLT_MAX));
    const float now = larger(m, a->m[row]), up = power(m - now), c = power(a->m[row] - now);
    for (size_t t = begin; t < end; t++) {
        u[t] = weight(u[t] - m);
        p[t] = u[t] == u[t] ? (int32_t)nearbyintf(u[t]) : 0;
        u[t] *= ldexpf(1, e[t] == e[t] ? -(int)e[t] : 0);
    }
    for (size_t l = 0; l < LANES; l++) {
        const float low = l >= begin && l < end ? u[l] : 0,
                    high = l + LANES >= begin && l + LANES < end ? u[l + LANES] : 0;
        lane[l] = low + high;
    }
    a->l[row] = fmaf(a->l[row], c, lane_tree(lane) * up);
    a->m[row] = now;
    for (size_t d = 0; d < hd; d++) {
        int32_t sum = 0;
        for (size_t t = 0; t < KV_PAGE; t++) sum += p[t] * v[(t / 2 * hd + d) * 2 + t % 2];
        o[d] = fmaf((float)sum, up, o[d] * c);
    }
}

static void attend_run(const struct attend_args *a, enum kv_type type) {
    assert(a->head_dim % 8 == 0 && a->head_dim <= HEAD_DIM_MAX);
    for (size_t i = 0; i < a->n_rows; i++)
        for (size_t page = 0; page < a->n_pages; page++) {
            uint32_t first = a->first + (uint32_t)(page * KV_PAGE), end = a->end[i],
                     begin = a->window && end > a->window ? end - a->window : 0;
            if (end <= first || begin >= first + KV_PAGE) continue;
            begin = begin > first ? begin - first : 0, end = end - first < KV_PAGE ? end - first : KV_PAGE;
            if (type == KV_I16) attend_row_i16(a, i, page, begin, end);
            else attend_row(a, i, page, begin, end, kv_type_of_k(type), kv_type_of_v(type));
        }
}

static void attend_f16(const struct attend_args *a) { attend_run(a, KV_F16); }
static void attend_f32(const struct attend_args *a) { attend_run(a, KV_F32); }
static void attend_q8_0(const struct attend_args *a) { attend_run(a, KV_Q8_0); }
static void attend_f16_q8_0(const struct attend_args *a) { attend_run(a, KV_F16_Q8_0); }
static void attend_q8_0_f16(const struct attend_args *a) { attend_run(a, KV_Q8_0_F16); }
static void attend_i16(const struct attend_args *a) { attend_run(a, KV_I16); }

static void store_f16(uint16_t *dst, size_t dst_stride, const float *src, size_t n) {
    for (size_t i = 0; i < n; i++) dst[i * dst_stride] = f32_to_f16(src[i]);
}

static float largest_size(const float *x, size_t n) {
    float most = 0;
    for (size_t i = 0; i < n; i++) most = larger(fabsf(x[i]), most);
    return most;
}

static float round_key(int16_t *to, size_t step, const float *x, size_t n) {
    const float most = largest_size(x, n);
    float lane[LANES] = {0}, by = most >= I16_SMALLEST ? 32767 / most : 0;
    for (size_t i = 0; i < n; i++) lane[i % LANES] = fmaf(x[i] * by, x[i] * by, lane[i % LANES]);
    const float norm2 = lane_tree(lane), limit = (float)I16_NORM * I16_NORM;
    const bool finite = norm2 == norm2; /* infinity is multiplied by 0 */
    if (norm2 > limit) by *= I16_NORM / sqrtf(norm2);
    for (size_t i = 0; i < n; i++) to[i / 2 * step + i % 2] = (int16_t)(finite ? nearbyintf(x[i] * by) : 0);
    return !finite ? NAN : by > 0 ? 1 / by : 0;
}

static float round_value(int16_t *to, const float *x, size_t n) {
    const float most = largest_size(x, n) / I16_VALUE;
    uint32_t bits;
    bool finite = true;
    memcpy(&bits, &most, sizeof bits);
    int e = (int)(bits >> 23) - 127 + ((bits & 0x7fffff) != 0);
    if (e < I16_EXP_LOW) e = I16_EXP_LOW;
    for (size_t i = 0; i < n; i++) finite = finite && x[i] == x[i] && e <= I16_EXP_HIGH;
    for (size_t i = 0; i < n; i++) to[2 * i] = (int16_t)(finite ? nearbyintf(x[i] * ldexpf(1, -e)) : 0);
    return finite ? (float)e : NAN;
}

void ops_fill_scalar(struct ops *t) {
    *t = (struct ops){.name = "scalar",
                      .rms_norm = rms_norm,
                      .rope = rope,
                      .silu_mul = silu_mul,
                      .gelu_mul = gelu_mul,
                      .softcap = softcap,
                      .add = add,
                      .exp_sum = exp_sum,
                      .max = max,
                      .attend = {[KV_F16] = attend_f16,
                                 [KV_F32] = attend_f32,
                                 [KV_Q8_0] = attend_q8_0,
                                 [KV_F16_Q8_0] = attend_f16_q8_0,
                                 [KV_Q8_0_F16] = attend_q8_0_f16,
                                 [KV_I16] = attend_i16},
                      .store_f16 = store_f16,
                      .round_key = round_key,
                      .round_value = round_value};
    t->matmul = matmul;
    t->quantize = quantize;
}
