/*  report - OUT/report.html: what a run did so far, on one page that needs no network.
 *
 *      report_write ("runs/coding", &err);                  of a run that goes on as well
 */
#ifndef QUINTET_CLI_REPORT_H
#define QUINTET_CLI_REPORT_H

#include "base/err.h"

/*  Reads the folder alone, so it can be called at any time, by anybody. A reader of the page finds
 *  the old one or the new. */
int report_write (const char *out, err_t *err);

#endif
