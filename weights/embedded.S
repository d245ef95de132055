/* embedded.S: the shipped model files as read-only data, and embedded_table, which lists them.
 * Not C: sizes are differences of labels, which only the assembler knows as constants.
 * Next: embedded.c. */

    .macro bytes label, file
    .section .rodata
    .balign 64 /* what gguf_open_memory wants */
\label:
    .incbin "\file"
\label\()_end:
    .byte 0
    .endm

    .macro row label, name
    .section .rodata
\label\()_name:
    .asciz "\name"
    .section .data.rel.ro, "aw"
    .quad \label\()_name, \label, \label\()_end - \label /* struct embedded: name, data, size_bytes */
    .endm

    bytes policy, POLICY_FILE
    bytes small, SMALL_FILE
    bytes prm, PRM_FILE
    bytes tasks, TASKS_FILE

    .section .data.rel.ro, "aw"
    .balign 8
    .globl embedded_table
    .type embedded_table, %object
embedded_table:
    row policy, game24-policy
    row small, game24-policy-small
    row prm, game24-prm
    row tasks, ponder-policy
    .quad 0, 0, 0
    .size embedded_table, . - embedded_table

    .section .note.GNU-stack, "", %progbits
