/* tok.h: text to token ids and back, as a GGUF file's tokenizer.ggml.* keys define it.
 * Not the chat templates.
 * Next: bpe.c (byte-level BPE, GPT-2 style) and spm.c (SentencePiece BPE). */
#ifndef PONDER_TOK_H
#define PONDER_TOK_H

#include "weights/gguf.h"

struct tok;

/* Reads the vocabulary; copies what it needs, so g may be closed afterwards.  Kinds: "gpt2" (byte-level BPE) and "llama"
 * (SentencePiece BPE).  Tokens whose names are known to end answers or to mark gaps are control tokens whatever type the
 * file gives them.  Of equal tokens or merges the first counts; plain text never becomes a control, unknown or unused
 * token.  A tok never changes: many threads may use one. */
enum status tok_open(const struct gguf *g, struct tok **out, struct error *e);
void tok_close(struct tok **t);

uint32_t tok_n_vocab(const struct tok *t);
int32_t tok_bos(const struct tok *t); /* -1 when the file names none */
int32_t tok_eos(const struct tok *t);
bool tok_adds_bos(const struct tok *t);
bool tok_is_end(const struct tok *t, int32_t id); /* eos, eot, eom, or a name that ends answers */

/* Ids of the text.  special: text of control tokens is turned into those tokens (else it is plain text).  add_bos as
 * asked, whatever the file says.  User-defined tokens are always cut out; the longest special token wins.  Writes at most
 * cap ids and stores the full count in *n (call with cap 0 to size).  The text may hold any bytes, at most INT_MAX / 4
 * of them.  ERR_INPUT also when the vocabulary cannot express a byte. */
enum status tok_encode(const struct tok *t, const char *text, size_t size, bool special, bool add_bos, int32_t *ids, size_t cap, size_t *n, struct error *e);

/* The id of a piece whose text (as decoded) is exactly this; -1 when there is none. */
int32_t tok_find(const struct tok *t, const char *text);

/* Raw bytes of one token, borrowed; control tokens give an empty piece unless `special`.  A single byte token of a
 * multi-byte character gives that byte: callers that stream hold back partial UTF-8.  Ids outside the vocabulary give an
 * empty piece. */
struct gguf_string tok_piece(const struct tok *t, int32_t id, bool special);

/* Text of n ids: what tok_encode made them from.  SentencePiece: the space that it adds at the start and after special
 * tokens is dropped there, so a continuation is decoded by its pieces or together with what it continues.
 * NUL-terminated, cut at cap; *size gets the full size without the NUL. */
void tok_decode(const struct tok *t, const int32_t *ids, size_t n, bool special, char *text, size_t cap, size_t *size);

#endif
