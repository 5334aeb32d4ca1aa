/*  prom - Prometheus' text format (exposition format 0.0.4).
 *
 *      prom_family (&out, "quintet_run_step", PROM_GAUGE, "Steps done.");
 *      prom_sample (&out, "quintet_run_step", (prom_label_t[]){{"run", run}, {0, 0}}, 7);
 */
#ifndef QUINTET_MONITOR_PROM_H
#define QUINTET_MONITOR_PROM_H

#include "base/buf.h"

typedef enum { PROM_GAUGE, PROM_COUNTER, PROM_HISTOGRAM } prom_type_t;

/*  A name of NULL ends a list. A value may hold any bytes. */
typedef struct {
    const char *name, *value;
} prom_label_t;

void prom_family (buf_t *out, const char *name, prom_type_t type, const char *help);
/*  labels may be NULL. What is not finite is left out. */
void prom_sample (buf_t *out, const char *name, const prom_label_t *labels, double value);

#endif
