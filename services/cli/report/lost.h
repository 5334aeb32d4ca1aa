/*  lost - the groups of a run that were given up: nobody could play or score them.
 *
 *      lost_t lost = lost_count (&result);
 *      lost_print (&lost, stdout);
 *      if (lost_check (&lost, 0.1, &err) != 0) ...
 *
 *  They count as failed tasks in an evaluation and teach nothing in a step, so a run that lost many
 *  looks like one that learnt little: hence they are said.
 */
#ifndef QUINTET_CLI_LOST_H
#define QUINTET_CLI_LOST_H

#include "result.h"

typedef struct {
    size_t groups, lost; /* of all steps and evaluations, the single agent's too */
} lost_t;

lost_t lost_count (const result_t *result);
/*  Nothing when none was lost. */
void lost_print (const lost_t *lost, FILE *to);
/*  ERR_IO: more than this share of the groups was lost. */
int lost_check (const lost_t *lost, double share, err_t *err);

#endif
