/*  agent - what a running agent is: its versions, its requests, and how items of the bus reach
 *  them.
 *
 *      static const svc_t service = {.name = "agent", .routes = {{"act", agent_on_act}},
 *                                    .open = agent_open, .close = agent_close,
 *                                    .on_item = agent_on_item, .work = agent_work};
 *
 *  svc/svc.h says when each callback is called.
 */
#ifndef QUINTET_AGENT_AGENT_H
#define QUINTET_AGENT_AGENT_H

#include "svc/svc.h"

int agent_open (svc_run_t *run, void **state, err_t *err);
void agent_close (svc_run_t *run, void **state);
void agent_on_act (svc_run_t *run, const bus_item_t *item);
void agent_on_item (svc_run_t *run, const bus_item_t *item);
int agent_work (svc_run_t *run);
void agent_status (svc_run_t *run, void (*metric) (void *to, const char *name, double value),
                   void *to);

#endif
