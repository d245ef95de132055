/* sampling.c: see sampling.h.
 * Not a loop: model/write.c.
 * Next: model/sample.h. */
#include "solve/sampling.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/rng.h"

/* "15043+1", "15043-inf". */
static enum status parse_bias(const char *text, struct sample_bias *out, struct error *e) {
    char *at, *end = NULL;
    unsigned long id = strtoul(text, &at, 10);
    double sign = *at == '-' ? -1 : 1, bias = (*at == '+' || *at == '-') ? strtod(at + 1, &end) : NAN;
    if (isnan(bias) || text[0] < '0' || text[0] > '9' || end == at + 1 || *end || bias < 0 || (sign > 0 && isinf(bias)))
        return error_set(e, ERR_INPUT, "--logit-bias: \"%.60s\" is not of the form 15043+1 or 15043-inf", text);
    if (id > INT32_MAX) return error_set(e, ERR_INPUT, "--logit-bias: token %lu is none of any model", id);
    *out = (struct sample_bias){(int32_t)id, (float)(sign * bias)};
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

/* An order of samplers; penalties are done apart, on the logits, so they come first or not at all. */
struct order {
    char chain[SAMPLING_CHAIN];
    bool penalties;
};

static enum status add_letter(struct order *o, const char *flag, char letter, const char *text, size_t size,
                              struct error *e) {
    size_t n = strlen(o->chain);
    if (!letter || !strchr("edskypmxt", letter))
        return error_set(e, ERR_INPUT,
                         "--%s: \"%.*s\" is none of penalties (e), top_k (k), typ_p (y), top_p (p), min_p (m), "
                         "temperature (t)",
                         flag, size < 40 ? (int)size : 40, text);
    if (letter == 'e' && n) return error_set(e, ERR_INPUT, "--%s: penalties (e) can only be the first", flag);
    if (letter == 'e') o->penalties = true;
    if (strchr("edsx", letter)) return OK;
    if (n + 1 == sizeof o->chain) return error_set(e, ERR_INPUT, "--%s: more than %zu samplers", flag, n);
    o->chain[n] = letter;
    return OK;
}

static enum status parse_order(const struct sampling_options *o, struct order *order, struct error *e) {
    const char *names = o->samplers, *letters = o->sampler_seq;
    enum status st = OK;
    *order = (struct order){.penalties = !names && !letters};
    if (names && letters) return error_set(e, ERR_INPUT, "--samplers and --sampler-seq: give one of them");
    for (; letters && *letters && !st; letters++) st = add_letter(order, "sampler-seq", *letters, letters, 1, e);
    while (names && *names && !st) {
        size_t size = strcspn(names, ";");
        st = add_letter(order, "samplers", letter_of(names, size), names, size, e);
        names += size + (names[size] == ';');
    }
    return st;
}

enum status sampling_check(const struct sampling_options *o, struct error *e) {
    struct order order;
    struct sample_bias bias;
    enum status st = parse_order(o, &order, e);
    for (int i = 0; i < o->bias.n && !st; i++) st = parse_bias(o->bias.values[i], &bias, e);
    for (int i = 0; i < o->stops.n && !st; i++)
        if (!*o->stops.values[i]) st = error_set(e, ERR_INPUT, "--reverse-prompt: the text is empty");
    return st ? st : grammar_source_check(&o->grammar, e);
}

/* The user's, and with --ignore-eos all end tokens, forbidden. */
static enum status set_biases(const struct sampling_options *o, uint32_t n_vocab, struct sampling *s, struct error *e) {
    struct text_rules *r = &s->rules;
    size_t n_end = 0;
    for (uint32_t i = 0; o->ignore_eos && i < n_vocab; i++) n_end += tok_is_end(r->tok, (int32_t)i);
    if (!(s->bias = mem_new((size_t)o->bias.n + n_end, sizeof *s->bias)))
        return error_set(e, ERR_MEMORY, "no memory for biases");
    for (int i = 0; i < o->bias.n; i++) {
        struct sample_bias *b = &s->bias[r->n_bias++];
        enum status st = parse_bias(o->bias.values[i], b, e);
        if (st) return st;
        if ((uint32_t)b->id >= n_vocab)
            return error_set(e, ERR_INPUT, "--logit-bias: token %d, the model has 0 to %u", b->id, n_vocab - 1);
    }
    for (uint32_t i = 0; o->ignore_eos && i < n_vocab; i++)
        if (tok_is_end(r->tok, (int32_t)i)) s->bias[r->n_bias++] = (struct sample_bias){(int32_t)i, -INFINITY};
    r->bias = s->bias;
    return OK;
}

static enum status open_grammar(const struct grammar_source *from, struct sampling *s, struct error *e) {
    if (!grammar_is_given(from)) return OK;
    enum status st = from->open ? OK : grammar_words_of(s->rules.tok, &s->words, e);
    if (!st) st = grammar_source_open(from, s->words, &s->own_grammar, e);
    s->grammar = from->open ? from->open : s->own_grammar;
    if (!st) s->rules.constraint = &grammar_constraint;
    return st;
}

enum status sampling_begin(const struct sampling *s, bool thinking, void **state, struct error *e) {
    *state = s->grammar ? grammar_begin(s->grammar, s->rules.tok, thinking) : NULL;
    return s->grammar && !*state ? error_set(e, ERR_MEMORY, "no memory for the state of a grammar") : OK;
}

uint64_t sampling_seed(int64_t given) {
    uint64_t seed = (uint64_t)given;
    if (given >= 0) return seed;
    if (getrandom(&seed, sizeof seed, 0) != sizeof seed) seed = clock_ns();
    return seed % 1000000000u;
}

enum status sampling_open(const struct sampling_options *o, const struct tok *tok, uint32_t n_vocab, struct sampling *s,
                          struct error *e) {
    struct order order;
    *s = (struct sampling){.temperature = (float)o->temp, .seed = sampling_seed(o->seed)};
    s->key = rng_fold(s->seed, 0);
    s->rules.tok = tok;
    enum status st = parse_order(o, &order, e);
    if (!st) st = set_biases(o, n_vocab, s, e);
    if (!st) st = open_grammar(&o->grammar, s, e);
    if (st) return st;
    memcpy(s->chain, order.chain, sizeof s->chain);
    s->rules.sampling =
        (struct sample_params){.temperature = s->temperature,
                               .top_k = o->top_k < 0 ? 0 : (uint32_t)o->top_k,
                               .top_p = (float)o->top_p,
                               .min_p = (float)o->min_p,
                               .typical_p = fmaxf((float)o->typical, FLT_MIN), /* 0 keeps one: not off */
                               .chain = o->samplers || o->sampler_seq ? s->chain : NULL};
    if (!order.penalties) return OK;
    s->rules.penalties = (struct sample_penalties){(float)o->repeat, (float)o->presence, (float)o->frequency};
    s->rules.n_penalized = o->repeat_last_n < 0 ? UINT32_MAX : (uint32_t)o->repeat_last_n;
    return OK;
}

void sampling_close(struct sampling *s) {
    grammar_close(&s->own_grammar);
    grammar_words_free(&s->words);
    mem_free(s->bias), s->bias = NULL;
}
