/* search_routes.c: the routes of searches: looked at, followed, ended; and the strategies there are.
 * Not their running: search.c.
 * Next: search_store.h. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "search/strategy.h"
#include "serve/handlers.h"
#include "serve/search_store.h"
#include "serve/server.h"

/* The search of "/v1/search/ID..."; NULL: told. */
static struct kept *find(struct exchange *ex) {
    struct server *s = ex->server;
    const char *id = ex->path + strlen("/v1/search/");
    size_t n = strcspn(id, "/");
    struct kept *k = search_find(s->searches, id, n);
    if (!k)
        server_fail(ex, 404, NULL, "there is no search \"%.*s\"; the newest %d are kept", (int)(n < 60 ? n : 60), id,
                    SEARCHES_KEPT);
    return k;
}

static void tell_search(struct exchange *ex, struct kept *k, bool trace) {
    struct buffer b = {0};
    search_tell(k, trace, &b);
    if (b.failed) server_fail(ex, 500, NULL, "no memory for the search");
    else exchange_reply(ex, 200, "application/json", b.data, b.n);
    buffer_free(&b);
}

void handle_search_get(struct exchange *ex) {
    struct kept *k = find(ex);
    if (!k) return;
    tell_search(ex, k, true);
    search_release(k);
}

void handle_search_answer(struct exchange *ex) {
    struct kept *k = find(ex);
    if (!k) return;
    search_stop(k);
    tell_search(ex, k, false);
    search_release(k);
}

void handle_search_delete(struct exchange *ex) {
    struct server *s = ex->server;
    struct kept *k = find(ex);
    if (!k) return;
    search_stop(k);
    search_remove(s->searches, k);
    exchange_json(ex, 200, json_pack("{s:s,s:b}", "id", search_id(k), "deleted", 1));
    search_release(k);
}

void handle_search_events(struct exchange *ex) {
    const char *last = exchange_header(ex, "Last-Event-ID");
    char *end;
    uint64_t after = last ? strtoull(last, &end, 10) : 0;
    if (last && (*end || !isdigit((unsigned char)*last))) {
        server_fail(ex, 400, NULL, "Last-Event-ID: \"%.40s\" is no number", last);
        return;
    }
    struct kept *k = find(ex);
    if (k) search_follow(k, ex, after);
}

static json_t *param_json(const struct param *p, const void *defaults) {
    static const char *const kinds[] = {
        [PARAM_COUNT] = "integer", [PARAM_REAL] = "number", [PARAM_CHOICE] = "choice", [PARAM_YES] = "boolean"};
    char name[64], value[64];
    snprintf(name, sizeof name, "%s", p->flag);
    for (char *c = name; *c; c++)
        if (*c == '-') *c = '_';
    json_t *one = json_pack("{s:s,s:s,s:s,s:s}", "name", name, "kind", kinds[p->kind], "summary", p->summary, "default",
                            param_text(p, defaults, value, sizeof value));
    if (p->kind == PARAM_CHOICE) json_object_set_new(one, "choices", json_string(p->choices));
    if (p->kind == PARAM_COUNT || p->kind == PARAM_REAL)
        json_object_set_new(one, "low", json_real(p->low)), json_object_set_new(one, "high", json_real(p->high));
    return one;
}

/* The rows of the strategies, for those who build a form of them. */
void handle_strategies(struct exchange *ex) {
    const struct server *s = ex->server;
    bool values = server_has_values(s);
    json_t *list = json_array();
    for (int i = 0; strategy_table[i]; i++) {
        const struct strategy *st = strategy_table[i];
        struct params params;
        json_t *names = json_array();
        strategy_defaults(st, !s->own, &params);
        for (const struct param *p = st->params; p && p->flag; p++)
            json_array_append_new(names, param_json(p, &params));
        unsigned missing = CAN_DRAFT | (values ? 0 : CAN_VALUE);
        json_array_append_new(list, json_pack("{s:s,s:s,s:s,s:I,s:b,s:o}", "name", st->name, "summary", st->summary,
                                              "unit", st->unit ? st->unit : "", "budget",
                                              (json_int_t)st->simulations[!s->own], "usable",
                                              !(strategy_needs(st, params.bytes) & missing), "params", names));
    }
    exchange_json(ex, 200, json_pack("{s:s,s:o}", "object", "list", "data", list));
}
