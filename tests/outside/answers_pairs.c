/* answers_pairs.c: for answers.py: reads lines {"gold": ..., "said": ...}, prints whether both are equal, and both forms.
 * Not a test: answers.py compares with another program's opinion.
 * Next: tasks/answer.h. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tasks/answer.h"

int main(void) {
    char *line = NULL, gold[ANSWER_CAP], said[ANSWER_CAP];
    size_t cap = 0;
    while (getline(&line, &cap, stdin) > 0) {
        json_t *pair = json_loads(line, 0, NULL);
        const char *g = json_string_value(json_object_get(pair, "gold")),
                   *s = json_string_value(json_object_get(pair, "said"));
        if (!g || !s) return 1;
        answer_canonical(g, strlen(g), gold);
        answer_of(s, strlen(s), said);
        printf("%d\t%s\t%s\n", *gold && !strcmp(gold, said), gold, said);
        json_decref(pair);
    }
    free(line);
    return 0;
}
