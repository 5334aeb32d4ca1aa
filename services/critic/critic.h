/*  critic - what a running critic is: the states it holds, the requests that wait for one.
 *
 *      static const svc_t service = {.name = "critic", .open = critic_open, .close = critic_close,
 *                                    .routes = {{"value", critic_on_value},
 *                                               {"learn", critic_on_learn}},
 *                                    .on_item = critic_on_item};
 *
 *  svc/svc.h says when each callback is called.
 */
#ifndef QUINTET_CRITIC_CRITIC_H
#define QUINTET_CRITIC_CRITIC_H

#include "svc/svc.h"

int critic_open (svc_run_t *run, void **state, err_t *err);
void critic_close (svc_run_t *run, void **state);
void critic_on_learn (svc_run_t *run, const bus_item_t *item);
void critic_on_value (svc_run_t *run, const bus_item_t *item);
void critic_on_item (svc_run_t *run, const bus_item_t *item);
void critic_status (svc_run_t *run, void (*metric) (void *to, const char *name, double value),
                    void *to);

#endif
