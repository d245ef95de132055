/* hf.h: a model folder as the Hugging Face hub has it, opened as if it were a GGUF file.
 * Not a download: weights/hub/hub.h.
 * Next: hf.c; docs/MODELS.md says what is read.
 *
 *   config.json                hyper-parameters                -> general.architecture, <arch>.*
 *   *.safetensors              weights (safetensors.h)         -> tensors, renamed; some rows in another order
 *   tokenizer.json             vocabulary, merges, patterns    -> tokenizer.ggml.*
 *   tokenizer_config.json      special tokens, chat template   -> their ids, tokenizer.chat_template
 *   generation_config.json     more end tokens                 -> eot and eom
 *   chat_template.jinja        (or chat_template.json)         -> tokenizer.chat_template */
#ifndef PONDER_HF_H
#define PONDER_HF_H

#include "weights/gguf.h"

/* gguf_open for a folder.  Keys and tensors are those that llama.cpp's converter writes for the same folder; matrices are
 * borrowed from the mapped files, and only what must change (q and k of some architectures, norms, biases) is copied.
 * *out is NULL on failure; gguf_close frees all. */
enum status hf_open(const char *folder, struct gguf **out, struct error *e);

/* Writes an open file, also one that hf_open made, as one GGUF file: keys as they are but those of a split file.
 * progress may be NULL: called before each tensor of n. */
enum status hf_write(const struct gguf *in, const char *path, void (*progress)(size_t i, size_t n), struct error *e);

#endif
