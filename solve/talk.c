/* talk.c: see talk.h.
 * Not the template (tokenizer/template/chat.h) and not the messages (talk_messages.c).
 * Next: model/write.h.
 *
 *   KV and ids     [ rendered conversation ][ answer ]
 *   known          the same as bytes
 *   next turn      [ rendered conversation, answer, new message ...      ]
 *                                          ^ read from here, if the text before is the same and a control token
 *                                            begins here; else the longest run of equal tokens is kept */
#include "solve/talk_internal.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "tokenizer/pretok.h"

enum status bytes_add(struct bytes *b, const char *text, size_t size, struct error *e) {
    if (b->n + size > b->cap) {
        size_t cap = 2 * (b->n + size);
        char *at = mem_grow(b->at, b->cap, cap, 1);
        if (!at) return error_set(e, ERR_MEMORY, "no memory for %zu bytes of text", cap);
        b->at = at, b->cap = cap;
    }
    if (size) memcpy(b->at + b->n, text, size);
    b->n += size;
    return OK;
}

/* ---- what is shown ---- */

static void show(void *user, const char *text, size_t size, bool thinking) {
    struct talk *t = user;
    if (!t->gone) t->gone = !t->turn->write(t->turn->arg, text, size, thinking);
}

/* What is settled: no part of a stop string. */
static void show_settled(void *user, const char *text, size_t size) {
    struct talk *t = user;
    chat_stream_add(&t->stream, text, size);
    if (!t->status) t->status = bytes_add(&t->answer, text, size, NULL);
}

/* Tags of thinking count as text even where they are control tokens. */
static struct gguf_string piece_of(void *user, int32_t id) {
    const struct talk *t = user;
    struct gguf_string tag = tok_piece(t->session.tok, id, true);
    if ((tag.size == 7 && !memcmp(tag.data, "<think>", 7)) || (tag.size == 8 && !memcmp(tag.data, "</think>", 8)))
        return tag;
    return tok_piece(t->session.tok, id, false);
}

static void know(struct talk *t, int32_t id) {
    struct gguf_string piece = piece_of(t, id);
    if (!t->status) t->status = bytes_add(&t->known, piece.data, piece.size, NULL);
}

/* Puts the end of thinking into the model's mouth; false: there is no room for it, or it completes a stop string. */
static bool end_thinking(struct talk *t) {
    struct error e;
    if (t->text.n_ids + t->n_end >= t->session.ctx) return false;
    if (!t->status) t->status = text_put(&t->text, t->end_thinking, (uint32_t)t->n_end, &e);
    for (size_t i = 0; i < t->n_end; i++) know(t, t->end_thinking[i]);
    t->stream.thinking = false;
    grammar_end_thinking(t->text.state);
    return t->text.end == TEXT_GOES_ON;
}

/* Before each token: true when the answer has to end here. */
static bool think_on(struct talk *t) {
    int64_t budget = t->o->reasoning_budget;
    return t->stream.thinking && budget >= 0 && t->n_thinking++ >= budget && !end_thinking(t);
}

static bool on_token(void *user, struct text *x, int32_t id, float logprob) {
    (void)logprob;
    struct talk *t = user;
    if (x->n_drawn == 1) t->read_ns = clock_ns();
    if (x->end) return true;
    know(t, id);
    if (t->gone || t->status) return true;
    return x->n_drawn != x->max_tokens && think_on(t);
}

/* ---- opening ---- */

static enum status read_file(const char *path, struct bytes *b, struct error *e) {
    char part[4096];
    size_t n;
    enum status s = OK;
    FILE *f = fopen(path, "rb");
    if (!f) return error_set(e, ERR_IO, "%s: %s", path, strerror(errno));
    while (!s && (n = fread(part, 1, sizeof part, f)) > 0) {
        s = bytes_add(b, part, n, e);
        if (!s && b->n > 1 << 24) s = error_set(e, ERR_INPUT, "%s: a template of more than 16 MB", path);
    }
    if (!s && ferror(f)) s = error_set(e, ERR_IO, "%s: %s", path, strerror(errno));
    fclose(f);
    return s;
}

static enum status open_chat(struct talk *t, struct error *e) {
    const struct talk_options *o = t->o;
    struct bytes file = {0};
    struct chat_source from = {.name = o->template_name, .text_name = o->template_file};
    enum status s = o->template_file ? read_file(o->template_file, &file, e) : OK;
    if (o->template_file) from.text = file.at ? file.at : "", from.size = file.n;
    if (!s) s = chat_open(t->session.policy.model->file, t->session.tok, &from, &t->chat, e);
    mem_free(file.at);
    return s;
}

static enum status open_all(struct talk *t, struct error *e) {
    static const char ending[] = "\n</think>\n\n";
    struct session_size size = {.branches = 1};
    enum status s = session_open(&t->o->session, &size, &t->session, e);
    if (!s) s = open_chat(t, e);
    if (s) return s;
    struct client *client = t->session.policy.client;
    t->text.ids = mem_new(t->session.ctx, sizeof *t->text.ids);
    t->end_thinking = mem_new(sizeof ending, sizeof *t->end_thinking);
    if (!t->text.ids || !t->end_thinking) return error_set(e, ERR_MEMORY, "no memory for %u tokens", t->session.ctx);
    s = tok_encode(t->session.tok, ending, sizeof ending - 1, true, false, t->end_thinking, sizeof ending, &t->n_end,
                   e);
    if (!s) s = sampling_open(&t->o->sampling, t->session.tok, engine_n_out(engine_of(client)), &t->sampling, e);
    if (!s) s = speculative_open(&t->o->speculative, &t->session, &t->speculative, e);
    if (!s) s = writer_new(client, 1, t->speculative.max_guesses, &t->writer, e);
    if (s) return s;
    t->rules = t->sampling.rules;
    t->rules.piece = piece_of, t->rules.on_token = on_token;
    t->text.rules = &t->rules, t->text.arg = t;
    t->text.seq = engine_seq_new(client);
    t->text.cap_ids = t->session.ctx;
    t->text.key = t->sampling.key, t->text.temperature = t->sampling.temperature;
    t->text.max_tokens = t->o->sampling.n > 0 ? (uint32_t)t->o->sampling.n : 0;
    t->text.speculator = t->speculative.speculator;
    t->text.stream = &t->stops;
    return talk_reset(t, t->o->system ? t->o->system : "", e);
}

enum status talk_open(const struct talk_options *o, struct talk **out, struct error *e) {
    struct talk *t = *out = mem_new(1, sizeof *t);
    if (!t) return error_set(e, ERR_MEMORY, "no memory for a conversation");
    t->o = o;
    enum status s = open_all(t, e);
    if (s) talk_close(out);
    return s;
}

void talk_close(struct talk **out) {
    struct talk *t = *out;
    if (!t) return;
    writer_free(&t->writer);
    speculative_close(&t->speculative);
    chat_close(&t->chat);
    json_decref(t->messages);
    session_close(&t->session);
    mem_free(t->text.ids), mem_free(t->known.at), mem_free(t->answer.at), mem_free(t->end_thinking);
    sampling_close(&t->sampling);
    mem_free(t);
    *out = NULL;
}

uint64_t talk_seed(const struct talk *t) { return t->sampling.seed; }
const char *talk_note(const struct talk *t) { return chat_note(t->chat); }
const struct session *talk_session(const struct talk *t) { return &t->session; }
const struct speculator *talk_guesses(const struct talk *t) { return t->speculative.speculator; }

/* ---- reading the conversation ---- */

/* The tokens to append, and *keep: how many of those in the text stay. */
static enum status new_tokens(struct talk *t, const struct jinja_text *x, int32_t **ids, size_t *from, size_t *n,
                              size_t *keep, struct error *e) {
    size_t known = t->known.n, same = 0;
    *from = 0, *keep = t->text.n_ids;
    if (known && x->size > known && !memcmp(x->text, t->known.at, known) && chat_control_at(t->chat, x, known))
        return chat_encode(t->chat, x, known, ids, n, e);
    enum status s = chat_encode(t->chat, x, 0, ids, n, e);
    while (!s && same < *n && same < t->text.n_ids && (*ids)[same] == t->text.ids[same]) same++;
    *from = *keep = same;
    return s;
}

/* The conversation, ready to be continued: what the text does not hold any more leaves the caches, what is new is still to be read. */
static enum status set_text(struct talk *t, struct error *e) {
    struct jinja_text x = {0};
    int32_t *ids = NULL;
    size_t n = 0, from = 0, keep = 0;
    enum status s = talk_render(t, t->messages, &x, e);
    if (!s) s = new_tokens(t, &x, &ids, &from, &n, &keep, e);
    if (!s && n == 0) s = error_set(e, ERR_INPUT, "the template gives an empty text");
    if (!s && keep + n - from >= t->session.ctx)
        s = error_set(e, ERR_FULL, "the conversation has %zu tokens, the context %u: /reset, or a larger --ctx-size",
                      keep + n - from, t->session.ctx);
    if (!s) {
        text_cut(t->writer, &t->text, (uint32_t)keep);
        memcpy(t->text.ids + keep, ids + from, (n - from) * sizeof *ids);
        t->text.n_ids += (uint32_t)(n - from);
        t->known.n = 0;
        s = bytes_add(&t->known, x.text, x.size, e);
    }
    t->stream = (struct chat_stream){.write = show, .user = t};
    t->stream.thinking = !s && chat_ends_thinking(&x);
    jinja_text_free(&x);
    mem_free(ids);
    return s;
}

/* ---- the answer ---- */

/* What ended the text is no part of the conversation: the template writes its own end. */
static void forget_end(struct talk *t) {
    if (t->text.end == TEXT_END_TOKEN || t->text.end == TEXT_STOP_STRING)
        text_cut(t->writer, &t->text, t->text.n_ids - (t->text.n_drawn > 0));
}

static enum status write_answer(struct talk *t, struct error *e) {
    struct text *x = &t->text, *texts[] = {x};
    engine_set_limits(t->session.policy.client, 0, t->turn->cancel);
    text_begin(x);
    enum status s = sampling_begin(&t->sampling, t->stream.thinking, &x->state, e);
    if (!s && t->o->sampling.n == 0) x->end = TEXT_MAX_TOKENS;
    else if (!s && !think_on(t)) s = write_some(t->writer, texts, 1, NULL, NULL, e);
    grammar_constraint.free(x->state), x->state = NULL;
    stream_end(&t->stops);
    chat_stream_end(&t->stream);
    if (!s && t->status) s = error_set(e, t->status, "no memory for the answer");
    if (!s && x->end == TEXT_DEAD)
        s = error_set(e, ERR_INPUT, "no usable distribution (NaN, or every token forbidden) for token %llu",
                      (unsigned long long)x->counter + 1);
    forget_end(t);
    return s;
}

/* The answer as JSON can hold it: an answer that was stopped may end within a character, and models write odd bytes. */
static enum status keep_answer(struct talk *t, struct error *e) {
    size_t n = 0;
    for (size_t i = 0, size; i < t->answer.n; i += size ? size : 1) {
        size = utf8_char(t->answer.at + i, t->answer.n - i);
        memmove(t->answer.at + n, t->answer.at + i, size);
        n += size;
    }
    return talk_add(t->messages, "assistant", t->answer.at ? t->answer.at : "", n, e);
}

enum status talk_answer(struct talk *t, const char *message, struct talk_turn *turn, struct error *e) {
    enum status s = talk_add(t->messages, "user", message, strlen(message), e);
    if (s) return s;
    t->turn = turn, t->gone = false;
    t->answer.n = 0, t->status = OK, t->n_thinking = 0;
    t->start_ns = t->read_ns = clock_ns();
    t->stops = (struct stream){.write = show_settled,
                               .arg = t,
                               .stops = t->o->sampling.stops.values,
                               .n_stops = (size_t)t->o->sampling.stops.n};
    s = set_text(t, e);
    if (!s) s = write_answer(t, e);
    turn->end = t->text.end, turn->n_tokens = t->text.n_drawn - (t->text.end == TEXT_END_TOKEN);
    turn->n_context = t->text.n_ids;
    turn->read_s = (double)(t->read_ns - t->start_ns) / 1e9, turn->answer_s = (double)(clock_ns() - t->read_ns) / 1e9;
    if (s || (turn->end == TEXT_CANCELLED && !t->text.n_drawn)) talk_drop_last(t);
    else s = keep_answer(t, e);
    return s;
}
