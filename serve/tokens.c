/* tokens.c: texts to tokens and back, and conversations to texts.
 * Not what models make of them.
 * Next: tokenizer/tok.h. */
#include <string.h>
#include <time.h>

#include "base/mem.h"
#include "serve/fields.h"
#include "serve/handlers.h"
#include "serve/texts.h"

/* The body, or NULL: told. */
static json_t *read_body(struct exchange *ex) {
    json_t *body;
    struct error e;
    enum status s = body_read(ex->body.data, ex->body.n, &body, &e);
    if (s) server_fail_status(ex, s, &e);
    return body;
}

/* Names of control tokens become tokens here, and only here: clients ask for the id of a model's end token in this
 * way. */
static enum status encode(const struct server *s, const char *text, size_t n, bool bos, int32_t **ids, size_t *count,
                          struct error *e) {
    const struct tok *tok = s->session->tok;
    *ids = NULL;
    enum status st = tok_encode(tok, text, n, true, bos && tok_adds_bos(tok), NULL, 0, count, e);
    if (st) return st;
    if (!(*ids = mem_new(*count, sizeof **ids))) return error_set(e, ERR_MEMORY, "no memory for %zu tokens", *count);
    return tok_encode(tok, text, n, true, bos && tok_adds_bos(tok), *ids, *count, count, e);
}

/* lm-eval's {"prompt", "add_special_tokens"}, llama.cpp's {"content", "add_special", "with_pieces"}. */
void handle_tokenize(struct exchange *ex) {
    const struct server *s = ex->server;
    json_t *body = read_body(ex), *list = json_array();
    struct error e;
    int32_t *ids = NULL;
    size_t n = 0;
    if (!body) {
        json_decref(list);
        return;
    }
    const json_t *prompt = json_object_get(body, "prompt"), *text = prompt ? prompt : json_object_get(body, "content");
    bool bos =
        json_is_true(json_object_get(body, "add_special_tokens")) || json_is_true(json_object_get(body, "add_special"));
    bool pieces = json_is_true(json_object_get(body, "with_pieces"));
    enum status st = json_is_string(text)
                         ? encode(s, json_string_value(text), json_string_length(text), bos, &ids, &n, &e)
                         : error_set(&e, ERR_INPUT, "\"prompt\" or \"content\": a text is allowed");
    for (size_t i = 0; !st && i < n; i++)
        json_array_append_new(list, pieces ? json_pack("{s:i,s:o}", "id", ids[i], "piece", token_text(s, ids[i]))
                                           : json_integer(ids[i]));
    if (st) server_fail_status(ex, st, &e), json_decref(list);
    else exchange_json(ex, 200, json_pack("{s:o,s:I}", "tokens", list, "count", (json_int_t)n));
    mem_free(ids);
    json_decref(body);
}

void handle_detokenize(struct exchange *ex) {
    const struct server *s = ex->server;
    json_t *body = read_body(ex), *one;
    struct buffer b = {0};
    size_t i;
    if (!body) return;
    const json_t *list = json_object_get(body, "tokens");
    bool good = json_is_array(list);
    json_t *pieces = json_is_true(json_object_get(body, "with_pieces")) ? json_array() : NULL;
    json_array_foreach((json_t *)list, i, one) {
        json_int_t id = json_is_integer(one) ? json_integer_value(one) : -1;
        good &= id >= 0 && id < (json_int_t)tok_n_vocab(s->session->tok);
        struct gguf_string piece = tok_piece(s->session->tok, good ? (int32_t)id : -1, true);
        buffer_add(&b, piece.data, piece.size);
        if (pieces && good) json_array_append_new(pieces, token_text(s, (int32_t)id));
    }
    if (!good)
        server_fail(ex, 400, NULL, "\"tokens\": a list of ids from 0 to %u is allowed",
                    tok_n_vocab(s->session->tok) - 1);
    else {
        json_t *text = clean_text(b.data ? b.data : "", b.n);
        json_t *reply = json_pack("{s:O,s:o}", "prompt", text, "content", text);
        if (pieces) json_object_set(reply, "pieces", pieces);
        exchange_json(ex, 200, reply);
    }
    json_decref(pieces);
    buffer_free(&b);
    json_decref(body);
}

static json_t *name_of(const struct server *s, int32_t id) { return id < 0 ? json_null() : token_text(s, id); }

void handle_tokenizer_info(struct exchange *ex) {
    const struct server *s = ex->server;
    const struct tok *tok = s->session->tok;
    const struct gguf *file = s->session->policy.model->file;
    struct gguf_string template;
    struct error e;
    json_t *text = NULL;
    if (gguf_has(file, "tokenizer.chat_template") && !gguf_get_string(file, "tokenizer.chat_template", &template, &e))
        text = json_stringn(template.data, template.size);
    exchange_json(ex, 200,
                  json_pack("{s:o,s:o,s:o,s:o,s:b,s:I}", "eos_token", name_of(s, tok_eos(tok)), "bos_token",
                            name_of(s, tok_bos(tok)), "pad_token", name_of(s, tok_eos(tok)), "chat_template",
                            text ? text : json_null(), "add_bos_token", tok_adds_bos(tok), "vocab_size",
                            (json_int_t)tok_n_vocab(tok)));
}

void handle_apply_template(struct exchange *ex) {
    const struct server *s = ex->server;
    json_t *body = read_body(ex);
    struct jinja_text x = {0};
    struct error e;
    if (!body) return;
    enum status st = s->chat ? OK : error_set(&e, ERR_INPUT, "the model has no chat template");
    json_object_set_new(body, "add_generation_prompt", json_true());
    if (!st && !json_is_array(json_object_get(body, "messages")))
        st = error_set(&e, ERR_INPUT, "\"messages\": a list is allowed");
    if (!st) st = chat_render(s->chat, body, (int64_t)time(NULL), &x, &e);
    if (st) server_fail_status(ex, st, &e);
    else exchange_json(ex, 200, json_pack("{s:o}", "prompt", clean_text(x.text, x.size)));
    jinja_text_free(&x);
    json_decref(body);
}
