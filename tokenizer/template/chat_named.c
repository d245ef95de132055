/* chat_named.c: see chat_named.h.
 * Not complete copies of what models ship: turns and system text only, no tools, no thinking.
 * Next: chat.c. */
#include "tokenizer/template/chat_named.h"

#include <stddef.h>

/* For models without a system role: its text goes in front of the first user message. */
#define SYSTEM_FIRST                                                                                                   \
    "{%- set ns = namespace(system='') -%}"                                                                            \
    "{%- for m in messages if m.role == 'system' -%}{%- set ns.system = ns.system + m.content + '\n\n' -%}"            \
    "{%- endfor -%}"
#define TURNS "{%- for m in messages -%}"
#define END_TURNS "{%- endfor -%}"
#define PROMPT "{%- if add_generation_prompt -%}"

/* Rows with more marks come first: the first row whose marks are all there is taken. */
const struct chat_named chat_named[] = {
    {"llama3",
     {"<|start_header_id|>", "<|end_header_id|>"},
     "{{ bos_token }}" TURNS
     "{{ '<|start_header_id|>' + m.role + '<|end_header_id|>\n\n' + m.content | trim + '<|eot_id|>' }}" END_TURNS PROMPT
     "{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{%- endif -%}"},
    {"granite",
     {"<|start_of_role|>", "<|end_of_role|>"},
     TURNS "{{ '<|start_of_role|>' + m.role + '<|end_of_role|>' + m.content + '<|end_of_text|>\n' }}" END_TURNS PROMPT
           "{{ '<|start_of_role|>assistant<|end_of_role|>' }}{%- endif -%}"},
    {"gemma",
     {"<start_of_turn>"},
     SYSTEM_FIRST "{{ bos_token }}" TURNS "{%- if m.role != 'system' -%}"
                  "{{ '<start_of_turn>' + ('model' if m.role == 'assistant' else m.role) + '\n' }}"
                  "{%- if m.role == 'user' -%}{{ ns.system }}{%- set ns.system = '' -%}{%- endif -%}"
                  "{{ m.content | trim + '<end_of_turn>\n' }}{%- endif -%}" END_TURNS PROMPT
                  "{{ '<start_of_turn>model\n' }}{%- endif -%}"},
    {"phi4",
     {"<|im_start|>", "<|im_sep|>"},
     TURNS "{{ '<|im_start|>' + m.role + '<|im_sep|>' + m.content + '<|im_end|>' }}" END_TURNS PROMPT
           "{{ '<|im_start|>assistant<|im_sep|>' }}{%- endif -%}"},
    {"chatml",
     {"<|im_start|>"},
     TURNS "{{ '<|im_start|>' + m.role + '\n' + m.content + '<|im_end|>\n' }}" END_TURNS PROMPT
           "{{ '<|im_start|>assistant\n' }}{%- endif -%}"},
    {"phi3",
     {"<|assistant|>", "<|end|>"},
     TURNS "{{ '<|' + m.role + '|>\n' + m.content + '<|end|>\n' }}" END_TURNS PROMPT
           "{{ '<|assistant|>\n' }}{%- endif -%}"},
    {"zephyr",
     {"<|assistant|>", "<|user|>"},
     TURNS "{{ '<|' + m.role + '|>\n' + m.content + eos_token + '\n' }}" END_TURNS PROMPT
           "{{ '<|assistant|>\n' }}{%- endif -%}"},
    {"llama2",
     {"[INST]", "<<SYS>>"},
     "{%- set ns = namespace(system='') -%}" TURNS
     "{%- if m.role == 'system' -%}{%- set ns.system = '<<SYS>>\n' + m.content + '\n<</SYS>>\n\n' -%}"
     "{%- elif m.role == 'user' -%}{{ bos_token + '[INST] ' + ns.system + m.content + ' [/INST]' }}"
     "{%- set ns.system = '' -%}"
     "{%- else -%}{{ ' ' + m.content + ' ' + eos_token }}{%- endif -%}" END_TURNS},
    {"mistral",
     {"[INST]", "[/INST]"},
     SYSTEM_FIRST "{{ bos_token }}" TURNS
                  "{%- if m.role == 'user' -%}{{ '[INST] ' + ns.system + m.content + ' [/INST]' }}"
                  "{%- set ns.system = '' -%}"
                  "{%- elif m.role == 'assistant' -%}{{ ' ' + m.content + eos_token }}{%- endif -%}" END_TURNS},
    {NULL, {NULL}, NULL},
};
