/* talk.c: see talk.h.
 * Not the template: tokenizer/template/chat.h.
 * Next: tokenizer/template/chat_stream.h.
 *
 *   KV and `ids`   [ rendered conversation ][ answer ]
 *   `text`         the same as bytes
 *   next turn      [ rendered conversation, answer, new message ...      ]
 *                                          ^ read from here, if the text before is the same and a control token
 *                                            begins here; else the longest run of equal tokens is kept */
#include "solve/talk.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "cli/cancel.h"
#include "solve/stream.h"
#include "base/terminal.h"
#include "tokenizer/template/chat.h"
#include "tokenizer/template/chat_stream.h"
#include "tokenizer/pretok.h"

struct bytes {
    char *at; /* [cap] */
    size_t n, cap;
};

struct talk {
    const struct talk_options *o;
    struct session session;
    struct chat *chat;
    json_t *messages;
    uint32_t seq;
    int32_t *ids; /* [ctx] what is in the KV cache, but for the end of an answer under way that is guessed */
    size_t n_ids;
    struct bytes text, answer;
    int32_t *end_thinking; /* [n_end] */
    size_t n_end;
    struct sampling sampling;
    struct speculative speculative; /* without a speculator: token by token */
    size_t n_known, n_taken;        /* with one: ids up to here are known, and were taken as the next token */
    uint64_t n_written;
    struct stream stops;       /* pieces go through it: stop strings are cut off */
    struct chat_stream stream; /* and from there to the reader */
    enum status status;        /* of keeping what was shown */
    bool color, dimmed;
};

static enum status add_bytes(struct bytes *b, const char *text, size_t size, struct error *e) {
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

/* ---- opening ---- */

static enum status read_file(const char *path, struct bytes *b, struct error *e) {
    char part[4096];
    size_t n;
    enum status s = OK;
    FILE *f = fopen(path, "rb");
    if (!f) return error_set(e, ERR_IO, "%s: %s", path, strerror(errno));
    while (!s && (n = fread(part, 1, sizeof part, f)) > 0) {
        s = add_bytes(b, part, n, e);
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
    if (!s && *chat_note(t->chat)) fprintf(stderr, "ponder chat: %s\n", chat_note(t->chat));
    mem_free(file.at);
    return s;
}

static void show(void *user, const char *text, size_t size, bool thinking) {
    struct talk *t = user;
    if (t->color && thinking != t->dimmed) fputs(thinking ? "\033[2m" : "\033[0m", stdout);
    t->dimmed = thinking;
    fwrite(text, 1, size, stdout);
}

static enum status open_all(struct talk *t, struct error *e) {
    static const char ending[] = "\n</think>\n\n";
    struct session_size size = {.branches = 1};
    enum status s = session_open(&t->o->session, &size, &t->session, e);
    if (!s) s = open_chat(t, e);
    if (s) return s;
    t->ids = mem_new(t->session.ctx, sizeof *t->ids);
    t->end_thinking = mem_new(sizeof ending, sizeof *t->end_thinking);
    if (!t->ids || !t->end_thinking) return error_set(e, ERR_MEMORY, "no memory for %u tokens", t->session.ctx);
    s = tok_encode(t->session.tok, ending, sizeof ending - 1, true, false, t->end_thinking, sizeof ending, &t->n_end,
                   e);
    if (s) return s;
    t->seq = engine_seq_new(t->session.policy.client);
    t->color = terminal_of(STDOUT_FILENO).color;
    s = sampling_open(&t->o->sampling, t->session.tok, engine_n_out(t->session.policy.engine), &t->sampling, e);
    if (!s) s = speculative_open(&t->o->speculative, &t->session, &t->speculative, e);
    if (!s) s = speculative_begin(&t->speculative, &t->sampling, t->seq, e);
    return s ? s : talk_reset(t, t->o->system ? t->o->system : "", e);
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
    if (t->speculative.speculator) speculative_report(&t->speculative, t->n_written);
    speculative_close(&t->speculative);
    chat_close(&t->chat);
    json_decref(t->messages);
    session_close(&t->session);
    mem_free(t->ids), mem_free(t->text.at), mem_free(t->answer.at), mem_free(t->end_thinking);
    sampling_close(&t->sampling);
    mem_free(t);
    *out = NULL;
}

/* ---- messages ---- */

static enum status add_message(json_t *messages, const char *role, const char *text, size_t size, struct error *e) {
    json_t *m = json_object(), *content = json_stringn(text, size);
    if (!content) { /* a byte that is no UTF-8: not for JSON, nor for the model */
        json_decref(m);
        return error_set(e, ERR_INPUT, "the message of the %s is not UTF-8", role);
    }
    if (json_object_set_new(m, "role", json_string(role)) | json_object_set_new(m, "content", content) |
        json_array_append_new(messages, m))
        return error_set(e, ERR_MEMORY, "no memory for a message");
    return OK;
}

enum status talk_reset(struct talk *t, const char *system, struct error *e) {
    json_t *messages = json_array(), *first = json_array_get(t->messages, 0);
    const char *role = json_string_value(json_object_get(first, "role"));
    enum status s = OK;
    if (!messages) return error_set(e, ERR_MEMORY, "no memory for a conversation");
    if (system && *system) s = add_message(messages, "system", system, strlen(system), e);
    else if (!system && role && !strcmp(role, "system") && json_array_append(messages, first))
        s = error_set(e, ERR_MEMORY, "no memory for a conversation");
    if (s) {
        json_decref(messages);
        return s;
    }
    json_decref(t->messages);
    t->messages = messages;
    return OK; /* the KV cache stays: what the next conversation shares with it is kept */
}

enum status talk_save(const struct talk *t, const char *path, struct error *e) {
    if (json_dump_file(t->messages, path, JSON_INDENT(1) | JSON_PRESERVE_ORDER))
        return error_set(e, ERR_IO, "%s: cannot be written: %s", path, strerror(errno));
    return OK;
}

/* ---- tokens ---- */

/* Appends tokens in portions, so that Ctrl-C is seen between them. */
static enum status feed(struct talk *t, const int32_t *ids, size_t n, const volatile int *cancel, struct error *e) {
    for (size_t i = 0, part; i < n && !*cancel; i += part) {
        part = n - i < 512 ? n - i : 512;
        struct span span = {
            .seq = t->seq, .n_tokens = (uint32_t)part, .n_out = 1, .tokens = ids + i, .out = t->sampling.logits};
        enum status s = engine_run(t->session.policy.client, &span, 1, NULL, e);
        if (s) return s;
        memmove(t->ids + t->n_ids, ids + i, part * sizeof *ids);
        t->n_ids += part;
    }
    return OK;
}

/* The tokens to append, and *keep: how many of those in the cache stay. */
static enum status new_tokens(struct talk *t, const struct jinja_text *x, int32_t **ids, size_t *from, size_t *n,
                              size_t *keep, struct error *e) {
    size_t known = t->text.n;
    *from = 0, *keep = t->n_ids;
    if (known && x->size > known && !memcmp(x->text, t->text.at, known) && chat_control_at(t->chat, x, known))
        return chat_encode(t->chat, x, known, ids, n, e);
    enum status s = chat_encode(t->chat, x, 0, ids, n, e);
    size_t same = 0;
    while (!s && same < *n && same < t->n_ids && (*ids)[same] == t->ids[same]) same++;
    if (!s && same && same == *n) same--; /* the last token is read again: its logits are wanted */
    *from = *keep = same;
    return s;
}

/* What the text does not hold, or not any more, leaves the caches: earlier turns, guesses that were not taken. */
static void forget_text(struct talk *t) {
    struct client *c = t->session.policy.client;
    if (engine_len(c, t->seq) > t->n_ids) engine_truncate(c, t->seq, (uint32_t)t->n_ids);
    if (!t->speculative.speculator) return;
    speculate_cut(t->speculative.speculator, t->n_ids, t->n_known > t->n_taken ? t->n_known - t->n_taken : 0);
    t->n_known = 0;
}

static enum status read_conversation(struct talk *t, const volatile int *cancel, struct error *e) {
    json_t *given = json_object();
    struct jinja_text x = {0};
    int32_t *ids = NULL;
    size_t n = 0, from = 0, keep = 0;
    enum status s = OK;
    if (!given || json_object_set(given, "messages", t->messages) ||
        json_object_set_new(given, "add_generation_prompt", json_true()) ||
        (t->o->reasoning_budget == 0 && json_object_set_new(given, "enable_thinking", json_false())))
        s = error_set(e, ERR_MEMORY, "no memory for a conversation");
    if (!s) s = chat_render(t->chat, given, (int64_t)time(NULL), &x, e);
    if (!s) s = new_tokens(t, &x, &ids, &from, &n, &keep, e);
    if (!s && n == 0) s = error_set(e, ERR_INPUT, "the template gives an empty text");
    if (!s && keep + n - from >= t->session.ctx)
        s = error_set(e, ERR_FULL, "the conversation has %zu tokens, the context %u: /reset, or a larger --ctx-size",
                      keep + n - from, t->session.ctx);
    if (!s) {
        t->n_ids = keep, t->text.n = 0;
        forget_text(t);
        s = feed(t, ids + from, n - from, cancel, e);
    }
    if (!s && !*cancel) s = add_bytes(&t->text, x.text, x.size, e);
    size_t end = x.size;
    while (end && strchr(" \n", x.text[end - 1])) end--;
    t->stream = (struct chat_stream){.write = show, .user = t};
    t->stream.thinking = end >= 7 && !memcmp(x.text + end - 7, "<think>", 7) && !x.plain[end - 1]; /* no user's */
    json_decref(given);
    jinja_text_free(&x);
    mem_free(ids);
    return s;
}

/* ---- the answer ---- */

/* What is settled: no part of a stop string. */
static void show_settled(void *user, const char *text, size_t size) {
    struct talk *t = user;
    chat_stream_add(&t->stream, text, size);
    if (!t->status) t->status = add_bytes(&t->answer, text, size, NULL);
}

/* Shows one token.  Tags of thinking count as text even where they are control tokens. */
static enum status put_token(struct talk *t, int32_t id, struct gguf_string *piece, bool *stopped, struct error *e) {
    struct gguf_string tag = tok_piece(t->session.tok, id, true);
    *piece = tok_piece(t->session.tok, id, false);
    if ((tag.size == 7 && !memcmp(tag.data, "<think>", 7)) || (tag.size == 8 && !memcmp(tag.data, "</think>", 8)))
        *piece = tag;
    enum status s = stream_put(&t->stops, piece->data, piece->size, stopped, e);
    fflush(stdout);
    return !s && t->status ? error_set(e, t->status, "no memory for the answer") : s;
}

/* The next token, from logits that are there or, with guesses, from a pass for several; n: tokens of this answer so far. */
static enum status next_token(struct talk *t, uint64_t n, int32_t *id, struct error *e) {
    struct client *c = t->session.policy.client;
    size_t cap = t->session.ctx, more = 0;
    int64_t most = t->o->sampling.n;
    enum status s = OK;
    if (!t->speculative.speculator) return sampling_next(&t->sampling, t->ids, t->n_ids, id, e);
    if (most >= 0 && cap > t->n_ids + ((uint64_t)most - n)) cap = t->n_ids + ((uint64_t)most - n);
    if (t->n_known <= t->n_ids) {
        if (engine_len(c, t->seq) == t->n_ids) engine_truncate(c, t->seq, (uint32_t)t->n_ids - 1); /* read again */
        s = speculate_step(t->speculative.speculator, t->ids, t->n_ids, cap, &more, e);
        t->n_known = t->n_ids + more;
    }
    *id = t->ids[t->n_ids];
    t->n_taken = t->n_ids + 1;
    return s;
}

/* After an answer with guesses: the cache holds all that `ids` does, for the next turn. */
static enum status fill_cache(struct talk *t, struct error *e) {
    static const volatile int never = 0;
    size_t n = t->n_ids, len = engine_len(t->session.policy.client, t->seq);
    t->n_ids = len;
    return feed(t, t->ids + len, n - len, &never, e);
}

/* Into the cache, and its text with it. */
static enum status keep_token(struct talk *t, int32_t id, struct gguf_string piece, struct error *e) {
    static const volatile int never = 0;
    enum status s = OK;
    if (t->speculative.speculator) t->ids[t->n_ids++] = id; /* the next pass reads it */
    else s = feed(t, &id, 1, &never, e);
    return s ? s : add_bytes(&t->text, piece.data, piece.size, e);
}

/* Puts the end of thinking into the model's mouth; without room for it the answer ends. */
static enum status end_thinking(struct talk *t, bool *stopped, struct error *e) {
    struct gguf_string piece;
    enum status s = OK;
    if (t->n_ids + t->n_end >= t->session.ctx) return *stopped = true, OK;
    forget_text(t);
    for (size_t i = 0; !s && !*stopped && i < t->n_end; i++) {
        s = put_token(t, t->end_thinking[i], &piece, stopped, e);
        if (!s) s = keep_token(t, t->end_thinking[i], piece, e);
    }
    t->stream.thinking = false;
    return s;
}

/* *n: tokens of the model's own. */
static enum status generate(struct talk *t, const volatile int *cancel, uint64_t *n, struct error *e) {
    int64_t most = t->o->sampling.n, budget = t->o->reasoning_budget, n_thinking = 0;
    struct gguf_string piece;
    enum status s = OK;
    bool stopped = false;
    while (!s && !stopped && (most < 0 || *n < (uint64_t)most) && !*cancel && !ferror(stdout)) {
        int32_t id;
        if (t->stream.thinking && budget >= 0 && n_thinking++ >= budget) {
            s = end_thinking(t, &stopped, e);
            continue;
        }
        s = next_token(t, *n, &id, e);
        if (s || tok_is_end(t->session.tok, id)) break;
        ++*n;
        s = put_token(t, id, &piece, &stopped, e);
        if (stopped || t->n_ids + 1 >= t->session.ctx) break;
        if (!s) s = keep_token(t, id, piece, e);
    }
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
    return add_message(t->messages, "assistant", t->answer.at ? t->answer.at : "", n, e);
}

enum status talk_answer(struct talk *t, const char *message, struct error *e) {
    const volatile int *cancel = cancel_install();
    uint64_t n = 0, start = clock_ns();
    enum status s = add_message(t->messages, "user", message, strlen(message), e);
    if (s) goto out;
    t->answer.n = 0, t->status = OK;
    t->stops = (struct stream){.write = show_settled,
                               .user = t,
                               .stops = t->o->sampling.stops.values,
                               .n_stops = (size_t)t->o->sampling.stops.n};
    s = read_conversation(t, cancel, e);
    if (s || *cancel) json_array_remove(t->messages, json_array_size(t->messages) - 1);
    if (s || *cancel) goto out;
    uint64_t read = clock_ns();
    s = generate(t, cancel, &n, e);
    forget_text(t);
    if (!s) s = fill_cache(t, e);
    t->n_written += n;
    stream_end(&t->stops);
    chat_stream_end(&t->stream);
    if (t->color && t->dimmed) fputs("\033[0m", stdout), t->dimmed = false;
    putchar('\n');
    fflush(stdout);
    double answer_s = (double)(clock_ns() - read) / 1e9;
    if (terminal_of(STDERR_FILENO).live)
        fprintf(stderr, "(%llu tokens, %.0f/s; read in %.1f s; context %zu of %u)\n", (unsigned long long)n,
                answer_s > 0 ? (double)n / answer_s : 0, (double)(read - start) / 1e9, t->n_ids, t->session.ctx);
    if (t->n_ids + 1 >= t->session.ctx)
        fputs("ponder chat: the context is full: /reset, or a larger --ctx-size\n", stderr);
    if (!s) s = keep_answer(t, e);
out:
    cancel_clear();
    return s;
}
