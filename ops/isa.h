/* isa.h: what the kernel files share: how they enter the table, and the numbers of exp.
 * Not for other rooms: they see ops.h.
 * Next: scalar.c. */
#ifndef PONDER_ISA_H
#define PONDER_ISA_H

#include <stdbool.h>

#include "ops/ops.h"

#define INLINE static inline __attribute__((always_inline))

/* Before a loop whose bounds are constants after inlining, so that arrays of vectors become registers.  A plain `unroll` of
 * clang 14 stops at a factor of two. */
#if defined(__clang__)
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 16")
#endif

/* scalar sets every entry; the others replace entries of a table that scalar filled. */
void ops_fill_scalar(struct ops *t);
void ops_fill_avx2(struct ops *t); /* x86-64 builds only; the CPU must have avx2, fma and f16c */
void ops_fill_avxvnni(struct ops *t); /* x86-64 builds only; on top of avx2; the CPU must have avxvnni */
void ops_fill_avx512(
    struct ops *t); /* x86-64 builds only; on top of avx2; the CPU must have avx512f, bw, dq, vl and vnni */
void ops_fill_neon(struct ops *t);      /* aarch64 builds only */
void ops_fill_neon_dot(struct ops *t);  /* aarch64 builds only; on top of neon; the CPU must have dotprod */
void ops_fill_neon_i8mm(struct ops *t); /* aarch64 builds only; on top of neon-dot; the CPU must have i8mm */

/* CPUs differ in more than instructions; docs/KERNELS.md says what was measured on which.  Changes time only. */
static inline bool cpu_is_intel(void) {
#if defined(__x86_64__)
    return __builtin_cpu_is("intel");
#else
    return false;
#endif
}

/* A block of activations whose largest is below this is zeros: 127 * 2^ACT_UP / it is finite, and it / 127 / 2^ACT_UP keeps all its
 * bits. */
#define ACT_SMALLEST 1e-30f

/* exp(x) = 2^k * e^r with k = round(x / ln 2) and r = x - k*ln 2, |r| <= 0.347; ln 2 in two parts so that r keeps all
 * its bits.  e^r = 1 + r + r^2 (C2 + C3 r + ... + C6 r^4), fitted for the smallest relative error (3e-9).
 * Below LOW the result is 0 (no subnormals), above HIGH it is infinity; NaN stays NaN.  At most 1 ulp off in between. */
#define EXP_LOW -87.3f
#define EXP_HIGH 88.72f
#define EXP_INV_LN2 0x1.715476p+0f
#define EXP_LN2_HI 0x1.62e43p-1f
#define EXP_LN2_LO -0x1.05c61p-29f
#define EXP_ROUND 0x1.8p23f /* adding it leaves the nearest integer in the low mantissa bits */
#define EXP_C2 0x1.fffffcp-2f
#define EXP_C3 0x1.555490p-3f
#define EXP_C4 0x1.5558f6p-5f
#define EXP_C5 0x1.123a8ep-7f
#define EXP_C6 0x1.6a2314p-10f

/* 2^r = 1 + r (C1 + ... + C5 r^4) for |r| <= 1/2, to 4.4e-7; 0 below 2^EXP2_LOW, which stands in for -infinity. */
#define EXP2_LOW -126.0f
#define EXP2_C1 0x1.62e39ep-1f
#define EXP2_C2 0x1.ebfa4ep-3f
#define EXP2_C3 0x1.c74322p-5f
#define EXP2_C4 0x1.3cbea8p-7f
#define EXP2_C5 0x1.23a604p-10f

/* Rows of KV_I16 whose largest number is below this are zeros; 32767 / it must be finite. */
#define I16_SMALLEST 1e-30f

/* 2 * sqrt(2/pi), and 0.044715 times it. */
#define GELU_A 1.5957691216f
#define GELU_B 0.0713548162726f

#endif
