/* flags_llama.c: see flags_llama.h.
 * Not a promise about flags that are not in these tables: those are unknown.
 * Next: args.c. */
#include "cli/flags_llama.h"

#include <stddef.h>

/* clang-format off */
#define SAME(name, brief)                  {name, brief, FLAG_SAME, 0, NULL, 0, 0, NULL, NULL}
#define SAME_VALUE(name, brief, value)     {name, brief, FLAG_SAME, 0, NULL, 0, 0, value, NULL}
#define ONLY(name, brief, words, why)      {name, brief, FLAG_SAME, 0, NULL, 1, 0, words, why}
#define IGNORED(name, brief, why)          {name, brief, FLAG_IGNORED, 0, NULL, 0, 0, NULL, why}
#define IGNORED_VALUE(name, brief, why)    {name, brief, FLAG_IGNORED, 0, NULL, 0, 0, "N", why}
#define ABSENT(name, brief, why)           {name, brief, FLAG_ABSENT, 0, NULL, 0, 0, NULL, why}

const struct flag llama_flags[] = {
    SAME("jinja", NULL),
    SAME("no-context-shift", NULL),
    SAME("no-warmup", NULL),
    SAME("warmup", NULL),
    SAME("mmap", NULL),
    SAME("no-op-offload", NULL),
    SAME("log-colors", NULL),
    SAME_VALUE("keep", NULL, "N"), /* nothing is ever shifted out */
    ONLY("flash-attn", "fa", "on|auto|1|off|0", "on, off or auto, all the same: there is one attention"),
    ONLY("mirostat", NULL, "0", "there is no Mirostat, only 0"),
    ONLY("dry-multiplier", NULL, "0|0.0", "there is no DRY, only 0"),
    ONLY("xtc-probability", NULL, "0|0.0", "there is no XTC, only 0"),
    ONLY("dynatemp-range", NULL, "0|0.0", "the temperature is not dynamic, only 0"),
    ONLY("top-nsigma", NULL, "-1|-1.0", "there is no top-n-sigma, only -1"),
    ONLY("split-mode", "sm", "none", "there is no GPU, only none"),
    IGNORED_VALUE("n-gpu-layers", "ngl", "changes nothing: there is no GPU here, the CPU computes"),
    IGNORED_VALUE("main-gpu", "mg", "changes nothing: there is no GPU here, the CPU computes"),
    IGNORED_VALUE("threads-batch", "tb", "changes nothing: prompts are read by as many threads as -t says"),
    IGNORED_VALUE("prio", NULL, "changes nothing: the priority is that of the process (nice)"),
    IGNORED_VALUE("poll", NULL, "changes nothing: threads wait as they see fit"),
    IGNORED_VALUE("defrag-thold", "dt", "changes nothing: the KV cache is made of pages"),
    IGNORED_VALUE("numa", NULL, "changes nothing: use numactl"),
    IGNORED("verbose", "v", "changes nothing: there is nothing more to say"),
    IGNORED("verbose-prompt", NULL, "changes nothing: ponder tokenize shows tokens"),
    ABSENT("context-shift", NULL, "a full context ends the text, nothing is shifted out"),
    ABSENT("mirostat-lr", NULL, "there is no Mirostat"),
    ABSENT("mirostat-ent", NULL, "there is no Mirostat"),
    ABSENT("lora", NULL, "adapters have to be merged into the model first"),
    ABSENT("mmproj", "mm", "there are no images"),
    ABSENT("image", NULL, "there are no images"),
    ABSENT("prompt-cache", NULL, "the KV cache is not kept in files"),
    ABSENT("override-kv", NULL, "metadata are read as they are in the file"),
    ABSENT("model-url", "mu", "models come from files and from -hf"),
    ABSENT("hf-file", "hff", "-hf USER/MODEL:QUANT picks the file"),
    ABSENT("hf-token", "hft", "tokens are read from HF_TOKEN"),
    ABSENT("binary-file", "bf", "the prompt is text: -f"),
    ABSENT("parallel", "np", "one text at a time; ponder run --search writes many"),
    {0},
};

const struct flag llama_run_flags[] = {
    SAME("no-conversation", "no-cnv"),
    SAME("simple-io", NULL),
    ABSENT("conversation", "cnv", "a conversation is: ponder chat"),
    ABSENT("interactive", "i", "a conversation is: ponder chat"),
    ABSENT("interactive-first", "if", "a conversation is: ponder chat"),
    ABSENT("multiline-input", "mli", "a conversation is: ponder chat"),
    ABSENT("system-prompt-file", "sysf", "run writes on; with a system message: ponder chat"),
    ABSENT("chat-template", NULL, "run writes on; with a template: ponder chat"),
    ABSENT("chat-template-file", NULL, "run writes on; with a template: ponder chat"),
    ABSENT("single-turn", "st", "run writes on; one answer: ponder chat -st"),
    {0},
};

const struct flag llama_chat_flags[] = {
    SAME("conversation", "cnv"),
    SAME("interactive", "i"),
    SAME("interactive-first", "if"),
    ABSENT("no-conversation", "no-cnv", "without a conversation: ponder run"),
    ABSENT("file", "f", "messages come from stdin, or the first one with -p"),
    ABSENT("multiline-input", "mli", "a \\ at the end of a line continues the message"),
    {0},
};
/* clang-format on */
