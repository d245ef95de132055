/* asks.c: questions beside the search: a prompt about a chain, a short reply in words.
 * Not nodes: what is replied is no part of the tree.
 * Next: search/strategies/judge.c. */
#include <string.h>

#include "base/mem.h"
#include "search/search_internal.h"

enum status run_soft(struct run *r, enum status s) {
    if (s != ERR_FULL && s != ERR_CANCELLED) return s;
    run_look(r);
    run_stop(r, s == ERR_FULL ? WHY_KV_FULL : WHY_CANCELLED);
    return OK;
}

enum status run_begin(struct run *r, struct asking *asks, uint32_t n) {
    enum status s;
    do s = r->ev->begin(r->ev->self, asks, n, r->e);
    while (s == ERR_FULL && run_make_room(r));
    return s;
}

static enum status reply(struct run *r, struct question *q, uint32_t n) {
    struct asking asks[MOST_QUESTIONS];
    struct step steps[MOST_QUESTIONS];
    for (uint32_t i = 0; i < n; i++) asks[i] = q[i].ask;
    enum status s = run_begin(r, asks, n);
    if (s) return s;
    for (uint32_t i = 0; i < n; i++)
        steps[i] = (struct step){.branch = asks[i].branch,
                                 .key = q[i].key,
                                 .temperature = r->temperature,
                                 .to_end = true,
                                 .max_steps = q[i].max_steps,
                                 .max_tokens = q[i].max_tokens};
    do s = r->ev->extend(r->ev->self, steps, n, r->e);
    while (s == ERR_FULL && run_make_room(r));
    for (uint32_t i = 0; i < n; i++) {
        if (!s && steps[i].text) q[i].reply = steps[i].text;
        r->ev->drop(r->ev->self, &asks[i].branch);
    }
    return s;
}

enum status run_ask(struct run *r, struct question *q, uint32_t n) {
    for (uint32_t i = 0; i < n; i++) q[i].reply = "";
    enum status s = reply(r, q, n);
    return s == ERR_INPUT ? OK : run_soft(r, s); /* the prompt is longer than the context: nothing is said */
}

char *run_chain_text(const struct run *r, uint32_t u) {
    size_t size = 1;
    for (uint32_t v = u; v; v = r->t->nodes[v].parent) size += strlen(r->t->nodes[v].text) + 1;
    char *text = mem_new(size, 1);
    if (text) search_chain_text(r->t, u, text, size);
    return text;
}
