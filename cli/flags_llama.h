/* flags_llama.h: flags of llama.cpp's programs that people paste behind run and chat, and what becomes of them.
 * Not those that mean something here: flags_sampling.h, flags_session.h.
 * Next: flags_llama.c. */
#ifndef PONDER_FLAGS_LLAMA_H
#define PONDER_FLAGS_LLAMA_H

#include "cli/args.h"

/* Parts of a command's flags; they fill nothing. */
extern const struct flag llama_flags[];      /* of both commands */
extern const struct flag llama_run_flags[];  /* that ask run for a conversation, or for what it does anyway */
extern const struct flag llama_chat_flags[]; /* the other way round */

#endif
