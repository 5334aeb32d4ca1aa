/*  sheet - OUT/report.html of an experiment: its tables and figure, the curves of all arms on the
 *  same axes, and what each arm made of the same held-out tasks.
 *
 *      sheet_write (plan, results, "runs/coding-arms", &err);
 */
#ifndef QUINTET_CLI_SHEET_H
#define QUINTET_CLI_SHEET_H

#include <jansson.h>

#include "plan.h"

/*  One page that needs no network. Curves and episodes are of the first seed. */
int sheet_write (const plan_t *plan, const json_t *results, const char *out, err_t *err);

#endif
