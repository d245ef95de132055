/* trace.h: the events of a search and the items of its tape as JSON, one line each.
 * Not a file: solve/tree_file.h has header, prompt and reader.  Not for people: solve/draw.h draws the tree from the same
 * events.
 * Next: trace.c. */
#ifndef PONDER_TRACE_H
#define PONDER_TRACE_H

#include "base/buffer.h"
#include "search/tape.h"

/* Appends the line of one event, without newline; the fields by kind:
 *
 *     {"event":"made","node":7,"parent":3,"try":0,"depth":2,"seed":"9f0c...","text":"4*6=24","tokens":6,
 *      "logprob":-0.52,"end":"open"}
 *     {"event":"scored","node":7,"value":0.81}
 *     {"event":"visited","node":7,"visits":3,"mean":0.77}           the counts of its ancestors follow by addition
 *     {"event":"pruned","node":7}
 *     {"event":"finished","node":7,"value":0.81,"checked":true}     "checked" only when a checker ran
 *     {"event":"done","node":7,"value":0.81,"why":"solved","pick":"best","finished":4,...the ledger}
 *
 * "end" is open, finished, truncated or dead: whether the chain can go on.  Text is escaped; bytes that are no UTF-8
 * become U+FFFD; numbers that JSON cannot hold become null.
 *
 * item: what was said about the node, for made and scored; its fields follow those of the event, see trace_item.  NULL:
 * nothing.  of_run: the end also tells what depends on memory and on the computer. */
void trace_event(struct buffer *to, const struct event *event, const struct tape_item *item, bool of_run);

/* An item that no event told, the same way; the fields by kind:
 *
 *     {"event":"step","text":"4*6=24","tokens":6,"logprob":-0.52,
 *      "by":"policy","ids":[...],"logprobs":[...],"ended":"separator","steps":1,"flops":...}
 *          drawn without replacement: "shares":[...] of the tokens before others took theirs, and what was "left";
 *          "by" is policy, draft or given; "ended" is separator, finished, truncated, dead or open;
 *          "bytes" is the text in hexadecimal, where it is no UTF-8
 *     {"event":"value","node":7,"value":0.81,"judge_tokens":6,"judge_flops":...,"flops":...}
 *     {"event":"proposed","node":7,"tokens":4,"ids":[...],"logprobs":[...],"entropy":1.3,"flops":...}
 *     {"event":"begun","node":7,"ask":"critique","tokens":80,"flops":...}      a prompt about node 7
 *     {"event":"checked","node":7,"reward":1,"reason":""}
 *     {"event":"answer","node":7,"answer":"(7-8/8)*4"}
 *     {"event":"state","node":7,"state":"9f0c..."}                                                             */
void trace_item(struct buffer *to, const struct tape_item *item);

/* What a node has come to, told at the end: "times" is how many tries gave its step.
 *
 *     {"event":"node","node":7,"value":0.81,"times":2,"tries":3,"visits":3,"mean":0.77,"status":"finished"}    */
void trace_node(struct buffer *to, const struct tree *t, uint32_t node);

const char *step_end_name(enum step_end end);    /* "separator", "finished", "truncated", "dead", "open" */
const char *node_end_name(const struct node *n); /* "open", "finished", "truncated", "dead" */
/* "open", "part", "finished", "truncated", "dead", "pruned", "right", "wrong" */
const char *node_status_name(const struct node *n);

/* Appends text as a JSON string, quotes included; true when it was UTF-8. */
bool trace_text(struct buffer *to, const char *text);

#endif
