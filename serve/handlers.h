/* handlers.h: the functions of the table of routes.
 * Not the table: route.c.
 * Next: info.c, openai.c, search.c, tokens.c, anthropic.c, ollama.c, responses.c. */
#ifndef PONDER_HANDLERS_H
#define PONDER_HANDLERS_H

#include "serve/http.h"

typedef void handle_fn(struct exchange *ex);

handle_fn handle_page, handle_health, handle_metrics, handle_props, handle_models, handle_model,
    handle_not_here;                       /* info.c */
handle_fn handle_completions, handle_chat; /* openai.c */
handle_fn handle_responses;                /* responses.c */
handle_fn handle_score;                    /* scores.c */
handle_fn handle_strategies, handle_search_get, handle_search_delete, handle_search_events,
    handle_search_answer;                                                                   /* search_routes.c */
handle_fn handle_deferred_list, handle_deferred_get, handle_deferred_delete;                /* deferred.c */
handle_fn handle_tokenize, handle_detokenize, handle_tokenizer_info, handle_apply_template; /* tokens.c */
handle_fn handle_messages, handle_count_tokens;                                             /* anthropic.c */
handle_fn handle_ollama_chat, handle_ollama_generate, handle_ollama_tags, handle_ollama_show, handle_ollama_ps,
    handle_ollama_version; /* ollama.c */

#endif
