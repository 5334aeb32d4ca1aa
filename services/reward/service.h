/*  service - a running reward service: requests in, replies out; the work is done by workers.c.
 *
 *      static const svc_t service = {.name = "reward", .routes = {{"score", reward_on_score}},
 *                                    .open = reward_open, .close = reward_close,
 *                                    .on_item = reward_on_item, .work = reward_work};
 *
 *  svc/svc.h says when each callback is called.
 */
#ifndef QUINTET_REWARD_SERVICE_H
#define QUINTET_REWARD_SERVICE_H

#include "svc/svc.h"

int reward_open (svc_run_t *run, void **state, err_t *err);
void reward_close (svc_run_t *run, void **state);
void reward_on_score (svc_run_t *run, const bus_item_t *item);
void reward_on_item (svc_run_t *run, const bus_item_t *item);
int reward_work (svc_run_t *run);
void reward_status (svc_run_t *run, void (*metric) (void *to, const char *name, double value),
                    void *to);

#endif
