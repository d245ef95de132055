/* flags_sampling.h: flags of drawing tokens and of guessing them.  Names, meanings and defaults are llama.cpp's, where it has them.
 * Not their meaning: solve/sampling.h, solve/speculative.h.
 * Next: args.h. */
#ifndef PONDER_FLAGS_SAMPLING_H
#define PONDER_FLAGS_SAMPLING_H

#include "cli/args.h"
#include "solve/sampling.h"
#include "solve/speculative.h"

/* clang-format off */
#define SAMPLING_FLAGS(type, field) \
    {"predict", "n", FLAG_INT, offsetof(type, field.n), "-1", -2, 1e9, "N", "tokens to write; -1 = until the end or the context is full, -2 the same"}, \
    {"temp", NULL, FLAG_REAL, offsetof(type, field.temp), "0.8", 0, 100, "X", "temperature; 0 = always the likeliest token"}, \
    {"top-k", NULL, FLAG_INT, offsetof(type, field.top_k), "40", -1, 1e9, "N", "only the N likeliest; 0 = all, -1 too"}, \
    {"top-p", NULL, FLAG_REAL, offsetof(type, field.top_p), "0.95", 0, 1, "X", "only the likeliest with together this probability; 1 = all"}, \
    {"min-p", NULL, FLAG_REAL, offsetof(type, field.min_p), "0.05", 0, 1, "X", "only tokens this likely, the best one being 1; 0 = all"}, \
    SAMPLING_MORE_FLAGS(type, field), \
    {"seed", "s", FLAG_INT, offsetof(type, field.seed), "-1", -1, 9e15, "N", "same seed, same text; -1 = a new one"}

/* Those of a search, too: where a text ends, what is done to the logits, and the order of the filters. */
#define SAMPLING_MORE_FLAGS(type, field) \
    {"reverse-prompt", "r", FLAG_LIST, offsetof(type, field.stops), NULL, 0, 0, "TEXT", "stop before this text; may be given several times"}, \
    {"ignore-eos", NULL, FLAG_YES, offsetof(type, field.ignore_eos), NULL, 0, 0, NULL, "never end by a token"}, \
    {"typical", NULL, FLAG_REAL, offsetof(type, field.typical), "1", 0, 1, "X", "only those with together this probability that surprise as much as the average one does; 1 = all"}, \
    {"samplers", NULL, FLAG_TEXT, offsetof(type, field.samplers), NULL, 0, 0, "NAMES", "their order, those left out are off (default: penalties;top_k;typ_p;top_p;min_p;temperature)"}, \
    {"sampler-seq", NULL, FLAG_TEXT, offsetof(type, field.sampler_seq), NULL, 0, 0, "LETTERS", "the same in letters (default: ekypmt)"}, \
    {"repeat-last-n", NULL, FLAG_INT, offsetof(type, field.repeat_last_n), "64", -1, 1e9, "N", "the penalties look at the last N tokens; 0 = none, -1 = all"}, \
    {"repeat-penalty", NULL, FLAG_REAL, offsetof(type, field.repeat), "1", 1e-3, 1e3, "X", "divides positive logits of recent tokens and multiplies negative ones; 1 = off"}, \
    {"presence-penalty", NULL, FLAG_REAL, offsetof(type, field.presence), "0", -1e3, 1e3, "X", "taken from the logit of each recent token; 0 = off"}, \
    {"frequency-penalty", NULL, FLAG_REAL, offsetof(type, field.frequency), "0", -1e3, 1e3, "X", "taken from it for each time that it occurred; 0 = off"}, \
    {"logit-bias", "l", FLAG_LIST, offsetof(type, field.bias), NULL, 0, 0, "ID(+|-)X", "added to the logit of a token, -inf forbids it: 15043+1, 15043-inf; may be given several times"}, \
    {"grammar", NULL, FLAG_TEXT, offsetof(type, field.grammar.text), NULL, 0, 0, "GBNF", "the text follows this grammar; thinking comes before it"}, \
    {"grammar-file", NULL, FLAG_TEXT, offsetof(type, field.grammar.file), NULL, 0, 0, "FILE", "the same from a file"}, \
    {"json-schema", "j", FLAG_TEXT, offsetof(type, field.grammar.schema_text), NULL, 0, 0, "JSON", "the text is JSON that is valid under this schema; {} = any"}, \
    {"json-schema-file", "jf", FLAG_TEXT, offsetof(type, field.grammar.schema_file), NULL, 0, 0, "FILE", "the same from a file"}

#define SPECULATIVE_FLAGS(type, field) \
    {"model-draft", "md", FLAG_TEXT, offsetof(type, field.model), NULL, 0, 0, "FILE", "a smaller model with the same tokens: it guesses, the model verifies; same distribution, fewer passes"}, \
    {"lookup", NULL, FLAG_YES, offsetof(type, field.lookup), NULL, 0, 0, NULL, "guess what followed the last words when they stood in the text before; same text, fewer passes"}, \
    {"draft-max", "draft", FLAG_INT, offsetof(type, field.max), "16", 1, 4096, "N", "tokens guessed at once"}, \
    {"draft-min", NULL, FLAG_INT, offsetof(type, field.min), "0", 0, 4096, "N", "fewer guesses are not tried"}, \
    {"draft-p-min", NULL, FLAG_REAL, offsetof(type, field.p_min), "0.75", 0, 1, "X", "the draft model stops guessing where its likeliest token is less likely than this"}
/* clang-format on */

#endif
