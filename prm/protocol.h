/* protocol.h: the table of ways to ask a reward model.  Private to prm/ and its tests.
 * Not the reading: reader.h.
 * Next: protocol.c. */
#ifndef PONDER_PRM_PROTOCOL_H
#define PONDER_PRM_PROTOCOL_H

#include "prm/prm.h"

enum prm_outputs {
    PRM_VALUE,   /* one number: value = sigmoid */
    PRM_CLASSES, /* two, wrong and right: value = softmax[1] */
    PRM_WORDS,   /* logits of the words good and bad: value = softmax[0] */
};

/* The text of a chain is  before problem lead step_1 tail, join step_2 tail, ...  `before` is BOS, or what a chat template
 * puts there; a template also gives lead, or, with turns, join and tail. */
struct prm_protocol {
    const char *name;     /* prm.kind, --prm-kind */
    const char *marks[3]; /* in general.name and the like: the file is of this kind */
    enum prm_outputs outputs;
    enum prm_agg agg;   /* when the file names none */
    bool policy_tokens; /* no text: the policy's own tokens are read */
    bool bos;           /* begins with BOS, whatever the vocabulary says */
    bool apart;         /* every step is encoded alone: nothing merges across its ends */
    bool strip;       /* no blanks around problem and steps; else only line ends in front and blanks behind a step go */
    bool turns;       /* chat: a step is a user's message, answered by the word good; else all are one answer */
    const char *chat; /* the template's name for files that bring none; NULL: no chat */
    const char *system; /* chat: the first message; NULL: none */
    const char *lead, *join, *tail;
    const char *good, *bad;
};

/* The row for a model: of the name `kind`, or, when NULL, of prm.kind, of its head, of its name. */
enum status prm_protocol_of(const struct model *m, const char *kind, const struct prm_protocol **out, struct error *e);
extern const struct prm_protocol prm_protocols[]; /* ends in name NULL; the first is "value" */

#endif
