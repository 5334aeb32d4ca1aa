/*  report - OUT/report.html: what a run did so far, on one page that needs no network.
 *
 *      report_write ("runs/coding", NULL, &err);            of a run that goes on as well
 */
#ifndef QUINTET_CLI_REPORT_H
#define QUINTET_CLI_REPORT_H

#include <jansson.h>

#include "base/buf.h"
#include "base/err.h"

/*  Reads the folder alone, so it can be called at any time, by anybody. A reader of the page finds
 *  the old one or the new. Lines that cannot be read are left out; which they are stands on the
 *  page, and is appended to unread where there are some (NULL: not wanted). */
int report_write (const char *out, buf_t *unread, err_t *err);

/*  For pages of more than one run. An episode, a line of episodes.jsonl, as a <div>: what each role
 *  was told and wrote, and what that was worth. */
void report_episode (json_t *episode, buf_t *out);
/*  A whole page from what is between its heading and its end; fails with the body. */
void report_fill (const char *title, const buf_t *body, buf_t *page);

#endif
