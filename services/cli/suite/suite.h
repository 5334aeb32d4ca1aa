/*  suite - the processes of a run: Redis, bus, services; private, in a fresh folder, or somebody
 *  else's.
 *
 *      suite_t *suite = suite_new (conf, &options, &err);           everything started
 *      suite_destroy (&suite);                                      nothing is left
 */
#ifndef QUINTET_CLI_SUITE_H
#define QUINTET_CLI_SUITE_H

#include "bus/bus.h"
#include "conf/conf.h"
#include "supervisor.h"
#include "wire/wire.h"

typedef struct {
    const char *bus, *redis; /* addresses of a suite that runs already; NULL: start one */
    const keys_t *keys;      /* for that bus, or none (bus/keys.h) */
    const char *logs;        /* folder */
    /* Called once all that can fail without a trace has not failed, before anything is written or
       started; its error is the suite's. */
    int (*take) (void *context, err_t *err);
    void *context;
} suite_options_t;

typedef struct suite suite_t;

/*  Makes a fresh folder for sockets, in XDG_RUNTIME_DIR or /tmp; "" on an error. Its path is short,
 *  since a unix socket's has at most 107 bytes. */
#define SUITE_FOLDER_MAX 80
int suite_folder (char dir[SUITE_FOLDER_MAX], err_t *err);

/*  ERR_CONFIG when a program is missing (redis-server, python3). */
suite_t *suite_new (const conf_t *conf, const suite_options_t *options, err_t *err);
void suite_destroy (suite_t **suite);

bus_t *suite_bus (suite_t *suite); /* ours, subscribed to everything */
supervisor_t *suite_supervisor (suite_t *suite);
const char *suite_bus_address (const suite_t *suite);
const char *suite_redis_address (const suite_t *suite);
/*  The certificate of --keys, for a bus that somebody else has started. ERR_CONFIG: bus is NULL,
 *  since one of our own has no keys; or it is of a kind that trains nothing. */
int suite_read_keys (const char *bus, const char *dir, keys_t *keys, err_t *err);
/*  What the supervisor calls a trainer, whose name on the bus may have a certificate's before it;
 *  NULL: it is none. */
const char *suite_trainer (const char *name);
/*  Whether an event is one of our run, whose trainer the supervisor has as `who`. Another trainer
 *  may hold a run of that name on somebody else's bus: then ours is refused, and until then what is
 *  told is the other's. The status of a service concerns all. */
bool suite_concerns (suite_t *suite, const wire_event_t *event, const char *run, const char *who);

#endif
