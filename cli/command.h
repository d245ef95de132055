/* command.h: the commands of the binary.
 * Not their flags: each has its own table in its own file.
 * Next: main.c, which picks one. */
#ifndef PONDER_COMMAND_H
#define PONDER_COMMAND_H

#include "cli/flags_session.h" /* of every command that opens a model */

/* argv[0] is the command's name.  Returns the exit code: 0, 1 (failed), 2 (wrong usage). */
typedef int command_fn(int argc, char **argv);

command_fn cmd_solve, cmd_run, cmd_eval, cmd_calibrate, cmd_train, cmd_label, cmd_logits, cmd_inspect, cmd_signature,
    cmd_quantize, cmd_convert, cmd_chat, cmd_tokenize, cmd_detokenize, cmd_perplexity, cmd_bench,
    cmd_strategies, cmd_generate, cmd_judge, cmd_compare, cmd_merge, cmd_plot, cmd_tree, cmd_study,
    cmd_models, cmd_serve;

extern const char version_commit[]; /* of the source tree this was built from */
extern const char version_parts[]; /* what it was built with */

#endif
