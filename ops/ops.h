/* ops.h: the kernels of the forward pass, as a table of functions filled at run time.
 * Not layers: model/forward.c strings them together.
 * Next: scalar.c, which is the specification of every one of them.
 *
 * The promise that all variants keep: every output element is reduced in ONE fixed order, so the bits are the same for
 * any batch size, tile, thread split and instruction set.
 *  - A matrix product is one chain of fused multiply-adds over ascending k (matmul below).
 *  - Any other sum over n elements ("lane sum"): 8 lanes, lane l takes elements l, l+8, ... in ascending order, each added with
 *    fused multiply-add (or plain add when there is no product); then ((l0+l4)+(l2+l6)) + ((l1+l5)+(l3+l7)).
 *    Elements past n count as absent (not as zero products).
 *  - exp is the polynomial of scalar.c, never libm's. */
#ifndef PONDER_OPS_H
#define PONDER_OPS_H

#include "ops/panel.h"

enum { KV_PAGE = 16 /* tokens per KV page */, HEAD_DIM_MAX = 512 };

/* Rotary embedding styles: pairs (2i, 2i+1) or halves (i, i + rope_dim/2). */
enum rope_style { ROPE_NORM, ROPE_NEOX };

/* y[j*ldy + r] = dot(W[r,:], x[j]) for rows r in [row0, row1) and tokens j in [0, n).  row0 is a multiple of PANEL_ROWS, row1
 * too or w->rows.  Activations: x, row j at x + j*ldx, for PANEL_FLOAT and PANEL_FILE; a, token j at a + j*lda, for
 * PANEL_INT8 (the other may be NULL).  Every y is one chain over ascending k, the same for any n, batch and thread split:
 *   floats    sum = fma(w, x, sum), w widened exactly (block.h)
 *   integers  for each 32 k, two groups of 16: i = exact sum of w * q * 2^up;  sum = fma((i0 + i1) * d, scale, sum), then
 *             sum = fma(-low, sum of x, sum) in the forms with low (panel.h);
 *             with a scale for 16 k: t = fma(i1, scale1, i0 * scale0), with low for both groups t = fma(low / 128,
 *             s, t), s = -128 * exact sum of q * 2^up;  sum = fma(t, d, sum).
 *             i0 + i1 is added as integers; what is above 2^24 becomes a float by rounding to nearest even
 * y overlaps nothing.  Never fails, never allocates; about 40 KB of stack. */
typedef void matmul_fn(float *y, size_t ldy, const struct panels *w, uint32_t row0, uint32_t row1, const float *x,
                       size_t ldx, const struct act_block *a, size_t lda, size_t n);

/* What KV pages hold.  One page, one kv head, with groups = head_dim / KV_GROUP rounded up:
 *   f16, f32  K as [head_dim][KV_PAGE], one cell per lane, so that scores need no horizontal sum; V as [KV_PAGE][head_dim]
 *   q8_0      K as [head_dim][KV_PAGE] int8, then its scales, [groups][KV_PAGE] f16; V as [KV_PAGE][head_dim] int8, then
 *             [KV_PAGE][groups] f16.  A number is int8 * scale, exact in f32: one scale per cell and KV_GROUP dimensions.
 *   i16       K as [head_dim/2][KV_PAGE][2] int16, then a scale for each cell, [KV_PAGE] f32; V as [KV_PAGE/2][head_dim][2]
 *             (pairs of cells), then an exponent for each cell, [KV_PAGE] f32.  A number is int16 * scale or int16 * 2^exponent.
 *             Rounded by round_key and round_value below so that integer sums are exact (attend_fn). */
/* The first is what is taken unless another is wanted; the last two: K of the one type and V of the other. */
enum kv_type { KV_I16, KV_F16, KV_F32, KV_Q8_0, KV_F16_Q8_0, KV_Q8_0_F16, KV_TYPES };
static inline enum kv_type kv_type_of_k(enum kv_type t) {
    return t == KV_F16_Q8_0 ? KV_F16 : t == KV_Q8_0_F16 ? KV_Q8_0 : t;
}
static inline enum kv_type kv_type_of_v(enum kv_type t) {
    return t == KV_F16_Q8_0 ? KV_Q8_0 : t == KV_Q8_0_F16 ? KV_F16 : t;
}
enum { KV_GROUP = 32, I16_NORM = 46000, I16_VALUE = 16383, I16_WEIGHT = 8192, I16_EXP_LOW = -40, I16_EXP_HIGH = 60 };

/* Several query rows over a run of pages of one kv head, online softmax (Milakov & Gimelshein 2018).
 * Row i sees the cells at positions [end[i] - window, end[i]) (all before end[i] when window is 0 or larger); the run's
 * first cell stands at position `first`, a multiple of KV_PAGE.  Page by page in order, skipping pages without a cell
 * that the row sees, over the cells t of the page that it sees:
 *   s[t] = scale * sum_d q[d] * K[d][t]                fma, d ascending; with a softcap: softcap * tanh(s / softcap)
 *   m' = max(m, max_t s[t]);  c = exp(m - m')
 *   p[t] = exp(s[t] - m');  l = l * c + (lane sum of p, lane t % 8);  o[d] = o[d] * c, then fma(p[t], V[t][d], .) t ascending
 * Start: m = -INFINITY, l = 0, o = 0.
 * KV_I16 does the same with integer products, which are exact: no order to keep.  q has been rounded by round_key: at a row's
 * place are head_dim int16, then their scale qs.  2^x stands for weight() of scalar.c, 0 below 2^-126; in the last two lines x is
 * an integer.  Page by page:
 *   i[t] = exact sum of q * K;  with a softcap: s = softcap(i * ks * (qs * scale)), u[t] = fma(s, log2(e), e[t]),
 *   else u[t] = fma(i * ks[t], qs * scale * log2(e), e[t]), e the exponents of V: what the cell may add to o, in the log2 domain
 *   M = ceil(max u);  w[t] = 2^(u[t] - M) * I16_WEIGHT;  p[t] = w[t] rounded to nearest even
 *   m' = max(m, M);  c = 2^(m - m');  up = 2^(M - m')
 *   l = fma(l, c, (lane sum of w * 2^-e) * up);  o[d] = fma((exact sum of p * V), up, o[d] * c)
 * l takes the weight before it is rounded: a cell whose V is near zero may have a large one and p = 0.
 * A row's bits do not depend on the other rows nor on how its pages are cut into runs. */
struct attend_args {
    const float *q; /* [n_rows] rows of head_dim floats, row i at q + q_offset[i]; KV_I16: see above */
    float *o;       /* running unnormalised outputs, row i at o + o_offset[i] */
    const size_t *q_offset, *o_offset; /* [n_rows] */
    float *m, *l;                      /* [n_rows] running maximum (KV_I16: of log2) and sum */
    const uint32_t *end;               /* [n_rows] */
    uint32_t window, first;
    const uint32_t *pages; /* [n_pages] page j has its K at k + pages[j] * page_bytes, its V at v + the same */
    size_t n_pages, page_bytes;
    const void *k, *v;
    size_t n_rows, head_dim; /* head_dim % 8 == 0, at most HEAD_DIM_MAX */
    float scale, softcap;    /* softcap 0: none */
    const uint32_t *next;    /* [n_next] pages that will be wanted soon: a hint, changes nothing but time */
    size_t n_next;
};
typedef void attend_fn(const struct attend_args *a);

struct ops {
    const char *name; /* "scalar", "avx2", "avx-vnni", "avx512", "neon", "neon-dot", "neon-i8mm" */
    matmul_fn *matmul;
    /* Activations of one token as panel.h says; n % 32 == 0.  q = x * (127 / the larger most * 2^(s - up)), rounded to nearest
     * even. */
    void (*quantize)(struct act_block *to, const float *x, size_t n);
    /* y[i] = x[i] * (1 / sqrt(lane_sum(x*x)/n + eps)) * w[i].  y may be x. */
    void (*rms_norm)(float *y, const float *x, const float *w, size_t n, float eps);
    /* In place on x: [n_heads, head_dim]; cos_sin: [rope_dim/2][2] for this position; dims past rope_dim untouched.
     * (a, b) -> (fma(a, cos, -(b*sin)), fma(a, sin, b*cos)). */
    void (*rope)(float *x, const float *cos_sin, size_t n_heads, size_t head_dim, size_t rope_dim,
                 enum rope_style style);
    /* y[i] = gate[i] / (1 + exp(-gate[i])) * up[i].  y may be gate or up. */
    void (*silu_mul)(float *y, const float *gate, const float *up, size_t n);
    /* GELU by tanh: y[i] = gate[i] / (1 + exp(-t)) * up[i], t = gate[i] * fma(GELU_B, gate[i]*gate[i], GELU_A), which is
     * 2 * sqrt(2/pi) * (gate + 0.044715 gate^3).  y may be gate or up. */
    void (*gelu_mul)(float *y, const float *gate, const float *up, size_t n);
    /* x[i] = cap * tanh(x[i] / cap), as cap * (1 - 2 / (1 + exp(x[i] * (2 / cap)))).  cap > 0. */
    void (*softcap)(float *x, float cap, size_t n);
    /* y[i] += x[i]. */
    void (*add)(float *y, const float *x, size_t n);
    /* y[i] = exp(fma(x[i], scale, -shift)); returns the lane sum of y.  y may be x. */
    float (*exp_sum)(float *y, const float *x, float scale, float shift, size_t n);
    /* Largest element, NaN passed over (lanes and tree as for a sum); -INFINITY when n == 0. */
    float (*max)(const float *x, size_t n);
    attend_fn *attend[KV_TYPES];
    /* dst[i * dst_stride] = f16(src[i]): V rows use stride 1, K columns KV_PAGE. */
    void (*store_f16)(uint16_t *dst, size_t dst_stride, const float *src, size_t n);
    /* Rows of q and K for KV_I16: x[i] / s, rounded to nearest even, to to[i / 2 * step + i % 2]; returns s.  At most 32767,
     * and the norm of what is stored at most I16_NORM plus roundings: the sum of products of two such rows stays below 2^31
     * (Cauchy-Schwarz).  n % 8 == 0, n <= HEAD_DIM_MAX; |x| < I16_SMALLEST: zeros; a NaN or infinity in x: zeros and NaN. */
    float (*round_key)(int16_t *to, size_t step, const float *x, size_t n);
    /* A row of V for KV_I16: x[i] / 2^e, rounded to nearest even, to to[2 * i]; returns e, the smallest from I16_EXP_LOW on
     * for which none is above I16_VALUE: sums over a page with weights up to I16_WEIGHT stay below 2^31.  NaN as above, also when
     * e would be above I16_EXP_HIGH. */
    float (*round_value)(int16_t *to, const float *x, size_t n);
};

/* The best table for this CPU, or the one that the environment variable PONDER_ISA names; a name that this CPU or build
 * does not have is ignored (the cli checks it with ops_by_name).  Filled once, thread-safe, never NULL. */
const struct ops *ops_get(void);

/* A table by name, for tests and bench; NULL when this CPU or build does not have it.  List: ops_names[] ends in NULL. */
const struct ops *ops_by_name(const char *name);
extern const char *const ops_names[];

#endif
