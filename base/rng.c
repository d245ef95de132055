/* rng.c: Philox 4x32-10, checked in tests against the published known-answer vectors.
 * Not stateful: there is no seed call.
 * Next: rng.h for how keys are derived. */
#include "base/rng.h"

#include <math.h>

void rng_block(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4]) {
    uint32_t c0 = counter[0], c1 = counter[1], c2 = counter[2], c3 = counter[3];
    uint32_t k0 = key[0], k1 = key[1];
    for (int round = 0; round < 10; round++) {
        uint64_t p0 = (uint64_t)0xD2511F53u * c0;
        uint64_t p1 = (uint64_t)0xCD9E8D57u * c2;
        uint32_t n0 = (uint32_t)(p1 >> 32) ^ c1 ^ k0;
        uint32_t n2 = (uint32_t)(p0 >> 32) ^ c3 ^ k1;
        c0 = n0, c1 = (uint32_t)p1, c2 = n2, c3 = (uint32_t)p0;
        k0 += 0x9E3779B9u, k1 += 0xBB67AE85u; /* golden ratio and sqrt(3)-1: the paper's Weyl constants */
    }
    out[0] = c0, out[1] = c1, out[2] = c2, out[3] = c3;
}

static uint64_t draw(uint64_t key, uint64_t counter, uint32_t domain) {
    uint32_t c[4] = {(uint32_t)counter, (uint32_t)(counter >> 32), domain, 0};
    uint32_t k[2] = {(uint32_t)key, (uint32_t)(key >> 32)};
    uint32_t out[4];
    rng_block(c, k, out);
    return (uint64_t)out[1] << 32 | out[0];
}

/* Keys and draws use different counter domains, so a child's key is never a value that its parent drew. */
uint64_t rng_fold(uint64_t key, uint64_t data) { return draw(key, data, 1); }
uint64_t rng_u64(uint64_t key, uint64_t counter) { return draw(key, counter, 0); }
double rng_uniform(uint64_t key, uint64_t counter) { return (double)(rng_u64(key, counter) >> 11) * 0x1p-53; }
uint32_t rng_below(uint64_t key, uint64_t counter, uint32_t n) {
    return (uint32_t)((rng_u64(key, counter) >> 32) * n >> 32);
}

double rng_normal(uint64_t key, uint64_t counter) {
    double u = 1 - rng_uniform(key, 2 * counter); /* never 0 */
    return sqrt(-2 * log(u)) * cos(2 * 3.14159265358979323846 * rng_uniform(key, 2 * counter + 1));
}

/* A cube of a normal number, accepted by its density: about one in twenty is not.  Shapes below 1 by that of shape + 1. */
double rng_gamma(uint64_t key, double shape) {
    if (shape < 1) return rng_gamma(rng_fold(key, 0), shape + 1) * pow(1 - rng_uniform(key, 0), 1 / shape);
    double d = shape - 1.0 / 3, c = 1 / sqrt(9 * d);
    for (uint64_t i = 0;; i++) {
        double x = rng_normal(rng_fold(key, 1), i), t = 1 + c * x, v = t * t * t;
        if (v > 0 && log(1 - rng_uniform(rng_fold(key, 2), i)) < 0.5 * x * x + d - d * v + d * log(v)) return d * v;
    }
}
