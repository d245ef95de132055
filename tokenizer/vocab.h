/* vocab.h: the vocabulary of our own small models, made by construction, not by training.
 * Not for models of others: their files bring their own.
 * Next: vocab.c.
 *
 * Numbers (the shipped models of the numbers game):
 *   id      0  <|begin|>, 1  <|end|>               control tokens, BOS and EOS
 *   id      2 + b                                  byte b
 *   then    "10" ... "255"                         numbers without a space: denominators, and halves of merges
 *           " 0" ... " 255"                        numbers as the tasks write them
 *           " -" " ->" " +" " *" " /" " =" " ;"
 * So each number and each operator of tasks/countdown.h is one token, a fraction " 8/3" is three, and any other text is
 * still possible byte by byte.
 *
 * Digits (models of several tasks): the same control tokens and bytes, then a space with each printable character behind it,
 * and " ->".  A number is a token for each of its digits, so that no length of numbers is new. */
#ifndef PONDER_VOCAB_H
#define PONDER_VOCAB_H

#include "weights/gguf.h"

enum {
    VOCAB_BEGIN = 0,
    VOCAB_END = 1,
    VOCAB_BYTES = 2,
    VOCAB_SIZE = 2 + 256 + 246 + 256 + 7, /* numbers */
    VOCAB_DIGITS = 2 + 256 + 94 + 1,
};

/* Adds all tokenizer.ggml.* keys (GPT-2 byte-level BPE, which llama.cpp loads too).  Copies; failures are reported by
 * gguf_write. */
void vocab_add(struct gguf_writer *w);
/* The same for the vocabulary of this size: VOCAB_SIZE or VOCAB_DIGITS. */
void vocab_add_sized(struct gguf_writer *w, uint32_t n_vocab);

#endif
