/* test_attend_i16.c: attention over pages of integers: near to one softmax in double, nearer than pages of f16, at the ends of what
 * integers hold, and NaN where NaN goes in.
 * Not that all tables agree (test_ops.c), nor the engine (test_attention.c).
 * Next: ops/ops.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/check_attend.h"

enum { PAGES = 3, CELLS = PAGES * KV_PAGE, MOST = 512 };

/* One row and what it sees. */
struct scene {
    size_t hd;
    float scale, q[MOST], k[CELLS][MOST], v[CELLS][MOST];
};

static void fill(struct scene *s, size_t hd, float q_size, uint64_t key) {
    s->hd = hd, s->scale = 1 / sqrtf((float)hd);
    for (size_t d = 0; d < hd; d++) {
        s->q[d] = q_size * (2 * rng_uniform(key, d) - 1);
        for (size_t t = 0; t < CELLS; t++) {
            s->k[t][d] = 4 * rng_uniform(key + 1, t * hd + d) - 2;
            s->v[t][d] = rng_uniform(key + 2, t * hd + d) - 0.4f;
        }
    }
}

/* o / l by the kernel of this CPU for pages of f16 or i16. */
static void attend(const struct scene *s, enum kv_type type, float *out) {
    static uint8_t pages[PAGES][2 * (2 * MOST + 4) * KV_PAGE];
    size_t hd = s->hd, bytes = (2 * hd + (type == KV_I16 ? 4 : 0)) * KV_PAGE, zero = 0;
    float q[MOST], m = -INFINITY, l = 0;
    uint32_t ids[PAGES], end = CELLS;
    memcpy(q, s->q, hd * sizeof *q);
    if (type == KV_I16) attend_round_q(q, hd);
    for (uint32_t i = 0; i < PAGES; i++) ids[i] = i;
    for (size_t t = 0; t < CELLS; t++) {
        uint8_t *k = pages[t / KV_PAGE], *v = k + bytes;
        if (type == KV_I16) attend_store_i16(hd, k, v, t % KV_PAGE, s->k[t], s->v[t]);
        else {
            ops_get()->store_f16((uint16_t *)(void *)k + t % KV_PAGE, KV_PAGE, s->k[t], hd);
            ops_get()->store_f16((uint16_t *)(void *)v + t % KV_PAGE * hd, 1, s->v[t], hd);
        }
    }
    memset(out, 0, hd * sizeof *out);
    struct attend_args a = {.q = q,
                            .o = out,
                            .q_offset = &zero,
                            .o_offset = &zero,
                            .m = &m,
                            .l = &l,
                            .end = &end,
                            .pages = ids,
                            .n_pages = PAGES,
                            .page_bytes = sizeof pages[0],
                            .k = pages[0],
                            .v = pages[0] + bytes,
                            .n_rows = 1,
                            .head_dim = hd,
                            .scale = s->scale};
    ops_get()->attend[type](&a);
    for (size_t d = 0; d < hd; d++) out[d] /= l;
}

static void in_double(const struct scene *s, double *out) {
    double score[CELLS], top = -INFINITY, sum = 0;
    for (size_t t = 0; t < CELLS; t++) {
        score[t] = 0;
        for (size_t d = 0; d < s->hd; d++) score[t] += (double)s->q[d] * s->k[t][d];
        score[t] *= s->scale, top = fmax(top, score[t]);
    }
    for (size_t d = 0; d < s->hd; d++) out[d] = 0;
    for (size_t t = 0; t < CELLS; t++) {
        sum += exp(score[t] - top);
        for (size_t d = 0; d < s->hd; d++) out[d] += exp(score[t] - top) * s->v[t][d];
    }
    for (size_t d = 0; d < s->hd; d++) out[d] /= sum;
}

/* All within `most` of the largest number of the right answer. */
static void check_near(const struct scene *s, const char *what, double most) {
    float got[MOST];
    double want[MOST], top = 0;
    attend(s, KV_I16, got), in_double(s, want);
    for (size_t d = 0; d < s->hd; d++) top = fmax(top, fabs(want[d]));
    for (size_t d = 0; d < s->hd; d++)
        if (!(fabs(got[d] - want[d]) <= most * top))
            fail_msg("%s, head size %zu: [%zu] is %.9g, expected %.9g", what, s->hd, d, (double)got[d], want[d]);
}

static struct scene scene;

static void nearer_than_f16(void **state) {
    (void)state;
    static const float sizes[] = {0.1f, 1, 4};
    for (size_t i = 0; i < COUNT(sizes); i++)
        for (size_t hd = 8; hd <= MOST; hd *= 2) {
            double off[KV_TYPES] = {0}, all = 0, want[MOST];
            for (uint64_t key = 0; key < 40; key++) {
                fill(&scene, hd, sizes[i], 100 * hd + 3 * key);
                in_double(&scene, want);
                for (int type = 0; type < KV_TYPES; type++) {
                    float got[MOST];
                    if (type != KV_F16 && type != KV_I16) continue;
                    attend(&scene, (enum kv_type)type, got);
                    for (size_t d = 0; d < hd; d++) off[type] += pow((double)got[d] - want[d], 2);
                }
                for (size_t d = 0; d < hd; d++) all += want[d] * want[d];
            }
            print_message("head size %3zu, q up to %3.1f: NMSE of f16 %.1e, of i16 %.1e\n", hd, (double)sizes[i],
                          off[KV_F16] / all, off[KV_I16] / all);
            assert_true(off[KV_I16] < off[KV_F16]);
        }
}

/* Rows whose products are as large as the rounding allows: a sum that wrapped would turn the weights around. */
static void largest_products(void **state) {
    (void)state;
    for (size_t hd = 8; hd <= MOST; hd += 8)
        for (int shape = 0; shape < 3; shape++) {
            memset(&scene, 0, sizeof scene);
            scene.hd = hd, scene.scale = 1 / (float)hd;
            for (size_t d = 0; d < hd; d++) { /* all equal; a few; signs that alternate */
                scene.q[d] = shape == 0 ? 1 : shape == 1 ? d < 2 : d % 2 ? 1 : -1;
                for (size_t t = 0; t < CELLS; t++)
                    scene.k[t][d] = (t == 17 ? 1.1f : -1.1f) * scene.q[d], scene.v[t][d] = t == 17 ? 1 : -1;
            }
            check_near(&scene, "largest scores", 1e-3);
            for (size_t t = 0; t < CELLS; t++) /* the same weight 16 times on the largest V */
                for (size_t d = 0; d < hd; d++)
                    scene.k[t][d] = scene.q[d], scene.v[t][d] = (d % 2 ? -I16_VALUE : I16_VALUE) * 8.0f;
            check_near(&scene, "large values", 2e-4);
            scene.scale = 0; /* all weights are I16_WEIGHT */
            check_near(&scene, "largest values", 1e-6);
        }
}

/* A cell with nearly all of the weight and next to no V, as first tokens have them; and all V zero. */
static void sinks(void **state) {
    (void)state;
    for (int bits = 0; bits <= 28; bits += 4) {
        fill(&scene, 64, 1, 900);
        for (size_t d = 0; d < 64; d++)
            scene.k[0][d] = 40 * scene.q[d] / scene.scale / 22, scene.v[0][d] = ldexpf(scene.v[0][d], -bits);
        check_near(&scene, "sink", 2e-3);
    }
    for (size_t t = 0; t < CELLS; t++)
        for (size_t d = 0; d < 64; d++) scene.v[t][d] = 0;
    check_near(&scene, "no values", 0);
}

/* Scores that differ by up to thousands, sizes at the ends of what f32 multiplies. */
static void ranges(void **state) {
    (void)state;
    for (int bits = -90; bits <= 40; bits += 10) {
        fill(&scene, 64, ldexpf(1, bits < 0 ? bits : bits / 4), 950);
        for (size_t t = 0; t < CELLS; t++)
            for (size_t d = 0; d < 64; d++) {
                scene.v[t][d] = ldexpf(scene.v[t][d], bits > -20 ? bits : -20);
                if (bits < 0) scene.k[t][d] = ldexpf(scene.k[t][d], -bits);
            }
        check_near(&scene, "sizes", 0.02);
    }
    fill(&scene, 64, 1, 960);
    for (size_t t = 0; t < CELLS; t++) /* each cell thousands above or below the one before */
        for (size_t d = 0; d < 64; d++)
            scene.k[t][d] = scene.q[d] * (t == 20 ? 900 : -(float)t * 800) + scene.k[t][d] / 100;
    check_near(&scene, "far apart", 3e-4);
}

static void nan_stays(void **state) {
    (void)state;
    static const float wild[] = {NAN, INFINITY, -INFINITY};
    for (size_t i = 0; i < COUNT(wild); i++)
        for (int place = 0; place < 3; place++)
            for (size_t t = 0; t < CELLS; t += 9) {
                float got[MOST];
                fill(&scene, 40, 1, 970);
                *(place == 0 ? &scene.q[t % 40] : place == 1 ? &scene.k[t][13] : &scene.v[t][39]) = wild[i];
                attend(&scene, KV_I16, got);
                for (size_t d = 0; d < 40; d++)
                    if (!isnan(got[d]))
                        fail_msg("%g in %c of cell %zu: [%zu] is %g", (double)wild[i], "qkv"[place], t, d,
                                 (double)got[d]);
            }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nearer_than_f16), cmocka_unit_test(largest_products), cmocka_unit_test(sinks),
        cmocka_unit_test(ranges),          cmocka_unit_test(nan_stays),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
