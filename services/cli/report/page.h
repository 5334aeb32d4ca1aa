/*  page - HTML of text that others wrote, and a template that is filled.
 *
 *      page_escape (task, &out);                        <b> becomes &lt;b&gt;
 *      page_fill ("@TITLE@", title, &page);
 */
#ifndef QUINTET_CLI_PAGE_H
#define QUINTET_CLI_PAGE_H

#include "base/buf.h"

/*  Text of a user, a task or a model, for HTML: what they write must stay text. NULL is none. */
void page_escape (const char *text, buf_t *out);
/*  Replaces every mark in the page. */
void page_fill (const char *mark, const char *value, buf_t *page);

#endif
