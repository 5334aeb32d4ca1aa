/*  address - the endpoints of the bus's actors, from the one address that users give.
 *
 *      address_t address;
 *      address_parse ("tcp://bus:5550", false, &address, &err);
 *      zmq_connect (socket, address.endpoint[ADDRESS_REQUESTS]);
 *
 *  "ipc://PATH" gives PATH.requests, .policies, .publish and .subscribe; "tcp://HOST:PORT" the four
 *  ports from PORT on, in that order.
 */
#ifndef QUINTET_BUS_ADDRESS_H
#define QUINTET_BUS_ADDRESS_H

#include <stdbool.h>

#include "base/err.h"

typedef enum {
    ADDRESS_REQUESTS,
    ADDRESS_POLICIES,
    ADDRESS_PUBLISH,   /* where publishers connect to */
    ADDRESS_SUBSCRIBE, /* where taps connect to */
    ADDRESS_COUNT
} address_actor_t;

#define ADDRESS_MAX 256

typedef struct {
    char endpoint[ADDRESS_COUNT][ADDRESS_MAX];
} address_t;

/*  ERR_CONFIG says what is wrong. bind: "*" stays; otherwise it becomes 127.0.0.1, to connect
 *  to. */
int address_parse (const char *text, bool bind, address_t *address, err_t *err);

#endif
