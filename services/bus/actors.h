/*  actors - the three actors of the bus, each a zactor: a thread with sockets of its own.
 *
 *      actors_t *actors = actors_new ("ipc:///run/x/bus", NULL, &err);  bound and running
 *      actors_status (actors, metric, to);
 *      actors_destroy (&actors);
 */
#ifndef QUINTET_BUS_ACTORS_H
#define QUINTET_BUS_ACTORS_H

#include <stdint.h>

#include "base/err.h"
#include "bus/keys.h"
#include "guard.h"

/*  File descriptors: what the bus itself has open, about 60, and room for connections that come
 *  before the one too many is ended; and the connections of one service, of which a small run has
 *  8. */
#define ACTORS_OWN_FILES  256
#define ACTORS_PEER_FILES 5
#define ACTORS_FILES_MIN  (ACTORS_OWN_FILES + 8 * ACTORS_PEER_FILES)

typedef struct actors actors_t;

/*  keys: the bus's, by which it lets in those that it knows; NULL: it lets in everybody. ERR_CONFIG
 *  names the endpoint that cannot be served, or the file descriptors that are
 *  missing. */
actors_t *actors_new (const char *address, const keys_t *keys, err_t *err);
/*  The same with other limits than the usual ones. */
typedef struct {
    const char *address;
    const keys_t *keys;
    uint64_t memory; /* of all policy objects, in bytes; 0: three quarters of the machine's */
    guard_limits_t limits;
} actors_options_t;
actors_t *actors_new_with (const actors_options_t *options, err_t *err);
void actors_destroy (actors_t **actors);
void actors_status (const actors_t *actors,
                    void (*metric) (void *to, const char *name, double value), void *to);

#endif
