/* page.S: page.html as read-only data.
 * Not C: .incbin takes the bytes as they are.
 * Next: page.html. */
    .section .rodata
    .globl page_html, page_html_end
page_html:
    .incbin PAGE_FILE
page_html_end:
    .byte 0

    .section .note.GNU-stack, "", %progbits
