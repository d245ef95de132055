/* reader.h: how reward models are asked: what text they read for a problem and its steps, where their outputs stand, and how
 * outputs become the value of a step.  One row of a table per protocol.
 * Not the KV of chains and not the passes: search/eval_model.c keeps those and knows no protocol.
 * Next: protocol.c for the table, reader.c for text to tokens; docs/PRM.md for people.
 *
 *   tokens:  [ prompt .......... ][ step 1 ....... x ][ step 2 ........... x ]      x: outputs are read here
 *            prm_begin, read once  prm_step, read when the step is there; what was read before never changes */
#ifndef PONDER_PRM_READER_H
#define PONDER_PRM_READER_H

#include "prm/prm.h"
#include "tokenizer/tok.h"

/* A protocol bound to a model and its vocabulary.  Never changes: many threads may use one. */
struct prm_reader;

/* kind: a name of prm_kinds(), or NULL: the key prm.kind says it, or it is recognised by head and name.  Protocols that
 * compare two words cut the model's LM head down to them, so call this before an engine is made.  m is borrowed until
 * return.  ERR_INPUT when the kind is not known or the model lacks what it needs. */
enum status prm_reader_open(struct model *m, const char *kind, struct prm_reader **out, struct error *e);
void prm_reader_close(struct prm_reader **r);
/* "value": reads the policy's own tokens, an output for each step. */
const struct prm_reader *prm_value_reader(void);

const char *prm_kinds(void); /* "value, qwen, ..." */
const char *prm_reader_kind(const struct prm_reader *r);
enum prm_agg prm_reader_agg(const struct prm_reader *r);  /* prm.aggregation, or what the protocol's authors use */
bool prm_reads_policy_tokens(const struct prm_reader *r); /* then both models must have one vocabulary */

/* What is read before the first step. */
struct prm_prompt {
    int32_t *ids; /* [n] */
    size_t n;
    char *context; /* text at the end of ids that the first step's may be merged with by the vocabulary */
};
/* problem: for protocols of text; tokens: the policy's prompt, for those of tokens.  prm_prompt_free may follow a failure. */
enum status prm_begin(const struct prm_reader *r, const char *problem, const int32_t *tokens, size_t n_tokens,
                      struct prm_prompt *out, struct error *e);
void prm_prompt_free(struct prm_prompt *p);

/* One step of a chain, as the policy wrote it. */
struct prm_step {
    const int32_t *tokens; /* [n_tokens] all of it */
    size_t n_tokens;
    const char *text; /* [size] without what ended it */
    size_t size;
    bool ended; /* by its separator or the end token */
    bool first; /* of those that gave tokens */
};
/* Appends what the reward model reads for it: at most cap ids, the full count in *n.  *scored: outputs are read at the last
 * of them.  Protocols of text read nothing for a step that has not ended or is blank: *n = 0. */
enum status prm_put_step(const struct prm_reader *r, const struct prm_prompt *p, const struct prm_step *step,
                         int32_t *ids, size_t cap, size_t *n, bool *scored, struct error *e);

/* Outputs of the engine at a step's end, engine_n_out of them, to its value in [0,1]; NaN becomes 0. */
float prm_reader_value(const struct prm_reader *r, const float *out);

#endif
