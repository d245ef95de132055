/* flags_session.h: flags of the models that a command opens, and of what it computes with.
 * Not their meaning: solve/session.h.
 * Next: args.h. */
#ifndef PONDER_FLAGS_SESSION_H
#define PONDER_FLAGS_SESSION_H

#include "cli/args.h"
#include "solve/session.h"

/* clang-format off */
/* field: struct session_options, or in HUB_FLAGS the const char * that --model writes: "hf:USER/MODEL:QUANT". */
#define HUB_FLAGS(type, field) \
    {"hf-repo", "hf", FLAG_HUB, offsetof(type, field), NULL, 0, 0, "USER/MODEL[:QUANT]", "the model, from the Hugging Face cache of this computer or downloaded into it (Q4_K_M, else the first file)"}, \
    {"offline", NULL, FLAG_ENV, 0, NULL, 0, 0, "HF_HUB_OFFLINE", "download nothing (as HF_HUB_OFFLINE=1)"}

#define MODEL_FLAG(type, field) \
    {"model", "m", FLAG_TEXT, offsetof(type, field.model), "embedded", 0, 0, "FILE", "policy: a GGUF file, the folder of a model, or hf:USER/MODEL[:QUANT]"}, \
    HUB_FLAGS(type, field.model)

#define PRM_FLAG(type, field) PRM_FLAG_OR(type, field, "embedded")
#define PRM_FLAG_OR(type, field, usual) \
    {"prm", NULL, FLAG_TEXT, offsetof(type, field.prm), usual, 0, 0, "FILE", "reward model, or none, or oracle (exact: cheats)"}, \
    {"prm-kind", NULL, FLAG_TEXT, offsetof(type, field.prm_kind), NULL, 0, 0, "NAME", "how it is asked: value, qwen, skywork, shepherd, rlhflow (default: what its file says)"}

#define VERIFIER_FLAG(type, field) \
    {"verifier", NULL, FLAG_CHOICE, offsetof(type, field.verifier), NULL, 0, 0, "prm|ptrue|logprob|judge|check|none", "values: reward model, the policy's P(True), mean log-probability or judgement, checker"}

/* Of a search, which chooses itself what nobody gave: solver_models. */
#define VALUE_FLAGS(type, field) \
    PRM_FLAG_OR(type, field, NULL), \
    VERIFIER_FLAG(type, field)

#define DRAFT_FLAG(type, field) \
    {"model-draft", "md", FLAG_TEXT, offsetof(type, field.draft), NULL, 0, 0, "FILE", "a smaller model with the same tokens, for --search draft"}

#define CACHE_FLAGS(type, field) \
    {"cache-type-k", "ctk", FLAG_CHOICE, offsetof(type, field.cache_k), NULL, 0, 0, "i16|f16|f32|q8_0", "numbers of the KV cache (default i16)"}, \
    {"cache-type-v", "ctv", FLAG_CHOICE, offsetof(type, field.cache_v), NULL, 0, 0, "i16|f16|f32|q8_0", "of V: the same, or f16 and q8_0 together"}

/* As llama.cpp has them. */
#define ROPE_FLAGS(type, field) \
    {"rope-scaling", NULL, FLAG_CHOICE, offsetof(type, field.scaling), NULL, 0, 0, "none|linear|yarn", "how positions are stretched (default: as the file says, also below)"}, \
    {"rope-scale", NULL, FLAG_REAL, offsetof(type, field.scale), "0", 0, 1e6, "X", "they are stretched so many times; 0 = as the file says"}, \
    {"rope-freq-base", NULL, FLAG_REAL, offsetof(type, field.freq_base), "0", 0, 1e12, "X", "base of the frequencies; 0 = as the file says"}, \
    {"rope-freq-scale", NULL, FLAG_REAL, offsetof(type, field.freq_scale), "0", 0, 1e6, "X", "1 / --rope-scale"}, \
    {"yarn-orig-ctx", NULL, FLAG_INT, offsetof(type, field.orig_ctx), "0", 0, 1 << 24, "N", "YaRN: context before it was stretched; 0 = as the file says"}, \
    {"yarn-ext-factor", NULL, FLAG_REAL, offsetof(type, field.ext_factor), "-1", -1, 1, "X", "YaRN: how far high frequencies stay as they are; -1 = as the file says"}, \
    {"yarn-attn-factor", NULL, FLAG_REAL, offsetof(type, field.attn_factor), "-1", -1, 1e3, "X", "what cosines and sines are multiplied by without YaRN; -1 = as the file says"}, \
    {"yarn-beta-fast", NULL, FLAG_REAL, offsetof(type, field.beta_fast), "-1", -1, 1e6, "X", "YaRN: turns above which frequencies stay; -1 = as the file says"}, \
    {"yarn-beta-slow", NULL, FLAG_REAL, offsetof(type, field.beta_slow), "-1", -1, 1e6, "X", "YaRN: turns below which they are stretched; -1 = as the file says"}

#define COMPUTE_FLAGS(type, field) \
    {"threads", "t", FLAG_INT, offsetof(type, field.threads), NULL, -1, 256, "N", "threads; -1 and 0 = all CPUs (the default)"}, \
    {"ctx-size", "c", FLAG_INT, offsetof(type, field.ctx), "-1", -1, 1 << 24, "N", "tokens of one branch; 0 = all that the model has, -1 = at most 4096 and what --kv-mb holds"}, \
    {"kv-mb", NULL, FLAG_INT, offsetof(type, field.kv_mb), "1024", 1, 1 << 20, "MB", "most memory for the KV cache of each model"}, \
    {"batch-size", "b", FLAG_INT, offsetof(type, field.batch), "2048", 1, 65536, "N", "most tokens of one pass, if it is less than --ubatch-size"}, \
    {"ubatch-size", "ub", FLAG_INT, offsetof(type, field.ubatch), "512", 1, 65536, "N", "most tokens of one pass: fewer take less memory"}, \
    {"mlock", NULL, FLAG_YES, offsetof(type, field.mlock), NULL, 0, 0, NULL, "what is in memory is not swapped out"}, \
    {"no-mmap", NULL, FLAG_YES, offsetof(type, field.no_mmap), NULL, 0, 0, NULL, "for llama.cpp's sake: weights are packed into memory with or without it"}, \
    CACHE_FLAGS(type, field), \
    ROPE_FLAGS(type, field.rope), \
    {"exact", NULL, FLAG_YES, offsetof(type, field.exact), NULL, 0, 0, NULL, "quantised weights meet f32 activations, not int8: slow, for comparisons"}
/* clang-format on */

/* What an open session has to say, on stderr. */
void session_remark(const char *command, const struct session *s);

#endif
