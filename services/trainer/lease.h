/*  lease - keeps the trainer's lease on its run, in a thread and over a connection of its own.
 *
 *      lease_t *lease = lease_start (redis, keys, run, epoch, &err);
 *      if (lease_lost (lease))
 *          err_set (&err, ERR_STALE, "somebody else has the run");
 *      lease_end (&lease);
 *
 *  An update may compute for minutes, so the loop cannot renew; and a Redis that is slow to answer
 *  must not hold up the heartbeats, so their thread cannot either. A renewal that fails is tried
 *  again: the lease is lost only when Redis says that another trainer took the run.
 */
#ifndef QUINTET_TRAINER_LEASE_H
#define QUINTET_TRAINER_LEASE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

#define LEASE_MS 10000 /* of the run, from one renewal on */

typedef struct lease lease_t;

/*  The run is acquired already, under this epoch. redis, keys: as of store_new. */
lease_t *lease_start (const char *redis, const char *keys, const char *run, uint64_t epoch,
                      err_t *err);
/*  Nothing is renewed afterwards; the lease ends by itself, or by store_run_release. */
void lease_end (lease_t **lease);

bool lease_lost (const lease_t *lease);

#endif
