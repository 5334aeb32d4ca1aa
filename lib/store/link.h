/*  link - one connection to Redis that heals itself, for functions that may be called twice.
 *
 *      link_t *link = link_new ("unix:/run/x/redis.sock", "", &err);
 *      if (link_call (link, 5000, "claim", args, n, &reply, &err) == 0)
 *          link_reply_free (&reply);
 *      link_destroy (&link);
 *
 *  Private to the store. A call whose connection breaks or whose answer does not come is sent
 *  again over a new connection until its deadline: the outcome of the first try is unknown, so
 *  every function has to be idempotent. Functions that Redis does not know (it was restarted or
 *  flushed) are loaded again.
 */
#ifndef QUINTET_STORE_LINK_H
#define QUINTET_STORE_LINK_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "store/store.h"

typedef struct link link_t;

/*  An answer: parts of bytes, as a function of functions.lua returned them behind its "none". */
typedef struct {
    void *reply;                /* owns the parts */
    const store_bytes_t *parts; /* each ends in a 0 that size does not count */
    size_t n;
} link_reply_t;

/*  Connects at the first call, and logs in with the account of a folder of keys (accounts.h), if it
 *  has one. ERR_CONFIG: the address is malformed, or the account cannot be read. */
link_t *link_new (const char *address, const char *keys, err_t *err);
void link_destroy (link_t **link);

/*  Calls a function ("claim") with n arguments. An error that the function answers comes with its
 *  own code. ERR_NETWORK: Redis cannot be reached or does not answer; ERR_BUSY: it refuses in a
 *  state that may pass (it starts, is full, read-only, locked since we met it); ERR_CONFIG: it is
 *  no Redis 7, or wants a password. deadline_ms is stretched where Redis was seen to be slower. */
int link_call (link_t *link, int64_t deadline_ms, const char *function, const store_bytes_t *args,
               size_t n, link_reply_t *reply, err_t *err);
void link_reply_free (link_reply_t *reply);

/*  Loads this build's functions, whose names carry a hash of their text: those of other builds
 *  stay. */
int link_load (link_t *link, int64_t deadline_ms, err_t *err);

#endif
