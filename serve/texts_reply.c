/* texts_reply.c: what replies have in common: tokens as JSON, usage, timings, what a search and a scan found.
 * Not a protocol, and not the writing: texts_write.c.
 * Next: openai.c for a voice. */
#include <stdio.h>
#include <string.h>

#include "serve/scan.h"
#include "serve/texts.h"
#include "tokenizer/pretok.h"

/* ---- tokens as JSON ---- */

json_t *bytes_text(const char *bytes, size_t n) {
    struct buffer b = {0};
    size_t i = 0, size;
    while (i < n && (size = utf8_char(bytes + i, n - i))) i += size;
    json_t *text = i == n ? json_stringn(bytes, n) : NULL;
    if (text) return text;
    buffer_text(&b, "bytes:"); /* as OpenAI writes them */
    for (i = 0; i < n; i++) buffer_print(&b, "\\x%02x", (unsigned char)bytes[i]);
    text = json_string(b.data ? b.data : "");
    buffer_free(&b);
    return text;
}

json_t *clean_text(const char *bytes, size_t n) {
    struct buffer b = {0};
    for (size_t i = 0, size; i < n; i += size ? size : 1) {
        size = utf8_char(bytes + i, n - i);
        if (size) buffer_add(&b, bytes + i, size);
        else buffer_text(&b, "\xEF\xBF\xBD");
    }
    json_t *text = json_stringn(b.data ? b.data : "", b.n);
    buffer_free(&b);
    return text;
}

json_t *token_text(const struct server *s, int32_t id) {
    struct gguf_string piece = tok_piece(s->session->tok, id, true);
    return bytes_text(piece.data, piece.size);
}

json_t *token_bytes(const struct server *s, int32_t id) {
    struct gguf_string piece = tok_piece(s->session->tok, id, true);
    json_t *list = json_array();
    for (size_t i = 0; i < piece.size; i++) json_array_append_new(list, json_integer((unsigned char)piece.data[i]));
    return list;
}

/* The k largest, largest first, ties to lower ids.  Returns how many. */
static int find_top(const float *logits, uint32_t n, int k, int32_t *top) {
    int have = 0;
    for (uint32_t i = 0; i < n; i++) {
        if (have == k && !(k && logits[i] > logits[top[have - 1]])) continue;
        int at = have < k ? have++ : have - 1;
        for (; at > 0 && logits[i] > logits[top[at - 1]]; at--) top[at] = top[at - 1];
        top[at] = (int32_t)i;
    }
    return have;
}

json_t *texts_logprob(struct texts *t, const float *logits, int32_t id) {
    static const struct sample_params plain = {.temperature = 1, .top_p = 1};
    uint32_t n_vocab = engine_n_out(t->server->session->policy.engine);
    struct sample_distribution d;
    int32_t ids[TOP_LOGPROBS];
    json_t *top = json_array();
    bool good = sample_distribution(&plain, logits, n_vocab, &t->scratch, &d);
    int n = good ? find_top(logits, n_vocab, (int)t->wish.top_logprobs, ids) : 0;
    for (int i = 0; i < n; i++)
        json_array_append_new(
            top, json_pack("{s:i,s:f}", "id", ids[i], "logprob", (double)sample_logprob(&d, logits, ids[i])));
    return json_pack("{s:i,s:f,s:o}", "id", id, "logprob", good ? (double)sample_logprob(&d, logits, id) : -9999.0,
                     "top", top);
}

/* ---- what replies have in common ---- */

const char *choice_reason(const struct choice *c) {
    enum text_end end = c->text.end;
    return end == TEXT_END_TOKEN || end == TEXT_STOP_STRING || end == TEXT_ENDED ? "stop" : "length";
}

uint64_t texts_prompt_tokens(const struct texts *t) {
    uint64_t n = t->n_search_prompt;
    for (uint32_t i = 0; i < t->n_prompts; i++) n += t->prompts[i].n;
    return n;
}

uint64_t texts_cached_tokens(const struct texts *t) {
    uint64_t n = 0;
    for (uint32_t i = 0; i < t->n_prompts; i++) n += t->prompts[i].n_cached;
    return n;
}

json_t *texts_usage(const struct texts *t) {
    json_int_t prompt = (json_int_t)texts_prompt_tokens(t), written = (json_int_t)t->n_generated;
    return json_pack("{s:I,s:I,s:I,s:{s:I,s:i},s:{s:I,s:I,s:i,s:i}}", "prompt_tokens", prompt, "completion_tokens",
                     written, "total_tokens", prompt + written, "prompt_tokens_details", "cached_tokens",
                     (json_int_t)texts_cached_tokens(t), "cache_write_tokens", 0, "completion_tokens_details",
                     "reasoning_tokens", (json_int_t)t->n_thinking, "dropped_tokens", (json_int_t)t->n_dropped,
                     "accepted_prediction_tokens", 0, "rejected_prediction_tokens", 0);
}

json_t *texts_timings(const struct texts *t) {
    double read = (double)t->read_ns / 1e6, write = (double)t->write_ns / 1e6;
    uint64_t fresh = texts_prompt_tokens(t) - texts_cached_tokens(t);
    return json_pack("{s:I,s:I,s:f,s:f,s:I,s:f,s:f}", "cache_n", (json_int_t)texts_cached_tokens(t), "prompt_n",
                     (json_int_t)fresh, "prompt_ms", read, "prompt_per_second",
                     read > 0 ? (double)fresh * 1e3 / read : 0.0, "predicted_n", (json_int_t)t->n_generated,
                     "predicted_ms", write, "predicted_per_second",
                     write > 0 ? (double)t->n_generated * 1e3 / write : 0.0);
}

/* ---- steering ---- */

static void scan_json(struct texts *t, const json_t *text, const char *where) {
    const char *data = json_string_value(text);
    if (data) scan_text(t->server->session->tok, data, json_string_length(text), where, &t->steering);
}

/* A text, or a list of texts, or of parts that have one. */
static void scan_content(struct texts *t, const json_t *content, const char *where) {
    size_t i;
    json_t *part;
    scan_json(t, content, where);
    json_array_foreach((json_t *)content, i, part) {
        scan_json(t, part, where);
        scan_json(t, json_object_get(part, "text"), where);
    }
}

/* What the operator of a client wrote may say how to think; all else comes from somewhere. */
void texts_scan_prompts(struct texts *t) {
    static const char *const lists[] = {"messages", "input"}, *const texts[] = {"prompt", "input"};
    char where[64];
    size_t i;
    json_t *m;
    for (size_t k = 0; k < 2; k++) {
        scan_content(t, json_object_get(t->body, texts[k]), texts[k]);
        json_array_foreach(json_object_get(t->body, lists[k]), i, m) {
            const char *role = json_string_value(json_object_get(m, "role"));
            if (role && (!strcmp(role, "system") || !strcmp(role, "developer"))) continue;
            snprintf(where, sizeof where, "%s.%zu", lists[k], i);
            scan_content(t, json_object_get(m, "content"), where);
        }
    }
}

void texts_scan_answer(struct texts *t, const struct choice *c) {
    char where[64];
    const struct buffer *both[] = {&c->said, &c->thought};
    static const char *const parts[] = {"", ".reasoning"};
    for (size_t k = 0; k < 2; k++) {
        const char *text = both[k]->data;
        size_t n = both[k]->n, from = 0, to = n;
        if (k && n >= 8 && text) { /* the tags that the thinking begins and ends with are its own */
            while (to && strchr(" \n", text[to - 1])) to--;
            if (to >= 8 && !memcmp(text + to - 8, "</think>", 8)) to -= 8;
            if (to >= 7 && !memcmp(text, "<think>", 7)) from = 7;
        }
        snprintf(where, sizeof where, "choices.%u%s", c->index, parts[k]);
        if (text) scan_text(t->server->session->tok, text + from, to - from, where, &t->steering);
    }
}

void texts_extras(const struct texts *t, json_t *reply) {
    if (t->search) json_object_set(reply, "search", t->search);
    if (t->steering) json_object_set(reply, "steering", t->steering);
}
