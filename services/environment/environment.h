/*  environment - the service's hands: claims groups, carries their requests to the bus and their
 *  results to the store, renews their leases, and tries again what failed for no reason of their
 *  own.
 *
 *      static const svc_t service = {.name = "environment", .open = environment_open,
 *                                    .close = environment_close, .on_item = environment_on_item,
 *                                    .work = environment_work, .status = environment_status};
 *
 *  What group.h says a group wants is done here. Nothing blocks except calls to Redis, and those
 *  give up within a second: the group stays as it is and the loop goes on. A failure that follows
 *  from content (bad input) makes a group dead; any other is tried again until PATIENCE_MS have
 *  passed without progress, then the group goes back into the store.
 */
#ifndef QUINTET_ENVIRONMENT_ENVIRONMENT_H
#define QUINTET_ENVIRONMENT_ENVIRONMENT_H

#include "svc/svc.h"

int environment_open (svc_run_t *run, void **state, err_t *err);
void environment_close (svc_run_t *run, void **state);
void environment_on_item (svc_run_t *run, const bus_item_t *item);
int environment_work (svc_run_t *run);
void environment_status (svc_run_t *run, void (*metric) (void *to, const char *name, double value),
                         void *to);

#endif
