/* flag_list.h: the values of a flag that may be given several times.
 * Not the flags: cli/args.h.
 * Next: cli/args.h. */
#ifndef PONDER_FLAG_LIST_H
#define PONDER_FLAG_LIST_H

enum { FLAG_LIST_CAP = 32 };
struct flag_list {
    int n;
    const char *values[FLAG_LIST_CAP]; /* borrowed */
};

#endif
