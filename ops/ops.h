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

enum { KV_PAGE = 16 }; /* tokens per KV page */

/* Rotary embedding styles: pairs (2i, 2i+1) or halves (i, i + rope_dim/2). */
enum rope_style { ROPE_NORM, ROPE_NEOX };

/* y[j*ldy + r] = dot(W[r,:], x[j]) for rows r in [row0, row1) and tokens j in [0, n).  row0 is a multiple of PANEL_ROWS, row1
 * too or w->rows.  Activations: x, row j at x + j*ldx, for PANEL_FLOAT and PANEL_FILE; a, token j at a + j*lda, for
 * PANEL_INT8 (the other may be NULL).  Every y is one chain over ascending k, the same for any n, batch and thread split:
 *   floats    sum = fma(w, x, sum), w widened exactly (widen.h)
 *   integers  for each 32 k, two groups of 16: i = exact sum of w * q;  sum = fma(fma(d1, i1, d0 * i0), scale, sum), then
 *             sum = fma(-low, sum of x, sum) for Q4_K and Q5_K; Q6_K, with a scale for 16 k: sum = fma(d * i, scale, sum), twice
 * y overlaps nothing.  Never fails, never allocates; about 40 KB of stack. */
typedef void matmul_fn(float *y, size_t ldy, const struct panels *w, uint32_t row0, uint32_t row1, const float *x,
                       size_t ldx, const struct act_block *a, size_t lda, size_t n);

/* What KV pages hold.  One page, one kv head, with groups = head_dim / KV_GROUP rounded up:
 *   f16, f32  K as [head_dim][KV_PAGE], one cell per lane, so that scores need no horizontal sum; V as [KV_PAGE][head_dim]
 *   q8_0      K as [head_dim][KV_PAGE] int8, then its scales, [groups][KV_PAGE] f16; V as [KV_PAGE][head_dim] int8, then
 *             [KV_PAGE][groups] f16.  A number is int8 * scale, exact in f32: one scale per cell and KV_GROUP dimensions. */
enum kv_type { KV_F16, KV_F32, KV_Q8_0, KV_TYPES };
enum { KV_GROUP = 32 };

/* Several query rows over a run of pages of one kv head, online softmax (Milakov & Gimelshein 2018).
 * Row i sees the cells at positions [end[i] - window, end[i]) (all before end[i] when window is 0 or larger); the run's
 * first cell stands at position `first`, a multiple of KV_PAGE.  Page by page in order, skipping pages without a cell
 * that the row sees, over the cells t of the page that it sees:
 *   s[t] = scale * sum_d q[d] * K[d][t]                fma, d ascending; with a softcap: softcap * tanh(s / softcap)
 *   m' = max(m, max_t s[t]);  c = exp(m - m')
 *   p[t] = exp(s[t] - m');  l = l * c + (lane sum of p, lane t % 8);  o[d] = o[d] * c, then fma(p[t], V[t][d], .) t ascending
 * Start: m = -INFINITY, l = 0, o = 0.  A row's bits do not depend on the other rows nor on how its pages are cut into runs. */
struct attend_args {
    const float *q;                    /* [n_rows] rows of head_dim floats, row i at q + q_offset[i] */
    float *o;                          /* running unnormalised outputs, row i at o + o_offset[i] */
    const size_t *q_offset, *o_offset; /* [n_rows] */
    float *m, *l;                      /* [n_rows] running maximum and sum */
    const uint32_t *end;               /* [n_rows] */
    uint32_t window, first;
    const uint32_t *pages; /* [n_pages] page j has its K at k + pages[j] * page_bytes, its V at v + the same */
    size_t n_pages, page_bytes;
    const void *k, *v;
    size_t n_rows, head_dim; /* head_dim % 8 == 0, at most 512 */
    float scale, softcap;    /* softcap 0: none */
    const uint32_t *next;    /* [n_next] pages that will be wanted soon: a hint, changes nothing but time */
    size_t n_next;
};
typedef void attend_fn(const struct attend_args *a);

struct ops {
    const char *name; /* "scalar", "avx2", "avx512", "neon", "neon-dot", "neon-i8mm" */
    matmul_fn *matmul;
    /* Activations of one token as panel.h says; n % 32 == 0.  q = x * (127 / max|x|), rounded to nearest even. */
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
};

/* The best table for this CPU, or the one that the environment variable PONDER_ISA names; a name that this CPU or build
 * does not have is ignored (the cli checks it with ops_by_name).  Filled once, thread-safe, never NULL. */
const struct ops *ops_get(void);

/* A table by name, for tests and bench; NULL when this CPU or build does not have it.  List: ops_names[] ends in NULL. */
const struct ops *ops_by_name(const char *name);
extern const char *const ops_names[];

#endif
