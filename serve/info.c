/* info.c: health, models, properties, metrics, and what is not here.
 * Not the page: page.S holds its bytes.
 * Next: tokens.c. */
#include <string.h>
#include <time.h>

#include "serve/handlers.h"
#include "serve/page.h"
#include "serve/server.h"

void handle_page(struct exchange *ex) {
    const struct server *s = ex->server;
    if (s->p.no_page) server_fail(ex, 404, NULL, "the page is switched off (--no-ui)");
    else
        exchange_reply(ex, 200, "text/html; charset=utf-8", (const char *)page_html,
                       (size_t)(page_html_end - page_html));
}

void handle_health(struct exchange *ex) {
    struct server *s = ex->server;
    if (s->draining) server_fail(ex, 503, NULL, "the server is stopping");
    else exchange_json(ex, 200, json_pack("{s:s}", "status", "ok"));
}

void handle_metrics(struct exchange *ex) {
    struct buffer b = {0};
    metrics_print(ex->server, &b);
    if (b.failed) server_fail(ex, 500, NULL, "no memory for the metrics");
    else exchange_reply(ex, 200, "text/plain; version=0.0.4", b.data, b.n);
    buffer_free(&b);
}

uint64_t server_n_params(const struct server *s) {
    const struct gguf *g = s->session->policy.model->file;
    uint64_t n = 0;
    for (size_t i = 0; i < gguf_n_tensors(g); i++) {
        const struct gguf_tensor *t = gguf_tensor_at(g, i);
        uint64_t one = 1;
        for (uint32_t d = 0; d < t->n_dims; d++) one *= t->dims[d];
        n += one;
    }
    return n;
}

uint64_t server_model_bytes(const struct server *s) {
    const struct gguf *g = s->session->policy.model->file;
    uint64_t n = 0;
    for (size_t i = 0; i < gguf_n_tensors(g); i++) n += gguf_tensor_at(g, i)->size_bytes;
    return n;
}

const char *server_task(const struct server *s) { return s->own ? "game24" : "math"; }

bool server_has_values(const struct server *s) {
    const struct session *n = s->session;
    return n->prm.model || n->oracle || (n->verifier != VERIFIER_PRM && n->verifier != VERIFIER_NONE);
}

/* One item for OpenAI's and Anthropic's clients alike. */
static json_t *model_json(const struct server *s) {
    char when[32];
    time_t created = (time_t)s->started;
    struct tm tm;
    gmtime_r(&created, &tm);
    strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%SZ", &tm);
    const struct model_config *c = &s->session->policy.model->config;
    json_t *meta =
        json_pack("{s:I,s:I,s:I,s:I,s:I,s:I}", "n_vocab", (json_int_t)c->n_vocab, "n_ctx_train", (json_int_t)c->n_ctx,
                  "n_ctx", (json_int_t)s->session->ctx, "n_embd", (json_int_t)c->n_embd, "n_params",
                  (json_int_t)server_n_params(s), "size", (json_int_t)server_model_bytes(s));
    return json_pack("{s:s,s:s,s:s,s:I,s:s,s:s,s:s,s:o}", "id", s->p.name, "object", "model", "type", "model",
                     "created", (json_int_t)s->started, "created_at", when, "owned_by", "ponder", "display_name",
                     s->p.name, "meta", meta);
}

void handle_models(struct exchange *ex) {
    const struct server *s = ex->server;
    exchange_json(ex, 200,
                  json_pack("{s:s,s:[o],s:b,s:s,s:s}", "object", "list", "data", model_json(s), "has_more", 0,
                            "first_id", s->p.name, "last_id", s->p.name));
}

void handle_model(struct exchange *ex) {
    const char *name = strrchr(ex->path, '/') + 1;
    if (server_has_model(ex->server, name)) exchange_json(ex, 200, model_json(ex->server));
    else server_fail(ex, 404, NULL, "the model \"%.100s\" is not served here", name);
}

void handle_props(struct exchange *ex) {
    const struct server *s = ex->server;
    struct gguf_string template = {"", 0};
    struct error e;
    const struct gguf *file = s->session->policy.model->file;
    if (gguf_has(file, "tokenizer.chat_template")) gguf_get_string(file, "tokenizer.chat_template", &template, &e);
    json_t *text = json_stringn(template.data, template.size);
    exchange_json(ex, 200,
                  json_pack("{s:{s:I},s:i,s:s,s:s,s:o,s:s,s:b,s:s}", "default_generation_settings", "n_ctx",
                            (json_int_t)s->session->ctx, "total_slots", (int)s->p.parallel, "model_alias", s->p.name,
                            "model_path", s->p.name, "chat_template", text ? text : json_string(""), "build_info",
                            s->fingerprint, "puzzles", (int)s->own, "reward_model", s->p.prm ? s->p.prm : "none"));
}

void handle_not_here(struct exchange *ex) {
    server_fail(ex, 501, NULL, "%s is not implemented: ponder runs models that write text", ex->path);
}
