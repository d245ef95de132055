/* texts_write.c: the job of a request for texts: its prompts are read once, its choices fork them and are written
 * together.
 * Not a token loop: model/write.h has it.
 * Next: texts_reply.c for what is told of it; openai.c for a voice. */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/rng.h"
#include "prm/judge.h"
#include "search/search.h"
#include "serve/texts.h"
#include "solve/constraint.h"

enum { TOGETHER = 64, LOGITS_ROWS = 32, USUAL_TOKENS = 1024 };

/* ---- reading prompts ---- */

/* The first n tokens with the distribution behind each. */
static enum status read_with_logprobs(struct texts *t, struct client *client, struct prompt *p, uint32_t seq, size_t n,
                                      struct error *e) {
    uint32_t n_vocab = engine_n_out(t->server->session->policy.engine);
    float *out = mem_new((size_t)LOGITS_ROWS * n_vocab, sizeof *out);
    enum status s = out ? OK : error_set(e, ERR_MEMORY, "no memory for logits");
    if (!s && !(p->logprobs = json_array())) s = error_set(e, ERR_MEMORY, "no memory for log-probabilities");
    for (size_t i = 0; !s && i < n; i += LOGITS_ROWS) {
        uint32_t rows = (uint32_t)(n - i < LOGITS_ROWS ? n - i : LOGITS_ROWS);
        struct span span = {.seq = seq, .n_tokens = rows, .n_out = rows, .tokens = p->ids + i, .out = out};
        s = engine_run(client, &span, 1, NULL, e);
        for (uint32_t k = 0; !s && k < rows; k++)
            json_array_append_new(p->logprobs, texts_logprob(t, out + (size_t)k * n_vocab, p->ids[i + k + 1]));
    }
    mem_free(out);
    return s;
}

/* All but the last token, which each choice reads for itself. */
static enum status read_prompt(struct texts *t, struct client *client, struct prompt *p, uint32_t *seq,
                               struct error *e) {
    *seq = engine_seq_new(client);
    if (!*seq) return error_set(e, ERR_FULL, "no branch is free");
    if (p->n == 1) return OK;
    if (t->wish.echo && t->wish.logprobs) return read_with_logprobs(t, client, p, *seq, p->n - 1, e);
    struct reading r = {.seq = *seq, .n = (uint32_t)p->n - 1, .tokens = p->ids};
    enum status s = engine_read(client, &r, e);
    p->n_cached = r.n_cached;
    return s;
}

/* ---- one choice ---- */

/* Tells what was gathered; tokens of log-probabilities go with the text that they end in. */
static void tell(struct choice *c) {
    struct texts *t = c->all;
    if (c->untold.n && t->wish.stream && t->voice->delta) {
        t->voice->delta(t, c, c->untold.data, c->untold.n, c->untold_thinking, c->logprobs);
        json_array_clear(c->logprobs);
    }
    c->untold.n = 0;
}

static void say(void *arg, const char *text, size_t n, bool thinking) {
    struct choice *c = arg;
    /* The blank lines between thinking and answer are nobody's. */
    if (!thinking && c->at_start && c->thought.n)
        while (n && strchr(" \n", *text)) text++, n--;
    if (!n) return;
    if (thinking != c->untold_thinking) tell(c);
    c->at_start &= thinking, c->untold_thinking = thinking;
    buffer_add(thinking ? &c->thought : &c->said, text, n);
    buffer_add(&c->untold, text, n);
}

static void settle(void *arg, const char *text, size_t n) {
    struct choice *c = arg;
    if (c->all->chat) chat_stream_add(&c->split, text, n);
    else say(c, text, n, false);
    tell(c);
}

/* The end of thinking is put into the model's mouth when its budget is used up. */
static bool end_thinking(struct choice *c, struct text *text) {
    struct texts *t = c->all;
    struct error e;
    if (text->n_ids + t->n_end + 1 >= text->cap_ids) return true;
    c->split.thinking = true;
    grammar_end_thinking(text->state);
    return text_put(text, t->end_thinking, (uint32_t)t->n_end, &e) != OK;
}

static bool on_token(void *arg, struct text *text, int32_t id, float logprob) {
    struct choice *c = arg;
    struct texts *t = c->all;
    bool is_end = tok_is_end(t->server->session->tok, id);
    if (!c->first_ns) {
        c->first_ns = clock_ns();
        metrics_time(&t->server->metrics, TIME_FIRST_TOKEN, c->first_ns - t->ex->start_ns);
    }
    c->sum_logprob += logprob;
    if (c->logprobs && !(is_end && t->chat)) json_array_append_new(c->logprobs, texts_logprob(t, text->logits, id));
    if (text->end != TEXT_GOES_ON || !c->split.thinking) return false;
    return t->wish.thinking_budget >= 0 && ++c->n_thought >= (uint64_t)t->wish.thinking_budget && end_thinking(c, text);
}

static struct gguf_string piece(void *arg, int32_t id) {
    const struct choice *c = arg;
    struct gguf_string p = tok_piece(c->all->server->session->tok, id, true);
    bool tag =
        p.size >= 7 && p.size <= 8 && (!memcmp(p.data, "<think>", p.size) || !memcmp(p.data, "</think>", p.size));
    return tag && c->all->chat
               ? p
               : tok_piece(c->all->server->session->tok, id, false); /* tags are text even as control tokens */
}

/* ---- how much ---- */

static uint32_t choices_each(const struct wish *w) { return (uint32_t)(w->best_of > w->n ? w->best_of : w->n); }

/* Tokens of one answer to this prompt.  A limit of requests makes it shorter where nobody says how long it is. */
static uint32_t most_tokens(const struct texts *t, const struct prompt *p) {
    const struct wish *w = &t->wish;
    const struct server *s = t->server;
    uint64_t room = s->session->ctx - p->n, cap = s->quota.request.tokens, read = texts_prompt_tokens(t);
    uint64_t n = (uint64_t)t->n_prompts * choices_each(w), wanted = USUAL_TOKENS;
    if (w->max_tokens >= 0) wanted = (uint64_t)w->max_tokens;
    else if (cap && wanted > (cap > read ? cap - read : 0) / n) wanted = (cap > read ? cap - read : 0) / n;
    if (s->p.max_tokens && wanted > (uint64_t)s->p.max_tokens) wanted = (uint64_t)s->p.max_tokens;
    return (uint32_t)(wanted < room ? wanted : room);
}

struct allowance texts_most(const struct texts *t) {
    const struct engine *en = t->server->session->policy.engine;
    struct allowance all = {0};
    for (uint32_t i = 0; i < t->n_prompts; i++) {
        uint32_t n = (uint32_t)t->prompts[i].n, most = most_tokens(t, &t->prompts[i]), each = choices_each(&t->wish);
        all.tokens += n + (uint64_t)most * each;
        all.flops += judge_flops(en, 0, n, t->wish.echo ? n : 1) + each * judge_flops(en, n, n + most, most);
    }
    return all;
}

/* Memory for the choices of all prompts.  Their tokens: the prompt, and what is written. */
static enum status make_choices(struct texts *t, struct error *e) {
    const struct session *s = t->server->session;
    const struct wish *w = &t->wish;
    uint32_t each = choices_each(w);
    t->n_told = (uint32_t)w->n;
    t->choices = mem_new((size_t)each * t->n_prompts, sizeof *t->choices);
    t->scratch.p = mem_new(engine_n_out(s->policy.engine), sizeof *t->scratch.p);
    t->scratch.ids = mem_new(engine_n_out(s->policy.engine), sizeof *t->scratch.ids);
    if (!t->choices || !t->scratch.p || !t->scratch.ids) return error_set(e, ERR_MEMORY, "no memory for the choices");
    t->rules.on_token = on_token, t->rules.piece = piece;
    for (uint32_t i = 0; i < each * t->n_prompts; i++) {
        struct choice *c = &t->choices[i];
        struct prompt *p = &t->prompts[i / each];
        uint32_t most = most_tokens(t, p);
        *c = (struct choice){.all = t, .index = i, .prompt = i / each, .at_start = true};
        t->n_choices = i + 1;
        c->split = (struct chat_stream){.write = say, .user = c, .thinking = p->thinking};
        c->stops = (struct stream){.write = settle, .arg = c, .stops = t->stops, .n_stops = t->n_stops};
        c->text = (struct text){.rules = &t->rules,
                                .arg = c,
                                .cap_ids = (uint32_t)p->n + most + 1 + (uint32_t)t->n_end,
                                .max_tokens = most,
                                .key = rng_fold(t->seed, i),
                                .temperature = (float)w->temperature,
                                .stream = &c->stops};
        c->text.ids = mem_new(c->text.cap_ids, sizeof *c->text.ids);
        if (w->logprobs) c->logprobs = json_array();
        if (t->grammar) c->text.state = grammar_begin(t->grammar, s->tok, p->thinking);
        if (!c->text.ids || (w->logprobs && !c->logprobs) || (t->grammar && !c->text.state))
            return error_set(e, ERR_MEMORY, "no memory for the choices");
    }
    return OK;
}

/* ---- all of them ---- */

/* For n tokens, and a copy of the page before them. */
static uint32_t pages_for(const struct texts *t, size_t n) {
    return engine_pages_for(t->server->session->policy.engine, (uint32_t)n + KV_PAGE);
}

/* Pages that a choice has for itself at most: what it writes, and its copy of the prompt's last one. */
static uint32_t own_pages(const struct texts *t, uint32_t choice) {
    const struct choice *c = &t->choices[choice];
    return pages_for(t, c->text.cap_ids - t->prompts[c->prompt].n);
}

struct group {
    uint32_t first, n;
    struct text *texts[TOGETHER];
};

/* Choices [first, ...) of one prompt that fit into memory together. */
static struct group next_group(struct texts *t, uint32_t first, uint32_t n_pages) {
    struct group g = {.first = first};
    uint32_t prompt = t->choices[first].prompt, used = pages_for(t, t->prompts[prompt].n);
    while (first + g.n < t->n_choices && g.n < TOGETHER && t->choices[first + g.n].prompt == prompt) {
        uint32_t more = own_pages(t, first + g.n);
        if (g.n && used + more > n_pages) break;
        used += more;
        g.texts[g.n] = &t->choices[first + g.n].text;
        g.n++;
    }
    return g;
}

static enum status begin_group(struct texts *t, struct client *client, struct group *g, uint32_t *seq,
                               struct error *e) {
    struct prompt *p = &t->prompts[t->choices[g->first].prompt];
    uint64_t start = clock_ns();
    enum status s = read_prompt(t, client, p, seq, e);
    t->read_ns += clock_ns() - start;
    for (uint32_t i = 0; !s && i < g->n; i++) {
        struct text *x = g->texts[i];
        x->seq = engine_fork(client, *seq);
        if (!x->seq) s = error_set(e, ERR_FULL, "no branch is free");
        memcpy(x->ids, p->ids, p->n * sizeof *x->ids);
        x->n_ids = (uint32_t)p->n, x->n_read = (uint32_t)p->n - 1; /* each reads the last one itself */
    }
    return s;
}

/* The stop string that came first in what was written. */
static void find_stop(const struct texts *t, struct choice *c) {
    struct buffer b = {0};
    const char *first = NULL;
    for (uint32_t i = c->text.n_ids - (c->text.n_drawn < c->text.n_ids ? c->text.n_drawn : c->text.n_ids);
         i < c->text.n_ids; i++) {
        struct gguf_string p = piece(c, c->text.ids[i]);
        buffer_add(&b, p.data, p.size);
    }
    for (size_t i = 0; i < t->n_stops && b.data; i++) {
        const char *at = memmem(b.data, b.n, t->stops[i], strlen(t->stops[i]));
        if (at && (!first || at < first)) first = at, c->stop_string = t->stops[i];
    }
    buffer_free(&b);
}

static void finish_choice(struct texts *t, struct choice *c) {
    c->stopped_by_string = c->text.end == TEXT_STOP_STRING;
    stream_end(&c->stops);
    if (t->chat) chat_stream_end(&c->split);
    tell(c);
    t->n_generated += c->text.n_drawn;
    t->n_thinking += c->n_thought;
    if (c->stopped_by_string) find_stop(t, c);
    if (c->text.n_drawn > 1 && c->first_ns)
        metrics_time(&t->server->metrics, TIME_BETWEEN_TOKENS, (clock_ns() - c->first_ns) / (c->text.n_drawn - 1));
    if (!c->index) texts_scan_prompts(t);
    texts_scan_answer(t, c);
    if (t->wish.stream && t->voice->end) t->voice->end(t, c);
}

static enum status write_group(struct texts *t, struct client *client, struct group *g, struct error *e) {
    struct writer *w = NULL;
    uint32_t seq = 0;
    enum status s = begin_group(t, client, g, &seq, e);
    uint64_t start = clock_ns();
    if (!s) s = writer_new(client, g->n, 0, &w, e);
    if (!s && t->wish.max_tokens) s = write_some(w, g->texts, g->n, NULL, NULL, e);
    t->write_ns += clock_ns() - start;
    writer_free(&w);
    for (uint32_t i = 0; i < g->n; i++) {
        struct choice *c = &t->choices[g->first + i];
        if (!t->wish.max_tokens) c->text.end = TEXT_MAX_TOKENS; /* the prompt alone was wanted */
        if (!s && c->text.end == TEXT_DEAD && !t->ex->stop)
            s = error_set(e, ERR_IO, "the model gave no usable distribution (NaN, or the grammar forbids every token)");
        if (!s) finish_choice(t, c);
        if (c->text.seq) engine_drop(client, &c->text.seq);
    }
    if (seq) engine_drop(client, &seq);
    return s;
}

static enum status write_choices(struct texts *t, struct error *e) {
    struct engine *en = t->server->session->policy.engine;
    uint32_t n_pages = engine_pages(en), most = 0;
    enum status s = OK;
    for (uint32_t i = 0; i < t->n_choices;) { /* what the largest group needs is asked for once */
        struct group g = next_group(t, i, n_pages);
        uint32_t need = pages_for(t, t->prompts[t->choices[i].prompt].n);
        for (uint32_t k = 0; k < g.n; k++) need += own_pages(t, i + k);
        if (need > most) most = need;
        i += g.n;
    }
    struct client_params p = {
        .min_pages = most, .priority = t->ex->latency_class == CLASS_INTERACTIVE, .cancel = &t->ex->stop};
    struct client *client = NULL;
    if ((s = engine_client_new(en, &p, &client, e))) return s;
    for (uint32_t i = 0; !s && i < t->n_choices;) {
        struct group g = next_group(t, i, n_pages);
        s = write_group(t, client, &g, e);
        i += g.n;
    }
    engine_client_free(&client);
    return s;
}

static int by_mean_logprob(const void *a, const void *b) {
    const struct choice *x = *(struct choice *const *)a, *y = *(struct choice *const *)b;
    double p = x->sum_logprob / (x->text.n_drawn + 1e-9), q = y->sum_logprob / (y->text.n_drawn + 1e-9);
    if (p != q) return p > q ? -1 : 1;
    return x->index < y->index ? -1 : 1;
}

/* best_of: the likeliest of each prompt come first. */
static void sort_choices(struct texts *t) {
    uint32_t each = t->n_choices / t->n_prompts;
    struct choice **order = t->wish.best_of > t->wish.n ? mem_new(t->n_choices, sizeof *order) : NULL;
    struct choice *sorted = order ? mem_new(t->n_choices, sizeof *sorted) : NULL;
    if (sorted) {
        for (uint32_t i = 0; i < t->n_choices; i++) order[i] = &t->choices[i];
        for (uint32_t i = 0; i < t->n_choices; i += each) qsort(order + i, each, sizeof *order, by_mean_logprob);
        for (uint32_t i = 0; i < t->n_choices; i++) sorted[i] = *order[i];
        memcpy(t->choices, sorted, t->n_choices * sizeof *sorted);
        for (uint32_t i = 0; i < t->n_choices; i++)
            t->n_dropped += i % each >= (uint32_t)t->wish.n ? t->choices[i].text.n_drawn : 0;
    }
    mem_free(order), mem_free(sorted);
}

static void count(struct texts *t) {
    struct metrics *m = &t->server->metrics;
    const struct engine *en = t->server->session->policy.engine;
    struct ledger cost = {.prompt_tokens = texts_prompt_tokens(t),
                          .cached_tokens = texts_cached_tokens(t),
                          .generated_tokens = t->n_generated,
                          .forks = t->n_choices};
    for (uint32_t i = 0; i < t->n_prompts; i++) {
        const struct prompt *p = &t->prompts[i];
        uint32_t read = (uint32_t)p->n - 1; /* the choices read the last one */
        cost.policy_flops += judge_flops(en, p->n_cached, read, p->logprobs ? read : 1);
    }
    for (uint32_t i = 0; i < t->n_choices; i++) cost.policy_flops += t->choices[i].text.n_flops;
    quota_charge(t->ex, &cost);
    metrics_add(m, COUNT_THINKING_TOKENS, t->n_thinking);
    metrics_add(m, COUNT_DROPPED_TOKENS, t->n_dropped);
    metrics_add(m, COUNT_PROMPT_US, t->read_ns / 1000);
    metrics_add(m, COUNT_PREDICTED_US, t->write_ns / 1000);
    metrics_add(m, COUNT_STEERING, t->steering != NULL);
}

void texts_run(struct job *job) {
    struct texts *t = (struct texts *)job; /* its first member */
    struct error e = {""};
    enum status s = make_choices(t, &e);
    if (!s && t->wish.stream) {
        exchange_begin(t->ex, t->content_type);
        for (uint32_t i = 0; t->voice->begin && i < t->n_choices; i++) t->voice->begin(t, &t->choices[i]);
    }
    if (!s) s = write_choices(t, &e);
    if (!s && !t->wish.stream) sort_choices(t);
    count(t);
    if (t->ex->stop && s != ERR_MEMORY)
        server_fail(t->ex, 503, NULL, "the server is stopping"); /* or nobody reads it */
    else if (s) server_fail_status(t->ex, s, &e);
    else if (t->wish.stream) t->voice->close(t);
    else t->voice->whole(t);
    texts_free(t);
}
