/*  fit - whether a run fits the memory of this machine, before anything starts.
 *
 *      fit_t fit;
 *      if (fit_check (conf, models, &fit, &err) == 0) fit_print (&fit, stdout);
 */
#ifndef QUINTET_CLI_FIT_H
#define QUINTET_CLI_FIT_H

#include <stdio.h>

#include "conf/conf.h"
#include "formats/hf.h"

/*  Bytes, estimated. */
typedef struct {
    size_t trainer, agents, bus, others, sum;
    size_t available;
} fit_t;

/*  models: by policy. ERR_LIMIT names the sum, its parts, and what would need less. */
int fit_check (const conf_t *conf, const hf_config_t *const *models, fit_t *fit, err_t *err);
/*  One line. */
void fit_print (const fit_t *fit, FILE *to);

#endif
