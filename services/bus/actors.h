/*  actors - the three actors of the bus, each on a thread of its own.
 *
 *      actors_t *actors = actors_new ("ipc:///run/x/bus", &err);        bound and running
 *      actors_status (actors, metric, to);
 *      actors_destroy (&actors);
 */
#ifndef QUINTET_BUS_ACTORS_H
#define QUINTET_BUS_ACTORS_H

#include "base/err.h"

typedef struct actors actors_t;

/*  ERR_CONFIG names the endpoint that cannot be served. */
actors_t *actors_new (const char *address, err_t *err);
void actors_destroy (actors_t **actors);
void actors_status (const actors_t *actors,
                    void (*metric) (void *to, const char *name, double value), void *to);

#endif
