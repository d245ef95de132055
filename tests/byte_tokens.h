/* byte_tokens.h: the 256 bytes in the printable alphabet of GPT-2, as the first tokens of a vocabulary.
 * Not a test itself.
 * Next: byte_model.h. */
#ifndef PONDER_TESTS_BYTE_TOKENS_H
#define PONDER_TESTS_BYTE_TOKENS_H

#include <stdint.h>
#include <stdio.h>

#include "tokenizer/tok_internal.h"

/* Fills tokens[256] (texts of static storage) and types[256]. */
static inline void byte_tokens(const char **tokens, int32_t *types) {
    static char bytes[256][4];
    unsigned next = 256;
    for (unsigned b = 0; b < 256; b++) {
        unsigned c = bpe_printable((unsigned char)b) ? b : next++;
        if (c < 0x80) snprintf(bytes[b], 4, "%c", (char)c);
        else snprintf(bytes[b], 4, "%c%c", (char)(0xC0 | c >> 6), (char)(0x80 | (c & 63)));
        tokens[b] = bytes[b], types[b] = PIECE_NORMAL;
    }
}

#endif
