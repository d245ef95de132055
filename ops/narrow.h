/* narrow.h: from f32 to the blocks of the quantised types that we write.
 * Not the layouts: block.h.  Not for other rooms: they call type_from_f32 of quant.h.
 * Next: narrow.c (blocks of 32), narrow_k.c (of 256).
 *
 * All choose scales with a small sum of squared errors (least squares over a few trial roundings), then round each weight
 * with the scales as stored.  NaN counts as 0, and what is past the largest f16 as that. */
#ifndef PONDER_NARROW_H
#define PONDER_NARROW_H

#include "ops/quant.h"

/* x: the 32 or 256 weights of one block at p. */
void narrow_q4_0(const float *x, uint8_t *p);
void narrow_q4_1(const float *x, uint8_t *p);
void narrow_q5_0(const float *x, uint8_t *p);
void narrow_q5_1(const float *x, uint8_t *p);
void narrow_q8_0(const float *x, uint8_t *p);
void narrow_iq4_nl(const float *x, uint8_t *p);
void narrow_mxfp4(const float *x, uint8_t *p);
void narrow_q4_k(const float *x, uint8_t *p);
void narrow_q5_k(const float *x, uint8_t *p);
void narrow_q6_k(const float *x, uint8_t *p);

/* ---- shared by the two files ---- */

/* y[i] = x[i] without NaN, infinity and what no f16 scale reaches. */
void narrow_tame(const float *x, float *y, size_t n);

/* The integer nearest to x in [lo, hi]; any x. */
int narrow_nearest(float x, int lo, int hi);

/* d with a small sum of (x - d q)^2 over integers q in [lo, -lo - 1], lo < 0; 0 when all x are. */
float narrow_fit_scale(const float *x, size_t n, int lo);

/* d >= 0 and m with a small sum of (x - d q - m)^2 over integers q in [0, hi]; m <= 0 if `below`. */
void narrow_fit_range(const float *x, size_t n, int hi, bool below, float *d, float *m);

/* Stores v as f16 at p and returns the value stored. */
float narrow_store(uint8_t *p, float v);

#endif
