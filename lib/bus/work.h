/*  work - the requests that a worker has in hand, and the replies that it gave. Private to bus.
 *
 *      work_t *work = work_new (&node);
 *      work_serve (work, socket, "act", 32, &err);
 *      work_request (work, socket, &envelope, &item);             when a request came
 *      work_answer (work, socket, handle, 0, payload, size);
 *      work_free (&work);
 *
 *  Only the thread that calls bus_next touches this. Requests are known by their id: one that is in
 *  hand is not started twice, one that was answered is answered again from memory.
 */
#ifndef QUINTET_BUS_WORK_H
#define QUINTET_BUS_WORK_H

#include "bus/node.h"

#define WORK_SERVICES_MAX 16
#define WORK_REPLY_BYTES  ((size_t) 8 << 20) /* of replies that are kept for repeating */

typedef struct work work_t;

work_t *work_new (const node_t *node);
void work_free (work_t **work);

int work_serve (work_t *work, void *socket, const char *service, size_t credit, err_t *err);
/*  The bus knows nothing of us any more: registers again. */
void work_again (work_t *work, void *socket);

/*  Each returns 1 when item was filled; both take the common parts of item as they are. */
int work_request (work_t *work, void *socket, const envelope_t *e, bus_item_t *item);
int work_cancelled (work_t *work, const envelope_t *e, bus_item_t *item);

/*  code ERR_NONE: data is the reply's payload, else the reason in words. -1: nobody waits under
 *  this handle. */
int work_answer (work_t *work, void *socket, uint64_t handle, err_code_t code, const void *data,
                 size_t size);
void work_count (const work_t *work, bus_counters_t *counters);

#endif
