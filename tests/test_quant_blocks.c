/* test_quant_blocks.c: the blocks of quantised weights: layouts bit by bit, the error of writing them, awkward values.
 * Not whole models: test_quant_model.c.
 * Next: ops/block.h, where the layouts are. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <math.h>
#include <string.h>

#include <cmocka.h>

#include "tests/fence.h"

static double half_at(const uint8_t *p) { return (double)f16_to_f32((uint16_t)(p[0] | p[1] << 8)); }

/* Bits [at, at + n) of p, counted from the low bit of byte 0. */
static int bits(const uint8_t *p, int at, int n) {
    int v = 0;
    for (int b = 0; b < n; b++) v |= (p[(at + b) / 8] >> (at + b) % 8 & 1) << b;
    return v;
}

/* Nibble of weight i where each `run` bytes hold 2 * run weights, the first half of them in the low nibbles. */
static int nibble(const uint8_t *p, int i, int run) {
    return bits(p + i / (2 * run) * run, i % run * 8 + i / run % 2 * 4, 4);
}

/* Two bits of weight i where 32 bytes hold 128 weights. */
static int crumb(const uint8_t *p, int i) { return bits(p + i / 128 * 32, i % 32 * 8 + i % 128 / 32 * 2, 2); }

static const double fp4[] = {0, 1, 2, 3, 4, 6, 8, 12, -0.0, -1, -2, -3, -4, -6, -8, -12};
static const double grid[] = {-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};

/* s and t of group g of Q4_K and Q5_K, field by field. */
static int k_scale(const uint8_t *p, int g, bool offset) {
    if (g < 4) return bits(p, (g + 4 * offset) * 8, 6);
    return bits(p, (4 + g) * 8 + 4 * offset, 4) + 16 * bits(p, (g - 4 + 4 * offset) * 8 + 6, 2);
}

/* Digit of weight i of TQ1_0: bytes are fractions of 256, whose digits to the base 3 follow one another; 32 bytes have
 * five, then 16 bytes five, then 4 bytes four. */
static int digit(const uint8_t *p, int i) {
    const int run = i < 160 ? 32 : i < 240 ? 16 : 4, from = i < 160 ? 0 : i < 240 ? 160 : 240;
    double fraction = p[(i < 160 ? 0 : i < 240 ? 32 : 48) + (i - from) % run] / 256.0, whole = 0;
    for (int n = 0; n <= (i - from) / run; n++) fraction = modf(fraction * 3, &whole);
    return (int)whole;
}

/* Weight i of a block by the place of its bits, one at a time. */
static double weight(enum tensor_type type, const uint8_t *p, int i) {
    int g;
    switch (type) {
    case TYPE_Q4_0: return (nibble(p + 2, i, 16) - 8) * half_at(p);
    case TYPE_Q4_1: return nibble(p + 4, i, 16) * half_at(p) + half_at(p + 2);
    case TYPE_Q5_0: return (nibble(p + 6, i, 16) + 16 * bits(p + 2, i, 1) - 16) * half_at(p);
    case TYPE_Q5_1: return (nibble(p + 8, i, 16) + 16 * bits(p + 4, i, 1)) * half_at(p) + half_at(p + 2);
    case TYPE_Q8_0: return (int8_t)p[2 + i] * half_at(p);
    case TYPE_IQ4_NL: return grid[nibble(p + 2, i, 16)] * half_at(p);
    case TYPE_Q2_K:
        return crumb(p + 16, i) * bits(p, i / 16 * 8, 4) * half_at(p + 80) -
               bits(p, i / 16 * 8 + 4, 4) * half_at(p + 82);
    case TYPE_Q3_K:
        g = bits(p + 96, i / 16 % 8 * 8 + i / 128 * 4, 4) + 16 * bits(p + 104, i / 16 % 4 * 8 + i / 64 * 2, 2);
        return (crumb(p + 32, i) + 4 * bits(p, i % 32 * 8 + i / 32, 1) - 4) * (g - 32) * half_at(p + 108);
    case TYPE_Q4_K:
        return nibble(p + 16, i, 32) * k_scale(p + 4, i / 32, false) * half_at(p) -
               k_scale(p + 4, i / 32, true) * half_at(p + 2);
    case TYPE_Q5_K:
        return (nibble(p + 48, i, 32) + 16 * bits(p + 16, i % 32 * 8 + i / 32, 1)) * k_scale(p + 4, i / 32, false) *
                   half_at(p) -
               k_scale(p + 4, i / 32, true) * half_at(p + 2);
    case TYPE_Q6_K:
        g = bits(p + i / 128 * 64 + i % 64, i % 128 / 64 * 4, 4) + 16 * crumb(p + 128, i);
        return (g - 32) * (int8_t)p[192 + i / 16] * half_at(p + 208);
    case TYPE_IQ4_XS:
        g = bits(p + 4, i / 32 * 4, 4) + 16 * bits(p + 2, i / 32 * 2, 2);
        return grid[nibble(p + 8 + i / 32 * 16, i % 32, 16)] * (g - 32) * half_at(p);
    case TYPE_MXFP4: return fp4[nibble(p + 1, i, 16)] * ldexp(1, p[0] - 128);
    case TYPE_TQ1_0: return (digit(p, i) - 1) * half_at(p + 52);
    case TYPE_TQ2_0: return (crumb(p, i) - 1) * half_at(p + 64);
    default: return NAN;
    }
}

/* The types whose weights come from lists: FNV-1a of the bytes of 262144 weights (every point of every list) of
 * fill_row with key 1, as llama.cpp (September 2026) made them of the same bytes. */
static const struct golden {
    enum tensor_type type;
    uint64_t hash;
    float first[2];
} goldens[] = {
    {TYPE_IQ1_S, 0xcfc5db0a67612100u, {-0.220752716f, -0.220752716f}},
    {TYPE_IQ1_M, 0xc8ac516470c27c61u, {0.0315361023f, 0.283824921f}},
    {TYPE_IQ2_XXS, 0x7075bc0795f22804u, {-2.36520767f, -0.756866455f}},
    {TYPE_IQ2_XS, 0x1e10278bb60808feu, {0.108123779f, 0.33788681f}},
    {TYPE_IQ2_S, 0xbe7a1bdd489699e5u, {-1.91469193f, -0.612701416f}},
    {TYPE_IQ3_XXS, 0x96233f20ae4a0469u, {-0.180206299f, 0.108123779f}},
    {TYPE_IQ3_S, 0xabb4ab25c8dc90e2u, {1.98226929f, 0.540618896f}},
};
static const struct golden *golden_of(enum tensor_type type) {
    for (size_t i = 0; i < COUNT(goldens); i++)
        if (goldens[i].type == type) return &goldens[i];
    return NULL;
}

enum { N_LISTED = 262144 };
static void listed_row(enum tensor_type type, uint8_t *bytes) {
    static float row[N_LISTED];
    fill_random(row, N_LISTED, 1, false);
    fill_row(type, row, bytes, N_LISTED, 1);
}

static void test_lists(void **state) {
    (void)state;
    static uint8_t bytes[N_LISTED];
    static float w[N_LISTED];
    for (size_t t = 0; t < COUNT(goldens); t++) {
        const struct golden *g = &goldens[t];
        uint64_t hash = 0xcbf29ce484222325u;
        listed_row(g->type, bytes);
        type_to_f32(g->type, bytes, w, N_LISTED);
        for (size_t i = 0; i < sizeof w; i++) hash = (hash ^ ((const uint8_t *)w)[i]) * 0x100000001b3u;
        if (hash != g->hash)
            fail_msg("%s: weights hash to %016llx, llama.cpp's to %016llx; the first are %.9g %.9g, expected %.9g %.9g",
                     type_info(g->type)->name, (unsigned long long)hash, (unsigned long long)g->hash, (double)w[0],
                     (double)w[1], (double)g->first[0], (double)g->first[1]);
    }
}

static void test_layouts(void **state) {
    (void)state;
    enum { N = 512 };
    float row[N], w[N];
    uint8_t bytes[N * 4 + 1], aligned[N * 4];
    for (size_t t = 0; t < COUNT(check_types); t++) {
        const enum tensor_type type = check_types[t];
        const struct type_info *info = type_info(type);
        if (info->block_weights == 1 || golden_of(type)) continue;
        for (uint64_t key = 0; key < 20; key++) {
            fill_random(row, N, key, false);
            fill_row(type, row, bytes + 1, N, key);
            memset(w, 0xff, sizeof w);
            type_to_f32(type, bytes + 1, w, N);
            for (size_t i = 0; i < N; i++) {
                const size_t block = i / info->block_weights;
                const float want =
                    (float)weight(type, bytes + 1 + block * info->block_bytes, (int)(i % info->block_weights));
                if (w[i] != want)
                    fail_msg("%s weight %zu is %.9g, expected %.9g", info->name, i, (double)w[i], (double)want);
            }
            memcpy(aligned, bytes + 1, type_row_bytes(type, N));
            float again[N];
            type_to_f32(type, aligned, again, N);
            assert_memory_equal(again, w, sizeof w);
        }
    }
}

/* Sizes and ids are the format's. */
static void test_table(void **state) {
    (void)state;
    static const struct {
        uint32_t id, weights, bytes;
        const char *name;
    } want[] = {{2, 32, 18, "Q4_0"},      {3, 32, 20, "Q4_1"},     {6, 32, 22, "Q5_0"},      {7, 32, 24, "Q5_1"},
                {8, 32, 34, "Q8_0"},      {10, 256, 84, "Q2_K"},   {11, 256, 110, "Q3_K"},   {12, 256, 144, "Q4_K"},
                {13, 256, 176, "Q5_K"},   {14, 256, 210, "Q6_K"},  {20, 32, 18, "IQ4_NL"},   {23, 256, 136, "IQ4_XS"},
                {16, 256, 66, "IQ2_XXS"}, {17, 256, 74, "IQ2_XS"}, {18, 256, 98, "IQ3_XXS"}, {19, 256, 50, "IQ1_S"},
                {21, 256, 110, "IQ3_S"},  {22, 256, 82, "IQ2_S"},  {29, 256, 56, "IQ1_M"},   {34, 256, 54, "TQ1_0"},
                {35, 256, 66, "TQ2_0"},   {39, 32, 17, "MXFP4"}};
    for (size_t i = 0; i < COUNT(want); i++) {
        const struct type_info *t = type_info(want[i].id);
        assert_non_null(t);
        assert_string_equal(t->name, want[i].name);
        assert_int_equal(t->block_weights, want[i].weights);
        assert_int_equal(t->block_bytes, want[i].bytes);
        assert_int_equal(type_row_bytes(want[i].id, 3 * want[i].weights), 3 * want[i].bytes);
        assert_int_equal(type_row_bytes(want[i].id, 3 * want[i].weights + want[i].weights / 2), 0);
    }
    static const uint32_t removed[] = {4, 5, 9, 15, 24, 31, 36, 40};
    for (size_t i = 0; i < COUNT(removed); i++) assert_null(type_info(removed[i]));
}

/* RMS error over RMS of normally distributed weights: two percent above what the fits reach. */
static const struct {
    enum tensor_type type;
    double bound;
} bounds[] = {{TYPE_Q8_0, 0.0056},   {TYPE_Q6_K, 0.0179}, {TYPE_Q5_K, 0.0370}, {TYPE_Q5_1, 0.0349},
              {TYPE_Q5_0, 0.0413},   {TYPE_Q4_K, 0.0731}, {TYPE_Q4_1, 0.0717}, {TYPE_Q4_0, 0.0827},
              {TYPE_IQ4_NL, 0.0749}, {TYPE_MXFP4, 0.1180}};

enum { N_WEIGHTS = 256 * 64 };

static double relative_error(enum tensor_type type, const float *w, float *back, uint8_t *bytes) {
    double error = 0, size = 0;
    type_from_f32(type, w, bytes, N_WEIGHTS);
    type_to_f32(type, bytes, back, N_WEIGHTS);
    for (size_t i = 0; i < N_WEIGHTS; i++) {
        error += ((double)w[i] - back[i]) * ((double)w[i] - back[i]);
        size += (double)w[i] * w[i];
    }
    return sqrt(error / size);
}

static void test_error_bounds(void **state) {
    (void)state;
    static float w[N_WEIGHTS], back[N_WEIGHTS], twice[N_WEIGHTS];
    static uint8_t bytes[N_WEIGHTS * 2];
    static const double scales[] = {1, 0.02, 300};
    for (size_t b = 0; b < COUNT(bounds); b++)
        for (size_t s = 0; s < COUNT(scales); s++) {
            const char *name = type_info(bounds[b].type)->name;
            for (size_t i = 0; i < N_WEIGHTS; i++) {
                double u = 1 - rng_uniform(21, 2 * i), v = rng_uniform(21, 2 * i + 1);
                w[i] = (float)(scales[s] * sqrt(-2 * log(u)) * cos(2 * 3.14159265358979 * v));
            }
            double error = relative_error(bounds[b].type, w, back, bytes);
            if (!(error <= bounds[b].bound))
                fail_msg("%s, weights of size %g: error %.4f, allowed %.4f", name, scales[s], error, bounds[b].bound);
            double again = relative_error(bounds[b].type, back, twice, bytes);
            if (!(again <= 0.1 * bounds[b].bound)) /* what was once written is written almost as it is */
                fail_msg("%s: the second round trip moves by %.5f, the first by %.5f", name, again, error);
            if (s == 0) print_message("%s: relative error %.4f, of the second round trip %.5f\n", name, error, again);
        }
}

/* All zeros come back as zeros, equal weights within half a percent; NaN, infinity and huge values make no bad memory
 * access and leave finite weights in every type that has room for them. */
static void test_awkward(void **state) {
    (void)state;
    enum { N = 256 };
    static const float levels[] = {0, -0.0f, 1, -1, 0.003f, -0.003f, 1e-6f, -1e-20f, 1e-42f, 60000, -60000};
    float w[N], back[N];
    uint8_t bytes[N * 2 + 1];
    for (size_t b = 0; b < COUNT(bounds); b++) {
        const enum tensor_type type = bounds[b].type;
        const char *name = type_info(type)->name;
        const size_t n_bytes = type_row_bytes(type, N);
        const double part = type == TYPE_MXFP4 ? 1.0 / 7 : 0.04; /* MXFP4: codes 3 and 4, and no scale between */
        for (size_t l = 0; l < COUNT(levels); l++) {
            for (size_t i = 0; i < N; i++) w[i] = levels[l];
            bytes[n_bytes] = 0x5a;
            type_from_f32(type, w, bytes, N);
            type_to_f32(type, bytes, back, N);
            if (bytes[n_bytes] != 0x5a) fail_msg("%s: wrote past its blocks", name);
            for (size_t i = 0; i < N; i++)
                if (!(fabs((double)back[i] - w[i]) <= part * fabs((double)w[i]) + 1e-5))
                    fail_msg("%s: weights of %g, number %zu came back as %g", name, (double)w[i], i, (double)back[i]);
        }
        for (uint64_t key = 0; key < 50; key++) {
            fill_random(w, N, key, true);
            type_from_f32(type, w, bytes, N);
            type_to_f32(type, bytes, back, N);
            for (size_t i = 0; i < N && type != TYPE_Q8_0; i++)
                if (!isfinite(back[i])) fail_msg("%s: %g came back as %g", name, (double)w[i], (double)back[i]);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_layouts),      cmocka_unit_test(test_lists),   cmocka_unit_test(test_table),
        cmocka_unit_test(test_error_bounds), cmocka_unit_test(test_awkward),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
