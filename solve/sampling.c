/* sampling.c: see sampling.h.
 * Not a loop: cmd_run.c and talk.c have theirs.
 * Next: model/sample.h. */
#include "solve/sampling.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/rng.h"

/* "15043+1", "15043-inf". */
static enum status parse_bias(struct sampling *s, struct error *e) {
    for (int i = 0; i < s->o->bias.n; i++) {
        const char *text = s->o->bias.values[i];
        char *at, *end;
        unsigned long id = strtoul(text, &at, 10);
        double sign = *at == '-' ? -1 : 1, bias = (*at == '+' || *at == '-') ? strtod(at + 1, &end) : NAN;
        if (isnan(bias) || text[0] < '0' || text[0] > '9' || end == at + 1 || *end || bias < 0 ||
            (sign > 0 && isinf(bias)))
            return error_set(e, ERR_INPUT, "--logit-bias: \"%.60s\" is not of the form 15043+1 or 15043-inf", text);
        if (id >= s->n_vocab)
            return error_set(e, ERR_INPUT, "--logit-bias: token %lu, the model has 0 to %u", id, s->n_vocab - 1);
        s->bias[i] = (struct sample_bias){(int32_t)id, (float)(sign * bias)};
    }
    return OK;
}

/* Letter of a name in llama.cpp's spelling, with _, with - or with neither; 0 for others.  Those that are off without a flag
 * that is not here have one, too: the usual order may be written out. */
static char letter_of(const char *name, size_t size) {
    static const struct {
        const char *name, letter;
    } table[] = {{"penalties", 'e'}, {"dry", 'd'},         {"topnsigma", 's'}, {"topk", 'k'},
                 {"typp", 'y'},      {"typ", 'y'},         {"topp", 'p'},      {"minp", 'm'},
                 {"xtc", 'x'},       {"temperature", 't'}, {"temp", 't'},      {"nucleus", 'p'}};
    char plain[16] = "";
    for (size_t i = 0, n = 0; i < size; i++)
        if (name[i] != '_' && name[i] != '-' && n + 1 < sizeof plain) plain[n++] = name[i];
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        if (!strcmp(plain, table[i].name)) return table[i].letter;
    return 0;
}

/* Penalties are done apart, on the logits, so they come first or not at all. */
static enum status add_letter(struct sampling *s, const char *flag, char letter, const char *text, size_t size,
                              struct error *e) {
    size_t n = strlen(s->chain);
    if (!letter || !strchr("edskypmxt", letter))
        return error_set(e, ERR_INPUT,
                         "--%s: \"%.*s\" is none of penalties (e), top_k (k), typ_p (y), top_p (p), min_p (m), "
                         "temperature (t)",
                         flag, size < 40 ? (int)size : 40, text);
    if (letter == 'e' && n) return error_set(e, ERR_INPUT, "--%s: penalties (e) can only be the first", flag);
    if (letter == 'e') s->no_penalties = false;
    if (strchr("edsx", letter)) return OK;
    if (n + 1 == sizeof s->chain) return error_set(e, ERR_INPUT, "--%s: more than %zu samplers", flag, n);
    s->chain[n] = letter;
    return OK;
}

static enum status parse_chain(struct sampling *s, struct error *e) {
    const char *names = s->o->samplers, *letters = s->o->sampler_seq;
    enum status st = OK;
    if (names && letters) return error_set(e, ERR_INPUT, "--samplers and --sampler-seq: give one of them");
    s->no_penalties = names || letters;
    for (; letters && *letters && !st; letters++) st = add_letter(s, "sampler-seq", *letters, letters, 1, e);
    while (names && *names && !st) {
        size_t size = strcspn(names, ";");
        st = add_letter(s, "samplers", letter_of(names, size), names, size, e);
        names += size + (names[size] == ';');
    }
    return st;
}

static void choose_seed(struct sampling *s) {
    uint64_t seed = (uint64_t)s->o->seed;
    if (s->o->seed < 0 && getrandom(&seed, sizeof seed, 0) != sizeof seed) seed = clock_ns();
    if (s->o->seed < 0) seed %= 1000000000u; /* short enough to type again */
    s->key = rng_fold(seed, 0);
    if (s->o->temp > 0) fprintf(stderr, "seed %llu\n", (unsigned long long)seed);
}

enum status sampling_open(const struct sampling_options *o, const struct tok *tok, uint32_t n_vocab, struct sampling *s,
                          struct error *e) {
    *s = (struct sampling){.o = o, .tok = tok, .n_vocab = n_vocab};
    enum status st = parse_bias(s, e);
    if (!st) st = parse_chain(s, e);
    if (st) return st;
    s->logits = mem_new(n_vocab, sizeof *s->logits);
    s->scratch.p = mem_new(n_vocab, sizeof *s->scratch.p);
    s->scratch.ids = mem_new(n_vocab, sizeof *s->scratch.ids);
    if (!s->logits || !s->scratch.p || !s->scratch.ids)
        return error_set(e, ERR_MEMORY, "no memory for %u logits", n_vocab);
    choose_seed(s);
    return OK;
}

void sampling_close(struct sampling *s) { mem_free(s->logits), mem_free(s->scratch.p), mem_free(s->scratch.ids); }

struct sample_params sampling_params(const struct sampling *s) {
    const struct sampling_options *o = s->o;
    return (struct sample_params){.temperature = (float)o->temp,
                                  .top_k = (uint32_t)o->top_k,
                                  .top_p = (float)o->top_p,
                                  .min_p = (float)o->min_p,
                                  .typical_p = fmaxf((float)o->typical, FLT_MIN), /* 0 keeps one: not off */
                                  .chain = o->samplers || o->sampler_seq ? s->chain : NULL};
}

void sampling_adjust(struct sampling *s, const int32_t *ids, size_t n, float *logits) {
    const struct sampling_options *o = s->o;
    size_t last = o->repeat_last_n < 0 || (size_t)o->repeat_last_n > n ? n : (size_t)o->repeat_last_n;
    struct sample_penalties penalties = {(float)o->repeat, (float)o->presence, (float)o->frequency};
    sample_add_bias(s->bias, (size_t)o->bias.n, logits, s->n_vocab);
    for (uint32_t i = 0; o->ignore_eos && i < s->n_vocab; i++)
        if (tok_is_end(s->tok, (int32_t)i)) logits[i] = -INFINITY;
    if (!s->no_penalties) sample_penalize(&penalties, ids + n - last, last, s->scratch.ids, logits, s->n_vocab);
}

enum status sampling_next(struct sampling *s, const int32_t *ids, size_t n, int32_t *id, struct error *e) {
    struct sample_params sp = sampling_params(s);
    sampling_adjust(s, ids, n, s->logits);
    *id = sample_token(&sp, s->logits, s->n_vocab, s->key, s->counter++, &s->scratch, NULL);
    if (*id >= 0) return OK;
    return error_set(e, ERR_INPUT, "no usable distribution (NaN, or every token forbidden) for token %llu",
                     (unsigned long long)s->counter);
}
