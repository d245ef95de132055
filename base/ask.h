/* ask.h: what a text is asked for: the vocabulary that tasks, which write the words, and search, which wants the texts, share.
 * Not the words: tasks/task.c.
 * Next: tasks/task.h. */
#ifndef PONDER_ASK_H
#define PONDER_ASK_H

enum ask { ASK_SOLVE, ASK_PROPOSE, ASK_JUDGE, ASK_CRITIQUE, ASK_REVISE, ASK_DECOMPOSE, N_ASKS };

#endif
