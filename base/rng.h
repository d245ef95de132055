/* rng.h: counter-based random numbers (Philox 4x32-10; Salmon et al. 2011, "Parallel random numbers: as easy as
 * 1, 2, 3").  A draw is a pure function of (key, counter), so no order of calls can change a result.
 * Not for cryptography.
 * Next: model/sample.h, which draws tokens with it. */
#ifndef PONDER_RNG_H
#define PONDER_RNG_H

#include <stdint.h>

/* One Philox block: out[4] from a 128-bit counter and a 64-bit key. */
void rng_block(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4]);

/* A child stream: rng_fold(seed, problem), rng_fold(parent, child index)...  Distinct data give independent keys. */
uint64_t rng_fold(uint64_t key, uint64_t data);

/* Draw number `counter` of the stream `key`: 64 random bits; a double in [0,1) with 53 bits; an integer in [0,n). */
uint64_t rng_u64(uint64_t key, uint64_t counter);
double rng_uniform(uint64_t key, uint64_t counter);
uint32_t rng_below(uint64_t key, uint64_t counter, uint32_t n);
/* Number `counter` of a stream of standard normal numbers (Box and Muller 1958); it takes two draws of the stream `key`. */
double rng_normal(uint64_t key, uint64_t counter);
/* One number of the gamma distribution with this shape, above 0, and scale 1 (Marsaglia and Tsang 2000).  It takes the whole
 * stream. */
double rng_gamma(uint64_t key, double shape);

#endif
