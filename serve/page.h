/* page.h: the page on /, as bytes of the binary.
 * Not its text: page.html.
 * Next: page.S. */
#ifndef PONDER_PAGE_H
#define PONDER_PAGE_H

extern const unsigned char page_html[], page_html_end[];

#endif
