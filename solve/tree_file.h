/* tree_file.h: a search written down as it goes: settings, prompt, every step with its tokens, values, visits, the result.
 * Not the reading: tree_read.h.
 * Next: tree_file.c; docs/TREE.md for the format.
 *
 *   {"format":"ponder-tree","version":2,...}    header: task, problem, strategy, settings, models
 *   {"event":"prompt",...}                      the policy's prompt as tokens
 *   {"event":"made",...} {"event":"scored",...} what happened and what models said: search/trace.h
 *   {"event":"node",...}                        at the end, one a node: what it has come to
 *   {"event":"done",...}                        the result; a search that was killed has none
 *
 * Lines depend on settings and models only, not on threads, memory or the time of day.  So a search that was killed is made
 * again from its file: what is there is compared line by line, what comes behind is appended. */
#ifndef PONDER_TREE_FILE_H
#define PONDER_TREE_FILE_H

#include "solve/solver.h"
#include "solve/tree_read.h"

/* What the user said, so that the header can say it again. */
struct tree_origin {
    const struct session_options *session;
    const struct search_options *search;
};

struct tree_file;

/* A new file.  ERR_IO: it cannot be written. */
enum status tree_file_new(const char *path, const struct tree_origin *o, struct tree_file **out, struct error *e);
/* The search of `saved` (borrowed until close) again; its file is only longer afterwards, unless the search turns out
 * differently, which is an error that names the line.  Of one that is complete nothing is written. */
enum status tree_file_resume(const struct saved_tree *saved, const struct tree_origin *o, struct tree_file **out,
                             struct error *e);
/* The same without models and without writing: tree_file_replay runs it. */
enum status tree_file_replay(const struct saved_tree *saved, struct tree_file **out, struct error *e);
/* ERR_IO when not all of it could be written. */
enum status tree_file_close(struct tree_file **f, struct error *e);

/* solver_run, written down. */
enum status tree_file_run(struct tree_file *f, const struct solver *s, const struct problem *p, event_fn *on_event,
                          void *arg, struct outcome *o, struct error *e);
/* The same with a new file; path NULL: solver_run.  Errors of the file begin with --trace. */
enum status tree_file_record(const char *path, const struct tree_origin *o, const struct solver *s, const struct problem *p,
                             event_fn *on_event, void *arg, struct outcome *out, struct error *e);
/* solver_run from the tape alone; s needs no session.  ERR_INPUT: the search asks for something that the file does not
 * say, or goes another way. */
enum status tree_file_run_tape(struct tree_file *f, const struct solver *s, const struct problem *p, event_fn *on_event,
                               void *arg, struct outcome *o, struct error *e);
/* Lines of the file that came again, and all there were. */
void tree_file_lines(const struct tree_file *f, size_t *same, size_t *all);

/* What a header says, as the options that it was made of; texts are borrowed from `saved`, and `to` holds the names of
 * parameters.  ERR_INPUT names the field. */
struct tree_options {
    struct session_options session;
    struct search_options search;
    char names[SETTINGS_CAP][48];
};
enum status tree_options_read(const struct saved_tree *saved, struct tree_options *to, struct error *e);
/* The solver and the problem that they mean, before there is a session; p is for problem_free on success. */
enum status tree_solver(const struct saved_tree *saved, const struct tree_options *o, struct solver *s,
                        struct problem *p, struct error *e);
/* The header's objects "options" and "session". */
json_t *tree_search_json(const struct search_options *o);
json_t *tree_session_json(const struct session_options *o);

#endif
