/* sigbus.h: a model file that is cut short while it is mapped ends the program with a line that names it.
 * Not a repair: the bytes are gone, and whatever was computed from them is given up.
 * Next: weights/gguf.h, which maps files. */
#ifndef PONDER_SIGBUS_H
#define PONDER_SIGBUS_H

/* From now on, touching a page of a mapped file that the file no longer has (it was cut short, or its disk failed) prints
 * one line with the file's name on stderr and exits with EXIT_FAILED, from any thread.  Results that were written before
 * are whole: to them it is like kill -9.  Files that are replaced by rename are never hit. */
void sigbus_install(void);

#endif
