/* ask.h: what a text is asked for: the vocabulary that tasks, which write the words, and search, which wants the texts, share.
 * Not the words: tasks/task.c.
 * Next: tasks/task.h. */
#ifndef PONDER_ASK_H
#define PONDER_ASK_H

enum ask {
    ASK_SOLVE,
    ASK_PROPOSE,
    ASK_JUDGE,
    ASK_CRITIQUE,
    ASK_REVISE,
    ASK_DECOMPOSE, /* into smaller questions ... */
    ASK_PART,      /* ... one of them, the note ... */
    ASK_COMPOSE,   /* ... and the whole, with their answers in the note */
    ASK_COMPARE,   /* which of the solutions in the note is right, by its number */
    N_ASKS
};

#endif
